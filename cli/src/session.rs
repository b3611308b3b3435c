//! The connection to an account: the ledger, the queues and what can be started, as the flags name them.

use crate::args::Globals;
use crate::failure::Failure;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use pointsman::aws::sqs::Queue;
use pointsman::aws::targets::Targets;
use pointsman::aws::{AwsConfig, CallError};
use pointsman::ledger::Ledger;
use pointsman::run::Engine;
use pointsman::settings::Lookup;
use std::time::Duration;

/// The region of the local account.
const LOCAL_REGION: &str = "us-east-1";
/// How long a command waits for a function to act. At the bound it says what it last saw.
pub(crate) const WAIT: Duration = Duration::from_secs(30);
/// How long between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What the process was started with, the command line apart.
pub(crate) struct Surroundings<'a> {
    /// The environment.
    pub(crate) lookup: Lookup<'a>,
    /// The machine's clock.
    pub(crate) clock: fn() -> Timestamp,
    /// Whether a person reads stdout.
    pub(crate) is_terminal: bool,
}

impl Surroundings<'_> {
    /// Who runs this, for the audit log. The environment says so and proves nothing: who AWS let in is in CloudTrail.
    pub(crate) fn operator(&self) -> String {
        let named = |name: &str| (self.lookup)(name).filter(|value| !value.is_empty());
        let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(named);
        format!("operator:{}", user.as_deref().unwrap_or("unknown"))
    }
}

/// An account, with whoever acts in it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) aws: AwsConfig,
    pub(crate) ledger: Ledger,
    pub(crate) operator: String,
    changes_queue: String,
    dead_letters_queue: String,
}

impl Session {
    /// Opens it; nothing is called yet.
    pub(crate) async fn open(globals: &Globals, around: &Surroundings<'_>) -> Result<Self, Failure> {
        let aws = if globals.local { local(globals) } else { remote(globals).await? };
        let ledger = Ledger::new(&aws, globals.table.clone(), globals.audit_table.clone());
        Ok(Self {
            aws,
            ledger,
            operator: around.operator(),
            changes_queue: globals.changes_queue.clone(),
            dead_letters_queue: globals.dead_letters_queue.clone(),
        })
    }

    /// The time by the account's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.aws.now()
    }

    /// What moves executions, in the operator's name.
    ///
    /// It knows no starter roles: whose an execution of AWS's is, is for the functions or for the person to say.
    pub(crate) fn engine(&self) -> Engine {
        let targets = Targets::new(&self.aws, Vec::new());
        Engine { ledger: self.ledger.clone(), targets, actor: self.operator.clone() }
    }

    /// The queue of changes.
    pub(crate) async fn changes(&self) -> Result<Queue, Failure> {
        self.queue(&self.changes_queue).await
    }

    /// Its dead letters.
    pub(crate) async fn dead_letters(&self) -> Result<Queue, Failure> {
        self.queue(&self.dead_letters_queue).await
    }

    async fn queue(&self, name: &str) -> Result<Queue, Failure> {
        Queue::by_name(&self.aws, name).await.map_err(|error| match error {
            CallError::Refused { code, message } => {
                Failure::Refused(format!("the queue {name} cannot be used: {code}: {message}"))
            }
            CallError::Throttled { .. } | CallError::Lost(_) => error.into(),
        })
    }
}

fn local(globals: &Globals) -> AwsConfig {
    let region = globals.region.clone().unwrap_or_else(|| LOCAL_REGION.to_owned());
    let credentials = Credentials::new("local", "local", None, None, "--local");
    // Not out of the environment: a command that says --local must never reach a real account.
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url(format!("http://127.0.0.1:{}", globals.aws_port))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    AwsConfig::of(sdk)
}

async fn remote(globals: &Globals) -> Result<AwsConfig, Failure> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = &globals.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let aws = AwsConfig::of(loader.load().await);
    if aws.region().is_empty() {
        return Err(Failure::Usage("no AWS region: give --region, set AWS_REGION, or use --local".to_owned()));
    }
    Ok(aws)
}

/// Looks again and again until `look` finds something, for [`WAIT`] at most; `None` when it does not.
pub(crate) async fn wait_for<T>(
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(WAIT, looking).await.map_or(Ok(None), |found: Result<T, Failure>| found.map(Some))
}

/// A text that nobody had before: 16 hexadecimal digits.
pub(crate) fn unique() -> String {
    format!("{:016x}", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_whoever_the_environment_names() {
        #[rustfmt::skip]
        let cases = [
            (vec![("USER", "ada")],                    "operator:ada",     "as everywhere"),
            (vec![("USER", ""), ("LOGNAME", "grace")], "operator:grace",   "an empty name is none"),
            (vec![("USERNAME", "joan")],               "operator:joan",    "on Windows"),
            (vec![],                                   "operator:unknown", "in a bare container"),
        ];
        for (environment, expected, why) in cases {
            let lookup =
                |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let around = Surroundings { lookup: &lookup, clock: || Timestamp::UNIX_EPOCH, is_terminal: false };
            assert_eq!(around.operator(), expected, "{why}");
        }
    }
}
