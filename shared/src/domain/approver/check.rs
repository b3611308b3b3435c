//! Whom mail does not reach: looked at in rounds over everybody, a part at a time.

use super::{Person, Reach};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often everybody's mail is looked at.
const CHECKED_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How often while somebody cannot be reached: whoever mends it should not be alarmed for another hour.
const CHECKED_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// How many people one look takes in; the next look goes on from there.
pub const PEOPLE_PER_LOOK: usize = 50;
/// How many people a check names, so that it fits into an item. More are not counted.
const NAMED_MAX: usize = 500;

/// Whom mail does not reach, as far as the last looks saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApproverCheck {
    /// Of which version of the configuration.
    pub version: u64,
    /// When its round over all people began.
    pub at: Timestamp,
    /// Where the next look goes on, in people by address; 0 once everybody was looked at.
    pub next: usize,
    /// Those whom mail does not reach, by address.
    pub unreachable: Vec<Unreachable>,
}

/// An approver whom mail does not reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreachable {
    /// Their address.
    pub email: String,
    /// Why.
    #[serde(flatten)]
    pub reach: Reach,
}

impl ApproverCheck {
    /// With whom a look is to begin now; `None` when there is time.
    pub fn due(last: Option<&Self>, version: u64, now: Timestamp) -> Option<usize> {
        let Some(last) = last.filter(|last| last.version == version) else { return Some(0) };
        let every = if last.unreachable.is_empty() { CHECKED_EVERY } else { CHECKED_AGAIN_AFTER };
        match last.next {
            0 => (now.duration_since(last.at) >= every).then_some(0),
            next => Some(next),
        }
    }

    /// The check after a look at `seen`, who are among `people` from the index `from` on. Without an answer (`None`)
    /// what was known of somebody stands.
    pub fn after(
        last: Option<&Self>,
        version: u64,
        people: &[Person],
        from: usize,
        seen: &[Option<Reach>],
        now: Timestamp,
    ) -> Self {
        let before = last.map(|last| last.unreachable.as_slice()).unwrap_or_default();
        let known: BTreeMap<String, &Reach> = before.iter().map(|one| (one.email.to_lowercase(), &one.reach)).collect();
        let verdict = |(index, person): (usize, &Person)| {
            let fresh = index.checked_sub(from).and_then(|at| seen.get(at)).and_then(Option::as_ref);
            let reach = fresh.or_else(|| known.get(&person.email.to_lowercase()).copied())?;
            (!reach.is_reached()).then(|| Unreachable { email: person.email.clone(), reach: reach.clone() })
        };
        let unreachable = people.iter().enumerate().filter_map(verdict).take(NAMED_MAX).collect();
        let began = last.filter(|last| last.version == version && from > 0).map_or(now, |last| last.at);
        let next = from.saturating_add(seen.len());
        Self { version, at: began, next: if next >= people.len() { 0 } else { next }, unreachable }
    }
}
