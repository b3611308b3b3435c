use super::*;
use crate::domain::policy::Period;
use proptest::prelude::*;

const WEB: &str = "us-east-1/shop/web";

fn digest(number: u8) -> String {
    format!("sha256:{}", format!("{number:02x}").repeat(32))
}

fn image(number: u8) -> String {
    format!("shop/web@{}", digest(number))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn gate(findings: &[Severity], fixable_only: bool, waivers: &[(&str, &str)]) -> Gate {
    let waivers = waivers.iter().map(|(id, until)| Waiver {
        id: (*id).to_owned(),
        owner: "ada@example.com".into(),
        until: until.parse().unwrap(),
        reason: "not reachable".into(),
    });
    Gate {
        findings: findings.to_vec(),
        fixable_only,
        wait_for_scan: Period::try_from("15m".to_owned()).unwrap(),
        waivers: waivers.collect(),
    }
}

fn found(id: &str, severity: Severity, status: FindingStatus, fix: Option<Fix>) -> Finding {
    let (event, title) = (format!("event of {id}"), format!("{id} - openssl"));
    Finding { at: at(0), event, repository: WEB.into(), vulnerability: id.into(), severity, status, fix, title }
}

fn active(id: &str, severity: Severity) -> Finding {
    found(id, severity, FindingStatus::Active, Some(Fix::Yes))
}

fn state(counts: &[(Severity, u32)], findings: Vec<Finding>) -> ImageState {
    let mut scans = Scans::default();
    scans.fold(WEB, Scan { at: at(0), event: "scan".into(), counts: counts.iter().copied().collect() });
    ImageState { scans, findings, is_cut_off: false }
}

fn today() -> Date {
    "2026-11-21".parse().unwrap()
}

/// What is said of one image, in short.
fn judged(gate: &Gate, state: ImageState) -> String {
    check(gate, &[image(1)].into(), &[(digest(1), state)].into(), today()).to_string().replace("shop/web@sha256:", "")
}

#[test]
fn an_image_passes_when_all_that_was_counted_is_known_and_nothing_of_it_is_bad() {
    use FindingStatus::{Active, Closed, Suppressed};
    use Severity::{Critical, High, Medium};
    let worst = || gate(&[Critical, High], false, &[]);
    let fixable = || gate(&[Critical, High], true, &[]);
    let waived = |id: &str, until: &str| gate(&[Critical, High], false, &[(id, until)]);
    let high = || state(&[(High, 1)], vec![active("CVE-1", High)]);
    let cut_off = ImageState { is_cut_off: true, ..state(&[], vec![]) };
    let mut twice = state(&[(High, 1)], vec![active("CVE-1", High), active("CVE-1", High)]);
    twice.scans.fold("eu-west-2/shop/web", Scan { at: at(0), event: "e".into(), counts: [(High, 1)].into() });
    twice.findings[1].repository = "eu-west-2/shop/web".into();
    let mut elsewhere = twice.clone();
    elsewhere.scans.fold("eu-west-2/shop/web", Scan { at: at(9), event: "e".into(), counts: [(High, 3)].into() });
    let of = |status, fix| state(&[(High, 1)], vec![found("CVE-1", High, status, fix)]);
    #[rustfmt::skip]
    let cases = [
        // gate                          known of the image                              what is said, and why
        (worst(),                        state(&[], vec![]),                             "passed: 010101010101", "a scan that found nothing"),
        (worst(),                        ImageState::default(),                          "blocked: the scan of 010101010101 is missing", "nothing is known of it"),
        (worst(),                        ImageState { scans: Scans::default(), ..high() }, "blocked: the scan of 010101010101 is missing\nblocked: CVE-1 (HIGH) in 010101010101", "what is found already blocks too"),
        (worst(),                        high(),                                         "blocked: CVE-1 (HIGH) in 010101010101", "a finding of a severity that the gate names"),
        (worst(),                        state(&[(Medium, 1)], vec![active("CVE-1", Medium)]), "passed: 010101010101", "the gate does not name it"),
        (worst(),                        of(Suppressed, Some(Fix::Yes)),                 "passed: 010101010101", "a rule of Inspector's hides it"),
        (worst(),                        of(Closed, Some(Fix::Yes)),                     "passed: 010101010101", "it is gone"),
        (worst(),                        of(Active, Some(Fix::No)),                      "blocked: CVE-1 (HIGH) in 010101010101", "without a fix too"),
        (fixable(),                      of(Active, Some(Fix::No)),                      "passed: 010101010101", "only what can be fixed counts"),
        (fixable(),                      of(Active, Some(Fix::Partial)),                 "blocked: CVE-1 (HIGH) in 010101010101", "a part of it can be"),
        (fixable(),                      of(Active, None),                               "blocked: CVE-1 (HIGH) in 010101010101", "nobody says that it cannot be"),
        (waived("cve-1", "2026-11-21"),  high(),                                         "CVE-1 (HIGH) in 010101010101, waived by ada@example.com until 2026-11-21: not reachable\npassed: 010101010101", "its last day, whatever the case"),
        (waived("CVE-1", "2026-11-20"),  high(),                                         "blocked: CVE-1 (HIGH) in 010101010101", "the day after its last"),
        (waived("CVE-10", "2026-12-31"), high(),                                         "blocked: CVE-1 (HIGH) in 010101010101", "another id that begins alike"),
        (worst(),                        state(&[(High, 3)], vec![active("CVE-1", High)]), "blocked: CVE-1 (HIGH) in 010101010101\nblocked: 2 more (HIGH) that Inspector counted in 010101010101", "two events are late or lost"),
        (worst(),                        state(&[(Medium, 3)], vec![]),                  "passed: 010101010101", "three are, of a severity that nobody asks for"),
        (fixable(),                      state(&[(High, 1)], vec![]),                    "blocked: 1 more (HIGH) that Inspector counted in 010101010101", "whether it can be fixed is not known"),
        (worst(),                        state(&[], vec![active("CVE-1", High)]),        "blocked: CVE-1 (HIGH) in 010101010101", "found after the scan"),
        (worst(),                        cut_off,                                        "blocked: more is known of 010101010101 than is looked at", "the rest may be bad"),
        (worst(),                        twice,                                          "blocked: CVE-1 (HIGH) in 010101010101", "two repositories have the image: one weakness"),
        (worst(),                        elsewhere,                                      "blocked: CVE-1 (HIGH) in 010101010101\nblocked: 2 more (HIGH) that Inspector counted in 010101010101", "what one repository reports says nothing of the other"),
    ];
    for (gate, state, expected, why) in cases {
        assert_eq!(judged(&gate, state), expected, "{why}");
    }
}

#[test]
fn every_image_must_pass_and_none_passes_for_nothing() {
    let gate = gate(&[Severity::High], false, &[]);
    let fine = || state(&[], vec![]);
    let of = |images: &[String], known: &[(String, ImageState)]| {
        check(&gate, &images.iter().cloned().collect(), &known.iter().cloned().collect(), today())
    };
    let none = of(&[], &[(digest(1), fine())]);
    assert_eq!(none.blockers, [Blocker::NoDigest], "an execution without an image that is known");
    assert!(none.is_scan_missing() && !none.is_passed());
    let both = of(&[image(1), digest(1)], &[(digest(1), fine())]);
    assert_eq!(both.passed, [image(1)], "one image under two names, shown under the one that says more");
    let half = of(&[image(1), image(2)], &[(digest(1), fine())]);
    assert_eq!(half.blockers, [Blocker::ScanMissing { image: image(2) }], "one of two is not enough");
    assert!(!half.is_passed() && half.is_scan_missing());
    let bad = of(&[image(1)], &[(digest(1), state(&[], vec![active("CVE-1", Severity::High)]))]);
    assert!(!bad.is_passed() && !bad.is_scan_missing(), "no scan to wait for");
    insta::assert_snapshot!(of(&[image(1), digest(2)], &[(digest(1), fine())]), @r"
    blocked: the scan of sha256:020202020202 is missing
    passed: shop/web@sha256:010101010101
    ");
}

#[test]
fn of_two_reports_the_later_one_counts() {
    let told = |second: i64, event: &str, status| Finding {
        at: at(second),
        event: event.into(),
        ..found("CVE-1", Severity::High, status, None)
    };
    let (active, closed) = (FindingStatus::Active, FindingStatus::Closed);
    assert_eq!(told(5, "a", closed).max(told(4, "b", active)).status, closed, "the older one comes late");
    assert_eq!(told(5, "a", closed).max(told(5, "b", active)).status, active, "in one second, by the event's id");
    let scan =
        |second: i64, count: u32| Scan { at: at(second), event: "e".into(), counts: [(Severity::Low, count)].into() };
    let mut scans = Scans::default();
    for (repository, second, count) in [("a", 5, 1), ("a", 4, 2), ("b", 3, 3), ("b", 6, 4)] {
        scans.fold(repository, scan(second, count));
    }
    assert_eq!(scans.repositories, [("a".to_owned(), scan(5, 1)), ("b".to_owned(), scan(6, 4))].into());
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let id = prop::sample::select(vec!["CVE-1", "CVE-2", "CVE-3"]);
    let severity = prop::sample::select(Severity::ALL.to_vec());
    let status = prop::sample::select(vec![FindingStatus::Active, FindingStatus::Suppressed, FindingStatus::Closed]);
    let fix = prop::sample::select(vec![None, Some(Fix::Yes), Some(Fix::Partial), Some(Fix::No)]);
    (id, severity, status, fix).prop_map(|(id, severity, status, fix)| found(id, severity, status, fix))
}

fn any_state() -> impl Strategy<Value = ImageState> {
    let counts = proptest::collection::btree_map(prop::sample::select(Severity::ALL.to_vec()), 0u32..4, 0..4);
    (counts, proptest::collection::vec(any_finding(), 0..6)).prop_map(|(counts, findings)| {
        let counts: Vec<_> = counts.into_iter().collect();
        state(&counts, findings)
    })
}

fn any_gate() -> impl Strategy<Value = Gate> {
    let severities = proptest::sample::subsequence(Severity::ALL.to_vec(), 1..=6);
    let ids = proptest::sample::subsequence(vec![("CVE-1", "2026-12-31"), ("cve-2", "2026-11-21")], 0..=2);
    (severities, any::<bool>(), ids).prop_map(|(severities, fixable, ids)| gate(&severities, fixable, &ids))
}

/// How many findings keep an image out, counted ones among them.
fn weight(check: &GateCheck) -> u32 {
    let of = |blocker: &Blocker| if let Blocker::Uncounted { count, .. } = blocker { *count } else { 1 };
    check.blockers.iter().map(of).sum()
}

proptest! {
    #[test]
    fn a_waiver_never_blocks_more(gate in any_gate(), state in any_state(), id in "CVE-[1-3]") {
        let (images, known) = ([image(1)].into(), [(digest(1), state)].into());
        let before = check(&gate, &images, &known, today());
        let mut waived = gate.clone();
        waived.waivers.extend(super::tests::gate(&[], false, &[(&id, "2026-12-31")]).waivers);
        let after = check(&waived, &images, &known, today());
        prop_assert!(after.blockers.iter().all(|blocker| before.blockers.contains(blocker)), "{before}\n\n{after}");
    }

    #[test]
    fn a_finding_that_nobody_answers_for_never_blocks_less(
        gate in any_gate(), state in any_state(), severity in prop::sample::select(Severity::ALL.to_vec()),
    ) {
        let images = [image(1)].into();
        let before = check(&gate, &images, &[(digest(1), state.clone())].into(), today());
        let mut more = state;
        more.findings.push(active("CVE-9", severity));
        let after = check(&gate, &images, &[(digest(1), more)].into(), today());
        prop_assert!(weight(&after) >= weight(&before), "{before}\n\n{after}");
        prop_assert!(before.is_passed() || !after.is_passed());
    }
}
