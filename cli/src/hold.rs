//! `pointsman hold` and `pointsman release`: nothing new goes in, until a person says so.

use crate::args::{Globals, Within, reason};
use crate::environments::{deploys, find, show};
use crate::failure::Failure;
use crate::output::Report;
use crate::rollback::commit;
use crate::session::{Session, Surroundings};
use crate::text::{Style, plain};
use pointsman::domain::change::Sha;
use pointsman::domain::hold::{Hold, Wanted};
use pointsman::ledger::Filter;
use pointsman::rolling::hold::{self, HoldSeen, Released};
use serde::Serialize;

/// How many of an environment's latest executions are looked through for a commit.
const EXECUTIONS_MAX: usize = 200;

const HOLD_EXAMPLES: &str = "\
Examples:
  pointsman hold web-production --reason \"the database moves\"
  pointsman hold web-production --region eu-west-2 --reason \"the database moves\"

What is inside a stage goes on. A rollback goes in all the same.";
const RELEASE_EXAMPLES: &str = "\
Examples:
  pointsman release web-production --reason \"the fix is merged\"
  pointsman release web-production --sha 6113728 --reason \"hotfix\"

With --sha one commit passes, as soon as it waits, and the way is closed again behind it.";

/// Close the ways into an environment's stages
#[derive(Debug, clap::Args)]
#[command(after_help = HOLD_EXAMPLES)]
pub(crate) struct HoldArgs {
    /// The environment
    environment: String,
    #[command(flatten)]
    within: Within,
    /// Why, for the audit log and for whoever is kept out
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// Open the ways into an environment's stages, for all or for one commit
#[derive(Debug, clap::Args)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(crate) struct ReleaseArgs {
    /// The environment
    environment: String,
    /// Only this commit: 7 hexadecimal digits at least
    #[arg(long, value_parser = commit::digits)]
    sha: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_parser = reason)]
    reason: String,
}

impl HoldArgs {
    /// The only region that is meant.
    pub(crate) fn region(&self) -> Option<&str> {
        self.within.region()
    }
}

/// Holds it.
pub(crate) async fn hold(args: &HoldArgs, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    let config = find(&session, &args.environment).await?;
    let ways = deploys(&config, args.region())?.into_iter().map(|deploy| {
        let target = deploy.target();
        (deploy.region.clone(), target, deploy.stage.clone())
    });
    let want = Wanted {
        environment: config.name.clone(),
        by: session.operator().await?.to_owned(),
        reason: args.reason.clone(),
        incident: None,
        ways: ways.collect(),
    };
    let before = session.ledger.hold(&config.name).await?.map(|held| held.value).filter(|held| !held.is_released);
    hold::hold(&session.engine().await?, &want, session.now()).await?;
    let held = session.ledger.hold(&config.name).await?;
    let ways = held.map(|held| held.value.ways).unwrap_or_default();
    let mut report = show(&session, &config.name, &style).await?;
    if let Some(before) = before {
        let since = style.time(before.since);
        report =
            report.note(format!("it was held before, {since}, by {}: {}", plain(&before.by), plain(&before.reason)));
    }
    let open: Vec<&str> = ways.iter().filter(|way| !way.is_closed).map(|way| way.stage.as_str()).collect();
    if open.is_empty() {
        return Ok(report);
    }
    Ok(report.note(format!("not closed yet: {}; `sweep` goes on", open.join(", "))).ok_if(false))
}

/// Releases it.
pub(crate) async fn release(
    args: &ReleaseArgs,
    globals: &Globals,
    around: &Surroundings<'_>,
) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    // What was taken out of the configuration may be held still.
    let (name, is_configured) = match find(&session, &args.environment).await {
        Ok(config) => (config.name, true),
        Err(unknown) => match session.ledger.hold(&args.environment).await? {
            Some(held) => (held.value.environment, false),
            None => return Err(unknown),
        },
    };
    let name = &name;
    let only = match &args.sha {
        Some(typed) => Some(one_commit(&session, name, typed).await?),
        None => None,
    };
    if let Some(sha) = &only
        && session.ledger.quarantine(name, sha).await?.is_some_and(|known| known.value.is_in_force())
    {
        let lift = format!("`pointsman quarantine lift {name} {sha} --reason …` comes first");
        return Err(Failure::Refused(format!("{} is in quarantine in {name}: {lift}", sha.short())));
    }
    let engine = session.engine().await?;
    let by = session.operator().await?;
    let released = hold::release(&engine, name, by, &args.reason, only.as_ref(), session.now()).await?;
    let notes = match &released {
        Released::NotHeld => return Err(Failure::Refused(format!("{name} is not held"))),
        Released::LetsThrough(seen) => vec![let_through(only.as_ref(), seen)],
        Released::Whole { left, .. } => {
            left.iter().map(|way| format!("{} stays closed: something else closes it", plain(way))).collect()
        }
    };
    let report = match is_configured {
        true => show(&session, name, &style).await?,
        false => {
            let view = Unconfigured { name, hold: session.ledger.hold(name).await?.map(|held| held.value) };
            let is_held = if view.hold.is_some() { "is held still" } else { "is not held any more" };
            Report::new(format!("{name}, which is not in the configuration, {is_held}"), &view)
        }
    };
    Ok(notes.into_iter().fold(report, Report::note))
}

/// An environment that was taken out of the configuration, as far as it is known.
#[derive(Debug, Serialize)]
struct Unconfigured<'a> {
    name: &'a str,
    hold: Option<Hold>,
}

fn let_through(only: Option<&Sha>, seen: &HoldSeen) -> String {
    let commit = only.map_or("it", Sha::short);
    match seen.let_in.len() {
        0 => format!("{commit} passes as soon as it waits there; everything else stays outside"),
        _ => format!("{commit} goes in; everything else stays outside"),
    }
}

/// The commit that is meant: all of its digits, or the beginning of one that was on its way there.
async fn one_commit(session: &Session, environment: &str, typed: &str) -> Result<Sha, Failure> {
    if let Ok(whole) = typed.parse() {
        return Ok(whole);
    }
    let filter = Filter { environment: Some(environment), ..Filter::default() };
    let known = session.ledger.latest_executions(filter, session.now(), EXECUTIONS_MAX).await?;
    commit::one(typed, known.iter().filter_map(|execution| execution.sha.as_ref()), environment)
}
