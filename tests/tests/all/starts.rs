//! Starts: asked for once, reconciled when the reply is lost, patient when AWS is full.

mod rollbacks;

use crate::journeys::SHOP;
use pointsman::aws::targets::Targets;
use pointsman::domain::execution::{Start, StartEvent, Status};
use pointsman::run::Engine;
use pointsman_local::aws::Behaviour;
use pointsman_local::faults::{EventFault, Fault};
use pointsman_local::runner::{Options, REGION};
use pointsman_tests::payloads::{REPOSITORY_ID, pull_request, push, sha};
use pointsman_tests::world::World;
use serde_json::json;
use std::time::Duration;

async fn world(token_honoured: bool) -> World {
    let behaviour = Behaviour { start_token_honoured: token_honoured, ..Behaviour::default() };
    World::start(Options { behaviour, config: Some(SHOP.to_owned()), ..Options::default() }).await
}

fn mute_events(world: &World, count: usize) {
    for kind in ["Pipeline", "Stage", "Action"] {
        for _ in 0..count {
            world.aws().faults().next_event(format!("CodePipeline {kind} Execution State Change"), EventFault::Never);
        }
    }
}

async fn only_execution(world: &World) -> pointsman::domain::execution::Execution {
    let mut all = world.executions().await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_reconciled_and_never_a_second_start() {
    for honoured in [true, false] {
        for fault in [Fault::LoseAfter, Fault::Silent] {
            let world = world(honoured).await;
            world.aws().faults().next("codepipeline", "StartPipelineExecution", fault.clone());
            world.send("push", "lost", &push("main", 1, 2, 1)).await;
            world.pass(Duration::from_secs(120)).await;
            assert_eq!(world.commits("dev"), [2], "token honoured: {honoured}, {fault:?}");
            assert_eq!(world.outcome("lost").await.0, "executed");
            let execution = only_execution(&world).await;
            assert_eq!(execution.start.aws_id(), Some(world.started("dev")[0].0.as_str()));
            assert_eq!(execution.status, Status::Succeeded);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_events_too_sweep_finds_the_start_whose_reply_was_lost() {
    let world = world(false).await;
    world.aws().faults().next("codepipeline", "StartPipelineExecution", Fault::LoseAfter);
    mute_events(&world, 100);
    world.send("push", "lost", &push("main", 1, 2, 1)).await;
    world.pass(Duration::from_secs(30 * 60)).await;
    assert_eq!(world.commits("dev"), [2]);
    let execution = only_execution(&world).await;
    assert_eq!(execution.status, Status::Succeeded, "sweep asks about what went quiet");
}

#[tokio::test(start_paused = true)]
async fn absence_counts_only_after_ten_minutes_and_then_it_is_started_once_more() {
    let world = world(false).await;
    world.aws().faults().next("codepipeline", "StartPipelineExecution", Fault::LoseBefore);
    world.send("push", "lost", &push("main", 1, 2, 1)).await;
    world.pass(Duration::from_secs(9 * 60)).await;
    assert!(world.commits("dev").is_empty(), "an absence of nine minutes is none");
    let (status, reason) = world.outcome("lost").await;
    assert_eq!(status, "received");
    assert!(reason.contains("has not answered"), "{reason}");
    world.pass(Duration::from_secs(4 * 60)).await;
    assert_eq!(world.commits("dev"), [2]);
    assert_eq!(world.outcome("lost").await.0, "executed");
}

#[tokio::test(start_paused = true)]
async fn what_stays_unclear_is_parked_until_a_person_resolves_it() {
    for start_again in [false, true] {
        let world = world(false).await;
        for _ in 0..2 {
            world.aws().faults().next("codepipeline", "StartPipelineExecution", Fault::LoseBefore);
        }
        world.send("push", "lost", &push("main", 1, 2, 1)).await;
        world.pass(Duration::from_secs(30 * 60)).await;
        let execution = only_execution(&world).await;
        assert_eq!(execution.status, Status::Unknown);
        let (status, reason) = world.outcome("lost").await;
        assert_eq!(status, "unknown");
        assert!(reason.contains("resolve"), "{reason}");
        assert!(world.commits("dev").is_empty(), "never a blind retry");
        let counted = world.aws().lambda().invoke(world.aws(), "pointsman-SweepFunction", json!({})).await.unwrap();
        assert!(counted["unknown"].as_u64() <= Some(1));

        let engine = Engine {
            ledger: world.local.ledger(),
            targets: Targets::new(&world.local.fleet.config("operator", REGION), vec![]),
            actor: "operator".to_owned(),
        };
        let event = if start_again {
            StartEvent::StartAgain
        } else {
            let input = json!({
                "name": "dev",
                "sourceRevisions": [{ "actionName": "GitHub", "revisionType": "COMMIT_ID", "revisionValue": sha(2) }],
            });
            let started = world.aws().ask("codepipeline", REGION, "StartPipelineExecution", input).unwrap();
            StartEvent::ResolvedAs { aws_id: started["pipelineExecutionId"].as_str().unwrap().to_owned() }
        };
        let now = world.aws().clock().now();
        engine.take_up(&execution.id, &event, now).await.unwrap();
        world.pass(Duration::from_secs(120)).await;
        assert_eq!(world.commits("dev"), [2], "start again: {start_again}");
        assert_eq!(world.outcome("lost").await.0, "executed", "start again: {start_again}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_pipeline_leaves_it_requested_and_sweep_starts_it() {
    let world = world(true).await;
    for code in ["ConcurrentPipelineExecutionsLimitExceededException", "ConflictException"] {
        let refuse = Fault::Refuse { code: code.to_owned(), status: 400 };
        world.aws().faults().next("codepipeline", "StartPipelineExecution", refuse);
    }
    world.send("push", "full", &push("main", 1, 2, 1)).await;
    world.pass(Duration::from_secs(5)).await;
    let (status, reason) = world.outcome("full").await;
    assert_eq!(status, "received");
    assert!(reason.contains("waiting for room"), "{reason}");
    assert_eq!(only_execution(&world).await.status, Status::Requested);
    world.pass(Duration::from_secs(180)).await;
    assert_eq!(world.commits("dev"), [2]);
    assert_eq!(world.outcome("full").await.0, "executed");
}

#[tokio::test(start_paused = true)]
async fn a_newer_push_overtakes_one_that_waits_for_room() {
    let world = world(true).await;
    let full = Fault::Refuse { code: "ConcurrentPipelineExecutionsLimitExceededException".to_owned(), status: 400 };
    world.aws().faults().next("codepipeline", "StartPipelineExecution", full);
    world.send("push", "older", &push("main", 1, 2, 1)).await;
    world.pass(Duration::from_secs(5)).await;
    world.send("push", "newer", &push("main", 2, 3, 2)).await;
    world.pass(Duration::from_secs(180)).await;
    assert_eq!(world.commits("dev"), [3], "the older one never starts after the newer one");
    let (status, reason) = world.outcome("older").await;
    assert_eq!(status, "ignored");
    assert!(reason.contains("newer"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_start_fails_and_githubs_redelivery_tries_it_again() {
    let world = world(true).await;
    let declaration = world.aws().ask("codepipeline", REGION, "GetPipeline", json!({ "name": "dev" })).unwrap();
    world.aws().ask("codepipeline", REGION, "DeletePipeline", json!({ "name": "dev" })).unwrap();
    let payload = push("main", 1, 2, 1);
    world.send("push", "refused", &payload).await;
    world.settle().await;
    let (status, reason) = world.outcome("refused").await;
    assert_eq!(status, "failed");
    assert!(reason.contains("PipelineNotFoundException"), "{reason}");
    let mut declaration = declaration["pipeline"].clone();
    declaration.as_object_mut().unwrap().remove("version");
    world.aws().ask("codepipeline", REGION, "CreatePipeline", json!({ "pipeline": declaration })).unwrap();
    world.send("push", "refused", &payload).await;
    world.settle().await;
    assert_eq!(world.outcome("refused").await.0, "executed");
    assert_eq!(world.commits("dev").iter().filter(|commit| **commit == 2).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn record_adopts_an_execution_before_dispatch_saved_its_id() {
    let world = world(false).await;
    // The answer comes six seconds late; the call has timed out by then, and the events are there first.
    world.aws().faults().next("codepipeline", "StartPipelineExecution", Fault::Delay(Duration::from_secs(6)));
    world.send("push", "slow", &push("main", 1, 2, 1)).await;
    world.pass(Duration::from_secs(20)).await;
    let execution = only_execution(&world).await;
    assert!(matches!(execution.start, Start::Started { .. }), "{:?}", execution.start);
    assert_eq!(world.commits("dev"), [2]);
    assert_eq!(world.outcome("slow").await.0, "executed");
}

#[tokio::test(start_paused = true)]
async fn a_build_whose_reply_was_lost_is_found_by_the_id_that_it_carries() {
    for fault in [Fault::LoseAfter, Fault::LoseBefore, Fault::Silent] {
        let world = world(true).await;
        world.aws().faults().next("codebuild", "StartBuild", fault.clone());
        let payload = pull_request("opened", 30, "main", Some(REPOSITORY_ID));
        world.send("pull_request", "build", &payload).await;
        // Longer than CodeBuild's token holds: looked for before it is started again.
        world.pass(Duration::from_secs(15 * 60)).await;
        assert_eq!(world.builds("validate"), [30], "{fault:?}");
        assert_eq!(world.outcome("build").await.0, "executed", "{fault:?}");
        assert_eq!(only_execution(&world).await.status, Status::Succeeded, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_take_it_is_a_503_and_a_redelivery_works() {
    let world = world(true).await;
    world.send("push", "warm-up", &push("staging", 1, 9, 1)).await;
    for _ in 0..3 {
        world.aws().faults().next("sqs", "SendMessage", Fault::LoseBefore);
    }
    assert_eq!(world.send("push", "unlucky", &push("main", 1, 2, 1)).await, 503);
    world.settle().await;
    assert!(world.delivery("unlucky").await.is_none(), "nothing was written");
    assert_eq!(world.send("push", "unlucky", &push("main", 1, 2, 1)).await, 202);
    world.settle().await;
    assert_eq!(world.outcome("unlucky").await.0, "executed");
}

#[tokio::test(start_paused = true)]
async fn events_in_any_order_and_number_make_the_same_record() {
    let world = world(true).await;
    for kind in ["Pipeline", "Stage", "Action"] {
        let name = format!("CodePipeline {kind} Execution State Change");
        world.aws().faults().next_event(name.clone(), EventFault::Delay(Duration::from_secs(8)));
        world.aws().faults().next_event(name.clone(), EventFault::Duplicate);
        world.aws().faults().next_event(name, EventFault::Delay(Duration::from_secs(3)));
    }
    world.send("push", "shuffled", &push("main", 1, 2, 1)).await;
    world.pass(Duration::from_secs(30)).await;
    let execution = only_execution(&world).await;
    assert_eq!(execution.status, Status::Succeeded);
    let ledger = world.local.ledger();
    let run = ledger.run(&execution.target, execution.start.aws_id().unwrap(), execution.created_at);
    let observed = run.await.unwrap().value.observed;
    assert!(observed.stages.values().all(|stage| stage.began.is_some() && stage.ended_at().is_some()), "{observed:#?}");
}
