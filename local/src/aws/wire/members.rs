//! What a protocol must know of a member beyond its JSON: which numbers are times, and which are never whole.
//!
//! JSON writes both as plain numbers. XML writes a time as text, and CBOR marks it; a CBOR client that expects a
//! double refuses an integer. Names are enough: none of them means anything else in an answer of these services.

use jiff::Timestamp;

/// Members that hold a time, beside all whose names end in `Timestamp` or `Timestamps`.
/// Source: the members of type `timestamp` in botocore's models of CloudWatch, SNS and STS.
const TIMES: [&str; 12] = [
    "CreatedAt",
    "CreationDate",
    "EndDate",
    "EndTime",
    "Expiration",
    "ExpireDate",
    "LastModified",
    "LastUpdateDate",
    "StartDate",
    "StartTime",
    "Timestamp",
    "UpdatedAt",
];

/// Members that hold doubles, or lists of them. Source: botocore's model of CloudWatch.
const DOUBLES: [&str; 14] = [
    "AggregateValue",
    "ApproximateAggregateValue",
    "ApproximateValue",
    "Average",
    "Counts",
    "DatapointValues",
    "MaxContributorValue",
    "Maximum",
    "Minimum",
    "SampleCount",
    "Sum",
    "Threshold",
    "UniqueContributors",
    "Values",
];

/// Whether a number under this name is a time, in seconds since 1970.
pub(super) fn is_time(name: &str) -> bool {
    name.ends_with("Timestamp") || name.ends_with("Timestamps") || TIMES.contains(&name)
}

/// Whether a number under this name is a double, also where it happens to be whole.
pub(super) fn is_double(name: &str) -> bool {
    DOUBLES.contains(&name)
}

/// A time as XML carries it: `2026-08-31T12:00:00Z`, with milliseconds where there are any.
pub(super) fn iso(seconds: f64) -> String {
    let millis = (seconds * 1000.0).round() as i64;
    let format = if millis % 1000 == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" };
    let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    jiff::fmt::strtime::format(format, at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_aws_writes_them() {
        #[rustfmt::skip]
        let cases = [
            (0.0,                "1970-01-01T00:00:00Z",     "whole seconds have no fraction"),
            (1_788_177_600.0,    "2026-08-31T12:00:00Z",     "also of today"),
            (1_788_177_600.25,   "2026-08-31T12:00:00.250Z", "milliseconds are three digits"),
            (1_788_177_599.999_6, "2026-08-31T12:00:00Z",     "rounded, and carried"),
        ];
        for (seconds, expected, why) in cases {
            assert_eq!(iso(seconds), expected, "{why}");
        }
    }
}
