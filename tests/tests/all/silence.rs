//! What the functions say of approvals in their logs, at the most that anybody can have them say: no link, no token.

use crate::approvals::{BOB, CYD, ONE, config, digits, strange_push};
use pointsman::domain::execution::Status;
use pointsman::telemetry;
use pointsman_local::faults::Fault;
use pointsman_local::runner::REGION;
use pointsman_tests::people::link_in;
use pointsman_tests::world::World;
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// What failed is tried again within a minute.
const A_SECOND_TRY: Duration = Duration::from_secs(90);

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The token of what is asked now.
fn token(world: &World) -> String {
    let state = world.aws().ask("codepipeline", REGION, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    let stages = state["stageStates"].as_array().unwrap();
    let stage = stages.iter().find(|stage| stage["stageName"] == "Approve").unwrap();
    stage["actionStates"][0]["latestExecution"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn no_line_of_any_log_holds_a_link_or_a_token() {
    let lines = Lines::default();
    let writer = lines.clone();
    let all = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(all.with_filter(telemetry::without_bodies()));
    let _heard = tracing::subscriber::set_default(subscriber);

    // Asked while mail is refused and lost; opened, voted on wrongly and rightly, told while the answer gets lost.
    let world = World::with_config(&config(ONE, "")).await;
    for fault in [Fault::Throttle, Fault::LoseAfter, Fault::Refuse { code: "InternalError".into(), status: 500 }] {
        world.aws().faults().next("sns", "Publish", fault);
    }
    world.send("push", "d2", &strange_push("production", 1, 2, 1)).await;
    world.pass(A_SECOND_TRY).await;
    let mut secrets = vec![token(&world)];
    let link = world.link_of(BOB);
    world.open(&link).await;
    world.request("GET", &format!("{link}x"), &[], b"").await;
    world.request("PUT", &link, &[], b"").await;
    world.request("POST", &link, &[("Content-Type", "text/plain")], link.as_bytes()).await;
    world.answer(&link, &[("sha", "7654321"), ("comment", &link), ("decision", "approve")]).await;
    world.aws().faults().next("dynamodb", "TransactWriteItems", Fault::LoseAfter);
    world.aws().faults().next("codepipeline", "PutApprovalResult", Fault::LoseAfter);
    assert_eq!(world.approve(&link, &digits(2)).await.status, 200);
    assert_eq!(world.approve(&world.link_of(CYD), &digits(2)).await.status, 409);
    world.pass(A_SECOND_TRY).await;
    assert_eq!(world.executions().await[0].status, Status::Succeeded);

    // Answered beside us, with a decision of ours on its way.
    world.send("push", "d3", &strange_push("production", 2, 3, 2)).await;
    world.settle().await;
    secrets.push(token(&world));
    for _ in 0..3 {
        world.aws().faults().next("codepipeline", "PutApprovalResult", Fault::Throttle);
    }
    assert_eq!(world.reject(&world.link_of(BOB), &digits(3)).await.status, 200);
    let answer = json!({
        "pipelineName": "shop", "stageName": "Approve", "actionName": "Approve", "token": token(&world),
        "result": { "summary": "by hand", "status": "Approved" },
    });
    world.aws().ask("codepipeline", REGION, "PutApprovalResult", answer).unwrap();
    world.pass(A_SECOND_TRY).await;
    assert_eq!(world.approvals().await[0].status(), "rejected", "and overruled");

    let mails = world.aws().sns().mail().into_iter().filter(|mail| mail.body.contains("/approvals/"));
    secrets.extend(mails.map(|mail| link_in(&mail.body)));
    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for what in ["approvers asked", "vote judged", "codepipeline was not told", "CodePipeline was answered otherwise"] {
        assert!(lines.contains(what), "nothing is said of {what:?}");
    }
    for line in lines.lines() {
        for secret in &secrets {
            assert!(!line.contains(secret.as_str()), "a secret stands in {line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_a_line_would_be_found() {
    let lines = Lines::default();
    let writer = lines.clone();
    let all = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    let _heard = tracing::subscriber::set_default(tracing_subscriber::registry().with(all));
    let world = World::with_config(&config(ONE, "")).await;
    // Another test's thread may have met a line's place first, when nobody listened, and have it passed over ever since.
    tracing::callsite::rebuild_interest_cache();
    world.send("push", "d2", &strange_push("production", 1, 2, 1)).await;
    world.settle().await;
    let token = token(&world);
    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(lines.contains(&token), "the SDK at trace writes out what it is answered");
}
