//! CloudFormation templates: read with their lines, intrinsic functions resolved, everything else refused by line.
//!
//! Ref, Sub, GetAtt, If, Join and FindInMap are resolved, and the functions that conditions are made of. A function
//! that is not resolved here is an error that names its line: a silently dropped tag would be a wrong wiring.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template.yaml:{line}: {message}")]
pub struct TemplateError {
    /// Counted from 1; 0 when the template is no YAML at all.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

fn wrong(line: usize, message: impl Into<String>) -> TemplateError {
    TemplateError { line, message: message.into() }
}

/// A node with its line.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) line: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Call(String, Box<Node>),
}

impl Node {
    fn read(yaml: &MarkedYaml<'_>) -> Result<Self, TemplateError> {
        let line = yaml.span.start.line();
        let kind = match &yaml.data {
            YamlData::Value(scalar) => Kind::Scalar(match scalar {
                Scalar::Null => Value::Null,
                Scalar::Boolean(truth) => (*truth).into(),
                Scalar::Integer(number) => (*number).into(),
                Scalar::FloatingPoint(number) => number.into_inner().into(),
                Scalar::String(text) => text.as_ref().into(),
            }),
            YamlData::Sequence(list) => Kind::List(list.iter().map(Self::read).collect::<Result<_, _>>()?),
            YamlData::Mapping(map) => {
                let pairs = map.iter().map(|(key, value)| {
                    let YamlData::Value(Scalar::String(name)) = &key.data else {
                        return Err(wrong(key.span.start.line(), "a key must be text"));
                    };
                    Ok((name.to_string(), Self::read(value)?))
                });
                Self::long_form(pairs.collect::<Result<Vec<_>, TemplateError>>()?)
            }
            YamlData::Tagged(tag, node) => Kind::Call(tag.suffix.clone(), Box::new(Self::read(node)?)),
            YamlData::Representation(..) | YamlData::BadValue | YamlData::Alias(_) => {
                return Err(wrong(line, "not readable"));
            }
        };
        Ok(Self { line, kind })
    }

    /// `{"Ref": x}` and `{"Fn::Sub": x}` are calls too.
    fn long_form(mut pairs: Vec<(String, Node)>) -> Kind {
        if let [(name, _)] = pairs.as_slice() {
            let function = match name.as_str() {
                "Ref" | "Condition" => Some(name.clone()),
                long => long.strip_prefix("Fn::").map(str::to_owned),
            };
            if let Some(function) = function
                && let Some((_, argument)) = pairs.pop()
            {
                return Kind::Call(function, Box::new(argument));
            }
        }
        Kind::Map(pairs)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(pairs) => pairs.iter().find(|(key, _)| key == name).map(|(_, node)| node),
            Kind::Scalar(_) | Kind::List(_) | Kind::Call(..) => None,
        }
    }

    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    pub(crate) fn entries(&self) -> &[(String, Node)] {
        match &self.kind {
            Kind::Map(pairs) => pairs,
            Kind::Scalar(_) | Kind::List(_) | Kind::Call(..) => &[],
        }
    }

    fn list(&self) -> Result<&[Node], TemplateError> {
        match &self.kind {
            Kind::List(list) => Ok(list),
            Kind::Scalar(_) | Kind::Map(_) | Kind::Call(..) => Err(wrong(self.line, "a list is expected here")),
        }
    }

    pub(crate) fn text(&self) -> Result<&str, TemplateError> {
        match &self.kind {
            Kind::Scalar(Value::String(text)) => Ok(text),
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) | Kind::Call(..) => {
                Err(wrong(self.line, "text is expected here"))
            }
        }
    }
}

/// A resource of a template.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) node: Node,
}

/// A template, and where it is laid down.
#[derive(Debug, Clone)]
pub struct Template {
    root: Node,
    pub(crate) resources: BTreeMap<String, Resource>,
    /// Parameters that do not take their default.
    parameters: BTreeMap<String, String>,
    stack: String,
    region: String,
    account: String,
}

impl Template {
    /// Reads a template as the stack `stack` in `region` of `account`. Parameters take their defaults, but for those that
    /// [`Template::with_parameter`] gives.
    ///
    /// # Errors
    /// [`TemplateError`] when it is not YAML, or has no resources.
    pub fn read(text: &str, stack: &str, region: &str, account: &str) -> Result<Self, TemplateError> {
        let documents =
            MarkedYaml::load_from_str(text).map_err(|error| wrong(error.marker().line(), error.to_string()))?;
        let document = documents.first().ok_or_else(|| wrong(0, "the template is empty"))?;
        let root = Node::read(document)?;
        let mut resources = BTreeMap::new();
        for (name, node) in root.get("Resources").map(Node::entries).unwrap_or_default() {
            let kind = node.get("Type").ok_or_else(|| wrong(node.line, format!("{name} has no Type")))?.text()?;
            resources.insert(name.clone(), Resource { kind: kind.to_owned(), node: node.clone() });
        }
        if resources.is_empty() {
            return Err(wrong(root.line, "the template has no resources"));
        }
        let (stack, region, account) = (stack.to_owned(), region.to_owned(), account.to_owned());
        Ok(Self { root, resources, parameters: BTreeMap::new(), stack, region, account })
    }

    /// The template with `value` for a parameter, instead of its default. What the parameter allows is not checked.
    ///
    /// # Errors
    /// [`TemplateError`] when it has no such parameter.
    pub fn with_parameter(mut self, name: &str, value: &str) -> Result<Self, TemplateError> {
        self.root.at(&["Parameters", name]).ok_or_else(|| wrong(0, format!("no parameter {name}")))?;
        self.parameters.insert(name.to_owned(), value.to_owned());
        Ok(self)
    }

    /// Whether a resource is made: it is, unless it names a condition that does not hold.
    ///
    /// # Errors
    /// [`TemplateError`] for a condition that is not known.
    pub(crate) fn is_made(&self, resource: &Resource) -> Result<bool, TemplateError> {
        let condition = resource.node.get("Condition");
        condition.map_or(Ok(true), |node| self.condition(node.text()?, node.line))
    }

    /// The region that the stack is in.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The logical names of the resources of a kind, such as `AWS::IAM::Role`.
    pub fn named(&self, kind: &str) -> Vec<&str> {
        let of_kind = self.resources.iter().filter(|(_, resource)| resource.kind == kind);
        of_kind.map(|(name, _)| name.as_str()).collect()
    }

    /// A resource's properties as JSON, resolved.
    ///
    /// # Errors
    /// [`TemplateError`] for what is not known or not resolved here.
    pub fn properties(&self, logical: &str) -> Result<Value, TemplateError> {
        let node = self.resources.get(logical).and_then(|resource| resource.node.get("Properties"));
        self.resolve(node.ok_or_else(|| wrong(0, format!("no resource {logical} with properties")))?)
    }

    /// `Globals.Function`, whose properties every function has.
    pub(crate) fn function_globals(&self) -> Option<&Node> {
        self.root.at(&["Globals", "Function"])
    }

    /// A node as JSON, every function in it resolved. What is `AWS::NoValue` is left out.
    ///
    /// # Errors
    /// [`TemplateError`] for what is not known or not resolved here.
    pub(crate) fn resolve(&self, node: &Node) -> Result<Value, TemplateError> {
        Ok(self.value(node)?.unwrap_or(Value::Null))
    }

    /// A node as text.
    pub(crate) fn resolve_text(&self, node: &Node) -> Result<String, TemplateError> {
        match self.resolve(node)? {
            Value::String(text) => Ok(text),
            other @ (Value::Number(_) | Value::Bool(_)) => Ok(other.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(wrong(node.line, "text is expected here")),
        }
    }

    /// `None` is `AWS::NoValue`.
    fn value(&self, node: &Node) -> Result<Option<Value>, TemplateError> {
        Ok(Some(match &node.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(list) => {
                let values = list.iter().map(|one| self.value(one));
                Value::Array(values.filter_map(Result::transpose).collect::<Result<_, _>>()?)
            }
            Kind::Map(pairs) => {
                let mut map = Map::new();
                for (name, one) in pairs {
                    if let Some(value) = self.value(one)? {
                        map.insert(name.clone(), value);
                    }
                }
                Value::Object(map)
            }
            Kind::Call(function, argument) => return self.call(function, argument, node.line),
        }))
    }

    fn call(&self, function: &str, argument: &Node, line: usize) -> Result<Option<Value>, TemplateError> {
        match function {
            "Ref" if argument.text()? == "AWS::NoValue" => Ok(None),
            "Ref" => Ok(Some(self.reference(argument.text()?, line)?)),
            "GetAtt" => Ok(Some(self.attribute(argument, line)?.into())),
            "Sub" => Ok(Some(self.substitute(argument, line)?.into())),
            "Join" => {
                let [separator, parts] = argument.list()? else { return Err(wrong(line, "Join takes two arguments")) };
                let parts = parts.list()?.iter().map(|part| self.resolve_text(part)).collect::<Result<Vec<_>, _>>()?;
                Ok(Some(parts.join(separator.text()?).into()))
            }
            "If" => {
                let [name, then, otherwise] = argument.list()? else {
                    return Err(wrong(line, "If takes three arguments"));
                };
                self.value(if self.condition(name.text()?, line)? { then } else { otherwise })
            }
            "FindInMap" => {
                let path =
                    argument.list()?.iter().map(|part| self.resolve_text(part)).collect::<Result<Vec<_>, _>>()?;
                let names: Vec<_> = ["Mappings"].into_iter().chain(path.iter().map(String::as_str)).collect();
                let found =
                    self.root.at(&names).ok_or_else(|| wrong(line, format!("no mapping {}", path.join("."))))?;
                self.value(found)
            }
            other => Err(wrong(line, format!("the local runner does not resolve !{other}"))),
        }
    }

    fn condition(&self, name: &str, line: usize) -> Result<bool, TemplateError> {
        let node = self.root.at(&["Conditions", name]).ok_or_else(|| wrong(line, format!("no condition {name}")))?;
        self.truth(node)
    }

    fn truth(&self, node: &Node) -> Result<bool, TemplateError> {
        let Kind::Call(function, argument) = &node.kind else { return Err(wrong(node.line, "not a condition")) };
        match function.as_str() {
            "Condition" => self.condition(argument.text()?, node.line),
            "Not" => Ok(!argument.list()?.first().map_or(Ok(false), |one| self.truth(one))?),
            "And" => argument.list()?.iter().try_fold(true, |all, one| Ok(self.truth(one)? && all)),
            "Or" => argument.list()?.iter().try_fold(false, |any, one| Ok(self.truth(one)? || any)),
            "Equals" => {
                let [left, right] = argument.list()? else {
                    return Err(wrong(node.line, "Equals takes two arguments"));
                };
                Ok(self.resolve(left)? == self.resolve(right)?)
            }
            other => Err(wrong(node.line, format!("!{other} is not a condition"))),
        }
    }

    fn pseudo(&self, name: &str) -> Option<&str> {
        Some(match name {
            "AWS::Region" => &self.region,
            "AWS::AccountId" => &self.account,
            "AWS::StackName" => &self.stack,
            "AWS::Partition" => "aws",
            "AWS::URLSuffix" => "amazonaws.com",
            _ => return None,
        })
    }

    fn reference(&self, name: &str, line: usize) -> Result<Value, TemplateError> {
        if let Some(value) = self.pseudo(name) {
            return Ok(value.into());
        }
        if let Some(given) = self.parameters.get(name) {
            return Ok(given.as_str().into());
        }
        if let Some(parameter) = self.root.at(&["Parameters", name]) {
            let default = parameter.get("Default");
            return default
                .map_or_else(|| Err(wrong(line, format!("{name} has no default"))), |node| self.resolve(node));
        }
        let Some(resource) = self.resources.get(name) else { return Err(wrong(line, format!("no resource {name}"))) };
        Ok(match resource.kind.as_str() {
            "AWS::SQS::Queue" => crate::aws::sqs::url(&self.region, &self.name_of(name)?),
            // Without the six random characters that a full ARN ends in: Secrets Manager takes it so too.
            "AWS::SecretsManager::Secret" => self.arn("secretsmanager", &format!("secret:{}", self.name_of(name)?)),
            "AWS::SNS::Topic" => self.arn("sns", &self.name_of(name)?),
            _ => self.name_of(name)?,
        }
        .into())
    }

    fn attribute(&self, argument: &Node, line: usize) -> Result<String, TemplateError> {
        let (name, attribute) = match argument.list() {
            Ok([name, attribute]) => (name.text()?, attribute.text()?),
            _ => argument
                .text()?
                .split_once('.')
                .ok_or_else(|| wrong(line, "GetAtt takes a resource and an attribute"))?,
        };
        let Some(resource) = self.resources.get(name) else { return Err(wrong(line, format!("no resource {name}"))) };
        let physical = self.name_of(name)?;
        Ok(match (resource.kind.as_str(), attribute) {
            ("AWS::SQS::Queue", "Arn") => self.arn("sqs", &physical),
            ("AWS::SQS::Queue", "QueueName") => physical,
            ("AWS::DynamoDB::Table", "Arn") => self.arn("dynamodb", &format!("table/{physical}")),
            ("AWS::Serverless::Function", "Arn") => self.arn("lambda", &format!("function:{physical}")),
            ("AWS::Events::EventBus", "Arn") => self.arn("events", &format!("event-bus/{physical}")),
            ("AWS::SNS::Topic", "TopicArn") => self.arn("sns", &physical),
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{}:role/{physical}", self.account),
            (kind, attribute) => {
                return Err(wrong(line, format!("the local runner does not know {attribute} of a {kind}")));
            }
        })
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }

    /// The name that a resource has: the one that the template gives it, or one made of stack and logical name.
    pub(crate) fn name_of(&self, logical: &str) -> Result<String, TemplateError> {
        let property = match self.resources.get(logical).map(|resource| resource.kind.as_str()) {
            Some("AWS::SQS::Queue") => "QueueName",
            Some("AWS::DynamoDB::Table") => "TableName",
            Some("AWS::SecretsManager::Secret" | "AWS::Events::EventBus" | "AWS::Events::Rule") => "Name",
            Some("AWS::SNS::Topic") => "TopicName",
            Some("AWS::IAM::Role") => "RoleName",
            _ => "FunctionName",
        };
        match self.resources.get(logical).and_then(|resource| resource.node.at(&["Properties", property])) {
            Some(node) => self.resolve_text(node),
            None => Ok(format!("{}-{logical}", self.stack)),
        }
    }

    fn substitute(&self, argument: &Node, line: usize) -> Result<String, TemplateError> {
        let (text, own) = match argument.list() {
            Ok([text, own]) => (text.text()?, Some(own)),
            _ => (argument.text()?, None),
        };
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let (name, tail) = after.split_once('}').ok_or_else(|| wrong(line, "a ${ without its }"))?;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(node) = own.and_then(|own| own.get(name)) {
                result.push_str(&self.resolve_text(node)?);
            } else {
                result.push_str(&self.substituted(name, argument.line)?);
            }
            rest = tail;
        }
        result.push_str(rest);
        Ok(result)
    }

    fn substituted(&self, name: &str, line: usize) -> Result<String, TemplateError> {
        let scalar = |text: &str| Node { line, kind: Kind::Scalar(text.into()) };
        match name.split_once('.') {
            Some(_) => self.attribute(&scalar(name), line),
            None => self.resolve_text(&Node { line, kind: Kind::Call("Ref".to_owned(), Box::new(scalar(name))) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEMPLATE: &str = r#"
Parameters:
  Days: { Type: Number, Default: 30 }
  Topic: { Type: String, Default: "" }
Conditions:
  HasTopic: !Not [!Equals [!Ref Topic, ""]]
Mappings:
  Sizes: { small: { memory: 128 } }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Sub "${AWS::StackName}-q.fifo" }
  Role: { Type: AWS::IAM::Role }
  Bus:
    Type: AWS::Events::EventBus
    Condition: HasTopic
    Properties: { Name: !Ref AWS::StackName }
"#;

    fn resolved(yaml: &str) -> Result<Value, TemplateError> {
        let text = format!("{TEMPLATE}\n  Probe:\n    Type: X\n    Value: {yaml}\n");
        let template = Template::read(&text, "stack", "us-east-1", "123456789012").unwrap();
        let node = template.resources["Probe"].node.get("Value").unwrap().clone();
        template.resolve(&node)
    }

    #[test]
    fn functions_are_resolved_as_cloudformation_does() {
        #[rustfmt::skip]
        let cases = [
            ("!Ref Days",                                json!(30),                                             "a parameter's default"),
            ("!Ref Queue",                               json!("https://sqs.us-east-1.amazonaws.com/123456789012/stack-q.fifo"), "a queue is its URL"),
            ("!GetAtt Queue.Arn",                        json!("arn:aws:sqs:us-east-1:123456789012:stack-q.fifo"), "short form"),
            ("!Ref Bus",                                 json!("stack"),                                        "a bus is its name"),
            ("!GetAtt Bus.Arn",                          json!("arn:aws:events:us-east-1:123456789012:event-bus/stack"), "or its ARN"),
            ("!GetAtt [Queue, QueueName]",               json!("stack-q.fifo"),                                 "list form"),
            ("{ \"Fn::GetAtt\": [Role, Arn] }",          json!("arn:aws:iam::123456789012:role/stack-Role"),    "long form, and a made-up name"),
            ("!Join [\",\", [!Ref Role, b]]",            json!("stack-Role,b"),                                 "join"),
            ("!Sub \"${Queue.Arn}/${!literal}/${AWS::Region}\"", json!("arn:aws:sqs:us-east-1:123456789012:stack-q.fifo/${literal}/us-east-1"), "sub"),
            ("!If [HasTopic, [a], !Ref AWS::NoValue]",   json!(null),                                           "no value"),
            ("[a, !If [HasTopic, x, !Ref AWS::NoValue]]", json!(["a"]),                                         "no value in a list is no item"),
            ("!FindInMap [Sizes, small, memory]",        json!(128),                                            "a mapping"),
        ];
        for (yaml, expected, why) in cases {
            assert_eq!(resolved(yaml), Ok(expected), "{why}: {yaml}");
        }
    }

    #[test]
    fn a_parameter_that_is_given_goes_before_its_default() {
        let template = Template::read(TEMPLATE, "stack", "us-east-1", "123456789012").unwrap();
        let given = template.clone().with_parameter("Topic", "arn").unwrap();
        assert_eq!(given.reference("Topic", 1), Ok(json!("arn")));
        assert_eq!((template.condition("HasTopic", 1), given.condition("HasTopic", 1)), (Ok(false), Ok(true)));
        let is_made = |template: &Template| template.is_made(&template.resources["Bus"]);
        assert_eq!((is_made(&template), is_made(&given)), (Ok(false), Ok(true)), "where its condition holds");
        assert_eq!(template.with_parameter("Tpoic", "arn").unwrap_err().message, "no parameter Tpoic");
    }

    #[test]
    fn what_is_not_resolved_is_refused_with_its_line() {
        for (yaml, message) in [
            ("!Select [0, [a]]", "the local runner does not resolve !Select"),
            ("!Ref Nothing", "no resource Nothing"),
            ("!GetAtt Queue.Colour", "the local runner does not know Colour of a AWS::SQS::Queue"),
            ("!Sub \"${open\"", "a ${ without its }"),
        ] {
            let error = resolved(yaml).unwrap_err();
            assert_eq!((error.line, error.message.as_str()), (21, message));
        }
    }
}
