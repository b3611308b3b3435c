//! Changes of alarms: written, edited, deleted, tagged, and moved from state to state.

use super::alarm::{Alarm, CREATED, StateValue, Status, arn_of, spoken};
use super::documents::{self, Operation};
use super::input::{self, constraint, invalid};
use super::notice::Action;
use super::rule::Rule;
use super::{Change, Effect};
use crate::aws::Failure;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

impl Change<'_> {
    /// Creates or replaces an alarm, and says whether that changed anything: to write what is written already is no
    /// edit. An alarm's state survives an edit, and its tags are not touched by one.
    pub(super) fn put(
        &mut self,
        name: &str,
        settings: Map<String, Value>,
        children: Option<Vec<String>>,
        tags: BTreeMap<String, String>,
    ) -> bool {
        let previous = self.here.alarms.get(name).cloned();
        if previous.as_ref().is_some_and(|alarm| alarm.settings == settings) {
            return false;
        }
        let created = || Status {
            value: StateValue::InsufficientData,
            reason: CREATED.to_owned(),
            data: None,
            updated: self.now,
            transitioned: self.now,
        };
        let alarm = Alarm {
            name: name.to_owned(),
            arn: arn_of(self.region, name),
            settings,
            children,
            query_id: self.aws.uuid(),
            configured: self.now,
            status: previous.as_ref().map_or_else(created, |alarm| alarm.status.clone()),
            tags: previous.as_ref().map_or(tags, |alarm| alarm.tags.clone()),
            check_at: previous.as_ref().and_then(|alarm| alarm.check_at),
        };
        self.reconfigured(alarm, previous.as_ref());
        true
    }

    /// Keeps an alarm that is new or has changed, and tells.
    fn reconfigured(&mut self, alarm: Alarm, previous: Option<&Alarm>) {
        let operation = if previous.is_some() { Operation::Update } else { Operation::Create };
        self.effects.push(Effect::Emit(documents::configuration_change(&alarm, previous, operation)));
        self.here.history.push(documents::configuration_item(&alarm, previous, operation, self.now));
        self.here.alarms.insert(alarm.name.clone(), alarm);
    }

    pub(super) fn switch_actions(&mut self, input: &Value, to: bool) -> Result<(), Failure> {
        for name in input::names(input, "AlarmNames")? {
            // A name that is nobody's is passed over, as on AWS.
            let Some(previous) = self.here.alarms.get(&name).cloned() else { continue };
            if previous.has_actions_enabled() == to {
                continue;
            }
            let mut alarm = previous.clone();
            alarm.settings.insert("ActionsEnabled".to_owned(), json!(to));
            alarm.configured = self.now;
            self.reconfigured(alarm, Some(&previous));
        }
        Ok(())
    }

    /// Deletes alarms: all of those that exist, or none when one of them is needed by a composite alarm.
    pub(super) fn delete_alarms(&mut self, input: &Value) -> Result<(), Failure> {
        let names = input::names(input, "AlarmNames")?;
        let found: BTreeSet<&String> = names.iter().filter(|name| self.here.alarms.contains_key(*name)).collect();
        let composites = found.iter().filter(|name| self.here.alarms.get(**name).is_some_and(Alarm::is_composite));
        if composites.count() > 1 {
            return Err(invalid("Cannot delete more than one composite alarm in a single request."));
        }
        let needed = |name: &&&String| {
            let arn = arn_of(self.region, name);
            self.here.alarms.values().any(|other| other.depends_on(name, &arn))
        };
        let needed: Vec<&str> = found.iter().filter(needed).map(|name| name.as_str()).collect();
        if !needed.is_empty() {
            let them = if needed.len() == 1 { "it" } else { "them" };
            let names = needed.join(",");
            let message = format!("Cannot delete {names} as there are composite alarm(s) depending on {them}.");
            return Err(invalid(message));
        }
        for name in found {
            let Some(alarm) = self.here.alarms.remove(name) else { continue };
            let event = documents::configuration_change(&alarm, None, Operation::Delete);
            self.effects.push(Effect::Emit(event));
            self.here.history.push(documents::configuration_item(&alarm, None, Operation::Delete, self.now));
        }
        Ok(())
    }

    pub(super) fn set_alarm_state(&mut self, input: &Value) -> Result<(), Failure> {
        let name = input::alarm_name(input::required(input, "AlarmName", 1, 255)?)?.to_owned();
        let names = ["INSUFFICIENT_DATA", "ALARM", "OK"];
        let value = input::one_of(input, "StateValue", &names)?.and_then(StateValue::parse);
        let value = value.ok_or_else(|| constraint("null", "StateValue", "not be null"))?;
        let reason = input::required(input, "StateReason", 0, 1023)?.to_owned();
        let data = input::text(input, "StateReasonData", 0, 4000)?.map(str::to_owned);
        if data.as_deref().is_some_and(|data| serde_json::from_str::<Value>(data).is_err()) {
            return Err(Failure::sender("InvalidFormat", ""));
        }
        let Some(alarm) = self.here.alarms.get(&name) else {
            return Err(Failure { status: 404, ..Failure::sender("ResourceNotFound", "") });
        };
        if alarm.status.value != value {
            self.transition(&name, value, reason, data);
        }
        Ok(())
    }

    /// Moves an alarm to another state. Composite alarms whose rules name it follow, each at most once: a circle of
    /// rules ends there.
    pub(super) fn transition(&mut self, name: &str, value: StateValue, reason: String, data: Option<String>) {
        self.enter(name, value, reason, data);
        let mut moved = BTreeSet::from([name.to_owned()]);
        let mut queue = VecDeque::from([name.to_owned()]);
        while let Some(cause) = queue.pop_front() {
            for (parent, value) in self.followers(&cause, &moved) {
                let Some(alarm) = self.here.alarms.get(&cause) else { continue };
                let (to, at) = (alarm.status.value.name(), spoken(alarm.status.transitioned));
                let reason = format!("{} transitioned to {to} at {at}", alarm.arn);
                let data = self.triggers(std::slice::from_ref(&cause));
                self.enter(&parent, value, reason, Some(data));
                moved.insert(parent.clone());
                queue.push_back(parent);
            }
        }
    }

    /// The composite alarms that name `child`, have not moved yet, and are not in the state that their rule asks for.
    fn followers(&self, child: &str, moved: &BTreeSet<String>) -> Vec<(String, StateValue)> {
        let names_it = |alarm: &&Alarm| alarm.children.iter().flatten().any(|known| known == child);
        let parents = self.here.alarms.values().filter(|alarm| !moved.contains(&alarm.name)).filter(names_it);
        let outcomes = parents.filter_map(|alarm| {
            let rule = Rule::parse(alarm.text("AlarmRule"), self.region).ok()?;
            let (value, _) = self.outcome(&rule);
            (alarm.status.value != value).then(|| (alarm.name.clone(), value))
        });
        outcomes.collect()
    }

    fn enter(&mut self, name: &str, value: StateValue, reason: String, data: Option<String>) {
        let Some(alarm) = self.here.alarms.get_mut(name) else { return };
        let next = Status { value, reason, data, updated: self.now, transitioned: self.now };
        let previous = std::mem::replace(&mut alarm.status, next);
        self.here.history.push(documents::state_item(alarm, &previous));
        self.effects.push(Effect::Emit(documents::state_change(alarm, &previous)));
        if alarm.has_actions_enabled() {
            let targets = alarm.actions(value.actions());
            let actions = targets.map(|target| Effect::Act(Action::new(alarm, &previous, target, self.region)));
            self.effects.extend(actions);
        }
    }

    pub(super) fn tag(&mut self, input: &Value) -> Result<(), Failure> {
        if !input["Tags"].is_array() {
            return Err(constraint("null", "Tags", "not be null"));
        }
        let tags = input::tags(input)?;
        let alarm = self.tagged(input)?;
        let mut all = alarm.tags.clone();
        all.extend(tags);
        input::within_limit(&all)?;
        alarm.tags = all;
        Ok(())
    }

    pub(super) fn untag(&mut self, input: &Value) -> Result<(), Failure> {
        let Some(keys) = input["TagKeys"].as_array() else {
            return Err(constraint("null", "TagKeys", "not be null"));
        };
        self.tagged(input)?.tags.retain(|key, _| !keys.iter().any(|gone| gone == key));
        Ok(())
    }

    fn tagged(&mut self, input: &Value) -> Result<&mut Alarm, Failure> {
        let arn = input::required(input, "ResourceARN", 1, 1024)?;
        let found = self.here.alarms.values_mut().find(|alarm| alarm.arn == arn);
        found.ok_or_else(|| not_tagged(arn))
    }
}

/// The refusal of an ARN that names nothing that could have tags.
pub(super) fn not_tagged(arn: &str) -> Failure {
    if arn.split(':').nth(2) != Some("cloudwatch") {
        return Failure::sender(
            "InvalidParameterValue",
            format!("The value {arn} for parameter ResourceARN is invalid."),
        );
    }
    Failure { status: 404, ..Failure::sender("ResourceNotFoundException", "") }
}
