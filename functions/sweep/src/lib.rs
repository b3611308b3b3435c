//! `sweep`: every minute, whatever was lost, late or left half done.
//!
//! Starts that wait or were not answered, executions that went quiet, approvals that are to be asked, reminded of,
//! expired or told, incidents, rollbacks, notices, holds, freezes, dead letters, pipelines that start themselves, approvers whom mail does not reach.
//! Each thing is finished or stays due; a failure of one keeps nothing else from its turn.

mod approvals;
mod approvers;
mod dead_letters;
mod due;
mod environments;
mod executions;
mod freezes;
mod holds;
mod incidents;
mod notices;
mod pipelines;
mod rollbacks;

use jiff::{SignedDuration, Timestamp};
use pointsman::approving::Mailer;
use pointsman::aws::AwsConfig;
use pointsman::aws::cloudwatch::Alarms;
use pointsman::aws::sns::{Notices, Topics};
use pointsman::aws::sqs::Queue;
use pointsman::rolling::Hands;
use pointsman::run::{Engine, RunError};
use pointsman::settings::{LedgerSettings, Lookup, Missing, required};
use pointsman::telemetry;
use pointsman::telling::Teller;
use serde::Serialize;

/// Nothing new is begun with less than this left.
const TIME_FOR_ONE_THING: SignedDuration = SignedDuration::from_secs(12);

/// Where the ledger and the dead letters are, and how people are asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ledger's.
    pub ledger: LedgerSettings,
    /// The URL of the dead letters of the queue of changes: `POINTSMAN_DEAD_LETTERS_QUEUE_URL`.
    pub dead_letters_url: String,
    /// What links begin with, without a slash at the end: `POINTSMAN_BASE_URL`.
    pub base_url: String,
    /// What the ARNs of the approvers' topics begin with: `POINTSMAN_APPROVER_TOPICS`.
    pub approver_topics: String,
    /// The ARN of the topic that tells of incidents: `POINTSMAN_INCIDENTS_TOPIC`.
    pub incidents_topic: String,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn read(lookup: Lookup<'_>) -> Result<Self, Missing> {
        Ok(Self {
            ledger: LedgerSettings::read(lookup)?,
            dead_letters_url: required(lookup, "POINTSMAN_DEAD_LETTERS_QUEUE_URL")?,
            base_url: required(lookup, "POINTSMAN_BASE_URL")?,
            approver_topics: required(lookup, "POINTSMAN_APPROVER_TOPICS")?,
            incidents_topic: required(lookup, "POINTSMAN_INCIDENTS_TOPIC")?,
        })
    }
}

/// Everything that lives longer than one turn.
#[derive(Debug)]
pub struct App {
    config: AwsConfig,
    engine: Engine,
    dead_letters: Queue,
    mailer: Mailer,
    base_url: String,
    topics: Topics,
    teller: Teller,
    hands: Hands,
    alarms: Alarms,
}

impl App {
    /// Builds the clients and warms the ledger's.
    pub async fn start(config: AwsConfig, settings: Settings) -> Self {
        let engine = Engine::start(&config, settings.ledger, "sweep").await;
        let dead_letters = Queue::new(&config, settings.dead_letters_url);
        let topics = Topics::new(&config, settings.approver_topics);
        let mailer = Mailer::new(topics.clone(), config.random.clone());
        let teller = Teller::new(Notices::new(&config, settings.incidents_topic));
        let (hands, alarms) = (Hands::new(&config), Alarms::new(&config));
        Self { config, engine, dead_letters, mailer, topics, teller, hands, alarms, base_url: settings.base_url }
    }
}

/// What a turn found. The counts are metrics too; `template.yaml` has the alarms.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Executions, approvals, incidents, rollbacks and environments' notices that were due.
    pub due: u64,
    /// Executions whose fate a person must settle.
    pub unknown: u64,
    /// Approvals that are open, and whose approvers were reminded.
    pub pending_approvals: u64,
    /// Open approvals for which the scan of the image is late.
    pub missing_scans: u64,
    /// Decisions of which CodePipeline does not know.
    pub untold_approvals: u64,
    /// Open approvals of which somebody could not be sent their mail.
    pub stuck_mails: u64,
    /// Incidents that wait for a person.
    pub persons_needed: u64,
    /// Rollbacks that have not ended after a quarter of an hour.
    pub slow_rollbacks: u64,
    /// Environments whose regions run different versions, with nothing under way.
    pub regions_disagree: u64,
    /// Environments of which people could not be told something.
    pub stuck_notices: u64,
    /// Environments whose hold could not be looked after: a way may stand open.
    pub stuck_holds: u64,
    /// Messages that nobody could take.
    pub dead_letters: u64,
    /// Pipelines that start beside Pointsman.
    pub self_starting: u64,
    /// Approvers whom mail does not reach.
    pub unreachable_approvers: u64,
    /// Things that could not be finished this time.
    pub failures: u64,
}

/// Takes one turn. `deadline` is when Lambda ends the function.
///
/// # Errors
/// [`RunError`] when not even the list of what is due could be read.
pub async fn handle(app: &App, deadline: Timestamp) -> Result<Summary, RunError> {
    let mut summary = Summary::default();
    due::look_after(app, deadline, &mut summary).await?;
    for (what, outcome) in [
        ("holds", holds::look_after(app, deadline, &mut summary).await),
        ("freezes", freezes::look_after(app, &mut summary).await),
        ("environments", environments::look_after(app, deadline, &mut summary).await),
        ("dead letters", dead_letters::count(app, &mut summary).await),
        ("pipelines that start themselves", pipelines::check(app, &mut summary).await),
        ("approvers' mail", approvers::check(app, deadline, &mut summary).await),
    ] {
        if let Err(error) = outcome {
            tracing::error!(%error, what, "could not be looked after");
            summary.failures += 1;
        }
    }
    let counts = [
        ("UnknownExecutions", summary.unknown),
        ("PendingApprovals", summary.pending_approvals),
        ("MissingScans", summary.missing_scans),
        ("UntoldApprovals", summary.untold_approvals),
        ("StuckMails", summary.stuck_mails),
        ("PersonNeeded", summary.persons_needed),
        ("SlowRollbacks", summary.slow_rollbacks),
        ("RegionsDisagree", summary.regions_disagree),
        ("StuckNotices", summary.stuck_notices),
        ("StuckHolds", summary.stuck_holds),
        ("DeadLetters", summary.dead_letters),
        ("SelfStartingPipelines", summary.self_starting),
        ("UnreachableApprovers", summary.unreachable_approvers),
        ("SweepFailures", summary.failures),
    ];
    // Alarms take a missing count for none, so a turn that found nothing says nothing.
    if counts.iter().any(|(_, count)| *count > 0) {
        telemetry::emit(&telemetry::metric_line(app.config.now(), &counts));
    }
    Ok(summary)
}

fn has_time(app: &App, deadline: Timestamp) -> bool {
    deadline.duration_since(app.config.now()) >= TIME_FOR_ONE_THING
}
