//! Routes: which change starts which target. Data only; [`super::routing`] decides with it.
//!
//! A [`Route`] is self-contained: whoever holds one repository's routes needs nothing else of the
//! configuration to decide what a change starts.

use super::change::Sha;
use super::pattern::Patterns;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What `dispatch` loads: one repository's routes, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryConfig {
    /// `owner/name` as the first route spells it. Compares without case.
    pub full_name: String,
    /// At least one when it comes from a configuration; names are unique among them.
    pub routes: Vec<Route>,
}

/// One rule: a change of this repository, of this kind, starts this target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Unique within the repository: as written, or the target's name (`shop`, `shop#2`, `shop#3` in file order).
    pub name: String,
    /// `owner/name` as written. Compares without case.
    pub repository: String,
    /// Which changes it is for.
    #[serde(flatten)]
    pub trigger: Trigger,
    /// What it starts.
    pub target: Target,
    /// The environment that the target deploys to; without one there is no approval, gate or rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether that environment has any approval policy. `[skip ci]` is not honoured then.
    #[serde(default)]
    pub environment_has_approval: bool,
    /// The named approval policy; `None` for the environment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// Constants, in which `{sha}` and `{environment}` are still to be filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// The kind of change that a route is for, with its filters. Empty patterns were not written and filter nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum Trigger {
    /// A push of a branch.
    Push {
        /// The branch's name.
        #[serde(default, skip_serializing_if = "Patterns::is_empty")]
        branch: Patterns,
        /// Any changed file.
        #[serde(default, skip_serializing_if = "Patterns::is_empty")]
        paths: Patterns,
    },
    /// A push of a tag.
    Tag {
        /// The tag's name.
        #[serde(default, skip_serializing_if = "Patterns::is_empty")]
        tag: Patterns,
    },
    /// A pull request between two branches of the repository.
    PullRequest {
        /// The branch that it wants to enter.
        #[serde(default, skip_serializing_if = "Patterns::is_empty")]
        branch: Patterns,
    },
    /// A GitHub Actions run that succeeded.
    WorkflowRun {
        /// The branch of the run. A run for a tag carries the tag's name here, and GitHub does not tell which.
        #[serde(default, skip_serializing_if = "Patterns::is_empty")]
        branch: Patterns,
        /// The workflow's name, as its file gives it; `None` for any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workflow_name: Option<String>,
    },
    /// A release that was published.
    Release {
        /// The tag's name.
        #[serde(default, skip_serializing_if = "Patterns::is_empty")]
        tag: Patterns,
    },
}

impl Trigger {
    /// The word for it in the configuration.
    pub fn on(&self) -> On {
        match self {
            Self::Push { .. } => On::Push,
            Self::Tag { .. } => On::Tag,
            Self::PullRequest { .. } => On::PullRequest,
            Self::WorkflowRun { .. } => On::WorkflowRun,
            Self::Release { .. } => On::Release,
        }
    }
}

/// The words that `on` knows and that a route can be for today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// A push of a branch.
    Push,
    /// A push of a tag.
    Tag,
    /// A pull request.
    PullRequest,
    /// A finished GitHub Actions run.
    WorkflowRun,
    /// A published release.
    Release,
}

impl On {
    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Tag => "tag",
            Self::PullRequest => "pull_request",
            Self::WorkflowRun => "workflow_run",
            Self::Release => "release",
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a route starts. Regions are resolved: nothing is left to a default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// A CodePipeline pipeline.
    Pipeline {
        /// Its name.
        name: String,
        /// The AWS region that it lives in.
        region: String,
        /// The source action that gets the commit; `None` for the only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_action: Option<String>,
    },
    /// A CodeBuild project.
    Build {
        /// The project's name.
        name: String,
        /// The AWS region that it lives in.
        region: String,
    },
    /// A GitHub Actions workflow. No configuration of this version gets one: `config check` refuses it.
    Workflow {
        /// The workflow's file name, `deploy.yml`.
        name: String,
    },
}

impl Target {
    /// `pipeline`, `build` or `workflow`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pipeline { .. } => "pipeline",
            Self::Build { .. } => "build",
            Self::Workflow { .. } => "workflow",
        }
    }

    /// The name of the pipeline, of the project, or of the workflow's file.
    pub fn name(&self) -> &str {
        match self {
            Self::Pipeline { name, .. } | Self::Build { name, .. } | Self::Workflow { name } => name,
        }
    }

    /// The AWS region; `None` for a workflow, which runs at GitHub.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::Pipeline { region, .. } | Self::Build { region, .. } => Some(region),
            Self::Workflow { .. } => None,
        }
    }
}

impl fmt::Display for Target {
    /// `pipeline shop in eu-west-2`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind(), self.name())?;
        self.region().map_or(Ok(()), |region| write!(formatter, " in {region}"))
    }
}

/// The commit that a matched change stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedCommit {
    /// This one.
    Known(Sha),
    /// The one that a tag points at: a release's payload does not tell it. Whoever starts looks for the recorded
    /// push of the tag.
    OfTag {
        /// The tag's short name.
        tag: String,
        /// What GitHub says the tag was made from, where that is a SHA. It ignores that for a tag that already
        /// existed, so this is a last resort.
        fallback: Option<Sha>,
    },
}
