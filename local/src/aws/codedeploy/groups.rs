//! The operations of deployment groups.

use super::input::{self, Named, refused};
use super::state::{Group, Region, Tags, Traffic};
use super::{CodeDeploy, configs, ecs, group_rules, revisions};
use crate::aws::codebuild::epoch;
use crate::aws::{Aws, Call, Failure};
use serde_json::{Map, Value, json};

/// Groups of one application. Source: CodeDeploy user guide, "CodeDeploy quotas" (adjustable).
const MOST_GROUPS: usize = 1_000;

/// The members of CreateDeploymentGroup that are kept as given.
const KEPT: [&str; 16] = [
    "alarmConfiguration",
    "autoRollbackConfiguration",
    "autoScalingGroups",
    "blueGreenDeploymentConfiguration",
    "deploymentConfigName",
    "deploymentStyle",
    "ec2DeploymentOptions",
    "ec2TagFilters",
    "ec2TagSet",
    "ecsServices",
    "loadBalancerInfo",
    "onPremisesInstanceTagFilters",
    "onPremisesTagSet",
    "outdatedInstancesStrategy",
    "serviceRoleArn",
    "triggerConfigurations",
];

impl Group {
    pub(super) fn new(aws: &Aws, settings: Map<String, Value>, tags: Tags) -> Self {
        Self { id: aws.uuid(), settings, tags, last_attempted: None, last_successful: None, target: None }
    }
}

/// What is given of a group, without what is empty: an empty list is how a client says nothing.
fn given(input: &Value) -> Map<String, Value> {
    let members = KEPT.into_iter().chain(["terminationHookEnabled"]).map(|key| (key.to_owned(), input[key].clone()));
    members.filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty())).collect()
}

/// Checks a group as it will be; answers with the ECS service to ask for.
fn check(
    here: &Region,
    settings: &mut Map<String, Value>,
    platform: &str,
) -> Result<Option<(String, String)>, Failure> {
    let default = if platform == "ECS" { configs::ECS_DEFAULT } else { configs::DEFAULT };
    let config = settings.entry("deploymentConfigName").or_insert_with(|| json!(default));
    let config = Named::Config.read(&json!({ "name": config }), "name")?;
    let config = configs::find(here, &config)?;
    if config["computePlatform"] != platform {
        let message = format!("The deployment configuration is not one for the compute platform {platform}");
        return Err(refused("InvalidDeploymentConfigNameException", message));
    }
    group_rules::check(settings, platform)?;
    if platform != "ECS" {
        return Ok(None);
    }
    if group_rules::is_network(settings) && configs::traffic(&config) != Traffic::AllAtOnce {
        let message = "Only ALB supports gradual traffic routing, use AllAtOnce Traffic routing instead when you \
                       create/update Deployment group.";
        return Err(refused("InvalidTrafficRoutingConfigurationException", message));
    }
    let service = &settings["ecsServices"][0];
    let text = |key: &str| service[key].as_str().unwrap_or_default().to_owned();
    Ok(Some((text("clusterName"), text("serviceName"))))
}

/// The service must belong to no other group.
fn is_free(here: &Region, settings: &Map<String, Value>, id: Option<&str>) -> Result<(), Failure> {
    let Some(service) = settings.get("ecsServices").map(|services| &services[0]) else { return Ok(()) };
    let mut others = here.applications.values().flat_map(|each| each.groups.values());
    let has_it = |group: &Group| {
        let theirs = group.settings.get("ecsServices").map(|services| &services[0]);
        id != Some(group.id.as_str()) && theirs == Some(service)
    };
    if others.any(has_it) {
        let message = "The Amazon ECS service is already associated with another deployment group";
        return Err(refused("ECSServiceMappingLimitExceededException", message));
    }
    Ok(())
}

/// Asks ECS whether a service is there and leaves its deployments to CodeDeploy.
fn ask_ecs(aws: &Aws, call: &Call, service: Option<(String, String)>) -> Result<(), Failure> {
    let Some((cluster, service)) = service else { return Ok(()) };
    let found = ecs::describe(aws, &call.region, &cluster, &service).map_err(|cause| {
        let what = format!("Could not load ECS service information for cluster: {cluster}, service: {service}.");
        refused("InvalidECSServiceException", format!("{what} Cause: {cause}"))
    })?;
    if found["deploymentController"]["type"] == "CODE_DEPLOY" {
        return Ok(());
    }
    let message = "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller.";
    Err(refused("InvalidECSServiceException", message))
}

fn taken(name: &str) -> Failure {
    let message = format!("Deployment group already exists with name: {name}");
    refused("DeploymentGroupAlreadyExistsException", message)
}

pub(super) fn create(this: &CodeDeploy, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let prepare = |here: &mut Region| {
        let (_, application) = input::application(here, &call.input)?;
        let name = Named::Group.read(&call.input, "deploymentGroupName")?;
        let platform = application.platform.clone();
        if application.groups.contains_key(&name) {
            return Err(taken(&name));
        }
        if application.groups.len() >= MOST_GROUPS {
            let message = format!("An application has at most {MOST_GROUPS} deployment groups");
            return Err(refused("DeploymentGroupLimitExceededException", message));
        }
        let tags = input::tags(&call.input["tags"])?;
        let mut settings = given(&call.input);
        let service = check(here, &mut settings, &platform)?;
        is_free(here, &settings, None)?;
        Ok((name, settings, tags, service))
    };
    let (name, settings, tags, service) = this.with(&call.region, prepare)?;
    ask_ecs(aws, call, service)?;
    // Asked again: the lock was free meanwhile.
    this.with(&call.region, |here| {
        is_free(here, &settings, None)?;
        let (_, application) = input::application(here, &call.input)?;
        if application.groups.contains_key(&name) {
            return Err(taken(&name));
        }
        let made = Group::new(aws, settings, tags);
        let answer = json!({ "deploymentGroupId": made.id });
        application.groups.insert(name, made);
        Ok(answer)
    })
}

pub(super) fn update(this: &CodeDeploy, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let prepare = |here: &mut Region| {
        let (_, application) = input::application(here, &call.input)?;
        let (old, group) = input::group(application, &call.input, "currentDeploymentGroupName")?;
        let (id, mut settings) = (group.id.clone(), group.settings.clone());
        let new = match call.input["newDeploymentGroupName"].is_null() {
            true => old.clone(),
            false => Named::Group.read(&call.input, "newDeploymentGroupName")?,
        };
        if new != old && application.groups.contains_key(&new) {
            return Err(taken(&new));
        }
        // An empty list takes away what was there.
        for key in KEPT.into_iter().filter(|key| !call.input[*key].is_null()) {
            settings.remove(key);
        }
        settings.extend(given(&call.input));
        let platform = application.platform.clone();
        let service = check(here, &mut settings, &platform)?;
        is_free(here, &settings, Some(&id))?;
        Ok((old, new, settings, service.filter(|_| !call.input["ecsServices"].is_null())))
    };
    let (old, new, settings, service) = this.with(&call.region, prepare)?;
    ask_ecs(aws, call, service)?;
    this.with(&call.region, |here| {
        let (_, application) = input::application(here, &call.input)?;
        let mut group = application.groups.remove(&old).ok_or_else(|| input::no_group(&old))?;
        group.settings = settings;
        application.groups.insert(new, group);
        Ok(json!({ "hooksNotCleanedUp": [] }))
    })
}

/// A group as `DeploymentGroupInfo` of the API.
fn answer(here: &Region, application: &str, platform: &str, name: &str, group: &Group) -> Value {
    let mut info = json!({
        "applicationName": application,
        "deploymentGroupId": group.id,
        "deploymentGroupName": name,
        "computePlatform": platform,
        "ec2TagFilters": [],
        "onPremisesInstanceTagFilters": [],
        "autoScalingGroups": [],
        "triggerConfigurations": [],
        "outdatedInstancesStrategy": "UPDATE",
        "terminationHookEnabled": false,
    });
    for (key, value) in &group.settings {
        info[key] = value.clone();
    }
    // The answer holds groups as structures where the request holds names.
    let names = info["autoScalingGroups"].as_array().cloned().unwrap_or_default();
    info["autoScalingGroups"] = names.into_iter().map(|name| json!({ "name": name })).collect();
    if let Some(target) = &group.target {
        info["targetRevision"] = revisions::without_content(target);
    }
    for (key, id) in
        [("lastAttemptedDeployment", &group.last_attempted), ("lastSuccessfulDeployment", &group.last_successful)]
    {
        let Some(last) = id.as_ref().and_then(|id| here.deployment(id)) else { continue };
        info[key] = json!({
            "deploymentId": last.id, "status": last.status.name(), "createTime": epoch(last.created),
        });
        if let Some(completed) = last.completed {
            info[key]["endTime"] = epoch(completed);
        }
    }
    info
}

pub(super) fn get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (application, found) = input::application(here, &call.input)?;
    let platform = found.platform.clone();
    let (name, group) = input::group(found, &call.input, "deploymentGroupName")?;
    let group = group.clone();
    Ok(json!({ "deploymentGroupInfo": answer(here, &application, &platform, &name, &group) }))
}

pub(super) fn batch_get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (application, _) = input::application(here, &call.input)?;
    let names = input::batch(&call.input, "deploymentGroupNames", "DeploymentGroupNameRequiredException")?;
    let Some(kept) = here.applications.get(&application) else { return Err(input::no_application(&application)) };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match kept.groups.get(name) {
            Some(group) => found.push(answer(here, &application, &kept.platform, name, group)),
            None => missing.push(name),
        }
    }
    let mut answer = json!({ "deploymentGroupsInfo": found });
    if !missing.is_empty() {
        answer["errorMessage"] = json!(format!("No Deployment Group found for name: {}", missing.join(", ")));
    }
    Ok(answer)
}

pub(super) fn list(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (name, application) = input::application(here, &call.input)?;
    let names: Vec<String> = application.groups.keys().cloned().collect();
    let mut page = input::page("deploymentGroups", &names, &call.input)?;
    page["applicationName"] = json!(name);
    Ok(page)
}

/// Deletes a group. One that does not exist is deleted already.
pub(super) fn delete(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let application = Named::Application.read(&call.input, "applicationName")?;
    let name = Named::Group.read(&call.input, "deploymentGroupName")?;
    if let Some(application) = here.applications.get_mut(&application) {
        application.groups.remove(&name);
    }
    Ok(json!({ "hooksNotCleanedUp": [] }))
}
