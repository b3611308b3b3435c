//! Freezes of environments that ask nobody: the way into their deploy stages is closed, and opened again afterwards.
//!
//! Only what was closed here is opened here. Where an approval is asked, the approval itself waits instead.

use crate::{App, Summary};
use jiff::Timestamp;
use pointsman::aws::codepipeline::CodePipeline;
use pointsman::config::EnvironmentConfig;
use pointsman::domain::approval::frozen;
use pointsman::domain::execution::{Target, TargetKind};
use pointsman::domain::shown;
use pointsman::ledger::{Closed, FrozenWays, Loaded};
use pointsman::run::RunError;
use std::collections::BTreeSet;

/// Closes and opens whatever is to be, in every environment with a freeze.
pub(crate) async fn look_after(app: &App, summary: &mut Summary) -> Result<(), RunError> {
    let ledger = &app.engine.ledger;
    let mut names: BTreeSet<String> = ledger.frozen_environments().await?.into_iter().map(|one| one.name).collect();
    names.extend(ledger.frozen_ways().await?);
    for name in names {
        if let Err(error) = one(app, &name).await {
            tracing::error!(environment = name, %error, "its freeze could not be looked after");
            summary.failures += 1;
        }
    }
    Ok(())
}

async fn one(app: &App, name: &str) -> Result<(), RunError> {
    let now = app.config.now();
    let config = app.engine.ledger.environment_config(name).await?.map(|(_, config)| config);
    let ways = app.engine.ledger.frozen_ways_of(name).await?;
    match config.as_ref().and_then(|config| until(config, now)) {
        Some(until) => close_all(app, ways, &until, config.iter().flat_map(stages)).await,
        None => open_all(app, ways).await,
    }
}

/// Until when the freeze of an environment that asks nobody is on.
fn until(config: &EnvironmentConfig, now: Timestamp) -> Option<String> {
    let environment = &config.environment;
    let freeze = environment.freeze.as_ref().filter(|_| !environment.has_approval())?;
    Some(shown::zoned(&frozen(freeze, now)?.until))
}

/// The stages that bring a version there, each once.
fn stages(config: &EnvironmentConfig) -> BTreeSet<(Target, String)> {
    let stage = |deploy: &pointsman::config::Deploy| {
        let target =
            Target { kind: TargetKind::Pipeline, name: deploy.pipeline.clone(), region: deploy.home().to_owned() };
        (target, deploy.stage.clone())
    };
    config.environment.deploys.iter().map(stage).collect()
}

/// Closes the way into every stage. One that cannot be closed keeps no other open; the first failure is returned.
async fn close_all(
    app: &App,
    mut ways: Loaded<FrozenWays>,
    until: &str,
    stages: impl Iterator<Item = (Target, String)>,
) -> Result<(), RunError> {
    let mut outcome = Ok(());
    for (target, stage) in stages {
        match close(app, ways.clone(), until, &target, &stage).await {
            Ok(after) => ways = after,
            Err(error) => {
                tracing::warn!(runs = %target, stage, %error, "transition not closed");
                outcome = outcome.and(Err(error));
                ways = app.engine.ledger.frozen_ways_of(&ways.value.environment).await?;
            }
        }
    }
    outcome
}

async fn close(
    app: &App,
    mut ways: Loaded<FrozenWays>,
    until: &str,
    target: &Target,
    stage: &str,
) -> Result<Loaded<FrozenWays>, RunError> {
    let (pipelines, ledger, actor) = (app.engine.targets.pipelines(), &app.engine.ledger, &app.engine.actor);
    let is_it = |way: &&Closed| way.target == *target && way.stage == stage;
    let known = ways.value.closed.iter().find(is_it).cloned();
    // Closed here already. If it is open now, a person has opened it: that is theirs to do.
    if known.as_ref().is_some_and(|way| way.is_done) {
        return Ok(ways);
    }
    let Some(now) = pipelines.way_into(target, stage).await? else { return Ok(ways) };
    let reason = match known {
        // What was begun is gone on with under the reason that was written down.
        Some(way) => way.reason,
        // Somebody else has closed it: that is theirs to open.
        None if !now.is_open => return Ok(ways),
        None => {
            let text = format!("Pointsman freeze of {} until {until}", ways.value.environment);
            let reason = CodePipeline::reason(&text);
            let (target, stage) = (target.clone(), stage.to_owned());
            ways.value.closed.push(Closed { target, stage, reason: reason.clone(), is_done: false });
            ways = ledger.save_frozen_ways(ways, "transition to be closed", actor, app.config.now()).await?;
            reason
        }
    };
    if now.is_open {
        pipelines.close(target, stage, &reason).await?;
        tracing::info!(runs = %target, stage, "transition closed by a freeze");
    }
    for way in ways.value.closed.iter_mut().filter(|way| way.target == *target && way.stage == stage) {
        way.is_done = true;
    }
    Ok(ledger.save_frozen_ways(ways, "transition closed", actor, app.config.now()).await?)
}

/// Opens what was closed here, and is still closed for that reason. What cannot be opened stays written down, for the
/// next turn, and keeps no other closed.
async fn open_all(app: &App, ways: Loaded<FrozenWays>) -> Result<(), RunError> {
    let mut outcome = Ok(());
    for way in ways.value.closed {
        if let Err(error) = open(app, &ways.value.environment, &way).await {
            tracing::warn!(runs = %way.target, stage = way.stage, %error, "transition not opened");
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}

async fn open(app: &App, environment: &str, way: &Closed) -> Result<(), RunError> {
    let pipelines = app.engine.targets.pipelines();
    let now = match pipelines.way_into(&way.target, &way.stage).await {
        // A pipeline that is gone has no way to open.
        Err(error) if error.is("PipelineNotFoundException") => None,
        now => now?,
    };
    let is_ours = now.is_some_and(|now| !now.is_open && now.reason.as_deref() == Some(&way.reason));
    if is_ours {
        pipelines.open(&way.target, &way.stage).await?;
        tracing::info!(runs = %way.target, stage = way.stage, "transition opened after a freeze");
    }
    let mut ways = app.engine.ledger.frozen_ways_of(environment).await?;
    ways.value.closed.retain(|one| one.target != way.target || one.stage != way.stage);
    let what = if is_ours { "transition opened" } else { "transition left as it is" };
    app.engine.ledger.save_frozen_ways(ways, what, &app.engine.actor, app.config.now()).await?;
    Ok(())
}
