//! CodePipeline: start once, roll back once, look, stop.

mod approvals;
mod rollback;
mod transitions;

pub use approvals::{Asking, Token};
pub use rollback::{GoodRun, Inside, Mode, Outline, StageNow};
pub use transitions::Transition;

use super::targets::{Answer, Listing, Regional, answer_of};
use super::{AwsConfig, CallError, client, moment};
use crate::domain::execution::{CLOCK_SKEW, Execution, Seen, StartEvent, Target};
use crate::domain::observed::{Link, Mark, Observed, Report, State, Trigger};
use aws_sdk_codepipeline::config::retry::RetryConfig;
use aws_sdk_codepipeline::types as sdk;
use aws_sdk_codepipeline::{Client, primitives::DateTime};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many executions a page of a listing holds: AWS's own maximum.
const PAGE_EXECUTIONS: i32 = 100;
/// How many pages of executions a look goes back. At the bound it is not complete.
const PAGES_MAX: usize = 5;
/// How many pages of actions are read of one execution: 50 stages of 100 actions would be 50 pages.
const ACTION_PAGES_MAX: usize = 10;
/// The longest reason for a stop, in characters: AWS's own bound.
const STOP_REASON_CHARACTERS_MAX: usize = 200;

/// CodePipeline's words for "no room now": nothing was started, nor rolled back.
const BUSY: [&str; 2] = ["ConcurrentPipelineExecutionsLimitExceededException", "ConflictException"];

/// Clients of CodePipeline.
#[derive(Debug)]
pub struct CodePipeline {
    clients: Regional<Client>,
    starter_roles: Vec<String>,
}

impl CodePipeline {
    /// Clients for every region.
    pub fn new(config: &AwsConfig, starter_roles: Vec<String>) -> Self {
        Self { clients: Regional::new(config, |config| client!(aws_sdk_codepipeline, config)), starter_roles }
    }

    pub(super) async fn start(&self, execution: &Execution) -> Answer {
        if let Some(back) = &execution.rolls_back {
            return match self.roll_back(&execution.target, back).await {
                Ok(aws_id) => Answer::Known(StartEvent::Answered { aws_id }),
                Err(error) => answer_of(error, &BUSY),
            };
        }
        let client = self.clients.in_region(&execution.target.region);
        let source_action = match self.source_action(&client, execution).await {
            Ok(action) => action,
            Err(answer) => return answer,
        };
        let revision = sdk::SourceRevisionOverride::builder()
            .action_name(source_action)
            .revision_type(sdk::SourceRevisionType::CommitId)
            .revision_value(execution.sha.as_ref().map(ToString::to_string).unwrap_or_default())
            .build();
        let variables = execution
            .variables
            .iter()
            .map(|(name, value)| sdk::PipelineVariable::builder().name(name).value(value).build());
        let (Ok(revision), Ok(variables)) = (revision, variables.collect::<Result<Vec<_>, _>>()) else {
            return Answer::Known(StartEvent::Refused { reason: "the request cannot be built".to_owned() });
        };
        let request = client
            .start_pipeline_execution()
            .name(&execution.target.name)
            .client_request_token(execution.id.as_str())
            .source_revisions(revision)
            .set_variables((!variables.is_empty()).then_some(variables));
        match request.customize().config_override(once()).send().await {
            Ok(answer) => match answer.pipeline_execution_id {
                Some(aws_id) => Answer::Known(StartEvent::Answered { aws_id }),
                None => Answer::Lost("the answer holds no execution id".to_owned()),
            },
            Err(error) => answer_of(error.into(), &BUSY),
        }
    }

    /// The source action that is to get the commit: the configured one, or the pipeline's only one.
    async fn source_action(&self, client: &Client, execution: &Execution) -> Result<String, Answer> {
        if let Some(configured) = &execution.source_action {
            return Ok(configured.clone());
        }
        let refused = |reason: String| Answer::Known(StartEvent::Refused { reason });
        let answer = match client.get_pipeline().name(&execution.target.name).send().await.map_err(CallError::from) {
            Ok(answer) => answer,
            Err(error @ CallError::Refused { .. }) => return Err(refused(error.to_string())),
            // Nothing was started yet, so there is nothing to reconcile: try again later.
            Err(error) => return Err(Answer::Known(StartEvent::Full { reason: error.to_string() })),
        };
        let sources = source_actions(answer.pipeline.as_ref());
        match sources.as_slice() {
            [only] => Ok(only.name.clone()),
            [] => Err(refused("the pipeline has no source action".to_owned())),
            several => {
                let names: Vec<_> = several.iter().map(|action| action.name.as_str()).collect();
                let names = names.join(", ");
                Err(refused(format!(
                    "the pipeline has several source actions ({names}): the route needs `source_action`"
                )))
            }
        }
    }

    pub(super) async fn seen_since(&self, target: &Target, since: Timestamp) -> Result<Listing, CallError> {
        let client = self.clients.in_region(&target.region);
        let mut listing = Listing::default();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let request = client.list_pipeline_executions().pipeline_name(&target.name).max_results(PAGE_EXECUTIONS);
            let page = request.set_next_token(next).send().await?;
            for summary in page.pipeline_execution_summaries() {
                let started_at = time(summary.start_time());
                // Newest first: whatever follows is older still.
                if started_at < since - CLOCK_SKEW {
                    listing.is_complete = true;
                    return Ok(listing);
                }
                let is_by_our_role = summary.trigger().map(|trigger| self.is_ours(&read_trigger(trigger)));
                if is_by_our_role != Some(false) {
                    listing.seen.push(Seen {
                        started_at,
                        is_by_our_role,
                        revisions: summary.source_revisions().iter().filter_map(|r| r.revision_id.clone()).collect(),
                        rolls_back_to: rollback::target_of(summary.execution_type(), summary.rollback_metadata()),
                        ..Seen::named(summary.pipeline_execution_id().unwrap_or_default())
                    });
                }
            }
            next = page.next_token;
            if next.is_none() {
                listing.is_complete = true;
                break;
            }
        }
        Ok(listing)
    }

    pub(super) async fn seen(&self, target: &Target, aws_id: &str) -> Result<Seen, CallError> {
        let execution = self.execution(target, aws_id).await?;
        let rolls_back_to = rollback::target_of(execution.execution_type(), execution.rollback_metadata());
        let rolls_back_in = match &rolls_back_to {
            Some(_) => self.stage_of_rollback(target, aws_id).await?,
            None => None,
        };
        let variables = execution.variables().iter().map(|variable| {
            (variable.name().unwrap_or_default().to_owned(), variable.resolved_value().unwrap_or_default().to_owned())
        });
        Ok(Seen {
            // GetPipelineExecution tells no start time: a listing or an event does.
            is_by_our_role: execution.trigger().map(|trigger| self.is_ours(&read_trigger(trigger))),
            variables: Some(variables.collect()),
            revisions: execution.artifact_revisions().iter().filter_map(|r| r.revision_id.clone()).collect(),
            rolls_back_to,
            rolls_back_in,
            ..Seen::named(aws_id)
        })
    }

    /// Whether an execution was started through the API by one of our own functions, as a rollback too.
    pub fn is_ours(&self, trigger: &Trigger) -> bool {
        let by_call = [sdk::TriggerType::StartPipelineExecution, sdk::TriggerType::ManualRollback];
        by_call.iter().any(|kind| kind.as_str() == trigger.kind)
            && self.starter_roles.iter().any(|role| trigger.detail.contains(&format!(":assumed-role/{role}/")))
    }

    /// The last known state of a stage; `None` when the pipeline has no such stage.
    async fn stage(&self, target: &Target, stage: &str) -> Result<Option<sdk::StageState>, CallError> {
        let client = self.clients.in_region(&target.region);
        let answer = client.get_pipeline_state().name(&target.name).send().await?;
        Ok(answer.stage_states.unwrap_or_default().into_iter().find(|found| found.stage_name() == Some(stage)))
    }

    async fn execution(&self, target: &Target, aws_id: &str) -> Result<sdk::PipelineExecution, CallError> {
        let client = self.clients.in_region(&target.region);
        let request = client.get_pipeline_execution().pipeline_name(&target.name).pipeline_execution_id(aws_id);
        let answer = request.send().await?;
        answer.pipeline_execution.ok_or_else(|| CallError::Lost("the answer holds no execution".to_owned()))
    }

    pub(super) async fn observe(&self, target: &Target, aws_id: &str, now: Timestamp) -> Result<Observed, CallError> {
        let execution = self.execution(target, aws_id).await?;
        let mut observed = Observed {
            trigger: execution.trigger().map(read_trigger),
            revisions: execution
                .artifact_revisions()
                .iter()
                .filter_map(|r| Some((r.name.clone()?, r.revision_id.clone()?)))
                .collect(),
            rolls_back_to: rollback::target_of(execution.execution_type(), execution.rollback_metadata()),
            ..Observed::default()
        };
        let actions = self.actions(target, aws_id).await?;
        actions.iter().for_each(|action| fold_action(&mut observed, action));
        if let Some(state) = execution.status().and_then(read_status) {
            // The API tells no time for the whole: it began with its first action, and ended with its last.
            let first = actions.iter().map(|action| time(action.start_time())).min();
            let last = actions.iter().map(|action| time(action.last_update_time())).max();
            let at = if state.is_over() { last } else { first };
            let mark = Mark { attempt: 1, at: at.unwrap_or(now), state };
            observed.fold(&Report::Whole { mark, trigger: None });
        }
        Ok(observed)
    }

    async fn actions(&self, target: &Target, aws_id: &str) -> Result<Vec<sdk::ActionExecutionDetail>, CallError> {
        let client = self.clients.in_region(&target.region);
        let filter = sdk::ActionExecutionFilter::builder().pipeline_execution_id(aws_id).build();
        let mut actions = Vec::new();
        let mut next = None;
        for _ in 0..ACTION_PAGES_MAX {
            let request = client.list_action_executions().pipeline_name(&target.name).filter(filter.clone());
            let page = request.set_next_token(next).send().await?;
            actions.extend(page.action_execution_details.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(actions)
    }

    pub(super) async fn stop(
        &self,
        target: &Target,
        aws_id: &str,
        reason: &str,
        abandon: bool,
    ) -> Result<(), CallError> {
        let client = self.clients.in_region(&target.region);
        let reason: String = reason.chars().take(STOP_REASON_CHARACTERS_MAX).collect();
        let request = client.stop_pipeline_execution().pipeline_name(&target.name).pipeline_execution_id(aws_id);
        request.reason(reason).abandon(abandon).send().await?;
        Ok(())
    }

    /// Runs the failed actions of a stage again.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn retry(&self, target: &Target, aws_id: &str, stage: &str) -> Result<(), CallError> {
        let client = self.clients.in_region(&target.region);
        let request = client.retry_stage_execution().pipeline_name(&target.name).stage_name(stage);
        request.pipeline_execution_id(aws_id).retry_mode(sdk::StageRetryMode::FailedActions).send().await?;
        Ok(())
    }

    /// Why a pipeline starts by itself, beside what Pointsman starts: every push would run twice. Empty when it
    /// does not.
    ///
    /// # Errors
    /// [`CallError`] when AWS does not know the pipeline, or does not answer.
    pub async fn starts_itself(&self, target: &Target) -> Result<Vec<String>, CallError> {
        let client = self.clients.in_region(&target.region);
        let answer = client.get_pipeline().name(&target.name).send().await?;
        let pipeline = answer.pipeline.as_ref();
        let mut reasons: Vec<String> = source_actions(pipeline).into_iter().filter_map(detects_changes).collect();
        let triggers = pipeline.map(sdk::PipelineDeclaration::triggers).unwrap_or_default();
        if !triggers.is_empty() {
            reasons.push(format!("it has {} trigger(s) of its own", triggers.len()));
        }
        Ok(reasons)
    }
}

/// Has the SDK try a call once: what it repeats after a lost reply could take effect twice.
fn once() -> aws_sdk_codepipeline::config::Builder {
    aws_sdk_codepipeline::config::Builder::new().retry_config(RetryConfig::disabled())
}

fn source_actions(pipeline: Option<&sdk::PipelineDeclaration>) -> Vec<&sdk::ActionDeclaration> {
    let stages = pipeline.map(sdk::PipelineDeclaration::stages).unwrap_or_default();
    let is_source = |action: &&sdk::ActionDeclaration| {
        action.action_type_id().is_some_and(|kind| *kind.category() == sdk::ActionCategory::Source)
    };
    stages.iter().flat_map(sdk::StageDeclaration::actions).filter(is_source).collect()
}

/// Why a source action starts its pipeline by itself. Change detection is on unless it is switched off.
fn detects_changes(action: &sdk::ActionDeclaration) -> Option<String> {
    let provider = action.action_type_id().map(sdk::ActionTypeId::provider).unwrap_or_default();
    let key = match provider {
        "CodeStarSourceConnection" => "DetectChanges",
        "GitHub" | "CodeCommit" | "S3" => "PollForSourceChanges",
        _ => return None,
    };
    let value = action.configuration().and_then(|all| all.get(key)).map(String::as_str);
    let is_off = value.is_some_and(|value| value.eq_ignore_ascii_case("false"));
    (!is_off).then(|| format!("its source action {} has no {key} = false", action.name()))
}

fn fold_action(observed: &mut Observed, action: &sdk::ActionExecutionDetail) {
    use sdk::ActionExecutionStatus as S;
    let stage = action.stage_name().unwrap_or_default().to_owned();
    let name = action.action_name().unwrap_or_default().to_owned();
    let category = action.input().and_then(|input| input.action_type_id()).map(|kind| kind.category().as_str());
    let category = category.unwrap_or_default();
    let result = action.output().and_then(|output| output.execution_result());
    let ended_at = time(action.last_update_time());
    let link = result.filter(|_| Link::is_for(category)).and_then(|result| {
        Some(Link {
            at: ended_at,
            id: result.external_execution_id.clone()?,
            url: result.external_execution_url.clone(),
            summary: result.external_execution_summary.clone(),
        })
    });
    let report = |at, state, link| Report::Action {
        stage: stage.clone(),
        action: name.clone(),
        category: category.to_owned(),
        mark: Mark { attempt: 1, at, state },
        link,
    };
    observed.fold(&report(time(action.start_time()), State::Started, link.clone()));
    let ended = match action.status() {
        Some(S::Succeeded) => Some(State::Succeeded),
        Some(S::Failed) => Some(State::Failed),
        Some(S::Abandoned) => Some(State::Abandoned),
        _ => None,
    };
    if let Some(state) = ended {
        observed.fold(&report(ended_at, state, link));
    }
    let outputs = action.output().and_then(|output| output.output_variables());
    let outputs: BTreeMap<_, _> =
        outputs.into_iter().flatten().map(|(k, v)| (format!("{name}.{k}"), v.clone())).collect();
    observed.merge(&Observed { outputs, ..Observed::default() });
}

fn read_trigger(trigger: &sdk::ExecutionTrigger) -> Trigger {
    Trigger {
        kind: trigger.trigger_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        detail: trigger.trigger_detail().unwrap_or_default().to_owned(),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the SDK's enum may grow")]
fn read_status(status: &sdk::PipelineExecutionStatus) -> Option<State> {
    use sdk::PipelineExecutionStatus as S;
    Some(match status {
        S::InProgress => State::Started,
        S::Stopping => State::Stopping,
        S::Stopped => State::Stopped,
        S::Cancelled => State::Canceled,
        S::Superseded => State::Superseded,
        S::Succeeded => State::Succeeded,
        S::Failed => State::Failed,
        _ => return None,
    })
}

pub(super) fn time(at: Option<&DateTime>) -> Timestamp {
    moment(at).unwrap_or(Timestamp::UNIX_EPOCH)
}
