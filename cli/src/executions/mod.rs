//! `pointsman executions`: what runs, what ran, and what an operator may do to it.

mod act;
mod resolve;
mod retry;
mod stop;
mod timeline;
mod view;

pub(crate) use timeline::Moment;

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::Style;
use pointsman::domain::change::Sha;
use pointsman::ledger::Filter;
use view::View;

/// How many executions a list names unless it is told otherwise.
const LISTED: u16 = 20;

const LIST_EXAMPLES: &str = "\
Examples:
  pointsman executions list
  pointsman executions list --environment web-production --limit 5
  pointsman executions list --sha 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  pointsman executions show ex-0123456789abcdef0123
  pointsman --absolute executions show ex-0123456789abcdef0123";

/// See what runs and ran; stop it, try it again, settle what nobody knows
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the latest executions, newest first
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Show one execution with its stages, its actions and everything that happened to it
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The execution: `ex-…`
        id: String,
    },
    Stop(stop::Args),
    Retry(retry::Args),
    Resolve(resolve::Args),
}

/// Which executions, and how many.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those of this repository
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// Only those that deploy to this environment
    #[arg(long)]
    environment: Option<String>,
    /// Only those of this commit
    #[arg(long)]
    sha: Option<Sha>,
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
            let execution = act::find(&session, id).await?;
            let view = view::load(&session, execution).await?;
            Ok(Report::new(view.text(&style), &view))
        }
        Command::Stop(args) => stop::run(args, &session, &style).await,
        Command::Retry(args) => retry::run(args, &session, &style).await,
        Command::Resolve(args) => resolve::run(args, &session, &style).await,
    }
}

async fn list(args: &ListArgs, session: &Session, style: &Style, is_json: bool) -> Result<Report, Failure> {
    let filter = Filter {
        repository: args.repository.as_deref(),
        environment: args.environment.as_deref(),
        sha: args.sha.as_ref().map(Sha::as_str),
    };
    let found = session.ledger.latest_executions(filter, session.now(), usize::from(args.limit)).await?;
    let text = view::list(&found, style);
    // The table shows nothing that takes a second read; the document shows all that `show` shows.
    let views: Vec<View> = if is_json { view::load_all(session, found).await? } else { Vec::new() };
    Ok(Report::new(text, &views))
}
