//! Waiting whether an alarm stays red.

use super::*;

const SETTLE: &str = "settle = \"2m\"";

/// Sets the alarm red, then through `changes`, each so many seconds after the first; answers five minutes later.
async fn settled(world: &World, changes: &[(u64, &str)]) -> Incident {
    set(world, REGION, "web-errors", "ALARM");
    let mut passed = 0;
    for (second, state) in changes {
        world.pass(Duration::from_secs(second - passed)).await;
        passed = *second;
        set(world, REGION, "web-errors", state);
    }
    world.pass(Duration::from_secs(300 - passed)).await;
    only(world).await
}

/// What the alarm changed to, and how many seconds after the first; the decision, and why.
type Changes = (&'static [(u64, &'static str)], &'static str, &'static str);

#[tokio::test(start_paused = true)]
async fn at_its_end_it_counts_whether_the_alarm_is_red_or_was_for_the_most_part() {
    #[rustfmt::skip]
    let cases: [Changes; 5] = [
        // changes after the first                    decision,    why
        (&[],                                         "roll_back", "red all the time"),
        (&[(20, "OK")],                               "notify",    "it calmed down"),
        (&[(80, "OK")],                               "roll_back", "red for more than half of it"),
        (&[(20, "OK"), (100, "ALARM")],               "roll_back", "red at the end, though the first time was short"),
        (&[(20, "INSUFFICIENT_DATA")],                "notify",    "no data is no red"),
    ];
    for (changes, decision, why) in cases {
        let world = started(SETTLE, "").await;
        alarm(&world, REGION, "web-errors");
        let (_, bad) = deployed(&world).await;
        world.pass(MINUTE).await;
        let incident = settled(&world, changes).await;
        assert_eq!(incident.decision.as_str(), decision, "{why}: {incident:#?}");
        match decision {
            "roll_back" => turns_back(&incident, &bad),
            _ => assert_eq!(incident.status, Status::Recorded, "{why}: {incident:#?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_begins_with_the_first_alarm_and_not_anew_with_others() {
    let world = started(SETTLE, "").await;
    for name in ["web-errors", "web-latency"] {
        alarm(&world, REGION, name);
    }
    deployed(&world).await;
    let from = now(&world);
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(Duration::from_secs(60)).await;
    set(&world, REGION, "web-latency", "ALARM");
    world.pass(Duration::from_secs(10)).await;
    let incident = only(&world).await;
    assert_eq!((incident.status, incident.signals.len()), (Status::Settling, 2));
    let until = incident.settling.unwrap().until;
    assert!(until.duration_since(from).as_secs().abs_diff(120) <= 2, "{from} to {until}");
    world.pass(Duration::from_secs(55)).await;
    assert_eq!(only(&world).await.decision.as_str(), "roll_back", "two minutes after the first");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_brings_back_is_decided_by_sweep() {
    let world = started(SETTLE, "").await;
    alarm(&world, REGION, "web-errors");
    let (_, bad) = deployed(&world).await;
    for _ in 0..20 {
        let refused = pointsman_local::faults::Fault::Refuse { code: "InternalError".into(), status: 500 };
        world.aws().faults().next("sqs", "SendMessage", refused);
    }
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(10 * MINUTE).await;
    let all = incidents(&world).await;
    turns_back(&all[0], &bad);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_that_landed_meanwhile_is_not_to_blame() {
    let world = started(SETTLE, "").await;
    alarm(&world, REGION, "web-errors");
    deployed(&world).await;
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(Duration::from_secs(10)).await;
    deploy(&world, 4).await;
    world.pass(5 * MINUTE).await;
    let incident = only(&world).await;
    assert_eq!(incident.status, Status::Cancelled, "{incident:#?}");
    assert!(incident.reason.contains("is not live any more"), "{}", incident.reason);
    assert!(rollbacks(&world).await.is_empty());
}
