use super::*;
use crate::aws::wire::testing::account;

const REGION: &str = "us-east-1";

/// A function that does `what` and notes each event that it gets.
fn noting<F>(what: F) -> (Handler, Arc<Mutex<Vec<Value>>>)
where
    F: Fn(Value) -> Answer + Send + Sync + 'static,
{
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let notes = seen.clone();
    let handler: Handler = Arc::new(move |event, _| {
        lock(&notes).push(event.clone());
        what(event)
    });
    (handler, seen)
}

fn at_once(answer: impl Fn(&Value) -> Result<Value, String> + Send + Sync + 'static) -> impl Fn(Value) -> Answer {
    let answer = Arc::new(answer);
    move |event| {
        let answer = answer.clone();
        Box::pin(async move { answer(&event) })
    }
}

async fn pass(aws: &Aws, time: Duration) {
    tokio::select! {
        biased;
        () = aws.run() => {}
        () = tokio::time::sleep(time) => {}
    }
}

fn queue(aws: &Aws, name: &str, attributes: Value) {
    aws.ask("sqs", REGION, "CreateQueue", json!({ "QueueName": name, "Attributes": attributes })).expect("a queue");
}

fn map(aws: &Aws, function: &str, queue: &str) {
    let mapping = QueueMapping {
        function: function.to_owned(),
        queue_arn: super::super::sqs::arn(REGION, queue),
        batch_size: 10,
        report_batch_item_failures: true,
        max_concurrency: None,
    };
    aws.lambda().map_queue(aws, mapping).expect("mapped");
}

fn send(aws: &Aws, queue: &str, group: &str, body: &str) {
    let input = json!({ "QueueUrl": queue, "MessageBody": body, "MessageGroupId": group });
    aws.ask("sqs", REGION, "SendMessage", input).expect("sent");
}

fn bodies(seen: &Mutex<Vec<Value>>) -> Vec<Vec<String>> {
    let body = |record: &Value| record["body"].as_str().unwrap_or_default().to_owned();
    lock(seen).iter().map(|event| event["Records"].as_array().expect("records").iter().map(body).collect()).collect()
}

/// Answers that every message whose body is `bad` failed.
fn failing(bad: &'static str) -> impl Fn(Value) -> Answer {
    at_once(move |event| {
        let records = event["Records"].as_array().expect("records").iter();
        let failed = records
            .filter(|record| record["body"] == bad)
            .map(|record| json!({ "itemIdentifier": record["messageId"] }));
        Ok(json!({ "batchItemFailures": failed.collect::<Vec<_>>() }))
    })
}

#[tokio::test(start_paused = true)]
async fn whatever_a_function_does_its_caller_gets_an_answer() {
    let aws = account();
    let panics: Handler = Arc::new(|_, _| Box::pin(async { panic!("as intended") }));
    let hangs: Handler = Arc::new(|_, _| Box::pin(std::future::pending()));
    let fails: Handler = Arc::new(|_, _| Box::pin(async { Err("no".to_owned()) }));
    let works: Handler = Arc::new(|event, _| Box::pin(async { Ok(event) }));
    for (name, handler) in [("panics", panics), ("hangs", hangs), ("fails", fails), ("works", works)] {
        aws.lambda().register(name, handler, Duration::from_secs(10));
    }
    #[rustfmt::skip]
    let cases = [
        ("works",  Ok(json!(1)),                "its answer"),
        ("fails",  Err("no"),                   "its own error"),
        ("panics", Err("Runtime exited"),       "a panic is a failed invocation"),
        ("hangs",  Err("timed out after 10.00 seconds"), "killed at its deadline"),
        ("nobody", Err("Function not found"),   "no such function"),
    ];
    for (name, expected, why) in cases {
        match (aws.lambda().invoke(&aws, name, json!(1)).await, expected) {
            (Ok(answer), Ok(expected)) => assert_eq!(answer, expected, "{why}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{why}: {error}"),
            (seen, _) => panic!("{why}: {seen:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_invocation_is_tried_three_times_and_then_handed_over() {
    let aws = account();
    queue(&aws, "failed", json!({}));
    let (handler, seen) = noting(at_once(|_| Err("no".to_owned())));
    aws.lambda().register("fails", handler, Duration::from_secs(10));
    let on_failure = Some(super::super::sqs::arn(REGION, "failed"));
    aws.lambda().configure_asynchronous("fails", AsyncSettings { on_failure, ..AsyncSettings::default() });
    aws.lambda().invoke_later(&aws, REGION, "fails", json!({ "n": 1 })).expect("accepted");
    #[rustfmt::skip]
    let cases = [(1, 1, "at once"), (58, 1, "not within a minute"), (2, 2, "after one minute"), (118, 2, "not yet"),
     (3, 3, "after two more"), (900, 3, "never again")];
    for (seconds, attempts, why) in cases {
        pass(&aws, Duration::from_secs(seconds)).await;
        assert_eq!(lock(&seen).len(), attempts, "{why}");
    }
    let letter = aws.ask("sqs", REGION, "ReceiveMessage", json!({ "QueueUrl": "failed" })).expect("received");
    let body: Value = serde_json::from_str(letter["Messages"][0]["Body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(
        (&body["requestPayload"]["n"], &body["requestContext"]["approximateInvokeCount"]),
        (&json!(1), &json!(3))
    );
}

#[tokio::test(start_paused = true)]
async fn only_failed_messages_come_back() {
    let aws = account();
    queue(&aws, "work", json!({ "VisibilityTimeout": "30" }));
    let (handler, seen) = noting(failing("bad"));
    aws.lambda().register("worker", handler, Duration::from_secs(10));
    for body in ["good", "bad", "fine"] {
        send(&aws, "work", "g", body);
    }
    map(&aws, "worker", "work");
    pass(&aws, Duration::from_secs(29)).await;
    assert_eq!(bodies(&seen), [["good", "bad", "fine"]], "one batch");
    pass(&aws, Duration::from_secs(2)).await;
    assert_eq!(bodies(&seen)[1..], [["bad"]], "after its visibility timeout");
}

#[tokio::test(start_paused = true)]
async fn a_fifo_group_stops_at_its_first_failure() {
    let aws = account();
    let fifo = json!({ "FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "30" });
    queue(&aws, "work.fifo", fifo);
    let (handler, seen) = noting(failing("a2"));
    aws.lambda().register("worker", handler, Duration::from_secs(10));
    for (group, body) in [("A", "a1"), ("A", "a2"), ("A", "a3"), ("B", "b1")] {
        send(&aws, "work.fifo", group, body);
    }
    map(&aws, "worker", "work.fifo");
    pass(&aws, Duration::from_secs(5)).await;
    send(&aws, "work.fifo", "A", "a4");
    pass(&aws, Duration::from_secs(5)).await;
    assert_eq!(bodies(&seen), [["a1", "a2", "a3", "b1"]], "a4 waits for its group");
    pass(&aws, Duration::from_secs(25)).await;
    assert_eq!(bodies(&seen)[1..], [["a2", "a3", "a4"]], "in order, from the failure on");
}

#[tokio::test(start_paused = true)]
async fn a_mapping_keeps_to_its_concurrency() {
    let aws = account();
    queue(&aws, "work", json!({}));
    let slow = |_| -> Answer {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(Value::Null)
        })
    };
    let (handler, seen) = noting(slow);
    aws.lambda().register("slow", handler, Duration::from_secs(10));
    let queue_arn = super::super::sqs::arn(REGION, "work");
    let mapping = QueueMapping {
        function: "slow".into(),
        queue_arn,
        batch_size: 1,
        report_batch_item_failures: false,
        max_concurrency: Some(2),
    };
    aws.lambda().map_queue(&aws, mapping).expect("mapped");
    for body in ["1", "2", "3", "4"] {
        send(&aws, "work", "g", body);
    }
    pass(&aws, Duration::from_secs(4)).await;
    assert_eq!(lock(&seen).len(), 2, "two at a time");
    pass(&aws, Duration::from_secs(2)).await;
    assert_eq!(lock(&seen).len(), 4, "the next two when those are done");
}

#[test]
fn an_answer_that_lambda_cannot_read_fails_the_batch() {
    #[rustfmt::skip]
    let cases = [
        (json!(null),                                              Some(0), "nothing is a success"),
        (json!({}),                                                Some(0), "so is an empty object"),
        (json!({ "batchItemFailures": null }),                     Some(0), "and a null list"),
        (json!({ "batchItemFailures": [] }),                       Some(0), "and an empty one"),
        (json!({ "batchItemFailures": [{ "itemIdentifier": "a" }] }), Some(1), "one failed"),
        (json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }),  None, "an empty id"),
        (json!({ "batchItemFailures": [{ "itemIdentifier": null }] }), None, "a null id"),
        (json!({ "batchItemFailures": [{ "id": "a" }] }),          None,    "a misspelt key"),
    ];
    for (answer, expected, why) in cases {
        assert_eq!(failed_ids(&answer).map(|ids| ids.len()), expected, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn invocations_that_have_not_ended_are_made_after_a_restore() {
    let aws = account();
    let (fails, seen) = noting(at_once(|_| Err("no".to_owned())));
    aws.lambda().register("fails", fails, Duration::from_secs(10));
    let (hangs, hung) = noting(|_| -> Answer { Box::pin(std::future::pending()) });
    aws.lambda().register("hangs", hangs, Duration::from_secs(900));
    for name in ["fails", "hangs"] {
        aws.lambda().invoke_later(&aws, REGION, name, json!({ "of": name })).expect("accepted");
    }
    pass(&aws, Duration::from_secs(1)).await;
    assert_eq!((lock(&seen).len(), lock(&hung).len()), (1, 1), "one failed, one is at it");
    let saved = aws.lambda().save();
    let next = Aws::new(aws.clock(), Default::default(), crate::faults::Faults::none(), 2).expect("an account");
    let (works, done) = noting(at_once(|_| Ok(Value::Null)));
    for name in ["fails", "hangs"] {
        next.lambda().register(name, works.clone(), Duration::from_secs(10));
    }
    next.lambda().restore(saved.clone()).expect("restored");
    assert_eq!(next.lambda().save(), saved, "nothing is lost, and nothing added");
    pass(&next, Duration::from_secs(1)).await;
    assert_eq!(*lock(&done), [json!({ "of": "hangs" })], "what ran when it stopped runs again, at once");
    pass(&next, Duration::from_secs(60)).await;
    assert_eq!(lock(&done).last(), Some(&json!({ "of": "fails" })), "what waited for its retry waits on");
    assert_eq!(next.lambda().save()["waiting"], json!([]), "both are done");
    assert!(next.lambda().restore(json!([])).is_err());
}
