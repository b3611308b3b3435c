//! An approval for people: what would go live, who is wanted, what stands in its way, and how it came out.

use super::words;
use crate::text::{Style, cell, cell_or_dash, cut, listed};
use comfy_table::Cell;
use pointsman::approving::{LivePlace, Situation};
use pointsman::domain::approval::{Approval, Choice, Mail, Policy, State, Tally, tally};
use pointsman::domain::shown::zoned;
use std::collections::{BTreeMap, BTreeSet};

/// How much of a comment or a title a table shows, in characters.
const LINE: usize = 100;
/// How many commits are listed; the rest are counted.
const COMMITS_LISTED: usize = 20;

/// Everything, for people.
pub(super) fn text(approval: &Approval, situation: &Situation, style: &Style) -> String {
    let tally = tally(approval, &situation.standing);
    let mut parts = vec![head(approval, situation, &tally, style)];
    parts.extend(groups(approval, &tally, style));
    parts.extend(people(approval, situation, &tally, style));
    parts.extend(commits(approval, situation, style));
    parts.join("\n\n")
}

/// What can be done next, as sentences for stderr. `more` is what each vote is to be called with beside its options.
pub(super) fn next(approval: &Approval, situation: &Situation, more: &str) -> Vec<String> {
    let id = &approval.id;
    match &approval.state {
        State::LeftToConsole { .. } => return vec!["it is answered in CodePipeline's console".to_owned()],
        State::Decided { .. } | State::Ended { .. } => return Vec::new(),
        State::Open => {}
    }
    let mut next = vec![format!(
        "`pointsman approvals approve {id} --sha DIGITS{more}` lets it in, `pointsman approvals reject {id} --sha DIGITS \
         --comment WHY{more}` keeps it out; DIGITS are the first seven of the commit"
    )];
    if let Some(group) = situation.override_group().filter(|_| is_frozen(approval, situation)) {
        next.push(format!("one of {group} can put the freeze aside: approve with --override and --comment"));
    }
    if !tally(approval, &situation.standing).can_be_met {
        next.push("those who may still approve it are too few: nobody can let it in as things stand".to_owned());
    }
    if approval.people.values().any(|person| person.mail.trouble().is_some()) {
        next.push("not everybody got their mail: `pointsman approvers list` says what to do".to_owned());
    }
    next
}

fn is_frozen(approval: &Approval, situation: &Situation) -> bool {
    situation.standing.frozen.is_some() && approval.overridden.is_none()
}

fn head(approval: &Approval, situation: &Situation, tally: &Tally, style: &Style) -> String {
    let (subject, place) = (&approval.subject, &approval.place);
    let commit = situation.commit(approval);
    let named = commit.as_ref().map(|commit| match &commit.title {
        Some(title) => format!("{}  {title}", commit.sha),
        None => commit.sha.to_string(),
    });
    let asks = format!("{}/{} of pipeline {} in {}", place.stage, place.action, place.target.name, place.target.region);
    let mut pairs = vec![
        ("Approval", Some(cell(approval.id.as_str()))),
        ("Status", Some(style.status(approval.status()))),
        ("", words::outcome(&approval.state).map(cell)),
        ("Environment", approval.environment.as_ref().map(cell)),
        ("Commit", Some(cell_or_dash(named))),
        ("Author", commit.and_then(|commit| commit.author).map(cell)),
        ("Repository", subject.repository.as_ref().map(|repository| cell(&repository.full_name))),
        ("Ref", subject.git_ref.as_ref().map(cell)),
        ("Started", situation.started(approval).map(cell)),
        ("Execution", Some(cell(approval.execution.as_str()))),
        ("Asked by", Some(cell(asks))),
        ("Policy", approval.policy.as_ref().map(|policy| cell(rule(policy)))),
    ];
    pairs.extend(listed("Images", situation.images.iter().cloned()));
    if approval.state == State::Open {
        pairs.extend(as_things_stand(approval, situation, tally, style));
    }
    pairs.push(("Override", approval.overridden.as_ref().map(|done| cell(words::overridden(done)))));
    pairs.push(("Opened", Some(cell(style.time(approval.opened_at)))));
    let ends = match &approval.state {
        State::Open => ("Expires", Some(approval.expires_at)),
        State::Decided { at, .. } => ("Decided", Some(*at)),
        State::Ended { at, .. } => ("Ended", Some(*at)),
        State::LeftToConsole { .. } => ("", None),
    };
    pairs.push((ends.0, ends.1.map(|at| cell(style.time(at)))));
    style.details(pairs)
}

/// What a policy asks: `1 of devops, 1 of product; nobody approves their own change`.
fn rule(policy: &Policy) -> String {
    let name = policy.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let own = if policy.self_approval { "" } else { "; nobody approves their own change" };
    format!("{name}{}{own}", words::people(&policy.require))
}

/// What counts only while votes are taken.
fn as_things_stand(
    approval: &Approval,
    situation: &Situation,
    tally: &Tally,
    style: &Style,
) -> Vec<(&'static str, Option<Cell>)> {
    let standing = &situation.standing;
    let mut pairs = Vec::new();
    pairs.extend(listed("Runs now", situation.live.iter().map(|place| runs(place, style))));
    // What the gate says stands below, each on a line of its own.
    let gate = standing.blocked.join("; ");
    pairs.extend(listed("Checks", situation.checks().into_iter().filter(|check| *check != gate)));
    pairs.extend(listed("Blocked", standing.blocked.iter().cloned()));
    let freeze = standing.frozen.as_ref().filter(|_| is_frozen(approval, situation));
    pairs.push(("Frozen", freeze.map(|frozen| cell(format!("until {}", zoned(&frozen.until))))));
    pairs.push((
        "Authors",
        standing.not_knowable.as_ref().map(|why| cell(format!("not knowable ({why}): two people must approve"))),
    ));
    let newer = situation.newer.as_ref().map(|newer| match &newer.commit {
        Some(commit) => commit.sha.short().to_owned(),
        None => "a newer execution".to_owned(),
    });
    pairs.push(("Waits behind", newer.map(|what| cell(format!("{what}: rejecting this lets it in")))));
    pairs.push(("Still wanted", Some(cell(still_wanted(tally)))));
    pairs
}

fn runs(place: &LivePlace, style: &Style) -> String {
    let what = match &place.version {
        None => "nothing that is known".to_owned(),
        Some(version) => {
            let sha = version.sha.as_ref().map_or("a commit that nobody knows", |sha| sha.short());
            format!("{sha}, landed {}", style.time(version.at))
        }
    };
    format!("{}: {what}", place.region)
}

/// Who is still wanted: `1 of product`, or that nobody is.
pub(super) fn still_wanted(tally: &Tally) -> String {
    let in_groups: u32 = tally.missing.values().sum();
    let mut wanted: Vec<String> =
        Some(words::people(&tally.missing)).filter(|text| !text.is_empty()).into_iter().collect();
    if tally.more_people > in_groups {
        wanted.push(format!("{} more", tally.more_people - in_groups));
    }
    if wanted.is_empty() { "nobody".to_owned() } else { wanted.join(", ") }
}

fn groups(approval: &Approval, tally: &Tally, style: &Style) -> Option<String> {
    let policy = approval.policy.as_ref()?;
    let rows = policy.require.iter().map(|(group, wanted)| {
        let missing = tally.missing.get(group).copied().unwrap_or(0);
        let seated = tally.counted.iter().filter(|(_, seat)| seat.as_ref() == Some(group)).map(|(key, _)| key.as_str());
        let seated = seated.collect::<Vec<_>>().join(" ");
        vec![cell(group), cell(format!("{} of {wanted}", wanted.saturating_sub(missing))), cell_or_dash(some(seated))]
    });
    Some(style.table(&["GROUP", "APPROVED", "BY"], rows))
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn people(approval: &Approval, situation: &Situation, tally: &Tally, style: &Style) -> Option<String> {
    let policy = approval.policy.as_ref()?;
    let standing = &situation.standing;
    let members: BTreeSet<&String> = approval.people.keys().chain(standing.members.keys()).collect();
    let emails: BTreeMap<_, _> = situation.people(approval);
    let none = BTreeSet::new();
    let rows = members.into_iter().map(|key| {
        let vote = approval.votes.iter().find(|vote| vote.by == *key);
        let groups = standing.members.get(key).unwrap_or(&none).iter().map(String::as_str).collect::<Vec<_>>();
        let comment = vote.and_then(|vote| some(cut(&vote.comment, LINE)));
        vec![
            cell(emails.get(key).map_or(key.as_str(), |member| member.email.as_str())),
            cell_or_dash(some(groups.join(" "))),
            cell(mail(approval, key, style)),
            cell(answer(approval, policy, situation, tally, key, style)),
            cell_or_dash(comment),
        ]
    });
    Some(style.table(&["PERSON", "GROUPS", "MAIL", "ANSWER", "COMMENT"], rows))
}

/// What became of somebody's mail.
fn mail(approval: &Approval, key: &str, style: &Style) -> String {
    match approval.people.get(key).map(|invited| &invited.mail) {
        Some(Mail::Sent { at }) => style.time(*at),
        Some(Mail::Wanted { trouble: Some(why), .. }) => format!("not sent: {why}"),
        Some(Mail::Wanted { trouble: None, .. } | Mail::Sending { .. }) if approval.state == State::Open => {
            "on its way".to_owned()
        }
        Some(Mail::Wanted { .. } | Mail::Sending { .. }) | None => "-".to_owned(),
    }
}

/// What somebody said, or may say.
fn answer(
    approval: &Approval,
    policy: &Policy,
    situation: &Situation,
    tally: &Tally,
    key: &str,
    style: &Style,
) -> String {
    let standing = &situation.standing;
    let barred = standing.barred(policy, key);
    match approval.votes.iter().find(|vote| vote.by == key) {
        Some(vote) if vote.choice == Choice::Reject => format!("rejected {}", style.time(vote.at)),
        Some(vote) if tally.counted.contains_key(key) => format!("approved {}", style.time(vote.at)),
        Some(vote) => format!("approved {}, which counts no more", style.time(vote.at)),
        None if approval.state != State::Open => "-".to_owned(),
        None if standing.is_asked(policy, key) => {
            barred.map_or_else(|| "wanted".to_owned(), |why| format!("may not approve: {why}"))
        }
        None if standing.may_override.contains(key) => "may put a freeze aside".to_owned(),
        None => "no approver any more".to_owned(),
    }
}

/// The commits since what runs now, the newest first.
fn commits(approval: &Approval, situation: &Situation, style: &Style) -> Option<String> {
    let all = &situation.authors.commits;
    if all.is_empty() || approval.state != State::Open {
        return None;
    }
    let rows = all.iter().take(COMMITS_LISTED);
    let rows =
        rows.map(|commit| vec![cell(commit.sha.short()), cell(&commit.author.name), cell(cut(&commit.title, LINE))]);
    let table = style.table(&["COMMIT", "AUTHOR", "TITLE"], rows);
    let more = situation.authors.left_out + all.len().saturating_sub(COMMITS_LISTED);
    Some(if more == 0 { table } else { format!("{table}\n… and {more} more") })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{at, decided, open, situation};
    use super::*;
    use crate::text::style_for_tests;
    use serde_json::json;

    fn shown(approval: &Approval, situation: &Situation) -> String {
        text(approval, situation, &style_for_tests())
    }

    #[test]
    fn people_see_what_would_go_live_and_who_is_wanted() {
        insta::assert_snapshot!(shown(&open(), &situation()), @r"
        Approval      ap-1
        Status        open
        Environment   web-production
        Commit        1a2b3c4d5e1a2b3c4d5e1a2b3c4d5e1a2b3c4d5e  fix\u{1b}[2J it
        Repository    acme/shop
        Ref           refs/heads/production
        Started       pushed by bob
        Execution     ex-1
        Asked by      Approve/Ask of pipeline shop in us-east-1
        Policy        1 of devops, 1 of product; nobody approves their own change
        Images        web@sha256:12
        Runs now      us-east-1: nothing that is known
        Waits behind  a newer execution: rejecting this lets it in
        Still wanted  1 of product
        Opened        11m ago
        Expires       in 1d

        GROUP    APPROVED  BY
        devops   1 of 1    ada@x.org
        product  0 of 1    -

        PERSON     GROUPS          MAIL                         ANSWER                                                    COMMENT
        Ada@x.org  devops product  10m ago                      approved 1m ago                                           looks\u{202e} good
        bob@x.org  devops          10m ago                      may not approve: wrote, committed or pushed a part of it  -
        eve@x.org  product         not sent: there is no topic  wanted                                                    -
        ");
    }

    #[test]
    fn what_stands_in_its_way_is_named() {
        let mut situation = situation();
        situation.standing.blocked = vec!["CVE-1 (critical)".to_owned(), "CVE-2 (high)".to_owned()];
        situation.standing.not_knowable = Some("a forced push".to_owned());
        situation.standing.members.remove("eve@x.org");
        let text = shown(&open(), &situation);
        for line in [
            "Blocked       CVE-1 (critical)",
            "              CVE-2 (high)",
            "Authors       not knowable (a forced push): two people must approve",
            "Still wanted  1 of product",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(
            text.lines().any(|line| line.starts_with("eve@x.org") && line.contains("no approver any more")),
            "{text}"
        );
        insta::assert_snapshot!(next(&open(), &situation, " --as EMAIL").join("\n"), @r"
        `pointsman approvals approve ap-1 --sha DIGITS --as EMAIL` lets it in, `pointsman approvals reject ap-1 --sha DIGITS --comment WHY --as EMAIL` keeps it out; DIGITS are the first seven of the commit
        those who may still approve it are too few: nobody can let it in as things stand
        not everybody got their mail: `pointsman approvers list` says what to do
        ");
    }

    #[test]
    fn what_was_decided_is_told_with_what_came_of_it() {
        let rejected = decided(json!({ "is": "decided", "at": at(-30), "told": { "told": "done", "at": at(-29) },
            "decision": { "decision": "rejected", "by": "eve@x.org", "comment": "no" } }));
        insta::assert_snapshot!(shown(&rejected, &situation()), @r"
        Approval     ap-1
        Status       rejected
                     rejected by eve@x.org; CodePipeline was told
        Environment  web-production
        Commit       1a2b3c4d5e1a2b3c4d5e1a2b3c4d5e1a2b3c4d5e  fix\u{1b}[2J it
        Repository   acme/shop
        Ref          refs/heads/production
        Started      pushed by bob
        Execution    ex-1
        Asked by     Approve/Ask of pipeline shop in us-east-1
        Policy       1 of devops, 1 of product; nobody approves their own change
        Images       web@sha256:12
        Opened       11m ago
        Decided      30s ago

        GROUP    APPROVED  BY
        devops   1 of 1    ada@x.org
        product  0 of 1    -

        PERSON     GROUPS          MAIL                         ANSWER           COMMENT
        Ada@x.org  devops product  10m ago                      approved 1m ago  looks\u{202e} good
        bob@x.org  devops          10m ago                      -                -
        eve@x.org  product         not sent: there is no topic  -                -
        ");
        assert_eq!(next(&rejected, &situation(), ""), Vec::<String>::new(), "there is nothing left to do");
        let left = decided(json!({ "is": "left_to_console", "why": "web has no approval policy" }));
        assert!(shown(&left, &situation()).contains("left to the console: web has no approval policy"));
    }

    #[test]
    fn those_beyond_the_groups_are_counted_once() {
        let tally = |missing: &[(&str, u32)], more_people| Tally {
            counted: BTreeMap::new(),
            missing: missing.iter().map(|(group, count)| ((*group).to_owned(), *count)).collect(),
            more_people,
            could: BTreeSet::new(),
            can_be_met: true,
        };
        #[rustfmt::skip]
        let cases = [
            (tally(&[("devops", 1), ("product", 0)], 0), "1 of devops",         "product is complete"),
            (tally(&[("devops", 1)], 2),                 "1 of devops, 1 more", "one of the two is of devops"),
            (tally(&[("devops", 0)], 1),                 "1 more",              "the group is complete"),
            (tally(&[("devops", 0)], 0),                 "nobody",              "all have said yes"),
        ];
        for (tally, expected, why) in cases {
            assert_eq!(still_wanted(&tally), expected, "{why}");
        }
    }
}
