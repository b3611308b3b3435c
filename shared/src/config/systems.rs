//! Reads `[systems.NAME]`: environments that are turned back together.

use super::limits::{MAX_SYSTEM_ENVIRONMENTS, MAX_SYSTEMS};
use super::problem::Problems;
use super::tree::{Table, Value, suggest};
use super::words::{NAME, has_shape};
use crate::domain::policy::{Environment, System};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const SYSTEM_KEYS: [&str; 1] = ["order"];

/// Every system that is written.
pub(super) fn read(
    root: &Table<'_>,
    environments: &BTreeMap<String, Environment>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, System> {
    let mut systems = BTreeMap::new();
    let Some(table) = root.get("systems").and_then(|value| value.open_table(problems)) else { return systems };
    if table.names().count() > MAX_SYSTEMS {
        problems.error(&table.place, "too many systems", format!("at most {MAX_SYSTEMS} are taken"));
    }
    for (name, value) in table.entries().take(MAX_SYSTEMS) {
        has_shape(name.clone(), &NAME, problems);
        let order = read_order(&value, environments, problems).unwrap_or_default();
        systems.insert(name.value.to_owned(), System { order });
    }
    systems
}

fn read_order(
    value: &Value<'_>,
    environments: &BTreeMap<String, Environment>,
    problems: &mut Problems<'_>,
) -> Option<Vec<String>> {
    let table = value.table(&SYSTEM_KEYS, problems)?;
    let order = table.require("order", "order = [\"web-production\"]", problems)?;
    let names = order.strings(MAX_SYSTEM_ENVIRONMENTS, problems)?;
    let mut seen = BTreeSet::new();
    for name in &names {
        if !environments.contains_key(&name.value) {
            let hint = suggest(&name.value, environments.keys().map(String::as_str), "the environments are");
            problems.error(&name.place, format!("there is no environment {:?}", name.value), hint);
        } else if !seen.insert(name.value.as_str()) {
            problems.error(&name.place, format!("{:?} is named already", name.value), "name each environment once");
        }
    }
    Some(names.into_iter().map(|name| name.value).collect())
}
