//! SNS: the approvers' topics, one each, the mail that goes through them, and the topic that tells what happened.
//!
//! What an approver is sent holds a link that lets somebody in. So an error of sending says AWS's code, and nothing else that came
//! back: AWS's sentences may quote what they refuse.

use super::{AwsConfig, CallError, client};
use crate::domain::approver::{MAIL_PROTOCOL, Reach, Subscription, is_topic, topic_of};
use aws_sdk_sns::types as sdk;
use std::borrow::Cow;

/// The longest subject, in characters; what is longer is cut. SNS takes fewer than 100.
const SUBJECT_MAX: usize = 99;
/// The longest text, in bytes. A longer mail to an approver is refused here: cut, it could lose the link. A longer
/// notice is cut.
///
/// Source: the SNS API reference, Publish.
const MESSAGE_MAX_BYTES: usize = 262_144;
/// How many subscriptions of a topic are read, in pages of 100. With more, nobody can say who is on it.
const SUBSCRIPTION_PAGES_MAX: usize = 10;
/// How many topics of an account are read, in pages of 100: as many as it may have. Source: "SNS quotas".
const TOPIC_PAGES_MAX: usize = 1_000;
/// What a notice ends with that was cut.
const CUT_OFF: &str = "\n\n(This text was cut off here: it is longer than SNS takes.)\n";
/// What approvers see as the sender's name.
const SENDER: &str = "Pointsman";

/// What SNS lists in the place of an ARN: not confirmed yet.
const PENDING: &str = "PendingConfirmation";
/// And: ended, and not forgotten yet. Nothing is delivered there.
const DELETED: &str = "Deleted";
/// SNS's word for a topic or a subscription that is not there.
const NOT_FOUND: &str = "NotFound";

/// The topics of all approvers.
#[derive(Debug, Clone)]
pub struct Topics {
    client: aws_sdk_sns::Client,
    prefix: String,
}

/// Why a mail was not sent. Each variant is a different reaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It would not reach them, or not them alone: somebody must mend their topic.
    #[error("{0}")]
    Unreachable(Reach),
    /// SNS asked to be left alone: nothing was sent; try later.
    #[error("SNS asks for fewer calls: {0}")]
    Throttled(String),
    /// No answer: it may have been sent. Sending it again is harmless.
    #[error("no answer from SNS: {0}")]
    Lost(String),
    /// SNS refuses this mail: it would again.
    #[error("SNS refuses it: {0}")]
    Refused(String),
}

impl From<CallError> for Undelivered {
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Refused { .. } => Self::Refused(error.to_string()),
            CallError::Throttled { .. } => Self::Throttled(error.to_string()),
            CallError::Lost(why) => Self::Lost(why.clone()),
        }
    }
}

impl Topics {
    /// A client of the topics whose ARNs begin with `prefix`: `arn:aws:sns:REGION:ACCOUNT:pointsman-approver-`.
    pub fn new(config: &AwsConfig, prefix: String) -> Self {
        Self { client: client!(aws_sdk_sns, config), prefix }
    }

    /// The ARN of an approver's topic, whether it is there or not.
    pub fn arn(&self, email: &str) -> String {
        format!("{}{}", self.prefix, topic_of(email))
    }

    /// Whether mail reaches an approver, and nobody else. Who may end their subscription is not asked.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not say.
    pub async fn reach(&self, email: &str) -> Result<Reach, CallError> {
        let subscriptions = self.subscriptions(&self.arn(email)).await?;
        Ok(Reach::of(email, subscriptions.as_deref()))
    }

    /// Sends a mail to an approver, if it reaches them and nobody else at this moment.
    ///
    /// The SDK may repeat the call when a reply gets lost. That sends the same link twice, which harms nobody; a mail
    /// that never went out would have a person wait. `subject` is made fit for SNS; `body` is sent as it is.
    ///
    /// # Errors
    /// [`Undelivered`], which holds neither `subject` nor `body`.
    pub async fn deliver(&self, email: &str, subject: &str, body: &str) -> Result<(), Undelivered> {
        if body.len() > MESSAGE_MAX_BYTES {
            return Err(Undelivered::Refused(format!("{} bytes, more than {MESSAGE_MAX_BYTES}", body.len())));
        }
        let reach = self.reach(email).await?;
        if !reach.is_reached() {
            return Err(Undelivered::Unreachable(reach));
        }
        let request = self.client.publish().topic_arn(self.arn(email)).subject(subject_of(subject)).message(body);
        let Err(error) = request.send().await else { return Ok(()) };
        // Its kind is a constant of the SDK's; what it wraps may quote the request.
        let kind = error.to_string();
        Err(match CallError::from(error) {
            CallError::Refused { code, .. } if code == NOT_FOUND => Undelivered::Unreachable(Reach::NoTopic),
            CallError::Refused { code, .. } => Undelivered::Refused(code),
            CallError::Throttled { code, .. } => Undelivered::Throttled(code),
            CallError::Lost(_) => Undelivered::Lost(kind),
        })
    }

    /// The subscriptions of a topic that have not ended; `None` where there is no such topic.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not say, or there are too many to read.
    pub async fn subscriptions(&self, topic_arn: &str) -> Result<Option<Vec<Subscription>>, CallError> {
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..SUBSCRIPTION_PAGES_MAX {
            let request = self.client.list_subscriptions_by_topic().topic_arn(topic_arn).set_next_token(next);
            let page = match request.send().await.map_err(CallError::from) {
                Err(error) if error.is(NOT_FOUND) => return Ok(None),
                answer => answer?,
            };
            found.extend(page.subscriptions.unwrap_or_default().into_iter().filter_map(read));
            next = page.next_token;
            if next.is_none() {
                return Ok(Some(found));
            }
        }
        let message = format!("{topic_arn} has more subscriptions than are read");
        Err(CallError::Refused { code: "TooManySubscriptions".to_owned(), message })
    }

    /// Whether only somebody with AWS credentials can end a subscription; `None` where there is none any more.
    ///
    /// SNS does not tell what was asked for with `AuthenticateOnUnsubscribe`, only whether the confirmation was signed.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not say.
    pub async fn is_authenticated(&self, subscription_arn: &str) -> Result<Option<bool>, CallError> {
        let request = self.client.get_subscription_attributes().subscription_arn(subscription_arn);
        let attributes = match request.send().await.map_err(CallError::from) {
            Err(error) if error.is(NOT_FOUND) => return Ok(None),
            answer => answer?.attributes.unwrap_or_default(),
        };
        Ok(attributes.get("ConfirmationWasAuthenticated").map(|value| value == "true"))
    }

    /// Makes an approver's topic. One that is there stays as it is.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not confirm it.
    pub async fn make(&self, email: &str) -> Result<(), CallError> {
        let arn = self.arn(email);
        let name = arn.rsplit(':').next().unwrap_or_default();
        self.client.create_topic().name(name).attributes("DisplayName", SENDER).send().await?;
        Ok(())
    }

    /// Has SNS ask an approver whether they want its mail. Asked again, they get another mail.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not confirm it.
    pub async fn ask(&self, email: &str) -> Result<(), CallError> {
        let request = self.client.subscribe().topic_arn(self.arn(email));
        request.protocol(MAIL_PROTOCOL).endpoint(email).send().await?;
        Ok(())
    }

    /// Confirms an approver's subscription with the token of SNS's mail, so that from now on only somebody with AWS
    /// credentials can end it: mail scanners follow every link, also the one that ends a subscription.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not take the token.
    pub async fn confirm(&self, email: &str, token: &str) -> Result<(), CallError> {
        let request = self.client.confirm_subscription().topic_arn(self.arn(email)).token(token);
        request.authenticate_on_unsubscribe("true").send().await?;
        Ok(())
    }

    /// Ends a subscription. One that is not there is ended already.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not confirm it.
    pub async fn end(&self, subscription_arn: &str) -> Result<(), CallError> {
        self.client.unsubscribe().subscription_arn(subscription_arn).send().await?;
        Ok(())
    }

    /// The ARNs of all approvers' topics, whoever's they are.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not say.
    pub async fn all(&self) -> Result<Vec<String>, CallError> {
        let is_approvers = |arn: &String| arn.strip_prefix(&self.prefix).is_some_and(is_topic);
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..TOPIC_PAGES_MAX {
            let page = self.client.list_topics().set_next_token(next).send().await?;
            let arns = page.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.topic_arn);
            found.extend(arns.filter(is_approvers));
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Deletes a topic with its subscriptions.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not confirm it.
    pub async fn delete(&self, topic_arn: &str) -> Result<(), CallError> {
        self.client.delete_topic().topic_arn(topic_arn).send().await?;
        Ok(())
    }
}

/// A topic that tells people what happened. Whoever subscribes to it reads it, so nothing in it may let anybody in.
#[derive(Debug, Clone)]
pub struct Notices {
    client: aws_sdk_sns::Client,
    topic_arn: String,
}

impl Notices {
    /// A client of the topic with this ARN.
    pub fn new(config: &AwsConfig, topic_arn: String) -> Self {
        Self { client: client!(aws_sdk_sns, config), topic_arn }
    }

    /// Tells everybody. `subject` is made fit for SNS; `body` is cut where it is too long for SNS, and says so. The SDK
    /// may repeat the call when a reply gets lost: then people read it twice.
    ///
    /// # Errors
    /// [`CallError`] when SNS does not confirm it.
    pub async fn publish(&self, subject: &str, body: &str) -> Result<(), CallError> {
        let subject = Some(subject_of(subject)).filter(|subject| !subject.is_empty());
        let request = self.client.publish().topic_arn(&self.topic_arn).set_subject(subject);
        request.message(cut(body)).send().await?;
        Ok(())
    }
}

/// A text of a length that SNS takes.
fn cut(body: &str) -> Cow<'_, str> {
    if body.len() <= MESSAGE_MAX_BYTES {
        return Cow::Borrowed(body);
    }
    let end = body.floor_char_boundary(MESSAGE_MAX_BYTES - CUT_OFF.len());
    Cow::Owned(format!("{}{CUT_OFF}", body.get(..end).unwrap_or_default()))
}

/// A subscription as it was listed; `None` for one that has ended.
fn read(listed: sdk::Subscription) -> Option<Subscription> {
    let arn = match listed.subscription_arn.as_deref() {
        Some(DELETED) => return None,
        Some(PENDING) | None => None,
        Some(arn) => Some(arn.to_owned()),
    };
    Some(Subscription {
        arn,
        protocol: listed.protocol.unwrap_or_default(),
        endpoint: listed.endpoint.unwrap_or_default(),
        is_authenticated: None,
    })
}

/// A subject as SNS takes it: printable ASCII that begins with no blank.
///
/// Source: the SNS API reference, Publish, and its older wording, which had ASCII only.
fn subject_of(text: &str) -> String {
    let shown = |character: char| match character {
        '!'..='~' => character,
        _ if character.is_whitespace() || character.is_control() => ' ',
        _ => '?',
    };
    text.trim_start().chars().map(shown).skip_while(|character| *character == ' ').take(SUBJECT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_line_of_ascii() {
        #[rustfmt::skip]
        let cases = [
            ("Approve web-production: acme/shop", "Approve web-production: acme/shop", "as it is"),
            ("Approve\r\nBcc: eve@example.com",   "Approve  Bcc: eve@example.com",     "no line of its own"),
            ("\u{7}  \u{1b}Approve",              "Approve",                           "begins with no blank"),
            ("naïve 🚂",                          "na?ve ?",                           "what SNS might refuse is shown as missing"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(subject_of(text), expected, "{why}");
        }
        assert_eq!(subject_of(&"x".repeat(200)).len(), SUBJECT_MAX);
    }

    #[test]
    fn a_notice_that_is_too_long_says_that_it_is_cut() {
        let fits = "ä".repeat(MESSAGE_MAX_BYTES / 2);
        assert_eq!(cut(&fits), fits, "not one byte too many");
        for body in [format!("{fits}x"), format!("x{fits}"), "🚂".repeat(MESSAGE_MAX_BYTES)] {
            let cut = cut(&body);
            let kept = cut.strip_suffix(CUT_OFF).unwrap();
            assert!(body.starts_with(kept));
            assert!((MESSAGE_MAX_BYTES - 3..=MESSAGE_MAX_BYTES).contains(&cut.len()), "{}", cut.len());
        }
    }

    #[test]
    fn what_has_ended_is_no_subscription() {
        let listed = |arn: &str| {
            let listed = sdk::Subscription::builder().protocol("email").endpoint("ada@example.com");
            read(listed.subscription_arn(arn).build())
        };
        assert_eq!(listed("Deleted"), None);
        assert_eq!(listed("PendingConfirmation").map(|one| one.is_confirmed()), Some(false));
        assert_eq!(listed("arn:aws:sns:us-east-1:1:t:1").map(|one| one.is_confirmed()), Some(true));
    }
}
