//! When nothing goes in: freeze windows, by the clocks of their own time zones, and freezes that a person puts on.

use crate::domain::policy::{Freeze, FreezeWindow};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

/// How long a freeze lasts at most that a person puts on. A longer one is a matter of the configuration.
pub const BY_HAND_MAX: SignedDuration = SignedDuration::from_hours(24 * 90);

/// A freeze that a person has put on an environment, beside those of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeByHand {
    /// The environment.
    pub environment: String,
    /// Who put it on.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

impl FreezeByHand {
    /// Whether it is on at `now`.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

/// A freeze that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// The first moment after it, by the clocks that its window was written for.
    pub until: Zoned,
}

/// The freeze that is on at `now`. Of several windows the one that ends last counts.
pub fn frozen(freeze: &Freeze, now: Timestamp) -> Option<Frozen> {
    let bounds = freeze.windows.iter().filter_map(bounds);
    let ends = bounds.filter(|(from, to)| from.timestamp() <= now && now < to.timestamp()).map(|(_, to)| to);
    Some(Frozen { until: ends.max_by_key(Zoned::timestamp)? })
}

/// The freeze that is on at `now`, of the configuration or by hand. The one that ends last counts.
pub fn frozen_at(freeze: Option<&Freeze>, by_hand: Option<&FreezeByHand>, now: Timestamp) -> Option<Frozen> {
    let configured = freeze.and_then(|freeze| frozen(freeze, now));
    let by_hand = by_hand.filter(|by_hand| by_hand.is_on(now));
    let by_hand = by_hand.map(|by_hand| Frozen { until: by_hand.until.to_zoned(TimeZone::UTC) });
    configured.into_iter().chain(by_hand).max_by_key(|frozen| frozen.until.timestamp())
}

/// Whether any window is on at some moment between `from` and `to`.
pub fn freezes_between(freeze: &Freeze, from: Timestamp, to: Timestamp) -> bool {
    freeze.windows.iter().filter_map(bounds).any(|(begin, end)| begin.timestamp() <= to && from < end.timestamp())
}

/// The first moment of a window, and the first one after it.
///
/// A time zone that nobody knows (any more) counts as UTC: a check has refused it before it got here.
fn bounds(window: &FreezeWindow) -> Option<(Zoned, Zoned)> {
    let zone = TimeZone::get(&window.timezone).unwrap_or(TimeZone::UTC);
    Some((window.from.to_zoned(zone.clone()).ok()?, window.to.to_zoned(zone).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: &str, to: &str, timezone: &str) -> FreezeWindow {
        FreezeWindow { from: from.parse().unwrap(), to: to.parse().unwrap(), timezone: timezone.to_owned() }
    }

    #[test]
    fn a_window_counts_by_its_own_clocks_from_its_first_minute_to_the_one_before_its_last() {
        let london = window("2026-12-20T00:00", "2027-01-03T00:00", "Europe/London");
        let tokyo = window("2026-12-20T00:00", "2026-12-21T00:00", "Asia/Tokyo");
        let summer = window("2026-07-01T00:00", "2026-07-02T00:00", "Europe/London");
        #[rustfmt::skip]
        let cases = [
            (vec![london.clone()],                "2026-12-19T23:59:59Z", None,                          "a second before"),
            (vec![london.clone()],                "2026-12-20T00:00:00Z", Some("2027-01-03T00:00:00Z"),  "its first moment"),
            (vec![london.clone()],                "2027-01-02T23:59:59Z", Some("2027-01-03T00:00:00Z"),  "its last second"),
            (vec![london.clone()],                "2027-01-03T00:00:00Z", None,                          "the end is not in it"),
            (vec![tokyo.clone()],                 "2026-12-19T15:00:00Z", Some("2026-12-20T15:00:00Z"),  "midnight in Tokyo"),
            (vec![summer],                        "2026-06-30T23:30:00Z", Some("2026-07-01T23:00:00Z"),  "summer time counts"),
            (vec![tokyo, london],                 "2026-12-20T01:00:00Z", Some("2027-01-03T00:00:00Z"),  "of two the later end"),
            (vec![],                              "2026-12-20T01:00:00Z", None,                          "no window"),
        ];
        for (windows, now, until, why) in cases {
            let freeze = Freeze { windows, override_group: None };
            let found = frozen(&freeze, now.parse().unwrap()).map(|frozen| frozen.until.timestamp());
            assert_eq!(found, until.map(|until| until.parse().unwrap()), "{why}");
        }
    }

    #[test]
    fn of_a_window_and_a_freeze_by_hand_the_one_that_ends_last_counts() {
        let freeze =
            Freeze { windows: vec![window("2026-12-20T00:00", "2026-12-22T00:00", "UTC")], override_group: None };
        let by_hand = |from: &str, until: &str| FreezeByHand {
            environment: "web".into(),
            by: "operator:ada".into(),
            reason: "the sale".into(),
            since: from.parse().unwrap(),
            until: until.parse().unwrap(),
        };
        let short = by_hand("2026-12-20T10:00:00Z", "2026-12-20T12:00:00Z");
        let long = by_hand("2026-12-20T10:00:00Z", "2026-12-24T00:00:00Z");
        #[rustfmt::skip]
        let cases = [
            (None,          Some(&short), "2026-12-20T09:59:59Z", None,                         "not yet"),
            (None,          Some(&short), "2026-12-20T10:00:00Z", Some("2026-12-20T12:00:00Z"), "its first moment"),
            (None,          Some(&short), "2026-12-20T12:00:00Z", None,                         "the end is not in it"),
            (Some(&freeze), Some(&short), "2026-12-20T11:00:00Z", Some("2026-12-22T00:00:00Z"), "the window ends later"),
            (Some(&freeze), Some(&long),  "2026-12-20T11:00:00Z", Some("2026-12-24T00:00:00Z"), "it ends later"),
            (Some(&freeze), Some(&long),  "2026-12-23T00:00:00Z", Some("2026-12-24T00:00:00Z"), "after the window"),
            (Some(&freeze), None,         "2026-12-23T00:00:00Z", None,                         "neither"),
        ];
        for (freeze, by_hand, now, until, why) in cases {
            let found = frozen_at(freeze, by_hand, now.parse().unwrap()).map(|frozen| frozen.until.timestamp());
            assert_eq!(found, until.map(|until| until.parse().unwrap()), "{why}");
        }
    }
}
