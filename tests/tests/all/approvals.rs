//! Journeys of an approval: from the pipeline's question to the answer that CodePipeline has.
//!
//! Ada, Bob and Cyd are devops, Eve is product, Ada is both. Pushes come from Mallory, unless a test says otherwise.

use pointsman::domain::approval::{Approval, Decision, End, State, Told};
use pointsman::domain::execution::Status;
use pointsman_local::aws::{Behaviour, Pace};
use pointsman_local::faults::{EventFault, Fault};
use pointsman_local::runner::{Options, REGION};
use pointsman_tests::payloads::{push, sha};
use pointsman_tests::world::World;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const ADA: &str = "ada@example.com";
pub(crate) const BOB: &str = "bob@example.com";
pub(crate) const CYD: &str = "cyd@example.com";
pub(crate) const EVE: &str = "eve@example.com";

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The configuration, with what a test wants of the environment and of its policy.
pub(crate) fn config(policy: &str, environment: &str) -> String {
    format!(
        r#"
version = 1
[approvers.devops]
members = [
    {{ email = "ada@example.com", github = "ada" }}, {{ email = "bob@example.com", github = "bob" }},
    {{ email = "cyd@example.com", github = "cyd" }},
]
[approvers.product]
members = [{{ email = "eve@example.com", github = "eve" }}, {{ email = "ada@example.com", github = "ada" }}]
[environments.production]
deploys = [{{ region = "us-east-1", pipeline = "shop", stage = "Deploy", ecs = {{ cluster = "shop", service = "shop" }} }}]
{environment}
{policy}
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["production"]
pipeline = "shop"
environment = "production"
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["hotfix/*"]
pipeline = "shop"
environment = "production"
approval = "expedited"
"#
    )
}

pub(crate) const ONE: &str = "[environments.production.approval]\nrequire = { devops = 1 }\nexpires = \"24h\"\n\
    [environments.production.approvals.expedited]\nrequire = { devops = 1 }\n";
pub(crate) const TWO: &str = "[environments.production.approval]\nrequire = { devops = 1, product = 1 }\nremind_after = \"4h\"\nexpires = \"24h\"\n\
    [environments.production.approvals.expedited]\nrequire = { devops = 1 }\n";

/// A push by Mallory, who is nobody's approver.
pub(crate) fn strange_push(branch: &str, before: u64, after: u64, at: i64) -> Value {
    pushed_by("mallory", push(branch, before, after, at))
}

/// The same push, written, committed and pushed by `login`.
fn pushed_by(login: &str, push: Value) -> Value {
    let person = json!({ "name": login, "email": format!("{login}@example.com"), "username": login });
    let mut push = push;
    push["pusher"] = json!({ "name": login, "email": format!("{login}@example.com") });
    push["sender"] = json!({ "login": login, "id": 9 });
    for commit in push["commits"].as_array_mut().unwrap() {
        commit["author"] = person.clone();
        commit["committer"] = person.clone();
    }
    if push["head_commit"].is_object() {
        push["head_commit"]["author"] = person.clone();
        push["head_commit"]["committer"] = person;
    }
    push
}

/// A world at the pace of real ones: `sweep` comes every minute, and a build takes a few.
pub(crate) async fn real(config: &str) -> World {
    let behaviour = Behaviour { pace: Pace::Real, ..Behaviour::default() };
    World::start(Options { behaviour, config: Some(config.to_owned()), ..Options::default() }).await
}

/// A world in which commit 2 waits for an approval.
pub(crate) async fn asking(policy: &str, environment: &str) -> World {
    let world = real(&config(policy, environment)).await;
    world.send("push", "d2", &strange_push("production", 1, 2, 1)).await;
    world.pass(5 * MINUTE).await;
    world
}

async fn only(world: &World) -> Approval {
    let mut all = world.approvals().await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

pub(crate) fn digits(commit: u64) -> String {
    sha(commit)[..7].to_owned()
}

async fn status(world: &World) -> Status {
    world.executions().await[0].status
}

/// What CodePipeline says of its approval actions, newest first: (status, summary).
fn asked(world: &World) -> Vec<(String, String)> {
    let answer = world.aws().ask("codepipeline", REGION, "ListActionExecutions", json!({ "pipelineName": "shop" }));
    let details = answer.unwrap()["actionExecutionDetails"].as_array().cloned().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let approvals = details.iter().filter(|detail| detail["input"]["actionTypeId"]["category"] == "Approval");
    let summary = |detail: &Value| text(&detail["output"]["executionResult"]["externalExecutionSummary"]);
    approvals.map(|detail| (text(&detail["status"]), summary(detail))).collect()
}

/// How often CodePipeline was answered.
fn token_of(world: &World) -> String {
    let state = world.aws().ask("codepipeline", REGION, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let stages = state["stageStates"].as_array().unwrap();
    let stage = stages.iter().find(|stage| stage["stageName"] == "Approve").unwrap();
    stage["actionStates"][0]["latestExecution"]["token"].as_str().unwrap_or_default().to_owned()
}

async fn story(world: &World) -> Vec<String> {
    let execution = &world.executions().await[0];
    let chain = world.local.ledger().chain(&format!("execution#{}", execution.id)).await.unwrap();
    pointsman::domain::audit::verify(&chain).unwrap();
    chain.into_iter().map(|entry| entry.what).collect()
}

#[tokio::test(start_paused = true)]
async fn one_approver_lets_it_in_by_the_link_of_their_mail() {
    let world = asking(ONE, "").await;
    assert_eq!(status(&world).await, Status::AwaitingApproval);
    for who in [ADA, BOB, CYD] {
        assert_eq!(world.mails_to(who).len(), 1, "{who}");
    }
    assert!(world.mails_to(EVE).is_empty(), "product is not asked");
    let link = world.link_of(BOB);
    let page = world.open(&link).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(&digits(2)) && page.body.matches("<form").count() == 1, "{}", page.body);
    assert!(!page.body.contains(&link), "the link does not stand on its page");
    let answered = world.approve(&link, &digits(2)).await;
    assert_eq!(answered.status, 200, "{}", answered.body);
    assert!(!answered.body.contains("<form"));
    world.pass(10 * MINUTE).await;
    let approval = only(&world).await;
    assert_eq!(approval.status(), "approved");
    assert!(matches!(approval.state, State::Decided { told: Told::Done { .. }, .. }));
    assert_eq!(asked(&world), [("Succeeded".to_owned(), format!("{} approved by bob@example.com", approval.id))]);
    assert_eq!(status(&world).await, Status::Succeeded);
    let told = story(&world).await;
    let wanted = ["approval opened", "approvers asked", "approval decided", "approval answered", "reported succeeded"];
    let found: Vec<_> = told.iter().filter(|what| wanted.contains(&what.as_str())).collect();
    assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "{told:?}");
    let late = world.approve(&world.link_of(ADA), &digits(2)).await;
    assert_eq!(late.status, 409);
    assert_eq!(world.open(&world.link_of(ADA)).await.status, 200, "a page that says how it ended");
}

#[tokio::test(start_paused = true)]
async fn each_group_gives_its_person_and_one_person_is_one() {
    let world = asking(TWO, "").await;
    let first = world.approve(&world.link_of(ADA), &digits(2)).await;
    assert_eq!(first.status, 200);
    assert!(first.body.contains("<form"), "it is not decided: one person counts once, though in both groups");
    assert_eq!(world.approve(&world.link_of(ADA), &digits(2)).await.status, 200, "the same again");
    assert_eq!(only(&world).await.status(), "open");
    assert_eq!(world.approve(&world.link_of(EVE), &digits(2)).await.status, 200);
    world.pass(10 * MINUTE).await;
    let State::Decided { decision: Decision::Approved { by }, .. } = only(&world).await.state else {
        panic!("undecided")
    };
    assert_eq!(by, [ADA, EVE], "Ada stands for devops, since Eve cannot");
    assert_eq!(status(&world).await, Status::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn who_wrote_it_may_not_approve_it() {
    let world = real(&config(ONE, "")).await;
    world.send("push", "d2", &pushed_by("bob", push("production", 1, 2, 1))).await;
    world.pass(5 * MINUTE).await;
    let refused = world.approve(&world.link_of(BOB), &digits(2)).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(only(&world).await.votes.len(), 0);
    assert_eq!(world.approve(&world.link_of(ADA), &digits(2)).await.status, 200);
    assert_eq!(only(&world).await.status(), "approved");
}

#[tokio::test(start_paused = true)]
async fn who_wrote_any_commit_since_what_runs_may_not_approve() {
    let world = asking(ONE, "").await;
    world.approve(&world.link_of(ADA), &digits(2)).await;
    world.pass(10 * MINUTE).await;
    // Commit 2 runs. Bob pushes 3, which nobody lets in; then Mallory pushes 4 on top of it.
    world.send("push", "d3", &pushed_by("bob", push("production", 2, 3, 1_000))).await;
    world.pass(5 * MINUTE).await;
    world.reject(&world.link_of(ADA), &digits(3)).await;
    world.send("push", "d4", &strange_push("production", 3, 4, 2_000)).await;
    world.pass(5 * MINUTE).await;
    assert_eq!(world.approve(&world.link_of(BOB), &digits(4)).await.status, 403, "3 goes live with 4, and is his");
    assert_eq!(world.approve(&world.link_of(CYD), &digits(4)).await.status, 200);
    assert_eq!(world.approvals().await[0].status(), "approved");
}

#[tokio::test(start_paused = true)]
async fn where_the_authors_cannot_be_known_two_people_agree() {
    let world = asking(ONE, "").await;
    world.approve(&world.link_of(ADA), &digits(2)).await;
    world.pass(10 * MINUTE).await;
    let mut forced = strange_push("production", 2, 9, 1_000);
    forced["forced"] = json!(true);
    world.send("push", "d9", &forced).await;
    world.pass(5 * MINUTE).await;
    let page = world.open(&world.link_of(BOB)).await;
    assert!(page.body.contains("not knowable"), "{}", page.body);
    world.approve(&world.link_of(BOB), &digits(9)).await;
    assert_eq!(world.approvals().await[0].status(), "open", "one of devops is what the policy asks, and not enough");
    world.approve(&world.link_of(CYD), &digits(9)).await;
    assert_eq!(world.approvals().await[0].status(), "approved");
}

#[tokio::test(start_paused = true)]
async fn any_no_ends_it() {
    let world = asking(TWO, "").await;
    world.approve(&world.link_of(BOB), &digits(2)).await;
    assert_eq!(world.reject(&world.link_of(CYD), &digits(2)).await.status, 200, "also of a group that is complete");
    world.pass(10 * MINUTE).await;
    let approval = only(&world).await;
    assert_eq!(approval.status(), "rejected");
    assert_eq!(asked(&world)[0], ("Failed".to_owned(), format!("{} rejected by cyd@example.com", approval.id)));
    assert_eq!(status(&world).await, Status::Failed);
    let late = world.approve(&world.link_of(EVE), &digits(2)).await;
    assert_eq!(late.status, 409);
    assert!(late.body.contains("cyd@example.com") && !late.body.contains("<form"), "{}", late.body);
}

#[tokio::test(start_paused = true)]
async fn nobody_in_time_is_a_no() {
    let world = asking(ONE, "").await;
    let opened = only(&world).await;
    world.pass(24 * HOUR + 10 * MINUTE).await;
    let approval = only(&world).await;
    assert_eq!(
        (approval.status(), approval.expires_at),
        ("expired", opened.opened_at + jiff::SignedDuration::from_hours(24))
    );
    assert_eq!(asked(&world)[0].0, "Failed");
    assert_eq!(status(&world).await, Status::Failed);
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 409);
}

#[tokio::test(start_paused = true)]
async fn those_who_are_still_wanted_are_reminded_once() {
    let world = asking(TWO, "").await;
    world.approve(&world.link_of(BOB), &digits(2)).await;
    world.pass(4 * HOUR + 10 * MINUTE).await;
    assert_eq!(world.mails_to(EVE).len(), 2, "product is still wanted");
    assert_eq!(world.mails_to(ADA).len(), 2, "Ada is of product too");
    assert_eq!(world.mails_to(BOB).len(), 1, "Bob has answered");
    assert_eq!(world.mails_to(CYD).len(), 1, "devops is complete");
    let mails = world.mails_to(EVE);
    assert!(mails[1].subject.starts_with("Reminder"), "{}", mails[1].subject);
    let (old, new) = (pointsman_tests::people::link_in(&mails[0].body), world.link_of(EVE));
    assert_ne!(old, new, "each mail has a link of its own");
    assert_eq!(world.open(&old).await.status, 200, "and the earlier one lives");
    world.pass(8 * HOUR).await;
    assert_eq!(world.mails_to(EVE).len(), 2, "once");
    world.approve(&old, &digits(2)).await;
    assert_eq!(only(&world).await.status(), "approved");
    assert_eq!(world.approve(&new, &digits(2)).await.status, 409, "all die together");
}

#[tokio::test(start_paused = true)]
async fn a_newer_execution_waits_and_enters_when_the_older_is_rejected() {
    let world = asking(ONE, "").await;
    world.send("push", "d3", &strange_push("production", 2, 3, 1_000)).await;
    world.pass(5 * MINUTE).await;
    assert_eq!(world.approvals().await.len(), 1, "the stage is taken");
    let page = world.open(&world.link_of(BOB)).await;
    assert!(page.body.contains(&digits(3)), "the page says who waits: {}", page.body);
    world.reject(&world.link_of(BOB), &digits(2)).await;
    world.pass(5 * MINUTE).await;
    let approvals = world.approvals().await;
    assert_eq!(approvals.len(), 2);
    assert_eq!((approvals[0].status(), approvals[1].status()), ("open", "rejected"));
    assert_eq!(world.mails_to(BOB).len(), 2, "with links of its own");
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 422, "and digits of its own");
    world.approve(&world.link_of(BOB), &digits(3)).await;
    world.pass(10 * MINUTE).await;
    assert_eq!(world.approvals().await[0].status(), "approved");
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_pipeline_ends_the_approval() {
    let world = asking(ONE, "").await;
    let pipeline = world.aws().ask("codepipeline", REGION, "GetPipeline", json!({ "name": "shop" })).unwrap();
    world.aws().ask("codepipeline", REGION, "UpdatePipeline", json!({ "pipeline": pipeline["pipeline"] })).unwrap();
    world.pass(5 * MINUTE).await;
    let approval = only(&world).await;
    assert_eq!(approval.status(), "ended", "{:?}", approval.state);
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 409);
    assert_eq!(status(&world).await, Status::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_execution_waits_for_nobody() {
    for abandon in [false, true] {
        let world = asking(ONE, "").await;
        let (id, _) = world.started("shop")[0].clone();
        let stop = json!({ "pipelineName": "shop", "pipelineExecutionId": id, "abandon": abandon });
        world.aws().ask("codepipeline", REGION, "StopPipelineExecution", stop).unwrap();
        world.pass(5 * MINUTE).await;
        let approval = only(&world).await;
        assert_eq!(approval.status(), if abandon { "ended" } else { "withdrawn" });
        assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 409, "abandon: {abandon}");
        assert_eq!(status(&world).await, Status::Stopped, "abandon: {abandon}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retried_stage_asks_anew() {
    let world = asking(ONE, "").await;
    world.reject(&world.link_of(BOB), &digits(2)).await;
    world.pass(10 * MINUTE).await;
    let old = world.link_of(BOB);
    let (id, _) = world.started("shop")[0].clone();
    let retry = json!({ "pipelineName": "shop", "stageName": "Approve", "pipelineExecutionId": id, "retryMode": "FAILED_ACTIONS" });
    world.aws().ask("codepipeline", REGION, "RetryStageExecution", retry).unwrap();
    world.pass(5 * MINUTE).await;
    let approvals = world.approvals().await;
    assert_eq!(approvals.len(), 2, "{approvals:#?}");
    assert_ne!(approvals[0].place.action_execution, approvals[1].place.action_execution);
    assert_eq!(world.approve(&old, &digits(2)).await.status, 409, "a vote for the one is none for the other");
    assert_eq!(approvals[0].votes.len(), 0);
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 200);
    world.pass(10 * MINUTE).await;
    assert_eq!(status(&world).await, Status::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_console_is_the_truth() {
    for (result, approved) in [("Approved", true), ("Rejected", false)] {
        let world = asking(ONE, "").await;
        let answer = json!({
            "pipelineName": "shop", "stageName": "Approve", "actionName": "Approve", "token": token_of(&world),
            "result": { "summary": "by hand", "status": result },
        });
        world.aws().ask("codepipeline", REGION, "PutApprovalResult", answer).unwrap();
        world.pass(5 * MINUTE).await;
        let approval = only(&world).await;
        let State::Ended { end: End::AnsweredElsewhere { by, approved: told }, .. } = &approval.state else {
            panic!("{:?}", approval.state)
        };
        assert_eq!(*told, approved);
        assert!(by.as_deref().is_some_and(|by| by.starts_with("arn:")), "{by:?}");
        let late = world.approve(&world.link_of(BOB), &digits(2)).await;
        assert_eq!(late.status, 409);
        assert!(late.body.contains("arn:"), "the page says who: {}", late.body);
        assert_eq!(asked(&world)[0].1, "by hand");
    }
}

#[tokio::test(start_paused = true)]
async fn two_people_at_the_same_instant_decide_once_and_both_learn_the_truth() {
    let world = asking(ONE, "").await;
    let (bob, cyd) = (world.link_of(BOB), world.link_of(CYD));
    let digits = digits(2);
    let (yes, no) = tokio::join!(world.approve(&bob, &digits), world.reject(&cyd, &digits));
    let mut statuses = [yes.status, no.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    world.pass(10 * MINUTE).await;
    let approval = only(&world).await;
    let asked = asked(&world);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0 == "Succeeded", approval.status() == "approved");
    assert_eq!(approval.votes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_was_removed_meanwhile_counts_no_more() {
    let world = asking(TWO, "").await;
    world.approve(&world.link_of(BOB), &digits(2)).await;
    let without_bob = config(TWO, "").replace(r#"{ email = "bob@example.com", github = "bob" },"#, "");
    let mut local = world.local.clone();
    local.publish(&without_bob, "pointsman.toml", &Default::default()).await.unwrap();
    assert_eq!(world.approve(&world.link_of(EVE), &digits(2)).await.status, 200);
    assert_eq!(only(&world).await.status(), "open", "Bob's yes was for devops, and he is not of it");
    assert_eq!(world.reject(&world.link_of(BOB), &digits(2)).await.status, 403);
    world.approve(&world.link_of(CYD), &digits(2)).await;
    assert_eq!(only(&world).await.status(), "approved");
}

#[tokio::test(start_paused = true)]
async fn a_hotfix_asks_the_lighter_policy() {
    let world = real(&config(TWO, "")).await;
    world.send("push", "fix", &strange_push("hotfix/1", 1, 5, 1)).await;
    world.pass(5 * MINUTE).await;
    let approval = only(&world).await;
    assert_eq!(approval.policy.as_ref().unwrap().name.as_deref(), Some("expedited"));
    assert!(world.mails_to(EVE).is_empty());
    world.approve(&world.link_of(BOB), &digits(5)).await;
    assert_eq!(only(&world).await.status(), "approved");
}

#[tokio::test(start_paused = true)]
async fn an_approval_without_a_policy_is_left_to_the_console_and_recorded() {
    let pipeline = json!({ "name": "shop" });
    let world = asking(ONE, "").await;
    let declaration = world.aws().ask("codepipeline", REGION, "GetPipeline", pipeline).unwrap()["pipeline"].clone();
    let options = Options { config: Some(config("", "")), pipelines: vec![declaration], ..Options::default() };
    let config_without = options.config.clone().unwrap().replace("approval = \"expedited\"", "");
    let behaviour = Behaviour { pace: Pace::Real, ..Behaviour::default() };
    let world = World::start(Options { behaviour, config: Some(config_without), ..options }).await;
    world.send("push", "d2", &strange_push("production", 1, 2, 1)).await;
    world.pass(5 * MINUTE).await;
    let approval = only(&world).await;
    assert_eq!(approval.status(), "left_to_console");
    assert!(world.aws().sns().mail().is_empty());
    assert_eq!(status(&world).await, Status::AwaitingApproval);
    world.pass(HOUR).await;
    assert_eq!(asked(&world)[0].0, "InProgress", "nobody answers for people");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_or_missing_proof_counts_for_nothing() {
    let world = asking(ONE, "").await;
    let link = world.link_of(BOB);
    for (fields, status, why) in [
        (vec![("decision", "approve"), ("comment", "")], 422, "no digits"),
        (vec![("decision", "approve"), ("sha", "1234567"), ("comment", "")], 422, "another commit's"),
        (vec![("decision", "reject"), ("sha", digits(2).as_str()), ("comment", "  ")], 422, "a no without a reason"),
    ] {
        let answered = world.answer(&link, &fields).await;
        assert_eq!(answered.status, status, "{why}");
        assert!(answered.body.contains("<form"), "{why}: the page comes again");
    }
    assert!(only(&world).await.votes.is_empty());
}

/// The world with an account of this behaviour.
async fn asking_with(behaviour: Behaviour) -> World {
    let options = Options { behaviour, config: Some(config(ONE, "")), ..Options::default() };
    let world = World::start(options).await;
    world.send("push", "d2", &strange_push("production", 1, 2, 1)).await;
    world.pass(5 * MINUTE).await;
    world
}

#[tokio::test(start_paused = true)]
async fn our_own_lost_reply_is_recognised_and_not_told_twice() {
    use pointsman_local::aws::AnsweredApproval::{AlreadyCompleted, InvalidToken};
    for answered_approval in [AlreadyCompleted, InvalidToken] {
        let world = asking_with(Behaviour { pace: Pace::Real, answered_approval, ..Behaviour::default() }).await;
        world.aws().faults().next("codepipeline", "PutApprovalResult", Fault::LoseAfter);
        let answered = world.approve(&world.link_of(BOB), &digits(2)).await;
        assert_eq!(answered.status, 200, "the decision is made, and will be told");
        world.pass(5 * MINUTE).await;
        let approval = only(&world).await;
        assert!(matches!(approval.state, State::Decided { told: Told::Done { .. }, .. }), "{:?}", approval.state);
        assert_eq!(asked(&world).len(), 1);
        assert_eq!(status(&world).await, Status::Succeeded);
    }
}

const ACTION_EVENT: &str = "CodePipeline Action Execution State Change";
const NOTIFICATION: &str = "pointsman-approvals-asked";

/// Every event of `kind` is lost, or late, until the world is told otherwise.
fn afflict(world: &World, kind: &str, fault: &EventFault) {
    for _ in 0..20 {
        world.aws().faults().next_event(kind, fault.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn any_one_of_three_things_opens_the_approval_and_all_together_open_one() {
    let late = EventFault::Delay(Duration::from_secs(30));
    #[rustfmt::skip]
    let cases = [
        (None,                    None,                    6,  "both come"),
        (None,                    Some(EventFault::Never), 6,  "CodePipeline's notification never comes"),
        (None,                    Some(late.clone()),      6,  "it comes last"),
        (Some(EventFault::Never), None,                    6,  "the event never comes"),
        (Some(late),              None,                    6,  "the notification comes first"),
        (Some(EventFault::Never), Some(EventFault::Never), 25, "neither comes: sweep finds it"),
    ];
    for (event, notification, minutes, why) in cases {
        let world = real(&config(ONE, "")).await;
        if let Some(fault) = &event {
            afflict(&world, ACTION_EVENT, fault);
        }
        if let Some(fault) = &notification {
            afflict(&world, NOTIFICATION, fault);
        }
        world.send("push", "d2", &strange_push("production", 1, 2, 1)).await;
        world.pass(minutes * MINUTE).await;
        let approvals = world.approvals().await;
        assert_eq!(approvals.len(), 1, "{why}");
        assert_eq!(world.mails_to(BOB).len(), 1, "{why}");
        assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 200, "{why}");
        world.pass(15 * MINUTE).await;
        assert_eq!(status(&world).await, Status::Succeeded, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_nobody_recorded_yet_is_recorded_by_the_question() {
    let world = real(&config(ONE, "")).await;
    for kind in ["CodePipeline Pipeline Execution State Change", "CodePipeline Stage Execution State Change"] {
        afflict(&world, kind, &EventFault::Never);
    }
    // Somebody starts the pipeline beside Pointsman.
    world.aws().ask("codepipeline", REGION, "StartPipelineExecution", json!({ "name": "shop" })).unwrap();
    world.pass(6 * MINUTE).await;
    let approval = only(&world).await;
    assert_eq!(approval.status(), "open", "{:?}", approval.state);
    let execution = world.execution(&approval.execution).await;
    assert_eq!(execution.environment.as_deref(), Some("production"), "the only one that it deploys to");
    assert!(!world.mails_to(BOB).is_empty());
    let page = world.open(&world.link_of(BOB)).await;
    assert!(page.body.contains("not knowable"), "nobody saw its push: {}", page.body);
}

#[tokio::test(start_paused = true)]
async fn a_parallel_pipeline_asks_for_each_execution_by_itself() {
    let world = real(&config(ONE, "")).await;
    let mut pipeline = world.aws().ask("codepipeline", REGION, "GetPipeline", json!({ "name": "shop" })).unwrap();
    pipeline["pipeline"]["executionMode"] = json!("PARALLEL");
    world.aws().ask("codepipeline", REGION, "UpdatePipeline", json!({ "pipeline": pipeline["pipeline"] })).unwrap();
    world.send("push", "d2", &strange_push("production", 1, 2, 1)).await;
    world.pass(5 * MINUTE).await;
    world.send("push", "d3", &strange_push("production", 2, 3, 1_000)).await;
    world.pass(5 * MINUTE).await;
    assert_eq!(world.approvals().await.len(), 2);
    let mails = world.mails_to(BOB);
    assert_eq!(mails.len(), 2);
    // The older one's link answers the older one, though the newer was asked last.
    let older = pointsman_tests::people::link_in(&mails[0].body);
    assert_eq!(world.approve(&older, &digits(3)).await.status, 422);
    assert_eq!(world.approve(&older, &digits(2)).await.status, 200);
    assert_eq!(world.reject(&world.link_of(BOB), &digits(3)).await.status, 200);
    world.pass(10 * MINUTE).await;
    let approvals = world.approvals().await;
    assert!(
        approvals.iter().all(|one| matches!(one.state, State::Decided { told: Told::Done { .. }, .. })),
        "{approvals:#?}"
    );
    let statuses: Vec<_> = world.executions().await.iter().map(|execution| execution.status).collect();
    assert_eq!(statuses, [Status::Failed, Status::Succeeded], "newest first");
}

#[tokio::test(start_paused = true)]
async fn in_a_freeze_nothing_is_approved_unless_somebody_overrides_it() {
    // The world begins at 12:00 UTC on the first of November.
    let freeze = "[environments.production.freeze]\noverride = \"product\"\n\
        windows = [{ from = \"2026-11-01T00:00\", to = \"2026-11-01T20:00\", timezone = \"Europe/London\" }]\n";
    let world = asking(ONE, freeze).await;
    let page = world.open(&world.link_of(BOB)).await;
    assert!(page.body.contains("Europe/London"), "until when, by the freeze's clocks: {}", page.body);
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 409);
    assert_eq!(world.mails_to(EVE).len(), 1, "who may override is asked too");
    let fields = |comment| [("sha", "0000002"), ("comment", comment), ("decision", "approve"), ("override", "yes")];
    assert_eq!(world.answer(&world.link_of(BOB), &fields("urgent")).await.status, 403, "Bob may not");
    assert_eq!(world.answer(&world.link_of(EVE), &fields("")).await.status, 422, "an override says why");
    assert_eq!(world.answer(&world.link_of(EVE), &fields("an outage")).await.status, 200);
    assert_eq!(only(&world).await.status(), "open", "an override is no approval");
    assert!(story(&world).await.contains(&"approval voted".to_owned()));
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 200);
    assert_eq!(only(&world).await.status(), "approved");
    let world = asking(ONE, freeze).await;
    assert_eq!(world.reject(&world.link_of(BOB), &digits(2)).await.status, 200, "a no is taken in a freeze");
    let world = asking(ONE, freeze).await;
    world.pass(8 * HOUR).await;
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 200, "after it nothing is in the way");
}

/// Whether the way into the deploy stage is open, and the reason if not.
fn way_in(world: &World) -> (bool, String) {
    let state = world.aws().ask("codepipeline", REGION, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let stages = state["stageStates"].as_array().unwrap();
    let stage = stages.iter().find(|stage| stage["stageName"] == "Deploy").unwrap();
    let way = &stage["inboundTransitionState"];
    (way["enabled"].as_bool().unwrap(), way["disabledReason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_a_freeze_closes_the_way_into_the_deploy_stage_and_opens_only_what_it_closed() {
    let freeze = "[environments.production.freeze]\n\
        windows = [{ from = \"2026-11-01T13:00\", to = \"2026-11-01T14:00\", timezone = \"UTC\" }]\n";
    let text = config("", freeze).replace("approval = \"expedited\"", "");
    let world = real(&text).await;
    world.pass(30 * MINUTE).await;
    assert!(way_in(&world).0, "half an hour before");
    world.pass(32 * MINUTE).await;
    let (is_open, reason) = way_in(&world);
    assert!(!is_open && reason.starts_with("Pointsman freeze of production"), "{reason}");
    world.send("push", "d2", &strange_push("production", 1, 2, 1)).await;
    world.pass(10 * MINUTE).await;
    assert_eq!(status(&world).await, Status::Running, "it waits at the way in");
    world.pass(50 * MINUTE).await;
    assert!(way_in(&world).0, "opened again");
    assert_eq!(status(&world).await, Status::Succeeded);

    // What a person closed stays closed; what a person opened in the freeze stays open.
    let change = |operation: &str, extra: &Value, world: &World| {
        let mut input = json!({ "pipelineName": "shop", "stageName": "Deploy", "transitionType": "Inbound" });
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        world.aws().ask("codepipeline", REGION, operation, input).unwrap();
    };
    let world = real(&text).await;
    change("DisableStageTransition", &json!({ "reason": "ours" }), &world);
    world.pass(3 * HOUR).await;
    assert_eq!(way_in(&world), (false, "ours".to_owned()));
    let world = real(&text).await;
    world.pass(65 * MINUTE).await;
    change("EnableStageTransition", &json!({}), &world);
    world.pass(10 * MINUTE).await;
    assert!(way_in(&world).0, "a person has opened it");
}

/// Inspector's word about an image, as EventBridge delivers it.
fn scanned(world: &World, digest: &str, critical: u64) {
    let event = json!({
        "source": "aws.inspector2", "detail-type": "Inspector2 Scan", "resources": [],
        "detail": {
            "scan-status": "INITIAL_SCAN_COMPLETE", "repository-name": "arn:aws:ecr:us-east-1:123456789012:repository/shop",
            "image-digest": digest, "image-tags": [],
            "finding-severity-counts": { "CRITICAL": critical, "HIGH": 0, "MEDIUM": 0, "TOTAL": critical },
        },
    });
    world.aws().tell(event.to_string().as_bytes()).unwrap();
}

fn found(world: &World, digest: &str, id: &str, status: &str) {
    let event = json!({
        "source": "aws.inspector2", "detail-type": "Inspector2 Finding", "resources": [],
        "detail": {
            "findingArn": format!("arn:aws:inspector2:us-east-1:123456789012:finding/{id}"), "severity": "CRITICAL",
            "status": status, "fixAvailable": "YES", "title": format!("{id} in a package"),
            "packageVulnerabilityDetails": { "vulnerabilityId": id },
            "resources": [{ "type": "AWS_ECR_CONTAINER_IMAGE", "details": { "awsEcrContainerImage": {
                "imageHash": digest, "repositoryName": "shop",
            } } }],
        },
    });
    world.aws().tell(event.to_string().as_bytes()).unwrap();
}

const GATE: &str = "[environments.production.gate]\nfindings = [\"CRITICAL\"]\nwait_for_scan = \"15m\"\n";

#[tokio::test(start_paused = true)]
async fn an_image_with_a_finding_does_not_pass_and_a_waiver_frees_it() {
    let world = asking(ONE, GATE).await;
    let digest = world.digest_of(&world.executions().await[0]);
    let missing = world.approve(&world.link_of(BOB), &digits(2)).await;
    assert_eq!(missing.status, 409, "the scan is not there yet");
    world.pass(20 * MINUTE).await;
    let approval = only(&world).await;
    assert!(approval.scan_missing_since.is_some(), "late by now");
    assert!(story(&world).await.contains(&"scan missing".to_owned()));
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 409, "and still needed");
    scanned(&world, &digest, 1);
    world.pass(5 * MINUTE).await;
    assert_eq!(
        world.approve(&world.link_of(BOB), &digits(2)).await.status,
        409,
        "one was counted, and nobody knows which"
    );
    found(&world, &digest, "CVE-2026-0001", "ACTIVE");
    world.pass(5 * MINUTE).await;
    let blocked = world.approve(&world.link_of(BOB), &digits(2)).await;
    assert_eq!(blocked.status, 409);
    assert!(blocked.body.contains("CVE-2026-0001"), "{}", blocked.body);
    let waived = format!(
        "{GATE}[[environments.production.gate.waivers]]\nid = \"CVE-2026-0001\"\nowner = \"ada@example.com\"\n\
         until = 2026-12-31\nreason = \"the parser is not built\"\n"
    );
    let mut local = world.local.clone();
    local.publish(&config(ONE, &waived), "pointsman.toml", &Default::default()).await.unwrap();
    let page = world.open(&world.link_of(BOB)).await;
    assert!(page.body.contains("the parser is not built"), "{}", page.body);
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 200);
    assert_eq!(only(&world).await.status(), "approved");
}

#[tokio::test(start_paused = true)]
async fn a_clean_scan_passes_and_a_finding_that_was_closed_blocks_nobody() {
    let world = asking(ONE, GATE).await;
    let digest = world.digest_of(&world.executions().await[0]);
    scanned(&world, &digest, 1);
    found(&world, &digest, "CVE-2026-0001", "ACTIVE");
    world.pass(5 * MINUTE).await;
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 409);
    world.pass(5 * MINUTE).await;
    found(&world, &digest, "CVE-2026-0001", "CLOSED");
    world.pass(5 * MINUTE).await;
    assert_eq!(world.approve(&world.link_of(BOB), &digits(2)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn no_link_and_no_token_stands_anywhere() {
    let world = asking(TWO, "").await;
    let token = token_of(&world);
    assert!(!token.is_empty());
    world.approve(&world.link_of(BOB), &digits(2)).await;
    world.approve(&world.link_of(EVE), &digits(2)).await;
    world.pass(10 * MINUTE).await;
    let mut secrets: Vec<String> = [ADA, BOB, CYD, EVE]
        .iter()
        .flat_map(|who| world.mails_to(who))
        .map(|mail| pointsman_tests::people::link_in(&mail.body))
        .collect();
    assert_eq!(secrets.len(), 4);
    secrets.push(token);
    let dump = world.dump();
    for secret in secrets {
        assert!(!dump.contains(&secret), "a table holds {secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_to_what_was_let_in_before_passes_without_votes() {
    use pointsman::ledger::{RollbackWith, Writes};
    let world = asking(ONE, "").await;
    world.approve(&world.link_of(BOB), &digits(2)).await;
    world.pass(10 * MINUTE).await;
    for (at, before, commit, sha_of_claim, passes) in
        [(1_000, 2, 3, 3, false), (2_000, 3, 2, 2, true), (3_000, 2, 4, 2, false)]
    {
        world.send("push", &format!("r{commit}"), &strange_push("production", before, commit, at)).await;
        // The claim stands before the question comes.
        world.pass(Duration::from_secs(2)).await;
        let execution = world.executions().await[0].clone();
        let claim = RollbackWith {
            incident: "in-1".into(),
            environment: "production".into(),
            sha: sha(sha_of_claim).parse().unwrap(),
            rollback: None,
        };
        world.local.ledger().save(Writes::new().rollback_with(&execution.id, &claim)).await.unwrap();
        world.pass(5 * MINUTE).await;
        let approval = &world.approvals().await[0];
        assert_eq!(approval.status(), if passes { "passed" } else { "open" }, "{commit}");
        if passes {
            let (status, summary) = asked(&world)[0].clone();
            assert_eq!(status, "Succeeded");
            assert!(
                summary.contains("rollback of in-1 to")
                    && summary.contains("approved on 2026-11-01 by bob@example.com"),
                "{summary}"
            );
        } else {
            world.reject(&world.link_of(BOB), &digits(commit)).await;
            world.pass(10 * MINUTE).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_more_mails_in_a_second_than_sns_takes() {
    let world = real(&config(ONE, "")).await;
    let ledger = world.local.ledger();
    let now = world.aws().clock().now();
    for (second, count, sent) in [(0, 7, 5), (1, 5, 5), (1, 1, 0), (2, 1, 1)] {
        let at = now + jiff::SignedDuration::from_secs(second);
        let mut taken = 0;
        for _ in 0..count {
            taken += usize::from(ledger.take_mail_turn(BOB, 5, at).await.unwrap());
        }
        assert_eq!(taken, sent, "second {second}");
        assert!(ledger.take_mail_turn(EVE, 5, at).await.unwrap(), "everybody has turns of their own");
    }
}
