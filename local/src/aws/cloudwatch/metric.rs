//! PutMetricAlarm: what an alarm on a metric, an expression or an anomaly band may ask for.

use super::input::{self, constraint, invalid};
use super::{Change, metrics_list};
use crate::aws::Failure;
use serde_json::{Map, Value, json};

/// The operators of a fixed threshold, and those of an anomaly band.
const OPERATORS: [&str; 4] =
    ["GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"];
const BAND_OPERATORS: [&str; 3] =
    ["LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold"];

pub(super) const STATISTICS: [&str; 5] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"];

/// Source: `StandardUnit` of CloudWatch's model.
#[rustfmt::skip]
pub(super) const UNITS: [&str; 27] = [
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
    "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second",
    "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second",
    "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
];

/// Members that belong to one metric, and exclude a list of metrics.
const SINGLE: [&str; 7] = ["MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic"];

/// Members of newer kinds of alarms. To take them and not act on them would be a lie.
const NOT_EMULATED: [&str; 5] =
    ["ActionConfiguration", "EvaluationCriteria", "EvaluationInterval", "EvaluationWindow", "WarmUpConfiguration"];

const DAY_SECONDS: i64 = 86_400;

impl Change<'_> {
    pub(super) fn put_metric_alarm(&mut self, input: &Value) -> Result<(), Failure> {
        let name = input::alarm_name(input::required(input, "AlarmName", 1, 255)?)?;
        if let Some(member) = NOT_EMULATED.iter().find(|member| input.get(**member).is_some()) {
            return Err(Failure::not_emulated("CloudWatch", &format!("PutMetricAlarm with {member}")));
        }
        let mut settings = common(input, self.region)?;
        evaluation(input, &mut settings)?;
        let periods = settings["EvaluationPeriods"].as_i64().unwrap_or(1);
        if input["Metrics"].as_array().is_some_and(|metrics| !metrics.is_empty()) {
            if let Some(member) = SINGLE.iter().find(|member| input.get(**member).is_some()) {
                return Err(invalid(format!("{member} should not be set if list of Metrics is set.")));
            }
            settings.insert("Dimensions".to_owned(), json!([]));
            let metrics = metrics_list::read(input, periods)?;
            settings.insert("Metrics".to_owned(), metrics);
        } else {
            single(input, periods, &mut settings)?;
        }
        let tags = input::tags(input)?;
        self.here.admit(name, false)?;
        self.put(name, settings, None, tags);
        self.schedule(name);
        Ok(())
    }
}

/// What metric and composite alarms have in common.
pub(super) fn common(input: &Value, region: &str) -> Result<Map<String, Value>, Failure> {
    let mut settings = Map::new();
    settings.insert("ActionsEnabled".to_owned(), json!(input::flag(&input["ActionsEnabled"]).unwrap_or(true)));
    for member in ["OKActions", "AlarmActions", "InsufficientDataActions"] {
        let actions = input::list(input, member, 5)?;
        for action in actions {
            check_action(action.as_str().unwrap_or_default(), region)?;
        }
        settings.insert(member.to_owned(), json!(actions));
    }
    if let Some(description) = input::text(input, "AlarmDescription", 0, 1024)? {
        settings.insert("AlarmDescription".to_owned(), json!(description));
    }
    Ok(settings)
}

fn check_action(action: &str, region: &str) -> Result<(), Failure> {
    let parts: Vec<&str> = action.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, service, at, _, resource]
            if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
        {
            if service == "sns" && at != region {
                return Err(invalid(format!("Invalid region {at} specified. Only {region} is supported.")));
            }
            Ok(())
        }
        _ => Err(invalid(format!("Invalid arn syntax: {action}"))),
    }
}

/// How datapoints are compared, and how many of them count.
fn evaluation(input: &Value, settings: &mut Map<String, Value>) -> Result<(), Failure> {
    let operators: Vec<&str> = OPERATORS.into_iter().chain(BAND_OPERATORS).collect();
    let operator = input::one_of(input, "ComparisonOperator", &operators)?
        .ok_or_else(|| invalid("PutMetricAlarm request should have a valid ComparisonOperator parameter"))?;
    let band = input::text(input, "ThresholdMetricId", 1, 255)?;
    let threshold = input::float(&input["Threshold"]);
    match (band, threshold) {
        (Some(_), Some(_)) => {
            return Err(invalid("Threshold should not be set if ThresholdMetricId is set."));
        }
        (Some(_), None) if !BAND_OPERATORS.contains(&operator) => {
            return Err(invalid(format!("ComparisonOperator {operator} cannot be used with ThresholdMetricId.")));
        }
        (None, _) if BAND_OPERATORS.contains(&operator) => {
            return Err(invalid(format!("ComparisonOperator {operator} can only be used with ThresholdMetricId.")));
        }
        (None, None) => return Err(invalid("PutMetricAlarm request should have valid Threshold parameter")),
        (Some(id), None) => settings.insert("ThresholdMetricId".to_owned(), json!(id)),
        (None, Some(threshold)) => settings.insert("Threshold".to_owned(), json!(threshold)),
    };
    settings.insert("ComparisonOperator".to_owned(), json!(operator));
    let periods = input::number(input, "EvaluationPeriods", 1)?
        .ok_or_else(|| constraint("null", "EvaluationPeriods", "not be null"))?;
    settings.insert("EvaluationPeriods".to_owned(), json!(periods));
    if let Some(datapoints) = input::number(input, "DatapointsToAlarm", 1)? {
        if datapoints > periods {
            return Err(invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods"));
        }
        settings.insert("DatapointsToAlarm".to_owned(), json!(datapoints));
    }
    if let Some(treat) = input::text(input, "TreatMissingData", 1, 255)? {
        let values = ["breaching", "notBreaching", "ignore", "missing"];
        if !values.contains(&treat) {
            return Err(invalid(format!(
                "The value {treat} is not supported for TreatMissingData parameter. Supported values are [{}].",
                values.join(", ")
            )));
        }
        settings.insert("TreatMissingData".to_owned(), json!(treat));
    }
    if let Some(option) = input::text(input, "EvaluateLowSampleCountPercentile", 1, 255)? {
        if !["evaluate", "ignore"].contains(&option) {
            return Err(invalid(format!(
                "Option {option} is not supported. Supported options for parameter EvaluateLowSampleCountPercentile \
                 are evaluate and ignore."
            )));
        }
        settings.insert("EvaluateLowSampleCountPercentile".to_owned(), json!(option));
    }
    Ok(())
}

/// The only metric of an alarm that has one.
fn single(input: &Value, periods: i64, settings: &mut Map<String, Value>) -> Result<(), Failure> {
    if settings.contains_key("ThresholdMetricId") {
        return Err(invalid("ThresholdMetricId can only be set if list of Metrics is set."));
    }
    let metric = metric(input)?;
    settings.extend(metric.as_object().cloned().into_iter().flatten());
    let statistic = input::one_of(input, "Statistic", &STATISTICS)?;
    match (statistic, input["ExtendedStatistic"].as_str()) {
        (Some(_), Some(_)) => {
            return Err(invalid(
                "PutMetricAlarm request can not be made with both Statistic and ExtendedStatistic parameters. \
                 Only one of them should be present",
            ));
        }
        (None, None) => return Err(invalid("PutMetricAlarm request should have a Statistic parameter")),
        (Some(statistic), None) => settings.insert("Statistic".to_owned(), json!(statistic)),
        (None, Some(extended)) => {
            if !is_extended(extended) {
                let message = format!("The value {extended} for parameter ExtendedStatistic is not supported.");
                return Err(Failure::sender("InvalidParameterValue", message));
            }
            settings.insert("ExtendedStatistic".to_owned(), json!(extended))
        }
    };
    if let Some(statistic) = statistic.filter(|_| settings.contains_key("EvaluateLowSampleCountPercentile")) {
        return Err(invalid(format!(
            "Option evaluateLowSampleCountPercentile can not be applied with statistic {statistic}. This option is \
             enabled only for percentile statistics."
        )));
    }
    let period = input::number(input, "Period", 1)?
        .ok_or_else(|| invalid("PutMetricAlarm request should have a Period parameter"))?;
    check_period(period, periods)?;
    settings.insert("Period".to_owned(), json!(period));
    if let Some(unit) = input::one_of(input, "Unit", &UNITS)? {
        settings.insert("Unit".to_owned(), json!(unit));
    }
    Ok(())
}

/// `Namespace`, `MetricName` and `Dimensions`, as the API shows them.
pub(super) fn metric(input: &Value) -> Result<Value, Failure> {
    let name = input::required(input, "MetricName", 1, 255)?;
    let namespace = input::required(input, "Namespace", 1, 255)?;
    if namespace.starts_with(':') {
        return Err(constraint(namespace, "Namespace", "satisfy regular expression pattern: [^:].*"));
    }
    let mut dimensions = Vec::new();
    for dimension in input::list(input, "Dimensions", 30)? {
        let (name, value) =
            (input::required(dimension, "Name", 1, 255)?, input::required(dimension, "Value", 1, 1024)?);
        dimensions.push(json!({ "Name": name, "Value": value }));
    }
    Ok(json!({ "Namespace": namespace, "MetricName": name, "Dimensions": dimensions }))
}

/// A period, and the time that all of them span.
pub(super) fn check_period(period: i64, periods: i64) -> Result<(), Failure> {
    if ![10, 20, 30].contains(&period) && period % 60 != 0 {
        return Err(invalid("Period must be 10, 20, 30 or a multiple of 60"));
    }
    let span = period.saturating_mul(periods);
    if period < 3_600 && span > DAY_SECONDS {
        return Err(invalid(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400) for \
             alarms using period < 3600",
        ));
    }
    if span > 7 * DAY_SECONDS {
        return Err(invalid(
            "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800) for \
             alarms using period >= 3600",
        ));
    }
    Ok(())
}

/// Percentiles and trimmed statistics: `p99.9`, `tm90`, `TM(10%:90%)`, `PR(0:100)`, `IQM`.
pub(super) fn is_extended(statistic: &str) -> bool {
    if statistic == "IQM" {
        return true;
    }
    let is_share = |text: &str| text.parse::<f64>().is_ok_and(|share| (0.0..=100.0).contains(&share));
    if let Some(share) = ["p", "tm", "tc", "ts", "wm"].iter().find_map(|prefix| statistic.strip_prefix(prefix)) {
        return is_share(share);
    }
    let Some((function, bounds)) = statistic.strip_suffix(')').and_then(|text| text.split_once('(')) else {
        return false;
    };
    let Some((low, high)) = bounds.split_once(':') else { return false };
    let is_bound = |text: &str| match text.strip_suffix('%') {
        Some(share) => function != "PR" && is_share(share),
        None => text.is_empty() || text.parse::<f64>().is_ok(),
    };
    ["PR", "TC", "TM", "TS", "WM"].contains(&function) && is_bound(low) && is_bound(high)
}
