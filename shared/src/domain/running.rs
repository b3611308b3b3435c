//! What runs where a version lands, and how a deployment stands, as ECS and CodeDeploy tell it.
//!
//! An image is named by its digest alone: a tag can be moved, and a revision of a task definition says nothing about
//! the version in it.

use jiff::Timestamp;
use std::collections::BTreeSet;

/// The images of some containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// `sha256:…` of every container whose image is known for certain.
    pub digests: BTreeSet<String>,
    /// The images of containers of which nobody knows the digest: named by a tag that ECS did not resolve.
    pub unpinned: BTreeSet<String>,
}

/// Who deploys to an ECS service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// ECS itself: whoever changes the service's task definition.
    Ecs,
    /// CodeDeploy: the task definition cannot be changed past it.
    CodeDeploy,
    /// Somebody who makes task sets, or who ECS does not name.
    External,
}

/// What an ECS service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsRunning {
    /// The digests of the images that its running tasks were started from. Of several versions, while they run side
    /// by side; of none, while no task runs.
    pub images: BTreeSet<String>,
    /// The images of running containers whose digest is not known.
    pub unpinned: BTreeSet<String>,
    /// The ARN of the task definition that serves: of the task set that has the traffic, or else of the service.
    pub task_definition: String,
    /// Who deploys to it.
    pub controller: Controller,
    /// The ARN of ECS's own deployment that is in progress, a rollback included. CodeDeploy's are CodeDeploy's to tell.
    pub in_flight: Option<String>,
    /// Whether that is all: nothing is in progress, as many tasks run as are wanted, and all are of one version.
    pub is_steady: bool,
}

/// How an ECS service deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EcsState {
    /// It is asked for, or in progress. Also whatever ECS will say one day that is none of the others.
    InProgress,
    /// It is asked to stop where it is.
    Stopping,
    /// It is being rolled back, or is asked to be.
    RollingBack,
    /// It went through.
    Succeeded,
    /// It ended where it was: a person stopped it, a younger one replaced it, or it failed with nothing to undo it.
    Stopped,
    /// It was rolled back: what ran before it runs again.
    RolledBack,
    /// It was to be rolled back, and could not be.
    RollbackFailed,
}

impl EcsState {
    /// Whether nothing more comes of it.
    pub fn is_over(self) -> bool {
        match self {
            Self::InProgress | Self::Stopping | Self::RollingBack => false,
            Self::Succeeded | Self::Stopped | Self::RolledBack | Self::RollbackFailed => true,
        }
    }
}

/// An ECS service deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsDeployment {
    /// How it stands.
    pub state: EcsState,
    /// ECS's reason for that, if it gives one.
    pub reason: Option<String>,
}

/// What an ECS service ran after a deployment that went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsRevision {
    /// The ARN of the service revision.
    pub revision_arn: String,
    /// The ARN of its task definition.
    pub task_definition: String,
    /// The digests of its images.
    pub images: BTreeSet<String>,
    /// Its images whose digest is not known.
    pub unpinned: BTreeSet<String>,
    /// When that deployment ended.
    pub finished_at: Timestamp,
}

/// How a CodeDeploy deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeDeployState {
    /// It is asked for, waits for its turn, or is in progress, until the last traffic moved and the old tasks are gone.
    /// Also whatever CodeDeploy will say one day that is none of the others.
    InProgress,
    /// It went through.
    Succeeded,
    /// It did not.
    Failed,
    /// It was stopped: by a person, by an alarm, or by whoever deployed past it.
    Stopped,
}

impl CodeDeployState {
    /// Whether nothing more comes of it. Its rollback is another deployment.
    pub fn is_over(self) -> bool {
        match self {
            Self::InProgress => false,
            Self::Succeeded | Self::Failed | Self::Stopped => true,
        }
    }
}

/// A CodeDeploy deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeDeployDeployment {
    /// `d-…`.
    pub id: String,
    /// How it stands.
    pub state: CodeDeployState,
    /// The deployment that undoes this one, once CodeDeploy has made it.
    pub rolled_back_by: Option<String>,
    /// Whether it is itself one that undoes another.
    pub is_rollback: bool,
    /// Why it failed or stopped: CodeDeploy's code and sentence.
    pub error: Option<String>,
    /// What whoever asked for it wrote; empty when nothing.
    pub description: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// What CodeDeploy did when it was asked to stop a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stopping {
    /// It will: the deployment has to be looked at again.
    Pending,
    /// It has.
    Stopped,
}

/// The last deployment to a CodeDeploy group that went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// `d-…`.
    pub deployment: String,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The ARN of the task definition that its AppSpec names; `None` when the AppSpec cannot be had, or names not
    /// exactly one.
    pub task_definition: Option<String>,
}
