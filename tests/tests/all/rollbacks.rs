//! Rollbacks: a version that is turned back, by the best step that works, and what shows that it is back.

mod endings;
mod in_flight;
mod refusals;
mod targets;
mod ways;

use pointsman::domain::change::Sha;
use pointsman::domain::execution::{Execution, Kind, Status as ExecutionStatus};
use pointsman::domain::incident::{Blamed, Cause, Decision, Incident, IncidentId, Signal, Status};
use pointsman::domain::rollback::{Phase, Proof, Rollback, Step};
use pointsman::ledger::{Loaded, Writes};
use pointsman_local::aws::{Behaviour, Pace};
use pointsman_local::faults::{EventFault, Fault};
use pointsman_local::functions::Reaper;
use pointsman_local::runner::{Options, REGION, STACK};
use pointsman_tests::payloads::{number_of, push, sha};
use pointsman_tests::world::{BEGIN, World};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: &str = "eu-west-2";
const ENVIRONMENT: &str = "web-production";
const PIPELINE: &str = "shop-production";

/// One pipeline that brings a version to an ECS service, and then to a CodeDeploy group of another region.
const CONFIG: &str = r#"
version = 1

[environments.web-production]
deploys = [
  { region = "us-east-1", pipeline = "shop-production", stage = "Deploy-Primary", ecs = { cluster = "shop", service = "web" } },
  { region = "eu-west-2", pipeline = "shop-production", stage = "Deploy-Secondary", pipeline_region = "us-east-1",
    codedeploy = { application = "shop", deployment_group = "web" } },
]
[environments.web-production.rollback]
alarms = ["web-*"]

[[routes]]
repository = "acme/shop"
on = "push"
branch = ["production"]
pipeline = "shop-production"
environment = "web-production"
"#;

fn ask(world: &World, service: &str, region: &str, operation: &str, input: Value) -> Value {
    world.aws().ask(service, region, operation, input).unwrap_or_else(|failure| panic!("{operation}: {failure:?}"))
}

async fn started(behaviour: Behaviour) -> World {
    World::start(Options { behaviour, config: Some(CONFIG.to_owned()), ..Options::default() }).await
}

/// The configuration with more in the environment's rollback policy, and behind it.
fn config(more: &str) -> String {
    let policy = "alarms = [\"web-*\"]\n";
    assert!(CONFIG.contains(policy));
    CONFIG.replace(policy, &format!("{policy}{more}\n"))
}

async fn started_with(more: &str) -> World {
    World::with_config(&config(more)).await
}

/// Pushes commit `number`, and lets it land.
async fn deploy(world: &World, number: u64) -> Execution {
    let execution = begin(world, number).await;
    world.pass(Duration::from_secs(30)).await;
    world.execution(&execution.id).await
}

/// Pushes commit `number`, and answers while it is on its way.
async fn begin(world: &World, number: u64) -> Execution {
    let delivery = format!("push-{number}");
    let payload = push("production", number - 1, number, BEGIN + number as i64);
    assert_eq!(world.send("push", &delivery, &payload).await, 202);
    world.pass(Duration::from_secs(1)).await;
    let delivery = world.delivery(&delivery).await.unwrap();
    world.execution(&delivery.plan.first().unwrap_or_else(|| panic!("{delivery:?}")).execution).await
}

/// Has a person ask for the environment to be turned back, as the operator's tool does.
async fn turn_back(world: &World, request: &str, regions: &[&str], to: Option<u64>) -> IncidentId {
    request_of(world, request, regions, to, None).await
}

/// The same, for one execution and nothing else.
async fn turn_back_of(world: &World, execution: &Execution, regions: &[&str]) -> IncidentId {
    let blamed = Blamed { execution: execution.id.clone(), sha: execution.sha.clone() };
    request_of(world, execution.id.as_str(), regions, None, Some(blamed)).await
}

async fn request_of(
    world: &World,
    request: &str,
    regions: &[&str],
    to: Option<u64>,
    blamed: Option<Blamed>,
) -> IncidentId {
    let now = world.aws().clock().now();
    let id = IncidentId::of_request(ENVIRONMENT, request);
    let says = "by hand: it answers wrongly".to_owned();
    let signal = Signal { cause: Cause::Manual, region: REGION.to_owned(), at: now, says };
    let mut incident = Incident::opened(id.clone(), Some(ENVIRONMENT.to_owned()), signal, now);
    let regions = regions.iter().map(|region| (*region).to_owned()).collect();
    let to: Option<Sha> = to.map(|number| sha(number).parse().unwrap());
    let decision = Decision::RollBack { regions, to, by: "ada".to_owned() };
    incident.turn_to(Status::RollingBack, decision, "by hand: it answers wrongly".to_owned(), now);
    incident.due_at = Some(now);
    incident.blamed = blamed;
    world.local.ledger().save(Writes::new().incident(&Loaded::absent(incident))).await.unwrap();
    let detail = json!({ "incident": id }).to_string();
    let entry =
        json!({ "Source": "pointsman", "DetailType": "Rollback Requested", "Detail": detail, "EventBusName": STACK });
    let answer = ask(world, "events", REGION, "PutEvents", json!({ "Entries": [entry] }));
    assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    id
}

async fn incident(world: &World, id: &IncidentId) -> Incident {
    world.local.ledger().incident(id).await.unwrap().unwrap().value
}

async fn rollbacks(world: &World, id: &IncidentId) -> Vec<Rollback> {
    world.local.ledger().rollbacks(&incident(world, id).await.rollbacks).await.unwrap()
}

/// The commits that are on record in a region, the live one first.
async fn landed(world: &World, region: &str) -> Vec<u64> {
    let state = world.local.ledger().environment_states(ENVIRONMENT, [region]).await.unwrap().remove(0).value;
    state.versions.iter().map(|version| number_of(version.sha.as_ref().unwrap().as_str())).collect()
}

/// The digest that the first region's service runs.
fn runs(world: &World) -> String {
    let input = json!({ "cluster": "shop", "services": ["web"] });
    let service = ask(world, "ecs", REGION, "DescribeServices", input)["services"][0].clone();
    let definition =
        ask(world, "ecs", REGION, "DescribeTaskDefinition", json!({ "taskDefinition": service["taskDefinition"] }));
    let image = definition["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap().to_owned();
    image.rsplit('@').next().unwrap().to_owned()
}

/// By which step each region was brought back.
fn steps(rollbacks: &[Rollback]) -> Vec<String> {
    let one = |rollback: &Rollback| match &rollback.phase {
        Phase::Done { step, proof, .. } => {
            let step = step.map_or("nothing", Step::as_str);
            format!(
                "{} {step} {}",
                rollback.region,
                if matches!(proof, Proof::Images { .. }) { "seen" } else { "told" }
            )
        }
        other => format!("{} {other:?}", rollback.region),
    };
    rollbacks.iter().map(one).collect()
}

/// What each step that was taken in vain said.
fn whys(rollback: &Rollback) -> Vec<String> {
    rollback.tried.iter().map(|tried| format!("{}: {}", tried.step.as_str(), tried.why)).collect()
}

/// Makes an edit of the pipeline: every execution before it is of another version of its structure.
fn edit(world: &World) {
    let declared = ask(world, "codepipeline", REGION, "GetPipeline", json!({ "name": PIPELINE }));
    ask(world, "codepipeline", REGION, "UpdatePipeline", json!({ "pipeline": declared["pipeline"] }));
}

fn is_closed(world: &World, stage: &str) -> bool {
    let state = ask(world, "codepipeline", REGION, "GetPipelineState", json!({ "name": PIPELINE }));
    let stages = state["stageStates"].as_array().unwrap();
    let found = stages.iter().find(|found| found["stageName"] == stage).unwrap();
    found["inboundTransitionState"]["enabled"] == false
}

#[tokio::test(start_paused = true)]
async fn a_version_is_turned_back_in_every_region_and_kept_out() {
    for passes in [true, false] {
        let world = started(Behaviour { rollback_passes_transition: passes, ..Behaviour::default() }).await;
        let good = deploy(&world, 2).await;
        let bad = deploy(&world, 3).await;
        assert_eq!(runs(&world), world.digest_of(&bad));
        let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
        world.pass(Duration::from_secs(300)).await;
        let found = incident(&world, &id).await;
        assert_eq!(found.status, Status::RolledBack, "{}: {:#?}", found.reason, rollbacks(&world, &id).await);
        assert_eq!(
            steps(&rollbacks(&world, &id).await),
            ["us-east-1 rollback_stage seen", "eu-west-2 rollback_stage seen"]
        );
        assert_eq!(runs(&world), world.digest_of(&good), "passes: {passes}");
        for region in [REGION, SECOND] {
            assert_eq!(landed(&world, region).await, [2, 3, 2], "{region}");
        }
        assert_eq!(world.execution(&bad.id).await.status, ExecutionStatus::RolledBack);
        let back: Vec<Execution> =
            world.executions().await.into_iter().filter(|one| one.kind == Kind::Rollback).collect();
        assert_eq!(back.len(), 2, "one for each stage");
        assert!(back.iter().all(|one| one.sha == good.sha && one.status == ExecutionStatus::Succeeded), "{back:#?}");
        assert!(is_closed(&world, "Deploy-Primary") && is_closed(&world, "Deploy-Secondary"), "it stays held");
        let payload = push("production", 9, 3, BEGIN + 100);
        world.send("push", "again", &payload).await;
        world.pass(Duration::from_secs(5)).await;
        let (status, reason) = world.outcome("again").await;
        assert!(status == "ignored" && reason.starts_with("quarantined:"), "{status}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_edited_pipeline_is_started_with_the_last_good_commit() {
    let world = started(Behaviour::default()).await;
    let good = deploy(&world, 2).await;
    deploy(&world, 3).await;
    edit(&world);
    let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
    world.pass(Duration::from_secs(400)).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert!(
        whys(&found[0])[0].starts_with("rollback_stage: PipelineExecutionOutdatedException"),
        "{:?}",
        whys(&found[0])
    );
    assert_eq!(steps(&found)[0], "us-east-1 start seen");
    assert_eq!(runs(&world), world.digest_of(&good));
    assert_eq!((landed(&world, REGION).await[0], landed(&world, SECOND).await[0]), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_rolled_back_nor_started_is_deployed_past_the_pipeline() {
    let world = started(Behaviour::default()).await;
    let good = deploy(&world, 2).await;
    deploy(&world, 3).await;
    edit(&world);
    let refusal = |code: &str| Fault::Refuse { code: code.into(), status: 400 };
    for _ in 0..4 {
        world.aws().faults().next("codepipeline", "StartPipelineExecution", refusal("PipelineNotFoundException"));
    }
    let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
    world.pass(Duration::from_secs(400)).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert_eq!(steps(&found), ["us-east-1 deploy seen", "eu-west-2 deploy seen"]);
    assert_eq!(runs(&world), world.digest_of(&good));
    for region in [REGION, SECOND] {
        assert_eq!(landed(&world, region).await[0], 2, "{region}: it is live, by an execution of its own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_of_a_rollback_is_reconciled_and_no_second_one_made() {
    for fault in [Fault::LoseAfter, Fault::Silent] {
        let world = started(Behaviour::default()).await;
        deploy(&world, 2).await;
        deploy(&world, 3).await;
        world.aws().faults().next("codepipeline", "RollbackStage", fault.clone());
        let id = turn_back(&world, "one", &[REGION], None).await;
        world.pass(Duration::from_secs(400)).await;
        assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{:#?}", rollbacks(&world, &id).await);
        let made = world.started(PIPELINE).len();
        assert_eq!(made, 3, "{fault:?}: two deployments and one rollback");
        assert_eq!(landed(&world, SECOND).await, [3, 2], "the other region was not asked for");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_version_ever_has_nothing_to_go_back_to() {
    let world = started(Behaviour::default()).await;
    let only = deploy(&world, 2).await;
    let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
    world.pass(Duration::from_secs(60)).await;
    let found = incident(&world, &id).await;
    assert_eq!((found.status, found.rollbacks.len()), (Status::NeedsPerson, 0));
    assert_eq!(found.reason, "nothing was live in us-east-1 before it");
    assert!(!is_closed(&world, "Deploy-Primary"), "a fix can come in");
    assert_eq!(world.execution(&only.id).await.status, ExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_person_names_the_version() {
    let world = started(Behaviour::default()).await;
    for number in [2, 3, 4] {
        deploy(&world, number).await;
    }
    let unknown = turn_back(&world, "unknown", &[REGION, SECOND], Some(9)).await;
    world.pass(Duration::from_secs(30)).await;
    let found = incident(&world, &unknown).await;
    assert_eq!(found.status, Status::NeedsPerson);
    assert_eq!(found.reason, "0000009 has not run in us-east-1 before what is turned back");
    let id = turn_back(&world, "named", &[REGION, SECOND], Some(2)).await;
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{:#?}", rollbacks(&world, &id).await);
    assert_eq!(landed(&world, REGION).await, [2, 4, 3, 2]);
    // What was turned back is no target, and what the rollback brought stands for 2.
    let again = turn_back(&world, "again", &[REGION, SECOND], Some(4)).await;
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(incident(&world, &again).await.reason, "in us-east-1 0000004 was turned back itself");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_twice_is_turned_back_once() {
    let world = started(Behaviour::default()).await;
    deploy(&world, 2).await;
    deploy(&world, 3).await;
    let first = turn_back(&world, "one", &[REGION, SECOND], None).await;
    let second = turn_back(&world, "two", &[REGION, SECOND], None).await;
    world.pass(Duration::from_secs(300)).await;
    let ids = incident(&world, &first).await.rollbacks;
    assert_eq!(ids, incident(&world, &second).await.rollbacks, "both are answered by the same rollbacks");
    assert_eq!(world.started(PIPELINE).len(), 4, "two deployments, and a rollback of each stage");
    for id in [first, second] {
        assert_eq!(incident(&world, &id).await.status, Status::RolledBack);
    }
}
