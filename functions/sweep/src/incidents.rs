//! Incidents that are due.

use crate::{App, Summary};
use jiff::{SignedDuration, Timestamp};
use pointsman::domain::incident::{Incident, IncidentId, PERSON_COUNTED_EVERY, Status};
use pointsman::guarding::{look_back, settle};
use pointsman::ledger::{Loaded, Writes};
use pointsman::rolling::take_up;
use pointsman::run::{Engine, RunError};

/// How long one that could not be looked after waits for its next turn.
const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Looks after one that is due: what should have taken it on may be lost.
pub(crate) async fn look_after(app: &App, id: &IncidentId, summary: &mut Summary) -> Result<(), RunError> {
    let now = app.config.now();
    let Some(incident) = app.engine.ledger.incident(id).await? else { return Ok(()) };
    match incident.value.status {
        Status::RollingBack => take_up(&app.engine, &app.hands, id, now).await,
        Status::NeedsPerson => {
            tracing::error!(incident = %id, "it waits for a person: `pointsman incidents show` says why");
            summary.persons_needed += 1;
            again(app, incident, now).await
        }
        Status::Settling => settled(app, id, now).await,
        Status::Recorded | Status::Blocked => postpone(&app.engine, id, now).await,
        Status::RolledBack => look_back(&app.engine, &app.alarms, id, now).await.map(drop),
        // Nothing is expected of these; the index is only eventually consistent.
        Status::Cancelled | Status::Closed => Ok(()),
    }
}

/// The message that should have brought it back to `guard` is lost, or late. A notice that follows is due by itself.
async fn settled(app: &App, id: &IncidentId, now: Timestamp) -> Result<(), RunError> {
    let outcome = settle(&app.engine, &app.alarms, id, now).await?;
    for requested in &outcome.requested {
        take_up(&app.engine, &app.hands, requested, app.config.now()).await?;
    }
    Ok(())
}

/// Counts it again later, for as long as nobody has closed it.
async fn again(app: &App, mut incident: Loaded<Incident>, now: Timestamp) -> Result<(), RunError> {
    incident.value.due_at = Some(now + PERSON_COUNTED_EVERY);
    Ok(app.engine.ledger.save(Writes::new().incident(&incident)).await?)
}

/// Lets the others go first next time.
pub(crate) async fn postpone(engine: &Engine, id: &IncidentId, now: Timestamp) -> Result<(), RunError> {
    let Some(mut loaded) = engine.ledger.incident(id).await? else { return Ok(()) };
    if loaded.value.due_at.is_some() {
        loaded.value.due_at = Some(now + LOOK_AGAIN_AFTER);
        engine.ledger.save(Writes::new().incident(&loaded)).await?;
    }
    Ok(())
}
