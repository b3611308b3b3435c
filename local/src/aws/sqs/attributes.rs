//! The attributes of a queue: which there are, what they may hold, and what they are when nobody says.

use crate::aws::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The largest message that SQS takes, in bytes.
pub(super) const LARGEST_MESSAGE_BYTES: u64 = 1_048_576;

/// Attributes that hold a number: name, smallest, largest, default.
/// Source: the SQS API reference, SetQueueAttributes.
const NUMBERS: [(&str, u64, u64, u64); 6] = [
    ("DelaySeconds", 0, 900, 0),
    ("KmsDataKeyReusePeriodSeconds", 60, 86_400, 300),
    ("MaximumMessageSize", 1024, LARGEST_MESSAGE_BYTES, LARGEST_MESSAGE_BYTES),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("VisibilityTimeout", 0, 43_200, 30),
];

/// Attributes that hold one of a few words.
const WORDS: [(&str, &[&str]); 5] = [
    ("ContentBasedDeduplication", &["true", "false"]),
    ("DeduplicationScope", &["queue", "messageGroup"]),
    ("FifoQueue", &["true"]),
    ("FifoThroughputLimit", &["perQueue", "perMessageGroupId"]),
    ("SqsManagedSseEnabled", &["true", "false"]),
];

/// Attributes that only a FIFO queue has.
const FIFO_ONLY: [&str; 4] = ["ContentBasedDeduplication", "DeduplicationScope", "FifoQueue", "FifoThroughputLimit"];

/// Attributes that hold a JSON document, or nothing.
const DOCUMENTS: [&str; 3] = ["Policy", "RedriveAllowPolicy", "RedrivePolicy"];

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redrive {
    pub(super) target_arn: String,
    pub(super) max_receives: u64,
}

/// What a queue was told to be. What it was not told is the default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// The value of an attribute that can be set; `None` where it has none.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        if let Some(value) = self.0.get(name) {
            return Some(value.clone());
        }
        if name == "KmsDataKeyReusePeriodSeconds" && !self.0.contains_key("KmsMasterKeyId") {
            return None;
        }
        let number = NUMBERS.iter().find(|(known, ..)| *known == name).map(|(.., default)| default.to_string());
        number.or_else(|| match name {
            "SqsManagedSseEnabled" => Some("true".to_owned()),
            "ContentBasedDeduplication" if self.is_fifo() => Some("false".to_owned()),
            "DeduplicationScope" if self.is_fifo() => Some("queue".to_owned()),
            "FifoThroughputLimit" if self.is_fifo() => Some("perQueue".to_owned()),
            _ => None,
        })
    }

    /// A number; every numeric attribute has a default.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == "true")
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.is_true("FifoQueue")
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        self.0.get("RedrivePolicy").and_then(|policy| redrive(policy))
    }

    /// Everything that can be set and has a value, by name.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        let words = WORDS.iter().map(|(name, _)| *name);
        let numbers = NUMBERS.iter().map(|(name, ..)| *name);
        let names = words.chain(numbers).chain(DOCUMENTS).chain(["KmsMasterKeyId"]);
        names.filter_map(|name| Some((name.to_owned(), self.get(name)?))).collect()
    }

    /// The name of the first attribute of `others` that has another value here, if any.
    pub(super) fn first_difference(&self, others: &Self) -> Option<String> {
        others.0.iter().find(|(name, value)| self.get(name).as_ref() != Some(*value)).map(|(name, _)| name.clone())
    }

    /// Takes over what `changes` says. An empty document takes the attribute away.
    pub(super) fn apply(&mut self, changes: Self) {
        for (name, value) in changes.0 {
            if value.is_empty() {
                self.0.remove(&name);
            } else {
                self.0.insert(name, value);
            }
        }
    }

    /// Reads an `Attributes` map as it came.
    ///
    /// # Errors
    /// `InvalidAttributeName` and `InvalidAttributeValue`, naming the attribute.
    pub(super) fn read(input: &Value, is_fifo: bool) -> Result<Self, Failure> {
        let mut read = BTreeMap::new();
        for (name, value) in input.as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            if !is_known(name) || (FIFO_ONLY.contains(&name.as_str()) && !is_fifo) {
                return Err(unknown(name));
            }
            if !is_allowed(name, value) {
                let message = format!("Invalid value for the parameter {name}.");
                return Err(Failure::sender("InvalidAttributeValue", message));
            }
            read.insert(name.clone(), value.to_owned());
        }
        Ok(Self(read))
    }
}

/// The failure for an attribute that a queue does not have.
pub(super) fn unknown(name: &str) -> Failure {
    Failure::sender("InvalidAttributeName", format!("Unknown Attribute {name}."))
}

/// Whether it is the name of an attribute that can be set.
pub(super) fn is_known(name: &str) -> bool {
    name == "KmsMasterKeyId"
        || DOCUMENTS.contains(&name)
        || NUMBERS.iter().any(|(known, ..)| *known == name)
        || WORDS.iter().any(|(known, _)| *known == name)
}

fn is_allowed(name: &str, value: &str) -> bool {
    if let Some((_, smallest, largest, _)) = NUMBERS.iter().find(|(known, ..)| *known == name) {
        return value.parse().is_ok_and(|number: u64| (*smallest..=*largest).contains(&number));
    }
    if let Some((_, words)) = WORDS.iter().find(|(known, _)| *known == name) {
        return words.contains(&value);
    }
    match name {
        "RedrivePolicy" => value.is_empty() || redrive(value).is_some(),
        "Policy" | "RedriveAllowPolicy" => {
            value.is_empty() || serde_json::from_str::<Value>(value).is_ok_and(|document| document.is_object())
        }
        _ => true,
    }
}

/// Reads a redrive policy. `maxReceiveCount` comes as a number and, from some tools, as a string.
fn redrive(policy: &str) -> Option<Redrive> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let target_arn = policy.get("deadLetterTargetArn")?.as_str()?.to_owned();
    let count = policy.get("maxReceiveCount")?;
    let max_receives = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
    ((1..=1000).contains(&max_receives) && target_arn.starts_with("arn:"))
        .then_some(Redrive { target_arn, max_receives })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_bounded_as_aws_bounds_them() {
        #[rustfmt::skip]
        let cases = [
            // attribute, value, FIFO, expected, why
            ("VisibilityTimeout", "43200", false, None, "twelve hours is the most"),
            ("VisibilityTimeout", "43201", false, Some("InvalidAttributeValue"), "one second too many"),
            ("VisibilityTimeout", "-1", false, Some("InvalidAttributeValue"), "not a natural number"),
            ("MaximumMessageSize", "1023", false, Some("InvalidAttributeValue"), "at least 1 KiB"),
            ("FifoQueue", "true", false, Some("InvalidAttributeName"), "the name does not end in .fifo"),
            ("FifoQueue", "false", true, Some("InvalidAttributeValue"), "FifoQueue knows only true"),
            ("RedrivePolicy", "{}", false, Some("InvalidAttributeValue"), "names no target"),
            ("RedrivePolicy", "", false, None, "takes the policy away"),
            ("Colour", "blue", false, Some("InvalidAttributeName"), "no such attribute"),
            ("QueueArn", "arn:aws", false, Some("InvalidAttributeName"), "can be read, not set"),
        ];
        for (name, value, is_fifo, expected, why) in cases {
            let refused = Attributes::read(&json!({ name: value }), is_fifo).err().map(|failure| failure.code);
            assert_eq!(refused.as_deref(), expected, "{name}={value}: {why}");
        }
    }

    #[test]
    fn a_redrive_policy_may_spell_its_count_as_a_string() {
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":"5"}"#;
        assert_eq!(redrive(policy).map(|redrive| redrive.max_receives), Some(5));
    }
}
