//! The service's own HTTP port: the routes of `template.yaml`, and `GET /healthz`.

use crate::runner::Local;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// How much of a body is read before the connection is given up, in bytes. What is over the function's own bound is
/// read and thrown away up to here: a client that is cut off while it still writes sees a reset, not the status.
const READ_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Serves the routes of the API.
pub fn router(local: Local) -> Router {
    Router::new().fallback(serve).with_state(local)
}

async fn serve(State(local): State<Local>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/healthz" {
        return match parts.method {
            Method::GET | Method::HEAD => plain(StatusCode::OK, &json!({ "status": "ok" })),
            _ => not_allowed("GET, HEAD"),
        };
    }
    let Ok(body) = axum::body::to_bytes(body, READ_BYTES_MAX).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "the body is too large" }));
    };
    answer(&local, &parts.method, parts.uri.path(), &parts.headers, body).await
}

async fn answer(local: &Local, method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
    let pairs = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    match local.http(method.as_str(), path, &pairs.collect::<Vec<_>>(), &body).await {
        Some(Ok(answer)) => of_function(&answer),
        Some(Err(why)) => {
            // The path may hold a link, which lets whoever reads the log vote.
            let resource = local.wired.api.route(method.as_str(), path).map(|route| route.path.as_str());
            tracing::error!(resource, why, "the function failed");
            // API Gateway's own answer to a function that fails.
            plain(StatusCode::BAD_GATEWAY, &json!({ "message": "Internal server error" }))
        }
        None => {
            let methods: Vec<_> = local.wired.api.methods(path).into_iter().collect();
            if methods.is_empty() {
                return plain(StatusCode::NOT_FOUND, &json!({ "error": "there is nothing here; try POST /webhook" }));
            }
            not_allowed(&methods.join(", "))
        }
    }
}

/// Says which methods are for a path. (API Gateway itself answers 403, "Missing Authentication Token", to such a request.)
fn not_allowed(methods: &str) -> Response {
    let body = json!({ "error": format!("this method is not for this path; it takes {methods}") });
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, &body);
    if let Ok(methods) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

fn of_function(answer: &Value) -> Response {
    let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let mut response = Response::new(Body::from(answer["body"].as_str().unwrap_or_default().to_owned()));
    *response.status_mut() =
        status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        add_header(&mut response, name, value);
    }
    for (name, values) in answer["multiValueHeaders"].as_object().into_iter().flatten() {
        values.as_array().into_iter().flatten().for_each(|value| add_header(&mut response, name, value));
    }
    response
}

/// Adds a header, once: the two maps of an answer are made one, and what stands in both counts as one.
///
/// Source: the API Gateway developer guide, "Output format of a Lambda function for proxy integration".
fn add_header(response: &mut Response, name: &str, value: &Value) {
    let name = HeaderName::from_bytes(name.as_bytes());
    let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
    if let (Ok(name), Ok(value)) = (name, value)
        && !response.headers().get_all(&name).iter().any(|known| *known == value)
    {
        response.headers_mut().append(name, value);
    }
}

fn plain(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
