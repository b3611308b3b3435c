//! The one target of an ECS deployment: its service, as `CLUSTER:SERVICE`.

use super::input::{self, refused};
use super::state::{Deployment, Phase, Region, Status, TaskSet};
use super::{CodeDeploy, deployments, ecs};
use crate::aws::codebuild::epoch;
use crate::aws::{ACCOUNT, Aws, Call, Failure};
use serde_json::{Value, json};

fn id_of(deployment: &Deployment) -> String {
    let (cluster, service) = deployment.service();
    format!("{cluster}:{service}")
}

/// How the target stands: it has succeeded once the traffic has moved, while blue still waits for its end.
fn status(deployment: &Deployment) -> &'static str {
    let is_through = deployment.events.iter().all(|event| event.phase == Phase::Succeeded);
    if is_through {
        return "Succeeded";
    }
    match deployment.status {
        Status::Created => "Pending",
        Status::InProgress => "InProgress",
        Status::Ready => "Ready",
        Status::Succeeded => "Succeeded",
        Status::Failed | Status::Stopped => "Failed",
    }
}

/// The target as `DeploymentTarget` of the API.
fn answer(deployment: &Deployment) -> Value {
    let (cluster, service) = deployment.service();
    let arn = || format!("arn:aws:ecs:{}:{ACCOUNT}:service/{cluster}/{service}", deployment.region);
    let events = deployment.events.iter().map(|event| {
        let status = match event.phase {
            Phase::Pending => "Pending",
            Phase::InProgress => "InProgress",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Skipped => "Skipped",
        };
        let mut shown = json!({ "lifecycleEventName": event.name, "status": status });
        for (key, at) in [("startTime", event.from), ("endTime", event.to)] {
            if let Some(at) = at {
                shown[key] = epoch(at);
            }
        }
        shown
    });
    let sets = [
        (&deployment.blue, "Blue", 100_u32.saturating_sub(deployment.weight)),
        (&deployment.green, "Green", deployment.weight),
    ];
    let sets = sets.into_iter().filter_map(|(set, label, weight)| Some(task_set(set.as_ref()?, label, weight)));
    json!({
        "deploymentTargetType": "ECSTarget",
        "ecsTarget": {
            "deploymentId": deployment.id,
            "targetId": id_of(deployment),
            "targetArn": deployment.service_arn.clone().unwrap_or_else(arn),
            "lastUpdatedAt": epoch(deployment.updated),
            "lifecycleEvents": events.collect::<Vec<_>>(),
            "status": status(deployment),
            "taskSetsInfo": sets.collect::<Vec<_>>(),
        },
    })
}

fn task_set(set: &TaskSet, label: &str, weight: u32) -> Value {
    let count = |key: &str| set.seen[key].as_i64().unwrap_or(0);
    json!({
        // The API spells it so.
        "identifer": set.id,
        "desiredCount": count("computedDesiredCount"),
        "pendingCount": count("pendingCount"),
        "runningCount": count("runningCount"),
        "status": set.seen["status"].as_str().unwrap_or("ACTIVE"),
        "trafficWeight": f64::from(weight),
        "targetGroup": { "name": set.target_group },
        "taskSetLabel": label,
    })
}

/// A copy of the deployment whose target is asked for, with its task sets as they are now.
fn copy(this: &CodeDeploy, aws: &Aws, call: &Call) -> Result<Deployment, Failure> {
    let mut copy = this.with(&call.region, |here| started(here, call).cloned())?;
    if !copy.status.is_over() && copy.blue.is_some() {
        // What cannot be seen now is shown as last seen.
        let _ = ecs::look(aws, &mut copy);
    }
    Ok(copy)
}

fn started<'a>(here: &'a Region, call: &Call) -> Result<&'a Deployment, Failure> {
    let found = deployments::find(here, call)?;
    if found.status == Status::Created {
        let message = format!("The deployment {} has not started", found.id);
        return Err(refused("DeploymentNotStartedException", message));
    }
    Ok(found)
}

fn check(deployment: &Deployment, target: &str) -> Result<(), Failure> {
    if !target.contains(':') {
        let message = format!("The target id {target} is not in the format <clustername>:<servicename>");
        return Err(refused("InvalidDeploymentTargetIdException", message));
    }
    if target == id_of(deployment) {
        return Ok(());
    }
    let message = format!("The target {target} does not belong to the deployment {}", deployment.id);
    Err(refused("DeploymentTargetDoesNotExistException", message))
}

pub(super) fn get(this: &CodeDeploy, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let copy = copy(this, aws, call)?;
    match call.input["targetId"].as_str() {
        None | Some("") => Err(refused("DeploymentTargetIdRequiredException", "A target id must be specified")),
        Some(target) => {
            check(&copy, target)?;
            Ok(json!({ "deploymentTarget": answer(&copy) }))
        }
    }
}

pub(super) fn batch_get(this: &CodeDeploy, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let copy = copy(this, aws, call)?;
    let ids: Vec<&str> = call.input["targetIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match ids.as_slice() {
        [] => Err(refused("DeploymentTargetIdRequiredException", "A target id must be specified")),
        [target] => {
            check(&copy, target)?;
            Ok(json!({ "deploymentTargets": [answer(&copy)] }))
        }
        _ => {
            let message = "The target list of an Amazon ECS deployment must have exactly one item";
            Err(refused("DeploymentTargetListSizeExceededException", message))
        }
    }
}

pub(super) fn list(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    const STATUSES: [&str; 7] = ["Failed", "InProgress", "Pending", "Ready", "Skipped", "Succeeded", "Unknown"];
    let found = started(here, call)?;
    let mut is_wanted = true;
    for (filter, values) in call.input["targetFilters"].as_object().into_iter().flatten() {
        let values: Vec<&str> = values.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let unknown =
            |allowed: &[&str]| values.iter().find(|value| !allowed.contains(value)).map(|value| value.to_string());
        match filter.as_str() {
            "TargetStatus" => {
                if let Some(value) = unknown(&STATUSES) {
                    return Err(refused("InvalidInstanceStatusException", format!("The status {value} is not valid")));
                }
                is_wanted &= values.contains(&status(found));
            }
            "ServerInstanceLabel" => {
                if let Some(value) = unknown(&["Blue", "Green"]) {
                    return Err(refused("InvalidInstanceTypeException", format!("The label {value} is not valid")));
                }
            }
            other => {
                let message = format!("The target filter name {other} is not valid");
                return Err(refused("InvalidTargetFilterNameException", message));
            }
        }
    }
    let ids: Vec<String> = Some(id_of(found)).filter(|_| is_wanted).into_iter().collect();
    input::page("targetIds", &ids, &call.input)
}
