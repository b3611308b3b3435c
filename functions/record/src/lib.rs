//! `record`: folds what AWS reports into the ledger, in any order and any number of times.
//!
//! It decides nothing and starts nothing.

mod images;

use pointsman::aws::AwsConfig;
use pointsman::domain::event::{Event, Said, read};
use pointsman::recording::take_in;
use pointsman::run::{Engine, RunError};

/// Where the ledger is: nothing else is set.
pub use pointsman::settings::LedgerSettings as Settings;

/// Everything that lives longer than one event.
#[derive(Debug)]
pub struct App {
    config: AwsConfig,
    engine: Engine,
}

impl App {
    /// Builds the clients and warms the ledger's.
    pub async fn start(config: AwsConfig, settings: Settings) -> Self {
        let engine = Engine::start(&config, settings, "record").await;
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
        Said::Reported { target, aws_id, report } => {
            take_in(&app.engine, &target, &aws_id, &report, now).await.map(drop)
        }
        Said::ImagePushed { sha, image } => images::pushed(&app.engine, &sha, &image, now).await,
        Said::ImageScanned { digest, repository, scan } => {
            images::scanned(&app.engine, &digest, &repository, &scan, now).await
        }
        Said::Found { arn, images } => images::found(&app.engine, &arn, &images, now).await,
        Said::AlarmChanged(_)
        | Said::DeploymentMoved(_)
        | Said::InsightOpened { .. }
        | Said::ThreatFound { .. }
        | Said::Nothing => {
            tracing::debug!(source = event.source, detail_type = event.detail_type, "event passed over");
            Ok(())
        }
    }
}
