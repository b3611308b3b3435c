//! Findings of Inspector's: one in what is live counts against it, one in a candidate keeps that out, and one in an image
//! that was never seen is only counted.
//!
//! A vulnerability may be told of ten thousand times in a minute. Whoever comes first opens the incident; the others read
//! it, and write nothing.

use super::Outcome;
use super::opening::{Evidence, Known, blamed, day, recorded};
use super::place::Place;
use crate::domain::alarm::AlarmState;
use crate::domain::blame::{Deployment, OfFinding, blocks_candidate, is_active_in, of_live};
use crate::domain::image::{Finding, FindingStatus, shown};
use crate::domain::incident::{Cause, Decision, Incident, IncidentId, Signal, Status};
use crate::domain::policy::{RollbackPolicy, RollbackRegions};
use crate::ledger::{ImageIn, Writes};
use crate::rolling::{Asked, plan};
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How many of an environment's latest incidents are looked at for those that a finding's end may end.
const INCIDENTS_MAX: usize = 50;

/// A finding in one image.
#[derive(Debug, Clone, Copy)]
struct Told<'a> {
    arn: &'a str,
    digest: &'a str,
    finding: &'a Finding,
}

/// A finding is new, or changed.
pub(super) async fn found(
    engine: &Engine,
    arn: &str,
    images: &BTreeMap<String, Finding>,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let mut outcome = Outcome::default();
    for (digest, finding) in images {
        let places = engine.ledger.image_places(digest).await?;
        if places.is_empty() {
            outcome.findings_elsewhere += 1;
        }
        let told = Told { arn, digest, finding };
        match finding.status {
            FindingStatus::Active => {
                for place in &places {
                    outcome = outcome.and(in_turns(|| active(engine, place, told, now)).await?);
                }
            }
            FindingStatus::Closed | FindingStatus::Suppressed => {
                let environments: BTreeSet<&str> = places.iter().map(|place| place.environment.as_str()).collect();
                for environment in environments {
                    outcome = outcome.and(ended(engine, environment, told, now).await?);
                }
            }
        }
    }
    Ok(outcome)
}

impl Told<'_> {
    fn cause(&self) -> Cause {
        Cause::Finding { vulnerability: self.finding.vulnerability.clone() }
    }

    /// The signal of it in a region; of a candidate, in the region where its image lies.
    fn signal(&self, region: &str) -> Signal {
        let lies_in = self.finding.repository.split_once('/').map_or("", |(region, _)| region);
        let repository = self.finding.repository.split_once('/').map_or("", |(_, repository)| repository);
        let (id, severity) = (&self.finding.vulnerability, self.finding.severity.as_str());
        let image = format!("{repository}@{}", self.digest);
        Signal {
            cause: self.cause(),
            region: if region.is_empty() { lies_in.to_owned() } else { region.to_owned() },
            at: self.finding.at,
            says: format!("{id} ({severity}) is in {}", shown(&image)),
        }
    }

    /// Whether something later is known of this finding: then this says nothing.
    async fn is_older(&self, engine: &Engine) -> Result<bool, RunError> {
        let known = engine.ledger.finding(self.digest, self.arn).await?;
        Ok(known.is_some_and(|known| known.value > *self.finding))
    }
}

/// An active finding in an image that was brought somewhere.
async fn active(engine: &Engine, image: &ImageIn, told: Told<'_>, now: Timestamp) -> Result<Outcome, RunError> {
    let signal = told.signal(&image.region);
    if let Some(outcome) = known(engine, image, &signal).await? {
        return Ok(outcome);
    }
    if told.is_older(engine).await? {
        return Ok(Outcome::default());
    }
    if image.region.is_empty() {
        return candidate(engine, image, told, &signal, now).await;
    }
    let Some(place) = Place::read(engine, &image.environment, &image.region, now).await? else {
        return Ok(Outcome::default());
    };
    let Some(suspect) = place.live_with(told.digest) else { return Ok(Outcome::default()) };
    let environment = &place.config.environment;
    let verdict = of_live(environment.gate.as_ref(), environment.rollback.as_ref(), told.finding, day(now));
    match (verdict, environment.rollback.as_ref()) {
        (OfFinding::RollBack, Some(policy)) => against(engine, &place, policy, suspect, told, signal, now).await,
        (OfFinding::Tell, _) | (OfFinding::RollBack, None) => {
            let reason = format!("{}, which is live as {}", signal.says, suspect.digits());
            recorded(engine, Some(place.name()), &signal, &reason, now).await
        }
        (OfFinding::Nothing, _) => Ok(Outcome::default()),
    }
}

/// What follows from an incident that knows this signal already; `None` where none does.
async fn known(engine: &Engine, image: &ImageIn, signal: &Signal) -> Result<Option<Outcome>, RunError> {
    let environment = &image.environment;
    let ids = [
        IncidentId::of_blamed(environment, &image.execution),
        IncidentId::of_cause(Some(environment), &signal.cause, day(signal.at)),
    ];
    for id in ids {
        let Some(loaded) = engine.ledger.incident(&id).await? else { continue };
        let incident = loaded.value;
        let is_its = |known: &Signal| known.cause == signal.cause && known.region == signal.region;
        let is_known = incident.has_more_signals || incident.signals.iter().any(is_its);
        if is_known && incident.status != Status::Closed {
            // Nobody is told anew: at a flood that would be a read for each.
            return Ok(Some(Outcome { told: BTreeSet::new(), ..Outcome::of(&incident) }));
        }
    }
    Ok(None)
}

/// A finding for which the environment turns a version back: if there is one that is free of it.
async fn against(
    engine: &Engine,
    place: &Place,
    policy: &RollbackPolicy,
    suspect: &Deployment,
    told: Told<'_>,
    signal: Signal,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let reason = format!("{}, which is live as {}", signal.says, suspect.digits());
    let here = [place.region.clone()];
    let asked = Asked {
        environment: place.name(),
        regions: (policy.regions == RollbackRegions::Affected).then_some(here.as_slice()),
        blamed: Some(&suspect.blamed()),
        to: None,
        not_with: Some(&told.finding.vulnerability),
    };
    match plan(engine, &asked, now).await?.and_then(|plan| plan.why_not) {
        None => blamed(engine, place, policy, &Evidence { signal, suspect, reason }, now).await,
        Some(why) => no_way_back(engine, place, suspect, &signal, format!("{reason}: {why}"), now).await,
    }
}

/// There is no version to go back to: a person is called, unless something is being done about the same version already.
async fn no_way_back(
    engine: &Engine,
    place: &Place,
    suspect: &Deployment,
    signal: &Signal,
    reason: String,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let id = IncidentId::of_blamed(place.name(), &suspect.execution);
    let (mut known, is_news) = Known::or_opened(engine, id, Some(place.name()), signal, now).await?;
    let incident = &mut known.loaded.value;
    let is_open = match incident.status {
        Status::Recorded | Status::Blocked | Status::Closed => true,
        Status::Settling | Status::RollingBack | Status::RolledBack | Status::Cancelled | Status::NeedsPerson => false,
    };
    if is_open {
        incident.blamed = Some(suspect.blamed());
        incident.turn_to(Status::NeedsPerson, Decision::Person, reason, now);
    } else if !is_news {
        return Ok(Outcome::of(incident));
    }
    known.save(engine, Writes::new(), "no version to go back to", now).await
}

/// A finding in what is not live yet. Its approval is blocked by the same finding; here it is written down and told.
async fn candidate(
    engine: &Engine,
    image: &ImageIn,
    told: Told<'_>,
    signal: &Signal,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let Some((_, config)) = engine.ledger.environment_config(&image.environment).await? else {
        return Ok(Outcome::default());
    };
    if !blocks_candidate(config.environment.gate.as_ref(), told.finding, day(now)) {
        return Ok(Outcome::default());
    }
    let Some(execution) = engine.ledger.execution(&image.execution).await?.map(|loaded| loaded.value) else {
        return Ok(Outcome::default());
    };
    if execution.status.is_over() {
        return Ok(Outcome::default());
    }
    let suspect = Deployment {
        execution: execution.id,
        sha: execution.sha,
        began: None,
        landed_at: None,
        failed_at: None,
        is_rollback: false,
    };
    let id = IncidentId::of_blamed(&image.environment, &suspect.execution);
    let (mut known, is_news) = Known::or_opened(engine, id, Some(&image.environment), signal, now).await?;
    let incident = &mut known.loaded.value;
    let is_new = match incident.status {
        Status::Recorded | Status::Closed => true,
        Status::Blocked
        | Status::Settling
        | Status::RollingBack
        | Status::RolledBack
        | Status::Cancelled
        | Status::NeedsPerson => false,
    };
    if is_new {
        let reason = format!("{}, so {} is kept out of {}", signal.says, suspect.digits(), image.environment);
        incident.blamed = Some(suspect.blamed());
        incident.turn_to(Status::Blocked, Decision::Block, reason, now);
    } else if !is_news {
        return Ok(Outcome::of(incident));
    }
    known.save(engine, Writes::new(), "candidate blocked", now).await
}

/// A finding is gone, or hidden: ends the incidents that told of nothing else.
async fn ended(engine: &Engine, environment: &str, told: Told<'_>, now: Timestamp) -> Result<Outcome, RunError> {
    let mut outcome = Outcome::default();
    if told.is_older(engine).await? {
        return Ok(outcome);
    }
    for incident in engine.ledger.latest_incidents(Some(environment), now, INCIDENTS_MAX).await? {
        let is_open = matches!(incident.status, Status::Recorded | Status::Blocked);
        if is_open && incident.signals.iter().any(|signal| signal.cause == told.cause()) {
            outcome = outcome.and(close(engine, environment, &incident.id, told, now).await?);
        }
    }
    Ok(outcome)
}

async fn close(
    engine: &Engine,
    environment: &str,
    id: &IncidentId,
    told: Told<'_>,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.incident(id).await? else { return Ok(Outcome::default()) };
        let before = loaded.value.clone();
        let is_open = matches!(before.status, Status::Recorded | Status::Blocked);
        if !is_open || holds_still(engine, environment, &before, told).await? {
            return Ok(Outcome::default());
        }
        let gone = match told.finding.status {
            FindingStatus::Suppressed => "hidden by a rule of Inspector's",
            FindingStatus::Closed | FindingStatus::Active => "gone",
        };
        let reason = format!("{} is {gone} in {}", told.finding.vulnerability, shown(told.digest));
        loaded.value.turn_to(Status::Closed, before.decision.clone(), reason, now);
        Known { loaded, before: Some(before) }.save(engine, Writes::new(), "closed", now).await
    })
    .await
}

/// Whether anything that an incident tells of holds still: in what is live, or in what it keeps out.
async fn holds_still(
    engine: &Engine,
    environment: &str,
    incident: &Incident,
    told: Told<'_>,
) -> Result<bool, RunError> {
    let Some((_, config)) = engine.ledger.environment_config(environment).await? else { return Ok(false) };
    let regions: BTreeSet<&str> = config.environment.deploys.iter().map(|deploy| deploy.region.as_str()).collect();
    let states = engine.ledger.environment_states(environment, regions).await?;
    let mut images: BTreeSet<String> = BTreeSet::new();
    for deploy in &config.environment.deploys {
        let its = states.iter().filter(|state| state.value.region == deploy.region);
        let live = its.filter_map(|state| state.value.live_of(&deploy.pipeline));
        images.extend(live.flat_map(|version| version.images.iter().cloned()));
    }
    if let Some(blamed) = &incident.blamed {
        let execution = engine.ledger.execution(&blamed.execution).await?;
        images.extend(execution.into_iter().flat_map(|loaded| loaded.value.images));
    }
    let known = engine.ledger.image_states(images.iter().map(String::as_str)).await?;
    for signal in &incident.signals {
        let holds = match &signal.cause {
            Cause::Finding { vulnerability } => is_active_in(vulnerability, &known, told.digest, told.finding),
            Cause::Alarm { name } => {
                let heard = engine.ledger.alarm_heard(&signal.region, name).await?;
                heard.is_none_or(|heard| heard.value.state == AlarmState::Alarm)
            }
            Cause::Insight { .. } | Cause::Threat { .. } | Cause::Manual => true,
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}
