//! The payload: a verified body becomes one [`Change`], or a sentence that says why not.
//!
//! The structs below borrow from the body and name only the fields that matter; serde skips the rest. They are
//! lenient where GitHub is (fields that may be null or missing) and strict where a guess would be dangerous.
//! `repository.pushed_at` is an integer in `push` and a string elsewhere, so no Repository type is shared.

use super::commits::{CommitPayload, Commits, address};
use super::signature::Delivery;
use crate::domain::change::{
    Change, ChangeKind, Commit, DeliveryId, GitRef, Listed, PullRequest, Push, Release, Repository, Sha, WorkflowRun,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The largest body that is read, in bytes. Lambda takes 6 MB, base64 included; above it GitHub's delivery
/// would not reach us at all.
pub const PAYLOAD_BYTES_MAX: usize = 4_500_000;
/// The longest ref, in bytes. Git's own limit on most file systems is 255 a segment.
const REF_BYTES_MAX: usize = 1_024;
/// The longest event name, in characters. GitHub's longest has 40.
const EVENT_CHARACTERS_MAX: usize = 64;
/// Names and titles are cut at this many characters.
const TEXT_CHARACTERS_MAX: usize = 200;
/// The longest `owner/name`, in bytes: 39 for an owner, 100 for a name.
const FULL_NAME_BYTES_MAX: usize = 140;

/// What a delivery says.
#[derive(Debug, PartialEq, Eq)]
pub enum Payload {
    /// GitHub tries the hook out.
    Ping,
    /// Something happened.
    Change(Box<Change>),
}

/// Why a verified delivery cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Neither JSON nor a form.
    #[error("the content type must be application/json or application/x-www-form-urlencoded")]
    ContentType,
    /// A header that GitHub always sends is missing, doubled or malformed.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// The form has not exactly one field `payload`.
    #[error("the form must have exactly one field: payload")]
    Form,
    /// Not JSON, or not what this event looks like. Says where, never what.
    #[error("the body is not a payload of this event: {0}")]
    Body(String),
}

impl From<serde_json::Error> for PayloadError {
    fn from(error: serde_json::Error) -> Self {
        use serde_json::error::Category;
        let what = match error.classify() {
            Category::Data => "a field is missing, doubled or of the wrong kind",
            Category::Syntax => "not JSON",
            Category::Eof => "the JSON ends early",
            Category::Io => "not readable",
        };
        // serde's own text may quote the body: the caller gets the place alone.
        Self::Body(format!("{what} (line {}, column {})", error.line(), error.column()))
    }
}

/// Reads a verified delivery. `received_at` is the time of receipt by our clock.
///
/// # Errors
/// [`PayloadError`], with a sentence that may be sent to the caller.
pub fn read(delivery: &Delivery<'_>, received_at: Timestamp) -> Result<Payload, PayloadError> {
    let json = json_of(delivery)?;
    let event = delivery.event.filter(|name| is_event_name(name)).ok_or(PayloadError::Header("X-GitHub-Event"))?;
    let id =
        delivery.id.and_then(|id| id.parse::<DeliveryId>().ok()).ok_or(PayloadError::Header("X-GitHub-Delivery"))?;
    // serde would take a list for a struct, field by field.
    if json.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('[') {
        return Err(PayloadError::Body("not a JSON object".to_owned()));
    }
    let facts = match event {
        "ping" => {
            serde_json::from_str::<Envelope<'_>>(&json)?;
            return Ok(Payload::Ping);
        }
        "push" => serde_json::from_str::<PushPayload<'_>>(&json)?.facts()?,
        "pull_request" => serde_json::from_str::<PullRequestPayload<'_>>(&json)?.facts()?,
        "workflow_run" => serde_json::from_str::<WorkflowRunPayload<'_>>(&json)?.facts()?,
        "release" => serde_json::from_str::<ReleasePayload<'_>>(&json)?.facts()?,
        "create" => serde_json::from_str::<RefPayload<'_>>(&json)?.facts(ChangeKind::Created)?,
        "delete" => serde_json::from_str::<RefPayload<'_>>(&json)?.facts(ChangeKind::Deleted)?,
        other => serde_json::from_str::<Envelope<'_>>(&json)?.facts(other),
    };
    Ok(Payload::Change(Box::new(Change {
        delivery: id,
        received_at,
        repository: facts.repository.map(checked_repository).transpose()?,
        sender: facts.sender.map(|sender| cut(&sender.login)),
        kind: facts.kind,
    })))
}

/// The JSON text of a delivery, out of its form where it came as one.
fn json_of<'a>(delivery: &Delivery<'a>) -> Result<Cow<'a, str>, PayloadError> {
    let essence = delivery.content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        let text = std::str::from_utf8(delivery.body).map_err(|_| PayloadError::Body("not UTF-8".to_owned()))?;
        return Ok(Cow::Borrowed(text));
    }
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(PayloadError::ContentType);
    }
    let mut fields = form_urlencoded::parse(delivery.body).filter(|(name, _)| name == "payload");
    match (fields.next(), fields.next()) {
        (Some((_, json)), None) => Ok(json),
        _ => Err(PayloadError::Form),
    }
}

fn is_event_name(name: &str) -> bool {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    (1..=EVENT_CHARACTERS_MAX).contains(&name.len()) && is_plain
}

fn checked_repository(repository: RepositoryPayload<'_>) -> Result<Repository, PayloadError> {
    let name = repository.full_name.0;
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let is_name = name.split_once('/').is_some_and(|(owner, name)| is_plain(owner) && is_plain(name));
    if !is_name || name.len() > FULL_NAME_BYTES_MAX {
        return Err(PayloadError::Body("repository.full_name is not owner/name".to_owned()));
    }
    Ok(Repository { id: repository.id, full_name: name.into_owned() })
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARACTERS_MAX).collect()
}

/// A branch's or tag's short name, whole or not at all: cut, it would be another ref's name.
fn bounded_name(name: String) -> Result<String, PayloadError> {
    if name.len() > REF_BYTES_MAX {
        return Err(PayloadError::Body(format!("a ref is longer than {REF_BYTES_MAX} bytes")));
    }
    Ok(name)
}

fn bounded_ref(full: String) -> Result<GitRef, PayloadError> {
    if full.is_empty() || full.len() > REF_BYTES_MAX {
        return Err(PayloadError::Body(format!("the ref is empty or longer than {REF_BYTES_MAX} bytes")));
    }
    Ok(GitRef::from(full))
}

/// Seconds since the epoch, from whichever of its forms GitHub used; `None` for a text that tells no time.
struct Moment(Option<i64>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An untagged enum would first keep whatever stands there, however large.
        deserializer.deserialize_any(MomentVisitor)
    }
}

struct MomentVisitor;

impl Visitor<'_> for MomentVisitor {
    type Value = Moment;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("seconds since the epoch, or a time as text")
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Moment, E> {
        Ok(Moment(Some(seconds)))
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Moment, E> {
        i64::try_from(seconds).map(|seconds| Moment(Some(seconds))).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
        Ok(Moment(text.parse::<Timestamp>().ok().map(Timestamp::as_second)))
    }
}

/// A string that borrows where JSON has no escape in it. (A plain `Cow` inside a list never borrows.)
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What every payload has.
struct Facts<'a> {
    repository: Option<RepositoryPayload<'a>>,
    sender: Option<SenderPayload<'a>>,
    kind: ChangeKind,
}

#[derive(Deserialize)]
struct RepositoryPayload<'a> {
    id: u64,
    #[serde(borrow)]
    full_name: Text<'a>,
}

#[derive(Deserialize)]
struct SenderPayload<'a> {
    #[serde(borrow)]
    login: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    repository: Option<RepositoryPayload<'a>>,
    #[serde(borrow)]
    sender: Option<SenderPayload<'a>>,
}

impl<'a> Envelope<'a> {
    fn facts(self, event: &str) -> Facts<'a> {
        Facts { repository: self.repository, sender: self.sender, kind: ChangeKind::Other { event: event.to_owned() } }
    }
}

#[derive(Deserialize)]
struct PushPayload<'a> {
    #[serde(rename = "ref")]
    git_ref: String,
    before: Sha,
    after: Sha,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    #[serde(borrow)]
    head_commit: Option<CommitPayload<'a>>,
    #[serde(borrow, default)]
    commits: Option<Commits<'a>>,
    #[serde(borrow)]
    repository: PushRepositoryPayload<'a>,
    #[serde(borrow)]
    pusher: Option<PusherPayload<'a>>,
    #[serde(borrow)]
    sender: Option<SenderPayload<'a>>,
}

#[derive(Deserialize)]
struct PushRepositoryPayload<'a> {
    id: u64,
    #[serde(borrow)]
    full_name: Text<'a>,
    pushed_at: Option<Moment>,
}

#[derive(Deserialize)]
struct PusherPayload<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    email: Option<Text<'a>>,
}

impl<'a> PushPayload<'a> {
    fn facts(self) -> Result<Facts<'a>, PayloadError> {
        let commits = self.commits.unwrap_or_default();
        let head = self.head_commit.map(Commit::from);
        let paths = commits.paths(self.created, self.forced);
        let people = commits.people(self.created, self.forced, head.as_ref().map(|head| &head.sha));
        let pusher_email = self.pusher.as_ref().and_then(|pusher| address(&pusher.email)).map(str::to_owned);
        let push = Push {
            git_ref: bounded_ref(self.git_ref)?,
            before: self.before,
            after: self.after,
            head,
            pushed_at: self.repository.pushed_at.and_then(|moment| moment.0),
            created: self.created,
            deleted: self.deleted,
            forced: self.forced,
            pusher: self.pusher.and_then(|pusher| pusher.name).map(|name| cut(&name.0)),
            pusher_email,
            paths,
            listed: Some(Box::new(Listed { count: commits.count(), newest: commits.newest(), people })),
        };
        Ok(Facts {
            repository: Some(RepositoryPayload { id: self.repository.id, full_name: self.repository.full_name }),
            sender: self.sender,
            kind: ChangeKind::Push(push),
        })
    }
}

#[derive(Deserialize)]
struct PullRequestPayload<'a> {
    action: String,
    pull_request: PullRequestDetail,
    #[serde(borrow)]
    repository: RepositoryPayload<'a>,
    #[serde(borrow)]
    sender: Option<SenderPayload<'a>>,
}

#[derive(Deserialize)]
struct PullRequestDetail {
    number: u64,
    head: BranchPayload,
    base: BranchPayload,
    updated_at: Option<Moment>,
}

#[derive(Deserialize)]
struct BranchPayload {
    #[serde(rename = "ref")]
    name: String,
    sha: Sha,
    repo: Option<RepositoryId>,
}

#[derive(Deserialize)]
struct RepositoryId {
    id: u64,
}

impl<'a> PullRequestPayload<'a> {
    fn facts(self) -> Result<Facts<'a>, PayloadError> {
        let request = self.pull_request;
        Ok(Facts {
            repository: Some(self.repository),
            sender: self.sender,
            kind: ChangeKind::PullRequest(PullRequest {
                number: request.number,
                action: cut(&self.action),
                head: request.head.sha,
                head_ref: bounded_name(request.head.name)?,
                head_repository: request.head.repo.map(|repository| repository.id),
                base_ref: bounded_name(request.base.name)?,
                updated_at: request.updated_at.and_then(|moment| moment.0),
            }),
        })
    }
}

#[derive(Deserialize)]
struct WorkflowRunPayload<'a> {
    action: String,
    #[serde(borrow)]
    workflow_run: WorkflowRunDetail<'a>,
    #[serde(borrow)]
    repository: RepositoryPayload<'a>,
    #[serde(borrow)]
    sender: Option<SenderPayload<'a>>,
}

#[derive(Deserialize)]
struct WorkflowRunDetail<'a> {
    id: u64,
    #[serde(default = "first_attempt")]
    run_attempt: u64,
    conclusion: Option<String>,
    event: String,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    head_branch: Option<String>,
    head_sha: Sha,
    head_repository: Option<RepositoryId>,
    created_at: Option<Moment>,
}

fn first_attempt() -> u64 {
    1
}

impl<'a> WorkflowRunPayload<'a> {
    fn facts(self) -> Result<Facts<'a>, PayloadError> {
        let run = self.workflow_run;
        Ok(Facts {
            repository: Some(self.repository),
            sender: self.sender,
            kind: ChangeKind::WorkflowRun(WorkflowRun {
                id: run.id,
                attempt: run.run_attempt,
                action: cut(&self.action),
                conclusion: run.conclusion.as_deref().map(cut),
                event: cut(&run.event),
                workflow: run.name.map(|name| cut(&name.0)).unwrap_or_default(),
                head_branch: run.head_branch.map(bounded_name).transpose()?,
                head: run.head_sha,
                head_repository: run.head_repository.map(|repository| repository.id),
                created_at: run.created_at.and_then(|moment| moment.0),
            }),
        })
    }
}

#[derive(Deserialize)]
struct ReleasePayload<'a> {
    action: String,
    release: ReleaseDetail,
    #[serde(borrow)]
    repository: RepositoryPayload<'a>,
    #[serde(borrow)]
    sender: Option<SenderPayload<'a>>,
}

#[derive(Deserialize)]
struct ReleaseDetail {
    id: u64,
    tag_name: String,
    #[serde(default)]
    target_commitish: String,
    published_at: Option<Moment>,
}

impl<'a> ReleasePayload<'a> {
    fn facts(self) -> Result<Facts<'a>, PayloadError> {
        let release = self.release;
        Ok(Facts {
            repository: Some(self.repository),
            sender: self.sender,
            kind: ChangeKind::Release(Release {
                id: release.id,
                action: cut(&self.action),
                tag: bounded_name(release.tag_name)?,
                target: bounded_name(release.target_commitish)?,
                published_at: release.published_at.and_then(|moment| moment.0),
            }),
        })
    }
}

#[derive(Deserialize)]
struct RefPayload<'a> {
    #[serde(rename = "ref")]
    name: String,
    #[serde(borrow)]
    ref_type: Text<'a>,
    #[serde(borrow)]
    repository: RepositoryPayload<'a>,
    #[serde(borrow)]
    sender: Option<SenderPayload<'a>>,
}

impl<'a> RefPayload<'a> {
    /// `create` and `delete` carry the short name and its kind apart.
    fn facts(self, kind: impl FnOnce(GitRef) -> ChangeKind) -> Result<Facts<'a>, PayloadError> {
        let full = match self.ref_type.0.as_ref() {
            "branch" => format!("refs/heads/{}", self.name),
            "tag" => format!("refs/tags/{}", self.name),
            _ => return Err(PayloadError::Body("ref_type is neither branch nor tag".to_owned())),
        };
        Ok(Facts { repository: Some(self.repository), sender: self.sender, kind: kind(bounded_ref(full)?) })
    }
}
