//! Counts the calls that come over the wire, and gives each a length.

use crate::aws::lock;
use jiff::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A call that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// When.
    pub at: Timestamp,
    /// Who calls: an ARN.
    pub caller: String,
    /// Of which service: an endpoint prefix, such as `codepipeline`.
    pub service: String,
    /// Such as `RollbackStage`.
    pub operation: String,
}

/// Counts calls between a beginning and an end; at other times none, and none takes any time. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Option<Running>>>);

#[derive(Debug)]
struct Running {
    each_takes: Duration,
    calls: Vec<Counted>,
}

impl Meter {
    /// Begins to count. From now on each call takes this long before the service sees it.
    pub fn begin(&self, each_takes: Duration) {
        *lock(&self.0) = Some(Running { each_takes, calls: Vec::new() });
    }

    /// Ends, and answers with the calls in the order in which they came.
    pub fn end(&self) -> Vec<Counted> {
        lock(&self.0).take().map(|running| running.calls).unwrap_or_default()
    }

    /// Counts one. Says how long it takes.
    pub(super) fn count(&self, call: impl FnOnce() -> Counted) -> Duration {
        let mut running = lock(&self.0);
        let Some(running) = running.as_mut() else { return Duration::ZERO };
        running.calls.push(call());
        running.each_takes
    }
}
