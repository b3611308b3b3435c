//! Who wrote what: from pushes as GitHub sends them to the chain between two commits.

use crate::journeys::SHOP;
use pointsman::authors::authors_since;
use pointsman::domain::authors::Authors;
use pointsman::domain::change::{ChangeKind, Sha};
use pointsman::domain::starter::Starter;
use pointsman_local::aws::Call;
use pointsman_local::runner::REGION;
use pointsman_tests::payloads::{REPOSITORY, REPOSITORY_ID, push, pushed_by, sha, tag, with_commits};
use pointsman_tests::world::World;
use serde_json::{Value, json};

/// Its production has two policies, and a route that names the lighter one.
const POLICIES: &str = r#"
version = 1
[approvers.devops]
members = [{ email = "ada@example.com", github = "ada" }]
[environments.production]
deploys = [{ region = "us-east-1", pipeline = "production", stage = "Deploy" }]
approval = { require = { devops = 1 } }
approvals.expedited = { require = { devops = 1 } }
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["production"]
pipeline = "production"
environment = "production"
[[routes]]
name = "hotfix"
repository = "acme/shop"
on = "push"
branch = ["hotfix/*"]
pipeline = "production"
environment = "production"
approval = "expedited"
"#;

fn commit(number: u64) -> Sha {
    sha(number).parse().unwrap()
}

async fn authors(world: &World, live: Option<u64>, candidate: u64) -> Authors {
    let live = live.map(commit);
    authors_since(&world.local.ledger(), REPOSITORY_ID, live.as_ref(), &commit(candidate)).await.unwrap()
}

/// The logins of authors and committers, of pushers, the numbers of the commits, and the gap.
fn told(authors: &Authors) -> (String, String, Vec<u64>, String) {
    let logins = |people: &[pointsman::domain::change::Person]| {
        people.iter().filter_map(|person| person.login.clone()).collect::<Vec<_>>().join(" ")
    };
    let numbers =
        authors.commits.iter().map(|commit| pointsman_tests::payloads::number_of(commit.sha.as_str())).collect();
    let gap = authors.gap.as_ref().map(ToString::to_string).unwrap_or_default();
    (logins(&authors.people), logins(&authors.pushers), numbers, gap)
}

async fn send_all(world: &World, pushes: &[(&str, Value)]) {
    for (delivery, payload) in pushes {
        assert_eq!(world.send("push", delivery, payload).await, 202, "{delivery}");
    }
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn pushes_become_a_chain_whether_they_start_anything_or_not() {
    let world = World::with_config(SHOP).await;
    let merge =
        with_commits(push("main", 20, 24, 2), &[(22, "grace", "grace"), (23, "eve", "ada"), (24, "ada", "web-flow")]);
    let pushes = [
        ("first", with_commits(push("main", 10, 20, 1), &[(20, "linus", "linus")])),
        ("merge", pushed_by(merge, "grace")),
        // No route is for this branch.
        ("ignored", pushed_by(with_commits(push("feature", 24, 25, 3), &[(25, "barbara", "barbara")]), "barbara")),
        ("promoted", with_commits(push("production", 25, 26, 4), &[(26, "ada", "web-flow")])),
        ("again", with_commits(push("production", 25, 26, 4), &[(26, "ada", "web-flow")])),
    ];
    send_all(&world, &pushes).await;
    assert_eq!(world.outcome("ignored").await.0, "ignored");
    assert_eq!(world.outcome("again").await.0, "ignored", "a duplicate");
    let chain = |people: &str, pushers: &str, commits: &[u64], gap: &str| {
        (people.to_owned(), pushers.to_owned(), commits.to_vec(), gap.to_owned())
    };
    #[rustfmt::skip]
    let cases = [
        (Some(20), 26, chain("ada barbara eve grace", "ada barbara grace", &[26, 25, 24, 23, 22], ""), "on three branches"),
        (Some(25), 26, chain("ada", "ada", &[26], ""), "the last push"),
        (Some(26), 26, chain("", "", &[], ""), "nothing new"),
        (None,     26, chain("ada", "ada", &[26], ""), "nothing is live yet"),
        (Some(9),  24, chain("ada eve grace linus", "ada grace", &[24, 23, 22, 20], "no push that ended at 000000a is recorded"), "live before the records began"),
        (Some(20), 23, chain("", "", &[], "no push that ended at 0000017 is recorded"), "a commit in the middle of a push"),
    ];
    for (live, candidate, expected, why) in cases {
        assert_eq!(told(&authors(&world, live, candidate).await), expected, "{why}");
    }
    let known = authors(&world, Some(20), 26).await;
    assert!(known.is_one_of_them("eve@example.com", None) && known.is_one_of_them("x@example.com", Some("Barbara")));
    assert!(!known.is_one_of_them("linus@example.com", Some("linus")), "his commit is live already");
    let ChangeKind::Push(kept) = world.delivery("merge").await.unwrap().change.kind else { panic!("a push") };
    assert_eq!(kept.listed, None, "the delivery's record does not keep it twice");
}

#[tokio::test(start_paused = true)]
async fn what_a_push_does_not_tell_is_said() {
    let world = World::with_config(SHOP).await;
    let mut forced = push("main", 2, 3, 2);
    forced["forced"] = json!(true);
    let created = push("production", 0, 5, 3);
    send_all(&world, &[("plain", push("main", 1, 2, 1)), ("forced", forced), ("created", created)]).await;
    send_all(&world, &[("tagged", tag("v1", 1_000, 2, 4)), ("deleted", push("production", 5, 0, 5))]).await;
    let gap = async |live, candidate| told(&authors(&world, live, candidate).await).3;
    assert_eq!(gap(Some(1), 3).await, "the push from 0000002 to 0000003 was forced");
    assert_eq!(gap(None, 5).await, "the push that ended at 0000005 made a new ref");
    assert_eq!(gap(Some(1), 2).await, "", "the tag tells nothing, the branch does");
    let tagged = world.local.ledger().pushes_to(REPOSITORY_ID, &commit(2)).await.unwrap();
    let refs: Vec<_> = tagged.iter().map(|push| push.git_ref.to_string()).collect();
    assert_eq!(refs, ["refs/tags/v1", "refs/heads/main"], "an annotated tag ends at its commit; the newest first");
    let gone = world.local.ledger().pushes_to(REPOSITORY_ID, &Sha::ZERO.parse().unwrap()).await.unwrap();
    assert_eq!(gone, [], "a deletion ends nowhere");
}

#[tokio::test(start_paused = true)]
async fn an_execution_knows_its_policy_and_who_started_it() {
    let world = World::with_config(POLICIES).await;
    send_all(&world, &[("usual", push("production", 1, 2, 1)), ("urgent", push("hotfix/till", 2, 3, 2))]).await;
    let queue = json!({ "QueueName": "pointsman-changes.fifo" });
    let url = world.aws().ask("sqs", REGION, "GetQueueUrl", queue).unwrap()["QueueUrl"].clone();
    let command =
        json!({ "manual": "manual-1", "repository": REPOSITORY, "route": "hotfix", "sha": sha(3), "reason": "again" });
    let message = json!({
        "QueueUrl": url, "MessageBody": command.to_string(), "MessageGroupId": "manual", "MessageDeduplicationId": "1",
    });
    let send = Call {
        operation: "SendMessage".to_owned(),
        region: REGION.to_owned(),
        // As SQS names a session of a role.
        caller: "AROAEXAMPLEEXAMPLE001:grace@example.com".to_owned(),
        input: message,
        now: world.aws().clock().now(),
    };
    world.aws().call("sqs", &send).unwrap();
    world.settle().await;
    // Those of one moment are listed in no order.
    let mut found: Vec<_> = world
        .executions()
        .await
        .iter()
        .rev()
        .map(|one| {
            (one.approval.clone(), one.is_by_hand, Starter::of_execution(one), one.repository.as_ref().unwrap().id)
        })
        .collect();
    found.sort_by_key(|(policy, is_by_hand, _, _)| (*is_by_hand, policy.clone()));
    let expedited = Some("expedited".to_owned());
    let expected = [
        (None, false, Starter::Login("ada".to_owned()), REPOSITORY_ID),
        (expedited.clone(), false, Starter::Login("ada".to_owned()), REPOSITORY_ID),
        (expedited, true, Starter::Named { name: "grace@example.com".to_owned(), is_proven: false }, REPOSITORY_ID),
    ];
    assert_eq!(
        found, expected,
        "an account's root is no person, and the repository is known by its earlier executions"
    );
}
