//! How things stand where a version is turned back: asked of AWS just before anything is decided.

use super::Hands;
use super::plan::digests;
use super::step::execution_of;
use crate::aws::CallError;
use crate::aws::codepipeline::Inside as StageInside;
use crate::config::Deploy;
use crate::domain::execution::{Execution, ExecutionId, Start, Status};
use crate::domain::rollback::{Facts, Inside, Live, Phase, Rollback, Runs, Step, Work, Worker};
use crate::domain::running::{EcsRunning, EcsState};
use crate::domain::shown;
use crate::run::{Engine, RunError};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Reads how things stand for a rollback.
pub(super) async fn facts(
    engine: &Engine,
    hands: &Hands,
    rollback: &Rollback,
    now: Timestamp,
) -> Result<Facts, RunError> {
    // None of them waits for another: what is asked at once is nearly of one moment, and somebody waits.
    let target = rollback.target();
    let (stage, place, live) = tokio::join!(
        engine.targets.pipelines().stage_now(&target, &rollback.deploy.stage),
        place(hands, &rollback.deploy),
        live(engine, rollback),
    );
    let (Place { in_flight, runs }, live) = (place?, live?);
    let stage = match stage {
        Ok(stage) => stage,
        // The pipeline is gone, or we may not look: what runs is asked all the same.
        Err(CallError::Refused { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let (inside, waiting) = match stage {
        Some(stage) => {
            let inside = match stage.inside {
                Some(one) => Some(inside(engine, rollback, one, now).await?),
                None => None,
            };
            (inside, stage.waiting)
        }
        None => (None, Vec::new()),
    };
    let work = work(engine, hands, rollback, inside.as_ref(), now).await?;
    let is_undoing = match &in_flight {
        Some(worker) => is_undoing(hands, &rollback.region, worker).await?,
        None => false,
    };
    Ok(Facts { inside, waiting, live, in_flight, is_undoing, runs, work })
}

async fn inside(engine: &Engine, rollback: &Rollback, one: StageInside, now: Timestamp) -> Result<Inside, RunError> {
    let StageInside { aws_id, is_running } = one;
    let (mut is_rollback, mut is_its) = (false, aws_id == rollback.from.aws_id);
    if is_running
        && !is_its
        && let Some(id) = engine.ledger.run(&rollback.target(), &aws_id, now).await?.value.execution
    {
        is_rollback = engine.ledger.rollback_with(&id).await?.is_some();
        let execution = engine.ledger.execution(&id).await?;
        is_its = execution.is_some_and(|found| found.value.environment.as_ref() == Some(&rollback.environment));
    }
    Ok(Inside { aws_id, is_running, is_rollback, is_its })
}

/// Whether a deployment is its service's own rollback of another one.
async fn is_undoing(hands: &Hands, region: &str, worker: &Worker) -> Result<bool, RunError> {
    Ok(match worker {
        Worker::CodeDeploy { deployment } => {
            let found = seen(hands.codedeploy.deployment(region, deployment).await)?;
            found.is_ok_and(|found| found.is_some_and(|found| found.is_rollback))
        }
        Worker::Ecs { deployment } => {
            let found = seen(hands.ecs.deployment(region, deployment).await)?;
            found.is_ok_and(|found| found.is_some_and(|found| found.state == EcsState::RollingBack))
        }
        Worker::Execution { .. } | Worker::StoppedExecution { .. } => false,
    })
}

/// What a call says, if it may be asked. What AWS refuses to show is not seen; what it does not answer is asked again.
fn seen<T>(outcome: Result<T, CallError>) -> Result<Result<T, String>, RunError> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(error @ CallError::Refused { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// A place where versions land, as its own services show it.
pub(super) struct Place {
    /// The deployment that is in flight there, where a service is configured that could tell.
    pub(super) in_flight: Option<Worker>,
    /// What runs there.
    pub(super) runs: Runs,
}

/// What ECS says of a service, where one is configured: what runs, if there is such a service and we may look.
type Service = Option<Result<Option<EcsRunning>, String>>;

/// Asks the services of a place what is in flight there, and what runs.
pub(super) async fn place(hands: &Hands, deploy: &Deploy) -> Result<Place, RunError> {
    let (in_flight, service) = moving(hands, deploy).await?;
    let runs = match service {
        Some(running) => runs_in_ecs(deploy, running, in_flight.is_some()),
        None => runs_by_codedeploy(hands, deploy, in_flight.is_some()).await?,
    };
    Ok(Place { in_flight, runs })
}

/// The deployment that is in flight in a place, where a service is configured that could tell.
pub(super) async fn in_flight(hands: &Hands, deploy: &Deploy) -> Result<Option<Worker>, RunError> {
    Ok(moving(hands, deploy).await?.0)
}

async fn moving(hands: &Hands, deploy: &Deploy) -> Result<(Option<Worker>, Service), RunError> {
    let (group, service) = tokio::join!(in_flight_by_codedeploy(hands, deploy), ecs_running(hands, deploy));
    let (group, service) = (group?, service?);
    let by_ecs = match &service {
        Some(Ok(Some(running))) => running.in_flight.clone(),
        Some(Ok(None) | Err(_)) | None => None,
    };
    Ok((group.or(by_ecs.map(|deployment| Worker::Ecs { deployment })), service))
}

async fn in_flight_by_codedeploy(hands: &Hands, deploy: &Deploy) -> Result<Option<Worker>, RunError> {
    let Some(group) = &deploy.codedeploy else { return Ok(None) };
    let found = hands.codedeploy.in_flight(&deploy.region, &group.application, &group.deployment_group).await;
    Ok(seen(found)?.ok().flatten().map(|deployment| Worker::CodeDeploy { deployment }))
}

async fn ecs_running(hands: &Hands, deploy: &Deploy) -> Result<Service, RunError> {
    let Some(ecs) = &deploy.ecs else { return Ok(None) };
    seen(hands.ecs.running(&deploy.region, &ecs.cluster, &ecs.service).await).map(Some)
}

fn runs_in_ecs(deploy: &Deploy, running: Result<Option<EcsRunning>, String>, is_moving: bool) -> Runs {
    let service = deploy.ecs.as_ref().map(|ecs| format!("{}/{}", ecs.cluster, ecs.service)).unwrap_or_default();
    let name = format!("ECS's service {service}");
    match running {
        Ok(Some(running)) if running.images.is_empty() && !running.unpinned.is_empty() => {
            Runs::Unseen { why: format!("{name} names its images by tags") }
        }
        Ok(Some(running)) if running.images.is_empty() && running.is_steady => {
            Runs::Unseen { why: format!("{name} runs no task") }
        }
        Ok(Some(running)) => Runs::Images { digests: running.images, is_steady: running.is_steady && !is_moving },
        Ok(None) => Runs::Unseen { why: format!("there is no {name}") },
        Err(why) => Runs::Unseen { why },
    }
}

async fn runs_by_codedeploy(hands: &Hands, deploy: &Deploy, is_moving: bool) -> Result<Runs, RunError> {
    let unseen = |why: String| Ok(Runs::Unseen { why });
    let Some(group) = &deploy.codedeploy else {
        return unseen(format!("neither ecs nor codedeploy is configured for {}", deploy.region));
    };
    let last = hands.codedeploy.latest_succeeded(&deploy.region, &group.application, &group.deployment_group).await;
    let definition = match seen(last)? {
        Ok(last) => last.and_then(|last| last.task_definition),
        Err(why) => return unseen(why),
    };
    let Some(definition) = definition else {
        return unseen("CodeDeploy's last deployment names no task definition".to_owned());
    };
    match seen(hands.ecs.images(&deploy.region, &definition).await)? {
        Ok(images) if images.digests.is_empty() => unseen("the task definition names its images by tags".to_owned()),
        Ok(images) => Ok(Runs::Images { digests: images.digests, is_steady: !is_moving }),
        Err(why) => unseen(why),
    }
}

async fn live(engine: &Engine, rollback: &Rollback) -> Result<Option<Live>, RunError> {
    let states = engine.ledger.environment_states(&rollback.environment, [rollback.region.as_str()]).await?;
    let Some(state) = states.into_iter().next() else { return Ok(None) };
    let live = state.value.live_of(&rollback.deploy.pipeline);
    Ok(live.map(|live| Live {
        aws_id: live.aws_id.clone(),
        digits: shown::digits(live.sha.as_ref()).to_owned(),
        is_blamed: live.execution == rollback.from.execution || (live.sha.is_some() && live.sha == rollback.from.sha),
    }))
}

/// How far the work of the present step is.
async fn work(
    engine: &Engine,
    hands: &Hands,
    rollback: &Rollback,
    inside: Option<&Inside>,
    now: Timestamp,
) -> Result<Work, RunError> {
    let region = &rollback.deploy.region;
    match &rollback.phase {
        Phase::Asked { step: step @ (Step::RollbackStage | Step::Start), .. } => {
            let id = execution_of(engine, rollback, *step).await?;
            let work = of_execution(engine, &id, rollback, *step, now).await?;
            // From the answer on, which may have come to somebody else, it is followed.
            let is_taken = matches!(work, Work::Going { .. } | Work::Succeeded { .. });
            Ok(if is_taken { Work::Taken(Worker::Execution { id }) } else { work })
        }
        Phase::Asked { step: Step::Stop | Step::Deploy, .. } => Ok(Work::Unanswered),
        Phase::Going { step, work, .. } => match work {
            Worker::Execution { id } => of_execution(engine, id, rollback, *step, now).await,
            // The stage has to come to rest, or no other step can be taken in it.
            Worker::Ecs { .. } | Worker::CodeDeploy { .. } | Worker::StoppedExecution { .. }
                if *step == Step::Stop && inside.is_some_and(|inside| inside.is_running) =>
            {
                Ok(Work::Going { aws_id: None })
            }
            Worker::StoppedExecution { .. } => Ok(Work::Succeeded { images: None }),
            Worker::Ecs { deployment } if deployment.is_empty() => Ok(Work::Succeeded { images: None }),
            Worker::Ecs { deployment } => of_ecs(hands, region, deployment).await,
            Worker::CodeDeploy { deployment } => of_codedeploy(hands, region, deployment).await,
        },
        Phase::Claimed | Phase::Choosing | Phase::Done { .. } | Phase::Cancelled { .. } | Phase::Person { .. } => {
            Ok(Work::None)
        }
    }
}

async fn of_execution(
    engine: &Engine,
    id: &ExecutionId,
    rollback: &Rollback,
    step: Step,
    now: Timestamp,
) -> Result<Work, RunError> {
    let Some(mut execution) = engine.ledger.execution(id).await?.map(|loaded| loaded.value) else {
        return Ok(Work::Failed { why: format!("{id} is not on record") });
    };
    if let Start::Requested { .. } = &execution.start {
        // AWS had no room, or whoever saved it did not get to ask: on the same step.
        execution = engine.take_up(id, &crate::domain::execution::StartEvent::Begin, now).await?;
    }
    Ok(match &execution.start {
        Start::Requested { .. } | Start::Asked { .. } => Work::Unanswered,
        Start::Refused { reason } => Work::NotTaken { why: reason.clone() },
        Start::Overtaken { .. } => Work::NotTaken { why: "it was overtaken".to_owned() },
        Start::Unknown { reason, .. } => {
            Work::Unknown { why: format!("{reason}: `pointsman executions resolve {id}` settles it") }
        }
        Start::Started { aws_id } => {
            let run = engine.ledger.run(&execution.target, aws_id, now).await?.value;
            let has_passed = run.observed.passed(&rollback.deploy.stage).is_some();
            of_started(&execution, aws_id, step, has_passed)
        }
    })
}

/// `has_passed` says whether it has come through the stage: what comes after that is of no interest here.
fn of_started(execution: &Execution, aws_id: &str, step: Step, has_passed: bool) -> Work {
    match execution.status {
        Status::Requested | Status::Running | Status::AwaitingApproval | Status::Unknown if has_passed => {
            Work::Succeeded { images: built(execution, step) }
        }
        Status::Requested | Status::Running | Status::AwaitingApproval | Status::Unknown => {
            Work::Going { aws_id: Some(aws_id.to_owned()) }
        }
        Status::Succeeded => Work::Succeeded { images: built(execution, step) },
        Status::Failed | Status::Stopped | Status::Superseded | Status::RolledBack => {
            Work::Failed { why: format!("its execution {aws_id} ended {}", execution.status.as_str()) }
        }
    }
}

/// The images of a start, which builds anew. A rollback of a stage brings the artifacts of its target.
fn built(execution: &Execution, step: Step) -> Option<BTreeSet<String>> {
    (step == Step::Start).then(|| digests(&execution.images)).filter(|all| !all.is_empty())
}

/// Whatever a deployment ended as: what runs after it is looked at anyway.
async fn of_ecs(hands: &Hands, region: &str, deployment: &str) -> Result<Work, RunError> {
    Ok(match seen(hands.ecs.deployment(region, deployment).await)? {
        Ok(Some(found)) if found.state.is_over() => Work::Succeeded { images: None },
        Ok(Some(_)) => Work::Going { aws_id: None },
        Ok(None) => Work::Failed { why: "ECS does not know its deployment any more".to_owned() },
        Err(why) => Work::Failed { why },
    })
}

async fn of_codedeploy(hands: &Hands, region: &str, deployment: &str) -> Result<Work, RunError> {
    let mut id = deployment.to_owned();
    // A stopped one is undone by another one.
    for _ in 0..2 {
        match seen(hands.codedeploy.deployment(region, &id).await)? {
            Ok(Some(found)) if !found.state.is_over() => return Ok(Work::Going { aws_id: None }),
            Ok(Some(found)) => match found.rolled_back_by {
                Some(undoing) => id = undoing,
                None => return Ok(Work::Succeeded { images: None }),
            },
            Ok(None) => return Ok(Work::Failed { why: "CodeDeploy does not know its deployment any more".to_owned() }),
            Err(why) => return Ok(Work::Failed { why }),
        }
    }
    Ok(Work::Succeeded { images: None })
}

/// The images of a version, for people.
pub(super) fn named(images: &BTreeSet<String>) -> String {
    images.iter().map(|image| crate::domain::image::shown(image)).collect::<Vec<_>>().join(", ")
}
