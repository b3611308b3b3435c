//! Transitions that a freeze has closed: what is in here, and nothing else, is opened again after it.

use super::{Ledger, LedgerError, Loaded, Writes, item_of, keys};
use crate::aws::dynamodb::Write;
use crate::domain::audit::Note;
use crate::domain::execution::Target;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How many environments with closed transitions are looked at.
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
        self.save_noted(writes, &format!("environment#{}", ways.value.environment), note, now).await?;
        let version = if is_empty { 0 } else { ways.version + 1 };
        Ok(Loaded { value: ways.value, version })
    }
}
