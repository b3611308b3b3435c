//! `guard`: turns an alarm or a finding into an incident, and decides whether a deployment is to blame.
//!
//! It turns nothing back. What it decided stands in the ledger; then it wakes `rollback`, has what must settle brought back
//! to it, and tells people. `sweep` does what a crash kept it from.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use jiff::{SignedDuration, Timestamp};
use pointsman::aws::AwsConfig;
use pointsman::aws::cloudwatch::Alarms;
use pointsman::aws::eventbridge::Bus;
use pointsman::aws::sns::Notices;
use pointsman::aws::sqs::Queue;
use pointsman::domain::event::Event;
use pointsman::domain::incident::IncidentId;
use pointsman::guarding::{self, Outcome};
use pointsman::run::{Engine, RunError};
use pointsman::settings::{LedgerSettings, Lookup, Missing, required};
use pointsman::telemetry;
use pointsman::telling::Teller;
use serde::Deserialize;
use serde_json::{Value, json};

/// No message is taken up with less than this left; it comes again.
const TIME_FOR_ONE_MESSAGE: SignedDuration = SignedDuration::from_secs(8);

/// Where the ledger is, whom to ask for a rollback, what settles, and whom to tell.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ledger's.
    pub ledger: LedgerSettings,
    /// The name of our bus: `POINTSMAN_BUS`.
    pub bus: String,
    /// The URL of the queue that brings back what had to settle: `POINTSMAN_SETTLING_QUEUE_URL`.
    pub settling_url: String,
    /// The ARN of the topic that tells of incidents: `POINTSMAN_INCIDENTS_TOPIC`.
    pub incidents_topic: String,
    /// The account whose alarms count, 12 digits: `POINTSMAN_ACCOUNT`.
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
            bus: required(lookup, "POINTSMAN_BUS")?,
            settling_url: required(lookup, "POINTSMAN_SETTLING_QUEUE_URL")?,
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
    alarms: Alarms,
    bus: Bus,
    settling: Queue,
    teller: Teller,
    account: String,
}

impl App {
    /// Builds the clients and warms the ledger's.
    pub async fn start(config: AwsConfig, settings: Settings) -> Self {
        let Settings { ledger, bus, settling_url, incidents_topic, account } = settings;
        let engine = Engine::start(&config, ledger, "guard").await;
        Self {
            alarms: Alarms::new(&config),
            bus: Bus::new(&config, bus),
            settling: Queue::new(&config, settling_url),
            teller: Teller::new(Notices::new(&config, incidents_topic)),
            engine,
            config,
            account,
        }
    }
}

/// A message that comes back once an incident has settled.
#[derive(Debug, Deserialize)]
struct Settled {
    incident: IncidentId,
}

/// Takes one event in: EventBridge's, or a batch of what has settled, which is answered with the messages that must come
/// again. `deadline` is when Lambda ends the function.
///
/// # Errors
/// [`RunError`]: Lambda delivers the event again, and taking it in twice is taking it in once.
pub async fn handle(app: &App, event: &Value, deadline: Timestamp) -> Result<Option<SqsBatchResponse>, RunError> {
    if event.get("Records").is_some() {
        let Ok(batch) = serde_json::from_value::<SqsEvent>(event.clone()) else {
            // Nobody could read it the next time either; `sweep` decides about what settles.
            tracing::error!("what was heard is no batch of messages");
            return Ok(None);
        };
        return Ok(Some(settled(app, &batch, deadline).await));
    }
    let Ok(event) = serde_json::from_value::<Event>(event.clone()) else {
        tracing::warn!("what was heard is no event");
        return Ok(None);
    };
    if event.account != app.account {
        tracing::info!(source = event.source, account = event.account, "an event of another account passed over");
        return Ok(None);
    }
    let outcome = guarding::hear(&app.engine, &app.alarms, &event, app.config.now()).await?;
    perform(app, &outcome).await?;
    Ok(None)
}

/// Works through a batch and names the messages that must come again.
async fn settled(app: &App, batch: &SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for message in &batch.records {
        let has_time = deadline.duration_since(app.config.now()) >= TIME_FOR_ONE_MESSAGE;
        if has_time && take(app, message).await {
            continue;
        }
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = message.message_id.clone().unwrap_or_default();
        response.batch_item_failures.push(failure);
    }
    response
}

/// Says whether a message is done with. One that names no incident is: nobody else could read it either.
async fn take(app: &App, message: &SqsMessage) -> bool {
    let id = message.message_id.as_deref().unwrap_or_default();
    let Ok(Settled { incident }) = serde_json::from_str(message.body.as_deref().unwrap_or_default()) else {
        tracing::error!(sqs_message = id, "a message that names no incident");
        return true;
    };
    let taken = async {
        let outcome = guarding::settle(&app.engine, &app.alarms, &incident, app.config.now()).await?;
        perform(app, &outcome).await
    };
    match taken.await {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(sqs_message = id, %incident, %error, "could not be settled");
            false
        }
    }
}

/// Does what follows: the rollback first, since every second of it counts, and people last.
async fn perform(app: &App, outcome: &Outcome) -> Result<(), RunError> {
    let now = app.config.now();
    for incident in &outcome.requested {
        app.bus.request_rollback(incident.as_str(), now).await?;
        tracing::info!(%incident, "rollback requested");
    }
    for (incident, until) in &outcome.settling {
        let body = json!({ "incident": incident }).to_string();
        app.settling.send_later(&body, seconds_until(*until, now)).await?;
    }
    if outcome.findings_elsewhere > 0 {
        telemetry::emit(&telemetry::metric_line(now, &[("FindingsElsewhere", outcome.findings_elsewhere)]));
    }
    for environment in &outcome.told {
        // What cannot be sent now waits, and `sweep` sends it.
        if let Err(error) = app.teller.send_due(&app.engine, environment, app.config.now()).await {
            tracing::error!(environment, %error, "people could not be told yet");
        }
    }
    Ok(())
}

/// Whole seconds, rounded up: a message that comes too early would decide nothing.
fn seconds_until(until: Timestamp, now: Timestamp) -> i32 {
    let milliseconds = until.duration_since(now).as_millis().max(0);
    i32::try_from((milliseconds + 999) / 1_000).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_no_earlier_than_the_decision_falls() {
        let at = |milliseconds: i64| Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap();
        #[rustfmt::skip]
        let cases = [
            // until     now      seconds   why
            (at(120_000), at(0),   120,     "whole seconds"),
            (at(120_000), at(1),   120,     "rounded up"),
            (at(120_000), at(119_999), 1,   "the last moment"),
            (at(120_000), at(120_000), 0,   "now"),
            (at(120_000), at(500_000), 0,   "over already"),
        ];
        for (until, now, expected, why) in cases {
            assert_eq!(seconds_until(until, now), expected, "{why}");
        }
    }
}
