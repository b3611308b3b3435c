//! Reads `[environments.NAME]`: where a version lands, and what it takes to get there and to stay.

use super::limits::*;
use super::problem::Problems;
use super::tree::{At, Table, Value, suggest};
use super::words::*;
use crate::domain::pattern::Separator;
use crate::domain::policy::{
    ApprovalPolicy, Deploy, DeploymentGroup, EcsService, Environment, Gate, Group, Period, RollbackPolicy,
    RollbackRegions, Severity, Waiver,
};
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ENVIRONMENT_KEYS: [&str; 6] = ["deploys", "approval", "approvals", "gate", "rollback", "freeze"];
pub(super) const DEPLOY_KEYS: [&str; 6] = ["region", "pipeline", "stage", "pipeline_region", "ecs", "codedeploy"];
pub(super) const ECS_KEYS: [&str; 2] = ["cluster", "service"];
pub(super) const CODEDEPLOY_KEYS: [&str; 2] = ["application", "deployment_group"];
pub(super) const APPROVAL_KEYS: [&str; 4] = ["require", "self_approval", "expires", "remind_after"];
pub(super) const GATE_KEYS: [&str; 4] = ["findings", "fixable_only", "wait_for_scan", "waivers"];
pub(super) const WAIVER_KEYS: [&str; 4] = ["id", "owner", "until", "reason"];
pub(super) const ROLLBACK_KEYS: [&str; 7] = ["alarms", "findings", "window", "soak", "settle", "cooldown", "regions"];

type Groups = BTreeMap<String, Group>;

/// Every environment that is written, also those with problems: what refers to them is not to blame.
pub(super) fn read(root: &Table<'_>, groups: &Groups, problems: &mut Problems<'_>) -> BTreeMap<String, Environment> {
    let mut environments = BTreeMap::new();
    let Some(table) = root.get("environments").and_then(|value| value.open_table(problems)) else {
        return environments;
    };
    if table.names().count() > MAX_ENVIRONMENTS {
        problems.error(&table.place, "too many environments", format!("at most {MAX_ENVIRONMENTS} are taken"));
    }
    for (name, value) in table.entries().take(MAX_ENVIRONMENTS) {
        has_shape(name.clone(), &ENVIRONMENT_NAME, problems);
        let environment = read_environment(&value, groups, problems).unwrap_or_default();
        environments.insert(name.value.to_owned(), environment);
    }
    environments
}

fn read_environment(value: &Value<'_>, groups: &Groups, problems: &mut Problems<'_>) -> Option<Environment> {
    let table = value.table(&ENVIRONMENT_KEYS, problems)?;
    let deploys = match table.get("deploys") {
        Some(value) => read_deploys(&value, problems).unwrap_or_default(),
        None => {
            // With a mistake in here, `deploys` may be what was meant.
            if !problems.has_error_under(&table.place.key) {
                let hint = "without deploys nothing can be turned back here";
                problems.warning(&table.place, "nothing says where a version lands", hint);
            }
            Vec::new()
        }
    };
    let approval = table.get("approval").map(|value| read_policy(&value, groups, problems));
    let approvals = table.get("approvals").map(|value| read_policies(&value, groups, problems)).unwrap_or_default();
    if approval.is_none()
        && let Some(place) = table.key_place("approvals")
    {
        let hint = "write approval too: without it a route that names no policy needs nobody";
        problems.warning(&place, "named policies, and none by default", hint);
    }
    Some(Environment {
        deploys,
        approval,
        approvals,
        gate: table.get("gate").and_then(|value| read_gate(&value, problems)),
        rollback: table.get("rollback").and_then(|value| read_rollback(&value, problems)),
        freeze: table.get("freeze").and_then(|value| super::freeze::read(&value, groups, problems)),
    })
}

fn read_deploys(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Vec<Deploy>> {
    let mut seen = BTreeSet::new();
    let mut deploys = Vec::new();
    for element in value.list(MAX_DEPLOYS, problems)? {
        let Some(deploy) = read_deploy(&element, problems) else { continue };
        if !seen.insert((deploy.region.clone(), deploy.pipeline.clone())) {
            let message = format!("{} brings it to {} already", deploy.pipeline, deploy.region);
            problems.error(&element.place, message, "one entry per region and pipeline");
        }
        deploys.push(deploy);
    }
    Some(deploys)
}

fn read_deploy(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Deploy> {
    let table = value.table(&DEPLOY_KEYS, problems)?;
    let region = table.require("region", REGION.hint(), problems).and_then(|value| aws_region(&value, problems));
    let pipeline = required(&table, "pipeline", &PIPELINE, problems);
    let stage = required(&table, "stage", &STAGE, problems);
    let pipeline_region = table.get("pipeline_region").and_then(|value| aws_region(&value, problems));
    let ecs = table.get("ecs").and_then(|value| {
        let table = value.table(&ECS_KEYS, problems)?;
        let cluster = required(&table, "cluster", &ECS_NAME, problems);
        let service = required(&table, "service", &ECS_NAME, problems);
        Some(EcsService { cluster: cluster?, service: service? })
    });
    let codedeploy = table.get("codedeploy").and_then(|value| {
        let table = value.table(&CODEDEPLOY_KEYS, problems)?;
        let application = required(&table, "application", &CODEDEPLOY_NAME, problems);
        let deployment_group = required(&table, "deployment_group", &CODEDEPLOY_NAME, problems);
        Some(DeploymentGroup { application: application?, deployment_group: deployment_group? })
    });
    let pipeline_region = pipeline_region.map(|region| region.value);
    Some(Deploy { region: region?.value, pipeline: pipeline?, stage: stage?, pipeline_region, ecs, codedeploy })
}

fn read_policies(value: &Value<'_>, groups: &Groups, problems: &mut Problems<'_>) -> BTreeMap<String, ApprovalPolicy> {
    let mut policies = BTreeMap::new();
    let Some(table) = value.open_table(problems) else { return policies };
    if table.names().next().is_none() {
        problems.error(&table.place, "the table is empty", "name at least one policy, or leave the key out");
    }
    if table.names().count() > MAX_POLICIES {
        problems.error(&table.place, "too many policies", format!("at most {MAX_POLICIES} are taken"));
    }
    for (name, value) in table.entries().take(MAX_POLICIES) {
        has_shape(name.clone(), &NAME, problems);
        policies.insert(name.value.to_owned(), read_policy(&value, groups, problems));
    }
    policies
}

/// A policy, as far as it can be read.
fn read_policy(value: &Value<'_>, groups: &Groups, problems: &mut Problems<'_>) -> ApprovalPolicy {
    let mut policy = ApprovalPolicy {
        require: BTreeMap::new(),
        self_approval: false,
        expires: ApprovalPolicy::default_expires(),
        remind_after: None,
    };
    let Some(table) = value.table(&APPROVAL_KEYS, problems) else { return policy };
    if let Some(require) = table.require("require", "require = { devops = 1 }", problems) {
        policy.require = read_require(&require, groups, problems).unwrap_or_default();
    }
    policy.self_approval = flag(&table, "self_approval", problems);
    if let Some(value) = table.get("expires") {
        let expires = period(&value, MIN_EXPIRES_SECONDS, MAX_EXPIRES_SECONDS, problems);
        policy.expires = expires.unwrap_or_else(ApprovalPolicy::default_expires);
    }
    if let Some(value) = table.get("remind_after") {
        policy.remind_after = period(&value, MIN_REMIND_AFTER_SECONDS, MAX_EXPIRES_SECONDS, problems);
        if policy.remind_after.as_ref().is_some_and(|remind| remind.seconds() >= policy.expires.seconds()) {
            let message = format!("nobody is reminded: the approval expires after {}", policy.expires);
            problems.error(&value.place, message, "write a shorter time");
        }
    }
    policy
}

fn read_require(value: &Value<'_>, groups: &Groups, problems: &mut Problems<'_>) -> Option<BTreeMap<String, u32>> {
    let table = value.open_table(problems)?;
    if table.names().next().is_none() {
        problems.error(&table.place, "the table is empty", "require = { devops = 1 }");
    }
    let mut require = BTreeMap::new();
    for (name, value) in table.entries() {
        if !is_group(&name, groups, problems) {
            continue;
        }
        let Some(count) = value.integer(problems) else { continue };
        let members = groups.get(name.value).map_or(0, |group| group.members.len());
        let is_blameless = problems.has_error_under(&format!("approvers.{}", name.value));
        match u32::try_from(count.value) {
            Ok(count) if count >= 1 => {
                if !is_blameless && usize::try_from(count).is_ok_and(|count| count > members) {
                    let message = format!("{count} people of {}, which has {members}", name.value);
                    problems.error(&value.place, message, "no more than the group has members");
                }
                require.insert(name.value.to_owned(), count);
            }
            Ok(_) | Err(_) => problems.error(&value.place, format!("{} people", count.value), "at least 1"),
        }
    }
    if !problems.has_error_under("approvers") && !problems.has_error_under(&table.place.key) {
        enough_people(&table, &require, groups, problems);
    }
    Some(require)
}

/// One person counts once: there must be as many different people as are asked for in all.
fn enough_people(table: &Table<'_>, require: &BTreeMap<String, u32>, groups: &Groups, problems: &mut Problems<'_>) {
    let members = require.keys().filter_map(|name| groups.get(name)).flat_map(|group| &group.members);
    let people: BTreeSet<String> = members.map(|member| member.email.to_lowercase()).collect();
    let asked: u64 = require.values().map(|count| u64::from(*count)).sum();
    if u64::try_from(people.len()).is_ok_and(|people| asked > people) {
        let message = format!("{asked} people in all, and these groups have {} between them", people.len());
        problems.error(&table.place, message, "one person counts once");
    }
}

fn read_gate(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Gate> {
    let table = value.table(&GATE_KEYS, problems)?;
    let findings = table.require("findings", "findings = [\"CRITICAL\", \"HIGH\"]", problems);
    let findings = findings.map(|value| severities(&value, problems)).unwrap_or_default();
    let fixable_only = flag(&table, "fixable_only", problems);
    let wait = table
        .get("wait_for_scan")
        .and_then(|value| period(&value, MIN_WAIT_FOR_SCAN_SECONDS, MAX_WAIT_FOR_SCAN_SECONDS, problems));
    let mut waivers: Vec<Waiver> = Vec::new();
    for element in table.get("waivers").and_then(|value| value.list(MAX_WAIVERS, problems)).unwrap_or_default() {
        let Some(waiver) = read_waiver(&element, problems) else { continue };
        if waivers.iter().any(|earlier| earlier.id == waiver.id) {
            problems.error(&element.place, format!("{} is waived already", waiver.id), "one waiver per id");
        }
        waivers.push(waiver);
    }
    Some(Gate { findings, fixable_only, wait_for_scan: wait.unwrap_or_else(Gate::default_wait_for_scan), waivers })
}

fn read_waiver(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Waiver> {
    let table = value.table(&WAIVER_KEYS, problems)?;
    let id = required(&table, "id", &WAIVER_ID, problems);
    let owner = required(&table, "owner", &EMAIL, problems);
    let until = table.require("until", "an accepted risk has an end: until = 2026-12-31", problems);
    let until = until.and_then(|value| date(&value, problems));
    let reason = table.require("reason", "say why it is no risk here", problems);
    let reason = reason.and_then(|value| value.string(problems)).map(|reason| {
        let characters = reason.value.chars().count();
        if reason.value.trim().is_empty() {
            problems.error(&reason.place, "the reason is empty", "say why it is no risk here");
        } else if characters > MAX_REASON_CHARACTERS {
            let hint = format!("at most {MAX_REASON_CHARACTERS}");
            problems.error(&reason.place, format!("the reason has {characters} characters"), hint);
        }
        reason.value
    });
    Some(Waiver { id: id?, owner: owner?, until: until?, reason: reason? })
}

/// A day, as TOML writes one: without quotes.
fn date(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Date> {
    let parts = value.as_datetime().filter(|moment| moment.time.is_none()).and_then(|moment| moment.date);
    let date = parts.and_then(|date| {
        let (month, day) = (i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
        Date::new(i16::try_from(date.year).ok()?, month, day).ok()
    });
    if date.is_none() {
        match value.as_str() {
            Some(text) => {
                problems.error(&value.place, format!("{text:?} is not a date"), "write it without quotes: 2026-12-31")
            }
            None => problems.error(&value.place, "this is not a date", "write a day: 2026-12-31"),
        }
    }
    date
}

fn read_rollback(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<RollbackPolicy> {
    let table = value.table(&ROLLBACK_KEYS, problems)?;
    let alarms = table.get("alarms").map(|value| patterns(&value, Separator::None, problems)).unwrap_or_default();
    let findings = table.get("findings").map(|value| severities(&value, problems)).unwrap_or_default();
    if !table.has("alarms") && !table.has("findings") {
        problems.warning(&table.place, "nothing turns a version back by itself", "name alarms or findings");
    }
    let mut time = |key: &str, min: u32, max: u32, default: Period| {
        table.get(key).and_then(|value| period(&value, min, max, problems)).unwrap_or(default)
    };
    let window = time("window", MIN_WINDOW_SECONDS, MAX_ROLLBACK_SECONDS, RollbackPolicy::default_window());
    let soak = time("soak", 0, MAX_ROLLBACK_SECONDS, Period::zero());
    let settle = time("settle", 0, MAX_SETTLE_SECONDS, Period::zero());
    let cooldown = time("cooldown", 0, MAX_ROLLBACK_SECONDS, RollbackPolicy::default_cooldown());
    let regions = table.get("regions").and_then(|value| value.string(problems)).and_then(|regions| {
        match regions.value.as_str() {
            "all" => Some(RollbackRegions::All),
            "affected" => Some(RollbackRegions::Affected),
            other => {
                let hint = suggest(other, ["all", "affected"].into_iter(), "write one of");
                problems.error(&regions.place, format!("{other:?} is not known here"), hint);
                None
            }
        }
    });
    Some(RollbackPolicy { alarms, findings, window, soak, settle, cooldown, regions: regions.unwrap_or_default() })
}

fn severities(value: &Value<'_>, problems: &mut Problems<'_>) -> Vec<Severity> {
    let mut severities = Vec::new();
    for word in value.strings(Severity::ALL.len(), problems).unwrap_or_default() {
        match Severity::ALL.into_iter().find(|severity| severity.as_str() == word.value) {
            Some(severity) if severities.contains(&severity) => {
                problems.error(&word.place, format!("{} is named already", word.value), "name each severity once");
            }
            Some(severity) => severities.push(severity),
            None => {
                let hint = suggest(&word.value, Severity::ALL.into_iter().map(Severity::as_str), "the severities are");
                problems.error(&word.place, format!("{:?} is not a severity", word.value), hint);
            }
        }
    }
    severities
}

/// Whether there is such a group; reports it otherwise.
pub(super) fn is_group(name: &At<&str>, groups: &Groups, problems: &mut Problems<'_>) -> bool {
    let is_group = groups.contains_key(name.value);
    if !is_group {
        let hint = suggest(name.value, groups.keys().map(String::as_str), "the groups are");
        problems.error(&name.place, format!("there is no group {:?}", name.value), hint);
    }
    is_group
}

fn flag(table: &Table<'_>, key: &str, problems: &mut Problems<'_>) -> bool {
    table.get(key).and_then(|value| value.boolean(problems)).unwrap_or(false)
}

fn required(table: &Table<'_>, key: &str, shape: &Shape, problems: &mut Problems<'_>) -> Option<String> {
    let value = table.require(key, shape.hint(), problems)?;
    word(&value, shape, problems).map(|word| word.value)
}
