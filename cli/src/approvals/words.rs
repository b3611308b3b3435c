//! An approval in words: how it stands, who was told, and what the audit log says of it.

use pointsman::domain::approval::{Decision, End, Override, Policy, State, Told, Via};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// What was decided, and by whom.
pub(super) fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Approved { by } => format!("approved by {}", by.join(", ")),
        Decision::Rejected { by, .. } => format!("rejected by {by}"),
        Decision::Expired => "expired: nobody decided in time".to_owned(),
        Decision::Passed { incident, approved_at, by } => {
            format!("passed as the rollback of {incident}, approved at {approved_at:.0} by {}", by.join(", "))
        }
        Decision::TurnedBack { incident } => format!("rejected: its version was turned back in {incident}"),
        Decision::Withdrawn => "withdrawn: the execution is being stopped".to_owned(),
    }
}

/// Whether CodePipeline knows.
pub(super) fn told(told: &Told) -> String {
    match told {
        Told::Pending { trouble: None } => "CodePipeline is being told".to_owned(),
        Told::Pending { trouble: Some(why) } => format!("CodePipeline is not told yet ({why}), and is told again"),
        Told::Done { .. } => "CodePipeline was told".to_owned(),
        Told::Overruled { by, approved } => {
            format!("but CodePipeline was answered before: {}", answered(by.as_deref(), *approved))
        }
        Told::Gone { why } => format!("but there is nobody to tell: {why}"),
    }
}

/// How it ended without a decision of ours.
pub(super) fn end(end: &End) -> String {
    match end {
        End::AnsweredElsewhere { by, approved } => format!("{}, not here", answered(by.as_deref(), *approved)),
        End::TimedOut => "CodePipeline's own time for it ran out".to_owned(),
        End::Over { why } => why.to_string(),
    }
}

fn answered(by: Option<&str>, approved: bool) -> String {
    format!("{} by {}", if approved { "approved" } else { "rejected" }, by.unwrap_or("somebody"))
}

/// What became of it, as one sentence without a full stop; `None` while it is open.
pub(super) fn outcome(state: &State) -> Option<String> {
    match state {
        State::Open => None,
        State::Decided { decision: what, told: how, .. } => Some(format!("{}; {}", decision(what), told(how))),
        State::Ended { end: how, .. } => Some(end(how)),
        State::LeftToConsole { why } => Some(format!("left to the console: {why}")),
    }
}

/// People by group: `1 of devops, 2 of product`.
pub(super) fn people(wanted: &BTreeMap<String, u32>) -> String {
    let wanted = wanted.iter().filter(|(_, count)| **count > 0).map(|(group, count)| format!("{count} of {group}"));
    wanted.collect::<Vec<_>>().join(", ")
}

/// How a vote came.
pub(super) fn via(via: &Via) -> String {
    match via {
        Via::Link => "by link".to_owned(),
        Via::Terminal { arn } => format!("from a terminal as {arn}"),
    }
}

/// A freeze that was put aside.
pub(super) fn overridden(done: &Override) -> String {
    format!("freeze put aside by {} ({})", done.by, done.reason)
}

/// A particular of an approval's entry in the audit log, empty where it says nothing to people. `None`: it is not of
/// those that an approval has, or not in their form.
pub(crate) fn particular(name: &str, value: &Value) -> Option<String> {
    match name {
        "approval" => Some(value.as_str()?.to_owned()),
        "policy" => read(value).map(|policy: Policy| format!("wants {}", people(&policy.require))),
        "state" => read(value).map(|state: State| match state {
            State::Decided { decision: what, .. } => decision(&what),
            State::Open | State::Ended { .. } | State::LeftToConsole { .. } => outcome(&state).unwrap_or_default(),
        }),
        "decision" => read(value).map(|what| decision(&what)),
        "told" => read(value).map(|how| told(&how)),
        "end" => read(value).map(|how| end(&how)),
        "via" => read(value).map(|how| via(&how)),
        "override" => read(value).map(|done| overridden(&done)),
        "not_sent" => {
            let pairs: Vec<(String, String)> = read(value)?;
            Some(pairs.iter().map(|(who, why)| format!("not sent to {who} ({why})")).collect::<Vec<_>>().join(", "))
        }
        // What a decision was judged by is for who looks closer: `audit show --json`.
        "judged_by" => Some(String::new()),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_of_the_audit_log_reads_like_a_sentence() {
        let decided = json!({ "is": "decided", "decision": { "decision": "approved", "by": ["ada@x.org", "eve@x.org"] },
            "at": "2027-01-15T08:00:00Z", "told": { "told": "pending", "trouble": null } });
        #[rustfmt::skip]
        let cases = [
            ("approval",  json!("ap-1"),                                                     Some("ap-1"),                                  "its id alone"),
            ("policy",    json!({ "name": null, "require": { "devops": 1, "product": 2 }, "self_approval": false }), Some("wants 1 of devops, 2 of product"), "who is wanted"),
            ("state",     json!({ "is": "open" }),                                           Some(""),                                      "as is to be expected"),
            ("state",     decided,                                                           Some("approved by ada@x.org, eve@x.org"),      "the telling has an entry of its own"),
            ("state",     json!("on"),                                                       None,                                          "another entry's"),
            ("decision",  json!({ "decision": "withdrawn" }),                                Some("withdrawn: the execution is being stopped"), "found by a comparison"),
            ("told",      json!({ "told": "overruled", "by": null, "approved": false }),     Some("but CodePipeline was answered before: rejected by somebody"), "the console was first"),
            ("told",      json!({ "told": "pending", "trouble": "AccessDenied" }),           Some("CodePipeline is not told yet (AccessDenied), and is told again"), "it failed"),
            ("end",       json!({ "end": "answered_elsewhere", "by": "arn:a", "approved": true }), Some("approved by arn:a, not here"),    "in the console"),
            ("via",       json!({ "via": "terminal", "arn": "arn:a" }),                      Some("from a terminal as arn:a"),              "this tool"),
            ("override",  json!({ "by": "ada@x.org", "reason": "hotfix", "at": "2027-01-15T08:00:00Z", "until": "2027-01-16T08:00:00Z" }), Some("freeze put aside by ada@x.org (hotfix)"), "with its reason"),
            ("not_sent",  json!([["ada@x.org", "no topic"]]),                                Some("not sent to ada@x.org (no topic)"),      "each with why"),
            ("judged_by", json!({ "configuration": 1 }),                                     Some(""),                                      "long"),
            ("sha",       json!("1a2b3c4"),                                                  None,                                          "of any entry"),
        ];
        for (name, value, expected, why) in cases {
            assert_eq!(particular(name, &value).as_deref(), expected, "{name}: {why}");
        }
    }
}
