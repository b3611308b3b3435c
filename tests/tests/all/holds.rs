//! Holds: what closes an environment, who comes through, and what is left when it is released.

use crate::approvals::real;
use pointsman::aws::targets::Targets;
use pointsman::domain::change::Sha;
use pointsman::domain::execution::{Execution, Status, Target, TargetKind};
use pointsman::domain::hold::Hold;
use pointsman::domain::incident::IncidentId;
use pointsman::domain::policy::Deploy;
use pointsman::domain::rollback::{Phase, Rollback, RollbackId, Step, Version, Worker};
use pointsman::ledger::{Loaded, RollbackWith, Writes};
use pointsman::rolling::hold::{Released, Wanted, hold, release};
use pointsman::run::Engine;
use pointsman_local::aws::sns::Mail;
use pointsman_local::faults::Fault;
use pointsman_local::runner::REGION;
use pointsman_tests::payloads::{push, sha};
use pointsman_tests::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const ON_CALL: &str = "oncall@example.com";

/// One pipeline that brings an environment to two regions, one after the other. Nobody is asked.
const WEB: &str = r#"
version = 1
[environments.web]
deploys = [
  { region = "us-east-1", pipeline = "web", stage = "Primary" },
  { region = "eu-west-2", pipeline = "web", stage = "Secondary", pipeline_region = "us-east-1" },
]
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "web"
environment = "web"
"#;

fn target() -> Target {
    Target { kind: TargetKind::Pipeline, name: "web".into(), region: REGION.into() }
}

/// An operator with these rights.
fn operator(world: &World) -> Engine {
    let targets = Targets::new(&world.local.fleet.config("operator", REGION), vec![]);
    Engine { ledger: world.local.ledger(), targets, actor: "operator".to_owned() }
}

fn wanted(stages: &[&str]) -> Wanted {
    Wanted {
        environment: "web".into(),
        by: "ada@example.com".into(),
        reason: "the database is moved".into(),
        incident: None,
        ways: stages.iter().map(|stage| (REGION.to_owned(), target(), (*stage).to_owned())).collect(),
    }
}

async fn held(world: &World, stages: &[&str]) -> Loaded<Hold> {
    hold(&operator(world), &wanted(stages), world.aws().clock().now()).await.unwrap();
    world.local.ledger().hold("web").await.unwrap().unwrap()
}

async fn let_go(world: &World, only: Option<&Sha>) -> Released {
    let now = world.aws().clock().now();
    release(&operator(world), "web", "ada@example.com", "it is moved", only, now).await.unwrap()
}

fn commit(number: u64) -> Sha {
    sha(number).parse().unwrap()
}

/// A world in which somebody hears of incidents.
async fn heard(config: &str) -> World {
    let world = World::with_config(config).await;
    let topic = format!("arn:aws:sns:{REGION}:123456789012:pointsman-incidents");
    let input = json!({ "TopicArn": topic, "Protocol": "email", "Endpoint": ON_CALL });
    world.aws().ask("sns", REGION, "Subscribe", input).unwrap();
    world
}

fn mails(world: &World) -> Vec<Mail> {
    world.aws().sns().mail().into_iter().filter(|mail| mail.to == ON_CALL && mail.subject.contains("hold")).collect()
}

async fn pushed(world: &World, number: u64) -> Execution {
    let delivery = format!("push-{number}");
    world.send("push", &delivery, &push("main", number - 1, number, number as i64)).await;
    world.settle().await;
    let delivery = world.delivery(&delivery).await.unwrap();
    world.execution(&delivery.plan[0].execution).await
}

/// Whether the way into a stage is open, and why not.
fn way_in(world: &World, stage: &str) -> (bool, String) {
    let state = world.aws().ask("codepipeline", REGION, "GetPipelineState", json!({ "name": "web" })).unwrap();
    let stages = state["stageStates"].as_array().unwrap();
    let way = stages.iter().find(|state| state["stageName"] == stage).unwrap()["inboundTransitionState"].clone();
    (way["enabled"].as_bool().unwrap(), way["disabledReason"].as_str().unwrap_or_default().to_owned())
}

fn change(world: &World, operation: &str, stage: &str, reason: Option<&str>) {
    let mut input = json!({ "pipelineName": "web", "stageName": stage, "transitionType": "Inbound" });
    if let Some(reason) = reason {
        input["reason"] = Value::from(reason);
    }
    world.aws().ask("codepipeline", REGION, operation, input).unwrap();
}

async fn status(world: &World, execution: &Execution) -> Status {
    world.execution(&execution.id).await.status
}

async fn story(world: &World) -> Vec<String> {
    let chain = world.local.ledger().chain("environment#web").await.unwrap();
    pointsman::domain::audit::verify(&chain).unwrap();
    chain.into_iter().map(|entry| entry.what).collect()
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_named_once_and_one_commit_is_let_through_alone() {
    let world = heard(WEB).await;
    held(&world, &["Primary"]).await;
    assert_eq!(way_in(&world, "Primary"), (false, "Pointsman hold of web".to_owned()));
    let hotfix = pushed(&world, 2).await;
    assert_eq!(hotfix.status, Status::Running, "it waits");
    world.pass(2 * MINUTE).await;
    let told = mails(&world);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].subject, format!("Waits: {} at the hold of web", &sha(2)[..7]));
    let command = format!("  pointsman release web --sha {} --reason \"why\"\n", sha(2));
    assert!(told[0].body.contains(&command), "{}", told[0].body);

    assert!(matches!(let_go(&world, Some(&commit(2))).await, Released::LetsThrough(_)));
    world.settle().await;
    assert_eq!(status(&world, &hotfix).await, Status::Succeeded);
    assert_eq!(way_in(&world, "Primary"), (false, "Pointsman hold of web".to_owned()), "closed behind it");
    let next = pushed(&world, 3).await;
    world.pass(2 * MINUTE).await;
    assert_eq!(status(&world, &next).await, Status::Running, "the way was open for that one alone");
    assert_eq!(mails(&world).len(), 2, "the next one is named too");

    let opened = Released::Whole { opened: vec!["us-east-1 web Primary".to_owned()], left: vec![] };
    assert_eq!(let_go(&world, None).await, opened);
    world.settle().await;
    assert_eq!(status(&world, &next).await, Status::Succeeded);
    assert!(world.local.ledger().hold("web").await.unwrap().is_none(), "the record is gone");
    assert_eq!(let_go(&world, None).await, Released::NotHeld);
    insta::assert_snapshot!(story(&world).await.join("\n"), @"
    hold intended
    way closed
    execution waits at the hold
    release of one commit intended
    way to be opened for one execution
    way closed again
    execution waits at the hold
    release intended
    way opened
    ");
}

#[tokio::test(start_paused = true)]
async fn the_commit_that_is_let_through_comes_through_every_way() {
    let world = heard(WEB).await;
    held(&world, &["Primary", "Secondary"]).await;
    assert!(matches!(let_go(&world, Some(&commit(3))).await, Released::LetsThrough(_)), "before it is there");
    let other = pushed(&world, 2).await;
    assert_eq!(other.status, Status::Running, "another commit waits");
    let hotfix = pushed(&world, 3).await;
    world.pass(MINUTE).await;
    assert_eq!(status(&world, &hotfix).await, Status::Succeeded, "through both");
    assert_eq!(status(&world, &other).await, Status::Superseded);
    for stage in ["Primary", "Secondary"] {
        assert!(!way_in(&world, stage).0, "{stage} is closed again");
    }
    let record = world.local.ledger().hold("web").await.unwrap().unwrap().value;
    assert_eq!(record.lets_through, None, "once");
}

/// A rollback of the first region that waits for its execution, and of which nobody has to take care.
fn under_way(world: &World, environment: &str, execution: &Execution) -> Rollback {
    let version = |number: u64| Version {
        execution: execution.id.clone(),
        aws_id: format!("aws {number}"),
        sha: Some(commit(number)),
        images: BTreeSet::new(),
    };
    let now = world.aws().clock().now();
    let deploy = Deploy {
        region: REGION.into(),
        pipeline: "web".into(),
        stage: "Primary".into(),
        pipeline_region: None,
        ecs: None,
        codedeploy: None,
    };
    Rollback {
        id: RollbackId::named("rb-1"),
        incident: IncidentId::named("in-1"),
        environment: environment.into(),
        region: REGION.into(),
        deploy,
        from: version(3),
        to: version(2),
        by: "guard".into(),
        attempt: 0,
        phase: Phase::Going { step: Step::Start, work: Worker::Execution { id: execution.id.clone() }, since: now },
        tried: vec![],
        accepted_at: None,
        claimed_at: now,
        updated_at: now,
        due_at: None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_of_a_rollback_passes_the_hold_of_its_environment() {
    for (environment, expected) in [("web", Status::Succeeded), ("another", Status::Running)] {
        let world = heard(WEB).await;
        held(&world, &["Primary"]).await;
        world.send("push", "d2", &push("main", 1, 2, 1)).await;
        world.pass(Duration::from_millis(100)).await;
        let execution = world.executions().await.remove(0);
        let rollback = under_way(&world, environment, &execution);
        let (incident, sha) = ("in-1".to_owned(), commit(2));
        let with = RollbackWith { incident, environment: environment.into(), sha, rollback: Some(rollback.id.clone()) };
        let writes = Writes::new().rollback(&Loaded::absent(rollback)).rollback_with(&execution.id, &with);
        world.local.ledger().save(writes).await.unwrap();
        world.pass(MINUTE).await;
        assert_eq!(status(&world, &execution).await, expected, "a rollback of {environment}");
        assert!(!way_in(&world, "Primary").0, "closed all the same");
        assert_eq!(mails(&world).is_empty(), expected == Status::Succeeded, "it did not wait for a person");
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_opens_only_what_stands_closed_for_our_reason() {
    let world = heard(WEB).await;
    held(&world, &["Primary", "Secondary"]).await;
    change(&world, "DisableStageTransition", "Primary", Some("mine"));
    world.settle().await;
    assert_eq!(way_in(&world, "Primary").1, "mine", "it is closed: that is enough");
    let expected = Released::Whole {
        opened: vec!["us-east-1 web Secondary".to_owned()],
        left: vec!["us-east-1 web Primary".to_owned()],
    };
    assert_eq!(let_go(&world, None).await, expected);
    world.settle().await;
    assert_eq!(way_in(&world, "Primary"), (false, "mine".to_owned()));
    assert!(way_in(&world, "Secondary").0);
    assert!(world.local.ledger().hold("web").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_somebody_opens_past_a_hold_is_closed_again() {
    let world = heard(WEB).await;
    held(&world, &["Primary"]).await;
    change(&world, "EnableStageTransition", "Primary", None);
    world.settle().await;
    assert!(!way_in(&world, "Primary").0);
    assert!(story(&world).await.contains(&"way into a held stage found open".to_owned()));
}

/// The same world with a freeze from one time to another, an hour past noon being 13:00.
async fn frozen(from: &str, to: &str) -> World {
    let windows = format!(
        "[environments.web.freeze]\nwindows = [{{ from = \"2026-11-01T{from}\", to = \"2026-11-01T{to}\", timezone = \"UTC\" }}]\n"
    );
    real(&WEB.replace("[[routes]]", &format!("{windows}[[routes]]"))).await
}

#[tokio::test(start_paused = true)]
async fn a_hold_over_a_freeze_gives_the_way_back_to_it() {
    let world = frozen("11:00", "12:30").await;
    world.pass(2 * MINUTE).await;
    let freeze = way_in(&world, "Primary");
    assert!(!freeze.0 && freeze.1.starts_with("Pointsman freeze of web"), "{}", freeze.1);
    held(&world, &["Primary"]).await;
    assert_eq!(way_in(&world, "Primary").1, "Pointsman hold of web", "ours is the last word");
    let left = Released::Whole { opened: vec![], left: vec!["us-east-1 web Primary".to_owned()] };
    assert_eq!(let_go(&world, None).await, left);
    assert_eq!(way_in(&world, "Primary"), freeze, "as it was");
    world.pass(30 * MINUTE).await;
    assert!(way_in(&world, "Primary").0, "the freeze is over");
}

#[tokio::test(start_paused = true)]
async fn a_hold_outlasts_a_freeze_and_a_freeze_closes_what_a_release_opens() {
    let world = frozen("11:00", "12:30").await;
    world.pass(2 * MINUTE).await;
    held(&world, &["Primary"]).await;
    world.pass(35 * MINUTE).await;
    assert_eq!(way_in(&world, "Primary"), (false, "Pointsman hold of web".to_owned()), "the freeze is over");
    let _ = let_go(&world, None).await;
    assert!(way_in(&world, "Primary").0);

    let world = frozen("12:10", "12:30").await;
    held(&world, &["Primary"]).await;
    world.pass(15 * MINUTE).await;
    let _ = let_go(&world, None).await;
    world.pass(2 * MINUTE).await;
    assert!(way_in(&world, "Primary").1.starts_with("Pointsman freeze of web"), "closed again within a minute");
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_leaves_half_done_is_finished_by_the_next_look() {
    let refused = || Fault::Refuse { code: "InternalServerError".to_owned(), status: 500 };
    let world = heard(WEB).await;
    // The SDK tries three times, and sweep may come in between.
    for _ in 0..6 {
        world.aws().faults().next("codepipeline", "DisableStageTransition", refused());
    }
    let now = world.aws().clock().now();
    hold(&operator(&world), &wanted(&["Primary"]), now).await.unwrap_err();
    assert!(way_in(&world, "Primary").0, "saved, and not closed");
    world.settle().await;
    assert!(!way_in(&world, "Primary").0, "sweep has closed it");
    let waiting = pushed(&world, 2).await;
    for fault in [refused(), Fault::LoseAfter] {
        world.aws().faults().next("codepipeline", "EnableStageTransition", fault);
    }
    let now = world.aws().clock().now();
    release(&operator(&world), "web", "ada", "fixed", Some(&commit(2)), now).await.unwrap_err();
    assert_eq!(status(&world, &waiting).await, Status::Running, "it was to be opened");
    world.settle().await;
    assert_eq!(status(&world, &waiting).await, Status::Succeeded, "opened, by a call whose answer was lost");
    assert!(!way_in(&world, "Primary").0, "and closed behind it");
    world.aws().faults().next("codepipeline", "EnableStageTransition", refused());
    let now = world.aws().clock().now();
    release(&operator(&world), "web", "ada", "fixed", None, now).await.unwrap_err();
    world.settle().await;
    assert!(way_in(&world, "Primary").0, "a release is finished too");
    assert!(world.local.ledger().hold("web").await.unwrap().is_none());
}
