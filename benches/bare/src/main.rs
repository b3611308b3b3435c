//! The least that a function on Lambda can be: it asks for an invocation, gives a fixed answer, and asks again. What
//! `webhook` costs at a cold start is measured against it, by `cargo xtask bench cold`.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use std::error::Error;
use tokio::net::TcpStream;

/// What every invocation is answered.
const ANSWER: &[u8] = br#"{"statusCode":202,"body":"{}"}"#;

type Body = Full<Bytes>;

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::disallowed_methods, reason = "main reads the environment")]
async fn main() -> Result<(), Box<dyn Error>> {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    let (mut sender, connection) = handshake(TokioIo::new(TcpStream::connect(&api).await?)).await?;
    tokio::spawn(connection);
    loop {
        let next = ask(&mut sender, &api, Method::GET, "next", Body::default()).await?;
        let id = next.headers().get("lambda-runtime-aws-request-id").ok_or("an invocation without an id")?.clone();
        next.into_body().collect().await?;
        let response = format!("{}/response", id.to_str()?);
        let taken = ask(&mut sender, &api, Method::POST, &response, Body::from(ANSWER)).await?;
        taken.into_body().collect().await?;
    }
}

async fn ask(
    sender: &mut SendRequest<Body>,
    api: &str,
    method: Method,
    what: &str,
    body: Body,
) -> Result<Response<hyper::body::Incoming>, Box<dyn Error>> {
    let uri = format!("/2018-06-01/runtime/invocation/{what}");
    let request = Request::builder().method(method).uri(uri).header(header::HOST, api).body(body)?;
    sender.ready().await?;
    Ok(sender.send_request(request).await?)
}
