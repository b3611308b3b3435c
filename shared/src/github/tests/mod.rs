//! What `verify` and `read` make of anything that may be sent to them.

mod commits;
mod fields;
mod names;
mod payload;
mod properties;
mod samples;
mod signature;

use super::{Headers, Payload, PayloadError, Secret, Secrets, read, sign, verify};
use crate::domain::change::{Change, ChangeKind, Push};
use jiff::Timestamp;

/// The headers of a request.
type Sent<'a> = [(&'a str, &'a str)];

const SECRET: &str = "a secret that only tests know";
const GUID: &str = "5f0c9e7a-1630-11f1-8d2b-2f6e1c7a9b40";
/// A mark that stands in payloads where an attacker would like to see it come back.
const PRIVATE: &str = "PRIVATE";

/// A push with every field that is read, and nothing else.
const PUSH: &str = concat!(
    r#"{"ref":"refs/heads/main","before":"1111111111111111111111111111111111111111","#,
    r#""after":"2222222222222222222222222222222222222222","created":false,"deleted":false,"forced":false,"#,
    r#""head_commit":{"id":"2222222222222222222222222222222222222222","message":"Sell hats","#,
    r#""author":{"name":"Ada","email":"ada@example.com","username":"ada"},"#,
    r#""committer":{"name":"Grace","email":"grace@example.com","username":"grace"}},"#,
    r#""commits":[{"added":["new"],"removed":["old"],"modified":["kept"]}],"#,
    r#""repository":{"id":7,"full_name":"acme/shop","pushed_at":1772447467},"#,
    r#""pusher":{"name":"ada"},"sender":{"login":"ada"}}"#,
);

/// [`PUSH`] with one piece of its text replaced.
fn push_with(piece: &str, by: &str) -> String {
    assert_eq!(PUSH.matches(piece).count(), 1, "{piece} stands once in PUSH");
    PUSH.replacen(piece, by, 1)
}

fn secrets() -> Secrets {
    Secrets { current: Secret::new(SECRET).unwrap(), previous: None }
}

/// Signs `body`, verifies it and reads it, with exactly these headers besides the signature.
fn read_with(headers: &[(&str, &[u8])], body: &[u8]) -> Result<Payload, PayloadError> {
    let secrets = secrets();
    let signature = sign(&secrets.current, body);
    let all = headers.iter().copied().chain([("X-Hub-Signature-256", signature.as_bytes())]);
    let delivery = verify(&secrets, &Headers::new(all), body).unwrap();
    read(&delivery, Timestamp::UNIX_EPOCH)
}

fn read_json(event: &str, body: impl AsRef<[u8]>) -> Result<Payload, PayloadError> {
    let (event, guid) = (event.as_bytes(), GUID.as_bytes());
    let headers: [(&str, &[u8]); 3] =
        [("X-GitHub-Event", event), ("X-GitHub-Delivery", guid), ("Content-Type", b"application/json")];
    read_with(&headers, body.as_ref())
}

/// The outcome in a word: the event that was read, or what was refused.
///
/// Whatever is refused is refused in one short sentence of ours: the caller sees it.
fn word(outcome: &Result<Payload, PayloadError>) -> String {
    let error = match outcome {
        Ok(Payload::Ping) => return "ping".to_owned(),
        Ok(Payload::Change(change)) => return change.kind.event().to_owned(),
        Err(error) => error,
    };
    let sentence = error.to_string();
    assert!(sentence.is_ascii() && sentence.len() < 120 && !sentence.contains(PRIVATE), "{sentence}");
    match error {
        PayloadError::ContentType => "content type".to_owned(),
        PayloadError::Header(name) => (*name).to_owned(),
        PayloadError::Form => "form".to_owned(),
        PayloadError::Body(what) if what.starts_with("a field is missing") => "field".to_owned(),
        PayloadError::Body(what) if what.starts_with("not JSON (") => "syntax".to_owned(),
        PayloadError::Body(what) if what.starts_with("the JSON ends early") => "early end".to_owned(),
        PayloadError::Body(what) => what.clone(),
    }
}

fn change(outcome: Result<Payload, PayloadError>) -> Change {
    match outcome {
        Ok(Payload::Change(change)) => *change,
        other => panic!("not a change: {other:?}"),
    }
}

fn push(outcome: Result<Payload, PayloadError>) -> Push {
    let ChangeKind::Push(push) = change(outcome).kind else { panic!("not a push") };
    push
}
