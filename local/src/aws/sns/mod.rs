//! SNS: topics, subscriptions, and what they deliver: to queues, to functions, and to the mail view.
//!
//! A published message becomes one delivery for each subscription that wants it, due a moment later. Deliveries and
//! subscriptions that nobody confirms are all that happens here by itself. FIFO topics, and protocols that would leave
//! the account (HTTP, SMS, mobile push, Firehose), are refused by name. Policies are kept and never enforced.

mod arn;
mod delivery;
mod filter;
mod mail;
mod message;
mod publish;
mod subscribe;
mod subscription;
mod topic;

pub use mail::Mail;

use super::{Aws, Call, Failure, Service, lock};
use delivery::Delivery;
use jiff::Timestamp;
use mail::Mailbox;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use topic::Topic;

/// Topics, subscriptions and so on in one answer of a list. Source: the SNS API reference, ListTopics.
const PAGE: usize = 100;

/// Who hears of each mail as it is sent.
type Listener = Box<dyn Fn(&Mail) + Send + Sync>;

/// The topics of every region, and the mail that they sent.
#[derive(Default)]
pub struct Sns {
    state: Mutex<State>,
    listener: OnceLock<Listener>,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    /// By ARN, which names the region.
    topics: BTreeMap<String, Topic>,
    deliveries: Vec<Delivery>,
    mail: Mailbox,
}

impl std::fmt::Debug for Sns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sns")
    }
}

impl Sns {
    /// The mail that was sent, the oldest first. There is a bound: the oldest is forgotten.
    pub fn mail(&self) -> Vec<Mail> {
        lock(&self.state).mail.all()
    }

    /// Has `listener` called with each mail that nobody was told of, and with each from now on. There is one listener: a
    /// second one is ignored.
    pub fn on_mail(&self, listener: impl Fn(&Mail) + Send + Sync + 'static) {
        // Whoever came first stays: nobody starts two runners in one process on one account.
        let _ = self.listener.set(Box::new(listener));
        self.tell();
    }

    /// Everything that is kept, as JSON.
    pub(crate) fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.state)).unwrap_or_default()
    }

    /// Takes over what [`Sns::save`] gave.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        *lock(&self.state) = serde_json::from_value(saved)?;
        Ok(())
    }

    /// Tells the listener of new mail. Not under the lock: it may do anything.
    fn tell(&self) {
        let Some(listener) = self.listener.get() else { return };
        let untold = lock(&self.state).mail.take_untold();
        untold.iter().for_each(listener);
    }
}

impl Service for Sns {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let answer = lock(&self.state).run(aws, call);
        self.tell();
        answer
    }

    fn operations(&self) -> &'static [&'static str] {
        &[
            "ConfirmSubscription",
            "CreateTopic",
            "DeleteTopic",
            "GetSubscriptionAttributes",
            "GetTopicAttributes",
            "ListSubscriptions",
            "ListSubscriptionsByTopic",
            "ListTagsForResource",
            "ListTopics",
            "Publish",
            "PublishBatch",
            "SetSubscriptionAttributes",
            "SetTopicAttributes",
            "Subscribe",
            "TagResource",
            "Unsubscribe",
            "UntagResource",
        ]
    }

    fn next_due(&self) -> Option<Timestamp> {
        let state = lock(&self.state);
        let subscriptions = state.topics.values().flat_map(|topic| topic.subscriptions.values());
        let forgotten = subscriptions.filter_map(|subscription| subscription.state.until());
        forgotten.chain(state.deliveries.iter().map(|delivery| delivery.due)).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let due = {
            let mut state = lock(&self.state);
            state.forget(now);
            state.take_due(now)
        };
        for delivery in due {
            if delivery.is_mail() {
                lock(&self.state).send(aws, &delivery, now);
            } else if let Err(failure) = delivery.hand_over(aws) {
                delivery.bury(aws, &failure);
            }
        }
        self.tell();
    }
}

impl State {
    fn run(&mut self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        match call.operation.as_str() {
            "CreateTopic" => self.create_topic(call),
            "DeleteTopic" => self.delete_topic(call),
            "ListTopics" => self.list_topics(call),
            "GetTopicAttributes" => self.get_topic_attributes(call),
            "SetTopicAttributes" => self.set_topic_attributes(call),
            "TagResource" => self.tag(call),
            "UntagResource" => self.untag(call),
            "ListTagsForResource" => self.list_tags(call),
            "Subscribe" => self.subscribe(aws, call),
            "ConfirmSubscription" => self.confirm(call),
            "Unsubscribe" => self.unsubscribe(aws, call),
            "ListSubscriptions" => self.list_subscriptions(call),
            "ListSubscriptionsByTopic" => self.list_subscriptions_by_topic(call),
            "GetSubscriptionAttributes" => self.get_subscription_attributes(call),
            "SetSubscriptionAttributes" => self.set_subscription_attributes(call),
            "Publish" => self.publish(aws, call),
            "PublishBatch" => self.publish_batch(aws, call),
            operation => Err(Failure::not_emulated("SNS", operation)),
        }
    }

    /// Forgets subscriptions that were not confirmed in time, and those that ended.
    fn forget(&mut self, now: Timestamp) {
        for topic in self.topics.values_mut() {
            topic.subscriptions.retain(|_, subscription| subscription.state.until().is_none_or(|until| until > now));
        }
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<Delivery> {
        let (mut due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.deliveries).into_iter().partition(|delivery| delivery.due <= now);
        self.deliveries = later;
        due.sort_by_key(|delivery| delivery.due);
        due
    }
}

/// One page of `items`, each with its ARN; the token holds the last ARN given, so no two are alike.
fn page(call: &Call, member: &str, mut items: Vec<(String, Value)>) -> Result<Value, Failure> {
    // By whole ARN: that is not the order of the topics' ARNs, since a topic's name may begin with another's.
    items.sort_by(|(one, _), (other, _)| one.cmp(other));
    let start = match call.input["NextToken"].as_str().filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            let last = arn::untoken(token).ok_or_else(|| invalid("NextToken"))?;
            items.iter().take_while(|(arn, _)| *arn <= last).count()
        }
    };
    let rest = items.len().saturating_sub(start);
    let given: Vec<(String, Value)> = items.into_iter().skip(start).take(PAGE).collect();
    let last = given.last().map(|(arn, _)| arn.clone());
    let values: Vec<Value> = given.into_iter().map(|(_, value)| value).collect();
    let mut answer = json!({ member: values });
    if let (true, Some(last)) = (rest > PAGE, last) {
        answer["NextToken"] = Value::String(arn::token(&last));
    }
    Ok(answer)
}

/// `InvalidParameter`, as SNS words it: the parameter, and where it says so a reason.
fn invalid(what: &str) -> Failure {
    Failure::sender("InvalidParameter", format!("Invalid parameter: {what}"))
}

fn no_topic() -> Failure {
    Failure { status: 404, ..Failure::sender("NotFound", "Topic does not exist") }
}

fn no_subscription() -> Failure {
    Failure { status: 404, ..Failure::sender("NotFound", "Subscription does not exist") }
}

/// A flag, which is text where it came in a form.
fn is_true(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
}

#[cfg(test)]
mod tests;
