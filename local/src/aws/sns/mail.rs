//! Mail: what SNS writes to people, and the view in which it ends up here.

use super::delivery::timestamp;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::VecDeque;

/// How many mails are kept: the oldest is forgotten.
const KEPT: usize = 500;

/// The subject of a notification that was published without one.
const NO_SUBJECT: &str = "AWS Notification Message";

/// A mail that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// One bare address.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// When it was sent.
    pub at: Timestamp,
}

/// The mail as a person reads it in a terminal: a head, and the text set off from whatever else is printed.
impl std::fmt::Display for Mail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "Mail to {}: {}", self.to, self.subject)?;
        self.body.lines().try_for_each(|line| writeln!(formatter, "  | {line}"))
    }
}

impl Mail {
    /// A message of a topic.
    pub(super) fn notification(to: &str, subject: Option<String>, body: String, at: Timestamp) -> Self {
        Self { to: to.to_owned(), subject: subject.unwrap_or_else(|| NO_SUBJECT.to_owned()), body, at }
    }

    /// Asks whether somebody wants a topic's messages.
    pub(super) fn confirmation(
        protocol: &str,
        to: &str,
        topic_arn: &str,
        token: &str,
        id: &str,
        at: Timestamp,
    ) -> Self {
        let link = confirmation_link(topic_arn, token, to);
        let body = if protocol == "email-json" {
            let message = format!(
                "You have chosen to subscribe to the topic {topic_arn}.\nTo confirm the subscription, visit the \
                 SubscribeURL included in this message."
            );
            control("SubscriptionConfirmation", id, topic_arn, token, &message, at)
        } else {
            format!(
                "You have chosen to subscribe to the topic:\n{topic_arn}\n\nTo confirm this subscription, click or \
                 visit the link below (If this was in error no action is necessary):\n{link}\n\nPlease do not reply \
                 directly to this email. If you wish to remove yourself from receiving all future SNS subscription \
                 confirmation requests please send an email to sns-opt-out\n"
            )
        };
        Self { to: to.to_owned(), subject: "AWS Notification - Subscription Confirmation".to_owned(), body, at }
    }

    /// Says that somebody who was not the owner ended a subscription, and how to have it back.
    pub(super) fn cancellation(
        protocol: &str,
        to: &str,
        topic_arn: &str,
        subscription_arn: &str,
        token: &str,
        id: &str,
        at: Timestamp,
    ) -> Self {
        let body = if protocol == "email-json" {
            let message = format!(
                "You have chosen to deactivate subscription {subscription_arn}.\nTo cancel this operation and restore \
                 the subscription, visit the SubscribeURL included in this message."
            );
            control("UnsubscribeConfirmation", id, topic_arn, token, &message, at)
        } else {
            deactivated(to, topic_arn, token)
        };
        Self { to: to.to_owned(), subject: "AWS Notification - Unsubscribe Confirmation".to_owned(), body, at }
    }

    /// Says that a subscription got more mail than SNS sends, and how to have it back.
    pub(super) fn deactivation(to: &str, topic_arn: &str, token: &str, at: Timestamp) -> Self {
        let subject = "AWS Notification - Subscription Deactivated".to_owned();
        Self { to: to.to_owned(), subject, body: deactivated(to, topic_arn, token), at }
    }
}

fn deactivated(to: &str, topic_arn: &str, token: &str) -> String {
    let link = confirmation_link(topic_arn, token, to);
    format!(
        "Your subscription to the topic below has been deactivated:\n{topic_arn}\n\nIf this was in error or you wish to \
         resubscribe, click or visit the link below to resubscribe to the topic:\n{link}\n"
    )
}

/// The text of a message with what SNS puts below each: how to get no more of them.
pub(super) fn with_footer(text: &str, subscription_arn: &str, endpoint: &str) -> String {
    let region = region_of(subscription_arn);
    format!(
        "{text}\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit the link below \
         to unsubscribe:\nhttps://sns.{region}.amazonaws.com/unsubscribe.html?SubscriptionArn={subscription_arn}\
         &Endpoint={endpoint}\n\nPlease do not reply directly to this email. If you have any questions or comments \
         regarding this email, please contact us at https://aws.amazon.com/support\n"
    )
}

fn confirmation_link(topic_arn: &str, token: &str, endpoint: &str) -> String {
    let region = region_of(topic_arn);
    format!(
        "https://sns.{region}.amazonaws.com/confirmation.html?TopicArn={topic_arn}&Token={token}&Endpoint={endpoint}"
    )
}

fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

/// What a mailbox that wants JSON is told of its own subscription.
fn control(kind: &str, id: &str, topic_arn: &str, token: &str, message: &str, at: Timestamp) -> String {
    let region = region_of(topic_arn);
    let url =
        format!("https://sns.{region}.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic_arn}&Token={token}");
    let document = json!({
        "Type": kind,
        "MessageId": id,
        "Token": token,
        "TopicArn": topic_arn,
        "Message": message,
        "SubscribeURL": url,
        "Timestamp": timestamp(at),
    });
    format!("{document:#}")
}

/// The mail that was sent, the oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Mailbox {
    sent: VecDeque<Mail>,
    /// What the listener has not heard of, also before there is one.
    #[serde(skip)]
    untold: VecDeque<Mail>,
}

impl Mailbox {
    pub(super) fn post(&mut self, mail: Mail) {
        for mails in [&mut self.sent, &mut self.untold] {
            if mails.len() == KEPT {
                mails.pop_front();
            }
            mails.push_back(mail.clone());
        }
    }

    pub(super) fn all(&self) -> Vec<Mail> {
        self.sent.iter().cloned().collect()
    }

    pub(super) fn take_untold(&mut self) -> VecDeque<Mail> {
        std::mem::take(&mut self.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_mail_is_forgotten() {
        let mut mailbox = Mailbox::default();
        for number in 0..=KEPT {
            let mail = Mail::notification("a@example.com", None, number.to_string(), Timestamp::UNIX_EPOCH);
            mailbox.post(mail);
        }
        let all = mailbox.all();
        assert_eq!((all.len(), all[0].body.as_str(), all[0].subject.as_str()), (KEPT, "1", NO_SUBJECT));
        assert_eq!(mailbox.take_untold().len(), KEPT, "who listens late hears of what is kept");
        assert!(mailbox.take_untold().is_empty(), "once");
    }
}
