//! The Python scripts of `tests`: each starts the local runner as a process of its own, and holds something against it.

use crate::failure::Failure;
use crate::paths;
use crate::python::Environment;
use crate::step::{cargo, run};
use std::path::PathBuf;
use std::process::Command;

/// Why something was left out, if it was.
pub(crate) enum Outcome {
    /// It was not.
    Passed,
    /// Something is not here that it needs.
    Skipped(String),
}

/// Whether this runs in continuous integration, where nothing may be left out.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

/// Runs one of the scripts of `tests`, which starts the local runner itself.
pub(crate) fn script(
    title: &str,
    environment: &Environment,
    name: &str,
    prepare: impl FnOnce(&mut Command),
) -> Result<(), Failure> {
    let mut command = environment.program("python");
    command.arg(format!("tests/{name}")).env("POINTSMAN_LOCAL", runner()?);
    prepare(&mut command);
    run(title, as_nobody(&mut command))
}

/// Builds the local runner, in the build that everything else shares, and says where it is.
fn runner() -> Result<PathBuf, Failure> {
    run("building cargo local", cargo().args(["build", "--quiet", "--bin", "pointsman-local"]))?;
    Ok(paths::target()?.join("debug/pointsman-local"))
}

/// No account is behind any of this: credentials that are none, one region, no telemetry, no configuration of a person's.
pub(crate) fn as_nobody(command: &mut Command) -> &mut Command {
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
