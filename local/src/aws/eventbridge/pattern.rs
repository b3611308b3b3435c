//! Event patterns: the whole language, read once and matched often.
//!
//! A pattern names fields; each field has a list of matchers, one of which must accept one of the field's values.
//! Arrays in an event are sets of values, and an array of objects matches where one of its objects does.
//!
//! Source: "Amazon EventBridge, comparison operators in event patterns", and event-ruler, which runs them.

use serde_json::{Map, Value};
use std::net::IpAddr;

/// How deep a pattern may nest: a bound on what a made-up pattern can cost.
const DEEPEST: usize = 32;

/// The largest number that `numeric` compares, either way.
const LARGEST_NUMBER: f64 = 5.0e9;

/// A pattern that was read. It matches what it says.
#[derive(Debug, Clone)]
pub(in crate::aws) struct Pattern {
    fields: Vec<(String, Field)>,
    /// `$or`: of each list, one pattern must match.
    alternatives: Vec<Vec<Pattern>>,
}

#[derive(Debug, Clone)]
enum Field {
    Nested(Pattern),
    Leaf(Vec<Matcher>),
}

#[derive(Debug, Clone)]
enum Matcher {
    Exactly(Value),
    Exists(bool),
    Text(Text),
    AnythingBut(Vec<Value>),
    AnythingButText(Vec<Text>),
    Numeric(Vec<(Comparison, f64)>),
    Cidr(IpAddr, u8),
}

/// How a string is looked at.
#[derive(Debug, Clone)]
enum Text {
    Prefix(String),
    PrefixIgnoringCase(String),
    Suffix(String),
    SuffixIgnoringCase(String),
    IgnoringCase(String),
    /// The literal pieces between the stars.
    Wildcard(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The reason why it is not one, as it goes into `InvalidEventPatternException`.
    pub(in crate::aws) fn parse(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text) {
            Ok(Value::Object(pattern)) => Self::read(&pattern, 0),
            Ok(_) => Err("Filter is not an object".to_owned()),
            Err(error) => Err(format!("Not valid JSON: {error}")),
        }
    }

    /// Whether an event is one of those that the pattern means.
    pub(in crate::aws) fn matches(&self, event: &Value) -> bool {
        self.accepts(Some(event))
    }

    fn read(pattern: &Map<String, Value>, depth: usize) -> Result<Self, String> {
        if depth > DEEPEST {
            return Err(format!("Nested deeper than {DEEPEST} levels"));
        }
        if pattern.is_empty() {
            return Err("Empty objects are not allowed".to_owned());
        }
        let mut read = Self { fields: Vec::new(), alternatives: Vec::new() };
        for (name, value) in pattern {
            match value {
                Value::Array(any) if name == "$or" => read.alternatives.push(alternatives(any, depth)?),
                Value::Object(nested) => {
                    read.fields.push((name.clone(), Field::Nested(Self::read(nested, depth + 1)?)))
                }
                Value::Array(any) if any.is_empty() => return Err("Empty arrays are not allowed".to_owned()),
                Value::Array(any) => {
                    let matchers = any.iter().map(matcher).collect::<Result<_, _>>()?;
                    read.fields.push((name.clone(), Field::Leaf(matchers)));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Err(format!("\"{name}\" must be an object or an array"));
                }
            }
        }
        Ok(read)
    }

    /// `None` stands for a field that is not there: then only `exists: false` can match.
    fn accepts(&self, event: Option<&Value>) -> bool {
        match event {
            // One object has to satisfy all of the pattern: fields of different elements do not add up.
            Some(Value::Array(elements)) if !elements.is_empty() => {
                elements.iter().any(|element| self.accepts(Some(element)))
            }
            _ => {
                let fields = event.and_then(Value::as_object);
                let field = |name: &str| fields.and_then(|fields| fields.get(name));
                self.fields.iter().all(|(name, wanted)| wanted.accepts(field(name)))
                    && self.alternatives.iter().all(|any| any.iter().any(|pattern| pattern.accepts(event)))
            }
        }
    }
}

impl Field {
    fn accepts(&self, value: Option<&Value>) -> bool {
        match self {
            Self::Nested(pattern) => pattern.accepts(value),
            Self::Leaf(matchers) => {
                let mut values = Vec::new();
                leaves(value, &mut values);
                matchers.iter().any(|matcher| {
                    let is_asked_to_be_absent = matches!(matcher, Matcher::Exists(false));
                    if values.is_empty() { is_asked_to_be_absent } else { values.iter().any(|v| matcher.accepts(v)) }
                })
            }
        }
    }
}

/// The values of a field: those of an array one by one, those of an object not at all.
fn leaves<'a>(value: Option<&'a Value>, found: &mut Vec<&'a Value>) {
    match value {
        None | Some(Value::Object(_)) => {}
        Some(Value::Array(elements)) => elements.iter().for_each(|element| leaves(Some(element), found)),
        Some(leaf) => found.push(leaf),
    }
}

impl Matcher {
    fn accepts(&self, value: &Value) -> bool {
        match self {
            // As JSON writes it: 300 and 300.0 are different.
            Self::Exactly(wanted) => wanted == value,
            Self::Exists(wanted) => *wanted,
            Self::Text(text) => value.as_str().is_some_and(|value| text.accepts(value)),
            Self::AnythingBut(others) => !others.contains(value),
            Self::AnythingButText(others) => {
                value.as_str().is_none_or(|value| !others.iter().any(|other| other.accepts(value)))
            }
            Self::Numeric(comparisons) => value
                .as_f64()
                .is_some_and(|value| comparisons.iter().all(|(comparison, than)| comparison.holds(value, *than))),
            Self::Cidr(network, bits) => value
                .as_str()
                .and_then(|address| address.parse().ok())
                .is_some_and(|address| is_within(address, *network, *bits)),
        }
    }
}

impl Text {
    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Prefix(prefix) => value.starts_with(prefix.as_str()),
            Self::PrefixIgnoringCase(prefix) => value.to_lowercase().starts_with(prefix.as_str()),
            Self::Suffix(suffix) => value.ends_with(suffix.as_str()),
            Self::SuffixIgnoringCase(suffix) => value.to_lowercase().ends_with(suffix.as_str()),
            Self::IgnoringCase(other) => value.to_lowercase() == *other,
            Self::Wildcard(pieces) => is_like(value, pieces),
        }
    }
}

impl Comparison {
    fn holds(self, value: f64, than: f64) -> bool {
        match self {
            Self::Equal => value == than,
            Self::Less => value < than,
            Self::LessOrEqual => value <= than,
            Self::Greater => value > than,
            Self::GreaterOrEqual => value >= than,
        }
    }
}

fn alternatives(any: &[Value], depth: usize) -> Result<Vec<Pattern>, String> {
    if any.len() < 2 {
        return Err("There must be at least 2 items in $or relationship array".to_owned());
    }
    let read = |pattern: &Value| {
        let pattern = pattern.as_object().ok_or("Only JSON objects are allowed in array of $or relationship")?;
        Pattern::read(pattern, depth + 1)
    };
    any.iter().map(read).collect()
}

fn matcher(value: &Value) -> Result<Matcher, String> {
    let operator = match value {
        Value::Object(operator) => operator,
        Value::Array(_) => return Err("Arrays are not allowed within a list of values".to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Ok(Matcher::Exactly(value.clone()));
        }
    };
    let mut entries = operator.iter();
    let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
        return Err("Only one key allowed in match expression".to_owned());
    };
    match name.as_str() {
        "exists" => {
            let wanted = operand.as_bool().ok_or("exists match pattern must be either true or false.")?;
            Ok(Matcher::Exists(wanted))
        }
        "anything-but" => anything_but(operand),
        "numeric" => numeric(operand),
        "cidr" => cidr(operand),
        _ => text(name, operand).map(Matcher::Text),
    }
}

fn text(name: &str, operand: &Value) -> Result<Text, String> {
    let ignoring_case = operand.get("equals-ignore-case").and_then(Value::as_str).map(str::to_lowercase);
    match (name, operand, ignoring_case) {
        ("prefix", Value::String(prefix), _) => Ok(Text::Prefix(prefix.clone())),
        ("suffix", Value::String(suffix), _) => Ok(Text::Suffix(suffix.clone())),
        ("prefix", _, Some(prefix)) => Ok(Text::PrefixIgnoringCase(prefix)),
        ("suffix", _, Some(suffix)) => Ok(Text::SuffixIgnoringCase(suffix)),
        ("equals-ignore-case", Value::String(other), _) => Ok(Text::IgnoringCase(other.to_lowercase())),
        ("wildcard", Value::String(pattern), _) => pieces(pattern).map(Text::Wildcard),
        ("prefix" | "suffix" | "equals-ignore-case" | "wildcard", ..) => {
            Err(format!("{name} match pattern must be a string"))
        }
        _ => Err(format!("Unrecognized match type {name}")),
    }
}

fn anything_but(operand: &Value) -> Result<Matcher, String> {
    match operand {
        Value::String(_) | Value::Number(_) => Ok(Matcher::AnythingBut(vec![operand.clone()])),
        Value::Array(others) => {
            let is_uniform = others.iter().all(Value::is_string) || others.iter().all(Value::is_number);
            match (others.is_empty(), is_uniform) {
                (false, true) => Ok(Matcher::AnythingBut(others.clone())),
                (true, _) => Err("Empty arrays are not allowed".to_owned()),
                (false, false) => Err("Inside anything but list, either all values are number or string".to_owned()),
            }
        }
        Value::Object(operator) => {
            let mut entries = operator.iter();
            let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
                return Err("Only one key allowed in match expression".to_owned());
            };
            let texts = match operand.as_array().map(Vec::as_slice) {
                Some([]) => return Err("Empty arrays are not allowed".to_owned()),
                Some(any) => any.iter().map(|one| text(name, one)).collect::<Result<_, _>>()?,
                None => vec![text(name, operand)?],
            };
            Ok(Matcher::AnythingButText(texts))
        }
        Value::Null | Value::Bool(_) => {
            Err("Value of anything-but must be an array or single string/number value".to_owned())
        }
    }
}

/// Reads `[">", 0, "<=", 5]`: one comparison, or a lower and an upper bound in this order.
fn numeric(operand: &Value) -> Result<Matcher, String> {
    let parts = operand.as_array().ok_or("Value of numeric must be an array.")?;
    if parts.len() != 2 && parts.len() != 4 {
        return Err("Value of numeric must be one comparison, or two that make a range".to_owned());
    }
    let mut comparisons = Vec::new();
    for pair in parts.chunks(2) {
        let comparison = match pair[0].as_str() {
            Some("=") => Comparison::Equal,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::GreaterOrEqual,
            _ => return Err(format!("Unrecognized numeric range operator: {}", pair[0])),
        };
        let than = pair[1].as_f64().ok_or("Value of a numeric comparison must be a number")?;
        if than.abs() > LARGEST_NUMBER {
            return Err("Value must be between -5.0E9 and 5.0E9, inclusive".to_owned());
        }
        comparisons.push((comparison, than));
    }
    if let [(low, from), (high, to)] = comparisons[..] {
        let is_range = matches!(low, Comparison::Greater | Comparison::GreaterOrEqual)
            && matches!(high, Comparison::Less | Comparison::LessOrEqual);
        if !is_range || from >= to {
            return Err("Bad numeric range: a lower bound first, then an upper bound above it".to_owned());
        }
    }
    Ok(Matcher::Numeric(comparisons))
}

fn cidr(operand: &Value) -> Result<Matcher, String> {
    let bad = || format!("Malformed CIDR: {operand}");
    let text = operand.as_str().ok_or_else(bad)?;
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let network: IpAddr = address.parse().map_err(|_| bad())?;
    let most = if network.is_ipv4() { 32 } else { 128 };
    let bits = if text.contains('/') { bits.parse().map_err(|_| bad())? } else { most };
    if bits > most { Err(bad()) } else { Ok(Matcher::Cidr(network, bits)) }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let differing = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => u128::from(address.to_bits() ^ network.to_bits()) << 96,
        (IpAddr::V6(address), IpAddr::V6(network)) => address.to_bits() ^ network.to_bits(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    differing.leading_zeros() >= u32::from(bits)
}

/// Takes a wildcard pattern apart at its stars. A backslash makes a star or a backslash literal.
fn pieces(pattern: &str) -> Result<Vec<String>, String> {
    let mut pieces = vec![String::new()];
    let mut characters = pattern.chars();
    let mut after_star = false;
    while let Some(character) = characters.next() {
        let literal = match character {
            '*' if after_star => {
                return Err("Consecutive wildcard characters are not allowed".to_owned());
            }
            '*' => {
                pieces.push(String::new());
                after_star = true;
                continue;
            }
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '\\')) => escaped,
                _ => return Err("Invalid escape character in wildcard".to_owned()),
            },
            other => other,
        };
        after_star = false;
        if let Some(piece) = pieces.last_mut() {
            piece.push(literal);
        }
    }
    Ok(pieces)
}

fn is_like(value: &str, pieces: &[String]) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return value.is_empty() };
    let Some((last, middle)) = rest.split_last() else { return value == first };
    let Some(mut remaining) = value.strip_prefix(first.as_str()) else { return false };
    // The leftmost place for each piece leaves the most for those that follow.
    for piece in middle {
        match remaining.find(piece.as_str()) {
            Some(at) => remaining = &remaining[at + piece.len()..],
            None => return false,
        }
    }
    remaining.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "source": "aws.codepipeline", "account": "123456789012",
            "detail": {
                "state": "FAILED", "pipeline": "shop-production", "version": 1, "score": 9.5, "none": null, "empty": [],
                "tags": ["a", "b"], "ip": "10.0.0.5", "six": "2001:db8::1",
                "stages": [{ "name": "x", "ok": true }, { "name": "y", "ok": false }],
            },
        })
    }

    #[test]
    fn patterns_match_what_they_say() {
        let event = event();
        let detail = |pattern: Value| json!({ "detail": pattern });
        #[rustfmt::skip]
        let cases = [
            (json!({ "source": ["aws.codepipeline"] }), true, "an exact value"),
            (json!({ "source": ["aws.codebuild", "aws.codepipeline"] }), true, "one of several"),
            (json!({ "source": ["aws"] }), false, "not a prefix by itself"),
            (json!({ "source": [{ "prefix": "aws." }] }), true, "a prefix"),
            (json!({ "source": [{ "suffix": "pipeline" }] }), true, "a suffix"),
            (json!({ "source": [{ "prefix": { "equals-ignore-case": "AWS." } }] }), true, "a prefix without case"),
            (json!({ "region": ["us-east-1"] }), false, "a field that is not there"),
            (json!({ "region": [{ "exists": false }] }), true, "asked to be absent"),
            (detail(json!({ "state": ["FAILED"], "version": [1] })), true, "all fields"),
            (detail(json!({ "state": ["FAILED"], "version": [2] })), false, "not all fields"),
            (detail(json!({ "version": [1.0] })), false, "1 and 1.0 are different"),
            (detail(json!({ "state": [{ "equals-ignore-case": "failed" }] })), true, "without case"),
            (detail(json!({ "state": [{ "anything-but": "SUCCEEDED" }] })), true, "anything but"),
            (detail(json!({ "state": [{ "anything-but": ["FAILED", "STOPPED"] }] })), false, "anything but a list"),
            (detail(json!({ "pipeline": [{ "anything-but": { "prefix": "shop-" } }] })), false,
             "anything but a prefix"),
            (detail(json!({ "pipeline": [{ "anything-but": { "suffix": ["-staging", "-test"] } }] })), true,
             "anything but suffixes"),
            (detail(json!({ "pipeline": [{ "anything-but": { "equals-ignore-case": "SHOP-PRODUCTION" } }] })), false,
             "anything but, without case"),
            (detail(json!({ "pipeline": [{ "anything-but": { "wildcard": "*-production" } }] })), false,
             "anything but a wildcard"),
            (detail(json!({ "missing": [{ "anything-but": "x" }] })), false, "an absent field is nothing but absent"),
            (detail(json!({ "score": [{ "numeric": [">=", 9, "<", 10] }] })), true, "a range"),
            (detail(json!({ "score": [{ "numeric": ["=", 9.5] }] })), true, "equal"),
            (detail(json!({ "score": [{ "numeric": [">", 9.5] }] })), false, "not above itself"),
            (detail(json!({ "state": [{ "numeric": [">", 0] }] })), false, "a string is no number"),
            (detail(json!({ "none": [null] })), true, "null is a value"),
            (detail(json!({ "none": [{ "exists": true }] })), true, "and it is there"),
            (detail(json!({ "empty": [{ "exists": true }] })), false, "an empty array has no value"),
            (detail(json!({ "stages": [{ "exists": true }] })), false, "exists looks at leaves only"),
            (detail(json!({ "tags": ["b", "c"] })), true, "arrays intersect"),
            (detail(json!({ "tags": [{ "anything-but": "a" }] })), true, "b is something else"),
            (detail(json!({ "stages": { "name": ["x"], "ok": [true] } })), true, "one object has both"),
            (detail(json!({ "stages": { "name": ["x"], "ok": [false] } })), false, "no single object has both"),
            (detail(json!({ "pipeline": [{ "wildcard": "shop-*" }] })), true, "a star at the end"),
            (detail(json!({ "pipeline": [{ "wildcard": "s*-pro*ion" }] })), true, "stars in between"),
            (detail(json!({ "pipeline": [{ "wildcard": "shop*shop-production" }] })), false, "pieces do not overlap"),
            (detail(json!({ "pipeline": [{ "wildcard": "shop\\*" }] })), false, "a literal star"),
            (detail(json!({ "ip": [{ "cidr": "10.0.0.0/24" }] })), true, "in the network"),
            (detail(json!({ "ip": [{ "cidr": "10.0.1.0/24" }] })), false, "in another"),
            (detail(json!({ "six": [{ "cidr": "2001:db8::/32" }] })), true, "version 6"),
            (detail(json!({ "ip": [{ "cidr": "::/0" }] })), false, "versions do not mix"),
            (json!({ "$or": [{ "source": ["x"] }, { "detail": { "state": ["FAILED"] } }] }), true, "either"),
            (json!({ "account": ["0"], "$or": [{ "source": ["x"] }, { "detail": { "state": ["FAILED"] } }] }), false,
             "either, and the rest"),
            (detail(json!({ "$or": [{ "state": ["X"] }, { "version": [2] }] })), false, "neither"),
            (detail(json!({ "nowhere": { "deep": [{ "exists": false }] } })), true, "absent below what is absent"),
        ];
        for (pattern, expected, why) in cases {
            let read = Pattern::parse(&pattern.to_string()).expect(why);
            assert_eq!(read.matches(&event), expected, "{why}: {pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        #[rustfmt::skip]
        let cases = [
            (r#""x""#,                                              "not an object"),
            ("{",                                                   "not JSON"),
            ("{}",                                                  "empty"),
            (r#"{"source": []}"#,                                   "an empty list"),
            (r#"{"source": "aws.ec2"}"#,                            "a bare value"),
            (r#"{"source": [["a"]]}"#,                              "a list in a list"),
            (r#"{"source": [{"like": "x"}]}"#,                      "no such operator"),
            (r#"{"source": [{"prefix": "a", "suffix": "b"}]}"#,     "two operators in one"),
            (r#"{"source": [{"prefix": 1}]}"#,                      "a prefix is a string"),
            (r#"{"source": [{"exists": "yes"}]}"#,                  "exists takes a bool"),
            (r#"{"source": [{"wildcard": "a**"}]}"#,                "two stars"),
            (r#"{"source": [{"numeric": ["<", 5, ">", 0]}]}"#,      "the upper bound first"),
            (r#"{"source": [{"numeric": ["~", 5]}]}"#,              "no such comparison"),
            (r#"{"source": [{"numeric": [">", 6000000000]}]}"#,     "out of range"),
            (r#"{"source": [{"cidr": "10.0.0.0/33"}]}"#,            "33 bits"),
            (r#"{"source": [{"anything-but": ["a", 1]}]}"#,         "a mixed list"),
            (r#"{"$or": [{"source": ["a"]}]}"#,                     "one alternative is none"),
        ];
        for (pattern, why) in cases {
            assert!(Pattern::parse(pattern).is_err(), "{why}");
        }
    }
}
