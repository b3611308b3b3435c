//! The connection to an account: the ledger, the queues and what can be started, as the flags name them.

use crate::args::Globals;
use crate::failure::Failure;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use pointsman::aws::eventbridge::Bus;
use pointsman::aws::sns::Topics;
use pointsman::aws::sqs::Queue;
use pointsman::aws::sts;
use pointsman::aws::targets::Targets;
use pointsman::aws::{AwsConfig, CallError};
use pointsman::config::{self, Config};
use pointsman::domain::audit::Note;
use pointsman::ledger::{Ledger, Writes};
use pointsman::run::{Engine, in_turns};
use pointsman::settings::Lookup;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// The region of the local account.
const LOCAL_REGION: &str = "us-east-1";
/// The partition and the number of the local account.
const LOCAL_ACCOUNT: (&str, &str) = ("aws", "123456789012");
/// How long a command waits for a function to act. At the bound it says what it last saw.
pub(crate) const WAIT: Duration = Duration::from_secs(30);
/// How many things are loaded at once.
const LOADED_AT_ONCE: usize = 16;
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
    /// Who runs this, as the environment says. It proves nothing, so it is good for a local account alone.
    fn user(&self) -> String {
        let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| self.set(name));
        user.unwrap_or_else(|| "unknown".to_owned())
    }

    /// How this was called, for hints: cargo's alias says so in the environment (`.cargo/config.toml`).
    pub(crate) fn command(&self) -> String {
        self.set("POINTSMAN_COMMAND").unwrap_or_else(|| "pointsman".to_owned())
    }

    fn set(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }
}

/// An account, with whoever acts in it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) aws: AwsConfig,
    pub(crate) ledger: Ledger,
    /// Who acts, once that was asked.
    operator: OnceCell<String>,
    changes_queue: String,
    dead_letters_queue: String,
    approver_topics: String,
    bus: String,
    /// Whether it is a local account, which takes any credentials.
    pub(crate) is_local: bool,
}

impl Session {
    /// Opens it; nothing is called yet.
    pub(crate) async fn open(globals: &Globals, around: &Surroundings<'_>) -> Result<Self, Failure> {
        // A local account takes any credentials, so it knows nobody.
        let (aws, operator) = if globals.local {
            (local(globals), OnceCell::new_with(Some(operator(&around.user()))))
        } else {
            (remote(globals).await?, OnceCell::new())
        };
        let ledger = Ledger::new(&aws, globals.table.clone(), globals.audit_table.clone());
        Ok(Self {
            aws,
            ledger,
            operator,
            changes_queue: globals.changes_queue.clone(),
            dead_letters_queue: globals.dead_letters_queue.clone(),
            approver_topics: globals.approver_topics.clone(),
            bus: globals.bus.clone(),
            is_local: globals.local,
        })
    }

    /// The time by the account's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.aws.now()
    }

    /// Who acts, for the audit log: whoever AWS let in.
    ///
    /// What nobody can be named for is not done.
    pub(crate) async fn operator(&self) -> Result<&str, Failure> {
        let asked = async || match sts::caller(&self.aws).await {
            Ok(arn) => Ok(operator(&arn)),
            Err(error) => Err(Failure::Refused(format!(
                "AWS does not say who you are (sts:GetCallerIdentity: {error}), and the audit log must: nothing was done"
            ))),
        };
        self.operator.get_or_try_init(asked).await.map(String::as_str)
    }

    /// The name of whoever acts, alone: the ARN that AWS tells.
    pub(crate) async fn caller(&self) -> Result<&str, Failure> {
        let operator = self.operator().await?;
        Ok(operator.strip_prefix(OPERATOR).unwrap_or(operator))
    }

    /// What can be started, looked at and stopped.
    ///
    /// It knows no starter roles: whose an execution of AWS's is, is for the functions or for the person to say.
    pub(crate) fn targets(&self) -> Targets {
        Targets::new(&self.aws, Vec::new())
    }

    /// What moves executions, in the operator's name.
    pub(crate) async fn engine(&self) -> Result<Engine, Failure> {
        let actor = self.operator().await?.to_owned();
        Ok(Engine { actor, ..self.reader() })
    }

    /// The same, for what only looks: nobody needs to be named for that.
    pub(crate) fn reader(&self) -> Engine {
        Engine { ledger: self.ledger.clone(), targets: self.targets(), actor: String::new() }
    }

    /// The queue of changes.
    pub(crate) async fn changes(&self) -> Result<Queue, Failure> {
        self.queue(&self.changes_queue).await
    }

    /// Its dead letters.
    pub(crate) async fn dead_letters(&self) -> Result<Queue, Failure> {
        self.queue(&self.dead_letters_queue).await
    }

    /// The bus that wakes `rollback`.
    pub(crate) fn bus(&self) -> Bus {
        Bus::new(&self.aws, self.bus.clone())
    }

    /// Writes into the audit log what the operator wants, or what came of it.
    pub(crate) async fn write_down(&self, subject: &str, what: &str, detail: Value) -> Result<(), Failure> {
        let actor = self.operator().await?;
        // Where somebody else's entry came first, the next turn follows it.
        let written = in_turns(|| async {
            let note = Note { actor: actor.to_owned(), what: what.to_owned(), detail: detail.clone() };
            Ok(self.ledger.save_noted(Writes::new(), subject, note, self.now()).await?)
        });
        Ok(written.await?)
    }

    /// The configuration that is live, whole.
    pub(crate) async fn configuration(&self) -> Result<Config, Failure> {
        let Some((version, text)) = self.ledger.live_source().await? else {
            return Err(Failure::NotFound("no configuration is live".to_owned()));
        };
        let checked = config::parse(&text, "the live configuration", self.aws.region());
        let unreadable = |_| Failure::Refused(format!("version {version} of the configuration cannot be read here"));
        checked.map(|checked| checked.config).map_err(unreadable)
    }

    /// The approvers' topics.
    pub(crate) async fn topics(&self) -> Result<Topics, Failure> {
        let named = &self.approver_topics;
        if named.starts_with("arn:") {
            return Ok(Topics::new(&self.aws, named.clone()));
        }
        let caller = if self.is_local { None } else { Some(sts::caller(&self.aws).await?) };
        let account = caller.as_deref().map_or(Some(LOCAL_ACCOUNT), sts::account_in);
        let (partition, account) =
            account.ok_or_else(|| Failure::Refused("AWS does not say whose account this is".to_owned()))?;
        Ok(Topics::new(&self.aws, format!("arn:{partition}:sns:{}:{account}:{named}", self.aws.region())))
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

/// What stands before a person's name in the audit log.
const OPERATOR: &str = "operator:";

/// A person, as the audit log names one.
fn operator(who: &str) -> String {
    format!("{OPERATOR}{who}")
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

/// Loads something for each of these, [`LOADED_AT_ONCE`] at a time, and keeps their order.
pub(crate) async fn load_each<T, V, F>(all: Vec<T>, load: impl Fn(T) -> F) -> Result<Vec<V>, Failure>
where
    F: Future<Output = Result<V, Failure>> + Send + 'static,
    V: Send + 'static,
{
    let mut loaded = Vec::with_capacity(all.len());
    let mut rest = all.into_iter().enumerate();
    let mut loading = JoinSet::new();
    loop {
        while loading.len() < LOADED_AT_ONCE
            && let Some((index, one)) = rest.next()
        {
            let one = load(one);
            loading.spawn(async move { (index, one.await) });
        }
        match loading.join_next().await {
            None => break,
            Some(Ok((index, one))) => loaded.push((index, one?)),
            Some(Err(error)) => return Err(Failure::Refused(format!("loading stopped: {error}"))),
        }
    }
    loaded.sort_by_key(|(index, _)| *index);
    Ok(loaded.into_iter().map(|(_, one)| one).collect())
}

/// A text that nobody had before: 16 hexadecimal digits.
pub(crate) fn unique() -> String {
    format!("{:016x}", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locally_the_operator_is_whoever_the_environment_names() {
        #[rustfmt::skip]
        let cases = [
            (vec![("USER", "ada")],                    "ada",     "as everywhere"),
            (vec![("USER", ""), ("LOGNAME", "grace")], "grace",   "an empty name is none"),
            (vec![("USERNAME", "joan")],               "joan",    "on Windows"),
            (vec![],                                   "unknown", "in a bare container"),
        ];
        for (environment, expected, why) in cases {
            let lookup =
                |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let around = Surroundings { lookup: &lookup, clock: || Timestamp::UNIX_EPOCH, is_terminal: false };
            assert_eq!(around.user(), expected, "{why}");
        }
    }
}
