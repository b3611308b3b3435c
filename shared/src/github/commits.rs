//! The commits that a push lists: which files they change, who made them, and the newest of them for people to read.
//!
//! A body may list thousands, so everything borrows from it, and only what is carried on is copied.

use super::payload::{Text, cut};
use crate::domain::change::{Commit, Paths, PathsUnknown, People, PeopleUnknown, Person, Sha, is_github};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

/// GitHub lists at most this many commits in a push: that many, and the list may have been cut off.
const COMMITS_LISTED_MAX: usize = 2_048;
/// What the changed paths may weigh as JSON, in bytes: more are "not knowable". A DynamoDB item holds 400 KB.
const PATHS_JSON_BYTES_MAX: usize = 240_000;
/// How many people a push carries: more are "not knowable".
const PEOPLE_MAX: usize = 100;
/// What they may weigh as JSON, in bytes: more are "not knowable". An SQS message holds 1 MB.
const PEOPLE_JSON_BYTES_MAX: usize = 60_000;
/// How many of the newest commits a push carries; older ones are counted and left out.
const NEWEST_MAX: usize = 30;
/// What they may weigh as JSON, in bytes; older ones are left out.
const NEWEST_JSON_BYTES_MAX: usize = 60_000;
/// The longest e-mail address, in bytes. A longer text is none. Source: RFC 5321, a path of 256 with its brackets.
const EMAIL_BYTES_MAX: usize = 254;

/// The commit that a push ended at.
#[derive(Deserialize)]
pub(super) struct CommitPayload<'a> {
    id: Sha,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    author: Option<PersonPayload<'a>>,
    #[serde(borrow)]
    committer: Option<PersonPayload<'a>>,
}

impl From<CommitPayload<'_>> for Commit {
    fn from(commit: CommitPayload<'_>) -> Self {
        commit_of(commit.id, commit.message, commit.author.as_ref(), commit.committer.as_ref())
    }
}

fn commit_of(
    sha: Sha,
    message: Option<Text<'_>>,
    author: Option<&PersonPayload<'_>>,
    committer: Option<&PersonPayload<'_>>,
) -> Commit {
    let message = message.map(|message| message.0).unwrap_or_default();
    Commit {
        sha,
        title: cut(message.lines().next().unwrap_or_default()),
        author: author.map(PersonPayload::person).unwrap_or_default(),
        committer: committer.map(PersonPayload::person).unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct PersonPayload<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    email: Option<Text<'a>>,
    #[serde(borrow)]
    username: Option<Text<'a>>,
}

/// What somebody is compared by: a login, an e-mail address, or both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Named<'a> {
    login: Option<&'a str>,
    email: Option<&'a str>,
}

impl PersonPayload<'_> {
    fn person(&self) -> Person {
        let text = |text: &Option<Text<'_>>| text.as_ref().map(|text| cut(&text.0));
        Person { name: text(&self.name).unwrap_or_default(), email: text(&self.email), login: text(&self.username) }
    }

    /// By what they are compared, and the name they gave. `None` where there is nothing to compare them by.
    fn named(&self) -> Option<(Named<'_>, &str)> {
        let named = Named { login: said(&self.username), email: address(&self.email) };
        let is_anybody = named.login.is_some() || named.email.is_some();
        is_anybody.then(|| (named, said(&self.name).unwrap_or_default()))
    }
}

fn said<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|text| text.0.as_ref()).filter(|text| !text.is_empty())
}

/// An e-mail address, whole or not at all: cut, it would be another's.
pub(super) fn address<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    said(text).filter(|email| email.len() <= EMAIL_BYTES_MAX)
}

impl Named<'_> {
    fn person(self, name: &str) -> Person {
        Person { name: cut(name), email: self.email.map(str::to_owned), login: self.login.map(str::to_owned) }
    }

    fn is_github(self) -> bool {
        is_github(self.login, self.email)
    }
}

#[derive(Deserialize)]
struct ListedCommit<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    /// Read of the newest alone: messages are long.
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    author: Option<PersonPayload<'a>>,
    #[serde(borrow)]
    committer: Option<PersonPayload<'a>>,
    #[serde(borrow, default)]
    added: Vec<Text<'a>>,
    #[serde(borrow, default)]
    removed: Vec<Text<'a>>,
    #[serde(borrow, default)]
    modified: Vec<Text<'a>>,
}

/// The listed commits, the oldest first, as many as can tell anything: from [`COMMITS_LISTED_MAX`] on, the rest is
/// passed over unread.
#[derive(Default)]
pub(super) struct Commits<'a>(Vec<ListedCommit<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Commits<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CommitsVisitor(PhantomData))
    }
}

struct CommitsVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for CommitsVisitor<'a> {
    type Value = Commits<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of commits")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut commits = Commits::default();
        while let Some(commit) = list.next_element()? {
            commits.0.push(commit);
            if commits.0.len() == COMMITS_LISTED_MAX {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(commits)
    }
}

impl Commits<'_> {
    /// How many there are, [`COMMITS_LISTED_MAX`] at most.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Which files changed, or why that cannot be known from a push event.
    pub(super) fn paths(&self, created: bool, forced: bool) -> Paths {
        let unknown = match self.0.len() {
            _ if created => Some(PathsUnknown::Created),
            _ if forced => Some(PathsUnknown::Forced),
            0 => Some(PathsUnknown::NoCommits),
            COMMITS_LISTED_MAX.. => Some(PathsUnknown::TooManyCommits),
            _ => None,
        };
        if let Some(why) = unknown {
            return Paths::NotKnowable(why);
        }
        let listed =
            self.0.iter().flat_map(|commit| commit.added.iter().chain(&commit.removed).chain(&commit.modified));
        let distinct: BTreeSet<&str> = listed.map(|path| path.0.as_ref()).collect();
        let weight: usize = distinct.iter().map(|path| json_bytes(path)).sum();
        if weight > PATHS_JSON_BYTES_MAX {
            return Paths::NotKnowable(PathsUnknown::TooManyPaths);
        }
        Paths::Known(distinct.into_iter().map(str::to_owned).collect())
    }

    /// Who wrote and who committed them, or why that cannot be known. `head` is the commit that the push ended at.
    pub(super) fn people(&self, created: bool, forced: bool, head: Option<&Sha>) -> People {
        let is_listed = |head: &Sha| self.0.iter().rev().any(|commit| said(&commit.id) == Some(head.as_str()));
        let unknown = match self.0.len() {
            _ if created => Some(PeopleUnknown::Created),
            _ if forced => Some(PeopleUnknown::Forced),
            0 => Some(PeopleUnknown::NoCommits),
            COMMITS_LISTED_MAX.. => Some(PeopleUnknown::TooManyCommits),
            _ if !head.is_some_and(is_listed) => Some(PeopleUnknown::WithoutHead),
            _ => None,
        };
        match unknown.map_or_else(|| self.distinct_people(), Err) {
            Ok(people) => People::Known(people),
            Err(why) => People::NotKnowable(why),
        }
    }

    fn distinct_people(&self) -> Result<Vec<Person>, PeopleUnknown> {
        let mut names = BTreeMap::new();
        for commit in &self.0 {
            let author =
                commit.author.as_ref().and_then(PersonPayload::named).filter(|(author, _)| !author.is_github());
            let committer = commit.committer.as_ref().and_then(PersonPayload::named);
            let (Some((author, name)), Some(committer)) = (author, committer) else {
                return Err(PeopleUnknown::Nameless);
            };
            names.entry(author).or_insert(name);
            if !committer.0.is_github() {
                names.entry(committer.0).or_insert(committer.1);
            }
            if names.len() > PEOPLE_MAX {
                return Err(PeopleUnknown::TooManyPeople);
            }
        }
        let people: Vec<Person> = names.into_iter().map(|(named, name)| named.person(name)).collect();
        let weight: usize = people.iter().map(person_json_bytes).sum();
        if weight > PEOPLE_JSON_BYTES_MAX { Err(PeopleUnknown::TooManyPeople) } else { Ok(people) }
    }

    /// The newest first, [`NEWEST_MAX`] at most, and no more than [`NEWEST_JSON_BYTES_MAX`] hold.
    pub(super) fn newest(&self) -> Vec<Commit> {
        let mut room = NEWEST_JSON_BYTES_MAX;
        let fits = |commit: &Commit| {
            let left = room.checked_sub(commit_json_bytes(commit));
            room = left.unwrap_or(0);
            left.is_some()
        };
        self.0.iter().rev().filter_map(ListedCommit::commit).take(NEWEST_MAX).take_while(fits).collect()
    }
}

impl ListedCommit<'_> {
    /// `None` where GitHub does not say which commit it is.
    fn commit(&self) -> Option<Commit> {
        let sha = said(&self.id)?.parse().ok()?;
        let message = self.message.and_then(|message| serde_json::from_str(message.get()).ok());
        Some(commit_of(sha, message, self.author.as_ref(), self.committer.as_ref()))
    }
}

/// How many bytes a commit takes as ASCII-escaped JSON in a list, at most.
fn commit_json_bytes(commit: &Commit) -> usize {
    const FIELDS: usize = r#"{"sha":"","title":,"author":,"committer":},"#.len() + Sha::DIGITS;
    FIELDS + json_bytes(&commit.title) + person_json_bytes(&commit.author) + person_json_bytes(&commit.committer)
}

/// The same of a person.
fn person_json_bytes(person: &Person) -> usize {
    const FIELDS: usize = r#"{"name":,"email":null,"login":null},"#.len();
    let texts = [Some(&person.name), person.email.as_ref(), person.login.as_ref()];
    FIELDS + texts.into_iter().flatten().map(|text| json_bytes(text)).sum::<usize>()
}

/// How many bytes `text` takes as ASCII-escaped JSON in a list, at most.
fn json_bytes(text: &str) -> usize {
    const QUOTES_AND_COMMA: usize = 3;
    const ESCAPE: usize = "\\u0000".len();
    let characters = text.chars().map(|character| match character {
        ' '..='~' if character != '"' && character != '\\' => 1,
        _ => ESCAPE * character.len_utf16(),
    });
    QUOTES_AND_COMMA + characters.sum::<usize>()
}
