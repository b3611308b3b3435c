//! A delivery as it is shown: to programs as JSON, to people as a table.

use crate::failure::Failure;
use crate::text::{Style, cell, cell_or_dash, cut};
use jiff::Timestamp;
use pointsman::domain::change::{Change, ChangeKind, DeliveryId, GitRef, Sha};
use pointsman::domain::delivery::{Delivery, Status};
use pointsman::domain::execution::{Execution, ExecutionId, Start};
use pointsman::ledger::Ledger;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How much of a reason a list shows, in characters.
const REASON_LISTED: usize = 50;
/// How much of a ref a list shows, in characters.
const REF_LISTED: usize = 40;

/// One delivery. The names of the first six fields are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DeliveryView {
    pub(crate) delivery: DeliveryId,
    event: String,
    repository: Option<String>,
    pub(crate) status: Status,
    pub(crate) reason: String,
    /// The executions that it started: all of them once it is `executed`.
    executions: Vec<ExecutionId>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    sha: Option<Sha>,
    title: Option<String>,
    sender: Option<String>,
    /// The version of the configuration that was asked, where one was.
    configuration: Option<u64>,
    /// Every route that matched, whatever became of it.
    routes: Vec<RouteView>,
    /// When the webhook received it.
    at: Timestamp,
    updated_at: Timestamp,
}

/// A route that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RouteView {
    route: String,
    execution: ExecutionId,
    status: &'static str,
    /// AWS's id, once it has answered.
    execution_id: Option<String>,
    overtaken_by: Option<DeliveryId>,
}

/// What a change is about: its full ref, its commit, and the commit's title.
pub(crate) fn subject_of(change: &Change) -> (Option<String>, Option<Sha>, Option<String>) {
    let branch = |name: &str| Some(GitRef::Branch(name.to_owned()).to_string());
    match &change.kind {
        ChangeKind::Push(push) => {
            let sha = push.head.as_ref().map_or_else(|| push.after.clone(), |head| head.sha.clone());
            let title = push.head.as_ref().map(|head| head.title.clone());
            (Some(push.git_ref.to_string()), Some(sha), title)
        }
        ChangeKind::PullRequest(request) => (branch(&request.head_ref), Some(request.head.clone()), None),
        ChangeKind::WorkflowRun(run) => (run.head_branch.as_deref().and_then(branch), Some(run.head.clone()), None),
        ChangeKind::Release(release) => (Some(GitRef::Tag(release.tag.clone()).to_string()), None, None),
        ChangeKind::Created(git_ref) | ChangeKind::Deleted(git_ref) => (Some(git_ref.to_string()), None, None),
        ChangeKind::Other { .. } => (None, None, None),
    }
}

/// One delivery with what its executions came to; `None` where there is no such delivery.
pub(super) async fn load(ledger: &Ledger, id: &DeliveryId) -> Result<Option<DeliveryView>, Failure> {
    let Some(found) = ledger.delivery(id).await? else { return Ok(None) };
    Ok(views(ledger, std::slice::from_ref(&found.value)).await?.pop())
}

/// Deliveries with what their executions came to.
pub(crate) async fn views(ledger: &Ledger, deliveries: &[Delivery]) -> Result<Vec<DeliveryView>, Failure> {
    // Each once: two deliveries of one change may name the same execution.
    let ids: BTreeSet<&ExecutionId> =
        deliveries.iter().flat_map(|delivery| &delivery.plan).map(|planned| &planned.execution).collect();
    let executions = ledger.executions(&ids.into_iter().cloned().collect::<Vec<_>>()).await?;
    let executions: BTreeMap<_, _> =
        executions.into_iter().map(|execution| (execution.id.clone(), execution)).collect();
    Ok(deliveries.iter().map(|delivery| DeliveryView::of(delivery, &executions)).collect())
}

impl DeliveryView {
    fn of(delivery: &Delivery, executions: &BTreeMap<ExecutionId, Execution>) -> Self {
        let routes: Vec<RouteView> = delivery
            .plan
            .iter()
            .map(|planned| {
                let execution = executions.get(&planned.execution).filter(|_| planned.overtaken_by.is_none());
                let overtaken = execution.and_then(|execution| match &execution.start {
                    Start::Overtaken { by } => Some(by.clone()),
                    Start::Requested { .. }
                    | Start::Asked { .. }
                    | Start::Started { .. }
                    | Start::Refused { .. }
                    | Start::Unknown { .. } => None,
                });
                let overtaken_by = planned.overtaken_by.clone().or(overtaken);
                RouteView {
                    route: planned.route.clone(),
                    execution: planned.execution.clone(),
                    status: match (&overtaken_by, execution) {
                        (Some(_), _) => "overtaken",
                        (None, Some(execution)) => execution.status.as_str(),
                        (None, None) => "planned",
                    },
                    execution_id: execution.and_then(|execution| execution.start.aws_id()).map(str::to_owned),
                    overtaken_by,
                }
            })
            .collect();
        let (git_ref, sha, title) = subject_of(&delivery.change);
        // A start by hand carries its commit in its plan alone.
        let draft = delivery.plan.first().map(|planned| &planned.draft);
        let sha = sha.or_else(|| draft.and_then(|draft| draft.sha.clone()));
        Self {
            delivery: delivery.id.clone(),
            event: delivery.change.kind.event().to_owned(),
            repository: delivery.change.repository.as_ref().map(|repository| repository.full_name.clone()),
            status: delivery.status,
            reason: delivery.reason.clone(),
            executions: routes
                .iter()
                .filter(|route| route.execution_id.is_some())
                .map(|route| route.execution.clone())
                .collect(),
            git_ref,
            sha,
            title,
            sender: delivery.change.sender.clone(),
            configuration: delivery.configuration,
            routes,
            at: delivery.change.received_at,
            updated_at: delivery.updated_at,
        }
    }

    /// Everything, for people.
    pub(crate) fn text(&self, style: &Style) -> String {
        let commit = self.sha.as_ref().map(|sha| match &self.title {
            Some(title) => format!("{sha}  {title}"),
            None => sha.to_string(),
        });
        let mut text = style.details(vec![
            ("Delivery", Some(cell(self.delivery.as_str()))),
            ("Status", Some(style.status(self.status.as_str()))),
            ("Reason", Some(cell(&self.reason)).filter(|_| !self.reason.is_empty())),
            ("Event", Some(cell(&self.event))),
            ("Repository", self.repository.as_ref().map(cell)),
            ("Ref", self.git_ref.as_ref().map(cell)),
            ("Commit", commit.as_ref().map(cell)),
            ("Sender", self.sender.as_ref().map(cell)),
            ("Configuration", self.configuration.map(|version| cell(format!("version {version}")))),
            ("Received", Some(cell(style.time(self.at)))),
        ]);
        if !self.routes.is_empty() {
            let rows = self.routes.iter().map(|route| {
                vec![
                    cell(&route.route),
                    cell(route.execution.as_str()),
                    style.status(route.status),
                    cell_or_dash(route.execution_id.as_deref().or(route.overtaken_by.as_ref().map(DeliveryId::as_str))),
                ]
            });
            text.push_str("\n\n");
            text.push_str(&style.table(&["ROUTE", "EXECUTION", "STATUS", "AWS EXECUTION OR NEWER DELIVERY"], rows));
        }
        text
    }
}

/// The list for people.
pub(super) fn list(views: &[DeliveryView], style: &Style) -> String {
    if views.is_empty() {
        return "no deliveries in the last 90 days".to_owned();
    }
    let rows = views.iter().map(|view| {
        let what = match view.executions.as_slice() {
            _ if !view.reason.is_empty() => cut(&view.reason, REASON_LISTED),
            ids => ids.iter().map(ExecutionId::as_str).collect::<Vec<_>>().join(" "),
        };
        vec![
            cell(style.time(view.at)),
            cell(view.delivery.as_str()),
            cell(&view.event),
            cell_or_dash(view.repository.as_ref()),
            cell_or_dash(view.git_ref.as_deref().map(|git_ref| cut(git_ref, REF_LISTED))),
            cell_or_dash(view.sha.as_ref().map(Sha::short)),
            style.status(view.status.as_str()),
            cell(what),
        ]
    });
    style.table(&["WHEN", "DELIVERY", "EVENT", "REPOSITORY", "REF", "COMMIT", "STATUS", "EXECUTIONS OR REASON"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::style_for_tests;
    use serde_json::json;

    fn delivery() -> Delivery {
        let draft = |id: &str| {
            json!({
                "id": id, "kind": "deployment", "origin": { "by": "delivery", "delivery": "d1" },
                "target": { "kind": "pipeline", "name": "p", "region": "us-east-1" }, "variables": {},
                "start": { "at": "requested", "asks": 0 }, "status": "requested",
                "created_at": "2027-01-15T07:58:00Z", "wanted_since": "2027-01-15T07:58:00Z", "updated_at": "2027-01-15T07:58:00Z",
            })
        };
        let person = json!({ "name": "Ada", "email": null, "login": "ada" });
        let title = "fix\u{1b}[2J it";
        serde_json::from_value(json!({
            "id": "d1", "status": "executed", "reason": "", "created_at": "2027-01-15T07:58:00Z", "wanted_since": "2027-01-15T07:58:00Z",
            "updated_at": "2027-01-15T07:58:01Z",
            "change": {
                "delivery": "d1", "received_at": "2027-01-15T07:58:00Z", "sender": "ada",
                "repository": { "id": 1, "full_name": "acme/shop" },
                "kind": { "push": {
                    "git_ref": "refs/heads/ma\u{1b}in", "before": "a".repeat(40), "after": "b".repeat(40),
                    "head": { "sha": "b".repeat(40), "title": title, "author": person, "committer": person },
                    "pushed_at": 1, "created": false, "deleted": false, "forced": false, "pusher": "ada",
                    "paths": { "known": [] },
                } },
            },
            "plan": [
                { "route": "shop", "execution": "ex-1", "overtaken_by": null, "draft": draft("ex-1") },
                { "route": "docs", "execution": "ex-2", "overtaken_by": "d0", "draft": draft("ex-2") },
                { "route": "late", "execution": "ex-3", "overtaken_by": null, "draft": draft("ex-3") },
            ],
        }))
        .unwrap()
    }

    fn view() -> DeliveryView {
        let delivery = delivery();
        let mut started = delivery.plan[0].draft.clone();
        started.start = Start::Started { aws_id: "aws-1".into() };
        started.status = pointsman::domain::execution::Status::Running;
        DeliveryView::of(&delivery, &[(started.id.clone(), started)].into())
    }

    #[test]
    fn programs_get_the_executions_that_started() {
        let json = serde_json::to_value(view()).unwrap();
        assert_eq!(json["delivery"], "d1");
        assert_eq!(json["event"], "push");
        assert_eq!(json["repository"], "acme/shop");
        assert_eq!(json["status"], "executed");
        assert_eq!(json["reason"], "");
        assert_eq!(json["executions"], json!(["ex-1"]), "not the overtaken one, not the one without a record");
        assert_eq!(json["sha"], "b".repeat(40));
        assert_eq!(json["routes"][1]["overtaken_by"], "d0");
        assert_eq!(json["routes"][2]["status"], "planned");
    }

    #[test]
    fn people_get_a_story() {
        insta::assert_snapshot!(view().text(&style_for_tests()), @r"
        Delivery    d1
        Status      executed
        Event       push
        Repository  acme/shop
        Ref         refs/heads/ma\u{1b}in
        Commit      bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  fix\u{1b}[2J it
        Sender      ada
        Received    2m ago

        ROUTE  EXECUTION  STATUS     AWS EXECUTION OR NEWER DELIVERY
        shop   ex-1       running    aws-1
        docs   ex-2       overtaken  d0
        late   ex-3       planned    -
        ");
    }

    #[test]
    fn a_list_has_one_line_for_each() {
        let mut ignored = view();
        ignored.status = Status::Ignored;
        ignored.reason = "no route matches: ".to_owned() + &"r".repeat(100);
        insta::assert_snapshot!(list(&[view(), ignored], &style_for_tests()), @r"
        WHEN    DELIVERY  EVENT  REPOSITORY  REF                    COMMIT   STATUS    EXECUTIONS OR REASON
        2m ago  d1        push   acme/shop   refs/heads/ma\u{1b}in  bbbbbbb  executed  ex-1
        2m ago  d1        push   acme/shop   refs/heads/ma\u{1b}in  bbbbbbb  ignored   no route matches: rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr…
        ");
        assert_eq!(list(&[], &style_for_tests()), "no deliveries in the last 90 days");
    }
}
