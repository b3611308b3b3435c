//! What happened to alarms. It outlives them.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// For how long history is kept. Source: CloudWatch user guide, "Using Amazon CloudWatch alarms".
const LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How much of it is kept, so that an account that runs for days does not grow without end.
const MOST_ITEMS: usize = 10_000;

/// Oldest first.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct History {
    items: VecDeque<Item>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) alarm: String,
    /// As `AlarmType` of the API.
    pub(super) kind: String,
    pub(super) at: Timestamp,
    /// As `HistoryItemType` of the API.
    pub(super) what: String,
    pub(super) summary: String,
    /// JSON.
    pub(super) data: String,
}

impl History {
    pub(super) fn push(&mut self, item: Item) {
        let since = item.at.saturating_sub(LIFE).unwrap_or(item.at);
        self.items.push_back(item);
        while self.items.len() > MOST_ITEMS || self.items.front().is_some_and(|first| first.at < since) {
            self.items.pop_front();
        }
    }

    /// What is still kept at `now`.
    pub(super) fn items(&self, now: Timestamp) -> impl Iterator<Item = &Item> {
        let since = now.saturating_sub(LIFE).unwrap_or(now);
        self.items.iter().filter(move |item| item.at >= since)
    }
}

impl Item {
    /// As `AlarmHistoryItem` of the API.
    pub(super) fn answer(&self) -> Value {
        json!({
            "AlarmName": self.alarm,
            "AlarmType": self.kind,
            "Timestamp": crate::aws::codebuild::epoch(self.at),
            "HistoryItemType": self.what,
            "HistorySummary": self.summary,
            "HistoryData": self.data,
        })
    }
}
