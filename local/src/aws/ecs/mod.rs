//! ECS: task definitions, services under both controllers, service deployments and their events.

use super::{Aws, Call, Failure, Service};
use serde_json::Value;

/// The clusters of every region.
#[derive(Default)]
pub struct Ecs {}

impl Service for Ecs {
    fn call(&self, _aws: &Aws, call: &Call) -> Result<Value, Failure> {
        Err(Failure::not_emulated("ECS", &call.operation))
    }
}
