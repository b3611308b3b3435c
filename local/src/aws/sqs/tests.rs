use crate::aws::wire::testing::account;
use crate::aws::{Aws, Behaviour, sqs};
use crate::faults::Faults;
use serde_json::{Value, json};
use std::time::Duration;

const REGION: &str = "us-east-1";

fn ask(aws: &Aws, operation: &str, input: Value) -> Result<Value, String> {
    aws.ask("sqs", REGION, operation, input).map_err(|failure| failure.code)
}

fn create(aws: &Aws, name: &str, attributes: Value) {
    ask(aws, "CreateQueue", json!({ "QueueName": name, "Attributes": attributes })).expect("created");
}

fn send(aws: &Aws, queue: &str, group: Option<&str>, body: &str) -> Value {
    let mut input = json!({ "QueueUrl": sqs::url(REGION, queue), "MessageBody": body });
    if let Some(group) = group {
        input["MessageGroupId"] = json!(group);
    }
    ask(aws, "SendMessage", input).expect("sent")
}

/// Receives up to ten messages: (body, receipt handle).
fn receive(aws: &Aws, queue: &str) -> Vec<(String, String)> {
    let input = json!({ "QueueUrl": sqs::url(REGION, queue), "MaxNumberOfMessages": 10 });
    let answer = ask(aws, "ReceiveMessage", input).expect("received");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
    messages.iter().map(|message| (text(&message["Body"]), text(&message["ReceiptHandle"]))).collect()
}

fn bodies(received: &[(String, String)]) -> Vec<&str> {
    received.iter().map(|(body, _)| body.as_str()).collect()
}

fn delete(aws: &Aws, queue: &str, handle: &str) -> Result<Value, String> {
    ask(aws, "DeleteMessage", json!({ "QueueUrl": sqs::url(REGION, queue), "ReceiptHandle": handle }))
}

fn fifo() -> Value {
    json!({ "FifoQueue": "true", "ContentBasedDeduplication": "true" })
}

#[tokio::test(start_paused = true)]
async fn queues_are_made_once() {
    let aws = account();
    let redrive = |target: &str| {
        let policy = json!({ "deadLetterTargetArn": sqs::arn(REGION, target), "maxReceiveCount": 1 });
        json!({ "RedrivePolicy": policy.to_string() })
    };
    #[rustfmt::skip]
    let cases = [
        // name    attributes                       expected                       why
        ("plain",  json!({}),                       None,                          "new"),
        ("plain",  json!({ "DelaySeconds": "0" }),  None,                          "the same: 0 is the default"),
        ("plain",  json!({ "DelaySeconds": "5" }),  Some("QueueNameExists"),       "another delay"),
        ("a.fifo", json!({}),                       Some("InvalidParameterValue"), "the name alone is not enough"),
        ("a.fifo", json!({ "FifoQueue": "true" }),  None,                          "both are"),
        ("b",      json!({ "FifoQueue": "true" }),  Some("InvalidParameterValue"), "nor is the attribute"),
        ("a b",    json!({}),                       Some("InvalidParameterValue"), "a space"),
        ("lost",   redrive("nowhere"),              Some("InvalidParameterValue"), "no such dead-letter queue"),
        ("mixed",  redrive("a.fifo"),               Some("InvalidParameterValue"), "a standard queue, FIFO letters"),
    ];
    for (name, attributes, expected, why) in cases {
        let answer = ask(&aws, "CreateQueue", json!({ "QueueName": name, "Attributes": attributes }));
        assert_eq!(answer.err().as_deref(), expected, "{why}");
    }
    let lookup = |region: &str| aws.ask("sqs", region, "GetQueueUrl", json!({ "QueueName": "plain" })).is_ok();
    assert!(lookup(REGION) && !lookup("eu-west-2"), "queues are per region");
    let other_host = json!({ "QueueUrl": "http://127.0.0.1:4566/123456789012/plain", "AttributeNames": ["All"] });
    let attributes = ask(&aws, "GetQueueAttributes", other_host).expect("found by its name alone");
    assert_eq!(attributes["Attributes"]["VisibilityTimeout"], "30");
}

#[tokio::test(start_paused = true)]
async fn a_received_message_hides_until_its_time_is_over() {
    let aws = account();
    create(&aws, "work", json!({ "VisibilityTimeout": "30" }));
    send(&aws, "work", None, "a");
    let first = receive(&aws, "work");
    assert_eq!(bodies(&first), ["a"]);
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert!(receive(&aws, "work").is_empty(), "still hidden");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = receive(&aws, "work");
    assert_eq!(bodies(&second), ["a"], "back");
    delete(&aws, "work", &first[0].1).expect("an older handle is answered with success");
    let visibility =
        json!({ "QueueUrl": sqs::url(REGION, "work"), "ReceiptHandle": second[0].1, "VisibilityTimeout": 0 });
    ask(&aws, "ChangeMessageVisibility", visibility.clone()).expect("shown again");
    assert_eq!(ask(&aws, "ChangeMessageVisibility", visibility).err().as_deref(), Some("MessageNotInflight"));
    let third = receive(&aws, "work");
    assert_eq!(bodies(&third), ["a"], "the older handle did not delete it");
    delete(&aws, "work", &third[0].1).expect("deleted");
    delete(&aws, "work", &third[0].1).expect("deleting twice succeeds");
    assert_eq!(delete(&aws, "work", "nonsense").err().as_deref(), Some("ReceiptHandleIsInvalid"));
}

#[tokio::test(start_paused = true)]
async fn a_fifo_group_waits_for_its_message_in_flight() {
    let aws = account();
    create(&aws, "changes.fifo", fifo());
    for (group, body) in [("A", "a1"), ("B", "b1"), ("A", "a2")] {
        send(&aws, "changes.fifo", Some(group), body);
    }
    let first = receive(&aws, "changes.fifo");
    assert_eq!(bodies(&first), ["a1", "a2", "b1"], "one group after the other, each in order");
    send(&aws, "changes.fifo", Some("A"), "a3");
    send(&aws, "changes.fifo", Some("C"), "c1");
    assert_eq!(bodies(&receive(&aws, "changes.fifo")), ["c1"], "A is closed, C is not");
    delete(&aws, "changes.fifo", &first[0].1).expect("a1 done");
    assert!(receive(&aws, "changes.fifo").is_empty(), "a2 is still in flight");
    delete(&aws, "changes.fifo", &first[1].1).expect("a2 done");
    assert_eq!(bodies(&receive(&aws, "changes.fifo")), ["a3"]);
    tokio::time::sleep(Duration::from_secs(31)).await;
    let expired = delete(&aws, "changes.fifo", &first[2].1).err();
    assert_eq!(expired.as_deref(), Some("InvalidParameterValue"), "a FIFO receipt ends with its visibility");
}

#[tokio::test(start_paused = true)]
async fn a_fifo_queue_remembers_for_five_minutes() {
    let aws = account();
    create(&aws, "changes.fifo", fifo());
    let first = send(&aws, "changes.fifo", Some("A"), "same");
    let repeated = send(&aws, "changes.fifo", Some("B"), "same");
    assert_eq!(first["MessageId"], repeated["MessageId"], "the same message, also in another group");
    assert_eq!(first["SequenceNumber"], repeated["SequenceNumber"]);
    let received = receive(&aws, "changes.fifo");
    assert_eq!(received.len(), 1);
    delete(&aws, "changes.fifo", &received[0].1).expect("deleted");
    send(&aws, "changes.fifo", Some("A"), "same");
    assert!(receive(&aws, "changes.fifo").is_empty(), "remembered beyond its deletion");
    tokio::time::sleep(Duration::from_secs(301)).await;
    send(&aws, "changes.fifo", Some("A"), "same");
    assert_eq!(receive(&aws, "changes.fifo").len(), 1, "forgotten");
}

#[tokio::test(start_paused = true)]
async fn dead_letters_keep_their_id_and_find_their_way_back() {
    let aws = account();
    create(&aws, "dead.fifo", fifo());
    let policy = json!({ "deadLetterTargetArn": sqs::arn(REGION, "dead.fifo"), "maxReceiveCount": 2 }).to_string();
    let mut attributes = fifo();
    (attributes["VisibilityTimeout"], attributes["RedrivePolicy"]) = (json!("0"), json!(policy));
    create(&aws, "work.fifo", attributes);
    let sent = send(&aws, "work.fifo", Some("A"), "poison");
    send(&aws, "work.fifo", Some("A"), "fine");
    assert_eq!(receive(&aws, "work.fifo").len(), 2);
    assert_eq!(receive(&aws, "work.fifo").len(), 2);
    assert!(receive(&aws, "work.fifo").is_empty(), "twice is enough");
    let mut input = json!({ "QueueUrl": sqs::url(REGION, "dead.fifo"), "VisibilityTimeout": 0 });
    input["MessageSystemAttributeNames"] = json!(["All"]);
    let dead = ask(&aws, "ReceiveMessage", input).expect("received");
    assert_eq!(dead["Messages"][0]["MessageId"], sent["MessageId"]);
    assert_eq!(dead["Messages"][0]["Attributes"]["MessageGroupId"], "A");
    assert_eq!(dead["Messages"][0]["Attributes"]["ApproximateReceiveCount"], "3", "counted on");
    assert_eq!(dead["Messages"][0]["Attributes"]["DeadLetterQueueSourceArn"], sqs::arn(REGION, "work.fifo"));
    let source = json!({ "SourceArn": sqs::arn(REGION, "dead.fifo") });
    ask(&aws, "StartMessageMoveTask", source.clone()).expect("moved");
    let tasks = ask(&aws, "ListMessageMoveTasks", source).expect("listed");
    assert_eq!(tasks["Results"][0]["ApproximateNumberOfMessagesMoved"], 2);
    assert_eq!(bodies(&receive(&aws, "work.fifo")), ["poison", "fine"]);
    let other = json!({ "SourceArn": sqs::arn(REGION, "work.fifo") });
    assert_eq!(
        ask(&aws, "StartMessageMoveTask", other).err().as_deref(),
        Some("InvalidParameterValue"),
        "no dead letters there"
    );
}

#[tokio::test(start_paused = true)]
async fn delays_and_retention_follow_the_clock() {
    let aws = account();
    create(&aws, "slow", json!({ "DelaySeconds": "10", "MessageRetentionPeriod": "60" }));
    send(&aws, "slow", None, "a");
    assert!(receive(&aws, "slow").is_empty(), "delayed");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(receive(&aws, "slow").len(), 1);
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(receive(&aws, "slow").is_empty(), "too old");
}

#[tokio::test(start_paused = true)]
async fn batches_are_checked_as_a_whole_and_one_by_one() {
    let aws = account();
    create(&aws, "work", json!({}));
    let entry = |id: &str, body: &str| json!({ "Id": id, "MessageBody": body });
    let large = "x".repeat(600_000);
    let eleven: Vec<_> = (0..11).map(|n| entry(&n.to_string(), "x")).collect();
    #[rustfmt::skip]
    let cases = [
        (vec![],                                       Some("EmptyBatchRequest"),            "nothing"),
        (eleven,                                       Some("TooManyEntriesInBatchRequest"), "eleven"),
        (vec![entry("a", "x"), entry("a", "y")],       Some("BatchEntryIdsNotDistinct"),     "one id twice"),
        (vec![entry("a b", "x")],                      Some("InvalidBatchEntryId"),          "a space"),
        (vec![entry("a", &large), entry("b", &large)], Some("BatchRequestTooLong"),          "together above 1 MiB"),
        (vec![entry("a", "x"), entry("b", "\u{0}")],   None,                                 "one of them fails alone"),
    ];
    for (entries, expected, why) in cases {
        let answer = ask(&aws, "SendMessageBatch", json!({ "QueueUrl": sqs::url(REGION, "work"), "Entries": entries }));
        assert_eq!(answer.as_ref().err().map(String::as_str), expected, "{why}");
        if let Ok(answer) = answer {
            assert_eq!(
                (&answer["Successful"][0]["Id"], &answer["Failed"][0]["Code"]),
                (&json!("a"), &json!("InvalidMessageContents"))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_and_attributes_are_refused_as_sqs_refuses_them() {
    let aws = account();
    create(&aws, "work", json!({}));
    create(&aws, "work2", json!({}));
    let queue = sqs::url(REGION, "work");
    let fifo_true = json!({ "FifoQueue": "true" });
    let too_fast = json!({ "SourceArn": sqs::arn(REGION, "work"), "MaxNumberOfMessagesPerSecond": 501 });
    #[rustfmt::skip]
    let cases = [
        ("CreateQueue", json!({ "QueueName": "x.fifo" }), "InvalidParameterValue", "Can only include",
         "a standard queue whose name has a dot"),
        ("CreateQueue", json!({ "QueueName": "x", "Attributes": fifo_true }), "InvalidParameterValue",
         "must end with .fifo", "a FIFO queue whose name does not say so"),
        ("CreateQueue", json!({ "QueueName": ".fifo", "Attributes": fifo_true }), "InvalidParameterValue",
         "must end with .fifo", "nothing before the suffix"),
        ("GetQueueAttributes", json!({ "QueueUrl": queue, "AttributeNames": ["Colour"] }), "InvalidAttributeName",
         "Unknown Attribute Colour.", "no such attribute"),
        ("ListQueues", json!({ "NextToken": "x" }), "InvalidParameterValue", "NextToken", "no such token"),
        ("ListQueues", json!({ "MaxResults": 1001 }), "InvalidParameterValue", "MaxResults", "a page has up to 1000"),
        ("StartMessageMoveTask", too_fast, "InvalidParameterValue", "Dead Letter Queue",
         "the source is looked at before the speed"),
        ("AddPermission", json!({}), "NotEmulated", "AddPermission", "named, not passed over"),
    ];
    for (operation, input, code, sentence, why) in cases {
        let failure = aws.ask("sqs", REGION, operation, input).expect_err(why);
        assert_eq!(failure.code, code, "{why}");
        assert!(failure.message.contains(sentence), "{why}: {}", failure.message);
    }
    let all = ask(&aws, "ListQueues", json!({})).expect("listed");
    assert!(all.get("NextToken").is_none(), "a page is asked for, or there is none");
    let first = ask(&aws, "ListQueues", json!({ "MaxResults": 1 })).expect("listed");
    let rest = ask(&aws, "ListQueues", json!({ "MaxResults": 1, "NextToken": first["NextToken"] })).expect("listed");
    assert_eq!((&rest["QueueUrls"][0], rest.get("NextToken")), (&json!(sqs::url(REGION, "work2")), None));
}

#[tokio::test(start_paused = true)]
async fn a_restored_queue_goes_on_where_it_was() {
    let aws = account();
    create(&aws, "dead.fifo", fifo());
    let policy = json!({ "deadLetterTargetArn": sqs::arn(REGION, "dead.fifo"), "maxReceiveCount": 3 }).to_string();
    let mut attributes = fifo();
    attributes["RedrivePolicy"] = json!(policy);
    create(&aws, "work.fifo", attributes);
    create(&aws, "plain", json!({ "DelaySeconds": "5" }));
    ask(&aws, "TagQueue", json!({ "QueueUrl": "plain", "Tags": { "a": "1" } })).expect("tagged");
    send(&aws, "plain", None, "late");
    send(&aws, "work.fifo", Some("A"), "a1");
    let in_flight = receive(&aws, "work.fifo");
    send(&aws, "work.fifo", Some("A"), "a2");
    let saved = aws.sqs().save();
    let next = Aws::new(aws.clock(), Behaviour::default(), Faults::none(), 2).expect("an account");
    next.sqs().restore(saved.clone()).expect("restored");
    assert_eq!(next.sqs().save(), saved, "nothing is lost, and nothing added");
    assert!(receive(&next, "work.fifo").is_empty(), "a1 is still in flight and closes its group");
    send(&next, "work.fifo", Some("A"), "a1");
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(bodies(&receive(&next, "work.fifo")), ["a1", "a2"], "back, in order, and not doubled");
    assert_eq!(bodies(&receive(&next, "plain")), ["late"]);
    let expired = delete(&next, "work.fifo", &in_flight[0].1).err();
    assert_eq!(expired.as_deref(), Some("InvalidParameterValue"), "the receipt was read, and is too old");
    assert!(next.sqs().restore(json!({ "queues": 1 })).is_err());
    assert_eq!(ask(&next, "ListQueueTags", json!({ "QueueUrl": "plain" })).expect("kept")["Tags"]["a"], "1");
}

#[tokio::test(start_paused = true)]
async fn every_operation_that_is_listed_is_there() {
    let aws = account();
    let listed = aws.operations()["sqs"].clone();
    assert!(listed.is_sorted());
    for operation in listed {
        assert_ne!(ask(&aws, operation, json!({})).err().as_deref(), Some("NotEmulated"), "{operation}");
    }
}
