//! CloudWatch alarms: a red one counts against a deployment or is written down; a calm one ends what it began.

use super::Outcome;
use super::opening::{Evidence, Known, blamed, recorded};
use super::place::Place;
use crate::domain::alarm::AlarmState;
use crate::domain::blame::{Blame, blame, is_news};
use crate::domain::event::AlarmChange;
use crate::domain::execution::ExecutionId;
use crate::domain::incident::{Cause, Decision, Incident, IncidentId, Signal, Status};
use crate::domain::policy::RollbackPolicy;
use crate::domain::shown::utc;
use crate::ledger::{AlarmHeard, LedgerError, Loaded, Writes};
use crate::run::{Engine, RunError, in_turns};
use jiff::{SignedDuration, Timestamp};

/// How many of an environment's latest incidents are looked at for those that an alarm is a part of.
const INCIDENTS_MAX: usize = 20;

/// An alarm that is red.
#[derive(Debug, Clone, Copy)]
pub(super) struct Red<'a> {
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    /// Since when.
    pub(super) since: Timestamp,
    /// Whether it was asked for, since a deployment ended: then it is only of interest as evidence.
    pub(super) is_asked: bool,
}

/// An alarm changed its state.
///
/// What follows is saved first, and that it was heard last: a crash in between has the event repeated, and that changes
/// nothing.
pub(super) async fn changed(engine: &Engine, change: &AlarmChange, now: Timestamp) -> Result<Outcome, RunError> {
    let (environments, heard) =
        tokio::join!(watching(engine, change), engine.ledger.alarm_heard(&change.region, &change.name));
    let (environments, heard) = (environments?, heard?);
    if environments.is_empty() {
        return Ok(Outcome::default());
    }
    let is_news = is_news(heard.as_ref().map(|heard| (heard.value.state, heard.value.since)), change.since);
    let mut outcome = Outcome::default();
    for environment in &environments {
        let red = Red { name: &change.name, region: &change.region, since: change.since, is_asked: false };
        outcome = outcome.and(match change.state {
            AlarmState::Alarm if is_news => heard_red(engine, environment, &red, now).await?,
            AlarmState::Alarm | AlarmState::Ok | AlarmState::InsufficientData => {
                noted(engine, environment, change, is_news, now).await?
            }
        });
    }
    if is_news {
        remember(engine, change, heard).await?;
    }
    Ok(outcome)
}

/// The environments whose policy names this alarm, in a region where they land.
async fn watching(engine: &Engine, change: &AlarmChange) -> Result<Vec<String>, RunError> {
    let mut found = Vec::new();
    for environment in engine.ledger.watched_environments().await? {
        if environment.alarms.is_empty() || !environment.regions.contains(&change.region) {
            continue;
        }
        match environment.alarms.compile_flat() {
            Ok(alarms) if alarms.is_match(&change.name) => found.push(environment.name),
            Ok(_) => {}
            Err(error) => tracing::error!(environment = environment.name, %error, "a pattern that is none"),
        }
    }
    Ok(found)
}

/// Remembers the state of an alarm that was `known` otherwise until now.
async fn remember(engine: &Engine, change: &AlarmChange, known: Option<Loaded<AlarmHeard>>) -> Result<(), RunError> {
    let AlarmChange { region, name, state, since, .. } = change;
    let heard = AlarmHeard { state: *state, since: *since };
    let save = async |version| {
        let heard = Loaded { value: heard.clone(), version };
        engine.ledger.save(Writes::new().alarm_heard(region, name, &heard)).await
    };
    match save(known.map_or(0, |known| known.version)).await {
        Err(LedgerError::Conflict) => {}
        done => return Ok(done?),
    }
    in_turns(|| async {
        let known = engine.ledger.alarm_heard(region, name).await?;
        match known {
            Some(newer) if newer.value.since >= *since => Ok(()),
            known => Ok(save(known.map_or(0, |known| known.version)).await?),
        }
    })
    .await
}

/// An alarm of an environment is red: decides what follows, and saves it.
pub(super) async fn heard_red(
    engine: &Engine,
    environment: &str,
    red: &Red<'_>,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    in_turns(|| async {
        let Some(place) = Place::read(engine, environment, red.region, now).await? else {
            return Ok(Outcome::default());
        };
        let Some(policy) = place.policy() else { return Ok(Outcome::default()) };
        let signal = Signal {
            cause: Cause::Alarm { name: red.name.to_owned() },
            region: red.region.to_owned(),
            at: red.since,
            says: format!("the alarm {} went red", red.name),
        };
        let found = blame(red.since, &place.deployments, window(policy));
        match &found {
            Blame::On(suspect) => {
                let reason = format!("{} {}", signal.says, suspect.when(red.since));
                blamed(engine, &place, policy, &Evidence { signal, suspect, reason }, now).await
            }
            Blame::WhileTurningBack { by } => while_turning_back(engine, environment, by, red, &signal, now).await,
            Blame::RedBefore { .. } | Blame::OnFailed { .. } | Blame::Outside { .. } | Blame::NothingDeployed
                if red.is_asked =>
            {
                Ok(Outcome::default())
            }
            Blame::RedBefore { .. } | Blame::OnFailed { .. } | Blame::Outside { .. } | Blame::NothingDeployed => {
                recorded(engine, Some(environment), &signal, &why_nothing(&signal, &found, policy), now).await
            }
        }
    })
    .await
}

/// Why nothing is blamed.
fn why_nothing(signal: &Signal, blame: &Blame, policy: &RollbackPolicy) -> String {
    let says = &signal.says;
    match blame {
        Blame::RedBefore { began } => {
            format!("{says} before the deployment of {} began, so that is not to blame", utc(*began))
        }
        Blame::Outside { landed_at } => {
            format!("{says} more than {} after the last deployment, which landed at {}", policy.window, utc(*landed_at))
        }
        Blame::NothingDeployed => format!("{says}, and no deployment to {} is known", signal.region),
        Blame::OnFailed { digits, .. } => {
            format!("{says} with the deployment of {digits}, which failed by itself: there is nothing to turn back")
        }
        Blame::WhileTurningBack { .. } => format!("{says} while a version was being turned back"),
        Blame::On(suspect) => format!("{says} {}", suspect.when(signal.at)),
    }
}

/// It went red while something was turned back: that is said of the same bad version.
async fn while_turning_back(
    engine: &Engine,
    environment: &str,
    by: &ExecutionId,
    red: &Red<'_>,
    signal: &Signal,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    if let Some(rollback) = engine.ledger.rollback_with(by).await? {
        let id = IncidentId::named(&rollback.incident);
        let (known, is_news) = Known::or_opened(engine, id, Some(environment), signal, now).await?;
        if known.before.is_some() {
            return match is_news {
                true => known.save(engine, Writes::new(), "signal joined", now).await,
                false => Ok(Outcome::default()),
            };
        }
    }
    if red.is_asked {
        return Ok(Outcome::default());
    }
    let reason = format!("{} while a version was being turned back", signal.says);
    recorded(engine, Some(environment), signal, &reason, now).await
}

/// How long after a landing an alarm counts against it.
pub(super) fn window(policy: &RollbackPolicy) -> SignedDuration {
    SignedDuration::from_secs(i64::from(policy.window.seconds()))
}

/// What an alarm says that calls for nothing: incidents that settle take it in, and one that is only written down ends
/// with its last alarm.
async fn noted(
    engine: &Engine,
    environment: &str,
    change: &AlarmChange,
    is_news: bool,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let mut outcome = Outcome::default();
    for incident in engine.ledger.latest_incidents(Some(environment), now, INCIDENTS_MAX).await? {
        let is_its = |signal: &Signal| is_of(signal, change);
        match incident.status {
            Status::Settling => take_note(engine, &incident.id, change).await?,
            Status::Recorded if is_news && change.state == AlarmState::Ok && incident.signals.iter().any(is_its) => {
                outcome = outcome.and(close(engine, &incident.id, change, now).await?);
            }
            Status::Recorded
            | Status::Blocked
            | Status::RollingBack
            | Status::RolledBack
            | Status::Cancelled
            | Status::NeedsPerson
            | Status::Closed => {}
        }
    }
    Ok(outcome)
}

fn is_of(signal: &Signal, change: &AlarmChange) -> bool {
    matches!(&signal.cause, Cause::Alarm { name } if *name == change.name) && signal.region == change.region
}

async fn take_note(engine: &Engine, id: &IncidentId, change: &AlarmChange) -> Result<(), RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.incident(id).await? else { return Ok(()) };
        let Some(settling) = &mut loaded.value.settling else { return Ok(()) };
        let is_watched =
            settling.alarms.values().any(|watch| watch.alarm == change.name && watch.region == change.region);
        let is_open = loaded.value.status == Status::Settling;
        if !is_watched || !is_open || !settling.note(&change.region, &change.name, change.state, change.since) {
            return Ok(());
        }
        Ok(engine.ledger.save(Writes::new().incident(&loaded)).await?)
    })
    .await
}

/// Ends an incident that is only written down, once none of its signals holds any more.
async fn close(engine: &Engine, id: &IncidentId, calm: &AlarmChange, now: Timestamp) -> Result<Outcome, RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.incident(id).await? else { return Ok(Outcome::default()) };
        let before = loaded.value.clone();
        if before.status != Status::Recorded || !all_calm(engine, &before, calm).await? {
            return Ok(Outcome::default());
        }
        let reason = format!("the alarm {} is calm since {}", calm.name, utc(calm.since));
        loaded.value.turn_to(Status::Closed, Decision::Notify, reason, now);
        let known = Known { loaded, before: Some(before) };
        known.save(engine, Writes::new(), "closed", now).await
    })
    .await
}

/// Whether every signal of an incident is an alarm that is not red any more.
async fn all_calm(engine: &Engine, incident: &Incident, calm: &AlarmChange) -> Result<bool, RunError> {
    for signal in incident.signals.iter().filter(|signal| !is_of(signal, calm)) {
        let Cause::Alarm { name } = &signal.cause else { return Ok(false) };
        let heard = engine.ledger.alarm_heard(&signal.region, name).await?;
        if heard.is_none_or(|heard| heard.value.state == AlarmState::Alarm) {
            return Ok(false);
        }
    }
    Ok(true)
}
