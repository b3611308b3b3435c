//! How ready a region is to be turned back: by which step, to which version, and why not by a better one.

use super::change::Sha;
use super::rollback::{Step, StepReady};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How ready one region of an environment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The environment.
    pub environment: String,
    /// The AWS region.
    pub region: String,
    /// What is live there.
    pub live: Option<Sha>,
    /// The version that it would go back to.
    pub to: Option<Sha>,
    /// The step that would bring it there now; `None`: none would.
    pub step: Option<Step>,
    /// Every step, the best first, and why it would not work.
    pub steps: Vec<StepReady>,
    /// Why it could not be turned back at all.
    pub problem: Option<String>,
    /// When this was found so first.
    pub at: Timestamp,
}

impl Ready {
    /// Whether another look found the same, the time apart.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { at: self.at, ..other.clone() } == *self
    }
}
