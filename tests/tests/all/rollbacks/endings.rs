//! How rollbacks end when things go wrong on the way.

use super::in_flight::tag_service;
use super::*;

fn refusal(code: &str) -> Fault {
    Fault::Refuse { code: code.into(), status: 400 }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_a_circuit_breaker_undoes_is_not_believed() {
    let world = started(Behaviour::default()).await;
    deploy(&world, 2).await;
    let bad = deploy(&world, 3).await;
    tag_service(&world, "fail");
    let id = turn_back(&world, "one", &[REGION], None).await;
    world.pass(20 * MINUTE).await;
    let (found, all) = (incident(&world, &id).await, rollbacks(&world, &id).await);
    assert_eq!(runs(&world), world.digest_of(&bad), "the circuit breaker has the last word");
    assert_eq!(found.status, Status::NeedsPerson, "{all:#?}");
    let steps: Vec<_> = all[0].tried.iter().map(|tried| tried.step).collect();
    assert_eq!(steps, [Step::RollbackStage, Step::Start, Step::Deploy], "{:?}", whys(&all[0]));
    assert!(whys(&all[0])[2].starts_with("deploy: AWS says that it succeeded, and "), "{:?}", whys(&all[0]));
    let last = &all[0].tried[2].why;
    assert_eq!(found.reason, format!("us-east-1: no step brought it back; the last one: {last}"));
    assert!(is_closed(&world, "Deploy-Primary"), "it stays held");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_comes_back_only_with_the_second_step_is_seen() {
    let world = started(Behaviour::default()).await;
    let good = deploy(&world, 2).await;
    deploy(&world, 3).await;
    tag_service(&world, "fail");
    let id = turn_back(&world, "one", &[REGION], None).await;
    for _ in 0..300 {
        world.pass(Duration::from_secs(1)).await;
        if rollbacks(&world, &id).await.first().is_some_and(|one| !one.tried.is_empty()) {
            break;
        }
    }
    tag_service(&world, "");
    world.pass(10 * MINUTE).await;
    let all = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{all:#?}");
    assert_eq!(steps(&all), ["us-east-1 start seen"], "{:?}", whys(&all[0]));
    assert_eq!(runs(&world), world.digest_of(&good));
}

#[tokio::test(start_paused = true)]
async fn where_no_step_works_a_person_reads_what_the_last_one_said() {
    let world = started(Behaviour::default()).await;
    deploy(&world, 2).await;
    deploy(&world, 3).await;
    let faults = world.aws().faults();
    faults.next("codepipeline", "RollbackStage", refusal("UnableToRollbackStageException"));
    faults.next("codepipeline", "StartPipelineExecution", refusal("PipelineNotFoundException"));
    faults.next("ecs", "UpdateService", refusal("ServiceNotActiveException"));
    let id = turn_back(&world, "one", &[REGION], None).await;
    world.pass(5 * MINUTE).await;
    let (found, all) = (incident(&world, &id).await, rollbacks(&world, &id).await);
    assert_eq!(found.status, Status::NeedsPerson);
    let injected = "This refusal was injected.";
    assert_eq!(
        whys(&all[0]),
        [
            format!("rollback_stage: UnableToRollbackStageException: {injected}"),
            format!("start: PipelineNotFoundException: {injected}"),
            format!("deploy: ServiceNotActiveException: {injected}"),
        ]
    );
    let last = format!("ServiceNotActiveException: {injected}");
    assert_eq!(found.reason, format!("us-east-1: no step brought it back; the last one: {last}"));
    assert_eq!(all[0].accepted_at, None, "AWS took none of them: no cooldown");
    assert!(found.due_at.is_some(), "and it is counted until somebody acts");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_killed_at_any_moment_is_finished_and_made_once() {
    for after in [0, 5, 20, 60, 120, 250, 500, 1_000, 2_000] {
        let killed = Arc::new(Mutex::new(3_u32));
        let left = killed.clone();
        let reaper: Reaper = Arc::new(move |function| {
            let mut left = left.lock().unwrap();
            let is_struck = function.contains("rollback") && *left > 0;
            *left -= u32::from(is_struck);
            is_struck.then(|| Duration::from_millis(after))
        });
        let options = Options { config: Some(CONFIG.to_owned()), reaper: Some(reaper), ..Options::default() };
        let world = World::start(options).await;
        let good = deploy(&world, 2).await;
        deploy(&world, 3).await;
        *killed.lock().unwrap() = 3;
        slow_calls(&world);
        let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
        world.pass(10 * MINUTE).await;
        assert!(*killed.lock().unwrap() < 3, "it was killed");
        let all = rollbacks(&world, &id).await;
        assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "after {after} ms: {all:#?}");
        assert_eq!(runs(&world), world.digest_of(&good));
        assert_eq!(world.started(PIPELINE).len(), 4, "after {after} ms: two deployments, and one rollback per stage");
    }
}

/// The next calls take a while, so that there is something to be killed in.
fn slow_calls(world: &World) {
    let calls = [("codepipeline", "GetPipelineState"), ("codepipeline", "RollbackStage"), ("ecs", "DescribeServices")];
    for (service, operation) in calls {
        for _ in 0..4 {
            world.aws().faults().next(service, operation, Fault::Delay(Duration::from_millis(50)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_event_tells_sweep_finds() {
    let world = started(Behaviour::default()).await;
    let good = deploy(&world, 2).await;
    deploy(&world, 3).await;
    let lost = [
        "Rollback Requested",
        "CodePipeline Pipeline Execution State Change",
        "CodePipeline Stage Execution State Change",
        "CodePipeline Action Execution State Change",
        "ECS Deployment State Change",
        "CodeDeploy Deployment State-change Notification",
    ];
    for detail_type in lost {
        for _ in 0..100 {
            world.aws().faults().next_event(detail_type, EventFault::Never);
        }
    }
    let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
    world.pass(90 * MINUTE).await;
    let all = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{all:#?}");
    assert_eq!(steps(&all), ["us-east-1 rollback_stage seen", "eu-west-2 rollback_stage seen"]);
    assert_eq!(runs(&world), world.digest_of(&good));
    assert_eq!(landed(&world, REGION).await, [2, 3, 2]);
}

#[tokio::test(start_paused = true)]
async fn two_requests_at_the_same_moment_make_one_rollback() {
    let world = started(Behaviour::default()).await;
    deploy(&world, 2).await;
    let bad = deploy(&world, 3).await;
    let requests = [("one", None), ("two", Some(&bad)), ("three", None)];
    let mut ids = Vec::new();
    for (request, blamed) in requests {
        let blamed = blamed.map(|bad| Blamed { execution: bad.id.clone(), sha: bad.sha.clone() });
        ids.push(request_of(&world, request, &[REGION, SECOND], None, blamed).await);
    }
    world.pass(5 * MINUTE).await;
    assert_eq!(world.started(PIPELINE).len(), 4, "two deployments, and a rollback of each stage");
    let mut all: Vec<_> = Vec::new();
    for id in ids {
        let found = incident(&world, &id).await;
        assert_eq!(found.status, Status::RolledBack, "{found:#?}");
        all.extend(found.rollbacks);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 2, "all three are answered by the same rollbacks");
}

/// In how many of ten minutes `sweep` finds that the regions of an environment disagree: it looks in one of them.
async fn disagreements(world: &World) -> u64 {
    let mut found = 0;
    for _ in 0..10 {
        world.pass(MINUTE).await;
        let summary = world.aws().lambda().invoke(world.aws(), "pointsman-SweepFunction", json!({})).await.unwrap();
        found += summary["regions_disagree"].as_u64().unwrap();
    }
    found
}

#[tokio::test(start_paused = true)]
async fn regions_that_run_different_versions_raise_an_alarm_unless_one_is_on_its_way() {
    let world = started_with("regions = \"all\"").await;
    for number in [2, 3] {
        deploy(&world, number).await;
    }
    assert_eq!(disagreements(&world).await, 0, "both run 3");
    let id = turn_back(&world, "one", &[SECOND], None).await;
    world.pass(2 * MINUTE).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack);
    assert_eq!(disagreements(&world).await, 1, "the first runs 3, the second 2");
    deploy(&world, 4).await;
    assert_eq!((landed(&world, REGION).await[0], landed(&world, SECOND).await[0]), (4, 2));
    assert_eq!(disagreements(&world).await, 0, "4 has come through the first, and waits before the second");
}

#[tokio::test(start_paused = true)]
async fn how_ready_each_region_is_stands_on_record_before_anything_is_wrong() {
    let world = started(Behaviour::default()).await;
    for number in [2, 3] {
        deploy(&world, number).await;
    }
    let ready = async |region| {
        // `sweep` looks every ten minutes.
        world.pass(11 * MINUTE).await;
        world.local.ledger().readiness(ENVIRONMENT, region).await.unwrap().unwrap().value
    };
    let number = |commit: Option<&Sha>| commit.map(|commit| number_of(commit.as_str()));
    let found = ready(REGION).await;
    assert_eq!((number(found.live.as_ref()), number(found.to.as_ref())), (Some(3), Some(2)));
    assert_eq!((found.step, &found.problem), (Some(Step::RollbackStage), &None), "{found:#?}");
    edit(&world);
    for region in [REGION, SECOND] {
        let found = ready(region).await;
        assert_eq!(found.step, Some(Step::Start), "{region}: {found:#?}");
        let why = found.steps[0].cannot.as_deref().unwrap_or_default();
        assert!(why.starts_with("the pipeline was edited on "), "{region}: {why}");
    }
}
