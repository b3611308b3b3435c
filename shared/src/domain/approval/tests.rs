use super::*;
use crate::domain::execution::TargetKind;
use crate::domain::shown;
use proptest::prelude::*;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const EVE: &str = "eve@example.com";
const ZOE: &str = "zoe@example.com";

fn place() -> Place {
    Place {
        target: Target { kind: TargetKind::Pipeline, name: "shop".into(), region: "us-east-1".into() },
        aws_id: "aws-1".into(),
        stage: "Approve".into(),
        action: "Ask".into(),
        action_execution: "action-1".into(),
    }
}

/// An approval that was opened at second 0, ends at 3600, and asks these groups.
fn approval(require: &[(&str, u32)]) -> Approval {
    let person = |email: &str| {
        let person = Invited {
            email: email.into(),
            github: None,
            links: vec![LinkHash::of(email)],
            mail: Mail::Sent { at: at(0) },
        };
        (email.to_owned(), person)
    };
    Approval {
        id: ApprovalId::of(&place()),
        place: place(),
        execution: ExecutionId::named("ex-1"),
        subject: Subject {
            repository: None,
            git_ref: Some("refs/heads/production".into()),
            sha: Some("1a2b3c4d5e".repeat(4).parse().unwrap()),
            title: None,
            actor: None,
            images: BTreeSet::new(),
        },
        environment: Some("web-production".into()),
        policy: Some(Policy {
            name: None,
            require: require.iter().map(|(group, count)| ((*group).to_owned(), *count)).collect(),
            self_approval: false,
        }),
        base_url: "https://example.com".into(),
        people: [ADA, BOB, EVE, ZOE].map(person).into(),
        votes: Vec::new(),
        overridden: None,
        state: State::Open,
        reminders: 0,
        remind_at: None,
        scan_due_at: None,
        scan_missing_since: None,
        opened_at: at(0),
        expires_at: at(3_600),
        updated_at: at(0),
        due_at: None,
    }
}

/// Ada is in both groups, Bob in devops, Eve in product, Zoe may override.
fn standing() -> Standing {
    Standing {
        members: [
            (ADA.to_owned(), set(&["devops", "product"])),
            (BOB.to_owned(), set(&["devops"])),
            (EVE.to_owned(), set(&["product"])),
        ]
        .into(),
        may_override: set(&[ZOE]),
        ..Standing::default()
    }
}

fn frozen_standing() -> Standing {
    let until = at(9_000).to_zoned(jiff::tz::TimeZone::UTC);
    Standing { frozen: Some(Frozen { until }), ..standing() }
}

fn by(who: &str) -> Person {
    Person { key: who.to_owned(), via: Via::Link }
}

fn yes() -> Ballot {
    Ballot { choice: Choice::Approve, digits: "1a2b3c4".into(), comment: String::new(), overrides: false }
}

fn no() -> Ballot {
    Ballot { choice: Choice::Reject, comment: "not today".into(), ..yes() }
}

fn overriding() -> Ballot {
    Ballot { comment: "a fix for the outage".into(), overrides: true, ..yes() }
}

fn cast(approval: &Approval, who: &str, ballot: &Ballot) -> Approval {
    vote(approval, &by(who), ballot, &standing(), at(10)).unwrap()
}

#[test]
fn enough_of_the_right_people_let_it_in() {
    type Case<'a> = (&'a [(&'a str, u32)], &'a [&'a str], &'a [&'a str], &'a str);
    let two = [("devops", 1), ("product", 1)];
    #[rustfmt::skip]
    let cases: &[Case<'_>] = &[
        // asked for        said yes            decided by          why
        (&[("devops", 1)],  &[BOB],             &[BOB],             "one of one"),
        (&two,              &[BOB, EVE],        &[BOB, EVE],        "one of each"),
        (&two,              &[BOB],             &[],                "product is missing"),
        (&two,              &[ADA],             &[],                "one person counts once, though in both groups"),
        (&two,              &[ADA, ADA],        &[],                "and not twice for voting twice"),
        (&two,              &[ADA, BOB],        &[ADA, BOB],        "Ada stands for product, since Bob cannot"),
        (&two,              &[ADA, EVE],        &[ADA, EVE],        "and for devops, since Eve cannot"),
        (&[("devops", 2)],  &[BOB, EVE],        &[],                "Eve is not in devops"),
        (&[("devops", 2)],  &[BOB, ADA],        &[ADA, BOB],        "two of one group"),
    ];
    for (require, said_yes, decided_by, why) in cases {
        let mut approval = approval(require);
        for who in *said_yes {
            approval = vote(&approval, &by(who), &yes(), &standing(), at(10)).unwrap_or(approval);
        }
        if let State::Decided { decision: Decision::Approved { by }, .. } = &approval.state {
            assert_eq!(by, decided_by, "{why}");
        } else {
            assert!(decided_by.is_empty() && approval.state == State::Open, "{why}: {:?}", approval.state);
        }
    }
}

#[test]
fn a_vote_that_may_not_count_is_refused_and_changes_nothing() {
    let open = approval(&[("devops", 2)]);
    let mut barred = standing();
    barred.authors.insert(BOB.into(), "you wrote it".into());
    let blocked = Standing { blocked: vec!["CVE-1".into()], ..standing() };
    let mut unknown = open.clone();
    unknown.subject.sha = None;
    let mut mine = open.clone();
    mine.policy.as_mut().unwrap().self_approval = true;
    let digits = |typed: &str| Ballot { digits: typed.into(), ..yes() };
    let comment = |text: String| Ballot { comment: text, ..yes() };
    let until = shown::zoned(&frozen_standing().frozen.unwrap().until);
    let frozen = || frozen_standing();
    let gone = Standing { members: BTreeMap::new(), ..standing() };
    #[rustfmt::skip]
    let cases = [
        (&open,    BOB, yes(),                    standing(),       10,    None,                                            "a member"),
        (&open,    BOB, yes(),                    standing(),       3_600, None,                                            "the last second counts"),
        (&open,    BOB, yes(),                    standing(),       3_601, Some(Refused::Over),                             "a second too late"),
        (&open,    EVE, yes(),                    standing(),       10,    Some(Refused::NotAsked),                         "of a group that is not asked"),
        (&open,    BOB, yes(),                    gone.clone(),     10,    Some(Refused::NotAsked),                         "no member any more"),
        (&open,    BOB, no(),                     gone,             10,    Some(Refused::NotAsked),                         "not for a no either"),
        (&open,    BOB, digits("1a2b3c5"),        standing(),       10,    Some(Refused::WrongDigits),                      "another commit's digits"),
        (&open,    BOB, digits(""),               standing(),       10,    Some(Refused::WrongDigits),                      "none"),
        (&open,    BOB, digits("1a2b3c"),         standing(),       10,    Some(Refused::WrongDigits),                      "six"),
        (&open,    BOB, digits("1a2b3c4d"),       standing(),       10,    Some(Refused::WrongDigits),                      "eight"),
        (&open,    BOB, digits(" 1A2B3C4 "),      standing(),       10,    None,                                            "people type capitals and spaces"),
        (&open,    BOB, comment("é".repeat(1_000)), standing(),     10,    None,                                            "as long as a comment may be"),
        (&open,    BOB, comment("é".repeat(1_001)), standing(),     10,    Some(Refused::CommentTooLong),                   "a character too long"),
        (&open,    BOB, Ballot { comment: "  ".into(), ..no() }, standing(), 10, Some(Refused::NoComment),                  "a no says why"),
        (&open,    BOB, Ballot { digits: "1a2b3c5".into(), ..no() }, standing(), 10, Some(Refused::WrongDigits),            "a no has read the page too"),
        (&open,    BOB, yes(),                    barred.clone(),   10,    Some(Refused::Barred { why: "you wrote it".into() }), "an author"),
        (&open,    BOB, no(),                     barred.clone(),   10,    None,                                            "who may keep it out"),
        (&mine,    BOB, yes(),                    barred.clone(),   10,    None,                                            "where authors may"),
        (&open,    BOB, yes(),                    blocked.clone(),  10,    Some(Refused::Blocked { why: vec!["CVE-1".into()] }), "a finding"),
        (&open,    BOB, no(),                     blocked.clone(),  10,    None,                                            "a no needs no scan"),
        (&unknown, BOB, Ballot { digits: unknown.digits().into(), ..yes() }, standing(), 10, Some(Refused::NoCommit),       "nobody knows what it is"),
        (&unknown, BOB, Ballot { digits: unknown.digits().into(), ..no() }, standing(), 10, None,                           "which is a reason to keep it out"),
        (&open,    BOB, yes(),                    frozen(),         10,    Some(Refused::Frozen { until }),                 "frozen"),
        (&open,    BOB, no(),                     frozen(),         10,    None,                                            "a no is taken in a freeze"),
        (&open,    BOB, overriding(),             frozen(),         10,    Some(Refused::MayNotOverride),                   "not of the group that may"),
        (&open,    ZOE, overriding(),             frozen(),         10,    None,                                            "of the group that may"),
        (&open,    ZOE, Ballot { comment: String::new(), ..overriding() }, frozen(), 10, Some(Refused::NoComment),          "an override says why"),
        (&open,    ZOE, overriding(),             standing(),       10,    Some(Refused::NotFrozen),                        "there is nothing to override"),
        (&open,    BOB, overriding(),             standing(),       10,    Some(Refused::NotFrozen),                        "nor is that a yes"),
        (&open,    ZOE, yes(),                    standing(),       10,    Some(Refused::NotAsked),                         "who may override has no vote"),
        (&open,    ZOE, no(),                     standing(),       10,    None,                                            "but may keep it out, being invited"),
        (&open,    ZOE, overriding(),             Standing { blocked: vec!["CVE-1".into()], ..frozen() }, 10, Some(Refused::Blocked { why: vec!["CVE-1".into()] }), "a freeze is put aside, a finding is not"),
    ];
    for (approval, who, ballot, standing, second, refused, why) in cases {
        assert_eq!(vote(approval, &by(who), &ballot, &standing, at(second)).err(), refused, "{why}");
    }
}

#[test]
fn any_no_ends_it_also_after_a_yes() {
    let after = cast(&cast(&approval(&[("devops", 2)]), BOB, &yes()), ADA, &no());
    assert_eq!(after.status(), "rejected");
    assert_eq!(vote(&after, &by(BOB), &yes(), &standing(), at(11)), Err(Refused::Over), "nobody comes after it");
    let changed = cast(&cast(&approval(&[("devops", 2)]), BOB, &yes()), BOB, &no());
    assert_eq!((changed.status(), changed.votes.len()), ("rejected", 1), "one person, one vote, the last one");
}

#[test]
fn an_override_lets_votes_be_taken_and_is_none_itself() {
    let open = approval(&[("devops", 1)]);
    let put_aside = vote(&open, &by(ZOE), &overriding(), &frozen_standing(), at(10)).unwrap();
    assert_eq!((put_aside.status(), put_aside.votes.len()), ("open", 0));
    assert_eq!(put_aside.overridden.as_ref().map(|done| done.by.as_str()), Some(ZOE));
    let after = vote(&put_aside, &by(BOB), &yes(), &frozen_standing(), at(11)).unwrap();
    assert_eq!(after.status(), "approved");
    let both = Standing { may_override: set(&[BOB]), ..frozen_standing() };
    assert_eq!(
        vote(&open, &by(BOB), &overriding(), &both, at(10)).unwrap().status(),
        "approved",
        "one person may do both"
    );
}

#[test]
fn membership_counts_when_it_is_decided() {
    let first = cast(&approval(&[("devops", 2)]), BOB, &yes());
    let mut without_bob = standing();
    without_bob.members.remove(BOB);
    let second = vote(&first, &by(ADA), &yes(), &without_bob, at(20)).unwrap();
    assert_eq!(second.state, State::Open, "Bob's yes counts no more");
    assert_eq!(tally(&second, &without_bob).missing["devops"], 1);
    assert!(!tally(&second, &without_bob).can_be_met, "nobody else is left");
    let mut author = standing();
    author.authors.insert(BOB.into(), "you wrote it".into());
    assert_eq!(
        vote(&first, &by(ADA), &yes(), &author, at(20)).unwrap().state,
        State::Open,
        "nor if he turns out an author"
    );
}

#[test]
fn where_the_authors_cannot_be_known_two_people_must_agree() {
    let unknown = Standing { not_knowable: Some("the push was forced".into()), ..standing() };
    let first = vote(&approval(&[("devops", 1)]), &by(BOB), &yes(), &unknown, at(10)).unwrap();
    assert_eq!((first.status(), tally(&first, &unknown).more_people), ("open", 1));
    let second = vote(&first, &by(ADA), &yes(), &unknown, at(11)).unwrap();
    assert_eq!(second.status(), "approved");
    let mut alone = unknown.clone();
    alone.members.retain(|person, _| person == BOB);
    assert!(!tally(&first, &alone).can_be_met, "one person alone never suffices");
}

#[test]
fn what_codepipeline_lists_settles_what_we_know() {
    let open = approval(&[("devops", 1)]);
    let approved = cast(&open, BOB, &yes());
    let rejected = cast(&open, BOB, &no());
    let asked = |status, by: Option<&str>, summary: Option<String>| {
        Some(Asked { place: place(), status, updated_by: by.map(str::to_owned), summary, started_at: at(0) })
    };
    use AskedStatus::{Abandoned, Failed, InProgress, Succeeded};
    let us = Some("arn:us");
    let them = Some("arn:them");
    let elsewhere = |approved| Settled::Ended(End::AnsweredElsewhere { by: them.map(str::to_owned), approved });
    let over = |why| Settled::Ended(End::Over { why });
    let overruled = |approved| Settled::Told(Told::Overruled { by: them.map(str::to_owned), approved });
    let gone = |why: &str| Settled::Told(Told::Gone { why: why.into() });
    let done = || Settled::Told(Told::Done { at: at(10) });
    let edited = Some(Over::Cancelled);
    #[rustfmt::skip]
    let cases = [
        (&open,     asked(InProgress, None, None),                    None,   false, Settled::AsItWas,                        "it waits"),
        (&open,     asked(InProgress, None, None),                    None,   true,  Settled::Decided(Decision::Withdrawn),   "the execution cannot stop before it is answered"),
        (&open,     asked(InProgress, None, None),                    edited, false, over(Over::Cancelled),                  "cancelled around it"),
        (&open,     asked(Succeeded, them, Some("fine".into())),      None,   false, elsewhere(true),                         "approved in the console"),
        (&open,     asked(Failed, them, Some("no".into())),           None,   false, elsewhere(false),                        "rejected in the console"),
        (&open,     asked(Failed, None, None),                        Some(Over::Failed), false, Settled::Ended(End::TimedOut), "which fails the execution"),
        (&open,     asked(Failed, None, None),                        None,   false, Settled::Ended(End::TimedOut),           "nobody answered CodePipeline in its own time"),
        (&open,     asked(Abandoned, None, None),                     None,   false, over(Over::Stopped),                    "stopped and abandoned"),
        (&open,     None,                                             None,   false, Settled::AsItWas,                        "a list that is older than the approval"),
        (&open,     None,                                             Some(Over::Unknown), false, over(Over::Unknown),       "nobody knows it"),
        (&approved, asked(InProgress, None, None),                    None,   false, Settled::AsItWas,                        "not told yet"),
        (&approved, asked(Succeeded, us, approved.summary()),         None,   false, done(),                                  "our own reply was lost"),
        (&rejected, asked(Failed, us, rejected.summary()),            None,   false, done(),                                  "also of a no"),
        (&approved, asked(Succeeded, them, Some("fine".into())),      None,   false, overruled(true),                         "somebody else said yes first"),
        (&rejected, asked(Succeeded, them, Some("fine".into())),      None,   false, overruled(true),                         "somebody else let it in"),
        (&approved, asked(Failed, them, Some("ap-0 no".into())),      None,   false, overruled(false),                        "another approval's id is not ours"),
        (&approved, asked(Failed, None, None),                        None,   false, gone("CodePipeline's own time for the approval ran out"), "too late"),
        (&approved, asked(InProgress, None, None),                    edited, false, gone("the pipeline was edited, which cancels what runs"), "nobody is left to tell"),
        (&approved, None,                                             None,   false, Settled::AsItWas,                        "a list that is older than the decision"),
        (&approved, None,                                             Some(Over::Unknown), false, gone("CodePipeline does not ask any more"), "nor where it is gone"),
    ];
    for (approval, asked, over, is_stopping, expected, why) in cases {
        assert_eq!(settle(approval, asked.as_ref(), over, is_stopping), expected, "{why}");
    }
    let mut told = approved.clone();
    told.set_told(Told::Done { at: at(12) }, at(12));
    assert_eq!(settle(&told, None, edited, false), Settled::AsItWas, "what is told stays told");
}

#[test]
fn codepipeline_is_told_our_id_and_who_and_nothing_that_a_stranger_wrote() {
    let mut rejected = cast(&approval(&[("devops", 1)]), BOB, &Ballot { comment: "$(curl evil)".into(), ..no() });
    let id = rejected.id.clone();
    assert_eq!(rejected.summary().unwrap(), format!("{id} rejected by {BOB}"));
    let many = (0..100).map(|number| format!("person-{number}@example.com")).collect();
    rejected.decide(Decision::Approved { by: many }, at(1));
    assert_eq!(rejected.summary().unwrap().chars().count(), 512, "as much as CodePipeline takes");
}

#[test]
fn links_are_bounded_and_mails_come_again_until_they_are_taken() {
    let mut approval = approval(&[("devops", 1)]);
    approval.ask_again([BOB.to_owned()].iter(), at(0));
    assert_eq!(approval.mails_due(at(0)), [BOB]);
    for (number, wait) in [(1, 60), (2, 120), (3, 240), (4, 480), (5, 960), (6, 960)] {
        let now = match approval.people[BOB].mail.due_at() {
            Some(due) => due,
            None => panic!("it is still to be sent"),
        };
        approval.begin_mail(BOB, LinkHash::of(&format!("link {number}")), now);
        assert_eq!(approval.mails_due(now), Vec::<String>::new(), "somebody is at it");
        approval.end_mail(BOB, at(-1), Ok(()), now);
        assert_ne!(approval.people[BOB].mail, Mail::Sent { at: now }, "another's outcome is not this one's");
        approval.end_mail(BOB, now, Err("no topic".into()), now);
        assert_eq!(approval.people[BOB].mail.due_at(), Some(now + SignedDuration::from_secs(wait)), "try {number}");
    }
    assert_eq!(approval.people[BOB].links.len(), LINKS_PER_PERSON_MAX);
    assert!(approval.holder(&LinkHash::of("link 1")).is_none(), "the oldest is worth nothing");
    assert!(approval.holder(&LinkHash::of("link 2")).is_some());
    approval.decide(Decision::Expired, at(9));
    assert_eq!(approval.mails_due(at(100_000)), Vec::<String>::new(), "nobody is asked after the decision");
}

proptest! {
    /// Whoever votes what in whatever order: nobody is let in by fewer valid people than the policy asks for.
    #[test]
    fn nothing_goes_in_without_enough_valid_votes(
        devops in 0u32..3, product in 0u32..3, two in any::<bool>(), barred in 0usize..5,
        members in proptest::collection::vec((0usize..6, any::<bool>(), any::<bool>()), 0..6),
        ballots in proptest::collection::vec(0usize..6, 0..10),
    ) {
        let name = |number: usize| format!("p{number}@example.com");
        let mut standing = Standing { not_knowable: two.then(|| "unknown".to_owned()), ..Standing::default() };
        for (number, in_devops, in_product) in members {
            let groups = [("devops", in_devops), ("product", in_product)];
            standing.members.insert(name(number), groups.iter().filter(|(_, is)| *is).map(|(group, _)| (*group).to_owned()).collect());
        }
        standing.authors.insert(name(barred), "you wrote it".to_owned());
        let mut approval = approval(&[("devops", devops + 1), ("product", product)]);
        for voter in ballots {
            approval = vote(&approval, &by(&name(voter)), &yes(), &standing, at(10)).unwrap_or(approval);
        }
        if let State::Decided { decision: Decision::Approved { by }, .. } = &approval.state {
            let valid: BTreeSet<_> = by.iter().filter(|one| standing.members.contains_key(*one) && **one != name(barred)).collect();
            prop_assert_eq!(valid.len(), by.len(), "each counts once, and none is barred");
            prop_assert!(by.len() as u32 > devops + product, "one person has one seat");
            let seats = |group: &str| by.iter().filter(|one| standing.members[*one].contains(group)).count() as u32;
            prop_assert!(seats("devops") > devops && seats("product") >= product);
            prop_assert!(!two || by.len() >= 2);
        }
    }

    /// A bigger matching is never missed: brute force over who takes which seat agrees.
    #[test]
    fn the_seats_are_filled_as_well_as_they_can_be(
        devops in 0u32..3, product in 0u32..3,
        people in proptest::collection::vec((any::<bool>(), any::<bool>()), 0..5),
    ) {
        let mut standing = Standing::default();
        let mut approval = approval(&[("devops", devops), ("product", product)]);
        for (number, (in_devops, in_product)) in people.iter().enumerate() {
            let who = format!("p{number}@example.com");
            let groups = [("devops", *in_devops), ("product", *in_product)];
            standing.members.insert(who.clone(), groups.iter().filter(|(_, is)| *is).map(|(group, _)| (*group).to_owned()).collect());
            approval.votes.push(Vote { by: who, choice: Choice::Approve, comment: String::new(), via: Via::Link, at: at(0) });
        }
        let best = (0..1usize << people.len()).map(|mask| {
            // Bit set: takes a seat of devops; else of product.
            let mut seats = (0, 0);
            for (number, (in_devops, in_product)) in people.iter().enumerate() {
                match mask >> number & 1 == 1 {
                    true if *in_devops => seats.0 += 1,
                    false if *in_product => seats.1 += 1,
                    _ => {}
                }
            }
            seats.0.min(devops) + seats.1.min(product)
        }).max().unwrap_or(0);
        let missing: u32 = tally(&approval, &standing).missing.values().sum();
        prop_assert_eq!(devops + product - missing, best);
    }
}
