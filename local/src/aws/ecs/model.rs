//! What is known of clusters, task definitions, services and what runs in them. `rollout` and `scaling` move it.
//!
//! A deployment of DescribeServices and a service revision are one thing here, as on AWS, where `ecs-svc/N` and the
//! revision N carry the same number. A rollback makes an old one primary again and makes no new one.

use crate::aws::ACCOUNT;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Tags, by key.
pub(super) type Tags = BTreeMap<String, String>;

/// How many notes a service keeps. Source: DescribeServices, "a maximum of 100 of the latest events are displayed".
const MOST_NOTES: usize = 100;

/// How many tasks that have stopped a service remembers. AWS shows them for about an hour.
const MOST_STOPPED: usize = 20;

/// Everything of one region.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Region {
    /// By name. A deleted one stays, inactive.
    pub(super) clusters: BTreeMap<String, Cluster>,
    /// By name.
    pub(super) families: BTreeMap<String, Family>,
    /// By `CLUSTER/SERVICE`. A deleted one stays, inactive.
    pub(super) services: BTreeMap<String, Service>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Cluster {
    pub(super) is_active: bool,
    /// As `Cluster` of the API, without what is counted.
    pub(super) declared: Map<String, Value>,
    pub(super) tags: Tags,
}

/// The revisions of a task definition. Numbers are never used again.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Family {
    pub(super) last: u64,
    pub(super) revisions: BTreeMap<u64, Definition>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Definition {
    /// As `TaskDefinition` of the API.
    pub(super) body: Value,
    pub(super) tags: Tags,
}

impl Definition {
    pub(super) fn arn(&self) -> String {
        self.body["taskDefinitionArn"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn is_active(&self) -> bool {
        self.body["status"] == "ACTIVE"
    }
}

/// Who deploys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Controller {
    Ecs,
    CodeDeploy,
    External,
}

impl Controller {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ecs => "ECS",
            Self::CodeDeploy => "CODE_DEPLOY",
            Self::External => "EXTERNAL",
        }
    }
}

/// Where a service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Life {
    Active,
    Draining,
    Inactive,
}

impl Life {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) region: String,
    pub(super) cluster: String,
    pub(super) name: String,
    pub(super) life: Life,
    pub(super) controller: Controller,
    pub(super) desired: u64,
    /// An ARN. None under EXTERNAL before a task set is primary.
    pub(super) task_definition: Option<String>,
    /// The members of `Service` of the API that are shown as they were given.
    pub(super) settings: Map<String, Value>,
    pub(super) created: Timestamp,
    pub(super) created_by: String,
    /// The `clientToken` that it was created with, and the whole input.
    pub(super) token: Option<(String, Value)>,
    pub(super) tags: Tags,
    /// Oldest first.
    pub(super) notes: Vec<Note>,
    /// Every one that ever was, oldest first.
    pub(super) revisions: Vec<Revision>,
    /// The service deployments, oldest first.
    pub(super) history: Vec<Rolling>,
    pub(super) task_sets: Vec<TaskSet>,
    pub(super) tasks: Vec<Task>,
    /// When the scheduler looks at it next: never while it is steady.
    pub(super) due: Option<Timestamp>,
    /// How long the scheduler waits between two looks.
    pub(super) step: SignedDuration,
}

/// An event of the service, as DescribeServices shows it.
#[derive(Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) message: String,
}

/// Which of a service's revisions is meant to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Primary,
    /// Being replaced: it still has tasks.
    Active,
    Inactive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Rollout {
    InProgress,
    Completed,
    Failed,
}

impl Rollout {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

/// What `local:deploy` or a pipeline asks of a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// Its tasks never come up.
    pub(super) fails: bool,
    /// How long it takes at the real pace.
    pub(super) takes: Option<SignedDuration>,
}

/// The image that one container runs, its digest looked up once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) container: String,
    pub(super) image: String,
    pub(super) digest: String,
}

/// A service revision, which is a deployment of DescribeServices.
#[derive(Serialize, Deserialize)]
pub(super) struct Revision {
    /// Digits: the deployment is `ecs-svc/ID`.
    pub(super) id: String,
    pub(super) task_definition: String,
    /// The settings that it was made with.
    pub(super) settings: Map<String, Value>,
    pub(super) images: Vec<Image>,
    pub(super) created: Timestamp,
    /// When it last became primary.
    pub(super) deployed: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) completed: Option<Timestamp>,
    pub(super) role: Role,
    pub(super) rollout: Rollout,
    pub(super) reason: String,
    pub(super) failed: u64,
    /// How often in a row its tasks did not come up: the scheduler waits longer each time.
    pub(super) tries: u32,
    pub(super) order: Order,
}

/// The statuses of a service deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    Pending,
    InProgress,
    Successful,
    StopRequested,
    Stopped,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::StopRequested => "STOP_REQUESTED",
            Self::Stopped => "STOPPED",
            Self::RollbackRequested => "ROLLBACK_REQUESTED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }

    pub(super) fn is_over(self) -> bool {
        match self {
            Self::Successful | Self::Stopped | Self::RollbackSuccessful | Self::RollbackFailed => true,
            Self::Pending
            | Self::InProgress
            | Self::StopRequested
            | Self::RollbackRequested
            | Self::RollbackInProgress => false,
        }
    }
}

/// A service deployment: the way from some revisions to another.
#[derive(Serialize, Deserialize)]
pub(super) struct Rolling {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) reason: Option<String>,
    pub(super) created: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Option<Timestamp>,
    pub(super) stopped: Option<Timestamp>,
    pub(super) updated: Timestamp,
    /// Revisions that ran when it began.
    pub(super) sources: Vec<String>,
    pub(super) target: String,
    /// As `DeploymentConfiguration` of the API, as it was when it began.
    pub(super) configuration: Value,
    pub(super) rollback: Option<Rollback>,
    /// How many tasks may fail; none without a circuit breaker.
    pub(super) threshold: Option<u64>,
    pub(super) is_tripped: bool,
    pub(super) alarms: Alarms,
    pub(super) pipeline: Option<Waiting>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Rollback {
    pub(super) reason: String,
    pub(super) started: Timestamp,
    pub(super) revision: String,
}

/// The alarms that can fail a deployment.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Alarms {
    pub(super) names: Vec<String>,
    /// False where they are switched off, or one of them was in ALARM when the deployment began.
    pub(super) are_watched: bool,
    /// All tasks run, and the alarms are watched for a while yet.
    pub(super) is_baking: bool,
    pub(super) triggered: Vec<String>,
}

/// The pipeline that waits for a deployment.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) key: String,
    /// When the pipeline's action gives up.
    pub(super) until: Timestamp,
}

/// What a task set is to its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    Primary,
    Active,
    Draining,
}

impl Standing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Primary => "PRIMARY",
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct TaskSet {
    /// Digits: the task set is `ecs-svc/ID`.
    pub(super) id: String,
    pub(super) standing: Standing,
    pub(super) task_definition: String,
    pub(super) images: Vec<Image>,
    pub(super) started_by: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) token: Option<String>,
    /// Percent of the service's desired count.
    pub(super) scale: f64,
    pub(super) settings: Map<String, Value>,
    pub(super) tags: Tags,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) is_steady: bool,
    pub(super) steady_at: Timestamp,
    pub(super) order: Order,
    pub(super) tries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    Pending,
    Running,
    Stopped,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) id: String,
    /// The revision or the task set that it belongs to.
    pub(super) owner: String,
    pub(super) task_definition: String,
    pub(super) stage: Stage,
    pub(super) created: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) stopped: Option<(Timestamp, String)>,
}

impl Service {
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:service/{}/{}", self.region, self.cluster, self.name)
    }

    pub(super) fn cluster_arn(&self) -> String {
        cluster_arn(&self.region, &self.cluster)
    }

    pub(super) fn revision_arn(&self, id: &str) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:service-revision/{}/{}/{id}", self.region, self.cluster, self.name)
    }

    pub(super) fn deployment_arn(&self, id: &str) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:service-deployment/{}/{}/{id}", self.region, self.cluster, self.name)
    }

    pub(super) fn task_set_arn(&self, id: &str) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:task-set/{}/{}/ecs-svc/{id}", self.region, self.cluster, self.name)
    }

    pub(super) fn task_arn(&self, id: &str) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:task/{}/{id}", self.region, self.cluster)
    }

    pub(super) fn primary(&self) -> Option<&Revision> {
        self.revisions.iter().rev().find(|revision| revision.role == Role::Primary)
    }

    pub(super) fn primary_mut(&mut self) -> Option<&mut Revision> {
        self.revisions.iter_mut().rev().find(|revision| revision.role == Role::Primary)
    }

    /// The service deployment that is under way.
    pub(super) fn under_way(&mut self) -> Option<&mut Rolling> {
        self.history.last_mut().filter(|rolling| !rolling.status.is_over())
    }

    /// How many tasks are at `stage`; those of `owner` where one is given.
    pub(super) fn count(&self, owner: Option<&str>, stage: Stage) -> u64 {
        let chosen = self.tasks.iter().filter(|task| task.stage == stage);
        chosen.filter(|task| owner.is_none_or(|owner| task.owner == owner)).count() as u64
    }

    /// A setting of the deployment configuration.
    pub(super) fn configured(&self, key: &str) -> &Value {
        self.settings.get("deploymentConfiguration").map_or(&Value::Null, |configuration| &configuration[key])
    }

    pub(super) fn note(&mut self, id: String, at: Timestamp, message: &str) {
        let message = format!("(service {}) {message}", self.name);
        self.notes.push(Note { id, at, message });
        let surplus = self.notes.len().saturating_sub(MOST_NOTES);
        self.notes.drain(..surplus);
    }

    /// Forgets the oldest tasks that have stopped.
    pub(super) fn forget_stopped(&mut self) {
        let mut surplus = (self.count(None, Stage::Stopped) as usize).saturating_sub(MOST_STOPPED);
        self.tasks.retain(|task| {
            let goes = surplus > 0 && task.stage == Stage::Stopped;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

impl TaskSet {
    /// How many tasks it is meant to have. Source: TaskSet.computedDesiredCount, "always rounded up".
    pub(super) fn wanted(&self, desired: u64) -> u64 {
        (desired as f64 * self.scale / 100.0).ceil() as u64
    }
}

/// A cluster's ARN.
pub(super) fn cluster_arn(region: &str, name: &str) -> String {
    format!("arn:aws:ecs:{region}:{ACCOUNT}:cluster/{name}")
}

/// Where a region keeps a service.
pub(super) fn key(cluster: &str, service: &str) -> String {
    format!("{cluster}/{service}")
}
