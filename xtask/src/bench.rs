//! `cargo xtask bench`: the benchmarks. They are a build of their own, optimised as what is deployed.

mod cold;
mod lambda;
mod process;

use crate::failure::Failure;
use crate::step::{cargo, run as step};

/// The name of the one that is no benchmark of criterion's.
const COLD: &str = "cold";

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A second or so each: shows that they run, and an order of magnitude
    #[arg(long)]
    quick: bool,
    /// `cold` measures cold starts alone; anything else goes to the benchmarks: a filter, or criterion's own flags
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the benchmarks.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { quick, rest } = arguments;
    // Also behind the name, where a flag would otherwise be criterion's.
    if rest.first().is_some_and(|first| first == COLD) {
        return cold::run(*quick || rest.iter().any(|word| word == "--quick"));
    }
    let flags = quick.then_some("--quick").into_iter().chain(rest.iter().map(String::as_str));
    step("benchmarks", cargo().args(["bench", "--package", "pointsman-benches", "--benches", "--"]).args(flags))?;
    if rest.is_empty() { cold::run(*quick) } else { Ok(()) }
}
