//! One page of each kind that there is, with what a person might really be asked.

use super::super::*;
use jiff::Timestamp;
use pointsman::domain::policy::Waiver;
use pointsman::domain::shown::{Commit, Newer};

pub(super) const ADA: &str = "ada@example.com";
pub(super) const GRACE: &str = "grace@example.com";
const LIN: &str = "lin.mei@example.com";
const OMAR: &str = "omar@example.com";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A commit whose id begins with `digits`.
pub(super) fn commit(digits: &str, title: &str, author: &str) -> Commit {
    let sha = format!("{digits}{}", &"d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708"[digits.len()..]);
    Commit { sha: sha.parse().unwrap(), title: Some(title.into()), author: Some(author.into()) }
}

fn wanted(email: &str) -> Person {
    Person { email: email.into(), standing: Standing::Wanted }
}

fn approved(email: &str, comment: Option<&str>) -> Person {
    let comment = comment.map(str::to_owned);
    let standing = Standing::Approved { at: at("2026-11-21T14:32:10Z"), comment, is_override: false };
    Person { email: email.into(), standing }
}

fn barred(email: &str, why: &str) -> Person {
    Person { email: email.into(), standing: Standing::Barred { why: why.into() } }
}

fn check(name: &str, result: CheckResult, time: &str) -> Check {
    Check { name: name.into(), result, at: Some(at(time)) }
}

fn findings() -> Findings {
    Findings {
        at: Some(at("2026-11-21T14:02:41Z")),
        counts: vec![(Severity::High, 1), (Severity::Medium, 4), (Severity::Low, 17)],
        barred: vec![Severity::Critical, Severity::High],
        fixable_only: false,
        blocking: vec![],
        waived: vec![Waived {
            severity: Severity::High,
            waiver: Waiver {
                id: "CVE-2026-0001".into(),
                owner: GRACE.into(),
                until: "2026-12-31".parse().unwrap(),
                reason: "not reachable: the parser is not built".into(),
            },
        }],
    }
}

fn blocking() -> Findings {
    let finding = |id: &str, severity, what: &str, is_fixable| Finding {
        id: id.into(),
        severity,
        what: Some(what.into()),
        is_fixable: Some(is_fixable),
    };
    Findings {
        counts: vec![(Severity::Critical, 1), (Severity::High, 2), (Severity::Medium, 4), (Severity::Low, 17)],
        blocking: vec![
            finding("CVE-2026-31337", Severity::Critical, "openssl 3.0.17", true),
            finding("CVE-2026-20202", Severity::High, "libxml2 2.12.9", false),
        ],
        ..findings()
    }
}

pub(super) fn open(obstacles: Vec<Obstacle>) -> State {
    State::Open(Open { obstacles, wanted_after: 1, draft: Draft::default() })
}

fn ended(outcome: Outcome, told: Option<Told>) -> State {
    State::Ended(Ended { at: at("2026-11-21T15:01:07Z"), outcome, told })
}

fn told() -> Option<Told> {
    Some(Told::Yes { at: at("2026-11-21T15:01:09Z") })
}

/// Two groups; nobody voted yet, nothing stands in the way.
pub(super) fn usual() -> View {
    View {
        person: ADA.into(),
        now: at("2026-11-21T14:41:00Z"),
        approval: "ap-4f1f6a0c9b3d27e8a510".into(),
        environment: "web-production".into(),
        change: Change {
            repository: "acme/shop".into(),
            git_ref: Some(GitRef::Branch("production".into())),
            commit: Some(commit("1a2b3c4", "Round the cart's total once, at the end", "Lin Mei")),
            started: Some("pushed by linmei".into()),
            images: vec!["sha256:7d1a6c0f4be25a9be3f4d5c6b7a8990f1e2d3c4b5a69788796a5b4c3d2e1f00d".into()],
            pipeline: "shop-production".into(),
            execution: "3f8a2c1d-5b7e-4f60-9a1b-2c3d4e5f6071".into(),
        },
        regions: vec![region("us-east-1"), region("eu-west-2")],
        since: Since {
            live: Some(commit("9f8e7d6", "", "").sha),
            commits: vec![
                commit("1a2b3c4", "Round the cart's total once, at the end", "Lin Mei"),
                commit("77aa10c", "Show the delivery date in the buyer's own time zone", "Lin Mei"),
                commit("c0ffee1", "Bump serde from 1.0.227 to 1.0.228", "dependabot[bot]"),
            ],
            more: 0,
            gap: None,
        },
        checks: vec![
            check("Source / GitHub", CheckResult::Succeeded, "2026-11-21T13:48:02Z"),
            check("Build / Image", CheckResult::Succeeded, "2026-11-21T13:55:40Z"),
            check("Test / Browser", CheckResult::Succeeded, "2026-11-21T14:01:12Z"),
        ],
        scan: Scan::Done(findings()),
        freeze: None,
        overridden: None,
        policy: Policy {
            groups: vec![
                Group { name: "devops".into(), wanted: 1, have: 0, people: vec![wanted(ADA), wanted(GRACE)] },
                Group {
                    name: "product".into(),
                    wanted: 1,
                    have: 0,
                    people: vec![wanted(OMAR), barred(LIN, "wrote 1a2b3c4 and 77aa10c")],
                },
            ],
            people_min: None,
            still_wanted: 2,
        },
        newer: None,
        expires: at("2026-11-22T14:05:00Z"),
        state: open(vec![]),
        banner: None,
    }
}

fn region(name: &str) -> Region {
    let since = Some(at("2026-11-19T09:12:33Z"));
    Region { name: name.into(), runs: Runs::Commit { sha: commit("9f8e7d6", "", "").sha, since } }
}

/// One approval is there, one is wanted.
fn half_way() -> View {
    let mut view = usual();
    view.policy.groups[0].people[1] = approved(GRACE, Some("Tried it on staging.\nThe totals are right now."));
    view.policy.groups[0].have = 1;
    view.policy.still_wanted = 1;
    view
}

fn full() -> View {
    let mut view = half_way();
    view.policy.groups[1].people[0] = approved(OMAR, None);
    view.policy.groups[1].have = 1;
    view.policy.still_wanted = 0;
    view
}

fn many_commits(number: usize) -> Vec<Commit> {
    let titles = ["Fix a typo", "Retry the payment once", "Take the banner away", "Cache the price list for an hour"];
    let authors = ["Lin Mei", "Omar Haddad", "Zoë Öztürk"];
    (0..number)
        .map(|at| commit(&format!("{:07x}", 0x3c4_5d6e + at * 0x1b_f2a7), titles[at % 4], authors[at % 3]))
        .collect()
}

fn frozen(view: View, may_override: bool) -> View {
    let until = at("2027-01-03T00:00:00Z").in_tz("Europe/London").unwrap();
    View {
        freeze: Some(Freeze { until, override_group: Some("devops".into()), may_override }),
        state: open(vec![Obstacle::Frozen]),
        ..view
    }
}

/// Everything that a stranger may write, as bad as it gets.
pub(super) fn hostile() -> View {
    let evil = "\"><script>alert(1)</script>\u{202e}gnp.exe\u{200b}<img src=x onerror=alert(1)> {{ 7*7 }} &#x202e; ";
    let long = "Donaudampfschifffahrtsgesellschaftskapitän".repeat(12);
    let mut view = half_way();
    view.change.repository = format!("acme/{long}");
    view.change.git_ref = Some(GitRef::Branch(format!("x\";echo${{IFS}}\"hello\";#{evil}")));
    view.change.commit = Some(commit(
        "1a2b3c4",
        &format!("{evil}{long}"),
        &format!("{evil}Z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}"),
    ));
    view.change.started = Some(evil.into());
    view.change.images = vec![evil.into()];
    view.since.commits = vec![commit("1a2b3c4", evil, &long), commit("77aa10c", "إصلاح مجموع السلة (عاجل)", "ليلى")];
    view.since.gap = Some(evil.into());
    view.checks.push(Check { name: evil.into(), result: CheckResult::Failed, at: None });
    view.policy.groups[0].people[1] = approved(GRACE, Some(&format!("</blockquote></main>{evil}\r\n\r\n{long}")));
    view.policy.groups[1].people[1] = barred(LIN, evil);
    view.newer = Some(Newer { commit: Some(commit("5e6f7a8", evil, evil)) });
    let draft = Draft { comment: format!("</textarea><script>alert(1)</script>{evil}"), is_override: false };
    view.state = State::Open(Open { obstacles: vec![Obstacle::Barred { why: evil.into() }], wanted_after: 0, draft });
    view.banner = Some(Banner::Refused(vec![Refusal::Digits, Refusal::CommentTooLong]));
    view
}

/// Pages of approvals that are open, each under a name of its own.
#[rustfmt::skip]
pub(super) fn open_pages() -> Vec<(&'static str, View)> {
    let refused = |refusals: Vec<Refusal>, state| View { banner: Some(Banner::Refused(refusals)), state, ..half_way() };
    let obstacle = |obstacle| View { state: open(vec![obstacle]), ..usual() };
    let typed = |comment: &str, obstacles, wanted_after| {
        State::Open(Open { obstacles, wanted_after, draft: Draft { comment: comment.into(), is_override: false } })
    };
    let first = Region { name: "eu-west-2".into(), runs: Runs::Nothing };
    let odd = Region { name: "ap-southeast-2".into(), runs: Runs::Unknown };
    let gap = Since { commits: vec![], gap: Some("the push of 9f8e7d6 was not seen".into()), ..usual().since };
    let voted = Obstacle::Voted { at: at("2026-11-21T14:32:10Z") };
    let one_out = View { policy: Policy { people_min: Some(2), still_wanted: 2, ..half_way().policy }, ..half_way() };
    vec![
        ("open", usual()),
        ("open-half-way", half_way()),
        ("open-newer-waits", View { newer: Some(Newer { commit: Some(commit("5e6f7a8", "Revert the new totals", "Omar Haddad")) }), ..half_way() }),
        ("open-many-commits", View { since: Since { commits: many_commits(70), more: 210, ..usual().since }, ..usual() }),
        ("open-nothing-live", View { regions: vec![first, odd], since: Since { live: None, ..usual().since }, ..usual() }),
        ("open-authors-unknown", View { since: gap, ..one_out }),
        ("open-barred", View { person: LIN.into(), ..obstacle(Obstacle::Barred { why: "you wrote 1a2b3c4 and 77aa10c".into() }) }),
        ("open-voted", View { person: GRACE.into(), state: open(vec![voted.clone()]), ..half_way() }),
        ("open-no-member", obstacle(Obstacle::NoMember)),
        ("open-quarantined", obstacle(Obstacle::Quarantined { why: "1a2b3c4 was turned back here in in-77: lift its quarantine first".into() })),
        ("open-findings", View { scan: Scan::Done(blocking()), ..obstacle(Obstacle::Findings) }),
        ("open-scan-awaited", View { scan: Scan::Awaited { until: at("2026-11-21T15:10:00Z") }, ..obstacle(Obstacle::ScanAwaited) }),
        ("open-scan-missing", View { scan: Scan::Missing { since: at("2026-11-21T14:10:00Z") }, ..obstacle(Obstacle::ScanMissing) }),
        ("open-image-unknown", View { scan: Scan::ImageUnknown, change: Change { images: vec![], ..usual().change }, ..obstacle(Obstacle::ImageUnknown) }),
        ("open-commit-unknown", View { change: Change { commit: None, git_ref: None, ..usual().change }, ..obstacle(Obstacle::CommitUnknown) }),
        ("open-frozen", frozen(usual(), false)),
        ("open-frozen-override", frozen(usual(), true)),
        ("open-out-of-reach", obstacle(Obstacle::OutOfReach { why: "product wants 1, and nobody in it may approve".into() })),
        ("after-override", View {
            banner: Some(Banner::Overridden),
            overridden: Some(Overridden { by: GRACE.into(), reason: "the shop is down".into(), at: half_way().now }),
            ..half_way()
        }),
        ("after-vote-counted", View { person: GRACE.into(), banner: Some(Banner::Counted), state: open(vec![voted]), ..half_way() }),
        ("after-wrong-digits", refused(vec![Refusal::Digits], typed("Looks right to me.", vec![], 0))),
        ("after-no-comment", refused(vec![Refusal::Digits, Refusal::CommentMissing], open(vec![]))),
        ("after-frozen", View { banner: Some(Banner::Refused(vec![Refusal::Frozen])), state: typed("It fixes INC-7, which costs us orders.", vec![Obstacle::Frozen], 1), ..frozen(usual(), true) }),
        ("after-blocked", View { scan: Scan::Done(blocking()), ..refused(vec![Refusal::Blocked], open(vec![Obstacle::Findings])) }),
        ("after-removed", refused(vec![Refusal::NoMember], open(vec![Obstacle::NoMember]))),
        ("hostile", hostile()),
    ]
}

/// Pages of approvals that are over.
#[rustfmt::skip]
pub(super) fn ended_pages() -> Vec<(&'static str, View)> {
    let both = || vec![GRACE.to_owned(), OMAR.to_owned()];
    let approved = || Outcome::Approved { by: both(), is_override: false };
    let comment = "The total is wrong again for gift cards.\nSee the second order in staging.";
    let rejected = || Outcome::Rejected { by: OMAR.into(), comment: comment.into() };
    let mut no = half_way();
    no.policy.groups[1].people[0].standing = Standing::Rejected { at: at("2026-11-21T15:01:07Z") };
    let console = Outcome::Console { by: "arn:aws:sts::123456789012:assumed-role/Admin/omar".into(), is_approved: true, summary: Some("hotfix, see INC-7".into()) };
    let rollback = Outcome::Rollback { what: "rollback of in-77 to 9f8e7d6, approved on 19 Nov 2026 by grace@example.com".into() };
    let is = |outcome, told| View { state: ended(outcome, told), ..half_way() };
    vec![
        ("ended-approved", View { state: ended(approved(), told()), ..full() }),
        ("ended-approved-by-you", View { person: OMAR.into(), banner: Some(Banner::Decided), state: ended(approved(), Some(Told::BeingTold)), ..full() }),
        ("ended-override", View { state: ended(Outcome::Approved { by: vec![ADA.into()], is_override: true }, told()), ..frozen(full(), true) }),
        ("ended-rejected", View { state: ended(rejected(), told()), ..no.clone() }),
        ("ended-came-second", View { banner: Some(Banner::CameSecond), state: ended(rejected(), told()), ..no }),
        ("ended-expired", is(Outcome::Expired, told())),
        ("ended-console", is(console, None)),
        ("ended-rollback", is(rollback, told())),
        ("ended-turned-back", is(Outcome::TurnedBack { incident: "in-77".into() }, told())),
        ("ended-stopped", is(Outcome::Stopped, None)),
        ("ended-edited", is(Outcome::PipelineEdited, None)),
        ("ended-retried", is(Outcome::StageRetried, None)),
        ("ended-superseded", is(Outcome::Superseded, None)),
        ("ended-not-told", View { state: ended(approved(), Some(Told::Failed { reason: "InvalidApprovalToken: the approval is not there any more".into() })), ..full() }),
    ]
}
