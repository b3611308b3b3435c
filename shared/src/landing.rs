//! Where a run has landed: what whoever saves a run saves with it.

use crate::domain::environment::{Version, landings};
use crate::domain::execution::{Execution, ExecutionId, TargetKind};
use crate::domain::image::digest_of;
use crate::domain::incident::{IncidentId, Status};
use crate::ledger::{ImageIn, Ledger, LedgerError, Run, Writes};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// How many images of a landing are remembered by where they landed. Findings in those beyond are taken for findings in
/// images that were never seen.
pub const IMAGES_REMEMBERED_MAX: usize = 20;
/// How many landings of one transaction have their images remembered: a transaction has room for a hundred writes. It has
/// more than one only where the events of several regions got lost.
const LANDINGS_REMEMBERED_MAX: usize = 3;

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
    let mut remembered = 0;
    for (mut state, landing) in states.into_iter().zip(landed.into_values()) {
        let is_known = state.value.versions.iter().any(|known| known.execution == execution.id);
        let blamed_at = match is_known {
            true => None,
            false => blamed_at(ledger, name, &state.value.region, &execution.id).await?,
        };
        let version = Version {
            sha: execution.sha.clone(),
            execution: execution.id.clone(),
            aws_id: run.aws_id.clone(),
            images: execution.images.clone(),
            at: landing.at,
            pipeline: Some(run.target.name.clone()),
            began: landing.began,
            goes_back_to: goes_back_to(execution, run),
            blamed_at,
            was_turned_back: false,
        };
        if state.value.deployed(version) {
            writes = writes.environment_state(&state);
            if remembered < LANDINGS_REMEMBERED_MAX {
                writes = with_images(writes, execution, name, &state.value.region);
                remembered += 1;
            }
        }
    }
    Ok(writes)
}

/// `writes` with where the images of an execution are brought to; `region` is empty before any stage deploys them.
pub fn with_images(mut writes: Writes, execution: &Execution, environment: &str, region: &str) -> Writes {
    // One image may stand there by its digest and in its repository: a transaction writes an item once.
    let digests: BTreeSet<&str> = execution.images.iter().map(|image| digest_of(image)).collect();
    let place =
        ImageIn { environment: environment.to_owned(), region: region.to_owned(), execution: execution.id.clone() };
    for digest in digests.into_iter().take(IMAGES_REMEMBERED_MAX) {
        writes = writes.image_in(digest, &place);
    }
    writes
}

/// When an incident first blamed an execution in a region while it was still on its way in. What is only kept out is not
/// blamed for anything yet.
async fn blamed_at(
    ledger: &Ledger,
    environment: &str,
    region: &str,
    execution: &ExecutionId,
) -> Result<Option<Timestamp>, LedgerError> {
    let known = ledger.incident(&IncidentId::of_blamed(environment, execution)).await?;
    let Some(incident) = known.map(|known| known.value).filter(|incident| incident.status != Status::Blocked) else {
        return Ok(None);
    };
    Ok(incident.signals.iter().filter(|signal| signal.region == region).map(|signal| signal.at).min())
}

/// AWS's id of the execution that a rollback of a stage stands for.
fn goes_back_to(execution: &Execution, run: &Run) -> Option<String> {
    let asked = execution.rolls_back.as_ref().map(|back| back.to.clone());
    asked.or_else(|| run.observed.rolls_back_to.clone().filter(|to| !to.is_empty()))
}
