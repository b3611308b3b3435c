//! Filter policies: which messages a subscription wants.
//!
//! SNS matches with EventBridge's operators, so EventBridge's matcher does it. What a policy may say is SNS's own:
//! fewer operators, five keys, 150 combinations. A policy counts at once here; on AWS it may take 15 minutes.

use super::message::{Attribute, Message};
use crate::aws::eventbridge::pattern::Pattern;
use serde_json::{Map, Value};

/// Keys at the top of a policy, and combinations of values in it.
/// Source: "SNS, filter policy constraints".
const MOST_KEYS: usize = 5;
const MOST_COMBINATIONS: u64 = 150;

/// How deep a policy may nest: a bound on what a made-up one can cost.
const DEEPEST: u64 = 32;

/// What a policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Attributes,
    /// The message itself, as JSON.
    Body,
}

/// Whether a policy is one.
///
/// # Errors
/// The reason, as SNS words it after its prefix.
pub(super) fn check(policy: &str, scope: Scope) -> Result<(), String> {
    let fields: Value =
        serde_json::from_str(policy).map_err(|error| format!("FilterPolicy: failed to parse JSON. {error}"))?;
    let Value::Object(fields) = fields else {
        return Err("FilterPolicy: failed to parse JSON. The policy is not an object".to_owned());
    };
    if fields.len() > MOST_KEYS {
        return Err(format!("FilterPolicy: Filter policy can not have more than {MOST_KEYS} keys"));
    }
    if combinations(&fields, scope, 1, 1)? > MOST_COMBINATIONS {
        return Err("FilterPolicy: Filter policy is too complex".to_owned());
    }
    Pattern::parse(policy).map(drop).map_err(|reason| format!("FilterPolicy: {reason}"))
}

/// Source: "SNS, filter policy constraints": the values of each key, times its depth, all multiplied.
fn combinations(fields: &Map<String, Value>, scope: Scope, depth: u64, so_far: u64) -> Result<u64, String> {
    if depth > 1 && scope == Scope::Attributes {
        return Err("Filter policy scope MessageAttributes does not support nested filter policy".to_owned());
    }
    if depth > DEEPEST {
        return Err("FilterPolicy: Filter policy is too complex".to_owned());
    }
    let mut product = so_far;
    for (name, value) in fields {
        match value {
            Value::Object(nested) => product = combinations(nested, scope, depth + 1, product)?,
            Value::Array(any) if any.is_empty() => {
                return Err("FilterPolicy: Empty arrays are not allowed".to_owned());
            }
            Value::Array(any) if name == "$or" => {
                let mut sum: u64 = 0;
                for alternative in any.iter().filter_map(Value::as_object) {
                    sum = sum.saturating_add(combinations(alternative, scope, depth, product)?);
                }
                product = sum;
            }
            Value::Array(any) => {
                any.iter().try_for_each(check_rule)?;
                let count = u64::try_from(any.len()).unwrap_or(u64::MAX);
                product = product.saturating_mul(count).saturating_mul(depth);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(format!("FilterPolicy: \"{name}\" must be an object or an array"));
            }
        }
    }
    Ok(product)
}

/// What SNS does not have, or words in another way than EventBridge does.
fn check_rule(rule: &Value) -> Result<(), String> {
    const OPERATORS: [&str; 7] =
        ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix"];
    let operator = match rule {
        Value::Array(_) => {
            return Err("FilterPolicy: Match value must be String, number, true, false, or null".to_owned());
        }
        Value::Object(operator) => operator,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Ok(()),
    };
    let mut names = operator.keys();
    let name = match (names.next(), names.next()) {
        (Some(name), None) => name.as_str(),
        _ => return Err("FilterPolicy: Only one key allowed in match expression".to_owned()),
    };
    if !OPERATORS.contains(&name) {
        return Err(format!("FilterPolicy: Unrecognized match type {name}"));
    }
    if matches!(name, "prefix" | "suffix" | "equals-ignore-case") && !operator[name].is_string() {
        return Err(format!("FilterPolicy: {name} match pattern must be a string"));
    }
    let inner = operator[name].as_object().filter(|_| name == "anything-but").and_then(|inner| inner.keys().next());
    match inner {
        Some(inner) if inner != "prefix" => Err(format!("FilterPolicy: Unsupported anything-but pattern: {inner}")),
        Some(_) | None => Ok(()),
    }
}

/// Whether a policy lets a message through to a subscription of this protocol.
pub(super) fn accepts(policy: &str, scope: Scope, message: &Message, protocol: &str) -> bool {
    // A policy that was taken can be read again.
    let Ok(pattern) = Pattern::parse(policy) else { return false };
    match scope {
        Scope::Attributes => {
            let attributes = &message.attributes;
            let value = |(name, attribute): (&String, &Attribute)| Some((name.clone(), value_of(attribute)?));
            pattern.matches(&Value::Object(attributes.iter().filter_map(value).collect()))
        }
        Scope::Body => match serde_json::from_str(message.text(protocol)) {
            Ok(body @ Value::Object(_)) => pattern.matches(&body),
            Ok(_) | Err(_) => false,
        },
    }
}

/// An attribute as JSON; `None` for what policies cannot look at.
fn value_of(attribute: &Attribute) -> Option<Value> {
    let parsed = || serde_json::from_str::<Value>(&attribute.value).ok();
    match attribute.kind.as_str() {
        "String.Array" => parsed().filter(Value::is_array),
        kind if kind.starts_with("Number") => parsed().filter(Value::is_number),
        _ if attribute.is_binary() => None,
        _ => Some(Value::String(attribute.value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policies_are_refused_as_sns_refuses_them() {
        let many = json!({ "a": [1, 2, 3, 4, 5, 6], "b": [1, 2, 3, 4, 5], "c": [1, 2, 3, 4, 5, 6] });
        #[rustfmt::skip]
        let cases = [
            // policy, on attributes, on the body, why
            (json!({ "a": ["x"] }),                                 None, None, "a value"),
            (json!({ "a": [{ "prefix": "x" }, { "exists": false }] }), None, None, "operators"),
            (json!({ "a": { "b": ["x"] } }),
             Some("Filter policy scope MessageAttributes does not support nested filter policy"), None, "attributes are flat"),
            (json!({ "a": 1, "b": [1], "c": [1], "d": [1], "e": [1], "f": [1] }),
             Some("FilterPolicy: Filter policy can not have more than 5 keys"),
             Some("FilterPolicy: Filter policy can not have more than 5 keys"), "six keys"),
            (many,
             Some("FilterPolicy: Filter policy is too complex"), Some("FilterPolicy: Filter policy is too complex"),
             "6 x 5 x 6 combinations"),
            (json!({ "a": [] }),
             Some("FilterPolicy: Empty arrays are not allowed"), Some("FilterPolicy: Empty arrays are not allowed"), "no value"),
            (json!({ "a": "x" }),
             Some("FilterPolicy: \"a\" must be an object or an array"),
             Some("FilterPolicy: \"a\" must be an object or an array"), "no list"),
            (json!({ "a": [["x"]] }),
             Some("FilterPolicy: Match value must be String, number, true, false, or null"),
             Some("FilterPolicy: Match value must be String, number, true, false, or null"), "a list in a list"),
            (json!({ "a": [{ "wildcard": "x*" }] }),
             Some("FilterPolicy: Unrecognized match type wildcard"),
             Some("FilterPolicy: Unrecognized match type wildcard"), "EventBridge's, not SNS's"),
            (json!({ "a": [{ "suffix": 100 }] }),
             Some("FilterPolicy: suffix match pattern must be a string"),
             Some("FilterPolicy: suffix match pattern must be a string"), "no text"),
            (json!({ "a": [{ "anything-but": { "suffix": "x" } }] }),
             Some("FilterPolicy: Unsupported anything-but pattern: suffix"),
             Some("FilterPolicy: Unsupported anything-but pattern: suffix"), "prefixes only"),
        ];
        for (policy, on_attributes, on_body, why) in cases {
            let refused = |scope: Scope| check(&policy.to_string(), scope).err();
            assert_eq!(refused(Scope::Attributes).as_deref(), on_attributes, "{why}");
            assert_eq!(refused(Scope::Body).as_deref(), on_body, "{why}");
        }
        let nested = (0..500).fold("[1]".to_owned(), |inner, _| format!("{{\"a\":{inner}}}"));
        assert!(check(&nested, Scope::Body).is_err(), "nested without end");
    }

    #[test]
    fn policies_let_through_what_they_say() {
        let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
        let number = |value: &str| json!({ "DataType": "Number", "StringValue": value });
        let array = |value: &str| json!({ "DataType": "String.Array", "StringValue": value });
        let bytes = json!({ "DataType": "Binary", "BinaryValue": "AgME" });
        #[rustfmt::skip]
        let cases = [
            (json!({ "a": ["x", "y"] }),                              Some(text("y")),           true,  "one of two"),
            (json!({ "a": ["x"] }),                                   None,                      false, "absent"),
            (json!({ "a": [{ "exists": false }] }),                   None,                      true,  "asked to be"),
            (json!({ "a": [{ "prefix": "x" }] }),                     Some(text("xy")),          true,  "a prefix"),
            (json!({ "a": [{ "suffix": "x" }] }),                     Some(text("xy")),          false, "not a suffix"),
            (json!({ "a": [{ "anything-but": ["x"] }] }),             Some(text("y")),           true,  "something else"),
            (json!({ "a": [{ "equals-ignore-case": "X" }] }),         Some(text("x")),           true,  "without case"),
            (json!({ "a": [{ "cidr": "10.0.0.0/8" }] }),              Some(text("10.1.2.3")),    true,  "an address"),
            (json!({ "a": [{ "numeric": [">", 5, "<=", 10] }] }),     Some(number("7.5")),       true,  "a range"),
            (json!({ "a": [{ "numeric": [">", 5] }] }),               Some(text("7")),           false, "text is no number"),
            (json!({ "a": ["x"] }),                                   Some(array("[\"x\",1]")),  true,  "in an array"),
            (json!({ "a": [true] }),                                  Some(array("[true]")),     true,  "a flag in an array"),
            (json!({ "a": ["x"] }),                                   Some(array("x")),          false, "no array"),
            (json!({ "a": [{ "exists": true }] }),                    Some(bytes),               false, "bytes are not looked at"),
            (json!({ "$or": [{ "a": ["x"] }, { "b": ["x"] }] }),      Some(text("x")),           true,  "either"),
        ];
        for (policy, attribute, expected, why) in cases {
            let attributes: Map<String, Value> = attribute.map(|value| ("a".to_owned(), value)).into_iter().collect();
            let input = json!({ "Message": "m", "MessageAttributes": attributes });
            let message = super::super::message::read(&input, 1024, None).expect(why);
            assert_eq!(accepts(&policy.to_string(), Scope::Attributes, &message, "sqs"), expected, "{why}");
        }
        #[rustfmt::skip]
        let bodies = [
            (r#"{"a":{"b":"x"},"c":[1,2]}"#, true,  "nested, and in a list"),
            (r#"{"a":{"b":"y"},"c":[1,2]}"#, false, "another value"),
            (r#"[{"a":{"b":"x"}}]"#,         false, "no object"),
            ("a",                            false, "no JSON"),
        ];
        for (body, expected, why) in bodies {
            let message = super::super::message::read(&json!({ "Message": body }), 1024, None).expect(why);
            let policy = json!({ "a": { "b": ["x"] }, "c": [2] }).to_string();
            assert_eq!(accepts(&policy, Scope::Body, &message, "sqs"), expected, "{why}");
        }
    }
}
