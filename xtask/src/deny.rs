//! `cargo xtask deny`: licences, bans and sources of every dependency, by the rules of deny.toml. Advisories are left
//! out: they need a database from outside the registries.

use crate::failure::Failure;
use crate::paths;
use crate::step::{cargo, output, program, run as step};
use std::path::Path;

/// The version that deny.toml is written for.
const VERSION: &str = "0.20.2";

/// Installs cargo-deny below the target folder if it is not there, and runs its checks.
pub(crate) fn run() -> Result<(), Failure> {
    let tools = paths::target()?.join("tools");
    let deny = tools.join("bin/cargo-deny");
    if !is_there(&deny) {
        let mut install = cargo();
        install.args(["install", "--locked", "--version", VERSION, "cargo-deny", "--root"]).arg(&tools);
        // Its build is of no use afterwards: let it be a temporary one.
        step("installing cargo-deny", install.env_remove("CARGO_TARGET_DIR"))?;
    }
    step(
        "licences, bans, sources",
        program(&deny).args(["--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]),
    )
}

fn is_there(deny: &Path) -> bool {
    deny.exists() && output(program(deny).arg("--version")).is_ok_and(|said| said.trim().ends_with(VERSION))
}
