//! Scenarios under a paused clock, with the account's own ECS and alarms.

mod deployments;
mod endings;
mod pipelines;
mod rules;

use crate::aws::{ACCOUNT, Aws, Behaviour, Pace, sqs};
use crate::clock::Clock;
use crate::faults::Faults;
use serde_json::{Value, json};
use std::time::Duration;

const HOME: &str = "us-east-1";

fn account(pace: Pace) -> Aws {
    account_with(Behaviour { pace, ..Behaviour::default() })
}

fn account_with(behaviour: Behaviour) -> Aws {
    let start = "2026-08-31T12:00:00Z".parse().unwrap();
    Aws::new(Clock::starting_at(start), behaviour, Faults::none(), 1).unwrap()
}

fn ask(aws: &Aws, operation: &str, input: Value) -> Value {
    aws.ask("codedeploy", HOME, operation, input).unwrap()
}

fn refusal(aws: &Aws, operation: &str, input: Value) -> String {
    aws.ask("codedeploy", HOME, operation, input).unwrap_err().code
}

fn ecs(aws: &Aws, operation: &str, input: Value) -> Value {
    aws.ask("ecs", HOME, operation, input).unwrap()
}

async fn pass(aws: &Aws, time: Duration) {
    tokio::select! {
        biased;
        () = aws.run() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Registers a revision of the task definition `web`; answers with its ARN.
fn definition(aws: &Aws, image: &str) -> String {
    let container = json!({ "name": "web", "image": image, "memory": 512, "portMappings": [{ "containerPort": 80 }] });
    let made = ecs(aws, "RegisterTaskDefinition", json!({ "family": "web", "containerDefinitions": [container] }));
    made["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
}

/// A group as it is created: `shop/web` on the service `web` of the cluster `shop`.
fn group(config: &str) -> Value {
    let listener = format!("arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:listener/app/shop/1/2");
    let test = format!("arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:listener/app/shop/1/3");
    json!({
        "applicationName": "shop",
        "deploymentGroupName": "web",
        "deploymentConfigName": config,
        "serviceRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/deploy"),
        "deploymentStyle": { "deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL" },
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 5 },
            "deploymentReadyOption": { "actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0 },
        },
        "loadBalancerInfo": { "targetGroupPairInfoList": [{
            "targetGroups": [{ "name": "one" }, { "name": "two" }],
            "prodTrafficRoute": { "listenerArns": [listener] },
            "testTrafficRoute": { "listenerArns": [test] },
        }] },
        "ecsServices": [{ "clusterName": "shop", "serviceName": "web" }],
        "autoRollbackConfiguration": {
            "enabled": true, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"],
        },
    })
}

/// A service that runs, and an application with this group.
async fn stage(aws: &Aws, group: Value) {
    ecs(aws, "CreateCluster", json!({ "clusterName": "shop" }));
    let target_group = format!("arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:targetgroup/one/0123456789abcdef");
    ecs(
        aws,
        "CreateService",
        json!({
            "cluster": "shop", "serviceName": "web", "taskDefinition": definition(aws, "web:1"), "desiredCount": 2,
            "deploymentController": { "type": "CODE_DEPLOY" },
            "loadBalancers": [{ "targetGroupArn": target_group, "containerName": "web", "containerPort": 80 }],
        }),
    );
    ask(aws, "CreateApplication", json!({ "applicationName": "shop", "computePlatform": "ECS" }));
    ask(aws, "CreateDeploymentGroup", group);
    // The service comes up.
    pass(aws, Duration::from_mins(10)).await;
}

/// The input of CreateDeployment for a new revision of `web`.
fn order(aws: &Aws, image: &str) -> Value {
    let content = json!({ "version": 0, "Resources": [{ "TargetService": {
        "Type": "AWS::ECS::Service",
        "Properties": {
            "TaskDefinition": definition(aws, image),
            "LoadBalancerInfo": { "ContainerName": "web", "ContainerPort": 80 },
        },
    } }] });
    let revision = json!({ "revisionType": "AppSpecContent", "appSpecContent": { "content": content.to_string() } });
    json!({ "applicationName": "shop", "deploymentGroupName": "web", "revision": revision })
}

fn deploy(aws: &Aws, image: &str) -> String {
    let id = ask(aws, "CreateDeployment", order(aws, image))["deploymentId"].clone();
    id.as_str().unwrap().to_owned()
}

fn info(aws: &Aws, id: &str) -> Value {
    ask(aws, "GetDeployment", json!({ "deploymentId": id }))["deploymentInfo"].clone()
}

fn target(aws: &Aws, id: &str) -> Value {
    let input = json!({ "deploymentId": id, "targetId": "shop:web" });
    ask(aws, "GetDeploymentTarget", input)["deploymentTarget"]["ecsTarget"].clone()
}

/// The share of the traffic that green has.
fn green(aws: &Aws, id: &str) -> u64 {
    if info(aws, id)["status"] == "Created" {
        return 0;
    }
    let sets = target(aws, id)["taskSetsInfo"].clone();
    let found = sets.as_array().unwrap().iter().find(|set| set["taskSetLabel"] == "Green").cloned();
    found.map_or(0, |set| set["trafficWeight"].as_f64().unwrap() as u64)
}

/// Lets time pass until `is_so`, second by second.
async fn until(aws: &Aws, what: &str, is_so: impl Fn(&Aws) -> bool) {
    for _ in 0..3_600 {
        if is_so(aws) {
            return;
        }
        pass(aws, Duration::from_secs(1)).await;
    }
    panic!("{what}: not within an hour");
}

/// The states of all lifecycle events, in their order.
fn phases(aws: &Aws, id: &str) -> Vec<String> {
    let events = target(aws, id)["lifecycleEvents"].clone();
    let text = |event: &Value| {
        format!("{} {}", event["lifecycleEventName"].as_str().unwrap(), event["status"].as_str().unwrap())
    };
    events.as_array().unwrap().iter().map(text).collect()
}

/// The statuses of the service's task sets by the images that they run.
fn sets(aws: &Aws) -> Vec<(String, String)> {
    let service =
        ecs(aws, "DescribeServices", json!({ "cluster": "shop", "services": ["web"] }))["services"][0].clone();
    let image = |set: &Value| {
        let input = json!({ "taskDefinition": set["taskDefinition"] });
        let found = ecs(aws, "DescribeTaskDefinition", input);
        found["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap().to_owned()
    };
    let all = service["taskSets"].as_array().cloned().unwrap_or_default();
    all.iter().map(|set| (image(set), set["status"].as_str().unwrap().to_owned())).collect()
}

/// A queue that gets CodeDeploy's events.
fn listen(aws: &Aws) {
    aws.ask("sqs", HOME, "CreateQueue", json!({ "QueueName": "events" })).unwrap();
    let rule = json!({ "Name": "deployments", "EventPattern": r#"{"source":["aws.codedeploy"]}"# });
    aws.ask("events", HOME, "PutRule", rule).unwrap();
    let target = json!({ "Id": "q", "Arn": sqs::arn(HOME, "events") });
    aws.ask("events", HOME, "PutTargets", json!({ "Rule": "deployments", "Targets": [target] })).unwrap();
}

fn heard(aws: &Aws) -> Vec<Value> {
    let input = json!({ "QueueUrl": sqs::url(HOME, "events"), "MaxNumberOfMessages": 10 });
    let answer = aws.ask("sqs", HOME, "ReceiveMessage", input).unwrap();
    let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|each| serde_json::from_str(each["Body"].as_str().unwrap()).unwrap()).collect()
}
