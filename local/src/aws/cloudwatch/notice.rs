//! What an alarm does when it changes: a message to a topic, with the words that AWS sends.

use super::alarm::{Alarm, Status, spoken, stamp};
use super::history::Item;
use crate::aws::{ACCOUNT, Aws};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The longest subject that SNS takes.
const LONGEST_SUBJECT: usize = 100;

/// How messages call regions. Others are called by their code.
#[rustfmt::skip]
const REGIONS: [(&str, &str); 18] = [
    ("ap-northeast-1", "Asia Pacific (Tokyo)"),  ("ap-northeast-2", "Asia Pacific (Seoul)"),
    ("ap-northeast-3", "Asia Pacific (Osaka)"),  ("ap-south-1", "Asia Pacific (Mumbai)"),
    ("ap-southeast-1", "Asia Pacific (Singapore)"), ("ap-southeast-2", "Asia Pacific (Sydney)"),
    ("ca-central-1", "Canada (Central)"),        ("eu-central-1", "EU (Frankfurt)"),
    ("eu-north-1", "EU (Stockholm)"),            ("eu-south-1", "EU (Milan)"),
    ("eu-west-1", "EU (Ireland)"),               ("eu-west-2", "EU (London)"),
    ("eu-west-3", "EU (Paris)"),                 ("sa-east-1", "South America (Sao Paulo)"),
    ("us-east-1", "US East (N. Virginia)"),      ("us-east-2", "US East (Ohio)"),
    ("us-west-1", "US West (N. California)"),    ("us-west-2", "US West (Oregon)"),
];

/// One action of one change.
pub(super) struct Action {
    alarm: String,
    kind: String,
    /// The ARN of what is told.
    target: String,
    changed: Timestamp,
    subject: String,
    /// A message for each way of delivery, as SNS's message structure `json`.
    message: String,
}

impl Action {
    pub(super) fn new(alarm: &Alarm, previous: &Status, target: &str, region: &str) -> Self {
        let region_name = REGIONS.iter().find(|(code, _)| *code == region).map_or(region, |(_, name)| name);
        let document = document(alarm, previous, region_name);
        let message = json!({
            "default": document.to_string(),
            "sms": subject(alarm, region_name, 90),
            "email": mail(alarm, previous, &document, region, region_name),
        });
        let frame = alarm.status.value.name().len() + region_name.len() + ": \"\" in ".len();
        Self {
            alarm: alarm.name.clone(),
            kind: alarm.kind().to_owned(),
            target: target.to_owned(),
            changed: alarm.status.updated,
            subject: subject(alarm, region_name, LONGEST_SUBJECT.saturating_sub(frame)),
            message: message.to_string(),
        }
    }

    /// Tells the target, and returns what history keeps of that.
    pub(super) fn carry_out(&self, aws: &Aws) -> Item {
        let parts: Vec<&str> = self.target.splitn(6, ':').collect();
        let (outcome, published) = match parts[..] {
            ["arn", _, "sns", region, _, _] => {
                let input = json!({
                    "TopicArn": self.target,
                    "Subject": self.subject,
                    "Message": self.message,
                    "MessageStructure": "json",
                });
                let outcome = aws.ask("sns", region, "Publish", input).map_err(|failure| failure.message);
                (outcome.map(|_| ()), json!(self.message))
            }
            _ => (Err("This action is not emulated by Pointsman's local AWS".to_owned()), Value::Null),
        };
        let (summary, state, published, error) = match outcome {
            Ok(()) => (format!("Successfully executed action {}", self.target), "Succeeded", published, Value::Null),
            Err(why) => {
                let summary = format!("Failed to execute action {}. Received error: \"{why}\"", self.target);
                (summary, "Failed", Value::Null, json!(why))
            }
        };
        let data = json!({
            "actionState": state,
            "stateUpdateTimestamp": self.changed.as_millisecond(),
            "notificationResource": self.target,
            "publishedMessage": published,
            "error": error,
            "muteWindowEndTimestamp": null,
        });
        Item {
            alarm: self.alarm.clone(),
            kind: self.kind.clone(),
            at: aws.clock().now(),
            what: "Action".to_owned(),
            summary: summary.chars().take(255).collect(),
            data: data.to_string(),
        }
    }
}

/// `ALARM: "name" in US East (N. Virginia)`, with a name of at most `most` characters.
fn subject(alarm: &Alarm, region_name: &str, most: usize) -> String {
    let mut name = String::new();
    for letter in alarm.name.chars() {
        match (letter.is_ascii_graphic() || letter == ' ', name.ends_with('_')) {
            (true, _) => name.push(letter),
            // A run of letters that a subject cannot hold becomes one underscore.
            (false, false) => name.push('_'),
            (false, true) => {}
        }
    }
    if name.len() > most {
        name.truncate(most.saturating_sub(3));
        name.push_str("...");
    }
    format!("{}: \"{name}\" in {region_name}", alarm.status.value.name())
}

/// The message that programs read.
fn document(alarm: &Alarm, previous: &Status, region_name: &str) -> Value {
    let setting = |member: &str| alarm.settings.get(member).cloned().unwrap_or_default();
    let mut document = json!({
        "AlarmName": alarm.name,
        "AlarmDescription": setting("AlarmDescription"),
        "AWSAccountId": ACCOUNT,
        "NewStateValue": alarm.status.value.name(),
        "NewStateReason": alarm.status.reason,
        "StateChangeTime": stamp(alarm.status.updated),
        "Region": region_name,
        "AlarmArn": alarm.arn,
        "OldStateValue": previous.value.name(),
        "ActionExecutedAfterMuteWindow": false,
        "OKActions": setting("OKActions"),
        "AlarmActions": setting("AlarmActions"),
        "InsufficientDataActions": setting("InsufficientDataActions"),
    });
    if alarm.is_composite() {
        document["AlarmRule"] = setting("AlarmRule");
        document["TriggeringChildren"] = triggers(alarm);
    } else {
        document["AlarmConfigurationUpdatedTimestamp"] = json!(stamp(alarm.configured));
        document["Trigger"] = trigger(alarm);
    }
    document
}

fn triggers(alarm: &Alarm) -> Value {
    let data = alarm.status.data.as_deref().and_then(|data| serde_json::from_str::<Value>(data).ok());
    let data = data.unwrap_or_default();
    let triggers = data["triggeringAlarms"].as_array().into_iter().flatten();
    let show = |each: &Value| {
        let state = &each["state"];
        json!({ "Arn": each["arn"], "State": { "Value": state["value"], "Timestamp": state["timestamp"] } })
    };
    triggers.map(show).collect()
}

fn trigger(alarm: &Alarm) -> Value {
    let setting = |member: &str| alarm.settings.get(member).cloned().unwrap_or_default();
    let mut trigger = json!({
        "Period": period(alarm),
        "EvaluationPeriods": setting("EvaluationPeriods"),
        "ComparisonOperator": setting("ComparisonOperator"),
        "Threshold": alarm.settings.get("Threshold").cloned().unwrap_or_else(|| json!(0.0)),
        "TreatMissingData": alarm.text("TreatMissingData"),
        "EvaluateLowSampleCountPercentile": alarm.text("EvaluateLowSampleCountPercentile"),
    });
    for member in ["DatapointsToAlarm", "ThresholdMetricId"] {
        if let Some(value) = alarm.settings.get(member) {
            trigger[member] = value.clone();
        }
    }
    if let Some(metrics) = alarm.settings.get("Metrics").and_then(Value::as_array) {
        let mut metrics = metrics.clone();
        for metric in &mut metrics {
            if let Some(dimensions) = metric.pointer_mut("/MetricStat/Metric/Dimensions") {
                *dimensions = lower_dimensions(dimensions);
            }
        }
        trigger["Metrics"] = json!(metrics);
        return trigger;
    }
    let (kind, statistic) = match alarm.text("ExtendedStatistic") {
        "" => ("Statistic", alarm.text("Statistic").to_uppercase()),
        extended => ("ExtendedStatistic", extended.to_owned()),
    };
    trigger["MetricName"] = setting("MetricName");
    trigger["Namespace"] = setting("Namespace");
    trigger["StatisticType"] = json!(kind);
    trigger["Statistic"] = json!(statistic);
    trigger["Unit"] = setting("Unit");
    trigger["Dimensions"] = lower_dimensions(&setting("Dimensions"));
    trigger
}

fn lower_dimensions(dimensions: &Value) -> Value {
    let dimensions = dimensions.as_array().into_iter().flatten();
    dimensions.map(|each| json!({ "value": each["Value"], "name": each["Name"] })).collect()
}

/// The period of the alarm's metric, or of the first of its metrics that has one.
fn period(alarm: &Alarm) -> Value {
    let metrics = alarm.settings.get("Metrics").and_then(Value::as_array).into_iter().flatten();
    let mut periods = metrics.filter_map(|metric| metric["MetricStat"].get("Period").or_else(|| metric.get("Period")));
    alarm.settings.get("Period").or_else(|| periods.next()).cloned().unwrap_or_default()
}

/// The message that people read.
fn mail(alarm: &Alarm, previous: &Status, document: &Value, region: &str, region_name: &str) -> String {
    let Alarm { name, arn, status, .. } = alarm;
    let (value, reason, at) = (status.value.name(), &status.reason, spoken(status.updated));
    let entered = if alarm.is_composite() {
        format!("transitioned to {value} state on {at}, because \"{reason}\".")
    } else {
        format!("entered the {value} state, because \"{reason}\" at \"{at}\".")
    };
    let link: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    let link = link.replace('+', "%20");
    let rule = match alarm.text("AlarmRule") {
        "" => String::new(),
        rule => format!("- Alarm Rule:                 {rule}\n"),
    };
    let mut mail = format!(
        "You are receiving this email because your Amazon CloudWatch Alarm \"{name}\" in the {region_name} region has \
         {entered}\n\nView this alarm in the AWS Management Console:\n\
         https://{region}.console.aws.amazon.com/cloudwatch/deeplink.js?region={region}#alarmsV2:alarm/{link}\n\n\
         Alarm Details:\n\
         - Name:                       {name}\n\
         - Description:                {}\n\
         - State Change:               {} -> {value}\n{rule}\
         - Reason for State Change:    {reason}\n\
         - Timestamp:                  {at}\n\
         - AWS Account:                {ACCOUNT}\n\
         - Alarm Arn:                  {arn}\n",
        alarm.text("AlarmDescription"),
        previous.value.name(),
    );
    mail.push_str(&if alarm.is_composite() { children(document) } else { metrics(alarm) });
    mail.push_str("\nState Change Actions:\n");
    for (label, member) in
        [("OK", "OKActions"), ("ALARM", "AlarmActions"), ("INSUFFICIENT_DATA", "InsufficientDataActions")]
    {
        let actions: Vec<&str> = alarm.actions(member).collect();
        let shown = if actions.is_empty() { String::new() } else { format!("[{}]", actions.join(", ")) };
        let _ = writeln!(mail, "- {label}: {shown}");
    }
    mail
}

fn children(document: &Value) -> String {
    let mut text = "\nTriggering children (max. 10):\n".to_owned();
    for child in document["TriggeringChildren"].as_array().into_iter().flatten().take(10) {
        let state = |member: &str| child["State"][member].as_str().unwrap_or_default().to_owned();
        let arn = child["Arn"].as_str().unwrap_or_default();
        let _ = writeln!(text, "- {arn}   {:<20}{}", state("Value"), state("Timestamp"));
    }
    text
}

fn metrics(alarm: &Alarm) -> String {
    let number = |member: &str| alarm.settings.get(member).map(Value::to_string);
    let periods = number("EvaluationPeriods").unwrap_or_default();
    let datapoints = number("DatapointsToAlarm").unwrap_or_else(|| periods.clone());
    let threshold = number("Threshold").unwrap_or_default();
    let (operator, period) = (alarm.text("ComparisonOperator"), period(alarm));
    let mut text = format!(
        "\nThreshold:\n- The alarm is in the ALARM state when the metric is {operator} {threshold} for at least \
         {datapoints} of the last {periods} period(s) of {period} seconds. \n"
    );
    if let Some(queries) = alarm.settings.get("Metrics").and_then(Value::as_array) {
        text.push_str("\nMonitored Metrics:\n");
        for query in queries.iter().filter(|query| query["ReturnData"] != false) {
            for (label, member) in [("MetricExpression:", "Expression"), ("MetricLabel:", "Label")] {
                if let Some(value) = query[member].as_str() {
                    let _ = writeln!(text, "- {label:<28}{value}");
                }
            }
        }
        return text;
    }
    let dimensions = alarm.settings.get("Dimensions").and_then(Value::as_array).into_iter().flatten();
    let dimensions = dimensions.map(|each| {
        format!("[{} = {}]", each["Name"].as_str().unwrap_or_default(), each["Value"].as_str().unwrap_or_default())
    });
    let dimensions = dimensions.collect::<Vec<_>>().join(", ");
    let statistic = Some(alarm.text("Statistic")).filter(|name| !name.is_empty());
    let unit = Some(alarm.text("Unit")).filter(|unit| !unit.is_empty()).unwrap_or("not specified");
    let _ = write!(
        text,
        "\nMonitored Metric:\n\
         - MetricNamespace:                     {}\n\
         - MetricName:                          {}\n\
         - Dimensions:                          {dimensions}\n\
         - Period:                              {period} seconds\n\
         - Statistic:                           {}\n\
         - Unit:                                {unit}\n\
         - TreatMissingData:                    {}\n\n",
        alarm.text("Namespace"),
        alarm.text("MetricName"),
        statistic.unwrap_or_else(|| alarm.text("ExtendedStatistic")),
        alarm.text("TreatMissingData"),
    );
    text
}
