//! Who wrote what would go live, and which commits those are: told by a chain of recorded pushes.
//!
//! A push that is not forced lists every commit that its ref gained, those that came by a merge too. So pushes that
//! follow one another, each beginning where the one before ended, list together every commit between their two ends, on
//! whichever refs they were. What is found only ever bars people from approving; where a chain is not whole, that is
//! said.
//!
//! Source: GitHub's `push` lists all commits that are included in the comparison of `before` with `after`.

use super::change::{
    Change, ChangeKind, Commit, DeliveryId, GitRef, Listed, People, PeopleUnknown, Person, Repository, Sha, is_github,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// How many commits are looked at on the way back to the live one. At the bound the authors are not knowable.
pub const LOOKS_MAX: usize = 50;
/// How many commits are named. Older ones are counted and left out.
pub const COMMITS_MAX: usize = 50;
/// What GitHub's own addresses for people end in: `ID+LOGIN` or `LOGIN` stands before it.
const GITHUB_ADDRESS: &str = "@users.noreply.github.com";

/// A push as it is kept: from where to which commit, by whom, and what it lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedPush {
    /// What moved.
    pub git_ref: GitRef,
    /// Where it pointed before.
    pub before: Sha,
    /// The commit that it ended at; for an annotated tag the tagged one.
    pub commit: Sha,
    /// Who pushed: whom GitHub calls pusher, and the sender where that is somebody else. Their logins are certain.
    pub pushers: Vec<Person>,
    /// What GitHub lists of its commits.
    pub listed: Option<Box<Listed>>,
    /// Who told.
    pub delivery: DeliveryId,
    /// When, by our clock.
    pub received_at: Timestamp,
}

impl RecordedPush {
    /// The push that `change` tells of, with its repository. `None` for what is no push, for a deletion, and for a tag
    /// of something that is no commit.
    pub fn of(change: &Change) -> Option<(&Repository, Self)> {
        let (ChangeKind::Push(push), Some(repository)) = (&change.kind, &change.repository) else { return None };
        let commit = push.head.as_ref().filter(|_| !push.deleted)?.sha.clone();
        let pusher = push.pusher.as_ref().map(|login| account(login, push.pusher_email.clone()));
        let sender = change.sender.as_ref().filter(|login| push.pusher.as_ref() != Some(login));
        let recorded = Self {
            git_ref: push.git_ref.clone(),
            before: push.before.clone(),
            commit,
            pushers: pusher.into_iter().chain(sender.map(|login| account(login, None))).collect(),
            listed: push.listed.clone(),
            delivery: change.delivery.clone(),
            received_at: change.received_at,
        };
        Some((repository, recorded))
    }

    /// Who wrote and who committed what it brought, or why that cannot be known.
    fn people(&self) -> Result<&[Person], PeopleUnknown> {
        match self.listed.as_ref().map(|listed| &listed.people) {
            Some(People::Known(people)) => Ok(people),
            Some(People::NotKnowable(why)) => Err(*why),
            None => Err(PeopleUnknown::NotTold),
        }
    }

    /// Everybody who is known to have had a hand in it, whether or not these are all.
    fn known_people(&self) -> impl Iterator<Item = &Person> {
        let whole = self.people().unwrap_or_default();
        let newest = self.listed.iter().filter(|_| whole.is_empty()).flat_map(|listed| &listed.newest);
        let people = whole.iter().chain(newest.flat_map(|commit| [&commit.author, &commit.committer]));
        people.filter(|person| is_somebody(person.login.as_deref(), person.email.as_deref()))
    }

    fn gap(&self) -> Gap {
        let why = self.people().err().unwrap_or(PeopleUnknown::NotTold);
        Gap::Push { before: self.before.clone(), commit: self.commit.clone(), why }
    }
}

/// Whether these names are anybody's who could be compared with others.
fn is_somebody(login: Option<&str>, email: Option<&str>) -> bool {
    (login.is_some() || email.is_some()) && !is_github(login, email)
}

fn account(login: &str, email: Option<String>) -> Person {
    Person { name: login.to_owned(), email, login: Some(login.to_owned()) }
}

/// Who wrote what would go live.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authors {
    /// Its authors and committers, each once. Where there is a gap: those that are known.
    pub people: Vec<Person>,
    /// Those who pushed it, each once.
    pub pushers: Vec<Person>,
    /// Its commits, the newest first, [`COMMITS_MAX`] at most.
    pub commits: Vec<Commit>,
    /// How many are left out. Where there is a gap: of those that are known of.
    pub left_out: usize,
    /// Why these may not be all.
    pub gap: Option<Gap>,
}

impl Authors {
    /// What a chain of pushes tells, the newest first.
    fn of<'a>(chain: impl IntoIterator<Item = &'a RecordedPush>, gap: Option<Gap>) -> Self {
        let (mut people, mut pushers) = (BTreeMap::new(), BTreeMap::new());
        let (mut commits, mut seen, mut left_out) = (Vec::new(), BTreeSet::new(), 0);
        for push in chain {
            for person in push.known_people() {
                people.entry(identity(person)).or_insert_with(|| person.clone());
            }
            for pusher in &push.pushers {
                pushers.entry(identity(pusher)).or_insert_with(|| pusher.clone());
            }
            if let Some(listed) = &push.listed {
                left_out += listed.count.saturating_sub(listed.newest.len());
                commits.extend(listed.newest.iter().filter(|commit| seen.insert(commit.sha.clone())).cloned());
            }
        }
        left_out += commits.len().saturating_sub(COMMITS_MAX);
        commits.truncate(COMMITS_MAX);
        let (people, pushers) = (people.into_values().collect(), pushers.into_values().collect());
        Self { people, pushers, commits, left_out, gap }
    }

    /// Takes in what was found on the way to another version: whoever wrote anything on either way wrote it. The commits
    /// are those of the longer way.
    pub fn join(&mut self, other: Self) {
        let add = |mine: &mut Vec<Person>, theirs: Vec<Person>| {
            for person in theirs {
                if mine.iter().all(|known| identity(known) != identity(&person)) {
                    mine.push(person);
                }
            }
        };
        add(&mut self.people, other.people);
        add(&mut self.pushers, other.pushers);
        if other.commits.len() + other.left_out > self.commits.len() + self.left_out {
            (self.commits, self.left_out) = (other.commits, other.left_out);
        }
        self.gap = self.gap.take().or(other.gap);
    }

    /// Whether somebody with this e-mail address and GitHub login wrote, committed or pushed any of it, as far as is
    /// known.
    pub fn is_one_of_them(&self, email: &str, github: Option<&str>) -> bool {
        self.people.iter().chain(&self.pushers).any(|person| is_same(person, email, github))
    }
}

/// Whether two are one: by either name, without case.
fn is_same(person: &Person, email: &str, github: Option<&str>) -> bool {
    let theirs = person.email.as_deref().map(str::to_lowercase);
    let logins = [person.login.as_deref(), theirs.as_deref().and_then(login_of_address)];
    let is_login = github.is_some_and(|github| logins.iter().flatten().any(|login| login.eq_ignore_ascii_case(github)));
    is_login || theirs.is_some_and(|theirs| theirs == email.to_lowercase())
}

/// The login in an address that GitHub gives to people who hide theirs.
fn login_of_address(lowercase: &str) -> Option<&str> {
    lowercase.strip_suffix(GITHUB_ADDRESS)?.rsplit('+').next()
}

/// What tells people apart: both names, without case.
fn identity(person: &Person) -> (Option<String>, Option<String>) {
    (person.login.as_deref().map(str::to_lowercase), person.email.as_deref().map(str::to_lowercase))
}

/// Why a chain is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// No push is recorded that ended there.
    NoPush {
        /// The commit.
        commit: Sha,
    },
    /// A push does not tell who wrote what it brought.
    Push {
        /// From where.
        before: Sha,
        /// To where.
        commit: Sha,
        /// Why not.
        why: PeopleUnknown,
    },
    /// The recorded pushes lead on from there, and were followed no further.
    TooFar {
        /// The commit.
        commit: Sha,
    },
    /// The recorded pushes lead in a circle.
    Circle {
        /// The commit that they all lead back to.
        commit: Sha,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, commit, why) = match self {
            Self::NoPush { commit } => {
                return write!(formatter, "no push that ended at {} is recorded", commit.short());
            }
            Self::TooFar { commit } => {
                return write!(formatter, "the recorded pushes lead further back than {}", commit.short());
            }
            Self::Circle { commit } => {
                return write!(formatter, "the recorded pushes that end at {} lead in a circle", commit.short());
            }
            Self::Push { before, commit, why } => (before.short(), commit.short(), why),
        };
        let what = match why {
            PeopleUnknown::Created => return write!(formatter, "the push that ended at {commit} made a new ref"),
            PeopleUnknown::NotTold => "was recorded without its commits",
            PeopleUnknown::Forced => "was forced",
            PeopleUnknown::NoCommits => "lists no commits",
            PeopleUnknown::TooManyCommits => "has more commits than GitHub lists",
            PeopleUnknown::WithoutHead => "does not list the commit that it ended at",
            PeopleUnknown::Nameless => "has a commit that names nobody",
            PeopleUnknown::TooManyPeople => "has more authors than are kept",
        };
        write!(formatter, "the push from {before} to {commit} {what}")
    }
}

/// The way back from a candidate to what is live, breadth first over the recorded pushes of a repository.
///
/// The pushes are read in between: whoever walks asks what is [`Walk::wanted`], tells what was [`Walk::found`], and
/// [`Walk::finish`]es when nothing is wanted any more.
#[derive(Debug)]
pub struct Walk {
    live: Option<Sha>,
    candidate: Sha,
    /// The commits to look at, the nearest first.
    waiting: VecDeque<Sha>,
    looks: usize,
    /// By which push each commit was reached: one that began there.
    reached_by: BTreeMap<Sha, RecordedPush>,
    /// With nothing live: the pushes that tell.
    alone: Vec<RecordedPush>,
    /// The last commit that no push led on from, with the newest of those that might have.
    dead_end: Option<(Sha, Option<RecordedPush>)>,
}

impl Walk {
    /// The way from `candidate` back to `live`; with nothing live, the candidate's own push.
    pub fn new(live: Option<Sha>, candidate: Sha) -> Self {
        let waiting = if live.as_ref() == Some(&candidate) { VecDeque::new() } else { [candidate.clone()].into() };
        Self { live, candidate, waiting, looks: 0, reached_by: BTreeMap::new(), alone: Vec::new(), dead_end: None }
    }

    /// The commit whose pushes are to be looked at next; `None` at the end.
    pub fn wanted(&self) -> Option<&Sha> {
        self.waiting.front().filter(|_| self.looks < LOOKS_MAX)
    }

    /// Takes in the pushes that ended at the wanted commit, in any order.
    pub fn found(&mut self, mut pushes: Vec<RecordedPush>) {
        let Some(commit) = self.waiting.pop_front() else { return };
        self.looks += 1;
        pushes.retain(|push| push.commit == commit);
        // The newest first; the rest of the order only makes it one.
        pushes.sort_by(|one, other| {
            let names = (&one.git_ref, &one.before).cmp(&(&other.git_ref, &other.before));
            other.received_at.cmp(&one.received_at).then(names)
        });
        let (steps, others): (Vec<_>, Vec<_>) = pushes.into_iter().partition(|push| push.people().is_ok());
        if steps.is_empty() {
            self.dead_end = Some((commit, others.into_iter().next()));
        } else if self.live.is_none() {
            self.alone = steps;
        } else {
            steps.into_iter().for_each(|step| self.step(step));
        }
    }

    fn step(&mut self, push: RecordedPush) {
        let before = push.before.clone();
        if before == self.candidate || self.is_there() || self.reached_by.contains_key(&before) {
            return;
        }
        self.waiting.push_back(before.clone());
        self.reached_by.insert(before, push);
        if self.is_there() {
            self.waiting.clear();
        }
    }

    fn is_there(&self) -> bool {
        self.live.as_ref().is_some_and(|live| *live == self.candidate || self.reached_by.contains_key(live))
    }

    /// What the walk found.
    pub fn finish(self) -> Authors {
        if let Some(live) = self.live.as_ref().filter(|_| self.is_there()) {
            return Authors::of(self.path_from(live), None);
        }
        if !self.alone.is_empty() {
            return Authors::of(&self.alone, None);
        }
        match (self.waiting.front(), &self.dead_end) {
            (Some(commit), _) => Authors::of(self.path_from(commit), Some(Gap::TooFar { commit: commit.clone() })),
            (None, Some((commit, last))) => {
                let gap = last.as_ref().map_or_else(|| Gap::NoPush { commit: commit.clone() }, RecordedPush::gap);
                Authors::of(self.path_from(commit).into_iter().chain(last), Some(gap))
            }
            (None, None) => Authors::of([], Some(Gap::Circle { commit: self.candidate.clone() })),
        }
    }

    /// The pushes from the candidate back to `end`, the newest first.
    fn path_from(&self, end: &Sha) -> Vec<&RecordedPush> {
        let from = |commit| self.reached_by.get(commit);
        let mut path: Vec<_> = std::iter::successors(from(end), |push| from(&push.commit)).collect();
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests;
