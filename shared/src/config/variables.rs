//! Reads `variables` of a route: constants, in which `{sha}` and `{environment}` may stand.
//!
//! No other placeholder exists, so nothing that a pusher chose can get into a variable.

use super::limits::{MAX_VARIABLE_CHARACTERS, MAX_VARIABLES};
use super::problem::Problems;
use super::tree::{At, Table, suggest};
use super::words::{VARIABLE_NAME, has_shape};
use crate::domain::change::Sha;
use std::collections::BTreeMap;

/// The placeholders.
pub(super) const PLACEHOLDERS: [&str; 2] = ["sha", "environment"];

pub(super) fn read(
    route: &Table<'_>,
    environment: Option<&str>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let Some(table) = route.get("variables").and_then(|value| value.open_table(problems)) else { return variables };
    if table.names().count() > MAX_VARIABLES {
        problems.error(&table.place, "too many variables", format!("at most {MAX_VARIABLES} are taken"));
    }
    for (name, value) in table.entries().take(MAX_VARIABLES) {
        has_shape(name.clone(), &VARIABLE_NAME, problems);
        let Some(text) = value.string(problems) else { continue };
        check_placeholders(&text, route.has("environment"), problems);
        check_length(&text, environment, problems);
        variables.insert(name.value.to_owned(), text.value);
    }
    variables
}

fn check_placeholders(text: &At<String>, has_environment: bool, problems: &mut Problems<'_>) {
    for placeholder in placeholders(&text.value) {
        if !PLACEHOLDERS.contains(&placeholder) {
            let hint = suggest(placeholder, PLACEHOLDERS.into_iter(), "known are");
            problems.error(&text.place, format!("unknown placeholder {{{placeholder}}}"), hint);
        } else if placeholder == "environment" && !has_environment {
            let hint = "name the route's environment, or write its name out";
            problems.error(&text.place, "{environment} needs an environment", hint);
        }
    }
}

fn check_length(text: &At<String>, environment: Option<&str>, problems: &mut Problems<'_>) {
    let filled = text.value.replace("{sha}", Sha::ZERO).replace("{environment}", environment.unwrap_or_default());
    let characters = filled.chars().count();
    if text.value.is_empty() {
        problems.error(&text.place, "the value is empty", format!("1 to {MAX_VARIABLE_CHARACTERS} characters"));
    } else if characters > MAX_VARIABLE_CHARACTERS {
        let hint = format!("at most {MAX_VARIABLE_CHARACTERS}, with everything filled in");
        problems.error(&text.place, format!("the value has {characters} characters"), hint);
    } else if filled.chars().any(char::is_control) {
        problems.error(&text.place, "the value holds a control character", "write one line, without tabs");
    }
}

/// The words in braces. Other braces are ordinary characters: a value may be JSON.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let word = rest.split_once('}')?.0;
        let is_word = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        (is_word && !word.is_empty()).then_some(word)
    })
}
