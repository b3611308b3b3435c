//! The command line: what can be asked, and what is common to all of it.

use crate::failure::Failure;
use crate::output::Report;
use crate::session::Surroundings;
use crate::{
    approvals, approvers, audit, completions, config, deliveries, environments, executions, explain, freeze, hold,
    incidents, quarantine, rollback, send, start,
};
use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  pointsman --local send events/push.json
  pointsman --local deliveries list
  pointsman executions show ex-0123456789abcdef0123
  pointsman approvals list --open
  pointsman environments list
  pointsman incidents list --open
  pointsman config plan pointsman.toml
  pointsman explain --delivery 72d3162e-cc78-11e3-81ab-4c9367dc0958

Exit codes:
  0  done
  1  failed or refused
  2  the command line is wrong
  3  there is no such delivery, execution, approval, incident, environment, region, route, approver or configuration

With --json every command prints one JSON document; a list is an array of what show shows.";

/// Decides which change runs on which pipeline, and can prove it: the operator's tool.
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, about, after_help = EXAMPLES, max_term_width = 120)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Print one JSON document instead of a table
    #[arg(long, global = true, env = "POINTSMAN_JSON", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// Talk to `cargo local` instead of AWS: 127.0.0.1, any credentials, us-east-1
    #[arg(long, global = true, env = "POINTSMAN_LOCAL", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) local: bool,
    /// The port of the local AWS, with --local
    #[arg(long, global = true, env = "POINTSMAN_AWS_PORT", value_name = "PORT", default_value_t = Self::AWS_PORT)]
    #[arg(hide_env_values = true)]
    pub(crate) aws_port: u16,
    /// The AWS region of Pointsman's stack; by default that of your AWS configuration
    #[arg(long, global = true, env = "POINTSMAN_REGION", hide_env_values = true, value_parser = region)]
    pub(crate) region: Option<String>,
    /// The state table
    #[arg(long, global = true, env = "POINTSMAN_TABLE", value_name = "NAME", default_value = "pointsman")]
    #[arg(hide_env_values = true)]
    pub(crate) table: String,
    /// The audit log's table
    #[arg(long, global = true, env = "POINTSMAN_AUDIT_TABLE", value_name = "NAME", default_value = "pointsman-audit")]
    #[arg(hide_env_values = true)]
    pub(crate) audit_table: String,
    /// The queue of changes
    #[arg(long, global = true, env = "POINTSMAN_CHANGES_QUEUE", value_name = "NAME")]
    #[arg(default_value = "pointsman-changes.fifo", hide_env_values = true)]
    pub(crate) changes_queue: String,
    /// The queue of its dead letters
    #[arg(long, global = true, env = "POINTSMAN_DEAD_LETTERS_QUEUE", value_name = "NAME")]
    #[arg(default_value = "pointsman-changes-dead.fifo", hide_env_values = true)]
    pub(crate) dead_letters_queue: String,
    /// The approvers' topics: what their names begin with, or their ARNs
    #[arg(long, global = true, env = "POINTSMAN_APPROVER_TOPICS", value_name = "PREFIX")]
    #[arg(default_value = "pointsman-approver-", hide_env_values = true)]
    pub(crate) approver_topics: String,
    /// The bus that wakes `rollback`
    #[arg(long, global = true, env = "POINTSMAN_BUS", value_name = "NAME", default_value = "pointsman")]
    #[arg(hide_env_values = true)]
    pub(crate) bus: String,
    /// Show times as they are (UTC) instead of how long ago they were
    #[arg(long, global = true, env = "POINTSMAN_ABSOLUTE", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub(crate) absolute: bool,
}

/// A region as it is written: it ends up in hints that people paste.
pub(crate) fn region(typed: &str) -> Result<String, String> {
    if pointsman::config::is_region(typed) { Ok(typed.to_owned()) } else { Err("write it like eu-west-2".to_owned()) }
}

/// How long a reason may be, in characters. It stands in records, on pages and in mails.
const REASON_CHARACTERS_MAX: usize = 500;

/// Why something is done: not empty, and not a whole story.
pub(crate) fn reason(typed: &str) -> Result<String, String> {
    let reason = typed.trim();
    match reason.chars().count() {
        0 => Err("say why".to_owned()),
        1..=REASON_CHARACTERS_MAX => Ok(reason.to_owned()),
        _ => Err(format!("say it in {REASON_CHARACTERS_MAX} characters")),
    }
}

/// A region of an environment. Where this is taken, `--region` is not the stack's.
#[derive(Debug, Clone, Args)]
pub(crate) struct Within {
    /// Only in this region of the environment
    #[arg(id = "within", long = "region", value_name = "REGION", value_parser = region)]
    within: Option<String>,
    // By its id it takes the place of the global option, and hands its value on to it.
    /// The AWS region of Pointsman's stack, as --region before the command
    #[arg(id = "region", long = "stack-region", value_name = "REGION", value_parser = region)]
    #[arg(help_heading = "Global options")]
    _stack: Option<String>,
}

impl Within {
    /// The region, where one is named.
    pub(crate) fn region(&self) -> Option<&str> {
        self.within.as_deref()
    }
}

/// Which of the latest, and how many: of what is open for a while and then over.
#[derive(Debug, clap::Args)]
pub(crate) struct Latest {
    /// Only those of this environment
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// Only those that are open
    #[arg(long)]
    pub(crate) open: bool,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = Self::LISTED)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

impl Latest {
    /// How many a list names unless it is told otherwise.
    const LISTED: u16 = 20;
    /// How many of the latest are looked through for those that are open.
    const LOOKED_THROUGH: usize = 1_000;

    /// How many are named.
    pub(crate) fn limit(&self) -> usize {
        usize::from(self.limit)
    }

    /// How many are read for that.
    pub(crate) fn looked_through(&self) -> usize {
        if self.open { Self::LOOKED_THROUGH } else { self.limit() }
    }
}

impl Globals {
    /// The port of the local AWS where none is given.
    const AWS_PORT: u16 = 4566;

    /// How this tool is to be called again: as it was, and for the same account.
    pub(crate) fn command(&self, around: &Surroundings<'_>) -> String {
        let mut command = around.command();
        if self.local {
            command.push_str(" --local");
        }
        if self.local && self.aws_port != Self::AWS_PORT {
            command.push_str(&format!(" --aws-port {}", self.aws_port));
        }
        if let Some(region) = &self.region {
            command.push_str(&format!(" --region {region}"));
        }
        command
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Send(send::Args),
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    #[command(subcommand)]
    Executions(executions::Command),
    Start(start::Args),
    #[command(subcommand)]
    Config(config::Command),
    Explain(Box<explain::Args>),
    #[command(subcommand)]
    Approvals(approvals::Command),
    #[command(subcommand)]
    Approvers(approvers::Command),
    #[command(subcommand)]
    Environments(environments::Command),
    #[command(subcommand)]
    Incidents(incidents::Command),
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    Rollback(rollback::Args),
    Hold(hold::HoldArgs),
    Release(hold::ReleaseArgs),
    Freeze(freeze::FreezeArgs),
    Thaw(freeze::ThawArgs),
    #[command(subcommand)]
    Audit(audit::Command),
    Completions(completions::Args),
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(&self, around: &Surroundings<'_>) -> Result<Report, Failure> {
        let globals = &self.globals;
        match &self.command {
            Command::Send(args) => send::run(args, globals, around).await,
            Command::Deliveries(command) => deliveries::run(command, globals, around).await,
            Command::Executions(command) => executions::run(command, globals, around).await,
            Command::Start(args) => start::run(args, globals, around).await,
            Command::Config(command) => config::run(command, globals, around).await,
            Command::Explain(args) => explain::run(args, globals, around).await,
            Command::Approvals(command) => approvals::run(command, globals, around).await,
            Command::Approvers(command) => approvers::run(command, globals, around).await,
            Command::Environments(command) => environments::run(command, globals, around).await,
            Command::Incidents(command) => incidents::run(command, globals, around).await,
            Command::Quarantine(command) => quarantine::run(command, globals, around).await,
            Command::Rollback(args) => rollback::run(args, globals, around).await,
            Command::Hold(args) => hold::hold(args, globals, around).await,
            Command::Release(args) => hold::release(args, globals, around).await,
            Command::Freeze(args) => freeze::freeze(args, globals, around).await,
            Command::Thaw(args) => freeze::thaw(args, globals, around).await,
            Command::Audit(command) => audit::run(command, globals, around).await,
            Command::Completions(args) => completions::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Every command that does something, by its path.
    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        let path = format!("{path} {}", command.get_name()).trim().to_owned();
        if !command.has_subcommands() {
            found.push((path, command.clone()));
            return;
        }
        command.get_subcommands().for_each(|below| leaves(below, &path, found));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_region_behind_rollback_and_hold_is_the_environments() {
        type Case<'a> = (&'a [&'a str], Option<&'a str>, Option<&'a str>, &'a str);
        #[rustfmt::skip]
        let cases: [Case<'_>; 4] = [
            // behind the tool's name                                                        stack's              environment's        why
            (&["hold", "web", "--reason", "r", "--region", "eu-west-2"],                      None,                Some("eu-west-2"),   "behind it"),
            (&["--region", "us-east-1", "hold", "web", "--reason", "r", "--region", "eu-west-2"], Some("us-east-1"), Some("eu-west-2"), "both"),
            (&["hold", "web", "--reason", "r", "--stack-region", "us-east-1"],                Some("us-east-1"),   None,                "behind it by another name"),
            (&["release", "web", "--reason", "r", "--region", "us-east-1"],                   Some("us-east-1"),   None,                "elsewhere it is the stack's"),
        ];
        for (typed, stack, within, why) in cases {
            let parsed = Cli::try_parse_from([&["pointsman"], typed].concat()).unwrap();
            assert_eq!(parsed.globals.region.as_deref(), stack, "{why}");
            let Command::Hold(hold) = parsed.command else { continue };
            assert_eq!(hold.region(), within, "{why}");
        }
    }

    #[test]
    fn every_command_explains_itself_with_examples() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        assert!(found.len() >= 16, "{}", found.len());
        for (path, command) in found {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty(), "{path} says what it does");
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&path), "{path} shows how it is called: {after:?}");
        }
    }

    #[test]
    fn every_example_can_be_parsed() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        let texts = found.iter().filter_map(|(_, command)| command.get_after_help().map(ToString::to_string));
        for text in texts.chain([EXAMPLES.to_owned()]) {
            for line in text.lines().map(str::trim).filter(|line| line.starts_with("pointsman ")) {
                let call = line.split_once(" | ").map_or(line, |(before, _)| before);
                let call = call.split_once(" > ").map_or(call, |(before, _)| before);
                let words = words(call);
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    /// Splits as a shell does, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for character in line.chars() {
            match (character, words.last_mut()) {
                ('"' | '\'', _) => is_quoted = !is_quoted,
                (' ', _) if !is_quoted => words.push(String::new()),
                (other, Some(word)) => word.push(other),
                (_, None) => {}
            }
        }
        words
    }
}
