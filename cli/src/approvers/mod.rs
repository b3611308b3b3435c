//! `pointsman approvers`: whether the mail with an approval's link reaches the people who may approve.

mod confirm;
mod sync;
mod view;

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::Style;
use pointsman::approvers::{live_people, look};
use pointsman::domain::approver::Person;
use view::View;

const LIST_EXAMPLES: &str = "\
Examples:
  pointsman approvers list
  pointsman approvers list --json

What is to be done about somebody stands on stderr.";

/// See whether approvers get their mail, and see to it that they do
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the approvers of the live configuration, and whether mail reaches them
    #[command(after_help = LIST_EXAMPLES)]
    List,
    Sync(sync::Args),
    Confirm(confirm::Args),
}

/// Does what was asked.
pub(crate) async fn run(command: &Command, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    match command {
        Command::List => list(&session, &style).await,
        Command::Sync(args) => sync::run(args, &session, &style).await,
        Command::Confirm(args) => confirm::run(args, &session, &style).await,
    }
}

async fn list(session: &Session, style: &Style) -> Result<Report, Failure> {
    let topics = session.topics().await?;
    let mut views = Vec::new();
    for person in People::live(session).await?.all {
        let standing = look(&topics, &person.email).await?;
        views.push(View::of(person, standing));
    }
    let report = Report::new(view::list(&views, style), &views);
    Ok(views.iter().filter_map(View::advice).fold(report, Report::note))
}

/// The people of the live configuration.
#[derive(Debug)]
struct People {
    version: u64,
    all: Vec<Person>,
}

impl People {
    async fn live(session: &Session) -> Result<Self, Failure> {
        let live = live_people(&session.ledger, session.aws.region()).await?;
        let (version, all) = live.ok_or_else(|| Failure::NotFound("no configuration is live".to_owned()))?;
        Ok(Self { version, all })
    }

    /// The one at this address.
    fn at(&self, email: &str) -> Result<&Person, Failure> {
        let absent =
            || Failure::NotFound(format!("no approver {email} in version {} of the configuration", self.version));
        self.all.iter().find(|person| person.is_at(email)).ok_or_else(absent)
    }
}
