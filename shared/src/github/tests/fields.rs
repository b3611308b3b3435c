//! Every field on its own: missing, null, doubled, of the wrong kind, at the edge of what a number can hold.

use super::{change, push, push_with, read_json, samples, word};
use crate::domain::change::ChangeKind;
use crate::domain::routing::never_starts;
use serde_json::{Value, json};

/// Of each event: the file, the fields that may not be null, and those of them that may be missing all the same.
///
/// A field within a list or an object that is asked for only where it is there counts as well.
#[rustfmt::skip]
const ASKED_FOR: &[(&str, &[&str], &[&str])] = &[
    ("push.json",
     &["/ref", "/before", "/after", "/created", "/deleted", "/forced", "/head_commit/id", "/repository", "/repository/id",
       "/repository/full_name", "/sender/login", "/commits/*", "/commits/*/added", "/commits/*/removed", "/commits/*/modified",
       "/commits/*/added/*", "/commits/*/removed/*", "/commits/*/modified/*"],
     &["/created", "/deleted", "/forced", "/commits/*", "/commits/*/added", "/commits/*/removed", "/commits/*/modified",
       "/commits/*/added/*", "/commits/*/removed/*", "/commits/*/modified/*"]),
    ("pull_request-opened.json",
     &["/action", "/pull_request", "/pull_request/number", "/pull_request/head", "/pull_request/head/ref", "/pull_request/head/sha",
       "/pull_request/head/repo/id", "/pull_request/base", "/pull_request/base/ref", "/pull_request/base/sha",
       "/pull_request/base/repo/id", "/repository", "/repository/id", "/repository/full_name", "/sender/login"],
     &[]),
    ("workflow_run-completed.json",
     &["/action", "/workflow_run", "/workflow_run/id", "/workflow_run/run_attempt", "/workflow_run/event", "/workflow_run/head_sha",
       "/workflow_run/head_repository/id", "/repository", "/repository/id", "/repository/full_name", "/sender/login"],
     &["/workflow_run/run_attempt"]),
    ("release-published.json",
     &["/action", "/release", "/release/id", "/release/tag_name", "/release/target_commitish", "/repository", "/repository/id",
       "/repository/full_name", "/sender/login"],
     &["/release/target_commitish"]),
    ("create.json", &["/ref", "/ref_type", "/repository", "/repository/id", "/repository/full_name", "/sender/login"], &[]),
    ("delete.json", &["/ref", "/ref_type", "/repository", "/repository/id", "/repository/full_name", "/sender/login"], &[]),
    ("star.json", &["/repository/id", "/repository/full_name", "/sender/login"], &[]),
    ("ping.json", &["/repository/id", "/repository/full_name", "/sender/login"], &[]),
];

/// The pointers to everything within `value`.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let mut add = |name: &str, inner: &Value| {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        all.push(pointer.clone());
        pointers(inner, &pointer, all);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| add(name, inner)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, inner)| add(&index.to_string(), inner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn remove(document: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.remove(name)),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => panic!("{pointer} is within nothing"),
    }
}

/// The pointer with `*` for every index, as the table above writes it.
fn starred(pointer: &str) -> String {
    let is_index = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    pointer.split('/').map(|part| if is_index(part) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

#[test]
fn each_field_in_turn_is_null_and_missing() {
    let mut seen = 0;
    for (file, no_null, may_be_missing) in ASKED_FOR {
        let whole: Value = serde_json::from_str(samples::text(file)).unwrap();
        let event = samples::event(file);
        let mut all = Vec::new();
        pointers(&whole, "", &mut all);
        let written: Vec<String> = all.iter().map(|pointer| starred(pointer)).collect();
        no_null.iter().for_each(|field| assert!(written.iter().any(|one| one == field), "{file} has no {field}"));
        for pointer in &all {
            let name = starred(pointer);
            let may_be_null = !no_null.contains(&name.as_str());
            let may_be_missing = may_be_null || may_be_missing.contains(&name.as_str());

            let mut nulled = whole.clone();
            *nulled.pointer_mut(pointer).unwrap() = Value::Null;
            let outcome = word(&read_json(event, nulled.to_string()));
            assert_eq!(outcome, if may_be_null { event } else { "field" }, "{file}: {pointer} is null");

            let mut without = whole.clone();
            remove(&mut without, pointer);
            let outcome = word(&read_json(event, without.to_string()));
            assert_eq!(outcome, if may_be_missing { event } else { "field" }, "{file}: {pointer} is missing");
            seen += 2;
        }
    }
    assert!(seen > 1_000, "only {seen} cases");
}

#[test]
fn each_field_in_turn_is_of_every_other_kind() {
    let kinds =
        [json!(true), json!(-1), json!(1.5), json!(u64::MAX), json!(""), json!("x"), json!([]), json!([[]]), json!({})];
    for (file, asked_for, _) in ASKED_FOR {
        let whole: Value = serde_json::from_str(samples::text(file)).unwrap();
        let mut all = Vec::new();
        pointers(&whole, "", &mut all);
        for field in asked_for.iter() {
            let pointer = all.iter().find(|pointer| starred(pointer) == *field).unwrap();
            let mut refused = 0;
            for kind in &kinds {
                let mut changed = whole.clone();
                *changed.pointer_mut(pointer).unwrap() = kind.clone();
                refused += usize::from(read_json(samples::event(file), changed.to_string()).is_err());
            }
            assert!(refused >= 6, "{file}: {field} is read as at most three kinds");
        }
    }
}

/// What is put for a piece of PUSH, and what is read then.
#[rustfmt::skip]
const SWAPS: &[(&str, &str, &str, &str)] = &[
    // a piece of PUSH              by                                     outcome   why
    // Fields that are there twice: whichever was meant, another reader might take the other one.
    (r#""ref":"refs/heads/main""#,  r#""ref":"refs/heads/main","ref":"refs/heads/main""#, "field", "the ref twice, the same"),
    (r#""ref":"refs/heads/main""#,  r#""ref":"refs/heads/main","ref":"refs/heads/x""#,    "field", "the ref twice"),
    (r#""ref":"refs/heads/main""#,  r#""ref":"refs/heads/main","\u0072ef":"refs/heads/x""#, "field", "the ref twice, once in disguise"),
    (r#""ref":"refs/heads/main""#,  r#""ref":"refs/heads/main","Ref":"refs/heads/x""#,    "push",  "names compare with case: another field"),
    (r#""ref":"refs/heads/main""#,  r#""ref":null,"ref":"refs/heads/main""#,              "field", "the ref twice, once null"),
    (r#""created":false"#,          r#""created":false,"created":true"#,                  "field", "created twice"),
    (r#""forced":false"#,           r#""forced":false,"forced":false"#,                   "field", "forced twice"),
    (r#""deleted":false"#,          r#""deleted":true,"deleted":false"#,                  "field", "deleted twice"),
    (r#""after":"#,                 r#""after":"3333333333333333333333333333333333333333","after":"#, "field", "after twice"),
    (r#""before":"#,                r#""before":"3333333333333333333333333333333333333333","before":"#, "field", "before twice"),
    (r#""id":7"#,                   r#""id":7,"id":8"#,                    "field",  "the repository's id twice"),
    (r#""id":7"#,                   r#""id":7,"id":7"#,                    "field",  "twice the same"),
    (r#""id":7"#,                   r#""id":7,"node_id":1,"node_id":2"#,   "push",   "a field twice that nobody reads"),
    (r#""message":"Sell hats""#,    r#""message":null,"message":"x""#,     "field",  "the message twice"),
    (r#""sender":"#,                r#""sender":null,"sender":"#,          "field",  "the sender twice"),
    (r#""repository":"#,            r#""repository":{"id":8,"full_name":"acme/x"},"repository":"#, "field", "the repository twice"),
    (r#""pushed_at":"#,             r#""pushed_at":null,"pushed_at":"#,    "field",  "the time twice"),
    // Numbers.
    (r#""id":7"#,                   r#""id":0"#,                           "push",   "nought is a number"),
    (r#""id":7"#,                   r#""id":18446744073709551615"#,        "push",   "the last that fits"),
    (r#""id":7"#,                   r#""id":18446744073709551616"#,        "field",  "the first that does not"),
    (r#""id":7"#,                   r#""id":99999999999999999999999999999999"#, "field", "far too large"),
    (r#""id":7"#,                   r#""id":-1"#,                          "field",  "negative"),
    (r#""id":7"#,                   r#""id":-0"#,                          "field",  "minus nought"),
    (r#""id":7"#,                   r#""id":7.0"#,                         "field",  "a fraction, though none is left"),
    (r#""id":7"#,                   r#""id":7.5"#,                         "field",  "a fraction"),
    (r#""id":7"#,                   r#""id":7e0"#,                         "field",  "an exponent"),
    (r#""id":7"#,                   r#""id":1e999"#,                       "syntax", "beyond all numbers"),
    (r#""id":7"#,                   r#""id":"7""#,                         "field",  "a number in a string"),
    (r#""id":7"#,                   r#""id":true"#,                        "field",  "a bool"),
    (r#""id":7"#,                   r#""id":007"#,                         "syntax", "noughts before"),
    // Commit ids.
    (r#""after":"22"#,              r#""after":"2"#,                       "field",  "39 digits"),
    (r#""after":"22"#,              r#""after":"222"#,                     "field",  "41 digits"),
    (r#""after":"22"#,              r#""after":"222222222222222222222222222"#, "field", "64 digits and one: SHA-256 is not spoken yet"),
    (r#""after":"22"#,              r#""after":"22222222222222222222222222"#, "field", "64 digits: SHA-256 is not spoken yet"),
    (r#""after":"22"#,              r#""after":"2A"#,                      "field",  "in upper case"),
    (r#""after":"22"#,              r#""after":"2g"#,                      "field",  "no digit"),
    (r#""after":"22"#,              r#""after":" 2"#,                      "field",  "a space"),
    (r#""after":"22"#,              r#""after":"\u0032\u0032"#,            "push",   "digits as escapes are digits"),
    (r#""after":"22"#,              r#""after":"\uff12\u0032"#,            "field",  "a full-width digit"),
    (r#""after":"22"#,              r#""after":"2\u0000"#,                 "field",  "a NUL"),
    (r#""before":"1111111111111111111111111111111111111111""#, r#""before":"""#, "field", "empty"),
    (r#""before":"1111111111111111111111111111111111111111""#, r#""before":"HEAD~1""#, "field", "a revision"),
    (r#""before":"1111111111111111111111111111111111111111""#, r#""before":"0000000000000000000000000000000000000000""#, "push", "no object: a new ref"),
    // Half a surrogate pair is no character. GitHub sends none.
    (r#""refs/heads/main""#,        r#""refs/heads/\ud83c""#,              "syntax", "the first half, in the ref"),
    (r#""refs/heads/main""#,        r#""refs/heads/\udfa9""#,              "syntax", "the second half"),
    (r#""refs/heads/main""#,        r#""refs/heads/\udfa9\ud83c""#,        "syntax", "the halves exchanged"),
    (r#""refs/heads/main""#,        r#""refs/heads/\ud83c\ud83c""#,        "syntax", "the first half twice"),
    (r#""refs/heads/main""#,        r#""refs/heads/\ud83cx""#,             "syntax", "a letter for the second half"),
    (r#""refs/heads/main""#,        r#""refs/heads/\ud83c\udfa9""#,        "push",   "both"),
    (r#""Sell hats""#,              r#""\ud83c""#,                         "syntax", "in the message"),
    (r#""full_name":"acme/shop""#,  r#""full_name":"acme/\ud83c""#,        "syntax", "in the repository's name"),
    (r#"{"name":"ada"}"#,           r#"{"name":"\ud83c"}"#,                "syntax", "in the pusher's name"),
    (r#"{"login":"ada"}"#,          r#"{"login":"\ud83c"}"#,               "syntax", "in the sender's login"),
    (r#"["new"]"#,                  r#"["\ud83c"]"#,                       "syntax", "in a file's name"),
    (r#""created":false"#,          r#""created":false,"\ud83c":1"#,       "syntax", "in a field's name"),
    (r#""created":false"#,          r#""created":false,"x":"\ud83c""#,     "push",   "where nobody reads it"),
    // Bools.
    (r#""forced":false"#,           r#""forced":"true""#,                  "field",  "a bool in a string"),
    (r#""forced":false"#,           r#""forced":1"#,                       "field",  "a bool as a number"),
    (r#""deleted":false"#,          r#""deleted":null"#,                   "field",  "nothing: a guess would be dangerous"),
    (r#""created":false,"#,         "",                                    "push",   "not said to be new"),
    // The commit.
    (r#""head_commit":{"id":"2222222222222222222222222222222222222222","#, r#""head_commit":{"#, "field", "a commit without an id"),
    (r#""message":"Sell hats","#,   "",                                    "push",   "a commit without a message"),
    (r#","username":"ada"}"#,       r#"}"#,                                "push",   "an author whom GitHub does not know"),
    (r#""commits":[{"#,             r#""commits":[7,{"#,                   "field",  "a number among the commits"),
    (r#""commits":[{"#,             r#""commits":[null,{"#,                "field",  "nothing among the commits"),
    (r#"["new"]"#,                  r#"["new",7]"#,                        "field",  "a number among the files"),
    (r#"["new"]"#,                  r#""new""#,                            "field",  "a file for a list of files"),
];

#[test]
fn a_push_is_read_strictly_where_a_guess_would_be_dangerous() {
    for (piece, by, outcome, why) in SWAPS {
        assert_eq!(word(&read_json("push", push_with(piece, by))), *outcome, "{why}");
    }
}

/// Seconds since the epoch, or the word for a refusal.
type Seconds = Result<Option<i64>, &'static str>;

#[test]
fn pushed_at_is_whatever_github_made_of_it() {
    #[rustfmt::skip]
    let cases: &[(&str, Seconds, &str)] = &[
        // repository.pushed_at               outcome                 why
        ("1772447467",                        Ok(Some(1_772_447_467)), "seconds, as in a push"),
        ("\"2026-03-02T10:31:07Z\"",          Ok(Some(1_772_447_467)), "text, as everywhere else"),
        ("\"2026-03-02T11:31:07+01:00\"",     Ok(Some(1_772_447_467)), "with another offset"),
        ("\"2026-03-02T10:31:07.999Z\"",      Ok(Some(1_772_447_467)), "with a fraction of a second"),
        ("\"2026-03-02T10:31:07\\u005a\"",    Ok(Some(1_772_447_467)), "with an escape"),
        ("null",                              Ok(None),               "nothing"),
        ("\"\"",                              Ok(None),               "an empty text tells no time"),
        ("\"yesterday\"",                     Ok(None),               "nor does this"),
        ("\"2026-03-02\"",                    Ok(None),               "a day is no time"),
        ("\"2026-02-30T00:00:00Z\"",          Ok(None),               "a day that never was"),
        ("\"1772447467\"",                    Ok(None),               "a number in a string is not guessed at"),
        ("\"99999-01-01T00:00:00Z\"",         Ok(None),               "too late a year"),
        ("0",                                 Ok(Some(0)),            "the epoch"),
        ("-1",                                Ok(Some(-1)),           "before the epoch"),
        ("9223372036854775807",               Ok(Some(i64::MAX)),     "the last that fits"),
        ("9223372036854775808",               Err("field"),           "the first that does not"),
        ("-9223372036854775808",              Ok(Some(i64::MIN)),     "the first of all"),
        ("1e300",                             Err("field"),           "a large fraction"),
        ("1772447467.5",                      Err("field"),           "a fraction of a second as a number"),
        ("true",                              Err("field"),           "a bool"),
        ("[1772447467]",                      Err("field"),           "a list"),
        ("{\"seconds\":1772447467}",          Err("field"),           "an object"),
        ("\"\\ud800\"",                       Err("syntax"),          "half a surrogate pair"),
    ];
    for (text, expected, why) in cases {
        let read = read_json("push", push_with("1772447467", text));
        match expected {
            Ok(seconds) => assert_eq!(push(read).pushed_at, *seconds, "{why}"),
            Err(outcome) => assert_eq!(word(&read), *outcome, "{why}"),
        }
    }
    let without = push_with(r#","pushed_at":1772447467"#, "");
    assert_eq!(push(read_json("push", without)).pushed_at, None, "not even the field");
}

#[test]
fn the_commit_to_build_is_the_head_and_may_be_missing() {
    let sha = "3333333333333333333333333333333333333333";
    let tag_object = "4444444444444444444444444444444444444444";
    let zero = "0000000000000000000000000000000000000000";
    #[rustfmt::skip]
    let cases = [
        // ref                after  head         deleted  never starts                              why
        ("refs/heads/main",   sha,   Some(sha),   false,   None,                                     "a branch and its commit"),
        ("refs/heads/main",   sha,   None,        false,   None,                                     "a branch without one: `after` is the commit"),
        ("refs/tags/v1",      sha,   Some(sha),   false,   None,                                     "a tag"),
        ("refs/tags/v1",      tag_object, Some(sha), false, None,                                    "an annotated tag: `after` is the tag object"),
        ("refs/tags/v1",      sha,   None,        false,   Some("tag \"v1\" points at no commit"),   "a tag of a tree, or of a blob"),
        ("refs/heads/main",   zero,  None,        true,    Some("branch \"main\" was deleted"),      "a deletion"),
        ("refs/heads/main",   zero,  None,        false,   Some("branch \"main\" was deleted"),      "a deletion that does not say so"),
        ("refs/heads/main",   sha,   None,        true,    Some("branch \"main\" was deleted"),      "a deletion with an object"),
        ("refs/tags/v1",      zero,  None,        true,    Some("tag \"v1\" was deleted"),           "a tag's deletion"),
        ("refs/heads/main",   zero,  Some(sha),   false,   Some("branch \"main\" was deleted"),      "no object, and a commit: no guess"),
        ("refs/pull/1/head",  sha,   Some(sha),   false,   Some("\"refs/pull/1/head\" is neither a branch nor a tag"), "GitHub's own ref"),
        ("refs/heads/",       sha,   Some(sha),   false,   Some("\"refs/heads/\" is neither a branch nor a tag"), "a branch without a name"),
    ];
    for (git_ref, after, head, deleted, expected, why) in cases {
        let body = json!({
            "ref": git_ref, "before": sha, "after": after, "deleted": deleted,
            "head_commit": head.map(|id| json!({ "id": id })),
            "repository": { "id": 7, "full_name": "acme/shop" },
        });
        let read = change(read_json("push", body.to_string()));
        assert_eq!(never_starts(&read).map(|never| never.to_string()).as_deref(), expected, "{why}");
        let ChangeKind::Push(push) = read.kind else { panic!("{why}") };
        assert_eq!(push.head.as_ref().map(|commit| commit.sha.as_str()), head, "{why}");
        assert_eq!(push.after.as_str(), after, "{why}");
    }
}

/// A sample with one field replaced: what it starts, or why it starts nothing.
#[rustfmt::skip]
const FORKS: &[(&str, &str, &str, &str, &str)] = &[
    // file                        field                               value                   never starts                       why
    ("pull_request-opened.json",    "/action",                          "\"opened\"",           "",                                "of this repository"),
    ("pull_request-opened.json",    "/action",                          "\"synchronize\"",      "",                                "new commits"),
    ("pull_request-opened.json",    "/action",                          "\"closed\"",           "a pull request that is",          "no new commit"),
    ("pull_request-opened.json",    "/action",                          "\"OPENED\"",           "a pull request that is",          "actions compare with case"),
    ("pull_request-opened.json",    "/action",                          "\"\"",                 "a pull request that is",          "no action"),
    ("pull_request-opened.json",    "/pull_request/head/repo",          "null",                 "pull request #417 comes from a fork", "the fork is gone"),
    ("pull_request-opened.json",    "/pull_request/head/repo/id",       "1",                    "pull request #417 comes from a fork", "another repository of the same name"),
    ("pull_request-opened.json",    "/pull_request/head/ref",           "\"main\"",             "",                                "a branch called main is no fork"),
    ("pull_request-fork.json",      "/pull_request/head/repo/full_name", "\"acme/shop\"",       "pull request #418 comes from a fork", "the id decides, not the name"),
    ("pull_request-fork.json",      "/pull_request/head/repo/fork",     "false",                "pull request #418 comes from a fork", "nor what it says of itself"),
    ("pull_request-fork.json",      "/pull_request/base/repo/id",       "733019264",            "pull request #418 comes from a fork", "nor the base: the hook's repository decides"),
    ("workflow_run-completed.json", "/action",                          "\"requested\"",        "the workflow run is \"requested\"", "not over"),
    ("workflow_run-completed.json", "/workflow_run/conclusion",         "\"failure\"",          "the workflow run ended as",       "failed"),
    ("workflow_run-completed.json", "/workflow_run/conclusion",         "\"Success\"",          "the workflow run ended as",       "conclusions compare with case"),
    ("workflow_run-completed.json", "/workflow_run/conclusion",         "null",                 "the workflow run has no conclusion", "none"),
    ("workflow_run-completed.json", "/workflow_run/event",              "\"pull_request\"",     "the workflow run was started by", "anybody's commit"),
    ("workflow_run-completed.json", "/workflow_run/event",              "\"pull_request_target\"", "the workflow run was started by", "anybody's commit"),
    ("workflow_run-completed.json", "/workflow_run/head_repository",    "null",                 "the workflow run is of a fork",   "the fork is gone"),
    ("workflow_run-completed.json", "/workflow_run/head_repository/id", "1",                    "the workflow run is of a fork",   "another repository"),
    ("workflow_run-completed.json", "/workflow_run/head_branch",        "null",                 "",                                "no branch: the routes decide"),
    ("workflow_run-fork.json",      "/workflow_run/head_repository/full_name", "\"acme/shop\"", "the workflow run is of a fork",   "the id decides, not the name"),
    ("workflow_run-fork.json",      "/workflow_run/event",              "\"push\"",             "the workflow run is of a fork",   "a push to a fork's main"),
    ("release-published.json",      "/action",                          "\"edited\"",           "a release that is",               "not published just now"),
    ("release-published.json",      "/release/published_at",            "null",                 "",                                "the action decides, not the time"),
    ("release-published.json",      "/release/target_commitish",        "\"$(id)\"",            "",                                "what it was made from is only shown"),
    ("create.json",                 "/ref_type",                        "\"branch\"",           "the creation of a ref",           "a branch"),
    ("create.json",                 "/ref_type",                        "\"repository\"",       "ref_type is neither branch nor tag", "neither"),
    ("delete.json",                 "/ref_type",                        "\"Branch\"",           "ref_type is neither branch nor tag", "kinds compare with case"),
    ("delete.json",                 "/ref",                             "\"\"",                 "\"refs/heads/\" was deleted",     "a branch without a name is none"),
    ("star.json",                   "/repository",                      "null",                 "the event belongs to no repository", "an organisation's event"),
    ("push.json",                   "/repository/full_name",            "\"ACME/Shop\"",        "",                                "the id is the identity"),
];

#[test]
fn forks_and_what_is_not_over_start_nothing() {
    for (file, field, value, expected, why) in FORKS {
        let mut document: Value = serde_json::from_str(samples::text(file)).unwrap();
        *document.pointer_mut(field).unwrap() = serde_json::from_str(value).unwrap();
        let read = read_json(samples::event(file), document.to_string());
        let told = match read {
            Ok(_) => never_starts(&change(read)).map(|never| never.to_string()).unwrap_or_default(),
            Err(_) => word(&read),
        };
        let is_told = told.starts_with(expected) && told.is_empty() == expected.is_empty();
        assert!(is_told, "{file}, {field} {value}: {told:?} and not {expected:?}: {why}");
    }
}
