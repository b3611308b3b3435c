//! CodeDeploy: applications, groups, and blue/green deployments to ECS in steps.

use super::{Aws, Call, Failure, Service};
use serde_json::Value;

/// The applications of every region.
#[derive(Default)]
pub struct CodeDeploy {}

impl Service for CodeDeploy {
    fn call(&self, _aws: &Aws, call: &Call) -> Result<Value, Failure> {
        Err(Failure::not_emulated("CodeDeploy", &call.operation))
    }
}
