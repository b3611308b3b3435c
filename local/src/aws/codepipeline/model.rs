//! What is known of a pipeline and its executions: state, and looking things up in it. `engine` moves it.

use super::structure::{self, Action, Structure};
use crate::aws::Failure;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A pipeline with all that ever ran in it.
#[derive(Serialize, Deserialize)]
pub(super) struct Pipeline {
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Every version's declaration, the first version first.
    pub(super) versions: Vec<Value>,
    /// The current version. Not saved: it is read from its declaration again.
    #[serde(skip)]
    pub(super) structure: Arc<Structure>,
    pub(super) tags: BTreeMap<String, String>,
    /// Transitions that are disabled, and those that were: by stage, as seen from it.
    pub(super) transitions: BTreeMap<String, Transitions>,
    /// In the order in which they started.
    pub(super) executions: Vec<Execution>,
    /// Where each execution is in `executions`.
    pub(super) index: BTreeMap<String, usize>,
    /// Those in `executions` that may still change.
    pub(super) open: BTreeSet<usize>,
    /// When somebody has to look whether an execution may move.
    pub(super) settle_at: Option<Timestamp>,
    /// `clientRequestToken`, and the execution that it started.
    pub(super) tokens: BTreeMap<String, String>,
}

/// The two transitions of a stage.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Transitions {
    pub(super) inbound: Option<Transition>,
    pub(super) outbound: Option<Transition>,
}

/// What was last said of a transition. One of which nothing was ever said is enabled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Transition {
    /// Why it is disabled; an enabled one has no reason.
    pub(super) disabled: Option<String>,
    pub(super) by: String,
    pub(super) at: Timestamp,
}

/// The statuses of executions, stages and actions. Not every one of them occurs everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    InProgress,
    Stopping,
    Stopped,
    Succeeded,
    Failed,
    Cancelled,
    Superseded,
    /// Of actions only.
    Abandoned,
}

impl Status {
    /// As the API spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Superseded => "Superseded",
            Self::Abandoned => "Abandoned",
        }
    }

    /// As events spell it: not the same words.
    pub(super) fn state(self) -> &'static str {
        match self {
            Self::InProgress => "STARTED",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELED",
            Self::Superseded => "SUPERSEDED",
            Self::Abandoned => "ABANDONED",
        }
    }

    /// Whether it may still change.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::InProgress | Self::Stopping)
    }
}

/// Where an execution is. A stage holds one execution, but for mode PARALLEL; others may wait at its entrance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// At the entrance of the stage with this index.
    Waiting(usize),
    /// In the stage with this index, which it locks.
    Inside(usize),
    /// Done, whichever way.
    Gone,
}

/// One run through a pipeline, or through one stage of it: a rollback.
#[derive(Serialize, Deserialize)]
pub(super) struct Execution {
    pub(super) id: String,
    pub(super) version: u64,
    /// That of `version`. Not saved: it is read from its declaration again.
    #[serde(skip)]
    pub(super) structure: Arc<Structure>,
    /// The execution whose revisions, artifacts and variables it has: it is a rollback to that one.
    pub(super) rollback_to: Option<String>,
    /// From 1; each retry of a stage is one more.
    pub(super) attempt: u32,
    pub(super) status: Status,
    pub(super) place: Place,
    pub(super) started: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) trigger: Trigger,
    /// Resolved, in the order of their declaration.
    pub(super) variables: Vec<(String, String)>,
    pub(super) overrides: Vec<Override>,
    pub(super) revisions: Vec<Revision>,
    pub(super) artifacts: BTreeMap<String, Artifact>,
    /// Output variables by namespace and name.
    pub(super) outputs: BTreeMap<String, BTreeMap<String, String>>,
    /// The stages that it entered, in that order.
    pub(super) stages: Vec<StageRun>,
    /// The reason that came with a stop, when one was asked for.
    pub(super) stop: Option<String>,
}

/// What started an execution.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Trigger {
    /// As `triggerType`, such as `StartPipelineExecution`.
    pub(super) kind: String,
    /// As `triggerDetail`: who, as an ARN; of an automatic rollback, the execution that failed.
    pub(super) detail: String,
}

/// A revision that a start asked for, instead of the source's newest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Override {
    pub(super) action: String,
    /// As `revisionType`.
    pub(super) kind: String,
    pub(super) value: String,
}

/// What a source action found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Revision {
    pub(super) action: String,
    pub(super) artifact: String,
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) url: String,
    pub(super) created: Timestamp,
}

/// What an action left in the artifact store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Artifact {
    /// The revision that it was made from.
    pub(super) revision: String,
    pub(super) key: String,
}

/// One stage of one execution.
#[derive(Serialize, Deserialize)]
pub(super) struct StageRun {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) started: Timestamp,
    /// When its last attempt began: at first when it started.
    pub(super) entered: Timestamp,
    pub(super) retries: Retries,
    /// Every run of every action, those that were retried too.
    pub(super) actions: Vec<ActionRun>,
}

/// How often a stage was retried, and by whom last.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Retries {
    pub(super) automatic: u32,
    pub(super) manual: u32,
    pub(super) last_was_automatic: bool,
}

/// One action of one execution.
#[derive(Serialize, Deserialize)]
pub(super) struct ActionRun {
    /// `actionExecutionId`.
    pub(super) id: String,
    pub(super) name: String,
    /// As declared. Not saved: it is found by its name again.
    #[serde(skip)]
    pub(super) action: Arc<Action>,
    /// Whether a retry of the stage has replaced this run by another.
    pub(super) retried: bool,
    pub(super) status: Status,
    pub(super) started: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) ends: Ends,
    /// How it will end, where that is known beforehand.
    pub(super) verdict: Verdict,
    /// The configuration with its references resolved.
    pub(super) resolved: BTreeMap<String, String>,
    pub(super) inputs: Vec<(String, String)>,
    pub(super) outputs: Vec<(String, String)>,
    pub(super) result: Outcome,
    pub(super) variables: BTreeMap<String, String>,
    /// What answers an approval, once.
    pub(super) token: Option<String>,
    pub(super) updated_by: Option<String>,
}

/// What brings an action to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ends {
    /// This moment. An approval's is its expiry, and an answer comes before it.
    At(Timestamp),
    /// The end of work elsewhere that has this key.
    WithWork(String),
}

impl Ends {
    /// Whether it is the end of the work with this key.
    pub(super) fn awaits(&self, key: &str) -> bool {
        matches!(self, Self::WithWork(awaited) if awaited == key)
    }
}

/// How an action ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Verdict {
    Succeeds,
    Fails { code: String, message: String },
}

/// What an action says of what it did elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) external_id: Option<String>,
    pub(super) url: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) error: Option<(String, String)>,
}

impl Pipeline {
    /// The execution called `id`.
    pub(super) fn execution(&self, id: &str) -> Option<&Execution> {
        self.executions.get(*self.index.get(id)?)
    }

    /// The execution called `id`, to be changed.
    pub(super) fn execution_mut(&mut self, id: &str) -> Option<&mut Execution> {
        self.executions.get_mut(*self.index.get(id)?)
    }

    /// The executions that may still change, the oldest first.
    pub(super) fn running(&self) -> impl Iterator<Item = &Execution> {
        self.open.iter().filter_map(|index| self.executions.get(*index))
    }

    /// The newest run of the stage called `stage`, and whose it was.
    pub(super) fn latest(&self, stage: &str) -> Option<(&Execution, &StageRun)> {
        let runs =
            self.executions.iter().flat_map(|execution| execution.stages.iter().map(move |run| (execution, run)));
        runs.filter(|(_, run)| run.name == stage).max_by_key(|(_, run)| run.entered)
    }

    /// The newest run of an action.
    pub(super) fn latest_action(&self, stage: &str, action: &str) -> Option<(&Execution, &ActionRun)> {
        let runs = self.executions.iter().flat_map(|execution| {
            let stages = execution.stages.iter().filter(|run| run.name == stage);
            stages.flat_map(|run| &run.actions).map(move |run| (execution, run))
        });
        runs.filter(|(_, run)| run.name == action).max_by_key(|(_, run)| run.started)
    }

    /// The next moment at which something happens by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let inside = self.running().filter_map(Execution::inside);
        let ends = inside.flat_map(|stage| &stage.actions).filter_map(ActionRun::due);
        ends.chain(self.settle_at).min()
    }

    /// Reads every version's structure from its declaration, and gives each execution and each action its own.
    pub(super) fn read_structures(&mut self, region: &str) -> Result<(), Failure> {
        let mut structures = BTreeMap::new();
        for (version, declared) in (1..).zip(&self.versions) {
            structures.insert(version, Arc::new(structure::read(declared, region, version)?.0));
        }
        if let Some((_, newest)) = structures.last_key_value() {
            self.structure = Arc::clone(newest);
        }
        for execution in &mut self.executions {
            let Some(structure) = structures.get(&execution.version) else { continue };
            execution.structure = Arc::clone(structure);
            for (run, stage) in execution.stages.iter_mut().filter_map(|run| {
                let stage = structure.stages.get(run.index)?;
                Some((run, stage))
            }) {
                for action in &mut run.actions {
                    if let Some(declared) = stage.actions.iter().find(|declared| declared.name == action.name) {
                        action.action = Arc::clone(declared);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the entrance of the stage with this index is shut: by its own inbound transition, or by the outbound
    /// one of the stage before it.
    pub(super) fn is_shut(&self, stage: usize) -> bool {
        let said = |index: usize| self.transitions.get(&self.structure.stages.get(index)?.name);
        let disabled = |one: &Option<Transition>| one.as_ref().is_some_and(|one| one.disabled.is_some());
        said(stage).is_some_and(|both| disabled(&both.inbound))
            || stage.checked_sub(1).and_then(said).is_some_and(|both| disabled(&both.outbound))
    }
}

impl Execution {
    /// The stage that it is in.
    pub(super) fn inside(&self) -> Option<&StageRun> {
        self.stages.last().filter(|run| self.place == Place::Inside(run.index))
    }

    /// Whether it has succeeded in the stage called `stage`.
    pub(super) fn succeeded_in(&self, stage: &str) -> bool {
        self.stages.iter().any(|run| run.name == stage && run.status == Status::Succeeded)
    }
}

impl StageRun {
    /// The runs that count: not those that a retry has replaced.
    pub(super) fn current(&self) -> impl Iterator<Item = &ActionRun> {
        self.actions.iter().filter(|run| !run.retried)
    }
}

impl ActionRun {
    /// When it ends by itself, while it is in progress.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self.ends {
            Ends::At(at) if self.status == Status::InProgress => Some(at),
            Ends::At(_) | Ends::WithWork(_) => None,
        }
    }

    /// Whether this is the approval that `token` answers, still or once.
    pub(super) fn is_asked_by(&self, token: &str) -> bool {
        self.token.as_deref() == Some(token)
    }
}
