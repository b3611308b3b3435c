//! `approve`: shows what would go live, takes a vote, and answers CodePipeline once.
//!
//! So far it knows no link.

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use pointsman::aws::AwsConfig;
use pointsman::settings::{LedgerSettings, Lookup, Missing};

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

/// What lives longer than one request: nothing yet.
#[derive(Debug)]
pub struct App;

impl App {
    /// Builds nothing yet.
    pub async fn start(_config: AwsConfig, _settings: Settings) -> Self {
        Self
    }
}

/// Answers a request: 404, since no link is known yet.
pub async fn handle(_app: &App, _request: &ApiGatewayProxyRequest) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = 404;
    response
}
