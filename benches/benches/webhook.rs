//! What `webhook` does with a push before it queues it: verify and read. HMAC alone stands beside it, since that much
//! anybody must pay.

use criterion::{BenchmarkId, Criterion, Throughput};
use hmac::{Hmac, KeyInit, Mac};
use pointsman::github::{self, Headers, Payload, PayloadError, Secret, Secrets, Unverified, sign};
use pointsman_benches::{NOW, push_payload};
use sha2::Sha256;
use std::error::Error;
use std::hint::black_box;

const SECRET: &str = "a secret of thirty-two characters";
const PREVIOUS: &str = "another one, from before the last";
const SIZES: [(&str, usize); 3] = [("1 KB", 1_000), ("25 KB", 25_000), ("1 MB", 1_000_000)];

/// Neither may happen here; a benchmark of an error would be worthless.
#[derive(Debug)]
enum Failed {
    Unverified(Unverified),
    Unread(PayloadError),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unverified(error) => error.fmt(formatter),
            Self::Unread(error) => error.fmt(formatter),
        }
    }
}

impl Error for Failed {}

fn verify_and_read(secrets: &Secrets, signature: &str, body: &[u8]) -> Result<Payload, Failed> {
    let headers = Headers::new([
        ("content-type", b"application/json".as_slice()),
        ("x-github-event", b"push"),
        ("x-github-delivery", b"72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", signature.as_bytes()),
    ]);
    let delivery = github::verify(secrets, &headers, body).map_err(Failed::Unverified)?;
    github::read(&delivery, NOW).map_err(Failed::Unread)
}

fn hmac(body: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).ok()?;
    mac.update(body);
    Some(mac.finalize().into_bytes().into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let one = Secrets { current: Secret::new(SECRET)?, previous: None };
    let two = Secrets { current: Secret::new(SECRET)?, previous: Some(Secret::new(PREVIOUS)?) };
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("webhook");
    for (name, bytes) in SIZES {
        let body = push_payload(bytes);
        let signature = sign(&one.current, &body);
        verify_and_read(&one, &signature, &body)?;
        verify_and_read(&two, &signature, &body)?;
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("HMAC alone", name), |bencher| bencher.iter(|| hmac(black_box(&body))));
        group.bench_function(BenchmarkId::new("verify and read, one secret", name), |bencher| {
            bencher.iter(|| verify_and_read(black_box(&one), &signature, black_box(&body)));
        });
        group.bench_function(BenchmarkId::new("verify and read, two secrets", name), |bencher| {
            bencher.iter(|| verify_and_read(black_box(&two), &signature, black_box(&body)));
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
