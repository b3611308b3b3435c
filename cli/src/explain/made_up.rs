//! A change that never happened, made up from flags.

use super::UNDELIVERED;
use crate::failure::Failure;
use jiff::Timestamp;
use pointsman::domain::change::{
    Change, ChangeKind, Commit, GitRef, Paths, PathsUnknown, Person, PullRequest, Push, Release, Repository, Sha,
    WorkflowRun,
};

/// The id of the repository that a made-up change is of. Any would do: only forks have another one.
const REPOSITORY_ID: u64 = 1;
/// The commit of a made-up change, unless it is told.
const ANY_SHA: &str = "1111111111111111111111111111111111111111";

/// What happened, in the words of the configuration.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "A made-up change")]
#[group(skip)]
pub(super) struct MadeUp {
    /// The repository
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// A push of this branch; with --workflow, the branch of its run
    #[arg(long, visible_alias = "push-branch", requires = "repository")]
    branch: Option<String>,
    /// A push of this tag
    #[arg(long, requires = "repository", conflicts_with_all = ["branch", "paths"])]
    tag: Option<String>,
    /// A pull request that wants to enter this branch
    #[arg(long, value_name = "BRANCH", requires = "repository", conflicts_with_all = ["branch", "tag", "paths"])]
    pull_request: Option<String>,
    /// A release of this tag
    #[arg(long, value_name = "TAG", requires = "repository")]
    #[arg(conflicts_with_all = ["branch", "tag", "paths", "pull_request"])]
    release: Option<String>,
    /// A successful run of this GitHub Actions workflow
    #[arg(long, value_name = "NAME", requires = "repository")]
    #[arg(conflicts_with_all = ["tag", "paths", "pull_request", "release"])]
    workflow: Option<String>,
    /// The files that the push changed; without this flag they count as not knowable
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "branch")]
    paths: Vec<String>,
    /// The push was forced, so the changed files are not knowable
    #[arg(long, requires = "branch", conflicts_with = "workflow")]
    forced: bool,
    /// The commit's title, for `[skip ci]`
    #[arg(long, requires = "repository")]
    title: Option<String>,
    /// The commit
    #[arg(long, requires = "repository")]
    sha: Option<Sha>,
}

impl MadeUp {
    /// The change that the flags describe.
    pub(super) fn change(&self, now: Timestamp) -> Result<Change, Failure> {
        let usage = |why: &str| Failure::Usage(why.to_owned());
        let full_name = self.repository.clone().ok_or_else(|| usage("give --repository, --payload or --delivery"))?;
        let kind = self
            .kind()
            .ok_or_else(|| usage("say what happened: one of --branch, --tag, --pull-request, --release, --workflow"))?;
        Ok(Change {
            delivery: UNDELIVERED.parse().map_err(|_| usage("the delivery has no name"))?,
            received_at: now,
            repository: Some(Repository { id: REPOSITORY_ID, full_name }),
            sender: None,
            kind: kind?,
        })
    }

    /// `None` when the flags do not say what happened.
    fn kind(&self) -> Option<Result<ChangeKind, Failure>> {
        let any = || ANY_SHA.parse::<Sha>().map_err(|error| Failure::Usage(error.to_string()));
        let sha = match self.sha.clone().map_or_else(any, Ok) {
            Ok(sha) => sha,
            Err(error) => return Some(Err(error)),
        };
        let kind = if let Some(base) = &self.pull_request {
            ChangeKind::PullRequest(pull_request(base, sha))
        } else if let Some(tag) = &self.release {
            let target = self.sha.as_ref().map(ToString::to_string).unwrap_or_default();
            let (id, action) = (1, "published".to_owned());
            ChangeKind::Release(Release { id, action, tag: tag.clone(), target, published_at: None })
        } else if let Some(workflow) = &self.workflow {
            ChangeKind::WorkflowRun(workflow_run(workflow, self.branch.clone(), sha))
        } else if let Some(branch) = &self.branch {
            ChangeKind::Push(self.push(full(branch, GitRef::Branch), sha))
        } else if let Some(tag) = &self.tag {
            ChangeKind::Push(self.push(full(tag, GitRef::Tag), sha))
        } else {
            return None;
        };
        Some(Ok(kind))
    }

    fn push(&self, git_ref: GitRef, sha: Sha) -> Push {
        let paths = match (self.forced, self.paths.is_empty()) {
            (true, _) => Paths::NotKnowable(PathsUnknown::Forced),
            (false, true) => Paths::NotKnowable(PathsUnknown::NoCommits),
            (false, false) => Paths::Known(self.paths.clone()),
        };
        let title = self.title.clone().unwrap_or_default();
        let head = Commit { sha: sha.clone(), title, author: Person::default(), committer: Person::default() };
        Push {
            git_ref,
            before: sha.clone(),
            after: sha,
            head: Some(head),
            pushed_at: None,
            created: false,
            deleted: false,
            forced: self.forced,
            pusher: None,
            pusher_email: None,
            paths,
            listed: None,
        }
    }
}

/// A ref as it was typed: whole, or its short name.
fn full(typed: &str, short: fn(String) -> GitRef) -> GitRef {
    if typed.starts_with("refs/") { GitRef::from(typed.to_owned()) } else { short(typed.to_owned()) }
}

fn pull_request(base: &str, head: Sha) -> PullRequest {
    PullRequest {
        number: 1,
        action: "opened".to_owned(),
        head,
        head_ref: "a-branch".to_owned(),
        head_repository: Some(REPOSITORY_ID),
        base_ref: base.to_owned(),
        updated_at: None,
    }
}

fn workflow_run(workflow: &str, head_branch: Option<String>, head: Sha) -> WorkflowRun {
    WorkflowRun {
        id: 1,
        attempt: 1,
        action: "completed".to_owned(),
        conclusion: Some("success".to_owned()),
        event: "push".to_owned(),
        workflow: workflow.to_owned(),
        head_branch,
        head,
        head_repository: Some(REPOSITORY_ID),
        created_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman::domain::routing::never_starts;

    fn of(flags: MadeUp) -> Result<Change, Failure> {
        let repository = Some("acme/shop".to_owned());
        MadeUp { repository, ..flags }.change(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_is_made_up_may_start_something() {
        let some = |text: &str| Some(text.to_owned());
        #[rustfmt::skip]
        let cases = [
            (MadeUp { branch: some("main"), ..MadeUp::default() }, "push",         "a branch"),
            (MadeUp { tag: some("refs/tags/v1"), ..MadeUp::default() }, "push",         "a tag, whole"),
            (MadeUp { pull_request: some("main"), ..MadeUp::default() }, "pull_request", "no fork"),
            (MadeUp { release: some("v1"), ..MadeUp::default() }, "release",      "published"),
            (MadeUp { workflow: some("CI"), branch: some("main"), ..MadeUp::default() }, "workflow_run", "successful"),
        ];
        for (flags, event, why) in cases {
            let change = of(flags).unwrap();
            assert_eq!(change.kind.event(), event, "{why}");
            assert_eq!(never_starts(&change), None, "{why}");
        }
        assert_eq!(of(MadeUp::default()).unwrap_err().exit_code(), 2, "nothing happened");
    }

    #[test]
    fn files_are_known_only_where_they_are_told() {
        let push = |paths: &[&str], forced| {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            let flags = MadeUp { branch: Some("main".into()), paths, forced, ..MadeUp::default() };
            let ChangeKind::Push(push) = of(flags).unwrap().kind else { panic!("not a push") };
            push.paths
        };
        assert_eq!(push(&["a"], false), Paths::Known(vec!["a".into()]));
        assert_eq!(push(&["a"], true), Paths::NotKnowable(PathsUnknown::Forced));
        assert_eq!(push(&[], false), Paths::NotKnowable(PathsUnknown::NoCommits));
    }
}
