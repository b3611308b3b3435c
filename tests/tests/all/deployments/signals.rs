//! Alarms, the event that wakes `rollback`, a delayed message, and a notice.

use super::*;
use pointsman::aws::cloudwatch::Alarms;
use pointsman::aws::eventbridge::Bus;
use pointsman::aws::sns::Notices;
use pointsman::aws::sqs::{DELAY_SECONDS_MAX, Queue};
use pointsman::domain::alarm::AlarmState;
use pointsman::domain::event::{ROLLBACK_REQUESTED, SOURCE};
use pointsman_local::faults::Fault;

fn alarm(account: &Account, name: &str) {
    let input = json!({
        "AlarmName": name, "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "MetricName": "5xx",
        "Namespace": "shop", "Period": 60, "Statistic": "Sum", "Threshold": 1.0,
    });
    account.ask("monitoring", "PutMetricAlarm", input);
}

fn set(account: &Account, name: &str, state: &str, reason: &str) {
    let input = json!({ "AlarmName": name, "StateValue": state, "StateReason": reason });
    account.ask("monitoring", "SetAlarmState", input);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_red_since_it_turned_red() {
    let account = Account::new();
    let alarms = Alarms::new(&account.config);
    alarm(&account, "shop-errors");
    alarm(&account, "shop-latency");
    let rule = json!({ "AlarmName": "shop-any", "AlarmRule": "ALARM(\"shop-errors\") OR ALARM(\"shop-latency\")" });
    account.ask("monitoring", "PutCompositeAlarm", rule);
    account.pass(60).await;
    assert!(alarms.in_alarm(HOME).await.unwrap().is_empty());
    let fresh = alarms.state_of(HOME, "shop-errors").await.unwrap().unwrap();
    assert_eq!(fresh.state, AlarmState::InsufficientData);
    let turned_red = account.config.now();
    set(&account, "shop-errors", "ALARM", "5 errors");
    set(&account, "shop-latency", "OK", "calm");
    account.pass(600).await;
    let mut red = alarms.in_alarm(HOME).await.unwrap();
    red.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<&str> = red.iter().map(|alarm| alarm.name.as_str()).collect();
    assert_eq!(names, ["shop-any", "shop-errors"], "composite alarms too");
    assert_eq!(red[1].since, turned_red, "and not since we asked");
    assert_eq!(red[1].reason, "5 errors");
    #[rustfmt::skip]
    let cases = [
        // alarm,        state,                why
        ("shop-errors",  Some(AlarmState::Alarm), "a metric alarm"),
        ("shop-any",     Some(AlarmState::Alarm), "a composite alarm"),
        ("shop-latency", Some(AlarmState::Ok),    "calm"),
        ("shop-error",   None,                    "no such alarm: a prefix is none"),
    ];
    for (name, expected, why) in cases {
        let now = alarms.state_of(HOME, name).await.unwrap();
        assert_eq!(now.map(|now| now.state), expected, "{why}");
    }
    assert!(alarms.in_alarm("us-east-1").await.unwrap().is_empty(), "alarms are of one region");
}

#[tokio::test(start_paused = true)]
async fn red_alarms_are_all_read_or_none() {
    let account = Account::new();
    let alarms = Alarms::new(&account.config);
    for number in 0..2_000 {
        let name = format!("alarm-{number}");
        alarm(&account, &name);
        set(&account, &name, "ALARM", "red");
    }
    assert_eq!(alarms.in_alarm(HOME).await.unwrap().len(), 2_000, "page after page");
    alarm(&account, "one-more");
    set(&account, "one-more", "ALARM", "red");
    assert_eq!(code(alarms.in_alarm(HOME).await), "TooManyAlarms", "a part of them would look like all");
}

/// A queue, as our clients have it.
async fn queue(account: &Account, name: &str) -> Queue {
    account.ask("sqs", "CreateQueue", json!({ "QueueName": name }));
    Queue::by_name(&account.config.in_region(HOME), name).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_asked_for_on_our_bus() {
    let account = Account::new();
    let woken = queue(&account, "woken").await;
    account.ask("events", "CreateEventBus", json!({ "Name": "pointsman" }));
    let pattern = json!({ "source": [SOURCE], "detail-type": [ROLLBACK_REQUESTED] }).to_string();
    let rule = json!({ "Name": "rollback", "EventBusName": "pointsman", "EventPattern": pattern });
    account.ask("events", "PutRule", rule);
    let target = json!({ "Id": "queue", "Arn": format!("arn:aws:sqs:{HOME}:{ACCOUNT}:woken") });
    account.ask(
        "events",
        "PutTargets",
        json!({ "Rule": "rollback", "EventBusName": "pointsman", "Targets": [target] }),
    );
    let bus = Bus::new(&account.config.in_region(HOME), "pointsman".to_owned());
    let now = account.config.now();
    bus.request_rollback("in-0123456789abcdef0123", now).await.unwrap();
    account.pass(5).await;
    let received = woken.receive(30).await.unwrap();
    let event: Value = serde_json::from_str(&received[0].body).unwrap();
    assert_eq!((&event["source"], &event["detail-type"]), (&json!("pointsman"), &json!("Rollback Requested")));
    assert_eq!(event["detail"], json!({ "incident": "in-0123456789abcdef0123" }));
    assert_eq!(event["time"], now.to_string());
    for fault in vec![Fault::Throttle; 3] {
        account.aws.faults().next("events", "PutEvents", fault);
    }
    let refused = bus.request_rollback("in-0123456789abcdef0123", now).await.unwrap_err();
    assert!(matches!(refused, CallError::Throttled { .. }), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_comes_when_it_is_due_and_never_later_than_sqs_can() {
    #[rustfmt::skip]
    let cases = [
        // asked for, comes after s, why
        (-5,          0,             "no delay is less than none"),
        (120,         120,           "as it was asked for"),
        (5_000,       900,           "what is longer is cut"),
    ];
    assert_eq!(DELAY_SECONDS_MAX, 900);
    for (index, (asked, expected, why)) in cases.into_iter().enumerate() {
        let account = Account::new();
        let later = queue(&account, &format!("later-{index}")).await;
        later.send_later("wake up", asked).await.unwrap();
        if expected > 0 {
            account.pass(expected - 1).await;
            assert!(later.receive(30).await.unwrap().is_empty(), "{why}");
        }
        account.pass(2).await;
        assert_eq!(later.receive(30).await.unwrap().len(), 1, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_is_made_fit_for_sns() {
    let account = Account::new();
    let topic =
        account.ask("sns", "CreateTopic", json!({ "Name": "notices" }))["TopicArn"].as_str().unwrap().to_owned();
    let subscription = json!({ "TopicArn": topic, "Protocol": "email", "Endpoint": "ada@example.com" });
    account.ask("sns", "Subscribe", subscription);
    let notices = Notices::new(&account.config.in_region(HOME), topic);
    notices.publish("web-production:\nrolled back", &"ä".repeat(200_000)).await.unwrap();
    account.pass(5).await;
    let mail = account.aws.sns().mail().pop().unwrap();
    assert_eq!(mail.subject, "web-production: rolled back");
    assert!(mail.body.contains("cut off here"));
    notices.publish("\n", "no subject is left of that").await.unwrap();
    let gone = Notices::new(&account.config.in_region(HOME), format!("arn:aws:sns:{HOME}:{ACCOUNT}:nobody"));
    assert_eq!(code(gone.publish("s", "b").await), "NotFound");
}
