//! Turning back, holding, freezing and quarantine from a terminal, against the local account.

use super::{Account, Ran};
use pointsman_local::runner::Options;
use serde_json::{Value, json};

const ENVIRONMENT: &str = "shop-development";

/// A commit of 40 times one digit.
fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// Brings a commit to the shop's development, and tells the execution that did.
fn deploy(account: &Account, digit: char) -> String {
    let sent = account.run(&["send", "events/push.json", "--sha", &sha(digit), "--ref", "refs/heads/main"]);
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    let arrived = |all: &Value| all[0]["sha"] == sha(digit) && all[0]["status"] == "succeeded";
    let all = account.until(&["--json", "executions", "list", "--environment", ENVIRONMENT], arrived);
    let is_live = |view: &Value| view["regions"][0]["live"]["sha"] == sha(digit);
    account.until(&["--json", "environments", "show", ENVIRONMENT], is_live);
    all[0]["id"].as_str().unwrap().to_owned()
}

fn keys(document: &Value) -> Vec<String> {
    document.as_object().unwrap().keys().cloned().collect()
}

fn refused(ran: &Ran, code: i32, why: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{why}: {}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{why}: {}", ran.stderr);
    assert!(ran.stderr.contains(why), "{why}: {}", ran.stderr);
}

#[test]
fn a_version_is_turned_back_from_a_terminal() {
    let account = Account::open();
    let (_, bad) = (deploy(&account, 'a'), deploy(&account, 'b'));
    let rollback = |more: &[&str]| account.run(&[&["--json", "rollback", ENVIRONMENT], more].concat());

    let plan = rollback(&["--dry-run"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let region = &plan.json()["regions"][0];
    assert_eq!((&region["from"], &region["to"]), (&json!(sha('b')), &json!(sha('a'))));
    assert_eq!(region["step"], "rollback_stage", "{region}");
    assert_eq!(account.run(&["--json", "incidents", "list"]).stdout, "[]\n", "a look changes nothing");
    refused(
        &rollback(&["--to", "ccccccc", "--reason", "r"]),
        1,
        "ccccccc never ran in shop-development; bbbbbbb, aaaaaaa did",
    );
    refused(&rollback(&["--to", "bbbbbbb", "--reason", "r"]), 1, "cannot be turned back");
    refused(
        &rollback(&["--region", "eu-west-2", "--reason", "r"]),
        3,
        "no region eu-west-2 in shop-development; there is us-east-1",
    );

    let done = rollback(&["--to", "aaaaaaa", "--reason", "orders are lost"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("us-east-1: bbbbbbb → aaaaaaa"), "how far it is: {}", done.stderr);
    let incident = done.json();
    let contract = ["id", "environment", "region", "cause", "status", "decision", "reason", "rollback"];
    let names = keys(&incident);
    assert!(contract.iter().all(|name| names.iter().any(|key| key == name)), "{names:?}");
    let known = [&incident["environment"], &incident["cause"], &incident["status"], &incident["decision"]];
    assert_eq!(known, [ENVIRONMENT, "manual", "rolled_back", "roll_back"]);
    let turned = &incident["rollback"];
    assert_eq!(
        [&turned["from"], &turned["to"], &turned["step"]],
        [&json!(sha('b')), &json!(sha('a')), &json!("rollback_stage")]
    );
    let story = incident["timeline"].to_string();
    assert!(
        story.contains("rollback requested by hand by operator ada") && story.contains("orders are lost"),
        "{story}"
    );
    let listed = account.run(&["--json", "incidents", "list", "--environment", ENVIRONMENT]).json();
    assert_eq!(keys(&listed[0]), keys(&incident), "a list is an array of what show shows");
    assert_eq!(account.run(&["--json", "incidents", "list", "--open"]).stdout, "[]\n");

    let execution = account.run(&["--json", "executions", "show", &bad]).json();
    assert_eq!((&execution["status"], &execution["rollbacks"][0]["id"]), (&json!("rolled_back"), &turned["id"]));
    let its = account.run(&["--json", "executions", "show", turned["execution"].as_str().unwrap()]).json();
    assert_eq!((&its["kind"], &its["rollbacks"][0]["incident"]), (&json!("rollback"), &incident["id"]));
    assert_eq!(account.run(&["--json", "audit", "verify"]).json()["holds"], true);
}

#[test]
fn what_was_turned_back_stays_out_until_a_person_says_otherwise() {
    let account = Account::open();
    let (_, _) = (deploy(&account, 'a'), deploy(&account, 'b'));
    let done = account.run(&["rollback", ENVIRONMENT, "--reason", "orders are lost"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("release shop-development --reason …"), "what comes next: {}", done.stderr);
    let shown = account.run(&["--json", "environments", "show", ENVIRONMENT]).json();
    assert_eq!(
        (&shown["regions"][0]["is_held"], &shown["regions"][0]["live"]["sha"]),
        (&json!(true), &json!(sha('a')))
    );
    assert_eq!(shown["quarantined"][0]["sha"], json!(sha('b')));

    let lift = ["quarantine", "lift", ENVIRONMENT, &sha('b'), "--reason", "it was the database"];
    assert_eq!(account.run(&lift).code, 0);
    refused(&account.run(&lift), 1, "is lifted already");
    assert_eq!(account.run(&["--json", "quarantine", "list"]).stdout, "[]\n");
    let all = account.run(&["--json", "quarantine", "list", ENVIRONMENT, "--all"]).json();
    assert_eq!(all[0]["lifted"]["reason"], "it was the database");

    let release = ["--json", "release", ENVIRONMENT, "--reason", "the fix is merged"];
    let released = account.run(&release);
    assert_eq!(released.code, 0, "{}", released.stderr);
    assert_eq!((&released.json()["hold"], &released.json()["regions"][0]["is_held"]), (&json!(null), &json!(false)));
    refused(&account.run(&release), 1, "shop-development is not held");
    let log = account.run(&["audit", "show", ENVIRONMENT]).stdout;
    assert!(log.contains("the fix is merged") && log.contains("it was the database"), "{log}");
}

#[test]
fn a_hold_keeps_everything_out_but_the_commit_that_is_named() {
    let account = Account::open();
    deploy(&account, 'a');
    let held = account.run(&["--json", "hold", ENVIRONMENT, "--region", "us-east-1", "--reason", "the database moves"]);
    assert_eq!(held.code, 0, "{}", held.stderr);
    let hold = &held.json()["hold"];
    assert_eq!((&hold["by"], &hold["reason"]), (&json!("operator:ada"), &json!("the database moves")));
    account.run(&["send", "events/push.json", "--sha", &sha('b'), "--ref", "refs/heads/main"]);
    account.until(&["--json", "executions", "list"], |all| all[0]["sha"] == sha('b'));
    let through = account.run(&["release", ENVIRONMENT, "--sha", "bbbbbbb", "--reason", "hotfix"]);
    assert_eq!(through.code, 0, "{}", through.stderr);
    assert!(through.stderr.contains("bbbbbbb") && through.stderr.contains("everything else stays outside"));
    refused(&account.run(&["release", ENVIRONMENT, "--sha", "ccccccc", "--reason", "r"]), 1, "ccccccc never ran");
}

#[test]
fn a_freeze_by_hand_is_on_until_it_ends_or_is_thawed() {
    let account = Account::open();
    let frozen = account.run(&["--json", "freeze", "shop-production", "--for", "4h", "--reason", "the sale"]);
    assert_eq!(frozen.code, 0, "{}", frozen.stderr);
    assert!(frozen.stderr.contains("no approval is taken"), "{}", frozen.stderr);
    assert_eq!(frozen.json()["frozen"]["by_hand"]["reason"], "the sale");
    let (id, digits) = super::ask(&account);
    let approve = ["approvals", "approve", &id, "--sha", &digits, "--as", "ada@example.com"];
    refused(&account.run(&approve), 1, "frozen until");
    let thaw = ["--json", "thaw", "shop-production", "--reason", "it is over"];
    assert_eq!(account.run(&thaw).json()["frozen"], json!(null));
    refused(&account.run(&thaw), 1, "shop-production is not frozen");
    assert_eq!(account.run(&approve).code, 0);

    let other = account.run(&["freeze", ENVIRONMENT, "--for", "4h", "--reason", "the sale"]);
    assert!(other.stderr.contains("closes the ways in within a minute"), "nobody is asked there: {}", other.stderr);
    let listed = account.run(&["environments", "list"]).stdout;
    let way_in = |word| listed.lines().any(|line| line.starts_with(ENVIRONMENT) && line.ends_with(word));
    assert!(way_in("freezing") || way_in("frozen"), "{listed}");
    account.until(&["--json", "environments", "show", ENVIRONMENT], |view| view["regions"][0]["is_frozen"] == true);
    let thawed = account.run(&["thaw", ENVIRONMENT, "--reason", "it is over"]);
    assert!(thawed.stderr.contains("opens the ways within a minute"), "{}", thawed.stderr);
}

#[test]
fn a_commit_that_a_person_keeps_out_is_not_started() {
    let account = Account::open();
    let add = ["quarantine", "add", ENVIRONMENT, &sha('c'), "--reason", "it loses orders"];
    assert_eq!(account.run(&add).code, 0);
    let again = account.run(&add);
    assert_eq!(again.code, 0);
    assert!(again.stderr.contains("in quarantine already, by operator:ada: it loses orders"), "{}", again.stderr);
    account.run(&["send", "events/push.json", "--sha", &sha('c'), "--ref", "refs/heads/main"]);
    let all = account.until(&["--json", "deliveries", "list"], |all| all[0]["status"] == "ignored");
    assert!(all[0]["reason"].as_str().unwrap().starts_with("quarantined:"), "{all}");
}

/// Services of one repository, each with a pipeline and an environment of its name; the gateway is turned back last.
const SERVICES: [&str; 8] =
    ["system", "storage", "user", "ai-config", "ai-content", "ai-analytics", "music", "api-gateway"];

/// An account with eight services, on which two commits have landed: `b` is live.
fn eight_services() -> Account {
    let mut config = format!("version = 1\n[systems.all]\norder = {}\n", json!(SERVICES));
    for service in SERVICES {
        config += &format!(
            r#"
[environments.{service}]
deploys = [{{ region = "us-east-1", pipeline = "{service}", stage = "Deploy", ecs = {{ cluster = "eight", service = "{service}" }} }}]
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "{service}"
environment = "{service}"
"#
        );
    }
    let account =
        Account::with(Options { config: Some(config), config_name: "eight.toml".into(), ..Options::default() });
    for digit in ['a', 'b'] {
        let sent = account.run(&["send", "events/push.json", "--sha", &sha(digit), "--ref", "refs/heads/main"]);
        assert_eq!(sent.code, 0, "{}", sent.stderr);
        account.until(&["--json", "environments", "list"], |all| live(all) == vec![json!(sha(digit)); SERVICES.len()]);
    }
    account
}

/// What is live in each environment of a list, in its order.
fn live(all: &Value) -> Vec<Value> {
    all.as_array().unwrap().iter().map(|one| one["regions"][0]["live"]["sha"].clone()).collect()
}

fn environments_of(incidents: &Value) -> Vec<&str> {
    incidents.as_array().unwrap().iter().map(|incident| incident["environment"].as_str().unwrap()).collect()
}

#[test]
fn one_of_eight_services_goes_back_alone_and_a_system_stops_at_the_first_that_cannot() {
    let account = eight_services();
    let done = account.run(&["rollback", "music", "--reason", "it is silent"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let all = account.run(&["--json", "environments", "list"]).json();
    for one in all.as_array().unwrap() {
        let expected = if one["name"] == "music" { 'a' } else { 'b' };
        assert_eq!(one["regions"][0]["live"]["sha"], sha(expected), "{one}");
        assert_eq!(one["hold"].is_null(), one["name"] != "music", "{one}");
    }

    let stopped = account.run(&["--json", "rollback", "--system", "all", "--reason", "the release is bad"]);
    assert_eq!(stopped.code, 1, "{}", stopped.stderr);
    let outcome = stopped.json();
    assert_eq!(environments_of(&outcome["incidents"]), SERVICES[..6], "{}", stopped.stderr);
    assert!(outcome["failure"].as_str().unwrap().starts_with("music: "), "{outcome}");
    assert_eq!(outcome["not_begun"], json!(["music", "api-gateway"]));
    let gateway = account.run(&["--json", "environments", "show", "api-gateway"]).json();
    assert_eq!(gateway["regions"][0]["live"]["sha"], sha('b'), "what comes after the failure is left alone");
}

#[test]
fn all_eight_services_go_back_one_after_the_other_the_gateway_last() {
    let account = eight_services();
    let plan = account.run(&["--json", "rollback", "--system", "all", "--dry-run"]);
    assert_eq!((plan.code, plan.json().as_array().unwrap().len()), (0, SERVICES.len()), "{}", plan.stderr);
    let done = account.run(&["--json", "rollback", "--system", "all", "--reason", "the release is bad"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let outcome = done.json();
    assert_eq!(environments_of(&outcome["incidents"]), SERVICES);
    assert_eq!((&outcome["failure"], &outcome["not_begun"]), (&json!(null), &json!([])));
    let span = |incident: &Value| {
        let at = |key: &str| incident[key].as_str().unwrap().to_owned();
        (at("opened_at"), at("updated_at"))
    };
    let spans: Vec<_> = outcome["incidents"].as_array().unwrap().iter().map(span).collect();
    assert!(
        spans.is_sorted_by(|(_, ended), (began, _)| ended <= began),
        "each begins when the one before is back: {spans:?}"
    );
    assert!(outcome["incidents"].as_array().unwrap().iter().all(|incident| incident["status"] == "rolled_back"));
    let all = account.run(&["--json", "environments", "list"]).json();
    assert_eq!(live(&all), vec![json!(sha('a')); SERVICES.len()]);
}
