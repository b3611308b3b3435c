//! `pointsman approvals remind`: has `sweep` send the mails again, each with a fresh link.
//!
//! This tool mints no link: whoever could would be able to vote as anybody.

use super::{find, shown};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use crate::text::Style;
use pointsman::approving::remind;
use pointsman::domain::approval::Approval;

const EXAMPLES: &str = "\
Examples:
  pointsman approvals remind ap-0123456789abcdef0123
  pointsman approvals remind ap-0123456789abcdef0123 --to ada@example.com

Without --to everybody is reminded who is still wanted. `sweep` sends the mails within a minute.";

/// Send approvers their mail again, with a fresh link
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The approval: `ap-…`
    id: String,
    /// Only this person
    #[arg(long, value_name = "EMAIL")]
    to: Option<String>,
}

/// Has them sent.
pub(super) async fn run(args: &Args, session: &Session, style: &Style) -> Result<Report, Failure> {
    let approval = find(session, &args.id).await?;
    let id = &approval.id;
    if !approval.is_open(session.now()) {
        return Err(Failure::Refused(format!("{id} is over: `pointsman approvals show {id}` tells how")));
    }
    let only = args.to.as_deref().map(|email| asked(&approval, email)).transpose()?;
    let reminded = remind(&session.engine().await?, id, only.as_deref(), session.now()).await?;
    if reminded.is_empty() {
        return Err(Failure::Refused(format!("nobody who was asked is still wanted: nobody was reminded of {id}")));
    }
    let report = shown(session, &find(session, &args.id).await?, style).await?;
    Ok(report.note(format!("`sweep` mails a fresh link within a minute to {}", reminded.join(", "))))
}

/// The lower-cased address of somebody who was asked.
fn asked(approval: &Approval, email: &str) -> Result<String, Failure> {
    let key = email.to_lowercase();
    let absent = || Failure::NotFound(format!("no approver {email} was asked by {}", approval.id));
    if approval.people.contains_key(&key) { Ok(key) } else { Err(absent()) }
}
