//! Recording: what AWS reports of one of its executions is folded into the run's record, the execution's, and those of
//! the environments where it lands, in any order and any number of times.
//!
//! Nothing is started here. What Pointsman did not start is recorded too, and marked so.

mod owner;

use crate::aws::CallError;
use crate::domain::audit::Note;
use crate::domain::execution::{Execution, ExecutionId, Target};
use crate::domain::observed::{Observed, Report, State};
use crate::landing::{with_images, with_landings};
use crate::ledger::{Loaded, Run, Writes, execution_subject};
use crate::run::{Engine, RunError, in_turns, reflect};
use jiff::Timestamp;
use serde_json::json;

/// Takes one report in. Answers with our execution once the run has an owner; one that nobody of ours started becomes
/// an execution here.
///
/// # Errors
/// [`RunError`]: take it in again. Taking it in twice is taking it in once.
pub async fn take_in(
    engine: &Engine,
    target: &Target,
    aws_id: &str,
    report: &Report,
    now: Timestamp,
) -> Result<Option<ExecutionId>, RunError> {
    let mut news = Observed::default();
    news.fold(report);
    if tells_more_than_its_event(report) {
        match engine.targets.observe(target, aws_id, now).await {
            Ok(more) => news.merge(&facts_of(&more)),
            // The pipeline was deleted meanwhile: the event is all there is.
            Err(CallError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    in_turns(|| async {
        let mut run = engine.ledger.run(target, aws_id, now).await?;
        run.value.observed.merge(&news);
        run.value.updated_at = now;
        match run.value.execution.clone() {
            Some(id) => save_owned(engine, run, &id, may_land(report), now).await.map(|()| Some(id)),
            None => owner::find_or_leave(engine, run, now).await,
        }
    })
    .await
}

/// Whether the API now knows what no event says: commits after a source, output variables after a build.
fn tells_more_than_its_event(report: &Report) -> bool {
    match report {
        Report::Whole { mark, .. } => mark.state.is_over(),
        Report::Action { mark, category, .. } => {
            mark.state == State::Succeeded && matches!(category.as_str(), "Source" | "Build" | "Test")
        }
        Report::Stage { .. } => false,
    }
}

/// Whether a run may have landed by this. The end of the whole also tells of stages whose reports were lost, or came
/// while nobody knew whose run it was.
fn may_land(report: &Report) -> bool {
    match report {
        Report::Whole { mark, .. } => mark.state.is_over(),
        Report::Stage { mark, .. } => mark.state == State::Succeeded,
        Report::Action { .. } => false,
    }
}

/// Of what the API says, only what no event says: states are the events' to tell, with their own times.
fn facts_of(observed: &Observed) -> Observed {
    Observed {
        trigger: observed.trigger.clone(),
        revisions: observed.revisions.clone(),
        outputs: observed.outputs.clone(),
        rolls_back_to: observed.rolls_back_to.clone(),
        ..Observed::default()
    }
}

/// Saves a run, and its execution as it now stands; with `may_land` also where it has landed.
async fn save_owned(
    engine: &Engine,
    run: Loaded<Run>,
    id: &ExecutionId,
    may_land: bool,
    now: Timestamp,
) -> Result<(), RunError> {
    let Some(Loaded { value: before, version }) = engine.ledger.execution(id).await? else {
        return Err(RunError::NoExecution(id.clone()));
    };
    let mut after = before.clone();
    reflect(&mut after, &run.value, now);
    let mut writes = Writes::new().run(&run);
    if after.sha.is_none() {
        after.sha = run.value.observed.commit();
        writes = writes.listed_by_sha(&after);
    }
    if let Some(environment) = after.environment.as_ref().filter(|_| after.images != before.images) {
        // Of what waits to go in, findings are to be heard too.
        writes = with_images(writes, &after, environment, "");
    }
    if may_land {
        writes = with_landings(&engine.ledger, writes, &after, &run.value).await?;
    }
    let writes = writes.execution(&Loaded { value: after.clone(), version });
    if after.status == before.status {
        return Ok(engine.ledger.save(writes).await?);
    }
    let note = status_note(&engine.actor, &after);
    Ok(engine.ledger.save_noted(writes, &execution_subject(id), note, now).await?)
}

fn status_note(actor: &str, execution: &Execution) -> Note {
    Note { actor: actor.to_owned(), what: format!("reported {}", execution.status.as_str()), detail: json!({}) }
}
