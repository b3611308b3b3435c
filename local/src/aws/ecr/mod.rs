//! ECR: repositories, images by tag and digest, push events, and what scans found in them.

use super::{Aws, Call, Failure, Service};
use serde_json::Value;

/// The repositories of every region.
#[derive(Default)]
pub struct Ecr {}

impl Service for Ecr {
    fn call(&self, _aws: &Aws, call: &Call) -> Result<Value, Failure> {
        Err(Failure::not_emulated("ECR", &call.operation))
    }
}
