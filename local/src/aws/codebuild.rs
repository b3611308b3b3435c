//! CodeBuild: projects and builds that take their time and end.
//!
//! Nothing is executed. What a build would do is read from its project's inline buildspec (see `script`) and
//! from its environment: `POINTSMAN_LOCAL_RESULT=fail` makes any build fail. A build in a privileged project ends
//! by pushing an image to ECR, whose event comes just before the build's own; where ECR refuses the push the build
//! fails. The image's digest follows from the commit alone, as does everything else here that AWS would make up.

mod build;
mod project;
mod script;
#[cfg(test)]
mod tests;

use super::eventbridge::saved;
use super::{Aws, Call, Failure, Service, lock};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub(crate) use build::image_digest;
use build::{Build, Order, Status};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// How long a build takes at the fast pace.
pub const FAST_BUILD: SignedDuration = SignedDuration::from_millis(400);

/// How long a build takes at the real pace before its `sleep`s are added.
pub const REAL_BUILD: SignedDuration = SignedDuration::from_secs(5);

/// For how long `idempotencyToken` finds the build that it started.
///
/// Source: CodeBuild API reference, StartBuild: "the token … is valid for 5 minutes".
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// How many builds may run at once in a region unless a test says otherwise.
///
/// Source: Quotas for AWS CodeBuild, Linux/Small environments (adjustable).
pub const DEFAULT_BUILD_LIMIT: usize = 60;

/// What one page of a listing holds. Source: CodeBuild API reference, ListBuilds and ListProjects.
const PAGE: usize = 100;

/// The build projects and builds of every region.
#[derive(Default)]
pub struct CodeBuild {
    state: Mutex<State>,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    regions: BTreeMap<String, Region>,
    limit: Option<usize>,
}

#[derive(Default, Serialize, Deserialize)]
struct Region {
    projects: BTreeMap<String, Project>,
    /// In the order in which they started.
    builds: Vec<Build>,
    /// Those in `builds` that have not ended.
    running: BTreeSet<usize>,
    /// When the token was first used, with what, and what it started.
    tokens: BTreeMap<String, (Timestamp, Value, String)>,
}

impl Region {
    /// The builds that have not ended, the oldest first.
    fn running(&self) -> impl Iterator<Item = &Build> {
        self.running.iter().filter_map(|index| self.builds.get(*index))
    }

    /// Forgets among those that run the ones that have ended.
    fn forget_ended(&mut self) {
        let builds = &self.builds;
        self.running.retain(|index| builds.get(*index).is_some_and(|build| build.status == Status::InProgress));
    }
}

#[derive(Serialize, Deserialize)]
struct Project {
    /// As `Project` of the API.
    declared: Value,
    builds_so_far: u64,
}

/// What a pipeline asks of a build.
pub(crate) struct PipelineBuild {
    pub(crate) project: String,
    /// The second half of the build's id, chosen by the caller so that it knows the id beforehand.
    pub(crate) uuid: String,
    pub(crate) commit: String,
    /// A list of `{name, value, type}`.
    pub(crate) environment: Value,
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// Ends badly, whatever the project says.
    pub(crate) fails: bool,
    /// Takes this long, whatever the project says.
    pub(crate) takes: Option<SignedDuration>,
}

impl CodeBuild {
    /// Everything there is, for [`CodeBuild::restore`].
    pub(crate) fn save(&self) -> Value {
        saved::save(&self.state)
    }

    /// Puts back what [`CodeBuild::save`] saw. Builds that were due meanwhile end at once.
    ///
    /// # Errors
    /// When it is something else. Nothing is changed then.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        saved::restore(&self.state, saved)
    }

    /// Bounds how many builds run at once in a region; `None` is AWS's own default.
    pub fn set_build_limit(&self, limit: Option<usize>) {
        lock(&self.state).limit = limit;
    }

    /// Starts a build for a pipeline and returns its id. Its end is told by `CodePipeline::work_ended`.
    pub(crate) fn start_for_pipeline(&self, aws: &Aws, region: &str, wanted: PipelineBuild) -> Result<String, Failure> {
        let now = aws.clock().now();
        let order = Order {
            project: wanted.project,
            uuid: wanted.uuid,
            source_version: Some(wanted.commit),
            overrides: json!({ "environmentVariablesOverride": wanted.environment }),
            initiator: format!("codepipeline/{}", wanted.pipeline),
            fails: wanted.fails,
            takes: wanted.takes,
        };
        let build = self.begin(aws, region, order, now)?;
        aws.emit(region, build.event("SUBMITTED", now));
        Ok(build.id)
    }

    fn begin(&self, aws: &Aws, region: &str, order: Order, now: Timestamp) -> Result<Build, Failure> {
        let mut state = lock(&self.state);
        let limit = state.limit.unwrap_or(DEFAULT_BUILD_LIMIT);
        let here = state.regions.entry(region.to_owned()).or_default();
        if !here.projects.contains_key(&order.project) {
            if aws.behaviour().strict {
                return Err(no_project(region, &order.project));
            }
            let made = Project { declared: project::made_on_first_use(region, &order.project, now), builds_so_far: 0 };
            here.projects.insert(order.project.clone(), made);
        }
        if here.running.len() >= limit {
            let message = format!("Cannot have more than {limit} builds in queue for the account");
            return Err(Failure::sender("AccountLimitExceededException", message));
        }
        let Some(project) = here.projects.get_mut(&order.project) else {
            return Err(no_project(region, &order.project));
        };
        project.builds_so_far += 1;
        let build = Build::new(aws.behaviour().pace, region, &project.declared, project.builds_so_far, order, now);
        here.running.insert(here.builds.len());
        here.builds.push(build.clone());
        Ok(build)
    }

    fn start_build(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let project = required(&call.input, "projectName")?.to_owned();
        let token = call.input["idempotencyToken"].as_str().map(str::to_owned);
        if let Some(known) = token.as_deref().map(|token| self.known(call, token)).transpose()?.flatten() {
            return Ok(json!({ "build": known }));
        }
        let order = Order {
            project,
            uuid: aws.uuid(),
            source_version: call.input["sourceVersion"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
            overrides: call.input.clone(),
            initiator: initiator(&call.caller),
            fails: false,
            takes: None,
        };
        let build = self.begin(aws, &call.region, order, call.now)?;
        if let Some(token) = token {
            let used = (call.now, call.input.clone(), build.id.clone());
            lock(&self.state).regions.entry(call.region.clone()).or_default().tokens.insert(token, used);
        }
        aws.emit(&call.region, build.event("SUBMITTED", call.now));
        Ok(json!({ "build": build.answer(call.now) }))
    }

    /// The build that `token` started within [`TOKEN_LIFE`].
    fn known(&self, call: &Call, token: &str) -> Result<Option<Value>, Failure> {
        let state = lock(&self.state);
        let Some(here) = state.regions.get(&call.region) else { return Ok(None) };
        match here.tokens.get(token) {
            Some((since, _, _)) if call.now.duration_since(*since) >= TOKEN_LIFE => Ok(None),
            Some((_, input, _)) if *input != call.input => {
                Err(invalid("The idempotency token was used before with different parameters"))
            }
            Some((_, _, id)) => {
                Ok(here.builds.iter().find(|build| build.id == *id).map(|build| build.answer(call.now)))
            }
            None => Ok(None),
        }
    }

    /// Pushes the images of the builds that are about to end, and returns the ARNs of those whose push was refused.
    fn push_images(&self, aws: &Aws, now: Timestamp) -> BTreeSet<String> {
        let is_due = |build: &&Build| build.due <= now && build.comes_to_push();
        let due: Vec<Build> = {
            let state = lock(&self.state);
            state.regions.values().flat_map(Region::running).filter(is_due).cloned().collect()
        };
        let refused = due.iter().filter(|build| match aws.ecr().push(aws, &build.region, build.image()) {
            Ok(()) => false,
            Err(failure) => {
                tracing::info!(build = build.id, code = failure.code, "the push of an image is refused");
                true
            }
        });
        refused.map(Build::arn).collect()
    }

    fn stop_build(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let wanted = required(&call.input, "id")?;
        let (answer, ended) = {
            let mut state = lock(&self.state);
            let here = state.regions.entry(call.region.clone()).or_default();
            let found = here.builds.iter_mut().find(|build| build.is(wanted));
            let build = found.ok_or_else(|| not_found(&format!("Build {wanted} does not exist")))?;
            // Stopping what has ended changes nothing and answers with the build as it is.
            let running = build.status == Status::InProgress;
            if running {
                build.end(Status::Stopped, call.now);
            }
            let answer = (build.answer(call.now), running.then(|| build.clone()));
            here.forget_ended();
            answer
        };
        if let Some(build) = ended {
            tell(aws, &build, call.now);
        }
        Ok(json!({ "build": answer }))
    }

    fn read(&self, call: &Call) -> Result<Value, Failure> {
        one_of(&call.input, "sortOrder", &["ASCENDING", "DESCENDING"])?;
        one_of(&call.input, "sortBy", &["CREATED_TIME", "LAST_MODIFIED_TIME", "NAME"])?;
        let state = lock(&self.state);
        let nowhere = Region::default();
        let here = state.regions.get(&call.region).unwrap_or(&nowhere);
        let input = &call.input;
        let ids = |project: Option<&str>| {
            let chosen = here.builds.iter().filter(|build| project.is_none_or(|name| build.project == name));
            let mut ids: Vec<String> = chosen.map(|build| build.id.clone()).collect();
            if input["sortOrder"] != "ASCENDING" {
                ids.reverse();
            }
            ids
        };
        match call.operation.as_str() {
            "BatchGetBuilds" => {
                let (builds, missing) = pick(input, "ids", |wanted| {
                    here.builds.iter().find(|build| build.is(wanted)).map(|build| build.answer(call.now))
                })?;
                Ok(json!({ "builds": builds, "buildsNotFound": missing }))
            }
            "BatchGetProjects" => {
                let (projects, missing) = pick(input, "names", |wanted| {
                    let name = wanted.rsplit(":project/").next().unwrap_or(wanted);
                    here.projects.get(name).map(|project| project.declared.clone())
                })?;
                Ok(json!({ "projects": projects, "projectsNotFound": missing }))
            }
            "ListBuilds" => page("ids", ids(None), input),
            "ListBuildsForProject" => {
                let name = required(input, "projectName")?;
                if !here.projects.contains_key(name) {
                    return Err(no_project(&call.region, name));
                }
                page("ids", ids(Some(name)), input)
            }
            _ => page("projects", sorted_projects(here, input), input),
        }
    }

    fn change_project(&self, call: &Call) -> Result<Value, Failure> {
        let name = required(&call.input, "name")?;
        let mut state = lock(&self.state);
        let projects = &mut state.regions.entry(call.region.clone()).or_default().projects;
        match call.operation.as_str() {
            "CreateProject" => {
                let declared = project::declare(call, name)?;
                if projects.contains_key(name) {
                    let message = format!("Project already exists: {}", project::arn_of(&call.region, name));
                    return Err(Failure::sender("ResourceAlreadyExistsException", message));
                }
                projects.insert(name.to_owned(), Project { declared: declared.clone(), builds_so_far: 0 });
                Ok(json!({ "project": declared }))
            }
            "UpdateProject" => {
                let project = projects.get_mut(name).ok_or_else(|| no_project(&call.region, name))?;
                for part in ["source", "artifacts", "environment"] {
                    if !call.input[part].is_null() && !call.input[part].is_object() {
                        return Err(invalid(&format!("Project {part} is not a structure")));
                    }
                }
                project::take_over(&mut project.declared, &call.input)?;
                project.declared["lastModified"] = epoch(call.now);
                Ok(json!({ "project": project.declared }))
            }
            // Deleting what does not exist succeeds, as on AWS.
            _ => {
                projects.remove(name);
                Ok(json!({}))
            }
        }
    }
}

impl Service for CodeBuild {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        match call.operation.as_str() {
            "CreateProject" | "UpdateProject" | "DeleteProject" => self.change_project(call),
            "BatchGetProjects" | "ListProjects" | "BatchGetBuilds" | "ListBuilds" | "ListBuildsForProject" => {
                self.read(call)
            }
            "StartBuild" => self.start_build(aws, call),
            "StopBuild" => self.stop_build(aws, call),
            other => Err(Failure::not_emulated("CodeBuild", other)),
        }
    }

    fn operations(&self) -> &'static [&'static str] {
        &[
            "BatchGetBuilds",
            "BatchGetProjects",
            "CreateProject",
            "DeleteProject",
            "ListBuilds",
            "ListBuildsForProject",
            "ListProjects",
            "StartBuild",
            "StopBuild",
            "UpdateProject",
        ]
    }

    fn next_due(&self) -> Option<Timestamp> {
        let state = lock(&self.state);
        state.regions.values().flat_map(Region::running).map(|build| build.due).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let refused = self.push_images(aws, now);
        let mut ended = Vec::new();
        for here in lock(&self.state).regions.values_mut() {
            for index in &here.running {
                let Some(build) = here.builds.get_mut(*index).filter(|build| build.due <= now) else { continue };
                if refused.contains(&build.arn()) {
                    build.fail_push();
                }
                let fails = build.script.fails_in.is_some();
                build.end(if fails { Status::Failed } else { Status::Succeeded }, now);
                ended.push(build.clone());
            }
            here.forget_ended();
        }
        for build in ended {
            tell(aws, &build, now);
        }
    }
}

/// Tells the world that `build` has ended, then the pipeline that waits for it.
fn tell(aws: &Aws, build: &Build, now: Timestamp) {
    aws.emit(&build.region, build.event("COMPLETED", now));
    if build.initiator.starts_with("codepipeline/") {
        aws.codepipeline().work_ended(aws, &build.told());
    }
}

/// The names of a region's projects, as `sortBy` and `sortOrder` ask for them.
fn sorted_projects(here: &Region, input: &Value) -> Vec<String> {
    let mut projects: Vec<(&String, &Project)> = here.projects.iter().collect();
    let moment = |project: &Project, key: &str| (project.declared[key].as_f64().unwrap_or(0.0) * 1000.0) as i64;
    match input["sortBy"].as_str() {
        Some("CREATED_TIME") => projects.sort_by_key(|(_, project)| moment(project, "created")),
        Some("LAST_MODIFIED_TIME") => projects.sort_by_key(|(_, project)| moment(project, "lastModified")),
        _ => {}
    }
    if input["sortOrder"] == "DESCENDING" {
        projects.reverse();
    }
    projects.into_iter().map(|(name, _)| name.clone()).collect()
}

/// One page of `names`, and where the next begins. The token names the last item given, so no two are alike.
fn page(key: &str, names: Vec<String>, input: &Value) -> Result<Value, Failure> {
    let start = match input["nextToken"].as_str().filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| names.iter().position(|name| name.as_bytes() == bytes))
            .map(|last| last + 1)
            .ok_or_else(|| invalid("Invalid next token"))?,
    };
    let given: Vec<&String> = names.iter().skip(start).take(PAGE).collect();
    let mut answer = json!({ key: given });
    if let (true, Some(last)) = (start + given.len() < names.len(), given.last()) {
        answer["nextToken"] = json!(URL_SAFE_NO_PAD.encode(last.as_bytes()));
    }
    Ok(answer)
}

/// Looks up each of the names under `key`: what was found, and the names that were not.
fn pick(input: &Value, key: &str, find: impl Fn(&str) -> Option<Value>) -> Result<(Vec<Value>, Vec<String>), Failure> {
    let wanted: Vec<&str> = input[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if wanted.is_empty() || wanted.len() > PAGE {
        return Err(invalid(&format!("Invalid {key}: between 1 and {PAGE} are required")));
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in wanted {
        match find(name) {
            Some(value) => found.push(value),
            None => missing.push(name.to_owned()),
        }
    }
    Ok((found, missing))
}

/// How CodeBuild calls a caller: the user's name, or `role/session`.
fn initiator(caller: &str) -> String {
    caller.split_once('/').map_or_else(|| caller.rsplit(':').next().unwrap_or(caller), |(_, name)| name).to_owned()
}

/// The SHA-256 of `text` in lower-case hex.
pub(crate) fn hex_sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A moment as awsJson carries it: seconds since the Unix epoch, with milliseconds.
pub(crate) fn epoch(at: Timestamp) -> Value {
    json!(at.as_millisecond() as f64 / 1000.0)
}

/// Refuses a member that is there and holds none of `words`.
fn one_of(input: &Value, key: &str, words: &[&str]) -> Result<(), Failure> {
    let given = &input[key];
    if given.is_null() || given.as_str().is_some_and(|given| words.contains(&given)) {
        return Ok(());
    }
    Err(invalid(&format!("Invalid {key}: {given} is none of {words:?}")))
}

fn required<'a>(input: &'a Value, key: &str) -> Result<&'a str, Failure> {
    let given = input[key].as_str().filter(|text| !text.is_empty());
    given.ok_or_else(|| invalid(&format!("Required parameter {key} is missing or empty")))
}

fn invalid(message: &str) -> Failure {
    Failure::sender("InvalidInputException", message)
}

fn not_found(message: &str) -> Failure {
    Failure::sender("ResourceNotFoundException", message)
}

fn no_project(region: &str, name: &str) -> Failure {
    not_found(&format!("Project cannot be found: {}", project::arn_of(region, name)))
}
