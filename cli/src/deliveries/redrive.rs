//! `pointsman deliveries redrive`: dead letters back into the queue of changes.
//!
//! A letter is sent before it is deleted, so a crash in between sends it twice and loses nothing: `dispatch` meets
//! the second one with its claims and fences, as any repeat.

use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, unique};
use crate::text::plain;
use pointsman::aws::sqs::{Message, Queue};
use pointsman::domain::command::Command;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a letter is hidden from others while it is looked at, in seconds.
const HIDDEN_SECONDS: i32 = 60;
/// How many letters one call takes up. At the bound it stops and says so.
const LETTERS_MAX: usize = 2_000;
/// `sweep` holds the letters for a moment when it counts them: so often an empty answer is not believed.
const EMPTY_ANSWERS: usize = 4;
/// How long between an empty answer and the next try.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  pointsman deliveries redrive 72d3162e-cc78-11e3-81ab-4c9367dc0958
  pointsman deliveries redrive --all

A letter that is still refused ends as a dead letter again. Letters of one ref are taken up in their order; one that
stands behind more than ten others of its ref is reached with --all only.";

/// Put dead letters back into the queue, through the same claims and fences
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[group(required = true, multiple = false)]
pub(crate) struct Args {
    /// The deliveries (for a retry by hand: the execution)
    #[arg(value_name = "GUID")]
    deliveries: Vec<String>,
    /// Every dead letter, also those that cannot be read
    #[arg(long)]
    all: bool,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Redriven {
    /// Put back into the queue of changes.
    redriven: Vec<String>,
    /// Put back, though nobody could read them here.
    unreadable: usize,
    /// Left where they were.
    kept: usize,
    /// Asked for, and not among the dead letters.
    missing: Vec<String>,
    /// There may be more: the bound was reached.
    is_cut_off: bool,
}

/// Puts them back.
pub(super) async fn run(args: &Args, session: &Session) -> Result<Report, Failure> {
    let (dead, changes) = (session.dead_letters().await?, session.changes().await?);
    let wanted: BTreeSet<&str> = args.deliveries.iter().map(String::as_str).collect();
    let mut kept = Vec::new();
    let mut done = Redriven::default();
    let outcome = move_all(&dead, &changes, &wanted, &mut kept, &mut done).await;
    for letter in &kept {
        // A letter that cannot be shown again now shows itself when its time is over.
        let _ = dead.put_back(letter).await;
    }
    outcome?;
    done.kept = kept.len();
    let found: BTreeSet<&str> = done.redriven.iter().map(String::as_str).collect();
    done.missing = wanted.difference(&found).map(|name| (*name).to_owned()).collect();
    if done.redriven.is_empty() && !done.missing.is_empty() {
        return Err(Failure::NotFound(format!("no dead letter {}", done.missing.join(", "))));
    }
    Ok(Report::new(text(&done), &done).ok_if(done.missing.is_empty()))
}

async fn move_all(
    dead: &Queue,
    changes: &Queue,
    wanted: &BTreeSet<&str>,
    kept: &mut Vec<Message>,
    done: &mut Redriven,
) -> Result<(), Failure> {
    let mut taken = 0;
    let mut empty = 0;
    while empty < EMPTY_ANSWERS {
        let is_complete = !wanted.is_empty() && done.redriven.len() >= wanted.len();
        if is_complete {
            break;
        }
        if taken >= LETTERS_MAX {
            done.is_cut_off = true;
            break;
        }
        let letters = dead.receive(HIDDEN_SECONDS).await?;
        if letters.is_empty() {
            empty += 1;
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
            continue;
        }
        empty = 0;
        taken += letters.len();
        for letter in letters {
            let name = name_of(&letter.body);
            let is_wanted = wanted.is_empty() || name.as_deref().is_some_and(|name| wanted.contains(name));
            if !is_wanted {
                kept.push(letter);
                continue;
            }
            changes.send_raw(&letter.body, &letter.group, &format!("redrive-{}", unique())).await?;
            dead.delete(&letter).await?;
            match name {
                Some(name) => done.redriven.push(name),
                None => done.unreadable += 1,
            }
        }
    }
    Ok(())
}

/// What a letter is called: its delivery, or for a retry the execution.
fn name_of(body: &str) -> Option<String> {
    Some(match serde_json::from_str(body).ok()? {
        Command::Change(change) => change.delivery.to_string(),
        Command::Manual(manual) => manual.manual.to_string(),
        Command::Retry(retry) => retry.retry.to_string(),
    })
}

fn text(done: &Redriven) -> String {
    let mut lines = vec![match done.redriven.len() + done.unreadable {
        0 => "no dead letters".to_owned(),
        1 => "1 dead letter is back in the queue".to_owned(),
        count => format!("{count} dead letters are back in the queue"),
    }];
    lines.extend(done.redriven.iter().map(|name| format!("  {}", plain(name))));
    if done.unreadable > 0 {
        lines.push(format!("{} of them cannot be read and may come back", done.unreadable));
    }
    if done.kept > 0 {
        lines.push(format!("{} others stay where they are", done.kept));
    }
    lines.extend(done.missing.iter().map(|name| format!("no dead letter {}", plain(name))));
    if done.is_cut_off {
        lines.push(format!("stopped after {LETTERS_MAX}: call it again for the rest"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_called_by_what_it_is_about() {
        let sha = "a".repeat(40);
        let manual =
            format!(r#"{{"manual":"manual-1","repository":"acme/shop","route":"r","sha":"{sha}","reason":"w"}}"#);
        #[rustfmt::skip]
        let cases = [
            (manual.as_str(),         Some("manual-1"), "a start by hand"),
            (r#"{"retry":"ex-1"}"#,   Some("ex-1"),     "a retry"),
            (r#"{"retry":1}"#,        None,             "neither"),
            ("not JSON",              None,             "a poison message"),
        ];
        for (body, expected, why) in cases {
            assert_eq!(name_of(body).as_deref(), expected, "{why}");
        }
    }

    #[test]
    fn people_get_the_counts() {
        let done = Redriven {
            redriven: vec!["d1".into(), "d2".into()],
            unreadable: 1,
            kept: 3,
            missing: vec!["d9".into()],
            is_cut_off: true,
        };
        insta::assert_snapshot!(text(&done), @r"
        3 dead letters are back in the queue
          d1
          d2
        1 of them cannot be read and may come back
        3 others stay where they are
        no dead letter d9
        stopped after 2000: call it again for the rest
        ");
        assert_eq!(text(&Redriven::default()), "no dead letters");
    }
}
