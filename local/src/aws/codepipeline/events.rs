//! The three kinds of events, in the shape that the CodePipeline user guide shows ("Monitoring CodePipeline events").
//!
//! Versions and attempts are floats there, and so they are here. Only the start of an execution names its trigger.

use super::engine::Effect;
use super::model::{ActionRun, Execution, StageRun, Status};
use crate::aws::Event;
use jiff::Timestamp;
use serde_json::{Value, json};

/// An execution's event for the status that it has now.
pub(super) fn of_pipeline(execution: &Execution) -> Effect {
    let resumed = execution.status == Status::InProgress && execution.attempt > 1;
    let state = if resumed { "RESUMED" } else { execution.status.state() };
    let mut detail = common(execution, execution.started, state);
    if execution.status == Status::InProgress && execution.attempt == 1 {
        detail["execution-trigger"] =
            json!({ "trigger-type": execution.trigger.kind, "trigger-detail": execution.trigger.detail });
    }
    if let (Some(reason), Status::Stopping | Status::Stopped) = (&execution.stop, execution.status)
        && !reason.is_empty()
    {
        detail["stop-execution-comments"] = json!(reason);
    }
    emit(execution, "Pipeline", detail)
}

/// A stage's event for the status that it has now.
pub(super) fn of_stage(execution: &Execution, run: &StageRun) -> Effect {
    let resumed = run.status == Status::InProgress && run.retries.automatic + run.retries.manual > 0;
    let state = if resumed { "RESUMED" } else { run.status.state() };
    let mut detail = common(execution, run.started, state);
    detail["stage"] = json!(run.name);
    emit(execution, "Stage", detail)
}

/// An action's event. `state` is told apart from the action's status, which has fewer values.
pub(super) fn of_action(execution: &Execution, stage: &str, run: &ActionRun, state: Status) -> Effect {
    let action = &run.action;
    let mut detail = common(execution, run.started, state.state());
    detail["stage"] = json!(stage);
    detail["action-execution-id"] = json!(run.id);
    detail["action"] = json!(action.name);
    detail["region"] = json!(action.region.as_ref().unwrap_or(&execution.structure.region));
    detail["type"] = action.type_id();
    for (key, artifacts) in [("input-artifacts", &run.inputs), ("output-artifacts", &run.outputs)] {
        if !artifacts.is_empty() {
            detail[key] = artifacts
                .iter()
                .map(|(name, key)| {
                    json!({ "name": name, "s3location": { "bucket": execution.structure.bucket, "key": key } })
                })
                .collect();
        }
    }
    if matches!(state, Status::Succeeded | Status::Failed) {
        let result = &run.result;
        let parts = [
            ("external-execution-url", result.url.clone()),
            ("external-execution-summary", result.summary.clone()),
            ("external-execution-id", result.external_id.clone()),
            ("error-code", result.error.as_ref().map(|(code, _)| code.clone())),
        ];
        let known = parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?))));
        detail["execution-result"] = Value::Object(known.collect());
    }
    emit(execution, "Action", detail)
}

fn common(execution: &Execution, started: Timestamp, state: &str) -> Value {
    json!({
        "pipeline": execution.structure.pipeline,
        "execution-id": execution.id,
        "start-time": started.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "state": state,
        "version": execution.structure.version as f64,
        "pipeline-execution-attempt": f64::from(execution.attempt),
    })
}

fn emit(execution: &Execution, level: &str, detail: Value) -> Effect {
    Effect::Emit {
        region: execution.structure.region.clone(),
        event: Event {
            source: "aws.codepipeline".to_owned(),
            detail_type: format!("CodePipeline {level} Execution State Change"),
            resources: vec![execution.structure.arn()],
            detail,
        },
    }
}
