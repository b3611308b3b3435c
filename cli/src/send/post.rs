//! One HTTP POST, by the HTTP client that the AWS SDK brings.

use crate::failure::Failure;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use std::time::Duration;

/// How long the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the answer may take: GitHub itself waits 10 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an answer is read, in bytes. The rest is left unread.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Posted {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Posted {
    /// Whether it was taken.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Posts `body` and returns whatever was answered.
pub(super) async fn post(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Posted, Failure> {
    let request = request(url, headers, body)?;
    let connector = connector(url);
    let hint = if url.starts_with("http://127.0.0.1:") { "; is `cargo local` running?" } else { "" };
    let no_answer = |why: String| Failure::Refused(format!("{url} did not answer: {why}{hint}"));
    let answering = async {
        let response = connector.call(request).await.map_err(|error| no_answer(causes(&error)))?;
        Ok(Posted { status: response.status().as_u16(), body: body_of(response).await.map_err(no_answer)? })
    };
    tokio::time::timeout(ANSWER_TIMEOUT, answering)
        .await
        .unwrap_or_else(|_| Err(no_answer(format!("{} s have passed", ANSWER_TIMEOUT.as_secs()))))
}

fn request(url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<HttpRequest, Failure> {
    let wrong = |why: String| Failure::Usage(format!("{url}: {why}"));
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(wrong("the URL must begin with http:// or https://".to_owned()));
    }
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST").map_err(|error| wrong(error.to_string()))?;
    request.set_uri(url).map_err(|error| wrong(error.to_string()))?;
    for (name, value) in headers {
        let (name, value) = ((*name).to_owned(), (*value).to_owned());
        request.headers_mut().try_insert(name, value).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(request)
}

/// TLS where the URL asks for it, and the environment's proxy for whatever is not on this machine.
fn connector(url: &str) -> Connector {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(ANSWER_TIMEOUT);
    let proxy = if is_on_this_machine(url) { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
    let builder: ConnectorBuilder = Connector::builder().connector_settings(settings.build()).proxy_config(proxy);
    if url.starts_with("https://") {
        builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
    } else {
        builder.build_http()
    }
}

fn is_on_this_machine(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let host = host.map_or(authority, |(host, _)| host);
    matches!(host, "localhost" | "[::1]") || host.starts_with("127.")
}

async fn body_of(response: HttpResponse) -> Result<String, String> {
    let mut stream = ByteStream::new(response.into_body());
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        let Some(chunk) = stream.next().await else { break };
        bytes.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
    }
    bytes.truncate(ANSWER_BYTES_MAX);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An error and its causes on one line.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request with `answer` and returns what was sent.
    async fn served(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut sent = vec![0; 4_096];
            let count = stream.read(&mut sent).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            String::from_utf8_lossy(&sent[..count]).to_ascii_lowercase()
        });
        (url, serving)
    }

    #[tokio::test]
    async fn what_is_posted_arrives_and_what_is_answered_comes_back() {
        let (url, serving) = served("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").await;
        let posted = post(&url, &[("x-github-event", "push")], b"{}".to_vec()).await.unwrap();
        assert_eq!(posted, Posted { status: 401, body: "no".into() });
        assert!(!posted.is_success());
        let sent = serving.await.unwrap();
        assert!(sent.starts_with("post /webhook http/1.1\r\n"), "{sent}");
        assert!(sent.contains("x-github-event: push\r\n") && sent.contains("content-length: 2\r\n"), "{sent}");
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let failure = post(&format!("http://{closed}/"), &[], Vec::new()).await.unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert!(failure.to_string().contains("did not answer"), "{failure}");
        for url in ["127.0.0.1:3000/webhook", "ftp://127.0.0.1/", "http://a b/"] {
            assert_eq!(post(url, &[], Vec::new()).await.unwrap_err().exit_code(), 2, "{url}");
        }
    }

    #[test]
    fn no_proxy_stands_before_this_machine() {
        #[rustfmt::skip]
        let cases = [
            ("http://127.0.0.1:3000/webhook", true,  "as cargo local is"),
            ("http://localhost/webhook",      true,  "by name"),
            ("http://[::1]:3000/",            true,  "the newer way"),
            ("https://hooks.example.com/",    false, "somewhere else"),
            ("https://localhost.example.com", false, "only looks like it"),
        ];
        for (url, expected, why) in cases {
            assert_eq!(is_on_this_machine(url), expected, "{why}");
        }
    }
}
