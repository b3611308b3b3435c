//! One AWS account in one process: every service that Pointsman calls, in every region.
//!
//! Services are emulated at the protocol level (see [`wire`]). Each lives in a file of its own, keeps its
//! state behind its own lock, per region, and never holds that lock while it calls another service.
//! Time passes by [`Service::next_due`] and [`Service::advance`] alone: a service keeps the moments at which
//! something will happen as part of its state, so there are no timers to lose and a seed replays.

pub mod cloudwatch;
pub mod codebuild;
pub mod codedeploy;
pub mod codepipeline;
pub mod dynamodb;
pub mod ecr;
pub mod ecs;
pub mod eventbridge;
mod kept;
pub mod lambda;
mod saved;
pub mod secretsmanager;
pub mod sns;
pub mod sqs;
pub mod sts;
pub mod wire;

pub use kept::KeptCall;

use crate::clock::Clock;
use crate::faults::Faults;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The account of everything local.
pub const ACCOUNT: &str = "123456789012";

/// The services that can be called, by endpoint prefix.
const PREFIXES: [&str; 12] = [
    "codebuild",
    "codedeploy",
    "codepipeline",
    "dynamodb",
    "ecr",
    "ecs",
    "events",
    "monitoring",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
];

/// How long actions take and how often schedules fire. It never changes the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Every action takes well under a second; schedules fire every two seconds.
    Fast,
    /// As configured, as on AWS.
    Real,
}

/// How the account behaves where AWS leaves a choice or a person asked for it.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// How fast things go.
    pub pace: Pace,
    /// Refuse names that do not exist, as AWS does, instead of making them on first use.
    pub strict: bool,
    /// Whether StartPipelineExecution honours `clientRequestToken`: AWS documents neither.
    pub start_token_honoured: bool,
    /// Whether a rollback enters a stage whose transition is disabled: AWS documents neither.
    pub rollback_passes_transition: bool,
    /// How CodePipeline words that an approval was answered before: AWS documents two errors for it.
    pub answered_approval: AnsweredApproval,
}

/// The refusal of a second answer to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredApproval {
    /// `ApprovalAlreadyCompletedException`.
    AlreadyCompleted,
    /// `InvalidApprovalTokenException`, as for a token that has expired.
    InvalidToken,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            pace: Pace::Fast,
            strict: false,
            start_token_honoured: true,
            rollback_passes_transition: true,
            answered_approval: AnsweredApproval::AlreadyCompleted,
        }
    }
}

/// One call to one operation, whatever protocol it came by.
#[derive(Debug)]
pub struct Call {
    /// The operation's name, such as `StartPipelineExecution`.
    pub operation: String,
    /// The region of the SigV4 credential scope.
    pub region: String,
    /// Who calls: an ARN.
    pub caller: String,
    /// The input, as JSON.
    pub input: Value,
    /// When it arrived.
    pub now: Timestamp,
}

/// A refusal, as the service itself words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// AWS's error code, such as `PipelineNotFoundException`.
    pub code: String,
    /// The sentence that comes with it.
    pub message: String,
    /// The HTTP status: 400 for the caller's mistakes, 500 for the service's.
    pub status: u16,
}

impl Failure {
    /// A refusal that blames the caller (HTTP 400).
    pub fn sender(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status: 400 }
    }

    /// The answer to an operation that this emulation does not have. It names it, and says whose limit it is.
    pub fn not_emulated(service: &str, operation: &str) -> Self {
        Self {
            code: "NotEmulated".to_owned(),
            message: format!("{service} {operation} is not emulated by Pointsman's local AWS"),
            status: 501,
        }
    }
}

/// An emulated service.
pub(crate) trait Service: Send + Sync {
    /// Runs one operation and answers with its output as JSON.
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure>;

    /// The operations that it has, in alphabetical order: every other is refused by name.
    fn operations(&self) -> &'static [&'static str] {
        &[]
    }

    /// The earliest moment at which something happens here by itself.
    fn next_due(&self) -> Option<Timestamp> {
        None
    }

    /// Does everything that is due at `now`.
    fn advance(&self, _aws: &Aws, _now: Timestamp) {}
}

/// An event as EventBridge carries it.
#[derive(Debug, Clone)]
pub struct Event {
    /// Such as `aws.codepipeline`.
    pub source: String,
    /// Such as `CodePipeline Pipeline Execution State Change`.
    pub detail_type: String,
    /// ARNs.
    pub resources: Vec<String>,
    /// What happened.
    pub detail: Value,
}

/// The account. Cheap to clone.
#[derive(Clone)]
pub struct Aws(Arc<Inner>);

struct Inner {
    clock: Clock,
    behaviour: Behaviour,
    random: Mutex<fastrand::Rng>,
    faults: Faults,
    meter: wire::Meter,
    kept: kept::Kept,
    changed: tokio::sync::Notify,
    changes: AtomicU64,
    dynamodb: dynamodb::DynamoDb,
    sqs: sqs::Sqs,
    secretsmanager: secretsmanager::SecretsManager,
    eventbridge: eventbridge::EventBridge,
    lambda: lambda::Lambda,
    codebuild: codebuild::CodeBuild,
    codepipeline: codepipeline::CodePipeline,
    codedeploy: codedeploy::CodeDeploy,
    ecs: ecs::Ecs,
    ecr: ecr::Ecr,
    cloudwatch: cloudwatch::CloudWatch,
    sns: sns::Sns,
    sts: sts::Sts,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Aws")
    }
}

impl Aws {
    /// An empty account. `seed` decides every identifier that it will hand out.
    ///
    /// # Errors
    /// When the embedded DynamoDB cannot be opened.
    pub fn new(clock: Clock, behaviour: Behaviour, faults: Faults, seed: u64) -> Result<Self, Failure> {
        Ok(Self(Arc::new(Inner {
            clock,
            behaviour,
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            faults,
            meter: wire::Meter::default(),
            kept: kept::Kept::default(),
            changed: tokio::sync::Notify::new(),
            changes: AtomicU64::new(0),
            dynamodb: dynamodb::DynamoDb::new(clock)?,
            sqs: sqs::Sqs::default(),
            secretsmanager: secretsmanager::SecretsManager::default(),
            eventbridge: eventbridge::EventBridge::default(),
            lambda: lambda::Lambda::default(),
            codebuild: codebuild::CodeBuild::default(),
            codepipeline: codepipeline::CodePipeline::default(),
            codedeploy: codedeploy::CodeDeploy::default(),
            ecs: ecs::Ecs::default(),
            ecr: ecr::Ecr::default(),
            cloudwatch: cloudwatch::CloudWatch::default(),
            sns: sns::Sns::default(),
            sts: sts::Sts::default(),
        })))
    }

    /// The account's clock.
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// What was asked of this account.
    pub fn behaviour(&self) -> Behaviour {
        self.0.behaviour
    }

    /// Where things go wrong on request.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// What counts the calls that come over the wire.
    pub fn meter(&self) -> &wire::Meter {
        &self.0.meter
    }

    /// Keeps every call of these operations from now on, whatever their service. DynamoDB's are never kept.
    pub fn keep_calls(&self, operations: &[&str]) {
        self.0.kept.keep(operations);
    }

    /// The calls that were kept, in their order.
    pub fn kept_calls(&self) -> Vec<KeptCall> {
        self.0.kept.all()
    }

    /// The queues.
    pub fn sqs(&self) -> &sqs::Sqs {
        &self.0.sqs
    }

    /// The bus, its rules and schedules.
    pub fn eventbridge(&self) -> &eventbridge::EventBridge {
        &self.0.eventbridge
    }

    /// The functions.
    pub fn lambda(&self) -> &lambda::Lambda {
        &self.0.lambda
    }

    /// The build projects.
    pub fn codebuild(&self) -> &codebuild::CodeBuild {
        &self.0.codebuild
    }

    /// The pipelines.
    pub fn codepipeline(&self) -> &codepipeline::CodePipeline {
        &self.0.codepipeline
    }

    /// The deployments.
    pub fn codedeploy(&self) -> &codedeploy::CodeDeploy {
        &self.0.codedeploy
    }

    /// The clusters.
    pub fn ecs(&self) -> &ecs::Ecs {
        &self.0.ecs
    }

    /// The images.
    pub fn ecr(&self) -> &ecr::Ecr {
        &self.0.ecr
    }

    /// The alarms.
    pub fn cloudwatch(&self) -> &cloudwatch::CloudWatch {
        &self.0.cloudwatch
    }

    /// The topics, and the mail that they sent.
    pub fn sns(&self) -> &sns::Sns {
        &self.0.sns
    }

    /// The tables.
    pub fn dynamodb(&self) -> &dynamodb::DynamoDb {
        &self.0.dynamodb
    }

    /// A version 4 UUID from the account's own seeded source.
    pub fn uuid(&self) -> String {
        let bits = self.random(|random| random.u128(..));
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// Draws from the account's seeded source.
    pub fn random<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut lock(&self.0.random))
    }

    /// Runs one operation of one service, without the wire and without faults. `service` is the endpoint prefix.
    pub fn call(&self, service: &str, call: &Call) -> Result<Value, Failure> {
        let answer = match self.service(service) {
            Some(found) => found.call(self, call),
            None => Err(Failure::not_emulated(service, &call.operation)),
        };
        self.0.kept.note(call, &answer);
        self.poke();
        answer
    }

    /// Like [`Aws::call`], as the account's root in `region`: for set-up and for tests.
    pub fn ask(&self, service: &str, region: &str, operation: &str, input: Value) -> Result<Value, Failure> {
        self.call(
            service,
            &Call {
                operation: operation.to_owned(),
                region: region.to_owned(),
                caller: format!("arn:aws:iam::{ACCOUNT}:root"),
                input,
                now: self.clock().now(),
            },
        )
    }

    /// Puts an event that AWS itself emits on the default bus of `region`.
    pub(crate) fn emit(&self, region: &str, event: Event) {
        let now = self.clock().now();
        let envelope = json!({
            "version": "0",
            "id": self.uuid(),
            "detail-type": event.detail_type,
            "source": event.source,
            "account": ACCOUNT,
            // EventBridge's own times have whole seconds.
            "time": jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", now).unwrap_or_default(),
            "region": region,
            "resources": event.resources,
            "detail": event.detail,
        });
        self.0.eventbridge.publish(self, region, "default", envelope);
        self.poke();
    }

    /// Lets time pass for every service, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let now = self.clock().now();
            for service in self.services() {
                if service.next_due().is_some_and(|due| due <= now) {
                    self.0.changes.fetch_add(1, Ordering::Relaxed);
                    service.advance(self, now);
                }
            }
            let next = self.services().iter().filter_map(|service| service.next_due()).min();
            let clock = self.clock();
            let changed = self.0.changed.notified();
            match next {
                Some(at) if at <= clock.now() => tokio::task::yield_now().await,
                Some(at) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = clock.sleep_until(at) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Wakes [`Aws::run`] after a change that did not come through [`Aws::call`].
    pub(crate) fn poke(&self) {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }

    fn services(&self) -> [&dyn Service; 12] {
        let inner = &*self.0;
        [
            &inner.dynamodb,
            &inner.sqs,
            &inner.secretsmanager,
            &inner.eventbridge,
            &inner.lambda,
            &inner.codebuild,
            &inner.codepipeline,
            &inner.codedeploy,
            &inner.ecs,
            &inner.ecr,
            &inner.cloudwatch,
            &inner.sns,
        ]
    }

    /// What is emulated: the operations of each service, by its endpoint prefix.
    pub fn operations(&self) -> BTreeMap<&'static str, Vec<&'static str>> {
        let of = |prefix: &&'static str| Some((*prefix, self.service(prefix)?.operations().to_vec()));
        PREFIXES.iter().filter_map(of).collect()
    }

    fn service(&self, prefix: &str) -> Option<&dyn Service> {
        let inner = &*self.0;
        Some(match prefix {
            "dynamodb" => &inner.dynamodb,
            "sqs" => &inner.sqs,
            "secretsmanager" => &inner.secretsmanager,
            "events" => &inner.eventbridge,
            "codebuild" => &inner.codebuild,
            "codepipeline" => &inner.codepipeline,
            "codedeploy" => &inner.codedeploy,
            "ecs" => &inner.ecs,
            "ecr" => &inner.ecr,
            "monitoring" => &inner.cloudwatch,
            "sns" => &inner.sns,
            "sts" => &inner.sts,
            _ => return None,
        })
    }
}

/// Locks, whatever happened to the last holder: the emulation has no invariant that a panic could break half way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
