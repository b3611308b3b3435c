//! Rollbacks of a stage, and what of a pipeline decides whether one is possible.

use super::transitions::transition;
use super::{CodePipeline, PAGE_EXECUTIONS, PAGES_MAX, once, time};
use crate::aws::CallError;
use crate::aws::codepipeline::Transition;
use crate::aws::codepipeline::approvals::inbound;
use crate::domain::execution::{StageBack, Target};
use aws_sdk_codepipeline::types as sdk;
use jiff::Timestamp;

/// How a pipeline lets its executions follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A newer execution takes the place of one that waits. AWS's default.
    Superseded,
    /// They wait in order.
    Queued,
    /// They run side by side. No stage of such a pipeline can be rolled back.
    Parallel,
}

/// A pipeline as it is declared now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The version of its structure; every edit makes a new one.
    pub version: i32,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// How its executions follow one another.
    pub mode: Mode,
    /// Whether it is of type V2. No stage of a pipeline of type V1 can be rolled back.
    pub is_v2: bool,
    /// Its stages, in their order.
    pub stages: Vec<String>,
}

/// A stage as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageNow {
    /// The execution that was in it last; `None` where none was yet.
    pub inside: Option<Inside>,
    /// AWS's ids of the executions that wait to enter, the one that came first first.
    pub waiting: Vec<String>,
    /// The way in.
    pub transition: Transition,
}

/// An execution in a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// AWS's id.
    pub aws_id: String,
    /// Whether it is still in there.
    pub is_running: bool,
}

/// An execution that came through a stage well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodRun {
    /// AWS's id.
    pub aws_id: String,
    /// Whether it was a rollback itself: nothing can be rolled back to one.
    pub is_rollback: bool,
    /// When the execution started.
    pub started_at: Timestamp,
}

impl CodePipeline {
    /// Asks for a rollback, once: RollbackStage takes no token. Answers with the id of the execution that it makes.
    pub(super) async fn roll_back(&self, target: &Target, back: &StageBack) -> Result<String, CallError> {
        let client = self.clients.in_region(&target.region);
        let request = client
            .rollback_stage()
            .pipeline_name(&target.name)
            .stage_name(&back.stage)
            .target_pipeline_execution_id(&back.to);
        let aws_id = request.customize().config_override(once()).send().await?.pipeline_execution_id;
        if aws_id.is_empty() { Err(CallError::Lost("the answer holds no execution id".to_owned())) } else { Ok(aws_id) }
    }

    /// The pipeline as it is declared now.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn outline(&self, target: &Target) -> Result<Outline, CallError> {
        let client = self.clients.in_region(&target.region);
        let answer = client.get_pipeline().name(&target.name).send().await?;
        let edited_at = answer.metadata.as_ref().and_then(|metadata| metadata.updated());
        let declared = answer.pipeline.ok_or_else(|| CallError::Lost("the answer holds no pipeline".to_owned()))?;
        Ok(Outline {
            version: declared.version().unwrap_or(1),
            edited_at: edited_at.map(|at| time(Some(at))),
            mode: mode(declared.execution_mode()),
            is_v2: declared.pipeline_type() == Some(&sdk::PipelineType::V2),
            stages: declared.stages().iter().map(|stage| stage.name().to_owned()).collect(),
        })
    }

    /// Who is in `stage`, who waits for it, and whether its way in is open. `None`: the pipeline has no such stage.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn stage_now(&self, target: &Target, stage: &str) -> Result<Option<StageNow>, CallError> {
        use sdk::StageExecutionStatus as S;
        Ok(self.stage(target, stage).await?.map(|found| StageNow {
            inside: found.latest_execution().map(|latest| Inside {
                aws_id: latest.pipeline_execution_id().to_owned(),
                is_running: matches!(latest.status(), S::InProgress | S::Stopping),
            }),
            waiting: inbound(&found).map(str::to_owned).collect(),
            transition: transition(&found),
        }))
    }

    /// The executions that succeeded in `stage`, newest first: what a rollback can go back to, and rollbacks.
    ///
    /// The 500 newest at most. AWS itself leaves out those of another version of the pipeline's structure.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    ///
    /// Source: `SucceededInStageFilter` of the API's model.
    pub async fn good_in(&self, target: &Target, stage: &str) -> Result<Vec<GoodRun>, CallError> {
        let client = self.clients.in_region(&target.region);
        let in_stage = sdk::SucceededInStageFilter::builder().stage_name(stage).build();
        let filter = sdk::PipelineExecutionFilter::builder().succeeded_in_stage(in_stage).build();
        let mut good = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let request = client.list_pipeline_executions().pipeline_name(&target.name).filter(filter.clone());
            let page = request.max_results(PAGE_EXECUTIONS).set_next_token(next).send().await?;
            good.extend(page.pipeline_execution_summaries().iter().filter_map(|summary| {
                Some(GoodRun {
                    aws_id: summary.pipeline_execution_id()?.to_owned(),
                    is_rollback: target_of(summary.execution_type(), summary.rollback_metadata()).is_some(),
                    started_at: time(summary.start_time()),
                })
            }));
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(good)
    }

    /// The version of the pipeline's structure that an execution was started in; `None` where AWS does not tell.
    ///
    /// # Errors
    /// [`CallError`] when AWS does not know the execution, or does not answer.
    pub async fn started_in(&self, target: &Target, aws_id: &str) -> Result<Option<i32>, CallError> {
        Ok(self.execution(target, aws_id).await?.pipeline_version())
    }

    /// The stage that a rollback runs through; `None` while AWS does not show it anywhere, or not to us.
    pub(super) async fn stage_of_rollback(&self, target: &Target, aws_id: &str) -> Result<Option<String>, CallError> {
        let client = self.clients.in_region(&target.region);
        let answer = allowed(client.get_pipeline_state().name(&target.name).send().await.map_err(CallError::from))?;
        let holds = |stage: &&sdk::StageState| {
            let latest = stage.latest_execution().map(sdk::StageExecution::pipeline_execution_id);
            latest == Some(aws_id) || inbound(stage).any(|waiting| waiting == aws_id)
        };
        let stages = answer.as_ref().map(|answer| answer.stage_states()).unwrap_or_default();
        if let Some(stage) = stages.iter().find(holds) {
            return Ok(stage.stage_name().map(str::to_owned));
        }
        // Another execution was in that stage since.
        let actions = allowed(self.actions(target, aws_id).await)?.unwrap_or_default();
        Ok(actions.iter().find_map(|action| action.stage_name()).map(str::to_owned))
    }
}

/// What AWS answers; `None` where it refuses to.
fn allowed<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(CallError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// AWS's id of the execution that a rollback goes back to: empty where AWS does not tell, `None` for what is no
/// rollback.
pub(super) fn target_of(
    kind: Option<&sdk::ExecutionType>,
    metadata: Option<&sdk::PipelineRollbackMetadata>,
) -> Option<String> {
    let target = metadata.and_then(|metadata| metadata.rollback_target_pipeline_execution_id()).map(str::to_owned);
    target.or_else(|| (kind == Some(&sdk::ExecutionType::Rollback)).then(String::new))
}

/// A mode that is not known here is taken for the default: what does not work in it AWS itself refuses.
#[allow(clippy::wildcard_enum_match_arm, reason = "the SDK's enum may grow")]
fn mode(mode: Option<&sdk::ExecutionMode>) -> Mode {
    match mode {
        Some(sdk::ExecutionMode::Parallel) => Mode::Parallel,
        Some(sdk::ExecutionMode::Queued) => Mode::Queued,
        _ => Mode::Superseded,
    }
}
