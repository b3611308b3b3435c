//! EventBridge: our own bus, on which functions wake each other.

use super::{AwsConfig, CallError, client};
use crate::domain::event::{ROLLBACK_REQUESTED, SOURCE};
use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types as sdk;
use jiff::Timestamp;
use serde_json::json;

/// EventBridge's word for an entry that it would take later.
const THROTTLED: &str = "ThrottlingException";
/// Its words for an entry of which nobody knows what became.
const LOST: [&str; 2] = ["InternalFailure", "InternalException"];

/// Our bus.
#[derive(Debug, Clone)]
pub struct Bus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

impl Bus {
    /// A client of the bus called `name`, or with this ARN.
    pub fn new(config: &AwsConfig, name: String) -> Self {
        Self { client: client!(aws_sdk_eventbridge, config), name }
    }

    /// Asks for what an incident's decision says. The SDK may repeat the call when a reply gets lost: the event is only
    /// a wake-up, so that is harmless.
    ///
    /// A bus that does not exist takes the event all the same, and loses it: EventBridge says nothing.
    ///
    /// # Errors
    /// [`CallError`] when EventBridge does not confirm it. Nothing else says that `rollback` was not woken.
    ///
    /// Source: the EventBridge API reference, PutEventsResultEntry; aws-sdk issue 186 for the bus.
    pub async fn request_rollback(&self, incident: &str, now: Timestamp) -> Result<(), CallError> {
        let entry = sdk::PutEventsRequestEntry::builder()
            .source(SOURCE)
            .detail_type(ROLLBACK_REQUESTED)
            .detail(json!({ "incident": incident }).to_string())
            .event_bus_name(&self.name)
            .time(DateTime::from_secs(now.as_second()))
            .build();
        let answer = self.client.put_events().entries(entry).send().await?;
        if answer.failed_entry_count() == 0 {
            return Ok(());
        }
        let failed = answer.entries().iter().find(|entry| entry.error_code().is_some());
        Err(failed.map_or_else(|| CallError::Lost("an entry failed, and none says why".to_owned()), why_not))
    }
}

/// Why an entry was not taken.
fn why_not(entry: &sdk::PutEventsResultEntry) -> CallError {
    let code = entry.error_code().unwrap_or_default().to_owned();
    let message = entry.error_message().unwrap_or("no message").to_owned();
    match code.as_str() {
        THROTTLED => CallError::Throttled { code, message },
        other if LOST.contains(&other) => CallError::Lost(format!("{code}: {message}")),
        _ => CallError::Refused { code, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_failed_is_read_by_its_code() {
        #[rustfmt::skip]
        let cases = [
            // code,                              so it is,  why
            ("ThrottlingException",             "throttled", "not now"),
            ("InternalFailure",                 "lost",      "nobody knows"),
            ("InternalException",               "lost",      "the same, as some SDKs have it"),
            ("NotAuthorizedForSourceException", "refused",   "it would be again"),
            ("MalformedDetail",                 "refused",   "it would be again"),
        ];
        for (code, expected, why) in cases {
            let entry = sdk::PutEventsResultEntry::builder().error_code(code).error_message("no").build();
            let error = why_not(&entry);
            let kind = match &error {
                CallError::Refused { .. } => "refused",
                CallError::Throttled { .. } => "throttled",
                CallError::Lost(_) => "lost",
            };
            assert_eq!(kind, expected, "{code}: {why}");
            assert!(error.to_string().contains(code), "{error}");
        }
    }
}
