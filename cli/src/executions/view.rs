//! An execution as it is shown: to programs as JSON, to people as tables.

use super::timeline::{Moment, stages_in_order, timeline};
use crate::approvals::Brief;
use crate::failure::Failure;
use crate::incidents::RollbackView;
use crate::session::{Session, load_each};
use crate::text::{Style, cell, cell_or_dash, cut, listed};
use jiff::Timestamp;
use pointsman::domain::approval::Approval;
use pointsman::domain::audit::Entry;
use pointsman::domain::change::{DeliveryId, Sha};
use pointsman::domain::execution::{Execution, ExecutionId, Kind, Origin, Start, Status, TargetKind};
use pointsman::domain::incident::IncidentId;
use pointsman::domain::observed::{Action, Observed, Progress, State};
use pointsman::domain::rollback::RollbackId;
use pointsman::ledger::{Ledger, execution_subject};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How much of a ref a list shows, in characters.
const REF_LISTED: usize = 40;

/// One execution. The names of the first ten fields, and of a moment's, are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct View {
    pub(super) id: ExecutionId,
    kind: Kind,
    repository: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    sha: Option<Sha>,
    environment: Option<String>,
    target: TargetView,
    pub(super) status: Status,
    approvals: Vec<Brief>,
    /// Those that turn it back, and the one that it is a part of.
    rollbacks: Vec<RollbackView>,
    timeline: Vec<Moment>,
    route: Option<String>,
    /// The delivery that asked for it; none for what Pointsman did not start.
    delivery: Option<DeliveryId>,
    title: Option<String>,
    actor: Option<String>,
    /// Who called AWS, or what else started it there.
    started_by: Option<StartedBy>,
    variables: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    images: BTreeSet<String>,
    /// How far the start got: `requested`, `asked`, `started`, `refused`, `overtaken` or `unknown`, and why.
    pub(super) start: Start,
    note: Option<String>,
    stages: Vec<StageView>,
    actions: Vec<ActionView>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct TargetView {
    kind: TargetKind,
    name: String,
    region: String,
    /// AWS's id, once known.
    execution_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct StartedBy {
    trigger: String,
    detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct StageView {
    name: String,
    status: State,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ActionView {
    stage: String,
    name: String,
    category: String,
    status: State,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    link: Option<LinkView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LinkView {
    id: String,
    url: Option<String>,
    summary: Option<String>,
}

/// An execution with what the audit log and AWS's reports tell of it.
pub(super) async fn load(session: &Session, execution: Execution) -> Result<View, Failure> {
    load_from(&session.ledger, execution, session.now()).await
}

/// The same for several, in their order.
pub(super) async fn load_all(session: &Session, executions: Vec<Execution>) -> Result<Vec<View>, Failure> {
    let now = session.now();
    load_each(executions, |execution| {
        let ledger = session.ledger.clone();
        async move { load_from(&ledger, execution, now).await }
    })
    .await
}

async fn load_from(ledger: &Ledger, execution: Execution, now: Timestamp) -> Result<View, Failure> {
    let chain = ledger.chain(&execution_subject(&execution.id)).await?;
    let approvals = ledger.approvals_of(&execution.id).await?;
    let observed = match execution.start.aws_id() {
        Some(aws_id) => Some(ledger.run(&execution.target, aws_id, now).await?.value.observed),
        None => None,
    };
    let rollbacks = rollbacks(ledger, &execution).await?;
    Ok(View::of(execution, &chain, observed.as_ref(), &approvals, &rollbacks))
}

/// The rollbacks that concern an execution: those that turn it back, in the regions that its environment has now, and
/// those that it is a part of.
async fn rollbacks(ledger: &Ledger, execution: &Execution) -> Result<Vec<RollbackView>, Failure> {
    let mut ids: BTreeSet<RollbackId> = match &execution.origin {
        Origin::Rollback { rollback } => [rollback.clone()].into(),
        Origin::Delivery { .. } | Origin::External { .. } => BTreeSet::new(),
    };
    if let Some(name) = &execution.environment {
        let config = ledger.environment_config(name).await?.map(|(_, config)| config.environment);
        let regions = config.iter().flat_map(|config| &config.deploys).map(|deploy| deploy.region.as_str());
        ids.extend(regions.map(|region| RollbackId::of(name, region, &execution.id)));
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = ledger.rollbacks(&ids.iter().cloned().collect::<Vec<_>>()).await?;
    let incidents: BTreeSet<&IncidentId> = found.iter().map(|rollback| &rollback.incident).collect();
    let mut views = Vec::new();
    for id in incidents {
        let Some(incident) = ledger.incident(id).await? else { continue };
        // Others of the incident may go back by the same execution.
        let all = ledger.rollbacks(&incident.value.rollbacks).await?;
        let its = all.iter().map(|one| RollbackView::of(one, &all));
        views.extend(its.filter(|view| ids.contains(&view.id) || view.execution.as_ref() == Some(&execution.id)));
    }
    views.sort_by_key(|view| view.claimed_at);
    Ok(views)
}

impl View {
    /// Puts together what is known.
    pub(super) fn of(
        execution: Execution,
        chain: &[Entry],
        observed: Option<&Observed>,
        approvals: &[Approval],
        rollbacks: &[RollbackView],
    ) -> Self {
        let rollbacks = rollbacks.to_vec();
        let nothing = Observed::default();
        let known = observed.unwrap_or(&nothing);
        let order = stages_in_order(known);
        let stage = |name: &String| Some(stage_view(name, known.stages.get(name)?));
        Self {
            timeline: timeline(&execution.id, chain, observed, &rollbacks),
            stages: order.iter().filter_map(stage).collect(),
            actions: actions(known, &order),
            outputs: known.outputs.clone(),
            started_by: known
                .trigger
                .clone()
                .map(|trigger| StartedBy { trigger: trigger.kind, detail: trigger.detail }),
            id: execution.id,
            kind: execution.kind,
            repository: execution.repository.map(|repository| repository.full_name),
            git_ref: execution.git_ref,
            sha: execution.sha,
            environment: execution.environment,
            target: TargetView {
                kind: execution.target.kind,
                name: execution.target.name,
                region: execution.target.region,
                execution_id: execution.start.aws_id().map(str::to_owned),
            },
            status: execution.status,
            approvals: approvals.iter().map(Brief::of).collect(),
            rollbacks,
            route: execution.route,
            delivery: match execution.origin {
                Origin::Delivery { delivery } => Some(delivery),
                Origin::Rollback { .. } | Origin::External { .. } => None,
            },
            title: execution.title,
            actor: execution.actor,
            variables: execution.variables,
            images: execution.images,
            start: execution.start,
            note: execution.note,
            created_at: execution.created_at,
            updated_at: execution.updated_at,
        }
    }

    /// Everything, for people.
    pub(super) fn text(&self, style: &Style) -> String {
        let mut parts = vec![self.head(style)];
        if !self.actions.is_empty() {
            parts.push(self.work(style));
        }
        if !self.rollbacks.is_empty() {
            parts.push(self.turned_back(style));
        }
        if let Some(first) = self.timeline.first() {
            let rows =
                self.timeline.iter().map(|moment| vec![cell(style.offset(moment.at, first.at)), cell(&moment.what)]);
            parts.push(style.table(&["WHEN", "WHAT"], rows));
        }
        parts.join("\n\n")
    }

    fn head(&self, style: &Style) -> String {
        let commit = self.sha.as_ref().map(|sha| match &self.title {
            Some(title) => format!("{sha}  {title}"),
            None => sha.to_string(),
        });
        let target = format!("{} {} in {}", self.target.kind.as_str(), self.target.name, self.target.region);
        let by = self.started_by.as_ref().map(|by| format!("{} {}", by.trigger, by.detail));
        let mut pairs =
            vec![("Execution", Some(cell(self.id.as_str()))), ("Status", Some(style.status(self.status.as_str())))];
        pairs.extend(why(&self.start, &self.id).map(|why| ("", Some(cell(why)))));
        pairs.extend([
            ("Kind", Some(cell(self.kind.as_str()))),
            ("Repository", self.repository.as_ref().map(cell)),
            ("Ref", self.git_ref.as_ref().map(cell)),
            ("Commit", commit.map(cell)),
            ("Actor", self.actor.as_ref().map(cell)),
            ("Route", self.route.as_ref().map(cell)),
            ("Delivery", self.delivery.as_ref().map(|delivery| cell(delivery.as_str()))),
            ("Environment", self.environment.as_ref().map(cell)),
            ("Target", Some(cell(target))),
            ("AWS execution", self.target.execution_id.as_ref().map(cell)),
            ("Started by", by.map(cell)),
            ("Note", self.note.as_ref().map(cell)),
            ("Decided", Some(cell(style.time(self.created_at)))),
        ]);
        pairs.extend(listed("Variables", assignments(&self.variables)));
        pairs.extend(listed("Images", self.images.iter().cloned()));
        pairs.extend(listed("Outputs", assignments(&self.outputs)));
        style.details(pairs)
    }

    fn turned_back(&self, style: &Style) -> String {
        let rows = self.rollbacks.iter().map(|rollback| {
            vec![
                cell(rollback.id.as_str()),
                cell(&rollback.region),
                style.status(rollback.status),
                cell(rollback.versions()),
                cell(rollback.incident.as_str()),
                cell(&rollback.reason),
            ]
        });
        style.table(&["ROLLBACK", "REGION", "STATUS", "VERSIONS", "INCIDENT", "HOW"], rows)
    }

    fn work(&self, style: &Style) -> String {
        let rows = self.actions.iter().map(|action| {
            let took = action.started_at.zip(action.ended_at).map(|(from, to)| style.duration(from, to));
            let link = action.link.as_ref().map(|link| link.url.as_deref().unwrap_or(&link.id));
            vec![
                cell(&action.stage),
                cell(&action.name),
                style.status(state_word(action.status)),
                cell_or_dash(action.started_at.map(|at| style.time(at))),
                cell_or_dash(took),
                cell_or_dash(link),
            ]
        });
        style.table(&["STAGE", "ACTION", "STATUS", "STARTED", "TOOK", "LINK"], rows)
    }
}

fn assignments(map: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    map.iter().map(|(name, value)| format!("{name}={value}"))
}

/// Why an execution has not started, or never will.
fn why(start: &Start, id: &ExecutionId) -> Option<String> {
    match start {
        Start::Requested { refusal: Some(why), .. } => Some(format!("waiting for room: {why}")),
        Start::Requested { refusal: None, .. } => Some("about to be started".to_owned()),
        Start::Asked { .. } => Some("AWS was asked and has not answered yet".to_owned()),
        Start::Started { .. } => None,
        Start::Refused { reason } => Some(format!("{reason}; `pointsman executions retry {id}` asks again")),
        Start::Overtaken { by } => Some(format!("overtaken by the newer delivery {by}")),
        Start::Unknown { reason, candidates, .. } => {
            let candidates = if candidates.is_empty() { "none".to_owned() } else { candidates.join(", ") };
            Some(format!("{reason}; candidates: {candidates}; `pointsman executions resolve {id}` settles it"))
        }
    }
}

fn stage_view(name: &str, progress: &Progress) -> StageView {
    StageView {
        name: name.to_owned(),
        status: progress.mark.state,
        started_at: progress.began.map(|(_, at)| at),
        ended_at: progress.ended_at(),
    }
}

/// The actions in the order of their stages, and within one as they began.
fn actions(observed: &Observed, order: &[String]) -> Vec<ActionView> {
    let mut actions: Vec<ActionView> =
        observed.actions.iter().map(|(path, action)| action_view(path, action)).collect();
    let place = |stage: &str| order.iter().position(|known| known == stage).unwrap_or(usize::MAX);
    actions.sort_by_key(|action| (place(&action.stage), action.started_at, action.name.clone()));
    actions
}

fn action_view(path: &str, action: &Action) -> ActionView {
    let (stage, name) = path.split_once('/').unwrap_or(("", path));
    ActionView {
        stage: stage.to_owned(),
        name: name.to_owned(),
        category: action.category.clone(),
        status: action.progress.mark.state,
        started_at: action.progress.began.map(|(_, at)| at),
        ended_at: action.progress.ended_at(),
        link: action.link.clone().map(|link| LinkView { id: link.id, url: link.url, summary: link.summary }),
    }
}

/// The word that programs read, too.
fn state_word(state: State) -> &'static str {
    match state {
        State::Started => "started",
        State::Resumed => "resumed",
        State::Stopping => "stopping",
        State::Abandoned => "abandoned",
        State::Superseded => "superseded",
        State::Stopped => "stopped",
        State::Canceled => "canceled",
        State::Failed => "failed",
        State::Succeeded => "succeeded",
    }
}

/// The list for people.
pub(super) fn list(executions: &[Execution], style: &Style) -> String {
    if executions.is_empty() {
        return "no executions".to_owned();
    }
    let rows = executions.iter().map(|execution| {
        vec![
            cell(style.time(execution.created_at)),
            cell(execution.id.as_str()),
            cell_or_dash(execution.repository.as_ref().map(|repository| &repository.full_name)),
            cell_or_dash(execution.git_ref.as_deref().map(|git_ref| cut(git_ref, REF_LISTED))),
            cell_or_dash(execution.sha.as_ref().map(Sha::short)),
            cell_or_dash(execution.environment.as_ref()),
            cell(format!("{} {}", execution.target.kind.as_str(), execution.target.name)),
            style.status(execution.status.as_str()),
        ]
    });
    style.table(&["WHEN", "EXECUTION", "REPOSITORY", "REF", "COMMIT", "ENVIRONMENT", "TARGET", "STATUS"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::style_for_tests;
    use pointsman::domain::audit::Note;
    use pointsman::domain::observed::{Link, Mark, Report, Trigger};
    use serde_json::json;

    fn execution() -> Execution {
        serde_json::from_value(json!({
            "id": "ex-1", "kind": "deployment", "origin": { "by": "delivery", "delivery": "d1" },
            "route": "shop", "repository": { "id": 1, "full_name": "acme/shop" }, "git_ref": "refs/heads/main",
            "sha": "a".repeat(40), "title": "fix\u{1b}[2J it", "actor": "ada", "environment": "web-production",
            "target": { "kind": "pipeline", "name": "shop", "region": "us-east-1" }, "variables": { "SERVICE": "web" },
            "start": { "at": "started", "aws_id": "aws-1" }, "status": "failed",
            "created_at": "2027-01-15T07:58:00Z", "wanted_since": "2027-01-15T07:58:00Z", "updated_at": "2027-01-15T07:59:00Z",
        }))
        .unwrap()
    }

    fn observed() -> Observed {
        let start: Timestamp = "2027-01-15T07:58:01Z".parse().unwrap();
        let mark = |second: i64, state| Mark { attempt: 1, at: start + jiff::SignedDuration::from_secs(second), state };
        let link =
            Link { at: start, id: "b:1".into(), url: Some("https://x/b".into()), summary: Some("exit 1".into()) };
        let trigger =
            Trigger { kind: "StartPipelineExecution".into(), detail: "arn:aws:sts::1:assumed-role/d/x".into() };
        let action = |state, second, link| Report::Action {
            stage: "Build".into(),
            action: "Compile".into(),
            category: "Build".into(),
            mark: mark(second, state),
            link,
        };
        let mut observed = Observed::default();
        for report in [
            Report::Whole { mark: mark(0, State::Started), trigger: Some(trigger) },
            Report::Stage { stage: "Build".into(), mark: mark(1, State::Started) },
            action(State::Started, 1, None),
            action(State::Failed, 31, Some(link)),
            Report::Stage { stage: "Build".into(), mark: mark(31, State::Failed) },
            Report::Whole { mark: mark(32, State::Failed), trigger: None },
        ] {
            observed.fold(&report);
        }
        observed
    }

    fn view() -> View {
        let note =
            Note { actor: "dispatch".into(), what: "start answered".into(), detail: json!({ "aws_id": "aws-1" }) };
        let entry = Entry::after(None, "execution#ex-1", note, "2027-01-15T07:58:00.5Z".parse().unwrap());
        View::of(execution(), &[entry], Some(&observed()), &[], &[])
    }

    #[test]
    fn programs_get_the_contract() {
        let json = serde_json::to_value(view()).unwrap();
        let target = json!({ "kind": "pipeline", "name": "shop", "region": "us-east-1", "execution_id": "aws-1" });
        for (field, expected) in [
            ("id", json!("ex-1")),
            ("kind", json!("deployment")),
            ("repository", json!("acme/shop")),
            ("ref", json!("refs/heads/main")),
            ("sha", json!("a".repeat(40))),
            ("environment", json!("web-production")),
            ("target", target),
            ("status", json!("failed")),
            ("approvals", json!([])),
            ("rollbacks", json!([])),
        ] {
            assert_eq!(json[field], expected, "{field}");
        }
        assert_eq!(json["timeline"][0]["what"], "start answered: AWS execution aws-1");
        assert_eq!(json["timeline"][0]["at"], "2027-01-15T07:58:00.5Z");
        assert_eq!(json["stages"][0]["ended_at"], "2027-01-15T07:58:32Z");
        assert_eq!(json["actions"][0]["link"]["url"], "https://x/b");
        assert_eq!(json["actions"][0]["status"], state_word(State::Failed));
    }

    #[test]
    fn people_get_the_whole_story() {
        insta::assert_snapshot!(view().text(&style_for_tests()), @r"
        Execution      ex-1
        Status         failed
        Kind           deployment
        Repository     acme/shop
        Ref            refs/heads/main
        Commit         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  fix\u{1b}[2J it
        Actor          ada
        Route          shop
        Delivery       d1
        Environment    web-production
        Target         pipeline shop in us-east-1
        AWS execution  aws-1
        Started by     StartPipelineExecution arn:aws:sts::1:assumed-role/d/x
        Decided        2m ago
        Variables      SERVICE=web

        STAGE  ACTION   STATUS  STARTED  TOOK  LINK
        Build  Compile  failed  1m ago   30s   https://x/b

        WHEN  WHAT
        +0s   start answered: AWS execution aws-1
        +0s   AWS started it
        +1s   stage Build started
        +1s   action Build/Compile started
        +31s  action Build/Compile failed: exit 1
        +31s  stage Build failed
        +32s  the execution failed
        ");
    }

    #[test]
    fn what_was_turned_back_and_what_did_it_say_so() {
        use crate::incidents::samples::rollback;
        let view = |id: &str| {
            let execution = Execution { id: ExecutionId::named(id), ..execution() };
            View::of(execution, &[], None, &[], &[RollbackView::of(&rollback(), &[])])
        };
        insta::assert_snapshot!(view("ex-bad").text(&style_for_tests()).split_once("\n\n").unwrap().1, @r"
        ROLLBACK  REGION     STATUS       VERSIONS           INCIDENT  HOW
        rb-1      us-east-1  rolled_back  badbadb → 900d900  in-1      back by the step start: sha256:900d runs

        WHEN    WHAT
        +0s     rb-1 began to turn it back in us-east-1: in-1
        +1m00s  rb-1 rolled back: back by the step start: sha256:900d runs
        ");
        let its: Vec<String> = view("ex-2").timeline.into_iter().map(|moment| moment.what).collect();
        assert_eq!(its[0], "rb-1 turns web-production back in us-east-1 with it: in-1");
        let json = serde_json::to_value(view("ex-bad")).unwrap();
        assert_eq!((&json["rollbacks"][0]["id"], &json["rollbacks"][0]["incident"]), (&json!("rb-1"), &json!("in-1")));
    }

    #[test]
    fn what_did_not_start_says_why() {
        let mut refused = execution();
        refused.start = Start::Refused { reason: "no such pipeline".into() };
        let text = View::of(refused, &[], None, &[], &[]).text(&style_for_tests());
        assert!(text.contains("no such pipeline; `pointsman executions retry ex-1` asks again"), "{text}");
    }

    #[test]
    fn a_list_has_one_line_for_each() {
        insta::assert_snapshot!(list(&[execution()], &style_for_tests()), @r"
        WHEN    EXECUTION  REPOSITORY  REF              COMMIT   ENVIRONMENT     TARGET         STATUS
        2m ago  ex-1       acme/shop   refs/heads/main  aaaaaaa  web-production  pipeline shop  failed
        ");
        assert_eq!(list(&[], &style_for_tests()), "no executions");
    }
}
