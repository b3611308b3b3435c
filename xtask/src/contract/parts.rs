//! The parts of the contract: which environments each needs, and what it runs.

use super::Part;
use crate::failure::Failure;
use crate::python::Environment;
use crate::script::{as_nobody, script};
use crate::step::run as step;

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
        Part::CfnLint => step("cfn-lint", first.program("cfn-lint").args(["template.yaml", "regional/template.yaml"])),
        Part::Sam => step("sam validate", as_nobody(first.program("sam").args(["validate", "--lint"]))),
        Part::Boto3 => {
            script("boto3 against cargo local", first, "contract/clients.py", |_| {})?;
            script("boto3 against every emulated operation", first, "contract/emulated.py", |_| {})
        }
        Part::Cli => script("the AWS CLI against cargo local", first, "contract/cli.py", |_| {}),
        Part::Story => script("the page's own commands", first, "contract/story.py", |_| {}),
        Part::Ministack => script("a second opinion", first, "contract/opinion.py", |command| {
            command.envs(others.iter().map(|other| ("MINISTACK", other.path("ministack"))));
        }),
        Part::Lambda => script("the functions under cargo lambda watch", first, "contract/functions.py", |command| {
            command.envs(others.iter().map(|other| ("CARGO_LAMBDA", other.path("cargo-lambda"))));
        }),
    }
}
