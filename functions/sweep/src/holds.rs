//! Holds: every environment that is held is looked after, whether anything is due there or not.
//!
//! Nothing tells that a way was opened by somebody else, or that an execution came to wait at it while no event was
//! heard; so each turn looks.

use crate::{App, Summary, has_time};
use jiff::Timestamp;
use pointsman::rolling::hold;
use pointsman::run::RunError;

/// Looks after all holds, until time runs out.
pub(crate) async fn look_after(app: &App, deadline: Timestamp, summary: &mut Summary) -> Result<(), RunError> {
    for environment in app.engine.ledger.held().await? {
        if !has_time(app, deadline) {
            tracing::warn!("time ran out; the other holds are looked after with the next turn");
            break;
        }
        let now = app.config.now();
        if let Err(error) = hold::tend(&app.engine, &environment, now).await {
            tracing::error!(environment, %error, "its hold could not be looked after");
            summary.stuck_holds += 1;
            summary.failures += 1;
        }
        // Who waits is told of at once; what comes within the minute is due later.
        let told = app.teller.send_due(&app.engine, &environment, now).await?;
        summary.stuck_notices += u64::from(told.is_stuck);
    }
    Ok(())
}
