//! Scenarios: builds started through the API under a paused clock.

use crate::aws::{Aws, Behaviour, Pace};
use crate::clock::Clock;
use crate::faults::Faults;
use serde_json::{Value, json};
use std::time::Duration;

const HOME: &str = "eu-west-2";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn account(behaviour: Behaviour) -> Aws {
    let start = "2026-08-31T12:00:00Z".parse().unwrap();
    Aws::new(Clock::starting_at(start), behaviour, Faults::none(), 1).unwrap()
}

fn ask(aws: &Aws, operation: &str, input: Value) -> Value {
    aws.ask("codebuild", HOME, operation, input).unwrap()
}

fn refusal(aws: &Aws, operation: &str, input: Value) -> String {
    aws.ask("codebuild", HOME, operation, input).unwrap_err().code
}

async fn pass(aws: &Aws, milliseconds: u64) {
    tokio::select! {
        () = aws.run() => {}
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => {}
    }
}

fn project(buildspec: &str) -> Value {
    json!({
        "name": "shop",
        "source": { "type": "GITHUB", "location": "https://github.com/acme/shop.git", "buildspec": buildspec },
        "artifacts": { "type": "NO_ARTIFACTS" },
        "environment": {
            "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": true,
            "environmentVariables": [{ "name": "A", "value": "1" }, { "name": "B", "value": "1" }],
        },
        "serviceRole": "arn:aws:iam::123456789012:role/build",
    })
}

#[tokio::test(start_paused = true)]
async fn a_build_runs_and_exports_its_image() {
    let aws = account(Behaviour::default());
    ask(&aws, "CreateProject", project("version: 0.2\nenv:\n  exported-variables: [IMAGE_DIGEST, A, B]\n"));
    let input = json!({
        "projectName": "shop", "sourceVersion": SHA,
        "environmentVariablesOverride": [{ "name": "B", "value": "2" }],
    });
    let build = ask(&aws, "StartBuild", input)["build"].clone();
    assert_eq!(build["buildStatus"], "IN_PROGRESS");
    assert_eq!(build["currentPhase"], "QUEUED");
    assert_eq!(build["buildNumber"], 1);
    assert_eq!(build["initiator"], "root");
    pass(&aws, 1_000).await;
    let builds = ask(&aws, "BatchGetBuilds", json!({ "ids": [build["id"], "shop:other"] }));
    assert_eq!(builds["buildsNotFound"], json!(["shop:other"]));
    let ended = &builds["builds"][0];
    assert_eq!(ended["buildStatus"], "SUCCEEDED");
    assert_eq!(ended["buildComplete"], true);
    assert_eq!(ended["phases"].as_array().unwrap().len(), 11);
    let digest = super::build::image_digest(SHA);
    let exported = json!([
        { "name": "A", "value": "1" }, { "name": "B", "value": "2" }, { "name": "IMAGE_DIGEST", "value": digest },
    ]);
    assert_eq!(ended["exportedEnvironmentVariables"], exported);
}

#[tokio::test(start_paused = true)]
async fn what_a_build_does_is_read_from_its_buildspec() {
    #[rustfmt::skip]
    let cases = [
        // buildspec, how the build ends, after how many ms, why
        ("phases: {build: {commands: [make]}}",                     "SUCCEEDED", 5_000,  "unknown: does nothing"),
        ("phases: {build: {commands: [false]}}",                    "FAILED",    5_000,  "YAML reads a bool"),
        ("phases: {pre_build: {commands: ['exit 2']}}",             "FAILED",    5_000,  "a status other than 0"),
        ("phases: {build: {commands: ['exit 0']}}",                 "SUCCEEDED", 5_000,  "0 is success"),
        ("phases: {build: {commands: ['sleep 30', 'sleep 5']}}",    "SUCCEEDED", 40_000, "sleeps add up"),
        ("phases: {build: {commands: ['false', 'sleep 60']}}",      "FAILED",    5_000,  "a failure is the end"),
        ("{\"phases\": {\"build\": {\"commands\": [\"exit 1\"]}}}", "FAILED",    5_000,  "JSON will do"),
        ("ci/buildspec.yml",                                        "SUCCEEDED", 5_000,  "a path is not read"),
    ];
    for (buildspec, status, takes, why) in cases {
        let aws = account(Behaviour { pace: Pace::Real, ..Behaviour::default() });
        ask(&aws, "CreateProject", project(buildspec));
        let id = ask(&aws, "StartBuild", json!({ "projectName": "shop" }))["build"]["id"].clone();
        let now = async || ask(&aws, "BatchGetBuilds", json!({ "ids": [id] }))["builds"][0]["buildStatus"].clone();
        pass(&aws, takes - 1).await;
        assert_eq!(now().await, "IN_PROGRESS", "{buildspec}: {why}");
        pass(&aws, 2).await;
        assert_eq!(now().await, status, "{buildspec}: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_variable_makes_any_build_fail() {
    let aws = account(Behaviour::default());
    let told = json!([{ "name": "POINTSMAN_LOCAL_RESULT", "value": "fail" }]);
    ask(&aws, "StartBuild", json!({ "projectName": "made-up", "environmentVariablesOverride": told }));
    pass(&aws, 1_000).await;
    let id = ask(&aws, "ListBuildsForProject", json!({ "projectName": "made-up" }))["ids"][0].clone();
    let build = ask(&aws, "BatchGetBuilds", json!({ "ids": [id] }))["builds"][0].clone();
    assert_eq!(build["buildStatus"], "FAILED");
    assert_eq!(build["phases"][6]["contexts"][0]["statusCode"], "COMMAND_EXECUTION_ERROR");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_five_minutes() {
    let aws = account(Behaviour::default());
    let input = json!({ "projectName": "shop", "idempotencyToken": "once" });
    let id = |answer: Value| answer["build"]["id"].as_str().unwrap().to_owned();
    let first = id(ask(&aws, "StartBuild", input.clone()));
    pass(&aws, 299_999).await;
    assert_eq!(id(ask(&aws, "StartBuild", input.clone())), first, "within five minutes");
    let other = json!({ "projectName": "shop", "idempotencyToken": "once", "sourceVersion": SHA });
    assert_eq!(refusal(&aws, "StartBuild", other), "InvalidInputException", "other parameters");
    pass(&aws, 1).await;
    assert_ne!(id(ask(&aws, "StartBuild", input)), first, "five minutes later");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_those_of_codebuild() {
    let aws = account(Behaviour { strict: true, ..Behaviour::default() });
    assert_eq!(refusal(&aws, "StartBuild", json!({ "projectName": "shop" })), "ResourceNotFoundException");
    assert_eq!(refusal(&aws, "StartBuild", json!({})), "InvalidInputException");
    assert_eq!(refusal(&aws, "StopBuild", json!({ "id": "shop:1" })), "ResourceNotFoundException");
    assert_eq!(refusal(&aws, "ListBuildsForProject", json!({ "projectName": "x" })), "ResourceNotFoundException");
    assert_eq!(refusal(&aws, "BatchGetBuilds", json!({ "ids": [] })), "InvalidInputException");
    assert_eq!(refusal(&aws, "RetryBuild", json!({})), "NotEmulated");
    ask(&aws, "CreateProject", project("x"));
    assert_eq!(refusal(&aws, "CreateProject", project("x")), "ResourceAlreadyExistsException");
    let names = ask(&aws, "ListProjects", json!({}));
    assert_eq!(names, json!({ "projects": ["shop"] }));
    aws.codebuild().set_build_limit(Some(1));
    let id = ask(&aws, "StartBuild", json!({ "projectName": "shop" }))["build"]["id"].clone();
    assert_eq!(refusal(&aws, "StartBuild", json!({ "projectName": "shop" })), "AccountLimitExceededException");
    assert_eq!(ask(&aws, "StopBuild", json!({ "id": id }))["build"]["buildStatus"], "STOPPED");
    ask(&aws, "StartBuild", json!({ "projectName": "shop" }));
}

#[tokio::test(start_paused = true)]
async fn a_listing_comes_in_pages() {
    let aws = account(Behaviour::default());
    aws.codebuild().set_build_limit(Some(1_000));
    for _ in 0..150 {
        ask(&aws, "StartBuild", json!({ "projectName": "shop" }));
    }
    let first = ask(&aws, "ListBuilds", json!({}));
    assert_eq!(first["ids"].as_array().unwrap().len(), 100);
    let rest = ask(&aws, "ListBuilds", json!({ "nextToken": first["nextToken"] }));
    assert_eq!(rest["ids"].as_array().unwrap().len(), 50);
    assert!(rest.get("nextToken").is_none());
    assert_eq!(refusal(&aws, "ListBuilds", json!({ "nextToken": "forged" })), "InvalidInputException");
}

#[tokio::test(start_paused = true)]
async fn what_a_project_is_told_it_tells_again() {
    let aws = account(Behaviour::default());
    let mut input = project("x");
    input["badgeEnabled"] = json!(true);
    let made = ask(&aws, "CreateProject", input)["project"].clone();
    assert_eq!((&made["badge"], made.get("badgeEnabled")), (&json!({ "badgeEnabled": true }), None));
    #[rustfmt::skip]
    let cases = [
        ("UpdateProject", json!({ "name": "shop", "timeoutInMinutes": 4 }),          "five minutes at least"),
        ("UpdateProject", json!({ "name": "shop", "timeoutInMinutes": 2161 }),       "a day and a half at most"),
        ("UpdateProject", json!({ "name": "shop", "queuedTimeoutInMinutes": 481 }),  "eight hours at most"),
        ("ListBuilds",    json!({ "sortOrder": "UP" }),                              "no such order"),
        ("ListProjects",  json!({ "sortBy": "COLOUR" }),                             "nothing to sort by"),
    ];
    for (operation, input, why) in cases {
        assert_eq!(refusal(&aws, operation, input), "InvalidInputException", "{why}");
    }
    assert_eq!(ask(&aws, "BatchGetProjects", json!({ "names": ["shop"] }))["projects"][0], made, "nothing changed");
}

#[tokio::test(start_paused = true)]
async fn a_restored_build_goes_on_and_ends() {
    let aws = account(Behaviour::default());
    ask(&aws, "CreateProject", project("phases: {install: {commands: ['exit 3']}}"));
    let start = json!({ "projectName": "shop", "idempotencyToken": "once" });
    let id = ask(&aws, "StartBuild", start.clone())["build"]["id"].clone();
    let saved = aws.codebuild().save();
    let next = Aws::new(aws.clock(), Behaviour::default(), Faults::none(), 2).unwrap();
    next.codebuild().restore(saved.clone()).unwrap();
    assert_eq!(next.codebuild().save(), saved, "nothing is lost, and nothing added");
    assert_eq!(ask(&next, "StartBuild", start)["build"]["id"], id, "the token is known");
    pass(&next, 1_000).await;
    let build = ask(&next, "BatchGetBuilds", json!({ "ids": [id] }))["builds"][0].clone();
    assert_eq!((&build["buildStatus"], &build["phases"][4]["phaseType"]), (&json!("FAILED"), &json!("INSTALL")));
    assert!(next.codebuild().restore(json!({ "regions": [] })).is_err());
}

#[tokio::test(start_paused = true)]
async fn every_operation_that_is_listed_is_there() {
    let aws = account(Behaviour::default());
    let listed = aws.operations()["codebuild"].clone();
    assert!(listed.is_sorted());
    for operation in listed {
        let code = aws.ask("codebuild", HOME, operation, json!({})).err().map(|failure| failure.code);
        assert_ne!(code.as_deref(), Some("NotEmulated"), "{operation}");
    }
}
