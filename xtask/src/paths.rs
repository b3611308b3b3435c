//! Where things are: the repository's root and the target folder that cargo uses for it.

use crate::failure::Failure;
use crate::step;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
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
