//! What the benchmarks measure on: payloads, configurations and reports, all made here and the same every time.
//!
//! `docs/performance.md` has the commands and what they showed.

use jiff::{SignedDuration, Timestamp};
use pointsman::domain::change::{Change, ChangeKind, GitRef, Paths, Push, Repository, Sha};
use pointsman::domain::observed::{Link, Mark, Report, State};
use pointsman::domain::pattern::Patterns;
use pointsman::domain::route::{RepositoryConfig, Route, Target, Trigger};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;

/// How many files the push of [`push`] changes.
pub const FILES_CHANGED: usize = 30;

/// A moment, for whatever needs one.
pub const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// The body of a push of about `bytes` bytes, and never fewer: as many commits as that takes, of three files each. Up to
/// 1 MB these are fewer than GitHub lists at most, so every path is read.
pub fn push_payload(bytes: usize) -> Vec<u8> {
    let mut commits = vec![commit(0)];
    let mut size = payload(&commits).len();
    while size < bytes {
        let next = commit(commits.len());
        // The comma between two commits is one more byte.
        size += next.to_string().len() + 1;
        commits.push(next);
    }
    payload(&commits)
}

fn payload(commits: &[Value]) -> Vec<u8> {
    let push = json!({
        "ref": "refs/heads/main", "before": sha(1), "after": sha(2),
        "created": false, "deleted": false, "forced": false,
        "repository": {
            "id": 496_201_733, "full_name": "acme/shop", "private": true, "default_branch": "main",
            "html_url": "https://github.com/acme/shop", "pushed_at": 1_800_000_000,
        },
        "pusher": { "name": "ada", "email": "ada@example.com" },
        "sender": { "login": "ada", "id": 7 },
        "commits": commits, "head_commit": commits.last(),
    });
    push.to_string().into_bytes()
}

fn commit(number: usize) -> Value {
    let person = json!({ "name": "Ada", "email": "ada@example.com", "username": "ada" });
    json!({
        "id": sha(number + 2), "tree_id": sha(number + 3), "distinct": true,
        "message": format!("Change number {number}\n\nWhy it was made, in a sentence or two, as people write it."),
        "timestamp": "2027-01-15T08:00:00Z",
        "url": format!("https://github.com/acme/shop/commit/{}", sha(number + 2)),
        "author": person, "committer": person,
        "added": [format!("services/web/new-{number}.ts")],
        "removed": [],
        "modified": [format!("services/web/page-{number}.ts"), format!("docs/page-{number}.md")],
    })
}

fn sha(number: usize) -> String {
    format!("{number:040x}")
}

/// A repository with `routes` routes. The first is for every push of `main`, each other one for a folder that
/// [`push`] did not touch.
pub fn repository(full_name: &str, routes: usize) -> RepositoryConfig {
    repository_with(full_name, routes, |index| format!("services/untouched-{index}/**"))
}

/// The same, with a path filter of this form for each route but the first.
pub fn repository_with(full_name: &str, routes: usize, filter: impl Fn(usize) -> String) -> RepositoryConfig {
    let paths = |index| if index == 0 { Vec::new() } else { vec![filter(index)] };
    let routes = (0..routes).map(|index| route(full_name, index, paths(index))).collect();
    RepositoryConfig { full_name: full_name.to_owned(), routes }
}

fn route(full_name: &str, index: usize, paths: Vec<String>) -> Route {
    let branch = Patterns::new(vec!["main".to_owned(), "release/*".to_owned()]);
    Route {
        name: format!("route-{index}"),
        repository: full_name.to_owned(),
        trigger: Trigger::Push { branch, paths: Patterns::new(paths) },
        target: Target::Pipeline {
            name: format!("pipeline-{index}"),
            region: "us-east-1".to_owned(),
            source_action: None,
        },
        environment: None,
        environment_has_approval: false,
        approval: None,
        variables: BTreeMap::new(),
    }
}

/// A push of `main` of `full_name` that changed [`FILES_CHANGED`] files.
///
/// # Errors
/// Never, as long as what stands here is well formed.
pub fn push(full_name: &str) -> Result<Change, Box<dyn Error>> {
    let files = (0..FILES_CHANGED).map(|index| format!("services/web/page-{index}.ts")).collect();
    let push = Push {
        git_ref: GitRef::Branch("main".to_owned()),
        before: Sha::try_from(sha(1))?,
        after: Sha::try_from(sha(2))?,
        head: None,
        pushed_at: Some(1_800_000_000),
        created: false,
        deleted: false,
        forced: false,
        pusher: Some("ada".to_owned()),
        pusher_email: None,
        paths: Paths::Known(files),
        listed: None,
    };
    Ok(Change {
        delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958".parse()?,
        received_at: NOW,
        repository: Some(Repository { id: 7, full_name: full_name.to_owned() }),
        sender: Some("ada".to_owned()),
        kind: ChangeKind::Push(push),
    })
}

/// The 80 events of one execution: a beginning and an end of the whole, of 6 stages and of 33 actions.
pub fn reports() -> Vec<Report> {
    const STAGES: usize = 6;
    const ACTIONS: usize = 33;
    let began = |_| mark(0, State::Started);
    let ended = |index| mark(1 + index, State::Succeeded);
    let mut reports = Vec::new();
    for (index, of) in [began as fn(usize) -> Mark, ended].into_iter().enumerate() {
        reports.push(Report::Whole { mark: of(ACTIONS), trigger: None });
        reports.extend((0..STAGES).map(|stage| Report::Stage { stage: format!("Stage{stage}"), mark: of(stage) }));
        reports.extend((0..ACTIONS).map(|action| Report::Action {
            stage: format!("Stage{}", action % STAGES),
            action: format!("Action{action}"),
            category: "Build".to_owned(),
            mark: of(action),
            link: (index == 1).then(|| Link { at: NOW, id: format!("build:{action}"), url: None, summary: None }),
        }));
    }
    reports
}

fn mark(seconds: usize, state: State) -> Mark {
    let after = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0));
    Mark { attempt: 1, at: NOW + after, state }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman::domain::execution::Status;
    use pointsman::domain::observed::Observed;
    use pointsman::domain::routing::{Outcome, route};
    use pointsman::github::{self, Headers, Payload, Secret, Secrets, sign};

    #[test]
    fn a_payload_has_its_size_and_is_read_whole() {
        let secrets = Secrets { current: Secret::new("local-webhook-secret").unwrap(), previous: None };
        for bytes in [1_000, 25_000, 1_000_000] {
            let body = push_payload(bytes);
            assert!((bytes..bytes + 1_000).contains(&body.len()), "{} for {bytes}", body.len());
            let signature = sign(&secrets.current, &body);
            let headers = Headers::new([
                ("content-type", b"application/json".as_slice()),
                ("x-github-event", b"push"),
                ("x-github-delivery", b"d1"),
                ("x-hub-signature-256", signature.as_bytes()),
            ]);
            let delivery = github::verify(&secrets, &headers, &body).unwrap();
            let Payload::Change(change) = github::read(&delivery, NOW).unwrap() else { panic!("a change") };
            let ChangeKind::Push(push) = change.kind else { panic!("a push") };
            assert!(matches!(push.paths, Paths::Known(_)), "the slowest way: every path is read");
        }
    }

    #[test]
    fn one_route_matches_and_is_found_after_all_others_were_asked() {
        let (change, config) = (push("acme/shop").unwrap(), repository("acme/shop", 8));
        let verdicts = route(&change, &config);
        let matched = verdicts.iter().filter(|verdict| matches!(verdict.outcome, Outcome::Matched(_)));
        assert_eq!((verdicts.len(), matched.count()), (8, 1));
    }

    #[test]
    fn eighty_events_end_well() {
        let mut observed = Observed::default();
        assert_eq!(reports().len(), 80);
        reports().iter().for_each(|report| observed.fold(report));
        assert_eq!((observed.status(), observed.actions.len()), (Some(Status::Succeeded), 33));
    }
}
