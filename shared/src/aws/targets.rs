//! What can be started, whichever service runs it.

use super::codebuild::CodeBuild;
use super::codepipeline::CodePipeline;
pub(super) use super::regional::Regional;
use super::{AwsConfig, CallError};
use crate::domain::execution::{Execution, Seen, StartEvent, Target, TargetKind};
use crate::domain::observed::Observed;
use jiff::Timestamp;

/// CodePipeline and CodeBuild in every region that a target names.
#[derive(Debug)]
pub struct Targets {
    pipelines: CodePipeline,
    builds: CodeBuild,
}

/// What a look among AWS's executions saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Those that may be ours, newest first.
    pub seen: Vec<Seen>,
    /// Whether these are all since the moment that was asked for.
    pub is_complete: bool,
}

/// AWS's answer to a start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// A certain one: started, full or refused.
    Known(StartEvent),
    /// None: it may have started. Never a reason to ask again.
    Lost(String),
}

impl Targets {
    /// Clients for every region. `starter_roles` are the names of our own roles that start things.
    pub fn new(config: &AwsConfig, starter_roles: Vec<String>) -> Self {
        Self { pipelines: CodePipeline::new(config, starter_roles), builds: CodeBuild::new(config) }
    }

    /// Asks AWS, once, to start `execution`. Its id is the idempotency token.
    pub async fn start(&self, execution: &Execution) -> Answer {
        match execution.target.kind {
            TargetKind::Pipeline => self.pipelines.start(execution).await,
            TargetKind::Build => self.builds.start(execution).await,
        }
    }

    /// What AWS runs, or ran, of `target` since a moment.
    ///
    /// # Errors
    /// [`CallError`] when AWS does not answer: that is no absence.
    pub async fn seen_since(&self, target: &Target, since: Timestamp) -> Result<Listing, CallError> {
        match target.kind {
            TargetKind::Pipeline => self.pipelines.seen_since(target, since).await,
            TargetKind::Build => self.builds.seen_since(target, since).await,
        }
    }

    /// What AWS says of one execution now.
    ///
    /// # Errors
    /// [`CallError`] when AWS does not know it, or does not answer.
    pub async fn observe(&self, target: &Target, aws_id: &str, now: Timestamp) -> Result<Observed, CallError> {
        match target.kind {
            TargetKind::Pipeline => self.pipelines.observe(target, aws_id, now).await,
            TargetKind::Build => self.builds.observe(target, aws_id, now).await,
        }
    }

    /// One execution of AWS's, as a candidate for one of ours.
    ///
    /// # Errors
    /// [`CallError`] when AWS does not know it, or does not answer.
    pub async fn seen(&self, target: &Target, aws_id: &str) -> Result<Seen, CallError> {
        match target.kind {
            TargetKind::Pipeline => self.pipelines.seen(target, aws_id).await,
            TargetKind::Build => self.builds.seen(target, aws_id).await,
        }
    }

    /// Stops an execution; `abandon` does not wait for what is in progress.
    ///
    /// # Errors
    /// [`CallError`] when AWS refuses or does not answer.
    pub async fn stop(&self, target: &Target, aws_id: &str, reason: &str, abandon: bool) -> Result<(), CallError> {
        match target.kind {
            TargetKind::Pipeline => self.pipelines.stop(target, aws_id, reason, abandon).await,
            TargetKind::Build => self.builds.stop(target, aws_id).await,
        }
    }

    /// The pipelines, for what only pipelines have.
    pub fn pipelines(&self) -> &CodePipeline {
        &self.pipelines
    }
}

/// Reads the error of a start: AWS was full, refused, or gave no answer. `busy` are the service's own codes for
/// "no room now".
pub(super) fn answer_of(error: CallError, busy: &[&str]) -> Answer {
    match &error {
        CallError::Throttled { .. } => Answer::Known(StartEvent::Full { reason: error.to_string() }),
        CallError::Refused { code, .. } if busy.contains(&code.as_str()) => {
            Answer::Known(StartEvent::Full { reason: error.to_string() })
        }
        CallError::Refused { .. } => Answer::Known(StartEvent::Refused { reason: error.to_string() }),
        CallError::Lost(why) => Answer::Lost(why.clone()),
    }
}
