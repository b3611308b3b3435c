//! Incidents: what an alarm, a finding, an insight or a threat becomes, what it is blamed on, and what is decided.

mod alarms;
mod findings;
mod settling;

use jiff::Timestamp;
use pointsman::domain::execution::Execution;
use pointsman::domain::incident::{Decision, Incident, Status};
use pointsman::domain::rollback::Rollback;
use pointsman_local::aws::{Behaviour, Pace};
use pointsman_local::faults::EventFault;
use pointsman_local::runner::{Options, REGION};
use pointsman_tests::payloads::push;
use pointsman_tests::world::{BEGIN, World};
use serde_json::{Value, json};
use std::time::Duration;

const SECOND: &str = "eu-west-2";
const ENVIRONMENT: &str = "web-production";
const ON_CALL: &str = "oncall@example.com";
const MINUTE: Duration = Duration::from_secs(60);
const ALARM_CHANGE: &str = "CloudWatch Alarm State Change";

/// One pipeline that brings a version to two regions; `policy` goes into its rollback, `more` behind it.
fn config(policy: &str, more: &str) -> String {
    format!(
        r#"
version = 1
[approvers.devops]
members = [{{ email = "ada@example.com" }}]
[environments.web-production]
deploys = [
  {{ region = "us-east-1", pipeline = "shop-production", stage = "Deploy-Primary" }},
  {{ region = "eu-west-2", pipeline = "shop-production", stage = "Deploy-Secondary", pipeline_region = "us-east-1" }},
]
[environments.web-production.rollback]
alarms = ["web-*"]
{policy}
{more}
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["production"]
pipeline = "shop-production"
environment = "web-production"
"#
    )
}

/// A world in which somebody hears of incidents.
async fn started(policy: &str, more: &str) -> World {
    let world = World::with_config(&config(policy, more)).await;
    let topic = format!("arn:aws:sns:{REGION}:123456789012:pointsman-incidents");
    let input = json!({ "TopicArn": topic, "Protocol": "email", "Endpoint": ON_CALL });
    ask(&world, "sns", REGION, "Subscribe", input);
    world
}

/// A world whose pipelines take as long as they are configured to.
async fn slow(policy: &str) -> World {
    let behaviour = Behaviour { pace: Pace::Real, ..Behaviour::default() };
    World::start(Options { behaviour, config: Some(config(policy, "")), ..Options::default() }).await
}

/// Pushes commit `number`, and answers while it is on its way.
async fn begin(world: &World, number: u64) -> Execution {
    let delivery = format!("push-{number}");
    let payload = push("production", number - 1, number, BEGIN + number as i64);
    assert_eq!(world.send("push", &delivery, &payload).await, 202);
    world.pass(Duration::from_secs(1)).await;
    let delivery = world.delivery(&delivery).await.unwrap();
    world.execution(&delivery.plan[0].execution).await
}

/// Pushes commit `number`, and lets it land.
async fn deploy(world: &World, number: u64) -> Execution {
    let execution = begin(world, number).await;
    world.pass(Duration::from_secs(20)).await;
    world.execution(&execution.id).await
}

/// Two good versions, the second of which is bad.
async fn deployed(world: &World) -> (Execution, Execution) {
    let good = deploy(world, 2).await;
    world.pass(30 * MINUTE).await;
    (good, deploy(world, 3).await)
}

fn ask(world: &World, service: &str, region: &str, operation: &str, input: Value) -> Value {
    world.aws().ask(service, region, operation, input).unwrap_or_else(|failure| panic!("{operation}: {failure:?}"))
}

/// An alarm that stays as it is set.
fn alarm(world: &World, region: &str, name: &str) {
    let input = json!({
        "AlarmName": name, "Namespace": "shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "ignore",
    });
    ask(world, "monitoring", region, "PutMetricAlarm", input);
}

fn set(world: &World, region: &str, name: &str, state: &str) {
    let input = json!({ "AlarmName": name, "StateValue": state, "StateReason": "the test says so" });
    ask(world, "monitoring", region, "SetAlarmState", input);
}

/// The same, and its event is lost.
fn set_unheard(world: &World, region: &str, name: &str, state: &str) {
    world.aws().faults().next_event(ALARM_CHANGE, EventFault::Never);
    set(world, region, name, state);
}

/// Tells of an alarm as CloudWatch does, whatever the alarm itself says.
fn told(world: &World, name: &str, state: &str, since: Timestamp) {
    let previous = if state == "ALARM" { "OK" } else { "ALARM" };
    event(
        world,
        json!({
            "source": "aws.cloudwatch", "detail-type": ALARM_CHANGE, "region": REGION,
            "detail": {
                "alarmName": name,
                "state": { "value": state, "reason": "so it is", "timestamp": since.to_string() },
                "previousState": { "value": previous },
                "configuration": { "metrics": [] },
            },
        }),
    );
}

fn event(world: &World, event: Value) {
    world.aws().tell(event.to_string().as_bytes()).unwrap();
}

fn now(world: &World) -> Timestamp {
    world.aws().clock().now()
}

/// Every incident, the oldest first.
async fn incidents(world: &World) -> Vec<Incident> {
    let mut all = world.local.ledger().latest_incidents(None, now(world), 1_000).await.unwrap();
    all.reverse();
    all
}

/// The only incident that there is.
async fn only(world: &World) -> Incident {
    let mut all = incidents(world).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

async fn rollbacks(world: &World) -> Vec<Rollback> {
    world.local.ledger().latest_rollbacks(ENVIRONMENT, 100).await.unwrap()
}

/// The mails that tell of incidents.
fn notices(world: &World) -> Vec<String> {
    world.aws().sns().mail().into_iter().filter(|mail| mail.to == ON_CALL).map(|mail| mail.subject).collect()
}

/// That an incident blames an execution and turns it back in both regions.
fn turns_back(incident: &Incident, blamed: &Execution) {
    assert_eq!(incident.blamed.as_ref().map(|blamed| &blamed.execution), Some(&blamed.id), "{incident:#?}");
    let Decision::RollBack { regions, to, by } = &incident.decision else { panic!("{incident:#?}") };
    assert_eq!((regions.join(" ").as_str(), to, by.as_str()), ("eu-west-2 us-east-1", &None, "guard"));
    assert!(matches!(incident.status, Status::RollingBack | Status::RolledBack), "{incident:#?}");
}
