//! CloudWatch alarms: metric and composite alarms, their states, and the event on each change.

use super::{Aws, Call, Failure, Service};
use serde_json::Value;

/// The alarms of every region.
#[derive(Default)]
pub struct CloudWatch {}

impl Service for CloudWatch {
    fn call(&self, _aws: &Aws, call: &Call) -> Result<Value, Failure> {
        Err(Failure::not_emulated("CloudWatch", &call.operation))
    }
}
