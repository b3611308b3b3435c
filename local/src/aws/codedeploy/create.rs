//! CreateDeployment, and the same for a pipeline.

use super::appspec::AppSpec;
use super::engine::{self, Step};
use super::input::{self, refused};
use super::state::{Deployment, Group, LifecycleEvent, Phase, Region, Status, Traffic};
use super::{configs, deployment_id, group_rules, revisions};
use crate::aws::{Aws, Call, Failure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A deployment as it is asked for: what of CreateDeployment's input has been read.
pub(super) struct Order {
    pub(super) application: String,
    pub(super) group: String,
    pub(super) revision: Value,
    pub(super) config: Option<String>,
    pub(super) description: Option<String>,
    pub(super) auto_rollback: Option<Value>,
    pub(super) override_alarms: Option<Value>,
    pub(super) fails: bool,
    pub(super) takes: Option<SignedDuration>,
    pub(super) key: Option<String>,
}

pub(super) fn create(here: &mut Region, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let input = &call.input;
    let (application, found) = input::application(here, input)?;
    let platform = found.platform.clone();
    let (group, _) = input::group(found, input, "deploymentGroupName")?;
    if platform != "ECS" {
        let what = format!("CreateDeployment for the compute platform {platform}");
        return Err(Failure::not_emulated("CodeDeploy", &what));
    }
    not_for_ecs(input)?;
    let given = |key: &str| Some(&input[key]).filter(|value| !value.is_null()).cloned();
    let order = Order {
        application,
        group,
        revision: revisions::read(&input["revision"])?,
        config: given("deploymentConfigName")
            .map(|_| input::Named::Config.read(input, "deploymentConfigName"))
            .transpose()?,
        description: revisions::description(input)?,
        auto_rollback: given("autoRollbackConfiguration"),
        override_alarms: given("overrideAlarmConfiguration"),
        fails: false,
        takes: None,
        key: None,
    };
    group_rules::auto_rollback(&input["autoRollbackConfiguration"])?;
    group_rules::alarms(&input["overrideAlarmConfiguration"])?;
    Ok(json!({ "deploymentId": begin(here, aws, &call.region, order, call.now)? }))
}

/// What only servers have.
fn not_for_ecs(input: &Value) -> Result<(), Failure> {
    let behaviours = ["DISALLOW", "OVERWRITE", "RETAIN"];
    if input["fileExistsBehavior"].as_str().is_some_and(|given| !behaviours.contains(&given)) {
        let message = "fileExistsBehavior must be DISALLOW, OVERWRITE or RETAIN";
        return Err(refused("InvalidFileExistsBehaviorException", message));
    }
    if input["deploymentMode"] == "RESTART" {
        return Err(refused("InvalidInputException", "For ECS deployment, deploymentMode can not be RESTART"));
    }
    for (key, code) in [
        ("ignoreApplicationStopFailures", "InvalidIgnoreApplicationStopFailuresValueException"),
        ("updateOutdatedInstancesOnly", "InvalidUpdateOutdatedInstancesOnlyValueException"),
    ] {
        if input[key] == true {
            return Err(refused(code, format!("For ECS deployment, {key} can not be true")));
        }
    }
    if !input["targetInstances"].is_null() {
        let message = "For ECS deployment, targetInstances can not be specified";
        return Err(refused("InvalidTargetInstancesException", message));
    }
    Ok(())
}

/// Creates a deployment, which begins by itself a little later. Answers with its id.
pub(super) fn begin(
    here: &mut Region,
    aws: &Aws,
    region: &str,
    order: Order,
    now: Timestamp,
) -> Result<String, Failure> {
    let missing = || input::no_application(&order.application);
    let application = here.applications.get(&order.application).ok_or_else(missing)?;
    let group = application.groups.get(&order.group).ok_or_else(|| input::no_group(&order.group))?.clone();
    let tag = Tag::read(application.tags.get("local:deploy").map_or("", String::as_str));
    let content = match revisions::content(&order.revision) {
        Some(content) => content.to_owned(),
        None => known_content(here, &order)?,
    };
    let (config, traffic) = how(here, order.config.as_deref(), &group)?;
    let spec = AppSpec::read(&content);
    if let Some(hook) = spec.as_ref().ok().and_then(|spec| spec.hooks.first()) {
        return Err(Failure::not_emulated("CodeDeploy", &format!("CreateDeployment with the hook {hook}")));
    }
    if let Some(active) = here.active_in(&group.id) {
        let message =
            format!("The Deployment Group '{}' already has an active Deployment '{}'", order.group, active.id);
        return Err(refused("DeploymentLimitExceededException", message));
    }
    let plan = Plan { region: region.to_owned(), group, config, traffic, spec, tag };
    let deployment = planned(aws, order, plan, now);
    let id = deployment.id.clone();
    if let Some(application) = here.applications.get_mut(&deployment.application) {
        if let Some(revision) = deployment.revision.as_ref().and_then(|location| application.remember(location, now)) {
            revision.first_used.get_or_insert(now);
            revision.last_used = Some(now);
        }
        if let Some(group) = application.groups.get_mut(&deployment.group) {
            group.last_attempted = Some(id.clone());
        }
    }
    here.deployments.push(deployment);
    Ok(id)
}

/// The content of a revision that was named by its hash, or lies elsewhere.
fn known_content(here: &Region, order: &Order) -> Result<String, Failure> {
    if let kind @ ("S3" | "GitHub") = order.revision["revisionType"].as_str().unwrap_or_default() {
        return Err(Failure::not_emulated("CodeDeploy", &format!("CreateDeployment of a revision in {kind}")));
    }
    let known = here.applications.get(&order.application).and_then(|each| each.revision(&order.revision));
    let content = known.and_then(|revision| revisions::content(&revision.location));
    let missing = || refused("RevisionDoesNotExistException", "No revision found for the specified hash");
    content.map(str::to_owned).ok_or_else(missing)
}

/// How traffic moves: as the order's configuration says, or the group's.
fn how(here: &Region, wanted: Option<&str>, group: &Group) -> Result<(String, Traffic), Failure> {
    let default = || group.settings.get("deploymentConfigName").and_then(Value::as_str);
    let config = wanted.or_else(default).unwrap_or(configs::ECS_DEFAULT);
    let info = configs::find(here, config)?;
    if info["computePlatform"] == "ECS" {
        return Ok((config.to_owned(), configs::traffic(&info)));
    }
    let message = "For ECS deployment, the deployment configuration must be one for the compute platform ECS";
    Err(refused("InvalidDeploymentConfigNameException", message))
}

/// What decides over a deployment beside its order.
struct Plan {
    region: String,
    group: Group,
    config: String,
    traffic: Traffic,
    spec: Result<AppSpec, String>,
    tag: Tag,
}

fn planned(aws: &Aws, order: Order, plan: Plan, now: Timestamp) -> Deployment {
    let Plan { region, group, config, traffic, spec, tag } = plan;
    Deployment {
        id: deployment_id(aws),
        region,
        application: order.application,
        group: order.group,
        group_id: group.id.clone(),
        config,
        traffic,
        revision: Some(order.revision),
        previous: group.target.clone(),
        description: order.description,
        creator: "user".to_owned(),
        status: Status::Created,
        error: None,
        created: now,
        started: None,
        completed: None,
        updated: now,
        auto_rollback: order.auto_rollback.or_else(|| group.settings.get("autoRollbackConfiguration").cloned()),
        override_alarms: order.override_alarms,
        settings: group.settings.clone(),
        undoes: None,
        undone_by: None,
        spec,
        missing: None,
        events: lifecycle(&group),
        blue: None,
        green: None,
        service_arn: None,
        weight: 0,
        is_terminating: false,
        note: None,
        next: Some((engine::begins(aws.behaviour().pace, now), Step::Start)),
        look: None,
        install_ends: None,
        fails: order.fails || tag.fails,
        takes: order.takes.or(tag.takes),
        key: order.key,
    }
}

/// The lifecycle events: those of the test traffic only where there is a test listener.
fn lifecycle(group: &Group) -> Vec<LifecycleEvent> {
    let info = group.settings.get("loadBalancerInfo").unwrap_or(&Value::Null);
    let is_tested = !info["targetGroupPairInfoList"][0]["testTrafficRoute"].is_null();
    let names = [
        ("BeforeInstall", true),
        ("Install", true),
        ("AfterInstall", true),
        ("AllowTestTraffic", is_tested),
        ("AfterAllowTestTraffic", is_tested),
        ("BeforeAllowTraffic", true),
        ("AllowTraffic", true),
        ("AfterAllowTraffic", true),
    ];
    let kept = names.into_iter().filter(|(_, is_kept)| *is_kept);
    kept.map(|(name, _)| LifecycleEvent { name: name.to_owned(), phase: Phase::Pending, from: None, to: None })
        .collect()
}

/// What an application's tag `local:deploy` says of its deployments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tag {
    fails: bool,
    takes: Option<SignedDuration>,
}

impl Tag {
    fn read(value: &str) -> Self {
        let mut tag = Self::default();
        for word in value.split_whitespace() {
            let number = |unit| word.strip_suffix(unit).and_then(|number: &str| number.parse::<u32>().ok());
            if word == "fail" {
                tag.fails = true;
            } else if let Some(seconds) = number("s") {
                tag.takes = Some(SignedDuration::from_secs(i64::from(seconds)));
            } else if let Some(minutes) = number("m") {
                tag.takes = Some(SignedDuration::from_mins(i64::from(minutes)));
            }
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_how_deployments_go() {
        let seconds = |n| Some(SignedDuration::from_secs(n));
        #[rustfmt::skip]
        let cases = [
            // value        fails   takes         why
            ("",            false,  None,         "no tag"),
            ("fail",        true,   None,         "the result alone"),
            ("90s",         false,  seconds(90),  "the duration alone"),
            ("fail 90s",    true,   seconds(90),  "both"),
            ("5m",          false,  seconds(300), "minutes"),
            ("failure",     false,  None,         "only the exact word"),
        ];
        for (value, fails, takes, why) in cases {
            assert_eq!(Tag::read(value), Tag { fails, takes }, "{value}: {why}");
        }
    }
}
