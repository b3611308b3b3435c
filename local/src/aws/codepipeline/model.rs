//! What is known of a pipeline and its executions: state, and looking things up in it. `engine` moves it.

use super::structure::{Action, Structure};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pipeline with all that ever ran in it.
pub(super) struct Pipeline {
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    /// Every version's declaration, the first version first.
    pub(super) versions: Vec<Value>,
    /// The current version.
    pub(super) structure: Arc<Structure>,
    pub(super) tags: BTreeMap<String, String>,
    /// In the order in which they started.
    pub(super) executions: Vec<Execution>,
    /// `clientRequestToken`, and the execution that it started.
    pub(super) tokens: BTreeMap<String, String>,
}

/// The statuses of executions, stages and actions. Not every one of them occurs everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Where an execution is. A stage holds one execution; one more may wait at its entrance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the entrance of the stage with this index.
    Waiting(usize),
    /// In the stage with this index, which it locks.
    Inside(usize),
    /// Done, whichever way.
    Gone,
}

/// One run through a pipeline.
pub(super) struct Execution {
    pub(super) id: String,
    pub(super) structure: Arc<Structure>,
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
#[derive(Debug, Clone)]
pub(super) struct Trigger {
    /// As `triggerType`, such as `StartPipelineExecution`.
    pub(super) kind: &'static str,
    /// As `triggerDetail`: who, as an ARN.
    pub(super) detail: String,
}

/// A revision that a start asked for, instead of the source's newest.
#[derive(Debug, Clone)]
pub(super) struct Override {
    pub(super) action: String,
    /// As `revisionType`.
    pub(super) kind: &'static str,
    pub(super) value: String,
}

/// What a source action found.
#[derive(Debug, Clone)]
pub(super) struct Revision {
    pub(super) action: String,
    pub(super) artifact: String,
    pub(super) id: String,
    pub(super) summary: String,
    pub(super) url: String,
    pub(super) created: Timestamp,
}

/// What an action left in the artifact store.
#[derive(Debug, Clone)]
pub(super) struct Artifact {
    /// The revision that it was made from.
    pub(super) revision: String,
    pub(super) key: String,
}

/// One stage of one execution.
pub(super) struct StageRun {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) started: Timestamp,
    pub(super) actions: Vec<ActionRun>,
}

/// One action of one execution.
pub(super) struct ActionRun {
    /// `actionExecutionId`.
    pub(super) id: String,
    pub(super) action: Action,
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
    /// What answers an approval.
    pub(super) token: Option<String>,
    pub(super) updated_by: Option<String>,
}

/// What brings an action to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ends {
    /// This moment.
    At(Timestamp),
    /// The build with this id.
    WithWork(String),
    /// Somebody's answer: an approval.
    WhenAnswered,
}

/// How an action ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Succeeds,
    Fails { code: &'static str, message: String },
}

/// What an action says of what it did elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) external_id: Option<String>,
    pub(super) url: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) error: Option<(&'static str, String)>,
}

impl Pipeline {
    /// The execution called `id`.
    pub(super) fn execution(&self, id: &str) -> Option<&Execution> {
        self.executions.iter().find(|execution| execution.id == id)
    }

    /// The newest run of the stage called `stage`, and whose it was.
    pub(super) fn latest(&self, stage: &str) -> Option<(&Execution, &StageRun)> {
        let runs =
            self.executions.iter().flat_map(|execution| execution.stages.iter().map(move |run| (execution, run)));
        runs.filter(|(_, run)| run.name == stage).max_by_key(|(_, run)| run.started)
    }

    /// The newest run of an action.
    pub(super) fn latest_action(&self, stage: &str, action: &str) -> Option<(&Execution, &ActionRun)> {
        let runs = self.executions.iter().flat_map(|execution| {
            let stages = execution.stages.iter().filter(|run| run.name == stage);
            stages.flat_map(|run| &run.actions).map(move |run| (execution, run))
        });
        runs.filter(|(_, run)| run.action.name == action).max_by_key(|(_, run)| run.started)
    }

    /// The next moment at which an action ends by itself.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let open = self.executions.iter().filter(|execution| execution.status.is_open());
        let actions = open.flat_map(|execution| &execution.stages).flat_map(|stage| &stage.actions);
        actions.filter_map(ActionRun::due).min()
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

impl ActionRun {
    /// When it ends by itself, while it is in progress.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self.ends {
            Ends::At(at) if self.status == Status::InProgress => Some(at),
            Ends::At(_) | Ends::WithWork(_) | Ends::WhenAnswered => None,
        }
    }
}
