//! Claims of changes, the last push of each ref, and the fences of its routes.

use super::{CLAIMS_KEPT, Ledger, LedgerError, Loaded, Writes, expiring, item_of, keys};
use crate::aws::dynamodb::{Expect, Write};
use crate::domain::change::{DeliveryId, Sha};
use crate::domain::intake::{Fence, LogicalKey, SeenPush};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who claimed a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The first delivery that told of it.
    pub delivery: DeliveryId,
    /// The change, readable.
    pub change: LogicalKey,
}

/// What is known of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefState {
    /// The full ref.
    pub git_ref: String,
    /// The push that was seen last, whether it started anything or not.
    pub last: SeenPush,
    /// The one before it, for pushes of one second.
    pub before_last: Option<SeenPush>,
}

impl RefState {
    /// Where the ref ended before the push of `delivery`, if that happened within the second `at`.
    pub fn ended_before(&self, delivery: &DeliveryId, at: i64) -> Option<&Sha> {
        let before = if self.last.delivery == *delivery { self.before_last.as_ref() } else { Some(&self.last) };
        before.filter(|push| push.pushed_at == Some(at)).map(|push| &push.after)
    }
}

impl Ledger {
    /// Who claimed the change with this [`LogicalKey::hash`].
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn claim(&self, key: &str) -> Result<Option<Loaded<Claim>>, LedgerError> {
        self.load(&keys::claim(key)).await
    }

    /// What is known of a ref.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn git_ref(&self, repository: u64, git_ref: &str) -> Result<Option<Loaded<RefState>>, LedgerError> {
        self.load(&keys::git_ref(repository, git_ref)).await
    }

    /// The fence of a route on a ref.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn fence(
        &self,
        repository: u64,
        git_ref: &str,
        route: &str,
    ) -> Result<Option<Loaded<Fence>>, LedgerError> {
        self.load(&keys::fence(repository, git_ref, route)).await
    }
}

impl Writes {
    /// Claims a change: only the first may.
    pub fn claim(mut self, key: &str, claim: &Claim, now: Timestamp) -> Self {
        let item = expiring(item_of(claim), now + CLAIMS_KEPT);
        self.state.push(Write::Put(keys::claim(key), item, Expect::Absent));
        self
    }

    /// Saves what is known of a ref.
    pub fn git_ref(mut self, repository: u64, state: &Loaded<RefState>) -> Self {
        let key = keys::git_ref(repository, &state.value.git_ref);
        self.state.push(Write::Put(key, item_of(&state.value), state.expect()));
        self
    }

    /// Moves the fence of a route on a ref.
    pub fn fence(mut self, repository: u64, git_ref: &str, route: &str, fence: &Loaded<Fence>) -> Self {
        let key = keys::fence(repository, git_ref, route);
        self.state.push(Write::Put(key, item_of(&fence.value), fence.expect()));
        self
    }
}
