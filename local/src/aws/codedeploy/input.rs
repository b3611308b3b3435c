//! What every operation reads alike: names, ids, lists, tags, pages.

use super::state::{Application, Group, Region, Tags};
use crate::aws::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What one page of a listing holds. Source: observed; the API reference names no size.
pub(super) const PAGE: usize = 100;

/// Names or ids of one batch. Source: CodeDeploy API reference, `BatchLimitExceededException`.
const BATCH: usize = 100;

/// Tags of one resource. Source: CodeDeploy user guide, "Tagging".
const MOST_TAGS: usize = 50;

/// A refusal by its code and its sentence.
pub(super) fn refused(code: &str, message: impl Into<String>) -> Failure {
    Failure::sender(code, message)
}

/// A kind of thing that has a name, and the words in which a name is refused.
#[derive(Clone, Copy)]
pub(super) enum Named {
    Application,
    Group,
    Config,
}

impl Named {
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Application => {
                ("ApplicationNameRequiredException", "InvalidApplicationNameException", "Application name")
            }
            Self::Group => {
                ("DeploymentGroupNameRequiredException", "InvalidDeploymentGroupNameException", "Deployment group name")
            }
            Self::Config => (
                "DeploymentConfigNameRequiredException",
                "InvalidDeploymentConfigNameException",
                "Deployment configuration name",
            ),
        }
    }

    /// The name under `key`: 1 to 100 of the allowed characters.
    ///
    /// Source: CodeDeploy user guide, "CodeDeploy quotas".
    pub(super) fn read(self, input: &Value, key: &str) -> Result<String, Failure> {
        let (required, invalid, what) = self.words();
        match input[key].as_str() {
            None | Some("") => Err(refused(required, format!("{what} must be specified"))),
            Some(name) if is_name(name) => Ok(name.to_owned()),
            Some(name) => Err(refused(invalid, format!("{what} {name} is not valid"))),
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}

/// The application that `applicationName` names.
pub(super) fn application<'a>(here: &'a mut Region, input: &Value) -> Result<(String, &'a mut Application), Failure> {
    let name = Named::Application.read(input, "applicationName")?;
    match here.applications.get_mut(&name) {
        Some(found) => Ok((name, found)),
        None => Err(no_application(&name)),
    }
}

/// The group that `key` names in an application.
pub(super) fn group<'a>(
    application: &'a mut Application,
    input: &Value,
    key: &str,
) -> Result<(String, &'a mut Group), Failure> {
    let name = Named::Group.read(input, key)?;
    match application.groups.get_mut(&name) {
        Some(found) => Ok((name, found)),
        None => Err(no_group(&name)),
    }
}

pub(super) fn no_application(name: &str) -> Failure {
    refused("ApplicationDoesNotExistException", format!("No application found for name: {name}"))
}

pub(super) fn no_group(name: &str) -> Failure {
    refused("DeploymentGroupDoesNotExistException", format!("No Deployment Group found for name: {name}"))
}

pub(super) fn no_config(name: &str) -> Failure {
    refused("DeploymentConfigDoesNotExistException", format!("No Deployment Configuration found for name: {name}"))
}

/// A deployment's id: `d-` and nine letters or digits.
pub(super) fn deployment_id(input: &Value) -> Result<&str, Failure> {
    match input["deploymentId"].as_str() {
        None | Some("") => Err(refused("DeploymentIdRequiredException", "Deployment id must be specified")),
        Some(id) => is_deployment_id(id).then_some(id).ok_or_else(|| bad_deployment_id(id)),
    }
}

pub(super) fn is_deployment_id(id: &str) -> bool {
    let nine = id.strip_prefix("d-").unwrap_or_default();
    nine.len() == 9 && nine.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

pub(super) fn bad_deployment_id(id: &str) -> Failure {
    refused("InvalidDeploymentIdException", format!("Specified DeploymentId is not in the valid format: {id}"))
}

pub(super) fn no_deployment(id: &str) -> Failure {
    refused("DeploymentDoesNotExistException", format!("The deployment {id} could not be found"))
}

/// The names under `key`: at least one, at most [`BATCH`].
pub(super) fn batch<'a>(input: &'a Value, key: &str, required: &str) -> Result<Vec<&'a str>, Failure> {
    let names: Vec<&str> = input[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if names.is_empty() {
        return Err(refused(required, format!("At least one of {key} must be specified")));
    }
    if names.len() > BATCH {
        let message = format!("The number of {key} exceeds the limit of {BATCH} for one request");
        return Err(refused("BatchLimitExceededException", message));
    }
    Ok(names)
}

/// One page of `names`. The token names the last item given, so no two are alike.
pub(super) fn page(key: &str, names: &[String], input: &Value) -> Result<Value, Failure> {
    let start = match input["nextToken"].as_str().filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| names.iter().position(|name| name.as_bytes() == bytes))
            .map(|last| last + 1)
            .ok_or_else(|| refused("InvalidNextTokenException", "The next token is not valid"))?,
    };
    let given: Vec<&String> = names.iter().skip(start).take(PAGE).collect();
    let mut answer = json!({ key: given });
    if let (true, Some(last)) = (start + given.len() < names.len(), given.last()) {
        answer["nextToken"] = json!(URL_SAFE_NO_PAD.encode(last.as_bytes()));
    }
    Ok(answer)
}

/// Pairs of `Key` and `Value`.
pub(super) fn tags(given: &Value) -> Result<Tags, Failure> {
    let refuse = |message: String| refused("InvalidTagsToAddException", message);
    let mut tags = Tags::new();
    for pair in given.as_array().into_iter().flatten() {
        let (key, value) = (pair["Key"].as_str().unwrap_or_default(), pair["Value"].as_str().unwrap_or_default());
        if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
            return Err(refuse(format!("The tag {key} is not valid: keys have 1 to 128 characters, values up to 256")));
        }
        if key.to_lowercase().starts_with("aws:") {
            return Err(refuse(format!("The tag key {key} begins with the reserved prefix aws:")));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(refuse(format!("The tag key {key} is given twice")));
        }
    }
    within_limit(&tags)?;
    Ok(tags)
}

pub(super) fn within_limit(tags: &Tags) -> Result<(), Failure> {
    let message = || format!("A resource has at most {MOST_TAGS} tags");
    if tags.len() > MOST_TAGS { Err(refused("InvalidTagsToAddException", message())) } else { Ok(()) }
}
