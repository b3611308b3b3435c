//! Quarantine: a commit that was bad in an environment does not go there again until a person lifts it.

use super::change::Sha;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How much of a person's reason a refusal repeats, in characters; the rest is cut off.
const REASON_CHARACTERS_SHOWN: usize = 200;

/// That a commit is, or was, in quarantine in an environment. Its record stays when it is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// The environment.
    pub environment: String,
    /// The commit.
    pub sha: Sha,
    /// Since when.
    pub since: Timestamp,
    /// Who or what put it there.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The incident that it follows from; none where a person put it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// How it was lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Lifted>,
}

/// That a person lifted a quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Quarantine {
    /// Whether the commit is kept out now.
    pub fn is_in_force(&self) -> bool {
        self.lifted.is_none()
    }

    /// Takes a new reason to keep the commit out, and says whether that changes anything. One that is in force stays as
    /// it is: what put it there first stands. One that was lifted is in force again.
    pub fn renew(&mut self, new: Self) -> bool {
        let is_news = !self.is_in_force();
        if is_news {
            *self = new;
        }
        is_news
    }

    /// Lifts it, and says whether that changes anything. What lifted it first stands.
    pub fn lift(&mut self, lifted: Lifted) -> bool {
        let is_news = self.is_in_force();
        if is_news {
            self.lifted = Some(lifted);
        }
        is_news
    }

    /// Why the commit is not started: begins with `quarantined:`, and names the command that lifts it.
    pub fn refusal(&self) -> String {
        let Self { environment, sha, .. } = self;
        let why = match &self.incident {
            Some(incident) => incident.clone(),
            None => format!("by {}: {}", self.by, self.shown_reason()),
        };
        format!(
            "quarantined: {} is kept out of {environment} ({why}); \
             `pointsman quarantine lift {environment} {sha} --reason …` lifts it",
            sha.short()
        )
    }

    /// Why the commit is not approved in its environment.
    pub fn obstacle(&self) -> String {
        let short = self.sha.short();
        match &self.incident {
            Some(incident) => format!("{short} was turned back here in {incident}: lift its quarantine first"),
            None => format!(
                "{short} is in quarantine here ({} by {}): lift its quarantine first",
                self.shown_reason(),
                self.by
            ),
        }
    }

    fn shown_reason(&self) -> String {
        self.reason.chars().take(REASON_CHARACTERS_SHOWN).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn quarantine(second: i64, incident: Option<&str>, is_lifted: bool) -> Quarantine {
        Quarantine {
            environment: "production".into(),
            sha: "1a2b3c4d".repeat(5).parse().unwrap(),
            since: at(second),
            by: if incident.is_some() { "rollback".into() } else { "ada@example.com".into() },
            reason: "it loses orders".into(),
            incident: incident.map(str::to_owned),
            lifted: is_lifted.then(|| lifted(second + 1)),
        }
    }

    fn lifted(second: i64) -> Lifted {
        Lifted { at: at(second), by: "grace@example.com".into(), reason: "fixed by configuration".into() }
    }

    #[test]
    fn it_is_in_force_until_it_is_lifted_and_again_from_the_next_reason_on() {
        #[rustfmt::skip]
        let cases = [
            // it was lifted    renewed   since   from     why
            (false,             false,    0,      "in-1",  "in force already: the first incident stands"),
            (true,              true,     9,      "in-2",  "a later incident puts it in force again"),
        ];
        for (was_lifted, is_news, since, incident, why) in cases {
            let mut known = quarantine(0, Some("in-1"), was_lifted);
            assert_eq!(known.is_in_force(), !was_lifted, "{why}");
            assert_eq!(known.renew(quarantine(9, Some("in-2"), false)), is_news, "{why}");
            assert!(known.is_in_force(), "{why}");
            assert_eq!((known.since, known.incident.as_deref()), (at(since), Some(incident)), "{why}");
        }
        let mut known = quarantine(0, Some("in-1"), false);
        assert!(known.lift(lifted(3)) && !known.is_in_force());
        assert!(!known.lift(lifted(7)), "it is lifted already");
        assert_eq!(known.lifted.map(|lifted| lifted.at), Some(at(3)), "the first lift stands");
    }

    #[test]
    fn what_people_are_told_names_the_commit_and_what_to_do() {
        let sha = "1a2b3c4d".repeat(5);
        let lift = format!("`pointsman quarantine lift production {sha} --reason …` lifts it");
        let by_an_incident = quarantine(0, Some("in-1"), false);
        assert_eq!(by_an_incident.refusal(), format!("quarantined: 1a2b3c4 is kept out of production (in-1); {lift}"));
        assert_eq!(by_an_incident.obstacle(), "1a2b3c4 was turned back here in in-1: lift its quarantine first");

        let by_hand = Quarantine { reason: "é".repeat(1_000), ..quarantine(0, None, false) };
        let reason = "é".repeat(200);
        assert_eq!(
            by_hand.refusal(),
            format!("quarantined: 1a2b3c4 is kept out of production (by ada@example.com: {reason}); {lift}")
        );
        assert_eq!(
            by_hand.obstacle(),
            format!("1a2b3c4 is in quarantine here ({reason} by ada@example.com): lift its quarantine first")
        );
    }
}
