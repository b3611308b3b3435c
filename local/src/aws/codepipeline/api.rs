//! The operations, each from its input to its answer. What a change moves is the engine's business.

use super::approvals::Answer;
use super::engine::{Start, Turn};
use super::input;
use super::model::{Execution, Override, Pipeline, Transition, Trigger};
use super::structure::{self, Scope, Structure};
use super::{Region, answers};
use crate::aws::codebuild::epoch;
use crate::aws::{ACCOUNT, Aws, Call, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many tags a pipeline may have. Source: Quotas in AWS CodePipeline.
const MOST_TAGS: usize = 50;

/// Lays a pipeline down, without an execution.
pub(super) fn create(
    here: &mut Region,
    region: &str,
    declared: &Value,
    tags: &Value,
    now: Timestamp,
) -> Result<Value, Failure> {
    let (structure, shown) = structure::read(declared, region, 1)?;
    let name = structure.pipeline.clone();
    if here.contains_key(&name) {
        let message = format!("A pipeline with the name '{name}' already exists in account '{ACCOUNT}'");
        return Err(Failure::sender("PipelineNameInUseException", message));
    }
    let tags = read_tags(tags)?;
    let answer = json!({ "pipeline": shown, "tags": show_tags(&tags) });
    let pipeline = Pipeline {
        created: now,
        updated: now,
        versions: vec![shown],
        structure: Arc::new(structure),
        tags,
        transitions: BTreeMap::new(),
        executions: Vec::new(),
        index: BTreeMap::new(),
        open: BTreeSet::new(),
        settle_at: None,
        tokens: BTreeMap::new(),
    };
    here.insert(name, pipeline);
    Ok(answer)
}

/// CreatePipeline over the wire: AWS starts a first execution by itself, unless a variable has no value to start with.
pub(super) fn create_and_start(here: &mut Region, turn: &mut Turn<'_>, call: &Call) -> Result<Value, Failure> {
    let answer = create(here, &call.region, &call.input["pipeline"], &call.input["tags"], call.now)?;
    let pipeline = answer["pipeline"]["name"].as_str().and_then(|name| here.get_mut(name));
    if let Some(pipeline) = pipeline
        && let Ok(variables) = resolve_variables(&pipeline.structure, &[])
    {
        let trigger = Trigger { kind: "CreatePipeline".to_owned(), detail: call.caller.clone() };
        pipeline.start(turn, Start { trigger, variables, overrides: Vec::new() });
    }
    Ok(answer)
}

/// UpdatePipeline: another version, and whatever runs is cancelled.
pub(super) fn update(here: &mut Region, turn: &mut Turn<'_>, call: &Call) -> Result<Value, Failure> {
    let declared = &call.input["pipeline"];
    let name = input::required(declared, "pipeline", "name", &input::NAME)?;
    let pipeline = here.get_mut(name).ok_or_else(|| no_pipeline(name))?;
    let version = pipeline.structure.version + 1;
    let (structure, shown) = structure::read(declared, &call.region, version)?;
    pipeline.cancel_all(turn);
    pipeline.structure = Arc::new(structure);
    pipeline.versions.push(shown.clone());
    pipeline.updated = call.now;
    Ok(json!({ "pipeline": shown }))
}

/// DeletePipeline: succeeds for what does not exist, as on AWS.
pub(super) fn delete(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    here.remove(input::required(&call.input, "", "name", &input::NAME)?);
    Ok(json!({}))
}

pub(super) fn get(here: &Region, call: &Call) -> Result<Value, Failure> {
    let pipeline = named(here, call, "name")?;
    let latest = pipeline.structure.version;
    let version = input::number(&call.input, "", "version", 1, u64::MAX)?.unwrap_or(latest);
    let index = usize::try_from(version - 1).unwrap_or(usize::MAX);
    let declared = pipeline.versions.get(index).ok_or_else(|| {
        let name = &pipeline.structure.pipeline;
        let message =
            format!("Account '{ACCOUNT}' does not have a pipeline with name '{name}' and version '{version}'");
        Failure::sender("PipelineVersionNotFoundException", message)
    })?;
    Ok(json!({
        "pipeline": declared,
        "metadata": {
            "pipelineArn": pipeline.structure.arn(),
            "created": epoch(pipeline.created),
            "updated": epoch(pipeline.updated),
        },
    }))
}

pub(super) fn list(here: &Region, call: &Call) -> Result<Value, Failure> {
    let items = here.iter().map(|(name, pipeline)| {
        let shown = json!({
            "name": name,
            "version": pipeline.structure.version,
            "pipelineType": pipeline.structure.kind,
            "executionMode": pipeline.structure.mode,
            "created": epoch(pipeline.created),
            "updated": epoch(pipeline.updated),
        });
        (name.clone(), shown)
    });
    input::page("pipelines", items.collect(), &call.input, 1000)
}

pub(super) fn start(
    here: &mut Region,
    turn: &mut Turn<'_>,
    call: &Call,
    aws: &Aws,
    limit: usize,
) -> Result<Value, Failure> {
    let name = input::required(&call.input, "", "name", &input::NAME)?;
    let token = input::optional(&call.input, "", "clientRequestToken", &input::TOKEN)?;
    let pipeline = here.get_mut(name).ok_or_else(|| no_pipeline(name))?;
    let variables = resolve_variables(&pipeline.structure, input::list(&call.input, "", "variables", 50)?)?;
    let overrides = read_overrides(&pipeline.structure, input::list(&call.input, "", "sourceRevisions", 50)?)?;
    let honoured = token.filter(|_| aws.behaviour().start_token_honoured);
    if let Some(id) = honoured.and_then(|token| pipeline.tokens.get(token)) {
        return Ok(json!({ "pipelineExecutionId": id }));
    }
    if pipeline.open.len() >= limit {
        return Err(too_many_executions());
    }
    let trigger = Trigger { kind: "StartPipelineExecution".to_owned(), detail: call.caller.clone() };
    let id = pipeline.start(turn, Start { trigger, variables, overrides });
    if let Some(token) = honoured {
        pipeline.tokens.insert(token.to_owned(), id.clone());
    }
    Ok(json!({ "pipelineExecutionId": id }))
}

pub(super) fn stop(here: &mut Region, turn: &mut Turn<'_>, call: &Call) -> Result<Value, Failure> {
    let name = input::required(&call.input, "", "pipelineName", &input::NAME)?;
    let id = input::required(&call.input, "", "pipelineExecutionId", &input::EXECUTION_ID)?;
    let reason = input::optional(&call.input, "", "reason", &input::REASON)?.unwrap_or_default();
    let pipeline = here.get_mut(name).ok_or_else(|| no_pipeline(name))?;
    pipeline.stop(turn, id, input::is_set(&call.input, "abandon"), reason.to_owned())?;
    Ok(json!({ "pipelineExecutionId": id }))
}

/// RollbackStage: a new execution of type ROLLBACK.
pub(super) fn roll_back(here: &mut Region, turn: &mut Turn<'_>, call: &Call) -> Result<Value, Failure> {
    let name = input::required(&call.input, "", "pipelineName", &input::NAME)?;
    let stage = input::required(&call.input, "", "stageName", &input::NAME)?;
    let target = input::required(&call.input, "", "targetPipelineExecutionId", &input::EXECUTION_ID)?;
    let pipeline = here.get_mut(name).ok_or_else(|| no_pipeline(name))?;
    let id = pipeline.roll_back(turn, stage, target, &call.caller)?;
    Ok(json!({ "pipelineExecutionId": id }))
}

/// RetryStageExecution: the same execution goes on.
pub(super) fn retry(here: &mut Region, turn: &mut Turn<'_>, call: &Call, limit: usize) -> Result<Value, Failure> {
    let name = input::required(&call.input, "", "pipelineName", &input::NAME)?;
    let stage = input::required(&call.input, "", "stageName", &input::NAME)?;
    let id = input::required(&call.input, "", "pipelineExecutionId", &input::EXECUTION_ID)?;
    let mode = input::one_of(&call.input, "", "retryMode", &Scope::NAMES)?;
    let mode = mode.ok_or_else(|| input::invalid("null", "retryMode", "Member must not be null"))?;
    let pipeline = here.get_mut(name).ok_or_else(|| no_pipeline(name))?;
    if pipeline.open.len() >= limit {
        return Err(too_many_executions());
    }
    pipeline.retry(turn, stage, id, Scope::named(mode))?;
    Ok(json!({ "pipelineExecutionId": id }))
}

/// PutApprovalResult: answers an approval, once.
pub(super) fn answer(here: &mut Region, turn: &mut Turn<'_>, call: &Call) -> Result<Value, Failure> {
    let given = &call.input;
    let name = input::required(given, "", "pipelineName", &input::NAME)?;
    let stage = input::required(given, "", "stageName", &input::NAME)?;
    let action = input::required(given, "", "actionName", &input::NAME)?;
    let summary = input::required(&given["result"], "result", "summary", &input::SUMMARY)?;
    let status = input::one_of(&given["result"], "result", "status", &["Approved", "Rejected"])?;
    let status = status.ok_or_else(|| input::invalid("null", "result.status", "Member must not be null"))?;
    let token = input::required(given, "", "token", &input::APPROVAL_TOKEN)?;
    let pipeline = here.get_mut(name).ok_or_else(|| no_pipeline(name))?;
    let answer = Answer { stage, action, token, approved: status == "Approved", summary, by: &call.caller };
    pipeline.answer(turn, &answer)?;
    Ok(json!({ "approvedAt": epoch(call.now) }))
}

/// DisableStageTransition and EnableStageTransition. Whoever waited enters when it is enabled.
pub(super) fn set_transition(here: &mut Region, turn: &mut Turn<'_>, call: &Call) -> Result<Value, Failure> {
    let given = &call.input;
    let name = input::required(given, "", "pipelineName", &input::NAME)?;
    let stage = input::required(given, "", "stageName", &input::NAME)?;
    let which = input::one_of(given, "", "transitionType", &["Inbound", "Outbound"])?;
    let which = which.ok_or_else(|| input::invalid("null", "transitionType", "Member must not be null"))?;
    let disabled = match call.operation.as_str() {
        "DisableStageTransition" => Some(input::required(given, "", "reason", &input::DISABLED_REASON)?.to_owned()),
        _ => None,
    };
    let pipeline = here.get_mut(name).ok_or_else(|| no_pipeline(name))?;
    pipeline.stage_index(stage)?;
    let said = Transition { disabled, by: call.caller.clone(), at: call.now };
    let both = pipeline.transitions.entry(stage.to_owned()).or_default();
    match which {
        "Inbound" => both.inbound = Some(said),
        _ => both.outbound = Some(said),
    }
    pipeline.settle(turn);
    Ok(json!({}))
}

pub(super) fn get_execution(here: &Region, call: &Call) -> Result<Value, Failure> {
    let pipeline = named(here, call, "pipelineName")?;
    let id = input::required(&call.input, "", "pipelineExecutionId", &input::EXECUTION_ID)?;
    let execution = pipeline.execution(id).ok_or_else(|| no_execution(pipeline, id))?;
    Ok(json!({ "pipelineExecution": answers::execution(execution) }))
}

pub(super) fn list_executions(here: &Region, call: &Call) -> Result<Value, Failure> {
    let pipeline = named(here, call, "pipelineName")?;
    let filter = &call.input["filter"]["succeededInStage"];
    let stage = input::optional(filter, "filter.succeededInStage", "stageName", &input::NAME)?;
    // Of the current structure version only. Source: `SucceededInStageFilter` of the API's model.
    let version = pipeline.structure.version;
    let wanted = |execution: &&Execution| {
        stage.is_none_or(|stage| execution.version == version && execution.succeeded_in(stage))
    };
    let newest_first = pipeline.executions.iter().rev().filter(wanted);
    let items = newest_first.map(|execution| (execution.id.clone(), answers::summary(execution)));
    input::page("pipelineExecutionSummaries", items.collect(), &call.input, 100)
}

pub(super) fn list_actions(here: &Region, call: &Call) -> Result<Value, Failure> {
    let pipeline = named(here, call, "pipelineName")?;
    let filter = &call.input["filter"];
    let latest = &filter["latestInPipelineExecution"];
    let range = match latest.is_object() {
        true => input::one_of(latest, "filter.latestInPipelineExecution", "startTimeRange", &["Latest", "All"])?,
        false => None,
    };
    let filter = if latest.is_object() { latest } else { filter };
    let id = input::optional(filter, "filter", "pipelineExecutionId", &input::EXECUTION_ID)?;
    if let Some(id) = id {
        pipeline.execution(id).ok_or_else(|| no_execution(pipeline, id))?;
    }
    let mut runs = Vec::new();
    for execution in pipeline.executions.iter().filter(|execution| id.is_none_or(|id| execution.id == id)) {
        for stage in &execution.stages {
            let wanted = stage.actions.iter().filter(|run| range != Some("Latest") || !run.retried);
            runs.extend(wanted.map(|run| (execution, stage, run)));
        }
    }
    runs.sort_by_key(|(_, _, run)| run.started);
    let newest_first = runs.into_iter().rev();
    let items = newest_first.map(|(execution, stage, run)| (run.id.clone(), answers::action(execution, stage, run)));
    input::page("actionExecutionDetails", items.collect(), &call.input, 100)
}

pub(super) fn get_state(here: &Region, call: &Call) -> Result<Value, Failure> {
    named(here, call, "name").map(answers::state)
}

pub(super) fn tag(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let more = read_tags(&call.input["tags"])?;
    let tags = &mut by_arn(here, call)?.tags;
    if tags.keys().chain(more.keys()).collect::<BTreeSet<_>>().len() > MOST_TAGS {
        return Err(too_many_tags());
    }
    tags.extend(more);
    Ok(json!({}))
}

pub(super) fn untag(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let keys = input::list(&call.input, "", "tagKeys", usize::MAX)?;
    let tags = &mut by_arn(here, call)?.tags;
    for key in keys.iter().filter_map(Value::as_str) {
        tags.remove(key);
    }
    Ok(json!({}))
}

pub(super) fn list_tags(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let pipeline = by_arn(here, call)?;
    let items = pipeline.tags.iter().map(|(key, value)| (key.clone(), json!({ "key": key, "value": value })));
    input::page("tags", items.collect(), &call.input, 100)
}

fn named<'a>(here: &'a Region, call: &Call, key: &str) -> Result<&'a Pipeline, Failure> {
    let name = input::required(&call.input, "", key, &input::NAME)?;
    here.get(name).ok_or_else(|| no_pipeline(name))
}

fn by_arn<'a>(here: &'a mut Region, call: &Call) -> Result<&'a mut Pipeline, Failure> {
    let arn = call.input["resourceArn"].as_str();
    let arn = arn.ok_or_else(|| input::invalid("null", "resourceArn", "Member must not be null"))?;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", "aws", "codepipeline", region, ACCOUNT, name] if *region == call.region => {
            let missing = || Failure::sender("ResourceNotFoundException", format!("The resource {arn} was not found"));
            here.get_mut(*name).ok_or_else(missing)
        }
        _ => Err(Failure::sender("InvalidArnException", format!("Invalid resource ARN: {arn}"))),
    }
}

fn read_tags(tags: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let mut read = BTreeMap::new();
    for (index, tag) in tags.as_array().into_iter().flatten().enumerate() {
        let path = format!("tags.{}.member", index + 1);
        let key = input::required(tag, &path, "key", &input::TAG_KEY)?;
        if key.to_lowercase().starts_with("aws:") {
            let message = format!("The tag key {key} is reserved: it begins with aws:");
            return Err(Failure::sender("InvalidTagsException", message));
        }
        read.insert(key.to_owned(), input::required(tag, &path, "value", &input::TAG_VALUE)?.to_owned());
    }
    if read.len() > MOST_TAGS { Err(too_many_tags()) } else { Ok(read) }
}

fn show_tags(tags: &BTreeMap<String, String>) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// The value of every declared variable: as given, else its default.
fn resolve_variables(structure: &Structure, given: &[Value]) -> Result<Vec<(String, String)>, Failure> {
    let mut values = BTreeMap::new();
    for (index, variable) in given.iter().enumerate() {
        let path = format!("variables.{}.member", index + 1);
        let name = input::required(variable, &path, "name", &input::VARIABLE)?;
        let value = input::required(variable, &path, "value", &input::VARIABLE_VALUE)?;
        if !structure.variables.iter().any(|(declared, _)| declared == name) {
            return Err(refused(format!("The following pipeline variables are not declared in the pipeline: {name}")));
        }
        if values.insert(name, value).is_some() {
            return Err(refused(format!("The pipeline variable {name} is given more than once")));
        }
    }
    let resolved = structure.variables.iter().map(|(name, default)| {
        let value = values.get(name.as_str()).map(|value| (*value).to_owned()).or_else(|| default.clone());
        let missing = || refused(format!("The pipeline variable {name} has neither a default value nor a value"));
        Ok((name.clone(), value.ok_or_else(missing)?))
    });
    resolved.collect()
}

fn read_overrides(structure: &Structure, given: &[Value]) -> Result<Vec<Override>, Failure> {
    let kinds = ["COMMIT_ID", "IMAGE_DIGEST", "S3_OBJECT_VERSION_ID", "S3_OBJECT_KEY"];
    if structure.kind != "V2" && !given.is_empty() {
        return Err(refused("Source revision overrides are only supported for pipelines of type V2".to_owned()));
    }
    let mut overrides: Vec<Override> = Vec::new();
    for (index, each) in given.iter().enumerate() {
        let path = format!("sourceRevisions.{}.member", index + 1);
        let action = input::required(each, &path, "actionName", &input::NAME)?.to_owned();
        let kind = input::one_of(each, &path, "revisionType", &kinds)?;
        let missing = || input::invalid("null", &input::join(&path, "revisionType"), "Member must not be null");
        let kind = kind.ok_or_else(missing)?;
        let value = input::required(each, &path, "revisionValue", &input::REVISION)?.to_owned();
        let Some(source) = structure.source(&action) else {
            return Err(refused(format!("The source revision override names {action}, which is not a source action")));
        };
        let fits = match source.provider.as_str() {
            "ECR" => kind == "IMAGE_DIGEST",
            "S3" => kind.starts_with("S3_"),
            _ => kind == "COMMIT_ID",
        };
        if !fits {
            let provider = &source.provider;
            return Err(refused(format!("Revision type {kind} does not fit source action {action} ({provider})")));
        }
        if overrides.iter().any(|known| known.action == action && known.kind == kind) {
            return Err(refused(format!("Source action {action} has more than one override of type {kind}")));
        }
        overrides.push(Override { action, kind: kind.to_owned(), value });
    }
    Ok(overrides)
}

fn no_pipeline(name: &str) -> Failure {
    let message = format!("Account '{ACCOUNT}' does not have a pipeline with name '{name}'");
    Failure::sender("PipelineNotFoundException", message)
}

fn no_execution(pipeline: &Pipeline, id: &str) -> Failure {
    let name = &pipeline.structure.pipeline;
    let message = format!("The pipeline '{name}' does not have a pipeline execution with id '{id}'");
    Failure::sender("PipelineExecutionNotFoundException", message)
}

fn refused(message: String) -> Failure {
    Failure::sender("ValidationException", message)
}

fn too_many_executions() -> Failure {
    Failure::sender(
        "ConcurrentPipelineExecutionsLimitExceededException",
        "The pipeline has reached the limit for concurrent pipeline executions.",
    )
}

fn too_many_tags() -> Failure {
    Failure::sender("TooManyTagsException", format!("A pipeline can have at most {MOST_TAGS} tags"))
}
