//! One alarm: how it is set up, the state that it is in, and how the API shows both.

use super::{MOST_ALARMS, Region, input};
use crate::aws::codebuild::epoch;
use crate::aws::{ACCOUNT, Failure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Why an alarm is in the state that it was created in.
pub(super) const CREATED: &str = "Unchecked: Initial alarm creation";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StateValue {
    Ok,
    Alarm,
    InsufficientData,
}

impl StateValue {
    pub(super) const ALL: [Self; 3] = [Self::Ok, Self::Alarm, Self::InsufficientData];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }

    /// The member that lists what is done when an alarm comes to this state.
    pub(super) fn actions(self) -> &'static str {
        match self {
            Self::Ok => "OKActions",
            Self::Alarm => "AlarmActions",
            Self::InsufficientData => "InsufficientDataActions",
        }
    }
}

/// The state that an alarm is in, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) value: StateValue,
    pub(super) reason: String,
    /// JSON, as it was given or as the evaluation wrote it.
    pub(super) data: Option<String>,
    pub(super) updated: Timestamp,
    pub(super) transitioned: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Alarm {
    pub(super) name: String,
    pub(super) arn: String,
    /// What PutMetricAlarm or PutCompositeAlarm was given, as `MetricAlarm` or `CompositeAlarm` of the API show it.
    pub(super) settings: Map<String, Value>,
    /// The alarms that the rule names. `None` for a metric alarm.
    pub(super) children: Option<Vec<String>>,
    /// How events call the only metric of an alarm that has one. A new one with each edit.
    pub(super) query_id: String,
    pub(super) configured: Timestamp,
    pub(super) status: Status,
    pub(super) tags: BTreeMap<String, String>,
    /// When it is evaluated next.
    pub(super) check_at: Option<Timestamp>,
}

impl Alarm {
    pub(super) fn is_composite(&self) -> bool {
        self.children.is_some()
    }

    /// As `AlarmType` of the API.
    pub(super) fn kind(&self) -> &'static str {
        if self.is_composite() { "CompositeAlarm" } else { "MetricAlarm" }
    }

    pub(super) fn text(&self, member: &str) -> &str {
        self.settings.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn has_actions_enabled(&self) -> bool {
        self.settings.get("ActionsEnabled") != Some(&Value::Bool(false))
    }

    pub(super) fn actions(&self, member: &str) -> impl Iterator<Item = &str> {
        self.settings.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether it could not do without `name`: its rule or its suppressor names it.
    pub(super) fn depends_on(&self, name: &str, arn: &str) -> bool {
        let suppressor = self.text("ActionsSuppressor");
        self.children.iter().flatten().any(|child| child == name) || suppressor == name || suppressor == arn
    }

    /// As `MetricAlarm` or `CompositeAlarm` of the API.
    pub(super) fn answer(&self) -> Value {
        let mut answer = Value::Object(self.settings.clone());
        answer["AlarmName"] = json!(self.name);
        answer["AlarmArn"] = json!(self.arn);
        answer["AlarmConfigurationUpdatedTimestamp"] = epoch(self.configured);
        answer["StateValue"] = json!(self.status.value.name());
        answer["StateReason"] = json!(self.status.reason);
        if let Some(data) = &self.status.data {
            answer["StateReasonData"] = json!(data);
        }
        answer["StateUpdatedTimestamp"] = epoch(self.status.updated);
        answer["StateTransitionedTimestamp"] = epoch(self.status.transitioned);
        answer
    }
}

impl Region {
    /// Whether an alarm may be put under this name.
    pub(super) fn admit(&self, name: &str, is_composite: bool) -> Result<(), Failure> {
        match self.alarms.get(name) {
            Some(known) if known.is_composite() != is_composite => {
                let message = format!("AlarmName [{name}] is already used by another alarm of a different type");
                Err(input::invalid(message))
            }
            Some(_) => Ok(()),
            None if self.alarms.len() >= MOST_ALARMS => {
                let message = "The maximum limit of alarms for this account and Region has been reached.";
                Err(Failure::sender("LimitExceeded", message))
            }
            None => Ok(()),
        }
    }
}

pub(super) fn arn_of(region: &str, name: &str) -> String {
    format!("arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}")
}

/// A moment as alarms write it in events, reasons and messages: `2026-08-31T12:00:00.000+0000`.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

/// A moment as a person reads it in reasons and mail: `Friday 22 July, 2022 15:57:45 UTC`.
pub(super) fn spoken(at: Timestamp) -> String {
    at.strftime("%A %d %B, %Y %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_alarms_write_them() {
        #[rustfmt::skip]
        let cases = [
            // moment                  in events                        in words
            ("2026-08-31T12:00:00Z",    "2026-08-31T12:00:00.000+0000", "Monday 31 August, 2026 12:00:00 UTC"),
            ("2023-08-04T12:54:46.138Z","2023-08-04T12:54:46.138+0000", "Friday 04 August, 2023 12:54:46 UTC"),
        ];
        for (at, in_events, in_words) in cases {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(stamp(at), in_events);
            assert_eq!(spoken(at), in_words);
        }
    }
}
