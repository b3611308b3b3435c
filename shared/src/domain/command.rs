//! What the queue of changes carries: GitHub's changes, and what an operator asks for.
//!
//! An operator's command takes the way of a push, so it meets the same claims and audit log. It moves no fence: whoever
//! starts an older commit by hand means to.

use super::change::{Change, DeliveryId, Sha};
use super::execution::ExecutionId;
use serde::{Deserialize, Serialize};

/// One message of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// GitHub says that something happened.
    Change(Box<Change>),
    /// An operator starts a route by hand.
    Manual(Manual),
    /// An operator has AWS asked again.
    Retry(Retry),
}

/// A start by hand. Who asked is told by SQS (`SenderId`), not by the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manual {
    /// Our own delivery id, unique: `manual-…`.
    pub manual: DeliveryId,
    /// `owner/name`
    pub repository: String,
    /// The route's name.
    pub route: String,
    /// The commit.
    pub sha: Sha,
    /// Why.
    pub reason: String,
}

/// Begins an execution again that AWS refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Which.
    pub retry: ExecutionId,
}
