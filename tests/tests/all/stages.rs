//! What a pipeline and its stages say of themselves: what decides whether, and to what, a stage can be rolled back.

use pointsman::aws::codepipeline::{CodePipeline, Inside, Mode, Outline, StageNow};
use pointsman::domain::execution::{Target, TargetKind};
use pointsman_local::pipelines::lay_down;
use pointsman_local::runner::REGION;
use pointsman_tests::world::World;
use serde_json::{Value, json};
use std::time::Duration;

const WEB: &str = r#"
version = 1

[environments.web]
deploys = [{ region = "us-east-1", pipeline = "web", stage = "Deploy" }]

[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "web"
environment = "web"
"#;

fn pipelines(world: &World) -> CodePipeline {
    CodePipeline::new(&world.local.fleet.config("pointsman-SweepRole", REGION), vec![])
}

fn web() -> Target {
    Target { kind: TargetKind::Pipeline, name: "web".into(), region: REGION.into() }
}

fn ask(world: &World, operation: &str, input: Value) -> Value {
    world.aws().ask("codepipeline", REGION, operation, input).unwrap()
}

fn edit(world: &World, change: impl FnOnce(&mut Value)) {
    let mut declared = ask(world, "GetPipeline", json!({ "name": "web" }))["pipeline"].clone();
    declared.as_object_mut().unwrap().remove("version");
    change(&mut declared);
    ask(world, "UpdatePipeline", json!({ "pipeline": declared }));
}

fn start(world: &World) -> String {
    ask(world, "StartPipelineExecution", json!({ "name": "web" }))["pipelineExecutionId"].as_str().unwrap().to_owned()
}

async fn run(world: &World) -> String {
    let id = start(world);
    world.settle().await;
    id
}

#[tokio::test(start_paused = true)]
async fn an_outline_says_what_is_declared_and_since_when() {
    let world = World::with_config(WEB).await;
    let first = pipelines(&world).outline(&web()).await.unwrap();
    let stages: Vec<_> = ["Source", "Build", "Deploy"].map(str::to_owned).into();
    let expected = Outline { version: 1, edited_at: first.edited_at, mode: Mode::Superseded, is_v2: true, stages };
    assert_eq!(first, expected);
    for (mode, expected) in [("QUEUED", Mode::Queued), ("PARALLEL", Mode::Parallel), ("SUPERSEDED", Mode::Superseded)] {
        edit(&world, |declared| declared["executionMode"] = json!(mode));
        assert_eq!(pipelines(&world).outline(&web()).await.unwrap().mode, expected);
    }
    world.pass(Duration::from_secs(60)).await;
    edit(&world, |declared| declared["pipelineType"] = json!("V1"));
    let last = pipelines(&world).outline(&web()).await.unwrap();
    assert_eq!((last.version, last.is_v2), (5, false));
    assert!(last.edited_at.unwrap() >= first.edited_at.unwrap() + jiff::SignedDuration::from_secs(60));
    let gone = Target { name: "gone".into(), ..web() };
    assert!(pipelines(&world).outline(&gone).await.unwrap_err().is("PipelineNotFoundException"));
}

#[tokio::test(start_paused = true)]
async fn a_stage_says_who_is_in_it_who_waits_and_whether_its_way_in_is_open() {
    let world = World::with_config(WEB).await;
    edit(&world, |declared| declared["executionMode"] = json!("QUEUED"));
    let now = async || pipelines(&world).stage_now(&web(), "Deploy").await.unwrap().unwrap();
    let StageNow { inside, waiting, transition } = now().await;
    assert_eq!((inside, waiting.len(), transition.is_open), (None, 0, true), "nobody was there yet");
    let first = run(&world).await;
    assert_eq!(now().await.inside, Some(Inside { aws_id: first.clone(), is_running: false }));
    pipelines(&world).close(&web(), "Deploy", "Pointsman hold").await.unwrap();
    let (second, third) = (start(&world), start(&world));
    world.settle().await;
    let StageNow { inside, waiting, transition } = now().await;
    assert_eq!(inside.unwrap().aws_id, first, "who was in it last");
    assert_eq!(waiting, [second.clone(), third], "in their order");
    assert_eq!((transition.is_open, transition.reason.as_deref()), (false, Some("Pointsman hold")));
    pipelines(&world).open(&web(), "Deploy").await.unwrap();
    assert_eq!(now().await.inside, Some(Inside { aws_id: second, is_running: true }));
    assert_eq!(pipelines(&world).stage_now(&web(), "Nope").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_good_in_a_stage_is_listed_newest_first_until_the_pipeline_is_edited() {
    let world = World::with_config(WEB).await;
    let first = run(&world).await;
    let second = run(&world).await;
    let tags = json!([{ "key": "local:Deploy/Deploy", "value": "fail" }]);
    let arn = format!("arn:aws:codepipeline:{REGION}:123456789012:web");
    ask(&world, "TagResource", json!({ "resourceArn": arn, "tags": tags }));
    let failed = run(&world).await;
    ask(&world, "UntagResource", json!({ "resourceArn": arn, "tagKeys": ["local:Deploy/Deploy"] }));
    let input = json!({ "pipelineName": "web", "stageName": "Deploy", "targetPipelineExecutionId": first });
    let back = ask(&world, "RollbackStage", input)["pipelineExecutionId"].as_str().unwrap().to_owned();
    world.settle().await;
    let good = pipelines(&world).good_in(&web(), "Deploy").await.unwrap();
    let listed: Vec<_> = good.iter().map(|run| (run.aws_id.as_str(), run.is_rollback)).collect();
    assert_eq!(listed, [(back.as_str(), true), (second.as_str(), false), (first.as_str(), false)], "and not {failed}");
    assert!(good.is_sorted_by_key(|run| std::cmp::Reverse(run.started_at)), "{good:?}");
    let built = pipelines(&world).good_in(&web(), "Build").await.unwrap();
    assert_eq!(built.len(), 3, "what failed later succeeded here, and the rollback was not here");
    edit(&world, |_| {});
    assert!(pipelines(&world).good_in(&web(), "Deploy").await.unwrap().is_empty(), "nothing to go back to");
    let later = run(&world).await;
    let started_in = async |id: &str| pipelines(&world).started_in(&web(), id).await.unwrap();
    assert_eq!((started_in(&first).await, started_in(&later).await), (Some(1), Some(2)));
    let nobody = pipelines(&world).started_in(&web(), "00000000-0000-4000-8000-000000000000").await;
    assert!(nobody.unwrap_err().is("PipelineExecutionNotFoundException"));
}

#[tokio::test(start_paused = true)]
async fn good_runs_are_read_page_by_page() {
    const ELSEWHERE: &str = "eu-west-2";
    let world = World::with_config(WEB).await;
    // Where nobody listens, so that only CodePipeline has work with them.
    let mut declared = ask(&world, "GetPipeline", json!({ "name": "web" }))["pipeline"].clone();
    declared.as_object_mut().unwrap().remove("version");
    declared["executionMode"] = json!("PARALLEL");
    lay_down(world.aws(), ELSEWHERE, declared, Value::Null).unwrap();
    let mut last = Value::Null;
    for _ in 0..5 {
        for _ in 0..26 {
            let input = json!({ "name": "web" });
            last = world.aws().ask("codepipeline", ELSEWHERE, "StartPipelineExecution", input).unwrap();
        }
        world.settle().await;
    }
    let web = Target { region: ELSEWHERE.into(), ..web() };
    let good = pipelines(&world).good_in(&web, "Deploy").await.unwrap();
    assert_eq!((good.len(), json!(good[0].aws_id)), (130, last["pipelineExecutionId"].clone()), "100 fit on a page");
}
