//! From what is known of an approval to what one person is shown of it.

use crate::page::{
    self, Banner, Change, Check, CheckResult, Draft, Ended, Finding, Findings, Group, Obstacle, Open, Overridden,
    Person, Policy, Refusal, Region, Runs, Scan, Since, Standing, Told, View, Waived,
};
use jiff::Timestamp;
use pointsman::approving::Situation;
use pointsman::domain::approval::{
    self, Approval, Ballot, Choice, Decision, End, Over, PEOPLE_WHERE_AUTHORS_ARE_UNKNOWN, Refused, State, Tally, Via,
    Vote, tally,
};
use pointsman::domain::change::GitRef;
use pointsman::domain::image::{Blocker, GateCheck};
use pointsman::domain::observed::State as Reported;
use pointsman::domain::policy::Gate;
use pointsman::domain::shown::Commit;
use std::collections::{BTreeMap, BTreeSet};

/// What became of what a person just sent.
pub(crate) struct Outcome<'a> {
    /// What they sent.
    pub(crate) ballot: &'a Ballot,
    /// Why it was not taken; `None`: it was.
    pub(crate) refused: Option<&'a Refused>,
}

/// What `person` is shown at `now`.
pub(crate) fn view(
    approval: &Approval,
    situation: &Situation,
    person: &str,
    outcome: Option<&Outcome<'_>>,
    now: Timestamp,
) -> View {
    let tally = tally(approval, &situation.standing);
    let invited = approval.people.get(person);
    View {
        person: invited.map_or_else(|| person.to_owned(), |invited| invited.email.clone()),
        now,
        approval: approval.id.to_string(),
        environment: approval.environment.clone().unwrap_or_default(),
        change: change(approval, situation),
        regions: situation.live.iter().map(region).collect(),
        since: since(situation),
        checks: checks(situation),
        scan: scan(approval, situation, now),
        freeze: situation.freeze(person).filter(|_| !approval.is_overridden(&situation.standing)),
        overridden: approval.overridden.as_ref().map(|done| Overridden {
            by: approval.people.get(&done.by).map_or_else(|| done.by.clone(), |invited| invited.email.clone()),
            reason: done.reason.clone(),
            at: done.at,
        }),
        policy: policy(approval, situation, &tally),
        newer: situation.newer.clone(),
        expires: approval.expires_at,
        state: state(approval, situation, &tally, person, outcome, now),
        banner: outcome.map(|outcome| banner(approval, person, outcome)),
    }
}

fn change(approval: &Approval, situation: &Situation) -> Change {
    let subject = &approval.subject;
    Change {
        repository: subject.repository.as_ref().map(|repository| repository.full_name.clone()).unwrap_or_default(),
        git_ref: subject.git_ref.clone().map(GitRef::from),
        commit: situation.commit(approval),
        started: situation.started(approval),
        images: situation.images.iter().cloned().collect(),
        pipeline: approval.place.target.name.clone(),
        execution: approval.place.aws_id.clone(),
    }
}

fn region(place: &pointsman::approving::LivePlace) -> Region {
    let runs = match &place.version {
        None => Runs::Nothing,
        Some(version) => match &version.sha {
            Some(sha) => Runs::Commit { sha: sha.clone(), since: Some(version.at) },
            None => Runs::Unknown,
        },
    };
    Region { name: place.region.clone(), runs }
}

fn since(situation: &Situation) -> Since {
    let live = situation.live.iter().filter_map(|place| place.version.as_ref()?.sha.clone());
    let shown = |commit: &pointsman::domain::change::Commit| Commit {
        sha: commit.sha.clone(),
        title: Some(commit.title.clone()),
        author: Some(commit.author.name.clone()),
    };
    Since {
        live: live.min(),
        commits: situation.authors.commits.iter().map(shown).collect(),
        more: situation.authors.left_out,
        gap: situation.standing.not_knowable.clone(),
    }
}

/// The actions that ran, in the order in which they began.
fn checks(situation: &Situation) -> Vec<Check> {
    let mut ran: Vec<_> =
        situation.observed.actions.iter().filter(|(_, action)| action.category != "Approval").collect();
    // Events have whole seconds: what gets the source comes first among those of one.
    ran.sort_by_key(|(name, action)| (action.progress.began.map(|began| began.1), action.category != "Source", *name));
    let result = |state: Reported| match state {
        Reported::Succeeded => CheckResult::Succeeded,
        Reported::Failed => CheckResult::Failed,
        Reported::Started | Reported::Resumed => CheckResult::Running,
        Reported::Stopping | Reported::Stopped | Reported::Abandoned | Reported::Canceled | Reported::Superseded => {
            CheckResult::Unknown
        }
    };
    let check = |(name, action): (&String, &pointsman::domain::observed::Action)| Check {
        name: name.clone(),
        result: result(action.progress.mark.state),
        at: Some(action.progress.mark.at),
    };
    ran.into_iter().map(check).collect()
}

fn scan(approval: &Approval, situation: &Situation, now: Timestamp) -> Scan {
    let gate = situation.config.as_ref().and_then(|config| config.environment.gate.as_ref());
    let (Some(gate), Some(check)) = (gate, &situation.check) else { return Scan::NotDemanded };
    if check.blockers.contains(&Blocker::NoDigest) {
        return Scan::ImageUnknown;
    }
    if check.is_scan_missing() {
        return match approval.scan_due_at {
            Some(until) if now < until => Scan::Awaited { until },
            Some(since) => Scan::Missing { since },
            None => Scan::Missing { since: approval.opened_at },
        };
    }
    Scan::Done(findings(gate, check))
}

fn findings(gate: &Gate, check: &GateCheck) -> Findings {
    let blocking = check.blockers.iter().filter_map(|blocker| {
        Some(match blocker {
            Blocker::Finding { image, id, severity } => {
                Finding { id: id.clone(), severity: *severity, what: Some(image.clone()), is_fixable: None }
            }
            Blocker::Uncounted { image, severity, count } => Finding {
                id: format!("{count} more that Inspector counted"),
                severity: *severity,
                what: Some(image.clone()),
                is_fixable: None,
            },
            Blocker::CutOff { .. } | Blocker::NoDigest | Blocker::ScanMissing { .. } => return None,
        })
    });
    let waived = check.waived.iter().map(|waived| Waived { severity: waived.severity, waiver: waived.waiver.clone() });
    Findings {
        at: None,
        counts: check.counts.iter().map(|(severity, count)| (*severity, *count)).collect(),
        barred: gate.findings.clone(),
        fixable_only: gate.fixable_only,
        blocking: blocking.collect(),
        waived: waived.collect(),
    }
}

fn policy(approval: &Approval, situation: &Situation, tally: &Tally) -> Policy {
    let none = BTreeMap::new();
    let require = approval.policy.as_ref().map_or(&none, |policy| &policy.require);
    let groups = require.iter().map(|(name, wanted)| {
        let missing = tally.missing.get(name).copied().unwrap_or(0);
        let members = situation.standing.members.iter().filter(|(_, groups)| groups.contains(name)).map(|(key, _)| key);
        let people: BTreeSet<&String> = members.collect();
        Group {
            name: name.clone(),
            wanted: *wanted,
            have: wanted.saturating_sub(missing),
            people: people.into_iter().map(|key| who(approval, situation, tally, name, key)).collect(),
        }
    });
    Policy {
        groups: groups.collect(),
        people_min: situation.standing.not_knowable.as_ref().map(|_| PEOPLE_WHERE_AUTHORS_ARE_UNKNOWN),
        still_wanted: still_wanted(tally),
    }
}

fn still_wanted(tally: &Tally) -> u32 {
    tally.missing.values().sum::<u32>().max(tally.more_people)
}

/// How many approvals would still be wanted after one of this person's.
fn wanted_after(approval: &Approval, situation: &Situation, person: &str, now: Timestamp) -> u32 {
    let mut with_theirs = approval.clone();
    with_theirs.votes.retain(|vote| vote.by != person);
    with_theirs.votes.push(Vote {
        by: person.to_owned(),
        choice: Choice::Approve,
        comment: String::new(),
        via: Via::Link,
        at: now,
    });
    still_wanted(&tally(&with_theirs, &situation.standing))
}

fn who(approval: &Approval, situation: &Situation, tally: &Tally, group: &str, key: &str) -> Person {
    let email = approval.people.get(key).map_or_else(|| key.to_owned(), |invited| invited.email.clone());
    let barred = approval.policy.as_ref().and_then(|policy| situation.standing.barred(policy, key));
    let vote = approval.votes.iter().find(|vote| vote.by == key);
    let standing = match (vote, barred) {
        (Some(vote), _) if vote.choice == Choice::Reject => Standing::Rejected { at: vote.at },
        (_, Some(why)) => Standing::Barred { why: why.to_owned() },
        (Some(vote), None) => match tally.counted.get(key) {
            Some(Some(seat)) if seat != group => {
                Standing::NotCounted { at: vote.at, why: format!("counts for {seat}") }
            }
            Some(_) => Standing::Approved {
                at: vote.at,
                comment: Some(vote.comment.clone()).filter(|comment| !comment.is_empty()),
                is_override: approval.overridden.as_ref().is_some_and(|done| done.by == key),
            },
            None => Standing::NotCounted { at: vote.at, why: "no longer counts".to_owned() },
        },
        (None, None) => Standing::Wanted,
    };
    Person { email, standing }
}

fn state(
    approval: &Approval,
    situation: &Situation,
    tally: &Tally,
    person: &str,
    outcome: Option<&Outcome<'_>>,
    now: Timestamp,
) -> page::State {
    match &approval.state {
        State::Open if approval.is_open(now) => page::State::Open(Open {
            obstacles: obstacles(approval, situation, tally, person),
            wanted_after: wanted_after(approval, situation, person, now),
            draft: outcome.filter(|outcome| outcome.refused.is_some()).map(draft).unwrap_or_default(),
        }),
        // `sweep` says so in a minute; nobody can vote meanwhile.
        State::Open => ended(approval.expires_at, page::Outcome::Expired, Some(Told::BeingTold)),
        State::Decided { decision, at, told } => {
            ended(*at, decided(approval, decision), Some(how_told(told, decision, *at)))
        }
        State::Ended { end, at } => ended(*at, how_ended(end), None),
        State::LeftToConsole { why } => ended(approval.opened_at, page::Outcome::Over { why: why.clone() }, None),
    }
}

fn ended(at: Timestamp, outcome: page::Outcome, told: Option<Told>) -> page::State {
    page::State::Ended(Ended { at, outcome, told })
}

fn draft(outcome: &Outcome<'_>) -> Draft {
    Draft { comment: outcome.ballot.comment.clone(), is_override: outcome.ballot.overrides }
}

fn decided(approval: &Approval, decision: &Decision) -> page::Outcome {
    let email = |key: &String| approval.people.get(key).map_or_else(|| key.clone(), |invited| invited.email.clone());
    match decision {
        Decision::Approved { by } => {
            page::Outcome::Approved { by: by.iter().map(email).collect(), is_override: approval.overridden.is_some() }
        }
        Decision::Rejected { by, comment } => page::Outcome::Rejected { by: email(by), comment: comment.clone() },
        Decision::Expired => page::Outcome::Expired,
        Decision::Passed { .. } => page::Outcome::Rollback { what: approval.summary().unwrap_or_default() },
        Decision::TurnedBack { incident } => page::Outcome::TurnedBack { incident: incident.clone() },
        Decision::Withdrawn => page::Outcome::Stopped,
    }
}

fn how_ended(end: &End) -> page::Outcome {
    match end {
        End::AnsweredElsewhere { by, approved } => page::Outcome::Console {
            by: by.clone().unwrap_or_else(|| "somebody".to_owned()),
            is_approved: *approved,
            summary: None,
        },
        End::TimedOut => page::Outcome::Expired,
        End::Over { why: Over::Stopped } => page::Outcome::Stopped,
        End::Over { why: Over::Cancelled } => page::Outcome::PipelineEdited,
        End::Over { why: Over::Superseded } => page::Outcome::Superseded,
        End::Over { why } => page::Outcome::Over { why: why.to_string() },
    }
}

fn how_told(told: &approval::Told, decision: &Decision, at: Timestamp) -> Told {
    match told {
        // Somebody else said the same first.
        approval::Told::Overruled { approved, .. } if *approved == decision.lets_in() => Told::Yes { at },
        approval::Told::Pending { .. } => Told::BeingTold,
        approval::Told::Done { at } => Told::Yes { at: *at },
        approval::Told::Gone { why } => Told::Failed { reason: why.clone() },
        approval::Told::Overruled { by, approved } => {
            let (who, what) = (by.as_deref().unwrap_or("somebody"), if *approved { "approved" } else { "rejected" });
            Told::Failed { reason: format!("{who} had {what} it there before") }
        }
    }
}

fn obstacles(approval: &Approval, situation: &Situation, tally: &Tally, person: &str) -> Vec<Obstacle> {
    let standing = &situation.standing;
    let Some(policy) = &approval.policy else { return Vec::new() };
    let is_asked = standing.is_asked(policy, person);
    let may_override = standing.may_override.contains(person);
    let mut found = Vec::new();
    if !is_asked && !may_override {
        found.push(Obstacle::NoMember);
    }
    if let Some(why) = standing.barred(policy, person) {
        found.push(Obstacle::Barred { why: why.to_owned() });
    }
    let is_frozen = standing.frozen.is_some() && !approval.is_overridden(standing);
    if !is_asked && may_override && !is_frozen {
        found.push(Obstacle::Barred { why: "you were asked only whether to override a freeze".to_owned() });
    }
    let voted = approval.votes.iter().find(|vote| vote.by == person && vote.choice == Choice::Approve);
    // Once more is of use where it overrides a freeze, or where what was wanted has become less since.
    let voted = voted.filter(|_| !(tally.is_met() || (is_frozen && may_override)));
    found.extend(voted.map(|vote| Obstacle::Voted { at: vote.at }));
    if approval.subject.sha.is_none() {
        found.push(Obstacle::CommitUnknown);
    }
    if let Some(quarantine) = &situation.quarantine {
        found.push(Obstacle::Quarantined { why: quarantine.obstacle() });
    }
    if let Some(check) = situation.check.as_ref().filter(|check| !check.is_passed()) {
        found.push(if check.blockers.contains(&Blocker::NoDigest) {
            Obstacle::ImageUnknown
        } else if !check.is_scan_missing() {
            Obstacle::Findings
        } else if approval.scan_missing_since.is_some() {
            Obstacle::ScanMissing
        } else {
            Obstacle::ScanAwaited
        });
    }
    if is_frozen {
        found.push(Obstacle::Frozen);
    }
    if !tally.can_be_met {
        found.push(Obstacle::OutOfReach { why: out_of_reach(situation) });
    }
    found
}

fn out_of_reach(situation: &Situation) -> String {
    let why = "too few people are left who may approve";
    match &situation.standing.not_knowable {
        Some(gap) => format!("{why}, and two must agree, since {gap}"),
        None => why.to_owned(),
    }
}

fn banner(approval: &Approval, person: &str, outcome: &Outcome<'_>) -> Banner {
    let refusal = |one| Banner::Refused(vec![one]);
    match outcome.refused {
        None if approval.state == State::Open && !approval.votes.iter().any(|vote| vote.by == person) => {
            Banner::Overridden
        }
        None if approval.state == State::Open => Banner::Counted,
        None => Banner::Decided,
        Some(Refused::Over) => Banner::CameSecond,
        Some(Refused::NotAsked) => refusal(Refusal::NoMember),
        Some(Refused::WrongDigits) => refusal(Refusal::Digits),
        Some(Refused::NoComment) if outcome.ballot.choice == Choice::Approve => refusal(Refusal::OverrideUnexplained),
        Some(Refused::NoComment) => refusal(Refusal::CommentMissing),
        Some(Refused::CommentTooLong) => refusal(Refusal::CommentTooLong),
        Some(Refused::Barred { .. }) => refusal(Refusal::Barred),
        Some(Refused::NoCommit | Refused::Blocked { .. }) => refusal(Refusal::Blocked),
        Some(Refused::Frozen { .. }) => refusal(Refusal::Frozen),
        Some(Refused::MayNotOverride | Refused::NotFrozen) => refusal(Refusal::OverrideNotAllowed),
    }
}
