//! A deployment ended: an alarm that went red meanwhile, and of which no event was heard, is asked for.

use super::Outcome;
use super::alarm::{Red, heard_red};
use crate::aws::cloudwatch::Alarms;
use crate::domain::execution::Target;
use crate::domain::observed::{Report, State};
use crate::recording::take_in;
use crate::run::{Engine, RunError};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// A stage may have ended that deploys somewhere: then CloudWatch is asked which alarms are red there.
pub(super) async fn look(
    engine: &Engine,
    alarms: &Alarms,
    target: &Target,
    aws_id: &str,
    report: &Report,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let Report::Stage { stage, mark } = report else { return Ok(Outcome::default()) };
    if mark.state != State::Succeeded {
        return Ok(Outcome::default());
    }
    let mut outcome = Outcome::default();
    let mut is_taken_in = false;
    for name in engine.ledger.environments_of(target).await? {
        let Some((_, config)) = engine.ledger.environment_config(&name).await? else { continue };
        let Some(policy) = config.environment.rollback.as_ref().filter(|policy| !policy.alarms.is_empty()) else {
            continue;
        };
        let Ok(wanted) = policy.alarms.compile_flat() else { continue };
        let its =
            config.environment.deploys.iter().filter(|deploy| deploy.stage == *stage && deploy.target() == *target);
        let regions: BTreeSet<&str> = its.map(|deploy| deploy.region.as_str()).collect();
        if !regions.is_empty() && !is_taken_in {
            // `record` hears of it too, maybe later: what landed must be known before it can be blamed.
            take_in(engine, target, aws_id, report, now).await?;
            is_taken_in = true;
        }
        for region in regions {
            for alarm in alarms.in_alarm(region).await?.iter().filter(|alarm| wanted.is_match(&alarm.name)) {
                let red = Red { name: &alarm.name, region, since: alarm.since, is_asked: true };
                outcome = outcome.and(heard_red(engine, &name, &red, now).await?);
            }
        }
    }
    Ok(outcome)
}
