//! The operations of applications.

use super::input::{self, Named, refused};
use super::state::{Application, Region};
use crate::aws::codebuild::epoch;
use crate::aws::{Aws, Call, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Applications of a region. Source: CodeDeploy user guide, "CodeDeploy quotas" (adjustable).
const MOST_APPLICATIONS: usize = 1_000;

impl Application {
    pub(super) fn new(aws: &Aws, platform: &str, now: Timestamp) -> Self {
        Self {
            id: aws.uuid(),
            platform: platform.to_owned(),
            created: now,
            tags: BTreeMap::new(),
            groups: BTreeMap::new(),
            revisions: Vec::new(),
        }
    }

    fn answer(&self, name: &str) -> Value {
        json!({
            "applicationId": self.id,
            "applicationName": name,
            "createTime": epoch(self.created),
            "linkedToGitHub": false,
            "computePlatform": self.platform,
        })
    }
}

fn taken(name: &str) -> Failure {
    refused("ApplicationAlreadyExistsException", format!("Application already exists with name: {name}"))
}

pub(super) fn create(here: &mut Region, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let name = Named::Application.read(&call.input, "applicationName")?;
    let platform = call.input["computePlatform"].as_str().unwrap_or("Server");
    if !["Server", "Lambda", "ECS"].contains(&platform) {
        let message = format!("The compute platform {platform} is not valid. It should be Lambda, Server, or ECS");
        return Err(refused("InvalidComputePlatformException", message));
    }
    let tags = input::tags(&call.input["tags"])?;
    if here.applications.contains_key(&name) {
        return Err(taken(&name));
    }
    if here.applications.len() >= MOST_APPLICATIONS {
        let message = format!("A region has at most {MOST_APPLICATIONS} applications");
        return Err(refused("ApplicationLimitExceededException", message));
    }
    let made = Application { tags, ..Application::new(aws, platform, call.now) };
    let answer = json!({ "applicationId": made.id });
    here.applications.insert(name, made);
    Ok(answer)
}

pub(super) fn get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (name, found) = input::application(here, &call.input)?;
    Ok(json!({ "application": found.answer(&name) }))
}

pub(super) fn batch_get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let names = input::batch(&call.input, "applicationNames", "ApplicationNameRequiredException")?;
    let found = names.into_iter().map(|name| {
        let name = Named::Application.read(&json!({ "applicationName": name }), "applicationName")?;
        here.applications.get(&name).map(|each| each.answer(&name)).ok_or_else(|| input::no_application(&name))
    });
    Ok(json!({ "applicationsInfo": found.collect::<Result<Vec<_>, _>>()? }))
}

pub(super) fn list(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let names: Vec<String> = here.applications.keys().cloned().collect();
    input::page("applications", &names, &call.input)
}

/// Renames an application. Without a new name nothing changes.
pub(super) fn update(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (old, _) = input::application(here, &call.input)?;
    if call.input["newApplicationName"].is_null() {
        return Ok(json!({}));
    }
    let new = Named::Application.read(&call.input, "newApplicationName")?;
    if new != old && here.applications.contains_key(&new) {
        return Err(taken(&new));
    }
    if let Some(application) = here.applications.remove(&old) {
        here.applications.insert(new, application);
    }
    Ok(json!({}))
}

/// Deletes an application with its groups. One that does not exist is deleted already.
pub(super) fn delete(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let name = Named::Application.read(&call.input, "applicationName")?;
    here.applications.remove(&name);
    Ok(json!({}))
}
