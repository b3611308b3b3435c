//! An event on its way to a target: what the target gets, how often it is tried, and what is left when it fails.

use crate::aws::{ACCOUNT, Aws, Failure, lambda, sqs};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How often and how long EventBridge tries, unless the target says otherwise.
/// Source: "Amazon EventBridge, retrying event delivery": 24 hours, up to 185 times.
const MOST_ATTEMPTS: u64 = 185;
const MOST_SECONDS: u64 = 24 * 60 * 60;

/// The first wait before a retry, doubled each time up to the longest.
const FIRST_WAIT_SECONDS: i64 = 1;
const LONGEST_WAIT_SECONDS: i64 = 600;

/// One event for one target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) region: String,
    pub(super) rule_arn: String,
    /// The target as PutTargets had it.
    pub(super) target: Value,
    pub(super) event: Value,
    pub(super) accepted: Timestamp,
    /// Attempts that failed.
    pub(super) failed: u64,
}

/// Why a target did not take an event.
pub(super) enum Trouble {
    /// It is not there, or can never take this: no use in trying again.
    Lasting(Failure),
    /// It may take it later.
    Passing(Failure),
}

impl Delivery {
    /// Hands the event over.
    pub(super) fn attempt(&self, aws: &Aws) -> Result<(), Trouble> {
        let arn = self.target["Arn"].as_str().unwrap_or_default();
        let outcome = if let Some(function) = lambda::name_in(arn) {
            aws.lambda().invoke_later(aws, &self.region, function, self.payload())
        } else if let Some((region, queue)) = queue_in(arn) {
            let mut input = json!({ "QueueUrl": sqs::url(region, queue), "MessageBody": self.payload().to_string() });
            let group = &self.target["SqsParameters"]["MessageGroupId"];
            if let Some(group) = group.as_str() {
                input["MessageGroupId"] = Value::from(group);
                if queue.ends_with(".fifo") {
                    // EventBridge deduplicates by the event, unless the queue does so by content.
                    input["MessageDeduplicationId"] = self.event["id"].clone();
                }
            }
            aws.ask("sqs", region, "SendMessage", input).map(|_| ())
        } else if let Some((region, bus)) = bus_in(arn) {
            aws.eventbridge().publish(aws, region, bus, self.event.clone());
            Ok(())
        } else {
            Err(Failure::not_emulated("events", "a target of this kind"))
        };
        outcome.map_err(|failure| {
            if failure.status == 500 || failure.status == 503 {
                Trouble::Passing(failure)
            } else {
                Trouble::Lasting(failure)
            }
        })
    }

    /// When to try again after `failed` attempts; `None` when it has been tried enough.
    pub(super) fn retry_at(&self, now: Timestamp) -> Option<Timestamp> {
        let policy = &self.target["RetryPolicy"];
        let most = policy["MaximumRetryAttempts"].as_u64().unwrap_or(MOST_ATTEMPTS);
        let longest = policy["MaximumEventAgeInSeconds"].as_u64().unwrap_or(MOST_SECONDS);
        let doublings = u32::try_from(self.failed.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        let wait = (FIRST_WAIT_SECONDS << doublings).min(LONGEST_WAIT_SECONDS);
        let at = now.checked_add(SignedDuration::from_secs(wait)).ok()?;
        let age = at.duration_since(self.accepted).unsigned_abs().as_secs();
        (self.failed <= most && age <= longest).then_some(at)
    }

    /// Puts what could not be delivered into the target's dead-letter queue, or drops it.
    pub(super) fn bury(&self, aws: &Aws, failure: &Failure, condition: Option<&str>) {
        let target_arn = self.target["Arn"].as_str().unwrap_or_default();
        tracing::warn!(rule = self.rule_arn, target = target_arn, code = failure.code, "an event was not delivered");
        let Some((region, queue)) = self.target["DeadLetterConfig"]["Arn"].as_str().and_then(queue_in) else { return };
        let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
        let mut attributes = json!({
            "RULE_ARN": text(&self.rule_arn),
            "TARGET_ARN": text(target_arn),
            "ERROR_CODE": text(&failure.code),
            "ERROR_MESSAGE": text(&failure.message),
            "RETRY_ATTEMPTS": { "DataType": "Number", "StringValue": self.failed.saturating_sub(1).to_string() },
        });
        if let Some(condition) = condition {
            attributes["EXHAUSTED_RETRY_CONDITION"] = text(condition);
        }
        let input = json!({
            "QueueUrl": sqs::url(region, queue),
            "MessageBody": self.payload().to_string(),
            "MessageAttributes": attributes,
        });
        if let Err(failure) = aws.ask("sqs", region, "SendMessage", input) {
            tracing::warn!(queue, code = failure.code, "the dead-letter queue did not take an event");
        }
    }

    /// What the target gets: its constant input, a part of the event, or the event.
    fn payload(&self) -> Value {
        if let Some(input) = self.target["Input"].as_str() {
            return serde_json::from_str(input).unwrap_or_else(|_| Value::from(input));
        }
        match self.target["InputPath"].as_str() {
            Some(path) => path
                .trim_start_matches('$')
                .split('.')
                .filter(|part| !part.is_empty())
                .fold(&self.event, |at, part| &at[part])
                .clone(),
            None => self.event.clone(),
        }
    }
}

/// Whether a target can be delivered to at all here, and is complete.
///
/// # Errors
/// `ValidationException` as EventBridge says it; [`Failure::not_emulated`] for what this emulation does not have.
pub(super) fn check(target: &Value) -> Result<(), Failure> {
    let id = target["Id"].as_str().unwrap_or_default();
    let arn = target["Arn"].as_str().unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if id.is_empty() || id.len() > 64 || !id.bytes().all(is_part) {
        let message = format!(
            "1 validation error detected: Value '{id}' at 'targets.1.member.id' failed to satisfy constraint: Member \
             must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+"
        );
        return Err(Failure::sender("ValidationException", message));
    }
    for (member, bounds) in
        [("MaximumRetryAttempts", 0..=MOST_ATTEMPTS), ("MaximumEventAgeInSeconds", 60..=MOST_SECONDS)]
    {
        let given = &target["RetryPolicy"][member];
        if !given.is_null() && !given.as_u64().is_some_and(|given| bounds.contains(&given)) {
            let message =
                format!("Parameter {member} is not valid: it must be between {} and {}.", bounds.start(), bounds.end());
            return Err(Failure::sender("ValidationException", message));
        }
    }
    if !arn.starts_with("arn:") {
        let message = format!("Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.");
        return Err(Failure::sender("ValidationException", message));
    }
    let inputs = ["Input", "InputPath", "InputTransformer"];
    if inputs.iter().filter(|name| !target[**name].is_null()).count() > 1 {
        let message = format!("Only one of Input, InputPath, or InputTransformer must be provided for target {id}.");
        return Err(Failure::sender("ValidationException", message));
    }
    if !target["InputTransformer"].is_null() {
        return Err(Failure::not_emulated("events", "InputTransformer"));
    }
    if let Some(input) = target["Input"].as_str()
        && serde_json::from_str::<Value>(input).is_err()
    {
        let message = format!("JSON syntax error in input for target {id}.");
        return Err(Failure::sender("ValidationException", message));
    }
    if let Some((_, queue)) = queue_in(arn) {
        let has_group = target["SqsParameters"]["MessageGroupId"].is_string();
        if queue.ends_with(".fifo") && !has_group {
            let message = format!("Parameter(s) SqsParameters must be specified for target: {id}.");
            return Err(Failure::sender("ValidationException", message));
        }
    } else if lambda::name_in(arn).is_none() && bus_in(arn).is_none() {
        return Err(Failure::not_emulated("events", "a target of this kind"));
    }
    Ok(())
}

fn queue_in(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.strip_prefix("arn:aws:sqs:")?.split(':');
    Some((parts.next()?, parts.nth(1)?))
}

fn bus_in(arn: &str) -> Option<(&str, &str)> {
    let (region, rest) = arn.strip_prefix("arn:aws:events:")?.split_once(':')?;
    Some((region, rest.strip_prefix(ACCOUNT)?.strip_prefix(":event-bus/")?))
}
