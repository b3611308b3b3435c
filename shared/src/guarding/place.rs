//! One region of an environment: how it is configured, what is live there, and what is on its way in.

use crate::config::{Deploy, EnvironmentConfig};
use crate::domain::blame::{Deployment, LastRollback};
use crate::domain::environment::{EnvironmentState, Version};
use crate::domain::execution::{Execution, ExecutionId, Kind};
use crate::domain::image::digest_of;
use crate::domain::policy::RollbackPolicy;
use crate::ledger::{Filter, Loaded};
use crate::run::{Engine, RunError};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How many of an environment's latest executions are looked at for those that are in flight. An older one that still
/// is in flight is not blamed.
const EXECUTIONS_MAX: usize = 20;
/// How long after its end an execution is looked at for a deployment that failed in it: an alarm may be heard late.
const FAILED_LOOKED_AT_FOR: SignedDuration = SignedDuration::from_mins(30);
/// How many of an environment's latest rollbacks are looked at for the cooldown.
const ROLLBACKS_MAX: usize = 20;

/// A region of an environment as it stands.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) config: EnvironmentConfig,
    pub(super) region: String,
    /// What has landed there.
    pub(super) state: Loaded<EnvironmentState>,
    /// What is live there, one of each pipeline, and what is in flight.
    pub(super) deployments: Vec<Deployment>,
}

impl Place {
    /// Reads how it stands. `None`: there is no such environment, or it does not land there.
    pub(super) async fn read(
        engine: &Engine,
        environment: &str,
        region: &str,
        now: Timestamp,
    ) -> Result<Option<Self>, RunError> {
        let filter = Filter { environment: Some(environment), ..Filter::default() };
        let (config, states, executions) = tokio::join!(
            engine.ledger.environment_config(environment),
            engine.ledger.environment_states(environment, [region]),
            engine.ledger.latest_executions(filter, now, EXECUTIONS_MAX),
        );
        let Some((_, config)) = config? else { return Ok(None) };
        let deploys: Vec<Deploy> =
            config.environment.deploys.iter().filter(|deploy| deploy.region == region).cloned().collect();
        if deploys.is_empty() {
            return Ok(None);
        }
        let state = states?.into_iter().next();
        let state = state.unwrap_or_else(|| Loaded::absent(EnvironmentState::new(environment, region)));
        let executions = executions?;
        let mut deployments = landed(engine, &deploys, &state.value, &executions).await?;
        deployments.extend(on_the_way(engine, &deploys, &executions, now).await?);
        Ok(Some(Self { config, region: region.to_owned(), state, deployments }))
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) fn policy(&self) -> Option<&RollbackPolicy> {
        self.config.environment.rollback.as_ref()
    }

    /// All regions of the environment.
    pub(super) fn regions(&self) -> BTreeSet<String> {
        self.config.environment.deploys.iter().map(|deploy| deploy.region.clone()).collect()
    }

    /// What is live there and has an image with this digest.
    pub(super) fn live_with(&self, digest: &str) -> Option<&Deployment> {
        let has = |version: &&Version| version.images.iter().any(|image| digest_of(image) == digest);
        let with: BTreeSet<&ExecutionId> =
            self.state.value.versions.iter().filter(has).map(|version| &version.execution).collect();
        self.deployments.iter().find(|one| one.landed_at.is_some() && with.contains(&one.execution))
    }

    /// The latest rollback there that AWS accepted.
    pub(super) async fn last_rollback(&self, engine: &Engine) -> Result<Option<LastRollback>, RunError> {
        let latest = engine.ledger.latest_rollbacks(self.name(), ROLLBACKS_MAX).await?;
        let here = latest.into_iter().filter(|rollback| rollback.region == self.region);
        let accepted = here.filter_map(|rollback| {
            Some(LastRollback { accepted_at: rollback.accepted_at?, from: rollback.from.execution })
        });
        Ok(accepted.max_by_key(|last| last.accepted_at))
    }
}

/// What is live of each pipeline that deploys there.
async fn landed(
    engine: &Engine,
    deploys: &[Deploy],
    state: &EnvironmentState,
    latest: &[Execution],
) -> Result<Vec<Deployment>, RunError> {
    let mut live: BTreeMap<&ExecutionId, &Version> = BTreeMap::new();
    for deploy in deploys {
        live.extend(state.live_of(&deploy.pipeline).map(|version| (&version.execution, version)));
    }
    let is_known = |id: &ExecutionId| latest.iter().any(|execution| execution.id == *id);
    let older: Vec<ExecutionId> = live.keys().filter(|id| !is_known(id)).map(|id| (*id).clone()).collect();
    let older = if older.is_empty() { Vec::new() } else { engine.ledger.executions(&older).await? };
    let is_rollback = |version: &Version| {
        let its = latest.iter().chain(&older).find(|execution| execution.id == version.execution);
        version.goes_back_to.is_some() || its.is_some_and(|execution| execution.kind == Kind::Rollback)
    };
    let one = |version: &Version| Deployment {
        execution: version.execution.clone(),
        sha: version.sha.clone(),
        began: version.began,
        landed_at: Some(version.at),
        failed_at: None,
        is_rollback: is_rollback(version),
    };
    Ok(live.into_values().map(one).collect())
}

/// What is inside a stage that deploys there, and what failed in one lately.
async fn on_the_way(
    engine: &Engine,
    deploys: &[Deploy],
    latest: &[Execution],
    now: Timestamp,
) -> Result<Vec<Deployment>, RunError> {
    let mut found = Vec::new();
    let is_recent = |execution: &&Execution| {
        !execution.status.is_over() || now.duration_since(execution.updated_at) <= FAILED_LOOKED_AT_FOR
    };
    for execution in latest.iter().filter(is_recent) {
        let Some(aws_id) = execution.start.aws_id() else { continue };
        let its: Vec<&Deploy> = deploys.iter().filter(|deploy| deploy.target() == execution.target).collect();
        if its.is_empty() {
            continue;
        }
        let observed = engine.ledger.run(&execution.target, aws_id, now).await?.value.observed;
        for deploy in its {
            let failed_at = observed.failed_in(&deploy.stage);
            if failed_at.is_none() && !observed.is_inside(&deploy.stage) {
                continue;
            }
            found.push(Deployment {
                execution: execution.id.clone(),
                sha: execution.sha.clone(),
                began: observed.deploy_began(&deploy.stage),
                landed_at: None,
                failed_at,
                is_rollback: execution.kind == Kind::Rollback,
            });
        }
    }
    Ok(found)
}
