//! A notification on its way: to a queue, to a function, or to a mailbox.
//!
//! What a queue or a function is told has AWS's form, but for the signature: there is no key, and so nothing that could
//! be verified. In one process a target is there or it is not, so nothing is tried again: what cannot be delivered goes
//! to the subscription's dead-letter queue at once, as client-side errors do on AWS.

use super::mail::Mail;
use super::message::Message;
use super::subscription::{self, Confirmation};
use super::{State, arn};
use crate::aws::{Aws, Failure, sqs};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The protocols that are delivered.
pub(super) const DELIVERED: [&str; 4] = ["email", "email-json", "lambda", "sqs"];

/// Mails to one subscription in a second: with one more it has to be confirmed again.
/// Source: "SNS quotas", delivery rate of e-mail, and "Why was my SNS email subscription deactivated".
const MOST_MAILS_A_SECOND: usize = 10;

/// The name of a certificate that does not exist.
const CERTIFICATE: &str = "SimpleNotificationService-00000000000000000000000000000000.pem";

/// A message that was published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Notification {
    pub(super) id: String,
    pub(super) topic_arn: String,
    pub(super) region: String,
    pub(super) signature_version: String,
    pub(super) published: Timestamp,
    pub(super) message: Message,
}

/// One notification for one subscription, as the subscription was when it was published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) due: Timestamp,
    pub(super) notification: Notification,
    /// Its id.
    pub(super) subscription: String,
    pub(super) protocol: String,
    pub(super) endpoint: String,
    pub(super) is_raw: bool,
    /// The queue for what cannot be delivered: an ARN.
    pub(super) dead_letters: Option<String>,
}

impl Delivery {
    pub(super) fn is_mail(&self) -> bool {
        self.protocol.starts_with("email")
    }

    fn subscription_arn(&self) -> String {
        format!("{}:{}", self.notification.topic_arn, self.subscription)
    }

    fn text(&self) -> &str {
        self.notification.message.text(&self.protocol)
    }

    /// Hands it over to a queue or a function.
    pub(super) fn hand_over(&self, aws: &Aws) -> Result<(), Failure> {
        if self.protocol == "lambda" {
            let (region, name) = arn::function(&self.endpoint).map_err(|_| gone(&self.endpoint))?;
            return aws.lambda().invoke_later(aws, region, name, self.event());
        }
        self.put(aws, &self.endpoint)
    }

    /// Puts what could not be delivered into the subscription's dead-letter queue, or drops it.
    pub(super) fn bury(&self, aws: &Aws, failure: &Failure) {
        let (topic, endpoint) = (&self.notification.topic_arn, &self.endpoint);
        tracing::warn!(topic, endpoint, code = failure.code, "a notification was not delivered");
        let Some(queue) = &self.dead_letters else { return };
        if let Err(failure) = self.put(aws, queue) {
            tracing::warn!(queue, code = failure.code, "the dead-letter queue did not take a notification");
        }
    }

    fn put(&self, aws: &Aws, queue_arn: &str) -> Result<(), Failure> {
        let (region, queue) = arn::queue(queue_arn).map_err(|_| gone(queue_arn))?;
        let message = &self.notification.message;
        let body = if self.is_raw { self.text().to_owned() } else { self.envelope() };
        let mut input = json!({ "QueueUrl": sqs::url(region, queue), "MessageBody": body });
        if self.is_raw && !message.attributes.is_empty() {
            let attribute = |(name, attribute): (&String, &super::message::Attribute)| {
                let field = if attribute.is_binary() { "BinaryValue" } else { "StringValue" };
                (name.clone(), json!({ "DataType": attribute.kind, field: attribute.value }))
            };
            input["MessageAttributes"] = Value::Object(message.attributes.iter().map(attribute).collect());
        }
        if let Some(group) = &message.group {
            input["MessageGroupId"] = Value::from(group.as_str());
        }
        aws.ask("sqs", region, "SendMessage", input).map(drop)
    }

    /// What a queue, or a mailbox that wants JSON, gets: in the order and with the spaces that AWS writes.
    pub(super) fn envelope(&self) -> String {
        let Notification { id, topic_arn, region, signature_version, published, message } = &self.notification;
        let host = format!("https://sns.{region}.amazonaws.com");
        let mut fields = vec![("Type", "Notification"), ("MessageId", id), ("TopicArn", topic_arn)];
        fields.extend(message.subject.as_deref().map(|subject| ("Subject", subject)));
        let (timestamp, signature) = (timestamp(*published), self.signature());
        let (certificate, unsubscribe) = (format!("{host}/{CERTIFICATE}"), self.unsubscribe_url());
        fields.extend([
            ("Message", self.text()),
            ("Timestamp", &timestamp),
            ("SignatureVersion", signature_version),
            ("Signature", &signature),
            ("SigningCertURL", &certificate),
            ("UnsubscribeURL", &unsubscribe),
        ]);
        let mut lines: Vec<String> =
            fields.iter().map(|(name, value)| format!("  \"{name}\" : {}", Value::from(*value))).collect();
        if !message.attributes.is_empty() {
            let attributes = message.attributes.iter().map(|(name, attribute)| {
                let (kind, value) = (Value::from(attribute.kind.as_str()), Value::from(attribute.value.as_str()));
                format!("    {} : {{\"Type\":{kind},\"Value\":{value}}}", Value::from(name.as_str()))
            });
            let attributes = attributes.collect::<Vec<_>>().join(",\n");
            lines.push(format!("  \"MessageAttributes\" : {{\n{attributes}\n  }}"));
        }
        format!("{{\n{}\n}}", lines.join(",\n"))
    }

    /// What a function gets.
    fn event(&self) -> Value {
        let Notification { id, topic_arn, region, published, message, .. } = &self.notification;
        let attribute = |(name, attribute): (&String, &super::message::Attribute)| {
            (name.clone(), json!({ "Type": attribute.kind, "Value": attribute.value }))
        };
        let attributes: Map<String, Value> = message.attributes.iter().map(attribute).collect();
        let sns = json!({
            "Type": "Notification",
            "MessageId": id,
            "TopicArn": topic_arn,
            "Subject": message.subject,
            "Message": self.text(),
            "Timestamp": timestamp(*published),
            // Functions are told version 1 whatever the topic says: so it is on AWS.
            "SignatureVersion": "1",
            "Signature": self.signature(),
            "SigningCertUrl": format!("https://sns.{region}.amazonaws.com/{CERTIFICATE}"),
            "UnsubscribeUrl": self.unsubscribe_url(),
            "MessageAttributes": attributes,
        });
        let record = json!({
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": self.subscription_arn(),
            "Sns": sns,
        });
        json!({ "Records": [record] })
    }

    /// Something in a signature's place: it has its form, and verifies nothing.
    fn signature(&self) -> String {
        BASE64_STANDARD.encode(Sha256::digest(format!("{}\n{}", self.notification.id, self.text())))
    }

    fn unsubscribe_url(&self) -> String {
        let (region, arn) = (&self.notification.region, self.subscription_arn());
        format!("https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={arn}")
    }
}

impl State {
    /// Sends one mail, if its subscription still wants it, and bears it.
    pub(super) fn send(&mut self, aws: &Aws, delivery: &Delivery, now: Timestamp) {
        let topic_arn = &delivery.notification.topic_arn;
        let Some(topic) = self.topics.get_mut(topic_arn) else { return };
        let Some(found) = topic.subscriptions.get_mut(&delivery.subscription) else { return };
        if !found.state.is_confirmed() {
            return;
        }
        let arn = delivery.subscription_arn();
        let second_ago = now.checked_sub(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MIN);
        found.mailed.retain(|at| *at > second_ago);
        if found.mailed.len() >= MOST_MAILS_A_SECOND {
            tracing::warn!(subscription = arn, "too many mails: the subscription has to be confirmed again");
            let token = aws.random(subscription::new_token);
            self.mail.post(Mail::deactivation(&found.endpoint, topic_arn, &token, now));
            found.state = Confirmation::pending(token, now);
            return;
        }
        found.mailed.push(now);
        let subject = delivery.notification.message.subject.clone();
        self.mail.post(if found.protocol == "email-json" {
            Mail::notification(&found.endpoint, subject, delivery.envelope(), now)
        } else {
            let text = delivery.text();
            Mail::notification(&found.endpoint, subject, super::mail::with_footer(text, &arn, &found.endpoint), now)
        });
    }
}

fn gone(arn: &str) -> Failure {
    Failure::sender("InvalidParameter", format!("{arn} cannot be delivered to"))
}

/// `2026-08-31T12:00:00.000Z`: SNS always writes milliseconds.
pub(super) fn timestamp(at: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S%.3fZ", at).unwrap_or_default()
}
