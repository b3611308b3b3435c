//! awsQuery: a form in, XML out. What SNS and STS speak, and what CloudWatch's older clients do.
//!
//! A form has no types: `A.member.1.B` is a list, `A.entry.1.key` a map, and the rest is text. XML has no maps, and
//! knows an operation without output from one with an empty output. A table says what neither does.

use super::members::{is_time, iso};
use crate::aws::Failure;
use aws_smithy_xml::encode::{ScopeWriter, XmlWriter};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most parts that a name may have. SNS's longest has seven.
const MOST_PARTS: usize = 16;

/// What a service that speaks awsQuery needs to have known of it.
struct Dialect {
    /// The endpoint prefix.
    service: &'static str,
    namespace: &'static str,
    /// Members of inputs that are numbers or flags; after the list that it is in, where a name means both.
    typed: &'static [&'static str],
    /// Members of outputs that are maps.
    maps: &'static [&'static str],
    /// Operations without an output: they answer with the request's id alone.
    silent: &'static [&'static str],
}

/// Source: botocore's models: `xmlNamespace`; inputs' members of type boolean, integer, long and double; outputs' of
/// type map; the operations without `output`.
const DIALECTS: [Dialect; 3] = [
    Dialect {
        service: "monitoring",
        namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
        typed: &[
            "ActionLogLineCount",
            "ActionsEnabled",
            "ActionsSuppressorExtensionPeriod",
            "ActionsSuppressorWaitPeriod",
            "ApplyOnTransformedLogs",
            "Counts",
            "DatapointsToAlarm",
            "Enabled",
            "EndTimeOffset",
            "EvaluationInterval",
            "EvaluationPeriods",
            "IncludeLinkedAccounts",
            "IncludeLinkedAccountsMetrics",
            "MaxContributorCount",
            "MaxDatapoints",
            "MaxRecords",
            "MaxResults",
            "Maximum",
            "MetricData.Value",
            "Minimum",
            "OnlyStartEvaluatingAfterWarmUpPeriodEnds",
            "PendingPeriod",
            "Period",
            "PeriodicSpikes",
            "QueryResultsToAlarm",
            "QueryResultsToEvaluate",
            "RecoveryPeriod",
            "ReturnData",
            "SampleCount",
            "StartTimeOffset",
            "StorageResolution",
            "StrictEntityValidation",
            "Sum",
            "Threshold",
            "Values",
            "WarmUpPeriodDurationInMinutes",
        ],
        maps: &["AlarmContributorAttributes", "Attributes", "ContributorAttributes", "ExtendedStatistics"],
        silent: &[
            "DeleteAlarmMuteRule",
            "DeleteAlarms",
            "DisableAlarmActions",
            "EnableAlarmActions",
            "PutAlarmMuteRule",
            "PutCompositeAlarm",
            "PutLogAlarm",
            "PutMetricAlarm",
            "PutMetricData",
            "SetAlarmState",
        ],
    },
    Dialect {
        service: "sns",
        namespace: "http://sns.amazonaws.com/doc/2010-03-31/",
        // Its one flag, ReturnSubscriptionArn, SNS reads itself.
        typed: &[],
        maps: &["Attributes", "attributes"],
        silent: &[
            "AddPermission",
            "DeleteEndpoint",
            "DeletePlatformApplication",
            "DeleteTopic",
            "PutDataProtectionPolicy",
            "RemovePermission",
            "SetEndpointAttributes",
            "SetPlatformApplicationAttributes",
            "SetSubscriptionAttributes",
            "SetTopicAttributes",
            "Unsubscribe",
        ],
    },
    Dialect {
        service: "sts",
        namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
        typed: &[],
        maps: &[],
        silent: &[],
    },
];

fn dialect(service: &str) -> Option<&'static Dialect> {
    DIALECTS.iter().find(|dialect| dialect.service == service)
}

/// A value of a form by its whole name.
pub(super) fn field(body: &[u8], name: &str) -> Option<String> {
    let wanted = |(key, value): (_, std::borrow::Cow<'_, str>)| (key == name).then(|| value.into_owned());
    form_urlencoded::parse(body).take(64).find_map(wanted)
}

impl Dialect {
    /// A value of a form: text, unless the member is known to be something else.
    fn typed(&self, list: &str, name: &str, text: String) -> Value {
        let is_typed = |known: &&str| *known == name || known.split_once('.') == Some((list, name));
        if !self.typed.iter().any(is_typed) {
            return Value::String(text);
        }
        match serde_json::from_str(&text) {
            Ok(typed @ (Value::Number(_) | Value::Bool(_))) => typed,
            Ok(_) | Err(_) => Value::String(text),
        }
    }
}

/// The input of an operation, without its `Action` and `Version`.
///
/// # Errors
/// `MalformedInput` for names that contradict each other, or go too deep; [`Failure::not_emulated`] where a service
/// does not speak this protocol.
pub(super) fn input(service: &str, operation: &str, body: &[u8]) -> Result<Value, Failure> {
    let dialect = dialect(service).ok_or_else(|| Failure::not_emulated(service, operation))?;
    let mut root = Tree::default();
    for (name, value) in form_urlencoded::parse(body) {
        if name != "Action" && name != "Version" {
            root.put(&name, value.into_owned())?;
        }
    }
    Ok(Value::Object(root.members("", dialect)))
}

/// A form's fields, by the parts of their names.
#[derive(Default)]
struct Tree {
    value: Option<String>,
    children: BTreeMap<String, Tree>,
}

impl Tree {
    fn put(&mut self, name: &str, value: String) -> Result<(), Failure> {
        let malformed = || Failure::sender("MalformedInput", format!("The parameter {name} cannot be read."));
        let mut at = self;
        for (depth, part) in name.split('.').enumerate() {
            if depth == MOST_PARTS || part.is_empty() || at.value.is_some() {
                return Err(malformed());
            }
            at = at.children.entry(part.to_owned()).or_default();
        }
        if at.value.is_some() || !at.children.is_empty() {
            return Err(malformed());
        }
        at.value = Some(value);
        Ok(())
    }

    /// The members of a structure; `list` is the list that it is in, if any.
    fn members(self, list: &str, dialect: &Dialect) -> Map<String, Value> {
        let member = |(name, tree): (String, Self)| {
            let value = tree.into_json(list, &name, dialect);
            (name, value)
        };
        self.children.into_iter().map(member).collect()
    }

    /// The elements of a list are called like the member that holds the list.
    fn into_json(mut self, list: &str, name: &str, dialect: &Dialect) -> Value {
        if let Some(text) = self.value {
            return dialect.typed(list, name, text);
        }
        match (self.numbered("member"), self.numbered("entry")) {
            (Some(elements), _) => elements.into_iter().map(|element| element.into_json(list, name, dialect)).collect(),
            (None, Some(entries)) => {
                Value::Object(entries.into_iter().filter_map(|entry| entry.into_entry(dialect)).collect())
            }
            (None, None) => Value::Object(self.members(name, dialect)),
        }
    }

    /// What is below `name`, in the order of its numbers, where nothing else is here and nothing else is there.
    fn numbered(&mut self, name: &str) -> Option<Vec<Self>> {
        if self.children.len() != 1 || !self.children.get(name)?.children.keys().all(|key| key.parse::<u32>().is_ok()) {
            return None;
        }
        let elements = self.children.remove(name)?.children;
        let mut elements: Vec<(u32, Self)> =
            elements.into_iter().filter_map(|(number, tree)| Some((number.parse().ok()?, tree))).collect();
        elements.sort_by_key(|(number, _)| *number);
        Some(elements.into_iter().map(|(_, tree)| tree).collect())
    }

    /// `key` and `value`; SNS's message attributes say `Name` and `Value`.
    fn into_entry(mut self, dialect: &Dialect) -> Option<(String, Value)> {
        let key = self.children.remove("key").or_else(|| self.children.remove("Name"))?.value?;
        let value = self.children.remove("value").or_else(|| self.children.remove("Value"));
        let value = value.map(|value| value.into_json("", "value", dialect));
        Some((key, value.unwrap_or_else(|| Value::Object(Map::new()))))
    }
}

/// An answer.
pub(super) fn output(service: &str, operation: &str, output: &Value, request_id: &str) -> Vec<u8> {
    let mut text = String::new();
    let mut document = XmlWriter::new(&mut text);
    let (response, result) = (format!("{operation}Response"), format!("{operation}Result"));
    let dialect = dialect(service);
    let root = document.start_el(&response);
    let mut root = match dialect {
        Some(dialect) => root.write_ns(dialect.namespace, None).finish(),
        None => root.finish(),
    };
    if dialect.is_none_or(|dialect| !dialect.silent.contains(&operation)) {
        let mut scope = root.start_el(&result).finish();
        for (name, member) in output.as_object().into_iter().flatten() {
            write(&mut scope, name, name, member, dialect.map_or(&[], |dialect| dialect.maps));
        }
        scope.finish();
    }
    let mut metadata = root.start_el("ResponseMetadata").finish();
    text_element(&mut metadata, "RequestId", request_id);
    metadata.finish();
    root.finish();
    text.into_bytes()
}

/// A refusal, under the code that the query protocol has for it.
pub(super) fn refusal(service: &str, code: &str, failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut text = String::new();
    let mut document = XmlWriter::new(&mut text);
    let root = document.start_el("ErrorResponse");
    let mut root = match dialect(service) {
        Some(dialect) => root.write_ns(dialect.namespace, None).finish(),
        None => root.finish(),
    };
    let mut error = root.start_el("Error").finish();
    text_element(&mut error, "Type", if failure.status < 500 { "Sender" } else { "Receiver" });
    text_element(&mut error, "Code", code);
    text_element(&mut error, "Message", &failure.message);
    error.finish();
    text_element(&mut root, "RequestId", request_id);
    root.finish();
    text.into_bytes()
}

/// Writes `value` as the element `tag`; `name` is the member that it belongs to, which a list's elements share.
fn write(parent: &mut ScopeWriter<'_, '_>, tag: &str, name: &str, value: &Value, maps: &[&str]) {
    match value {
        Value::Null => {}
        Value::String(text) => text_element(parent, tag, text),
        Value::Bool(flag) => text_element(parent, tag, if *flag { "true" } else { "false" }),
        Value::Number(number) if is_time(name) => {
            text_element(parent, tag, &iso(number.as_f64().unwrap_or_default()));
        }
        Value::Number(number) => text_element(parent, tag, &number.to_string()),
        Value::Array(elements) => {
            let mut scope = parent.start_el(tag).finish();
            for element in elements {
                write(&mut scope, "member", name, element, maps);
            }
        }
        Value::Object(entries) if maps.contains(&name) => {
            let mut scope = parent.start_el(tag).finish();
            for (key, value) in entries {
                let mut entry = scope.start_el("entry").finish();
                text_element(&mut entry, "key", key);
                write(&mut entry, "value", "value", value, maps);
            }
        }
        Value::Object(members) => {
            let mut scope = parent.start_el(tag).finish();
            for (name, member) in members {
                write(&mut scope, name, name, member, maps);
            }
        }
    }
}

fn text_element(parent: &mut ScopeWriter<'_, '_>, tag: &str, text: &str) {
    let mut scope = parent.start_el(tag).finish();
    // XML 1.0 has no way to write the others, not even escaped.
    let is_writable = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..);
    if text.chars().all(is_writable) {
        scope.data(text);
    } else {
        scope.data(&text.chars().map(|c| if is_writable(c) { c } else { '\u{FFFD}' }).collect::<String>());
    }
    scope.finish();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_are_read_as_clients_write_them() {
        #[rustfmt::skip]
        let cases = [
            // form, input, why
            ("Action=A&Version=1&Name=shop", Some(json!({ "Name": "shop" })), "the action and the version are no input"),
            ("Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.2.Key=b",
             Some(json!({ "Tags": [{ "Key": "a", "Value": "1" }, { "Key": "b" }] })), "a list of structures"),
            ("K.member.10=j&K.member.9=i&K.member.1=a", Some(json!({ "K": ["a", "i", "j"] })), "by number, not by text"),
            ("Attributes.entry.1.key=DisplayName&Attributes.entry.1.value=a.b%3Dc+d",
             Some(json!({ "Attributes": { "DisplayName": "a.b=c d" } })), "a map"),
            ("MessageAttributes.entry.1.Name=n&MessageAttributes.entry.1.Value.DataType=String&\
              MessageAttributes.entry.1.Value.StringValue=v&MessageAttributes.entry.2.Name=m",
             Some(json!({ "MessageAttributes": { "n": { "DataType": "String", "StringValue": "v" }, "m": {} } })),
             "message attributes have names"),
            ("E.member.1.M.entry.1.Name=x&E.member.1.M.entry.1.Value.S=y", Some(json!({ "E": [{ "M": { "x": { "S": "y" } } }] })),
             "a map in a list"),
            ("Tags=", Some(json!({ "Tags": "" })), "an empty list is empty text"),
            ("Flag=true&N=7", Some(json!({ "Flag": "true", "N": "7" })), "values stay text"),
            ("A=1&A.b=2", None, "a value and a structure"),
            ("A.b=2&A=1", None, "and the other way round"),
            ("A=1&A=2", None, "twice"),
            ("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1", None, "too deep"),
            ("a..b=1", None, "a part without a name"),
        ];
        for (form, expected, why) in cases {
            assert_eq!(input("sns", "A", form.as_bytes()).ok(), expected, "{why}");
        }
        let code = |service: &str, form: &[u8]| input(service, "A", form).err().map(|failure| failure.code);
        assert_eq!(code("sns", b"A=1&A=2").as_deref(), Some("MalformedInput"));
        assert_eq!(code("ecs", b"A=1").as_deref(), Some("NotEmulated"), "it never spoke this");
    }

    #[test]
    fn numbers_and_flags_are_what_cloudwatch_has_them_for() {
        #[rustfmt::skip]
        let cases = [
            ("Threshold=80.5&Period=60",  json!({ "Threshold": 80.5, "Period": 60 }),                   "numbers"),
            ("ActionsEnabled=false",      json!({ "ActionsEnabled": false }),                           "a flag"),
            ("AlarmName=5",               json!({ "AlarmName": "5" }),                                  "a name is text"),
            ("Period=soon",               json!({ "Period": "soon" }),                                  "for the service to refuse"),
            ("MetricData.member.1.Value=5&MetricData.member.1.Values.member.1=7&\
              MetricData.member.1.Dimensions.member.1.Value=5",
             json!({ "MetricData": [{ "Value": 5, "Values": [7], "Dimensions": [{ "Value": "5" }] }] }), "by where it is"),
        ];
        for (form, expected, why) in cases {
            assert_eq!(input("monitoring", "A", form.as_bytes()).ok(), Some(expected), "{why}");
        }
    }

    #[test]
    fn answers_are_written_as_aws_writes_them() {
        let shown = |service: &str, operation: &str, answer: Value| {
            String::from_utf8(output(service, operation, &answer, "id")).expect("UTF-8")
        };
        let metadata = "<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata>";
        #[rustfmt::skip]
        let cases = [
            // service, operation, answer, result, why
            ("sns", "ListTopics", json!({ "Topics": [{ "TopicArn": "a" }, { "TopicArn": "b" }] }),
             "<ListTopicsResult><Topics><member><TopicArn>a</TopicArn></member><member><TopicArn>b</TopicArn></member>\
              </Topics></ListTopicsResult>", "a list"),
            ("sns", "GetTopicAttributes", json!({ "Attributes": { "DisplayName": "<a & \"b\">" } }),
             "<GetTopicAttributesResult><Attributes><entry><key>DisplayName</key><value>&lt;a &amp; &quot;b&quot;&gt;\
              </value></entry></Attributes></GetTopicAttributesResult>", "a map, and text that looks like XML"),
            ("sns", "TagResource", json!({}), "<TagResourceResult></TagResourceResult>", "an empty output"),
            ("sns", "SetTopicAttributes", json!({}), "", "no output"),
            ("monitoring", "DescribeAlarms",
             json!({ "MetricAlarms": [{ "StateUpdatedTimestamp": 0, "ActionsEnabled": true, "Threshold": 1.5, "X": null }] }),
             "<DescribeAlarmsResult><MetricAlarms><member><ActionsEnabled>true</ActionsEnabled><StateUpdatedTimestamp>\
              1970-01-01T00:00:00Z</StateUpdatedTimestamp><Threshold>1.5</Threshold></member></MetricAlarms>\
              </DescribeAlarmsResult>", "a time, a flag, a number, and nothing"),
            ("sts", "GetCallerIdentity", json!({ "Account": "1\u{1}\n2" }),
             "<GetCallerIdentityResult><Account>1\u{FFFD}&#xA;2</Account></GetCallerIdentityResult>",
             "what XML cannot carry"),
        ];
        for (service, operation, answer, result, why) in cases {
            let namespace = dialect(service).expect("known").namespace;
            let expected =
                format!("<{operation}Response xmlns=\"{namespace}\">{result}{metadata}</{operation}Response>");
            assert_eq!(shown(service, operation, answer), expected, "{why}");
        }
    }
}
