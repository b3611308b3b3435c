//! Deployments that go wrong: circuit breakers, alarms and people stop them, and most are rolled back.
//!
//! A rollback makes the revision primary that was completed last, under the number that it had. Source: ECS developer
//! guide, "How the Amazon ECS deployment circuit breaker detects failures"; the sentences are those of real services.

use super::model::{Order, Role, Rollback, Rollout, Service, Stage, Status};
use super::rollout::{finish, plan};
use super::turn::Turn;
use std::collections::BTreeSet;

/// What stops a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    CircuitBreaker,
    Alarm,
    /// StopServiceDeployment.
    Asked,
}

impl Why {
    /// `rolloutStateReason` of the deployment that failed.
    fn failed(self) -> &'static str {
        match self {
            Self::CircuitBreaker => "ECS deployment circuit breaker: tasks failed to start.",
            Self::Alarm => "ECS deployment failed: alarm detected.",
            Self::Asked => "ECS deployment stopped: rollback requested.",
        }
    }

    /// `statusReason` of the service deployment.
    fn status(self, is_rolled_back: bool) -> String {
        let verb = if is_rolled_back { "rolled back" } else { "stopped" };
        match self {
            Self::CircuitBreaker => {
                format!("Service deployment {verb} because the circuit breaker threshold was exceeded.")
            }
            Self::Alarm => format!("Service deployment {verb} because of one or more active alarms."),
            Self::Asked => format!("Service deployment {verb} because of a user request."),
        }
    }

    /// `rolloutStateReason` of the deployment that the service goes back to.
    fn rolling_back(self, id: &str) -> String {
        let who = match self {
            Self::CircuitBreaker => "ECS deployment circuit breaker",
            Self::Alarm => "ECS deployment alarms",
            Self::Asked => "ECS deployment stopped",
        };
        format!("{who}: rolling back to deploymentId ecs-svc/{id}.")
    }
}

/// Whether an alarm rings that the deployment under way is held against; notes which.
pub(super) fn rings(service: &mut Service, ringing: &BTreeSet<String>) -> bool {
    let Some(rolling) = service.under_way().filter(|rolling| rolling.alarms.are_watched) else { return false };
    rolling.alarms.triggered = rolling.alarms.names.iter().filter(|name| ringing.contains(*name)).cloned().collect();
    !rolling.alarms.triggered.is_empty()
}

/// Whether so many tasks failed that the circuit breaker opens.
pub(super) fn is_tripped(service: &mut Service) -> bool {
    let failed = service.primary().map_or(0, |primary| primary.failed);
    let Some(rolling) = service.under_way().filter(|rolling| rolling.status == Status::InProgress) else {
        return false;
    };
    rolling.is_tripped = rolling.threshold.is_some_and(|threshold| failed >= threshold);
    rolling.is_tripped
}

/// The deployment under way fails, and is rolled back where that is configured or asked for.
pub(super) fn fail(service: &mut Service, why: Why, turn: &mut Turn<'_>) {
    let Some(failed) = give_up(service, why, turn) else { return };
    let Some(rolling) = service.under_way() else { return };
    let goes_back = match why {
        Why::CircuitBreaker => rolling.configuration["deploymentCircuitBreaker"]["rollback"] == true,
        Why::Alarm => rolling.configuration["alarms"]["rollback"] == true,
        Why::Asked => true,
    };
    let completed = service.revisions.iter().filter(|each| each.id != failed && each.rollout == Rollout::Completed);
    let target = completed.max_by_key(|revision| revision.completed).map(|revision| revision.id.clone());
    match target.filter(|_| goes_back) {
        Some(target) => go_back(service, &target, why, turn),
        None => {
            // Without a completed deployment the failed one stays primary, and is stalled.
            let status = if goes_back { Status::RollbackFailed } else { Status::Stopped };
            service.due = None;
            finish(service, status, Some(&why.status(false)), turn);
        }
    }
}

/// Marks the primary deployment as failed and answers with its number. Its pending tasks are no more.
fn give_up(service: &mut Service, why: Why, turn: &mut Turn<'_>) -> Option<String> {
    let primary = service.primary_mut()?;
    let id = primary.id.clone();
    primary.rollout = Rollout::Failed;
    why.failed().clone_into(&mut primary.reason);
    primary.updated = turn.now;
    let pending = service.count(Some(&id), Stage::Pending);
    for task in service.tasks.iter_mut().filter(|task| task.owner == id && task.stage == Stage::Pending) {
        task.stage = Stage::Stopped;
        task.stopped = Some((turn.now, "Scaling activity initiated by deployment".to_owned()));
    }
    if pending > 0 {
        turn.note(service, &format!("stopped {pending} pending tasks."));
    }
    let what = match why {
        Why::CircuitBreaker => "tasks failed to start.",
        Why::Alarm => "alarm detected.",
        // Nothing failed: no event says so.
        Why::Asked => return Some(id),
    };
    turn.note(service, &format!("(deployment ecs-svc/{id}) deployment failed: {what}"));
    turn.deployment_event(service, "SERVICE_DEPLOYMENT_FAILED", &id, why.failed());
    Some(id)
}

fn go_back(service: &mut Service, target: &str, why: Why, turn: &mut Turn<'_>) {
    let reason = why.rolling_back(target);
    let status = why.status(true);
    let mut chosen = None;
    for revision in &mut service.revisions {
        let has_tasks = service.tasks.iter().any(|task| task.owner == revision.id && task.stage != Stage::Stopped);
        let is_failed = revision.role == Role::Primary;
        revision.role = if is_failed || has_tasks { Role::Active } else { Role::Inactive };
        if revision.id == target {
            revision.role = Role::Primary;
            revision.rollout = Rollout::InProgress;
            revision.reason.clone_from(&reason);
            revision.deployed = turn.now;
            revision.updated = turn.now;
            revision.order = Order::default();
            chosen = Some((revision.task_definition.clone(), revision.settings.clone()));
        }
    }
    if let Some((task_definition, settings)) = chosen {
        service.task_definition = Some(task_definition);
        service.settings.extend(settings);
    }
    if let Some(rolling) = service.under_way() {
        rolling.status = Status::RollbackInProgress;
        rolling.updated = turn.now;
        rolling.rollback = Some(Rollback { reason: status.clone(), started: turn.now, revision: target.to_owned() });
        rolling.reason = Some(status);
    }
    turn.note(service, &format!("rolling back to deployment ecs-svc/{target}."));
    turn.deployment_event(service, "SERVICE_DEPLOYMENT_IN_PROGRESS", target, &reason);
    plan(service, turn);
}

/// StopServiceDeployment with ABORT: the deployment ends where it stands.
pub(super) fn abort(service: &mut Service, turn: &mut Turn<'_>) {
    give_up(service, Why::Asked, turn);
    service.due = None;
    finish(service, Status::Stopped, Some("Service deployment stopped because of a user request."), turn);
}

/// Someone asked for the deployment's end: the scheduler looks a step from now, however long it meant to wait.
pub(super) fn hurry(service: &mut Service, turn: &Turn<'_>) {
    service.due = Some(turn.after(turn.duration(None) / 6));
}
