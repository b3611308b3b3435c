//! An approval as programs read it, the list, and what its execution shows of it.

use crate::text::{Style, cell, cell_or_dash};
use jiff::Timestamp;
use pointsman::approving::Situation;
use pointsman::domain::approval::{
    Approval, ApprovalId, Choice, Decision, End, Mail, Override, Policy, State, Told, Via, Vote, tally,
};
use pointsman::domain::change::Sha;
use pointsman::domain::execution::ExecutionId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One approval. It names no link and no hash of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct View {
    pub(super) id: ApprovalId,
    environment: Option<String>,
    execution: ExecutionId,
    pipeline: String,
    region: String,
    stage: String,
    action: String,
    /// `open`, `approved`, `rejected`, `expired`, `passed`, `withdrawn`, `answered_elsewhere`, `ended` or
    /// `left_to_console`.
    pub(super) status: &'static str,
    sha: Option<Sha>,
    repository: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    /// As it stood when the approval was opened; none where people in the console answer it.
    policy: Option<Policy>,
    opened_at: Timestamp,
    expires_at: Timestamp,
    /// Those who were asked, and those who may vote by now.
    pub(super) people: Vec<PersonView>,
    votes: Vec<VoteView>,
    /// How many people are still wanted of each group, as things stand now.
    missing: BTreeMap<String, u32>,
    #[serde(rename = "override")]
    overridden: Option<Override>,
    decision: Option<Decision>,
    /// When it was decided, or ended without a decision of ours.
    decided_at: Option<Timestamp>,
    /// Whether CodePipeline knows the decision.
    told: Option<Told>,
    /// How it ended without a decision of ours.
    end: Option<End>,
    title: Option<String>,
    actor: Option<String>,
    /// What is wrong with the image: nobody can approve it meanwhile.
    blocked: Vec<String>,
    /// The end of the freeze that is on.
    frozen_until: Option<Timestamp>,
    /// Why nobody can know all who wrote it.
    authors_not_knowable: Option<String>,
    /// How many people are wanted beyond the groups, where nobody can.
    more_people: u32,
}

/// Somebody who was asked, or may vote by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PersonView {
    pub(super) email: String,
    github: Option<String>,
    /// Those of the groups that are asked that they are in now, and the one that may put a freeze aside.
    pub(super) groups: BTreeSet<String>,
    /// When their latest mail was sent.
    pub(super) asked_at: Option<Timestamp>,
    /// Why their mail could not be sent.
    pub(super) trouble: Option<String>,
    vote: Option<Choice>,
}

/// One person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct VoteView {
    by: String,
    choice: Choice,
    comment: String,
    /// `link`, or `terminal` with the ARN.
    #[serde(flatten)]
    via: Via,
    at: Timestamp,
}

impl VoteView {
    fn of(vote: Vote) -> Self {
        let Vote { by, choice, comment, via, at } = vote;
        Self { by, choice, comment, via, at }
    }
}

impl View {
    /// The approval as things stand.
    pub(super) fn of(approval: &Approval, situation: &Situation) -> Self {
        let tally = tally(approval, &situation.standing);
        let subject = &approval.subject;
        let (decision, decided_at, told, end) = match &approval.state {
            State::Decided { decision, at, told } => (Some(decision.clone()), Some(*at), Some(told.clone()), None),
            State::Ended { end, at } => (None, Some(*at), None, Some(end.clone())),
            State::Open | State::LeftToConsole { .. } => (None, None, None, None),
        };
        Self {
            id: approval.id.clone(),
            environment: approval.environment.clone(),
            execution: approval.execution.clone(),
            pipeline: approval.place.target.name.clone(),
            region: approval.place.target.region.clone(),
            stage: approval.place.stage.clone(),
            action: approval.place.action.clone(),
            status: approval.status(),
            sha: subject.sha.clone(),
            repository: subject.repository.as_ref().map(|repository| repository.full_name.clone()),
            git_ref: subject.git_ref.clone(),
            policy: approval.policy.clone(),
            opened_at: approval.opened_at,
            expires_at: approval.expires_at,
            people: people(approval, situation).collect(),
            votes: approval.votes.iter().cloned().map(VoteView::of).collect(),
            missing: tally.missing,
            overridden: approval.overridden.clone(),
            decision,
            decided_at,
            told,
            end,
            title: subject.title.clone(),
            actor: subject.actor.clone(),
            blocked: situation.standing.blocked.clone(),
            frozen_until: situation.standing.frozen.as_ref().map(|frozen| frozen.until.timestamp()),
            authors_not_knowable: situation.standing.not_knowable.clone(),
            more_people: tally.more_people,
        }
    }
}

/// Those who were asked, and those who may vote by now.
fn people(approval: &Approval, situation: &Situation) -> impl Iterator<Item = PersonView> {
    let standing = &situation.standing;
    let people = situation.people(approval).into_iter();
    let concerned = people.filter(|(key, _)| approval.people.contains_key(key) || standing.members.contains_key(key));
    concerned.map(|(key, member)| {
        let invited = approval.people.get(&key);
        let mut groups = standing.members.get(&key).cloned().unwrap_or_default();
        groups.extend(situation.override_group().filter(|_| standing.may_override.contains(&key)).map(str::to_owned));
        PersonView {
            email: member.email,
            github: member.github,
            groups,
            asked_at: invited.and_then(|invited| match &invited.mail {
                Mail::Sent { at } => Some(*at),
                Mail::Wanted { .. } | Mail::Sending { .. } => None,
            }),
            trouble: invited.and_then(|invited| invited.mail.trouble().map(str::to_owned)),
            vote: approval.votes.iter().find(|vote| vote.by == key).map(|vote| vote.choice),
        }
    })
}

/// The list for people.
pub(super) fn list(approvals: &[Approval], style: &Style) -> String {
    if approvals.is_empty() {
        return "no approvals".to_owned();
    }
    let rows = approvals.iter().map(|approval| {
        let subject = &approval.subject;
        let over = approval.state != State::Open;
        vec![
            cell(style.time(approval.opened_at)),
            cell(approval.id.as_str()),
            cell_or_dash(approval.environment.as_ref()),
            cell_or_dash(subject.repository.as_ref().map(|repository| &repository.full_name)),
            cell_or_dash(subject.sha.as_ref().map(Sha::short)),
            style.status(approval.status()),
            cell_or_dash((!over).then(|| style.time(approval.expires_at))),
            cell(format!("{} of {}", approval.votes.len(), approval.people.len())),
        ]
    });
    style.table(&["WHEN", "APPROVAL", "ENVIRONMENT", "REPOSITORY", "COMMIT", "STATUS", "EXPIRES", "ANSWERED"], rows)
}

/// What an execution shows of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Brief {
    id: ApprovalId,
    stage: String,
    status: &'static str,
    decided_at: Option<Timestamp>,
    /// Those by whose word it was decided: addresses, or an ARN where it was answered elsewhere.
    by: Vec<String>,
}

impl Brief {
    pub(crate) fn of(approval: &Approval) -> Self {
        let (decided_at, by) = match &approval.state {
            State::Open | State::LeftToConsole { .. } => (None, Vec::new()),
            State::Ended { end, at } => (Some(*at), answered_by(end)),
            State::Decided { decision, at, .. } => (Some(*at), decided_by(decision)),
        };
        let (id, stage) = (approval.id.clone(), approval.place.stage.clone());
        Self { id, stage, status: approval.status(), decided_at, by }
    }
}

fn decided_by(decision: &Decision) -> Vec<String> {
    match decision {
        Decision::Approved { by } | Decision::Passed { by, .. } => by.clone(),
        Decision::Rejected { by, .. } => vec![by.clone()],
        Decision::Expired | Decision::TurnedBack { .. } | Decision::Withdrawn => Vec::new(),
    }
}

fn answered_by(end: &End) -> Vec<String> {
    match end {
        End::AnsweredElsewhere { by, .. } => by.iter().cloned().collect(),
        End::TimedOut | End::Over { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{HASH, at, decided, open, situation};
    use super::*;
    use crate::text::style_for_tests;
    use serde_json::json;

    #[test]
    fn programs_get_the_contract_and_no_link() {
        let json = serde_json::to_value(View::of(&open(), &situation())).unwrap();
        for (field, expected) in [
            ("id", json!("ap-1")),
            ("environment", json!("web-production")),
            ("execution", json!("ex-1")),
            ("pipeline", json!("shop")),
            ("region", json!("us-east-1")),
            ("stage", json!("Approve")),
            ("action", json!("Ask")),
            ("status", json!("open")),
            ("sha", json!("1a2b3c4d5e".repeat(4))),
            ("repository", json!("acme/shop")),
            ("ref", json!("refs/heads/production")),
            ("policy", json!({ "name": null, "require": { "devops": 1, "product": 1 }, "self_approval": false })),
            ("opened_at", json!(at(-660))),
            ("expires_at", json!(at(86_400))),
            ("missing", json!({ "devops": 0, "product": 1 })),
            ("override", json!(null)),
            ("decision", json!(null)),
            ("decided_at", json!(null)),
            ("told", json!(null)),
        ] {
            assert_eq!(json[field], expected, "{field}");
        }
        let ada = json!({ "email": "Ada@x.org", "github": "ada", "groups": ["devops", "product"], "asked_at": at(-600),
            "trouble": null, "vote": "approve" });
        assert_eq!(json["people"][0], ada);
        assert_eq!(
            (&json["people"][2]["asked_at"], &json["people"][2]["trouble"]),
            (&json!(null), &json!("there is no topic"))
        );
        let vote = json!({ "by": "ada@x.org", "choice": "approve", "comment": "looks\u{202e} good", "via": "link", "at": at(-60) });
        assert_eq!(json["votes"], json!([vote]));
        assert!(!json.to_string().contains(HASH), "a hash is for the ledger alone: {json}");
    }

    #[test]
    fn an_execution_shows_who_decided() {
        let done = json!({ "told": "done", "at": at(0) });
        let decision = |decision| json!({ "is": "decided", "at": at(0), "told": done, "decision": decision });
        #[rustfmt::skip]
        let cases = [
            (json!({ "is": "open" }),                                                              "open",     json!(null),  json!([])),
            (decision(json!({ "decision": "approved", "by": ["ada@x.org", "eve@x.org"] })),        "approved", json!(at(0)), json!(["ada@x.org", "eve@x.org"])),
            (decision(json!({ "decision": "rejected", "by": "eve@x.org", "comment": "no" })),      "rejected", json!(at(0)), json!(["eve@x.org"])),
            (decision(json!({ "decision": "expired" })),                                           "expired",  json!(at(0)), json!([])),
            (json!({ "is": "ended", "at": at(0), "end": { "end": "answered_elsewhere", "by": "arn:a", "approved": true } }), "answered_elsewhere", json!(at(0)), json!(["arn:a"])),
            (json!({ "is": "left_to_console", "why": "no policy" }),                               "left_to_console", json!(null), json!([])),
        ];
        for (state, status, decided_at, by) in cases {
            let brief = serde_json::to_value(Brief::of(&decided(state))).unwrap();
            let expected =
                json!({ "id": "ap-1", "stage": "Approve", "status": status, "decided_at": decided_at, "by": by });
            assert_eq!(brief, expected);
        }
    }

    #[test]
    fn a_list_has_one_line_for_each() {
        let over = decided(json!({ "is": "left_to_console", "why": "no policy" }));
        insta::assert_snapshot!(list(&[open(), over], &style_for_tests()), @r"
        WHEN     APPROVAL  ENVIRONMENT     REPOSITORY  COMMIT   STATUS           EXPIRES  ANSWERED
        11m ago  ap-1      web-production  acme/shop   1a2b3c4  open             in 1d    1 of 3
        11m ago  ap-1      web-production  acme/shop   1a2b3c4  left_to_console  -        1 of 3
        ");
        assert_eq!(list(&[], &style_for_tests()), "no approvals");
    }
}
