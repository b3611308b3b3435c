//! The stage engine: how executions enter stages, wait, supersede one another, end, stop and are cancelled.
//!
//! A stage is locked by the execution in it, from its first action to its last, and an execution inside a stage is
//! never superseded. At an entrance, in mode SUPERSEDED a newer execution supersedes the one that waits; in mode
//! QUEUED they wait in order; in mode PARALLEL nobody waits and nothing is locked. Nothing here calls another service
//! or takes a lock: what is to be told or started outside is collected in [`Turn::effects`], in order.

use super::WorkEnd;
use super::actions;
use super::events;
use super::model::{ActionRun, Execution, Override, Pipeline, Place, Retries, StageRun, Status, Trigger, Verdict};
use super::structure::OnFailure;
use crate::aws::codebuild::PipelineBuild;
use crate::aws::{Aws, Event, Failure, codedeploy, ecs};
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
    Emit {
        region: String,
        event: Event,
    },
    Build {
        region: String,
        build: PipelineBuild,
    },
    /// Deploys to an ECS service.
    DeployService {
        region: String,
        deploy: ecs::PipelineDeploy,
    },
    /// Deploys through a CodeDeploy group.
    DeployGroup {
        region: String,
        deploy: codedeploy::PipelineDeploy,
    },
    /// Tells a topic that an approval is wanted; `key` is the action's execution id.
    Notify {
        key: String,
        topic: String,
        subject: String,
        message: String,
    },
}

/// What became of an execution that was asked to go on.
enum Step {
    Stays,
    Moves,
    /// It has failed in the stage with this index.
    Fails(usize),
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
        self.add(
            turn,
            Execution {
                id: id.clone(),
                version: self.structure.version,
                structure: Arc::clone(&self.structure),
                rollback_to: None,
                attempt: 1,
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
            },
        );
        self.settle(turn);
        id
    }

    /// Takes in an execution that is new, and says so.
    pub(super) fn add(&mut self, turn: &mut Turn<'_>, execution: Execution) {
        turn.effects.push(events::of_pipeline(&execution));
        let index = self.executions.len();
        self.index.insert(execution.id.clone(), index);
        self.open.insert(index);
        self.executions.push(execution);
    }

    /// Stops an execution: at once with `abandon`, else when the actions in progress have ended.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>, id: &str, abandon: bool, reason: String) -> Result<(), Failure> {
        let not_stoppable = "Unable to stop the pipeline execution. The execution might already be in a Stopped state, \
                             or it might no longer be in progress.";
        let Some(execution) = self.execution_mut(id).filter(|execution| execution.status.is_open()) else {
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
        self.each_open(|execution| {
            // The API has no cancelled actions, the events do.
            execution.end_open_actions(Status::Abandoned, Status::Cancelled, turn);
            execution.leave(Status::Cancelled, turn);
        });
        self.open.clear();
    }

    /// Ends every action whose moment has come.
    pub(super) fn end_due(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        while self.next_due().is_some_and(|due| due <= now) {
            self.each_open(|execution| {
                execution.end_actions(turn, |run| run.due().is_some_and(|due| due <= now).then(|| run.verdict.clone()));
            });
            self.settle(turn);
        }
    }

    /// Ends the action that waits for this work, if there is one here; says whether there was.
    pub(super) fn end_with_work(&mut self, turn: &mut Turn<'_>, end: &WorkEnd) -> bool {
        let mut found = false;
        self.each_open(|execution| {
            execution.end_actions(turn, |run| {
                if !run.ends.awaits(&end.id) && run.id != end.id {
                    return None;
                }
                found = true;
                run.variables.clone_from(&end.exported);
                run.result.summary = Some(end.summary.clone()).filter(|summary| !summary.is_empty());
                Some(match end.succeeded {
                    true => Verdict::Succeeds,
                    false => Verdict::Fails { code: "JobFailed".to_owned(), message: end.summary.clone() },
                })
            });
        });
        if found {
            self.settle(turn);
        }
        found
    }

    /// Keeps what the work that an action waits for is called where it is done.
    pub(super) fn work_began(&mut self, key: &str, external_id: &str) {
        self.each_open(|execution| {
            let runs = execution.stages.last_mut().into_iter().flat_map(|stage| &mut stage.actions);
            for run in runs.filter(|run| run.ends.awaits(key)) {
                run.result.external_id = Some(external_id.to_owned());
            }
        });
    }

    fn each_open(&mut self, mut act: impl FnMut(&mut Execution)) {
        for index in &self.open {
            if let Some(execution) = self.executions.get_mut(*index) {
                act(execution);
            }
        }
    }

    /// Moves every execution as far as it can go now.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        loop {
            let mut moved = false;
            for index in self.open.clone() {
                let Some(execution) = self.executions.get_mut(index) else { continue };
                match execution.proceed(&self.tags, turn) {
                    Step::Stays => continue,
                    Step::Moves => {}
                    Step::Fails(stage) => self.after_failure(turn, index, stage),
                }
                moved = true;
            }
            moved |= self.admit(turn);
            let executions = &self.executions;
            self.open.retain(|index| executions.get(*index).is_some_and(|execution| execution.status.is_open()));
            if !moved {
                return;
            }
        }
    }

    /// Does what the stage says is to be done when it fails. A rollback that fails rolls nothing back.
    fn after_failure(&mut self, turn: &mut Turn<'_>, index: usize, stage: usize) {
        let Some(execution) = self.executions.get(index) else { return };
        let Some((declared, run)) = execution.structure.stages.get(stage).zip(execution.stages.last()) else { return };
        match declared.on_failure {
            OnFailure::Fail => {}
            OnFailure::Retry(scope) => {
                if run.retries.automatic == 0 {
                    self.resume(turn, index, scope, true);
                }
            }
            OnFailure::RollBack => {
                let failed = execution.id.clone();
                let is_rollback = execution.rollback_to.is_some();
                if let Some(target) = self.last_good(&declared.name).filter(|_| !is_rollback) {
                    let trigger = Trigger { kind: "AutomatedRollback".to_owned(), detail: failed };
                    self.add_rollback(turn, stage, &target, trigger);
                }
            }
        }
    }

    /// Lets in whoever may enter: rollbacks first, then, by the mode, the newest, the oldest, or everybody.
    fn admit(&mut self, turn: &mut Turn<'_>) -> bool {
        let mut moved = false;
        let mode = self.structure.mode;
        for stage in 0..self.structure.stages.len() {
            let here = self.at(Place::Waiting(stage));
            if here.is_empty() {
                continue;
            }
            let is_rollback = |index: &usize| self.executions.get(*index).is_some_and(|it| it.rollback_to.is_some());
            let (mut next, mut waiting): (Vec<usize>, Vec<usize>) = here.into_iter().partition(is_rollback);
            if mode == "SUPERSEDED" {
                let older = waiting.split_off(waiting.len().saturating_sub(1));
                for index in std::mem::replace(&mut waiting, older) {
                    if let Some(execution) = self.executions.get_mut(index) {
                        execution.leave(Status::Superseded, turn);
                    }
                }
            }
            if self.is_shut(stage) {
                next.retain(|_| turn.aws.behaviour().rollback_passes_transition);
            } else {
                next.extend(waiting);
            }
            for index in next {
                let is_locked = mode != "PARALLEL" && !self.at(Place::Inside(stage)).is_empty();
                if let Some(execution) = self.executions.get_mut(index).filter(|_| !is_locked) {
                    execution.enter(stage, turn);
                    moved = true;
                }
            }
        }
        moved
    }

    /// The open executions at `place`, the newest last.
    fn at(&self, place: Place) -> Vec<usize> {
        let is_there = |index: &usize| self.executions.get(*index).is_some_and(|execution| execution.place == place);
        self.open.iter().copied().filter(is_there).collect()
    }
}

impl Execution {
    fn enter(&mut self, index: usize, turn: &mut Turn<'_>) {
        let name = self.structure.stages.get(index).map(|stage| stage.name.clone()).unwrap_or_default();
        self.place = Place::Inside(index);
        self.stages.push(StageRun {
            index,
            name,
            status: Status::InProgress,
            started: turn.now,
            entered: turn.now,
            retries: Retries::default(),
            actions: Vec::new(),
        });
        self.turn_stage_to(Status::InProgress, turn);
    }

    /// Takes the next step, when no action is in progress.
    fn proceed(&mut self, tags: &BTreeMap<String, String>, turn: &mut Turn<'_>) -> Step {
        let Some(run) = self.inside() else {
            // Stopped between two stages, where nothing is in progress.
            if self.status != Status::Stopping {
                return Step::Stays;
            }
            self.leave(Status::Stopped, turn);
            return Step::Moves;
        };
        if run.current().any(|action| action.status == Status::InProgress) {
            return Step::Stays;
        }
        let index = run.index;
        if self.status == Status::Stopping {
            self.leave(Status::Stopped, turn);
            return Step::Moves;
        }
        if run.current().any(|action| action.status != Status::Succeeded) {
            self.leave(Status::Failed, turn);
            return Step::Fails(index);
        }
        let begun: BTreeSet<&str> = run.current().map(|action| action.name.as_str()).collect();
        let structure = Arc::clone(&self.structure);
        let Some(stage) = structure.stages.get(index) else { return Step::Stays };
        let missing: Vec<_> = stage.actions.iter().filter(|action| !begun.contains(action.name.as_str())).collect();
        if let Some(next) = missing.iter().map(|action| action.run_order).min() {
            for action in missing.into_iter().filter(|action| action.run_order == next) {
                actions::begin(self, action, tags, turn);
            }
        } else if index + 1 < structure.stages.len() && self.rollback_to.is_none() {
            self.turn_stage_to(Status::Succeeded, turn);
            self.place = Place::Waiting(index + 1);
        } else {
            self.leave(Status::Succeeded, turn);
        }
        Step::Moves
    }

    /// Ends with `status`: the stage that it is in too, whose lock is free from here on.
    fn leave(&mut self, status: Status, turn: &mut Turn<'_>) {
        if self.inside().is_some() {
            self.turn_stage_to(status, turn);
        }
        self.place = Place::Gone;
        self.turn_to(status, turn);
    }

    pub(super) fn turn_to(&mut self, status: Status, turn: &mut Turn<'_>) {
        self.status = status;
        self.updated = turn.now;
        turn.effects.push(events::of_pipeline(self));
    }

    pub(super) fn turn_stage_to(&mut self, status: Status, turn: &mut Turn<'_>) {
        self.updated = turn.now;
        if let Some(run) = self.stages.last_mut() {
            run.status = status;
        }
        turn.effects.extend(self.stages.last().map(|run| events::of_stage(self, run)));
    }

    /// Ends the actions in progress for which `verdict` has one.
    fn end_actions(&mut self, turn: &mut Turn<'_>, mut verdict: impl FnMut(&mut ActionRun) -> Option<Verdict>) {
        let Some(stage) = self.stages.last_mut() else { return };
        let in_progress = stage.actions.iter_mut().enumerate().filter(|(_, run)| run.status == Status::InProgress);
        let ending: Vec<_> = in_progress.filter_map(|(index, run)| Some((index, verdict(run)?))).collect();
        if ending.is_empty() {
            return;
        }
        // Taken out while it ends: an action's end reads the execution that it is part of.
        let Some(mut stage) = self.stages.pop() else { return };
        for (index, verdict) in ending {
            let Some(run) = stage.actions.get_mut(index) else { continue };
            actions::end(self, run, verdict, turn.now);
            turn.effects.push(events::of_action(self, &stage.name, run, run.status));
        }
        self.stages.push(stage);
    }

    /// Ends the actions in progress without a result: `status` for the API, `state` for the event.
    fn end_open_actions(&mut self, status: Status, state: Status, turn: &mut Turn<'_>) {
        let Some(mut run) = self.stages.pop() else { return };
        for action in run.actions.iter_mut().filter(|action| action.status == Status::InProgress) {
            action.status = status;
            action.updated = turn.now;
            turn.effects.push(events::of_action(self, &run.name, action, state));
        }
        self.stages.push(run);
    }
}
