//! What the tests of this crate share: an account, and requests as a client signs them.

use super::protocol::Parcel;
use super::{Outcome, handle};
use crate::aws::{Aws, Behaviour};
use crate::clock::Clock;
use crate::faults::Faults;
use serde_json::Value;

/// An empty account at a fixed moment, without faults.
pub(crate) fn account() -> Aws {
    account_with(Faults::none())
}

/// An empty account at a fixed moment, with these faults.
pub(crate) fn account_with(faults: Faults) -> Aws {
    let clock = Clock::starting_at("2026-08-31T12:00:00Z".parse().expect("a timestamp"));
    Aws::new(clock, Behaviour::default(), faults, 1).expect("an account")
}

/// A signed awsJson request.
pub(super) fn parcel(service: &str, target: &str, input: &Value) -> Parcel {
    let credential = format!("AWS4-HMAC-SHA256 Credential=AKID/20260831/us-east-1/{service}/aws4_request");
    let headers = [("authorization", credential), ("x-amz-target", target.to_owned())];
    Parcel {
        path: "/".to_owned(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: input.to_string().into_bytes(),
    }
}

/// A signed awsQuery request.
pub(super) fn form(service: &str, body: &str) -> Parcel {
    let mut parcel = parcel(service, "", &Value::Null);
    parcel.headers.remove("x-amz-target");
    Parcel { body: body.as_bytes().to_vec(), ..parcel }
}

/// Sends a request through the wire and reads what comes back.
pub(super) async fn send(aws: &Aws, service: &str, target: &str, input: &Value) -> Result<(u16, Value), &'static str> {
    match handle(aws, parcel(service, target, input)).await {
        Outcome::Answered(reply) => Ok((reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())),
        Outcome::Reset => Err("reset"),
        Outcome::Silence => Err("silence"),
    }
}
