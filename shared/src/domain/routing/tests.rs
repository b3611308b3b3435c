//! Changes against routes, in tables: what matches, and the sentence for what does not.

use super::*;
use crate::domain::change::{Commit, DeliveryId, Person};
use crate::domain::route::Target;
use jiff::Timestamp;
use proptest::prelude::*;

const BEFORE: &str = "1111111111111111111111111111111111111111";
const AFTER: &str = "2222222222222222222222222222222222222222";
const COMMIT: &str = "3333333333333333333333333333333333333333";
const REPOSITORY: u64 = 7;
const FORK: u64 = 8;

fn sha(text: &str) -> Sha {
    text.parse().unwrap()
}

fn patterns(list: &[&str]) -> Patterns {
    Patterns::new(list.iter().map(|pattern| (*pattern).to_owned()).collect())
}

fn change(kind: ChangeKind) -> Change {
    Change {
        delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958".parse::<DeliveryId>().unwrap(),
        received_at: Timestamp::UNIX_EPOCH,
        repository: Some(Repository { id: REPOSITORY, full_name: "Acme/Shop".to_owned() }),
        sender: Some("ada".to_owned()),
        kind,
    }
}

fn push_of(git_ref: &str) -> Push {
    let commit = Commit {
        sha: sha(AFTER),
        title: "a change".to_owned(),
        author: Person::default(),
        committer: Person::default(),
    };
    Push {
        git_ref: GitRef::from(git_ref.to_owned()),
        before: sha(BEFORE),
        after: sha(AFTER),
        head: Some(commit),
        pushed_at: Some(1),
        created: false,
        deleted: false,
        forced: false,
        pusher: Some("ada".to_owned()),
        pusher_email: None,
        paths: Paths::Known(vec!["services/web/main.rs".to_owned(), "README.md".to_owned()]),
        listed: None,
    }
}

fn push(git_ref: &str, edit: impl FnOnce(&mut Push)) -> Change {
    let mut push = push_of(git_ref);
    edit(&mut push);
    change(ChangeKind::Push(push))
}

fn pull_request(edit: impl FnOnce(&mut PullRequest)) -> Change {
    let mut pull_request = PullRequest {
        number: 5,
        action: "opened".to_owned(),
        head: sha(AFTER),
        head_ref: "topic".to_owned(),
        head_repository: Some(REPOSITORY),
        base_ref: "main".to_owned(),
        updated_at: Some(1),
    };
    edit(&mut pull_request);
    change(ChangeKind::PullRequest(pull_request))
}

fn run(edit: impl FnOnce(&mut WorkflowRun)) -> Change {
    let mut run = WorkflowRun {
        id: 9,
        attempt: 1,
        action: "completed".to_owned(),
        conclusion: Some("success".to_owned()),
        event: "push".to_owned(),
        workflow: "CI".to_owned(),
        head_branch: Some("main".to_owned()),
        head: sha(AFTER),
        head_repository: Some(REPOSITORY),
        created_at: Some(1),
    };
    edit(&mut run);
    change(ChangeKind::WorkflowRun(run))
}

fn release(edit: impl FnOnce(&mut Release)) -> Change {
    let mut release = Release {
        id: 3,
        action: "published".to_owned(),
        tag: "v1.2.3".to_owned(),
        target: "main".to_owned(),
        published_at: Some(1),
    };
    edit(&mut release);
    change(ChangeKind::Release(release))
}

fn route_for(trigger: Trigger) -> Route {
    Route {
        name: "shop".to_owned(),
        repository: "acme/shop".to_owned(),
        trigger,
        target: Target::Pipeline { name: "shop".to_owned(), region: "us-east-1".to_owned(), source_action: None },
        environment: None,
        environment_has_approval: false,
        approval: None,
        variables: BTreeMap::new(),
    }
}

fn on_push(branch: &[&str], paths: &[&str]) -> Route {
    route_for(Trigger::Push { branch: patterns(branch), paths: patterns(paths) })
}

fn on_tag(tag: &[&str]) -> Route {
    route_for(Trigger::Tag { tag: patterns(tag) })
}

fn on_pull_request(branch: &[&str]) -> Route {
    route_for(Trigger::PullRequest { branch: patterns(branch) })
}

fn on_run(branch: &[&str], workflow_name: Option<&str>) -> Route {
    route_for(Trigger::WorkflowRun { branch: patterns(branch), workflow_name: workflow_name.map(str::to_owned) })
}

fn on_release(tag: &[&str]) -> Route {
    route_for(Trigger::Release { tag: patterns(tag) })
}

fn approved(route: Route) -> Route {
    Route { environment: Some("web".to_owned()), environment_has_approval: true, ..route }
}

/// What becomes of one route, as text: `SHA-DIGIT REF (note)`, or the sentence.
fn outcome(change: &Change, route: Route) -> String {
    let config = RepositoryConfig { full_name: "acme/shop".to_owned(), routes: vec![route] };
    let verdicts = super::route(change, &config);
    assert_eq!(verdicts.len(), 1);
    match &verdicts[0].outcome {
        Outcome::RuledOut(ruled_out) => ruled_out.to_string(),
        Outcome::Matched(Matched { sha, git_ref, note }) => {
            let sha = match sha {
                MatchedCommit::Known(sha) => sha.as_str()[..1].to_owned(),
                MatchedCommit::OfTag { tag, fallback: None } => format!("of {tag}"),
                MatchedCommit::OfTag { tag, fallback: Some(sha) } => format!("of {tag} or {}", &sha.as_str()[..1]),
            };
            let git_ref = git_ref.as_ref().map_or("no ref".to_owned(), ToString::to_string);
            let note = note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
            format!("{sha} {git_ref}{note}")
        }
    }
}

fn check(cases: Vec<(Change, Route, &str, &str)>) {
    for (change, route, expected, why) in cases {
        assert_eq!(outcome(&change, route), expected, "{why}");
    }
}

const MAIN: &str = "refs/heads/main";

#[test]
fn pushes_of_branches() {
    let zzz = "refs/heads/zzz\";echo${IFS}\"hello\";#";
    #[rustfmt::skip]
    check(vec![
        (push(MAIN, |_| ()), on_push(&["main"], &[]), "2 refs/heads/main", "the branch, at where it points now"),
        (push(MAIN, |_| ()), on_push(&[], &[]), "2 refs/heads/main", "no filter filters nothing"),
        (push("refs/heads/dev", |_| ()), on_push(&["production"], &[]),
            r#"branch "dev" matches none of ["production"]"#, "another branch"),
        (push("refs/heads/Main", |_| ()), on_push(&["main"], &[]),
            r#"branch "Main" matches none of ["main"]"#, "case counts"),
        (push("refs/heads/refs/heads/main", |_| ()), on_push(&["main"], &[]),
            r#"branch "refs/heads/main" matches none of ["main"]"#, "one prefix is taken off, once"),
        (push("refs/heads/wip/a", |_| ()), on_push(&["**", "!wip/**"], &[]),
            r#"branch "wip/a" is excluded by "!wip/**""#, "excluded"),
        (push("refs/tags/main", |_| ()), on_push(&["main"], &[]),
            "the route is for push, and this is a push of a tag", "a tag may be called main"),
        (push(zzz, |_| ()), on_push(&["main"], &[]),
            r#"branch "zzz\";echo${IFS}\"hello\";#" matches none of ["main"]"#, "hostile names are quoted"),
        (push("refs/heads/a\u{202e}b\nc", |_| ()), on_push(&["main"], &[]),
            r#"branch "a\u{202e}b\nc" matches none of ["main"]"#, "and what is invisible is shown"),
        (push(MAIN, |push| push.head = None), on_push(&["main"], &[]), "2 refs/heads/main", "`after` says it all"),
        (push(MAIN, |push| if let Some(head) = &mut push.head { head.sha = sha(COMMIT) }), on_push(&["main"], &[]),
            "2 refs/heads/main", "a branch is where it points, whatever head_commit says"),
    ]);
}

#[test]
fn a_long_name_is_cut_in_sentences() {
    let name = "ü".repeat(300);
    let sentence = outcome(&push(&format!("refs/heads/{name}"), |_| ()), on_push(&["main"], &[]));
    assert_eq!(sentence, format!(r#"branch "{}"… matches none of ["main"]"#, "ü".repeat(100)));
}

#[test]
fn paths_decide_only_when_they_are_known() {
    let unknown = |why: PathsUnknown| push(MAIN, |push| push.paths = Paths::NotKnowable(why));
    let files = |files: &[&str]| {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        push(MAIN, |push| push.paths = Paths::Known(files))
    };
    let web = || on_push(&["main"], &["services/web/**"]);
    #[rustfmt::skip]
    check(vec![
        (push(MAIN, |_| ()), web(), "2 refs/heads/main", "one of two files"),
        (files(&["docs/a.md"]), web(), r#"the changed file matches none of ["services/web/**"]"#, "none"),
        (files(&["docs/a.md", "b"]), web(),
            r#"none of the 2 changed files matches any of ["services/web/**"]"#, "none of two"),
        (files(&["Services/web/a"]), web(), r#"the changed file matches none of ["services/web/**"]"#, "case counts"),
        (files(&["services/web/../x"]), web(), "2 refs/heads/main", "a name is a name: no dots are resolved"),
        (files(&["services/web/a\nb"]), web(), "2 refs/heads/main", "a line break is a character"),
        (files(&["services/web/a.md"]), on_push(&["main"], &["services/**", "!**/*.md"]),
            r#"the changed file matches none of ["services/**", "!**/*.md"]"#, "excluded files do not count"),
        (files(&["services/web/a.md", "services/web/b"]), on_push(&["main"], &["services/**", "!**/*.md"]),
            "2 refs/heads/main", "the others do"),
        (unknown(PathsUnknown::Forced), web(), "2 refs/heads/main (paths not knowable: forced)", "forced"),
        (unknown(PathsUnknown::Created), web(), "2 refs/heads/main (paths not knowable: created)", "new"),
        (unknown(PathsUnknown::NoCommits), web(), "2 refs/heads/main (paths not knowable: no commits listed)", "empty"),
        (unknown(PathsUnknown::TooManyCommits), web(),
            "2 refs/heads/main (paths not knowable: too many commits)", "cut off"),
        (unknown(PathsUnknown::Forced), on_push(&["main"], &[]), "2 refs/heads/main", "no filter, nothing to note"),
        (unknown(PathsUnknown::Forced), on_push(&["dev"], &["a/**"]),
            r#"branch "main" matches none of ["dev"]"#, "the branch decides first"),
        (files(&[]), web(), r#"none of the 0 changed files matches any of ["services/web/**"]"#, "an empty commit"),
    ]);
}

#[test]
fn tags() {
    let annotated = |push: &mut Push| {
        if let Some(head) = &mut push.head {
            head.sha = sha(COMMIT);
        }
    };
    #[rustfmt::skip]
    check(vec![
        (push("refs/tags/v1", |_| ()), on_tag(&["v*"]), "2 refs/tags/v1", "a light one points at the commit"),
        (push("refs/tags/v1", annotated), on_tag(&["v*"]), "3 refs/tags/v1", "an annotated one at its own object"),
        (push("refs/tags/v1", |push| push.head = None), on_tag(&["v*"]), r#"tag "v1" points at no commit"#, "a tree"),
        (push("refs/tags/x1", |_| ()), on_tag(&["v*"]), r#"tag "x1" matches none of ["v*"]"#, "another tag"),
        (push("refs/tags/v0.1", |_| ()), on_tag(&["v*", "!v0*"]), r#"tag "v0.1" is excluded by "!v0*""#, "excluded"),
        (push("refs/heads/v1", |_| ()), on_tag(&["v*"]),
            "the route is for tag, and this is a push of a branch", "a branch may be called v1"),
        (push("refs/notes/x", |_| ()), on_tag(&[]), r#""refs/notes/x" is neither a branch nor a tag"#, "a note"),
    ]);
}

#[test]
fn deletions_start_nothing() {
    let zero = |push: &mut Push| push.after = sha(Sha::ZERO);
    #[rustfmt::skip]
    check(vec![
        (push(MAIN, |push| push.deleted = true), on_push(&[], &[]), r#"branch "main" was deleted"#, "it says so"),
        (push(MAIN, zero), on_push(&[], &[]), r#"branch "main" was deleted"#, "it points nowhere"),
        (push("refs/tags/v1", zero), on_tag(&[]), r#"tag "v1" was deleted"#, "a tag too"),
        (change(ChangeKind::Deleted(GitRef::Tag("v1".into()))), on_tag(&[]), r#"tag "v1" was deleted"#, "the event"),
        (change(ChangeKind::Created(GitRef::Tag("v1".into()))), on_tag(&[]),
            "the creation of a ref starts nothing: the push of it does", "a pushed tag sends both"),
    ]);
}

#[test]
fn skip_ci_is_honoured_except_before_approvers() {
    let titled = |title: &'static str| {
        move |push: &mut Push| {
            if let Some(head) = &mut push.head {
                head.title = title.to_owned();
            }
        }
    };
    let main = || on_push(&["main"], &[]);
    #[rustfmt::skip]
    check(vec![
        (push(MAIN, titled("docs [skip ci]")), main(), "the commit's title says [skip ci]", "as asked"),
        (push(MAIN, titled("[ci skip] docs")), main(), "the commit's title says [ci skip]", "the other way round"),
        (push(MAIN, titled("skip ci")), main(), "2 refs/heads/main", "without brackets it is a title"),
        (push(MAIN, titled("docs [skip ci]")), approved(main()), "2 refs/heads/main", "approvers see everything"),
        (push("refs/tags/v1", titled("docs [skip ci]")), on_tag(&["v*"]),
            "the commit's title says [skip ci]", "tags too"),
        (push("refs/heads/dev", titled("docs [skip ci]")), main(),
            r#"branch "dev" matches none of ["main"]"#, "the branch decides first"),
    ]);
}

#[test]
fn pull_requests() {
    let with_action = |action: &'static str| pull_request(|it| it.action = action.to_owned());
    #[rustfmt::skip]
    check(vec![
        (pull_request(|_| ()), on_pull_request(&["main"]), "2 refs/heads/topic", "its head"),
        (with_action("synchronize"), on_pull_request(&[]), "2 refs/heads/topic", "new commits"),
        (with_action("reopened"), on_pull_request(&[]), "2 refs/heads/topic", "again"),
        (with_action("ready_for_review"), on_pull_request(&[]), "2 refs/heads/topic", "no draft any more"),
        (with_action("closed"), on_pull_request(&[]), r#"a pull request that is "closed" starts nothing"#, "over"),
        (with_action("labeled"), on_pull_request(&[]),
            r#"a pull request that is "labeled" starts nothing"#, "no commit"),
        (pull_request(|it| it.head_repository = Some(FORK)), on_pull_request(&[]),
            "pull request #5 comes from a fork: forks never start anything", "a fork"),
        (pull_request(|it| it.head_repository = None), on_pull_request(&[]),
            "pull request #5 comes from a fork: forks never start anything", "a fork that was deleted"),
        (pull_request(|it| it.base_ref = "dev".to_owned()), on_pull_request(&["main"]),
            r#"base branch "dev" matches none of ["main"]"#, "the branch it wants to enter"),
        (pull_request(|it| it.head_ref = "main".to_owned()), on_push(&["main"], &[]),
            "the route is for push, and this is a pull request", "no push"),
    ]);
}

#[test]
fn workflow_runs() {
    #[rustfmt::skip]
    check(vec![
        (run(|_| ()), on_run(&["main"], None), "2 refs/heads/main", "it succeeded"),
        (run(|_| ()), on_run(&["main"], Some("CI")), "2 refs/heads/main", "the workflow that is asked for"),
        (run(|_| ()), on_run(&["main"], Some("ci")), r#"workflow "CI" is not "ci""#, "another one"),
        (run(|it| it.action = "requested".into()), on_run(&[], None),
            r#"the workflow run is "requested", not completed"#, "not over"),
        (run(|it| it.conclusion = Some("failure".into())), on_run(&[], None),
            r#"the workflow run ended as "failure", not as success"#, "failed"),
        (run(|it| it.conclusion = None), on_run(&[], None), "the workflow run has no conclusion", "odd"),
        (run(|it| it.event = "pull_request".into()), on_run(&[], None),
            r#"the workflow run was started by "pull_request": its commit may be anybody's"#, "of a pull request"),
        (run(|it| it.event = "pull_request_target".into()), on_run(&[], None),
            r#"the workflow run was started by "pull_request_target": its commit may be anybody's"#, "its sibling"),
        (run(|it| it.head_repository = Some(FORK)), on_run(&["main"], None),
            "the workflow run is of a fork: forks never start anything", "a fork's branch may be called main"),
        (run(|it| it.head_repository = None), on_run(&["main"], None),
            "the workflow run is of a fork: forks never start anything", "a fork that was deleted"),
        (run(|it| it.head_branch = Some("dev".into())), on_run(&["main"], None),
            r#"branch "dev" matches none of ["main"]"#, "another branch"),
        (run(|it| it.head_branch = None), on_run(&["main"], None),
            "the workflow run has no branch, and the route asks for one", "no branch to match"),
        (run(|it| it.head_branch = None), on_run(&[], None), "2 no ref", "and none asked for"),
    ]);
}

#[test]
fn releases() {
    #[rustfmt::skip]
    check(vec![
        (release(|_| ()), on_release(&["v*"]), "of v1.2.3 refs/tags/v1.2.3", "the tag knows the commit"),
        (release(|it| it.target = COMMIT.into()), on_release(&[]), "of v1.2.3 or 3 refs/tags/v1.2.3", "a last resort"),
        (release(|it| it.target = Sha::ZERO.into()), on_release(&[]), "of v1.2.3 refs/tags/v1.2.3", "no commit at all"),
        (release(|it| it.target = COMMIT[..39].into()), on_release(&[]), "of v1.2.3 refs/tags/v1.2.3", "a branch name"),
        (release(|it| it.action = "created".into()), on_release(&[]),
            r#"a release that is "created" starts nothing: only a published one does"#, "the first of three events"),
        (release(|it| it.action = "released".into()), on_release(&[]),
            r#"a release that is "released" starts nothing: only a published one does"#, "the third"),
        (release(|it| it.tag = "x".into()), on_release(&["v*"]), r#"tag "x" matches none of ["v*"]"#, "another tag"),
        (release(|_| ()), on_tag(&["v*"]), "the route is for tag, and this is a release", "the tag's push starts that"),
    ]);
}

#[test]
fn what_belongs_nowhere() {
    let nowhere = Change { repository: None, ..push(MAIN, |_| ()) };
    let elsewhere = Route { repository: "acme/other".to_owned(), ..on_push(&[], &[]) };
    let broken = on_push(&["{a"], &[]);
    let other = change(ChangeKind::Other { event: "star".to_owned() });
    #[rustfmt::skip]
    check(vec![
        (nowhere, on_push(&[], &[]), "the event belongs to no repository", "an organisation's event"),
        (other, on_push(&[], &[]), r#"no route is for the event "star""#, "an unknown event"),
        (push(MAIN, |_| ()), elsewhere, r#"the route is not for the repository "Acme/Shop""#, "somebody else's routes"),
        (push(MAIN, |_| ()), broken, "the route holds a pattern that cannot be read: \
            unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)", "never a panic, never a match"),
    ]);
}

#[test]
fn every_route_gets_its_verdict_in_its_place() {
    let routes = vec![on_push(&["dev"], &[]), on_push(&["main"], &["services/web/**"]), on_tag(&[]), on_push(&[], &[])];
    let config = RepositoryConfig { full_name: "acme/shop".to_owned(), routes };
    let matched: Vec<bool> = super::route(&push(MAIN, |_| ()), &config)
        .iter()
        .map(|verdict| matches!(verdict.outcome, Outcome::Matched(_)))
        .collect();
    assert_eq!(matched, [false, true, false, true]);
}

#[test]
fn variables_hold_constants_the_commit_and_the_environment() {
    let mut route = approved(on_push(&[], &[]));
    let values = [("A", "web"), ("B", "{sha}"), ("C", "{environment}-{sha}"), ("D", "{\"a\": 1}")];
    route.variables = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let resolved = resolve_variables(&route, &sha(COMMIT));
    let seen: Vec<(&str, &str)> = resolved.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let both = format!("web-{COMMIT}");
    assert_eq!(seen, [("A", "web"), ("B", COMMIT), ("C", both.as_str()), ("D", "{\"a\": 1}")]);
}

proptest! {
    #[test]
    fn no_name_makes_it_panic_and_none_is_passed_on(
        branch in any::<String>(),
        title in any::<String>(),
        file in any::<String>(),
    ) {
        let change = push(&format!("refs/heads/{branch}"), |push| {
            push.paths = Paths::Known(vec![file]);
            if let Some(head) = &mut push.head {
                head.title = title;
            }
        });
        let mut route = on_push(&["**", "!wip/*"], &["a/**", "[x-z]*"]);
        route.variables = BTreeMap::from([("A".to_owned(), "{sha}".to_owned())]);
        let sentence = outcome(&change, route.clone());
        prop_assert!(!sentence.contains('\n') || sentence.starts_with('2'), "{sentence}");
        prop_assert_eq!(&resolve_variables(&route, &sha(AFTER))["A"], AFTER);
    }

    #[test]
    fn a_deletion_never_starts(branch in "[a-z/]{1,20}", created in any::<bool>(), forced in any::<bool>()) {
        let change = push(&format!("refs/heads/{branch}"), |push| {
            (push.created, push.forced, push.deleted) = (created, forced, true);
        });
        let config = RepositoryConfig { full_name: "acme/shop".to_owned(), routes: vec![on_push(&[], &[])] };
        let verdicts = super::route(&change, &config);
        prop_assert!(verdicts.iter().all(|verdict| matches!(verdict.outcome, Outcome::RuledOut(_))));
    }
}
