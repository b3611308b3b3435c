//! Executions that are due: to be started, to be looked for, to be asked about.

use crate::{App, Summary};
use jiff::Timestamp;
use pointsman::approving::compare;
use pointsman::domain::audit::Note;
use pointsman::domain::execution::{Execution, ExecutionId, LOOK_AGAIN_AFTER, QUIET_AFTER, Start, StartEvent, Status};
use pointsman::landing::with_landings;
use pointsman::ledger::{Loaded, Writes, execution_subject};
use pointsman::run::{Engine, RunError, in_turns, reflect};
use serde_json::json;

/// What AWS says of what it does not know any more.
const GONE: [&str; 3] =
    ["PipelineNotFoundException", "PipelineExecutionNotFoundException", "ResourceNotFoundException"];

/// Looks after one that is due.
pub(crate) async fn look_after(app: &App, id: &ExecutionId, summary: &mut Summary) -> Result<(), RunError> {
    let now = app.config.now();
    let execution = one(&app.engine, id, now).await?;
    if execution.status == Status::Unknown {
        tracing::error!(execution = %id, "its fate is unknown: `pointsman executions resolve` settles it");
        summary.unknown += 1;
    }
    // The event that should have opened the approval may be lost.
    if let (Status::AwaitingApproval, Some(aws_id)) = (execution.status, execution.start.aws_id()) {
        compare(&app.engine, &app.base_url, &execution.target, aws_id, now).await?;
    }
    Ok(())
}

/// Lets the others go first next time.
pub(crate) async fn postpone(engine: &Engine, id: &ExecutionId, now: Timestamp) -> Result<(), RunError> {
    let Some(mut loaded) = engine.ledger.execution(id).await? else { return Ok(()) };
    if loaded.value.due_at.is_some() {
        loaded.value.due_at = Some(now + LOOK_AGAIN_AFTER);
        engine.ledger.save(Writes::new().execution(&loaded)).await?;
    }
    Ok(())
}

async fn one(engine: &Engine, id: &ExecutionId, now: Timestamp) -> Result<Execution, RunError> {
    let Loaded { value: execution, .. } =
        engine.ledger.execution(id).await?.ok_or_else(|| RunError::NoExecution(id.clone()))?;
    Ok(match &execution.start {
        Start::Requested { .. } => engine.take_up(id, &StartEvent::Begin, now).await?,
        Start::Asked { .. } | Start::Unknown { .. } => {
            let sighting = engine.look_for(&execution, now).await?;
            engine.take_up(id, &StartEvent::Looked(sighting), now).await?
        }
        Start::Started { aws_id } => ask_about(engine, &execution, aws_id, now).await?,
        // Nothing is expected of these; the index is only eventually consistent.
        Start::Refused { .. } | Start::Overtaken { .. } => execution,
    })
}

/// Asks AWS what became of an execution that went quiet: its events may be late, or lost.
async fn ask_about(engine: &Engine, quiet: &Execution, aws_id: &str, now: Timestamp) -> Result<Execution, RunError> {
    let observed = match engine.targets.observe(&quiet.target, aws_id, now).await {
        Ok(observed) => Some(observed),
        // The pipeline, or the execution, is gone: there is nothing to wait for. Any other refusal is about us.
        Err(error) if GONE.iter().any(|code| error.is(code)) => {
            tracing::warn!(execution = %quiet.id, %error, "AWS does not know it any more");
            None
        }
        Err(error) => return Err(error.into()),
    };
    in_turns(|| async {
        let Some(Loaded { value: before, version }) = engine.ledger.execution(&quiet.id).await? else {
            return Err(RunError::NoExecution(quiet.id.clone()));
        };
        let mut run = engine.ledger.run(&quiet.target, aws_id, now).await?;
        if let Some(observed) = &observed {
            run.value.observed.conclude(observed);
        }
        run.value.execution = Some(quiet.id.clone());
        let mut after = before.clone();
        reflect(&mut after, &run.value, now);
        if observed.is_none() {
            after.status = Status::Stopped;
            after.due_at = None;
            after.note = Some("AWS does not know this execution any more".to_owned());
        }
        after.due_at = after.due_at.map(|_| now + QUIET_AFTER);
        let mut writes = Writes::new().run(&run);
        if after.sha.is_none() {
            after.sha = run.value.observed.commit();
            writes = writes.listed_by_sha(&after);
        }
        if after.status.is_over() {
            writes = with_landings(&engine.ledger, writes, &after, &run.value).await?;
        }
        let writes = writes.execution(&Loaded { value: after.clone(), version });
        if after.status == before.status {
            engine.ledger.save(writes).await?;
        } else {
            let what = format!("found {}", after.status.as_str());
            let note = Note { actor: engine.actor.clone(), what, detail: json!({}) };
            engine.ledger.save_noted(writes, &execution_subject(&quiet.id), note, now).await?;
        }
        Ok(after)
    })
    .await
}
