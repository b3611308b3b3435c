//! The browser tests: `tests/browser` opens the pages of `cargo local` in a Chromium without a screen.
//!
//! They need Debian's `chromium` and `chromium-driver`, which root installs where they are missing, and Python. What
//! cannot be had is a failure in CI and "skipped" elsewhere. The pictures that they take are in the target folder.

use crate::failure::Failure;
use crate::paths;
use crate::python::Python;
use crate::script::{Outcome, is_ci, script};
use crate::step::{output, program, run as step, succeeds};
use std::path::Path;

/// The browser and its driver, where Debian puts them, and its packages.
const CHROMIUM: (&str, &str) = ("/usr/bin/chromium", "chromium");
const CHROMEDRIVER: (&str, &str) = ("/usr/bin/chromedriver", "chromium-driver");

/// Runs them, and says in a line what became of them.
///
/// # Errors
/// What failed; in CI also that they were left out.
pub(crate) fn run() -> Result<String, Failure> {
    match outcome()? {
        Outcome::Passed => Ok("browser tests: passed".to_owned()),
        Outcome::Skipped(why) if is_ci() => Err(Failure::Rule(format!("browser tests: CI=true, and {why}"))),
        Outcome::Skipped(why) => Ok(format!("browser tests: SKIPPED: {why}")),
    }
}

fn outcome() -> Result<Outcome, Failure> {
    if let Err(why) = install()? {
        return Ok(Outcome::Skipped(why));
    }
    let environment = match Python::find("browser")? {
        Ok(python) => python.environment("selenium")?,
        Err(why) => Err(why),
    };
    let environment = match environment {
        Ok(environment) => environment,
        Err(why) => return Ok(Outcome::Skipped(why)),
    };
    let pictures = paths::target()?.join("browser");
    script("the approval page in a browser", &environment, "browser/approvals.py", |command| {
        command.env("CHROMIUM", CHROMIUM.0).env("CHROMEDRIVER", CHROMEDRIVER.0);
        // The runner and its clients are started as in the contract.
        command.env("PYTHONPATH", paths::root().join("tests/contract")).env("BROWSER_PICTURES", &pictures);
    })?;
    println!("   pictures of the pages: {}", pictures.display());
    Ok(Outcome::Passed)
}

/// Installs the browser and its driver, unless they are here; `Err` inside is why they cannot be had.
fn install() -> Result<Result<(), String>, Failure> {
    let missing = [CHROMIUM, CHROMEDRIVER].into_iter().filter(|(path, _)| !Path::new(path).exists());
    let packages: Vec<_> = missing.map(|(_, package)| package).collect();
    if packages.is_empty() {
        return Ok(Ok(()));
    }
    let why = format!("there is no {}", packages.join(", and no "));
    let is_root = output(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || !succeeds(program("apt-get").arg("--version")) {
        return Ok(Err(format!("{why}, and only root can install them, with Debian's apt-get")));
    }
    let apt = |title: &str, words: &[&str]| {
        step(title, program("apt-get").env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet=2").args(words))
    };
    let add =
        || apt("installing a browser", &[&["install", "--yes", "--no-install-recommends"], &packages[..]].concat());
    // A fresh machine has no lists of packages, or old ones.
    let added = add().or_else(|_| apt("asking what can be installed", &["update"]).and_then(|()| add()));
    Ok(added.map_err(|_| format!("{why}, and apt-get could not install them")))
}
