//! Functions: invoked directly, asynchronously with AWS's retries, or by a queue that is mapped to them.
//!
//! A function is a closure that the owner of the account registers: whether it starts cold or warm is that
//! closure's business. What is kept here is Lambda's own part: timeouts, retries, destinations, batches. What a
//! function does runs as a task of its own, so that a panic or a hang in it is a failed invocation and no more.

use super::eventbridge::saved::pairs;
use super::{ACCOUNT, Aws, Call, Failure, Service, lock};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long Lambda waits before it tries an asynchronous invocation again. Source: "AWS Lambda, error handling
/// for asynchronous invocation": one minute before the second attempt, two before the third.
const RETRY_AFTER_SECONDS: [i64; 2] = [60, 120];

/// Batches of one mapping that run at the same time. Source: "Using Lambda with Amazon SQS, scaling": five at first.
const DEFAULT_CONCURRENCY: usize = 5;

/// What a function is: an event and an invocation in, an answer or an error message out.
pub type Handler = Arc<dyn Fn(Value, Invocation) -> Answer + Send + Sync>;

/// What a [`Handler`] returns.
pub type Answer = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// One run of a function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// A UUID; the retries of an asynchronous invocation share it.
    pub request_id: String,
    /// When Lambda kills the run.
    pub deadline: Timestamp,
}

/// What Lambda does with asynchronous invocations that fail.
#[derive(Debug, Clone)]
pub struct AsyncSettings {
    /// Attempts after the first, at most 2.
    pub retries: usize,
    /// How old an event may get before Lambda gives it up.
    pub max_age: Duration,
    /// ARN of the queue that is told of the events that were given up.
    pub on_failure: Option<String>,
}

impl Default for AsyncSettings {
    fn default() -> Self {
        Self { retries: RETRY_AFTER_SECONDS.len(), max_age: Duration::from_secs(6 * 60 * 60), on_failure: None }
    }
}

/// An event source mapping: a queue whose messages a function gets in batches.
#[derive(Debug, Clone)]
pub struct QueueMapping {
    /// The function's name.
    pub function: String,
    /// The queue's ARN.
    pub queue_arn: String,
    /// Messages per invocation, at most; 10 at most from a FIFO queue.
    pub batch_size: usize,
    /// Whether the answer's `batchItemFailures` decide what stays in the queue (ReportBatchItemFailures).
    pub report_batch_item_failures: bool,
    /// Invocations at the same time, at most; AWS's five where absent.
    pub max_concurrency: Option<usize>,
}

/// The functions of the account, in every region: a function's name is enough to find it.
#[derive(Default)]
pub struct Lambda {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    functions: BTreeMap<String, Function>,
    mappings: Vec<Mapping>,
    waiting: BTreeMap<(Timestamp, u64), Attempt>,
    /// Attempts that were started and have not ended.
    running: BTreeMap<u64, Attempt>,
    sequence: u64,
}

/// What is left of [`State`] at the end of a process: its owner registers functions and mappings again.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(with = "pairs")]
    waiting: BTreeMap<(Timestamp, u64), Attempt>,
    sequence: u64,
}

#[derive(Clone)]
struct Function {
    handler: Handler,
    timeout: Duration,
    asynchronous: AsyncSettings,
}

struct Mapping {
    settings: QueueMapping,
    region: String,
    queue: String,
    running: usize,
    /// When to look for messages next; `None` until something changes.
    look_at: Option<Timestamp>,
}

impl Mapping {
    fn has_room(&self) -> bool {
        self.running < self.settings.max_concurrency.unwrap_or(DEFAULT_CONCURRENCY)
    }
}

/// One attempt of an asynchronous invocation.
#[derive(Clone, Serialize, Deserialize)]
struct Attempt {
    function: String,
    region: String,
    event: Value,
    request_id: String,
    accepted: Timestamp,
    /// Attempts so far.
    made: usize,
}

impl Lambda {
    /// The asynchronous invocations that have not ended, for [`Lambda::restore`].
    ///
    /// One that runs counts as one that waits: what it did is not known, and Lambda promises at least one run.
    pub(crate) fn save(&self) -> Value {
        let state = lock(&self.state);
        let mut waiting = state.waiting.clone();
        waiting.extend(state.running.iter().map(|(id, attempt)| ((attempt.accepted, *id), attempt.clone())));
        serde_json::to_value(Saved { waiting, sequence: state.sequence }).unwrap_or_else(|error| {
            tracing::error!(%error, "a state cannot be written");
            Value::Null
        })
    }

    /// Puts back what [`Lambda::save`] saw. Functions and mappings stay as they are.
    ///
    /// # Errors
    /// When it is something else. Nothing is changed then.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        let saved: Saved = serde_json::from_value(saved)?;
        let mut state = lock(&self.state);
        (state.waiting, state.sequence) = (saved.waiting, saved.sequence);
        Ok(())
    }

    /// Adds a function, or replaces the one of that name.
    pub fn register(&self, name: &str, handler: Handler, timeout: Duration) {
        let function = Function { handler, timeout, asynchronous: AsyncSettings::default() };
        lock(&self.state).functions.insert(name.to_owned(), function);
    }

    /// Says what becomes of asynchronous invocations of `name` that fail. Nothing happens for an unknown function.
    pub fn configure_asynchronous(&self, name: &str, settings: AsyncSettings) {
        if let Some(function) = lock(&self.state).functions.get_mut(name) {
            function.asynchronous = settings;
        }
    }

    /// Whether there is such a function.
    pub fn is_registered(&self, name: &str) -> bool {
        lock(&self.state).functions.contains_key(name)
    }

    /// Feeds a queue to a function, from now on.
    ///
    /// # Errors
    /// `InvalidParameterValueException` for what is not a queue's ARN, or a batch size that AWS does not take.
    pub fn map_queue(&self, aws: &Aws, settings: QueueMapping) -> Result<(), Failure> {
        let Some((region, queue)) = queue_of(&settings.queue_arn) else {
            let message = format!("Unrecognized event source: {}", settings.queue_arn);
            return Err(Failure::sender("InvalidParameterValueException", message));
        };
        let largest = if queue.ends_with(".fifo") { 10 } else { 10_000 };
        if settings.batch_size == 0 || settings.batch_size > largest {
            let message = format!("BatchSize must be between 1 and {largest}.");
            return Err(Failure::sender("InvalidParameterValueException", message));
        }
        let (region, queue) = (region.to_owned(), queue.to_owned());
        lock(&self.state).mappings.push(Mapping { settings, region, queue, running: 0, look_at: None });
        self.look_again(aws);
        aws.poke();
        Ok(())
    }

    /// Invokes a function and waits for its answer.
    ///
    /// # Errors
    /// A sentence: the function's own error, its panic, its timeout, or that there is no such function.
    pub async fn invoke(&self, aws: &Aws, name: &str, event: Value) -> Result<Value, String> {
        self.run(aws, name, event, aws.uuid()).await
    }

    /// Accepts an asynchronous invocation: it runs as soon as [`Aws::run`] sees it, and is retried when it fails.
    ///
    /// # Errors
    /// `ResourceNotFoundException` when there is no such function.
    pub fn invoke_later(&self, aws: &Aws, region: &str, name: &str, event: Value) -> Result<(), Failure> {
        if !self.is_registered(name) {
            let message = format!("Function not found: {}", arn(region, name));
            return Err(Failure { status: 404, ..Failure::sender("ResourceNotFoundException", message) });
        }
        let now = aws.clock().now();
        let attempt = Attempt {
            function: name.to_owned(),
            region: region.to_owned(),
            event,
            request_id: aws.uuid(),
            accepted: now,
            made: 0,
        };
        self.wait(now, attempt);
        aws.poke();
        Ok(())
    }

    /// Looks up when each mapped queue can be received from next. To be called after a queue changed.
    pub(crate) fn look_again(&self, aws: &Aws) {
        let now = aws.clock().now();
        let open: Vec<_> = lock(&self.state)
            .mappings
            .iter()
            .enumerate()
            .filter(|(_, mapping)| mapping.has_room() && mapping.look_at.is_none_or(|at| at > now))
            .map(|(index, mapping)| (index, mapping.region.clone(), mapping.queue.clone()))
            .collect();
        for (index, region, queue) in open {
            let next = aws.sqs().next_receivable(&region, &queue, now);
            if let Some(mapping) = lock(&self.state).mappings.get_mut(index) {
                mapping.look_at = next;
            }
        }
    }

    fn wait(&self, until: Timestamp, attempt: Attempt) {
        let mut state = lock(&self.state);
        state.sequence += 1;
        let sequence = state.sequence;
        state.waiting.insert((until, sequence), attempt);
    }

    fn function(&self, name: &str) -> Option<Function> {
        lock(&self.state).functions.get(name).cloned()
    }

    async fn run(&self, aws: &Aws, name: &str, event: Value, request_id: String) -> Result<Value, String> {
        let Some(function) = self.function(name) else {
            return Err(format!("Function not found: {name}"));
        };
        let now = aws.clock().now();
        let deadline = SignedDuration::try_from(function.timeout)
            .ok()
            .and_then(|timeout| now.checked_add(timeout).ok())
            .unwrap_or(Timestamp::MAX);
        let invocation = Invocation { request_id: request_id.clone(), deadline };
        // A task of its own also because it goes on to its deadline when whoever waits for it goes away.
        let run = async move { tokio::time::timeout(function.timeout, (function.handler)(event, invocation)).await };
        match tokio::spawn(run).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                let seconds = function.timeout.as_secs_f64();
                Err(format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds"))
            }
            Err(_) => Err(format!("RequestId: {request_id} Error: Runtime exited with error: signal: aborted")),
        }
    }

    async fn attempt(&self, aws: &Aws, id: u64, attempt: Attempt) {
        let outcome = self.run(aws, &attempt.function, attempt.event.clone(), attempt.request_id.clone()).await;
        if let Err(error) = outcome {
            self.failed(aws, attempt, &error);
        }
        lock(&self.state).running.remove(&id);
        aws.poke();
    }

    /// Has a failed attempt wait for the next, or gives it up.
    fn failed(&self, aws: &Aws, mut attempt: Attempt, error: &str) {
        attempt.made += 1;
        let settings = self.function(&attempt.function).map(|function| function.asynchronous).unwrap_or_default();
        let now = aws.clock().now();
        let retry_at = RETRY_AFTER_SECONDS
            .iter()
            .take(settings.retries)
            .nth(attempt.made - 1)
            .and_then(|seconds| now.checked_add(SignedDuration::from_secs(*seconds)).ok());
        let old = |at: Timestamp| at.duration_since(attempt.accepted).unsigned_abs() > settings.max_age;
        match retry_at {
            Some(at) if !old(at) => self.wait(at, attempt),
            Some(_) => give_up(aws, &settings, &attempt, "EventAgeExceeded", error),
            None => give_up(aws, &settings, &attempt, "RetriesExhausted", error),
        }
    }

    /// Takes one batch from a mapping's queue and starts its function on it.
    fn poll(&self, aws: &Aws, index: usize, now: Timestamp) {
        let Some((settings, region, queue)) = lock(&self.state)
            .mappings
            .get(index)
            .filter(|mapping| mapping.has_room())
            .map(|mapping| (mapping.settings.clone(), mapping.region.clone(), mapping.queue.clone()))
        else {
            return;
        };
        let messages = receive(aws, &region, &queue, settings.batch_size);
        let next = aws.sqs().next_receivable(&region, &queue, now);
        if let Some(mapping) = lock(&self.state).mappings.get_mut(index) {
            mapping.running += usize::from(!messages.is_empty());
            mapping.look_at = next.filter(|_| mapping.has_room());
        }
        if messages.is_empty() {
            return;
        }
        let aws = aws.clone();
        tokio::spawn(async move {
            let event =
                json!({ "Records": messages.iter().map(|each| record(each, &settings, &region)).collect::<Vec<_>>() });
            let outcome = aws.lambda().invoke(&aws, &settings.function, event).await;
            if let Err(error) = &outcome {
                tracing::warn!(function = settings.function, error, "a batch failed");
            }
            delete(&aws, &region, &queue, &done(&messages, &settings, outcome));
            if let Some(mapping) = lock(&aws.lambda().state).mappings.get_mut(index) {
                mapping.running -= 1;
            }
            aws.lambda().look_again(&aws);
            aws.poke();
        });
    }
}

impl Service for Lambda {
    fn call(&self, _aws: &Aws, call: &Call) -> Result<Value, Failure> {
        Err(Failure::not_emulated("lambda", &call.operation))
    }

    fn next_due(&self) -> Option<Timestamp> {
        let state = lock(&self.state);
        let looks = state.mappings.iter().filter_map(|mapping| mapping.look_at);
        looks.chain(state.waiting.keys().next().map(|(at, _)| *at)).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let (due, looking) = {
            let mut state = lock(&self.state);
            let later = state.waiting.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut state.waiting, later);
            state.running.extend(due.iter().map(|((_, id), attempt)| (*id, attempt.clone())));
            let looking: Vec<usize> = (0..state.mappings.len())
                .filter(|index| state.mappings[*index].look_at.is_some_and(|at| at <= now))
                .collect();
            (due, looking)
        };
        for ((_, id), attempt) in due {
            let aws = aws.clone();
            tokio::spawn(async move { aws.lambda().attempt(&aws, id, attempt).await });
        }
        for index in looking {
            self.poll(aws, index, now);
        }
    }
}

/// A function's ARN.
pub(crate) fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{name}")
}

/// The name in a function's ARN, with its version or alias left off.
pub(crate) fn name_in(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:aws:lambda:")?.split(':').nth(3).filter(|name| !name.is_empty())
}

fn queue_of(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.strip_prefix("arn:aws:sqs:")?.split(':');
    Some((parts.next()?, parts.nth(1)?))
}

fn give_up(aws: &Aws, settings: &AsyncSettings, attempt: &Attempt, condition: &str, error: &str) {
    tracing::warn!(function = attempt.function, condition, error, "an asynchronous invocation was given up");
    let Some((region, queue)) = settings.on_failure.as_deref().and_then(queue_of) else { return };
    let body = json!({
        "version": "1.0",
        "timestamp": aws.clock().now().to_string(),
        "requestContext": {
            "requestId": attempt.request_id,
            "functionArn": format!("{}:$LATEST", arn(&attempt.region, &attempt.function)),
            "condition": condition,
            "approximateInvokeCount": attempt.made,
        },
        "requestPayload": attempt.event,
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": { "errorMessage": error },
    });
    let input = json!({ "QueueUrl": super::sqs::url(region, queue), "MessageBody": body.to_string() });
    if let Err(failure) = aws.ask("sqs", region, "SendMessage", input) {
        tracing::warn!(queue, code = failure.code, "the destination did not take a failed event");
    }
}

fn receive(aws: &Aws, region: &str, queue: &str, batch_size: usize) -> Vec<Value> {
    let mut batch = Vec::new();
    while batch.len() < batch_size {
        let input = json!({
            "QueueUrl": super::sqs::url(region, queue),
            "MaxNumberOfMessages": (batch_size - batch.len()).min(10),
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        match aws.ask("sqs", region, "ReceiveMessage", input) {
            Ok(Value::Object(mut answer)) => match answer.remove("Messages") {
                Some(Value::Array(messages)) if !messages.is_empty() => batch.extend(messages),
                _ => break,
            },
            Ok(_) => break,
            Err(failure) => {
                tracing::warn!(queue, code = failure.code, "a mapped queue cannot be read");
                break;
            }
        }
    }
    batch
}

/// A message as a function sees it. Source: "Using Lambda with Amazon SQS, example standard queue message event".
fn record(message: &Value, settings: &QueueMapping, region: &str) -> Value {
    let attributes: Map<String, Value> = message["MessageAttributes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let mut seen = Map::new();
            for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue"), ("DataType", "dataType")]
            {
                if let Some(part) = value.get(from) {
                    seen.insert(to.to_owned(), part.clone());
                }
            }
            seen.insert("stringListValues".to_owned(), json!([]));
            seen.insert("binaryListValues".to_owned(), json!([]));
            (name.clone(), Value::Object(seen))
        })
        .collect();
    json!({
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": settings.queue_arn,
        "awsRegion": region,
    })
}

/// The messages of a batch that may leave the queue.
///
/// A failed invocation, and an answer that Lambda cannot read, keep all of them. In a FIFO queue what comes after
/// a group's first failure stays too, or the group would lose its order.
fn done<'a>(messages: &'a [Value], settings: &QueueMapping, outcome: Result<Value, String>) -> Vec<&'a Value> {
    let Ok(answer) = outcome else { return Vec::new() };
    if !settings.report_batch_item_failures {
        return messages.iter().collect();
    }
    let Some(failed) = failed_ids(&answer) else { return Vec::new() };
    let known = |id: &str| messages.iter().any(|message| message["MessageId"] == id);
    if !failed.iter().all(|id| known(id)) {
        return Vec::new();
    }
    let mut stopped: BTreeSet<&str> = BTreeSet::new();
    let mut done = Vec::new();
    for message in messages {
        let group = message["Attributes"]["MessageGroupId"].as_str().filter(|_| settings.queue_arn.ends_with(".fifo"));
        if message["MessageId"].as_str().is_some_and(|id| failed.contains(id)) {
            stopped.extend(group);
        } else if !group.is_some_and(|group| stopped.contains(group)) {
            done.push(message);
        }
    }
    done
}

/// The failed ids of an answer; `None` when it is not a valid one, which Lambda takes for a failed batch.
/// Source: "Using Lambda with Amazon SQS, success and failure conditions": nothing at all is a success.
fn failed_ids(answer: &Value) -> Option<BTreeSet<&str>> {
    let Some(failures) = answer.get("batchItemFailures").filter(|failures| !failures.is_null()) else {
        return Some(BTreeSet::new());
    };
    let id =
        |failure: &'_ Value| failure.get("itemIdentifier").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
    let failures = failures.as_array()?;
    failures.iter().all(id).then(|| failures.iter().filter_map(|failure| failure["itemIdentifier"].as_str()).collect())
}

fn delete(aws: &Aws, region: &str, queue: &str, messages: &[&Value]) {
    for message in messages {
        let input = json!({ "QueueUrl": super::sqs::url(region, queue), "ReceiptHandle": message["ReceiptHandle"] });
        if let Err(failure) = aws.ask("sqs", region, "DeleteMessage", input) {
            tracing::warn!(queue, code = failure.code, "a finished message could not be deleted");
        }
    }
}

#[cfg(test)]
mod tests;
