//! Whose is a run that no answer has named yet: one of ours whose answer was lost or is still on its way, or
//! somebody else's.

use super::save_owned;
use crate::aws::CallError;
use crate::domain::audit::Note;
use crate::domain::execution::{
    Execution, ExecutionId, Kind, Origin, Seen, Sighting, StageBack, Start, StartEvent, Status, Target, TargetKind,
    sight,
};
use crate::domain::observed::Observed;
use crate::landing::with_landings;
use crate::ledger::{Loaded, Run, Writes, execution_subject};
use crate::run::{Engine, RunError, reflect};
use jiff::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Saves a run that has no owner yet, with its owner if one is found.
pub(super) async fn find_or_leave(
    engine: &Engine,
    mut run: Loaded<Run>,
    now: Timestamp,
) -> Result<Option<ExecutionId>, RunError> {
    let seen = match engine.targets.seen(&run.value.target, &run.value.aws_id).await {
        Ok(seen) => completed(seen, &mut run.value),
        // AWS does not know it, or no more: there is nothing to record.
        Err(CallError::Refused { code, message }) => {
            tracing::warn!(runs = %run.value.target, code, message, "an event of what AWS does not know");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if seen.is_by_our_role == Some(false) {
        return save_external(engine, run, seen.rolls_back_in, now).await.map(Some);
    }
    let waiting = engine.unanswered(&run.value.target).await?;
    match the_one(&waiting, &seen) {
        Some(id) => {
            // The taking-up claims the run, so the run is loaded anew after it.
            let event = StartEvent::Looked(Sighting::Found { aws_id: seen.aws_id.clone() });
            engine.take_up(&id, &event, now).await?;
            let mut owned = engine.ledger.run(&run.value.target, &run.value.aws_id, now).await?;
            owned.value.observed.merge(&run.value.observed);
            // What was reported while it had no owner landed nowhere yet.
            save_owned(engine, owned, &id, true, now).await?;
            Ok(Some(id))
        }
        // RollbackStage takes no token: of a request that was repeated on its way two executions come, and one answer.
        None if seen.rolls_back_in.is_some() && !waiting.iter().any(|one| may_be(one, &seen)) => {
            save_external(engine, run, seen.rolls_back_in, now).await.map(Some)
        }
        // Ours, but not yet told apart: `dispatch` saves the answer, or `sweep` recognises it later.
        None => {
            run.value.updated_at = now;
            engine.ledger.save(Writes::new().run(&run)).await?;
            Ok(None)
        }
    }
}

/// Joins what AWS answers and what was reported.
fn completed(mut seen: Seen, run: &mut Run) -> Seen {
    run.observed.merge(&Observed { rolls_back_to: seen.rolls_back_to.clone(), ..Observed::default() });
    seen.rolls_back_in = seen.rolls_back_in.or_else(|| run.observed.rolls_back().map(|back| back.stage));
    seen.started_at = run.observed.whole.as_ref().and_then(|whole| whole.began).map_or(run.created_at, |began| began.1);
    seen.revisions.extend(run.observed.revisions.values().cloned());
    seen
}

fn may_be(execution: &Execution, seen: &Seen) -> bool {
    sight(execution, execution.created_at, std::slice::from_ref(seen)) != Sighting::Nothing
}

/// The one of them that this run is.
fn the_one(waiting: &[Execution], seen: &Seen) -> Option<ExecutionId> {
    let is_it = |execution: &&Execution| {
        matches!(sight(execution, execution.created_at, std::slice::from_ref(seen)), Sighting::Found { .. })
            && !waiting.iter().any(|other| execution.gives_way_to(other, seen))
    };
    let mut found = waiting.iter().filter(is_it);
    let only = found.next()?;
    found.next().is_none().then(|| only.id.clone())
}

/// Makes a record of what Pointsman did not start. `rolls_back_in` is the stage that a rollback rolls back.
async fn save_external(
    engine: &Engine,
    mut run: Loaded<Run>,
    rolls_back_in: Option<String>,
    now: Timestamp,
) -> Result<ExecutionId, RunError> {
    let id = ExecutionId::of_external(&run.value.target, &run.value.aws_id);
    run.value.execution = Some(id.clone());
    let mut execution = external(&id, &run.value, now);
    let to = run.value.observed.rolls_back_to.clone().filter(|to| !to.is_empty());
    execution.rolls_back = rolls_back_in.zip(to.clone()).map(|(stage, to)| StageBack { stage, to });
    if let Some(good) = owner_of(engine, &run.value.target, to.as_deref(), now).await? {
        stand_for(&mut execution, good);
    }
    if execution.environment.is_none() {
        execution.environment = only_environment_of(engine, &run.value.target).await?;
    }
    reflect(&mut execution, &run.value, now);
    let note = external_note(engine, &execution, &run.value);
    let writes = with_landings(&engine.ledger, Writes::new().run(&run), &execution, &run.value).await?;
    let writes = writes.execution(&Loaded::absent(execution));
    engine.ledger.save_noted(writes, &execution_subject(&id), note, now).await?;
    Ok(id)
}

/// The execution of ours that one of AWS's is, where that is known.
async fn owner_of(
    engine: &Engine,
    target: &Target,
    aws_id: Option<&str>,
    now: Timestamp,
) -> Result<Option<Execution>, RunError> {
    let Some(aws_id) = aws_id else { return Ok(None) };
    let Some(id) = engine.ledger.run(target, aws_id, now).await?.value.execution else { return Ok(None) };
    Ok(engine.ledger.execution(&id).await?.map(|loaded| loaded.value))
}

/// A rollback brings back what it goes back to: its commit, its images, its place.
fn stand_for(rollback: &mut Execution, good: Execution) {
    rollback.repository = good.repository;
    rollback.git_ref = good.git_ref;
    rollback.title = good.title;
    rollback.sha = good.sha.or(rollback.sha.take());
    rollback.images = good.images;
    rollback.environment = good.environment;
}

/// The environment that a target deploys to. Where it serves several, only a route could tell which one is meant.
async fn only_environment_of(engine: &Engine, target: &Target) -> Result<Option<String>, RunError> {
    let mut environments = engine.ledger.environments_of(target).await?.into_iter();
    Ok(environments.next().filter(|_| environments.next().is_none()))
}

/// The execution that an external run is.
fn external(id: &ExecutionId, run: &Run, now: Timestamp) -> Execution {
    let target = run.target.clone();
    let (kind, by) = trigger_of(run);
    let started_at =
        run.observed.whole.as_ref().map_or(now, |whole| whole.began.map_or(whole.mark.at, |began| began.1));
    Execution {
        id: id.clone(),
        kind: match target.kind {
            TargetKind::Build => Kind::Build,
            TargetKind::Pipeline if run.observed.is_rollback() => Kind::Rollback,
            TargetKind::Pipeline => Kind::Deployment,
        },
        origin: Origin::External { trigger: kind.clone() },
        route: None,
        repository: None,
        git_ref: None,
        sha: run.observed.commit(),
        title: None,
        actor: by.filter(|by| !by.is_empty()),
        is_by_hand: false,
        environment: None,
        approval: None,
        target,
        variables: BTreeMap::new(),
        source_action: None,
        rolls_back: None,
        fence: None,
        note: Some(format!("not started by Pointsman: {kind}")),
        start: Start::Started { aws_id: run.aws_id.clone() },
        status: Status::Running,
        images: BTreeSet::new(),
        created_at: started_at,
        wanted_since: started_at,
        updated_at: now,
        due_at: None,
    }
}

fn trigger_of(run: &Run) -> (String, Option<String>) {
    let trigger = run.observed.trigger.clone();
    trigger.map_or_else(|| ("unknown".to_owned(), None), |trigger| (trigger.kind, Some(trigger.detail)))
}

/// What the audit log says of an external execution.
fn external_note(engine: &Engine, execution: &Execution, run: &Run) -> Note {
    let (kind, by) = trigger_of(run);
    let mut detail = json!({ "trigger": kind, "by": by, "aws_id": run.aws_id });
    if let Some(back) = &execution.rolls_back {
        detail["rolls_back"] = json!(back.to_string());
    }
    Note { actor: engine.actor.clone(), what: "seen, not started by Pointsman".to_owned(), detail }
}
