//! `cargo xtask package`: what is deployed. One zip a function, each with one program called `bootstrap`, as Lambda's
//! own runtime wants it, in `target/lambda`. It links the C library of this machine, so that is checked against Lambda's.

use crate::failure::Failure;
use crate::glibc;
use crate::paths;
use crate::step::{cargo, program, run as step};
use std::fs;
use std::path::Path;

/// Every function, by the name of its program.
const FUNCTIONS: [&str; 8] = ["webhook", "dispatch", "record", "gate", "approve", "guard", "rollback", "sweep"];

/// Lambda's bound on a zip that is uploaded directly, in bytes.
const ZIP_BYTES_MAX: u64 = 50 * 1024 * 1024;

/// What to package.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these functions; all of them if none is named
    #[arg(value_parser = FUNCTIONS)]
    functions: Vec<String>,
}

/// Builds the functions and zips them.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let named = arguments.functions.iter().map(String::as_str);
    let functions: Vec<&str> = if arguments.functions.is_empty() { FUNCTIONS.to_vec() } else { named.collect() };
    // Each package by itself: built together they would share features, and webhook would carry what others need.
    for function in &functions {
        let package = format!("pointsman-{function}");
        step(&format!("building {function}"), cargo().args(["build", "--release", "--package", &package]))?;
    }
    let target = paths::target()?;
    let mut lines = Vec::new();
    for function in functions {
        lines.push(zip(&target, function)?);
    }
    println!("\n{}", lines.join("\n"));
    Ok(())
}

/// Zips one program, and says how large it is.
fn zip(target: &Path, function: &str) -> Result<String, Failure> {
    let folder = target.join("lambda").join(function);
    fs::create_dir_all(&folder).map_err(|source| Failure::file(&folder, source))?;
    let (built, bootstrap, zip) =
        (target.join("release").join(function), folder.join("bootstrap"), folder.join("bootstrap.zip"));
    check_c_library(&built)?;
    fs::copy(&built, &bootstrap).map_err(|source| Failure::file(&built, source))?;
    if zip.exists() {
        fs::remove_file(&zip).map_err(|source| Failure::file(&zip, source))?;
    }
    let mut pack = program("python3");
    pack.args(["-m", "zipfile", "-c", "bootstrap.zip", "bootstrap"]).current_dir(&folder);
    step(&format!("packing {function}"), &mut pack)?;
    let bytes = |path: &Path| fs::metadata(path).map(|found| found.len()).map_err(|source| Failure::file(path, source));
    let (program_bytes, zip_bytes) = (bytes(&bootstrap)?, bytes(&zip)?);
    if zip_bytes > ZIP_BYTES_MAX {
        return Err(Failure::Rule(format!("{} has {zip_bytes} bytes; Lambda takes {ZIP_BYTES_MAX}", zip.display())));
    }
    Ok(format!(
        "  {function:<9} {:>6.2} MB, zipped {:>5.2} MB   {}",
        mega(program_bytes),
        mega(zip_bytes),
        zip.display()
    ))
}

/// Refuses a program that would not start on Lambda.
fn check_c_library(program: &Path) -> Result<(), Failure> {
    let bytes = fs::read(program).map_err(|source| Failure::file(program, source))?;
    match glibc::asked_for(&bytes) {
        Some((major, minor)) if (major, minor) > glibc::OF_LAMBDA => Err(Failure::Rule(format!(
            "{} asks for glibc {major}.{minor}; Lambda's provided.al2023 has {}.{}. Build it on an older system",
            program.display(),
            glibc::OF_LAMBDA.0,
            glibc::OF_LAMBDA.1
        ))),
        Some(_) | None => Ok(()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a size to be read by people")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
