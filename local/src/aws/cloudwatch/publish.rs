//! PutMetricData.

use super::Change;
use super::input::{self, constraint};
use super::metric::UNITS;
use super::series::{self, Bucket};
use crate::aws::Failure;
use jiff::Timestamp;
use serde_json::Value;

/// Bounds. Source: CloudWatch API reference, PutMetricData and MetricDatum.
const MOST_METRICS: usize = 1_000;
const MOST_VALUES: usize = 150;
const OLDEST_SECONDS: i64 = 14 * 86_400;
const FURTHEST_SECONDS: i64 = 2 * 3_600;

/// The largest value that is taken: 2 to the power of 360.
const LARGEST: f64 = 2.348_542_582_773_833e108;

/// One datum, checked.
struct Datum {
    key: String,
    at: i64,
    resolution: i64,
    unit: String,
    data: Vec<Bucket>,
}

impl Change<'_> {
    /// Takes data: all of it or, if anything is wrong with it, none.
    pub(super) fn put_metric_data(&mut self, input: &Value) -> Result<(), Failure> {
        let namespace = input::required(input, "Namespace", 1, 255)?;
        if namespace.starts_with(':') {
            return Err(constraint(namespace, "Namespace", "satisfy regular expression pattern: [^:].*"));
        }
        if namespace.starts_with("AWS/") {
            return Err(wrong(format!("The value {namespace} for parameter Namespace is invalid.")));
        }
        let entities = input["EntityMetricData"].as_array().into_iter().flatten();
        let of_entities = entities.flat_map(|entity| entity["MetricData"].as_array().into_iter().flatten());
        let all: Vec<&Value> = input["MetricData"].as_array().into_iter().flatten().chain(of_entities).collect();
        if all.is_empty() {
            return Err(lacking("The parameter MetricData is required.".to_owned()));
        }
        if all.len() > MOST_METRICS {
            return Err(wrong(format!("The collection MetricData must not have a size greater than {MOST_METRICS}.")));
        }
        let data = all.iter().enumerate().map(|(index, datum)| read(namespace, index + 1, datum, self.now));
        let data: Vec<Datum> = data.collect::<Result<_, _>>()?;
        for datum in data {
            let series = self.here.series.entry(datum.key.clone()).or_default();
            for bucket in datum.data {
                series.add(datum.at, datum.resolution, &datum.unit, bucket, self.now);
            }
            self.schedule_watchers(&datum.key);
        }
        Ok(())
    }
}

fn read(namespace: &str, index: usize, datum: &Value, now: Timestamp) -> Result<Datum, Failure> {
    let member = |name: &str| format!("MetricData.member.{index}.{name}");
    let name = match input::text(datum, "MetricName", 1, 255)? {
        Some(name) => name,
        None => return Err(lacking(format!("The parameter {} is required.", member("MetricName")))),
    };
    for dimension in input::list(datum, "Dimensions", 30)? {
        input::required(dimension, "Name", 1, 255)?;
        input::required(dimension, "Value", 1, 1024)?;
    }
    let unit = input::one_of(datum, "Unit", &UNITS)?.unwrap_or("None");
    let resolution = input::number(datum, "StorageResolution", 1)?.unwrap_or(60);
    if ![1, 60].contains(&resolution) {
        let message = format!("The value {resolution} for parameter {} is invalid.", member("StorageResolution"));
        return Err(wrong(message));
    }
    let at = moment(&datum["Timestamp"]).unwrap_or_else(|| now.as_second());
    if at < now.as_second() - OLDEST_SECONDS {
        let timestamp = member("Timestamp");
        return Err(wrong(format!("The parameter {timestamp} must specify a time within the past two weeks.")));
    }
    if at > now.as_second() + FURTHEST_SECONDS {
        let timestamp = member("Timestamp");
        return Err(wrong(format!(
            "The parameter {timestamp} must specify a time no more than two hours in the future."
        )));
    }
    let key = series::key(namespace, name, &datum["Dimensions"]);
    Ok(Datum { key, at, resolution, unit: unit.to_owned(), data: values(datum, &member)? })
}

/// The values of a datum, whichever of the three ways it gives them in.
fn values(datum: &Value, member: &impl Fn(&str) -> String) -> Result<Vec<Bucket>, Failure> {
    let given: Vec<&str> = ["Value", "Values", "StatisticValues"]
        .into_iter()
        .filter(|name| datum.get(*name).is_some_and(|value| !value.is_null()))
        .collect();
    match given[..] {
        [] => Err(lacking(format!("The parameter {} is required.", member("Value")))),
        ["Value"] => {
            let value = amount(&datum["Value"], &member("Value"))?;
            Ok(vec![Bucket { count: 1.0, sum: value, least: value, most: value }])
        }
        ["Values"] => many(datum, member),
        ["StatisticValues"] => statistic_set(&datum["StatisticValues"], &member("StatisticValues")),
        [first, second, ..] => {
            let (first, second) = (member(first), member(second));
            let message =
                format!("The parameters {first} and {second} are mutually exclusive and you have specified both.");
            Err(Failure::sender("InvalidParameterCombination", message))
        }
        [other] => Err(wrong(format!("The parameter {} is invalid.", member(other)))),
    }
}

fn many(datum: &Value, member: &impl Fn(&str) -> String) -> Result<Vec<Bucket>, Failure> {
    let values = datum["Values"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counts = datum["Counts"].as_array();
    if counts.is_some_and(|counts| counts.len() != values.len()) {
        let (values, counts) = (member("Values"), member("Counts"));
        return Err(wrong(format!("The parameters {values} and {counts} must be of the same size.")));
    }
    if values.is_empty() || values.len() > MOST_VALUES {
        let values = member("Values");
        return Err(wrong(format!("The collection {values} must have a size between 1 and {MOST_VALUES}.")));
    }
    let mut buckets = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let value = amount(value, &member("Values"))?;
        let count = match counts.and_then(|counts| counts.get(index)) {
            Some(count) => amount(count, &member("Counts"))?,
            None => 1.0,
        };
        if count < 0.0 {
            return Err(wrong(format!("The value {count} for parameter {} is invalid.", member("Counts"))));
        }
        if count > 0.0 {
            buckets.push(Bucket { count, sum: value * count, least: value, most: value });
        }
    }
    Ok(buckets)
}

fn statistic_set(set: &Value, member: &str) -> Result<Vec<Bucket>, Failure> {
    let part = |name: &str| {
        let path = format!("{member}.{name}");
        if set[name].is_null() {
            Err(lacking(format!("The parameter {path} is required.")))
        } else {
            amount(&set[name], &path)
        }
    };
    let bucket =
        Bucket { count: part("SampleCount")?, sum: part("Sum")?, least: part("Minimum")?, most: part("Maximum")? };
    if bucket.count <= 0.0 {
        return Err(wrong(format!("The value {} for parameter {member}.SampleCount is invalid.", bucket.count)));
    }
    if bucket.least > bucket.most {
        return Err(wrong(format!("The parameter {member}.Maximum must be greater than {member}.Minimum.")));
    }
    Ok(vec![bucket])
}

fn amount(value: &Value, member: &str) -> Result<f64, Failure> {
    let number = input::float(value).filter(|number| number.abs() <= LARGEST);
    number.ok_or_else(|| wrong(format!("The value {value} for parameter {member} is invalid.")))
}

/// A moment as protocols carry it: seconds since the epoch, or ISO 8601.
pub(super) fn moment(value: &Value) -> Option<i64> {
    match value {
        Value::Number(seconds) => seconds.as_f64().map(|seconds| seconds.floor() as i64),
        Value::String(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_second),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn wrong(message: String) -> Failure {
    Failure::sender("InvalidParameterValue", message)
}

fn lacking(message: String) -> Failure {
    Failure::sender("MissingParameter", message)
}
