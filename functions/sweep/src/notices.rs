//! Notices that are due: sent, or tried again.

use crate::{App, Summary};
use jiff::Timestamp;
use pointsman::domain::notice::TRY_AGAIN_AFTER;
use pointsman::ledger::Writes;
use pointsman::run::{Engine, RunError};

/// Sends those of one environment; the empty one is for what names none.
pub(crate) async fn look_after(app: &App, environment: &str, summary: &mut Summary) -> Result<(), RunError> {
    let sent = app.teller.send_due(&app.engine, environment, app.config.now()).await?;
    summary.stuck_notices += u64::from(sent.is_stuck);
    Ok(())
}

/// Lets the others go first next time.
pub(crate) async fn postpone(engine: &Engine, environment: &str, now: Timestamp) -> Result<(), RunError> {
    let mut loaded = engine.ledger.notices(environment).await?;
    if loaded.value.due_at.is_some() {
        loaded.value.due_at = Some(now + TRY_AGAIN_AFTER);
        engine.ledger.save(Writes::new().notices(&loaded)).await?;
    }
    Ok(())
}
