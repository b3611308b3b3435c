//! Rollbacks that are due.

use crate::{App, Summary};
use jiff::Timestamp;
use pointsman::domain::rollback::{LOOK_AGAIN_AFTER, RollbackId};
use pointsman::ledger::Writes;
use pointsman::rolling::advance;
use pointsman::run::{Engine, RunError};

/// Takes one on that is due: the event that should have done so may be lost.
pub(crate) async fn look_after(app: &App, id: &RollbackId, summary: &mut Summary) -> Result<(), RunError> {
    let now = app.config.now();
    advance(&app.engine, &app.hands, id).await?;
    let Some(rollback) = app.engine.ledger.rollback(id).await? else { return Ok(()) };
    if rollback.value.is_slow(now) {
        tracing::warn!(rollback = %id, environment = rollback.value.environment, "a rollback takes long");
        summary.slow_rollbacks += 1;
    }
    Ok(())
}

/// Lets the others go first next time.
pub(crate) async fn postpone(engine: &Engine, id: &RollbackId, now: Timestamp) -> Result<(), RunError> {
    let Some(mut loaded) = engine.ledger.rollback(id).await? else { return Ok(()) };
    if loaded.value.due_at.is_some() {
        loaded.value.due_at = Some(now + LOOK_AGAIN_AFTER);
        engine.ledger.save(Writes::new().rollback(&loaded)).await?;
    }
    Ok(())
}
