//! GitHub's side: who sent this, and what does it say.
//!
//! [`verify`] is the only maker of a [`Delivery`], and [`read`] takes nothing else: bytes that nobody signed
//! are never parsed.

mod commits;
mod payload;
mod secret;
mod signature;

pub use payload::{PAYLOAD_BYTES_MAX, Payload, PayloadError, read};
pub use secret::{Secret, SecretTooShort, Secrets};
pub use signature::{Delivery, Headers, Unverified, sign, verify};

#[cfg(test)]
mod tests;
