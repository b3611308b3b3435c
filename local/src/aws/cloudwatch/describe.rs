//! What can be read: alarms, their history, their tags.

use super::Region;
use super::alarm::{Alarm, StateValue};
use super::history::Item;
use super::input::{self, constraint, invalid};
use super::metric::{STATISTICS, UNITS};
use super::publish::moment;
use super::series;
use super::transition::not_tagged;
use crate::aws::codebuild::epoch;
use crate::aws::{Call, Failure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What a page holds when it is not said. Source: CloudWatch API reference, DescribeAlarms.
const PAGE: usize = 50;
const HISTORY_PAGE: usize = 100;

const TYPES: [&str; 3] = ["CompositeAlarm", "MetricAlarm", "LogAlarm"];

pub(super) fn read(here: &Region, call: &Call) -> Result<Value, Failure> {
    match call.operation.as_str() {
        "DescribeAlarms" => alarms(here, &call.input),
        "DescribeAlarmsForMetric" => for_metric(here, &call.input),
        "DescribeAlarmHistory" => history(here, call),
        _ => tags(here, &call.input),
    }
}

fn alarms(here: &Region, input: &Value) -> Result<Value, Failure> {
    let relation = ["ChildrenOfAlarmName", "ParentsOfAlarmName"]
        .into_iter()
        .find_map(|member| input[member].as_str().map(|name| (member, name)));
    let chosen: Vec<&Alarm> = match relation {
        Some((member, name)) => related(here, input, member, name)?,
        None => chosen(here, input)?,
    };
    let most = page_size(input, PAGE)?;
    let (page, token) = page(&chosen, input, most, |alarm| alarm.name.clone())?;
    let show = |alarm: &&Alarm| match relation {
        None => alarm.answer(),
        Some(("ParentsOfAlarmName", _)) => json!({ "AlarmName": alarm.name, "AlarmArn": alarm.arn }),
        Some(_) => json!({
            "AlarmName": alarm.name,
            "AlarmArn": alarm.arn,
            "StateValue": alarm.status.value.name(),
            "StateUpdatedTimestamp": epoch(alarm.status.updated),
        }),
    };
    let of = |is_composite: bool| -> Vec<Value> {
        page.iter().filter(|alarm| alarm.is_composite() == is_composite).map(|alarm| show(alarm)).collect()
    };
    let mut answer = json!({ "CompositeAlarms": of(true), "MetricAlarms": of(false), "LogAlarms": [] });
    if let Some(token) = token {
        answer["NextToken"] = json!(token);
    }
    Ok(answer)
}

/// The alarms that filters choose, by name.
fn chosen<'a>(here: &'a Region, input: &Value) -> Result<Vec<&'a Alarm>, Failure> {
    let names: Vec<&str> = input::list(input, "AlarmNames", 100)?.iter().filter_map(Value::as_str).collect();
    let prefix = input::text(input, "AlarmNamePrefix", 1, 255)?;
    let types = types(input)?;
    let states = StateValue::ALL.map(StateValue::name);
    let state = input::one_of(input, "StateValue", &states)?;
    let action = input::text(input, "ActionPrefix", 1, 1024)?;
    let uses = |alarm: &Alarm, prefix: &str| {
        let lists = StateValue::ALL.map(StateValue::actions);
        lists.iter().any(|list| alarm.actions(list).any(|action| action.starts_with(prefix)))
    };
    let fits = |alarm: &&Alarm| {
        types.contains(&alarm.kind())
            && (names.is_empty() || names.contains(&alarm.name.as_str()))
            && prefix.is_none_or(|prefix| alarm.name.starts_with(prefix))
            && state.is_none_or(|state| alarm.status.value.name() == state)
            && action.is_none_or(|prefix| uses(alarm, prefix))
    };
    Ok(here.alarms.values().filter(fits).collect())
}

/// The alarms that a composite alarm names, or the composite alarms that name an alarm.
fn related<'a>(here: &'a Region, input: &Value, member: &str, name: &str) -> Result<Vec<&'a Alarm>, Failure> {
    input::alarm_name(name)?;
    let others = [
        "AlarmNames",
        "AlarmNamePrefix",
        "AlarmTypes",
        "StateValue",
        "ActionPrefix",
        "ChildrenOfAlarmName",
        "ParentsOfAlarmName",
    ];
    if others.iter().any(|other| *other != member && input.get(*other).is_some()) {
        return Err(invalid(format!("{member} can only be used with MaxRecords and NextToken")));
    }
    let names = |parent: &Alarm, child: &str| parent.children.iter().flatten().any(|known| known == child);
    let fits = |alarm: &&Alarm| match member {
        "ParentsOfAlarmName" => names(alarm, name),
        _ => here.alarms.get(name).is_some_and(|parent| names(parent, &alarm.name)),
    };
    Ok(here.alarms.values().filter(fits).collect())
}

fn for_metric(here: &Region, input: &Value) -> Result<Value, Failure> {
    let name = input::required(input, "MetricName", 1, 255)?;
    let namespace = input::required(input, "Namespace", 1, 255)?;
    input::list(input, "Dimensions", 30)?;
    let wanted = series::key(namespace, name, &input["Dimensions"]);
    let statistic = input::one_of(input, "Statistic", &STATISTICS)?;
    let period = input::number(input, "Period", 1)?;
    let unit = input::one_of(input, "Unit", &UNITS)?;
    let extended = input["ExtendedStatistic"].as_str();
    let fits = |alarm: &&Alarm| {
        let dimensions = alarm.settings.get("Dimensions").unwrap_or(&Value::Null);
        !alarm.text("MetricName").is_empty()
            && series::key(alarm.text("Namespace"), alarm.text("MetricName"), dimensions) == wanted
            && statistic.is_none_or(|statistic| alarm.text("Statistic") == statistic)
            && extended.is_none_or(|statistic| alarm.text("ExtendedStatistic") == statistic)
            && period.is_none_or(|period| alarm.settings.get("Period") == Some(&json!(period)))
            && unit.is_none_or(|unit| alarm.text("Unit") == unit)
    };
    let alarms: Vec<Value> = here.alarms.values().filter(fits).map(Alarm::answer).collect();
    Ok(json!({ "MetricAlarms": alarms }))
}

fn history(here: &Region, call: &Call) -> Result<Value, Failure> {
    let input = &call.input;
    let name = input::text(input, "AlarmName", 1, 255)?;
    let types = types(input)?;
    let kinds =
        ["ConfigurationUpdate", "StateUpdate", "Action", "AlarmContributorStateUpdate", "AlarmContributorAction"];
    let what = input::one_of(input, "HistoryItemType", &kinds)?;
    let orders = ["TimestampDescending", "TimestampAscending"];
    let order = input::one_of(input, "ScanBy", &orders)?.unwrap_or("TimestampDescending");
    let (from, to) = (moment(&input["StartDate"]), moment(&input["EndDate"]));
    let fits = |item: &&Item| {
        // An alarm that is named is found whatever its type; without a name the type chooses.
        (name.is_some() && input.get("AlarmTypes").is_none() || types.contains(&item.kind.as_str()))
            && name.is_none_or(|name| item.alarm == name)
            && what.is_none_or(|what| item.what == what)
            && from.is_none_or(|from| item.at.as_second() >= from)
            && to.is_none_or(|to| item.at.as_second() <= to)
    };
    let mut items: Vec<&Item> = here.history.items(call.now).filter(fits).collect();
    items.sort_by_key(|item| item.at);
    let mut numbered: Vec<(usize, &Item)> = items.into_iter().enumerate().collect();
    if order == "TimestampDescending" {
        numbered.reverse();
    }
    let most = page_size(input, HISTORY_PAGE)?;
    let (page, token) = page(&numbered, input, most, |(index, item)| format!("{index}:{}", item.at))?;
    let mut answer = json!({ "AlarmHistoryItems": page.iter().map(|(_, item)| item.answer()).collect::<Vec<_>>() });
    if let Some(token) = token {
        answer["NextToken"] = json!(token);
    }
    Ok(answer)
}

fn tags(here: &Region, input: &Value) -> Result<Value, Failure> {
    let arn = input::required(input, "ResourceARN", 1, 1024)?;
    let alarm = here.alarms.values().find(|alarm| alarm.arn == arn).ok_or_else(|| not_tagged(arn))?;
    let tags: Vec<Value> = alarm.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    Ok(json!({ "Tags": tags }))
}

/// The types that are asked for: metric alarms unless it is said.
fn types(input: &Value) -> Result<Vec<&str>, Failure> {
    let given: Vec<&str> = input["AlarmTypes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(other) = given.iter().find(|kind| !TYPES.contains(*kind)) {
        let rule = format!("satisfy enum value set: [{}]", TYPES.join(", "));
        return Err(constraint(other, "AlarmTypes", &rule));
    }
    Ok(if given.is_empty() { vec!["MetricAlarm"] } else { given })
}

fn page_size(input: &Value, default: usize) -> Result<usize, Failure> {
    match input::number(input, "MaxRecords", 1)? {
        None => Ok(default),
        Some(most) if most > 100 => {
            Err(constraint(&most.to_string(), "MaxRecords", "have value less than or equal to 100"))
        }
        Some(most) => Ok(usize::try_from(most).unwrap_or(default)),
    }
}

/// One page of `items`, and the token of the next. It names the last item given, so no two are alike.
fn page<'a, T>(
    items: &'a [T],
    input: &Value,
    most: usize,
    name: impl Fn(&T) -> String,
) -> Result<(Vec<&'a T>, Option<String>), Failure> {
    let start = match input["NextToken"].as_str().filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| items.iter().position(|item| name(item).as_bytes() == bytes))
            .map(|last| last + 1)
            .ok_or_else(|| Failure::sender("InvalidNextToken", format!("Invalid NextToken : {token}")))?,
    };
    let page: Vec<&T> = items.iter().skip(start).take(most).collect();
    let is_last = start + page.len() >= items.len();
    let token = page.last().filter(|_| !is_last).map(|last| URL_SAFE_NO_PAD.encode(name(last)));
    Ok((page, token))
}
