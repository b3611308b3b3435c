//! Why a chore stopped. A chore ends at its first failure.

use std::io;

/// What went wrong, in one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program could not be started.
    #[error("{program} cannot be run: {source}")]
    NotRun {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A step ended with an error of its own, which it has printed.
    #[error("failed: {title}")]
    Step {
        /// The step.
        title: String,
    },
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A program's answer is not what it should be.
    #[error("{program} answered something that cannot be read: {why}")]
    Unreadable {
        /// Its name.
        program: String,
        /// What is wrong with it.
        why: String,
    },
    /// A rule of this repository is broken.
    #[error("{0}")]
    Rule(String),
}

impl Failure {
    /// A file or folder could not be read or written.
    pub(crate) fn file(path: &std::path::Path, source: io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}
