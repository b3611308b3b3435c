//! One step of a chore: a program that is run, with its command line and its duration printed.

use crate::failure::Failure;
use crate::paths;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A step that took longer is said to be slow.
const SLOW_SECONDS: f64 = 60.0;

/// Cargo, as the one that runs us, in the repository's root.
pub(crate) fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program, in the repository's root.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(paths::root()).stdin(Stdio::null());
    command
}

/// Runs `command`; what it prints is printed.
///
/// # Errors
/// [`Failure::NotRun`], or [`Failure::Step`] when it does not end with 0.
pub(crate) fn run(title: &str, command: &mut Command) -> Result<(), Failure> {
    timed(title, &line(command), || {
        let status = command.status().map_err(|source| not_run(command, source))?;
        if status.success() { Ok(()) } else { Err(Failure::Step { title: title.to_owned() }) }
    })
}

/// Like [`run`], and hands each line of its standard output to `see` after printing it.
pub(crate) fn watch(title: &str, command: &mut Command, mut see: impl FnMut(&str)) -> Result<(), Failure> {
    timed(title, &line(command), || {
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|source| not_run(command, source))?;
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')).flatten() {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            see(&line);
        }
        let status = child.wait().map_err(|source| not_run(command, source))?;
        if status.success() { Ok(()) } else { Err(Failure::Step { title: title.to_owned() }) }
    })
}

/// Runs `command` in silence and answers with its standard output.
///
/// # Errors
/// As [`run`]; what it wrote to standard error is printed.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|source| not_run(command, source))?;
    if !output.status.success() {
        return Err(Failure::Step { title: line(command) });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `command` can be run and ends with 0; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Does something that is a step, and prints its title, what it is, and how long it took.
pub(crate) fn timed<T>(title: &str, what: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    println!("\n── {title}\n   {what}");
    let began = Instant::now();
    let outcome = work();
    let seconds = began.elapsed().as_secs_f64();
    let verdict = if outcome.is_ok() { "ok" } else { "failed" };
    let slow = if seconds > SLOW_SECONDS { " (slow)" } else { "" };
    println!("── {title}: {verdict}, {seconds:.1} s{slow}");
    outcome
}

/// The command line, short enough to be read and copied.
fn line(command: &Command) -> String {
    let name = std::path::Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn not_run(command: &Command, source: std::io::Error) -> Failure {
    Failure::NotRun { program: command.get_program().to_string_lossy().into_owned(), source }
}
