//! `rollback`: turns a version back, once, by the best step that works now, and checks that it is back.
//!
//! A request on our bus only wakes it: what is to be turned back stands in the incident. The events of pipelines and
//! deployments wake it too, while a rollback is under way. `sweep` takes up what no event told of.

use pointsman::aws::AwsConfig;
use pointsman::aws::sns::Notices;
use pointsman::domain::event::{Event, ROLLBACK_REQUESTED, SOURCE, Said, read};
use pointsman::domain::incident::IncidentId;
use pointsman::domain::observed::Report;
use pointsman::domain::rollback::Rollback;
use pointsman::recording::take_in;
use pointsman::rolling::hold::tend;
use pointsman::rolling::{Hands, advance, take_up};
use pointsman::run::{Engine, RunError};
use pointsman::settings::{LedgerSettings, Lookup, Missing, required};
use pointsman::telling::Teller;

/// Where the ledger is, and whom to tell.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ledger's.
    pub ledger: LedgerSettings,
    /// The ARN of the topic that tells of incidents: `POINTSMAN_INCIDENTS_TOPIC`.
    pub incidents_topic: String,
    /// The account that versions run in, 12 digits: `POINTSMAN_ACCOUNT`.
    pub account: String,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn read(lookup: Lookup<'_>) -> Result<Self, Missing> {
        Ok(Self {
            ledger: LedgerSettings::read(lookup)?,
            incidents_topic: required(lookup, "POINTSMAN_INCIDENTS_TOPIC")?,
            account: required(lookup, "POINTSMAN_ACCOUNT")?,
        })
    }
}

/// Everything that lives longer than one event.
#[derive(Debug)]
pub struct App {
    config: AwsConfig,
    engine: Engine,
    hands: Hands,
    teller: Teller,
    account: String,
}

impl App {
    /// Builds the clients and warms the ledger's.
    pub async fn start(config: AwsConfig, settings: Settings) -> Self {
        let engine = Engine::start(&config, settings.ledger, "rollback").await;
        let teller = Teller::new(Notices::new(&config, settings.incidents_topic));
        Self { hands: Hands::new(&config), config, engine, teller, account: settings.account }
    }
}

/// Takes one event in: a request from our bus, or what ends or moves a rollback.
///
/// # Errors
/// [`RunError`]: Lambda delivers the event again, and taking it in twice is taking it in once.
pub async fn handle(app: &App, event: &Event) -> Result<(), RunError> {
    let now = app.config.now();
    if event.source == SOURCE && event.detail_type == ROLLBACK_REQUESTED {
        return requested(app, event).await;
    }
    if event.account != app.account {
        return Ok(());
    }
    let said = read(event);
    let outcome = at_holds(app, &said).await;
    // Nearly always nothing is under way, and nothing else is read.
    let open = app.engine.ledger.open_rollbacks().await?;
    let concerned: Vec<&Rollback> = open.iter().filter(|rollback| concerns(&said, rollback)).collect();
    if concerned.is_empty() {
        return outcome;
    }
    if let Said::Reported { target, aws_id, report } = &said {
        // `record` hears of it too, maybe later.
        take_in(&app.engine, target, aws_id, report, now).await?;
    }
    let mut outcome = outcome;
    for rollback in concerned {
        outcome = outcome.and(advance(&app.engine, &app.hands, &rollback.id).await);
        outcome = outcome.and(tell(app, &rollback.environment).await);
    }
    outcome
}

/// A stage of a pipeline has begun or ended: what was let in is inside, so that the way is closed behind it; what comes
/// next may wait at a hold now, and people are told of it at once.
async fn at_holds(app: &App, said: &Said) -> Result<(), RunError> {
    let Said::Reported { target, report, .. } = said else { return Ok(()) };
    if !matches!(&**report, Report::Stage { .. }) {
        return Ok(());
    }
    let mut outcome = Ok(());
    for environment in app.engine.ledger.held().await? {
        let hold = app.engine.ledger.hold(&environment).await?;
        if hold.is_some_and(|hold| hold.value.ways.iter().any(|way| way.target == *target)) {
            outcome = outcome.and(tend(&app.engine, &environment, app.config.now()).await.map(drop));
            outcome = outcome.and(tell(app, &environment).await);
        }
    }
    outcome
}

async fn requested(app: &App, event: &Event) -> Result<(), RunError> {
    let Some(id) = event.detail.get("incident").and_then(serde_json::Value::as_str).map(IncidentId::named) else {
        tracing::warn!(event = event.id, "a request that names no incident");
        return Ok(());
    };
    let outcome = take_up(&app.engine, &app.hands, &id, app.config.now()).await;
    let environment = app.engine.ledger.incident(&id).await?.and_then(|incident| incident.value.environment);
    match environment {
        Some(environment) => outcome.and(tell(app, &environment).await),
        None => outcome,
    }
}

async fn tell(app: &App, environment: &str) -> Result<(), RunError> {
    app.teller.send_due(&app.engine, environment, app.config.now()).await.map(drop)
}

/// Whether an event may move a rollback on: one of its pipeline, or of what is deployed to its place.
fn concerns(said: &Said, rollback: &Rollback) -> bool {
    match said {
        Said::Reported { target, .. } => *target == rollback.target(),
        Said::DeploymentMoved(moved) => moved.is_of(&rollback.deploy),
        Said::ImagePushed { .. }
        | Said::ImageScanned { .. }
        | Said::Found { .. }
        | Said::AlarmChanged(_)
        | Said::InsightOpened { .. }
        | Said::ThreatFound { .. }
        | Said::Nothing => false,
    }
}
