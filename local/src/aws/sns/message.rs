//! A message on its way in: what SNS takes, and what it refuses.

use super::invalid;
use crate::aws::Failure;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 100;

/// The longest name of an attribute, in bytes.
const LONGEST_NAME_BYTES: usize = 256;

/// The longest group of a message. Source: botocore's model, MessageGroupId.
const LONGEST_GROUP: usize = 128;

/// A message that may be published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) subject: Option<String>,
    /// What each protocol gets; `default` for all that are not named.
    texts: BTreeMap<String, String>,
    pub(super) attributes: BTreeMap<String, Attribute>,
    /// Forwarded to queues alone, for fairness between groups.
    pub(super) group: Option<String>,
    /// What counts against the limits of message and batch.
    #[serde(default)]
    pub(super) bytes: usize,
}

/// A message attribute: its type, and its value, which is base64 where the type says binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attribute {
    pub(super) kind: String,
    pub(super) value: String,
}

impl Attribute {
    pub(super) fn is_binary(&self) -> bool {
        base_type(&self.kind) == "Binary"
    }
}

impl Message {
    /// What a subscription of this protocol gets to read.
    pub(super) fn text(&self, protocol: &str) -> &str {
        let text = self.texts.get(protocol).or_else(|| self.texts.get("default"));
        text.map_or("", String::as_str)
    }
}

/// Reads a message as Publish, or an entry of PublishBatch, words it. `position` is the entry's, from 1.
///
/// # Errors
/// `InvalidParameter`, `ParameterValueInvalid` and `ValidationError`, as SNS says them.
pub(super) fn read(input: &Value, largest_bytes: usize, position: Option<usize>) -> Result<Message, Failure> {
    let subject = input["Subject"].as_str();
    if subject.is_some_and(|subject| !is_subject(subject)) {
        return Err(invalid("Subject"));
    }
    let text = input["Message"].as_str().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| invalid("Empty message"))?;
    let attributes = read_attributes(&input["MessageAttributes"], position)?;
    let bytes = text.len() + attributes.iter().map(|(name, attribute)| bytes_of(name, attribute)).sum::<usize>();
    if position.is_none() && bytes > largest_bytes {
        return Err(invalid("Message too long"));
    }
    if input["MessageDeduplicationId"].is_string() {
        let reason = "The request includes MessageDeduplicationId parameter that is not valid for this topic type";
        return Err(invalid(&format!("MessageDeduplicationId Reason: {reason}")));
    }
    let group = input["MessageGroupId"].as_str();
    if group.is_some_and(|group| !is_group(group)) {
        return Err(invalid("MessageGroupId"));
    }
    let texts = match input["MessageStructure"].as_str() {
        None | Some("") => BTreeMap::from([("default".to_owned(), text.to_owned())]),
        Some("json") => read_structure(text)?,
        Some(_) => return Err(invalid("MessageStructure")),
    };
    Ok(Message { subject: subject.map(str::to_owned), texts, attributes, group: group.map(str::to_owned), bytes })
}

/// Source: botocore's model, Subject: "UTF-8 text with no line breaks or control characters, and less than 100
/// characters long". The service takes 100 too.
fn is_subject(subject: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&subject.chars().count()) && !subject.chars().any(char::is_control)
}

fn is_group(group: &str) -> bool {
    (1..=LONGEST_GROUP).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic())
}

/// One text for each protocol. What is no text is passed over, as if it were not there.
fn read_structure(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let Ok(Value::Object(structure)) = serde_json::from_str(text) else {
        return Err(invalid("Message Structure - JSON message body failed to parse"));
    };
    let text = |(protocol, text): (&String, &Value)| Some((protocol.clone(), text.as_str()?.to_owned()));
    let texts: BTreeMap<String, String> = structure.iter().filter_map(text).collect();
    if !texts.contains_key("default") {
        return Err(invalid("Message Structure - No default entry in JSON message body"));
    }
    Ok(texts)
}

fn read_attributes(input: &Value, position: Option<usize>) -> Result<BTreeMap<String, Attribute>, Failure> {
    let nothing = Map::new();
    let given = input.as_object().unwrap_or(&nothing).iter();
    given.map(|(name, value)| Ok((name.clone(), read_attribute(name, value, position)?))).collect()
}

fn read_attribute(name: &str, given: &Value, position: Option<usize>) -> Result<Attribute, Failure> {
    check_name(name)?;
    let refused = |message: String| Err(Failure::sender("ParameterValueInvalid", message));
    let Some(kind) = given["DataType"].as_str() else {
        let entry = position.map(|position| format!("publishBatchRequestEntries.{position}.member."));
        let message = format!(
            "1 validation error detected: Value null at '{}messageAttributes.{name}.member.dataType' failed to satisfy \
             constraint: Member must not be null",
            entry.unwrap_or_default()
        );
        return Err(Failure::sender("ValidationError", message));
    };
    let is_labelled = kind.split_once('.').is_none_or(|(_, label)| !label.is_empty());
    let field = match base_type(kind) {
        "Binary" if is_labelled => "Binary",
        "String" | "Number" if is_labelled => "String",
        _ => {
            return refused(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                 prefixes is Binary, Number, and String."
            ));
        }
    };
    let value = |field: &str| given[format!("{field}Value")].as_str();
    match (value(field), value("String").or(value("Binary"))) {
        (Some(value), _) if !value.is_empty() => {
            check_number(name, kind, value).map(|()| Attribute { kind: kind.to_owned(), value: value.to_owned() })
        }
        (None, Some(_)) => {
            refused(format!("The message attribute '{name}' with type '{kind}' must use field '{field}'."))
        }
        (Some(_) | None, _) => refused(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type \
             '{kind}'."
        )),
    }
}

/// `String` of `String.Array`, and so on.
fn base_type(kind: &str) -> &str {
    kind.split('.').next().unwrap_or_default()
}

fn check_number(name: &str, kind: &str, value: &str) -> Result<(), Failure> {
    if base_type(kind) == "Number" && value.parse::<f64>().is_err() {
        let message = format!("Could not cast message attribute '{name}' value to number.");
        return Err(Failure::sender("ParameterValueInvalid", message));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let message = if name.len() > LONGEST_NAME_BYTES {
        "Length of message attribute name must be less than 256 bytes.".to_owned()
    } else if name.starts_with('.') {
        "Invalid message attribute name starting with character '.' was found.".to_owned()
    } else if name.ends_with('.') {
        "Invalid message attribute name ending with character '.' was found.".to_owned()
    } else if let Some(character) = name.chars().find(|c| !is_allowed(*c)) {
        format!(
            "Invalid non-alphanumeric character '#x{:X}' was found in the message attribute name. Can only include \
             alphanumeric characters, hyphens, underscores, or dots.",
            u32::from(character)
        )
    } else if name.contains("..") {
        "Message attribute name can not have successive '.' character.".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::sender("ParameterValueInvalid", message))
}

/// Source: "SNS message attributes": name, type and value all count.
fn bytes_of(name: &str, attribute: &Attribute) -> usize {
    let value = if attribute.is_binary() {
        BASE64_STANDARD.decode(&attribute.value).map_or(attribute.value.len(), |bytes| bytes.len())
    } else {
        attribute.value.len()
    };
    name.len() + attribute.kind.len() + value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_refused_as_sns_refuses_them() {
        let attribute = |name: &str, value: Value| json!({ "Message": "m", "MessageAttributes": { name: value } });
        let text = |text: &str| json!({ "DataType": "String", "StringValue": text });
        let (empty, long) = ("Invalid parameter: Empty message", "Invalid parameter: Message too long");
        let subject = |subject: &str| json!({ "Message": "m", "Subject": subject });
        let structured = |message: &str| json!({ "Message": message, "MessageStructure": "json" });
        #[rustfmt::skip]
        let cases = [
            (json!({ "Message": "m" }),                                None,                               "plain"),
            (json!({ "Message": "" }),                                 Some(empty),                        "nothing to say"),
            (json!({ "Message": "x".repeat(1024) }),                   None,                               "the limit"),
            (json!({ "Message": "x".repeat(1025) }),                   Some(long),                         "a byte more"),
            (json!({ "Message": "é".repeat(513) }),                    Some(long),                         "bytes, not characters"),
            (json!({ "Message": "x".repeat(1010), "MessageAttributes": { "a": text("seven..") } }), None,  "with attributes"),
            (json!({ "Message": "x".repeat(1010), "MessageAttributes": { "a": text("eight...") } }), Some(long), "they count"),
            (subject("x"),                                             None,                               "a subject"),
            (subject(""),                                              Some("Invalid parameter: Subject"), "an empty one"),
            (subject(&"x".repeat(100)),                                None,                               "the limit"),
            (subject(&"x".repeat(101)),                                Some("Invalid parameter: Subject"), "one more"),
            (subject("a\nb"),                                          Some("Invalid parameter: Subject"), "a line break"),
            (subject("Grüße"),                                         None,                               "any script"),
            (structured(r#"{"default":"d"}"#),                         None,                               "a structure"),
            (structured(r#"{"sqs":"d"}"#),
             Some("Invalid parameter: Message Structure - No default entry in JSON message body"),         "no default"),
            (structured(r#"{"default":{}}"#),
             Some("Invalid parameter: Message Structure - No default entry in JSON message body"),         "no text"),
            (structured("default"),
             Some("Invalid parameter: Message Structure - JSON message body failed to parse"),             "no JSON"),
            (attribute("a", json!({ "DataType": "String.Array", "StringValue": "[]" })), None,             "an array"),
            (attribute("a", json!({ "DataType": "String" })),
             Some("The message attribute 'a' must contain non-empty message attribute value for message attribute type \
                   'String'."),                                                                            "no value"),
            (attribute("a", json!({ "DataType": "Binary", "StringValue": "x" })),
             Some("The message attribute 'a' with type 'Binary' must use field 'Binary'."),                "the other field"),
            (attribute("a", json!({ "DataType": "Strings", "StringValue": "x" })),
             Some("The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes \
                   is Binary, Number, and String."),                                                       "no such type"),
            (attribute("a..b", text("x")), Some("Message attribute name can not have successive '.' character."), "dots"),
            (attribute("a^b", text("x")),
             Some("Invalid non-alphanumeric character '#x5E' was found in the message attribute name. Can only include \
                   alphanumeric characters, hyphens, underscores, or dots."),                              "a caret"),
        ];
        for (input, expected, why) in cases {
            let refused = read(&input, 1024, None).err().map(|failure| failure.message);
            assert_eq!(refused.as_deref(), expected, "{why}");
        }
    }

    #[test]
    fn each_protocol_gets_its_own_text() {
        let input = json!({ "MessageStructure": "json", "Message": r#"{"default":"all","email":"mail","sqs":5}"# });
        let message = read(&input, 1024, None).expect("a message");
        let texts = ["email", "email-json", "sqs", "lambda"].map(|protocol| message.text(protocol));
        assert_eq!(texts, ["mail", "all", "all", "all"], "what is no text is as if it were not there");
    }
}
