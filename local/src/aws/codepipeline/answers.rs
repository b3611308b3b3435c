//! Executions, stages and actions as the API shows them.

use super::model::{ActionRun, Execution, Pipeline, Place, Revision, StageRun, Status};
use crate::aws::codebuild::epoch;
use serde_json::{Map, Value, json};

/// As `PipelineExecution` of GetPipelineExecution.
pub(super) fn execution(execution: &Execution) -> Value {
    let revisions = execution.revisions.iter().map(|revision| {
        json!({
            "name": revision.artifact,
            "revisionId": revision.id,
            "revisionSummary": revision.summary,
            "revisionUrl": revision.url,
            "created": epoch(revision.created),
        })
    });
    let variables = execution.variables.iter().map(|(name, value)| json!({ "name": name, "resolvedValue": value }));
    let mut answer = json!({
        "pipelineName": execution.structure.pipeline,
        "pipelineVersion": execution.structure.version,
        "pipelineExecutionId": execution.id,
        "status": execution.status.name(),
        "artifactRevisions": revisions.collect::<Vec<_>>(),
        "variables": variables.collect::<Vec<_>>(),
        "trigger": trigger(execution),
        "executionMode": execution.structure.mode,
        "executionType": kind(execution),
    });
    set_rollback(&mut answer, execution);
    answer
}

/// As `executionType`.
fn kind(execution: &Execution) -> &'static str {
    if execution.rollback_to.is_some() { "ROLLBACK" } else { "STANDARD" }
}

fn set_rollback(answer: &mut Value, execution: &Execution) {
    if let Some(target) = &execution.rollback_to {
        answer["rollbackMetadata"] = json!({ "rollbackTargetPipelineExecutionId": target });
    }
}

/// As `PipelineExecutionSummary` of ListPipelineExecutions.
pub(super) fn summary(execution: &Execution) -> Value {
    let mut answer = json!({
        "pipelineExecutionId": execution.id,
        "status": execution.status.name(),
        "startTime": epoch(execution.started),
        "lastUpdateTime": epoch(execution.updated),
        "trigger": trigger(execution),
        "executionMode": execution.structure.mode,
        "executionType": kind(execution),
    });
    set_rollback(&mut answer, execution);
    // Absent until the source action has ended.
    if !execution.revisions.is_empty() {
        answer["sourceRevisions"] = execution
            .revisions
            .iter()
            .map(|revision| {
                json!({
                    "actionName": revision.action,
                    "revisionId": revision.id,
                    "revisionSummary": revision.summary,
                    "revisionUrl": revision.url,
                })
            })
            .collect();
    }
    if let Some(reason) = &execution.stop {
        answer["stopTrigger"] = json!({ "reason": reason });
    }
    answer
}

fn trigger(execution: &Execution) -> Value {
    json!({ "triggerType": execution.trigger.kind, "triggerDetail": execution.trigger.detail })
}

/// As `ActionExecutionDetail` of ListActionExecutions.
pub(super) fn action(execution: &Execution, stage: &StageRun, run: &ActionRun) -> Value {
    let structure = &execution.structure;
    let artifacts = |list: &[(String, String)]| {
        let shown = list
            .iter()
            .map(|(name, key)| json!({ "name": name, "s3location": { "bucket": structure.bucket, "key": key } }));
        shown.collect::<Vec<_>>()
    };
    let mut input = json!({
        "actionTypeId": run.action.type_id(),
        "configuration": run.action.configuration,
        "resolvedConfiguration": run.resolved,
        "region": run.action.region.as_ref().unwrap_or(&structure.region),
        "inputArtifacts": artifacts(&run.inputs),
    });
    set(&mut input, "roleArn", run.action.role.as_deref());
    set(&mut input, "namespace", run.action.namespace.as_deref());
    let mut result = Value::Object(Map::new());
    set(&mut result, "externalExecutionId", run.result.external_id.as_deref());
    set(&mut result, "externalExecutionSummary", run.result.summary.as_deref());
    set(&mut result, "externalExecutionUrl", run.result.url.as_deref());
    if let Some((code, message)) = &run.result.error {
        result["errorDetails"] = json!({ "code": code, "message": message });
    }
    let mut answer = json!({
        "pipelineExecutionId": execution.id,
        "actionExecutionId": run.id,
        "pipelineVersion": structure.version,
        "stageName": stage.name,
        "actionName": run.action.name,
        "startTime": epoch(run.started),
        "lastUpdateTime": epoch(run.updated),
        "status": run.status.name(),
        "input": input,
        "output": {
            "outputArtifacts": artifacts(&run.outputs),
            "executionResult": result,
            "outputVariables": run.variables,
        },
    });
    set(&mut answer, "updatedBy", run.updated_by.as_deref());
    answer
}

/// As the output of GetPipelineState: the last known state of each stage, whosever it is.
pub(super) fn state(pipeline: &Pipeline) -> Value {
    let structure = &pipeline.structure;
    let parallel = structure.mode == "PARALLEL";
    let stages = structure.stages.iter().enumerate().map(|(index, stage)| {
        let actions = stage.actions.iter().map(|action| {
            let mut answer = json!({ "actionName": action.name });
            if let Some((execution, run)) = pipeline.latest_action(&stage.name, &action.name) {
                answer["latestExecution"] = latest(run, parallel);
                set(&mut answer, "entityUrl", run.result.url.as_deref());
                let its = |revision: &&Revision| action.category == "Source" && revision.action == action.name;
                if let Some(revision) = execution.revisions.iter().find(its) {
                    answer["currentRevision"] = json!({
                        "revisionId": revision.id,
                        "revisionChangeId": revision.id.chars().take(100).collect::<String>(),
                        "created": epoch(revision.created),
                    });
                    answer["revisionUrl"] = json!(revision.url);
                }
            }
            answer
        });
        let mut answer = json!({
            "stageName": stage.name,
            "inboundTransitionState": transition(pipeline, &stage.name),
            "actionStates": actions.collect::<Vec<_>>(),
        });
        let waiting = pipeline.running().filter(|execution| execution.place == Place::Waiting(index));
        let inbound: Vec<Value> = waiting.map(|execution| of_stage(execution, execution.status)).collect();
        if let Some(last) = inbound.last() {
            answer["inboundExecution"] = last.clone();
            answer["inboundExecutions"] = json!(inbound);
        }
        if let Some((execution, run)) = pipeline.latest(&stage.name) {
            answer["latestExecution"] = of_stage(execution, run.status);
            set_retries(&mut answer, run);
        }
        answer
    });
    json!({
        "pipelineName": structure.pipeline,
        "pipelineVersion": structure.version,
        "stageStates": stages.collect::<Vec<_>>(),
        "created": epoch(pipeline.created),
        "updated": epoch(pipeline.updated),
    })
}

fn of_stage(execution: &Execution, status: Status) -> Value {
    json!({ "pipelineExecutionId": execution.id, "status": status.name(), "type": kind(execution) })
}

/// As `TransitionState`: of the inbound transition, the only one that is shown.
fn transition(pipeline: &Pipeline, stage: &str) -> Value {
    let Some(said) = pipeline.transitions.get(stage).and_then(|both| both.inbound.as_ref()) else {
        return json!({ "enabled": true });
    };
    let mut answer = json!({
        "enabled": said.disabled.is_none(),
        "lastChangedBy": said.by,
        "lastChangedAt": epoch(said.at),
    });
    set(&mut answer, "disabledReason", said.disabled.as_deref());
    answer
}

fn set_retries(answer: &mut Value, run: &StageRun) {
    let retries = run.retries;
    if retries.automatic + retries.manual == 0 {
        return;
    }
    let by = if retries.last_was_automatic { "AutomatedStageRetry" } else { "ManualStageRetry" };
    let mut shown = json!({ "latestRetryTrigger": by });
    for (key, count) in [("autoStageRetryAttempt", retries.automatic), ("manualStageRetryAttempt", retries.manual)] {
        if count > 0 {
            shown[key] = json!(count);
        }
    }
    answer["retryStageMetadata"] = shown;
}

/// As `ActionExecution` of GetPipelineState. In mode PARALLEL it shows no token.
fn latest(run: &ActionRun, parallel: bool) -> Value {
    let mut answer = json!({
        "actionExecutionId": run.id,
        "status": run.status.name(),
        "lastStatusChange": epoch(run.updated),
    });
    set(&mut answer, "summary", run.result.summary.as_deref().filter(|text| !text.is_empty()));
    set(&mut answer, "token", run.token.as_deref().filter(|_| run.status == Status::InProgress && !parallel));
    set(&mut answer, "lastUpdatedBy", run.updated_by.as_deref());
    let external_id = run.result.external_id.as_deref().filter(|_| run.token.is_none());
    set(&mut answer, "externalExecutionId", external_id);
    set(&mut answer, "externalExecutionUrl", run.result.url.as_deref());
    if let Some((code, message)) = &run.result.error {
        answer["errorDetails"] = json!({ "code": code, "message": message });
    }
    answer
}

fn set(answer: &mut Value, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        answer[key] = json!(value);
    }
}
