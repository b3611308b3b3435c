//! `pointsman rollback`: a person has a version turned back. `rollback` does it; this tool writes down what is wanted, wakes
//! it, and tells how far it is.

pub(crate) mod commit;
mod plan;
mod request;
mod watch;

use crate::args::{Globals, Within, reason};
use crate::environments::there_are;
use crate::failure::Failure;
use crate::incidents::View;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::Style;
use plan::PlanView;
use request::Request;
use serde::Serialize;

const EXAMPLES: &str = "\
Examples:
  pointsman rollback web-production --dry-run
  pointsman rollback web-production --reason \"orders are lost\"
  pointsman rollback web-production --to 6113728 --region eu-west-2 --reason \"orders are lost\"
  pointsman rollback --system shop --reason \"orders are lost\"

What is on its way in is turned back; with nothing on its way, what is live.
Without --to it goes back to the last good version: what ran long enough, was never turned back, is not in quarantine and has
no finding that blocks it. The ways in stay closed until `release`. --dry-run changes nothing, and exits with 1 where there is
nothing to go back to, or no step that would work.

Exit codes: 0 it is back, and that was verified; 1 it is not, and stderr says why; 3 there is no such environment.";

/// Turn an environment, or a whole system, back to an earlier version
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(required_unless_present = "system")]
    environment: Option<String>,
    /// The environments of this system, one after the other, in its order; it stops at the first that does not go back
    #[arg(long, value_name = "NAME", conflicts_with_all = ["environment", "to", "within"])]
    system: Option<String>,
    /// To this commit, which ran there before: 7 hexadecimal digits at least
    #[arg(long, value_name = "SHA", value_parser = commit::digits)]
    to: Option<String>,
    #[command(flatten)]
    within: Within,
    /// Why, for the audit log and for those who are told
    #[arg(long, value_parser = reason, required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not wait for its end
    #[arg(long, conflicts_with = "system")]
    no_wait: bool,
}

/// What came of a system's rollback.
#[derive(Debug, Serialize)]
struct SystemView {
    system: String,
    /// In the system's order.
    incidents: Vec<View>,
    /// Why it stopped where it did.
    failure: Option<String>,
    /// The environments that nothing was done to.
    not_begun: Vec<String>,
}

/// Does it, or says what it would do.
pub(crate) async fn run(args: &Args, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    let request = |environment: &str| Request {
        environment: environment.to_owned(),
        region: args.within.region().map(str::to_owned),
        to: args.to.clone(),
    };
    let order = match (&args.system, &args.environment) {
        (Some(system), _) => order(&session, system).await?,
        (None, Some(environment)) => vec![environment.clone()],
        (None, None) => Vec::new(),
    };
    let requests: Vec<Request> = order.iter().map(|environment| request(environment)).collect();
    match (&args.reason, &args.system) {
        (_, system) if args.dry_run => dry_run(&session, &requests, system.is_some(), &style).await,
        (None, _) => Err(Failure::Usage("say why with --reason".to_owned())),
        (Some(reason), Some(system)) => whole_system(&session, system, &requests, reason, &style).await,
        (Some(reason), None) => one(&session, &requests, reason, !args.no_wait, &style).await,
    }
}

/// The environments of a system, in its order.
async fn order(session: &Session, system: &str) -> Result<Vec<String>, Failure> {
    let systems = session.configuration().await?.systems;
    let known = || there_are(systems.keys().map(String::as_str));
    let found = systems.get(system).ok_or_else(|| Failure::NotFound(format!("no system {system}{}", known())))?;
    Ok(found.order.clone())
}

async fn dry_run(session: &Session, requests: &[Request], is_system: bool, style: &Style) -> Result<Report, Failure> {
    let mut views: Vec<PlanView> = Vec::new();
    for request in requests {
        views.push(plan::look(session, request).await?);
    }
    let text = views.iter().map(|view| view.text(style)).collect::<Vec<_>>().join("\n\n");
    let is_possible = views.iter().all(PlanView::is_possible);
    let report = match views.as_slice() {
        [only] if !is_system => Report::new(text, only),
        all => Report::new(text, &all),
    };
    Ok(report.ok_if(is_possible))
}

async fn one(
    session: &Session,
    requests: &[Request],
    reason: &str,
    waits: bool,
    style: &Style,
) -> Result<Report, Failure> {
    let Some(request) = requests.first() else { return Err(Failure::Usage("name an environment".to_owned())) };
    let id = request.make(session, reason).await?;
    if !waits {
        let (_, report) = crate::incidents::report(session, &id, style).await?;
        return Ok(report.note(format!("not waited for: `pointsman incidents show {id}` tells how far it is")));
    }
    let is_over = watch::to_the_end(session, &id, style).await?;
    let (view, report) = crate::incidents::report(session, &id, &style.at(session.now())).await?;
    Ok(match watch::failure(&view, is_over) {
        None => report,
        Some(why) => report.note(why).ok_if(false),
    })
}

async fn whole_system(
    session: &Session,
    system: &str,
    requests: &[Request],
    reason: &str,
    style: &Style,
) -> Result<Report, Failure> {
    let mut outcome =
        SystemView { system: system.to_owned(), incidents: Vec::new(), failure: None, not_begun: Vec::new() };
    let mut texts = Vec::new();
    for request in requests {
        if outcome.failure.is_some() {
            outcome.not_begun.push(request.environment.clone());
            continue;
        }
        let id = match request.make(session, reason).await {
            Ok(id) => id,
            // Nothing was begun there, and nothing is known to be wrong with what was turned back so far.
            Err(failure) => {
                outcome.failure = Some(format!("{}: {failure}", request.environment));
                outcome.not_begun.push(request.environment.clone());
                continue;
            }
        };
        let is_over = watch::to_the_end(session, &id, style).await?;
        let now = style.at(session.now());
        let (view, _) = crate::incidents::report(session, &id, &now).await?;
        texts.push(crate::incidents::text(&view, &now));
        outcome.failure = watch::failure(&view, is_over);
        outcome.incidents.push(view);
    }
    let mut report = Report::new(texts.join("\n\n\n"), &outcome).ok_if(outcome.failure.is_none());
    if let Some(why) = &outcome.failure {
        report = report.note(why.clone());
    }
    if !outcome.not_begun.is_empty() {
        report = report.note(format!("not begun: {}", outcome.not_begun.join(", ")));
    }
    Ok(report)
}
