//! Scenarios: images pushed, scanned and deleted under a paused clock.

use super::Push;
use crate::aws::{Aws, Behaviour};
use crate::clock::Clock;
use crate::faults::Faults;
use serde_json::{Value, json};
use std::time::Duration;

const HOME: &str = "eu-west-2";
const DIGEST: &str = "sha256:7f5b2640fe6fb4f46592dfd3410c4a79dac4f89e4782432e0378abcd12345678";

fn account(behaviour: Behaviour) -> Aws {
    let start = "2026-08-31T12:00:00Z".parse().unwrap();
    Aws::new(Clock::starting_at(start), behaviour, Faults::none(), 1).unwrap()
}

fn ask(aws: &Aws, operation: &str, input: Value) -> Value {
    aws.ask("ecr", HOME, operation, input).unwrap()
}

fn refusal(aws: &Aws, operation: &str, input: Value) -> String {
    aws.ask("ecr", HOME, operation, input).unwrap_err().code
}

async fn pass(aws: &Aws, milliseconds: u64) {
    tokio::select! {
        () = aws.run() => {}
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {}
    }
}

fn manifest(note: &str) -> String {
    let part = |kind: &str| json!({ "mediaType": kind, "size": 100, "digest": DIGEST });
    json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": part("application/vnd.oci.image.config.v1+json"),
        "layers": [part("application/vnd.oci.image.layer.v1.tar+gzip")],
        "annotations": { "note": note },
    })
    .to_string()
}

/// A queue that gets every event of ECR.
fn listen(aws: &Aws) {
    aws.ask("sqs", HOME, "CreateQueue", json!({ "QueueName": "seen" })).unwrap();
    let pattern = json!({ "source": ["aws.ecr"] }).to_string();
    aws.ask("events", HOME, "PutRule", json!({ "Name": "all", "EventPattern": pattern })).unwrap();
    let targets = json!([{ "Id": "1", "Arn": format!("arn:aws:sqs:{HOME}:123456789012:seen") }]);
    aws.ask("events", HOME, "PutTargets", json!({ "Rule": "all", "Targets": targets })).unwrap();
}

/// The events that have come since the last look, in the order in which they came.
async fn seen(aws: &Aws) -> Vec<Value> {
    pass(aws, 1_000).await;
    let url = format!("https://sqs.{HOME}.amazonaws.com/123456789012/seen");
    let mut events: Vec<Value> = Vec::new();
    loop {
        let input = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 3_600 });
        let answer = aws.ask("sqs", HOME, "ReceiveMessage", input).unwrap();
        let Some(messages) = answer["Messages"].as_array() else { return events };
        let bodies = messages.iter().filter_map(|message| message["Body"].as_str());
        events.extend(bodies.map(|body| serde_json::from_str::<Value>(body).unwrap()));
    }
}

fn push(aws: &Aws, tags: &[&str]) -> Result<(), String> {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let push = Push { repository: "shop".to_owned(), digest: DIGEST.to_owned(), tags };
    aws.ecr().push(aws, HOME, push).map_err(|failure| failure.code)
}

#[tokio::test(start_paused = true)]
async fn a_push_is_kept_and_told_as_the_user_guide_shows() {
    let aws = account(Behaviour::default());
    listen(&aws);
    push(&aws, &["one", "two"]).unwrap();
    let events = seen(&aws).await;
    let told: Vec<&Value> = events.iter().map(|event| &event["detail"]["image-tag"]).collect();
    assert_eq!(told, ["one", "two"]);
    assert_eq!(events[0]["detail-type"], "ECR Image Action");
    assert_eq!(events[0]["resources"], json!([]));
    let detail = json!({
        "result": "SUCCESS", "repository-name": "shop", "image-digest": DIGEST, "action-type": "PUSH",
        "image-tag": "one",
        "manifest-media-type": "application/vnd.docker.distribution.manifest.v2+json",
        "artifact-media-type": "application/vnd.docker.container.image.v1+json",
    });
    assert_eq!(events[0]["detail"], detail);
    let images = ask(&aws, "DescribeImages", json!({ "repositoryName": "shop" }));
    assert_eq!(images["imageDetails"][0]["imageTags"], json!(["one", "two"]));
    let input = json!({ "repositoryName": "shop", "imageManifest": manifest("a"), "imageTag": "two" });
    ask(&aws, "PutImage", input);
    let ids = ask(&aws, "ListImages", json!({ "repositoryName": "shop", "filter": { "tagStatus": "TAGGED" } }));
    assert_eq!(ids["imageIds"].as_array().unwrap().len(), 2, "the tag moved to the other image");
    ask(&aws, "BatchDeleteImage", json!({ "repositoryName": "shop", "imageIds": [{ "imageTag": "one" }] }));
    let events = seen(&aws).await;
    let told: Vec<&Value> = events.iter().map(|event| &event["detail"]["action-type"]).collect();
    assert_eq!(told, ["PUSH", "DELETE"]);
    let left = ask(&aws, "DescribeImages", json!({ "repositoryName": "shop" }));
    assert_eq!(left["imageDetails"].as_array().unwrap().len(), 1, "an image goes with its last tag");
}

#[tokio::test(start_paused = true)]
async fn a_strict_registry_takes_pushes_to_what_exists() {
    let aws = account(Behaviour { strict: true, ..Behaviour::default() });
    assert_eq!(push(&aws, &["one"]), Err("RepositoryNotFoundException".to_owned()));
    ask(&aws, "CreateRepository", json!({ "repositoryName": "shop", "imageTagMutability": "IMMUTABLE" }));
    push(&aws, &["one"]).unwrap();
    push(&aws, &["one"]).unwrap();
    let other = json!({ "repositoryName": "shop", "imageManifest": manifest("a"), "imageTag": "one" });
    assert_eq!(refusal(&aws, "PutImage", other), "ImageTagAlreadyExistsException");
}

#[tokio::test(start_paused = true)]
async fn a_build_whose_push_is_refused_fails() {
    let aws = account(Behaviour { strict: true, ..Behaviour::default() });
    let project = json!({
        "name": "shop", "source": { "type": "NO_SOURCE", "buildspec": "version: 0.2" },
        "artifacts": { "type": "NO_ARTIFACTS" }, "serviceRole": "arn:aws:iam::123456789012:role/build",
        "environment": {
            "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": true,
        },
    });
    aws.ask("codebuild", HOME, "CreateProject", project).unwrap();
    let build = async || {
        let started = aws.ask("codebuild", HOME, "StartBuild", json!({ "projectName": "shop" })).unwrap();
        pass(&aws, 1_000).await;
        let ids = json!({ "ids": [started["build"]["id"]] });
        aws.ask("codebuild", HOME, "BatchGetBuilds", ids).unwrap()["builds"][0].clone()
    };
    let failed = build().await;
    assert_eq!(failed["buildStatus"], "FAILED");
    let phases = failed["phases"].as_array().unwrap();
    let phase = phases.iter().find(|phase| phase["phaseStatus"] == "FAILED").unwrap();
    assert_eq!(phase["phaseType"], "POST_BUILD");
    assert!(phase["contexts"][0]["message"].as_str().unwrap().contains("docker push"));
    ask(&aws, "CreateRepository", json!({ "repositoryName": "shop" }));
    assert_eq!(build().await["buildStatus"], "SUCCEEDED");
    let images = ask(&aws, "DescribeImages", json!({ "repositoryName": "shop" }));
    assert_eq!(images["imageDetails"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_basic_scan_ends_after_a_moment_and_finds_nothing() {
    let aws = account(Behaviour::default());
    listen(&aws);
    let scanning = json!({ "scanOnPush": true });
    ask(&aws, "CreateRepository", json!({ "repositoryName": "shop", "imageScanningConfiguration": scanning }));
    push(&aws, &["one"]).unwrap();
    let input = json!({ "repositoryName": "shop", "imageId": { "imageTag": "one" } });
    let during = ask(&aws, "DescribeImageScanFindings", input.clone());
    assert_eq!(during["imageScanStatus"]["status"], "IN_PROGRESS");
    let events = seen(&aws).await;
    assert_eq!(events[1]["detail-type"], "ECR Image Scan");
    let detail = json!({
        "scan-status": "COMPLETE", "repository-name": "shop", "finding-severity-counts": {}, "image-digest": DIGEST,
        "image-tags": ["one"],
    });
    assert_eq!(events[1]["detail"], detail);
    let after = ask(&aws, "DescribeImageScanFindings", input.clone());
    assert_eq!(after["imageScanStatus"]["status"], "COMPLETE");
    assert_eq!(after["imageScanFindings"]["findings"], json!([]));
    ask(&aws, "StartImageScan", input.clone());
    assert_eq!(refusal(&aws, "StartImageScan", input.clone()), "LimitExceededException");
    pass(&aws, 24 * 3_600_000).await;
    ask(&aws, "StartImageScan", input);
}

fn finding(number: u32, severity: &str, status: &str) -> Value {
    json!({
        "source": "aws.inspector2", "detail-type": "Inspector2 Finding", "time": "2026-08-31T12:00:00Z",
        "detail": {
            "findingArn": format!("arn:aws:inspector2:{HOME}:123456789012:finding/{number}"),
            "severity": severity, "status": status, "awsAccountId": "123456789012", "title": "CVE", "epss": { "score": 0.1 },
            "firstObservedAt": "Jan 19, 2022, 10:46:15 PM",
            "packageVulnerabilityDetails": {
                "vulnerabilityId": "CVE-2026-1", "vulnerablePackages": [{ "name": "openssl", "version": "1" }],
            },
            "resources": [{
                "id": "arn", "type": "AWS_ECR_CONTAINER_IMAGE",
                "details": { "awsEcrContainerImage": { "imageHash": DIGEST, "repositoryName": "shop" } },
            }],
        },
    })
}

#[tokio::test(start_paused = true)]
async fn what_inspector_tells_is_what_the_findings_are() {
    let aws = account(Behaviour::default());
    let observe = |event: Value| aws.ecr().observe(&aws, HOME, &event);
    let findings = || {
        let input = json!({ "repositoryName": "shop", "imageId": { "imageDigest": DIGEST } });
        ask(&aws, "DescribeImageScanFindings", input)
    };
    observe(finding(1, "HIGH", "ACTIVE"));
    let found = findings();
    assert_eq!(found["imageScanStatus"]["status"], "PENDING", "the scan goes on");
    observe(finding(2, "CRITICAL", "ACTIVE"));
    observe(finding(2, "CRITICAL", "ACTIVE"));
    observe(json!({
        "source": "aws.inspector2", "detail-type": "Inspector2 Scan", "time": "2026-08-31T12:00:05Z",
        "detail": {
            "scan-status": "INITIAL_SCAN_COMPLETE", "image-digest": DIGEST, "image-tags": ["one"],
            "repository-name": format!("arn:aws:ecr:{HOME}:123456789012:repository/shop"),
            "finding-severity-counts": { "HIGH": 1, "CRITICAL": 1, "TOTAL": 2 },
        },
    }));
    let found = findings();
    assert_eq!(found["imageScanStatus"]["status"], "ACTIVE");
    assert_eq!(found["imageScanFindings"]["findingSeverityCounts"], json!({ "CRITICAL": 1, "HIGH": 1 }));
    let first = &found["imageScanFindings"]["enhancedFindings"][0];
    assert_eq!(first["packageVulnerabilityDetails"]["vulnerabilityId"], "CVE-2026-1");
    assert_eq!(first["firstObservedAt"], json!(1_642_632_375.0));
    assert!(first.get("epss").is_none(), "the API has no such member");
    observe(finding(1, "HIGH", "CLOSED"));
    assert_eq!(findings()["imageScanFindings"]["findingSeverityCounts"], json!({ "CRITICAL": 1 }));

    let strict = account(Behaviour { strict: true, ..Behaviour::default() });
    strict.ecr().observe(&strict, HOME, &finding(1, "HIGH", "ACTIVE"));
    assert_eq!(refusal(&strict, "DescribeImages", json!({ "repositoryName": "shop" })), "RepositoryNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_can_be_saved_and_restored() {
    let aws = account(Behaviour::default());
    push(&aws, &["one"]).unwrap();
    aws.ecr().observe(&aws, HOME, &finding(1, "HIGH", "ACTIVE"));
    let text = aws.ecr().save().to_string();
    let other = account(Behaviour::default());
    other.ecr().restore(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(other.ecr().save().to_string(), text);
}
