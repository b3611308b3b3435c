//! The AppSpec of an ECS deployment, be it YAML or JSON.
//!
//! Source: CodeDeploy user guide, "AppSpec 'resources' section for Amazon ECS deployments".

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What to deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AppSpec {
    /// An ARN.
    pub(super) task_definition: String,
    pub(super) container: String,
    pub(super) port: i64,
    /// Members of CreateTaskSet's input that it names: `platformVersion` and so on.
    pub(super) overrides: Map<String, Value>,
    /// The lifecycle events that it hooks Lambda functions to.
    pub(super) hooks: Vec<String>,
}

impl AppSpec {
    /// Reads an AppSpec.
    ///
    /// # Errors
    /// The sentence that tells what is wrong with it.
    pub(super) fn read(content: &str) -> Result<Self, String> {
        let malformed =
            || "The input AppSpec file is a not well-formed yaml. The template cannot be parsed.".to_owned();
        let documents = Yaml::load_from_str(content).map_err(|_| malformed())?;
        let root = documents.first().map(json_of).filter(Value::is_object).ok_or_else(malformed)?;
        if root.get("version").is_none() {
            return Err("The AppSpec file must have a version.".to_owned());
        }
        let resources = member(&root, "Resources").as_array().cloned().unwrap_or_default();
        let [resource] = resources.as_slice() else {
            return Err("The AppSpec file must have exactly one target service resource.".to_owned());
        };
        let service = resource.as_object().and_then(|named| named.values().next()).cloned().unwrap_or_default();
        if *member(&service, "Type") != "AWS::ECS::Service" {
            return Err("The AppSpec file contains an invalid resource type. AWS::ECS::Service is expected.".to_owned());
        }
        let properties = member(&service, "Properties");
        let text = |from: &Value, key: &str| {
            let found = member(from, key).as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            found.ok_or_else(|| format!("The AppSpec file is missing the required property {key}."))
        };
        let load_balancer = member(properties, "LoadBalancerInfo");
        let port = member(load_balancer, "ContainerPort");
        Ok(Self {
            task_definition: text(properties, "TaskDefinition")?,
            container: text(load_balancer, "ContainerName")?,
            port: port.as_i64().ok_or("The AppSpec file's property ContainerPort must be a number.")?,
            overrides: overrides(properties),
            hooks: hooks(&root),
        })
    }
}

/// `NetworkConfiguration`, `PlatformVersion` and `CapacityProviderStrategy` as ECS spells them.
fn overrides(properties: &Value) -> Map<String, Value> {
    let kept = [
        ("NetworkConfiguration", "networkConfiguration"),
        ("PlatformVersion", "platformVersion"),
        ("CapacityProviderStrategy", "capacityProviderStrategy"),
    ];
    let given = kept.into_iter().map(|(from, to)| (to, member(properties, from)));
    given.filter(|(_, value)| !value.is_null()).map(|(to, value)| (to.to_owned(), camel(value))).collect()
}

fn hooks(root: &Value) -> Vec<String> {
    let given = member(root, "Hooks").as_array().into_iter().flatten();
    given.filter_map(Value::as_object).flat_map(|hook| hook.keys().cloned()).collect()
}

/// A member by its name. AppSpecs are written with a capital (`Resources`) and without (`resources`).
fn member<'a>(from: &'a Value, key: &str) -> &'a Value {
    let small = lower_first(key);
    from.get(key).or_else(|| from.get(&small)).unwrap_or(&Value::Null)
}

fn lower_first(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The same value with the keys of its members in lower camel case.
fn camel(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(key, each)| (lower_first(key), camel(each))).collect(),
        Value::Array(items) => items.iter().map(camel).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn json_of(node: &Yaml<'_>) -> Value {
    if let Some(items) = node.as_sequence() {
        return items.iter().map(json_of).collect();
    }
    if let Some(members) = node.as_mapping() {
        let named = members.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), json_of(value))));
        return Value::Object(named.collect());
    }
    let Yaml::Value(scalar) = node else { return Value::Null };
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(bit) => json!(bit),
        Scalar::Integer(number) => json!(number),
        Scalar::FloatingPoint(number) => json!(number.into_inner()),
        Scalar::String(text) => json!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:7";

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = format!(
            "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        \
             TaskDefinition: \"{ARN}\"\n        LoadBalancerInfo:\n          ContainerName: web\n          \
             ContainerPort: 80\n"
        );
        let json = json!({ "version": 1, "Resources": [{ "TargetService": { "Type": "AWS::ECS::Service", "Properties": {
            "TaskDefinition": ARN, "LoadBalancerInfo": { "ContainerName": "web", "ContainerPort": 80 },
        } } }] });
        let read = AppSpec::read(&yaml).expect("YAML");
        assert_eq!(read, AppSpec::read(&json.to_string()).expect("JSON"));
        assert_eq!((read.task_definition.as_str(), read.container.as_str(), read.port), (ARN, "web", 80));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let spec = |kind: &str, port: Value| {
            json!({ "version": 0, "Resources": [{ "S": { "Type": kind, "Properties": {
                "TaskDefinition": ARN, "LoadBalancerInfo": { "ContainerName": "web", "ContainerPort": port },
            } } }] })
            .to_string()
        };
        #[rustfmt::skip]
        let cases = [
            // content,                                    part of the sentence, why
            ("a: [".to_owned(),                            "not well-formed",   "no YAML"),
            ("just text".to_owned(),                       "not well-formed",   "no mapping"),
            ("{}".to_owned(),                              "version",           "the version is required"),
            ("version: 0.0".to_owned(),                    "exactly one",       "so is a resource"),
            (spec("AWS::Lambda::Function", json!(80)),     "resource type",     "the other platform's"),
            (spec("AWS::ECS::Service", json!("<port>")),   "must be a number",  "every other property is a string"),
        ];
        for (content, part, why) in cases {
            let message = AppSpec::read(&content).expect_err(why);
            assert!(message.contains(part), "{content}: {message}: {why}");
        }
    }

    #[test]
    fn a_network_is_spelt_as_ecs_does() {
        let content = json!({ "version": 0, "Resources": [{ "S": { "Type": "AWS::ECS::Service", "Properties": {
            "TaskDefinition": ARN, "LoadBalancerInfo": { "ContainerName": "web", "ContainerPort": 80 },
            "NetworkConfiguration": { "AwsvpcConfiguration": { "Subnets": ["subnet-1"], "AssignPublicIp": "ENABLED" } },
        } } }], "Hooks": [{ "AfterInstall": "check" }] });
        let read = AppSpec::read(&content.to_string()).expect("an AppSpec");
        let expected = json!({ "awsvpcConfiguration": { "subnets": ["subnet-1"], "assignPublicIp": "ENABLED" } });
        assert_eq!(read.overrides["networkConfiguration"], expected);
        assert_eq!(read.hooks, ["AfterInstall"]);
    }
}
