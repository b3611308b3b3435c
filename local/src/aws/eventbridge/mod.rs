//! EventBridge: buses, rules with patterns or schedules, and the way of an event to its targets.
//!
//! An event that a rule matches becomes a delivery with a moment at which it is due: deliveries and schedules are
//! all that happens here by itself. Deliveries may come twice, late or never, as the account's faults say.

mod delivery;
mod entries;
pub(super) mod pattern;
mod rule;
pub(crate) mod saved;
mod schedule;

use super::{ACCOUNT, Aws, Call, Failure, Pace, Service, lock};
use crate::faults::EventFault;
use delivery::{Delivery, Trouble};
use jiff::{SignedDuration, Timestamp};
use pattern::Pattern;
use rule::Rule;
use saved::pairs;
use schedule::Schedule;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// How long an event is under way. AWS says "about half a second"; a constant keeps simulations readable.
const LATENCY_MILLIS: i64 = 100;

/// How often schedules fire at [`Pace::Fast`].
const FAST_SECONDS: i64 = 2;

/// Targets of one rule, at most.
const MOST_TARGETS: usize = 5;

/// What one page of a listing holds at most.
const LARGEST_PAGE: usize = 100;

/// What a bus is told at its creation, and only tells again.
const KEPT_SETTINGS: [&str; 3] = ["DeadLetterConfig", "KmsKeyIdentifier", "LogConfig"];

/// The buses of the account.
#[derive(Default)]
pub struct EventBridge {
    state: Mutex<State>,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    #[serde(with = "pairs")]
    buses: BTreeMap<(String, String), Bus>,
    #[serde(with = "pairs")]
    due: BTreeMap<(Timestamp, u64), Delivery>,
    sequence: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Bus {
    description: Option<String>,
    /// What is only kept and shown again: a dead-letter queue, a key, logging.
    settings: Map<String, Value>,
    created: Timestamp,
    rules: BTreeMap<String, Rule>,
    tags: Tags,
}

type Tags = BTreeMap<String, String>;

impl EventBridge {
    /// Everything there is, for [`EventBridge::restore`].
    pub(crate) fn save(&self) -> Value {
        saved::save(&self.state)
    }

    /// Puts back what [`EventBridge::save`] saw. What was due meanwhile happens at once.
    ///
    /// # Errors
    /// When it is something else. Nothing is changed then.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        saved::restore(&self.state, saved)
    }

    /// Puts an event on a bus: every rule that matches it sends it to its targets, a little later.
    pub(crate) fn publish(&self, aws: &Aws, region: &str, bus: &str, envelope: Value) {
        let now = aws.clock().now();
        let mut state = lock(&self.state);
        let deliveries: Vec<Delivery> = state
            .bus(region, bus)
            .into_iter()
            .flat_map(|bus| bus.rules.values())
            .filter(|rule| rule.is_enabled() && rule.pattern.as_ref().is_some_and(|(_, p)| p.matches(&envelope)))
            .flat_map(|rule| deliveries(rule, region, &envelope, now))
            .collect();
        state.accept(aws, deliveries, after(now, SignedDuration::from_millis(LATENCY_MILLIS)));
    }
}

impl Service for EventBridge {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        match call.operation.as_str() {
            "PutEvents" => return self.put_events(aws, call),
            "TestEventPattern" => return test_pattern(call),
            _ => {}
        }
        let mut state = lock(&self.state);
        match call.operation.as_str() {
            "CreateEventBus" => state.create_bus(call),
            "DeleteEventBus" => state.delete_bus(call),
            "DescribeEventBus" => state.describe_bus(call),
            "ListEventBuses" => state.list_buses(call),
            "PutRule" => state.put_rule(aws, call),
            "DeleteRule" => state.delete_rule(call),
            "DescribeRule" => {
                let (name, bus) = (rule_name(call, "Name")?, bus_name(call));
                let mut shown = state.rule(call, "Name")?.show(&name, &bus);
                shown["CreatedBy"] = Value::from(ACCOUNT);
                Ok(shown)
            }
            "ListRules" => state.list_rules(call),
            "EnableRule" => state.switch(aws, call, "ENABLED"),
            "DisableRule" => state.switch(aws, call, "DISABLED"),
            "PutTargets" => state.put_targets(call),
            "RemoveTargets" => state.remove_targets(call),
            "ListTargetsByRule" => {
                let targets: Vec<Value> = state.rule(call, "Rule")?.targets.values().cloned().collect();
                page(call, "Targets", targets)
            }
            "TagResource" => state.tag(call),
            "UntagResource" => state.untag(call),
            "ListTagsForResource" => {
                let tags = state.tags(call)?.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
                Ok(json!({ "Tags": tags.collect::<Vec<_>>() }))
            }
            operation => Err(Failure::not_emulated("events", operation)),
        }
    }

    fn operations(&self) -> &'static [&'static str] {
        &[
            "CreateEventBus",
            "DeleteEventBus",
            "DeleteRule",
            "DescribeEventBus",
            "DescribeRule",
            "DisableRule",
            "EnableRule",
            "ListEventBuses",
            "ListRules",
            "ListTagsForResource",
            "ListTargetsByRule",
            "PutEvents",
            "PutRule",
            "PutTargets",
            "RemoveTargets",
            "TagResource",
            "TestEventPattern",
            "UntagResource",
        ]
    }

    fn next_due(&self) -> Option<Timestamp> {
        let state = lock(&self.state);
        let rules = state.buses.values().flat_map(|bus| bus.rules.values());
        let fires = rules.filter(|rule| rule.is_enabled()).filter_map(|rule| rule.fires_at);
        fires.chain(state.due.keys().next().map(|(at, _)| *at)).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let due = {
            let mut state = lock(&self.state);
            state.fire(aws, now);
            let later = state.due.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.due, later)
        };
        for mut delivery in due.into_values() {
            let Err(trouble) = delivery.attempt(aws) else { continue };
            delivery.failed += 1;
            match (trouble, delivery.retry_at(now)) {
                (Trouble::Passing(_), Some(at)) => lock(&self.state).wait(at, delivery),
                (Trouble::Passing(failure), None) => delivery.bury(aws, &failure, Some("MaximumRetryAttempts")),
                (Trouble::Lasting(failure), _) => delivery.bury(aws, &failure, None),
            }
        }
    }
}

impl State {
    /// A bus. Every region has its default bus from the start.
    fn bus(&mut self, region: &str, name: &str) -> Option<&mut Bus> {
        let key = (region.to_owned(), name.to_owned());
        if name == "default" { Some(self.buses.entry(key).or_default()) } else { self.buses.get_mut(&key) }
    }

    fn named_bus(&mut self, call: &Call) -> Result<&mut Bus, Failure> {
        let name = bus_name(call);
        let failure = not_found(format!("Event bus {name} does not exist."));
        self.bus(&call.region, &name).ok_or(failure)
    }

    fn rule(&mut self, call: &Call, member: &str) -> Result<&mut Rule, Failure> {
        let name = rule_name(call, member)?;
        let failure = not_found(format!("Rule {name} does not exist on EventBus {}.", bus_name(call)));
        self.named_bus(call)?.rules.get_mut(&name).ok_or(failure)
    }

    fn wait(&mut self, until: Timestamp, delivery: Delivery) {
        self.sequence += 1;
        self.due.insert((until, self.sequence), delivery);
    }

    /// Sends deliveries on their way, to arrive at the `usual` moment unless something goes wrong.
    fn accept(&mut self, aws: &Aws, deliveries: Vec<Delivery>, usual: Timestamp) {
        for delivery in deliveries {
            let detail_type = delivery.event["detail-type"].as_str().unwrap_or_default();
            match aws.faults().for_event(detail_type) {
                None => self.wait(usual, delivery),
                Some(EventFault::Never) => tracing::debug!(detail_type, "an event gets lost"),
                Some(EventFault::Duplicate) => {
                    self.wait(usual, delivery.clone());
                    self.wait(usual, delivery);
                }
                Some(EventFault::Delay(by)) => {
                    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
                    self.wait(after(usual, by), delivery);
                }
            }
        }
    }

    /// Fires every schedule that is due.
    fn fire(&mut self, aws: &Aws, now: Timestamp) {
        let mut fired = Vec::new();
        for ((region, _), bus) in &mut self.buses {
            for rule in bus.rules.values_mut().filter(|rule| rule.is_enabled()) {
                if rule.fires_at.is_none_or(|at| at > now) {
                    continue;
                }
                rule.fires_at = rule.schedule.as_ref().and_then(|(_, schedule)| next_fire(aws, schedule, now));
                let event = json!({
                    "version": "0",
                    "id": aws.uuid(),
                    "detail-type": "Scheduled Event",
                    "source": "aws.events",
                    "account": ACCOUNT,
                    "time": whole_seconds(now),
                    "region": region,
                    "resources": [rule.arn],
                    "detail": {},
                });
                fired.extend(deliveries(rule, region, &event, now));
            }
        }
        // A schedule knows no latency: it is due at its moment.
        self.accept(aws, fired, now);
    }

    fn create_bus(&mut self, call: &Call) -> Result<Value, Failure> {
        let name = call.input["Name"].as_str().unwrap_or_default();
        if name.contains('/') || !is_name(name, 256) {
            return Err(invalid("Name", "Value is not a valid name of an event bus."));
        }
        let arn = bus_arn(&call.region, name);
        if self.bus(&call.region, name).is_some() {
            let message = format!("Event bus {name} already exists.");
            return Err(Failure::sender("ResourceAlreadyExistsException", message));
        }
        if !call.input["EventSourceName"].is_null() {
            return Err(Failure::not_emulated("events", "a partner event source"));
        }
        let bus = Bus {
            description: text(&call.input, "Description"),
            settings: KEPT_SETTINGS
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), call.input.get(name)?.clone())))
                .collect(),
            created: call.now,
            tags: read_tags(&call.input),
            ..Bus::default()
        };
        let mut answer = json!({ "EventBusArn": arn });
        show_settings(&mut answer, &bus);
        self.buses.insert((call.region.clone(), name.to_owned()), bus);
        Ok(answer)
    }

    fn delete_bus(&mut self, call: &Call) -> Result<Value, Failure> {
        let name = call.input["Name"].as_str().unwrap_or_default();
        if name == "default" {
            return Err(Failure::sender("ValidationException", "Cannot delete event bus default."));
        }
        if self.bus(&call.region, name).is_some_and(|bus| !bus.rules.is_empty()) {
            return Err(Failure::sender(
                "ValidationException",
                format!("Cannot delete event bus {name}: it has rules."),
            ));
        }
        self.buses.remove(&(call.region.clone(), name.to_owned()));
        Ok(json!({}))
    }

    fn describe_bus(&mut self, call: &Call) -> Result<Value, Failure> {
        let name = call.input["Name"].as_str().map_or("default", last_part).to_owned();
        let failure = not_found(format!("Event bus {name} does not exist."));
        let bus = self.bus(&call.region, &name).ok_or(failure)?;
        let mut shown = show_bus(&call.region, &name, bus);
        show_settings(&mut shown, bus);
        Ok(shown)
    }

    fn list_buses(&mut self, call: &Call) -> Result<Value, Failure> {
        self.bus(&call.region, "default");
        let prefix = call.input["NamePrefix"].as_str().unwrap_or_default();
        let named = self.buses.iter().filter(|((region, name), _)| *region == call.region && name.starts_with(prefix));
        let shown = named.map(|((region, name), bus)| show_bus(region, name, bus)).collect();
        page(call, "EventBuses", shown)
    }

    fn put_rule(&mut self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        let (name, bus_name) = (rule_name(call, "Name")?, bus_name(call));
        let pattern = match text(&call.input, "EventPattern") {
            Some(pattern) => Some((pattern.clone(), Pattern::parse(&pattern).map_err(|reason| bad_pattern(&reason))?)),
            None => None,
        };
        let schedule = match text(&call.input, "ScheduleExpression") {
            Some(_) if bus_name != "default" => {
                let message = "ScheduleExpression is supported only on the default event bus.";
                return Err(Failure::sender("ValidationException", message));
            }
            Some(expression) => match Schedule::parse(&expression) {
                Some(schedule) => Some((expression, schedule)),
                None => {
                    return Err(Failure::sender("ValidationException", "Parameter ScheduleExpression is not valid."));
                }
            },
            None => None,
        };
        if pattern.is_none() && schedule.is_none() {
            let message = "Parameter(s) EventPattern or ScheduleExpression must be specified.";
            return Err(Failure::sender("ValidationException", message));
        }
        let state = text(&call.input, "State").unwrap_or_else(|| rule::STATES[0].to_owned());
        if !rule::STATES.contains(&state.as_str()) {
            let message = format!(
                "1 validation error detected: Value '{state}' at 'state' failed to satisfy constraint: Member must \
                 satisfy enum value set: {:?}",
                rule::STATES
            );
            return Err(Failure::sender("ValidationException", message));
        }
        let arn = if bus_name == "default" {
            format!("arn:aws:events:{}:{ACCOUNT}:rule/{name}", call.region)
        } else {
            format!("arn:aws:events:{}:{ACCOUNT}:rule/{bus_name}/{name}", call.region)
        };
        let bus = self.named_bus(call)?;
        let before = bus.rules.remove(&name);
        let (targets, tags) =
            before.map_or_else(|| (BTreeMap::new(), read_tags(&call.input)), |rule| (rule.targets, rule.tags));
        let rule = Rule {
            arn: arn.clone(),
            description: text(&call.input, "Description"),
            role_arn: text(&call.input, "RoleArn"),
            state,
            fires_at: schedule.as_ref().and_then(|(_, schedule)| next_fire(aws, schedule, call.now)),
            pattern,
            schedule,
            targets,
            tags,
        };
        bus.rules.insert(name, rule);
        Ok(json!({ "RuleArn": arn }))
    }

    fn delete_rule(&mut self, call: &Call) -> Result<Value, Failure> {
        let name = rule_name(call, "Name")?;
        let bus = self.named_bus(call)?;
        if bus.rules.get(&name).is_some_and(|rule| !rule.targets.is_empty()) {
            return Err(Failure::sender("ValidationException", "Rule can't be deleted since it has targets."));
        }
        // To delete what is not there succeeds.
        bus.rules.remove(&name);
        Ok(json!({}))
    }

    fn list_rules(&mut self, call: &Call) -> Result<Value, Failure> {
        let bus = bus_name(call);
        let prefix = call.input["NamePrefix"].as_str().unwrap_or_default();
        let rules = self.named_bus(call)?.rules.iter().filter(|(name, _)| name.starts_with(prefix));
        let shown = rules.map(|(name, rule)| rule.show(name, &bus)).collect();
        page(call, "Rules", shown)
    }

    /// Switches a rule on or off. A schedule that was off starts anew: what it missed does not fire.
    fn switch(&mut self, aws: &Aws, call: &Call, to: &str) -> Result<Value, Failure> {
        let rule = self.rule(call, "Name")?;
        if !rule.is_enabled() {
            rule.fires_at = rule.schedule.as_ref().and_then(|(_, schedule)| next_fire(aws, schedule, call.now));
        }
        to.clone_into(&mut rule.state);
        Ok(json!({}))
    }

    fn put_targets(&mut self, call: &Call) -> Result<Value, Failure> {
        let rule = self.rule(call, "Rule")?;
        let targets = call.input["Targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        if targets.is_empty() {
            return Err(invalid("Targets", "At least one target is required."));
        }
        for target in targets {
            delivery::check(target)?;
        }
        let mut all = rule.targets.clone();
        all.extend(targets.iter().map(|target| (target["Id"].as_str().unwrap_or_default().to_owned(), target.clone())));
        if all.len() > MOST_TARGETS {
            let message = "The requested resource exceeds the maximum number allowed.";
            return Err(Failure::sender("LimitExceededException", message));
        }
        rule.targets = all;
        Ok(json!({ "FailedEntryCount": 0, "FailedEntries": [] }))
    }

    fn remove_targets(&mut self, call: &Call) -> Result<Value, Failure> {
        let rule = self.rule(call, "Rule")?;
        for id in call.input["Ids"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            rule.targets.remove(id);
        }
        Ok(json!({ "FailedEntryCount": 0, "FailedEntries": [] }))
    }

    fn tags(&mut self, call: &Call) -> Result<&mut Tags, Failure> {
        let arn = call.input["ResourceARN"].as_str().unwrap_or_default();
        let failure = not_found(format!("The resource {arn} does not exist."));
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        let parts: Vec<&str> = resource.split('/').collect();
        let found = match parts[..] {
            ["event-bus", bus] => self.bus(&call.region, bus).map(|bus| &mut bus.tags),
            ["rule", rule] => {
                self.bus(&call.region, "default").and_then(|bus| bus.rules.get_mut(rule)).map(|rule| &mut rule.tags)
            }
            ["rule", bus, rule] => {
                self.bus(&call.region, bus).and_then(|bus| bus.rules.get_mut(rule)).map(|rule| &mut rule.tags)
            }
            _ => None,
        };
        found.ok_or(failure)
    }

    fn tag(&mut self, call: &Call) -> Result<Value, Failure> {
        let tags = read_tags(&call.input);
        self.tags(call)?.extend(tags);
        Ok(json!({}))
    }

    fn untag(&mut self, call: &Call) -> Result<Value, Failure> {
        let keys = call.input["TagKeys"].as_array().cloned().unwrap_or_default();
        self.tags(call)?.retain(|key, _| !keys.iter().any(|gone| gone == key));
        Ok(json!({}))
    }
}

fn test_pattern(call: &Call) -> Result<Value, Failure> {
    let pattern =
        Pattern::parse(call.input["EventPattern"].as_str().unwrap_or_default()).map_err(|r| bad_pattern(&r))?;
    let event = serde_json::from_str::<Value>(call.input["Event"].as_str().unwrap_or_default());
    let event = event.map_err(|_| Failure::sender("ValidationException", "Parameter Event is not valid."))?;
    let required = ["id", "detail-type", "source", "account", "time", "region", "resources", "detail"];
    if let Some(member) = required.iter().find(|member| event.get(**member).is_none()) {
        return Err(invalid("Event", &format!("{member} is a required argument.")));
    }
    Ok(json!({ "Result": pattern.matches(&event) }))
}

fn deliveries(rule: &Rule, region: &str, event: &Value, now: Timestamp) -> Vec<Delivery> {
    let delivery = |target: &Value| Delivery {
        region: region.to_owned(),
        rule_arn: rule.arn.clone(),
        target: target.clone(),
        event: event.clone(),
        accepted: now,
        failed: 0,
    };
    rule.targets.values().map(delivery).collect()
}

fn next_fire(aws: &Aws, schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    match aws.behaviour().pace {
        Pace::Fast => Some(after(now, SignedDuration::from_secs(FAST_SECONDS))),
        Pace::Real => schedule.next_after(now),
    }
}

fn show_bus(region: &str, name: &str, bus: &Bus) -> Value {
    let mut shown = json!({ "Name": name, "Arn": bus_arn(region, name) });
    if let Some(description) = &bus.description {
        shown["Description"] = Value::from(description.as_str());
    }
    if name != "default" {
        shown["CreationTime"] = Value::from(bus.created.as_second());
        shown["LastModifiedTime"] = Value::from(bus.created.as_second());
    }
    shown
}

/// Adds what only DescribeEventBus and CreateEventBus tell of a bus.
fn show_settings(shown: &mut Value, bus: &Bus) {
    for (name, value) in &bus.settings {
        shown[name] = value.clone();
    }
    if let Some(description) = &bus.description {
        shown["Description"] = Value::from(description.as_str());
    }
}

/// One page of a list; the token is where the next page starts.
fn page(call: &Call, member: &str, all: Vec<Value>) -> Result<Value, Failure> {
    let given = &call.input["Limit"];
    let most = if given.is_null() { Some(LARGEST_PAGE) } else { given.as_u64().and_then(|most| most.try_into().ok()) };
    let most = most.filter(|most| (1..=LARGEST_PAGE).contains(most)).ok_or_else(|| {
        let message = format!(
            "1 validation error detected: Value '{given}' at 'limit' failed to satisfy constraint: Member must have \
             value between 1 and {LARGEST_PAGE}, inclusive"
        );
        Failure::sender("ValidationException", message)
    })?;
    let start = match call.input["NextToken"].as_str() {
        None => 0,
        Some(token) => token.parse().ok().filter(|start| *start < all.len()).ok_or_else(|| {
            let message = "The token provided in the NextToken field is not valid.";
            Failure::sender("ValidationException", message)
        })?,
    };
    let is_last = start + most >= all.len();
    let items: Vec<Value> = all.into_iter().skip(start).take(most).collect();
    let mut answer = json!({ member: items });
    if !is_last {
        answer["NextToken"] = Value::String((start + most).to_string());
    }
    Ok(answer)
}

fn rule_name(call: &Call, member: &str) -> Result<String, Failure> {
    let name = call.input[member].as_str().unwrap_or_default();
    let is_rule_name = is_name(name, 64) && !name.contains('/');
    if is_rule_name { Ok(name.to_owned()) } else { Err(invalid(member, "Value is not a valid name of a rule.")) }
}

fn is_name(name: &str, longest: usize) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
    (1..=longest).contains(&name.len()) && name.bytes().all(is_part)
}

/// The bus of a call: a name or an ARN; the default bus where there is none.
fn bus_name(call: &Call) -> String {
    call.input["EventBusName"].as_str().map_or("default", last_part).to_owned()
}

fn last_part(name_or_arn: &str) -> &str {
    if name_or_arn.starts_with("arn:") { name_or_arn.rsplit('/').next().unwrap_or_default() } else { name_or_arn }
}

fn bus_arn(region: &str, name: &str) -> String {
    format!("arn:aws:events:{region}:{ACCOUNT}:event-bus/{name}")
}

fn read_tags(input: &Value) -> Tags {
    let pair = |tag: &Value| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned()));
    input["Tags"].as_array().into_iter().flatten().filter_map(pair).collect()
}

fn text(input: &Value, member: &str) -> Option<String> {
    input[member].as_str().filter(|value| !value.is_empty()).map(str::to_owned)
}

fn whole_seconds(at: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", at).unwrap_or_default()
}

fn after(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn not_found(message: String) -> Failure {
    Failure::sender("ResourceNotFoundException", message)
}

fn invalid(member: &str, reason: &str) -> Failure {
    Failure::sender("ValidationException", format!("Parameter {member} is not valid. Reason: {reason}"))
}

fn bad_pattern(reason: &str) -> Failure {
    Failure::sender("InvalidEventPatternException", format!("Event pattern is not valid. Reason: {reason}"))
}

#[cfg(test)]
mod tests;
