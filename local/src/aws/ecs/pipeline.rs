//! What CodePipeline's ECS action asks for: a new revision of the task definition, deployed, and waited for.

use super::definitions;
use super::input::{cluster_name, invalid, last};
use super::model::{Order, Region, Rollout, Service, Stage, Status, Waiting, key};
use super::rollout::{self, Chosen};
use super::turn::{Effect, FAST_DEPLOYMENT, Turn};
use super::{clusters, services};
use crate::aws::codepipeline::WorkEnd;
use crate::aws::{ACCOUNT, Call, Failure, Pace};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long the action waits for a service to become stable before it fails, at the real pace.
///
/// Source: Quotas in AWS CodePipeline, the ECS standard action's timeout of 60 minutes.
pub const ACTION_TIMEOUT: SignedDuration = SignedDuration::from_mins(60);

/// What a pipeline asks of a service.
pub(crate) struct PipelineDeploy {
    /// What [`WorkEnd`] will name.
    pub(crate) key: String,
    /// A name or an ARN.
    pub(crate) cluster: String,
    /// A name or an ARN.
    pub(crate) service: String,
    /// A full reference, by digest.
    pub(crate) image: String,
    /// Which container gets the image: without a name the first essential one.
    pub(crate) container: Option<String>,
    /// Ends badly, whatever the tags say.
    pub(crate) fails: bool,
    /// Takes this long, whatever the tags say.
    pub(crate) takes: Option<SignedDuration>,
}

/// Registers the revision and begins the deployment; answers with its id, `ecs-svc/…`.
pub(super) fn deploy(
    here: &mut Region,
    region: &str,
    wanted: PipelineDeploy,
    turn: &mut Turn<'_>,
) -> Result<String, Failure> {
    let names = json!({ "cluster": wanted.cluster, "service": wanted.service });
    if !turn.aws.behaviour().strict {
        make_on_first_use(here, region, &names, turn)?;
    }
    let service = here.active_service(&names)?;
    services::deploys_itself(service.controller, true, false, false)?;
    let current = service.task_definition.clone().unwrap_or_default();
    let definition = definitions::find(here, &current).ok_or_else(|| invalid("TaskDefinition not found."))?;
    let mut next = definition.body.clone();
    let tags = definition.tags.clone();
    put_image(&mut next, wanted.container.as_deref(), &wanted.image)?;
    let by = format!("arn:aws:iam::{ACCOUNT}:root");
    let chosen = Chosen::new(definitions::add(here, region, &next, tags, &by, turn.now)?);
    let service = here.active_service(&names)?;
    let order = Order::read(&service.tags, &chosen.tags);
    let order = Order { fails: order.fails || wanted.fails, takes: wanted.takes.or(order.takes) };
    let patience = match turn.aws.behaviour().pace {
        Pace::Fast => FAST_DEPLOYMENT * 10,
        Pace::Real => ACTION_TIMEOUT,
    };
    let waiting = Waiting { key: wanted.key, until: turn.after(patience) };
    let id = rollout::begin(service, chosen, order, Some(waiting), turn);
    Ok(format!("ecs-svc/{id}"))
}

/// Gives one container of a task definition another image.
fn put_image(body: &mut Value, container: Option<&str>, image: &str) -> Result<(), Failure> {
    let mut containers = body["containerDefinitions"].as_array_mut().into_iter().flatten();
    let found = containers.find(|each| match container {
        Some(name) => each["name"] == name,
        None => each["essential"] != false,
    });
    let Some(found) = found else {
        let name = container.unwrap_or_default();
        return Err(invalid(format!("The task definition has no container named {name}.")));
    };
    found["image"] = json!(image);
    Ok(())
}

/// A cluster and a service that nobody made: one task, a circuit breaker with rollback, and steady already.
///
/// So there is something to go back to when the first deployment of a pipeline fails.
pub(super) fn make_on_first_use(
    here: &mut Region,
    region: &str,
    names: &Value,
    turn: &Turn<'_>,
) -> Result<(), Failure> {
    let cluster = cluster_name(names).to_owned();
    let name = last(names["service"].as_str().unwrap_or_default()).to_owned();
    if !here.clusters.get(&cluster).is_some_and(|known| known.is_active) {
        here.clusters.insert(cluster.clone(), clusters::made(&Value::Null, BTreeMap::new()));
    }
    if here.services.get(&key(&cluster, &name)).is_some_and(|known| known.life != super::model::Life::Inactive) {
        return Ok(());
    }
    let image = format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{name}:latest");
    let input = json!({ "family": name, "containerDefinitions": [{ "name": name, "image": image, "memory": 512 }] });
    let caller = format!("arn:aws:iam::{ACCOUNT}:root");
    let definition = definitions::add(here, region, &input, BTreeMap::new(), &caller, turn.now)?.arn();
    let call = Call {
        operation: "CreateService".to_owned(),
        region: region.to_owned(),
        caller,
        input: json!({
            "cluster": cluster,
            "serviceName": name,
            "taskDefinition": definition,
            "desiredCount": 1,
            "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } },
        }),
        now: turn.now,
    };
    // It counts as one that has been there for long: nobody hears of its first deployment.
    let mut unheard = Turn { effects: Vec::new(), ..*turn };
    services::create(here, &call, &mut unheard)?;
    if let Some(service) = here.services.get_mut(&key(&cluster, &name)) {
        settle_at_once(service, &mut unheard);
    }
    Ok(())
}

fn settle_at_once(service: &mut Service, turn: &mut Turn<'_>) {
    let Some(primary) = service.primary_mut() else { return };
    let id = primary.id.clone();
    primary.rollout = Rollout::Completed;
    primary.completed = Some(turn.now);
    primary.reason = format!("ECS deployment ecs-svc/{id} completed.");
    rollout::launch(service, &id, service.desired, turn);
    for task in &mut service.tasks {
        task.stage = Stage::Running;
        task.started = Some(turn.now);
    }
    rollout::finish(service, Status::Successful, None, turn);
    service.due = None;
}

/// The action that has waited too long gives up; the deployment goes on.
pub(super) fn lose_patience(service: &mut Service, turn: &mut Turn<'_>) {
    let now = turn.now;
    let Some(rolling) = service.under_way() else { return };
    if let Some(waiting) = rolling.pipeline.take_if(|waiting| waiting.until <= now) {
        let summary = "Deployment failed: the service did not become stable in time".to_owned();
        let end = WorkEnd { id: waiting.key, succeeded: false, summary, exported: BTreeMap::new() };
        turn.effects.push(Effect::Ended(end));
    }
}
