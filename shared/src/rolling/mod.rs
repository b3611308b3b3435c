//! Rolling back: which versions, in which regions, by which steps, and what shows that it worked.
//!
//! [`claim`] takes what an incident wants turned back; [`advance`] takes a rollback as far as it goes now. Both can be
//! called any number of times and at once: each step is saved before AWS is asked for it, and only whoever saved it asks.

mod advance;
mod claim;
mod finish;
pub mod hold;
mod plan;
mod readiness;
mod save;
mod step;
mod world;

pub use advance::advance;
pub use claim::claim;
pub use finish::conclude;
pub use plan::{Asked, Plan, PlanOf, Reach, on_its_way, plan};
pub use readiness::{Readiness, look_ready, readiness, save_ready};

use crate::aws::AwsConfig;
use crate::aws::codedeploy::CodeDeploy;
use crate::aws::ecs::Ecs;
use crate::domain::incident::IncidentId;
use crate::run::{Engine, RunError};
use futures_util::future::join_all;
use jiff::Timestamp;

/// The services that run versions, in every region.
#[derive(Debug)]
pub struct Hands {
    pub(crate) ecs: Ecs,
    pub(crate) codedeploy: CodeDeploy,
    config: AwsConfig,
}

impl Hands {
    /// Builds their clients.
    pub fn new(config: &AwsConfig) -> Self {
        Self { ecs: Ecs::new(config), codedeploy: CodeDeploy::new(config), config: config.clone() }
    }

    /// The time. Services are slow at times, and what a rollback found is of the moment in which it was found.
    pub(crate) fn now(&self) -> Timestamp {
        self.config.now()
    }
}

/// Takes up what an incident decided: claims its rollbacks, takes each as far as it goes now, and ends it when all ended.
///
/// # Errors
/// What AWS or the ledger failed with first. The others were taken up all the same, and everything stays due.
pub async fn take_up(engine: &Engine, hands: &Hands, id: &IncidentId, now: Timestamp) -> Result<(), RunError> {
    let claimed = claim(engine, id, now).await?;
    // No region waits for another: in each of them people have to do with the bad version.
    let advanced = join_all(claimed.iter().map(|rollback| advance(engine, hands, rollback))).await;
    let outcome: Result<(), RunError> = advanced.into_iter().collect();
    outcome.and(conclude(engine, id, hands.now()).await)
}
