//! `pointsman incidents close`: a person has seen to it.

use super::{View, report};
use crate::args::reason;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use crate::text::Style;
use pointsman::domain::incident::{IncidentId, Status};
use pointsman::ledger::{Loaded, Writes};
use pointsman::run::in_turns;
use pointsman::telling::save_incident;
use serde_json::json;

/// Which incident, and why it is over.
#[derive(Debug, clap::Args)]
pub(crate) struct CloseArgs {
    /// The incident: `in-…`
    id: String,
    /// What was done about it, for the audit log and for whoever is told
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// Closes an incident that waits for a person, or that was only written down.
pub(super) async fn close(args: &CloseArgs, session: &Session, style: &Style) -> Result<Report, Failure> {
    let id = IncidentId::named(&args.id);
    let engine = session.engine().await?;
    let now = session.now();
    let closed = in_turns(|| async {
        let Some(Loaded { value: before, version }) = session.ledger.incident(&id).await? else { return Ok(None) };
        match before.status {
            Status::NeedsPerson | Status::Recorded | Status::Blocked => {}
            status @ (Status::Settling
            | Status::RollingBack
            | Status::RolledBack
            | Status::Cancelled
            | Status::Closed) => return Ok(Some(Err(status))),
        }
        let mut after = before.clone();
        after.turn_to(Status::Closed, before.decision.clone(), args.reason.clone(), now);
        let after = Loaded { value: after, version };
        let rollbacks = session.ledger.rollbacks(&before.rollbacks).await?;
        let detail = json!({ "reason": args.reason, "was": before.status.as_str() });
        let what = "incident closed by hand";
        save_incident(&engine, Writes::new(), Some(&before), &after, &rollbacks, what, detail, now).await?;
        Ok(Some(Ok(())))
    });
    match closed.await? {
        None => Err(Failure::NotFound(format!("no incident {}", args.id))),
        Some(Err(status)) => Err(Failure::Refused(format!("{id} is {}: there is nothing to close", status.as_str()))),
        Some(Ok(())) => report(session, &id, style).await.map(|(_, report): (View, Report)| report),
    }
}
