//! Reading requests: names or ARNs, tags, pages.

use super::model::{self, Cluster, Region, Service, Tags};
use crate::aws::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// How many tags a resource may carry. Source: "Maximum number of tags per resource - 50".
const MOST_TAGS: usize = 50;

pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::sender("InvalidParameterException", message)
}

pub(super) fn client(message: impl Into<String>) -> Failure {
    Failure::sender("ClientException", message)
}

pub(super) fn no_cluster() -> Failure {
    Failure::sender("ClusterNotFoundException", "Cluster not found.")
}

pub(super) fn no_service() -> Failure {
    Failure::sender("ServiceNotFoundException", "Service not found.")
}

pub(super) fn text<'a>(input: &'a Value, key: &str) -> Option<&'a str> {
    input[key].as_str().filter(|text| !text.is_empty())
}

pub(super) fn required<'a>(input: &'a Value, key: &str) -> Result<&'a str, Failure> {
    text(input, key).ok_or_else(|| invalid(format!("{key} can not be blank.")))
}

/// The strings of a list.
pub(super) fn strings<'a>(input: &'a Value, key: &str) -> Vec<&'a str> {
    input[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether `include` asks for tags.
pub(super) fn wants_tags(input: &Value) -> bool {
    strings(input, "include").contains(&"TAGS")
}

/// What an identifier names: the last part of an ARN, or a name as it is.
pub(super) fn last(identifier: &str) -> &str {
    identifier.rsplit('/').next().unwrap_or(identifier)
}

/// The name of the cluster that a request means. Without one it is `default`.
pub(super) fn cluster_name(input: &Value) -> &str {
    text(input, "cluster").map_or("default", last)
}

/// Whether `name` is what ECS takes for clusters, services, families and containers.
pub(super) fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=255).contains(&name.len()) && name.bytes().all(is_letter)
}

impl Region {
    /// The cluster that a request means.
    pub(super) fn cluster(&self, input: &Value) -> Result<(&str, &Cluster), Failure> {
        let found = self.clusters.get_key_value(cluster_name(input)).ok_or_else(no_cluster)?;
        if !found.1.is_active {
            return Err(Failure::sender("ClusterNotFoundException", "The referenced cluster was inactive."));
        }
        Ok((found.0, found.1))
    }

    /// The key of the service that a request means by `identifier`, whether or not it exists.
    pub(super) fn service_key(&self, input: &Value, identifier: &str) -> Result<String, Failure> {
        let (cluster, _) = self.cluster(input)?;
        let path = identifier.split_once(":service/").map_or("", |(_, path)| path);
        match path.split_once('/') {
            Some((other, _)) if other != cluster => {
                Err(invalid(format!("Identifier is for cluster {other}. Your cluster is {cluster}")))
            }
            Some(_) | None => Ok(model::key(cluster, last(identifier))),
        }
    }

    /// The service that a request means by `service`, for reading.
    pub(super) fn service(&self, input: &Value) -> Result<&Service, Failure> {
        let key = self.service_key(input, required(input, "service")?)?;
        self.services.get(&key).ok_or_else(no_service)
    }

    /// The service that a request means by `service`, for a change: it must be active.
    pub(super) fn active_service(&mut self, input: &Value) -> Result<&mut Service, Failure> {
        let key = self.service_key(input, required(input, "service")?)?;
        let service = self.services.get_mut(&key).ok_or_else(no_service)?;
        match service.life {
            model::Life::Active => Ok(service),
            model::Life::Draining | model::Life::Inactive => {
                Err(Failure::sender("ServiceNotActiveException", "Service was not ACTIVE."))
            }
        }
    }
}

/// The tags of a request's `tags`.
pub(super) fn read_tags(input: &Value) -> Result<Tags, Failure> {
    let mut tags = Tags::new();
    for tag in input["tags"].as_array().into_iter().flatten() {
        let key = tag["key"].as_str().unwrap_or_default();
        let value = tag["value"].as_str().unwrap_or_default();
        if !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256 {
            return Err(invalid("Tag keys have 1 to 128 characters, and values up to 256."));
        }
        let is_fine = |letter: char| letter.is_alphanumeric() || letter.is_whitespace() || "_.:/=+-@".contains(letter);
        if !key.chars().all(is_fine) || !value.chars().all(is_fine) {
            return Err(invalid(
                "Some of the tags contain invalid characters. Valid characters: UTF-8 letters, \
                                spaces, numbers and _ . / = + - : @.",
            ));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys can't start with aws:"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(invalid(format!("Duplicate tag keys found: {key}")));
        }
    }
    bounded(&tags)?;
    Ok(tags)
}

/// Refuses more tags than a resource may carry.
pub(super) fn bounded(tags: &Tags) -> Result<(), Failure> {
    if tags.len() > MOST_TAGS {
        return Err(invalid(format!("The maximum number of tags per resource is {MOST_TAGS}.")));
    }
    Ok(())
}

pub(super) fn show_tags(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// Copies those of `keys` that `input` has.
pub(super) fn copy(input: &Value, keys: &[&str]) -> Map<String, Value> {
    let given = keys.iter().filter_map(|key| Some(((*key).to_owned(), input.get(*key)?.clone())));
    given.filter(|(_, value)| !value.is_null()).collect()
}

/// One page of `items`, each with a key that no other has. The token names the last item given.
///
/// # Errors
/// `InvalidParameterException` for a `maxResults` out of 1 to 100 and a token that is not one of ours.
pub(super) fn page(name: &str, items: Vec<(String, Value)>, input: &Value, usual: usize) -> Result<Value, Failure> {
    let most = match input["maxResults"].as_i64() {
        None => usual,
        Some(most @ 1..=100) => usize::try_from(most).unwrap_or(usual),
        Some(_) => return Err(invalid("maxResults should be between 1 and 100")),
    };
    let start = match text(input, "nextToken") {
        None => 0,
        Some(token) => {
            let key = URL_SAFE_NO_PAD.decode(token).ok();
            let place = key.and_then(|key| items.iter().position(|(item, _)| item.as_bytes() == key));
            place.ok_or_else(|| invalid("Invalid token."))? + 1
        }
    };
    let given: Vec<&(String, Value)> = items.iter().skip(start).take(most).collect();
    let mut answer = json!({ name: given.iter().map(|(_, value)| value).collect::<Vec<_>>() });
    if let (true, Some((key, _))) = (start + given.len() < items.len(), given.last()) {
        answer["nextToken"] = json!(URL_SAFE_NO_PAD.encode(key));
    }
    Ok(answer)
}

/// Items of a page that are nothing but names.
pub(super) fn names(names: impl IntoIterator<Item = String>) -> Vec<(String, Value)> {
    names.into_iter().map(|name| (name.clone(), Value::String(name))).collect()
}
