//! CodeDeploy: what is in flight, stopping it, and deploying an older revision again.

use super::*;
use pointsman::aws::codedeploy::CodeDeploy;
use pointsman::aws::ecs::Ecs;
use pointsman::domain::running::{CodeDeployDeployment, CodeDeployState, Controller, Stopping};
use pointsman_local::faults::Fault;

const LINEAR: &str = "CodeDeployDefault.ECSLinear10PercentEvery1Minutes";
/// Longer than a deployment takes, and its old tasks live.
const LONG: u64 = 1_800;

/// A service that runs version `a` under CodeDeploy, and a second group of the application.
async fn stage(account: &Account) -> CodeDeploy {
    account.serve("CODE_DEPLOY").await;
    account.ask("codedeploy", "CreateApplication", json!({ "applicationName": "shop", "computePlatform": "ECS" }));
    let listener = format!("arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:listener/app/shop/1/2");
    let group = json!({
        "applicationName": "shop", "deploymentGroupName": "web", "deploymentConfigName": LINEAR,
        "serviceRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/deploy"),
        "deploymentStyle": { "deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL" },
        "blueGreenDeploymentConfiguration": {
            "terminateBlueInstancesOnDeploymentSuccess": { "action": "TERMINATE", "terminationWaitTimeInMinutes": 5 },
            "deploymentReadyOption": { "actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0 },
        },
        "loadBalancerInfo": { "targetGroupPairInfoList": [{
            "targetGroups": [{ "name": "one" }, { "name": "two" }],
            "prodTrafficRoute": { "listenerArns": [listener] },
        }] },
        "ecsServices": [{ "clusterName": "shop", "serviceName": "web" }],
    });
    account.ask("codedeploy", "CreateDeploymentGroup", group);
    CodeDeploy::new(&account.config)
}

/// Deploys a version; answers with the deployment's id and the task definition.
fn deploy(account: &Account, version: &str) -> (String, String) {
    let definition = account.define(version);
    let content = format!(
        "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        \
         TaskDefinition: {definition}\n        LoadBalancerInfo:\n          ContainerName: web\n          \
         ContainerPort: 80\n"
    );
    let revision = json!({ "revisionType": "AppSpecContent", "appSpecContent": { "content": content } });
    let order = json!({ "applicationName": "shop", "deploymentGroupName": "web", "revision": revision });
    let made = account.ask("codedeploy", "CreateDeployment", order);
    (made["deploymentId"].as_str().unwrap().to_owned(), definition)
}

async fn known(codedeploy: &CodeDeploy, id: &str) -> CodeDeployDeployment {
    codedeploy.deployment(HOME, id).await.unwrap().expect("a deployment")
}

#[tokio::test(start_paused = true)]
async fn a_deployment_in_flight_is_stopped_and_undone_by_another() {
    let account = Account::new();
    let codedeploy = stage(&account).await;
    let ecs = Ecs::new(&account.config);
    assert_eq!(codedeploy.in_flight(HOME, "shop", "web").await.unwrap(), None);
    assert_eq!(codedeploy.latest_succeeded(HOME, "shop", "web").await.unwrap(), None, "ECS alone made it");
    let (id, _) = deploy(&account, "b");
    account.pass(180).await;
    assert_eq!(codedeploy.in_flight(HOME, "shop", "web").await.unwrap().as_ref(), Some(&id));
    let moving = ecs.running(HOME, "shop", "web").await.unwrap().unwrap();
    assert!(!moving.is_steady, "two task sets share the traffic");
    let before = known(&codedeploy, &id).await;
    assert_eq!((before.state, before.rolled_back_by, before.error), (CodeDeployState::InProgress, None, None));
    assert_eq!(codedeploy.stop(HOME, &id).await.unwrap(), Stopping::Pending);
    account.pass(LONG).await;
    assert_eq!(codedeploy.stop(HOME, &id).await.unwrap(), Stopping::Stopped, "asked once more, it has stopped");
    let stopped = known(&codedeploy, &id).await;
    assert_eq!(stopped.state, CodeDeployState::Stopped);
    assert!(!stopped.is_rollback);
    let rollback = known(&codedeploy, &stopped.rolled_back_by.expect("a rollback")).await;
    assert!(rollback.is_rollback);
    assert_eq!(rollback.state, CodeDeployState::Succeeded);
    assert_eq!(codedeploy.in_flight(HOME, "shop", "web").await.unwrap(), None);
    let now = ecs.running(HOME, "shop", "web").await.unwrap().unwrap();
    assert_eq!((now.controller, now.images, now.is_steady), (Controller::CodeDeploy, images(&["a"]), true));
}

#[tokio::test(start_paused = true)]
async fn an_older_revision_is_deployed_again() {
    let account = Account::new();
    let codedeploy = stage(&account).await;
    let (good, definition) = deploy(&account, "b");
    account.pass(LONG).await;
    let (bad, _) = deploy(&account, "c");
    account.pass(LONG).await;
    let latest = codedeploy.latest_succeeded(HOME, "shop", "web").await.unwrap().unwrap();
    assert_eq!(latest.deployment, bad);
    assert!(latest.finished_at > known(&codedeploy, &bad).await.created_at);
    let since = account.config.now();
    let again = codedeploy.deploy_again(HOME, "shop", "web", &good, "rollback rb-1").await.unwrap();
    assert_eq!(codedeploy.in_flight(HOME, "shop", "web").await.unwrap().as_ref(), Some(&again));
    let found = codedeploy.find_by_description(HOME, "shop", "web", since, "rollback rb-1").await.unwrap();
    assert_eq!(found.as_ref(), Some(&again));
    let other = codedeploy.find_by_description(HOME, "shop", "web", since, "rollback rb-2").await.unwrap();
    assert_eq!(other, None, "that one was never asked for");
    account.pass(LONG).await;
    let ended = known(&codedeploy, &again).await;
    assert_eq!((ended.state, ended.description.as_str()), (CodeDeployState::Succeeded, "rollback rb-1"));
    let now = Ecs::new(&account.config).running(HOME, "shop", "web").await.unwrap().unwrap();
    assert_eq!((now.images, now.is_steady), (images(&["b"]), true));
    assert_eq!(now.task_definition, definition);
    let latest = codedeploy.latest_succeeded(HOME, "shop", "web").await.unwrap().unwrap();
    assert_eq!((latest.deployment, latest.task_definition), (again, Some(definition)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_found_by_its_description_and_never_asked_again() {
    #[rustfmt::skip]
    let cases = [
        // faults,                                      is lost, deployments, why
        (vec![("CreateDeployment", Fault::LoseAfter)],  true,    1,           "made, and nobody heard of it"),
        (vec![("CreateDeployment", Fault::Silent)],     true,    1,           "the same, until the client gives up"),
        (vec![("CreateDeployment", Fault::LoseBefore)], true,    0,           "never made: it looks the same"),
        (vec![("CreateDeployment", Fault::Throttle)],   false,   0,           "refused for now"),
        (vec![("GetDeployment", Fault::LoseBefore); 3], false,   0,           "lost before anything was asked for"),
        (vec![("GetApplicationRevision", Fault::LoseBefore); 3], false, 0,    "likewise"),
    ];
    for (faults, is_lost, expected, why) in cases {
        let account = Account::new();
        let codedeploy = stage(&account).await;
        let (good, _) = deploy(&account, "b");
        account.pass(LONG).await;
        let since = account.config.now();
        for (operation, fault) in faults {
            account.aws.faults().next("codedeploy", operation, fault);
        }
        let error = codedeploy.deploy_again(HOME, "shop", "web", &good, "rollback rb-1").await.unwrap_err();
        assert_eq!(matches!(error, CallError::Lost(_)), is_lost, "{why}: {error:?}");
        assert_eq!(matches!(error, CallError::Throttled { .. }), !is_lost, "{why}: {error:?}");
        account.pass(30).await;
        let found = codedeploy.find_by_description(HOME, "shop", "web", since, "rollback rb-1").await.unwrap();
        assert_eq!(usize::from(found.is_some()), expected, "{why}");
        let listed = account.ask("codedeploy", "ListDeployments", json!({}));
        assert_eq!(listed["deployments"].as_array().unwrap().len(), 1 + expected, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_refusals_of_codedeploy_keep_their_codes() {
    let account = Account::new();
    let codedeploy = stage(&account).await;
    let (done, _) = deploy(&account, "b");
    account.pass(LONG).await;
    let (busy, _) = deploy(&account, "c");
    account.pass(60).await;
    let again = async |application, group, of| {
        code(codedeploy.deploy_again(HOME, application, group, of, "rollback rb-1").await)
    };
    #[rustfmt::skip]
    let cases = [
        // what was answered,                                code,                                  why
        (code(codedeploy.stop(HOME, &done).await),             "DeploymentAlreadyCompletedException", "it went through"),
        (code(codedeploy.stop(HOME, "d-000000000").await),     "DeploymentDoesNotExistException",     "no such deployment"),
        (code(codedeploy.stop(HOME, "nobody").await),          "InvalidDeploymentIdException",        "no id"),
        (code(codedeploy.deployment(HOME, "nobody").await),    "InvalidDeploymentIdException",        "no id"),
        (code(codedeploy.in_flight(HOME, "nobody", "web").await), "ApplicationDoesNotExistException", "no such application"),
        (code(codedeploy.in_flight(HOME, "shop", "nobody").await), "DeploymentGroupDoesNotExistException", "no such group"),
        (code(codedeploy.latest_succeeded(HOME, "shop", "nobody").await), "DeploymentGroupDoesNotExistException", "no such group"),
        (again("shop", "web", done.as_str()).await,            "DeploymentLimitExceededException",    "the group is busy"),
        (again("shop", "web", "d-000000000").await,            "DeploymentDoesNotExistException",     "no such deployment"),
        (again("shop", "other", done.as_str()).await,          "DeploymentOfAnotherGroup",            "our own rule"),
        (again("other", "web", done.as_str()).await,           "DeploymentOfAnotherGroup",            "our own rule"),
    ];
    for (answered, expected, why) in cases {
        assert_eq!(answered, expected, "{why}");
    }
    assert_eq!(codedeploy.deployment(HOME, "d-000000000").await.unwrap(), None);
    assert_eq!(codedeploy.in_flight(HOME, "shop", "web").await.unwrap(), Some(busy), "nothing else was started");
}
