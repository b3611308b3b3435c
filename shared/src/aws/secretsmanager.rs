//! Secrets Manager: the webhook secret, current and previous.

use super::{AwsConfig, CallError, client};
use crate::github::{Secret, SecretTooShort, Secrets};

/// Reads one secret.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: aws_sdk_secretsmanager::Client,
    secret_id: String,
}

/// Why the webhook secrets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager did not hand it out.
    #[error("the webhook secret cannot be read: {0}")]
    Call(#[from] CallError),
    /// It holds no text.
    #[error("the webhook secret holds no text")]
    NoText,
    /// It is guessable.
    #[error(transparent)]
    TooShort(#[from] SecretTooShort),
}

impl SecretsManager {
    /// A client that reads `secret_id`, a name or an ARN.
    pub fn new(config: &AwsConfig, secret_id: String) -> Self {
        Self { client: client!(aws_sdk_secretsmanager, config), secret_id }
    }

    /// The current secret, and the previous one where there is one. Both are asked for at once.
    ///
    /// # Errors
    /// [`SecretError`] when there is no usable current secret. A missing or unusable previous one is none.
    pub async fn webhook_secrets(&self) -> Result<Secrets, SecretError> {
        let (current, previous) = tokio::join!(self.version("AWSCURRENT"), self.version("AWSPREVIOUS"));
        let previous = match previous {
            Ok(secret) => Some(secret),
            Err(SecretError::Call(error)) if !error.is("ResourceNotFoundException") => return Err(error.into()),
            Err(SecretError::Call(_) | SecretError::NoText | SecretError::TooShort(_)) => None,
        };
        Ok(Secrets { current: current?, previous })
    }

    async fn version(&self, stage: &str) -> Result<Secret, SecretError> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.secret_id)
            .version_stage(stage)
            .send()
            .await
            .map_err(CallError::from)?;
        Ok(Secret::new(answer.secret_string().ok_or(SecretError::NoText)?)?)
    }
}
