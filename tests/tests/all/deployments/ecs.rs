//! ECS: what runs, what ran before, and going back.

use super::*;
use pointsman::aws::ecs::Ecs;
use pointsman::domain::running::{Controller, EcsRunning, EcsState};

async fn running(ecs: &Ecs) -> EcsRunning {
    ecs.running(HOME, "shop", "web").await.unwrap().expect("a service")
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_read_from_the_tasks_and_not_from_what_is_wanted() {
    let account = Account::new();
    let ecs = Ecs::new(&account.config);
    let first = account.serve("ECS").await;
    let before = running(&ecs).await;
    assert_eq!(before.images, images(&["a"]));
    assert_eq!((before.controller, &before.task_definition), (Controller::Ecs, &first));
    assert!(before.is_steady && before.in_flight.is_none() && before.unpinned.is_empty());
    let second = account.define("b");
    let started = ecs.go_to(HOME, "shop", "web", &second).await.unwrap().expect("a deployment");
    #[rustfmt::skip]
    let steps = [
        // after s, runs,          in flight, state,                why
        (1,         vec!["a"],     true,      EcsState::InProgress, "b is wanted, and nothing of it runs"),
        (20,        vec!["a"],     true,      EcsState::InProgress, "its tasks are starting"),
        (20,        vec!["b"],     true,      EcsState::InProgress, "they run, and may still fail"),
        (40,        vec!["b"],     false,     EcsState::Succeeded,  "it is over"),
    ];
    for (seconds, runs, is_in_flight, state, why) in steps {
        account.pass(seconds).await;
        let now = running(&ecs).await;
        assert_eq!(now.images, images(&runs), "{why}");
        assert_eq!(now.in_flight.as_ref(), is_in_flight.then_some(&started), "{why}");
        assert_eq!(now.is_steady, !is_in_flight, "{why}");
        assert_eq!(ecs.deployment(HOME, &started).await.unwrap().unwrap().state, state, "{why}");
    }
    assert_eq!(ecs.images(HOME, &second).await.unwrap().digests, images(&["b"]));
}

#[tokio::test(start_paused = true)]
async fn what_ecs_turned_back_itself_neither_runs_nor_ran_before() {
    let account = Account::new();
    let ecs = Ecs::new(&account.config);
    let first = account.serve("ECS").await;
    let second = account.define("b");
    ecs.go_to(HOME, "shop", "web", &second).await.unwrap();
    account.pass(600).await;
    let arn = format!("arn:aws:ecs:{HOME}:{ACCOUNT}:service/shop/web");
    let tags = json!([{ "key": "local:deploy", "value": "fail" }]);
    account.ask("ecs", "TagResource", json!({ "resourceArn": arn, "tags": tags }));
    let third = account.define("c");
    let failing = ecs.go_to(HOME, "shop", "web", &third).await.unwrap().expect("a deployment");
    account.pass(1_200).await;
    let ended = ecs.deployment(HOME, &failing).await.unwrap().unwrap();
    assert_eq!(ended.state, EcsState::RolledBack);
    assert!(ended.reason.is_some_and(|reason| reason.contains("circuit breaker")));
    let now = running(&ecs).await;
    assert_eq!((now.images, now.is_steady), (images(&["b"]), true));
    assert_eq!(now.task_definition, second);
    let ran = ecs.ran_before(HOME, "shop", "web").await.unwrap();
    let shown: Vec<_> = ran.iter().map(|each| (each.task_definition.clone(), each.images.clone())).collect();
    assert_eq!(shown, [(second, images(&["b"])), (first, images(&["a"]))], "the youngest first, and no c");
    assert!(ran[0].finished_at > ran[1].finished_at);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_in_flight_is_stopped_with_its_own_rollback() {
    let account = Account::new();
    let ecs = Ecs::new(&account.config);
    account.serve("ECS").await;
    let second = account.define("b");
    ecs.go_to(HOME, "shop", "web", &second).await.unwrap();
    account.pass(30).await;
    let arn = running(&ecs).await.in_flight.expect("in flight");
    for _ in 0..2 {
        ecs.stop(HOME, &arn).await.unwrap();
        let state = ecs.deployment(HOME, &arn).await.unwrap().unwrap().state;
        assert_eq!(state, EcsState::RollingBack, "asked twice, it goes on");
    }
    assert_eq!(running(&ecs).await.in_flight.as_ref(), Some(&arn), "a rollback is in flight too");
    account.pass(600).await;
    assert_eq!(ecs.deployment(HOME, &arn).await.unwrap().unwrap().state, EcsState::RolledBack);
    let now = running(&ecs).await;
    assert_eq!((now.images, now.is_steady, now.in_flight), (images(&["a"]), true, None));
    assert_eq!(code(ecs.stop(HOME, &arn).await), "ConflictException", "it is over");
}

#[tokio::test(start_paused = true)]
async fn going_back_twice_is_one_deployment() {
    let account = Account::new();
    let ecs = Ecs::new(&account.config);
    let first = account.serve("ECS").await;
    let second = account.define("b");
    ecs.go_to(HOME, "shop", "web", &second).await.unwrap();
    account.pass(600).await;
    // The reply is lost, and the SDK asks again.
    account.aws.faults().next("ecs", "UpdateService", pointsman_local::faults::Fault::LoseAfter);
    let started = ecs.go_to(HOME, "shop", "web", &first).await.unwrap();
    assert!(started.is_some());
    assert_eq!(ecs.go_to(HOME, "shop", "web", &first).await.unwrap(), started, "it is under way");
    account.pass(600).await;
    assert_eq!(ecs.go_to(HOME, "shop", "web", &first).await.unwrap(), None, "it is there");
    let listed = account.ask("ecs", "ListServiceDeployments", json!({ "cluster": "shop", "service": "web" }));
    assert_eq!(listed["serviceDeployments"].as_array().unwrap().len(), 3);
    assert_eq!(running(&ecs).await.images, images(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_a_tag_names_is_known_only_where_ecs_resolved_it() {
    let account = Account::new();
    let ecs = Ecs::new(&account.config);
    account.serve("ECS").await;
    let containers = json!([{ "name": "web", "image": "example.com/shop/web:latest", "memory": 64 }]);
    let made = json!({ "family": "web", "containerDefinitions": containers });
    let tagged = account.ask("ecs", "RegisterTaskDefinition", made)["taskDefinition"]["taskDefinitionArn"].clone();
    let tagged = tagged.as_str().unwrap();
    let images = ecs.images(HOME, tagged).await.unwrap();
    assert!(images.digests.is_empty());
    assert_eq!(images.unpinned.into_iter().collect::<Vec<_>>(), ["example.com/shop/web:latest"]);
    ecs.go_to(HOME, "shop", "web", tagged).await.unwrap();
    account.pass(600).await;
    let now = running(&ecs).await;
    assert_eq!(now.task_definition, tagged);
    assert_eq!((now.images.len(), now.unpinned.len()), (1, 0), "ECS resolves it when the deployment begins");
}

#[tokio::test(start_paused = true)]
async fn a_service_without_tasks_proves_nothing() {
    let account = Account::new();
    let ecs = Ecs::new(&account.config);
    let first = account.serve("ECS").await;
    account.ask("ecs", "UpdateService", json!({ "cluster": "shop", "service": "web", "desiredCount": 0 }));
    account.pass(600).await;
    let now = running(&ecs).await;
    assert!(now.images.is_empty() && now.is_steady);
    assert_eq!(now.task_definition, first);
}

#[tokio::test(start_paused = true)]
async fn the_refusals_of_ecs_keep_their_codes() {
    let account = Account::new();
    let ecs = Ecs::new(&account.config);
    let first = account.serve("ECS").await;
    let second = account.define("b");
    let arn = ecs.go_to(HOME, "shop", "web", &second).await.unwrap().expect("a deployment");
    account.pass(600).await;
    account.ask("ecs", "DeregisterTaskDefinition", json!({ "taskDefinition": first }));
    let unknown = format!("arn:aws:ecs:{HOME}:{ACCOUNT}:service-deployment/shop/web/NOBODY");
    let go_to = async |cluster, service, definition| code(ecs.go_to(HOME, cluster, service, definition).await);
    #[rustfmt::skip]
    let cases = [
        // what was answered,                             code,                                 why
        (code(ecs.running(HOME, "nobody", "web").await),    "ClusterNotFoundException",           "no such cluster"),
        (code(ecs.ran_before(HOME, "shop", "nobody").await),"ServiceNotFoundException",           "no such service"),
        (go_to("nobody", "web", second.as_str()).await,     "ClusterNotFoundException",           "no such cluster"),
        (go_to("shop", "nobody", second.as_str()).await,    "ServiceNotFoundException",           "no such service"),
        (go_to("shop", "web", "web:99").await,              "ClientException",                    "no such task definition"),
        (go_to("shop", "web", first.as_str()).await,        "ClientException",                    "it was deregistered"),
        (code(ecs.stop(HOME, &arn).await),                  "ConflictException",                  "it went through"),
        (code(ecs.stop(HOME, &unknown).await),              "ServiceDeploymentNotFoundException", "no such deployment"),
        (code(ecs.stop(HOME, "web").await),                 "InvalidParameterException",          "no ARN"),
        (code(ecs.deployment(HOME, "web").await),           "InvalidParameterException",          "no ARN"),
    ];
    for (answered, expected, why) in cases {
        assert_eq!(answered, expected, "{why}");
    }
    assert_eq!(ecs.running(HOME, "shop", "nobody").await.unwrap(), None, "no such service");
    assert_eq!(ecs.deployment(HOME, &unknown).await.unwrap(), None, "no such deployment");
    account.ask("ecs", "DeleteService", json!({ "cluster": "shop", "service": "web", "force": true }));
    let draining = running(&ecs).await;
    assert!(!draining.is_steady, "it is going");
    account.pass(600).await;
    assert_eq!(go_to("shop", "web", second.as_str()).await, "ServiceNotActiveException", "it was deleted");
    assert_eq!(ecs.running(HOME, "shop", "web").await.unwrap(), None, "it was deleted");
}

#[tokio::test(start_paused = true)]
async fn what_codedeploy_deploys_cannot_be_changed_past_it() {
    let account = Account::new();
    let ecs = Ecs::new(&account.config);
    let first = account.serve("CODE_DEPLOY").await;
    let now = running(&ecs).await;
    assert_eq!((now.controller, now.images, now.task_definition), (Controller::CodeDeploy, images(&["a"]), first));
    assert!(now.is_steady);
    let second = account.define("b");
    let refused = ecs.go_to(HOME, "shop", "web", &second).await.unwrap_err();
    assert!(refused.is("InvalidParameterException"), "{refused}");
    assert!(refused.to_string().contains("CodeDeploy"), "AWS's own reason: {refused}");
    assert!(ecs.ran_before(HOME, "shop", "web").await.unwrap().is_empty(), "ECS made no deployment");
}
