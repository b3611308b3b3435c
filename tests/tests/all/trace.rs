//! The local AWS alone, twice with one seed: every event and every answer, byte for byte.
//!
//! Pipelines wait for approval, deploy to ECS and through CodeDeploy, fail, are tried again and go back; an alarm rings;
//! topics tell queues; and events are doubled, late and lost as the seed says.

use jiff::Timestamp;
use pointsman_local::aws::{ACCOUNT, Aws, Behaviour};
use pointsman_local::clock::Clock;
use pointsman_local::faults::{Faults, Rates};
use pointsman_tests::world::BEGIN;
use serde_json::{Value, json};
use std::time::Duration;

const REGION: &str = "us-east-1";
const EVENTS: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/events";

fn account(seed: u64) -> Aws {
    let rates = Rates {
        event_duplicate: 100,
        event_delay: 200,
        event_never: 50,
        longest_event_delay: Duration::from_secs(30),
        ..Rates::default()
    };
    let clock = Clock::starting_at(Timestamp::from_second(BEGIN).unwrap());
    Aws::new(clock, Behaviour::default(), Faults::seeded(seed, rates), seed).unwrap()
}

fn ask(aws: &Aws, service: &str, operation: &str, input: Value) -> Value {
    aws.ask(service, REGION, operation, input).unwrap_or_else(|failure| json!({ "refused": failure.code }))
}

async fn pass(aws: &Aws, seconds: u64) {
    tokio::select! {
        () = aws.run() => {}
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
    }
}

fn declaration(name: &str, mode: &str) -> Value {
    let action = |name: &str, category: &str, provider: &str, settings: Value, input: Option<&str>| {
        let kind = json!({ "category": category, "owner": "AWS", "provider": provider, "version": "1" });
        let inputs: Vec<Value> = input.map(|name| json!({ "name": name })).into_iter().collect();
        json!({ "name": name, "actionTypeId": kind, "configuration": settings, "inputArtifacts": inputs })
    };
    let connection = format!("arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/1");
    let mut source = action(
        "GitHub",
        "Source",
        "CodeStarSourceConnection",
        json!({ "ConnectionArn": connection, "FullRepositoryId": "acme/shop", "BranchName": "main" }),
        None,
    );
    source["outputArtifacts"] = json!([{ "name": "code" }]);
    let topic = json!({ "NotificationArn": format!("arn:aws:sns:{REGION}:{ACCOUNT}:asked") });
    let ecs = json!({ "ClusterName": name, "ServiceName": name });
    let group = json!({ "ApplicationName": name, "DeploymentGroupName": "blue-green" });
    json!({
        "name": name, "pipelineType": "V2", "executionMode": mode,
        "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/pipeline"),
        "artifactStore": { "type": "S3", "location": "artifacts" },
        "stages": [
            { "name": "Source", "actions": [source] },
            { "name": "Build", "actions": [
                action("Image", "Build", "CodeBuild", json!({ "ProjectName": name }), Some("code")),
            ] },
            { "name": "Approve", "actions": [action("Ask", "Approval", "Manual", topic, None)] },
            { "name": "Deploy", "actions": [action("Service", "Deploy", "ECS", ecs, Some("code"))] },
            { "name": "Shift", "actions": [action("Group", "Deploy", "CodeDeployToECS", group, Some("code"))] },
        ],
    })
}

/// Plays one seed, and writes down whatever can be seen from outside.
async fn play(seed: u64) -> String {
    let aws = account(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut trace = Vec::new();
    ask(&aws, "sqs", "CreateQueue", json!({ "QueueName": "events" }));
    let pattern = json!({ "account": [ACCOUNT] }).to_string();
    ask(&aws, "events", "PutRule", json!({ "Name": "all", "EventPattern": pattern }));
    let queue = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:events");
    ask(&aws, "events", "PutTargets", json!({ "Rule": "all", "Targets": [{ "Id": "1", "Arn": queue }] }));
    let topic = ask(&aws, "sns", "CreateTopic", json!({ "Name": "asked" }))["TopicArn"].clone();
    for (protocol, endpoint) in [("sqs", queue.as_str()), ("email", "ada@example.com")] {
        let subscription = json!({ "TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint });
        ask(&aws, "sns", "Subscribe", subscription);
    }
    let alarm = json!({
        "AlarmName": "errors", "Namespace": "shop", "MetricName": "errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
    });
    ask(&aws, "monitoring", "PutMetricAlarm", alarm);
    let names = [("web", "SUPERSEDED"), ("music", "QUEUED"), ("tests", "PARALLEL")];
    for (name, mode) in names {
        trace.push(ask(&aws, "codepipeline", "CreatePipeline", json!({ "pipeline": declaration(name, mode) })));
    }
    for _ in 0..120 {
        let (name, _) = names[random.usize(..names.len())];
        trace.push(act(&aws, name, &mut random));
        pass(&aws, random.u64(..4)).await;
    }
    pass(&aws, 120).await;
    for (name, _) in names {
        for operation in ["ListPipelineExecutions", "ListActionExecutions"] {
            trace.push(ask(&aws, "codepipeline", operation, json!({ "pipelineName": name })));
        }
    }
    loop {
        let input = json!({ "QueueUrl": EVENTS, "MaxNumberOfMessages": 10, "VisibilityTimeout": 600 });
        let messages = ask(&aws, "sqs", "ReceiveMessage", input);
        if messages.get("Messages").is_none() {
            break;
        }
        trace.push(messages);
    }
    trace.push(json!(aws.sns().mail().len()));
    trace.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

/// Does one of the things that people and alarms do.
fn act(aws: &Aws, name: &str, random: &mut fastrand::Rng) -> Value {
    let of = |operation: &str, input: Value| ask(aws, "codepipeline", operation, input);
    let list = of("ListPipelineExecutions", json!({ "pipelineName": name }));
    let one = |random: &mut fastrand::Rng| {
        let all = list["pipelineExecutionSummaries"].as_array().map_or(0, Vec::len);
        list["pipelineExecutionSummaries"][random.usize(..all.max(1))]["pipelineExecutionId"].clone()
    };
    match random.u8(..12) {
        0..4 => of("StartPipelineExecution", json!({ "name": name })),
        4..7 => {
            let state = of("GetPipelineState", json!({ "name": name }));
            let token = &state["stageStates"][2]["actionStates"][0]["latestExecution"]["token"];
            let verdict = if random.u8(..4) == 0 { "Rejected" } else { "Approved" };
            let result = json!({ "status": verdict, "summary": "" });
            let input = json!({
                "pipelineName": name, "stageName": "Approve", "actionName": "Ask", "token": token, "result": result,
            });
            of("PutApprovalResult", input)
        }
        7 => {
            let filter = json!({ "succeededInStage": { "stageName": "Deploy" } });
            let good = of("ListPipelineExecutions", json!({ "pipelineName": name, "filter": filter }));
            let last = good["pipelineExecutionSummaries"].as_array().and_then(|all| all.last()).cloned();
            let target = last.unwrap_or_default()["pipelineExecutionId"].clone();
            let input = json!({ "pipelineName": name, "stageName": "Deploy", "targetPipelineExecutionId": target });
            of("RollbackStage", input)
        }
        8 => {
            let id = one(random);
            let input = json!({
                "pipelineName": name, "stageName": "Deploy", "pipelineExecutionId": id, "retryMode": "ALL_ACTIONS",
            });
            of("RetryStageExecution", input)
        }
        9 => of(
            "StopPipelineExecution",
            json!({ "pipelineName": name, "pipelineExecutionId": one(random), "abandon": random.bool() }),
        ),
        10 => {
            let value = if random.bool() { "fail" } else { "" };
            let arn = format!("arn:aws:codepipeline:{REGION}:{ACCOUNT}:{name}");
            let tags = json!([{ "key": "local:Deploy/Service", "value": value }]);
            of("TagResource", json!({ "resourceArn": arn, "tags": tags }))
        }
        _ => {
            let state = if random.bool() { "ALARM" } else { "OK" };
            let input = json!({ "AlarmName": "errors", "StateValue": state, "StateReason": "said so" });
            ask(aws, "monitoring", "SetAlarmState", input)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_history_of_aws() {
    let mut traces = Vec::new();
    for seed in [1, 2] {
        let (once, again) = (play(seed).await, play(seed).await);
        assert!(once == again, "seed {seed} was two histories");
        // A history in which nothing happened would be equal too.
        for seen in ["ROLLBACK", "SUPERSEDED", "SERVICE_DEPLOYMENT_COMPLETED", "CodeDeploy", "APPROVAL NEEDED"] {
            assert!(once.contains(seen), "seed {seed}: no {seen} in {} bytes", once.len());
        }
        traces.push(once);
    }
    assert!(traces[0] != traces[1], "two seeds are two histories");
}
