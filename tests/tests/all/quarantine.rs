//! A commit that was bad in an environment is kept out of it: when it is pushed again, when its start was planned before,
//! by hand, and at an approval. Until a person lifts it.

use crate::approvals::{ADA, ONE, asking, digits};
use crate::journeys::SHOP;
use pointsman::domain::execution::{Kind, Status};
use pointsman::domain::quarantine::{Lifted, Quarantine};
use pointsman::ledger::{Loaded, Writes};
use pointsman_local::faults::Fault;
use pointsman_local::runner::REGION;
use pointsman_tests::payloads::{push, sha};
use pointsman_tests::world::World;
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Puts a commit in quarantine, as a rollback does.
async fn quarantine(world: &World, environment: &str, commit: u64) {
    let now = world.aws().clock().now();
    let new = Quarantine {
        environment: environment.into(),
        sha: sha(commit).parse().unwrap(),
        since: now,
        by: "rollback".into(),
        reason: "shop-errors went red".into(),
        incident: Some("in-77".into()),
        lifted: None,
    };
    let ledger = world.local.ledger();
    let quarantine = match ledger.quarantine(environment, &new.sha).await.unwrap() {
        Some(mut known) => {
            assert!(known.value.renew(new));
            known
        }
        None => Loaded::absent(new),
    };
    ledger.save(Writes::new().quarantine(&quarantine)).await.unwrap();
}

async fn lift(world: &World, environment: &str, commit: u64) {
    let ledger = world.local.ledger();
    let mut known = ledger.quarantine(environment, &sha(commit).parse().unwrap()).await.unwrap().unwrap();
    let at = world.aws().clock().now();
    assert!(known.value.lift(Lifted { at, by: "ada@example.com".into(), reason: "it was the database".into() }));
    ledger.save(Writes::new().quarantine(&known)).await.unwrap();
}

/// What is said of a commit that an environment keeps out.
fn refusal(environment: &str, commit: u64) -> String {
    format!(
        "quarantined: {} is kept out of {environment} (in-77); \
         `pointsman quarantine lift {environment} {} --reason …` lifts it",
        digits(commit),
        sha(commit)
    )
}

/// Lets the next start be refused for want of room: it is planned, and AWS is asked again a minute later.
fn fill(world: &World) {
    let full = Fault::Refuse { code: "ConcurrentPipelineExecutionsLimitExceededException".to_owned(), status: 400 };
    world.aws().faults().next("codepipeline", "StartPipelineExecution", full);
}

#[tokio::test(start_paused = true)]
async fn pushed_again_it_is_ignored_until_it_is_lifted() {
    let world = World::with_config(SHOP).await;
    world.send("push", "first", &push("main", 1, 2, 1)).await;
    world.settle().await;
    quarantine(&world, "dev", 2).await;
    world.send("push", "revert", &push("main", 2, 3, 2)).await;
    world.settle().await;
    let again = push("main", 3, 2, 3);
    world.send("push", "again", &again).await;
    world.settle().await;
    assert_eq!(world.outcome("again").await, ("ignored".to_owned(), refusal("dev", 2)));
    assert_eq!(world.outcome("revert").await.0, "executed", "another commit is nobody's business");
    assert_eq!(world.executions().await.len(), 2, "nothing is recorded that was never to start");

    lift(&world, "dev", 2).await;
    world.send("push", "again", &again).await;
    world.settle().await;
    assert_eq!(world.outcome("again").await.0, "ignored", "what was ignored stays ignored");
    world.send("push", "away", &push("main", 2, 4, 4)).await;
    world.settle().await;
    world.send("push", "back", &push("main", 4, 2, 5)).await;
    world.settle().await;
    assert_eq!(world.outcome("back").await, ("executed".to_owned(), String::new()));
    assert_eq!(world.commits("dev"), [2, 3, 4, 2]);

    quarantine(&world, "dev", 2).await;
    world.send("push", "once-more", &push("main", 2, 5, 6)).await;
    world.send("push", "and-back", &push("main", 5, 2, 7)).await;
    world.settle().await;
    assert_eq!(world.outcome("and-back").await, ("ignored".to_owned(), refusal("dev", 2)), "a later incident");
    assert_eq!(world.commits("dev"), [2, 3, 4, 2, 5]);
}

/// Two routes for one push.
const WIDE: &str = r#"
version = 1
[environments.dev]
deploys = [{ region = "us-east-1", pipeline = "dev", stage = "Deploy" }]
[environments.production]
deploys = [{ region = "us-east-1", pipeline = "production", stage = "Deploy" }]
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "dev"
environment = "dev"
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
pipeline = "production"
environment = "production"
"#;

#[tokio::test(start_paused = true)]
async fn only_the_environment_that_it_was_bad_in_keeps_it_out() {
    let world = World::with_config(WIDE).await;
    quarantine(&world, "production", 2).await;
    quarantine(&world, "production", 3).await;
    quarantine(&world, "dev", 3).await;
    world.send("push", "one", &push("main", 1, 2, 1)).await;
    world.settle().await;
    assert_eq!(
        world.outcome("one").await,
        ("executed".to_owned(), refusal("production", 2)),
        "it names the one left out"
    );
    assert_eq!(world.delivery("one").await.unwrap().plan.len(), 1);
    world.send("push", "none", &push("main", 2, 3, 2)).await;
    world.settle().await;
    let both = format!("{}; {}", refusal("dev", 3), refusal("production", 3));
    assert_eq!(world.outcome("none").await, ("ignored".to_owned(), both));
    world.send("push", "all", &push("main", 3, 4, 3)).await;
    world.settle().await;
    assert_eq!(world.outcome("all").await, ("executed".to_owned(), String::new()));
    assert_eq!((world.commits("dev"), world.commits("production")), (vec![2, 4], vec![4]));
}

#[tokio::test(start_paused = true)]
async fn what_was_planned_before_is_refused_right_before_the_ask() {
    let world = World::with_config(SHOP).await;
    fill(&world);
    let payload = push("main", 1, 2, 1);
    world.send("push", "waits", &payload).await;
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(world.outcome("waits").await.0, "received");
    quarantine(&world, "dev", 2).await;
    world.pass(3 * MINUTE).await;
    let (status, reason) = world.outcome("waits").await;
    assert_eq!(status, "failed");
    assert!(reason.ends_with(&refusal("dev", 2)), "{reason}");
    assert_eq!(world.executions().await[0].status, Status::Failed);
    let chain = world.local.ledger().chain(&format!("execution#{}", world.executions().await[0].id)).await.unwrap();
    assert_eq!(chain.last().unwrap().what, "start refused");

    world.send("push", "waits", &payload).await;
    world.settle().await;
    assert_eq!(world.outcome("waits").await, (status, reason), "GitHub's redelivery does not start it either");
    assert!(world.commits("dev").is_empty());
    lift(&world, "dev", 2).await;
    world.send("push", "waits", &payload).await;
    world.settle().await;
    assert_eq!(world.outcome("waits").await.0, "executed", "now it does");
    assert_eq!(world.commits("dev"), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_start_is_not_asked_for_again() {
    let world = World::with_config(SHOP).await;
    world.aws().faults().next("codepipeline", "StartPipelineExecution", Fault::LoseBefore);
    world.send("push", "lost", &push("main", 1, 2, 1)).await;
    world.pass(MINUTE).await;
    quarantine(&world, "dev", 2).await;
    world.pass(20 * MINUTE).await;
    let (status, reason) = world.outcome("lost").await;
    assert_eq!(status, "failed");
    assert!(reason.ends_with(&refusal("dev", 2)), "{reason}");
    assert!(world.commits("dev").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_turns_a_version_back_is_not_asked_about_it() {
    let world = World::with_config(SHOP).await;
    fill(&world);
    world.send("push", "waits", &push("main", 1, 2, 1)).await;
    world.pass(Duration::from_secs(5)).await;
    quarantine(&world, "dev", 2).await;
    let ledger = world.local.ledger();
    let mut execution = ledger.execution(&world.executions().await[0].id).await.unwrap().unwrap();
    execution.value.kind = Kind::Rollback;
    ledger.save(Writes::new().execution(&execution)).await.unwrap();
    world.pass(3 * MINUTE).await;
    assert_eq!(world.commits("dev"), [2], "its target was chosen with that in view");
}

#[tokio::test(start_paused = true)]
async fn by_hand_it_is_not_started_either() {
    let world = World::with_config(SHOP).await;
    let route = world.local.ledger().routes_of("acme/shop").await.unwrap().routes.unwrap().routes[0].name.clone();
    let start = |id: &str| {
        let command = json!({
            "manual": id, "repository": "acme/shop", "route": route, "sha": sha(2), "reason": "try it again",
        });
        let queue = "https://sqs.us-east-1.amazonaws.com/123456789012/pointsman-changes.fifo";
        let input = json!({
            "QueueUrl": queue, "MessageBody": command.to_string(), "MessageGroupId": "m", "MessageDeduplicationId": id,
        });
        world.aws().ask("sqs", REGION, "SendMessage", input).unwrap();
    };
    quarantine(&world, "dev", 2).await;
    start("manual-1");
    world.settle().await;
    assert_eq!(world.outcome("manual-1").await, ("ignored".to_owned(), refusal("dev", 2)));
    lift(&world, "dev", 2).await;
    start("manual-2");
    world.settle().await;
    assert_eq!(world.outcome("manual-2").await.0, "executed");
    assert_eq!(world.commits("dev"), [2]);
}

#[tokio::test(start_paused = true)]
async fn an_open_approval_of_it_takes_no_yes_until_it_is_lifted() {
    let world = asking(ONE, "").await;
    quarantine(&world, "production", 2).await;
    let told = format!("{} was turned back here in in-77: lift its quarantine first", digits(2));
    let page = world.open(&world.link_of(ADA)).await;
    assert!(page.body.contains(&told), "{}", page.body);
    let refused = world.approve(&world.link_of(ADA), &digits(2)).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    let approvals = world.approvals().await;
    assert_eq!((approvals[0].status(), approvals[0].votes.len()), ("open", 0));

    lift(&world, "production", 2).await;
    assert!(!world.open(&world.link_of(ADA)).await.body.contains(&told));
    assert_eq!(world.approve(&world.link_of(ADA), &digits(2)).await.status, 200);
    world.pass(10 * MINUTE).await;
    assert_eq!(world.executions().await[0].status, Status::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn an_open_approval_of_it_still_takes_a_no() {
    let world = asking(ONE, "").await;
    quarantine(&world, "production", 2).await;
    assert_eq!(world.reject(&world.link_of(ADA), &digits(2)).await.status, 200);
    world.pass(10 * MINUTE).await;
    assert_eq!(world.approvals().await[0].status(), "rejected");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_them_holds_the_lifted_ones_too() {
    let world = World::with_config(SHOP).await;
    for commit in 2..150 {
        quarantine(&world, "dev", commit).await;
    }
    quarantine(&world, "dev-2", 500).await;
    lift(&world, "dev", 2).await;
    let ledger = world.local.ledger();
    let all = ledger.quarantines("dev", 1_000).await.unwrap();
    assert_eq!((all.len(), all.iter().filter(|one| !one.is_in_force()).count()), (148, 1), "more than a page");
    assert!(all.is_sorted_by_key(|one| one.sha.to_string()));
    assert_eq!(ledger.quarantines("dev", 3).await.unwrap(), all[..3]);
    assert_eq!(ledger.quarantines("nowhere", 3).await.unwrap(), []);
}
