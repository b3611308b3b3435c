//! Scenarios: topics, subscriptions and messages through the API under a paused clock.

use crate::aws::wire::ANONYMOUS;
use crate::aws::{ACCOUNT, Aws, Behaviour, Call, Failure, sqs};
use crate::clock::Clock;
use crate::faults::{EventFault, Faults};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOME: &str = "eu-west-2";
const TOPIC: &str = "arn:aws:sns:eu-west-2:123456789012:shop";
const ALICE: &str = "alice@example.com";

fn account(strict: bool) -> Aws {
    let start = "2026-08-31T12:00:00Z".parse().unwrap();
    let behaviour = Behaviour { strict, ..Behaviour::default() };
    let aws = Aws::new(Clock::starting_at(start), behaviour, Faults::none(), 1).unwrap();
    ask(&aws, "CreateTopic", json!({ "Name": "shop" }));
    aws
}

fn ask(aws: &Aws, operation: &str, input: Value) -> Value {
    aws.ask("sns", HOME, operation, input).unwrap()
}

fn refusal(aws: &Aws, operation: &str, input: Value) -> String {
    aws.ask("sns", HOME, operation, input).unwrap_err().code
}

/// A call without a signature.
fn anonymously(aws: &Aws, operation: &str, input: Value) -> Result<Value, Failure> {
    let (operation, region, caller) = (operation.to_owned(), HOME.to_owned(), ANONYMOUS.to_owned());
    aws.call("sns", &Call { operation, region, caller, input, now: aws.clock().now() })
}

fn subscribe(aws: &Aws, protocol: &str, endpoint: &str, attributes: Value) -> String {
    let input = json!({
        "TopicArn": TOPIC, "Protocol": protocol, "Endpoint": endpoint, "Attributes": attributes,
        "ReturnSubscriptionArn": true,
    });
    ask(aws, "Subscribe", input)["SubscriptionArn"].as_str().unwrap().to_owned()
}

fn publish(aws: &Aws, message: &str) -> Value {
    ask(aws, "Publish", json!({ "TopicArn": TOPIC, "Message": message }))
}

async fn pass(aws: &Aws, milliseconds: u64) {
    tokio::select! {
        () = aws.run() => {}
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {}
    }
}

fn queue(aws: &Aws, name: &str) -> String {
    aws.ask("sqs", HOME, "CreateQueue", json!({ "QueueName": name })).unwrap();
    sqs::arn(HOME, name)
}

/// What is in a queue: body and message attributes.
fn received(aws: &Aws, name: &str) -> Vec<(String, Value)> {
    let input = json!({
        "QueueUrl": sqs::url(HOME, name), "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"],
    });
    let answer = aws.ask("sqs", HOME, "ReceiveMessage", input).unwrap();
    let shown = |message: &Value| (message["Body"].as_str().unwrap().to_owned(), message["MessageAttributes"].clone());
    answer["Messages"].as_array().into_iter().flatten().map(shown).collect()
}

fn bodies(aws: &Aws) -> Vec<String> {
    aws.sns().mail().into_iter().map(|mail| mail.body).collect()
}

/// The token in the newest mail.
fn token(aws: &Aws) -> String {
    let body = bodies(aws).pop().unwrap();
    let rest = body.split("&Token=").nth(1).unwrap();
    rest.split('&').next().unwrap().to_owned()
}

fn listed(aws: &Aws) -> Vec<String> {
    let answer = ask(aws, "ListSubscriptionsByTopic", json!({ "TopicArn": TOPIC }));
    let arn = |each: &Value| each["SubscriptionArn"].as_str().unwrap().to_owned();
    answer["Subscriptions"].as_array().unwrap().iter().map(arn).collect()
}

#[tokio::test(start_paused = true)]
async fn queues_get_an_envelope_or_the_message_itself() {
    let aws = account(true);
    let whole = subscribe(&aws, "sqs", &queue(&aws, "whole"), json!({}));
    subscribe(&aws, "sqs", &queue(&aws, "raw"), json!({ "RawMessageDelivery": "TRUE" }));
    let input = json!({
        "TopicArn": TOPIC, "Message": "say \"hi\"", "Subject": "s",
        "MessageAttributes": { "n": { "DataType": "Number", "StringValue": "7" } },
    });
    let id = ask(&aws, "Publish", input)["MessageId"].clone();
    assert!(received(&aws, "raw").is_empty(), "it takes a moment");
    pass(&aws, 100).await;
    let raw = received(&aws, "raw");
    assert_eq!(raw, [("say \"hi\"".to_owned(), json!({ "n": { "DataType": "Number", "StringValue": "7" } }))]);
    let (body, attributes) = received(&aws, "whole").pop().unwrap();
    assert_eq!(attributes, Value::Null, "they are in the envelope");
    assert!(body.starts_with("{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : "), "as AWS lays it out: {body}");
    let envelope: Value = serde_json::from_str(&body).unwrap();
    let expected = json!({
        "Type": "Notification", "MessageId": id, "TopicArn": TOPIC, "Subject": "s", "Message": "say \"hi\"",
        "Timestamp": "2026-08-31T12:00:00.000Z", "SignatureVersion": "1", "Signature": envelope["Signature"],
        "SigningCertURL": envelope["SigningCertURL"],
        "UnsubscribeURL": format!("https://sns.eu-west-2.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={whole}"),
        "MessageAttributes": { "n": { "Type": "Number", "Value": "7" } },
    });
    assert_eq!(envelope, expected);
}

#[tokio::test(start_paused = true)]
async fn functions_get_a_record() {
    let aws = account(true);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_there = seen.clone();
    let handler: crate::aws::lambda::Handler = Arc::new(move |event, _| {
        seen_there.lock().unwrap().push(event);
        Box::pin(async { Ok(Value::Null) })
    });
    aws.lambda().register("notify", handler, Duration::from_secs(3));
    let arn = subscribe(&aws, "lambda", &crate::aws::lambda::arn(HOME, "notify"), json!({}));
    publish(&aws, "hello");
    pass(&aws, 100).await;
    let record = seen.lock().unwrap().pop().unwrap()["Records"][0].clone();
    assert_eq!(record["EventSource"], "aws:sns");
    assert_eq!(record["EventSubscriptionArn"], arn);
    assert_eq!(record["Sns"]["Message"], "hello");
    assert_eq!(record["Sns"]["Subject"], Value::Null, "there, and null");
    assert_eq!(record["Sns"]["MessageAttributes"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_is_a_dead_letter() {
    let aws = account(true);
    let policy =
        |name: &str| json!({ "RedrivePolicy": json!({ "deadLetterTargetArn": queue(&aws, name) }).to_string() });
    subscribe(&aws, "sqs", &sqs::arn(HOME, "nowhere"), policy("of-a-queue"));
    subscribe(&aws, "lambda", &crate::aws::lambda::arn(HOME, "nobody"), policy("of-a-function"));
    subscribe(&aws, "sqs", &sqs::arn(HOME, "elsewhere"), json!({}));
    publish(&aws, "lost");
    pass(&aws, 100).await;
    for name in ["of-a-queue", "of-a-function"] {
        let (body, _) = received(&aws, name).pop().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["Message"], "lost", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn people_confirm_where_names_are_taken_seriously() {
    let aws = account(true);
    let told = Arc::new(Mutex::new(0));
    let told_there = told.clone();
    aws.sns().on_mail(move |_| *told_there.lock().unwrap() += 1);
    let plain = json!({ "TopicArn": TOPIC, "Protocol": "email", "Endpoint": ALICE });
    assert_eq!(ask(&aws, "Subscribe", plain)["SubscriptionArn"], "pending confirmation");
    let first = token(&aws);
    let arn = subscribe(&aws, "email", ALICE, json!({}));
    assert_eq!(bodies(&aws).len(), 2, "asked again, told again");
    assert_eq!(listed(&aws), ["PendingConfirmation"], "and still one subscription");
    publish(&aws, "too early");
    pass(&aws, 100).await;
    assert_eq!(bodies(&aws).len(), 2, "nobody gets what was published before");
    let confirm = |token: &str| json!({ "TopicArn": TOPIC, "Token": token });
    assert_eq!(refusal(&aws, "ConfirmSubscription", confirm(&first)), "InvalidParameter", "an older token");
    assert_eq!(refusal(&aws, "ConfirmSubscription", confirm("x")), "InvalidParameter", "no token");
    let token = token(&aws);
    assert_eq!(ask(&aws, "ConfirmSubscription", confirm(&token))["SubscriptionArn"], arn);
    assert_eq!(ask(&aws, "ConfirmSubscription", confirm(&token))["SubscriptionArn"], arn, "twice is once");
    publish(&aws, "hello");
    pass(&aws, 100).await;
    let mail = aws.sns().mail().pop().unwrap();
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (ALICE, "AWS Notification Message"));
    let link = format!("https://sns.eu-west-2.amazonaws.com/unsubscribe.html?SubscriptionArn={arn}&Endpoint={ALICE}");
    assert!(mail.body.starts_with("hello\n\n--\nIf you wish to stop") && mail.body.contains(&link), "{}", mail.body);
    assert_eq!(*told.lock().unwrap(), 3, "the listener heard of each");
    let shown = serde_json::to_value(&mail).unwrap();
    assert_eq!(shown["at"], "2026-08-31T12:00:00.13Z", "RFC 3339");
}

#[tokio::test(start_paused = true)]
async fn nobody_confirms_where_names_are_made_on_first_use() {
    let aws = account(false);
    let plain = json!({ "TopicArn": TOPIC, "Protocol": "email-json", "Endpoint": ALICE });
    let arn = ask(&aws, "Subscribe", plain)["SubscriptionArn"].clone();
    assert_eq!(listed(&aws), [arn.as_str().unwrap()]);
    publish(&aws, "hello");
    pass(&aws, 100).await;
    let envelope: Value = serde_json::from_str(&bodies(&aws).pop().unwrap()).unwrap();
    assert_eq!(envelope["Message"], "hello", "JSON, and no footer");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_confirms_is_forgotten_after_two_days() {
    let aws = account(true);
    subscribe(&aws, "email", ALICE, json!({}));
    let token = token(&aws);
    pass(&aws, 48 * 3_600_000 - 1).await;
    assert_eq!(listed(&aws), ["PendingConfirmation"]);
    pass(&aws, 2).await;
    assert!(listed(&aws).is_empty());
    let late = json!({ "TopicArn": TOPIC, "Token": token });
    assert_eq!(refusal(&aws, "ConfirmSubscription", late), "InvalidParameter");
}

#[tokio::test(start_paused = true)]
async fn too_many_mails_in_a_second_have_to_be_confirmed_again() {
    let aws = account(false);
    let arn = subscribe(&aws, "email", ALICE, json!({}));
    let bob = subscribe(&aws, "email", "bob@example.com", json!({}));
    for number in 0..5 {
        publish(&aws, &number.to_string());
    }
    pass(&aws, 900).await;
    for number in 5..10 {
        publish(&aws, &number.to_string());
    }
    pass(&aws, 60).await;
    assert_eq!(bodies(&aws).len(), 20, "ten each are fine");
    ask(&aws, "Unsubscribe", json!({ "SubscriptionArn": bob }));
    publish(&aws, "one too many");
    pass(&aws, 60).await;
    assert_eq!(bodies(&aws).len(), 21, "only that it is off");
    let shown = ask(&aws, "GetSubscriptionAttributes", json!({ "SubscriptionArn": arn }));
    assert_eq!(shown["Attributes"]["PendingConfirmation"], "true");
    ask(&aws, "ConfirmSubscription", json!({ "TopicArn": TOPIC, "Token": token(&aws) }));
    publish(&aws, "back");
    pass(&aws, 60).await;
    assert!(bodies(&aws).pop().unwrap().starts_with("back"));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_mail_can_end_it_unless_a_signature_is_asked_for() {
    let aws = account(true);
    let end = |arn: &str| anonymously(&aws, "Unsubscribe", json!({ "SubscriptionArn": arn }));
    let confirm = |token: &str, authenticate: &str| json!({ "TopicArn": TOPIC, "Token": token, "AuthenticateOnUnsubscribe": authenticate });
    let arn = subscribe(&aws, "email", ALICE, json!({}));
    assert_eq!(end(&arn).unwrap_err().code, "InvalidParameter", "not yet confirmed");
    let first = token(&aws);
    let refused = anonymously(&aws, "ConfirmSubscription", confirm(&first, "true")).unwrap_err();
    assert_eq!(refused.code, "AuthorizationError", "that takes a signature itself");
    anonymously(&aws, "ConfirmSubscription", confirm(&first, "false")).unwrap();
    end(&arn).unwrap();
    assert_eq!(listed(&aws), ["Deleted"]);
    assert!(aws.sns().mail().pop().unwrap().subject.contains("Unsubscribe Confirmation"));
    ask(&aws, "ConfirmSubscription", confirm(&token(&aws), "true"));
    assert_eq!(listed(&aws), [arn.as_str()], "the way back");
    assert_eq!(end(&arn).unwrap_err().code, "AuthorizationError", "protected");
    anonymously(&aws, "ConfirmSubscription", confirm(&token(&aws), "false")).unwrap();
    assert_eq!(end(&arn).unwrap_err().code, "AuthorizationError", "a click does not undo that");
    let shown = ask(&aws, "GetSubscriptionAttributes", json!({ "SubscriptionArn": arn }));
    assert_eq!(shown["Attributes"]["ConfirmationWasAuthenticated"], "true");
    let mails = bodies(&aws).len();
    ask(&aws, "Unsubscribe", json!({ "SubscriptionArn": arn }));
    assert_eq!((bodies(&aws).len(), listed(&aws)), (mails, vec!["Deleted".to_owned()]), "its owner may, in silence");
    let again = subscribe(&aws, "email", ALICE, json!({}));
    assert_eq!((again == arn, listed(&aws)), (false, vec!["PendingConfirmation".to_owned()]), "a new one in its place");
    let work = subscribe(&aws, "sqs", &queue(&aws, "work"), json!({}));
    assert_eq!(end(&work).unwrap_err().code, "AuthorizationError", "queues have no mail");
    pass(&aws, 49 * 3_600_000).await;
    assert_eq!(listed(&aws), [work]);
}

#[tokio::test(start_paused = true)]
async fn what_a_click_confirmed_can_be_protected_later() {
    let aws = account(true);
    let arn = subscribe(&aws, "email", ALICE, json!({}));
    let shown = || ask(&aws, "GetSubscriptionAttributes", json!({ "SubscriptionArn": arn }))["Attributes"].clone();
    let mut confirm = json!({ "TopicArn": TOPIC, "Token": token(&aws) });
    anonymously(&aws, "ConfirmSubscription", confirm.clone()).unwrap();
    assert_eq!(shown()["ConfirmationWasAuthenticated"], "false");
    confirm["AuthenticateOnUnsubscribe"] = json!("true");
    ask(&aws, "ConfirmSubscription", confirm);
    assert_eq!(shown()["ConfirmationWasAuthenticated"], "true");
}

#[tokio::test(start_paused = true)]
async fn who_listens_late_hears_of_the_mail_before() {
    let aws = account(true);
    subscribe(&aws, "email", ALICE, json!({}));
    let told = Arc::new(Mutex::new(0));
    let told_there = told.clone();
    aws.sns().on_mail(move |_| *told_there.lock().unwrap() += 1);
    assert_eq!(*told.lock().unwrap(), 1);
    subscribe(&aws, "email", ALICE, json!({}));
    assert_eq!(*told.lock().unwrap(), 2, "each once");
}

#[tokio::test(start_paused = true)]
async fn everything_survives_being_saved() {
    let aws = account(true);
    subscribe(&aws, "sqs", &queue(&aws, "work"), json!({ "FilterPolicy": "{\"a\":[\"x\"]}" }));
    subscribe(&aws, "email", ALICE, json!({}));
    publish(&aws, "filtered");
    subscribe(&aws, "sqs", &queue(&aws, "other"), json!({}));
    publish(&aws, "on its way");
    let saved = aws.sns().save();
    let other = account(true);
    queue(&other, "other");
    other.sns().restore(saved.clone()).unwrap();
    assert_eq!(other.sns().save(), saved);
    pass(&other, 100).await;
    assert_eq!((received(&other, "other").len(), other.sns().mail().len()), (1, 1));
    assert!(other.sns().restore(json!({ "topics": 5 })).is_err());
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_that_end() {
    let aws = account(true);
    for number in 0..250 {
        ask(&aws, "CreateTopic", json!({ "Name": format!("t-{number}") }));
    }
    let (mut seen, mut pages, mut token) = (std::collections::BTreeSet::new(), 0, Value::Null);
    loop {
        let answer = ask(&aws, "ListTopics", json!({ "NextToken": token }));
        seen.extend(answer["Topics"].as_array().unwrap().iter().map(|topic| topic["TopicArn"].to_string()));
        pages += 1;
        match answer.get("NextToken") {
            Some(next) => token = next.clone(),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (251, 3));
    assert_eq!(refusal(&aws, "ListTopics", json!({ "NextToken": "?" })), "InvalidParameter");
    let elsewhere = aws.ask("sns", "us-east-1", "ListTopics", json!({})).unwrap();
    assert_eq!(elsewhere, json!({ "Topics": [] }), "another region has none");
}

#[tokio::test(start_paused = true)]
async fn topics_are_refused_as_sns_refuses_them() {
    let aws = account(true);
    let named = |name: &str| json!({ "Name": name });
    let with = |attributes: Value| json!({ "Name": "shop", "Attributes": attributes });
    let fresh = |attributes: Value| json!({ "Name": "new", "Attributes": attributes });
    let tagged = |value: &str| json!({ "Name": "shop", "Tags": [{ "Key": "a", "Value": value }] });
    let at = |arn: &str| json!({ "TopicArn": arn });
    let other_account = TOPIC.replace(ACCOUNT, "999999999999");
    let fifty_one: Vec<Value> = (0..51).map(|n| json!({ "Key": n.to_string(), "Value": "" })).collect();
    #[rustfmt::skip]
    let cases = [
        ("CreateTopic",        named("shop"),                                     None,                     "as it is"),
        ("CreateTopic",        with(json!({ "DisplayName": "" })),                None,                     "the default"),
        ("CreateTopic",        with(json!({ "DisplayName": "x" })),               Some("InvalidParameter"), "another"),
        ("CreateTopic",        tagged("1"),                                       Some("InvalidParameter"), "another tag"),
        ("CreateTopic",        named("a b"),                                      Some("InvalidParameter"), "a space"),
        ("CreateTopic",        named(&"x".repeat(257)),                           Some("InvalidParameter"), "too long"),
        ("CreateTopic",        named("x.fifo"),                                   Some("InvalidParameter"), "the name alone"),
        ("CreateTopic",        fresh(json!({ "FifoTopic": "true" })),             Some("InvalidParameter"), "the attribute alone"),
        ("CreateTopic",        json!({ "Name": "x.fifo", "Attributes": { "FifoTopic": "true" } }),
                                                                                  Some("NotEmulated"),      "said by name"),
        ("CreateTopic",        fresh(json!({ "FifoTopic": "false" })),            None,                     "not one"),
        ("CreateTopic",        fresh(json!({ "Colour": "blue" })),                Some("InvalidParameter"), "no such attribute"),
        ("CreateTopic",        fresh(json!({ "MaximumMessageSize": "1023" })),    Some("InvalidParameter"), "too small"),
        ("GetTopicAttributes", at("shop"),                                        Some("InvalidParameter"), "no ARN"),
        ("GetTopicAttributes", at(&TOPIC.replace("eu-west-2", "us-east-1")),      Some("InvalidParameter"), "another region"),
        ("GetTopicAttributes", at(&other_account),                                Some("AuthorizationError"), "another account"),
        ("GetTopicAttributes", at(&TOPIC.replace("shop", "nope")),                Some("NotFound"),         "not there"),
        ("DeleteTopic",        at(&TOPIC.replace("shop", "nope")),                None,                     "gone is gone"),
        ("TagResource",        json!({ "ResourceArn": TOPIC, "Tags": fifty_one }), Some("TagLimitExceeded"), "51 tags"),
        ("TagResource",        json!({ "ResourceArn": TOPIC.replace("shop", "nope"), "Tags": [] }),
                                                                                  Some("ResourceNotFound"), "not there"),
        ("AddPermission",      at(TOPIC),                                         Some("NotEmulated"),      "said by name"),
    ];
    for (operation, input, expected, why) in cases {
        let refused = aws.ask("sns", HOME, operation, input).err().map(|failure| failure.code);
        assert_eq!(refused.as_deref(), expected, "{operation}: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn large_topics_have_no_mail() {
    let aws = account(true);
    let size =
        |bytes: &str| json!({ "TopicArn": TOPIC, "AttributeName": "MaximumMessageSize", "AttributeValue": bytes });
    let message = json!({ "TopicArn": TOPIC, "Message": "x".repeat(262_145) });
    assert_eq!(refusal(&aws, "Publish", message.clone()), "InvalidParameter", "a byte above 256 KiB");
    ask(&aws, "SetTopicAttributes", size("1048576"));
    ask(&aws, "Publish", message);
    let alice = json!({ "TopicArn": TOPIC, "Protocol": "email", "Endpoint": ALICE });
    assert_eq!(refusal(&aws, "Subscribe", alice.clone()), "InvalidParameter");
    ask(&aws, "SetTopicAttributes", size("1024"));
    ask(&aws, "Subscribe", alice);
    assert_eq!(refusal(&aws, "SetTopicAttributes", size("262145")), "InvalidParameter");
}

#[tokio::test(start_paused = true)]
async fn a_notification_may_come_twice_late_or_never() {
    #[rustfmt::skip]
    let cases = [
        // fault, mails soon, mails in the end
        (EventFault::Duplicate,                          2, 2),
        (EventFault::Delay(Duration::from_secs(60)),     0, 1),
        (EventFault::Never,                              0, 0),
    ];
    for (fault, soon, in_the_end) in cases {
        let aws = account(false);
        subscribe(&aws, "email", ALICE, json!({}));
        aws.faults().next_event("shop", fault.clone());
        ask(&aws, "Publish", json!({ "TopicArn": TOPIC, "Message": "x" }));
        pass(&aws, 5_000).await;
        assert_eq!(aws.sns().mail().len(), soon, "{fault:?}");
        pass(&aws, 60_000).await;
        assert_eq!(aws.sns().mail().len(), in_the_end, "{fault:?}");
    }
}
