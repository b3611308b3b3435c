//! Reads the pushes that [`crate::domain::authors`] asks for.

use crate::domain::authors::{Authors, Walk};
use crate::domain::change::Sha;
use crate::ledger::{Ledger, LedgerError};

/// Who wrote what `candidate` would add to `live`, and which commits those are. `repository` is GitHub's id. With
/// nothing live yet, the pushes that ended at the candidate tell.
///
/// # Errors
/// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
pub async fn authors_since(
    ledger: &Ledger,
    repository: u64,
    live: Option<&Sha>,
    candidate: &Sha,
) -> Result<Authors, LedgerError> {
    let mut walk = Walk::new(live.cloned(), candidate.clone());
    while let Some(commit) = walk.wanted().cloned() {
        walk.found(ledger.pushes_to(repository, &commit).await?);
    }
    Ok(walk.finish())
}
