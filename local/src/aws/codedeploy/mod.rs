//! CodeDeploy: applications, groups, and blue/green deployments to ECS in steps.
//!
//! `input` and the `*_rules` read what is asked, `state` is what is kept, `engine` moves a deployment on,
//! `answers` and `events` show it. CodeDeploy uses ECS and the alarms only through their public operations, as
//! the real one does, and only from [`Service::advance`]: a call that stops or continues a deployment leaves a
//! request that the next turn obeys, so a deployment has one author.
//!
//! A tag `local:deploy` on the application decides how its deployments go, as CodePipeline's tags do for actions:
//! `fail` makes them fail during Install, `90s` (also `5m`) makes Install take that long at the real pace,
//! `fail 90s` does both.
//!
//! Not here, and refused by name: deployments to Lambda and servers, revisions in S3 and GitHub, the Lambda
//! functions of an AppSpec's hooks. Triggers are kept and read back, but publish nothing.

mod answers;
mod applications;
mod appspec;
mod configs;
mod create;
mod deployments;
mod ecs;
mod engine;
mod events;
mod group_rules;
mod groups;
mod input;
mod pipeline;
mod revisions;
mod state;
mod tags;
mod targets;
#[cfg(test)]
mod tests;

use super::codepipeline::WorkEnd;
use super::{Aws, Call, Event, Failure, Service, lock};
use jiff::{SignedDuration, Timestamp};
pub(crate) use pipeline::PipelineDeploy;
use serde_json::Value;
use state::{Deployment, Region, State};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// How long a step takes at the fast pace: an installation, the time between two shifts, a termination wait.
pub const FAST_STEP: SignedDuration = SignedDuration::from_millis(300);

/// How long a deployment waits at the fast pace for somebody to continue it: longer than a step, since it needs a call.
pub const FAST_READY_WAIT: SignedDuration = SignedDuration::from_secs(3);

/// How long the installation of a replacement task set takes at the real pace, at least.
pub const REAL_INSTALL: SignedDuration = SignedDuration::from_secs(60);

/// How often the alarms of a running deployment are looked at, at least.
pub const ALARM_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// How long a replacement task set may take to become healthy.
///
/// Source: CodeDeploy user guide, "A timeout occurs while waiting for replacement task set": 60 minutes.
pub const INSTALL_TIMEOUT: SignedDuration = SignedDuration::from_mins(60);

/// The same at the fast pace.
pub const FAST_INSTALL_TIMEOUT: SignedDuration = SignedDuration::from_secs(20);

/// The operations that are emulated, in alphabetical order.
const OPERATIONS: [&str; 32] = [
    "BatchGetApplicationRevisions",
    "BatchGetApplications",
    "BatchGetDeploymentGroups",
    "BatchGetDeploymentTargets",
    "BatchGetDeployments",
    "ContinueDeployment",
    "CreateApplication",
    "CreateDeployment",
    "CreateDeploymentConfig",
    "CreateDeploymentGroup",
    "DeleteApplication",
    "DeleteDeploymentConfig",
    "DeleteDeploymentGroup",
    "GetApplication",
    "GetApplicationRevision",
    "GetDeployment",
    "GetDeploymentConfig",
    "GetDeploymentGroup",
    "GetDeploymentTarget",
    "ListApplicationRevisions",
    "ListApplications",
    "ListDeploymentConfigs",
    "ListDeploymentGroups",
    "ListDeploymentTargets",
    "ListDeployments",
    "ListTagsForResource",
    "RegisterApplicationRevision",
    "StopDeployment",
    "TagResource",
    "UntagResource",
    "UpdateApplication",
    "UpdateDeploymentGroup",
];

/// The applications and deployments of every region.
#[derive(Default)]
pub struct CodeDeploy {
    state: Mutex<State>,
}

/// What is to be done once the lock is released.
enum Effect {
    Emit { region: String, event: Event },
    End(WorkEnd),
}

impl CodeDeploy {
    /// Everything that is kept, for `--data`.
    ///
    /// # Errors
    /// None that this state can cause: its keys are strings.
    #[allow(dead_code, reason = "called once every service can be saved")]
    pub(crate) fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.state)).unwrap_or_default()
    }

    /// Puts back what [`CodeDeploy::save`] gave.
    ///
    /// # Errors
    /// When `saved` is not such a value.
    #[allow(dead_code, reason = "called once every service can be restored")]
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        *lock(&self.state) = serde_json::from_value(saved)?;
        Ok(())
    }

    /// Runs `work` on one region's state, under the lock.
    fn with<T>(&self, region: &str, work: impl FnOnce(&mut Region) -> T) -> T {
        work(lock(&self.state).regions.entry(region.to_owned()).or_default())
    }

    fn perform(aws: &Aws, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Emit { region, event } => aws.emit(&region, event),
                Effect::End(end) => aws.codepipeline().work_ended(aws, &end),
            }
        }
    }

    /// Moves one deployment on, as far as it goes at `now`. The calls to other services are made on a copy.
    fn turn(&self, aws: &Aws, region: &str, id: &str, now: Timestamp) {
        let Some((copy, requests)) = self.with(region, |here| here.taken(id)) else { return };
        let turn = engine::run(aws, copy, requests, now);
        self.with(region, |here| here.put_back(turn.deployment, turn.rollback));
        Self::perform(aws, turn.effects);
    }
}

impl Service for CodeDeploy {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        match call.operation.as_str() {
            // These ask ECS first.
            "CreateDeploymentGroup" => groups::create(self, aws, call),
            "UpdateDeploymentGroup" => groups::update(self, aws, call),
            "GetDeploymentTarget" => targets::get(self, aws, call),
            "BatchGetDeploymentTargets" => targets::batch_get(self, aws, call),
            _ => self.with(&call.region, |here| run(here, aws, call)),
        }
    }

    fn operations(&self) -> &'static [&'static str] {
        &OPERATIONS
    }

    fn next_due(&self) -> Option<Timestamp> {
        lock(&self.state).regions.values().filter_map(Region::next_due).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let due: Vec<(String, String)> = {
            let state = lock(&self.state);
            let of = |(name, here): (&String, &Region)| -> Vec<(String, String)> {
                here.due(now).into_iter().map(|id| (name.clone(), id)).collect()
            };
            state.regions.iter().flat_map(of).collect()
        };
        for (region, id) in due {
            self.turn(aws, &region, &id, now);
        }
    }
}

/// The operations that need nothing but the state.
fn run(here: &mut Region, aws: &Aws, call: &Call) -> Result<Value, Failure> {
    match call.operation.as_str() {
        "CreateApplication" => applications::create(here, aws, call),
        "GetApplication" => applications::get(here, call),
        "BatchGetApplications" => applications::batch_get(here, call),
        "ListApplications" => applications::list(here, call),
        "UpdateApplication" => applications::update(here, call),
        "DeleteApplication" => applications::delete(here, call),
        "CreateDeploymentConfig" => configs::create(here, aws, call),
        "GetDeploymentConfig" => configs::get(here, call),
        "ListDeploymentConfigs" => configs::list(here, call),
        "DeleteDeploymentConfig" => configs::delete(here, call),
        "GetDeploymentGroup" => groups::get(here, call),
        "BatchGetDeploymentGroups" => groups::batch_get(here, call),
        "ListDeploymentGroups" => groups::list(here, call),
        "DeleteDeploymentGroup" => groups::delete(here, call),
        "CreateDeployment" => create::create(here, aws, call),
        "GetDeployment" => deployments::get(here, call),
        "BatchGetDeployments" => deployments::batch_get(here, call),
        "ListDeployments" => deployments::list(here, call),
        "StopDeployment" => deployments::stop(here, call),
        "ContinueDeployment" => deployments::carry_on(here, call),
        "ListDeploymentTargets" => targets::list(here, call),
        "RegisterApplicationRevision" => revisions::register(here, call),
        "GetApplicationRevision" => revisions::get(here, call),
        "BatchGetApplicationRevisions" => revisions::batch_get(here, call),
        "ListApplicationRevisions" => revisions::list(here, call),
        "TagResource" => tags::tag(here, call),
        "UntagResource" => tags::untag(here, call),
        "ListTagsForResource" => tags::list(here, call),
        other => Err(Failure::not_emulated("CodeDeploy", other)),
    }
}

/// A deployment's id: `d-` and nine of the letters and digits.
fn deployment_id(aws: &Aws) -> String {
    const SIGNS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let sign = |random: &mut fastrand::Rng| char::from(SIGNS[random.usize(..SIGNS.len())]);
    let nine: String = aws.random(|random| (0..9).map(|_| sign(random)).collect());
    format!("d-{nine}")
}

/// What a pipeline learns of the end of the deployment that it asked for.
fn told(deployment: &Deployment, key: &str) -> WorkEnd {
    let succeeded = deployment.status == state::Status::Succeeded;
    let summary = match (&deployment.error, succeeded) {
        (_, true) => "Deployment Succeeded".to_owned(),
        (Some((_, message)), false) => format!("Deployment {} failed. {message}", deployment.id),
        (None, false) => format!("Deployment {} {}", deployment.id, deployment.status.name().to_lowercase()),
    };
    // Source: CodePipeline user guide, "Variables available for pipeline actions", CodeDeploy to ECS.
    let exported = BTreeMap::from([("DeploymentId".to_owned(), deployment.id.clone())]);
    WorkEnd { id: key.to_owned(), succeeded, summary, exported }
}
