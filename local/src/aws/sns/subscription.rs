//! A subscription: to whom it delivers, whether that was confirmed, and what it was told to be.

use super::delivery::DELIVERED;
use super::{arn, filter, invalid};
use crate::aws::{ACCOUNT, Failure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How long an unconfirmed subscription, and the token that confirms it, are kept. So is one that was ended by mail.
/// Source: the SNS API reference, Subscribe: "Confirmation tokens are valid for two days."
const KEPT: SignedDuration = SignedDuration::from_hours(48);

/// How many hex digits a token has, as those of the service do.
const TOKEN_DIGITS: usize = 288;

/// Attributes that can be set. Source: the SNS API reference, SetSubscriptionAttributes.
const SETTABLE: [&str; 6] = [
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "SubscriptionRoleArn",
];

/// A subscription.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) protocol: String,
    pub(super) endpoint: String,
    /// Who asked for it: an ARN.
    pub(super) principal: String,
    pub(super) state: Confirmation,
    /// What was set; what was not is the default.
    pub(super) attributes: BTreeMap<String, String>,
    /// When the latest mails went out: no more than a second's worth.
    pub(super) mailed: Vec<Timestamp>,
}

/// Whether the owner of an endpoint wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Confirmation {
    /// Not yet: `token` says yes, until then.
    Pending { token: String, until: Timestamp },
    Confirmed {
        /// What confirmed it; asked again it answers the same.
        token: Option<String>,
        /// Whether a signed request confirmed it, which had the like demanded of whoever ends it.
        is_authenticated: bool,
    },
    /// No more. It is listed for a while, and `token` brings it back.
    Deleted { token: String, until: Timestamp },
}

impl Confirmation {
    pub(super) fn pending(token: String, now: Timestamp) -> Self {
        Self::Pending { token, until: kept_until(now) }
    }

    pub(super) fn deleted(token: String, now: Timestamp) -> Self {
        Self::Deleted { token, until: kept_until(now) }
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }

    pub(super) fn is_confirmed(&self) -> bool {
        matches!(self, Self::Confirmed { .. })
    }

    pub(super) fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted { .. })
    }

    /// Whether whoever ends it must sign.
    pub(super) fn is_authenticated(&self) -> bool {
        matches!(self, Self::Confirmed { is_authenticated: true, .. })
    }

    /// When it is forgotten.
    pub(super) fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Pending { until, .. } | Self::Deleted { until, .. } => Some(*until),
            Self::Confirmed { .. } => None,
        }
    }

    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Pending { token, .. } | Self::Deleted { token, .. } => Some(token),
            Self::Confirmed { token, .. } => token.as_deref(),
        }
    }
}

fn kept_until(now: Timestamp) -> Timestamp {
    now.checked_add(KEPT).unwrap_or(Timestamp::MAX)
}

/// A new token.
pub(super) fn new_token(random: &mut fastrand::Rng) -> String {
    (0..TOKEN_DIGITS).filter_map(|_| char::from_digit(random.u32(..16), 16)).collect()
}

/// Whether a token has the form of one.
pub(super) fn is_token(token: &str) -> bool {
    token.len() == TOKEN_DIGITS && token.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Subscription {
    pub(super) fn is_mail(&self) -> bool {
        self.protocol.starts_with("email")
    }

    pub(super) fn is_raw(&self) -> bool {
        self.attributes.get("RawMessageDelivery").is_some_and(|value| value == "true")
    }

    pub(super) fn filter(&self) -> Option<(&str, filter::Scope)> {
        let policy = self.attributes.get("FilterPolicy")?;
        Some((policy, scope_of(&self.attributes)))
    }

    /// The queue that gets what could not be delivered: an ARN.
    pub(super) fn dead_letters(&self) -> Option<String> {
        let policy: Value = serde_json::from_str(self.attributes.get("RedrivePolicy")?).ok()?;
        policy["deadLetterTargetArn"].as_str().map(str::to_owned)
    }

    /// How lists show it.
    pub(super) fn listed(&self, topic_arn: &str, subscription_arn: &str) -> Value {
        let shown = match self.state {
            Confirmation::Pending { .. } => "PendingConfirmation",
            Confirmation::Confirmed { .. } => subscription_arn,
            Confirmation::Deleted { .. } => "Deleted",
        };
        serde_json::json!({
            "SubscriptionArn": shown,
            "Owner": ACCOUNT,
            "Protocol": self.protocol,
            "Endpoint": self.endpoint,
            "TopicArn": topic_arn,
        })
    }

    /// How GetSubscriptionAttributes shows it.
    pub(super) fn all_attributes(&self, topic_arn: &str, subscription_arn: &str) -> Map<String, Value> {
        let flag = |flag: bool| Value::from(if flag { "true" } else { "false" });
        let mut all: Map<String, Value> =
            self.attributes.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        if self.attributes.contains_key("FilterPolicy") {
            all.entry("FilterPolicyScope").or_insert_with(|| "MessageAttributes".into());
        } else {
            all.remove("FilterPolicyScope");
        }
        let derived = [
            ("SubscriptionArn", Value::from(subscription_arn)),
            ("TopicArn", Value::from(topic_arn)),
            ("Protocol", Value::from(self.protocol.as_str())),
            ("Endpoint", Value::from(self.endpoint.as_str())),
            ("Owner", Value::from(ACCOUNT)),
            ("SubscriptionPrincipal", Value::from(self.principal.as_str())),
            ("PendingConfirmation", flag(self.state.is_pending())),
            ("ConfirmationWasAuthenticated", flag(self.state.is_authenticated())),
            ("RawMessageDelivery", flag(self.is_raw())),
        ];
        all.extend(derived.map(|(name, value)| (name.to_owned(), value)));
        all
    }
}

fn scope_of(attributes: &BTreeMap<String, String>) -> filter::Scope {
    match attributes.get("FilterPolicyScope").map(String::as_str) {
        Some("MessageBody") => filter::Scope::Body,
        _ => filter::Scope::Attributes,
    }
}

/// Takes over `changes`. An empty document takes an attribute away.
///
/// `prefix` is what SNS puts before the reason: Subscribe says more than SetSubscriptionAttributes.
///
/// # Errors
/// `InvalidParameter`, naming the attribute.
pub(super) fn change(
    attributes: &mut BTreeMap<String, String>,
    protocol: &str,
    changes: &Map<String, Value>,
    prefix: &str,
) -> Result<(), Failure> {
    for (name, value) in changes {
        let value = value.as_str().unwrap_or_default();
        if !SETTABLE.contains(&name.as_str()) {
            return Err(invalid(&format!("{prefix}AttributeName")));
        }
        let value = allowed(name, value, protocol).map_err(|reason| invalid(&format!("{prefix}{reason}")))?;
        let is_document = name.ends_with("Policy");
        if is_document && matches!(value.as_str(), "" | "{}") {
            attributes.remove(name);
        } else {
            attributes.insert(name.clone(), value);
        }
    }
    // The policy and its scope have to fit, whichever of them changed.
    if let Some(policy) = attributes.get("FilterPolicy") {
        filter::check(policy, scope_of(attributes)).map_err(|reason| invalid(&format!("{prefix}{reason}")))?;
    }
    Ok(())
}

/// An attribute's value as it is kept, or why it cannot be.
fn allowed(name: &str, value: &str, protocol: &str) -> Result<String, String> {
    let parsed = |text: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("{name}: failed to parse JSON. {error}"))
    };
    match name {
        "RawMessageDelivery" => match value.to_lowercase().as_str() {
            "true" if protocol != "sqs" => {
                Err(format!("{name}: Delivery protocol [{protocol}] does not support raw message delivery."))
            }
            flag @ ("true" | "false") => Ok(flag.to_owned()),
            _ => Err(format!("{name}: Invalid value [{value}]. Must be true or false.")),
        },
        "FilterPolicyScope" if !matches!(value, "MessageAttributes" | "MessageBody") => {
            Err(format!("{name}: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"))
        }
        "RedrivePolicy" if !value.is_empty() => {
            let policy = parsed(value)?;
            let target = policy["deadLetterTargetArn"].as_str().unwrap_or_default();
            match (policy.as_object().map(Map::len), arn::queue(target)) {
                (Some(0), _) | (_, Ok(_)) => Ok(value.to_owned()),
                (_, Err(_)) => Err(format!("{name}: deadLetterTargetArn is an invalid arn")),
            }
        }
        "DeliveryPolicy" if !value.is_empty() => parsed(value).map(|_| value.to_owned()),
        _ => Ok(value.to_owned()),
    }
}

/// Whether an endpoint is one that `protocol` can deliver to.
///
/// # Errors
/// `InvalidParameter` as SNS words it; [`Failure::not_emulated`] for protocols and places that are not here.
pub(super) fn check_endpoint(protocol: &str, endpoint: &str) -> Result<(), Failure> {
    /// Source: the SNS API reference, Subscribe.
    const ELSEWHERE: [&str; 5] = ["application", "firehose", "http", "https", "sms"];
    if ELSEWHERE.contains(&protocol) {
        return Err(Failure::not_emulated("SNS", &format!("Subscribe with the protocol {protocol}")));
    }
    if !DELIVERED.contains(&protocol) {
        return Err(invalid(&format!("Amazon SNS does not support this protocol string: {protocol}")));
    }
    if endpoint.is_empty() {
        return Err(invalid("Endpoint"));
    }
    let (outcome, what) = match protocol {
        "sqs" if endpoint.ends_with(".fifo") => {
            let reason = "FIFO SQS Queues can not be subscribed to standard SNS topics";
            return Err(invalid(&format!("Invalid parameter: Endpoint Reason: {reason}")));
        }
        "sqs" => (arn::queue(endpoint).map(drop), "SQS endpoint ARN"),
        "lambda" => (arn::function(endpoint).map(drop), "Lambda endpoint ARN"),
        _ if is_address(endpoint) => return Ok(()),
        _ => return Err(invalid("Email address")),
    };
    outcome.map_err(|foreign| match foreign {
        arn::Foreign::NotOne => invalid(what),
        arn::Foreign::OtherAccount => Failure::not_emulated("SNS", "Subscribe with an endpoint of another account"),
    })
}

/// Whether this looks like one bare e-mail address.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (1..=64).contains(&local.len())
        && local.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>[]:;,@\\\"".contains(&byte))
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        #[rustfmt::skip]
        let cases = [
            ("alice@example.com",           true,  "an address"),
            ("alice+shop@mail.example.com", true,  "with a tag, in a subdomain"),
            ("alice",                       false, "no domain"),
            ("alice@localhost",             false, "a domain has a dot"),
            ("Alice <alice@example.com>",   false, "bare addresses only"),
            ("a@example.com,b@example.com", false, "and one of them"),
            ("alice@example.com\nBcc: x",   false, "no line break"),
            ("@example.com",                false, "nobody"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(is_address(text), expected, "{why}");
        }
    }
}
