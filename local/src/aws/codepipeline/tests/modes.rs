//! Execution modes and transitions: who enters a stage, and when.

use super::*;

fn in_mode(mode: &str) -> Aws {
    let aws = account(Behaviour::default());
    let mut declared = with_approval();
    declared["executionMode"] = json!(mode);
    lay_down(&aws, declared, json!(null));
    aws
}

fn set(aws: &Aws, operation: &str, which: &str, stage: &str) {
    let mut input = json!({ "pipelineName": "shop", "stageName": stage, "transitionType": which });
    if operation == "DisableStageTransition" {
        input["reason"] = json!("freeze until Monday (ops@example.com)");
    }
    ask(aws, operation, input).unwrap();
}

#[tokio::test(start_paused = true)]
async fn three_starts_in_each_mode() {
    #[rustfmt::skip]
    let cases = [
        // mode, statuses while the first waits for approval, why
        ("SUPERSEDED", ["InProgress", "Superseded", "InProgress"], "the newest one waits"),
        ("QUEUED", ["InProgress", "InProgress", "InProgress"], "all wait, in order"),
        ("PARALLEL", ["InProgress", "InProgress", "InProgress"], "nobody waits"),
    ];
    for (mode, expected, why) in cases {
        let aws = in_mode(mode);
        let ids = [start(&aws), start(&aws), start(&aws)];
        pass(&aws, 5_000).await;
        assert_eq!(ids.each_ref().map(|id| status(&aws, id)), expected, "{mode}: {why}");
        let state = ask(&aws, "GetPipelineState", json!({ "name": "shop" })).unwrap();
        let waiting = |stage: usize| {
            let waiting = state["stageStates"][stage]["inboundExecutions"].as_array().cloned().unwrap_or_default();
            waiting.iter().map(|each| each["pipelineExecutionId"].clone()).collect::<Vec<_>>()
        };
        match mode {
            "SUPERSEDED" => assert_eq!(waiting(1), [json!(ids[2])]),
            "QUEUED" => assert_eq!(waiting(1), [json!(ids[1]), json!(ids[2])]),
            _ => assert!(waiting(1).is_empty()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_disabled_transition_holds_and_is_shown() {
    for which in [("Inbound", "Build"), ("Outbound", "Source")] {
        let aws = account(Behaviour::default());
        lay_down(&aws, shop(), json!(null));
        let (kind, stage) = which;
        set(&aws, "DisableStageTransition", kind, stage);
        let (older, newer) = (start(&aws), start(&aws));
        pass(&aws, 5_000).await;
        assert_eq!(status(&aws, &older), "Superseded", "{which:?}: while it waited there");
        assert_eq!(status(&aws, &newer), "InProgress", "{which:?}");
        let state = ask(&aws, "GetPipelineState", json!({ "name": "shop" })).unwrap();
        let shown = &state["stageStates"][1]["inboundTransitionState"];
        if kind == "Inbound" {
            assert_eq!(shown["enabled"], false);
            assert_eq!(shown["disabledReason"], "freeze until Monday (ops@example.com)");
            assert_eq!(shown["lastChangedBy"], "arn:aws:iam::123456789012:root");
        } else {
            assert_eq!(shown, &json!({ "enabled": true }));
        }
        set(&aws, "EnableStageTransition", kind, stage);
        pass(&aws, 5_000).await;
        assert_eq!(status(&aws, &newer), "Succeeded", "{which:?}: whoever waited goes on");
    }
}

#[tokio::test(start_paused = true)]
async fn transitions_are_checked() {
    let aws = in_mode("SUPERSEDED");
    let with = |key: &str, value: Value| {
        let mut input = json!({
            "pipelineName": "shop", "stageName": "Build", "transitionType": "Inbound", "reason": "x",
        });
        input[key] = value;
        ask(&aws, "DisableStageTransition", input)
    };
    #[rustfmt::skip]
    let cases = [
        ("pipelineName", json!("nope"), "PipelineNotFoundException", "no such pipeline"),
        ("stageName", json!("nope"), "StageNotFoundException", "no such stage"),
        ("transitionType", json!("Sideways"), "ValidationException", "no such side"),
        ("reason", Value::Null, "ValidationException", "a reason is required"),
        ("reason", json!("because: no"), "ValidationException", "a colon is outside of the character set"),
        ("reason", json!("x".repeat(301)), "ValidationException", "301 characters"),
    ];
    for (key, value, expected, why) in cases {
        assert_eq!(with(key, value).unwrap_err().code, expected, "{why}");
    }
    with("reason", json!("aZ9!@ ().*?-")).unwrap();
}

#[test]
fn structures_of_version_two_are_checked() {
    let change = |path: &str, value: Value| {
        let mut declared = with_approval();
        *declared.pointer_mut(path).unwrap() = value;
        declared
    };
    let failing = |stage: usize, value: Value, mode: &str| {
        let mut declared = with_approval();
        declared["stages"][stage]["onFailure"] = value;
        declared["executionMode"] = json!(mode);
        declared
    };
    let mut timed = with_approval();
    timed["stages"][2]["actions"][0]["timeoutInMinutes"] = json!(10);
    let mut hasty = with_approval();
    hasty["stages"][1]["actions"][0]["timeoutInMinutes"] = json!(4);
    let rollback = json!({ "result": "ROLLBACK" });
    #[rustfmt::skip]
    let cases = [
        (change("/pipelineType", json!("V1")), "InvalidStructureException", "V1 has no variables"),
        (failing(3, rollback.clone(), "PARALLEL"), "InvalidStructureException", "PARALLEL rolls nothing back"),
        (failing(0, rollback, "QUEUED"), "InvalidStructureException", "a source stage"),
        (failing(3, json!({ "result": "SKIP" }), "QUEUED"), "InvalidStageDeclarationException", "SKIP is for entries"),
        (failing(3, json!({ "result": "ROLLBACK", "conditions": [] }), "QUEUED"), "NotEmulated", "conditions"),
        (timed, "InvalidActionDeclarationException", "only approvals have a timeout"),
        (hasty, "ValidationException", "four minutes"),
    ];
    for (declared, expected, why) in cases {
        let aws = account(Behaviour::default());
        let refused = aws.codepipeline().lay_down(&aws, HOME, declared, json!(null)).unwrap_err();
        assert_eq!(refused.code, expected, "{why}: {}", refused.message);
    }
}
