//! `pointsman start`: a route by hand, on the way of a push, so under the same claims and in the same audit log.

use crate::args::Globals;
use crate::deliveries::{DeliveryView, views};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings, WAIT, unique, wait_for};
use crate::text::Style;
use pointsman::aws::sqs::ascii_json;
use pointsman::config;
use pointsman::domain::change::{DeliveryId, Sha};
use pointsman::domain::command::{Command, Manual};
use pointsman::domain::delivery::Status;
use pointsman::domain::intake::hash_of;
use pointsman::domain::route::Route;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const EXAMPLES: &str = "\
Examples:
  pointsman start shop-production --sha 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --reason \"hotfix, the hook was down\"
  pointsman start web --repository acme/shop --sha 6113728f27ae82c7b1a177c8d03f9e96e0adf246 --reason rerun

The audit log names the AWS principal that sent the command. What is asked for here neither moves a fence nor is held
back by one: you say which commit.";

/// Start a route by hand
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The route's name, as `config show` and `explain` tell it
    route: String,
    /// The commit: 40 hexadecimal digits
    #[arg(long)]
    sha: Sha,
    /// Why, for the audit log
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// The route's repository, where routes of several share the name
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
}

/// Sends the command and waits for what becomes of it.
pub(crate) async fn run(args: &Args, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    let repository = repository_of(&session, args).await?;
    let name = format!("manual-{}", unique());
    let manual: DeliveryId = name.parse().map_err(|error| Failure::Refused(format!("{name}: {error}")))?;
    let command = Command::Manual(Manual {
        manual: manual.clone(),
        repository: repository.clone(),
        route: args.route.clone(),
        sha: args.sha.clone(),
        reason: args.reason.clone(),
    });
    let group = hash_of(&("manual", &repository, &args.route));
    session.changes().await?.send_raw(&ascii_json(&command), &group, &name).await?;
    let mut last = None;
    let settled = wait_for(async || {
        last = look(&session, &manual).await?;
        Ok(last.clone().filter(|view| view.status != Status::Received))
    })
    .await?;
    match (settled, last) {
        (Some(view), _) => Ok(Report::new(view.text(&style), &view).ok_if(view.status == Status::Executed)),
        (None, Some(view)) => Ok(Report::new(view.text(&style), &view)
            .note(format!("not settled after {} s; `pointsman deliveries show {manual}` tells more", WAIT.as_secs()))
            .ok_if(false)),
        (None, None) => {
            let json = json!({ "delivery": manual, "status": "queued" });
            let text = format!("queued as {manual}");
            Ok(Report::new(text, &json).note(format!("not taken up after {} s", WAIT.as_secs())).ok_if(false))
        }
    }
}

async fn look(session: &Session, manual: &DeliveryId) -> Result<Option<DeliveryView>, Failure> {
    let Some(found) = session.ledger.delivery(manual).await? else { return Ok(None) };
    Ok(views(&session.ledger, std::slice::from_ref(&found.value)).await?.pop())
}

/// The repository whose route is meant. Asked before anything is sent, so that a slip of the pen starts nothing.
async fn repository_of(session: &Session, args: &Args) -> Result<String, Failure> {
    if let Some(repository) = &args.repository {
        let config = session.ledger.routes_of(repository).await?.routes;
        let config = config.ok_or_else(|| Failure::NotFound(format!("{repository} is not in the configuration")))?;
        return one_repository(&config.routes, &args.route);
    }
    let Some((version, text)) = session.ledger.live_source().await? else {
        return Err(Failure::NotFound("no configuration is live".to_owned()));
    };
    let checked = config::parse(&text, "the live configuration", session.aws.region());
    let checked = checked.map_err(|_| {
        Failure::Refused(format!("version {version} of the configuration cannot be read here: give --repository"))
    })?;
    one_repository(&checked.config.routes, &args.route)
}

/// The only repository that has a route of this name.
fn one_repository(routes: &[Route], name: &str) -> Result<String, Failure> {
    let its = routes.iter().filter(|route| route.name == name);
    let repositories: BTreeMap<String, &str> =
        its.map(|route| (route.repository.to_ascii_lowercase(), route.repository.as_str())).collect();
    let spelled: Vec<&str> = repositories.into_values().collect();
    match spelled.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => {
            let known: BTreeSet<&str> = routes.iter().map(|route| route.name.as_str()).take(ROUTES_NAMED).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            Err(Failure::NotFound(format!("no route {name}; there are {known}")))
        }
        several => Err(Failure::Usage(format!(
            "several repositories have a route {name}: give --repository, one of {}",
            several.join(", ")
        ))),
    }
}

/// How many routes a refusal names.
const ROUTES_NAMED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Vec<Route> {
        let text = r#"
            version = 1
            [[routes]]
            repository = "acme/shop"
            on = "push"
            name = "web"
            pipeline = "shop"
            [[routes]]
            repository = "acme/shop"
            on = "tag"
            name = "release"
            pipeline = "shop"
            [[routes]]
            repository = "acme/blog"
            on = "push"
            name = "web"
            pipeline = "blog"
        "#;
        config::parse(text, "t", "us-east-1").unwrap().config.routes
    }

    #[test]
    fn a_route_is_found_by_its_name_where_that_is_enough() {
        assert_eq!(one_repository(&routes(), "release").unwrap(), "acme/shop");
        let ambiguous = one_repository(&routes(), "web").unwrap_err();
        assert_eq!(ambiguous.exit_code(), 2);
        assert!(ambiguous.to_string().ends_with("one of acme/blog, acme/shop"), "{ambiguous}");
        let unknown = one_repository(&routes(), "wob").unwrap_err();
        assert_eq!(unknown.exit_code(), 3);
        assert_eq!(unknown.to_string(), "no route wob; there are release, web");
    }
}
