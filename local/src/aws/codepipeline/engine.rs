//! The stage engine: how executions enter stages, wait, supersede one another, end, stop and are cancelled.
//!
//! Mode SUPERSEDED: a stage is locked by the execution in it, from its first action to its last. One execution
//! waits at an entrance; a newer one that comes there supersedes it. An execution inside a stage is never
//! superseded. Nothing here calls another service or takes a lock: what is to be told or started outside is
//! collected in [`Turn::effects`], in order.

use super::WorkEnd;
use super::actions;
use super::events;
use super::model::{ActionRun, Ends, Execution, Override, Pipeline, Place, StageRun, Status, Trigger, Verdict};
use crate::aws::codebuild::PipelineBuild;
use crate::aws::{Aws, Event, Failure};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One turn of the engine: when it is, and what has to be done outside once the lock is released.
pub(super) struct Turn<'a> {
    pub(super) aws: &'a Aws,
    pub(super) now: Timestamp,
    pub(super) effects: Vec<Effect>,
}

/// Something to do outside.
pub(super) enum Effect {
    Emit { region: String, event: Event },
    Build { region: String, build: PipelineBuild },
}

/// What a new execution starts with.
pub(super) struct Start {
    pub(super) trigger: Trigger,
    pub(super) variables: Vec<(String, String)>,
    pub(super) overrides: Vec<Override>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(aws: &'a Aws, now: Timestamp) -> Self {
        Self { aws, now, effects: Vec::new() }
    }
}

impl Pipeline {
    /// Starts an execution and returns its id.
    pub(super) fn start(&mut self, turn: &mut Turn<'_>, start: Start) -> String {
        let id = turn.aws.uuid();
        let execution = Execution {
            id: id.clone(),
            structure: Arc::clone(&self.structure),
            status: Status::InProgress,
            place: Place::Waiting(0),
            started: turn.now,
            updated: turn.now,
            trigger: start.trigger,
            variables: start.variables,
            overrides: start.overrides,
            revisions: Vec::new(),
            artifacts: BTreeMap::new(),
            outputs: BTreeMap::new(),
            stages: Vec::new(),
            stop: None,
        };
        turn.effects.push(events::of_pipeline(&execution));
        self.executions.push(execution);
        self.settle(turn);
        id
    }

    /// Stops an execution: at once with `abandon`, else when the actions in progress have ended.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>, id: &str, abandon: bool, reason: String) -> Result<(), Failure> {
        let not_stoppable = "Unable to stop the pipeline execution. The execution might already be in a Stopped state, \
                             or it might no longer be in progress.";
        let found = self.executions.iter_mut().find(|execution| execution.id == id && execution.status.is_open());
        let Some(execution) = found else {
            return Err(Failure::sender("PipelineExecutionNotStoppableException", not_stoppable));
        };
        if execution.status == Status::Stopping && !abandon {
            return Err(Failure::sender(
                "DuplicatedStopRequestException",
                "The pipeline execution is already in a Stopping state. If you already chose to stop and wait, you \
                 cannot make that request again.",
            ));
        }
        execution.stop = Some(reason);
        if execution.status == Status::InProgress {
            execution.turn_to(Status::Stopping, turn);
            if execution.inside().is_some() {
                execution.turn_stage_to(Status::Stopping, turn);
            }
        }
        if abandon {
            execution.end_open_actions(Status::Abandoned, Status::Abandoned, turn);
        }
        self.settle(turn);
        Ok(())
    }

    /// Cancels whatever runs: the structure has changed under it.
    pub(super) fn cancel_all(&mut self, turn: &mut Turn<'_>) {
        for execution in self.executions.iter_mut().filter(|execution| execution.status.is_open()) {
            // The API has no cancelled actions, the events do.
            execution.end_open_actions(Status::Abandoned, Status::Cancelled, turn);
            execution.leave(Status::Cancelled, turn);
        }
    }

    /// Ends every action whose moment has come.
    pub(super) fn end_due(&mut self, turn: &mut Turn<'_>) {
        while self.next_due().is_some_and(|due| due <= turn.now) {
            for execution in self.executions.iter_mut().filter(|execution| execution.status.is_open()) {
                let now = turn.now;
                execution.end_actions(turn, |run| run.due().is_some_and(|due| due <= now).then(|| run.verdict.clone()));
            }
            self.settle(turn);
        }
    }

    /// Ends the action that waits for this build, if there is one here.
    pub(super) fn end_with_work(&mut self, turn: &mut Turn<'_>, end: &WorkEnd) {
        for execution in self.executions.iter_mut().filter(|execution| execution.status.is_open()) {
            execution.end_actions(turn, |run| {
                if run.ends != Ends::WithWork(end.id.clone()) {
                    return None;
                }
                run.variables.clone_from(&end.exported);
                Some(match end.succeeded {
                    true => Verdict::Succeeds,
                    false => Verdict::Fails { code: "JobFailed", message: end.summary.clone() },
                })
            });
        }
        self.settle(turn);
    }

    /// Moves every execution as far as it can go now.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        loop {
            let mut moved = false;
            for execution in self.executions.iter_mut().filter(|execution| execution.status.is_open()) {
                moved |= execution.proceed(&self.tags, turn);
            }
            moved |= self.admit(turn);
            if !moved {
                return;
            }
        }
    }

    /// Lets the newest execution at each entrance in, where the stage is free; supersedes the others there.
    fn admit(&mut self, turn: &mut Turn<'_>) -> bool {
        let mut moved = false;
        for stage in 0..self.structure.stages.len() {
            let waiting: Vec<usize> = self.at(Place::Waiting(stage));
            let Some((newest, older)) = waiting.split_last() else { continue };
            for index in older {
                if let Some(execution) = self.executions.get_mut(*index) {
                    execution.leave(Status::Superseded, turn);
                }
            }
            // Where a disabled transition will one day keep the entrance shut.
            if self.at(Place::Inside(stage)).is_empty()
                && let Some(execution) = self.executions.get_mut(*newest)
            {
                execution.enter(stage, turn);
                moved = true;
            }
        }
        moved
    }

    /// The executions at `place`, the newest last.
    fn at(&self, place: Place) -> Vec<usize> {
        let executions = self.executions.iter().enumerate();
        executions.filter(|(_, execution)| execution.place == place).map(|(index, _)| index).collect()
    }
}

impl Execution {
    fn enter(&mut self, index: usize, turn: &mut Turn<'_>) {
        let name = self.structure.stages.get(index).map(|stage| stage.name.clone()).unwrap_or_default();
        self.place = Place::Inside(index);
        self.stages.push(StageRun { index, name, status: Status::InProgress, started: turn.now, actions: Vec::new() });
        self.turn_stage_to(Status::InProgress, turn);
    }

    /// Takes the next step, when no action is in progress. Says whether it took one.
    fn proceed(&mut self, tags: &BTreeMap<String, String>, turn: &mut Turn<'_>) -> bool {
        let Some(run) = self.inside() else {
            // Stopped between two stages, where nothing is in progress.
            let stopped = self.status == Status::Stopping;
            if stopped {
                self.leave(Status::Stopped, turn);
            }
            return stopped;
        };
        if run.actions.iter().any(|action| action.status == Status::InProgress) {
            return false;
        }
        if self.status == Status::Stopping {
            self.leave(Status::Stopped, turn);
            return true;
        }
        if run.actions.iter().any(|action| action.status != Status::Succeeded) {
            self.leave(Status::Failed, turn);
            return true;
        }
        let last = run.actions.iter().map(|action| action.action.run_order).max().unwrap_or(0);
        let (index, structure) = (run.index, Arc::clone(&self.structure));
        let Some(stage) = structure.stages.get(index) else { return false };
        let orders: BTreeSet<u64> = stage.actions.iter().map(|action| action.run_order).collect();
        if let Some(next) = orders.into_iter().find(|order| *order > last) {
            for action in stage.actions.iter().filter(|action| action.run_order == next) {
                actions::begin(self, action, tags, turn);
            }
        } else if index + 1 < structure.stages.len() {
            self.turn_stage_to(Status::Succeeded, turn);
            self.place = Place::Waiting(index + 1);
        } else {
            self.leave(Status::Succeeded, turn);
        }
        true
    }

    /// Ends with `status`: the stage that it is in too, whose lock is free from here on.
    fn leave(&mut self, status: Status, turn: &mut Turn<'_>) {
        if self.inside().is_some() {
            self.turn_stage_to(status, turn);
        }
        self.place = Place::Gone;
        self.turn_to(status, turn);
    }

    fn turn_to(&mut self, status: Status, turn: &mut Turn<'_>) {
        self.status = status;
        self.updated = turn.now;
        turn.effects.push(events::of_pipeline(self));
    }

    fn turn_stage_to(&mut self, status: Status, turn: &mut Turn<'_>) {
        self.updated = turn.now;
        if let Some(run) = self.stages.last_mut() {
            run.status = status;
        }
        turn.effects.extend(self.stages.last().map(|run| events::of_stage(self, run)));
    }

    /// Ends the actions in progress for which `verdict` has one.
    fn end_actions(&mut self, turn: &mut Turn<'_>, mut verdict: impl FnMut(&mut ActionRun) -> Option<Verdict>) {
        let Some(mut run) = self.stages.pop() else { return };
        for action in run.actions.iter_mut().filter(|action| action.status == Status::InProgress) {
            if let Some(verdict) = verdict(action) {
                actions::end(self, action, verdict, turn.now);
                turn.effects.push(events::of_action(self, &run.name, action, action.status));
            }
        }
        self.stages.push(run);
    }

    /// Ends the actions in progress without a result: `status` for the API, `state` for the event.
    fn end_open_actions(&mut self, status: Status, state: Status, turn: &mut Turn<'_>) {
        let Some(mut run) = self.stages.pop() else { return };
        for action in run.actions.iter_mut().filter(|action| action.status == Status::InProgress) {
            action.status = status;
            action.updated = turn.now;
            action.token = None;
            turn.effects.push(events::of_action(self, &run.name, action, state));
        }
        self.stages.push(run);
    }
}
