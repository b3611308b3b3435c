//! Alarms as events and history write them: each has field names of its own.
//!
//! Source: CloudWatch user guide, "Alarm events and EventBridge", and answers of the service.

use super::alarm::{Alarm, Status, stamp};
use super::history::Item;
use crate::aws::Event;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What was done to an alarm's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    /// As events say it, as history's data says it, as history's summary says it, and history's member.
    fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Create => ("create", "Create", "created", "createdAlarm"),
            Self::Update => ("update", "Update", "updated", "updatedAlarm"),
            Self::Delete => ("delete", "Delete", "deleted", "deletedAlarm"),
        }
    }
}

/// The event of a change of state.
pub(super) fn state_change(alarm: &Alarm, previous: &Status) -> Event {
    event(
        alarm,
        "CloudWatch Alarm State Change",
        json!({
            "alarmName": alarm.name,
            "state": state(&alarm.status),
            "previousState": state(previous),
            "configuration": configuration(alarm),
        }),
    )
}

/// The event of a change of configuration. `previous` is the alarm before an update.
pub(super) fn configuration_change(alarm: &Alarm, previous: Option<&Alarm>, operation: Operation) -> Event {
    let mut state = json!({ "value": alarm.status.value.name(), "timestamp": stamp(alarm.status.updated) });
    if operation == Operation::Delete {
        state["reason"] = json!(alarm.status.reason);
    }
    let mut detail = json!({
        "alarmName": alarm.name,
        "operation": operation.words().0,
        "state": state,
        "configuration": full_configuration(alarm),
    });
    if let Some(previous) = previous {
        detail["previousConfiguration"] = full_configuration(previous);
    }
    event(alarm, "CloudWatch Alarm Configuration Change", detail)
}

fn event(alarm: &Alarm, detail_type: &str, detail: Value) -> Event {
    Event {
        source: "aws.cloudwatch".to_owned(),
        detail_type: detail_type.to_owned(),
        resources: vec![alarm.arn.clone()],
        detail,
    }
}

fn state(status: &Status) -> Value {
    let mut state = json!({
        "value": status.value.name(),
        "reason": status.reason,
        "timestamp": stamp(status.updated),
    });
    if let Some(data) = &status.data {
        state["reasonData"] = json!(data);
    }
    state
}

/// The part of the configuration that goes with a change of state.
fn configuration(alarm: &Alarm) -> Value {
    let mut configuration = json!({});
    copy(alarm, &mut configuration, "AlarmDescription", "description");
    if !alarm.is_composite() {
        configuration["metrics"] = metrics(alarm);
    }
    for (from, to) in [
        ("AlarmRule", "alarmRule"),
        ("ActionsSuppressor", "actionsSuppressor"),
        ("ActionsSuppressorWaitPeriod", "actionsSuppressorWaitPeriod"),
        ("ActionsSuppressorExtensionPeriod", "actionsSuppressorExtensionPeriod"),
    ] {
        copy(alarm, &mut configuration, from, to);
    }
    configuration
}

fn full_configuration(alarm: &Alarm) -> Value {
    let mut all = configuration(alarm);
    all["alarmName"] = json!(alarm.name);
    all["timestamp"] = json!(stamp(alarm.configured));
    for (from, to) in [
        ("ActionsEnabled", "actionsEnabled"),
        ("OKActions", "okActions"),
        ("AlarmActions", "alarmActions"),
        ("InsufficientDataActions", "insufficientDataActions"),
        ("EvaluationPeriods", "evaluationPeriods"),
        ("DatapointsToAlarm", "datapointsToAlarm"),
        ("Threshold", "threshold"),
        ("ThresholdMetricId", "thresholdMetricId"),
        ("ComparisonOperator", "comparisonOperator"),
        ("TreatMissingData", "treatMissingData"),
        ("EvaluateLowSampleCountPercentile", "evaluateLowSampleCountPercentile"),
    ] {
        copy(alarm, &mut all, from, to);
    }
    all
}

fn copy(alarm: &Alarm, into: &mut Value, from: &str, to: &str) {
    if let Some(value) = alarm.settings.get(from) {
        into[to] = value.clone();
    }
}

/// The metrics of an alarm as events write them: dimensions are an object, and a single metric has an id too.
fn metrics(alarm: &Alarm) -> Value {
    if let Some(queries) = alarm.settings.get("Metrics").and_then(Value::as_array) {
        return queries.iter().map(query).collect();
    }
    let stat = alarm.settings.get("Statistic").or_else(|| alarm.settings.get("ExtendedStatistic"));
    let mut single = json!({ "MetricStat": { "Metric": alarm.settings, "Stat": stat } });
    for member in ["Period", "Unit"] {
        if let Some(value) = alarm.settings.get(member) {
            single["MetricStat"][member] = value.clone();
        }
    }
    single["Id"] = json!(alarm.query_id);
    single["ReturnData"] = json!(true);
    json!([query(&single)])
}

fn query(query: &Value) -> Value {
    let mut shown = json!({});
    for (from, to) in [
        ("Id", "id"),
        ("Expression", "expression"),
        ("Label", "label"),
        ("Period", "period"),
        ("AccountId", "accountId"),
        ("ReturnData", "returnData"),
    ] {
        if let Some(value) = query.get(from) {
            shown[to] = value.clone();
        }
    }
    if let Some(stat) = query.get("MetricStat") {
        let metric = &stat["Metric"];
        let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
        let pairs = dimensions.filter_map(|each| Some((each["Name"].as_str()?.to_owned(), each["Value"].clone())));
        let dimensions: Map<String, Value> = pairs.collect();
        shown["metricStat"] = json!({
            "metric": { "namespace": metric["Namespace"], "name": metric["MetricName"], "dimensions": dimensions },
            "period": stat["Period"],
            "stat": stat["Stat"],
        });
        if let Some(unit) = stat.get("Unit") {
            shown["metricStat"]["unit"] = unit.clone();
        }
    }
    shown
}

/// The history of a change of configuration.
pub(super) fn configuration_item(alarm: &Alarm, previous: Option<&Alarm>, operation: Operation, at: Timestamp) -> Item {
    let (_, kind, done, member) = operation.words();
    let now = history_configuration(alarm);
    let mut data = json!({ "version": "1.0", "type": kind, member: now });
    if let Some(previous) = previous {
        let mut original = history_configuration(previous);
        original.retain(|name, value| now.get(name) != Some(value));
        data["originalUpdatedFields"] = Value::Object(original);
    }
    Item {
        alarm: alarm.name.clone(),
        kind: alarm.kind().to_owned(),
        at,
        what: "ConfigurationUpdate".to_owned(),
        summary: format!("Alarm \"{}\" {done}", alarm.name),
        data: data.to_string(),
    }
}

/// The history of a change of state.
pub(super) fn state_item(alarm: &Alarm, previous: &Status) -> Item {
    let state = |status: &Status| {
        let mut state = json!({ "stateValue": status.value.name(), "stateReason": status.reason });
        if let Some(data) = status.data.as_deref().and_then(|data| serde_json::from_str::<Value>(data).ok()) {
            state["stateReasonData"] = data;
        }
        state
    };
    let (old, new) = (previous.value.name(), alarm.status.value.name());
    let data = json!({ "version": "1.0", "oldState": state(previous), "newState": state(&alarm.status) });
    Item {
        alarm: alarm.name.clone(),
        kind: alarm.kind().to_owned(),
        at: alarm.status.updated,
        what: "StateUpdate".to_owned(),
        summary: format!("Alarm updated from {old} to {new}"),
        data: data.to_string(),
    }
}

fn history_configuration(alarm: &Alarm) -> Map<String, Value> {
    let mut all = Map::new();
    for (member, value) in &alarm.settings {
        match (member.as_str(), value) {
            ("Statistic", Value::String(name)) => {
                all.insert("extendedStatistic".to_owned(), json!(name.to_uppercase()));
            }
            ("OKActions", value) => {
                all.insert("okactions".to_owned(), value.clone());
            }
            (member, value) => {
                all.insert(in_camel_case(member), lowered(value));
            }
        }
    }
    let more = [
        ("alarmName", json!(alarm.name)),
        ("alarmArn", json!(alarm.arn)),
        ("alarmConfigurationUpdatedTimestamp", json!(stamp(alarm.configured))),
        ("stateValue", json!(alarm.status.value.name())),
        ("stateUpdatedTimestamp", json!(stamp(alarm.status.updated))),
    ];
    all.extend(more.map(|(name, value)| (name.to_owned(), value)));
    all
}

fn in_camel_case(member: &str) -> String {
    let mut letters = member.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// The same value with the names of all members in camel case.
fn lowered(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (in_camel_case(name), lowered(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(lowered).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
