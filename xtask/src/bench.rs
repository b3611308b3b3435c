//! `cargo xtask bench`: the benchmarks. They are a build of their own, optimised as what is deployed.

use crate::failure::Failure;
use crate::step::{cargo, run as step};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A second or so each: shows that they run, and an order of magnitude
    #[arg(long)]
    quick: bool,
    /// Passed on to the benchmarks: a filter, or criterion's own flags
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the benchmarks.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let quick = arguments.quick.then_some("--quick");
    let flags = quick.into_iter().chain(arguments.rest.iter().map(String::as_str));
    step("benchmarks", cargo().args(["bench", "--package", "pointsman-benches", "--benches", "--"]).args(flags))
}
