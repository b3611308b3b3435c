//! Topics: their names, attributes and tags.

use super::subscription::Subscription;
use super::{State, arn, invalid, no_topic, page};
use crate::aws::{ACCOUNT, Call, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The largest message unless the topic says otherwise, and the largest that it may say. In bytes.
pub(super) const DEFAULT_LARGEST_BYTES: usize = 262_144;
const LARGEST_BYTES: usize = 1_048_576;
const SMALLEST_BYTES: usize = 1024;

/// Subscriptions of a topic that takes messages above the default. Source: botocore's model, MaximumMessageSize.
pub(super) const MOST_SUBSCRIPTIONS_OF_A_LARGE_TOPIC: usize = 100;

/// Tags per topic. Source: "SNS quotas".
const MOST_TAGS: usize = 50;

/// Attributes that can be set. Source: the SNS API reference, SetTopicAttributes.
const SETTABLE: [&str; 7] = [
    "DeliveryPolicy",
    "DisplayName",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "Policy",
    "SignatureVersion",
    "TracingConfig",
];

/// Delivery status logging: an endpoint and what is logged of it. They are kept; nothing is logged.
const LOGGED: [&str; 5] = ["Application", "Firehose", "HTTP", "Lambda", "SQS"];
const LOGGING: [&str; 3] = ["FailureFeedbackRoleArn", "SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate"];

/// What SNS says of a topic without a delivery policy, as it says it.
const DELIVERY_POLICY: &str = "{\"http\":{\"defaultHealthyRetryPolicy\":{\"minDelayTarget\":20,\"maxDelayTarget\":20,\
    \"numRetries\":3,\"numMaxDelayRetries\":0,\"numNoDelayRetries\":0,\"numMinDelayRetries\":0,\"backoffFunction\":\
    \"linear\"},\"disableSubscriptionOverrides\":false,\"defaultRequestPolicy\":{\"headerContentType\":\"text/plain; \
    charset=UTF-8\"}}}";

/// A topic.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Topic {
    /// What was set; what was not is the default.
    attributes: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    /// By their id, the last part of their ARN.
    pub(super) subscriptions: BTreeMap<String, Subscription>,
}

impl Topic {
    /// The value of an attribute that can be set, or its default.
    fn attribute(&self, arn: &str, name: &str) -> Option<String> {
        self.attributes.get(name).cloned().or_else(|| match name {
            "DisplayName" => Some(String::new()),
            "Policy" => Some(default_policy(arn)),
            _ => None,
        })
    }

    /// The largest message that it takes, in bytes.
    pub(super) fn largest_bytes(&self) -> usize {
        let set = self.attributes.get("MaximumMessageSize").and_then(|size| size.parse().ok());
        set.unwrap_or(DEFAULT_LARGEST_BYTES)
    }

    /// `1` or `2`: which hash its signatures would have.
    pub(super) fn signature_version(&self) -> &str {
        self.attributes.get("SignatureVersion").map_or("1", String::as_str)
    }

    fn all_attributes(&self, arn: &str) -> Map<String, Value> {
        let mut all: Map<String, Value> =
            self.attributes.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        for name in ["DisplayName", "Policy"] {
            all.insert(name.to_owned(), self.attribute(arn, name).into());
        }
        let count = |is: fn(&Subscription) -> bool| {
            Value::String(self.subscriptions.values().filter(|subscription| is(subscription)).count().to_string())
        };
        let derived = [
            ("TopicArn", Value::from(arn)),
            ("Owner", Value::from(ACCOUNT)),
            ("EffectiveDeliveryPolicy", Value::from(DELIVERY_POLICY)),
            ("SubscriptionsConfirmed", count(|subscription| subscription.state.is_confirmed())),
            ("SubscriptionsPending", count(|subscription| subscription.state.is_pending())),
            ("SubscriptionsDeleted", count(|subscription| subscription.state.is_deleted())),
        ];
        all.extend(derived.map(|(name, value)| (name.to_owned(), value)));
        all
    }

    /// Whether a message size is one that all subscriptions can take.
    fn check_size(&self, name: &str, value: &str) -> Result<(), Failure> {
        let is_large =
            name == "MaximumMessageSize" && value.parse().is_ok_and(|size: usize| size > DEFAULT_LARGEST_BYTES);
        let has_mail = self.subscriptions.values().any(|subscription| subscription.is_mail());
        if is_large && (has_mail || self.subscriptions.len() > MOST_SUBSCRIPTIONS_OF_A_LARGE_TOPIC) {
            return Err(invalid("MaximumMessageSize"));
        }
        Ok(())
    }
}

impl State {
    /// The topic that a call names under `TopicArn`, and its ARN.
    pub(super) fn topic<'a>(&mut self, call: &'a Call) -> Result<(&'a str, &mut Topic), Failure> {
        let arn = arn::read(call, "TopicArn")?;
        Ok((arn, self.topics.get_mut(arn).ok_or_else(no_topic)?))
    }

    pub(super) fn create_topic(&mut self, call: &Call) -> Result<Value, Failure> {
        let name = call.input["Name"].as_str().unwrap_or_default();
        let no_attributes = Map::new();
        let attributes = call.input["Attributes"].as_object().unwrap_or(&no_attributes);
        check_name(name, attributes.get("FifoTopic").is_some_and(super::is_true))?;
        let given = read_attributes(attributes)?;
        let tags = read_tags(&call.input["Tags"])?;
        let arn = arn::topic(&call.region, name);
        let answer = json!({ "TopicArn": arn });
        let Some(existing) = self.topics.get(&arn) else {
            check_tag_count(&tags)?;
            self.topics.insert(arn, Topic { attributes: given, tags, ..Topic::default() });
            return Ok(answer);
        };
        if given.iter().any(|(name, value)| existing.attribute(&arn, name).as_ref() != Some(value)) {
            return Err(invalid("Attributes Reason: Topic already exists with different attributes"));
        }
        if tags.iter().any(|(key, value)| existing.tags.get(key) != Some(value)) {
            return Err(invalid("Tags Reason: Topic already exists with different tags"));
        }
        Ok(answer)
    }

    /// Deleting a topic that is not there succeeds.
    pub(super) fn delete_topic(&mut self, call: &Call) -> Result<Value, Failure> {
        let arn = arn::read(call, "TopicArn")?;
        self.topics.remove(arn);
        Ok(json!({}))
    }

    pub(super) fn list_topics(&self, call: &Call) -> Result<Value, Failure> {
        let here = arn::topic(&call.region, "");
        let arns = self.topics.keys().filter(|arn| arn.starts_with(&here));
        page(call, "Topics", arns.map(|arn| (arn.clone(), json!({ "TopicArn": arn }))).collect())
    }

    pub(super) fn get_topic_attributes(&mut self, call: &Call) -> Result<Value, Failure> {
        let (arn, topic) = self.topic(call)?;
        Ok(json!({ "Attributes": topic.all_attributes(arn) }))
    }

    pub(super) fn set_topic_attributes(&mut self, call: &Call) -> Result<Value, Failure> {
        let (_, topic) = self.topic(call)?;
        let name = call.input["AttributeName"].as_str().unwrap_or_default();
        let value = call.input["AttributeValue"].as_str().unwrap_or_default();
        if !is_settable(name) {
            return Err(invalid("AttributeName"));
        }
        if value.is_empty() {
            topic.attributes.remove(name);
            return Ok(json!({}));
        }
        check_value(name, value)?;
        topic.check_size(name, value)?;
        topic.attributes.insert(name.to_owned(), value.to_owned());
        Ok(json!({}))
    }

    fn tagged(&mut self, call: &Call) -> Result<&mut Topic, Failure> {
        let arn = arn::read(call, "ResourceArn")?;
        self.topics.get_mut(arn).ok_or_else(|| {
            let failure = Failure::sender("ResourceNotFound", "Resource does not exist");
            Failure { status: 404, ..failure }
        })
    }

    pub(super) fn tag(&mut self, call: &Call) -> Result<Value, Failure> {
        let topic = self.tagged(call)?;
        let mut tags = topic.tags.clone();
        tags.extend(read_tags(&call.input["Tags"])?);
        check_tag_count(&tags)?;
        topic.tags = tags;
        Ok(json!({}))
    }

    pub(super) fn untag(&mut self, call: &Call) -> Result<Value, Failure> {
        let topic = self.tagged(call)?;
        for key in call.input["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            topic.tags.remove(key);
        }
        Ok(json!({}))
    }

    pub(super) fn list_tags(&mut self, call: &Call) -> Result<Value, Failure> {
        let tags = self.tagged(call)?.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
        Ok(json!({ "Tags": tags.collect::<Vec<_>>() }))
    }
}

fn check_name(name: &str, is_fifo: bool) -> Result<(), Failure> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let is_name = |name: &str| (1..=256).contains(&name.len()) && name.bytes().all(is_allowed);
    match (is_fifo, name.strip_suffix(".fifo")) {
        (false, _) if is_name(name) => Ok(()),
        (false, _) => Err(invalid("Topic Name")),
        (true, Some(stem)) if is_name(stem) && name.len() <= 256 => {
            Err(Failure::not_emulated("SNS", "CreateTopic for a FIFO topic"))
        }
        (true, _) => Err(Failure::sender(
            "InvalidParameter",
            "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, \
             numbers, underscores, and hyphens, and must be between 1 and 256 characters long.",
        )),
    }
}

fn read_attributes(attributes: &Map<String, Value>) -> Result<BTreeMap<String, String>, Failure> {
    let mut read = BTreeMap::new();
    for (name, value) in attributes {
        let value = value.as_str().unwrap_or_default();
        // AWS takes it, and forgets it: the topic is not one.
        if name == "FifoTopic" && value.eq_ignore_ascii_case("false") {
            continue;
        }
        if !is_settable(name) {
            return Err(invalid(&format!("Attributes Reason: Unknown attribute: {name}")));
        }
        check_value(name, value)?;
        read.insert(name.clone(), value.to_owned());
    }
    Ok(read)
}

fn is_settable(name: &str) -> bool {
    let is_logging = |logged: &&str| name.strip_prefix(*logged).is_some_and(|rest| LOGGING.contains(&rest));
    SETTABLE.contains(&name) || LOGGED.iter().any(is_logging)
}

fn check_value(name: &str, value: &str) -> Result<(), Failure> {
    let is_document = || serde_json::from_str::<Value>(value).is_ok_and(|document| document.is_object());
    let is_allowed = match name {
        "DisplayName" => value.chars().count() <= 100,
        "MaximumMessageSize" => value.parse().is_ok_and(|size: usize| (SMALLEST_BYTES..=LARGEST_BYTES).contains(&size)),
        "DeliveryPolicy" | "Policy" => is_document(),
        "SignatureVersion" => matches!(value, "1" | "2"),
        "TracingConfig" => matches!(value, "Active" | "PassThrough"),
        _ if name.ends_with("SampleRate") => value.parse().is_ok_and(|percent: u8| percent <= 100),
        _ => true,
    };
    if is_allowed { Ok(()) } else { Err(invalid(name)) }
}

fn read_tags(input: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let mut keys = BTreeSet::new();
    let mut tags = BTreeMap::new();
    for tag in input.as_array().into_iter().flatten() {
        let (key, value) = (tag["Key"].as_str().unwrap_or_default(), tag["Value"].as_str().unwrap_or_default());
        let is_allowed = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
        if !is_allowed || key.starts_with("aws:") {
            return Err(invalid("Tags"));
        }
        if !keys.insert(key) {
            return Err(invalid("Duplicated keys are not allowed."));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}

fn check_tag_count(tags: &BTreeMap<String, String>) -> Result<(), Failure> {
    if tags.len() > MOST_TAGS {
        let message = "Could not complete request: tag quota of per resource exceeded";
        return Err(Failure::sender("TagLimitExceeded", message));
    }
    Ok(())
}

/// The policy of a topic that was given none, as SNS words it: its owner may do anything.
fn default_policy(arn: &str) -> String {
    let actions = [
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
    ];
    let actions = actions.map(|action| format!("\"SNS:{action}\"")).join(",");
    format!(
        "{{\"Version\":\"2008-10-17\",\"Id\":\"__default_policy_ID\",\"Statement\":[{{\"Sid\":\"__default_statement_ID\",\
         \"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"*\"}},\"Action\":[{actions}],\"Resource\":\"{arn}\",\
         \"Condition\":{{\"StringEquals\":{{\"AWS:SourceOwner\":\"{ACCOUNT}\"}}}}}}]}}"
    )
}
