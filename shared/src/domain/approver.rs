//! An approver's mail: the topic of their own that it goes through, and whether it reaches them and nobody else.
//!
//! SNS sends one text to everybody on a topic, and the text holds a link that lets one person in. So each approver has
//! a topic with one subscription, theirs. Nothing is published to a topic that anybody else is on.

mod check;

pub use check::{ApproverCheck, PEOPLE_PER_LOOK, Unreachable};

use super::intake::hex_sha256;
use super::policy::Group;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many hexadecimal digits of the address's hash name its topic.
const TOPIC_DIGITS: usize = 32;
/// SNS's word for a subscription that gets a mail; it has another one for mailboxes that want JSON.
pub const MAIL_PROTOCOL: &str = "email";

/// What a topic's name ends with: 32 hexadecimal digits of the SHA-256 of the address in lower case.
///
/// The address itself stays out of it: a name may hold none, and whoever lists topics need not read addresses.
pub fn topic_of(email: &str) -> String {
    hex_sha256(email.to_lowercase().as_bytes()).chars().take(TOPIC_DIGITS).collect()
}

/// Whether a name ends as [`topic_of`] makes it.
pub fn is_topic(ending: &str) -> bool {
    ending.len() == TOPIC_DIGITS && ending.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Somebody who may be asked to approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their address.
    pub email: String,
    /// Their GitHub login.
    pub github: Option<String>,
    /// The groups that they are in.
    pub groups: BTreeSet<String>,
}

impl Person {
    /// Whether this address is theirs: addresses are compared without case.
    pub fn is_at(&self, email: &str) -> bool {
        self.email.to_lowercase() == email.to_lowercase()
    }
}

/// Everybody in `groups`, each once and in the order of their addresses. An address stays as it was first spelled.
pub fn people(groups: &BTreeMap<String, Group>) -> Vec<Person> {
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    for (name, group) in groups {
        for member in &group.members {
            let person = people.entry(member.email.to_lowercase()).or_insert_with(|| Person {
                email: member.email.clone(),
                github: None,
                groups: BTreeSet::new(),
            });
            person.github = person.github.take().or_else(|| member.github.clone());
            person.groups.insert(name.clone());
        }
    }
    people.into_values().collect()
}

/// One subscription of a topic, as SNS lists it. One that has ended is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its ARN, once it is confirmed: SNS tells it no earlier.
    pub arn: Option<String>,
    /// SNS's word for the kind of its endpoint.
    pub protocol: String,
    /// Who gets what is published.
    pub endpoint: String,
    /// Whether only somebody with AWS credentials can end it; `None` where nobody asked.
    pub is_authenticated: Option<bool>,
}

impl Subscription {
    /// Whether what is published goes there.
    pub fn is_confirmed(&self) -> bool {
        self.arn.is_some()
    }

    /// Whether it is this person's: a mail to their address.
    pub fn is_of(&self, email: &str) -> bool {
        self.protocol == MAIL_PROTOCOL && self.endpoint.to_lowercase() == email.to_lowercase()
    }
}

/// Whether mail reaches an approver, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Reach {
    /// Their subscription is confirmed, and nobody else is on the topic.
    Reached {
        /// Whether only somebody with AWS credentials can end it; `None` where nobody asked.
        is_authenticated: Option<bool>,
    },
    /// Their subscription waits to be confirmed.
    Pending,
    /// They have none: it was never asked for, was not confirmed in time, or was ended.
    NoSubscription,
    /// They have no topic.
    NoTopic,
    /// Somebody else is on their topic, confirmed or not.
    Shared {
        /// How many subscriptions are not theirs.
        others: usize,
    },
}

impl Reach {
    /// What follows from the subscriptions on the topic of `email`; `None` where there is no such topic.
    pub fn of(email: &str, topic: Option<&[Subscription]>) -> Self {
        let Some(subscriptions) = topic else { return Self::NoTopic };
        let (own, others): (Vec<_>, Vec<_>) = subscriptions.iter().partition(|one| one.is_of(email));
        // One that is not confirmed may be at any moment.
        if !others.is_empty() {
            return Self::Shared { others: others.len() };
        }
        match own.iter().find(|one| one.is_confirmed()) {
            Some(confirmed) => Self::Reached { is_authenticated: confirmed.is_authenticated },
            None if own.is_empty() => Self::NoSubscription,
            None => Self::Pending,
        }
    }

    /// Whether something may be published.
    pub fn is_reached(&self) -> bool {
        matches!(self, Self::Reached { .. })
    }

    /// One word for tables and documents.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reached { .. } => "confirmed",
            Self::Pending => "pending",
            Self::NoSubscription => "no_subscription",
            Self::NoTopic => "no_topic",
            Self::Shared { .. } => "shared",
        }
    }

    /// What a person can do about it, with the commands that do it; `None` where all is well.
    pub fn remedy(&self, email: &str) -> Option<String> {
        let word = shell_word(email);
        let confirm = format!("`pointsman approvers confirm {word} --token -` takes the link of AWS's mail");
        let again = format!("`pointsman approvers sync --again {word}` has AWS send");
        match self {
            Self::Reached { is_authenticated: Some(true) | None } => None,
            Self::Reached { is_authenticated: Some(false) } => Some(format!("{confirm}; {again} a new one")),
            Self::Pending => Some(format!("{confirm}; {again} another one")),
            Self::NoSubscription | Self::NoTopic => Some("`pointsman approvers sync` has AWS ask them".to_owned()),
            Self::Shared { .. } => {
                let forgets = "AWS forgets what is not confirmed after 48 hours";
                Some(format!("`pointsman approvers sync --remove-others` ends what is confirmed; {forgets}"))
            }
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reached { is_authenticated: None } => formatter.write_str("mail reaches them"),
            Self::Reached { is_authenticated: Some(true) } => {
                formatter.write_str("mail reaches them, and nobody without AWS credentials can end that")
            }
            Self::Reached { is_authenticated: Some(false) } => {
                formatter.write_str("mail reaches them, and whoever opens the link at the foot of one ends that")
            }
            Self::Pending => {
                formatter.write_str("they have not confirmed that they want mail; after 48 hours AWS forgets it")
            }
            Self::NoSubscription => {
                formatter.write_str("they are not subscribed: never asked, not confirmed within 48 hours, or ended")
            }
            Self::NoTopic => formatter.write_str("there is no topic for them"),
            Self::Shared { others: 1 } => {
                formatter.write_str("a subscription that is not theirs is on their topic: nothing is sent there")
            }
            Self::Shared { others } => {
                write!(
                    formatter,
                    "{others} subscriptions that are not theirs are on their topic: nothing is sent there"
                )
            }
        }
    }
}

/// An address as one word of a POSIX shell: some of the characters that it may hold mean something there.
fn shell_word(email: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._+-".contains(&byte);
    if email.bytes().all(is_plain) { email.to_owned() } else { format!("'{}'", email.replace('\'', r"'\''")) }
}

/// What is done to a topic beyond what every approver needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repair {
    /// End the subscriptions of others.
    pub remove_others: bool,
    /// Ask this person again, unless their subscription is as it should be.
    pub ask_again: bool,
}

/// One change to an approver's topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the topic.
    MakeTopic,
    /// End a subscription: another's, or one of theirs that anybody could end.
    End(Subscription),
    /// Have SNS ask them whether they want its mail.
    Ask,
}

/// What makes the topic of `email` one that reaches them. Nothing, where nothing is missing.
///
/// A subscription of another's that is not confirmed cannot be ended: SNS refuses, and forgets it after 48 hours.
pub fn steps(email: &str, topic: Option<&[Subscription]>, repair: Repair) -> Vec<Step> {
    let Some(subscriptions) = topic else { return vec![Step::MakeTopic, Step::Ask] };
    let (own, others): (Vec<_>, Vec<_>) = subscriptions.iter().partition(|one| one.is_of(email));
    let ended = others.into_iter().filter(|one| repair.remove_others && one.is_confirmed());
    let mut steps: Vec<Step> = ended.cloned().map(Step::End).collect();
    let is_protected = |one: &&Subscription| one.is_confirmed() && one.is_authenticated != Some(false);
    if own.is_empty() {
        steps.push(Step::Ask);
    } else if repair.ask_again && !own.iter().any(is_protected) {
        steps.extend(own.into_iter().filter(|one| one.is_confirmed()).cloned().map(Step::End));
        steps.push(Step::Ask);
    }
    steps
}

#[cfg(test)]
mod tests;
