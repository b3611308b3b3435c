//! The mails of an approval: who is still to be sent one, and when one is tried again.

use super::{Approval, Invited, LinkHash, State};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How many links of one person for one approval live at once. A further one makes the oldest worthless.
pub const LINKS_PER_PERSON_MAX: usize = 5;
/// How long a mail that is being sent keeps others from sending it too: about as long as a function may run.
const SENDING_TAKES: SignedDuration = SignedDuration::from_secs(60);
/// How long a mail waits for its second try; each further wait is twice as long.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(60);
/// The longest wait between two tries. It is tried again for as long as the approval is open.
const LONGEST_RETRY: SignedDuration = SignedDuration::from_mins(16);

/// What became of a person's mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mail", rename_all = "snake_case")]
pub enum Mail {
    /// To be sent.
    Wanted {
        /// When.
        at: Timestamp,
        /// How often it was tried.
        tries: u32,
        /// Why the last try failed.
        trouble: Option<String>,
    },
    /// Being sent. Whoever does it may have died on the way.
    Sending {
        /// Since when.
        since: Timestamp,
        /// How often it was tried, this time included.
        tries: u32,
    },
    /// SNS has taken it.
    Sent {
        /// When.
        at: Timestamp,
    },
}

impl Mail {
    /// A mail that is to be sent now.
    pub fn wanted(at: Timestamp) -> Self {
        Self::Wanted { at, tries: 0, trouble: None }
    }

    /// When it is to be tried; `None` once it is sent.
    pub fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Wanted { at, .. } => Some(*at),
            Self::Sending { since, .. } => Some(*since + SENDING_TAKES),
            Self::Sent { .. } => None,
        }
    }

    fn tries(&self) -> u32 {
        match self {
            Self::Wanted { tries, .. } | Self::Sending { tries, .. } => *tries,
            Self::Sent { .. } => 0,
        }
    }

    /// Why the last try failed, if it did.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Wanted { trouble, .. } => trouble.as_deref(),
            Self::Sending { .. } | Self::Sent { .. } => None,
        }
    }
}

impl Approval {
    /// Those whose mail is due, by lower-cased address.
    pub fn mails_due(&self, now: Timestamp) -> Vec<String> {
        if !self.is_open(now) {
            return Vec::new();
        }
        let is_due = |person: &Invited| person.mail.due_at().is_some_and(|due| due <= now);
        self.people.iter().filter(|(_, person)| is_due(person)).map(|(key, _)| key.clone()).collect()
    }

    /// Begins to send somebody a mail with this link.
    pub fn begin_mail(&mut self, key: &str, link: LinkHash, now: Timestamp) {
        let Some(person) = self.people.get_mut(key) else { return };
        person.mail = Mail::Sending { since: now, tries: person.mail.tries() + 1 };
        person.links.push(link);
        let surplus = person.links.len().saturating_sub(LINKS_PER_PERSON_MAX);
        person.links.drain(..surplus);
    }

    /// Says what became of the mail that was begun at `since`.
    pub fn end_mail(&mut self, key: &str, since: Timestamp, outcome: Result<(), String>, now: Timestamp) {
        let Some(person) = self.people.get_mut(key) else { return };
        // Somebody else has begun another one: theirs counts.
        let Mail::Sending { since: began, tries } = person.mail else { return };
        if began != since {
            return;
        }
        person.mail = match outcome {
            Ok(()) => Mail::Sent { at: now },
            Err(why) => {
                let wait = FIRST_RETRY.saturating_mul(1 << tries.saturating_sub(1).min(4)).min(LONGEST_RETRY);
                Mail::Wanted { at: now + wait, tries, trouble: Some(why) }
            }
        };
    }

    /// Wants a mail to each of these people again. Those whose mail is still to be sent keep their turn.
    pub fn ask_again<'a>(&mut self, keys: impl Iterator<Item = &'a String>, now: Timestamp) {
        if self.state != State::Open {
            return;
        }
        for key in keys {
            if let Some(person) = self.people.get_mut(key)
                && matches!(person.mail, Mail::Sent { .. })
            {
                person.mail = Mail::wanted(now);
            }
        }
    }
}
