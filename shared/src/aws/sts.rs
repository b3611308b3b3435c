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

/// The partition and the account in an ARN: `("aws", "123456789012")`.
pub fn account_in(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.split(':');
    let (Some("arn"), Some(partition), Some(_), Some(_), Some(account)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    (!partition.is_empty() && !account.is_empty()).then_some((partition, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_its_account() {
        #[rustfmt::skip]
        let cases = [
            ("arn:aws:sts::123456789012:assumed-role/deployer/ada", Some(("aws", "123456789012")),        "a role"),
            ("arn:aws-us-gov:iam::123456789012:user/ada",           Some(("aws-us-gov", "123456789012")), "another partition"),
            ("arn:aws:s3:::bucket",                                 None,                                 "of no account"),
            ("ada",                                                 None,                                 "no ARN"),
        ];
        for (arn, expected, why) in cases {
            assert_eq!(account_in(arn), expected, "{why}");
        }
    }
}
