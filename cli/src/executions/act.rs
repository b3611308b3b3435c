//! What the acting commands share: finding an execution, writing down who wants what, and waiting for its start.

use crate::failure::Failure;
use crate::session::{Session, unique, wait_for};
use pointsman::aws::sqs::ascii_json;
use pointsman::domain::command::{Command, Retry};
use pointsman::domain::execution::{Execution, ExecutionId, Start};
use pointsman::domain::intake::hash_of;
use pointsman::ledger::execution_subject;
use serde_json::Value;

/// An execution by its id, which may be anything that a person typed.
pub(super) async fn find(session: &Session, typed: &str) -> Result<Execution, Failure> {
    let found = session.ledger.execution(&ExecutionId::named(typed)).await?;
    found.map(|found| found.value).ok_or_else(|| Failure::NotFound(format!("no execution {typed}")))
}

/// Writes into the execution's audit log what the operator wants, or what came of it.
pub(super) async fn write_down(session: &Session, id: &ExecutionId, what: &str, detail: Value) -> Result<(), Failure> {
    session.write_down(&execution_subject(id), what, detail).await
}

/// Has `dispatch` begin the start again: with its role, so that the answer is recognised if it gets lost.
pub(super) async fn ask_dispatch(session: &Session, id: &ExecutionId) -> Result<(), Failure> {
    let command = Command::Retry(Retry { retry: id.clone() });
    let group = hash_of(&("retry", id));
    session.changes().await?.send_raw(&ascii_json(&command), &group, &format!("retry-{}", unique())).await?;
    Ok(())
}

/// Waits until the start of an execution that was `before` has come to something new; `None` when it did not.
pub(super) async fn wait_for_start(session: &Session, before: &Execution) -> Result<Option<Execution>, Failure> {
    wait_for(async || {
        let Some(found) = session.ledger.execution(&before.id).await? else { return Ok(None) };
        let is_open = match &found.value.start {
            // A full pipeline is an answer, too: `sweep` goes on asking.
            Start::Requested { refusal, .. } => refusal.is_none(),
            Start::Asked { .. } => true,
            Start::Started { .. } | Start::Refused { .. } | Start::Overtaken { .. } | Start::Unknown { .. } => false,
        };
        Ok(Some(found.value).filter(|now| !is_open && now.updated_at != before.updated_at))
    })
    .await
}
