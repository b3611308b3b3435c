//! `pointsman approvals approve` and `reject`: a vote from a terminal, under the same policy and into the same audit log
//! as one by link.
//!
//! A link says whose it is. Here AWS says whose credentials these are, and that name must be an approver's: their
//! address, or their GitHub login.

use super::view::View;
use super::{find, sheet, words};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use crate::text::Style;
use pointsman::approving::{Cast, cast, situation};
use pointsman::domain::approval::{Approval, Ballot, Choice, DIGITS, Person, Refused, State, Told, Via, tally};
use pointsman::domain::policy::Member;
use pointsman::domain::starter::Starter;
use std::collections::BTreeMap;

const APPROVE_EXAMPLES: &str = "\
Examples:
  pointsman approvals approve ap-0123456789abcdef0123 --sha 1a2b3c4
  pointsman approvals approve ap-0123456789abcdef0123 --sha 1a2b3c4 --override --comment \"the shop is down\"
  pointsman --local approvals approve ap-0123456789abcdef0123 --sha 1a2b3c4 --as ada@example.com

You vote as the person whom AWS names: the session's or the user's name must be your address or your GitHub login as
the configuration has it. `approvals show` tells the commit.";
const REJECT_EXAMPLES: &str = "\
Examples:
  pointsman approvals reject ap-0123456789abcdef0123 --sha 1a2b3c4 --comment \"the migration is missing\"
  pointsman --local approvals reject ap-0123456789abcdef0123 --sha 1a2b3c4 --comment \"not today\" --as ada@example.com

One rejection ends it. You vote as the person whom AWS names, as with `approvals approve`.";

/// Let it in, as far as your word goes
#[derive(Debug, clap::Args)]
#[command(after_help = APPROVE_EXAMPLES)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    voter: Voter,
    /// What you have to say; with --override it says why
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// Put the freeze aside, if you may
    #[arg(long = "override")]
    overrides: bool,
}

/// Keep it out
#[derive(Debug, clap::Args)]
#[command(after_help = REJECT_EXAMPLES)]
pub(crate) struct RejectArgs {
    #[command(flatten)]
    voter: Voter,
    /// Why
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    comment: String,
}

#[derive(Debug, clap::Args)]
struct Voter {
    /// The approval: `ap-…`
    id: String,
    /// The first seven digits of the commit, to show that you read which one it is
    #[arg(long, value_name = "DIGITS", value_parser = digits)]
    sha: String,
    /// Who you are, with --local: a local account knows nobody
    #[arg(long = "as", value_name = "EMAIL")]
    email: Option<String>,
}

/// As many digits as are asked for. Whether they are the right ones is not said here.
fn digits(typed: &str) -> Result<String, String> {
    let typed = typed.trim();
    if typed.chars().count() == DIGITS { Ok(typed.to_owned()) } else { Err(format!("give the first {DIGITS} digits")) }
}

pub(super) async fn approve(args: &ApproveArgs, session: &Session, style: &Style) -> Result<Report, Failure> {
    let ApproveArgs { voter, comment, overrides } = args;
    let (digits, comment) = (voter.sha.clone(), comment.clone());
    vote(voter, Ballot { choice: Choice::Approve, digits, comment, overrides: *overrides }, session, style).await
}

pub(super) async fn reject(args: &RejectArgs, session: &Session, style: &Style) -> Result<Report, Failure> {
    let RejectArgs { voter, comment } = args;
    let (digits, comment) = (voter.sha.clone(), comment.clone());
    vote(voter, Ballot { choice: Choice::Reject, digits, comment, overrides: false }, session, style).await
}

async fn vote(voter: &Voter, ballot: Ballot, session: &Session, style: &Style) -> Result<Report, Failure> {
    let approval = find(session, &voter.id).await?;
    let person = Person { key: who(voter, &approval, session).await?, via: via(session).await? };
    let engine = session.engine().await?;
    let cast = cast(&engine, &approval.id, &person, &ballot, session.now()).await?;
    if let Some(refused) = &cast.refused {
        return Err(refusal(&cast.approval, refused));
    }
    let Cast { approval, situation, .. } = &cast;
    let text = sheet::text(approval, situation, style);
    Ok(Report::new(text, &View::of(approval, situation)).note(outcome(&cast)).ok_if(is_heard(&approval.state)))
}

async fn via(session: &Session) -> Result<Via, Failure> {
    Ok(Via::Terminal { arn: session.caller().await?.to_owned() })
}

/// The lower-cased address of whoever votes.
async fn who(voter: &Voter, approval: &Approval, session: &Session) -> Result<String, Failure> {
    match (&voter.email, session.is_local) {
        (Some(email), true) => Ok(email.to_lowercase()),
        (None, true) => Err(Failure::Usage("a local account knows nobody: say who you are with --as EMAIL".to_owned())),
        (Some(_), false) => {
            Err(Failure::Usage("AWS says who you are: --as is good for a local account alone".to_owned()))
        }
        (None, false) => {
            let arn = session.caller().await?;
            let situation = situation(&session.reader(), approval, session.now()).await?;
            named(arn, &situation.people(approval))
        }
    }
}

/// The one person whom AWS's name for the caller is the name of.
fn named(arn: &str, people: &BTreeMap<String, Member>) -> Result<String, Failure> {
    let caller = Starter::of(arn);
    let is_named = |member: &Member| caller.is(&member.email, member.github.as_deref()) == Some(true);
    let mut found = people.iter().filter(|(_, member)| is_named(member)).map(|(key, _)| key);
    let why = match (found.next(), found.next()) {
        (Some(key), None) => return Ok(key.clone()),
        (None, _) => "no approver's address or GitHub login",
        (Some(_), Some(_)) => "the name of more than one approver",
    };
    Err(Failure::Refused(format!(
        "AWS names you {arn}, which is {why}: nothing was done; the link in an approver's mail is the other way"
    )))
}

/// Why a vote was not taken. It never tells the digits.
fn refusal(approval: &Approval, refused: &Refused) -> Failure {
    let id = &approval.id;
    Failure::Refused(match refused {
        Refused::Over => {
            let how = words::outcome(&approval.state).unwrap_or_else(|| approval.status().to_owned());
            format!("{id} is over: {how}")
        }
        Refused::WrongDigits => format!("{refused}: `pointsman approvals show {id}` tells which one it is"),
        Refused::NoComment => format!("{refused}: give --comment"),
        Refused::NotAsked
        | Refused::CommentTooLong
        | Refused::Barred { .. }
        | Refused::NoCommit
        | Refused::Blocked { .. }
        | Refused::Frozen { .. }
        | Refused::NotFrozen
        | Refused::MayNotOverride => refused.to_string(),
    })
}

/// What a vote came to.
fn outcome(cast: &Cast) -> String {
    let tally = tally(&cast.approval, &cast.situation.standing);
    words::outcome(&cast.approval.state)
        .unwrap_or_else(|| format!("your vote is taken; still wanted: {}", sheet::still_wanted(&tally)))
}

/// Whether CodePipeline does what was decided, or will once it is told.
fn is_heard(state: &State) -> bool {
    match state {
        State::Open | State::Ended { .. } | State::LeftToConsole { .. } => true,
        State::Decided { decision, told, .. } => match told {
            Told::Pending { .. } | Told::Done { .. } => true,
            Told::Overruled { approved, .. } => *approved == decision.lets_in(),
            Told::Gone { .. } => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{decided, open};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_voter_is_the_one_person_whom_aws_names() {
        let people: BTreeMap<String, Member> =
            [("ada@x.org", Some("ada")), ("bob@x.org", Some("twin")), ("eve@x.org", Some("Twin")), ("zoe@x.org", None)]
                .map(|(email, github)| {
                    (email.to_owned(), Member { email: email.to_owned(), github: github.map(str::to_owned) })
                })
                .into();
        let sts = |name: &str| format!("arn:aws:sts::123456789012:assumed-role/Admin/{name}");
        #[rustfmt::skip]
        let cases = [
            (sts("ada@x.org"),                            Ok("ada@x.org"),   "a session by the address"),
            (sts("Ada"),                                  Ok("ada@x.org"),   "by the login, without case"),
            ("arn:aws:iam::123456789012:user/zoe@x.org".to_owned(), Ok("zoe@x.org"), "a user"),
            (sts("twin"),                                 Err("more than one"), "it may be either"),
            (sts("mallory"),                              Err("no approver"), "somebody else"),
            (sts("botocore-session-1"),                   Err("no approver"), "a session that nobody named"),
            ("arn:aws:iam::123456789012:root".to_owned(), Err("no approver"), "an account is no person"),
        ];
        for (arn, expected, why) in cases {
            match (named(&arn, &people), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{why}"),
                (Err(failure), Err(part)) => {
                    let text = failure.to_string();
                    assert!(text.contains(part) && text.contains(&arn) && text.contains("the link"), "{why}: {text}");
                    assert_eq!(failure.exit_code(), 1);
                }
                (found, expected) => panic!("{why}: {found:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_refusal_is_one_sentence_and_tells_no_digits() {
        let over = decided(json!({ "is": "ended", "at": "2027-01-15T08:00:00Z", "end": { "end": "timed_out" } }));
        #[rustfmt::skip]
        let cases = [
            (over,   Refused::Over,                          "ap-1 is over: CodePipeline's own time for it ran out"),
            (open(), Refused::WrongDigits,                   "the digits are not those of this commit: `pointsman approvals show ap-1` tells which one it is"),
            (open(), Refused::NoComment,                     "a comment is needed: give --comment"),
            (open(), Refused::Barred { why: "you".into() },  "you may not approve this: you"),
            (open(), Refused::Blocked { why: vec!["a".into(), "b".into()] }, "a; b"),
        ];
        for (approval, refused, expected) in cases {
            let text = refusal(&approval, &refused).to_string();
            assert_eq!(text, expected);
            assert!(!text.contains(approval.digits()), "{text}");
        }
    }

    #[test]
    fn a_decision_that_codepipeline_takes_otherwise_came_out_badly() {
        let state = |told| {
            json!({ "is": "decided", "at": "2027-01-15T08:00:00Z", "told": told,
            "decision": { "decision": "approved", "by": ["ada@x.org"] } })
        };
        #[rustfmt::skip]
        let cases = [
            (json!({ "is": "open" }),                                                     true,  "others are wanted"),
            (state(json!({ "told": "done", "at": "2027-01-15T08:00:00Z" })),              true,  "it goes in"),
            (state(json!({ "told": "pending", "trouble": "no answer" })),                 true,  "it will be told"),
            (state(json!({ "told": "overruled", "by": "arn:a", "approved": true })),      true,  "somebody said the same"),
            (state(json!({ "told": "overruled", "by": "arn:a", "approved": false })),     false, "somebody said no"),
            (state(json!({ "told": "gone", "why": "the execution was stopped" })),        false, "nothing is left to decide"),
        ];
        for (state, expected, why) in cases {
            assert_eq!(is_heard(&decided(state).state), expected, "{why}");
        }
    }
}
