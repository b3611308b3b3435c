//! Everything at once: an account, Pointsman laid down in it from `template.yaml`, a configuration, its pipelines.

use crate::api::HttpRequest;
use crate::aws::{ACCOUNT, Aws, Behaviour, Failure};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::functions::{Fleet, Reaper};
use crate::pipelines;
use crate::template::Template;
use crate::wiring::{Wired, WiringError, lay_down};
use pointsman::approvers::{self, SyncOptions};
use pointsman::aws::CallError;
use pointsman::aws::sns::Topics;
use pointsman::config::{self, Config, Problem};
use pointsman::domain::approver::people;
use pointsman::domain::route::Target;
use pointsman::ledger::{Ledger, LedgerError, Publication};
use pointsman::random::Random;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The wiring, as it is deployed.
pub const TEMPLATE: &str = include_str!("../../template.yaml");
/// What is deployed in each other region.
pub const REGIONAL: &str = include_str!("../../regional/template.yaml");
/// The configuration that runs when none is named.
pub const DEFAULT_CONFIG: &str = include_str!("../../examples/shop/pointsman.toml");
/// The webhook secret when none is given.
pub const DEFAULT_SECRET: &str = "local-webhook-secret";
/// Where the service's own HTTP routes are when nobody says where.
pub const DEFAULT_BASE_URL: &str = "http://127.0.0.1:3000";
/// The stack's name: tables and queues are named after it.
pub const STACK: &str = "pointsman";
/// The name of the stacks in other regions.
pub const REGIONAL_STACK: &str = "pointsman-regional";
/// Where the stack is.
pub const REGION: &str = "us-east-1";

/// What to start.
pub struct Options {
    /// How the account behaves.
    pub behaviour: Behaviour,
    /// What goes wrong in it.
    pub faults: Faults,
    /// Decides every identifier.
    pub seed: u64,
    /// Where the functions draw what nobody may guess; `None` draws it from the seed, so that the same seed replays.
    pub random: Option<Random>,
    /// Where the service's own HTTP routes are, without a slash at the end: the template's parameter `BaseUrl`.
    pub base_url: String,
    /// Who is mailed about incidents, or empty: the template's parameter `IncidentsEmail`.
    pub incidents_email: String,
    /// The webhook secret.
    pub secret: String,
    /// The configuration's text; `None` publishes none.
    pub config: Option<String>,
    /// Its name, for errors.
    pub config_name: String,
    /// Pipelines given as CreatePipeline JSON; the others that the configuration names are made up.
    pub pipelines: Vec<Value>,
    /// Kills functions half way.
    pub reaper: Option<Reaper>,
    /// A folder that [`Aws::save`] wrote: the account goes on from there.
    pub resume_from: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::default(),
            faults: Faults::none(),
            seed: 1,
            random: None,
            base_url: DEFAULT_BASE_URL.to_owned(),
            incidents_email: String::new(),
            secret: DEFAULT_SECRET.to_owned(),
            config: Some(DEFAULT_CONFIG.to_owned()),
            config_name: "examples/shop/pointsman.toml".to_owned(),
            pipelines: Vec::new(),
            reaper: None,
            resume_from: None,
        }
    }
}

/// Why it could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The account itself could not be opened.
    #[error("the local AWS could not be opened: {0}")]
    Account(String),
    /// The saved account cannot be read.
    #[error("{folder}: {error}", folder = folder.display())]
    Saved {
        /// Where it is.
        folder: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The template could not be laid down.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// The configuration has errors.
    #[error("the configuration has errors:\n{0}")]
    Config(String),
    /// The configuration could not be published.
    #[error("the configuration could not be published: {0}")]
    Publish(#[from] LedgerError),
    /// The approvers' topics could not be made.
    #[error("the approvers' topics could not be made: {0}")]
    Topics(#[from] CallError),
    /// A pipeline was refused.
    #[error("pipeline {name}: {code}: {message}", code = failure.code, message = failure.message)]
    Pipeline {
        /// Which.
        name: String,
        /// What CodePipeline says.
        failure: Failure,
    },
}

/// Pointsman on a local AWS.
#[derive(Debug, Clone)]
pub struct Local {
    /// The account.
    pub aws: Aws,
    /// The functions in it.
    pub fleet: Fleet,
    /// What the template laid down.
    pub wired: Wired,
    /// Warnings about the configuration.
    pub warnings: Vec<String>,
}

impl Local {
    /// Starts everything. Time passes only while [`Local::run`] is polled.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(clock: Clock, options: Options) -> Result<Self, StartError> {
        let Options { behaviour, faults, seed, secret, config, config_name, pipelines, resume_from, .. } = options;
        let aws = Aws::new(clock, behaviour, faults, seed).map_err(|failure| StartError::Account(failure.message))?;
        if let Some(folder) = resume_from {
            aws.restore(&folder).map_err(|error| StartError::Saved { folder, error })?;
        }
        let random = options.random.unwrap_or_else(|| Random::seeded(seed));
        let fleet = Fleet::new(&aws, random, options.reaper);
        let template = Template::read(TEMPLATE, STACK, REGION, ACCOUNT)
            .and_then(|template| template.with_parameter("BaseUrl", &options.base_url))
            .and_then(|template| template.with_parameter("IncidentsEmail", &options.incidents_email))
            .map_err(WiringError::from)?;
        let wired = lay_down(&aws, &template, &fleet, &|_| secret.clone())?;
        let mut local = Self { aws, fleet, wired, warnings: Vec::new() };
        let given: BTreeSet<String> = pipelines.iter().filter_map(name_of).collect();
        for declaration in pipelines {
            local.lay_down_pipeline(declaration)?;
        }
        if let Some(text) = config {
            local.publish(&text, &config_name, &given).await?;
        }
        Ok(local)
    }

    fn lay_down_pipeline(&self, given: Value) -> Result<(), StartError> {
        let name = name_of(&given).unwrap_or_default();
        // CreatePipeline's input holds the declaration and its tags; a declaration alone will do.
        let (declaration, tags) = match given.get("pipeline") {
            Some(declaration) => (declaration.clone(), given.get("tags").cloned().unwrap_or_default()),
            None => (given, Value::Null),
        };
        let laid = pipelines::lay_down(&self.aws, REGION, declaration, tags);
        laid.map_err(|failure| StartError::Pipeline { name, failure })
    }

    /// Publishes a configuration, makes the pipelines that it names, except those in `given`, and its approvers' topics.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn publish(&mut self, text: &str, name: &str, given: &BTreeSet<String>) -> Result<(), StartError> {
        let lines = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        let checked = config::parse(text, name, REGION).map_err(|all| StartError::Config(lines(all).join("\n")))?;
        let config = checked.config;
        let topic = self.wired.names.get("ApprovalsAsked").map(|name| format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}"));
        for region in elsewhere(&config) {
            self.listen_in(region)?;
        }
        pipelines::make_named(&self.aws, &config, given, topic.as_deref())
            .map_err(|(name, failure)| StartError::Pipeline { name, failure })?;
        self.warnings = lines(checked.warnings);
        approvers::sync(&self.topics(), people(&config.approvers), &SyncOptions::default()).await?;
        let ledger = self.ledger();
        if ledger.live_source().await?.is_some_and(|(_, live)| live == text) {
            return Ok(());
        }
        let before = ledger.live_configuration().await?;
        let publication = Publication { source: text, config: &config, by: "local" };
        // Of an account that was kept, it may be live already.
        if before.as_ref().is_some_and(|live| live.value.holds(&publication)) {
            return Ok(());
        }
        ledger.publish(before.as_ref(), &publication, self.aws.clock().now()).await?;
        Ok(())
    }

    /// Has the events of another region forwarded to this one, as `regional/template.yaml` says.
    fn listen_in(&self, region: &str) -> Result<(), WiringError> {
        let template =
            Template::read(REGIONAL, REGIONAL_STACK, region, ACCOUNT)?.with_parameter("HomeRegion", REGION)?;
        lay_down(&self.aws, &template, &self.fleet, &|_| String::new()).map(drop)
    }

    /// A client of the ledger, as an operator has it.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(&self.fleet.config("operator", REGION), STACK.to_owned(), format!("{STACK}-audit"))
    }

    /// A client of the approvers' topics, as an operator has it.
    pub fn topics(&self) -> Topics {
        let prefix = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-approver-");
        Topics::new(&self.fleet.config("operator", REGION), prefix)
    }

    /// Lets time pass in the account, for as long as it is polled.
    pub async fn run(&self) {
        self.aws.run().await;
    }

    /// Sends one HTTP request through the API, as API Gateway would hand it over, and answers what the function does. `path`
    /// is as a client sends it. An answer to HEAD has no body. `None`: no such route.
    pub async fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, Vec<u8>)],
        body: &[u8],
    ) -> Option<Result<Value, String>> {
        let route = self.wired.api.route(method, path)?;
        let event = route.event(&self.aws.uuid(), &HttpRequest { method, path, headers, body });
        let mut answer = self.aws.lambda().invoke(&self.aws, &route.function, event).await;
        if method == "HEAD"
            && let Ok(Value::Object(answer)) = &mut answer
        {
            answer.remove("body");
        }
        Some(answer)
    }
}

/// The regions that a configuration names beside the stack's own: where versions land, and where something is started.
fn elsewhere(config: &Config) -> BTreeSet<&str> {
    let landings = config.environments.values().flat_map(|environment| &environment.deploys);
    let landings = landings.flat_map(|deploy| [Some(&deploy.region), deploy.pipeline_region.as_ref()]).flatten();
    let starts = config.routes.iter().filter_map(|route| match &route.target {
        Target::Pipeline { region, .. } | Target::Build { region, .. } => Some(region),
        Target::Workflow { .. } => None,
    });
    landings.chain(starts).map(String::as_str).filter(|region| *region != REGION).collect()
}

fn name_of(given: &Value) -> Option<String> {
    let declaration = given.get("pipeline").unwrap_or(given);
    Some(declaration.get("name")?.as_str()?.to_owned())
}
