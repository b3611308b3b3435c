//! `pointsman.toml`: what people write, checked, and what the rest of Pointsman looks up in it.
//!
//! [`parse`] takes a text or says everything that is wrong with it, each problem with its line, column and key.
//! What it takes refers to nothing that is missing and stays within [`limits`], so whoever reads a [`Config`]
//! checks nothing again. No network, no clock: whether a pipeline exists at AWS is not asked here.

mod approvers;
mod diff;
mod environments;
mod freeze;
pub mod limits;
mod overlap;
mod problem;
mod routes;
mod schema;
mod systems;
mod tree;
mod variables;
mod words;

#[cfg(test)]
mod tests;

pub use crate::domain::pattern::Patterns;
pub use crate::domain::policy::{
    ApprovalPolicy, Deploy, DeploymentGroup, EcsService, Environment, Freeze, FreezeWindow, Gate, Group, Member,
    Period, RollbackPolicy, RollbackRegions, Severity, System, Waiver,
};
pub use crate::domain::route::{On, RepositoryConfig, Route, Target, Trigger};
pub use diff::{Change, ConfigChange, FieldChange, WhatChanged, diff};
pub use problem::{Problem, ProblemSeverity};
pub use schema::schema;
pub use words::is_region;

use problem::{Place, Problems};
use routes::{Context, ReadRoute};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use toml::de::DeTable;
use tree::Table;

/// The version of the format that this Pointsman reads.
pub const VERSION: i64 = 1;

const ROOT_KEYS: [&str; 5] = ["version", "approvers", "environments", "systems", "routes"];

/// A configuration that was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The groups of approvers, by name.
    #[serde(default)]
    pub approvers: BTreeMap<String, Group>,
    /// The environments, by name.
    #[serde(default)]
    pub environments: BTreeMap<String, Environment>,
    /// The systems, by name.
    #[serde(default)]
    pub systems: BTreeMap<String, System>,
    /// The routes, in the order of the file.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// One environment with what it refers to: what the ledger keeps of it in one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentConfig {
    /// Its name.
    pub name: String,
    /// What is written for it.
    pub environment: Environment,
    /// The groups that its policies and its freeze name.
    pub groups: BTreeMap<String, Group>,
    /// The systems that it belongs to.
    pub systems: Vec<String>,
}

/// An environment that is frozen at times and asks nobody: its freeze closes the ways into the stages that deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenEnvironment {
    /// Its name.
    pub name: String,
    /// When nothing goes in.
    pub freeze: Freeze,
    /// Where a version would land.
    pub deploys: Vec<Deploy>,
}

/// An environment that a signal may turn back: all that is asked of it before anything matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedEnvironment {
    /// Its name.
    pub name: String,
    /// The names of its CloudWatch alarms.
    #[serde(default)]
    pub alarms: Patterns,
    /// The AWS regions that it lands in.
    pub regions: BTreeSet<String>,
}

/// A configuration that may go live, and what looks wrong with it all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// In the order of the file; all of them are [`ProblemSeverity::Warning`].
    pub warnings: Vec<Problem>,
}

/// Reads and checks a configuration.
///
/// `file_name` is what problems call the text. `stack_region` is the AWS region for targets that name none.
///
/// # Errors
/// Every problem, in the order of the file, warnings among them; at least one is an [`ProblemSeverity::Error`].
/// Where the text is not TOML, only that is told.
pub fn parse(text: &str, file_name: &str, stack_region: &str) -> Result<Checked, Vec<Problem>> {
    let mut problems = Problems::new(file_name, text);
    let config = read(text, stack_region, &mut problems);
    let has_errors = problems.has_errors();
    let found = problems.into_sorted();
    if has_errors { Err(found) } else { Ok(Checked { config, warnings: found }) }
}

fn read(text: &str, stack_region: &str, problems: &mut Problems<'_>) -> Config {
    let start = Place { key: String::new(), span: 0..0 };
    if text.len() > limits::MAX_FILE_BYTES {
        let hint = format!("at most {} are taken", limits::MAX_FILE_BYTES);
        problems.error(&start, format!("the file has {} bytes", text.len()), hint);
        return Config::default();
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or_default();
        problems.error(&Place { key: String::new(), span }, format!("not TOML: {}", error.message()), "");
    }
    if !errors.is_empty() {
        return Config::default();
    }
    let root = Table::root(&document, &ROOT_KEYS, problems);
    check_version(&root, problems);
    let approvers = approvers::read(&root, problems);
    let environments = environments::read(&root, &approvers, problems);
    let systems = systems::read(&root, &environments, problems);
    let routes = routes::read(&root, Context { environments: &environments, stack_region }, problems);
    overlap::warn_of_shared_pipelines(&routes, problems);
    // After a mistake, what was misspelt looks unused.
    if !problems.has_errors() {
        overlap::warn_of_unused(&root, &environments, &systems, &routes, problems);
    }
    let first_of_repository = places_by_repository(&routes);
    let routes = routes.into_iter().map(|read| read.route).collect();
    let config = Config { approvers, environments, systems, routes };
    check_sizes(&config, &root, &first_of_repository, problems);
    config
}

fn check_version(root: &Table<'_>, problems: &mut Problems<'_>) {
    let Some(version) = root.require("version", "write version = 1 at the top", problems) else { return };
    match version.integer(problems) {
        Some(version) if version.value != VERSION => {
            problems.error(&version.place, format!("version {} is not known", version.value), "write version = 1");
        }
        Some(_) | None => {}
    }
}

fn places_by_repository(routes: &[ReadRoute]) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    for read in routes {
        places.entry(read.route.repository.to_ascii_lowercase()).or_insert_with(|| read.place.clone());
    }
    places
}

/// Each repository's routes and each environment are one item of the ledger, and an item has a bound.
fn check_sizes(config: &Config, root: &Table<'_>, routes: &BTreeMap<String, Place>, problems: &mut Problems<'_>) {
    let is_too_big =
        |json: Result<Vec<u8>, serde_json::Error>| json.is_ok_and(|json| json.len() > limits::MAX_ITEM_BYTES);
    let hint = format!("at most {} bytes of JSON", limits::MAX_ITEM_BYTES);
    for (repository, its_routes) in config.by_repository() {
        let Some(place) = routes.get(&repository) else { continue };
        // As they will be once they are filled in: `{sha}` grows to forty digits.
        let filled = serde_json::to_string(&its_routes).map(|json| json.replace("{sha}", &"0".repeat(40)).into_bytes());
        if is_too_big(filled) {
            problems.error(place, format!("the routes of {repository} are too long together"), hint.clone());
        }
    }
    for environment in config.by_environment().values() {
        if is_too_big(serde_json::to_vec(environment)) {
            let table = root.get("environments").and_then(|value| value.open_table(problems));
            let place =
                table.and_then(|table| table.key_place(&environment.name)).unwrap_or_else(|| root.place.clone());
            problems.error(&place, "the environment and its groups are too long together", hint.clone());
        }
    }
}

impl Config {
    /// The routes by repository, under its lower-cased `owner/name`: what the ledger keeps, one item each.
    pub fn by_repository(&self) -> BTreeMap<String, Vec<Route>> {
        let mut repositories: BTreeMap<String, Vec<Route>> = BTreeMap::new();
        for route in &self.routes {
            repositories.entry(route.repository.to_ascii_lowercase()).or_default().push(route.clone());
        }
        repositories
    }

    /// One repository's routes, under whatever spelling; `None` where there is no route for it.
    pub fn repository(&self, full_name: &str) -> Option<RepositoryConfig> {
        let is_its = |route: &&Route| route.repository.eq_ignore_ascii_case(full_name);
        let routes: Vec<Route> = self.routes.iter().filter(is_its).cloned().collect();
        let full_name = routes.first()?.repository.clone();
        Some(RepositoryConfig { full_name, routes })
    }

    /// The environments by name, each with what it refers to: what the ledger keeps, one item each.
    pub fn by_environment(&self) -> BTreeMap<String, EnvironmentConfig> {
        self.environments.keys().filter_map(|name| Some((name.clone(), self.environment(name)?))).collect()
    }

    /// One environment with what it refers to.
    pub fn environment(&self, name: &str) -> Option<EnvironmentConfig> {
        let environment = self.environments.get(name)?.clone();
        let group = |name: &String| Some((name.clone(), self.approvers.get(name)?.clone()));
        let groups = environment.groups().filter_map(group).collect();
        let holds = |system: &System| system.order.iter().any(|member| member == name);
        let systems = self.systems.iter().filter(|(_, system)| holds(system)).map(|(name, _)| name.clone()).collect();
        Some(EnvironmentConfig { name: name.to_owned(), environment, groups, systems })
    }

    /// The environments that each pipeline deploys to, by the region that the pipeline lives in and its name.
    pub fn by_pipeline(&self) -> BTreeMap<(&str, &str), BTreeSet<&str>> {
        let mut pipelines: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (name, environment) in &self.environments {
            for deploy in &environment.deploys {
                pipelines.entry((deploy.home(), deploy.pipeline.as_str())).or_default().insert(name.as_str());
            }
        }
        pipelines
    }

    /// The environments that have a freeze and no approval policy that could heed it.
    pub fn frozen(&self) -> Vec<FrozenEnvironment> {
        let asking_nobody = self.environments.iter().filter(|(_, environment)| !environment.has_approval());
        let frozen = asking_nobody.filter_map(|(name, environment)| {
            let (name, deploys) = (name.clone(), environment.deploys.clone());
            Some(FrozenEnvironment { name, freeze: environment.freeze.clone()?, deploys })
        });
        frozen.collect()
    }

    /// The environments that have a rollback policy.
    pub fn watched(&self) -> Vec<WatchedEnvironment> {
        let watched = self.environments.iter().filter_map(|(name, environment)| {
            let alarms = environment.rollback.as_ref()?.alarms.clone();
            let regions = environment.deploys.iter().map(|deploy| deploy.region.clone()).collect();
            Some(WatchedEnvironment { name: name.clone(), alarms, regions })
        });
        watched.collect()
    }

    /// Everybody who is in a group, each once: an address compares without case. In the order of the addresses.
    pub fn people(&self) -> Vec<Member> {
        let mut people: BTreeMap<String, Member> = BTreeMap::new();
        for member in self.approvers.values().flat_map(|group| &group.members) {
            let known = people.entry(member.email.to_lowercase()).or_insert_with(|| member.clone());
            if known.github.is_none() {
                known.github.clone_from(&member.github);
            }
        }
        people.into_values().collect()
    }

    /// The environments into which a stage of a pipeline deploys. `region` is the one that the pipeline lives in.
    ///
    /// Several, where one pipeline with variables serves several environments: the route tells which one is meant.
    pub fn environments_of_stage(&self, region: &str, pipeline: &str, stage: &str) -> Vec<&str> {
        let is_its = |deploy: &Deploy| deploy.home() == region && deploy.pipeline == pipeline && deploy.stage == stage;
        let is_into = |environment: &Environment| environment.deploys.iter().any(is_its);
        self.environments
            .iter()
            .filter(|(_, environment)| is_into(environment))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}
