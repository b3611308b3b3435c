//! What stands before the queue: the body's bound, its encoding, its headers, and the status of each refusal.

use super::{WebhookError, body_of, headers_of};
use aws_lambda_events::apigw::ApiGatewayProxyRequest;
use aws_lambda_events::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use jiff::Timestamp;
use pointsman::aws::CallError;
use pointsman::aws::sqs::ascii_json;
use pointsman::domain::change::{ChangeKind, Paths, People};
use pointsman::github::{self, PAYLOAD_BYTES_MAX, Payload, Secret, Secrets};
use serde_json::json;

/// The headers of a request.
type Sent<'a> = [(&'static str, &'a str)];
type Bytes<'a> = &'a [u8];

const SECRET: &str = "local-webhook-secret";
/// Its base64 has both letters that the URL-safe alphabet writes otherwise, and padding.
const BODY: &str = "{\"zen\":\"~~~???>>>\u{fb}\u{ff}\"}";

fn request(body: Option<&str>, is_base64_encoded: bool) -> ApiGatewayProxyRequest {
    let mut request = ApiGatewayProxyRequest::default();
    request.body = body.map(str::to_owned);
    request.is_base64_encoded = is_base64_encoded;
    request
}

fn with_headers(mut request: ApiGatewayProxyRequest, headers: &Sent<'_>) -> ApiGatewayProxyRequest {
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request.multi_value_headers.append(HeaderName::from_static(name), value);
    }
    request
}

fn secrets() -> Secrets {
    Secrets { current: Secret::new(SECRET).unwrap(), previous: None }
}

fn read(request: &ApiGatewayProxyRequest) -> Result<Payload, WebhookError> {
    let body = body_of(request)?;
    let delivery = github::verify(&secrets(), &headers_of(request), &body)?;
    Ok(github::read(&delivery, Timestamp::UNIX_EPOCH)?)
}

/// The status of a request that the queue would take: as `handle` would answer it.
fn status(request: &ApiGatewayProxyRequest) -> i64 {
    match read(request) {
        Ok(Payload::Ping) => 200,
        Ok(Payload::Change(_)) => 202,
        Err(error) => error.status(),
    }
}

#[test]
fn the_body_is_what_github_signed_however_it_came() {
    let encoded = STANDARD.encode(BODY);
    assert!(encoded.ends_with('=') && encoded.contains('+') && encoded.contains('/'), "{encoded}");
    let lines = format!("{}\n{}", &encoded[..8], &encoded[8..]);
    #[rustfmt::skip]
    let cases: &[(Option<&str>, bool, Option<Bytes<'_>>, &str)] = &[
        // body                       flag    what is verified             why
        (Some(BODY),                  false,  Some(BODY.as_bytes()),       "text"),
        (Some(&encoded),              true,   Some(BODY.as_bytes()),       "base64"),
        (Some(&encoded),              false,  Some(encoded.as_bytes()),    "base64 that nobody says is: as it stands, and no signature fits"),
        (Some(BODY),                  true,   None,                        "text that is said to be base64"),
        (Some("abcd"),                true,   Some(&[0x69, 0xb7, 0x1d]),   "text that happens to be base64: other bytes, and no signature fits"),
        (None,                        false,  Some(b""),                   "no body"),
        (None,                        true,   Some(b""),                   "no body, said to be base64"),
        (Some(""),                    true,   Some(b""),                   "an empty one"),
        (Some(encoded.trim_end_matches('=')), true, None,                  "no padding"),
        (Some(&STANDARD_NO_PAD.encode("ab")), true, None,                  "none where two are due"),
        (Some("YWI=="),               true,   None,                        "padding too much"),
        (Some("YWJj="),               true,   None,                        "padding where none is due"),
        (Some("YW=I"),                true,   None,                        "padding within"),
        (Some("YWJ="),                true,   None,                        "bits that are dropped: two texts of one body"),
        (Some("="),                   true,   None,                        "padding only"),
        (Some("A"),                   true,   None,                        "six bits are no byte"),
        (Some(&URL_SAFE.encode(BODY)), true,  None,                        "the URL-safe alphabet"),
        (Some(&lines),                true,   None,                        "a line feed within"),
        (Some(&format!("{encoded}\n")), true, None,                        "a line feed behind"),
        (Some(&format!(" {encoded}")), true,  None,                        "a space before"),
        (Some(&format!("{encoded}\0")), true, None,                        "a NUL behind"),
        (Some(&format!("data:;base64,{encoded}")), true, None,             "a data URL"),
        (Some("ＹＷＪｊ"),             true,   None,                        "full-width letters"),
        (Some(&STANDARD.encode([0xff, 0xfe])), true, Some(&[0xff, 0xfe]),  "bytes that are no text: the reader judges them"),
        (Some(&STANDARD.encode(&encoded)), true, Some(encoded.as_bytes()), "encoded twice is decoded once"),
    ];
    for (body, flag, expected, why) in cases {
        let request = request(*body, *flag);
        match (body_of(&request), expected) {
            (Ok(bytes), Some(expected)) => assert_eq!(bytes.as_ref(), *expected, "{why}"),
            (Err(error), None) => assert_eq!(error.status(), 401, "{why}: what is not base64 was signed by nobody"),
            (got, expected) => panic!("{why}: {got:?} and not {expected:?}"),
        }
    }
}

#[test]
fn the_bound_comes_before_anything_else() {
    const MAX: usize = PAYLOAD_BYTES_MAX;
    assert_eq!(MAX, 4_500_000);
    #[rustfmt::skip]
    let cases = [
        // bytes   is taken  why
        (MAX - 1,  true,     "one byte below"),
        (MAX,      true,     "the bound itself"),
        (MAX + 1,  false,    "one byte above"),
        (MAX + 2,  false,    "two bytes above: as many base64 characters as three"),
        (MAX + 3,  false,    "three bytes above"),
    ];
    for (bytes, is_taken, why) in cases {
        let text = "x".repeat(bytes);
        let encoded = STANDARD.encode(&text);
        for request in [request(Some(&text), false), request(Some(&encoded), true)] {
            let flag = request.is_base64_encoded;
            match body_of(&request) {
                Ok(body) => assert!(is_taken && body.len() == bytes, "{why}, base64: {flag}"),
                Err(error) => assert_eq!((is_taken, error.status()), (false, 413), "{why}, base64: {flag}"),
            }
        }
    }
    let far_above = "!".repeat(6_100_000);
    for flag in [false, true] {
        let error = body_of(&request(Some(&far_above), flag)).unwrap_err();
        assert_eq!(error.status(), 413, "nothing is decoded above the bound, base64: {flag}");
    }
    let wide = "é".repeat(PAYLOAD_BYTES_MAX / 2 + 1);
    assert_eq!(body_of(&request(Some(&wide), false)).unwrap_err().status(), 413, "bytes count, not characters");
}

/// The headers of a ping that is as it should be; each row below leaves out, adds or replaces some.
fn ping(body: &str) -> Vec<(&'static str, String)> {
    vec![
        ("x-hub-signature-256", github::sign(&secrets().current, body.as_bytes())),
        ("content-type", "application/json".to_owned()),
        ("x-github-event", "ping".to_owned()),
        ("x-github-delivery", "5f0c9e7a-1630-11f1-8d2b-2f6e1c7a9b40".to_owned()),
    ]
}

#[test]
fn each_refusal_has_its_status_and_the_first_reason_counts() {
    let long = "x".repeat(PAYLOAD_BYTES_MAX + 1);
    let forged = github::sign(&Secret::new("another secret altogether").unwrap(), b"{}");
    #[rustfmt::skip]
    let cases: &[(&str, &Sent<'_>, i64, &str)] = &[
        // body     headers that differ (empty: left out)                                     status  why
        ("{}",      &[],                                                                      200,    "a ping"),
        ("{}",      &[("x-github-event", "star")],                                            202,    "an event that starts nothing is queued too"),
        (&long,     &[],                                                                      413,    "too large"),
        (&long,     &[("x-hub-signature-256", ""), ("content-type", "text/plain")],           413,    "too large comes before no signature"),
        ("{}",      &[("x-hub-signature-256", "")],                                           401,    "no signature"),
        ("{}",      &[("x-hub-signature-256", &forged)],                                      401,    "another's signature"),
        ("{}",      &[("x-hub-signature-256", ""), ("content-type", "text/plain")],           401,    "no signature comes before the content type"),
        ("",        &[("x-hub-signature-256", "")],                                           401,    "no signature comes before no payload"),
        ("{}",      &[("content-type", "text/plain")],                                        415,    "text"),
        ("{}",      &[("content-type", "")],                                                  415,    "no content type"),
        ("",        &[("content-type", "text/plain")],                                        415,    "the content type comes before no payload"),
        ("{}",      &[("content-type", "text/plain"), ("x-github-event", "")],                415,    "and before no event"),
        ("",        &[],                                                                      400,    "no payload, though signed"),
        ("{}",      &[("x-github-event", "")],                                                400,    "no event"),
        ("{}",      &[("x-github-event", "Ping")],                                            400,    "no event's name"),
        ("{}",      &[("x-github-delivery", "")],                                             400,    "no delivery"),
        ("{}",      &[("x-github-delivery", "a/b")],                                          400,    "no delivery's name"),
        ("{}",      &[("x-github-event", "push")],                                            400,    "no push"),
        ("{}",      &[("content-type", "application/x-www-form-urlencoded")],                 400,    "no form"),
        ("[]",      &[],                                                                      400,    "no object"),
        ("\u{feff}{}", &[],                                                                   400,    "a byte order mark"),
    ];
    for (body, different, expected, why) in cases {
        let mut headers = ping(body);
        for (name, value) in *different {
            headers.retain(|(kept, _)| kept != name);
            if !value.is_empty() {
                headers.push((name, (*value).to_owned()));
            }
        }
        let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(status(&with_headers(request(Some(body), false), &headers)), *expected, "{why}");
        let encoded = request(Some(&STANDARD.encode(body)), true);
        assert_eq!(status(&with_headers(encoded, &headers)), *expected, "{why}, as base64");
    }
}

#[test]
fn a_body_under_the_wrong_flag_is_unsigned() {
    let (text, encoded) = ("{}", STANDARD.encode("{}"));
    #[rustfmt::skip]
    let cases = [
        // body            flag    signed            status  why
        (text,             false,  text,             200,    "text, as it is"),
        (encoded.as_str(), true,   text,             200,    "base64, as it is"),
        (encoded.as_str(), false,  text,             401,    "base64 that is taken for text"),
        (text,             true,   text,             401,    "text that is taken for base64"),
        (encoded.as_str(), true,   encoded.as_str(), 401,    "GitHub signs what it sends, not what API Gateway makes of it"),
        (encoded.as_str(), false,  encoded.as_str(), 400,    "signed so, but no payload"),
    ];
    for (body, flag, signed, expected, why) in cases {
        let headers = ping(signed);
        let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(status(&with_headers(request(Some(body), flag), &headers)), expected, "{why}");
    }
}

#[test]
fn every_value_of_a_header_is_seen() {
    let headers = ping("{}");
    let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let good = || with_headers(request(Some("{}"), false), &headers);
    assert_eq!(status(&good()), 200);
    for (name, value) in &headers {
        let doubled = with_headers(good(), &[(*name, *value)]);
        let expected = match *name {
            "x-hub-signature-256" => 401,
            "content-type" => 415,
            _ => 400,
        };
        assert_eq!(status(&doubled), expected, "{name} twice");
    }

    let mut single = good();
    single.headers = std::mem::take(&mut single.multi_value_headers);
    assert_eq!(status(&single), 200, "a sender that fills the single-value map only");

    let mut both = with_headers(good(), &[("x-hub-signature-256", "sha256=0")]);
    both.headers = good().multi_value_headers;
    assert_eq!(status(&both), 401, "the single-value map does not hide that a header came twice");

    let mut bytes = good();
    let value = HeaderValue::from_bytes(b"sha256=\xff").unwrap();
    bytes.multi_value_headers.insert("x-hub-signature-256", value);
    assert_eq!(status(&bytes), 401, "a value that is not text");
}

#[test]
fn a_queue_that_does_not_take_it_is_503_and_no_refusal_tells_a_cause() {
    let cause = "https://sqs.us-east-1.amazonaws.com/123456789012/changes.fifo";
    let error = WebhookError::Queue(CallError::Lost(cause.to_owned()));
    assert_eq!(error.status(), 503);
    assert!(!error.to_string().contains("sqs"), "{error}");
    for request in [request(Some("{\"PRIVATE\":"), false), request(Some("PRIVATE"), true)] {
        assert_eq!(read(&request).unwrap_err().to_string(), "no valid signature");
    }
}

/// Every part of it is about as heavy as may be; heavier ones are not carried.
#[test]
fn the_heaviest_push_fits_into_a_message() {
    /// SQS's bound, in bytes.
    const MESSAGE_BYTES_MAX: usize = 1_048_576;
    let heavy = "🎩".repeat(300);
    let sha = |number: usize| format!("{number:040x}");
    let commit = |number: usize, by: usize| {
        let person = json!({ "name": heavy, "email": format!("{by:06}@example.com") });
        json!({ "id": sha(number), "message": heavy, "author": person, "committer": person })
    };
    let mut commits: Vec<_> = (1..30).map(|number| commit(number, number.min(20))).collect();
    commits[0]["added"] = json!((0..2_400).map(|number| format!("{number:0>97}")).collect::<Vec<_>>());
    let mut head = commit(29, 20);
    head["author"]["username"] = json!(heavy);
    let repository = format!("{}/{}", "a".repeat(39), "b".repeat(100));
    let push = json!({
        "ref": format!("refs/heads/{}", "\u{1}".repeat(1_013)), "before": sha(100), "after": sha(29),
        "created": false, "deleted": false, "forced": false, "commits": commits, "head_commit": head,
        "repository": { "id": u64::MAX, "full_name": repository, "pushed_at": 1_800_000_000 },
        "pusher": { "name": heavy, "email": "é".repeat(127) }, "sender": { "login": heavy },
    });
    let body = push.to_string();
    let mut headers = ping(&body);
    headers.retain(|(name, _)| *name != "x-github-event");
    headers.push(("x-github-event", "push".to_owned()));
    let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let Payload::Change(change) = read(&with_headers(request(Some(&body), false), &headers)).unwrap() else {
        panic!("a push")
    };
    let message = ascii_json(&change).len();
    let ChangeKind::Push(push) = change.kind else { panic!("a push") };
    let listed = push.listed.unwrap();
    assert!(matches!(push.paths, Paths::Known(paths) if paths.len() == 2_400), "as many paths as are carried");
    assert!(matches!(listed.people, People::Known(people) if people.len() == 20), "as many people of that weight");
    assert!((5..29).contains(&listed.newest.len()), "as many commits");
    assert!(message > 240_000 + 60_000 + 60_000, "paths, people and commits at their bounds: {message} bytes");
    assert!(message < MESSAGE_BYTES_MAX / 2, "and there is room: {message} bytes");
}

/// API Gateway's event, as Lambda hands it over.
#[test]
fn the_sample_event_is_a_signed_push() {
    let text = include_str!("../../../events/api-gateway-webhook.json");
    let request: ApiGatewayProxyRequest = serde_json::from_str(text).unwrap();
    assert_eq!(request.headers.len(), request.multi_value_headers.len());
    let Ok(Payload::Change(change)) = read(&request) else { panic!("{:?}", read(&request)) };
    let ChangeKind::Push(push) = change.kind else { panic!("{change:?}") };
    assert_eq!(push.git_ref.to_string(), "refs/heads/main");
    let sent: serde_json::Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
    let sample: serde_json::Value = serde_json::from_str(include_str!("../../../events/push.json")).unwrap();
    assert_eq!(sent, sample, "the body is events/push.json");
}
