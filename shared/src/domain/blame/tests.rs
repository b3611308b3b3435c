use super::*;
use crate::domain::image::{Fix, TITLE_CHARACTERS_MAX};
use crate::domain::incident::{Cause, Decision, IncidentId, Signal};
use crate::domain::pattern::Patterns;
use crate::domain::policy::{Period, Waiver};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
}

fn period(text: &str) -> Period {
    text.to_owned().try_into().unwrap()
}

fn sha(execution: &str) -> Sha {
    let digit =
        execution.bytes().last().map_or('0', |byte| if byte.is_ascii_hexdigit() { char::from(byte) } else { 'f' });
    digit.to_string().repeat(40).parse().unwrap()
}

fn landed(execution: &str, began: Option<i64>, landed_at: i64) -> Deployment {
    Deployment {
        execution: ExecutionId::named(execution),
        sha: Some(sha(execution)),
        began: began.map(at),
        landed_at: Some(at(landed_at)),
        failed_at: None,
        is_rollback: false,
    }
}

fn in_flight(execution: &str, began: i64) -> Deployment {
    Deployment { landed_at: None, ..landed(execution, Some(began), 0) }
}

fn failed(execution: &str, began: i64, failed_at: i64) -> Deployment {
    Deployment { failed_at: Some(at(failed_at)), ..in_flight(execution, began) }
}

fn back(deployment: Deployment) -> Deployment {
    Deployment { is_rollback: true, ..deployment }
}

fn shown(blame: &Blame) -> String {
    let minutes = |when: &Timestamp| when.duration_since(at(0)).as_mins();
    match blame {
        Blame::On(suspect) => format!("on {}", suspect.execution),
        Blame::RedBefore { began } => format!("before {}", minutes(began)),
        Blame::OnFailed { execution, .. } => format!("failed {execution}"),
        Blame::WhileTurningBack { by } => format!("back by {by}"),
        Blame::Outside { landed_at } => format!("outside {}", minutes(landed_at)),
        Blame::NothingDeployed => "nothing".to_owned(),
    }
}

#[test]
fn a_signal_counts_against_a_deployment_by_its_time() {
    let one = landed("ex-1", Some(0), 2);
    #[rustfmt::skip]
    let cases: Vec<(i64, Vec<Deployment>, &str, &str)> = vec![
        // red since, deployments,                                            blamed,       why
        (7,   vec![one.clone()],                                              "on ex-1",    "five minutes after it had landed"),
        (62,  vec![one.clone()],                                              "on ex-1",    "in the last minute of the window"),
        (63,  vec![one.clone()],                                              "outside 2",  "after it"),
        (1,   vec![one.clone()],                                              "on ex-1",    "while it was in flight, and it has landed since"),
        (0,   vec![one.clone()],                                              "on ex-1",    "in the second in which it began"),
        (-1,  vec![one.clone()],                                              "before 0",   "red before it began: no evidence"),
        (5,   vec![],                                                         "nothing",    "nothing was ever deployed"),
        (5,   vec![landed("ex-1", None, 2)],                                  "on ex-1",    "when it began nobody knows: since it landed it counts"),
        (1,   vec![landed("ex-1", None, 2)],                                  "before 2",   "and before that it may not"),
        (31,  vec![one.clone(), in_flight("ex-2", 30)],                       "on ex-2",    "one is on its way in: it is to blame before what is live"),
        (29,  vec![one.clone(), in_flight("ex-2", 30)],                       "on ex-1",    "it went red before that one began: what is live is to blame"),
        (29,  vec![in_flight("ex-2", 30)],                                    "before 30",  "nothing is live, and it went red before the first one began"),
        (31,  vec![in_flight("ex-2", 30)],                                    "on ex-2",    "the first deployment ever"),
        (100, vec![one.clone(), in_flight("ex-2", 90)],                       "on ex-2",    "in flight there is no window"),
        (89,  vec![one.clone(), in_flight("ex-2", 90)],                       "outside 2",  "what is live is too old, and the other one too young"),
        (35,  vec![in_flight("ex-2", 30), in_flight("ex-3", 33)],             "on ex-3",    "of two in flight the younger one"),
        (31,  vec![in_flight("ex-2", 30), in_flight("ex-3", 33)],             "on ex-2",    "unless it began later"),
        (20,  vec![one.clone(), landed("ex-2", Some(10), 12)],                "on ex-2",    "of two pipelines the one that landed last"),
        (9,   vec![one.clone(), landed("ex-2", Some(10), 12)],                "on ex-1",    "unless it began later: the other one is live too"),
        (31,  vec![one.clone(), failed("ex-2", 30, 33)],                      "failed ex-2", "one failed on its way in: what is live is not to blame for that"),
        (38,  vec![one.clone(), failed("ex-2", 30, 33)],                      "failed ex-2", "its tasks go away for five minutes"),
        (39,  vec![one.clone(), failed("ex-2", 30, 33)],                      "on ex-1",    "not for longer"),
        (29,  vec![one.clone(), failed("ex-2", 30, 33)],                      "on ex-1",    "it went red before that one began"),
        (32,  vec![failed("ex-2", 30, 33), in_flight("ex-3", 31)],            "on ex-3",    "another one is on its way in"),
        (36,  vec![failed("ex-2", 30, 33), landed("ex-3", Some(34), 35)],     "on ex-3",    "another one has landed since"),
        (34,  vec![failed("ex-2", 30, 33), landed("ex-3", Some(34), 35)],     "on ex-3",    "or was on its way in then"),
        (36,  vec![failed("ex-2", 30, 33), landed("ex-3", Some(31), 32)],     "failed ex-2", "one of another pipeline had landed before it failed"),
        (36,  vec![failed("ex-2", 30, 33), back(landed("ex-3", Some(33), 35))], "on ex-3",  "what was stopped was turned back: it follows that rollback"),
        (31,  vec![one.clone(), back(in_flight("ex-2", 30))],                 "on ex-1",    "what goes red while a version is turned back is held against that version"),
        (31,  vec![back(landed("ex-2", Some(30), 32))],                       "back by ex-2", "heard after that had ended"),
        (29,  vec![back(landed("ex-2", Some(30), 32))],                       "before 30",  "it went red before the rollback began"),
        (32,  vec![back(landed("ex-2", Some(30), 32))],                       "on ex-2",    "red after the rollback: it follows it"),
        (99,  vec![back(landed("ex-2", Some(30), 32))],                       "outside 32", "long after it"),
    ];
    for (since, deployments, expected, why) in cases {
        for reversed in [false, true] {
            let mut deployments = deployments.clone();
            if reversed {
                deployments.reverse();
            }
            let found = blame(at(since), &deployments, SignedDuration::from_mins(60));
            assert_eq!(shown(&found), expected, "{since}: {why} (reversed: {reversed})");
        }
    }
}

fn policy() -> RollbackPolicy {
    RollbackPolicy {
        alarms: Patterns::new(vec!["shop-*".into()]),
        findings: vec![Severity::Critical],
        window: period("60m"),
        soak: period("0s"),
        settle: period("0s"),
        cooldown: period("30m"),
        regions: RollbackRegions::All,
    }
}

/// Policy, suspect, the last rollback, whether it may settle; the verdict, and why.
type Decided = (RollbackPolicy, Deployment, Option<LastRollback>, bool, &'static str, &'static str);

#[test]
fn what_is_to_blame_is_turned_back_unless_something_speaks_against_it() {
    let settling = RollbackPolicy { settle: period("2m"), ..policy() };
    let affected = RollbackPolicy { regions: RollbackRegions::Affected, ..policy() };
    let bad = landed("ex-2", Some(0), 2);
    let last = |minute: i64, from: &str| Some(LastRollback { accepted_at: at(minute), from: ExecutionId::named(from) });
    #[rustfmt::skip]
    let cases: Vec<Decided> = vec![
        // policy, suspect, last rollback there, may settle, verdict, why
        (policy(),         bad.clone(),        None,              true,  "back in eu-west-2 us-east-1", "nothing to wait for"),
        (affected,         bad.clone(),        None,              true,  "back in us-east-1", "only where the signal came from"),
        (settling.clone(), bad.clone(),        None,              true,  "settle 120",  "many alarms come and go"),
        (settling.clone(), bad.clone(),        None,              false, "back in eu-west-2 us-east-1", "it has settled, or is no alarm"),
        (policy(),         back(bad.clone()),  None,              true,  "person",      "a rollback never causes a rollback"),
        (settling.clone(), back(bad.clone()),  None,              true,  "person",      "and there is nothing to wait for"),
        (policy(),         bad.clone(),        last(-19, "ex-1"), true,  "person",      "another version was turned back 29 minutes ago"),
        (policy(),         bad.clone(),        last(-20, "ex-1"), true,  "back in eu-west-2 us-east-1", "30 minutes ago"),
        (policy(),         bad.clone(),        last(5, "ex-2"),   true,  "back in eu-west-2 us-east-1", "the same version: its claim tells whether it was turned back"),
        (settling,         bad.clone(),        last(-19, "ex-1"), true,  "settle 120",  "it may calm down by then"),
        (RollbackPolicy { cooldown: period("0s"), ..policy() }, bad, last(10, "ex-1"), true, "back in eu-west-2 us-east-1", "no cooldown at all"),
    ];
    let regions = ["eu-west-2".to_owned(), "us-east-1".to_owned()].into();
    for (policy, suspect, last, may_settle, expected, why) in cases {
        let case = Case {
            policy: &policy,
            regions: &regions,
            region: "us-east-1",
            suspect: &suspect,
            last: last.as_ref(),
            may_settle,
            now: at(10),
        };
        let verdict = match decide(&case) {
            Verdict::Settle { time } => format!("settle {}", time.as_secs()),
            Verdict::RollBack { regions } => format!("back in {}", regions.join(" ")),
            Verdict::Person { why } => {
                assert!(!why.is_empty());
                "person".to_owned()
            }
        };
        assert_eq!(verdict, expected, "{why}");
    }
}

#[test]
fn a_further_signal_moves_only_what_nothing_is_done_about() {
    use Joining::{DecidesAnew, FollowsRollback, Stands};
    let signal = Signal { cause: Cause::Manual, region: "us-east-1".into(), at: at(0), says: "it is bad".into() };
    let incident = Incident::opened(IncidentId::named("in-1"), None, signal, at(0));
    #[rustfmt::skip]
    let cases = [
        // status,             red since, turned back at,  so it,           why
        (Status::Settling,     5,         None,            Stands,          "the decision falls at its end, and that is not begun anew"),
        (Status::RollingBack,  5,         None,            Stands,          "it is being turned back"),
        (Status::RolledBack,   5,         Some(6),         Stands,          "it went red before it was back"),
        (Status::RolledBack,   6,         Some(6),         Stands,          "in the very second"),
        (Status::RolledBack,   7,         Some(6),         FollowsRollback, "it went red after it was back"),
        (Status::RolledBack,   7,         None,            Stands,          "when it was back nobody knows"),
        (Status::NeedsPerson,  7,         None,            Stands,          "a person is called already"),
        (Status::Cancelled,    7,         None,            Stands,          "there is nothing to turn back"),
        (Status::Recorded,     7,         None,            DecidesAnew,     "nothing is done about it yet"),
        (Status::Blocked,      7,         None,            DecidesAnew,     "it came in all the same"),
        (Status::Closed,       7,         None,            DecidesAnew,     "it is back"),
    ];
    for (status, since, turned_back_at, expected, why) in cases {
        let mut incident = incident.clone();
        incident.turn_to(status, Decision::Notify, "so it is".into(), at(1));
        assert_eq!(joining(&incident, at(since), turned_back_at.map(at)), expected, "{status:?}: {why}");
    }
}

fn finding(severity: Severity) -> Finding {
    Finding {
        at: at(0),
        event: "e".into(),
        repository: "us-east-1/shop/web".into(),
        vulnerability: "CVE-2026-0001".into(),
        severity,
        status: FindingStatus::Active,
        fix: Some(Fix::Yes),
        title: "t".repeat(TITLE_CHARACTERS_MAX),
    }
}

fn gate(findings: &[Severity], fixable_only: bool, waived_until: Option<&str>) -> Gate {
    let waiver = |until: &str| Waiver {
        id: "cve-2026-0001".into(),
        owner: "ada@example.com".into(),
        until: until.parse().unwrap(),
        reason: "not reachable".into(),
    };
    Gate {
        findings: findings.to_vec(),
        fixable_only,
        wait_for_scan: Gate::default_wait_for_scan(),
        waivers: waived_until.map(waiver).into_iter().collect(),
    }
}

#[test]
fn a_finding_in_what_is_live_is_acted_on_told_or_nothing() {
    use OfFinding::{Nothing, RollBack, Tell};
    use Severity::{Critical, High, Low, Medium};
    let today = "2027-01-15".parse().unwrap();
    let unfixable = Finding { fix: Some(Fix::No), ..finding(Critical) };
    let unsaid = Finding { fix: None, ..finding(Critical) };
    let suppressed = Finding { status: FindingStatus::Suppressed, ..finding(Critical) };
    let closed = Finding { status: FindingStatus::Closed, ..finding(Critical) };
    #[rustfmt::skip]
    let cases = [
        // gate,                                       policy,         finding,           so it,    why
        (None,                                         Some(policy()), finding(Critical), RollBack, "the policy names it"),
        (None,                                         Some(policy()), finding(High),     Tell,     "it does not, and it is bad"),
        (None,                                         Some(policy()), finding(Medium),   Nothing,  "there are thousands"),
        (None,                                         None,           finding(Critical), Tell,     "nothing is turned back by itself"),
        (Some(gate(&[Low], false, None)),              None,           finding(Low),      Tell,     "the gate names it"),
        (Some(gate(&[Low], false, None)),              None,           finding(Medium),   Nothing,  "not this one"),
        (Some(gate(&[High], false, Some("2027-01-15"))), Some(policy()), finding(Critical), Nothing, "waived, whatever the case of its id, to the end of the day"),
        (Some(gate(&[High], false, Some("2027-01-14"))), Some(policy()), finding(Critical), RollBack, "until yesterday"),
        (Some(gate(&[High], true, None)),              Some(policy()), unfixable.clone(), Nothing,  "only what can be fixed counts"),
        (Some(gate(&[High], true, None)),              Some(policy()), unsaid,            RollBack, "maybe it can"),
        (Some(gate(&[High], false, None)),             Some(policy()), unfixable,         RollBack, "everything counts"),
        (None,                                         Some(policy()), suppressed,        Nothing,  "a rule of Inspector's hides it"),
        (None,                                         Some(policy()), closed,            Nothing,  "it is gone"),
    ];
    for (gate, policy, finding, expected, why) in cases {
        assert_eq!(of_live(gate.as_ref(), policy.as_ref(), &finding, today), expected, "{why}");
    }
}

#[test]
fn a_finding_keeps_a_candidate_out_where_the_gate_names_it() {
    use Severity::{Critical, High, Medium};
    let today = "2027-01-15".parse().unwrap();
    #[rustfmt::skip]
    let cases = [
        (Some(gate(&[Critical], false, None)),               finding(Critical), true,  "named"),
        (Some(gate(&[Critical], false, None)),               finding(High),     false, "not named"),
        (Some(gate(&[Critical], false, Some("2027-01-15"))), finding(Critical), false, "waived"),
        (None,                                               finding(Critical), false, "no gate"),
        (Some(gate(&[Medium], false, None)),                 finding(Medium),   true,  "however mild"),
    ];
    for (gate, finding, expected, why) in cases {
        assert_eq!(blocks_candidate(gate.as_ref(), &finding, today), expected, "{why}");
    }
}

#[test]
fn an_end_that_was_just_told_counts_though_the_ledger_does_not_know_it_yet() {
    let told = Finding { at: at(5), status: FindingStatus::Closed, ..finding(Severity::Critical) };
    let state = |findings: Vec<Finding>| ImageState { findings, ..ImageState::default() };
    let later = Finding { at: at(9), ..finding(Severity::Critical) };
    let other = Finding { vulnerability: "CVE-2026-0002".into(), ..finding(Severity::Critical) };
    let elsewhere = Finding { repository: "eu-west-2/shop/web".into(), ..finding(Severity::Critical) };
    #[rustfmt::skip]
    let cases = [
        // of which image, known,                              active, why
        ("sha256:a", vec![],                                   false, "nothing is known"),
        ("sha256:a", vec![finding(Severity::Critical)],        false, "what is known is what was just told to have ended"),
        ("sha256:b", vec![finding(Severity::Critical)],        true,  "another image has it"),
        ("sha256:a", vec![later],                              true,  "it was found again since"),
        ("sha256:a", vec![elsewhere],                          true,  "in another repository it lies too"),
        ("sha256:a", vec![told.clone()],                       false, "the ledger knows it"),
        ("sha256:a", vec![other.clone()],                      false, "another vulnerability"),
    ];
    for (digest, known, expected, why) in cases {
        let images = [(digest.to_owned(), state(known))].into();
        assert_eq!(is_active_in("CVE-2026-0001", &images, "sha256:a", &told), expected, "{why}");
    }
    let images = [("sha256:a".to_owned(), state(vec![other]))].into();
    assert!(is_active_in("CVE-2026-0002", &images, "sha256:a", &told), "the end of one is not the end of another");
}

#[test]
fn only_what_is_later_than_what_was_heard_is_news() {
    use AlarmState::{Alarm, Ok};
    #[rustfmt::skip]
    let cases = [
        (None,                5, true,  "the first that is heard of it"),
        (Some((Ok, at(4))),   5, true,  "later"),
        (Some((Alarm, at(5))), 5, false, "told again"),
        (Some((Ok, at(6))),   5, false, "older than what was heard"),
        (Some((Ok, at(5))),   5, false, "of two in one moment the first that was heard stands"),
    ];
    for (heard, since, expected, why) in cases {
        assert_eq!(is_news(heard, at(since)), expected, "{why}");
    }
}
