//! `pointsman completions`: what a shell needs to complete commands and flags.

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::Report;
use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  pointsman completions bash > /etc/bash_completion.d/pointsman
  pointsman completions fish > ~/.config/fish/completions/pointsman.fish";

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
}

/// Prints them.
pub(crate) fn run(args: &Args) -> Result<Report, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pointsman", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "shell": args.shell.to_string(), "script": script });
    Ok(Report::new(script, &json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_some() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            assert!(run(&Args { shell }).unwrap().is_ok());
        }
    }
}
