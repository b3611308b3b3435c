//! Quarantine: which commits an environment keeps out, and kept out before.

use super::{Ledger, LedgerError, Loaded, Writes, item_of, keys, read};
use crate::aws::dynamodb::Write;
use crate::domain::change::Sha;
use crate::domain::quarantine::Quarantine;

/// How many records one query asks for.
const PAGE_ITEMS: i32 = 100;

impl Ledger {
    /// The quarantine of a commit in an environment, in force or lifted.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn quarantine(&self, environment: &str, sha: &Sha) -> Result<Option<Loaded<Quarantine>>, LedgerError> {
        self.load(&keys::quarantine(environment, sha)).await
    }

    /// The commits that an environment keeps out or kept out, in the order of their digits, `limit` at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn quarantines(&self, environment: &str, limit: usize) -> Result<Vec<Quarantine>, LedgerError> {
        let partition = keys::quarantines(environment);
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = self.state.query(&partition, after.as_deref(), false, PAGE_ITEMS).await?;
            for stored in page.items {
                found.push(read(stored)?.value);
            }
            after = page.next;
            if after.is_none() || found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }
}

impl Writes {
    /// Saves a quarantine, new or changed.
    pub fn quarantine(mut self, quarantine: &Loaded<Quarantine>) -> Self {
        let key = keys::quarantine(&quarantine.value.environment, &quarantine.value.sha);
        self.state.push(Write::Put(key, item_of(&quarantine.value), quarantine.expect()));
        self
    }
}
