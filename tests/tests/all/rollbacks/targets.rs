//! To which version: the last good one, and which are passed over.

use super::*;
use pointsman::aws::targets::Targets;
use pointsman::domain::execution::{Target, TargetKind};
use pointsman::rolling::hold::{Wanted, hold};
use pointsman::run::Engine;

const CVE: &str = "CVE-2026-0001";

/// Inspector finds something in the image of an execution.
async fn found(world: &World, of: &Execution, severity: &str) {
    let digest = world.digest_of(of);
    let event = json!({
        "source": "aws.inspector2", "detail-type": "Inspector2 Finding", "region": REGION,
        "detail": {
            "findingArn": format!("arn:aws:inspector2:{REGION}:123456789012:finding/{}", of.id),
            "severity": severity, "status": "ACTIVE", "fixAvailable": "YES", "title": format!("{CVE} - openssl"),
            "packageVulnerabilityDetails": { "vulnerabilityId": CVE },
            "resources": [{
                "type": "AWS_ECR_CONTAINER_IMAGE",
                "details": { "awsEcrContainerImage": { "imageHash": digest, "repositoryName": "shop/web" } },
            }],
        },
    });
    world.aws().tell(event.to_string().as_bytes()).unwrap();
    world.pass(Duration::from_secs(10)).await;
}

async fn incidents(world: &World) -> Vec<Incident> {
    world.local.ledger().latest_incidents(None, world.aws().clock().now(), 10).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_version_with_the_same_vulnerability_is_passed_over_for_an_older_one() {
    let world = started_with("findings = [\"CRITICAL\"]").await;
    let free = deploy(&world, 2).await;
    let same = deploy(&world, 3).await;
    let live = deploy(&world, 4).await;
    found(&world, &same, "LOW").await;
    assert_eq!(incidents(&world).await, [], "it does not run");
    found(&world, &live, "CRITICAL").await;
    world.pass(5 * MINUTE).await;
    let all = incidents(&world).await;
    assert_eq!((all.len(), all[0].status), (1, Status::RolledBack), "{all:#?}");
    let found = rollbacks(&world, &all[0].id).await;
    assert_eq!(steps(&found), ["us-east-1 rollback_stage seen", "eu-west-2 rollback_stage seen"]);
    assert_eq!(runs(&world), world.digest_of(&free), "two versions back");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_did_not_run_for_long_enough_is_passed_over() {
    let world = started_with("soak = \"10m\"").await;
    let good = deploy(&world, 5).await;
    world.pass(30 * MINUTE).await;
    let bad = deploy(&world, 6).await;
    world.pass(MINUTE).await;
    deploy(&world, 7).await;
    let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
    world.pass(5 * MINUTE).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert_eq!(runs(&world), world.digest_of(&good));
    assert_eq!(landed(&world, SECOND).await, [5, 7, 6, 5]);
    assert_eq!(world.execution(&bad.id).await.status, ExecutionStatus::Succeeded, "6 was not turned back, 7 was");
}

#[tokio::test(start_paused = true)]
async fn where_none_ran_for_long_enough_a_person_is_called() {
    let world = started_with("soak = \"10m\"").await;
    deploy(&world, 5).await;
    deploy(&world, 6).await;
    let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
    world.pass(MINUTE).await;
    let found = incident(&world, &id).await;
    assert_eq!((found.status, found.rollbacks.len()), (Status::NeedsPerson, 0));
    assert!(found.reason.starts_with("no version is good in us-east-1: 0000005 ran for "), "{}", found.reason);
    assert!(!is_closed(&world, "Deploy-Primary"));
}

#[tokio::test(start_paused = true)]
async fn what_was_replaced_before_anybody_acted_is_left_alone() {
    let world = started(Behaviour::default()).await;
    deploy(&world, 2).await;
    let bad = deploy(&world, 3).await;
    deploy(&world, 4).await;
    let id = turn_back_of(&world, &bad, &[REGION, SECOND]).await;
    world.pass(MINUTE).await;
    let found = incident(&world, &id).await;
    assert_eq!((found.status, found.rollbacks.len()), (Status::Cancelled, 0));
    assert_eq!(found.reason, "us-east-1 runs 0000004 by now");
    assert_eq!(landed(&world, REGION).await, [4, 3, 2]);
    assert!(!is_closed(&world, "Deploy-Primary") && !is_closed(&world, "Deploy-Secondary"));
}

/// Commit 3 is claimed, and then 4 lands before the way in could be closed.
async fn replaced_after_the_claim(world: &World, hold_of_a_person: bool) -> IncidentId {
    deploy(world, 2).await;
    let bad = deploy(world, 3).await;
    begin(world, 4).await;
    for _ in 0..60 {
        let busy = Fault::Refuse { code: "InternalError".into(), status: 500 };
        world.aws().faults().next("codepipeline", "DisableStageTransition", busy);
    }
    if hold_of_a_person {
        hold_by_hand(world).await;
    }
    let id = turn_back_of(world, &bad, &[REGION]).await;
    for _ in 0..60 {
        world.pass(Duration::from_secs(1)).await;
        if landed(world, REGION).await[0] == 4 {
            break;
        }
    }
    world.aws().faults().quiet();
    world.pass(10 * MINUTE).await;
    assert_eq!(landed(world, REGION).await, [4, 3, 2]);
    id
}

/// A person with the operator's tool.
pub(super) fn operator(world: &World) -> Engine {
    let targets = Targets::new(&world.local.fleet.config("operator", REGION), vec![]);
    Engine { ledger: world.local.ledger(), targets, actor: "operator".to_owned() }
}

/// Somebody holds the environment's first stage.
async fn hold_by_hand(world: &World) {
    let engine = operator(world);
    let target = Target { kind: TargetKind::Pipeline, name: PIPELINE.into(), region: REGION.into() };
    let wanted = Wanted {
        environment: ENVIRONMENT.into(),
        by: "grace@example.com".into(),
        reason: "the database is moved".into(),
        incident: None,
        ways: vec![(REGION.to_owned(), target, "Deploy-Primary".to_owned())],
    };
    // It cannot be closed now. It stands in the record, and is closed later.
    assert!(hold(&engine, &wanted, world.aws().clock().now()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_lands_before_the_way_is_closed_cancels_it_and_is_not_held() {
    let world = started(Behaviour::default()).await;
    let id = replaced_after_the_claim(&world, false).await;
    let (found, all) = (incident(&world, &id).await, rollbacks(&world, &id).await);
    assert_eq!(found.status, Status::Cancelled, "{found:#?} {all:#?}");
    assert!(matches!(&all[..], [Rollback { phase: Phase::Cancelled { .. }, accepted_at: None, .. }]), "{all:#?}");
    assert_eq!(found.reason, "us-east-1: web-production runs 0000004 by now");
    assert!(!is_closed(&world, "Deploy-Primary"), "nothing was turned back, so nothing is kept out");
    assert!(world.local.ledger().hold(ENVIRONMENT).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_a_person_outlives_a_rollback_that_was_cancelled() {
    let world = started(Behaviour::default()).await;
    let id = replaced_after_the_claim(&world, true).await;
    assert_eq!(incident(&world, &id).await.status, Status::Cancelled, "{:#?}", rollbacks(&world, &id).await);
    let held = world.local.ledger().hold(ENVIRONMENT).await.unwrap().unwrap().value;
    assert_eq!((held.by.as_str(), held.is_released), ("grace@example.com", false));
    assert!(is_closed(&world, "Deploy-Primary"));
}
