//! The audit log's table: entries are added, never changed.

use super::{Ledger, LedgerError, Writes, item_of, read};
use crate::aws::dynamodb::{Expect, Key, Write};
use crate::domain::audit::{Entry, Note};
use crate::domain::execution::ExecutionId;
use crate::domain::incident::IncidentId;
use jiff::Timestamp;

/// The longest chain that is read, in entries. At the bound reading stops; a chain of this length was cut.
pub const AUDIT_ENTRIES_MAX: usize = 10_000;

/// The chain of configuration changes.
pub const CONFIGURATION_SUBJECT: &str = "configuration";

/// The chain of one execution.
pub fn execution_subject(id: &ExecutionId) -> String {
    format!("execution#{id}")
}

/// The chain of one incident.
pub fn incident_subject(id: &IncidentId) -> String {
    format!("incident#{id}")
}

/// The chain of one environment: what people did to it, and which ways were closed and opened.
pub fn environment_subject(name: &str) -> String {
    format!("environment#{name}")
}

const PAGE_ENTRIES: i32 = 1_000;

fn key(subject: &str, sequence: u64) -> Key {
    Key::new(subject, format!("{sequence:010}"))
}

impl Ledger {
    /// Adds `note` to the end of `subject`'s chain, together with `writes`. If another entry came first, all of it is
    /// refused as [`LedgerError::Conflict`].
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn save_noted(
        &self,
        writes: Writes,
        subject: &str,
        note: Note,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.save(self.noted(writes, subject, note, now).await?).await
    }

    /// `writes` with an entry at the end of `subject`'s chain added to them.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn noted(
        &self,
        mut writes: Writes,
        subject: &str,
        note: Note,
        now: Timestamp,
    ) -> Result<Writes, LedgerError> {
        let page = self.audit.query(subject, None, true, 1).await?;
        let last = page.items.into_iter().next().map(read::<Entry>).transpose()?;
        let entry = Entry::after(last.map(|last| last.value).as_ref(), subject, note, now);
        writes.audit.push(Write::Put(key(subject, entry.sequence), item_of(&entry), Expect::Absent));
        Ok(writes)
    }

    /// A subject's chain, oldest first, [`AUDIT_ENTRIES_MAX`] at most.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn chain(&self, subject: &str) -> Result<Vec<Entry>, LedgerError> {
        let mut chain = Vec::new();
        let mut after = None;
        while chain.len() < AUDIT_ENTRIES_MAX {
            let page = self.audit.query(subject, after.as_deref(), false, PAGE_ENTRIES).await?;
            for stored in page.items {
                chain.push(read::<Entry>(stored)?.value);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(chain)
    }
}
