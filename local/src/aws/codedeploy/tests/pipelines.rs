//! Deployments that a pipeline asks for.

use super::*;
use crate::aws::codedeploy::{PipelineDeploy, state::Status, told};

fn wanted(application: &str, group: &str) -> PipelineDeploy {
    PipelineDeploy {
        key: "action-1".to_owned(),
        application: application.to_owned(),
        group: group.to_owned(),
        image: "web@sha256:1".to_owned(),
        fails: false,
        takes: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_deploys_its_image() {
    let aws = account_with(Behaviour { strict: true, ..Behaviour::default() });
    let missing = aws.codedeploy().deploy_for_pipeline(&aws, HOME, wanted("shop", "web")).unwrap_err();
    assert_eq!(missing.code, "ApplicationDoesNotExistException");
    stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
    let missing = aws.codedeploy().deploy_for_pipeline(&aws, HOME, wanted("shop", "nope")).unwrap_err();
    assert_eq!(missing.code, "DeploymentGroupDoesNotExistException");
    let id = aws.codedeploy().deploy_for_pipeline(&aws, HOME, wanted("shop", "web")).unwrap();
    assert!(super::super::input::is_deployment_id(&id), "{id}");
    pass(&aws, Duration::from_secs(5)).await;
    assert_eq!(info(&aws, &id)["status"], "Succeeded");
    assert_eq!(sets(&aws), [("web@sha256:1".to_owned(), "PRIMARY".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn what_a_pipeline_names_is_made_on_first_use() {
    let aws = account(Pace::Fast);
    let id = aws.codedeploy().deploy_for_pipeline(&aws, HOME, wanted("fresh", "anything")).unwrap();
    pass(&aws, Duration::from_secs(5)).await;
    assert_eq!(info(&aws, &id)["status"], "Succeeded", "{}", info(&aws, &id));
    let named = ask(&aws, "GetApplication", json!({ "applicationName": "fresh" }));
    assert_eq!(named["application"]["computePlatform"], "ECS");
    let again = aws.codedeploy().deploy_for_pipeline(&aws, HOME, wanted("fresh", "anything")).unwrap();
    assert_ne!(id, again);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_may_ask_for_a_failure() {
    let aws = account(Pace::Fast);
    let order = PipelineDeploy { fails: true, ..wanted("fresh", "web") };
    let id = aws.codedeploy().deploy_for_pipeline(&aws, HOME, order).unwrap();
    pass(&aws, Duration::from_secs(5)).await;
    let failed = info(&aws, &id);
    assert_eq!(failed["status"], "Failed");
    let kept = aws.codedeploy().with(HOME, |here| here.deployment(&id).cloned()).unwrap();
    let end = told(&kept, "action-1");
    assert_eq!((end.id.as_str(), end.succeeded), ("action-1", false));
    assert!(end.summary.starts_with(&format!("Deployment {id} failed. The ECS service")), "{}", end.summary);
    let succeeded = told(&crate::aws::codedeploy::Deployment { status: Status::Succeeded, ..kept }, "action-1");
    assert_eq!((succeeded.succeeded, succeeded.summary.as_str()), (true, "Deployment Succeeded"));
    assert_eq!(succeeded.exported["DeploymentId"], id);
}
