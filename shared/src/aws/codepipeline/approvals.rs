//! CodePipeline's approvals: which are asked, by what token they are answered, and the answer, once.

use super::{CodePipeline, once, read_status, time};
use crate::aws::CallError;
use crate::domain::approval::{Asked, AskedStatus, Place};
use crate::domain::execution::Target;
use crate::domain::observed::State;
use aws_sdk_codepipeline::types as sdk;
use std::fmt;

/// The token that answers one approval. It is read when it is needed, and never kept, printed or sent elsewhere.
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// What one execution asks for, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// How the execution stands, in the words of its events.
    pub state: Option<State>,
    /// Its approval actions, those of every attempt.
    pub asked: Vec<Asked>,
}

impl CodePipeline {
    /// What an execution asks for. `None`: CodePipeline knows neither the pipeline nor the execution (any more).
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses for another reason, or does not answer.
    pub async fn asking(&self, target: &Target, aws_id: &str) -> Result<Option<Asking>, CallError> {
        const GONE: [&str; 2] = ["PipelineNotFoundException", "PipelineExecutionNotFoundException"];
        let known = async {
            let execution = self.execution(target, aws_id).await?;
            let actions = self.actions(target, aws_id).await?;
            Ok::<_, CallError>((execution.status().and_then(read_status), actions))
        };
        match known.await {
            Ok((state, actions)) => Ok(Some(Asking {
                state,
                asked: actions.iter().filter_map(|action| asked(target, aws_id, action)).collect(),
            })),
            Err(error) if GONE.iter().any(|code| error.is(code)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The token by which the approval at `place` is answered now; `None` where it is not asked any more.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    ///
    /// Source: in mode PARALLEL the token is the action's `externalExecutionId`, and GetPipelineState shows the last
    /// known state only, maybe another execution's.
    pub async fn token(&self, place: &Place) -> Result<Option<Token>, CallError> {
        let stage = self.stage(&place.target, &place.stage).await?;
        let actions = stage.iter().flat_map(sdk::StageState::action_states);
        let latest =
            actions.filter(|action| action.action_name() == Some(&place.action)).filter_map(|a| a.latest_execution());
        let its = latest.filter(|latest| latest.action_execution_id() == Some(&place.action_execution));
        if let Some(token) = its.filter_map(sdk::ActionExecution::token).next() {
            return Ok(Some(Token(token.to_owned())));
        }
        let execution = self.execution(&place.target, &place.aws_id).await?;
        if execution.execution_mode() != Some(&sdk::ExecutionMode::Parallel) {
            return Ok(None);
        }
        let actions = self.actions(&place.target, &place.aws_id).await?;
        let its = actions.iter().find(|action| {
            action.action_execution_id() == Some(&place.action_execution)
                && action.status() == Some(&sdk::ActionExecutionStatus::InProgress)
        });
        Ok(its.and_then(external_id).map(|token| Token(token.to_owned())))
    }

    /// The execution whose approval `token` answers: CodePipeline's notification names only the token.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn asked_by(
        &self,
        target: &Target,
        stage: &str,
        action: &str,
        token: &str,
    ) -> Result<Option<String>, CallError> {
        let client = self.clients.in_region(&target.region);
        if let Some(found) = self.stage(target, stage).await? {
            let is_it = |one: &&sdk::ActionState| {
                one.action_name() == Some(action)
                    && one.latest_execution().and_then(|latest| latest.token()) == Some(token)
            };
            if found.action_states().iter().any(|one| is_it(&one)) {
                return Ok(found.latest_execution().map(|latest| latest.pipeline_execution_id().to_owned()));
            }
        }
        let page = client.list_action_executions().pipeline_name(&target.name).send().await?;
        let is_it =
            |one: &&sdk::ActionExecutionDetail| one.action_name() == Some(action) && external_id(one) == Some(token);
        Ok(page
            .action_execution_details()
            .iter()
            .find(is_it)
            .and_then(|one| one.pipeline_execution_id())
            .map(str::to_owned))
    }

    /// Answers an approval. Once: whether a lost answer arrived is found out by [`CodePipeline::asking`].
    ///
    /// # Errors
    /// [`CallError`]: `InvalidApprovalTokenException` and `ApprovalAlreadyCompletedException` where somebody, or we
    /// ourselves, answered before.
    pub async fn answer(&self, place: &Place, token: Token, lets_in: bool, summary: &str) -> Result<(), CallError> {
        let client = self.clients.in_region(&place.target.region);
        let status = if lets_in { sdk::ApprovalStatus::Approved } else { sdk::ApprovalStatus::Rejected };
        let invalid = |error: aws_sdk_codepipeline::error::BuildError| CallError::Refused {
            code: "InvalidRequest".to_owned(),
            message: error.to_string(),
        };
        let result = sdk::ApprovalResult::builder().summary(summary).status(status).build().map_err(invalid)?;
        let request = client
            .put_approval_result()
            .pipeline_name(&place.target.name)
            .stage_name(&place.stage)
            .action_name(&place.action)
            .result(result)
            .token(token.0);
        request.customize().config_override(once()).send().await?;
        Ok(())
    }

    /// The executions that wait to enter `stage`, the one that came first first.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn waiting_for(&self, target: &Target, stage: &str) -> Result<Vec<String>, CallError> {
        let stage = self.stage(target, stage).await?;
        Ok(stage.iter().flat_map(inbound).map(str::to_owned).collect())
    }
}

/// The executions that wait to enter a stage, the one that came first first.
pub(super) fn inbound(stage: &sdk::StageState) -> impl Iterator<Item = &str> {
    let several = stage.inbound_executions();
    // Pipelines of type V1 tell only of one.
    let only = stage.inbound_execution().filter(|_| several.is_empty());
    several.iter().chain(only).map(sdk::StageExecution::pipeline_execution_id)
}

fn external_id(action: &sdk::ActionExecutionDetail) -> Option<&str> {
    action.output().and_then(|output| output.execution_result()).and_then(|result| result.external_execution_id())
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the SDK's enum may grow")]
fn asked(target: &Target, aws_id: &str, action: &sdk::ActionExecutionDetail) -> Option<Asked> {
    use sdk::ActionExecutionStatus as S;
    let kind = action.input().and_then(|input| input.action_type_id())?;
    if *kind.category() != sdk::ActionCategory::Approval {
        return None;
    }
    let status = match action.status()? {
        S::InProgress => AskedStatus::InProgress,
        S::Succeeded => AskedStatus::Succeeded,
        S::Failed => AskedStatus::Failed,
        S::Abandoned => AskedStatus::Abandoned,
        _ => return None,
    };
    let result = action.output().and_then(|output| output.execution_result());
    Some(Asked {
        place: Place {
            target: target.clone(),
            aws_id: aws_id.to_owned(),
            stage: action.stage_name()?.to_owned(),
            action: action.action_name()?.to_owned(),
            action_execution: action.action_execution_id()?.to_owned(),
        },
        status,
        updated_by: action.updated_by().map(str::to_owned),
        summary: result.and_then(|result| result.external_execution_summary()).map(str::to_owned),
        started_at: time(action.start_time()),
    })
}
