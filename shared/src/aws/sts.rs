//! STS: who it is that AWS let in.

use super::{AwsConfig, CallError, client};

/// The ARN of whoever the configured credentials belong to. AWS answers it without any permission.
///
/// # Errors
/// [`CallError`] when the credentials are none of AWS's, or there is no answer.
pub async fn caller(config: &AwsConfig) -> Result<String, CallError> {
    let answer = client!(aws_sdk_sts, config).get_caller_identity().send().await?;
    answer.arn.ok_or_else(|| CallError::Lost("the answer names nobody".to_owned()))
}
