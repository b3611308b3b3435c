//! Holds: of which environments the ways in are closed, and by whom.

use super::{Ledger, LedgerError, Loaded, Writes, item_of, keys};
use crate::aws::dynamodb::Write;
use crate::domain::hold::Hold;

/// How many environments with a hold are looked at.
const HOLDS_MAX: i32 = 1_000;

impl Ledger {
    /// The environments that are held.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    pub async fn held(&self) -> Result<Vec<String>, LedgerError> {
        let page = self.state.query(keys::HOLDS, None, false, HOLDS_MAX).await?;
        Ok(page.items.into_iter().map(|stored| stored.key.sk).collect())
    }

    /// The hold of an environment, if there is one.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn hold(&self, environment: &str) -> Result<Option<Loaded<Hold>>, LedgerError> {
        self.load(&keys::hold(environment)).await
    }
}

impl Writes {
    /// Saves a hold. One that is released and has no way left is taken away.
    pub fn hold(mut self, hold: &Loaded<Hold>) -> Self {
        let key = keys::hold(&hold.value.environment);
        let is_gone = hold.value.is_released && hold.value.ways.is_empty() && hold.version > 0;
        self.state.push(if is_gone {
            Write::Delete(key, hold.expect())
        } else {
            Write::Put(key, item_of(&hold.value), hold.expect())
        });
        self
    }
}
