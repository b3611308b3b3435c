//! Where things are: the repository's root and the target folder that cargo uses for it.

use crate::failure::Failure;
use crate::step;
use std::path::{Path, PathBuf};

/// The repository's root: of the clone that cargo runs in, which need not be the one that this was built in, since
/// clones may share a target folder.
#[allow(clippy::disallowed_methods, reason = "cargo tells it by the environment")]
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.parent().map_or(here.clone(), Path::to_path_buf)
}

/// Cargo's target folder: `CARGO_TARGET_DIR`, or what a configuration of cargo's says, or `target`.
///
/// # Errors
/// [`Failure::NotRun`], [`Failure::Step`], [`Failure::Unreadable`] when `cargo metadata` does not tell.
pub(crate) fn target() -> Result<PathBuf, Failure> {
    let answer = step::output(step::cargo().args(["metadata", "--no-deps", "--format-version=1", "--offline"]))?;
    let unreadable = |why: String| Failure::Unreadable { program: "cargo metadata".to_owned(), why };
    let metadata: serde_json::Value = serde_json::from_str(&answer).map_err(|error| unreadable(error.to_string()))?;
    let folder = metadata["target_directory"].as_str().ok_or_else(|| unreadable("no target_directory".to_owned()))?;
    Ok(PathBuf::from(folder))
}
