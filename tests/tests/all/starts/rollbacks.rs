//! Starts of rollbacks of a stage: RollbackStage takes no token, so once is for us to see to.

use super::mute_events;
use pointsman::aws::targets::{Answer, Targets};
use pointsman::domain::environment::Version;
use pointsman::domain::execution::{Execution, ExecutionId, Kind, Origin, StageBack, Start, StartEvent, Status};
use pointsman::domain::rollback::RollbackId;
use pointsman::ledger::{Loaded, Writes, execution_subject};
use pointsman::run::Engine;
use pointsman_local::aws::Behaviour;
use pointsman_local::faults::Fault;
use pointsman_local::runner::{Options, REGION};
use pointsman_tests::payloads::push;
use pointsman_tests::world::World;
use serde_json::{Value, json};
use std::time::Duration;

/// A pipeline with two stages that deploy.
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

/// A world in which a bad version followed a good one, and the good one.
async fn world() -> (World, Execution) {
    world_that(Behaviour::default()).await
}

async fn world_that(behaviour: Behaviour) -> (World, Execution) {
    let world = World::start(Options { behaviour, config: Some(WEB.to_owned()), ..Options::default() }).await;
    for number in [2, 3] {
        world.send("push", &format!("push-{number}"), &push("main", number - 1, number, number as i64)).await;
        world.settle().await;
    }
    let good = world.delivery("push-2").await.unwrap().plan[0].execution.clone();
    let good = world.execution(&good).await;
    (world, good)
}

/// As a function of ours asks for what it starts.
fn engine(world: &World) -> Engine {
    Engine {
        ledger: world.local.ledger(),
        targets: Targets::new(
            &world.local.fleet.config("pointsman-DispatchRole", REGION),
            vec!["pointsman-DispatchRole".to_owned(), "pointsman-SweepRole".to_owned()],
        ),
        actor: "rollback".to_owned(),
    }
}

/// A rollback of `stage` to `good` that nobody asked for yet.
async fn wanted(world: &World, good: &Execution, stage: &str, change: impl FnOnce(&mut Execution)) -> ExecutionId {
    let now = world.aws().clock().now();
    let rollback = RollbackId::of("web", stage, &ExecutionId::named("ex-bad"));
    let id = ExecutionId::of_rollback(&rollback, "stage");
    let mut execution = Execution {
        id: id.clone(),
        kind: Kind::Rollback,
        origin: Origin::Rollback { rollback },
        route: None,
        rolls_back: Some(StageBack { stage: stage.to_owned(), to: good.start.aws_id().unwrap().to_owned() }),
        fence: None,
        start: Start::Requested { refusal: None, asks: 0 },
        status: Status::Requested,
        created_at: now,
        wanted_since: now,
        updated_at: now,
        due_at: Some(now),
        ..good.clone()
    };
    change(&mut execution);
    world.local.ledger().save(Writes::new().execution(&Loaded::absent(execution))).await.unwrap();
    id
}

async fn begin(world: &World, id: &ExecutionId) -> Execution {
    let now = world.aws().clock().now();
    engine(world).take_up(id, &StartEvent::Begin, now).await.unwrap()
}

/// AWS's ids of the rollbacks that CodePipeline made, oldest first.
fn made(world: &World) -> Vec<String> {
    let answer = world.aws().ask("codepipeline", REGION, "ListPipelineExecutions", json!({ "pipelineName": "web" }));
    let answer = answer.unwrap();
    let all = answer["pipelineExecutionSummaries"].as_array().unwrap().iter().rev();
    let rollbacks = all.filter(|one| one["executionType"] == "ROLLBACK");
    rollbacks.map(|one| one["pipelineExecutionId"].as_str().unwrap().to_owned()).collect()
}

async fn live(world: &World, region: &str) -> Version {
    let mut states = world.local.ledger().environment_states("web", [region]).await.unwrap();
    states.remove(0).value.live().cloned().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_an_execution_of_ours_from_its_intent_to_its_landing() {
    let (world, good) = world().await;
    let id = wanted(&world, &good, "Primary", |_| {}).await;
    begin(&world, &id).await;
    world.settle().await;
    let execution = world.execution(&id).await;
    assert_eq!(made(&world), [execution.start.aws_id().unwrap()]);
    assert_eq!((execution.status, execution.sha.as_ref()), (Status::Succeeded, good.sha.as_ref()));
    let live = live(&world, REGION).await;
    assert_eq!((&live.execution, live.goes_back_to.as_deref()), (&id, good.start.aws_id()));
    assert!(live.began.is_some_and(|began| began <= live.at && began >= execution.created_at), "{live:?}");
    assert_eq!(live.images, good.images);
    let chain = world.local.ledger().chain(&execution_subject(&id)).await.unwrap();
    let story: Vec<_> = chain.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(story, ["start intended", "start answered", "reported succeeded"]);
    let back = format!("stage Primary to {}", good.start.aws_id().unwrap());
    assert_eq!(chain[0].detail["rolls_back"], back);
    assert_eq!(world.executions().await.len(), 3, "record made no second one of it");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_whose_reply_was_lost_is_made_once_and_recognised() {
    for fault in [Fault::LoseAfter, Fault::Silent, Fault::Delay(Duration::from_secs(6))] {
        for is_heard in [true, false] {
            let why = format!("{fault:?}, with events: {is_heard}");
            let (world, good) = world().await;
            let id = wanted(&world, &good, "Primary", |_| {}).await;
            world.aws().faults().next("codepipeline", "RollbackStage", fault.clone());
            if !is_heard {
                mute_events(&world, 100);
            }
            let asked = begin(&world, &id).await;
            assert!(matches!(asked.start, Start::Asked { asks: 1, .. }), "{why}: {:?}", asked.start);
            begin(&world, &id).await;
            // Without events `sweep` finds it in a minute, and asks how it went after ten of silence.
            world.pass(Duration::from_secs(if is_heard { 30 } else { 15 * 60 })).await;
            let execution = world.execution(&id).await;
            assert_eq!(made(&world), [execution.start.aws_id().unwrap()], "{why}");
            assert_eq!(execution.status, Status::Succeeded, "{why}");
            assert_eq!(live(&world, REGION).await.execution, id, "{why}");
            assert_eq!(world.executions().await.len(), 3, "{why}: nobody else's");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_request_that_the_network_repeats_the_second_execution_is_recorded_too() {
    let (world, good) = world().await;
    let id = wanted(&world, &good, "Primary", |_| {}).await;
    world.aws().faults().next("codepipeline", "RollbackStage", Fault::AnswerTwice);
    begin(&world, &id).await;
    world.settle().await;
    let made = made(&world);
    assert_eq!(made.len(), 2);
    let ours = world.execution(&id).await;
    assert!(ours.start.aws_id().is_some_and(|aws_id| made.iter().any(|one| one == aws_id)));
    assert_eq!(ours.status, Status::Succeeded);
    let all = world.executions().await;
    let others: Vec<_> = all.iter().filter(|one| one.kind == Kind::Rollback && one.id != id).collect();
    let [other] = others.as_slice() else { panic!("{all:#?}") };
    assert_eq!((other.status, other.environment.as_deref()), (Status::Succeeded, Some("web")));
    assert_eq!(other.rolls_back, ours.rolls_back);
    assert_ne!(other.start.aws_id(), ours.start.aws_id());
}

#[tokio::test(start_paused = true)]
async fn two_stages_that_go_back_to_one_execution_are_told_apart() {
    for is_heard in [true, false] {
        let (world, good) = world().await;
        let mut ids = Vec::new();
        for stage in ["Primary", "Secondary"] {
            ids.push(wanted(&world, &good, stage, |_| {}).await);
            world.aws().faults().next("codepipeline", "RollbackStage", Fault::LoseAfter);
        }
        if !is_heard {
            mute_events(&world, 100);
        }
        for id in &ids {
            begin(&world, id).await;
        }
        world.pass(Duration::from_secs(if is_heard { 30 } else { 15 * 60 })).await;
        let mut started = Vec::new();
        for id in &ids {
            started.push(world.execution(id).await.start.aws_id().unwrap().to_owned());
        }
        assert_eq!(started, made(&world), "with events: {is_heard}");
        for (region, id) in [(REGION, &ids[0]), ("eu-west-2", &ids[1])] {
            assert_eq!(live(&world, region).await.execution, *id, "{region}, with events: {is_heard}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_waits_at_a_shut_entrance_is_recognised_there() {
    for is_heard in [true, false] {
        let behaviour = Behaviour { rollback_passes_transition: false, ..Behaviour::default() };
        let (world, good) = world_that(behaviour).await;
        let id = wanted(&world, &good, "Primary", |_| {}).await;
        let pipelines = engine(&world).targets;
        pipelines.pipelines().close(&good.target, "Primary", "Pointsman hold").await.unwrap();
        world.aws().faults().next("codepipeline", "RollbackStage", Fault::LoseAfter);
        if !is_heard {
            mute_events(&world, 100);
        }
        begin(&world, &id).await;
        world.pass(Duration::from_secs(150)).await;
        let execution = world.execution(&id).await;
        assert_eq!((Some(made(&world)[0].as_str()), execution.status), (execution.start.aws_id(), Status::Running));
        pipelines.pipelines().open(&good.target, "Primary").await.unwrap();
        world.pass(Duration::from_secs(if is_heard { 10 } else { 15 * 60 })).await;
        assert_eq!(world.execution(&id).await.status, Status::Succeeded, "with events: {is_heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_absence_of_a_rollback_counts_only_after_ten_minutes() {
    let (world, good) = world().await;
    let id = wanted(&world, &good, "Primary", |_| {}).await;
    world.aws().faults().next("codepipeline", "RollbackStage", Fault::LoseBefore);
    begin(&world, &id).await;
    world.pass(Duration::from_secs(9 * 60)).await;
    assert!(made(&world).is_empty(), "an absence of nine minutes is none");
    world.pass(Duration::from_secs(4 * 60)).await;
    assert_eq!(made(&world), [world.execution(&id).await.start.aws_id().unwrap()], "asked once more");
}

#[tokio::test(start_paused = true)]
async fn two_rollbacks_that_cannot_be_told_apart_are_a_persons_to_settle() {
    let (world, good) = world().await;
    let id = wanted(&world, &good, "Primary", |_| {}).await;
    mute_events(&world, 100);
    world.aws().faults().next("codepipeline", "RollbackStage", Fault::LoseAfter);
    let asked = begin(&world, &id).await;
    // As when something between us and AWS repeats the request.
    let again = engine(&world).targets.start(&asked).await;
    assert!(matches!(again, Answer::Known(StartEvent::Answered { .. })), "{again:?}");
    world.pass(Duration::from_secs(3 * 60)).await;
    let execution = world.execution(&id).await;
    let Start::Unknown { candidates, .. } = &execution.start else { panic!("{:?}", execution.start) };
    let made = made(&world);
    assert_eq!(candidates.iter().rev().collect::<Vec<_>>(), made.iter().collect::<Vec<_>>(), "newest first");
    assert_eq!(made.len(), 2);
    let event = StartEvent::ResolvedAs { aws_id: made[1].clone() };
    let resolved = engine(&world).take_up(&id, &event, world.aws().clock().now()).await.unwrap();
    assert_eq!(resolved.start.aws_id(), Some(made[1].as_str()));
}

/// Changes what is asked for so that AWS refuses it.
type Spoil = fn(&mut Execution);

fn back(execution: &mut Execution) -> &mut StageBack {
    execution.rolls_back.as_mut().unwrap()
}

fn edit(world: &World) {
    let ask = |operation: &str, input: Value| world.aws().ask("codepipeline", REGION, operation, input).unwrap();
    let mut declared = ask("GetPipeline", json!({ "name": "web" }))["pipeline"].clone();
    declared.as_object_mut().unwrap().remove("version");
    ask("UpdatePipeline", json!({ "pipeline": declared }));
}

#[tokio::test(start_paused = true)]
async fn what_aws_refuses_ends_refused_in_aws_s_own_words() {
    #[rustfmt::skip]
    let cases: [(Spoil, bool, &str, &str); 5] = [
        (|it| back(it).to = "00000000-0000-4000-8000-000000000000".into(), false, "PipelineExecutionNotFoundException: The pipeline 'web' does not have", "no such execution"),
        (|it| back(it).stage = "Nope".into(),                              false, "StageNotFoundException: The account",                                 "no such stage"),
        (|it| it.target.name = "nope".into(),                              false, "PipelineNotFoundException: Account",                                  "no such pipeline"),
        (|it| back(it).stage = "Source".into(),                            false, "UnableToRollbackStageException: The source stage cannot",             "a source stage"),
        (|_| {},                                                           true,  "PipelineExecutionOutdatedException: The pipeline execution",          "the pipeline was edited since"),
    ];
    for (spoil, is_edited, expected, why) in cases {
        let (world, good) = world().await;
        if is_edited {
            edit(&world);
        }
        let id = wanted(&world, &good, "Primary", spoil).await;
        begin(&world, &id).await;
        world.pass(Duration::from_secs(90)).await;
        let execution = world.execution(&id).await;
        let Start::Refused { reason } = &execution.start else { panic!("{why}: {:?}", execution.start) };
        assert!(reason.starts_with(expected), "{why}: {reason}");
        assert_eq!((execution.status, made(&world).len()), (Status::Failed, 0), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_for_which_there_is_no_room_now_is_asked_for_again() {
    let full = ["ConcurrentPipelineExecutionsLimitExceededException", "ConflictException", "ThrottlingException"];
    for code in full {
        let (world, good) = world().await;
        let id = wanted(&world, &good, "Primary", |_| {}).await;
        let refuse = Fault::Refuse { code: code.to_owned(), status: 400 };
        world.aws().faults().next("codepipeline", "RollbackStage", refuse);
        let full = begin(&world, &id).await;
        let Start::Requested { refusal: Some(refusal), .. } = &full.start else { panic!("{code}: {:?}", full.start) };
        assert!(refusal.starts_with(code), "{refusal}");
        world.pass(Duration::from_secs(180)).await;
        assert_eq!(made(&world), [world.execution(&id).await.start.aws_id().unwrap()], "{code}");
    }
}
