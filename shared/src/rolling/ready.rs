//! How ready each region of an environment is to be turned back, as it is kept on record.
//!
//! It is asked while nothing is wrong, so that nobody learns in an emergency that the pipeline was edited since.

use super::Hands;
use super::plan::{Asked, Plan, PlanOf, plan};
use super::readiness::readiness;
use crate::domain::readiness::Ready;
use crate::domain::rollback::first_that_works;
use crate::ledger::{Ledger, LedgerError, Loaded, Writes};
use crate::run::{Engine, RunError};
use jiff::Timestamp;

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
