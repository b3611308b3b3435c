//! From a plan to starts: one record per start, under its fence, and AWS asked once for each.

use crate::{DispatchError, HasTime};
use jiff::Timestamp;
use pointsman::domain::audit::Note;
use pointsman::domain::change::{Change, ChangeKind, Sha};
use pointsman::domain::command::Retry;
use pointsman::domain::delivery::{Delivery, Planned};
use pointsman::domain::execution::{
    Execution, ExecutionId, FenceKey, Kind, Origin, Start, StartEvent, Status, Target, TargetKind,
};
use pointsman::domain::intake::{Fence, is_newer, position};
use pointsman::domain::route::{Route, Target as RouteTarget};
use pointsman::domain::routing::{Matched, resolve_variables};
use pointsman::ledger::{LedgerError, Loaded, Writes, execution_subject};
use pointsman::run::{Engine, RunError, in_turns};
use serde_json::json;
use std::collections::BTreeSet;

/// How much of a commit's title an execution keeps, in characters; the rest is cut off.
const TITLE_CHARACTERS_MAX: usize = 80;

/// What `route` starts for `change`, as it is decided now; `None` when AWS does not run its target.
pub(crate) fn planned(
    change: &Change,
    route: &Route,
    matched: &Matched,
    sha: &Sha,
    key: &str,
    now: Timestamp,
) -> Option<Planned> {
    let variables = resolve_variables(route, sha);
    let target = Target::of_route(&route.target)?;
    let source_action = match &route.target {
        RouteTarget::Pipeline { source_action, .. } => source_action.clone(),
        RouteTarget::Build { .. } | RouteTarget::Workflow { .. } => None,
    };
    let id = ExecutionId::of_start(key, &route.name, &target, &variables);
    let fence = position(change).zip(change.repository.as_ref()).map(|((git_ref, _), repository)| FenceKey {
        repository: repository.id,
        git_ref,
        key: key.to_owned(),
    });
    let (title, pusher) = match &change.kind {
        ChangeKind::Push(push) => (push.head.as_ref().map(|commit| short(&commit.title)), push.pusher.clone()),
        ChangeKind::PullRequest(_)
        | ChangeKind::WorkflowRun(_)
        | ChangeKind::Release(_)
        | ChangeKind::Created(_)
        | ChangeKind::Deleted(_)
        | ChangeKind::Other { .. } => (None, None),
    };
    let draft = Execution {
        id: id.clone(),
        kind: if target.kind == TargetKind::Build { Kind::Build } else { Kind::Deployment },
        origin: Origin::Delivery { delivery: change.delivery.clone() },
        route: Some(route.name.clone()),
        repository: change.repository.clone(),
        git_ref: matched.git_ref.as_ref().map(ToString::to_string),
        sha: Some(sha.clone()),
        title,
        actor: change.sender.clone().or(pusher),
        // No route is for another event of GitHub's: what comes here with one is a start by hand.
        is_by_hand: matches!(change.kind, ChangeKind::Other { .. }),
        environment: route.environment.clone(),
        approval: route.approval.clone(),
        target,
        variables,
        source_action,
        rolls_back: None,
        fence,
        note: matched.note.clone(),
        start: Start::Requested { refusal: None, asks: 0 },
        status: Status::Requested,
        images: BTreeSet::new(),
        created_at: now,
        wanted_since: now,
        updated_at: now,
        due_at: Some(now),
    };
    Some(Planned { route: route.name.clone(), execution: id, overtaken_by: None, draft })
}

/// As much of a title as a table shows: a plan repeats it for every route.
fn short(title: &str) -> String {
    title.chars().take(TITLE_CHARACTERS_MAX).collect()
}

/// Makes the records of a plan and starts what they name, in the order of the plan.
///
/// A failure of one start keeps no other from starting; the first is returned, so that the message comes again. So it
/// does when time runs out between two starts: what was done is done, and the plan is saved.
pub(crate) async fn carry_out(
    engine: &Engine,
    delivery: &Delivery,
    now: Timestamp,
    has_time: HasTime<'_>,
) -> Result<(), DispatchError> {
    let mut first_failure = None;
    for planned in delivery.plan.iter().filter(|planned| planned.overtaken_by.is_none()) {
        if !has_time() {
            return Err(DispatchError::OutOfTime);
        }
        if let Err(error) = carry_out_one(engine, delivery, planned, now).await {
            first_failure.get_or_insert(error);
        }
    }
    engine.settle_delivery(&delivery.id, now).await?;
    first_failure.map_or(Ok(()), |error| Err(error.into()))
}

async fn carry_out_one(
    engine: &Engine,
    delivery: &Delivery,
    planned: &Planned,
    now: Timestamp,
) -> Result<(), RunError> {
    match engine.ledger.execution(&planned.execution).await? {
        None if !claim_start(engine, delivery, planned, now).await? => return Ok(()),
        // AWS refused an earlier try, and GitHub's redelivery asks for another one.
        Some(Loaded { value: Execution { start: Start::Refused { .. }, .. }, .. }) => {
            engine.take_up(&planned.execution, &StartEvent::StartAgain, now).await?;
        }
        None | Some(_) => {}
    }
    engine.take_up(&planned.execution, &StartEvent::Begin, now).await.map(drop)
}

/// Makes the record of a start, and moves the fence of its route. `false`: a newer change holds the fence.
async fn claim_start(
    engine: &Engine,
    delivery: &Delivery,
    planned: &Planned,
    now: Timestamp,
) -> Result<bool, RunError> {
    in_turns(|| async {
        let mut writes = Writes::new().execution(&Loaded::absent(planned.draft.clone()));
        if let (Some(key), Some((_, position))) = (&planned.draft.fence, position(&delivery.change)) {
            let fence = engine.ledger.fence(key.repository, &key.git_ref, &planned.route).await?;
            if let Some(standing) = fence.as_ref().filter(|standing| standing.value.key != key.key) {
                let seen = engine.ledger.git_ref(key.repository, &key.git_ref).await?;
                let last_after = seen.as_ref().and_then(|seen| seen.value.ended_before(&delivery.id, position.at));
                if !is_newer(&position, &standing.value, last_after) {
                    mark_overtaken(engine, delivery, planned, &standing.value, now).await?;
                    return Ok(false);
                }
            }
            let version = fence.map_or(0, |fence| fence.version);
            let value = Fence { position, key: key.key.clone(), delivery: delivery.id.clone() };
            writes = writes.fence(key.repository, &key.git_ref, &planned.route, &Loaded { value, version });
        }
        let note = Note {
            actor: engine.actor.clone(),
            what: "requested".to_owned(),
            detail: json!({
                "delivery": delivery.id, "route": planned.route, "sha": planned.draft.sha,
                "by": planned.draft.actor, "note": planned.draft.note,
            }),
        };
        match engine.ledger.save_noted(writes, &execution_subject(&planned.execution), note, now).await {
            // Either the fence moved, or another try of ours made the record first.
            Err(LedgerError::Conflict) if engine.ledger.execution(&planned.execution).await?.is_some() => Ok(true),
            saved => Ok(saved.map(|()| true)?),
        }
    })
    .await
}

/// Writes down that a newer change took a route before this one could start.
async fn mark_overtaken(
    engine: &Engine,
    delivery: &Delivery,
    planned: &Planned,
    standing: &Fence,
    now: Timestamp,
) -> Result<(), RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.delivery(&delivery.id).await? else { return Ok(()) };
        let slots = loaded.value.plan.iter_mut().filter(|slot| slot.execution == planned.execution);
        slots.for_each(|slot| slot.overtaken_by = Some(standing.delivery.clone()));
        loaded.value.updated_at = now;
        Ok(engine.ledger.save(Writes::new().delivery(&loaded)).await?)
    })
    .await
}

/// Has AWS asked again for an execution that it refused. One of unknown fate needs a person's word, which
/// `executions resolve` writes into the ledger itself.
pub(crate) async fn retry(engine: &Engine, retry: &Retry, now: Timestamp) -> Result<(), RunError> {
    let Some(found) = engine.ledger.execution(&retry.retry).await? else {
        tracing::warn!(execution = %retry.retry, "asked to retry an execution that is not there");
        return Ok(());
    };
    if matches!(found.value.start, Start::Refused { .. }) {
        engine.take_up(&retry.retry, &StartEvent::StartAgain, now).await?;
    }
    engine.take_up(&retry.retry, &StartEvent::Begin, now).await.map(drop)
}
