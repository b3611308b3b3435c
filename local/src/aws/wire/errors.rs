//! What an error is called: by its shape in JSON and CBOR, by its older code in the query protocol.
//!
//! Services that once spoke awsQuery have both names, and send the second along in `x-amzn-query-error`.

/// SQS: shape and code, where the two differ.
/// Source: the SQS API reference, and answers of the service ("x-amzn-query-error").
const SQS: [(&str, &str); 10] = [
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

/// CloudWatch: shape and code, where the two differ. Source: botocore's model.
const CLOUDWATCH: [(&str, &str); 8] = [
    ("InternalServiceFault", "InternalServiceError"),
    ("InvalidFormatFault", "InvalidFormat"),
    ("InvalidParameterCombinationException", "InvalidParameterCombination"),
    ("InvalidParameterValueException", "InvalidParameterValue"),
    ("LimitExceededFault", "LimitExceeded"),
    ("MissingRequiredParameterException", "MissingParameter"),
    ("ThrottlingException", "Throttling"),
    ("ValidationException", "ValidationError"),
];

/// The `__type` of an error: some services put their namespace before its name, some do not.
pub(super) fn kind(service: &str, code: &str) -> String {
    match (service, code) {
        ("sqs", "InvalidParameterValue") => "com.amazon.coral.service#InvalidParameterValueException".to_owned(),
        ("sqs", "MissingParameter") => "com.amazon.coral.service#MissingRequiredParameterException".to_owned(),
        ("sqs", _) => format!("com.amazonaws.sqs#{code}"),
        ("dynamodb", _) => format!("com.amazonaws.dynamodb.v20120810#{code}"),
        ("monitoring", _) => {
            let shape = CLOUDWATCH.iter().find(|(_, query)| *query == code).map_or(code, |(shape, _)| shape);
            format!("com.amazonaws.cloudwatch.v2010_08_01#{shape}")
        }
        _ => code.to_owned(),
    }
}

/// What the query protocol calls an error, whichever of its two names it comes with.
pub(super) fn query_code<'a>(service: &str, code: &'a str) -> &'a str {
    let table: &[(&str, &'static str)] = match service {
        "sqs" => &SQS,
        "monitoring" => &CLOUDWATCH,
        _ => &[],
    };
    table.iter().find(|(shape, _)| *shape == code).map_or(code, |(_, query)| query)
}

/// The header that carries [`query_code`] beside an error in JSON or CBOR: only SQS and CloudWatch have it.
pub(super) fn query_error(service: &str, code: &str, status: u16) -> Option<String> {
    let fault = if status < 500 { "Sender" } else { "Receiver" };
    matches!(service, "sqs" | "monitoring").then(|| format!("{};{fault}", query_code(service, code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_goes_by_both_of_its_names() {
        #[rustfmt::skip]
        let cases = [
            // service, code as the service words it, __type, query code
            ("sqs",        "QueueDoesNotExist",  "com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
            ("monitoring", "LimitExceededFault", "com.amazonaws.cloudwatch.v2010_08_01#LimitExceededFault", "LimitExceeded"),
            ("monitoring", "LimitExceeded",      "com.amazonaws.cloudwatch.v2010_08_01#LimitExceededFault", "LimitExceeded"),
            ("monitoring", "ResourceNotFound",   "com.amazonaws.cloudwatch.v2010_08_01#ResourceNotFound", "ResourceNotFound"),
            ("sns",        "NotFound",           "NotFound", "NotFound"),
        ];
        for (service, code, shape, query) in cases {
            assert_eq!((kind(service, code).as_str(), query_code(service, code)), (shape, query), "{service} {code}");
        }
        assert_eq!(query_error("monitoring", "ValidationError", 400).as_deref(), Some("ValidationError;Sender"));
        assert_eq!(query_error("ecs", "ClientException", 400), None, "never spoke the query protocol");
    }
}
