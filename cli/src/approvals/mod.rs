//! `pointsman approvals`: what waits for whom, and voting from a terminal under the same policy as by link.

mod remind;
#[cfg(test)]
mod samples;
mod sheet;
mod view;
mod vote;
pub(crate) mod words;

pub(crate) use view::Brief;

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings, load_each};
use crate::text::Style;
use pointsman::approving::situation;
use pointsman::domain::approval::{Approval, ApprovalId, State};
use std::sync::Arc;
use view::View;

/// How many approvals a list names unless it is told otherwise.
const LISTED: u16 = 20;
/// How many of the latest approvals are looked through for those that are open.
const LOOKED_THROUGH: usize = 1_000;

const LIST_EXAMPLES: &str = "\
Examples:
  pointsman approvals list
  pointsman approvals list --open
  pointsman approvals list --environment web-production --limit 5 --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  pointsman approvals show ap-0123456789abcdef0123
  pointsman approvals show ap-0123456789abcdef0123 --json

What can be done next stands on stderr.";

/// See what waits for approval; approve, reject, remind
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the latest approvals, newest first
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Show one approval: what would go live, who is wanted, who voted, what stands in its way
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The approval: `ap-…`
        id: String,
    },
    Approve(vote::ApproveArgs),
    Reject(vote::RejectArgs),
    Remind(remind::Args),
}

/// Which approvals, and how many.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those of this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only those that are open
    #[arg(long)]
    open: bool,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = LISTED)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// Does what was asked.
pub(crate) async fn run(command: &Command, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    match command {
        Command::List(args) => list(args, &session, &style, globals.json).await,
        Command::Show { id } => {
            let approval = find(&session, id).await?;
            shown(&session, &approval, &style).await
        }
        Command::Approve(args) => vote::approve(args, &session, &style).await,
        Command::Reject(args) => vote::reject(args, &session, &style).await,
        Command::Remind(args) => remind::run(args, &session, &style).await,
    }
}

/// An approval by its id, which may be anything that a person typed.
async fn find(session: &Session, typed: &str) -> Result<Approval, Failure> {
    let found = session.ledger.approval(&ApprovalId::named(typed)).await?;
    found.map(|found| found.value).ok_or_else(|| Failure::NotFound(format!("no approval {typed}")))
}

/// The approval as things stand, with what can be done next.
async fn shown(session: &Session, approval: &Approval, style: &Style) -> Result<Report, Failure> {
    let situation = situation(&session.reader(), approval, session.now()).await?;
    let text = sheet::text(approval, &situation, style);
    let report = Report::new(text, &View::of(approval, &situation));
    let more = if session.is_local { " --as EMAIL" } else { "" };
    Ok(sheet::next(approval, &situation, more).into_iter().fold(report, Report::note))
}

async fn list(args: &ListArgs, session: &Session, style: &Style, is_json: bool) -> Result<Report, Failure> {
    let (limit, now) = (usize::from(args.limit), session.now());
    let looked = if args.open { LOOKED_THROUGH } else { limit };
    let mut found = session.ledger.latest_approvals(args.environment.as_deref(), now, looked).await?;
    found.retain(|approval| !args.open || approval.state == State::Open);
    found.truncate(limit);
    let text = view::list(&found, style);
    // The table shows nothing that takes a second read; the document shows all that `show` shows.
    let views: Vec<View> = if is_json { views(session, found).await? } else { Vec::new() };
    Ok(Report::new(text, &views))
}

async fn views(session: &Session, approvals: Vec<Approval>) -> Result<Vec<View>, Failure> {
    let (engine, now) = (Arc::new(session.reader()), session.now());
    load_each(approvals, |approval| {
        let engine = Arc::clone(&engine);
        async move { Ok(View::of(&approval, &situation(&engine, &approval, now).await?)) }
    })
    .await
}
