//! Task definitions: registering, finding and retiring them. What may be registered is in `containers`.

use super::containers;
use super::input::{client, invalid, is_name, last, names, page, read_tags, required, show_tags};
use super::input::{copy, strings, text, wants_tags};
use super::model::{Definition, Family, Image, Region, Tags};
use crate::aws::codebuild::{epoch, hex_sha256};
use crate::aws::{ACCOUNT, Call, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What RegisterTaskDefinition's input and `TaskDefinition` have in common.
const KEPT: [&str; 15] = [
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "ephemeralStorage",
    "runtimePlatform",
    "enableFaultInjection",
];

pub(super) fn register(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let tags = read_tags(&call.input)?;
    let definition = add(here, &call.region, &call.input, tags, &call.caller, call.now)?;
    let mut answer = json!({ "taskDefinition": definition.body });
    if !definition.tags.is_empty() {
        answer["tags"] = show_tags(&definition.tags);
    }
    Ok(answer)
}

/// Makes the next revision of a family from `input`, as RegisterTaskDefinition takes it.
pub(super) fn add<'a>(
    here: &'a mut Region,
    region: &str,
    input: &Value,
    tags: Tags,
    by: &str,
    now: Timestamp,
) -> Result<&'a Definition, Failure> {
    let name = text(input, "family").ok_or_else(|| client("Family can not be blank."))?;
    if !is_name(name) {
        return Err(client("Family contains invalid characters."));
    }
    let mut body = Value::Object(copy(input, &KEPT));
    let (containers, compatibilities) = containers::check(input)?;
    body["containerDefinitions"] = containers;
    body["compatibilities"] = compatibilities;
    for list in ["volumes", "placementConstraints"] {
        if body[list].is_null() {
            body[list] = json!([]);
        }
    }
    for (key, size) in [("cpu", containers::cpu(input)?), ("memory", containers::memory(input)?)] {
        if let Some(size) = size {
            body[key] = json!(size.to_string());
        }
    }
    let family = here.families.entry(name.to_owned()).or_default();
    family.last += 1;
    body["taskDefinitionArn"] = json!(format!("arn:aws:ecs:{region}:{ACCOUNT}:task-definition/{name}:{}", family.last));
    body["revision"] = json!(family.last);
    body["status"] = json!("ACTIVE");
    body["registeredAt"] = epoch(now);
    body["registeredBy"] = json!(by);
    Ok(family.revisions.entry(family.last).or_insert(Definition { body, tags }))
}

/// The family and the revision that `family`, `family:revision` or an ARN names.
///
/// A revision that is not a number counts as 0, which no task definition has.
pub(super) fn parse(reference: &str) -> (&str, Option<u64>) {
    let name = if reference.starts_with("arn:") { last(reference) } else { reference };
    match name.split_once(':') {
        None => (name, None),
        Some((family, revision)) => (family, Some(revision.parse().unwrap_or(0))),
    }
}

/// What a reference means: a revision, or the newest active one of a family.
pub(super) fn find<'a>(here: &'a Region, reference: &str) -> Option<&'a Definition> {
    let (name, revision) = parse(reference);
    let family = here.families.get(name)?;
    match revision {
        Some(revision) => family.revisions.get(&revision),
        None => family.revisions.values().rev().find(|definition| definition.is_active()),
    }
}

/// A task definition that services may be given.
pub(super) fn usable<'a>(here: &'a Region, reference: &str) -> Result<&'a Definition, Failure> {
    let found = find(here, reference).ok_or_else(|| client("TaskDefinition not found."))?;
    if found.is_active() { Ok(found) } else { Err(client("TaskDefinition is inactive")) }
}

pub(super) fn describe(here: &Region, call: &Call) -> Result<Value, Failure> {
    let found = find(here, required(&call.input, "taskDefinition")?);
    let definition = found.ok_or_else(|| client("Unable to describe task definition."))?;
    let mut answer = json!({ "taskDefinition": definition.body });
    if wants_tags(&call.input) {
        answer["tags"] = show_tags(&definition.tags);
    }
    Ok(answer)
}

pub(super) fn deregister(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let (name, revision) = parse(required(&call.input, "taskDefinition")?);
    let revision = revision.filter(|revision| *revision > 0);
    let revision = revision.ok_or_else(|| client("Invalid revision number. Number: null"))?;
    let known = here.families.get_mut(name).and_then(|family| family.revisions.get_mut(&revision));
    let definition = known.ok_or_else(|| client("The specified task definition does not exist."))?;
    if definition.body["status"] == "DELETE_IN_PROGRESS" {
        let message = "The task definition could not be deregistered because it is in the process of being deleted.";
        return Err(client(message));
    }
    if definition.is_active() {
        definition.body["status"] = json!("INACTIVE");
        definition.body["deregisteredAt"] = epoch(call.now);
    }
    Ok(json!({ "taskDefinition": definition.body }))
}

pub(super) fn delete(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let wanted = strings(&call.input, "taskDefinitions");
    if !(1..=10).contains(&wanted.len()) {
        return Err(invalid("taskDefinitions must contain between 1 and 10 entries."));
    }
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for reference in wanted {
        let (name, revision) = parse(reference);
        let family = here.families.get_mut(name);
        let known = family.zip(revision).and_then(|(family, revision)| family.revisions.get_mut(&revision));
        let refusal = match &known {
            None if revision.is_none() => {
                "The specified task definition identifier is invalid. Specify a valid name or ARN and try again."
            }
            None => {
                "The specified task definition does not exist. Specify a valid account, family, revision and try again."
            }
            Some(definition) if definition.is_active() => {
                "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
            }
            Some(_) => "",
        };
        match known {
            Some(definition) if refusal.is_empty() => {
                definition.body["status"] = json!("DELETE_IN_PROGRESS");
                definition.body["deleteRequestedAt"] = epoch(call.now);
                deleted.push(definition.body.clone());
            }
            Some(_) | None => failures.push(json!({ "arn": reference, "reason": refusal })),
        }
    }
    Ok(json!({ "taskDefinitions": deleted, "failures": failures }))
}

pub(super) fn list(here: &Region, call: &Call) -> Result<Value, Failure> {
    let status = text(&call.input, "status").unwrap_or("ACTIVE");
    if !["ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"].contains(&status) {
        return Err(client("Invalid task definition status."));
    }
    let family = text(&call.input, "familyPrefix");
    let chosen = here.families.iter().filter(|(name, _)| family.is_none_or(|family| *name == family));
    let all = chosen.flat_map(|(_, family)| family.revisions.values());
    let mut arns: Vec<String> = all.filter(|each| each.body["status"] == status).map(Definition::arn).collect();
    match text(&call.input, "sort") {
        None | Some("ASC") => {}
        Some("DESC") => arns.reverse(),
        Some(_) => return Err(invalid("Invalid sort order.")),
    }
    page("taskDefinitionArns", names(arns), &call.input, 100)
}

pub(super) fn list_families(here: &Region, call: &Call) -> Result<Value, Failure> {
    let is_active = |family: &Family| family.revisions.values().any(Definition::is_active);
    let status = text(&call.input, "status").unwrap_or("ALL");
    if !["ACTIVE", "INACTIVE", "ALL"].contains(&status) {
        return Err(client("Invalid task definition family status."));
    }
    let prefix = text(&call.input, "familyPrefix").unwrap_or_default();
    let named = here.families.iter().filter(|(name, _)| name.starts_with(prefix));
    let chosen = named.filter(|(_, family)| match status {
        "ACTIVE" => is_active(family),
        "INACTIVE" => !is_active(family),
        _ => true,
    });
    page("families", names(chosen.map(|(name, _)| name.clone())), &call.input, 100)
}

/// The images of a task definition's containers.
///
/// A digest that the reference does not carry follows from the tag, as it does where CodeBuild pushes; what ECR
/// knows better is put in its place later.
pub(super) fn images(definition: &Definition) -> Vec<Image> {
    let containers = definition.body["containerDefinitions"].as_array().into_iter().flatten();
    let each = containers.map(|container| {
        let text = |key: &str| container[key].as_str().unwrap_or_default().to_owned();
        let image = text("image");
        let digest = match (image.split_once('@'), last(&image).split_once(':')) {
            (Some((_, digest)), _) => digest.to_owned(),
            // The rule of CodeBuild, which tags what it pushes with the commit.
            (None, Some((_, tag))) => made_up(tag),
            (None, None) => made_up(&image),
        };
        Image { container: text("name"), image, digest }
    });
    each.collect()
}

fn made_up(image: &str) -> String {
    format!("sha256:{}", hex_sha256(&format!("image:{image}")))
}
