//! A recorded payload, made into a change that happens now, to another commit or ref.
//!
//! GitHub tells the same commit in several places of a payload; all of them are set, or the payload would contradict
//! itself. What happens now gets the time of now, since that is what tells two pushes apart.

use jiff::Timestamp;
use pointsman::domain::change::Sha;
use serde_json::{Map, Value, json};

const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";

/// The events that tell of a commit or of a ref.
const WITH_ONE: &str = "push, pull_request, workflow_run, release, create and delete";

/// What to send a payload for.
#[derive(Debug, Clone, Default)]
pub(super) struct Overrides {
    pub(super) sha: Option<Sha>,
    /// A full ref, or a short name.
    pub(super) git_ref: Option<String>,
}

impl Overrides {
    /// The body to send. Without overrides it is `body` itself, whatever that is.
    ///
    /// # Errors
    /// A sentence, when `body` is no such payload, or the event has no commit or ref.
    pub(super) fn apply(&self, body: Vec<u8>, event: &str, now: Timestamp) -> Result<Vec<u8>, String> {
        if self.sha.is_none() && self.git_ref.is_none() {
            return Ok(body);
        }
        let mut payload: Value =
            serde_json::from_slice(&body).map_err(|error| format!("the payload is not JSON: {error}"))?;
        let root = payload.as_object_mut().ok_or("the payload is not a JSON object")?;
        match event {
            "push" => self.push(root, now),
            "pull_request" => self.pull_request(inner(root, event)?, now),
            "workflow_run" => self.workflow_run(inner(root, event)?, now),
            "release" => self.release(inner(root, event)?, now),
            "create" | "delete" => self.git_ref_event(root)?,
            _ => return Err(format!("the event {event} has neither a commit nor a ref; {WITH_ONE} have")),
        }
        serde_json::to_vec(&payload).map_err(|error| format!("the payload cannot be written: {error}"))
    }

    fn push(&self, root: &mut Map<String, Value>, now: Timestamp) {
        if let Some(git_ref) = &self.git_ref {
            set(root, "ref", full(git_ref, BRANCHES));
        }
        if let Some(sha) = &self.sha {
            let before = root.get("head_commit").and_then(|head| head.get("id")).cloned();
            set(root, "after", sha.as_str());
            let listed = root.get_mut("commits").and_then(Value::as_array_mut).into_iter().flatten();
            let heads = listed.filter(|commit| before.is_some() && commit.get("id") == before.as_ref());
            for commit in heads.filter_map(Value::as_object_mut) {
                set(commit, "id", sha.as_str());
            }
            if let Some(head) = object(root, "head_commit") {
                set(head, "id", sha.as_str());
            }
        }
        if let Some(repository) = object(root, "repository") {
            repository.insert("pushed_at".to_owned(), json!(now.as_second()));
        }
    }

    fn pull_request(&self, request: &mut Map<String, Value>, now: Timestamp) {
        set(request, "updated_at", second(now));
        let Some(head) = object(request, "head") else { return };
        if let Some(sha) = &self.sha {
            set(head, "sha", sha.as_str());
        }
        if let Some(git_ref) = &self.git_ref {
            set(head, "ref", short(git_ref));
        }
    }

    /// A run of another commit is another run.
    fn workflow_run(&self, run: &mut Map<String, Value>, now: Timestamp) {
        run.insert("id".to_owned(), json!(now.as_millisecond()));
        set(run, "created_at", second(now));
        if let Some(sha) = &self.sha {
            set(run, "head_sha", sha.as_str());
            if let Some(head) = object(run, "head_commit") {
                set(head, "id", sha.as_str());
            }
        }
        if let Some(git_ref) = &self.git_ref {
            set(run, "head_branch", short(git_ref));
        }
    }

    fn release(&self, release: &mut Map<String, Value>, now: Timestamp) {
        set(release, "published_at", second(now));
        if let Some(sha) = &self.sha {
            set(release, "target_commitish", sha.as_str());
        }
        if let Some(git_ref) = &self.git_ref {
            set(release, "tag_name", short(git_ref));
        }
    }

    fn git_ref_event(&self, root: &mut Map<String, Value>) -> Result<(), String> {
        let Some(git_ref) = &self.git_ref else {
            return Err("the creation or deletion of a ref names no commit: give --ref".to_owned());
        };
        set(root, "ref", short(git_ref));
        if let Some(kind) = kind(git_ref) {
            set(root, "ref_type", kind);
        }
        Ok(())
    }
}

fn inner<'a>(root: &'a mut Map<String, Value>, name: &str) -> Result<&'a mut Map<String, Value>, String> {
    object(root, name).ok_or_else(|| format!("the payload has no {name}: is it of this event?"))
}

fn object<'a>(parent: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    parent.get_mut(name)?.as_object_mut()
}

fn set(object: &mut Map<String, Value>, name: &str, value: impl Into<String>) {
    object.insert(name.to_owned(), Value::String(value.into()));
}

fn full(git_ref: &str, prefix: &str) -> String {
    if git_ref.starts_with("refs/") { git_ref.to_owned() } else { format!("{prefix}{git_ref}") }
}

fn short(git_ref: &str) -> &str {
    git_ref.strip_prefix(BRANCHES).or_else(|| git_ref.strip_prefix(TAGS)).unwrap_or(git_ref)
}

fn kind(git_ref: &str) -> Option<&'static str> {
    match git_ref {
        _ if git_ref.starts_with(BRANCHES) => Some("branch"),
        _ if git_ref.starts_with(TAGS) => Some("tag"),
        _ => None,
    }
}

/// As GitHub writes times: whole seconds, UTC.
fn second(now: Timestamp) -> String {
    format!("{now:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "cccccccccccccccccccccccccccccccccccccccc";

    fn applied(event: &str, payload: &Value, sha: bool, git_ref: Option<&str>) -> Result<Value, String> {
        let overrides = Overrides { sha: sha.then(|| SHA.parse().unwrap()), git_ref: git_ref.map(str::to_owned) };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let body = overrides.apply(serde_json::to_vec(payload).unwrap(), event, now)?;
        Ok(serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn a_payload_is_changed_wherever_it_tells_the_commit_or_the_ref() {
        let push = json!({
            "ref": "refs/heads/main", "after": "b", "head_commit": { "id": "b" },
            "commits": [{ "id": "a" }, { "id": "b" }], "repository": { "id": 1, "pushed_at": 1 },
        });
        let tag_of_a_blob = json!({ "ref": "refs/tags/v1", "after": "b", "head_commit": null, "repository": {} });
        let pull = json!({ "pull_request": { "head": { "sha": "a", "ref": "x" }, "base": { "sha": "b" } } });
        let run =
            json!({ "workflow_run": { "id": 1, "head_sha": "a", "head_branch": "x", "head_commit": { "id": "a" } } });
        let release = json!({ "release": { "id": 1, "tag_name": "v1", "target_commitish": "main" } });
        let create = json!({ "ref": "x", "ref_type": "branch" });
        let now = "2027-01-15T08:00:00Z";
        #[rustfmt::skip]
        let cases = [
            ("push", &push, true, None, json!({
                "ref": "refs/heads/main", "after": SHA, "head_commit": { "id": SHA },
                "commits": [{ "id": "a" }, { "id": SHA }], "repository": { "id": 1, "pushed_at": 1_800_000_000 },
            }), "the commit alone"),
            ("push", &push, false, Some("dev"), json!({
                "ref": "refs/heads/dev", "after": "b", "head_commit": { "id": "b" },
                "commits": [{ "id": "a" }, { "id": "b" }], "repository": { "id": 1, "pushed_at": 1_800_000_000 },
            }), "a short name is a branch"),
            ("push", &tag_of_a_blob, true, Some("refs/tags/v2"), json!({
                "ref": "refs/tags/v2", "after": SHA, "head_commit": null, "repository": { "pushed_at": 1_800_000_000 },
            }), "no head is invented"),
            ("pull_request", &pull, true, Some("refs/heads/y"), json!({
                "pull_request": { "head": { "sha": SHA, "ref": "y" }, "base": { "sha": "b" }, "updated_at": now },
            }), "the head, never the base"),
            ("workflow_run", &run, true, Some("y"), json!({
                "workflow_run": {
                    "id": 1_800_000_000_000_u64, "head_sha": SHA, "head_branch": "y", "head_commit": { "id": SHA },
                    "created_at": now,
                },
            }), "another run"),
            ("release", &release, true, Some("refs/tags/v2"), json!({
                "release": { "id": 1, "tag_name": "v2", "target_commitish": SHA, "published_at": now },
            }), "published now"),
            ("create", &create, false, Some("refs/tags/v2"), json!({ "ref": "v2", "ref_type": "tag" }), "both"),
        ];
        for (event, payload, sha, git_ref, expected, why) in cases {
            assert_eq!(applied(event, payload, sha, git_ref).unwrap(), expected, "{event}: {why}");
        }
    }

    #[test]
    fn what_cannot_be_overridden_is_refused() {
        #[rustfmt::skip]
        let cases = [
            ("star",         json!({}),             "the event star has neither a commit nor a ref; push, pull_request, workflow_run, release, create and delete have"),
            ("push",         json!([]),             "the payload is not a JSON object"),
            ("pull_request", json!({ "ref": "x" }), "the payload has no pull_request: is it of this event?"),
            ("delete",       json!({ "ref": "x" }), "the creation or deletion of a ref names no commit: give --ref"),
        ];
        for (event, payload, expected) in cases {
            assert_eq!(applied(event, &payload, true, None).unwrap_err(), expected);
        }
    }

    #[test]
    fn without_overrides_the_bytes_are_sent_as_they_are() {
        let odd = b"{ \"a\":1,\"a\":2 } \xff".to_vec();
        assert_eq!(Overrides::default().apply(odd.clone(), "push", Timestamp::UNIX_EPOCH).unwrap(), odd);
    }
}
