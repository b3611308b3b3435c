//! Lays a template down in an account: tables, queues, topics, secrets, buses, functions, and which event reaches which.
//!
//! Nothing of the wiring is written a second time here. What the template names and this account cannot do is an
//! error, but for the kinds in [`PASSED_OVER`], which change nothing that could be seen locally.

use crate::api::{HttpApi, HttpRoute};
use crate::aws::lambda::{AsyncSettings, QueueMapping};
use crate::aws::{Aws, Failure};
use crate::functions::{Fleet, Function, Unknown};
use crate::template::{Node, Resource, Template, TemplateError};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Resources without an effect here: permissions are not evaluated, and logs and alarms have no service yet.
const PASSED_OVER: [&str; 6] = [
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::CloudWatch::Alarm",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::Api",
];

/// Resources that refer to others: they are laid down once those are there.
const LAID_LATER: [&str; 3] = ["AWS::Events::Rule", "AWS::SNS::Subscription", "AWS::Serverless::Function"];

/// Why a template could not be laid down.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// It says something that cannot be resolved or is not known.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The account refused.
    #[error("{resource}: {code}: {message}", code = failure.code, message = failure.message)]
    Refused {
        /// Which resource.
        resource: String,
        /// What the service says.
        failure: Failure,
    },
    /// It names a binary that the runner does not have.
    #[error("{resource}: {unknown}")]
    Function {
        /// Which resource.
        resource: String,
        /// What is not known.
        unknown: Unknown,
    },
}

/// What became of a template.
#[derive(Debug, Clone, Default)]
pub struct Wired {
    /// The HTTP API.
    pub api: HttpApi,
    /// Names by logical name: of tables, queues, topics, secrets and functions.
    pub names: BTreeMap<String, String>,
}

/// Lays `template` down in `aws`. `secrets` gives the text of each secret by its logical name. In an account that goes
/// on from a save, what is there already stays, but for a secret whose text is another: that one is rotated.
///
/// # Errors
/// [`WiringError`].
pub fn lay_down(
    aws: &Aws,
    template: &Template,
    fleet: &Fleet,
    secrets: &dyn Fn(&str) -> String,
) -> Result<Wired, WiringError> {
    let mut wired = Wired::default();
    // First what is referred to, then what refers to it.
    for pass in [Pass::Stores, Pass::Links, Pass::Functions] {
        for (logical, resource) in &template.resources {
            if !template.is_made(resource)? {
                continue;
            }
            let mut one = Laying { aws, template, fleet, wired: &mut wired, logical, resource };
            one.lay(pass, secrets)?;
        }
    }
    Ok(wired)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Stores,
    Links,
    Functions,
}

struct Laying<'a> {
    aws: &'a Aws,
    template: &'a Template,
    fleet: &'a Fleet,
    wired: &'a mut Wired,
    logical: &'a str,
    resource: &'a Resource,
}

impl Laying<'_> {
    fn lay(&mut self, pass: Pass, secrets: &dyn Fn(&str) -> String) -> Result<(), WiringError> {
        match (pass, self.resource.kind.as_str()) {
            (Pass::Stores, "AWS::DynamoDB::Table") => self.table(),
            (Pass::Stores, "AWS::SQS::Queue") => self.queue(),
            (Pass::Links, "AWS::SQS::Queue") => self.redrive(),
            (Pass::Stores, "AWS::SNS::Topic") => self.topic(),
            (Pass::Links, "AWS::SNS::Subscription") => self.subscription(),
            (Pass::Stores, "AWS::Events::EventBus") => self.bus(),
            (Pass::Links, "AWS::Events::Rule") => self.plain_rule(),
            (Pass::Stores, "AWS::SecretsManager::Secret") => self.secret(&secrets(self.logical)),
            (Pass::Functions, "AWS::Serverless::Function") => self.function(),
            (Pass::Stores, kind) if !PASSED_OVER.contains(&kind) && !LAID_LATER.contains(&kind) => Err(TemplateError {
                line: self.resource.node.line,
                message: format!("the local runner does not know {kind}"),
            }
            .into()),
            _ => Ok(()),
        }
    }

    fn property(&self, name: &str) -> Result<Option<Value>, WiringError> {
        let node = self.resource.node.at(&["Properties", name]);
        Ok(node.map(|node| self.template.resolve(node)).transpose()?)
    }

    fn ask(&self, service: &str, operation: &str, input: Value) -> Result<Value, WiringError> {
        self.aws
            .ask(service, self.template.region(), operation, input)
            .map_err(|failure| WiringError::Refused { resource: self.logical.to_owned(), failure })
    }

    fn name(&mut self) -> Result<String, WiringError> {
        let name = self.template.name_of(self.logical)?;
        self.wired.names.insert(self.logical.to_owned(), name.clone());
        Ok(name)
    }

    fn table(&mut self) -> Result<(), WiringError> {
        let name = self.name()?;
        if self.is_there("dynamodb", "DescribeTable", json!({ "TableName": name })) {
            return Ok(());
        }
        let mut input = Map::from_iter([("TableName".to_owned(), json!(name))]);
        for property in ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"] {
            if let Some(value) = self.property(property)? {
                input.insert(property.to_owned(), value);
            }
        }
        self.ask("dynamodb", "CreateTable", Value::Object(input))?;
        if let Some(ttl) = self.property("TimeToLiveSpecification")? {
            self.ask("dynamodb", "UpdateTimeToLive", json!({ "TableName": name, "TimeToLiveSpecification": ttl }))?;
        }
        Ok(())
    }

    fn queue(&mut self) -> Result<(), WiringError> {
        const ATTRIBUTES: [&str; 8] = [
            "FifoQueue",
            "DeduplicationScope",
            "FifoThroughputLimit",
            "VisibilityTimeout",
            "MessageRetentionPeriod",
            "DelaySeconds",
            "ReceiveMessageWaitTimeSeconds",
            "SqsManagedSseEnabled",
        ];
        let name = self.name()?;
        let mut attributes = Map::new();
        for attribute in ATTRIBUTES {
            if let Some(value) = self.property(attribute)? {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                attributes.insert(attribute.to_owned(), text.into());
            }
        }
        if self.is_there("sqs", "GetQueueUrl", json!({ "QueueName": name })) {
            return Ok(());
        }
        self.ask("sqs", "CreateQueue", json!({ "QueueName": name, "Attributes": attributes })).map(drop)
    }

    fn redrive(&mut self) -> Result<(), WiringError> {
        let Some(policy) = self.property("RedrivePolicy")? else { return Ok(()) };
        let url = crate::aws::sqs::url(self.template.region(), &self.template.name_of(self.logical)?);
        let attributes = json!({ "RedrivePolicy": policy.to_string() });
        self.ask("sqs", "SetQueueAttributes", json!({ "QueueUrl": url, "Attributes": attributes })).map(drop)
    }

    /// One that is there already is answered with its ARN.
    fn topic(&mut self) -> Result<(), WiringError> {
        let name = self.name()?;
        self.ask("sns", "CreateTopic", json!({ "Name": name })).map(drop)
    }

    /// One that is there already is answered with its ARN.
    fn subscription(&self) -> Result<(), WiringError> {
        let mut input = Map::new();
        for property in ["TopicArn", "Protocol", "Endpoint"] {
            input.insert(property.to_owned(), self.property(property)?.unwrap_or_default());
        }
        self.ask("sns", "Subscribe", Value::Object(input)).map(drop)
    }

    fn bus(&mut self) -> Result<(), WiringError> {
        let name = self.name()?;
        if self.is_there("events", "DescribeEventBus", json!({ "Name": name })) {
            return Ok(());
        }
        self.ask("events", "CreateEventBus", json!({ "Name": name })).map(drop)
    }

    /// A rule that no function has: its targets stand in the template.
    fn plain_rule(&self) -> Result<(), WiringError> {
        let mut input = json!({ "Name": self.template.name_of(self.logical)? });
        for property in ["Description", "EventBusName", "ScheduleExpression", "State"] {
            if let Some(value) = self.property(property)? {
                input[property] = value;
            }
        }
        if let Some(pattern) = self.property("EventPattern")? {
            input["EventPattern"] = pattern.to_string().into();
        }
        let targets = self.property("Targets")?.unwrap_or_default();
        self.put_rule(input, targets)
    }

    fn secret(&mut self, text: &str) -> Result<(), WiringError> {
        let name = self.name()?;
        let region = self.template.region();
        let known = self.aws.ask("secretsmanager", region, "GetSecretValue", json!({ "SecretId": name })).ok();
        let token = self.aws.uuid();
        let (operation, key) = match known {
            Some(known) if known["SecretString"] == text => return Ok(()),
            Some(_) => ("PutSecretValue", "SecretId"),
            None => ("CreateSecret", "Name"),
        };
        let input = json!({ key: name, "SecretString": text, "ClientRequestToken": token });
        self.ask("secretsmanager", operation, input).map(drop)
    }

    /// Whether a save has brought it back.
    fn is_there(&self, service: &str, operation: &str, input: Value) -> bool {
        self.aws.ask(service, self.template.region(), operation, input).is_ok()
    }

    /// A property of the function, or of all functions.
    fn function_property(&self, path: &[&str]) -> Option<&Node> {
        let own: Vec<_> = ["Properties"].into_iter().chain(path.iter().copied()).collect();
        self.resource.node.at(&own).or_else(|| self.template.function_globals()?.at(path))
    }

    fn function(&mut self) -> Result<(), WiringError> {
        let name = self.name()?;
        let seconds = self.function_property(&["Timeout"]).map(|node| self.template.resolve(node)).transpose()?;
        let timeout = Duration::from_secs(seconds.and_then(|value| value.as_u64()).unwrap_or(3));
        let function = Function {
            binary: self.binary()?,
            role: self.role()?,
            region: self.template.region().to_owned(),
            variables: self.variables()?,
        };
        let handler = self
            .fleet
            .handler(&function)
            .map_err(|unknown| WiringError::Function { resource: self.logical.to_owned(), unknown })?;
        self.aws.lambda().register(&name, handler, timeout);
        self.asynchronous(&name)?;
        for (event, node) in self.resource.node.at(&["Properties", "Events"]).map(Node::entries).unwrap_or_default() {
            self.event(&name, event, node)?;
        }
        Ok(())
    }

    fn binary(&self) -> Result<String, WiringError> {
        let node = self.resource.node.at(&["Metadata", "BuildProperties", "Binary"]).ok_or_else(|| TemplateError {
            line: self.resource.node.line,
            message: "the function's Metadata names no binary".to_owned(),
        })?;
        Ok(self.template.resolve_text(node)?)
    }

    /// The role's name: the last part of its ARN.
    fn role(&self) -> Result<String, WiringError> {
        let Some(node) = self.function_property(&["Role"]) else { return Ok(self.logical.to_owned()) };
        let arn = self.template.resolve_text(node)?;
        Ok(arn.rsplit_once('/').map_or(arn.clone(), |(_, name)| name.to_owned()))
    }

    fn variables(&self) -> Result<BTreeMap<String, String>, WiringError> {
        let mut variables = BTreeMap::new();
        let path = ["Environment", "Variables"];
        let globals = self.template.function_globals().and_then(|globals| globals.at(&path));
        let own = self.resource.node.at(&["Properties", "Environment", "Variables"]);
        for (name, node) in [globals, own].into_iter().flatten().flat_map(Node::entries) {
            variables.insert(name.clone(), self.template.resolve_text(node)?);
        }
        Ok(variables)
    }

    fn asynchronous(&self, name: &str) -> Result<(), WiringError> {
        let Some(config) = self.property("EventInvokeConfig")? else { return Ok(()) };
        let mut settings = AsyncSettings::default();
        if let Some(retries) = config["MaximumRetryAttempts"].as_u64() {
            settings.retries = usize::try_from(retries).unwrap_or(settings.retries);
        }
        if let Some(seconds) = config["MaximumEventAgeInSeconds"].as_u64() {
            settings.max_age = Duration::from_secs(seconds);
        }
        settings.on_failure = config["DestinationConfig"]["OnFailure"]["Destination"].as_str().map(str::to_owned);
        self.aws.lambda().configure_asynchronous(name, settings);
        Ok(())
    }

    fn event(&mut self, function: &str, event: &str, node: &Node) -> Result<(), WiringError> {
        let kind = node.get("Type").map(Node::text).transpose()?.unwrap_or_default();
        let properties =
            node.get("Properties").map(|node| self.template.resolve(node)).transpose()?.unwrap_or_default();
        let rule = format!("{function}-{event}");
        match kind {
            "Api" => {
                let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
                let (path, method) = (text("Path"), text("Method").to_ascii_uppercase());
                self.wired.api.add(HttpRoute { path, method, function: function.to_owned() });
                Ok(())
            }
            "SNS" => {
                let endpoint = crate::aws::lambda::arn(self.template.region(), function);
                let input = json!({ "TopicArn": properties["Topic"], "Protocol": "lambda", "Endpoint": endpoint });
                self.ask("sns", "Subscribe", input).map(drop)
            }
            "SQS" => self.queue_event(function, &properties),
            "EventBridgeRule" => {
                let pattern = properties["Pattern"].to_string();
                self.rule(function, json!({ "Name": rule, "EventPattern": pattern }), &properties)
            }
            "Schedule" => {
                let schedule = properties["Schedule"].clone();
                self.rule(function, json!({ "Name": rule, "ScheduleExpression": schedule }), &properties)
            }
            other => {
                let message = format!("the local runner does not know events of type {other}");
                Err(TemplateError { line: node.line, message }.into())
            }
        }
    }

    fn queue_event(&self, function: &str, properties: &Value) -> Result<(), WiringError> {
        let reports = properties["FunctionResponseTypes"]
            .as_array()
            .is_some_and(|types| types.iter().any(|kind| kind == "ReportBatchItemFailures"));
        let settings = QueueMapping {
            function: function.to_owned(),
            queue_arn: properties["Queue"].as_str().unwrap_or_default().to_owned(),
            batch_size: properties["BatchSize"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(10),
            report_batch_item_failures: reports,
            max_concurrency: None,
        };
        self.aws
            .lambda()
            .map_queue(self.aws, settings)
            .map_err(|failure| WiringError::Refused { resource: self.logical.to_owned(), failure })
    }

    fn rule(&self, function: &str, mut input: Value, properties: &Value) -> Result<(), WiringError> {
        if let Some(bus) = properties["EventBusName"].as_str() {
            input["EventBusName"] = bus.into();
        }
        let arn = crate::aws::lambda::arn(self.template.region(), function);
        let mut target = json!({ "Id": function, "Arn": arn });
        if let Some(queue) = properties["DeadLetterConfig"]["Arn"].as_str() {
            target["DeadLetterConfig"] = json!({ "Arn": queue });
        }
        self.put_rule(input, json!([target]))
    }

    fn put_rule(&self, input: Value, targets: Value) -> Result<(), WiringError> {
        let mut aimed = json!({ "Rule": input["Name"], "Targets": targets });
        if let Some(bus) = input.get("EventBusName") {
            aimed["EventBusName"] = bus.clone();
        }
        self.ask("events", "PutRule", input)?;
        self.ask("events", "PutTargets", aimed).map(drop)
    }
}
