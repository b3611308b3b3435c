//! Images: which executions they belong to, and what Inspector says of them.

use jiff::Timestamp;
use pointsman::domain::change::Sha;
use pointsman::domain::execution::ExecutionId;
use pointsman::domain::image::{Finding, Scan};
use pointsman::ledger::{Filter, Loaded, Writes};
use pointsman::run::{Engine, RunError, in_turns};
use std::collections::BTreeMap;

/// How many executions of one commit an image is written to.
const EXECUTIONS_OF_A_COMMIT_MAX: usize = 100;

/// An image's digest belongs to every execution of the commit that it is tagged with.
pub(crate) async fn pushed(engine: &Engine, sha: &Sha, image: &str, now: Timestamp) -> Result<(), RunError> {
    let filter = Filter { sha: Some(sha.as_str()), ..Filter::default() };
    for execution in engine.ledger.latest_executions(filter, now, EXECUTIONS_OF_A_COMMIT_MAX).await? {
        add_image(engine, &execution.id, image, now).await?;
    }
    Ok(())
}

async fn add_image(engine: &Engine, id: &ExecutionId, image: &str, now: Timestamp) -> Result<(), RunError> {
    in_turns(|| async {
        let Some(mut loaded) = engine.ledger.execution(id).await? else { return Ok(()) };
        if !loaded.value.images.insert(image.to_owned()) {
            return Ok(());
        }
        loaded.value.updated_at = now;
        Ok(engine.ledger.save(Writes::new().execution(&loaded)).await?)
    })
    .await
}

/// The first scan of an image ended. Saved even where it is no news: it is kept from the last event on.
pub(crate) async fn scanned(
    engine: &Engine,
    digest: &str,
    repository: &str,
    scan: &Scan,
    now: Timestamp,
) -> Result<(), RunError> {
    in_turns(|| async {
        let mut scans = engine.ledger.image_scans(digest).await?;
        scans.value.fold(repository, scan.clone());
        Ok(engine.ledger.save(Writes::new().image_scans(digest, &scans, now)).await?)
    })
    .await
}

/// Inspector told of a finding. The latest report of it is kept.
pub(crate) async fn found(
    engine: &Engine,
    arn: &str,
    images: &BTreeMap<String, Finding>,
    now: Timestamp,
) -> Result<(), RunError> {
    for (digest, told) in images {
        in_turns(|| async {
            let finding = match engine.ledger.finding(digest, arn).await? {
                Some(known) => Loaded { value: known.value.max(told.clone()), version: known.version },
                None => Loaded::absent(told.clone()),
            };
            Ok(engine.ledger.save(Writes::new().finding(digest, arn, &finding, now)).await?)
        })
        .await?;
    }
    Ok(())
}
