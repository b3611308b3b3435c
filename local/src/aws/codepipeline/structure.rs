//! A pipeline's structure, read from its declaration. Whether it makes sense is for `rules` to say.

use super::input::{self, Text};
use super::rules;
use crate::aws::Failure;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long an approval may take at least and at most, in minutes. Source: `ActionTimeout` of the API's model.
const APPROVAL_MINUTES: std::ops::RangeInclusive<u64> = 5..=86_400;

/// The most stages, and actions per stage, that are read. Source: Quotas in AWS CodePipeline.
const MOST_PARTS: usize = 50;

/// One version of a pipeline. It never changes: an edit makes another.
#[derive(Debug, Default)]
pub(super) struct Structure {
    pub(super) pipeline: String,
    pub(super) region: String,
    pub(super) version: u64,
    /// `V1` or `V2`.
    pub(super) kind: &'static str,
    /// `SUPERSEDED`, `QUEUED` or `PARALLEL`.
    pub(super) mode: &'static str,
    /// Where artifacts are said to be.
    pub(super) bucket: String,
    pub(super) stages: Vec<Stage>,
    /// In the order of their declaration, each with its default.
    pub(super) variables: Vec<(String, Option<String>)>,
}

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) actions: Vec<Arc<Action>>,
    pub(super) on_failure: OnFailure,
}

/// What a stage does by itself when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    Fail,
    /// Rolls back to the newest execution that succeeded in it.
    RollBack,
    /// Tries once more, and once only.
    Retry(Scope),
}

/// Which actions a retry runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    FailedActions,
    AllActions,
}

impl Scope {
    /// Reads `FAILED_ACTIONS` or `ALL_ACTIONS`.
    pub(super) const NAMES: [&'static str; 2] = ["FAILED_ACTIONS", "ALL_ACTIONS"];

    pub(super) fn named(name: &str) -> Self {
        if name == "ALL_ACTIONS" { Self::AllActions } else { Self::FailedActions }
    }
}

#[derive(Debug, Default)]
pub(super) struct Action {
    pub(super) name: String,
    pub(super) category: &'static str,
    pub(super) owner: &'static str,
    pub(super) provider: String,
    pub(super) version: String,
    pub(super) run_order: u64,
    pub(super) configuration: BTreeMap<String, String>,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) namespace: Option<String>,
    pub(super) region: Option<String>,
    pub(super) role: Option<String>,
    /// Of approvals: after how many minutes nobody's answer counts any more.
    pub(super) timeout_minutes: Option<u64>,
}

impl Action {
    /// The action's type in the words of the API.
    pub(super) fn type_id(&self) -> Value {
        json!({
            "category": self.category, "owner": self.owner, "provider": self.provider, "version": self.version,
        })
    }

    /// A setting as it was declared, before references are resolved.
    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        self.configuration.get(key).map(String::as_str)
    }
}

impl Structure {
    /// The ARN of the pipeline.
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:codepipeline:{}:{}:{}", self.region, crate::aws::ACCOUNT, self.pipeline)
    }

    /// The source action called `name`.
    pub(super) fn source(&self, name: &str) -> Option<&Action> {
        self.stages.first()?.actions.iter().find(|action| action.name == name).map(AsRef::as_ref)
    }
}

/// Reads and checks a declaration: the structure, and the declaration as GetPipeline gives it back.
///
/// # Errors
/// `ValidationException` for a member out of its bounds, `InvalidStructureException` and its relatives for a
/// pipeline that makes no sense, `NotEmulated` for what this emulation has not.
pub(super) fn read(declared: &Value, region: &str, version: u64) -> Result<(Structure, Value), Failure> {
    let path = "pipeline";
    if !declared.is_object() {
        return Err(input::invalid("null", path, "Member must not be null"));
    }
    let pipeline = input::required(declared, path, "name", &input::NAME)?.to_owned();
    let role = input::required(declared, path, "roleArn", &input::ROLE)?;
    if !role.starts_with("arn:aws") || !role.contains(":role/") {
        let constraint = "Member must satisfy regular expression pattern: arn:aws(-[\\w]+)*:iam::[0-9]{12}:role/.*";
        return Err(input::invalid(&format!("'{role}'"), "pipeline.roleArn", constraint));
    }
    let kind = input::one_of(declared, path, "pipelineType", &["V1", "V2"])?.unwrap_or("V1");
    let mode = input::one_of(declared, path, "executionMode", &["QUEUED", "SUPERSEDED", "PARALLEL"])?;
    let mode = mode.unwrap_or("SUPERSEDED");
    if declared["stages"].is_null() {
        return Err(input::invalid("null", "pipeline.stages", "Member must not be null"));
    }
    let mut stages = Vec::new();
    for (index, stage) in input::list(declared, path, "stages", MOST_PARTS)?.iter().enumerate() {
        stages.push(read_stage(stage, &format!("pipeline.stages.{}.member", index + 1))?);
    }
    let structure = Structure {
        bucket: read_bucket(declared, region)?,
        variables: read_variables(declared)?,
        region: region.to_owned(),
        pipeline,
        version,
        kind,
        mode,
        stages,
    };
    rules::check(&structure, declared)?;
    let shown = shown(declared, &structure);
    Ok((structure, shown))
}

fn read_bucket(declared: &Value, region: &str) -> Result<String, Failure> {
    let (path, store) = match (&declared["artifactStore"], &declared["artifactStores"]) {
        (Value::Null, Value::Object(stores)) => {
            let here = stores.get(region).or_else(|| stores.values().next());
            ("pipeline.artifactStores", here.unwrap_or(&Value::Null))
        }
        (store @ Value::Object(_), Value::Null) => ("pipeline.artifactStore", store),
        _ => {
            let message = "Pipeline must declare exactly one of artifactStore and artifactStores";
            return Err(Failure::sender("InvalidStructureException", message));
        }
    };
    let kind = input::one_of(store, path, "type", &["S3"])?;
    kind.ok_or_else(|| input::invalid("null", &input::join(path, "type"), "Member must not be null"))?;
    Ok(input::required(store, path, "location", &input::BUCKET)?.to_owned())
}

fn read_variables(declared: &Value) -> Result<Vec<(String, Option<String>)>, Failure> {
    let mut variables = Vec::new();
    for (index, variable) in input::list(declared, "pipeline", "variables", 50)?.iter().enumerate() {
        let path = format!("pipeline.variables.{}.member", index + 1);
        let name = input::required(variable, &path, "name", &input::VARIABLE)?;
        let default = input::optional(variable, &path, "defaultValue", &input::VARIABLE_VALUE)?;
        variables.push((name.to_owned(), default.map(str::to_owned)));
    }
    Ok(variables)
}

fn read_stage(stage: &Value, path: &str) -> Result<Stage, Failure> {
    let name = input::required(stage, path, "name", &input::NAME)?.to_owned();
    for (later, condition) in [
        ("beforeEntry", &stage["beforeEntry"]),
        ("onSuccess", &stage["onSuccess"]),
        ("onFailure.conditions", &stage["onFailure"]["conditions"]),
    ] {
        if !condition.is_null() {
            return Err(Failure::not_emulated("CodePipeline", &format!("stage condition {later} (stage {name})")));
        }
    }
    if stage["actions"].is_null() {
        return Err(input::invalid("null", &input::join(path, "actions"), "Member must not be null"));
    }
    let mut actions = Vec::new();
    for (index, action) in input::list(stage, path, "actions", MOST_PARTS)?.iter().enumerate() {
        actions.push(Arc::new(read_action(action, &format!("{path}.actions.{}.member", index + 1))?));
    }
    let on_failure = read_on_failure(&stage["onFailure"], &input::join(path, "onFailure"))?;
    Ok(Stage { name, actions, on_failure })
}

fn read_on_failure(declared: &Value, path: &str) -> Result<OnFailure, Failure> {
    let result = input::one_of(declared, path, "result", &["ROLLBACK", "FAIL", "RETRY", "SKIP"])?;
    let retry = &declared["retryConfiguration"];
    let mode = input::one_of(retry, &input::join(path, "retryConfiguration"), "retryMode", &Scope::NAMES)?;
    match result {
        Some("ROLLBACK") => Ok(OnFailure::RollBack),
        Some("RETRY") => Ok(OnFailure::Retry(Scope::named(mode.unwrap_or_default()))),
        Some("SKIP") => {
            let message = "The result SKIP is only supported for beforeEntry conditions";
            Err(Failure::sender("InvalidStageDeclarationException", message))
        }
        _ => Ok(OnFailure::Fail),
    }
}

fn read_action(action: &Value, path: &str) -> Result<Action, Failure> {
    let kind = &action["actionTypeId"];
    let kind_path = input::join(path, "actionTypeId");
    let categories = ["Source", "Build", "Deploy", "Test", "Invoke", "Approval", "Compute"];
    let enumerated = |key: &str, allowed: &[&'static str]| {
        let missing = || input::invalid("null", &input::join(&kind_path, key), "Member must not be null");
        input::one_of(kind, &kind_path, key, allowed)?.ok_or_else(missing)
    };
    let mut configuration = BTreeMap::new();
    let settings = &action["configuration"];
    for key in settings.as_object().into_iter().flat_map(Map::keys) {
        let path = input::join(path, "configuration");
        input::check(key, &path, &input::SETTING_KEY)?;
        configuration.insert(key.clone(), input::required(settings, &path, key, &input::SETTING)?.to_owned());
    }
    let owned =
        |key: &str, bounds: &Text| Ok::<_, Failure>(input::optional(action, path, key, bounds)?.map(str::to_owned));
    Ok(Action {
        name: input::required(action, path, "name", &input::NAME)?.to_owned(),
        category: enumerated("category", &categories)?,
        owner: enumerated("owner", &["AWS", "ThirdParty", "Custom"])?,
        provider: input::required(kind, &kind_path, "provider", &input::PROVIDER)?.to_owned(),
        version: input::required(kind, &kind_path, "version", &input::TYPE_VERSION)?.to_owned(),
        run_order: input::number(action, path, "runOrder", 1, 999)?.unwrap_or(1),
        configuration,
        inputs: read_artifacts(action, path, "inputArtifacts")?,
        outputs: read_artifacts(action, path, "outputArtifacts")?,
        namespace: owned("namespace", &input::NAMESPACE)?,
        region: owned("region", &input::REGION)?,
        role: owned("roleArn", &input::ROLE)?,
        timeout_minutes: input::number(
            action,
            path,
            "timeoutInMinutes",
            *APPROVAL_MINUTES.start(),
            *APPROVAL_MINUTES.end(),
        )?,
    })
}

fn read_artifacts(action: &Value, path: &str, key: &str) -> Result<Vec<String>, Failure> {
    let path = input::join(path, key);
    let artifacts = input::list(action, "", key, MOST_PARTS)?;
    artifacts.iter().map(|each| input::required(each, &path, "name", &input::ARTIFACT).map(str::to_owned)).collect()
}

/// The declaration with what AWS fills in: the version, and each action's defaults.
fn shown(declared: &Value, structure: &Structure) -> Value {
    let mut shown = declared.clone();
    shown["version"] = json!(structure.version);
    shown["pipelineType"] = json!(structure.kind);
    shown["executionMode"] = json!(structure.mode);
    let stages = shown["stages"].as_array_mut().into_iter().flatten();
    for action in stages.flat_map(|stage| stage["actions"].as_array_mut().into_iter().flatten()) {
        let Some(action) = action.as_object_mut() else { continue };
        let mut default = |key: &str, value: Value| {
            action.entry(key).or_insert(value);
        };
        default("runOrder", json!(1));
        default("configuration", Value::Object(Map::new()));
        default("inputArtifacts", json!([]));
        default("outputArtifacts", json!([]));
    }
    shown
}
