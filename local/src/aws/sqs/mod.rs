//! SQS: standard and FIFO queues, dead letters and their way back.
//!
//! Standard queues here are better than AWS promises (in order, no copies): disorder and copies are asked for as
//! faults. What a look at a queue finds depends on its messages and the moment alone, see [`queue`].

mod attributes;
mod message;
mod queue;

use super::eventbridge::saved::{self, pairs};
use super::{ACCOUNT, Aws, Call, Failure, Service, lock};
use attributes::{Attributes, LARGEST_MESSAGE_BYTES};
use jiff::{SignedDuration, Timestamp};
use message::{invalid, md5_hex, md5_of_attributes, missing};
use queue::{Message, Queue, Received};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use tokio::sync::Notify;

/// Entries of a batch, and messages of one receive, at most.
const BATCH: usize = 10;

/// Messages that a move task moves in a second, at most.
const FASTEST_MOVE: u64 = 500;

/// What one page of a listing holds at most.
const LARGEST_PAGE: u64 = 1000;

/// A queue may be purged this often.
const PURGE_SECONDS: u64 = 60;

/// Where the sequence numbers of FIFO messages begin: 20 digits, as AWS's have.
const FIRST_SEQUENCE_NUMBER: u128 = 18_849_496_460_467_696_128;

/// The queues of the account.
#[derive(Default)]
pub struct Sqs {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    #[serde(with = "pairs")]
    queues: BTreeMap<(String, String), Queue>,
    /// Finished move tasks by the ARN of their source.
    moves: BTreeMap<String, Vec<Value>>,
    sequence: u64,
}

/// The URL of a queue.
pub(crate) fn url(region: &str, queue: &str) -> String {
    format!("https://sqs.{region}.amazonaws.com/{ACCOUNT}/{queue}")
}

/// The ARN of a queue.
pub(crate) fn arn(region: &str, queue: &str) -> String {
    format!("arn:aws:sqs:{region}:{ACCOUNT}:{queue}")
}

impl Sqs {
    /// Everything there is, for [`Sqs::restore`].
    pub(crate) fn save(&self) -> Value {
        saved::save(&self.state)
    }

    /// Puts back what [`Sqs::save`] saw. What is in flight comes back when its visibility timeout is over.
    ///
    /// # Errors
    /// When it is something else. Nothing is changed then.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        saved::restore(&self.state, saved)?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// When the next message of a queue can be received, if it has any and exists.
    pub(crate) fn next_receivable(&self, region: &str, queue: &str, now: Timestamp) -> Option<Timestamp> {
        let mut state = lock(&self.state);
        state.queues.get_mut(&(region.to_owned(), queue.to_owned()))?.next_receivable(now)
    }

    /// For a ReceiveMessage: until when it may wait for a first message.
    pub(crate) fn wait_until(&self, call: &Call) -> Timestamp {
        let seconds = call.input["WaitTimeSeconds"].as_u64().unwrap_or_else(|| {
            let state = lock(&self.state);
            let queue = queue_key(call).ok().and_then(|key| state.queues.get(&key));
            queue.map_or(0, |queue| queue.attributes.number("ReceiveMessageWaitTimeSeconds"))
        });
        let wait = SignedDuration::from_secs(i64::try_from(seconds.min(20)).unwrap_or(20));
        call.now.checked_add(wait).unwrap_or(call.now)
    }

    /// Waits until the queue of a ReceiveMessage has something, or until `deadline`.
    pub(crate) async fn wait(&self, aws: &Aws, call: &Call, deadline: Timestamp) {
        let Ok((region, queue)) = queue_key(call) else { return };
        let clock = aws.clock();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = clock.now();
            let next = self.next_receivable(&region, &queue, now);
            if now >= deadline || next.is_some_and(|at| at <= now) {
                return;
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = clock.sleep_until(next.unwrap_or(deadline).min(deadline)) => {}
            }
        }
    }
}

impl Service for Sqs {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let answer = self.run(aws, call);
        if answer.is_ok() && !call.operation.starts_with("Get") && !call.operation.starts_with("List") {
            self.changed.notify_waiters();
            aws.lambda().look_again(aws);
        }
        answer
    }

    fn operations(&self) -> &'static [&'static str] {
        &[
            "ChangeMessageVisibility",
            "ChangeMessageVisibilityBatch",
            "CreateQueue",
            "DeleteMessage",
            "DeleteMessageBatch",
            "DeleteQueue",
            "GetQueueAttributes",
            "GetQueueUrl",
            "ListDeadLetterSourceQueues",
            "ListMessageMoveTasks",
            "ListQueueTags",
            "ListQueues",
            "PurgeQueue",
            "ReceiveMessage",
            "SendMessage",
            "SendMessageBatch",
            "SetQueueAttributes",
            "StartMessageMoveTask",
            "TagQueue",
            "UntagQueue",
        ]
    }
}

impl Sqs {
    fn run(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        match call.operation.as_str() {
            "CreateQueue" => state.create(call),
            "ListQueues" => state.list(call),
            "GetQueueUrl" => state.queue_url(call),
            "StartMessageMoveTask" => state.start_move(aws, call),
            "ListMessageMoveTasks" => state.list_moves(call),
            "DeleteQueue" => state.delete_queue(call),
            "ListDeadLetterSourceQueues" => state.dead_letter_sources(call),
            "SetQueueAttributes" => state.set_attributes(call),
            "SendMessage" => state.send(aws, call, &call.input).map(|sent| sent.answer()),
            "SendMessageBatch" => state.send_batch(aws, call),
            "ReceiveMessage" => state.receive(call),
            "DeleteMessage" => delete_message(state.queue(call)?, &call.input, call.now),
            "DeleteMessageBatch" => {
                let queue = state.queue(call)?;
                batch(call, |entry| delete_message(queue, entry, call.now))
            }
            "ChangeMessageVisibility" => change_visibility(state.queue(call)?, &call.input, call.now),
            "ChangeMessageVisibilityBatch" => {
                let queue = state.queue(call)?;
                batch(call, |entry| change_visibility(queue, entry, call.now))
            }
            "GetQueueAttributes" => get_attributes(state.queue(call)?, call),
            "PurgeQueue" => purge(state.queue(call)?, call.now),
            "TagQueue" => {
                let tags = call.input["Tags"].as_object().ok_or_else(|| missing("Tags"))?;
                state.queue(call)?.tags.extend(text_pairs(tags));
                Ok(json!({}))
            }
            "UntagQueue" => {
                let keys = call.input["TagKeys"].as_array().ok_or_else(|| missing("TagKeys"))?;
                state.queue(call)?.tags.retain(|key, _| !keys.iter().any(|gone| gone == key));
                Ok(json!({}))
            }
            "ListQueueTags" => Ok(json!({ "Tags": state.queue(call)?.tags })),
            operation => Err(Failure::not_emulated("sqs", operation)),
        }
    }
}

/// A message that the queue has taken, now or when it was sent the first time.
struct Sent {
    id: String,
    body_md5: String,
    attributes_md5: Option<String>,
    system_attributes_md5: Option<String>,
    sequence_number: Option<String>,
}

impl Sent {
    fn answer(self) -> Value {
        let mut answer = json!({ "MessageId": self.id, "MD5OfMessageBody": self.body_md5 });
        let optional = [
            ("MD5OfMessageAttributes", self.attributes_md5),
            ("MD5OfMessageSystemAttributes", self.system_attributes_md5),
            ("SequenceNumber", self.sequence_number),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                answer[name] = Value::String(value);
            }
        }
        answer
    }
}

impl State {
    fn queue(&mut self, call: &Call) -> Result<&mut Queue, Failure> {
        self.queues.get_mut(&queue_key(call)?).ok_or_else(no_such_queue)
    }

    fn create(&mut self, call: &Call) -> Result<Value, Failure> {
        let name = call.input["QueueName"].as_str().ok_or_else(|| missing("QueueName"))?;
        let stem = name.strip_suffix(".fifo");
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_fifo = call.input["Attributes"]["FifoQueue"] == "true";
        // Without the attribute, the dot of .fifo is a character that no name may have.
        let bare = stem.filter(|_| is_fifo).unwrap_or(name);
        if is_fifo && stem.is_none_or(str::is_empty) {
            let message = "The name of a FIFO queue can only include alphanumeric characters, hyphens, or \
                           underscores, must end with .fifo suffix and be 1 to 80 in length.";
            return Err(Failure::sender("InvalidParameterValue", message));
        }
        if bare.is_empty() || name.len() > 80 || !bare.bytes().all(is_name) {
            let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
            return Err(Failure::sender("InvalidParameterValue", message));
        }
        let attributes = Attributes::read(&call.input["Attributes"], is_fifo)?;
        self.check_redrive(&attributes, is_fifo)?;
        let answer = json!({ "QueueUrl": url(&call.region, name) });
        let key = (call.region.clone(), name.to_owned());
        if let Some(existing) = self.queues.get(&key) {
            return match existing.attributes.first_difference(&attributes) {
                None => Ok(answer),
                Some(attribute) => {
                    let message = format!(
                        "A queue already exists with the same name and a different value for attribute {attribute}"
                    );
                    Err(Failure::sender("QueueNameExists", message))
                }
            };
        }
        let mut queue = Queue::new(name, arn(&call.region, name), attributes, call.now);
        queue.tags.extend(call.input["tags"].as_object().map(text_pairs).into_iter().flatten());
        self.queues.insert(key, queue);
        Ok(answer)
    }

    /// A dead-letter queue exists and is of its source's kind.
    fn check_redrive(&self, attributes: &Attributes, is_fifo: bool) -> Result<(), Failure> {
        let Some(redrive) = attributes.redrive() else { return Ok(()) };
        let Some(target) = key_of(&redrive.target_arn).and_then(|key| self.queues.get(&key)) else {
            return Err(invalid("RedrivePolicy", &redrive.target_arn, "Dead letter target does not exist."));
        };
        if target.attributes.is_fifo() != is_fifo {
            let reason = "Dead-letter queue must be same type of queue as the source.";
            return Err(invalid("RedrivePolicy", &redrive.target_arn, reason));
        }
        Ok(())
    }

    fn set_attributes(&mut self, call: &Call) -> Result<Value, Failure> {
        let is_fifo = self.queue(call)?.attributes.is_fifo();
        let changes = Attributes::read(&call.input["Attributes"], is_fifo)?;
        self.check_redrive(&changes, is_fifo)?;
        let queue = self.queue(call)?;
        queue.attributes.apply(changes);
        queue.modified = call.now;
        Ok(json!({}))
    }

    fn list(&self, call: &Call) -> Result<Value, Failure> {
        let prefix = call.input["QueueNamePrefix"].as_str().unwrap_or_default();
        let named = self.queues.keys().filter(|(region, name)| *region == call.region && name.starts_with(prefix));
        page(call, "QueueUrls", named.map(|(region, name)| url(region, name)))
    }

    fn queue_url(&self, call: &Call) -> Result<Value, Failure> {
        let name = call.input["QueueName"].as_str().ok_or_else(|| missing("QueueName"))?;
        let known = self.queues.contains_key(&(call.region.clone(), name.to_owned()));
        if known { Ok(json!({ "QueueUrl": url(&call.region, name) })) } else { Err(no_such_queue()) }
    }

    fn delete_queue(&mut self, call: &Call) -> Result<Value, Failure> {
        self.queues.remove(&queue_key(call)?).ok_or_else(no_such_queue)?;
        Ok(json!({}))
    }

    fn dead_letter_sources(&mut self, call: &Call) -> Result<Value, Failure> {
        let target = self.queue(call)?.arn.clone();
        let sources = self.queues.iter().filter(|(_, queue)| is_fed_by(&target, queue));
        page(call, "queueUrls", sources.map(|((region, name), _)| url(region, name)))
    }

    fn send(&mut self, aws: &Aws, call: &Call, input: &Value) -> Result<Sent, Failure> {
        let key = queue_key(call)?;
        let next = self.sequence + 1;
        let queue = self.queues.get_mut(&key).ok_or_else(no_such_queue)?;
        let content = message::read(input, &queue.attributes)?;
        let mut sent = Sent {
            id: String::new(),
            body_md5: md5_hex(content.body.as_bytes()),
            attributes_md5: md5_of_attributes(&content.attributes),
            system_attributes_md5: md5_of_attributes(&content.system_attributes),
            sequence_number: None,
        };
        let (id, sequence) = match queue.duplicate(&content, call.now) {
            Some(earlier) => earlier,
            None => {
                let id = aws.uuid();
                queue.push(next, Message::new(id.clone(), content, call.caller.clone(), call.now), call.now);
                self.sequence = next;
                (id, next)
            }
        };
        sent.sequence_number = queue.attributes.is_fifo().then(|| sequence_number(sequence));
        sent.id = id;
        Ok(sent)
    }

    fn send_batch(&mut self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let attributes = self.queue(call)?.attributes.clone();
        let entries = entries(call)?;
        let bytes: u64 =
            entries.iter().filter_map(|entry| message::read(entry, &attributes).ok()).map(|m| m.bytes).sum();
        if bytes > LARGEST_MESSAGE_BYTES {
            let message = format!(
                "Batch requests cannot be longer than {LARGEST_MESSAGE_BYTES} bytes. You have sent {bytes} bytes."
            );
            return Err(Failure::sender("BatchRequestTooLong", message));
        }
        batch(call, |entry| self.send(aws, call, entry).map(Sent::answer))
    }

    fn receive(&mut self, call: &Call) -> Result<Value, Failure> {
        let input = &call.input;
        let most = bounded(input, "MaxNumberOfMessages", 1, 10)?.unwrap_or(1);
        let visibility = bounded(input, "VisibilityTimeout", 0, 43_200)?;
        bounded(input, "WaitTimeSeconds", 0, 20)?;
        let queue = self.queue(call)?;
        let visibility = visibility.unwrap_or_else(|| queue.attributes.number("VisibilityTimeout"));
        let (received, dead) = queue.receive(usize::try_from(most).unwrap_or(BATCH), visibility, call.now);
        let is_fifo = queue.attributes.is_fifo();
        let (source, redrive) = (queue.arn.clone(), queue.attributes.redrive());
        if let Some(target) = redrive.and_then(|redrive| key_of(&redrive.target_arn)) {
            for mut message in dead {
                self.sequence += 1;
                message.moved_from = Some(source.clone());
                if let Some(queue) = self.queues.get_mut(&target) {
                    queue.adopt(self.sequence, message, call.now);
                }
            }
        }
        if received.is_empty() {
            return Ok(json!({}));
        }
        Ok(json!({ "Messages": received.iter().map(|each| shown(each, input, is_fifo)).collect::<Vec<_>>() }))
    }

    /// Moves dead letters back, all at once: the task that AWS would run for a while is finished when it is listed.
    fn start_move(&mut self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let source_arn = call.input["SourceArn"].as_str().ok_or_else(|| missing("SourceArn"))?;
        let source =
            key_of(source_arn).filter(|key| self.queues.contains_key(key)).ok_or_else(|| no_such("SourceArn"))?;
        if !self.queues.values().any(|queue| is_fed_by(source_arn, queue)) {
            let message = "Source queue must be configured as a Dead Letter Queue.";
            return Err(Failure::sender("InvalidParameterValue", message));
        }
        let destination = call.input["DestinationArn"].as_str();
        if destination.is_some_and(|arn| key_of(arn).is_none_or(|key| !self.queues.contains_key(&key))) {
            return Err(no_such("DestinationArn"));
        }
        let speed = bounded(&call.input, "MaxNumberOfMessagesPerSecond", 1, FASTEST_MOVE)?;
        let messages = self.queues.get_mut(&source).map(Queue::drain).unwrap_or_default();
        let (mut moved, total) = (0, messages.len());
        for mut message in messages {
            self.sequence += 1;
            let back = destination.map(str::to_owned).or_else(|| message.moved_from.clone());
            let target = back.and_then(|arn| key_of(&arn)).filter(|key| self.queues.contains_key(key));
            let is_home = target.is_some();
            if let Some(queue) = self.queues.get_mut(&target.unwrap_or_else(|| source.clone())) {
                if is_home {
                    (message.id, message.moved_from, message.sent) = (aws.uuid(), None, call.now);
                    message.start_over();
                    moved += 1;
                }
                queue.adopt(self.sequence, message, call.now);
            }
        }
        let handle = aws.uuid();
        let mut task = json!({
            "Status": "COMPLETED",
            "SourceArn": source_arn,
            "ApproximateNumberOfMessagesMoved": moved,
            "ApproximateNumberOfMessagesToMove": total,
            "StartedTimestamp": call.now.as_millisecond(),
        });
        if let Some(destination) = destination {
            task["DestinationArn"] = Value::from(destination);
        }
        if let Some(speed) = speed {
            task["MaxNumberOfMessagesPerSecond"] = Value::from(speed);
        }
        self.moves.entry(source_arn.to_owned()).or_default().insert(0, task);
        Ok(json!({ "TaskHandle": handle }))
    }

    fn list_moves(&self, call: &Call) -> Result<Value, Failure> {
        let source_arn = call.input["SourceArn"].as_str().ok_or_else(|| missing("SourceArn"))?;
        key_of(source_arn).filter(|key| self.queues.contains_key(key)).ok_or_else(|| no_such("SourceArn"))?;
        let most = usize::try_from(bounded(&call.input, "MaxResults", 1, 10)?.unwrap_or(1)).unwrap_or(1);
        let tasks: Vec<_> = self.moves.get(source_arn).into_iter().flatten().take(most).collect();
        Ok(json!({ "Results": tasks }))
    }
}

fn delete_message(queue: &mut Queue, input: &Value, now: Timestamp) -> Result<Value, Failure> {
    let handle = input["ReceiptHandle"].as_str().ok_or_else(|| missing("ReceiptHandle"))?;
    queue.delete(handle, now).map(|()| json!({}))
}

fn change_visibility(queue: &mut Queue, input: &Value, now: Timestamp) -> Result<Value, Failure> {
    let handle = input["ReceiptHandle"].as_str().ok_or_else(|| missing("ReceiptHandle"))?;
    let seconds = bounded(input, "VisibilityTimeout", 0, 43_200)?.ok_or_else(|| missing("VisibilityTimeout"))?;
    queue.change_visibility(handle, seconds, now).map(|()| json!({}))
}

fn purge(queue: &mut Queue, now: Timestamp) -> Result<Value, Failure> {
    let too_soon = |at: Timestamp| now.duration_since(at).unsigned_abs().as_secs() < PURGE_SECONDS;
    if queue.purged.is_some_and(too_soon) {
        let message = format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", queue.name);
        return Err(Failure { status: 403, ..Failure::sender("PurgeQueueInProgress", message) });
    }
    queue.purged = Some(now);
    queue.drain();
    Ok(json!({}))
}

fn get_attributes(queue: &mut Queue, call: &Call) -> Result<Value, Failure> {
    let counts = queue.counts(call.now);
    let mut all = queue.attributes.all();
    all.extend(
        [
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("CreatedTimestamp", queue.created.as_second().to_string()),
            ("LastModifiedTimestamp", queue.modified.as_second().to_string()),
            ("QueueArn", queue.arn.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let names = call.input["AttributeNames"].as_array().map(Vec::as_slice).unwrap_or_default();
    for name in names.iter().filter_map(Value::as_str) {
        if name != "All" && !all.contains_key(name) && !attributes::is_known(name) {
            return Err(attributes::unknown(name));
        }
    }
    if !names.iter().any(|name| name == "All") {
        all.retain(|name, _| names.iter().any(|wanted| wanted == name));
    }
    // AWS leaves the member out when there is nothing to say.
    Ok(if all.is_empty() { json!({}) } else { json!({ "Attributes": all }) })
}

/// A received message, with the attributes that were asked for.
fn shown(received: &Received, input: &Value, is_fifo: bool) -> Value {
    let message = &received.message;
    let mut shown = json!({
        "MessageId": message.id,
        "ReceiptHandle": received.handle,
        "MD5OfBody": md5_hex(message.content.body.as_bytes()),
        "Body": message.content.body,
    });
    let asked = |member: &str| -> BTreeSet<&str> {
        input[member].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let mut names = asked("MessageSystemAttributeNames");
    names.extend(asked("AttributeNames"));
    let mut system = message.system_attributes(is_fifo.then(|| sequence_number(received.sequence)));
    system.retain(|name, _| names.contains("All") || names.contains(name.as_str()));
    if !system.is_empty() {
        shown["Attributes"] = Value::Object(system);
    }
    let patterns = asked("MessageAttributeNames");
    let is_asked = |name: &str| {
        patterns.iter().any(|pattern| match pattern.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => *pattern == "All" || *pattern == name,
        })
    };
    let mut attributes = message.content.attributes.clone();
    attributes.retain(|name, _| is_asked(name));
    if let Some(md5) = md5_of_attributes(&attributes) {
        shown["MD5OfMessageAttributes"] = Value::String(md5);
        shown["MessageAttributes"] = Value::Object(attributes);
    }
    shown
}

/// The entries of a batch call, with the batch itself checked.
fn entries(call: &Call) -> Result<&[Value], Failure> {
    let entries = call.input["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() {
        let message = format!("There should be at least one {}RequestEntry in the request.", call.operation);
        return Err(Failure::sender("EmptyBatchRequest", message));
    }
    if entries.len() > BATCH {
        let message = format!("Maximum number of entries per request are 10. You have sent {}.", entries.len());
        return Err(Failure::sender("TooManyEntriesInBatchRequest", message));
    }
    let mut seen = BTreeSet::new();
    for entry in entries {
        let id = entry["Id"].as_str().unwrap_or_default();
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if id.is_empty() || id.len() > 80 || !id.bytes().all(is_id) {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It \
                           can be at most 80 letters long.";
            return Err(Failure::sender("InvalidBatchEntryId", message));
        }
        if !seen.insert(id) {
            return Err(Failure::sender("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
    }
    Ok(entries)
}

/// Runs each entry of a batch call by itself and reports on each by its id.
fn batch(call: &Call, mut each: impl FnMut(&Value) -> Result<Value, Failure>) -> Result<Value, Failure> {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries(call)? {
        match each(entry) {
            Ok(mut answer) => {
                answer["Id"] = entry["Id"].clone();
                successful.push(answer);
            }
            Err(failure) if failure.code == "QueueDoesNotExist" => return Err(failure),
            Err(failure) => failed.push(json!({
                "Id": entry["Id"],
                "SenderFault": failure.status < 500,
                "Code": failure.code,
                "Message": failure.message,
            })),
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

/// One page of a list of strings; the token is where the next page starts. Without MaxResults there is no next.
fn page(call: &Call, member: &str, all: impl Iterator<Item = String>) -> Result<Value, Failure> {
    let asked = bounded(&call.input, "MaxResults", 1, LARGEST_PAGE)?;
    let most = usize::try_from(asked.unwrap_or(LARGEST_PAGE)).unwrap_or(usize::MAX);
    let start = match call.input["NextToken"].as_str() {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid("NextToken", token, "It is not a token of this listing."))?,
    };
    let mut rest = all.skip(start).peekable();
    let items: Vec<String> = rest.by_ref().take(most).collect();
    let mut answer = json!({ member: items });
    if asked.is_some() && rest.peek().is_some() {
        answer["NextToken"] = Value::String((start + most).to_string());
    }
    Ok(answer)
}

fn bounded(input: &Value, name: &str, smallest: u64, largest: u64) -> Result<Option<u64>, Failure> {
    let Some(value) = input.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    match value.as_u64() {
        Some(number) if (smallest..=largest).contains(&number) => Ok(Some(number)),
        _ => {
            let reason = format!("Must be between {smallest} and {largest}, if provided.");
            Err(invalid(name, &value.to_string(), &reason))
        }
    }
}

fn queue_key(call: &Call) -> Result<(String, String), Failure> {
    let url = call.input["QueueUrl"].as_str().ok_or_else(|| missing("QueueUrl"))?;
    // Whatever the host: clients keep URLs that another endpoint gave them.
    let name = url.rsplit('/').next().unwrap_or_default();
    Ok((call.region.clone(), name.to_owned()))
}

fn key_of(arn: &str) -> Option<(String, String)> {
    let mut parts = arn.strip_prefix("arn:aws:sqs:")?.split(':');
    Some((parts.next()?.to_owned(), parts.nth(1)?.to_owned()))
}

fn is_fed_by(target_arn: &str, queue: &Queue) -> bool {
    queue.attributes.redrive().is_some_and(|redrive| redrive.target_arn == target_arn)
}

fn sequence_number(sequence: u64) -> String {
    (FIRST_SEQUENCE_NUMBER + u128::from(sequence) * 256).to_string()
}

fn text_pairs(map: &Map<String, Value>) -> impl Iterator<Item = (String, String)> + '_ {
    map.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
}

fn no_such_queue() -> Failure {
    Failure::sender("QueueDoesNotExist", "The specified queue does not exist.")
}

fn no_such(parameter: &str) -> Failure {
    let message = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
    Failure { status: 404, ..Failure::sender("ResourceNotFoundException", message) }
}

#[cfg(test)]
mod tests;
