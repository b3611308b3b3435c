//! `pointsman executions stop`: AWS stops it; `record` learns from AWS's events that it did.

use super::{act, view};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use crate::text::Style;
use pointsman::aws::CallError;
use pointsman::domain::execution::{Execution, Start, Status, TargetKind};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  pointsman executions stop ex-0123456789abcdef0123 --reason \"wrong commit\"
  pointsman executions stop ex-0123456789abcdef0123 --reason \"stuck for an hour\" --abandon

What is in progress is finished first, unless --abandon is given. A build stops at once.";

/// Stop an execution that runs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The execution: `ex-…`
    id: String,
    /// Why, for the audit log and for AWS
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// Do not wait for actions that are in progress
    #[arg(long)]
    abandon: bool,
}

/// Stops it: the intent is written down before AWS is asked, and the outcome after.
pub(super) async fn run(args: &Args, session: &Session, style: &Style) -> Result<Report, Failure> {
    let execution = act::find(session, &args.id).await?;
    let aws_id = stoppable(&execution)?;
    let intent = json!({ "reason": args.reason, "abandon": args.abandon });
    act::write_down(session, &execution.id, "stop intended", intent).await?;
    let targets = session.targets();
    match targets.stop(&execution.target, aws_id, &args.reason, args.abandon).await {
        Ok(()) => act::write_down(session, &execution.id, "stop accepted", json!({})).await?,
        Err(error) => {
            let what = match &error {
                CallError::Refused { .. } | CallError::Throttled { .. } => "stop refused",
                CallError::Lost(_) => "stop not answered",
            };
            act::write_down(session, &execution.id, what, json!({ "reason": error.to_string() })).await?;
            return Err(refusal(&execution, error, args.abandon));
        }
    }
    let execution = act::find(session, &args.id).await?;
    let is_at_once = args.abandon || execution.target.kind == TargetKind::Build;
    let note = if is_at_once {
        "AWS is stopping it"
    } else if execution.status == Status::AwaitingApproval {
        "AWS stops it once the approval is answered; --abandon stops it now"
    } else {
        "AWS stops it once what is in progress has ended"
    };
    let view = view::load(session, execution).await?;
    Ok(Report::new(view.text(style), &view).note(note))
}

/// What AWS's refusal means to whoever asked.
fn refusal(execution: &Execution, error: CallError, abandon: bool) -> Failure {
    if !error.is("DuplicatedStopRequestException") {
        return error.into();
    }
    let more = if abandon { "" } else { "; --abandon does not wait for what is in progress" };
    Failure::Refused(format!("{} is being stopped already{more}", execution.id))
}

/// AWS's id of an execution that can be stopped.
fn stoppable(execution: &Execution) -> Result<&str, Failure> {
    if execution.status.is_over() {
        return Err(Failure::Refused(format!("{} has ended as {}", execution.id, execution.status.as_str())));
    }
    match &execution.start {
        Start::Started { aws_id } => Ok(aws_id),
        Start::Unknown { .. } => Err(Failure::Refused(format!(
            "nobody knows whether {0} runs: `pointsman executions resolve {0}` settles it first",
            execution.id
        ))),
        Start::Requested { .. } | Start::Asked { .. } | Start::Refused { .. } | Start::Overtaken { .. } => {
            Err(Failure::Refused(format!("{} has not started", execution.id)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(start: &Start, status: Status) -> Execution {
        serde_json::from_value(json!({
            "id": "ex-1", "kind": "build", "origin": { "by": "delivery", "delivery": "d1" },
            "target": { "kind": "build", "name": "p", "region": "us-east-1" }, "variables": {},
            "start": start, "status": status,
            "created_at": "2027-01-15T07:58:00Z", "wanted_since": "2027-01-15T07:58:00Z", "updated_at": "2027-01-15T07:59:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn a_second_stop_is_told_what_would_be_quicker() {
        let execution = execution(&Start::Started { aws_id: "aws-1".into() }, Status::Running);
        let refused = |code: &str| CallError::Refused { code: code.to_owned(), message: "m".to_owned() };
        let said = |code, abandon| refusal(&execution, refused(code), abandon).to_string();
        let quicker = "ex-1 is being stopped already; --abandon does not wait for what is in progress";
        assert_eq!(said("DuplicatedStopRequestException", false), quicker);
        assert_eq!(said("DuplicatedStopRequestException", true), "ex-1 is being stopped already");
        assert_eq!(said("PipelineNotFoundException", false), "PipelineNotFoundException: m");
    }

    #[test]
    fn only_what_runs_can_be_stopped() {
        let started = || Start::Started { aws_id: "aws-1".into() };
        let requested = Start::Requested { refusal: None, asks: 0 };
        let unknown = Start::Unknown { reason: "lost".into(), candidates: vec![], asks: 2 };
        #[rustfmt::skip]
        let cases = [
            (started(), Status::Running,          true,  "it runs"),
            (started(), Status::AwaitingApproval, true,  "it waits for a person"),
            (started(), Status::Succeeded,        false, "it has ended"),
            (requested, Status::Requested,        false, "AWS knows nothing of it"),
            (unknown,   Status::Unknown,          false, "nobody knows which it is"),
        ];
        for (start, status, expected, why) in cases {
            assert_eq!(stoppable(&execution(&start, status)).is_ok(), expected, "{why}");
        }
    }
}
