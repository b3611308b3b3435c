//! Payloads as GitHub sends them, with what a test wants to say and nothing else.

use serde_json::{Value, json};

/// The repository that the tests push to.
pub const REPOSITORY: &str = "acme/shop";
/// Its id.
pub const REPOSITORY_ID: u64 = 496_201_733;

/// A commit id made of one number, readable in a failure. Its first seven digits differ from other numbers', as those of
/// real ones do.
pub fn sha(number: u64) -> String {
    format!("{:07x}{number:033x}", number & 0x0fff_ffff)
}

/// The number that a commit id was made of; `u64::MAX` for none of ours.
pub fn number_of(sha: &str) -> u64 {
    sha.get(7..).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(u64::MAX)
}

/// A push of a branch, from one commit to another.
pub fn push(branch: &str, before: u64, after: u64, pushed_at: i64) -> Value {
    json!({
        "ref": format!("refs/heads/{branch}"),
        "before": sha(before), "after": sha(after),
        "created": before == 0, "deleted": after == 0, "forced": false,
        "head_commit": if after == 0 { Value::Null } else { commit(after, &["README.md"]) },
        "commits": if after == 0 { json!([]) } else { json!([commit(after, &["README.md"])]) },
        "repository": { "id": REPOSITORY_ID, "full_name": REPOSITORY, "pushed_at": pushed_at },
        "pusher": { "name": "ada", "email": "ada@example.com" },
        "sender": { "login": "ada", "id": 1 },
    })
}

/// The same push, of these files.
pub fn with_paths(mut push: Value, paths: &[&str]) -> Value {
    push["commits"][0]["modified"] = json!(paths);
    push
}

/// The same push, of these commits, the newest last: each its number, its author and its committer. A person is a
/// login; the address follows from it.
pub fn with_commits(mut push: Value, commits: &[(u64, &str, &str)]) -> Value {
    let listed =
        commits.iter().map(|(number, author, committer)| commit_by(*number, author, committer, &["README.md"]));
    push["commits"] = listed.collect();
    push["head_commit"] = push["commits"].as_array().and_then(|listed| listed.last()).cloned().unwrap_or_default();
    push
}

/// The same push, by somebody else.
pub fn pushed_by(mut push: Value, login: &str) -> Value {
    push["pusher"] = json!({ "name": login, "email": format!("{login}@example.com") });
    push["sender"]["login"] = json!(login);
    push
}

fn commit(number: u64, modified: &[&str]) -> Value {
    commit_by(number, "ada", "ada", modified)
}

fn commit_by(number: u64, author: &str, committer: &str, modified: &[&str]) -> Value {
    json!({
        "id": sha(number), "message": format!("Change {number}\n\nLonger."), "timestamp": "2026-11-01T12:00:00Z",
        "author": person(author), "committer": person(committer),
        "added": [], "removed": [], "modified": modified,
    })
}

/// `web-flow` is GitHub itself, and has an address of its own.
fn person(login: &str) -> Value {
    let email = if login == "web-flow" { "noreply@github.com".to_owned() } else { format!("{login}@example.com") };
    let name: String =
        login.chars().enumerate().map(|(at, one)| if at == 0 { one.to_ascii_uppercase() } else { one }).collect();
    json!({ "name": name, "email": email, "username": login })
}

/// A push of a tag. For an annotated one the ref points at a tag object, not at the commit.
pub fn tag(name: &str, object: u64, head: u64, pushed_at: i64) -> Value {
    let mut payload = push("x", 0, object, pushed_at);
    payload["ref"] = json!(format!("refs/tags/{name}"));
    payload["head_commit"] = commit(head, &[]);
    payload["commits"] = json!([]);
    payload
}

/// A pull request event.
pub fn pull_request(action: &str, head: u64, base: &str, head_repository: Option<u64>) -> Value {
    json!({
        "action": action,
        "number": 7,
        "pull_request": {
            "number": 7, "updated_at": "2026-11-01T12:00:00Z",
            "head": { "ref": "feature", "sha": sha(head), "repo": head_repository.map(|id| json!({ "id": id })) },
            "base": { "ref": base, "sha": sha(1), "repo": { "id": REPOSITORY_ID } },
        },
        "repository": { "id": REPOSITORY_ID, "full_name": REPOSITORY, "pushed_at": "2026-11-01T12:00:00Z" },
        "sender": { "login": "ada" },
    })
}

/// A finished workflow run.
pub fn workflow_run(branch: &str, head: u64, head_repository: Option<u64>) -> Value {
    json!({
        "action": "completed",
        "workflow_run": {
            "id": 9_001, "run_attempt": 1, "conclusion": "success", "event": "push", "name": "CI",
            "head_branch": branch, "head_sha": sha(head), "created_at": "2026-11-01T12:00:00Z",
            "head_repository": head_repository.map(|id| json!({ "id": id })),
        },
        "repository": { "id": REPOSITORY_ID, "full_name": REPOSITORY },
        "sender": { "login": "ada" },
    })
}

/// One of the three events of a release.
pub fn release(action: &str, tag: &str, target: &str) -> Value {
    json!({
        "action": action,
        "release": { "id": 77, "tag_name": tag, "target_commitish": target, "published_at": "2026-11-01T12:00:00Z" },
        "repository": { "id": REPOSITORY_ID, "full_name": REPOSITORY },
        "sender": { "login": "ada" },
    })
}
