//! Incidents: by id, by environment or day, and those that are due; and what each alarm said last.

use super::due::due_at;
use super::keys::{self, IncidentListing};
use super::{Ledger, LedgerError, Loaded, Writes, item_of, read};
use crate::aws::dynamodb::{Expect, Item, Key, Write};
use crate::domain::alarm::AlarmState;
use crate::domain::incident::{Incident, IncidentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many days a list of incidents goes back.
const DAYS_LISTED: usize = 90;

/// The latest change of an alarm that was heard: whatever is older, or the same, is no news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmHeard {
    /// Its state.
    pub state: AlarmState,
    /// Since when.
    pub since: Timestamp,
}

impl Ledger {
    /// The record of an incident.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn incident(&self, id: &IncidentId) -> Result<Option<Loaded<Incident>>, LedgerError> {
        self.load(&keys::incident(id)).await
    }

    /// The latest incidents, of one environment if it is named, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn latest_incidents(
        &self,
        environment: Option<&str>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Incident>, LedgerError> {
        let ids = match environment {
            Some(name) => self.listed(std::iter::once(IncidentListing::Environment(name).partition()), limit).await?,
            None => {
                let days = keys::days_back(now, DAYS_LISTED).map(|day| IncidentListing::Day(&day).partition());
                self.listed(days, limit).await?
            }
        };
        let keys: Vec<Key> = ids.iter().map(|id| keys::incident(&IncidentId::named(id))).collect();
        let found = self.state.get_all(&keys).await?;
        found.into_iter().map(|stored| read(stored).map(|loaded| loaded.value)).collect()
    }

    /// What an alarm said last, if anything was heard of it.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn alarm_heard(&self, region: &str, name: &str) -> Result<Option<Loaded<AlarmHeard>>, LedgerError> {
        self.load(&keys::alarm(region, name)).await
    }
}

impl Writes {
    /// Saves an incident, new or changed; a new one is listed under everything that it is looked for by.
    pub fn incident(mut self, incident: &Loaded<Incident>) -> Self {
        let record = &incident.value;
        let mut item = item_of(record);
        due_at(&mut item, record.due_at);
        self.state.push(Write::Put(keys::incident(&record.id), item, incident.expect()));
        if incident.version == 0 {
            let day = keys::day(record.opened_at);
            let environment = record.environment.as_deref().map(IncidentListing::Environment);
            let sk = keys::by_time(record.opened_at, record.id.as_str());
            for listing in [Some(IncidentListing::Day(&day)), environment].into_iter().flatten() {
                self.state.push(Write::Put(Key::new(listing.partition(), sk.clone()), Item::new(), Expect::Anything));
            }
        }
        self
    }

    /// Saves what an alarm said last.
    pub fn alarm_heard(mut self, region: &str, name: &str, heard: &Loaded<AlarmHeard>) -> Self {
        self.state.push(Write::Put(keys::alarm(region, name), item_of(&heard.value), heard.expect()));
        self
    }
}
