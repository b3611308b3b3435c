//! Claims what an incident wants turned back: one rollback per region, each at most once.

use super::plan::{Asked, Plan, PlanOf, Reach, plan};
use crate::domain::incident::{Blamed, Cause, Decision, Incident, IncidentId, Status};
use crate::domain::rollback::{LOOK_AGAIN_AFTER, Phase, Rollback, RollbackId};
use crate::ledger::{Loaded, Writes, incident_subject};
use crate::run::{Engine, RunError, in_turns};
use crate::telling::save_incident;
use jiff::Timestamp;
use serde_json::json;

/// Claims the rollbacks that an incident decided on, if it did, and names them. What is claimed already stays so.
///
/// Where there is nothing to turn back (any more) the incident is cancelled; where there is no version to go back to, a
/// person is called.
///
/// # Errors
/// What the ledger failed with: the incident stays due.
pub async fn claim(engine: &Engine, id: &IncidentId, now: Timestamp) -> Result<Vec<RollbackId>, RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.incident(id).await? else { return Ok(Vec::new()) };
        let before = loaded.value.clone();
        let Decision::RollBack { regions, to, by } = &before.decision else { return Ok(before.rollbacks) };
        if before.status != Status::RollingBack || !before.rollbacks.is_empty() {
            return Ok(before.rollbacks);
        }
        let Some(environment) = before.environment.as_deref() else { return Ok(Vec::new()) };
        let vulnerability = before.cause.vulnerability();
        let asked = Asked {
            environment,
            regions: Some(regions),
            blamed: before.blamed.as_ref(),
            to: to.as_ref(),
            not_with: vulnerability,
        };
        let found = plan(engine, &asked, now).await?;
        let mut writes = Writes::new();
        let claimed = match &found {
            Some(plan) if plan.why_not.is_none() => {
                let (ids, with) = claims(engine, writes, &before, plan, by, now).await?;
                writes = with;
                ids
            }
            Some(_) | None => Vec::new(),
        };
        let rollbacks = settle_plan(&mut loaded.value, found.as_ref(), &claimed, now);
        let what = if claimed.is_empty() { "rollback not possible" } else { "rollback claimed" };
        let detail =
            json!({ "rollbacks": loaded.value.rollbacks, "reason": loaded.value.reason, "subject": incident_subject(id) });
        save_incident(engine, writes, Some(&before), &loaded, &rollbacks, what, detail, now).await?;
        Ok(loaded.value.rollbacks)
    })
    .await
}

/// The rollbacks of a plan, new or known already, and what saves the new ones.
async fn claims(
    engine: &Engine,
    mut writes: Writes,
    incident: &Incident,
    plan: &Plan,
    by: &str,
    now: Timestamp,
) -> Result<(Vec<Rollback>, Writes), RunError> {
    let mut all = Vec::new();
    for region in plan.regions.iter().filter(|region| region.reach.is_there()) {
        let Some(drafted) = draft(incident, &plan.config.name, region, by, now) else { continue };
        match engine.ledger.rollback(&drafted.id).await? {
            Some(mut known) if may_begin_anew(incident, &known.value) => {
                known.value.again(drafted);
                writes = writes.rollback(&known);
                all.push(known.value);
            }
            Some(known) => all.push(known.value),
            None => {
                let new = Loaded::absent(drafted);
                writes = writes.rollback(&new);
                all.push(new.value);
            }
        }
    }
    Ok((all, writes))
}

/// Whether a rollback that ended without turning anything back is begun anew: one that was cancelled, whenever it is
/// wanted again, and one that called a person when a person asks for it.
fn may_begin_anew(incident: &Incident, known: &Rollback) -> bool {
    match known.phase {
        Phase::Cancelled { .. } => known.incident != incident.id,
        Phase::Person { .. } => incident.cause == Cause::Manual && known.incident != incident.id,
        Phase::Claimed | Phase::Choosing | Phase::Asked { .. } | Phase::Going { .. } | Phase::Done { .. } => false,
    }
}

fn draft(incident: &Incident, environment: &str, region: &PlanOf, by: &str, now: Timestamp) -> Option<Rollback> {
    let (from, to) = (region.from.clone()?, region.to.clone()?);
    Some(Rollback {
        id: RollbackId::of(environment, &region.deploy.region, &from.execution),
        incident: incident.id.clone(),
        environment: environment.to_owned(),
        region: region.deploy.region.clone(),
        deploy: region.deploy.clone(),
        from,
        to,
        by: by.to_owned(),
        attempt: 0,
        phase: Phase::Claimed,
        tried: Vec::new(),
        accepted_at: None,
        claimed_at: now,
        updated_at: now,
        due_at: Some(now),
    })
}

/// Writes into the incident what follows from the plan, and answers with the rollbacks that it has now.
fn settle_plan(incident: &mut Incident, plan: Option<&Plan>, claimed: &[Rollback], now: Timestamp) -> Vec<Rollback> {
    let decision = incident.decision.clone();
    let Some(plan) = plan else {
        incident.turn_to(Status::NeedsPerson, decision, "the environment is not configured any more".to_owned(), now);
        return Vec::new();
    };
    if claimed.is_empty() {
        let (status, why) = not_possible(incident, plan);
        incident.turn_to(status, decision, why, now);
        return Vec::new();
    }
    incident.rollbacks = claimed.iter().map(|rollback| rollback.id.clone()).collect();
    if incident.blamed.is_none() {
        incident.blamed = claimed
            .first()
            .map(|rollback| Blamed { execution: rollback.from.execution.clone(), sha: rollback.from.sha.clone() });
    }
    let (from, to) = claimed.first().map_or(("", ""), |first| (first.from.digits(), first.to.digits()));
    incident.reason = format!("turning {from} back to {to}");
    incident.updated_at = now;
    incident.due_at = Some(now + LOOK_AGAIN_AFTER);
    claimed.to_vec()
}

/// Why nothing can be turned back, and whether somebody has to do something about it.
fn not_possible(incident: &Incident, plan: &Plan) -> (Status, String) {
    let is_there = plan.regions.iter().any(|region| region.reach.is_there());
    let past = plan.regions.iter().find_map(|region| match &region.reach {
        Reach::Past { live } => Some(format!("{} runs {live} by now", region.deploy.region)),
        Reach::Live | Reach::InFlight | Reach::Never => None,
    });
    match (is_there, past) {
        (false, Some(why)) => (Status::Cancelled, why),
        (false, None) => {
            let name = incident.environment.as_deref().unwrap_or_default();
            (Status::Cancelled, format!("nothing of it runs in {name}"))
        }
        (true, _) => (Status::NeedsPerson, plan.why_not.clone().unwrap_or_else(|| "nobody knows why".to_owned())),
    }
}
