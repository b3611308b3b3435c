//! Which routes a change starts, and for each of the others the first thing that ruled it out.
//!
//! Two questions, asked in this order: [`never_starts`] looks at the change alone, [`route`] at one repository's
//! routes. The answer grows with the routes of that repository and with nothing else. Names out of a payload are
//! hostile: they are matched and quoted, never passed on. What a target gets is a commit id and
//! [`resolve_variables`].

use super::change::WorkflowRun;
use super::change::{Change, ChangeKind, GitRef, Paths, PathsUnknown, PullRequest, Push, Release, Repository, Sha};
use super::pattern::{Match, Patterns};
use super::route::{MatchedCommit, On, RepositoryConfig, Route, Trigger};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The actions of a pull request after which its head commit is another one than before, or is to be looked at now.
pub const PULL_REQUEST_ACTIONS: [&str; 4] = ["opened", "synchronize", "reopened", "ready_for_review"];
/// The marks in a commit's title that ask for no run.
pub const SKIP_MARKS: [&str; 2] = ["[skip ci]", "[ci skip]"];
/// The longest name out of a payload that a sentence quotes, in characters. The rest is cut off.
const MAX_QUOTED_CHARACTERS: usize = 100;

/// What became of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The route.
    pub route: &'a Route,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a change means to a route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It starts the route's target.
    Matched(Matched),
    /// It does not, and this is the first reason.
    RuledOut(RuledOut),
}

/// What to start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The commit to build.
    pub sha: MatchedCommit,
    /// The branch or tag that the commit is on, as the payload names it; `None` where it names none.
    /// To be shown and recorded, never to be passed to a target.
    pub git_ref: Option<GitRef>,
    /// What whoever reads the record should know, such as `paths not knowable: forced`.
    pub note: Option<String>,
}

/// The first thing that kept a change from starting a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum RuledOut {
    /// The change starts nothing anywhere.
    NeverStarts(Never),
    /// The route is another repository's.
    OtherRepository {
        /// The repository of the change.
        repository: String,
    },
    /// The route is for another kind of change.
    OtherKind {
        /// What the route is for.
        on: On,
        /// What happened: `a push of a branch`.
        happened: &'static str,
    },
    /// No pattern matches.
    NoMatch {
        /// What was matched.
        what: Named,
        /// Its name, as the payload has it.
        name: String,
        /// The route's patterns.
        patterns: Patterns,
    },
    /// A pattern that begins with `!` matches.
    Excluded {
        /// What was matched.
        what: Named,
        /// Its name, as the payload has it.
        name: String,
        /// The pattern, as written.
        pattern: String,
    },
    /// The route asks for a branch, and the workflow run has none.
    NoBranch,
    /// The route is for another workflow.
    OtherWorkflow {
        /// The workflow that ran.
        workflow: String,
        /// The workflow that the route is for.
        expected: String,
    },
    /// No changed file matches.
    NoPath {
        /// How many files changed.
        changed: usize,
        /// The route's patterns.
        patterns: Patterns,
    },
    /// The commit's title asks for no run, and no approval policy stands against it.
    SkipCi {
        /// The mark that was found.
        mark: &'static str,
    },
    /// A stored pattern cannot be read. The configuration's check lets none pass.
    UnreadablePattern {
        /// What is wrong with it.
        problem: String,
    },
}

/// What a pattern was matched against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// A branch.
    Branch,
    /// The branch that a pull request wants to enter.
    BaseBranch,
    /// A tag.
    Tag,
}

/// Why a change starts nothing, whatever the routes say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "never", rename_all = "snake_case")]
pub enum Never {
    /// The event belongs to no repository.
    NoRepository,
    /// A branch or tag was deleted.
    Deleted {
        /// What is gone.
        git_ref: GitRef,
    },
    /// Neither a branch nor a tag moved.
    OtherRef {
        /// What moved.
        git_ref: GitRef,
    },
    /// A tag was pushed that points at no commit, or at one that GitHub does not name.
    TagWithoutCommit {
        /// The tag.
        tag: String,
    },
    /// The pull request's action leaves its commit as it was.
    PullRequestAction {
        /// The action.
        action: String,
    },
    /// The pull request comes from another repository.
    ForkedPullRequest {
        /// Its number.
        number: u64,
    },
    /// The workflow run is not over.
    RunNotCompleted {
        /// The action.
        action: String,
    },
    /// The workflow run did not succeed.
    RunNotSuccessful {
        /// The conclusion, where there is one.
        conclusion: Option<String>,
    },
    /// A pull request started the workflow run.
    RunOfPullRequest {
        /// The event.
        event: String,
    },
    /// The workflow run's commit lives in another repository.
    ForkedRun,
    /// The release was not published just now.
    ReleaseAction {
        /// The action.
        action: String,
    },
    /// `create`: the push of the same ref tells more.
    Created,
    /// No route is for this event.
    OtherEvent {
        /// The `X-GitHub-Event` name.
        event: String,
    },
}

/// Says why a change starts nothing whatever the routes say, or `None` where the routes decide.
///
/// Source: GitHub's webhook documentation. A fork's branch may be called `main`; one release sends `created`,
/// `published` and `released`; a pushed tag sends `create` and `push`.
pub fn never_starts(change: &Change) -> Option<Never> {
    let Some(repository) = &change.repository else { return Some(Never::NoRepository) };
    match &change.kind {
        ChangeKind::Push(push) => never_push(push),
        ChangeKind::PullRequest(pull_request) => never_pull_request(pull_request, repository),
        ChangeKind::WorkflowRun(run) => never_workflow_run(run, repository),
        ChangeKind::Release(Release { action, .. }) => {
            (action != "published").then(|| Never::ReleaseAction { action: action.clone() })
        }
        ChangeKind::Created(_) => Some(Never::Created),
        ChangeKind::Deleted(git_ref) => Some(Never::Deleted { git_ref: git_ref.clone() }),
        ChangeKind::Other { event } => Some(Never::OtherEvent { event: event.clone() }),
    }
}

fn never_push(push: &Push) -> Option<Never> {
    if push.deleted || push.after.is_zero() {
        return Some(Never::Deleted { git_ref: push.git_ref.clone() });
    }
    match &push.git_ref {
        GitRef::Branch(_) => None,
        GitRef::Tag(tag) => push.head.is_none().then(|| Never::TagWithoutCommit { tag: tag.clone() }),
        GitRef::Other(_) => Some(Never::OtherRef { git_ref: push.git_ref.clone() }),
    }
}

fn never_pull_request(pull_request: &PullRequest, repository: &Repository) -> Option<Never> {
    if !PULL_REQUEST_ACTIONS.contains(&pull_request.action.as_str()) {
        return Some(Never::PullRequestAction { action: pull_request.action.clone() });
    }
    let is_fork = pull_request.head_repository != Some(repository.id);
    is_fork.then_some(Never::ForkedPullRequest { number: pull_request.number })
}

fn never_workflow_run(run: &WorkflowRun, repository: &Repository) -> Option<Never> {
    if run.action != "completed" {
        return Some(Never::RunNotCompleted { action: run.action.clone() });
    }
    if run.conclusion.as_deref() != Some("success") {
        return Some(Never::RunNotSuccessful { conclusion: run.conclusion.clone() });
    }
    if matches!(run.event.as_str(), "pull_request" | "pull_request_target") {
        return Some(Never::RunOfPullRequest { event: run.event.clone() });
    }
    (run.head_repository != Some(repository.id)).then_some(Never::ForkedRun)
}

/// Says for each route of a repository, in their order, whether `change` starts it.
///
/// A change that [`never_starts`] rules out is ruled out of every route, so that forgetting to ask first is safe.
pub fn route<'a>(change: &Change, config: &'a RepositoryConfig) -> Vec<Verdict<'a>> {
    let never = never_starts(change);
    let decide = |route: &Route| match &never {
        Some(never) => Err(RuledOut::NeverStarts(never.clone())),
        None => decide(change, route),
    };
    let outcome = |route| decide(route).map_or_else(Outcome::RuledOut, Outcome::Matched);
    config.routes.iter().map(|route| Verdict { route, outcome: outcome(route) }).collect()
}

/// One route against one change that may start something.
fn decide(change: &Change, route: &Route) -> Result<Matched, RuledOut> {
    let repository = change.repository.as_ref().map_or("", |repository| repository.full_name.as_str());
    if !route.repository.eq_ignore_ascii_case(repository) {
        return Err(RuledOut::OtherRepository { repository: repository.to_owned() });
    }
    match (&route.trigger, &change.kind) {
        (Trigger::Push { branch, paths }, ChangeKind::Push(push)) => match &push.git_ref {
            GitRef::Branch(name) => push_of_branch(push, name, branch, paths, route),
            GitRef::Tag(_) | GitRef::Other(_) => Err(other_kind(change, route)),
        },
        (Trigger::Tag { tag }, ChangeKind::Push(push)) => match (&push.git_ref, &push.head) {
            (GitRef::Tag(name), Some(head)) => {
                matches(Named::Tag, name, tag)?;
                not_skipped(push, route)?;
                // `after` may be the tag object; the commit is the head.
                Ok(Matched {
                    sha: MatchedCommit::Known(head.sha.clone()),
                    git_ref: Some(push.git_ref.clone()),
                    note: None,
                })
            }
            (GitRef::Tag(_) | GitRef::Branch(_) | GitRef::Other(_), _) => Err(other_kind(change, route)),
        },
        (Trigger::PullRequest { branch }, ChangeKind::PullRequest(pull_request)) => {
            matches(Named::BaseBranch, &pull_request.base_ref, branch)?;
            Ok(known(&pull_request.head, Some(&pull_request.head_ref)))
        }
        (Trigger::WorkflowRun { branch, workflow_name }, ChangeKind::WorkflowRun(run)) => {
            workflow_run(run, branch, workflow_name.as_deref())
        }
        (Trigger::Release { tag }, ChangeKind::Release(release)) => {
            matches(Named::Tag, &release.tag, tag)?;
            let fallback = Sha::try_from(release.target.clone()).ok().filter(|sha| !sha.is_zero());
            let sha = MatchedCommit::OfTag { tag: release.tag.clone(), fallback };
            Ok(Matched { sha, git_ref: Some(GitRef::Tag(release.tag.clone())), note: None })
        }
        (
            Trigger::Push { .. }
            | Trigger::Tag { .. }
            | Trigger::PullRequest { .. }
            | Trigger::WorkflowRun { .. }
            | Trigger::Release { .. },
            _,
        ) => Err(other_kind(change, route)),
    }
}

fn push_of_branch(
    push: &Push,
    name: &str,
    branch: &Patterns,
    paths: &Patterns,
    route: &Route,
) -> Result<Matched, RuledOut> {
    matches(Named::Branch, name, branch)?;
    let note = changed(&push.paths, paths)?.map(|unknown| format!("paths not knowable: {unknown}"));
    not_skipped(push, route)?;
    Ok(Matched { note, ..known(&push.after, Some(name)) })
}

fn workflow_run(run: &WorkflowRun, branch: &Patterns, workflow: Option<&str>) -> Result<Matched, RuledOut> {
    if let Some(expected) = workflow.filter(|expected| *expected != run.workflow) {
        return Err(RuledOut::OtherWorkflow { workflow: run.workflow.clone(), expected: expected.to_owned() });
    }
    match run.head_branch.as_deref() {
        Some(name) => matches(Named::Branch, name, branch)?,
        None if branch.is_empty() => {}
        None => return Err(RuledOut::NoBranch),
    }
    Ok(known(&run.head, run.head_branch.as_deref()))
}

fn known(sha: &Sha, branch: Option<&str>) -> Matched {
    let git_ref = branch.map(|name| GitRef::Branch(name.to_owned()));
    Matched { sha: MatchedCommit::Known(sha.clone()), git_ref, note: None }
}

fn other_kind(change: &Change, route: &Route) -> RuledOut {
    let happened = match &change.kind {
        ChangeKind::Push(Push { git_ref: GitRef::Branch(_), .. }) => "a push of a branch",
        ChangeKind::Push(Push { git_ref: GitRef::Tag(_), .. }) => "a push of a tag",
        ChangeKind::Push(Push { git_ref: GitRef::Other(_), .. }) => "a push of neither a branch nor a tag",
        ChangeKind::PullRequest(_) => "a pull request",
        ChangeKind::WorkflowRun(_) => "a workflow run",
        ChangeKind::Release(_) => "a release",
        ChangeKind::Created(_) => "the creation of a ref",
        ChangeKind::Deleted(_) => "the deletion of a ref",
        ChangeKind::Other { .. } => "another event",
    };
    RuledOut::OtherKind { on: route.trigger.on(), happened }
}

fn matches(what: Named, name: &str, patterns: &Patterns) -> Result<(), RuledOut> {
    let matcher = patterns.compile().map_err(|bad| RuledOut::UnreadablePattern { problem: bad.to_string() })?;
    let name = name.to_owned();
    match matcher.check(&name) {
        Match::Yes => Ok(()),
        Match::No => Err(RuledOut::NoMatch { what, name, patterns: patterns.clone() }),
        Match::Excluded(index) => {
            let pattern = patterns.as_slice().get(index).cloned().unwrap_or_default();
            Err(RuledOut::Excluded { what, name, pattern })
        }
    }
}

/// Whether any changed file matches. `Some` when that cannot be known, and the filter therefore decides nothing.
fn changed(paths: &Paths, patterns: &Patterns) -> Result<Option<PathsUnknown>, RuledOut> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let files = match paths {
        Paths::Known(files) => files,
        Paths::NotKnowable(unknown) => return Ok(Some(*unknown)),
    };
    let matcher = patterns.compile().map_err(|bad| RuledOut::UnreadablePattern { problem: bad.to_string() })?;
    if files.iter().any(|file| matcher.is_match(file)) {
        Ok(None)
    } else {
        Err(RuledOut::NoPath { changed: files.len(), patterns: patterns.clone() })
    }
}

/// Honours `[skip ci]`, but not where it would keep a change from the people who are to approve it.
fn not_skipped(push: &Push, route: &Route) -> Result<(), RuledOut> {
    if route.environment_has_approval {
        return Ok(());
    }
    let title = push.head.as_ref().map_or("", |head| head.title.as_str());
    let mark = SKIP_MARKS.into_iter().find(|mark| title.contains(mark));
    mark.map_or(Ok(()), |mark| Err(RuledOut::SkipCi { mark }))
}

/// The variables that a target gets: the route's constants, with `{sha}` and `{environment}` filled in.
///
/// Nothing else is ever filled in, so nothing that a pusher chose can get to a target but the commit's 40 digits.
pub fn resolve_variables(route: &Route, sha: &Sha) -> BTreeMap<String, String> {
    let environment = route.environment.as_deref().unwrap_or_default();
    let resolve = |value: &str| value.replace("{sha}", sha.as_str()).replace("{environment}", environment);
    route.variables.iter().map(|(name, value)| (name.clone(), resolve(value))).collect()
}

/// A name out of a payload: quoted, with control and invisible characters escaped, and cut.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_QUOTED_CHARACTERS) {
            None => write!(formatter, "{:?}", self.0),
            Some((end, _)) => write!(formatter, "{:?}…", self.0.get(..end).unwrap_or_default()),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Branch => "branch",
            Self::BaseBranch => "base branch",
            Self::Tag => "tag",
        })
    }
}

impl fmt::Display for RuledOut {
    /// One sentence for a developer, without a full stop.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverStarts(never) => never.fmt(formatter),
            Self::OtherRepository { repository } => {
                write!(formatter, "the route is not for the repository {}", Quoted(repository))
            }
            Self::OtherKind { on, happened } => write!(formatter, "the route is for {on}, and this is {happened}"),
            Self::NoMatch { what, name, patterns } => {
                write!(formatter, "{what} {} matches none of {patterns}", Quoted(name))
            }
            Self::Excluded { what, name, pattern } => {
                write!(formatter, "{what} {} is excluded by {pattern:?}", Quoted(name))
            }
            Self::NoBranch => formatter.write_str("the workflow run has no branch, and the route asks for one"),
            Self::OtherWorkflow { workflow, expected } => {
                write!(formatter, "workflow {} is not {expected:?}", Quoted(workflow))
            }
            Self::NoPath { changed: 1, patterns } => {
                write!(formatter, "the changed file matches none of {patterns}")
            }
            Self::NoPath { changed, patterns } => {
                write!(formatter, "none of the {changed} changed files matches any of {patterns}")
            }
            Self::SkipCi { mark } => write!(formatter, "the commit's title says {mark}"),
            Self::UnreadablePattern { problem } => {
                write!(formatter, "the route holds a pattern that cannot be read: {problem}")
            }
        }
    }
}

impl fmt::Display for Never {
    /// One sentence for a developer, without a full stop.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRepository => formatter.write_str("the event belongs to no repository"),
            Self::Deleted { git_ref } => write!(formatter, "{} was deleted", Ref(git_ref)),
            Self::OtherRef { git_ref } => write!(formatter, "{} is neither a branch nor a tag", Ref(git_ref)),
            Self::TagWithoutCommit { tag } => write!(formatter, "tag {} points at no commit", Quoted(tag)),
            Self::PullRequestAction { action } => {
                write!(formatter, "a pull request that is {} starts nothing", Quoted(action))
            }
            Self::ForkedPullRequest { number } => {
                write!(formatter, "pull request #{number} comes from a fork: forks never start anything")
            }
            Self::RunNotCompleted { action } => {
                write!(formatter, "the workflow run is {}, not completed", Quoted(action))
            }
            Self::RunNotSuccessful { conclusion: Some(conclusion) } => {
                write!(formatter, "the workflow run ended as {}, not as success", Quoted(conclusion))
            }
            Self::RunNotSuccessful { conclusion: None } => formatter.write_str("the workflow run has no conclusion"),
            Self::RunOfPullRequest { event } => {
                write!(formatter, "the workflow run was started by {}: its commit may be anybody's", Quoted(event))
            }
            Self::ForkedRun => formatter.write_str("the workflow run is of a fork: forks never start anything"),
            Self::ReleaseAction { action } => {
                write!(formatter, "a release that is {} starts nothing: only a published one does", Quoted(action))
            }
            Self::Created => formatter.write_str("the creation of a ref starts nothing: the push of it does"),
            Self::OtherEvent { event } => write!(formatter, "no route is for the event {}", Quoted(event)),
        }
    }
}

/// `branch "main"`, for a sentence.
struct Ref<'a>(&'a GitRef);

impl fmt::Display for Ref<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            GitRef::Branch(name) => write!(formatter, "branch {}", Quoted(name)),
            GitRef::Tag(name) => write!(formatter, "tag {}", Quoted(name)),
            GitRef::Other(full) => Quoted(full).fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests;
