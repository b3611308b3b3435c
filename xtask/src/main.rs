//! The chores of this repository: `cargo xtask test` and its slower neighbours. Everything here runs other programs;
//! nothing of Pointsman depends on it.
#![allow(clippy::disallowed_methods, reason = "a chore reads the environment and takes the time of its steps")]

mod failure;
mod paths;
mod step;
mod test;
mod tree;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// The chores of this repository.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    after_help = "`test` is the everyday check. The others are slow or install much; .ci/run runs them all."
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Installs what the tests need, then formatting, lints, dependency rules and every test
    Test(test::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\ncargo xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<(), Failure> {
    match chore {
        Chore::Test(arguments) => test::run(&arguments),
    }
}
