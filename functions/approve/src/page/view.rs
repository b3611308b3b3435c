//! What one person is shown behind one link: plain values, in the words of the page. Whoever loads an approval fills it.
//!
//! Texts may be a stranger's, of any length and content: the page bounds and escapes them. Lists may be long: the page
//! shows the first of them and counts the others.

use jiff::Timestamp;
use pointsman::domain::change::{GitRef, Sha};
use pointsman::domain::policy::{Severity, Waiver};
use pointsman::domain::shown::{Commit, Freeze, Newer};

/// One approval, as one person sees it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The address that was asked.
    pub person: String,
    /// When the page is made.
    pub now: Timestamp,
    /// Our id of the approval, `ap-…`.
    pub approval: String,
    /// Where the change would go live.
    pub environment: String,
    /// What would go live.
    pub change: Change,
    /// Where exactly, and what runs there.
    pub regions: Vec<Region>,
    /// What it would bring.
    pub since: Since,
    /// The actions that ran before this approval, in their order.
    pub checks: Vec<Check>,
    /// What Inspector says of its images.
    pub scan: Scan,
    /// The freeze that there is now.
    pub freeze: Option<Freeze>,
    /// Who put a freeze aside, and why.
    pub overridden: Option<Overridden>,
    /// Who has to agree, and who did.
    pub policy: Policy,
    /// The execution that waits behind this one.
    pub newer: Option<Newer>,
    /// When the approval ends by itself.
    pub expires: Timestamp,
    /// Whether it can still be answered.
    pub state: State,
    /// What became of what this person just sent; `None` for whoever only looks.
    pub banner: Option<Banner>,
}

/// What would go live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `owner/name`
    pub repository: String,
    /// What was pushed, where anything was.
    pub git_ref: Option<GitRef>,
    /// `None` where nobody knows which commit it is: then it cannot be approved.
    pub commit: Option<Commit>,
    /// Who set it going and how: `pushed by ghopper`, `started by hand by ada: the fix for INC-7`.
    pub started: Option<String>,
    /// The digests of its images, `sha256:…`.
    pub images: Vec<String>,
    /// The pipeline's name.
    pub pipeline: String,
    /// CodePipeline's id of the execution, a UUID.
    pub execution: String,
}

/// One place of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// AWS's name of it.
    pub name: String,
    /// What runs there.
    pub runs: Runs,
}

/// What runs in a region now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// This commit.
    Commit {
        /// Its id.
        sha: Sha,
        /// Since when, where it is known.
        since: Option<Timestamp>,
    },
    /// Nothing yet.
    Nothing,
    /// Something that Pointsman did not see coming.
    Unknown,
}

/// The commits between what runs now and what would go live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// What runs now; `None` while nothing does, and then the commits are those of the push.
    pub live: Option<Sha>,
    /// The newest first.
    pub commits: Vec<Commit>,
    /// How many there are beside these.
    pub more: usize,
    /// Why the authors are not knowable, where they are not: `the push of 9f8e7d6 was not seen`.
    pub gap: Option<String>,
}

/// One action that ran on the way here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its stage and its name.
    pub name: String,
    /// How it went.
    pub result: CheckResult,
    /// When that was, where it is known.
    pub at: Option<Timestamp>,
}

/// How an action went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The words say it.
pub enum CheckResult {
    Succeeded,
    Failed,
    Running,
    Skipped,
    Unknown,
}

/// What is known of the images' findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// The environment demands no scan.
    NotDemanded,
    /// Nobody knows which images they are, so no scan can be found.
    ImageUnknown,
    /// The scan is not there yet, and may still come.
    Awaited {
        /// When it counts as missing.
        until: Timestamp,
    },
    /// The scan did not come in time.
    Missing {
        /// Since when it counts as missing.
        since: Timestamp,
    },
    /// It is there.
    Done(Findings),
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// When the scan ended, where it is known.
    pub at: Option<Timestamp>,
    /// How many of each severity; those without any may be left out.
    pub counts: Vec<(Severity, u32)>,
    /// The severities that do not pass.
    pub barred: Vec<Severity>,
    /// Whether of those only the ones count for which there is a fix.
    pub fixable_only: bool,
    /// What stands in the way.
    pub blocking: Vec<Finding>,
    /// What would, had nobody accepted it.
    pub waived: Vec<Waived>,
}

/// A finding that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its id, such as `CVE-2026-0001`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is in, such as a package and its version.
    pub what: Option<String>,
    /// Whether there is a fix, where that is known.
    pub is_fixable: Option<bool>,
}

/// A finding that somebody accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waived {
    /// How bad it is.
    pub severity: Severity,
    /// Who accepted it, until when, and why.
    pub waiver: Waiver,
}

/// Somebody put a freeze aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// Who, by address.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Who has to agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// In the order in which they are shown.
    pub groups: Vec<Group>,
    /// How many people must agree in all, where that is more than the groups want.
    pub people_min: Option<u32>,
    /// How many approvals are still missing.
    pub still_wanted: u32,
}

/// A group and its people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many of it must agree.
    pub wanted: u32,
    /// How many did, as far as they count for this group.
    pub have: u32,
    /// Everybody in it, and whoever voted while they were.
    pub people: Vec<Person>,
}

/// One of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their address.
    pub email: String,
    /// Where they stand.
    pub standing: Standing,
}

/// Where a person stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// They were asked, and did not answer.
    Wanted,
    /// They approved, and it counts for this group.
    Approved {
        /// When.
        at: Timestamp,
        /// What they said to it.
        comment: Option<String>,
        /// Whether they overrode the freeze.
        is_override: bool,
    },
    /// They rejected, which ended it: why is said there.
    Rejected {
        /// When.
        at: Timestamp,
    },
    /// They approved, and it does not count for this group.
    NotCounted {
        /// When.
        at: Timestamp,
        /// Why not: `counts for devops`, `no longer a member`.
        why: String,
    },
    /// They may not approve.
    Barred {
        /// Why: `wrote 9f8e7d6`, `pushed it`.
        why: String,
    },
}

/// Whether an approval can still be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It can.
    Open(Open),
    /// It is over.
    Ended(Ended),
}

/// What this person can do with an open approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Everything that keeps this person from approving; none, and they may.
    pub obstacles: Vec<Obstacle>,
    /// How many approvals would still be wanted after theirs; of no interest where they cannot approve.
    pub wanted_after: u32,
    /// What they typed and was refused.
    pub draft: Draft,
}

/// What keeps a person from approving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// They may only reject.
    Barred {
        /// Why: `you wrote 9f8e7d6`.
        why: String,
    },
    /// They were taken out of the configuration: they may not even reject.
    NoMember,
    /// They approved already. They may still reject.
    Voted {
        /// When.
        at: Timestamp,
    },
    /// There is a freeze. Those who may override it can approve all the same, if they say why.
    Frozen,
    /// The commit was bad here before, and is kept out.
    Quarantined {
        /// Why: `1a2b3c4 was turned back here in in-77: lift its quarantine first`.
        why: String,
    },
    /// There are findings that no waiver covers.
    Findings,
    /// The scan is not there yet.
    ScanAwaited,
    /// The scan is missing.
    ScanMissing,
    /// Nobody knows which image it is.
    ImageUnknown,
    /// Nobody knows which commit it is.
    CommitUnknown,
    /// Nobody's approval can make it enough any more.
    OutOfReach {
        /// Why: `product wants 1, and nobody in it may approve`.
        why: String,
    },
}

/// What a person typed, so that they need not type it again. Never the digits: those are the proof.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// Their comment.
    pub comment: String,
    /// Whether they meant to override the freeze.
    pub is_override: bool,
}

/// How an approval ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// How CodePipeline got to know; `None` where it was CodePipeline that ended it.
    pub told: Option<Told>,
}

/// How an approval ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Enough people approved.
    Approved {
        /// Who, by address.
        by: Vec<String>,
        /// Whether a freeze was overridden.
        is_override: bool,
    },
    /// Somebody rejected.
    Rejected {
        /// Who, by address.
        by: String,
        /// Why.
        comment: String,
    },
    /// Nobody decided in time.
    Expired,
    /// Somebody answered in AWS's console, past Pointsman.
    Console {
        /// Their ARN.
        by: String,
        /// What they said: `true` let it in.
        is_approved: bool,
        /// What they wrote to it.
        summary: Option<String>,
    },
    /// A rollback passes without votes.
    Rollback {
        /// Of what, to what: `rollback of in-… to 9f8e7d6, approved on 12 Nov 2026 by ada@example.com`.
        what: String,
    },
    /// Its version was turned back.
    TurnedBack {
        /// The incident.
        incident: String,
    },
    /// The execution was stopped.
    Stopped,
    /// The pipeline was edited, which ends what runs in it.
    PipelineEdited,
    /// The stage was retried, which asks anew.
    StageRetried,
    /// A newer execution took its place.
    Superseded,
    /// It is over for another reason.
    Over {
        /// Why.
        why: String,
    },
}

/// How CodePipeline got to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It took the answer.
    Yes {
        /// When.
        at: Timestamp,
    },
    /// It is being told, again if need be.
    BeingTold,
    /// It does not take the answer.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What became of what this person just sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Banner {
    /// It counts, and more people are wanted.
    Counted,
    /// It put the freeze aside, and is no approval.
    Overridden,
    /// It was the one that decided.
    Decided,
    /// It came after the end, and counts for nothing.
    CameSecond,
    /// It was refused, for these reasons, and nothing was counted.
    Refused(Vec<Refusal>),
}

/// Why an answer was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The digits are not those of the commit, or not there.
    Digits,
    /// It rejects, and does not say why.
    CommentMissing,
    /// The comment is longer than [`COMMENT_CHARACTERS_MAX`](pointsman::domain::approval::COMMENT_CHARACTERS_MAX).
    CommentTooLong,
    /// It overrides the freeze, and does not say why.
    OverrideUnexplained,
    /// It approves in a freeze, and does not override it.
    Frozen,
    /// It overrides the freeze, and this person may not.
    OverrideNotAllowed,
    /// This person may only reject.
    Barred,
    /// This person is no approver any more.
    NoMember,
    /// This person approved already.
    Voted,
    /// Findings, a missing scan, an unknown image or commit stand in the way.
    Blocked,
    /// The approval changed while it was saved, or could not be saved: send it again.
    NotSaved,
}
