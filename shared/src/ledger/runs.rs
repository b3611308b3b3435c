//! Runs: what AWS reports of one of its executions, and which execution of ours it is.
//!
//! The run's item is where an AWS execution gets its one owner, whoever writes it first: `dispatch` with the answer,
//! or `record` and `sweep` when they recognise it.

use super::{Ledger, LedgerError, Loaded, Writes, item_of, keys};
use crate::aws::dynamodb::{Expect, Item, Key, Write};
use crate::domain::execution::{ExecutionId, Target};
use crate::domain::observed::Observed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many unclaimed runs of one target are looked at.
const UNOWNED_MAX: i32 = 200;

/// Runs that nobody has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unowned {
    /// AWS's ids.
    pub aws_ids: Vec<String>,
    /// Whether these are all.
    pub is_complete: bool,
}

/// One execution of AWS's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What runs.
    pub target: Target,
    /// AWS's own id.
    pub aws_id: String,
    /// The execution of ours that it is; set once.
    pub execution: Option<ExecutionId>,
    /// What AWS has reported.
    pub observed: Observed,
    /// When it was first heard of.
    pub created_at: Timestamp,
    /// When it last reported anything.
    pub updated_at: Timestamp,
}

impl Run {
    /// One that nothing is known of yet.
    pub fn new(target: &Target, aws_id: &str, now: Timestamp) -> Self {
        Self {
            target: target.clone(),
            aws_id: aws_id.to_owned(),
            execution: None,
            observed: Observed::default(),
            created_at: now,
            updated_at: now,
        }
    }
}

impl Ledger {
    /// The run of `target` with AWS's id, new when nothing is known of it yet.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn run(&self, target: &Target, aws_id: &str, now: Timestamp) -> Result<Loaded<Run>, LedgerError> {
        let known = self.load(&keys::run(target, aws_id)).await?;
        Ok(known.unwrap_or_else(|| Loaded::absent(Run::new(target, aws_id, now))))
    }

    /// The runs of `target` that nobody has claimed.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    pub async fn unowned_runs(&self, target: &Target) -> Result<Unowned, LedgerError> {
        let page = self.state.query(&keys::unowned(target), None, true, UNOWNED_MAX).await?;
        let is_complete = page.next.is_none();
        Ok(Unowned { aws_ids: page.items.into_iter().map(|stored| stored.key.sk).collect(), is_complete })
    }
}

impl Writes {
    /// Saves a run. It is listed as unclaimed for as long as it has no owner.
    pub fn run(mut self, run: &Loaded<Run>) -> Self {
        let record = &run.value;
        let listing = Key::new(keys::unowned(&record.target), record.aws_id.clone());
        self.state.push(Write::Put(keys::run(&record.target, &record.aws_id), item_of(record), run.expect()));
        self.state.push(match record.execution {
            Some(_) => Write::Delete(listing, Expect::Anything),
            None => Write::Put(listing, Item::new(), Expect::Anything),
        });
        self
    }
}
