//! The deployment configuration, and what `local:deploy` asks for.
//!
//! A tag `local:deploy` decides over deployments: `fail` keeps their tasks from coming up, `90s` (also `5m`) makes
//! them take that long at the real pace, `fail 90s` does both. On a service it decides over every deployment and task
//! set that begins while it is there; on a task definition over those that use it. A rollback goes well in any case.

use super::input::{invalid, strings};
use super::model::{Controller, Order, Service, Tags};
use super::scaling;
use crate::aws::Failure;
use jiff::SignedDuration;
use serde_json::{Value, json};

/// The tag that decides over deployments.
const TAG: &str = "local:deploy";

impl Order {
    /// Reads the tag of a service and of the task definition that it is given. The service's duration goes first.
    pub(super) fn read(service: &Tags, definition: &Tags) -> Self {
        let mut order = Self::default();
        for words in [definition, service].into_iter().filter_map(|tags| tags.get(TAG)) {
            for word in words.split_whitespace() {
                let number = |unit| word.strip_suffix(unit).and_then(|number: &str| number.parse::<u32>().ok());
                if word == "fail" {
                    order.fails = true;
                } else if let Some(seconds) = number("s") {
                    order.takes = Some(SignedDuration::from_secs(i64::from(seconds)));
                } else if let Some(minutes) = number("m") {
                    order.takes = Some(SignedDuration::from_mins(i64::from(minutes)));
                }
            }
        }
        order
    }
}

/// The deployment configuration that comes of `known` and what a request gives. Members are replaced as a whole.
///
/// # Errors
/// `InvalidParameterException` as ECS; a strategy other than ROLLING, hooks and early success are not emulated.
pub(super) fn merge(known: Option<&Value>, given: &Value, controller: Controller) -> Result<Value, Failure> {
    let mut merged = known.cloned().unwrap_or_else(|| match controller {
        Controller::Ecs => json!({
            "deploymentCircuitBreaker": { "enable": false, "rollback": false },
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "strategy": "ROLLING",
        }),
        Controller::CodeDeploy | Controller::External => json!({ "maximumPercent": 200, "minimumHealthyPercent": 100 }),
    });
    for (key, value) in given.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        match (key.as_str(), value.as_str()) {
            ("strategy", Some("ROLLING")) => {}
            ("strategy", Some(other)) => {
                return Err(Failure::not_emulated("ECS", &format!("deployment strategy {other}")));
            }
            ("lifecycleHooks" | "earlySuccessCriteria" | "linearConfiguration" | "canaryConfiguration", _) => {
                return Err(Failure::not_emulated("ECS", &format!("deploymentConfiguration.{key}")));
            }
            ("deploymentCircuitBreaker", _) if controller != Controller::Ecs && value["enable"] == true => {
                return Err(invalid("Deployment circuit breaker can only be used with the ECS deployment controller."));
            }
            ("alarms", _) if controller != Controller::Ecs && value["enable"] == true => {
                return Err(invalid("Deployment alarms can only be used with the ECS deployment controller."));
            }
            _ => {}
        }
        merged[key] = value.clone();
    }
    check(&merged)?;
    Ok(merged)
}

fn check(merged: &Value) -> Result<(), Failure> {
    let percent = |key: &str| merged[key].as_i64().unwrap_or(100);
    let (least, most) = (percent("minimumHealthyPercent"), percent("maximumPercent"));
    if least < 0 || most < 0 {
        return Err(invalid("maximumPercent and minimumHealthyPercent must not be negative"));
    }
    if (least, most) == (100, 100) {
        return Err(invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    if least > most {
        return Err(invalid("maximumPercent must be greater than minimumHealthyPercent"));
    }
    if merged["alarms"]["enable"] == true && strings(&merged["alarms"], "alarmNames").is_empty() {
        return Err(invalid("alarmNames cannot be empty where deployment alarms are enabled."));
    }
    let kind = merged["deploymentCircuitBreaker"]["thresholdConfiguration"]["type"].as_str();
    if kind.is_some_and(|kind| !["BOUNDED_PERCENT", "UNBOUNDED_PERCENT", "COUNT"].contains(&kind)) {
        return Err(invalid("Invalid threshold type."));
    }
    Ok(())
}

/// How many failed tasks fail a deployment of `service`; none without a circuit breaker.
pub(super) fn threshold(service: &Service) -> Option<u64> {
    let breaker = service.configured("deploymentCircuitBreaker");
    let by = &breaker["thresholdConfiguration"];
    let kind = by["type"].as_str().unwrap_or("BOUNDED_PERCENT");
    let value = by["value"].as_u64().unwrap_or(50);
    (breaker["enable"] == true).then(|| scaling::threshold(service.desired, kind, value))
}

/// The alarms that a deployment of `service` is held against.
pub(super) fn alarms(service: &Service) -> Vec<String> {
    let alarms = service.configured("alarms");
    if alarms["enable"] != true {
        return Vec::new();
    }
    strings(alarms, "alarmNames").into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_how_a_deployment_goes() {
        let seconds = |n| Some(SignedDuration::from_secs(n));
        #[rustfmt::skip]
        let cases = [
            // service,   definition,  fails,  takes,        why
            ("",          "",          false,  None,         "no tag"),
            ("fail",      "",          true,   None,         "the service alone"),
            ("",          "fail 90s",  true,   seconds(90),  "the task definition alone"),
            ("5m",        "fail 90s",  true,   seconds(300), "the service's duration goes first"),
            ("failure",   "",          false,  None,         "only the exact word"),
            ("-5s",       "",          false,  None,         "no negative durations"),
        ];
        for (service, definition, fails, takes, why) in cases {
            let tags = |value: &str| Tags::from([(TAG.to_owned(), value.to_owned())]);
            assert_eq!(Order::read(&tags(service), &tags(definition)), Order { fails, takes }, "{why}");
        }
    }

    #[test]
    fn a_configuration_is_checked_and_merged() {
        #[rustfmt::skip]
        let cases = [
            // given,                                                          refused with,                why
            (json!({}),                                                        None,                        "the default"),
            (json!({ "minimumHealthyPercent": 50, "maximumPercent": 100 }),    None,                        "room by stopping"),
            (json!({ "maximumPercent": 100 }),                                 Some("InvalidParameterException"), "blocks"),
            (json!({ "minimumHealthyPercent": -1 }),                           Some("InvalidParameterException"), "negative"),
            (json!({ "alarms": { "enable": true, "alarmNames": [], "rollback": false } }),
                                                                               Some("InvalidParameterException"), "no names"),
            (json!({ "strategy": "BLUE_GREEN" }),                              Some("NotEmulated"),         "by name"),
        ];
        for (given, expected, why) in cases {
            let refusal = merge(None, &given, Controller::Ecs).err();
            assert_eq!(refusal.as_ref().map(|failure| failure.code.as_str()), expected, "{given}: {why}");
        }
        let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
        let first = merge(None, &breaker, Controller::Ecs).unwrap();
        let then = merge(Some(&first), &json!({ "maximumPercent": 150 }), Controller::Ecs).unwrap();
        assert_eq!(then["deploymentCircuitBreaker"]["enable"], true, "what is not given stays");
        assert!(merge(None, &breaker, Controller::CodeDeploy).is_err(), "circuit breakers are ECS's own");
    }
}
