//! Environments: what is live in each region, whoever deployed it and whenever that is heard; and what Inspector says
//! of the images.

use pointsman::aws::targets::Targets;
use pointsman::domain::environment::EnvironmentState;
use pointsman::domain::execution::{Execution, Kind, Origin, StageBack, StartEvent, Status};
use pointsman::domain::image::{Fix, check};
use pointsman::domain::observed::{Mark, Report, State};
use pointsman::domain::policy::Severity;
use pointsman::ledger::{Filter, Loaded, Writes};
use pointsman::run::Engine;
use pointsman_local::faults::{EventFault, Fault};
use pointsman_local::runner::REGION;
use pointsman_tests::payloads::push;
use pointsman_tests::world::World;
use serde_json::{Value, json};
use std::time::Duration;

const ELSEWHERE: &str = "eu-west-2";

/// One pipeline that brings an environment to two regions, one after the other, and one that serves two environments.
const WEB: &str = r#"
version = 1

[approvers.devops]
members = [{ email = "ada@example.com" }, { email = "grace@example.com", github = "ghopper" }]
[approvers.product]
members = [{ email = "Ada@example.com", github = "ada" }]

[environments.web]
deploys = [
  { region = "us-east-1", pipeline = "web", stage = "Primary" },
  { region = "eu-west-2", pipeline = "web", stage = "Secondary", pipeline_region = "us-east-1" },
]
[environments.web.gate]
findings = ["CRITICAL", "HIGH"]
[environments.web.freeze]
windows = [{ from = "2026-12-20T00:00", to = "2027-01-03T00:00", timezone = "Europe/London" }]
override = "devops"
[environments.api]
deploys = [{ region = "us-east-1", pipeline = "shared", stage = "Deploy" }]
[environments.api.approval]
require = { product = 1 }
[environments.api.freeze]
windows = [{ from = "2026-12-20T00:00", to = "2027-01-03T00:00", timezone = "Europe/London" }]
[environments.jobs]
deploys = [{ region = "us-east-1", pipeline = "shared", stage = "Deploy" }]

[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "web"
environment = "web"
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["shared"]
pipeline = "shared"
environment = "api"
"#;

async fn state(world: &World, region: &str) -> Loaded<EnvironmentState> {
    world.local.ledger().environment_states("web", [region]).await.unwrap().remove(0)
}

/// The commits that landed in a region as numbers, the live one first.
async fn landed(world: &World, region: &str) -> Vec<u64> {
    let state = state(world, region).await.value;
    let number = |sha: &str| pointsman_tests::payloads::number_of(sha);
    state.versions.iter().map(|version| number(version.sha.as_ref().unwrap().as_str())).collect()
}

async fn deploy(world: &World, number: u64) -> Execution {
    let delivery = format!("push-{number}");
    world.send("push", &delivery, &push("main", number - 1, number, number as i64)).await;
    world.settle().await;
    let delivery = world.delivery(&delivery).await.unwrap();
    world.execution(&delivery.plan[0].execution).await
}

fn pipeline(world: &World, operation: &str, input: Value) -> Value {
    world.aws().ask("codepipeline", REGION, operation, input).unwrap()
}

fn have_stage(world: &World, stage: &str, outcome: &str) {
    let tags = json!([{ "key": format!("local:{stage}/Deploy"), "value": outcome }]);
    let arn = format!("arn:aws:codepipeline:{REGION}:123456789012:web");
    pipeline(world, "TagResource", json!({ "resourceArn": arn, "tags": tags }));
}

/// Loses what CodePipeline tells of executions, for as long as faults are not quiet.
fn lose_events(world: &World) {
    for kind in ["Pipeline", "Stage", "Action"] {
        for _ in 0..100 {
            world.aws().faults().next_event(format!("CodePipeline {kind} Execution State Change"), EventFault::Never);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_is_live_where_its_stage_succeeded_and_nowhere_else() {
    let world = World::with_config(WEB).await;
    assert!(state(&world, REGION).await.value.live().is_none(), "nothing has landed yet");
    let first = deploy(&world, 2).await;
    for region in [REGION, ELSEWHERE] {
        let live = state(&world, region).await.value.live().cloned().unwrap();
        assert_eq!((live.sha, live.execution), (first.sha.clone(), first.id.clone()), "{region}");
        assert_eq!(Some(live.aws_id.as_str()), first.start.aws_id());
        assert!(!live.images.is_empty() && live.images.is_subset(&first.images), "{:?}", live.images);
    }
    have_stage(&world, "Secondary", "fail");
    let second = deploy(&world, 3).await;
    assert_eq!(second.status, Status::Failed);
    assert_eq!(landed(&world, REGION).await, [3, 2], "the first region has it");
    assert_eq!(landed(&world, ELSEWHERE).await, [2], "the second one does not");
    have_stage(&world, "Secondary", "");
    let input = json!({
        "pipelineName": "web", "stageName": "Secondary", "retryMode": "FAILED_ACTIONS",
        "pipelineExecutionId": second.start.aws_id(),
    });
    pipeline(&world, "RetryStageExecution", input);
    world.settle().await;
    assert_eq!(landed(&world, ELSEWHERE).await, [3, 2], "its stage was tried again");
    assert_eq!(landed(&world, REGION).await, [3, 2], "it landed there once");
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_is_live_again_in_the_region_of_its_stage() {
    let world = World::with_config(WEB).await;
    let first = deploy(&world, 2).await;
    deploy(&world, 3).await;
    let input = json!({
        "pipelineName": "web", "stageName": "Primary", "targetPipelineExecutionId": first.start.aws_id(),
    });
    let rollback = pipeline(&world, "RollbackStage", input)["pipelineExecutionId"].clone();
    world.settle().await;
    assert_eq!(landed(&world, REGION).await, [2, 3, 2], "a rollback is a deployment of its own");
    let live = state(&world, REGION).await.value.live().cloned().unwrap();
    assert_eq!(live.aws_id, rollback.as_str().unwrap());
    assert_eq!(live.goes_back_to.as_deref(), first.start.aws_id());
    assert!(live.began.is_some_and(|began| began <= live.at), "{live:?}");
    assert_eq!(live.images, first.images);
    assert_eq!(landed(&world, ELSEWHERE).await, [3, 2], "it ran through one stage");
    stands_for(&world.execution(&live.execution).await, &first, "Primary", "ManualRollback");
}

/// That an execution is a rollback of `stage`, made by somebody else, and brings back what `good` brought.
fn stands_for(rollback: &Execution, good: &Execution, stage: &str, trigger: &str) {
    assert_eq!((rollback.kind, &rollback.route), (Kind::Rollback, &None));
    assert_eq!(rollback.origin, Origin::External { trigger: trigger.to_owned() });
    let back = StageBack { stage: stage.to_owned(), to: good.start.aws_id().unwrap().to_owned() };
    assert_eq!(rollback.rolls_back, Some(back));
    assert_eq!((&rollback.repository, &rollback.git_ref), (&good.repository, &good.git_ref));
    assert_eq!((&rollback.sha, &rollback.title), (&good.sha, &good.title));
    assert_eq!((&rollback.environment, &rollback.images), (&good.environment, &good.images));
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_rolls_itself_back_is_recorded_as_a_rollback() {
    let world = World::with_config(WEB).await;
    let mut declared = pipeline(&world, "GetPipeline", json!({ "name": "web" }))["pipeline"].clone();
    declared.as_object_mut().unwrap().remove("version");
    let stages = declared["stages"].as_array_mut().unwrap();
    let secondary = stages.iter_mut().find(|stage| stage["name"] == "Secondary").unwrap();
    secondary["onFailure"] = json!({ "result": "ROLLBACK" });
    pipeline(&world, "UpdatePipeline", json!({ "pipeline": declared }));
    let first = deploy(&world, 2).await;
    have_stage(&world, "Secondary", "fail");
    let second = deploy(&world, 3).await;
    world.settle().await;
    let all = world.executions().await;
    let rollback = all.iter().find(|execution| execution.route.is_none()).unwrap();
    assert_eq!(second.status, Status::Failed);
    stands_for(rollback, &first, "Secondary", "AutomatedRollback");
    assert_eq!(rollback.status, Status::Failed, "it failed for the same reason");
    assert_eq!((landed(&world, REGION).await, landed(&world, ELSEWHERE).await), (vec![3, 2], vec![2]));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_to_what_nobody_recorded_is_told_by_aws_alone() {
    let world = World::with_config(WEB).await;
    lose_events(&world);
    let started = pipeline(&world, "StartPipelineExecution", json!({ "name": "web" }));
    world.settle().await;
    assert!(world.executions().await.is_empty(), "nobody heard of it");
    world.aws().faults().quiet();
    deploy(&world, 3).await;
    let good = started["pipelineExecutionId"].as_str().unwrap();
    let input = json!({ "pipelineName": "web", "stageName": "Primary", "targetPipelineExecutionId": good });
    pipeline(&world, "RollbackStage", input);
    world.settle().await;
    let rollback = world.executions().await.into_iter().find(|execution| execution.route.is_none()).unwrap();
    assert_eq!((rollback.kind, rollback.status), (Kind::Rollback, Status::Succeeded));
    assert_eq!(rollback.rolls_back.map(|back| back.to).as_deref(), Some(good));
    assert_eq!((rollback.repository, rollback.environment.as_deref()), (None, Some("web")));
    let live = state(&world, REGION).await.value.live().cloned().unwrap();
    assert_eq!((&live.execution, live.goes_back_to.as_deref()), (&rollback.id, Some(good)));
    assert!(rollback.sha.is_some() && live.sha == rollback.sha, "the commit that AWS tells");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_starts_has_the_environment_that_its_pipeline_serves() {
    let world = World::with_config(WEB).await;
    for name in ["web", "shared"] {
        pipeline(&world, "StartPipelineExecution", json!({ "name": name }));
    }
    world.settle().await;
    let execution_of = async |name: &str| {
        let all = world.executions().await;
        all.into_iter().find(|execution| execution.target.name == name).unwrap()
    };
    let web = execution_of("web").await;
    assert_eq!(web.environment.as_deref(), Some("web"));
    assert_eq!(state(&world, REGION).await.value.live().unwrap().execution, web.id);
    assert_eq!(execution_of("shared").await.environment, None, "it serves two: nobody can tell which one is meant");
    let filter = Filter { environment: Some("web"), ..Filter::default() };
    let listed = world.local.ledger().latest_executions(filter, world.aws().clock().now(), 10).await.unwrap();
    assert_eq!(listed, [web], "listed under its environment");
}

#[tokio::test(start_paused = true)]
async fn the_late_news_of_an_older_version_does_not_make_it_live() {
    let world = World::with_config(WEB).await;
    lose_events(&world);
    let older = deploy(&world, 2).await;
    assert_eq!(older.status, Status::Running, "all its events are lost");
    world.aws().faults().quiet();
    deploy(&world, 3).await;
    assert_eq!(landed(&world, REGION).await, [3]);
    world.pass(Duration::from_secs(15 * 60)).await;
    assert_eq!(world.execution(&older.id).await.status, Status::Succeeded, "sweep asked");
    for region in [REGION, ELSEWHERE] {
        assert_eq!(landed(&world, region).await, [3, 2], "{region}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_landed_before_anybody_knew_whose_it_is_is_live_once_that_is_known() {
    let world = World::with_config(WEB).await;
    world.aws().faults().next("codepipeline", "StartPipelineExecution", Fault::LoseBefore);
    world.send("push", "unanswered", &push("main", 1, 2, 1)).await;
    world.settle().await;
    let execution = world.executions().await.remove(0);
    let (ledger, now) = (world.local.ledger(), world.aws().clock().now());
    let mut run = ledger.run(&execution.target, "late", now).await.unwrap();
    let mark = Mark { attempt: 1, at: now, state: State::Succeeded };
    run.value.observed.fold(&Report::Stage { stage: "Primary".into(), mark });
    ledger.save(Writes::new().run(&run)).await.unwrap();
    let engine = Engine {
        ledger: ledger.clone(),
        targets: Targets::new(&world.local.fleet.config("operator", REGION), vec![]),
        actor: "dispatch".to_owned(),
    };
    engine.take_up(&execution.id, &StartEvent::Answered { aws_id: "late".to_owned() }, now).await.unwrap();
    assert_eq!(landed(&world, REGION).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_again_changes_nothing() {
    let world = World::with_config(WEB).await;
    let execution = deploy(&world, 2).await;
    let before = state(&world, REGION).await;
    let version = before.value.live().unwrap();
    let event = json!({
        "version": "0", "id": "again", "source": "aws.codepipeline", "account": "123456789012", "region": REGION,
        "detail-type": "CodePipeline Stage Execution State Change", "time": version.at, "resources": [],
        "detail": {
            "pipeline": "web", "execution-id": execution.start.aws_id(), "stage": "Primary", "state": "SUCCEEDED",
            "pipeline-execution-attempt": 1.0, "version": 1.0,
        },
    });
    world.aws().lambda().invoke(world.aws(), "pointsman-RecordFunction", event).await.unwrap();
    assert_eq!(state(&world, REGION).await, before, "it is not even written again");
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_configuration_are_found_each_by_its_name() {
    let world = World::with_config(WEB).await;
    let ledger = world.local.ledger();
    let (version, web) = ledger.environment_config("web").await.unwrap().unwrap();
    assert_eq!((version, web.environment.deploys.len()), (1, 2));
    assert!(web.groups.contains_key("devops"), "with the group that may override its freeze");
    assert!(ledger.environment_config("nowhere").await.unwrap().is_none());
    let frozen: Vec<_> = ledger.frozen_environments().await.unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(frozen, ["web"], "api asks people, who heed its freeze");
    let people = ledger.live_people().await.unwrap();
    let people: Vec<_> = people.iter().map(|one| (one.email.as_str(), one.github.as_deref())).collect();
    assert_eq!(people, [("ada@example.com", Some("ada")), ("grace@example.com", Some("ghopper"))], "each once");
    let targets = ledger.live_targets().await.unwrap().unwrap().1;
    let mut served = Vec::new();
    for target in &targets {
        served.push((target.name.as_str(), ledger.environments_of(target).await.unwrap().join(" ")));
    }
    assert_eq!(served, [("shared", "api jobs".to_owned()), ("web", "web".to_owned())]);
}

fn tell(world: &World, sample: &str, change: impl FnOnce(&mut Value)) {
    let mut event: Value = serde_json::from_str(sample).unwrap();
    change(&mut event);
    world.aws().tell(event.to_string().as_bytes()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_inspector_says_of_an_image_decides_whether_its_gate_opens() {
    let scan = include_str!("../../../events/inspector-scan.json");
    let finding = include_str!("../../../events/inspector-finding.json");
    let image = "shop/web@sha256:c30be97422f400223c18c264d0d342afd6c98a40f8489d42bd09bd0e3a1b96a9";
    let world = World::with_config(WEB).await;
    let ledger = world.local.ledger();
    let gate = ledger.environment_config("web").await.unwrap().unwrap().1.environment.gate.unwrap();
    let today = "2026-03-02".parse().unwrap();
    let said = async || {
        world.settle().await;
        let known = ledger.image_states([image]).await.unwrap();
        check(&gate, &[image.to_owned()].into(), &known, today).to_string()
    };
    insta::assert_snapshot!(said().await, @"blocked: the scan of shop/web@sha256:c30be97422f4 is missing");
    tell(&world, scan, |_| {});
    insta::assert_snapshot!(said().await, @"blocked: 1 more (HIGH) that Inspector counted in shop/web@sha256:c30be97422f4");
    // Events overtake one another, and come twice.
    tell(&world, finding, |event| {
        event["time"] = json!("2026-03-02T15:00:00Z");
        event["detail"]["status"] = json!("SUPPRESSED");
    });
    insta::assert_snapshot!(said().await, @"passed: shop/web@sha256:c30be97422f4");
    tell(&world, finding, |_| {});
    tell(&world, finding, |_| {});
    insta::assert_snapshot!(said().await, @"passed: shop/web@sha256:c30be97422f4");
    tell(&world, finding, |event| event["time"] = json!("2026-03-02T16:00:00Z"));
    insta::assert_snapshot!(said().await, @"blocked: CVE-2026-0001 (HIGH) in shop/web@sha256:c30be97422f4");
    let known = &ledger.image_states([image]).await.unwrap()[image.split_once('@').unwrap().1];
    let kept = known.findings.first().unwrap();
    assert_eq!((known.findings.len(), kept.severity, kept.fix), (1, Severity::High, Some(Fix::Yes)));
    assert_eq!(known.scans.repositories["us-east-1/shop/web"].counts[&Severity::Medium], 12);
}
