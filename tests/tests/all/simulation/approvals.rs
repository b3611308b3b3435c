//! What must be true of every approval after the calm, whatever people and the network did.
//!
//! Who may approve is found out here anew, from the configurations' text, the history and the audit log, by trying
//! every way: nothing of the rules that decided is used.

use super::people::{Crowd, Letter, PIPELINE, Question, Rules};
use super::{Outcome, Sending};
use jiff::{SignedDuration, Timestamp};
use pointsman::domain::approval::{
    Approval, ApprovalId, Choice, Decision, End, LINKS_PER_PERSON_MAX, LinkHash, Mail, State, Told,
};
use pointsman::domain::audit::Entry;
use pointsman_local::runner::REGION;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How long an approval may be asked for, with nothing going wrong, until it is opened: `sweep` looks at quiet
/// executions every ten minutes.
const OPENED_WITHIN_SECONDS: i64 = 15 * 60;
/// How long a mail may take after things went wrong: the longest wait between two tries, and a minute.
const MAILED_WITHIN_SECONDS: i64 = 17 * 60;
/// How long it may take where nothing ever went wrong: `sweep` comes every minute.
const MAILED_AT_ONCE_SECONDS: i64 = 2 * 60;

/// How long a request may take at most, from its beginning to its vote.
const REQUEST_TAKES: SignedDuration = SignedDuration::from_secs(30);

/// What a run leaves behind of its approvals.
pub(super) struct Left {
    pub(super) rules: Rules,
    pub(super) crowd: Crowd,
    /// Every approval that we recorded.
    pub(super) approvals: Vec<Approval>,
    /// Every approval that CodePipeline asked for.
    pub(super) questions: Vec<Question>,
    pub(super) letters: Vec<Letter>,
    /// Since when nothing goes wrong any more, in seconds since the epoch.
    pub(super) calm_since: i64,
    pub(super) dead_letters: String,
    /// What those were told who came after everything was over.
    pub(super) late: Vec<(Letter, u64)>,
    /// Every item of both tables, after they came.
    pub(super) dump_after_late: String,
}

pub(super) fn check(seed: u64, outcome: &Outcome) {
    let left = &outcome.left;
    for approval in &left.approvals {
        let decided = decided(outcome, approval);
        assert!(decided.len() <= 1, "seed {seed}: {} was decided {} times", approval.id, decided.len());
        enough_of_the_right_people_let_it_in(seed, outcome, approval, decided.first().copied());
        codepipeline_has_the_decision_or_the_record_says_why_not(seed, left, approval);
        its_people_were_mailed(seed, left, approval);
        its_votes_came_in_time(seed, approval);
    }
    an_action_execution_has_one_approval(seed, left);
    nothing_was_let_in_but_by_us_or_in_the_console(seed, left);
    what_was_asked_for_long_was_opened(seed, left);
    who_was_told_that_it_counts_is_counted(seed, left);
    a_link_is_worth_nothing_afterwards(seed, outcome);
    no_link_and_no_token_is_kept(seed, outcome);
}

/// The entries of the audit log that decide this approval.
fn decided<'a>(outcome: &'a Outcome, approval: &Approval) -> Vec<&'a Entry> {
    let entries = outcome.chains.iter().flatten();
    let is_its = |entry: &&Entry| entry.what == "approval decided" && entry.detail["approval"] == approval.id.as_str();
    entries.filter(is_its).collect()
}

fn enough_of_the_right_people_let_it_in(seed: u64, outcome: &Outcome, approval: &Approval, entry: Option<&Entry>) {
    let id = &approval.id;
    let State::Decided { decision, .. } = &approval.state else {
        assert!(entry.is_none(), "seed {seed}: {id} was decided, and is {:?}", approval.state);
        return;
    };
    let entry = entry.unwrap_or_else(|| panic!("seed {seed}: {id} is decided, and the audit log does not know"));
    let by = match decision {
        Decision::Approved { by } => by,
        Decision::Passed { .. } => panic!("seed {seed}: {id} passed as a rollback, and there is none"),
        Decision::Rejected { .. } | Decision::Expired | Decision::TurnedBack { .. } | Decision::Withdrawn => return,
    };
    let judged = &entry.detail["judged_by"];
    let version = judged["configuration"].as_u64().unwrap() as usize;
    let State::Decided { at, .. } = &approval.state else { return };
    let known = outcome.left.crowd.decided_before_change.as_ref();
    let is_changed = known.is_some_and(|before| !before.contains(id.as_str()));
    assert!(version == 2 || !is_changed, "seed {seed}: {id} was judged by a configuration that was replaced before");
    assert!(at.as_second() <= approval.expires_at.as_second(), "seed {seed}: {id} was let in after its time");
    let members = members(&outcome.left.rules.texts[version - 1]);
    let require = &approval.policy.as_ref().unwrap().require;
    let yes = approval.votes.iter().filter(|vote| vote.choice == Choice::Approve);
    let yes: BTreeSet<&str> = yes.map(|vote| vote.by.as_str()).collect();
    let people: BTreeSet<&str> = by.iter().map(String::as_str).collect();
    assert_eq!(people.len(), by.len(), "seed {seed}: {id} counts somebody twice: {by:?}");
    for person in &people {
        assert!(yes.contains(person), "seed {seed}: {id} counts {person}, who did not say yes");
        let is_asked = require.keys().any(|group| members[group].contains(*person));
        assert!(is_asked, "seed {seed}: {id} counts {person}, who is in no group that is asked in version {version}");
        assert!(judged["authors"].get(person).is_none(), "seed {seed}: {id} counts {person}, who is barred");
    }
    let seats: Vec<&str> =
        require.iter().flat_map(|(group, count)| std::iter::repeat_n(group.as_str(), *count as usize)).collect();
    let is_enough = can_fill(&seats, &people, &members);
    assert!(is_enough, "seed {seed}: {id} has not enough people: {people:?} of {members:?} for {seats:?}");
    if !judged["not_knowable"].is_null() {
        assert!(people.len() >= 2, "seed {seed}: {id} was let in by {people:?} alone, and nobody knows who wrote it");
    }
    if outcome.left.rules.freeze.as_ref().is_some_and(|freeze| freeze.contains(&at.as_second())) {
        let over = approval.overridden.as_ref().unwrap_or_else(|| panic!("seed {seed}: {id} was let in in a freeze"));
        assert!(members["product"].contains(&over.by), "seed {seed}: {id}: {} overrode the freeze", over.by);
    }
    nobody_let_in_their_own(seed, outcome, approval, judged, &people);
    its_images_were_scanned(seed, outcome, approval, judged);
}

/// Who is in which group, by lower-cased address.
fn members(config: &str) -> BTreeMap<String, BTreeSet<String>> {
    let config: toml::Table = config.parse().unwrap();
    let groups = config["approvers"].as_table().unwrap().iter();
    let emails = |group: &toml::Value| {
        let members = group["members"].as_array().unwrap().iter();
        members.map(|member| member["email"].as_str().unwrap().to_lowercase()).collect()
    };
    groups.map(|(name, group)| (name.clone(), emails(group))).collect()
}

/// Whether each seat can be given to somebody of its group, nobody having two: every way is tried.
fn can_fill(seats: &[&str], people: &BTreeSet<&str>, members: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let Some((seat, rest)) = seats.split_first() else { return true };
    people.iter().filter(|person| members[*seat].contains(**person)).any(|person| {
        let mut others = people.clone();
        others.remove(person);
        can_fill(rest, &others, members)
    })
}

/// A version is let in by nobody who pushed it. And where its authors were taken for known, its pushes lead back to what
/// was live, none of them by those who let it in.
fn nobody_let_in_their_own(seed: u64, outcome: &Outcome, approval: &Approval, judged: &Value, people: &BTreeSet<&str>) {
    let execution = outcome.executions.iter().find(|execution| execution.id == approval.execution).unwrap();
    let pusher = format!("{}@example.com", execution.actor.as_deref().unwrap_or_default());
    assert!(!people.contains(pusher.as_str()), "seed {seed}: {} was let in by its pusher", approval.id);
    if !judged["not_knowable"].is_null() {
        return;
    }
    let is_by_others = |sending: &&Sending| sending.people.iter().all(|person| !people.contains(person.as_str()));
    let pushes: Vec<&Sending> =
        outcome.sendings.iter().filter(|sending| !sending.is_forced).filter(is_by_others).collect();
    let candidate = approval.subject.sha.as_ref().unwrap().as_str();
    let live = judged["live"][REGION].as_str();
    let (mut seen, mut waiting) = (BTreeSet::from([candidate]), vec![candidate]);
    while let Some(commit) = waiting.pop() {
        for push in pushes.iter().filter(|push| push.after == commit) {
            if seen.insert(&push.before) {
                waiting.push(&push.before);
            }
        }
    }
    match live {
        Some(live) => assert!(seen.contains(live), "seed {seed}: {} was let in by one of its authors", approval.id),
        None => assert!(seen.len() > 1, "seed {seed}: {} was let in by one of its authors", approval.id),
    }
}

fn its_images_were_scanned(seed: u64, outcome: &Outcome, approval: &Approval, judged: &Value) {
    let Left { rules, crowd, .. } = &outcome.left;
    let State::Decided { at, .. } = &approval.state else { return };
    if !rules.has_gate {
        assert!(judged["gate"].is_null(), "seed {seed}: {} has no gate", approval.id);
        return;
    }
    assert_eq!(judged["gate"], true, "seed {seed}: {} did not pass the gate", approval.id);
    let execution = outcome.executions.iter().find(|execution| execution.id == approval.execution).unwrap();
    assert!(!execution.images.is_empty(), "seed {seed}: {} was let in without a known image", approval.id);
    for image in &execution.images {
        let digest = image.rsplit('@').next().unwrap();
        let scanned = crowd.scanned.get(digest).is_some_and(|since| *since <= at.as_second());
        assert!(scanned, "seed {seed}: {} was let in before {image} was scanned", approval.id);
    }
}

fn codepipeline_has_the_decision_or_the_record_says_why_not(seed: u64, left: &Left, approval: &Approval) {
    let id = &approval.id;
    let question = left.questions.iter().find(|one| one.action_execution == approval.place.action_execution);
    let status = question.map(|question| question.status.as_str());
    let by_hand = left.crowd.by_hand.get(&approval.place.action_execution);
    let is_ours = question.is_some_and(|question| question.summary.starts_with(id.as_str()));
    let word = |lets_in: bool| Some(if lets_in { "Succeeded" } else { "Failed" });
    match &approval.state {
        State::Open => panic!("seed {seed}: {id} is still open; CodePipeline says {status:?}"),
        State::LeftToConsole { why } => panic!("seed {seed}: {id} was left to the console: {why}"),
        State::Decided { told: Told::Pending { trouble }, .. } => {
            panic!("seed {seed}: {id} is decided, and CodePipeline was never told: {trouble:?}; it says {status:?}")
        }
        State::Decided { decision, told: Told::Done { .. }, .. } => {
            assert!(is_ours, "seed {seed}: {id} was told, and CodePipeline has {question:?}");
            assert_eq!(status, word(decision.lets_in()), "seed {seed}: {id} was told as {decision:?}");
        }
        State::Decided { told: Told::Overruled { approved, .. }, .. } => {
            assert!(!is_ours, "seed {seed}: {id} was overruled by itself");
            assert_eq!(by_hand, Some(approved), "seed {seed}: {id} was overruled by nobody");
            assert_eq!(status, word(*approved), "seed {seed}: {id} was overruled");
        }
        State::Ended { end: End::AnsweredElsewhere { approved, .. }, .. } => {
            assert!(!is_ours, "seed {seed}: {id} was answered by ourselves, and we do not know");
            assert_eq!(by_hand, Some(approved), "seed {seed}: {id} was answered by nobody");
        }
        State::Ended { end: End::TimedOut, .. } => panic!("seed {seed}: {id} timed out, which takes seven days"),
        State::Decided { told: Told::Gone { .. }, .. } | State::Ended { end: End::Over { .. }, .. } => {
            let is_answered = is_ours || matches!(status, Some("Succeeded" | "InProgress"));
            assert!(!is_answered, "seed {seed}: {id} is taken for gone, and CodePipeline has {question:?}");
        }
    }
}

/// When an approval came to its end.
fn ended_at(approval: &Approval) -> Timestamp {
    match &approval.state {
        State::Decided { at, .. } | State::Ended { at, .. } => *at,
        State::Open | State::LeftToConsole { .. } => Timestamp::MAX,
    }
}

fn its_people_were_mailed(seed: u64, left: &Left, approval: &Approval) {
    let (opened, ended) = (approval.opened_at.as_second(), ended_at(approval).as_second());
    let calmly_open = ended - opened.max(left.calm_since);
    let needed = if opened >= left.calm_since { MAILED_AT_ONCE_SECONDS } else { MAILED_WITHIN_SECONDS };
    if calmly_open < needed {
        return;
    }
    for (key, person) in &approval.people {
        let is_theirs = |letter: &&Letter| letter.to == person.email && letter.approval == approval.id.as_str();
        let has_one = left.letters.iter().any(|letter| is_theirs(&letter));
        // What SNS took may get lost behind it while things go wrong, and nobody hears of that: a reminder follows.
        let is_lost = matches!(person.mail, Mail::Sent { at } if at.as_second() < left.calm_since);
        assert!(has_one || is_lost, "seed {seed}: {key} got no mail about {}: {:?}", approval.id, person.mail);
    }
}

fn its_votes_came_in_time(seed: u64, approval: &Approval) {
    // Two at once: each has the time at which its request came, and the later one may be taken first.
    let end = ended_at(approval).saturating_add(REQUEST_TAKES).unwrap().min(approval.expires_at);
    let mut voters = BTreeSet::new();
    for vote in &approval.votes {
        let is_in_time = approval.opened_at <= vote.at && vote.at.as_second() <= end.as_second();
        assert!(is_in_time, "seed {seed}: {} voted on {} at {}", vote.by, approval.id, vote.at);
        assert!(voters.insert(&vote.by), "seed {seed}: {} has two votes on {}", vote.by, approval.id);
    }
}

fn an_action_execution_has_one_approval(seed: u64, left: &Left) {
    let mut seen = BTreeSet::new();
    for approval in &left.approvals {
        let its = &approval.place.action_execution;
        assert!(seen.insert(its), "seed {seed}: {its} has two approvals");
        assert_eq!(approval.id, ApprovalId::of(&approval.place), "seed {seed}");
        let is_asked = left.questions.iter().any(|question| question.action_execution == *its);
        assert!(is_asked, "seed {seed}: {} is about a question that {PIPELINE} never asked", approval.id);
    }
}

fn nothing_was_let_in_but_by_us_or_in_the_console(seed: u64, left: &Left) {
    for question in &left.questions {
        let approval = left.approvals.iter().find(|one| one.place.action_execution == question.action_execution);
        let by_hand = left.crowd.by_hand.get(&question.action_execution);
        let decision = approval.and_then(|approval| match &approval.state {
            State::Decided { decision, told: Told::Done { .. }, .. } => Some(decision.lets_in()),
            _ => None,
        });
        match question.status.as_str() {
            "Succeeded" => {
                let is_explained = by_hand == Some(&true) || decision == Some(true);
                assert!(is_explained, "seed {seed}: {question:?} was let in by nobody; the record is {approval:#?}");
            }
            "InProgress" => panic!("seed {seed}: {question:?} is still asked; the record is {approval:#?}"),
            _ => {}
        }
        if by_hand.is_some() {
            assert_eq!(question.summary, "by hand", "seed {seed}: an answer in the console was written over");
        }
    }
}

fn what_was_asked_for_long_was_opened(seed: u64, left: &Left) {
    for question in &left.questions {
        let calmly_since = question.asked_at.max(left.calm_since);
        if question.updated_at - calmly_since <= OPENED_WITHIN_SECONDS {
            continue;
        }
        let approval = left.approvals.iter().find(|one| one.place.action_execution == question.action_execution);
        let approval = approval.unwrap_or_else(|| panic!("seed {seed}: {question:?} was never opened"));
        let late = approval.opened_at.as_second() - calmly_since;
        assert!(late <= OPENED_WITHIN_SECONDS, "seed {seed}: {} was opened after {late} s", approval.id);
    }
}

fn who_was_told_that_it_counts_is_counted(seed: u64, left: &Left) {
    for link in &left.crowd.counted {
        let (approval, person) = holder(left, link);
        let has_voted = approval.votes.iter().any(|vote| vote.by == person);
        assert!(has_voted, "seed {seed}: {person} was told 200, and {} has no vote of theirs", approval.id);
    }
}

/// Whose link it is, and for which approval.
fn holder<'a>(left: &'a Left, link: &str) -> (&'a Approval, String) {
    let letter = left.letters.iter().find(|letter| letter.link == link).unwrap();
    let approval = left.approvals.iter().find(|approval| approval.id.as_str() == letter.approval).unwrap();
    (approval, letter.to.to_lowercase())
}

fn a_link_is_worth_nothing_afterwards(seed: u64, outcome: &Outcome) {
    for (letter, status) in &outcome.left.late {
        assert_eq!(*status, 409, "seed {seed}: {} came to {} when it was over", letter.to, letter.approval);
    }
    assert_eq!(outcome.dump, outcome.left.dump_after_late, "seed {seed}: somebody who came too late changed something");
}

fn no_link_and_no_token_is_kept(seed: u64, outcome: &Outcome) {
    let left = &outcome.left;
    for letter in &left.letters {
        assert!(!outcome.dump.contains(&letter.link), "seed {seed}: a link of {} stands in a table", letter.approval);
        assert!(!left.dead_letters.contains(&letter.link), "seed {seed}: a link is a dead letter");
        let hash = LinkHash::of(&letter.link);
        let (approval, person) = holder(left, &letter.link);
        let links = &approval.people[&person].links;
        let is_theirs = links.contains(&hash) || links.len() == LINKS_PER_PERSON_MAX;
        assert!(is_theirs, "seed {seed}: {person} was sent a link to {} that is not theirs", approval.id);
    }
    for token in &left.crowd.tokens {
        assert!(!outcome.dump.contains(token), "seed {seed}: a token stands in a table");
        assert!(!left.dead_letters.contains(token), "seed {seed}: a token is a dead letter");
    }
}
