//! AWS's side, one file per service: the only code that names an SDK type.
//!
//! Calls that may be repeated are retried by the SDK; calls that start something are made once, and what came of
//! them is told apart here: started, certainly not, or lost.

#[cfg(feature = "alarms")]
pub mod cloudwatch;
#[cfg(feature = "targets")]
pub mod codebuild;
#[cfg(feature = "deployments")]
pub mod codedeploy;
#[cfg(feature = "targets")]
pub mod codepipeline;
#[cfg(feature = "ledger")]
pub mod dynamodb;
#[cfg(feature = "deployments")]
pub mod ecs;
#[cfg(feature = "events")]
pub mod eventbridge;
#[cfg(any(feature = "targets", feature = "alarms"))]
mod regional;
#[cfg(feature = "secrets")]
pub mod secretsmanager;
#[cfg(feature = "mail")]
pub mod sns;
#[cfg(feature = "queue")]
pub mod sqs;
#[cfg(feature = "identity")]
pub mod sts;
#[cfg(feature = "targets")]
pub mod targets;
mod trust;

use crate::random::Random;
use crate::settings::{Lookup, Missing, required};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use jiff::Timestamp;
use std::time::Duration;
use trust::{Trust, http_client};

/// How long one attempt of a call may take. At the bound the SDK tries again, where the call may be repeated.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a call may take, its repeats included. At the bound it has failed, and nobody knows what it did.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the SDK tries a call that may be repeated.
const ATTEMPTS_MAX: u32 = 3;

/// What every client is built from: region, credentials, HTTP client and clock. And what a function takes from outside
/// beside the time: randomness.
#[derive(Debug, Clone)]
pub struct AwsConfig {
    /// The SDK's part.
    pub sdk: SdkConfig,
    /// The retry quota's name. The SDK's default is shared by the whole process; a simulation needs its own.
    pub retry_partition: Option<RetryPartition>,
    /// Where whatever nobody may guess is drawn from.
    pub random: Random,
}

impl AwsConfig {
    /// The configuration of a deployed function: its region and its role's credentials, as Lambda puts them into its
    /// environment, and `AWS_ENDPOINT_URL`, `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT` if they are set. There
    /// is nowhere else to look, so nothing that looks is linked; endpoints of single services are not read.
    ///
    /// # Errors
    /// [`Missing`].
    ///
    /// Source: Lambda, "Defined runtime environment variables".
    pub fn of_function(lookup: Lookup<'_>) -> Result<Self, Missing> {
        let region = required(lookup, "AWS_REGION")?;
        let credentials = Credentials::new(
            required(lookup, "AWS_ACCESS_KEY_ID")?,
            required(lookup, "AWS_SECRET_ACCESS_KEY")?,
            set(lookup, "AWS_SESSION_TOKEN"),
            None,
            "Lambda",
        );
        let endpoint = set(lookup, "AWS_ENDPOINT_URL");
        let is_true = |name| set(lookup, name).map(|value| value.eq_ignore_ascii_case("true"));
        let mut sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client(Trust::of(&region, endpoint.as_deref(), lookup)))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(Region::new(region));
        sdk.set_endpoint_url(endpoint)
            .set_use_fips(is_true("AWS_USE_FIPS_ENDPOINT"))
            .set_use_dual_stack(is_true("AWS_USE_DUALSTACK_ENDPOINT"));
        Ok(Self::of(sdk.build()))
    }

    /// The configuration of whatever account `sdk` names, with our bounds and the operating system's randomness.
    pub fn of(sdk: SdkConfig) -> Self {
        Self { sdk: bounded(sdk), retry_partition: None, random: Random::system() }
    }

    /// The configuration of an emulated account.
    pub fn emulated(sdk: SdkConfig, retry_partition: &'static str, random: Random) -> Self {
        Self { sdk: bounded(sdk), retry_partition: Some(RetryPartition::custom(retry_partition).build()), random }
    }

    /// The same in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let sdk = self.sdk.to_builder().region(Region::new(region.to_owned())).build();
        Self { sdk, retry_partition: self.retry_partition.clone(), random: self.random.clone() }
    }

    /// The region's name; empty when none is configured.
    pub fn region(&self) -> &str {
        self.sdk.region().map(Region::as_ref).unwrap_or_default()
    }

    /// The time by the configured clock: the machine's, or a simulation's.
    pub fn now(&self) -> Timestamp {
        let system = self.sdk.time_source().map(|source| source.now());
        system.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// What is set to something.
fn set(lookup: Lookup<'_>, name: &str) -> Option<String> {
    lookup(name).filter(|value| !value.is_empty())
}

/// There is no default read timeout: a lost reply would hang until Lambda kills the function.
fn bounded(sdk: SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let time_source = sdk.time_source().unwrap_or_default();
    sdk.to_builder()
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .time_source(time_source)
        .build()
}

/// Builds a service's client out of an [`AwsConfig`].
#[allow(unused_macros, reason = "each feature brings a client; without any there is none to build")]
macro_rules! client {
    ($krate:ident, $config:expr) => {{
        let config: &$crate::aws::AwsConfig = $config;
        let mut builder = $krate::config::Builder::from(&config.sdk);
        if let Some(partition) = &config.retry_partition {
            builder = builder.retry_partition(partition.clone());
        }
        $krate::Client::from_conf(builder.build())
    }};
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use client;

/// Why a call failed, by what it means for the caller.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service refused: the same call would be refused again.
    #[error("{code}: {message}")]
    Refused {
        /// AWS's error code.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// The service asked to be left alone for now; the call had no effect.
    #[error("{code}: {message}")]
    Throttled {
        /// AWS's error code.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// No answer, or a broken one: the call may have had its effect.
    #[error("no answer: {0}")]
    Lost(String),
}

impl CallError {
    /// Whether AWS answered with this error code.
    pub fn is(&self, wanted: &str) -> bool {
        match self {
            Self::Refused { code, .. } | Self::Throttled { code, .. } => code == wanted,
            Self::Lost(_) => false,
        }
    }
}

/// Error codes that say "not now" and mean that nothing happened.
///
/// Source: the SDKs' own list of throttling codes.
const THROTTLING_CODES: [&str; 9] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "SlowDown",
];

/// The one server error that says for certain that nothing was done.
const NOT_IMPLEMENTED: u16 = 501;

impl<E> From<SdkError<E, HttpResponse>> for CallError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    #[allow(clippy::wildcard_enum_match_arm, reason = "the SDK's enum may grow")]
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match &error {
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().unwrap_or("Unknown").to_owned();
                let message = answer.err().message().unwrap_or("no message").to_owned();
                if THROTTLING_CODES.contains(&code.as_str()) {
                    Self::Throttled { code, message }
                } else if answer.raw().status().is_server_error() && answer.raw().status().as_u16() != NOT_IMPLEMENTED {
                    Self::Lost(format!("{code}: {message}"))
                } else {
                    Self::Refused { code, message }
                }
            }
            SdkError::ConstructionFailure(_) => {
                Self::Refused { code: "InvalidRequest".to_owned(), message: chain(&error) }
            }
            // Whatever the SDK adds: what is not known to have failed may have had its effect.
            _ => Self::Lost(chain(&error)),
        }
    }
}

/// A moment as the SDK gives it.
#[cfg(any(feature = "alarms", feature = "targets"))]
fn moment(at: Option<&aws_smithy_types::DateTime>) -> Option<Timestamp> {
    Timestamp::from_millisecond(at?.to_millis().ok()?).ok()
}

/// An error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_needs_what_lambda_gives_it() {
        let all = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        for left_out in all {
            let lookup = |name: &str| (all.contains(&name) && name != left_out).then(|| "x".to_owned());
            assert_eq!(AwsConfig::of_function(&lookup).unwrap_err(), Missing(left_out));
        }
        let config = AwsConfig::of_function(&|name| all.contains(&name).then(|| "eu-west-2".to_owned())).unwrap();
        assert_eq!((config.region(), config.sdk.endpoint_url()), ("eu-west-2", None));
        assert!(config.now() > Timestamp::UNIX_EPOCH, "by the machine's clock");
        let elsewhere = AwsConfig::of_function(&|name| Some(format!("http://{name}"))).unwrap();
        assert_eq!(elsewhere.sdk.endpoint_url(), Some("http://AWS_ENDPOINT_URL"));
    }
}
