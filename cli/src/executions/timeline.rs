//! What happened to an execution, in order: what Pointsman wrote into the audit log, and what AWS reported.
//!
//! AWS reports whole seconds, and the audit log has more. Within one second the order is that of cause and effect,
//! and what AWS reported is placed no earlier than what came before it: times never run backwards.

use crate::approvals::words;
use crate::incidents::RollbackView;
use jiff::Timestamp;
use pointsman::domain::audit::Entry;
use pointsman::domain::execution::ExecutionId;
use pointsman::domain::observed::{Mark, Observed, Progress, State};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Moment {
    /// When.
    pub(crate) at: Timestamp,
    /// What, as one sentence without a full stop.
    pub(crate) what: String,
}

impl Moment {
    /// What an entry of the audit log tells.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { at: entry.at, what: sentence(entry) }
    }
}

/// Where a moment stands among those of its second: stages in their order, then within a stage.
type Rank = (usize, u8);

/// Before whatever AWS reports of this second.
const FIRST: Rank = (0, 0);
/// After whatever AWS reports of this second.
const LAST: Rank = (usize::MAX, 0);

/// How far an action's category stands from the source, for stages that began in the same second.
const CATEGORIES: [&str; 6] = ["Source", "Build", "Test", "Approval", "Invoke", "Deploy"];

/// Everything that happened to the execution called `id`, oldest first.
pub(super) fn timeline(
    id: &ExecutionId,
    chain: &[Entry],
    observed: Option<&Observed>,
    rollbacks: &[RollbackView],
) -> Vec<Moment> {
    let mut moments: Vec<(i64, Rank, Moment)> = Vec::new();
    let mut add = |at: Timestamp, rank: Rank, what: String| moments.push((at.as_second(), rank, Moment { at, what }));
    let order = observed.map(stages_in_order).unwrap_or_default();
    for entry in chain {
        add(entry.at, rank(entry, chain, &order), sentence(entry));
    }
    if let Some(observed) = observed {
        for (at, rank, what) in reported(observed, chain) {
            add(at, rank, what);
        }
    }
    for rollback in rollbacks {
        for (at, rank, what) in turned(id, rollback) {
            add(at, rank, what);
        }
    }
    // Stable: what shares its rank keeps the order of the audit log.
    moments.sort_by_key(|(second, rank, moment)| (*second, *rank, moment.at));
    let mut latest = Timestamp::MIN;
    let placed = moments.into_iter().map(|(_, _, moment)| {
        latest = latest.max(moment.at);
        Moment { at: latest, ..moment }
    });
    placed.collect()
}

/// The beginning and the end of a rollback, as they look from an execution: that of which it is the rollback, or one that
/// it turns back.
fn turned(id: &ExecutionId, rollback: &RollbackView) -> Vec<(Timestamp, Rank, String)> {
    let RollbackView { id: name, region, environment, incident, .. } = rollback;
    let is_its = rollback.from_execution != *id;
    let began = if is_its {
        format!("{name} turns {environment} back in {region} with it: {incident}")
    } else {
        format!("{name} began to turn it back in {region}: {incident}")
    };
    let ended = rollback
        .ended_at
        .map(|at| (at, LAST, format!("{name} {}: {}", rollback.status.replace('_', " "), rollback.reason)));
    std::iter::once((rollback.claimed_at, FIRST, began)).chain(ended).collect()
}

/// Where an entry of ours stands in its second: what follows from reports behind them, an approval's within the action
/// that asks, everything else before.
fn rank(entry: &Entry, chain: &[Entry], order: &[String]) -> Rank {
    if entry.what.starts_with("reported ") || entry.what.starts_with("found ") {
        return LAST;
    }
    // Only the first entry of an approval names its stage.
    let approval = entry.detail.get("approval");
    let opened = approval.and_then(|id| chain.iter().find(|other| other.detail.get("approval") == Some(id)));
    let stage = opened.and_then(|opened| opened.detail.get("stage")).and_then(Value::as_str);
    let place = stage.and_then(|stage| order.iter().position(|known| known == stage));
    place.map_or(FIRST, |place| (place + 1, 1))
}

/// What AWS reported of the whole, its stages and its actions.
fn reported(observed: &Observed, chain: &[Entry]) -> Vec<(Timestamp, Rank, String)> {
    let mut moments = Vec::new();
    if let Some(whole) = &observed.whole {
        // The audit log tells it where `record` saw the status change.
        let is_told = |state: State| {
            let status = Observed { whole: Some(of(whole.mark, state)), ..Observed::default() }.status();
            let words = status.map(|status| status.as_str()).unwrap_or_default();
            chain.iter().any(|entry| {
                entry
                    .what
                    .rsplit_once(' ')
                    .is_some_and(|(how, what)| matches!(how, "reported" | "found") && what == words)
            })
        };
        if let Some((_, at)) = whole.began.filter(|_| !is_told(State::Started)) {
            moments.push((at, (0, 1), "AWS started it".to_owned()));
        }
        if let Some(at) = whole.ended_at().filter(|_| !is_told(whole.mark.state)) {
            moments.push((at, (usize::MAX, 1), format!("the execution {}", past(whole.mark.state))));
        }
    }
    let order = stages_in_order(observed);
    for (name, progress) in &observed.stages {
        let place = order.iter().position(|stage| stage == name).map_or(usize::MAX - 1, |index| index + 1);
        moments.extend(progress.began.map(|(_, at)| (at, (place, 0), format!("stage {name} started"))));
        moments.extend(ended(progress, (place, 3), format!("stage {name}"), None));
    }
    for (path, action) in &observed.actions {
        let stage = path.split_once('/').map_or(path.as_str(), |(stage, _)| stage);
        let place = order.iter().position(|known| known == stage).map_or(usize::MAX - 1, |index| index + 1);
        let summary = action.link.as_ref().and_then(|link| link.summary.as_deref()).filter(|text| !text.is_empty());
        moments.extend(action.progress.began.map(|(_, at)| (at, (place, 1), format!("action {path} started"))));
        moments.extend(ended(&action.progress, (place, 2), format!("action {path}"), summary));
    }
    moments
}

fn of(mark: Mark, state: State) -> Progress {
    Progress { mark: Mark { state, ..mark }, began: None }
}

fn ended(progress: &Progress, rank: Rank, what: String, why: Option<&str>) -> Option<(Timestamp, Rank, String)> {
    let at = progress.ended_at()?;
    let why = why.filter(|_| progress.mark.state == State::Failed).map(|why| format!(": {why}")).unwrap_or_default();
    Some((at, rank, format!("{what} {}{why}", past(progress.mark.state))))
}

/// The stages in the order in which they ran, as far as whole seconds tell; else in that of what they do.
pub(super) fn stages_in_order(observed: &Observed) -> Vec<String> {
    let mut categories: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, action) in &observed.actions {
        let stage = path.split_once('/').map_or(path.as_str(), |(stage, _)| stage);
        let known = CATEGORIES.iter().position(|category| *category == action.category).unwrap_or(CATEGORIES.len());
        categories.entry(stage).and_modify(|least| *least = known.min(*least)).or_insert(known);
    }
    let mut names: Vec<&String> = observed.stages.keys().collect();
    names.sort_by_key(|name| {
        let progress = observed.stages.get(*name);
        let began = progress.map(|progress| progress.began.map_or(progress.mark.at, |(_, at)| at));
        let ended = progress.and_then(Progress::ended_at).unwrap_or(Timestamp::MAX);
        (began, ended, categories.get(name.as_str()).copied().unwrap_or(CATEGORIES.len()), *name)
    });
    names.into_iter().cloned().collect()
}

/// The word for a state that was reached.
fn past(state: State) -> &'static str {
    match state {
        State::Started => "started",
        State::Resumed => "was resumed",
        State::Stopping => "is being stopped",
        State::Abandoned => "was abandoned",
        State::Superseded => "was superseded",
        State::Stopped => "was stopped",
        State::Canceled => "was cancelled",
        State::Failed => "failed",
        State::Succeeded => "succeeded",
    }
}

/// An entry of the audit log as a sentence: what, by whom where a person did it, and its particulars.
pub(crate) fn sentence(entry: &Entry) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Value::Object(detail) = &entry.detail {
        let told = detail.iter().filter(|(_, value)| !value.is_null());
        parts.extend(told.flat_map(|(name, value)| particulars(name, value)));
    }
    let by = entry.actor.strip_prefix("operator:").map(|who| format!(" by operator {who}")).unwrap_or_default();
    let particulars = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("{}{by}{particulars}", entry.what)
}

/// What a rollback's entries hold of their own stands one level below what they all hold.
fn particulars(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(detail) if name == "detail" => {
            let told = detail.iter().filter(|(_, value)| !value.is_null());
            told.filter_map(|(name, value)| particular(name, value)).collect()
        }
        Value::Object(_) | Value::Array(_) | Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {
            particular(name, value).into_iter().collect()
        }
    }
}

/// One particular of an entry: `route shop`; `None` where there is nothing to say.
fn particular(name: &str, value: &Value) -> Option<String> {
    if let Some(text) = words::particular(name, value) {
        return Some(text).filter(|text| !text.is_empty());
    }
    let text = match value {
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) if name == "sha" => text.chars().take(SHORT_SHA).collect(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" "),
        Value::Object(target) => {
            let field = |name| target.get(name).and_then(Value::as_str);
            match (field("kind"), field("name"), field("region")) {
                (Some(kind), Some(name), Some(region)) => return Some(format!("{kind} {name} in {region}")),
                _ => value.to_string(),
            }
        }
        Value::Bool(true) => return Some(name.replace('_', " ")),
        Value::Bool(false) => return None,
        Value::Null | Value::Number(_) => value.to_string(),
    };
    Some(match name {
        "aws_id" => format!("AWS execution {text}"),
        "note" | "reason" => text,
        _ => format!("{} {text}", name.replace('_', " ")),
    })
}

/// As people quote a commit.
const SHORT_SHA: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman::domain::audit::Note;
    use pointsman::domain::observed::Report;
    use serde_json::json;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millisecond).unwrap()
    }

    fn chain(entries: &[(&str, &str, Value, i64)]) -> Vec<Entry> {
        let mut chain: Vec<Entry> = Vec::new();
        for (actor, what, detail, millisecond) in entries {
            let note = Note { actor: (*actor).into(), what: (*what).into(), detail: detail.clone() };
            chain.push(Entry::after(chain.last(), "execution#ex-1", note, at(*millisecond)));
        }
        chain
    }

    fn mark(second: i64, state: State) -> Mark {
        Mark { attempt: 1, at: at(second * 1_000), state }
    }

    fn observed(reports: &[Report]) -> Observed {
        let mut observed = Observed::default();
        reports.iter().for_each(|report| observed.fold(report));
        observed
    }

    fn stage(stage: &str, second: i64, state: State) -> Report {
        Report::Stage { stage: stage.into(), mark: mark(second, state) }
    }

    fn action(stage: &str, category: &str, second: i64, state: State) -> Report {
        let (action, link) = (category.to_owned(), None);
        Report::Action { stage: stage.into(), action, category: category.into(), mark: mark(second, state), link }
    }

    fn lines(chain: &[Entry], observed: &Observed) -> String {
        let moments = timeline(&ExecutionId::named("ex-1"), chain, Some(observed), &[]);
        let line = |moment: &Moment| format!("{:>5} {}", moment.at.as_millisecond() - 1_800_000_000_000, moment.what);
        moments.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn within_a_second_causes_come_before_their_effects() {
        use State::{Started, Succeeded};
        let target = json!({ "kind": "pipeline", "name": "shop", "region": "us-east-1" });
        let chain = chain(&[
            ("dispatch", "requested", json!({ "route": "shop", "delivery": "d1", "by": "ada", "note": null }), 100),
            ("dispatch", "start intended", json!({ "target": target, "sha": "a".repeat(40), "ask": 1 }), 200),
            ("dispatch", "start answered", json!({ "aws_id": "aws-1" }), 900),
            ("record", "reported succeeded", json!({}), 1_800),
        ]);
        let observed = observed(&[
            Report::Whole { mark: mark(0, Started), trigger: None },
            stage("Source", 0, Started),
            action("Source", "Source", 0, Started),
            action("Source", "Source", 0, Succeeded),
            stage("Source", 0, Succeeded),
            stage("Build", 0, Started),
            action("Build", "Build", 0, Started),
            action("Build", "Build", 1, Succeeded),
            stage("Build", 1, Succeeded),
            Report::Whole { mark: mark(1, Succeeded), trigger: None },
        ]);
        insta::assert_snapshot!(lines(&chain, &observed), @r"
         100 requested: by ada, delivery d1, route shop
         200 start intended: ask 1, sha aaaaaaa, pipeline shop in us-east-1
         900 start answered: AWS execution aws-1
         900 AWS started it
         900 stage Source started
         900 action Source/Source started
         900 action Source/Source succeeded
         900 stage Source succeeded
         900 stage Build started
         900 action Build/Build started
        1000 action Build/Build succeeded
        1000 stage Build succeeded
        1800 reported succeeded
        ");
    }

    #[test]
    fn what_an_approval_did_stands_where_it_was_asked_for() {
        use State::{Started, Succeeded};
        let chain = chain(&[
            (
                "gate",
                "approval opened",
                json!({ "approval": "ap-1", "stage": "Approve", "state": { "is": "open" } }),
                100,
            ),
            ("gate", "approvers asked", json!({ "approval": "ap-1", "sent": ["ada@x.org"], "not_sent": [] }), 200),
            ("operator:ada", "approvers reminded", json!({ "approval": "ap-1", "to": ["ada@x.org"] }), 300),
            (
                "ada@x.org",
                "approval decided",
                json!({ "approval": "ap-1", "by": "ada@x.org", "via": { "via": "link" } }),
                400,
            ),
            (
                "approve",
                "approval answered",
                json!({ "approval": "ap-1", "told": { "told": "done", "at": at(500) } }),
                500,
            ),
        ]);
        let observed = observed(&[
            stage("Build", 0, Started),
            action("Build", "Build", 0, Started),
            action("Build", "Build", 0, Succeeded),
            stage("Build", 0, Succeeded),
            stage("Approve", 0, Started),
            action("Approve", "Approval", 0, Started),
            action("Approve", "Approval", 0, Succeeded),
        ]);
        insta::assert_snapshot!(lines(&chain, &observed), @r"
           0 stage Build started
           0 action Build/Build started
           0 action Build/Build succeeded
           0 stage Build succeeded
           0 stage Approve started
           0 action Approve/Approval started
         100 approval opened: ap-1, stage Approve
         200 approvers asked: ap-1, sent ada@x.org
         300 approvers reminded by operator ada: ap-1, to ada@x.org
         400 approval decided: ap-1, by ada@x.org, by link
         500 approval answered: ap-1, CodePipeline was told
         500 action Approve/Approval succeeded
        ");
    }

    #[test]
    fn what_nobody_wrote_down_is_told_as_aws_reported_it() {
        let failed = observed(&[
            Report::Whole { mark: mark(0, State::Started), trigger: None },
            Report::Whole { mark: mark(9, State::Failed), trigger: None },
        ]);
        let chain = chain(&[
            ("operator:ada", "stop intended", json!({ "reason": "wrong commit", "abandon": false }), 5_500),
            ("operator:ada", "stop refused", json!({ "reason": "" }), 5_600),
        ]);
        insta::assert_snapshot!(lines(&chain, &failed), @r"
           0 AWS started it
        5500 stop intended by operator ada: wrong commit
        5600 stop refused by operator ada
        9000 the execution failed
        ");
        assert_eq!(timeline(&ExecutionId::named("ex-1"), &[], None, &[]), Vec::new());
    }
}
