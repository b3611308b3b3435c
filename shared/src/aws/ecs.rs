//! ECS: what a service really runs, what it ran before, and the ways back that ECS has itself.
//!
//! A version is the digests of its images. Those are read from the revisions whose tasks run, never from what is
//! wanted: a deployment may have been rolled back by ECS's circuit breaker while everybody else calls it a success.

use super::regional::Regional;
use super::{AwsConfig, CallError, client, moment};
use crate::domain::image::digests_in;
use crate::domain::running::{Controller, EcsDeployment, EcsRevision, EcsRunning, EcsState, Images};
use aws_sdk_ecs::Client;
use aws_sdk_ecs::types as sdk;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many deployments a page holds: AWS's own maximum.
const PAGE_DEPLOYMENTS: i32 = 100;
/// How many pages of deployments a look goes back. What is older is no way back.
const PAGES_MAX: usize = 3;
/// How many revisions one call describes: AWS's own maximum.
const BATCH_REVISIONS: usize = 20;
/// How many of the youngest deployments that went through are looked into. What is older is no way back.
const REVISIONS_MAX: usize = 40;

/// The statuses of a deployment that is not over.
const IN_FLIGHT: [sdk::ServiceDeploymentStatus; 5] = [
    sdk::ServiceDeploymentStatus::Pending,
    sdk::ServiceDeploymentStatus::InProgress,
    sdk::ServiceDeploymentStatus::StopRequested,
    sdk::ServiceDeploymentStatus::RollbackRequested,
    sdk::ServiceDeploymentStatus::RollbackInProgress,
];

/// ECS's word for something that is not there, among the failures of an answer.
const MISSING: &str = "MISSING";
/// The status of a service that works.
const ACTIVE: &str = "ACTIVE";
/// The status of a service that was deleted; ECS shows it for a while.
const INACTIVE: &str = "INACTIVE";
/// The task set that has the production traffic.
const PRIMARY: &str = "PRIMARY";
/// A task set whose tasks are being stopped.
const DRAINING: &str = "DRAINING";

/// Clients of ECS.
#[derive(Debug)]
pub struct Ecs {
    clients: Regional<Client>,
}

impl Ecs {
    /// Clients for every region.
    pub fn new(config: &AwsConfig) -> Self {
        Self { clients: Regional::new(config, |config| client!(aws_sdk_ecs, config)) }
    }

    /// What a service really runs; `None` when there is no such service.
    ///
    /// Under ECS's own controller: the images of every revision of which a task runs. Under another: those of the task
    /// set that has the production traffic, read from its task definition, so only where that names digests.
    ///
    /// # Errors
    /// [`CallError`] when ECS does not say, `ClusterNotFoundException` included.
    pub async fn running(&self, region: &str, cluster: &str, service: &str) -> Result<Option<EcsRunning>, CallError> {
        let client = self.clients.in_region(region);
        let request = client.describe_services().cluster(cluster).services(service);
        let answer = request.send().await?;
        let Some(found) = answer.services().first().filter(|found| found.status() != Some(INACTIVE)) else {
            return failed(answer.failures()).map(|()| None);
        };
        let running = match controller_of(found) {
            Controller::Ecs => rolling(&client, cluster, service, found).await?,
            controller @ (Controller::CodeDeploy | Controller::External) => {
                task_sets(&client, controller, found).await?
            }
        };
        Ok(Some(running))
    }

    /// The images that a task definition names.
    ///
    /// # Errors
    /// [`CallError`] when ECS does not say.
    pub async fn images(&self, region: &str, task_definition: &str) -> Result<Images, CallError> {
        images_of(&self.clients.in_region(region), task_definition).await
    }

    /// Has ECS stop a deployment in progress and roll back to what ran before it. [`Ecs::deployment`] tells what came
    /// of it.
    ///
    /// The SDK may repeat the call when a reply gets lost. So a refusal may be the answer to its own repetition: only
    /// the deployment itself tells.
    ///
    /// # Errors
    /// [`CallError`]: `ServiceDeploymentNotFoundException`, and `ConflictException` for one that is over already.
    pub async fn stop(&self, region: &str, deployment_arn: &str) -> Result<(), CallError> {
        let client = self.clients.in_region(region);
        let request = client.stop_service_deployment().service_deployment_arn(deployment_arn);
        request.stop_type(sdk::StopServiceDeploymentStopType::Rollback).send().await?;
        Ok(())
    }

    /// How a service deployment stands; `None` when ECS does not know it (any more: it keeps them for 90 days).
    ///
    /// # Errors
    /// [`CallError`] when ECS does not say.
    pub async fn deployment(&self, region: &str, arn: &str) -> Result<Option<EcsDeployment>, CallError> {
        let client = self.clients.in_region(region);
        let answer = client.describe_service_deployments().service_deployment_arns(arn).send().await?;
        let Some(found) = answer.service_deployments().first() else {
            return failed(answer.failures()).map(|()| None);
        };
        let reason = found.status_reason().or_else(|| found.rollback()?.reason());
        Ok(Some(EcsDeployment { state: state_of(found.status()), reason: reason.map(str::to_owned) }))
    }

    /// What a service ran after each of its last deployments that went through, the youngest first. Deployments that
    /// were rolled back are none of them. ECS tells nothing from before October 2024, and nothing under another
    /// controller than its own.
    ///
    /// # Errors
    /// [`CallError`] when ECS does not say.
    ///
    /// Source: the ECS API reference, DescribeServiceRevisions.
    pub async fn ran_before(&self, region: &str, cluster: &str, service: &str) -> Result<Vec<EcsRevision>, CallError> {
        let client = self.clients.in_region(region);
        let listed = deployments(&client, cluster, service, &[sdk::ServiceDeploymentStatus::Successful]).await?;
        let mut ended: Vec<(Timestamp, String)> = listed
            .iter()
            .filter_map(|each| Some((moment(each.finished_at())?, each.target_service_revision_arn()?.to_owned())))
            .collect();
        ended.sort_by(|one, other| other.cmp(one));
        ended.truncate(REVISIONS_MAX);
        let arns: Vec<String> = ended.iter().map(|(_, arn)| arn.clone()).collect();
        let known = revisions(&client, &arns).await?;
        let shown = ended.into_iter().filter_map(|(finished_at, revision_arn)| {
            let revision = known.get(&revision_arn)?;
            let images = images_in(revision);
            Some(EcsRevision {
                revision_arn,
                task_definition: revision.task_definition()?.to_owned(),
                images: images.digests,
                unpinned: images.unpinned,
                finished_at,
            })
        });
        Ok(shown.collect())
    }

    /// Has a service run a task definition; answers with the ARN of the deployment that this started, where one is to
    /// be seen already.
    ///
    /// Asking twice is harmless: a service that has the task definition already is left as it is. So the SDK may
    /// repeat the call, and so may the caller.
    ///
    /// # Errors
    /// [`CallError`]: `ServiceNotFoundException`, `ServiceNotActiveException`, `ClusterNotFoundException`,
    /// `ClientException` for a task definition that is not there or was deregistered, and
    /// `InvalidParameterException` under another controller than ECS's own.
    pub async fn go_to(
        &self,
        region: &str,
        cluster: &str,
        service: &str,
        task_definition: &str,
    ) -> Result<Option<String>, CallError> {
        let client = self.clients.in_region(region);
        let request = client.update_service().cluster(cluster).service(service).task_definition(task_definition);
        let answer = request.send().await?;
        let is_moving = |each: &sdk::Deployment| each.rollout_state() == Some(&sdk::DeploymentRolloutState::InProgress);
        if !answer.service().is_some_and(|service| service.deployments().iter().any(is_moving)) {
            return Ok(None);
        }
        // ECS has taken it. Which deployment it is can be asked again, so that this fails is no failure.
        Ok(in_flight(&client, cluster, service).await.unwrap_or_default())
    }
}

/// Passes over what is missing; anything else that failed is an error.
fn failed(failures: &[sdk::Failure]) -> Result<(), CallError> {
    let Some(failure) = failures.iter().find(|failure| failure.reason() != Some(MISSING)) else { return Ok(()) };
    let code = failure.reason().unwrap_or("Unknown").to_owned();
    Err(CallError::Refused { code, message: failure.detail().or(failure.arn()).unwrap_or("no message").to_owned() })
}

fn controller_of(service: &sdk::Service) -> Controller {
    match service.deployment_controller().map(sdk::DeploymentController::r#type) {
        None | Some(sdk::DeploymentControllerType::Ecs) => Controller::Ecs,
        Some(sdk::DeploymentControllerType::CodeDeploy) => Controller::CodeDeploy,
        Some(_) => Controller::External,
    }
}

fn state_of(status: Option<&sdk::ServiceDeploymentStatus>) -> EcsState {
    use sdk::ServiceDeploymentStatus as S;
    match status {
        Some(S::Successful) => EcsState::Succeeded,
        Some(S::Stopped) => EcsState::Stopped,
        Some(S::StopRequested) => EcsState::Stopping,
        Some(S::RollbackRequested | S::RollbackInProgress) => EcsState::RollingBack,
        Some(S::RollbackSuccessful) => EcsState::RolledBack,
        Some(S::RollbackFailed) => EcsState::RollbackFailed,
        // Whatever ECS adds: what is not known to be over is not over.
        _ => EcsState::InProgress,
    }
}

/// What runs of a service that ECS deploys to.
async fn rolling(client: &Client, cluster: &str, service: &str, found: &sdk::Service) -> Result<EcsRunning, CallError> {
    // Looked for after the service was: what began in between is found.
    let in_flight = in_flight(client, cluster, service).await?;
    let serving: Vec<_> = found.current_service_revisions().iter().filter(|each| each.running_task_count > 0).collect();
    let arns: Vec<String> = serving.iter().filter_map(|each| each.arn.clone()).collect();
    let known = revisions(client, &arns).await?;
    let counted: i32 = serving.iter().map(|each| each.running_task_count).sum();
    // Some tasks may be of a revision that ECS does not list or describe: one of before it kept them.
    let is_told = counted >= found.running_count() && known.len() == arns.len();
    let (images, definitions) = if is_told {
        let images = known.values().map(images_in).collect();
        (merged(images), known.values().filter_map(|each| each.task_definition.clone()).collect())
    } else {
        of_deployments(client, found).await?
    };
    let is_moving = found.deployments().iter().any(|each| {
        each.status() != Some(PRIMARY) && each.running_count() > 0
            || each.rollout_state() == Some(&sdk::DeploymentRolloutState::InProgress)
    });
    let is_steady = found.status() == Some(ACTIVE)
        && in_flight.is_none()
        && !is_moving
        && found.running_count() == found.desired_count()
        && found.pending_count() == 0
        && serving.len() <= 1;
    let task_definition = match definitions.as_slice() {
        [only] => only.clone(),
        _ => found.task_definition().unwrap_or_default().to_owned(),
    };
    Ok(EcsRunning {
        images: images.digests,
        unpinned: images.unpinned,
        task_definition,
        controller: Controller::Ecs,
        in_flight,
        is_steady,
    })
}

/// The images and the task definitions of those deployments of a service of which tasks run.
async fn of_deployments(client: &Client, found: &sdk::Service) -> Result<(Images, Vec<String>), CallError> {
    let serving = found.deployments().iter().filter(|each| each.running_count() > 0);
    let mut definitions: Vec<String> = serving.filter_map(|each| each.task_definition.clone()).collect();
    definitions.sort();
    definitions.dedup();
    let mut images = Vec::new();
    for definition in &definitions {
        images.push(images_of(client, definition).await?);
    }
    Ok((merged(images), definitions))
}

/// What runs of a service to which somebody else deploys, task set by task set.
async fn task_sets(client: &Client, controller: Controller, found: &sdk::Service) -> Result<EcsRunning, CallError> {
    let primary = found.task_sets().iter().find(|set| set.status() == Some(PRIMARY));
    let others = found.task_sets().iter().filter(|set| !matches!(set.status(), Some(PRIMARY | DRAINING)));
    let serving = primary.filter(|set| set.running_count() > 0).and_then(sdk::TaskSet::task_definition);
    let images = match serving {
        Some(definition) => images_of(client, definition).await?,
        None => Images::default(),
    };
    let is_steady = found.status() == Some(ACTIVE)
        && others.count() == 0
        && primary.is_some_and(|set| {
            set.stability_status() == Some(&sdk::StabilityStatus::SteadyState)
                && set.running_count() == set.computed_desired_count()
                && set.pending_count() == 0
        });
    let task_definition = primary.and_then(sdk::TaskSet::task_definition).or(found.task_definition());
    Ok(EcsRunning {
        images: images.digests,
        unpinned: images.unpinned,
        task_definition: task_definition.unwrap_or_default().to_owned(),
        controller,
        in_flight: None,
        is_steady,
    })
}

/// The deployment of a service that is in progress, the youngest if there are several.
async fn in_flight(client: &Client, cluster: &str, service: &str) -> Result<Option<String>, CallError> {
    let listed = deployments(client, cluster, service, &IN_FLIGHT).await?;
    let youngest = listed.into_iter().max_by_key(|each| moment(each.created_at()));
    Ok(youngest.and_then(|each| each.service_deployment_arn))
}

/// The deployments of a service in some statuses, in no order that ECS promises.
async fn deployments(
    client: &Client,
    cluster: &str,
    service: &str,
    statuses: &[sdk::ServiceDeploymentStatus],
) -> Result<Vec<sdk::ServiceDeploymentBrief>, CallError> {
    let mut found = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let request = client.list_service_deployments().cluster(cluster).service(service);
        let request = request.set_status(Some(statuses.to_vec())).max_results(PAGE_DEPLOYMENTS);
        let page = request.set_next_token(next).send().await?;
        found.extend(page.service_deployments.unwrap_or_default());
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    Ok(found)
}

/// The revisions of which ECS still knows, by their ARNs.
async fn revisions(client: &Client, arns: &[String]) -> Result<BTreeMap<String, sdk::ServiceRevision>, CallError> {
    let mut known = BTreeMap::new();
    for batch in arns.chunks(BATCH_REVISIONS) {
        let answer = client.describe_service_revisions().set_service_revision_arns(Some(batch.to_vec())).send().await?;
        failed(answer.failures())?;
        let described = answer.service_revisions.unwrap_or_default().into_iter();
        known.extend(described.filter_map(|each| Some((each.service_revision_arn.clone()?, each))));
    }
    Ok(known)
}

async fn images_of(client: &Client, task_definition: &str) -> Result<Images, CallError> {
    let answer = client.describe_task_definition().task_definition(task_definition).send().await?;
    let definition = answer.task_definition.ok_or_else(|| CallError::Lost("the answer holds none".to_owned()))?;
    let images = definition.container_definitions().iter().filter_map(sdk::ContainerDefinition::image);
    Ok(merged(images.map(|image| image_of(image, None)).collect()))
}

fn images_in(revision: &sdk::ServiceRevision) -> Images {
    let each = revision.container_images().iter().map(|each| {
        let image = each.image().unwrap_or_default();
        image_of(image, each.image_digest())
    });
    merged(each.collect())
}

/// One image: the digest that ECS resolved it to, or else the one that it is named by.
fn image_of(image: &str, resolved: Option<&str>) -> Images {
    let digest = resolved.and_then(|digest| digests_in(digest).next()).or_else(|| digests_in(image).next());
    let mut images = Images::default();
    match digest {
        Some(digest) => images.digests.insert(digest.to_owned()),
        None => images.unpinned.insert(image.to_owned()),
    };
    images
}

fn merged(all: Vec<Images>) -> Images {
    all.into_iter().fold(Images::default(), |mut merged, each| {
        merged.digests.extend(each.digests);
        merged.unpinned.extend(each.unpinned);
        merged
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_its_digest_or_nobody_knows_it() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let named = format!("shop/web@{}", digest("a"));
        #[rustfmt::skip]
        let cases = [
            // image,          resolved,           digest,            why
            ("shop/web:latest", Some(digest("b")), Some(digest("b")), "ECS resolved the tag when the deployment began"),
            (named.as_str(),    None,              Some(digest("a")), "named by its digest, there was nothing to resolve"),
            (named.as_str(),    Some(digest("a")), Some(digest("a")), "both say the same"),
            ("shop/web:latest", None,              None,              "a tag may point anywhere by now"),
            ("shop/web:latest", Some("?".into()),  None,              "what is no digest is none"),
        ];
        for (image, resolved, expected, why) in cases {
            let images = image_of(image, resolved.as_deref());
            assert_eq!(images.digests.into_iter().next(), expected, "{why}");
            assert_eq!(images.unpinned.is_empty(), expected.is_some(), "{why}");
        }
    }

    #[test]
    fn what_is_not_known_to_be_over_is_not_over() {
        use sdk::ServiceDeploymentStatus as S;
        #[rustfmt::skip]
        let cases = [
            (Some(S::Pending),                  EcsState::InProgress,     false),
            (Some(S::InProgress),               EcsState::InProgress,     false),
            (Some(S::StopRequested),            EcsState::Stopping,       false),
            (Some(S::RollbackRequested),        EcsState::RollingBack,    false),
            (Some(S::RollbackInProgress),       EcsState::RollingBack,    false),
            (Some(S::Successful),               EcsState::Succeeded,      true),
            (Some(S::Stopped),                  EcsState::Stopped,        true),
            (Some(S::RollbackSuccessful),       EcsState::RolledBack,     true),
            (Some(S::RollbackFailed),           EcsState::RollbackFailed, true),
            (Some(S::from("SOMETHING_NEW")),    EcsState::InProgress,     false),
            (None,                              EcsState::InProgress,     false),
        ];
        for (status, expected, is_over) in cases {
            let state = state_of(status.as_ref());
            assert_eq!((state, state.is_over()), (expected, is_over), "{status:?}");
            let is_listed = status.as_ref().is_some_and(|status| IN_FLIGHT.contains(status));
            let is_known = status.is_some_and(|status| status != S::from("SOMETHING_NEW"));
            assert!(!is_known || is_listed != is_over, "what is not over is looked for as in flight");
        }
    }
}
