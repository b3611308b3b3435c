//! How values become text in the templates. Askama escapes what they return.

#![allow(unreachable_pub, reason = "what `filter_fn` makes of each is `pub`")]

use askama::{Result, Values};
use jiff::Timestamp;
use pointsman::domain::policy::Severity;
use pointsman::domain::shown;

/// A stranger's text as one bounded line.
#[askama::filter_fn]
pub(super) fn line(text: impl AsRef<str>, _: &dyn Values, characters_max: usize) -> Result<String> {
    Ok(shown::one_line(text.as_ref(), characters_max))
}

/// A stranger's text with its line breaks, bounded.
#[askama::filter_fn]
pub(super) fn lines(text: impl AsRef<str>, _: &dyn Values, characters_max: usize) -> Result<String> {
    Ok(shown::cut(text.as_ref().trim(), characters_max))
}

/// A moment for people.
#[askama::filter_fn]
pub(super) fn utc(at: &Timestamp, _: &dyn Values) -> Result<String> {
    Ok(shown::utc(*at))
}

/// A moment for programs, as `<time>` wants it.
#[askama::filter_fn]
pub(super) fn iso(at: &Timestamp, _: &dyn Values) -> Result<String> {
    Ok(format!("{at:.0}"))
}

/// Severities as a list: `CRITICAL, HIGH`.
#[askama::filter_fn]
pub(super) fn severities(severities: &[Severity], _: &dyn Values) -> Result<String> {
    Ok(severities.iter().map(|severity| severity.as_str()).collect::<Vec<_>>().join(", "))
}
