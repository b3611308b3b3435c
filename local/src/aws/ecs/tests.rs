//! Scenarios: services driven through the API under a paused clock, their events caught in a queue.

mod outside;

use crate::aws::{Aws, Behaviour, Pace, Service as _};
use crate::clock::Clock;
use crate::faults::Faults;
use serde_json::{Value, json};
use std::time::Duration;

const HOME: &str = "eu-west-2";
const QUEUE: &str = "https://sqs.eu-west-2.amazonaws.com/123456789012/events";

/// An account whose ECS events end in a queue.
fn account(behaviour: Behaviour) -> Aws {
    let start = "2026-08-31T12:00:00Z".parse().unwrap();
    let aws = Aws::new(Clock::starting_at(start), behaviour, Faults::none(), 1).unwrap();
    aws.ask("sqs", HOME, "CreateQueue", json!({ "QueueName": "events" })).unwrap();
    let pattern = json!({ "source": ["aws.ecs"] }).to_string();
    aws.ask("events", HOME, "PutRule", json!({ "Name": "ecs", "EventPattern": pattern })).unwrap();
    let target = json!({ "Id": "queue", "Arn": "arn:aws:sqs:eu-west-2:123456789012:events" });
    aws.ask("events", HOME, "PutTargets", json!({ "Rule": "ecs", "Targets": [target] })).unwrap();
    aws
}

fn ask(aws: &Aws, operation: &str, input: Value) -> Value {
    aws.ask("ecs", HOME, operation, input).unwrap()
}

fn refusal(aws: &Aws, operation: &str, input: Value) -> String {
    aws.ask("ecs", HOME, operation, input).unwrap_err().code
}

async fn pass(aws: &Aws, milliseconds: u64) {
    tokio::select! {
        () = aws.run() => {}
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {}
    }
}

/// The names of the events so far, each with the number of its deployment's revision, taken from the queue.
async fn events(aws: &Aws) -> Vec<(String, String)> {
    pass(aws, 200).await;
    let mut events = Vec::new();
    loop {
        let input = json!({ "QueueUrl": QUEUE, "MaxNumberOfMessages": 10 });
        let answer = aws.ask("sqs", HOME, "ReceiveMessage", input).unwrap();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        if messages.is_empty() {
            return events;
        }
        for message in messages {
            let taken = json!({ "QueueUrl": QUEUE, "ReceiptHandle": message["ReceiptHandle"] });
            aws.ask("sqs", HOME, "DeleteMessage", taken).unwrap();
            let event: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            let name = event["detail"]["eventName"].as_str().unwrap().to_owned();
            events.push((name, event["detail"]["deploymentId"].as_str().unwrap_or_default().to_owned()));
        }
    }
}

fn register(aws: &Aws, image: &str, tags: Value) -> String {
    let input = json!({
        "family": "shop", "containerDefinitions": [
            { "name": "proxy", "image": "proxy:1", "memory": 64, "essential": false },
            { "name": "app", "image": image, "memory": 512 },
        ],
        "tags": tags,
    });
    ask(aws, "RegisterTaskDefinition", input)["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
}

const FAIL: &str = "local:deploy";

/// A cluster with a service of `desired` tasks that is steady.
async fn steady(aws: &Aws, desired: u64, configuration: Value) -> Value {
    ask(aws, "CreateCluster", json!({ "clusterName": "main" }));
    let definition = register(aws, "shop:1", json!([]));
    let input = json!({
        "cluster": "main", "serviceName": "shop", "taskDefinition": definition, "desiredCount": desired,
        "deploymentConfiguration": configuration,
    });
    ask(aws, "CreateService", input);
    pass(aws, 70_000).await;
    events(aws).await;
    service(aws)
}

fn service(aws: &Aws) -> Value {
    ask(aws, "DescribeServices", json!({ "cluster": "main", "services": ["shop"] }))["services"][0].clone()
}

fn update(aws: &Aws, definition: &str) -> Value {
    let input = json!({ "cluster": "main", "service": "shop", "taskDefinition": definition });
    ask(aws, "UpdateService", input)["service"].clone()
}

/// The newest service deployment.
fn rolling(aws: &Aws) -> Value {
    let listed = ask(aws, "ListServiceDeployments", json!({ "cluster": "main", "service": "shop" }));
    let arn = listed["serviceDeployments"][0]["serviceDeploymentArn"].clone();
    ask(aws, "DescribeServiceDeployments", json!({ "serviceDeploymentArns": [arn] }))["serviceDeployments"][0].clone()
}

fn id(service: &Value) -> String {
    service["deployments"][0]["id"].as_str().unwrap().to_owned()
}

fn breaker(rollback: bool) -> Value {
    json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": rollback } })
}

#[tokio::test(start_paused = true)]
async fn a_rolling_deployment_replaces_the_tasks_step_by_step() {
    let aws = account(Behaviour { pace: Pace::Real, ..Behaviour::default() });
    let before = steady(&aws, 2, json!({})).await;
    assert_eq!(before["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(before["deployments"][0]["rolloutState"], "COMPLETED");
    let updated = update(&aws, &register(&aws, "shop:2", json!([])));
    assert_eq!(updated["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert_eq!(rolling(&aws)["status"], "PENDING");
    let counts = |aws: &Aws| {
        let shown = service(aws);
        let count = |key: &str| shown[key].as_u64().unwrap();
        (count("runningCount"), count("pendingCount"), shown["deployments"].as_array().unwrap().len())
    };
    #[rustfmt::skip]
    let steps = [
        // after s, running, pending, deployments, status,        why
        (21,        (2,      2,       2),          "IN_PROGRESS", "new ones start beside the old"),
        (20,        (2,      0,       1),          "IN_PROGRESS", "they run, and the old ones are gone"),
        (20,        (2,      0,       1),          "SUCCESSFUL",  "after a minute it is steady"),
    ];
    for (seconds, expected, status, why) in steps {
        pass(&aws, seconds * 1_000).await;
        assert_eq!(counts(&aws), expected, "{why}");
        assert_eq!(rolling(&aws)["status"], status, "{why}");
    }
    let messages: Vec<String> =
        service(&aws)["events"].as_array().unwrap().iter().map(|note| note["message"].to_string()).collect();
    assert!(messages[0].contains("has reached a steady state."), "newest first: {messages:?}");
    assert!(messages[1].contains("deployment completed."), "{messages:?}");
    let names: Vec<String> = events(&aws).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_STEADY_STATE"]);
}

#[tokio::test(start_paused = true)]
async fn the_fast_pace_takes_about_a_third_of_a_second() {
    let aws = account(Behaviour::default());
    ask(&aws, "CreateCluster", json!({}));
    let input = json!({ "serviceName": "shop", "taskDefinition": register(&aws, "a", json!([])), "desiredCount": 3 });
    ask(&aws, "CreateService", input);
    let state = |aws: &Aws| {
        let services = ask(aws, "DescribeServices", json!({ "services": ["shop"] }))["services"].clone();
        services[0]["deployments"][0]["rolloutState"].clone()
    };
    pass(&aws, 290).await;
    assert_eq!(state(&aws), "IN_PROGRESS");
    pass(&aws, 20).await;
    assert_eq!(state(&aws), "COMPLETED");
}

#[tokio::test(start_paused = true)]
async fn the_circuit_breaker_goes_back_to_what_was_completed_last() {
    let aws = account(Behaviour { pace: Pace::Real, ..Behaviour::default() });
    let before = steady(&aws, 1, breaker(true)).await;
    let bad = register(&aws, "shop:2", json!([{ "key": FAIL, "value": "fail" }]));
    let failing = update(&aws, &bad);
    pass(&aws, 55_000).await;
    assert_eq!(service(&aws)["deployments"][0]["failedTasks"], 2, "two of three tries");
    pass(&aws, 10_000).await;
    let shown = service(&aws);
    assert_eq!(shown["taskDefinition"], before["taskDefinition"]);
    assert_eq!(id(&shown), id(&before), "the old deployment is primary again, under its own number");
    let expected = format!("ECS deployment circuit breaker: rolling back to deploymentId {}.", id(&before));
    assert_eq!(shown["deployments"][0]["rolloutStateReason"], expected);
    assert_eq!(rolling(&aws)["status"], "ROLLBACK_IN_PROGRESS");
    pass(&aws, 60_000).await;
    let ended = rolling(&aws);
    assert_eq!(ended["status"], "ROLLBACK_SUCCESSFUL");
    let breaker = json!({ "status": "TRIGGERED", "failureCount": 3, "threshold": 3 });
    assert_eq!(ended["deploymentCircuitBreaker"], breaker);
    let went_to = ended["rollback"]["serviceRevisionArn"].clone();
    let revision = ask(&aws, "DescribeServiceRevisions", json!({ "serviceRevisionArns": [went_to] }));
    assert_eq!(revision["serviceRevisions"][0]["taskDefinition"], before["taskDefinition"]);
    let told = |name: &str, service: &Value| (name.to_owned(), id(service));
    let expected = [
        told("SERVICE_DEPLOYMENT_IN_PROGRESS", &failing),
        told("SERVICE_DEPLOYMENT_FAILED", &failing),
        told("SERVICE_DEPLOYMENT_IN_PROGRESS", &before),
        told("SERVICE_DEPLOYMENT_COMPLETED", &before),
        ("SERVICE_STEADY_STATE".to_owned(), String::new()),
    ];
    assert_eq!(events(&aws).await, expected, "a completed deployment may be a rollback's");
}

#[tokio::test(start_paused = true)]
async fn a_failing_deployment_ends_as_it_is_configured() {
    #[rustfmt::skip]
    let cases = [
        // configuration,   good ones before, status,            rollout,       why
        (breaker(false),    true,             "STOPPED",         "FAILED",      "a circuit breaker without rollback"),
        (breaker(true),     false,            "ROLLBACK_FAILED", "FAILED",      "nothing to go back to"),
        (json!({}),         true,             "IN_PROGRESS",     "IN_PROGRESS", "no circuit breaker: it goes on trying"),
    ];
    for (configuration, has_good_one, status, rollout, why) in cases {
        let aws = account(Behaviour::default());
        if has_good_one {
            steady(&aws, 2, configuration).await;
            update(&aws, &register(&aws, "shop:2", json!([{ "key": FAIL, "value": "fail" }])));
        } else {
            ask(&aws, "CreateCluster", json!({ "clusterName": "main" }));
            let input = json!({
                "cluster": "main", "serviceName": "shop", "taskDefinition": register(&aws, "shop:1", json!([])),
                "desiredCount": 2, "deploymentConfiguration": configuration,
                "tags": [{ "key": FAIL, "value": "fail" }],
            });
            ask(&aws, "CreateService", input);
        }
        pass(&aws, 30_000).await;
        assert_eq!(rolling(&aws)["status"], status, "{why}");
        let shown = service(&aws);
        assert_eq!(shown["deployments"][0]["rolloutState"], rollout, "{why}");
        assert!(shown["deployments"][0]["failedTasks"].as_u64().unwrap() >= 3, "{why}");
        assert_eq!(shown["runningCount"], if has_good_one { 2 } else { 0 }, "{why}: the old tasks run on");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_ends_as_it_was_asked() {
    #[rustfmt::skip]
    let cases = [
        // stop type,       at first,             in the end,            goes back, why
        (json!("ROLLBACK"), "ROLLBACK_REQUESTED", "ROLLBACK_SUCCESSFUL", true,      "asked for"),
        (Value::Null,       "ROLLBACK_REQUESTED", "ROLLBACK_SUCCESSFUL", true,      "the default"),
        (json!("ABORT"),    "STOP_REQUESTED",     "STOPPED",             false,     "it stays where it is"),
    ];
    for (stop_type, at_first, in_the_end, goes_back, why) in cases {
        let aws = account(Behaviour::default());
        let before = steady(&aws, 2, json!({})).await;
        update(&aws, &register(&aws, "shop:2", json!([])));
        pass(&aws, 120).await;
        let mut input = json!({ "serviceDeploymentArn": rolling(&aws)["serviceDeploymentArn"] });
        if !stop_type.is_null() {
            input["stopType"] = stop_type;
        }
        ask(&aws, "StopServiceDeployment", input.clone());
        assert_eq!(rolling(&aws)["status"], at_first, "{why}");
        ask(&aws, "StopServiceDeployment", input.clone());
        pass(&aws, 1_000).await;
        assert_eq!(rolling(&aws)["status"], in_the_end, "{why}");
        let is_back = service(&aws)["taskDefinition"] == before["taskDefinition"];
        assert_eq!(is_back, goes_back, "{why}");
        assert_eq!(refusal(&aws, "StopServiceDeployment", input), "ConflictException", "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_ends_where_the_next_begins() {
    let aws = account(Behaviour::default());
    steady(&aws, 2, json!({})).await;
    update(&aws, &register(&aws, "shop:2", json!([])));
    pass(&aws, 120).await;
    let second = rolling(&aws)["serviceDeploymentArn"].clone();
    let third = register(&aws, "shop:3", json!([]));
    update(&aws, &third);
    let stopped = ask(&aws, "DescribeServiceDeployments", json!({ "serviceDeploymentArns": [second] }));
    assert_eq!(stopped["serviceDeployments"][0]["status"], "STOPPED");
    assert_eq!(rolling(&aws)["sourceServiceRevisions"].as_array().unwrap().len(), 2);
    pass(&aws, 1_000).await;
    assert_eq!(rolling(&aws)["status"], "SUCCESSFUL");
    assert_eq!(service(&aws)["taskDefinition"], third);
    assert_eq!(service(&aws)["runningCount"], 2);
    let tasks = ask(&aws, "ListTasks", json!({ "cluster": "main" }))["taskArns"].clone();
    let tasks = ask(&aws, "DescribeTasks", json!({ "cluster": "main", "tasks": tasks }))["tasks"].clone();
    assert!(tasks.as_array().unwrap().iter().all(|task| task["taskDefinitionArn"] == third), "{tasks}");
}

#[tokio::test(start_paused = true)]
async fn scaling_is_no_deployment() {
    let aws = account(Behaviour::default());
    steady(&aws, 2, json!({})).await;
    let scale = |count: u64| json!({ "cluster": "main", "service": "shop", "desiredCount": count });
    for count in [5, 1, 0] {
        ask(&aws, "UpdateService", scale(count));
        pass(&aws, 1_000).await;
        assert_eq!(service(&aws)["runningCount"], count);
    }
    let listed = ask(&aws, "ListServiceDeployments", json!({ "cluster": "main", "service": "shop" }));
    assert_eq!(listed["serviceDeployments"].as_array().unwrap().len(), 1);
    let names: Vec<String> = events(&aws).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["SERVICE_STEADY_STATE"; 3]);
}

#[tokio::test(start_paused = true)]
async fn task_sets_are_scaled_and_one_is_primary() {
    let aws = account(Behaviour::default());
    ask(&aws, "CreateCluster", json!({ "clusterName": "main" }));
    let input = json!({
        "cluster": "main", "serviceName": "shop", "taskDefinition": register(&aws, "shop:1", json!([])),
        "desiredCount": 3, "deploymentController": { "type": "CODE_DEPLOY" },
    });
    ask(&aws, "CreateService", input);
    pass(&aws, 400).await;
    let blue = service(&aws)["taskSets"][0].clone();
    assert_eq!(blue["status"], "PRIMARY");
    assert_eq!((&blue["runningCount"], &blue["stabilityStatus"]), (&json!(3), &json!("STEADY_STATE")));
    let second = register(&aws, "shop:2", json!([]));
    let refused = aws.ask(
        "ecs",
        HOME,
        "UpdateService",
        json!({ "cluster": "main", "service": "shop", "taskDefinition": second }),
    );
    let expected = "Unable to update task definition on services with a CODE_DEPLOY deployment controller. \
                    Use AWS CodeDeploy to trigger a new deployment.";
    assert_eq!(refused.unwrap_err().message, expected);
    let set = |extra: Value| {
        let mut input = json!({ "cluster": "main", "service": "shop" });
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        input
    };
    let percent = |value: f64| json!({ "value": value, "unit": "PERCENT" });
    let input = set(json!({ "taskDefinition": second, "externalId": "d-1", "scale": percent(50.0) }));
    let green = ask(&aws, "CreateTaskSet", input)["taskSet"].clone();
    assert_eq!((&green["status"], &green["computedDesiredCount"]), (&json!("ACTIVE"), &json!(2)), "rounded up");
    assert_eq!((&green["startedBy"], &green["stabilityStatus"]), (&json!("CODE_DEPLOY"), &json!("STABILIZING")));
    ask(&aws, "UpdateTaskSet", set(json!({ "taskSet": green["id"], "scale": percent(100.0) })));
    pass(&aws, 400).await;
    ask(&aws, "UpdateServicePrimaryTaskSet", set(json!({ "primaryTaskSet": green["taskSetArn"] })));
    let shown = service(&aws);
    assert_eq!(shown["taskDefinition"], second);
    assert_eq!(shown["runningCount"], 6, "both are there");
    let delete = set(json!({ "taskSet": blue["id"] }));
    assert_eq!(refusal(&aws, "DeleteTaskSet", delete), "InvalidParameterException", "it is scaled above 0");
    let deleted = ask(&aws, "DeleteTaskSet", set(json!({ "taskSet": blue["id"], "force": true })));
    assert_eq!(deleted["taskSet"]["status"], "DRAINING");
    pass(&aws, 400).await;
    let left = ask(&aws, "DescribeTaskSets", set(json!({})))["taskSets"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!((&left[0]["status"], &left[0]["runningCount"]), (&json!("PRIMARY"), &json!(3)));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_those_of_ecs() {
    let aws = account(Behaviour::default());
    steady(&aws, 1, json!({})).await;
    let create = |extra: Value| {
        let mut input =
            json!({ "cluster": "main", "serviceName": "other", "taskDefinition": "shop", "desiredCount": 1 });
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        input
    };
    #[rustfmt::skip]
    let cases = [
        ("CreateService", create(json!({ "serviceName": "shop" })),              "InvalidParameterException"),
        ("CreateService", create(json!({ "cluster": "nobody" })),                "ClusterNotFoundException"),
        ("CreateService", create(json!({ "taskDefinition": "nobody" })),         "ClientException"),
        ("CreateService", create(json!({ "launchType": "FARGATE" })),            "InvalidParameterException"),
        ("CreateService", create(json!({ "schedulingStrategy": "DAEMON" })),     "NotEmulated"),
        ("UpdateService", json!({ "cluster": "main", "service": "nobody" }),     "ServiceNotFoundException"),
        ("UpdateService", json!({ "cluster": "main", "service": "shop", "desiredCount": -1 }), "InvalidParameterException"),
        ("DeleteService", json!({ "cluster": "main", "service": "shop" }),       "InvalidParameterException"),
        ("DeleteCluster", json!({ "cluster": "main" }),                          "ClusterContainsServicesException"),
        ("CreateTaskSet", json!({ "cluster": "main", "service": "shop", "taskDefinition": "shop" }), "InvalidParameterException"),
        ("RunTask",       json!({}),                                             "NotEmulated"),
    ];
    for (operation, input, code) in cases {
        assert_eq!(refusal(&aws, operation, input.clone()), code, "{operation} {input}");
    }
}
