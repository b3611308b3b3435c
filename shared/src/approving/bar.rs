//! Rejects what would bring a version on that was turned back.

use super::{load, save, tell};
use crate::domain::approval::{Approval, ApprovalId, Decision, State};
use crate::domain::change::Sha;
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;
use serde_json::json;

/// How many of an environment's latest approvals are looked at. An older one is kept out by the quarantine alone.
const LOOKED_AT_MAX: usize = 50;

/// Rejects the open approvals of a commit in an environment where it was turned back, and tells CodePipeline.
///
/// # Errors
/// What the ledger failed with. A repeat rejects what is still open.
pub async fn bar(
    engine: &Engine,
    environment: &str,
    sha: &Sha,
    incident: &str,
    now: Timestamp,
) -> Result<(), RunError> {
    let latest = engine.ledger.latest_approvals(Some(environment), now, LOOKED_AT_MAX).await?;
    let is_its = |approval: &&Approval| approval.state == State::Open && approval.subject.sha.as_ref() == Some(sha);
    for approval in latest.iter().filter(is_its) {
        if reject(engine, &approval.id, incident, now).await? {
            tell(engine, &approval.id, now).await?;
        }
    }
    Ok(())
}

async fn reject(engine: &Engine, id: &ApprovalId, incident: &str, now: Timestamp) -> Result<bool, RunError> {
    in_turns(|| async {
        let mut loaded = load(engine, id).await?;
        if loaded.value.state != State::Open {
            return Ok(false);
        }
        let decision = Decision::TurnedBack { incident: incident.to_owned() };
        loaded.value.decide(decision.clone(), now);
        let detail = json!({ "approval": id, "decision": decision });
        save(engine, &loaded, "approval decided", detail, now).await?;
        Ok(true)
    })
    .await
}
