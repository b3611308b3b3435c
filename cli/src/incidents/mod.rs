//! `pointsman incidents`: what alarms, findings and people said against a version, what was decided, and how it ended.

mod close;
mod rollback;
#[cfg(test)]
pub(crate) mod samples;
mod sheet;
mod view;

pub(crate) use rollback::RollbackView;
pub(crate) use sheet::text;
pub(crate) use view::View;

use crate::args::{Globals, Latest};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::Style;
use pointsman::domain::incident::{Incident, IncidentId};

const LIST_EXAMPLES: &str = "\
Examples:
  pointsman incidents list
  pointsman incidents list --open
  pointsman incidents list --environment web-production --limit 5 --json

Open is what is settling, recorded, blocked or being turned back, and what needs a person.";
const CLOSE_EXAMPLES: &str = "\
Examples:
  pointsman incidents close in-0123456789abcdef0123 --reason 'the database was full; it is not any more'

Until somebody closes it, an incident that needs a person is counted for an alarm.";
const SHOW_EXAMPLES: &str = "\
Examples:
  pointsman incidents show in-0123456789abcdef0123
  pointsman --absolute incidents show in-0123456789abcdef0123

What can be done next stands on stderr.";

/// See what was said against a version, and what was done about it
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the latest incidents, newest first
    #[command(after_help = LIST_EXAMPLES)]
    List(Latest),
    /// Show one incident: its signals, what was decided and why, each step of its rollbacks
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The incident: `in-…`
        id: String,
    },
    /// Close one that needs a person, or that was only written down
    #[command(after_help = CLOSE_EXAMPLES)]
    Close(close::CloseArgs),
}

/// Does what was asked.
pub(crate) async fn run(command: &Command, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    match command {
        Command::List(args) => list(args, &session, &style, globals.json).await,
        Command::Show { id } => {
            let view = view::load(&session, find(&session, id).await?).await?;
            Ok(shown(&view, &style))
        }
        Command::Close(args) => close::close(args, &session, &style).await,
    }
}

/// An incident by its id, which may be anything that a person typed.
pub(crate) async fn find(session: &Session, typed: &str) -> Result<Incident, Failure> {
    let found = session.ledger.incident(&IncidentId::named(typed)).await?;
    found.map(|found| found.value).ok_or_else(|| Failure::NotFound(format!("no incident {typed}")))
}

/// The incident as it stands, with what can be done next.
fn shown(view: &View, style: &Style) -> Report {
    sheet::next(view).into_iter().fold(Report::new(text(view, style), view), Report::note)
}

/// The incident of this id as it stands now, and what is printed of it.
pub(crate) async fn report(session: &Session, id: &IncidentId, style: &Style) -> Result<(View, Report), Failure> {
    let view = view::load(session, find(session, id.as_str()).await?).await?;
    let report = shown(&view, style);
    Ok((view, report))
}

async fn list(args: &Latest, session: &Session, style: &Style, is_json: bool) -> Result<Report, Failure> {
    let environment = args.environment.as_deref();
    let mut found = session.ledger.latest_incidents(environment, session.now(), args.looked_through()).await?;
    found.retain(|incident| !args.open || !incident.status.is_over());
    found.truncate(args.limit());
    let text = view::list(&found, style);
    // The table shows nothing that takes a second read; the document shows all that `show` shows.
    let views: Vec<View> = if is_json { view::load_all(session, found).await? } else { Vec::new() };
    Ok(Report::new(text, &views))
}
