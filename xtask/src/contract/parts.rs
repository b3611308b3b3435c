//! The parts of the contract: which environments each needs, and what it runs.

use super::Part;
use super::python::Environment;
use crate::failure::Failure;
use crate::paths;
use crate::step::{cargo, run as step};
use std::path::PathBuf;
use std::process::Command;

/// The environments that a part needs, by the name of their requirements file.
pub(super) fn environments(part: Part) -> &'static [&'static str] {
    match part {
        Part::CfnLint | Part::Sam => &["template"],
        Part::Boto3 | Part::Cli | Part::Story => &["sdk"],
        Part::Ministack => &["sdk", "ministack"],
        Part::Lambda => &["sdk", "lambda"],
    }
}

/// Runs a part in its environments.
pub(super) fn run(part: Part, environments: &[Environment]) -> Result<(), Failure> {
    let [first, others @ ..] = environments else {
        return Err(Failure::Rule("a part without an environment".to_owned()));
    };
    match part {
        Part::CfnLint => step("cfn-lint", first.program("cfn-lint").arg("template.yaml")),
        Part::Sam => step("sam validate", as_nobody(first.program("sam").args(["validate", "--lint"]))),
        Part::Boto3 => {
            script("boto3 against cargo local", first, "clients.py", |_| {})?;
            script("boto3 against every emulated operation", first, "emulated.py", |_| {})
        }
        Part::Cli => script("the AWS CLI against cargo local", first, "cli.py", |_| {}),
        Part::Story => script("the page's own commands", first, "story.py", |_| {}),
        Part::Ministack => script("a second opinion", first, "opinion.py", |command| {
            command.envs(others.iter().map(|other| ("MINISTACK", other.path("ministack"))));
        }),
        Part::Lambda => script("the functions under cargo lambda watch", first, "functions.py", |command| {
            command.envs(others.iter().map(|other| ("CARGO_LAMBDA", other.path("cargo-lambda"))));
        }),
    }
}

/// Runs one of the scripts of `tests/contract`, which starts the local runner itself.
fn script(
    title: &str,
    environment: &Environment,
    name: &str,
    prepare: impl FnOnce(&mut Command),
) -> Result<(), Failure> {
    let mut command = environment.program("python");
    command.arg(format!("tests/contract/{name}")).env("POINTSMAN_LOCAL", runner()?);
    prepare(&mut command);
    step(title, as_nobody(&mut command))
}

/// Builds the local runner, in the build that everything else shares, and says where it is.
fn runner() -> Result<PathBuf, Failure> {
    step("building cargo local", cargo().args(["build", "--quiet", "--bin", "pointsman-local"]))?;
    Ok(paths::target()?.join("debug/pointsman-local"))
}

/// No account is behind any of this: credentials that are none, one region, no telemetry, no configuration of a person's.
fn as_nobody(command: &mut Command) -> &mut Command {
    command
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("SAM_CLI_TELEMETRY", "0")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
}
