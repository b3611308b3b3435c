//! From the event of an alarm to the request of the rollback: how many calls, and how long at 20 ms a call.
//!
//! Everything is counted in simulated time, so the table is the same on every machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark of an error is worthless")]

use pointsman_local::aws::wire::Counted;
use pointsman_local::runner::REGION;
use pointsman_tests::payloads::push;
use pointsman_tests::world::{BEGIN, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long every call takes.
const CALL: Duration = Duration::from_millis(20);
/// The most that it may take, besides `settle`.
const AIM_SECONDS: f64 = 1.0;

const FIRST: &str =
    r#"{ region = "us-east-1", pipeline = "shop", stage = "First", ecs = { cluster = "shop", service = "web" } },"#;
const SECOND: &str = r#"{ region = "eu-west-2", pipeline = "shop", stage = "Second", pipeline_region = "us-east-1",
    codedeploy = { application = "shop", deployment_group = "web" } },"#;

fn config(deploys: &[&str]) -> String {
    format!(
        r#"
version = 1
[environments.web]
deploys = [
  {}
]
[environments.web.rollback]
alarms = ["web-*"]
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "shop"
environment = "web"
"#,
        deploys.join("\n  ")
    )
}

fn ask(world: &World, service: &str, operation: &str, input: Value) {
    world.aws().ask(service, REGION, operation, input).unwrap_or_else(|failure| panic!("{operation}: {failure:?}"));
}

/// The calls of `guard` and `rollback` since the alarm, by what made them; and when AWS was asked for each rollback.
struct Counts {
    calls: BTreeMap<(String, String), usize>,
    in_all: usize,
    asked_after: Vec<f64>,
}

fn function_of(call: &Counted) -> Option<&'static str> {
    let caller = call.caller.to_lowercase();
    ["guard", "rollback"].into_iter().find(|name| caller.contains(name))
}

async fn play(deploys: &[&str]) -> Counts {
    let world = World::with_config(&config(deploys)).await;
    let alarm = json!({
        "AlarmName": "web-errors", "Namespace": "shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "ignore",
    });
    ask(&world, "monitoring", "PutMetricAlarm", alarm);
    for number in [2, 3] {
        let payload = push("main", number - 1, number, BEGIN + i64::try_from(number).unwrap());
        assert_eq!(world.send("push", &format!("push-{number}"), &payload).await, 202);
        world.pass(Duration::from_secs(60)).await;
    }
    let began = world.aws().clock().now();
    world.aws().meter().begin(CALL);
    let red = json!({ "AlarmName": "web-errors", "StateValue": "ALARM", "StateReason": "the benchmark says so" });
    ask(&world, "monitoring", "SetAlarmState", red);
    world.pass(Duration::from_secs(30)).await;
    let calls = world.aws().meter().end();
    let asked: Vec<_> = calls.iter().filter(|call| call.operation == "RollbackStage").map(|call| call.at).collect();
    assert_eq!(asked.len(), deploys.len(), "one rollback per region: {calls:#?}");
    let mut counts = Counts { calls: BTreeMap::new(), in_all: 0, asked_after: Vec::new() };
    let last = asked.iter().max().copied().unwrap();
    for call in calls.iter().filter(|call| call.at <= last) {
        if let Some(function) = function_of(call) {
            *counts.calls.entry((function.to_owned(), call.service.clone())).or_default() += 1;
            counts.in_all += 1;
        }
    }
    counts.asked_after = asked.iter().map(|at| at.duration_since(began).as_secs_f64()).collect();
    counts
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let one = runtime.block_on(play(&[FIRST]));
    let two = runtime.block_on(play(&[FIRST, SECOND]));
    println!("| calls from the alarm to the last request | one region | two regions |\n|---|---|---|");
    let names: std::collections::BTreeSet<_> = one.calls.keys().chain(two.calls.keys()).collect();
    for name in names {
        let count = |counts: &Counts| counts.calls.get(name).copied().unwrap_or_default();
        println!("| `{}` to {} | {} | {} |", name.0, name.1, count(&one), count(&two));
    }
    println!("| in all | {} | {} |", one.in_all, two.in_all);
    let (first, last) =
        (|counts: &Counts| counts.asked_after[0], |counts: &Counts| *counts.asked_after.last().unwrap());
    println!("| seconds to the first request | {:.2} | {:.2} |", first(&one), first(&two));
    println!("| seconds to the last request | {:.2} | {:.2} |", last(&one), last(&two));
    if last(&two) > AIM_SECONDS {
        println!("That is more than the aim: {AIM_SECONDS} s.");
    }
}
