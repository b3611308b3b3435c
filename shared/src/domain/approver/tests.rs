//! Tables: names of topics, who is whom, what a topic's subscriptions mean, what mends them, and rounds of looks.

use super::*;
use crate::domain::policy::Member;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const ADA: &str = "ada@example.com";

fn subscription(protocol: &str, endpoint: &str, arn: Option<&str>, is_authenticated: Option<bool>) -> Subscription {
    Subscription {
        arn: arn.map(str::to_owned),
        protocol: protocol.to_owned(),
        endpoint: endpoint.to_owned(),
        is_authenticated,
    }
}

/// A mail subscription that is confirmed.
fn confirmed(endpoint: &str, is_authenticated: Option<bool>) -> Subscription {
    subscription("email", endpoint, Some("arn:1"), is_authenticated)
}

fn pending(endpoint: &str) -> Subscription {
    subscription("email", endpoint, None, None)
}

#[test]
fn a_topic_is_named_after_the_address_and_does_not_tell_it() {
    let ending = topic_of(ADA);
    assert_eq!(ending, "b5fc85e55755f9e0d030a10ab4429b6b", "pinned: another name would lose everybody's subscription");
    assert_eq!(topic_of("Ada@Example.com"), ending, "addresses are compared without case");
    assert_ne!(topic_of("ada@example.org"), ending);
    #[rustfmt::skip]
    let cases = [
        (ending.clone(),               true,  "as it is made"),
        (ending.to_uppercase(),        false, "in lower case only"),
        (ending[1..].to_owned(),       false, "a digit short"),
        (format!("{ending}0"),         false, "a digit long"),
        ("g".repeat(32),               false, "no digits"),
        ("é".repeat(16),               false, "32 bytes of something else"),
    ];
    for (text, expected, why) in cases {
        assert_eq!(is_topic(&text), expected, "{why}");
    }
}

#[test]
fn everybody_is_one_person_whatever_groups_they_are_in() {
    let member = |email: &str, github: Option<&str>| Member { email: email.into(), github: github.map(str::to_owned) };
    let groups = BTreeMap::from([
        ("devops".to_owned(), Group { members: vec![member("Grace@example.com", None), member(ADA, Some("ada"))] }),
        ("product".to_owned(), Group { members: vec![member("grace@Example.com", Some("ghopper"))] }),
    ]);
    let shown = |person: &Person| (person.email.clone(), person.github.clone(), person.groups.len());
    assert_eq!(
        people(&groups).iter().map(shown).collect::<Vec<_>>(),
        [(ADA.to_owned(), Some("ada".to_owned()), 1), ("Grace@example.com".to_owned(), Some("ghopper".to_owned()), 2)],
    );
    assert!(people(&BTreeMap::new()).is_empty());
}

#[test]
fn what_is_on_a_topic_says_whether_mail_reaches_somebody() {
    let reached = |is_authenticated| Reach::Reached { is_authenticated };
    let mallory = "mallory@example.com";
    #[rustfmt::skip]
    let cases = [
        (None,                                                           Reach::NoTopic,               "nobody made one"),
        (Some(vec![]),                                                   Reach::NoSubscription,        "it was ended, or never asked for"),
        (Some(vec![pending(ADA)]),                                       Reach::Pending,               "not yet"),
        (Some(vec![confirmed(ADA, Some(true))]),                         reached(Some(true)),          "as it should be"),
        (Some(vec![confirmed(ADA, Some(false))]),                        reached(Some(false)),         "by a click"),
        (Some(vec![confirmed("ADA@example.com", None)]),                 reached(None),                "another spelling"),
        (Some(vec![pending("Ada@example.com"), confirmed(ADA, None)]),   reached(None),                "asked twice under two spellings"),
        (Some(vec![confirmed(ADA, None), confirmed(mallory, None)]),     Reach::Shared { others: 1 },  "she would read the link"),
        (Some(vec![confirmed(ADA, None), pending(mallory)]),             Reach::Shared { others: 1 },  "and may confirm at any moment"),
        (Some(vec![confirmed(mallory, None)]),                           Reach::Shared { others: 1 },  "only somebody else"),
        (Some(vec![subscription("sqs", "arn:aws:sqs:q", Some("a"), None), subscription("email-json", ADA, Some("b"), None)]),
                                                                         Reach::Shared { others: 2 },  "machines, and a mailbox that wants JSON"),
    ];
    for (topic, expected, why) in cases {
        assert_eq!(Reach::of(ADA, topic.as_deref()), expected, "{why}");
    }
}

#[test]
fn a_topic_is_mended_by_what_is_missing_and_by_nothing_else() {
    let mallory = || confirmed("mallory@example.com", None);
    let none = Repair::default();
    let again = Repair { ask_again: true, ..none };
    let remove = Repair { remove_others: true, ..none };
    let end = |one: Subscription| Step::End(one);
    #[rustfmt::skip]
    let cases = [
        (None,                                               none,   vec![Step::MakeTopic, Step::Ask],                      "nothing is there"),
        (Some(vec![]),                                       none,   vec![Step::Ask],                                       "lost, or not confirmed in time"),
        (Some(vec![pending(ADA)]),                           none,   vec![],                                                "asked already"),
        (Some(vec![pending(ADA)]),                           again,  vec![Step::Ask],                                       "the mail got lost"),
        (Some(vec![confirmed(ADA, Some(true))]),             again,  vec![],                                                "there is nothing to ask"),
        (Some(vec![confirmed(ADA, Some(false))]),            none,   vec![],                                                "mail reaches them"),
        (Some(vec![confirmed(ADA, Some(false))]),            again,  vec![end(confirmed(ADA, Some(false))), Step::Ask],     "SNS protects a subscription only as it is confirmed"),
        (Some(vec![confirmed(ADA, Some(true)), mallory()]),  none,   vec![],                                                "others are reported"),
        (Some(vec![confirmed(ADA, Some(true)), mallory()]),  remove, vec![end(mallory())],                                  "and ended when that is asked for"),
        (Some(vec![pending("mallory@example.com")]),         remove, vec![Step::Ask],                                       "SNS ends none that is not confirmed"),
    ];
    for (topic, repair, expected, why) in cases {
        assert_eq!(steps(ADA, topic.as_deref(), repair), expected, "{why}");
    }
}

#[test]
fn every_state_says_what_it_is_and_what_to_do() {
    let all = [
        Reach::Reached { is_authenticated: Some(true) },
        Reach::Reached { is_authenticated: Some(false) },
        Reach::Reached { is_authenticated: None },
        Reach::Pending,
        Reach::NoSubscription,
        Reach::NoTopic,
        Reach::Shared { others: 1 },
        Reach::Shared { others: 2 },
    ];
    let line = |reach: &Reach| {
        let remedy = reach.remedy(ADA).map(|remedy| format!("\n  {remedy}")).unwrap_or_default();
        format!("{}: {reach}{remedy}", reach.as_str())
    };
    insta::assert_snapshot!(all.iter().map(line).collect::<Vec<_>>().join("\n"), @r"
    confirmed: mail reaches them, and nobody without AWS credentials can end that
    confirmed: mail reaches them, and whoever opens the link at the foot of one ends that
      `pointsman approvers confirm ada@example.com --token -` takes the link of AWS's mail; `pointsman approvers sync --again ada@example.com` has AWS send a new one
    confirmed: mail reaches them
    pending: they have not confirmed that they want mail; after 48 hours AWS forgets it
      `pointsman approvers confirm ada@example.com --token -` takes the link of AWS's mail; `pointsman approvers sync --again ada@example.com` has AWS send another one
    no_subscription: they are not subscribed: never asked, not confirmed within 48 hours, or ended
      `pointsman approvers sync` has AWS ask them
    no_topic: there is no topic for them
      `pointsman approvers sync` has AWS ask them
    shared: a subscription that is not theirs is on their topic: nothing is sent there
      `pointsman approvers sync --remove-others` ends what is confirmed; AWS forgets what is not confirmed after 48 hours
    shared: 2 subscriptions that are not theirs are on their topic: nothing is sent there
      `pointsman approvers sync --remove-others` ends what is confirmed; AWS forgets what is not confirmed after 48 hours
    ");
    let remedy = Reach::Pending.remedy("o'neil`id`&@example.com").unwrap();
    assert!(remedy.contains(r"'o'\''neil`id`&@example.com'"), "one word of a shell: {remedy}");
}

fn person(email: &str) -> Person {
    Person { email: email.to_owned(), github: None, groups: BTreeSet::new() }
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
}

#[test]
fn everybody_is_looked_at_once_an_hour_and_sooner_while_somebody_is_lost() {
    let check = |next: usize, lost: &[&str]| ApproverCheck {
        version: 3,
        at: at(0),
        next,
        unreachable: lost.iter().map(|email| Unreachable { email: (*email).into(), reach: Reach::Pending }).collect(),
    };
    #[rustfmt::skip]
    let cases = [
        (None,                     3, 0,  Some(0),  "the first look"),
        (Some(check(0, &[])),      3, 59, None,     "there is time"),
        (Some(check(0, &[])),      3, 60, Some(0),  "an hour later"),
        (Some(check(50, &[])),     3, 1,  Some(50), "the round goes on"),
        (Some(check(50, &[])),     4, 1,  Some(0),  "there may be other people"),
        (Some(check(0, &["a@b"])), 3, 9,  None,     "mending takes a while"),
        (Some(check(0, &["a@b"])), 3, 10, Some(0),  "it may be mended"),
    ];
    for (last, version, minutes, expected, why) in cases {
        assert_eq!(ApproverCheck::due(last.as_ref(), version, at(minutes)), expected, "{why}");
    }
}

#[test]
fn a_round_keeps_what_it_has_not_looked_at_and_forgets_who_left() {
    let people = [person("a@x.y"), person("b@x.y"), person("c@x.y")];
    let names = |check: &ApproverCheck| check.unreachable.iter().map(|one| one.email.clone()).collect::<Vec<_>>();
    let reached = || Some(Reach::Reached { is_authenticated: None });
    let lost = || Some(Reach::NoSubscription);
    let first = ApproverCheck::after(None, 1, &people, 0, &[lost(), lost()], at(0));
    assert_eq!((names(&first), first.next, first.at), (vec!["a@x.y".into(), "b@x.y".into()], 2, at(0)));
    let second = ApproverCheck::after(Some(&first), 1, &people, 2, &[lost()], at(1));
    assert_eq!((names(&second).len(), second.next, second.at), (3, 0, at(0)), "the round began at the first look");
    let third = ApproverCheck::after(Some(&second), 1, &people, 0, &[reached(), None], at(70));
    assert_eq!(names(&third), ["b@x.y", "c@x.y"], "mended; not answered, so it stands; not looked at yet");
    assert_eq!((third.next, third.at), (2, at(70)));
    let fewer = ApproverCheck::after(Some(&third), 2, &people[..2], 0, &[reached(), reached()], at(80));
    assert_eq!((names(&fewer).len(), fewer.next), (0, 0), "c has left");
    let saved = serde_json::to_value(&third.unreachable[0]).unwrap();
    assert_eq!(saved, serde_json::json!({ "email": "b@x.y", "state": "no_subscription" }));
    assert_eq!(serde_json::from_value::<Unreachable>(saved).unwrap(), third.unreachable[0]);
}

#[test]
fn a_check_fits_into_an_item_however_many_are_lost() {
    let people: Vec<_> = (0..20_000).map(|number| person(&format!("{number}{}@x.y", "a".repeat(240)))).collect();
    let seen: Vec<_> = people.iter().map(|_| Some(Reach::Shared { others: usize::MAX })).collect();
    let check = ApproverCheck::after(None, 1, &people, 0, &seen, at(0));
    assert!(serde_json::to_vec(&check).unwrap().len() < 300_000);
}

proptest! {
    /// Whatever is on a topic: mail goes there only when every subscription is theirs and one is confirmed, and what
    /// mends it is done once.
    #[test]
    fn mail_goes_to_one_person_or_nowhere(
        topic in prop::collection::vec(
            ("email|email-json|sqs", "ada@example.com|ADA@EXAMPLE.com|eve@example.com", any::<bool>(), any::<Option<bool>>()),
            0..4,
        ),
        remove_others in any::<bool>(),
        ask_again in any::<bool>(),
    ) {
        let make = |(at, (protocol, endpoint, is_confirmed, is_authenticated)): (usize, &(String, String, bool, Option<bool>))| {
            let arn = is_confirmed.then(|| format!("arn:{at}"));
            subscription(protocol, endpoint, arn.as_deref(), *is_authenticated)
        };
        let topic: Vec<_> = topic.iter().enumerate().map(make).collect();
        let is_hers = |one: &Subscription| one.protocol == "email" && one.endpoint.eq_ignore_ascii_case(ADA);
        let is_reached = Reach::of(ADA, Some(&topic)).is_reached();
        prop_assert_eq!(is_reached, topic.iter().all(is_hers) && topic.iter().any(Subscription::is_confirmed));
        let steps = steps(ADA, Some(&topic), Repair { remove_others, ask_again });
        for step in &steps {
            if let Step::End(one) = step {
                let is_wanted = if is_hers(one) { ask_again } else { remove_others };
                prop_assert!(is_wanted, "{one:?}");
            }
        }
        prop_assert!(steps.iter().filter(|step| **step == Step::Ask).count() <= 1);
    }
}
