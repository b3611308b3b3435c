//! Which structures CodePipeline accepts: the order of stages, the flow of artifacts, the known action types.

use super::structure::{Action, OnFailure, Structure};
use crate::aws::Failure;
use serde_json::Value;
use std::collections::BTreeSet;

/// An action type that AWS has everywhere, with what its actions need.
struct Kind {
    category: &'static str,
    owner: &'static str,
    provider: &'static str,
    /// How many input and output artifacts, at least and at most.
    inputs: (usize, usize),
    outputs: (usize, usize),
    required: &'static [&'static str],
}

/// The action types. Source: CodePipeline user guide, "Action structure reference" and "Number of input and
/// output artifacts based on provider type".
#[rustfmt::skip]
const KINDS: &[Kind] = &[
    kind("Source",   "AWS",        "CodeStarSourceConnection",     (0, 0),  (1, 1), CONNECTION),
    kind("Source",   "AWS",        "CodeCommit",                   (0, 0),  (1, 1), &["RepositoryName", "BranchName"]),
    kind("Source",   "AWS",        "S3",                           (0, 0),  (1, 1), &["S3Bucket", "S3ObjectKey"]),
    kind("Source",   "AWS",        "ECR",                          (0, 0),  (1, 1), &["RepositoryName"]),
    kind("Source",   "ThirdParty", "GitHub",                       (0, 0),  (1, 1), GITHUB),
    kind("Build",    "AWS",        "CodeBuild",                    (1, 5),  (0, 5), &["ProjectName"]),
    kind("Build",    "AWS",        "ECRBuildAndPublish",           (1, 1),  (0, 1), &[]),
    kind("Test",     "AWS",        "CodeBuild",                    (1, 5),  (0, 5), &["ProjectName"]),
    kind("Test",     "AWS",        "DeviceFarm",                   (1, 1),  (0, 0), &[]),
    kind("Approval", "AWS",        "Manual",                       (0, 0),  (0, 0), &[]),
    kind("Deploy",   "AWS",        "S3",                           (1, 1),  (0, 0), &["BucketName", "Extract"]),
    kind("Deploy",   "AWS",        "CloudFormation",               (0, 10), (0, 1), &["ActionMode", "StackName"]),
    kind("Deploy",   "AWS",        "CloudFormationStackSet",       (1, 10), (0, 1), &["StackSetName"]),
    kind("Deploy",   "AWS",        "CloudFormationStackInstances", (0, 10), (0, 1), &["StackSetName"]),
    kind("Deploy",   "AWS",        "CodeDeploy",                   (1, 1),  (0, 0), CODE_DEPLOY),
    kind("Deploy",   "AWS",        "CodeDeployToECS",              (1, 5),  (0, 0), CODE_DEPLOY),
    kind("Deploy",   "AWS",        "ECS",                          (1, 1),  (0, 0), &["ClusterName", "ServiceName"]),
    kind("Deploy",   "AWS",        "EKS",                          (0, 1),  (0, 0), &["ClusterName"]),
    kind("Deploy",   "AWS",        "EC2",                          (1, 1),  (0, 0), &[]),
    kind("Deploy",   "AWS",        "Lambda",                       (0, 1),  (0, 0), &["FunctionName"]),
    kind("Deploy",   "AWS",        "ElasticBeanstalk",             (1, 1),  (0, 0), BEANSTALK),
    kind("Deploy",   "AWS",        "AppConfig",                    (1, 1),  (0, 0), &["Application", "Environment"]),
    kind("Deploy",   "AWS",        "ServiceCatalog",               (1, 1),  (0, 0), &[]),
    kind("Invoke",   "AWS",        "Lambda",                       (0, 5),  (0, 5), &["FunctionName"]),
    kind("Invoke",   "AWS",        "StepFunctions",                (0, 1),  (0, 1), &["StateMachineArn"]),
    kind("Invoke",   "AWS",        "CodePipeline",                 (0, 0),  (0, 0), &["PipelineName"]),
    kind("Invoke",   "AWS",        "InspectorScan",                (0, 1),  (0, 1), &[]),
    kind("Compute",  "AWS",        "Commands",                     (1, 10), (0, 1), &[]),
];

const CODE_DEPLOY: &[&str] = &["ApplicationName", "DeploymentGroupName"];
const GITHUB: &[&str] = &["Owner", "Repo", "Branch", "OAuthToken"];
const BEANSTALK: &[&str] = &["ApplicationName", "EnvironmentName"];
const CONNECTION: &[&str] = &["ConnectionArn", "FullRepositoryId", "BranchName"];

const fn kind(
    category: &'static str,
    owner: &'static str,
    provider: &'static str,
    inputs: (usize, usize),
    outputs: (usize, usize),
    required: &'static [&'static str],
) -> Kind {
    Kind { category, owner, provider, inputs, outputs, required }
}

/// Checks a structure that has been read.
///
/// # Errors
/// `InvalidStructureException`, `InvalidStageDeclarationException` or `InvalidActionDeclarationException`.
pub(super) fn check(structure: &Structure, declared: &Value) -> Result<(), Failure> {
    check_stages(structure)?;
    for stage in &structure.stages {
        for action in &stage.actions {
            check_kind(structure, action)?;
        }
    }
    check_artifacts(structure)?;
    check_references(structure)?;
    check_failures(structure)?;
    check_version_two(structure, declared)
}

/// A pipeline in mode PARALLEL cannot roll a stage back, and a source stage has nothing to roll back to.
///
/// Source: CodePipeline user guide, "Set or change the pipeline execution mode" and "Configuring stage rollback".
fn check_failures(structure: &Structure) -> Result<(), Failure> {
    for (index, stage) in structure.stages.iter().enumerate() {
        let name = &stage.name;
        if stage.on_failure != OnFailure::Fail && structure.kind != "V2" {
            return Err(wrong(format!("Stage {name} has onFailure, which is only supported for pipelines of type V2")));
        }
        if stage.on_failure == OnFailure::RollBack && structure.mode == "PARALLEL" {
            return Err(wrong(format!("Stage {name} cannot roll back on failure: the execution mode is PARALLEL")));
        }
        if stage.on_failure == OnFailure::RollBack && index == 0 {
            return Err(wrong(format!("Stage {name} cannot roll back on failure: it is the source stage")));
        }
        let timed =
            |action: &&std::sync::Arc<Action>| action.timeout_minutes.is_some() && action.category != "Approval";
        if let Some(action) = stage.actions.iter().find(timed) {
            let message = format!("Action '{}' has timeoutInMinutes, which only Approval actions have", action.name);
            return Err(Failure::sender("InvalidActionDeclarationException", message));
        }
    }
    Ok(())
}

fn check_stages(structure: &Structure) -> Result<(), Failure> {
    let stages = &structure.stages;
    if stages.len() < 2 {
        let count = stages.len();
        return Err(wrong(format!("Pipeline has only {count} stage(s). There should be a minimum of 2 stages.")));
    }
    let mut names = BTreeSet::new();
    for (index, stage) in stages.iter().enumerate() {
        let name = &stage.name;
        if !names.insert(name) {
            return Err(wrong(format!("Stage names must be unique within a pipeline: {name} is used more than once")));
        }
        if stage.actions.is_empty() {
            let message = format!("Stage {name} must contain at least one action");
            return Err(Failure::sender("InvalidStageDeclarationException", message));
        }
        let sources = stage.actions.iter().filter(|action| action.category == "Source").count();
        if index == 0 && sources != stage.actions.len() {
            return Err(wrong("Pipeline should start with a stage that only contains source actions".to_owned()));
        }
        if index > 0 && sources > 0 {
            return Err(wrong(format!("Source actions may only occur in the first stage, not in stage {name}")));
        }
        let mut actions = BTreeSet::new();
        if let Some(twice) = stage.actions.iter().find(|action| !actions.insert(&action.name)) {
            let message =
                format!("Action names must be unique within stage {name}: {} is used more than once", twice.name);
            return Err(wrong(message));
        }
    }
    Ok(())
}

fn check_kind(structure: &Structure, action: &Action) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::sender("InvalidActionDeclarationException", message));
    let Action { name, category, owner, provider, version, .. } = action;
    let known = |kind: &&Kind| kind.category == *category && kind.owner == *owner && kind.provider == *provider;
    let Some(kind) = KINDS.iter().find(known).filter(|_| version == "1") else {
        let region = structure.region.to_uppercase().replace('-', "_");
        return refuse(format!(
            "ActionType (Category: '{category}', Provider: '{provider}', Owner: '{owner}', Version: '{version}') in \
             action '{name}' is not available in region {region}"
        ));
    };
    if let Some(key) = kind.required.iter().find(|key| action.setting(key).is_none()) {
        return refuse(format!("Action configuration for action '{name}' is missing required configuration '{key}'"));
    }
    let counts = [("input", action.inputs.len(), kind.inputs), ("output", action.outputs.len(), kind.outputs)];
    for (which, count, (least, most)) in counts {
        if !(least..=most).contains(&count) {
            return refuse(format!(
                "Action '{name}' has {count} {which} artifact(s). ActionType (Category: '{category}', Provider: \
                 '{provider}', Owner: '{owner}', Version: '{version}') takes from {least} to {most}."
            ));
        }
    }
    Ok(())
}

/// The actions that have ended before another can start, group by group.
fn groups(structure: &Structure) -> impl Iterator<Item = (&str, Vec<&Action>)> {
    structure.stages.iter().flat_map(|stage| {
        let orders: BTreeSet<u64> = stage.actions.iter().map(|action| action.run_order).collect();
        orders.into_iter().map(|order| {
            let actions = stage.actions.iter().map(AsRef::as_ref);
            (stage.name.as_str(), actions.filter(|action: &&Action| action.run_order == order).collect())
        })
    })
}

fn check_artifacts(structure: &Structure) -> Result<(), Failure> {
    let mut made = BTreeSet::new();
    for (_, actions) in groups(structure) {
        for action in &actions {
            if let Some(missing) = action.inputs.iter().find(|name| !made.contains(*name)) {
                return Err(wrong(format!(
                    "Input Artifact Bundle {missing} in action {} is not declared as Output Artifact Bundle in any of \
                     the preceding actions",
                    action.name
                )));
            }
        }
        for name in actions.iter().flat_map(|action| &action.outputs) {
            if !made.insert(name) {
                return Err(wrong(format!(
                    "Output Artifact Bundle name must be unique within the pipeline. {name} has been used more than \
                     once."
                )));
            }
        }
    }
    Ok(())
}

fn check_references(structure: &Structure) -> Result<(), Failure> {
    let mut known: BTreeSet<&str> = BTreeSet::from(["variables", "codepipeline"]);
    for (stage, actions) in groups(structure) {
        for action in &actions {
            for (key, value) in &action.configuration {
                for reference in references(value) {
                    let namespace = reference.split_once('.').map(|(namespace, _)| namespace);
                    let declared = match reference.strip_prefix("variables.") {
                        Some(name) => structure.variables.iter().any(|(variable, _)| variable == name),
                        None => namespace.is_some_and(|namespace| known.contains(namespace)),
                    };
                    if !declared {
                        return Err(Failure::sender(
                            "InvalidActionDeclarationException",
                            format!(
                                "Valid format for a pipeline execution variable reference is a namespace and a key \
                                 separated by a period (.). The following pipeline execution variables are referencing \
                                 a namespace that does not exist. StageName=[{stage}], ActionName=[{}], \
                                 ActionConfigurationKey=[{key}], VariableReferenceText=[{reference}]",
                                action.name
                            ),
                        ));
                    }
                }
            }
        }
        for namespace in actions.iter().filter_map(|action| action.namespace.as_deref()) {
            if !known.insert(namespace) {
                return Err(wrong(format!("Namespaces must be unique within a pipeline: {namespace} is used twice")));
            }
        }
    }
    Ok(())
}

/// The references in a value: what stands between `#{` and `}`.
fn references(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (_, reference, after) = next_reference(rest)?;
        rest = after;
        Some(reference)
    })
}

/// What stands before the first reference, the reference, and what stands after it.
pub(super) fn next_reference(value: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = value.split_once("#{")?;
    let (reference, after) = rest.split_once('}')?;
    Some((before, reference, after))
}

fn check_version_two(structure: &Structure, declared: &Value) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    if let Some((twice, _)) = structure.variables.iter().find(|(name, _)| !names.insert(name)) {
        return Err(wrong(format!("Pipeline variable names must be unique: {twice} is used more than once")));
    }
    if structure.kind == "V2" {
        return Ok(());
    }
    let used = [
        ("Pipeline variables", !structure.variables.is_empty()),
        ("Triggers", declared["triggers"].as_array().is_some_and(|triggers| !triggers.is_empty())),
        ("Execution modes other than SUPERSEDED", structure.mode != "SUPERSEDED"),
    ];
    match used.iter().find(|(_, used)| *used) {
        Some((what, _)) => Err(wrong(format!("{what} are only supported for pipelines of type V2"))),
        None => Ok(()),
    }
}

fn wrong(message: String) -> Failure {
    Failure::sender("InvalidStructureException", message)
}
