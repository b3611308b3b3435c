//! The headers that every answer carries, a page's and a refusal's.

use super::STYLE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// How long a browser remembers that this host speaks https only, in seconds: a year.
pub const HSTS_SECONDS: u32 = 31_536_000;

/// Every header of an answer, with its value.
///
/// The page may load nothing, run nothing, be framed by nobody, be kept by nobody, and post to nobody but itself.
/// `is_https` says whether people reach it by https.
///
/// With `no-referrer` browsers send `Origin: null` with the form, also to the same origin; what proves the origin then
/// is `Sec-Fetch-Site: same-origin`. Source: the Fetch standard, "append a request `Origin` header".
pub fn headers(is_https: bool) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("content-security-policy", content_security_policy()),
        ("referrer-policy", "no-referrer".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("x-frame-options", "DENY".to_owned()),
        ("cross-origin-opener-policy", "same-origin".to_owned()),
        ("cross-origin-resource-policy", "same-origin".to_owned()),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()".to_owned()),
        ("x-robots-tag", "noindex, nofollow".to_owned()),
    ];
    if is_https {
        headers.push(("strict-transport-security", format!("max-age={HSTS_SECONDS}")));
    }
    headers
}

/// The one style sheet is allowed by what it says, so that no other can be slipped in.
fn content_security_policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}
