//! Which operation a request means, and how answers and errors look in the protocol that it came by.
//!
//! A request is routed by its smithy-protocol path, then by the prefix of `x-amz-target`, then by the service of
//! its credential scope with `Action=`. Whatever the protocol, a service gets JSON and answers with JSON: awsJson is
//! read here, [`cbor`] and [`query`] have files of their own.

use super::{cbor, errors, query};
use crate::aws::{ACCOUNT, Failure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Access key ids that begin so name the role that calls.
pub(super) const ROLE_PREFIX: &str = "LOCALROLE";

/// The caller of a request without a signature.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// What SNS does for anyone who was sent a link, and the member that names the ARN which says where.
/// Source: the SNS API reference, ConfirmSubscription and Unsubscribe.
const UNSIGNED: [(&str, &str); 2] = [("ConfirmSubscription", "TopicArn"), ("Unsubscribe", "SubscriptionArn")];

/// `x-amz-target` prefixes, which are also the services of smithy-protocol paths, and the endpoint prefixes that they
/// stand for. Source: `targetPrefix` in botocore's models.
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
    let authorization = parcel.headers.get("authorization").map(String::as_str);
    if let (None, Some(target)) = (authorization, unsigned(parcel)) {
        return Ok(target);
    }
    let scope = Scope::read(authorization)?;
    let known = |name: &str| TARGETS.iter().find(|(target, _)| *target == name).map(|(_, service)| *service);
    let (service, operation, protocol) = if let Some((service, operation)) = rpc_path(&parcel.path) {
        (known(service).unwrap_or(service), operation, Protocol::Cbor)
    } else if let Some((prefix, operation)) = parcel.headers.get("x-amz-target").and_then(|t| t.rsplit_once('.')) {
        (known(prefix).unwrap_or(scope.service), operation.to_owned(), Protocol::Json(content_type(parcel)))
    } else if let Some(operation) = query::field(&parcel.body, "Action") {
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

/// A request that needs no signature: the ARN in it says which region is meant.
fn unsigned(parcel: &Parcel) -> Option<Target> {
    let operation = query::field(&parcel.body, "Action")?;
    let (_, member) = UNSIGNED.iter().find(|(name, _)| *name == operation)?;
    let arn = query::field(&parcel.body, member)?;
    let region = arn.strip_prefix("arn:aws:sns:")?.split(':').next().filter(|region| is_region(region))?.to_owned();
    Some(Target {
        service: "sns".to_owned(),
        operation,
        region,
        caller: ANONYMOUS.to_owned(),
        protocol: Protocol::Query,
    })
}

/// The input of an operation, from the body that it came in.
///
/// # Errors
/// `SerializationException` or `MalformedInput` for what cannot be read, [`Failure::not_emulated`] where a service
/// does not speak the protocol.
pub(super) fn input(target: &Target, body: &[u8]) -> Result<Value, Failure> {
    match target.protocol {
        Protocol::Cbor => return cbor::input(body),
        Protocol::Query => return query::input(&target.service, &target.operation, body),
        Protocol::Json(_) => {}
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
    fn new(protocol: Protocol, status: u16, body: Vec<u8>, request_id: &str) -> Self {
        let content_type = match protocol {
            Protocol::Json(content_type) => content_type,
            Protocol::Cbor => "application/cbor",
            Protocol::Query => "text/xml",
        };
        let mut headers = vec![("x-amzn-requestid", request_id.to_owned()), ("content-type", content_type.to_owned())];
        if protocol == Protocol::Cbor {
            headers.push(("smithy-protocol", cbor::NAME.to_owned()));
        }
        Self { status, headers, body }
    }

    /// The output of an operation. An operation without output answers in JSON and CBOR with an empty object, which
    /// every client reads.
    pub(super) fn output(target: &Target, output: &Value, request_id: &str) -> Self {
        let body = match target.protocol {
            Protocol::Json(_) => output.to_string().into_bytes(),
            Protocol::Cbor => cbor::output(output),
            Protocol::Query => query::output(&target.service, &target.operation, output, request_id),
        };
        Self::new(target.protocol, 200, body, request_id)
    }

    /// A JSON body that is ready.
    pub(super) fn json(target: &Target, status: u16, body: Vec<u8>, request_id: &str) -> Self {
        let protocol = match target.protocol {
            json @ Protocol::Json(_) => json,
            Protocol::Cbor | Protocol::Query => Protocol::Json("application/json"),
        };
        Self::new(protocol, status, body, request_id)
    }

    /// A refusal, in the words of the service that refuses.
    pub(super) fn refusal(target: &Target, failure: &Failure, request_id: &str) -> Self {
        Self::refused(&target.service, target.protocol, failure, request_id)
    }

    /// The refusal of a request that means no operation: of no service in particular.
    pub(super) fn unrouted(parcel: &Parcel, failure: &Failure, request_id: &str) -> Self {
        let protocol = if rpc_path(&parcel.path).is_some() {
            Protocol::Cbor
        } else if query::field(&parcel.body, "Action").is_some() {
            Protocol::Query
        } else {
            Protocol::Json(content_type(parcel))
        };
        Self::refused("", protocol, failure, request_id)
    }

    fn refused(service: &str, protocol: Protocol, failure: &Failure, request_id: &str) -> Self {
        let document = || json!({ "__type": errors::kind(service, &failure.code), "message": failure.message });
        let body = match protocol {
            Protocol::Json(_) => document().to_string().into_bytes(),
            Protocol::Cbor => cbor::output(&document()),
            Protocol::Query => query::refusal(service, errors::query_code(service, &failure.code), failure, request_id),
        };
        let mut reply = Self::new(protocol, failure.status, body, request_id);
        if protocol != Protocol::Query {
            let query_error = errors::query_error(service, &failure.code, failure.status);
            reply.headers.extend(query_error.map(|error| ("x-amzn-query-error", error)));
        }
        reply
    }
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

/// Takes `/service/NAME/operation/NAME` apart.
fn rpc_path(path: &str) -> Option<(&str, String)> {
    let (service, operation) = path.strip_prefix("/service/")?.split_once("/operation/")?;
    Some((service, operation.to_owned()))
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
             Ok(("monitoring", "DescribeAlarms")), "rpc-v2-cbor"),
            (signed("monitoring"), "", "/", "Action=DescribeAlarms", Ok(("monitoring", "DescribeAlarms")),
             "CloudWatch's old form"),
            (String::new(), "", "/", "Action=Unsubscribe&SubscriptionArn=arn:aws:sns:eu-west-2:1:t:s",
             Ok(("sns", "Unsubscribe")), "whoever has a mail may unsubscribe"),
            (String::new(), "", "/", "Action=Publish&TopicArn=arn:aws:sns:eu-west-2:1:t",
             Err("MissingAuthenticationToken"), "but not publish"),
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
