//! Takes a rollback as far as it goes now: reads how things stand, decides, saves, performs, and again.

use super::save::{load, save};
use super::step::{accepted, take};
use super::world::facts;
use super::{Hands, conclude, finish, hold};
use crate::approving::bar;
use crate::aws::CallError;
use crate::config::Deploy;
use crate::domain::hold::Wanted;
use crate::domain::incident::{Decision, Incident, Status};
use crate::domain::rollback::{LOOK_AGAIN_AFTER, Move, Phase, Rollback, RollbackId, Step, next};
use crate::ledger::{LedgerError, Loaded, Writes};
use crate::run::{Engine, RunError};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// How long it is tried to close the ways before it goes on without.
const CLOSED_WITHIN: SignedDuration = SignedDuration::from_mins(2);
/// How many of an environment's latest incidents are looked at for those that joined a rollback. An older one is ended by
/// `sweep`.
const INCIDENTS_MAX: usize = 20;
/// How many moves one call makes at most; what is left is made by the next event, or by `sweep`.
const MOVES_MAX: usize = 12;

/// Takes a rollback as far as it goes now.
///
/// # Errors
/// What AWS or the ledger failed with: it stays due, and goes on from where it is.
pub async fn advance(engine: &Engine, hands: &Hands, id: &RollbackId) -> Result<(), RunError> {
    for _ in 0..MOVES_MAX {
        match one_move(engine, hands, id).await {
            Ok(After::Go) | Err(RunError::Ledger(LedgerError::Conflict)) => {}
            Ok(After::Stop) => return Ok(()),
            Ok(After::Over) => {
                let (rollback, now) = (load(engine, id).await?.value, hands.now());
                let concluded = conclude_all(engine, &rollback, now).await;
                if let (Some(sha), Phase::Done { .. }) = (&rollback.from.sha, &rollback.phase) {
                    let barred = bar(engine, &rollback.environment, sha, rollback.incident.as_str(), now).await;
                    return concluded.and(barred);
                }
                return concluded;
            }
            Err(error) => return Err(error),
        }
    }
    tracing::warn!(rollback = %id, "there is more to do; the next event or `sweep` goes on");
    Ok(())
}

/// Ends the incident of a rollback, and those that joined it.
async fn conclude_all(engine: &Engine, rollback: &Rollback, now: Timestamp) -> Result<(), RunError> {
    let mut outcome = conclude(engine, &rollback.incident, now).await;
    let latest = engine.ledger.latest_incidents(Some(&rollback.environment), now, INCIDENTS_MAX).await?;
    let has_joined = |incident: &&Incident| {
        incident.id != rollback.incident
            && incident.status == Status::RollingBack
            && incident.rollbacks.contains(&rollback.id)
    };
    for incident in latest.iter().filter(has_joined) {
        outcome = outcome.and(conclude(engine, &incident.id, now).await);
    }
    outcome
}

/// Whether there may be another move at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// There may.
    Go,
    /// Not now.
    Stop,
    /// It has ended.
    Over,
}

async fn one_move(engine: &Engine, hands: &Hands, id: &RollbackId) -> Result<After, RunError> {
    let mut loaded = load(engine, id).await?;
    let now = hands.now();
    if loaded.value.phase == Phase::Claimed {
        // Saved with what comes of it: until then it is closed once more, which is harmless.
        close_the_ways(engine, &loaded.value, now).await?;
        loaded.value.turn_to(Phase::Choosing, now);
    }
    let rollback = loaded.value.clone();
    if rollback.phase.is_over() {
        return Ok(After::Over);
    }
    let facts = facts(engine, hands, &rollback, now).await?;
    let now = hands.now();
    match next(&rollback, &facts, now) {
        Move::Nothing | Move::Hold => Ok(After::Stop),
        Move::Take(step) => take(engine, hands, loaded, step, &facts, now).await,
        // Its own execution is let in, and the way closed behind it, while it is waited for.
        Move::Wait | Move::LetIn(_) => wait(engine, hands, loaded, &facts, now).await,
        Move::Follow(step, work) => {
            let writes = accepted(engine, &mut loaded.value, Writes::new(), now).await?;
            loaded.value.turn_to(Phase::Going { step, work: work.clone(), since: now }, now);
            let detail = json!({ "step": step, "work": work });
            save(engine, writes, &loaded, "rollback step accepted", detail, now).await?;
            Ok(After::Go)
        }
        Move::Fall(step, why) => {
            loaded.value.fall(step, why.clone(), now);
            let detail = json!({ "step": step, "why": why });
            save(engine, Writes::new(), &loaded, "rollback step cannot", detail, now).await?;
            Ok(After::Go)
        }
        Move::Finish(step, proof) => finish::done(engine, loaded, step, proof, now).await,
        Move::Cancel(why) => {
            loaded.value.turn_to(Phase::Cancelled { when: now, why: why.clone() }, now);
            save(engine, Writes::new(), &loaded, "rollback cancelled", json!({ "why": why }), now).await?;
            Ok(After::Over)
        }
        Move::Person(why) => {
            loaded.value.turn_to(Phase::Person { when: now, why: why.clone() }, now);
            save(engine, Writes::new(), &loaded, "rollback needs a person", json!({ "why": why }), now).await?;
            Ok(After::Over)
        }
    }
}

/// Closes the ways first: a stage that is stopped would let the next execution in.
async fn close_the_ways(engine: &Engine, rollback: &Rollback, now: Timestamp) -> Result<(), RunError> {
    match hold::hold(engine, &wanted(engine, rollback).await?, now).await {
        Ok(_) => Ok(()),
        Err(error) if may_go_on(engine, rollback, &error, now).await? => {
            tracing::warn!(rollback = %rollback.id, %error, "not every way could be closed");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether it goes on though closing the ways failed: its own one is closed, or cannot be, or does not get closed in time.
/// A version that stays bad is worse than a way that stands open.
async fn may_go_on(engine: &Engine, rollback: &Rollback, error: &RunError, now: Timestamp) -> Result<bool, RunError> {
    if matches!(error, RunError::Aws(CallError::Refused { .. })) {
        return Ok(true);
    }
    if matches!(error, RunError::Ledger(_)) {
        return Ok(false);
    }
    let held = engine.ledger.hold(&rollback.environment).await?;
    let way = held.as_ref().and_then(|held| held.value.way(&rollback.target(), &rollback.deploy.stage));
    Ok(way.is_some_and(|way| way.is_closed) || now.duration_since(rollback.claimed_at) >= CLOSED_WITHIN)
}

/// Into the stages of every region that the incident is about, those that the bad version never reached among them.
async fn wanted(engine: &Engine, rollback: &Rollback) -> Result<Wanted, RunError> {
    let (incident, config) = tokio::join!(
        engine.ledger.incident(&rollback.incident),
        engine.ledger.environment_config(&rollback.environment),
    );
    let incident = incident?.map(|loaded| loaded.value);
    let regions = match incident.map(|incident| incident.decision) {
        Some(Decision::RollBack { regions, .. }) => regions,
        Some(Decision::Wait | Decision::Notify | Decision::Block | Decision::Person) | None => Vec::new(),
    };
    let deploys = config?.map(|(_, config)| config.environment.deploys).unwrap_or_default();
    let is_asked = |deploy: &&Deploy| regions.contains(&deploy.region) && deploy.region != rollback.region;
    let all = std::iter::once(&rollback.deploy).chain(deploys.iter().filter(is_asked));
    Ok(Wanted {
        environment: rollback.environment.clone(),
        by: rollback.by.clone(),
        reason: finish::why_held(rollback),
        incident: Some(rollback.incident.to_string()),
        ways: all.map(|deploy| (deploy.region.clone(), deploy.target(), deploy.stage.clone())).collect(),
    })
}

/// Waits for AWS. A request that nobody knows the fate of, and that is harmless to repeat, is made again.
async fn wait(
    engine: &Engine,
    hands: &Hands,
    mut loaded: Loaded<Rollback>,
    facts: &crate::domain::rollback::Facts,
    now: Timestamp,
) -> Result<After, RunError> {
    let rollback = &mut loaded.value;
    if let Phase::Asked { step: step @ (Step::Stop | Step::Deploy), since } = rollback.phase
        && now.duration_since(since) >= LOOK_AGAIN_AFTER
    {
        return take(engine, hands, loaded, step, facts, now).await;
    }
    // An execution of ours may have come through the way that was opened for it.
    if matches!(rollback.phase, Phase::Going { step: Step::RollbackStage | Step::Start, .. }) {
        hold::tend(engine, &rollback.environment, now).await?;
    }
    if let (Some(sha), Some(_)) = (&rollback.from.sha, rollback.accepted_at) {
        bar(engine, &rollback.environment, sha, rollback.incident.as_str(), now).await?;
    }
    if rollback.due_at.is_none_or(|due| due <= now) {
        rollback.due_at = Some(now + LOOK_AGAIN_AFTER);
        engine.ledger.save(Writes::new().rollback(&loaded)).await?;
    }
    Ok(After::Stop)
}
