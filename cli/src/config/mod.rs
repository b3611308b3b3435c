//! `pointsman config`: checks, compares and publishes `pointsman.toml`.

mod plan;
mod push;

use crate::args::Globals;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, Surroundings};
use crate::text::{Style, plain};
use pointsman::config::limits::MAX_FILE_BYTES;
use pointsman::config::{self, Checked, Config, Problem, ProblemSeverity};
use serde_json::json;
use std::io::Read;

/// The region of targets that name none, where neither the command line nor the environment tells it.
const DEFAULT_REGION: &str = "us-east-1";

const CHECK_EXAMPLES: &str = "\
Examples:
  pointsman config check pointsman.toml
  pointsman config check pointsman.toml --stack-region eu-west-2 --json

It needs no AWS account. Exit code 1: there is an error. Warnings leave it at 0.";
const PLAN_EXAMPLES: &str = "\
Examples:
  pointsman config plan pointsman.toml
  pointsman --local config plan pointsman.toml --json";
const PUSH_EXAMPLES: &str = "\
Examples:
  pointsman config push pointsman.toml
  pointsman --local config push pointsman.toml

All of it becomes live at once, or nothing does. Two pushes at the same time: one of them is refused. A file that is
live already makes no new version.";
const SCHEMA_EXAMPLES: &str = "\
Examples:
  pointsman config schema > pointsman.schema.json";
const SHOW_EXAMPLES: &str = "\
Examples:
  pointsman config show > pointsman.toml
  pointsman config show --json";

/// Check, compare and publish the configuration
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say everything that is wrong with a configuration, with file, line, column and key
    #[command(after_help = CHECK_EXAMPLES)]
    Check(FileArgs),
    /// Say what a configuration would change about the live one
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(FileArgs),
    /// Make a configuration live, all or nothing
    Push(push::PushArgs),
    /// Print the JSON Schema of pointsman.toml, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Print the live configuration as it was written
    #[command(after_help = SHOW_EXAMPLES)]
    Show,
}

/// Which file, read for which stack.
#[derive(Debug, clap::Args)]
pub(crate) struct FileArgs {
    /// The configuration; `-` for stdin
    #[arg(default_value = "pointsman.toml")]
    file: String,
    /// The region of targets that name none: that of Pointsman's stack; by default the session's region
    #[arg(long, value_name = "REGION", value_parser = crate::args::region)]
    stack_region: Option<String>,
}

/// Does what was asked.
pub(crate) async fn run(command: &Command, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let style = Style::of(globals, around);
    match command {
        Command::Check(args) => check(args, globals, around),
        Command::Plan(args) => plan::run(args, &Session::open(globals, around).await?).await,
        Command::Push(args) => push::run(args, &Session::open(globals, around).await?).await,
        Command::Schema => {
            let schema = config::schema();
            Ok(Report::new(serde_json::to_string_pretty(&schema).unwrap_or_default(), &schema))
        }
        Command::Show => show(&Session::open(globals, around).await?, &style).await,
    }
}

fn check(args: &FileArgs, globals: &Globals, around: &Surroundings<'_>) -> Result<Report, Failure> {
    let of_environment = || ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(around.lookup);
    let region = args.stack_region.clone().or_else(|| globals.region.clone()).or_else(of_environment);
    let text = read(&args.file)?;
    Ok(match config::parse(&text, &args.file, region.as_deref().unwrap_or(DEFAULT_REGION)) {
        Err(problems) => refused(&problems),
        Ok(Checked { config, warnings }) => {
            let text = with_warnings(&warnings, &format!("{}: {}", plain(&args.file), summary(&config)));
            Report::new(text, &json!({ "is_valid": true, "problems": warnings, "summary": counts(&config) }))
        }
    })
}

/// What is said of a configuration that has errors, whoever asked.
fn refused(problems: &[Problem]) -> Report {
    let errors = problems.iter().filter(|problem| problem.severity == ProblemSeverity::Error).count();
    let what = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    let text = with_warnings(problems, &format!("not a configuration: {what}"));
    Report::new(text, &json!({ "is_valid": false, "problems": problems })).ok_if(false)
}

fn with_warnings(problems: &[Problem], last: &str) -> String {
    let mut lines: Vec<String> = problems.iter().map(|problem| plain(&problem.to_string())).collect();
    lines.push(last.to_owned());
    lines.join("\n")
}

fn summary(config: &Config) -> String {
    let counted = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    [
        counted(config.routes.len(), "route", "routes"),
        counted(config.by_repository().len(), "repository", "repositories"),
        counted(config.environments.len(), "environment", "environments"),
        counted(config.systems.len(), "system", "systems"),
        counted(config.approvers.len(), "group", "groups"),
    ]
    .join(", ")
}

fn counts(config: &Config) -> serde_json::Value {
    json!({
        "routes": config.routes.len(), "repositories": config.by_repository().len(),
        "environments": config.environments.len(), "systems": config.systems.len(), "groups": config.approvers.len(),
    })
}

async fn show(session: &Session, style: &Style) -> Result<Report, Failure> {
    let absent = || Failure::NotFound("no configuration is live".to_owned());
    let live = session.ledger.live_configuration().await?.ok_or_else(absent)?.value;
    let (version, source) = session.ledger.live_source().await?.ok_or_else(absent)?;
    let json = json!({ "version": version, "by": live.by, "at": live.at, "source": source });
    let note = format!("version {version}, pushed by {}, {}", plain(&live.by), style.time(live.at));
    // Line breaks are the file's own; the rest of it is TOML, which holds no control characters.
    let text = source.lines().map(plain_but_tabs).collect::<Vec<_>>().join("\n");
    Ok(Report::new(text, &json).note(note))
}

fn plain_but_tabs(line: &str) -> String {
    line.split('\t').map(plain).collect::<Vec<_>>().join("\t")
}

/// A configuration's text. What `config::parse` refuses for its size is read no further.
pub(crate) fn read(path: &str) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{path}: {error}"));
    let bound = MAX_FILE_BYTES as u64 + 1;
    let mut text = String::new();
    if path == "-" {
        std::io::stdin().lock().take(bound).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(bound).read_to_string(&mut text).map_err(unreadable)?;
    }
    Ok(text)
}

impl FileArgs {
    /// The region of targets that name none.
    fn region<'a>(&'a self, session: &'a Session) -> &'a str {
        self.stack_region.as_deref().unwrap_or_else(|| session.aws.region())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let text = "version = 1\n[[routes]]\nrepository = \"acme/shop\"\non = \"push\"\nbrnach = [\"main\"]\n";
        let problems = config::parse(text, "p.toml", "us-east-1").unwrap_err();
        let report = refused(&problems);
        assert!(!report.is_ok());
        insta::assert_snapshot!(with_warnings(&problems, "not a configuration: 2 errors"), @r#"
        p.toml:2:1: routes[0]: the route starts nothing; write one of pipeline, build
        p.toml:2:1: warning: routes[0].branch: missing: every branch starts it; write branch = ["**"] if that is meant
        p.toml:5:1: routes[0].brnach: unknown key; did you mean "branch"?
        not a configuration: 2 errors
        "#);
    }

    #[test]
    fn a_summary_counts() {
        let text = "version = 1\n[[routes]]\nrepository = \"a/b\"\non = \"push\"\nbuild = \"checks\"\n";
        let checked = config::parse(text, "p.toml", "us-east-1").unwrap();
        assert_eq!(summary(&checked.config), "1 route, 1 repository, 0 environments, 0 systems, 0 groups");
    }
}
