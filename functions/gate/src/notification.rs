//! CodePipeline's own notification of an approval, as SNS hands it to a function.
//!
//! It holds the token that answers the approval, twice: by itself and in its link. So it is read into a type that does
//! not print it, and that lives as long as one question to CodePipeline.

use pointsman::domain::execution::{Target, TargetKind};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// What of it matters here.
pub(crate) struct Notification {
    /// The pipeline.
    pub(crate) target: Target,
    /// The stage that asks.
    pub(crate) stage: String,
    /// The action that asks.
    pub(crate) action: String,
    /// What answers it.
    pub(crate) token: String,
}

impl fmt::Debug for Notification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Notification({}, {}/{})", self.target, self.stage, self.action)
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Records", default)]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "Sns")]
    sns: Sns,
}

#[derive(Deserialize)]
struct Sns {
    #[serde(rename = "Message")]
    message: String,
}

/// Source: CodePipeline user guide, "JSON data format for manual approval notifications".
#[derive(Deserialize)]
struct Message {
    region: String,
    approval: Approval,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Approval {
    pipeline_name: String,
    stage_name: String,
    action_name: String,
    token: String,
}

/// The notifications in an event of SNS's; none in any other. What is no notification of an approval is passed over.
pub(crate) fn notifications(event: &Value) -> Vec<Notification> {
    let Ok(envelope) = serde_json::from_value::<Envelope>(event.clone()) else { return Vec::new() };
    let messages =
        envelope.records.iter().filter_map(|record| serde_json::from_str::<Message>(&record.sns.message).ok());
    messages
        .map(|Message { region, approval }| Notification {
            target: Target { kind: TargetKind::Pipeline, name: approval.pipeline_name, region },
            stage: approval.stage_name,
            action: approval.action_name,
            token: approval.token,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_notification_is_read_and_never_printed() {
        let message = json!({
            "region": "us-east-1", "consoleLink": "https://console.aws.amazon.com/…",
            "approval": {
                "pipelineName": "shop", "stageName": "Approve", "actionName": "Ask", "token": "1111-2222",
                "expires": "2026-11-28T20:22Z", "approvalReviewLink": "https://…/approve/1111-2222",
            },
        });
        let sns = |message: String| json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Message": message } }] });
        let found = notifications(&sns(message.to_string()));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].stage.as_str(), found[0].action.as_str(), found[0].token.as_str()),
            ("Approve", "Ask", "1111-2222")
        );
        assert_eq!(format!("{:?}", found[0]), "Notification(pipeline shop in us-east-1, Approve/Ask)");
        for other in [sns("hello".into()), sns(json!({ "AlarmName": "x" }).to_string()), json!({ "source": "aws.ecr" })]
        {
            assert!(notifications(&other).is_empty(), "{other}");
        }
    }
}
