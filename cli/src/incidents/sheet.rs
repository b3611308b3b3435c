//! An incident for people: what was said, what was decided, every step that was taken, and what is needed.

use super::view::View;
use crate::text::{Style, cell, cell_or_dash};
use pointsman::domain::incident::Status;

/// Everything, for people.
pub(crate) fn text(view: &View, style: &Style) -> String {
    let mut parts = vec![head(view, style), signals(view, style)];
    if !view.rollbacks.is_empty() {
        parts.push(rollbacks(view, style));
    }
    parts.extend(steps(view, style));
    if let Some(first) = view.timeline.first() {
        let rows = view.timeline.iter().map(|moment| vec![cell(style.offset(moment.at, first.at)), cell(&moment.what)]);
        parts.push(style.table(&["WHEN", "WHAT"], rows));
    }
    parts.join("\n\n")
}

/// What can be done next, as sentences for stderr.
pub(super) fn next(view: &View) -> Vec<String> {
    let Some(environment) = &view.environment else { return Vec::new() };
    match view.status {
        Status::RolledBack => vec![format!(
            "{environment} stays held: `pointsman release {environment} --reason …` opens it, \
             `pointsman release {environment} --sha SHA --reason …` lets one commit through"
        )],
        Status::NeedsPerson => vec![format!(
            "`pointsman environments show {environment}` tells what runs, `pointsman rollback {environment} --dry-run` \
             what could be done; `pointsman incidents close {} --reason …` once it is seen to",
            view.id
        )],
        Status::Settling
        | Status::Recorded
        | Status::Blocked
        | Status::RollingBack
        | Status::Cancelled
        | Status::Closed => Vec::new(),
    }
}

fn head(view: &View, style: &Style) -> String {
    let commit = view.sha.as_ref().map(ToString::to_string);
    let more = if view.has_more_signals { " and more" } else { "" };
    style.details(vec![
        ("Incident", Some(cell(view.id.as_str()))),
        ("Status", Some(style.status(view.status.as_str()))),
        ("", Some(cell(&view.reason))),
        ("Environment", view.environment.as_ref().map(cell)),
        ("Region", Some(cell(&view.region))),
        ("Cause", Some(cell(&view.cause))),
        ("Signals", Some(cell(format!("{}{more}", view.signals.len())))),
        ("Blamed", view.blamed.as_ref().map(|execution| cell(execution.as_str()))),
        ("Commit", commit.map(cell)),
        ("Decision", Some(cell(view.decision))),
        ("Settles", view.settles_at.filter(|_| view.status == Status::Settling).map(|at| cell(style.time(at)))),
        ("Opened", Some(cell(style.time(view.opened_at)))),
        ("Changed", Some(cell(style.time(view.updated_at)))),
    ])
}

fn signals(view: &View, style: &Style) -> String {
    let rows = view
        .signals
        .iter()
        .map(|signal| vec![cell(style.time(signal.at)), cell(&signal.region), cell(&signal.cause), cell(&signal.says)]);
    style.table(&["WHEN", "REGION", "CAUSE", "SIGNAL"], rows)
}

fn rollbacks(view: &View, style: &Style) -> String {
    let rows = view.rollbacks.iter().map(|rollback| {
        vec![
            cell(rollback.id.as_str()),
            cell(&rollback.region),
            style.status(rollback.status),
            cell(rollback.versions()),
            cell_or_dash(rollback.execution.as_ref().map(|id| id.as_str())),
            cell_or_dash(rollback.ended_at.map(|at| style.duration(rollback.claimed_at, at))),
            cell(&rollback.reason),
        ]
    });
    style.table(&["ROLLBACK", "REGION", "STATUS", "VERSIONS", "EXECUTION", "TOOK", "HOW"], rows)
}

/// The steps that did not bring it back, with AWS's own reasons.
fn steps(view: &View, style: &Style) -> Option<String> {
    let tried = view.rollbacks.iter().flat_map(|rollback| rollback.tried.iter().map(move |tried| (rollback, tried)));
    let rows: Vec<_> = tried
        .map(|(rollback, tried)| {
            vec![cell(style.time(tried.at)), cell(&rollback.region), cell(tried.step.as_str()), cell(&tried.why)]
        })
        .collect();
    (!rows.is_empty()).then(|| style.table(&["TRIED", "REGION", "STEP", "WHY NOT"], rows))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, incident, rollback};
    use super::*;
    use crate::text::style_for_tests;
    use pointsman::domain::audit::{Entry, Note};
    use pointsman::domain::incident::Incident;
    use serde_json::json;

    #[test]
    fn people_get_the_whole_story() {
        let note =
            |what: &str| Note { actor: "guard".into(), what: what.into(), detail: json!({ "region": "us-east-1" }) };
        let first = Entry::after(None, "incident#in-1", note("incident opened"), at(-121));
        let second = Entry::after(Some(&first), "incident#in-1", note("rolled back"), at(-60));
        let view = View::of(incident(), &[rollback()], &[first, second]);
        insta::assert_snapshot!(text(&view, &style_for_tests()), @r"
        Incident     in-1
        Status       rolled_back
                     badbadb is blamed: it landed 5 min before
        Environment  web-production
        Region       us-east-1
        Cause        alarm
        Signals      2 and more
        Blamed       ex-bad
        Commit       badbadbadbadbadbadbadbadbadbadbadbadbadb
        Decision     roll_back
        Opened       2m ago
        Changed      1m ago

        WHEN    REGION     CAUSE                  SIGNAL
        2m ago  us-east-1  alarm                  shop\u{1b}[2J-errors went red
        1m ago  us-east-1  finding:CVE-2026-0001  CRITICAL CVE-2026-0001 in openssl

        ROLLBACK  REGION     STATUS       VERSIONS           EXECUTION                TOOK   HOW
        rb-1      us-east-1  rolled_back  badbadb → 900d900  ex-c5f86ec7e057ece5920a  1m00s  back by the step start: sha256:900d runs

        TRIED   REGION     STEP            WHY NOT
        1m ago  us-east-1  rollback_stage  UnableToRollbackStage: edited

        WHEN    WHAT
        +0s     incident opened: region us-east-1
        +1m01s  rolled back: region us-east-1
        ");
    }

    #[test]
    fn what_can_be_done_next_is_a_command() {
        let of = |status| next(&View::of(Incident { status, ..incident() }, &[], &[])).join(" ");
        assert!(of(Status::RolledBack).contains("`pointsman release web-production --sha SHA --reason …`"));
        assert!(of(Status::NeedsPerson).contains("`pointsman rollback web-production --dry-run`"));
        assert_eq!(of(Status::RollingBack), "");
        let nowhere = Incident { environment: None, status: Status::NeedsPerson, ..incident() };
        assert!(next(&View::of(nowhere, &[], &[])).is_empty());
    }
}
