//! ListSecrets and pages: which secrets, in which order, how many at a time.

use super::{Secret, Secrets};
use crate::aws::{Call, Failure};
use serde_json::{Value, json};

/// What one page of a listing holds at most.
const LARGEST_PAGE: usize = 100;

/// The secrets that the filters let through, in the order that was asked for.
pub(super) fn list(secrets: &Secrets, call: &Call) -> Result<Value, Failure> {
    let with_deleted = call.input["IncludePlannedDeletion"].as_bool().unwrap_or(false);
    let filters = call.input["Filters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut found: Vec<&Secret> = secrets
        .iter()
        .filter(|((region, _), secret)| *region == call.region && (with_deleted || secret.deleted.is_none()))
        .filter(|(_, secret)| filters.iter().all(|filter| passes(secret, filter)))
        .map(|(_, secret)| secret)
        .collect();
    // Nothing here notes when a value was read, so that order is that of creation.
    match call.input["SortBy"].as_str() {
        Some("name") => found.sort_by(|one, other| one.name.cmp(&other.name)),
        Some("last-changed-date") => found.sort_by_key(|secret| secret.changed),
        Some("created-date" | "last-accessed-date") | None => found.sort_by_key(|secret| secret.created),
        Some(_) => return Err(outside("sortBy", &call.input["SortBy"])),
    }
    match call.input["SortOrder"].as_str() {
        Some("asc") | None => {}
        Some("desc") => found.reverse(),
        Some(_) => return Err(outside("sortOrder", &call.input["SortOrder"])),
    }
    let shown = found.into_iter().map(|secret| secret.describe("SecretVersionsToStages"));
    page(call, "SecretList", shown.collect())
}

/// Whether a secret passes one filter: names and tags by prefix, a "!" in front turns a value round.
fn passes(secret: &Secret, filter: &Value) -> bool {
    let key = filter["Key"].as_str().unwrap_or_default();
    let fields: Vec<&str> = match key {
        "name" => vec![&secret.name],
        "description" => secret.description.iter().map(String::as_str).collect(),
        "tag-key" => secret.tags.keys().map(String::as_str).collect(),
        "tag-value" => secret.tags.values().map(String::as_str).collect(),
        _ => [secret.name.as_str()].into_iter().chain(secret.description.as_deref()).collect(),
    };
    let has = |prefix: &str| fields.iter().any(|field| field.starts_with(prefix));
    let values = filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str);
    values.into_iter().any(|value| value.strip_prefix('!').map_or_else(|| has(value), |value| !has(value)))
}

/// One page of a list; the token is where the next page starts.
pub(super) fn page(call: &Call, member: &str, all: Vec<Value>) -> Result<Value, Failure> {
    let given = &call.input["MaxResults"];
    let most = if given.is_null() { Some(LARGEST_PAGE) } else { given.as_u64().and_then(|most| most.try_into().ok()) };
    let most = most.filter(|most| (1..=LARGEST_PAGE).contains(most)).ok_or_else(|| outside("maxResults", given))?;
    let start = match call.input["NextToken"].as_str() {
        None => 0,
        Some(token) => token
            .parse()
            .ok()
            .filter(|start| *start < all.len())
            .ok_or_else(|| Failure::sender("InvalidNextTokenException", "The NextToken value is invalid."))?,
    };
    let is_last = start + most >= all.len();
    let items: Vec<Value> = all.into_iter().skip(start).take(most).collect();
    let mut answer = json!({ member: items });
    if !is_last {
        answer["NextToken"] = Value::String((start + most).to_string());
    }
    Ok(answer)
}

/// The failure for a value that the service's model does not allow.
fn outside(member: &str, value: &Value) -> Failure {
    let message = format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint");
    Failure::sender("ValidationException", message)
}
