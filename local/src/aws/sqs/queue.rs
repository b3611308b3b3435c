//! One queue and the messages in it: what can be received when, in which order, and what becomes of it.
//!
//! Nothing here happens by itself. What expired, became visible or was received too often is found out when
//! somebody looks, at the moment that the look names.

use super::attributes::Attributes;
use super::message::{Outgoing, invalid};
use crate::aws::Failure;
use crate::aws::eventbridge::saved::pairs;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How long a FIFO queue remembers a deduplication id. Source: "Amazon SQS, exactly-once processing".
const DEDUPLICATION_SECONDS: u64 = 300;

/// A message in a queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) content: Outgoing,
    pub(super) sender: String,
    pub(super) sent: Timestamp,
    /// Nobody receives it before this.
    pub(super) visible_at: Timestamp,
    pub(super) receives: u64,
    pub(super) first_received: Option<Timestamp>,
    /// The ARN of the queue that it was moved from, for a message in a dead-letter queue.
    pub(super) moved_from: Option<String>,
}

impl Message {
    fn is_in_flight(&self, now: Timestamp) -> bool {
        self.receives > 0 && self.visible_at > now
    }

    /// Forgets who received it: it is new where it goes.
    pub(super) fn start_over(&mut self) {
        self.receives = 0;
        self.first_received = None;
    }
}

/// A receipt handle, taken apart: which message, and which of its receipts.
struct Receipt {
    sequence: u64,
    receives: u64,
}

/// A message that somebody just received.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) handle: String,
    pub(super) sequence: u64,
    pub(super) message: Message,
}

/// How many messages a queue has, by what they wait for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) visible: usize,
    pub(super) in_flight: usize,
    pub(super) delayed: usize,
}

/// A queue.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) attributes: Attributes,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) purged: Option<Timestamp>,
    /// By sequence: the order of arrival.
    messages: BTreeMap<u64, Message>,
    /// What was sent lately: until when it counts, and the message that it became.
    #[serde(with = "pairs")]
    sent: BTreeMap<(String, String), (Timestamp, String, u64)>,
}

impl Queue {
    pub(super) fn new(name: &str, arn: String, attributes: Attributes, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            arn,
            created: now,
            modified: now,
            attributes,
            tags: BTreeMap::new(),
            purged: None,
            messages: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    /// The message that an earlier send with the same deduplication id made, and its sequence.
    pub(super) fn duplicate(&mut self, content: &Outgoing, now: Timestamp) -> Option<(String, u64)> {
        self.sent.retain(|_, (until, ..)| *until > now);
        self.sent.get(&self.deduplication_key(content)?).map(|(_, id, sequence)| (id.clone(), *sequence))
    }

    /// Puts a message at the end.
    pub(super) fn push(&mut self, sequence: u64, mut message: Message, now: Timestamp) {
        let delay = message.content.delay_seconds.unwrap_or_else(|| self.attributes.number("DelaySeconds"));
        message.visible_at = after(now, delay);
        if let Some(key) = self.deduplication_key(&message.content) {
            self.sent.insert(key, (after(now, DEDUPLICATION_SECONDS), message.id.clone(), sequence));
        }
        self.messages.insert(sequence, message);
    }

    /// Puts a message there that another queue gave up. How often it was received goes on counting.
    pub(super) fn adopt(&mut self, sequence: u64, mut message: Message, now: Timestamp) {
        message.visible_at = now;
        if self.attributes.is_fifo() {
            message.sent = now; // A standard message keeps its age, a FIFO message does not.
        }
        self.messages.insert(sequence, message);
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages).into_values().collect()
    }

    /// Receives up to `most` messages, hides them for `visibility_seconds`, and hands over those that were received
    /// too often already: they belong to the dead-letter queue.
    pub(super) fn receive(
        &mut self,
        most: usize,
        visibility_seconds: u64,
        now: Timestamp,
    ) -> (Vec<Received>, Vec<Message>) {
        self.expire(now);
        let most_receives = self.attributes.redrive().map_or(u64::MAX, |redrive| redrive.max_receives);
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        for sequence in self.receivable(now) {
            if received.len() == most {
                break;
            }
            let Some(message) = self.messages.get_mut(&sequence) else { continue };
            if message.receives >= most_receives {
                dead.extend(self.messages.remove(&sequence));
                continue;
            }
            message.receives += 1;
            message.first_received.get_or_insert(now);
            message.visible_at = after(now, visibility_seconds);
            let handle = format!("{}|{sequence}|{}", self.name, message.receives);
            received.push(Received { handle: BASE64_STANDARD.encode(handle), sequence, message: message.clone() });
        }
        (received, dead)
    }

    /// The earliest moment at which [`Queue::receive`] finds something.
    pub(super) fn next_receivable(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.expire(now);
        if !self.attributes.is_fifo() {
            return self.messages.values().map(|message| message.visible_at.max(now)).min();
        }
        let mut groups: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for message in self.messages.values() {
            let group = message.content.group.as_deref().unwrap_or_default();
            let opens = groups.entry(group).or_insert_with(|| message.visible_at.max(now));
            if message.is_in_flight(now) {
                *opens = message.visible_at.max(*opens);
            }
        }
        groups.into_values().min()
    }

    /// Deletes a message. One that is gone already is deleted.
    ///
    /// # Errors
    /// `ReceiptHandleIsInvalid`; for a FIFO queue also when the receipt is no longer the message's.
    pub(super) fn delete(&mut self, handle: &str, now: Timestamp) -> Result<(), Failure> {
        let receipt = self.receipt(handle)?;
        let Some(message) = self.messages.get(&receipt.sequence) else { return Ok(()) };
        let is_latest = message.receives == receipt.receives;
        if self.attributes.is_fifo() && !(is_latest && message.is_in_flight(now)) {
            return Err(invalid("ReceiptHandle", handle, "The receipt handle has expired."));
        }
        // With an older handle AWS promises success, not a deletion: "the message might not be deleted".
        if is_latest {
            self.messages.remove(&receipt.sequence);
        }
        Ok(())
    }

    /// Hides a received message for `seconds` from now, or shows it again with 0.
    ///
    /// # Errors
    /// `MessageNotInflight`, `InvalidParameterValue` for a message that is gone, `ReceiptHandleIsInvalid`.
    pub(super) fn change_visibility(&mut self, handle: &str, seconds: u64, now: Timestamp) -> Result<(), Failure> {
        let receipt = self.receipt(handle)?;
        let Some(message) = self.messages.get_mut(&receipt.sequence) else {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            return Err(invalid("ReceiptHandle", handle, reason));
        };
        if !message.is_in_flight(now) || message.receives != receipt.receives {
            return Err(Failure::sender("MessageNotInflight", "The message referred to isn't in flight."));
        }
        message.visible_at = after(now, seconds);
        Ok(())
    }

    pub(super) fn counts(&mut self, now: Timestamp) -> Counts {
        self.expire(now);
        let in_flight = self.messages.values().filter(|message| message.is_in_flight(now)).count();
        let visible = self.messages.values().filter(|message| message.visible_at <= now).count();
        Counts { visible, in_flight, delayed: self.messages.len() - visible - in_flight }
    }

    /// What may be received now, in the order in which it would be.
    ///
    /// A FIFO queue serves one group before the next. A group that has a message in flight is closed, and a delayed
    /// message closes its group to those behind it.
    fn receivable(&self, now: Timestamp) -> Vec<u64> {
        if !self.attributes.is_fifo() {
            let visible = self.messages.iter().filter(|(_, message)| message.visible_at <= now);
            return visible.map(|(sequence, _)| *sequence).collect();
        }
        let in_flight = self.messages.values().filter(|message| message.is_in_flight(now));
        let mut closed: BTreeSet<_> = in_flight.map(|message| &message.content.group).collect();
        let mut order: Vec<&Option<String>> = Vec::new();
        let mut groups: BTreeMap<&Option<String>, Vec<u64>> = BTreeMap::new();
        for (sequence, message) in &self.messages {
            let group = &message.content.group;
            if message.visible_at > now {
                closed.insert(group);
            } else if !closed.contains(group) {
                let members = groups.entry(group).or_default();
                if members.is_empty() {
                    order.push(group);
                }
                members.push(*sequence);
            }
        }
        order.into_iter().filter_map(|group| groups.remove(group)).flatten().collect()
    }

    fn expire(&mut self, now: Timestamp) {
        let kept_seconds = self.attributes.number("MessageRetentionPeriod");
        self.messages.retain(|_, message| after(message.sent, kept_seconds) > now);
    }

    fn deduplication_key(&self, content: &Outgoing) -> Option<(String, String)> {
        let id = content.deduplication.clone()?;
        let per_group = self.attributes.get("DeduplicationScope").is_some_and(|scope| scope == "messageGroup");
        let scope = content.group.clone().filter(|_| per_group).unwrap_or_default();
        Some((scope, id))
    }

    fn receipt(&self, handle: &str) -> Result<Receipt, Failure> {
        let read = || {
            let plain = String::from_utf8(BASE64_STANDARD.decode(handle).ok()?).ok()?;
            let mut parts = plain.split('|');
            let name = parts.next()?;
            let receipt = Receipt { sequence: parts.next()?.parse().ok()?, receives: parts.next()?.parse().ok()? };
            (name == self.name).then_some(receipt)
        };
        read().ok_or_else(|| {
            let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            Failure { status: 404, ..Failure::sender("ReceiptHandleIsInvalid", message) }
        })
    }
}

impl Message {
    /// A message that was just sent.
    pub(super) fn new(id: String, content: Outgoing, sender: String, now: Timestamp) -> Self {
        Self { id, content, sender, sent: now, visible_at: now, receives: 0, first_received: None, moved_from: None }
    }

    /// The system attributes of a received message.
    pub(super) fn system_attributes(&self, sequence_number: Option<String>) -> Map<String, Value> {
        let mut all = Map::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                all.insert(name.to_owned(), Value::String(value));
            }
        };
        put("SenderId", Some(self.sender.clone()));
        put("SentTimestamp", Some(self.sent.as_millisecond().to_string()));
        put("ApproximateReceiveCount", Some(self.receives.to_string()));
        put("ApproximateFirstReceiveTimestamp", self.first_received.map(|at| at.as_millisecond().to_string()));
        put("MessageGroupId", self.content.group.clone());
        put("MessageDeduplicationId", self.content.deduplication.clone());
        put("SequenceNumber", sequence_number);
        put("DeadLetterQueueSourceArn", self.moved_from.clone());
        let trace =
            self.content.system_attributes.get("AWSTraceHeader").and_then(|header| header["StringValue"].as_str());
        put("AWSTraceHeader", trace.map(str::to_owned));
        all
    }
}

fn after(moment: Timestamp, seconds: u64) -> Timestamp {
    let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    moment.checked_add(wait).unwrap_or(Timestamp::MAX)
}
