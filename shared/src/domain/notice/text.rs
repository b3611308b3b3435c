//! What stands in the notices: plain text, for somebody who reads it at night on a telephone. The first line says what
//! happened and whether anybody must act; the last one is the command that helps.
//!
//! Alarms, findings, AWS's reasons and titles of commits are strangers' texts: each stays on its own line, bounded, and no
//! mail program makes a link of it.

use super::Notice;
use crate::domain::change::{GitRef, Sha};
use crate::domain::execution::{Execution, Target};
use crate::domain::hold::Hold;
use crate::domain::image;
use crate::domain::incident::{Cause, Decision, Incident, Signal, Status};
use crate::domain::mail::SUBJECT_CHARS_MAX;
use crate::domain::rollback::{Phase, Proof, Rollback, Step};
use crate::domain::shown;
use jiff::Timestamp;

/// The most that is shown of a reason or of what a signal says, in characters; what is beyond is cut off.
const REASON_CHARS_MAX: usize = 300;
/// The most that is shown of a name or a title, in characters.
const NAME_CHARS_MAX: usize = 120;
/// The most that a subject shows of a cause, in characters: the rest of it still has room.
const CAUSE_CHARS_MAX: usize = 40;
/// The most signals that are shown; the others are counted.
const SIGNALS_SHOWN_MAX: usize = 5;
/// How wide the column of labels is, in characters.
const LABEL_WIDTH: usize = 12;

/// An execution that waits at a hold.
#[derive(Debug, Clone, Copy)]
pub struct Waits<'a> {
    /// The hold.
    pub hold: &'a Hold,
    /// The region that the stage deploys to.
    pub region: &'a str,
    /// The pipeline.
    pub target: &'a Target,
    /// The stage that it waits for.
    pub stage: &'a str,
    /// AWS's id of the execution.
    pub aws_id: &'a str,
    /// Ours, where it is known.
    pub execution: Option<&'a Execution>,
    /// Its commit, where it is known.
    pub sha: Option<&'a Sha>,
}

/// Whether people should be told how `incident` stands, who were told how it stood `before`.
pub fn is_news(before: Option<&Incident>, incident: &Incident) -> bool {
    before.is_none_or(|before| {
        (before.status, &before.decision, &before.reason) != (incident.status, &incident.decision, &incident.reason)
    })
}

/// What people are told of an incident and of the rollbacks that answer it. `is_held`: whether the ways into the
/// environment stay closed.
pub fn incident(incident: &Incident, rollbacks: &[Rollback], is_held: bool) -> Notice {
    let (word, opening) = opening(incident, rollbacks);
    let mut parts = vec![opening, facts(incident, rollbacks)];
    parts.extend(rollbacks.iter().map(done));
    parts.extend(needed(incident, is_held));
    Notice {
        about: incident.id.to_string(),
        is_urgent: incident.status == Status::NeedsPerson,
        subject: subject(&format!("{word}: {}, {}", place(incident), cause(&incident.cause, CAUSE_CHARS_MAX))),
        body: parts.join("\n\n") + "\n",
    }
}

/// What people are told of an execution that waits at a hold.
pub fn waits(waits: &Waits<'_>) -> Notice {
    let (hold, environment) = (waits.hold, &waits.hold.environment);
    let what = waits.sha.map_or("an execution", Sha::short);
    let execution = waits.execution;
    let git_ref = execution.and_then(|execution| execution.git_ref.clone()).map(GitRef::from);
    let git_ref = git_ref.map(|git_ref| match git_ref {
        GitRef::Branch(name) => ("Branch", named(&name)),
        GitRef::Tag(name) => ("Tag", named(&name)),
        GitRef::Other(full) => ("Ref", named(&full)),
    });
    let title = execution.and_then(|execution| execution.title.as_deref());
    let repository = execution.and_then(|execution| execution.repository.as_ref());
    let rows = [
        title.map(|title| ("Title", named(title))),
        repository.map(|repository| ("Repository", named(&repository.full_name))),
        git_ref,
        Some(("Commit", waits.sha.map_or_else(|| "not known".to_owned(), |sha| sha.as_str().to_owned()))),
        execution.map(|execution| ("Execution", execution.id.to_string())),
        Some(("AWS's id", waits.aws_id.to_owned())),
        Some(("Waits for", format!("stage {} of {} ({})", waits.stage, waits.target.name, waits.region))),
        Some(("Held since", format!("{}, by {}", shown::utc(hold.since), named(&hold.by)))),
        Some(("Because", sentence(&hold.reason))),
        hold.incident.clone().map(|incident| ("Incident", incident)),
    ];
    let needed = match waits.sha {
        Some(sha) => format!(
            "To let this commit in, and nothing else:\n\n  pointsman release {environment} --sha {sha} --reason \"why\""
        ),
        None => format!(
            "Nobody knows its commit, so it can only go in with all others, by the end of the hold:\n\n  pointsman release \
             {environment} --reason \"why\""
        ),
    };
    let opening = format!(
        "{} waits to go into {environment}, which is held. It goes in when somebody releases it, and not before.",
        capitalised(what),
    );
    Notice {
        about: format!("{} {} {}", waits.target.name, waits.stage, waits.aws_id),
        is_urgent: false,
        subject: subject(&format!("Waits: {what} at the hold of {environment}")),
        body: [opening, lines(rows), needed].join("\n\n") + "\n",
    }
}

/// A subject as SNS takes it: printable ASCII, less than 100 characters.
pub(super) fn subject(text: &str) -> String {
    let ascii: String = text.chars().filter(|character| matches!(character, ' '..='~')).collect();
    match ascii.char_indices().nth(SUBJECT_CHARS_MAX) {
        Some(_) => ascii.chars().take(SUBJECT_CHARS_MAX - 3).chain("...".chars()).collect(),
        None => ascii,
    }
}

/// The subject's first word, and the first line.
fn opening(incident: &Incident, rollbacks: &[Rollback]) -> (&'static str, String) {
    let (place, cause) = (place(incident), cause(&incident.cause, NAME_CHARS_MAX));
    let bad = bad(incident);
    let goal = rollbacks.first().map(|first| first.to.digits());
    let goal = goal.map(|goal| format!(" to {goal}")).unwrap_or_default();
    match incident.status {
        Status::Settling => {
            let until = incident.settling.as_ref().map(|settling| shown::utc(settling.until)).unwrap_or_default();
            let line = format!(
                "{} in {place}: nobody has to act yet. It is watched until {until}; if it stays red, {bad} is turned back.",
                capitalised(&cause),
            );
            ("Watching", line)
        }
        Status::Recorded => {
            let line = format!(
                "{} in {place}: nothing was turned back. Look at it: nothing more happens by itself.",
                capitalised(&cause)
            );
            ("Recorded", line)
        }
        Status::Blocked => {
            let line = format!(
                "{} is kept out of {place}. What is live is not touched: nobody has to act now.",
                capitalised(&bad)
            );
            ("Kept out", line)
        }
        Status::RollingBack => (
            "Rolling back",
            format!(
                "{} is being turned back{goal} in {place}. Nobody has to act: you are told how it ends.",
                capitalised(&bad)
            ),
        ),
        Status::RolledBack => {
            let is_unseen =
                |rollback: &Rollback| matches!(rollback.phase, Phase::Done { proof: Proof::Word { .. }, .. });
            let end = match rollbacks.iter().any(is_unseen) {
                true => "AWS says so; nobody could see what runs, so look at it.",
                false => "Nobody has to act now.",
            };
            ("Rolled back", format!("{} was turned back{goal} in {place}. {end}", capitalised(&bad)))
        }
        Status::Cancelled => ("Not needed", format!("Nothing had to be turned back in {place}. Nobody has to act.")),
        Status::NeedsPerson => (
            "ACT NOW",
            format!("Somebody must act now in {place}: Pointsman has stopped and does nothing more by itself."),
        ),
        Status::Closed => ("Over", format!("{} in {place} is over. Nobody has to act.", capitalised(&cause))),
    }
}

/// What, where, since when, and why it stands so.
fn facts(incident: &Incident, rollbacks: &[Rollback]) -> String {
    let mut regions: Vec<&str> = rollbacks.iter().map(|rollback| rollback.region.as_str()).collect();
    if regions.is_empty() {
        regions.push(&incident.region);
    }
    let since = incident.signals.iter().map(|signal| signal.at).min().unwrap_or(incident.opened_at);
    let blamed = incident.blamed.as_ref().map(|blamed| format!("{} ({})", bad(incident), blamed.execution));
    let by = match &incident.decision {
        Decision::RollBack { by, .. } => Some(named(by)),
        Decision::Wait | Decision::Notify | Decision::Block | Decision::Person => None,
    };
    let rows = [
        Some(("Why", sentence(&incident.reason))),
        Some(("Where", format!("{} ({})", place(incident), regions.join(", ")))),
        Some(("Since", shown::utc(since))),
        blamed.map(|blamed| ("Blamed", blamed)),
        by.map(|by| ("Decided by", by)),
    ];
    let mut text = lines(rows);
    for signal in incident.signals.iter().take(SIGNALS_SHOWN_MAX) {
        text.push('\n');
        text.push_str(&line("Signal", &told(signal)));
    }
    if incident.signals.len() > SIGNALS_SHOWN_MAX || incident.has_more_signals {
        let number = incident.signals.len().saturating_sub(SIGNALS_SHOWN_MAX);
        let more = if incident.has_more_signals { "more than ".to_owned() } else { String::new() };
        text.push('\n');
        text.push_str(&line("", &format!("and {more}{number} others")));
    }
    text.push('\n');
    text.push_str(&line("Incident", incident.id.as_str()));
    text
}

fn told(signal: &Signal) -> String {
    let (at, cause) = (clock(signal.at), cause(&signal.cause, NAME_CHARS_MAX));
    format!("{at} {cause} in {}: {}", signal.region, sentence(&signal.says))
}

/// What was done in one region: each step, and what came of it.
fn done(rollback: &Rollback) -> String {
    let mut text = format!("{}, from {} to {}:", rollback.region, rollback.from.digits(), rollback.to.digits());
    let mut add = |at: Timestamp, what: String| text.push_str(&format!("\n  {}  {what}", clock(at)));
    for tried in &rollback.tried {
        add(tried.at, format!("{}: {}", step(tried.step), sentence(&tried.why)));
    }
    match &rollback.phase {
        Phase::Claimed => add(rollback.updated_at, "the way in is being closed".to_owned()),
        Phase::Choosing => add(rollback.updated_at, "the next step is being chosen".to_owned()),
        Phase::Asked { step: asked, since } => add(*since, format!("{}: AWS is asked", step(*asked))),
        Phase::Going { step: going, since, .. } => add(*since, format!("{}: under way", step(*going))),
        Phase::Done { when, step: by, proof } => {
            let by = by.map_or_else(|| "it was back already".to_owned(), step_done);
            add(*when, format!("{by}; {}", shown_by(proof)));
        }
        Phase::Cancelled { when, why } => add(*when, format!("nothing to do: {}", sentence(why))),
        Phase::Person { when, why } => add(*when, format!("stopped: {}", sentence(why))),
    }
    text
}

fn step_done(by: Step) -> String {
    format!("{}: it is back", step(by))
}

fn step(step: Step) -> &'static str {
    match step {
        Step::Stop => "stop what is in flight",
        Step::RollbackStage => "RollbackStage",
        Step::Start => "the pipeline with that commit",
        Step::Deploy => "a deployment past the pipeline",
    }
}

fn shown_by(proof: &Proof) -> String {
    match proof {
        Proof::Images { digests } => {
            let digests: Vec<&str> = digests.iter().map(|digest| image::shown(digest)).collect();
            format!("what runs shows it: {}", digests.join(", "))
        }
        Proof::Word { why } => format!("AWS says so, and nobody could look: {}", sentence(why)),
    }
}

/// What is needed, and the command for it.
fn needed(incident: &Incident, is_held: bool) -> Vec<String> {
    let show = format!("All that is known:\n\n  pointsman incidents show {}", incident.id);
    let Some(environment) = &incident.environment else { return vec![show] };
    match incident.status {
        Status::Settling | Status::RollingBack | Status::Cancelled | Status::Closed => vec![show],
        Status::Blocked => vec![
            "It goes in once the finding is gone or waived. A newer commit with a mended image passes by itself."
                .to_owned(),
            show,
        ],
        Status::Recorded => {
            vec![show, format!("If the version must go:\n\n  pointsman rollback {environment} --reason \"why\"")]
        }
        Status::RolledBack if is_held => vec![
            format!(
                "{environment} stays held, so that nothing brings it back. When a fix waits there, let that commit in:\n\n  \
                     pointsman release {environment} --sha SHA --reason \"why\""
            ),
            format!("When all may go in again:\n\n  pointsman release {environment} --reason \"why\""),
        ],
        Status::RolledBack => vec![show],
        Status::NeedsPerson => vec![
            show,
            format!("Which step would work now, and to which version:\n\n  pointsman rollback {environment} --dry-run"),
            format!(
                "To go back to a commit that you name:\n\n  pointsman rollback {environment} --to SHA --reason \"why\""
            ),
        ],
    }
}

fn place(incident: &Incident) -> &str {
    incident.environment.as_deref().unwrap_or("this account")
}

/// What is blamed, in a few words.
fn bad(incident: &Incident) -> String {
    let sha = incident.blamed.as_ref().and_then(|blamed| blamed.sha.as_ref());
    sha.map_or_else(|| "the deployment".to_owned(), |sha| sha.short().to_owned())
}

fn cause(cause: &Cause, characters_max: usize) -> String {
    let named = |text: &str| shown::unlinked(text, characters_max);
    match cause {
        Cause::Alarm { name } => format!("alarm {}", named(name)),
        Cause::Finding { vulnerability } => format!("finding {}", named(vulnerability)),
        Cause::Insight { id } => format!("DevOps Guru insight {}", named(id)),
        Cause::Threat { id } => format!("GuardDuty finding {}", named(id)),
        Cause::Manual => "a request by hand".to_owned(),
    }
}

fn lines<'a>(rows: impl IntoIterator<Item = Option<(&'a str, String)>>) -> String {
    let lines: Vec<String> = rows.into_iter().flatten().map(|(label, value)| line(label, &value)).collect();
    lines.join("\n")
}

fn line(label: &str, value: &str) -> String {
    format!("  {label:LABEL_WIDTH$}{value}").trim_end().to_owned()
}

/// A name or a title, as one line without links.
fn named(text: &str) -> String {
    shown::unlinked(text, NAME_CHARS_MAX)
}

/// A reason, as one line without links.
fn sentence(text: &str) -> String {
    shown::unlinked(text, REASON_CHARS_MAX)
}

/// The time of day, in UTC.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

/// As a sentence begins; but digits of a commit stay as they are typed.
fn capitalised(text: &str) -> String {
    if !text.contains(' ') {
        return text.to_owned();
    }
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
}

#[cfg(test)]
mod tests;
