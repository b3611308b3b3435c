use crate::aws::wire::testing::{account, account_with};
use crate::aws::{Aws, Behaviour, Event, sqs};
use crate::faults::{EventFault, Faults};
use serde_json::{Value, json};
use std::time::Duration;

const REGION: &str = "us-east-1";

fn ask(aws: &Aws, operation: &str, input: Value) -> Result<Value, String> {
    aws.ask("events", REGION, operation, input).map_err(|failure| failure.code)
}

/// A queue that gets what `rule` on `bus` matches.
fn queue_for(aws: &Aws, rule: Value, queue: &str) {
    aws.ask("sqs", REGION, "CreateQueue", json!({ "QueueName": queue })).expect("a queue");
    let bus = rule["EventBusName"].as_str().unwrap_or("default").to_owned();
    ask(aws, "PutRule", rule.clone()).expect("a rule");
    let target = json!({ "Id": "q", "Arn": sqs::arn(REGION, queue) });
    let input = json!({ "Rule": rule["Name"], "EventBusName": bus, "Targets": [target] });
    assert_eq!(ask(aws, "PutTargets", input).expect("targets")["FailedEntryCount"], 0);
}

fn received(aws: &Aws, queue: &str) -> Vec<Value> {
    let input = json!({ "QueueUrl": sqs::url(REGION, queue), "MaxNumberOfMessages": 10 });
    let answer = aws.ask("sqs", REGION, "ReceiveMessage", input).expect("received");
    let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|each| serde_json::from_str(each["Body"].as_str().expect("a body")).expect("JSON")).collect()
}

fn emit(aws: &Aws) {
    let detail = json!({ "state": "FAILED" });
    aws.emit(
        REGION,
        Event { source: "aws.codepipeline".into(), detail_type: "Change".into(), resources: Vec::new(), detail },
    );
}

fn pattern_rule() -> Value {
    json!({ "Name": "failed", "EventPattern": r#"{"source":["aws.codepipeline"],"detail":{"state":["FAILED"]}}"# })
}

/// Lets time pass for the account.
async fn pass(aws: &Aws, time: Duration) {
    tokio::select! {
        biased;
        () = aws.run() => {}
        () = tokio::time::sleep(time) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_arrives_a_little_later_and_once() {
    let aws = account();
    queue_for(&aws, pattern_rule(), "events");
    emit(&aws);
    assert!(received(&aws, "events").is_empty(), "under way");
    pass(&aws, Duration::from_millis(150)).await;
    let events = received(&aws, "events");
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["time"], &events[0]["detail-type"]), (&json!("2026-08-31T12:00:00Z"), &json!("Change")));
}

#[tokio::test(start_paused = true)]
async fn faults_strike_single_deliveries() {
    #[rustfmt::skip]
    let cases = [
        // fault                                        at once  after a minute  why
        (EventFault::Duplicate,                         2,       2,              "twice"),
        (EventFault::Delay(Duration::from_secs(30)),    0,       1,              "late"),
        (EventFault::Never,                             0,       0,              "lost"),
    ];
    for (fault, at_once, after_a_minute, why) in cases {
        let faults = Faults::none();
        faults.next_event("Change", fault);
        let aws = account_with(faults);
        queue_for(&aws, pattern_rule(), "events");
        emit(&aws);
        pass(&aws, Duration::from_secs(1)).await;
        let first = received(&aws, "events").len();
        pass(&aws, Duration::from_secs(28)).await;
        pass(&aws, Duration::from_secs(2)).await;
        let later = first + received(&aws, "events").len();
        assert_eq!((first, later.min(2)), (at_once, after_a_minute.max(at_once)), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn put_events_refuses_entries_one_by_one() {
    let aws = account();
    let entry = |source: &str, detail: &str| json!({ "Source": source, "DetailType": "Change", "Detail": detail });
    let entries = [entry("pointsman", "{}"), entry("aws.codepipeline", "{}"), entry("pointsman", "{"), entry("", "{}")];
    let answer = ask(&aws, "PutEvents", json!({ "Entries": entries })).expect("answered");
    assert_eq!(answer["FailedEntryCount"], 3);
    let codes: Vec<&Value> =
        answer["Entries"].as_array().expect("a list").iter().map(|entry| &entry["ErrorCode"]).collect();
    assert_eq!(
        codes,
        [&Value::Null, &json!("NotAuthorizedForSourceException"), &json!("MalformedDetail"), &json!("InvalidArgument")]
    );
    let large = json!({ "x": "y".repeat(256 * 1024) }).to_string();
    #[rustfmt::skip]
    let cases = [
        (vec![],                                "none"),
        (vec![entry("pointsman", "{}"); 11],    "eleven"),
        (vec![entry("pointsman", &large)],      "above 256 KB"),
    ];
    for (entries, why) in cases {
        assert_eq!(
            ask(&aws, "PutEvents", json!({ "Entries": entries })).err().as_deref(),
            Some("ValidationException"),
            "{why}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn events_pass_from_bus_to_bus() {
    let aws = account();
    let bus = ask(&aws, "CreateEventBus", json!({ "Name": "ours" })).expect("a bus");
    queue_for(
        &aws,
        json!({ "Name": "all", "EventBusName": "ours", "EventPattern": r#"{"account":["123456789012"]}"# }),
        "events",
    );
    ask(&aws, "PutRule", pattern_rule()).expect("a rule");
    let targets = json!([{ "Id": "bus", "Arn": bus["EventBusArn"] }]);
    ask(&aws, "PutTargets", json!({ "Rule": "failed", "Targets": targets })).expect("targets");
    emit(&aws);
    pass(&aws, Duration::from_secs(1)).await;
    assert_eq!(received(&aws, "events").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_becomes_a_dead_letter() {
    let aws = account();
    aws.ask("sqs", REGION, "CreateQueue", json!({ "QueueName": "dead" })).expect("a queue");
    ask(&aws, "PutRule", pattern_rule()).expect("a rule");
    let gone = "arn:aws:lambda:us-east-1:123456789012:function:gone";
    let target = json!({ "Id": "f", "Arn": gone, "DeadLetterConfig": { "Arn": sqs::arn(REGION, "dead") } });
    ask(&aws, "PutTargets", json!({ "Rule": "failed", "Targets": [target] })).expect("targets");
    emit(&aws);
    pass(&aws, Duration::from_secs(1)).await;
    let input = json!({ "QueueUrl": sqs::url(REGION, "dead"), "MessageAttributeNames": ["All"] });
    let letter = aws.ask("sqs", REGION, "ReceiveMessage", input).expect("received")["Messages"][0].clone();
    assert_eq!(letter["MessageAttributes"]["ERROR_CODE"]["StringValue"], "ResourceNotFoundException");
    assert_eq!(letter["MessageAttributes"]["TARGET_ARN"]["StringValue"], gone);
}

#[tokio::test(start_paused = true)]
async fn schedules_fire_every_two_seconds_at_the_fast_pace() {
    let aws = account();
    queue_for(&aws, json!({ "Name": "sweep", "ScheduleExpression": "rate(1 minute)" }), "ticks");
    pass(&aws, Duration::from_millis(6_500)).await;
    let ticks = received(&aws, "ticks");
    assert_eq!(ticks.len(), 3);
    assert_eq!((&ticks[0]["source"], &ticks[0]["detail-type"]), (&json!("aws.events"), &json!("Scheduled Event")));
    ask(&aws, "DisableRule", json!({ "Name": "sweep" })).expect("switched off");
    pass(&aws, Duration::from_secs(10)).await;
    assert!(received(&aws, "ticks").is_empty());
}

#[tokio::test(start_paused = true)]
async fn rules_are_checked_when_they_are_put() {
    let aws = account();
    let queue = |name: &str| sqs::arn(REGION, name);
    #[rustfmt::skip]
    let cases = [
        ("PutRule", json!({ "Name": "r" }), "ValidationException", "neither pattern nor schedule"),
        ("PutRule", json!({ "Name": "r", "EventPattern": "{" }), "InvalidEventPatternException", "no pattern"),
        ("PutRule", json!({ "Name": "r", "ScheduleExpression": "rate(1 minutes)" }), "ValidationException",
         "no schedule"),
        ("PutRule", json!({ "Name": "r r", "EventPattern": r#"{"source":["x"]}"# }), "ValidationException", "no name"),
        ("PutRule", json!({ "Name": "r", "EventBusName": "x", "EventPattern": r#"{"source":["x"]}"# }),
         "ResourceNotFoundException", "no bus"),
        ("PutTargets", json!({ "Rule": "x", "Targets": [{ "Id": "a", "Arn": queue("q") }] }),
         "ResourceNotFoundException", "no rule"),
        ("PutTargets", json!({ "Rule": "ok", "Targets": [{ "Id": "a", "Arn": queue("q.fifo") }] }),
         "ValidationException", "a FIFO queue without a group"),
        ("PutTargets", json!({ "Rule": "ok", "Targets": [{ "Id": "a", "Arn": queue("q"), "InputTransformer": {} }] }),
         "NotEmulated", "said, not ignored"),
        ("DeleteRule", json!({ "Name": "full" }), "ValidationException", "it has targets"),
    ];
    ask(&aws, "PutRule", json!({ "Name": "ok", "EventPattern": r#"{"source":["x"]}"# })).expect("a rule");
    queue_for(&aws, json!({ "Name": "full", "EventPattern": r#"{"source":["x"]}"# }), "q");
    for (operation, input, expected, why) in cases {
        assert_eq!(ask(&aws, operation, input).err().as_deref(), Some(expected), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn listings_and_targets_keep_to_their_bounds() {
    let aws = account();
    for name in ["a", "b"] {
        ask(&aws, "PutRule", json!({ "Name": name, "EventPattern": r#"{"source":["x"]}"# })).expect("a rule");
    }
    let target = |member: &str, value: Value| {
        let mut target = json!({ "Id": "q", "Arn": sqs::arn(REGION, "q") });
        target[member] = value;
        json!({ "Rule": "a", "Targets": [target] })
    };
    let state = json!({ "Name": "c", "EventPattern": r#"{"source":["x"]}"#, "State": "ON" });
    #[rustfmt::skip]
    let cases = [
        ("ListRules", json!({ "Limit": 101 }), "ValidationException", "a page has up to 100"),
        ("ListRules", json!({ "NextToken": "x" }), "ValidationException", "no such token"),
        ("PutRule", state, "ValidationException", "no such state"),
        ("PutTargets", target("Id", json!("a b")), "ValidationException", "a space in an id"),
        ("PutTargets", target("RetryPolicy", json!({ "MaximumRetryAttempts": 186 })), "ValidationException",
         "185 retries at most"),
        ("PutTargets", target("RetryPolicy", json!({ "MaximumEventAgeInSeconds": 59 })), "ValidationException",
         "a minute at least"),
        ("CreateArchive", json!({}), "NotEmulated", "named, not passed over"),
    ];
    for (operation, input, expected, why) in cases {
        assert_eq!(ask(&aws, operation, input).err().as_deref(), Some(expected), "{why}");
    }
    let first = ask(&aws, "ListRules", json!({ "Limit": 1 })).expect("listed");
    let rest = ask(&aws, "ListRules", json!({ "Limit": 1, "NextToken": first["NextToken"] })).expect("listed");
    assert_eq!((&rest["Rules"][0]["Name"], rest.get("NextToken")), (&json!("b"), None));
    let bus = json!({ "Name": "ours", "Description": "d", "KmsKeyIdentifier": "k" });
    let made = ask(&aws, "CreateEventBus", bus).expect("a bus");
    assert_eq!((&made["Description"], &made["KmsKeyIdentifier"]), (&json!("d"), &json!("k")));
    assert_eq!(ask(&aws, "DescribeEventBus", json!({ "Name": "ours" })).expect("shown")["KmsKeyIdentifier"], "k");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_was_off_does_not_make_up_for_it() {
    let aws = account();
    queue_for(&aws, json!({ "Name": "sweep", "ScheduleExpression": "rate(1 minute)" }), "ticks");
    ask(&aws, "DisableRule", json!({ "Name": "sweep" })).expect("off");
    pass(&aws, Duration::from_secs(60)).await;
    ask(&aws, "EnableRule", json!({ "Name": "sweep" })).expect("on");
    pass(&aws, Duration::from_secs(1)).await;
    assert!(received(&aws, "ticks").is_empty(), "not at once");
    pass(&aws, Duration::from_millis(1_500)).await;
    assert_eq!(received(&aws, "ticks").len(), 1, "but when its time has come");
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_arrives_after_a_restore() {
    let aws = account();
    ask(&aws, "CreateEventBus", json!({ "Name": "ours", "Tags": [{ "Key": "a", "Value": "1" }] })).expect("a bus");
    queue_for(&aws, pattern_rule(), "events");
    queue_for(&aws, json!({ "Name": "sweep", "ScheduleExpression": "cron(0 10 * * ? *)" }), "ticks");
    emit(&aws);
    let saved = aws.eventbridge().save();
    let next = Aws::new(aws.clock(), Behaviour::default(), Faults::none(), 2).expect("an account");
    next.sqs().restore(aws.sqs().save()).expect("restored");
    next.eventbridge().restore(saved.clone()).expect("restored");
    assert_eq!(next.eventbridge().save(), saved, "nothing is lost, and nothing added");
    pass(&next, Duration::from_millis(150)).await;
    assert_eq!(received(&next, "events").len(), 1, "it was on its way");
    emit(&next);
    pass(&next, Duration::from_millis(1_950)).await;
    assert_eq!((received(&next, "events").len(), received(&next, "ticks").len()), (1, 1), "the rules are at work");
    let mut broken = saved;
    broken["buses"][0][1]["rules"]["failed"]["pattern"] = json!("{");
    assert!(next.eventbridge().restore(broken).is_err(), "what is no pattern is not taken over");
    assert_eq!(ask(&next, "ListRules", json!({})).expect("kept")["Rules"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(start_paused = true)]
async fn every_operation_that_is_listed_is_there() {
    let aws = account();
    let listed = aws.operations()["events"].clone();
    assert!(listed.is_sorted());
    for operation in listed {
        assert_ne!(ask(&aws, operation, json!({})).err().as_deref(), Some("NotEmulated"), "{operation}");
    }
}
