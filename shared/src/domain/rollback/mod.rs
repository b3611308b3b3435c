//! A rollback: one version in one region, turned back once.
//!
//! Its record is the claim of (environment, region, the execution that is turned back): whatever else is said against
//! that execution finds the record there, and turns nothing back a second time. [`ladder`] says which step comes next,
//! [`target`] to which version.

mod ladder;
mod readiness;
mod target;

pub use ladder::{Facts, Inside, Live, Move, Runs, Work, next};
pub use readiness::{Ready, Stage, StepReady, cannot_roll_back, first_that_works};
pub use target::{Candidate, Judged, Question, Until, Why, common, judge};

use super::change::Sha;
use super::execution::{ExecutionId, Target};
use super::incident::IncidentId;
use super::intake::hash_of;
use super::policy::Deploy;
use super::shown;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// How often a rollback that waits for AWS is looked at, where no event tells first.
pub const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// How long one step may take. After that a person is called, and what AWS still does is left to it.
pub const STEP_MAX: SignedDuration = SignedDuration::from_hours(2);
/// A rollback that has not ended by then is counted for an alarm.
pub const SLOW_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// Our name for a rollback: `rb-` and 20 hexadecimal digits, made from what is turned back where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RollbackId(String);

impl RollbackId {
    /// The id of turning `blamed` back in a region of an environment.
    pub fn of(environment: &str, region: &str, blamed: &ExecutionId) -> Self {
        const DIGITS: usize = 20;
        let digits: String = hash_of(&("rollback", environment, region, blamed)).chars().take(DIGITS).collect();
        Self(format!("rb-{digits}"))
    }

    /// Takes an id as a person typed it.
    pub fn named(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RollbackId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A rollback's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Our id.
    pub id: RollbackId,
    /// The incident that it answers. Others may point here too.
    pub incident: IncidentId,
    /// The environment.
    pub environment: String,
    /// The AWS region.
    pub region: String,
    /// Where the version lands, as it was configured when this was claimed.
    pub deploy: Deploy,
    /// What is turned back.
    pub from: Version,
    /// To what.
    pub to: Version,
    /// Who wanted it: `guard`, or a person.
    pub by: String,
    /// How often it was begun anew, after it had ended without turning anything back.
    #[serde(default)]
    pub attempt: u32,
    /// How far it got.
    pub phase: Phase,
    /// The steps that were taken and did not bring it back, in their order.
    pub tried: Vec<Tried>,
    /// When AWS first took a request of it. From then on the cooldown counts.
    pub accepted_at: Option<Timestamp>,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When `sweep` is to look at it; `None` once it has ended.
    pub due_at: Option<Timestamp>,
}

/// A version as a rollback sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The execution that brought it. For what a rollback brought: the one that it stands for, where that is known.
    pub execution: ExecutionId,
    /// AWS's id of that execution.
    pub aws_id: String,
    /// The commit.
    pub sha: Option<Sha>,
    /// The digests of its images, `sha256:…`; empty where nobody knows them.
    pub images: BTreeSet<String>,
}

impl Version {
    /// The first seven digits of the commit, or what stands for them.
    pub fn digits(&self) -> &str {
        shown::digits(self.sha.as_ref())
    }
}

/// The means to turn a version back, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Stop the deployment that is in flight, and have its own service roll it back.
    Stop,
    /// CodePipeline's RollbackStage.
    RollbackStage,
    /// Start the pipeline with the last good commit.
    Start,
    /// A deployment past the pipeline: ECS's task definition that ran before, or CodeDeploy's revision.
    Deploy,
}

impl Step {
    /// Those that turn something back, the best first; [`Step::Stop`] comes before them where something is in flight.
    pub const LADDER: [Self; 3] = [Self::RollbackStage, Self::Start, Self::Deploy];

    /// The word that programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::RollbackStage => "rollback_stage",
            Self::Start => "start",
            Self::Deploy => "deploy",
        }
    }
}

/// A step that did not bring it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Which one.
    pub step: Step,
    /// When that was known.
    pub at: Timestamp,
    /// Why not, in AWS's own words where they are AWS's.
    pub why: String,
}

/// How far a rollback got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Phase {
    /// It is ours to do, and nothing was done.
    Claimed,
    /// The way into the stage is closed: the next step is chosen.
    Choosing,
    /// AWS is asked for a step, and has not answered (yet).
    Asked {
        /// For which.
        step: Step,
        /// Since when.
        since: Timestamp,
    },
    /// AWS works on a step.
    Going {
        /// On which.
        step: Step,
        /// What does the work.
        work: Worker,
        /// Since when.
        since: Timestamp,
    },
    /// It is back, and that was verified.
    Done {
        /// When.
        when: Timestamp,
        /// By which step; `None`: it was back before anything was done.
        step: Option<Step>,
        /// What shows it.
        proof: Proof,
    },
    /// There was nothing to turn back any more. Nothing was done.
    Cancelled {
        /// When.
        when: Timestamp,
        /// Why.
        why: String,
    },
    /// It stops here: a person must act.
    Person {
        /// When.
        when: Timestamp,
        /// Why.
        why: String,
    },
}

impl Phase {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Done { .. } | Self::Cancelled { .. } | Self::Person { .. } => true,
            Self::Claimed | Self::Choosing | Self::Asked { .. } | Self::Going { .. } => false,
        }
    }
}

/// What does the work of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "worker", rename_all = "snake_case")]
pub enum Worker {
    /// An execution of the pipeline.
    Execution {
        /// Ours.
        id: ExecutionId,
    },
    /// A stop of an execution of the pipeline.
    StoppedExecution {
        /// AWS's id.
        aws_id: String,
    },
    /// A deployment of an ECS service.
    Ecs {
        /// Its ARN; empty where ECS had nothing to deploy.
        deployment: String,
    },
    /// A deployment of CodeDeploy's.
    CodeDeploy {
        /// Its id.
        deployment: String,
    },
}

/// What shows that a version is back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "snake_case")]
pub enum Proof {
    /// The images that run are its.
    Images {
        /// The digests that run.
        digests: BTreeSet<String>,
    },
    /// AWS says that the step succeeded, and there is no way to see what runs.
    Word {
        /// Why there is none.
        why: String,
    },
}

impl Rollback {
    /// The pipeline.
    pub fn target(&self) -> Target {
        self.deploy.target()
    }

    /// Our id of the execution that carries out a step. An attempt has its own.
    pub fn execution_of(&self, step: Step) -> ExecutionId {
        match self.attempt {
            0 => ExecutionId::of_rollback(&self.id, step.as_str()),
            attempt => ExecutionId::of_rollback(&self.id, &format!("{} {attempt}", step.as_str())),
        }
    }

    /// Begins one anew that ended without turning anything back: `new` says for which incident, to what, and for whom.
    pub fn again(&mut self, new: Self) {
        *self = Self { attempt: self.attempt + 1, accepted_at: self.accepted_at, ..new };
    }

    /// Moves on to `phase`.
    pub fn turn_to(&mut self, phase: Phase, now: Timestamp) {
        self.due_at = (!phase.is_over()).then_some(now + LOOK_AGAIN_AFTER);
        self.phase = phase;
        self.updated_at = now;
    }

    /// Writes down that a step did not bring it back, and lets the next one be chosen.
    pub fn fall(&mut self, step: Step, why: String, now: Timestamp) {
        self.tried.push(Tried { step, at: now, why });
        self.turn_to(Phase::Choosing, now);
        self.due_at = Some(now);
    }

    /// Whether a step was taken already.
    pub fn has_tried(&self, step: Step) -> bool {
        self.tried.iter().any(|tried| tried.step == step)
    }

    /// Whether it has not ended after [`SLOW_AFTER`].
    pub fn is_slow(&self, now: Timestamp) -> bool {
        !self.phase.is_over() && now.duration_since(self.claimed_at) >= SLOW_AFTER
    }

    /// The word that programs read.
    pub fn status(&self) -> &'static str {
        match &self.phase {
            Phase::Claimed | Phase::Choosing | Phase::Asked { .. } | Phase::Going { .. } => "rolling_back",
            Phase::Done { .. } => "rolled_back",
            Phase::Cancelled { .. } => "cancelled",
            Phase::Person { .. } => "needs_person",
        }
    }
}
