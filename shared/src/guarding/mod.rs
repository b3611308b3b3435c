//! Guarding: AWS's signals become incidents, and what is decided about them is saved.
//!
//! Nothing is turned back here. What is to follow comes out as an [`Outcome`], for the caller to perform; all of it
//! stands in the ledger too, so that `sweep` finds what a crash left undone. Hearing twice is hearing once.

mod afterwards;
mod alarm;
mod deployment_ended;
mod finding;
mod opening;
mod other;
mod place;
mod settle;

pub use afterwards::look_back;
pub use settle::settle;

use crate::aws::cloudwatch::Alarms;
use crate::domain::event::{Event, Said, read};
use crate::domain::incident::{Incident, IncidentId, Status};
use crate::run::{Engine, RunError};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Who decides, in the records.
const GUARD: &str = "guard";

/// What follows from a signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Outcome {
    /// The incidents for which `rollback` is to be woken.
    pub requested: BTreeSet<IncidentId>,
    /// The incidents that settle, each with when its decision falls.
    pub settling: BTreeMap<IncidentId, Timestamp>,
    /// The environments of which people may be told something now; empty for what names none.
    pub told: BTreeSet<String>,
    /// How many findings there were in images that were never brought anywhere.
    pub findings_elsewhere: u64,
}

impl Outcome {
    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.requested.extend(other.requested);
        self.settling.extend(other.settling);
        self.told.extend(other.told);
        self.findings_elsewhere += other.findings_elsewhere;
        self
    }

    /// What follows from an incident as it stands: also when that was saved before, and whoever saved it got no further.
    fn of(incident: &Incident) -> Self {
        let mut outcome = Self::default();
        match incident.status {
            Status::RollingBack if incident.rollbacks.is_empty() => {
                outcome.requested.insert(incident.id.clone());
            }
            Status::Settling => {
                let until = incident.settling.as_ref().map(|settling| settling.until);
                outcome.settling.extend(until.map(|until| (incident.id.clone(), until)));
            }
            Status::RollingBack
            | Status::Recorded
            | Status::Blocked
            | Status::RolledBack
            | Status::Cancelled
            | Status::NeedsPerson
            | Status::Closed => {}
        }
        outcome.told.insert(incident.environment.clone().unwrap_or_default());
        outcome
    }
}

/// Takes one of AWS's events in, and says what follows.
///
/// # Errors
/// [`RunError`]: take it in again.
pub async fn hear(engine: &Engine, alarms: &Alarms, event: &Event, now: Timestamp) -> Result<Outcome, RunError> {
    match read(event) {
        Said::AlarmChanged(change) => alarm::changed(engine, &change, now).await,
        Said::Reported { target, aws_id, report } => {
            deployment_ended::look(engine, alarms, &target, &aws_id, &report, now).await
        }
        Said::Found { arn, images } => finding::found(engine, &arn, &images, now).await,
        Said::InsightOpened { id, severity, url, about } => {
            let insight = other::Insight { id, severity, url, about };
            other::insight(engine, &event.region, event.time, insight, now).await
        }
        Said::ThreatFound { id, kind, severity, title } => {
            let says = format!("GuardDuty found {kind} (severity {severity}): {title}");
            other::threat(engine, &event.region, event.time, id, says, now).await
        }
        Said::ImagePushed { .. } | Said::ImageScanned { .. } | Said::DeploymentMoved(_) | Said::Nothing => {
            Ok(Outcome::default())
        }
    }
}
