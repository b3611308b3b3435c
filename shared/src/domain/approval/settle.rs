//! What CodePipeline says of an approval's action, held against what we know.

use super::{Approval, Decision, End, Over, Place, State, Told};
use jiff::Timestamp;

/// An approval action as CodePipeline lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub place: Place,
    /// How it stands.
    pub status: AskedStatus,
    /// Who changed it last: an ARN.
    pub updated_by: Option<String>,
    /// What the answer said beside yes or no.
    pub summary: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
}

/// How an approval action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedStatus {
    /// It waits for an answer.
    InProgress,
    /// It was answered yes.
    Succeeded,
    /// It was answered no, or its time ran out.
    Failed,
    /// The execution was stopped around it.
    Abandoned,
}

/// What follows for an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    /// Nothing.
    AsItWas,
    /// It ended without us.
    Ended(End),
    /// The telling of our decision came to this.
    Told(Told),
    /// We decide so, since the execution is being stopped and waits for us.
    Decided(Decision),
}

/// Holds `approval` against what CodePipeline lists. `None`: it does not list this action, which says nothing while the
/// execution runs, since the list may be older than the approval.
///
/// `over` says why the whole execution is over, if it is; `is_stopping` that it waits for this answer to stop.
pub fn settle(approval: &Approval, asked: Option<&Asked>, over: Option<Over>, is_stopping: bool) -> Settled {
    let status = asked.map(|asked| asked.status);
    if asked.is_none() && over.is_none() {
        return Settled::AsItWas;
    }
    match (&approval.state, status) {
        (State::Open, Some(AskedStatus::InProgress)) if over.is_none() => {
            if is_stopping {
                Settled::Decided(Decision::Withdrawn)
            } else {
                Settled::AsItWas
            }
        }
        (State::Open | State::LeftToConsole { .. }, _) => ended(asked, over).map_or(Settled::AsItWas, Settled::Ended),
        (State::Decided { told: Told::Pending { .. }, .. }, Some(AskedStatus::InProgress)) if over.is_none() => {
            Settled::AsItWas
        }
        (State::Decided { told: Told::Pending { .. }, decision, .. }, _) => {
            Settled::Told(told(approval, decision, asked, over))
        }
        (State::Decided { .. } | State::Ended { .. }, _) => Settled::AsItWas,
    }
}

fn ended(asked: Option<&Asked>, over: Option<Over>) -> Option<End> {
    let because = |fallback: Over| End::Over { why: over.unwrap_or(fallback) };
    Some(match asked {
        None => because(Over::Unknown),
        Some(asked) => match (asked.status, &asked.updated_by) {
            (AskedStatus::InProgress, _) => return over.map(|why| End::Over { why }),
            (AskedStatus::Succeeded, by) => End::AnsweredElsewhere { by: by.clone(), approved: true },
            (AskedStatus::Failed, Some(by)) => End::AnsweredElsewhere { by: Some(by.clone()), approved: false },
            (AskedStatus::Failed, None) if over.is_some_and(|over| over != Over::Failed) => because(Over::Failed),
            (AskedStatus::Failed, None) => End::TimedOut,
            (AskedStatus::Abandoned, _) => because(Over::Stopped),
        },
    })
}

/// Whether the answer that CodePipeline has is ours: then our own reply was lost. Its summary begins with our id.
fn told(approval: &Approval, decision: &Decision, asked: Option<&Asked>, over: Option<Over>) -> Told {
    let gone = |fallback: String| Told::Gone { why: over.map_or(fallback, |over| over.to_string()) };
    let Some(asked) = asked else { return gone(Over::Unknown.to_string()) };
    let is_ours = asked.summary.as_deref().is_some_and(|summary| summary.starts_with(approval.id.as_str()));
    let approved = match asked.status {
        AskedStatus::Succeeded => true,
        AskedStatus::Failed => false,
        AskedStatus::InProgress | AskedStatus::Abandoned => return gone(Over::Stopped.to_string()),
    };
    if is_ours && approved == decision.lets_in() {
        Told::Done { at: approval.updated_at }
    } else if asked.updated_by.is_none() && !approved {
        gone("CodePipeline's own time for the approval ran out".to_owned())
    } else {
        Told::Overruled { by: asked.updated_by.clone(), approved }
    }
}
