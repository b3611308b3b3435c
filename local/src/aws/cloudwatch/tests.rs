//! Scenarios: alarms set up, moved and evaluated under a paused clock.

use crate::aws::{Aws, Behaviour, Pace};
use crate::clock::Clock;
use crate::faults::Faults;
use serde_json::{Value, json};
use std::time::Duration;

const HOME: &str = "eu-west-2";

fn account(behaviour: Behaviour) -> Aws {
    let start = "2026-08-31T12:00:00Z".parse().unwrap();
    Aws::new(Clock::starting_at(start), behaviour, Faults::none(), 1).unwrap()
}

fn ask(aws: &Aws, operation: &str, input: Value) -> Value {
    aws.ask("monitoring", HOME, operation, input).unwrap()
}

fn refusal(aws: &Aws, operation: &str, input: Value) -> String {
    aws.ask("monitoring", HOME, operation, input).unwrap_err().code
}

async fn pass(aws: &Aws, milliseconds: u64) {
    tokio::select! {
        () = aws.run() => {}
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {}
    }
}

/// `more` over an alarm that rings when the minute's sum is above 5.
fn alarm(name: &str, more: &Value) -> Value {
    let mut input = json!({
        "AlarmName": name, "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

fn force(aws: &Aws, name: &str, value: &str) {
    ask(aws, "SetAlarmState", json!({ "AlarmName": name, "StateValue": value, "StateReason": "by hand" }));
}

fn errors(aws: &Aws, count: f64) {
    ask(
        aws,
        "PutMetricData",
        json!({ "Namespace": "Shop", "MetricData": [{ "MetricName": "Errors", "Value": count }] }),
    );
}

fn state(aws: &Aws, name: &str) -> String {
    aws.cloudwatch().state_of(HOME, name).unwrap()
}

/// A queue that gets every event of CloudWatch.
fn listen(aws: &Aws) {
    aws.ask("sqs", HOME, "CreateQueue", json!({ "QueueName": "seen" })).unwrap();
    let pattern = json!({ "source": ["aws.cloudwatch"] }).to_string();
    aws.ask("events", HOME, "PutRule", json!({ "Name": "all", "EventPattern": pattern })).unwrap();
    let arn = format!("arn:aws:sqs:{HOME}:123456789012:seen");
    let targets = json!([{ "Id": "1", "Arn": arn }]);
    aws.ask("events", HOME, "PutTargets", json!({ "Rule": "all", "Targets": targets })).unwrap();
}

/// The events that have come since the last look, in the order in which they came.
async fn seen(aws: &Aws) -> Vec<Value> {
    pass(aws, 1_000).await;
    let url = format!("https://sqs.{HOME}.amazonaws.com/123456789012/seen");
    let mut events: Vec<Value> = Vec::new();
    loop {
        let input = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3_600 });
        let answer = aws.ask("sqs", HOME, "ReceiveMessage", input).unwrap();
        let Some(messages) = answer["Messages"].as_array() else { return events };
        let bodies = messages.iter().filter_map(|message| message["Body"].as_str());
        events.extend(bodies.map(|body| serde_json::from_str::<Value>(body).unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_state_is_told_as_aws_tells_it() {
    let aws = account(Behaviour::default());
    listen(&aws);
    let more = json!({ "AlarmDescription": "too many", "Dimensions": [{ "Name": "Service", "Value": "shop" }] });
    ask(&aws, "PutMetricAlarm", alarm("errors", &more));
    pass(&aws, 1_000).await;
    force(&aws, "errors", "ALARM");
    force(&aws, "errors", "ALARM");
    let events = seen(&aws).await;
    assert_eq!(events.len(), 2, "created, and moved once: the second time it was there already");
    let (created, moved) = (&events[0], &events[1]);
    assert_eq!(created["detail-type"], "CloudWatch Alarm Configuration Change");
    assert_eq!(created["detail"]["operation"], "create");
    assert_eq!(
        created["detail"]["state"],
        json!({ "value": "INSUFFICIENT_DATA", "timestamp": "2026-08-31T12:00:00.000+0000" })
    );
    assert_eq!(created["detail"]["configuration"]["threshold"], json!(5.0));
    assert_eq!(moved["detail-type"], "CloudWatch Alarm State Change");
    assert_eq!(moved["resources"], json!([format!("arn:aws:cloudwatch:{HOME}:123456789012:alarm:errors")]));
    let detail = &moved["detail"];
    let state = json!({ "value": "ALARM", "reason": "by hand", "timestamp": "2026-08-31T12:00:01.000+0000" });
    assert_eq!(detail["state"], state);
    assert_eq!(detail["previousState"]["reason"], "Unchecked: Initial alarm creation");
    assert_eq!(detail["configuration"]["description"], "too many");
    let metric = &detail["configuration"]["metrics"][0];
    assert_eq!(metric["returnData"], true);
    let stat = json!({
        "metric": { "namespace": "Shop", "name": "Errors", "dimensions": { "Service": "shop" } },
        "period": 60, "stat": "Sum",
    });
    assert_eq!(metric["metricStat"], stat);
}

#[tokio::test(start_paused = true)]
async fn an_edit_keeps_the_state_and_tells_what_was_before() {
    let aws = account(Behaviour::default());
    listen(&aws);
    ask(&aws, "PutMetricAlarm", alarm("errors", &json!({ "Tags": [{ "Key": "a", "Value": "1" }] })));
    force(&aws, "errors", "ALARM");
    seen(&aws).await;
    ask(&aws, "PutMetricAlarm", alarm("errors", &json!({})));
    assert!(seen(&aws).await.is_empty(), "what is written already is no edit");
    ask(&aws, "PutMetricAlarm", alarm("errors", &json!({ "Threshold": 9.0 })));
    ask(&aws, "DisableAlarmActions", json!({ "AlarmNames": ["errors", "nobody"] }));
    ask(&aws, "DisableAlarmActions", json!({ "AlarmNames": ["errors"] }));
    ask(&aws, "DeleteAlarms", json!({ "AlarmNames": ["errors", "nobody"] }));
    let events = seen(&aws).await;
    let operations: Vec<&Value> = events.iter().map(|event| &event["detail"]["operation"]).collect();
    assert_eq!(operations, ["update", "update", "delete"]);
    assert_eq!(events[0]["detail"]["previousConfiguration"]["threshold"], json!(5.0));
    assert_eq!(events[0]["detail"]["state"]["value"], "ALARM", "an edit leaves the state");
    assert_eq!(events[1]["detail"]["configuration"]["actionsEnabled"], false);
    assert_eq!(events[2]["detail"]["state"]["reason"], "by hand");
    assert!(aws.cloudwatch().state_of(HOME, "errors").is_none());
}

#[tokio::test(start_paused = true)]
async fn composite_alarms_follow_their_children() {
    let aws = account(Behaviour::default());
    listen(&aws);
    for name in ["a", "b"] {
        ask(&aws, "PutMetricAlarm", alarm(name, &json!({})));
    }
    ask(&aws, "PutCompositeAlarm", json!({ "AlarmName": "both", "AlarmRule": "ALARM(a) AND ALARM(b)" }));
    ask(&aws, "PutCompositeAlarm", json!({ "AlarmName": "top", "AlarmRule": "ALARM(both) OR NOT TRUE" }));
    assert_eq!(state(&aws, "both"), "OK", "evaluated as soon as it is there");
    force(&aws, "a", "ALARM");
    assert_eq!(state(&aws, "both"), "OK");
    seen(&aws).await;
    force(&aws, "b", "ALARM");
    assert_eq!((state(&aws, "both").as_str(), state(&aws, "top").as_str()), ("ALARM", "ALARM"));
    let events = seen(&aws).await;
    let names: Vec<&Value> = events.iter().map(|event| &event["detail"]["alarmName"]).collect();
    assert_eq!(names, ["b", "both", "top"]);
    let detail = &events[1]["detail"];
    assert_eq!(detail["configuration"], json!({ "alarmRule": "ALARM(a) AND ALARM(b)" }));
    let reason = format!(
        "arn:aws:cloudwatch:{HOME}:123456789012:alarm:b transitioned to ALARM at Monday 31 August, 2026 12:00:01 UTC"
    );
    assert_eq!(detail["state"]["reason"], reason);
    assert_eq!(aws.cloudwatch().in_alarm(HOME, &["x".into(), "b".into(), "top".into()]), ["b", "top"]);

    force(&aws, "top", "OK");
    assert_eq!(state(&aws, "top"), "OK", "it stays until a child moves");
    force(&aws, "b", "OK");
    assert_eq!(state(&aws, "both"), "OK");
    let needed = aws.ask("monitoring", HOME, "DeleteAlarms", json!({ "AlarmNames": ["a", "b", "spare"] })).unwrap_err();
    assert_eq!(needed.message, "Cannot delete a,b as there are composite alarm(s) depending on them.");
    assert_eq!(state(&aws, "a"), "ALARM", "all or nothing");
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_rules_ends() {
    let aws = account(Behaviour::default());
    for name in ["x", "y"] {
        ask(&aws, "PutCompositeAlarm", json!({ "AlarmName": name, "AlarmRule": "FALSE" }));
    }
    ask(&aws, "PutCompositeAlarm", json!({ "AlarmName": "x", "AlarmRule": "ALARM(y)" }));
    // As on AWS, the circle may be closed; each alarm moves once, and neither can be deleted.
    ask(&aws, "PutCompositeAlarm", json!({ "AlarmName": "y", "AlarmRule": "NOT ALARM(x)" }));
    assert_eq!((state(&aws, "x").as_str(), state(&aws, "y").as_str()), ("ALARM", "ALARM"));
    assert_eq!(refusal(&aws, "DeleteAlarms", json!({ "AlarmNames": ["x"] })), "ValidationError");
    let own = json!({ "AlarmName": "x", "AlarmRule": "ALARM(x)" });
    assert_eq!(refusal(&aws, "PutCompositeAlarm", own), "ValidationError");
}

#[tokio::test(start_paused = true)]
async fn data_decides_the_state_of_an_alarm_on_it() {
    let aws = account(Behaviour::default());
    ask(&aws, "PutMetricAlarm", alarm("errors", &json!({ "TreatMissingData": "notBreaching" })));
    force(&aws, "errors", "ALARM");
    pass(&aws, 600_000).await;
    assert_eq!(state(&aws, "errors"), "ALARM", "no data: what was set by hand stays");
    errors(&aws, 4.0);
    pass(&aws, 400).await;
    assert_eq!(state(&aws, "errors"), "OK", "it goes back with its first data");
    errors(&aws, 2.0);
    pass(&aws, 400).await;
    assert_eq!(state(&aws, "errors"), "ALARM", "4 and 2 are more than 5");
    let shown = &ask(&aws, "DescribeAlarms", json!({ "AlarmNames": ["errors"] }))["MetricAlarms"][0];
    let reason = "Threshold Crossed: 1 datapoint [6.0 (31/08/26 12:10:00)] was greater than the threshold (5.0).";
    assert_eq!(shown["StateReason"], reason);
    let data: Value = serde_json::from_str(shown["StateReasonData"].as_str().unwrap()).unwrap();
    assert_eq!(data["recentDatapoints"], json!([6.0]));
    assert_eq!(data["startDate"], "2026-08-31T12:10:00.000+0000");
    force(&aws, "errors", "OK");
    pass(&aws, 60_000).await;
    assert_eq!(state(&aws, "errors"), "ALARM", "by hand is for a while: the data still says so");
    pass(&aws, 180_000).await;
    assert_eq!(state(&aws, "errors"), "OK", "and then there is none, which is not breaching");
}

#[tokio::test(start_paused = true)]
async fn missing_data_is_treated_as_the_user_guide_shows() {
    #[rustfmt::skip]
    let cases = [
        // periods, oldest first   N  M  missing              ignore     breaching  notBreaching
        ("0-X-X",                  3, 3, "OK",                "OK",      "OK",      "OK"),
        ("0----",                  3, 3, "OK",                "OK",      "OK",      "OK"),
        ("-----",                  3, 3, "INSUFFICIENT_DATA", "",        "ALARM",   "OK"),
        ("0XX-X",                  3, 3, "ALARM",             "ALARM",   "ALARM",   "ALARM"),
        ("--X--",                  3, 3, "ALARM",             "",        "ALARM",   "OK"),
        ("0-X-X",                  3, 2, "ALARM",             "ALARM",   "ALARM",   "ALARM"),
        ("00X0X",                  3, 2, "ALARM",             "ALARM",   "ALARM",   "ALARM"),
        ("0-X--",                  3, 2, "OK",                "OK",      "ALARM",   "OK"),
        ("----0",                  3, 2, "OK",                "OK",      "ALARM",   "OK"),
        ("---X-",                  3, 2, "ALARM",             "",        "ALARM",   "OK"),
        ("----X",                  3, 3, "",                  "",        "ALARM",   "OK"),
    ];
    for (periods, n, m, missing, ignore, breaching, not_breaching) in cases {
        for (treat, expected) in
            [("missing", missing), ("ignore", ignore), ("breaching", breaching), ("notBreaching", not_breaching)]
        {
            // Whatever the alarm must not change to, it is not in yet.
            for before in ["OK", "ALARM", "INSUFFICIENT_DATA"] {
                let aws = account(Behaviour { pace: Pace::Real, ..Behaviour::default() });
                let more = json!({ "EvaluationPeriods": n, "DatapointsToAlarm": m, "TreatMissingData": treat });
                ask(&aws, "PutMetricAlarm", alarm("errors", &more));
                force(&aws, "errors", before);
                let now = aws.clock().now().as_second();
                // Data long past has the alarm evaluated, and is in none of its periods.
                let mut data = vec![json!({ "MetricName": "Errors", "Value": 0.0, "Timestamp": now - 86_400 })];
                for (index, period) in (0_i64..).zip(periods.chars()) {
                    let at = now + 60 - (5 - index) * 60;
                    let value = match period {
                        'X' => 9.0,
                        '0' => 0.0,
                        _ => continue,
                    };
                    data.push(json!({ "MetricName": "Errors", "Value": value, "Timestamp": at }));
                }
                ask(&aws, "PutMetricData", json!({ "Namespace": "Shop", "MetricData": data }));
                pass(&aws, 60_500).await;
                let expected = if expected.is_empty() { before } else { expected };
                assert_eq!(state(&aws, "errors"), expected, "{periods}, {m} of {n}, {treat}, was {before}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn actions_are_noted_whether_they_succeed_or_not() {
    let aws = account(Behaviour::default());
    let function = format!("arn:aws:lambda:{HOME}:123456789012:function:f");
    ask(&aws, "PutMetricAlarm", alarm("errors", &json!({ "AlarmActions": [function] })));
    force(&aws, "errors", "ALARM");
    let input = json!({ "AlarmName": "errors", "HistoryItemType": "Action" });
    let history = ask(&aws, "DescribeAlarmHistory", input.clone());
    let item = &history["AlarmHistoryItems"][0];
    let summary = item["HistorySummary"].as_str().unwrap();
    assert!(summary.starts_with(&format!("Failed to execute action {function}")), "{summary}");
    assert!(summary.contains("not emulated"), "{summary}");
    ask(&aws, "DisableAlarmActions", json!({ "AlarmNames": ["errors"] }));
    force(&aws, "errors", "OK");
    force(&aws, "errors", "ALARM");
    let after = ask(&aws, "DescribeAlarmHistory", input);
    assert_eq!(after["AlarmHistoryItems"].as_array().unwrap().len(), 1, "disabled actions are not taken");
}

#[tokio::test(start_paused = true)]
async fn so_much_data_is_taken_at_once_and_numbers_may_be_text() {
    let aws = account(Behaviour::default());
    let data = |count: usize| {
        let datum = json!({ "MetricName": "Errors", "Value": "1.5", "Timestamp": "2026-08-31T12:00:00Z" });
        json!({ "Namespace": "Shop", "MetricData": vec![datum; count] })
    };
    assert_eq!(refusal(&aws, "PutMetricData", data(1_001)), "InvalidParameterValue");
    // As the query protocol sends it, which knows no numbers.
    let text = json!({ "Threshold": "5.0", "Period": "60", "EvaluationPeriods": "1", "ActionsEnabled": "false" });
    ask(&aws, "PutMetricAlarm", alarm("errors", &text));
    ask(&aws, "PutMetricData", data(1_000));
    pass(&aws, 400).await;
    let shown = &ask(&aws, "DescribeAlarms", json!({}))["MetricAlarms"][0];
    assert_eq!(shown["Threshold"], json!(5.0));
    assert_eq!((&shown["Period"], &shown["ActionsEnabled"]), (&json!(60), &json!(false)));
    assert_eq!(shown["StateValue"], "ALARM", "1,500 is more than 5");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_can_be_saved_and_restored() {
    let aws = account(Behaviour::default());
    ask(&aws, "PutMetricAlarm", alarm("errors", &json!({})));
    ask(&aws, "PutCompositeAlarm", json!({ "AlarmName": "all", "AlarmRule": "ALARM(errors)" }));
    errors(&aws, 3.0);
    let text = aws.cloudwatch().save().to_string();
    let other = account(Behaviour::default());
    other.cloudwatch().restore(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(other.cloudwatch().save().to_string(), text);
    errors(&other, 3.0);
    pass(&other, 400).await;
    assert_eq!((state(&other, "errors").as_str(), state(&other, "all").as_str()), ("ALARM", "ALARM"));
}

#[tokio::test(start_paused = true)]
async fn a_region_has_room_for_so_many_alarms() {
    let aws = account(Behaviour::default());
    for number in 0..super::MOST_ALARMS {
        ask(&aws, "PutMetricAlarm", alarm(&format!("alarm-{number:04}"), &json!({})));
    }
    assert_eq!(refusal(&aws, "PutMetricAlarm", alarm("one-more", &json!({}))), "LimitExceeded");
    ask(&aws, "PutMetricAlarm", alarm("alarm-0000", &json!({ "Threshold": 1.0 })));
    let page = ask(&aws, "DescribeAlarms", json!({ "MaxRecords": 100 }));
    assert_eq!(page["MetricAlarms"].as_array().unwrap().len(), 100);
    let next = ask(&aws, "DescribeAlarms", json!({ "NextToken": page["NextToken"] }));
    assert_eq!(next["MetricAlarms"][0]["AlarmName"], "alarm-0100");
    assert_eq!(next["MetricAlarms"].as_array().unwrap().len(), 50, "a page that is not sized holds 50");
}
