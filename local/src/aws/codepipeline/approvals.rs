//! Approvals: how they are asked for, and how they are answered, once.

use super::engine::{Effect, Turn};
use super::events;
use super::model::{ActionRun, Ends, Execution, Pipeline, Status, Verdict};
use crate::aws::{AnsweredApproval, Failure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// How long an approval waits where the action does not say. Source: CodePipeline user guide, "Approve or reject an
/// approval action": seven days.
const DEFAULT_MINUTES: u64 = 7 * 24 * 60;

/// An answer to an approval.
pub(super) struct Answer<'a> {
    pub(super) stage: &'a str,
    pub(super) action: &'a str,
    pub(super) token: &'a str,
    pub(super) approved: bool,
    pub(super) summary: &'a str,
    /// Who answers: an ARN.
    pub(super) by: &'a str,
}

/// Makes `run` wait for an answer, and tells the topic that the action names.
pub(super) fn ask(execution: &Execution, stage: &str, run: &mut ActionRun, turn: &Turn<'_>) -> Option<Effect> {
    let token = turn.aws.uuid();
    let minutes = run.action.timeout_minutes.unwrap_or(DEFAULT_MINUTES);
    let timeout = SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(i64::MAX / 60));
    let expires = turn.now.saturating_add(timeout).unwrap_or(Timestamp::MAX);
    run.ends = Ends::At(expires);
    // AWS documents that the action fails, and not with which code.
    let message = format!("The approval timed out: nobody answered within {minutes} minutes");
    run.verdict = Verdict::Fails { code: "ApprovalTimedOut".to_owned(), message };
    run.token = Some(token.clone());
    if execution.structure.mode == "PARALLEL" {
        // Where ListActionExecutions shows the token, in this mode alone.
        run.result.external_id = Some(token.clone());
    }
    let topic = run.resolved.get("NotificationArn")?.clone();
    let (pipeline, action) = (&execution.structure.pipeline, &run.name);
    let home = format!(
        "https://console.aws.amazon.com/codepipeline/home?region={}#/view/{pipeline}",
        execution.structure.region
    );
    let mut approval = json!({
        "pipelineName": pipeline,
        "stageName": stage,
        "actionName": action,
        "token": token,
        "expires": expires.strftime("%Y-%m-%dT%H:%MZ").to_string(),
        "externalEntityLink": run.resolved.get("ExternalEntityLink"),
        "approvalReviewLink": format!("{home}/{stage}/{action}/approve/{token}"),
        "customData": run.resolved.get("CustomData"),
    });
    if let Some(members) = approval.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let message = json!({ "region": execution.structure.region, "consoleLink": home, "approval": approval });
    // SNS bounds a subject at 100 characters.
    let subject = format!("APPROVAL NEEDED: AWS CodePipeline {pipeline} for action {action}");
    Some(Effect::Notify {
        key: run.id.clone(),
        topic,
        subject: subject.chars().take(100).collect(),
        message: message.to_string(),
    })
}

impl Pipeline {
    /// Answers the approval that `answer.token` belongs to.
    ///
    /// # Errors
    /// `StageNotFoundException`, `ActionNotFoundException`, `InvalidApprovalTokenException`,
    /// `ApprovalAlreadyCompletedException`.
    pub(super) fn answer(&mut self, turn: &mut Turn<'_>, answer: &Answer<'_>) -> Result<(), Failure> {
        let stage = self.stage_index(answer.stage)?;
        let actions = self.structure.stages.get(stage).map(|stage| stage.actions.as_slice()).unwrap_or_default();
        if !actions.iter().any(|action| action.name == answer.action && action.category == "Approval") {
            let message = format!("Stage {} has no approval action {}", answer.stage, answer.action);
            return Err(Failure::sender("ActionNotFoundException", message));
        }
        let asked = |execution: &Execution| {
            let runs = execution.inside().filter(|run| run.name == answer.stage);
            runs.into_iter().flat_map(|run| run.current()).any(|run| {
                run.name == answer.action && run.status == Status::InProgress && run.is_asked_by(answer.token)
            })
        };
        let id = self.running().find(|execution| asked(execution)).map(|execution| execution.id.clone());
        let Some(execution) = id.and_then(|id| self.execution_mut(&id)) else {
            return Err(self.no_longer_asked(turn, answer));
        };
        execution.take_answer(turn, answer);
        self.settle(turn);
        Ok(())
    }

    /// Why a token answers nothing: its approval was answered already, or it has expired, or never was.
    fn no_longer_asked(&self, turn: &Turn<'_>, answer: &Answer<'_>) -> Failure {
        let runs = self.executions.iter().flat_map(|execution| &execution.stages).flat_map(|stage| &stage.actions);
        let answered = runs.filter(|run| run.is_asked_by(answer.token)).any(|run| run.updated_by.is_some());
        match turn.aws.behaviour().answered_approval {
            AnsweredApproval::AlreadyCompleted if answered => Failure::sender(
                "ApprovalAlreadyCompletedException",
                "The approval action has already been approved or rejected.",
            ),
            AnsweredApproval::AlreadyCompleted | AnsweredApproval::InvalidToken => Failure::sender(
                "InvalidApprovalTokenException",
                "The approval request already received a response or has expired.",
            ),
        }
    }
}

impl Execution {
    fn take_answer(&mut self, turn: &mut Turn<'_>, answer: &Answer<'_>) {
        let Some(mut stage) = self.stages.pop() else { return };
        for run in stage.actions.iter_mut().filter(|run| run.is_asked_by(answer.token)) {
            run.status = if answer.approved { Status::Succeeded } else { Status::Failed };
            run.updated = turn.now;
            run.updated_by = Some(answer.by.to_owned());
            run.result.summary = Some(answer.summary.to_owned());
            turn.effects.push(events::of_action(self, &stage.name, run, run.status));
        }
        self.updated = turn.now;
        self.stages.push(stage);
    }
}
