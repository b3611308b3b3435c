//! The shapes of single values: names, addresses, regions, lengths of time.

use super::problem::Problems;
use super::tree::{At, Value};
use crate::domain::pattern::{self, MAX_PATTERNS, Patterns, Separator};
use crate::domain::policy::Period;

/// What a string must look like.
pub(super) struct Shape {
    is: fn(&str) -> bool,
    what: &'static str,
    hint: &'static str,
}

pub(super) const EMAIL: Shape =
    Shape { is: is_email, what: "an e-mail address", hint: "write it like ada@example.com" };
pub(super) const LOGIN: Shape = Shape {
    is: is_login,
    what: "a GitHub login",
    hint: "1 to 39 letters, digits, dashes and underscores, without the @",
};
pub(super) const REGION: Shape = Shape { is: is_region, what: "an AWS region", hint: "write it like eu-west-2" };
pub(super) const REPOSITORY: Shape = Shape { is: is_repository, what: "a repository", hint: "write it as owner/name" };
pub(super) const PIPELINE: Shape = Shape {
    is: is_pipeline_name,
    what: "a pipeline's name",
    hint: "1 to 100 letters, digits, and the characters . @ _ -",
};
pub(super) const STAGE: Shape = Shape {
    is: is_pipeline_name,
    what: "a stage's name",
    hint: "1 to 100 letters, digits, and the characters . @ _ -",
};
pub(super) const ACTION: Shape = Shape {
    is: is_pipeline_name,
    what: "an action's name",
    hint: "1 to 100 letters, digits, and the characters . @ _ -",
};
pub(super) const ROUTE: Shape = Shape {
    is: is_pipeline_name,
    what: "a route's name",
    hint: "1 to 100 letters, digits, and the characters . @ _ -",
};
pub(super) const PROJECT: Shape = Shape {
    is: is_project,
    what: "a CodeBuild project's name",
    hint: "2 to 150 letters, digits, dashes and underscores; the first is a letter or a digit",
};
pub(super) const WORKFLOW_FILE: Shape =
    Shape { is: is_workflow_file, what: "a workflow's file", hint: "write it like deploy.yml" };
pub(super) const ECS_NAME: Shape =
    Shape { is: is_ecs_name, what: "an ECS name", hint: "1 to 255 letters, digits, dashes and underscores" };
pub(super) const CODEDEPLOY_NAME: Shape =
    Shape { is: is_codedeploy_name, what: "a CodeDeploy name", hint: "1 to 100 characters" };
pub(super) const WAIVER_ID: Shape =
    Shape { is: is_waiver_id, what: "the id of a vulnerability", hint: "write it like CVE-2026-0001" };
pub(super) const WORKFLOW_NAME: Shape =
    Shape { is: is_workflow_name, what: "a workflow's name", hint: "1 to 255 characters, as its file gives it" };
pub(super) const ENVIRONMENT_NAME: Shape = Shape {
    is: is_environment_name,
    what: "an environment's name",
    hint: "1 to 64 lower-case letters, digits and dashes",
};
pub(super) const NAME: Shape =
    Shape { is: is_name, what: "a name", hint: "1 to 64 letters, digits, dashes and underscores" };
pub(super) const VARIABLE_NAME: Shape = Shape {
    is: is_variable_name,
    what: "a variable's name",
    hint: "1 to 128 letters, digits, and the characters @ _ -",
};

impl Shape {
    /// What would be right.
    pub(super) fn hint(&self) -> &'static str {
        self.hint
    }
}

/// A string of that shape. One of another shape is reported, and not handed on.
pub(super) fn word(value: &Value<'_>, shape: &Shape, problems: &mut Problems<'_>) -> Option<At<String>> {
    let text = value.string(problems)?;
    has_shape(At { value: &text.value, place: text.place.clone() }, shape, problems).then_some(text)
}

/// Whether `text` is of that shape; reports it otherwise.
pub(super) fn has_shape(text: At<&str>, shape: &Shape, problems: &mut Problems<'_>) -> bool {
    let has_shape = (shape.is)(text.value);
    if !has_shape {
        problems.error(&text.place, format!("{:?} is not {}", text.value, shape.what), shape.hint);
    }
    has_shape
}

/// What AWS's regions are called before the direction. Source: botocore's `partitions.json`.
const AREAS: [&str; 16] = [
    "us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx", "cn", "us-gov", "us-iso", "us-isob", "us-isof", "eu-isoe",
    "eusc-de",
];
const DIRECTIONS: [&str; 9] =
    ["north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest", "central"];

/// A region. One that is called as none of AWS's is warned of: AWS may have a new area tomorrow.
pub(super) fn aws_region(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<At<String>> {
    let region = word(value, &REGION, problems)?;
    let (rest, _) = region.value.rsplit_once('-').unwrap_or_default();
    let (area, direction) = rest.rsplit_once('-').unwrap_or_default();
    if !AREAS.contains(&area) || !DIRECTIONS.contains(&direction) {
        let message = format!("no region of AWS is called like {:?}", region.value);
        problems.warning(&region.place, message, "is it a slip?");
    }
    Some(region)
}

/// A list of patterns, of which at least one includes.
pub(super) fn patterns(value: &Value<'_>, separator: Separator, problems: &mut Problems<'_>) -> Patterns {
    let written = value.strings(MAX_PATTERNS, problems).unwrap_or_default();
    for pattern in &written {
        if let Err(bad) = pattern::check(&pattern.value, separator) {
            problems.error(&pattern.place, format!("{:?} is not a pattern", pattern.value), bad.to_string());
        }
    }
    let patterns = Patterns::new(written.into_iter().map(|pattern| pattern.value).collect());
    if !patterns.is_empty() && patterns.including().next().is_none() {
        let hint = "name what is included first: [\"**\", \"!x\"]";
        problems.error(&value.place, "only patterns that exclude: nothing could ever match", hint);
    }
    patterns
}

/// A length of time between two bounds in seconds, both included.
pub(super) fn period(
    value: &Value<'_>,
    min_seconds: u32,
    max_seconds: u32,
    problems: &mut Problems<'_>,
) -> Option<Period> {
    let Some(text) = value.as_str() else {
        value.wrong_type("a length of time such as \"15m\"", problems);
        return None;
    };
    let Ok(period) = Period::try_from(text.to_owned()) else {
        let hint = "write a whole number and a unit: 90s, 15m, 24h or 7d";
        problems.error(&value.place, format!("{text:?} is not a length of time"), hint);
        return None;
    };
    if period.seconds() < min_seconds {
        problems.error(&value.place, format!("{text:?} is too short"), format!("at least {}", in_words(min_seconds)));
    } else if period.seconds() > max_seconds {
        problems.error(&value.place, format!("{text:?} is too long"), format!("at most {}", in_words(max_seconds)));
    }
    Some(period)
}

/// Seconds in the largest unit that divides them: `15m`.
fn in_words(seconds: u32) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    let (length, unit) = unit.unwrap_or((1, "s"));
    format!("{}{unit}", seconds / length)
}

/// Between `min` and `max` bytes, all of them letters, digits or one of `others`.
fn is_made_of(text: &str, min: usize, max: usize, others: &[u8]) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    (min..=max).contains(&text.len()) && text.bytes().all(fits)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_label = |label: &str| is_made_of(label, 1, 63, b"-") && !label.starts_with('-') && !label.ends_with('-');
    let is_dotted = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    text.len() <= 254
        && is_made_of(local, 1, 64, b".!#$%&'*+/=?^_`{|}~-")
        && is_dotted
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

fn is_login(text: &str) -> bool {
    is_made_of(text, 1, 39, b"-_") && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether a text has the shape of an AWS region: `eu-west-2`.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() <= 30
        && (2..=4).contains(&words.len())
        && words.iter().all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_repository(text: &str) -> bool {
    text.split_once('/')
        .is_some_and(|(owner, name)| is_login(owner) && is_made_of(name, 1, 100, b"._-") && !matches!(name, "." | ".."))
}

fn is_pipeline_name(text: &str) -> bool {
    is_made_of(text, 1, 100, b".@_-")
}

fn is_project(text: &str) -> bool {
    is_made_of(text, 2, 150, b"-_") && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn is_workflow_file(text: &str) -> bool {
    is_made_of(text, 5, 255, b"._-") && (text.ends_with(".yml") || text.ends_with(".yaml"))
}

fn is_ecs_name(text: &str) -> bool {
    is_made_of(text, 1, 255, b"-_")
}

fn is_codedeploy_name(text: &str) -> bool {
    (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_waiver_id(text: &str) -> bool {
    is_made_of(text, 1, 100, b"._:-")
}

fn is_workflow_name(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_environment_name(text: &str) -> bool {
    is_made_of(text, 1, 64, b"-") && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_name(text: &str) -> bool {
    is_made_of(text, 1, 64, b"-_")
}

fn is_variable_name(text: &str) -> bool {
    is_made_of(text, 1, 128, b"@_-")
}
