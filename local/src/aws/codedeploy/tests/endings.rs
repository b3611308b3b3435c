//! Deployments that end badly, and what becomes of them.

use super::*;

fn alarm(aws: &Aws, state: &str) {
    let input = json!({
        "AlarmName": "errors", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "MetricName": "5xx",
        "Namespace": "shop", "Period": 60, "Statistic": "Sum", "Threshold": 1.0,
    });
    aws.ask("monitoring", HOME, "PutMetricAlarm", input).unwrap();
    let input = json!({ "AlarmName": "errors", "StateValue": state, "StateReason": "the test says so" });
    aws.ask("monitoring", HOME, "SetAlarmState", input).unwrap();
}

fn watched(config: &str) -> Value {
    let mut wanted = group(config);
    wanted["alarmConfiguration"] = json!({ "enabled": true, "alarms": [{ "name": "errors" }] });
    wanted
}

/// The deployment that rolled `id` back.
fn rollback_of(aws: &Aws, id: &str) -> Value {
    let rollback = info(aws, id)["rollbackInfo"]["rollbackDeploymentId"].clone();
    info(aws, rollback.as_str().expect("a rollback"))
}

#[tokio::test(start_paused = true)]
async fn an_alarm_stops_a_deployment_and_rolls_it_back() {
    let aws = account(Pace::Real);
    stage(&aws, watched("CodeDeployDefault.ECSLinear10PercentEvery1Minutes")).await;
    alarm(&aws, "OK");
    let id = deploy(&aws, "web:2");
    until(&aws, "the second shift", |aws| green(aws, &id) == 20).await;
    listen(&aws);
    alarm(&aws, "ALARM");
    pass(&aws, Duration::from_secs(11)).await;
    let stopped = info(&aws, &id);
    assert_eq!(stopped["status"], "Stopped", "it is looked at every ten seconds");
    assert_eq!(
        stopped["errorInformation"],
        json!({
            "code": "ALARM_ACTIVE",
            "message": "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, \
                        and the affected deployments have been stopped. Activated alarms: <errors>",
        })
    );
    assert_eq!(green(&aws, &id), 0, "the traffic is back");
    assert_eq!(
        phases(&aws, &id)[5..],
        ["BeforeAllowTraffic Succeeded", "AllowTraffic Failed", "AfterAllowTraffic Skipped"]
    );
    let running = rollback_of(&aws, &id)["deploymentId"].clone();
    let code = refusal(&aws, "ContinueDeployment", json!({ "deploymentId": running }));
    assert_eq!(code, "UnsupportedActionForDeploymentTypeException", "a rollback waits for nobody");
    pass(&aws, Duration::from_secs(60)).await;
    let rollback = rollback_of(&aws, &id);
    assert_eq!((&rollback["status"], &rollback["creator"]), (&json!("Succeeded"), &json!("codeDeployRollback")));
    assert_eq!(rollback["deploymentConfigName"], "CodeDeployDefault.ECSAllAtOnce");
    let (new, old) = (rollback["deploymentId"].as_str().unwrap(), &id);
    assert_eq!(
        stopped["rollbackInfo"]["rollbackMessage"],
        format!("Deployment {old} terminated. Automatic rollback is triggered with a DeploymentId {new}.")
    );
    assert_eq!(
        rollback["rollbackInfo"],
        json!({
            "rollbackTriggeringDeploymentId": old,
            "rollbackMessage": format!("Deployment {new} is triggered to roll back deployment {old}."),
        })
    );
    assert_eq!(sets(&aws), [("web:1".to_owned(), "PRIMARY".to_owned())]);
    let told: Vec<Value> = heard(&aws).iter().map(|event| event["detail"]["state"].clone()).collect();
    assert_eq!(told, ["STOP", "START", "SUCCESS"]);
}

#[tokio::test(start_paused = true)]
async fn alarms_count_as_they_are_configured() {
    #[rustfmt::skip]
    let cases = [
        // override, status, why
        (json!(null),                                           "Stopped",   "active from the beginning"),
        (json!({ "enabled": false }),                           "Succeeded", "the deployment turns the alarms off"),
        (json!({ "enabled": true, "alarms": [{ "name": "x" }] }), "Succeeded", "the deployment looks at another alarm"),
    ];
    for (given, status, why) in cases {
        let aws = account(Pace::Fast);
        stage(&aws, watched("CodeDeployDefault.ECSAllAtOnce")).await;
        alarm(&aws, "ALARM");
        let mut wanted = order(&aws, "web:2");
        if !given.is_null() {
            wanted["overrideAlarmConfiguration"] = given;
        }
        let id = ask(&aws, "CreateDeployment", wanted)["deploymentId"].as_str().unwrap().to_owned();
        pass(&aws, Duration::from_secs(5)).await;
        assert_eq!(info(&aws, &id)["status"], status, "{why}");
        if status == "Stopped" {
            assert!(info(&aws, &id).get("startTime").is_none(), "it never started");
            assert_eq!(rollback_of(&aws, &id)["status"], "Succeeded", "rollbacks look at no alarm");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_rolls_back_if_it_is_told_to() {
    #[rustfmt::skip]
    let cases = [
        // asked,        events of the group,                  rolls back, why
        (json!(null),    json!(["DEPLOYMENT_FAILURE"]),         false,     "the group does not say so"),
        (json!(null),    json!(["DEPLOYMENT_STOP_ON_REQUEST"]), true,      "the group says so"),
        (json!(true),    json!(["DEPLOYMENT_FAILURE"]),         true,      "the call says so"),
        (json!(false),   json!(["DEPLOYMENT_STOP_ON_REQUEST"]), false,     "the call overrides the group"),
    ];
    for (asked, events, rolls_back, why) in cases {
        let aws = account(Pace::Real);
        let mut wanted = group("CodeDeployDefault.ECSCanary10Percent5Minutes");
        wanted["autoRollbackConfiguration"] = json!({ "enabled": true, "events": events });
        stage(&aws, wanted).await;
        let id = deploy(&aws, "web:2");
        until(&aws, "the canary", |aws| green(aws, &id) == 10).await;
        let mut input = json!({ "deploymentId": id });
        if !asked.is_null() {
            input["autoRollbackEnabled"] = asked;
        }
        assert_eq!(ask(&aws, "StopDeployment", input.clone())["status"], "Pending", "{why}");
        pass(&aws, Duration::from_millis(1)).await;
        let stopped = info(&aws, &id);
        assert_eq!(
            (&stopped["status"], &stopped["errorInformation"]["code"]),
            (&json!("Stopped"), &json!("MANUAL_STOP"))
        );
        assert_eq!(ask(&aws, "StopDeployment", input)["status"], "Succeeded", "{why}");
        pass(&aws, Duration::from_secs(60)).await;
        let left = if rolls_back { (1, 0) } else { (2, 10) };
        assert_eq!((sets(&aws).len(), green(&aws, &id)), left, "{why}");
        assert_eq!(stopped.get("rollbackInfo").is_some(), rolls_back, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stopped_deployment_left_goes_with_the_next() {
    let aws = account(Pace::Real);
    let mut wanted = group("CodeDeployDefault.ECSCanary10Percent5Minutes");
    wanted["autoRollbackConfiguration"] = json!({ "enabled": false });
    stage(&aws, wanted).await;
    let id = deploy(&aws, "web:2");
    until(&aws, "the canary", |aws| green(aws, &id) == 10).await;
    ask(&aws, "StopDeployment", json!({ "deploymentId": id }));
    pass(&aws, Duration::from_secs(1)).await;
    assert_eq!(sets(&aws).len(), 2, "nothing was rolled back");
    let id = deploy(&aws, "web:3");
    pass(&aws, Duration::from_mins(15)).await;
    assert_eq!(info(&aws, &id)["status"], "Succeeded");
    assert_eq!(sets(&aws), [("web:3".to_owned(), "PRIMARY".to_owned())]);
    assert_eq!(refusal(&aws, "StopDeployment", json!({ "deploymentId": id })), "DeploymentAlreadyCompletedException");
}

#[tokio::test(start_paused = true)]
async fn blue_comes_back_as_long_as_it_is_there() {
    let aws = account(Pace::Real);
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    let id = deploy(&aws, "web:2");
    until(&aws, "the termination wait", |aws| info(aws, &id)["instanceTerminationWaitTimeStarted"] == true).await;
    assert!(sets(&aws).contains(&("web:2".to_owned(), "PRIMARY".to_owned())));
    ask(&aws, "StopDeployment", json!({ "deploymentId": id, "autoRollbackEnabled": true }));
    pass(&aws, Duration::from_secs(60)).await;
    assert_eq!(info(&aws, &id)["status"], "Stopped");
    assert_eq!(sets(&aws), [("web:1".to_owned(), "PRIMARY".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_tag_makes_deployments_fail() {
    let aws = account(Pace::Fast);
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    listen(&aws);
    let arn = format!("arn:aws:codedeploy:{HOME}:{ACCOUNT}:application:shop");
    ask(&aws, "TagResource", json!({ "ResourceArn": arn, "Tags": [{ "Key": "local:deploy", "Value": "fail" }] }));
    let id = deploy(&aws, "web:2");
    pass(&aws, Duration::from_secs(5)).await;
    let failed = info(&aws, &id);
    assert_eq!(
        (&failed["status"], &failed["errorInformation"]["code"]),
        (&json!("Failed"), &json!("ECS_UPDATE_ERROR"))
    );
    assert_eq!(phases(&aws, &id)[1..3], ["Install Failed", "AfterInstall Skipped"]);
    assert_eq!(rollback_of(&aws, &id)["status"], "Succeeded");
    assert_eq!(sets(&aws), [("web:1".to_owned(), "PRIMARY".to_owned())]);
    let told: Vec<Value> = heard(&aws).iter().map(|event| event["detail"]["state"].clone()).collect();
    assert_eq!(told, ["START", "FAILURE", "START", "SUCCESS"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_fails_a_deployment() {
    let spoil = |aws: &Aws, what: &str| match what {
        "group" => {
            _ = ask(aws, "DeleteDeploymentGroup", json!({ "applicationName": "shop", "deploymentGroupName": "web" }))
        }
        "application" => _ = ask(aws, "DeleteApplication", json!({ "applicationName": "shop" })),
        "service" => {
            let names = json!({ "cluster": "shop", "service": "web", "force": true });
            ecs(aws, "DeleteService", names);
        }
        _ => {}
    };
    #[rustfmt::skip]
    let cases = [
        // what is spoilt, code
        ("group",       "DEPLOYMENT_GROUP_MISSING"),
        ("application", "APPLICATION_MISSING"),
        ("service",     "INVALID_ECS_SERVICE"),
        ("appspec",     "INVALID_REVISION"),
        ("definition",  "ECS_UPDATE_ERROR"),
    ];
    for (what, code) in cases {
        let aws = account(Pace::Fast);
        stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
        let mut wanted = order(&aws, "web:2");
        let content = wanted["revision"]["appSpecContent"]["content"].as_str().unwrap().to_owned();
        let content = match what {
            "appspec" => "version: [".to_owned(),
            "definition" => content.replace(":task-definition/web:", ":task-definition/nope:"),
            _ => content,
        };
        wanted["revision"]["appSpecContent"]["content"] = json!(content);
        let id = ask(&aws, "CreateDeployment", wanted)["deploymentId"].as_str().unwrap().to_owned();
        spoil(&aws, what);
        pass(&aws, Duration::from_secs(1)).await;
        let failed = info(&aws, &id);
        assert_eq!(
            (&failed["status"], &failed["errorInformation"]["code"]),
            (&json!("Failed"), &json!(code)),
            "{what}"
        );
    }
}
