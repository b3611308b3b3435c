//! Rollbacks and retries.

use super::*;

fn roll_back(aws: &Aws, stage: &str, target: &str) -> Result<String, Failure> {
    let input = json!({ "pipelineName": "shop", "stageName": stage, "targetPipelineExecutionId": target });
    ask(aws, "RollbackStage", input).map(|answer| answer["pipelineExecutionId"].as_str().unwrap().to_owned())
}

fn retry(aws: &Aws, stage: &str, id: &str, mode: &str) -> Result<Value, Failure> {
    let input = json!({
        "pipelineName": "shop", "stageName": stage, "pipelineExecutionId": id, "retryMode": mode,
    });
    ask(aws, "RetryStageExecution", input)
}

fn tag(aws: &Aws, key: &str, value: &str) {
    let arn = "arn:aws:codepipeline:us-east-1:123456789012:shop";
    let tags = json!([{ "key": key, "value": value }]);
    ask(aws, "TagResource", json!({ "resourceArn": arn, "tags": tags })).unwrap();
}

async fn run(aws: &Aws) -> String {
    let id = start(aws);
    pass(aws, 5_000).await;
    id
}

/// What ListActionExecutions shows of an execution: stage/action status, the oldest first.
fn actions(aws: &Aws, id: &str, range: Option<&str>) -> Vec<String> {
    let filter = match range {
        None => json!({ "pipelineExecutionId": id }),
        Some(range) => {
            json!({ "latestInPipelineExecution": { "pipelineExecutionId": id, "startTimeRange": range } })
        }
    };
    let listed = ask(aws, "ListActionExecutions", json!({ "pipelineName": "shop", "filter": filter })).unwrap();
    let shown = |each: &Value| {
        let text = |key: &str| each[key].as_str().unwrap().to_owned();
        format!("{}/{} {}", text("stageName"), text("actionName"), text("status"))
    };
    listed["actionExecutionDetails"].as_array().unwrap().iter().rev().map(shown).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_an_execution_of_its_own_with_the_target_s_revision() {
    let aws = account(Behaviour::default());
    lay_down(&aws, shop(), json!(null));
    let input = json!({
        "name": "shop",
        "variables": [{ "name": "SERVICE", "value": "music" }],
        "sourceRevisions": [{ "actionName": "GitHub", "revisionType": "COMMIT_ID", "revisionValue": SHA }],
    });
    let good = ask(&aws, "StartPipelineExecution", input).unwrap()["pipelineExecutionId"].as_str().unwrap().to_owned();
    pass(&aws, 5_000).await;
    run(&aws).await;
    let back = roll_back(&aws, "Deploy", &good).unwrap();
    pass(&aws, 5_000).await;
    let input = json!({ "pipelineName": "shop", "pipelineExecutionId": back });
    let shown = ask(&aws, "GetPipelineExecution", input).unwrap()["pipelineExecution"].clone();
    assert_eq!(shown["status"], "Succeeded");
    assert_eq!(shown["executionType"], "ROLLBACK");
    assert_eq!(shown["rollbackMetadata"]["rollbackTargetPipelineExecutionId"], good);
    assert_eq!(shown["trigger"]["triggerType"], "ManualRollback");
    assert_eq!(shown["artifactRevisions"][0]["revisionId"], SHA);
    assert_eq!(shown["variables"][0]["resolvedValue"], "music");
    assert_eq!(actions(&aws, &back, None), ["Deploy/East Succeeded", "Deploy/West Succeeded"], "one stage, no more");
    let state = ask(&aws, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let latest = &state["stageStates"][2]["latestExecution"];
    assert_eq!((&latest["pipelineExecutionId"], &latest["type"]), (&json!(back), &json!("ROLLBACK")));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_has_rules() {
    let aws = account(Behaviour::default());
    lay_down(&aws, with_approval(), json!(null));
    let outdated = run(&aws).await;
    ask(&aws, "UpdatePipeline", json!({ "pipeline": shop() })).unwrap();
    let first = run(&aws).await;
    let second = run(&aws).await;
    tag(&aws, "local:Deploy/East", "fail");
    let failed = run(&aws).await;
    tag(&aws, "local:Deploy/East", "");
    let back = roll_back(&aws, "Deploy", &first).unwrap();
    pass(&aws, 5_000).await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    #[rustfmt::skip]
    let cases = [
        // stage, target, error, why
        ("Deploy", nobody, "PipelineExecutionNotFoundException", "no such execution"),
        ("Deploy", outdated.as_str(), "PipelineExecutionOutdatedException", "started before the edit"),
        ("Nope", first.as_str(), "StageNotFoundException", "no such stage"),
        ("Source", first.as_str(), "UnableToRollbackStageException", "a source stage"),
        ("Deploy", failed.as_str(), "UnableToRollbackStageException", "it failed there"),
        ("Deploy", back.as_str(), "UnableToRollbackStageException", "a rollback itself"),
        ("Deploy", "x", "ValidationException", "not an id"),
    ];
    for (stage, target, expected, why) in cases {
        assert_eq!(roll_back(&aws, stage, target).unwrap_err().code, expected, "{why}");
    }
    let again = roll_back(&aws, "Deploy", &second).unwrap();
    pass(&aws, 1_100).await;
    assert_eq!(roll_back(&aws, "Deploy", &second).unwrap_err().code, "UnableToRollbackStageException", "it runs");
    pass(&aws, 5_000).await;
    assert_eq!(status(&aws, &again), "Succeeded");
    let other = json!({ "pipelineName": "nope", "stageName": "Deploy", "targetPipelineExecutionId": first });
    assert_eq!(ask(&aws, "RollbackStage", other).unwrap_err().code, "PipelineNotFoundException");

    let parallel = account(Behaviour::default());
    let mut declared = shop();
    declared["executionMode"] = json!("PARALLEL");
    lay_down(&parallel, declared, json!(null));
    let good = run(&parallel).await;
    run(&parallel).await;
    assert_eq!(roll_back(&parallel, "Deploy", &good).unwrap_err().code, "UnableToRollbackStageException", "PARALLEL");
}

#[tokio::test(start_paused = true)]
async fn who_asks_twice_for_a_rollback_gets_two() {
    let aws = account(Behaviour::default());
    lay_down(&aws, shop(), json!(null));
    let good = run(&aws).await;
    run(&aws).await;
    let twice = [roll_back(&aws, "Deploy", &good).unwrap(), roll_back(&aws, "Deploy", &good).unwrap()];
    assert_ne!(twice[0], twice[1], "RollbackStage has no token");
    pass(&aws, 10_000).await;
    assert_eq!(twice.each_ref().map(|id| status(&aws, id)), ["Succeeded", "Succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_leaves_nothing_to_go_back_to() {
    let aws = account(Behaviour::default());
    lay_down(&aws, shop(), json!(null));
    run(&aws).await;
    let good = |aws: &Aws| {
        let filter = json!({ "succeededInStage": { "stageName": "Deploy" } });
        let listed = ask(aws, "ListPipelineExecutions", json!({ "pipelineName": "shop", "filter": filter })).unwrap();
        listed["pipelineExecutionSummaries"].as_array().unwrap().len()
    };
    assert_eq!(good(&aws), 1);
    ask(&aws, "UpdatePipeline", json!({ "pipeline": shop() })).unwrap();
    assert_eq!(good(&aws), 0, "those of another structure version are not listed");
}

#[tokio::test(start_paused = true)]
async fn a_shut_entrance_may_or_may_not_hold_a_rollback() {
    for (passes, expected) in [(true, "Succeeded"), (false, "InProgress")] {
        let behaviour = Behaviour { rollback_passes_transition: passes, ..Behaviour::default() };
        let aws = account(behaviour);
        lay_down(&aws, shop(), json!(null));
        let good = run(&aws).await;
        run(&aws).await;
        let input = json!({
            "pipelineName": "shop", "stageName": "Deploy", "transitionType": "Inbound", "reason": "held",
        });
        ask(&aws, "DisableStageTransition", input.clone()).unwrap();
        let waiting = run(&aws).await;
        let back = roll_back(&aws, "Deploy", &good).unwrap();
        pass(&aws, 5_000).await;
        assert_eq!(status(&aws, &back), expected);
        assert_eq!(status(&aws, &waiting), "InProgress", "a rollback supersedes nobody");
        let mut input = input;
        input.as_object_mut().unwrap().remove("reason");
        ask(&aws, "EnableStageTransition", input).unwrap();
        pass(&aws, 5_000).await;
        assert_eq!((status(&aws, &back), status(&aws, &waiting)), ("Succeeded".into(), "Succeeded".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stage_rolls_itself_back_when_it_says_so() {
    let aws = account(Behaviour::default());
    let mut declared = shop();
    declared["stages"][2]["onFailure"] = json!({ "result": "ROLLBACK" });
    lay_down(&aws, declared, json!({}));
    tag(&aws, "local:Deploy/East", "fail");
    let bad = run(&aws).await;
    let list = |aws: &Aws| {
        let listed = ask(aws, "ListPipelineExecutions", json!({ "pipelineName": "shop" })).unwrap();
        listed["pipelineExecutionSummaries"].as_array().unwrap().clone()
    };
    assert_eq!((status(&aws, &bad).as_str(), list(&aws).len()), ("Failed", 1), "nothing to go back to");
    tag(&aws, "local:Deploy/East", "");
    let good = run(&aws).await;
    tag(&aws, "local:Deploy/East", "fail");
    let bad = run(&aws).await;
    let all = list(&aws);
    assert_eq!(status(&aws, &bad), "Failed");
    assert_eq!(all.len(), 4, "one rollback, and it fails too: no second one");
    assert_eq!(
        all[0]["trigger"],
        json!({
            "triggerType": "AutomatedRollback",
            "triggerDetail": json!({ "FailedPipelineExecutionId": bad }).to_string(),
        })
    );
    assert_eq!(all[0]["rollbackMetadata"]["rollbackTargetPipelineExecutionId"], good);
    assert_eq!(all[0]["status"], "Failed");
}

#[tokio::test(start_paused = true)]
async fn a_stage_tries_once_more_by_itself_when_it_says_so() {
    let aws = account(Behaviour::default());
    let mut declared = shop();
    declared["stages"][2]["onFailure"] =
        json!({ "result": "RETRY", "retryConfiguration": { "retryMode": "ALL_ACTIONS" } });
    lay_down(&aws, declared, json!({}));
    tag(&aws, "local:Deploy/East", "fail");
    let id = run(&aws).await;
    assert_eq!(status(&aws, &id), "Failed");
    let east = actions(&aws, &id, None).into_iter().filter(|each| each.starts_with("Deploy/East")).count();
    assert_eq!(east, 2, "once more, and once only");
    let state = ask(&aws, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let expected = json!({ "autoStageRetryAttempt": 1, "latestRetryTrigger": "AutomatedStageRetry" });
    assert_eq!(state["stageStates"][2]["retryStageMetadata"], expected);
}

#[tokio::test(start_paused = true)]
async fn a_retry_runs_the_failed_actions_or_all_of_them() {
    for (mode, latest, again) in [("FAILED_ACTIONS", 2, 1), ("ALL_ACTIONS", 2, 2)] {
        let aws = account(Behaviour::default());
        lay_down(&aws, shop(), json!({}));
        tag(&aws, "local:Deploy/East", "fail");
        let id = run(&aws).await;
        let before = actions(&aws, &id, None).len();
        tag(&aws, "local:Deploy/East", "");
        retry(&aws, "Deploy", &id, mode).unwrap();
        assert_eq!(status(&aws, &id), "InProgress", "{mode}");
        pass(&aws, 5_000).await;
        assert_eq!(status(&aws, &id), "Succeeded", "{mode}");
        assert_eq!(actions(&aws, &id, None).len(), before + again, "{mode}");
        let deploys = actions(&aws, &id, Some("Latest")).into_iter().filter(|each| each.starts_with("Deploy")).count();
        assert_eq!(deploys, latest, "{mode}: the latest of each");
        assert_eq!(retry(&aws, "Deploy", &id, mode).unwrap_err().code, "StageNotRetryableException", "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_retried() {
    let aws = account(Behaviour::default());
    lay_down(&aws, shop(), json!({}));
    tag(&aws, "local:Deploy/East", "fail");
    let older = run(&aws).await;
    let newer = run(&aws).await;
    let mode = "FAILED_ACTIONS";
    assert_eq!(retry(&aws, "Deploy", &older, mode).unwrap_err().code, "NotLatestPipelineExecutionException");
    assert_eq!(retry(&aws, "Nope", &newer, mode).unwrap_err().code, "StageNotFoundException");
    assert_eq!(retry(&aws, "Build", &newer, mode).unwrap_err().code, "StageNotRetryableException", "it succeeded");
    assert_eq!(retry(&aws, "Deploy", &newer, "SOME").unwrap_err().code, "ValidationException");
    ask(&aws, "UpdatePipeline", json!({ "pipeline": shop() })).unwrap();
    assert_eq!(retry(&aws, "Deploy", &newer, mode).unwrap_err().code, "StageNotRetryableException", "it was edited");

    let stopped = account(Behaviour::default());
    lay_down(&stopped, shop(), json!({}));
    let id = start(&stopped);
    pass(&stopped, 500).await;
    stop(&stopped, &id, true).unwrap();
    retry(&stopped, "Build", &id, mode).unwrap();
    pass(&stopped, 5_000).await;
    assert_eq!(status(&stopped, &id), "Succeeded", "a stopped stage goes on");
}
