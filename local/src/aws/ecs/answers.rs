//! Services, deployments, revisions and tasks as the API shows them.

use super::input::{copy, show_tags};
use super::model::{Image, Revision, Role, Rolling, Service, Stage, Status, Task, TaskSet};
use crate::aws::ACCOUNT;
use crate::aws::codebuild::epoch;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What of a revision's settings `Deployment` has.
const OF_DEPLOYMENT: [&str; 7] = [
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// What of a service's settings `Service` has not: they belong to its deployments.
const ONLY_OF_DEPLOYMENT: [&str; 3] =
    ["serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"];

/// `Service`.
pub(super) fn service(service: &Service, with_tags: bool) -> Value {
    let mut shown = json!({
        "serviceArn": service.arn(),
        "serviceName": service.name,
        "clusterArn": service.cluster_arn(),
        "status": service.life.name(),
        "desiredCount": service.desired,
        "runningCount": service.count(None, Stage::Running),
        "pendingCount": service.count(None, Stage::Pending),
        "deployments": deployments(service),
        "events": notes(service),
        "createdAt": epoch(service.created),
        "createdBy": service.created_by,
        "deploymentController": { "type": service.controller.name() },
        "resourceManagementType": "CUSTOMER",
    });
    for (key, value) in service.settings.iter().filter(|(key, _)| !ONLY_OF_DEPLOYMENT.contains(&key.as_str())) {
        shown[key] = value.clone();
    }
    platform(&mut shown);
    if let Some(definition) = &service.task_definition {
        shown["taskDefinition"] = json!(definition);
    }
    if !service.task_sets.is_empty() {
        shown["taskSets"] = service.task_sets.iter().map(|set| task_set(service, set, false)).collect();
    }
    if let Some(rolling) = service.history.last() {
        shown["currentServiceDeployment"] = json!(service.deployment_arn(&rolling.id));
        let current = current(service).into_iter().map(|each| summary(service, &each.id));
        shown["currentServiceRevisions"] = current.collect();
    }
    if with_tags && !service.tags.is_empty() {
        shown["tags"] = show_tags(&service.tags);
    }
    shown
}

/// Fargate's tasks say what they run on.
fn platform(shown: &mut Value) {
    if shown["platformVersion"].is_string() {
        shown["platformFamily"] = json!("Linux");
    }
}

fn notes(service: &Service) -> Value {
    let newest_first = service.notes.iter().rev();
    let shown = newest_first.map(|note| json!({ "id": note.id, "createdAt": epoch(note.at), "message": note.message }));
    shown.collect()
}

/// The revisions that are primary or still have tasks, the primary first, then the newest.
fn current(service: &Service) -> Vec<&Revision> {
    let has_tasks = |revision: &Revision| {
        let alive = |task: &&Task| task.owner == revision.id && task.stage != Stage::Stopped;
        service.tasks.iter().any(|task| alive(&task))
    };
    let shown = service.revisions.iter().rev().filter(|revision| match revision.role {
        Role::Primary => true,
        Role::Active => has_tasks(revision),
        Role::Inactive => false,
    });
    let mut shown: Vec<&Revision> = shown.collect();
    shown.sort_by_key(|revision| revision.role != Role::Primary);
    shown
}

fn deployments(service: &Service) -> Value {
    let shown = current(service).into_iter().map(|revision| {
        let (running, pending) = counts(service, &revision.id);
        let is_primary = revision.role == Role::Primary;
        let mut shown = json!({
            "id": format!("ecs-svc/{}", revision.id),
            "status": if is_primary { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": revision.task_definition,
            "desiredCount": if is_primary { service.desired } else { running + pending },
            "pendingCount": pending,
            "runningCount": running,
            "failedTasks": revision.failed,
            "createdAt": epoch(revision.deployed),
            "updatedAt": epoch(revision.updated),
            "rolloutState": revision.rollout.name(),
            "rolloutStateReason": revision.reason,
        });
        add(&mut shown, &revision.settings, &OF_DEPLOYMENT);
        shown
    });
    shown.collect()
}

fn add(shown: &mut Value, settings: &Map<String, Value>, keys: &[&str]) {
    for key in keys {
        if let Some(value) = settings.get(*key) {
            shown[*key] = value.clone();
        }
    }
    platform(shown);
}

fn counts(service: &Service, owner: &str) -> (u64, u64) {
    (service.count(Some(owner), Stage::Running), service.count(Some(owner), Stage::Pending))
}

/// `ServiceRevisionSummary`, and `ServiceCurrentRevisionSummary`.
fn summary(service: &Service, id: &str) -> Value {
    let (running, pending) = counts(service, id);
    let is_primary = service.primary().is_some_and(|primary| primary.id == id);
    json!({
        "arn": service.revision_arn(id),
        "requestedTaskCount": if is_primary { service.desired } else { 0 },
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    })
}

/// `ServiceDeploymentBrief`.
pub(super) fn rolling_in_brief(service: &Service, rolling: &Rolling) -> Value {
    let mut shown = json!({
        "serviceDeploymentArn": service.deployment_arn(&rolling.id),
        "serviceArn": service.arn(),
        "clusterArn": service.cluster_arn(),
        "createdAt": epoch(rolling.created),
        "targetServiceRevisionArn": service.revision_arn(&rolling.target),
        "status": rolling.status.name(),
    });
    moments(&mut shown, [("startedAt", rolling.started), ("finishedAt", rolling.finished)]);
    if let Some(reason) = &rolling.reason {
        shown["statusReason"] = json!(reason);
    }
    shown
}

fn moments<const N: usize>(shown: &mut Value, moments: [(&str, Option<Timestamp>); N]) {
    for (key, at) in moments {
        if let Some(at) = at {
            shown[key] = epoch(at);
        }
    }
}

/// `ServiceDeployment`.
pub(super) fn rolling(service: &Service, rolling: &Rolling) -> Value {
    let monitor = |is_on: bool, has_fired: bool| match (is_on, has_fired, rolling.status) {
        (false, _, _) => "DISABLED",
        (true, true, _) => "TRIGGERED",
        (true, false, Status::Pending | Status::InProgress) => "MONITORING",
        (true, false, _) => "MONITORING_COMPLETE",
    };
    let failed = service.revisions.iter().find(|each| each.id == rolling.target).map_or(0, |revision| revision.failed);
    let mut shown = rolling_in_brief(service, rolling);
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("targetServiceRevisionArn");
    }
    shown["updatedAt"] = epoch(rolling.updated);
    moments(&mut shown, [("stoppedAt", rolling.stopped)]);
    shown["sourceServiceRevisions"] = rolling.sources.iter().map(|id| summary(service, id)).collect();
    shown["targetServiceRevision"] = summary(service, &rolling.target);
    shown["deploymentConfiguration"] = rolling.configuration.clone();
    let threshold = rolling.threshold.unwrap_or_default();
    shown["deploymentCircuitBreaker"] = json!({
        "status": monitor(rolling.threshold.is_some(), rolling.is_tripped),
        "failureCount": failed,
        "threshold": threshold,
    });
    let alarms = &rolling.alarms;
    shown["alarms"] = json!({ "status": monitor(alarms.are_watched, !alarms.triggered.is_empty()) });
    for (key, names) in [("alarmNames", &alarms.names), ("triggeredAlarmNames", &alarms.triggered)] {
        if !names.is_empty() {
            shown["alarms"][key] = json!(names);
        }
    }
    if let Some(rollback) = &rolling.rollback {
        shown["rollback"] = json!({
            "reason": rollback.reason,
            "startedAt": epoch(rollback.started),
            "serviceRevisionArn": service.revision_arn(&rollback.revision),
        });
    }
    shown
}

/// `ServiceRevision`: what really ran.
pub(super) fn revision(service: &Service, revision: &Revision) -> Value {
    let mut shown = json!({
        "serviceRevisionArn": service.revision_arn(&revision.id),
        "serviceArn": service.arn(),
        "clusterArn": service.cluster_arn(),
        "taskDefinition": revision.task_definition,
        "containerImages": images(&revision.images),
        "guardDutyEnabled": false,
        "createdAt": epoch(revision.created),
    });
    let all: Vec<&str> = revision.settings.keys().map(String::as_str).collect();
    add(&mut shown, &revision.settings, &all);
    shown
}

fn images(images: &[Image]) -> Value {
    let each = images
        .iter()
        .map(|each| json!({ "containerName": each.container, "image": each.image, "imageDigest": each.digest }));
    each.collect()
}

/// `TaskSet`.
pub(super) fn task_set(service: &Service, set: &TaskSet, with_tags: bool) -> Value {
    let (running, pending) = counts(service, &set.id);
    let mut shown = json!({
        "id": format!("ecs-svc/{}", set.id),
        "taskSetArn": service.task_set_arn(&set.id),
        "serviceArn": service.arn(),
        "clusterArn": service.cluster_arn(),
        "status": set.standing.name(),
        "taskDefinition": set.task_definition,
        "computedDesiredCount": set.wanted(service.desired),
        "pendingCount": pending,
        "runningCount": running,
        "createdAt": epoch(set.created),
        "updatedAt": epoch(set.updated),
        "loadBalancers": [],
        "serviceRegistries": [],
        "scale": { "value": set.scale, "unit": "PERCENT" },
        "stabilityStatus": if set.is_steady { "STEADY_STATE" } else { "STABILIZING" },
        "stabilityStatusAt": epoch(set.steady_at),
    });
    let all: Vec<&str> = set.settings.keys().map(String::as_str).collect();
    add(&mut shown, &set.settings, &all);
    for (key, value) in [("startedBy", &set.started_by), ("externalId", &set.external_id)] {
        if let Some(value) = value {
            shown[key] = json!(value);
        }
    }
    if with_tags && !set.tags.is_empty() {
        shown["tags"] = show_tags(&set.tags);
    }
    shown
}

/// `Task`. Its containers run the images of the revision or task set that it belongs to.
pub(super) fn task(service: &Service, task: &Task) -> Value {
    let status = match task.stage {
        Stage::Pending => "PENDING",
        Stage::Running => "RUNNING",
        Stage::Stopped => "STOPPED",
    };
    let revision = service.revisions.iter().find(|each| each.id == task.owner);
    let set = service.task_sets.iter().find(|each| each.id == task.owner);
    let runs = revision.map(|each| &each.images).or(set.map(|each| &each.images)).map(Vec::as_slice);
    let arn = service.task_arn(&task.id);
    let containers = runs.unwrap_or_default().iter().map(|image| {
        let id = format!("{}/{}", task.id, image.container);
        json!({
            "containerArn": format!("arn:aws:ecs:{}:{ACCOUNT}:container/{}/{id}", service.region, service.cluster),
            "taskArn": arn,
            "name": image.container,
            "image": image.image,
            "imageDigest": image.digest,
            "lastStatus": status,
            "networkInterfaces": [],
            "healthStatus": "UNKNOWN",
        })
    });
    let mut shown = json!({
        "taskArn": arn,
        "clusterArn": service.cluster_arn(),
        "taskDefinitionArn": task.task_definition,
        "containers": containers.collect::<Vec<_>>(),
        "group": format!("service:{}", service.name),
        "startedBy": format!("ecs-svc/{}", task.owner),
        "desiredStatus": if task.stage == Stage::Stopped { "STOPPED" } else { "RUNNING" },
        "lastStatus": status,
        "healthStatus": "UNKNOWN",
        "createdAt": epoch(task.created),
        "attachments": [],
        "attributes": [],
        "overrides": { "containerOverrides": [], "inferenceAcceleratorOverrides": [] },
        "version": 1,
        "tags": [],
    });
    let settings = revision.map(|each| &each.settings).or(set.map(|each| &each.settings)).unwrap_or(&service.settings);
    for (key, value) in copy(&Value::Object(settings.clone()), &["launchType", "platformVersion"]) {
        shown[key] = value;
    }
    platform(&mut shown);
    moments(&mut shown, [("startedAt", task.started)]);
    if let Some((at, reason)) = &task.stopped {
        shown["stoppedAt"] = epoch(*at);
        shown["stoppedReason"] = json!(reason);
        let has_failed = reason.starts_with("Essential");
        shown["stopCode"] = json!(if has_failed { "EssentialContainerExited" } else { "ServiceSchedulerInitiated" });
    }
    shown
}
