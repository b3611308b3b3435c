//! Where a run has landed: what whoever saves a run saves with it.

use crate::domain::environment::{Version, landings};
use crate::domain::execution::{Execution, TargetKind};
use crate::ledger::{Ledger, LedgerError, Run, Writes};

/// `writes` with the records of the regions in which `execution`, as `run` stands, has landed in its environment.
///
/// They belong into the transaction that saves the run: then neither can know more than the other. Nothing is read
/// for an execution without an environment, or before any stage was passed.
///
/// # Errors
/// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
pub async fn with_landings(
    ledger: &Ledger,
    mut writes: Writes,
    execution: &Execution,
    run: &Run,
) -> Result<Writes, LedgerError> {
    let Some(name) = &execution.environment else { return Ok(writes) };
    if run.target.kind != TargetKind::Pipeline || !run.observed.has_passed_any() {
        return Ok(writes);
    }
    let Some((_, config)) = ledger.environment_config(name).await? else { return Ok(writes) };
    let landed = landings(&config.environment, &run.target, &run.observed);
    let states = ledger.environment_states(name, landed.keys().map(String::as_str)).await?;
    for (mut state, at) in states.into_iter().zip(landed.into_values()) {
        let version = Version {
            sha: execution.sha.clone(),
            execution: execution.id.clone(),
            aws_id: run.aws_id.clone(),
            images: execution.images.clone(),
            at,
            pipeline: Some(run.target.name.clone()),
        };
        if state.value.deployed(version) {
            writes = writes.environment_state(&state);
        }
    }
    Ok(writes)
}
