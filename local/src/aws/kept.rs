//! Calls that are kept on request, so that a test can count what an account was really asked for, and what it did.

use super::{Call, Failure, lock};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// A call that was kept: as the service saw it. What was lost on its way is not there; what was answered and then lost is.
#[derive(Debug, Clone)]
pub struct KeptCall {
    /// The operation's name.
    pub operation: String,
    /// The AWS region.
    pub region: String,
    /// Who called: an ARN.
    pub caller: String,
    /// The input.
    pub input: Value,
    /// When it came.
    pub at: Timestamp,
    /// The answer, or the code of the refusal.
    pub outcome: Result<Value, String>,
}

/// What is kept, and which operations are.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<(BTreeSet<String>, Vec<KeptCall>)>);

impl Kept {
    pub(super) fn keep(&self, operations: &[&str]) {
        lock(&self.0).0.extend(operations.iter().map(|name| (*name).to_owned()));
    }

    pub(super) fn all(&self) -> Vec<KeptCall> {
        lock(&self.0).1.clone()
    }

    pub(super) fn note(&self, call: &Call, outcome: &Result<Value, Failure>) {
        let mut kept = lock(&self.0);
        if kept.0.contains(&call.operation) {
            let outcome = outcome.clone().map_err(|failure| failure.code);
            let Call { operation, region, caller, input, now } = call;
            kept.1.push(KeptCall {
                operation: operation.clone(),
                region: region.clone(),
                caller: caller.clone(),
                input: input.clone(),
                at: *now,
                outcome,
            });
        }
    }
}
