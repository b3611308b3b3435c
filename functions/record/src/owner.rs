//! Whose is a run that no answer has named yet: one of ours whose answer was lost or is still on its way, or
//! somebody else's.

use crate::{commit_of, save_owned};
use jiff::Timestamp;
use pointsman::aws::CallError;
use pointsman::domain::audit::Note;
use pointsman::domain::execution::{
    Execution, ExecutionId, Kind, Origin, Seen, Sighting, Start, StartEvent, Status, TargetKind, sight,
};
use pointsman::ledger::{Loaded, Run, Writes, execution_subject};
use pointsman::run::{Engine, RunError, reflect};
use serde_json::json;
use std::collections::BTreeSet;

/// How many of a target's latest executions may be waiting for this run.
const WAITING_MAX: usize = 50;

/// Saves a run that has no owner yet, with its owner if one is found.
pub(crate) async fn find_or_leave(engine: &Engine, mut run: Loaded<Run>, now: Timestamp) -> Result<(), RunError> {
    let seen = match engine.targets.seen(&run.value.target, &run.value.aws_id).await {
        Ok(seen) => completed(seen, &run.value),
        // AWS does not know it, or no more: there is nothing to record.
        Err(CallError::Refused { code, message }) => {
            tracing::warn!(runs = %run.value.target, code, message, "an event of what AWS does not know");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if seen.is_by_our_role == Some(false) {
        return save_external(engine, run, now).await;
    }
    match waiting_for(engine, &run.value, &seen).await? {
        Some(id) => {
            // The taking-up claims the run, so the run is loaded anew after it.
            let event = StartEvent::Looked(Sighting::Found { aws_id: seen.aws_id.clone() });
            engine.take_up(&id, &event, now).await?;
            let mut owned = engine.ledger.run(&run.value.target, &run.value.aws_id, now).await?;
            owned.value.observed.merge(&run.value.observed);
            save_owned(engine, owned, &id, now).await
        }
        // Ours, but not yet told apart: `dispatch` saves the answer, or `sweep` recognises it later.
        None => {
            run.value.updated_at = now;
            Ok(engine.ledger.save(Writes::new().run(&run)).await?)
        }
    }
}

fn completed(mut seen: Seen, run: &Run) -> Seen {
    seen.started_at = run.observed.whole.as_ref().and_then(|whole| whole.began).map_or(run.created_at, |began| began.1);
    seen.revisions.extend(run.observed.revisions.values().cloned());
    seen
}

/// The one execution of ours that was asked for and that this run is.
async fn waiting_for(engine: &Engine, run: &Run, seen: &Seen) -> Result<Option<ExecutionId>, RunError> {
    let latest = engine.ledger.executions_of(&run.target, WAITING_MAX).await?;
    let waits = |execution: &&Execution| {
        matches!(execution.start, Start::Asked { .. } | Start::Unknown { .. } | Start::Overtaken { .. })
    };
    let is_it = |execution: &&Execution| {
        matches!(sight(execution, execution.created_at, std::slice::from_ref(seen)), Sighting::Found { .. })
    };
    let mut found = latest.iter().filter(waits).filter(is_it);
    Ok(match (found.next(), found.next()) {
        (Some(only), None) => Some(only.id.clone()),
        _ => None,
    })
}

/// Makes a record of what Pointsman did not start.
async fn save_external(engine: &Engine, mut run: Loaded<Run>, now: Timestamp) -> Result<(), RunError> {
    let target = run.value.target.clone();
    let id = ExecutionId::of_external(&target, &run.value.aws_id);
    run.value.execution = Some(id.clone());
    let trigger = run.value.observed.trigger.clone();
    let (kind, by) =
        trigger.map_or_else(|| ("unknown".to_owned(), None), |trigger| (trigger.kind, Some(trigger.detail)));
    let started_at =
        run.value.observed.whole.as_ref().map_or(now, |whole| whole.began.map_or(whole.mark.at, |began| began.1));
    let mut execution = Execution {
        id: id.clone(),
        kind: if target.kind == TargetKind::Build { Kind::Build } else { Kind::Deployment },
        origin: Origin::External { trigger: kind.clone() },
        route: None,
        repository: None,
        git_ref: None,
        sha: commit_of(&run.value.observed),
        title: None,
        actor: by.clone().filter(|by| !by.is_empty()),
        is_by_hand: false,
        environment: None,
        approval: None,
        target,
        variables: std::collections::BTreeMap::new(),
        source_action: None,
        fence: None,
        note: Some(format!("not started by Pointsman: {kind}")),
        start: Start::Started { aws_id: run.value.aws_id.clone() },
        status: Status::Running,
        images: BTreeSet::new(),
        created_at: started_at,
        wanted_since: started_at,
        updated_at: now,
        due_at: None,
    };
    reflect(&mut execution, &run.value, now);
    let note = Note {
        actor: engine.actor.clone(),
        what: "seen, not started by Pointsman".to_owned(),
        detail: json!({ "trigger": kind, "by": by, "aws_id": run.value.aws_id }),
    };
    let writes = Writes::new().run(&run).execution(&Loaded::absent(execution));
    Ok(engine.ledger.save_noted(writes, &execution_subject(&id), note, now).await?)
}
