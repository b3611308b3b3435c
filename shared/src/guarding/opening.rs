//! Opens an incident, or joins the one that there is, and saves what is decided.

use super::place::Place;
use super::{GUARD, Outcome};
use crate::domain::blame::{Case, Deployment, Joining, Verdict, decide, joining};
use crate::domain::incident::{Cause, Decision, Incident, IncidentId, Signal, Status};
use crate::domain::policy::RollbackPolicy;
use crate::domain::rollback::Phase;
use crate::domain::settling::Settling;
use crate::ledger::{Loaded, Writes};
use crate::run::{Engine, RunError};
use crate::telling::save_incident;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;
use std::collections::BTreeMap;

/// What is held against a deployment.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// The signal.
    pub(super) signal: Signal,
    /// The deployment that it is blamed on.
    pub(super) suspect: &'a Deployment,
    /// Why it stands so, if it comes to a decision: one sentence.
    pub(super) reason: String,
}

/// An incident, new or known, and how it stood when it was read.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) loaded: Loaded<Incident>,
    pub(super) before: Option<Incident>,
}

impl Known {
    /// The incident `id`, or a new one that `signal` opens; also whether the signal is any news to it.
    pub(super) async fn or_opened(
        engine: &Engine,
        id: IncidentId,
        environment: Option<&str>,
        signal: &Signal,
        now: Timestamp,
    ) -> Result<(Self, bool), RunError> {
        let Some(mut loaded) = engine.ledger.incident(&id).await? else {
            let new = Incident::opened(id, environment.map(str::to_owned), signal.clone(), now);
            return Ok((Self { loaded: Loaded::absent(new), before: None }, true));
        };
        let before = loaded.value.clone();
        let is_news = loaded.value.join(signal.clone(), now);
        Ok((Self { loaded, before: Some(before) }, is_news))
    }

    /// Saves it with `writes`, and says what follows.
    pub(super) async fn save(
        &self,
        engine: &Engine,
        writes: Writes,
        what: &str,
        now: Timestamp,
    ) -> Result<Outcome, RunError> {
        let incident = &self.loaded.value;
        let detail = json!({
            "status": incident.status.as_str(), "decision": incident.decision, "reason": incident.reason,
            "blamed": incident.blamed, "signal": incident.signals.last(),
        });
        save_incident(engine, writes, self.before.as_ref(), &self.loaded, &[], what, detail, now).await?;
        let (status, environment) = (incident.status.as_str(), incident.environment.as_deref());
        tracing::info!(incident = %incident.id, environment, status, what, "incident saved");
        Ok(Outcome::of(incident))
    }
}

/// Takes in what is held against a deployment: decides what there is to decide, and saves it.
pub(super) async fn blamed(
    engine: &Engine,
    place: &Place,
    policy: &RollbackPolicy,
    evidence: &Evidence<'_>,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let Evidence { signal, suspect, reason } = evidence;
    let id = IncidentId::of_blamed(place.name(), &suspect.execution);
    // Read at once: mostly the incident is new, and then the last rollback counts.
    let (known, last) =
        tokio::join!(Known::or_opened(engine, id, Some(place.name()), signal, now), place.last_rollback(engine));
    let ((mut known, mut is_news), last) = (known?, last?);
    let incident = &mut known.loaded.value;
    incident.blamed = Some(suspect.blamed());
    is_news |= watched(incident, signal);
    let how = match &known.before {
        Some(before) => joining(before, signal.at, turned_back_at(engine, before).await?),
        None => Joining::DecidesAnew,
    };
    match how {
        Joining::Stands if !is_news => Ok(Outcome::of(incident)),
        Joining::Stands => {
            let outcome = known.save(engine, Writes::new(), "signal joined", now).await?;
            // The message of what settles is under way already, and is not sent anew.
            Ok(Outcome { settling: BTreeMap::new(), ..outcome })
        }
        Joining::FollowsRollback => {
            let why = format!("{}, after {} had been turned back", signal.says, suspect.digits());
            incident.turn_to(Status::NeedsPerson, Decision::Person, why, now);
            known.save(engine, Writes::new(), "red again after the rollback", now).await
        }
        Joining::DecidesAnew => {
            let verdict = decide(&Case {
                policy,
                regions: &place.regions(),
                region: &place.region,
                suspect,
                last: last.as_ref(),
                may_settle: matches!(signal.cause, Cause::Alarm { .. }),
                now,
            });
            let what = apply(incident, verdict, reason, now);
            watched(incident, signal);
            let writes = with_blame(Writes::new(), place, suspect, signal.at);
            known.save(engine, writes, what, now).await
        }
    }
}

/// Writes a verdict into an incident, and says what that is for the audit log. `reason` is a sentence without its end.
pub(super) fn apply(incident: &mut Incident, verdict: Verdict, reason: &str, now: Timestamp) -> &'static str {
    let (status, decision, reason, what) = match verdict {
        Verdict::Settle { time } => {
            incident.settling = Some(Settling::begin(now, time));
            let reason = format!("{reason}; it is watched for {} s", time.as_secs());
            (Status::Settling, Decision::Wait, reason, "waiting decided")
        }
        Verdict::RollBack { regions } => {
            let decision = Decision::RollBack { regions, to: None, by: GUARD.to_owned() };
            (Status::RollingBack, decision, reason.to_owned(), "rollback decided")
        }
        Verdict::Person { why } => (Status::NeedsPerson, Decision::Person, format!("{reason}: {why}"), "person called"),
    };
    incident.turn_to(status, decision, reason, now);
    what
}

/// Has the alarm of a signal watched, while the incident settles. Says whether that is any news.
fn watched(incident: &mut Incident, signal: &Signal) -> bool {
    use crate::domain::alarm::AlarmState;
    match (&mut incident.settling, &signal.cause) {
        (Some(settling), Cause::Alarm { name }) if incident.status == Status::Settling => {
            settling.note(&signal.region, name, AlarmState::Alarm, signal.at)
        }
        (Some(_) | None, _) => false,
    }
}

/// When the last rollback of an incident ended, if it has any that did.
async fn turned_back_at(engine: &Engine, incident: &Incident) -> Result<Option<Timestamp>, RunError> {
    if incident.status != Status::RolledBack || incident.rollbacks.is_empty() {
        return Ok(None);
    }
    let rollbacks = engine.ledger.rollbacks(&incident.rollbacks).await?;
    let ended = rollbacks.iter().filter_map(|rollback| match &rollback.phase {
        Phase::Done { when, .. } => Some(*when),
        Phase::Claimed
        | Phase::Choosing
        | Phase::Asked { .. }
        | Phase::Going { .. }
        | Phase::Cancelled { .. }
        | Phase::Person { .. } => None,
    });
    Ok(ended.max())
}

/// `writes` with when the suspect was first blamed, in the record of what is live: from then on it did not run well.
///
/// One that is on its way in is not there yet: whoever saves its landing finds the incident. The record is saved all the
/// same, so that a landing that had looked for the incident before has to look again.
fn with_blame(writes: Writes, place: &Place, suspect: &Deployment, at: Timestamp) -> Writes {
    let mut state = place.state.clone();
    let is_it = |known: &&mut crate::domain::environment::Version| known.execution == suspect.execution;
    let Some(version) = state.value.versions.iter_mut().find(is_it) else { return writes.environment_state(&state) };
    if version.blamed_at.is_some_and(|known| known <= at) {
        return writes;
    }
    version.blamed_at = Some(at);
    writes.environment_state(&state)
}

/// Writes down what nothing is blamed for, and has people told: one incident a day of each cause in an environment.
pub(super) async fn recorded(
    engine: &Engine,
    environment: Option<&str>,
    signal: &Signal,
    reason: &str,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let id = IncidentId::of_cause(environment, &signal.cause, day(signal.at));
    let (mut known, is_news) = Known::or_opened(engine, id, environment, signal, now).await?;
    let incident = &mut known.loaded.value;
    if !is_news && incident.status != Status::Closed {
        return Ok(Outcome::of(incident));
    }
    incident.turn_to(Status::Recorded, Decision::Notify, reason.to_owned(), now);
    known.save(engine, Writes::new(), "recorded", now).await
}

/// The day of a moment, in UTC.
pub(super) fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}
