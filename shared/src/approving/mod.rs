//! Approvals, as `gate`, `approve`, `sweep` and the operator's tool carry them: load, decide, save, tell.
//!
//! What counts is decided in [`crate::domain::approval`]. Here it is loaded, saved under its version with an entry in
//! the audit log, and CodePipeline is told afterwards, once. Everything may be done again: a repeat changes nothing.

mod bar;
mod compare;
#[cfg(feature = "mail")]
mod mail;
mod open;
mod situation;
mod tell;
mod tend;
mod vote;

pub use bar::bar;
pub use compare::compare;
#[cfg(feature = "mail")]
pub use mail::Mailer;
pub use situation::{Place as LivePlace, Situation, situation};
pub use tell::tell;
pub use tend::{Tended, remind, tend};
pub use vote::{Cast, cast, expire};

use crate::domain::approval::{Approval, ApprovalId};
use crate::domain::audit::Note;
use crate::ledger::{Loaded, Writes, execution_subject};
use crate::run::{Engine, RunError};
use jiff::Timestamp;
use serde_json::Value;

/// The approval, which must be there.
async fn load(engine: &Engine, id: &ApprovalId) -> Result<Loaded<Approval>, RunError> {
    engine.ledger.approval(id).await?.ok_or_else(|| RunError::NoApproval(id.clone()))
}

/// Saves an approval with an entry of ours in the chain of its execution.
async fn save(
    engine: &Engine,
    approval: &Loaded<Approval>,
    what: &str,
    detail: Value,
    now: Timestamp,
) -> Result<(), RunError> {
    save_as(engine, &engine.actor, approval, Writes::new(), what, detail, now).await
}

/// Saves an approval and `more` with an entry of `actor` in the chain of its execution.
async fn save_as(
    engine: &Engine,
    actor: &str,
    approval: &Loaded<Approval>,
    more: Writes,
    what: &str,
    detail: Value,
    now: Timestamp,
) -> Result<(), RunError> {
    let note = Note { actor: actor.to_owned(), what: what.to_owned(), detail };
    let subject = execution_subject(&approval.value.execution);
    Ok(engine.ledger.save_noted(more.approval(approval), &subject, note, now).await?)
}
