//! The tags of applications and groups, by their ARNs.

use super::input::{self, no_application, no_group, refused};
use super::state::{Region, Tags};
use crate::aws::{ACCOUNT, Call, Failure};
use serde_json::{Value, json};

/// The ARN of an application.
pub(super) fn application_arn(region: &str, application: &str) -> String {
    format!("arn:aws:codedeploy:{region}:{ACCOUNT}:application:{application}")
}

/// The ARN of a group.
pub(super) fn group_arn(region: &str, application: &str, group: &str) -> String {
    format!("arn:aws:codedeploy:{region}:{ACCOUNT}:deploymentgroup:{application}/{group}")
}

fn tags_of<'a>(here: &'a mut Region, call: &Call) -> Result<&'a mut Tags, Failure> {
    let arn = call.input["ResourceArn"].as_str().unwrap_or_default();
    if arn.is_empty() {
        return Err(refused("ResourceArnRequiredException", "The ARN of a resource must be specified"));
    }
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let ["arn", "aws", "codedeploy", region, ACCOUNT, kind, name] = parts.as_slice() else {
        return Err(refused("InvalidArnException", format!("The ARN {arn} is not valid")));
    };
    if *region != call.region {
        return Err(refused("InvalidArnException", format!("The ARN {arn} names another region")));
    }
    match (*kind, name.split_once('/')) {
        ("application", None) => {
            let found = here.applications.get_mut(*name).ok_or_else(|| no_application(name))?;
            Ok(&mut found.tags)
        }
        ("deploymentgroup", Some((application, group))) => {
            let found = here.applications.get_mut(application).ok_or_else(|| no_application(application))?;
            Ok(&mut found.groups.get_mut(group).ok_or_else(|| no_group(group))?.tags)
        }
        _ => Err(refused("ArnNotSupportedException", format!("Resources such as {arn} have no tags"))),
    }
}

pub(super) fn tag(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let tags = tags_of(here, call)?;
    let new = input::tags(&call.input["Tags"])?;
    if new.is_empty() {
        return Err(refused("TagRequiredException", "At least one tag must be specified"));
    }
    let mut all = tags.clone();
    all.extend(new);
    input::within_limit(&all)?;
    *tags = all;
    Ok(json!({}))
}

pub(super) fn untag(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let tags = tags_of(here, call)?;
    let keys: Vec<&str> = call.input["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if keys.is_empty() {
        return Err(refused("TagRequiredException", "At least one tag key must be specified"));
    }
    tags.retain(|key, _| !keys.contains(&key.as_str()));
    Ok(json!({}))
}

pub(super) fn list(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let tags = tags_of(here, call)?;
    let pairs: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    Ok(json!({ "Tags": pairs }))
}
