//! What CodePipeline's action CodeDeployToECS does: a revision of the task definition with the new image, and a
//! deployment of it.

use super::create::{self, Order};
use super::state::{Application, Group};
use super::{CodeDeploy, ecs, input, revisions};
use crate::aws::{ACCOUNT, Aws, Failure};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a pipeline asks of a deployment.
pub(crate) struct PipelineDeploy {
    /// Comes back with the deployment's end, as the id of a `WorkEnd`.
    pub(crate) key: String,
    pub(crate) application: String,
    pub(crate) group: String,
    /// The image that the first container of the service gets.
    pub(crate) image: String,
    /// Ends badly, whatever the application's tag says.
    pub(crate) fails: bool,
    /// Takes this long to install, whatever the application's tag says.
    pub(crate) takes: Option<SignedDuration>,
}

/// Members of a task definition that RegisterTaskDefinition does not take.
const READ_ONLY: [&str; 9] = [
    "compatibilities",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
    "deleteRequestedAt",
];

impl CodeDeploy {
    /// Registers a revision of the task definition that the group's service runs, with the image, and creates a
    /// deployment of it. Answers with the deployment's id. Its end is told by `CodePipeline::work_ended`, once.
    ///
    /// # Errors
    /// As CreateDeployment and RegisterTaskDefinition. What does not exist is made unless the account is strict.
    pub(crate) fn deploy_for_pipeline(
        &self,
        aws: &Aws,
        region: &str,
        wanted: PipelineDeploy,
    ) -> Result<String, Failure> {
        let now = aws.clock().now();
        let (cluster, service) = self.service_of(aws, region, &wanted)?;
        let running = running(aws, region, &cluster, &service)?;
        let container = running["containerDefinitions"][0].clone();
        let arn = register(aws, region, running, &wanted.image)?;
        let port = container["portMappings"][0]["containerPort"].as_i64().unwrap_or(80);
        let content = json!({
            "version": 0.0,
            "Resources": [{ "TargetService": { "Type": "AWS::ECS::Service", "Properties": {
                "TaskDefinition": arn,
                "LoadBalancerInfo": { "ContainerName": container["name"], "ContainerPort": port },
            } } }],
        });
        let revision = json!({
            "revisionType": "AppSpecContent", "appSpecContent": { "content": content.to_string() },
        });
        let order = Order {
            application: wanted.application,
            group: wanted.group,
            revision: revisions::read(&revision)?,
            config: None,
            description: None,
            auto_rollback: None,
            override_alarms: None,
            fails: wanted.fails,
            takes: wanted.takes,
            key: Some(wanted.key),
        };
        let id = self.with(region, |here| create::begin(here, aws, region, order, now))?;
        aws.poke();
        Ok(id)
    }

    /// The cluster and the service of a group; the group is made on first use unless the account is strict.
    fn service_of(&self, aws: &Aws, region: &str, wanted: &PipelineDeploy) -> Result<(String, String), Failure> {
        let PipelineDeploy { application, group, .. } = wanted;
        let known = self.with(region, |here| {
            let Some(found) = here.applications.get(application) else {
                return Err(input::no_application(application));
            };
            let Some(group) = found.groups.get(group) else { return Err(input::no_group(group)) };
            let service = group.settings.get("ecsServices").map(|services| services[0].clone()).unwrap_or_default();
            let text = |key: &str| service[key].as_str().unwrap_or_default().to_owned();
            Ok((text("clusterName"), text("serviceName")))
        });
        if known.is_ok() || aws.behaviour().strict {
            return known;
        }
        self.provide(aws, region, application, group)?;
        Ok((application.clone(), application.clone()))
    }

    /// Makes an application, a group and the service that it deploys to, where they are not there yet.
    pub(crate) fn provide(&self, aws: &Aws, region: &str, application: &str, group: &str) -> Result<(), Failure> {
        make_service(aws, region, application)?;
        let now = aws.clock().now();
        self.with(region, |here| {
            let made = || Application::new(aws, "ECS", now);
            let settings = made_on_first_use(region, application);
            let application = here.applications.entry(application.to_owned()).or_insert_with(made);
            application.groups.entry(group.to_owned()).or_insert_with(|| Group::new(aws, settings, BTreeMap::new()));
        });
        Ok(())
    }
}

/// The settings of a group that nobody made: the service of the application's name in the cluster of that name.
fn made_on_first_use(region: &str, application: &str) -> Map<String, Value> {
    let listener = format!(
        "arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:listener/app/{application}/0123456789abcdef/0123456789abcdef"
    );
    let settings = json!({
        "deploymentConfigName": super::configs::ECS_DEFAULT,
        "serviceRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/codedeploy"),
        "deploymentStyle": { "deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL" },
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 0 },
            "deploymentReadyOption": { "actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0 },
        },
        "loadBalancerInfo": { "targetGroupPairInfoList": [{
            "targetGroups": [{ "name": format!("{application}-1") }, { "name": format!("{application}-2") }],
            "prodTrafficRoute": { "listenerArns": [listener] },
        }] },
        "ecsServices": [{ "clusterName": application, "serviceName": application }],
    });
    settings.as_object().cloned().unwrap_or_default()
}

/// Makes the cluster, the task definition and the service of an application's name, unless they are there.
fn make_service(aws: &Aws, region: &str, name: &str) -> Result<(), Failure> {
    if ecs::describe(aws, region, name, name).is_ok() {
        return Ok(());
    }
    aws.ask("ecs", region, "CreateCluster", json!({ "clusterName": name }))?;
    let container = json!({
        "name": name, "image": format!("{name}:latest"), "essential": true, "portMappings": [{ "containerPort": 80 }],
        "cpu": 256, "memory": 512,
    });
    let definition = json!({
        "family": name, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [container],
    });
    aws.ask("ecs", region, "RegisterTaskDefinition", definition)?;
    let suffix = &crate::aws::codebuild::hex_sha256(&format!("{name}-1"))[..16];
    let target_group = format!("arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:targetgroup/{name}-1/{suffix}");
    let network = json!({ "awsvpcConfiguration": { "subnets": ["subnet-0123456789abcdef0"] } });
    let service = json!({
        "cluster": name, "serviceName": name, "taskDefinition": name, "desiredCount": 1, "launchType": "FARGATE",
        "deploymentController": { "type": "CODE_DEPLOY" }, "networkConfiguration": network,
        "loadBalancers": [{ "targetGroupArn": target_group, "containerName": name, "containerPort": 80 }],
    });
    aws.ask("ecs", region, "CreateService", service).map(|_| ())
}

/// The task definition that a service runs: that of its primary task set.
fn running(aws: &Aws, region: &str, cluster: &str, service: &str) -> Result<Value, Failure> {
    let refuse = |cause: String| input::refused("InvalidECSServiceException", cause);
    let found = ecs::describe(aws, region, cluster, service).map_err(refuse)?;
    let sets = found["taskSets"].as_array().into_iter().flatten();
    let primary = sets.into_iter().find(|set| set["status"] == "PRIMARY").unwrap_or(&found);
    let input = json!({ "taskDefinition": primary["taskDefinition"] });
    aws.ask("ecs", region, "DescribeTaskDefinition", input).map(|answer| answer["taskDefinition"].clone())
}

/// Registers the next revision of a task definition, with another image; answers with its ARN.
fn register(aws: &Aws, region: &str, mut definition: Value, image: &str) -> Result<String, Failure> {
    if let Some(members) = definition.as_object_mut() {
        members.retain(|key, _| !READ_ONLY.contains(&key.as_str()));
    }
    if definition["containerDefinitions"][0].is_object() {
        definition["containerDefinitions"][0]["image"] = json!(image);
    }
    let made = aws.ask("ecs", region, "RegisterTaskDefinition", definition)?;
    Ok(made["taskDefinition"]["taskDefinitionArn"].as_str().unwrap_or_default().to_owned())
}
