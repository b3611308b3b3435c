//! Journeys: from GitHub's request through the wired functions to what AWS runs and the ledger says.

use pointsman::domain::execution::Status;
use pointsman_local::aws::Behaviour;
use pointsman_local::runner::{DEFAULT_SECRET, Options, REGION};
use pointsman_tests::payloads::{REPOSITORY_ID, pull_request, push, release, sha, tag, with_paths, workflow_run};
use pointsman_tests::world::World;
use serde_json::json;
use std::time::Duration;

/// Three branches, tags, pull requests, releases, workflow runs.
pub(crate) const SHOP: &str = r#"
version = 1

[environments.dev]
deploys = [{ region = "us-east-1", pipeline = "dev", stage = "Deploy" }]
[environments.staging]
deploys = [{ region = "us-east-1", pipeline = "staging", stage = "Deploy" }]
[environments.production]
deploys = [{ region = "us-east-1", pipeline = "production", stage = "Deploy" }]

[[routes]]
repository = "Acme/Shop"
on = "push"
branch = ["main"]
pipeline = "dev"
environment = "dev"
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["staging"]
pipeline = "staging"
environment = "staging"
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["production"]
pipeline = "production"
environment = "production"
[[routes]]
repository = "acme/shop"
on = "tag"
tag = ["v*"]
build = "tagged"
[[routes]]
repository = "acme/shop"
on = "pull_request"
branch = ["main"]
build = "validate"
[[routes]]
repository = "acme/shop"
on = "workflow_run"
branch = ["main"]
build = "after-workflow"
[[routes]]
repository = "acme/shop"
on = "release"
tag = ["v*"]
build = "released"
"#;

/// Eight services in one repository, each with its own pipeline.
fn monorepo() -> String {
    let mut config = "version = 1\n".to_owned();
    for service in ["gateway", "system", "storage", "user", "config", "content", "analytics", "music"] {
        config.push_str(&format!(
            "[[routes]]\nrepository = \"acme/shop\"\non = \"push\"\nbranch = [\"main\"]\n\
             paths = [\"services/{service}/**\"]\npipeline = \"{service}\"\n"
        ));
    }
    config
}

#[tokio::test(start_paused = true)]
async fn a_push_to_each_branch_starts_its_own_pipeline_and_the_ledger_tells_the_story() {
    let world = World::with_config(SHOP).await;
    for (number, branch) in [(11, "main"), (12, "staging"), (13, "production")] {
        assert_eq!(world.send("push", branch, &push(branch, 1, number, number as i64)).await, 202);
    }
    world.settle().await;
    for (number, branch, pipeline) in
        [(11, "main", "dev"), (12, "staging", "staging"), (13, "production", "production")]
    {
        assert_eq!(world.commits(pipeline), [number], "{branch}");
        let delivery = world.delivery(branch).await.unwrap();
        assert_eq!(delivery.status.as_str(), "executed");
        let execution = world.execution(&delivery.plan[0].execution).await;
        assert_eq!(execution.status, Status::Succeeded);
        assert_eq!(execution.sha.as_ref().unwrap().as_str(), sha(number));
        assert_eq!(execution.start.aws_id(), Some(world.started(pipeline)[0].0.as_str()));
        assert_eq!(execution.environment.as_deref(), Some(pipeline));
        assert!(execution.images.iter().any(|image| image.contains("@sha256:")), "{:?}", execution.images);
        let ledger = world.local.ledger();
        let run = ledger.run(&execution.target, execution.start.aws_id().unwrap(), execution.created_at);
        let observed = run.await.unwrap().value.observed;
        assert_eq!(observed.stages.keys().collect::<Vec<_>>(), ["Build", "Deploy", "Source"]);
        assert!(observed.stages.values().all(|stage| stage.ended_at().is_some()));
        assert!(observed.actions["Build/Build"].link.is_some(), "an action links to its work");
        let chain = world.local.ledger().chain(&format!("execution#{}", execution.id)).await.unwrap();
        pointsman::domain::audit::verify(&chain).unwrap();
        let story: Vec<_> = chain.iter().map(|entry| entry.what.as_str()).collect();
        assert_eq!(story, ["requested", "start intended", "start answered", "reported succeeded"]);
    }
}

#[tokio::test(start_paused = true)]
async fn tags_build_the_commit_and_not_the_tag_object() {
    let world = World::with_config(SHOP).await;
    world.send("push", "light", &tag("v1.0.0", 20, 20, 1)).await;
    world.send("push", "annotated", &tag("v1.0.1", 999, 21, 2)).await;
    world.send("push", "main-tag", &tag("main", 22, 22, 3)).await;
    let mut nothing = tag("v9", 23, 23, 4);
    nothing["head_commit"] = json!(null);
    world.send("push", "no-commit", &nothing).await;
    world.settle().await;
    assert_eq!(world.builds("tagged"), [20, 21]);
    assert!(world.commits("dev").is_empty(), "a tag called main is no branch");
    assert_eq!(world.outcome("main-tag").await.0, "ignored");
    let (status, reason) = world.outcome("no-commit").await;
    assert_eq!(status, "ignored");
    assert!(reason.contains("commit"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn pull_requests_and_workflow_runs_start_only_from_the_repository_itself() {
    let world = World::with_config(SHOP).await;
    let own = Some(REPOSITORY_ID);
    #[rustfmt::skip]
    let cases = [
        // event           delivery       payload                                        status      why
        ("pull_request", "pr",          pull_request("opened", 30, "main", own),       "executed", "its own branch"),
        ("pull_request", "pr-fork",     pull_request("opened", 31, "main", Some(666)), "ignored",  "a fork"),
        ("pull_request", "pr-gone",     pull_request("opened", 32, "main", None),      "ignored",  "a fork that was deleted"),
        ("pull_request", "pr-closed",   pull_request("closed", 33, "main", own),       "ignored",  "nothing to validate"),
        ("pull_request", "pr-other",    pull_request("opened", 34, "other", own),      "ignored",  "another base"),
        ("workflow_run", "run",         workflow_run("main", 40, own),                 "executed", "a green run"),
        ("workflow_run", "run-fork",    workflow_run("main", 41, Some(666)),           "ignored",  "a fork's branch may be called main"),
        ("workflow_run", "run-gone",    workflow_run("main", 42, None),                "ignored",  "null counts as a fork"),
    ];
    for (event, delivery, payload, _, why) in &cases {
        let mut payload = payload.clone();
        // Each is a run of its own.
        if *event == "workflow_run" {
            payload["workflow_run"]["id"] = json!(delivery.len());
        }
        assert_eq!(world.send(event, delivery, &payload).await, 202, "{why}");
    }
    world.settle().await;
    for (_, delivery, _, expected, why) in &cases {
        let (status, reason) = world.outcome(delivery).await;
        assert_eq!(status, *expected, "{why}: {reason}");
        assert!(status == "executed" || !reason.is_empty(), "{why}");
    }
    assert_eq!(world.builds("validate"), [30]);
    assert_eq!(world.builds("after-workflow"), [40]);
}

#[tokio::test(start_paused = true)]
async fn a_release_starts_once_with_the_commit_of_its_tag() {
    let world = World::with_config(SHOP).await;
    for action in ["created", "published", "released"] {
        world.send("release", action, &release(action, "v2.0.0", "main")).await;
    }
    // The tag's own push may well arrive after the release.
    world.pass(Duration::from_secs(5)).await;
    world.send("push", "tag", &tag("v2.0.0", 50, 50, 1)).await;
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.builds("released"), [50]);
    assert_eq!(world.outcome("published").await.0, "executed");
    assert_eq!(world.outcome("created").await.0, "ignored");
    assert_eq!(world.outcome("released").await.0, "ignored");
}

#[tokio::test(start_paused = true)]
async fn a_release_of_an_unknown_tag_is_ignored_with_a_reason() {
    let world = World::with_config(SHOP).await;
    world.send("release", "unknown", &release("published", "v3", "main")).await;
    world.pass(Duration::from_secs(1_000)).await;
    let (status, reason) = world.outcome("unknown").await;
    assert_eq!(status, "ignored");
    assert!(reason.contains("no push of it was seen"), "{reason}");
    assert!(world.builds("released").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_monorepo_push_starts_the_services_whose_paths_changed() {
    let world = World::with_config(&monorepo()).await;
    let payload = with_paths(push("main", 1, 2, 1), &["services/user/src/a.rs", "services/music/b.rs", "README.md"]);
    world.send("push", "two", &payload).await;
    world.settle().await;
    assert_eq!(world.commits("user"), [2]);
    assert_eq!(world.commits("music"), [2]);
    assert!(world.commits("gateway").is_empty());
    assert_eq!(world.delivery("two").await.unwrap().plan.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_forced_push_matches_every_path_filter_and_says_so() {
    let world = World::with_config(&monorepo()).await;
    let mut payload = with_paths(push("main", 1, 2, 1), &["README.md"]);
    payload["forced"] = json!(true);
    world.send("push", "forced", &payload).await;
    world.settle().await;
    assert_eq!(world.delivery("forced").await.unwrap().plan.len(), 8);
    for execution in world.executions().await {
        assert_eq!(execution.note.as_deref(), Some("paths not knowable: forced"));
    }
}

#[tokio::test(start_paused = true)]
async fn two_routes_start_one_pipeline_with_other_variables() {
    let config = r#"
version = 1
[[routes]]
name = "web"
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "service"
variables = { SERVICE = "web", COMMIT = "{sha}" }
[[routes]]
name = "api"
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "service"
variables = { SERVICE = "api", COMMIT = "{sha}" }
"#;
    let world = World::with_config(config).await;
    world.send("push", "both", &push("main", 1, 2, 1)).await;
    world.settle().await;
    let started = world.started("service");
    assert_eq!(started.len(), 2);
    let mut services = Vec::new();
    for (id, _) in &started {
        let input = json!({ "pipelineName": "service", "pipelineExecutionId": id });
        let execution = world.aws().ask("codepipeline", REGION, "GetPipelineExecution", input).unwrap();
        let variables = execution["pipelineExecution"]["variables"].as_array().unwrap().clone();
        let value = |name: &str| {
            let found = variables.iter().find(|variable| variable["name"] == name).unwrap();
            found["resolvedValue"].as_str().unwrap().to_owned()
        };
        assert_eq!(value("COMMIT"), sha(2));
        services.push(value("SERVICE"));
    }
    services.sort();
    assert_eq!(services, ["api", "web"]);
    assert_eq!(world.outcome("both").await.0, "executed");
}

#[tokio::test(start_paused = true)]
async fn what_starts_nothing_is_recorded_with_its_reason() {
    let world = World::with_config(SHOP).await;
    let mut stranger = push("main", 1, 2, 1);
    stranger["repository"]["full_name"] = json!("acme/unknown");
    stranger["repository"]["id"] = json!(5);
    #[rustfmt::skip]
    let cases = [
        // event      delivery    payload                                    part of the reason
        ("push",    "deleted",  push("main", 2, 0, 3),                     "deleted"),
        ("push",    "unknown",  stranger,                                  "not in the configuration"),
        ("push",    "feature",  push("feature/x", 1, 2, 4),                "no route matches"),
        ("star",    "star",     json!({ "action": "created", "repository": { "id": REPOSITORY_ID, "full_name": "acme/shop" } }), "star"),
        ("create",  "create",   json!({ "ref": "main", "ref_type": "branch", "repository": { "id": REPOSITORY_ID, "full_name": "acme/shop" } }), "the creation of a ref"),
        ("delete",  "delete",   json!({ "ref": "main", "ref_type": "branch", "repository": { "id": REPOSITORY_ID, "full_name": "acme/shop" } }), "delet"),
    ];
    for (event, delivery, payload, _) in &cases {
        assert_eq!(world.send(event, delivery, payload).await, 202);
    }
    assert_eq!(world.send("ping", "ping", &json!({ "zen": "Speak like a human.", "hook_id": 1 })).await, 200);
    world.settle().await;
    for (_, delivery, _, part) in &cases {
        let (status, reason) = world.outcome(delivery).await;
        assert_eq!(status, "ignored", "{delivery}");
        assert!(reason.contains(part), "{delivery}: {reason}");
    }
    assert!(world.delivery("ping").await.is_none(), "a ping is answered, not recorded");
    assert!(world.executions().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_secret_may_be_rotated_under_a_warm_function() {
    let world = World::with_config(SHOP).await;
    let newer = "another-webhook-secret";
    assert_eq!(world.send("push", "warm", &push("main", 1, 2, 1)).await, 202);
    world.pass(Duration::from_secs(60)).await;
    let put =
        json!({ "SecretId": "pointsman/github-webhook", "SecretString": newer, "ClientRequestToken": "a".repeat(32) });
    world.aws().ask("secretsmanager", REGION, "PutSecretValue", put).unwrap();
    // The warm function has not seen the new secret: a mismatch makes it look, once, before it says 401.
    assert_eq!(
        world.send_signed("push", "newer", &push("main", 2, 3, 2), newer).await,
        202,
        "fetched again before 401"
    );
    assert_eq!(
        world.send_signed("push", "older", &push("main", 3, 4, 3), DEFAULT_SECRET).await,
        202,
        "the previous one is live"
    );
    assert_eq!(world.send_signed("push", "wrong", &push("main", 4, 5, 4), "a-guess-at-the-secret").await, 401);
    world.pass(Duration::from_secs(60)).await;
    let put = json!({ "SecretId": "pointsman/github-webhook", "SecretString": "the-third-webhook-secret", "ClientRequestToken": "b".repeat(32) });
    world.aws().ask("secretsmanager", REGION, "PutSecretValue", put).unwrap();
    world.pass(Duration::from_secs(301)).await;
    assert_eq!(
        world.send_signed("push", "oldest", &push("main", 5, 6, 5), DEFAULT_SECRET).await,
        401,
        "two are live, not three"
    );
}

#[tokio::test(start_paused = true)]
async fn executions_that_pointsman_did_not_start_are_recorded_and_marked() {
    let world = World::with_config(SHOP).await;
    let input = json!({
        "name": "dev",
        "sourceRevisions": [{ "actionName": "GitHub", "revisionType": "COMMIT_ID", "revisionValue": sha(77) }],
    });
    world.aws().ask("codepipeline", REGION, "StartPipelineExecution", input).unwrap();
    world
        .aws()
        .ask("codebuild", REGION, "StartBuild", json!({ "projectName": "validate", "sourceVersion": sha(78) }))
        .unwrap();
    world.settle().await;
    let executions = world.executions().await;
    assert_eq!(executions.len(), 2);
    for execution in executions {
        assert_eq!(execution.status, Status::Succeeded);
        assert!(execution.note.as_deref().unwrap().starts_with("not started by Pointsman"), "{:?}", execution.note);
        assert!(execution.route.is_none());
        assert!(execution.sha.is_some(), "{:?}", execution.target);
    }
}

#[tokio::test(start_paused = true)]
async fn a_build_that_fails_fails_its_execution() {
    let mut pipeline = json!({
        "pipeline": {
            "name": "dev", "pipelineType": "V2", "roleArn": "arn:aws:iam::123456789012:role/codepipeline",
            "artifactStore": { "type": "S3", "location": "artifacts" },
            "stages": [
                { "name": "Source", "actions": [{
                    "name": "GitHub", "outputArtifacts": [{ "name": "source" }],
                    "actionTypeId": { "category": "Source", "owner": "AWS", "provider": "CodeStarSourceConnection", "version": "1" },
                    "configuration": {
                        "ConnectionArn": "arn:aws:codeconnections:us-east-1:123456789012:connection/x",
                        "FullRepositoryId": "acme/shop", "BranchName": "main", "DetectChanges": "false",
                    },
                }] },
                { "name": "Deploy", "actions": [{
                    "name": "Deploy", "inputArtifacts": [{ "name": "source" }],
                    "actionTypeId": { "category": "Deploy", "owner": "AWS", "provider": "S3", "version": "1" },
                    "configuration": { "BucketName": "b", "Extract": "true" },
                }] },
            ],
        },
    });
    pipeline["tags"] = json!([{ "key": "local:Deploy/Deploy", "value": "fail" }]);
    let options = Options { config: Some(SHOP.to_owned()), pipelines: vec![pipeline], ..Options::default() };
    let world = World::start(options).await;
    world.send("push", "bad", &push("main", 1, 2, 1)).await;
    world.settle().await;
    let delivery = world.delivery("bad").await.unwrap();
    assert_eq!(delivery.status.as_str(), "executed", "it was started; what it came to is the execution's to say");
    assert_eq!(world.execution(&delivery.plan[0].execution).await.status, Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_poison_message_becomes_a_dead_letter_and_holds_up_nobody() {
    let world = World::with_config(SHOP).await;
    let queue = "https://sqs.us-east-1.amazonaws.com/123456789012/pointsman-changes.fifo";
    let input =
        json!({ "QueueUrl": queue, "MessageBody": "poison", "MessageGroupId": "p", "MessageDeduplicationId": "p" });
    world.aws().ask("sqs", REGION, "SendMessage", input).unwrap();
    world.send("push", "fine", &push("main", 1, 2, 1)).await;
    world.settle().await;
    assert_eq!(world.outcome("fine").await.0, "executed", "another ref is not held up");
    world.pass(Duration::from_secs(5 * 180 + 60)).await;
    let dead = "https://sqs.us-east-1.amazonaws.com/123456789012/pointsman-changes-dead.fifo";
    let input = json!({ "QueueUrl": dead, "AttributeNames": ["ApproximateNumberOfMessages"] });
    let answer = world.aws().ask("sqs", REGION, "GetQueueAttributes", input).unwrap();
    assert_eq!(answer["Attributes"]["ApproximateNumberOfMessages"], "1");
    let summary = world.aws().lambda().invoke(world.aws(), "pointsman-SweepFunction", json!({})).await.unwrap();
    assert_eq!(summary["dead_letters"], 1, "counted, and alarmed");
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_starts_itself_is_named_by_sweep() {
    let world = World::start(Options { behaviour: Behaviour::default(), ..Options::default() }).await;
    let got = world.aws().ask("codepipeline", REGION, "GetPipeline", json!({ "name": "shop-staging" })).unwrap();
    let mut declaration = got["pipeline"].clone();
    declaration["stages"][0]["actions"][0]["configuration"]["DetectChanges"] = json!("true");
    world.aws().ask("codepipeline", REGION, "UpdatePipeline", json!({ "pipeline": declaration })).unwrap();
    let summary = world.aws().lambda().invoke(world.aws(), "pointsman-SweepFunction", json!({})).await.unwrap();
    assert_eq!(summary["self_starting"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_push_of_very_many_paths_to_very_many_routes_is_recorded_whole() {
    let mut config = "version = 1\n".to_owned();
    for number in 0..30 {
        config.push_str(&format!(
            "[[routes]]\nrepository = \"acme/shop\"\non = \"push\"\nbranch = [\"main\"]\npipeline = \"service-{number}\"\n\
             variables = {{ NOTE = \"{}\" }}\n",
            "n".repeat(1_000)
        ));
    }
    let world = World::with_config(&config).await;
    let paths: Vec<String> = (0..2_800).map(|number| format!("services/{}/{number}.rs", "x".repeat(70))).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_eq!(world.send("push", "large", &with_paths(push("main", 1, 2, 1), &paths)).await, 202);
    world.pass(Duration::from_secs(600)).await;
    let (status, reason) = world.outcome("large").await;
    assert_eq!(status, "executed", "{reason}");
    assert_eq!(world.delivery("large").await.unwrap().plan.len(), 30);
    assert_eq!(world.commits("service-29"), [2]);
}

#[tokio::test(start_paused = true)]
async fn the_token_of_an_approval_is_never_recorded() {
    let config = r#"
version = 1
[approvers.devops]
members = [{ email = "ada@example.com" }]
[environments.web]
deploys = [{ region = "us-east-1", pipeline = "web", stage = "Deploy" }]
[environments.web.approval]
require = { devops = 1 }
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "web"
environment = "web"
"#;
    let world = World::with_config(config).await;
    let ask = |operation: &str, input| world.aws().ask("codepipeline", REGION, operation, input).unwrap();
    // In this mode the token is what the API and the events show as the action's external id.
    let mut declaration = ask("GetPipeline", json!({ "name": "web" }))["pipeline"].clone();
    declaration["executionMode"] = json!("PARALLEL");
    ask("UpdatePipeline", json!({ "pipeline": declaration }));
    world.send("push", "parallel", &push("main", 1, 2, 1)).await;
    // Long enough for sweep to ask the API too.
    world.pass(Duration::from_secs(15 * 60)).await;
    let execution = world.executions().await.remove(0);
    assert_eq!(execution.status, Status::AwaitingApproval);
    let actions = ask("ListActionExecutions", json!({ "pipelineName": "web" }));
    let actions = actions["actionExecutionDetails"].as_array().unwrap();
    let approval = actions.iter().find(|action| action["stageName"] == "Approve").unwrap();
    let token = approval["output"]["executionResult"]["externalExecutionId"].as_str().unwrap().to_owned();
    let recorded = async || {
        let ledger = world.local.ledger();
        let run = ledger.run(&execution.target, execution.start.aws_id().unwrap(), execution.created_at);
        let observed = run.await.unwrap().value.observed;
        assert!(observed.actions["Build/Build"].link.is_some(), "whatever runs has a link");
        assert_eq!(observed.actions["Approve/Approve"].link, None);
        serde_json::to_string(&observed).unwrap()
    };
    assert!(!recorded().await.contains(&token), "while it waits");
    let result = json!({ "status": "Approved", "summary": "fine" });
    let input = json!({
        "pipelineName": "web", "stageName": "Approve", "actionName": "Approve", "token": token, "result": result,
    });
    ask("PutApprovalResult", input);
    world.settle().await;
    assert_eq!(world.execution(&execution.id).await.status, Status::Succeeded);
    assert!(!recorded().await.contains(&token), "and once it is answered");
}
