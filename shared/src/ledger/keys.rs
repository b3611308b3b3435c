//! The keys of every item. `docs/ledger.md` says who writes and who reads each.

use crate::aws::dynamodb::Key;
use crate::domain::approval::{ApprovalId, LinkHash};
use crate::domain::authors::RecordedPush;
use crate::domain::change::{DeliveryId, Sha};
use crate::domain::execution::{ExecutionId, Target};
use crate::domain::incident::IncidentId;
use crate::domain::intake::hash_of;
use crate::domain::rollback::RollbackId;
use jiff::Timestamp;

pub(super) fn delivery(id: &DeliveryId) -> Key {
    Key::new(format!("delivery#{id}"), "delivery")
}

/// The partition that lists the deliveries of one day (UTC).
pub(super) fn deliveries_of(day: &str) -> String {
    format!("deliveries#day#{day}")
}

pub(super) fn claim(key: &str) -> Key {
    Key::new(format!("change#{key}"), "claim")
}

/// A ref's name may be longer than a key may be, and hold anything: its hash stands for it.
pub(super) fn git_ref(repository: u64, git_ref: &str) -> Key {
    Key::new(format!("ref#{repository}#{}", hash_of(&git_ref)), "ref")
}

/// The partition of the pushes that ended at a commit.
pub(super) fn pushes_to(repository: u64, commit: &Sha) -> String {
    format!("pushes#{repository}#{commit}")
}

/// A push that repeats another of its ref, from and to the same, takes its place.
pub(super) fn push(repository: u64, push: &RecordedPush) -> Key {
    Key::new(pushes_to(repository, &push.commit), hash_of(&(&push.git_ref, &push.before)))
}

pub(super) fn fence(repository: u64, name: &str, route: &str) -> Key {
    Key::new(git_ref(repository, name).pk, format!("fence#{route}"))
}

pub(super) fn execution(id: &ExecutionId) -> Key {
    Key::new(format!("execution#{id}"), "execution")
}

/// The partitions that list an execution, each by time.
pub(super) enum Listing<'a> {
    Day(&'a str),
    Repository(&'a str),
    Sha(&'a str),
    Environment(&'a str),
    Target(&'a Target),
}

impl Listing<'_> {
    pub(super) fn partition(&self) -> String {
        match self {
            Self::Day(day) => format!("executions#day#{day}"),
            Self::Repository(name) => format!("executions#repository#{}", name.to_ascii_lowercase()),
            Self::Sha(sha) => format!("executions#sha#{sha}"),
            Self::Environment(name) => format!("executions#environment#{name}"),
            Self::Target(target) => format!("executions#target#{}", of_target(target)),
        }
    }
}

pub(super) fn run(target: &Target, aws_id: &str) -> Key {
    Key::new(format!("run#{}#{aws_id}", of_target(target)), "run")
}

/// The partition that lists what AWS runs of a target and nobody has claimed.
pub(super) fn unowned(target: &Target) -> String {
    format!("unowned#{}", of_target(target))
}

fn of_target(target: &Target) -> String {
    format!("{}#{}#{}", target.region, target.kind.as_str(), target.name)
}

pub(super) fn approval(id: &ApprovalId) -> Key {
    Key::new(format!("approval#{id}"), "approval")
}

/// The partitions that list an approval, each by time.
pub(super) enum ApprovalListing<'a> {
    Day(&'a str),
    Execution(&'a ExecutionId),
    Environment(&'a str),
}

impl ApprovalListing<'_> {
    pub(super) fn partition(&self) -> String {
        match self {
            Self::Day(day) => format!("approvals#day#{day}"),
            Self::Execution(id) => format!("approvals#execution#{id}"),
            Self::Environment(name) => format!("approvals#environment#{name}"),
        }
    }
}

pub(super) fn link(hash: &LinkHash) -> Key {
    Key::new(format!("link#{}", hash.as_str()), "link")
}

/// How many mails somebody was sent. An address may hold what a key should not: its hash stands for it.
pub(super) fn mail_count(person: &str) -> Key {
    Key::new(format!("approver#{}", hash_of(&person)), "mails")
}

/// That an environment let a commit in once.
pub(super) fn let_in(environment: &str, sha: &Sha) -> Key {
    Key::new(format!("let-in#{environment}"), sha.as_str())
}

/// The partition that lists what freezes have closed, by environment.
pub(super) const FREEZES: &str = "freezes";

pub(super) fn freeze(environment: &str) -> Key {
    Key::new(FREEZES, environment)
}

/// The partition that lists the freezes that people have put on, by environment.
pub(super) const FREEZES_BY_HAND: &str = "freezes by hand";

pub(super) fn freeze_by_hand(environment: &str) -> Key {
    Key::new(FREEZES_BY_HAND, environment)
}

pub(super) fn incident(id: &IncidentId) -> Key {
    Key::new(format!("incident#{id}"), "incident")
}

/// The partitions that list an incident, each by time.
pub(super) enum IncidentListing<'a> {
    Day(&'a str),
    Environment(&'a str),
}

impl IncidentListing<'_> {
    pub(super) fn partition(&self) -> String {
        match self {
            Self::Day(day) => format!("incidents#day#{day}"),
            Self::Environment(name) => format!("incidents#environment#{name}"),
        }
    }
}

/// An alarm's name may hold anything: its hash stands for it.
pub(super) fn alarm(region: &str, name: &str) -> Key {
    Key::new(format!("alarm#{region}#{}", hash_of(&name)), "alarm")
}

pub(super) fn rollback(id: &RollbackId) -> Key {
    Key::new(format!("rollback#{id}"), "rollback")
}

/// The partition that lists the rollbacks of an environment.
pub(super) fn rollbacks_of(environment: &str) -> String {
    format!("rollbacks#environment#{environment}")
}

/// The partition that lists the rollbacks that have not ended.
pub(super) const OPEN_ROLLBACKS: &str = "rollbacks#open";

pub(super) fn open_rollback(id: &RollbackId) -> Key {
    Key::new(OPEN_ROLLBACKS, id.as_str())
}

/// The partition that lists what is held, by environment.
pub(super) const HOLDS: &str = "holds";

pub(super) fn hold(environment: &str) -> Key {
    Key::new(HOLDS, environment)
}

pub(super) fn notices(environment: &str) -> Key {
    Key::new(format!("notices#{environment}"), "notices")
}

/// That an image runs, or ran, in a region of an environment.
pub(super) fn image_in(digest: &str, environment: &str, region: &str) -> Key {
    Key::new(images_in(digest), format!("{environment}#{region}"))
}

/// The partition that lists where an image was brought to.
pub(super) fn images_in(digest: &str) -> String {
    format!("image in#{digest}")
}

/// That an execution is part of a rollback.
pub(super) fn rollback_with(execution: &ExecutionId) -> Key {
    Key::new(format!("execution#{execution}"), "rollback")
}

/// The partition of the commits that an environment keeps out, or kept out before.
pub(super) fn quarantines(environment: &str) -> String {
    format!("quarantine#{environment}")
}

pub(super) fn quarantine(environment: &str, sha: &Sha) -> Key {
    Key::new(quarantines(environment), sha.as_str())
}

pub(super) fn environment(name: &str, region: &str) -> Key {
    Key::new(format!("environment#{name}"), format!("region#{region}"))
}

pub(super) fn readiness(name: &str, region: &str) -> Key {
    Key::new(format!("environment#{name}"), format!("ready#{region}"))
}

/// The partition of all that is known of an image.
pub(super) fn image(digest: &str) -> String {
    format!("image#{digest}")
}

pub(super) fn image_scans(digest: &str) -> Key {
    Key::new(image(digest), IMAGE_SCANS)
}

/// The sort key of an image's scans: behind those of its findings, so that it comes first from behind.
pub(super) const IMAGE_SCANS: &str = "scan";

pub(super) fn finding(digest: &str, arn: &str) -> Key {
    Key::new(image(digest), format!("finding#{}", hash_of(&arn)))
}

pub(super) fn live_configuration() -> Key {
    Key::new("configuration", "live")
}

pub(super) fn pipeline_check() -> Key {
    Key::new("configuration", "pipelines checked")
}

pub(super) fn approver_check() -> Key {
    Key::new("configuration", "approvers checked")
}

/// A part of a configuration. `push` is of one push alone, so that two at once never mix their parts.
pub(super) fn configuration(push: &str, part: &str) -> Key {
    Key::new(format!("configuration#{push}"), part)
}

/// A sort key that orders by time: zero-padded milliseconds, then what tells two of one moment apart.
pub(super) fn by_time(at: Timestamp, id: &str) -> String {
    format!("{:014}#{id}", at.as_millisecond())
}

/// The day (UTC) of a moment: `2026-11-21`.
pub(super) fn day(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// Today and the days before it, newest first.
pub(super) fn days_back(now: Timestamp, count: usize) -> impl Iterator<Item = String> {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    std::iter::successors(Some(today), |day| day.yesterday().ok()).take(count).map(|day| day.to_string())
}
