//! Pages as answers: each with every header that keeps it from being framed, kept, or run.

use crate::page::{self, Notice, View};
use aws_lambda_events::apigw::ApiGatewayProxyResponse;
use aws_lambda_events::encodings::Body;
use aws_lambda_events::http::{HeaderName, HeaderValue, header};

/// The methods that the path takes.
const METHODS: &str = "GET, HEAD, OPTIONS, POST";

/// The page of an approval. One that could not be made is told as not available.
pub(crate) fn page(status: i64, base_url: &str, view: &View) -> ApiGatewayProxyResponse {
    match page::render(view) {
        Ok(html) => answer(status, base_url.starts_with("https://"), html),
        Err(error) => {
            tracing::error!(%error, "the page could not be made");
            notice(Notice::Unavailable)
        }
    }
}

/// A small page that says what to do.
pub(crate) fn notice(notice: Notice) -> ApiGatewayProxyResponse {
    let html = page::notice(notice).unwrap_or_default();
    let mut response = answer(i64::from(notice.status()), false, html);
    if notice == Notice::Method {
        response.headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    }
    response
}

/// What may be asked; no other site is told that it may.
pub(crate) fn options() -> ApiGatewayProxyResponse {
    let mut response = answer(204, false, String::new());
    response.headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    response
}

fn answer(status: i64, is_https: bool, html: String) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = status;
    for (name, value) in page::headers(is_https) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers.insert(HeaderName::from_static(name), value);
        }
    }
    response.body = Some(Body::Text(html));
    response
}
