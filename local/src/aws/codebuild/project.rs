//! Build projects: as declared, as made on first use, and as one build overrides them.

use super::{epoch, invalid, required};
use crate::aws::{ACCOUNT, Call, Failure};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Lays the overrides of a StartBuild over a project's settings.
pub(super) fn apply(settings: &mut Map<String, Value>, overrides: &Value) {
    #[rustfmt::skip]
    let places = [
        // override                      part           key
        ("imageOverride",               "environment", "image"),
        ("computeTypeOverride",         "environment", "computeType"),
        ("environmentTypeOverride",     "environment", "type"),
        ("privilegedModeOverride",      "environment", "privilegedMode"),
        ("buildspecOverride",           "source",      "buildspec"),
        ("sourceTypeOverride",          "source",      "type"),
        ("sourceLocationOverride",      "source",      "location"),
    ];
    for (from, part, key) in places {
        if let (Some(value), Some(part)) = (overrides.get(from), settings.get_mut(part)) {
            part[key] = value.clone();
        }
    }
    for (from, key) in
        [("timeoutInMinutesOverride", "timeoutInMinutes"), ("queuedTimeoutInMinutesOverride", "queuedTimeoutInMinutes")]
    {
        if let Some(value) = overrides.get(from) {
            settings.insert(key.to_owned(), value.clone());
        }
    }
    let Some(environment) = settings.get_mut("environment") else { return };
    let mut variables = environment["environmentVariables"].as_array().cloned().unwrap_or_default();
    for given in overrides["environmentVariablesOverride"].as_array().into_iter().flatten() {
        variables.retain(|known| known["name"] != given["name"]);
        let kind = given["type"].as_str().unwrap_or("PLAINTEXT");
        variables.push(json!({ "name": given["name"], "value": given["value"], "type": kind }));
    }
    environment["environmentVariables"] = json!(variables);
}

/// The project that CreateProject declares.
pub(super) fn declare(call: &Call, name: &str) -> Result<Value, Failure> {
    let charset = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !(2..=150).contains(&name.len()) || !charset(name) || name.starts_with(['-', '_']) {
        return Err(invalid(&format!(
            "Project name {name} is invalid: it must match [A-Za-z0-9][A-Za-z0-9\\-_]{{1,149}}"
        )));
    }
    for (part, keys) in
        [("source", ["type"].as_slice()), ("artifacts", &["type"]), ("environment", &["type", "image", "computeType"])]
    {
        for key in keys {
            required(&call.input[part], key).map_err(|_| invalid(&format!("Project {part} {key} is required")))?;
        }
    }
    required(&call.input, "serviceRole")?;
    let mut declared = made_on_first_use(&call.region, name, call.now);
    take_over(&mut declared, &call.input)?;
    let privileged = call.input["environment"]["privilegedMode"].as_bool().unwrap_or(false);
    declared["environment"]["privilegedMode"] = json!(privileged);
    if declared["environment"]["environmentVariables"].is_null() {
        declared["environment"]["environmentVariables"] = json!([]);
    }
    Ok(declared)
}

/// Lays the input of CreateProject or UpdateProject over a project.
///
/// # Errors
/// `InvalidInputException` for a timeout that CodeBuild does not have. Nothing is changed then.
pub(super) fn take_over(declared: &mut Value, input: &Value) -> Result<(), Failure> {
    for (key, longest) in [("timeoutInMinutes", 2160), ("queuedTimeoutInMinutes", 480)] {
        let given = &input[key];
        if !given.is_null() && !given.as_u64().is_some_and(|minutes| (5..=longest).contains(&minutes)) {
            return Err(invalid(&format!("Invalid {key}: it must be between 5 and {longest}")));
        }
    }
    for (key, value) in input.as_object().into_iter().flatten() {
        match key.as_str() {
            // Asked for by one name and told by another.
            "badgeEnabled" => declared["badge"] = json!({ "badgeEnabled": value }),
            _ => declared[key] = value.clone(),
        }
    }
    Ok(())
}

/// A project that nobody declared: it builds images from GitHub.
pub(super) fn made_on_first_use(region: &str, name: &str, now: Timestamp) -> Value {
    json!({
        "name": name,
        "arn": arn_of(region, name),
        "source": { "type": "GITHUB", "location": format!("https://github.com/local/{name}.git") },
        "artifacts": { "type": "NO_ARTIFACTS" },
        "cache": { "type": "NO_CACHE" },
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux2-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [],
            "privilegedMode": true,
            "imagePullCredentialsType": "CODEBUILD",
        },
        "serviceRole": format!("arn:aws:iam::{ACCOUNT}:role/codebuild-{name}"),
        "timeoutInMinutes": 60,
        "queuedTimeoutInMinutes": 480,
        "encryptionKey": format!("arn:aws:kms:{region}:{ACCOUNT}:alias/aws/s3"),
        "tags": [],
        "created": epoch(now),
        "lastModified": epoch(now),
        "badge": { "badgeEnabled": false },
        "projectVisibility": "PRIVATE",
    })
}

/// A project's ARN.
pub(super) fn arn_of(region: &str, name: &str) -> String {
    format!("arn:aws:codebuild:{region}:{ACCOUNT}:project/{name}")
}
