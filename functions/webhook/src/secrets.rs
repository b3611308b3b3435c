//! The webhook secrets of a warm function: kept for a while, fetched again when a signature does not match.
//!
//! GitHub never retries, so a rotation must not cost a single delivery: before a 401 the secrets are fetched again,
//! though not more often than every ten seconds, or anybody could make us call Secrets Manager at will.

use jiff::{SignedDuration, Timestamp};
use pointsman::aws::CallError;
use pointsman::aws::secretsmanager::{SecretError, SecretsManager};
use pointsman::github::{self, Delivery, Headers, Secrets, Unverified};
use tokio::sync::RwLock;

/// How long fetched secrets are used without asking again.
const KEPT_FOR: SignedDuration = SignedDuration::from_secs(300);
/// How soon a mismatch may make us ask again.
const REFETCH_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// The secrets as they were last fetched.
#[derive(Debug)]
pub(crate) struct CachedSecrets {
    manager: SecretsManager,
    fetched: RwLock<Fetched>,
}

#[derive(Debug, Clone)]
struct Fetched {
    secrets: Secrets,
    /// When Secrets Manager was last asked, with or without success.
    asked_at: Timestamp,
    /// When it last answered.
    fetched_at: Timestamp,
    /// Whether the secrets may still be used.
    is_live: bool,
}

impl CachedSecrets {
    pub(crate) async fn fetch(manager: SecretsManager, now: Timestamp) -> Result<Self, SecretError> {
        let secrets = manager.webhook_secrets().await?;
        Ok(Self { manager, fetched: RwLock::new(Fetched { secrets, asked_at: now, fetched_at: now, is_live: true }) })
    }

    /// Verifies a request, with fresh secrets where that may help.
    pub(crate) async fn verify<'a>(
        &self,
        headers: &Headers<'a>,
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<Delivery<'a>, Unverified> {
        let known = self.fetched.read().await.clone();
        let is_old = now.duration_since(known.fetched_at) >= KEPT_FOR;
        let secrets = if is_old { self.refetched(now).await.ok_or(Unverified)? } else { known.secrets };
        match github::verify(&secrets, headers, body) {
            Ok(delivery) => Ok(delivery),
            Err(Unverified) => github::verify(&self.refetched(now).await.ok_or(Unverified)?, headers, body),
        }
    }

    /// The secrets, fetched again unless that was done a moment ago. Without an answer the known ones go on; a
    /// refusal ends them once they are old.
    async fn refetched(&self, now: Timestamp) -> Option<Secrets> {
        let mut fetched = self.fetched.write().await;
        if now.duration_since(fetched.asked_at) < REFETCH_AFTER {
            return fetched.is_live.then(|| fetched.secrets.clone());
        }
        fetched.asked_at = now;
        match self.manager.webhook_secrets().await {
            Ok(secrets) => {
                fetched.secrets = secrets;
                fetched.fetched_at = now;
                fetched.is_live = true;
            }
            // Taken away or unusable: what was revoked must not open the gate any longer than it is kept.
            Err(error) if now.duration_since(fetched.fetched_at) >= KEPT_FOR && !is_no_answer(&error) => {
                tracing::error!(%error, "the webhook secret was taken away");
                fetched.is_live = false;
                return None;
            }
            Err(error) => tracing::error!(%error, "the webhook secret could not be fetched again"),
        }
        Some(fetched.secrets.clone())
    }
}

/// Whether Secrets Manager may well hand the secret out a moment later.
fn is_no_answer(error: &SecretError) -> bool {
    matches!(error, SecretError::Call(CallError::Lost(_) | CallError::Throttled { .. }))
}
