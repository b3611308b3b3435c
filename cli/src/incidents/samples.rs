//! Incidents as they may be, for tests.

use jiff::Timestamp;
use pointsman::domain::incident::Incident;
use pointsman::domain::rollback::Rollback;
use serde_json::json;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// An alarm and a finding on one version, which was turned back.
pub(crate) fn incident() -> Incident {
    serde_json::from_value(json!({
        "id": "in-1", "environment": "web-production", "region": "us-east-1",
        "cause": { "cause": "alarm", "name": "shop-errors" },
        "blamed": { "execution": "ex-bad", "sha": "bad".repeat(13) + "b" },
        "status": "rolled_back",
        "decision": { "decision": "roll_back", "regions": ["us-east-1"], "to": null, "by": "guard" },
        "reason": "badbadb is blamed: it landed 5 min before",
        "signals": [
            { "cause": "alarm", "name": "shop-errors", "region": "us-east-1", "at": at(-125), "says": "shop\u{1b}[2J-errors went red" },
            { "cause": "finding", "vulnerability": "CVE-2026-0001", "region": "us-east-1", "at": at(-90), "says": "CRITICAL CVE-2026-0001 in openssl" },
        ],
        "has_more_signals": true, "rollbacks": ["rb-1"],
        "opened_at": at(-121), "updated_at": at(-60), "due_at": null,
    }))
    .unwrap()
}

/// Its rollback: RollbackStage could not, the pipeline's run did.
pub(crate) fn rollback() -> Rollback {
    let version = |name: &str, sha: String| json!({ "execution": format!("ex-{name}"), "aws_id": format!("aws-{name}"), "sha": sha, "images": [] });
    serde_json::from_value(json!({
        "id": "rb-1", "incident": "in-1", "environment": "web-production", "region": "us-east-1",
        "deploy": { "region": "us-east-1", "pipeline": "shop", "stage": "Deploy" },
        "from": version("bad", "bad".repeat(13) + "b"), "to": version("good", "900d".repeat(10)), "by": "guard",
        "phase": { "at": "done", "when": at(-60), "step": "start", "proof": { "proof": "images", "digests": ["sha256:900d"] } },
        "tried": [{ "step": "rollback_stage", "at": at(-119), "why": "UnableToRollbackStage: edited" }],
        "accepted_at": at(-118), "claimed_at": at(-120), "updated_at": at(-60), "due_at": null,
    }))
    .unwrap()
}
