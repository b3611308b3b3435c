//! The list of metrics and expressions of an alarm on more than one metric.

use super::input::{self, constraint, invalid};
use super::metric::{STATISTICS, UNITS, check_period, is_extended, metric};
use crate::aws::Failure;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Metrics and expressions of one alarm. Source: CloudWatch user guide, "Create an alarm based on a math expression".
const MOST_QUERIES: usize = 20;

/// Reads `Metrics`, as the API shows it again.
pub(super) fn read(input: &Value, periods: i64) -> Result<Value, Failure> {
    let queries = input::list(input, "Metrics", MOST_QUERIES)?;
    let mut ids = BTreeSet::new();
    let mut shown = Vec::new();
    for given in queries {
        let query = query(given, periods)?;
        let id = query["Id"].as_str().unwrap_or_default().to_owned();
        if !ids.insert(id.clone()) {
            return Err(invalid(format!("The values for parameter id in Metrics are not unique: {id}")));
        }
        shown.push(query);
    }
    let band = input["ThresholdMetricId"].as_str();
    if let Some(band) = band.filter(|band| !ids.contains(*band)) {
        return Err(invalid(format!("ThresholdMetricId {band} is not the id of one of the Metrics.")));
    }
    // An anomaly band is data too, beside the one metric that is compared with it.
    let is_watched = |query: &&Value| query["ReturnData"] != false && query["Id"].as_str() != band;
    match shown.iter().filter(is_watched).count() {
        1 => Ok(Value::Array(shown)),
        _ => Err(invalid("Exactly one element of the metrics list should return data.")),
    }
}

fn query(given: &Value, periods: i64) -> Result<Value, Failure> {
    let id = input::required(given, "Id", 1, 255)?;
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !id.starts_with(|letter: char| letter.is_ascii_lowercase()) || !id.bytes().all(is_rest) {
        return Err(invalid(format!(
            "The value {id} for parameter id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$"
        )));
    }
    let mut shown = json!({ "Id": id });
    let expression = input::text(given, "Expression", 1, 2048)?;
    match (given.get("MetricStat"), expression) {
        (Some(stat), None) => shown["MetricStat"] = metric_stat(stat, periods)?,
        (None, Some(expression)) => shown["Expression"] = json!(expression),
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("Each element of the metrics list should have either an Expression or a MetricStat."));
        }
    }
    if let Some(label) = given["Label"].as_str() {
        shown["Label"] = json!(label);
    }
    if let Some(account) = input::text(given, "AccountId", 1, 255)? {
        shown["AccountId"] = json!(account);
    }
    if let Some(period) = input::number(given, "Period", 1)? {
        check_period(period, periods)?;
        shown["Period"] = json!(period);
    }
    if let Some(returns) = input::flag(&given["ReturnData"]) {
        shown["ReturnData"] = json!(returns);
    }
    Ok(shown)
}

fn metric_stat(given: &Value, periods: i64) -> Result<Value, Failure> {
    let period = input::number(given, "Period", 1)?.ok_or_else(|| constraint("null", "Period", "not be null"))?;
    check_period(period, periods)?;
    let stat = input::required(given, "Stat", 1, 255)?;
    if !STATISTICS.contains(&stat) && !is_extended(stat) {
        let message = format!("The value {stat} for parameter Stat is not supported.");
        return Err(Failure::sender("InvalidParameterValue", message));
    }
    let mut shown = json!({ "Metric": metric(&given["Metric"])?, "Period": period, "Stat": stat });
    if let Some(unit) = input::one_of(given, "Unit", &UNITS)? {
        shown["Unit"] = json!(unit);
    }
    Ok(shown)
}
