//! Which operation a request means, and how answers and errors look in the protocol that it came by.
//!
//! A request is routed by its smithy-protocol path, then by the prefix of `x-amz-target`, then by the service of
//! its credential scope with `Action=`. The services that are emulated speak awsJson 1.0 and 1.1; a request in
//! another protocol is told so by name.

use crate::aws::{ACCOUNT, Failure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Access key ids that begin so name the role that calls.
pub(super) const ROLE_PREFIX: &str = "LOCALROLE";

/// `x-amz-target` prefixes and the endpoint prefixes that they stand for. Source: `targetPrefix` in botocore's models.
const TARGETS: [(&str, &str); 10] = [
    ("AmazonEC2ContainerRegistry_V20150921", "ecr"),
    ("AmazonEC2ContainerServiceV20141113", "ecs"),
    ("AmazonSQS", "sqs"),
    ("AWSEvents", "events"),
    ("CodeBuild_20161006", "codebuild"),
    ("CodeDeploy_20141006", "codedeploy"),
    ("CodePipeline_20150709", "codepipeline"),
    ("DynamoDB_20120810", "dynamodb"),
    ("GraniteServiceVersion20100801", "monitoring"),
    ("secretsmanager", "secretsmanager"),
];

/// The query-protocol codes that SQS still sends beside its JSON ones, where the two differ.
/// Source: the SQS API reference, and answers of the service ("x-amzn-query-error").
const SQS_QUERY_CODES: [(&str, &str); 10] = [
    ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
    ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"),
    ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"),
    ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"),
    ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"),
    ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress"),
    ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    ("QueueNameExists", "QueueAlreadyExists"),
    ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
    ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
];

/// A request as it came, whichever door it came by. Header names are in lower case.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The endpoint prefix, such as `codepipeline`.
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) region: String,
    /// Who calls: an ARN.
    pub(super) caller: String,
    pub(super) protocol: Protocol,
}

/// How a request is worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// awsJson 1.0 or 1.1: the content type comes back as it came.
    Json(&'static str),
    /// rpc-v2-cbor.
    Cbor,
    /// awsQuery: a form in, XML out.
    Query,
}

/// An answer, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// Finds out what a request means.
///
/// # Errors
/// `MissingAuthenticationToken` (403) without a signature, `IncompleteSignature` for one that cannot be read,
/// `UnknownOperationException` for a request that names no operation.
pub(super) fn read(parcel: &Parcel) -> Result<Target, Failure> {
    let scope = Scope::read(parcel.headers.get("authorization").map(String::as_str))?;
    let (service, operation, protocol) = if let Some((service, operation)) = rpc_path(&parcel.path) {
        (service, operation, Protocol::Cbor)
    } else if let Some((prefix, operation)) = parcel.headers.get("x-amz-target").and_then(|t| t.rsplit_once('.')) {
        let known = TARGETS.iter().find(|(target, _)| *target == prefix).map(|(_, service)| *service);
        (known.unwrap_or(scope.service), operation.to_owned(), Protocol::Json(content_type(parcel)))
    } else if let Some(operation) = action(&parcel.body) {
        (scope.service, operation, Protocol::Query)
    } else {
        return Err(Failure { status: 404, ..Failure::sender("UnknownOperationException", "") });
    };
    Ok(Target {
        service: service.to_owned(),
        operation,
        region: scope.region.to_owned(),
        caller: caller(scope.access_key_id),
        protocol,
    })
}

/// The input of an operation, from the body that it came in.
///
/// # Errors
/// `SerializationException` for what is not a JSON object, [`Failure::not_emulated`] for another protocol.
pub(super) fn input(target: &Target, body: &[u8]) -> Result<Value, Failure> {
    if !matches!(target.protocol, Protocol::Json(_)) {
        return Err(Failure::not_emulated(&target.service, &target.operation));
    }
    if body.is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_slice(body) {
        Ok(input @ Value::Object(_)) => Ok(input),
        Ok(_) | Err(_) => Err(Failure::sender("SerializationException", "The request body is not a JSON object.")),
    }
}

impl Reply {
    /// The output of an operation. An operation without output answers with an empty object, which every client reads.
    pub(super) fn output(target: &Target, output: &Value, request_id: &str) -> Self {
        Self::json(target, 200, output.to_string().into_bytes(), request_id)
    }

    /// A JSON body that is ready.
    pub(super) fn json(target: &Target, status: u16, body: Vec<u8>, request_id: &str) -> Self {
        let content_type = match target.protocol {
            Protocol::Json(content_type) => content_type,
            Protocol::Cbor | Protocol::Query => "application/json",
        };
        let headers = vec![("x-amzn-requestid", request_id.to_owned()), ("content-type", content_type.to_owned())];
        Self { status, headers, body }
    }

    /// A refusal, in the words of the service that refuses; of nobody in particular where there is no target.
    pub(super) fn refusal(target: Option<&Target>, failure: &Failure, request_id: &str) -> Self {
        let service = target.map_or("", |target| target.service.as_str());
        if target.is_some_and(|target| target.protocol == Protocol::Query) {
            return xml_refusal(failure, request_id);
        }
        let body = json!({ "__type": error_type(service, &failure.code), "message": failure.message });
        let content_type = match target.map(|target| target.protocol) {
            Some(Protocol::Json(content_type)) => content_type,
            _ => "application/x-amz-json-1.0",
        };
        let mut headers = vec![("x-amzn-requestid", request_id.to_owned()), ("content-type", content_type.to_owned())];
        if service == "sqs" {
            let code = SQS_QUERY_CODES.iter().find(|(json, _)| *json == failure.code).map(|(_, query)| *query);
            let fault = if failure.status < 500 { "Sender" } else { "Receiver" };
            headers.push(("x-amzn-query-error", format!("{};{fault}", code.unwrap_or(&failure.code))));
        }
        Self { status: failure.status, headers, body: body.to_string().into_bytes() }
    }
}

/// The `__type` of an error: some services put their namespace before the code, some do not.
fn error_type(service: &str, code: &str) -> String {
    match (service, code) {
        ("sqs", "InvalidParameterValue") => "com.amazon.coral.service#InvalidParameterValueException".to_owned(),
        ("sqs", "MissingParameter") => "com.amazon.coral.service#MissingRequiredParameterException".to_owned(),
        ("sqs", _) => format!("com.amazonaws.sqs#{code}"),
        ("dynamodb", _) => format!("com.amazonaws.dynamodb.v20120810#{code}"),
        _ => code.to_owned(),
    }
}

fn xml_refusal(failure: &Failure, request_id: &str) -> Reply {
    let fault = if failure.status < 500 { "Sender" } else { "Receiver" };
    let message = failure.message.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!(
        "<ErrorResponse><Error><Type>{fault}</Type><Code>{}</Code><Message>{message}</Message></Error>\
         <RequestId>{request_id}</RequestId></ErrorResponse>",
        failure.code
    );
    let headers = vec![("x-amzn-requestid", request_id.to_owned()), ("content-type", "text/xml".to_owned())];
    Reply { status: failure.status, headers, body: body.into_bytes() }
}

/// What a SigV4 `Authorization` header says about the caller.
#[derive(Debug, PartialEq, Eq)]
struct Scope<'a> {
    access_key_id: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Scope<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sqs/aws4_request, …`.
    fn read(authorization: Option<&'a str>) -> Result<Self, Failure> {
        let Some(authorization) = authorization else {
            let failure = Failure::sender("MissingAuthenticationToken", "Request is missing Authentication Token");
            return Err(Failure { status: 403, ..failure });
        };
        let credential = authorization
            .strip_prefix("AWS4-HMAC-SHA256")
            .and_then(|rest| rest.split(',').find_map(|part| part.trim().strip_prefix("Credential=")));
        let parts: Vec<&str> = credential.unwrap_or_default().split('/').collect();
        match parts[..] {
            [access_key_id, _, region, service, "aws4_request"] if is_region(region) && !access_key_id.is_empty() => {
                Ok(Self { access_key_id, region, service })
            }
            _ => {
                let message = "Authorization header requires 'Credential' parameter with a valid scope.";
                Err(Failure { status: 403, ..Failure::sender("IncompleteSignature", message) })
            }
        }
    }
}

fn is_region(region: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&region.len()) && region.bytes().all(is_part)
}

fn caller(access_key_id: &str) -> String {
    let role = access_key_id
        .strip_prefix(ROLE_PREFIX)
        .and_then(|encoded| form_urlencoded::parse(encoded.as_bytes()).next())
        .map(|(role, _)| role.into_owned());
    match role {
        Some(role) => format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{role}"),
        None => format!("arn:aws:iam::{ACCOUNT}:root"),
    }
}

/// Takes `/service/NAME/operation/NAME` apart. Of the services with such a path none is emulated yet.
fn rpc_path(path: &str) -> Option<(&str, String)> {
    let (service, operation) = path.strip_prefix("/service/")?.split_once("/operation/")?;
    Some((service, operation.to_owned()))
}

fn action(body: &[u8]) -> Option<String> {
    let action = |(name, value): (_, std::borrow::Cow<'_, str>)| (name == "Action").then(|| value.into_owned());
    form_urlencoded::parse(body).take(64).find_map(action)
}

fn content_type(parcel: &Parcel) -> &'static str {
    match parcel.headers.get("content-type").map(String::as_str) {
        Some("application/x-amz-json-1.1") => "application/x-amz-json-1.1",
        _ => "application/x-amz-json-1.0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(authorization: &str, target: &str, path: &str, body: &str) -> Parcel {
        let headers = [("authorization", authorization), ("x-amz-target", target)];
        let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
        Parcel {
            path: path.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn requests_are_routed_as_clients_of_today_send_them() {
        let signed = |service: &str| {
            format!("AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-2/{service}/aws4_request, Signature=0")
        };
        #[rustfmt::skip]
        let cases = [
            // signed for, target, path, body, expected, why
            (signed("sqs"), "AmazonSQS.SendMessage", "/", "{}", Ok(("sqs", "SendMessage")), "by the target"),
            (signed("dynamodb"), "DynamoDB_20120810.PutItem", "/", "{}", Ok(("dynamodb", "PutItem")), "by the target"),
            (signed("codedeploy"), "CodeDeploy_20141006.StopDeployment", "/", "{}",
             Ok(("codedeploy", "StopDeployment")), "an unknown target goes by the scope"),
            (signed("sns"), "", "/", "Action=Publish&a=b", Ok(("sns", "Publish")), "the query protocol"),
            (signed("monitoring"), "", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "",
             Ok(("GraniteServiceVersion20100801", "DescribeAlarms")), "rpc-v2-cbor"),
            (signed("sqs"), "", "/", "", Err("UnknownOperationException"), "names no operation"),
            (String::new(), "AmazonSQS.SendMessage", "/", "{}", Err("MissingAuthenticationToken"), "unsigned"),
            ("Bearer x".to_owned(), "AmazonSQS.SendMessage", "/", "{}", Err("IncompleteSignature"), "not SigV4"),
        ];
        for (authorization, target, path, body, expected, why) in cases {
            let read = read(&parcel(&authorization, target, path, body));
            let seen = read.as_ref().map(|target| (target.service.as_str(), target.operation.as_str()));
            assert_eq!(seen.map_err(|failure| failure.code.as_str()), expected, "{why}");
            assert!(read.is_err() || read.is_ok_and(|target| target.region == "eu-west-2"), "{why}");
        }
    }

    #[test]
    fn the_access_key_id_says_who_calls() {
        #[rustfmt::skip]
        let cases = [
            ("AKIDEXAMPLE", "arn:aws:iam::123456789012:root", "any other key"),
            ("LOCALROLEpointsman-dispatch",
             "arn:aws:sts::123456789012:assumed-role/pointsman-dispatch/pointsman-dispatch", "a role"),
            ("LOCALROLEa%3Db", "arn:aws:sts::123456789012:assumed-role/a=b/a=b",
             "what a header cannot carry is encoded"),
        ];
        for (key, expected, why) in cases {
            assert_eq!(caller(key), expected, "{why}");
        }
    }
}
