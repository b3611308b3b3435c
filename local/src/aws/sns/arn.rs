//! The ARNs of topics, of subscriptions, and of what they deliver to.

use super::invalid;
use crate::aws::{ACCOUNT, Call, Failure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// How many parts an ARN has at least. Source: SNS's own message.
const FEWEST_PARTS: usize = 6;

/// A topic's ARN.
pub(super) fn topic(region: &str, name: &str) -> String {
    format!("arn:aws:sns:{region}:{ACCOUNT}:{name}")
}

/// The topic and the id in a subscription's ARN.
pub(super) fn split(subscription_arn: &str) -> Option<(&str, &str)> {
    let (topic, id) = subscription_arn.rsplit_once(':')?;
    (topic.split(':').count() == FEWEST_PARTS).then_some((topic, id))
}

/// The ARN that a call has under `member`, of something in the region that it was sent to.
///
/// # Errors
/// `InvalidParameter` for what is no ARN, or of another region; `AuthorizationError` for another account.
pub(super) fn read<'a>(call: &'a Call, member: &str) -> Result<&'a str, Failure> {
    let arn = call.input[member].as_str().unwrap_or_default();
    let parts: Vec<&str> = arn.split(':').collect();
    if parts.len() < FEWEST_PARTS {
        let count = parts.len();
        let reason = format!("{member} Reason: An ARN must have at least {FEWEST_PARTS} elements, not {count}");
        return Err(invalid(&reason));
    }
    if parts[..3] != ["arn", "aws", "sns"] || parts[3] != call.region {
        return Err(invalid(member));
    }
    if parts[4] != ACCOUNT {
        let message =
            format!("User: {} is not authorized to perform: SNS:{} on resource: {arn}", call.caller, call.operation);
        return Err(Failure { status: 403, ..Failure::sender("AuthorizationError", message) });
    }
    Ok(arn)
}

/// The region and the name of a queue of this account; `Err` says whether it is an ARN of a queue at all.
pub(super) fn queue(arn: &str) -> Result<(&str, &str), Foreign> {
    match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", "aws", "sqs", region, account, name] if !region.is_empty() && !name.is_empty() => {
            if account == ACCOUNT { Ok((region, name)) } else { Err(Foreign::OtherAccount) }
        }
        _ => Err(Foreign::NotOne),
    }
}

/// The region and the name of a function of this account.
pub(super) fn function(arn: &str) -> Result<(&str, &str), Foreign> {
    match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", "aws", "lambda", region, account, "function", name, ..] if !region.is_empty() && !name.is_empty() => {
            if account == ACCOUNT {
                Ok((region, name))
            } else {
                Err(Foreign::OtherAccount)
            }
        }
        _ => Err(Foreign::NotOne),
    }
}

/// Why an endpoint cannot be delivered to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Its owner would have to confirm, and nobody is there.
    OtherAccount,
    /// It is no such ARN.
    NotOne,
}

/// Where the next page of a list starts.
pub(super) fn token(last: &str) -> String {
    BASE64_STANDARD.encode(last)
}

/// What [`token`] was made of.
pub(super) fn untoken(token: &str) -> Option<String> {
    let last = String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok()?;
    last.starts_with("arn:").then_some(last)
}
