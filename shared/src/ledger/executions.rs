//! Executions: by id, by repository, SHA, environment, target or day and time, and those that are due.

use super::due::due_at;
use super::keys::{self, Listing};
use super::{Ledger, LedgerError, Loaded, Writes, item_of, read};
use crate::aws::dynamodb::{Expect, Item, Key, Write};
use crate::domain::execution::{Execution, ExecutionId, FenceKey, Target};
use jiff::Timestamp;

/// How many days a list of executions goes back.
const DAYS_LISTED: usize = 90;
/// How many executions are looked at for a list that is narrowed by two things. Older ones are not found then.
const LOOKED_AT_MAX: usize = 1_000;

/// Which executions a list is to name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Of this repository, `owner/name`.
    pub repository: Option<&'a str>,
    /// Of this environment.
    pub environment: Option<&'a str>,
    /// Of this commit.
    pub sha: Option<&'a str>,
}

impl Ledger {
    /// The record of an execution.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn execution(&self, id: &ExecutionId) -> Result<Option<Loaded<Execution>>, LedgerError> {
        self.load(&keys::execution(id)).await
    }

    /// Several executions; those that are not there are left out.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn executions(&self, ids: &[ExecutionId]) -> Result<Vec<Execution>, LedgerError> {
        let keys: Vec<Key> = ids.iter().map(keys::execution).collect();
        let found = self.state.get_all(&keys).await?;
        found.into_iter().map(|stored| read(stored).map(|loaded| loaded.value)).collect()
    }

    /// The latest executions that `filter` lets through, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn latest_executions(
        &self,
        filter: Filter<'_>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Execution>, LedgerError> {
        let narrowest = (filter.sha.map(Listing::Sha))
            .or(filter.environment.map(Listing::Environment))
            .or(filter.repository.map(Listing::Repository));
        // What else is asked for is looked for among more than are wanted.
        let is_narrowed_twice = [filter.sha, filter.environment, filter.repository].iter().flatten().count() > 1;
        let looked_at = if is_narrowed_twice { LOOKED_AT_MAX.max(limit) } else { limit };
        let ids = match narrowest {
            Some(listing) => self.listed(std::iter::once(listing.partition()), looked_at).await?,
            None => {
                let days = keys::days_back(now, DAYS_LISTED).map(|day| Listing::Day(&day).partition());
                self.listed(days, looked_at).await?
            }
        };
        let ids: Vec<_> = ids.iter().map(|id| ExecutionId::named(id)).collect();
        let mut found = self.executions(&ids).await?;
        found.retain(|execution| {
            let repository = execution.repository.as_ref().map(|repository| repository.full_name.as_str());
            filter.repository.is_none_or(|wanted| repository.is_some_and(|name| name.eq_ignore_ascii_case(wanted)))
                && filter.environment.is_none_or(|wanted| execution.environment.as_deref() == Some(wanted))
        });
        found.truncate(limit);
        Ok(found)
    }

    /// The latest executions of one target, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn executions_of(&self, target: &Target, limit: usize) -> Result<Vec<Execution>, LedgerError> {
        let ids = self.listed(std::iter::once(Listing::Target(target).partition()), limit).await?;
        self.executions(&ids.iter().map(|id| ExecutionId::named(id)).collect::<Vec<_>>()).await
    }
}

impl Writes {
    /// Saves an execution, new or changed; a new one is listed under everything that it is looked for by.
    pub fn execution(mut self, execution: &Loaded<Execution>) -> Self {
        let record = &execution.value;
        let mut item = item_of(record);
        due_at(&mut item, record.due_at);
        self.state.push(Write::Put(keys::execution(&record.id), item, execution.expect()));
        if execution.version == 0 {
            self = self.execution_listings(record);
        }
        self
    }

    fn execution_listings(mut self, record: &Execution) -> Self {
        let day = keys::day(record.created_at);
        let repository = record.repository.as_ref().map(|repository| Listing::Repository(&repository.full_name));
        let listings = [
            Some(Listing::Day(&day)),
            Some(Listing::Target(&record.target)),
            repository,
            record.environment.as_deref().map(Listing::Environment),
            record.sha.as_ref().map(|sha| Listing::Sha(sha.as_str())),
        ];
        let sk = keys::by_time(record.created_at, record.id.as_str());
        for listing in listings.into_iter().flatten() {
            let key = Key::new(listing.partition(), sk.clone());
            self.state.push(Write::Put(key, Item::new(), Expect::Anything));
        }
        self
    }

    /// Lists an execution under a commit that became known only later.
    pub fn listed_by_sha(mut self, record: &Execution) -> Self {
        if let Some(sha) = &record.sha {
            let sk = keys::by_time(record.created_at, record.id.as_str());
            let key = Key::new(Listing::Sha(sha.as_str()).partition(), sk);
            self.state.push(Write::Put(key, Item::new(), Expect::Anything));
        }
        self
    }

    /// Holds everything back unless the fence of `route` is still held by the change that `fence` names.
    pub fn while_fence_stands(mut self, fence: &FenceKey, route: &str) -> Self {
        let key = keys::fence(fence.repository, &fence.git_ref, route);
        self.state.push(Write::Check(key, Expect::Text("key", fence.key.clone())));
        self
    }
}
