//! `cargo xtask test`: the everyday check. It runs no release build, no benchmark and no other people's tools but a
//! browser.

use crate::browser;
use crate::failure::Failure;
use crate::step::{cargo, program, run as step, succeeds, watch};
use crate::tree;

/// Every crate but the benchmarks, which bring optimised builds of their own.
const CRATES: [&str; 3] = ["--workspace", "--exclude", "pointsman-benches"];

/// What alone runs the browser tests, in the place of a filter.
const BROWSER: &str = "browser";

/// What runs elsewhere, and why.
const ELSEWHERE: &str = "
Not run here:
  cargo xtask contract   other people's clients and tools against ours (installs from PyPI, some minutes)
  cargo xtask bench      benchmarks (an optimised build of its own)
  cargo xtask package    what is deployed, and its size (a release build with fat LTO)
  cargo xtask deny       licences, bans and sources of the dependencies (compiles cargo-deny once)";

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leave out formatting and lints, which are a build of their own
    #[arg(long)]
    no_lint: bool,
    /// `browser` for the browser tests alone; all else is passed on to `cargo test`, without them: a filter, or `-- --nocapture`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Runs the everyday check.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    install(arguments)?;
    if arguments.rest == [BROWSER] {
        println!("\n{}", browser::run()?);
        return Ok(());
    }
    if !arguments.no_lint {
        step("formatting", cargo().args(["fmt", "--all", "--check"]))?;
        let lints = ["--all-targets", "--", "-D", "warnings"];
        step("lints", cargo().arg("clippy").args(CRATES).args(lints))?;
    }
    tree::check()?;
    let mut count = Count::default();
    let tested = watch("tests", cargo().arg("test").args(CRATES).args(&arguments.rest), |line| count.add(line));
    let all = arguments.rest.is_empty() && tested.is_ok();
    let browsed = if all { browser::run() } else { Ok("browser tests: not run".to_owned()) };
    println!("{ELSEWHERE}");
    println!("\ntests: {} passed, {} failed, {} skipped", count.passed, count.failed, count.ignored);
    tested?;
    println!("{}", browsed?);
    Ok(())
}

/// The tests need what a Rust installation has, and a C compiler for SQLite and aws-lc.
fn install(arguments: &Arguments) -> Result<(), Failure> {
    for component in ["rustfmt", "clippy"] {
        let command = if component == "rustfmt" { "fmt" } else { component };
        if !arguments.no_lint && !succeeds(cargo().args([command, "--version"])) {
            step(&format!("installing {component}"), program("rustup").args(["component", "add", component]))?;
        }
    }
    if !["cc", "gcc", "clang"].iter().any(|compiler| succeeds(program(compiler).arg("--version"))) {
        return Err(Failure::Rule("the tests need a C compiler: install gcc or clang".to_owned()));
    }
    println!("The tests need cargo and a C compiler, and both are here: nothing to install.");
    Ok(())
}

/// The sum of what libtest says of each test binary.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Count {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`; passes over any other.
    fn add(&mut self, line: &str) {
        let Some(summary) = line.strip_prefix("test result: ") else { return };
        let (_, counts) = summary.split_once(". ").unwrap_or_default();
        for (number, word) in counts.split("; ").filter_map(|part| part.split_once(' ')) {
            let number: u64 = number.parse().unwrap_or(0);
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn results_are_added_up() {
        let mut count = Count::default();
        count.add("running 3 tests");
        count.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.00s");
        count.add("test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s");
        assert_eq!(count, Count { passed: 8, failed: 2, ignored: 1 });
    }
}
