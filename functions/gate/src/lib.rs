//! `gate`: opens an approval and asks the people that its policy names.
//!
//! So far it is only woken, and does nothing.

use pointsman::aws::AwsConfig;
use pointsman::run::RunError;
use pointsman::settings::{LedgerSettings, Lookup, Missing, required};
use serde_json::Value;

/// Where the ledger is, and how people are asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ledger's.
    pub ledger: LedgerSettings,
    /// What links begin with, without a slash at the end: `POINTSMAN_BASE_URL`.
    pub base_url: String,
    /// What the ARNs of the approvers' topics begin with: `POINTSMAN_APPROVER_TOPICS`.
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

/// What lives longer than one event: nothing yet.
#[derive(Debug)]
pub struct App;

impl App {
    /// Builds nothing yet.
    pub async fn start(_config: AwsConfig, _settings: Settings) -> Self {
        Self
    }
}

/// Takes an event of EventBridge, or a notification of SNS, and does nothing with it yet.
///
/// # Errors
/// None yet.
pub async fn handle(_app: &App, _event: &Value) -> Result<(), RunError> {
    Ok(())
}
