//! Blame: which deployment a signal counts against, and what is decided about it.
//!
//! The evidence is a matter of times: what went red before a deployment began says nothing of it, and neither does what
//! goes red long after it landed.

use super::alarm::AlarmState;
use super::change::Sha;
use super::execution::ExecutionId;
use super::image::{Blocker, Finding, FindingStatus, ImageState, Scan, Scans, check, digest_of};
use super::incident::{Blamed, Incident, Status};
use super::policy::{Gate, RollbackPolicy, RollbackRegions, Severity};
use super::shown;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How long after a deployment failed what goes red still counts against that, and not against what is live: its tasks
/// may still be going away.
pub const FAILED_COUNTS_FOR: SignedDuration = SignedDuration::from_mins(5);

/// A deployment in one region: in flight, landed, or failed on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The execution that brings it.
    pub execution: ExecutionId,
    /// The commit, where it is known.
    pub sha: Option<Sha>,
    /// When its deploy in this region began, where that is known.
    pub began: Option<Timestamp>,
    /// When it landed; `None` while it is in flight, and for one that failed.
    pub landed_at: Option<Timestamp>,
    /// When it failed, or was stopped, if it was.
    pub failed_at: Option<Timestamp>,
    /// Whether it turns something back.
    pub is_rollback: bool,
}

/// What a signal is blamed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// On this deployment.
    On(Deployment),
    /// On nothing: it was red before the newest deployment began.
    RedBefore {
        /// When that began.
        began: Timestamp,
    },
    /// On a deployment that failed by itself: there is nothing to turn back.
    OnFailed {
        /// Which one.
        execution: ExecutionId,
        /// The first digits of its commit.
        digits: String,
    },
    /// On what was being turned back: it went red before that had ended.
    WhileTurningBack {
        /// The execution that turned it back.
        by: ExecutionId,
    },
    /// On nothing: the newest deployment landed too long before it.
    Outside {
        /// When.
        landed_at: Timestamp,
    },
    /// On nothing: nothing is known to be deployed there.
    NothingDeployed,
}

impl Deployment {
    /// The first moment at which a signal counts against it. Where nobody knows when a deployment began, what went red
    /// before it landed may be older than it. What goes red while something is turned back counts against that.
    fn counts_from(&self) -> Option<Timestamp> {
        match self.landed_at {
            Some(landed_at) if self.is_rollback => Some(landed_at),
            Some(landed_at) => Some(self.began.unwrap_or(landed_at)),
            None => self.began,
        }
    }

    fn counts_at(&self, since: Timestamp) -> bool {
        self.counts_from().is_some_and(|from| from <= since)
    }

    /// The commit's first seven digits, or what stands for them.
    pub fn digits(&self) -> &str {
        shown::digits(self.sha.as_ref())
    }

    /// As an incident blames it.
    pub fn blamed(&self) -> Blamed {
        Blamed { execution: self.execution.clone(), sha: self.sha.clone() }
    }

    /// When it went red, seen from this deployment: "while 1a2b3c4 was being deployed".
    pub fn when(&self, since: Timestamp) -> String {
        let digits = self.digits();
        match self.landed_at {
            Some(landed_at) if landed_at <= since => {
                let seconds = since.duration_since(landed_at).as_secs();
                if seconds < 120 {
                    format!("{seconds} s after {digits} had landed")
                } else {
                    format!("{} min after {digits} had landed", seconds / 60)
                }
            }
            Some(_) | None => format!("while {digits} was being deployed"),
        }
    }
}

/// What went red at `since` is blamed on, of the deployments of one region: those in flight, and of each pipeline the one
/// that is live. `window` is how long after a landing a signal still counts against it.
pub fn blame(since: Timestamp, deployments: &[Deployment], window: SignedDuration) -> Blame {
    // A rollback that is in flight is the answer to a signal, and no cause of one.
    let in_flight =
        deployments.iter().filter(|one| one.landed_at.is_none() && one.failed_at.is_none() && !one.is_rollback);
    if let Some(suspect) = in_flight.clone().filter(|one| one.counts_at(since)).max_by_key(|one| one.began) {
        return Blame::On(suspect.clone());
    }
    let has_failed = |one: &&Deployment| {
        let counts_to = one.failed_at.map(|failed| failed + FAILED_COUNTS_FOR);
        !one.is_rollback && one.counts_at(since) && counts_to.is_some_and(|to| since <= to)
    };
    let failed = deployments.iter().filter(has_failed).max_by_key(|one| one.began);
    let landed = deployments.iter().filter_map(|one| Some((one.landed_at?, one)));
    let is_recent = |(landed_at, one): &(Timestamp, &Deployment)| {
        one.counts_at(since) && since.duration_since(*landed_at) <= window
    };
    let suspect = landed.clone().filter(is_recent).max_by_key(|(landed_at, _)| *landed_at);
    // What landed after it failed is the newer one: a fix, or the way back.
    let comes_after =
        |(landed_at, _): &(Timestamp, &Deployment)| failed.is_none_or(|one| one.failed_at < Some(*landed_at));
    match (suspect.filter(comes_after), failed) {
        (Some((_, suspect)), _) => return Blame::On(suspect.clone()),
        (None, Some(failed)) => {
            return Blame::OnFailed { execution: failed.execution.clone(), digits: failed.digits().to_owned() };
        }
        (None, None) => {}
    }
    match landed.max_by_key(|(landed_at, _)| *landed_at) {
        Some((landed_at, newest)) if newest.counts_at(since) => Blame::Outside { landed_at },
        Some((_, newest)) if newest.is_rollback && newest.began.is_none_or(|began| began <= since) => {
            Blame::WhileTurningBack { by: newest.execution.clone() }
        }
        Some((landed_at, newest)) => Blame::RedBefore { began: newest.began.unwrap_or(landed_at) },
        None => {
            let began = in_flight.filter_map(|one| one.began).max();
            began.map_or(Blame::NothingDeployed, |began| Blame::RedBefore { began })
        }
    }
}

/// The latest rollback that AWS accepted in an environment's region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRollback {
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// What was turned back.
    pub from: ExecutionId,
}

/// What a decision hangs on.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// The environment's policy.
    pub policy: &'a RollbackPolicy,
    /// The regions of the environment.
    pub regions: &'a BTreeSet<String>,
    /// The region that the signal came from.
    pub region: &'a str,
    /// What is blamed.
    pub suspect: &'a Deployment,
    /// The latest rollback there.
    pub last: Option<&'a LastRollback>,
    /// Whether it may settle first: an alarm may, and only once.
    pub may_settle: bool,
    /// The time.
    pub now: Timestamp,
}

/// What is decided about a deployment that is blamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// To wait whether the alarm stays red.
    Settle {
        /// For how long.
        time: SignedDuration,
    },
    /// To turn it back.
    RollBack {
        /// Where.
        regions: Vec<String>,
    },
    /// To call a person.
    Person {
        /// Why.
        why: String,
    },
}

/// Decides. A rollback never causes a rollback, and none comes within the cooldown of another.
#[must_use]
pub fn decide(case: &Case<'_>) -> Verdict {
    let digits = case.suspect.digits();
    if case.suspect.is_rollback {
        let why = format!("it follows the rollback to {digits}, and a rollback is not turned back");
        return Verdict::Person { why };
    }
    let settle = SignedDuration::from_secs(i64::from(case.policy.settle.seconds()));
    if case.may_settle && settle.is_positive() {
        return Verdict::Settle { time: settle };
    }
    let cooldown = SignedDuration::from_secs(i64::from(case.policy.cooldown.seconds()));
    let is_cooling = |last: &&LastRollback| {
        last.from != case.suspect.execution && case.now.duration_since(last.accepted_at) < cooldown
    };
    if let Some(last) = case.last.filter(is_cooling) {
        let why = format!(
            "{digits} is to blame, and the rollback of {} was within the cooldown of {}; a person may turn it back",
            shown::utc(last.accepted_at),
            case.policy.cooldown
        );
        return Verdict::Person { why };
    }
    let regions = match case.policy.regions {
        RollbackRegions::All => case.regions.iter().cloned().collect(),
        RollbackRegions::Affected => vec![case.region.to_owned()],
    };
    Verdict::RollBack { regions }
}

/// What a further signal is to an incident that blames the same execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// It is written down; the decision stands.
    Stands,
    /// It is decided on anew.
    DecidesAnew,
    /// It came after the blamed version had been turned back, and found it live all the same.
    FollowsRollback,
}

/// What a signal of `since` is to an incident. `turned_back_at` is when its last rollback ended, if all have.
#[must_use]
pub fn joining(incident: &Incident, since: Timestamp, turned_back_at: Option<Timestamp>) -> Joining {
    match incident.status {
        Status::Settling | Status::RollingBack | Status::NeedsPerson | Status::Cancelled => Joining::Stands,
        Status::RolledBack if turned_back_at.is_some_and(|at| at < since) => Joining::FollowsRollback,
        Status::RolledBack => Joining::Stands,
        Status::Recorded | Status::Blocked | Status::Closed => Joining::DecidesAnew,
    }
}

/// What a finding means for what is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfFinding {
    /// Nothing: it is waived, cannot be fixed where only that counts, or is not bad enough.
    Nothing,
    /// It is written down and told.
    Tell,
    /// The version is turned back, if there is one without it.
    RollBack,
}

/// What an active finding in a live image means. Critical and high ones are told even where no policy names them; less
/// severe ones only where the gate does, since there are thousands.
#[must_use]
pub fn of_live(gate: Option<&Gate>, policy: Option<&RollbackPolicy>, finding: &Finding, today: Date) -> OfFinding {
    let told =
        [Severity::Critical, Severity::High].into_iter().chain(gate.iter().flat_map(|gate| gate.findings.clone()));
    let acted_on = policy.map(|policy| policy.findings.clone()).unwrap_or_default();
    if counts(gate, &acted_on, finding, today) {
        OfFinding::RollBack
    } else if counts(gate, &told.collect::<Vec<_>>(), finding, today) {
        OfFinding::Tell
    } else {
        OfFinding::Nothing
    }
}

/// Whether an environment's gate keeps a candidate out because of this finding.
#[must_use]
pub fn blocks_candidate(gate: Option<&Gate>, finding: &Finding, today: Date) -> bool {
    gate.is_some_and(|gate| counts(Some(gate), &gate.findings, finding, today))
}

/// Whether a finding counts among `severities`, as the gate would judge it: its waivers, and whether only what can be
/// fixed counts, are those of the gate everywhere.
fn counts(gate: Option<&Gate>, severities: &[Severity], finding: &Finding, today: Date) -> bool {
    let judge = Gate {
        findings: severities.to_vec(),
        fixable_only: gate.is_some_and(|gate| gate.fixable_only),
        wait_for_scan: Gate::default_wait_for_scan(),
        waivers: gate.map(|gate| gate.waivers.clone()).unwrap_or_default(),
    };
    let scan = Scan { at: finding.at, event: String::new(), counts: BTreeMap::new() };
    let scans = Scans { repositories: [(finding.repository.clone(), scan)].into() };
    let state = ImageState { scans, findings: vec![finding.clone()], is_cut_off: false };
    let image = "the image";
    let check = check(&judge, &[image.to_owned()].into(), &[(digest_of(image).to_owned(), state)].into(), today);
    check.blockers.iter().any(|blocker| matches!(blocker, Blocker::Finding { .. }))
}

/// Whether a vulnerability is active in any of these images, though an event has just `told` of one of them that one
/// finding in it is not active any more: the ledger may not know that yet.
#[must_use]
pub fn is_active_in(vulnerability: &str, images: &BTreeMap<String, ImageState>, told_of: &str, told: &Finding) -> bool {
    let is_it = |finding: &&Finding| finding.vulnerability == vulnerability;
    images.iter().any(|(digest, state)| {
        let is_same =
            |finding: &Finding| finding.vulnerability == told.vulnerability && finding.repository == told.repository;
        let is_told = |finding: &Finding| digest == told_of && is_same(finding) && *finding <= *told;
        let mut known = state.findings.iter().filter(is_it).filter(|finding| !is_told(finding));
        known.any(|finding| finding.status == FindingStatus::Active)
    })
}

/// Whether a change of an alarm is news: later than what was heard of it before. What is older, or told again, is none.
#[must_use]
pub fn is_news(heard: Option<(AlarmState, Timestamp)>, since: Timestamp) -> bool {
    heard.is_none_or(|(_, before)| before < since)
}

#[cfg(test)]
mod tests;
