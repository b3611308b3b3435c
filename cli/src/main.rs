//! `pointsman`: the operator's tool. It asks the ledger, writes to the queue of changes, and signs and sends payloads.
//!
//! Whoever runs it has AWS credentials of their own; it holds none. What it does to an execution goes through the
//! same decisions, claims and audit log as what the functions do.

mod approvals;
mod approvers;
mod args;
mod audit;
mod completions;
mod config;
mod deliveries;
mod environments;
mod executions;
mod explain;
mod failure;
mod freeze;
mod hold;
mod incidents;
mod output;
mod quarantine;
mod rollback;
mod send;
mod session;
mod start;
mod text;

use args::Cli;
use clap::Parser;
use session::Surroundings;
use std::io::IsTerminal;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::disallowed_methods, reason = "main reads the environment and the clock")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let surroundings = Surroundings {
        lookup: &|name| std::env::var(name).ok(),
        clock: jiff::Timestamp::now,
        is_terminal: std::io::stdout().is_terminal(),
    };
    let outcome = cli.run(&surroundings).await;
    output::finish(outcome, &cli.globals, &surroundings)
}
