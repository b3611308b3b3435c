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

#[tokio::test(start_paused = true)]
async fn a_pipeline_hears_of_the_end() {
    let action = |name: &str, category: &str, provider: &str, rest: Value| {
        let kind = json!({ "category": category, "owner": "AWS", "provider": provider, "version": "1" });
        let mut action = json!({ "name": name, "actionTypeId": kind });
        for (key, value) in rest.as_object().unwrap() {
            action[key] = value.clone();
        }
        action
    };
    let source = json!({
        "outputArtifacts": [{ "name": "Code" }],
        "configuration": { "ConnectionArn": "arn:aws:codeconnections:us-east-1:123456789012:connection/1",
            "FullRepositoryId": "acme/shop", "BranchName": "main", "DetectChanges": "false" },
    });
    let deploy = json!({
        "inputArtifacts": [{ "name": "Code" }],
        "configuration": { "ApplicationName": "shop", "DeploymentGroupName": "web" },
    });
    let pipeline = json!({
        "name": "shop", "roleArn": "arn:aws:iam::123456789012:role/pipeline", "pipelineType": "V2",
        "artifactStore": { "type": "S3", "location": "artifacts" },
        "stages": [
            { "name": "Source", "actions": [action("GitHub", "Source", "CodeStarSourceConnection", source)] },
            { "name": "Deploy", "actions": [action("Shop", "Deploy", "CodeDeployToECS", deploy)] },
        ],
    });
    for (tag, expected) in [("", "Succeeded"), ("fail", "Failed")] {
        let aws = account(Pace::Fast);
        stage(&aws, group("CodeDeployDefault.ECSAllAtOnce")).await;
        let arn = format!("arn:aws:codedeploy:{HOME}:{ACCOUNT}:application:shop");
        ask(&aws, "TagResource", json!({ "ResourceArn": arn, "Tags": [{ "Key": "local:deploy", "Value": tag }] }));
        aws.ask("codepipeline", HOME, "CreatePipeline", json!({ "pipeline": pipeline })).unwrap();
        pass(&aws, Duration::from_secs(10)).await;
        let input = json!({ "pipelineName": "shop" });
        let told = aws.ask("codepipeline", HOME, "ListActionExecutions", input).unwrap();
        let action = told["actionExecutionDetails"][0].clone();
        let id = action["output"]["executionResult"]["externalExecutionId"].as_str().unwrap().to_owned();
        assert_eq!((&action["status"], &info(&aws, &id)["status"]), (&json!(expected), &json!(expected)), "{action}");
    }
}
