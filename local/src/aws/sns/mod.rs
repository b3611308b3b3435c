//! SNS: topics, subscriptions, and what they deliver: to queues, to functions, and to the mail view.

use super::{Aws, Call, Failure, Service};
use serde_json::Value;

/// The topics of every region, and the mail that they sent.
#[derive(Default)]
pub struct Sns {}

impl Service for Sns {
    fn call(&self, _aws: &Aws, call: &Call) -> Result<Value, Failure> {
        Err(Failure::not_emulated("SNS", &call.operation))
    }
}
