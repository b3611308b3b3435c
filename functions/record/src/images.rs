//! Images: which executions they belong to.

use jiff::Timestamp;
use pointsman::domain::change::Sha;
use pointsman::domain::execution::ExecutionId;
use pointsman::ledger::{Filter, Writes};
use pointsman::run::{Engine, RunError, in_turns};

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
