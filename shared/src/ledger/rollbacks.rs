//! Rollbacks: the claims, by environment and time and by what is due; and which execution is part of one.

use super::due::due_at;
use super::{Ledger, LedgerError, Loaded, Writes, item_of, keys, read};
use crate::aws::dynamodb::{Expect, Item, Key, Write};
use crate::domain::change::Sha;
use crate::domain::execution::ExecutionId;
use crate::domain::rollback::{Rollback, RollbackId};
use serde::{Deserialize, Serialize};

/// How many open rollbacks an event is compared with. Those beyond are looked after by `sweep` alone.
const OPEN_MAX: i32 = 100;

/// What an execution of a rollback is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackWith {
    /// The incident that it answers.
    pub incident: String,
    /// The environment that is turned back.
    pub environment: String,
    /// The version that it is turned back to.
    pub sha: Sha,
    /// The rollback that started it.
    #[serde(default)]
    pub rollback: Option<RollbackId>,
}

impl Ledger {
    /// The rollback that an execution is part of, if it is part of one.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn rollback_with(&self, execution: &ExecutionId) -> Result<Option<RollbackWith>, LedgerError> {
        Ok(self.load(&keys::rollback_with(execution)).await?.map(|loaded| loaded.value))
    }

    /// The record of a rollback.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn rollback(&self, id: &RollbackId) -> Result<Option<Loaded<Rollback>>, LedgerError> {
        self.load(&keys::rollback(id)).await
    }

    /// Several rollbacks; those that are not there are left out.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn rollbacks(&self, ids: &[RollbackId]) -> Result<Vec<Rollback>, LedgerError> {
        let keys: Vec<Key> = ids.iter().map(keys::rollback).collect();
        let found = self.state.get_all(&keys).await?;
        found.into_iter().map(|stored| read(stored).map(|loaded| loaded.value)).collect()
    }

    /// The rollbacks that have not ended, [`OPEN_MAX`] at most: what an event may be about.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn open_rollbacks(&self) -> Result<Vec<Rollback>, LedgerError> {
        let page = self.state.query(keys::OPEN_ROLLBACKS, None, false, OPEN_MAX).await?;
        let ids: Vec<RollbackId> = page.items.into_iter().map(|stored| RollbackId::named(&stored.key.sk)).collect();
        if ids.is_empty() { Ok(Vec::new()) } else { self.rollbacks(&ids).await }
    }

    /// The latest rollbacks of an environment, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn latest_rollbacks(&self, environment: &str, limit: usize) -> Result<Vec<Rollback>, LedgerError> {
        let ids = self.listed(std::iter::once(keys::rollbacks_of(environment)), limit).await?;
        self.rollbacks(&ids.iter().map(|id| RollbackId::named(id)).collect::<Vec<_>>()).await
    }
}

impl Writes {
    /// Marks an execution as part of a rollback: once.
    pub fn rollback_with(mut self, execution: &ExecutionId, rollback: &RollbackWith) -> Self {
        self.state.push(Write::Put(keys::rollback_with(execution), item_of(rollback), Expect::Absent));
        self
    }

    /// Saves a rollback, new or changed. A new one is the claim: two at once cannot both have it.
    pub fn rollback(mut self, rollback: &Loaded<Rollback>) -> Self {
        let record = &rollback.value;
        let mut item = item_of(record);
        due_at(&mut item, record.due_at);
        self.state.push(Write::Put(keys::rollback(&record.id), item, rollback.expect()));
        if rollback.version == 0 {
            let sk = keys::by_time(record.claimed_at, record.id.as_str());
            let key = Key::new(keys::rollbacks_of(&record.environment), sk);
            self.state.push(Write::Put(key, Item::new(), Expect::Anything));
        }
        let open = keys::open_rollback(&record.id);
        self.state.push(if record.phase.is_over() {
            Write::Delete(open, Expect::Anything)
        } else {
            Write::Put(open, Item::new(), Expect::Anything)
        });
        self
    }
}
