//! The audit log: an append-only chain of entries per subject, each carrying the hash of the one before.
//!
//! The chain shows that nothing in it was changed or taken out. It cannot show that its tail, or a whole chain, is
//! missing: that takes a locked copy elsewhere.

use super::intake::hash_of;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the first entry of a chain carries as the hash of the one before.
pub const GENESIS: &str = "genesis";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is about: `execution#ID`, `configuration` …
    pub subject: String,
    /// 1 for the first.
    pub sequence: u64,
    /// When, by our clock.
    pub at: Timestamp,
    /// Who: a function of ours, or an operator's ARN.
    pub actor: String,
    /// What happened, in the past tense or as an intent: `start intended`, `start answered` …
    pub what: String,
    /// The particulars.
    pub detail: Value,
    /// The hash of the entry before, or [`GENESIS`].
    pub previous: String,
    /// SHA-256 over all of the above.
    pub hash: String,
}

/// What is to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Who.
    pub actor: String,
    /// What.
    pub what: String,
    /// The particulars.
    pub detail: Value,
}

impl Entry {
    /// The entry that follows `last` (or begins the chain of `subject`).
    pub fn after(last: Option<&Entry>, subject: &str, note: Note, at: Timestamp) -> Self {
        let mut entry = Self {
            subject: subject.to_owned(),
            sequence: last.map_or(1, |last| last.sequence + 1),
            at,
            actor: note.actor,
            what: note.what,
            detail: note.detail,
            previous: last.map_or_else(|| GENESIS.to_owned(), |last| last.hash.clone()),
            hash: String::new(),
        };
        entry.hash = entry.computed_hash();
        entry
    }

    fn computed_hash(&self) -> String {
        hash_of(&(
            (&self.subject, self.sequence, self.at),
            (&self.actor, &self.what, canonical(&self.detail)),
            &self.previous,
        ))
    }
}

/// A value with every object in the order of its keys. A table hands objects out in any order, so what is hashed or
/// compared must not depend on it.
pub fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().map(|(name, value)| (name.clone(), canonical(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(list) => list.iter().map(canonical).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An entry is missing or out of place.
    #[error("{subject}: entry {expected} is missing")]
    Missing {
        /// Whose chain.
        subject: String,
        /// Which entry should stand there.
        expected: u64,
    },
    /// An entry does not carry the hash of the one before.
    #[error("{subject}: entry {sequence} does not follow from the one before it")]
    Unlinked {
        /// Whose chain.
        subject: String,
        /// Which entry.
        sequence: u64,
    },
    /// An entry's content is not what its hash says.
    #[error("{subject}: entry {sequence} was changed after it was written")]
    Changed {
        /// Whose chain.
        subject: String,
        /// Which entry.
        sequence: u64,
    },
}

/// Walks one chain, in the order of its sequence.
///
/// # Errors
/// The first place where it does not hold.
pub fn verify(chain: &[Entry]) -> Result<(), Broken> {
    let mut previous = GENESIS;
    for (entry, expected) in chain.iter().zip(1..) {
        let subject = entry.subject.clone();
        if entry.sequence != expected {
            return Err(Broken::Missing { subject, expected });
        }
        if entry.previous != previous {
            return Err(Broken::Unlinked { subject, sequence: expected });
        }
        if entry.hash != entry.computed_hash() {
            return Err(Broken::Changed { subject, sequence: expected });
        }
        previous = &entry.hash;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chain() -> Vec<Entry> {
        let mut chain: Vec<Entry> = Vec::new();
        for what in ["start intended", "start answered", "succeeded"] {
            let note = Note { actor: "dispatch".into(), what: what.into(), detail: json!({"b": 1, "a": 2}) };
            chain.push(Entry::after(chain.last(), "execution#ex-1", note, Timestamp::UNIX_EPOCH));
        }
        chain
    }

    #[test]
    fn a_whole_chain_holds() {
        assert_eq!(verify(&chain()), Ok(()));
        assert_eq!(verify(&[]), Ok(()));
    }

    #[test]
    fn every_kind_of_tampering_is_named() {
        let subject = || "execution#ex-1".to_owned();
        type Tamper = fn(&mut Vec<Entry>);
        let rehash: Tamper = |chain| {
            chain[1].what = "nothing".into();
            chain[1].hash = chain[1].computed_hash();
        };
        let cases: [(Tamper, Broken, &str); 6] = [
            (|c| c[1].what = "nothing".into(), Broken::Changed { subject: subject(), sequence: 2 }, "a word changed"),
            (|c| c[2].detail = json!({}), Broken::Changed { subject: subject(), sequence: 3 }, "a detail emptied"),
            (rehash, Broken::Unlinked { subject: subject(), sequence: 3 }, "changed and hashed anew"),
            (|c| drop(c.remove(1)), Broken::Missing { subject: subject(), expected: 2 }, "one taken out"),
            (|c| drop(c.remove(0)), Broken::Missing { subject: subject(), expected: 1 }, "the first taken out"),
            (|c| c.swap(0, 1), Broken::Missing { subject: subject(), expected: 1 }, "two swapped"),
        ];
        for (tamper, expected, why) in cases {
            let mut chain = chain();
            tamper(&mut chain);
            assert_eq!(verify(&chain), Err(expected), "{why}");
        }
    }
}
