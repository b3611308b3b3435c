//! What is wrong with a configuration, and where: file, line, column, key, and what would be right.

use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// One thing that is wrong, or looks wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The dotted path of the key, `routes[2].branch[0]`; empty where there is none.
    pub key: String,
    /// What is wrong. One sentence, without a full stop.
    pub message: String,
    /// What would be right; empty where the message says it all.
    pub hint: String,
    /// Whether it stands in the way.
    pub severity: ProblemSeverity,
}

/// Whether a problem stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemSeverity {
    /// The configuration is not taken.
    Error,
    /// It is taken.
    Warning,
}

impl fmt::Display for Problem {
    /// `pointsman.toml:12:5: routes[0].brnach: unknown key; did you mean "branch"?`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if self.severity == ProblemSeverity::Warning {
            formatter.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(formatter, "; {}", self.hint) }
    }
}

/// Where something stands: its dotted key, and its bytes in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

impl Place {
    /// The place of `key` in the table at this place, at `span`.
    pub(super) fn child(&self, key: &str, span: Range<usize>) -> Self {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_bare = !key.is_empty() && key.bytes().all(is_bare);
        let key = if is_bare { key.to_owned() } else { format!("{key:?}") };
        let key = if self.key.is_empty() { key } else { format!("{}.{key}", self.key) };
        Self { key, span }
    }

    /// The place of the element `index` of the list at this place.
    pub(super) fn element(&self, index: usize, span: Range<usize>) -> Self {
        Self { key: format!("{}[{index}]", self.key), span }
    }
}

/// Gathers problems: reading goes on after each.
pub(super) struct Problems<'a> {
    file: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    found: Vec<(usize, Problem)>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { file, text, line_starts: std::iter::once(0).chain(after_breaks).collect(), found: Vec::new() }
    }

    pub(super) fn error(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        self.add(ProblemSeverity::Error, place, message.into(), hint.into());
    }

    pub(super) fn warning(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        self.add(ProblemSeverity::Warning, place, message.into(), hint.into());
    }

    /// Whether something at or under `key` is wrong: what refers to it is not to blame then.
    pub(super) fn has_error_under(&self, key: &str) -> bool {
        let is_under = |problem: &Problem| {
            problem.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.found.iter().any(|(_, problem)| problem.severity == ProblemSeverity::Error && is_under(problem))
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|(_, problem)| problem.severity == ProblemSeverity::Error)
    }

    /// All of them, in the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by(|(left_at, left), (right_at, right)| {
            (left_at, &left.key, left.severity).cmp(&(right_at, &right.key, right.severity))
        });
        self.found.into_iter().map(|(_, problem)| problem).collect()
    }

    fn add(&mut self, severity: ProblemSeverity, place: &Place, message: String, hint: String) {
        let (line, column) = self.position(place.span.start);
        let (file, key) = (self.file.to_owned(), place.key.clone());
        self.found.push((place.span.start, Problem { file, line, column, key, message, hint, severity }));
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= byte).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..byte.min(self.text.len())).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}
