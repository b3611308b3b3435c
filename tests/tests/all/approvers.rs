//! Journeys of an approver's mail: asked, confirmed, lost, found again; and never read by anybody else.

use pointsman::approvers::{Report, SyncOptions, live_people, sync};
use pointsman::aws::sns::{Topics, Undelivered};
use pointsman::domain::approver::{Reach, Step};
use pointsman_local::aws::{Behaviour, Call, Pace};
use pointsman_local::faults::Fault;
use pointsman_local::runner::{Options, REGION};
use pointsman_tests::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// One person in two groups, one in one.
const PEOPLE: &str = r#"
version = 1
[approvers.devops]
members = [{ email = "ada@example.com", github = "ada" }, { email = "grace@example.com" }]
[approvers.product]
members = [{ email = "Ada@example.com" }]
[environments.production]
deploys = [{ region = "us-east-1", pipeline = "production", stage = "Deploy" }]
approval = { require = { devops = 1, product = 1 } }
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["production"]
pipeline = "production"
environment = "production"
"#;

const ADA: &str = "ada@example.com";
const EVE: &str = "eve@example.com";
/// Longer than `sweep` takes to look at everybody again.
const AN_HOUR: Duration = Duration::from_secs(61 * 60);

fn options(strict: bool) -> Options {
    let behaviour = Behaviour { strict, pace: Pace::Real, ..Behaviour::default() };
    Options { behaviour, config: Some(PEOPLE.to_owned()), ..Options::default() }
}

/// A world in which people have to confirm, or one in which they have.
async fn world(strict: bool) -> World {
    World::start(options(strict)).await
}

async fn synced(world: &World, options: &SyncOptions) -> Report {
    let (_, people) = live_people(&world.local.ledger(), REGION).await.unwrap().unwrap();
    sync(&world.local.topics(), people, options).await.unwrap()
}

fn sns(world: &World, operation: &str, input: Value) -> Value {
    world.aws().ask("sns", REGION, operation, input).unwrap()
}

/// Puts somebody on a topic.
fn subscribe(world: &World, topic: &str, endpoint: &str) -> String {
    let input = json!({
        "TopicArn": topic, "Protocol": "email", "Endpoint": endpoint, "ReturnSubscriptionArn": true,
    });
    sns(world, "Subscribe", input)["SubscriptionArn"].as_str().unwrap().to_owned()
}

/// The subjects of the mail to one address.
fn subjects(world: &World, to: &str) -> Vec<String> {
    world.aws().sns().mail().into_iter().filter(|mail| mail.to == to).map(|mail| mail.subject).collect()
}

/// The token of the newest mail to one address that has one.
fn token(world: &World, to: &str) -> String {
    let bodies = world.aws().sns().mail().into_iter().rev().filter(|mail| mail.to == to).map(|mail| mail.body);
    let mut found = bodies.filter_map(|body| Some(body.split_once("&Token=")?.1.split('&').next()?.to_owned()));
    found.next().unwrap_or_else(|| panic!("no mail to {to} has a token"))
}

/// What whoever has one of the mails does by following its last link.
fn unsubscribe_by_link(world: &World, topics: &Topics, email: &str) -> Result<(), String> {
    let listed = sns(world, "ListSubscriptionsByTopic", json!({ "TopicArn": topics.arn(email) }));
    let call = Call {
        operation: "Unsubscribe".to_owned(),
        region: REGION.to_owned(),
        caller: "anonymous".to_owned(),
        input: json!({ "SubscriptionArn": listed["Subscriptions"][0]["SubscriptionArn"] }),
        now: world.aws().clock().now(),
    };
    world.aws().call("sns", &call).map(drop).map_err(|failure| failure.code)
}

/// Whom the last look of `sweep` names.
async fn named(world: &World) -> Vec<(String, Reach)> {
    let check = world.local.ledger().approver_check().await.unwrap().unwrap().value;
    check.unreachable.into_iter().map(|one| (one.email, one.reach)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fresh_account_can_mail_everybody_and_a_second_sync_has_nothing_to_do() {
    let world = world(false).await;
    let topics = world.local.topics();
    let before = world.aws().sns().mail().len();
    for _ in 0..2 {
        let report = synced(&world, &SyncOptions::default()).await;
        assert_eq!(report.people.len(), 2, "one person in two groups is one person");
        assert!(report.people.iter().all(|synced| synced.steps.is_empty() && synced.standing.reach.is_reached()));
        assert!(report.surplus.is_empty());
    }
    assert_eq!(topics.all().await.unwrap().len(), 2);
    assert_eq!(world.aws().sns().mail().len(), before, "nobody is asked twice");
    topics.deliver(ADA, "Approve production", "https://x.example/approvals/link").await.unwrap();
    world.settle().await;
    assert_eq!(subjects(&world, ADA), ["Approve production"]);
    assert!(subjects(&world, "grace@example.com").is_empty(), "a link is for one person");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_to_a_topic_that_anybody_else_is_on() {
    for strict in [false, true] {
        let world = world(strict).await;
        let topics = world.local.topics();
        if strict {
            topics.confirm(ADA, &token(&world, ADA)).await.unwrap();
        }
        topics.deliver(ADA, "before", "link 1").await.unwrap();
        // Where people have to confirm, hers waits: it may be confirmed at any moment.
        subscribe(&world, &topics.arn(ADA), EVE);
        let refused = topics.deliver(ADA, "after", "link 2").await;
        assert_eq!(refused, Err(Undelivered::Unreachable(Reach::Shared { others: 1 })), "strict: {strict}");
        world.settle().await;
        assert_eq!(subjects(&world, ADA).last().unwrap(), "before", "not even to whom it belongs");
        let bodies = world.aws().sns().mail().into_iter().map(|mail| mail.body);
        assert!(bodies.into_iter().all(|body| !body.contains("link 2")));
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_subscription_is_ended_only_where_that_is_asked_for() {
    let world = world(false).await;
    let topics = world.local.topics();
    let arn = subscribe(&world, &topics.arn(ADA), EVE);
    let kept = synced(&world, &SyncOptions::default()).await;
    assert_eq!(kept.people[0].standing.reach, Reach::Shared { others: 1 });
    assert!(kept.people[0].steps.is_empty(), "reported, and left alone");
    let options = SyncOptions { remove_others: true, ..SyncOptions::default() };
    let dry = synced(&world, &SyncOptions { is_dry_run: true, ..options.clone() }).await;
    assert!(matches!(&dry.people[0].steps[..], [Step::End(one)] if one.arn.as_deref() == Some(arn.as_str())));
    assert_eq!(dry.people[0].standing.reach, Reach::Shared { others: 1 }, "a dry run does nothing");
    let removed = synced(&world, &options).await;
    assert!(removed.people[0].standing.reach.is_reached());
    topics.deliver(ADA, "again", "link").await.unwrap();
    world.settle().await;
    assert!(subjects(&world, EVE).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_was_unsubscribed_is_named_within_the_hour_and_found_again() {
    let world = world(true).await;
    let topics = world.local.topics();
    for email in [ADA, "grace@example.com"] {
        topics.confirm(email, &token(&world, email)).await.unwrap();
    }
    world.pass(AN_HOUR).await;
    assert!(named(&world).await.is_empty());
    assert_eq!(unsubscribe_by_link(&world, &topics, ADA), Err("AuthorizationError".to_owned()), "she signed");
    let listed = sns(&world, "ListSubscriptionsByTopic", json!({ "TopicArn": topics.arn(ADA) }));
    sns(&world, "Unsubscribe", json!({ "SubscriptionArn": listed["Subscriptions"][0]["SubscriptionArn"] }));
    // The second time she only follows the link.
    synced(&world, &SyncOptions::default()).await;
    sns(&world, "ConfirmSubscription", json!({ "TopicArn": topics.arn(ADA), "Token": token(&world, ADA) }));
    assert!(topics.reach(ADA).await.unwrap().is_reached());
    unsubscribe_by_link(&world, &topics, ADA).unwrap();
    let refused = topics.deliver(ADA, "s", "link").await;
    assert_eq!(refused, Err(Undelivered::Unreachable(Reach::NoSubscription)));
    world.pass(AN_HOUR).await;
    assert_eq!(named(&world).await, [(ADA.to_owned(), Reach::NoSubscription)]);

    let report = synced(&world, &SyncOptions::default()).await;
    assert_eq!(report.people[0].steps, [Step::Ask]);
    topics.confirm(ADA, &token(&world, ADA)).await.unwrap();
    let report = synced(&world, &SyncOptions::default()).await;
    assert_eq!(report.people[0].standing.reach, Reach::Reached { is_authenticated: Some(true) });
    world.pass(Duration::from_secs(12 * 60)).await;
    assert!(named(&world).await.is_empty(), "who was lost is looked at again soon");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_confirm_is_forgotten_after_two_days_and_asked_again() {
    // Two days of turns of `sweep` would take long, and nobody looks at them here.
    let world = World::start(Options { reaper: Some(Arc::new(|_| Some(Duration::ZERO))), ..options(true) }).await;
    let topics = world.local.topics();
    assert_eq!(topics.reach(ADA).await.unwrap(), Reach::Pending);
    assert_eq!(subjects(&world, ADA).len(), 1);
    assert!(synced(&world, &SyncOptions::default()).await.people[0].steps.is_empty(), "asked already");
    world.pass(Duration::from_secs(48 * 3_600 + 60)).await;
    assert_eq!(topics.reach(ADA).await.unwrap(), Reach::NoSubscription);
    assert_eq!(synced(&world, &SyncOptions::default()).await.people[0].steps, [Step::Ask]);
    let again = SyncOptions { again: vec!["ADA@example.com".to_owned()], ..SyncOptions::default() };
    let report = synced(&world, &again).await;
    assert_eq!(report.people.iter().map(|synced| synced.steps.len()).collect::<Vec<_>>(), [1, 0], "only her");
    assert_eq!(subjects(&world, ADA).len(), 3);
    topics.confirm(ADA, &token(&world, ADA)).await.unwrap();
    assert!(synced(&world, &again).await.people[0].steps.is_empty(), "there is nothing left to ask");
}

#[tokio::test(start_paused = true)]
async fn who_followed_the_link_can_be_protected_afterwards() {
    let world = world(true).await;
    let topics = world.local.topics();
    let link = token(&world, ADA);
    sns(&world, "ConfirmSubscription", json!({ "TopicArn": topics.arn(ADA), "Token": link }));
    let standing = synced(&world, &SyncOptions::default()).await.people.remove(0).standing;
    assert_eq!(standing.reach, Reach::Reached { is_authenticated: Some(false) });
    let again = SyncOptions { again: vec![ADA.to_owned()], ..SyncOptions::default() };
    let report = synced(&world, &again).await;
    assert!(matches!(&report.people[0].steps[..], [Step::End(_), Step::Ask]), "{:?}", report.people[0].steps);
    assert_eq!(report.people[0].standing.reach, Reach::Pending);
    topics.confirm(ADA, &token(&world, ADA)).await.unwrap();
    unsubscribe_by_link(&world, &topics, ADA).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_configuration_keeps_their_topic_until_it_is_pruned() {
    let mut world = world(false).await;
    let topics = world.local.topics();
    let gone = PEOPLE.replace(r#", { email = "grace@example.com" }"#, "").replace(", product = 1", "");
    world.local.publish(&gone, "pointsman.toml", &BTreeSet::new()).await.unwrap();
    let report = synced(&world, &SyncOptions { prune: true, is_dry_run: true, ..SyncOptions::default() }).await;
    let surplus: Vec<_> = report.surplus.iter().map(|one| (one.topic.clone(), one.endpoints.len())).collect();
    assert_eq!(surplus, [(topics.arn("grace@example.com"), 1)]);
    assert_eq!(topics.all().await.unwrap().len(), 2, "a dry run deletes nothing");
    // A topic that only begins like ours is somebody else's business.
    sns(&world, "CreateTopic", json!({ "Name": "pointsman-approver-list" }));
    synced(&world, &SyncOptions { prune: true, ..SyncOptions::default() }).await;
    assert_eq!(topics.all().await.unwrap(), [topics.arn(ADA)]);
    let topics = sns(&world, "ListTopics", json!({}))["Topics"].as_array().unwrap().len();
    assert_eq!(topics, 4, "Ada's, somebody else's, the one that CodePipeline notifies, and that of incidents");
}

#[tokio::test(start_paused = true)]
async fn however_sending_fails_the_error_holds_nothing_of_the_mail() {
    let refuse = |code: &str, status| Fault::Refuse { code: code.to_owned(), status };
    #[rustfmt::skip]
    let cases = [
        // fault, for each attempt                          mails  is sent
        (vec![Fault::LoseAfter],                            2,     true,  "a lost reply: the SDK sends it again"),
        (vec![Fault::LoseBefore],                           1,     true,  "a lost request"),
        (vec![Fault::LoseAfter; 3],                         3,     false, "every reply is lost"),
        (vec![Fault::Silent; 3],                            2,     false, "nothing comes, until time is over"),
        (vec![Fault::Throttle; 3],                          0,     false, "too fast"),
        (vec![refuse("InternalError", 500); 3],             0,     false, "SNS has trouble of its own"),
        (vec![refuse("AuthorizationError", 403)],           0,     false, "we may not"),
        (vec![refuse("NotFound", 404)],                     0,     false, "deleted since it was looked at"),
    ];
    for (faults, mails, is_sent, why) in cases {
        let world = world(false).await;
        for fault in faults {
            world.aws().faults().next("sns", "Publish", fault);
        }
        let outcome = world.local.topics().deliver(ADA, "a subject", "https://x.example/approvals/s3cret").await;
        world.settle().await;
        assert_eq!((subjects(&world, ADA).len(), outcome.is_ok()), (mails, is_sent), "{why}: {outcome:?}");
        if let Err(error) = outcome {
            let text = format!("{error} {error:?}");
            assert!(!text.contains("s3cret") && !text.contains("subject"), "{why}: {text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_a_reaction() {
    let world = world(false).await;
    let topics = world.local.topics();
    let fail = async |operation: &str, fault: Fault, times: usize| {
        for _ in 0..times {
            world.aws().faults().next("sns", operation, fault.clone());
        }
        topics.deliver(ADA, "s", "b").await.unwrap_err()
    };
    let refuse = |code: &str| Fault::Refuse { code: code.to_owned(), status: 403 };
    assert!(matches!(fail("Publish", Fault::Throttle, 3).await, Undelivered::Throttled(_)));
    assert!(matches!(fail("Publish", Fault::LoseBefore, 3).await, Undelivered::Lost(_)));
    assert!(matches!(fail("Publish", refuse("AuthorizationError"), 1).await, Undelivered::Refused(_)));
    assert!(matches!(fail("Publish", refuse("NotFound"), 1).await, Undelivered::Unreachable(Reach::NoTopic)));
    // Who is on the topic must be known, or nothing is sent.
    assert!(matches!(fail("ListSubscriptionsByTopic", Fault::LoseBefore, 3).await, Undelivered::Lost(_)));
    assert!(matches!(fail("ListSubscriptionsByTopic", refuse("AuthorizationError"), 1).await, Undelivered::Refused(_)));
    world.settle().await;
    assert!(subjects(&world, ADA).is_empty());
    let nobody = topics.deliver("nobody@example.com", "s", "b").await;
    assert_eq!(nobody, Err(Undelivered::Unreachable(Reach::NoTopic)));
}

#[tokio::test(start_paused = true)]
async fn a_mail_is_as_long_as_sns_takes_it_and_not_cut() {
    let world = world(false).await;
    let topics = world.local.topics();
    topics.deliver(ADA, &"long ".repeat(100), &"x".repeat(262_144)).await.unwrap();
    let refused = topics.deliver(ADA, "s", &"x".repeat(262_145)).await;
    assert!(matches!(refused, Err(Undelivered::Refused(_))), "{refused:?}");
    world.settle().await;
    assert_eq!(subjects(&world, ADA).iter().map(String::len).collect::<Vec<_>>(), [99]);
}

#[tokio::test(start_paused = true)]
async fn too_much_mail_in_a_second_is_noticed() {
    let world = world(false).await;
    let topics = world.local.topics();
    for _ in 0..11 {
        topics.deliver(ADA, "s", "b").await.unwrap();
    }
    world.settle().await;
    let refused = topics.deliver(ADA, "s", "b").await;
    assert_eq!(refused, Err(Undelivered::Unreachable(Reach::Pending)), "SNS wants it confirmed again");
    world.pass(AN_HOUR).await;
    assert_eq!(named(&world).await, [(ADA.to_owned(), Reach::Pending)]);
}
