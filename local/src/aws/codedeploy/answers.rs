//! A deployment as `DeploymentInfo` of the API.

use super::revisions::without_content;
use super::state::{Deployment, Region, Status};
use crate::aws::codebuild::epoch;
use serde_json::{Value, json};

/// What GetDeployment and BatchGetDeployments show.
pub(super) fn of(here: &Region, deployment: &Deployment) -> Value {
    let named = here.group_by_id(&deployment.group_id);
    let (application, group) =
        named.map_or((deployment.application.as_str(), deployment.group.as_str()), |found| (found.0, found.1));
    let mut info = json!({
        "applicationName": application,
        "deploymentGroupName": group,
        "deploymentConfigName": deployment.config,
        "deploymentId": deployment.id,
        "status": deployment.status.name(),
        "createTime": epoch(deployment.created),
        "creator": deployment.creator,
        "ignoreApplicationStopFailures": false,
        "updateOutdatedInstancesOnly": false,
        "instanceTerminationWaitTimeStarted": deployment.is_terminating,
        "fileExistsBehavior": "DISALLOW",
        "deploymentStatusMessages": [],
        "computePlatform": "ECS",
    });
    for (key, at) in [("startTime", deployment.started), ("completeTime", deployment.completed)] {
        if let Some(at) = at {
            info[key] = epoch(at);
        }
    }
    for key in ["deploymentStyle", "blueGreenDeploymentConfiguration", "loadBalancerInfo"] {
        if let Some(value) = deployment.settings.get(key) {
            info[key] = value.clone();
        }
    }
    for (key, revision) in [("revision", &deployment.revision), ("previousRevision", &deployment.previous)] {
        if let Some(revision) = revision {
            info[key] = without_content(revision);
        }
    }
    for (key, value) in [
        ("autoRollbackConfiguration", &deployment.auto_rollback),
        ("overrideAlarmConfiguration", &deployment.override_alarms),
    ] {
        if let Some(value) = value {
            info[key] = value.clone();
        }
    }
    for (key, text) in [("description", &deployment.description), ("additionalDeploymentStatusInfo", &deployment.note)]
    {
        if let Some(text) = text {
            info[key] = json!(text);
        }
    }
    if let Some((code, message)) = &deployment.error {
        info["errorInformation"] = json!({ "code": code, "message": message });
    }
    if let Some(rollback) = rollback(deployment) {
        info["rollbackInfo"] = rollback;
    }
    if let Some(overview) = overview(deployment.status) {
        info["deploymentOverview"] = overview;
    }
    info
}

/// How a deployment and its rollback name each other, in CodeDeploy's own sentences.
fn rollback(deployment: &Deployment) -> Option<Value> {
    let id = &deployment.id;
    match (&deployment.undoes, &deployment.undone_by) {
        (Some(undone), _) => Some(json!({
            "rollbackTriggeringDeploymentId": undone,
            "rollbackMessage": format!("Deployment {id} is triggered to roll back deployment {undone}."),
        })),
        (None, Some(rollback)) => Some(json!({
            "rollbackDeploymentId": rollback,
            "rollbackMessage": format!(
                "Deployment {id} terminated. Automatic rollback is triggered with a DeploymentId {rollback}."
            ),
        })),
        (None, None) => None,
    }
}

/// One target, counted by how it ended. An ECS deployment that runs shows no overview.
fn overview(status: Status) -> Option<Value> {
    let mut counts = json!({ "Pending": 0, "InProgress": 0, "Succeeded": 0, "Failed": 0, "Skipped": 0, "Ready": 0 });
    match status {
        Status::Created | Status::InProgress | Status::Ready => return None,
        Status::Succeeded => counts["Succeeded"] = json!(1),
        Status::Failed | Status::Stopped => counts["Failed"] = json!(1),
    }
    Some(counts)
}
