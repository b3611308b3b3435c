//! Repeats and order: one push, one start, however it is told and in whichever order.

use crate::journeys::SHOP;
use pointsman_tests::payloads::{push, with_paths};
use pointsman_tests::world::World;

const PATHS: &str = r#"
version = 1
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
paths = ["web/**"]
pipeline = "web"
[[routes]]
repository = "acme/shop"
on = "push"
branch = ["main"]
paths = ["docs/**"]
pipeline = "docs"
"#;

#[tokio::test(start_paused = true)]
async fn a_duplicate_guid_changes_nothing() {
    let world = World::with_config(SHOP).await;
    world.send("push", "one", &push("main", 1, 2, 1)).await;
    world.settle().await;
    let before = world.delivery("one").await.unwrap();
    assert_eq!(world.send("push", "one", &push("main", 1, 2, 1)).await, 202);
    assert_eq!(world.send("push", "one", &push("main", 2, 3, 2)).await, 202, "another body under a GUID that was used");
    world.settle().await;
    assert_eq!(world.delivery("one").await.unwrap(), before, "an outcome once written stays");
    assert_eq!(world.commits("dev"), [2]);
}

#[tokio::test(start_paused = true)]
async fn the_same_push_under_a_new_guid_is_a_duplicate() {
    let world = World::with_config(SHOP).await;
    world.send("push", "first", &push("main", 1, 2, 100)).await;
    world.settle().await;
    world.send("push", "replayed", &push("main", 1, 2, 100)).await;
    world.send("push", "second-hook", &push("main", 1, 2, 101)).await;
    world.settle().await;
    assert_eq!(world.commits("dev"), [2]);
    for duplicate in ["replayed", "second-hook"] {
        let (status, reason) = world.outcome(duplicate).await;
        assert_eq!(status, "ignored", "{duplicate}");
        assert!(reason.contains("first"), "{duplicate}: a duplicate names the first delivery: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_hooks_telling_replayed_after_another_push_is_still_a_duplicate() {
    let world = World::with_config(SHOP).await;
    world.send("push", "first", &push("main", 1, 2, 100)).await;
    world.settle().await;
    world.send("push", "hook", &push("main", 1, 2, 101)).await;
    world.settle().await;
    // A push that moves no fence comes between.
    world.send("push", "deletion", &push("main", 2, 0, 102)).await;
    world.settle().await;
    world.send("push", "replayed", &push("main", 1, 2, 101)).await;
    world.settle().await;
    assert_eq!(world.outcome("replayed").await.0, "ignored");
    assert_eq!(world.commits("dev"), [2]);
}

#[tokio::test(start_paused = true)]
async fn there_and_back_and_there_again_are_three_pushes() {
    let world = World::with_config(SHOP).await;
    for (delivery, before, after, at) in [("d1", 1, 2, 1), ("d2", 2, 1, 2), ("d3", 1, 2, 3)] {
        world.send("push", delivery, &push("main", before, after, at)).await;
        world.settle().await;
        assert_eq!(world.outcome(delivery).await.0, "executed", "{delivery}");
    }
    assert_eq!(world.commits("dev"), [2, 1, 2]);
    // The first one replayed now is still a duplicate: its time was claimed.
    world.send("push", "d1-again", &push("main", 1, 2, 1)).await;
    world.settle().await;
    assert_eq!(world.outcome("d1-again").await.0, "ignored");
    assert_eq!(world.commits("dev").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_older_push_never_starts_after_a_newer_one_on_the_same_route() {
    let world = World::with_config(SHOP).await;
    world.send("push", "newer", &push("main", 2, 3, 200)).await;
    world.settle().await;
    world.send("push", "older", &push("main", 1, 2, 100)).await;
    world.settle().await;
    let (status, reason) = world.outcome("older").await;
    assert_eq!(status, "ignored");
    assert!(reason.contains("newer"), "it names the delivery that overtook it: {reason}");
    assert_eq!(world.commits("dev"), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_a_route_did_not_match_does_not_move_its_fence() {
    let world = World::with_config(PATHS).await;
    // The docs push is newer and arrives first; the web push was redelivered by hand later.
    world.send("push", "docs", &with_paths(push("main", 2, 3, 200), &["docs/a.md"])).await;
    world.settle().await;
    world.send("push", "web", &with_paths(push("main", 1, 2, 100), &["web/a.rs"])).await;
    world.settle().await;
    assert_eq!(world.outcome("web").await.0, "executed", "no newer push touched the web route");
    assert_eq!(world.commits("web"), [2]);
    assert_eq!(world.commits("docs"), [3]);
}

#[tokio::test(start_paused = true)]
async fn two_pushes_at_once_start_in_their_order() {
    let world = World::with_config(SHOP).await;
    let (first, second) = (push("main", 1, 2, 500), push("main", 2, 3, 500));
    let (a, b) = tokio::join!(world.send("push", "a", &first), world.send("push", "b", &second));
    assert_eq!((a, b), (202, 202));
    world.settle().await;
    let commits = world.commits("dev");
    assert_eq!(commits.last(), Some(&3), "the newest is what runs last: {commits:?}");
    assert_eq!(world.outcome("b").await.0, "executed");
}

#[tokio::test(start_paused = true)]
async fn pushes_of_one_second_are_ordered_by_where_they_begin() {
    let world = World::with_config(PATHS).await;
    world.send("push", "p1", &with_paths(push("main", 1, 2, 500), &["web/a"])).await;
    world.settle().await;
    // A push between that the web route does not match.
    world.send("push", "p2", &with_paths(push("main", 2, 3, 500), &["docs/a"])).await;
    world.settle().await;
    world.send("push", "p3", &with_paths(push("main", 3, 4, 500), &["web/b"])).await;
    world.settle().await;
    assert_eq!(world.commits("web"), [2, 4], "nothing is lost in between");
    // Reversed: what began before the last one ended is older.
    world.send("push", "q2", &with_paths(push("main", 11, 12, 900), &["web/a"])).await;
    world.settle().await;
    world.send("push", "q1", &with_paths(push("main", 10, 11, 900), &["web/a"])).await;
    world.settle().await;
    assert_eq!(world.outcome("q1").await.0, "ignored");
}
