//! What one configuration would change about another, for `config plan`.

use super::Config;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One thing that is another, new or gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigChange {
    /// What it is.
    #[serde(flatten)]
    pub subject: WhatChanged,
    /// What becomes of it.
    pub change: Change,
}

/// What a change is about. The order is the order in which changes are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WhatChanged {
    /// A group of approvers.
    Group {
        /// Its name.
        name: String,
    },
    /// An environment.
    Environment {
        /// Its name.
        name: String,
    },
    /// A system.
    System {
        /// Its name.
        name: String,
    },
    /// A route.
    Route {
        /// Its repository, lower-cased.
        repository: String,
        /// Its name.
        name: String,
    },
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another, in at least one field.
    Changed(Vec<FieldChange>),
}

/// A field before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The dotted path within the thing, `approval.require.devops`.
    pub field: String,
    /// `None` where it was not written.
    pub before: Option<Value>,
    /// `None` where it is not written any more.
    pub after: Option<Value>,
}

/// What `new` would change about `old`: groups, environments, systems, routes, each in the order of their names.
///
/// Routes are told apart by repository and name, so moving one within the file is no change.
pub fn diff(old: &Config, new: &Config) -> Vec<ConfigChange> {
    let (old, new) = (parts(old), parts(new));
    let subjects: BTreeSet<&WhatChanged> = old.keys().chain(new.keys()).collect();
    let change = |subject: &&WhatChanged| match (old.get(*subject), new.get(*subject)) {
        (None, _) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(before), Some(after)) => {
            let mut fields = Vec::new();
            compare(String::new(), Some(before), Some(after), &mut fields);
            (!fields.is_empty()).then_some(Change::Changed(fields))
        }
    };
    subjects
        .iter()
        .filter_map(|subject| Some(ConfigChange { subject: (*subject).clone(), change: change(subject)? }))
        .collect()
}

fn parts(config: &Config) -> BTreeMap<WhatChanged, Value> {
    let mut parts = BTreeMap::new();
    for (name, group) in &config.approvers {
        parts.insert(WhatChanged::Group { name: name.clone() }, json(group));
    }
    for (name, environment) in &config.environments {
        parts.insert(WhatChanged::Environment { name: name.clone() }, json(environment));
    }
    for (name, system) in &config.systems {
        parts.insert(WhatChanged::System { name: name.clone() }, json(system));
    }
    for route in &config.routes {
        let subject =
            WhatChanged::Route { repository: route.repository.to_ascii_lowercase(), name: route.name.clone() };
        parts.insert(subject, json(route));
    }
    parts
}

/// Every one of these types has a JSON form; `Null` would only make two broken ones equal.
fn json(part: &impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

/// Notes where two values differ, as deep as both are tables, or lists of the same length.
fn compare(field: String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
                compare(path, old.get(key), new.get(key), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(format!("{field}[{index}]"), Some(old), Some(new), changes);
            }
        }
        (before, after) if before == after => {}
        (before, after) => changes.push(FieldChange { field, before: before.cloned(), after: after.cloned() }),
    }
}

impl fmt::Display for WhatChanged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group { name } => write!(formatter, "group {name}"),
            Self::Environment { name } => write!(formatter, "environment {name}"),
            Self::System { name } => write!(formatter, "system {name}"),
            Self::Route { repository, name } => write!(formatter, "route {name} of {repository}"),
        }
    }
}

impl fmt::Display for ConfigChange {
    /// `+ group devops`, `- system shop`, or `~ route shop of acme/shop` with a line per field.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.change {
            Change::Added => write!(formatter, "+ {}", self.subject),
            Change::Removed => write!(formatter, "- {}", self.subject),
            Change::Changed(fields) => {
                write!(formatter, "~ {}", self.subject)?;
                fields.iter().try_for_each(|field| write!(formatter, "\n    {field}"))
            }
        }
    }
}

impl fmt::Display for FieldChange {
    /// `branch[0]: "main" -> "production"`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| value.as_ref().map_or_else(|| "(nothing)".to_owned(), Value::to_string);
        write!(formatter, "{}: {} -> {}", self.field, show(&self.before), show(&self.after))
    }
}
