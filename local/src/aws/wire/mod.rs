//! The wire: requests as SDKs and the AWS CLI send them, answers as AWS gives them.
//!
//! There is one way in, [`handle`], and two doors to it: [`Wire`] is the HTTP client of SDK clients in this
//! process, [`router`] serves a TCP port. Faults strike here, so both doors know them. Signatures are read for the
//! caller, the region and the service, and never verified.

mod cbor;
mod connector;
mod errors;
mod members;
mod meter;
mod protocol;
mod query;
mod server;

pub use connector::{Wire, credentials_for};
pub use meter::{Counted, Meter};
pub(crate) use protocol::ANONYMOUS;
pub use server::router;

use super::{Aws, Call, Failure};
use crate::faults::Fault;
use flate2::read::GzDecoder;
use protocol::{Parcel, Reply, Target};
use serde_json::Value;
use std::io::Read as _;
use std::time::Duration;

/// The largest request that is read, in bytes: DynamoDB's own bound, and the largest of all.
const LARGEST_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What a caller gets.
#[derive(Debug)]
enum Outcome {
    Answered(Reply),
    /// The connection breaks.
    Reset,
    /// Nothing comes, ever.
    Silence,
}

/// Answers one request, or has it go wrong as the account's faults say.
async fn handle(aws: &Aws, mut parcel: Parcel) -> Outcome {
    let request_id = aws.uuid();
    let target = match unpack(&mut parcel).and_then(|()| protocol::read(&parcel)) {
        Ok(target) => target,
        Err(failure) => return Outcome::Answered(Reply::unrouted(&parcel, &failure, &request_id)),
    };
    let takes = aws.meter().count(|| Counted {
        at: aws.clock().now(),
        caller: target.caller.clone(),
        service: target.service.clone(),
        operation: target.operation.clone(),
    });
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    let fault = aws.faults().for_call(&target.service, &target.operation);
    if let Some(fault) = &fault {
        tracing::debug!(service = target.service, operation = target.operation, ?fault, "a fault strikes");
    }
    let refuse = |failure: Failure| Outcome::Answered(Reply::refusal(&target, &failure, &request_id));
    match fault {
        None => Outcome::Answered(perform(aws, &target, &parcel, &request_id).await),
        Some(Fault::Throttle) => refuse(throttled(&target.service)),
        Some(Fault::Refuse { code, status }) => {
            let message = "This refusal was injected.".to_owned();
            refuse(Failure { code, message, status })
        }
        Some(Fault::LoseBefore) => Outcome::Reset,
        Some(Fault::Delay(by)) => {
            let reply = perform(aws, &target, &parcel, &request_id).await;
            tokio::time::sleep(by).await;
            Outcome::Answered(reply)
        }
        Some(Fault::LoseAfter) => {
            perform(aws, &target, &parcel, &request_id).await;
            Outcome::Reset
        }
        Some(Fault::Silent) => {
            perform(aws, &target, &parcel, &request_id).await;
            Outcome::Silence
        }
        Some(Fault::AnswerTwice) => {
            perform(aws, &target, &parcel, &request_id).await;
            Outcome::Answered(perform(aws, &target, &parcel, &request_id).await)
        }
    }
}

/// Runs the operation and words its answer.
async fn perform(aws: &Aws, target: &Target, parcel: &Parcel, request_id: &str) -> Reply {
    if target.service == "dynamodb" {
        // Its errors carry items and reasons, and its numbers must not pass through a float: bytes in, bytes out.
        let (status, body) = aws.dynamodb().answer(aws, &target.region, &target.operation, &parcel.body);
        aws.poke();
        return Reply::json(target, status, body, request_id);
    }
    let outcome = match protocol::input(target, &parcel.body) {
        Ok(input) => call(aws, target, input).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(output) => Reply::output(target, &output, request_id),
        Err(failure) => {
            if failure.status == 501 {
                tracing::warn!(service = target.service, operation = target.operation, "not emulated");
            }
            Reply::refusal(target, &failure, request_id)
        }
    }
}

async fn call(aws: &Aws, target: &Target, input: Value) -> Result<Value, Failure> {
    let mut call = Call {
        operation: target.operation.clone(),
        region: target.region.clone(),
        caller: target.caller.clone(),
        input,
        now: aws.clock().now(),
    };
    if target.service != "sqs" || target.operation != "ReceiveMessage" {
        return aws.call(&target.service, &call);
    }
    let deadline = aws.sqs().wait_until(&call);
    loop {
        let output = aws.call("sqs", &call)?;
        if output.get("Messages").is_some() || call.now >= deadline {
            return Ok(output);
        }
        // Another receiver may be faster when a message comes: then this one waits on.
        aws.sqs().wait(aws, &call, deadline).await;
        call.now = aws.clock().now();
    }
}

/// Undoes the compression of a body: SDKs compress large inputs of operations whose model allows it, such as
/// PutMetricData's.
///
/// # Errors
/// `SerializationException` for what is not gzip, or is larger than any service takes.
fn unpack(parcel: &mut Parcel) -> Result<(), Failure> {
    if parcel.headers.get("content-encoding").is_none_or(|encoding| encoding != "gzip") {
        return Ok(());
    }
    let mut body = Vec::new();
    let bound = u64::try_from(LARGEST_BODY_BYTES).unwrap_or(u64::MAX);
    let read = GzDecoder::new(parcel.body.as_slice()).take(bound + 1).read_to_end(&mut body);
    match read {
        Ok(length) if length <= LARGEST_BODY_BYTES => {
            parcel.body = body;
            Ok(())
        }
        Ok(_) | Err(_) => Err(Failure::sender("SerializationException", "The request body cannot be decompressed.")),
    }
}

/// Each service has its own word for "too fast"; the SDKs know them all.
fn throttled(service: &str) -> Failure {
    let (code, status) = match service {
        "dynamodb" => ("ProvisionedThroughputExceededException", 400),
        "sqs" => ("RequestThrottled", 403),
        "sns" | "sts" => ("Throttling", 400),
        _ => ("ThrottlingException", 400),
    };
    Failure { code: code.to_owned(), message: "Rate exceeded".to_owned(), status }
}

/// How long a silent connection stays open where the client has no timeout of its own.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
