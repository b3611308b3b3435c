//! CodeBuild: start once, look, stop.
//!
//! A build's idempotency token holds for five minutes only (CodeBuild API reference, StartBuild). A build carries
//! our execution id as an environment variable, so a look tells for certain whether it is ours.

use super::codepipeline::time;
use super::targets::{Answer, Listing, Regional, answer_of};
use super::{AwsConfig, CallError, client};
use crate::domain::execution::{CLOCK_SKEW, Execution, ExecutionId, Seen, StartEvent, Target};
use crate::domain::observed::{Link, Mark, Observed, Report, State, Trigger};
use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::config::retry::RetryConfig;
use aws_sdk_codebuild::types as sdk;
use jiff::Timestamp;

/// The environment variable that carries our execution id into a build.
pub const EXECUTION_VARIABLE: &str = "POINTSMAN_EXECUTION";

/// How many pages of 100 builds a look goes back. At the bound it is not complete.
const PAGES_MAX: usize = 5;

/// CodeBuild's words for "no room now": nothing was started.
const BUSY: [&str; 1] = ["AccountLimitExceededException"];

/// Clients of CodeBuild.
#[derive(Debug)]
pub struct CodeBuild {
    clients: Regional<Client>,
}

impl CodeBuild {
    /// Clients for every region.
    pub fn new(config: &AwsConfig) -> Self {
        Self { clients: Regional::new(config, |config| client!(aws_sdk_codebuild, config)) }
    }

    pub(super) async fn start(&self, execution: &Execution) -> Answer {
        let client = self.clients.in_region(&execution.target.region);
        let own = [(EXECUTION_VARIABLE, execution.id.as_str())];
        let configured = execution.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let variables = own.into_iter().chain(configured).map(|(name, value)| {
            sdk::EnvironmentVariable::builder()
                .name(name)
                .value(value)
                .r#type(sdk::EnvironmentVariableType::Plaintext)
                .build()
        });
        let Ok(variables) = variables.collect::<Result<Vec<_>, _>>() else {
            return Answer::Known(StartEvent::Refused { reason: "the request cannot be built".to_owned() });
        };
        let request = client
            .start_build()
            .project_name(&execution.target.name)
            .source_version(execution.sha.as_ref().map(ToString::to_string).unwrap_or_default())
            .set_environment_variables_override(Some(variables))
            .idempotency_token(execution.id.as_str());
        let once = aws_sdk_codebuild::config::Builder::new().retry_config(RetryConfig::disabled());
        match request.customize().config_override(once).send().await {
            Ok(answer) => match answer.build_value.and_then(|build| build.id) {
                Some(aws_id) => Answer::Known(StartEvent::Answered { aws_id }),
                None => Answer::Lost("the answer holds no build id".to_owned()),
            },
            Err(error) => answer_of(error.into(), &BUSY),
        }
    }

    pub(super) async fn seen_since(&self, target: &Target, since: Timestamp) -> Result<Listing, CallError> {
        let client = self.clients.in_region(&target.region);
        let mut listing = Listing::default();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let page = client.list_builds_for_project().project_name(&target.name).set_next_token(next).send().await?;
            let ids = page.ids.unwrap_or_default();
            if ids.is_empty() {
                listing.is_complete = true;
                break;
            }
            let builds = client.batch_get_builds().set_ids(Some(ids)).send().await?.builds.unwrap_or_default();
            let oldest = builds.iter().map(|build| time(build.start_time())).min();
            listing
                .seen
                .extend(builds.iter().filter(|build| time(build.start_time()) >= since - CLOCK_SKEW).map(as_seen));
            next = page.next_token;
            if next.is_none() || oldest.is_some_and(|oldest| oldest < since - CLOCK_SKEW) {
                listing.is_complete = true;
                break;
            }
        }
        Ok(listing)
    }

    pub(super) async fn seen(&self, target: &Target, aws_id: &str) -> Result<Seen, CallError> {
        Ok(as_seen(&self.build(target, aws_id).await?))
    }

    async fn build(&self, target: &Target, aws_id: &str) -> Result<sdk::Build, CallError> {
        let client = self.clients.in_region(&target.region);
        let answer = client.batch_get_builds().ids(aws_id).send().await?;
        answer.builds.unwrap_or_default().pop().ok_or_else(|| CallError::Refused {
            code: "ResourceNotFoundException".to_owned(),
            message: format!("no build {aws_id}"),
        })
    }

    pub(super) async fn observe(&self, target: &Target, aws_id: &str, now: Timestamp) -> Result<Observed, CallError> {
        let build = self.build(target, aws_id).await?;
        let mut observed = Observed {
            trigger: Some(Trigger {
                kind: "StartBuild".to_owned(),
                detail: build.initiator().unwrap_or_default().to_owned(),
            }),
            ..Observed::default()
        };
        if let Some(sha) = build.resolved_source_version().or(build.source_version()) {
            observed.revisions.insert("source".to_owned(), sha.to_owned());
        }
        for variable in build.exported_environment_variables() {
            if let (Some(name), Some(value)) = (variable.name(), variable.value()) {
                observed.outputs.insert(name.to_owned(), value.to_owned());
            }
        }
        let started = Mark { attempt: 1, at: time(build.start_time()), state: State::Started };
        observed.fold(&Report::Whole { mark: started, trigger: None });
        let link = build.logs().and_then(|logs| logs.deep_link()).map(|url| Link {
            at: started.at,
            id: aws_id.to_owned(),
            url: Some(url.to_owned()),
            summary: None,
        });
        let state = match build.build_status() {
            Some(sdk::StatusType::Succeeded) => Some(State::Succeeded),
            Some(sdk::StatusType::Stopped) => Some(State::Stopped),
            Some(sdk::StatusType::Failed | sdk::StatusType::Fault | sdk::StatusType::TimedOut) => Some(State::Failed),
            _ => None,
        };
        let at = build.end_time().map_or(now, |at| time(Some(at)));
        let mark = state.map_or(started, |state| Mark { attempt: 1, at, state });
        observed.fold(&Report::Whole { mark, trigger: None });
        if link.is_some() {
            let (stage, action, category) = ("Build".to_owned(), "Build".to_owned(), "Build".to_owned());
            observed.fold(&Report::Action { stage, action, category, mark, link });
        }
        Ok(observed)
    }

    pub(super) async fn stop(&self, target: &Target, aws_id: &str) -> Result<(), CallError> {
        self.clients.in_region(&target.region).stop_build().id(aws_id).send().await?;
        Ok(())
    }
}

fn as_seen(build: &sdk::Build) -> Seen {
    let variables = build.environment().map(sdk::ProjectEnvironment::environment_variables).unwrap_or_default();
    let owner = variables.iter().find(|variable| variable.name() == EXECUTION_VARIABLE);
    Seen {
        started_at: time(build.start_time()),
        // Whoever started it: without our variable it is not ours.
        is_by_our_role: Some(owner.is_some()),
        revisions: build.source_version().map(str::to_owned).into_iter().collect(),
        owner: owner.map(|variable| ExecutionId::named(variable.value())),
        ..Seen::named(build.id().unwrap_or_default())
    }
}
