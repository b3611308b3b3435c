//! The end of a rollback, and of the incident that it answers.

use super::advance::After;
use super::hold;
use super::save::save;
use super::step::quarantined;
use crate::domain::environment::{EnvironmentState, Version};
use crate::domain::execution::{Execution, ExecutionId, Kind, Origin, Start, Status as ExecutionStatus};
use crate::domain::incident::{Incident, IncidentId, Status};
use crate::domain::rollback::{LOOK_AGAIN_AFTER, Phase, Proof, Rollback, Step, Worker};
use crate::ledger::{Loaded, Writes};
use crate::run::{Engine, RunError, in_turns};
use crate::telling::save_incident;
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;

/// Saves that a version is back, with what follows for the environment's record.
pub(super) async fn done(
    engine: &Engine,
    mut loaded: Loaded<Rollback>,
    step: Option<Step>,
    proof: Proof,
    now: Timestamp,
) -> Result<After, RunError> {
    let rollback = &mut loaded.value;
    let worker = match &rollback.phase {
        Phase::Going { work, .. } => Some(work.clone()),
        Phase::Claimed
        | Phase::Choosing
        | Phase::Asked { .. }
        | Phase::Done { .. }
        | Phase::Cancelled { .. }
        | Phase::Person { .. } => None,
    };
    let states = engine.ledger.environment_states(&rollback.environment, [rollback.region.as_str()]).await?;
    let mut writes = Writes::new();
    for mut state in states {
        writes = landed(engine, writes, &mut state.value, rollback, worker.as_ref(), now).await?;
        mark(&mut state.value, rollback);
        writes = writes.environment_state(&state);
    }
    let writes = quarantined(engine, rollback, writes, now).await?;
    rollback.turn_to(Phase::Done { when: now, step, proof: proof.clone() }, now);
    let detail = json!({ "step": step, "proof": proof, "to": rollback.to.sha });
    save(engine, writes, &loaded, "rolled back", detail, now).await?;
    Ok(After::Over)
}

/// The versions that were turned back are marked: none of them is gone back to again.
fn mark(state: &mut EnvironmentState, rollback: &Rollback) {
    let from = &rollback.from;
    for version in &mut state.versions {
        let is_it = version.execution == from.execution || (version.sha.is_some() && version.sha == from.sha);
        version.was_turned_back |= is_it;
    }
}

/// What was brought back past the pipeline has no run that would land: it lands here, as an execution of its own.
async fn landed(
    engine: &Engine,
    writes: Writes,
    state: &mut EnvironmentState,
    rollback: &Rollback,
    worker: Option<&Worker>,
    now: Timestamp,
) -> Result<Writes, RunError> {
    let deployment = match worker {
        Some(Worker::Execution { .. }) => return Ok(writes),
        Some(Worker::Ecs { deployment } | Worker::CodeDeploy { deployment }) if !deployment.is_empty() => {
            deployment.clone()
        }
        Some(Worker::Ecs { .. } | Worker::CodeDeploy { .. } | Worker::StoppedExecution { .. }) | None => {
            rollback.id.to_string()
        }
    };
    // What was stopped on its way in never landed: then the version is live already.
    if state.live_of(&rollback.deploy.pipeline).is_some_and(|live| live.sha == rollback.to.sha) {
        return Ok(writes);
    }
    let id = rollback.execution_of(Step::Deploy);
    let Some(good) = engine.ledger.execution(&rollback.to.execution).await?.map(|loaded| loaded.value) else {
        return Ok(writes);
    };
    state.deployed(Version {
        sha: rollback.to.sha.clone(),
        execution: id.clone(),
        aws_id: deployment.clone(),
        images: good.images.clone(),
        at: now,
        pipeline: Some(rollback.deploy.pipeline.clone()),
        began: rollback.accepted_at,
        goes_back_to: Some(rollback.to.aws_id.clone()),
        blamed_at: None,
        was_turned_back: false,
    });
    let execution = Execution {
        id,
        kind: Kind::Rollback,
        origin: Origin::Rollback { rollback: rollback.id.clone() },
        actor: Some(rollback.by.clone()),
        is_by_hand: false,
        environment: Some(rollback.environment.clone()),
        fence: None,
        note: Some(format!("turned {} back past the pipeline, for {}", rollback.from.digits(), rollback.incident)),
        start: Start::Started { aws_id: deployment },
        status: ExecutionStatus::Succeeded,
        created_at: rollback.accepted_at.unwrap_or(now),
        wanted_since: rollback.accepted_at.unwrap_or(now),
        updated_at: now,
        due_at: None,
        ..good
    };
    Ok(writes.execution(&Loaded::absent(execution)))
}

/// Ends an incident once all of its rollbacks have ended, and writes into the executions that were turned back that they
/// were.
///
/// # Errors
/// What the ledger failed with: the incident stays due.
pub async fn conclude(engine: &Engine, id: &IncidentId, now: Timestamp) -> Result<(), RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.incident(id).await? else { return Ok(()) };
        let before = loaded.value.clone();
        if before.status != Status::RollingBack || before.rollbacks.is_empty() {
            return Ok(());
        }
        let rollbacks = engine.ledger.rollbacks(&before.rollbacks).await?;
        if rollbacks.iter().any(|rollback| !rollback.phase.is_over()) {
            if before.due_at.is_none_or(|due| due <= now) {
                loaded.value.due_at = Some(now + LOOK_AGAIN_AFTER);
                engine.ledger.save(Writes::new().incident(&loaded)).await?;
            }
            return Ok(());
        }
        stop_starts(engine, &rollbacks).await;
        let (status, reason) = outcome(&before, &rollbacks);
        if status == Status::Cancelled {
            let_go(engine, &before, &rollbacks, now).await?;
        }
        let mut writes = Writes::new();
        for execution in turned_back(&rollbacks) {
            if let Some(mut found) = engine.ledger.execution(&execution).await? {
                found.value.status = ExecutionStatus::RolledBack;
                found.value.updated_at = now;
                found.value.due_at = None;
                writes = writes.execution(&found);
            }
        }
        loaded.value.turn_to(status, before.decision.clone(), reason, now);
        let detail = json!({ "status": status.as_str(), "reason": loaded.value.reason });
        save_incident(engine, writes, Some(&before), &loaded, &rollbacks, "incident concluded", detail, now).await
    })
    .await
}

/// Stops what a step started and nobody waits for any more: it would go on into stages that were not asked for, or come
/// through the hold with a version that a person has replaced. Where that fails the hold keeps it out.
async fn stop_starts(engine: &Engine, rollbacks: &[Rollback]) {
    for rollback in rollbacks {
        let id = rollback.execution_of(Step::Start);
        let Ok(Some(execution)) = engine.ledger.execution(&id).await else { continue };
        let (false, Some(aws_id)) = (execution.value.status.is_over(), execution.value.start.aws_id()) else {
            continue;
        };
        let reason = format!("Pointsman {}: nothing waits for it any more", rollback.incident);
        if let Err(error) = engine.targets.stop(&rollback.target(), aws_id, &reason, true).await {
            tracing::warn!(execution = %id, %error, "what a rollback started could not be stopped");
        }
    }
}

/// Releases what rollbacks held that turned nothing back. A hold that stood there before them is left as it is.
async fn let_go(engine: &Engine, incident: &Incident, rollbacks: &[Rollback], now: Timestamp) -> Result<(), RunError> {
    let Some(environment) = incident.environment.as_deref() else { return Ok(()) };
    let Some(held) = engine.ledger.hold(environment).await? else { return Ok(()) };
    let is_theirs = held.value.incident.as_deref() == Some(incident.id.as_str())
        && rollbacks.iter().any(|rollback| held.value.reason == why_held(rollback));
    if is_theirs {
        let released = hold::release(engine, environment, &engine.actor, "nothing was turned back", None, now).await?;
        tracing::info!(environment, ?released, "the hold of a cancelled rollback is released");
    }
    Ok(())
}

/// The reason of the hold that a rollback wants.
pub(super) fn why_held(rollback: &Rollback) -> String {
    format!("{} is turned back", rollback.from.digits())
}

/// The executions of which every rollback ended well.
fn turned_back(rollbacks: &[Rollback]) -> BTreeSet<ExecutionId> {
    let is_done = |rollback: &&Rollback| matches!(rollback.phase, Phase::Done { .. });
    let not: BTreeSet<&ExecutionId> =
        rollbacks.iter().filter(|rollback| !is_done(rollback)).map(|rollback| &rollback.from.execution).collect();
    let done = rollbacks.iter().filter(is_done).map(|rollback| &rollback.from.execution);
    done.filter(|execution| !not.contains(execution)).cloned().collect()
}

/// How an incident ends whose rollbacks ended so: a person is needed where one of them needs one.
fn outcome(incident: &Incident, rollbacks: &[Rollback]) -> (Status, String) {
    let person = rollbacks.iter().find_map(|rollback| match &rollback.phase {
        Phase::Person { why, .. } => Some(format!("{}: {why}", rollback.region)),
        Phase::Claimed
        | Phase::Choosing
        | Phase::Asked { .. }
        | Phase::Going { .. }
        | Phase::Done { .. }
        | Phase::Cancelled { .. } => None,
    });
    if let Some(why) = person {
        return (Status::NeedsPerson, why);
    }
    let words: Vec<String> = rollbacks.iter().map(words).collect();
    let is_cancelled = rollbacks.iter().all(|rollback| matches!(rollback.phase, Phase::Cancelled { .. }));
    let status = if is_cancelled { Status::Cancelled } else { Status::RolledBack };
    let reason = if words.is_empty() { incident.reason.clone() } else { words.join("; ") };
    (status, reason)
}

/// How a rollback ended, for people.
fn words(rollback: &Rollback) -> String {
    let (region, from, to) = (&rollback.region, rollback.from.digits(), rollback.to.digits());
    match &rollback.phase {
        Phase::Done { step: None, .. } => format!("{region} runs {to} again: it was back before anything was done"),
        Phase::Done { step: Some(step), proof: Proof::Images { .. }, .. } => {
            format!("{region} runs {to} again instead of {from} (by {}; its images run)", step.as_str())
        }
        Phase::Done { step: Some(step), proof: Proof::Word { why }, .. } => {
            format!("{region} went back from {from} to {to} (by {}, as AWS says: {why})", step.as_str())
        }
        Phase::Cancelled { why, .. } => format!("{region}: {why}"),
        Phase::Person { why, .. } => format!("{region}: {why}"),
        Phase::Claimed | Phase::Choosing | Phase::Asked { .. } | Phase::Going { .. } => {
            format!("{region} is under way")
        }
    }
}
