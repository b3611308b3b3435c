//! `pointsman quarantine`: which commits are kept out of an environment, and keeping others out, or letting them in again.

use crate::args::{Globals, reason};
use crate::environments::find;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::{Style, cell, cell_or_dash, cut};
use pointsman::domain::audit::Note;
use pointsman::domain::change::Sha;
use pointsman::domain::quarantine::{Lifted, Quarantine};
use pointsman::ledger::{LedgerError, Loaded, Writes, environment_subject};
use pointsman::run::{RunError, in_turns};
use serde_json::json;

/// How many commits of one environment are listed. Those beyond have higher digits, and are not.
const LISTED: usize = 1_000;
/// How much of a reason a table shows, in characters.
const REASON: usize = 80;

const LIST_EXAMPLES: &str = "\
Examples:
  pointsman quarantine list
  pointsman quarantine list web-production --all --json";
const ADD_EXAMPLES: &str = "\
Examples:
  pointsman quarantine add web-production 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --reason \"it loses orders\"

Its next push is ignored, no approval of it is taken there, and nothing goes back to it. What runs is not stopped.";
const LIFT_EXAMPLES: &str = "\
Examples:
  pointsman quarantine lift web-production 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --reason \"fixed by configuration\"

Nothing starts by that: push it again, or use `pointsman start`.";

/// See and say which commits are kept out of an environment
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the commits that are kept out
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Keep a commit out of an environment
    #[command(after_help = ADD_EXAMPLES)]
    Add(ChangeArgs),
    /// Let a commit in again
    #[command(after_help = LIFT_EXAMPLES)]
    Lift(ChangeArgs),
}

/// Which commits.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those of this environment
    environment: Option<String>,
    /// Those that were lifted, too
    #[arg(long)]
    all: bool,
}

/// Which commit, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// The environment
    environment: String,
    /// The commit: 40 hexadecimal digits
    sha: Sha,
    /// Why, for the audit log and for whoever pushes it
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// Does what was asked.
pub(crate) async fn run(command: &Command, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    match command {
        Command::List(args) => list(args, &session, &style).await,
        Command::Add(args) => add(args, &session, &style).await,
        Command::Lift(args) => lift(args, &session, &style).await,
    }
}

async fn list(args: &ListArgs, session: &Session, style: &Style) -> Result<Report, Failure> {
    let names = match &args.environment {
        Some(typed) => vec![find(session, typed).await?.name],
        None => session.configuration().await?.environments.into_keys().collect(),
    };
    let mut found = Vec::new();
    for name in names {
        found.extend(session.ledger.quarantines(&name, LISTED).await?);
    }
    found.retain(|one| args.all || one.is_in_force());
    Ok(Report::new(text(&found, style), &found))
}

async fn add(args: &ChangeArgs, session: &Session, style: &Style) -> Result<Report, Failure> {
    let environment = find(session, &args.environment).await?.name;
    let now = session.now();
    let new = Quarantine {
        environment,
        sha: args.sha.clone(),
        since: now,
        by: session.operator().await?.to_owned(),
        reason: args.reason.clone(),
        incident: None,
        lifted: None,
    };
    let added = in_turns(|| async {
        let mut loaded = match session.ledger.quarantine(&new.environment, &new.sha).await? {
            Some(mut known) => {
                if !known.value.renew(new.clone()) {
                    return Ok((known.value, false));
                }
                known
            }
            None => Loaded::absent(new.clone()),
        };
        loaded.value.lifted = None;
        save(session, &loaded, &new.by, "quarantine added", &new.reason).await?;
        Ok((loaded.value, true))
    });
    let (quarantine, is_new) = added.await?;
    let report = Report::new(text(std::slice::from_ref(&quarantine), style), &quarantine);
    let known =
        || format!("{} is in quarantine already, by {}: {}", quarantine.sha.short(), quarantine.by, quarantine.reason);
    Ok(if is_new { report } else { report.note(known()) })
}

async fn lift(args: &ChangeArgs, session: &Session, style: &Style) -> Result<Report, Failure> {
    let environment = find(session, &args.environment).await?.name;
    let (by, now) = (session.operator().await?.to_owned(), session.now());
    let lifted = in_turns(|| async {
        let Some(mut known) = session.ledger.quarantine(&environment, &args.sha).await? else { return Ok(None) };
        let lifted = Lifted { at: now, by: by.clone(), reason: args.reason.clone() };
        if !known.value.lift(lifted) {
            return Ok(Some((known.value, false)));
        }
        save(session, &known, &by, "quarantine lifted", &args.reason).await?;
        Ok(Some((known.value, true)))
    });
    let short = args.sha.short();
    match lifted.await? {
        None => Err(Failure::NotFound(format!("no quarantine of {short} in {environment}"))),
        Some((_, false)) => {
            Err(Failure::Refused(format!("the quarantine of {short} in {environment} is lifted already")))
        }
        Some((quarantine, true)) => {
            let report = Report::new(text(std::slice::from_ref(&quarantine), style), &quarantine);
            Ok(report.note("nothing starts by that: push it again, or use `pointsman start`"))
        }
    }
}

async fn save(
    session: &Session,
    quarantine: &Loaded<Quarantine>,
    by: &str,
    what: &str,
    reason: &str,
) -> Result<(), RunError> {
    let Quarantine { environment, sha, incident, .. } = &quarantine.value;
    let detail = json!({ "sha": sha, "incident": incident, "reason": reason });
    let note = Note { actor: by.to_owned(), what: what.to_owned(), detail };
    let writes = Writes::new().quarantine(quarantine);
    let saved: Result<(), LedgerError> =
        session.ledger.save_noted(writes, &environment_subject(environment), note, session.now()).await;
    Ok(saved?)
}

fn text(all: &[Quarantine], style: &Style) -> String {
    if all.is_empty() {
        return "nothing is in quarantine".to_owned();
    }
    let rows = all.iter().map(|one| {
        let lifted = one
            .lifted
            .as_ref()
            .map(|lifted| format!("{} by {}: {}", style.time(lifted.at), lifted.by, cut(&lifted.reason, REASON)));
        vec![
            cell(&one.environment),
            cell(one.sha.as_str()),
            cell(style.time(one.since)),
            cell(&one.by),
            cell_or_dash(one.incident.as_ref()),
            cell(cut(&one.reason, REASON)),
            cell_or_dash(lifted),
        ]
    });
    style.table(&["ENVIRONMENT", "COMMIT", "SINCE", "BY", "INCIDENT", "WHY", "LIFTED"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::style_for_tests;

    #[test]
    fn a_list_tells_who_and_why() {
        let since = jiff::Timestamp::from_second(1_800_000_000 - 120).unwrap();
        let one = Quarantine {
            environment: "web".into(),
            sha: "a".repeat(40).parse().unwrap(),
            since,
            by: "rollback".into(),
            reason: "turned\u{1b}[2J back to bbbbbbb".into(),
            incident: Some("in-1".into()),
            lifted: None,
        };
        let lifted = Lifted { at: since, by: "operator:ada".into(), reason: "fixed".into() };
        let all = [one.clone(), Quarantine { incident: None, lifted: Some(lifted), ..one }];
        insta::assert_snapshot!(text(&all, &style_for_tests()), @r"
        ENVIRONMENT  COMMIT                                    SINCE   BY        INCIDENT  WHY                              LIFTED
        web          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  2m ago  rollback  in-1      turned\u{1b}[2J back to bbbbbbb  -
        web          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  2m ago  rollback  -         turned\u{1b}[2J back to bbbbbbb  2m ago by operator:ada: fixed
        ");
        assert_eq!(text(&[], &style_for_tests()), "nothing is in quarantine");
    }
}
