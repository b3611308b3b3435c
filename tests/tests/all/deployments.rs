//! The clients of what deploys and of what tells of it, against the local AWS: what reaches whoever calls them.

mod codedeploy;
mod ecs;
mod signals;

use pointsman::aws::{AwsConfig, CallError};
use pointsman::random::Random;
use pointsman_local::aws::{ACCOUNT, Aws, Behaviour, Pace};
use pointsman_local::clock::Clock;
use pointsman_local::faults::Faults;
use pointsman_local::functions::Fleet;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const HOME: &str = "eu-west-2";

/// An account at the real pace, in simulated time.
struct Account {
    aws: Aws,
    config: AwsConfig,
    time: tokio::task::JoinHandle<()>,
}

impl Drop for Account {
    fn drop(&mut self) {
        self.time.abort();
    }
}

impl Account {
    fn new() -> Self {
        // Jitter and invocation ids of the SDK draw from this.
        fastrand::seed(1);
        let start = "2026-11-01T12:00:00Z".parse().unwrap();
        let behaviour = Behaviour { pace: Pace::Real, ..Behaviour::default() };
        let aws = Aws::new(Clock::starting_at(start), behaviour, Faults::none(), 1).unwrap();
        // The clients' own region is another one: each call says where it goes.
        let config = Fleet::new(&aws, Random::seeded(1), None).config("rollback", "us-east-1");
        let running = aws.clone();
        Self { aws, config, time: tokio::spawn(async move { running.run().await }) }
    }

    fn ask(&self, service: &str, operation: &str, input: Value) -> Value {
        self.aws.ask(service, HOME, operation, input).unwrap()
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Registers the task definition of a version, with a container beside the one that changes.
    fn define(&self, version: &str) -> String {
        let container = |name: &str, image: String| json!({ "name": name, "image": image, "memory": 64, "portMappings": [{ "containerPort": 80 }] });
        let containers = [
            container("web", format!("shop/web@{}", digest(version))),
            container("proxy", format!("shop/proxy@{}", digest("f"))),
        ];
        let made =
            self.ask("ecs", "RegisterTaskDefinition", json!({ "family": "web", "containerDefinitions": containers }));
        made["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
    }

    /// A service that runs version `a`, under a controller. Answers with its task definition.
    async fn serve(&self, controller: &str) -> String {
        let definition = self.define("a");
        self.ask("ecs", "CreateCluster", json!({ "clusterName": "shop" }));
        let target_group = format!("arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:targetgroup/one/0123456789abcdef");
        let mut service = json!({
            "cluster": "shop", "serviceName": "web", "taskDefinition": definition, "desiredCount": 2,
            "deploymentController": { "type": controller },
            "loadBalancers": [{ "targetGroupArn": target_group, "containerName": "web", "containerPort": 80 }],
        });
        if controller == "ECS" {
            let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
            service["deploymentConfiguration"] = breaker;
        }
        self.ask("ecs", "CreateService", service);
        self.pass(600).await;
        definition
    }
}

/// The digest of a version's image: a letter of the hexadecimal digits, 64 times.
fn digest(version: &str) -> String {
    format!("sha256:{}", version.repeat(64))
}

/// The digests of these versions' images, the container beside them included.
fn images(versions: &[&str]) -> BTreeSet<String> {
    versions.iter().chain(&["f"]).map(|version| digest(version)).collect()
}

/// The code that a refusal has.
fn code<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    match result.expect_err("a refusal") {
        CallError::Refused { code, .. } => code,
        other => panic!("no refusal: {other:?}"),
    }
}
