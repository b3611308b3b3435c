//! The webhook secrets: one in use, and during a rotation the one before it.

use std::fmt;

/// A webhook secret. It cannot be printed, compared or serialised.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The shortest secret that is taken, in bytes. GitHub takes any; 16 random bytes cannot be guessed.
    pub const MIN_BYTES: usize = 16;

    /// Takes the secret's text.
    ///
    /// # Errors
    /// [`SecretTooShort`] under [`Secret::MIN_BYTES`]: with a guessable secret every signature is worthless.
    pub fn new(text: &str) -> Result<Self, SecretTooShort> {
        if text.len() < Self::MIN_BYTES {
            return Err(SecretTooShort { bytes: text.len() });
        }
        Ok(Self(text.as_bytes().into()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The secret is shorter than [`Secret::MIN_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the webhook secret has {bytes} bytes; at least {} are needed", Secret::MIN_BYTES)]
pub struct SecretTooShort {
    /// How many bytes it has.
    pub bytes: usize,
}

/// The secrets that verify right now.
///
/// GitHub signs with one secret only, so a rotation without downtime accepts the previous one for a while.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The one in use.
    pub current: Secret,
    /// The one before; a new secret has none.
    pub previous: Option<Secret>,
}
