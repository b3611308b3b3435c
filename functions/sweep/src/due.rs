//! Whatever is due: each thing gets its turn, the longest due first, and a failure of one keeps no other from it.

use crate::{App, Summary, approvals, executions, has_time, incidents, notices, rollbacks};
use jiff::Timestamp;
use pointsman::ledger::Due;
use pointsman::run::RunError;

/// How many things one turn looks after; the rest stay due.
const DUE_PER_TURN: i32 = 100;

/// Looks after what is due, until time runs out.
pub(crate) async fn look_after(app: &App, deadline: Timestamp, summary: &mut Summary) -> Result<(), RunError> {
    for due in app.engine.ledger.due(app.config.now(), DUE_PER_TURN).await? {
        if !has_time(app, deadline) {
            tracing::warn!("time ran out; the rest stays due");
            break;
        }
        summary.due += 1;
        let outcome = match &due {
            Due::Execution(id) => executions::look_after(app, id, summary).await,
            Due::Approval(id) => approvals::look_after(app, id, summary).await,
            Due::Incident(id) => incidents::look_after(app, id, summary).await,
            Due::Rollback(id) => rollbacks::look_after(app, id, summary).await,
            Due::Notices(environment) => notices::look_after(app, environment, summary).await,
        };
        if let Err(error) = outcome {
            tracing::error!(?due, %error, "could not be looked after");
            summary.failures += 1;
            postpone(app, &due).await;
        }
    }
    Ok(())
}

/// Lets the others go first next time. Where even that fails, it stays where it is.
async fn postpone(app: &App, due: &Due) {
    let now = app.config.now();
    let postponed = match due {
        Due::Execution(id) => executions::postpone(&app.engine, id, now).await,
        Due::Approval(id) => approvals::postpone(&app.engine, id, now).await,
        Due::Incident(id) => incidents::postpone(&app.engine, id, now).await,
        Due::Rollback(id) => rollbacks::postpone(&app.engine, id, now).await,
        Due::Notices(environment) => notices::postpone(&app.engine, environment, now).await,
    };
    if let Err(error) = postponed {
        tracing::warn!(?due, %error, "could not be postponed");
    }
}
