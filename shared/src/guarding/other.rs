//! What DevOps Guru and GuardDuty say: it is written down and told, and nothing else follows.

use super::Outcome;
use super::opening::recorded;
use crate::domain::incident::{Cause, Signal};
use crate::run::{Engine, RunError, in_turns};
use jiff::Timestamp;

/// An insight of DevOps Guru's.
#[derive(Debug)]
pub(super) struct Insight {
    pub(super) id: String,
    pub(super) severity: String,
    pub(super) url: Option<String>,
    pub(super) about: Vec<String>,
}

pub(super) async fn insight(
    engine: &Engine,
    region: &str,
    at: Timestamp,
    insight: Insight,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    let Insight { id, severity, url, about } = insight;
    let about = if about.is_empty() { String::new() } else { format!(" into {}", about.join(", ")) };
    let link = url.map(|url| format!(": {url}")).unwrap_or_default();
    let says = format!("DevOps Guru opened an insight{about} (severity {severity}){link}");
    told(engine, Signal { cause: Cause::Insight { id }, region: region.to_owned(), at, says }, now).await
}

pub(super) async fn threat(
    engine: &Engine,
    region: &str,
    at: Timestamp,
    id: String,
    says: String,
    now: Timestamp,
) -> Result<Outcome, RunError> {
    told(engine, Signal { cause: Cause::Threat { id }, region: region.to_owned(), at, says }, now).await
}

async fn told(engine: &Engine, signal: Signal, now: Timestamp) -> Result<Outcome, RunError> {
    in_turns(|| recorded(engine, None, &signal, &signal.says, now)).await
}
