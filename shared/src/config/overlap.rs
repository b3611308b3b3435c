//! Warns where two routes can match the same change and share a pipeline, and of what nobody uses.
//!
//! In a SUPERSEDED pipeline (the default) the one that starts later may then replace the one that started first.

use super::problem::Problems;
use super::routes::ReadRoute;
use super::tree::{At, Table};
use crate::domain::pattern::Patterns;
use crate::domain::policy::{Environment, System};
use crate::domain::route::{On, Target, Trigger};
use std::collections::{BTreeMap, BTreeSet};

/// Warns once per route, naming the first earlier one that it may collide with.
pub(super) fn warn_of_shared_pipelines(routes: &[ReadRoute], problems: &mut Problems<'_>) {
    let mut earlier: BTreeMap<(String, On, &str, &str), Vec<&ReadRoute>> = BTreeMap::new();
    for read in routes {
        let Target::Pipeline { name, region, .. } = &read.route.target else { continue };
        let repository = read.route.repository.to_ascii_lowercase();
        let rivals = earlier.entry((repository, read.route.trigger.on(), name, region)).or_default();
        if let Some(rival) = rivals.iter().find(|rival| may_meet(&rival.route.trigger, &read.route.trigger)) {
            let (one, other) = (&rival.route.name, &read.route.name);
            let message =
                format!("{one:?} ({}) and {other:?} can match the same change, and share {name}", rival.place.key);
            problems.warning(&read.place, message, "in a SUPERSEDED pipeline one of the two may replace the other");
        }
        rivals.push(read);
    }
}

/// Whether some change could match both. Errs on the side of yes.
fn may_meet(one: &Trigger, other: &Trigger) -> bool {
    match (one, other) {
        // One push may change files of both, whatever their paths say.
        (Trigger::Push { branch: one, .. }, Trigger::Push { branch: other, .. })
        | (Trigger::PullRequest { branch: one }, Trigger::PullRequest { branch: other })
        | (Trigger::Tag { tag: one }, Trigger::Tag { tag: other })
        | (Trigger::Release { tag: one }, Trigger::Release { tag: other }) => can_share_a_name(one, other),
        (
            Trigger::WorkflowRun { branch: one, workflow_name: one_workflow },
            Trigger::WorkflowRun { branch: other, workflow_name: other_workflow },
        ) => {
            let is_same = one_workflow.is_none() || other_workflow.is_none() || one_workflow == other_workflow;
            is_same && can_share_a_name(one, other)
        }
        (
            Trigger::Push { .. }
            | Trigger::Tag { .. }
            | Trigger::PullRequest { .. }
            | Trigger::WorkflowRun { .. }
            | Trigger::Release { .. },
            _,
        ) => false,
    }
}

/// Whether some name could match both lists.
fn can_share_a_name(one: &Patterns, other: &Patterns) -> bool {
    if one.is_empty() || other.is_empty() {
        return true;
    }
    let (Ok(one_matcher), Ok(other_matcher)) = (one.compile(), other.compile()) else { return true };
    one.including().any(|left| {
        other.including().any(|right| match (is_literal(left), is_literal(right)) {
            (true, _) => one_matcher.is_match(left) && other_matcher.is_match(left),
            (false, true) => one_matcher.is_match(right) && other_matcher.is_match(right),
            (false, false) => {
                let (left, right) = (fixed_start(left), fixed_start(right));
                left.starts_with(right) || right.starts_with(left)
            }
        })
    })
}

const SPECIAL: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

fn is_literal(pattern: &str) -> bool {
    !pattern.contains(SPECIAL)
}

/// What every name that matches begins with.
fn fixed_start(pattern: &str) -> &str {
    let end = pattern.find(SPECIAL).unwrap_or(pattern.len());
    let start = pattern.get(..end).unwrap_or_default();
    // `a/**/b` also matches `a/b`, and `**/b` matches `b`: the slash before the stars may be the one after them.
    start.strip_suffix('/').unwrap_or(start)
}

/// Warns of groups that no policy asks for, and of environments that nothing names.
pub(super) fn warn_of_unused(
    root: &Table<'_>,
    environments: &BTreeMap<String, Environment>,
    systems: &BTreeMap<String, System>,
    routes: &[ReadRoute],
    problems: &mut Problems<'_>,
) {
    let groups: BTreeSet<&str> = environments.values().flat_map(Environment::groups).map(String::as_str).collect();
    for name in names_of(root, "approvers", problems) {
        if !groups.contains(name.value) {
            problems.warning(&name.place, "no policy asks for this group", "use it or take it out");
        }
    }
    let mut used: BTreeSet<&str> = systems.values().flat_map(|system| &system.order).map(String::as_str).collect();
    used.extend(routes.iter().filter_map(|read| read.route.environment.as_deref()));
    for name in names_of(root, "environments", problems) {
        if !used.contains(name.value) {
            problems.warning(&name.place, "no route and no system names this environment", "use it or take it out");
        }
    }
}

fn names_of<'d>(root: &Table<'d>, key: &str, problems: &mut Problems<'_>) -> Vec<At<&'d str>> {
    let table = root.get(key).and_then(|value| value.open_table(problems));
    table.map(|table| table.entries().map(|(name, _)| name).collect()).unwrap_or_default()
}
