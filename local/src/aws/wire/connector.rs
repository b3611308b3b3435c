//! The door for SDK clients in this process: an HTTP client without a network.

use super::protocol::{Parcel, ROLE_PREFIX, Reply};
use super::{Aws, LARGEST_BODY_BYTES, Outcome, SILENCE, handle};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use std::io::ErrorKind;
use std::time::Duration;

/// The HTTP client of SDK clients that talk to an account in this process. Cheap to clone.
///
/// It keeps the client's read timeout, and where a client has none it hangs, as a dead connection does.
#[derive(Debug, Clone)]
pub struct Wire {
    aws: Aws,
}

impl Wire {
    /// A wire to `aws`.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }
}

/// Credentials that make the account see a call as `role`'s.
pub fn credentials_for(role: &str) -> Credentials {
    // A role's name may hold '=', ',' and '@', which would tear the Authorization header apart.
    let encoded: String = form_urlencoded::byte_serialize(role.as_bytes()).collect();
    Credentials::from_keys(format!("{ROLE_PREFIX}{encoded}"), "local", None)
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connection { aws: self.aws.clone(), read_timeout: settings.read_timeout() })
    }
}

#[derive(Debug)]
struct Connection {
    aws: Aws,
    read_timeout: Option<Duration>,
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (aws, read_timeout) = (self.aws.clone(), self.read_timeout.unwrap_or(SILENCE));
        HttpConnectorFuture::new(async move {
            // The body is read to its end first: left unread, the SDK takes a silence for a stalled upload.
            let parcel = parcel(request).await?;
            let outcome = match tokio::time::timeout(read_timeout, handle(&aws, parcel)).await {
                Ok(outcome) => outcome,
                Err(_) => return Err(timed_out()),
            };
            match outcome {
                Outcome::Answered(reply) => response(reply),
                Outcome::Reset => Err(ConnectorError::io(std::io::Error::from(ErrorKind::ConnectionReset).into())),
                Outcome::Silence => {
                    tokio::time::sleep(read_timeout).await;
                    Err(timed_out())
                }
            }
        })
    }
}

async fn parcel(mut request: HttpRequest) -> Result<Parcel, ConnectorError> {
    let path = request.uri().split_once("://").map_or(request.uri(), |(_, rest)| rest);
    let path = path.find('/').map_or("/", |at| &path[at..]).split('?').next().unwrap_or("/").to_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let collected = ByteStream::new(request.take_body()).collect().await;
    let body = collected.map_err(|error| ConnectorError::user(error.into()))?.to_vec();
    if body.len() > LARGEST_BODY_BYTES {
        return Err(ConnectorError::user("the request is larger than any service takes".into()));
    }
    Ok(Parcel { path, headers, body })
}

fn response(reply: Reply) -> Result<HttpResponse, ConnectorError> {
    let status = reply.status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(reply.body));
    for (name, value) in reply.headers {
        let inserted = response.headers_mut().try_insert(name, value);
        inserted.map_err(|error| ConnectorError::other(error.into(), None))?;
    }
    Ok(response)
}

fn timed_out() -> ConnectorError {
    ConnectorError::timeout(std::io::Error::from(ErrorKind::TimedOut).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::wire::testing::account_with;
    use crate::faults::{Fault, Faults};

    /// What an SDK client would send to list its queues, as `role`.
    fn request(role: &str) -> HttpRequest {
        let key = credentials_for(role).access_key_id().to_owned();
        let mut request = HttpRequest::new(SdkBody::from("{}"));
        request.set_method("POST").expect("a method");
        request.set_uri("https://sqs.us-east-1.amazonaws.com/").expect("a URI");
        let scope = format!("AWS4-HMAC-SHA256 Credential={key}/20260831/us-east-1/sqs/aws4_request, Signature=0");
        request.headers_mut().insert("authorization", scope);
        request.headers_mut().insert("x-amz-target", "AmazonSQS.ListQueues");
        request
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_sees_what_a_network_would_show_it() {
        #[rustfmt::skip]
        let cases = [
            // fault                                    expected       seconds  why
            (None,                                      Ok(200),       0,       "answered"),
            (Some(Fault::LoseAfter),                    Err("io"),     0,       "a reset is an I/O error"),
            (Some(Fault::Silent),                       Err("timeout"), 5,      "silence ends with the read timeout"),
            (Some(Fault::Delay(Duration::from_secs(3))), Ok(200),      3,       "late, but in time"),
            (Some(Fault::Delay(Duration::from_secs(9))), Err("timeout"), 5,     "too late"),
        ];
        for (fault, expected, seconds, why) in cases {
            let faults = Faults::script(fault.map(|fault| ("sqs", "ListQueues", fault)));
            let connection = Connection { aws: account_with(faults), read_timeout: Some(Duration::from_secs(5)) };
            let start = tokio::time::Instant::now();
            let seen = connection.call(request("pointsman-webhook")).await;
            let kind = |error: ConnectorError| {
                if error.is_timeout() {
                    "timeout"
                } else if error.is_io() {
                    "io"
                } else {
                    "?"
                }
            };
            assert_eq!(seen.map(|answer| answer.status().as_u16()).map_err(kind), expected, "{why}");
            assert_eq!(start.elapsed().as_secs(), seconds, "{why}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_keeps_its_path_and_its_caller() {
        let mut request = request("role=x,y");
        request.set_uri("https://monitoring.us-east-1.amazonaws.com/service/A/operation/B?x=y").expect("a URI");
        let parcel = parcel(request).await.expect("read");
        assert_eq!(parcel.path, "/service/A/operation/B");
        let target = crate::aws::wire::protocol::read(&parcel).expect("a target");
        assert_eq!(target.caller, "arn:aws:sts::123456789012:assumed-role/role=x,y/role=x,y");
    }
}
