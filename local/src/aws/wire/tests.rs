use super::testing::{account, account_with, form, parcel, send};
use super::{Outcome, Parcel, cbor, handle, router};
use crate::faults::{Fault, Faults};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn messages_in(aws: &crate::aws::Aws) -> Value {
    let input = json!({ "QueueUrl": "/work", "AttributeNames": ["ApproximateNumberOfMessages"] });
    let answer = aws.ask("sqs", "us-east-1", "GetQueueAttributes", input).expect("attributes");
    answer["Attributes"]["ApproximateNumberOfMessages"].clone()
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_what_its_name_says() {
    let code = "RequestThrottled";
    #[rustfmt::skip]
    let cases = [
        // fault                                                  caller sees        effects  why
        (Fault::Throttle,                                         Ok((403, code)),   "0",     "the service's own word"),
        (Fault::Refuse { code: "X".into(), status: 500 },         Ok((500, "X")),    "0",     "as asked"),
        (Fault::Delay(Duration::from_secs(5)),                    Ok((200, "")),     "1",     "late"),
        (Fault::LoseBefore,                                       Err("reset"),      "0",     "never arrived"),
        (Fault::LoseAfter,                                        Err("reset"),      "1",     "arrived"),
        (Fault::Silent,                                           Err("silence"),    "1",     "arrived"),
        (Fault::AnswerTwice,                                      Ok((200, "")),     "2",     "done twice"),
    ];
    for (fault, expected, effects, why) in cases {
        let aws = account_with(Faults::script([("sqs", "SendMessage", fault)]));
        aws.ask("sqs", "us-east-1", "CreateQueue", json!({ "QueueName": "work" })).expect("a queue");
        let input = json!({ "QueueUrl": "/work", "MessageBody": "x" });
        let seen = send(&aws, "sqs", "AmazonSQS.SendMessage", &input).await;
        let kind = |body: &Value| {
            body["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned()
        };
        let seen = seen.map(|(status, body)| (status, kind(&body)));
        assert_eq!(seen.as_ref().map(|(status, code)| (*status, code.as_str())).map_err(|e| *e), expected, "{why}");
        assert_eq!(messages_in(&aws), effects, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_worded_as_each_service_words_them() {
    let aws = account();
    #[rustfmt::skip]
    let cases = [
        // service, target, status, __type, query error
        ("sqs", "AmazonSQS.GetQueueUrl", 400, "com.amazonaws.sqs#QueueDoesNotExist",
         Some("AWS.SimpleQueueService.NonExistentQueue;Sender")),
        ("secretsmanager", "secretsmanager.GetSecretValue", 400, "ResourceNotFoundException", None),
        ("dynamodb", "DynamoDB_20120810.DescribeTable", 400,
         "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", None),
        ("events", "AWSEvents.DescribeRule", 400, "ResourceNotFoundException", None),
        ("events", "AWSEvents.CreateArchive", 501, "NotEmulated", None),
        ("kinesis", "Kinesis_20131202.PutRecord", 501, "NotEmulated", None),
    ];
    for (service, target, status, kind, query_error) in cases {
        let input = json!({ "QueueName": "nope", "SecretId": "nope", "TableName": "nope", "Name": "nope" });
        let Outcome::Answered(reply) = handle(&aws, parcel(service, target, &input)).await else { panic!("{target}") };
        let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!((reply.status, &body["__type"]), (status, &json!(kind)), "{target}");
        let header =
            |wanted: &str| reply.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        assert_eq!(header("x-amzn-query-error"), query_error, "{target}");
        assert!(header("x-amzn-requestid").is_some_and(|id| id.len() == 36), "{target}");
    }
    let unsigned = Parcel { path: "/".into(), headers: Default::default(), body: b"{}".to_vec() };
    let Outcome::Answered(reply) = handle(&aws, unsigned).await else { panic!("no answer") };
    assert_eq!(reply.status, 403);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_comes_in_the_protocol_of_its_request() {
    let unknown = "/service/GraniteServiceVersion20100801/operation/GetMetricWidgetImage";
    let signed = parcel("monitoring", "", &json!({}));
    let unsigned = |path: &str, body: &str| Parcel {
        path: path.to_owned(),
        headers: Default::default(),
        body: body.as_bytes().to_vec(),
    };
    let sns = "http://sns.amazonaws.com/doc/2010-03-31/";
    let xml = |namespace: &str, code: &str| {
        let namespace = if namespace.is_empty() { String::new() } else { format!(" xmlns=\"{namespace}\"") };
        format!("<ErrorResponse{namespace}><Error><Type>Sender</Type><Code>{code}</Code>")
    };
    let aws = account_with(Faults::script([("sns", "ListTopics", Fault::Throttle)]));
    #[rustfmt::skip]
    let cases = [
        // request, status, content type, how the body begins where it is text, why
        (form("sns", "Action=ListTopics"),                             400, "text/xml", xml(sns, "Throttling"),       "a fault"),
        (form("sns", "Action=GetTopicAttributes&TopicArn=x"),          400, "text/xml", xml(sns, "InvalidParameter"), "the service's"),
        (form("sns", "Action=Publish&A=1&A=2"),                        400, "text/xml", xml(sns, "MalformedInput"),   "the form's"),
        (unsigned("/", "Action=Publish&TopicArn=arn:aws:sns:us-east-1:1:t"),
                                                       403, "text/xml", xml("", "MissingAuthenticationToken"),        "nobody's"),
        (unsigned(unknown, ""),                        403, "application/cbor", String::new(),                        "nobody's"),
        (Parcel { path: unknown.to_owned(), body: Vec::new(), ..signed }, 501, "application/cbor", String::new(),                       "not emulated"),
        (unsigned("/", "{}"),                          403, "application/x-amz-json-1.0", "{\"__type\"".to_owned(),   "nobody's"),
    ];
    for (request, status, content_type, begins, why) in cases {
        let Outcome::Answered(reply) = handle(&aws, request).await else { panic!("{why}") };
        let header = |wanted: &str| {
            let found = reply.headers.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert_eq!((reply.status, header("content-type")), (status, content_type), "{why}");
        if content_type == "application/cbor" {
            assert_eq!(header("smithy-protocol"), "rpc-v2-cbor", "{why}");
            let error = cbor::input(&reply.body).expect("CBOR");
            assert!(error["__type"].is_string() && error["message"].is_string(), "{why}: {error}");
        } else {
            let body = String::from_utf8(reply.body).expect("text");
            assert!(body.starts_with(&begins), "{why}: {body}");
        }
        let query_error = if why == "not emulated" { "NotEmulated;Receiver" } else { "" };
        assert_eq!(header("x-amzn-query-error"), query_error, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_with_a_message_or_with_its_time() {
    let aws = account();
    aws.ask("sqs", "us-east-1", "CreateQueue", json!({ "QueueName": "work" })).expect("a queue");
    let poll = json!({ "QueueUrl": "/work", "WaitTimeSeconds": 20 });
    let start = tokio::time::Instant::now();
    let (_, nothing) = send(&aws, "sqs", "AmazonSQS.ReceiveMessage", &poll).await.expect("answered");
    assert_eq!((nothing, start.elapsed().as_secs()), (json!({}), 20), "nothing came");
    let delayed = json!({ "QueueUrl": "/work", "MessageBody": "x", "DelaySeconds": 7 });
    aws.ask("sqs", "us-east-1", "SendMessage", delayed).expect("sent");
    let start = tokio::time::Instant::now();
    let (_, one) = send(&aws, "sqs", "AmazonSQS.ReceiveMessage", &poll).await.expect("answered");
    assert_eq!((&one["Messages"][0]["Body"], start.elapsed().as_secs()), (&json!("x"), 7), "as soon as it is visible");
    let sender = aws.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let input = json!({ "QueueUrl": "/work", "MessageBody": "y" });
        sender.ask("sqs", "us-east-1", "SendMessage", input)
    });
    let start = tokio::time::Instant::now();
    let (_, one) = send(&aws, "sqs", "AmazonSQS.ReceiveMessage", &poll).await.expect("answered");
    assert_eq!((&one["Messages"][0]["Body"], start.elapsed().as_secs()), (&json!("y"), 3), "as soon as it is sent");
}

/// Sends one request over TCP and reads the answer: status and body.
async fn over_tcp(address: std::net::SocketAddr, head: &str, body: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    let length = body.len();
    let request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[tokio::test]
async fn the_port_serves_aws_and_what_is_local() {
    let aws = account();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, router(aws)).await });
    let signed = "POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.CreateQueue\r\nAuthorization: AWS4-HMAC-SHA256 \
                  Credential=AKID/20260831/eu-west-2/sqs/aws4_request, SignedHeaders=host, Signature=0";
    #[rustfmt::skip]
    let cases = [
        // head, body, status, part of the answer, why
        (signed, r#"{"QueueName":"work"}"#, 200, "https://sqs.eu-west-2.amazonaws.com/123456789012/work",
         "an operation"),
        ("POST / HTTP/1.1", "{}", 403, "MissingAuthenticationToken", "unsigned"),
        ("GET /_local/mail HTTP/1.1", "", 200, "[]", "no mail"),
        ("POST /_local/events HTTP/1.1", r#"{"source":"aws.x","detail-type":"y"}"#, 202, "id", "an event"),
        ("POST /_local/events HTTP/1.1", "nonsense", 400, "not a JSON object", "not JSON"),
        ("POST /_local/events HTTP/1.1", r#"{"detail-type":"y"}"#, 400, "no source", "no source"),
        ("POST /_local/events HTTP/1.1", r#"{"source":"aws.x"}"#, 400, "no detail-type", "no detail-type"),
    ];
    for (head, body, status, part, why) in cases {
        let (seen, answer) = over_tcp(address, head, body).await;
        assert_eq!(seen, status, "{why}: {answer}");
        assert!(answer.contains(part), "{why}: {answer}");
    }
    server.abort();
}
