//! Events of DevOps Guru and GuardDuty: written down and told, never acted on. So what is odd in them costs a detail, not
//! the whole event.

use super::{Event, Said, text};
use crate::domain::image::TITLE_CHARACTERS_MAX;
use serde_json::Value;
use std::fmt;

/// How many names an insight is about at most. Those beyond are left out.
pub const ABOUT_MAX: usize = 20;
/// The longest such name, in characters: a CloudFormation stack's has 128, a tag's value 256. A longer one is left out.
const NAME_CHARACTERS_MAX: usize = 256;
/// The longest link that is kept, in bytes. A longer one is left out.
const URL_BYTES_MAX: usize = 2_000;
/// The longest word for a severity, in characters; the rest is cut off.
const SEVERITY_CHARACTERS_MAX: usize = 20;
/// What the severity of an insight is called that names none.
const UNKNOWN: &str = "UNKNOWN";
/// What stands before the name in an insight's description.
const ABOUT_MARKS: [&str; 2] = [" In Stack ", " In Application "];

/// How bad a finding of GuardDuty's is: 1.0 to 10.0, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreatSeverity {
    /// In tenths.
    tenths: Option<u32>,
}

impl ThreatSeverity {
    /// The worst that GuardDuty gives, in tenths. More is no severity.
    const TENTHS_MAX: f64 = 100.0;

    /// It is not known.
    pub const UNKNOWN: Self = Self { tenths: None };

    /// In tenths; `None` where it is not known.
    pub fn tenths(self) -> Option<u32> {
        self.tenths
    }

    fn read(value: &Value) -> Self {
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse::<f64>().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let tenths =
            number.map(|number| (number * 10.0).round()).filter(|tenths| (0.0..=Self::TENTHS_MAX).contains(tenths));
        Self { tenths: tenths.map(|tenths| tenths as u32) }
    }
}

/// `8.5`, or `unknown`.
impl fmt::Display for ThreatSeverity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tenths {
            Some(tenths) => write!(formatter, "{}.{}", tenths / 10, tenths % 10),
            None => formatter.write_str("unknown"),
        }
    }
}

/// DevOps Guru opened an insight. Source: EventBridge's sample of "DevOps Guru New Insight Open".
pub(super) fn of_insight(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    let severity = text(detail, &["insightSeverity"]).filter(|word| !word.is_empty()).unwrap_or(UNKNOWN);
    Some(Said::InsightOpened {
        id: named(detail, "insightId")?,
        severity: severity.to_ascii_uppercase().chars().take(SEVERITY_CHARACTERS_MAX).collect(),
        url: text(detail, &["insightUrl"]).filter(|url| is_link(url)).map(str::to_owned),
        about: about(detail),
    })
}

fn is_link(url: &str) -> bool {
    url.len() <= URL_BYTES_MAX && url.starts_with("https://") && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The stacks, or the values of tags, that an insight names, each once, in its order. An older event names them in its
/// description alone.
fn about(detail: &Value) -> Vec<String> {
    let collection = detail.get("resourceCollection");
    let stacks = collection.and_then(|all| all.get("cloudFormation")?.get("stackNames"));
    let tags = collection.and_then(|all| all.get("tags")).and_then(Value::as_array);
    let values = tags.into_iter().flatten().filter_map(|tag| tag.get("tagValues"));
    let lists = stacks.into_iter().chain(values).filter_map(Value::as_array).flatten();
    let mut names: Vec<&str> = lists.filter_map(Value::as_str).collect();
    if names.is_empty() {
        names.extend(described(text(detail, &["insightDescription"]).unwrap_or_default()));
    }
    let mut found: Vec<String> = Vec::new();
    for name in names {
        let is_name = !name.is_empty() && name.chars().count() <= NAME_CHARACTERS_MAX;
        if is_name && found.len() < ABOUT_MAX && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

/// The name at the end of a description such as `ApiGateway 5XXError Anomalous In Stack shop`.
fn described(description: &str) -> Option<&str> {
    let name = ABOUT_MARKS.iter().find_map(|mark| description.rsplit_once(mark))?.1.trim();
    (!name.contains(char::is_whitespace)).then_some(name)
}

/// GuardDuty found a threat. Source: GuardDuty user guide, "GuardDuty finding format".
pub(super) fn of_threat(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    Some(Said::ThreatFound {
        id: named(detail, "id")?,
        kind: named(detail, "type")?,
        severity: detail.get("severity").map_or(ThreatSeverity::UNKNOWN, ThreatSeverity::read),
        title: text(detail, &["title"]).unwrap_or_default().chars().take(TITLE_CHARACTERS_MAX).collect(),
    })
}

fn named(detail: &Value, name: &str) -> Option<String> {
    text(detail, &[name]).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::read;
    use serde_json::json;

    fn said(source: &str, detail_type: &str, mut detail: Value, change: fn(&mut Value)) -> Said {
        change(&mut detail);
        read(&Event {
            id: "e".into(),
            source: source.into(),
            detail_type: detail_type.into(),
            account: "123456789012".into(),
            region: "us-east-1".into(),
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
            resources: vec![],
            detail,
        })
    }

    fn insight(change: fn(&mut Value)) -> Option<(String, String, Option<String>, Vec<String>)> {
        let detail = json!({
            "insightId": "AB1", "insightSeverity": "high", "insightType": "REACTIVE", "messageType": "NEW_INSIGHT",
            "insightUrl": "https://us-east-1.console.aws.amazon.com/devops-guru/#/insight/reactive/AB1",
            "insightDescription": "ApiGateway 5XXError Anomalous In Stack old", "anomalies": [{ "id": "1" }],
            "resourceCollection": { "cloudFormation": { "stackNames": ["shop", "shop-data"] } },
        });
        let said = said("aws.devops-guru", "DevOps Guru New Insight Open", detail, change);
        let Said::InsightOpened { id, severity, url, about } = said else {
            assert_eq!(said, Said::Nothing);
            return None;
        };
        Some((id, severity, url, about))
    }

    /// A change, what follows, and why.
    type Case<T> = (fn(&mut Value), T, &'static str);

    #[test]
    fn an_insight_says_what_it_is_about_as_far_as_it_can_be_read() {
        let many = || (0..ABOUT_MAX).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        #[rustfmt::skip]
        let cases: [Case<&str>; 12] = [
            (|_| {},                                                            "shop shop-data", "stacks"),
            (|d| d["resourceCollection"] = json!({ "tags": [{ "appBoundaryKey": "devops-guru-app", "tagValues": ["shop", "blog"] }] }), "shop blog", "values of a tag"),
            (|d| d["resourceCollection"]["cloudFormation"]["stackNames"] = json!(["shop", 7, null, "", "shop"]), "shop", "each once, and texts only"),
            (|d| d["resourceCollection"]["cloudFormation"]["stackNames"] = json!("shop"), "old", "stacks of another shape"),
            (|d| d["resourceCollection"]["tags"] = json!("shop"),               "shop shop-data", "tags of another shape"),
            (|d| d["resourceCollection"] = json!(null),                         "old",            "the description names one"),
            (|d| { d["resourceCollection"] = json!(null); d["insightDescription"] = json!("RDS DBLoad Anomalous In Application shop-db"); }, "shop-db", "or an application"),
            (|d| { d["resourceCollection"] = json!(null); d["insightDescription"] = json!("latency In Stack of many names"); }, "", "no name"),
            (|d| { d["resourceCollection"] = json!(null); d["insightDescription"] = json!(7); }, "", "nothing is said"),
            (|d| d["resourceCollection"]["cloudFormation"]["stackNames"] = json!(["x".repeat(1_000)]), "", "no name is as long"),
            (|d| d["resourceCollection"]["cloudFormation"]["stackNames"] = json!((0..1_000).map(|number| number.to_string()).collect::<Vec<_>>()), "many", "the first of many"),
            (|d| d["anomalies"] = json!(null),                                  "shop shop-data", "what is not read does not matter"),
        ];
        for (change, expected, why) in cases {
            let expected = if expected == "many" { many() } else { expected.to_owned() };
            assert_eq!(insight(change).map(|(_, _, _, about)| about.join(" ")), Some(expected), "{why}");
        }
    }

    #[test]
    fn an_insight_without_an_id_says_nothing_and_without_the_rest_less() {
        let all = insight(|_| {}).unwrap();
        assert_eq!((all.0.as_str(), all.1.as_str()), ("AB1", "HIGH"));
        assert!(all.2.unwrap().ends_with("/reactive/AB1"));
        #[rustfmt::skip]
        let cases: [Case<Option<(&str, bool)>>; 10] = [
            (|d| d["insightId"] = json!(null),                              None,                     "nothing to know it by"),
            (|d| d["insightId"] = json!(""),                                None,                     "nor here"),
            (|d| *d = json!("insight"),                                     None,                     "no detail"),
            (|d| d["insightSeverity"] = json!(null),                        Some(("UNKNOWN", true)),  "no severity"),
            (|d| d["insightSeverity"] = json!(3),                           Some(("UNKNOWN", true)),  "of another shape"),
            (|d| d["insightSeverity"] = json!("x".repeat(500)),             Some(("XXXXXXXXXXXXXXXXXXXX", true)), "cut"),
            (|d| d["insightUrl"] = json!("javascript:alert(1)"),            Some(("HIGH", false)),    "no link"),
            (|d| d["insightUrl"] = json!("https://example.com/ or here"),   Some(("HIGH", false)),    "no link either"),
            (|d| d["insightUrl"] = json!(format!("https://{}", "a".repeat(2_000))), Some(("HIGH", false)), "too long for a mail"),
            (|d| d["insightUrl"] = json!(["https://example.com"]),          Some(("HIGH", false)),    "of another shape"),
        ];
        for (change, expected, why) in cases {
            let found = insight(change);
            let found = found.as_ref().map(|(_, severity, url, _)| (severity.as_str(), url.is_some()));
            assert_eq!(found, expected, "{why}");
        }
    }

    #[test]
    fn a_threat_says_how_bad_it_is_or_that_nobody_knows() {
        let detail = json!({
            "id": "b0c1", "type": "Backdoor:EC2/C&CActivity.B", "severity": 8.5, "title": "An instance talks to a stranger",
            "region": "us-east-1", "accountId": "123456789012",
        });
        #[rustfmt::skip]
        let cases: [Case<&str>; 16] = [
            (|_| {},                                    "b0c1 8.5 31",      "a number"),
            (|d| d["severity"] = json!(5),              "b0c1 5.0 31",      "a whole one"),
            (|d| d["severity"] = json!("8.5"),          "b0c1 8.5 31",      "a number as text"),
            (|d| d["severity"] = json!(" 2 "),          "b0c1 2.0 31",      "with blanks"),
            (|d| d["severity"] = json!(8.96),           "b0c1 9.0 31",      "to the nearest tenth"),
            (|d| d["severity"] = json!(10),             "b0c1 10.0 31",     "the worst"),
            (|d| d["severity"] = json!(11),             "b0c1 unknown 31",  "no severity of GuardDuty's"),
            (|d| d["severity"] = json!(-1),             "b0c1 unknown 31",  "nor this"),
            (|d| d["severity"] = json!("NaN"),          "b0c1 unknown 31",  "a number that is none"),
            (|d| d["severity"] = json!("high"),         "b0c1 unknown 31",  "a word"),
            (|d| d["severity"] = json!([8.5]),          "b0c1 unknown 31",  "of another shape"),
            (|d| { d.as_object_mut().unwrap().remove("severity"); }, "b0c1 unknown 31", "none"),
            (|d| d["title"] = json!("é".repeat(500)),   "b0c1 8.5 200",     "cut, at a character"),
            (|d| d["title"] = json!(null),              "b0c1 8.5 0",       "no title"),
            (|d| d["id"] = json!(null),                 "",                 "nothing to know it by"),
            (|d| d["type"] = json!(7),                  "",                 "nobody knows what it is"),
        ];
        for (change, expected, why) in cases {
            let said = said("aws.guardduty", "GuardDuty Finding", detail.clone(), change);
            let found = if let Said::ThreatFound { id, kind, severity, title } = said {
                assert_eq!(kind, "Backdoor:EC2/C&CActivity.B", "{why}");
                format!("{id} {severity} {}", title.chars().count())
            } else {
                assert_eq!(said, Said::Nothing, "{why}");
                String::new()
            };
            assert_eq!(found, expected, "{why}");
        }
    }
}
