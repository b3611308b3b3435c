//! Going back: rollbacks of a stage, and retries of one.
//!
//! A rollback is an execution of its own. It runs through one stage, with the revisions, artifacts and variables of
//! the execution that it goes back to. A retry is the same execution once more.

use super::engine::Turn;
use super::model::{Execution, Pipeline, Place, StageRun, Status, Trigger};
use super::structure::Scope;
use crate::aws::{ACCOUNT, Failure};
use jiff::SignedDuration;
use std::sync::Arc;

/// How long after it was asked for a rollback enters its stage. AWS says only that it is not at once.
const BEGINS_AFTER: SignedDuration = SignedDuration::from_secs(1);

impl Pipeline {
    /// Rolls the stage called `stage` back to the execution called `target`, and returns the rollback's id.
    ///
    /// # Errors
    /// In this order, which AWS does not document: `StageNotFoundException`, `PipelineExecutionNotFoundException`,
    /// `PipelineExecutionOutdatedException` for a target of another structure version, and
    /// `UnableToRollbackStageException` for everything else.
    pub(super) fn roll_back(
        &mut self,
        turn: &mut Turn<'_>,
        stage: &str,
        target: &str,
        caller: &str,
    ) -> Result<String, Failure> {
        let index = self.stage_index(stage)?;
        let name = &self.structure.pipeline;
        let found = self.execution(target).ok_or_else(|| {
            let message = format!("The pipeline '{name}' does not have a pipeline execution with id '{target}'");
            Failure::sender("PipelineExecutionNotFoundException", message)
        })?;
        if found.version != self.structure.version {
            return Err(Failure::sender(
                "PipelineExecutionOutdatedException",
                format!("The pipeline execution {target} was started in another structure version of the pipeline"),
            ));
        }
        let refused = if self.structure.kind != "V2" {
            Some("Stages of pipelines of type V1 cannot be rolled back")
        } else if index == 0 {
            Some("The source stage cannot be rolled back")
        } else if self.structure.mode == "PARALLEL" {
            Some("A stage of a pipeline in PARALLEL mode cannot be rolled back")
        } else if found.rollback_to.is_some() {
            Some("The target pipeline execution is itself a rollback")
        } else if !found.succeeded_in(stage) {
            Some("The target pipeline execution did not succeed in the stage")
        } else {
            self.latest(stage).and_then(|(execution, run)| match run.status.is_open() {
                true => Some("The stage is in progress"),
                // Not documented. To be told no is what callers have to be ready for.
                false if execution.id == target && run.status == Status::Succeeded => {
                    Some("The target pipeline execution is the last one that succeeded in the stage")
                }
                false => None,
            })
        };
        if let Some(why) = refused {
            return Err(Failure::sender("UnableToRollbackStageException", format!("{why}.")));
        }
        let trigger = Trigger { kind: "ManualRollback".to_owned(), detail: caller.to_owned() };
        // It begins a moment later. Until then the stage does not look busy, and who asks twice gets two.
        self.settle_at = turn.now.checked_add(BEGINS_AFTER).ok();
        Ok(self.add_rollback(turn, index, target, trigger))
    }

    /// The newest execution that a rollback of the stage called `stage` can go back to.
    pub(super) fn last_good(&self, stage: &str) -> Option<String> {
        let can = |execution: &&Execution| {
            execution.version == self.structure.version
                && execution.rollback_to.is_none()
                && execution.succeeded_in(stage)
        };
        self.executions.iter().rev().find(can).map(|execution| execution.id.clone())
    }

    /// Takes in a rollback of the stage with index `stage`. It waits at its entrance until the engine lets it in.
    pub(super) fn add_rollback(&mut self, turn: &mut Turn<'_>, stage: usize, target: &str, trigger: Trigger) -> String {
        let id = turn.aws.uuid();
        let Some(source) = self.execution(target) else { return id };
        let rollback = Execution {
            id: id.clone(),
            version: self.structure.version,
            structure: Arc::clone(&self.structure),
            rollback_to: Some(target.to_owned()),
            attempt: 1,
            status: Status::InProgress,
            place: Place::Waiting(stage),
            started: turn.now,
            updated: turn.now,
            trigger,
            variables: source.variables.clone(),
            overrides: source.overrides.clone(),
            revisions: source.revisions.clone(),
            artifacts: source.artifacts.clone(),
            outputs: source.outputs.clone(),
            stages: Vec::new(),
            stop: None,
        };
        self.add(turn, rollback);
        id
    }

    /// Runs the stage called `stage` of the execution called `id` once more.
    ///
    /// # Errors
    /// `StageNotFoundException`, `StageNotRetryableException`, `NotLatestPipelineExecutionException`.
    pub(super) fn retry(&mut self, turn: &mut Turn<'_>, stage: &str, id: &str, scope: Scope) -> Result<(), Failure> {
        self.stage_index(stage)?;
        let not_retryable = || {
            Failure::sender(
                "StageNotRetryableException",
                "Unable to retry. The pipeline structure or stage state might have changed while actions awaited \
                 retry, or the stage contains no failed actions.",
            )
        };
        let (latest, run) = self.latest(stage).ok_or_else(not_retryable)?;
        if latest.id != id && self.structure.mode != "PARALLEL" {
            return Err(Failure::sender(
                "NotLatestPipelineExecutionException",
                "The stage has failed in a later run of the pipeline and the pipelineExecutionId associated with the \
                 request is out of date.",
            ));
        }
        let run = match self.structure.mode {
            "PARALLEL" => self.execution(id).and_then(|it| it.stages.iter().find(|run| run.name == stage)),
            _ => Some(run),
        };
        // A stopped stage can be retried too. Source: CodePipeline user guide, "Stop a pipeline execution".
        // With nothing that failed or was abandoned in it, there is nothing to retry: an approval that was given counts.
        let ended = |run: &&StageRun| {
            matches!(run.status, Status::Failed | Status::Stopped)
                && run.current().any(|action| action.status != Status::Succeeded)
        };
        run.filter(ended).ok_or_else(not_retryable)?;
        let index = *self.index.get(id).ok_or_else(not_retryable)?;
        if self.execution(id).is_none_or(|execution| execution.version != self.structure.version) {
            return Err(not_retryable());
        }
        self.resume(turn, index, scope, false);
        self.settle(turn);
        Ok(())
    }

    /// Puts the execution at `index` back into the stage in which it ended.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_>, index: usize, scope: Scope, automatically: bool) {
        let Some(execution) = self.executions.get_mut(index) else { return };
        let Some(run) = execution.stages.last_mut() else { return };
        execution.place = Place::Inside(run.index);
        execution.attempt += 1;
        execution.stop = None;
        run.entered = turn.now;
        run.retries.last_was_automatic = automatically;
        match automatically {
            true => run.retries.automatic += 1,
            false => run.retries.manual += 1,
        }
        for action in &mut run.actions {
            action.retried |= scope == Scope::AllActions || action.status != Status::Succeeded;
        }
        self.open.insert(index);
        execution.turn_to(Status::InProgress, turn);
        execution.turn_stage_to(Status::InProgress, turn);
    }

    /// Where the stage called `name` is.
    ///
    /// # Errors
    /// `StageNotFoundException`.
    pub(super) fn stage_index(&self, name: &str) -> Result<usize, Failure> {
        self.structure.stages.iter().position(|stage| stage.name == name).ok_or_else(|| {
            let pipeline = &self.structure.pipeline;
            let message = format!("The account '{ACCOUNT}' has no stage '{name}' in the pipeline '{pipeline}'");
            Failure::sender("StageNotFoundException", message)
        })
    }
}
