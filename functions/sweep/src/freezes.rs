//! Freezes of environments that ask nobody: the way into their deploy stages is closed, and opened again afterwards,
//! whether the configuration or a person froze them.
//!
//! Only what was closed here is opened here. Where an approval is asked, the approval itself waits instead.

use crate::{App, Summary};
use pointsman::aws::codepipeline::CodePipeline;
use pointsman::config::{Deploy, FrozenEnvironment};
use pointsman::domain::approval::{FreezeByHand, frozen_at};
use pointsman::domain::execution::Target;
use pointsman::domain::policy::Freeze;
use pointsman::domain::shown;
use pointsman::ledger::Closed;
use pointsman::run::RunError;
use std::collections::BTreeSet;

/// Closes and opens whatever is to be: where a freeze is on, and where one has closed something and is not.
pub(crate) async fn look_after(app: &App, summary: &mut Summary) -> Result<(), RunError> {
    let (ledger, now) = (&app.engine.ledger, app.config.now());
    let mut held: BTreeSet<String> = ledger.frozen_ways().await?.into_iter().collect();
    let by_hand = ledger.freezes_by_hand().await?;
    for environment in asking_nobody(app, &by_hand).await? {
        let by_hand = by_hand.iter().find(|freeze| freeze.environment == environment.name);
        if let Some(frozen) = frozen_at(Some(&environment.freeze), by_hand, now) {
            held.remove(&environment.name);
            let outcome = close_all(app, &environment, &shown::zoned(&frozen.until)).await;
            count(&environment.name, outcome, summary);
        }
    }
    for name in held {
        let outcome = open_all(app, &name).await;
        count(&name, outcome, summary);
    }
    Ok(())
}

/// The environments that ask nobody and may be frozen: by the configuration, or by one of these.
async fn asking_nobody(app: &App, by_hand: &[FreezeByHand]) -> Result<Vec<FrozenEnvironment>, RunError> {
    let ledger = &app.engine.ledger;
    let mut environments = ledger.frozen_environments().await?;
    for FreezeByHand { environment: name, .. } in by_hand {
        if environments.iter().any(|known| known.name == *name) {
            continue;
        }
        let config = ledger.environment_config(name).await?.map(|(_, config)| config.environment);
        if let Some(config) = config.filter(|config| !config.has_approval()) {
            let freeze = Freeze { windows: Vec::new(), override_group: None };
            environments.push(FrozenEnvironment { name: name.clone(), freeze, deploys: config.deploys });
        }
    }
    Ok(environments)
}

fn count(name: &str, outcome: Result<(), RunError>, summary: &mut Summary) {
    if let Err(error) = outcome {
        tracing::error!(environment = name, %error, "its freeze could not be looked after");
        summary.failures += 1;
    }
}

/// The stages that bring a version there, each once.
fn stages(environment: &FrozenEnvironment) -> BTreeSet<(Target, String)> {
    let stage = |deploy: &Deploy| {
        let target = deploy.target();
        (target, deploy.stage.clone())
    };
    environment.deploys.iter().map(stage).collect()
}

/// Closes the way into every stage. One that cannot be closed keeps no other open; the first failure is returned.
async fn close_all(app: &App, environment: &FrozenEnvironment, until: &str) -> Result<(), RunError> {
    let mut outcome = Ok(());
    for (target, stage) in stages(environment) {
        if let Err(error) = close(app, &environment.name, until, &target, &stage).await {
            tracing::warn!(runs = %target, stage, %error, "transition not closed");
            outcome = outcome.and(Err(error));
        }
    }
    outcome
}

async fn close(app: &App, environment: &str, until: &str, target: &Target, stage: &str) -> Result<(), RunError> {
    let (pipelines, ledger, actor) = (app.engine.targets.pipelines(), &app.engine.ledger, &app.engine.actor);
    let mut ways = ledger.frozen_ways_of(environment).await?;
    let is_it = |way: &&Closed| way.target == *target && way.stage == stage;
    let known = ways.value.closed.iter().find(is_it).cloned();
    // Closed here already. If it is open now, a person has opened it: that is theirs to do.
    if known.as_ref().is_some_and(|way| way.is_done) {
        return Ok(());
    }
    let Some(now) = pipelines.way_into(target, stage).await? else { return Ok(()) };
    let reason = match known {
        // What was begun is gone on with under the reason that was written down.
        Some(way) => way.reason,
        // Somebody else has closed it: that is theirs to open.
        None if !now.is_open => return Ok(()),
        None => {
            let text = format!("Pointsman freeze of {environment} until {until}");
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
    ledger.save_frozen_ways(ways, "transition closed", actor, app.config.now()).await?;
    Ok(())
}

/// Opens what was closed here, and is still closed for that reason. What cannot be opened stays written down, for the
/// next turn, and keeps no other closed.
async fn open_all(app: &App, environment: &str) -> Result<(), RunError> {
    let mut outcome = Ok(());
    for way in app.engine.ledger.frozen_ways_of(environment).await?.value.closed {
        if let Err(error) = open(app, environment, &way).await {
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
