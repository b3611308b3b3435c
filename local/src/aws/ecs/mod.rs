//! ECS: task definitions, services under all three controllers, service deployments and their events.
//!
//! Tasks are counted, not run: they come up a look of the scheduler after they were launched, or never, where
//! `local:deploy` says so (see `configuration`). `model` is the state, `rollout`, `failing` and `task_sets` move it,
//! `scaling` says by how much, `answers` shows it; `clusters`, `definitions`, `services`, `deployments` and `tasks`
//! have the operations. This file holds the lock, and reaches out once it is released.
//!
//! Not here, and refused by name: strategies other than ROLLING, DAEMON services, lifecycle hooks, a change of the
//! deployment controller. There are no container instances, and RunTask is not emulated.

mod answers;
mod clusters;
mod configuration;
mod containers;
mod definitions;
mod deployments;
mod failing;
mod input;
mod model;
mod outside;
mod pipeline;
mod rollout;
mod scaling;
mod services;
mod task_sets;
mod tasks;
#[cfg(test)]
mod tests;
mod turn;

use super::{Aws, Call, Failure, Service, lock};
use jiff::Timestamp;
use model::{Controller, Life, Region, Status};
pub(crate) use pipeline::PipelineDeploy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use turn::{Effect, Turn};

pub use pipeline::ACTION_TIMEOUT;
pub use turn::{FAST_DEPLOYMENT, REAL_DEPLOYMENT};

/// The clusters of every region.
#[derive(Default)]
pub struct Ecs {
    state: Mutex<State>,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    regions: BTreeMap<String, Region>,
    trusts_rollback: bool,
}

impl Ecs {
    /// Whether CodePipeline's action succeeds where the deployment that it began was rolled back.
    ///
    /// The action waits for the service to be stable, and after a rollback it is: pipelines have been seen to succeed
    /// so, and to fail. By default it fails.
    pub fn set_pipeline_trusts_rollback(&self, trusts: bool) {
        lock(&self.state).trusts_rollback = trusts;
    }

    /// Deploys an image for a pipeline, and answers with the deployment's id: the action's external execution id.
    ///
    /// Its end is told by `CodePipeline::work_ended`, once.
    ///
    /// # Errors
    /// `ClusterNotFoundException` and `ServiceNotFoundException` in a strict account; otherwise both are made.
    /// `InvalidParameterException` for a service under another controller than ECS, or without that container.
    pub(crate) fn deploy_for_pipeline(
        &self,
        aws: &Aws,
        region: &str,
        wanted: PipelineDeploy,
    ) -> Result<String, Failure> {
        let (answer, turn) = {
            let mut state = lock(&self.state);
            let mut turn = state.turn(aws, aws.clock().now());
            let here = state.regions.entry(region.to_owned()).or_default();
            (pipeline::deploy(here, region, wanted, &mut turn), turn)
        };
        self.perform(turn);
        aws.poke();
        answer
    }

    /// Makes a cluster and a service in it that is steady already, where they are not there yet.
    ///
    /// # Errors
    /// As CreateCluster and CreateService.
    pub(crate) fn provide(&self, aws: &Aws, region: &str, cluster: &str, service: &str) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        let turn = state.turn(aws, aws.clock().now());
        let here = state.regions.entry(region.to_owned()).or_default();
        let names = serde_json::json!({ "cluster": cluster, "service": service });
        pipeline::make_on_first_use(here, region, &names, &turn)
    }

    /// All that is known, for [`Ecs::restore`].
    pub(crate) fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.state)).unwrap_or_default()
    }

    /// Puts back what [`Ecs::save`] gave.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        *lock(&self.state) = serde_json::from_value(saved)?;
        Ok(())
    }

    /// Looks at every service that is due, and comes back with what is to be done about it.
    fn look_around<'a>(&self, aws: &'a Aws, now: Timestamp) -> Turn<'a> {
        let alarms = lock(&self.state).alarms(now);
        let ringing: BTreeMap<&String, BTreeSet<String>> =
            alarms.iter().map(|(region, names)| (region, outside::ringing(aws, region, names))).collect();
        let nothing = BTreeSet::new();
        let mut state = lock(&self.state);
        let mut turn = state.turn(aws, now);
        for (region, here) in &mut state.regions {
            let ringing = ringing.get(region).unwrap_or(&nothing);
            for service in here.services.values_mut() {
                pipeline::lose_patience(service, &mut turn);
                if service.due.is_some_and(|due| due <= now) {
                    look(service, ringing, &mut turn);
                }
            }
        }
        turn
    }

    /// Does what a turn asked for. The lock must not be held.
    fn perform(&self, turn: Turn<'_>) {
        let aws = turn.aws;
        for effect in turn.effects {
            match effect {
                Effect::Emit { region, event } => aws.emit(&region, event),
                Effect::Ended(end) => aws.codepipeline().work_ended(aws, &end),
                Effect::LookUp { region, service, owner } => self.look_up(aws, &region, &service, &owner),
            }
        }
    }

    /// Asks for the digests of a new deployment's images, and for its alarms.
    ///
    /// Source: ECS developer guide, "How CloudWatch alarms detect Amazon ECS deployment failures": alarms that are in
    /// ALARM when a deployment begins are not watched by it.
    fn look_up(&self, aws: &Aws, region: &str, key: &str, owner: &str) {
        let (images, alarms) = {
            let mut state = lock(&self.state);
            let Some(service) = state.service(region, key) else { return };
            let images: BTreeSet<String> = service.images_of(owner).map(|image| image.image.clone()).collect();
            let watched = service.under_way().filter(|rolling| rolling.alarms.are_watched);
            (images, watched.map(|rolling| rolling.alarms.names.iter().cloned().collect()).unwrap_or_default())
        };
        let digests = outside::digests(aws, &images);
        let ringing = outside::ringing(aws, region, &alarms);
        let mut state = lock(&self.state);
        let Some(service) = state.service(region, key) else { return };
        for image in service.images_of(owner) {
            if let Some(digest) = digests.get(&image.image) {
                image.digest.clone_from(digest);
            }
        }
        if let Some(rolling) = service.under_way().filter(|rolling| rolling.target == owner) {
            rolling.alarms.are_watched &= ringing.is_empty();
        }
    }
}

impl State {
    fn turn<'a>(&self, aws: &'a Aws, now: Timestamp) -> Turn<'a> {
        Turn { aws, now, trusts_rollback: self.trusts_rollback, effects: Vec::new() }
    }

    fn service(&mut self, region: &str, key: &str) -> Option<&mut model::Service> {
        self.regions.get_mut(region)?.services.get_mut(key)
    }

    fn services(&self) -> impl Iterator<Item = &model::Service> {
        self.regions.values().flat_map(|here| here.services.values())
    }

    /// The alarms of each region that deployments with a look due at `now` are held against.
    fn alarms(&self, now: Timestamp) -> BTreeMap<String, BTreeSet<String>> {
        let mut alarms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for service in self.services().filter(|service| service.due.is_some_and(|due| due <= now)) {
            let last = service.history.last().filter(|rolling| rolling.status == Status::InProgress);
            if let Some(rolling) = last.filter(|rolling| rolling.alarms.are_watched) {
                alarms.entry(service.region.clone()).or_default().extend(rolling.alarms.names.iter().cloned());
            }
        }
        alarms
    }
}

impl model::Service {
    /// When something happens here by itself.
    fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.history.last().and_then(|rolling| rolling.pipeline.as_ref());
        self.due.into_iter().chain(waiting.map(|waiting| waiting.until)).min()
    }

    fn images_of<'a>(&'a mut self, owner: &'a str) -> impl Iterator<Item = &'a mut model::Image> {
        let revisions = self.revisions.iter_mut().filter(move |each| each.id == owner);
        let sets = self.task_sets.iter_mut().filter(move |each| each.id == owner);
        revisions.flat_map(|each| &mut each.images).chain(sets.flat_map(|each| &mut each.images))
    }
}

impl Service for Ecs {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let (answer, turn) = {
            let mut state = lock(&self.state);
            let mut turn = state.turn(aws, call.now);
            let here = state.regions.entry(call.region.clone()).or_default();
            (run(here, call, &mut turn), turn)
        };
        self.perform(turn);
        answer
    }

    fn operations(&self) -> &'static [&'static str] {
        &OPERATIONS
    }

    fn next_due(&self) -> Option<Timestamp> {
        lock(&self.state).services().filter_map(model::Service::next_due).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let turn = self.look_around(aws, now);
        self.perform(turn);
    }
}

fn look(service: &mut model::Service, ringing: &BTreeSet<String>, turn: &mut Turn<'_>) {
    match (service.life, service.controller) {
        (Life::Active, Controller::Ecs) => rollout::look(service, ringing, turn),
        (Life::Active, Controller::CodeDeploy | Controller::External) => task_sets::look(service, turn),
        (Life::Draining | Life::Inactive, _) => rollout::drain(service, turn),
    }
}

const OPERATIONS: [&str; 29] = [
    "CreateCluster",
    "CreateService",
    "CreateTaskSet",
    "DeleteCluster",
    "DeleteService",
    "DeleteTaskDefinitions",
    "DeleteTaskSet",
    "DeregisterTaskDefinition",
    "DescribeClusters",
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "DescribeServices",
    "DescribeTaskDefinition",
    "DescribeTaskSets",
    "DescribeTasks",
    "ListClusters",
    "ListServiceDeployments",
    "ListServices",
    "ListTagsForResource",
    "ListTaskDefinitionFamilies",
    "ListTaskDefinitions",
    "ListTasks",
    "RegisterTaskDefinition",
    "StopServiceDeployment",
    "TagResource",
    "UntagResource",
    "UpdateService",
    "UpdateServicePrimaryTaskSet",
    "UpdateTaskSet",
];

fn run(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    match call.operation.as_str() {
        "CreateCluster" => clusters::create(here, call),
        "CreateService" => services::create(here, call, turn),
        "CreateTaskSet" => task_sets::create(here, call, turn),
        "DeleteCluster" => clusters::delete(here, call),
        "DeleteService" => services::delete(here, call, turn),
        "DeleteTaskDefinitions" => definitions::delete(here, call),
        "DeleteTaskSet" => task_sets::delete(here, call, turn),
        "DeregisterTaskDefinition" => definitions::deregister(here, call),
        "DescribeClusters" => clusters::describe(here, call),
        "DescribeServiceDeployments" => deployments::describe(here, call),
        "DescribeServiceRevisions" => deployments::describe_revisions(here, call),
        "DescribeServices" => services::describe(here, call),
        "DescribeTaskDefinition" => definitions::describe(here, call),
        "DescribeTaskSets" => task_sets::describe(here, call),
        "DescribeTasks" => tasks::describe(here, call),
        "ListClusters" => clusters::list(here, call),
        "ListServiceDeployments" => deployments::list(here, call),
        "ListServices" => services::list(here, call),
        "ListTagsForResource" => clusters::list_tags(here, call),
        "ListTaskDefinitionFamilies" => definitions::list_families(here, call),
        "ListTaskDefinitions" => definitions::list(here, call),
        "ListTasks" => tasks::list(here, call),
        "RegisterTaskDefinition" => definitions::register(here, call),
        "StopServiceDeployment" => deployments::stop(here, call, turn),
        "TagResource" => clusters::tag(here, call),
        "UntagResource" => clusters::untag(here, call),
        "UpdateService" => services::update(here, call, turn),
        "UpdateServicePrimaryTaskSet" => task_sets::make_primary(here, call, turn),
        "UpdateTaskSet" => task_sets::update(here, call, turn),
        other => Err(Failure::not_emulated("ECS", other)),
    }
}
