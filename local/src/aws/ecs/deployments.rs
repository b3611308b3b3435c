//! Service deployments and revisions: reading them, and stopping one.

use super::answers;
use super::failing;
use super::input::{invalid, page, required, strings, text};
use super::model::{Region, Rolling, Service, Status, key};
use super::turn::Turn;
use crate::aws::{Call, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};

/// How many ARNs one call may name. Source: "You can specify a maximum of 20 ARNs."
const MOST_ARNS: usize = 20;

const STATUSES: [Status; 9] = [
    Status::Pending,
    Status::Successful,
    Status::Stopped,
    Status::StopRequested,
    Status::InProgress,
    Status::RollbackRequested,
    Status::RollbackInProgress,
    Status::RollbackSuccessful,
    Status::RollbackFailed,
];

pub(super) fn list(here: &Region, call: &Call) -> Result<Value, Failure> {
    let service = here.service(&call.input)?;
    let wanted = strings(&call.input, "status");
    if let Some(other) = wanted.iter().find(|status| STATUSES.iter().all(|known| known.name() != **status)) {
        return Err(invalid(format!("Invalid service deployment status: {other}")));
    }
    let moment = |key: &str| {
        let seconds = call.input["createdAt"][key].as_f64()?;
        Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()
    };
    let (before, after) = (moment("before"), moment("after"));
    let is_meant = |rolling: &&Rolling| {
        (wanted.is_empty() || wanted.contains(&rolling.status.name()))
            && before.is_none_or(|before| rolling.created <= before)
            && after.is_none_or(|after| rolling.created >= after)
    };
    let newest_first = service.history.iter().rev().filter(is_meant);
    let shown = newest_first.map(|rolling| (rolling.id.clone(), answers::rolling_in_brief(service, rolling)));
    page("serviceDeployments", shown.collect(), &call.input, 20)
}

/// Takes `arn:aws:ecs:REGION:ACCOUNT:KIND/CLUSTER/SERVICE/ID` apart: the service's key and the id.
fn parse<'a>(arn: &'a str, kind: &str) -> Result<(String, &'a str), Failure> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let steps: Vec<&str> = parts.get(5).map_or("", |resource| resource).split('/').collect();
    match (&parts[..], &steps[..]) {
        (["arn", "aws", "ecs", _, _, _], [found, cluster, service, id]) if *found == kind => {
            Ok((key(cluster, service), id))
        }
        _ => Err(invalid(format!("Invalid {kind} ARN: {arn}"))),
    }
}

/// Answers for each ARN of `member` with what `show` makes of it; what is not there is a failure.
fn each(
    here: &Region,
    call: &Call,
    (member, kind, name): (&str, &str, &str),
    show: impl Fn(&Service, &str) -> Option<Value>,
) -> Result<Value, Failure> {
    let wanted = strings(&call.input, member);
    if !(1..=MOST_ARNS).contains(&wanted.len()) {
        return Err(invalid(format!("{member} must contain between 1 and {MOST_ARNS} items.")));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in wanted {
        let (service, id) = parse(arn, kind)?;
        match here.services.get(&service).and_then(|service| show(service, id)) {
            Some(shown) => found.push(shown),
            None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
        }
    }
    Ok(json!({ name: found, "failures": failures }))
}

pub(super) fn describe(here: &Region, call: &Call) -> Result<Value, Failure> {
    each(here, call, ("serviceDeploymentArns", "service-deployment", "serviceDeployments"), |service, id| {
        let found = service.history.iter().find(|rolling| rolling.id == id)?;
        Some(answers::rolling(service, found))
    })
}

pub(super) fn describe_revisions(here: &Region, call: &Call) -> Result<Value, Failure> {
    each(here, call, ("serviceRevisionArns", "service-revision", "serviceRevisions"), |service, id| {
        let found = service.revisions.iter().find(|revision| revision.id == id)?;
        Some(answers::revision(service, found))
    })
}

/// StopServiceDeployment. What is being stopped or rolled back already goes on as it is.
///
/// Source: ECS developer guide, "Stopping Amazon ECS service deployments". It knows ROLLBACK only; ABORT is in the
/// API's model, and ends here as its statuses say.
pub(super) fn stop(here: &mut Region, call: &Call, turn: &mut Turn<'_>) -> Result<Value, Failure> {
    let arn = required(&call.input, "serviceDeploymentArn")?;
    let wanted = match text(&call.input, "stopType") {
        None | Some("ROLLBACK") => Status::RollbackRequested,
        Some("ABORT") => Status::StopRequested,
        Some(_) => return Err(invalid("Stop type should be one of [ABORT,ROLLBACK]")),
    };
    let (key, id) = parse(arn, "service-deployment")?;
    let missing = || Failure::sender("ServiceDeploymentNotFoundException", "Service deployment not found.");
    let service = here.services.get_mut(&key).ok_or_else(missing)?;
    let rolling = service.history.iter_mut().find(|rolling| rolling.id == id).ok_or_else(missing)?;
    match rolling.status {
        Status::Pending | Status::InProgress => {
            rolling.status = wanted;
            rolling.updated = turn.now;
            failing::hurry(service, turn);
        }
        Status::StopRequested | Status::RollbackRequested | Status::RollbackInProgress => {}
        Status::Successful | Status::Stopped | Status::RollbackSuccessful | Status::RollbackFailed => {
            let message = format!("Service deployment is in {} state and cannot be stopped.", rolling.status.name());
            return Err(Failure::sender("ConflictException", message));
        }
    }
    Ok(json!({ "serviceDeploymentArn": arn }))
}
