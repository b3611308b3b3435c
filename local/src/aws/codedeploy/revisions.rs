//! Revisions of an application: registered by hand, or by the first deployment that uses them.

use super::input::{self, refused};
use super::state::{Application, Region, Revision};
use crate::aws::codebuild::{epoch, hex_sha256};
use crate::aws::{Call, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The longest description. Source: CodeDeploy user guide, "CodeDeploy quotas".
const LONGEST_DESCRIPTION: usize = 256;

/// A description, if there is one.
pub(super) fn description(input: &Value) -> Result<Option<String>, Failure> {
    match input["description"].as_str() {
        Some(text) if text.chars().count() > LONGEST_DESCRIPTION => {
            let message = format!("The description has more than {LONGEST_DESCRIPTION} characters");
            Err(refused("DescriptionTooLongException", message))
        }
        given => Ok(given.map(str::to_owned)),
    }
}

/// A revision as it is kept: with the hash of its content where it has one.
pub(super) fn read(given: &Value) -> Result<Value, Failure> {
    if given.is_null() {
        return Err(refused("RevisionRequiredException", "RevisionLocation must be specified"));
    }
    let invalid = |message: &str| refused("InvalidRevisionException", message);
    let kind = given["revisionType"].as_str().unwrap_or_default();
    let part = match kind {
        "AppSpecContent" => "appSpecContent",
        "String" => "string",
        "S3" | "GitHub" => {
            let (part, required) = if kind == "S3" {
                ("s3Location", ["bucket", "key"])
            } else {
                ("gitHubLocation", ["repository", "commitId"])
            };
            let has = |key: &str| given[part][key].as_str().is_some_and(|text| !text.is_empty());
            if required.into_iter().all(has) {
                return Ok(json!({ "revisionType": kind, part: given[part] }));
            }
            return Err(invalid(&format!("{part} must have {} and {}", required[0], required[1])));
        }
        "" => return Err(invalid("The revision type must be specified")),
        other => return Err(invalid(&format!("The revision type {other} is not valid"))),
    };
    let (content, hash) = (given[part]["content"].as_str(), given[part]["sha256"].as_str());
    match (content.filter(|text| !text.is_empty()), hash) {
        (None, None) => Err(invalid("The content of the revision must be specified")),
        (None, Some(hash)) => Ok(json!({ "revisionType": kind, part: { "sha256": hash } })),
        (Some(content), hash) => {
            let found = hex_sha256(content);
            if hash.is_some_and(|hash| !hash.eq_ignore_ascii_case(&found)) {
                return Err(invalid("The SHA256 hash does not match the content of the revision"));
            }
            Ok(json!({ "revisionType": kind, part: { "content": content, "sha256": found } }))
        }
    }
}

/// The content of a revision that carries it.
pub(super) fn content(location: &Value) -> Option<&str> {
    ["appSpecContent", "string"].into_iter().find_map(|part| location[part]["content"].as_str())
}

/// A revision as most answers show it: without its content.
///
/// Source: CodeDeploy API reference, GetDeployment: "the content property … is always null".
pub(super) fn without_content(location: &Value) -> Value {
    let mut shown = location.clone();
    for part in ["appSpecContent", "string"] {
        if let Some(members) = shown.get_mut(part).and_then(Value::as_object_mut) {
            members.remove("content");
        }
    }
    shown
}

impl Application {
    pub(super) fn revision(&self, location: &Value) -> Option<&Revision> {
        let wanted = without_content(location);
        self.revisions.iter().find(|each| without_content(&each.location) == wanted)
    }

    /// Registers a revision, unless it is.
    pub(super) fn remember(&mut self, location: &Value, now: Timestamp) -> Option<&mut Revision> {
        let wanted = without_content(location);
        if self.revision(location).is_none() {
            let (location, description) = (location.clone(), None);
            let new = Revision { location, description, registered: now, first_used: None, last_used: None };
            self.revisions.push(new);
        }
        self.revisions.iter_mut().find(|each| without_content(&each.location) == wanted)
    }

    fn info(&self, revision: &Revision) -> Value {
        let plain = without_content(&revision.location);
        let is_target = |target: &Value| without_content(target) == plain;
        let groups = self.groups.iter().filter(|(_, group)| group.target.as_ref().is_some_and(is_target));
        let mut info = json!({
            "deploymentGroups": groups.map(|(name, _)| name).collect::<Vec<_>>(),
            "registerTime": epoch(revision.registered),
        });
        for (key, at) in [("firstUsedTime", revision.first_used), ("lastUsedTime", revision.last_used)] {
            if let Some(at) = at {
                info[key] = epoch(at);
            }
        }
        if let Some(description) = &revision.description {
            info["description"] = json!(description);
        }
        info
    }
}

pub(super) fn register(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (_, application) = input::application(here, &call.input)?;
    let location = read(&call.input["revision"])?;
    let description = description(&call.input)?;
    if let Some(revision) = application.remember(&location, call.now) {
        revision.description = description.or(revision.description.take());
    }
    Ok(json!({}))
}

pub(super) fn get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (name, application) = input::application(here, &call.input)?;
    let location = read(&call.input["revision"])?;
    let missing = || refused("RevisionDoesNotExistException", "No revision found for the specified location");
    let revision = application.revision(&location).ok_or_else(missing)?;
    let info = application.info(revision);
    Ok(json!({ "applicationName": name, "revision": revision.location, "revisionInfo": info }))
}

pub(super) fn batch_get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    /// Source: CodeDeploy API reference, BatchGetApplicationRevisions.
    const MOST: usize = 25;
    let (name, application) = input::application(here, &call.input)?;
    let wanted = call.input["revisions"].as_array().cloned().unwrap_or_default();
    if wanted.is_empty() {
        return Err(refused("RevisionRequiredException", "At least one revision must be specified"));
    }
    if wanted.len() > MOST {
        let message = format!("The number of revisions exceeds the limit of {MOST} for one request");
        return Err(refused("BatchLimitExceededException", message));
    }
    let (mut found, mut missing) = (Vec::new(), 0);
    for location in &wanted {
        match application.revision(&read(location)?) {
            Some(revision) => found.push(json!({
                "revisionLocation": revision.location, "genericRevisionInfo": application.info(revision),
            })),
            None => missing += 1,
        }
    }
    let mut answer = json!({ "applicationName": name, "revisions": found });
    if missing > 0 {
        answer["errorMessage"] = json!(format!("{missing} of the revisions could not be found"));
    }
    Ok(answer)
}

pub(super) fn list(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (_, application) = input::application(here, &call.input)?;
    let one_of = |key: &str, values: &[&str], code: &str| match call.input[key].as_str() {
        Some(given) if !values.contains(&given) => Err(refused(code, format!("{key} {given} is not valid"))),
        given => Ok(given.map(str::to_owned)),
    };
    let sort = one_of("sortBy", &["registerTime", "firstUsedTime", "lastUsedTime"], "InvalidSortByException")?;
    let order = one_of("sortOrder", &["ascending", "descending"], "InvalidSortOrderException")?;
    let deployed = one_of("deployed", &["include", "exclude", "ignore"], "InvalidDeployedStateFilterException")?;
    let (bucket, prefix) = (call.input["s3Bucket"].as_str(), call.input["s3KeyPrefix"].as_str());
    if prefix.is_some() && bucket.is_none() {
        return Err(refused("BucketNameFilterRequiredException", "A bucket name must be specified with a key prefix"));
    }
    let matches = |revision: &&Revision| {
        let s3 = &revision.location["s3Location"];
        let is_target = !application.info(revision)["deploymentGroups"].as_array().is_none_or(Vec::is_empty);
        let wanted = match deployed.as_deref() {
            Some("include") => is_target,
            Some("exclude") => !is_target,
            _ => true,
        };
        let in_bucket = bucket.is_none_or(|bucket| s3["bucket"] == bucket);
        wanted && in_bucket && prefix.is_none_or(|start| s3["key"].as_str().is_some_and(|key| key.starts_with(start)))
    };
    let mut found: Vec<&Revision> = application.revisions.iter().filter(matches).collect();
    match sort.as_deref() {
        Some("firstUsedTime") => found.sort_by_key(|revision| revision.first_used),
        Some("lastUsedTime") => found.sort_by_key(|revision| revision.last_used),
        _ => found.sort_by_key(|revision| revision.registered),
    }
    if order.as_deref() == Some("descending") {
        found.reverse();
    }
    let locations: Vec<String> = found.iter().map(|each| without_content(&each.location).to_string()).collect();
    let mut page = input::page("revisions", &locations, &call.input)?;
    let shown = page["revisions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    page["revisions"] = shown.filter_map(|text| serde_json::from_str::<Value>(text).ok()).collect();
    Ok(page)
}
