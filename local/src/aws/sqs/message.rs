//! A message on its way in: what SQS takes, what it refuses, and the digests that clients check.

use super::attributes::Attributes;
use crate::aws::Failure;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;

/// Message attributes per message, at most.
const MOST_ATTRIBUTES: usize = 10;

/// The longest delay of one message, in seconds.
const LONGEST_DELAY_SECONDS: u64 = 900;

/// A message that may be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outgoing {
    pub(super) body: String,
    pub(super) attributes: Map<String, Value>,
    pub(super) system_attributes: Map<String, Value>,
    pub(super) group: Option<String>,
    /// FIFO only: given, or the body's SHA-256.
    pub(super) deduplication: Option<String>,
    /// Standard only; the queue's own where absent.
    pub(super) delay_seconds: Option<u64>,
    /// What counts against the limits of message and batch.
    pub(super) bytes: u64,
}

/// Reads one message as SendMessage, or an entry of SendMessageBatch, words it.
///
/// # Errors
/// `MissingParameter`, `InvalidParameterValue` and `InvalidMessageContents`, as SQS says them.
pub(super) fn read(input: &Value, queue: &Attributes) -> Result<Outgoing, Failure> {
    let body = input["MessageBody"].as_str().filter(|body| !body.is_empty()).ok_or_else(|| missing("MessageBody"))?;
    if let Some(character) = body.chars().find(|character| !is_allowed(*character)) {
        let message = format!(
            "Invalid binary character '#x{:X}' was found in the message body, the set of allowed characters is \
             #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
            u32::from(character)
        );
        return Err(Failure::sender("InvalidMessageContents", message));
    }
    let attributes = read_attributes(&input["MessageAttributes"])?;
    let system_attributes = read_attributes(&input["MessageSystemAttributes"])?;
    let bytes = body.len() + attributes.iter().map(|(name, value)| attribute_bytes(name, value)).sum::<usize>();
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let largest = queue.number("MaximumMessageSize");
    if bytes > largest {
        let reason =
            format!("One or more parameters are invalid. Reason: Message must be shorter than {largest} bytes.");
        return Err(Failure::sender("InvalidParameterValue", reason));
    }
    let group = match input["MessageGroupId"].as_str() {
        Some(group) if is_id(group) => Some(group.to_owned()),
        Some(group) => return Err(bad_id("MessageGroupId", group)),
        None if queue.is_fifo() => return Err(missing("MessageGroupId")),
        None => None,
    };
    Ok(Outgoing {
        deduplication: deduplication(input, queue, body)?,
        delay_seconds: delay(input, queue)?,
        body: body.to_owned(),
        attributes,
        system_attributes,
        group,
        bytes,
    })
}

/// Lower-case hex of the MD5 of `bytes`: `MD5OfMessageBody`.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// `MD5OfMessageAttributes`; `None` without attributes.
///
/// Source: "Amazon SQS message metadata, calculating the MD5 message digest for message attributes".
pub(super) fn md5_of_attributes(attributes: &Map<String, Value>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    for (name, value) in sorted {
        with_length(&mut digest, name.as_bytes());
        with_length(&mut digest, value["DataType"].as_str().unwrap_or_default().as_bytes());
        if let Some(binary) = value["BinaryValue"].as_str() {
            digest.update([2]);
            with_length(&mut digest, &BASE64_STANDARD.decode(binary).unwrap_or_default());
        } else {
            digest.update([1]);
            with_length(&mut digest, value["StringValue"].as_str().unwrap_or_default().as_bytes());
        }
    }
    Some(hex(&digest.finalize()))
}

fn with_length(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

/// The failure for a parameter that is not there.
pub(super) fn missing(parameter: &str) -> Failure {
    Failure::sender("MissingParameter", format!("The request must contain the parameter {parameter}."))
}

/// The failure for a parameter that holds what it may not.
pub(super) fn invalid(parameter: &str, value: &str, reason: &str) -> Failure {
    let message = format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
    Failure::sender("InvalidParameterValue", message)
}

fn deduplication(input: &Value, queue: &Attributes, body: &str) -> Result<Option<String>, Failure> {
    match input["MessageDeduplicationId"].as_str() {
        Some(id) if !queue.is_fifo() => Err(not_for_this_type("MessageDeduplicationId", id)),
        Some(id) if is_id(id) => Ok(Some(id.to_owned())),
        Some(id) => Err(bad_id("MessageDeduplicationId", id)),
        None if !queue.is_fifo() => Ok(None),
        None if queue.is_true("ContentBasedDeduplication") => Ok(Some(hex(&Sha256::digest(body.as_bytes())))),
        None => Err(Failure::sender(
            "InvalidParameterValue",
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
             explicitly",
        )),
    }
}

fn delay(input: &Value, queue: &Attributes) -> Result<Option<u64>, Failure> {
    let Some(given) = input.get("DelaySeconds").filter(|delay| !delay.is_null()) else { return Ok(None) };
    match given.as_u64() {
        // Some clients send the 0 that means nothing, also to a FIFO queue.
        Some(seconds) if queue.is_fifo() && seconds > 0 => Err(not_for_this_type("DelaySeconds", &seconds.to_string())),
        Some(_) if queue.is_fifo() => Ok(None),
        Some(seconds) if seconds <= LONGEST_DELAY_SECONDS => Ok(Some(seconds)),
        _ => Err(invalid("DelaySeconds", &given.to_string(), "DelaySeconds must be >= 0 and <= 900.")),
    }
}

fn not_for_this_type(parameter: &str, value: &str) -> Failure {
    invalid(parameter, value, "The request include parameter that is not valid for this queue type.")
}

fn bad_id(parameter: &str, value: &str) -> Failure {
    let reason = format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
    invalid(parameter, value, &reason)
}

/// Group and deduplication ids: 1 to 128 letters, digits and punctuation marks of ASCII.
fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Source: the SQS API reference, SendMessage: what XML 1.0 allows.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn read_attributes(input: &Value) -> Result<Map<String, Value>, Failure> {
    let Some(attributes) = input.as_object() else { return Ok(Map::new()) };
    if attributes.len() > MOST_ATTRIBUTES {
        let message = format!("Number of message attributes [{}] exceeds the allowed maximum [10].", attributes.len());
        return Err(Failure::sender("InvalidParameterValue", message));
    }
    for (name, value) in attributes {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if name.is_empty() || name.len() > 256 || !name.bytes().all(is_name) {
            let message = "The message attribute name can contain alphanumeric characters and _ - . only.";
            return Err(Failure::sender("InvalidParameterValue", message));
        }
        let kind = value["DataType"].as_str().unwrap_or_default();
        let wanted = match kind.split('.').next() {
            Some("String" | "Number") => "StringValue",
            Some("Binary") => "BinaryValue",
            _ => {
                let message = format!(
                    "The type of message (user) attribute '{name}' is invalid. You must use only the following \
                     supported type prefixes: Binary, Number, String."
                );
                return Err(Failure::sender("InvalidParameterValue", message));
            }
        };
        if value[wanted].as_str().is_none_or(str::is_empty) {
            let message =
                format!("The message (user) attribute '{name}' must contain a non-empty value of type '{kind}'.");
            return Err(Failure::sender("InvalidParameterValue", message));
        }
    }
    Ok(attributes.clone())
}

fn attribute_bytes(name: &str, value: &Value) -> usize {
    let length = |member: &str| value[member].as_str().map_or(0, str::len);
    name.len() + length("DataType") + length("StringValue") + length("BinaryValue") / 4 * 3
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_refused_as_sqs_refuses_them() {
        let fifo = Attributes::read(&json!({ "FifoQueue": "true" }), true).expect("valid");
        let standard = Attributes::default();
        let long = "x".repeat(129);
        let large = "x".repeat(1_048_577);
        #[rustfmt::skip]
        let cases = [
            // queue, input, expected, why
            (&standard, json!({ "MessageBody": "x" }), None, "plain"),
            (&standard, json!({}), Some("MissingParameter"), "no body"),
            (&standard, json!({ "MessageBody": "\u{1}" }), Some("InvalidMessageContents"), "a control character"),
            (&standard, json!({ "MessageBody": "\u{FFFF}" }), Some("InvalidMessageContents"), "not a character"),
            (&standard, json!({ "MessageBody": "\u{1F600}\t\r\n" }), None, "beyond the basic plane"),
            (&standard, json!({ "MessageBody": large }), Some("InvalidParameterValue"), "a byte above 1 MiB"),
            (&standard, json!({ "MessageBody": "x", "DelaySeconds": 901 }), Some("InvalidParameterValue"),
             "above 15 minutes"),
            (&standard, json!({ "MessageBody": "x", "MessageDeduplicationId": "d" }), Some("InvalidParameterValue"),
             "FIFO only"),
            (&standard, json!({ "MessageBody": "x", "MessageGroupId": "g" }), None, "fair queues have groups"),
            (&fifo, json!({ "MessageBody": "x" }), Some("MissingParameter"), "no group"),
            (&fifo, json!({ "MessageBody": "x", "MessageGroupId": "g" }), Some("InvalidParameterValue"),
             "no deduplication id"),
            (&fifo, json!({ "MessageBody": "x", "MessageGroupId": "a b", "MessageDeduplicationId": "d" }),
             Some("InvalidParameterValue"), "a space"),
            (&fifo, json!({ "MessageBody": "x", "MessageGroupId": long, "MessageDeduplicationId": "d" }),
             Some("InvalidParameterValue"), "129 characters"),
            (&fifo,
             json!({ "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 1 }),
             Some("InvalidParameterValue"), "a FIFO queue delays as a whole"),
        ];
        for (queue, input, expected, why) in cases {
            assert_eq!(read(&input, queue).err().map(|failure| failure.code).as_deref(), expected, "{why}");
        }
    }

    #[test]
    fn digests_are_those_that_clients_compute() {
        assert_eq!(md5_hex(b"hello"), "5d41402abc4b2a76b9719d911017c592");
        let (a, b) =
            (json!({ "DataType": "String", "StringValue": "x" }), json!({ "DataType": "Number", "StringValue": "1" }));
        let attributes = json!({ "b": b, "a": a });
        let expected = md5_hex(b"\0\0\0\x01a\0\0\0\x06String\x01\0\0\0\x01x\0\0\0\x01b\0\0\0\x06Number\x01\0\0\0\x011");
        assert_eq!(attributes.as_object().and_then(md5_of_attributes), Some(expected));
        assert_eq!(md5_of_attributes(&Map::new()), None);
    }
}
