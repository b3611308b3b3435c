//! Approvals: by id, by the hash of a link, by execution, environment or day; and which commits an environment let in.

use super::due::due_at;
use super::keys::{self, ApprovalListing};
use super::{LINKS_KEPT, Ledger, LedgerError, Loaded, Writes, expiring, item_of, read};
use crate::aws::dynamodb::{Expect, Item, Key, Write};
use crate::domain::approval::{Approval, ApprovalId, LinkHash};
use crate::domain::change::Sha;
use crate::domain::execution::ExecutionId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many days a list of approvals goes back.
const DAYS_LISTED: usize = 90;
/// How many approvals of one execution are looked at: its approval actions, each asked once per retry.
const OF_ONE_EXECUTION_MAX: usize = 100;

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTo {
    /// The approval.
    pub approval: ApprovalId,
    /// Whose it is: a lower-cased address.
    pub person: String,
}

/// That an environment let a commit in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetIn {
    /// By which approval.
    pub approval: ApprovalId,
    /// When it was decided.
    pub at: Timestamp,
    /// By whom.
    pub by: Vec<String>,
}

impl Ledger {
    /// The record of an approval.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn approval(&self, id: &ApprovalId) -> Result<Option<Loaded<Approval>>, LedgerError> {
        self.load(&keys::approval(id)).await
    }

    /// What the link with this hash is for.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn link(&self, hash: &LinkHash) -> Result<Option<LinkTo>, LedgerError> {
        Ok(self.load(&keys::link(hash)).await?.map(|loaded| loaded.value))
    }

    /// Every approval of an execution, newest first.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn approvals_of(&self, execution: &ExecutionId) -> Result<Vec<Approval>, LedgerError> {
        let partition = ApprovalListing::Execution(execution).partition();
        self.approvals_listed(std::iter::once(partition), OF_ONE_EXECUTION_MAX).await
    }

    /// The latest approvals, of one environment if it is named, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn latest_approvals(
        &self,
        environment: Option<&str>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Approval>, LedgerError> {
        match environment {
            Some(name) => {
                let partition = ApprovalListing::Environment(name).partition();
                self.approvals_listed(std::iter::once(partition), limit).await
            }
            None => {
                let days = keys::days_back(now, DAYS_LISTED).map(|day| ApprovalListing::Day(&day).partition());
                self.approvals_listed(days, limit).await
            }
        }
    }

    async fn approvals_listed(
        &self,
        partitions: impl Iterator<Item = String>,
        limit: usize,
    ) -> Result<Vec<Approval>, LedgerError> {
        let ids = self.listed(partitions, limit).await?;
        let keys: Vec<Key> = ids.iter().map(|id| keys::approval(&ApprovalId::named(id))).collect();
        let found = self.state.get_all(&keys).await?;
        found.into_iter().map(|stored| read(stored).map(|loaded| loaded.value)).collect()
    }

    /// Whether an environment let this commit in before, and by whose word.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn let_in(&self, environment: &str, sha: &Sha) -> Result<Option<LetIn>, LedgerError> {
        Ok(self.load(&keys::let_in(environment, sha)).await?.map(|loaded| loaded.value))
    }
}

impl Writes {
    /// Saves an approval, new or changed; a new one is listed under everything that it is looked for by.
    pub fn approval(mut self, approval: &Loaded<Approval>) -> Self {
        let record = &approval.value;
        let mut item = item_of(record);
        due_at(&mut item, record.due_at);
        self.state.push(Write::Put(keys::approval(&record.id), item, approval.expect()));
        if approval.version == 0 {
            let day = keys::day(record.opened_at);
            let listings = [
                Some(ApprovalListing::Day(&day)),
                Some(ApprovalListing::Execution(&record.execution)),
                record.environment.as_deref().map(ApprovalListing::Environment),
            ];
            let sk = keys::by_time(record.opened_at, record.id.as_str());
            for listing in listings.into_iter().flatten() {
                let key = Key::new(listing.partition(), sk.clone());
                self.state.push(Write::Put(key, Item::new(), Expect::Anything));
            }
        }
        self
    }

    /// Makes a link known by its hash.
    pub fn link(mut self, hash: &LinkHash, to: &LinkTo, expires_at: Timestamp) -> Self {
        let item = expiring(item_of(to), expires_at + LINKS_KEPT);
        self.state.push(Write::Put(keys::link(hash), item, Expect::Absent));
        self
    }

    /// Remembers that an environment let a commit in. The latest approval counts.
    pub fn let_in(mut self, environment: &str, sha: &Sha, how: &LetIn) -> Self {
        self.state.push(Write::Put(keys::let_in(environment, sha), item_of(how), Expect::Anything));
        self
    }

    /// Holds everything back unless the configuration that was read as `version` of its pointer is still the live one.
    pub fn while_configuration_stands(mut self, pointer_version: u64) -> Self {
        let expect = if pointer_version == 0 { Expect::Absent } else { Expect::Version(pointer_version) };
        self.state.push(Write::Check(keys::live_configuration(), expect));
        self
    }
}
