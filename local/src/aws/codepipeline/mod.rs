//! CodePipeline: pipelines of type V1 and V2 in every execution mode, stage by stage and action by action.
//!
//! `structure` and `rules` read declarations, `model` is the state, `engine`, `actions`, `approvals` and `rollback`
//! move it, `events` and `answers` show it, `api` has the operations. This file holds the lock, and is the only one
//! that reaches out: it performs what a turn of the engine asks for once the lock is released.
//!
//! Not here, and refused by name: stage conditions with rules, custom actions and their jobs, webhooks.

mod actions;
mod answers;
mod api;
mod approvals;
mod engine;
mod events;
mod input;
mod model;
mod rollback;
mod rules;
mod structure;
#[cfg(test)]
mod tests;

use super::{Aws, Call, Failure, Service, lock};
use engine::{Effect, Turn};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// How many executions of one pipeline may be open at once unless a test says otherwise.
///
/// Source: Quotas in AWS CodePipeline, concurrent executions of a V2 pipeline (50). AWS states it for QUEUED and
/// PARALLEL; in SUPERSEDED the stages themselves bound it.
pub const DEFAULT_CONCURRENCY_LIMIT: usize = 50;

/// The end of what an action waits for elsewhere: a build, a deployment.
#[derive(Debug, Clone)]
pub(crate) struct WorkEnd {
    /// The key that came with the order.
    pub(crate) id: String,
    pub(crate) succeeded: bool,
    /// A sentence for people, such as `Deployment Succeeded`.
    pub(crate) summary: String,
    /// Output variables.
    pub(crate) exported: BTreeMap<String, String>,
}

/// The pipelines of one region, by name.
type Region = BTreeMap<String, model::Pipeline>;

/// The pipelines of every region.
#[derive(Default)]
pub struct CodePipeline {
    state: Mutex<State>,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    regions: BTreeMap<String, Region>,
    limit: Option<usize>,
}

impl CodePipeline {
    /// Bounds how many executions of one pipeline may be open at once; `None` is AWS's own limit.
    pub fn set_concurrency_limit(&self, limit: Option<usize>) {
        lock(&self.state).limit = limit;
    }

    /// Creates a pipeline without the first execution that CreatePipeline starts.
    ///
    /// `declaration` is the `pipeline` member of CreatePipeline's input, `tags` its `tags` member (or null).
    ///
    /// # Errors
    /// As CreatePipeline.
    pub(crate) fn lay_down(&self, aws: &Aws, region: &str, declaration: Value, tags: Value) -> Result<(), Failure> {
        let now = aws.clock().now();
        let mut state = lock(&self.state);
        let here = state.regions.entry(region.to_owned()).or_default();
        api::create(here, region, &declaration, &tags, now).map(|_| ())
    }

    /// Another service tells that something has ended which a pipeline started.
    pub(crate) fn work_ended(&self, aws: &Aws, end: &WorkEnd) {
        let mut turn = Turn::new(aws, aws.clock().now());
        for pipeline in lock(&self.state).regions.values_mut().flat_map(BTreeMap::values_mut) {
            if pipeline.end_with_work(&mut turn, end) {
                break;
            }
        }
        self.perform(turn);
    }

    /// Everything, as JSON.
    pub(crate) fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.state)).unwrap_or_default()
    }

    /// Goes on from what [`CodePipeline::save`] has said. Structures are read from their declarations again.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        let mut state: State = serde_json::from_value(saved)?;
        for (region, pipelines) in &mut state.regions {
            for pipeline in pipelines.values_mut() {
                pipeline.read_structures(region).map_err(|refusal| serde_json::Error::custom(refusal.message))?;
            }
        }
        *lock(&self.state) = state;
        Ok(())
    }

    /// Does what a turn asked for. The lock must not be held: events come back through other services.
    fn perform(&self, turn: Turn<'_>) {
        let aws = turn.aws;
        for effect in turn.effects {
            let (key, began) = match effect {
                Effect::Emit { region, event } => {
                    aws.emit(&region, event);
                    continue;
                }
                Effect::Build { region, build } => {
                    let id = format!("{}:{}", build.project, build.uuid);
                    let began = aws.codebuild().start_for_pipeline(aws, &region, build);
                    (id, began.map(|_| None).map_err(|refusal| worded("Error calling startBuild", &refusal)))
                }
                Effect::DeployService { region, deploy } => {
                    let key = deploy.key.clone();
                    let began = aws.ecs().deploy_for_pipeline(aws, &region, deploy);
                    (key, began.map(Some).map_err(|refusal| worded("The deployment could not begin", &refusal)))
                }
                Effect::DeployGroup { region, deploy } => {
                    let key = deploy.key.clone();
                    let began = aws.codedeploy().deploy_for_pipeline(aws, &region, deploy);
                    (key, began.map(Some).map_err(|refusal| worded("Deployment creation failed", &refusal)))
                }
                Effect::Notify { key, topic, subject, message } => {
                    let region = topic.split(':').nth(3).unwrap_or_default().to_owned();
                    let input = json!({ "TopicArn": topic, "Subject": subject, "Message": message });
                    let told = aws.ask("sns", &region, "Publish", input);
                    (key, told.map(|_| None).map_err(|refusal| worded("The topic could not be told", &refusal)))
                }
            };
            match began {
                Ok(None) => {}
                Ok(Some(external_id)) => self.work_began(&key, &external_id),
                Err(summary) => {
                    let end = WorkEnd { id: key, succeeded: false, summary, exported: BTreeMap::new() };
                    self.work_ended(aws, &end);
                }
            }
        }
    }

    fn work_began(&self, key: &str, external_id: &str) {
        for pipeline in lock(&self.state).regions.values_mut().flat_map(BTreeMap::values_mut) {
            pipeline.work_began(key, external_id);
        }
    }
}

/// What an action says that another service has refused.
fn worded(what: &str, refusal: &Failure) -> String {
    format!("{what}: {} ({})", refusal.message, refusal.code)
}

impl Service for CodePipeline {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let mut turn = Turn::new(aws, call.now);
        let answer = {
            let mut state = lock(&self.state);
            let limit = state.limit.unwrap_or(DEFAULT_CONCURRENCY_LIMIT);
            let here = state.regions.entry(call.region.clone()).or_default();
            match call.operation.as_str() {
                "CreatePipeline" => api::create_and_start(here, &mut turn, call),
                "UpdatePipeline" => api::update(here, &mut turn, call),
                "DeletePipeline" => api::delete(here, call),
                "GetPipeline" => api::get(here, call),
                "ListPipelines" => api::list(here, call),
                "StartPipelineExecution" => api::start(here, &mut turn, call, aws, limit),
                "StopPipelineExecution" => api::stop(here, &mut turn, call),
                "RetryStageExecution" => api::retry(here, &mut turn, call, limit),
                "RollbackStage" => api::roll_back(here, &mut turn, call),
                "PutApprovalResult" => api::answer(here, &mut turn, call),
                "DisableStageTransition" | "EnableStageTransition" => api::set_transition(here, &mut turn, call),
                "GetPipelineExecution" => api::get_execution(here, call),
                "ListPipelineExecutions" => api::list_executions(here, call),
                "ListActionExecutions" => api::list_actions(here, call),
                "GetPipelineState" => api::get_state(here, call),
                "TagResource" => api::tag(here, call),
                "UntagResource" => api::untag(here, call),
                "ListTagsForResource" => api::list_tags(here, call),
                other => Err(Failure::not_emulated("CodePipeline", other)),
            }
        };
        self.perform(turn);
        answer
    }

    fn operations(&self) -> &'static [&'static str] {
        &[
            "CreatePipeline",
            "DeletePipeline",
            "DisableStageTransition",
            "EnableStageTransition",
            "GetPipeline",
            "GetPipelineExecution",
            "GetPipelineState",
            "ListActionExecutions",
            "ListPipelineExecutions",
            "ListPipelines",
            "ListTagsForResource",
            "PutApprovalResult",
            "RetryStageExecution",
            "RollbackStage",
            "StartPipelineExecution",
            "StopPipelineExecution",
            "TagResource",
            "UntagResource",
            "UpdatePipeline",
        ]
    }

    fn next_due(&self) -> Option<Timestamp> {
        let state = lock(&self.state);
        state.regions.values().flat_map(BTreeMap::values).filter_map(model::Pipeline::next_due).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let mut turn = Turn::new(aws, now);
        for pipeline in lock(&self.state).regions.values_mut().flat_map(BTreeMap::values_mut) {
            pipeline.end_due(&mut turn);
        }
        self.perform(turn);
    }
}
