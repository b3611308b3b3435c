//! Task sets: what runs in services under the CODE_DEPLOY and EXTERNAL controllers.

use super::answers;
use super::definitions;
use super::input::{copy, invalid, last, read_tags, required, strings, text, wants_tags};
use super::model::{Controller, Order, Region, Service, Stage, Standing, TaskSet, key};
use super::rollout::{Chosen, launch, stop};
use super::turn::{Effect, Turn};
use crate::aws::{Call, Failure};
use serde_json::{Value, json};

/// How many task sets a service may have. Source: Amazon ECS service quotas.
const MOST_SETS: usize = 5;

/// The settings that a task set has of its own.
const OWN: [&str; 6] = [
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
];

/// How often the wait doubles between tries of tasks that do not come up.
const MOST_DOUBLINGS: u32 = 5;

/// The task set that a service under CODE_DEPLOY begins with: all of it, and primary.
pub(super) fn first(service: &mut Service, chosen: Chosen, order: Order, turn: &mut Turn<'_>) {
    service.task_definition = Some(chosen.arn.clone());
    let set = TaskSet { standing: Standing::Primary, scale: 100.0, ..fresh(service, chosen, order, turn) };
    add(service, set, turn);
}

fn fresh(service: &Service, chosen: Chosen, order: Order, turn: &Turn<'_>) -> TaskSet {
    TaskSet {
        id: turn.number(),
        standing: Standing::Active,
        task_definition: chosen.arn,
        images: chosen.images,
        started_by: None,
        external_id: None,
        token: None,
        scale: 0.0,
        settings: copy(&Value::Object(service.settings.clone()), &OWN),
        tags: super::model::Tags::new(),
        created: turn.now,
        updated: turn.now,
        is_steady: false,
        steady_at: turn.now,
        order,
        tries: 0,
    }
}

fn add(service: &mut Service, set: TaskSet, turn: &mut Turn<'_>) {
    turn.effects.push(Effect::LookUp {
        region: service.region.clone(),
        service: key(&service.cluster, &service.name),
        owner: set.id.clone(),
    });
    service.task_sets.push(set);
    wake(service, turn);
}

/// Lets the scheduler look at the task sets again.
pub(super) fn wake(service: &mut Service, turn: &Turn<'_>) {
    let takes = service.task_sets.iter().filter_map(|set| set.order.takes).max();
    service.step = turn.duration(takes) / 3;
    service.due = Some(turn.after(service.step));
    for index in 0..service.task_sets.len() {
        if !is_met(service, &service.task_sets[index]) {
            service.task_sets[index].is_steady = false;
            service.task_sets[index].steady_at = turn.now;
        }
    }
}

fn is_met(service: &Service, set: &TaskSet) -> bool {
    service.count(Some(&set.id), Stage::Running) == set.wanted(service.desired)
        && service.count(Some(&set.id), Stage::Pending) == 0
        && set.standing != Standing::Draining
}

/// One look of the scheduler at a service with task sets.
pub(super) fn look(service: &mut Service, turn: &mut Turn<'_>) {
    service.due = None;
    for id in service.task_sets.iter().map(|set| set.id.clone()).collect::<Vec<_>>() {
        settle(service, &id, turn);
    }
    service.task_sets.retain(|set| set.standing != Standing::Draining);
    let mut tries = Some(0);
    let mut is_changed = false;
    for index in 0..service.task_sets.len() {
        let is_met = is_met(service, &service.task_sets[index]);
        let set = &mut service.task_sets[index];
        if is_met && !set.is_steady {
            (set.is_steady, set.steady_at, set.updated, set.tries) = (true, turn.now, turn.now, 0);
            is_changed = true;
        } else if !is_met {
            tries = tries.map(|most: u32| most.max(set.tries + 1));
        }
    }
    let is_steady = service.task_sets.iter().all(|set| set.is_steady);
    if is_steady && is_changed {
        turn.note(service, "has reached a steady state.");
        turn.action_event(service, "SERVICE_STEADY_STATE");
    }
    if let Some(tries) = tries.filter(|_| !is_steady) {
        service.due = Some(turn.after(service.step * 2_i32.pow(tries.saturating_sub(1).min(MOST_DOUBLINGS))));
    }
}

/// What one set's tasks have come to, and what starts and stops.
fn settle(service: &mut Service, id: &str, turn: &mut Turn<'_>) {
    let desired = service.desired;
    let Some(set) = service.task_sets.iter_mut().find(|set| set.id == id) else { return };
    let wanted = if set.standing == Standing::Draining { 0 } else { set.wanted(desired) };
    let fails = set.order.fails || set.standing == Standing::Draining;
    for task in service.tasks.iter_mut().filter(|task| task.owner == id && task.stage == Stage::Pending) {
        if fails {
            set.tries += 1;
            task.stage = Stage::Stopped;
            task.stopped = Some((turn.now, "Essential container in task exited".to_owned()));
        } else {
            task.stage = Stage::Running;
            task.started = Some(turn.now);
        }
    }
    let running = service.count(Some(id), Stage::Running);
    stop(service, running.saturating_sub(wanted), |task| task.owner == id, turn);
    launch(service, id, wanted.saturating_sub(running), turn);
}

/// The service of a request about task sets: it must be active, and not under the ECS controller.
fn service_with_sets<'a>(here: &'a mut Region, call: &Call) -> Result<&'a mut Service, Failure> {
    required(&call.input, "cluster")?;
    let service = here.active_service(&call.input)?;
    match service.controller {
        Controller::CodeDeploy | Controller::External => Ok(service),
        Controller::Ecs => Err(invalid(format!(
            "{} is not supported for services with the ECS deployment controller.",
            call.operation
        ))),
    }
}

/// The place of the task set that a request names by id (`ecs-svc/…`) or ARN.
fn place(service: &Service, call: &Call, member: &str) -> Result<usize, Failure> {
    let id = last(required(&call.input, member)?);
    let place = service.task_sets.iter().position(|set| set.id == id && set.standing != Standing::Draining);
    place.ok_or_else(|| Failure::sender("TaskSetNotFoundException", "The specified task set was not found."))
}

fn scale(input: &Value) -> Result<Option<f64>, Failure> {
    if input["scale"].is_null() {
        return Ok(None);
    }
    if input["scale"]["unit"].as_str().is_some_and(|unit| unit != "PERCENT") {
        return Err(invalid("Scale unit should be PERCENT."));
    }
    let value = input["scale"]["value"].as_f64().unwrap_or(0.0);
    if !(0.0..=100.0).contains(&value) {
        return Err(invalid("Scale value should be between 0 and 100."));
    }
    Ok(Some(value))
}

pub(super) fn create(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let input = &call.input;
    let controller = service_with_sets(here, call)?.controller;
    let chosen = Chosen::new(definitions::usable(here, required(input, "taskDefinition")?)?);
    let token = text(input, "clientToken").map(str::to_owned);
    let service = here.active_service(input)?;
    if let Some(known) = service.task_sets.iter().find(|set| token.is_some() && set.token == token) {
        return Ok(json!({ "taskSet": answers::task_set(service, known, true) }));
    }
    if service.task_sets.len() >= MOST_SETS {
        let message = format!("The maximum number of task sets per service is {MOST_SETS}.");
        return Err(Failure::sender("LimitExceededException", message));
    }
    let order = Order::read(&service.tags, &chosen.tags);
    let mut set = fresh(service, chosen, order, turn);
    // Source: the example of `aws ecs create-task-set`, which names no scale and is answered with 0.
    set.scale = scale(input)?.unwrap_or(0.0);
    set.settings.extend(copy(input, &OWN));
    if input["capacityProviderStrategy"].is_array() {
        set.settings.remove("launchType");
    } else {
        set.settings.entry("launchType").or_insert_with(|| json!("EC2"));
    }
    set.started_by = (controller == Controller::CodeDeploy).then(|| "CODE_DEPLOY".to_owned());
    set.external_id = text(input, "externalId").map(str::to_owned);
    set.token = token;
    set.tags = read_tags(input)?;
    let shown = answers::task_set(service, &set, true);
    add(service, set, turn);
    Ok(json!({ "taskSet": shown }))
}

pub(super) fn update(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let service = service_with_sets(here, call)?;
    let place = place(service, call, "taskSet")?;
    let scale = scale(&call.input)?.ok_or_else(|| invalid("scale can not be blank."))?;
    service.task_sets[place].scale = scale;
    service.task_sets[place].updated = turn.now;
    wake(service, turn);
    Ok(json!({ "taskSet": answers::task_set(service, &service.task_sets[place], false) }))
}

pub(super) fn make_primary(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let service = service_with_sets(here, call)?;
    let place = place(service, call, "primaryTaskSet")?;
    for set in service.task_sets.iter_mut().filter(|set| set.standing == Standing::Primary) {
        set.standing = Standing::Active;
        set.updated = turn.now;
    }
    let set = &mut service.task_sets[place];
    set.standing = Standing::Primary;
    set.updated = turn.now;
    // "Any parameters that are updated on the primary task set in a service will transition to the service."
    service.task_definition = Some(set.task_definition.clone());
    let settings = set.settings.clone();
    service.settings.extend(settings);
    Ok(json!({ "taskSet": answers::task_set(service, &service.task_sets[place], false) }))
}

pub(super) fn delete(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let service = service_with_sets(here, call)?;
    let place = place(service, call, "taskSet")?;
    let is_empty = service.task_sets[place].wanted(service.desired) == 0;
    if !is_empty && call.input["force"] != true {
        return Err(invalid("The task set cannot be deleted while it is scaled above 0."));
    }
    service.task_sets[place].standing = Standing::Draining;
    service.task_sets[place].updated = turn.now;
    wake(service, turn);
    Ok(json!({ "taskSet": answers::task_set(service, &service.task_sets[place], false) }))
}

pub(super) fn describe(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let service = service_with_sets(here, call)?;
    let wanted = strings(&call.input, "taskSets");
    let with_tags = wants_tags(&call.input);
    if wanted.is_empty() {
        let all = service.task_sets.iter().map(|set| answers::task_set(service, set, with_tags));
        return Ok(json!({ "taskSets": all.collect::<Vec<_>>(), "failures": [] }));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for identifier in wanted {
        let id = last(identifier);
        match service.task_sets.iter().find(|set| set.id == id) {
            Some(set) => found.push(answers::task_set(service, set, with_tags)),
            None => failures.push(json!({ "arn": service.task_set_arn(id), "reason": "MISSING" })),
        }
    }
    Ok(json!({ "taskSets": found, "failures": failures }))
}
