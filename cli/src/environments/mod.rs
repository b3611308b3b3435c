//! `pointsman environments`: what is live where, to what it could go back, and what keeps new versions out.

mod view;

pub(crate) use view::BeforeView;

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings, load_each};
use crate::text::Style;
use pointsman::config::{Deploy, EnvironmentConfig};
use pointsman::run::Engine;
use std::sync::Arc;
use view::View;

const LIST_EXAMPLES: &str = "\
Examples:
  pointsman environments list
  pointsman environments list --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  pointsman environments show web-production
  pointsman --absolute environments show web-production --json

What can be done next stands on stderr.";

/// How many names a refusal tells.
const NAMED: usize = 20;

/// See what is live where, what it could go back to, and what is held, frozen and in quarantine
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the environments of the live configuration, region by region
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Show one environment: what is live, the versions before it, what keeps new ones out
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The environment
        name: String,
    },
}

/// Does what was asked.
pub(crate) async fn run(command: &Command, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let session = Session::open(globals, around).await?;
    let style = Style::of(globals, around);
    match command {
        Command::List => list(&session, &style).await,
        Command::Show { name } => show(&session, name, &style).await,
    }
}

/// What is printed of one environment as it stands now.
pub(crate) async fn show(session: &Session, name: &str, style: &Style) -> Result<Report, Failure> {
    let config = find(session, name).await?;
    let view = view::load(&session.reader(), &config.name, session.now()).await?;
    let Some(view) = view else { return Err(unknown(session, name).await) };
    let report = Report::new(view.text(style), &view);
    Ok(view.next().into_iter().fold(report, Report::note))
}

async fn list(session: &Session, style: &Style) -> Result<Report, Failure> {
    let names: Vec<String> = session.configuration().await?.environments.into_keys().collect();
    let (engine, now): (Arc<Engine>, _) = (Arc::new(session.reader()), session.now());
    let views = load_each(names, |name| {
        let engine = Arc::clone(&engine);
        async move { view::load(&engine, &name, now).await }
    })
    .await?;
    let views: Vec<View> = views.into_iter().flatten().collect();
    Ok(Report::new(view::list(&views, style), &views))
}

/// An environment of the live configuration, by whatever a person typed.
pub(crate) async fn find(session: &Session, typed: &str) -> Result<EnvironmentConfig, Failure> {
    match session.ledger.environment_config(typed).await? {
        Some((_, config)) => Ok(config),
        None => Err(unknown(session, typed).await),
    }
}

async fn unknown(session: &Session, typed: &str) -> Failure {
    // Only for the sentence: without a configuration there are none to name.
    let known = session.configuration().await.map(|config| config.environments).unwrap_or_default();
    Failure::NotFound(format!("no environment {typed}{}", there_are(known.keys().map(String::as_str))))
}

/// What there is instead of what was typed: `; there are a, b`.
pub(crate) fn there_are<'a>(known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.take(NAMED).collect();
    match known.as_slice() {
        [] => "; there is none".to_owned(),
        [only] => format!("; there is {only}"),
        several => format!("; there are {}", several.join(", ")),
    }
}

/// Where an environment's versions land: in the region that is named, or everywhere.
pub(crate) fn deploys<'a>(config: &'a EnvironmentConfig, region: Option<&str>) -> Result<Vec<&'a Deploy>, Failure> {
    let all = &config.environment.deploys;
    let its: Vec<&Deploy> = all.iter().filter(|deploy| region.is_none_or(|region| deploy.region == *region)).collect();
    match region.filter(|_| its.is_empty()) {
        None => Ok(its),
        Some(region) => {
            let known = there_are(all.iter().map(|deploy| deploy.region.as_str()));
            Err(Failure::NotFound(format!("no region {region} in {}{known}", config.name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman::config;

    #[test]
    fn a_region_is_one_of_the_environments_own() {
        let text = "version = 1\n[environments.web]\ndeploys = [\n\
                    { region = \"us-east-1\", pipeline = \"web\", stage = \"Primary\" },\n\
                    { region = \"eu-west-2\", pipeline = \"web\", stage = \"Secondary\", pipeline_region = \"us-east-1\" },\n]\n";
        let config = config::parse(text, "t", "us-east-1").unwrap().config.environment("web").unwrap();
        let stages =
            |region| deploys(&config, region).map(|all| all.iter().map(|deploy| deploy.stage.clone()).collect());
        let all: Vec<String> = stages(None).unwrap();
        assert_eq!(all, ["Primary", "Secondary"]);
        assert_eq!(stages(Some("eu-west-2")).unwrap(), ["Secondary"]);
        let error = stages(Some("eu-west-1")).unwrap_err();
        assert_eq!(
            (error.exit_code(), error.to_string().as_str()),
            (3, "no region eu-west-1 in web; there are us-east-1, eu-west-2")
        );
    }

    #[test]
    fn a_refusal_names_what_there_is() {
        #[rustfmt::skip]
        let cases: [(&[&str], &str); 3] = [
            (&[],         "; there is none"),
            (&["a"],      "; there is a"),
            (&["a", "b"], "; there are a, b"),
        ];
        for (known, expected) in cases {
            assert_eq!(there_are(known.iter().copied()), expected);
        }
        let many: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert!(there_are(many.iter().map(String::as_str)).ends_with(", 19"), "twenty are enough");
    }
}
