//! Subscriptions come and go: asked for, confirmed, changed, listed, ended.

use super::mail::Mail;
use super::subscription::{self, Confirmation, Subscription};
use super::topic::{DEFAULT_LARGEST_BYTES, MOST_SUBSCRIPTIONS_OF_A_LARGE_TOPIC, Topic};
use super::{State, arn, invalid, is_true, no_subscription, page};
use crate::aws::wire::ANONYMOUS;
use crate::aws::{Aws, Call, Failure};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Filter policies of one topic. Source: "SNS quotas".
const MOST_FILTER_POLICIES: usize = 200;

/// What SNS puts before the reason when an attribute of a Subscribe is refused.
const ON_SUBSCRIBE: &str = "Attributes Reason: ";

impl State {
    pub(super) fn subscribe(&mut self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let text = |member: &str| call.input[member].as_str().unwrap_or_default();
        let (protocol, endpoint) = (text("Protocol"), text("Endpoint"));
        let (topic_arn, topic) = self.topic(call)?;
        subscription::check_endpoint(protocol, endpoint)?;
        let no_attributes = Map::new();
        let given = call.input["Attributes"].as_object().unwrap_or(&no_attributes);
        let mut attributes = BTreeMap::new();
        subscription::change(&mut attributes, protocol, given, ON_SUBSCRIBE)?;
        // Only after the deleted one is gone can the address ask again.
        topic
            .subscriptions
            .retain(|_, known| !(known.state.is_deleted() && known.protocol == protocol && known.endpoint == endpoint));
        let known =
            topic.subscriptions.iter_mut().find(|(_, known)| known.protocol == protocol && known.endpoint == endpoint);
        let (id, is_pending) = match known {
            Some((id, known)) => {
                if given.keys().any(|name| known.attributes.get(name) != attributes.get(name)) {
                    return Err(invalid("Attributes Reason: Subscription already exists with different attributes"));
                }
                if known.state.is_pending() {
                    known.state = Confirmation::pending(aws.random(subscription::new_token), call.now);
                }
                (id.clone(), known.state.is_pending())
            }
            None => {
                check_room(topic, protocol, &attributes)?;
                let made = new(aws, call, protocol, endpoint, attributes);
                let (id, is_pending) = (aws.uuid(), made.state.is_pending());
                topic.subscriptions.insert(id.clone(), made);
                (id, is_pending)
            }
        };
        if is_pending && let Some(token) = topic.subscriptions[&id].state.token() {
            let mail = Mail::confirmation(protocol, endpoint, topic_arn, token, &aws.uuid(), call.now);
            self.mail.post(mail);
        }
        let is_told = !is_pending || is_true(&call.input["ReturnSubscriptionArn"]);
        let arn = if is_told { format!("{topic_arn}:{id}") } else { "pending confirmation".to_owned() };
        Ok(json!({ "SubscriptionArn": arn }))
    }

    pub(super) fn confirm(&mut self, call: &Call) -> Result<Value, Failure> {
        let text = |member: &str| call.input[member].as_str().unwrap_or_default();
        let wants_authentication = is_true(&call.input["AuthenticateOnUnsubscribe"]);
        if wants_authentication && call.caller == ANONYMOUS {
            let message = "AuthenticateOnUnsubscribe requires a signed request";
            return Err(Failure { status: 403, ..Failure::sender("AuthorizationError", message) });
        }
        let topic_arn = arn::read(call, "TopicArn").map_err(|_| invalid("Topic"))?;
        let token = text("Token");
        if !subscription::is_token(token) {
            return Err(Failure::sender("InvalidParameter", "Invalid token"));
        }
        let subscriptions = self.topics.get_mut(topic_arn).map(|topic| &mut topic.subscriptions);
        let found = subscriptions.into_iter().flatten().find(|(_, known)| known.state.token() == Some(token));
        let (id, found) = found.ok_or_else(|| invalid("Token"))?;
        // Confirmed by a click and then by a signed request, it is protected from then on. SNS's documentation does not say
        // so; those who tried report it.
        let is_authenticated = wants_authentication || found.state.is_authenticated();
        if !found.state.is_confirmed() {
            found.mailed.clear();
        }
        found.state = Confirmation::Confirmed { token: Some(token.to_owned()), is_authenticated };
        Ok(json!({ "SubscriptionArn": format!("{topic_arn}:{id}") }))
    }

    /// Ending a subscription that is not there succeeds.
    pub(super) fn unsubscribe(&mut self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let arn = arn::read(call, "SubscriptionArn")?;
        let (topic_arn, id) = arn::split(arn).ok_or_else(|| invalid("SubscriptionId"))?;
        let Some(topic) = self.topics.get_mut(topic_arn) else { return Ok(json!({})) };
        let Some(found) = topic.subscriptions.get_mut(id) else { return Ok(json!({})) };
        let is_owner = call.caller != ANONYMOUS;
        match &found.state {
            Confirmation::Pending { .. } => {
                let reason = "Cannot unsubscribe a subscription that is pending confirmation";
                return Err(invalid(&format!("SubscriptionArn Reason: {reason}")));
            }
            Confirmation::Deleted { .. } => return Ok(json!({})),
            Confirmation::Confirmed { is_authenticated, .. }
                if !is_owner && (*is_authenticated || !found.is_mail()) =>
            {
                let message = "This subscription requires authentication for deletion";
                return Err(Failure { status: 403, ..Failure::sender("AuthorizationError", message) });
            }
            Confirmation::Confirmed { .. } => {}
        }
        if !found.is_mail() {
            topic.subscriptions.remove(id);
            return Ok(json!({}));
        }
        let token = aws.random(subscription::new_token);
        if !is_owner {
            let mail =
                Mail::cancellation(&found.protocol, &found.endpoint, topic_arn, arn, &token, &aws.uuid(), call.now);
            self.mail.post(mail);
        }
        found.state = Confirmation::deleted(token, call.now);
        Ok(json!({}))
    }

    pub(super) fn list_subscriptions(&self, call: &Call) -> Result<Value, Failure> {
        let here = arn::topic(&call.region, "");
        let topics = self.topics.iter().filter(|(arn, _)| arn.starts_with(&here));
        page(call, "Subscriptions", topics.flat_map(|(arn, topic)| listed(arn, topic)).collect())
    }

    pub(super) fn list_subscriptions_by_topic(&mut self, call: &Call) -> Result<Value, Failure> {
        let (arn, topic) = self.topic(call)?;
        page(call, "Subscriptions", listed(arn, topic).collect())
    }

    pub(super) fn get_subscription_attributes(&mut self, call: &Call) -> Result<Value, Failure> {
        let (topic_arn, arn, found) = self.subscription(call)?;
        Ok(json!({ "Attributes": found.all_attributes(topic_arn, arn) }))
    }

    pub(super) fn set_subscription_attributes(&mut self, call: &Call) -> Result<Value, Failure> {
        let name = call.input["AttributeName"].as_str().unwrap_or_default();
        let change = Map::from_iter([(name.to_owned(), call.input["AttributeValue"].clone())]);
        let (topic_arn, arn, found) = self.subscription(call)?;
        let mut attributes = found.attributes.clone();
        subscription::change(&mut attributes, &found.protocol, &change, "")?;
        let (_, id) = arn::split(arn).ok_or_else(no_subscription)?;
        let topic = self.topics.get_mut(topic_arn).ok_or_else(no_subscription)?;
        let had_filter = topic.subscriptions.get(id).is_some_and(|found| found.filter().is_some());
        if !had_filter {
            check_filters(topic, &attributes)?;
        }
        let found = topic.subscriptions.get_mut(id).ok_or_else(no_subscription)?;
        found.attributes = attributes;
        Ok(json!({}))
    }

    /// The subscription that a call names, with its topic's ARN and its own.
    fn subscription<'a>(&mut self, call: &'a Call) -> Result<(&'a str, &'a str, &mut Subscription), Failure> {
        let arn = arn::read(call, "SubscriptionArn")?;
        let (topic_arn, id) = arn::split(arn).ok_or_else(|| invalid("SubscriptionId"))?;
        let topic = self.topics.get_mut(topic_arn).ok_or_else(no_subscription)?;
        let found = topic.subscriptions.get_mut(id).filter(|found| !found.state.is_deleted());
        Ok((topic_arn, arn, found.ok_or_else(no_subscription)?))
    }
}

fn new(aws: &Aws, call: &Call, protocol: &str, endpoint: &str, attributes: BTreeMap<String, String>) -> Subscription {
    // A queue or a function of this account needs no confirmation. A person does, unless nobody minds.
    let needs_confirmation = protocol.starts_with("email") && aws.behaviour().strict;
    let state = if needs_confirmation {
        Confirmation::pending(aws.random(subscription::new_token), call.now)
    } else {
        // What confirms it is the call that asks for it, and that was signed.
        Confirmation::Confirmed { token: None, is_authenticated: true }
    };
    Subscription {
        protocol: protocol.to_owned(),
        endpoint: endpoint.to_owned(),
        principal: call.caller.clone(),
        state,
        attributes,
        mailed: Vec::new(),
    }
}

/// Whether a topic takes one more subscription.
fn check_room(topic: &Topic, protocol: &str, attributes: &BTreeMap<String, String>) -> Result<(), Failure> {
    let is_large = topic.largest_bytes() > DEFAULT_LARGEST_BYTES;
    let is_full = topic.subscriptions.len() >= MOST_SUBSCRIPTIONS_OF_A_LARGE_TOPIC;
    if is_large && (is_full || protocol.starts_with("email")) {
        return Err(invalid("Protocol Reason: The topic's MaximumMessageSize does not allow this subscription"));
    }
    check_filters(topic, attributes)
}

fn check_filters(topic: &Topic, attributes: &BTreeMap<String, String>) -> Result<(), Failure> {
    let filters = topic.subscriptions.values().filter(|known| known.filter().is_some()).count();
    if attributes.contains_key("FilterPolicy") && filters >= MOST_FILTER_POLICIES {
        let message = format!("The topic has {MOST_FILTER_POLICIES} filter policies already");
        return Err(Failure { status: 403, ..Failure::sender("FilterPolicyLimitExceeded", message) });
    }
    Ok(())
}

fn listed(topic_arn: &str, topic: &Topic) -> impl Iterator<Item = (String, Value)> {
    topic.subscriptions.iter().map(move |(id, known)| {
        let arn = format!("{topic_arn}:{id}");
        let shown = known.listed(topic_arn, &arn);
        (arn, shown)
    })
}
