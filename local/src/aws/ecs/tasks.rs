//! Tasks: what runs, each with its image.

use super::answers;
use super::definitions;
use super::input::{invalid, last, names, no_service, page, strings, text};
use super::model::{Life, Region, Service, Stage, Task};
use crate::aws::{ACCOUNT, Call, Failure};
use serde_json::{Value, json};

pub(super) fn list(here: &Region, call: &Call) -> Result<Value, Failure> {
    let input = &call.input;
    let (cluster, _) = here.cluster(input)?;
    let wants_stopped = match text(input, "desiredStatus") {
        None | Some("RUNNING") => false,
        // "Although you can filter results based on a desired status of PENDING, this doesn't return any results."
        Some("PENDING") => return Ok(json!({ "taskArns": [] })),
        Some("STOPPED") => true,
        Some(_) => return Err(invalid("desiredStatus should be one of [RUNNING,PENDING,STOPPED]")),
    };
    if let Some(identifier) = text(input, "serviceName") {
        let known = here.services.get(&here.service_key(input, identifier)?);
        known.filter(|service| service.life != Life::Inactive).ok_or_else(no_service)?;
    }
    let is_meant = |service: &Service, task: &Task| {
        let family = definitions::parse(&task.task_definition).0;
        let started_by = format!("ecs-svc/{}", task.owner);
        (task.stage == Stage::Stopped) == wants_stopped
            && text(input, "serviceName").is_none_or(|name| last(name) == service.name)
            && text(input, "family").is_none_or(|wanted| wanted == family)
            && text(input, "startedBy").is_none_or(|wanted| wanted == started_by)
            && text(input, "launchType").is_none_or(|kind| answers::task(service, task)["launchType"] == kind)
            // There are no container instances and no daemons here.
            && text(input, "containerInstance").is_none()
            && text(input, "daemonName").is_none()
    };
    let services = here.services.values().filter(|service| service.cluster == cluster);
    let each = services.flat_map(|service| service.tasks.iter().map(move |task| (service, task)));
    let arns = each.filter(|(service, task)| is_meant(service, task)).map(|(service, task)| service.task_arn(&task.id));
    page("taskArns", names(arns), input, 100)
}

pub(super) fn describe(here: &Region, call: &Call) -> Result<Value, Failure> {
    let (cluster, _) = here.cluster(&call.input)?;
    let wanted = strings(&call.input, "tasks");
    if wanted.is_empty() {
        return Err(invalid("Tasks cannot be empty."));
    }
    if wanted.len() > 100 {
        return Err(invalid("Tasks can have at most 100 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for id in wanted.into_iter().map(last) {
        let services = here.services.values().filter(|service| service.cluster == cluster);
        let each = services.flat_map(|service| service.tasks.iter().map(move |task| (service, task)));
        match each.into_iter().find(|(_, task)| task.id == id) {
            Some((service, task)) => found.push(answers::task(service, task)),
            None => {
                let arn = format!("arn:aws:ecs:{}:{ACCOUNT}:task/{cluster}/{id}", call.region);
                failures.push(json!({ "arn": arn, "reason": "MISSING" }));
            }
        }
    }
    Ok(json!({ "tasks": found, "failures": failures }))
}
