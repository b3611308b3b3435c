//! Pushes, by the commit that they ended at: who wrote what, and which commits those are.

use super::{Ledger, LedgerError, PUSHES_KEPT, Writes, expiring, item_of, keys, read};
use crate::aws::dynamodb::{Expect, Write};
use crate::domain::authors::RecordedPush;
use crate::domain::change::Sha;
use jiff::Timestamp;

/// How many pushes that ended at one commit are read. Those beyond are not found: at worst that leaves the authors of
/// a version not knowable.
pub const PUSHES_TO_MAX: usize = 50;

impl Ledger {
    /// The recorded pushes of a repository that ended at `commit`, the newest first, [`PUSHES_TO_MAX`] at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn pushes_to(&self, repository: u64, commit: &Sha) -> Result<Vec<RecordedPush>, LedgerError> {
        let partition = keys::pushes_to(repository, commit);
        let mut pushes: Vec<RecordedPush> = Vec::new();
        let mut after = None;
        while pushes.len() < PUSHES_TO_MAX {
            let wanted = i32::try_from(PUSHES_TO_MAX - pushes.len()).unwrap_or(i32::MAX);
            let page = self.state.query(&partition, after.as_deref(), false, wanted).await?;
            for stored in page.items {
                pushes.push(read(stored)?.value);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        pushes.sort_by_key(|push| std::cmp::Reverse(push.received_at));
        Ok(pushes)
    }
}

impl Writes {
    /// Records a push.
    pub fn push(mut self, repository: u64, push: &RecordedPush, now: Timestamp) -> Self {
        let item = expiring(item_of(push), now + PUSHES_KEPT);
        self.state.push(Write::Put(keys::push(repository, push), item, Expect::Anything));
        self
    }
}
