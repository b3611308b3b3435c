//! What holds for any bytes at all: nothing panics, and nothing that was changed verifies.

use super::super::{Headers, sign, verify};
use super::{GUID, PUSH, read_with, samples, secrets, word};
use proptest::prelude::*;
use proptest::sample::Index;

/// One way to spoil a body.
#[derive(Debug, Clone)]
enum Spoil {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
    Swap(Index, Index),
}

impl Spoil {
    fn apply(&self, body: &mut Vec<u8>) {
        if body.is_empty() {
            return;
        }
        let at = |index: &Index| index.index(body.len());
        match self {
            Self::Set(index, byte) => {
                let at = at(index);
                body[at] = *byte;
            }
            Self::Insert(index, bytes) => {
                let at = at(index);
                body.splice(at..at, bytes.iter().copied());
            }
            Self::Remove(index, count) => {
                let at = at(index);
                body.drain(at..(at + count).min(body.len()));
            }
            Self::Repeat(index, count) => {
                let at = at(index);
                let piece = body[at..(at + count).min(body.len())].to_vec();
                body.splice(at..at, piece);
            }
            Self::Cut(index) => body.truncate(at(index)),
            Self::Swap(one, other) => {
                let (one, other) = (at(one), at(other));
                body.swap(one, other);
            }
        }
    }
}

/// Bytes that mean something in JSON, in a form or in UTF-8 come more often than others.
fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        2 => any::<u8>(),
        3 => prop::sample::select(&b"{}[]\",:\\u0019-+.eEntf%&=/ \n\0\x7f\x80\xc3\xed\xf0\xff"[..]),
    ]
}

fn any_spoil() -> impl Strategy<Value = Spoil> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any_byte()).prop_map(|(index, byte)| Spoil::Set(index, byte)),
        (at(), prop::collection::vec(any_byte(), 1..8)).prop_map(|(index, bytes)| Spoil::Insert(index, bytes)),
        (at(), 1usize..40).prop_map(|(index, count)| Spoil::Remove(index, count)),
        (at(), 1usize..400).prop_map(|(index, count)| Spoil::Repeat(index, count)),
        at().prop_map(Spoil::Cut),
        (at(), at()).prop_map(|(one, other)| Spoil::Swap(one, other)),
    ]
}

fn any_event() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["push", "pull_request", "workflow_run", "release", "create", "delete", "ping", "star"])
}

fn any_content_type() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["application/json", "application/x-www-form-urlencoded"])
}

/// Reads `body`; the word for the outcome also checks that a refusal is one short sentence.
fn read_any(event: &str, content_type: &str, body: &[u8]) {
    let headers = [
        ("X-GitHub-Event", event.as_bytes()),
        ("X-GitHub-Delivery", GUID.as_bytes()),
        ("Content-Type", content_type.as_bytes()),
    ];
    let _sentence_is_checked = word(&read_with(&headers, body));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn any_bytes_are_read_without_a_panic(
        event in any_event(),
        content_type in any_content_type(),
        body in prop::collection::vec(any_byte(), 0..200),
    ) {
        read_any(event, content_type, &body);
    }

    #[test]
    fn any_headers_are_read_without_a_panic(
        event in prop::collection::vec(any::<u8>(), 0..80),
        guid in prop::collection::vec(any::<u8>(), 0..80),
        content_type in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let headers: [(&str, &[u8]); 3] =
            [("X-GitHub-Event", &event), ("X-GitHub-Delivery", &guid), ("Content-Type", &content_type)];
        let _sentence_is_checked = word(&read_with(&headers, PUSH.as_bytes()));
    }

    #[test]
    fn a_spoilt_payload_is_read_without_a_panic(
        event in any_event(),
        sample in any::<Index>(),
        spoils in prop::collection::vec(any_spoil(), 1..6),
        is_own_event in prop::bool::weighted(0.8),
        is_form in prop::bool::weighted(0.2),
    ) {
        let samples: Vec<_> = samples::github().chain([("push", PUSH)]).collect();
        let (name, text) = *sample.get(&samples);
        let encoded = || ["payload=", &form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()].concat();
        let mut body = if is_form { encoded() } else { text.to_owned() }.into_bytes();
        spoils.iter().for_each(|spoil| spoil.apply(&mut body));
        let content_type = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
        read_any(if is_own_event { samples::event(name) } else { event }, content_type, &body);
    }

    #[test]
    fn a_spoilt_body_never_verifies(
        body in prop_oneof![Just(PUSH.as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 0..300)],
        spoils in prop::collection::vec(any_spoil(), 1..4),
    ) {
        let secrets = secrets();
        let header = sign(&secrets.current, &body);
        let headers = Headers::new([("X-Hub-Signature-256", header.as_bytes())]);
        let mut spoilt = body.clone();
        spoils.iter().for_each(|spoil| spoil.apply(&mut spoilt));
        prop_assert!(verify(&secrets, &headers, &body).is_ok());
        prop_assert_eq!(verify(&secrets, &headers, &spoilt).is_ok(), spoilt == body);
    }

    #[test]
    fn a_spoilt_header_never_verifies(
        spoils in prop::collection::vec(any_spoil(), 1..4),
        any_value in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let secrets = secrets();
        let header = sign(&secrets.current, PUSH.as_bytes()).into_bytes();
        let mut spoilt = header.clone();
        spoils.iter().for_each(|spoil| spoil.apply(&mut spoilt));
        for value in [spoilt, any_value] {
            let headers = Headers::new([("X-Hub-Signature-256", value.as_slice())]);
            prop_assert_eq!(verify(&secrets, &headers, PUSH.as_bytes()).is_ok(), value == header);
        }
    }
}
