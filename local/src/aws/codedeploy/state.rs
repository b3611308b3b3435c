//! What CodeDeploy keeps: per region the applications with their groups, the configurations, the deployments.

use super::appspec::AppSpec;
use super::engine::Step;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) regions: BTreeMap<String, Region>,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Region {
    pub(super) applications: BTreeMap<String, Application>,
    /// The custom ones, as `DeploymentConfigInfo` of the API.
    pub(super) configs: BTreeMap<String, Value>,
    /// In the order in which they were created.
    pub(super) deployments: Vec<Deployment>,
    /// What calls asked of deployments since their last turn.
    pub(super) requests: BTreeMap<String, Vec<Request>>,
}

pub(super) type Tags = BTreeMap<String, String>;

#[derive(Serialize, Deserialize)]
pub(super) struct Application {
    pub(super) id: String,
    /// `ECS`, `Lambda` or `Server`.
    pub(super) platform: String,
    pub(super) created: Timestamp,
    pub(super) tags: Tags,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) revisions: Vec<Revision>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    /// As `DeploymentGroupInfo` of the API, without what follows from deployments.
    pub(super) settings: Map<String, Value>,
    pub(super) tags: Tags,
    /// Ids of deployments.
    pub(super) last_attempted: Option<String>,
    pub(super) last_successful: Option<String>,
    /// The revision that last succeeded.
    pub(super) target: Option<Value>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Revision {
    /// As `RevisionLocation` of the API, with its content.
    pub(super) location: Value,
    pub(super) description: Option<String>,
    pub(super) registered: Timestamp,
    pub(super) first_used: Option<Timestamp>,
    pub(super) last_used: Option<Timestamp>,
}

/// What a call asks of a deployment that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    Stop { rolls_back: bool },
    EndReadyWait,
    EndTerminationWait,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    Created,
    InProgress,
    Ready,
    Succeeded,
    Failed,
    Stopped,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::InProgress => "InProgress",
            Self::Ready => "Ready",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Stopped => "Stopped",
        }
    }

    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped)
    }
}

/// How a lifecycle event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    Pending,
    InProgress,
    Succeeded,
    Failed,
    Skipped,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LifecycleEvent {
    pub(super) name: String,
    pub(super) phase: Phase,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
}

/// A task set of the deployment's service, as last seen.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TaskSet {
    /// `ecs-svc/…`.
    pub(super) id: String,
    pub(super) target_group: String,
    /// As `TaskSet` of ECS.
    pub(super) seen: Value,
}

/// Traffic as it moves: `share` percent at once, then again after every `interval`; all that is left with the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Traffic {
    AllAtOnce,
    Canary { percent: u32, minutes: u32 },
    Linear { percent: u32, minutes: u32 },
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) region: String,
    pub(super) application: String,
    pub(super) group: String,
    /// The group may be renamed; this stays.
    pub(super) group_id: String,
    pub(super) config: String,
    pub(super) traffic: Traffic,
    pub(super) revision: Option<Value>,
    pub(super) previous: Option<Value>,
    pub(super) description: Option<String>,
    /// `user` or `codeDeployRollback`.
    pub(super) creator: String,
    pub(super) status: Status,
    pub(super) error: Option<(String, String)>,
    pub(super) created: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) completed: Option<Timestamp>,
    pub(super) updated: Timestamp,
    /// The group's settings when the deployment was created.
    pub(super) settings: Map<String, Value>,
    /// The deployment's own configuration, or else the group's.
    pub(super) auto_rollback: Option<Value>,
    pub(super) override_alarms: Option<Value>,
    /// The deployment that this one undoes, or is undone by.
    pub(super) undoes: Option<String>,
    pub(super) undone_by: Option<String>,
    /// What to deploy, or why the AppSpec cannot be read.
    pub(super) spec: Result<AppSpec, String>,
    /// The code and the sentence for what was deleted before the deployment started.
    pub(super) missing: Option<(String, String)>,
    pub(super) events: Vec<LifecycleEvent>,
    pub(super) blue: Option<TaskSet>,
    pub(super) green: Option<TaskSet>,
    pub(super) service_arn: Option<String>,
    /// The share of the traffic that green gets, in percent.
    pub(super) weight: u32,
    /// Whether the wait for blue's end has begun. It stays so, as on AWS.
    pub(super) is_terminating: bool,
    pub(super) note: Option<String>,
    /// What comes next, and when.
    pub(super) next: Option<(Timestamp, Step)>,
    /// When the alarms are looked at next.
    pub(super) look: Option<Timestamp>,
    pub(super) install_ends: Option<Timestamp>,
    pub(super) fails: bool,
    pub(super) takes: Option<SignedDuration>,
    /// What the pipeline that waits for this deployment calls it.
    pub(super) key: Option<String>,
}

impl Deployment {
    pub(super) fn is_rollback(&self) -> bool {
        self.undoes.is_some()
    }

    /// The cluster and the service that it deploys to.
    pub(super) fn service(&self) -> (String, String) {
        let service = self.settings.get("ecsServices").map_or(&Value::Null, |services| &services[0]);
        let text = |key: &str| service[key].as_str().unwrap_or_default().to_owned();
        (text("clusterName"), text("serviceName"))
    }

    /// The alarms that stop it, and whether it goes on when their state cannot be had.
    pub(super) fn alarms(&self) -> (Vec<String>, bool) {
        let group = self.settings.get("alarmConfiguration");
        let Some(configured) = self.override_alarms.as_ref().or(group) else { return (Vec::new(), true) };
        if configured["enabled"] != true || self.is_rollback() {
            return (Vec::new(), true);
        }
        let alarms = configured["alarms"].as_array().into_iter().flatten();
        let names = alarms.filter_map(|alarm| alarm["name"].as_str()).map(str::to_owned).collect();
        (names, configured["ignorePollAlarmFailure"] == true)
    }

    /// Whether `event` rolls it back: `DEPLOYMENT_FAILURE` and so on.
    pub(super) fn rolls_back_on(&self, event: &str) -> bool {
        let Some(configured) = &self.auto_rollback else { return false };
        let events = configured["events"].as_array().into_iter().flatten();
        configured["enabled"] == true && events.into_iter().any(|each| each == event)
    }

    /// What the group's `blueGreenDeploymentConfiguration` says.
    pub(super) fn blue_green(&self, part: &str, key: &str) -> &Value {
        self.settings.get("blueGreenDeploymentConfiguration").map_or(&Value::Null, |all| &all[part][key])
    }

    fn due(&self) -> Option<Timestamp> {
        let next = self.next.map(|(at, _)| at);
        next.into_iter().chain(self.look).min().filter(|_| !self.status.is_over())
    }
}

impl Region {
    pub(super) fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|each| each.id == id)
    }

    pub(super) fn group_by_id(&self, id: &str) -> Option<(&str, &str, &Group)> {
        let all = self.applications.iter().flat_map(|(application, each)| {
            each.groups.iter().map(move |(name, group)| (application.as_str(), name.as_str(), group))
        });
        all.into_iter().find(|(_, _, group)| group.id == id)
    }

    fn group_by_id_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.applications.values_mut().flat_map(|each| each.groups.values_mut()).find(|group| group.id == id)
    }

    /// The deployment that keeps a group busy.
    pub(super) fn active_in(&self, group_id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|each| each.group_id == group_id && !each.status.is_over())
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let asked = self.requests.keys().filter_map(|id| self.deployment(id)).map(|each| each.updated);
        self.deployments.iter().filter_map(Deployment::due).chain(asked).min()
    }

    pub(super) fn due(&self, now: Timestamp) -> Vec<String> {
        let is_due =
            |each: &&Deployment| self.requests.contains_key(&each.id) || each.due().is_some_and(|due| due <= now);
        self.deployments.iter().filter(is_due).map(|each| each.id.clone()).collect()
    }

    /// A copy of a deployment to work on, and what was asked of it. Names are as they are now.
    pub(super) fn taken(&mut self, id: &str) -> Option<(Deployment, Vec<Request>)> {
        let requests = self.requests.remove(id).unwrap_or_default();
        let mut copy = self.deployment(id)?.clone();
        match self.group_by_id(&copy.group_id) {
            Some((application, group, _)) => {
                (copy.application, copy.group) = (application.to_owned(), group.to_owned());
            }
            None if self.applications.contains_key(&copy.application) => {
                let message = format!("The deployment group {} was missing.", copy.group);
                copy.missing = Some(("DEPLOYMENT_GROUP_MISSING".to_owned(), message));
            }
            None => {
                let message = format!("The application {} was missing.", copy.application);
                copy.missing = Some(("APPLICATION_MISSING".to_owned(), message));
            }
        }
        Some((copy, requests))
    }

    /// Keeps what a turn made of a deployment, and the rollback that it began.
    pub(super) fn put_back(&mut self, deployment: Deployment, rollback: Option<Deployment>) {
        let has_succeeded = deployment.status == Status::Succeeded;
        let id = deployment.id.clone();
        if let Some(group) = self.group_by_id_mut(&deployment.group_id) {
            if has_succeeded {
                group.last_successful = Some(id.clone());
                group.target = deployment.revision.clone().or_else(|| group.target.take());
            }
            if let Some(rollback) = &rollback {
                group.last_attempted = Some(rollback.id.clone());
            }
        }
        if let Some(kept) = self.deployments.iter_mut().find(|each| each.id == id) {
            *kept = deployment;
        }
        self.deployments.extend(rollback);
    }
}
