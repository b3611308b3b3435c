//! Each kind of notice, whole, as somebody reads it.

use super::*;
use crate::domain::alarm::AlarmState;
use crate::domain::execution::{ExecutionId, TargetKind};
use crate::domain::hold::Wanted;
use crate::domain::incident::{Blamed, IncidentId};
use crate::domain::policy::Deploy;
use crate::domain::rollback::{RollbackId, Version, Worker};
use crate::domain::settling::Settling;
use jiff::SignedDuration;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn at(minute: i64) -> Timestamp {
    "2026-11-22T03:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

fn sha(digits: &str) -> Sha {
    format!("{digits}{}", "0".repeat(40 - digits.len())).parse().unwrap()
}

fn signal(name: &str, says: &str) -> Signal {
    Signal { cause: Cause::Alarm { name: name.into() }, region: "us-east-1".into(), at: at(1), says: says.into() }
}

fn sample(status: Status, decision: Decision, reason: &str) -> Incident {
    let id = IncidentId::named("in-4f1f6a0c9b3d27e8a510");
    let says = "Threshold Crossed: 3 datapoints were greater than the threshold (5.0)";
    let mut incident = Incident::opened(id, Some("web-production".into()), signal("shop-production-5xx", says), at(1));
    incident.blamed =
        Some(Blamed { execution: ExecutionId::named("ex-9b3d27e8a5104f1f6a0c"), sha: Some(sha("1a2b3c4")) });
    incident.turn_to(status, decision, reason.into(), at(2));
    incident
}

fn roll_back() -> Decision {
    Decision::RollBack { regions: vec!["us-east-1".into()], to: None, by: "guard".into() }
}

fn version(digits: &str) -> Version {
    let execution = ExecutionId::named("ex-1");
    Version { execution, aws_id: "a".into(), sha: Some(sha(digits)), images: BTreeSet::new() }
}

fn rollback(phase: Phase) -> Rollback {
    let deploy = Deploy {
        region: "us-east-1".into(),
        pipeline: "shop-production".into(),
        stage: "Deploy".into(),
        pipeline_region: None,
        ecs: None,
        codedeploy: None,
    };
    let mut rollback = Rollback {
        id: RollbackId::named("rb-1"),
        incident: IncidentId::named("in-4f1f6a0c9b3d27e8a510"),
        environment: "web-production".into(),
        region: "us-east-1".into(),
        deploy,
        from: version("1a2b3c4"),
        to: version("9f8e7d6"),
        by: "guard".into(),
        attempt: 0,
        phase: Phase::Claimed,
        tried: Vec::new(),
        accepted_at: None,
        claimed_at: at(2),
        updated_at: at(2),
        due_at: None,
    };
    let edited = "PipelineExecutionOutdatedException: the execution started in another version of shop-production";
    rollback.fall(Step::RollbackStage, edited.into(), at(3));
    rollback.turn_to(phase, at(4));
    rollback
}

fn text(notice: &Notice) -> String {
    format!("{}\n\n{}", notice.subject, notice.body)
}

#[test]
fn it_is_only_recorded() {
    let reason = "the last deployment landed 3 h 20 min before, and the window is 60m";
    let mut incident_ = sample(Status::Recorded, Decision::Notify, reason);
    incident_.blamed = None;
    insta::assert_snapshot!(text(&incident(&incident_, &[], false)), @r#"
    Recorded: web-production, alarm shop-production-5xx

    Alarm shop-production-5xx in web-production: nothing was turned back. Look at it: nothing more happens by itself.

      Why         the last deployment landed 3 h 20 min before, and the window is 60m
      Where       web-production (us-east-1)
      Since       22 Nov 2026, 03:01 UTC
      Signal      03:01 UTC alarm shop-production-5xx in us-east-1: Threshold Crossed: 3 datapoints were greater than the threshold (5.0)
      Incident    in-4f1f6a0c9b3d27e8a510

    All that is known:

      pointsman incidents show in-4f1f6a0c9b3d27e8a510

    If the version must go:

      pointsman rollback web-production --reason "why"
    "#);
}

#[test]
fn it_is_watched_whether_it_stays_red() {
    let mut settles = sample(Status::Settling, Decision::Wait, "1a2b3c4 landed 5 min before");
    let mut settling = Settling::begin(at(1), SignedDuration::from_mins(2));
    settling.note("us-east-1", "shop-production-5xx", AlarmState::Alarm, at(1));
    settles.settling = Some(settling);
    insta::assert_snapshot!(text(&incident(&settles, &[], false)), @"
    Watching: web-production, alarm shop-production-5xx

    Alarm shop-production-5xx in web-production: nobody has to act yet. It is watched until 22 Nov 2026, 03:03 UTC; if it stays red, 1a2b3c4 is turned back.

      Why         1a2b3c4 landed 5 min before
      Where       web-production (us-east-1)
      Since       22 Nov 2026, 03:01 UTC
      Blamed      1a2b3c4 (ex-9b3d27e8a5104f1f6a0c)
      Signal      03:01 UTC alarm shop-production-5xx in us-east-1: Threshold Crossed: 3 datapoints were greater than the threshold (5.0)
      Incident    in-4f1f6a0c9b3d27e8a510

    All that is known:

      pointsman incidents show in-4f1f6a0c9b3d27e8a510
    ");
}

#[test]
fn it_is_kept_out() {
    let mut blocked =
        sample(Status::Blocked, Decision::Block, "CVE-2026-0001 (CRITICAL) in shop/web@sha256:c30be97422f4");
    blocked.cause = Cause::Finding { vulnerability: "CVE-2026-0001".into() };
    blocked.signals[0].cause = blocked.cause.clone();
    blocked.signals[0].says = "a buffer may overflow in libexample 1.2.3".into();
    insta::assert_snapshot!(text(&incident(&blocked, &[], false)), @"
    Kept out: web-production, finding CVE-2026-0001

    1a2b3c4 is kept out of web-production. What is live is not touched: nobody has to act now.

      Why         CVE-2026-0001 (CRITICAL) in shop/web@sha256:c30be97422f4
      Where       web-production (us-east-1)
      Since       22 Nov 2026, 03:01 UTC
      Blamed      1a2b3c4 (ex-9b3d27e8a5104f1f6a0c)
      Signal      03:01 UTC finding CVE-2026-0001 in us-east-1: a buffer may overflow in libexample 1.2.3
      Incident    in-4f1f6a0c9b3d27e8a510

    It goes in once the finding is gone or waived. A newer commit with a mended image passes by itself.

    All that is known:

      pointsman incidents show in-4f1f6a0c9b3d27e8a510
    ");
}

#[test]
fn it_is_being_turned_back() {
    let incident_ = sample(Status::RollingBack, roll_back(), "1a2b3c4 landed 5 min before the alarm");
    let work = Worker::Execution { id: ExecutionId::named("ex-2") };
    let going = rollback(Phase::Going { step: Step::Start, work, since: at(4) });
    insta::assert_snapshot!(text(&incident(&incident_, &[going], true)), @"
    Rolling back: web-production, alarm shop-production-5xx

    1a2b3c4 is being turned back to 9f8e7d6 in web-production. Nobody has to act: you are told how it ends.

      Why         1a2b3c4 landed 5 min before the alarm
      Where       web-production (us-east-1)
      Since       22 Nov 2026, 03:01 UTC
      Blamed      1a2b3c4 (ex-9b3d27e8a5104f1f6a0c)
      Decided by  guard
      Signal      03:01 UTC alarm shop-production-5xx in us-east-1: Threshold Crossed: 3 datapoints were greater than the threshold (5.0)
      Incident    in-4f1f6a0c9b3d27e8a510

    us-east-1, from 1a2b3c4 to 9f8e7d6:
      03:03 UTC  RollbackStage: PipelineExecutionOutdatedException: the execution started in another version of shop-production
      03:04 UTC  the pipeline with that commit: under way

    All that is known:

      pointsman incidents show in-4f1f6a0c9b3d27e8a510
    ");
}

#[test]
fn it_is_turned_back() {
    let incident_ = sample(Status::RolledBack, roll_back(), "us-east-1 runs 9f8e7d6 again");
    let proof = Proof::Images { digests: [format!("sha256:{}", "c30be97422f4".repeat(5))].into() };
    let mut done = rollback(Phase::Done { when: at(9), step: Some(Step::Start), proof });
    insta::assert_snapshot!(text(&incident(&incident_, &[done.clone()], true)), @r#"
    Rolled back: web-production, alarm shop-production-5xx

    1a2b3c4 was turned back to 9f8e7d6 in web-production. Nobody has to act now.

      Why         us-east-1 runs 9f8e7d6 again
      Where       web-production (us-east-1)
      Since       22 Nov 2026, 03:01 UTC
      Blamed      1a2b3c4 (ex-9b3d27e8a5104f1f6a0c)
      Decided by  guard
      Signal      03:01 UTC alarm shop-production-5xx in us-east-1: Threshold Crossed: 3 datapoints were greater than the threshold (5.0)
      Incident    in-4f1f6a0c9b3d27e8a510

    us-east-1, from 1a2b3c4 to 9f8e7d6:
      03:03 UTC  RollbackStage: PipelineExecutionOutdatedException: the execution started in another version of shop-production
      03:09 UTC  the pipeline with that commit: it is back; what runs shows it: sha256:c30be97422f4

    web-production stays held, so that nothing brings it back. When a fix waits there, let that commit in:

      pointsman release web-production --sha SHA --reason "why"

    When all may go in again:

      pointsman release web-production --reason "why"
    "#);
    let why = "nothing is configured that could tell".to_owned();
    done.turn_to(Phase::Done { when: at(9), step: None, proof: Proof::Word { why } }, at(9));
    let body = incident(&incident_, &[done], false).body;
    assert!(body.contains("03:09 UTC  it was back already; AWS says so, and nobody could look: nothing is"), "{body}");
    assert!(body.ends_with("  pointsman incidents show in-4f1f6a0c9b3d27e8a510\n"), "nothing is held any more: {body}");
}

#[test]
fn it_needs_a_person() {
    let incident_ = sample(Status::NeedsPerson, roll_back(), "no step brought it back; the last one: both refused");
    let person = rollback(Phase::Person { when: at(9), why: "no step brought it back".into() });
    let notice = incident(&incident_, &[person], true);
    assert!(notice.is_urgent);
    insta::assert_snapshot!(text(&notice), @r#"
    ACT NOW: web-production, alarm shop-production-5xx

    Somebody must act now in web-production: Pointsman has stopped and does nothing more by itself.

      Why         no step brought it back; the last one: both refused
      Where       web-production (us-east-1)
      Since       22 Nov 2026, 03:01 UTC
      Blamed      1a2b3c4 (ex-9b3d27e8a5104f1f6a0c)
      Decided by  guard
      Signal      03:01 UTC alarm shop-production-5xx in us-east-1: Threshold Crossed: 3 datapoints were greater than the threshold (5.0)
      Incident    in-4f1f6a0c9b3d27e8a510

    us-east-1, from 1a2b3c4 to 9f8e7d6:
      03:03 UTC  RollbackStage: PipelineExecutionOutdatedException: the execution started in another version of shop-production
      03:09 UTC  stopped: no step brought it back

    All that is known:

      pointsman incidents show in-4f1f6a0c9b3d27e8a510

    Which step would work now, and to which version:

      pointsman rollback web-production --dry-run

    To go back to a commit that you name:

      pointsman rollback web-production --to SHA --reason "why"
    "#);
}

#[test]
fn there_was_nothing_to_turn_back() {
    let incident_ = sample(Status::Cancelled, roll_back(), "web-production runs 5e6f7a8 by now");
    let why = "web-production runs 5e6f7a8 by now".to_owned();
    let cancelled = rollback(Phase::Cancelled { when: at(4), why });
    insta::assert_snapshot!(text(&incident(&incident_, &[cancelled], false)), @"
    Not needed: web-production, alarm shop-production-5xx

    Nothing had to be turned back in web-production. Nobody has to act.

      Why         web-production runs 5e6f7a8 by now
      Where       web-production (us-east-1)
      Since       22 Nov 2026, 03:01 UTC
      Blamed      1a2b3c4 (ex-9b3d27e8a5104f1f6a0c)
      Decided by  guard
      Signal      03:01 UTC alarm shop-production-5xx in us-east-1: Threshold Crossed: 3 datapoints were greater than the threshold (5.0)
      Incident    in-4f1f6a0c9b3d27e8a510

    us-east-1, from 1a2b3c4 to 9f8e7d6:
      03:03 UTC  RollbackStage: PipelineExecutionOutdatedException: the execution started in another version of shop-production
      03:04 UTC  nothing to do: web-production runs 5e6f7a8 by now

    All that is known:

      pointsman incidents show in-4f1f6a0c9b3d27e8a510
    ");
}

#[test]
fn it_is_over() {
    let mut incident_ = sample(Status::Closed, Decision::Notify, "the alarm is calm again");
    incident_.blamed = None;
    for number in 0..6 {
        incident_.join(signal(&format!("shop-production-{number}"), "red"), at(3));
    }
    insta::assert_snapshot!(text(&incident(&incident_, &[], false)), @"
    Over: web-production, alarm shop-production-5xx

    Alarm shop-production-5xx in web-production is over. Nobody has to act.

      Why         the alarm is calm again
      Where       web-production (us-east-1)
      Since       22 Nov 2026, 03:01 UTC
      Signal      03:01 UTC alarm shop-production-5xx in us-east-1: Threshold Crossed: 3 datapoints were greater than the threshold (5.0)
      Signal      03:01 UTC alarm shop-production-0 in us-east-1: red
      Signal      03:01 UTC alarm shop-production-1 in us-east-1: red
      Signal      03:01 UTC alarm shop-production-2 in us-east-1: red
      Signal      03:01 UTC alarm shop-production-3 in us-east-1: red
                  and 2 others
      Incident    in-4f1f6a0c9b3d27e8a510

    All that is known:

      pointsman incidents show in-4f1f6a0c9b3d27e8a510
    ");
}

#[test]
fn it_names_no_environment() {
    let cause = Cause::Threat { id: "a1b2c3".into() };
    let says = "severity 8.0: a task of an unknown image asks for https://example.org/x".to_owned();
    let signal = Signal { cause, region: "eu-west-2".into(), at: at(0), says };
    let threat = Incident::opened(IncidentId::named("in-1"), None, signal, at(0));
    insta::assert_snapshot!(text(&incident(&threat, &[], false)), @"
    Recorded: this account, GuardDuty finding a1b2c3

    GuardDuty finding a1b2c3 in this account: nothing was turned back. Look at it: nothing more happens by itself.

      Why         severity 8.0: a task of an unknown image asks for https[:]//example[.]org/x
      Where       this account (eu-west-2)
      Since       22 Nov 2026, 03:00 UTC
      Signal      03:00 UTC GuardDuty finding a1b2c3 in eu-west-2: severity 8.0: a task of an unknown image asks for https[:]//example[.]org/x
      Incident    in-1

    All that is known:

      pointsman incidents show in-1
    ");
}

#[test]
fn an_execution_waits_at_a_hold() {
    let target = Target { kind: TargetKind::Pipeline, name: "shop-production".into(), region: "us-east-1".into() };
    let want = Wanted {
        environment: "web-production".into(),
        by: "guard".into(),
        reason: "1a2b3c4 is turned back".into(),
        incident: Some("in-4f1f6a0c9b3d27e8a510".into()),
        ways: vec![("us-east-1".into(), target.clone(), "Deploy".into())],
    };
    let hold = Hold::wanted(&want, at(2));
    let fix = sha("5e6f7a8");
    let waiting = Waits {
        hold: &hold,
        region: "us-east-1",
        target: &target,
        stage: "Deploy",
        aws_id: "8a7b6c5d-0000-4000-8000-000000000000",
        execution: None,
        sha: Some(&fix),
    };
    insta::assert_snapshot!(text(&waits(&waiting)), @r#"
    Waits: 5e6f7a8 at the hold of web-production

    5e6f7a8 waits to go into web-production, which is held. It goes in when somebody releases it, and not before.

      Commit      5e6f7a8000000000000000000000000000000000
      AWS's id    8a7b6c5d-0000-4000-8000-000000000000
      Waits for   stage Deploy of shop-production (us-east-1)
      Held since  22 Nov 2026, 03:02 UTC, by guard
      Because     1a2b3c4 is turned back
      Incident    in-4f1f6a0c9b3d27e8a510

    To let this commit in, and nothing else:

      pointsman release web-production --sha 5e6f7a8000000000000000000000000000000000 --reason "why"
    "#);
    let unknown = waits(&Waits { sha: None, ..waiting }).body;
    assert!(unknown.starts_with("An execution waits to go into web-production"), "{unknown}");
    assert!(unknown.ends_with("  pointsman release web-production --reason \"why\"\n"), "{unknown}");
}

#[test]
fn news_is_what_changes_how_it_stands() {
    let before = sample(Status::RollingBack, roll_back(), "red");
    let mut after = before.clone();
    assert!(is_news(None, &after), "it is new");
    assert!(
        after.join(signal("another", "red"), at(3)) && !is_news(Some(&before), &after),
        "a signal that joins is not"
    );
    after.turn_to(Status::RolledBack, roll_back(), "red".into(), at(4));
    assert!(is_news(Some(&before), &after), "its end is");
    assert!(is_news(Some(&before), &Incident { reason: "redder".into(), ..before.clone() }), "another reason is");
}

proptest! {
    #[test]
    fn whatever_strangers_write_a_notice_has_no_link_and_a_subject_that_is_taken(
        texts in proptest::collection::vec("(?s).{0,400}|(https?://|www\\.|\n|\\\\|[a-z]\\.[a-z]|:|@){0,40}", 4),
    ) {
        let [name, says, reason, why] = [0, 1, 2, 3].map(|index| texts[index].clone());
        let usual = sample(Status::NeedsPerson, roll_back(), "red");
        let mut strange = usual.clone();
        strange.reason = reason;
        strange.signals = vec![signal(&name, &says)];
        strange.cause = strange.signals[0].cause.clone();
        let person = |why: &str| rollback(Phase::Person { when: at(9), why: why.to_owned() });
        let notice = incident(&strange, &[person(&why)], true);
        prop_assert!((1..100).contains(&notice.subject.len()), "{}", notice.subject);
        prop_assert!(notice.subject.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", notice.subject);
        let lines = |notice: &Notice| notice.body.lines().count();
        prop_assert_eq!(lines(&notice), lines(&incident(&usual, &[person("x")], true)), "{}", notice.body);
        let all: Vec<char> = notice.body.chars().collect();
        let is_name = |at: &[char]| at[0].is_alphanumeric() && at[1] == '.' && at[2].is_alphabetic();
        prop_assert!(!all.windows(3).any(|at| is_name(at) || at[0] == ':' && at[1] == '/'), "{}", notice.body);
    }
}
