//! Deployment configurations: the predefined ones, and those that people make.

use super::input::{self, Named, refused};
use super::state::{Region, Traffic};
use crate::aws::codebuild::epoch;
use crate::aws::{Aws, Call, Failure};
use serde_json::{Value, json};

/// What an ECS group has that names none.
pub(super) const ECS_DEFAULT: &str = "CodeDeployDefault.ECSAllAtOnce";
/// What any other group has.
pub(super) const DEFAULT: &str = "CodeDeployDefault.OneAtATime";

/// Custom configurations of a region. Source: CodeDeploy user guide, "CodeDeploy quotas" (adjustable).
const MOST_CONFIGS: usize = 50;

/// Minutes between the first and the last shift, at most. Source: the same, "Deployment configurations".
const MOST_MINUTES: u64 = 2_880;

/// The predefined configurations: name, platform, kind of traffic or healthy hosts, percentage, minutes.
///
/// Source: CodeDeploy user guide, "Working with deployment configurations", and ListDeploymentConfigs of an account.
#[rustfmt::skip]
const PREDEFINED: [(&str, &str, &str, u32, u32); 17] = [
    ("AllAtOnce",                      "Server", "HOST_COUNT",      0,  0),
    ("ECSAllAtOnce",                   "ECS",    "AllAtOnce",       0,  0),
    ("ECSCanary10Percent15Minutes",    "ECS",    "TimeBasedCanary", 10, 15),
    ("ECSCanary10Percent5Minutes",     "ECS",    "TimeBasedCanary", 10, 5),
    ("ECSLinear10PercentEvery1Minutes","ECS",    "TimeBasedLinear", 10, 1),
    ("ECSLinear10PercentEvery3Minutes","ECS",    "TimeBasedLinear", 10, 3),
    ("HalfAtATime",                    "Server", "FLEET_PERCENT",   50, 0),
    ("LambdaAllAtOnce",                "Lambda", "AllAtOnce",       0,  0),
    ("LambdaCanary10Percent10Minutes", "Lambda", "TimeBasedCanary", 10, 10),
    ("LambdaCanary10Percent15Minutes", "Lambda", "TimeBasedCanary", 10, 15),
    ("LambdaCanary10Percent30Minutes", "Lambda", "TimeBasedCanary", 10, 30),
    ("LambdaCanary10Percent5Minutes",  "Lambda", "TimeBasedCanary", 10, 5),
    ("LambdaLinear10PercentEvery10Minutes","Lambda","TimeBasedLinear",10,10),
    ("LambdaLinear10PercentEvery1Minute",  "Lambda","TimeBasedLinear",10,1),
    ("LambdaLinear10PercentEvery2Minutes", "Lambda","TimeBasedLinear",10,2),
    ("LambdaLinear10PercentEvery3Minutes", "Lambda","TimeBasedLinear",10,3),
    ("OneAtATime",                     "Server", "HOST_COUNT",      1,  0),
];

#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    PREDEFINED.iter().map(|each| each.0).collect()
}

/// A configuration as `DeploymentConfigInfo` of the API.
pub(super) fn find(here: &Region, name: &str) -> Result<Value, Failure> {
    let predefined = name.strip_prefix("CodeDeployDefault.");
    let Some(known) = predefined.and_then(|short| PREDEFINED.iter().find(|each| each.0 == short)) else {
        return here.configs.get(name).cloned().ok_or_else(|| input::no_config(name));
    };
    let (_, platform, kind, percent, minutes) = known;
    let mut info = json!({ "deploymentConfigName": name, "computePlatform": platform });
    match *kind {
        "TimeBasedCanary" => {
            let canary = json!({ "canaryPercentage": percent, "canaryInterval": minutes });
            info["trafficRoutingConfig"] = json!({ "type": kind, "timeBasedCanary": canary });
        }
        "TimeBasedLinear" => {
            let linear = json!({ "linearPercentage": percent, "linearInterval": minutes });
            info["trafficRoutingConfig"] = json!({ "type": kind, "timeBasedLinear": linear });
        }
        "AllAtOnce" => info["trafficRoutingConfig"] = json!({ "type": kind }),
        hosts => info["minimumHealthyHosts"] = json!({ "type": hosts, "value": percent }),
    }
    Ok(info)
}

/// How a configuration moves traffic.
pub(super) fn traffic(info: &Value) -> Traffic {
    let routing = &info["trafficRoutingConfig"];
    let number = |part: &str, key: &str| u32::try_from(routing[part][key].as_u64().unwrap_or(0)).unwrap_or(0);
    match routing["type"].as_str() {
        Some("TimeBasedCanary") => Traffic::Canary {
            percent: number("timeBasedCanary", "canaryPercentage"),
            minutes: number("timeBasedCanary", "canaryInterval"),
        },
        Some("TimeBasedLinear") => Traffic::Linear {
            percent: number("timeBasedLinear", "linearPercentage"),
            minutes: number("timeBasedLinear", "linearInterval"),
        },
        _ => Traffic::AllAtOnce,
    }
}

pub(super) fn create(here: &mut Region, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let input = &call.input;
    let name = Named::Config.read(input, "deploymentConfigName")?;
    if name.starts_with("CodeDeployDefault.") {
        let message = "Deployment configuration name cannot start with the reserved prefix CodeDeployDefault.";
        return Err(refused("InvalidDeploymentConfigNameException", message));
    }
    let platform = input["computePlatform"].as_str().unwrap_or("Server");
    match platform {
        "ECS" | "Lambda" => check_routing(input, platform)?,
        "Server" => check_hosts(input)?,
        other => {
            let message = format!("The compute platform {other} is not valid. It should be Lambda, Server, or ECS");
            return Err(refused("InvalidComputePlatformException", message));
        }
    }
    if here.configs.contains_key(&name) {
        let message = format!("Deployment configuration already exists with name: {name}");
        return Err(refused("DeploymentConfigAlreadyExistsException", message));
    }
    if here.configs.len() >= MOST_CONFIGS {
        let message = format!("A region has at most {MOST_CONFIGS} custom deployment configurations");
        return Err(refused("DeploymentConfigLimitExceededException", message));
    }
    let id = aws.uuid();
    let mut info = json!({
        "deploymentConfigId": id, "deploymentConfigName": name, "createTime": epoch(call.now),
        "computePlatform": platform,
    });
    for part in ["minimumHealthyHosts", "trafficRoutingConfig", "zonalConfig"] {
        if !input[part].is_null() {
            info[part] = input[part].clone();
        }
    }
    here.configs.insert(name, info);
    Ok(json!({ "deploymentConfigId": id }))
}

/// `trafficRoutingConfig` of a configuration for ECS or Lambda.
fn check_routing(input: &Value, platform: &str) -> Result<(), Failure> {
    let refuse = |message: String| Err(refused("InvalidTrafficRoutingConfigurationException", message));
    if !input["minimumHealthyHosts"].is_null() {
        let message = format!("For {platform} deployment config, minimumHealthyHosts can not be specified");
        return Err(refused("InvalidMinimumHealthyHostValueException", message));
    }
    if !input["zonalConfig"].is_null() {
        let message = format!("For {platform} deployment config, zonalConfig can not be specified");
        return Err(refused("InvalidZonalDeploymentConfigurationException", message));
    }
    let routing = &input["trafficRoutingConfig"];
    let kind = routing["type"].as_str().unwrap_or_default();
    let (mine, other, percent, minutes) = match kind {
        "TimeBasedCanary" => ("timeBasedCanary", "timeBasedLinear", "canaryPercentage", "canaryInterval"),
        "TimeBasedLinear" => ("timeBasedLinear", "timeBasedCanary", "linearPercentage", "linearInterval"),
        "AllAtOnce" if routing["timeBasedCanary"].is_null() && routing["timeBasedLinear"].is_null() => return Ok(()),
        "AllAtOnce" => return refuse("AllAtOnce takes neither timeBasedCanary nor timeBasedLinear".to_owned()),
        _ if routing.is_null() => {
            return refuse(format!("For {platform} deployment config, trafficRoutingConfig must be specified"));
        }
        _ => return refuse(format!("The traffic routing type {kind} is not valid")),
    };
    if routing[mine].is_null() || !routing[other].is_null() {
        return refuse(format!("{kind} takes {mine}, and nothing else"));
    }
    let number = |key: &str| routing[mine][key].as_u64().unwrap_or(0);
    let (percentage, interval) = (number(percent), number(minutes));
    if !(1..=99).contains(&percentage) {
        return refuse(format!("{percent} must be between 1 and 99"));
    }
    let shifts = if kind == "TimeBasedLinear" { 100u64.div_ceil(percentage) - 1 } else { 1 };
    if interval == 0 || interval.saturating_mul(shifts) > MOST_MINUTES {
        return refuse(format!("{minutes} must be at least 1, and all shifts together within {MOST_MINUTES} minutes"));
    }
    Ok(())
}

/// `minimumHealthyHosts` of a configuration for servers.
fn check_hosts(input: &Value) -> Result<(), Failure> {
    if !input["trafficRoutingConfig"].is_null() {
        let message = "For Server deployment config, trafficRoutingConfig can not be specified";
        return Err(refused("InvalidTrafficRoutingConfigurationException", message));
    }
    let hosts = &input["minimumHealthyHosts"];
    let value = hosts["value"].as_i64().unwrap_or(-1);
    let is_valid = match hosts["type"].as_str() {
        Some("HOST_COUNT") => value >= 0,
        Some("FLEET_PERCENT") => (0..100).contains(&value),
        _ => false,
    };
    let message = "The minimum healthy hosts must be a HOST_COUNT of 0 or more, or a FLEET_PERCENT of 0 to 99";
    if is_valid { Ok(()) } else { Err(refused("InvalidMinimumHealthyHostValueException", message)) }
}

pub(super) fn get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let name = Named::Config.read(&call.input, "deploymentConfigName")?;
    Ok(json!({ "deploymentConfigInfo": find(here, &name)? }))
}

pub(super) fn list(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let predefined = PREDEFINED.iter().map(|each| format!("CodeDeployDefault.{}", each.0));
    let names: Vec<String> = predefined.chain(here.configs.keys().cloned()).collect();
    input::page("deploymentConfigsList", &names, &call.input)
}

/// Deletes a custom configuration. One that does not exist is deleted already.
pub(super) fn delete(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let name = Named::Config.read(&call.input, "deploymentConfigName")?;
    if name.starts_with("CodeDeployDefault.") {
        let message = "A predefined deployment configuration cannot be deleted";
        return Err(refused("InvalidOperationException", message));
    }
    let mut groups = here.applications.values().flat_map(|each| each.groups.values());
    let is_used = groups.any(|group| group.settings.get("deploymentConfigName").is_some_and(|used| *used == name));
    let runs = here.deployments.iter().any(|each| each.config == name && !each.status.is_over());
    if is_used || runs {
        let message = format!("The deployment configuration {name} is in use");
        return Err(refused("DeploymentConfigInUseException", message));
    }
    here.configs.remove(&name);
    Ok(json!({}))
}
