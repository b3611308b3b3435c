//! Reading an operation's input: which members there must be, within which bounds, and pages of a listing.
//!
//! Bounds are those of the API's own model. A member outside of them is a `ValidationException`.

use crate::aws::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What a string member may be.
pub(super) struct Text {
    min: usize,
    max: usize,
    /// The pattern, as the message quotes it.
    pattern: &'static str,
    allows: fn(char) -> bool,
}

fn any(_: char) -> bool {
    true
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Names of pipelines, stages and actions.
pub(super) const NAME: Text =
    Text { min: 1, max: 100, pattern: "[A-Za-z0-9.@\\-_]+", allows: |c| word(c) || matches!(c, '.' | '@') };
/// Names of artifacts.
pub(super) const ARTIFACT: Text = Text { min: 1, max: 100, pattern: "[a-zA-Z0-9_\\-]+", allows: word };
/// Namespaces of output variables.
pub(super) const NAMESPACE: Text =
    Text { min: 1, max: 100, pattern: "[A-Za-z0-9@\\-_]+", allows: |c| word(c) || c == '@' };
/// Names of pipeline variables.
pub(super) const VARIABLE: Text =
    Text { min: 1, max: 128, pattern: "[A-Za-z0-9@\\-_]+", allows: |c| word(c) || c == '@' };
/// Values of pipeline variables.
pub(super) const VARIABLE_VALUE: Text = Text { min: 1, max: 1000, pattern: ".*", allows: |c| c != '\n' };
/// Values of an action's configuration.
pub(super) const SETTING: Text = Text { min: 1, max: 1000, pattern: ".*", allows: any };
/// Keys of an action's configuration.
pub(super) const SETTING_KEY: Text = Text { min: 1, max: 50, pattern: ".*", allows: any };
/// Providers of actions.
pub(super) const PROVIDER: Text = Text { min: 1, max: 35, pattern: "[0-9A-Za-z_-]+", allows: word };
/// Versions of action types.
pub(super) const TYPE_VERSION: Text = Text { min: 1, max: 9, pattern: "[0-9A-Za-z_-]+", allows: word };
/// Regions.
pub(super) const REGION: Text = Text { min: 4, max: 30, pattern: ".*", allows: any };
/// Buckets.
pub(super) const BUCKET: Text = Text {
    min: 3,
    max: 63,
    pattern: "[a-zA-Z0-9\\-\\.]+",
    allows: |c| c.is_ascii_alphanumeric() || c == '-' || c == '.',
};
/// `clientRequestToken`.
pub(super) const TOKEN: Text =
    Text { min: 1, max: 128, pattern: "^[a-zA-Z0-9-]+$", allows: |c| c.is_ascii_alphanumeric() || c == '-' };
/// Revisions of a source.
pub(super) const REVISION: Text = Text { min: 1, max: 1500, pattern: ".*", allows: any };
/// Why somebody stops an execution.
pub(super) const REASON: Text = Text { min: 0, max: 200, pattern: ".*", allows: any };
/// Why somebody disables a transition.
pub(super) const DISABLED_REASON: Text = Text {
    min: 1,
    max: 300,
    pattern: "[a-zA-Z0-9!@ \\(\\)\\.\\*\\?\\-]+",
    allows: |c| c.is_ascii_alphanumeric() || "!@ ().*?-".contains(c),
};
/// What an approver says.
pub(super) const SUMMARY: Text = Text { min: 0, max: 512, pattern: ".*", allows: any };
/// Ids of executions. Their exact form is checked by looking them up.
pub(super) const EXECUTION_ID: Text = Text {
    min: 36,
    max: 36,
    pattern: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    allows: |c| matches!(c, '0'..='9' | 'a'..='f' | '-'),
};
/// Tokens of approvals, which are UUIDs too.
pub(super) const APPROVAL_TOKEN: Text = EXECUTION_ID;
/// ARNs of roles.
pub(super) const ROLE: Text =
    Text { min: 1, max: 1024, pattern: "arn:aws(-[\\w]+)*:iam::[0-9]{12}:role/.*", allows: any };
/// Keys of tags.
pub(super) const TAG_KEY: Text = Text { min: 1, max: 128, pattern: ".*", allows: any };
/// Values of tags.
pub(super) const TAG_VALUE: Text = Text { min: 0, max: 256, pattern: ".*", allows: any };

/// A `ValidationException` about the member at `path`.
pub(super) fn invalid(value: &str, path: &str, constraint: &str) -> Failure {
    Failure::sender(
        "ValidationException",
        format!("1 validation error detected: Value {value} at '{path}' failed to satisfy constraint: {constraint}"),
    )
}

/// The string at `key`, which must be there.
pub(super) fn required<'a>(input: &'a Value, path: &str, key: &str, bounds: &Text) -> Result<&'a str, Failure> {
    optional(input, path, key, bounds)?.ok_or_else(|| invalid("null", &join(path, key), "Member must not be null"))
}

/// The string at `key`, if there is one.
pub(super) fn optional<'a>(input: &'a Value, path: &str, key: &str, bounds: &Text) -> Result<Option<&'a str>, Failure> {
    match &input[key] {
        Value::Null => Ok(None),
        Value::String(text) => check(text, &join(path, key), bounds).map(Some),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong_type(&join(path, key), "a string"))
        }
    }
}

/// `text` itself, when it is within `bounds`.
pub(super) fn check<'a>(text: &'a str, path: &str, bounds: &Text) -> Result<&'a str, Failure> {
    let length = text.chars().count();
    let constraint = if length < bounds.min {
        format!("Member must have length greater than or equal to {}", bounds.min)
    } else if length > bounds.max {
        format!("Member must have length less than or equal to {}", bounds.max)
    } else if !text.chars().all(bounds.allows) {
        format!("Member must satisfy regular expression pattern: {}", bounds.pattern)
    } else {
        return Ok(text);
    };
    Err(invalid(&format!("'{text}'"), path, &constraint))
}

/// The whole number at `key`, if there is one.
pub(super) fn number(input: &Value, path: &str, key: &str, min: u64, max: u64) -> Result<Option<u64>, Failure> {
    let path = join(path, key);
    let given = &input[key];
    if given.is_null() {
        return Ok(None);
    }
    // The CLI sends whole numbers, but some SDKs send `5.0`.
    let value = given.as_i64().or_else(|| given.as_f64().map(|number| number as i64));
    let Some(value) = value else { return Err(wrong_type(&path, "a number")) };
    match u64::try_from(value) {
        Ok(found) if found > max => {
            Err(invalid(&format!("'{value}'"), &path, &format!("Member must have value less than or equal to {max}")))
        }
        Ok(found) if found >= min => Ok(Some(found)),
        _ => Err(invalid(
            &format!("'{value}'"),
            &path,
            &format!("Member must have value greater than or equal to {min}"),
        )),
    }
}

/// The string at `key`, if there is one, which must be one of `allowed`.
pub(super) fn one_of(
    input: &Value,
    path: &str,
    key: &str,
    allowed: &[&'static str],
) -> Result<Option<&'static str>, Failure> {
    let path = join(path, key);
    if input[key].is_null() {
        return Ok(None);
    }
    let given = input[key].as_str().ok_or_else(|| wrong_type(&path, "a string"))?;
    let found = allowed.iter().find(|each| **each == given).copied();
    let constraint = || format!("Member must satisfy enum value set: [{}]", allowed.join(", "));
    found.map(Some).ok_or_else(|| invalid(&format!("'{given}'"), &path, &constraint()))
}

/// The list at `key`, empty when there is none.
pub(super) fn list<'a>(input: &'a Value, path: &str, key: &str, max: usize) -> Result<&'a [Value], Failure> {
    let path = join(path, key);
    match &input[key] {
        Value::Null => Ok(&[]),
        Value::Array(items) if items.len() > max => {
            Err(invalid("'[…]'", &path, &format!("Member must have length less than or equal to {max}")))
        }
        Value::Array(items) => Ok(items),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Err(wrong_type(&path, "a list")),
    }
}

/// Whether the input asks for it.
pub(super) fn is_set(input: &Value, key: &str) -> bool {
    input[key].as_bool().unwrap_or(false)
}

fn wrong_type(path: &str, wanted: &str) -> Failure {
    Failure::sender("SerializationException", format!("The value at '{path}' is not {wanted}"))
}

/// The path of a member for a message, such as `pipeline.name`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// One page of `items` under `name`, with `nextToken` when more follow.
///
/// A token names the last item given, by `key`: no two tokens are alike, and what is added at the front of a
/// listing between two pages neither repeats nor hides an item.
pub(super) fn page(name: &str, items: Vec<(String, Value)>, input: &Value, most: u64) -> Result<Value, Failure> {
    let size = number(input, "", "maxResults", 1, most)?.unwrap_or(most);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let start = match input["nextToken"].as_str() {
        None => 0,
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| items.iter().position(|(key, _)| key.as_bytes() == bytes))
            .map(|last| last + 1)
            .ok_or_else(bad_token)?,
    };
    let end = items.len().min(start.saturating_add(size));
    let next = items.get(end.wrapping_sub(1)).filter(|_| end < items.len() && end > start);
    let next = next.map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    let given: Vec<Value> = items.into_iter().skip(start).take(size).map(|(_, item)| item).collect();
    let mut answer = json!({ name: given });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn bad_token() -> Failure {
    Failure::sender(
        "InvalidNextTokenException",
        "The next token was specified in an invalid format. Make sure that the next token you provided is the token \
         returned by a previous call.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_held_to_its_bounds() {
        let long = "x".repeat(101);
        #[rustfmt::skip]
        let cases = [
            // name         accepted  why
            ("shop",        true,     "plain"),
            ("a.b@c-d_1",   true,     "every kind of character that the pattern has"),
            ("",            false,    "at least one character"),
            ("two words",   false,    "no space"),
            ("a/b",         false,    "no slash"),
            ("é",           false,    "ASCII only"),
            (&long,         false,    "at most 100"),
        ];
        for (name, accepted, why) in cases {
            let input = json!({ "name": name });
            let answer = required(&input, "pipeline", "name", &NAME);
            assert_eq!(answer.is_ok(), accepted, "{name}: {why}");
        }
        let empty = json!({});
        let missing = required(&empty, "pipeline", "name", &NAME).unwrap_err();
        assert!(missing.message.contains("'pipeline.name' failed to satisfy constraint: Member must not be null"));
    }

    #[test]
    fn pages_follow_one_another_without_repeating_a_token() {
        let items = || (0..5).map(|n| (format!("k{n}"), json!(n))).collect::<Vec<_>>();
        let first = page("items", items(), &json!({ "maxResults": 2 }), 100).unwrap();
        assert_eq!(first["items"], json!([0, 1]));
        let input = json!({ "maxResults": 2, "nextToken": first["nextToken"] });
        let second = page("items", items(), &input, 100).unwrap();
        assert_eq!(second["items"], json!([2, 3]));
        assert_ne!(first["nextToken"], second["nextToken"]);
        let input = json!({ "maxResults": 2, "nextToken": second["nextToken"] });
        let last = page("items", items(), &input, 100).unwrap();
        assert_eq!(last, json!({ "items": [4] }));
        let forged = page("items", items(), &json!({ "nextToken": "nonsense" }), 100).unwrap_err();
        assert_eq!(forged.code, "InvalidNextTokenException");
        assert!(page("items", items(), &json!({ "maxResults": 101 }), 100).is_err());
    }
}
