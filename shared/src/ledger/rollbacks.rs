//! Rollbacks: which execution is part of one.

use super::{Ledger, LedgerError, Writes, item_of, keys};
use crate::aws::dynamodb::{Expect, Write};
use crate::domain::change::Sha;
use crate::domain::execution::ExecutionId;
use serde::{Deserialize, Serialize};

/// What an execution of a rollback is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackWith {
    /// The incident that it answers.
    pub incident: String,
    /// The environment that is turned back.
    pub environment: String,
    /// The version that it is turned back to.
    pub sha: Sha,
}

impl Ledger {
    /// The rollback that an execution is part of, if it is part of one.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn rollback_with(&self, execution: &ExecutionId) -> Result<Option<RollbackWith>, LedgerError> {
        Ok(self.load(&keys::rollback_with(execution)).await?.map(|loaded| loaded.value))
    }
}

impl Writes {
    /// Claims an execution for a rollback: once.
    pub fn rollback_with(mut self, execution: &ExecutionId, rollback: &RollbackWith) -> Self {
        self.state.push(Write::Put(keys::rollback_with(execution), item_of(rollback), Expect::Absent));
        self
    }
}
