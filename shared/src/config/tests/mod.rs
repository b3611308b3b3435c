//! What `parse` refuses, what it takes, and what is looked up in it.

mod accepted;
mod changes;
mod refused;
mod written;

use super::{Checked, Config, Problem, parse};

/// A whole configuration: every section, every key that is taken today.
const EXAMPLE: &str = include_str!("example.toml");

fn check(text: &str) -> Result<Checked, Vec<Problem>> {
    parse(text, "pointsman.toml", "us-east-1")
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn config(text: &str) -> Config {
    match check(text) {
        Ok(checked) => checked.config,
        Err(problems) => panic!("{}", lines(&problems).join("\n")),
    }
}

/// The cases of a text file: why, the text, and what is said about it.
fn told_cases(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    file.split("\n### ").skip(1).map(|case| {
        let (why, rest) = case.split_once('\n').unwrap();
        let (text, says) = rest.split_once("--- says\n").unwrap();
        (why, text, says.trim_end())
    })
}
