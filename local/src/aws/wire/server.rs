//! The door for everybody else: the AWS port, for the AWS CLI, boto3, and a browser.
//!
//! Every method and path is AWS's, except a few below `/_local`, which no AWS service has: they stand for what
//! only AWS can do (emit its own events) and for what only a person could see (mail).

use super::protocol::{Parcel, Reply};
use super::{Aws, LARGEST_BODY_BYTES, Outcome, SILENCE, handle};
use crate::aws::ACCOUNT;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

/// Where an event goes that names no region.
const DEFAULT_REGION: &str = "us-east-1";

/// The largest event that EventBridge takes, in bytes.
const LARGEST_EVENT_BYTES: usize = 256 * 1024;

/// Serves `aws`: every service on one port, and `/_local` beside them.
pub fn router(aws: Aws) -> Router {
    Router::new()
        .route("/_local/events", post(take_event))
        .route("/_local/mail", get(show_mail))
        .route("/_local/operations", get(show_operations))
        .fallback(serve)
        .with_state(aws)
}

async fn serve(State(aws): State<Aws>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY_BYTES).await else {
        return plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            &json!({ "message": "The request is larger than any service takes." }),
        );
    };
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
    let headers = parts.headers.iter().filter_map(text).collect();
    match handle(&aws, Parcel { path: parts.uri.path().to_owned(), headers, body: body.to_vec() }).await {
        Outcome::Answered(reply) => response(reply),
        Outcome::Reset => {
            // A handler cannot break its own connection. The nearest thing: an error that says nothing, and a close.
            let mut reset = plain(StatusCode::SERVICE_UNAVAILABLE, &json!({ "__type": "ServiceUnavailable" }));
            reset.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            reset
        }
        Outcome::Silence => {
            tokio::time::sleep(SILENCE).await;
            plain(StatusCode::GATEWAY_TIMEOUT, &json!({ "message": "" }))
        }
    }
}

/// Puts one event on the default bus, as if AWS had emitted it.
async fn take_event(State(aws): State<Aws>, body: Body) -> Response {
    let Ok(bytes) = to_bytes(body, LARGEST_EVENT_BYTES).await else {
        return refuse("An event is at most 256 KB.");
    };
    match aws.tell(&bytes) {
        Ok(id) => plain(StatusCode::ACCEPTED, &json!({ "id": id })),
        Err(sentence) => refuse(sentence),
    }
}

impl Aws {
    /// Takes an event that only AWS can emit, as `POST /_local/events` does; answers with its id.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn tell(&self, event: &[u8]) -> Result<Value, &'static str> {
        let (region, envelope) = complete(self, event)?;
        let id = envelope["id"].clone();
        self.ecr().observe(self, &region, &envelope);
        self.eventbridge().publish(self, &region, "default", envelope);
        self.poke();
        Ok(id)
    }
}

/// What SNS sent by mail, the oldest first: `to`, `subject`, `body`, `at`.
async fn show_mail(State(aws): State<Aws>) -> Response {
    plain(StatusCode::OK, &json!(aws.sns().mail()))
}

/// What is emulated, by service: a list that tests and documentation are held against.
async fn show_operations(State(aws): State<Aws>) -> Response {
    plain(StatusCode::OK, &json!(aws.operations()))
}

/// Reads an event and fills in what is not there; answers with the region that it belongs to.
fn complete(aws: &Aws, bytes: &[u8]) -> Result<(String, Value), &'static str> {
    let Ok(Value::Object(mut event)) = serde_json::from_slice::<Value>(bytes) else {
        return Err("The body is not a JSON object: send one EventBridge event.");
    };
    for (member, sentence) in [
        ("source", "The event has no source, such as \"aws.inspector2\"."),
        ("detail-type", "The event has no detail-type, such as \"Inspector2 Finding\"."),
    ] {
        if event.get(member).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(sentence);
        }
    }
    if !event.entry("detail").or_insert_with(|| json!({})).is_object() {
        return Err("The event's detail is not an object.");
    }
    let time = jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", aws.clock().now()).unwrap_or_default();
    let defaults = [
        ("version", json!("0")),
        ("id", json!(aws.uuid())),
        ("account", json!(ACCOUNT)),
        ("time", json!(time)),
        ("region", json!(DEFAULT_REGION)),
        ("resources", json!([])),
    ];
    for (member, default) in defaults {
        event.entry(member).or_insert(default);
    }
    let region = event["region"].as_str().ok_or("The event's region is not a string.")?.to_owned();
    Ok((region, Value::Object(event)))
}

fn refuse(sentence: &str) -> Response {
    plain(StatusCode::BAD_REQUEST, &json!({ "error": sentence }))
}

fn plain(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn response(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
