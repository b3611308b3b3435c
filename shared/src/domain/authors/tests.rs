//! The walk in tables and over made-up histories, and who is one of those it finds.

use super::*;
use proptest::prelude::*;

/// A commit id that shows its number in its first two digits.
fn sha(number: u64) -> Sha {
    format!("{number:02x}{}", "0".repeat(38)).parse().unwrap()
}

fn person(name: &str) -> Person {
    account(name, Some(format!("{name}@example.com")))
}

fn commit(number: u64, author: &str) -> Commit {
    Commit { sha: sha(number), title: format!("Change {number}"), author: person(author), committer: person(author) }
}

/// A push of one commit, by its author. The later its number, the newer it is.
fn push(before: u64, to: u64, author: &str) -> RecordedPush {
    RecordedPush {
        git_ref: GitRef::Branch("main".to_owned()),
        before: sha(before),
        commit: sha(to),
        pushers: vec![person(author)],
        listed: Some(Box::new(Listed {
            count: 1,
            newest: vec![commit(to, author)],
            people: People::Known(vec![person(author)]),
        })),
        delivery: "d".parse().unwrap(),
        received_at: Timestamp::from_second(i64::try_from(to).unwrap()).unwrap(),
    }
}

fn unknown(before: u64, to: u64, author: &str, why: PeopleUnknown) -> RecordedPush {
    let mut push = push(before, to, author);
    push.listed.as_mut().unwrap().people = People::NotKnowable(why);
    push
}

fn on(branch: &str, push: RecordedPush) -> RecordedPush {
    RecordedPush { git_ref: GitRef::Branch(branch.to_owned()), ..push }
}

/// Walks through `all`; also says how many commits were looked at.
fn walked(live: Option<u64>, candidate: u64, all: &[RecordedPush]) -> (Authors, usize) {
    let mut walk = Walk::new(live.map(sha), sha(candidate));
    let mut looks = 0;
    while let Some(wanted) = walk.wanted().cloned() {
        walk.found(all.iter().filter(|push| push.commit == wanted).cloned().collect());
        looks += 1;
    }
    (walk.finish(), looks)
}

fn names(people: &[Person]) -> String {
    people.iter().map(|person| person.name.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_chain_of_pushes_tells_who_wrote_what() {
    use PeopleUnknown::{Created, Forced, NoCommits, TooManyCommits};
    let forced = |before, to| unknown(before, to, "mallory", Forced);
    let line = [push(1, 2, "ada"), push(2, 3, "grace"), push(3, 4, "ada")];
    let with = |more: &[RecordedPush]| [&line, more].concat();
    #[rustfmt::skip]
    let cases = [
        // live  to  pushes                                                        people         commits      gap, why
        (Some(1), 4, line.to_vec(),                                                "ada grace",   "04 03 02",  "", "one push after another"),
        (Some(2), 4, line.to_vec(),                                                "ada grace",   "04 03",     "", "what is live already does not count"),
        (Some(3), 3, line.to_vec(),                                                "",            "",          "", "nothing new"),
        (Some(3), 3, vec![],                                                       "",            "",          "", "nothing new, and nothing recorded"),
        (Some(1), 4, with(&[on("x", push(1, 4, "eve"))]),                          "eve",         "04",        "", "the shortest way, though on another branch"),
        (Some(1), 4, with(&[on("x", push(9, 4, "eve")), on("x", forced(1, 3))]),   "ada grace",   "04 03 02",  "", "what leads elsewhere or tells nothing is passed by"),
        (Some(1), 2, vec![unknown(1, 2, "eve", NoCommits), on("x", push(1, 2, "ada"))], "ada",    "02",        "", "the same on two branches, and one tells"),
        (Some(9), 4, line.to_vec(),                                                "ada grace",   "04 03 02",  "no push that ended at 0100000 is recorded", "it began before the records do"),
        (Some(1), 4, vec![],                                                       "",            "",          "no push that ended at 0400000 is recorded", "none at all"),
        (Some(1), 4, vec![push(1, 2, "ada"), push(3, 4, "ada")],                   "ada",         "04",        "no push that ended at 0300000 is recorded", "one is missing"),
        (Some(1), 4, vec![push(1, 2, "ada"), forced(2, 3), push(3, 4, "ada")],     "ada mallory", "04 03",     "the push from 0200000 to 0300000 was forced", "whoever is known of counts all the same"),
        (Some(1), 4, with(&[forced(8, 4)]),                                        "ada grace",   "04 03 02",  "", "a forced one beside it"),
        (Some(9), 4, with(&[on("x", unknown(0, 4, "eve", Created))]),              "ada grace",   "04 03 02",  "no push that ended at 0100000 is recorded", "told of where the way led furthest"),
        (Some(1), 4, vec![push(4, 4, "ada")],                                      "",            "",          "the recorded pushes that end at 0400000 lead in a circle", "from a commit to itself"),
        (Some(1), 4, vec![push(3, 4, "ada"), push(4, 3, "ada")],                   "",            "",          "the recorded pushes that end at 0400000 lead in a circle", "there and back"),
        (None,    4, line.to_vec(),                                                "ada",         "04",        "", "nothing is live: the push itself"),
        (None,    4, with(&[on("x", push(9, 4, "eve"))]),                          "ada eve",     "04",        "", "two pushes ended there"),
        (None,    4, with(&[on("x", unknown(0, 4, "eve", Created))]),              "ada",         "04",        "", "one of them tells"),
        (None,    4, vec![unknown(0, 4, "eve", Created)],                          "eve",         "04",        "the push that ended at 0400000 made a new ref", "a first push"),
        (None,    4, vec![unknown(3, 4, "eve", TooManyCommits)],                   "eve",         "04",        "the push from 0300000 to 0400000 has more commits than GitHub lists", "cut off"),
        (None,    4, vec![],                                                       "",            "",          "no push that ended at 0400000 is recorded", "no push at all"),
    ];
    for (live, candidate, pushes, people, commits, gap, why) in cases {
        let (authors, _) = walked(live, candidate, &pushes);
        let shas: Vec<_> = authors.commits.iter().map(|commit| &commit.sha.short()[..2]).collect();
        let told = authors.gap.as_ref().map(ToString::to_string).unwrap_or_default();
        let found = (names(&authors.people), shas.join(" "), told);
        assert_eq!(found, (people.to_owned(), commits.to_owned(), gap.to_owned()), "{why}");
        assert_eq!(names(&authors.pushers), people, "in this table everybody pushes what they wrote: {why}");
        assert_eq!(authors.left_out, 0, "{why}");
    }
}

#[test]
fn every_reason_is_told_in_a_sentence() {
    use PeopleUnknown as U;
    let of = |why| unknown(1, 2, "ada", why).gap().to_string();
    let all = [U::NotTold, U::Created, U::Forced, U::NoCommits, U::TooManyCommits, U::WithoutHead, U::Nameless]
        .into_iter()
        .chain([U::TooManyPeople]);
    let text: Vec<String> = all.map(of).chain([Gap::TooFar { commit: sha(3) }.to_string()]).collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    the push from 0100000 to 0200000 was recorded without its commits
    the push that ended at 0200000 made a new ref
    the push from 0100000 to 0200000 was forced
    the push from 0100000 to 0200000 lists no commits
    the push from 0100000 to 0200000 has more commits than GitHub lists
    the push from 0100000 to 0200000 does not list the commit that it ended at
    the push from 0100000 to 0200000 has a commit that names nobody
    the push from 0100000 to 0200000 has more authors than are kept
    the recorded pushes lead further back than 0300000
    ");
}

#[test]
fn a_walk_and_its_list_have_bounds() {
    let line = |count| (0..count).map(|number| push(number, number + 1, "ada")).collect::<Vec<_>>();
    let bound = LOOKS_MAX as u64;
    let (whole, looks) = walked(Some(0), bound, &line(bound));
    assert_eq!((whole.gap, looks), (None, LOOKS_MAX), "as far as may be");
    let (broken_off, looks) = walked(Some(0), bound + 1, &line(bound + 1));
    assert_eq!((broken_off.gap, looks), (Some(Gap::TooFar { commit: sha(1) }), LOOKS_MAX), "one push further");
    assert_eq!(broken_off.commits.len(), COMMITS_MAX, "what was seen is told");

    let mut long = push(1, 2, "ada");
    let listed = long.listed.as_mut().unwrap();
    (listed.count, listed.newest) = (2_000, (100..130).map(|number| commit(number, "ada")).collect());
    let mut longer = push(2, 3, "ada");
    let listed = longer.listed.as_mut().unwrap();
    (listed.count, listed.newest) = (40, (200..230).map(|number| commit(number, "ada")).collect());
    let (authors, _) = walked(Some(1), 3, &[long, longer]);
    assert_eq!((authors.commits.len(), authors.left_out), (COMMITS_MAX, 2_040 - COMMITS_MAX));
    assert_eq!(authors.commits[0].sha, sha(200), "the newest first");
}

#[test]
fn a_person_is_known_by_either_name() {
    let of = |login: Option<&str>, email: Option<&str>| Person {
        name: "A. P.".to_owned(),
        email: email.map(str::to_owned),
        login: login.map(str::to_owned),
    };
    let noreply = "10842917+ada@users.noreply.github.com";
    #[rustfmt::skip]
    let cases = [
        // the author                                                  is ada  why
        (of(Some("ada"), Some("ada@home.example")),                    true,   "by login"),
        (of(Some("ADA"), None),                                        true,   "without case"),
        (of(None, Some("ada@example.com")),                            true,   "by address"),
        (of(None, Some("Ada@Example.COM")),                            true,   "without case"),
        (of(Some("grace"), Some("ada@example.com")),                   true,   "one of the two is enough"),
        (of(None, Some(noreply)),                                      true,   "by GitHub's address for her"),
        (of(None, Some("Ada@users.noreply.GitHub.com")),               true,   "by the older form of it"),
        (of(Some("grace"), Some("grace@example.com")),                 false,  "somebody else"),
        (of(None, Some("ada@users.noreply.github.com.evil.example")),  false,  "not GitHub's address"),
        (of(None, Some("ada@github.com")),                             false,  "nor this"),
        (of(None, Some("7+adam@users.noreply.github.com")),            false,  "another login that begins alike"),
        (of(Some(""), Some("")),                                       false,  "no names"),
        (of(None, None),                                               false,  "nobody"),
    ];
    for (author, expected, why) in cases {
        let by = |author| Authors { people: vec![author], ..Authors::default() };
        assert_eq!(by(author.clone()).is_one_of_them("ada@example.com", Some("Ada")), expected, "{why}");
        let pushed = Authors { pushers: vec![author], ..Authors::default() };
        assert_eq!(pushed.is_one_of_them("ada@example.com", Some("Ada")), expected, "as pusher: {why}");
    }
    let login_alone = Authors { people: vec![of(Some("ada"), Some(noreply))], ..Authors::default() };
    assert!(!login_alone.is_one_of_them("ada@example.com", None), "without her login nothing tells");
}

#[test]
fn github_itself_is_nobody() {
    let mut merge = unknown(1, 2, "ada", PeopleUnknown::Forced);
    let listed = merge.listed.as_mut().unwrap();
    listed.newest[0].committer = Person {
        name: "GitHub".to_owned(),
        email: Some("noreply@github.com".to_owned()),
        login: Some("web-flow".to_owned()),
    };
    assert_eq!(names(&walked(None, 2, &[merge]).0.people), "ada");
}

/// Histories of a few commits, with every kind of push, circles too.
fn any_pushes() -> impl Strategy<Value = Vec<RecordedPush>> {
    let one = (0u64..8, 0u64..8, prop::bool::weighted(0.8), 0u64..4);
    prop::collection::vec(one, 0..24).prop_map(|all| {
        let one = |(index, (before, to, tells, at)): (usize, (u64, u64, bool, u64))| {
            let author = format!("p{index:02}");
            let push =
                if tells { push(before, to, &author) } else { unknown(before, to, &author, PeopleUnknown::Forced) };
            // Pushes of one moment too.
            RecordedPush { received_at: Timestamp::from_second(at as i64).unwrap(), ..on(&author, push) }
        };
        all.into_iter().enumerate().map(one).collect()
    })
}

/// Whether `pushes` that tell lead from `candidate` back to `live`.
fn leads_back(pushes: &[&RecordedPush], live: &Sha, candidate: &Sha) -> bool {
    let mut reached = BTreeSet::from([candidate.clone()]);
    while let Some(next) = pushes.iter().find(|push| reached.contains(&push.commit) && !reached.contains(&push.before))
    {
        reached.insert(next.before.clone());
    }
    reached.contains(live)
}

proptest! {
    #[test]
    fn a_walk_ends_and_a_whole_chain_covers_a_way_back(
        pushes in any_pushes(), live in 0u64..8, candidate in 0u64..8,
    ) {
        let (authors, looks) = walked(Some(live), candidate, &pushes);
        prop_assert!(looks <= 8, "each commit is looked at once");
        let telling: Vec<_> = pushes.iter().filter(|push| push.people().is_ok()).collect();
        prop_assert_eq!(authors.gap.is_none(), leads_back(&telling, &sha(live), &sha(candidate)));
        if authors.gap.is_none() {
            let covered: Vec<_> = telling.iter().copied().filter(|push| authors.people.contains(&push.people().unwrap()[0])).collect();
            prop_assert!(leads_back(&covered, &sha(live), &sha(candidate)), "those who are named wrote a whole chain");
            prop_assert_eq!(covered.len(), authors.people.len(), "and nobody else is named");
        }
    }

    #[test]
    fn the_order_in_which_pushes_are_found_does_not_matter(
        (pushes, shuffled) in any_pushes().prop_flat_map(|pushes| (Just(pushes.clone()), Just(pushes).prop_shuffle())),
        live in prop::option::of(0u64..8), candidate in 0u64..8,
    ) {
        prop_assert_eq!(walked(live, candidate, &pushes), walked(live, candidate, &shuffled));
    }
}
