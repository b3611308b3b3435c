//! How ready an environment is to be turned back: which steps would work now, and why the better ones would not. Only looks;
//! nothing is changed.
//!
//! It is asked while nothing is wrong, so that nobody learns in an emergency that the pipeline was edited since.

use super::Hands;
use super::plan::{Asked, Plan, PlanOf, plan};
use super::step::cannot_deploy;
use super::world::in_flight;
use crate::aws::CallError;
use crate::aws::codepipeline::Mode;
use crate::domain::execution::Target;
use crate::domain::rollback::{Ready, Stage, Step, StepReady, Version, Worker, cannot_roll_back, first_that_works};
use crate::ledger::{Ledger, LedgerError, Loaded, Writes};
use crate::run::{Engine, RunError};
use jiff::Timestamp;

/// How ready a region is to go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The deployment that is in flight there and would be stopped first.
    pub in_flight: Option<Worker>,
    /// The steps, the best first. Empty where there is nothing to go back to.
    pub steps: Vec<StepReady>,
}

/// Looks at what a region's plan would need.
///
/// # Errors
/// [`RunError`]: what the ledger failed with, and what AWS did not answer. What AWS refuses is an answer.
pub async fn readiness(engine: &Engine, hands: &Hands, plan: &PlanOf, now: Timestamp) -> Result<Readiness, RunError> {
    let in_flight = in_flight(hands, &plan.deploy).await?;
    let (Some(from), Some(to)) = (&plan.from, &plan.to) else { return Ok(Readiness { in_flight, steps: Vec::new() }) };
    let target = plan.target();
    let roll_back = match stage(engine, &target, &plan.deploy.stage, to).await {
        Ok(stage) => cannot_roll_back(&stage),
        Err(CallError::Refused { code, message }) => Some(format!("{code}: {message}")),
        Err(error) => return Err(error.into()),
    };
    let steps = vec![
        StepReady { step: Step::RollbackStage, cannot: roll_back },
        StepReady { step: Step::Start, cannot: cannot_start(engine, &target, to).await? },
        StepReady { step: Step::Deploy, cannot: cannot_deploy(engine, hands, &plan.deploy, from, to, now).await? },
    ];
    Ok(Readiness { in_flight, steps })
}

async fn stage(engine: &Engine, target: &Target, name: &str, to: &Version) -> Result<Stage, CallError> {
    let pipelines = engine.targets.pipelines();
    let outline = pipelines.outline(target).await?;
    let place = outline.stages.iter().position(|stage| stage == name);
    let mut stage = Stage {
        is_v2: outline.is_v2,
        is_parallel: outline.mode == Mode::Parallel,
        edited_at: outline.edited_at,
        place,
        listed: None,
        is_of_this_structure: None,
    };
    if place.is_none_or(|place| place == 0) {
        return Ok(stage);
    }
    let good = pipelines.good_in(target, name).await?;
    stage.listed = good.iter().find(|run| run.aws_id == to.aws_id).map(|run| run.is_rollback);
    stage.is_of_this_structure = match pipelines.started_in(target, &to.aws_id).await {
        Ok(version) => version.map(|version| version == outline.version),
        // AWS knows it no more.
        Err(CallError::Refused { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(stage)
}

async fn cannot_start(engine: &Engine, target: &Target, to: &Version) -> Result<Option<String>, RunError> {
    if to.sha.is_none() {
        return Ok(Some("the commit of the version is not known".to_owned()));
    }
    let good = engine.ledger.execution(&to.execution).await?.map(|loaded| loaded.value);
    if good.is_none_or(|good| good.target != *target) {
        return Ok(Some(format!("{} is not an execution of {target}", to.execution)));
    }
    match engine.targets.pipelines().outline(target).await {
        Ok(_) => Ok(None),
        Err(CallError::Refused { code, message }) => Ok(Some(format!("{code}: {message}"))),
        Err(error) => Err(error.into()),
    }
}

/// How ready each region of an environment is. `None`: there is no such environment.
///
/// # Errors
/// What AWS did not answer, or what the ledger failed with.
pub async fn look_ready(
    engine: &Engine,
    hands: &Hands,
    environment: &str,
    now: Timestamp,
) -> Result<Option<(Plan, Vec<Ready>)>, RunError> {
    let asked = Asked { environment, regions: None, blamed: None, to: None, not_with: None };
    let Some(plan) = plan(engine, &asked, now).await? else { return Ok(None) };
    let mut all = Vec::new();
    for region in &plan.regions {
        let steps = readiness(engine, hands, region, now).await?.steps;
        let step = first_that_works(&steps);
        all.push(Ready {
            environment: environment.to_owned(),
            region: region.deploy.region.clone(),
            live: region.from.as_ref().and_then(|from| from.sha.clone()),
            to: region.to.as_ref().and_then(|to| to.sha.clone()),
            problem: problem(&plan, region).or_else(|| step.is_none().then(|| "no step would work".to_owned())),
            step,
            steps,
            at: now,
        });
    }
    Ok(Some((plan, all)))
}

fn problem(plan: &Plan, region: &PlanOf) -> Option<String> {
    match (&region.from, &region.to) {
        (None, _) => Some("nothing is live there".to_owned()),
        (Some(_), Some(_)) => None,
        (Some(_), None) => plan.why_not.clone().or_else(|| Some("no version is known to go back to".to_owned())),
    }
}

/// Writes down how ready each region is, where that is any news.
///
/// # Errors
/// What the ledger failed with.
pub async fn save_ready(ledger: &Ledger, all: Vec<Ready>) -> Result<(), LedgerError> {
    for ready in all {
        let known = ledger.readiness(&ready.environment, &ready.region).await?;
        let version = known.as_ref().map_or(0, |known| known.version);
        if known.is_some_and(|known| known.value.says_the_same(&ready)) {
            continue;
        }
        match ledger.save(Writes::new().readiness(&Loaded { value: ready, version })).await {
            // Another turn looked at the same time: its word is as good.
            Ok(()) | Err(LedgerError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
