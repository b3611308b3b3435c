//! Tells people: what they should know of an incident is saved together with it, and published once a minute at most.
//!
//! A notice that is saved is sent, if not now then by `sweep`. It may be sent twice where a reply gets lost, and never
//! not at all.

use crate::aws::CallError;
use crate::aws::sns::Notices as Topic;
use crate::domain::audit::Note;
use crate::domain::incident::Incident;
use crate::domain::notice::{self, Notice};
use crate::domain::rollback::Rollback;
use crate::ledger::{Loaded, Writes, incident_subject};
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;
use serde_json::Value;

/// Publishes notices to one topic.
#[derive(Debug)]
pub struct Teller {
    topic: Topic,
}

/// What came of an environment's notices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Whether SNS did not take what waits.
    pub is_stuck: bool,
}

impl Teller {
    /// Publishes to this topic.
    pub fn new(topic: Topic) -> Self {
        Self { topic }
    }

    /// Sends the notices of an environment, if it is their turn; the empty one is for what names none. What SNS does not
    /// take is written down, and tried again later.
    ///
    /// # Errors
    /// What the ledger failed with; nothing that waits is lost by that.
    pub async fn send_due(&self, engine: &Engine, environment: &str, now: Timestamp) -> Result<Sent, RunError> {
        let mail = in_turns(|| async {
            let mut loaded = engine.ledger.notices(environment).await?;
            let Some(mail) = loaded.value.take_turn(now) else { return Ok(None) };
            engine.ledger.save(Writes::new().notices(&loaded)).await?;
            Ok(Some(mail))
        })
        .await?;
        let Some(mail) = mail else { return Ok(Sent::default()) };
        let outcome = self.topic.publish(&mail.subject, &mail.body).await.map_err(|error| trouble(&error));
        in_turns(|| async {
            let mut loaded = engine.ledger.notices(environment).await?;
            loaded.value.sent(&mail, outcome.clone(), now);
            Ok(engine.ledger.save(Writes::new().notices(&loaded)).await?)
        })
        .await?;
        match &outcome {
            Ok(()) => tracing::info!(environment, notices = mail.notices.len(), "people told"),
            Err(why) => tracing::error!(environment, why, "people could not be told"),
        }
        Ok(Sent { is_stuck: outcome.is_err() })
    }
}

/// AWS's code alone: its sentences may repeat what it was sent.
fn trouble(error: &CallError) -> String {
    match error {
        CallError::Refused { code, .. } | CallError::Throttled { code, .. } => code.clone(),
        CallError::Lost(_) => "no answer".to_owned(),
    }
}

/// Saves an incident together with `writes`, an entry in its own chain, and what people should know of it: where its
/// status, decision or reason is another one than `before`, or it is new.
///
/// # Errors
/// [`RunError`]; a conflict is [`crate::ledger::LedgerError::Conflict`], and nothing is saved.
#[allow(clippy::too_many_arguments, reason = "each is a part of one transaction")]
pub async fn save_incident(
    engine: &Engine,
    writes: Writes,
    before: Option<&Incident>,
    incident: &Loaded<Incident>,
    rollbacks: &[Rollback],
    what: &str,
    detail: Value,
    now: Timestamp,
) -> Result<(), RunError> {
    let record = &incident.value;
    let mut writes = writes.incident(incident);
    if notice::is_news(before, record) {
        let environment = record.environment.as_deref().unwrap_or_default();
        let hold = async {
            match &record.environment {
                Some(environment) => engine.ledger.hold(environment).await,
                None => Ok(None),
            }
        };
        let (hold, notices) = tokio::join!(hold, engine.ledger.notices(environment));
        let (is_held, mut notices) = (hold?.is_some_and(|hold| !hold.value.is_released), notices?);
        notices.value.want(notice::incident(record, rollbacks, is_held), now);
        writes = writes.notices(&notices);
    }
    let note = Note { actor: engine.actor.clone(), what: what.to_owned(), detail };
    Ok(engine.ledger.save_noted(writes, &incident_subject(&record.id), note, now).await?)
}

/// `writes` with a notice that is to be sent.
///
/// # Errors
/// [`RunError`].
pub async fn with_notice(
    engine: &Engine,
    writes: Writes,
    environment: &str,
    wanted: Notice,
    now: Timestamp,
) -> Result<Writes, RunError> {
    let mut notices = engine.ledger.notices(environment).await?;
    notices.value.want(wanted, now);
    Ok(writes.notices(&notices))
}
