//! The event of a deployment.
//!
//! Source: Amazon EventBridge's example of a CodeDeploy deployment event, as `aws_lambda_events` carries it.

use super::state::Deployment;
use super::tags::{application_arn, group_arn};
use crate::aws::Event;
use serde_json::json;

/// Tells that a deployment came to `state`: START, SUCCESS, FAILURE, STOP or READY.
pub(super) fn of(deployment: &Deployment, state: &str) -> Event {
    let Deployment { region, application, group, .. } = deployment;
    Event {
        source: "aws.codedeploy".to_owned(),
        detail_type: "CodeDeploy Deployment State-change Notification".to_owned(),
        resources: vec![application_arn(region, application), group_arn(region, application, group)],
        detail: json!({
            "instanceGroupId": deployment.group_id,
            "region": region,
            "application": application,
            "deploymentId": deployment.id,
            "state": state,
            "deploymentGroup": group,
        }),
    }
}
