//! A made-up Lambda for one function at a time: its runtime API, and as much of Secrets Manager and SQS as `webhook`
//! needs, on one port of this machine. It answers at once, so that what is measured is the function.

use crate::failure::Failure;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

/// What a function did.
#[derive(Debug)]
pub(super) enum Did {
    /// It asks for an invocation, and gets one as soon as `give` is told so.
    Asked { at: Instant, give: Sender<()> },
    /// It answered one.
    Answered { at: Instant, answer: Value },
    /// It says that it cannot start, or could not answer.
    Failed { why: String },
}

/// The service.
#[derive(Debug)]
pub(super) struct Lambda {
    /// Where it is.
    pub(super) address: SocketAddr,
    /// What the function does, in order.
    pub(super) seen: Receiver<Did>,
}

/// A request, as far as anybody reads it.
struct Request {
    line: String,
    target: String,
    body: Vec<u8>,
}

/// A status and its headers, and the body.
type Answer = (&'static str, Vec<u8>);

impl Lambda {
    /// Serves `event` to whoever asks; `secret` is the only secret, and every queue takes everything.
    pub(super) fn start(event: &[u8], secret: &str) -> Result<Self, Failure> {
        let failed = |source| Failure::NotRun { program: "a server on 127.0.0.1".to_owned(), source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (tell, seen) = channel();
        let (event, secret) = (event.to_vec(), secret.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, event, secret) = (tell.clone(), event.clone(), secret.clone());
                thread::spawn(move || serve(&stream, &tell, &event, &secret));
            }
        });
        Ok(Self { address, seen })
    }
}

/// Answers one request after the other until the function closes the connection, or nobody watches it any more.
fn serve(stream: &TcpStream, tell: &Sender<Did>, event: &[u8], secret: &str) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = read(&mut reader)?;
        let (head, body) = answer(&request, tell, event, secret)?;
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut writer = stream;
        writer.write_all(&[head.as_bytes(), &body].concat()).ok()?;
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let (mut request, mut length) = (Request { line: String::new(), target: String::new(), body: Vec::new() }, 0);
    reader.read_line(&mut request.line).ok().filter(|bytes| *bytes > 0)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim_end().to_ascii_lowercase().split_once(": ") {
            None => break,
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("x-amz-target", value)) => request.target = value.to_owned(),
            Some(_) => {}
        }
    }
    reader.take(length).read_to_end(&mut request.body).ok()?;
    Some(request)
}

fn answer(request: &Request, tell: &Sender<Did>, event: &[u8], secret: &str) -> Option<Answer> {
    let path = request.line.split(' ').nth(1)?;
    let text = || String::from_utf8_lossy(&request.body).into_owned();
    if path.ends_with("/invocation/next") {
        let (give, given) = channel();
        tell.send(Did::Asked { at: Instant::now(), give }).ok()?;
        given.recv().ok()?;
        Some((INVOCATION, event.to_vec()))
    } else if path.ends_with("/response") {
        let at = Instant::now();
        tell.send(Did::Answered { at, answer: serde_json::from_slice(&request.body).unwrap_or_default() }).ok()?;
        Some(("202 Accepted", Vec::new()))
    } else if path.ends_with("/error") {
        tell.send(Did::Failed { why: text() }).ok()?;
        Some(("202 Accepted", Vec::new()))
    } else {
        let (status, body) = of_aws(&request.target, &text(), secret);
        Some((status, body.to_string().into_bytes()))
    }
}

/// What goes before the event: an id, and a deadline that is always far away.
const INVOCATION: &str = "200 OK\r\n\
    Content-Type: application/json\r\n\
    Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
    Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
    Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:measured\r\n\
    Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0";

fn of_aws(target: &str, body: &str, secret: &str) -> (&'static str, Value) {
    match target {
        "secretsmanager.getsecretvalue" if body.contains("AWSPREVIOUS") => {
            (REFUSED, json!({ "__type": "ResourceNotFoundException", "Message": "there is no previous one" }))
        }
        "secretsmanager.getsecretvalue" => (TAKEN, json!({ "Name": "secret", "SecretString": secret })),
        "amazonsqs.sendmessage" if body.contains(r#""MessageBody":"""#) => {
            (REFUSED, json!({ "__type": "com.amazonaws.sqs#InvalidParameterValue", "message": "no body" }))
        }
        "amazonsqs.sendmessage" => {
            (TAKEN, json!({ "MessageId": "1", "MD5OfMessageBody": "d41d8cd98f00b204e9800998ecf8427e" }))
        }
        other => (REFUSED, json!({ "__type": "UnknownOperationException", "message": other })),
    }
}

const TAKEN: &str = "200 OK\r\nContent-Type: application/x-amz-json-1.1";
const REFUSED: &str = "400 Bad Request\r\nContent-Type: application/x-amz-json-1.1";
