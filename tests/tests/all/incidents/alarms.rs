//! What an alarm is blamed on.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_alarm_soon_after_a_deployment_turns_it_back() {
    let world = started("", "").await;
    alarm(&world, REGION, "web-errors");
    let (_, bad) = deployed(&world).await;
    world.pass(5 * MINUTE).await;
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(MINUTE).await;
    let incident = only(&world).await;
    turns_back(&incident, &bad);
    assert_eq!((incident.region.as_str(), incident.cause.to_string().as_str()), (REGION, "alarm"));
    assert_eq!(incident.rollbacks.len(), 2, "rollback heard of it: {incident:#?}");
    let chain = world.local.ledger().chain(&format!("incident#{}", incident.id)).await.unwrap();
    assert_eq!(chain[0].what, "rollback decided");
    let reason = chain[0].detail["reason"].as_str().unwrap();
    assert!(reason.starts_with("the alarm web-errors went red 5 min after 0000"), "{reason}");
    let states = world.local.ledger().environment_states(ENVIRONMENT, [REGION]).await.unwrap();
    let blamed = states[0].value.versions.iter().find(|version| version.execution == bad.id).unwrap();
    assert!(blamed.blamed_at.is_some(), "it did not run well since");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_long_after_a_deployment_is_written_down_until_it_is_calm() {
    let world = started("window = \"10m\"", "").await;
    alarm(&world, REGION, "web-errors");
    deployed(&world).await;
    world.pass(11 * MINUTE).await;
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(MINUTE).await;
    let incident = only(&world).await;
    assert_eq!((incident.status, &incident.decision), (Status::Recorded, &Decision::Notify));
    assert!(incident.reason.contains("more than 10m after the last deployment"), "{}", incident.reason);
    assert!(incident.blamed.is_none() && rollbacks(&world).await.is_empty());
    set(&world, REGION, "web-errors", "INSUFFICIENT_DATA");
    world.pass(MINUTE).await;
    assert_eq!(only(&world).await.status, Status::Recorded, "nobody can say: that is no calm");
    set(&world, REGION, "web-errors", "OK");
    world.pass(MINUTE).await;
    assert_eq!(only(&world).await.status, Status::Closed);
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(MINUTE).await;
    assert_eq!(only(&world).await.status, Status::Recorded, "one a day");
}

#[tokio::test(start_paused = true)]
async fn what_was_red_before_a_deployment_is_no_evidence_against_it() {
    let world = started("window = \"10m\"", "").await;
    alarm(&world, REGION, "web-errors");
    deploy(&world, 2).await;
    world.pass(30 * MINUTE).await;
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(MINUTE).await;
    let before = only(&world).await;
    assert_eq!(before.status, Status::Recorded);
    deploy(&world, 3).await;
    world.pass(5 * MINUTE).await;
    assert_eq!(only(&world).await, before, "it was red already when that one began");
    assert!(rollbacks(&world).await.is_empty());
}

/// Lets time pass until an execution is inside a stage.
async fn until_inside(world: &World, execution: &Execution, stage: &str) {
    for _ in 0..3_600 {
        let record = world.execution(&execution.id).await;
        if let Some(aws_id) = record.start.aws_id() {
            let run = world.local.ledger().run(&record.target, aws_id, now(world)).await.unwrap();
            if run.value.observed.is_inside(stage) {
                return;
            }
        }
        world.pass(Duration::from_secs(1)).await;
    }
    panic!("it never came into {stage}");
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_in_is_to_blame_for_what_goes_red_meanwhile() {
    let world = slow("").await;
    alarm(&world, REGION, "web-errors");
    let first = begin(&world, 2).await;
    world.pass(60 * MINUTE).await;
    assert!(world.execution(&first.id).await.status.is_over());
    let bad = begin(&world, 3).await;
    until_inside(&world, &bad, "Deploy-Primary").await;
    world.pass(Duration::from_secs(2)).await;
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(Duration::from_secs(5)).await;
    let incident = only(&world).await;
    assert_eq!(incident.blamed.unwrap().execution, bad.id);
    assert_eq!(incident.decision.as_str(), "roll_back");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_nobody_told_of_is_asked_for_when_the_deployment_ends() {
    let world = slow("").await;
    alarm(&world, REGION, "web-errors");
    let first = begin(&world, 2).await;
    world.pass(60 * MINUTE).await;
    assert!(world.execution(&first.id).await.status.is_over());
    let bad = begin(&world, 3).await;
    until_inside(&world, &bad, "Deploy-Primary").await;
    world.pass(Duration::from_secs(2)).await;
    set_unheard(&world, REGION, "web-errors", "ALARM");
    world.pass(Duration::from_secs(2)).await;
    assert!(incidents(&world).await.is_empty(), "the event is lost");
    world.pass(10 * MINUTE).await;
    let incident = only(&world).await;
    assert_eq!(incident.blamed.unwrap().execution, bad.id);
    assert_eq!(incident.decision.as_str(), "roll_back");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_flaps_is_one_incident_and_one_rollback() {
    let world = started("regions = \"affected\"", "").await;
    alarm(&world, REGION, "web-errors");
    let (_, bad) = deployed(&world).await;
    for _ in 0..200 {
        set(&world, REGION, "web-errors", "ALARM");
        world.pass(Duration::from_secs(9)).await;
        set(&world, REGION, "web-errors", "OK");
        world.pass(Duration::from_secs(9)).await;
    }
    let all = incidents(&world).await;
    let of_bad: Vec<&Incident> = all
        .iter()
        .filter(|incident| incident.blamed.as_ref().is_some_and(|blamed| blamed.execution == bad.id))
        .collect();
    assert_eq!(of_bad.len(), 1, "{all:#?}");
    assert_eq!(rollbacks(&world).await.len(), 1, "{all:#?}");
    let others: Vec<&Incident> = all.iter().filter(|incident| incident.id != of_bad[0].id).collect();
    assert!(others.len() <= 1, "{others:#?}");
    for other in others {
        assert_eq!(other.status, Status::NeedsPerson, "it goes on after the rollback: {other:#?}");
    }
    let told = notices(&world).len();
    assert!((1..=61).contains(&told), "one a minute at most: {told}");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_again_or_too_late_or_is_no_alarm_changes_nothing() {
    let world = started("", "").await;
    let (_, _) = deployed(&world).await;
    world.pass(5 * MINUTE).await;
    let at = now(&world);
    told(&world, "web-errors", "OK", at);
    world.pass(Duration::from_secs(5)).await;
    told(&world, "web-errors", "ALARM", at - MINUTE);
    told(&world, "web-errors", "ALARM", at);
    told(&world, "web-errors", "INSUFFICIENT_DATA", at + MINUTE);
    told(&world, "other-errors", "ALARM", at + MINUTE);
    event(
        &world,
        json!({
            "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm Configuration Change", "region": REGION,
            "detail": { "alarmName": "web-errors", "state": { "value": "ALARM" }, "operation": "update" },
        }),
    );
    event(
        &world,
        json!({
            "source": "aws.cloudwatch", "detail-type": ALARM_CHANGE, "region": "us-west-2",
            "detail": { "alarmName": "web-errors", "state": { "value": "ALARM" }, "previousState": { "value": "OK" } },
        }),
    );
    event(
        &world,
        json!({
            "source": "aws.cloudwatch", "detail-type": ALARM_CHANGE, "region": REGION, "account": "999999999999",
            "detail": { "alarmName": "web-errors", "state": { "value": "ALARM" }, "previousState": { "value": "OK" } },
        }),
    );
    world.pass(2 * MINUTE).await;
    assert_eq!(incidents(&world).await, []);
    told(&world, "web-errors", "ALARM", at + 2 * MINUTE);
    world.pass(2 * MINUTE).await;
    let incident = only(&world).await;
    told(&world, "web-errors", "ALARM", at + 2 * MINUTE);
    world.pass(2 * MINUTE).await;
    let again = only(&world).await;
    assert_eq!((again.signals, again.rollbacks), (incident.signals, incident.rollbacks), "told again");
}

#[tokio::test(start_paused = true)]
async fn two_alarms_in_two_regions_at_once_are_one_incident() {
    let world = started("", "").await;
    alarm(&world, REGION, "web-errors");
    alarm(&world, SECOND, "web-latency");
    let (_, bad) = deployed(&world).await;
    world.pass(5 * MINUTE).await;
    set(&world, REGION, "web-errors", "ALARM");
    set(&world, SECOND, "web-latency", "ALARM");
    world.pass(2 * MINUTE).await;
    let incident = only(&world).await;
    turns_back(&incident, &bad);
    let mut regions: Vec<&str> = incident.signals.iter().map(|signal| signal.region.as_str()).collect();
    regions.sort_unstable();
    assert_eq!(regions, [SECOND, REGION], "{incident:#?}");
    assert_eq!(rollbacks(&world).await.len(), 2, "one in each region");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_follows_a_rollback_calls_a_person() {
    let world = started("", "").await;
    alarm(&world, REGION, "web-errors");
    let (_, bad) = deployed(&world).await;
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(5 * MINUTE).await;
    turns_back(&only(&world).await, &bad);
    set(&world, REGION, "web-errors", "OK");
    world.pass(MINUTE).await;
    set(&world, REGION, "web-errors", "ALARM");
    world.pass(MINUTE).await;
    let all = incidents(&world).await;
    assert_eq!(all.len(), 2, "{all:#?}");
    assert_eq!((all[1].status, &all[1].decision), (Status::NeedsPerson, &Decision::Person));
    assert!(all[1].reason.contains("a rollback is not turned back"), "{}", all[1].reason);
    assert_eq!(rollbacks(&world).await.len(), 2, "no rollback of a rollback");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_stays_red_after_a_rollback_calls_a_person_later() {
    for stays_red in [true, false] {
        let world = started("", "").await;
        alarm(&world, REGION, "web-errors");
        let (_, bad) = deployed(&world).await;
        set(&world, REGION, "web-errors", "ALARM");
        world.pass(5 * MINUTE).await;
        turns_back(&only(&world).await, &bad);
        assert_eq!(only(&world).await.status, Status::RolledBack);
        if !stays_red {
            set_unheard(&world, REGION, "web-errors", "OK");
        }
        world.pass(15 * MINUTE).await;
        let incident = only(&world).await;
        assert_eq!(incident.status, if stays_red { Status::NeedsPerson } else { Status::RolledBack });
        let says = "15 minutes later this is red still: web-errors in us-east-1";
        assert_eq!(incident.reason.contains(says), stays_red, "{}", incident.reason);
        let due = incident.due_at;
        world.pass(30 * MINUTE).await;
        assert_eq!(only(&world).await.status, incident.status, "nothing follows by itself");
        assert_eq!(due.is_some(), stays_red, "a person is counted until somebody closes it");
        assert_eq!(rollbacks(&world).await.len(), 2, "{:#?}", incident.rollbacks);
    }
}

#[tokio::test(start_paused = true)]
async fn what_devops_guru_and_guardduty_say_is_written_down_and_told() {
    let world = started("", "").await;
    deployed(&world).await;
    let insight = json!({
        "source": "aws.devops-guru", "detail-type": "DevOps Guru New Insight Open", "region": REGION,
        "detail": { "insightId": "ABC123", "insightSeverity": "high", "insightUrl": "https://console.aws.amazon.com/devops-guru" },
    });
    let threat = |title: &str| {
        json!({
            "source": "aws.guardduty", "detail-type": "GuardDuty Finding", "region": REGION,
            "detail": { "id": "f1", "type": "Backdoor:EC2/C&CActivity.B", "severity": 8.5, "title": title },
        })
    };
    event(&world, insight.clone());
    event(&world, threat("it calls home"));
    world.pass(2 * MINUTE).await;
    let all = incidents(&world).await;
    let mut causes: Vec<String> = all.iter().map(|incident| incident.cause.to_string()).collect();
    causes.sort();
    assert_eq!(causes, ["insight", "threat"]);
    for incident in &all {
        assert_eq!((&incident.environment, incident.status), (&None, Status::Recorded), "{incident:#?}");
        assert_eq!((incident.decision.clone(), &incident.due_at), (Decision::Notify, &None));
    }
    event(&world, insight);
    event(&world, threat("it calls home again"));
    world.pass(2 * MINUTE).await;
    assert_eq!(incidents(&world).await, all, "an update of what is known is no news");
    assert!(rollbacks(&world).await.is_empty());
}
