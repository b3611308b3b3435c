//! `pointsman executions retry`: a start that AWS refused is begun again; a pipeline that failed runs its failed
//! stage again.

use super::{act, view};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::{Session, WAIT};
use crate::text::Style;
use pointsman::aws::CallError;
use pointsman::aws::targets::Targets;
use pointsman::domain::execution::{Execution, Origin, Start, Status, TargetKind};
use pointsman::domain::observed::{Observed, State};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  pointsman executions retry ex-0123456789abcdef0123

A start that AWS refused is asked for again, with the commit and the variables that were decided then. A pipeline that
failed runs the failed actions of its failed stage again. A build that failed cannot go on: start its route again.";

/// Try again: a start that was refused, or the stage that failed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The execution: `ex-…`
    id: String,
}

/// What trying again means for an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again<'a> {
    Start,
    Stage { aws_id: &'a str },
}

/// Tries again.
pub(super) async fn run(args: &Args, session: &Session, style: &Style) -> Result<Report, Failure> {
    let execution = act::find(session, &args.id).await?;
    match again(&execution)? {
        Again::Start => start(session, &execution, style).await,
        Again::Stage { aws_id } => stage(session, &execution, aws_id, style).await,
    }
}

fn again(execution: &Execution) -> Result<Again<'_>, Failure> {
    let id = &execution.id;
    match (&execution.start, execution.status, execution.target.kind) {
        // The world has moved on since, and with it what may be turned back to what.
        (Start::Refused { .. }, _, _) if matches!(execution.origin, Origin::Rollback { .. }) => Err(Failure::Refused(
            format!("{id} is a step of a rollback, and those are not asked for again by themselves"),
        )),
        (Start::Refused { .. }, _, _) => Ok(Again::Start),
        (Start::Started { aws_id }, Status::Failed, TargetKind::Pipeline) => Ok(Again::Stage { aws_id }),
        (Start::Started { .. }, Status::Failed, TargetKind::Build) => Err(Failure::Refused(format!(
            "{id} is a build, and those cannot go on: start its route again with `pointsman start`"
        ))),
        (Start::Unknown { .. }, _, _) => Err(Failure::Refused(format!(
            "nobody knows whether {id} ran: `pointsman executions resolve {id}` settles it first"
        ))),
        (Start::Overtaken { by }, _, _) => Err(Failure::Refused(format!(
            "{id} was overtaken by the newer delivery {by}: `pointsman start` starts its commit all the same"
        ))),
        (Start::Requested { .. } | Start::Asked { .. } | Start::Started { .. }, status, _) => {
            Err(Failure::Refused(format!("{id} is {}, not failed: there is nothing to try again", status.as_str())))
        }
    }
}

async fn start(session: &Session, execution: &Execution, style: &Style) -> Result<Report, Failure> {
    act::write_down(session, &execution.id, "retry asked for", json!({})).await?;
    act::ask_dispatch(session, &execution.id).await?;
    let after = act::wait_for_start(session, execution).await?;
    let is_answered = after.is_some();
    let after = match after {
        Some(after) => after,
        None => act::find(session, execution.id.as_str()).await?,
    };
    let has_started = after.start.aws_id().is_some();
    let view = view::load(session, after).await?;
    let report = Report::new(view.text(style), &view).ok_if(has_started);
    if is_answered {
        return Ok(report);
    }
    let after = WAIT.as_secs();
    Ok(report.note(format!("no answer after {after} s; `pointsman executions show {}` tells more", execution.id)))
}

async fn stage(session: &Session, execution: &Execution, aws_id: &str, style: &Style) -> Result<Report, Failure> {
    // A retry passes neither the start's own question nor a closed way.
    if let Some(reason) = session.engine().await?.kept_out(execution).await? {
        return Err(Failure::Refused(reason));
    }
    let targets = session.targets();
    let stage = failed_stage(session, &targets, execution, aws_id).await?;
    act::write_down(session, &execution.id, "stage retry intended", json!({ "stage": stage })).await?;
    match targets.pipelines().retry(&execution.target, aws_id, &stage).await {
        Ok(()) => act::write_down(session, &execution.id, "stage retry accepted", json!({ "stage": stage })).await?,
        Err(error) => {
            let what = match &error {
                CallError::Refused { .. } | CallError::Throttled { .. } => "stage retry refused",
                CallError::Lost(_) => "stage retry not answered",
            };
            let detail = json!({ "stage": stage, "reason": error.to_string() });
            act::write_down(session, &execution.id, what, detail).await?;
            return Err(error.into());
        }
    }
    let view = view::load(session, act::find(session, execution.id.as_str()).await?).await?;
    Ok(Report::new(view.text(style), &view).note(format!("AWS runs the failed actions of stage {stage} again")))
}

/// The stage that failed, by what was reported, or else by what AWS says now.
async fn failed_stage(
    session: &Session,
    targets: &Targets,
    execution: &Execution,
    aws_id: &str,
) -> Result<String, Failure> {
    let run = session.ledger.run(&execution.target, aws_id, session.now()).await?.value;
    if let Some(stage) = failed_of(&run.observed) {
        return Ok(stage);
    }
    let observed = targets.observe(&execution.target, aws_id, session.now()).await?;
    failed_of(&observed).ok_or_else(|| Failure::Refused(format!("AWS tells of no failed stage of {}", execution.id)))
}

/// The failed stage, or the stage of a failed action: the API tells of actions alone.
fn failed_of(observed: &Observed) -> Option<String> {
    let stages = observed.stages.iter().filter(|(_, stage)| stage.mark.state == State::Failed);
    let latest = stages.max_by_key(|(_, stage)| stage.mark).map(|(name, _)| name.clone());
    latest.or_else(|| {
        let actions = observed.actions.iter().filter(|(_, action)| action.progress.mark.state == State::Failed);
        let (path, _) = actions.max_by_key(|(_, action)| action.progress.mark)?;
        Some(path.split_once('/')?.0.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman::domain::observed::{Mark, Report as Reported};
    use pointsman::domain::rollback::RollbackId;

    fn execution(start: Start, status: Status, kind: &str) -> Execution {
        serde_json::from_value(json!({
            "id": "ex-1", "kind": "deployment", "origin": { "by": "delivery", "delivery": "d1" },
            "target": { "kind": kind, "name": "p", "region": "us-east-1" }, "variables": {},
            "start": start, "status": status,
            "created_at": "2027-01-15T07:58:00Z", "wanted_since": "2027-01-15T07:58:00Z", "updated_at": "2027-01-15T07:59:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn trying_again_depends_on_what_failed() {
        let started = || Start::Started { aws_id: "aws-1".into() };
        let refused = Start::Refused { reason: "no such pipeline".into() };
        let unknown = Start::Unknown { reason: "lost".into(), candidates: vec![], asks: 2 };
        let overtaken = Start::Overtaken { by: "d2".parse().unwrap() };
        #[rustfmt::skip]
        let cases = [
            (refused,   Status::Failed,     "pipeline", Some(Again::Start),                     "it never started"),
            (started(), Status::Failed,     "pipeline", Some(Again::Stage { aws_id: "aws-1" }), "a stage failed"),
            (started(), Status::Failed,     "build",    None,                                   "builds cannot go on"),
            (started(), Status::Succeeded,  "pipeline", None,                                   "nothing failed"),
            (started(), Status::Running,    "pipeline", None,                                   "it still runs"),
            (unknown,   Status::Unknown,    "pipeline", None,                                   "it may have run"),
            (overtaken, Status::Superseded, "pipeline", None,                                   "a newer one runs"),
        ];
        for (start, status, kind, expected, why) in cases {
            assert_eq!(again(&execution(start, status, kind)).ok(), expected, "{why}");
        }
        let mut step = execution(Start::Refused { reason: "outdated".into() }, Status::Failed, "pipeline");
        step.origin = Origin::Rollback { rollback: RollbackId::named("rb-1") };
        assert_eq!(again(&step).ok(), None, "what a rollback asked for then may be wrong now");
    }

    #[test]
    fn the_failed_stage_is_the_one_that_failed_last() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let mark = |second, state| Mark { attempt: 1, at: at(second), state };
        let mut observed = Observed::default();
        assert_eq!(failed_of(&observed), None);
        let (stage, action, category) = ("Test".to_owned(), "Unit".to_owned(), "Test".to_owned());
        observed.fold(&Reported::Action { stage, action, category, mark: mark(1, State::Failed), link: None });
        assert_eq!(failed_of(&observed).as_deref(), Some("Test"), "by its action");
        observed.fold(&Reported::Stage { stage: "Build".into(), mark: mark(2, State::Failed) });
        observed.fold(&Reported::Stage { stage: "Deploy".into(), mark: mark(3, State::Failed) });
        observed.fold(&Reported::Stage { stage: "Approve".into(), mark: mark(4, State::Succeeded) });
        assert_eq!(failed_of(&observed).as_deref(), Some("Deploy"));
    }
}
