//! Approvers whom mail does not reach: their subscription was never confirmed, was ended, or is not the only one.

use crate::{App, Summary, has_time};
use jiff::Timestamp;
use pointsman::approvers::live_people;
use pointsman::domain::approver::{ApproverCheck, PEOPLE_PER_LOOK, Person, Reach};
use pointsman::ledger::LedgerError;
use pointsman::run::RunError;

pub(crate) async fn check(app: &App, deadline: Timestamp, summary: &mut Summary) -> Result<(), RunError> {
    let ledger = &app.engine.ledger;
    let Some(live) = ledger.live_configuration().await? else { return Ok(()) };
    let last = ledger.approver_check().await?;
    let known = last.as_ref().map(|last| &last.value);
    let now = app.config.now();
    if ApproverCheck::due(known, live.value.live, now).is_none() {
        summary.unreachable_approvers += known.map_or(0, |known| known.unreachable.len() as u64);
        return Ok(());
    }
    let Some((version, people)) = live_people(ledger, app.config.region()).await? else { return Ok(()) };
    let from = ApproverCheck::due(known, version, now).unwrap_or(0);
    let rest = people.get(from..).unwrap_or_default();
    let seen = look(app, rest, deadline, summary).await;
    if !rest.is_empty() && seen.iter().all(Option::is_none) {
        // Nothing was seen, so nothing is known anew: the next turn tries again.
        summary.unreachable_approvers += known.map_or(0, |known| known.unreachable.len() as u64);
        return Ok(());
    }
    let check = ApproverCheck::after(known, version, &people, from, &seen, now);
    summary.unreachable_approvers += check.unreachable.len() as u64;
    match ledger.save_approver_check(last.as_ref(), &check).await {
        // Another turn looked at the same time: its word is as good.
        Ok(()) | Err(LedgerError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Looks at the first of `people`, as many as there is time for. `None` for whom SNS says nothing of.
async fn look(app: &App, people: &[Person], deadline: Timestamp, summary: &mut Summary) -> Vec<Option<Reach>> {
    let mut seen = Vec::new();
    for person in people.iter().take(PEOPLE_PER_LOOK) {
        if !has_time(app, deadline) {
            break;
        }
        let reach = app.topics.reach(&person.email).await;
        match &reach {
            Ok(reach) if reach.is_reached() => {}
            Ok(reach) => {
                tracing::warn!(approver = person.email, why = %reach, "an approver gets no mail: `pointsman approvers list`");
            }
            Err(error) => {
                tracing::error!(approver = person.email, %error, "an approver's topic cannot be looked at");
                summary.failures += 1;
            }
        }
        seen.push(reach.ok());
    }
    seen
}
