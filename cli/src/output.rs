//! What a command prints, and how it ends. A reader that goes away (`| head`) ends nothing in a panic.

use crate::args::Globals;
use crate::failure::Failure;
use crate::session::Surroundings;
use crate::text::{invisible_escaped, plain};
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit code of what was done and came out badly.
const FAILED: u8 = 1;

/// What a command found or did: for people and for programs.
#[derive(Debug)]
#[must_use]
pub(crate) struct Report {
    text: String,
    json: String,
    notes: Vec<String>,
    is_ok: bool,
}

impl Report {
    /// It was done. `text` may span lines and hold colours; what strangers wrote in it is escaped already.
    pub(crate) fn new(text: String, json: &impl Serialize) -> Self {
        Self { text, json: json_text(json), notes: Vec::new(), is_ok: true }
    }

    /// The same, with exit code 1 unless `is_ok`.
    pub(crate) fn ok_if(mut self, is_ok: bool) -> Self {
        self.is_ok = is_ok;
        self
    }

    /// Adds a sentence for stderr, beside the document.
    pub(crate) fn note(mut self, sentence: impl Into<String>) -> Self {
        self.notes.push(sentence.into());
        self
    }

    /// Whether it came out well.
    #[cfg(test)]
    pub(crate) fn is_ok(&self) -> bool {
        self.is_ok
    }
}

/// Prints what came of a command and tells the exit code.
pub(crate) fn finish(outcome: Result<Report, Failure>, globals: &Globals, around: &Surroundings<'_>) -> ExitCode {
    let command = globals.command(around);
    match outcome {
        Ok(report) => {
            report.notes.iter().for_each(|note| complain(&as_called(note, &command)));
            // A report holds what strangers wrote, and files as they were pushed: nothing is put in there.
            let printed = if globals.json { report.json } else { lines(&report.text) };
            match print(&printed) {
                Ok(()) if report.is_ok => ExitCode::SUCCESS,
                Ok(()) => ExitCode::from(FAILED),
                Err(error) => {
                    complain(&format!("the output cannot be written: {error}"));
                    ExitCode::from(FAILED)
                }
            }
        }
        Err(failure) => {
            let hint = match globals.local && failure.is_unreachable() {
                true => "; is `cargo local` running?",
                false => "",
            };
            complain(&as_called(&format!("{}{hint}", plain(&failure.to_string())), &command));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Tells on stderr how far something is.
pub(crate) fn progress(sentence: &str) {
    complain(&plain(sentence));
}

/// A text whose hints, written as in `` `pointsman executions list` ``, can be run as they stand.
fn as_called(text: &str, command: &str) -> String {
    text.replace("`pointsman ", &format!("`{command} "))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

fn complain(sentence: &str) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "pointsman: {sentence}");
}

/// JSON for programs that a person may see too: what would move a terminal's cursor is escaped.
fn json_text(value: &impl Serialize) -> String {
    // Our own types always serialise; from text to text, fields keep their order.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let escape = |character: char| {
        let units = |character: char| {
            character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
        };
        match character {
            '\n' => character.to_string(),
            _ if invisible_escaped(character).is_some() => units(character),
            _ => character.to_string(),
        }
    };
    lines(&text.chars().map(escape).collect::<String>())
}

/// Ends a text with exactly one line break; an empty text stays empty.
fn lines(text: &str) -> String {
    let text = text.trim_end_matches('\n');
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn json_moves_no_cursor_and_reads_back() {
        let value = json!({ "title": "a\u{1b}[2Jb\u{9b}c\u{202e}d\u{7f}", "plain": "naïve 🚂" });
        let text = json_text(&value);
        assert!(text.contains("naïve 🚂") && text.ends_with("}\n"), "{text}");
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_hint_is_the_command_as_it_was_called() {
        let hint = "unknown; `pointsman executions resolve ex-1` settles it, in pointsman";
        let called = as_called(hint, "cargo pointsman --local --aws-port 4600");
        let expected =
            "unknown; `cargo pointsman --local --aws-port 4600 executions resolve ex-1` settles it, in pointsman";
        assert_eq!(called, expected);
        assert_eq!(as_called(hint, "pointsman"), hint);
    }

    #[test]
    fn a_text_ends_with_one_line_break() {
        for (text, expected) in [("", ""), ("a", "a\n"), ("a\n", "a\n"), ("a\n\n", "a\n"), ("a\nb", "a\nb\n")] {
            assert_eq!(lines(text), expected);
        }
    }
}
