//! Tells CodePipeline what was decided. Its token is read just before, and never kept.

use super::compare::why_over;
use super::{load, save};
use crate::aws::CallError;
use crate::domain::approval::{ApprovalId, Asked, Settled, State, Told, settle};
use crate::ledger::Writes;
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;
use serde_json::json;

/// What CodePipeline says where the approval has its answer, or its time ran out.
const ANSWERED: [&str; 2] = ["InvalidApprovalTokenException", "ApprovalAlreadyCompletedException"];

/// Tells CodePipeline, if it was not told yet. What goes wrong is written down, and `sweep` tells it again.
///
/// # Errors
/// What the ledger failed with.
pub async fn tell(engine: &Engine, id: &ApprovalId, now: Timestamp) -> Result<(), RunError> {
    let approval = load(engine, id).await?.value;
    let (State::Decided { decision, told: Told::Pending { .. }, .. }, Some(summary)) =
        (&approval.state, approval.summary())
    else {
        return Ok(());
    };
    let pipelines = engine.targets.pipelines();
    let told = match pipelines.token(&approval.place).await {
        Ok(Some(token)) => match pipelines.answer(&approval.place, token, decision.lets_in(), &summary).await {
            Ok(()) => Told::Done { at: now },
            Err(error) if ANSWERED.iter().any(|code| error.is(code)) => found_out(engine, id).await,
            Err(error) => pending(&error),
        },
        Ok(None) => found_out(engine, id).await,
        // The pipeline may be gone.
        Err(CallError::Refused { .. }) => found_out(engine, id).await,
        Err(error) => pending(&error),
    };
    in_turns(|| async {
        let mut loaded = load(engine, id).await?;
        let before = loaded.value.state.clone();
        let State::Decided { told: Told::Pending { .. }, .. } = before else { return Ok(()) };
        loaded.value.set_told(told.clone(), now);
        if loaded.value.state == before {
            // Nothing new to say: only when to try again.
            return Ok(engine.ledger.save(Writes::new().approval(&loaded)).await?);
        }
        save(engine, &loaded, words(&told), json!({ "approval": id, "told": told }), now).await
    })
    .await?;
    match &told {
        Told::Pending { trouble } => {
            tracing::warn!(approval = %id, why = trouble.as_deref(), "codepipeline was not told")
        }
        Told::Overruled { approved, .. } if *approved != decision.lets_in() => {
            tracing::error!(approval = %id, "codepipeline was answered otherwise before us");
        }
        Told::Done { .. } | Told::Overruled { .. } | Told::Gone { .. } => {
            tracing::info!(approval = %id, status = approval.status(), what = words(&told), "decision told");
        }
    }
    Ok(())
}

/// What became of the approval, where there is no token for it: answered by us or by somebody else, or gone.
async fn found_out(engine: &Engine, id: &ApprovalId) -> Told {
    let Ok(Some(loaded)) = engine.ledger.approval(id).await else { return Told::Pending { trouble: None } };
    let approval = loaded.value;
    let asking = match engine.targets.pipelines().asking(&approval.place.target, &approval.place.aws_id).await {
        Ok(asking) => asking,
        Err(error) => return pending(&error),
    };
    let asked: Option<&Asked> = asking.iter().flat_map(|asking| &asking.asked).find(|one| one.place == approval.place);
    match settle(&approval, asked, why_over(asking.as_ref()), false) {
        Settled::Told(told) => told,
        Settled::AsItWas | Settled::Ended(_) | Settled::Decided(_) => {
            Told::Pending { trouble: Some("CodePipeline asks, and shows no token for the answer".to_owned()) }
        }
    }
}

/// AWS's code alone: its sentences may repeat what it was sent.
fn pending(error: &CallError) -> Told {
    let trouble = match error {
        CallError::Refused { code, .. } | CallError::Throttled { code, .. } => code.clone(),
        CallError::Lost(_) => "no answer".to_owned(),
    };
    Told::Pending { trouble: Some(trouble) }
}

/// The audit log's words for it.
pub(super) fn words(told: &Told) -> &'static str {
    match told {
        Told::Pending { .. } => "approval not answered yet",
        Told::Done { .. } => "approval answered",
        Told::Overruled { .. } => "approval answered by somebody else",
        Told::Gone { .. } => "approval not answered: nobody asks any more",
    }
}
