//! `pointsman executions resolve`: a person settles what nobody could know.

use super::{act, view};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use crate::text::Style;
use pointsman::aws::CallError;
use pointsman::domain::execution::{Execution, Origin, StartEvent};

const EXAMPLES: &str = "\
Examples:
  pointsman executions resolve ex-0123456789abcdef0123 --is 2f3e1a7c-9d1b-4c55-8e0a-6f1f3f3b9a10
  pointsman executions resolve ex-0123456789abcdef0123 --start-again

Look at AWS first: `executions show` names the candidates. With --start-again the commit may run twice if one of them
was it after all.";

/// Say which of AWS's executions an unknown one is, or that it is none
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The execution: `ex-…`
    id: String,
    #[command(flatten)]
    answer: Answer,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Answer {
    /// It is this one of AWS's
    #[arg(long, value_name = "AWS_ID")]
    is: Option<String>,
    /// It is none of AWS's: start it again
    #[arg(long)]
    start_again: bool,
}

/// Takes the person's word, under the same rules as AWS's.
pub(super) async fn run(args: &Args, session: &Session, style: &Style) -> Result<Report, Failure> {
    let execution = act::find(session, &args.id).await?;
    match &args.answer.is {
        Some(aws_id) => is(session, &execution, aws_id, style).await,
        None => start_again(session, &execution, style).await,
    }
}

async fn is(session: &Session, execution: &Execution, aws_id: &str, style: &Style) -> Result<Report, Failure> {
    let engine = session.engine().await?;
    match engine.targets.seen(&execution.target, aws_id).await {
        Ok(_) => {}
        Err(CallError::Refused { code, message }) => {
            let target = &execution.target;
            return Err(Failure::NotFound(format!("AWS knows no execution {aws_id} of {target}: {code}: {message}")));
        }
        Err(error) => return Err(error.into()),
    }
    let event = StartEvent::ResolvedAs { aws_id: aws_id.to_owned() };
    let after = engine.take_up(&execution.id, &event, session.now()).await?;
    let view = view::load(session, after).await?;
    Ok(Report::new(view.text(style), &view))
}

/// The word is taken here, with the operator's name; `dispatch` starts it, or within a minute `sweep`.
async fn start_again(session: &Session, execution: &Execution, style: &Style) -> Result<Report, Failure> {
    let engine = session.engine().await?;
    // Only `rollback` may turn a stage back. What it does not wait for any more is settled: it is not started.
    if let (Origin::Rollback { .. }, Some(environment)) = (&execution.origin, &execution.environment) {
        let again = format!("`pointsman rollback {environment} --reason …` has it done anew");
        if engine.kept_out(execution).await?.is_none() {
            return Err(Failure::Refused(format!("{} turns a version back: {again}", execution.id)));
        }
        engine.take_up(&execution.id, &StartEvent::StartAgain, session.now()).await?;
        let after = engine.take_up(&execution.id, &StartEvent::Begin, session.now()).await?;
        let view = view::load(session, after).await?;
        return Ok(Report::new(view.text(style), &view).note(format!("it is settled, and not started: {again}")));
    }
    let decided = engine.take_up(&execution.id, &StartEvent::StartAgain, session.now()).await?;
    act::ask_dispatch(session, &execution.id).await?;
    let after = act::wait_for_start(session, &decided).await?;
    let after = after.unwrap_or(decided);
    let has_started = after.start.aws_id().is_some();
    let view = view::load(session, after).await?;
    let report = Report::new(view.text(style), &view).ok_if(has_started);
    Ok(if has_started { report } else { report.note("it has not started yet: `sweep` goes on asking") })
}
