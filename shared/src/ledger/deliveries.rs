//! Deliveries: by GUID, and by time.

use super::{DELIVERIES_KEPT, Ledger, LedgerError, Loaded, Writes, expiring, item_of, keys, read};
use crate::aws::dynamodb::{Expect, Item, Key, Write};
use crate::domain::change::DeliveryId;
use crate::domain::delivery::Delivery;
use jiff::Timestamp;

/// How many days a list of deliveries goes back.
const DAYS_LISTED: usize = 90;

impl Ledger {
    /// The record of a delivery.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn delivery(&self, id: &DeliveryId) -> Result<Option<Loaded<Delivery>>, LedgerError> {
        self.load(&keys::delivery(id)).await
    }

    /// The latest deliveries, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn deliveries(&self, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, LedgerError> {
        let partitions = keys::days_back(now, DAYS_LISTED).map(|day| keys::deliveries_of(&day));
        let ids = self.listed(partitions, limit).await?;
        let keys: Vec<Key> = ids.iter().map(|id| Key::new(format!("delivery#{id}"), "delivery")).collect();
        let found = self.state.get_all(&keys).await?;
        found.into_iter().map(|stored| read(stored).map(|loaded| loaded.value)).collect()
    }

    /// The ids that the listing partitions name, newest first, `limit` at most.
    pub(super) async fn listed(
        &self,
        partitions: impl Iterator<Item = String>,
        limit: usize,
    ) -> Result<Vec<String>, LedgerError> {
        let mut ids = Vec::new();
        for partition in partitions {
            let mut after = None;
            while ids.len() < limit {
                let wanted = i32::try_from(limit - ids.len()).unwrap_or(i32::MAX);
                let page = self.state.query(&partition, after.as_deref(), true, wanted).await?;
                ids.extend(page.items.iter().filter_map(|stored| Some(stored.key.sk.split_once('#')?.1.to_owned())));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            if ids.len() >= limit {
                break;
            }
        }
        Ok(ids)
    }
}

impl Writes {
    /// Saves a delivery, new or changed; a new one is listed under its day.
    pub fn delivery(mut self, delivery: &Loaded<Delivery>) -> Self {
        let record = &delivery.value;
        let expires = record.created_at + DELIVERIES_KEPT;
        let item = expiring(item_of(record), expires);
        self.state.push(Write::Put(keys::delivery(&record.id), item, delivery.expect()));
        if delivery.version == 0 {
            let partition = keys::deliveries_of(&keys::day(record.created_at));
            let key = Key::new(partition, keys::by_time(record.created_at, record.id.as_str()));
            self.state.push(Write::Put(key, expiring(Item::new(), expires), Expect::Anything));
        }
        self
    }
}
