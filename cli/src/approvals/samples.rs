//! Approvals as they may be, for the tests of this folder.

use jiff::Timestamp;
use pointsman::approving::{LivePlace, Situation};
use pointsman::domain::approval::{Approval, Standing};
use pointsman::domain::authors::Authors;
use pointsman::domain::observed::Observed;
use pointsman::domain::shown::Newer;
use serde_json::json;

/// What an approval's links are known by, which nobody is shown.
pub(super) const HASH: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// One that asks one of devops and one of product. Ada of both has approved, Bob wrote a part, Eve gets no mail.
pub(super) fn open() -> Approval {
    let invited = |name: &str, mail: serde_json::Value| json!({ "email": format!("{name}@x.org"), "github": name.to_lowercase(), "links": [HASH], "mail": mail });
    let sent = json!({ "mail": "sent", "at": at(-600) });
    let stuck = json!({ "mail": "wanted", "at": at(60), "tries": 1, "trouble": "there is no topic" });
    serde_json::from_value(json!({
        "id": "ap-1", "execution": "ex-1", "environment": "web-production", "base_url": "https://x",
        "place": { "target": { "kind": "pipeline", "name": "shop", "region": "us-east-1" }, "aws_id": "aws-1",
            "stage": "Approve", "action": "Ask", "action_execution": "action-1" },
        "subject": { "repository": { "id": 1, "full_name": "acme/shop" }, "git_ref": "refs/heads/production",
            "sha": "1a2b3c4d5e".repeat(4), "title": "fix\u{1b}[2J it", "actor": "bob", "images": ["web@sha256:12"] },
        "policy": { "name": null, "require": { "devops": 1, "product": 1 }, "self_approval": false },
        "people": { "ada@x.org": invited("Ada", sent.clone()), "bob@x.org": invited("bob", sent), "eve@x.org": invited("eve", stuck) },
        "votes": [{ "by": "ada@x.org", "choice": "approve", "comment": "looks\u{202e} good", "via": { "via": "link" }, "at": at(-60) }],
        "overridden": null, "state": { "is": "open" }, "reminders": 0, "remind_at": null, "scan_due_at": null,
        "scan_missing_since": null, "opened_at": at(-660), "expires_at": at(86_400), "updated_at": at(-60), "due_at": at(60),
    }))
    .unwrap()
}

/// How things stand for it.
pub(super) fn situation() -> Situation {
    let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let standing = Standing {
        members: [("ada", groups(&["devops", "product"])), ("bob", groups(&["devops"])), ("eve", groups(&["product"]))]
            .map(|(name, groups)| (format!("{name}@x.org"), groups))
            .into(),
        authors: [("bob@x.org".to_owned(), "wrote, committed or pushed a part of it".to_owned())].into(),
        ..Standing::default()
    };
    Situation {
        standing,
        config: None,
        configuration: 3,
        images: ["web@sha256:12".to_owned()].into(),
        check: None,
        quarantine: None,
        authors: Authors::default(),
        live: vec![LivePlace { region: "us-east-1".to_owned(), version: None }],
        newer: Some(Newer { commit: None }),
        observed: Observed::default(),
        is_push: true,
    }
}

/// It, decided as `state` says.
pub(super) fn decided(state: serde_json::Value) -> Approval {
    Approval { state: serde_json::from_value(state).unwrap(), ..open() }
}
