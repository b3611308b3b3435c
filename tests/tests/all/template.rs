//! What `template.yaml` grants: each function what it needs, and nothing else.

use pointsman_local::aws::ACCOUNT;
use pointsman_local::runner::{REGION, STACK, TEMPLATE};
use pointsman_local::template::Template;
use serde_json::Value;
use std::collections::BTreeSet;

fn template() -> Template {
    Template::read(TEMPLATE, STACK, REGION, ACCOUNT).unwrap()
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

/// (effect, action, resource) of every statement of a role, logs apart.
fn grants(role: &str) -> Vec<(String, String, String)> {
    let properties = template().properties(role).unwrap();
    let mut grants = Vec::new();
    for policy in properties["Policies"].as_array().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            for action in list(&statement["Action"]).into_iter().filter(|action| !action.starts_with("logs:")) {
                for resource in list(&statement["Resource"]) {
                    grants.push((statement["Effect"].as_str().unwrap().to_owned(), action.clone(), resource));
                }
            }
        }
    }
    grants
}

#[test]
fn webhook_reads_one_secret_and_sends_to_one_queue() {
    let allowed: Vec<_> = grants("WebhookRole").into_iter().map(|(_, action, resource)| (action, resource)).collect();
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
    assert_eq!(
        allowed,
        [
            ("secretsmanager:GetSecretValue".to_owned(), arn("secretsmanager", "secret:pointsman/github-webhook")),
            ("sqs:SendMessage".to_owned(), arn("sqs", "pointsman-changes.fifo")),
        ]
    );
}

#[test]
fn nobody_may_do_everything() {
    for role in template().named("AWS::IAM::Role") {
        for (_, action, resource) in grants(role) {
            assert!(!action.contains('*'), "{role}: {action}");
            assert_ne!(resource, "*", "{role}: {action}");
        }
    }
}

#[test]
fn only_those_who_start_may_start() {
    let starts = |role: &str| {
        let all = grants(role).into_iter().map(|(_, action, _)| action);
        all.filter(|action| action.contains(":Start")).collect::<BTreeSet<_>>()
    };
    let both = BTreeSet::from(["codebuild:StartBuild".to_owned(), "codepipeline:StartPipelineExecution".to_owned()]);
    assert_eq!(starts("DispatchRole"), both);
    assert_eq!(starts("SweepRole"), both);
    assert!(starts("RecordRole").is_empty());
}

#[test]
fn the_audit_log_is_only_ever_added_to() {
    let audit = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/pointsman-audit");
    for role in template().named("AWS::IAM::Role") {
        let on_audit: Vec<_> = grants(role).into_iter().filter(|(_, _, resource)| *resource == audit).collect();
        let of = |effect: &str| -> BTreeSet<_> {
            on_audit.iter().filter(|(is, _, _)| is == effect).map(|(_, action, _)| action.as_str()).collect()
        };
        if role == "WebhookRole" {
            assert!(on_audit.is_empty());
            continue;
        }
        assert_eq!(of("Allow"), BTreeSet::from(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]), "{role}");
        for action in ["UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"]
        {
            assert!(of("Deny").contains(format!("dynamodb:{action}").as_str()), "{role}: {action} is not denied");
        }
    }
}

#[test]
fn what_must_outlive_the_stack_does() {
    for table in template().named("AWS::DynamoDB::Table") {
        let properties = template().properties(table).unwrap();
        assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true, "{table}");
    }
    let retained = TEMPLATE.matches("DeletionPolicy: Retain").count();
    assert_eq!(retained, 3, "two tables and the secret");
}
