//! One push, one start: which changes are repeats, and which of two pushes is the newer one.
//!
//! A delivery's GUID is not signed, so it identifies nothing. A push is identified by what it did.

use super::change::{Change, ChangeKind, DeliveryId, GitRef, Sha};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What identifies a change, whoever delivers it and however often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LogicalKey {
    /// A push is what it moved, from where to where, and when GitHub saw it.
    Push {
        /// The repository's id.
        repository: u64,
        /// The full ref.
        git_ref: GitRef,
        /// From where.
        before: Sha,
        /// To where.
        after: Sha,
        /// `repository.pushed_at`.
        pushed_at: Option<i64>,
    },
    /// One action on a pull request.
    PullRequest {
        /// The repository's id.
        repository: u64,
        /// Its number.
        number: u64,
        /// What was done.
        action: String,
        /// Its head then.
        head: Sha,
        /// When.
        updated_at: Option<i64>,
    },
    /// One step of one attempt of a workflow run.
    WorkflowRun {
        /// The repository's id.
        repository: u64,
        /// The run's id.
        run: u64,
        /// Which attempt.
        attempt: u64,
        /// `requested`, `in_progress`, `completed`.
        action: String,
    },
    /// One action on a release.
    Release {
        /// The repository's id.
        repository: u64,
        /// The release's id.
        release: u64,
        /// What was done.
        action: String,
        /// When it was published: one may be taken back and published again.
        published_at: Option<i64>,
    },
    /// A change that starts nothing is identified by its delivery alone.
    Delivery {
        /// The GUID.
        delivery: DeliveryId,
    },
}

impl LogicalKey {
    /// The key of `change`.
    pub fn of(change: &Change) -> Self {
        let by_delivery = || Self::Delivery { delivery: change.delivery.clone() };
        let Some(repository) = change.repository.as_ref().map(|repository| repository.id) else {
            return by_delivery();
        };
        match &change.kind {
            ChangeKind::Push(push) => Self::Push {
                repository,
                git_ref: push.git_ref.clone(),
                before: push.before.clone(),
                after: push.after.clone(),
                pushed_at: push.pushed_at,
            },
            ChangeKind::PullRequest(request) => Self::PullRequest {
                repository,
                number: request.number,
                action: request.action.clone(),
                head: request.head.clone(),
                updated_at: request.updated_at,
            },
            ChangeKind::WorkflowRun(run) => {
                Self::WorkflowRun { repository, run: run.id, attempt: run.attempt, action: run.action.clone() }
            }
            ChangeKind::Release(release) => Self::Release {
                repository,
                release: release.id,
                action: release.action.clone(),
                published_at: release.published_at,
            },
            ChangeKind::Created(_) | ChangeKind::Deleted(_) | ChangeKind::Other { .. } => by_delivery(),
        }
    }

    /// 64 hexadecimal digits that stand for the key: SHA-256 over its JSON.
    pub fn hash(&self) -> String {
        hash_of(self)
    }
}

/// SHA-256 over the JSON of `value`, as 64 hexadecimal digits.
pub fn hash_of(value: &impl Serialize) -> String {
    // Our own types always serialise; an empty text would hash all the same.
    hex_sha256(&serde_json::to_vec(value).unwrap_or_default())
}

/// SHA-256 over bytes, as 64 hexadecimal digits.
pub fn hex_sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The queue's message group: changes of one group keep their order.
///
/// Hexadecimal, since SQS takes no other than ASCII letters, digits and punctuation, and a ref may hold anything.
pub fn message_group(change: &Change) -> String {
    let repository = change.repository.as_ref().map_or(0, |repository| repository.id);
    match &change.kind {
        ChangeKind::Push(push) => hash_of(&(repository, &push.git_ref)),
        ChangeKind::Created(git_ref) | ChangeKind::Deleted(git_ref) => hash_of(&(repository, git_ref)),
        // Not the tag's own group: a release may have to wait for the push of its tag.
        ChangeKind::Release(release) => hash_of(&(repository, "release", release.id)),
        ChangeKind::PullRequest(request) => hash_of(&(repository, "pull_request", request.number)),
        ChangeKind::WorkflowRun(run) => match &run.head_branch {
            Some(branch) => hash_of(&(repository, "workflow_run", branch)),
            None => hash_of(&(repository, "workflow_run", run.id)),
        },
        ChangeKind::Other { event } => hash_of(&(repository, event)),
    }
}

/// The last push that was seen on a ref, whether it started anything or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenPush {
    /// From where.
    pub before: Sha,
    /// To where.
    pub after: Sha,
    /// `repository.pushed_at`.
    pub pushed_at: Option<i64>,
    /// The commit to build; for an annotated tag it is not `after`.
    pub commit: Option<Sha>,
    /// Who told.
    pub delivery: DeliveryId,
}

/// Whether a change was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Repeat {
    /// Never seen.
    New,
    /// Seen, under this very delivery: a redelivery, or a retry of our own.
    Same,
    /// Seen, under another delivery.
    Of(DeliveryId),
}

/// Decides whether `change` repeats another one.
///
/// `claimed_by` is who claimed its [`LogicalKey`]; `last` the last push seen on its ref. Two hooks may tell
/// different times for one push, so a push like the last one is a repeat whatever time it tells; once another
/// push came between, the same move is a new one (A→B, B→A, A→B are three pushes).
pub fn repeat(change: &Change, claimed_by: Option<&DeliveryId>, last: Option<&SeenPush>) -> Repeat {
    let seen_as = claimed_by.or_else(|| match (&change.kind, last) {
        (ChangeKind::Push(push), Some(last)) if push.before == last.before && push.after == last.after => {
            Some(&last.delivery)
        }
        _ => None,
    });
    match seen_as {
        None => Repeat::New,
        Some(delivery) if *delivery == change.delivery => Repeat::Same,
        Some(delivery) => Repeat::Of(delivery.clone()),
    }
}

/// How far ahead of our clock GitHub's may be, in seconds. A later time is not believed: the time of receipt stands in.
const FUTURE_SECONDS_MAX: i64 = 3_600;

/// Where a change stands in the order of its ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// When it happened, in seconds since the epoch.
    pub at: i64,
    /// From where, where that is known.
    pub before: Option<Sha>,
    /// To where.
    pub after: Sha,
}

/// The ref and the position of a change in that ref's order, or `None` for what has no order.
///
/// A pull request is ordered by its number, since its branch may belong to several. Where GitHub tells no time,
/// the time of receipt stands in: a repeat is told by its claim, never by this.
pub fn position(change: &Change) -> Option<(String, Position)> {
    let received = change.received_at.as_second();
    // A time from the future would close the fence for good.
    let told = |at: Option<i64>| at.filter(|at| *at <= received.saturating_add(FUTURE_SECONDS_MAX)).unwrap_or(received);
    match &change.kind {
        ChangeKind::Push(push) => Some((
            push.git_ref.to_string(),
            Position { at: told(push.pushed_at), before: Some(push.before.clone()), after: push.after.clone() },
        )),
        ChangeKind::PullRequest(request) => Some((
            format!("pull/{}", request.number),
            Position { at: told(request.updated_at), before: None, after: request.head.clone() },
        )),
        ChangeKind::WorkflowRun(run) => Some((
            format!("workflow/{}/{}", run.workflow, run.head_branch.as_deref().unwrap_or_default()),
            Position { at: told(run.created_at), before: None, after: run.head.clone() },
        )),
        ChangeKind::Release(_) | ChangeKind::Created(_) | ChangeKind::Deleted(_) | ChangeKind::Other { .. } => None,
    }
}

/// The newest change that a route took from a ref: nothing older starts there any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Where it stands.
    pub position: Position,
    /// The [`LogicalKey::hash`] of the change that set it.
    pub key: String,
    /// Who told.
    pub delivery: DeliveryId,
}

/// Whether `position` is newer than what the fence lets pass.
///
/// Newer is the larger time; on a tie the one that begins where the other ended. Times have whole seconds, so two
/// quick pushes tie. `last_after` is where the last push seen on the ref ended, for a tie with a push between
/// that this route did not match. For changes without a `before` a tie is newer: arrival is all there is.
pub fn is_newer(position: &Position, fence: &Fence, last_after: Option<&Sha>) -> bool {
    match position.at.cmp(&fence.position.at) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => match &position.before {
            None => true,
            Some(before) => *before == fence.position.after || Some(before) == last_after,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn sha(digit: char) -> Sha {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn push(guid: &str, before: char, after: char, pushed_at: Option<i64>) -> Change {
        Change {
            delivery: guid.parse().unwrap(),
            received_at: Timestamp::UNIX_EPOCH,
            repository: Some(crate::domain::change::Repository { id: 7, full_name: "acme/shop".to_owned() }),
            sender: None,
            kind: ChangeKind::Push(crate::domain::change::Push {
                git_ref: GitRef::Branch("main".to_owned()),
                before: sha(before),
                after: sha(after),
                head: None,
                pushed_at,
                created: false,
                deleted: false,
                forced: false,
                pusher: None,
                pusher_email: None,
                paths: crate::domain::change::Paths::Known(vec![]),
                listed: None,
            }),
        }
    }

    fn seen(guid: &str, before: char, after: char) -> SeenPush {
        SeenPush {
            before: sha(before),
            after: sha(after),
            pushed_at: Some(1),
            commit: None,
            delivery: guid.parse().unwrap(),
        }
    }

    #[test]
    fn a_repeat_is_told_by_what_the_push_did() {
        let of = |guid: &str| Repeat::Of(guid.parse().unwrap());
        #[rustfmt::skip]
        let cases = [
            // delivery                       claimed by   last on the ref              expected      why
            (push("d2", 'a', 'b', Some(1)), None,        None,                        Repeat::New,  "nothing was seen"),
            (push("d2", 'a', 'b', Some(1)), Some("d1"),  None,                        of("d1"),     "claimed under another GUID"),
            (push("d1", 'a', 'b', Some(1)), Some("d1"),  None,                        Repeat::Same, "a redelivery keeps its GUID"),
            (push("d2", 'a', 'b', Some(2)), None,        Some(seen("d1", 'a', 'b')),  of("d1"),     "a second hook tells another time"),
            (push("d1", 'a', 'b', Some(2)), None,        Some(seen("d1", 'a', 'b')),  Repeat::Same, "the same GUID, whatever time"),
            (push("d3", 'a', 'b', Some(3)), None,        Some(seen("d2", 'b', 'a')),  Repeat::New,  "another push came between"),
            (push("d3", 'b', 'c', Some(3)), None,        Some(seen("d2", 'a', 'b')),  Repeat::New,  "another move"),
        ];
        for (change, claimed_by, last, expected, why) in cases {
            let claimed_by = claimed_by.map(|guid| guid.parse().unwrap());
            assert_eq!(repeat(&change, claimed_by.as_ref(), last.as_ref()), expected, "{why}");
        }
    }

    #[test]
    fn newer_is_the_larger_time_and_on_a_tie_what_begins_where_the_other_ended() {
        let fence = Fence {
            position: Position { at: 100, before: Some(sha('a')), after: sha('b') },
            key: String::new(),
            delivery: "d".parse().unwrap(),
        };
        #[rustfmt::skip]
        let cases = [
            // at   before      last seen   newer  why
            (101, Some('f'), None,       true,  "a later second, whatever it moved"),
            (99,  Some('b'), None,       false, "an earlier second, whatever it moved"),
            (100, Some('b'), None,       true,  "the same second, and it begins where the other ended"),
            (100, Some('a'), None,       false, "the same second, and it begins where the other began"),
            (100, Some('c'), Some('c'),  true,  "the same second, after a push that the route did not match"),
            (100, Some('c'), Some('d'),  false, "the same second, and nothing says that it is newer"),
            (100, None,      None,       true,  "no before: arrival is all there is"),
        ];
        for (at, before, last, expected, why) in cases {
            let position = Position { at, before: before.map(sha), after: sha('e') };
            assert_eq!(is_newer(&position, &fence, last.map(sha).as_ref()), expected, "{why}");
        }
    }

    #[test]
    fn keys_and_groups_tell_apart_what_must_be_told_apart() {
        let key = |change: &Change| LogicalKey::of(change).hash();
        let one = push("d1", 'a', 'b', Some(1));
        assert_eq!(key(&one), key(&push("d2", 'a', 'b', Some(1))), "the GUID is no part of a push");
        assert_ne!(key(&one), key(&push("d1", 'a', 'b', Some(2))), "the time is");
        assert_ne!(key(&one), key(&push("d1", 'b', 'a', Some(1))), "and so is the direction");
        assert_eq!(message_group(&one), message_group(&push("d9", 'c', 'd', None)), "one ref, one group");
        assert!(message_group(&one).bytes().all(|byte| byte.is_ascii_hexdigit()), "SQS takes no other characters");
    }
}
