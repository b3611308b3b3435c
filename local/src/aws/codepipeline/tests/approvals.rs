//! Approvals: asked for once, answered once.

use super::*;
use crate::aws::AnsweredApproval;

/// The token of the approval that waits, as GetPipelineState shows it.
fn token(aws: &Aws) -> Option<String> {
    let state = ask(aws, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let stage = state["stageStates"].as_array().unwrap().iter().find(|stage| stage["stageName"] == "Approve").unwrap();
    stage["actionStates"][0]["latestExecution"]["token"].as_str().map(str::to_owned)
}

fn answer(aws: &Aws, token: &str, status: &str) -> Result<Value, Failure> {
    let input = json!({
        "pipelineName": "shop", "stageName": "Approve", "actionName": "Ask", "token": token,
        "result": { "status": status, "summary": "looked at it" },
    });
    ask(aws, "PutApprovalResult", input)
}

/// A shop that waits for approval, with its execution and its token.
async fn waiting(behaviour: Behaviour, declared: Value) -> (Aws, String, String) {
    let aws = account(behaviour);
    lay_down(&aws, declared, json!(null));
    let id = start(&aws);
    pass(&aws, 2_000).await;
    let token = token(&aws).unwrap();
    (aws, id, token)
}

fn of_ask(aws: &Aws, id: &str) -> Vec<Value> {
    let input = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": id } });
    let listed = ask(aws, "ListActionExecutions", input).unwrap();
    let all = listed["actionExecutionDetails"].as_array().unwrap().clone();
    all.into_iter().filter(|each| each["actionName"] == "Ask").collect()
}

#[tokio::test(start_paused = true)]
async fn an_answer_decides_and_says_whose_it_was() {
    for (said, ends, action) in [("Approved", "Succeeded", "Succeeded"), ("Rejected", "Failed", "Failed")] {
        let (aws, id, token) = waiting(Behaviour::default(), with_approval()).await;
        let open = of_ask(&aws, &id)[0]["output"]["executionResult"].clone();
        assert!(open.get("externalExecutionId").is_none(), "the token stands here in mode PARALLEL only");
        answer(&aws, &token, said).unwrap();
        assert!(super::approvals::token(&aws).is_none(), "{said}: a token that was used is shown no more");
        pass(&aws, 5_000).await;
        assert_eq!(status(&aws, &id), ends, "{said}");
        let asked = of_ask(&aws, &id);
        assert_eq!(asked[0]["status"], action, "{said}");
        assert_eq!(asked[0]["updatedBy"], "arn:aws:iam::123456789012:root", "{said}");
        assert_eq!(asked[0]["output"]["executionResult"]["externalExecutionSummary"], "looked at it", "{said}");
        assert!(asked[0]["output"]["executionResult"].get("errorDetails").is_none(), "{said}: no error, a decision");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_answers_once() {
    for (model, expected) in [
        (AnsweredApproval::AlreadyCompleted, "ApprovalAlreadyCompletedException"),
        (AnsweredApproval::InvalidToken, "InvalidApprovalTokenException"),
    ] {
        let behaviour = Behaviour { answered_approval: model, ..Behaviour::default() };
        let (aws, _, token) = waiting(behaviour, with_approval()).await;
        answer(&aws, &token, "Approved").unwrap();
        assert_eq!(answer(&aws, &token, "Rejected").unwrap_err().code, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_asked_cannot_be_answered() {
    let (aws, id, good) = waiting(Behaviour::default(), with_approval()).await;
    let with = |key: &str, value: Value| {
        let mut input = json!({
            "pipelineName": "shop", "stageName": "Approve", "actionName": "Ask", "token": good,
            "result": { "status": "Approved", "summary": "" },
        });
        input[key] = value;
        input
    };
    let long = "s".repeat(513);
    #[rustfmt::skip]
    let cases = [
        // key, value, error, why
        ("pipelineName", json!("nope"), "PipelineNotFoundException", "no such pipeline"),
        ("stageName", json!("nope"), "StageNotFoundException", "no such stage"),
        ("actionName", json!("nope"), "ActionNotFoundException", "no such action"),
        ("stageName", json!("Build"), "ActionNotFoundException", "an action of another stage"),
        ("token", json!("00000000-0000-4000-8000-000000000000"), "InvalidApprovalTokenException", "nobody's token"),
        ("token", json!("x"), "ValidationException", "not a UUID"),
        ("token", Value::Null, "ValidationException", "no token"),
        ("result", json!({ "status": "Approved" }), "ValidationException", "a summary is required"),
        ("result", json!({ "status": "Approved", "summary": long }), "ValidationException", "513 characters"),
        ("result", json!({ "status": "Maybe", "summary": "" }), "ValidationException", "neither yes nor no"),
    ];
    for (key, value, expected, why) in cases {
        assert_eq!(ask(&aws, "PutApprovalResult", with(key, value)).unwrap_err().code, expected, "{why}");
        assert_eq!(status(&aws, &id), "InProgress", "{why}");
    }
    ask(&aws, "PutApprovalResult", with("token", json!(good))).unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_s_answer_is_a_failure_after_the_timeout() {
    let mut short = with_approval();
    short["stages"][1]["actions"][0]["timeoutInMinutes"] = json!(5);
    for (declared, before, after) in [(short, 299_000, 2_000), (with_approval(), 7 * 24 * 3_600_000 - 5_000, 6_000)] {
        let (aws, id, token) = waiting(Behaviour::default(), declared).await;
        pass(&aws, before - 2_000).await;
        assert_eq!(status(&aws, &id), "InProgress");
        pass(&aws, after + 2_000).await;
        assert_eq!(status(&aws, &id), "Failed");
        assert_eq!(answer(&aws, &token, "Approved").unwrap_err().code, "InvalidApprovalTokenException");
        assert!(of_ask(&aws, &id)[0].get("updatedBy").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_and_a_stop_end_it_too() {
    let (aws, id, token) = waiting(Behaviour::default(), with_approval()).await;
    ask(&aws, "UpdatePipeline", json!({ "pipeline": with_approval() })).unwrap();
    assert_eq!(status(&aws, &id), "Cancelled");
    assert_eq!(answer(&aws, &token, "Approved").unwrap_err().code, "InvalidApprovalTokenException");

    let (aws, id, token) = waiting(Behaviour::default(), with_approval()).await;
    stop(&aws, &id, false).unwrap();
    assert_eq!(status(&aws, &id), "Stopping", "a pending approval counts as an action in progress");
    answer(&aws, &token, "Approved").unwrap();
    assert_eq!(status(&aws, &id), "Stopped", "approved, and goes no further");
    let input = json!({
        "pipelineName": "shop", "stageName": "Approve", "pipelineExecutionId": id, "retryMode": "FAILED_ACTIONS",
    });
    let refusal = ask(&aws, "RetryStageExecution", input).unwrap_err();
    assert_eq!(refusal.code, "StageNotRetryableException", "nothing failed in it, so no retry goes past it");
}

#[tokio::test(start_paused = true)]
async fn a_retried_stage_asks_anew() {
    let (aws, id, first) = waiting(Behaviour::default(), with_approval()).await;
    answer(&aws, &first, "Rejected").unwrap();
    let input = json!({
        "pipelineName": "shop", "stageName": "Approve", "pipelineExecutionId": id, "retryMode": "FAILED_ACTIONS",
    });
    ask(&aws, "RetryStageExecution", input).unwrap();
    let second = token(&aws).unwrap();
    assert_ne!(first, second);
    let asked = of_ask(&aws, &id);
    assert_ne!(asked[0]["actionExecutionId"], asked[1]["actionExecutionId"]);
    assert_eq!(answer(&aws, &first, "Approved").unwrap_err().code, "ApprovalAlreadyCompletedException");
    answer(&aws, &second, "Approved").unwrap();
    pass(&aws, 5_000).await;
    assert_eq!(status(&aws, &id), "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn in_mode_parallel_the_state_shows_no_token() {
    let mut declared = with_approval();
    declared["executionMode"] = json!("PARALLEL");
    let aws = account(Behaviour::default());
    lay_down(&aws, declared, json!(null));
    let ids = [start(&aws), start(&aws)];
    pass(&aws, 2_000).await;
    assert!(token(&aws).is_none());
    let tokens = ids.each_ref().map(|id| {
        let asked = of_ask(&aws, id);
        asked[0]["output"]["executionResult"]["externalExecutionId"].as_str().unwrap().to_owned()
    });
    answer(&aws, &tokens[1], "Approved").unwrap();
    pass(&aws, 5_000).await;
    assert_eq!(status(&aws, &ids[1]), "Succeeded", "the younger one overtakes");
    assert_eq!(status(&aws, &ids[0]), "InProgress");
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_told_in_aws_s_own_words() {
    let topic = "arn:aws:sns:us-east-1:123456789012:asked";
    let mut declared = with_approval();
    declared["stages"][1]["actions"][0]["configuration"] =
        json!({ "NotificationArn": topic, "CustomData": "look twice", "ExternalEntityLink": "https://example.com" });
    let aws = account(Behaviour::default());
    lay_down(&aws, declared.clone(), json!(null));
    let lost = start(&aws);
    pass(&aws, 2_000).await;
    assert_eq!(status(&aws, &lost), "Failed", "there is no such topic");

    aws.ask("sns", HOME, "CreateTopic", json!({ "Name": "asked" })).unwrap();
    let email = json!({ "TopicArn": topic, "Protocol": "email", "Endpoint": "ada@example.com" });
    aws.ask("sns", HOME, "Subscribe", email).unwrap();
    start(&aws);
    pass(&aws, 2_000).await;
    let mails = aws.sns().mail();
    let mail = mails.last().unwrap();
    assert_eq!(mail.subject, "APPROVAL NEEDED: AWS CodePipeline shop for action Ask");
    let message: Value = serde_json::Deserializer::from_str(&mail.body).into_iter().next().unwrap().unwrap();
    let token = token(&aws).unwrap();
    let home = "https://console.aws.amazon.com/codepipeline/home?region=us-east-1#/view/shop";
    // Seven days after 12:00:02, without seconds; and no execution id anywhere.
    let expected = json!({
        "region": "us-east-1",
        "consoleLink": home,
        "approval": {
            "pipelineName": "shop", "stageName": "Approve", "actionName": "Ask", "token": token,
            "expires": "2026-09-07T12:00Z",
            "externalEntityLink": "https://example.com",
            "approvalReviewLink": format!("{home}/Approve/Ask/approve/{token}"),
            "customData": "look twice",
        },
    });
    assert_eq!(message, expected);
}
