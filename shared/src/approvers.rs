//! The approvers' topics, brought in line with the live configuration: what is missing is made, what is not theirs is
//! told, and taken away only where that is asked for.
//!
//! One call after another, person by person, and again without harm: SNS takes a few dozen calls a second.

use crate::aws::CallError;
use crate::aws::sns::Topics;
use crate::config;
use crate::domain::approver::{Person, Reach, Repair, Step, Subscription, people, steps};
use crate::ledger::{Ledger, LedgerError, Version};
use std::collections::BTreeSet;

/// How far [`sync`] goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// Say what would be done, and do nothing.
    pub is_dry_run: bool,
    /// Delete the topics of people who are not approvers any more.
    pub prune: bool,
    /// End the subscriptions that others have on an approver's topic.
    pub remove_others: bool,
    /// Ask these people again, by their addresses.
    pub again: Vec<String>,
}

/// An approver's topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its ARN, whether it is there or not.
    pub topic: String,
    /// What is on it; `None` where there is none.
    pub subscriptions: Option<Vec<Subscription>>,
    /// Whether mail reaches them.
    pub reach: Reach,
}

/// What [`sync`] did for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// Who.
    pub person: Person,
    /// What was done, or would be.
    pub steps: Vec<Step>,
    /// How it stands now.
    pub standing: Standing,
    /// What SNS refused, if anything: nothing was done after that.
    pub refusal: Option<String>,
}

/// A topic of somebody who is not an approver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surplus {
    /// Its ARN.
    pub topic: String,
    /// Who is on it.
    pub endpoints: BTreeSet<String>,
}

/// What [`sync`] did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Everybody, in the order in which they were given.
    pub people: Vec<Synced>,
    /// Topics that are nobody's.
    pub surplus: Vec<Surplus>,
}

/// The approvers of the live configuration with its version; `None` while none is live. `region` is the stack's.
///
/// # Errors
/// [`LedgerError`]; `Corrupt` also where the text cannot be read by this version of Pointsman.
pub async fn live_people(ledger: &Ledger, region: &str) -> Result<Option<(Version, Vec<Person>)>, LedgerError> {
    let Some((version, text)) = ledger.live_source().await? else { return Ok(None) };
    let unreadable = |_| LedgerError::Corrupt {
        pk: "configuration".to_owned(),
        sk: "live".to_owned(),
        cause: format!("the text of version {version} has errors"),
    };
    let checked = config::parse(&text, "the live configuration", region).map_err(unreadable)?;
    Ok(Some((version, people(&checked.config.approvers))))
}

/// Looks at an approver's topic, and at who may end their subscription.
///
/// # Errors
/// [`CallError`] when SNS does not say.
pub async fn look(topics: &Topics, email: &str) -> Result<Standing, CallError> {
    let topic = topics.arn(email);
    let mut subscriptions = topics.subscriptions(&topic).await?;
    for one in subscriptions.iter_mut().flatten().filter(|one| one.is_of(email)) {
        if let Some(arn) = &one.arn {
            one.is_authenticated = topics.is_authenticated(arn).await?;
        }
    }
    let reach = Reach::of(email, subscriptions.as_deref());
    Ok(Standing { topic, subscriptions, reach })
}

/// Sees to it that each of `people` has a topic, and was asked whether they want its mail.
///
/// What SNS refuses to change for one person keeps nobody else from their turn.
///
/// # Errors
/// [`CallError`] when SNS does not answer, or has had enough calls: what was done so far stays, and the next call goes on.
pub async fn sync(topics: &Topics, people: Vec<Person>, how: &SyncOptions) -> Result<Report, CallError> {
    let wanted: BTreeSet<String> = people.iter().map(|person| topics.arn(&person.email)).collect();
    let mut done = Vec::with_capacity(people.len());
    for person in people {
        done.push(sync_one(topics, person, how).await?);
    }
    let mut surplus = Vec::new();
    for topic in topics.all().await?.into_iter().filter(|topic| !wanted.contains(topic)) {
        let on_it = topics.subscriptions(&topic).await?.unwrap_or_default();
        if how.prune && !how.is_dry_run {
            topics.delete(&topic).await?;
        }
        surplus.push(Surplus { topic, endpoints: on_it.into_iter().map(|one| one.endpoint).collect() });
    }
    Ok(Report { people: done, surplus })
}

async fn sync_one(topics: &Topics, person: Person, how: &SyncOptions) -> Result<Synced, CallError> {
    let mut standing = look(topics, &person.email).await?;
    let ask_again = how.again.iter().any(|email| person.is_at(email));
    let repair = Repair { remove_others: how.remove_others, ask_again };
    let planned = steps(&person.email, standing.subscriptions.as_deref(), repair);
    if how.is_dry_run || planned.is_empty() {
        return Ok(Synced { person, steps: planned, standing, refusal: None });
    }
    let (mut steps, mut refusal) = (Vec::new(), None);
    for step in planned {
        match take(topics, &person.email, &step).await {
            Ok(()) => steps.push(step),
            Err(error @ CallError::Refused { .. }) => {
                refusal = Some(error.to_string());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    standing = look(topics, &person.email).await?;
    Ok(Synced { person, steps, standing, refusal })
}

async fn take(topics: &Topics, email: &str, step: &Step) -> Result<(), CallError> {
    match step {
        Step::MakeTopic => topics.make(email).await,
        Step::Ask => topics.ask(email).await,
        Step::End(Subscription { arn: Some(arn), .. }) => topics.end(arn).await,
        // There is nothing to end it by.
        Step::End(Subscription { arn: None, .. }) => Ok(()),
    }
}
