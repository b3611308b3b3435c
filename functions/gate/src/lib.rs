//! `gate`: opens an approval where CodePipeline asks for one, and sends each approver a link of their own.
//!
//! Three things wake it, and any one is enough: EventBridge's event of the approval action, the end of an execution, and
//! CodePipeline's notification. Each may hold CodePipeline's token: it is compared and forgotten here, nothing of an
//! event is logged, and nothing that is not worked off goes to a dead letter. `sweep` finds what was missed.

mod notification;

use jiff::Timestamp;
use notification::{Notification, notifications};
use pointsman::approving::{Mailer, compare};
use pointsman::aws::AwsConfig;
use pointsman::aws::sns::Topics;
use pointsman::domain::approval::Approval;
use pointsman::domain::event::{Event, Said, read};
use pointsman::domain::execution::{ExecutionId, Target};
use pointsman::domain::observed::{Report, State};
use pointsman::recording;
use pointsman::run::{Engine, RunError};
use pointsman::settings::{LedgerSettings, Lookup, Missing, required};
use serde_json::Value;

/// Where the ledger is, where links begin, and where mail goes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ledger's.
    pub ledger: LedgerSettings,
    /// Where a link begins, without a slash at the end: `POINTSMAN_BASE_URL`.
    pub base_url: String,
    /// What the ARN of every approver's topic begins with: `POINTSMAN_APPROVER_TOPICS`.
    pub approver_topics: String,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn read(lookup: Lookup<'_>) -> Result<Self, Missing> {
        Ok(Self {
            ledger: LedgerSettings::read(lookup)?,
            base_url: required(lookup, "POINTSMAN_BASE_URL")?,
            approver_topics: required(lookup, "POINTSMAN_APPROVER_TOPICS")?,
        })
    }
}

/// Everything that lives longer than one event.
#[derive(Debug)]
pub struct App {
    config: AwsConfig,
    engine: Engine,
    mailer: Mailer,
    base_url: String,
}

impl App {
    /// Builds the clients and warms the ledger's.
    pub async fn start(config: AwsConfig, settings: Settings) -> Self {
        let engine = Engine::start(&config, settings.ledger, "gate").await;
        let mailer = Mailer::new(Topics::new(&config, settings.approver_topics), config.random.clone());
        Self { config, engine, mailer, base_url: settings.base_url }
    }
}

/// Takes one event in: EventBridge's, or SNS's with CodePipeline's notification in it.
///
/// # Errors
/// [`RunError`]: Lambda delivers the event again, and taking it in twice is taking it in once.
pub async fn handle(app: &App, event: &Value) -> Result<(), RunError> {
    let now = app.config.now();
    // CodePipeline's topic is in the pipeline's own region.
    for notification in notifications(event).into_iter().filter(|told| told.target.region == app.config.region()) {
        notified(app, &notification, now).await?;
    }
    let Ok(event) = serde_json::from_value::<Event>(event.clone()) else { return Ok(()) };
    let Said::Reported { target, aws_id, report } = read(&event) else { return Ok(()) };
    if let Report::Action { category, stage, mark, .. } = &*report
        && category == "Approval"
    {
        let owner = recording::take_in(&app.engine, &target, &aws_id, &report, now).await?;
        bring_up(app, &target, &aws_id, now).await?;
        if mark.state == State::Started { is_known(app, owner, stage).await } else { Ok(()) }
    } else if has_unsettled(app, &target, &aws_id, now).await? {
        bring_up(app, &target, &aws_id, now).await
    } else {
        Ok(())
    }
}

/// Whether the approval of a stage that has begun is on record: CodePipeline's list may be behind its events. If not, the
/// event comes again in a minute.
async fn is_known(app: &App, owner: Option<ExecutionId>, stage: &str) -> Result<(), RunError> {
    let Some(owner) = owner else { return Ok(()) };
    let known = app.engine.ledger.approvals_of(&owner).await?;
    let is_its = |approval: &Approval| approval.place.stage == stage;
    if known.iter().any(is_its) { Ok(()) } else { Err(RunError::NotListed { stage: stage.to_owned() }) }
}

/// CodePipeline's notification names no execution: the token tells whose it is.
async fn notified(app: &App, told: &Notification, now: Timestamp) -> Result<(), RunError> {
    let pipelines = app.engine.targets.pipelines();
    match pipelines.asked_by(&told.target, &told.stage, &told.action, &told.token).await? {
        Some(aws_id) => bring_up(app, &told.target, &aws_id, now).await,
        None => {
            tracing::info!(runs = %told.target, "a notification of an approval that is not asked any more");
            Ok(())
        }
    }
}

async fn bring_up(app: &App, target: &Target, aws_id: &str, now: Timestamp) -> Result<(), RunError> {
    for id in compare(&app.engine, &app.base_url, target, aws_id, now).await? {
        app.mailer.send_due(&app.engine, &id, now).await?;
    }
    Ok(())
}

/// Whether an execution has approvals that its end would end.
async fn has_unsettled(app: &App, target: &Target, aws_id: &str, now: Timestamp) -> Result<bool, RunError> {
    let run = app.engine.ledger.run(target, aws_id, now).await?.value;
    let Some(execution) = run.execution else { return Ok(false) };
    let known = app.engine.ledger.approvals_of(&execution).await?;
    Ok(known.iter().any(Approval::is_unsettled))
}
