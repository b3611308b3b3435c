//! Secrets Manager: secrets, their versions, and the labels that say which version is which.
//!
//! Labels move as AWS moves them: a value that becomes AWSCURRENT makes the one before it AWSPREVIOUS, and a secret
//! that was never changed has no AWSPREVIOUS.

mod listing;

use super::eventbridge::saved::{self, pairs};
use super::{ACCOUNT, Aws, Call, Failure, Service, lock};
use jiff::{SignedDuration, Timestamp};
use listing::{list, page};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
const PENDING: &str = "AWSPENDING";

/// The largest secret value, in bytes.
const LARGEST_VALUE_BYTES: usize = 65_536;

/// How long a deleted secret can be restored when nobody says otherwise, in days.
const RECOVERY_DAYS: i64 = 30;

/// The secrets of the account.
#[derive(Default)]
pub struct SecretsManager {
    state: Mutex<State>,
}

/// By region and name.
type Secrets = BTreeMap<(String, String), Secret>;

#[derive(Default, Serialize, Deserialize)]
struct State(#[serde(with = "pairs")] Secrets);

#[derive(Debug, Serialize, Deserialize)]
struct Secret {
    name: String,
    arn: String,
    description: Option<String>,
    kms_key_id: Option<String>,
    created: Timestamp,
    changed: Timestamp,
    deleted: Option<Timestamp>,
    tags: BTreeMap<String, String>,
    versions: BTreeMap<String, Version>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Version {
    value: Contents,
    created: Timestamp,
    stages: BTreeSet<String>,
}

/// A secret's value. Never printed; saved as it is, as everything local.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Contents {
    Text(String),
    /// In base64, as it came.
    Binary(String),
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Contents(redacted)")
    }
}

impl SecretsManager {
    /// Everything there is, for [`SecretsManager::restore`]. The values are in it, readable.
    pub(crate) fn save(&self) -> Value {
        saved::save(&self.state)
    }

    /// Puts back what [`SecretsManager::save`] saw.
    ///
    /// # Errors
    /// When it is something else. Nothing is changed then.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        saved::restore(&self.state, saved)
    }
}

impl Service for SecretsManager {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let mut state = lock(&self.state);
        let secrets = &mut state.0;
        match call.operation.as_str() {
            "CreateSecret" => create(secrets, aws, call),
            "ListSecrets" => list(secrets, call),
            "GetSecretValue" => find(secrets, call)?.alive()?.read(call),
            "PutSecretValue" => {
                let secret = find(secrets, call)?.alive()?;
                let value = contents(call)?
                    .ok_or_else(|| bad_request("You must provide either SecretString or SecretBinary."))?;
                let stages = call.input["VersionStages"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let stages: Vec<String> = stages.map(str::to_owned).collect();
                let stages = if stages.is_empty() { vec![CURRENT.to_owned()] } else { stages };
                let id = secret.put(&token(aws, call)?, value, &stages, call.now)?;
                let stages = secret.versions.get(&id).map(|version| version.stages.clone()).unwrap_or_default();
                Ok(secret.named(json!({ "VersionId": id, "VersionStages": stages })))
            }
            "UpdateSecret" => update(find(secrets, call)?.alive()?, aws, call),
            "UpdateSecretVersionStage" => find(secrets, call)?.alive()?.move_stage(call),
            "DescribeSecret" => find(secrets, call).map(|secret| secret.describe("VersionIdsToStages")),
            "ListSecretVersionIds" => find(secrets, call)?.list_versions(call),
            "DeleteSecret" => delete(secrets, aws, call),
            "RestoreSecret" => {
                let secret = find(secrets, call)?;
                secret.deleted = None;
                Ok(secret.named(json!({})))
            }
            "TagResource" => {
                let tags = read_tags(&call.input);
                find(secrets, call)?.alive()?.tags.extend(tags);
                Ok(json!({}))
            }
            "UntagResource" => {
                let keys: Vec<_> = call.input["TagKeys"].as_array().into_iter().flatten().collect();
                find(secrets, call)?.alive()?.tags.retain(|key, _| !keys.iter().any(|gone| *gone == key));
                Ok(json!({}))
            }
            operation => Err(Failure::not_emulated("secretsmanager", operation)),
        }
    }

    fn operations(&self) -> &'static [&'static str] {
        &[
            "CreateSecret",
            "DeleteSecret",
            "DescribeSecret",
            "GetSecretValue",
            "ListSecretVersionIds",
            "ListSecrets",
            "PutSecretValue",
            "RestoreSecret",
            "TagResource",
            "UntagResource",
            "UpdateSecret",
            "UpdateSecretVersionStage",
        ]
    }

    fn next_due(&self) -> Option<Timestamp> {
        lock(&self.state).0.values().filter_map(|secret| secret.deleted).min()
    }

    fn advance(&self, _aws: &Aws, now: Timestamp) {
        lock(&self.state).0.retain(|_, secret| secret.deleted.is_none_or(|at| at > now));
    }
}

impl Secret {
    /// This secret, unless it is scheduled for deletion.
    fn alive(&mut self) -> Result<&mut Self, Failure> {
        match self.deleted {
            None => Ok(self),
            Some(_) => Err(Failure::sender(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            )),
        }
    }

    fn named(&self, mut answer: Value) -> Value {
        answer["ARN"] = Value::from(self.arn.as_str());
        answer["Name"] = Value::from(self.name.as_str());
        answer
    }

    fn holder_of(&self, stage: &str) -> Option<String> {
        self.versions.iter().find(|(_, version)| version.stages.contains(stage)).map(|(id, _)| id.clone())
    }

    fn read(&self, call: &Call) -> Result<Value, Failure> {
        let id = call.input["VersionId"].as_str();
        let stage = call.input["VersionStage"].as_str();
        let missing = |what: String| {
            Failure::sender(
                "ResourceNotFoundException",
                format!("Secrets Manager can't find the specified secret value for {what}"),
            )
        };
        let version_id = match (id, stage) {
            (Some(id), _) => id.to_owned(),
            (None, stage) => {
                let stage = stage.unwrap_or(CURRENT);
                self.holder_of(stage).ok_or_else(|| missing(format!("staging label: {stage}")))?
            }
        };
        let version = self.versions.get(&version_id).ok_or_else(|| missing(format!("VersionId: {version_id}")))?;
        if id.is_some() && stage.is_some_and(|stage| !version.stages.contains(stage)) {
            return Err(bad_request("You provided a VersionStage that is not associated to the provided VersionId."));
        }
        let mut answer = json!({
            "VersionId": version_id,
            "VersionStages": version.stages,
            "CreatedDate": seconds(version.created),
        });
        match &version.value {
            Contents::Text(text) => answer["SecretString"] = Value::from(text.as_str()),
            Contents::Binary(base64) => answer["SecretBinary"] = Value::from(base64.as_str()),
        }
        Ok(self.named(answer))
    }

    /// Adds a version under `id` and gives it `stages`. Repeating a call repeats its answer.
    fn put(&mut self, id: &str, value: Contents, stages: &[String], now: Timestamp) -> Result<String, Failure> {
        match self.versions.get(id) {
            Some(version) if version.value == value => {}
            Some(_) => {
                let message = format!("You can't modify an existing version, you can only create a new version. {id}");
                return Err(Failure::sender("ResourceExistsException", message));
            }
            None => {
                self.versions.insert(id.to_owned(), Version { value, created: now, stages: BTreeSet::new() });
            }
        }
        for stage in stages {
            self.label(stage, id);
        }
        // AWS gives a first version that nobody labelled AWSCURRENT this label all the same.
        if self.holder_of(CURRENT).is_none() {
            self.label(CURRENT, id);
        }
        self.changed = now;
        self.forget_unlabelled(id);
        Ok(id.to_owned())
    }

    /// Moves a label to a version. Whoever loses AWSCURRENT becomes AWSPREVIOUS.
    fn label(&mut self, stage: &str, id: &str) {
        let holder = self.holder_of(stage);
        if holder.as_deref() == Some(id) {
            return;
        }
        if let Some(version) = holder.as_ref().and_then(|holder| self.versions.get_mut(holder)) {
            version.stages.remove(stage);
        }
        if let Some(version) = self.versions.get_mut(id) {
            version.stages.insert(stage.to_owned());
            // A version that is current is no longer the previous one, and a rotation that finished is not pending.
            if stage == CURRENT {
                version.stages.remove(PREVIOUS);
            }
        }
        if let (CURRENT, Some(holder)) = (stage, holder) {
            self.label(PREVIOUS, &holder);
        }
    }

    /// Versions without a label are deprecated, and AWS deletes them when there are many. `keep` is spared.
    fn forget_unlabelled(&mut self, keep: &str) {
        const MOST_VERSIONS: usize = 100;
        while self.versions.len() > MOST_VERSIONS {
            let unlabelled = self.versions.iter().filter(|(id, version)| version.stages.is_empty() && *id != keep);
            let oldest = unlabelled.min_by_key(|(_, version)| version.created).map(|(id, _)| id.clone());
            match oldest {
                Some(id) => self.versions.remove(&id),
                None => return,
            };
        }
    }

    fn move_stage(&mut self, call: &Call) -> Result<Value, Failure> {
        let stage = call.input["VersionStage"].as_str().ok_or_else(|| bad_parameter("VersionStage is required."))?;
        let (from, to) = (call.input["RemoveFromVersionId"].as_str(), call.input["MoveToVersionId"].as_str());
        for id in from.iter().chain(to.iter()) {
            if !self.versions.contains_key(*id) {
                let message = format!("Secrets Manager can't find the specified secret version: {id}.");
                return Err(Failure::sender("ResourceNotFoundException", message));
            }
        }
        let holder = self.holder_of(stage);
        if let Some(holder) = holder.as_deref().filter(|holder| from != Some(*holder) && to != Some(*holder)) {
            return Err(bad_parameter(&format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to \
                 version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
            )));
        }
        if from.is_some() && from != holder.as_deref() {
            return Err(bad_parameter(&format!("Staging label {stage} is not attached to that version.")));
        }
        match (to, from) {
            (Some(to), _) => {
                self.label(stage, to);
                if stage == CURRENT
                    && let Some(version) = self.versions.get_mut(to)
                {
                    version.stages.remove(PENDING);
                }
            }
            (None, Some(_)) if stage == CURRENT => {
                return Err(bad_parameter("You can't remove AWSCURRENT without a version to move it to."));
            }
            (None, Some(from)) => {
                if let Some(version) = self.versions.get_mut(from) {
                    version.stages.remove(stage);
                }
            }
            (None, None) => return Err(bad_parameter("MoveToVersionId or RemoveFromVersionId is required.")),
        }
        self.changed = call.now;
        Ok(self.named(json!({})))
    }

    fn describe(&self, stages_member: &str) -> Value {
        let labelled = self.versions.iter().filter(|(_, version)| !version.stages.is_empty());
        let stages: BTreeMap<_, _> = labelled.map(|(id, version)| (id, &version.stages)).collect();
        let mut shown = json!({
            "CreatedDate": seconds(self.created),
            "LastChangedDate": seconds(self.changed),
            "Tags": self.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect::<Vec<_>>(),
            stages_member: stages,
        });
        for (member, value) in [("Description", &self.description), ("KmsKeyId", &self.kms_key_id)] {
            if let Some(value) = value {
                shown[member] = Value::from(value.as_str());
            }
        }
        if let Some(deleted) = self.deleted {
            shown["DeletedDate"] = seconds(deleted);
        }
        self.named(shown)
    }

    fn list_versions(&self, call: &Call) -> Result<Value, Failure> {
        let all = call.input["IncludeDeprecated"].as_bool().unwrap_or(false);
        let shown =
            self.versions.iter().filter(|(_, version)| all || !version.stages.is_empty()).map(|(id, version)| {
                let mut shown = json!({ "VersionId": id, "CreatedDate": seconds(version.created) });
                if !version.stages.is_empty() {
                    shown["VersionStages"] = json!(version.stages);
                }
                shown
            });
        Ok(self.named(page(call, "Versions", shown.collect())?))
    }
}

/// Finds a secret by its name, its ARN, or its ARN without the six characters at its end.
fn find<'a>(secrets: &'a mut Secrets, call: &Call) -> Result<&'a mut Secret, Failure> {
    let id = call.input["SecretId"].as_str().filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| bad_parameter("You must provide a SecretId."))?;
    let of_region = secrets.iter_mut().filter(|((region, _), _)| *region == call.region).map(|(_, secret)| secret);
    let is_it = |secret: &Secret| {
        let partial = secret.arn.len().checked_sub(7).and_then(|end| secret.arn.get(..end));
        secret.name == id || secret.arn == id || partial == Some(id)
    };
    let found = of_region.into_iter().find(|secret| is_it(secret));
    found
        .ok_or_else(|| Failure::sender("ResourceNotFoundException", "Secrets Manager can't find the specified secret."))
}

fn create(secrets: &mut Secrets, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let name = call.input["Name"].as_str().unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
    if name.is_empty() || name.len() > 512 || !name.bytes().all(is_part) {
        let message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: \
                       -/_+=.@!";
        return Err(Failure::sender("ValidationException", message));
    }
    let key = (call.region.clone(), name.to_owned());
    let value = contents(call)?;
    let token = token(aws, call)?;
    if let Some(existing) = secrets.get(&key) {
        return repeat(existing, &token, value.as_ref());
    }
    let mut secret = Secret {
        name: name.to_owned(),
        arn: new_arn(aws, &call.region, name),
        description: text(call, "Description"),
        kms_key_id: text(call, "KmsKeyId"),
        created: call.now,
        changed: call.now,
        deleted: None,
        tags: read_tags(&call.input),
        versions: BTreeMap::new(),
    };
    let mut answer = json!({});
    if let Some(value) = value {
        answer["VersionId"] = Value::from(secret.put(&token, value, &[CURRENT.to_owned()], call.now)?);
    }
    let answer = secret.named(answer);
    secrets.insert(key, secret);
    Ok(answer)
}

/// Answers a CreateSecret for a name that is taken: the same token and value are a repeat.
fn repeat(existing: &Secret, token: &str, value: Option<&Contents>) -> Result<Value, Failure> {
    if existing.deleted.is_some() {
        let message = "You can't create this secret because a secret with this name is already scheduled for deletion.";
        return Err(Failure::sender("InvalidRequestException", message));
    }
    match existing.versions.get(token) {
        Some(version) if Some(&version.value) == value => Ok(existing.named(json!({ "VersionId": token }))),
        _ => {
            let message = format!("The operation failed because the secret {} already exists.", existing.name);
            Err(Failure::sender("ResourceExistsException", message))
        }
    }
}

fn update(secret: &mut Secret, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let value = contents(call)?;
    let token = token(aws, call)?;
    let mut answer = json!({});
    // First what may be refused: a refused call changes nothing.
    if let Some(value) = value {
        answer["VersionId"] = Value::from(secret.put(&token, value, &[CURRENT.to_owned()], call.now)?);
    }
    secret.description = text(call, "Description").or(secret.description.take());
    secret.kms_key_id = text(call, "KmsKeyId").or(secret.kms_key_id.take());
    secret.changed = call.now;
    Ok(secret.named(answer))
}

fn delete(secrets: &mut Secrets, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    let is_forced = call.input["ForceDeleteWithoutRecovery"].as_bool().unwrap_or(false);
    let days = call.input["RecoveryWindowInDays"].as_i64();
    if is_forced && days.is_some() {
        let message = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.";
        return Err(bad_parameter(message));
    }
    if days.is_some_and(|days| !(7..=30).contains(&days)) {
        return Err(bad_parameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."));
    }
    let secret = match find(secrets, call) {
        // Source: API reference, DeleteSecret: to force a deletion that was done already is no error.
        Err(failure) if is_forced && failure.code == "ResourceNotFoundException" => {
            return Ok(deleted_already(aws, call));
        }
        found => found?,
    };
    let wait = if is_forced { 0 } else { days.unwrap_or(RECOVERY_DAYS) };
    let at = call.now.checked_add(SignedDuration::from_hours(wait * 24)).unwrap_or(Timestamp::MAX);
    if !is_forced {
        secret.alive()?;
    }
    secret.deleted = Some(at);
    let answer = secret.named(json!({ "DeletionDate": seconds(at) }));
    let key = (call.region.clone(), secret.name.clone());
    if is_forced {
        secrets.remove(&key);
    }
    Ok(answer)
}

/// The answer to a forced deletion of what is not there: as if it had been.
fn deleted_already(aws: &Aws, call: &Call) -> Value {
    let id = call.input["SecretId"].as_str().unwrap_or_default();
    let (name, arn) = match id.split_once(":secret:") {
        Some((_, name)) => (name, id.to_owned()),
        None => (id, new_arn(aws, &call.region, id)),
    };
    json!({ "ARN": arn, "Name": name, "DeletionDate": seconds(call.now) })
}

fn new_arn(aws: &Aws, region: &str, name: &str) -> String {
    let suffix: String = aws.random(|random| (0..6).map(|_| random.alphanumeric()).collect());
    format!("arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-{suffix}")
}

fn contents(call: &Call) -> Result<Option<Contents>, Failure> {
    let contents = match (call.input["SecretString"].as_str(), call.input["SecretBinary"].as_str()) {
        (None, None) => return Ok(None),
        (Some(text), None) => Contents::Text(text.to_owned()),
        (None, Some(base64)) => Contents::Binary(base64.to_owned()),
        (Some(_), Some(_)) => {
            return Err(bad_parameter(
                "You can't specify both a binary secret value and a string secret value in the same secret.",
            ));
        }
    };
    let (member, bytes) = match &contents {
        Contents::Text(text) => ("secretString", text.len()),
        Contents::Binary(base64) => ("secretBinary", base64.len() / 4 * 3),
    };
    if bytes > LARGEST_VALUE_BYTES {
        let message = format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have length \
             less than or equal to {LARGEST_VALUE_BYTES}"
        );
        return Err(Failure::sender("ValidationException", message));
    }
    Ok(Some(contents))
}

/// The version id that a call makes: its token, or a new one where a client sends none.
fn token(aws: &Aws, call: &Call) -> Result<String, Failure> {
    match call.input["ClientRequestToken"].as_str() {
        Some(token) if (32..=64).contains(&token.len()) => Ok(token.to_owned()),
        Some(_) => Err(bad_parameter("ClientRequestToken must be 32-64 characters long.")),
        None => Ok(aws.uuid()),
    }
}

fn text(call: &Call, member: &str) -> Option<String> {
    call.input[member].as_str().map(str::to_owned)
}

fn read_tags(input: &Value) -> BTreeMap<String, String> {
    let pair = |tag: &Value| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned()));
    input["Tags"].as_array().into_iter().flatten().filter_map(pair).collect()
}

/// A moment as JSON has it here: epoch seconds, with milliseconds.
fn seconds(at: Timestamp) -> Value {
    Value::from(at.as_millisecond() as f64 / 1000.0)
}

fn bad_parameter(message: &str) -> Failure {
    Failure::sender("InvalidParameterException", message)
}

fn bad_request(message: &str) -> Failure {
    Failure::sender("InvalidRequestException", message)
}

#[cfg(test)]
mod tests;
