//! The signature: HMAC-SHA256 over the raw bytes, compared in constant time.
//!
//! Source: GitHub, "Validating webhook deliveries".

use super::secret::{Secret, Secrets};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "sha256=";
const DIGEST_BYTES: usize = 32;

/// The headers that matter, each with every value that was sent. Names are compared without case.
#[derive(Debug, Default, Clone)]
pub struct Headers<'a> {
    signature: Values<'a>,
    event: Values<'a>,
    delivery: Values<'a>,
    content_type: Values<'a>,
}

#[derive(Debug, Default, Clone, Copy)]
enum Values<'a> {
    #[default]
    None,
    One(&'a [u8]),
    Several,
}

impl<'a> Values<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::None => Self::One(value),
            Self::One(_) | Self::Several => Self::Several,
        };
    }

    fn only(self) -> Option<&'a str> {
        match self {
            Self::One(value) => std::str::from_utf8(value).ok(),
            Self::None | Self::Several => None,
        }
    }
}

impl<'a> Headers<'a> {
    /// Picks the headers that matter out of all of them.
    pub fn new(all: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut headers = Self::default();
        for (name, value) in all {
            if name.eq_ignore_ascii_case("x-hub-signature-256") {
                headers.signature.add(value);
            } else if name.eq_ignore_ascii_case("x-github-event") {
                headers.event.add(value);
            } else if name.eq_ignore_ascii_case("x-github-delivery") {
                headers.delivery.add(value);
            } else if name.eq_ignore_ascii_case("content-type") {
                headers.content_type.add(value);
            }
        }
        headers
    }
}

/// A request that somebody who knows the secret has signed. Only [`verify`] makes one.
///
/// The signature covers the body alone: whoever captured one can send it again under other headers.
#[derive(Debug)]
pub struct Delivery<'a> {
    pub(super) event: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) content_type: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// The signature is missing, malformed or wrong. The caller is not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no valid signature")]
pub struct Unverified;

/// Verifies that `body` was signed with one of `secrets`.
///
/// The header must be there once and be exactly `sha256=` and 64 lowercase hexadecimal digits, as GitHub sends it.
/// Both secrets are always tried, so that time does not tell which of them is live.
///
/// # Errors
/// [`Unverified`], whatever was wrong.
pub fn verify<'a>(secrets: &Secrets, headers: &Headers<'a>, body: &'a [u8]) -> Result<Delivery<'a>, Unverified> {
    let digest = headers.signature.only().and_then(parse).ok_or(Unverified)?;
    let by_current = matches(&secrets.current, body, &digest);
    let by_previous = secrets.previous.as_ref().is_some_and(|previous| matches(previous, body, &digest));
    if !(by_current | by_previous) {
        return Err(Unverified);
    }
    Ok(Delivery {
        event: headers.event.only(),
        id: headers.delivery.only(),
        content_type: headers.content_type.only(),
        body,
    })
}

/// The header value that GitHub would send for `body`: for the operator's tool and for tests.
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    use std::fmt::Write;
    let mut header = PREFIX.to_owned();
    for byte in mac(secret, body).finalize().into_bytes() {
        // Writing to a String cannot fail.
        let _ = write!(header, "{byte:02x}");
    }
    header
}

fn matches(secret: &Secret, body: &[u8], digest: &[u8; DIGEST_BYTES]) -> bool {
    mac(secret, body).verify_slice(digest).is_ok()
}

fn mac(secret: &Secret, body: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length: RFC 2104, section 3.
    #[allow(clippy::expect_used, reason = "Hmac::new_from_slice cannot fail")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    mac
}

fn parse(header: &str) -> Option<[u8; DIGEST_BYTES]> {
    let hex = header.strip_prefix(PREFIX)?.as_bytes();
    let mut digest = [0; DIGEST_BYTES];
    if hex.len() != 2 * DIGEST_BYTES {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
