//! An execution: one start of one target, from the decision to start it to its end.
//!
//! [`Start`] is how far we got with AWS; [`Status`] is what people read. AWS may do what we asked and lose the
//! reply, so a start that was asked for and not answered is reconciled, never repeated blindly.

use super::change::{DeliveryId, Repository, Sha};
use super::intake::hex_sha256;
use super::rollback::RollbackId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How long a start that AWS did not answer must stay unseen before its absence counts.
pub const ABSENCE_COUNTS_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// How many listings must have missed it by then.
pub const LISTINGS_BEFORE_ABSENT: u32 = 2;
/// How often AWS is asked to start one execution at most, lost replies included. After that a person decides.
pub const ASKS_MAX: u32 = 2;
/// How long a start waits before it asks a full pipeline again.
pub const FULL_RETRY_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// How long a start keeps asking a full pipeline before it gives up as failed.
pub const FULL_GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// How long between two looks for a start without an answer.
pub const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// A running execution that says nothing for this long is asked about.
pub const QUIET_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// How often an execution of unknown fate is counted for the alarm.
pub const UNKNOWN_COUNTED_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// How much two clocks may disagree, ours and AWS's.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Our name for an execution: `ex-` and 20 hexadecimal digits, made from what is started.
///
/// The same claim always makes the same id, so the execution's own item is the claim of its start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(String);

impl ExecutionId {
    /// The id of the start of `target` with `variables` by `route`, for the change with this logical key.
    pub fn of_start(key: &str, route: &str, target: &Target, variables: &BTreeMap<String, String>) -> Self {
        Self::hashed(&super::intake::hash_of(&(key, route, target, variables)))
    }

    /// The id of an execution that Pointsman did not start.
    pub fn of_external(target: &Target, aws_id: &str) -> Self {
        Self::hashed(&super::intake::hash_of(&("external", target, aws_id)))
    }

    /// The id of the execution that `rollback` starts as its step `step`.
    pub fn of_rollback(rollback: &RollbackId, step: &str) -> Self {
        Self::hashed(&super::intake::hash_of(&("rollback", rollback, step)))
    }

    /// Takes an id as a person typed it.
    pub fn named(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn hashed(what: &str) -> Self {
        const DIGITS: usize = 20;
        let digits: String = hex_sha256(what.as_bytes()).chars().take(DIGITS).collect();
        Self(format!("ex-{digits}"))
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What runs: a pipeline or a build project, in a region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Which service runs it.
    pub kind: TargetKind,
    /// Its name.
    pub name: String,
    /// Where it lives.
    pub region: String,
}

impl Target {
    /// The target of a route, where AWS runs it.
    pub fn of_route(target: &super::route::Target) -> Option<Self> {
        use super::route::Target as T;
        let named = |kind, name: &str, region: &str| Self { kind, name: name.to_owned(), region: region.to_owned() };
        match target {
            T::Pipeline { name, region, .. } => Some(named(TargetKind::Pipeline, name, region)),
            T::Build { name, region } => Some(named(TargetKind::Build, name, region)),
            T::Workflow { .. } => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} in {}", self.kind.as_str(), self.name, self.region)
    }
}

/// The services that run a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// AWS CodePipeline.
    Pipeline,
    /// AWS CodeBuild.
    Build,
}

impl TargetKind {
    /// The word of the configuration and of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Build => "build",
        }
    }
}

/// An execution's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Our id.
    pub id: ExecutionId,
    /// Deployment, rollback or build.
    pub kind: Kind,
    /// Who wanted it.
    pub origin: Origin,
    /// The route that matched; none for what Pointsman did not start.
    pub route: Option<String>,
    /// The repository.
    pub repository: Option<Repository>,
    /// The full ref.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<Sha>,
    /// The commit's title, as its author wrote it.
    pub title: Option<String>,
    /// Who pushed, or whoever started it; [`super::starter`] reads it.
    pub actor: Option<String>,
    /// A person started it through the queue; `actor` is SQS's word for who.
    #[serde(default)]
    pub is_by_hand: bool,
    /// The environment that it deploys to.
    pub environment: Option<String>,
    /// The approval policy that its route names; `None` for the environment's own.
    #[serde(default)]
    pub approval: Option<String>,
    /// What runs.
    pub target: Target,
    /// The resolved variables.
    pub variables: BTreeMap<String, String>,
    /// The source action that gets the commit; `None`: the only one.
    pub source_action: Option<String>,
    /// The stage that goes back, where it is a rollback of a stage. A [`Kind::Rollback`] with it is started by
    /// RollbackStage; one without by StartPipelineExecution, with the last good commit.
    #[serde(default)]
    pub rolls_back: Option<StageBack>,
    /// The fence that must still be ours when AWS is asked: `None` where nothing can overtake it.
    pub fence: Option<FenceKey>,
    /// Remarks of the routing, such as "paths not knowable: forced".
    pub note: Option<String>,
    /// How far we got with AWS.
    pub start: Start,
    /// What people read.
    pub status: Status,
    /// Image digests that it built, `REPOSITORY@sha256:…`.
    #[serde(default)]
    pub images: BTreeSet<String>,
    /// When it was decided.
    pub created_at: Timestamp,
    /// Since when it is wanted: since it was decided, or since a person asked for it again.
    pub wanted_since: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When `sweep` is to look at it; `None` once it has ended.
    pub due_at: Option<Timestamp>,
}

/// A stage, and the execution that it goes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageBack {
    /// The stage's name.
    pub stage: String,
    /// AWS's id of the execution that it goes back to.
    pub to: String,
}

impl fmt::Display for StageBack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "stage {} to {}", self.stage, self.to)
    }
}

/// Names a fence and the change that must still hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceKey {
    /// The repository's id.
    pub repository: u64,
    /// The ref, as [`super::intake::position`] names it.
    pub git_ref: String,
    /// The [`super::intake::LogicalKey::hash`] of the change.
    pub key: String,
}

/// What kind of execution it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A pipeline.
    Deployment,
    /// A rollback.
    Rollback,
    /// A build project.
    Build,
}

impl Kind {
    /// The word that programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Rollback => "rollback",
            Self::Build => "build",
        }
    }
}

/// Who wanted an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Origin {
    /// A delivery, by a route. By hand too: then the delivery is ours.
    Delivery {
        /// Its id.
        delivery: DeliveryId,
    },
    /// A rollback of ours.
    Rollback {
        /// Its id.
        rollback: RollbackId,
    },
    /// Somebody or something else: a person in the console, a trigger of the pipeline's own.
    External {
        /// CodePipeline's `triggerType`, or CodeBuild's initiator.
        trigger: String,
    },
}

/// How far the start of an execution got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Start {
    /// AWS was not asked yet, or said for certain that it did not start it.
    Requested {
        /// Why not yet, in AWS's words.
        refusal: Option<String>,
        /// How often AWS may have started it without our knowing.
        asks: u32,
    },
    /// AWS was asked; its answer did not arrive (yet).
    Asked {
        /// When.
        since: Timestamp,
        /// How often so far, this time included.
        asks: u32,
        /// How many looks found nothing.
        absences: u32,
    },
    /// It runs, or ran, as this execution or build.
    Started {
        /// AWS's own id.
        aws_id: String,
    },
    /// AWS refused, or the commit is in quarantine.
    Refused {
        /// AWS's reason, or the quarantine's.
        reason: String,
    },
    /// A newer push took its route before it started.
    Overtaken {
        /// The delivery of the newer one.
        by: DeliveryId,
    },
    /// We cannot know: a person decides.
    Unknown {
        /// What is known.
        reason: String,
        /// AWS's executions that it might be.
        candidates: Vec<String>,
        /// How often AWS was asked.
        asks: u32,
    },
}

impl Start {
    /// AWS's id, once known.
    pub fn aws_id(&self) -> Option<&str> {
        match self {
            Self::Started { aws_id } => Some(aws_id),
            Self::Requested { .. }
            | Self::Asked { .. }
            | Self::Refused { .. }
            | Self::Overtaken { .. }
            | Self::Unknown { .. } => None,
        }
    }
}

/// What an execution is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Decided, not yet known to run.
    Requested,
    /// Running.
    Running,
    /// A person is asked.
    AwaitingApproval,
    /// Ended well.
    Succeeded,
    /// Ended badly, or never started.
    Failed,
    /// Stopped by a person, or cancelled by an edit of the pipeline.
    Stopped,
    /// A newer one took its place.
    Superseded,
    /// Turned back, and verified to be.
    RolledBack,
    /// We cannot know.
    Unknown,
}

impl Status {
    /// The word that programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Superseded => "superseded",
            Self::RolledBack => "rolled_back",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing more is expected of AWS.
    pub fn is_over(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Stopped | Self::Superseded | Self::RolledBack => true,
            Self::Requested | Self::Running | Self::AwaitingApproval | Self::Unknown => false,
        }
    }
}

/// What happened to a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartEvent {
    /// It is its turn: it was just claimed, or it is due again.
    Begin,
    /// AWS answered with an id.
    Answered {
        /// AWS's id.
        aws_id: String,
    },
    /// AWS says that it has no room now: certainly not started.
    Full {
        /// AWS's words.
        reason: String,
    },
    /// AWS refused, or the commit is in quarantine: certainly not started, and asking again would not help.
    Refused {
        /// AWS's words, or [`super::quarantine::Quarantine::refusal`].
        reason: String,
    },
    /// A newer push holds the fence, and AWS is certain not to run this one.
    Overtaken {
        /// Whose.
        by: DeliveryId,
    },
    /// We looked for it among AWS's executions.
    Looked(Sighting),
    /// A person says which it is.
    ResolvedAs {
        /// AWS's id.
        aws_id: String,
    },
    /// A person says that it is none, and to start it.
    StartAgain,
}

/// What a look among AWS's executions found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// Nothing that could be it.
    Nothing,
    /// One that it is.
    Found {
        /// AWS's id.
        aws_id: String,
    },
    /// Some that it might be, and none for certain yet.
    Perhaps {
        /// AWS's ids.
        candidates: Vec<String>,
    },
    /// Several that it is.
    Several {
        /// AWS's ids.
        candidates: Vec<String>,
    },
    /// One that is rather another execution's of ours, of which it is not known yet what became.
    Anothers,
}

/// What follows from a [`StartEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct StartDecision {
    /// The new state.
    pub start: Start,
    /// Whether AWS is to be asked, once the state is saved.
    pub ask: bool,
    /// When to look at it again.
    pub due_in: Option<SignedDuration>,
}

/// The event does not apply to a start in this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotNow(&'static str);

/// Decides what `event` does to `start`. `wanted_since` is the execution's.
///
/// Repeating an event repeats its decision or changes nothing, so a redelivery repairs a crash half way.
///
/// # Errors
/// [`NotNow`] when a person resolves what needs no resolving.
pub fn decide_start(
    start: &Start,
    event: &StartEvent,
    wanted_since: Timestamp,
    now: Timestamp,
) -> Result<StartDecision, NotNow> {
    use StartEvent as E;
    Ok(match (start, event) {
        (Start::Started { .. }, E::StartAgain | E::ResolvedAs { .. }) => {
            return Err(NotNow("AWS's execution is known already: there is nothing to resolve"));
        }
        (Start::Started { .. }, _) => settled(start.clone()),
        (_, E::Answered { aws_id } | E::ResolvedAs { aws_id } | E::Looked(Sighting::Found { aws_id })) => {
            settled(Start::Started { aws_id: aws_id.clone() })
        }
        (Start::Requested { asks, .. }, E::Begin) => {
            let asked = Start::Asked { since: now, asks: asks + 1, absences: 0 };
            StartDecision { start: asked, ask: true, due_in: Some(LOOK_AGAIN_AFTER) }
        }
        (Start::Asked { asks, .. }, E::Full { reason }) => full(asks - 1, reason, wanted_since, now),
        (Start::Requested { .. } | Start::Asked { .. }, E::Refused { reason }) => {
            settled(Start::Refused { reason: reason.clone() })
        }
        (Start::Requested { .. } | Start::Asked { .. }, E::Overtaken { by }) => {
            settled(Start::Overtaken { by: by.clone() })
        }
        (Start::Asked { since, asks, absences }, E::Looked(sighting)) => {
            looked(*since, *asks, *absences, sighting, now)
        }
        (Start::Unknown { asks, .. }, E::StartAgain) => again(*asks),
        (Start::Refused { .. }, E::StartAgain) => again(0),
        (Start::Requested { .. } | Start::Asked { .. } | Start::Overtaken { .. }, E::StartAgain) => {
            return Err(NotNow("only a start that was refused, or whose fate is unknown, can be started again"));
        }
        (Start::Requested { .. } | Start::Asked { .. }, _) => {
            StartDecision { start: start.clone(), ask: false, due_in: Some(LOOK_AGAIN_AFTER) }
        }
        (Start::Refused { .. } | Start::Overtaken { .. } | Start::Unknown { .. }, _) => settled(start.clone()),
    })
}

/// A state in which AWS is not asked again by itself. One that runs is looked after once it goes quiet; one that
/// nobody knows the fate of is counted until a person settles it.
fn settled(start: Start) -> StartDecision {
    let due_in = match start {
        Start::Started { .. } => Some(QUIET_AFTER),
        Start::Unknown { .. } => Some(UNKNOWN_COUNTED_EVERY),
        Start::Requested { .. } | Start::Asked { .. } | Start::Refused { .. } | Start::Overtaken { .. } => None,
    };
    StartDecision { start, ask: false, due_in }
}

fn again(asks: u32) -> StartDecision {
    StartDecision { start: Start::Requested { refusal: None, asks }, ask: false, due_in: Some(SignedDuration::ZERO) }
}

fn full(asks: u32, reason: &str, wanted_since: Timestamp, now: Timestamp) -> StartDecision {
    if now.duration_since(wanted_since) >= FULL_GIVE_UP_AFTER {
        let reason = format!("still full after {} hours: {reason}", FULL_GIVE_UP_AFTER.as_hours());
        return settled(Start::Refused { reason });
    }
    let start = Start::Requested { refusal: Some(reason.to_owned()), asks };
    StartDecision { start, ask: false, due_in: Some(FULL_RETRY_AFTER) }
}

/// A look that did not find it for certain. Absence takes time and two looks to count.
fn looked(since: Timestamp, asks: u32, absences: u32, sighting: &Sighting, now: Timestamp) -> StartDecision {
    let is_late = now.duration_since(since) >= ABSENCE_COUNTS_AFTER;
    let wait = |absences| StartDecision {
        start: Start::Asked { since, asks, absences },
        ask: false,
        due_in: Some(LOOK_AGAIN_AFTER),
    };
    let unknown = |reason: &str, candidates: &[String]| {
        let (reason, candidates) = (reason.to_owned(), candidates.to_vec());
        settled(Start::Unknown { reason, candidates, asks })
    };
    match sighting {
        Sighting::Nothing if !is_late || absences + 1 < LISTINGS_BEFORE_ABSENT => wait(absences + 1),
        Sighting::Nothing if asks < ASKS_MAX => {
            let start = Start::Asked { since: now, asks: asks + 1, absences: 0 };
            StartDecision { start, ask: true, due_in: Some(LOOK_AGAIN_AFTER) }
        }
        Sighting::Nothing => unknown("AWS was asked twice and never answered, and nothing that it runs is this", &[]),
        Sighting::Perhaps { candidates } if is_late => {
            unknown("AWS's answer was lost, and what it runs cannot be told apart", candidates)
        }
        // However late it is: what became of the other one is known soon.
        Sighting::Perhaps { .. } | Sighting::Anothers => wait(absences),
        Sighting::Several { candidates } => {
            unknown("AWS's answer was lost, and it runs this more than once", candidates)
        }
        Sighting::Found { aws_id } => settled(Start::Started { aws_id: aws_id.clone() }),
    }
}

impl Execution {
    /// The status that follows from how far the start got, before AWS reports anything.
    pub fn status_of_start(&self) -> Status {
        match &self.start {
            Start::Requested { .. } | Start::Asked { .. } => Status::Requested,
            Start::Started { .. } if self.status.is_over() || self.status == Status::AwaitingApproval => self.status,
            Start::Started { .. } => Status::Running,
            Start::Refused { .. } => Status::Failed,
            Start::Overtaken { .. } => Status::Superseded,
            Start::Unknown { .. } => Status::Unknown,
        }
    }

    /// Takes a decision over: the state, what people read, and when to look again.
    pub fn apply(&mut self, decision: &StartDecision, now: Timestamp) {
        self.start = decision.start.clone();
        self.status = self.status_of_start();
        self.updated_at = now;
        self.due_at = if self.status.is_over() { None } else { decision.due_in.map(|wait| now + wait) };
    }
}

/// An execution of AWS's that might be one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// AWS's id.
    pub aws_id: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether it was started through the API by our own role; `None` when AWS does not tell (yet).
    pub is_by_our_role: Option<bool>,
    /// Its variables, where they are known.
    pub variables: Option<BTreeMap<String, String>>,
    /// The commits of its sources; none while its Source action runs.
    pub revisions: Vec<String>,
    /// AWS's id of the execution that it goes back to: empty where AWS does not tell, `None` for one that is no
    /// rollback.
    pub rolls_back_to: Option<String>,
    /// The stage that it rolls back, once that is known.
    pub rolls_back_in: Option<String>,
    /// The execution of ours that it is known to be.
    pub owner: Option<ExecutionId>,
}

/// Looks for the start of `execution`, asked for at `since`, among `seen`.
///
/// Two things identify it: its variables, when they hold the commit, and the commit itself, once the Source action
/// has fetched it. Until then a young execution is only a "perhaps".
///
/// A rollback of a stage is identified by that stage and by what it goes back to. Two of one stage to one execution
/// cannot be told apart.
pub fn sight(execution: &Execution, since: Timestamp, seen: &[Seen]) -> Sighting {
    let mut found = Vec::new();
    let mut perhaps = Vec::new();
    for one in seen {
        match likeness(execution, since, one) {
            Likeness::Is => found.push(one.aws_id.clone()),
            Likeness::MayBe => perhaps.push(one.aws_id.clone()),
            Likeness::IsNot => {}
        }
    }
    match (found.as_slice(), perhaps.is_empty()) {
        ([], true) => Sighting::Nothing,
        ([], false) => Sighting::Perhaps { candidates: perhaps },
        ([aws_id], _) => Sighting::Found { aws_id: aws_id.clone() },
        (_, _) => Sighting::Several { candidates: found },
    }
}

impl Execution {
    /// Whether AWS was asked for it, and nobody knows yet what came of that.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.start, Start::Asked { .. } | Start::Unknown { .. } | Start::Overtaken { .. })
    }

    /// Whether `seen`, which looks like this one, looks like `other` as much, and began after that was asked for too:
    /// then it is rather that.
    pub fn gives_way_to(&self, other: &Self, seen: &Seen) -> bool {
        let Start::Asked { since: theirs, .. } = &other.start else { return false };
        let is_older = match &self.start {
            Start::Asked { since: ours, .. } => ours < theirs,
            Start::Unknown { .. } => true,
            Start::Requested { .. } | Start::Started { .. } | Start::Refused { .. } | Start::Overtaken { .. } => false,
        };
        let looks_like_it = || sight(other, other.created_at, std::slice::from_ref(seen));
        is_older && *theirs <= seen.started_at && matches!(looks_like_it(), Sighting::Found { .. })
    }
}

impl Seen {
    /// One of which only the id is known.
    pub fn named(aws_id: &str) -> Self {
        Self {
            aws_id: aws_id.to_owned(),
            started_at: Timestamp::MAX,
            is_by_our_role: None,
            variables: None,
            revisions: Vec::new(),
            rolls_back_to: None,
            rolls_back_in: None,
            owner: None,
        }
    }
}

enum Likeness {
    Is,
    MayBe,
    IsNot,
}

fn likeness(execution: &Execution, since: Timestamp, seen: &Seen) -> Likeness {
    match &seen.owner {
        Some(owner) if *owner == execution.id => return Likeness::Is,
        Some(_) => return Likeness::IsNot,
        None => {}
    }
    if seen.is_by_our_role == Some(false) || seen.started_at < since - CLOCK_SKEW {
        return Likeness::IsNot;
    }
    match (&execution.rolls_back, &seen.rolls_back_to) {
        (Some(back), Some(to)) => likeness_of_rollback(back, to, seen),
        (None, None) => likeness_of_start(execution, seen),
        (Some(_), None) | (None, Some(_)) => Likeness::IsNot,
    }
}

/// Its variables and its commit say nothing: they are those of the execution that it goes back to.
fn likeness_of_rollback(back: &StageBack, to: &str, seen: &Seen) -> Likeness {
    let is_elsewhere = seen.rolls_back_in.as_ref().is_some_and(|stage| *stage != back.stage);
    if is_elsewhere || (!to.is_empty() && to != back.to) {
        return Likeness::IsNot;
    }
    let is_certain = seen.is_by_our_role.is_some() && seen.rolls_back_in.is_some() && !to.is_empty();
    if is_certain { Likeness::Is } else { Likeness::MayBe }
}

fn likeness_of_start(execution: &Execution, seen: &Seen) -> Likeness {
    let differs = seen.variables.as_ref().is_some_and(|variables| {
        execution.variables.iter().any(|(name, value)| variables.get(name).is_some_and(|theirs| theirs != value))
    });
    let Some(sha) = execution.sha.as_ref().filter(|_| !differs) else { return Likeness::IsNot };
    let names_commit = |variables: &BTreeMap<String, String>| {
        variables.iter().any(|(name, value)| value == sha.as_str() && execution.variables.get(name) == Some(value))
    };
    if seen.is_by_our_role.is_none() {
        return Likeness::MayBe;
    }
    if seen.revisions.iter().any(|revision| revision == sha.as_str()) {
        return Likeness::Is;
    }
    match (&seen.variables, seen.revisions.is_empty()) {
        (Some(variables), true) if names_commit(variables) => Likeness::Is,
        (_, true) => Likeness::MayBe,
        (_, false) => Likeness::IsNot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn asked(since: i64, asks: u32, absences: u32) -> Start {
        Start::Asked { since: at(since), asks, absences }
    }

    #[test]
    fn a_start_is_asked_for_once_and_again_only_when_its_absence_counts() {
        use StartEvent::{Answered, Begin, Full, Looked, Refused};
        let requested = Start::Requested { refusal: None, asks: 0 };
        let started = Start::Started { aws_id: "x".into() };
        let perhaps = || Looked(Sighting::Perhaps { candidates: vec!["x".into()] });
        let nothing = || Looked(Sighting::Nothing);
        #[rustfmt::skip]
        let cases = [
            // state             event                           now  next                       ask    why
            (requested.clone(), Begin,                            5, asked(5, 1, 0),            true,  "its turn"),
            (asked(5, 1, 0),    Begin,                            6, asked(5, 1, 0),            false, "a redelivery asks no second time"),
            (asked(5, 1, 0),    Answered { aws_id: "x".into() },  6, started.clone(),           false, "the answer came"),
            (asked(5, 1, 0),    Full { reason: "f".into() },      6, Start::Requested { refusal: Some("f".into()), asks: 0 }, false, "a full pipeline leaves it requested"),
            (asked(5, 1, 0),    Full { reason: "f".into() },  86405, Start::Refused { reason: "still full after 24 hours: f".into() }, false, "but not for ever"),
            (asked(5, 1, 0),    Refused { reason: "r".into() },   6, Start::Refused { reason: "r".into() }, false, "AWS refused"),
            (requested.clone(), Refused { reason: "r".into() },  6, Start::Refused { reason: "r".into() }, false, "AWS is not asked at all"),
            (asked(0, 1, 0),    nothing(),                       60, asked(0, 1, 1),            false, "one absence is none"),
            (asked(0, 1, 9),    nothing(),                      599, asked(0, 1, 10),           false, "nor are ten within ten minutes"),
            (asked(0, 1, 0),    nothing(),                      700, asked(0, 1, 1),            false, "nor is one after them"),
            (asked(0, 1, 1),    nothing(),                      600, asked(600, 2, 0),          true,  "the second after ten minutes is"),
            (asked(0, 2, 1),    nothing(),                      600, Start::Unknown { reason: "AWS was asked twice and never answered, and nothing that it runs is this".into(), candidates: vec![], asks: 2 }, false, "no third time without a person"),
            (asked(0, 1, 0),    perhaps(),                       60, asked(0, 1, 0),            false, "a young execution has no commit yet"),
            (asked(0, 1, 0),    perhaps(),                      600, Start::Unknown { reason: "AWS's answer was lost, and what it runs cannot be told apart".into(), candidates: vec!["x".into()], asks: 1 }, false, "never guessed"),
            (started.clone(),   nothing(),                      600, started.clone(),           false, "what is known stays known"),
            (started.clone(),   Refused { reason: "r".into() },   6, started.clone(),           false, "a late refusal does not unmake it"),
        ];
        for (state, event, now, next, ask, why) in cases {
            let decision = decide_start(&state, &event, at(0), at(now)).unwrap();
            assert_eq!((decision.start, decision.ask), (next, ask), "{why}");
        }
    }

    #[test]
    fn a_person_resolves_only_what_is_unresolved() {
        let unknown = Start::Unknown { reason: "r".into(), candidates: vec![], asks: 2 };
        let started = Start::Started { aws_id: "x".into() };
        let is = StartEvent::ResolvedAs { aws_id: "x".into() };
        assert_eq!(decide_start(&unknown, &is, at(0), at(1)).unwrap().start, started);
        let again = decide_start(&unknown, &StartEvent::StartAgain, at(0), at(1)).unwrap();
        assert_eq!(again.start, Start::Requested { refusal: None, asks: 2 });
        assert!(decide_start(&started, &StartEvent::StartAgain, at(0), at(1)).is_err());
        assert!(decide_start(&asked(0, 1, 0), &StartEvent::StartAgain, at(0), at(1)).is_err());
    }

    fn execution(variables: &[(&str, &str)]) -> Execution {
        let target = Target { kind: TargetKind::Pipeline, name: "p".into(), region: "us-east-1".into() };
        Execution {
            id: ExecutionId::named("ex-1"),
            kind: Kind::Deployment,
            origin: Origin::Delivery { delivery: "d".parse().unwrap() },
            route: Some("r".into()),
            repository: None,
            git_ref: None,
            sha: Some("a".repeat(40).parse().unwrap()),
            title: None,
            actor: None,
            is_by_hand: false,
            environment: None,
            approval: None,
            target,
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            source_action: None,
            rolls_back: None,
            fence: None,
            note: None,
            start: asked(0, 1, 0),
            status: Status::Requested,
            images: BTreeSet::new(),
            created_at: at(0),
            wanted_since: at(0),
            updated_at: at(0),
            due_at: None,
        }
    }

    #[test]
    fn of_two_starts_of_one_commit_a_run_is_the_one_that_was_asked_for_last_before_it() {
        let asked = |second: i64| {
            let mut one = execution(&[]);
            one.start = Start::Asked { since: at(second), asks: 1, absences: 0 };
            one
        };
        let seen = |second: i64| Seen {
            started_at: at(second),
            is_by_our_role: Some(true),
            variables: Some(BTreeMap::new()),
            revisions: vec!["a".repeat(40)],
            ..Seen::named("x")
        };
        let (mut settled, mut unknown) = (asked(5), asked(0));
        settled.start = Start::Started { aws_id: "y".into() };
        unknown.start = Start::Unknown { reason: "no answer".into(), candidates: Vec::new(), asks: 2 };
        #[rustfmt::skip]
        let cases = [
            // ours      the other  began  gives way  why
            (asked(0),   asked(5),  6,     true,      "the other one was asked for since"),
            (asked(0),   asked(5),  5,     true,      "in the same moment"),
            (asked(0),   asked(5),  4,     false,     "before anybody asked for the other one"),
            (asked(5),   asked(0),  6,     false,     "the other one is the older"),
            (asked(0),   settled,   6,     false,     "of the other one it is known what it became"),
            (unknown,    asked(5),  6,     true,      "nobody knows what became of it, and the other one waits"),
        ];
        for (ours, other, began, expected, why) in cases {
            assert_eq!(ours.gives_way_to(&other, &seen(began)), expected, "{why}");
        }
    }

    #[test]
    fn an_execution_is_recognised_by_its_variables_or_its_commit() {
        let ours = "a".repeat(40);
        let other = "b".repeat(40);
        let seen = |started: i64, by_us: bool, service: &str, revision: Option<&str>, owner: Option<&str>| Seen {
            aws_id: "x".into(),
            started_at: at(started),
            is_by_our_role: Some(by_us),
            variables: Some([("SERVICE".to_owned(), service.to_owned())].into()),
            revisions: revision.map(str::to_owned).into_iter().collect(),
            owner: owner.map(ExecutionId::named),
            ..Seen::named("x")
        };
        let found = Sighting::Found { aws_id: "x".into() };
        let perhaps = Sighting::Perhaps { candidates: vec!["x".into()] };
        #[rustfmt::skip]
        let cases = [
            (seen(5,    true,  "web", Some(&ours),  None),         found.clone(),     "our commit"),
            (seen(5,    true,  "web", None,         None),         perhaps,           "no commit yet"),
            (seen(5,    true,  "web", Some(&other), None),         Sighting::Nothing, "another commit"),
            (seen(5,    true,  "api", Some(&ours),  None),         Sighting::Nothing, "other variables"),
            (seen(5,    false, "web", Some(&ours),  None),         Sighting::Nothing, "started by somebody else"),
            (seen(-61,  true,  "web", Some(&ours),  None),         Sighting::Nothing, "older than the question"),
            (seen(-60,  true,  "web", Some(&ours),  None),         found.clone(),     "clocks may disagree by a minute"),
            (seen(5,    true,  "web", Some(&ours),  Some("ex-2")), Sighting::Nothing, "another execution's"),
            (seen(5,    true,  "api", None,         Some("ex-1")), found.clone(),     "known to be ours"),
        ];
        for (one, expected, why) in cases {
            assert_eq!(sight(&execution(&[("SERVICE", "web")]), at(0), &[one]), expected, "{why}");
        }
        let mut by_variable = seen(5, true, "web", None, None);
        by_variable.variables = Some([("COMMIT".to_owned(), ours.clone())].into());
        assert_eq!(
            sight(&execution(&[("COMMIT", &ours)]), at(0), &[by_variable]),
            found,
            "a variable holds the commit"
        );
        let twice = [seen(5, true, "web", Some(&ours), None), seen(6, true, "web", Some(&ours), None)];
        assert!(matches!(sight(&execution(&[]), at(0), &twice), Sighting::Several { .. }), "never guessed");
        let back = Seen { rolls_back_to: Some("good".into()), ..seen(5, true, "web", Some(&ours), None) };
        let sighting = sight(&execution(&[("SERVICE", "web")]), at(0), &[back]);
        assert_eq!(sighting, Sighting::Nothing, "a rollback to our commit is no start of ours");
    }

    #[test]
    fn a_rollback_is_recognised_by_its_stage_and_what_it_goes_back_to() {
        let ours = Execution {
            kind: Kind::Rollback,
            rolls_back: Some(StageBack { stage: "Deploy".into(), to: "good".into() }),
            ..execution(&[("SERVICE", "web")])
        };
        let seen = |to: Option<&str>, stage: Option<&str>| Seen {
            started_at: at(5),
            is_by_our_role: Some(true),
            revisions: vec!["a".repeat(40)],
            rolls_back_to: to.map(str::to_owned),
            rolls_back_in: stage.map(str::to_owned),
            ..Seen::named("x")
        };
        let back = || seen(Some("good"), Some("Deploy"));
        let owned = |by: &str| Some(ExecutionId::named(by));
        let found = || Sighting::Found { aws_id: "x".into() };
        let perhaps = || Sighting::Perhaps { candidates: vec!["x".into()] };
        #[rustfmt::skip]
        let cases = [
            (back(),                                                  found(),           "ours"),
            (Seen { variables: Some([("SERVICE".into(), "api".into())].into()), ..back() }, found(), "its variables are those of what it goes back to"),
            (seen(Some("good"), None),                                perhaps(),         "of which stage, nobody knows yet"),
            (seen(Some("good"), Some("Elsewhere")),                   Sighting::Nothing, "another stage"),
            (seen(Some("other"), Some("Deploy")),                     Sighting::Nothing, "to another execution"),
            (seen(Some("other"), None),                               Sighting::Nothing, "to another execution, in whichever stage"),
            (seen(Some(""), Some("Deploy")),                          perhaps(),         "to which execution, nobody knows yet"),
            (seen(None, Some("Deploy")),                              Sighting::Nothing, "no rollback, though it has our commit"),
            (Seen { is_by_our_role: Some(false), ..back() },          Sighting::Nothing, "started by somebody else"),
            (Seen { is_by_our_role: None, ..back() },                 perhaps(),         "by whom, nobody knows yet"),
            (Seen { started_at: at(-61), ..back() },                  Sighting::Nothing, "older than the question"),
            (Seen { owner: owned("ex-2"), ..back() },                 Sighting::Nothing, "another execution's"),
            (Seen { owner: owned("ex-1"), ..seen(None, None) },       found(),           "known to be ours"),
        ];
        for (one, expected, why) in cases {
            assert_eq!(sight(&ours, at(0), &[one]), expected, "{why}");
        }
        let sighting = sight(&ours, at(0), &[back(), Seen { aws_id: "y".into(), ..back() }]);
        assert!(matches!(sighting, Sighting::Several { .. }), "two of one stage to one execution: never guessed");
    }

    #[test]
    fn the_id_of_a_rollback_s_execution_says_which_step_of_which_rollback_it_is() {
        let rollback = |blamed: &str| RollbackId::of("web", "us-east-1", &ExecutionId::named(blamed));
        let id = |blamed: &str, step: &str| ExecutionId::of_rollback(&rollback(blamed), step);
        assert_eq!(id("ex-1", "stage"), id("ex-1", "stage"));
        assert_ne!(id("ex-1", "stage"), id("ex-1", "start"), "another step");
        assert_ne!(id("ex-1", "stage"), id("ex-2", "stage"), "another rollback");
    }

    fn any_event() -> impl Strategy<Value = StartEvent> {
        let id = || prop_oneof![Just("x".to_owned()), Just("y".to_owned())];
        prop_oneof![
            Just(StartEvent::Begin),
            id().prop_map(|aws_id| StartEvent::Answered { aws_id }),
            Just(StartEvent::Full { reason: "full".into() }),
            Just(StartEvent::Refused { reason: "no".into() }),
            Just(StartEvent::Looked(Sighting::Nothing)),
            id().prop_map(|aws_id| StartEvent::Looked(Sighting::Found { aws_id })),
            Just(StartEvent::Looked(Sighting::Perhaps { candidates: vec!["x".into()] })),
        ]
    }

    proptest! {
        #[test]
        fn without_a_person_aws_is_asked_at_most_twice_between_refusals(
            events in proptest::collection::vec((any_event(), 0i64..900), 1..60),
        ) {
            let mut start = Start::Requested { refusal: None, asks: 0 };
            let (mut now, mut open_asks, mut id) = (0, 0u32, None);
            for (event, wait) in events {
                now += wait;
                let decision = decide_start(&start, &event, at(0), at(now)).unwrap();
                if matches!((&start, &event), (Start::Asked { .. }, StartEvent::Full { .. })) {
                    open_asks = open_asks.saturating_sub(1);
                }
                open_asks += u32::from(decision.ask);
                prop_assert!(open_asks <= ASKS_MAX);
                if let (Some(known), Some(next)) = (&id, decision.start.aws_id()) {
                    prop_assert_eq!(known, next, "an id once known never changes");
                }
                prop_assert!(id.is_none() || decision.start.aws_id().is_some(), "an id once known is never lost");
                id = decision.start.aws_id().map(str::to_owned);
                start = decision.start;
            }
        }
    }
}
