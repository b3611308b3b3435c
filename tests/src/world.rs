//! A world in simulated time: Pointsman on a local AWS, and GitHub's side of the wire.

use crate::payloads::number_of;
use jiff::Timestamp;
use pointsman::domain::delivery::Delivery;
use pointsman::domain::execution::{Execution, ExecutionId};
use pointsman::github::{Secret, sign};
use pointsman::ledger::Filter;
use pointsman_local::aws::Aws;
use pointsman_local::clock::Clock;
use pointsman_local::runner::{DEFAULT_SECRET, Local, Options, REGION};
use serde_json::{Value, json};
use std::time::Duration;

/// When every world begins, in seconds since the epoch: 2026-11-01T12:00:00Z.
pub const BEGIN: i64 = 1_793_534_400;

/// Everything, in simulated time. Use it under `#[tokio::test(start_paused = true)]`.
#[derive(Debug)]
pub struct World {
    /// What runs.
    pub local: Local,
    time: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.time.abort();
    }
}

impl World {
    /// A world with this configuration.
    pub async fn with_config(config: &str) -> Self {
        let options =
            Options { config: Some(config.to_owned()), config_name: "pointsman.toml".into(), ..Options::default() };
        Self::start(options).await
    }

    /// A world with these options.
    pub async fn start(options: Options) -> Self {
        // Jitter, invocation ids and tokens of the SDK draw from this.
        fastrand::seed(options.seed);
        let begin = Timestamp::from_second(BEGIN).unwrap();
        let local = Local::start(Clock::starting_at(begin), options).await.unwrap();
        let running = local.clone();
        Self { local, time: tokio::spawn(async move { running.run().await }) }
    }

    /// The account.
    pub fn aws(&self) -> &Aws {
        &self.local.aws
    }

    /// Lets this much time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Lets a few seconds pass: enough for a pipeline at the fast pace.
    pub async fn settle(&self) {
        self.pass(Duration::from_secs(10)).await;
    }

    /// Sends a payload as GitHub would; answers with the status.
    pub async fn send(&self, event: &str, delivery: &str, payload: &Value) -> u64 {
        self.send_signed(event, delivery, payload, DEFAULT_SECRET).await
    }

    /// Sends a payload signed with `secret`.
    pub async fn send_signed(&self, event: &str, delivery: &str, payload: &Value, secret: &str) -> u64 {
        let body = payload.to_string().into_bytes();
        let signature = sign(&Secret::new(secret).unwrap(), &body);
        let headers = [
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", event),
            ("X-GitHub-Delivery", delivery),
            ("X-Hub-Signature-256", signature.as_str()),
        ];
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        match self.local.http("POST", "/webhook", &headers, &body).await {
            Some(Ok(answer)) => answer["statusCode"].as_u64().unwrap_or(0),
            Some(Err(_)) | None => 502,
        }
    }

    /// What became of a delivery, as (status, reason).
    pub async fn outcome(&self, delivery: &str) -> (String, String) {
        let found = self.delivery(delivery).await;
        let found = found.unwrap_or_else(|| panic!("no delivery {delivery}"));
        (found.status.as_str().to_owned(), found.reason)
    }

    /// The record of a delivery.
    pub async fn delivery(&self, delivery: &str) -> Option<Delivery> {
        self.local.ledger().delivery(&delivery.parse().unwrap()).await.unwrap().map(|found| found.value)
    }

    /// Every execution, newest first.
    pub async fn executions(&self) -> Vec<Execution> {
        let now = self.aws().clock().now();
        self.local.ledger().latest_executions(Filter::default(), now, 1_000).await.unwrap()
    }

    /// One execution.
    pub async fn execution(&self, id: &ExecutionId) -> Execution {
        self.local.ledger().execution(id).await.unwrap().unwrap().value
    }

    /// What CodePipeline started of a pipeline: (execution id, commit), oldest first.
    pub fn started(&self, pipeline: &str) -> Vec<(String, String)> {
        self.started_in(REGION, pipeline)
    }

    /// The same in another region.
    pub fn started_in(&self, region: &str, pipeline: &str) -> Vec<(String, String)> {
        let input = json!({ "pipelineName": pipeline });
        let answer = self.aws().ask("codepipeline", region, "ListPipelineExecutions", input).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let summaries = answer["pipelineExecutionSummaries"].as_array().cloned().unwrap_or_default();
        let one = |summary: &Value| {
            (text(&summary["pipelineExecutionId"]), text(&summary["sourceRevisions"][0]["revisionId"]))
        };
        summaries.iter().rev().map(one).collect()
    }

    /// The commits that CodePipeline started of a pipeline, as the numbers of [`crate::payloads::sha`], oldest first.
    pub fn commits(&self, pipeline: &str) -> Vec<u64> {
        self.started(pipeline).iter().map(|(_, sha)| number_of(sha)).collect()
    }

    /// The commits that CodeBuild built of a project, oldest first.
    pub fn builds(&self, project: &str) -> Vec<u64> {
        let listed = self.aws().ask("codebuild", REGION, "ListBuildsForProject", json!({ "projectName": project }));
        let ids = listed.unwrap()["ids"].clone();
        if ids.as_array().is_none_or(Vec::is_empty) {
            return Vec::new();
        }
        let builds = self.aws().ask("codebuild", REGION, "BatchGetBuilds", json!({ "ids": ids })).unwrap();
        let builds = builds["builds"].as_array().cloned().unwrap_or_default();
        let number = |build: &Value| number_of(build["sourceVersion"].as_str().unwrap());
        builds.iter().rev().map(number).collect()
    }

    /// The digest of an execution's only image.
    pub fn digest_of(&self, execution: &Execution) -> String {
        let image = execution.images.first().unwrap_or_else(|| panic!("{} has no image", execution.id));
        image.rsplit('@').next().unwrap_or(image).to_owned()
    }

    /// Every item of both tables, in a fixed order.
    pub fn dump(&self) -> String {
        let mut lines = Vec::new();
        for table in ["pointsman", "pointsman-audit"] {
            let answer = self.aws().ask("dynamodb", REGION, "Scan", json!({ "TableName": table })).unwrap();
            for item in answer["Items"].as_array().unwrap() {
                lines.push(pointsman::domain::audit::canonical(item).to_string());
            }
        }
        lines.sort();
        lines.join("\n")
    }
}
