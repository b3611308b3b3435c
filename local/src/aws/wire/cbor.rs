//! rpc-v2-cbor: what CloudWatch's client for Rust speaks.
//!
//! Times are tag 1 both ways. A `Service` sees the JSON that awsJson would have brought: seconds since 1970.

use super::members::{is_double, is_time};
use crate::aws::Failure;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value, json};

/// The name of the protocol, as its header says it.
pub(super) const NAME: &str = "rpc-v2-cbor";

/// CBOR's tag for a time in seconds since 1970.
const EPOCH_TAG: u64 = 1;

/// The input of an operation.
///
/// # Errors
/// `SerializationException` for what is not a CBOR map with text for keys.
pub(super) fn input(body: &[u8]) -> Result<Value, Failure> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let read = ciborium::from_reader::<Cbor, _>(body).ok().and_then(decoded);
    match read {
        Some(input @ Value::Object(_)) => Ok(input),
        Some(_) | None => Err(Failure::sender("SerializationException", "The request body is not a CBOR map.")),
    }
}

/// A document, as CBOR.
pub(super) fn output(document: &Value) -> Vec<u8> {
    let mut body = Vec::new();
    // Writing to memory cannot fail, and half a document would be worse than none.
    if ciborium::into_writer(&encoded("", document), &mut body).is_err() {
        body.clear();
    }
    body
}

/// The elements of a list are worded like the member that holds the list.
fn encoded(name: &str, value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(flag) => Cbor::Bool(*flag),
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Number(number) => encoded_number(name, number),
        Value::Array(elements) => Cbor::Array(elements.iter().map(|element| encoded(name, element)).collect()),
        Value::Object(members) => {
            let present = members.iter().filter(|(_, member)| !member.is_null());
            Cbor::Map(present.map(|(name, member)| (Cbor::Text(name.clone()), encoded(name, member))).collect())
        }
    }
}

fn encoded_number(name: &str, number: &Number) -> Cbor {
    let float = Cbor::Float(number.as_f64().unwrap_or_default());
    if is_time(name) {
        return Cbor::Tag(EPOCH_TAG, Box::new(float));
    }
    match (number.as_i64(), number.as_u64()) {
        _ if is_double(name) => float,
        (Some(whole), _) => Cbor::Integer(whole.into()),
        (None, Some(whole)) => Cbor::Integer(whole.into()),
        (None, None) => float,
    }
}

/// `None` for what JSON has no word for: a key that is not text, or a number that is none.
fn decoded(value: Cbor) -> Option<Value> {
    Some(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(flag) => Value::Bool(flag),
        Cbor::Text(text) => Value::String(text),
        Cbor::Bytes(bytes) => Value::String(BASE64_STANDARD.encode(bytes)),
        Cbor::Integer(whole) => Number::from_i128(whole.into()).map(Value::Number)?,
        Cbor::Float(float) => Value::Number(Number::from_f64(float)?),
        Cbor::Tag(_, inner) => decoded(*inner)?,
        Cbor::Array(elements) => Value::Array(elements.into_iter().map(decoded).collect::<Option<_>>()?),
        Cbor::Map(members) => {
            let member = |(key, value): (Cbor, Cbor)| Some((key.into_text().ok()?, decoded(value)?));
            Value::Object(members.into_iter().map(member).collect::<Option<Map<_, _>>>()?)
        }
        // The enum may grow: what it does not have yet, no client sends.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_doubles_keep_their_kind() {
        let document = json!({
            "MetricAlarms": [{ "StateUpdatedTimestamp": 1788177600.5, "Threshold": 80, "Period": 60 }],
            "Values": [1, 2.5], "Timestamps": [1788177600], "Nothing": null,
        });
        let read: Cbor = ciborium::from_reader(output(&document).as_slice()).expect("CBOR");
        let member = |of: &Cbor, name: &str| {
            let members = of.as_map().expect("a map");
            members.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value.clone())
        };
        let alarms = member(&read, "MetricAlarms").expect("alarms");
        let alarm = &alarms.as_array().expect("a list")[0];
        let time = |seconds: f64| Cbor::Tag(1, Box::new(Cbor::Float(seconds)));
        #[rustfmt::skip]
        let cases = [
            (member(alarm, "StateUpdatedTimestamp"), Some(time(1_788_177_600.5)),               "a time is tagged"),
            (member(alarm, "Threshold"),  Some(Cbor::Float(80.0)),                               "a double, though whole"),
            (member(alarm, "Period"),     Some(Cbor::Integer(60.into())),                        "an integer"),
            (member(&read, "Values"),     Some(Cbor::Array(vec![1.0.into(), 2.5.into()])),       "doubles in a list"),
            (member(&read, "Timestamps"), Some(Cbor::Array(vec![time(1_788_177_600.0)])),        "times in a list"),
            (member(&read, "Nothing"),    None,                                                  "null is left out"),
        ];
        for (seen, expected, why) in cases {
            assert_eq!(seen, expected, "{why}");
        }
    }

    #[test]
    fn what_comes_in_is_what_json_would_have_brought() {
        let written = |value: Cbor| {
            let mut body = Vec::new();
            ciborium::into_writer(&value, &mut body).expect("written");
            input(&body).map_err(|failure| failure.code)
        };
        let map = |key: Cbor, value: Cbor| Cbor::Map(vec![(key, value)]);
        let refused = || Err("SerializationException".to_owned());
        #[rustfmt::skip]
        let cases = [
            (map("T".into(), Cbor::Tag(1, Box::new(5.into()))), Ok(json!({ "T": 5 })),       "a time is a number"),
            (map("B".into(), Cbor::Bytes(vec![2, 3, 4])),       Ok(json!({ "B": "AgME" })), "bytes are base64"),
            (map("N".into(), (-1.5).into()),                    Ok(json!({ "N": -1.5 })),    "a double"),
            (map(1.into(), "x".into()),                         refused(),                   "a key that is no text"),
            (map("N".into(), f64::NAN.into()),                  refused(),                   "no number"),
            (Cbor::Array(vec![]),                               refused(),                   "no map"),
        ];
        for (value, expected, why) in cases {
            assert_eq!(written(value), expected, "{why}");
        }
        assert_eq!(input(b"").ok(), Some(json!({})), "an operation without input sends nothing");
        assert!(input(&[0xa1, 0x61]).is_err(), "cut off");
        assert!(input(&[0x81; 4096]).is_err(), "nested without end");
    }
}
