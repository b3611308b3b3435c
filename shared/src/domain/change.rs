//! What happened on GitHub, read once at the edge: everything after the webhook matches on [`Change`].
//!
//! A `Change` carries facts only. Whether it starts anything is decided in [`super::routing`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One verified delivery, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The `X-GitHub-Delivery` GUID. It is not signed: never an identity, only a name.
    pub delivery: DeliveryId,
    /// When the webhook answered, by our clock.
    pub received_at: Timestamp,
    /// `None` for events that belong to no repository (an organisation's, say).
    pub repository: Option<Repository>,
    /// The login of whoever caused it, as GitHub reports it.
    pub sender: Option<String>,
    /// What happened.
    pub kind: ChangeKind,
}

impl Change {
    /// The change as a delivery's record keeps it: what a push lists of its commits has an item of its own.
    pub fn for_record(&self) -> Self {
        let mut change = self.clone();
        if let ChangeKind::Push(push) = &mut change.kind {
            push.listed = None;
        }
        change
    }
}

/// A repository. The id is the identity: names change and compare without case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// GitHub's numeric id.
    pub id: u64,
    /// `owner/name`, as GitHub spells it.
    pub full_name: String,
}

/// The kinds of change that Pointsman tells apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A branch or a tag moved, appeared or went.
    Push(Push),
    /// A pull request was opened, updated, closed …
    PullRequest(PullRequest),
    /// A GitHub Actions run changed.
    WorkflowRun(WorkflowRun),
    /// A release changed.
    Release(Release),
    /// `create`: a branch or tag appeared. It starts nothing, since a push tells the same.
    Created(GitRef),
    /// `delete`: a branch or tag went. It starts nothing.
    Deleted(GitRef),
    /// Any other event; recorded as ignored.
    Other {
        /// The `X-GitHub-Event` name.
        event: String,
    },
}

impl ChangeKind {
    /// The `X-GitHub-Event` name of this kind.
    pub fn event(&self) -> &str {
        match self {
            Self::Push(_) => "push",
            Self::PullRequest(_) => "pull_request",
            Self::WorkflowRun(_) => "workflow_run",
            Self::Release(_) => "release",
            Self::Created(_) => "create",
            Self::Deleted(_) => "delete",
            Self::Other { event } => event,
        }
    }
}

/// A push. `before` and `after` are what the ref pointed at; for an annotated tag that is the tag object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// What moved.
    pub git_ref: GitRef,
    /// Where it pointed before; [`Sha::ZERO`] when it is new.
    pub before: Sha,
    /// Where it points now; [`Sha::ZERO`] when it is gone.
    pub after: Sha,
    /// `head_commit`: the commit to build. `None` for a deletion, and for a tag of something that is no commit.
    pub head: Option<Commit>,
    /// `repository.pushed_at`, in seconds since the epoch; may be missing.
    pub pushed_at: Option<i64>,
    /// GitHub says that the ref is new.
    pub created: bool,
    /// GitHub says that the ref is gone.
    pub deleted: bool,
    /// The new head does not descend from the old one.
    pub forced: bool,
    /// Who pushed: a login.
    pub pusher: Option<String>,
    /// The e-mail address that GitHub tells of whoever pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pusher_email: Option<String>,
    /// Which files changed, where that can be known.
    pub paths: Paths,
    /// What GitHub lists of its commits. `None` where that is not told: in what an older version queued, and in a
    /// delivery's record ([`Change::for_record`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Box<Listed>>,
}

/// What a push lists of its commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// How many are listed. GitHub lists 2,048 at most: that many may stand for more.
    pub count: usize,
    /// The newest of them for people to read, the newest first: as many as are carried.
    pub newest: Vec<Commit>,
    /// Who wrote and who committed them, all of them.
    pub people: People,
}

/// The authors and committers of a push, or why they cannot be known. They bar people, and never let anybody in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum People {
    /// Every one of them, each once. GitHub itself is nobody.
    Known(Vec<Person>),
    /// The commit list does not tell.
    NotKnowable(PeopleUnknown),
}

/// Why the authors and committers of a push cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeopleUnknown {
    /// The push came without its commits: an older version queued it.
    NotTold,
    /// The ref is new: the list starts at a base that we do not know.
    Created,
    /// The push was forced: what it dropped is not listed.
    Forced,
    /// No commit is listed.
    NoCommits,
    /// GitHub lists at most 2,048 commits: that many may have been cut off.
    TooManyCommits,
    /// The commit that the push ended at is not in the list: it is a list of something else.
    WithoutHead,
    /// A commit has an author or a committer without a login and an e-mail address.
    Nameless,
    /// More people than we carry.
    TooManyPeople,
}

/// A commit, as far as people want to see it. Whoever wrote it chose every byte but the SHA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The commit's id.
    pub sha: Sha,
    /// The message's first line, cut at 200 characters.
    pub title: String,
    /// Who wrote it.
    pub author: Person,
    /// Who committed it.
    pub committer: Person,
}

/// Somebody named by a commit, which git does not prove, or by GitHub.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name they gave.
    pub name: String,
    /// The e-mail address they gave.
    pub email: Option<String>,
    /// The GitHub login, where GitHub found one.
    pub login: Option<String>,
}

/// Whether somebody with these names is GitHub itself, which commits what people merge or edit on its pages.
pub fn is_github(login: Option<&str>, email: Option<&str>) -> bool {
    match (login, email) {
        (Some(login), _) => login.eq_ignore_ascii_case("web-flow"),
        (None, Some(email)) => email.eq_ignore_ascii_case("noreply@github.com"),
        (None, None) => false,
    }
}

/// The changed files of a push, or why they cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paths {
    /// Every file that the push added, changed or removed, each once.
    Known(Vec<String>),
    /// The commit list does not tell; every path filter matches then.
    NotKnowable(PathsUnknown),
}

/// Why the changed files of a push cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathsUnknown {
    /// The ref is new: the list starts at a base that we do not know.
    Created,
    /// The push was forced: what it dropped is not listed.
    Forced,
    /// No commit is listed.
    NoCommits,
    /// GitHub lists at most 2,048 commits: that many may have been cut off.
    TooManyCommits,
    /// More paths than we carry.
    TooManyPaths,
}

impl fmt::Display for PathsUnknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Created => "created",
            Self::Forced => "forced",
            Self::NoCommits => "no commits listed",
            Self::TooManyCommits => "too many commits",
            Self::TooManyPaths => "too many paths",
        })
    }
}

/// A pull request event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// `opened`, `synchronize`, `closed` …
    pub action: String,
    /// The head commit.
    pub head: Sha,
    /// The branch that it comes from.
    pub head_ref: String,
    /// Where that branch lives; `None` when the fork was deleted, which counts as a fork.
    pub head_repository: Option<u64>,
    /// The branch that it wants to enter.
    pub base_ref: String,
    /// When it last changed, in seconds since the epoch.
    pub updated_at: Option<i64>,
}

/// A GitHub Actions run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRun {
    /// The run's id.
    pub id: u64,
    /// 1 for the first attempt.
    pub attempt: u64,
    /// `requested`, `in_progress` or `completed`.
    pub action: String,
    /// `success`, `failure` …; `None` until it is completed.
    pub conclusion: Option<String>,
    /// The event that started the run.
    pub event: String,
    /// The workflow's name, as its file gives it.
    pub workflow: String,
    /// The branch of the run. A fork's branch may be called `main`.
    pub head_branch: Option<String>,
    /// The commit of the run.
    pub head: Sha,
    /// Where the commit lives; `None` counts as a fork.
    pub head_repository: Option<u64>,
    /// When the run was created, in seconds since the epoch.
    pub created_at: Option<i64>,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The release's id.
    pub id: u64,
    /// `published`, `created`, `released` …
    pub action: String,
    /// The tag's short name.
    pub tag: String,
    /// What the tag was made from: a SHA or a branch name. GitHub ignores it where the tag already existed.
    pub target: String,
    /// When it was published, in seconds since the epoch.
    pub published_at: Option<i64>,
}

/// A full ref, parsed once. A tag may be called `main`, so short names never stand alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum GitRef {
    /// `refs/heads/NAME`
    Branch(String),
    /// `refs/tags/NAME`
    Tag(String),
    /// Anything else, whole.
    Other(String),
}

impl From<String> for GitRef {
    fn from(full: String) -> Self {
        if let Some(name) = full.strip_prefix("refs/heads/").filter(|name| !name.is_empty()) {
            Self::Branch(name.to_owned())
        } else if let Some(name) = full.strip_prefix("refs/tags/").filter(|name| !name.is_empty()) {
            Self::Tag(name.to_owned())
        } else {
            Self::Other(full)
        }
    }
}

impl From<GitRef> for String {
    fn from(git_ref: GitRef) -> Self {
        git_ref.to_string()
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(formatter, "refs/heads/{name}"),
            Self::Tag(name) => write!(formatter, "refs/tags/{name}"),
            Self::Other(full) => formatter.write_str(full),
        }
    }
}

/// A SHA-1 object id: exactly 40 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Sha(String);

impl Sha {
    /// The number of hexadecimal digits.
    pub const DIGITS: usize = 40;
    /// What GitHub sends where there is no object.
    pub const ZERO: &str = "0000000000000000000000000000000000000000";

    /// Whether this stands for "no object".
    pub fn is_zero(&self) -> bool {
        self.0 == Self::ZERO
    }

    /// The 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, as people quote it.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

/// Something that was to be a SHA is not 40 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a commit id: expected 40 lowercase hexadecimal digits")]
pub struct NotASha;

impl TryFrom<String> for Sha {
    type Error = NotASha;

    fn try_from(text: String) -> Result<Self, NotASha> {
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == Self::DIGITS && is_hex { Ok(Self(text)) } else { Err(NotASha) }
    }
}

impl std::str::FromStr for Sha {
    type Err = NotASha;

    fn from_str(text: &str) -> Result<Self, NotASha> {
        Self::try_from(text.to_owned())
    }
}

impl From<Sha> for String {
    fn from(sha: Sha) -> Self {
        sha.0
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The `X-GitHub-Delivery` header: 1 to 64 letters, digits and dashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DeliveryId(String);

impl DeliveryId {
    /// The longest name that is taken for one, in characters. GitHub's have 36.
    pub const MAX_CHARACTERS: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Something that was to name a delivery does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a delivery id: expected 1 to 64 letters, digits and dashes")]
pub struct NotADeliveryId;

impl TryFrom<String> for DeliveryId {
    type Error = NotADeliveryId;

    fn try_from(text: String) -> Result<Self, NotADeliveryId> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if (1..=Self::MAX_CHARACTERS).contains(&text.len()) && is_plain { Ok(Self(text)) } else { Err(NotADeliveryId) }
    }
}

impl std::str::FromStr for DeliveryId {
    type Err = NotADeliveryId;

    fn from_str(text: &str) -> Result<Self, NotADeliveryId> {
        Self::try_from(text.to_owned())
    }
}

impl From<DeliveryId> for String {
    fn from(id: DeliveryId) -> Self {
        id.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
