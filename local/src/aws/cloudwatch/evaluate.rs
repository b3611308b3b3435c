//! The evaluation of metric alarms.
//!
//! An alarm on one metric with a basic statistic is evaluated for as long as the metric has data; alarms on
//! expressions, percentiles and anomaly bands keep the state that they were set to.
//! Source: CloudWatch user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".

use super::Change;
use super::alarm::{Alarm, StateValue, stamp};
use super::series::{self, Series};
use crate::aws::Pace;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// How soon after new data an alarm is evaluated at the fast pace.
const FAST: SignedDuration = SignedDuration::from_millis(300);

/// Periods beyond those that are evaluated, from which datapoints stand in for missing ones.
const SPARE_PERIODS: i64 = 2;

/// How an alarm watches its metric.
struct Watch<'a> {
    statistic: &'a str,
    period: i64,
    /// N of "M out of N".
    periods: usize,
    /// M of "M out of N".
    datapoints: usize,
    operator: &'a str,
    threshold: f64,
    missing: &'a str,
    unit: Option<&'a str>,
}

/// One period that has data.
struct Datapoint {
    start: i64,
    value: f64,
    samples: f64,
    is_breaching: bool,
    /// 1 for the latest period.
    age: usize,
}

/// What an evaluation comes to.
struct Verdict {
    value: StateValue,
    /// The datapoints that decided, the latest first.
    datapoints: Vec<Datapoint>,
    /// How many missing ones were filled in.
    filled: usize,
}

impl Change<'_> {
    /// Evaluates every alarm that is due.
    pub(super) fn evaluate_due(&mut self) {
        let is_due = |alarm: &&Alarm| alarm.check_at.is_some_and(|at| at <= self.now);
        let due: Vec<String> = self.here.alarms.values().filter(is_due).map(|alarm| alarm.name.clone()).collect();
        for name in due {
            self.evaluate(&name);
            self.schedule_next(&name);
        }
    }

    /// Has an alarm evaluated soon, if its metric has data.
    pub(super) fn schedule(&mut self, name: &str) {
        let soon = match self.aws.behaviour().pace {
            Pace::Fast => self.now.saturating_add(FAST).ok(),
            Pace::Real => self.here.alarms.get(name).and_then(|alarm| boundary(alarm, self.now)),
        };
        let has_data = self.has_data(name);
        if let Some(alarm) = self.here.alarms.get_mut(name) {
            let sooner = [alarm.check_at, soon].into_iter().flatten().min();
            alarm.check_at = sooner.filter(|_| has_data);
        }
    }

    /// Has every alarm evaluated soon that watches this metric.
    pub(super) fn schedule_watchers(&mut self, key: &str) {
        let watches = |alarm: &&Alarm| key_of(alarm).as_deref() == Some(key);
        let names: Vec<String> = self.here.alarms.values().filter(watches).map(|alarm| alarm.name.clone()).collect();
        for name in names {
            self.schedule(&name);
        }
    }

    fn schedule_next(&mut self, name: &str) {
        let has_data = self.has_data(name);
        if let Some(alarm) = self.here.alarms.get_mut(name) {
            alarm.check_at = boundary(alarm, self.now).filter(|_| has_data);
        }
    }

    fn has_data(&self, name: &str) -> bool {
        let key = self.here.alarms.get(name).and_then(key_of);
        key.and_then(|key| self.here.series.get(&key)).is_some_and(|series| series.has_data(self.now))
    }

    fn evaluate(&mut self, name: &str) {
        let Some(alarm) = self.here.alarms.get(name) else { return };
        let Some(watch) = Watch::of(alarm) else { return };
        let Some(series) = key_of(alarm).and_then(|key| self.here.series.get(&key)) else { return };
        let end = watch.end(series, self.now, self.aws.behaviour().pace);
        let Some(verdict) = watch.judge(series, end) else { return };
        if verdict.value == alarm.status.value {
            return;
        }
        let reason = watch.reason(&verdict, alarm);
        let data = watch.reason_data(&verdict, end, self.now);
        self.transition(name, verdict.value, reason, Some(data));
    }
}

/// The metric that a single-metric alarm watches.
fn key_of(alarm: &Alarm) -> Option<String> {
    Watch::of(alarm)?;
    let dimensions = alarm.settings.get("Dimensions").unwrap_or(&Value::Null);
    Some(series::key(alarm.text("Namespace"), alarm.text("MetricName"), dimensions))
}

/// The next moment at which CloudWatch looks: every 10 seconds for periods of seconds, every hour for windows longer
/// than a day, else every minute.
fn boundary(alarm: &Alarm, now: Timestamp) -> Option<Timestamp> {
    let watch = Watch::of(alarm)?;
    let window = watch.period.saturating_mul(i64::try_from(watch.periods).ok()?);
    let every = match (watch.period, window) {
        (..60, _) => 10,
        (_, 86_401..) => 3_600,
        _ => 60,
    };
    let seconds = now.as_second();
    Timestamp::from_second(seconds - seconds.rem_euclid(every) + every).ok()
}

impl<'a> Watch<'a> {
    fn of(alarm: &'a Alarm) -> Option<Self> {
        let number = |member: &str| alarm.settings.get(member).and_then(Value::as_i64);
        let count = |member: &str| number(member).and_then(|count| usize::try_from(count).ok());
        let text = |member: &str| Some(alarm.text(member)).filter(|text| !text.is_empty());
        let periods = count("EvaluationPeriods")?;
        let default = if alarm.text("Namespace") == "AWS/DynamoDB" { "ignore" } else { "missing" };
        Some(Self {
            statistic: text("Statistic")?,
            period: number("Period")?,
            periods,
            datapoints: count("DatapointsToAlarm").unwrap_or(periods),
            operator: text("ComparisonOperator")?,
            threshold: alarm.settings.get("Threshold")?.as_f64()?,
            missing: text("TreatMissingData").unwrap_or(default),
            unit: text("Unit"),
        })
    }

    /// Where the last period ends. At the fast pace a period counts from its first datum, else when it is over.
    fn end(&self, series: &Series, now: Timestamp, pace: Pace) -> i64 {
        let seconds = now.as_second();
        let start = seconds - seconds.rem_euclid(self.period);
        let has_begun = series.between(start, start + self.period, self.unit).is_some();
        if pace == Pace::Fast && has_begun { start + self.period } else { start }
    }

    fn is_breaching(&self, value: f64) -> bool {
        match self.operator {
            "GreaterThanOrEqualToThreshold" => value >= self.threshold,
            "GreaterThanThreshold" => value > self.threshold,
            "LessThanThreshold" => value < self.threshold,
            _ => value <= self.threshold,
        }
    }

    /// The periods that have data, the latest first.
    fn datapoints(&self, series: &Series, end: i64) -> Vec<Datapoint> {
        let range = i64::try_from(self.periods).unwrap_or(i64::MAX).saturating_add(SPARE_PERIODS);
        let ages = (1..=range).map_while(|age| Some((usize::try_from(age).ok()?, end - age * self.period)));
        let points = ages.filter_map(|(age, start)| {
            let data = series.between(start, start + self.period, self.unit)?;
            let value = data.statistic(self.statistic)?;
            Some(Datapoint { start, value, samples: data.count, is_breaching: self.is_breaching(value), age })
        });
        points.take(self.periods).collect()
    }

    /// The state that the data asks for; `None` where it asks for none.
    fn judge(&self, series: &Series, end: i64) -> Option<Verdict> {
        let datapoints = self.datapoints(series, end);
        let filled = self.periods - datapoints.len();
        let breaching = datapoints.iter().filter(|point| point.is_breaching).count();
        let alarm_if = |rings: bool| if rings { StateValue::Alarm } else { StateValue::Ok };
        let value = match self.missing {
            _ if filled == 0 => alarm_if(breaching >= self.datapoints),
            "breaching" => alarm_if(breaching + filled >= self.datapoints),
            "notBreaching" => alarm_if(breaching >= self.datapoints),
            _ if breaching >= self.datapoints => StateValue::Alarm,
            _ if breaching < datapoints.len() => StateValue::Ok,
            "ignore" => return None,
            _ if datapoints.is_empty() => StateValue::InsufficientData,
            // Only breaching data, and too little of it. It rings once the oldest is as old as the datapoints asked for.
            _ if datapoints.iter().any(|point| point.age >= self.datapoints) => StateValue::Alarm,
            _ => return None,
        };
        Some(Verdict { value, datapoints, filled })
    }

    fn reason(&self, verdict: &Verdict, alarm: &Alarm) -> String {
        let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let were = |count: usize| if count == 1 { "was" } else { "were" };
        let Verdict { value, datapoints, filled } = verdict;
        if *value == StateValue::InsufficientData {
            return format!("Insufficient Data: {} {} unknown.", plural(*filled, "datapoint"), were(*filled));
        }
        let treated = if self.missing == "breaching" { "Breaching" } else { "NonBreaching" };
        if datapoints.is_empty() {
            let (periods, missing) = (plural(*filled, "period"), plural(*filled, "missing datapoint"));
            let were = were(*filled);
            return format!(
                "Threshold Crossed: no datapoints were received for {periods} and {missing} {were} treated as [{treated}]."
            );
        }
        let wanted = *value == StateValue::Alarm;
        let points: Vec<&Datapoint> = datapoints.iter().filter(|point| point.is_breaching == wanted).collect();
        let shown = points.iter().map(|point| {
            let at = Timestamp::from_second(point.start).unwrap_or_default();
            format!("{:?} ({})", point.value, at.strftime("%d/%m/%y %H:%M:%S"))
        });
        let shown = shown.collect::<Vec<_>>().join(", ");
        let not = if wanted { "" } else { "not " };
        let compared = match self.operator {
            "GreaterThanOrEqualToThreshold" => "greater than or equal to",
            "GreaterThanThreshold" => "greater than",
            "LessThanThreshold" => "less than",
            _ => "less than or equal to",
        };
        let were = were(points.len());
        let outcome = format!("[{shown}] {were} {not}{compared} the threshold ({:?})", self.threshold);
        if alarm.settings.contains_key("DatapointsToAlarm") || points.len() < self.periods {
            let least = if wanted { self.datapoints } else { self.periods - self.datapoints + 1 };
            let (from, to) = (alarm.status.value.name(), value.name());
            let (count, of) = (points.len(), self.periods);
            let least = plural(least, "datapoint");
            return format!(
                "Threshold Crossed: {count} out of the last {of} datapoints {outcome} (minimum {least} for {from} -> {to} transition)."
            );
        }
        format!("Threshold Crossed: {} {outcome}.", plural(points.len(), "datapoint"))
    }

    fn reason_data(&self, verdict: &Verdict, end: i64, now: Timestamp) -> String {
        let at = |second: i64| stamp(Timestamp::from_second(second).unwrap_or_default());
        let recent: Vec<f64> = verdict.datapoints.iter().rev().map(|point| point.value).collect();
        let ages = 1..=i64::try_from(self.periods).unwrap_or(1);
        let evaluated = ages.map(|age| {
            let start = end - age * self.period;
            match verdict.datapoints.iter().find(|point| point.start == start) {
                Some(point) => json!({ "timestamp": at(start), "sampleCount": point.samples, "value": point.value }),
                None => json!({ "timestamp": at(start) }),
            }
        });
        let mut data = json!({
            "version": "1.0",
            "queryDate": stamp(now),
            "statistic": self.statistic,
            "period": self.period,
            "recentDatapoints": recent,
            "threshold": self.threshold,
            "evaluatedDatapoints": evaluated.collect::<Vec<_>>(),
        });
        if let Some(oldest) = verdict.datapoints.last() {
            data["startDate"] = json!(at(oldest.start));
        }
        if let Some(unit) = self.unit {
            data["unit"] = json!(unit);
        }
        data.to_string()
    }
}
