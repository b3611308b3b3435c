//! CloudWatch: metric and composite alarms, the metrics that they watch, and what a change of state sets off.
//!
//! A metric alarm is evaluated only while its metric has data. So a state that was set by hand stays where
//! nobody publishes the metric, which is what a person who tries something out wants; on AWS an alarm that treats
//! missing data as breaching or not breaching would go back within a minute or so.

mod alarm;
mod composite;
mod describe;
mod documents;
mod evaluate;
mod history;
mod input;
mod metric;
mod metrics_list;
mod notice;
mod publish;
mod rule;
mod series;
#[cfg(test)]
mod tests;
mod transition;

use super::{Aws, Call, Event, Failure, Service, lock};
use alarm::{Alarm, StateValue};
use history::{History, Item};
use jiff::Timestamp;
use notice::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use series::Series;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Alarms of one region. Source: CloudWatch service quotas (adjustable).
const MOST_ALARMS: usize = 5_000;

/// The alarms and metrics of every region.
#[derive(Default)]
pub struct CloudWatch {
    state: Mutex<State>,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    regions: BTreeMap<String, Region>,
}

#[derive(Default, Serialize, Deserialize)]
struct Region {
    alarms: BTreeMap<String, Alarm>,
    history: History,
    /// By the metric's identity, see [`series::key`].
    series: BTreeMap<String, Series>,
}

/// A region while it is changed, and what the change sets off once nobody holds the lock any more.
struct Change<'a> {
    aws: &'a Aws,
    region: &'a str,
    now: Timestamp,
    here: &'a mut Region,
    effects: Vec<Effect>,
}

enum Effect {
    Emit(Event),
    Act(Action),
}

impl CloudWatch {
    /// The state of an alarm: `OK`, `ALARM` or `INSUFFICIENT_DATA`; `None` where there is no such alarm.
    #[allow(dead_code, reason = "for the deployments that watch alarms")]
    pub(crate) fn state_of(&self, region: &str, name: &str) -> Option<String> {
        let state = lock(&self.state);
        state.regions.get(region)?.alarms.get(name).map(|alarm| alarm.status.value.name().to_owned())
    }

    /// Those of `names` that are in ALARM, in the order given. An alarm that does not exist is in no state.
    #[allow(dead_code, reason = "for the deployments that watch alarms")]
    pub(crate) fn in_alarm(&self, region: &str, names: &[String]) -> Vec<String> {
        let state = lock(&self.state);
        let Some(here) = state.regions.get(region) else { return Vec::new() };
        let rings =
            |name: &&String| here.alarms.get(*name).is_some_and(|alarm| alarm.status.value == StateValue::Alarm);
        names.iter().filter(rings).cloned().collect()
    }

    /// Everything that is kept, for [`CloudWatch::restore`].
    pub(crate) fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.state)).unwrap_or_default()
    }

    /// Replaces everything that is kept by what [`CloudWatch::save`] gave.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        *lock(&self.state) = serde_json::from_value(saved)?;
        Ok(())
    }

    /// Does `work` under the lock, then performs its effects without it.
    fn change<T>(&self, aws: &Aws, region: &str, now: Timestamp, work: impl FnOnce(&mut Change<'_>) -> T) -> T {
        let (outcome, effects) = {
            let mut state = lock(&self.state);
            let here = state.regions.entry(region.to_owned()).or_default();
            let mut change = Change { aws, region, now, here, effects: Vec::new() };
            let outcome = work(&mut change);
            (outcome, change.effects)
        };
        for effect in effects {
            match effect {
                Effect::Emit(event) => aws.emit(region, event),
                Effect::Act(action) => {
                    let item = action.carry_out(aws);
                    self.note(region, item);
                }
            }
        }
        outcome
    }

    fn note(&self, region: &str, item: Item) {
        lock(&self.state).regions.entry(region.to_owned()).or_default().history.push(item);
    }
}

impl Service for CloudWatch {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        match call.operation.as_str() {
            "DescribeAlarmHistory" | "DescribeAlarms" | "DescribeAlarmsForMetric" | "ListTagsForResource" => {
                let state = lock(&self.state);
                let nowhere = Region::default();
                describe::read(state.regions.get(&call.region).unwrap_or(&nowhere), call)
            }
            operation if self.operations().contains(&operation) => {
                self.change(aws, &call.region, call.now, |change| change.run(call))
            }
            operation => Err(Failure::not_emulated("CloudWatch", operation)),
        }
    }

    fn operations(&self) -> &'static [&'static str] {
        &[
            "DeleteAlarms",
            "DescribeAlarmHistory",
            "DescribeAlarms",
            "DescribeAlarmsForMetric",
            "DisableAlarmActions",
            "EnableAlarmActions",
            "ListTagsForResource",
            "PutCompositeAlarm",
            "PutMetricAlarm",
            "PutMetricData",
            "SetAlarmState",
            "TagResource",
            "UntagResource",
        ]
    }

    fn next_due(&self) -> Option<Timestamp> {
        let state = lock(&self.state);
        state.regions.values().flat_map(|here| here.alarms.values()).filter_map(|alarm| alarm.check_at).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let regions: Vec<String> = lock(&self.state).regions.keys().cloned().collect();
        for region in regions {
            self.change(aws, &region, now, |change| change.evaluate_due());
        }
    }
}

impl Change<'_> {
    fn run(&mut self, call: &Call) -> Result<Value, Failure> {
        let input = &call.input;
        match call.operation.as_str() {
            "PutMetricAlarm" => self.put_metric_alarm(input)?,
            "PutCompositeAlarm" => self.put_composite_alarm(input)?,
            "DeleteAlarms" => self.delete_alarms(input)?,
            "SetAlarmState" => self.set_alarm_state(input)?,
            "EnableAlarmActions" => self.switch_actions(input, true)?,
            "DisableAlarmActions" => self.switch_actions(input, false)?,
            "PutMetricData" => self.put_metric_data(input)?,
            "TagResource" => self.tag(input)?,
            "UntagResource" => self.untag(input)?,
            operation => return Err(Failure::not_emulated("CloudWatch", operation)),
        }
        Ok(json!({}))
    }
}
