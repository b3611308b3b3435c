//! Deployments that go well.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_deployment_replaces_blue_by_green() {
    let aws = account(Pace::Fast);
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    listen(&aws);
    let id = deploy(&aws, "web:2");
    assert_eq!(info(&aws, &id)["status"], "Created");
    let asked = json!({ "deploymentId": id });
    assert_eq!(refusal(&aws, "ListDeploymentTargets", asked.clone()), "DeploymentNotStartedException");
    pass(&aws, Duration::from_millis(200)).await;
    let running = info(&aws, &id);
    assert_eq!(running["status"], "InProgress");
    assert!(running.get("deploymentOverview").is_none(), "none while it runs");
    assert_eq!(ask(&aws, "ListDeploymentTargets", asked)["targetIds"], json!(["shop:web"]));
    assert_eq!(phases(&aws, &id)[..3], ["BeforeInstall Succeeded", "Install InProgress", "AfterInstall Pending"]);
    pass(&aws, Duration::from_secs(5)).await;
    let ended = info(&aws, &id);
    assert_eq!((&ended["status"], &ended["creator"]), (&json!("Succeeded"), &json!("user")));
    assert_eq!(ended["deploymentOverview"]["Succeeded"], 1);
    assert!(ended["revision"]["appSpecContent"].get("content").is_none(), "never in this answer");
    assert!(phases(&aws, &id).iter().all(|phase| phase.ends_with("Succeeded")), "{:?}", phases(&aws, &id));
    assert_eq!(phases(&aws, &id).len(), 8, "with a test listener");
    assert_eq!(sets(&aws), [("web:2".to_owned(), "PRIMARY".to_owned())]);
    let events = heard(&aws);
    let states: Vec<&Value> = events.iter().map(|event| &event["detail"]["state"]).collect();
    assert_eq!(states, ["START", "SUCCESS"]);
    assert_eq!(events[0]["detail-type"], "CodeDeploy Deployment State-change Notification");
    let arns = ["application:shop", "deploymentgroup:shop/web"]
        .map(|name| format!("arn:aws:codedeploy:{HOME}:{ACCOUNT}:{name}"));
    assert_eq!(events[0]["resources"], json!(arns));
}

#[tokio::test(start_paused = true)]
async fn traffic_moves_as_the_configuration_says() {
    #[rustfmt::skip]
    let cases = [
        // configuration, (seconds after the first shift, percent), why
        ("CodeDeployDefault.ECSAllAtOnce",                   vec![(0, 100)],                                    "at once"),
        ("CodeDeployDefault.ECSCanary10Percent5Minutes",     vec![(0, 10), (298, 10), (301, 100)],              "two increments"),
        ("CodeDeployDefault.ECSLinear10PercentEvery1Minutes",vec![(0, 10), (58, 10), (61, 20), (541, 100)],     "ten increments take nine minutes"),
        ("thirds",                                           vec![(0, 33), (121, 66), (241, 99), (361, 100)],   "the last takes what is left"),
    ];
    for (config, steps, why) in cases {
        let aws = account(Pace::Real);
        let linear = json!({ "linearPercentage": 33, "linearInterval": 2 });
        ask(
            &aws,
            "CreateDeploymentConfig",
            json!({
                "deploymentConfigName": "thirds", "computePlatform": "ECS",
                "trafficRoutingConfig": { "type": "TimeBasedLinear", "timeBasedLinear": linear },
            }),
        );
        stage(&aws, group(config)).await;
        let id = deploy(&aws, "web:2");
        pass(&aws, Duration::from_secs(60)).await;
        assert_eq!(green(&aws, &id), 0, "{config}: an installation takes a minute");
        until(&aws, "the first shift", |aws| green(aws, &id) > 0).await;
        let mut at = 0;
        for (seconds, percent) in steps {
            pass(&aws, Duration::from_secs(seconds - at)).await;
            at = seconds;
            assert_eq!(green(&aws, &id), percent, "{config} after {seconds} s: {why}");
        }
        assert_eq!(info(&aws, &id)["status"], "InProgress", "{config}: blue waits for its end");
        assert_eq!(info(&aws, &id)["instanceTerminationWaitTimeStarted"], true);
        assert_eq!(target(&aws, &id)["status"], "Succeeded", "the target is through before its deployment");
        assert_eq!(sets(&aws).len(), 2);
        pass(&aws, Duration::from_secs(301)).await;
        assert_eq!(info(&aws, &id)["status"], "Succeeded");
    }
}

#[tokio::test(start_paused = true)]
async fn green_takes_the_other_target_group() {
    let aws = account(Pace::Fast);
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    for (image, expected) in [("web:2", "two"), ("web:3", "one"), ("web:4", "two")] {
        let id = deploy(&aws, image);
        pass(&aws, Duration::from_secs(5)).await;
        let sets = target(&aws, &id)["taskSetsInfo"].clone();
        assert_eq!(sets[1]["targetGroup"]["name"], expected, "{image}");
        assert_eq!(sets[1]["trafficWeight"], 100.0, "{image}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_can_wait_to_be_continued() {
    #[rustfmt::skip]
    let cases = [
        // continued,  status,       error,          states,                      why
        (true,         "Succeeded",  json!(null),    vec!["START", "READY", "SUCCESS"], "continued in time"),
        (false,        "Stopped",    json!("TIMEOUT"), vec!["START", "READY", "STOP"],  "nobody continued it"),
    ];
    for (is_continued, status, error, states, why) in cases {
        let aws = account(Pace::Real);
        let mut wanted = group("CodeDeployDefault.ECSAllAtOnce");
        wanted["autoRollbackConfiguration"] = json!({ "enabled": false });
        wanted["blueGreenDeploymentConfiguration"]["deploymentReadyOption"] =
            json!({ "actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": 30 });
        stage(&aws, wanted).await;
        listen(&aws);
        let id = deploy(&aws, "web:2");
        let asked = json!({ "deploymentId": id, "deploymentWaitType": "READY_WAIT" });
        assert_eq!(refusal(&aws, "ContinueDeployment", asked.clone()), "DeploymentIsNotInReadyStateException");
        until(&aws, "Ready", |aws| info(aws, &id)["status"] == "Ready").await;
        assert_eq!(green(&aws, &id), 0);
        pass(&aws, Duration::from_secs(29 * 60)).await;
        assert_eq!(info(&aws, &id)["status"], "Ready", "{why}");
        if is_continued {
            ask(&aws, "ContinueDeployment", asked);
        }
        pass(&aws, Duration::from_secs(20 * 60)).await;
        let ended = info(&aws, &id);
        assert_eq!(ended["status"], status, "{why}");
        assert_eq!(ended["errorInformation"]["code"], error, "{why}");
        let told: Vec<Value> = heard(&aws).iter().map(|event| event["detail"]["state"].clone()).collect();
        assert_eq!(told, states, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn blue_need_not_wait_for_its_end() {
    let aws = account(Pace::Real);
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    let id = deploy(&aws, "web:2");
    until(&aws, "all traffic", |aws| info(aws, &id)["status"] == "InProgress" && green(aws, &id) == 100).await;
    ask(&aws, "ContinueDeployment", json!({ "deploymentId": id, "deploymentWaitType": "TERMINATION_WAIT" }));
    pass(&aws, Duration::from_secs(1)).await;
    assert_eq!(info(&aws, &id)["status"], "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_group_remembers_its_deployments() {
    let aws = account(Pace::Fast);
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    let first = deploy(&aws, "web:2");
    let message = aws.ask("codedeploy", HOME, "CreateDeployment", order(&aws, "web:3")).unwrap_err();
    assert_eq!(message.code, "DeploymentLimitExceededException");
    assert_eq!(message.message, format!("The Deployment Group 'web' already has an active Deployment '{first}'"));
    pass(&aws, Duration::from_secs(5)).await;
    let second = deploy(&aws, "web:3");
    let revision = info(&aws, &first)["revision"].clone();
    assert_eq!(info(&aws, &second)["previousRevision"], revision);
    let asked = json!({ "applicationName": "shop", "deploymentGroupName": "web" });
    let known = ask(&aws, "GetDeploymentGroup", asked.clone())["deploymentGroupInfo"].clone();
    assert_eq!(known["lastSuccessfulDeployment"]["deploymentId"], first);
    assert_eq!(known["lastAttemptedDeployment"]["deploymentId"], second);
    assert_eq!(known["targetRevision"], revision);
    assert_eq!(ask(&aws, "ListDeployments", asked)["deployments"], json!([second, first]), "the newest first");
    let found = ask(&aws, "GetApplicationRevision", json!({ "applicationName": "shop", "revision": revision }));
    assert!(found["revision"]["appSpecContent"]["content"].is_string(), "here the content is shown");
}

#[tokio::test(start_paused = true)]
async fn what_is_saved_goes_on_where_it_was() {
    let aws = account(Pace::Fast);
    stage(&aws, group("CodeDeployDefault.ECSLinear10PercentEvery1Minutes")).await;
    let id = deploy(&aws, "web:2");
    pass(&aws, Duration::from_millis(1_500)).await;
    let saved = aws.codedeploy().save();
    aws.codedeploy().restore(json!({ "regions": {} })).unwrap();
    assert_eq!(refusal(&aws, "GetDeployment", json!({ "deploymentId": id })), "DeploymentDoesNotExistException");
    aws.codedeploy().restore(saved.clone()).unwrap();
    assert_eq!(aws.codedeploy().save(), saved);
    pass(&aws, Duration::from_secs(10)).await;
    assert_eq!(info(&aws, &id)["status"], "Succeeded");
    assert!(aws.codedeploy().restore(json!("nonsense")).is_err());
}
