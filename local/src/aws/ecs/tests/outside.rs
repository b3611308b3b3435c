//! Scenarios of pipelines, alarms and a saved state.

use super::*;
use crate::aws::ecs::PipelineDeploy;
use crate::aws::ecs::turn::Effect;

fn wanted(fails: bool) -> PipelineDeploy {
    PipelineDeploy {
        key: "key".to_owned(),
        cluster: "main".to_owned(),
        service: "shop".to_owned(),
        image: format!("123456789012.dkr.ecr.{HOME}.amazonaws.com/shop@sha256:{}", "a".repeat(64)),
        container: None,
        fails,
        takes: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_changes_the_first_essential_container() {
    let aws = account(Behaviour { strict: true, ..Behaviour::default() });
    let refused = |aws: &Aws| aws.ecs().deploy_for_pipeline(aws, HOME, wanted(false)).unwrap_err().code;
    assert_eq!(refused(&aws), "ClusterNotFoundException");
    ask(&aws, "CreateCluster", json!({ "clusterName": "main" }));
    assert_eq!(refused(&aws), "ServiceNotFoundException");
    let before = steady(&aws, 1, json!({})).await;
    let external = aws.ecs().deploy_for_pipeline(&aws, HOME, wanted(false)).unwrap();
    let shown = service(&aws);
    assert_eq!(id(&shown), external);
    assert_ne!(shown["taskDefinition"], before["taskDefinition"]);
    let described = ask(&aws, "DescribeTaskDefinition", json!({ "taskDefinition": "shop" }))["taskDefinition"].clone();
    assert_eq!(described["taskDefinitionArn"], shown["taskDefinition"]);
    assert_eq!(described["containerDefinitions"][0]["image"], "proxy:1");
    assert_eq!(described["containerDefinitions"][1]["image"], wanted(false).image);
    pass(&aws, 1_000).await;
    let revision = ask(
        &aws,
        "DescribeServiceRevisions",
        json!({
            "serviceRevisionArns": [rolling(&aws)["targetServiceRevision"]["arn"]],
        }),
    );
    let images = &revision["serviceRevisions"][0]["containerImages"];
    assert_eq!(images[1]["imageDigest"], format!("sha256:{}", "a".repeat(64)));
    let nobody = PipelineDeploy { container: Some("nobody".to_owned()), ..wanted(false) };
    assert_eq!(aws.ecs().deploy_for_pipeline(&aws, HOME, nobody).unwrap_err().code, "InvalidParameterException");
}

/// What pipelines are told within half a minute: the key, and whether it went well.
async fn told(aws: &Aws) -> Vec<(String, bool)> {
    let mut told = Vec::new();
    let ends = aws.clock().now().saturating_add(jiff::SignedDuration::from_secs(30)).unwrap();
    while let Some(due) = aws.ecs().next_due().filter(|due| *due < ends) {
        aws.clock().sleep_until(due).await;
        for effect in aws.ecs().look_around(aws, due).effects {
            if let Effect::Ended(end) = effect {
                told.push((end.id, end.succeeded));
            }
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_is_told_the_end_once() {
    #[rustfmt::skip]
    let cases = [
        // configuration, fails, trusts, succeeded, why
        (breaker(true),   false, false,  true,      "the usual"),
        (breaker(true),   true,  false,  false,     "rolled back, which is a failure"),
        (breaker(true),   true,  true,   true,      "rolled back, and the service is stable again"),
        (breaker(false),  true,  true,   false,     "failed for good"),
        (json!({}),       true,  false,  false,     "it lost its patience"),
    ];
    for (configuration, fails, trusts, succeeded, why) in cases {
        let aws = account(Behaviour::default());
        steady(&aws, 1, configuration).await;
        aws.ecs().set_pipeline_trusts_rollback(trusts);
        aws.ecs().deploy_for_pipeline(&aws, HOME, wanted(fails)).unwrap();
        assert_eq!(told(&aws).await, [("key".to_owned(), succeeded)], "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_goes_off_ends_a_deployment() {
    #[rustfmt::skip]
    let cases = [
        // configuration, how it ends, why
        (json!({ "alarms": { "enable": true, "rollback": true, "alarmNames": ["5xx"] } }), "ROLLBACK_SUCCESSFUL", "goes back"),
        (json!({ "alarms": { "enable": true, "rollback": false, "alarmNames": ["5xx"] } }), "STOPPED", "stays"),
        (json!({ "alarms": { "enable": false, "rollback": true, "alarmNames": ["5xx"] } }), "SUCCESSFUL", "is off"),
        (json!({ "alarms": { "enable": true, "rollback": true, "alarmNames": ["other"] } }), "SUCCESSFUL", "another"),
    ];
    for (configuration, expected, why) in cases {
        let aws = account(Behaviour::default());
        let alarm = json!({
            "AlarmName": "5xx", "Namespace": "shop", "MetricName": "5xx", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
        });
        aws.ask("monitoring", HOME, "PutMetricAlarm", alarm).unwrap();
        steady(&aws, 2, configuration).await;
        update(&aws, &register(&aws, "shop:2", json!([])));
        pass(&aws, 120).await;
        let ring = json!({ "AlarmName": "5xx", "StateValue": "ALARM", "StateReason": "test" });
        aws.ask("monitoring", HOME, "SetAlarmState", ring).unwrap();
        pass(&aws, 2_000).await;
        assert_eq!(rolling(&aws)["status"], expected, "{why}");
        assert_eq!(service(&aws)["runningCount"], 2, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_pipeline_names_is_made_and_can_be_gone_back_to() {
    #[rustfmt::skip]
    let cases = [
        // fails, status,                why
        (false,   "SUCCESSFUL",          "the usual"),
        (true,    "ROLLBACK_SUCCESSFUL", "the circuit breaker goes back to what was made"),
    ];
    for (fails, status, why) in cases {
        let aws = account(Behaviour::default());
        aws.ecs().deploy_for_pipeline(&aws, HOME, wanted(fails)).unwrap();
        pass(&aws, 1_500).await;
        assert_eq!(rolling(&aws)["status"], status, "{why}");
        assert_eq!(service(&aws)["runningCount"], 1, "{why}");
        let names: Vec<String> = events(&aws).await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[0], "SERVICE_DEPLOYMENT_IN_PROGRESS", "{why}");
        assert_eq!(names.len(), if fails { 5 } else { 3 }, "{why}: nothing of its making is heard");
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_it_can_be_saved_half_way_and_goes_on_elsewhere() {
    let aws = account(Behaviour::default());
    steady(&aws, 2, breaker(true)).await;
    update(&aws, &register(&aws, "shop:2", json!([])));
    pass(&aws, 120).await;
    let saved = aws.ecs().save();
    let other = account(Behaviour::default());
    other.ecs().restore(saved.clone()).unwrap();
    assert_eq!(other.ecs().save(), saved);
    pass(&other, 120_000).await;
    assert_eq!(rolling(&other)["status"], "SUCCESSFUL");
}
