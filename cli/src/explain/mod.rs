//! `pointsman explain`: for each route, whether a change starts it, and the first thing that ruled it out.

mod made_up;
mod view;

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::Style;
use crate::{config as config_command, send};
use jiff::Timestamp;
use made_up::MadeUp;
use pointsman::config;
use pointsman::domain::change::{Change, DeliveryId};
use pointsman::domain::route::RepositoryConfig;
use pointsman::github::{self, Headers, Payload, Secret, Secrets, sign};
use pointsman::ledger::LiveRoutes;
use view::{Asked, Explained, Recorded};

/// The name of a change that nobody delivered.
const UNDELIVERED: &str = "explained";
/// The region of targets that name none, where a file is looked at without an account.
const DEFAULT_REGION: &str = "us-east-1";

const EXAMPLES: &str = "\
Examples:
  pointsman explain --delivery 72d3162e-cc78-11e3-81ab-4c9367dc0958
  pointsman explain --config pointsman.toml --repository acme/shop --branch main --paths services/web/index.html
  pointsman explain --config pointsman.toml --repository acme/shop --tag v1.2.3
  pointsman explain --repository acme/shop --pull-request main
  pointsman explain --repository acme/shop --release v1.2.3
  pointsman explain --repository acme/shop --workflow CI --branch main
  pointsman explain --payload push.json --event push

Only the routes are asked, as they are now. Whether a change is a repeat, was overtaken by a newer one, or has a commit in
quarantine is told by the record of its delivery, which --delivery shows beside the routes, with the version of the
configuration that decided it.";

/// Say for each route whether a change starts it, and what ruled it out
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[group(skip)]
pub(crate) struct Args {
    /// A delivery that was recorded
    #[arg(long, value_name = "GUID", conflicts_with_all = ["payload", "repository"])]
    #[arg(required_unless_present_any = ["payload", "repository"])]
    delivery: Option<String>,
    /// A payload file; `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "repository")]
    payload: Option<String>,
    /// The event of the payload
    #[arg(long, requires = "payload", default_value = "push")]
    event: String,
    /// This configuration instead of the live one
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    #[command(flatten)]
    made_up: MadeUp,
}

/// Explains.
pub(crate) async fn run(args: &Args, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let now = (around.clock)();
    // A file and a made-up change need no account.
    let needs_account = args.config.is_none() || args.delivery.is_some();
    let session = if needs_account { Some(Session::open(globals, around).await?) } else { None };
    let (change, recorded) = match (&args.delivery, &args.payload, &session) {
        (Some(delivery), _, Some(session)) => recorded(session, delivery).await?,
        (_, Some(file), _) => (read_payload(&send::read_file(file)?, &args.event, now)?, None),
        _ => (args.made_up.change(now)?, None),
    };
    let (routes, source) = match (&args.config, &session) {
        (Some(file), _) => {
            let region = globals.region.as_deref().unwrap_or(DEFAULT_REGION);
            (of_file(file, region, &change)?, Asked::File(file.clone()))
        }
        (None, Some(session)) => of_account(session, &change).await?,
        (None, None) => return Err(Failure::Usage("give --config, or an account".to_owned())),
    };
    let explained = Explained::of(&change, routes.as_ref(), source, recorded);
    Ok(Report::new(explained.text(&Style::of(globals, around)), &explained))
}

async fn recorded(session: &Session, typed: &str) -> Result<(Change, Option<Recorded>), Failure> {
    let absent = || Failure::NotFound(format!("no delivery {typed}"));
    let id: DeliveryId = typed.parse().map_err(|_| absent())?;
    let found = session.ledger.delivery(&id).await?.ok_or_else(absent)?.value;
    let recorded = Recorded { status: found.status, reason: found.reason, configuration: found.configuration };
    Ok((found.change, Some(recorded)))
}

/// The routes of the change's repository in a file.
fn of_file(file: &str, region: &str, change: &Change) -> Result<Option<RepositoryConfig>, Failure> {
    let text = config_command::read(file)?;
    let checked = config::parse(&text, file, region).map_err(|problems| {
        let first = problems.iter().find(|problem| problem.severity == config::ProblemSeverity::Error);
        let first = first.map(ToString::to_string).unwrap_or_default();
        Failure::Refused(format!("{first}; `pointsman config check` tells everything that is wrong"))
    })?;
    Ok(change.repository.as_ref().and_then(|repository| checked.config.repository(&repository.full_name)))
}

/// The live routes of the change's repository, and which configuration that is.
async fn of_account(session: &Session, change: &Change) -> Result<(Option<RepositoryConfig>, Asked), Failure> {
    // A change of no repository has no routes, and is asked about for the version alone.
    let full_name = change.repository.as_ref().map_or("", |repository| repository.full_name.as_str());
    let LiveRoutes { version, routes } = session.ledger.routes_of(full_name).await?;
    let version = version.ok_or_else(|| Failure::NotFound("no configuration is live: give --config".to_owned()))?;
    Ok((routes, Asked::Live(version)))
}

/// Reads a payload that nobody signed.
///
/// Only what is verified can be read, so it is signed here, with a secret that is thrown away.
fn read_payload(body: &[u8], event: &str, now: Timestamp) -> Result<Change, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Usage(format!("the payload cannot be read: {error}"));
    let throw_away: String = (0..Secret::MIN_BYTES).map(|_| fastrand::alphanumeric()).collect();
    let secret = Secret::new(&throw_away).map_err(|error| wrong(&error))?;
    let signature = sign(&secret, body);
    let headers = Headers::new([
        ("x-hub-signature-256", signature.as_bytes()),
        ("x-github-event", event.as_bytes()),
        ("x-github-delivery", UNDELIVERED.as_bytes()),
        ("content-type", b"application/json".as_slice()),
    ]);
    let secrets = Secrets { current: secret, previous: None };
    let delivery = github::verify(&secrets, &headers, body).map_err(|error| wrong(&error))?;
    match github::read(&delivery, now).map_err(|error| wrong(&error))? {
        Payload::Change(change) => Ok(*change),
        Payload::Ping => Err(Failure::Usage("a ping is no change: GitHub only tries the hook out".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_payload_that_nobody_signed_is_read_all_the_same() {
        let payload = json!({
            "ref": "refs/heads/main", "before": "a".repeat(40), "after": "b".repeat(40), "created": false,
            "deleted": false, "forced": false, "head_commit": null, "commits": [],
            "repository": { "id": 7, "full_name": "acme/shop", "pushed_at": 1 },
        });
        let body = serde_json::to_vec(&payload).unwrap();
        let change = read_payload(&body, "push", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(change.repository.map(|repository| repository.id), Some(7));
        assert_eq!(change.delivery.as_str(), UNDELIVERED);
        #[rustfmt::skip]
        let cases = [
            ("push", b"{".as_slice(), "not JSON"),
            ("PUSH", body.as_slice(), "no event is called so"),
            ("ping", b"{}",           "a ping is no change"),
        ];
        for (event, body, why) in cases {
            assert_eq!(read_payload(body, event, Timestamp::UNIX_EPOCH).unwrap_err().exit_code(), 2, "{why}");
        }
    }
}
