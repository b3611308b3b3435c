//! Pipelines and build projects that a configuration only names: made here, so that a push has something to start.
//!
//! Source, Build, Approve where the environment has an approval policy, then the stages that `deploys` names.

use crate::aws::{ACCOUNT, Aws, Failure};
use pointsman::config::Config;
use pointsman::domain::policy::Deploy;
use pointsman::domain::route::{Route, Target};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a declared variable holds when nobody sets it: CodePipeline takes no empty default.
const UNSET: &str = "unset";

/// Tells CodePipeline which image it made.
const BUILDSPEC: &str = "\
version: 0.2
env:
  exported-variables: [IMAGE_DIGEST]
phases:
  build:
    commands:
      - make image
";

/// Makes every pipeline and project that `config` names, except the pipelines in `given`. One that is there already,
/// from a save, stays as it is. Approvals tell `topic`, an ARN, where the pipeline is in its region.
///
/// # Errors
/// The first refusal, by the name of what was refused.
pub fn make_named(
    aws: &Aws,
    config: &Config,
    given: &BTreeSet<String>,
    topic: Option<&str>,
) -> Result<(), (String, Failure)> {
    let mut pipelines: BTreeMap<(String, String), Vec<&Route>> = BTreeMap::new();
    for route in &config.routes {
        match &route.target {
            Target::Pipeline { name, region, .. } if !given.contains(name) => {
                pipelines.entry((region.clone(), name.clone())).or_default().push(route);
            }
            Target::Build { name, region } => {
                make_project(aws, region, name).map_err(|why| (name.clone(), why))?;
                make_repository(aws, region, name);
            }
            Target::Pipeline { .. } | Target::Workflow { .. } => {}
        }
    }
    for ((region, name), routes) in pipelines {
        make_project(aws, &region, &format!("{name}-build")).map_err(|why| (name.clone(), why))?;
        make_repository(aws, &region, &name);
        for (deploy, _) in deploys_of(config, &region, &name) {
            make_place(aws, deploy).map_err(|why| (name.clone(), why))?;
        }
        // CodePipeline takes a topic of its own region only.
        let topic = topic.filter(|arn| arn.split(':').nth(3) == Some(region.as_str()));
        let declaration = declaration(config, &region, &name, &routes, topic);
        lay_down(aws, &region, declaration, Value::Null).map_err(|why| (name, why))?;
    }
    Ok(())
}

/// Lays a pipeline down, without a first execution; there already is fine.
///
/// # Errors
/// As CreatePipeline.
pub fn lay_down(aws: &Aws, region: &str, declaration: Value, tags: Value) -> Result<(), Failure> {
    match aws.codepipeline().lay_down(aws, region, declaration, tags) {
        Err(failure) if failure.code != "PipelineNameInUseException" => Err(failure),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A project that builds an image; there already is fine.
fn make_project(aws: &Aws, region: &str, name: &str) -> Result<(), Failure> {
    let project = json!({
        "name": name,
        "source": { "type": "NO_SOURCE", "buildspec": BUILDSPEC },
        "artifacts": { "type": "NO_ARTIFACTS" },
        "environment": {
            "type": "LINUX_CONTAINER", "image": "aws/codebuild/amazonlinux2-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_SMALL", "privilegedMode": true,
        },
        "serviceRole": format!("arn:aws:iam::{ACCOUNT}:role/codebuild"),
    });
    match aws.ask("codebuild", region, "CreateProject", project) {
        Err(failure) if failure.code != "ResourceAlreadyExistsException" => Err(failure),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Where a version lands: the service, or the group and its service.
fn make_place(aws: &Aws, deploy: &Deploy) -> Result<(), Failure> {
    match (&deploy.ecs, &deploy.codedeploy) {
        (Some(ecs), _) => aws.ecs().provide(aws, &deploy.region, &ecs.cluster, &ecs.service),
        (None, Some(group)) => {
            aws.codedeploy().provide(aws, &deploy.region, &group.application, &group.deployment_group)
        }
        (None, None) => Ok(()),
    }
}

/// The repository that the project's images go to. A name that ECR does not take has none, and its pushes are refused
/// where the account is strict.
fn make_repository(aws: &Aws, region: &str, name: &str) {
    if let Err(failure) = aws.ask("ecr", region, "CreateRepository", json!({ "repositoryName": name })) {
        tracing::debug!(name, code = failure.code, "no repository is made");
    }
}

fn declaration(config: &Config, region: &str, name: &str, routes: &[&Route], topic: Option<&str>) -> Value {
    let source_action = routes.iter().find_map(|route| match &route.target {
        Target::Pipeline { source_action, .. } => source_action.clone(),
        Target::Build { .. } | Target::Workflow { .. } => None,
    });
    let mut stages = vec![source(routes, &source_action.unwrap_or_else(|| "GitHub".to_owned())), build(name)];
    let deploys = deploys_of(config, region, name);
    let needs_approval =
        deploys.iter().any(|(_, asks)| *asks) || routes.iter().any(|route| route.environment_has_approval);
    if needs_approval {
        let configuration = topic.map_or_else(|| json!({}), |arn| json!({ "NotificationArn": arn }));
        stages.push(json!({ "name": "Approve", "actions": [action("Approve", "Approval", "Manual", configuration)] }));
    }
    let mut regions = BTreeSet::from([region.to_owned()]);
    for (deploy, _) in &deploys {
        regions.insert(deploy.region.clone());
        push_deploy(&mut stages, deploy);
    }
    let variables: BTreeSet<&String> = routes.iter().flat_map(|route| route.variables.keys()).collect();
    let variables: Vec<_> = variables.iter().map(|name| json!({ "name": name, "defaultValue": UNSET })).collect();
    let stores: serde_json::Map<String, Value> = regions
        .iter()
        .map(|region| (region.clone(), json!({ "type": "S3", "location": format!("artifacts-{region}") })))
        .collect();
    json!({
        "name": name, "pipelineType": "V2", "executionMode": "SUPERSEDED",
        "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/codepipeline"),
        "artifactStores": stores, "stages": stages, "variables": variables,
    })
}

/// The places where the pipeline's versions land, in the order of the configuration, and whether each asks first.
fn deploys_of<'a>(config: &'a Config, region: &str, pipeline: &str) -> Vec<(&'a Deploy, bool)> {
    let environments = config.environments.values();
    let all = environments.flat_map(|environment| {
        let asks = environment.approval.is_some() || !environment.approvals.is_empty();
        environment.deploys.iter().map(move |deploy| (deploy, asks))
    });
    all.filter(|(deploy, _)| {
        deploy.pipeline == pipeline && deploy.pipeline_region.as_deref().unwrap_or(&deploy.region) == region
    })
    .collect()
}

fn source(routes: &[&Route], action_name: &str) -> Value {
    let repository = routes.first().map_or("acme/shop", |route| route.repository.as_str());
    let mut source = action(
        action_name,
        "Source",
        "CodeStarSourceConnection",
        json!({
            "ConnectionArn": format!("arn:aws:codeconnections:us-east-1:{ACCOUNT}:connection/github"),
            "FullRepositoryId": repository, "BranchName": "main", "DetectChanges": "false",
        }),
    );
    source["outputArtifacts"] = json!([{ "name": "source" }]);
    json!({ "name": "Source", "actions": [source] })
}

fn build(pipeline: &str) -> Value {
    let variables = json!([{ "name": "IMAGE_REPO_NAME", "value": pipeline, "type": "PLAINTEXT" }]).to_string();
    let configuration = json!({ "ProjectName": format!("{pipeline}-build"), "EnvironmentVariables": variables });
    let mut build = action("Build", "Build", "CodeBuild", configuration);
    build["inputArtifacts"] = json!([{ "name": "source" }]);
    build["outputArtifacts"] = json!([{ "name": "image" }]);
    json!({ "name": "Build", "actions": [build] })
}

/// Adds a deploy action to its stage, which is made if it is not there yet.
fn push_deploy(stages: &mut Vec<Value>, deploy: &Deploy) {
    let (provider, configuration) = match (&deploy.ecs, &deploy.codedeploy) {
        (Some(ecs), _) => ("ECS", json!({ "ClusterName": ecs.cluster, "ServiceName": ecs.service })),
        (None, Some(group)) => (
            "CodeDeployToECS",
            json!({ "ApplicationName": group.application, "DeploymentGroupName": group.deployment_group }),
        ),
        (None, None) => ("S3", json!({ "BucketName": format!("site-{}", deploy.region), "Extract": "true" })),
    };
    let index = stages.iter().position(|stage| stage["name"] == deploy.stage.as_str()).unwrap_or_else(|| {
        stages.push(json!({ "name": deploy.stage, "actions": [] }));
        stages.len() - 1
    });
    let Some(actions) = stages.get_mut(index).and_then(|stage| stage["actions"].as_array_mut()) else { return };
    let name = match actions.len() {
        0 => "Deploy".to_owned(),
        others => format!("Deploy-{}-{}", others + 1, deploy.region),
    };
    let mut one = action(&name, "Deploy", provider, configuration);
    one["inputArtifacts"] = json!([{ "name": "image" }]);
    one["region"] = json!(deploy.region);
    actions.push(one);
}

fn action(name: &str, category: &str, provider: &str, configuration: Value) -> Value {
    let kind = json!({ "category": category, "owner": "AWS", "provider": provider, "version": "1" });
    let mut action = json!({ "name": name, "actionTypeId": kind, "runOrder": 1 });
    if configuration.as_object().is_some_and(|all| !all.is_empty()) {
        action["configuration"] = configuration;
    }
    action
}
