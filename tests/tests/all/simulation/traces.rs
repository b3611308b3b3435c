//! What a decision, a rollback and a hold must leave behind, each by itself: a product that forgets one of them would pass
//! everything else.

use super::Outcome;
use super::incidents::{INVOCATION_TAKES, Left, decided, incident_of, is_by_hand};
use super::trouble::GUARDED;
use jiff::{SignedDuration, Timestamp};
use pointsman::domain::audit::Entry;
use pointsman::domain::environment::EnvironmentState;
use pointsman::domain::execution::{Kind, Status};
use pointsman::domain::incident::{Cause, Decision, Incident};
use pointsman::domain::quarantine::Quarantine;
use pointsman::domain::rollback::{Phase, Rollback};
use pointsman_local::aws::KeptCall;
use std::collections::{BTreeMap, BTreeSet};

/// How much earlier than it was asked for a delayed message may come, and clocks may differ.
const EARLY_MAX: SignedDuration = SignedDuration::from_secs(2);
/// How much a time that a version ran for may differ from the one that was decided on.
const SOAK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn check(seed: u64, outcome: &Outcome) {
    let left = &outcome.incidents;
    for incident in &left.incidents {
        it_turns_back_where_it_should(seed, left, incident);
        it_turns_no_rollback_back(seed, outcome, incident);
        it_blames_nothing_younger(seed, outcome, incident);
        it_waited(seed, left, incident);
    }
    for rollback in &left.rollbacks {
        it_went_to_what_had_proved_itself(seed, left, rollback);
        it_was_held_first(seed, left, rollback);
        it_left_its_marks(seed, left, rollback);
        it_is_in_the_record(seed, outcome, rollback);
    }
    what_is_said_of_ways_was_done(seed, left);
    only_who_may_was_let_in(seed, outcome);
    nothing_of_ours_stands_closed(seed, left);
}

/// In all regions, or in the one where it was seen.
fn it_turns_back_where_it_should(seed: u64, left: &Left, incident: &Incident) {
    let Decision::RollBack { regions, .. } = &incident.decision else { return };
    if is_by_hand(incident) {
        return;
    }
    let guarded = GUARDED.iter().find(|one| incident.environment.as_deref() == Some(one.name)).unwrap();
    let all = guarded.places.iter().map(|(region, _)| *region);
    let seen: BTreeSet<&str> = incident.signals.iter().map(|signal| signal.region.as_str()).collect();
    let wanted: BTreeSet<&str> = all.filter(|region| left.policy.is_all || seen.contains(region)).collect();
    let found: BTreeSet<&str> = regions.iter().map(String::as_str).collect();
    let is_it = if left.policy.is_all { found == wanted } else { found.len() == 1 && found.is_subset(&wanted) };
    assert!(is_it, "seed {seed}: {} turns back in {found:?} instead of {wanted:?}", incident.id);
}

/// To decide it is too much already: mostly there is just no version left to go back to.
fn it_turns_no_rollback_back(seed: u64, outcome: &Outcome, incident: &Incident) {
    let (Decision::RollBack { .. }, Some(blamed), false) = (&incident.decision, &incident.blamed, is_by_hand(incident))
    else {
        return;
    };
    let found = outcome.executions.iter().find(|one| one.id == blamed.execution);
    let is_rollback = found.is_some_and(|one| one.kind == Kind::Rollback);
    assert!(!is_rollback, "seed {seed}: {} decided to turn the rollback {} back", incident.id, blamed.execution);
}

/// What an alarm is blamed on was there before it went red.
fn it_blames_nothing_younger(seed: u64, outcome: &Outcome, incident: &Incident) {
    let (Some(blamed), Some(Cause::Alarm { .. })) =
        (&incident.blamed, incident.signals.first().map(|signal| &signal.cause))
    else {
        return;
    };
    let Some(execution) = outcome.executions.iter().find(|one| one.id == blamed.execution) else { return };
    let since = incident.signals[0].at;
    assert!(execution.created_at <= since, "seed {seed}: {} of {since} blames {execution:#?}", incident.id);
}

/// Where it is to settle first, nothing is decided before, for an alarm.
fn it_waited(seed: u64, left: &Left, incident: &Incident) {
    let is_alarm = incident.signals.iter().all(|signal| matches!(signal.cause, Cause::Alarm { .. }));
    let Some((at, _)) = decided(left, incident).filter(|_| is_alarm) else { return };
    let settle = SignedDuration::from_mins(i64::from(left.policy.settle_minutes));
    let began = incident.settling.as_ref().map_or(incident.opened_at, |settling| settling.from);
    let waited = at.duration_since(began) + EARLY_MAX;
    assert!(waited >= settle, "seed {seed}: {} was decided {waited:?} after it began", incident.id);
}

/// Where a time to prove itself in is asked for, what is gone back to had it.
fn it_went_to_what_had_proved_itself(seed: u64, left: &Left, rollback: &Rollback) {
    let soak = SignedDuration::from_mins(i64::from(left.policy.soak_minutes));
    if is_by_hand(incident_of(seed, left, rollback)) || soak.is_zero() {
        return;
    }
    let is_its = |state: &&EnvironmentState| state.name == rollback.environment && state.region == rollback.region;
    let versions = left.states.iter().find(is_its).map(|state| state.versions.as_slice()).unwrap_or_default();
    let ran = versions.iter().enumerate().filter(|(_, one)| one.sha == rollback.to.sha).map(|(place, one)| {
        let newer = place.checked_sub(1).map(|newer| versions[newer].at);
        let ends = [newer, one.blamed_at, Some(rollback.claimed_at)].into_iter().flatten().min();
        ends.map_or(SignedDuration::ZERO, |end| end.duration_since(one.at))
    });
    let longest = ran.max().unwrap_or_default();
    assert!(
        longest + SOAK_TOLERANCE >= soak,
        "seed {seed}: {} goes to {:?}, which ran for {longest:?}, and not for {soak:?}: {versions:#?}",
        rollback.id,
        rollback.to.sha
    );
}

/// Nothing is asked of AWS before the ways in are to be closed.
fn it_was_held_first(seed: u64, left: &Left, rollback: &Rollback) {
    let of_environment = &left.chains[&format!("environment#{}", rollback.environment)];
    let holds: Vec<&Entry> = of_environment
        .iter()
        .filter(|entry| ["hold intended", "release intended"].contains(&entry.what.as_str()))
        .collect();
    let Some(first) = rollback.accepted_at else { return };
    if first < rollback.claimed_at {
        return;
    }
    let before = |at: Timestamp| holds.iter().rev().find(move |entry| entry.at <= at);
    let is_held = before(rollback.claimed_at).is_some_and(|entry| entry.what == "hold intended")
        || holds.iter().any(|entry| {
            entry.what == "hold intended" && (rollback.claimed_at - INVOCATION_TAKES..=first).contains(&entry.at)
        });
    assert!(is_held, "seed {seed}: {} was accepted at {first}, and nothing was held", rollback.id);
}

/// What was turned back is in quarantine until a person lifts it, and the cooldown counts from when AWS took a request.
fn it_left_its_marks(seed: u64, left: &Left, rollback: &Rollback) {
    let Phase::Done { when, step, .. } = &rollback.phase else { return };
    let (id, accepted) = (&rollback.id, rollback.accepted_at);
    let is_in_time = accepted.is_some_and(|at| at <= *when);
    assert!(step.is_none() || is_in_time, "seed {seed}: {id} is done by {step:?}, and was accepted at {accepted:?}");
    let Some(sha) = &rollback.from.sha else { return };
    let is_its = |one: &Quarantine| one.environment == rollback.environment && one.sha == *sha;
    assert!(left.quarantines.iter().any(is_its), "seed {seed}: {id} turned {sha} back, which is in no quarantine");
}

/// An execution that was turned back everywhere says so.
fn it_is_in_the_record(seed: u64, outcome: &Outcome, rollback: &Rollback) {
    let left = &outcome.incidents;
    let from = &rollback.from.execution;
    let is_done = |one: &Rollback| matches!(one.phase, Phase::Done { .. });
    if !left.rollbacks.iter().filter(|one| one.from.execution == *from).all(is_done) {
        return;
    }
    let found = outcome.executions.iter().find(|one| one.id == *from).map(|one| one.status);
    let is_so = found == Some(Status::RolledBack);
    assert!(is_so, "seed {seed}: {} turned {from} back, and that is {found:?}", rollback.id);
}

/// Of a way it is said that it was closed, or opened, because CodePipeline was told so.
fn what_is_said_of_ways_was_done(seed: u64, left: &Left) {
    for entry in left.chains.values().flatten() {
        let operation = match entry.what.as_str() {
            "way closed" | "way closed again" => "DisableStageTransition",
            "way opened" => "EnableStageTransition",
            _ => continue,
        };
        let way = &entry.detail["way"];
        let is_it = |call: &&KeptCall| {
            call.operation == operation
                && call.outcome.is_ok()
                && call.input["pipelineName"] == way["target"]["name"]
                && call.input["stageName"] == way["stage"]
                && call.at.duration_since(entry.at).abs() <= INVOCATION_TAKES
        };
        let is_done = left.calls.iter().any(|call| is_it(&call));
        assert!(is_done, "seed {seed}: {} at {}, and nobody asked for {operation}: {way}", entry.what, entry.at);
    }
}

/// A hold lets in what turns a version back, and the one commit that a person named last.
fn only_who_may_was_let_in(seed: u64, outcome: &Outcome) {
    for guarded in &GUARDED {
        let chain = &outcome.incidents.chains[&format!("environment#{}", guarded.name)];
        for (place, entry) in chain.iter().enumerate() {
            if entry.what != "way to be opened for one execution" {
                continue;
            }
            let aws_id = entry.detail["way"]["open_for"].as_str().unwrap();
            let owner = outcome.executions.iter().find(|execution| execution.start.aws_id() == Some(aws_id));
            let is_back = owner.is_some_and(|owner| {
                owner.kind == Kind::Rollback && owner.environment.as_deref() == Some(guarded.name)
            });
            let started = outcome.started[guarded.name].iter().find(|(id, _)| id == aws_id);
            let sha = owner.and_then(|owner| owner.sha.as_ref().map(ToString::to_string));
            let sha = sha.or_else(|| started.map(|(_, sha)| sha.clone()));
            let named = chain[..place].iter().rev().find(|entry| entry.what == "release of one commit intended");
            let is_named = named.is_some_and(|named| named.detail["sha"].as_str() == sha.as_deref());
            assert!(is_back || is_named, "seed {seed}: {aws_id} with {sha:?} was let in at {}: {owner:#?}", entry.at);
        }
    }
}

/// What a hold closed does not stay closed when nothing is held any more.
fn nothing_of_ours_stands_closed(seed: u64, left: &Left) {
    let mut stands: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for call in left.calls.iter().filter(|call| call.outcome.is_ok()) {
        let text = |key: &str| call.input[key].as_str().unwrap_or_default();
        match call.operation.as_str() {
            "DisableStageTransition" => drop(stands.insert((text("pipelineName"), text("stageName")), text("reason"))),
            "EnableStageTransition" => drop(stands.remove(&(text("pipelineName"), text("stageName")))),
            _ => {}
        }
    }
    stands.retain(|_, reason| reason.starts_with("Pointsman hold of"));
    assert!(stands.is_empty(), "seed {seed}: {stands:?} stands closed, and nothing is held");
}
