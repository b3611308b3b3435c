//! Freezes that people put on; and the transitions that a freeze has closed: what is in here, and nothing else, is
//! opened again after it.

use super::{Ledger, LedgerError, Loaded, Writes, environment_subject, expiring, item_of, keys, read};
use crate::aws::dynamodb::Write;
use crate::domain::approval::FreezeByHand;
use crate::domain::audit::Note;
use crate::domain::execution::Target;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How many environments with closed transitions, or with a freeze by hand, are looked at.
const ENVIRONMENTS_MAX: i32 = 1_000;

/// The transitions of one environment that a freeze has closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenWays {
    /// The environment.
    pub environment: String,
    /// Those that are closed, or about to be.
    pub closed: Vec<Closed>,
}

/// A transition that a freeze has closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The pipeline.
    pub target: Target,
    /// The stage that nothing may enter.
    pub stage: String,
    /// The reason that stands at it, by which it is known to be ours.
    pub reason: String,
    /// Whether CodePipeline has been told.
    pub is_done: bool,
}

impl Ledger {
    /// The freeze that a person has put on an environment, if one has. It may be over.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn freeze_by_hand(&self, environment: &str) -> Result<Option<Loaded<FreezeByHand>>, LedgerError> {
        self.load(&keys::freeze_by_hand(environment)).await
    }

    /// The freezes that people have put on. Some may be over.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn freezes_by_hand(&self) -> Result<Vec<FreezeByHand>, LedgerError> {
        let page = self.state.query(keys::FREEZES_BY_HAND, None, false, ENVIRONMENTS_MAX).await?;
        page.items.into_iter().map(|stored| read(stored).map(|loaded| loaded.value)).collect()
    }

    /// The environments of which a freeze has closed something.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    pub async fn frozen_ways(&self) -> Result<Vec<String>, LedgerError> {
        let page = self.state.query(keys::FREEZES, None, false, ENVIRONMENTS_MAX).await?;
        Ok(page.items.into_iter().map(|stored| stored.key.sk).collect())
    }

    /// What a freeze has closed of an environment.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn frozen_ways_of(&self, environment: &str) -> Result<Loaded<FrozenWays>, LedgerError> {
        let none = || Loaded::absent(FrozenWays { environment: environment.to_owned(), closed: Vec::new() });
        Ok(self.load(&keys::freeze(environment)).await?.unwrap_or_else(none))
    }

    /// Saves what a freeze has closed, with an entry in the audit log; an empty record is taken away.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when another turn saved first.
    pub async fn save_frozen_ways(
        &self,
        ways: Loaded<FrozenWays>,
        what: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<Loaded<FrozenWays>, LedgerError> {
        let key = keys::freeze(&ways.value.environment);
        let mut writes = Writes::new();
        let is_empty = ways.value.closed.is_empty();
        writes.state.push(if is_empty {
            Write::Delete(key, ways.expect())
        } else {
            Write::Put(key, item_of(&ways.value), ways.expect())
        });
        let detail = json!({ "closed": ways.value.closed });
        let note = Note { actor: actor.to_owned(), what: what.to_owned(), detail };
        self.save_noted(writes, &environment_subject(&ways.value.environment), note, now).await?;
        let version = if is_empty { 0 } else { ways.version + 1 };
        Ok(Loaded { value: ways.value, version })
    }
}

impl Writes {
    /// Puts a freeze on, or changes it. DynamoDB takes it away some time after its end.
    pub fn freeze_by_hand(mut self, freeze: &Loaded<FreezeByHand>) -> Self {
        let item = expiring(item_of(&freeze.value), freeze.value.until);
        let key = keys::freeze_by_hand(&freeze.value.environment);
        self.state.push(Write::Put(key, item, freeze.expect()));
        self
    }

    /// Takes a freeze away.
    pub fn no_freeze_by_hand(mut self, freeze: &Loaded<FreezeByHand>) -> Self {
        self.state.push(Write::Delete(keys::freeze_by_hand(&freeze.value.environment), freeze.expect()));
        self
    }
}
