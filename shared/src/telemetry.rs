//! Logs as JSON lines, and metrics as log lines that CloudWatch reads (embedded metric format).
//!
//! `docs/logging.md` says what may stand in a line, and what never does.

use jiff::Timestamp;
use serde_json::json;

/// The namespace of every metric.
pub const NAMESPACE: &str = "Pointsman";

/// Sends logs to stderr as JSON lines, one subscriber for the process. `RUST_LOG` narrows or widens them.
pub fn start() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,aws=warn,hyper=warn"));
    // A second start keeps the first subscriber: nothing to do about it, and nothing lost.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

/// One line of embedded metric format: each name with its count.
///
/// Source: CloudWatch, "Specification: embedded metric format".
pub fn metric_line(now: Timestamp, counts: &[(&str, u64)]) -> String {
    let names: Vec<_> = counts.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": names }],
        },
    });
    for (name, count) in counts {
        line[*name] = (*count).into();
    }
    line.to_string()
}

/// Writes a metric line to stderr, where Lambda's logs are read from.
#[allow(clippy::print_stderr, reason = "a metric is a log line of its own form")]
pub fn emit(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_line_is_what_cloudwatch_reads() {
        let line = metric_line(Timestamp::UNIX_EPOCH, &[("DeadLetters", 2)]);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["DeadLetters"], 2);
        assert_eq!(value["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "DeadLetters");
        assert_eq!(value["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
    }
}
