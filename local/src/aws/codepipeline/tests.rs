//! Scenarios: pipelines driven through the API under a paused clock, and the engine's events one by one.

use super::WorkEnd;
use super::engine::{Effect, Start, Turn};
use super::model::{Pipeline, Status, Trigger};
use super::{Region, api};
use crate::aws::{Aws, Behaviour, Failure, Pace};
use crate::clock::Clock;
use crate::faults::Faults;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

mod approvals;
mod going_back;
mod modes;
mod saved;

const HOME: &str = "us-east-1";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn account(behaviour: Behaviour) -> Aws {
    let start: Timestamp = "2026-08-31T12:00:00Z".parse().unwrap();
    Aws::new(Clock::starting_at(start), behaviour, Faults::none(), 1).unwrap()
}

fn ask(aws: &Aws, operation: &str, input: Value) -> Result<Value, Failure> {
    aws.ask("codepipeline", HOME, operation, input)
}

async fn pass(aws: &Aws, milliseconds: u64) {
    tokio::select! {
        () = aws.run() => {}
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {}
    }
}

fn action(name: &str, category: &str, provider: &str, rest: Value) -> Value {
    let mut action = json!({
        "name": name,
        "actionTypeId": { "category": category, "owner": "AWS", "provider": provider, "version": "1" },
    });
    for (key, value) in rest.as_object().unwrap() {
        action[key] = value.clone();
    }
    action
}

/// Source, Build and Deploy, with two deploy actions side by side.
fn shop() -> Value {
    let github = json!({
        "namespace": "Code",
        "outputArtifacts": [{ "name": "Code" }],
        "configuration": { "ConnectionArn": "arn:aws:codeconnections:us-east-1:123456789012:connection/1",
            "FullRepositoryId": "acme/shop", "BranchName": "main", "DetectChanges": "false" },
    });
    let build = json!({
        "namespace": "Image",
        "inputArtifacts": [{ "name": "Code" }],
        "outputArtifacts": [{ "name": "Built" }],
        "configuration": { "ProjectName": "shop", "EnvironmentVariables":
            r##"[{"name":"SERVICE","value":"#{variables.SERVICE}"},{"name":"C","value":"#{Code.CommitId}"}]"## },
    });
    let deploy = |service: &str| {
        json!({
            "inputArtifacts": [{ "name": "Built" }],
            "configuration": { "ClusterName": "shop", "ServiceName": service },
        })
    };
    // Side by side, so to two services: the newer of two deployments to one service replaces the older.
    let (east, west) = (deploy("#{variables.SERVICE}"), deploy("#{variables.SERVICE}-west"));
    json!({
        "name": "shop",
        "roleArn": "arn:aws:iam::123456789012:role/pipeline",
        "pipelineType": "V2",
        "artifactStore": { "type": "S3", "location": "artifacts" },
        "variables": [{ "name": "SERVICE", "defaultValue": "web" }],
        "stages": [
            { "name": "Source", "actions": [action("GitHub", "Source", "CodeStarSourceConnection", github)] },
            { "name": "Build", "actions": [action("Image", "Build", "CodeBuild", build)] },
            { "name": "Deploy", "actions": [
                action("East", "Deploy", "ECS", east), action("West", "Deploy", "ECS", west),
            ] },
        ],
    })
}

fn with_approval() -> Value {
    let mut declared = shop();
    let approve = json!({ "name": "Approve", "actions": [action("Ask", "Approval", "Manual", json!({}))] });
    declared["stages"].as_array_mut().unwrap().insert(1, approve);
    declared
}

fn lay_down(aws: &Aws, declared: Value, tags: Value) {
    aws.codepipeline().lay_down(aws, HOME, declared, tags).unwrap();
}

fn start(aws: &Aws) -> String {
    let answer = ask(aws, "StartPipelineExecution", json!({ "name": "shop" })).unwrap();
    answer["pipelineExecutionId"].as_str().unwrap().to_owned()
}

fn status(aws: &Aws, id: &str) -> String {
    let input = json!({ "pipelineName": "shop", "pipelineExecutionId": id });
    let answer = ask(aws, "GetPipelineExecution", input).unwrap();
    answer["pipelineExecution"]["status"].as_str().unwrap().to_owned()
}

fn stop(aws: &Aws, id: &str, abandon: bool) -> Result<Value, Failure> {
    let input = json!({ "pipelineName": "shop", "pipelineExecutionId": id, "abandon": abandon, "reason": "enough" });
    ask(aws, "StopPipelineExecution", input)
}

#[tokio::test(start_paused = true)]
async fn an_execution_runs_through_with_the_commit_it_was_given() {
    let aws = account(Behaviour::default());
    lay_down(&aws, shop(), json!(null));
    let input = json!({
        "name": "shop",
        "variables": [{ "name": "SERVICE", "value": "music" }],
        "sourceRevisions": [{ "actionName": "GitHub", "revisionType": "COMMIT_ID", "revisionValue": SHA }],
    });
    let id = ask(&aws, "StartPipelineExecution", input).unwrap()["pipelineExecutionId"].clone();
    let young = ask(&aws, "ListPipelineExecutions", json!({ "pipelineName": "shop" })).unwrap();
    assert!(young["pipelineExecutionSummaries"][0].get("sourceRevisions").is_none(), "the source has not ended yet");
    pass(&aws, 5_000).await;

    let listed = ask(&aws, "ListPipelineExecutions", json!({ "pipelineName": "shop" })).unwrap();
    let summary = &listed["pipelineExecutionSummaries"][0];
    assert_eq!(summary["status"], "Succeeded");
    assert_eq!(summary["sourceRevisions"][0]["revisionId"], SHA);
    assert_eq!(summary["trigger"]["triggerType"], "StartPipelineExecution");
    assert_eq!(summary["trigger"]["triggerDetail"], "arn:aws:iam::123456789012:root");
    assert!(listed.get("nextToken").is_none());

    let input = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": id } });
    let actions = ask(&aws, "ListActionExecutions", input).unwrap();
    let actions = actions["actionExecutionDetails"].as_array().unwrap();
    let names: Vec<_> = actions.iter().map(|each| each["actionName"].as_str().unwrap()).collect();
    assert_eq!(names, ["West", "East", "Image", "GitHub"], "newest first");
    assert_eq!(actions[0]["input"]["resolvedConfiguration"]["ServiceName"], "music-west");
    assert_eq!(actions[0]["input"]["configuration"]["ServiceName"], "#{variables.SERVICE}-west");
    assert_eq!(actions[3]["output"]["outputVariables"]["CommitId"], SHA);

    let build = actions[2]["output"]["executionResult"]["externalExecutionId"].clone();
    let builds = aws.ask("codebuild", HOME, "BatchGetBuilds", json!({ "ids": [build] })).unwrap();
    let build = &builds["builds"][0];
    assert_eq!(build["initiator"], "codepipeline/shop");
    assert_eq!(build["resolvedSourceVersion"], SHA);
    let variables = json!([
        { "name": "SERVICE", "value": "music", "type": "PLAINTEXT" },
        { "name": "C", "value": SHA, "type": "PLAINTEXT" },
    ]);
    assert_eq!(build["environment"]["environmentVariables"], variables);

    let filter = json!({ "pipelineName": "shop", "filter": { "succeededInStage": { "stageName": "Deploy" } } });
    let succeeded = ask(&aws, "ListPipelineExecutions", filter).unwrap();
    assert_eq!(succeeded["pipelineExecutionSummaries"][0]["pipelineExecutionId"], id);
}

#[tokio::test(start_paused = true)]
async fn a_newer_execution_supersedes_the_one_that_waits_and_no_other() {
    let aws = account(Behaviour::default());
    lay_down(&aws, with_approval(), json!(null));
    let asked = start(&aws);
    pass(&aws, 1_000).await;
    let waiting = start(&aws);
    pass(&aws, 1_000).await;
    let newest = start(&aws);
    pass(&aws, 1_000).await;
    assert_eq!(status(&aws, &asked), "InProgress", "an execution at an approval is inside its stage");
    assert_eq!(status(&aws, &waiting), "Superseded");
    assert_eq!(status(&aws, &newest), "InProgress");

    let state = ask(&aws, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let approve = &state["stageStates"][1];
    assert_eq!(approve["latestExecution"]["pipelineExecutionId"], asked);
    assert_eq!(approve["inboundExecution"]["pipelineExecutionId"], newest);
    assert!(approve["actionStates"][0]["latestExecution"]["token"].is_string());

    stop(&aws, &asked, true).unwrap();
    assert_eq!(status(&aws, &asked), "Stopped");
    let state = ask(&aws, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let holder = &state["stageStates"][1]["latestExecution"]["pipelineExecutionId"];
    assert_eq!(*holder, newest, "the stop released the lock");
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_what_is_in_progress_unless_it_is_abandoned() {
    let aws = account(Behaviour::default());
    lay_down(&aws, with_approval(), json!(null));
    let id = start(&aws);
    stop(&aws, &id, false).unwrap();
    assert_eq!(status(&aws, &id), "Stopping");
    assert_eq!(stop(&aws, &id, false).unwrap_err().code, "DuplicatedStopRequestException");
    pass(&aws, 1_000).await;
    assert_eq!(status(&aws, &id), "Stopped");
    assert_eq!(stop(&aws, &id, true).unwrap_err().code, "PipelineExecutionNotStoppableException");

    let asked = start(&aws);
    pass(&aws, 1_000).await;
    stop(&aws, &asked, false).unwrap();
    pass(&aws, 100_000).await;
    assert_eq!(status(&aws, &asked), "Stopping", "a pending approval is in progress");
    stop(&aws, &asked, true).unwrap();
    assert_eq!(status(&aws, &asked), "Stopped");
}

#[tokio::test(start_paused = true)]
async fn tags_and_builds_decide_how_actions_end() {
    let fails = json!([{ "key": "local:Deploy/East", "value": "fail 90s" }]);
    let aws = account(Behaviour { pace: Pace::Real, ..Behaviour::default() });
    lay_down(&aws, shop(), fails);
    let id = start(&aws);
    pass(&aws, (3 + 5 + 89) * 1_000).await;
    assert_eq!(status(&aws, &id), "InProgress", "at the real pace the tag's duration counts");
    // The circuit breaker then takes the service back, and the action waits for that.
    pass(&aws, 120_000).await;
    assert_eq!(status(&aws, &id), "Failed");
    let input = json!({ "pipelineName": "shop" });
    let actions = ask(&aws, "ListActionExecutions", input).unwrap();
    let ends: Vec<_> =
        actions["actionExecutionDetails"].as_array().unwrap().iter().map(|each| &each["status"]).collect();
    assert_eq!(ends, ["Succeeded", "Failed", "Succeeded", "Succeeded"], "the other deploy action went on");

    let aws = account(Behaviour::default());
    let bad = json!({
        "name": "shop", "serviceRole": "arn:aws:iam::123456789012:role/b", "artifacts": { "type": "CODEPIPELINE" },
        "source": { "type": "CODEPIPELINE", "buildspec": "phases:\n  build:\n    commands: [\"exit 3\"]\n" },
        "environment": { "type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL" },
    });
    aws.ask("codebuild", HOME, "CreateProject", bad).unwrap();
    lay_down(&aws, shop(), json!(null));
    let id = start(&aws);
    pass(&aws, 2_000).await;
    assert_eq!(status(&aws, &id), "Failed");
    let state = ask(&aws, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let action = &state["stageStates"][1]["actionStates"][0]["latestExecution"];
    assert_eq!(action["errorDetails"]["code"], "JobFailed");
    assert!(action["summary"].as_str().unwrap().contains("exit status 3"));
}

#[tokio::test(start_paused = true)]
async fn an_edit_cancels_what_runs_and_keeps_every_version() {
    let aws = account(Behaviour::default());
    let created = ask(&aws, "CreatePipeline", json!({ "pipeline": shop() })).unwrap();
    assert_eq!(created["pipeline"]["version"], 1);
    let first = ask(&aws, "ListPipelineExecutions", json!({ "pipelineName": "shop" })).unwrap();
    assert_eq!(first["pipelineExecutionSummaries"][0]["trigger"]["triggerType"], "CreatePipeline");
    let id = first["pipelineExecutionSummaries"][0]["pipelineExecutionId"].as_str().unwrap();
    let updated = ask(&aws, "UpdatePipeline", json!({ "pipeline": with_approval() })).unwrap();
    assert_eq!(updated["pipeline"]["version"], 2);
    assert_eq!(status(&aws, id), "Cancelled");
    let get = |version| ask(&aws, "GetPipeline", json!({ "name": "shop", "version": version }));
    assert_eq!(get(1).unwrap()["pipeline"]["stages"].as_array().unwrap().len(), 3);
    assert_eq!(get(2).unwrap()["pipeline"]["stages"].as_array().unwrap().len(), 4);
    assert_eq!(get(3).unwrap_err().code, "PipelineVersionNotFoundException");
    pass(&aws, 5_000).await;
    assert_eq!(status(&aws, id), "Cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_start_is_refused_or_repeated_as_aws_does() {
    let aws = account(Behaviour::default());
    lay_down(&aws, shop(), json!(null));
    let revision = |action: &str, kind: &str| {
        let revision = json!({ "actionName": action, "revisionType": kind, "revisionValue": SHA });
        json!({ "sourceRevisions": [revision] })
    };
    let variable = |name: &str, value: &str| json!({ "variables": [{ "name": name, "value": value }] });
    #[rustfmt::skip]
    let cases = [
        // what is added to the input, the refusal's code, why
        (json!({ "name": "shops" }),                 "PipelineNotFoundException", "no such pipeline"),
        (json!({ "clientRequestToken": "a_b" }),     "ValidationException",       "no underscore"),
        (variable("OTHER", "x"),                     "ValidationException",       "not declared"),
        (variable("SERVICE", ""),                    "ValidationException",       "too short"),
        (variable("SERVICE", &"x".repeat(1001)),     "ValidationException",       "too long"),
        (revision("Image", "COMMIT_ID"),             "ValidationException",       "no source action"),
        (revision("GitHub", "IMAGE_DIGEST"),         "ValidationException",       "not for git"),
    ];
    for (more, code, why) in cases {
        let mut input = json!({ "name": "shop" });
        for (key, value) in more.as_object().unwrap() {
            input[key] = value.clone();
        }
        assert_eq!(ask(&aws, "StartPipelineExecution", input).unwrap_err().code, code, "{why}");
    }
    let again = json!({ "name": "shop", "clientRequestToken": "token-1" });
    let first = ask(&aws, "StartPipelineExecution", again.clone()).unwrap();
    assert_eq!(ask(&aws, "StartPipelineExecution", again.clone()).unwrap(), first);
    aws.codepipeline().set_concurrency_limit(Some(1));
    assert_eq!(ask(&aws, "StartPipelineExecution", again.clone()).unwrap(), first, "a repeat starts nothing");
    let full = ask(&aws, "StartPipelineExecution", json!({ "name": "shop" })).unwrap_err();
    assert_eq!(full.code, "ConcurrentPipelineExecutionsLimitExceededException");

    let aws = account(Behaviour { start_token_honoured: false, ..Behaviour::default() });
    lay_down(&aws, shop(), json!(null));
    let first = ask(&aws, "StartPipelineExecution", again.clone()).unwrap();
    assert_ne!(ask(&aws, "StartPipelineExecution", again).unwrap(), first, "the other model of AWS");
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_makes_no_sense_is_refused() {
    let (wrong, action) = ("InvalidStructureException", "InvalidActionDeclarationException");
    let (bounds, stage, ours) = ("ValidationException", "InvalidStageDeclarationException", "NotEmulated");
    let sources = shop()["stages"][0]["actions"].clone();
    let one_stage = json!([shop()["stages"][0]]);
    let no_source = json!([shop()["stages"][1], shop()["stages"][2]]);
    let entry = json!({ "conditions": [] });
    #[rustfmt::skip]
    let cases = [
        // where, what is put there, words of the refusal, its code
        ("/name",                                         json!("a shop"),         "pipeline.name",            bounds),
        ("/roleArn",                                      json!(null),             "pipeline.roleArn",         bounds),
        ("/artifactStore",                                json!(null),             "artifactStore",            wrong),
        ("/pipelineType",                                 json!("V1"),             "only supported for",       wrong),
        ("/executionMode",                                json!("FAST"),           "enum value set",           bounds),
        ("/stages",                                       one_stage,               "minimum of 2 stages",      wrong),
        ("/stages",                                       no_source,               "only contains source",     wrong),
        ("/stages/1/name",                                json!("Source"),         "unique within a pipeline", wrong),
        ("/stages/1/actions",                             json!([]),               "at least one action",      stage),
        ("/stages/1/actions",                             sources,                 "only occur in the first",  wrong),
        ("/stages/2/beforeEntry",                         entry,                   "beforeEntry",              ours),
        ("/stages/2/actions/1/name",                      json!("East"),           "unique within stage",      wrong),
        ("/stages/1/actions/0/runOrder",                  json!(1000),             "or equal to 999",          bounds),
        ("/stages/1/actions/0/configuration",             json!({}),               "'ProjectName'",            action),
        ("/stages/1/actions/0/actionTypeId/category",     json!("Bake"),           "enum value set",           bounds),
        ("/stages/1/actions/0/actionTypeId/provider",     json!("Make"),           "not available in region",  action),
        ("/stages/1/actions/0/actionTypeId/version",      json!("2"),              "not available in region",  action),
        ("/stages/1/actions/0/inputArtifacts",            json!([]),               "0 input artifact(s)",      action),
        ("/stages/1/actions/0/outputArtifacts/0/name",    json!("Code"),           "must be unique",           wrong),
        ("/stages/2/actions/0/inputArtifacts/0/name",     json!("Other"),          "not declared as Output",   wrong),
        ("/stages/2/actions/0/configuration/ServiceName", json!("#{Nowhere.X}"),   "does not exist",           action),
        ("/stages/2/actions/0/configuration/ServiceName", json!("#{variables.X}"), "does not exist",           action),
        ("/stages/0/actions/0/configuration/BranchName",  json!("#{Image.X}"),     "does not exist",           action),
    ];
    let aws = account(Behaviour::default());
    for (place, value, words, code) in cases {
        let mut declared = shop();
        let (parent, key) = place.rsplit_once('/').unwrap();
        let parent = declared.pointer_mut(parent).unwrap();
        match key.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[key] = value,
        }
        let refusal = ask(&aws, "CreatePipeline", json!({ "pipeline": declared })).unwrap_err();
        assert_eq!(refusal.code, code, "{place}: {}", refusal.message);
        assert!(refusal.message.contains(words), "{place}: {}", refusal.message);
    }
    lay_down(&aws, shop(), json!(null));
    let twice = ask(&aws, "CreatePipeline", json!({ "pipeline": shop() })).unwrap_err();
    assert_eq!(twice.code, "PipelineNameInUseException");
    for later in ["OverrideStageCondition", "PollForJobs", "PutWebhook", "ListActionTypes"] {
        assert_eq!(ask(&aws, later, json!({})).unwrap_err().code, "NotEmulated");
    }
}

#[tokio::test(start_paused = true)]
async fn tags_are_kept_by_arn() {
    let aws = account(Behaviour::default());
    lay_down(&aws, shop(), json!([{ "key": "a", "value": "1" }]));
    let arn = "arn:aws:codepipeline:us-east-1:123456789012:shop";
    ask(&aws, "TagResource", json!({ "resourceArn": arn, "tags": [{ "key": "b", "value": "" }] })).unwrap();
    ask(&aws, "UntagResource", json!({ "resourceArn": arn, "tagKeys": ["a"] })).unwrap();
    let tags = ask(&aws, "ListTagsForResource", json!({ "resourceArn": arn })).unwrap();
    assert_eq!(tags, json!({ "tags": [{ "key": "b", "value": "" }] }));
    let missing = ask(&aws, "ListTagsForResource", json!({ "resourceArn": format!("{arn}s") })).unwrap_err();
    assert_eq!(missing.code, "ResourceNotFoundException");
    let other = ask(&aws, "ListTagsForResource", json!({ "resourceArn": "arn:aws:s3:::shop" })).unwrap_err();
    assert_eq!(other.code, "InvalidArnException");
}

/// The engine alone: a pipeline, the moment, and what it told.
struct Bench {
    aws: Aws,
    here: Region,
    now: Timestamp,
    told: Vec<String>,
    builds: Vec<String>,
    last: Value,
}

impl Bench {
    fn new(declared: &Value) -> Self {
        let aws = account(Behaviour::default());
        let now = aws.clock().now();
        let mut here = Region::new();
        api::create(&mut here, HOME, declared, &Value::Null, now).unwrap();
        Self { aws, here, now, told: Vec::new(), builds: Vec::new(), last: Value::Null }
    }

    fn turn<T>(&mut self, act: impl FnOnce(&mut Pipeline, &mut Turn<'_>) -> T) -> T {
        let aws = self.aws.clone();
        let mut turn = Turn::new(&aws, self.now);
        let answer = act(self.here.get_mut("shop").unwrap(), &mut turn);
        for effect in turn.effects {
            match effect {
                Effect::Notify { .. } | Effect::DeployService { .. } | Effect::DeployGroup { .. } => {}
                Effect::Build { build, .. } => self.builds.push(format!("{}:{}", build.project, build.uuid)),
                Effect::Emit { event, .. } => {
                    let part =
                        |key: &str| event.detail[key].as_str().map(|text| format!(" {text}")).unwrap_or_default();
                    let level = event.detail_type.split(' ').nth(1).unwrap();
                    self.told.push(format!("{level}{}{} {}", part("stage"), part("action"), &part("state")[1..]));
                    self.last = event.detail;
                }
            }
        }
        answer
    }

    fn start(&mut self) -> String {
        let trigger =
            Trigger { kind: "StartPipelineExecution".to_owned(), detail: "arn:aws:iam::123456789012:root".to_owned() };
        let variables = vec![("SERVICE".to_owned(), "web".to_owned())];
        self.turn(|pipeline, turn| pipeline.start(turn, Start { trigger, variables, overrides: Vec::new() }))
    }

    fn pass(&mut self) {
        self.now += SignedDuration::from_millis(300);
        self.turn(|pipeline, turn| pipeline.end_due(turn));
    }

    fn end_build(&mut self, succeeded: bool) {
        let id = self.builds.pop().unwrap();
        let summary = "why".to_owned();
        let end = WorkEnd { id, succeeded, summary, exported: [("D".to_owned(), "1".to_owned())].into() };
        self.turn(|pipeline, turn| pipeline.end_with_work(turn, &end));
    }
}

#[tokio::test(start_paused = true)]
async fn events_tell_every_step_in_order() {
    let mut bench = Bench::new(&shop());
    bench.start();
    assert_eq!(bench.told, ["Pipeline STARTED", "Stage Source STARTED", "Action Source GitHub STARTED"]);
    bench.told.clear();
    bench.pass();
    assert_eq!(
        bench.told,
        [
            "Action Source GitHub SUCCEEDED",
            "Stage Source SUCCEEDED",
            "Stage Build STARTED",
            "Action Build Image STARTED"
        ]
    );
    assert_eq!(
        bench.last["type"],
        json!({ "owner": "AWS", "provider": "CodeBuild", "category": "Build", "version": "1" })
    );
    assert_eq!(bench.last["version"], json!(1.0));
    assert_eq!(bench.last["start-time"], "2026-08-31T12:00:00.300Z");
    assert_eq!(bench.last["input-artifacts"][0]["name"], "Code");
    bench.told.clear();
    bench.end_build(false);
    assert_eq!(bench.told, ["Action Build Image FAILED", "Stage Build FAILED", "Pipeline FAILED"]);
    assert!(bench.last.get("execution-trigger").is_none(), "only the start names its trigger");
}

#[tokio::test(start_paused = true)]
async fn events_tell_a_stop_and_an_edit() {
    let mut bench = Bench::new(&with_approval());
    let id = bench.start();
    bench.pass();
    assert_eq!(bench.told.last().unwrap(), "Action Approve Ask STARTED");
    assert_eq!(bench.last["type"]["category"], "Approval");
    bench.told.clear();
    bench.turn(|pipeline, turn| pipeline.stop(turn, &id, true, "enough".to_owned())).unwrap();
    assert_eq!(
        bench.told,
        [
            "Pipeline STOPPING",
            "Stage Approve STOPPING",
            "Action Approve Ask ABANDONED",
            "Stage Approve STOPPED",
            "Pipeline STOPPED"
        ]
    );
    assert_eq!(bench.last["stop-execution-comments"], "enough");
    bench.start();
    bench.told.clear();
    bench.turn(|pipeline, turn| pipeline.cancel_all(turn));
    assert_eq!(bench.told, ["Action Source GitHub CANCELED", "Stage Source CANCELED", "Pipeline CANCELED"]);
    let executions = &bench.here["shop"].executions;
    assert!(executions.iter().all(|execution| !execution.status.is_open()));
    assert_eq!(executions[1].stages[0].actions[0].status, Status::Abandoned, "the API has no cancelled actions");
}

#[tokio::test(start_paused = true)]
async fn a_stage_holds_one_execution_and_the_entrance_one_more() {
    let mut bench = Bench::new(&shop());
    let ids = [bench.start(), bench.start(), bench.start()];
    let statuses = |bench: &Bench| {
        let find = |id: &String| bench.here["shop"].execution(id).unwrap().status;
        ids.each_ref().map(find)
    };
    assert_eq!(statuses(&bench), [Status::InProgress, Status::Superseded, Status::InProgress]);
    bench.told.clear();
    bench.pass();
    assert_eq!(
        bench.told,
        [
            "Action Source GitHub SUCCEEDED",
            "Stage Source SUCCEEDED",
            "Stage Source STARTED",
            "Stage Build STARTED",
            "Action Build Image STARTED",
            "Action Source GitHub STARTED",
        ],
        "the next one enters the stage that became free"
    );
}
