//! What `template.yaml` wires, seen from outside: who is told of an approval and how, and what the functions draw.

use pointsman::domain::execution::Status;
use pointsman::random::Random;
use pointsman_local::aws::lambda::{Answer, Invocation};
use pointsman_local::aws::{ACCOUNT, Aws, Behaviour};
use pointsman_local::clock::Clock;
use pointsman_local::faults::Faults;
use pointsman_local::functions::Fleet;
use pointsman_local::runner::{DEFAULT_CONFIG, Options, REGION, STACK, TEMPLATE};
use pointsman_local::template::Template;
use pointsman_local::wiring::lay_down;
use pointsman_tests::payloads::push;
use pointsman_tests::world::{BEGIN, World};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:pointsman-approvals-asked";
const GATE: &str = "arn:aws:lambda:us-east-1:123456789012:function:pointsman-GateFunction";
const PROBE: &str = "arn:aws:lambda:us-east-1:123456789012:function:probe";

/// Registers a function that keeps the events that it gets.
fn probe(world: &World) -> Arc<Mutex<Vec<Value>>> {
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = seen.clone();
    let handler = move |event: Value, _: Invocation| -> Answer {
        kept.lock().unwrap().push(event);
        Box::pin(async { Ok(Value::Null) })
    };
    world.aws().lambda().register("probe", Arc::new(handler), Duration::from_secs(3));
    seen
}

/// A value's shape: names and kinds, and of a list the shape of its first item.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(list) => list.iter().take(1).map(shape).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(name, one)| (name.clone(), shape(one))).collect::<Map<_, _>>())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_told_in_both_ways_as_the_samples_show() {
    let world = World::with_config(DEFAULT_CONFIG).await;
    let seen = probe(&world);
    let ask =
        |service: &str, operation: &str, input: Value| world.aws().ask(service, REGION, operation, input).unwrap();
    let subscriptions = ask("sns", "ListSubscriptionsByTopic", json!({ "TopicArn": TOPIC }))["Subscriptions"].clone();
    assert_eq!(subscriptions[0]["Endpoint"], GATE);
    assert_eq!(subscriptions.as_array().unwrap().len(), 1);

    ask("sns", "Subscribe", json!({ "TopicArn": TOPIC, "Protocol": "lambda", "Endpoint": PROBE }));
    let pattern =
        ask("events", "DescribeRule", json!({ "Name": "pointsman-GateFunction-Approvals" }))["EventPattern"].clone();
    ask("events", "PutRule", json!({ "Name": "probe", "EventPattern": pattern }));
    ask("events", "PutTargets", json!({ "Rule": "probe", "Targets": [{ "Id": "probe", "Arn": PROBE }] }));
    assert_eq!(world.send("push", "12511598-033a-43f0-8b31-7727d346af03", &push("production", 1, 2, BEGIN)).await, 202);
    world.settle().await;

    let seen = seen.lock().unwrap();
    for (is_notification, sample) in [
        (false, include_str!("../../../events/approval-started.json")),
        (true, include_str!("../../../events/approval-notification.json")),
    ] {
        let told = seen.iter().find(|event| event["Records"].is_array() == is_notification).unwrap();
        let sample: Value = serde_json::from_str(sample).unwrap();
        assert_eq!(shape(told), shape(&sample));
        let message = |event: &Value| -> Option<Value> {
            Some(serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str()?).unwrap())
        };
        assert_eq!(message(told).as_ref().map(shape), message(&sample).as_ref().map(shape));
    }
    assert_eq!(seen.len(), 2, "it is told once in each way, and of nothing else");
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_is_made_up_tells_the_stacks_topic_where_it_may() {
    let elsewhere = production_elsewhere();
    #[rustfmt::skip]
    let cases = [
        (DEFAULT_CONFIG, REGION,      json!(TOPIC), "in the stack's region"),
        (&elsewhere,     "eu-west-2", Value::Null,  "CodePipeline takes no topic of another region"),
    ];
    for (config, region, expected, why) in cases {
        let world = World::with_config(config).await;
        let found =
            world.aws().ask("codepipeline", region, "GetPipeline", json!({ "name": "shop-production" })).unwrap();
        let stages = found["pipeline"]["stages"].as_array().unwrap();
        let approve = stages.iter().find(|stage| stage["name"] == "Approve").unwrap();
        assert_eq!(approve["actions"][0]["configuration"]["NotificationArn"], expected, "{why}");
    }
}

/// The example shop with production in another region, and all else at home.
fn production_elsewhere() -> String {
    DEFAULT_CONFIG.replace(
        r#"deploys = [{ region = "us-east-1", pipeline = "shop-production""#,
        r#"deploys = [{ region = "eu-west-2", pipeline = "shop-production""#,
    )
}

#[tokio::test(start_paused = true)]
async fn what_happens_in_another_region_is_heard_at_home_once_and_says_where_it_was() {
    let world = World::with_config(&production_elsewhere()).await;
    let seen = probe(&world);
    let ask = |service: &str, region: &str, operation: &str, input: Value| {
        world.aws().ask(service, region, operation, input).unwrap()
    };
    let pattern = json!({ "source": ["aws.cloudwatch"] }).to_string();
    ask("events", REGION, "PutRule", json!({ "Name": "probe", "EventPattern": pattern }));
    ask("events", REGION, "PutTargets", json!({ "Rule": "probe", "Targets": [{ "Id": "probe", "Arn": PROBE }] }));
    let regions = ["eu-west-2", REGION, "ap-south-1"];
    for region in regions {
        let alarm = json!({
            "AlarmName": "shop", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
        });
        ask("monitoring", region, "PutMetricAlarm", alarm);
        let state = json!({ "AlarmName": "shop", "StateValue": "ALARM", "StateReason": "a test" });
        ask("monitoring", region, "SetAlarmState", state);
    }
    world.settle().await;
    let mut heard: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .filter(|event| event["detail"]["state"]["value"] == "ALARM")
        .map(|event| {
            (
                event["region"].as_str().unwrap().to_owned(),
                event["account"].clone(),
                event["detail"]["alarmName"].clone(),
            )
        })
        .collect();
    heard.sort_by(|left, right| left.0.cmp(&right.0));
    let expected = ["eu-west-2", REGION].map(|region| (region.to_owned(), json!(ACCOUNT), json!("shop")));
    assert_eq!(heard, expected, "the configuration names no third region");
}

#[tokio::test(start_paused = true)]
async fn an_approval_in_another_region_is_asked_for_at_once() {
    let world = World::with_config(&production_elsewhere()).await;
    assert_eq!(world.send("push", "12511598-033a-43f0-8b31-7727d346af03", &push("production", 1, 2, BEGIN)).await, 202);
    // Long before `sweep` would ask about it.
    world.settle().await;
    let [execution] = world.executions().await.try_into().unwrap_or_else(|all| panic!("{all:?}"));
    assert_eq!(execution.status, Status::AwaitingApproval);
    assert_eq!(world.local.ledger().approvals_of(&execution.id).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_on_call_is_subscribed_where_the_stack_names_them() {
    for address in ["", "ada@example.com"] {
        let aws = Aws::new(Clock::real(), Behaviour::default(), Faults::none(), 1).unwrap();
        let fleet = Fleet::new(&aws, Random::seeded(1), None);
        let template = Template::read(TEMPLATE, STACK, REGION, ACCOUNT).unwrap();
        let template = template.with_parameter("IncidentsEmail", address).unwrap();
        // Laid down again, as an account that goes on from a save, it is the same.
        for _ in 0..2 {
            lay_down(&aws, &template, &fleet, &|_| "secret".to_owned()).unwrap();
        }
        let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-incidents");
        let listed = aws.ask("sns", REGION, "ListSubscriptionsByTopic", json!({ "TopicArn": topic })).unwrap();
        let listed: Vec<_> =
            listed["Subscriptions"].as_array().unwrap().iter().map(|one| one["Endpoint"].clone()).collect();
        let expected: Vec<Value> =
            [address].into_iter().filter(|address| !address.is_empty()).map(Value::from).collect();
        assert_eq!(listed, expected);
        let rules = aws.ask("events", REGION, "ListRules", json!({ "EventBusName": STACK })).unwrap();
        assert_eq!(rules["Rules"][0]["Name"], "pointsman-RollbackFunction-Requests", "our bus has its rule");
    }
}

#[tokio::test(start_paused = true)]
async fn what_functions_draw_follows_from_the_seed_where_nothing_else_is_given() {
    let draws = async |seed: u64, random: Option<Random>| {
        let world = World::start(Options { seed, random, config: None, ..Options::default() }).await;
        let draw = |role: &str| {
            let mut bytes = [0; 32];
            world.local.fleet.config(role, REGION).random.fill(&mut bytes).unwrap();
            bytes
        };
        ["gate", "sweep", "gate", "operator", "operator"].map(draw)
    };
    let (first, again) = (draws(1, None).await, draws(1, None).await);
    assert_eq!(first, again);
    assert!(first.iter().enumerate().all(|(index, one)| !first[..index].contains(one)), "no two are alike");
    assert_ne!(first, draws(2, None).await);
    assert_ne!(draws(1, Some(Random::system())).await, draws(1, Some(Random::system())).await);
}
