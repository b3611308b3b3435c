//! Waits for the end of an incident, and tells on stderr how far each region is.

use crate::failure::Failure;
use crate::incidents::{RollbackView, View, find};
use crate::output::progress;
use crate::session::Session;
use crate::text::Style;
use jiff::SignedDuration;
use pointsman::domain::incident::{IncidentId, Status};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the end of a rollback is waited for. At the bound it goes on, and only this tool stops watching.
const WAIT: SignedDuration = SignedDuration::from_mins(30);
/// How long between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After this it is told that nobody has taken it up.
const SLOW_TO_BEGIN: SignedDuration = SignedDuration::from_secs(10);

/// Waits until an incident has ended; says whether it has.
pub(super) async fn to_the_end(session: &Session, id: &IncidentId, style: &Style) -> Result<bool, Failure> {
    let began = session.now();
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let mut is_slow_told = false;
    loop {
        let incident = find(session, id.as_str()).await?;
        let rollbacks = session.ledger.rollbacks(&incident.rollbacks).await?;
        let now = session.now();
        for view in rollbacks.iter().map(|one| RollbackView::of(one, &rollbacks)) {
            let news = line(&view);
            if told.get(&view.region) != Some(&news) {
                progress(&format!("{} {news}", style.offset(now, began)));
                told.insert(view.region.clone(), news);
            }
        }
        if has_ended(incident.status) {
            return Ok(true);
        }
        let waited = now.duration_since(began);
        if waited >= WAIT {
            return Ok(false);
        }
        if rollbacks.is_empty() && waited >= SLOW_TO_BEGIN && !is_slow_told {
            progress("nobody has taken it up yet: `sweep` does within a minute");
            is_slow_told = true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn line(view: &RollbackView) -> String {
    format!("{}: {}: {}", view.region, view.versions(), view.reason)
}

fn has_ended(status: Status) -> bool {
    match status {
        Status::RollingBack | Status::Settling => false,
        Status::RolledBack
        | Status::Cancelled
        | Status::NeedsPerson
        | Status::Closed
        | Status::Recorded
        | Status::Blocked => true,
    }
}

/// Why it is not back; `None`: it is.
pub(super) fn failure(view: &View, is_over: bool) -> Option<String> {
    let environment = view.environment.as_deref().unwrap_or_default();
    let (id, reason) = (&view.id, &view.reason);
    let minutes = WAIT.as_mins();
    match view.status {
        Status::RolledBack => None,
        _ if !is_over => Some(format!(
            "{environment} is not back after {minutes} min, and is still worked on: `pointsman incidents show {id}` tells more"
        )),
        Status::NeedsPerson => Some(format!("{environment} is not back, and a person must act: {reason}")),
        Status::Settling
        | Status::Recorded
        | Status::Blocked
        | Status::RollingBack
        | Status::Cancelled
        | Status::Closed => Some(format!("{environment} was not turned back: {reason}")),
    }
}
