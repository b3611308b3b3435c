//! `dispatch`: takes changes off the queue, finds the routes that they match, claims and starts what those name.
//!
//! One push, one start: a change is claimed before anything starts, each start is claimed by what it starts, and a
//! start is asked for by whoever saved the intent. It never starts a deletion, a fork or an unknown repository.

mod plan;
mod starts;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use jiff::{SignedDuration, Timestamp};
use pointsman::aws::AwsConfig;
use pointsman::domain::command::Command;
use pointsman::ledger::LedgerError;
use pointsman::run::{Engine, RunError};
use std::collections::BTreeSet;

/// Where the ledger is: nothing else is set.
pub use pointsman::settings::LedgerSettings as Settings;

/// Nothing is begun with less than this left, no message and no start: the function would be killed in the middle of it.
pub const TIME_FOR_ONE_START: SignedDuration = SignedDuration::from_secs(12);

/// Everything that lives longer than one batch.
#[derive(Debug)]
pub struct App {
    config: AwsConfig,
    engine: Engine,
}

impl App {
    /// Builds the clients and warms the ledger's.
    pub async fn start(config: AwsConfig, settings: Settings) -> Self {
        let engine = Engine::start(&config, settings, "dispatch").await;
        Self { config, engine }
    }
}

/// Whether there is time for one more start.
type HasTime<'a> = &'a (dyn Fn() -> bool + Sync);

/// Why a message must come again.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// It is no change and no command: it ends as a dead letter.
    #[error("the message cannot be read: {0}")]
    Poison(#[from] serde_json::Error),
    /// It names no event source of ours, or lacks a body.
    #[error("the message has no body")]
    Empty,
    /// Something that it needs did not answer.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What it needs to know may still arrive.
    #[error("{0}")]
    NotYet(String),
    /// The function would be killed before it was done.
    #[error("not enough time is left")]
    OutOfTime,
}

impl From<LedgerError> for DispatchError {
    fn from(error: LedgerError) -> Self {
        Self::Run(error.into())
    }
}

/// Works through a batch and names the messages that must come again. `deadline` is when Lambda ends the function.
///
/// After a failure the rest of its group comes again too, so that a ref keeps its order.
pub async fn handle(app: &App, event: &SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
    let mut failures = Vec::new();
    let mut held_groups = BTreeSet::new();
    for message in &event.records {
        let group = attribute(message, "MessageGroupId").unwrap_or_default();
        if !held_groups.contains(group) {
            match take(app, message, deadline).await {
                Ok(()) => continue,
                Err(error) => log_failure(message, &error),
            }
            held_groups.insert(group);
        }
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = message.message_id.clone().unwrap_or_default();
        failures.push(failure);
    }
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}

async fn take(app: &App, message: &SqsMessage, deadline: Timestamp) -> Result<(), DispatchError> {
    let now = app.config.now();
    let has_time = || deadline.duration_since(app.config.now()) >= TIME_FOR_ONE_START;
    if !has_time() {
        return Err(DispatchError::OutOfTime);
    }
    let body = message.body.as_deref().ok_or(DispatchError::Empty)?;
    let receives = attribute(message, "ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    match serde_json::from_str(body)? {
        Command::Change(change) => plan::carry_out(&app.engine, &change, receives, now, &has_time).await,
        Command::Manual(manual) => {
            let by = attribute(message, "SenderId").unwrap_or("unknown");
            plan::carry_out_manual(&app.engine, &manual, by, now, &has_time).await
        }
        Command::Retry(retry) => Ok(starts::retry(&app.engine, &retry, now).await?),
    }
}

fn attribute<'a>(message: &'a SqsMessage, name: &str) -> Option<&'a str> {
    message.attributes.get(name).map(String::as_str)
}

fn log_failure(message: &SqsMessage, error: &DispatchError) {
    let id = message.message_id.as_deref().unwrap_or_default();
    match error {
        DispatchError::NotYet(_) | DispatchError::OutOfTime => {
            tracing::info!(sqs_message = id, reason = %error, "message postponed")
        }
        DispatchError::Poison(_) | DispatchError::Empty | DispatchError::Run(_) => {
            tracing::error!(sqs_message = id, %error, "message failed");
        }
    }
}
