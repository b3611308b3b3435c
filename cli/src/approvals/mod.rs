//! `pointsman approvals`: what waits for whom, and voting from a terminal under the same policy as by link.

mod remind;
#[cfg(test)]
mod samples;
mod sheet;
mod view;
mod vote;
pub(crate) mod words;

pub(crate) use view::Brief;

use crate::args::{Globals, Latest};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings, load_each};
use crate::text::Style;
use pointsman::approving::situation;
use pointsman::domain::approval::{Approval, ApprovalId, State};
use std::sync::Arc;
use view::View;

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
    List(Latest),
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

async fn list(args: &Latest, session: &Session, style: &Style, is_json: bool) -> Result<Report, Failure> {
    let environment = args.environment.as_deref();
    let mut found = session.ledger.latest_approvals(environment, session.now(), args.looked_through()).await?;
    found.retain(|approval| !args.open || approval.state == State::Open);
    found.truncate(args.limit());
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
