//! CodeDeploy: what is in flight, stopping it, and deploying an older revision again.

use super::regional::Regional;
use super::{AwsConfig, CallError, client, moment};
use crate::domain::execution::CLOCK_SKEW;
use crate::domain::running::{CodeDeployDeployment, CodeDeployState, Deployed, Stopping};
use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::config::retry::RetryConfig;
use aws_sdk_codedeploy::primitives::DateTime;
use aws_sdk_codedeploy::types as sdk;
use jiff::Timestamp;

/// How many pages of 100 deployments a look goes back. With more nobody can say that there is none: an error.
const PAGES_MAX: usize = 5;
/// How many deployments one call describes: AWS's own maximum.
const BATCH_DEPLOYMENTS: usize = 25;

/// The statuses of a deployment that is not over.
const IN_FLIGHT: [sdk::DeploymentStatus; 5] = [
    sdk::DeploymentStatus::Created,
    sdk::DeploymentStatus::Queued,
    sdk::DeploymentStatus::InProgress,
    sdk::DeploymentStatus::Baking,
    sdk::DeploymentStatus::Ready,
];

/// CodeDeploy's word for a deployment that is not there.
const NO_DEPLOYMENT: &str = "DeploymentDoesNotExistException";

/// Clients of CodeDeploy.
#[derive(Debug)]
pub struct CodeDeploy {
    clients: Regional<Client>,
}

impl CodeDeploy {
    /// Clients for every region.
    pub fn new(config: &AwsConfig) -> Self {
        Self { clients: Regional::new(config, |config| client!(aws_sdk_codedeploy, config)) }
    }

    /// The id of the deployment to a group that is not over, the youngest if there are several. A rollback is one too.
    ///
    /// # Errors
    /// [`CallError`] when CodeDeploy does not say.
    pub async fn in_flight(&self, region: &str, application: &str, group: &str) -> Result<Option<String>, CallError> {
        let client = self.clients.in_region(region);
        let look = Look { application, group, statuses: &IN_FLIGHT, since: None };
        let ids = listed(&client, &look).await?;
        if ids.len() < 2 {
            return Ok(ids.into_iter().next());
        }
        let youngest = described(&client, &ids).await?.into_iter().max_by_key(|each| moment(each.create_time()));
        Ok(youngest.and_then(|each| each.deployment_id))
    }

    /// Has CodeDeploy stop a deployment and roll back to what ran before it. The rollback is another deployment:
    /// [`CodeDeployDeployment::rolled_back_by`].
    ///
    /// The SDK may repeat the call when a reply gets lost; a deployment that has stopped may be stopped again.
    ///
    /// # Errors
    /// [`CallError`]: `DeploymentAlreadyCompletedException`, `DeploymentDoesNotExistException`.
    pub async fn stop(&self, region: &str, deployment_id: &str) -> Result<Stopping, CallError> {
        let client = self.clients.in_region(region);
        let request = client.stop_deployment().deployment_id(deployment_id).auto_rollback_enabled(true);
        let answer = request.send().await?;
        Ok(match answer.status() {
            Some(sdk::StopStatus::Succeeded) => Stopping::Stopped,
            _ => Stopping::Pending,
        })
    }

    /// How a deployment stands; `None` when CodeDeploy does not know it.
    ///
    /// # Errors
    /// [`CallError`] when CodeDeploy does not say.
    pub async fn deployment(&self, region: &str, id: &str) -> Result<Option<CodeDeployDeployment>, CallError> {
        match info(&self.clients.in_region(region), id).await {
            Ok(info) => Ok(Some(read(info))),
            Err(error) if error.is(NO_DEPLOYMENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deploys the revision of an older deployment to the same group once more; answers with the new deployment's id.
    ///
    /// Asked once, without the SDK's repetitions: a lost reply may have started one, and
    /// [`CodeDeploy::find_by_description`] finds it, if `description` (at most 256 characters) belongs to this request
    /// alone.
    ///
    /// # Errors
    /// [`CallError::Lost`] only when it may have been started. Everything else means that it was not:
    /// `DeploymentLimitExceededException` while the group is busy, `DeploymentOfAnotherGroup` (our own word) when `of`
    /// was made elsewhere, `RevisionDoesNotExistException`.
    pub async fn deploy_again(
        &self,
        region: &str,
        application: &str,
        group: &str,
        of: &str,
        description: &str,
    ) -> Result<String, CallError> {
        let client = self.clients.in_region(region);
        let older = info(&client, of).await.map_err(not_begun)?;
        if older.application_name() != Some(application) || older.deployment_group_name() != Some(group) {
            let message = format!("{of} is no deployment to {application}/{group}");
            return Err(CallError::Refused { code: "DeploymentOfAnotherGroup".to_owned(), message });
        }
        let revision = revision(&client, application, older).await.map_err(not_begun)?;
        let request = client.create_deployment().application_name(application).deployment_group_name(group);
        let once = aws_sdk_codedeploy::config::Builder::new().retry_config(RetryConfig::disabled());
        let request = request.revision(revision).description(description).customize().config_override(once);
        let id = request.send().await?.deployment_id;
        id.ok_or_else(|| CallError::Lost("the answer holds no deployment id".to_owned()))
    }

    /// The deployment to a group since a moment that has this description, the youngest if there are several. One that
    /// CodeDeploy made to undo another is never meant.
    ///
    /// # Errors
    /// [`CallError`] when CodeDeploy does not say, or there are too many to read (`TooManyDeployments`): that is no
    /// absence.
    pub async fn find_by_description(
        &self,
        region: &str,
        application: &str,
        group: &str,
        since: Timestamp,
        description: &str,
    ) -> Result<Option<String>, CallError> {
        let client = self.clients.in_region(region);
        let look = Look { application, group, statuses: &[], since: Some(since - CLOCK_SKEW) };
        let all = described(&client, &listed(&client, &look).await?).await?;
        let is_meant = |each: &sdk::DeploymentInfo| {
            each.description() == Some(description)
                && each.creator() != Some(&sdk::DeploymentCreator::CodeDeployRollback)
        };
        let found = all.into_iter().filter(is_meant).max_by_key(|each| moment(each.create_time()));
        Ok(found.and_then(|each| each.deployment_id))
    }

    /// The last deployment to a group that went through, rollbacks included; `None` when there never was one.
    ///
    /// # Errors
    /// [`CallError`] when CodeDeploy does not say.
    pub async fn latest_succeeded(
        &self,
        region: &str,
        application: &str,
        group: &str,
    ) -> Result<Option<Deployed>, CallError> {
        let client = self.clients.in_region(region);
        let request = client.get_deployment_group().application_name(application).deployment_group_name(group);
        let last = request.send().await?.deployment_group_info.and_then(|group| group.last_successful_deployment);
        let Some(last) = last else { return Ok(None) };
        let Some(id) = last.deployment_id() else { return Ok(None) };
        let info = info(&client, id).await?;
        let finished_at = moment(last.end_time()).or_else(|| moment(info.complete_time()));
        let finished_at = finished_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let revision = match revision(&client, application, info).await {
            Ok(revision) => Some(revision),
            // A rollback to what ECS itself had made names none.
            Err(CallError::Refused { .. }) => None,
            Err(error @ (CallError::Throttled { .. } | CallError::Lost(_))) => return Err(error),
        };
        let task_definition = revision.as_ref().and_then(app_spec).and_then(task_definition_in);
        Ok(Some(Deployed { deployment: id.to_owned(), finished_at, task_definition }))
    }
}

/// Which deployments are looked for. Without statuses: in any.
struct Look<'a> {
    application: &'a str,
    group: &'a str,
    statuses: &'a [sdk::DeploymentStatus],
    since: Option<Timestamp>,
}

/// The ids of all deployments that are looked for, in no order that CodeDeploy promises.
async fn listed(client: &Client, look: &Look<'_>) -> Result<Vec<String>, CallError> {
    let range = look.since.map(|since| sdk::TimeRange::builder().start(DateTime::from_secs(since.as_second())).build());
    let statuses = (!look.statuses.is_empty()).then(|| look.statuses.to_vec());
    let mut ids = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let request = client.list_deployments().application_name(look.application);
        let request = request.deployment_group_name(look.group).set_include_only_statuses(statuses.clone());
        let page = request.set_create_time_range(range.clone()).set_next_token(next).send().await?;
        ids.extend(page.deployments.unwrap_or_default());
        next = page.next_token;
        if next.is_none() {
            return Ok(ids);
        }
    }
    let message = format!("{}/{} has more than {} deployments", look.application, look.group, ids.len());
    Err(CallError::Refused { code: "TooManyDeployments".to_owned(), message })
}

async fn described(client: &Client, ids: &[String]) -> Result<Vec<sdk::DeploymentInfo>, CallError> {
    let mut all = Vec::new();
    for batch in ids.chunks(BATCH_DEPLOYMENTS) {
        let answer = client.batch_get_deployments().set_deployment_ids(Some(batch.to_vec())).send().await?;
        all.extend(answer.deployments_info.unwrap_or_default());
    }
    Ok(all)
}

async fn info(client: &Client, id: &str) -> Result<sdk::DeploymentInfo, CallError> {
    let answer = client.get_deployment().deployment_id(id).send().await?;
    answer.deployment_info.ok_or_else(|| CallError::Lost("the answer holds no deployment".to_owned()))
}

/// What a deployment deployed, so that it can be deployed again: with its content, which GetDeployment leaves out.
///
/// Source: the CodeDeploy API reference, GetDeployment.
async fn revision(
    client: &Client,
    application: &str,
    deployment: sdk::DeploymentInfo,
) -> Result<sdk::RevisionLocation, CallError> {
    let missing = || CallError::Refused {
        code: "RevisionDoesNotExistException".to_owned(),
        message: "the deployment names no revision".to_owned(),
    };
    let named = deployment.revision.ok_or_else(missing)?;
    let is_elsewhere =
        matches!(named.revision_type(), Some(sdk::RevisionLocationType::S3 | sdk::RevisionLocationType::GitHub));
    if is_elsewhere || app_spec(&named).is_some() {
        return Ok(named);
    }
    let request = client.get_application_revision().application_name(application).revision(named);
    request.send().await?.revision.ok_or_else(missing)
}

/// The AppSpec in a revision; `None` when that is elsewhere, or was left out.
#[allow(deprecated, reason = "older deployments have it as a plain string")]
fn app_spec(revision: &sdk::RevisionLocation) -> Option<&str> {
    let newer = revision.app_spec_content().and_then(sdk::AppSpecContent::content);
    newer.or_else(|| revision.string()?.content()).filter(|content| !content.is_empty())
}

/// The ARN of the one task definition that an AppSpec names, be it YAML or JSON.
///
/// Source: CodeDeploy user guide, "AppSpec 'resources' section for Amazon ECS deployments": it has to be an ARN.
fn task_definition_in(app_spec: &str) -> Option<String> {
    let app_spec = app_spec.replace("\\/", "/");
    let is_of_an_arn = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ':' | '/' | '-' | '_');
    let words = app_spec.split(|letter| !is_of_an_arn(letter));
    let mut arns = words.filter(|word| word.starts_with("arn:") && word.contains(":task-definition/"));
    let first = arns.next()?;
    arns.all(|other| other == first).then(|| first.to_owned())
}

fn read(info: sdk::DeploymentInfo) -> CodeDeployDeployment {
    let error = info.error_information().map(|error| {
        let code = error.code().map(sdk::ErrorCode::as_str).unwrap_or("Unknown");
        format!("{code}: {}", error.message().unwrap_or("no message"))
    });
    CodeDeployDeployment {
        state: state_of(info.status()),
        rolled_back_by: info.rollback_info().and_then(|rollback| rollback.rollback_deployment_id.clone()),
        is_rollback: info.creator() == Some(&sdk::DeploymentCreator::CodeDeployRollback),
        error,
        created_at: moment(info.create_time()).unwrap_or(Timestamp::UNIX_EPOCH),
        id: info.deployment_id.unwrap_or_default(),
        description: info.description.unwrap_or_default(),
    }
}

fn state_of(status: Option<&sdk::DeploymentStatus>) -> CodeDeployState {
    use sdk::DeploymentStatus as S;
    match status {
        Some(S::Succeeded) => CodeDeployState::Succeeded,
        Some(S::Failed) => CodeDeployState::Failed,
        Some(S::Stopped) => CodeDeployState::Stopped,
        // Whatever CodeDeploy adds: what is not known to be over is not over.
        _ => CodeDeployState::InProgress,
    }
}

/// The error of a call that came before the one that starts something: whatever it is, nothing was started.
fn not_begun(error: CallError) -> CallError {
    match error {
        CallError::Lost(message) => CallError::Throttled { code: "NoAnswer".to_owned(), message },
        CallError::Refused { .. } | CallError::Throttled { .. } => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appspec_names_one_task_definition() {
        const ONE: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:7";
        const CHINA: &str = "arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/web_2-x:12";
        #[rustfmt::skip]
        let cases = [
            // AppSpec,                                              task definition, why
            (format!("{{\"TaskDefinition\":\"{ONE}\"}}"),            Some(ONE),       "JSON"),
            (format!("{{\"TaskDefinition\":\"{}\"}}", ONE.replace('/', "\\/")), Some(ONE), "JSON as some write it"),
            (format!("TaskDefinition: {ONE}\nLoadBalancerInfo:\n"),  Some(ONE),       "YAML"),
            (format!("TaskDefinition: \"{CHINA}\" # the newest\n"),  Some(CHINA),     "another partition, a comment"),
            (format!("# was {CHINA}\nTaskDefinition: {ONE}\n"),      None,            "two: nobody says which"),
            ("TaskDefinition: <TASK_DEFINITION>\n".to_owned(),       None,            "a placeholder"),
            (String::new(),                                          None,            "nothing"),
        ];
        for (app_spec, expected, why) in cases {
            assert_eq!(task_definition_in(&app_spec).as_deref(), expected, "{why}");
        }
    }

    #[test]
    fn what_is_not_known_to_be_over_is_looked_for_as_in_flight() {
        use sdk::DeploymentStatus as S;
        for status in IN_FLIGHT.into_iter().chain([S::from("SomethingNew")]) {
            assert!(!state_of(Some(&status)).is_over(), "{status:?}");
        }
        for status in [S::Succeeded, S::Failed, S::Stopped] {
            assert!(state_of(Some(&status)).is_over(), "{status:?}");
        }
    }
}
