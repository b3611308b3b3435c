//! When nothing goes in: freeze windows, by the clocks of their own time zones.

use crate::domain::policy::{Freeze, FreezeWindow};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

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
}
