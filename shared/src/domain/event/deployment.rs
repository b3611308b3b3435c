//! Events of deployments, as ECS and CodeDeploy tell of them: whoever started them, and rollbacks too.

use super::{Event, Said, text};
use crate::domain::policy::{Deploy, DeploymentGroup};

/// A deployment that came to another state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentMove {
    /// The AWS region that it is in.
    pub region: String,
    /// Where it deploys to.
    pub place: DeploymentPlace,
    /// The service's own id of it: `ecs-svc/…` of ECS, `d-…` of CodeDeploy.
    pub id: String,
    /// What it came to. Events come in any order: an earlier state may be told later.
    pub state: DeploymentState,
}

/// Where a deployment deploys to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeploymentPlace {
    /// An ECS service.
    Service {
        /// Its cluster; `None` where an ARN of the old form does not name it.
        cluster: Option<String>,
        /// Its name.
        service: String,
    },
    /// A CodeDeploy deployment group.
    Group(DeploymentGroup),
}

/// What a deployment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentState {
    /// It has begun, and has not ended.
    Started,
    /// What it was to bring runs. ECS says so of a rollback of its own too: it does not mean that the new version runs.
    Succeeded,
    /// It failed.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

impl DeploymentMove {
    /// Whether it deploys to where this entry of an environment says. A cluster that is not named may be any.
    pub fn is_of(&self, deploy: &Deploy) -> bool {
        let is_there = match &self.place {
            DeploymentPlace::Service { cluster, service } => deploy.ecs.as_ref().is_some_and(|ecs| {
                ecs.service == *service && cluster.as_ref().is_none_or(|cluster| *cluster == ecs.cluster)
            }),
            DeploymentPlace::Group(group) => deploy.codedeploy.as_ref() == Some(group),
        };
        self.region == deploy.region && is_there
    }
}

/// A deployment of an ECS service. Source: ECS developer guide, "Amazon ECS service deployment state change events".
pub(super) fn of_service(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    let state = match text(detail, &["eventName"])? {
        "SERVICE_DEPLOYMENT_IN_PROGRESS" => DeploymentState::Started,
        "SERVICE_DEPLOYMENT_COMPLETED" => DeploymentState::Succeeded,
        "SERVICE_DEPLOYMENT_FAILED" => DeploymentState::Failed,
        _ => return None,
    };
    let (cluster, service) = service_of(event.resources.first()?)?;
    // Where the service's ARN is of the old form, the detail may name the cluster.
    let told = || text(detail, &["clusterArn"])?.split_once(":cluster/").map(|(_, cluster)| cluster);
    let cluster = cluster.or_else(told).filter(|cluster| !cluster.is_empty()).map(str::to_owned);
    let place = DeploymentPlace::Service { cluster, service: service.to_owned() };
    moved(event, place, text(detail, &["deploymentId"])?, state)
}

/// The cluster and the service of a service's ARN: `arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME`, or
/// `…:service/NAME` where the account has not gone over to long ARNs.
///
/// Source: ECS developer guide, "Amazon Resource Names (ARNs) and IDs".
fn service_of(arn: &str) -> Option<(Option<&str>, &str)> {
    let (_, path) = arn.split_once(":service/").filter(|(start, _)| start.contains(":ecs:"))?;
    let (cluster, service) = match path.split_once('/') {
        Some((cluster, service)) => (Some(cluster), service),
        None => (None, path),
    };
    let is_name = |name: &str| !name.is_empty() && !name.contains('/');
    (is_name(service) && cluster.is_none_or(is_name)).then_some((cluster, service))
}

/// A deployment of a CodeDeploy deployment group. One that is `READY` waits for its traffic to be moved: it is in flight.
///
/// Source: CodeDeploy user guide, "Monitoring deployments with Amazon CloudWatch Events".
pub(super) fn of_group(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    let state = match text(detail, &["state"])? {
        "START" | "READY" => DeploymentState::Started,
        "SUCCESS" => DeploymentState::Succeeded,
        "FAILURE" => DeploymentState::Failed,
        "STOP" => DeploymentState::Stopped,
        _ => return None,
    };
    let name = |field: &str| text(detail, &[field]).filter(|name| !name.is_empty()).map(str::to_owned);
    let group = DeploymentGroup { application: name("application")?, deployment_group: name("deploymentGroup")? };
    moved(event, DeploymentPlace::Group(group), text(detail, &["deploymentId"])?, state)
}

fn moved(event: &Event, place: DeploymentPlace, id: &str, state: DeploymentState) -> Option<Said> {
    if id.is_empty() {
        return None;
    }
    Some(Said::DeploymentMoved(DeploymentMove { region: event.region.clone(), place, id: id.to_owned(), state }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::read;
    use crate::domain::policy::EcsService;
    use serde_json::{Value, json};

    fn event(source: &str, detail_type: &str, resources: &[&str], detail: Value) -> Event {
        Event {
            id: "e".into(),
            source: source.into(),
            detail_type: detail_type.into(),
            account: "123456789012".into(),
            region: "us-east-1".into(),
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
            resources: resources.iter().map(|arn| (*arn).to_owned()).collect(),
            detail,
        }
    }

    /// What it says, in one line; empty where it says nothing.
    fn line(event: &Event) -> String {
        let said = read(event);
        let Said::DeploymentMoved(DeploymentMove { region, place, id, state }) = said else {
            assert_eq!(said, Said::Nothing);
            return String::new();
        };
        match place {
            DeploymentPlace::Service { cluster, service } => {
                format!("{region} {} {service} {id} {state:?}", cluster.as_deref().unwrap_or("?"))
            }
            DeploymentPlace::Group(group) => {
                format!("{region} {} {} {id} {state:?}", group.application, group.deployment_group)
            }
        }
    }

    const LONG: &str = "arn:aws:ecs:us-east-1:123456789012:service/shop/web";
    const SHORT: &str = "arn:aws:ecs:us-east-1:123456789012:service/web";

    #[test]
    fn a_deployment_of_a_service_says_where_it_stands_or_nothing() {
        let detail = || json!({ "eventType": "INFO", "eventName": "SERVICE_DEPLOYMENT_COMPLETED", "deploymentId": "ecs-svc/1", "reason": "done" });
        let with = |field: &str, value: Value| {
            let mut detail = detail();
            detail[field] = value;
            detail
        };
        let cluster = json!("arn:aws:ecs:us-east-1:123456789012:cluster/shop");
        #[rustfmt::skip]
        let cases: [(&[&str], Value, &str, &str); 19] = [
            (&[LONG],  detail(),                                                  "us-east-1 shop web ecs-svc/1 Succeeded", "the new ARN names the cluster"),
            (&[SHORT], detail(),                                                  "us-east-1 ? web ecs-svc/1 Succeeded",    "the old one does not"),
            (&[SHORT], with("clusterArn", cluster.clone()),                       "us-east-1 shop web ecs-svc/1 Succeeded", "but the detail may"),
            (&[SHORT], with("clusterArn", json!("shop")),                         "us-east-1 ? web ecs-svc/1 Succeeded",    "no ARN of a cluster"),
            (&[SHORT], with("clusterArn", json!(null)),                           "us-east-1 ? web ecs-svc/1 Succeeded",    "none"),
            (&["arn:aws:ecs:us-east-1:123456789012:service/other/web"], with("clusterArn", cluster), "us-east-1 other web ecs-svc/1 Succeeded", "the service's own ARN counts"),
            (&[LONG],  with("eventName", json!("SERVICE_DEPLOYMENT_IN_PROGRESS")), "us-east-1 shop web ecs-svc/1 Started",   "it has begun"),
            (&[LONG],  with("eventName", json!("SERVICE_DEPLOYMENT_FAILED")),      "us-east-1 shop web ecs-svc/1 Failed",    "the circuit breaker"),
            (&[LONG],  with("eventName", json!("SERVICE_STEADY_STATE")),           "",                                       "no event of a deployment"),
            (&[LONG],  with("eventName", json!(null)),                             "",                                       "no name"),
            (&[LONG],  with("deploymentId", json!(7)),                             "",                                       "no id"),
            (&[LONG],  with("deploymentId", json!("")),                            "",                                       "an empty one"),
            (&[LONG],  json!(null),                                                "",                                       "no detail"),
            (&[],      detail(),                                                   "",                                       "no service"),
            (&["arn:aws:ecs:us-east-1:123456789012:cluster/shop"], detail(),       "",                                       "a cluster"),
            (&["arn:aws:iam::123456789012:service/web"], detail(),                 "",                                       "another's service"),
            (&["arn:aws:ecs:us-east-1:123456789012:service/"], detail(),           "",                                       "a service without a name"),
            (&["arn:aws:ecs:us-east-1:123456789012:service//web"], detail(),       "",                                       "a cluster without a name"),
            (&["arn:aws:ecs:us-east-1:123456789012:service/a/b/c"], detail(),      "",                                       "no form of an ARN"),
        ];
        for (resources, detail, expected, why) in cases {
            assert_eq!(line(&event("aws.ecs", "ECS Deployment State Change", resources, detail)), expected, "{why}");
        }
    }

    #[test]
    fn a_deployment_of_a_group_says_where_it_stands_or_nothing() {
        let detail = |field: &str, value: Value| {
            let mut detail = json!({
                "application": "shop", "deploymentGroup": "web", "deploymentId": "d-1", "region": "us-east-1",
                "instanceGroupId": "1", "state": "START",
            });
            detail[field] = value;
            detail
        };
        #[rustfmt::skip]
        let cases = [
            (detail("state", json!("START")),        "us-east-1 shop web d-1 Started",   "it has begun"),
            (detail("state", json!("READY")),        "us-east-1 shop web d-1 Started",   "it waits for its traffic"),
            (detail("state", json!("SUCCESS")),      "us-east-1 shop web d-1 Succeeded", "it ended well"),
            (detail("state", json!("FAILURE")),      "us-east-1 shop web d-1 Failed",    "it ended badly"),
            (detail("state", json!("STOP")),         "us-east-1 shop web d-1 Stopped",   "somebody stopped it"),
            (detail("state", json!("PAUSED")),       "",                                 "a state that we do not know"),
            (detail("state", json!(["START"])),      "",                                 "of another shape"),
            (detail("region", json!("eu-west-2")),   "us-east-1 shop web d-1 Started",   "the envelope's region counts"),
            (detail("application", json!("")),       "",                                 "no application"),
            (detail("deploymentGroup", json!(null)), "",                                 "no group"),
            (detail("deploymentId", json!(null)),    "",                                 "no id"),
            (json!([]),                              "",                                 "of another shape altogether"),
        ];
        for (detail, expected, why) in cases {
            let event = event("aws.codedeploy", "CodeDeploy Deployment State-change Notification", &[], detail);
            assert_eq!(line(&event), expected, "{why}");
        }
    }

    #[test]
    fn a_deployment_is_of_the_entry_that_names_its_place() {
        let deploy = |region: &str, ecs: Option<(&str, &str)>, group: Option<(&str, &str)>| Deploy {
            region: region.into(),
            pipeline: "shop".into(),
            stage: "Deploy".into(),
            pipeline_region: None,
            ecs: ecs.map(|(cluster, service)| EcsService { cluster: cluster.into(), service: service.into() }),
            codedeploy: group.map(|(application, group)| DeploymentGroup {
                application: application.into(),
                deployment_group: group.into(),
            }),
        };
        let moved = |place| DeploymentMove {
            region: "us-east-1".into(),
            place,
            id: "1".into(),
            state: DeploymentState::Started,
        };
        let service = |cluster: Option<&str>| {
            moved(DeploymentPlace::Service { cluster: cluster.map(str::to_owned), service: "web".into() })
        };
        let group = moved(DeploymentPlace::Group(DeploymentGroup {
            application: "shop".into(),
            deployment_group: "web".into(),
        }));
        #[rustfmt::skip]
        let cases = [
            (service(Some("shop")), deploy("us-east-1", Some(("shop", "web")), None),  true,  "its service"),
            (service(None),         deploy("us-east-1", Some(("shop", "web")), None),  true,  "its cluster is not named"),
            (service(Some("blog")), deploy("us-east-1", Some(("shop", "web")), None),  false, "another cluster's"),
            (service(None),         deploy("us-east-1", Some(("shop", "api")), None),  false, "another service"),
            (service(Some("shop")), deploy("eu-west-2", Some(("shop", "web")), None),  false, "another region"),
            (service(Some("shop")), deploy("us-east-1", None, Some(("shop", "web"))),  false, "a group of that name"),
            (service(Some("shop")), deploy("us-east-1", None, None),                   false, "nothing is named"),
            (group.clone(),         deploy("us-east-1", None, Some(("shop", "web"))),  true,  "its group"),
            (group.clone(),         deploy("us-east-1", None, Some(("shop", "api"))),  false, "another group"),
            (group,                 deploy("us-east-1", Some(("shop", "web")), None),  false, "a service of that name"),
        ];
        for (moved, deploy, expected, why) in cases {
            assert_eq!(moved.is_of(&deploy), expected, "{why}");
        }
    }
}
