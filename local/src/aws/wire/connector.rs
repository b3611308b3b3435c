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
