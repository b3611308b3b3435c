//! PutEvents: entries become events, or are refused one by one.

use super::{EventBridge, last_part, whole_seconds};
use crate::aws::{ACCOUNT, Aws, Call, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};

/// All entries of one PutEvents together, in bytes.
const LARGEST_EVENTS_BYTES: usize = 256 * 1024;

/// Entries of one PutEvents, at most.
const MOST_ENTRIES: usize = 10;

impl EventBridge {
    pub(super) fn put_events(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let entries = call.input["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if entries.is_empty() || entries.len() > MOST_ENTRIES {
            let message = format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have \
                 length between 1 and {MOST_ENTRIES}, inclusive"
            );
            return Err(Failure::sender("ValidationException", message));
        }
        if entries.iter().map(entry_bytes).sum::<usize>() > LARGEST_EVENTS_BYTES {
            let message = "Total size of the entries in the request is over the limit.";
            return Err(Failure::sender("ValidationException", message));
        }
        let mut failed = 0;
        let answers: Vec<Value> = entries
            .iter()
            .map(|entry| match envelope(aws, call, entry) {
                Ok((bus, envelope)) => {
                    let id = envelope["id"].clone();
                    self.publish(aws, &call.region, &bus, envelope);
                    json!({ "EventId": id })
                }
                Err((code, message)) => {
                    failed += 1;
                    json!({ "ErrorCode": code, "ErrorMessage": message })
                }
            })
            .collect();
        Ok(json!({ "FailedEntryCount": failed, "Entries": answers }))
    }
}

/// The event that an entry of PutEvents becomes, and the bus that it goes to; or the entry's error.
fn envelope(aws: &Aws, call: &Call, entry: &Value) -> Result<(String, Value), (&'static str, String)> {
    let required = |member: &'static str| {
        let value = entry[member].as_str().filter(|value| !value.is_empty());
        value.ok_or((
            "InvalidArgument",
            format!("Parameter {member} is not valid. Reason: {member} is a required argument."),
        ))
    };
    let (source, detail_type, detail) = (required("Source")?, required("DetailType")?, required("Detail")?);
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let detail: Value =
        serde_json::from_str(detail).map_err(|_| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
    if !detail.is_object() {
        return Err(("MalformedDetail", "Detail is malformed.".to_owned()));
    }
    let time =
        entry["Time"].as_f64().and_then(|seconds| Timestamp::from_second(seconds as i64).ok()).unwrap_or(call.now);
    let envelope = json!({
        "version": "0",
        "id": aws.uuid(),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": whole_seconds(time),
        "region": call.region,
        "resources": entry["Resources"].as_array().cloned().unwrap_or_default(),
        "detail": detail,
    });
    let bus = entry["EventBusName"].as_str().map_or("default", last_part).to_owned();
    Ok((bus, envelope))
}

/// What an entry counts against the size limit. Source: "Amazon EventBridge, calculating event entry size".
fn entry_bytes(entry: &Value) -> usize {
    let length = |member: &str| entry[member].as_str().map_or(0, str::len);
    let resources = entry["Resources"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::len);
    let time = if entry["Time"].is_null() { 0 } else { 14 };
    time + length("Source") + length("DetailType") + length("Detail") + resources.sum::<usize>()
}
