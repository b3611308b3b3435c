//! What CodeDeploy asks of ECS, through its public operations.
//!
//! There is no load balancer here: which target group a task set is behind follows from the pair of names in the
//! deployment group, and the shares of the traffic are the deployment's own.

use super::state::{Deployment, TaskSet};
use crate::aws::codebuild::hex_sha256;
use crate::aws::{ACCOUNT, Aws, Failure};
use serde_json::{Value, json};

/// An error code of a deployment, and its sentence.
pub(super) type Refused = (&'static str, String);

impl TaskSet {
    fn read(seen: &Value, target_group: String) -> Self {
        let id = seen["id"].as_str().unwrap_or_default().to_owned();
        Self { id, target_group, seen: seen.clone() }
    }

    /// Whether all of its tasks run.
    pub(super) fn is_steady(&self) -> bool {
        self.seen["stabilityStatus"] == "STEADY_STATE"
    }
}

/// A service as DescribeServices shows it.
pub(super) fn describe(aws: &Aws, region: &str, cluster: &str, service: &str) -> Result<Value, String> {
    let input = json!({ "cluster": cluster, "services": [service] });
    let answer = aws.ask("ecs", region, "DescribeServices", input).map_err(|failure| failure.message)?;
    match answer["services"].get(0) {
        Some(found) if found["status"] == "ACTIVE" => Ok(found.clone()),
        Some(_) => Err(format!("The service {service} is not active.")),
        None => Err(format!("The service {service} was not found.")),
    }
}

fn of(aws: &Aws, deployment: &Deployment) -> Result<Value, Refused> {
    let (cluster, service) = deployment.service();
    describe(aws, &deployment.region, &cluster, &service).map_err(|cause| {
        let what = format!("Could not load ECS service information for cluster: {cluster}, service: {service}.");
        ("INVALID_ECS_SERVICE", format!("{what} Cause: {cause}"))
    })
}

fn ask(aws: &Aws, deployment: &Deployment, operation: &str, more: Value) -> Result<Value, Refused> {
    let (cluster, service) = deployment.service();
    let mut input = json!({ "cluster": cluster, "service": service });
    for (key, value) in more.as_object().into_iter().flatten() {
        input[key] = value.clone();
    }
    aws.ask("ecs", &deployment.region, operation, input).map_err(|failure| update_error(&failure))
}

fn update_error(failure: &Failure) -> Refused {
    let cause = format!("{} (Error Code: {})", failure.message, failure.code);
    ("ECS_UPDATE_ERROR", format!("The ECS service cannot be updated due to an unexpected error: {cause}"))
}

/// Finds blue, ends what an earlier deployment left behind, and creates green.
pub(super) fn install(aws: &Aws, deployment: &mut Deployment) -> Result<(), Refused> {
    let service = of(aws, deployment)?;
    if service["deploymentController"]["type"] != "CODE_DEPLOY" {
        let message = "The ECS service must be configured for a CODE_DEPLOY deployment controller.";
        return Err(("INVALID_ECS_SERVICE", message.to_owned()));
    }
    deployment.service_arn = service["serviceArn"].as_str().map(str::to_owned);
    let sets = service["taskSets"].as_array().cloned().unwrap_or_default();
    let Some(primary) = sets.iter().find(|set| set["status"] == "PRIMARY") else {
        return Err(("INVALID_ECS_SERVICE", "The ECS service has no primary task set.".to_owned()));
    };
    let (first, second) = target_groups(deployment);
    let is_behind_second = name_of(&primary["loadBalancers"][0]["targetGroupArn"]) == Some(second.as_str());
    let (now_in, next) = if is_behind_second { (second, first) } else { (first, second) };
    deployment.blue = Some(TaskSet::read(primary, now_in));
    for left in sets.iter().filter(|set| set["status"] == "ACTIVE") {
        let id = left["id"].as_str().unwrap_or_default().to_owned();
        delete(aws, deployment, &id)?;
    }
    let made = ask(aws, deployment, "CreateTaskSet", green_of(deployment, primary, &next))?;
    deployment.green = Some(TaskSet::read(&made["taskSet"], next));
    Ok(())
}

/// The input of CreateTaskSet: what the AppSpec says, and where it is silent what blue has.
fn green_of(deployment: &Deployment, blue: &Value, target_group: &str) -> Value {
    let Ok(spec) = &deployment.spec else { return json!({}) };
    let region = &deployment.region;
    let suffix = &hex_sha256(target_group)[..16];
    let arn = format!("arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:targetgroup/{target_group}/{suffix}");
    let mut input = json!({
        "taskDefinition": spec.task_definition,
        "externalId": deployment.id,
        "scale": { "value": 100.0, "unit": "PERCENT" },
        "loadBalancers": [
            { "targetGroupArn": arn, "containerName": spec.container, "containerPort": spec.port },
        ],
    });
    for key in ["launchType", "networkConfiguration", "platformVersion", "capacityProviderStrategy"] {
        let has =
            |value: &Value| !value.is_null() && *value != "" && value.as_array().is_none_or(|all| !all.is_empty());
        if let Some(value) = Some(&blue[key]).filter(|value| has(value)) {
            input[key] = value.clone();
        }
    }
    // ECS takes one of the two.
    if !input["capacityProviderStrategy"].is_null() {
        input.as_object_mut().map(|all| all.remove("launchType"));
    }
    for (key, value) in &spec.overrides {
        input[key] = value.clone();
    }
    input
}

/// Looks at the task sets again.
pub(super) fn look(aws: &Aws, deployment: &mut Deployment) -> Result<(), Refused> {
    let service = of(aws, deployment)?;
    let sets = service["taskSets"].as_array().cloned().unwrap_or_default();
    for kept in [&mut deployment.blue, &mut deployment.green].into_iter().flatten() {
        match sets.iter().find(|set| set["id"] == kept.id.as_str()) {
            Some(set) => kept.seen = set.clone(),
            // Gone: the last that was seen, without its tasks.
            None => {
                kept.seen["status"] = json!("DRAINING");
                for count in ["computedDesiredCount", "pendingCount", "runningCount"] {
                    kept.seen[count] = json!(0);
                }
            }
        }
    }
    Ok(())
}

/// Makes a task set the service's primary.
pub(super) fn make_primary(aws: &Aws, deployment: &mut Deployment, id: &str) -> Result<(), Refused> {
    ask(aws, deployment, "UpdateServicePrimaryTaskSet", json!({ "primaryTaskSet": id }))?;
    look(aws, deployment)
}

/// Ends a task set: ECS drains it.
pub(super) fn delete(aws: &Aws, deployment: &mut Deployment, id: &str) -> Result<(), Refused> {
    ask(aws, deployment, "DeleteTaskSet", json!({ "taskSet": id, "force": true }))?;
    look(aws, deployment)
}

/// Makes blue primary unless it is, and ends green.
pub(super) fn restore(aws: &Aws, deployment: &mut Deployment, blue: &str, green: &str) -> Result<(), Refused> {
    look(aws, deployment)?;
    if deployment.green.as_ref().is_some_and(|set| set.seen["status"] == "PRIMARY") {
        make_primary(aws, deployment, blue)?;
    }
    if deployment.green.as_ref().is_some_and(|set| set.seen["status"] != "DRAINING") {
        delete(aws, deployment, green)?;
    }
    Ok(())
}

/// The names of the group's pair of target groups.
fn target_groups(deployment: &Deployment) -> (String, String) {
    let pair =
        deployment.settings.get("loadBalancerInfo").map(|info| &info["targetGroupPairInfoList"][0]["targetGroups"]);
    let name = |at: usize| {
        let found = pair.and_then(|pair| pair[at]["name"].as_str());
        found.unwrap_or_default().to_owned()
    };
    (name(0), name(1))
}

/// The name in `arn:aws:elasticloadbalancing:…:targetgroup/NAME/ID`.
fn name_of(arn: &Value) -> Option<&str> {
    arn.as_str()?.rsplit_once(":targetgroup/")?.1.split('/').next()
}
