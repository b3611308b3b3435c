//! The steps themselves. Each is saved as asked-for before AWS is asked, so two that try at once ask once.

use super::Hands;
use super::advance::After;
use super::save::{load, save};
use super::world::named;
use crate::aws::CallError;
use crate::config::{Deploy, EcsService};
use crate::domain::change::Sha;
use crate::domain::execution::{Execution, ExecutionId, Kind, Origin, StageBack, Start, StartEvent, Status};
use crate::domain::quarantine::Quarantine;
use crate::domain::rollback::{Facts, Phase, Rollback, Step, Tried, Version, Worker};
use crate::domain::running::{Controller, EcsState};
use crate::ledger::{Loaded, RollbackWith, Writes};
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;

/// Asks AWS for a step.
pub(super) async fn take(
    engine: &Engine,
    hands: &Hands,
    loaded: Loaded<Rollback>,
    step: Step,
    facts: &Facts,
    now: Timestamp,
) -> Result<After, RunError> {
    match step {
        Step::Stop => stop(engine, hands, loaded, facts, now).await,
        Step::RollbackStage | Step::Start => start(engine, loaded, step, now).await,
        Step::Deploy => deploy(engine, hands, loaded, now).await,
    }
}

/// Saves that a step is asked for. Whoever saved it asks.
async fn intend(
    engine: &Engine,
    mut loaded: Loaded<Rollback>,
    writes: Writes,
    step: Step,
    now: Timestamp,
) -> Result<Loaded<Rollback>, RunError> {
    loaded.value.turn_to(Phase::Asked { step, since: now }, now);
    let detail = json!({ "step": step, "from": loaded.value.from.sha, "to": loaded.value.to.sha });
    save(engine, writes, &loaded, "rollback step intended", detail, now).await?;
    Ok(Loaded { version: loaded.version + 1, ..loaded })
}

/// Takes in how AWS answered a call that is harmless to repeat, unless somebody else has taken that in meanwhile.
async fn answered(
    engine: &Engine,
    asked: Rollback,
    step: Step,
    outcome: Result<Worker, CallError>,
    now: Timestamp,
) -> Result<After, RunError> {
    let outcome = match outcome {
        Ok(work) => Ok(work),
        Err(CallError::Refused { code, message }) => Err(format!("{code}: {message}")),
        Err(error @ (CallError::Throttled { .. } | CallError::Lost(_))) => {
            tracing::warn!(rollback = %asked.id, step = step.as_str(), %error, "a step was not answered");
            return Ok(After::Stop);
        }
    };
    in_turns(|| async {
        let mut loaded = load(engine, &asked.id).await?;
        if loaded.value.phase != asked.phase {
            return Ok(());
        }
        loaded.value.tried.clone_from(&asked.tried);
        match &outcome {
            Ok(work) => {
                let writes = accepted(engine, &mut loaded.value, Writes::new(), now).await?;
                loaded.value.turn_to(Phase::Going { step, work: work.clone(), since: now }, now);
                let detail = json!({ "step": step, "work": work });
                save(engine, writes, &loaded, "rollback step accepted", detail, now).await
            }
            Err(why) => {
                loaded.value.fall(step, why.clone(), now);
                let detail = json!({ "step": step, "why": why });
                save(engine, Writes::new(), &loaded, "rollback step cannot", detail, now).await
            }
        }
    })
    .await?;
    Ok(After::Go)
}

/// That AWS took a request: from now on the cooldown counts, and the bad commit is in quarantine.
pub(super) async fn accepted(
    engine: &Engine,
    rollback: &mut Rollback,
    writes: Writes,
    now: Timestamp,
) -> Result<Writes, RunError> {
    rollback.accepted_at.get_or_insert(now);
    quarantined(engine, rollback, writes, now).await
}

/// Keeps the bad commit out.
pub(super) async fn quarantined(
    engine: &Engine,
    rollback: &Rollback,
    mut writes: Writes,
    now: Timestamp,
) -> Result<Writes, RunError> {
    let Some(sha) = &rollback.from.sha else { return Ok(writes) };
    let new = Quarantine {
        environment: rollback.environment.clone(),
        sha: sha.clone(),
        since: now,
        by: engine.actor.clone(),
        reason: format!("turned back to {}", rollback.to.digits()),
        incident: Some(rollback.incident.to_string()),
        lifted: None,
    };
    match engine.ledger.quarantine(&rollback.environment, sha).await? {
        Some(mut known) => {
            if known.value.renew(new) {
                writes = writes.quarantine(&known);
            }
        }
        None => writes = writes.quarantine(&Loaded::absent(new)),
    }
    Ok(writes)
}

/// Stops what is in flight, and has its own service roll it back; then the execution of the pipeline, which would go on.
async fn stop(
    engine: &Engine,
    hands: &Hands,
    loaded: Loaded<Rollback>,
    facts: &Facts,
    now: Timestamp,
) -> Result<After, RunError> {
    // Asked again, it counts from the first time.
    let is_again = matches!(loaded.value.phase, Phase::Asked { .. });
    let mut loaded = if is_again { loaded } else { intend(engine, loaded, Writes::new(), Step::Stop, now).await? };
    let region = loaded.value.region.clone();
    let inside = facts.inside.as_ref().filter(|inside| inside.is_running).map(|inside| inside.aws_id.clone());
    let stopped = match &facts.in_flight {
        Some(work @ Worker::Ecs { deployment }) => stop_ecs(hands, &region, deployment).await.map(|()| work.clone()),
        Some(work @ Worker::CodeDeploy { deployment }) => {
            hands.codedeploy.stop(&region, deployment).await.map(|_| work.clone())
        }
        // With nothing in flight any more, an earlier stop of ours may have done it: what runs tells.
        Some(Worker::Execution { .. } | Worker::StoppedExecution { .. }) | None => {
            let aws_id = inside.clone().unwrap_or_else(|| loaded.value.from.aws_id.clone());
            Ok(Worker::StoppedExecution { aws_id })
        }
    };
    let outcome = match (stopped, inside) {
        (Ok(work), Some(aws_id)) => stop_execution(engine, &loaded.value, &aws_id).await.map(|()| work),
        // The deployment goes on without us, or is over. The execution would go on as well, and keep the stage busy.
        (Err(CallError::Refused { code, message }), Some(aws_id)) => {
            loaded.value.tried.push(Tried { step: Step::Stop, at: now, why: format!("{code}: {message}") });
            let stopped = stop_execution(engine, &loaded.value, &aws_id).await;
            stopped.map(|()| Worker::StoppedExecution { aws_id })
        }
        (stopped, _) => stopped,
    };
    answered(engine, loaded.value, Step::Stop, outcome, now).await
}

/// ECS refuses a second stop, and the SDK may have sent one: then what it does already is what was asked for.
async fn stop_ecs(hands: &Hands, region: &str, deployment: &str) -> Result<(), CallError> {
    let refused = match hands.ecs.stop(region, deployment).await {
        Err(refused @ CallError::Refused { .. }) => refused,
        outcome => return outcome,
    };
    match hands.ecs.deployment(region, deployment).await {
        Ok(Some(found)) if matches!(found.state, EcsState::Stopping | EcsState::RollingBack | EcsState::RolledBack) => {
            Ok(())
        }
        Ok(_) | Err(_) => Err(refused),
    }
}

async fn stop_execution(engine: &Engine, rollback: &Rollback, aws_id: &str) -> Result<(), CallError> {
    let reason = format!("Pointsman {}: {} is turned back", rollback.incident, rollback.environment);
    match engine.targets.stop(&rollback.target(), aws_id, &reason, true).await {
        // It has stopped already, or ended.
        Err(error)
            if error.is("PipelineExecutionNotStoppableException") || error.is("DuplicatedStopRequestException") =>
        {
            Ok(())
        }
        Err(CallError::Refused { code, message }) if code == "ConflictException" => {
            Err(CallError::Throttled { code, message })
        }
        outcome => outcome,
    }
}

/// Starts an execution: a rollback of the stage, or one of the whole pipeline with the good commit.
async fn start(engine: &Engine, loaded: Loaded<Rollback>, step: Step, now: Timestamp) -> Result<After, RunError> {
    let id = execution_of(engine, &loaded.value, step).await?;
    let drafted = match draft(engine, &loaded.value, &id, step, now).await? {
        Ok(drafted) => drafted,
        Err(why) => {
            let mut loaded = loaded;
            loaded.value.fall(step, why.clone(), now);
            save(engine, Writes::new(), &loaded, "rollback step cannot", json!({ "step": step, "why": why }), now)
                .await?;
            return Ok(After::Go);
        }
    };
    let execution = match drafted {
        Some((execution, with)) => {
            let (execution, writes) = engine.intended(execution, Writes::new(), now).await?;
            intend(engine, loaded, writes.rollback_with(&id, &with), step, now).await?;
            engine.ask(execution, now).await?
        }
        None => {
            intend(engine, loaded, Writes::new(), step, now).await?;
            engine.take_up(&id, &StartEvent::Begin, now).await?
        }
    };
    Ok(match &execution.start {
        Start::Started { .. } | Start::Refused { .. } | Start::Overtaken { .. } | Start::Unknown { .. } => After::Go,
        // Its answer is lost, or AWS has no room: on the same step, later.
        Start::Requested { .. } | Start::Asked { .. } => After::Stop,
    })
}

/// The execution that takes a step. A start brings the version to every stage of the pipeline, so the rollbacks of one
/// incident that go back to it by the same pipeline share one.
pub(super) async fn execution_of(engine: &Engine, rollback: &Rollback, step: Step) -> Result<ExecutionId, RunError> {
    let mut first = rollback.clone();
    if step == Step::Start
        && let Some(incident) = engine.ledger.incident(&rollback.incident).await?
    {
        let all = engine.ledger.rollbacks(&incident.value.rollbacks).await?;
        let is_its = |one: &&Rollback| one.target() == rollback.target() && one.to.sha == rollback.to.sha;
        first = all.into_iter().filter(|one| is_its(&one)).min_by(|one, other| one.id.cmp(&other.id)).unwrap_or(first);
    }
    Ok(first.execution_of(step))
}

/// What a start of a rollback saves with its intent; nothing where that was saved before.
type Draft = Option<(Execution, RollbackWith)>;

async fn draft(
    engine: &Engine,
    rollback: &Rollback,
    id: &ExecutionId,
    step: Step,
    now: Timestamp,
) -> Result<Result<Draft, String>, RunError> {
    let (known, good) = tokio::join!(engine.ledger.execution(id), engine.ledger.execution(&rollback.to.execution));
    if known?.is_some() {
        return Ok(Ok(None));
    }
    let Some(sha) = rollback.to.sha.clone() else {
        return Ok(Err("the commit of the version is not known".to_owned()));
    };
    let good = good?.map(|loaded| loaded.value);
    let Some(good) = good.filter(|good| good.target == rollback.target()) else {
        return Ok(Err(format!("{} is not an execution of {}", rollback.to.execution, rollback.target())));
    };
    let with = RollbackWith {
        incident: rollback.incident.to_string(),
        environment: rollback.environment.clone(),
        sha: sha.clone(),
        rollback: Some(rollback.id.clone()),
    };
    let back = StageBack { stage: rollback.deploy.stage.clone(), to: rollback.to.aws_id.clone() };
    Ok(Ok(Some((of_good(good, rollback, id, sha, (step == Step::RollbackStage).then_some(back), now), with))))
}

/// The execution that brings the good version back: like the one that brought it first.
fn of_good(
    good: Execution,
    rollback: &Rollback,
    id: &ExecutionId,
    sha: Sha,
    rolls_back: Option<StageBack>,
    now: Timestamp,
) -> Execution {
    // A rollback of a stage brings the images of its target; a start builds its own.
    let images = if rolls_back.is_some() { good.images.clone() } else { BTreeSet::new() };
    Execution {
        id: id.clone(),
        kind: Kind::Rollback,
        origin: Origin::Rollback { rollback: rollback.id.clone() },
        route: good.route,
        sha: Some(sha),
        actor: Some(rollback.by.clone()),
        is_by_hand: false,
        environment: Some(rollback.environment.clone()),
        target: rollback.target(),
        fence: None,
        note: Some(format!("turns {} back, for {}", rollback.from.digits(), rollback.incident)),
        start: Start::Requested { refusal: None, asks: 0 },
        status: Status::Requested,
        images,
        rolls_back,
        created_at: now,
        wanted_since: now,
        updated_at: now,
        due_at: Some(now),
        ..good
    }
}

/// Deploys past the pipeline.
async fn deploy(engine: &Engine, hands: &Hands, loaded: Loaded<Rollback>, now: Timestamp) -> Result<After, RunError> {
    let is_again = matches!(loaded.value.phase, Phase::Asked { .. });
    let loaded = if is_again { loaded } else { intend(engine, loaded, Writes::new(), Step::Deploy, now).await? };
    let outcome = redeploy(engine, hands, &loaded.value, now).await?;
    answered(engine, loaded.value, Step::Deploy, outcome, now).await
}

async fn redeploy(
    engine: &Engine,
    hands: &Hands,
    rollback: &Rollback,
    now: Timestamp,
) -> Result<Result<Worker, CallError>, RunError> {
    let deploy = &rollback.deploy;
    if deploy.codedeploy.is_some() {
        return by_codedeploy(engine, hands, rollback, now).await;
    }
    let Some(ecs) = &deploy.ecs else { return Ok(Err(neither(deploy))) };
    let definition = match ecs_definition(hands, deploy, ecs, &rollback.from, &rollback.to).await {
        Ok(definition) => definition,
        Err(error) => return Ok(Err(error)),
    };
    let gone = hands.ecs.go_to(&deploy.region, &ecs.cluster, &ecs.service, &definition).await;
    Ok(gone.map(|deployment| Worker::Ecs { deployment: deployment.unwrap_or_default() }))
}

fn cannot(message: String) -> CallError {
    CallError::Refused { code: "Cannot".to_owned(), message }
}

fn neither(deploy: &Deploy) -> CallError {
    cannot(format!("neither ecs nor codedeploy is configured for {}", deploy.region))
}

/// The task definition by which ECS ran a version before.
async fn ecs_definition(
    hands: &Hands,
    deploy: &Deploy,
    ecs: &EcsService,
    from: &Version,
    to: &Version,
) -> Result<String, CallError> {
    match hands.ecs.running(&deploy.region, &ecs.cluster, &ecs.service).await? {
        Some(running) if running.controller != Controller::Ecs => {
            return Err(cannot(
                "ECS's service is deployed to by somebody else, and no codedeploy is configured".to_owned(),
            ));
        }
        Some(_) => {}
        None => return Err(cannot(format!("there is no ECS service {}/{}", ecs.cluster, ecs.service))),
    }
    let bad: BTreeSet<&String> = from.images.difference(&to.images).collect();
    // What both versions have, such as a sidecar's image, says nothing: a version in between may have it too.
    let own: BTreeSet<&String> = to.images.difference(&from.images).collect();
    let telling = if own.is_empty() { to.images.iter().collect() } else { own };
    let is_it = |images: &BTreeSet<String>| {
        images.iter().any(|image| telling.contains(image)) && !images.iter().any(|image| bad.contains(image))
    };
    let before = hands.ecs.ran_before(&deploy.region, &ecs.cluster, &ecs.service).await?;
    let found = before.into_iter().find(|revision| is_it(&revision.images));
    found
        .map(|revision| revision.task_definition)
        .ok_or_else(|| cannot(format!("ECS remembers no deployment of {}", named(&to.images))))
}

/// Why a version could not be deployed past the pipeline now; `None`: nothing is known against it.
pub(super) async fn cannot_deploy(
    engine: &Engine,
    hands: &Hands,
    deploy: &Deploy,
    from: &Version,
    to: &Version,
    now: Timestamp,
) -> Result<Option<String>, RunError> {
    let found = match (&deploy.codedeploy, &deploy.ecs) {
        (Some(_), _) => good_deployment(engine, deploy, to, now).await?.map(drop),
        (None, Some(ecs)) => ecs_definition(hands, deploy, ecs, from, to).await.map(drop),
        (None, None) => Err(neither(deploy)),
    };
    match found {
        Ok(()) => Ok(None),
        Err(CallError::Refused { code, message }) if code == "Cannot" => Ok(Some(message)),
        Err(CallError::Refused { code, message }) => Ok(Some(format!("{code}: {message}"))),
        Err(error) => Err(error.into()),
    }
}

/// The deployment of CodeDeploy's that brought a version.
async fn good_deployment(
    engine: &Engine,
    deploy: &Deploy,
    to: &Version,
    now: Timestamp,
) -> Result<Result<String, CallError>, RunError> {
    let run = engine.ledger.run(&deploy.target(), &to.aws_id, now).await?.value;
    let good = run.observed.deployment_in(&deploy.stage).map(str::to_owned);
    let unknown = || cannot(format!("no deployment of CodeDeploy's is known that brought {}", to.digits()));
    Ok(good.ok_or_else(unknown))
}

async fn by_codedeploy(
    engine: &Engine,
    hands: &Hands,
    rollback: &Rollback,
    now: Timestamp,
) -> Result<Result<Worker, CallError>, RunError> {
    let Some(group) = &rollback.deploy.codedeploy else {
        return Ok(Err(cannot("no codedeploy is configured".to_owned())));
    };
    let (region, application, name) = (&rollback.region, &group.application, &group.deployment_group);
    let description = format!("Pointsman {}", rollback.id);
    // CreateDeployment takes no token: what a lost reply may have left behind is looked for by its description.
    match hands.codedeploy.find_by_description(region, application, name, rollback.claimed_at, &description).await {
        Ok(Some(deployment)) => return Ok(Ok(Worker::CodeDeploy { deployment })),
        Ok(None) => {}
        Err(error) => return Ok(Err(error)),
    }
    let good = match good_deployment(engine, &rollback.deploy, &rollback.to, now).await? {
        Ok(good) => good,
        Err(error) => return Ok(Err(error)),
    };
    let made = hands.codedeploy.deploy_again(region, application, name, &good, &description).await;
    Ok(match made {
        // The group is busy: on the same step, later.
        Err(CallError::Refused { code, message }) if code == "DeploymentLimitExceededException" => {
            Err(CallError::Throttled { code, message })
        }
        made => made.map(|deployment| Worker::CodeDeploy { deployment }),
    })
}
