//! Services: CreateService, UpdateService, DeleteService, and finding them.

use super::answers;
use super::configuration;
use super::definitions;
use super::input::{copy, invalid, is_name, names, page, read_tags, required, strings, text, wants_tags};
use super::model::{Controller, Definition, Life, Order, Region, Service, Status, key};
use super::rollout::{self, Chosen, REVISED};
use super::task_sets;
use super::turn::Turn;
use crate::aws::{ACCOUNT, Call, Failure};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

/// What a request gives, and a service shows as it was given.
const SETTINGS: [&str; 8] = [
    "placementConstraints",
    "placementStrategy",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
];

pub(super) fn create(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let input = &call.input;
    let name = text(input, "serviceName").filter(|name| is_name(name));
    let name = name.ok_or_else(|| invalid("Service name must match [a-zA-Z0-9_-]{1,255}."))?;
    let (cluster, _) = here.cluster(input)?;
    let cluster = cluster.to_owned();
    if let Some(known) = existing(here, &cluster, name, input)? {
        return Ok(known);
    }
    let controller = controller(input)?;
    let definition = match (text(input, "taskDefinition"), controller) {
        (Some(_), Controller::External) => {
            return Err(invalid("TaskDefinition must be blank for services with an EXTERNAL deployment controller."));
        }
        (None, Controller::External) => None,
        (None, Controller::Ecs | Controller::CodeDeploy) => return Err(invalid("TaskDefinition can not be blank.")),
        (Some(reference), Controller::Ecs | Controller::CodeDeploy) => Some(definitions::usable(here, reference)?),
    };
    let mut service = declare(call, &cluster, name, controller)?;
    if let Some(definition) = definition {
        fits(definition, &service.settings)?;
        let chosen = Chosen::new(definition);
        let order = Order::read(&service.tags, &chosen.tags);
        match controller {
            Controller::Ecs => _ = rollout::begin(&mut service, chosen, order, None, turn),
            Controller::CodeDeploy | Controller::External => task_sets::first(&mut service, chosen, order, turn),
        }
    }
    let answer = json!({ "service": answers::service(&service, true) });
    here.services.insert(key(&cluster, name), service);
    Ok(answer)
}

/// What CreateService answers where the service exists already: itself, for a repetition with the same token.
fn existing(here: &Region, cluster: &str, name: &str, input: &Value) -> Result<Option<Value>, Failure> {
    let token = text(input, "clientToken");
    if token.is_some_and(|token| token.len() > 36) {
        return Err(invalid("idempotency token longer than 36."));
    }
    let Some(known) = here.services.get(&key(cluster, name)) else { return Ok(None) };
    match known.life {
        Life::Inactive => Ok(None),
        Life::Draining => Err(invalid("Unable to Start a service that is still Draining.")),
        Life::Active => match (token, &known.token) {
            (Some(token), Some((used, with))) if token == used && with == input => {
                Ok(Some(json!({ "service": answers::service(known, true) })))
            }
            _ => Err(invalid("Creation of service was not idempotent.")),
        },
    }
}

fn controller(input: &Value) -> Result<Controller, Failure> {
    match input["deploymentController"]["type"].as_str() {
        None | Some("ECS") => Ok(Controller::Ecs),
        Some("CODE_DEPLOY") => Ok(Controller::CodeDeploy),
        Some("EXTERNAL") => Ok(Controller::External),
        Some(_) => Err(invalid("Deployment controller type should be one of [ECS,CODE_DEPLOY,EXTERNAL]")),
    }
}

/// The service that CreateService declares, before anything runs in it.
fn declare(call: &Call, cluster: &str, name: &str, controller: Controller) -> Result<Service, Failure> {
    let input = &call.input;
    match input["schedulingStrategy"].as_str() {
        None | Some("REPLICA") => {}
        Some("DAEMON") => return Err(Failure::not_emulated("ECS", "schedulingStrategy DAEMON")),
        Some(_) => return Err(invalid("Scheduling strategy should be one of [REPLICA,DAEMON]")),
    }
    let desired = match (input["desiredCount"].as_i64(), controller) {
        (Some(count), _) => u64::try_from(count).map_err(|_| invalid("DesiredCount can not be lesser than 0"))?,
        (None, Controller::External) => 0,
        (None, Controller::Ecs | Controller::CodeDeploy) => return Err(invalid("DesiredCount is missing")),
    };
    let mut settings = Map::from_iter([
        ("loadBalancers".to_owned(), json!([])),
        ("serviceRegistries".to_owned(), json!([])),
        ("placementConstraints".to_owned(), json!([])),
        ("placementStrategy".to_owned(), json!([])),
        ("healthCheckGracePeriodSeconds".to_owned(), json!(0)),
        ("schedulingStrategy".to_owned(), json!("REPLICA")),
        ("enableECSManagedTags".to_owned(), json!(false)),
        ("propagateTags".to_owned(), json!("NONE")),
        ("enableExecuteCommand".to_owned(), json!(false)),
        ("availabilityZoneRebalancing".to_owned(), json!("ENABLED")),
    ]);
    let configuration = configuration::merge(None, &input["deploymentConfiguration"], controller)?;
    if configuration["maximumPercent"].as_u64().is_some_and(|percent| percent <= 100) {
        settings.insert("availabilityZoneRebalancing".to_owned(), json!("DISABLED"));
    }
    settings.extend(copy(input, &SETTINGS));
    settings.extend(copy(input, &REVISED));
    settings.insert("deploymentConfiguration".to_owned(), configuration);
    launch_type(&mut settings, controller)?;
    settings.entry("roleArn").or_insert_with(|| match text(input, "role") {
        Some(role) => json!(role),
        None => json!(format!("arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")),
    });
    Ok(Service {
        region: call.region.clone(),
        cluster: cluster.to_owned(),
        name: name.to_owned(),
        life: Life::Active,
        controller,
        desired,
        task_definition: None,
        settings,
        created: call.now,
        created_by: call.caller.clone(),
        token: text(input, "clientToken").map(|token| (token.to_owned(), input.clone())),
        tags: read_tags(input)?,
        notes: Vec::new(),
        revisions: Vec::new(),
        history: Vec::new(),
        task_sets: Vec::new(),
        tasks: Vec::new(),
        due: None,
        step: SignedDuration::ZERO,
    })
}

/// Fills in the launch type, and the platform where that is Fargate.
fn launch_type(settings: &mut Map<String, Value>, controller: Controller) -> Result<(), Failure> {
    let strategy = settings.get("capacityProviderStrategy").and_then(Value::as_array);
    let providers = strategy.map(Vec::as_slice).unwrap_or_default();
    if !providers.is_empty() && settings.contains_key("launchType") {
        return Err(invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. \
                            Remove one and try again.",
        ));
    }
    let is_fargate = settings.get("launchType").is_some_and(|kind| kind == "FARGATE")
        || providers.iter().any(|each| matches!(each["capacityProvider"].as_str(), Some("FARGATE" | "FARGATE_SPOT")));
    // Under EXTERNAL the launch type is each task set's.
    if providers.is_empty() && controller != Controller::External {
        settings.entry("launchType").or_insert_with(|| json!("EC2"));
    }
    if is_fargate {
        settings.entry("platformVersion").or_insert_with(|| json!("LATEST"));
    }
    Ok(())
}

/// Whether a task definition can run as the settings have it.
fn fits(definition: &Definition, settings: &Map<String, Value>) -> Result<(), Failure> {
    let kind = settings.get("launchType").and_then(Value::as_str).unwrap_or_default();
    let fit = strings(&definition.body, "compatibilities");
    if kind == "FARGATE" && !fit.contains(&kind) {
        return Err(invalid(format!("Task definition does not support launch_type {kind}.")));
    }
    let network =
        settings.get("networkConfiguration").is_some_and(|network| network["awsvpcConfiguration"].is_object());
    match (definition.body["networkMode"] == "awsvpc", network) {
        (true, false) => Err(invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")),
        (false, true) => {
            Err(invalid("Network Configuration is not valid for the given networkMode of this task definition."))
        }
        (true, true) | (false, false) => Ok(()),
    }
}

pub(super) fn update(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let input = &call.input;
    let controller = here.active_service(input)?.controller;
    if input["deploymentController"].is_object() && input["deploymentController"]["type"] != controller.name() {
        return Err(Failure::not_emulated("ECS", "a change of the deployment controller"));
    }
    let definition = text(input, "taskDefinition").map(|reference| definitions::usable(here, reference)).transpose()?;
    let service = here.service(input)?;
    let mut settings = service.settings.clone();
    settings.extend(copy(input, &SETTINGS));
    settings.extend(copy(input, &REVISED));
    let configuration =
        configuration::merge(settings.get("deploymentConfiguration"), &input["deploymentConfiguration"], controller)?;
    settings.insert("deploymentConfiguration".to_owned(), configuration);
    if input["capacityProviderStrategy"].as_array().is_some_and(|strategy| !strategy.is_empty()) {
        settings.remove("launchType");
    }
    let changes = definition.is_some_and(|definition| service.task_definition.as_ref() != Some(&definition.arn()));
    let is_revised = REVISED.iter().any(|key| settings.get(*key) != service.settings.get(*key));
    let is_forced = input["forceNewDeployment"] == true;
    deploys_itself(controller, changes, is_revised, is_forced)?;
    if let Some(definition) = definition {
        fits(definition, &settings)?;
    }
    let desired = input["desiredCount"].as_i64();
    let desired =
        desired.map(u64::try_from).transpose().map_err(|_| invalid("DesiredCount can not be lesser than 0"))?;
    let chosen = match (definition, &service.task_definition) {
        (Some(definition), _) => Some(Chosen::new(definition)),
        // What runs may have been deregistered meanwhile: it can be deployed again all the same.
        (None, Some(current)) => definitions::find(here, current).map(Chosen::new),
        (None, None) => None,
    };
    let service = here.active_service(input)?;
    let is_scaled = desired.is_some_and(|desired| desired != service.desired);
    service.settings = settings;
    service.desired = desired.unwrap_or(service.desired);
    match (controller, chosen) {
        (Controller::Ecs, Some(chosen)) if changes || is_revised || is_forced => {
            let order = Order::read(&service.tags, &chosen.tags);
            rollout::begin(service, chosen, order, None, turn);
        }
        (Controller::Ecs, _) if is_scaled => rollout::plan(service, turn),
        (Controller::CodeDeploy | Controller::External, _) if is_scaled => task_sets::wake(service, turn),
        _ => {}
    }
    Ok(json!({ "service": answers::service(service, false) }))
}

/// Refuses what another controller than ECS deploys.
pub(super) fn deploys_itself(
    controller: Controller,
    changes: bool,
    is_revised: bool,
    is_forced: bool,
) -> Result<(), Failure> {
    let (article, way) = match controller {
        Controller::Ecs => return Ok(()),
        Controller::CodeDeploy => ("a", "Use AWS CodeDeploy to trigger a new deployment."),
        Controller::External => ("an", "Create a task set instead."),
    };
    let what = match (changes, is_revised, is_forced) {
        (true, _, _) => "Unable to update task definition",
        (false, true, _) => "Unable to update network parameters",
        (false, false, true) => "Cannot force a new deployment",
        (false, false, false) => return Ok(()),
    };
    let controller = controller.name();
    Err(invalid(format!("{what} on services with {article} {controller} deployment controller. {way}")))
}

pub(super) fn delete(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let key = here.service_key(&call.input, required(&call.input, "service")?)?;
    let service = here.services.get_mut(&key).filter(|service| service.life != Life::Inactive);
    let service = service.ok_or_else(super::input::no_service)?;
    if service.life == Life::Active {
        if service.desired > 0 && call.input["force"] != true {
            return Err(invalid("The service cannot be stopped while it is scaled above 0."));
        }
        let why = "Service deployment stopped because the service is being deleted.";
        rollout::finish(service, Status::Stopped, Some(why), turn);
        service.life = Life::Draining;
        service.desired = 0;
        service.due = Some(turn.after(turn.duration(None) / 3));
    }
    Ok(json!({ "service": answers::service(service, false) }))
}

pub(super) fn describe(here: &Region, call: &Call) -> Result<Value, Failure> {
    let wanted = strings(&call.input, "services");
    if wanted.is_empty() {
        return Err(invalid("Services cannot be empty."));
    }
    if wanted.len() > 10 {
        return Err(invalid("Services can have at most 10 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for identifier in wanted {
        let key = here.service_key(&call.input, identifier)?;
        match here.services.get(&key) {
            Some(service) => found.push(answers::service(service, wants_tags(&call.input))),
            None => {
                let arn = format!("arn:aws:ecs:{}:{ACCOUNT}:service/{key}", call.region);
                failures.push(json!({ "arn": arn, "reason": "MISSING" }));
            }
        }
    }
    Ok(json!({ "services": found, "failures": failures }))
}

pub(super) fn list(here: &Region, call: &Call) -> Result<Value, Failure> {
    let (cluster, _) = here.cluster(&call.input)?;
    let is_meant = |service: &&Service| {
        let matches = |key: &str| {
            text(&call.input, key).is_none_or(|wanted| service.settings.get(key).is_some_and(|value| value == wanted))
        };
        let is_here = service.cluster == cluster && service.life == Life::Active;
        is_here && matches("launchType") && matches("schedulingStrategy")
    };
    let arns: Vec<String> = match text(&call.input, "resourceManagementType") {
        // None here is an Express service.
        Some("ECS") => Vec::new(),
        _ => here.services.values().filter(is_meant).map(Service::arn).collect(),
    };
    page("serviceArns", names(arns), &call.input, 10)
}
