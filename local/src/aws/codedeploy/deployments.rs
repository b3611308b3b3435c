//! The operations of deployments other than CreateDeployment.

use super::input::{self, refused};
use super::state::{Deployment, Region, Request, Status};
use super::{answers, engine::Step};
use crate::aws::{Call, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};

const STATUSES: [&str; 8] = ["Created", "Queued", "InProgress", "Baking", "Succeeded", "Failed", "Stopped", "Ready"];

pub(super) fn find<'a>(here: &'a Region, call: &Call) -> Result<&'a Deployment, Failure> {
    let id = input::deployment_id(&call.input)?;
    here.deployment(id).ok_or_else(|| input::no_deployment(id))
}

pub(super) fn get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let found = find(here, call)?;
    Ok(json!({ "deploymentInfo": answers::of(here, found) }))
}

/// Those that exist: the others are left out.
pub(super) fn batch_get(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    /// Source: CodeDeploy API reference, BatchGetDeployments.
    const MOST: usize = 25;
    let ids = input::batch(&call.input, "deploymentIds", "DeploymentIdRequiredException")?;
    if ids.len() > MOST {
        let message = format!("The number of deploymentIds exceeds the limit of {MOST} for one request");
        return Err(refused("BatchLimitExceededException", message));
    }
    if let Some(bad) = ids.iter().find(|id| !input::is_deployment_id(id)) {
        return Err(input::bad_deployment_id(bad));
    }
    let found = ids.into_iter().filter_map(|id| here.deployment(id)).map(|each| answers::of(here, each));
    Ok(json!({ "deploymentsInfo": found.collect::<Vec<_>>() }))
}

/// The ids that match, the newest first.
pub(super) fn list(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let input = &call.input;
    let group_id = match (input["applicationName"].is_null(), input["deploymentGroupName"].is_null()) {
        (true, true) => None,
        (true, false) => {
            let message = "Application name must be specified with a deployment group name";
            return Err(refused("ApplicationNameRequiredException", message));
        }
        (false, true) => {
            input::application(here, input)?;
            let message = "Deployment group name must be specified with an application name";
            return Err(refused("DeploymentGroupNameRequiredException", message));
        }
        (false, false) => {
            let (_, application) = input::application(here, input)?;
            Some(input::group(application, input, "deploymentGroupName")?.1.id.clone())
        }
    };
    let statuses: Vec<&str> =
        input["includeOnlyStatuses"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(unknown) = statuses.iter().find(|status| !STATUSES.contains(status)) {
        let message = format!("The deployment status {unknown} is not valid");
        return Err(refused("InvalidDeploymentStatusException", message));
    }
    let (start, end) = range(&input["createTimeRange"])?;
    let matches = |each: &&Deployment| {
        group_id.as_ref().is_none_or(|id| each.group_id == *id)
            && (statuses.is_empty() || statuses.contains(&each.status.name()))
            && start.is_none_or(|start| each.created >= start)
            && end.is_none_or(|end| each.created <= end)
            // No deployment here was made by a stack.
            && input["externalId"].as_str().is_none_or(str::is_empty)
    };
    let ids: Vec<String> = here.deployments.iter().rev().filter(matches).map(|each| each.id.clone()).collect();
    input::page("deployments", &ids, input)
}

fn range(given: &Value) -> Result<(Option<Timestamp>, Option<Timestamp>), Failure> {
    let moment = |key: &str| {
        let seconds = given[key].as_f64()?;
        Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()
    };
    match (moment("start"), moment("end")) {
        (Some(start), Some(end)) if start > end => {
            Err(refused("InvalidTimeRangeException", "The start of the time range is after its end"))
        }
        range => Ok(range),
    }
}

/// Leaves word that a deployment is to stop. Its next turn, which comes at once, stops it.
pub(super) fn stop(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let found = find(here, call)?;
    match found.status {
        Status::Created | Status::InProgress | Status::Ready => {}
        // Source: CodeDeploy user guide, "Stopped and failed deployments": later calls succeed.
        Status::Stopped => {
            let message = "No more commands will be scheduled for execution in the deployment instances";
            return Ok(json!({ "status": "Succeeded", "statusMessage": message }));
        }
        Status::Succeeded | Status::Failed => return Err(completed(found)),
    }
    let (id, by_default) = (found.id.clone(), found.rolls_back_on("DEPLOYMENT_STOP_ON_REQUEST"));
    let rolls_back = call.input["autoRollbackEnabled"].as_bool().unwrap_or(by_default);
    here.requests.entry(id).or_default().push(Request::Stop { rolls_back });
    Ok(json!({ "status": "Pending", "statusMessage": "The deployment is being stopped" }))
}

fn completed(found: &Deployment) -> Failure {
    let message = format!("The deployment {} has already completed", found.id);
    refused("DeploymentAlreadyCompletedException", message)
}

/// Leaves word that a deployment need not wait any longer.
pub(super) fn carry_on(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let found = find(here, call)?;
    let kind = call.input["deploymentWaitType"].as_str().unwrap_or("READY_WAIT");
    let (request, waits) = match kind {
        "READY_WAIT" => (Request::EndReadyWait, Step::GiveUp),
        "TERMINATION_WAIT" => (Request::EndTerminationWait, Step::Terminate),
        other => {
            let message = format!("The deployment wait type {other} is not valid");
            return Err(refused("InvalidDeploymentWaitTypeException", message));
        }
    };
    if found.status.is_over() {
        return Err(completed(found));
    }
    if found.is_rollback() {
        let message = "A rollback waits for nobody";
        return Err(refused("UnsupportedActionForDeploymentTypeException", message));
    }
    if found.next.is_none_or(|(_, step)| step != waits) {
        let message = format!("The deployment {} is not in a state in which it can be continued", found.id);
        return Err(refused("DeploymentIsNotInReadyStateException", message));
    }
    let id = found.id.clone();
    here.requests.entry(id).or_default().push(request);
    Ok(json!({}))
}
