//! After a rollback: whether what was red calms down. No event tells that an alarm stays as it is.

use super::Outcome;
use super::opening::Known;
use crate::aws::cloudwatch::Alarms;
use crate::domain::alarm::AlarmState;
use crate::domain::incident::{CALM_WITHIN, Decision, Incident, IncidentId, Status};
use crate::ledger::Writes;
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;

/// Asks how the alarms of an incident stand that was turned back a while ago. Where one is red still, a person is called:
/// what was turned back may not be the cause.
///
/// # Errors
/// [`RunError`]: call it again; the incident stays due.
pub async fn look_back(engine: &Engine, alarms: &Alarms, id: &IncidentId, now: Timestamp) -> Result<Outcome, RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.incident(id).await? else { return Ok(Outcome::default()) };
        let before = loaded.value.clone();
        if before.status != Status::RolledBack || before.due_at.is_none_or(|due| due > now) {
            return Ok(Outcome::default());
        }
        let red = still_red(alarms, &before).await?;
        if red.is_empty() {
            loaded.value.due_at = None;
            engine.ledger.save(Writes::new().incident(&loaded)).await?;
            return Ok(Outcome::default());
        }
        let (minutes, names) = (CALM_WITHIN.as_mins(), red.join(", "));
        let reason = format!(
            "{}; {minutes} minutes later this is red still: {names}. What was turned back may not be the cause",
            before.reason
        );
        loaded.value.turn_to(Status::NeedsPerson, Decision::Person, reason, now);
        Known { loaded, before: Some(before) }.save(engine, Writes::new(), "red still after the rollback", now).await
    })
    .await
}

async fn still_red(alarms: &Alarms, incident: &Incident) -> Result<Vec<String>, RunError> {
    let mut red = Vec::new();
    for (region, name) in incident.alarms() {
        let found = alarms.state_of(region, name).await?;
        if found.is_some_and(|found| found.state == AlarmState::Alarm) {
            red.push(format!("{name} in {region}"));
        }
    }
    Ok(red)
}
