//! Loads and saves what a rollback moves: its record, with what belongs to it, and an entry of the audit log.

use crate::domain::audit::Note;
use crate::domain::rollback::{Rollback, RollbackId};
use crate::ledger::{LedgerError, Loaded, Writes, incident_subject};
use crate::run::{Engine, RunError, TURNS_MAX};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) async fn load(engine: &Engine, id: &RollbackId) -> Result<Loaded<Rollback>, RunError> {
    engine.ledger.rollback(id).await?.ok_or_else(|| RunError::NoRollback(id.clone()))
}

/// Saves a rollback as it now stands, and says in the audit log what it did. Answers with the record as it was saved.
pub(super) async fn save(
    engine: &Engine,
    writes: Writes,
    rollback: &Loaded<Rollback>,
    what: &str,
    detail: Value,
    now: Timestamp,
) -> Result<(), RunError> {
    let Rollback { id, region, environment, .. } = &rollback.value;
    let detail = json!({ "rollback": id, "environment": environment, "region": region, "detail": detail });
    let note = Note { actor: engine.actor.clone(), what: what.to_owned(), detail };
    let (writes, subject) = (writes.rollback(rollback), incident_subject(&rollback.value.incident));
    for _ in 0..TURNS_MAX {
        match engine.ledger.save_noted(writes.clone(), &subject, note.clone(), now).await {
            // Mostly another region has written into the same chain, and what was decided stands.
            Err(LedgerError::Conflict) if load(engine, id).await?.version == rollback.version => {}
            saved => {
                saved?;
                tracing::info!(rollback = %id, environment, region, what, "rollback moved on");
                return Ok(());
            }
        }
    }
    Err(LedgerError::Conflict.into())
}
