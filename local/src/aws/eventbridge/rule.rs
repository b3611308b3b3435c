//! A rule: what it looks for, and where it sends what it finds.

use super::Tags;
use super::pattern::Pattern;
use super::schedule::Schedule;
use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the state of a rule can be. Source: the EventBridge API reference, PutRule.
pub(super) const STATES: [&str; 3] = ["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"];

#[derive(Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) role_arn: Option<String>,
    pub(super) state: String,
    /// As it was written, and as it was read. Only what was written is saved.
    #[serde(serialize_with = "written", deserialize_with = "read_pattern")]
    pub(super) pattern: Option<(String, Pattern)>,
    #[serde(serialize_with = "written", deserialize_with = "read_schedule")]
    pub(super) schedule: Option<(String, Schedule)>,
    /// When the schedule fires next.
    pub(super) fires_at: Option<Timestamp>,
    pub(super) targets: BTreeMap<String, Value>,
    pub(super) tags: Tags,
}

impl Rule {
    pub(super) fn is_enabled(&self) -> bool {
        self.state != "DISABLED"
    }

    pub(super) fn show(&self, name: &str, bus: &str) -> Value {
        let mut shown = json!({ "Name": name, "Arn": self.arn, "State": self.state, "EventBusName": bus });
        let optional = [
            ("Description", &self.description),
            ("RoleArn", &self.role_arn),
            ("EventPattern", &self.pattern.as_ref().map(|(text, _)| text.clone())),
            ("ScheduleExpression", &self.schedule.as_ref().map(|(text, _)| text.clone())),
        ];
        for (member, value) in optional {
            if let Some(value) = value {
                shown[member] = Value::from(value.as_str());
            }
        }
        shown
    }
}

fn written<T, S: Serializer>(expression: &Option<(String, T)>, serializer: S) -> Result<S::Ok, S::Error> {
    expression.as_ref().map(|(text, _)| text).serialize(serializer)
}

fn read_pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(String, Pattern)>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let pattern = Pattern::parse(&text).map_err(D::Error::custom)?;
    Ok(Some((text, pattern)))
}

fn read_schedule<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(String, Schedule)>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let schedule = Schedule::parse(&text).ok_or_else(|| D::Error::custom(format!("{text} is no schedule")))?;
    Ok(Some((text, schedule)))
}
