//! Rolling deployments: how they begin, what each look of the scheduler does, and how they end.
//!
//! `failing` has what happens when one goes wrong.

use super::configuration;
use super::failing;
use super::model::{Alarms, Image, Life, Order, Revision, Role, Rolling, Rollout, Service, Stage, Status, Task};
use super::model::{Definition, Tags, Waiting};
use super::scaling::{Crew, Fate};
use super::turn::{Effect, Turn};
use super::{definitions, input};
use crate::aws::codepipeline::WorkEnd;
use jiff::SignedDuration;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The settings of a service that make a revision, so that a change of them is a new deployment.
pub(super) const REVISED: [&str; 9] = [
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// How often the wait doubles between tries of tasks that do not come up.
///
/// Source: ECS developer guide, "Service throttle logic": the time between tries grows (to 27 minutes at most).
const MOST_DOUBLINGS: u32 = 5;

/// A task definition as a deployment needs it.
pub(super) struct Chosen {
    pub(super) arn: String,
    pub(super) images: Vec<Image>,
    pub(super) tags: Tags,
}

impl Chosen {
    pub(super) fn new(definition: &Definition) -> Self {
        let images = definitions::images(definition);
        Self { arn: definition.arn(), images, tags: definition.tags.clone() }
    }
}

/// Begins a deployment of `chosen` and answers with its number. One that is under way is over.
pub(super) fn begin(
    service: &mut Service,
    chosen: Chosen,
    order: Order,
    pipeline: Option<Waiting>,
    turn: &mut Turn<'_>,
) -> String {
    let id = turn.number();
    let why = "Service deployment stopped because a new service deployment was started.";
    finish(service, Status::Stopped, Some(why), turn);
    let sources = running_revisions(service);
    for revision in &mut service.revisions {
        let runs = sources.contains(&revision.id);
        revision.role = if runs { Role::Active } else { Role::Inactive };
    }
    let reason = format!("ECS deployment ecs-svc/{id} in progress.");
    service.task_definition = Some(chosen.arn.clone());
    service.revisions.push(Revision {
        id: id.clone(),
        task_definition: chosen.arn,
        settings: snapshot(&service.settings),
        images: chosen.images,
        created: turn.now,
        deployed: turn.now,
        updated: turn.now,
        completed: None,
        role: Role::Primary,
        rollout: Rollout::InProgress,
        reason: reason.clone(),
        failed: 0,
        tries: 0,
        order,
    });
    let names = configuration::alarms(service);
    service.history.push(Rolling {
        id: turn.short(),
        status: Status::Pending,
        reason: None,
        created: turn.now,
        started: None,
        finished: None,
        stopped: None,
        updated: turn.now,
        sources,
        target: id.clone(),
        configuration: service.settings.get("deploymentConfiguration").cloned().unwrap_or_default(),
        rollback: None,
        threshold: configuration::threshold(service),
        is_tripped: false,
        alarms: Alarms { are_watched: !names.is_empty(), names, ..Alarms::default() },
        pipeline,
    });
    turn.deployment_event(service, "SERVICE_DEPLOYMENT_IN_PROGRESS", &id, &reason);
    turn.effects.push(Effect::LookUp {
        region: service.region.clone(),
        service: super::model::key(&service.cluster, &service.name),
        owner: id.clone(),
    });
    plan(service, turn);
    id
}

fn snapshot(settings: &Map<String, Value>) -> Map<String, Value> {
    input::copy(&Value::Object(settings.clone()), &REVISED)
}

/// The revisions that have tasks, the newest last.
fn running_revisions(service: &Service) -> Vec<String> {
    let alive = service.tasks.iter().filter(|task| task.stage != Stage::Stopped);
    let owners: BTreeSet<&str> = alive.map(|task| task.owner.as_str()).collect();
    let running = service.revisions.iter().filter(|revision| owners.contains(revision.id.as_str()));
    running.map(|revision| revision.id.clone()).collect()
}

/// Divides the time that the way to a steady state takes into looks, and sets the first.
pub(super) fn plan(service: &mut Service, turn: &Turn<'_>) {
    let Some(primary) = service.primary() else { return };
    let watched = service.history.last().is_some_and(|rolling| !rolling.status.is_over() && rolling.alarms.are_watched);
    let threshold = service.history.last().and_then(|rolling| rolling.threshold);
    let fate = if primary.order.fails { Fate::Fail { threshold } } else { Fate::ComeUp };
    let looks = crew(service, primary).looks(fate).unwrap_or(1).saturating_add(u32::from(watched));
    let whole = turn.duration(primary.order.takes);
    let step = match fate {
        // Nobody ends it: it goes on trying.
        Fate::Fail { threshold: None } => whole / 3,
        Fate::Fail { threshold: Some(_) } | Fate::ComeUp => whole / i32::try_from(looks).unwrap_or(1),
    };
    service.step = step.max(SignedDuration::from_millis(1));
    service.due = Some(turn.after(service.step));
}

fn crew(service: &Service, primary: &Revision) -> Crew {
    let percent = |key: &str, usual| service.configured(key).as_u64().unwrap_or(usual);
    let crew = Crew::new(service.desired, percent("minimumHealthyPercent", 100), percent("maximumPercent", 200));
    let running = service.count(Some(&primary.id), Stage::Running);
    Crew {
        running,
        pending: service.count(Some(&primary.id), Stage::Pending),
        old: service.count(None, Stage::Running) - running,
        ..crew
    }
}

/// One look of the scheduler at a service under the ECS controller. `ringing` are the alarms in ALARM.
pub(super) fn look(service: &mut Service, ringing: &BTreeSet<String>, turn: &mut Turn<'_>) {
    let status = service.under_way().map(|rolling| rolling.status);
    match status {
        Some(Status::StopRequested) => return failing::abort(service, turn),
        Some(Status::RollbackRequested) => return failing::fail(service, failing::Why::Asked, turn),
        Some(Status::Pending) => start(service, turn),
        Some(Status::InProgress) => {
            if failing::rings(service, ringing) {
                return failing::fail(service, failing::Why::Alarm, turn);
            }
        }
        Some(_) | None => {}
    }
    settle(service, turn);
    if failing::is_tripped(service) {
        return failing::fail(service, failing::Why::CircuitBreaker, turn);
    }
    let Some(primary) = service.primary().filter(|primary| primary.rollout != Rollout::Failed) else {
        // A deployment that failed for good launches nothing any more.
        service.due = None;
        return;
    };
    let (id, tries) = (primary.id.clone(), primary.tries);
    let crew = crew(service, primary);
    if crew.is_steady() && status != Some(Status::Pending) && is_baked(service) {
        return complete(service, turn);
    }
    let moves = crew.moves();
    stop(service, moves.stops, |task| task.owner == id, turn);
    stop(service, moves.stops_old, |task| task.owner != id, turn);
    launch(service, &id, moves.starts, turn);
    if moves == super::scaling::Moves::default() && !crew.is_steady() {
        let message = "was unable to stop or start tasks during a deployment because of the service deployment \
                       configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";
        turn.note(service, message);
        service.due = None;
        return;
    }
    let wait = service.step * 2_i32.pow(tries.min(MOST_DOUBLINGS));
    service.due = Some(turn.after(wait));
}

/// Whether a deployment that has all its tasks has also stood its time under watched alarms: one look more.
fn is_baked(service: &mut Service) -> bool {
    let now_steady = service.under_way().filter(|rolling| rolling.status == Status::InProgress);
    let Some(rolling) = now_steady.filter(|rolling| rolling.alarms.are_watched) else { return true };
    std::mem::replace(&mut rolling.alarms.is_baking, true)
}

fn start(service: &mut Service, turn: &Turn<'_>) {
    if let Some(rolling) = service.under_way() {
        rolling.status = Status::InProgress;
        rolling.started = Some(turn.now);
        rolling.updated = turn.now;
    }
}

/// What was pending has come up, or has not.
fn settle(service: &mut Service, turn: &mut Turn<'_>) {
    let failing: BTreeSet<String> =
        service.revisions.iter().filter(|revision| revision.order.fails).map(|revision| revision.id.clone()).collect();
    let mut failed: BTreeMap<String, u64> = BTreeMap::new();
    for task in service.tasks.iter_mut().filter(|task| task.stage == Stage::Pending) {
        if failing.contains(&task.owner) {
            task.stage = Stage::Stopped;
            task.stopped = Some((turn.now, "Essential container in task exited".to_owned()));
            *failed.entry(task.owner.clone()).or_default() += 1;
        } else {
            task.stage = Stage::Running;
            task.started = Some(turn.now);
        }
    }
    let is_bounded = service.under_way().is_some_and(|rolling| rolling.threshold.is_some());
    for revision in &mut service.revisions {
        if let Some(count) = failed.get(&revision.id) {
            revision.failed += count;
            revision.updated = turn.now;
            // Where a circuit breaker ends the tries, they come at an even pace: the deployment takes its time.
            revision.tries += u32::from(!is_bounded);
        }
    }
    service.forget_stopped();
}

/// Launches tasks of a revision or a task set.
pub(super) fn launch(service: &mut Service, owner: &str, count: u64, turn: &mut Turn<'_>) {
    let revisions = service.revisions.iter().map(|revision| (&revision.id, &revision.task_definition));
    let sets = service.task_sets.iter().map(|set| (&set.id, &set.task_definition));
    let found = revisions.chain(sets).find(|(id, _)| *id == owner).map(|(_, definition)| definition.clone());
    let Some(task_definition) = found.filter(|_| count > 0) else { return };
    let mut names = String::new();
    for _ in 0..count {
        let id = turn.aws.uuid().replace('-', "");
        names.push_str(&format!(" (task {id})"));
        service.tasks.push(Task {
            id,
            owner: owner.to_owned(),
            task_definition: task_definition.clone(),
            stage: Stage::Pending,
            created: turn.now,
            started: None,
            stopped: None,
        });
    }
    turn.note(service, &format!("has started {count} tasks:{names}."));
}

/// Stops running tasks, the oldest first.
pub(super) fn stop(service: &mut Service, count: u64, is_meant: impl Fn(&Task) -> bool, turn: &mut Turn<'_>) {
    let mut names = String::new();
    let running = service.tasks.iter_mut().filter(|task| task.stage == Stage::Running && is_meant(task));
    for task in running.take(usize::try_from(count).unwrap_or(usize::MAX)) {
        task.stage = Stage::Stopped;
        task.stopped = Some((turn.now, "Scaling activity initiated by deployment".to_owned()));
        names.push_str(&format!(" (task {})", task.id));
    }
    if !names.is_empty() {
        turn.note(service, &format!("has stopped {count} running tasks:{names}."));
    }
    service.forget_stopped();
}

/// The service is steady: a deployment that brought it there is complete.
fn complete(service: &mut Service, turn: &mut Turn<'_>) {
    service.due = None;
    let Some(primary) = service.primary_mut() else { return };
    let ended = (primary.rollout == Rollout::InProgress).then(|| primary.id.clone());
    if let Some(id) = ended {
        let reason = format!("ECS deployment ecs-svc/{id} completed.");
        primary.rollout = Rollout::Completed;
        primary.completed = Some(turn.now);
        primary.updated = turn.now;
        primary.failed = 0;
        primary.reason.clone_from(&reason);
        for revision in service.revisions.iter_mut().filter(|revision| revision.role == Role::Active) {
            revision.role = Role::Inactive;
        }
        turn.note(service, &format!("(deployment ecs-svc/{id}) deployment completed."));
        turn.deployment_event(service, "SERVICE_DEPLOYMENT_COMPLETED", &id, &reason);
    }
    turn.note(service, "has reached a steady state.");
    turn.action_event(service, "SERVICE_STEADY_STATE");
    let status = match service.under_way().map(|rolling| rolling.status) {
        Some(Status::RollbackInProgress) => Status::RollbackSuccessful,
        Some(_) | None => Status::Successful,
    };
    finish(service, status, None, turn);
}

/// Ends the service deployment that is under way, and tells the pipeline that waits for it. A reason stays.
pub(super) fn finish(service: &mut Service, status: Status, reason: Option<&str>, turn: &mut Turn<'_>) {
    let now = turn.now;
    let Some(rolling) = service.under_way() else { return };
    rolling.status = status;
    rolling.finished = Some(now);
    rolling.updated = now;
    if status == Status::Stopped {
        rolling.stopped = Some(now);
    }
    if let Some(reason) = reason {
        rolling.reason = Some(reason.to_owned());
    }
    let trusts = turn.trusts_rollback;
    let succeeded = status == Status::Successful || status == Status::RollbackSuccessful && trusts;
    let summary = match (&rolling.reason, succeeded) {
        (Some(reason), false) => format!("Deployment failed: {reason}"),
        (Some(_), true) | (None, _) => "Deployment Succeeded".to_owned(),
    };
    if let Some(Waiting { key, .. }) = rolling.pipeline.take() {
        turn.effects.push(Effect::Ended(WorkEnd { id: key, succeeded, summary, exported: BTreeMap::new() }));
    }
}

/// The last look at a service that is being deleted.
pub(super) fn drain(service: &mut Service, turn: &mut Turn<'_>) {
    stop(service, u64::MAX, |_| true, turn);
    service.tasks.retain(|task| task.stage == Stage::Stopped);
    for revision in &mut service.revisions {
        revision.role = Role::Inactive;
    }
    service.task_sets.clear();
    service.life = Life::Inactive;
    service.due = None;
}
