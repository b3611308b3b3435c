//! A version that is on its way in is stopped first, by whoever brings it.

use super::targets::operator;
use super::*;
use pointsman::rolling::on_its_way;

const SERVICE: &str = "arn:aws:ecs:us-east-1:123456789012:service/shop/web";
const APPLICATION: &str = "arn:aws:codedeploy:eu-west-2:123456789012:application:shop";

/// What the next deployments of the service do: `fail`, or how long they take.
pub(super) fn tag_service(world: &World, value: &str) {
    let tags = json!([{ "key": "local:deploy", "value": value }]);
    ask(world, "ecs", REGION, "TagResource", json!({ "resourceArn": SERVICE, "tags": tags }));
}

/// The same for the CodeDeploy application of the second region.
pub(super) fn tag_application(world: &World, value: &str) {
    let tags = json!([{ "Key": "local:deploy", "Value": value }]);
    ask(world, "codedeploy", SECOND, "TagResource", json!({ "ResourceArn": APPLICATION, "Tags": tags }));
}

/// A world at the pace of real ones in which 2 has landed in both regions.
pub(super) async fn landed_slowly(config: String) -> (World, Execution) {
    let behaviour = Behaviour { pace: Pace::Real, ..Behaviour::default() };
    let world = World::start(Options { behaviour, config: Some(config), ..Options::default() }).await;
    let good = begin(&world, 2).await;
    world.pass(15 * MINUTE).await;
    let good = world.execution(&good.id).await;
    assert_eq!(good.status, ExecutionStatus::Succeeded);
    (world, good)
}

#[tokio::test(start_paused = true)]
async fn a_deployment_of_ecs_is_stopped_and_what_was_not_reached_is_held() {
    let (world, good) = landed_slowly(CONFIG.to_owned()).await;
    tag_service(&world, "10m");
    let bad = begin(&world, 3).await;
    world.pass(2 * MINUTE).await;
    let id = turn_back_of(&world, &bad, &[REGION, SECOND]).await;
    world.pass(25 * MINUTE).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert_eq!(steps(&found), ["us-east-1 stop seen"], "it never came to the other region");
    assert_eq!(runs(&world), world.digest_of(&good));
    assert_eq!(world.execution(&bad.id).await.status, ExecutionStatus::RolledBack);
    assert_eq!((landed(&world, REGION).await, landed(&world, SECOND).await), (vec![2], vec![2]));
    assert!(is_closed(&world, "Deploy-Primary") && is_closed(&world, "Deploy-Secondary"), "both are held");
    assert_eq!(world.started(PIPELINE).len(), 2, "nothing else was started");
}

/// What a person means who wants the environment turned back now, where that is not what is live.
async fn meant(world: &World) -> Option<Blamed> {
    let (_, config) = world.local.ledger().environment_config(ENVIRONMENT).await.unwrap().unwrap();
    let deploys: Vec<_> = config.environment.deploys.iter().collect();
    on_its_way(&operator(world), ENVIRONMENT, &deploys, world.aws().clock().now()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn by_hand_what_is_on_its_way_in_is_turned_back_and_not_what_is_live() {
    let (world, good) = landed_slowly(CONFIG.to_owned()).await;
    assert_eq!(meant(&world).await, None, "nothing moves: what is live is meant");
    tag_service(&world, "10m");
    let bad = begin(&world, 3).await;
    world.pass(2 * MINUTE).await;
    let found = meant(&world).await;
    assert_eq!(found.as_ref().map(|blamed| &blamed.execution), Some(&bad.id));
    let id = request_of(&world, "by hand", &[REGION, SECOND], None, found).await;
    world.pass(25 * MINUTE).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack);
    assert_eq!(runs(&world), world.digest_of(&good), "what was live is live");
    assert_eq!(meant(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_of_codedeploy_is_stopped_while_the_other_region_is_rolled_back() {
    let (world, good) = landed_slowly(CONFIG.to_owned()).await;
    tag_application(&world, "15m");
    let bad = begin(&world, 3).await;
    for _ in 0..20 {
        world.pass(MINUTE / 2).await;
        if landed(&world, REGION).await[0] == 3 {
            break;
        }
    }
    world.pass(MINUTE).await;
    let id = turn_back_of(&world, &bad, &[REGION, SECOND]).await;
    world.pass(40 * MINUTE).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert_eq!(steps(&found), ["us-east-1 rollback_stage seen", "eu-west-2 stop seen"]);
    assert_eq!(runs(&world), world.digest_of(&good));
    assert_eq!((landed(&world, REGION).await, landed(&world, SECOND).await), (vec![2, 3, 2], vec![2]));
}

/// A place that nobody can look into: the stage deploys to a bucket.
fn unseen() -> String {
    CONFIG
        .replace(", ecs = { cluster = \"shop\", service = \"web\" }", "")
        .replace(",\n    codedeploy = { application = \"shop\", deployment_group = \"web\" }", "")
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_look_the_execution_is_stopped_and_the_stage_rolled_back() {
    let (world, _) = landed_slowly(unseen()).await;
    let arn = "arn:aws:codepipeline:us-east-1:123456789012:shop-production";
    let tags = json!([{ "key": "local:Deploy-Primary/Deploy", "value": "3m" }]);
    ask(&world, "codepipeline", REGION, "TagResource", json!({ "resourceArn": arn, "tags": tags }));
    let bad = begin(&world, 3).await;
    world.pass(2 * MINUTE).await;
    let id = turn_back_of(&world, &bad, &[REGION, SECOND]).await;
    world.pass(15 * MINUTE).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert_eq!(steps(&found), ["us-east-1 rollback_stage told"]);
    assert_eq!(whys(&found[0]), ["stop: what was in flight is stopped"]);
    let stopped = ask(
        &world,
        "codepipeline",
        REGION,
        "GetPipelineExecution",
        json!({ "pipelineName": PIPELINE, "pipelineExecutionId": bad.start.aws_id() }),
    );
    assert_eq!(stopped["pipelineExecution"]["status"], "Stopped", "{stopped}");
    assert_eq!(landed(&world, REGION).await, [2, 2], "the rollback of the stage has landed");
}

#[tokio::test(start_paused = true)]
async fn a_region_whose_deployment_failed_by_itself_is_held() {
    let world = started(Behaviour::default()).await;
    let good = deploy(&world, 2).await;
    tag_application(&world, "fail");
    let bad = deploy(&world, 3).await;
    tag_application(&world, "");
    assert_eq!(landed(&world, SECOND).await, [2]);
    let id = turn_back_of(&world, &bad, &[REGION, SECOND]).await;
    world.pass(5 * MINUTE).await;
    let found = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{found:#?}");
    assert_eq!(steps(&found), ["us-east-1 rollback_stage seen"], "the other region never had it");
    assert_eq!(runs(&world), world.digest_of(&good));
    assert!(is_closed(&world, "Deploy-Secondary"), "nor will it");
}
