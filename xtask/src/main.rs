//! The chores of this repository: `cargo xtask test` and its slower neighbours. Everything here runs other programs;
//! nothing of Pointsman depends on it.
#![allow(clippy::disallowed_methods, reason = "a chore reads the environment and takes the time of its steps")]

mod bench;
mod browser;
mod contract;
mod deny;
mod failure;
mod glibc;
mod package;
mod paths;
mod python;
mod script;
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
    /// Installs what the tests need, then formatting, lints, dependency rules and every test, those in a browser too
    Test(test::Arguments),
    /// Holds other people's clients, checkers and emulations against ours
    Contract(contract::Arguments),
    /// Runs the benchmarks
    Bench(bench::Arguments),
    /// Builds what is deployed, zips it, and prints its size
    Package(package::Arguments),
    /// Checks licences, bans and sources of the dependencies
    Deny,
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
        Chore::Contract(arguments) => contract::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Package(arguments) => package::run(&arguments),
        Chore::Deny => deny::run(),
    }
}
