//! The JSON Schema of `pointsman.toml`, for editors. What it cannot say, [`super::parse`] checks.

use super::{Environment, Group, Patterns, System};
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::BTreeMap;

/// The JSON Schema of `pointsman.toml`.
pub fn schema() -> Value {
    schemars::schema_for!(File).to_value()
}

/// The configuration of Pointsman.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "pointsman.toml")]
#[allow(dead_code)] // Only its shape is used.
struct File {
    /// The version of the format: 1.
    #[schemars(extend("const" = 1))]
    version: u32,
    /// Groups of people who may approve.
    #[schemars(default)]
    approvers: BTreeMap<String, Group>,
    /// What is deployed where, and under which conditions.
    #[schemars(default)]
    environments: BTreeMap<String, Environment>,
    /// Environments that are turned back together.
    #[schemars(default)]
    systems: BTreeMap<String, System>,
    /// Which change starts what. Every route that matches starts.
    #[schemars(default)]
    routes: Vec<WrittenRoute>,
}

/// Which change starts what. Exactly one of `pipeline`, `build` and `workflow` is written.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Route")]
#[allow(dead_code)] // Only its shape is used.
struct WrittenRoute {
    /// Unique within the repository; by default the target's name.
    name: Option<String>,
    /// `owner/name`, compared without case.
    repository: String,
    /// The kind of change.
    on: WrittenOn,
    /// Globs of branches; "!x" excludes. With pull_request, the branch that it wants to enter.
    branch: Option<Patterns>,
    /// Globs of tags; "!x" excludes.
    tag: Option<Patterns>,
    /// Globs of files, of which any that changed must match.
    paths: Option<Patterns>,
    /// Only merges whose other parent came from these branches. Comes with a later version.
    from: Option<Patterns>,
    /// Only signed commits. Comes with a later version.
    require_signed: Option<bool>,
    /// The CodePipeline pipeline to start.
    pipeline: Option<String>,
    /// The CodeBuild project to start.
    build: Option<String>,
    /// The GitHub Actions workflow to start. Comes with a later version.
    workflow: Option<String>,
    /// With workflow_run: the name of the workflow that ran.
    workflow_name: Option<String>,
    /// The source action that gets the commit; by default the only one.
    source_action: Option<String>,
    /// The environment; without one there is no approval, gate or rollback.
    environment: Option<String>,
    /// A named approval policy of the environment.
    approval: Option<String>,
    /// Constants, in which `{sha}` and `{environment}` are filled in.
    variables: Option<BTreeMap<String, String>>,
    /// The AWS region of the pipeline or project.
    region: Option<String>,
}

/// The kind of change. `codecommit` comes with a later version.
#[derive(JsonSchema)]
#[schemars(rename = "On", rename_all = "snake_case")]
#[allow(dead_code)] // Only its shape is used.
enum WrittenOn {
    Push,
    Tag,
    PullRequest,
    WorkflowRun,
    Release,
    #[schemars(rename = "codecommit")]
    CodeCommit,
}
