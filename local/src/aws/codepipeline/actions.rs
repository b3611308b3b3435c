//! Single actions: what each is given, how long it takes, how it ends and what it leaves behind.
//!
//! A tag `local:STAGE/ACTION` on the pipeline decides over an action: `fail` makes it fail, `90s` (also `5m`)
//! makes it take that long at the real pace, `fail 90s` does both. The fast pace ignores durations.

use super::approvals;
use super::engine::{Effect, Turn};
use super::events;
use super::model::{ActionRun, Artifact, Ends, Execution, Outcome, Revision, Status, Verdict};
use super::rules;
use super::structure::Action;
use crate::aws::codebuild::{PipelineBuild, hex_sha256, image_digest};
use crate::aws::{ACCOUNT, Pace, codedeploy, ecs};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long an action takes at the fast pace. Builds take [`crate::aws::codebuild::FAST_BUILD`].
pub(super) const FAST: SignedDuration = SignedDuration::from_millis(300);
/// How long a source action takes at the real pace without a tag.
const REAL_SOURCE: SignedDuration = SignedDuration::from_secs(3);
/// How long every other action takes at the real pace without a tag.
const REAL: SignedDuration = SignedDuration::from_secs(20);

/// Starts `action` in the stage that `execution` is in.
pub(super) fn begin(
    execution: &mut Execution,
    action: &Arc<Action>,
    tags: &BTreeMap<String, String>,
    turn: &mut Turn<'_>,
) {
    let Some(stage) = execution.inside().map(|run| run.name.clone()) else { return };
    let tag = Tag::read(tags.get(&format!("local:{stage}/{}", action.name)).map_or("", String::as_str));
    let mut run = ActionRun {
        id: turn.aws.uuid(),
        name: action.name.clone(),
        retried: false,
        status: Status::InProgress,
        started: turn.now,
        updated: turn.now,
        ends: Ends::At(turn.now.saturating_add(tag.duration(turn.aws.behaviour().pace, action)).unwrap_or(turn.now)),
        verdict: if tag.fails { tag_verdict() } else { Verdict::Succeeds },
        resolved: action.configuration.clone(),
        inputs: action.inputs.iter().map(|name| (name.clone(), location(execution, name))).collect(),
        outputs: Vec::new(),
        result: Outcome::default(),
        variables: BTreeMap::new(),
        token: None,
        updated_by: None,
        action: Arc::clone(action),
    };
    let mut effect = None;
    match resolve(execution, &action.configuration) {
        Ok(resolved) => {
            run.resolved = resolved;
            match (action.category, action.provider.as_str()) {
                ("Approval", _) => effect = approvals::ask(execution, &stage, &mut run, turn),
                ("Build" | "Test", "CodeBuild") => effect = prepare_build(execution, &mut run, &tag, turn),
                ("Deploy", "ECS" | "CodeDeployToECS") => effect = Some(prepare_deploy(execution, &mut run, &tag)),
                _ => {}
            }
        }
        Err(message) => misconfigured(&mut run, turn.now, message),
    }
    execution.updated = turn.now;
    turn.effects.push(events::of_action(execution, &stage, &run, Status::InProgress));
    turn.effects.extend(effect);
    if let Some(stage) = execution.stages.last_mut() {
        stage.actions.push(run);
    }
}

/// Ends `run` with `verdict` and keeps what it leaves behind.
pub(super) fn end(execution: &mut Execution, run: &mut ActionRun, verdict: Verdict, now: Timestamp) {
    run.updated = now;
    execution.updated = now;
    match verdict {
        Verdict::Fails { code, message } => {
            run.status = Status::Failed;
            run.result.summary = Some(message.clone());
            run.result.error = Some((code, message));
        }
        Verdict::Succeeds => {
            run.status = Status::Succeeded;
            let revision = match run.action.category {
                "Source" => found(execution, run, now),
                _ => primary_revision(execution, run).unwrap_or_default(),
            };
            for name in &run.action.outputs {
                let key = key(execution, name);
                run.outputs.push((name.clone(), key.clone()));
                execution.artifacts.insert(name.clone(), Artifact { revision: revision.clone(), key });
            }
            if run.result.external_id.is_none() && !matches!(run.action.category, "Source" | "Approval") {
                run.result.external_id = Some(run.id.clone());
            }
            if run.action.category == "Deploy" && run.result.summary.is_none() {
                run.result.summary = Some("Deployment Succeeded".to_owned());
            }
        }
    }
    if let Some(namespace) = &run.action.namespace {
        execution.outputs.insert(namespace.clone(), run.variables.clone());
    }
}

/// What a pipeline's tag says of an action.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tag {
    fails: bool,
    takes: Option<SignedDuration>,
}

impl Tag {
    fn read(value: &str) -> Self {
        let mut tag = Self::default();
        for word in value.split_whitespace() {
            let number = |unit| word.strip_suffix(unit).and_then(|number: &str| number.parse::<u32>().ok());
            if word == "fail" {
                tag.fails = true;
            } else if let Some(seconds) = number("s") {
                tag.takes = Some(SignedDuration::from_secs(i64::from(seconds)));
            } else if let Some(minutes) = number("m") {
                tag.takes = Some(SignedDuration::from_mins(i64::from(minutes)));
            }
        }
        tag
    }

    fn duration(&self, pace: Pace, action: &Action) -> SignedDuration {
        match (pace, action.category) {
            (Pace::Fast, _) => FAST,
            (Pace::Real, "Source") => self.takes.unwrap_or(REAL_SOURCE),
            (Pace::Real, _) => self.takes.unwrap_or(REAL),
        }
    }
}

fn tag_verdict() -> Verdict {
    Verdict::Fails { code: "JobFailed".to_owned(), message: "The pipeline's tag told this action to fail".to_owned() }
}

fn misconfigured(run: &mut ActionRun, now: Timestamp, message: String) {
    run.ends = Ends::At(now);
    run.verdict = Verdict::Fails { code: "ConfigurationError".to_owned(), message };
}

/// Makes `run` wait for a build, and says which build to start.
fn prepare_build(execution: &Execution, run: &mut ActionRun, tag: &Tag, turn: &Turn<'_>) -> Option<Effect> {
    let region = run.action.region.clone().unwrap_or_else(|| execution.structure.region.clone());
    let project = run.resolved.get("ProjectName").cloned().unwrap_or_default();
    let environment = match run.resolved.get("EnvironmentVariables").map(|text| serde_json::from_str::<Value>(text)) {
        None => json!([]),
        Some(Ok(list)) if list.is_array() => list,
        Some(_) => {
            let message = "Invalid action configuration: EnvironmentVariables is not a JSON list".to_owned();
            misconfigured(run, turn.now, message);
            return None;
        }
    };
    let uuid = turn.aws.uuid();
    let id = format!("{project}:{uuid}");
    run.result.url =
        Some(format!("https://console.aws.amazon.com/codebuild/home?region={region}#/builds/{id}/view/new"));
    run.result.external_id = Some(id.clone());
    run.ends = Ends::WithWork(id);
    let build = PipelineBuild {
        project,
        uuid,
        commit: primary_revision(execution, run).unwrap_or_default(),
        environment,
        pipeline: execution.structure.pipeline.clone(),
        fails: tag.fails,
        takes: tag.takes,
    };
    Some(Effect::Build { region, build })
}

/// Makes `run` wait for a deployment, and says which one to start. The image's digest follows from the commit alone,
/// so it is the one that a build of that commit pushed.
fn prepare_deploy(execution: &Execution, run: &mut ActionRun, tag: &Tag) -> Effect {
    let region = run.action.region.clone().unwrap_or_else(|| execution.structure.region.clone());
    let setting = |key: &str| run.resolved.get(key).cloned().unwrap_or_default();
    let (key, fails, takes) = (run.id.clone(), tag.fails, tag.takes);
    let digest = image_digest(&primary_revision(execution, run).unwrap_or_default());
    let image = |repository: &str| format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{repository}@{digest}");
    let effect = if run.action.provider == "ECS" {
        let (cluster, service) = (setting("ClusterName"), setting("ServiceName"));
        let image = image(&service);
        let deploy = ecs::PipelineDeploy { key, cluster, service, image, container: None, fails, takes };
        Effect::DeployService { region: region.clone(), deploy }
    } else {
        let (application, group) = (setting("ApplicationName"), setting("DeploymentGroupName"));
        let image = image(&application);
        let deploy = codedeploy::PipelineDeploy { key, application, group, image, fails, takes };
        Effect::DeployGroup { region: region.clone(), deploy }
    };
    run.ends = Ends::WithWork(run.id.clone());
    effect
}

/// The revision behind an action's primary input: `PrimarySource`, or the first.
fn primary_revision(execution: &Execution, run: &ActionRun) -> Option<String> {
    let primary = run.resolved.get("PrimarySource").or_else(|| run.action.inputs.first())?;
    execution.artifacts.get(primary).map(|artifact| artifact.revision.clone())
}

/// Keeps the revision that a source action found, and returns it.
fn found(execution: &mut Execution, run: &mut ActionRun, now: Timestamp) -> String {
    let provider = run.action.provider.clone();
    let setting = |key: &str| run.resolved.get(key).cloned().unwrap_or_default();
    let told = execution.overrides.iter().find(|each| each.action == run.action.name && each.kind != "S3_OBJECT_KEY");
    let repository = match provider.as_str() {
        "CodeStarSourceConnection" => setting("FullRepositoryId"),
        "GitHub" => format!("{}/{}", setting("Owner"), setting("Repo")),
        "S3" => setting("S3Bucket"),
        _ => setting("RepositoryName"),
    };
    let branch = setting(if provider == "GitHub" { "Branch" } else { "BranchName" });
    let made_up = hex_sha256(&format!("commit:{repository}:{branch}"));
    let id = match (told, provider.as_str()) {
        (Some(told), _) => told.value.clone(),
        (None, "ECR") => format!("sha256:{made_up}"),
        (None, "S3") => made_up[..32].to_owned(),
        (None, _) => made_up[..40].to_owned(),
    };
    let region = &execution.structure.region;
    let (summary, url) = match provider.as_str() {
        "CodeStarSourceConnection" => {
            let connection = setting("ConnectionArn");
            let url = "https://console.aws.amazon.com/codesuite/settings/connections/redirect";
            let summary = json!({ "ProviderType": "GitHub", "CommitMessage": format!("Commit {id}") }).to_string();
            (
                summary,
                format!(
                    "{url}?connectionArn={connection}&referenceType=COMMIT&FullRepositoryId={repository}&Commit={id}"
                ),
            )
        }
        "GitHub" => (format!("Commit {id}"), format!("https://github.com/{repository}/commit/{id}")),
        "CodeCommit" => {
            let home = format!("https://{region}.console.aws.amazon.com/codecommit/home#/repository");
            (format!("Commit {id}"), format!("{home}/{repository}/commit/{id}"))
        }
        "S3" => {
            (format!("Amazon S3 version id: {id}"), format!("https://console.aws.amazon.com/s3/home?region={region}#"))
        }
        _ => (id.clone(), format!("https://console.aws.amazon.com/ecr/home?region={region}#")),
    };
    run.variables = source_variables(execution, run, &repository, &branch, &id);
    run.result =
        Outcome { external_id: Some(id.clone()), url: Some(url.clone()), summary: Some(summary.clone()), error: None };
    if let Some(artifact) = run.action.outputs.first().cloned() {
        let action = run.action.name.clone();
        // A retried source stage finds its revision anew.
        execution.revisions.retain(|known| known.action != action);
        execution.revisions.push(Revision { action, artifact, id: id.clone(), summary, url, created: now });
    }
    id
}

/// The output variables of a source action.
///
/// Source: CodePipeline user guide, "Variables available for pipeline actions".
fn source_variables(
    execution: &Execution,
    run: &ActionRun,
    repository: &str,
    branch: &str,
    id: &str,
) -> BTreeMap<String, String> {
    let setting = |key: &str| run.resolved.get(key).cloned().unwrap_or_default();
    let date = execution.started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let git = [("AuthorDate", date.clone()), ("BranchName", branch.to_owned()), ("CommitId", id.to_owned())];
    let mut pairs: Vec<(&str, String)> = git.to_vec();
    match run.action.provider.as_str() {
        "CodeStarSourceConnection" => pairs.extend([
            ("CommitMessage", format!("Commit {id}")),
            ("ConnectionArn", setting("ConnectionArn")),
            ("FullRepositoryName", repository.to_owned()),
        ]),
        "GitHub" => pairs.extend([
            ("CommitMessage", format!("Commit {id}")),
            ("CommitUrl", format!("https://api.github.com/repos/{repository}/git/commits/{id}")),
            ("CommitterDate", date),
            ("RepositoryName", setting("Repo")),
        ]),
        "S3" => {
            let overridden =
                execution.overrides.iter().find(|each| each.kind == "S3_OBJECT_KEY" && each.action == run.action.name);
            let key = overridden.map_or_else(|| setting("S3ObjectKey"), |each| each.value.clone());
            pairs = vec![("BucketName", repository.to_owned()), ("ObjectKey", key), ("VersionId", id.to_owned())];
            pairs.push(("ETag", hex_sha256(id)[..32].to_owned()));
        }
        "ECR" => {
            let tag = Some(setting("ImageTag")).filter(|tag| !tag.is_empty()).unwrap_or_else(|| "latest".to_owned());
            let region = &execution.structure.region;
            let uri = format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/{repository}@{id}");
            pairs = vec![("ImageDigest", id.to_owned()), ("ImageTag", tag), ("ImageURI", uri)];
            pairs.extend([("RegistryId", ACCOUNT.to_owned()), ("RepositoryName", repository.to_owned())]);
        }
        _ => pairs.extend([
            ("CommitMessage", format!("Commit {id}")),
            ("CommitterDate", date),
            ("RepositoryName", repository.to_owned()),
        ]),
    }
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The configuration with every `#{namespace.variable}` replaced.
fn resolve(
    execution: &Execution,
    configuration: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let resolved = configuration.iter().map(|(key, value)| {
        let text = replace(execution, value).map_err(|reference| {
            format!("Invalid action configuration: the variable reference #{{{reference}}} in {key} cannot be resolved")
        })?;
        Ok((key.clone(), text))
    });
    resolved.collect()
}

/// One value with its references replaced, in one pass: what a reference brings in is not looked at again.
fn replace<'a>(execution: &Execution, value: &'a str) -> Result<String, &'a str> {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, reference, after)) = rules::next_reference(rest) {
        text.push_str(before);
        text.push_str(&lookup(execution, reference).ok_or(reference)?);
        rest = after;
    }
    Ok(text + rest)
}

fn lookup(execution: &Execution, reference: &str) -> Option<String> {
    match reference.split_once('.')? {
        ("variables", name) => {
            execution.variables.iter().find(|(variable, _)| variable == name).map(|(_, value)| value.clone())
        }
        ("codepipeline", "PipelineExecutionId") => Some(execution.id.clone()),
        (namespace, name) => execution.outputs.get(namespace)?.get(name).cloned(),
    }
}

fn location(execution: &Execution, artifact: &str) -> String {
    execution.artifacts.get(artifact).map(|found| found.key.clone()).unwrap_or_default()
}

/// Where an artifact would be in the bucket: both names cut off, as AWS does it.
fn key(execution: &Execution, artifact: &str) -> String {
    let cut = |name: &str, most: usize| name.chars().take(most).collect::<String>();
    let unique = hex_sha256(&format!("{}:{artifact}", execution.id));
    format!("{}/{}/{}", cut(&execution.structure.pipeline, 20), cut(artifact, 10), &unique[..7])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_how_an_action_goes() {
        let seconds = |n| Some(SignedDuration::from_secs(n));
        #[rustfmt::skip]
        let cases = [
            // value        fails   takes         why
            ("",            false,  None,         "no tag"),
            ("fail",        true,   None,         "the result alone"),
            ("90s",         false,  seconds(90),  "the duration alone"),
            ("fail 90s",    true,   seconds(90),  "both"),
            ("5m",          false,  seconds(300), "minutes"),
            ("failure",     false,  None,         "only the exact word"),
            ("-5s",         false,  None,         "no negative durations"),
        ];
        for (value, fails, takes, why) in cases {
            assert_eq!(Tag::read(value), Tag { fails, takes }, "{value}: {why}");
        }
    }
}
