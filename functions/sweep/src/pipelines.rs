//! Pipelines that start themselves: each push would run twice, once by Pointsman and once by the pipeline.

use crate::{App, Summary};
use jiff::SignedDuration;
use pointsman::domain::execution::TargetKind;
use pointsman::ledger::{LedgerError, PipelineCheck};
use pointsman::run::RunError;

/// How often the configured pipelines are looked at.
const EVERY: SignedDuration = SignedDuration::from_hours(1);
/// How many pipelines one look takes in; a configuration with more is looked at over several hours.
const PIPELINES_PER_LOOK: usize = 50;

pub(crate) async fn check(app: &App, summary: &mut Summary) -> Result<(), RunError> {
    let now = app.config.now();
    let Some((version, targets)) = app.engine.ledger.live_targets().await? else { return Ok(()) };
    let last = app.engine.ledger.pipeline_check().await?;
    if let Some(last) = last.as_ref().filter(|last| last.value.version == version)
        && now.duration_since(last.value.at) < EVERY
    {
        summary.self_starting += last.value.self_starting;
        return Ok(());
    }
    let from = last.as_ref().filter(|last| last.value.version == version).map_or(0, |last| last.value.next);
    let pipelines: Vec<_> = targets.iter().filter(|target| target.kind == TargetKind::Pipeline).collect();
    let mut found = 0;
    for target in pipelines.iter().skip(from).take(PIPELINES_PER_LOOK) {
        match app.engine.targets.pipelines().starts_itself(target).await {
            Ok(reasons) if reasons.is_empty() => {}
            Ok(reasons) => {
                found += 1;
                tracing::warn!(pipeline = %target, reasons = reasons.join("; "), "the pipeline starts itself: pushes run twice");
            }
            Err(error) => tracing::warn!(pipeline = %target, %error, "the pipeline cannot be looked at"),
        }
    }
    summary.self_starting += found;
    let next = if from + PIPELINES_PER_LOOK >= pipelines.len() { 0 } else { from + PIPELINES_PER_LOOK };
    let check = PipelineCheck { version, at: now, next, self_starting: found };
    match app.engine.ledger.save_pipeline_check(last.as_ref(), &check).await {
        // Another turn looked at the same time: its word is as good.
        Ok(()) | Err(LedgerError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
