//! `pointsman approvers confirm`: confirms an approver's subscription with a signature, so that no link in a mail ends it.

use super::People;
use super::view::{self, View};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use crate::text::Style;
use pointsman::approvers::look;
use pointsman::aws::CallError;
use pointsman::domain::approver::{Person, Reach, topic_of};
use std::io::Read;

/// The longest link that is read, in bytes. What is behind it is not a token's.
const LINK_MAX_BYTES: u64 = 8 * 1024;
/// The longest token, in characters: those of SNS have some 200 to 300.
const TOKEN_MAX: usize = 512;

const EXAMPLES: &str = "\
Examples:
  pointsman approvers confirm ada@example.com --token -
  pointsman approvers confirm ada@example.com --token 2336412f37fb687f5d51e6e2425dacbb

With `-` the link is read from stdin, and stays out of your shell's history. Whoever follows the link of AWS's mail
confirms as well, but then anybody who has a mail can end the subscription: also a scanner that opens every link.";

/// Confirm an approver's subscription with the link of AWS's mail, so that only AWS credentials can end it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The approver's address
    email: String,
    /// The link "Confirm subscription" of AWS's mail, or the token in it; `-` for stdin
    #[arg(long, value_name = "LINK|TOKEN")]
    token: String,
}

/// Confirms it.
pub(super) async fn run(args: &Args, session: &Session, style: &Style) -> Result<Report, Failure> {
    let people = People::live(session).await?;
    let person = people.at(&args.email)?.clone();
    let topics = session.topics().await?;
    let token = token_in(&given(&args.token)?, &person)?;
    topics.confirm(&person.email, &token).await.map_err(|error| refusal(&person, error))?;
    let view = View::of(person.clone(), look(&topics, &person.email).await?);
    let text = view::list(std::slice::from_ref(&view), style);
    let report = Report::new(text, &view).ok_if(view.is_protected());
    Ok(view.advice().into_iter().fold(report, Report::note))
}

/// What was given: as an argument, or on stdin.
fn given(argument: &str) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LINK_MAX_BYTES).read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("stdin: {error}")))?;
    Ok(text)
}

/// The token in a link, also in one that a mail scanner has wrapped into its own; or the token itself.
fn token_in(given: &str, person: &Person) -> Result<String, Failure> {
    let given = given.trim();
    let after = |name: &str| ["=", "%3D", "%3d"].iter().find_map(|equals| given.split_once(&format!("{name}{equals}")));
    if after("TopicArn").is_some() && !given.contains(&topic_of(&person.email)) {
        return Err(Failure::Usage(format!("this link is not of a mail to {}: it names another topic", person.email)));
    }
    let rest = after("Token").map_or(given, |(_, rest)| rest);
    let end = rest.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let (token, rest) = rest.split_at(end);
    // Behind a token there is nothing, or the next part of the link.
    let is_whole = rest.is_empty() || rest.starts_with(['&', '%']);
    if !is_whole || !(1..=TOKEN_MAX).contains(&token.len()) {
        return Err(Failure::Usage("that is neither the link of AWS's mail nor its token".to_owned()));
    }
    Ok(token.to_owned())
}

/// What AWS's refusal means to whoever asked.
fn refusal(person: &Person, error: CallError) -> Failure {
    if !error.is("InvalidParameter") && !error.is("NotFound") {
        return error.into();
    }
    let remedy = Reach::Pending.remedy(&person.email).unwrap_or_default();
    Failure::Refused(format!("AWS does not take it: it is older than 48 hours, or a later mail has another. {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn ada() -> Person {
        Person { email: "ada@example.com".to_owned(), github: None, groups: BTreeSet::new() }
    }

    #[test]
    fn a_token_is_taken_out_of_whatever_was_pasted() {
        let topic = |email: &str| format!("arn:aws:sns:us-east-1:123456789012:pointsman-approver-{}", topic_of(email));
        let link = |email: &str| {
            let host = "https://sns.us-east-1.amazonaws.com/confirmation.html";
            format!("{host}?TopicArn={}&Token=2336ab&Endpoint={email}", topic(email))
        };
        let encoded = |text: &str| text.replace(':', "%3A").replace('=', "%3D").replace('&', "%26").replace('?', "%3F");
        let wrapped = format!("https://scanner.example/?url={}&data=05", encoded(&link("ada@example.com")));
        #[rustfmt::skip]
        let cases = [
            ("2336ab".to_owned(),                          Some("2336ab"), "the token alone"),
            (" 2336ab\n".to_owned(),                       Some("2336ab"), "with a line break, as from a pipe"),
            (link("ada@example.com"),                      Some("2336ab"), "the link"),
            (link("ada@example.com").replace(':', "%3A"),  Some("2336ab"), "with its ARN encoded"),
            (wrapped,                                      Some("2336ab"), "a link that a scanner rewrote"),
            (link("eve@example.com"),                      None,           "of somebody else's mail"),
            ("https://example.com/".to_owned(),            None,           "another link"),
            ("Token=".to_owned(),                          None,           "no token"),
            ("".to_owned(),                                None,           "nothing"),
            ("a".repeat(TOKEN_MAX + 1),                    None,           "no token is so long"),
            ("2336 ab".to_owned(),                         None,           "two words"),
        ];
        for (given, expected, why) in cases {
            let found = token_in(&given, &ada());
            assert_eq!(found.as_deref().ok(), expected, "{why}");
            assert!(found.err().is_none_or(|failure| failure.exit_code() == 2), "{why}");
        }
    }

    #[test]
    fn a_token_that_is_over_is_told_from_other_trouble() {
        let refused = |code: &str| CallError::Refused { code: code.to_owned(), message: "m".to_owned() };
        let said = refusal(&ada(), refused("InvalidParameter")).to_string();
        insta::assert_snapshot!(said, @r"
        AWS does not take it: it is older than 48 hours, or a later mail has another. `pointsman approvers confirm ada@example.com --token -` takes the link of AWS's mail; `pointsman approvers sync --again ada@example.com` has AWS send another one
        ");
        assert_eq!(refusal(&ada(), refused("AuthorizationError")).to_string(), "AuthorizationError: m");
    }
}
