//! PutCompositeAlarm: an alarm whose state follows from the states of others.

use super::alarm::StateValue;
use super::input::{self, constraint, invalid};
use super::rule::{self, Rule};
use super::{Change, metric};
use crate::aws::Failure;
use serde_json::{Value, json};

/// Composite alarms that may name one alarm. Source: CloudWatch API reference, PutCompositeAlarm.
const MOST_PARENTS: usize = 150;

impl Change<'_> {
    /// A rule may close a circle over several alarms, as on AWS; only an alarm that names itself is refused.
    pub(super) fn put_composite_alarm(&mut self, input: &Value) -> Result<(), Failure> {
        let name = input::alarm_name(input::required(input, "AlarmName", 1, 255)?)?;
        if input.get("ActionConfiguration").is_some() {
            return Err(Failure::not_emulated("CloudWatch", "PutCompositeAlarm with ActionConfiguration"));
        }
        let text = input::required(input, "AlarmRule", 1, 10_240)?;
        if text.trim() != text {
            return Err(invalid("AlarmRule must not contain leading or trailing whitespace or be null"));
        }
        let rule = Rule::parse(text, self.region)?;
        let children = rule.children();
        self.admit_children(name, &children)?;
        let mut settings = metric::common(input, self.region)?;
        settings.insert("AlarmRule".to_owned(), json!(text));
        settings.extend(self.suppressor(name, input)?);
        let tags = input::tags(input)?;
        self.here.admit(name, true)?;
        let is_new = !self.here.alarms.contains_key(name);
        if self.put(name, settings, Some(children), tags) {
            self.settle(name, &rule, is_new);
        }
        Ok(())
    }

    fn admit_children(&self, name: &str, children: &[String]) -> Result<(), Failure> {
        if children.iter().any(|child| child == name) {
            return Err(invalid(
                "A composite alarm cannot have a child relation with itself via its AlarmRule, as it would introduce \
                 a circular dependency",
            ));
        }
        let missing: Vec<String> =
            children.iter().filter(|child| !self.here.alarms.contains_key(*child)).cloned().collect();
        if !missing.is_empty() {
            return Err(rule::missing(self.region, &missing));
        }
        for child in children {
            let names_it = |alarm: &super::Alarm| alarm.children.iter().flatten().any(|known| known == child);
            let parents = self.here.alarms.values().filter(|alarm| alarm.name != name && names_it(alarm)).count();
            if parents >= MOST_PARENTS {
                let message = format!("Alarm {child} is already in the rules of {MOST_PARENTS} composite alarms.");
                return Err(Failure::sender("LimitExceeded", message));
            }
        }
        Ok(())
    }

    /// The suppressor and its periods. It is kept and shown, and suppresses nothing here.
    fn suppressor(&self, name: &str, input: &Value) -> Result<Vec<(String, Value)>, Failure> {
        let periods = ["ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod"];
        let Some(suppressor) = input::text(input, "ActionsSuppressor", 1, 1600)? else {
            return match periods.iter().find(|member| input.get(**member).is_some()) {
                Some(member) => Err(invalid(format!("{member} can only be set if ActionsSuppressor is set"))),
                None => Ok(Vec::new()),
            };
        };
        let target = rule::name_of(suppressor, self.region)?;
        if target == name {
            return Err(invalid("A composite alarm cannot be its own ActionsSuppressor"));
        }
        if !self.here.alarms.contains_key(&target) {
            let message =
                format!("Could not save the composite alarm as its ActionsSuppressor {suppressor} does not exist");
            return Err(invalid(message));
        }
        let mut settings = vec![("ActionsSuppressor".to_owned(), json!(suppressor))];
        for member in periods {
            let seconds = input::number(input, member, 0)?.ok_or_else(|| constraint("null", member, "not be null"))?;
            settings.push((member.to_owned(), json!(seconds)));
        }
        Ok(settings)
    }

    /// Brings a composite alarm that was just written to the state that its rule asks for.
    fn settle(&mut self, name: &str, rule: &Rule, is_new: bool) {
        let (value, causes) = self.outcome(rule);
        let Some(alarm) = self.here.alarms.get(name).filter(|alarm| alarm.status.value != value) else { return };
        let done = if is_new { "was created and its alarm rule" } else { "was updated and its new alarm rule" };
        let reason = format!("{} {done} evaluates to {}", alarm.arn, value.name());
        let data = self.triggers(&causes);
        self.transition(name, value, reason, Some(data));
    }

    /// The state that a rule asks for, and the alarms that speak for it.
    pub(super) fn outcome(&self, rule: &Rule) -> (StateValue, Vec<String>) {
        let state_of = |name: &str| self.here.alarms.get(name).map(|alarm| alarm.status.value);
        let holds = rule.holds(&state_of);
        (if holds { StateValue::Alarm } else { StateValue::Ok }, rule.causes(holds, &state_of))
    }

    /// Which alarms caused a change, as `StateReasonData` says it.
    pub(super) fn triggers(&self, names: &[String]) -> String {
        let alarms = names.iter().filter_map(|name| self.here.alarms.get(name));
        let triggers: Vec<Value> = alarms
            .map(|alarm| {
                let timestamp = super::alarm::stamp(alarm.status.updated);
                json!({ "arn": alarm.arn, "state": { "value": alarm.status.value.name(), "timestamp": timestamp } })
            })
            .collect();
        json!({ "triggeringAlarms": triggers }).to_string()
    }
}
