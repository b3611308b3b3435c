//! A rollback as programs read it, and in words.

use jiff::Timestamp;
use pointsman::domain::change::Sha;
use pointsman::domain::execution::ExecutionId;
use pointsman::domain::incident::IncidentId;
use pointsman::domain::rollback::{Phase, Proof, Rollback, RollbackId, Step, Tried, Worker};
use serde::Serialize;

/// One rollback. The names of the first fourteen fields are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RollbackView {
    pub(crate) id: RollbackId,
    pub(crate) region: String,
    /// `rolling_back`, `rolled_back`, `cancelled` or `needs_person`.
    pub(crate) status: &'static str,
    /// The commit that is turned back; none where nobody knows it.
    from: Option<Sha>,
    /// The commit that it goes back to.
    to: Option<Sha>,
    /// The step that is under way, or that brought it back.
    step: Option<Step>,
    /// The steps that did not.
    pub(super) tried: Vec<Tried>,
    /// The execution that brings it back, where one does.
    pub(crate) execution: Option<ExecutionId>,
    by: String,
    pub(crate) claimed_at: Timestamp,
    /// When AWS first took a request of it.
    accepted_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    /// Why it stands so: one sentence, never empty.
    pub(crate) reason: String,
    pub(crate) environment: String,
    pub(crate) incident: IncidentId,
    /// The execution that is turned back.
    pub(crate) from_execution: ExecutionId,
    /// The execution that brought the version that it goes back to.
    to_execution: ExecutionId,
    /// What does the work of the step that is under way.
    worker: Option<Worker>,
    /// What shows that it is back.
    proof: Option<Proof>,
    #[serde(skip)]
    digits: [String; 2],
}

impl RollbackView {
    /// A rollback, of all that its incident has.
    pub(crate) fn of(rollback: &Rollback, all: &[Rollback]) -> Self {
        let (step, worker, ended_at) = match &rollback.phase {
            Phase::Claimed | Phase::Choosing => (None, None, None),
            Phase::Asked { step, .. } => (Some(*step), None, None),
            Phase::Going { step, work, .. } => (Some(*step), Some(work.clone()), None),
            Phase::Done { when, step, .. } => (*step, None, Some(*when)),
            Phase::Cancelled { when, .. } | Phase::Person { when, .. } => (None, None, Some(*when)),
        };
        let proof = match &rollback.phase {
            Phase::Done { proof, .. } => Some(proof.clone()),
            Phase::Claimed
            | Phase::Choosing
            | Phase::Asked { .. }
            | Phase::Going { .. }
            | Phase::Cancelled { .. }
            | Phase::Person { .. } => None,
        };
        Self {
            id: rollback.id.clone(),
            region: rollback.region.clone(),
            status: rollback.status(),
            from: rollback.from.sha.clone(),
            to: rollback.to.sha.clone(),
            step,
            tried: rollback.tried.clone(),
            execution: step.and_then(|step| execution(rollback, all, step)),
            by: rollback.by.clone(),
            claimed_at: rollback.claimed_at,
            accepted_at: rollback.accepted_at,
            ended_at,
            reason: reason(rollback),
            environment: rollback.environment.clone(),
            incident: rollback.incident.clone(),
            from_execution: rollback.from.execution.clone(),
            to_execution: rollback.to.execution.clone(),
            worker,
            proof,
            digits: [rollback.from.digits().to_owned(), rollback.to.digits().to_owned()],
        }
    }

    /// From which commit to which: `1a2b3c4 → 5e6f708`.
    pub(crate) fn versions(&self) -> String {
        let [from, to] = &self.digits;
        format!("{from} → {to}")
    }
}

/// The execution that takes a step. It has its id from the two; a start is one for all that go back by it.
fn execution(rollback: &Rollback, all: &[Rollback], step: Step) -> Option<ExecutionId> {
    match (step, &rollback.phase) {
        (_, Phase::Going { work: Worker::Execution { id }, .. }) => Some(id.clone()),
        (Step::RollbackStage, _) => Some(ExecutionId::of_rollback(&rollback.id, step.as_str())),
        (Step::Start, _) => {
            let is_shared = |one: &&Rollback| one.target() == rollback.target() && one.to.sha == rollback.to.sha;
            let first = all.iter().filter(is_shared).map(|one| &one.id).min().unwrap_or(&rollback.id);
            Some(ExecutionId::of_rollback(first, step.as_str()))
        }
        (Step::Stop | Step::Deploy, _) => None,
    }
}

/// What a step does, as the rest of a sentence: "AWS is asked …".
pub(crate) fn step(step: Step) -> &'static str {
    match step {
        Step::Stop => "to stop what is in flight",
        Step::RollbackStage => "to roll the stage back",
        Step::Start => "to run the pipeline with the commit",
        Step::Deploy => "to deploy it past the pipeline",
    }
}

/// How far it got: one sentence without a full stop.
fn reason(rollback: &Rollback) -> String {
    let stage = &rollback.deploy.stage;
    match &rollback.phase {
        Phase::Claimed => format!("it is begun: the way into {stage} is being closed"),
        Phase::Choosing => "the next step is being chosen".to_owned(),
        Phase::Asked { step: which, .. } => format!("AWS is asked {}", step(*which)),
        Phase::Going { step: which, work, .. } => format!("AWS took the request {}{}", step(*which), worker(work)),
        Phase::Done { step: None, proof, .. } => format!("it was back before anything was done: {}", shown(proof)),
        Phase::Done { step: Some(step), proof, .. } => format!("back by the step {}: {}", step.as_str(), shown(proof)),
        Phase::Cancelled { why, .. } | Phase::Person { why, .. } => why.clone(),
    }
}

fn worker(work: &Worker) -> String {
    match work {
        Worker::Execution { id } => format!(" ({id})"),
        Worker::StoppedExecution { aws_id } => format!(" (AWS execution {aws_id})"),
        Worker::Ecs { deployment } if deployment.is_empty() => String::new(),
        Worker::Ecs { deployment } | Worker::CodeDeploy { deployment } => format!(" (deployment {deployment})"),
    }
}

fn shown(proof: &Proof) -> String {
    match proof {
        Proof::Images { digests } => {
            let digests: Vec<&str> = digests.iter().map(|digest| pointsman::domain::image::shown(digest)).collect();
            format!("{} runs", digests.join(", "))
        }
        Proof::Word { why } => format!("AWS says so, and nobody can look ({why})"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, rollback};
    use super::*;
    use serde_json::json;

    #[test]
    fn programs_get_the_contract() {
        let json = serde_json::to_value(RollbackView::of(&rollback(), &[])).unwrap();
        for (field, expected) in [
            ("id", json!("rb-1")),
            ("region", json!("us-east-1")),
            ("status", json!("rolled_back")),
            ("from", json!("bad".repeat(13) + "b")),
            ("to", json!("900d".repeat(10))),
            ("step", json!("start")),
            ("execution", json!(ExecutionId::of_rollback(&RollbackId::named("rb-1"), "start"))),
            ("by", json!("guard")),
            ("claimed_at", json!(at(-120))),
            ("accepted_at", json!(at(-118))),
            ("ended_at", json!(at(-60))),
            ("reason", json!("back by the step start: sha256:900d runs")),
            ("incident", json!("in-1")),
        ] {
            assert_eq!(json[field], expected, "{field}");
        }
        assert_eq!(
            json["tried"],
            json!([{ "step": "rollback_stage", "at": at(-119), "why": "UnableToRollbackStage: edited" }])
        );
        assert_eq!(json.get("digits"), None);
    }

    #[test]
    fn regions_that_go_back_by_one_start_name_one_execution() {
        let other =
            |id: &str, region: &str| Rollback { id: RollbackId::named(id), region: region.into(), ..rollback() };
        let all = [rollback(), other("rb-0", "eu-west-2")];
        let of = |rollback: &Rollback| RollbackView::of(rollback, &all).execution;
        let shared = ExecutionId::of_rollback(&RollbackId::named("rb-0"), "start");
        assert_eq!((of(&all[0]), of(&all[1])), (Some(shared.clone()), Some(shared)));
        let stage = Phase::Asked { step: Step::RollbackStage, since: at(0) };
        let own = ExecutionId::of_rollback(&RollbackId::named("rb-1"), "rollback_stage");
        assert_eq!(of(&Rollback { phase: stage, ..rollback() }), Some(own), "each stage has its own");
    }

    #[test]
    fn how_far_it_got_is_one_sentence() {
        let since = at(-100);
        let (when, work) = (at(-50), Worker::Execution { id: ExecutionId::named("ex-2") });
        let word = Proof::Word { why: "neither ecs nor codedeploy is configured".into() };
        #[rustfmt::skip]
        let cases = [
            (Phase::Claimed,                                                   "rolling_back", "it is begun: the way into Deploy is being closed"),
            (Phase::Choosing,                                                  "rolling_back", "the next step is being chosen"),
            (Phase::Asked { step: Step::Stop, since },                         "rolling_back", "AWS is asked to stop what is in flight"),
            (Phase::Going { step: Step::Start, work, since },                  "rolling_back", "AWS took the request to run the pipeline with the commit (ex-2)"),
            (Phase::Going { step: Step::Deploy, work: Worker::Ecs { deployment: String::new() }, since }, "rolling_back", "AWS took the request to deploy it past the pipeline"),
            (Phase::Done { when, step: Some(Step::Start), proof: word },       "rolled_back",  "back by the step start: AWS says so, and nobody can look (neither ecs nor codedeploy is configured)"),
            (Phase::Cancelled { when, why: "a newer one is live".into() },     "cancelled",    "a newer one is live"),
            (Phase::Person { when, why: "no step brought it back".into() },    "needs_person", "no step brought it back"),
        ];
        for (phase, status, expected) in cases {
            let is_over = phase.is_over();
            let view = RollbackView::of(&Rollback { phase, ..rollback() }, &[]);
            assert_eq!((view.status, view.reason.as_str()), (status, expected));
            assert_eq!(view.ended_at.is_some(), is_over, "{expected}");
        }
    }
}
