//! The page behind an approval link: what would go live, who wants it there, and the one form that decides.
//!
//! Pure: a [`View`] goes in, HTML comes out. Nothing on the page is loaded from anywhere, nothing runs, and the link
//! itself does not stand on it. The form posts to where the page came from: `decision` is `approve` or `reject`, `sha`
//! the digits that [`View::digits`] wants, in any case, `comment` a text, `override` is `yes` or not there.

mod filters;
mod headers;
mod notice;
mod view;

pub use headers::{HSTS_SECONDS, headers};
pub use notice::{Notice, notice};
pub use view::*;

use askama::Template;
use pointsman::domain::approval::{COMMENT_CHARACTERS_MAX, DIGITS};
use pointsman::domain::change::{GitRef, Sha};
use pointsman::domain::policy::Severity;
use pointsman::domain::shown::{self, Freeze};

/// The most that is shown of a name, a title or an address, in characters; the rest is cut off.
const LINE: usize = 160;
/// The most that is shown of a reason, in characters; the rest is cut off.
const REASON: usize = 500;
/// The most that is shown of a list; what is beyond is counted.
const LISTED: usize = 50;
/// How many commits are seen without opening the list.
const COMMITS_UNFOLDED: usize = 6;

/// The style sheet, as it stands on every page. `headers` lets browsers take this one and no other.
const STYLE: &str = include_str!("../templates/style.css");

/// The page of an approval, as HTML.
///
/// # Errors
/// None that is known: writing to a string does not fail.
pub fn render(view: &View) -> askama::Result<String> {
    ApprovalPage { view, change: &view.change }.render().map(finished)
}

/// The last step of every page, so that it cannot be left out of one: nothing on it turns its direction or hides.
fn finished(html: String) -> String {
    shown::visible(&html)
}

#[derive(Template)]
#[template(path = "approval.html")]
struct ApprovalPage<'a> {
    view: &'a View,
    change: &'a Change,
}

impl View {
    /// What a person types as proof, in lower case: the commit's first digits. Where the commit is not known, those of
    /// CodePipeline's execution, so that it can still be rejected.
    pub fn digits(&self) -> &str {
        let execution = self.change.execution.as_str();
        self.change.commit.as_ref().map_or(execution.get(..DIGITS).unwrap_or(execution), |commit| commit.sha.short())
    }

    /// Whether this person's approval would be taken.
    fn can_approve(&self) -> bool {
        let stops = |obstacle: &Obstacle| !(self.can_override() && *obstacle == Obstacle::Frozen);
        self.open().is_some_and(|open| !open.obstacles.iter().any(stops))
    }

    /// Whether there is a freeze that this person may override.
    fn can_override(&self) -> bool {
        self.open().and(self.freeze.as_ref()).is_some_and(|freeze| freeze.may_override)
    }

    /// Whether this person's rejection would be taken.
    fn can_reject(&self) -> bool {
        self.open().is_some_and(|open| !open.obstacles.contains(&Obstacle::NoMember))
    }

    fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Open(open) => Some(open),
            State::Ended(_) => None,
        }
    }

    fn refusals(&self) -> &[Refusal] {
        match &self.banner {
            Some(Banner::Refused(refusals)) => refusals,
            Some(Banner::Counted | Banner::Overridden | Banner::Decided | Banner::CameSecond) | None => &[],
        }
    }
}

impl ApprovalPage<'_> {
    /// What would go live, as short as it can be named.
    fn what(&self) -> &str {
        self.change.commit.as_ref().map_or("an unknown commit", |commit| commit.sha.short())
    }

    fn heading(&self) -> String {
        let (what, environment) = (self.what(), shown::one_line(&self.view.environment, LINE));
        let State::Ended(ended) = &self.view.state else { return format!("Let {what} into {environment}?") };
        let word = match &ended.outcome {
            Outcome::Approved { .. } | Outcome::Console { is_approved: true, .. } => "Approved",
            Outcome::Rejected { .. } | Outcome::Console { is_approved: false, .. } => "Rejected",
            Outcome::Rollback { .. } => "Passed",
            Outcome::Expired => "Expired",
            Outcome::TurnedBack { .. } => "Turned back",
            Outcome::Stopped
            | Outcome::PipelineEdited
            | Outcome::StageRetried
            | Outcome::Superseded
            | Outcome::Over { .. } => "Ended",
        };
        format!("{word}: {what} for {environment}")
    }

    fn is_candidate(&self, sha: &Sha) -> bool {
        self.change.commit.as_ref().is_some_and(|commit| commit.sha == *sha)
    }

    /// How many commits are listed, but folded away.
    fn folded(&self) -> usize {
        self.view.since.commits.len().min(LISTED).saturating_sub(COMMITS_UNFOLDED)
    }

    /// How many commits are not listed at all.
    fn unlisted(&self) -> usize {
        self.view.since.more.saturating_add(self.view.since.commits.len().saturating_sub(LISTED))
    }

    /// The number of findings of each severity that has any, the worst first.
    fn counts(&self, findings: &Findings) -> Vec<(&'static str, u32)> {
        let count = |severity: Severity| {
            let of_severity = findings.counts.iter().filter(|(counted, _)| *counted == severity);
            (severity.as_str(), of_severity.fold(0, |sum: u32, (_, count)| sum.saturating_add(*count)))
        };
        Severity::ALL.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    fn blocking(&self, findings: &Findings) -> String {
        match findings.blocking.len() {
            1 => "1 finding blocks".to_owned(),
            more => format!("{more} findings block"),
        }
    }

    fn of(&self, group: &Group) -> String {
        format!("{} of {} approved", group.have, group.wanted)
    }

    fn until(&self, freeze: &Freeze) -> String {
        shown::zoned(&freeze.until)
    }

    fn until_iso(&self, freeze: &Freeze) -> String {
        format!("{:.0}", freeze.until.timestamp())
    }

    fn day(&self, waived: &Waived) -> String {
        waived.waiver.until.strftime("%-d %b %Y").to_string()
    }

    fn time_left(&self) -> String {
        shown::length(self.view.expires.duration_since(self.view.now).as_secs())
    }

    /// What is wrong with one field; empty, and nothing is.
    fn error(&self, field: &str) -> String {
        let of_field = self.view.refusals().iter().filter(|refusal| self.field(**refusal) == Some(field));
        of_field.map(|refusal| refusal.text()).collect::<Vec<_>>().join(" ")
    }

    /// The field that a refusal is about, if the page has it.
    fn field(&self, refusal: Refusal) -> Option<&'static str> {
        self.view.open()?;
        match refusal {
            Refusal::Digits => Some("sha"),
            Refusal::CommentMissing | Refusal::CommentTooLong | Refusal::OverrideUnexplained => Some("comment"),
            Refusal::Frozen => self.view.can_override().then_some("override"),
            Refusal::OverrideNotAllowed
            | Refusal::Barred
            | Refusal::NoMember
            | Refusal::Voted
            | Refusal::Blocked
            | Refusal::NotSaved => None,
        }
    }
}

impl Refusal {
    fn text(self) -> &'static str {
        match self {
            Self::Digits => "Those are not the seven digits. Read them on this page, and type them.",
            Self::CommentMissing => "Say why you reject it.",
            Self::CommentTooLong => "The comment is too long.",
            Self::OverrideUnexplained => "Say why you override the freeze.",
            Self::Frozen => "Nothing is approved in a freeze, unless somebody overrides it.",
            Self::OverrideNotAllowed => "You may not override the freeze.",
            Self::Barred => "You may only reject it.",
            Self::NoMember => "You are no approver any more.",
            Self::Voted => "You approved already, and one person counts once.",
            Self::Blocked => "It cannot be approved as it stands.",
            Self::NotSaved => "Your answer could not be saved. Send it again.",
        }
    }
}

#[cfg(test)]
mod tests;
