//! Takes a vote: judged as things stand now, saved with its entry in the audit log, and CodePipeline told.

use super::situation::{Situation, situation};
use super::{load, save, save_as, tell};
use crate::domain::approval::{
    Approval, ApprovalId, Ballot, Choice, Decision, Person, Refused, State, Via, Vote, vote,
};
use crate::ledger::{LetIn, Writes};
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;
use serde_json::json;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// What became of a vote.
#[derive(Debug)]
pub struct Cast {
    /// The approval as it is now.
    pub approval: Approval,
    /// What it was judged by.
    pub situation: Situation,
    /// Why it was not taken; `None`: it was.
    pub refused: Option<Refused>,
}

/// Takes a vote, or says why not. Where it decides, CodePipeline is told at once; where that fails, `sweep` does.
///
/// # Errors
/// What the ledger failed with, or AWS where it had to be asked.
pub async fn cast(
    engine: &Engine,
    id: &ApprovalId,
    person: &Person,
    ballot: &Ballot,
    now: Timestamp,
) -> Result<Cast, RunError> {
    expire(engine, id, now).await?;
    let has_tried = AtomicBool::new(false);
    let mut cast = in_turns(|| async {
        let mut loaded = load(engine, id).await?;
        let situation = situation(engine, &loaded.value, now).await?;
        let after = match vote(&loaded.value, person, ballot, &situation.standing, now) {
            Ok(after) => after,
            // Our own save had its effect and lost its answer: this very vote is there.
            Err(Refused::Over) if has_tried.load(Relaxed) && holds(&loaded.value, person, ballot, now) => {
                return Ok(Cast { approval: loaded.value, situation, refused: None });
            }
            Err(refused) => return Ok(Cast { approval: loaded.value, situation, refused: Some(refused) }),
        };
        loaded.value = after;
        // Who may vote is what the configuration says: nobody is counted by one that has just been replaced.
        let mut more = Writes::new().while_configuration_stands(situation.configuration);
        if let Some((environment, sha, how)) = let_in(&loaded.value) {
            more = more.let_in(environment, sha, &how);
        }
        let what = if loaded.value.state == State::Open { "approval voted" } else { "approval decided" };
        let detail = json!({
            "approval": id, "by": person.key, "via": person.via, "choice": ballot.choice, "comment": ballot.comment,
            "override": loaded.value.overridden, "state": loaded.value.state, "judged_by": situation.evidence(),
        });
        let by = match &person.via {
            Via::Link => person.key.clone(),
            Via::Terminal { arn } => arn.clone(),
        };
        has_tried.store(true, Relaxed);
        save_as(engine, &by, &loaded, more, what, detail, now).await?;
        Ok(Cast { approval: loaded.value, situation, refused: None })
    })
    .await?;
    let taken = cast.refused.is_none();
    tracing::info!(approval = %id, status = cast.approval.status(), taken, approves = ballot.choice == Choice::Approve, "vote judged");
    if taken && cast.approval.state != State::Open {
        if let Err(error) = tell(engine, id, now).await {
            tracing::warn!(approval = %id, %error, "codepipeline will be told later");
        }
        // The vote counts, whether or not this can be read: then it is told as it was saved.
        if let Ok(after) = load(engine, id).await {
            cast.approval = after.value;
        }
    }
    Ok(cast)
}

/// Whether an approval has this very vote.
fn holds(approval: &Approval, person: &Person, ballot: &Ballot, now: Timestamp) -> bool {
    let is_it = |vote: &Vote| {
        vote.by == person.key && vote.choice == ballot.choice && vote.comment == ballot.comment && vote.at == now
    };
    approval.votes.iter().any(is_it)
}

fn let_in(approval: &Approval) -> Option<(&str, &crate::domain::change::Sha, LetIn)> {
    let State::Decided { decision: Decision::Approved { by }, at, .. } = &approval.state else { return None };
    let how = LetIn { approval: approval.id.clone(), at: *at, by: by.clone() };
    Some((approval.environment.as_deref()?, approval.subject.sha.as_ref()?, how))
}

/// Ends an approval whose time has run out by our clock, and tells CodePipeline. Says whether it did.
///
/// # Errors
/// What the ledger failed with.
pub async fn expire(engine: &Engine, id: &ApprovalId, now: Timestamp) -> Result<bool, RunError> {
    let did = in_turns(|| async {
        let mut loaded = load(engine, id).await?;
        if loaded.value.state != State::Open || !loaded.value.is_expired(now) {
            return Ok(false);
        }
        loaded.value.decide(Decision::Expired, now);
        let detail = json!({ "approval": id, "state": loaded.value.state, "votes": loaded.value.votes.len() });
        save(engine, &loaded, "approval decided", detail, now).await?;
        Ok(true)
    })
    .await?;
    if did && let Err(error) = tell(engine, id, now).await {
        tracing::warn!(approval = %id, %error, "codepipeline will be told later");
    }
    Ok(did)
}
