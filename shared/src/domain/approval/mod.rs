//! An approval: one question of one pipeline, who was asked, who voted, what was decided, and whether CodePipeline knows.
//!
//! It is bound to one action execution: a retried stage asks anew, and a vote for one never counts for another. It
//! holds hashes of links, and neither a link nor CodePipeline's token.

mod freeze;
mod mail;
mod settle;
mod tally;
mod vote;

pub use freeze::{BY_HAND_MAX, FreezeByHand, Frozen, freezes_between, frozen, frozen_at};
pub use mail::{LINKS_PER_PERSON_MAX, Mail};
pub use settle::{Asked, AskedStatus, Settled, settle};
pub use tally::{PEOPLE_WHERE_AUTHORS_ARE_UNKNOWN, Tally, tally};
pub use vote::{Ballot, COMMENT_CHARACTERS_MAX, DIGITS, Person, Refused, Standing, vote};

use super::change::{Repository, Sha};
use super::execution::{ExecutionId, Target};
use super::intake::{hash_of, hex_sha256};
use super::policy::ApprovalPolicy;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How long after a decision CodePipeline is told again, where nobody knows whether it was.
pub const TELL_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// How often an open approval is compared with CodePipeline: it may have been answered, stopped or cancelled there.
pub const COMPARE_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// Our name for an approval: `ap-` and 20 hexadecimal digits, made from what is asked.
///
/// The same question always makes the same id, so the approval's own item is the claim of asking it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(String);

impl ApprovalId {
    /// The id of the question that `place` asks.
    pub fn of(place: &Place) -> Self {
        const DIGITS: usize = 20;
        let digits: String = hash_of(place).chars().take(DIGITS).collect();
        Self(format!("ap-{digits}"))
    }

    /// Takes an id as a person typed it.
    pub fn named(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where CodePipeline asks: one execution of one approval action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The pipeline.
    pub target: Target,
    /// CodePipeline's id of the execution.
    pub aws_id: String,
    /// The stage.
    pub stage: String,
    /// The approval action.
    pub action: String,
    /// CodePipeline's id of the action's execution; a retried stage has another.
    pub action_execution: String,
}

/// The SHA-256 of a link, in hexadecimal digits: all that is ever kept of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkHash(String);

impl LinkHash {
    /// The hash of a link's text.
    pub fn of(link: &str) -> Self {
        Self(hex_sha256(link.as_bytes()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An approval's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Our id.
    pub id: ApprovalId,
    /// Where CodePipeline asks.
    pub place: Place,
    /// Our execution.
    pub execution: ExecutionId,
    /// What would go live.
    pub subject: Subject,
    /// The environment that it would go to; `None` where nobody knows.
    pub environment: Option<String>,
    /// The policy as it stood when the approval was opened; `None`: it needs nobody, and is left to people in the console.
    pub policy: Option<Policy>,
    /// Where its links begin, and what a vote's `Origin` must be: `https://HOST/PATH`, without a slash at the end.
    pub base_url: String,
    /// Those who were asked, by lower-cased e-mail address.
    pub people: BTreeMap<String, Invited>,
    /// The votes, oldest first, one per person: a later one takes the place of an earlier one.
    pub votes: Vec<Vote>,
    /// Who put aside a freeze, if anybody did.
    pub overridden: Option<Override>,
    /// How it stands.
    pub state: State,
    /// How often people were reminded.
    pub reminders: u32,
    /// When they are to be reminded; `None`: never, or no more.
    pub remind_at: Option<Timestamp>,
    /// When the scan of its image is to be there; `None` where none is asked for.
    pub scan_due_at: Option<Timestamp>,
    /// Since when it counts as missing.
    pub scan_missing_since: Option<Timestamp>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The last moment at which a vote counts.
    pub expires_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When `sweep` is to look at it; `None` once nothing is expected any more.
    pub due_at: Option<Timestamp>,
}

/// What would go live. Whoever wrote the commit chose every byte of `git_ref` and `title`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The repository.
    pub repository: Option<Repository>,
    /// The full ref.
    pub git_ref: Option<String>,
    /// The commit; `None` where the execution does not tell, and then nobody can approve it here.
    pub sha: Option<Sha>,
    /// The commit's title.
    pub title: Option<String>,
    /// Who pushed it, or whoever started the execution.
    pub actor: Option<String>,
    /// The digests of its images.
    pub images: BTreeSet<String>,
}

/// An approval policy as it stood, and what it was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name; `None` for the environment's own.
    pub name: Option<String>,
    /// How many people of each group. One person counts once.
    pub require: BTreeMap<String, u32>,
    /// Whether those who pushed or wrote the change may approve it.
    pub self_approval: bool,
}

impl Policy {
    /// Takes a policy as it stands now.
    pub fn of(name: Option<&str>, policy: &ApprovalPolicy) -> Self {
        Self { name: name.map(str::to_owned), require: policy.require.clone(), self_approval: policy.self_approval }
    }
}

/// Somebody who was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Their address, as the configuration writes it.
    pub email: String,
    /// Their GitHub login.
    pub github: Option<String>,
    /// The hashes of their live links, oldest first, [`LINKS_PER_PERSON_MAX`] at most.
    pub links: Vec<LinkHash>,
    /// What became of their mail.
    pub mail: Mail,
}

/// One person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Their lower-cased address.
    pub by: String,
    /// Yes or no.
    pub choice: Choice,
    /// What they wrote.
    pub comment: String,
    /// How they came.
    pub via: Via,
    /// When.
    pub at: Timestamp,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Let it in.
    Approve,
    /// Keep it out.
    Reject,
}

/// How a vote was cast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "snake_case")]
pub enum Via {
    /// By a link out of a mail.
    Link,
    /// By the operator's tool.
    Terminal {
        /// The caller's ARN.
        arn: String,
    },
}

/// Somebody put a freeze aside for this one approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Their lower-cased address.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The end of the freeze that was put aside: a later one is another.
    pub until: Timestamp,
}

/// How an approval stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    /// Votes are taken.
    Open,
    /// We decided, and CodePipeline is told.
    Decided {
        /// What.
        decision: Decision,
        /// When.
        at: Timestamp,
        /// How far the telling got.
        told: Told,
    },
    /// It ended without us.
    Ended {
        /// How.
        end: End,
        /// When we learned it.
        at: Timestamp,
    },
    /// It needs nobody of ours: people in the console answer it.
    LeftToConsole {
        /// Why.
        why: String,
    },
}

/// What we decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Enough of the right people said yes.
    Approved {
        /// Those who count, by address.
        by: Vec<String>,
    },
    /// Somebody said no.
    Rejected {
        /// Who, by address.
        by: String,
        /// Why.
        comment: String,
    },
    /// Nobody decided in time.
    Expired,
    /// It is part of a rollback to a version that was approved before: nobody is asked again.
    Passed {
        /// The incident.
        incident: String,
        /// When that version was approved here.
        approved_at: Timestamp,
        /// By whom.
        by: Vec<String>,
    },
    /// Its version was turned back where it would go.
    TurnedBack {
        /// The incident.
        incident: String,
    },
    /// The execution is being stopped, and waits for this answer.
    Withdrawn,
}

impl Decision {
    /// Whether the version goes in.
    pub fn lets_in(&self) -> bool {
        match self {
            Self::Approved { .. } | Self::Passed { .. } => true,
            Self::Rejected { .. } | Self::Expired | Self::TurnedBack { .. } | Self::Withdrawn => false,
        }
    }
}

/// How far the telling of a decision got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// Not yet, as far as we know.
    Pending {
        /// What went wrong the last time.
        trouble: Option<String>,
    },
    /// CodePipeline has it.
    Done {
        /// When.
        at: Timestamp,
    },
    /// Somebody answered CodePipeline before us.
    Overruled {
        /// Their ARN.
        by: Option<String>,
        /// Whether they let it in.
        approved: bool,
    },
    /// There is nobody left to tell.
    Gone {
        /// Why.
        why: String,
    },
}

/// How an approval ended without a decision of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// Somebody answered in the console, or by another client.
    AnsweredElsewhere {
        /// Their ARN.
        by: Option<String>,
        /// Whether they let it in.
        approved: bool,
    },
    /// CodePipeline's own time for the action ran out.
    TimedOut,
    /// The execution is over, or asks no more.
    Over {
        /// Why.
        why: Over,
    },
}

/// Why nobody is asked any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The execution was stopped.
    Stopped,
    /// The pipeline was edited, which cancels what runs.
    Cancelled,
    /// A newer execution took its place.
    Superseded,
    /// The execution failed.
    Failed,
    /// The execution succeeded.
    Succeeded,
    /// CodePipeline knows this question no more.
    Unknown,
}

impl fmt::Display for Over {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stopped => "the execution was stopped",
            Self::Cancelled => "the pipeline was edited, which cancels what runs",
            Self::Superseded => "a newer execution took its place",
            Self::Failed => "the execution failed",
            Self::Succeeded => "the execution has ended",
            Self::Unknown => "CodePipeline does not ask any more",
        })
    }
}

impl Approval {
    /// Whether a vote still counts at `now`. The last second counts.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == State::Open && !self.is_expired(now)
    }

    /// Whether anything is still expected of it: votes, an answer in the console, or that CodePipeline is told.
    pub fn is_unsettled(&self) -> bool {
        self.state == State::Open || self.due_at.is_some()
    }

    /// Whether its time has run out by our clock.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now.as_second() > self.expires_at.as_second()
    }

    /// Whose link this is, as long as it is worth anything.
    pub fn holder(&self, link: &LinkHash) -> Option<&Invited> {
        self.people.values().find(|person| person.links.contains(link))
    }

    /// Whether somebody who may has put the freeze aside that is on.
    pub fn is_overridden(&self, standing: &Standing) -> bool {
        let is_it = |done: &Override, frozen: &Frozen| {
            frozen.until.timestamp() <= done.until && standing.may_override.contains(&done.by)
        };
        self.overridden.as_ref().zip(standing.frozen.as_ref()).is_some_and(|(done, frozen)| is_it(done, frozen))
    }

    /// The word for how it stands, as programs read it.
    pub fn status(&self) -> &'static str {
        match &self.state {
            State::Open => "open",
            State::LeftToConsole { .. } => "left_to_console",
            State::Ended { end: End::AnsweredElsewhere { .. }, .. } => "answered_elsewhere",
            State::Ended { end: End::TimedOut, .. } => "expired",
            State::Ended { end: End::Over { .. }, .. } => "ended",
            State::Decided { decision, .. } => match decision {
                Decision::Approved { .. } => "approved",
                Decision::Rejected { .. } => "rejected",
                Decision::Expired => "expired",
                Decision::Passed { .. } => "passed",
                Decision::TurnedBack { .. } => "turned_back",
                Decision::Withdrawn => "withdrawn",
            },
        }
    }

    /// What a person types to show that they read what it is about: the first digits of the commit, or of CodePipeline's
    /// execution where no commit is known.
    pub fn digits(&self) -> &str {
        let whole = self.subject.sha.as_ref().map_or(self.place.aws_id.as_str(), |sha| sha.as_str());
        whole.get(..DIGITS).unwrap_or(whole)
    }

    /// Decides, for good. Every link dies with it.
    pub fn decide(&mut self, decision: Decision, now: Timestamp) {
        self.state = State::Decided { decision, at: now, told: Told::Pending { trouble: None } };
        self.updated_at = now;
        self.remind_at = None;
        self.due_at = Some(now + TELL_AGAIN_AFTER);
    }

    /// Ends it without a decision of ours.
    pub fn end(&mut self, end: End, now: Timestamp) {
        self.state = State::Ended { end, at: now };
        self.updated_at = now;
        self.remind_at = None;
        self.due_at = None;
    }

    /// Says how far the telling of the decision got.
    pub fn set_told(&mut self, told: Told, now: Timestamp) {
        let State::Decided { told: slot, .. } = &mut self.state else { return };
        self.due_at = matches!(told, Told::Pending { .. }).then(|| now + TELL_AGAIN_AFTER);
        *slot = told;
        self.updated_at = now;
    }

    /// Says when it is to be looked at next, from all that may happen to it.
    pub fn reschedule(&mut self, now: Timestamp) {
        if self.state != State::Open {
            return;
        }
        let mails = self.people.values().filter_map(|person| person.mail.due_at());
        let expiry = self.expires_at + SignedDuration::from_secs(1);
        let scan = self.scan_due_at.filter(|_| self.scan_missing_since.is_none()).filter(|due| *due > now);
        let next = mails.chain(self.remind_at).chain(scan).chain([expiry, now + COMPARE_EVERY]).min();
        self.due_at = next;
    }

    /// What CodePipeline is told beside yes or no: our id first, then who. Nothing that a stranger wrote.
    ///
    /// Source: PutApprovalResult takes a summary of 512 characters at most.
    pub fn summary(&self) -> Option<String> {
        let State::Decided { decision, .. } = &self.state else { return None };
        let text = match decision {
            Decision::Approved { by } => format!("{} approved by {}", self.id, by.join(", ")),
            Decision::Rejected { by, .. } => format!("{} rejected by {by}", self.id),
            Decision::Expired => format!("{} expired: nobody decided in time", self.id),
            Decision::TurnedBack { incident } => format!("{} rejected: turned back in {incident}", self.id),
            Decision::Withdrawn => format!("{} withdrawn: the execution is being stopped", self.id),
            Decision::Passed { incident, approved_at, by } => {
                let date = approved_at.to_zoned(jiff::tz::TimeZone::UTC).date();
                let sha = self.subject.sha.as_ref().map(|sha| sha.as_str()).unwrap_or_default();
                format!("{} rollback of {incident} to {sha}, approved on {date} by {}", self.id, by.join(", "))
            }
        };
        Some(text.chars().take(SUMMARY_CHARACTERS_MAX).collect())
    }
}

/// The longest summary that CodePipeline takes, in characters. The rest is cut off.
const SUMMARY_CHARACTERS_MAX: usize = 512;

#[cfg(test)]
pub(crate) mod tests;
