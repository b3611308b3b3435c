//! CloudWatch's events: an alarm changed its state.

use super::{Event, Said, text};
use crate::domain::alarm::AlarmState;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// How much of CloudWatch's reason is kept, in characters; the rest is cut off.
pub const ALARM_REASON_CHARACTERS_MAX: usize = 500;

/// The function that makes the band of an anomaly alarm.
const BAND: &str = "ANOMALY_DETECTION_BAND";

/// An alarm that is in another state than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmChange {
    /// Its name.
    pub name: String,
    /// The AWS region that it is in.
    pub region: String,
    /// The state that it is in now.
    pub state: AlarmState,
    /// The state that it was in before, where CloudWatch says so.
    pub previous: Option<AlarmState>,
    /// Since when it is in its state.
    pub since: Timestamp,
    /// What it watches.
    pub kind: AlarmKind,
    /// CloudWatch's words, for people; [`ALARM_REASON_CHARACTERS_MAX`] at most.
    pub reason: String,
}

/// What an alarm watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmKind {
    /// A metric, or an expression over metrics, against a threshold.
    Metric,
    /// Other alarms.
    Composite,
    /// A metric against a band that CloudWatch learned.
    Anomaly,
}

impl AlarmKind {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Composite => "composite",
            Self::Anomaly => "anomaly",
        }
    }
}

/// A change of an alarm's state.
///
/// An event whose state is the one before says nothing: CloudWatch sends such when the suppression of a composite
/// alarm's actions begins or ends. An alarm that is made, edited or deleted tells so under a detail-type of its own,
/// "CloudWatch Alarm Configuration Change", which nobody listens for; if its state changes by that, this event follows.
///
/// Source: CloudWatch user guide, "Alarm events and EventBridge".
pub(super) fn of_alarm(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    let state = state(detail, "state")?;
    let previous = self::state(detail, "previousState");
    let name = text(detail, &["alarmName"]).filter(|name| !name.is_empty())?;
    if previous == Some(state) {
        return None;
    }
    Some(Said::AlarmChanged(AlarmChange {
        name: name.to_owned(),
        region: event.region.clone(),
        state,
        previous,
        // CloudWatch's own form has an offset without a colon: `2026-08-31T12:00:00.000+0000`.
        since: text(detail, &["state", "timestamp"]).and_then(|at| at.parse().ok()).unwrap_or(event.time),
        kind: kind(detail),
        reason: text(detail, &["state", "reason"])
            .unwrap_or_default()
            .chars()
            .take(ALARM_REASON_CHARACTERS_MAX)
            .collect(),
    }))
}

fn state(detail: &Value, name: &str) -> Option<AlarmState> {
    AlarmState::deserialize(detail.get(name)?.get("value")?).ok()
}

fn kind(detail: &Value) -> AlarmKind {
    if text(detail, &["configuration", "alarmRule"]).is_some() {
        return AlarmKind::Composite;
    }
    let metrics = detail.get("configuration").and_then(|all| all.get("metrics")).and_then(Value::as_array);
    let mut expressions = metrics.into_iter().flatten().filter_map(|metric| text(metric, &["expression"]));
    let has_band = expressions.any(|expression| expression.contains(BAND));
    if has_band || text(detail, &["configuration", "thresholdMetricId"]).is_some() {
        AlarmKind::Anomaly
    } else {
        AlarmKind::Metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::read;
    use serde_json::json;

    /// What an event with this detail says, after a change of it.
    fn said(change: fn(&mut Value)) -> Said {
        let metric = json!({ "id": "m1", "metricStat": { "metric": { "name": "Errors", "namespace": "shop" }, "period": 60, "stat": "Sum" }, "returnData": true });
        let mut detail = json!({
            "alarmName": "shop-production-errors",
            "state": { "value": "ALARM", "reason": "Threshold Crossed", "timestamp": "2026-08-31T12:00:00.000+0000" },
            "previousState": { "value": "OK", "reason": "calm", "timestamp": "2026-08-31T11:00:00.000+0000" },
            "configuration": { "metrics": [metric] },
        });
        change(&mut detail);
        read(&Event {
            id: "e".into(),
            source: "aws.cloudwatch".into(),
            detail_type: "CloudWatch Alarm State Change".into(),
            account: "123456789012".into(),
            region: "eu-west-2".into(),
            time: "2026-08-31T12:00:03Z".parse().unwrap(),
            resources: vec![],
            detail,
        })
    }

    /// A change, what follows, and why.
    type Case<T> = (fn(&mut Value), T, &'static str);
    /// A state, and the one before.
    type Became = (AlarmState, Option<AlarmState>);

    #[test]
    fn an_alarm_says_what_it_became_or_nothing() {
        use AlarmState::{Alarm, InsufficientData, Ok};
        #[rustfmt::skip]
        let cases: [Case<Option<Became>>; 17] = [
            (|_| {},                                                  Some((Alarm, Some(Ok))),            "it went red"),
            (|d| d["state"]["value"] = json!("INSUFFICIENT_DATA"),    Some((InsufficientData, Some(Ok))), "nobody can say"),
            (|d| { d["state"]["value"] = json!("OK"); d["previousState"]["value"] = json!("ALARM"); }, Some((Ok, Some(Alarm))), "it calmed down"),
            (|d| d["previousState"]["value"] = json!("INSUFFICIENT_DATA"), Some((Alarm, Some(InsufficientData))), "the first state of a new alarm"),
            (|d| d["previousState"] = json!(null),                    Some((Alarm, None)),                "what it was before is not known"),
            (|d| { d.as_object_mut().unwrap().remove("previousState"); }, Some((Alarm, None)),            "nor here"),
            (|d| d["previousState"]["value"] = json!("RED"),          Some((Alarm, None)),                "nor here: a state that we do not know"),
            (|d| d["previousState"]["value"] = json!("ALARM"),        None,                               "as before: its actions are suppressed, or no more"),
            (|d| d["state"]["value"] = json!("OK"),                   None,                               "calm as before"),
            (|d| d["state"]["value"] = json!("alarm"),                None,                               "CloudWatch writes it in capitals"),
            (|d| d["state"]["value"] = json!(null),                   None,                               "no state"),
            (|d| d["state"] = json!("ALARM"),                         None,                               "a state of another shape"),
            (|d| d["state"] = json!([{ "value": "ALARM" }]),          None,                               "or of this"),
            (|d| { d.as_object_mut().unwrap().remove("state"); },     None,                               "an alarm that was deleted has none"),
            (|d| d["alarmName"] = json!(""),                          None,                               "no name"),
            (|d| d["alarmName"] = json!(7),                           None,                               "no name either"),
            (|d| *d = json!(null),                                    None,                               "no detail at all"),
        ];
        for (change, expected, why) in cases {
            match (said(change), expected) {
                (Said::AlarmChanged(found), Some(expected)) => {
                    assert_eq!((found.state, found.previous), expected, "{why}");
                    assert_eq!(
                        (found.name.as_str(), found.region.as_str()),
                        ("shop-production-errors", "eu-west-2"),
                        "{why}"
                    );
                }
                (found, expected) => assert_eq!((&found, expected), (&Said::Nothing, None), "{why}"),
            }
        }
    }

    #[test]
    fn since_when_is_read_in_every_form_that_is_around() {
        #[rustfmt::skip]
        let cases: [Case<&str>; 11] = [
            (|_| {},                                                                       "2026-08-31T12:00:00Z",     "CloudWatch's own form"),
            (|d| d["state"]["timestamp"] = json!("2026-08-31T12:00:00.123+0000"),          "2026-08-31T12:00:00.123Z", "its fraction is kept: what changed within a second has an order"),
            (|d| d["state"]["timestamp"] = json!("2026-08-31T12:00:00+0000"),              "2026-08-31T12:00:00Z",     "without a fraction"),
            (|d| d["state"]["timestamp"] = json!("2026-08-31T12:00:00.000+00:00"),         "2026-08-31T12:00:00Z",     "an offset with a colon"),
            (|d| d["state"]["timestamp"] = json!("2026-08-31T14:00:00+0200"),              "2026-08-31T12:00:00Z",     "another offset"),
            (|d| d["state"]["timestamp"] = json!("2026-08-31T12:00:00Z"),                  "2026-08-31T12:00:00Z",     "the form of all others"),
            (|d| d["state"]["timestamp"] = json!("2026-08-31T12:00:00"),                   "2026-08-31T12:00:03Z",     "no offset: whose time is it? The envelope's counts"),
            (|d| d["state"]["timestamp"] = json!("yesterday"),                             "2026-08-31T12:00:03Z",     "not a time"),
            (|d| d["state"]["timestamp"] = json!(1_788_177_600),                           "2026-08-31T12:00:03Z",     "seconds or milliseconds, who knows"),
            (|d| d["state"]["timestamp"] = json!(null),                                    "2026-08-31T12:00:03Z",     "none"),
            (|d| { d["state"].as_object_mut().unwrap().remove("timestamp"); },             "2026-08-31T12:00:03Z",     "nor here"),
        ];
        for (change, expected, why) in cases {
            let Said::AlarmChanged(found) = said(change) else { panic!("{why}") };
            assert_eq!(found.since.to_string(), expected, "{why}");
        }
    }

    #[test]
    fn what_an_alarm_watches_follows_from_its_configuration() {
        use AlarmKind::{Anomaly, Composite, Metric};
        #[rustfmt::skip]
        let cases: [Case<AlarmKind>; 9] = [
            (|_| {},                                                                    Metric,    "a metric"),
            (|d| d["configuration"] = json!({ "alarmRule": "ALARM(a) OR ALARM(b)" }),   Composite, "a rule over others"),
            (|d| d["configuration"]["thresholdMetricId"] = json!("ad1"),                Anomaly,   "its threshold is a metric"),
            (|d| d["configuration"]["metrics"] = json!([{ "id": "m1" }, { "id": "ad1", "expression": "ANOMALY_DETECTION_BAND(m1, 2)" }]), Anomaly, "a band among its metrics"),
            (|d| d["configuration"]["metrics"] = json!([{ "id": "e1", "expression": "m1 / m2" }]), Metric, "another expression"),
            (|d| d["configuration"]["metrics"] = json!([7, null, { "expression": 7 }]), Metric,    "metrics of another shape"),
            (|d| d["configuration"]["metrics"] = json!({ "id": "m1" }),                 Metric,    "nor a list"),
            (|d| d["configuration"] = json!(null),                                      Metric,    "nothing is said"),
            (|d| { d.as_object_mut().unwrap().remove("configuration"); },               Metric,    "nor here"),
        ];
        for (change, expected, why) in cases {
            let Said::AlarmChanged(found) = said(change) else { panic!("{why}") };
            assert_eq!(found.kind, expected, "{why}");
        }
    }

    #[test]
    fn its_reason_is_cut_at_a_character_and_may_be_missing() {
        #[rustfmt::skip]
        let cases: [Case<usize>; 3] = [
            (|_| {},                                                     17,                          "whole"),
            (|d| d["state"]["reason"] = json!("é".repeat(1_023)),        ALARM_REASON_CHARACTERS_MAX, "cut"),
            (|d| d["state"]["reason"] = json!(null),                     0,                           "none"),
        ];
        for (change, expected, why) in cases {
            let Said::AlarmChanged(found) = said(change) else { panic!("{why}") };
            assert_eq!(found.reason.chars().count(), expected, "{why}");
        }
    }
}
