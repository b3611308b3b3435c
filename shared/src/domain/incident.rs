//! An incident: signals that belong together, what they are blamed on, what was decided, and how it ended.
//!
//! It is keyed by what it blames, so that whatever else is said of the same bad version joins it: a thousand alarms on
//! one execution are one incident, and ten thousand findings of one vulnerability too.

use super::change::Sha;
use super::execution::ExecutionId;
use super::intake::hash_of;
use super::rollback::RollbackId;
use super::settling::Settling;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// How often an incident that waits for a person is counted for the alarm, until somebody closes it.
pub const PERSON_COUNTED_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// How long after a rollback the alarms that led to it may stay red. They look back over their own periods, so they calm down
/// later than what they watch.
pub const CALM_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// How many signals a record keeps: the first ones. Those beyond are counted as "more", and change nothing.
pub const SIGNALS_MAX: usize = 20;

/// Our name for an incident: `in-` and 20 hexadecimal digits, made from what it is about.
///
/// The same key always makes the same id, so the incident's own item is the claim of opening it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    /// The incident of an execution that is blamed in an environment.
    pub fn of_blamed(environment: &str, execution: &ExecutionId) -> Self {
        Self::hashed(&hash_of(&("blamed", environment, execution)))
    }

    /// The incident of a cause that nothing is blamed for: one a day (UTC), of an environment or of none.
    pub fn of_cause(environment: Option<&str>, cause: &Cause, day: Date) -> Self {
        Self::hashed(&hash_of(&("cause", environment, cause.to_string(), day.to_string())))
    }

    /// The incident of a person's request to turn an environment back; `request` is unique.
    pub fn of_request(environment: &str, request: &str) -> Self {
        Self::hashed(&hash_of(&("request", environment, request)))
    }

    /// Takes an id as a person typed it.
    pub fn named(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn hashed(hash: &str) -> Self {
        const DIGITS: usize = 20;
        let digits: String = hash.chars().take(DIGITS).collect();
        Self(format!("in-{digits}"))
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a signal is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// A CloudWatch alarm went red.
    Alarm {
        /// Its name.
        name: String,
    },
    /// Amazon Inspector found a vulnerability.
    Finding {
        /// Its id, such as `CVE-2026-0001`.
        vulnerability: String,
    },
    /// DevOps Guru opened an insight.
    Insight {
        /// Its id.
        id: String,
    },
    /// GuardDuty found a threat.
    Threat {
        /// The finding's id.
        id: String,
    },
    /// A person asked for it.
    Manual,
}

impl Cause {
    /// The vulnerability, where it is one.
    pub fn vulnerability(&self) -> Option<&str> {
        match self {
            Self::Finding { vulnerability } => Some(vulnerability),
            Self::Alarm { .. } | Self::Insight { .. } | Self::Threat { .. } | Self::Manual => None,
        }
    }
}

/// The word that programs read: `alarm`, `finding:CVE-2026-0001`, `insight`, `threat`, `manual`.
impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alarm { .. } => formatter.write_str("alarm"),
            Self::Finding { vulnerability } => write!(formatter, "finding:{vulnerability}"),
            Self::Insight { .. } => formatter.write_str("insight"),
            Self::Threat { .. } => formatter.write_str("threat"),
            Self::Manual => formatter.write_str("manual"),
        }
    }
}

/// One signal, as it was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// What it is about.
    #[serde(flatten)]
    pub cause: Cause,
    /// The AWS region that it came from.
    pub region: String,
    /// When what it tells of happened.
    pub at: Timestamp,
    /// What it says, for people: one sentence.
    pub says: String,
}

/// An execution that is blamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blamed {
    /// Which one.
    pub execution: ExecutionId,
    /// Its commit, where it is known.
    pub sha: Option<Sha>,
}

/// How an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is waited whether the alarm stays red.
    Settling,
    /// Written down and told; nothing is done about it.
    Recorded,
    /// A version that is not live yet is kept out.
    Blocked,
    /// A version is being turned back.
    RollingBack,
    /// Turned back, and verified to be.
    RolledBack,
    /// There was nothing to turn back (any more).
    Cancelled,
    /// Pointsman has stopped: a person must act.
    NeedsPerson,
    /// It is over: what it told of is gone.
    Closed,
}

impl Status {
    /// The word that programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Recorded => "recorded",
            Self::Blocked => "blocked",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Cancelled => "cancelled",
            Self::NeedsPerson => "needs_person",
            Self::Closed => "closed",
        }
    }

    /// Whether nothing more is done about it by itself.
    pub fn is_over(self) -> bool {
        match self {
            Self::RolledBack | Self::Cancelled | Self::Closed => true,
            Self::Settling | Self::Recorded | Self::Blocked | Self::RollingBack | Self::NeedsPerson => false,
        }
    }
}

/// What was decided about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// To wait whether the alarm stays red.
    Wait,
    /// To write it down and tell people.
    Notify,
    /// To keep a version out that is not live yet.
    Block,
    /// To turn the blamed version back.
    RollBack {
        /// Where: AWS regions of the environment.
        regions: Vec<String>,
        /// To which commit; `None`: to the last good one.
        to: Option<Sha>,
        /// Who decided: `guard`, or a person.
        by: String,
    },
    /// To call a person.
    Person,
}

impl Decision {
    /// The word that programs read.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Notify => "notify",
            Self::Block => "block",
            Self::RollBack { .. } => "roll_back",
            Self::Person => "person",
        }
    }
}

/// An incident's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Our id.
    pub id: IncidentId,
    /// The environment; `None` for what names none, such as an insight into the account.
    pub environment: Option<String>,
    /// The AWS region of the first signal.
    pub region: String,
    /// What the first signal is about.
    pub cause: Cause,
    /// The execution that is blamed, if one is.
    pub blamed: Option<Blamed>,
    /// How it stands.
    pub status: Status,
    /// What was decided.
    pub decision: Decision,
    /// Why it stands so: one sentence, never empty.
    pub reason: String,
    /// The first signals, oldest first, [`SIGNALS_MAX`] at most.
    pub signals: Vec<Signal>,
    /// Whether there were more.
    #[serde(default)]
    pub has_more_signals: bool,
    /// What is watched while it settles.
    #[serde(default)]
    pub settling: Option<Settling>,
    /// The rollbacks that answer it, one per region.
    #[serde(default)]
    pub rollbacks: Vec<RollbackId>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When `sweep` is to look at it; `None` once nothing is expected by itself.
    pub due_at: Option<Timestamp>,
}

impl Incident {
    /// One that `signal` opens.
    pub fn opened(id: IncidentId, environment: Option<String>, signal: Signal, now: Timestamp) -> Self {
        Self {
            id,
            environment,
            region: signal.region.clone(),
            cause: signal.cause.clone(),
            blamed: None,
            status: Status::Recorded,
            decision: Decision::Notify,
            reason: signal.says.clone(),
            signals: vec![signal],
            has_more_signals: false,
            settling: None,
            rollbacks: Vec::new(),
            opened_at: now,
            updated_at: now,
            due_at: None,
        }
    }

    /// Takes a further signal in. Says whether that is any news: the same cause in the same region is none, however
    /// often it is told.
    pub fn join(&mut self, signal: Signal, now: Timestamp) -> bool {
        let is_known = |known: &Signal| known.cause == signal.cause && known.region == signal.region;
        if self.signals.iter().any(is_known) || self.has_more_signals {
            return false;
        }
        if self.signals.len() < SIGNALS_MAX {
            self.signals.push(signal);
        } else {
            self.has_more_signals = true;
        }
        self.updated_at = now;
        true
    }

    /// The alarms among its signals, each once: region and name.
    pub fn alarms(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.signals.iter().filter_map(|signal| match &signal.cause {
            Cause::Alarm { name } => Some((signal.region.as_str(), name.as_str())),
            Cause::Finding { .. } | Cause::Insight { .. } | Cause::Threat { .. } | Cause::Manual => None,
        });
        named.collect::<BTreeSet<_>>().into_iter()
    }

    /// Moves on to `status`, with what was decided and why, and says when to look at it again.
    pub fn turn_to(&mut self, status: Status, decision: Decision, reason: String, now: Timestamp) {
        self.due_at = match status {
            Status::Settling => self.settling.as_ref().map(|settling| settling.until),
            Status::RollingBack => Some(now),
            Status::NeedsPerson => Some(now + PERSON_COUNTED_EVERY),
            Status::RolledBack => self.alarms().next().is_some().then(|| now + CALM_WITHIN),
            Status::Recorded | Status::Blocked | Status::Cancelled | Status::Closed => None,
        };
        self.status = status;
        self.decision = decision;
        self.reason = reason;
        self.updated_at = now;
    }
}
