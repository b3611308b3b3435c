//! The shape of the tree, held by a test: who may import whom, and what is absent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FUNCTIONS: [&str; 8] = ["webhook", "dispatch", "record", "gate", "approve", "guard", "rollback", "sweep"];

fn root() -> PathBuf {
    // As cargo tells it now: clones may share a target folder, and this be built in another one.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&here).parent().unwrap().to_owned()
}

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    assert!(!files.is_empty(), "{folder} holds no Rust");
    files
}

fn is_of_tests(path: &Path) -> bool {
    let inside = path.strip_prefix(root()).unwrap();
    inside.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// The code of a file without its unit tests and comments.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_may_not_be_named_where() {
    #[rustfmt::skip]
    let rules: &[(&str, &[&str], &str)] = &[
        ("shared/src/domain", &["crate::aws", "crate::github", "crate::ledger", "crate::config", "crate::run", "aws_sdk", "crate::random", "tokio", "tracing", "std::env", "std::time", "Timestamp::now", "fastrand", "getrandom", "async fn"], "domain is pure"),
        ("shared/src/github", &["aws_sdk", "crate::aws", "crate::ledger", "crate::config", "tokio", "tracing"],                       "GitHub's side knows no AWS and logs nothing"),
        ("shared/src/config", &["aws_sdk", "crate::aws", "crate::ledger", "crate::github", "tokio", "tracing"],                      "the configuration is text and rules"),
        ("shared/src/ledger", &["aws_sdk", "crate::github", "crate::run", "crate::landing", "crate::recording"],                     "the ledger names no SDK type"),
        ("shared/src/recording", &["aws_sdk", "targets.start", "StartEvent::Begin", "StartEvent::StartAgain"],                       "what records starts nothing"),
        ("functions",         &["aws_sdk"],                                                                                          "functions name no SDK type"),
        ("functions/webhook", &["ledger", "routing", "config::", "targets"],                                                         "webhook knows one secret and one queue"),
        ("functions/record",  &["start_pipeline", "aws::sqs"],                                                                       "record starts nothing"),
        ("functions/gate",    &["start_pipeline", "aws::sqs"],                                                                       "gate starts nothing"),
        ("functions/guard",   &["start_pipeline", "roll_back"],                                                                      "guard asks for a rollback, and makes none"),
        ("functions/approve", &["start_pipeline", "aws::sqs", "aws::sns"],                                                           "approve starts nothing and writes to nobody"),
        ("cli",               &["pointsman_local", "pointsman_dispatch", "pointsman_webhook", "pointsman_record", "pointsman_gate", "pointsman_approve", "pointsman_guard", "pointsman_rollback", "pointsman_sweep"], "the operator's tool links no function and no fake"),
    ];
    for (folder, forbidden, why) in rules {
        for (path, text) in rust_files(folder) {
            for name in forbidden.iter().filter(|_| !is_of_tests(&path)) {
                assert!(!code(&text).contains(name), "{}: {name}: {why}", path.display());
            }
        }
    }
}

#[test]
fn functions_never_import_each_other() {
    for name in FUNCTIONS {
        for (path, text) in rust_files(&format!("functions/{name}")) {
            for other in FUNCTIONS.iter().filter(|other| **other != name) {
                assert!(!text.contains(&format!("pointsman_{other}")), "{} imports {other}", path.display());
            }
        }
    }
}

#[test]
fn only_main_reads_the_environment_and_mains_are_short() {
    for folder in ["shared", "functions", "cli", "local"] {
        for (path, text) in rust_files(folder) {
            let is_main = path.ends_with("main.rs") || is_of_tests(&path);
            assert!(is_main || !code(&text).contains("std::env::"), "{} reads the environment", path.display());
        }
    }
    for name in FUNCTIONS {
        let text = std::fs::read_to_string(root().join(format!("functions/{name}/src/main.rs"))).unwrap();
        assert!(text.lines().count() <= 25, "{name}'s main has {} lines", text.lines().count());
    }
}

#[test]
fn no_function_holds_a_static() {
    for folder in ["functions", "shared/src"] {
        for (path, text) in rust_files(folder) {
            for line in code(&text).lines() {
                let line = line.trim_start();
                assert!(!line.starts_with("static ") && !line.starts_with("pub static "), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn versions_and_lints_are_written_once() {
    for folder in [
        "shared",
        "functions/webhook",
        "functions/dispatch",
        "functions/record",
        "functions/gate",
        "functions/approve",
        "functions/guard",
        "functions/rollback",
        "functions/sweep",
        "cli",
        "local",
        "tests",
        "benches",
        "benches/bare",
        "xtask",
    ] {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{folder}");
        for table in ["dependencies", "dev-dependencies"] {
            for (name, dependency) in manifest.get(table).and_then(|table| table.as_table()).into_iter().flatten() {
                assert_eq!(dependency["workspace"].as_bool(), Some(true), "{folder}: {name} has a version of its own");
            }
        }
    }
}

#[test]
fn every_function_has_a_crate_and_every_crate_a_function() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let named: BTreeSet<_> = template
        .match_indices("Binary: ")
        .map(|(at, found)| template[at + found.len()..].split([' ', '}', '\n']).next().unwrap().to_owned())
        .collect();
    let crates: BTreeSet<_> = std::fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, crates);
}
