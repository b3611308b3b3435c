//! What an approver sees, held on a sample of each kind.

mod contrast;
mod hostile;
mod html;
mod samples;

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use html::{Tag, between, body_text, style, tags, text};
use samples::{ended_pages, open_pages, usual};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

fn html_of(name: &str) -> String {
    let (_, view) = open_pages().into_iter().chain(ended_pages()).find(|(found, _)| *found == name).unwrap();
    render(&view).unwrap()
}

/// Every page that there is, by name.
fn all() -> Vec<(String, String)> {
    let approvals = open_pages().into_iter().chain(ended_pages());
    let pages = approvals.map(|(name, view)| (name.to_owned(), render(&view).unwrap()));
    pages.chain(Notice::ALL.map(|which| (format!("notice-{}", which.status()), notice(which).unwrap()))).collect()
}

fn named<'a>(tags: &'a [Tag], name: &str) -> Vec<&'a Tag> {
    tags.iter().filter(|tag| tag.is("name", name)).collect()
}

#[test]
fn an_open_page_has_one_form_with_two_answers() {
    for (name, view) in open_pages() {
        let tags = tags(&render(&view).unwrap());
        let forms: Vec<_> = tags.iter().filter(|tag| tag.name == "form").collect();
        assert_eq!(forms.len(), 1, "{name}");
        assert!(forms[0].is("method", "post") && forms[0].is("action", "?"), "{name}: it posts to its own link");
        let decisions: Vec<_> = named(&tags, "decision").iter().map(|button| button.get("value").unwrap()).collect();
        assert_eq!(decisions, ["approve", "reject"], "{name}");
        assert!(named(&tags, "decision").iter().all(|button| button.is("type", "submit")), "{name}");
        let sha = named(&tags, "sha");
        assert_eq!(sha.len(), 1, "{name}");
        assert_eq!(sha[0].get("value"), None, "{name}: the proof is never filled in");
        for (attribute, value) in [("autocomplete", "off"), ("spellcheck", "false"), ("pattern", "[0-9a-fA-F]{7}")] {
            assert!(sha[0].is(attribute, value), "{name}: {attribute}");
        }
        assert_eq!(named(&tags, "comment")[0].get("maxlength"), Some("1000"), "{name}");
        assert!(text(&render(&view).unwrap()).contains(view.digits()), "{name}: the digits can be read");
    }
}

#[test]
fn a_page_that_is_over_has_no_form() {
    for (name, view) in ended_pages() {
        let tags = tags(&render(&view).unwrap());
        assert!(!tags.iter().any(|tag| ["form", "input", "button", "textarea"].contains(&tag.name.as_str())), "{name}");
    }
}

/// Enter in a text field presses the first submit button of the form; if that one is disabled, nothing happens.
/// Source: HTML's implicit submission.
#[test]
fn enter_in_a_field_decides_nothing() {
    let tags = tags(&html_of("open"));
    let first = tags.iter().find(|tag| tag.name == "button").unwrap();
    assert!(first.get("disabled").is_some() && first.get("hidden").is_some() && first.get("name").is_none());
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    let known: BTreeSet<_> = [
        "header",
        "main",
        "footer",
        "section",
        "div",
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "a",
        "b",
        "q",
        "code",
        "bdi",
        "small",
        "span",
        "time",
        "blockquote",
        "details",
        "summary",
        "form",
        "label",
        "input",
        "textarea",
        "button",
    ]
    .into();
    for (name, html) in all() {
        for tag in tags(&html) {
            assert!(known.contains(tag.name.as_str()), "{name}: {tag:?}");
            let is_plain =
                |attribute: &String| !attribute.starts_with("on") && !["style", "src"].contains(&attribute.as_str());
            assert!(tag.attributes.keys().all(is_plain), "{name}: {tag:?}");
            assert!(tag.get("href").is_none_or(|href| href.starts_with('#')), "{name}: {tag:?}");
        }
    }
}

#[test]
fn every_reference_has_its_target_and_every_page_one_heading() {
    for (name, html) in all() {
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        let tags = tags(&html);
        assert_eq!(tags.iter().filter(|tag| tag.name == "h1").count(), 1, "{name}");
        assert_eq!(tags.iter().filter(|tag| tag.name == "main").count(), 1, "{name}");
        let ids: Vec<_> = tags.iter().filter_map(|tag| tag.get("id")).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{name}: an id twice in {ids:?}");
        for attribute in ["aria-describedby", "aria-labelledby", "for", "href"] {
            for target in tags.iter().filter_map(|tag| tag.get(attribute)).flat_map(|value| value.split(' ')) {
                assert!(ids.contains(&target.trim_start_matches('#')), "{name}: {attribute} {target} leads nowhere");
            }
        }
    }
}

#[test]
fn what_cannot_be_done_is_disabled_and_says_why() {
    #[rustfmt::skip]
    let cases = [
        // page                  approve  reject  why
        ("open",                 true,    true,   "nothing in the way"),
        ("open-barred",          false,   true,   "whoever wrote it may only reject"),
        ("open-voted",           false,   true,   "one person counts once, and may change their mind"),
        ("open-no-member",       false,   false,  "no approver any more"),
        ("open-findings",        false,   true,   "findings block"),
        ("open-scan-awaited",    false,   true,   "no scan yet"),
        ("open-scan-missing",    false,   true,   "no scan"),
        ("open-image-unknown",   false,   true,   "no image"),
        ("open-commit-unknown",  false,   true,   "no commit"),
        ("open-out-of-reach",    false,   true,   "too few people"),
        ("open-frozen",          false,   true,   "a freeze"),
        ("open-frozen-override", true,    true,   "a freeze that this person may override"),
    ];
    for (name, can_approve, can_reject, why) in cases {
        let html = html_of(name);
        let tags = tags(&html);
        let buttons = named(&tags, "decision");
        let is_enabled: Vec<_> = buttons.iter().map(|button| button.get("disabled").is_none()).collect();
        assert_eq!(is_enabled, [can_approve, can_reject], "{name}: {why}");
        for button in buttons.iter().filter(|button| button.get("disabled").is_some()) {
            assert_eq!(button.get("aria-describedby"), Some("obstacles"), "{name}: {why}");
        }
        assert_eq!(named(&tags, "override").len(), usize::from(name == "open-frozen-override"), "{name}: {why}");
    }
}

#[test]
fn an_error_stands_by_its_field_and_what_was_typed_stays() {
    let html = html_of("after-no-comment");
    let invalid = |html: &str| -> Vec<String> {
        let tags = tags(html);
        let invalid = tags.iter().filter(|tag| tag.is("aria-invalid", "true"));
        invalid.map(|tag| tag.get("aria-describedby").unwrap().to_owned()).collect()
    };
    assert_eq!(invalid(&html), ["sha-error sha-hint", "comment-error comment-hint"]);
    assert!(html.contains("<title>Not counted: Let 1a2b3c4 into web-production?"));
    let html = html_of("after-wrong-digits");
    assert_eq!(invalid(&html), ["sha-error sha-hint"]);
    assert!(html.contains("\nLooks right to me.</textarea>"));
    assert_eq!(invalid(&html_of("after-frozen")), ["override-error"]);
    assert_eq!(invalid(&html_of("open")), [""; 0]);
}

#[test]
fn what_is_long_is_counted() {
    let mut view = usual();
    view.since.commits = vec![view.since.commits[0].clone(); 10_000];
    view.checks = vec![view.checks[0].clone(); 10_000];
    view.policy.groups[0].people = vec![view.policy.groups[0].people[0].clone(); 10_000];
    let html = render(&view).unwrap();
    assert_eq!(html.matches("and 9950 more").count(), 3);
    assert!(html.len() < 100_000, "{} bytes", html.len());
}

#[test]
fn the_style_is_the_one_that_the_headers_allow() {
    let headers = headers(true);
    let policy = &headers.iter().find(|(name, _)| *name == "content-security-policy").unwrap().1;
    for (name, html) in all() {
        assert_eq!(html.matches("<style").count(), 1, "{name}");
        let hash = STANDARD.encode(Sha256::digest(style(&html)));
        assert!(policy.contains(&format!("style-src 'sha256-{hash}';")), "{name}");
    }
}

#[test]
fn the_headers_of_every_answer() {
    let told = |is_https| {
        let lines = headers(is_https).into_iter().map(|(name, value)| format!("{name}: {value}"));
        lines.collect::<Vec<_>>()
    };
    let policy = told(true).remove(1);
    assert!(policy.starts_with("content-security-policy: default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.ends_with("; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"), "{policy}");
    let others: Vec<_> = told(true).into_iter().filter(|line| *line != policy).collect();
    insta::assert_snapshot!(others.join("\n"), @"
    content-type: text/html; charset=utf-8
    referrer-policy: no-referrer
    cache-control: no-store
    x-content-type-options: nosniff
    x-frame-options: DENY
    cross-origin-opener-policy: same-origin
    cross-origin-resource-policy: same-origin
    permissions-policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()
    x-robots-tag: noindex, nofollow
    strict-transport-security: max-age=31536000
    ");
    assert!(!told(false).iter().any(|line| line.starts_with("strict-transport-security")));
}

#[test]
fn the_small_pages() {
    let told = Notice::ALL
        .map(|which| format!("{} {}", which.status(), body_text(&notice(which).unwrap()).replace('\n', " | ")));
    insta::assert_snapshot!(told.join("\n"), @"
    404 Pointsman | This link opens nothing | Mail programs cut long links off. Open it from the mail again, or copy all of it.
    410 Pointsman | There is a newer link | You were sent another mail about the same approval. Open the link in the newest one.
    405 Pointsman | This page is only read and answered | Open the link from your mail in a browser.
    413 Pointsman | That was too much | Nothing was counted. Open the link from your mail, and say it in fewer words.
    415 Pointsman | That was not the form of the page | Nothing was counted. Open the link from your mail, and answer there.
    403 Pointsman | That did not come from the page | Nothing was counted. Open the link from your mail in a browser that is up to date, and answer there.
    400 Pointsman | The form was not whole | Nothing was counted. Open the link from your mail, and answer there.
    503 Pointsman | Not just now | Load the page again in a minute: it says whether an answer of yours was counted.
    ");
}

#[test]
fn a_page_that_asks() {
    insta::assert_snapshot!(body_text(&html_of("open-newer-waits")), @"
    Pointsman
    You are asked as ada@example.com
    Let 1a2b3c4 into web-production?
    Round the cart's total once, at the end by Lin Mei
    1 more approval wanted
    Expires in 23 h 24 min, on 22 Nov 2026, 14:05 UTC
    A newer execution waits behind this one: rejecting lets 5e6f7a8 in
    Go to your decision
    What would go live
    Repository acme/shop
    Branch production
    Commit 1a2b3c48192a3b4c5d6e7f8091a2b3c4d5e6f708
    Started pushed by linmei
    Image sha256:7d1a6c0f4be25a9be3f4d5c6b7a8990f1e2d3c4b5a69788796a5b4c3d2e1f00d
    Where: web-production
    Region Runs now Since
    us-east-1 9f8e7d6 19 Nov 2026, 09:12 UTC
    eu-west-2 9f8e7d6 19 Nov 2026, 09:12 UTC
    Commits since 9f8e7d6, which runs now
    1a2b3c4 Round the cart's total once, at the end Lin Mei
    77aa10c Show the delivery date in the buyer's own time zone Lin Mei
    c0ffee1 Bump serde from 1.0.227 to 1.0.228 dependabot[bot]
    Checks
    Action Result When
    Source / GitHub ✓ succeeded 21 Nov 2026, 13:48 UTC
    Build / Image ✓ succeeded 21 Nov 2026, 13:55 UTC
    Test / Browser ✓ succeeded 21 Nov 2026, 14:01 UTC
    Image scan
    ✓ Nothing blocks, scanned on 21 Nov 2026, 14:02 UTC. What does not pass here: CRITICAL, HIGH.
    1 HIGH
    4 MEDIUM
    17 LOW
    Waived
    CVE-2026-0001 HIGH, accepted by grace@example.com until 31 Dec 2026: not reachable: the parser is not built
    Freeze
    ✓ None now
    Who decides
    devops ✓ 1 of 1 approved
    ada@example.com you – not answered yet
    grace@example.com ✓ approved 21 Nov 2026, 14:32 UTC
    Tried it on staging. The totals are right now.
    product – 0 of 1 approved
    omar@example.com – not answered yet
    lin.mei@example.com ! may not approve wrote 1a2b3c4 and 77aa10c
    Your decision
    First seven digits of the commit
    They prove that you read which one it is: 1a2b3c4
    Comment
    Needed to reject. Everybody who is asked can read it.
    Approve
    Reject
    After your approval, 1 more is wanted.
    One rejection ends it, and lets 5e6f7a8 (Revert the new totals) in.
    Approval ap-4f1f6a0c9b3d27e8a510 of execution 3f8a2c1d-5b7e-4f60-9a1b-2c3d4e5f6071 in pipeline shop-production. Made on 21 Nov 2026, 14:41 UTC; load it again for what is true by then.
    The link to this page is yours alone. Looking at it changes nothing.
    ");
}

#[test]
fn what_stands_in_the_way() {
    let told = open_pages().into_iter().map(|(name, view)| {
        let html = render(&view).unwrap();
        let obstacles =
            if html.contains("id=\"obstacles\"") { between(&html, "id=\"obstacles\">", "</div>") } else { "" };
        format!("{name}: {}", text(obstacles).replace('\n', " "))
    });
    let told: Vec<_> = told.filter(|line| line.starts_with("open-") && !line.ends_with(": ")).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    open-barred: You may only reject: you wrote 1a2b3c4 and 77aa10c.
    open-voted: You approved on 21 Nov 2026, 14:32 UTC. You may still reject.
    open-no-member: You are no approver any more. Your answer would not count.
    open-quarantined: Kept out: 1a2b3c4 was turned back here in in-77: lift its quarantine first. You may reject.
    open-findings: Findings block. They are named under Image scan. You may reject.
    open-scan-awaited: The image scan is not there yet. Load this page again later, or reject.
    open-scan-missing: Scan missing. Without a scan nothing is approved here; you may reject.
    open-image-unknown: Image not known. Without a scan of it nothing is approved here; you may reject.
    open-commit-unknown: Commit not known. What nobody knows is not approved; you may reject.
    open-frozen: Frozen. Nothing is approved until the freeze ends; you may reject.
    open-frozen-override: Frozen. You may override it, if you say why.
    open-out-of-reach: It cannot be approved any more: product wants 1, and nobody in it may approve. You may reject, or let it expire.
    ");
}

#[test]
fn how_it_ended() {
    let told = ended_pages().into_iter().map(|(name, view)| {
        let html = render(&view).unwrap();
        let heading = text(between(&html, "<h1>", "</h1>"));
        let outcome = text(between(&html, "How it ended</h2>", "</section>")).replace('\n', " ");
        format!("{name}: {heading} | {outcome}")
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    ended-approved: Approved: 1a2b3c4 for web-production | ✓ Approved By grace@example.com and omar@example.com, on 21 Nov 2026, 15:01 UTC. ✓ CodePipeline took the answer on 21 Nov 2026, 15:01 UTC.
    ended-approved-by-you: Approved: 1a2b3c4 for web-production | ✓ Approved By grace@example.com and omar@example.com, on 21 Nov 2026, 15:01 UTC. ! CodePipeline is being told. The decision is recorded; load this page again to see that it arrived.
    ended-override: Approved: 1a2b3c4 for web-production | ✓ Approved By ada@example.com, on 21 Nov 2026, 15:01 UTC. A freeze was overridden. ✓ CodePipeline took the answer on 21 Nov 2026, 15:01 UTC.
    ended-rejected: Rejected: 1a2b3c4 for web-production | ✕ Rejected By omar@example.com, on 21 Nov 2026, 15:01 UTC: The total is wrong again for gift cards. See the second order in staging. ✓ CodePipeline took the answer on 21 Nov 2026, 15:01 UTC.
    ended-came-second: Rejected: 1a2b3c4 for web-production | ✕ Rejected By omar@example.com, on 21 Nov 2026, 15:01 UTC: The total is wrong again for gift cards. See the second order in staging. ✓ CodePipeline took the answer on 21 Nov 2026, 15:01 UTC.
    ended-expired: Expired: 1a2b3c4 for web-production | – Expired Not enough people had answered by 21 Nov 2026, 15:01 UTC. It did not go in. ✓ CodePipeline took the answer on 21 Nov 2026, 15:01 UTC.
    ended-console: Approved: 1a2b3c4 for web-production | ✓ Approved in the AWS console By arn:aws:sts::123456789012:assumed-role/Admin/omar, on 21 Nov 2026, 15:01 UTC. Votes given here did not decide it. hotfix, see INC-7
    ended-rollback: Passed: 1a2b3c4 for web-production | ✓ Passed without votes rollback of in-77 to 9f8e7d6, approved on 19 Nov 2026 by grace@example.com, on 21 Nov 2026, 15:01 UTC. ✓ CodePipeline took the answer on 21 Nov 2026, 15:01 UTC.
    ended-turned-back: Turned back: 1a2b3c4 for web-production | ✕ Turned back This version was turned back in in-77, and with that rejected here on 21 Nov 2026, 15:01 UTC. ✓ CodePipeline took the answer on 21 Nov 2026, 15:01 UTC.
    ended-stopped: Ended: 1a2b3c4 for web-production | – Stopped The execution was stopped on 21 Nov 2026, 15:01 UTC. Nothing is left to decide.
    ended-edited: Ended: 1a2b3c4 for web-production | – Pipeline edited The pipeline was edited on 21 Nov 2026, 15:01 UTC, which ends every execution in it. Nothing is left to decide.
    ended-retried: Ended: 1a2b3c4 for web-production | – Stage retried The stage was retried on 21 Nov 2026, 15:01 UTC, and asks anew: there is another mail, with another link.
    ended-superseded: Ended: 1a2b3c4 for web-production | – Superseded A newer execution took its place on 21 Nov 2026, 15:01 UTC. Nothing is left to decide.
    ended-not-told: Approved: 1a2b3c4 for web-production | ✓ Approved By grace@example.com and omar@example.com, on 21 Nov 2026, 15:01 UTC. ✕ CodePipeline could not be told: InvalidApprovalToken: the approval is not there any more. The decision is recorded, and was not carried out.
    ");
}

#[test]
fn what_became_of_an_answer() {
    let told =
        open_pages().into_iter().chain(ended_pages()).filter(|(_, view)| view.banner.is_some()).map(|(name, view)| {
            let html = render(&view).unwrap();
            format!("{name}: {}", text(between(&html, "autofocus>", "</div>")).replace('\n', " | "))
        });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    after-override: You have put the freeze aside | For this approval alone. It is no approval: those who are wanted still decide.
    after-vote-counted: Your approval is counted | 1 more is wanted. You may still reject until it is decided.
    after-wrong-digits: Your answer was not counted | Those are not the seven digits. Read them on this page, and type them.
    after-no-comment: Your answer was not counted | Those are not the seven digits. Read them on this page, and type them. | Say why you reject it.
    after-frozen: Your answer was not counted | Nothing is approved in a freeze, unless somebody overrides it.
    after-blocked: Your answer was not counted | It cannot be approved as it stands.
    after-removed: Your answer was not counted | You are no approver any more.
    hostile: Your answer was not counted | Those are not the seven digits. Read them on this page, and type them. | The comment is too long.
    ended-approved-by-you: Your answer is counted, and decided it
    ended-came-second: It was over before your answer came | Your answer counts for nothing. What you read here is how it ended.
    ");
}

/// Writes every page into the folder `POINTSMAN_PAGES`, to be looked at in a browser.
#[test]
#[ignore = "for people who want to look at the pages"]
#[allow(clippy::disallowed_methods, reason = "whoever runs this by hand says where to")]
fn pages_to_look_at() {
    let folder = std::env::var("POINTSMAN_PAGES").unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    for (name, html) in all() {
        std::fs::write(format!("{folder}/{name}.html"), html).unwrap();
    }
}
