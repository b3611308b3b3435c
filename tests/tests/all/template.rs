//! What `template.yaml` grants: each function what it needs, and nothing else.

use pointsman_local::aws::{ACCOUNT, Aws, Behaviour};
use pointsman_local::clock::Clock;
use pointsman_local::faults::Faults;
use pointsman_local::runner::{REGION, REGIONAL, REGIONAL_STACK, STACK, TEMPLATE};
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
    grants_of(&template(), role)
}

fn grants_of(template: &Template, role: &str) -> Vec<(String, String, String)> {
    let properties = template.properties(role).unwrap();
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
            assert_eq!(resource == "*", UNNARROWED.contains(&action.as_str()), "{role}: {action}");
        }
    }
}

/// What IAM cannot narrow: DescribeAlarms tells of composite alarms only whoever may read every alarm, and the others
/// have no resource. Source: the Service Authorization Reference, and CloudWatch's DescribeAlarms.
const UNNARROWED: [&str; 3] = ["cloudwatch:DescribeAlarms", "codedeploy:StopDeployment", "ecs:DescribeTaskDefinition"];

#[test]
fn roles_are_passed_to_tasks_and_to_nothing_else() {
    let template = template();
    for role in template.named("AWS::IAM::Role") {
        let properties = template.properties(role).unwrap();
        let statements = properties["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap().clone();
        for statement in
            statements.iter().filter(|statement| list(&statement["Action"]).contains(&"iam:PassRole".into()))
        {
            let to = json!({ "StringEquals": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } });
            assert_eq!((&statement["Action"], &statement["Condition"]), (&json!("iam:PassRole"), &to), "{role}");
        }
    }
    assert_eq!(who_may("iam:PassRole"), ["RollbackRole", "SweepRole"]);
}

#[test]
fn only_those_who_start_may_start() {
    assert_eq!(who_may("codebuild:StartBuild"), ["DispatchRole", "SweepRole"]);
    let start = who_may("codepipeline:StartPipelineExecution");
    assert_eq!(start, ["DispatchRole", "RollbackRole", "SweepRole"], "what is good again is started, too");
    let template = template();
    for function in template.named("AWS::Serverless::Function") {
        let properties = template.properties(function).unwrap();
        let named = &properties["Environment"]["Variables"]["POINTSMAN_STARTER_ROLES"];
        let named: BTreeSet<_> = named.as_str().into_iter().flat_map(|roles| roles.split(',')).collect();
        let ours: Vec<_> = start.iter().map(|role| format!("{STACK}-{role}")).collect();
        let expected =
            if function == "WebhookFunction" { BTreeSet::new() } else { ours.iter().map(String::as_str).collect() };
        assert_eq!(named, expected, "{function} takes the starts of each for ours");
    }
}

#[test]
fn only_those_who_turn_back_may_turn_back() {
    #[rustfmt::skip]
    let cases: [(&str, &[&str], &str); 11] = [
        ("codepipeline:RollbackStage",         &["RollbackRole", "SweepRole"], "the best way back"),
        ("codepipeline:StopPipelineExecution", &["RollbackRole", "SweepRole"], "what is in flight"),
        ("codedeploy:StopDeployment",          &["RollbackRole", "SweepRole"], "what is in flight"),
        ("codedeploy:CreateDeployment",        &["RollbackRole", "SweepRole"], "the last way back"),
        ("ecs:StopServiceDeployment",          &["RollbackRole", "SweepRole"], "what is in flight"),
        ("ecs:UpdateService",                  &["RollbackRole", "SweepRole"], "the last way back"),
        ("ecs:RegisterTaskDefinition",         &[],                            "what ran before has a definition"),
        ("events:PutEvents",                   &["GuardRole"],                 "it asks for it"),
        ("cloudwatch:DescribeAlarms",          &["GuardRole", "SweepRole"],    "and look why"),
        ("sqs:ReceiveMessage",                 &["DispatchRole", "GuardRole", "SweepRole"], "changes; what settles; dead letters"),
        ("sqs:SendMessage",                    &["GuardRole", "RecordRole", "RollbackRole", "WebhookRole"], "what settles; dead letters; changes"),
    ];
    for (action, expected, why) in cases {
        assert_eq!(who_may(action), expected, "{action}: {why}");
    }
    let bus = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/pointsman");
    let narrowed = Template::read(TEMPLATE, STACK, REGION, ACCOUNT).unwrap();
    let narrowed = narrowed.with_parameter("ClusterNames", "shop-*").unwrap();
    let narrowed = narrowed.with_parameter("ApplicationNames", "web").unwrap();
    for role in ["GuardRole", "RollbackRole", "SweepRole"] {
        for (_, action, resource) in grants_of(&narrowed, role) {
            let (service, _) = action.split_once(':').unwrap();
            let narrow = match service {
                _ if UNNARROWED.contains(&action.as_str()) => true,
                "events" => resource == bus,
                "ecs" => resource.contains("/shop-*/"),
                "codedeploy" if action == "codedeploy:GetDeploymentConfig" => resource.ends_with(":deploymentconfig:*"),
                "codedeploy" => resource.ends_with(":application:web") || resource.ends_with(":deploymentgroup:web/*"),
                _ => true,
            };
            assert!(narrow, "{role}: {action} on {resource}");
        }
    }
}

#[test]
fn guard_and_rollback_may_do_this_beside_the_ledger_and_nothing_else() {
    let services = |role: &str| {
        let all = grants(role).into_iter().map(|(_, action, _)| action.split_once(':').unwrap().0.to_owned());
        all.collect::<BTreeSet<_>>()
    };
    let guard = ["cloudwatch", "codepipeline", "dynamodb", "events", "sns", "sqs"].map(str::to_owned);
    assert_eq!(services("GuardRole"), BTreeSet::from(guard));
    let rollback = ["codedeploy", "codepipeline", "dynamodb", "ecs", "iam", "sns", "sqs"].map(str::to_owned);
    assert_eq!(services("RollbackRole"), BTreeSet::from(rollback));
    let of_pipelines = |role: &str| {
        let all = grants(role).into_iter().map(|(_, action, _)| action);
        all.filter(|action| action.starts_with("codepipeline:")).collect::<Vec<_>>()
    };
    let changes = |action: &String| !action.contains(":Get") && !action.contains(":List");
    assert!(!of_pipelines("GuardRole").iter().any(changes), "it changes nothing");
}

#[test]
fn only_those_who_ask_people_may_answer_for_them_and_write_to_them() {
    #[rustfmt::skip]
    let cases: [(&str, &[&str], &str); 5] = [
        ("codepipeline:PutApprovalResult",      &["ApproveRole", "GateRole", "RollbackRole", "SweepRole"], "a vote; what needs none; a bad version's; what was not told yet"),
        ("codepipeline:DisableStageTransition", &["RollbackRole", "SweepRole"],            "a rollback, a freeze"),
        ("codepipeline:EnableStageTransition",  &["RollbackRole", "SweepRole"],            "its end"),
        ("sns:Publish",                         &["GateRole", "GuardRole", "RollbackRole", "SweepRole"], "links, and what on-call should know"),
        ("sns:Subscribe",                       &[],                                       "people are subscribed with an operator's credentials"),
    ];
    for (action, expected, why) in cases {
        assert_eq!(who_may(action), expected, "{action}: {why}");
    }
    let pipelines = format!("arn:aws:codepipeline:*:{ACCOUNT}:*");
    let approvers = format!("arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-approver-*");
    let incidents = format!("arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-incidents");
    for role in who_may("codepipeline:PutApprovalResult").into_iter().chain(["GuardRole".to_owned()]) {
        for (_, action, resource) in grants(&role) {
            match action.as_str() {
                "codepipeline:PutApprovalResult" => assert_eq!(resource, format!("{pipelines}/*/*"), "{role}"),
                "codepipeline:DisableStageTransition" | "codepipeline:EnableStageTransition" => {
                    assert_eq!(resource, format!("{pipelines}/*"), "{role}");
                }
                "codepipeline:RollbackStage" => assert_eq!(resource, format!("{pipelines}/*"), "{role}"),
                "sns:Publish" if resource == incidents => assert_ne!(role, "GateRole", "on-call is told by others"),
                sns if sns.starts_with("sns:") => {
                    assert_eq!(resource, approvers, "{role}: {sns}");
                    assert!(["GateRole", "SweepRole"].contains(&role.as_str()), "{role} writes to approvers");
                }
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

/// Whether an event matches a pattern, as EventBridge says.
fn matches(aws: &Aws, pattern: &Value, event: &str) -> bool {
    let test = json!({ "EventPattern": pattern.to_string(), "Event": event });
    aws.ask("events", REGION, "TestEventPattern", test).unwrap()["Result"] == true
}

fn account() -> Aws {
    Aws::new(Clock::real(), Behaviour::default(), Faults::none(), 1).unwrap()
}

/// The rules of the template's functions: of which function, and what it says. On the default bus, or else on ours.
fn rules(on_our_bus: bool) -> Vec<(String, Value)> {
    let mut rules = Vec::new();
    for function in template().named("AWS::Serverless::Function") {
        let properties = template().properties(function).unwrap();
        for event in
            properties["Events"].as_object().unwrap().values().filter(|event| event["Type"] == "EventBridgeRule")
        {
            let rule = event["Properties"].clone();
            if rule["EventBusName"].is_string() == on_our_bus {
                rules.push((function.to_owned(), rule));
            }
        }
    }
    rules
}

/// The functions to which `event` goes when it is on the default bus, with each rule that sends it there.
fn hearers(event: &str) -> Vec<(String, Value)> {
    let aws = account();
    rules(false).into_iter().filter(|(_, rule)| matches(&aws, &rule["Pattern"], event)).collect()
}

fn sample(name: &str) -> String {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../events";
    std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()
}

#[test]
fn each_event_goes_to_whom_it_is_for() {
    #[rustfmt::skip]
    let cases: [(String, &[&str], &str); 17] = [
        (sample("codepipeline-pipeline"),                                  &["RecordFunction", "RollbackFunction"], "an execution begins"),
        (sample("codepipeline-pipeline").replace("STARTED", "SUPERSEDED"), &["GateFunction", "RecordFunction", "RollbackFunction"], "its end is its approval's"),
        (sample("codepipeline-stage"),                                     &["GuardFunction", "RecordFunction", "RollbackFunction"], "a stage that is done may be a deployment"),
        (sample("codepipeline-stage").replace("SUCCEEDED", "STARTED"),     &["RecordFunction", "RollbackFunction"], "a stage"),
        (sample("codepipeline-stage").replace("SUCCEEDED", "RESUMED"),     &["RecordFunction"],                     "a stage, once more"),
        (sample("codepipeline-action"),                                    &["RecordFunction"],                 "an action"),
        (sample("approval-started"),                                       &["GateFunction"],                   "nobody else may see a token"),
        (sample("ecr-push"),                                               &["RecordFunction"],                 "an image"),
        (sample("inspector-scan"),                                         &["RecordFunction"],                 "what is wrong with it"),
        (sample("inspector-finding"),                                      &["GuardFunction", "RecordFunction"], "what became known of it later"),
        (sample("cloudwatch-alarm"),                                       &["GuardFunction"],                  "an alarm"),
        (sample("cloudwatch-alarm-composite"),                             &["GuardFunction"],                  "an alarm of alarms"),
        (sample("devops-guru-insight"),                                    &["GuardFunction"],                  "a guess"),
        (sample("guardduty-finding"),                                      &["GuardFunction"],                  "a threat"),
        (sample("codedeploy-deployment"),                                  &["RollbackFunction"],               "a deployment ended, maybe a rollback"),
        (sample("codedeploy-deployment").replace("SUCCESS", "READY"),      &[],                                 "one that waits is no end"),
        (sample("ecs-deployment"),                                         &["RollbackFunction"],               "the same at ECS"),
    ];
    for (event, expected, why) in cases {
        let functions: Vec<_> = hearers(&event).into_iter().map(|(function, _)| function).collect();
        assert_eq!(functions, expected, "{why}");
    }
}

#[test]
fn our_bus_carries_requests_to_turn_back_and_nothing_else_does() {
    let request = sample("ecs-deployment")
        .replace("aws.ecs", "pointsman")
        .replace("ECS Deployment State Change", "Rollback Requested");
    assert!(hearers(&request).is_empty(), "on the default bus anybody may say so");
    let on_ours = rules(true);
    let [(function, rule)] = on_ours.as_slice() else { panic!("one rule is on our bus, not {}", on_ours.len()) };
    assert_eq!((function.as_str(), &rule["EventBusName"]), ("RollbackFunction", &json!(STACK)));
    let aws = account();
    assert!(matches(&aws, &rule["Pattern"], &request));
    assert!(!matches(&aws, &rule["Pattern"], &sample("cloudwatch-alarm")));
}

#[test]
fn what_guard_and_rollback_cannot_take_is_kept() {
    let dead = json!(format!("arn:aws:sqs:{REGION}:{ACCOUNT}:pointsman-events-dead"));
    for (function, rule) in rules(false).into_iter().chain(rules(true)) {
        assert_eq!(rule["DeadLetterConfig"]["Arn"] == dead, function != "GateFunction", "{function}: {rule}");
    }
    for function in ["GuardFunction", "RollbackFunction", "RecordFunction"] {
        let properties = template().properties(function).unwrap();
        assert_eq!(
            properties["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"], dead,
            "{function}"
        );
    }
    let settling = template().properties("Settling").unwrap();
    assert_eq!(settling["RedrivePolicy"]["deadLetterTargetArn"], dead);
    assert_eq!(settling["VisibilityTimeout"], 6 * 30, "six times guard's timeout");
    assert!(template().properties("GuardFunction").unwrap()["Timeout"].is_null(), "which is that of all functions");
}

#[test]
fn every_function_has_a_log_group_of_bounded_age() {
    let template = template();
    for function in template.named("AWS::Serverless::Function") {
        let logs = template.properties(&function.replace("Function", "Logs")).unwrap();
        assert_eq!(logs["LogGroupName"], format!("/aws/lambda/{STACK}-{function}"));
        assert!(logs["RetentionInDays"].is_number(), "{function}");
    }
}

#[test]
fn only_our_roles_tell_of_incidents() {
    let policy = template().properties("IncidentsPolicy").unwrap();
    let role = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{STACK}-{name}Role");
    let expected = json!([{
        "Effect": "Allow", "Principal": { "AWS": [role("Guard"), role("Rollback"), role("Sweep")] }, "Action": "sns:Publish",
        "Resource": format!("arn:aws:sns:{REGION}:{ACCOUNT}:pointsman-incidents"),
    }]);
    assert_eq!(policy["PolicyDocument"]["Statement"], expected);
}

/// Another region, in which the regional template is laid down.
const ELSEWHERE: &str = "eu-west-2";

fn regional() -> Template {
    let template = Template::read(REGIONAL, REGIONAL_STACK, ELSEWHERE, ACCOUNT).unwrap();
    template.with_parameter("HomeRegion", REGION).unwrap()
}

/// One value for each thing that a pattern lets in: texts themselves, and any other text where some are ruled out.
fn let_in(pattern: &Value) -> Vec<Value> {
    match pattern {
        Value::Array(all) => {
            all.iter().map(|one| if one.is_string() { one.clone() } else { json!("something else") }).collect()
        }
        Value::Object(members) => members.iter().fold(vec![json!({})], |made, (name, inner)| {
            let each = made.iter().flat_map(|event| {
                let_in(inner).into_iter().map(move |value| {
                    let mut event = event.clone();
                    event[name.as_str()] = value;
                    event
                })
            });
            each.collect()
        }),
        other => panic!("{other} is no pattern"),
    }
}

#[test]
fn other_regions_forward_what_is_listened_to_once_and_nothing_else() {
    let aws = account();
    let elsewhere: Vec<_> =
        regional().named("AWS::Events::Rule").into_iter().map(|rule| regional().properties(rule).unwrap()).collect();
    let here = rules(false).into_iter().map(|(_, rule)| rule["Pattern"].clone());
    let patterns: Vec<_> = here.chain(elsewhere.iter().map(|rule| rule["EventPattern"].clone())).collect();
    assert!(patterns.len() > 20, "both have rules");
    for mut event in patterns.iter().flat_map(let_in) {
        for (member, value) in
            [("id", "1"), ("account", ACCOUNT), ("time", "2026-03-02T14:50:00Z"), ("region", ELSEWHERE)]
        {
            event[member] = json!(value);
        }
        event["resources"] = json!([]);
        event["detail"] = if event["detail"].is_null() { json!({}) } else { event["detail"].clone() };
        let event = event.to_string();
        let forwarded = elsewhere.iter().filter(|rule| matches(&aws, &rule["EventPattern"], &event)).count();
        assert_eq!(forwarded, usize::from(!hearers(&event).is_empty()), "{event}");
    }
}

#[test]
fn other_regions_forward_to_the_home_bus_and_keep_nothing() {
    let home = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default");
    let role = format!("arn:aws:iam::{ACCOUNT}:role/{REGIONAL_STACK}-ForwardRole");
    assert_eq!(
        grants_of(&regional(), "ForwardRole"),
        [("Allow".to_owned(), "events:PutEvents".to_owned(), home.clone())]
    );
    for rule in regional().named("AWS::Events::Rule") {
        let targets = regional().properties(rule).unwrap()["Targets"].clone();
        assert_eq!(targets, json!([{ "Id": "home", "Arn": home, "RoleArn": role }]), "{rule}: and no dead letters");
    }
    assert_eq!(
        REGIONAL.matches("\n    Type: AWS::").count(),
        regional().named("AWS::Events::Rule").len() + 1,
        "and one role"
    );
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
