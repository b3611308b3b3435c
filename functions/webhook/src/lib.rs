//! `webhook`: POST /webhook. Answers one GitHub delivery: verified, read and queued, or refused.
//!
//! It knows one secret and one queue, and nothing of routes, pipelines or the ledger. Bytes that nobody signed are
//! never parsed, logged or stored, and it answers 2xx only once the queue has the change.

mod secrets;

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use pointsman::aws::secretsmanager::{SecretError, SecretsManager};
use pointsman::aws::sqs::Queue;
use pointsman::aws::{AwsConfig, CallError};
use pointsman::github::{self, Headers, PAYLOAD_BYTES_MAX, Payload, PayloadError, Unverified};
use pointsman::settings::{Lookup, Missing, required};
use secrets::CachedSecrets;
use serde_json::json;
use std::borrow::Cow;

/// Which secret, and which queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The webhook secret's name or ARN: `POINTSMAN_WEBHOOK_SECRET_ID`.
    pub secret_id: String,
    /// The URL of the queue of changes: `POINTSMAN_CHANGES_QUEUE_URL`.
    pub queue_url: String,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn read(lookup: Lookup<'_>) -> Result<Self, Missing> {
        Ok(Self {
            secret_id: required(lookup, "POINTSMAN_WEBHOOK_SECRET_ID")?,
            queue_url: required(lookup, "POINTSMAN_CHANGES_QUEUE_URL")?,
        })
    }
}

/// Everything that lives longer than one request.
#[derive(Debug)]
pub struct App {
    config: AwsConfig,
    secrets: CachedSecrets,
    changes: Queue,
}

impl App {
    /// Builds the clients and warms them, at once.
    ///
    /// # Errors
    /// [`SecretError`] when there is no usable secret: without one, nothing may be answered.
    pub async fn start(config: AwsConfig, settings: Settings) -> Result<Self, SecretError> {
        let changes = Queue::new(&config, settings.queue_url);
        let manager = SecretsManager::new(&config, settings.secret_id);
        let (secrets, warmed) = tokio::join!(CachedSecrets::fetch(manager, config.now()), changes.warm());
        if let Err(error) = warmed {
            // The queue may be back for the first request; that request says 503 if it is not.
            tracing::warn!(%error, "the queue of changes was not reached during init");
        }
        Ok(Self { config, secrets: secrets?, changes })
    }
}

/// Why a request was refused. Each variant is one status; none tells a cause to the caller.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// 413
    #[error("the body is larger than {PAYLOAD_BYTES_MAX} bytes")]
    TooLarge,
    /// 401
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// 415 or 400
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// 503: GitHub shows the delivery as failed, and it can be redelivered.
    #[error("the change could not be queued; redeliver it")]
    Queue(#[source] CallError),
}

impl WebhookError {
    fn status(&self) -> i64 {
        match self {
            Self::TooLarge => 413,
            Self::Unverified(_) => 401,
            Self::Payload(PayloadError::ContentType) => 415,
            Self::Payload(PayloadError::Header(_) | PayloadError::Form | PayloadError::Body(_)) => 400,
            Self::Queue(_) => 503,
        }
    }
}

/// Answers one request. `request_id` is Lambda's, and unique.
pub async fn handle(app: &App, request: &ApiGatewayProxyRequest, request_id: &str) -> ApiGatewayProxyResponse {
    match receive(app, request, request_id).await {
        Ok(answer) => answer,
        Err(error) => {
            log_refusal(&error);
            response(error.status(), &json!({ "error": error.to_string() }))
        }
    }
}

async fn receive(
    app: &App,
    request: &ApiGatewayProxyRequest,
    request_id: &str,
) -> Result<ApiGatewayProxyResponse, WebhookError> {
    let body = body_of(request)?;
    let headers = headers_of(request);
    let now = app.config.now();
    let delivery = app.secrets.verify(&headers, &body, now).await?;
    let change = match github::read(&delivery, now)? {
        Payload::Ping => return Ok(response(200, &json!({ "status": "pong" }))),
        Payload::Change(change) => change,
    };
    // Durable from here on: only now may we answer 2xx.
    app.changes.send(&change, request_id).await.map_err(WebhookError::Queue)?;
    tracing::info!(delivery = %change.delivery, event = change.kind.event(), "delivery queued");
    Ok(response(202, &json!({ "status": "queued", "delivery": change.delivery })))
}

/// The raw bytes that GitHub signed. The bound comes first, on what is there before anything is decoded.
fn body_of(request: &ApiGatewayProxyRequest) -> Result<Cow<'_, [u8]>, WebhookError> {
    let raw = request.body.as_deref().unwrap_or_default().as_bytes();
    if !request.is_base64_encoded {
        return if raw.len() > PAYLOAD_BYTES_MAX { Err(WebhookError::TooLarge) } else { Ok(Cow::Borrowed(raw)) };
    }
    // Four characters carry three bytes; up to two of the last three are padding.
    if raw.len() / 4 * 3 > PAYLOAD_BYTES_MAX + 2 {
        return Err(WebhookError::TooLarge);
    }
    // What is not base64 was signed by nobody.
    let decoded = base64::engine::general_purpose::STANDARD.decode(raw).map_err(|_| Unverified)?;
    if decoded.len() > PAYLOAD_BYTES_MAX { Err(WebhookError::TooLarge) } else { Ok(Cow::Owned(decoded)) }
}

/// API Gateway puts every value into the multi-value map; the single-value map keeps only the last of each.
fn headers_of(request: &ApiGatewayProxyRequest) -> Headers<'_> {
    let all = if request.multi_value_headers.is_empty() { &request.headers } else { &request.multi_value_headers };
    Headers::new(all.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

fn log_refusal(error: &WebhookError) {
    match error {
        WebhookError::Queue(cause) => tracing::error!(status = error.status(), %cause, "delivery not queued"),
        WebhookError::TooLarge | WebhookError::Unverified(_) | WebhookError::Payload(_) => {
            tracing::warn!(status = error.status(), reason = %error, "delivery refused");
        }
    }
}

fn response(status: i64, body: &serde_json::Value) -> ApiGatewayProxyResponse {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = status;
    response.headers = headers;
    response.body = Some(Body::Text(body.to_string()));
    response
}

#[cfg(test)]
mod tests;
