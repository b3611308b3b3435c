//! A message comes in: checked, and turned into one delivery for each subscription that wants it.

use super::delivery::{Delivery, Notification};
use super::message::{self, Message};
use super::{State, arn, filter, invalid, no_topic};
use crate::aws::{Aws, Call, Failure};
use crate::faults::EventFault;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Entries of one PublishBatch.
const BATCH: usize = 10;

/// How long a message is under way. AWS says "typically within 30 milliseconds".
const LATENCY_MILLIS: i64 = 30;

impl State {
    pub(super) fn publish(&mut self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        if call.input["PhoneNumber"].is_string() {
            return Err(Failure::not_emulated("SNS", "Publish to a phone number"));
        }
        // Either parameter takes a topic.
        let member = ["TopicArn", "TargetArn"].into_iter().find(|member| call.input[*member].is_string());
        let member = member.ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value for required parameter"))?;
        if call.input[member].as_str().is_some_and(|arn| arn.contains(":endpoint/")) {
            return Err(Failure::not_emulated("SNS", "Publish to a mobile endpoint"));
        }
        let topic_arn = arn::read(call, member)?;
        let largest_bytes = self.topics.get(topic_arn).ok_or_else(no_topic)?.largest_bytes();
        let message = message::read(&call.input, largest_bytes, None)?;
        Ok(json!({ "MessageId": self.fan_out(aws, call, topic_arn, message) }))
    }

    /// All of a batch is refused where one of it is: the service says no more of the others.
    pub(super) fn publish_batch(&mut self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let (topic_arn, topic) = self.topic(call)?;
        let largest_bytes = topic.largest_bytes();
        let entries = call.input["PublishBatchRequestEntries"].as_array().map(Vec::as_slice).unwrap_or_default();
        check_batch(entries)?;
        let numbered = entries.iter().zip(1..);
        let messages = numbered
            .map(|(entry, position)| message::read(entry, largest_bytes, Some(position)))
            .collect::<Result<Vec<_>, _>>()?;
        if messages.iter().map(|message| message.bytes).sum::<usize>() > largest_bytes {
            let message = "The length of all the messages put together is more than the limit.";
            return Err(Failure::sender("BatchRequestTooLong", message));
        }
        let published = entries.iter().zip(messages).map(
            |(entry, message)| json!({ "Id": entry["Id"], "MessageId": self.fan_out(aws, call, topic_arn, message) }),
        );
        Ok(json!({ "Successful": published.collect::<Vec<_>>(), "Failed": [] }))
    }

    /// Sends a message to every subscription that wants it, a little later; answers with its id.
    fn fan_out(&mut self, aws: &Aws, call: &Call, topic_arn: &str, message: Message) -> String {
        let id = aws.uuid();
        let Some(topic) = self.topics.get(topic_arn) else { return id };
        let notification = Notification {
            id: id.clone(),
            topic_arn: topic_arn.to_owned(),
            region: call.region.clone(),
            signature_version: topic.signature_version().to_owned(),
            published: call.now,
            message,
        };
        let due = call.now.checked_add(SignedDuration::from_millis(LATENCY_MILLIS)).unwrap_or(Timestamp::MAX);
        let wants = topic.subscriptions.iter().filter(|(_, known)| {
            let passes = known
                .filter()
                .is_none_or(|(policy, scope)| filter::accepts(policy, scope, &notification.message, &known.protocol));
            known.state.is_confirmed() && passes
        });
        let deliveries: Vec<Delivery> = wants
            .map(|(id, known)| Delivery {
                due,
                notification: notification.clone(),
                subscription: id.clone(),
                protocol: known.protocol.clone(),
                endpoint: known.endpoint.clone(),
                is_raw: known.is_raw(),
                dead_letters: known.dead_letters(),
            })
            .collect();
        let due = deliveries.into_iter().flat_map(|delivery| as_it_goes(aws, delivery));
        self.deliveries.extend(due);
        id
    }
}

/// What becomes of one delivery: as it should be, or as the account's faults say. SNS promises at least once, and no
/// order. To the faults, its event is called by the topic's name.
fn as_it_goes(aws: &Aws, delivery: Delivery) -> Vec<Delivery> {
    let topic = delivery.notification.topic_arn.rsplit(':').next().unwrap_or_default();
    match aws.faults().for_event(topic) {
        None => vec![delivery],
        Some(EventFault::Never) => {
            tracing::debug!(topic, "a notification gets lost");
            Vec::new()
        }
        Some(EventFault::Duplicate) => vec![delivery.clone(), delivery],
        Some(EventFault::Delay(by)) => {
            let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
            vec![Delivery { due: delivery.due.checked_add(by).unwrap_or(Timestamp::MAX), ..delivery }]
        }
    }
}

fn check_batch(entries: &[Value]) -> Result<(), Failure> {
    if entries.is_empty() {
        return Err(Failure::sender("EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if entries.len() > BATCH {
        let message = "The batch request contains more entries than permissible.";
        return Err(Failure::sender("TooManyEntriesInBatchRequest", message));
    }
    let ids = || entries.iter().map(|entry| entry["Id"].as_str().unwrap_or_default());
    if ids().collect::<BTreeSet<_>>().len() != entries.len() {
        let message = "Two or more batch entries in the request have the same Id.";
        return Err(Failure::sender("BatchEntryIdsNotDistinct", message));
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    for id in ids() {
        let trouble = if id.len() > 80 {
            "is too long"
        } else if id.is_empty() || !id.bytes().all(is_allowed) {
            "contains an impermissible character"
        } else {
            continue;
        };
        let message = format!("The Id of a batch entry in the batch request {trouble}: {id}");
        return Err(Failure::sender("InvalidBatchEntryId", message));
    }
    Ok(())
}
