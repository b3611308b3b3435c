//! Approvals that are due: compared with CodePipeline, expired, reminded of, mailed again, told again.

use crate::{App, Summary};
use jiff::{SignedDuration, Timestamp};
use pointsman::approving::{compare, expire, tend};
use pointsman::domain::approval::ApprovalId;
use pointsman::ledger::Writes;
use pointsman::run::{Engine, RunError};

/// How long one that could not be looked after waits for its next turn.
const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Looks after one that is due.
pub(crate) async fn look_after(app: &App, id: &ApprovalId, summary: &mut Summary) -> Result<(), RunError> {
    let now = app.config.now();
    expire(&app.engine, id, now).await?;
    let Some(approval) = app.engine.ledger.approval(id).await? else { return Ok(()) };
    let place = &approval.value.place;
    // Ends what was answered elsewhere, and tells again what was decided.
    compare(&app.engine, &app.base_url, &place.target, &place.aws_id, now).await?;
    let tended = tend(&app.engine, id, now).await?;
    app.mailer.send_due(&app.engine, id, now).await?;
    summary.pending_approvals += u64::from(tended.is_pending_long);
    summary.missing_scans += u64::from(tended.is_scan_missing);
    summary.untold_approvals += u64::from(tended.is_untold);
    summary.stuck_mails += u64::from(tended.is_mail_stuck);
    Ok(())
}

/// Lets the others go first next time.
pub(crate) async fn postpone(engine: &Engine, id: &ApprovalId, now: Timestamp) -> Result<(), RunError> {
    let Some(mut loaded) = engine.ledger.approval(id).await? else { return Ok(()) };
    if loaded.value.due_at.is_some() {
        loaded.value.due_at = Some(now + LOOK_AGAIN_AFTER);
        engine.ledger.save(Writes::new().approval(&loaded)).await?;
    }
    Ok(())
}
