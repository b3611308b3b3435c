//! Reads `[[routes]]`, and resolves what each leaves open: its name, its region.

use super::limits::{MAX_ROUTES, MAX_ROUTES_PER_REPOSITORY};
use super::problem::{Place, Problems};
use super::tree::{At, Table, suggest};
use super::variables;
use super::words::{
    ACTION, PIPELINE, PROJECT, REPOSITORY, ROUTE, WORKFLOW_FILE, WORKFLOW_NAME, aws_region, patterns, word,
};
use crate::domain::pattern::{Patterns, Separator};
use crate::domain::policy::Environment;
use crate::domain::route::{Route, Target, Trigger};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ROUTE_KEYS: [&str; 17] = [
    "name",
    "repository",
    "on",
    "branch",
    "tag",
    "paths",
    "from",
    "require_signed",
    "pipeline",
    "build",
    "workflow",
    "workflow_name",
    "source_action",
    "environment",
    "approval",
    "variables",
    "region",
];
/// The kinds of change, each with the filters that go with it.
const ON: [(&str, &[&str]); 6] = [
    ("push", &["branch", "paths", "from"]),
    ("tag", &["tag"]),
    ("pull_request", &["branch"]),
    ("workflow_run", &["branch", "workflow_name"]),
    ("release", &["tag"]),
    ("codecommit", &["branch", "paths", "from"]),
];
const FILTERS: [&str; 5] = ["branch", "tag", "paths", "from", "workflow_name"];
const TARGETS: [&str; 3] = ["pipeline", "build", "workflow"];
/// What is refused for now, wherever it stands: it is suggested to nobody.
const KEYS_NOT_YET: [&str; 3] = ["from", "require_signed", "workflow"];
const ON_NOT_YET: &str = "codecommit";
const NOT_YET: &str = "not yet: this comes with a later version of Pointsman";

type Environments = BTreeMap<String, Environment>;

/// What routes refer to.
#[derive(Clone, Copy)]
pub(super) struct Context<'c> {
    pub(super) environments: &'c Environments,
    pub(super) stack_region: &'c str,
}

/// A route that could be read, and where it stands.
pub(super) struct ReadRoute {
    pub(super) route: Route,
    pub(super) place: Place,
}

/// Every route that can be read, in the order of the file.
pub(super) fn read(root: &Table<'_>, context: Context<'_>, problems: &mut Problems<'_>) -> Vec<ReadRoute> {
    let elements = root.get("routes").and_then(|value| value.list(MAX_ROUTES, problems)).unwrap_or_default();
    let mut names = Names::default();
    let mut routes = Vec::new();
    for element in &elements {
        let Some(table) = element.table_with(&ROUTE_KEYS, &KEYS_NOT_YET, problems) else { continue };
        let written = names.meet(&table, problems);
        if let Some(route) = read_route(&table, context, problems) {
            routes.push((ReadRoute { route, place: element.place.clone() }, written));
        }
    }
    names.give(&mut routes);
    routes.into_iter().map(|(route, _)| route).collect()
}

/// The names of routes: unique within a repository.
#[derive(Default)]
struct Names {
    routes_of_repository: BTreeMap<String, usize>,
    taken: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// Counts a route for its repository and takes the name that is written for it.
    fn meet(&mut self, table: &Table<'_>, problems: &mut Problems<'_>) -> Option<String> {
        let name = table.get("name").and_then(|value| word(&value, &ROUTE, problems));
        let repository = table.get("repository").and_then(|value| value.as_str().map(str::to_ascii_lowercase))?;
        let count = self.routes_of_repository.entry(repository.clone()).or_default();
        *count += 1;
        if *count == MAX_ROUTES_PER_REPOSITORY + 1 {
            let hint = format!("at most {MAX_ROUTES_PER_REPOSITORY} are taken");
            problems.error(&table.place, format!("too many routes of {repository}"), hint);
        }
        let name = name?;
        if !self.taken.entry(repository.clone()).or_default().insert(name.value.clone()) {
            let message = format!("another route of {repository} is called {:?}", name.value);
            problems.error(&name.place, message, "a name is unique within its repository");
        }
        Some(name.value)
    }

    /// Gives the others their names: the target's, then `#2`, `#3` …, past those that are written.
    fn give(&mut self, routes: &mut [(ReadRoute, Option<String>)]) {
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (read, written) in routes {
            let repository = read.route.repository.to_ascii_lowercase();
            if let Some(name) = written {
                read.route.name = name.clone();
                continue;
            }
            let target = read.route.target.name().to_owned();
            let taken = self.taken.entry(repository.clone()).or_default();
            let count = counts.entry((repository, target.clone())).or_default();
            read.route.name = loop {
                *count += 1;
                let name = if *count == 1 { target.clone() } else { format!("{target}#{count}") };
                if taken.insert(name.clone()) {
                    break name;
                }
            };
        }
    }
}

fn read_route(table: &Table<'_>, context: Context<'_>, problems: &mut Problems<'_>) -> Option<Route> {
    let repository = table.require("repository", "repository = \"owner/name\"", problems);
    let repository = repository.and_then(|value| word(&value, &REPOSITORY, problems));
    let trigger = read_trigger(table, problems);
    for key in ["from", "require_signed"] {
        refuse_for_now(table, key, problems);
    }
    let environment = read_environment(table, context.environments, problems);
    let approval = read_approval(table, environment.as_ref(), problems);
    let target = read_target(table, environment.as_ref(), context, problems);
    let name = environment.map(|(name, _)| name);
    let variables = variables::read(table, name.as_deref(), problems);
    Some(Route {
        name: String::new(),
        repository: repository?.value,
        trigger: trigger?,
        target: target?,
        environment_has_approval: name
            .as_ref()
            .and_then(|name| context.environments.get(name))
            .is_some_and(Environment::has_approval),
        environment: name,
        approval,
        variables,
    })
}

fn read_trigger(table: &Table<'_>, problems: &mut Problems<'_>) -> Option<Trigger> {
    let hint = "on = \"push\", or tag, pull_request, workflow_run, release";
    let on = table.require("on", hint, problems).and_then(|value| value.string(problems));
    let list = |key: &str, problems: &mut Problems<'_>| {
        table.get(key).map(|value| patterns(&value, Separator::Slash, problems)).unwrap_or_default()
    };
    // Each filter is read wherever it stands, so that its own mistakes are told in one go with the others.
    let (branch, tag, paths) = (list("branch", problems), list("tag", problems), list("paths", problems));
    let workflow_name = table.get("workflow_name").and_then(|value| word(&value, &WORKFLOW_NAME, problems));
    let on = on?;
    let Some((_, allowed)) = ON.into_iter().find(|(word, _)| *word == on.value) else {
        let hint = suggest(&on.value, kinds().map(|(word, _)| word), "write one of");
        problems.error(&on.place, format!("{:?} is not a kind of change", on.value), hint);
        return None;
    };
    refuse_misplaced(table, &on.value, allowed, problems);
    warn_if_open(table, &on, &branch, &tag, problems);
    match on.value.as_str() {
        "push" => Some(Trigger::Push { branch, paths }),
        "tag" => Some(Trigger::Tag { tag }),
        "pull_request" => Some(Trigger::PullRequest { branch }),
        "workflow_run" => Some(Trigger::WorkflowRun { branch, workflow_name: workflow_name.map(|name| name.value) }),
        "release" => Some(Trigger::Release { tag }),
        _ => {
            problems.error(&on.place, NOT_YET, "leave the route out until then");
            None
        }
    }
}

/// The kinds of change that start something today.
fn kinds() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ON.into_iter().filter(|(word, _)| *word != ON_NOT_YET)
}

/// Reports the filters that do not go with `on`.
fn refuse_misplaced(table: &Table<'_>, on: &str, allowed: &[&str], problems: &mut Problems<'_>) {
    for key in FILTERS.into_iter().filter(|key| !allowed.contains(key)) {
        let Some(place) = table.key_place(key) else { continue };
        let with: Vec<&str> = kinds().filter(|(_, keys)| keys.contains(&key)).map(|(word, _)| word).collect();
        problems.error(&place, format!("not with on = {on:?}"), format!("it goes with {}", with.join(", ")));
    }
}

/// A push or tag without a filter starts on whatever is pushed: allowed, but seldom meant.
fn warn_if_open(table: &Table<'_>, on: &At<String>, branch: &Patterns, tag: &Patterns, problems: &mut Problems<'_>) {
    let (key, is_open, what) = match on.value.as_str() {
        "push" => ("branch", branch.is_empty(), "every branch starts it"),
        "tag" => ("tag", tag.is_empty(), "every tag starts it"),
        _ => return,
    };
    if is_open && !table.has(key) {
        let hint = format!("write {key} = [\"**\"] if that is meant");
        problems.warning(&table.place.child(key, table.place.span.clone()), format!("missing: {what}"), hint);
    }
}

/// A key that is known and does nothing yet: its value is checked, and then refused.
fn refuse_for_now(table: &Table<'_>, key: &str, problems: &mut Problems<'_>) {
    let (Some(place), Some(value)) = (table.key_place(key), table.get(key)) else { return };
    match key {
        "from" => {
            let _checked = patterns(&value, Separator::Slash, problems);
        }
        "require_signed" => {
            let _checked = value.boolean(problems);
        }
        _ => {
            let _checked = word(&value, &WORKFLOW_FILE, problems);
        }
    }
    problems.error(&place, NOT_YET, "leave it out until then");
}

/// The environment, where the route names one that exists.
fn read_environment<'c>(
    table: &Table<'_>,
    environments: &'c Environments,
    problems: &mut Problems<'_>,
) -> Option<(String, &'c Environment)> {
    let name = table.get("environment")?.string(problems)?;
    match environments.get(&name.value) {
        Some(environment) => Some((name.value, environment)),
        None => {
            let hint = suggest(&name.value, environments.keys().map(String::as_str), "the environments are");
            problems.error(&name.place, format!("there is no environment {:?}", name.value), hint);
            None
        }
    }
}

fn read_approval(
    table: &Table<'_>,
    environment: Option<&(String, &Environment)>,
    problems: &mut Problems<'_>,
) -> Option<String> {
    let policy = table.get("approval")?.string(problems)?;
    if !table.has("environment") {
        problems.error(&policy.place, "an approval needs an environment", "name the environment whose policy it is");
        return None;
    }
    let (name, environment) = environment?;
    if !environment.approvals.contains_key(&policy.value) && !problems.has_error_under(&format!("environments.{name}"))
    {
        let hint = suggest(&policy.value, environment.approvals.keys().map(String::as_str), "its policies are");
        problems.error(&policy.place, format!("{name} has no policy {:?}", policy.value), hint);
    }
    Some(policy.value)
}

fn read_target(
    table: &Table<'_>,
    environment: Option<&(String, &Environment)>,
    context: Context<'_>,
    problems: &mut Problems<'_>,
) -> Option<Target> {
    let written: Vec<&str> = TARGETS.into_iter().filter(|key| table.has(key)).collect();
    let Some((first, others)) = written.split_first() else {
        problems.error(&table.place, "the route starts nothing", "write one of pipeline, build");
        return None;
    };
    for other in others {
        let Some(place) = table.key_place(other) else { continue };
        problems.error(&place, format!("{first} is written too"), "a route starts one thing: write a second route");
    }
    let region = table.get("region").and_then(|value| aws_region(&value, problems)).map(|region| region.value);
    let source_action = table.get("source_action").and_then(|value| word(&value, &ACTION, problems));
    if source_action.is_some()
        && !table.has("pipeline")
        && let Some(place) = table.key_place("source_action")
    {
        problems.error(&place, "only a pipeline has a source action", "leave it out");
    }
    refuse_for_now(table, "workflow", problems);
    let project = table.get("build").and_then(|value| word(&value, &PROJECT, problems));
    let pipeline = table.get("pipeline").and_then(|value| word(&value, &PIPELINE, problems));
    match *first {
        "pipeline" => {
            let pipeline = pipeline?;
            let home = home(&pipeline, region.is_some(), environment, problems);
            let region = region.or(home).unwrap_or_else(|| context.stack_region.to_owned());
            let source_action = source_action.map(|action| action.value);
            Some(Target::Pipeline { name: pipeline.value, region, source_action })
        }
        "build" => {
            let region = region.unwrap_or_else(|| context.stack_region.to_owned());
            Some(Target::Build { name: project?.value, region })
        }
        _ => None,
    }
}

/// The region that the environment's own entry for this pipeline gives.
fn home(
    pipeline: &At<String>,
    has_region: bool,
    environment: Option<&(String, &Environment)>,
    problems: &mut Problems<'_>,
) -> Option<String> {
    let (name, environment) = environment?;
    if environment.deploys.is_empty() || problems.has_error_under(&format!("environments.{name}")) {
        return None;
    }
    let entries = environment.deploys.iter().filter(|deploy| deploy.pipeline == pipeline.value);
    let homes: BTreeSet<&str> = entries.map(|deploy| deploy.home()).collect();
    if homes.is_empty() {
        let pipelines: BTreeSet<&str> = environment.deploys.iter().map(|deploy| deploy.pipeline.as_str()).collect();
        let message = format!("{name} has no pipeline {:?} in its deploys", pipeline.value);
        problems.error(&pipeline.place, message, suggest(&pipeline.value, pipelines.into_iter(), "its pipelines are"));
    } else if homes.len() > 1 && !has_region {
        let homes: Vec<&str> = homes.iter().copied().collect();
        let message = format!("{name} has this pipeline in {}", homes.join(" and "));
        problems.error(&pipeline.place, message, "say which: region = \"…\"");
    }
    homes.first().map(|home| (*home).to_owned())
}
