//! What a person wants turned back: checked, written down as an incident, and handed to `rollback`.

use super::commit;
use crate::environments::{deploys, find};
use crate::failure::Failure;
use crate::output::progress;
use crate::session::{Session, unique};
use pointsman::domain::change::Sha;
use pointsman::domain::incident::{Blamed, Cause, Decision, Incident, IncidentId, Signal, Status};
use pointsman::domain::rollback::LOOK_AGAIN_AFTER;
use pointsman::ledger::{Loaded, Writes, incident_subject};
use pointsman::rolling::{Asked, Plan, on_its_way, plan};
use pointsman::run::in_turns;
use pointsman::telling::save_incident;
use serde_json::json;

/// What is wanted of one environment.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) environment: String,
    pub(super) region: Option<String>,
    /// The digits of the commit to go back to.
    pub(super) to: Option<String>,
}

/// The same, checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) regions: Vec<String>,
    pub(super) to: Option<Sha>,
    /// What is on its way in: then that is turned back, and not what is live.
    pub(super) in_flight: Option<Blamed>,
    pub(super) plan: Plan,
}

impl Request {
    /// Looks whether there is such an environment, such a region and such a commit, and what would follow.
    pub(super) async fn check(&self, session: &Session) -> Result<Checked, Failure> {
        let config = find(session, &self.environment).await?;
        let its = deploys(&config, self.region.as_deref())?;
        let regions: Vec<String> = its.iter().map(|deploy| deploy.region.clone()).collect();
        let to = match &self.to {
            Some(typed) => Some(self.commit(session, typed, &regions).await?),
            None => None,
        };
        let (reader, now) = (session.reader(), session.now());
        let in_flight = on_its_way(&reader, &config.name, &its, now).await?;
        let asked = Asked {
            environment: &config.name,
            regions: Some(&regions),
            blamed: in_flight.as_ref(),
            to: to.as_ref(),
            not_with: None,
        };
        let plan = plan(&reader, &asked, now).await?;
        let absent = || Failure::NotFound(format!("no environment {}", self.environment));
        Ok(Checked { regions, to, in_flight, plan: plan.ok_or_else(absent)? })
    }

    /// The commit that is meant, of those that ran there.
    async fn commit(&self, session: &Session, typed: &str, regions: &[String]) -> Result<Sha, Failure> {
        let names = regions.iter().map(String::as_str);
        let states = session.ledger.environment_states(&self.environment, names).await?;
        let ran = states.iter().flat_map(|state| &state.value.versions).filter_map(|version| version.sha.as_ref());
        commit::one(typed, ran, &self.environment)
    }

    /// Writes the incident and wakes `rollback`. What cannot be is refused before anything is written.
    pub(super) async fn make(&self, session: &Session, reason: &str) -> Result<IncidentId, Failure> {
        let checked = self.check(session).await?;
        if let Some(why) = &checked.plan.why_not {
            return Err(Failure::Refused(format!("{} cannot be turned back: {why}", self.environment)));
        }
        let engine = session.engine().await?;
        let incident = incident(&self.environment, checked, reason, &engine.actor, session.now());
        let detail =
            json!({ "environment": self.environment, "regions": self.region, "to": self.to, "reason": reason });
        let new = Loaded::absent(incident);
        in_turns(|| async {
            let what = "rollback requested by hand";
            save_incident(&engine, Writes::new(), None, &new, &[], what, detail.clone(), session.now()).await
        })
        .await?;
        let id = new.value.id;
        progress(&format!("{}: {id} is written down", self.environment));
        if let Err(error) = session.bus().request_rollback(id.as_str(), session.now()).await {
            let detail = json!({ "reason": error.to_string() });
            session.write_down(&incident_subject(&id), "rollback not woken", detail).await?;
            progress(&format!("the bus did not take the request ({error}): `sweep` takes it up within a minute"));
        }
        Ok(id)
    }
}

/// The incident of a request.
fn incident(environment: &str, checked: Checked, reason: &str, by: &str, now: jiff::Timestamp) -> Incident {
    let who = by.strip_prefix("operator:").unwrap_or(by);
    let says = format!("{who} asked for it: {reason}");
    let region = checked.regions.first().cloned().unwrap_or_default();
    let signal = Signal { cause: Cause::Manual, region, at: now, says: says.clone() };
    let id = IncidentId::of_request(environment, &unique());
    let mut incident = Incident::opened(id, Some(environment.to_owned()), signal, now);
    let decision = Decision::RollBack { regions: checked.regions, to: checked.to, by: by.to_owned() };
    incident.turn_to(Status::RollingBack, decision, says, now);
    incident.blamed = checked.in_flight;
    // Should nobody hear the bus, `sweep` does.
    incident.due_at = Some(now + LOOK_AGAIN_AFTER);
    incident
}
