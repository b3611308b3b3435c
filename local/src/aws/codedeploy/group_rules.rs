//! What a deployment group may say.
//!
//! The sentences about ECS groups are CodeDeploy's own where they have been seen.

use super::input::refused;
use crate::aws::Failure;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Alarms of one group. Source: CodeDeploy API reference, AlarmConfiguration.
const MOST_ALARMS: usize = 10;
/// The longest name of an alarm. Source: CodeDeploy API reference, InvalidAlarmConfigException.
const LONGEST_ALARM: usize = 255;
/// Triggers of one group. Source: CodeDeploy user guide, "CodeDeploy quotas".
const MOST_TRIGGERS: usize = 10;
/// The longest wait. Source: CodeDeploy API reference, BlueInstanceTerminationOption: two days.
const MOST_MINUTES: i64 = 2_880;

const ROLLBACK_EVENTS: [&str; 3] = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"];

const TRIGGER_EVENTS: [&str; 10] = [
    "DeploymentStart",
    "DeploymentSuccess",
    "DeploymentFailure",
    "DeploymentStop",
    "DeploymentRollback",
    "DeploymentReady",
    "InstanceStart",
    "InstanceSuccess",
    "InstanceFailure",
    "InstanceReady",
];

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Checks a group's settings, as they will be kept.
pub(super) fn check(settings: &Map<String, Value>, platform: &str) -> Result<(), Failure> {
    let part = |key: &str| settings.get(key).unwrap_or(&Value::Null);
    role(part("serviceRoleArn"))?;
    for (one, other, code) in [
        ("ec2TagFilters", "ec2TagSet", "InvalidEC2TagCombinationException"),
        ("onPremisesInstanceTagFilters", "onPremisesTagSet", "InvalidOnPremisesTagCombinationException"),
    ] {
        if !part(one).is_null() && !part(other).is_null() {
            return Err(refused(code, format!("{one} and {other} can not both be specified")));
        }
    }
    alarms(part("alarmConfiguration"))?;
    auto_rollback(part("autoRollbackConfiguration"))?;
    triggers(part("triggerConfigurations"))?;
    if platform != "ECS" {
        if items(part("ecsServices")).is_empty() {
            return Ok(());
        }
        let message = format!("For {platform} deployment group, ecsServices can not be specified");
        return Err(refused("InvalidECSServiceException", message));
    }
    foreign(settings)?;
    let style = part("deploymentStyle");
    if style["deploymentType"] != "BLUE_GREEN" || style["deploymentOption"] != "WITH_TRAFFIC_CONTROL" {
        let message = "For ECS deployment, the deployment type must be BLUE_GREEN, and deployment option must be \
                       WITH_TRAFFIC_CONTROL.";
        return Err(refused("InvalidDeploymentStyleException", message));
    }
    blue_green(part("blueGreenDeploymentConfiguration"))?;
    load_balancer(part("loadBalancerInfo"))?;
    services(part("ecsServices"))
}

fn role(role: &Value) -> Result<(), Failure> {
    let Some(arn) = role.as_str().filter(|arn| !arn.is_empty()) else {
        return Err(refused("RoleRequiredException", "Service role ARN must be specified"));
    };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_role = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, name]
        if partition.starts_with("aws") && account.len() == 12 && name.starts_with("role/") && name.len() > 5);
    if is_role { Ok(()) } else { Err(refused("InvalidRoleException", format!("The role {arn} is not valid"))) }
}

/// What belongs to servers and has no place in an ECS group.
fn foreign(settings: &Map<String, Value>) -> Result<(), Failure> {
    for (key, code) in [
        ("autoScalingGroups", "InvalidAutoScalingGroupException"),
        ("ec2TagFilters", "InvalidEC2TagException"),
        ("ec2TagSet", "InvalidEC2TagException"),
        ("onPremisesInstanceTagFilters", "InvalidTagException"),
        ("onPremisesTagSet", "InvalidTagException"),
        ("ec2DeploymentOptions", "InvalidInputException"),
    ] {
        if settings.contains_key(key) {
            return Err(refused(code, format!("For ECS deployment group, {key} can not be specified")));
        }
    }
    Ok(())
}

/// An alarm configuration, of a group or of one deployment.
pub(super) fn alarms(given: &Value) -> Result<(), Failure> {
    let refuse = |message: &str| Err(refused("InvalidAlarmConfigException", message));
    if given.is_null() {
        return Ok(());
    }
    let alarms = items(&given["alarms"]);
    if alarms.len() > MOST_ALARMS {
        let message = format!("A deployment group has at most {MOST_ALARMS} alarms");
        return Err(refused("AlarmsLimitExceededException", message));
    }
    if given["enabled"] == true && alarms.is_empty() {
        return refuse("The alarm configuration is enabled, but the alarm list is empty");
    }
    let mut names = BTreeSet::new();
    for alarm in alarms {
        let name = alarm["name"].as_str().unwrap_or_default();
        if name.is_empty() || name.chars().count() > LONGEST_ALARM {
            return refuse("The alarm name is empty or exceeds the limit of 255 characters");
        }
        if !names.insert(name) {
            return refuse("Two alarms with the same name have been specified");
        }
    }
    Ok(())
}

/// A rollback configuration, of a group or of one deployment.
pub(super) fn auto_rollback(given: &Value) -> Result<(), Failure> {
    let refuse = |message: String| Err(refused("InvalidAutoRollbackConfigException", message));
    let events = items(&given["events"]);
    if given["enabled"] == true && events.is_empty() {
        return refuse("Automatic rollback is enabled, but no event types are listed".to_owned());
    }
    let is_unknown = |event: &&Value| !event.as_str().is_some_and(|name| ROLLBACK_EVENTS.contains(&name));
    match events.iter().find(is_unknown) {
        Some(event) => refuse(format!("The automatic rollback event type {event} is not valid")),
        None => Ok(()),
    }
}

fn triggers(given: &Value) -> Result<(), Failure> {
    let refuse = |message: String| Err(refused("InvalidTriggerConfigException", message));
    let triggers = items(given);
    if triggers.len() > MOST_TRIGGERS {
        let message = format!("A deployment group has at most {MOST_TRIGGERS} triggers");
        return Err(refused("TriggerTargetsLimitExceededException", message));
    }
    let mut names = BTreeSet::new();
    for trigger in triggers {
        let name = trigger["triggerName"].as_str().unwrap_or_default();
        if name.is_empty() || !names.insert(name) {
            return refuse(format!("The trigger name {name} is empty or given twice"));
        }
        if !trigger["triggerTargetArn"].as_str().is_some_and(|arn| arn.starts_with("arn:aws:sns:")) {
            return refuse(format!("The target of the trigger {name} is not the ARN of an SNS topic"));
        }
        let events = items(&trigger["triggerEvents"]);
        let is_known = |event: &Value| event.as_str().is_some_and(|event| TRIGGER_EVENTS.contains(&event));
        if events.is_empty() || !events.iter().all(is_known) {
            return refuse(format!("The events of the trigger {name} are empty or not valid"));
        }
    }
    Ok(())
}

fn blue_green(given: &Value) -> Result<(), Failure> {
    let refuse = |message: &str| Err(refused("InvalidBlueGreenDeploymentConfigurationException", message));
    if given.is_null() {
        return refuse("For ECS deployment group, blueGreenDeploymentConfiguration must be specified");
    }
    if !given["greenFleetProvisioningOption"].is_null() {
        return refuse("For ECS deployment group, greenFleetProvisioningOption can not be specified");
    }
    let (end, ready) = (&given["terminateBlueInstancesOnDeploymentSuccess"], &given["deploymentReadyOption"]);
    if end.is_null() {
        return refuse("For ECS deployment group, terminateBlueInstancesOnDeploymentSuccess must be specified");
    }
    if ready.is_null() {
        return refuse("For ECS deployment group, deploymentReadyOption must be specified");
    }
    if !end["action"].as_str().is_some_and(|action| ["TERMINATE", "KEEP_ALIVE"].contains(&action)) {
        return refuse("The action must be TERMINATE or KEEP_ALIVE");
    }
    let is_wait =
        |minutes: &Value| minutes.is_null() || minutes.as_i64().is_some_and(|n| (0..=MOST_MINUTES).contains(&n));
    if !is_wait(&end["terminationWaitTimeInMinutes"]) {
        return refuse("terminationWaitTimeInMinutes must be between 0 and 2880");
    }
    if !is_wait(&ready["waitTimeInMinutes"]) {
        return refuse("waitTimeInMinutes must be between 0 and 2880");
    }
    let waits = ready["waitTimeInMinutes"].as_i64().unwrap_or(0) > 0;
    match ready["actionOnTimeout"].as_str() {
        Some("STOP_DEPLOYMENT") if waits => Ok(()),
        Some("STOP_DEPLOYMENT") => refuse("waitTimeInMinutes must be specified with STOP_DEPLOYMENT"),
        Some("CONTINUE_DEPLOYMENT") if !waits => Ok(()),
        Some("CONTINUE_DEPLOYMENT") => refuse("waitTimeInMinutes applies only to STOP_DEPLOYMENT"),
        _ => refuse("actionOnTimeout must be CONTINUE_DEPLOYMENT or STOP_DEPLOYMENT"),
    }
}

fn load_balancer(given: &Value) -> Result<(), Failure> {
    let refuse = |message: &str| Err(refused("InvalidLoadBalancerInfoException", message));
    let bad_pair = |message: &str| Err(refused("InvalidTargetGroupPairException", message));
    if given.is_null() {
        return refuse("For ECS deployment group, loadBalancerInfo must be specified");
    }
    if !items(&given["elbInfoList"]).is_empty() {
        return refuse("For ECS deployment group, loadBalancerInfo must not contain elbInfo list");
    }
    if !items(&given["targetGroupInfoList"]).is_empty() {
        return refuse("For ECS deployment group, loadBalancerInfo must not contain targetGroupInfo list");
    }
    let [pair] = items(&given["targetGroupPairInfoList"]) else {
        return bad_pair("For ECS deployment group, exactly one target group pair must be specified");
    };
    let groups: BTreeSet<&str> =
        items(&pair["targetGroups"]).iter().filter_map(|group| group["name"].as_str()).collect();
    if items(&pair["targetGroups"]).len() != 2 || groups.len() != 2 || groups.contains("") {
        return bad_pair("A target group pair must have two different target groups");
    }
    let (production, test) = (items(&pair["prodTrafficRoute"]["listenerArns"]), &pair["testTrafficRoute"]);
    if production.len() != 1 {
        return bad_pair("The production traffic route must have exactly one listener");
    }
    if !test.is_null() && items(&test["listenerArns"]).len() != 1 {
        return bad_pair("The test traffic route must have exactly one listener");
    }
    let is_listener = |arn: &Value| arn.as_str().is_some_and(|arn| arn.contains(":listener/"));
    if !production.iter().chain(items(&test["listenerArns"])).all(is_listener) {
        return bad_pair("A traffic route must name listeners by their ARNs");
    }
    Ok(())
}

/// Whether the production listener belongs to a Network Load Balancer, which moves all traffic at once or none.
pub(super) fn is_network(settings: &Map<String, Value>) -> bool {
    let info = settings.get("loadBalancerInfo").unwrap_or(&Value::Null);
    let listener = &info["targetGroupPairInfoList"][0]["prodTrafficRoute"]["listenerArns"][0];
    listener.as_str().is_some_and(|arn| arn.contains(":listener/net/"))
}

fn services(given: &Value) -> Result<(), Failure> {
    let refuse = |message: &str| Err(refused("InvalidECSServiceException", message));
    let [service] = items(given) else {
        return refuse("For ECS deployment group, exactly one ECS service must be specified");
    };
    let has = |key: &str| service[key].as_str().is_some_and(|text| !text.is_empty());
    if has("serviceName") && has("clusterName") {
        return Ok(());
    }
    refuse("The ECS service must have a serviceName and a clusterName")
}
