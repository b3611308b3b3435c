//! Repositories: made, described, configured, tagged and deleted.

use super::image::Image;
use super::input::{self, invalid, no_repository, page};
use super::{Change, events};
use crate::aws::codebuild::epoch;
use crate::aws::{ACCOUNT, Failure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What one page of a listing holds when it is not said. Source: ECR API reference.
pub(super) const PAGE: usize = 100;

/// Repositories of one region. Source: ECR service quotas (adjustable).
const MOST_REPOSITORIES: usize = 100_000;

const MUTABILITIES: [&str; 4] = ["MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"];

#[derive(Serialize, Deserialize)]
pub(super) struct Repository {
    pub(super) name: String,
    pub(super) arn: String,
    uri: String,
    created: Timestamp,
    mutability: String,
    /// Wildcards of tags that are the exception to `mutability`.
    exclusions: Vec<String>,
    pub(super) has_scan_on_push: bool,
    encryption: Value,
    tags: BTreeMap<String, String>,
    /// By digest.
    pub(super) images: BTreeMap<String, Image>,
}

pub(super) fn arn_of(region: &str, name: &str) -> String {
    format!("arn:aws:ecr:{region}:{ACCOUNT}:repository/{name}")
}

impl Repository {
    pub(super) fn new(name: &str, region: &str, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            arn: arn_of(region, name),
            uri: format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{name}"),
            created: now,
            mutability: "MUTABLE".to_owned(),
            exclusions: Vec::new(),
            has_scan_on_push: false,
            encryption: json!({ "encryptionType": "AES256" }),
            tags: BTreeMap::new(),
            images: BTreeMap::new(),
        }
    }

    /// As `Repository` of the API; DeleteRepository says less.
    fn answer(&self, is_deleted: bool) -> Value {
        let mut answer = json!({
            "repositoryArn": self.arn,
            "registryId": ACCOUNT,
            "repositoryName": self.name,
            "repositoryUri": self.uri,
            "createdAt": epoch(self.created),
            "imageTagMutability": self.mutability,
        });
        self.show_exclusions(&mut answer);
        if !is_deleted {
            answer["imageScanningConfiguration"] = json!({ "scanOnPush": self.has_scan_on_push });
            answer["encryptionConfiguration"] = self.encryption.clone();
        }
        answer
    }

    fn show_exclusions(&self, answer: &mut Value) {
        if !self.exclusions.is_empty() {
            let filters = self.exclusions.iter().map(|filter| json!({ "filterType": "WILDCARD", "filter": filter }));
            answer["imageTagMutabilityExclusionFilters"] = filters.collect();
        }
    }

    /// Whether `tag` stands on another image than `digest` and may not leave it.
    pub(super) fn refuses_to_move(&self, tag: &str, digest: &str) -> bool {
        let is_excluded = self.exclusions.iter().any(|filter| is_like(filter, tag));
        let is_immutable = self.mutability.starts_with("IMMUTABLE") != is_excluded;
        is_immutable && self.with_tag(tag).is_some_and(|image| image.digest != digest)
    }

    pub(super) fn tag_is_immutable(&self, tag: &str) -> Failure {
        let message = format!(
            "The image tag '{tag}' already exists in the '{}' repository and cannot be overwritten because the tag is \
             immutable.",
            self.name
        );
        Failure::sender("ImageTagAlreadyExistsException", message)
    }

    pub(super) fn with_tag(&self, tag: &str) -> Option<&Image> {
        self.images.values().find(|image| image.tags.iter().any(|known| known == tag))
    }

    /// Puts a tag on an image, from wherever it was.
    pub(super) fn move_tag(&mut self, tag: &str, digest: &str) {
        for image in self.images.values_mut() {
            match image.digest == digest {
                true if !image.tags.iter().any(|known| known == tag) => image.tags.push(tag.to_owned()),
                true => {}
                false => image.tags.retain(|known| known != tag),
            }
        }
    }

    fn set_mutability(&mut self, input: &Value) -> Result<(), Failure> {
        let wanted = input::one_of(input, "imageTagMutability", &MUTABILITIES)?.unwrap_or("MUTABLE");
        let member = "imageTagMutabilityExclusionFilters";
        let mut filters = Vec::new();
        for each in input[member].as_array().into_iter().flatten() {
            let filter = each["filter"].as_str().unwrap_or_default();
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'*' | b'-');
            if each["filterType"] != "WILDCARD"
                || !(1..=128).contains(&filter.len())
                || !filter.bytes().all(is_letter)
                || filter.matches('*').count() > 2
            {
                return Err(invalid(member, "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$'"));
            }
            filters.push(filter.to_owned());
        }
        if filters.len() > 5 {
            return Err(invalid(member, "Member must have length less than or equal to 5"));
        }
        if wanted.ends_with("_WITH_EXCLUSION") == filters.is_empty() {
            return Err(invalid(
                member,
                &format!("Filters go with a mutability that has exclusions, not with {wanted}"),
            ));
        }
        wanted.clone_into(&mut self.mutability);
        self.exclusions = filters;
        Ok(())
    }
}

/// Whether `text` is what the wildcard `filter` says: `*` stands for anything.
pub(super) fn is_like(filter: &str, text: &str) -> bool {
    let Some((first, rest)) = filter.split_once('*') else { return filter == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    left.ends_with(last)
}

impl Change<'_> {
    pub(super) fn create_repository(&mut self, input: &Value) -> Result<Value, Failure> {
        let name = input::repository_name(input)?;
        let registry = input::registry(input)?;
        let mut repository = Repository::new(name, self.region, self.now);
        repository.set_mutability(input)?;
        repository.has_scan_on_push = input["imageScanningConfiguration"]["scanOnPush"] == true;
        repository.tags = input::tags(input)?;
        let encryption = &input["encryptionConfiguration"];
        if !encryption.is_null() {
            let kind = input::one_of(encryption, "encryptionType", &["AES256", "KMS", "KMS_DSSE"])?;
            let kind = kind.ok_or_else(|| invalid("encryptionConfiguration.encryptionType", "must not be null"))?;
            repository.encryption = json!({ "encryptionType": kind });
            if let Some(key) = encryption["kmsKey"].as_str().filter(|_| kind != "AES256") {
                repository.encryption["kmsKey"] = json!(key);
            }
        }
        if self.here.repositories.contains_key(name) {
            let message =
                format!("The repository with name '{name}' already exists in the registry with id '{registry}'");
            return Err(Failure::sender("RepositoryAlreadyExistsException", message));
        }
        if self.here.repositories.len() >= MOST_REPOSITORIES {
            let message = format!("The maximum number of repositories of a registry, {MOST_REPOSITORIES}, is reached");
            return Err(Failure::sender("LimitExceededException", message));
        }
        let answer = json!({ "repository": repository.answer(false) });
        self.here.repositories.insert(name.to_owned(), repository);
        Ok(answer)
    }

    pub(super) fn describe_repositories(&mut self, input: &Value) -> Result<Value, Failure> {
        let registry = input::registry(input)?;
        let Some(names) = input["repositoryNames"].as_array() else {
            let all: Vec<&_> = self.here.repositories.values().filter(|_| registry == ACCOUNT).collect();
            let (all, token) = page(all, input, PAGE, |repository| repository.name.clone())?;
            let shown: Vec<Value> = all.iter().map(|repository| repository.answer(false)).collect();
            return Ok(with_token(json!({ "repositories": shown }), token));
        };
        if names.is_empty() || names.len() > 100 {
            return Err(invalid("repositoryNames", "Member must have length between 1 and 100"));
        }
        if !input["maxResults"].is_null() || !input["nextToken"].is_null() {
            return Err(invalid("maxResults", "cannot be used together with repositoryNames"));
        }
        let mut shown = Vec::new();
        for name in names.iter().filter_map(Value::as_str) {
            let found = self.here.repositories.get(name).filter(|_| registry == ACCOUNT);
            shown.push(found.ok_or_else(|| no_repository(name, registry))?.answer(false));
        }
        Ok(json!({ "repositories": shown }))
    }

    pub(super) fn delete_repository(&mut self, input: &Value) -> Result<Value, Failure> {
        let repository = self.repository(input)?;
        let name = repository.name.clone();
        if !repository.images.is_empty() && input["force"] != true {
            let message = format!(
                "The repository with name '{name}' in registry with id '{ACCOUNT}' cannot be deleted because it still \
                 contains images"
            );
            return Err(Failure::sender("RepositoryNotEmptyException", message));
        }
        let answer = json!({ "repository": repository.answer(true) });
        if let Some(gone) = self.here.repositories.remove(&name) {
            for image in gone.images.values() {
                self.tell_deletion(&name, image);
            }
        }
        Ok(answer)
    }

    /// Tells that an image is gone, once for each of its tags.
    pub(super) fn tell_deletion(&mut self, repository: &str, image: &Image) {
        let mut tags: Vec<Option<&str>> = image.tags.iter().map(|tag| Some(tag.as_str())).collect();
        if tags.is_empty() {
            tags.push(None);
        }
        self.events.extend(tags.into_iter().map(|tag| events::action("DELETE", repository, image, tag)));
    }

    pub(super) fn put_mutability(&mut self, input: &Value) -> Result<Value, Failure> {
        let repository = self.repository(input)?;
        input::required(input, "imageTagMutability")?;
        repository.set_mutability(input)?;
        let mut answer = json!({
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageTagMutability": repository.mutability,
        });
        repository.show_exclusions(&mut answer);
        Ok(answer)
    }

    pub(super) fn put_scan_on_push(&mut self, input: &Value) -> Result<Value, Failure> {
        let repository = self.repository(input)?;
        if !input["imageScanningConfiguration"].is_object() {
            return Err(invalid("imageScanningConfiguration", "must not be null"));
        }
        repository.has_scan_on_push = input["imageScanningConfiguration"]["scanOnPush"] == true;
        Ok(json!({
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageScanningConfiguration": { "scanOnPush": repository.has_scan_on_push },
        }))
    }

    fn by_arn(&mut self, input: &Value) -> Result<&mut Repository, Failure> {
        let arn = input::required(input, "resourceArn")?;
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let name = match parts[..] {
            ["arn", _, "ecr", _, _, resource] => resource.strip_prefix("repository/"),
            _ => None,
        };
        let name = name.ok_or_else(|| invalid("resourceArn", "Invalid ARN"))?;
        let found = self.here.repositories.get_mut(name).filter(|repository| repository.arn == arn);
        found.ok_or_else(|| no_repository(name, ACCOUNT))
    }

    pub(super) fn tag(&mut self, input: &Value) -> Result<Value, Failure> {
        let tags = input::tags(input)?;
        let repository = self.by_arn(input)?;
        let mut all = repository.tags.clone();
        all.extend(tags);
        input::within_limit(&all)?;
        repository.tags = all;
        Ok(json!({}))
    }

    pub(super) fn untag(&mut self, input: &Value) -> Result<Value, Failure> {
        let keys = input["tagKeys"].as_array().cloned().unwrap_or_default();
        self.by_arn(input)?.tags.retain(|key, _| !keys.iter().any(|gone| gone == key));
        Ok(json!({}))
    }

    pub(super) fn list_tags(&mut self, input: &Value) -> Result<Value, Failure> {
        let tags = self.by_arn(input)?.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
        Ok(json!({ "tags": tags.collect::<Vec<_>>() }))
    }
}

pub(super) fn with_token(mut answer: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        answer["nextToken"] = json!(token);
    }
    answer
}
