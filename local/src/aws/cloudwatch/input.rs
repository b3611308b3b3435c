//! What every operation asks of its input, in the words in which CloudWatch refuses.

use crate::aws::Failure;
use serde_json::Value;
use std::collections::BTreeMap;

/// Tags on one alarm. Source: CloudWatch API reference, TagResource.
const MOST_TAGS: usize = 50;

/// A refusal that CloudWatch's validation words.
pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::sender("ValidationError", message)
}

/// A refusal by the bounds that the service's model declares.
pub(super) fn constraint(value: &str, member: &str, rule: &str) -> Failure {
    let value = if value == "null" { value.to_owned() } else { format!("'{value}'") };
    let mut letters = member.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let member: String = first.into_iter().chain(letters).collect();
    invalid(format!(
        "1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: Member must {rule}"
    ))
}

/// A string of at least `least` and at most `most` characters, where there is one.
pub(super) fn text<'a>(input: &'a Value, member: &str, least: usize, most: usize) -> Result<Option<&'a str>, Failure> {
    let Some(value) = input[member].as_str() else { return Ok(None) };
    let length = value.chars().count();
    if length < least {
        return Err(constraint(value, member, &format!("have length greater than or equal to {least}")));
    }
    if length > most {
        return Err(constraint(value, member, &format!("have length less than or equal to {most}")));
    }
    Ok(Some(value))
}

pub(super) fn required<'a>(input: &'a Value, member: &str, least: usize, most: usize) -> Result<&'a str, Failure> {
    text(input, member, least, most)?.ok_or_else(|| constraint("null", member, "not be null"))
}

/// One of the values that the model lists.
pub(super) fn one_of<'a>(input: &'a Value, member: &str, values: &[&str]) -> Result<Option<&'a str>, Failure> {
    match input[member].as_str() {
        Some(value) if !values.contains(&value) => {
            Err(constraint(value, member, &format!("satisfy enum value set: [{}]", values.join(", "))))
        }
        found => Ok(found),
    }
}

/// A number. The query protocol knows no numbers, and sends text.
pub(super) fn float(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
}

/// A yes or a no. The query protocol sends text for that too.
pub(super) fn flag(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

/// A whole number of at least `least`.
pub(super) fn number(input: &Value, member: &str, least: i64) -> Result<Option<i64>, Failure> {
    let given = &input[member];
    match given.as_i64().or_else(|| given.as_str()?.parse().ok()) {
        Some(value) if value < least => {
            Err(constraint(&value.to_string(), member, &format!("have value greater than or equal to {least}")))
        }
        found => Ok(found),
    }
}

/// A list of at most `most` items; an absent one is empty.
pub(super) fn list<'a>(input: &'a Value, member: &str, most: usize) -> Result<&'a [Value], Failure> {
    let items = input[member].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.len() > most {
        let shown: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
        let shown = format!("[{}]", shown.join(", "));
        return Err(constraint(&shown, member, &format!("have length less than or equal to {most}")));
    }
    Ok(items)
}

/// The names of a list that must be there.
pub(super) fn names(input: &Value, member: &str) -> Result<Vec<String>, Failure> {
    if !input[member].is_array() {
        return Err(constraint("null", member, "not be null"));
    }
    let names = list(input, member, 100)?.iter().filter_map(Value::as_str);
    names.map(|name| alarm_name(name).map(str::to_owned)).collect()
}

/// The name of an alarm.
pub(super) fn alarm_name(name: &str) -> Result<&str, Failure> {
    match name.chars().count() {
        0 => Err(constraint(name, "AlarmName", "have length greater than or equal to 1")),
        256.. => Err(constraint(name, "AlarmName", "have length less than or equal to 255")),
        _ if name.chars().any(|letter| letter.is_ascii_control()) => {
            Err(invalid("AlarmName must not contain ASCII Control characters"))
        }
        _ => Ok(name),
    }
}

/// Tags, as a map. A key that comes twice has its last value.
pub(super) fn tags(input: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let mut tags = BTreeMap::new();
    for tag in input["Tags"].as_array().into_iter().flatten() {
        let (key, value) = (required(tag, "Key", 1, 128)?, required(tag, "Value", 0, 256)?);
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            let message = "The provided tag keys must not start with any case of \"aws:\"";
            return Err(Failure { status: 403, ..Failure::sender("AccessDeniedException", message) });
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    within_limit(&tags)?;
    Ok(tags)
}

pub(super) fn within_limit(tags: &BTreeMap<String, String>) -> Result<(), Failure> {
    if tags.len() > MOST_TAGS {
        let message = format!("The resultant tag set must not have more than {MOST_TAGS} user tags.");
        return Err(Failure::sender("InvalidParameterValue", message));
    }
    Ok(())
}
