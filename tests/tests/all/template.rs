//! What `template.yaml` grants: each function what it needs, and nothing else.

use pointsman_local::aws::{ACCOUNT, Aws, Behaviour};
use pointsman_local::clock::Clock;
use pointsman_local::faults::Faults;
use pointsman_local::runner::{REGION, STACK, TEMPLATE};
use pointsman_local::template::Template;
use serde_json::{Value, json};
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

/// The roles that are allowed an action, in the order of their names.
fn who_may(action: &str) -> Vec<String> {
    let template = template();
    let roles = template.named("AWS::IAM::Role").into_iter().map(str::to_owned);
    let may = |role: &String| grants(role).iter().any(|(effect, allowed, _)| effect == "Allow" && allowed == action);
    roles.filter(may).collect()
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
    for start in ["codebuild:StartBuild", "codepipeline:StartPipelineExecution"] {
        assert_eq!(who_may(start), ["DispatchRole", "SweepRole"], "{start}");
    }
}

#[test]
fn only_those_who_ask_people_may_answer_for_them_and_write_to_them() {
    #[rustfmt::skip]
    let cases: [(&str, &[&str], &str); 5] = [
        ("codepipeline:PutApprovalResult",      &["ApproveRole", "GateRole", "SweepRole"], "a vote; what needs none; what was not told yet"),
        ("codepipeline:DisableStageTransition", &["SweepRole"],                            "a freeze"),
        ("codepipeline:EnableStageTransition",  &["SweepRole"],                            "its end"),
        ("sns:Publish",                         &["GateRole", "SweepRole"],                "links are sent, and sent again"),
        ("sns:Subscribe",                       &[],                                       "people are subscribed with an operator's credentials"),
    ];
    for (action, expected, why) in cases {
        assert_eq!(who_may(action), expected, "{action}: {why}");
    }
    let pipelines = format!("arn:aws:codepipeline:*:{ACCOUNT}:*");
    let approvers = format!("arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-approver-*");
    for role in who_may("codepipeline:PutApprovalResult") {
        for (_, action, resource) in grants(&role) {
            match action.as_str() {
                "codepipeline:PutApprovalResult" => assert_eq!(resource, format!("{pipelines}/*/*"), "{role}"),
                "codepipeline:DisableStageTransition" | "codepipeline:EnableStageTransition" => {
                    assert_eq!(resource, format!("{pipelines}/*"), "{role}");
                }
                sns if sns.starts_with("sns:") => assert_eq!(resource, approvers, "{role}: {sns}"),
                _ => {}
            }
        }
    }
}

#[test]
fn gate_and_approve_may_do_this_beside_the_ledger_and_nothing_else() {
    let beside_the_ledger = |role: &str| {
        let all = grants(role).into_iter().map(|(_, action, _)| action);
        all.filter(|action| !action.starts_with("dynamodb:")).collect::<BTreeSet<_>>()
    };
    let approve = [
        "codepipeline:GetPipeline",
        "codepipeline:GetPipelineExecution",
        "codepipeline:GetPipelineState",
        "codepipeline:ListActionExecutions",
        "codepipeline:ListPipelineExecutions",
        "codepipeline:PutApprovalResult",
    ];
    let approve = BTreeSet::from(approve.map(str::to_owned));
    assert_eq!(beside_the_ledger("ApproveRole"), approve);
    let mail = ["sns:ListSubscriptionsByTopic", "sns:Publish"].map(str::to_owned);
    assert_eq!(beside_the_ledger("GateRole"), approve.into_iter().chain(mail).collect());
}

/// The functions to which `event` goes, by the rules of the template, with each of those rules.
fn hearers(event: &str) -> Vec<(String, Value)> {
    let aws = Aws::new(Clock::real(), Behaviour::default(), Faults::none(), 1).unwrap();
    let mut hearers = Vec::new();
    for function in template().named("AWS::Serverless::Function") {
        let properties = template().properties(function).unwrap();
        for rule in properties["Events"].as_object().unwrap().values().filter(|rule| rule["Type"] == "EventBridgeRule")
        {
            let test = json!({ "EventPattern": rule["Properties"]["Pattern"].to_string(), "Event": event });
            if aws.ask("events", REGION, "TestEventPattern", test).unwrap()["Result"] == true {
                hearers.push((function.to_owned(), rule["Properties"].clone()));
            }
        }
    }
    hearers
}

#[test]
fn each_event_goes_to_whom_it_is_for() {
    let sample = |name: &str| {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../events";
        std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()
    };
    let scan = json!({
        "id": "1", "source": "aws.inspector2", "detail-type": "Inspector2 Scan", "account": ACCOUNT,
        "time": "2026-03-02T14:50:00Z", "region": REGION, "resources": [], "detail": {},
    });
    #[rustfmt::skip]
    let cases: [(String, &[&str], &str); 7] = [
        (sample("codepipeline-pipeline"),                                  &["RecordFunction"],                 "an execution begins"),
        (sample("codepipeline-pipeline").replace("STARTED", "SUPERSEDED"), &["GateFunction", "RecordFunction"], "its end is its approval's"),
        (sample("codepipeline-stage"),                                     &["RecordFunction"],                 "a stage"),
        (sample("codepipeline-action"),                                    &["RecordFunction"],                 "an action"),
        (sample("approval-started"),                                       &["GateFunction"],                   "nobody else may see a token"),
        (sample("ecr-push"),                                               &["RecordFunction"],                 "an image"),
        (scan.to_string(),                                                 &["RecordFunction"],                 "what is wrong with it"),
    ];
    for (event, expected, why) in cases {
        let functions: Vec<_> = hearers(&event).into_iter().map(|(function, _)| function).collect();
        assert_eq!(functions, expected, "{why}");
    }
}

#[test]
fn what_may_hold_a_token_is_kept_by_nobody() {
    let approval = include_str!("../../../events/approval-started.json");
    for state in ["STARTED", "SUCCEEDED", "FAILED", "ABANDONED"] {
        for (function, rule) in hearers(&approval.replace("STARTED", state)) {
            assert_eq!(function, "GateFunction");
            assert!(rule["DeadLetterConfig"].is_null(), "a rule keeps what it could not deliver");
        }
    }
    let gate = template().properties("GateFunction").unwrap();
    assert!(gate["EventInvokeConfig"]["DestinationConfig"].is_null(), "Lambda keeps what failed");
    assert!(!TEMPLATE.contains("DeadLetterQueue:"), "Lambda keeps what failed, in its older way");
    let notified =
        |properties: &Value| properties["Events"].as_object().unwrap().values().any(|event| event["Type"] == "SNS");
    for function in template().named("AWS::Serverless::Function") {
        let properties = template().properties(function).unwrap();
        assert_eq!(notified(&properties), function == "GateFunction", "{function}");
    }
    assert_eq!(gate["Events"]["Notifications"]["Properties"], json!({ "Topic": topic() }), "and no RedrivePolicy");
}

fn topic() -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-approvals-asked")
}

#[test]
fn only_codepipeline_may_tell_of_approvals() {
    let policy = template().properties("ApprovalsAskedPolicy").unwrap();
    let expected = json!([{
        "Effect": "Allow", "Principal": { "Service": "codepipeline.amazonaws.com" }, "Action": "sns:Publish",
        "Resource": topic(), "Condition": { "StringEquals": { "aws:SourceAccount": ACCOUNT } },
    }]);
    assert_eq!((&policy["Topics"], &policy["PolicyDocument"]["Statement"]), (&json!([topic()]), &expected));
}

#[test]
fn no_path_is_written_down() {
    let api = template().properties("Api").unwrap();
    assert!(api["AccessLogSetting"].is_null());
    assert_eq!(api["TracingEnabled"], false);
    let settings = api["MethodSettings"].as_array().unwrap();
    let all = |setting: &&Value| setting["ResourcePath"] == "/*" && setting["HttpMethod"] == "*";
    assert_eq!(settings.iter().filter(all).count(), 1, "one for whatever has none of its own");
    for setting in settings {
        assert_eq!(
            (&setting["LoggingLevel"], &setting["DataTraceEnabled"]),
            (&json!("OFF"), &json!(false)),
            "{setting}"
        );
    }
    assert!(!TEMPLATE.contains("Tracing: "), "no function is traced");
}

#[test]
fn links_begin_with_the_api_or_with_what_is_in_front_of_it() {
    let base = |template: &Template, function: &str| {
        let properties = template.properties(function).unwrap();
        properties["Environment"]["Variables"]["POINTSMAN_BASE_URL"].as_str().map(str::to_owned)
    };
    let given = template().with_parameter("BaseUrl", "https://deploy.example.com").unwrap();
    for function in ["GateFunction", "SweepFunction"] {
        let api = base(&template(), function).unwrap();
        assert!(api.starts_with("https://") && api.ends_with(".execute-api.us-east-1.amazonaws.com/live"), "{api}");
        assert_eq!(base(&given, function).as_deref(), Some("https://deploy.example.com"));
    }
    assert_eq!(base(&template(), "ApproveFunction"), None, "the API refers to it: it cannot refer to the API");
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
