//! An incident as programs read it, and the list.

use super::RollbackView;
use crate::executions::Moment;
use crate::failure::Failure;
use crate::session::{Session, load_each};
use crate::text::{Style, cell, cell_or_dash, cut};
use jiff::Timestamp;
use pointsman::domain::audit::Entry;
use pointsman::domain::change::Sha;
use pointsman::domain::execution::ExecutionId;
use pointsman::domain::incident::{Decision, Incident, IncidentId, Signal, Status};
use pointsman::domain::rollback::Rollback;
use pointsman::ledger::{Ledger, incident_subject};
use serde::Serialize;

/// How much of a reason a list shows, in characters.
const REASON_LISTED: usize = 80;

/// One incident. The names of the first eight fields are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct View {
    pub(crate) id: IncidentId,
    /// None for what names none, such as an insight into the account.
    pub(crate) environment: Option<String>,
    /// The region of the first signal.
    pub(super) region: String,
    /// `alarm`, `finding:CVE-…`, `insight`, `threat` or `manual`.
    pub(super) cause: String,
    pub(crate) status: Status,
    /// `wait`, `notify`, `block`, `roll_back` or `person`.
    pub(super) decision: &'static str,
    /// Why it stands so: one sentence, never empty.
    pub(crate) reason: String,
    /// The rollback in the first signal's region, else the first one.
    rollback: Option<RollbackView>,
    /// The commit that is blamed.
    pub(super) sha: Option<Sha>,
    /// The execution that is blamed.
    pub(super) blamed: Option<ExecutionId>,
    /// Where it is to be turned back.
    regions: Vec<String>,
    /// To which commit, where a person named one.
    to: Option<Sha>,
    /// Who decided to turn back: `guard`, or a person.
    by: Option<String>,
    pub(super) signals: Vec<SignalView>,
    pub(super) has_more_signals: bool,
    /// The end of the time for which alarms are watched before it is decided.
    pub(super) settles_at: Option<Timestamp>,
    /// One per region.
    pub(crate) rollbacks: Vec<RollbackView>,
    pub(super) timeline: Vec<Moment>,
    pub(super) opened_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// One signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SignalView {
    pub(super) cause: String,
    pub(super) region: String,
    pub(super) at: Timestamp,
    pub(super) says: String,
}

impl SignalView {
    fn of(signal: Signal) -> Self {
        let Signal { cause, region, at, says } = signal;
        Self { cause: cause.to_string(), region, at, says }
    }
}

/// An incident with its rollbacks, and what the audit log tells of it.
pub(super) async fn load(session: &Session, incident: Incident) -> Result<View, Failure> {
    load_from(&session.ledger, incident).await
}

/// The same for several, in their order.
pub(super) async fn load_all(session: &Session, incidents: Vec<Incident>) -> Result<Vec<View>, Failure> {
    load_each(incidents, |incident| {
        let ledger = session.ledger.clone();
        async move { load_from(&ledger, incident).await }
    })
    .await
}

async fn load_from(ledger: &Ledger, incident: Incident) -> Result<View, Failure> {
    let chain = ledger.chain(&incident_subject(&incident.id)).await?;
    let rollbacks = ledger.rollbacks(&incident.rollbacks).await?;
    Ok(View::of(incident, &rollbacks, &chain))
}

impl View {
    /// Puts together what is known.
    pub(super) fn of(incident: Incident, rollbacks: &[Rollback], chain: &[Entry]) -> Self {
        let rollbacks: Vec<RollbackView> = rollbacks.iter().map(|one| RollbackView::of(one, rollbacks)).collect();
        let of_region = rollbacks.iter().find(|rollback| rollback.region == incident.region);
        let decision = incident.decision.as_str();
        let (regions, to, by) = match incident.decision {
            Decision::RollBack { regions, to, by } => (regions, to, Some(by)),
            Decision::Wait | Decision::Notify | Decision::Block | Decision::Person => (Vec::new(), None, None),
        };
        let (blamed, sha) = match incident.blamed {
            Some(blamed) => (Some(blamed.execution), blamed.sha),
            None => (None, None),
        };
        Self {
            rollback: of_region.or(rollbacks.first()).cloned(),
            id: incident.id,
            environment: incident.environment,
            region: incident.region,
            cause: incident.cause.to_string(),
            status: incident.status,
            decision,
            reason: incident.reason,
            sha,
            blamed,
            regions,
            to,
            by,
            signals: incident.signals.into_iter().map(SignalView::of).collect(),
            has_more_signals: incident.has_more_signals,
            settles_at: incident.settling.map(|settling| settling.until),
            rollbacks,
            timeline: chain.iter().map(Moment::of).collect(),
            opened_at: incident.opened_at,
            updated_at: incident.updated_at,
        }
    }
}

/// The list for people.
pub(super) fn list(incidents: &[Incident], style: &Style) -> String {
    if incidents.is_empty() {
        return "no incidents".to_owned();
    }
    let rows = incidents.iter().map(|incident| {
        let sha = incident.blamed.as_ref().and_then(|blamed| blamed.sha.as_ref());
        vec![
            cell(style.time(incident.opened_at)),
            cell(incident.id.as_str()),
            cell_or_dash(incident.environment.as_ref()),
            cell(&incident.region),
            cell(incident.cause.to_string()),
            cell_or_dash(sha.map(Sha::short)),
            style.status(incident.status.as_str()),
            cell(cut(&incident.reason, REASON_LISTED)),
        ]
    });
    style.table(&["WHEN", "INCIDENT", "ENVIRONMENT", "REGION", "CAUSE", "COMMIT", "STATUS", "WHY"], rows)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, incident, rollback};
    use super::*;
    use crate::text::style_for_tests;
    use serde_json::json;

    #[test]
    fn programs_get_the_contract() {
        let json = serde_json::to_value(View::of(incident(), &[rollback()], &[])).unwrap();
        for (field, expected) in [
            ("id", json!("in-1")),
            ("environment", json!("web-production")),
            ("region", json!("us-east-1")),
            ("cause", json!("alarm")),
            ("status", json!("rolled_back")),
            ("decision", json!("roll_back")),
            ("reason", json!("badbadb is blamed: it landed 5 min before")),
            ("sha", json!("bad".repeat(13) + "b")),
            ("blamed", json!("ex-bad")),
            ("opened_at", json!(at(-121))),
        ] {
            assert_eq!(json[field], expected, "{field}");
        }
        assert_eq!(json["rollback"], json["rollbacks"][0]);
        assert_eq!(json["signals"][1]["cause"], "finding:CVE-2026-0001");
        let recorded = Incident { rollbacks: vec![], decision: Decision::Notify, ..incident() };
        let json = serde_json::to_value(View::of(recorded, &[], &[])).unwrap();
        assert_eq!((&json["rollback"], &json["decision"]), (&json!(null), &json!("notify")));
    }

    #[test]
    fn the_rollback_is_that_of_the_signals_region_or_the_first() {
        let elsewhere = Rollback { region: "eu-west-2".into(), ..rollback() };
        #[rustfmt::skip]
        let cases = [
            (vec![elsewhere.clone(), rollback()], Some("us-east-1"), "where the signal came from"),
            (vec![elsewhere],                     Some("eu-west-2"), "there is none there"),
            (vec![],                              None,              "there is none at all"),
        ];
        for (rollbacks, region, why) in cases {
            let view = View::of(incident(), &rollbacks, &[]);
            assert_eq!(view.rollback.map(|rollback| rollback.region).as_deref(), region, "{why}");
        }
    }

    #[test]
    fn a_list_has_one_line_for_each() {
        let account = Incident { environment: None, blamed: None, status: Status::Recorded, ..incident() };
        insta::assert_snapshot!(list(&[incident(), account], &style_for_tests()), @r"
        WHEN    INCIDENT  ENVIRONMENT     REGION     CAUSE  COMMIT   STATUS       WHY
        2m ago  in-1      web-production  us-east-1  alarm  badbadb  rolled_back  badbadb is blamed: it landed 5 min before
        2m ago  in-1      -               us-east-1  alarm  -        recorded     badbadb is blamed: it landed 5 min before
        ");
        assert_eq!(list(&[], &style_for_tests()), "no incidents");
    }
}
