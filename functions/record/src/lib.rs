//! `record`: folds what AWS reports into the ledger, in any order and any number of times.
//!
//! It decides nothing and starts nothing. What Pointsman did not start is recorded too, and marked so.

mod owner;

use jiff::Timestamp;
use pointsman::aws::{AwsConfig, CallError};
use pointsman::domain::audit::Note;
use pointsman::domain::change::Sha;
use pointsman::domain::event::{Event, Said, read};
use pointsman::domain::execution::{Execution, ExecutionId, Target};
use pointsman::domain::observed::{Observed, Report, State};
use pointsman::ledger::{Filter, Loaded, Run, Writes, execution_subject};
use pointsman::run::{Engine, RunError, in_turns, reflect};
use pointsman::settings::{LedgerSettings, Lookup, Missing};
use serde_json::json;

/// How many executions of one commit an image is written to.
const EXECUTIONS_OF_A_COMMIT_MAX: usize = 100;

/// Where the ledger is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ledger's.
    pub ledger: LedgerSettings,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn read(lookup: Lookup<'_>) -> Result<Self, Missing> {
        Ok(Self { ledger: LedgerSettings::read(lookup)? })
    }
}

/// Everything that lives longer than one event.
#[derive(Debug)]
pub struct App {
    config: AwsConfig,
    engine: Engine,
}

impl App {
    /// Builds the clients and warms the ledger's.
    pub async fn start(config: AwsConfig, settings: Settings) -> Self {
        let engine = Engine::start(&config, settings.ledger, "record").await;
        Self { config, engine }
    }
}

/// Takes one event in.
///
/// # Errors
/// [`RunError`]: Lambda delivers the event again, and taking it in twice is taking it in once.
pub async fn handle(app: &App, event: &Event) -> Result<(), RunError> {
    let now = app.config.now();
    match read(event) {
        Said::Reported { target, aws_id, report } => take_in(&app.engine, &target, &aws_id, &report, now).await,
        Said::ImagePushed { sha, image } => image_pushed(&app.engine, &sha, &image, now).await,
        Said::Nothing => {
            tracing::debug!(source = event.source, detail_type = event.detail_type, "event passed over");
            Ok(())
        }
    }
}

async fn take_in(
    engine: &Engine,
    target: &Target,
    aws_id: &str,
    report: &Report,
    now: Timestamp,
) -> Result<(), RunError> {
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
            Some(id) => save_owned(engine, run, &id, now).await,
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

/// Of what the API says, only what no event says: states are the events' to tell, with their own times.
fn facts_of(observed: &Observed) -> Observed {
    Observed {
        trigger: observed.trigger.clone(),
        revisions: observed.revisions.clone(),
        outputs: observed.outputs.clone(),
        ..Observed::default()
    }
}

/// Saves a run, and its execution as it now stands.
async fn save_owned(engine: &Engine, run: Loaded<Run>, id: &ExecutionId, now: Timestamp) -> Result<(), RunError> {
    let Some(Loaded { value: before, version }) = engine.ledger.execution(id).await? else {
        return Err(RunError::NoExecution(id.clone()));
    };
    let mut after = before.clone();
    reflect(&mut after, &run.value, now);
    let mut writes = Writes::new().run(&run);
    if after.sha.is_none() {
        after.sha = commit_of(&run.value.observed);
        writes = writes.listed_by_sha(&after);
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

/// The commit of an execution that Pointsman did not start: its only source revision that is one.
fn commit_of(observed: &Observed) -> Option<Sha> {
    let mut commits = observed.revisions.values().filter_map(|revision| revision.parse::<Sha>().ok());
    commits.next().filter(|first| commits.all(|other| other == *first))
}

/// An image's digest belongs to every execution of the commit that it is tagged with.
async fn image_pushed(engine: &Engine, sha: &Sha, image: &str, now: Timestamp) -> Result<(), RunError> {
    let filter = Filter { sha: Some(sha.as_str()), ..Filter::default() };
    for execution in engine.ledger.latest_executions(filter, now, EXECUTIONS_OF_A_COMMIT_MAX).await? {
        add_image(engine, &execution.id, image, now).await?;
    }
    Ok(())
}

async fn add_image(engine: &Engine, id: &ExecutionId, image: &str, now: Timestamp) -> Result<(), RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.execution(id).await? else { return Ok(()) };
        if !loaded.value.images.insert(image.to_owned()) {
            return Ok(());
        }
        loaded.value.updated_at = now;
        Ok(engine.ledger.save(Writes::new().execution(&loaded)).await?)
    })
    .await
}
