//! The end of settling: CloudWatch is asked how the alarms stand, and the decision falls.

use super::Outcome;
use super::alarm::window;
use super::opening::{Known, apply};
use super::place::Place;
use crate::aws::cloudwatch::Alarms;
use crate::domain::alarm::AlarmState;
use crate::domain::blame::{Blame, Case, Deployment, blame, decide};
use crate::domain::incident::{Decision, Incident, IncidentId, Status};
use crate::domain::settling::Settling;
use crate::ledger::Writes;
use crate::run::{Engine, RunError, in_turns};
use jiff::{SignedDuration, Timestamp};

/// How much earlier than it was asked for a delayed message may come: SQS counts whole seconds.
const EARLY_MAX: SignedDuration = SignedDuration::from_secs(1);

/// Decides about an incident that has settled. One that settles still, or was decided on before, stays as it is; what
/// follows from it is said again.
///
/// # Errors
/// [`RunError`]: call it again; the incident stays due.
pub async fn settle(engine: &Engine, alarms: &Alarms, id: &IncidentId, now: Timestamp) -> Result<Outcome, RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.incident(id).await? else { return Ok(Outcome::default()) };
        let before = loaded.value.clone();
        let settled = before.settling.clone().filter(|_| before.status == Status::Settling);
        let Some(mut settling) = settled else { return Ok(Outcome::of(&before)) };
        if now + EARLY_MAX < settling.until {
            return Ok(Outcome::of(&before));
        }
        ask(alarms, &mut settling, now).await?;
        loaded.value.settling = Some(settling.clone());
        let what = conclude(engine, &mut loaded.value, &settling, now).await?;
        Known { loaded, before: Some(before) }.save(engine, Writes::new(), what, now).await
    })
    .await
}

/// Asks how each alarm stands now: the event of its last change may be lost. One that is gone says nothing any more.
async fn ask(alarms: &Alarms, settling: &mut Settling, now: Timestamp) -> Result<(), RunError> {
    let watched: Vec<(String, String)> =
        settling.alarms.values().map(|watch| (watch.region.clone(), watch.alarm.clone())).collect();
    for (region, name) in watched {
        let (state, since) = match alarms.state_of(&region, &name).await? {
            Some(found) => (found.state, found.since),
            None => (AlarmState::InsufficientData, now.min(settling.until)),
        };
        settling.note(&region, &name, state, since);
    }
    Ok(())
}

/// Writes into the incident what follows, and says what that is for the audit log.
async fn conclude(
    engine: &Engine,
    incident: &mut Incident,
    settling: &Settling,
    now: Timestamp,
) -> Result<&'static str, RunError> {
    let Some(watch) = settling.verdict() else {
        let time = settling.until.duration_since(settling.from).as_secs();
        let reason = format!("what was red calmed down within {time} s");
        incident.turn_to(Status::Recorded, Decision::Notify, reason, now);
        return Ok("calmed down");
    };
    let environment = incident.environment.clone().unwrap_or_default();
    let place = Place::read(engine, &environment, &watch.region, now).await?;
    let Some((place, policy)) = place.as_ref().and_then(|place| Some((place, place.policy()?))) else {
        let reason = format!("the alarm {} stayed red, and {environment} is not guarded any more", watch.alarm);
        incident.turn_to(Status::Recorded, Decision::Notify, reason, now);
        return Ok("not guarded any more");
    };
    let red = watch.changes.iter().find(|(_, state)| **state == AlarmState::Alarm);
    let since = red.map_or(settling.from, |(since, _)| *since);
    let Some(suspect) = still(incident, blame(since, &place.deployments, window(policy))) else {
        let reason = format!("the alarm {} stayed red, and what it was blamed on is not live any more", watch.alarm);
        incident.turn_to(Status::Cancelled, Decision::Notify, reason, now);
        return Ok("not live any more");
    };
    let last = place.last_rollback(engine).await?;
    let verdict = decide(&Case {
        policy,
        regions: &place.regions(),
        region: &watch.region,
        suspect: &suspect,
        last: last.as_ref(),
        may_settle: false,
        now,
    });
    let how = if watch.state_at(settling.until) == Some(AlarmState::Alarm) { "is" } else { "was for the most part" };
    let reason = format!(
        "the alarm {} went red {}, and {how} red after {} s",
        watch.alarm,
        suspect.when(since),
        settling.until.duration_since(settling.from).as_secs()
    );
    Ok(apply(incident, verdict, &reason, now))
}

/// The suspect, if it is still the one that the incident blames.
fn still(incident: &Incident, blame: Blame) -> Option<Deployment> {
    match blame {
        Blame::On(suspect) => {
            let is_it = incident.blamed.as_ref().is_some_and(|blamed| blamed.execution == suspect.execution);
            is_it.then_some(suspect)
        }
        Blame::RedBefore { .. }
        | Blame::OnFailed { .. }
        | Blame::WhileTurningBack { .. }
        | Blame::Outside { .. }
        | Blame::NothingDeployed => None,
    }
}
