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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::lambda::{Answer, Invocation};
    use crate::clock::Clock;
    use crate::runner::Options;
    use std::sync::Arc;
    use std::time::Duration;

    const LINK: &str = "/approvals/q0b2l4Yv";

    /// A runner whose pages are answered with `answer`.
    async fn answering(answer: Result<Value, String>) -> Local {
        let local = Local::start(Clock::real(), Options { config: None, ..Options::default() }).await.unwrap();
        let handler = move |_: Value, _: Invocation| -> Answer {
            let answer = answer.clone();
            Box::pin(async { answer })
        };
        local.aws.lambda().register("pointsman-ApproveFunction", Arc::new(handler), Duration::from_secs(3));
        local
    }

    async fn ask(local: &Local, method: Method, path: &str) -> (u16, HeaderMap, String) {
        let response = answer(local, &method, path, &HeaderMap::new(), Bytes::new()).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, READ_BYTES_MAX).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_answered_as_its_function_says() {
        let page = json!({
            "statusCode": 200, "body": "<form>",
            "headers": { "Content-Type": "text/html", "X-Once": "1" },
            "multiValueHeaders": { "content-type": ["text/html"], "set-cookie": ["a=1", "b=2"], "bad name": ["x"] },
        });
        let local = answering(Ok(page)).await;
        let (status, headers, body) = ask(&local, Method::GET, LINK).await;
        assert_eq!((status, body.as_str()), (200, "<form>"));
        let all = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        #[rustfmt::skip]
        let cases: [(&str, &[&str], &str); 3] = [
            ("content-type", &["text/html"],  "in both maps, and said once"),
            ("x-once",       &["1"],          "in the one"),
            ("set-cookie",   &["a=1", "b=2"], "in the other, each of them"),
        ];
        for (name, expected, why) in cases {
            assert_eq!(all(name), expected, "{name}: {why}");
        }
        assert_eq!(headers.len(), 4, "what is no header is left out");
        let (status, with_head, body) = ask(&local, Method::HEAD, LINK).await;
        assert_eq!((status, with_head, body.as_str()), (200, headers, ""), "HEAD says the same without a body");
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_has_no_page_is_refused() {
        let local = answering(Err("it broke".to_owned())).await;
        #[rustfmt::skip]
        let cases = [
            (Method::GET,    LINK,            502, "the function failed"),
            (Method::DELETE, LINK,            502, "every method goes to it"),
            (Method::GET,    "/approvals/",   404, "no link"),
            (Method::GET,    "/approvals/a/b", 404, "more than a link"),
            (Method::GET,    "/nothing",      404, "no such path"),
            (Method::GET,    "/webhook",      405, "another method"),
        ];
        for (method, path, expected, why) in cases {
            let (status, headers, body) = ask(&local, method, path).await;
            assert_eq!(status, expected, "{why}");
            assert!(!body.contains("broke"), "{why}: {body}");
            assert_eq!(headers.get(header::ALLOW).is_some(), expected == 405, "{why}");
        }
    }
}
