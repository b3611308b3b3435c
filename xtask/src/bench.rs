//! `cargo xtask bench`: the benchmarks. They are a build of their own, optimised as what is deployed.

mod cold;
mod lambda;
mod process;

use crate::failure::Failure;
use crate::step::{cargo, run as step};

/// Cold starts: no benchmark of criterion's.
const COLD: &str = "cold";
/// The local AWS under load: built as it is run, in the everyday build.
const LOCAL: &str = "local";
/// The calls from an alarm to the rollback: counted in simulated time, so no benchmark of criterion's either.
const ROLLBACK: &str = "rollback";

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A second or so each: shows that they run, and an order of magnitude
    #[arg(long)]
    quick: bool,
    /// `cold` measures cold starts alone, `local` the local AWS, `rollback` the way to a rollback; anything else goes to
    /// the other benchmarks: a filter, or criterion's own flags
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the benchmarks.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { quick, rest } = arguments;
    // Also behind the name, where a flag would otherwise be criterion's.
    let quickly = *quick || rest.iter().any(|word| word == "--quick");
    match rest.first().map(String::as_str) {
        Some(COLD) => return cold::run(quickly),
        Some(LOCAL) => return local(quickly),
        Some(ROLLBACK) => return rollback(),
        _ => {}
    }
    let flags = quick.then_some("--quick").into_iter().chain(rest.iter().map(String::as_str));
    step("benchmarks", cargo().args(["bench", "--package", "pointsman-benches", "--benches", "--"]).args(flags))?;
    if rest.is_empty() {
        local(*quick)?;
        rollback()?;
        cold::run(*quick)?;
    }
    Ok(())
}

/// The everyday build. With the whole workspace named, what it links is what the tests have built.
const EVERYDAY: [&str; 6] = ["bench", "--profile", "dev", "--workspace", "--exclude", "pointsman-benches"];

/// How many calls there are between an alarm and the rollback, and how long they take.
fn rollback() -> Result<(), Failure> {
    step("from an alarm to the rollback", cargo().args(EVERYDAY).args(["--bench", "rollback"]))
}

/// Ten thousand executions, and fewer.
fn local(quick: bool) -> Result<(), Failure> {
    let mut command = cargo();
    command.args(EVERYDAY).args(["--bench", "pipelines", "--"]).args(quick.then_some("--quick"));
    step("the local AWS under load", &mut command)
}
