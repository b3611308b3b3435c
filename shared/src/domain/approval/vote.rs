//! A vote: whether it is taken, and what follows from it.

use super::freeze::Frozen;
use super::tally::tally;
use super::{Approval, Choice, Decision, Override, Policy, Via, Vote};
use crate::domain::shown;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How many digits of the commit a person types.
pub const DIGITS: usize = 7;
/// The longest comment, in characters. A longer one is refused, not cut. Browsers send a line break as two characters and
/// count it as one: so is it counted here.
pub const COMMENT_CHARACTERS_MAX: usize = 1_000;

/// Who votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their lower-cased address.
    pub key: String,
    /// How they came.
    pub via: Via,
}

/// What somebody hands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// Yes or no.
    pub choice: Choice,
    /// The digits of the commit, as typed.
    pub digits: String,
    /// What they wrote.
    pub comment: String,
    /// Whether they put the freeze aside.
    pub overrides: bool,
}

/// How things stand when somebody votes or looks: read anew each time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Who is in which groups now, by lower-cased address.
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// Who may put a freeze aside, by lower-cased address.
    pub may_override: BTreeSet<String>,
    /// Who pushed, started or wrote what would go live, by lower-cased address, and in what way.
    pub authors: BTreeMap<String, String>,
    /// Why nobody can know all who did, if so.
    pub not_knowable: Option<String>,
    /// Why nobody may let it in now: what is wrong with its image. Empty when nothing is.
    pub blocked: Vec<String>,
    /// The freeze that is on.
    pub frozen: Option<Frozen>,
}

impl Standing {
    /// In what way this person has a hand in what would go live, where that bars them.
    pub fn barred(&self, policy: &Policy, person: &str) -> Option<&str> {
        if policy.self_approval { None } else { self.authors.get(person).map(String::as_str) }
    }

    /// Whether a yes of this person counts: a member now of a group that is asked, and not barred.
    pub(super) fn may_approve(&self, policy: &Policy, person: &str) -> bool {
        self.is_asked(policy, person) && self.barred(policy, person).is_none()
    }

    /// Whether this person is now a member of a group that is asked.
    pub fn is_asked(&self, policy: &Policy, person: &str) -> bool {
        self.members.get(person).is_some_and(|groups| groups.iter().any(|group| policy.require.contains_key(group)))
    }
}

/// Why a vote is not taken. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[must_use]
pub enum Refused {
    /// It was decided, or has ended: the page says how.
    #[error("this approval is over")]
    Over,
    /// They are in none of the groups that are asked (any more).
    #[error("you are not among those who are asked (any more)")]
    NotAsked,
    /// They did not type the digits of this commit.
    #[error("the digits are not those of this commit")]
    WrongDigits,
    /// Whoever says no, or puts a freeze aside, says why.
    #[error("a comment is needed")]
    NoComment,
    /// The comment is longer than is kept.
    #[error("the comment is longer than {COMMENT_CHARACTERS_MAX} characters")]
    CommentTooLong,
    /// They wrote, pushed or started it.
    #[error("you may not approve this: {why}")]
    Barred {
        /// In what way.
        why: String,
    },
    /// What would go live is not known.
    #[error("no commit is known, so nobody can approve it here")]
    NoCommit,
    /// Something is wrong with its image.
    #[error("{}", why.join("; "))]
    Blocked {
        /// What.
        why: Vec<String>,
    },
    /// Nothing goes in now.
    #[error("the environment is frozen until {until}")]
    Frozen {
        /// Until when, by the freeze's own clocks.
        until: String,
    },
    /// There is no freeze to put aside.
    #[error("nothing is frozen, so there is nothing to override")]
    NotFrozen,
    /// They may not put the freeze aside.
    #[error("you may not override the freeze")]
    MayNotOverride,
}

/// Takes a vote, or says why not. The approval that comes back has it, and may be decided by it.
///
/// Who counts is judged as `standing` says, now, for every vote that was cast; what the policy asks, as it stood when
/// the approval was opened.
///
/// # Errors
/// [`Refused`]; of several reasons the first that the person can do nothing about.
pub fn vote(
    approval: &Approval,
    person: &Person,
    ballot: &Ballot,
    standing: &Standing,
    now: Timestamp,
) -> Result<Approval, Refused> {
    let (true, Some(policy)) = (approval.is_open(now), &approval.policy) else { return Err(Refused::Over) };
    check(approval, policy, person, ballot, standing)?;
    let mut after = approval.clone();
    if let Some(frozen) = standing.frozen.as_ref().filter(|_| ballot.overrides && !after.is_overridden(standing)) {
        let (by, until) = (person.key.clone(), frozen.until.timestamp());
        after.overridden = Some(Override { by, reason: ballot.comment.clone(), at: now, until });
    }
    after.updated_at = now;
    // Who may only put the freeze aside has done so with that.
    if ballot.choice == Choice::Reject || standing.is_asked(policy, &person.key) {
        after.votes.retain(|vote| vote.by != person.key);
        after.votes.push(Vote {
            by: person.key.clone(),
            choice: ballot.choice,
            comment: ballot.comment.clone(),
            via: person.via.clone(),
            at: now,
        });
    }
    match ballot.choice {
        Choice::Reject => {
            after.decide(Decision::Rejected { by: person.key.clone(), comment: ballot.comment.clone() }, now);
        }
        Choice::Approve => {
            let tally = tally(&after, standing);
            if tally.is_met() {
                after.decide(Decision::Approved { by: tally.counted.into_keys().collect() }, now);
            }
        }
    }
    Ok(after)
}

fn check(
    approval: &Approval,
    policy: &Policy,
    person: &Person,
    ballot: &Ballot,
    standing: &Standing,
) -> Result<(), Refused> {
    let may_override = standing.may_override.contains(&person.key);
    if !standing.is_asked(policy, &person.key) && !may_override {
        return Err(Refused::NotAsked);
    }
    let is_yes = ballot.choice == Choice::Approve;
    if is_yes && ballot.overrides && standing.frozen.is_none() {
        return Err(Refused::NotFrozen);
    }
    if is_yes {
        may_let_in(approval, policy, person, ballot, standing)?;
    }
    if !ballot.digits.trim().eq_ignore_ascii_case(approval.digits()) {
        return Err(Refused::WrongDigits);
    }
    if ballot.comment.chars().count() > COMMENT_CHARACTERS_MAX {
        return Err(Refused::CommentTooLong);
    }
    let says_why = !ballot.comment.trim().is_empty();
    if !says_why && (!is_yes || (ballot.overrides && standing.frozen.is_some())) {
        return Err(Refused::NoComment);
    }
    Ok(())
}

/// What stands against a yes of this person.
fn may_let_in(
    approval: &Approval,
    policy: &Policy,
    person: &Person,
    ballot: &Ballot,
    standing: &Standing,
) -> Result<(), Refused> {
    if let Some(why) = standing.barred(policy, &person.key) {
        return Err(Refused::Barred { why: why.to_owned() });
    }
    if approval.subject.sha.is_none() {
        return Err(Refused::NoCommit);
    }
    if !standing.blocked.is_empty() {
        return Err(Refused::Blocked { why: standing.blocked.clone() });
    }
    match &standing.frozen {
        None => {}
        Some(_) if approval.is_overridden(standing) => {}
        Some(_) if ballot.overrides && standing.may_override.contains(&person.key) => return Ok(()),
        Some(_) if ballot.overrides => return Err(Refused::MayNotOverride),
        Some(frozen) => return Err(Refused::Frozen { until: shown::zoned(&frozen.until) }),
    }
    // Who is asked only to put a freeze aside has no vote.
    if standing.is_asked(policy, &person.key) { Ok(()) } else { Err(Refused::NotAsked) }
}
