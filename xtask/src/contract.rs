//! `cargo xtask contract`: what others have made, held against ours. Checkers of the template, clients that we did not
//! write against the local AWS, another emulation as a second opinion, and the functions under a Lambda runtime.
//!
//! All of it comes from PyPI, pinned, into environments of its own below the target folder. A tool that cannot be had is
//! a failure in CI and "skipped" elsewhere.

mod parts;

use crate::failure::Failure;
use crate::python::Python;
use crate::script::{Outcome, is_ci};
use clap::ValueEnum;

/// Which part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// cfn-lint on template.yaml and regional/template.yaml
    CfnLint,
    /// `sam validate --lint`
    Sam,
    /// boto3 against `cargo local`
    Boto3,
    /// The AWS CLI against `cargo local`
    Cli,
    /// What `docs/local-aws.md` shows, run again
    Story,
    /// The same cases on `cargo local` and on ministack
    Ministack,
    /// Each function's binary under `cargo lambda watch`
    Lambda,
}

/// What to hold against ours.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these parts; all of them if none is named
    #[arg(value_enum)]
    parts: Vec<Part>,
}

/// Runs the parts that were asked for, all of them even if one fails.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let all = Part::value_variants();
    let parts = if arguments.parts.is_empty() { all } else { arguments.parts.as_slice() };
    let mut lines = Vec::new();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for part in parts {
        let name = part.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let line = match run_part(*part) {
            Ok(Outcome::Passed) => {
                passed += 1;
                "passed".to_owned()
            }
            Ok(Outcome::Skipped(why)) if !is_ci() => {
                skipped += 1;
                format!("skipped: {why}")
            }
            Ok(Outcome::Skipped(why)) => {
                failed += 1;
                format!("failed: CI=true, and {why}")
            }
            Err(failure) => {
                failed += 1;
                failure.to_string()
            }
        };
        lines.push(format!("  {name:<10} {line}"));
    }
    println!("\n{}\ncontract: {passed} passed, {failed} failed, {skipped} skipped", lines.join("\n"));
    if failed > 0 { Err(Failure::Rule(format!("{failed} parts of the contract failed"))) } else { Ok(()) }
}

fn run_part(part: Part) -> Result<Outcome, Failure> {
    let python = match Python::find("contract")? {
        Ok(python) => python,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let mut environments = Vec::new();
    for name in parts::environments(part) {
        match python.environment(name)? {
            Ok(environment) => environments.push(environment),
            Err(why) => return Ok(Outcome::Skipped(why)),
        }
    }
    parts::run(part, &environments)?;
    Ok(Outcome::Passed)
}
