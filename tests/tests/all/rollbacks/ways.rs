//! What stands in the way of a rollback: the mode of the pipeline, approvals, the gate, a freeze, and our own hold.

use super::*;

const BOB: &str = "bob@example.com";

/// People are asked, and the gate wants a scan without findings.
const ASKING: &str = r#"
[environments.web-production.approval]
require = { devops = 1 }
[environments.web-production.gate]
findings = ["CRITICAL"]
[approvers.devops]
members = [{ email = "bob@example.com" }]
"#;

/// From 12:30 to 20:00 on the day on which every world begins.
const FREEZE: &str = r#"
[environments.web-production.freeze]
windows = [{ from = "2026-11-01T12:30", to = "2026-11-01T20:00", timezone = "UTC" }]
"#;

/// Inspector has looked at the image of an execution, and found nothing.
fn scanned(world: &World, execution: &Execution) {
    let event = json!({
        "source": "aws.inspector2", "detail-type": "Inspector2 Scan", "resources": [],
        "detail": {
            "scan-status": "INITIAL_SCAN_COMPLETE",
            "repository-name": "arn:aws:ecr:us-east-1:123456789012:repository/shop-production",
            "image-digest": world.digest_of(execution), "image-tags": [],
            "finding-severity-counts": { "CRITICAL": 0, "HIGH": 0, "MEDIUM": 0, "TOTAL": 0 },
        },
    });
    world.aws().tell(event.to_string().as_bytes()).unwrap();
}

/// Pushes commit `number`, has Bob let it in, and lets it land.
async fn let_in(world: &World, number: u64) -> Execution {
    let execution = begin(world, number).await;
    world.pass(Duration::from_secs(20)).await;
    let execution = world.execution(&execution.id).await;
    scanned(world, &execution);
    world.pass(Duration::from_secs(5)).await;
    let answer = world.approve(&world.link_of(BOB), &sha(number)[..7]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    world.pass(Duration::from_secs(30)).await;
    let execution = world.execution(&execution.id).await;
    assert_eq!(execution.status, ExecutionStatus::Succeeded);
    execution
}

#[tokio::test(start_paused = true)]
async fn a_start_passes_approval_gate_freeze_and_hold_without_anybody() {
    for freeze in ["", FREEZE] {
        let world = started_with(&format!("{ASKING}{freeze}")).await;
        let_in(&world, 2).await;
        let_in(&world, 3).await;
        world.pass(40 * MINUTE).await;
        edit(&world);
        let (asked, made) = (world.mails_to(BOB).len(), world.started(PIPELINE).len());
        let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
        world.pass(10 * MINUTE).await;
        let found = rollbacks(&world, &id).await;
        assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{freeze}: {found:#?}");
        assert_eq!(steps(&found), ["us-east-1 start seen", "eu-west-2 start seen"]);
        assert_eq!((landed(&world, REGION).await[0], landed(&world, SECOND).await[0]), (2, 2));
        assert_eq!(world.mails_to(BOB).len(), asked, "nobody is asked again");
        assert_eq!(world.started(PIPELINE).len(), made + 1, "one start brings it to both regions");
        let passed = world.approvals().await.into_iter().filter(|approval| approval.status() == "passed").count();
        assert_eq!(passed, 1);
        assert!(is_closed(&world, "Deploy-Primary") && is_closed(&world, "Deploy-Secondary"));
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_freeze_that_closes_the_ways_a_rollback_comes_through() {
    for passes in [true, false] {
        for edited in [false, true] {
            let behaviour = Behaviour { rollback_passes_transition: passes, ..Behaviour::default() };
            let options = Options { behaviour, config: Some(config(FREEZE)), ..Options::default() };
            let world = World::start(options).await;
            let good = deploy(&world, 2).await;
            deploy(&world, 3).await;
            world.pass(40 * MINUTE).await;
            assert!(is_closed(&world, "Deploy-Primary"), "the freeze has closed it");
            if edited {
                edit(&world);
            }
            let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
            world.pass(10 * MINUTE).await;
            let found = rollbacks(&world, &id).await;
            let case = format!("passes {passes}, edited {edited}");
            assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{case}: {found:#?}");
            let step = if edited { "start" } else { "rollback_stage" };
            assert_eq!(steps(&found), [format!("us-east-1 {step} seen"), format!("eu-west-2 {step} seen")], "{case}");
            assert_eq!((landed(&world, REGION).await[0], landed(&world, SECOND).await[0]), (2, 2), "{case}");
            if !edited {
                assert_eq!(runs(&world), world.digest_of(&good), "{case}");
            }
            assert!(is_closed(&world, "Deploy-Primary") && is_closed(&world, "Deploy-Secondary"), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_approval_of_the_bad_version_is_rejected() {
    let world = started_with(ASKING).await;
    let_in(&world, 2).await;
    let bad = let_in(&world, 3).await;
    let revision = json!({ "actionName": "GitHub", "revisionType": "COMMIT_ID", "revisionValue": sha(3) });
    let again = ask(
        &world,
        "codepipeline",
        REGION,
        "StartPipelineExecution",
        json!({ "name": PIPELINE, "sourceRevisions": [revision] }),
    );
    world.pass(30 * MINUTE / 60).await;
    let again = again["pipelineExecutionId"].as_str().unwrap().to_owned();
    let open = |all: Vec<pointsman::domain::approval::Approval>| {
        all.into_iter().filter(|approval| approval.status() == "open").count()
    };
    assert_eq!(open(world.approvals().await), 1, "somebody has started it once more");
    let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
    world.pass(10 * MINUTE).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert_eq!(open(world.approvals().await), 0);
    let ended = world.executions().await.into_iter().find(|one| one.start.aws_id() == Some(again.as_str())).unwrap();
    assert_eq!(ended.status, ExecutionStatus::Failed, "{ended:#?}");
    assert_eq!(world.execution(&bad.id).await.status, ExecutionStatus::RolledBack);
}

/// Has every stage run as many executions side by side as there are.
fn parallel(world: &World) {
    let mut declared =
        ask(world, "codepipeline", REGION, "GetPipeline", json!({ "name": PIPELINE }))["pipeline"].take();
    declared["executionMode"] = "PARALLEL".into();
    ask(world, "codepipeline", REGION, "UpdatePipeline", json!({ "pipeline": declared }));
}

#[tokio::test(start_paused = true)]
async fn in_parallel_mode_the_pipeline_is_started_with_the_last_good_commit() {
    let world = started(Behaviour::default()).await;
    parallel(&world);
    deploy(&world, 2).await;
    deploy(&world, 3).await;
    let id = turn_back(&world, "one", &[REGION, SECOND], None).await;
    world.pass(10 * MINUTE).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert_eq!(steps(&found), ["us-east-1 start seen", "eu-west-2 start seen"]);
    let mode =
        "rollback_stage: UnableToRollbackStageException: A stage of a pipeline in PARALLEL mode cannot be rolled back.";
    assert_eq!(whys(&found[0]), [mode]);
    assert_eq!((landed(&world, REGION).await[0], landed(&world, SECOND).await[0]), (2, 2));
    assert!(is_closed(&world, "Deploy-Primary") && is_closed(&world, "Deploy-Secondary"));
}
