//! The ledger: what Pointsman knows, and the audit log beside it. `docs/ledger.md` is its table of access patterns.
//!
//! Every record is one item under a version; every write says which version it was decided on. What belongs together
//! is written in one transaction. Nothing here decides.

mod approvals;
mod approvers;
mod audit;
mod configuration;
mod deliveries;
mod due;
mod environments;
mod executions;
mod freezes;
mod holds;
mod images;
mod incidents;
mod keys;
mod notices;
mod publication;
mod pushes;
mod quarantine;
mod refs;
mod rollbacks;
mod runs;

pub use approvals::{LetIn, LinkTo};
pub use audit::{AUDIT_ENTRIES_MAX, CONFIGURATION_SUBJECT, environment_subject, execution_subject, incident_subject};
pub use configuration::{LiveConfiguration, LiveRoutes, PipelineCheck, Version};
pub use due::Due;
pub use executions::Filter;
pub use freezes::{Closed, FrozenWays};
pub use images::{FINDINGS_PER_IMAGE_MAX, IMAGES_MAX, ImageIn};
pub use incidents::AlarmHeard;
pub use publication::Publication;
pub use pushes::PUSHES_TO_MAX;
pub use refs::{Claim, RefState};
pub use rollbacks::RollbackWith;
pub use runs::{Run, Unowned};

use crate::aws::dynamodb::{Item, Stored, Table, Write, WriteError};
use crate::aws::{AwsConfig, CallError};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long deliveries are kept. GitHub redelivers for 3 days, queues keep 14.
pub const DELIVERIES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How long the claim of a change is kept. The fence of its route refuses a replay
/// after that; a release has none, and is told by the execution's own id.
pub const CLAIMS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 400);
/// How long a push is kept, for who wrote what. What was live for longer leaves the authors of the next version
/// not knowable.
pub const PUSHES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 400);

/// How long the item of a link is kept: whoever opens an old mail is told what became of it.
pub const LINKS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

/// How long what Inspector says of an image is kept after it last said anything.
pub const IMAGES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 180);

/// The state table and the audit log.
#[derive(Debug, Clone)]
pub struct Ledger {
    state: Table,
    audit: Table,
}

/// A record and the version that it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    /// The record.
    pub value: T,
    /// Its version; 0 when it is not there yet.
    pub version: u64,
}

/// Why the ledger could not do what it was asked. Each variant is a different reaction.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Somebody else saved first: load again and decide again.
    #[error("the record changed since it was read")]
    Conflict,
    /// The table did not answer, or refused: let the event be redelivered.
    #[error("the ledger is unavailable: {0}")]
    Unavailable(#[from] CallError),
    /// A record cannot be read: a person must look.
    #[error("the record {pk} / {sk} cannot be read: {cause}")]
    Corrupt {
        /// Its partition key.
        pk: String,
        /// Its sort key.
        sk: String,
        /// What kind of error it is.
        cause: String,
    },
}

impl From<WriteError> for LedgerError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict => Self::Conflict,
            WriteError::Call(error) => Self::Unavailable(error),
        }
    }
}

/// Writes that belong together: all or none.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Writes {
    state: Vec<Write>,
    audit: Vec<Write>,
}

impl Writes {
    /// No writes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.state.is_empty() && self.audit.is_empty()
    }
}

impl Ledger {
    /// Clients of the two tables.
    pub fn new(config: &AwsConfig, state_table: String, audit_table: String) -> Self {
        Self { state: Table::new(config, state_table), audit: Table::new(config, audit_table) }
    }

    /// Opens the connection.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    pub async fn warm(&self) -> Result<(), LedgerError> {
        Ok(self.state.warm().await?)
    }

    /// Makes all of `writes`, or none.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when a record changed since it was read.
    pub async fn save(&self, writes: Writes) -> Result<(), LedgerError> {
        if writes.is_empty() {
            return Ok(());
        }
        Ok(self.state.write_across(vec![(&self.state, writes.state), (&self.audit, writes.audit)]).await?)
    }

    async fn load<T: DeserializeOwned>(
        &self,
        key: &crate::aws::dynamodb::Key,
    ) -> Result<Option<Loaded<T>>, LedgerError> {
        self.state.get(key).await?.map(read).transpose()
    }
}

fn read<T: DeserializeOwned>(stored: Stored) -> Result<Loaded<T>, LedgerError> {
    let Stored { key, version, item } = stored;
    match serde_json::from_value(Value::Object(item)) {
        Ok(value) => Ok(Loaded { value, version }),
        // serde's own text may quote what stands in the record.
        Err(error) => Err(LedgerError::Corrupt { pk: key.pk, sk: key.sk, cause: format!("{:?}", error.classify()) }),
    }
}

/// A record as an item. Our own types always serialise to objects.
fn item_of(record: &impl Serialize) -> Item {
    match serde_json::to_value(record) {
        Ok(Value::Object(item)) => item,
        Ok(_) | Err(_) => Item::new(),
    }
}

fn expiring(mut item: Item, at: Timestamp) -> Item {
    item.insert(crate::aws::dynamodb::EXPIRES.to_owned(), at.as_second().into());
    item
}

impl<T> Loaded<T> {
    /// A record that is not there yet.
    pub fn absent(value: T) -> Self {
        Self { value, version: 0 }
    }

    fn expect(&self) -> crate::aws::dynamodb::Expect {
        match self.version {
            0 => crate::aws::dynamodb::Expect::Absent,
            version => crate::aws::dynamodb::Expect::Version(version),
        }
    }
}
