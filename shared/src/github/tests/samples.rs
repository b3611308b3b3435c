//! The files under `events/`: each is what its name says.

use super::{Payload, change, read_json};
use crate::domain::change::{Change, ChangeKind, GitRef, Paths, PathsUnknown, People};
use crate::domain::event::{self, Event, Said};
use crate::domain::execution::TargetKind;
use crate::domain::observed::{Report, State};
use crate::domain::routing::never_starts;
use std::collections::BTreeSet;

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../../../../events/", $name)))),*] };
}

/// The bodies of webhooks.
const GITHUB: &[(&str, &str)] = files![
    "create.json",
    "delete.json",
    "ping.json",
    "pull_request-fork.json",
    "pull_request-opened.json",
    "push-annotated-tag.json",
    "push-delete.json",
    "push-forced.json",
    "push-monorepo.json",
    "push-production.json",
    "push-staging.json",
    "push-tag.json",
    "push.json",
    "release-created.json",
    "release-published.json",
    "release-released.json",
    "star.json",
    "workflow_run-completed.json",
    "workflow_run-fork.json",
];

/// What EventBridge delivers.
const AWS: &[(&str, &str)] = files![
    "approval-started.json",
    "cloudwatch-alarm-composite.json",
    "cloudwatch-alarm.json",
    "codebuild-build.json",
    "codedeploy-deployment.json",
    "codepipeline-action.json",
    "codepipeline-pipeline.json",
    "codepipeline-stage.json",
    "devops-guru-insight.json",
    "ecr-push.json",
    "ecs-deployment.json",
    "guardduty-finding.json",
    "inspector-finding.json",
    "inspector-scan.json",
];

/// Read by the tests of the function that gets it, or by those of the whole.
const ELSEWHERE: &[&str] = &["api-gateway-webhook.json", "approval-notification.json", "README.md"];

pub(super) fn github() -> impl Iterator<Item = (&'static str, &'static str)> {
    GITHUB.iter().copied()
}

/// The text of a sample.
pub(super) fn text(name: &str) -> &'static str {
    GITHUB.iter().chain(AWS).find(|(file, _)| *file == name).unwrap().1
}

/// The event that a file is of: what stands before the first `-` or `.`.
pub(super) fn event(name: &str) -> &str {
    name.split(['-', '.']).next().unwrap()
}

fn sample(name: &str) -> Change {
    change(read_json(event(name), text(name)))
}

#[test]
#[allow(clippy::disallowed_methods, reason = "cargo tells by the environment in which clone this runs")]
fn every_file_is_read_by_a_test_and_described() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../events";
    let there: BTreeSet<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let known = GITHUB.iter().chain(AWS).map(|(name, _)| *name).chain(ELSEWHERE.iter().copied());
    assert_eq!(there, known.map(str::to_owned).collect());

    let readme = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    for name in there.iter().filter(|name| name.ends_with(".json")) {
        assert!(readme.contains(&format!("| `{name}` |")), "events/README.md has no line for {name}");
    }
}

#[test]
fn every_github_sample_is_what_its_name_says() {
    #[rustfmt::skip]
    let cases = [
        // file                         never starts, and why
        ("create.json",                 "the creation of a ref starts nothing: the push of it does"),
        ("delete.json",                 "branch \"feature/hat-sizes\" was deleted"),
        ("pull_request-fork.json",      "pull request #418 comes from a fork: forks never start anything"),
        ("pull_request-opened.json",    ""),
        ("push-annotated-tag.json",     ""),
        ("push-delete.json",            "branch \"feature/hat-sizes\" was deleted"),
        ("push-forced.json",            ""),
        ("push-monorepo.json",          ""),
        ("push-production.json",        ""),
        ("push-staging.json",           ""),
        ("push-tag.json",               ""),
        ("push.json",                   ""),
        ("release-created.json",        "a release that is \"created\" starts nothing: only a published one does"),
        ("release-published.json",      ""),
        ("release-released.json",       "a release that is \"released\" starts nothing: only a published one does"),
        ("star.json",                   "no route is for the event \"star\""),
        ("workflow_run-completed.json", ""),
        ("workflow_run-fork.json",      "the workflow run is of a fork: forks never start anything"),
    ];
    for (name, expected) in cases {
        let change = sample(name);
        assert_eq!(change.kind.event(), event(name), "{name}");
        assert_eq!(never_starts(&change).map(|never| never.to_string()).unwrap_or_default(), expected, "{name}");
        let repository = change.repository.unwrap();
        let expected =
            if name == "push-monorepo.json" { (512_774_908, "acme/monorepo") } else { (496_201_733, "acme/shop") };
        assert_eq!((repository.id, repository.full_name.as_str()), expected, "{name}");
        assert!(change.sender.is_some(), "{name}");
    }
    assert_eq!(cases.len() + 1, GITHUB.len(), "ping is the one that is no change");
    assert_eq!(read_json("ping", text("ping.json")), Ok(Payload::Ping));
}

#[test]
fn the_pushes_tell_what_moved_and_which_files() {
    let branch = |name: &str| GitRef::Branch(name.to_owned());
    let tag = |name: &str| GitRef::Tag(name.to_owned());
    let known = |files: &[&str]| Paths::Known(files.iter().map(|file| (*file).to_owned()).collect());
    #[rustfmt::skip]
    let cases = [
        // file                      what moved                  `after` is the commit   files
        ("push.json",                branch("main"),              true,  known(&["docs/checkout.md", "services/web/src/cart.ts", "services/web/src/checkout_old.ts", "services/web/src/price.ts", "services/web/src/routes.ts"])),
        ("push-staging.json",        branch("staging"),           true,  known(&["services/web/src/cart.ts", "services/web/src/routes.ts"])),
        ("push-production.json",     branch("production"),        true,  known(&["services/web/src/cart.ts", "services/web/src/routes.ts"])),
        ("push-tag.json",            tag("v1.4.0"),               true,  Paths::NotKnowable(PathsUnknown::Created)),
        ("push-annotated-tag.json",  tag("v1.5.0"),               false, Paths::NotKnowable(PathsUnknown::Created)),
        ("push-delete.json",         branch("feature/hat-sizes"), false, Paths::NotKnowable(PathsUnknown::NoCommits)),
        ("push-forced.json",         branch("main"),              true,  Paths::NotKnowable(PathsUnknown::Forced)),
        ("push-monorepo.json",       branch("main"),              true,  known(&["docs/gift-cards.md", "services/catalogue/src/items.rs", "services/checkout/src/gift_card.rs", "services/checkout/src/lib.rs"])),
    ];
    for (name, git_ref, is_commit, paths) in cases {
        let ChangeKind::Push(push) = sample(name).kind else { panic!("{name}") };
        assert_eq!(push.git_ref, git_ref, "{name}");
        assert_eq!(push.head.as_ref().is_some_and(|head| head.sha == push.after), is_commit, "{name}");
        assert_eq!(push.head.is_none(), push.deleted, "{name}");
        assert_eq!((push.created, push.deleted), (push.before.is_zero(), push.after.is_zero()), "{name}");
        assert_eq!(push.paths, paths, "{name}");
        assert!(push.pushed_at.is_some_and(|at| at > 1_772_000_000) && push.pusher.is_some(), "{name}");
    }
}

#[test]
fn the_pushes_tell_who_made_them() {
    let told = |name: &str| {
        let ChangeKind::Push(push) = sample(name).kind else { panic!("{name}") };
        let listed = push.listed.unwrap();
        let people = match listed.people {
            People::Known(people) => people.iter().filter_map(|one| one.login.clone()).collect::<Vec<_>>().join(" "),
            People::NotKnowable(why) => format!("{why:?}"),
        };
        let titles: Vec<_> = listed.newest.iter().map(|commit| commit.title.as_str()).collect();
        format!("{name}: {people}; {} listed: [{}]", listed.count, titles.join(", "))
    };
    let pushes: Vec<_> =
        GITHUB.iter().filter(|(name, _)| name.starts_with("push")).map(|(name, _)| told(name)).collect();
    insta::assert_snapshot!(pushes.join("\n"), @r"
    push-annotated-tag.json: Created; 0 listed: []
    push-delete.json: NoCommits; 0 listed: []
    push-forced.json: Forced; 1 listed: [Show the price with tax, rounded]
    push-monorepo.json: grace; 2 listed: [List gift cards in the catalogue, Take gift cards at the till]
    push-production.json: grace; 1 listed: [Merge staging into production]
    push-staging.json: grace; 1 listed: [Merge main into staging]
    push-tag.json: Created; 0 listed: []
    push.json: ada grace; 2 listed: [Drop the old checkout form (#412), Show the price with tax]
    ");
}

#[test]
fn one_release_sends_three_events() {
    let [created, published, released] = ["created", "published", "released"].map(|action| {
        let ChangeKind::Release(release) = sample(&format!("release-{action}.json")).kind else { panic!("{action}") };
        assert_eq!(release.action, action);
        release
    });
    assert_eq!((created.id, published.id), (published.id, released.id));
    assert_eq!((published.tag.as_str(), published.target.as_str()), ("v1.4.0", "main"));
    assert_eq!(published.published_at, Some(1_772_463_746));
}

#[test]
fn every_aws_sample_says_what_its_name_says() {
    #[rustfmt::skip]
    let cases = [
        // file                        target             what it reports
        ("codepipeline-pipeline.json", "shop-production", "whole Started, by StartPipelineExecution"),
        ("codepipeline-stage.json",    "shop-production", "stage Build Succeeded"),
        ("codepipeline-action.json",   "shop-production", "action Build/BuildImage (Build) Succeeded, shop-image:5b0f8a44-93f1-4a56-8c41-0d5b7c0f2e61"),
        ("approval-started.json",      "shop-production", "action Approve/Approve (Approval) Started, without a link"),
        ("codebuild-build.json",       "shop-checks",     "whole Succeeded, by StartBuild"),
    ];
    for (name, expected, expected_report) in cases {
        let event: Event = serde_json::from_str(text(name)).unwrap();
        let Said::Reported { target, report, .. } = event::read(&event) else { panic!("{name}") };
        let kind = if name.starts_with("codebuild") { TargetKind::Build } else { TargetKind::Pipeline };
        assert_eq!(
            (target.kind, target.name.as_str(), target.region.as_str()),
            (kind, expected, "us-east-1"),
            "{name}"
        );
        assert_eq!(told(&report), expected_report, "{name}");
    }
    let event: Event = serde_json::from_str(text("ecr-push.json")).unwrap();
    let Said::ImagePushed { sha, image } = event::read(&event) else { panic!("no image") };
    let ChangeKind::Push(push) = sample("push-production.json").kind else { panic!("no push") };
    assert_eq!(sha, push.after, "the image is tagged with the commit that went to production");
    assert!(image.starts_with("shop/web@sha256:"), "{image}");
    assert_eq!(cases.len() + 3 + SIGNALS.len(), AWS.len(), "those of the image, and the signals, are the others");

    let read = |name: &str| event::read(&serde_json::from_str(text(name)).unwrap());
    let Said::ImageScanned { digest, repository, scan } = read("inspector-scan.json") else { panic!("no scan") };
    assert!(image.ends_with(&format!("@{digest}")), "the scan is of the image that was pushed");
    let Said::Found { images, .. } = read("inspector-finding.json") else { panic!("no finding") };
    let finding = &images[&digest];
    assert_eq!((finding.vulnerability.as_str(), finding.repository.as_str()), ("CVE-2026-0001", repository.as_str()));
    assert_eq!(scan.counts[&finding.severity], 1, "the scan counted the finding");
}

/// What the files say of which `guard` and `rollback` are told.
#[rustfmt::skip]
const SIGNALS: [(&str, &str); 6] = [
    ("cloudwatch-alarm.json",           "Metric alarm shop-production-errors is ALARM"),
    ("cloudwatch-alarm-composite.json", "Composite alarm shop-production-health is ALARM"),
    ("codedeploy-deployment.json",      "d-4N7QX2V1Z Succeeded"),
    ("ecs-deployment.json",             "ecs-svc/1234567890123456789 Succeeded"),
    ("devops-guru-insight.json",        "HIGH insight into shop-production"),
    ("guardduty-finding.json",          "CryptoCurrency:Runtime/BitcoinTool.B!DNS"),
];

#[test]
fn every_signal_says_what_its_name_says() {
    for (name, expected) in SIGNALS {
        let said = match event::read(&serde_json::from_str(text(name)).unwrap()) {
            Said::AlarmChanged(change) => format!("{:?} alarm {} is {}", change.kind, change.name, change.state),
            Said::DeploymentMoved(moved) => format!("{} {:?}", moved.id, moved.state),
            Said::InsightOpened { severity, about, .. } => format!("{severity} insight into {}", about.join(", ")),
            Said::ThreatFound { kind, .. } => kind,
            Said::Reported { .. }
            | Said::ImagePushed { .. }
            | Said::ImageScanned { .. }
            | Said::Found { .. }
            | Said::Nothing => "something else".to_owned(),
        };
        assert_eq!(said, expected, "{name}");
    }
}

fn told(report: &Report) -> String {
    let state = |state: State| format!("{state:?}");
    match report {
        Report::Whole { mark, trigger } => {
            format!("whole {}, by {}", state(mark.state), trigger.as_ref().unwrap().kind)
        }
        Report::Stage { stage, mark } => format!("stage {stage} {}", state(mark.state)),
        Report::Action { stage, action, category, mark, link } => {
            let link = link.as_ref().map_or("without a link", |link| link.id.as_str());
            format!("action {stage}/{action} ({category}) {}, {link}", state(mark.state))
        }
    }
}
