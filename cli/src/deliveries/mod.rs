//! `pointsman deliveries`: what became of what GitHub sent.

mod redrive;
mod view;

pub(crate) use view::{DeliveryView, subject_of, views};

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::Style;
use pointsman::domain::change::DeliveryId;

/// How many deliveries a list names unless it is told otherwise.
const LISTED: u16 = 20;

const LIST_EXAMPLES: &str = "\
Examples:
  pointsman deliveries list
  pointsman deliveries list --limit 100 --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  pointsman deliveries show 72d3162e-cc78-11e3-81ab-4c9367dc0958
  pointsman --absolute deliveries show 72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// See what became of GitHub's deliveries, and try dead letters anew
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the latest deliveries, newest first
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = LISTED)]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show what became of one delivery, and why
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The delivery: GitHub's `X-GitHub-Delivery`, or `manual-…`
        #[arg(value_name = "GUID")]
        delivery: String,
    },
    Redrive(redrive::Args),
}

/// Does what was asked.
pub(crate) async fn run(command: &Command, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    match command {
        Command::List { limit } => {
            let found = session.ledger.deliveries(session.now(), usize::from(*limit)).await?;
            let views = views(&session.ledger, &found).await?;
            Ok(Report::new(view::list(&views, &style), &views))
        }
        Command::Show { delivery } => {
            let view = find(&session, delivery).await?;
            Ok(Report::new(view.text(&style), &view))
        }
        Command::Redrive(args) => redrive::run(args, &session).await,
    }
}

/// A delivery by its name, which may be anything that a person typed.
async fn find(session: &Session, typed: &str) -> Result<DeliveryView, Failure> {
    let absent = || Failure::NotFound(format!("no delivery {typed}"));
    let id: DeliveryId = typed.parse().map_err(|_| absent())?;
    view::load(&session.ledger, &id).await?.ok_or_else(absent)
}
