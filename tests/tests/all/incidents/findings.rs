//! Findings: in what is live, in what waits to be, and in what was never seen.

use super::*;
use std::collections::BTreeMap;

const CVE: &str = "CVE-2026-0001";

fn arn(name: &str) -> String {
    format!("arn:aws:inspector2:{REGION}:123456789012:finding/{name}")
}

/// An event of Inspector's. `name` tells one finding from another.
fn finding(name: &str, digest: &str, cve: &str, severity: &str, status: &str) -> Value {
    json!({
        "source": "aws.inspector2", "detail-type": "Inspector2 Finding", "region": REGION,
        "detail": {
            "findingArn": arn(name), "severity": severity, "status": status, "fixAvailable": "YES",
            "title": format!("{cve} - openssl"),
            "packageVulnerabilityDetails": { "vulnerabilityId": cve },
            "resources": [{
                "type": "AWS_ECR_CONTAINER_IMAGE",
                "details": { "awsEcrContainerImage": { "imageHash": digest, "repositoryName": "shop/web" } },
            }],
        },
    })
}

async fn found(world: &World, of: &Execution, cve: &str, severity: &str, status: &str) {
    event(world, finding(&format!("{cve}/{}", of.id), &world.digest_of(of), cve, severity, status));
    world.pass(Duration::from_secs(70)).await;
}

#[tokio::test(start_paused = true)]
async fn a_finding_in_what_is_live_turns_it_back_where_that_is_configured() {
    let world = started("findings = [\"CRITICAL\"]", "").await;
    let (_, bad) = deployed(&world).await;
    found(&world, &bad, CVE, "CRITICAL", "ACTIVE").await;
    let incident = only(&world).await;
    turns_back(&incident, &bad);
    assert_eq!(incident.cause.to_string(), format!("finding:{CVE}"));
}

#[tokio::test(start_paused = true)]
async fn a_version_with_the_same_finding_is_not_gone_back_to() {
    let world = started("findings = [\"CRITICAL\"]", "").await;
    let (good, bad) = deployed(&world).await;
    found(&world, &good, CVE, "LOW", "ACTIVE").await;
    assert_eq!(incidents(&world).await, [], "it is not live, and not bad");
    found(&world, &bad, CVE, "CRITICAL", "ACTIVE").await;
    let incident = only(&world).await;
    assert_eq!((incident.status, &incident.decision), (Status::NeedsPerson, &Decision::Person));
    assert!(incident.reason.contains(&format!("{CVE} is in it too")), "{}", incident.reason);
    assert!(rollbacks(&world).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_finding_in_what_is_live_is_told_and_ends_with_it() {
    let world = started("", "").await;
    let (good, bad) = deployed(&world).await;
    found(&world, &bad, "CVE-2026-0002", "MEDIUM", "ACTIVE").await;
    found(&world, &good, CVE, "CRITICAL", "ACTIVE").await;
    assert_eq!(incidents(&world).await, [], "one is not bad, the other is not live");
    found(&world, &bad, CVE, "HIGH", "ACTIVE").await;
    let incident = only(&world).await;
    assert_eq!((incident.status, &incident.decision), (Status::Recorded, &Decision::Notify));
    found(&world, &bad, CVE, "HIGH", "ACTIVE").await;
    assert_eq!(only(&world).await, incident, "told again");
    found(&world, &bad, CVE, "HIGH", "CLOSED").await;
    let closed = only(&world).await;
    assert_eq!(closed.status, Status::Closed, "{closed:#?}");
    assert!(closed.reason.contains("is gone"), "{}", closed.reason);
    assert!(rollbacks(&world).await.is_empty());
}

const APPROVED: &str = r#"
[environments.web-production.approval]
require = { devops = 1 }
[environments.web-production.gate]
findings = ["CRITICAL"]
[[environments.web-production.gate.waivers]]
id = "CVE-2026-0009"
owner = "ada@example.com"
until = 2026-12-31
reason = "not reachable"
"#;

#[tokio::test(start_paused = true)]
async fn a_finding_in_what_waits_for_an_approval_keeps_it_out() {
    let world = started("findings = [\"CRITICAL\"]", APPROVED).await;
    let candidate = deploy(&world, 2).await;
    found(&world, &candidate, "CVE-2026-0009", "CRITICAL", "ACTIVE").await;
    found(&world, &candidate, "CVE-2026-0008", "HIGH", "ACTIVE").await;
    assert_eq!(incidents(&world).await, [], "one is waived, the gate does not name the other");
    found(&world, &candidate, CVE, "CRITICAL", "ACTIVE").await;
    let incident = only(&world).await;
    assert_eq!((incident.status, &incident.decision), (Status::Blocked, &Decision::Block), "{incident:#?}");
    assert_eq!(incident.blamed.as_ref().map(|blamed| &blamed.execution), Some(&candidate.id));
    found(&world, &candidate, "CVE-2026-0003", "CRITICAL", "ACTIVE").await;
    let both = only(&world).await;
    assert_eq!((both.status, both.signals.len()), (Status::Blocked, 2));
    found(&world, &candidate, CVE, "CRITICAL", "SUPPRESSED").await;
    assert_eq!(only(&world).await.status, Status::Blocked, "the other one is left");
    found(&world, &candidate, "CVE-2026-0003", "CRITICAL", "CLOSED").await;
    assert_eq!(only(&world).await.status, Status::Closed);
}

/// How often the items of each partition were written.
fn writes(world: &World) -> BTreeMap<String, u64> {
    let mut writes: BTreeMap<String, u64> = BTreeMap::new();
    for table in ["pointsman", "pointsman-audit"] {
        let answer = ask(world, "dynamodb", REGION, "Scan", json!({ "TableName": table }));
        for item in answer["Items"].as_array().unwrap() {
            let version = item["item_version"]["N"].as_str().and_then(|text| text.parse().ok()).unwrap_or(1);
            *writes.entry(format!("{table} {}", item["pk"]["S"].as_str().unwrap())).or_default() += version;
        }
    }
    writes
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_findings_of_one_vulnerability_are_one_incident() {
    const FINDINGS: u64 = 10_000;
    let world = started("findings = [\"CRITICAL\"]", "").await;
    let (_, bad) = deployed(&world).await;
    let live = world.digest_of(&bad);
    let before = writes(&world);
    for number in 0..FINDINGS {
        // One in ten is of what is live, the others of images that were never seen; every other account is not ours.
        let digest = if number % 10 < 2 { live.clone() } else { format!("sha256:{number:064x}") };
        let mut told = finding(&number.to_string(), &digest, CVE, "CRITICAL", "ACTIVE");
        if number % 2 == 1 {
            told["account"] = json!("999999999999");
        }
        event(&world, told);
        if number % 200 == 199 {
            world.pass(Duration::from_secs(1)).await;
        }
    }
    world.pass(5 * MINUTE).await;
    let incident = only(&world).await;
    turns_back(&incident, &bad);
    assert_eq!(rollbacks(&world).await.len(), 2, "one decision per place");
    assert!((1..=6).contains(&notices(&world).len()), "{:?}", notices(&world));
    let hottest = writes(&world)
        .into_iter()
        .map(|(partition, count)| (count - before.get(&partition).copied().unwrap_or(0).min(count), partition))
        // What `record` keeps of the image itself is another matter.
        .filter(|(_, partition)| !partition.contains(&live))
        .max()
        .unwrap();
    assert!(hottest.0 < 1_000, "{hottest:?}");
}
