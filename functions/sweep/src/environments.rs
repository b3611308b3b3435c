//! Environments, in turn: how each could be turned back now, and whether its regions run the same version.

use crate::{App, Summary, has_time};
use jiff::Timestamp;
use pointsman::config::{Deploy, RollbackRegions};
use pointsman::domain::change::Sha;
use pointsman::ledger::Filter;
use pointsman::rolling::{look_ready, save_ready};
use pointsman::run::RunError;
use std::collections::BTreeSet;

/// How often an environment is looked at, in minutes. Each minute has its share of them.
const LOOK_EVERY_MINUTES: usize = 10;
/// How many of an environment's latest executions may still be under way.
const UNDER_WAY_MAX: usize = 20;

/// Looks at those whose minute it is.
pub(crate) async fn look_after(app: &App, deadline: Timestamp, summary: &mut Summary) -> Result<(), RunError> {
    let minute = usize::try_from(app.config.now().as_second() / 60).unwrap_or_default();
    let mut outcome = Ok(());
    for (place, environment) in app.engine.ledger.watched_environments().await?.into_iter().enumerate() {
        if (place + minute) % LOOK_EVERY_MINUTES != 0 {
            continue;
        }
        if !has_time(app, deadline) {
            break;
        }
        outcome = outcome.and(one(app, &environment.name, summary).await);
    }
    outcome
}

async fn one(app: &App, name: &str, summary: &mut Summary) -> Result<(), RunError> {
    let now = app.config.now();
    let Some((plan, ready)) = look_ready(&app.engine, &app.hands, name, now).await? else { return Ok(()) };
    save_ready(&app.engine.ledger, ready).await?;
    let policy = plan.config.environment.rollback.as_ref();
    if !policy.is_some_and(|policy| policy.regions == RollbackRegions::All) {
        return Ok(());
    }
    let live: BTreeSet<Option<&Sha>> =
        plan.regions.iter().map(|region| region.from.as_ref().and_then(|from| from.sha.as_ref())).collect();
    if live.len() > 1 && !is_under_way(app, name, &plan.config.environment.deploys, now).await? {
        tracing::warn!(
            environment = name,
            "its regions run different versions: `pointsman environments show` says which"
        );
        summary.regions_disagree += 1;
    }
    Ok(())
}

/// Whether something is on its way through an environment, or back: it is inside one of its stages, or has come through
/// some and not ended. What waits before the first of them is not what the regions disagree by.
async fn is_under_way(app: &App, name: &str, deploys: &[Deploy], now: Timestamp) -> Result<bool, RunError> {
    let ledger = &app.engine.ledger;
    if ledger.open_rollbacks().await?.iter().any(|rollback| rollback.environment == name) {
        return Ok(true);
    }
    let filter = Filter { environment: Some(name), ..Filter::default() };
    let latest = ledger.latest_executions(filter, now, UNDER_WAY_MAX).await?;
    for execution in latest.iter().filter(|execution| !execution.status.is_over()) {
        let Some(aws_id) = execution.start.aws_id() else { continue };
        let observed = ledger.run(&execution.target, aws_id, now).await?.value.observed;
        let has_come = |deploy: &&Deploy| observed.is_inside(&deploy.stage) || observed.passed(&deploy.stage).is_some();
        if deploys.iter().filter(|deploy| deploy.target() == execution.target).any(|deploy| has_come(&deploy)) {
            return Ok(true);
        }
    }
    Ok(false)
}
