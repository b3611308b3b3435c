//! Logs as JSON lines, and metrics as log lines that CloudWatch reads (embedded metric format).
//!
//! `docs/logging.md` says what may stand in a line, and what never does.

use crate::settings::Lookup;
use jiff::Timestamp;
use serde_json::json;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// The namespace of every metric.
pub const NAMESPACE: &str = "Pointsman";

/// Sends logs to stderr as JSON lines, one subscriber for the process. `RUST_LOG` narrows or widens them by target:
/// `debug`, or `info,pointsman=debug`. One that cannot be read counts as none.
pub fn start(lookup: Lookup<'_>) {
    let lines = fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    // A second start keeps the first subscriber: nothing to do about it, and nothing lost.
    let _ = registry().with(lines.with_filter(wanted(lookup).and(without_bodies()))).try_init();
}

fn wanted(lookup: Lookup<'_>) -> Targets {
    let named = lookup("RUST_LOG").filter(|text| !text.is_empty()).and_then(|text| text.parse::<Targets>().ok());
    named.unwrap_or_else(usual)
}

/// All that may be heard, whatever is wanted: at `trace` the SDK writes out every request and every answer, with the
/// secrets, tokens and links that are in them.
pub fn without_bodies() -> Targets {
    Targets::new().with_default(LevelFilter::TRACE).with_target("aws", LevelFilter::DEBUG)
}

/// Ours from `info` on; of the libraries, what they warn of. (Filters by span and field would have every function carry
/// a regular expression engine.)
fn usual() -> Targets {
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets([("aws", LevelFilter::WARN), ("hyper", LevelFilter::WARN)])
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
    fn no_wish_has_the_sdk_write_out_what_it_sends() {
        use tracing::Level;
        let orchestrator = "aws_smithy_runtime::client::orchestrator";
        #[rustfmt::skip]
        let cases = [
            // RUST_LOG                     target           level          heard  why
            ("",                            "pointsman",     Level::INFO,   true,  "as usual"),
            ("",                            orchestrator,    Level::INFO,   false, "of libraries only what they warn of"),
            ("trace",                       "pointsman",     Level::TRACE,  true,  "as wished"),
            ("trace",                       orchestrator,    Level::DEBUG,  true,  "what it does"),
            ("trace",                       orchestrator,    Level::TRACE,  false, "but not what it sends"),
            ("aws_smithy_runtime=trace",    orchestrator,    Level::TRACE,  false, "not by its name either"),
        ];
        for (asked, target, level, expected, why) in cases {
            let heard = wanted(&|_| Some(asked.to_owned())).would_enable(target, &level)
                && without_bodies().would_enable(target, &level);
            assert_eq!(heard, expected, "{why}");
        }
    }

    #[test]
    fn a_metric_line_is_what_cloudwatch_reads() {
        let line = metric_line(Timestamp::UNIX_EPOCH, &[("DeadLetters", 2)]);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["DeadLetters"], 2);
        assert_eq!(value["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "DeadLetters");
        assert_eq!(value["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
    }
}
