//! Notices: what waits to be told of an environment.

use super::due::due_at;
use super::{Ledger, LedgerError, Loaded, Writes, item_of, keys};
use crate::aws::dynamodb::Write;
use crate::domain::notice::Notices;

impl Ledger {
    /// The notices of an environment; empty is for what names none.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn notices(&self, environment: &str) -> Result<Loaded<Notices>, LedgerError> {
        let none = || Loaded::absent(Notices { environment: environment.to_owned(), ..Notices::default() });
        Ok(self.load(&keys::notices(environment)).await?.unwrap_or_else(none))
    }
}

impl Writes {
    /// Saves the notices of an environment.
    pub fn notices(mut self, notices: &Loaded<Notices>) -> Self {
        let mut item = item_of(&notices.value);
        due_at(&mut item, notices.value.due_at);
        self.state.push(Write::Put(keys::notices(&notices.value.environment), item, notices.expect()));
        self
    }
}
