//! What runs is what was built: the digest that a service runs, in each region, against the one that the build told.

use pointsman_local::aws::lambda::{Answer, Invocation};
use pointsman_local::runner::REGION;
use pointsman_tests::payloads::push;
use pointsman_tests::world::{BEGIN, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: &str = "eu-west-2";
const PIPELINE: &str = "shop-production";
const CONFIG: &str = r#"
version = 1

[environments.web-production]
deploys = [
  { region = "us-east-1", pipeline = "shop-production", stage = "Deploy-Primary", ecs = { cluster = "shop", service = "web" } },
  { region = "eu-west-2", pipeline = "shop-production", stage = "Deploy-Secondary", pipeline_region = "us-east-1",
    codedeploy = { application = "shop", deployment_group = "web" } },
]

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

/// The image that the tasks of a service are made from.
fn running(world: &World, region: &str, cluster: &str, service: &str) -> String {
    let found = ask(world, "ecs", region, "DescribeServices", json!({ "cluster": cluster, "services": [service] }));
    let found = &found["services"][0];
    let sets = found["taskSets"].as_array().into_iter().flatten();
    let primary = sets.into_iter().find(|set| set["status"] == "PRIMARY").unwrap_or(found);
    let definition =
        ask(world, "ecs", region, "DescribeTaskDefinition", json!({ "taskDefinition": primary["taskDefinition"] }));
    definition["taskDefinition"]["containerDefinitions"][0]["image"].as_str().unwrap().to_owned()
}

/// What runs in both regions: the digests of the images, which lie in repositories of their regions.
fn running_digests(world: &World) -> [String; 2] {
    let digest = |region: &str, cluster: &str, service: &str| {
        let image = running(world, region, cluster, service);
        let repository = format!("123456789012.dkr.ecr.{region}.amazonaws.com/{service}");
        let (name, digest) = image.split_once('@').unwrap_or_else(|| panic!("{image} has no digest"));
        assert_eq!(name, repository);
        digest.to_owned()
    };
    [digest(REGION, "shop", "web"), digest(SECOND, "shop", "shop")]
}

/// Pushes commit `number`, and answers with CodePipeline's execution and the digest that its build told.
async fn deploy(world: &World, number: u64) -> (String, String) {
    let delivery = format!("00000000-0000-4000-8000-{number:012}");
    let seconds = i64::try_from(number).unwrap();
    let payload = push("production", number - 1, number, BEGIN + seconds);
    assert_eq!(world.send("push", &delivery, &payload).await, 202);
    world.pass(Duration::from_secs(60)).await;
    let (execution, _) = world.started(PIPELINE).pop().unwrap();
    let filter = json!({ "pipelineName": PIPELINE, "filter": { "pipelineExecutionId": execution } });
    let actions = ask(world, "codepipeline", REGION, "ListActionExecutions", filter);
    let actions = actions["actionExecutionDetails"].as_array().unwrap();
    let build = actions.iter().find(|action| action["actionName"] == "Build").unwrap();
    let digest = build["output"]["outputVariables"]["IMAGE_DIGEST"].as_str().unwrap_or_else(|| panic!("{build}"));
    (execution, digest.to_owned())
}

fn tag(world: &World, value: &str) {
    let service = json!([{ "key": "local:deploy", "value": value }]);
    let arn = "arn:aws:ecs:us-east-1:123456789012:service/shop/web";
    ask(world, "ecs", REGION, "TagResource", json!({ "resourceArn": arn, "tags": service }));
    let application = json!([{ "Key": "local:deploy", "Value": value }]);
    let arn = "arn:aws:codedeploy:eu-west-2:123456789012:application:shop";
    ask(world, "codedeploy", SECOND, "TagResource", json!({ "ResourceArn": arn, "Tags": application }));
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_what_was_built_and_a_rollback_brings_back_what_ran() {
    let world = World::with_config(CONFIG).await;
    let (first, built_first) = deploy(&world, 2).await;
    assert_eq!(running_digests(&world), [built_first.clone(), built_first.clone()]);
    let (_, built_second) = deploy(&world, 3).await;
    assert_ne!(built_first, built_second, "another commit is another image");
    assert_eq!(running_digests(&world), [built_second.clone(), built_second.clone()]);

    let mut expected = [built_second.clone(), built_second];
    for (at, stage) in ["Deploy-Primary", "Deploy-Secondary"].into_iter().enumerate() {
        let back = json!({ "pipelineName": PIPELINE, "stageName": stage, "targetPipelineExecutionId": first });
        ask(&world, "codepipeline", REGION, "RollbackStage", back);
        world.pass(Duration::from_secs(60)).await;
        expected[at].clone_from(&built_first);
        assert_eq!(running_digests(&world), expected, "{stage} alone is turned back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_rolls_itself_back_leaves_what_ran() {
    let world = World::with_config(CONFIG).await;
    let (_, built) = deploy(&world, 2).await;
    tag(&world, "fail");
    let (_, bad) = deploy(&world, 3).await;
    assert_ne!(built, bad);
    assert_eq!(running_digests(&world), [built.clone(), built.clone()], "ECS's circuit breaker");
    // Only the second region fails: the first one has the new version then.
    let arn = "arn:aws:ecs:us-east-1:123456789012:service/shop/web";
    ask(&world, "ecs", REGION, "UntagResource", json!({ "resourceArn": arn, "tagKeys": ["local:deploy"] }));
    let (_, half) = deploy(&world, 4).await;
    assert_eq!(running_digests(&world), [half, built], "CodeDeploy puts its traffic back");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_told_of_where_it_is() {
    let world = World::with_config(CONFIG).await;
    let seen: Arc<Mutex<BTreeSet<(String, String)>>> = Arc::default();
    let kept = seen.clone();
    let handler = move |event: Value, _: Invocation| -> Answer {
        let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
        kept.lock().unwrap().insert((text("source"), text("region")));
        Box::pin(async { Ok(Value::Null) })
    };
    world.aws().lambda().register("probe", Arc::new(handler), Duration::from_secs(3));
    // On the home bus, where events of the second region are forwarded to.
    let pattern =
        json!({ "detail-type": ["CodeDeploy Deployment State-change Notification", "ECS Deployment State Change"] });
    ask(&world, "events", REGION, "PutRule", json!({ "Name": "probe", "EventPattern": pattern.to_string() }));
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:probe";
    ask(&world, "events", REGION, "PutTargets", json!({ "Rule": "probe", "Targets": [{ "Id": "probe", "Arn": arn }] }));
    deploy(&world, 2).await;
    let told: Vec<_> = seen.lock().unwrap().iter().map(|(source, region)| format!("{source} {region}")).collect();
    assert_eq!(told, ["aws.codedeploy eu-west-2", "aws.ecs us-east-1"]);
}
