//! What must be true of every incident and rollback after the calm, whatever went wrong.
//!
//! It is found out here anew: from what AWS was really asked for, from what ran there while time passed, and from the
//! records and the audit log.

use super::Outcome;
use super::trouble::{LOOKS_EVERY, Policy, Sights};
use jiff::{SignedDuration, Timestamp};
use pointsman::domain::audit::{self, Entry};
use pointsman::domain::environment::EnvironmentState;
use pointsman::domain::execution::{Execution, Kind, Origin};
use pointsman::domain::incident::{Cause, Incident, Status};
use pointsman::domain::quarantine::Quarantine;
use pointsman::domain::rollback::{Phase, Proof, Rollback, RollbackId, Step};
use pointsman_local::aws::KeptCall;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How long an invocation may take from the reading of the clock to what it saves: its timeout.
pub(super) const INVOCATION_TAKES: SignedDuration = SignedDuration::from_secs(60);
/// What a reason begins with that is ours, at a way that is closed.
const OURS: &str = "Pointsman ";

/// What a run leaves behind of its incidents.
pub(super) struct Left {
    pub(super) policy: Policy,
    pub(super) incidents: Vec<Incident>,
    pub(super) rollbacks: Vec<Rollback>,
    pub(super) quarantines: Vec<Quarantine>,
    /// What has landed where.
    pub(super) states: Vec<EnvironmentState>,
    /// The chains of the audit log, by subject: of incidents and environments.
    pub(super) chains: BTreeMap<String, Vec<Entry>>,
    /// What turned something back, and opened and closed ways, as AWS saw it.
    pub(super) calls: Vec<KeptCall>,
    pub(super) sights: Sights,
    /// The environments that are held still.
    pub(super) held: Vec<String>,
}

pub(super) fn check(seed: u64, outcome: &Outcome) {
    let left = &outcome.incidents;
    assert!(left.held.is_empty(), "seed {seed}: {:?} is held, and everything was released", left.held);
    for chain in left.chains.values() {
        audit::verify(chain).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
    for incident in &left.incidents {
        it_ended_with_a_reason(seed, left, incident);
        it_kept_the_cooldown(seed, left, incident);
    }
    for rollback in &left.rollbacks {
        it_ended_and_belongs_to_an_incident(seed, left, rollback);
        it_was_no_rollback_of_a_rollback(seed, outcome, rollback);
        it_went_to_a_good_version(seed, left, rollback);
        it_is_what_runs(seed, left, rollback);
    }
    one_claim_for_each_execution_and_region(seed, left);
    one_effect_for_each_claim(seed, outcome);
    only_what_is_ours_was_opened(seed, left);
}

fn it_ended_with_a_reason(seed: u64, left: &Left, incident: &Incident) {
    let Incident { id, status, reason, .. } = incident;
    assert!(!reason.trim().is_empty(), "seed {seed}: {id} is {status:?} without a reason");
    let is_open = matches!(status, Status::Settling | Status::RollingBack);
    assert!(!is_open, "seed {seed}: {id} is still {status:?}: {incident:#?}");
    let rollbacks: Vec<&Rollback> = incident.rollbacks.iter().map(|id| of(left, id)).collect();
    if *status == Status::RolledBack {
        let is_done = rollbacks.iter().any(|rollback| matches!(rollback.phase, Phase::Done { .. }));
        assert!(is_done, "seed {seed}: {id} is rolled back, and nothing of it is done");
        let needs_person = rollbacks.iter().any(|rollback| matches!(rollback.phase, Phase::Person { .. }));
        assert!(!needs_person, "seed {seed}: {id} is rolled back, and a person is needed");
    }
}

fn of<'a>(left: &'a Left, id: &RollbackId) -> &'a Rollback {
    left.rollbacks.iter().find(|rollback| rollback.id == *id).unwrap_or_else(|| panic!("{id} is nowhere"))
}

fn it_ended_and_belongs_to_an_incident(seed: u64, left: &Left, rollback: &Rollback) {
    let id = &rollback.id;
    assert!(rollback.phase.is_over(), "seed {seed}: {id} is still {:?}", rollback.phase);
    let incident = incident_of(seed, left, rollback);
    assert!(incident.rollbacks.contains(id), "seed {seed}: {} does not know {id}", incident.id);
    assert_eq!(*id, RollbackId::of(&rollback.environment, &rollback.region, &rollback.from.execution), "seed {seed}");
}

pub(super) fn incident_of<'a>(seed: u64, left: &'a Left, rollback: &Rollback) -> &'a Incident {
    let found = left.incidents.iter().find(|incident| incident.id == rollback.incident);
    found.unwrap_or_else(|| panic!("seed {seed}: {} answers no incident", rollback.id))
}

pub(super) fn is_by_hand(incident: &Incident) -> bool {
    incident.cause == Cause::Manual
}

fn it_was_no_rollback_of_a_rollback(seed: u64, outcome: &Outcome, rollback: &Rollback) {
    let from = outcome.executions.iter().find(|execution| execution.id == rollback.from.execution);
    let from = from.unwrap_or_else(|| panic!("seed {seed}: {} turns back what nobody knows", rollback.id));
    let incident = incident_of(seed, &outcome.incidents, rollback);
    let is_allowed = from.kind != Kind::Rollback || is_by_hand(incident);
    assert!(is_allowed, "seed {seed}: {} of {incident:#?} turns back the rollback {}", rollback.id, from.id);
}

fn it_went_to_a_good_version(seed: u64, left: &Left, rollback: &Rollback) {
    let (id, to) = (&rollback.id, rollback.to.sha.as_ref().unwrap());
    assert_ne!(Some(to), rollback.from.sha.as_ref(), "seed {seed}: {id} goes back to what is blamed");
    assert_ne!(rollback.to.execution, rollback.from.execution, "seed {seed}: {id} goes back to itself");
    let before = rollback.claimed_at.checked_sub(INVOCATION_TAKES).unwrap();
    let is_here = |other: &&Rollback| other.environment == rollback.environment && other.region == rollback.region;
    for other in left.rollbacks.iter().filter(is_here).filter(|other| other.from.sha.as_ref() == Some(to)) {
        let is_older = matches!(&other.phase, Phase::Done { when, .. } if *when < before);
        assert!(!is_older, "seed {seed}: {id} goes back to {to}, which {} had turned back", other.id);
        // What was refused, or not done, is no word against a version; what is under way is one.
        let is_under_way = other.claimed_at < before && other.updated_at > rollback.claimed_at;
        let is_in_doubt = is_under_way && other.accepted_at.is_some_and(|accepted| accepted < before);
        assert!(!is_in_doubt || was_lifted(left, other), "seed {seed}: {id} goes to {to}, which {other:#?} turns back");
    }
    let its = |one: &&Quarantine| one.environment == rollback.environment && one.sha == *to;
    for quarantine in left.quarantines.iter().filter(its) {
        let is_lifted = quarantine.lifted.as_ref().is_some_and(|lifted| lifted.at <= rollback.claimed_at);
        let is_in_force = quarantine.since < before && !is_lifted;
        assert!(!is_in_force, "seed {seed}: {id} goes back to {to}, which is in quarantine: {quarantine:?}");
    }
    if is_by_hand(incident_of(seed, left, rollback)) || left.policy.soak_minutes > 0 {
        return;
    }
    // Without a time to prove itself in, whatever was ever blamed is no good.
    let blames = |incident: &&Incident| {
        let blamed = incident.blamed.as_ref().and_then(|blamed| blamed.sha.as_ref());
        incident.environment.as_ref() == Some(&rollback.environment) && blamed == Some(to) && !is_by_hand(incident)
    };
    for incident in left.incidents.iter().filter(blames) {
        let decided = decided(left, incident).filter(|(at, region)| *at < before && *region == rollback.region);
        let is_of_it = incident.blamed.as_ref().is_some_and(|blamed| blamed.execution == rollback.to.execution);
        assert!(
            decided.is_none() || !is_of_it,
            "seed {seed}: {id} goes back to {to}, which is blamed by {incident:#?}"
        );
    }
}

/// Whether a person lifted the quarantine of what was turned back: then it may be gone back to.
fn was_lifted(left: &Left, rollback: &Rollback) -> bool {
    let is_its =
        |one: &&Quarantine| one.environment == rollback.environment && Some(&one.sha) == rollback.from.sha.as_ref();
    left.quarantines.iter().filter(is_its).any(|one| one.lifted.is_some())
}

/// When it was decided to turn back what an incident blames, and in which region it was seen.
pub(super) fn decided<'a>(left: &Left, incident: &'a Incident) -> Option<(Timestamp, &'a str)> {
    let chain = left.chains.get(&format!("incident#{}", incident.id))?;
    let entry = chain.iter().find(|entry| entry.what == "rollback decided")?;
    Some((entry.at, incident.region.as_str()))
}

/// The cooldown counts from a request that AWS accepted there, of another version.
fn it_kept_the_cooldown(seed: u64, left: &Left, incident: &Incident) {
    let Some((at, region)) = decided(left, incident) else { return };
    if incident.signals.iter().any(|signal| signal.region != region) {
        return;
    }
    let cooldown = SignedDuration::from_mins(i64::from(left.policy.cooldown_minutes));
    let blamed = incident.blamed.as_ref().map(|blamed| &blamed.execution);
    let is_other = |other: &&Rollback| {
        incident.environment.as_ref() == Some(&other.environment)
            && other.region == region
            && Some(&other.from.execution) != blamed
    };
    for other in left.rollbacks.iter().filter(is_other) {
        let Some(accepted) = other.accepted_at else { continue };
        let is_cooling = accepted + INVOCATION_TAKES < at && at < accepted + cooldown;
        assert!(!is_cooling, "seed {seed}: {} was decided within the cooldown of {}", incident.id, other.id);
    }
}

/// What was seen to run in the moment in which something said "rolled back".
fn it_is_what_runs(seed: u64, left: &Left, rollback: &Rollback) {
    let Phase::Done { when, proof: Proof::Images { digests }, .. } = &rollback.phase else { return };
    let bad: BTreeSet<&String> = rollback.from.images.difference(&rollback.to.images).collect();
    let sights = &left.sights[rollback.region.as_str()];
    let tolerance = SignedDuration::try_from(LOOKS_EVERY).unwrap();
    let near = sights.iter().filter(|(at, _)| at.duration_since(*when).abs() <= tolerance);
    let near: Vec<_> = near.map(|(_, runs)| runs).collect();
    assert!(!near.is_empty(), "seed {seed}: nobody looked at {when}");
    let is_back = |runs: &&BTreeSet<String>| *runs == digests && !runs.iter().any(|digest| bad.contains(digest));
    let id = &rollback.id;
    assert!(near.iter().any(is_back), "seed {seed}: {id} is back by {digests:?}, and {near:?} runs: {rollback:#?}");
}

fn one_claim_for_each_execution_and_region(seed: u64, left: &Left) {
    let mut claims = BTreeSet::new();
    for rollback in &left.rollbacks {
        let key = (&rollback.environment, &rollback.region, &rollback.from.execution);
        assert!(claims.insert(key), "seed {seed}: {key:?} is turned back twice");
    }
}

fn is_ours(call: &KeptCall) -> bool {
    call.caller.contains(":assumed-role/")
}

/// What AWS was asked for, and did, against what was claimed.
fn one_effect_for_each_claim(seed: u64, outcome: &Outcome) {
    let left = &outcome.incidents;
    let mut back: BTreeMap<&RollbackId, BTreeSet<Timestamp>> = BTreeMap::new();
    let mut deployed: BTreeMap<&str, BTreeSet<Timestamp>> = BTreeMap::new();
    for call in left.calls.iter().filter(|call| is_ours(call)) {
        let Ok(answer) = &call.outcome else { continue };
        match call.operation.as_str() {
            "RollbackStage" => {
                let aws_id = answer["pipelineExecutionId"].as_str().unwrap();
                let claim = claim_of(outcome, aws_id, &call.input);
                let claim = claim.unwrap_or_else(|| panic!("seed {seed}: {aws_id} goes back, and nobody claimed it"));
                back.entry(claim).or_default().insert(call.at);
            }
            "CreateDeployment" => {
                let description = call.input["description"].as_str().unwrap();
                let claim = left.rollbacks.iter().find(|rollback| description == format!("Pointsman {}", rollback.id));
                assert!(claim.is_some(), "seed {seed}: {description} is deployed, and nobody claimed it");
                deployed.entry(description).or_default().insert(call.at);
            }
            _ => {}
        }
    }
    // A network that repeats a request does so at once, and nobody could prevent that.
    for (claim, times) in back {
        assert_eq!(times.len(), 1, "seed {seed}: {claim} went back at {times:?}: {:#?}", of(left, claim));
    }
    for (claim, times) in deployed {
        assert_eq!(times.len(), 1, "seed {seed}: {claim} deployed at {times:?}");
    }
}

/// The rollback that an execution of CodePipeline's was made for: its owner's, or the one whose request it answers.
fn claim_of<'a>(outcome: &'a Outcome, aws_id: &str, input: &Value) -> Option<&'a RollbackId> {
    let claimed = || {
        outcome.executions.iter().filter_map(|execution| match &execution.origin {
            Origin::Rollback { rollback } => Some((execution, rollback)),
            _ => None,
        })
    };
    let is_asked = |(execution, _): &(&Execution, &RollbackId)| {
        execution.rolls_back.as_ref().is_some_and(|back| {
            input["pipelineName"] == execution.target.name.as_str()
                && input["stageName"] == back.stage.as_str()
                && input["targetPipelineExecutionId"] == back.to.as_str()
        })
    };
    let its = claimed().find(|(execution, _)| execution.start.aws_id() == Some(aws_id));
    its.or_else(|| claimed().find(is_asked)).map(|(_, rollback)| rollback)
}

/// Whoever of ours opens a way finds our own reason there, but where one execution of a rollback is let in: for that even
/// what somebody closed over our hold is opened, and closed again.
fn only_what_is_ours_was_opened(seed: u64, left: &Left) {
    let mut stands: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    for call in left.calls.iter().filter(|call| call.outcome.is_ok()) {
        let text = |key: &str| call.input[key].as_str().unwrap_or_default();
        let way = (call.region.as_str(), text("pipelineName"), text("stageName"));
        match call.operation.as_str() {
            "DisableStageTransition" => {
                stands.insert(way, text("reason"));
            }
            "EnableStageTransition" => {
                let reason = stands.remove(&way);
                let is_fine = !is_ours(call) || reason.is_none_or(|reason| reason.starts_with(OURS));
                let is_fine = is_fine || lets_one_in(left, way.1, way.2, call.at);
                assert!(is_fine, "seed {seed}: {way:?} was opened at {}, where {reason:?} stood", call.at);
            }
            _ => {}
        }
    }
}

/// Whether a way was just to be opened for one execution. A guarded environment has the name of its pipeline.
fn lets_one_in(left: &Left, environment: &str, stage: &str, at: Timestamp) -> bool {
    let chain = left.chains.get(&format!("environment#{environment}"));
    chain.into_iter().flatten().any(|entry| {
        entry.what == "way to be opened for one execution"
            && entry.detail["way"]["stage"] == stage
            && (entry.at..=entry.at + INVOCATION_TAKES).contains(&at)
    })
}

/// How often what happened: a simulation in which nothing does is a dull one.
pub(super) fn count(outcome: &Outcome, counts: &mut BTreeMap<String, usize>) {
    let left = &outcome.incidents;
    let mut note = |what: String| *counts.entry(what).or_default() += 1;
    for incident in &left.incidents {
        note(format!("incident {}", incident.status.as_str()));
        if is_by_hand(incident) {
            note("incident by hand".to_owned());
        }
    }
    for rollback in &left.rollbacks {
        let ended = match &rollback.phase {
            Phase::Done { step, proof, .. } => {
                let proof = if matches!(proof, Proof::Images { .. }) { "seen" } else { "told" };
                format!("done by {} {proof}", step.map_or("nothing", Step::as_str))
            }
            Phase::Person { .. } => "person".to_owned(),
            Phase::Cancelled { .. } => "cancelled".to_owned(),
            other => format!("{other:?}"),
        };
        note(format!("rollback {ended}"));
        for tried in &rollback.tried {
            note(format!("tried {}", tried.step.as_str()));
        }
    }
}
