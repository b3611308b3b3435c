//! The index `due`: whatever `sweep` is to look at, by when.

use super::{Ledger, LedgerError};
use crate::aws::dynamodb::{Item, Key};
use crate::domain::approval::ApprovalId;
use crate::domain::execution::ExecutionId;
use crate::domain::incident::IncidentId;
use crate::domain::rollback::RollbackId;
use jiff::Timestamp;

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// An execution.
    Execution(ExecutionId),
    /// An approval.
    Approval(ApprovalId),
    /// An incident.
    Incident(IncidentId),
    /// A rollback.
    Rollback(RollbackId),
    /// The notices of an environment.
    Notices(String),
}

impl Due {
    fn of(key: &Key) -> Option<Self> {
        match key.pk.split_once('#')? {
            ("execution", id) => Some(Self::Execution(ExecutionId::named(id))),
            ("approval", id) => Some(Self::Approval(ApprovalId::named(id))),
            ("incident", id) => Some(Self::Incident(IncidentId::named(id))),
            ("rollback", id) => Some(Self::Rollback(RollbackId::named(id))),
            ("notices", environment) => Some(Self::Notices(environment.to_owned())),
            _ => None,
        }
    }
}

impl Ledger {
    /// What `sweep` is to look at by `now`, the longest due first, `limit` at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    pub async fn due(&self, now: Timestamp, limit: i32) -> Result<Vec<Due>, LedgerError> {
        let keys = self.state.due(now.as_second(), limit).await?;
        Ok(keys.iter().filter_map(Due::of).collect())
    }
}

/// Puts an item into the index. It is sparse: what nothing is expected of is not in it.
pub(super) fn due_at(item: &mut Item, due_at: Option<Timestamp>) {
    if let Some(due) = due_at {
        item.insert("due_pk".to_owned(), "open".into());
        item.insert("due_epoch".to_owned(), due.as_second().into());
    }
}
