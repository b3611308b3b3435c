//! Settling: alarms are watched for a while before anything is done, since many of them come and go.

use super::alarm::AlarmState;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many alarms are watched for one incident. Those beyond are heard and not watched.
pub const ALARMS_WATCHED_MAX: usize = 20;
/// How many changes of one alarm are kept. Those beyond count as what they changed to at last: see [`Watch::note`].
pub const CHANGES_MAX: usize = 100;

/// What is watched until a decision falls. It begins with the first alarm, and is not begun anew by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settling {
    /// Since when.
    pub from: Timestamp,
    /// When the decision falls.
    pub until: Timestamp,
    /// The alarms, by `REGION/NAME`.
    pub alarms: BTreeMap<String, Watch>,
}

/// One alarm that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The AWS region.
    pub region: String,
    /// Its name.
    pub alarm: String,
    /// Its changes, each state with the moment at which it was entered.
    pub changes: BTreeMap<Timestamp, AlarmState>,
}

impl Settling {
    /// Watches from `now` on for `settle`.
    pub fn begin(now: Timestamp, settle: SignedDuration) -> Self {
        Self { from: now, until: now + settle, alarms: BTreeMap::new() }
    }

    /// Takes a change of an alarm in, whatever order they come in. Says whether that is any news.
    pub fn note(&mut self, region: &str, alarm: &str, state: AlarmState, at: Timestamp) -> bool {
        let key = format!("{region}/{alarm}");
        if !self.alarms.contains_key(&key) && self.alarms.len() >= ALARMS_WATCHED_MAX {
            return false;
        }
        let new = || Watch { region: region.to_owned(), alarm: alarm.to_owned(), changes: BTreeMap::new() };
        self.alarms.entry(key).or_insert_with(new).note(state, at)
    }

    /// The alarm for which to act, of those that were red for more than half of the time or are red at its end.
    /// `None`: all have calmed down.
    pub fn verdict(&self) -> Option<&Watch> {
        let is_reason = |watch: &&Watch| {
            let red = watch.red_between(self.from, self.until);
            watch.state_at(self.until) == Some(AlarmState::Alarm) || red * 2 > self.until.duration_since(self.from)
        };
        self.alarms.values().find(is_reason)
    }
}

impl Watch {
    /// Takes a change in. At [`CHANGES_MAX`] the last but one goes, so that the first and the latest stay: an alarm that
    /// flaps more often than that is taken as what it was in between.
    fn note(&mut self, state: AlarmState, at: Timestamp) -> bool {
        if self.changes.insert(at, state) == Some(state) {
            return false;
        }
        if self.changes.len() > CHANGES_MAX
            && let Some(last_but_one) = self.changes.keys().rev().nth(1).copied()
        {
            self.changes.remove(&last_but_one);
        }
        true
    }

    /// Its state at a moment, as far as it was heard. What it was before its first change is not known.
    pub fn state_at(&self, at: Timestamp) -> Option<AlarmState> {
        self.changes.range(..=at).next_back().map(|(_, state)| *state)
    }

    /// How long it was red within a time.
    fn red_between(&self, from: Timestamp, until: Timestamp) -> SignedDuration {
        let begins =
            std::iter::once(from).chain(self.changes.range(from..until).map(|(at, _)| *at).filter(|at| *at > from));
        let begins: Vec<Timestamp> = begins.collect();
        let ends = begins.iter().skip(1).copied().chain(std::iter::once(until));
        let spans = begins.iter().copied().zip(ends);
        let red = spans.filter(|(begin, _)| self.state_at(*begin) == Some(AlarmState::Alarm));
        red.map(|(begin, end)| end.duration_since(begin)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn an_alarm_counts_that_is_red_at_the_end_or_was_for_most_of_the_time() {
        use AlarmState::{Alarm, InsufficientData, Ok};
        type Changes = &'static [(i64, AlarmState)];
        #[rustfmt::skip]
        let cases: [(Changes, bool, &str); 9] = [
            // changes within 120 s                        acts   why
            (&[(-1, Alarm)],                               true,  "red all the time"),
            (&[(-1, Alarm), (61, Ok)],                     true,  "red for more than half of it"),
            (&[(-1, Alarm), (60, Ok)],                     false, "for half of it is not for more"),
            (&[(-1, Alarm), (5, Ok), (119, Alarm)],        true,  "red at the end"),
            (&[(-1, Alarm), (5, Ok), (120, Alarm)],        true,  "in the last moment"),
            (&[(-1, Alarm), (5, Ok), (121, Alarm)],        false, "after it"),
            (&[(5, Ok), (-1, Alarm)],                      false, "the order of hearing makes no difference"),
            (&[(-1, Alarm), (70, InsufficientData)],       true,  "no data is no red, and no green before it"),
            (&[(-1, Alarm), (20, Ok), (40, Alarm), (90, Ok)], true, "the times add up"),
        ];
        for (changes, acts, why) in cases {
            let mut settling = Settling::begin(at(0), SignedDuration::from_secs(120));
            for (second, state) in changes {
                assert!(settling.note("us-east-1", "errors", *state, at(*second)), "{why}");
                assert!(!settling.note("us-east-1", "errors", *state, at(*second)), "{why}: a repeat is no news");
            }
            assert_eq!(settling.verdict().is_some(), acts, "{why}");
        }
    }

    #[test]
    fn what_is_watched_is_bounded() {
        let mut settling = Settling::begin(at(0), SignedDuration::from_secs(900));
        for number in 0..1_000 {
            let state = if number % 2 == 0 { AlarmState::Alarm } else { AlarmState::Ok };
            settling.note("us-east-1", "flaps", state, at(number));
        }
        let watch = &settling.alarms["us-east-1/flaps"];
        assert_eq!((watch.changes.len(), watch.state_at(at(999))), (CHANGES_MAX, Some(AlarmState::Ok)));
        for number in 0..ALARMS_WATCHED_MAX + 5 {
            settling.note("us-east-1", &number.to_string(), AlarmState::Alarm, at(0));
        }
        assert_eq!(settling.alarms.len(), ALARMS_WATCHED_MAX);
    }
}
