//! The data of one metric, gathered by second or by minute.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// For how long data is kept. Source: CloudWatch user guide, "Metrics retention": 15 days by the minute. Data by the
/// second, which AWS keeps for three hours, is kept as long.
const LIFE_SECONDS: i64 = 15 * 86_400;

/// The data of one metric, by the second at which each bucket begins and by unit.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Series {
    buckets: BTreeMap<i64, BTreeMap<String, Bucket>>,
}

/// Values of one unit that fell together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Bucket {
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// One of CloudWatch's five basic statistics.
    pub(super) fn statistic(self, name: &str) -> Option<f64> {
        Some(match name {
            "SampleCount" => self.count,
            "Average" => self.sum / self.count,
            "Sum" => self.sum,
            "Minimum" => self.least,
            "Maximum" => self.most,
            _ => return None,
        })
    }
}

impl Series {
    /// Adds data of the moment `at`, in buckets of `resolution` seconds.
    pub(super) fn add(&mut self, at: i64, resolution: i64, unit: &str, data: Bucket, now: Timestamp) {
        let start = at - at.rem_euclid(resolution);
        let units = self.buckets.entry(start).or_default();
        let joined = units.get(unit).map_or(data, |known| known.join(data));
        units.insert(unit.to_owned(), joined);
        self.buckets = self.buckets.split_off(&(now.as_second() - LIFE_SECONDS));
    }

    /// Whether it holds anything that has not expired.
    pub(super) fn has_data(&self, now: Timestamp) -> bool {
        self.buckets.range(now.as_second() - LIFE_SECONDS..).next().is_some()
    }

    /// All data of `[from, to)`, of one unit or of any.
    pub(super) fn between(&self, from: i64, to: i64, unit: Option<&str>) -> Option<Bucket> {
        let units = self.buckets.range(from..to).flat_map(|(_, units)| units);
        units.filter(|(name, _)| unit.is_none_or(|unit| unit == *name)).map(|(_, data)| *data).reduce(Bucket::join)
    }
}

/// What makes a metric the one that it is: the order of its dimensions does not.
pub(super) fn key(namespace: &str, name: &str, dimensions: &Value) -> String {
    let pair = |each: &Value| (each["Name"].to_string(), each["Value"].to_string());
    let mut pairs: Vec<(String, String)> = dimensions.as_array().into_iter().flatten().map(pair).collect();
    pairs.sort();
    json!([namespace, name, pairs]).to_string()
}
