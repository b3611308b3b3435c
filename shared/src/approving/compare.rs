//! Holds the approvals of one execution against what CodePipeline asks: opens what is new, ends what is over.

use super::{load, open, save, tell};
use crate::aws::codepipeline::Asking;
use crate::domain::approval::{
    Approval, ApprovalId, Asked, AskedStatus, Decision, End, Over, Settled, State, Told, settle,
};
use crate::domain::execution::{ExecutionId, Target};
use crate::domain::observed::{Mark, Report, State as Reported};
use crate::recording;
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;
use serde_json::json;

/// Brings the approvals of AWS's execution `aws_id` up to what CodePipeline asks, and names those that are open now.
///
/// `base_url` is where the links of a new one begin.
///
/// # Errors
/// [`RunError::Unowned`] while nobody knows whose execution it is; else what AWS or the ledger failed with. Another try
/// goes on from there.
pub async fn compare(
    engine: &Engine,
    base_url: &str,
    target: &Target,
    aws_id: &str,
    now: Timestamp,
) -> Result<Vec<ApprovalId>, RunError> {
    let asking = engine.targets.pipelines().asking(target, aws_id).await?;
    let Some(execution) = owner(engine, target, aws_id, asking.as_ref(), now).await? else { return Ok(Vec::new()) };
    let over = why_over(asking.as_ref());
    let is_stopping = asking.as_ref().is_some_and(|asking| asking.state == Some(Reported::Stopping));
    let asked = asking.map(|asking| asking.asked).unwrap_or_default();
    for one in asked.iter().filter(|one| one.status == AskedStatus::InProgress && over.is_none()) {
        if engine.ledger.approval(&ApprovalId::of(&one.place)).await?.is_none() {
            open::open(engine, base_url, &execution, &one.place, now).await?;
        }
    }
    let mut open = Vec::new();
    for known in engine.ledger.approvals_of(&execution).await?.iter().filter(|known| known.is_unsettled()) {
        let its = asked.iter().find(|one| one.place == known.place);
        let after = bring_up(engine, &known.id, its, over, is_stopping, now).await?;
        match after.state {
            State::Open => open.push(after.id),
            State::Decided { told: Told::Pending { .. }, .. } => tell(engine, &after.id, now).await?,
            State::Decided { .. } | State::Ended { .. } | State::LeftToConsole { .. } => {}
        }
    }
    Ok(open)
}

/// Our execution. `None`: nothing is asked and nothing is known, so there is nothing to compare.
async fn owner(
    engine: &Engine,
    target: &Target,
    aws_id: &str,
    asking: Option<&Asking>,
    now: Timestamp,
) -> Result<Option<ExecutionId>, RunError> {
    let run = engine.ledger.run(target, aws_id, now).await?.value;
    if run.execution.is_some() {
        return Ok(run.execution);
    }
    let Some(first) = asking.and_then(|asking| asking.asked.first()) else { return Ok(None) };
    // The event of its start may still be on its way: what asks runs.
    let report = Report::Action {
        stage: first.place.stage.clone(),
        action: first.place.action.clone(),
        category: "Approval".to_owned(),
        mark: Mark { attempt: 1, at: first.started_at, state: Reported::Started },
        link: None,
    };
    let owner = recording::take_in(engine, target, aws_id, &report, now).await?;
    owner.map(Some).ok_or_else(|| RunError::Unowned { aws_id: aws_id.to_owned() })
}

pub(super) fn why_over(asking: Option<&Asking>) -> Option<Over> {
    let Some(asking) = asking else { return Some(Over::Unknown) };
    match asking.state? {
        Reported::Started | Reported::Resumed | Reported::Stopping => None,
        Reported::Canceled => Some(Over::Cancelled),
        Reported::Stopped | Reported::Abandoned => Some(Over::Stopped),
        Reported::Superseded => Some(Over::Superseded),
        Reported::Failed => Some(Over::Failed),
        Reported::Succeeded => Some(Over::Succeeded),
    }
}

/// One approval, brought up to what CodePipeline says of it.
async fn bring_up(
    engine: &Engine,
    id: &ApprovalId,
    asked: Option<&Asked>,
    over: Option<Over>,
    is_stopping: bool,
    now: Timestamp,
) -> Result<Approval, RunError> {
    in_turns(|| async {
        let mut loaded = load(engine, id).await?;
        let approval = &mut loaded.value;
        let (what, detail) = match settle(approval, asked, over, is_stopping) {
            Settled::AsItWas => return Ok(loaded.value),
            Settled::Ended(end) => {
                approval.end(end.clone(), now);
                ("approval ended", json!({ "approval": id, "end": end }))
            }
            Settled::Told(told) => {
                approval.set_told(told.clone(), now);
                (tell::words(&told), json!({ "approval": id, "told": told }))
            }
            Settled::Decided(decision) => {
                approval.decide(decision.clone(), now);
                ("approval decided", json!({ "approval": id, "decision": decision }))
            }
        };
        log(&loaded.value);
        save(engine, &loaded, what, detail, now).await?;
        Ok(loaded.value)
    })
    .await
}

fn log(approval: &Approval) {
    let (id, status) = (&approval.id, approval.status());
    match &approval.state {
        State::Decided { told: Told::Overruled { approved, .. }, decision, .. } if *approved != decision.lets_in() => {
            tracing::error!(approval = %id, status, "CodePipeline was answered otherwise before us");
        }
        State::Ended { end: End::AnsweredElsewhere { approved: true, .. }, .. } if approval.policy.is_some() => {
            tracing::error!(approval = %id, status, "let in beside Pointsman, past its policy");
        }
        State::Ended { end: End::AnsweredElsewhere { .. }, .. } => {
            tracing::warn!(approval = %id, status, "answered beside Pointsman");
        }
        State::Decided { decision: Decision::Withdrawn, .. } => {
            tracing::info!(approval = %id, status, "the execution is being stopped");
        }
        State::Open | State::Decided { .. } | State::Ended { .. } | State::LeftToConsole { .. } => {
            tracing::info!(approval = %id, status, "approval compared");
        }
    }
}
