//! What a push lists of its commits: who made them, and the newest of them.

use super::{PUSH, push, push_with, read_json, samples};
use crate::domain::change::{Listed, People, PeopleUnknown, Person};
use serde_json::{Value, json};

const HEAD: &str = "2222222222222222222222222222222222222222";
const COMMITS: &str = r#"[{"added":["new"],"removed":["old"],"modified":["kept"]}]"#;

fn named(login: &str) -> Value {
    json!({ "name": login, "email": format!("{login}@example.com"), "username": login })
}

/// A commit by these two; the last of a list is the head.
fn commit(id: &str, author: &Value, committer: &Value) -> Value {
    json!({ "id": id, "message": "Sell hats\n\nMany.", "author": author, "committer": committer })
}

fn id(number: usize) -> String {
    format!("{number:040x}")
}

fn head(author: &Value, committer: &Value) -> Value {
    commit(HEAD, author, committer)
}

fn listed(commits: &[Value]) -> Listed {
    *push(read_json("push", push_with(COMMITS, &json!(commits).to_string()))).listed.unwrap()
}

/// The people as `login:address`, or why not.
fn told(people: &People) -> String {
    let one =
        |person: &Person| [person.login.as_deref().unwrap_or("-"), person.email.as_deref().unwrap_or("-")].join(":");
    match people {
        People::Known(people) => people.iter().map(one).collect::<Vec<_>>().join(" "),
        People::NotKnowable(why) => format!("{why:?}"),
    }
}

#[test]
fn people_are_known_only_where_every_commit_names_them() {
    let (ada, grace) = (named("ada"), named("grace"));
    let github = json!({ "name": "GitHub", "email": "noreply@github.com", "username": "web-flow" });
    let without_login = json!({ "name": "GitHub", "email": "NoReply@GitHub.com" });
    let by_email = json!({ "name": "Ada", "email": "ada@example.com", "username": null });
    let nameless = json!({ "name": "Ada", "email": "", "username": "" });
    let long = json!({ "name": "Ada", "email": format!("{}@example.com", "a".repeat(243)) });
    let as_long_as_may_be = json!({ "name": "Ada", "email": format!("{}@example.com", "a".repeat(242)) });
    let long_but_known = json!({ "name": "Ada", "email": "a".repeat(300), "username": "ada" });
    let both = "ada:ada@example.com grace:grace@example.com";
    #[rustfmt::skip]
    let cases = [
        // commits                                                       people                  why
        (vec![head(&ada, &grace)],                                       both,                   "author and committer"),
        (vec![head(&grace, &ada)],                                       both,                   "in one order"),
        (vec![commit(&id(7), &ada, &ada), head(&grace, &grace)],         both,                   "of every commit"),
        (vec![head(&grace, &grace), commit(&id(7), &ada, &ada)],         both,                   "in whichever order they are listed"),
        (vec![head(&ada, &ada), head(&ada, &ada)],                       "ada:ada@example.com",  "each once"),
        (vec![head(&ada, &by_email)],                                    "-:ada@example.com ada:ada@example.com", "whom GitHub knows only once"),
        (vec![head(&ada, &github)],                                      "ada:ada@example.com",  "GitHub merges for others"),
        (vec![head(&ada, &without_login)],                               "ada:ada@example.com",  "by its address alone"),
        (vec![head(&github, &github)],                                   "Nameless",             "but writes nothing itself"),
        (vec![head(&ada, &nameless)],                                    "Nameless",             "a name is nothing to compare by"),
        (vec![head(&nameless, &ada)],                                    "Nameless",             "nor of an author"),
        (vec![head(&ada, &Value::Null)],                                 "Nameless",             "no committer"),
        (vec![commit(&id(7), &Value::Null, &ada), head(&ada, &ada)],     "Nameless",             "no author of an older commit"),
        (vec![head(&long, &ada)],                                        "Nameless",             "too long for an address"),
        (vec![head(&long_but_known, &ada)],                              "ada:- ada:ada@example.com", "the login is enough"),
        (vec![],                                                         "NoCommits",            "an empty list"),
        (vec![commit(&id(7), &ada, &ada)],                               "WithoutHead",          "a list of something else"),
        (vec![json!({ "author": ada, "committer": ada })],               "WithoutHead",          "no id"),
    ];
    for (commits, expected, why) in cases {
        assert_eq!(told(&listed(&commits).people), expected, "{why}");
    }
    let whole = listed(&[head(&as_long_as_may_be, &ada)]).people;
    assert!(told(&whole).contains(&"a".repeat(242)), "an address is never cut: {whole:?}");
}

#[test]
fn what_kind_of_push_it_is_comes_first() {
    let ada = named("ada");
    let whole = push_with(COMMITS, &json!([head(&ada, &ada)]).to_string());
    #[rustfmt::skip]
    let cases = [
        // instead of             by                       people                   why
        (r#""created":false"#,    r#""created":false"#,    "ada:ada@example.com",   "as it is"),
        (r#""created":false"#,    r#""created":true"#,     "Created",               "a new ref"),
        (r#""forced":false"#,     r#""forced":true"#,      "Forced",                "a forced push"),
        (r#""head_commit":{"#,    r#""head_commit":null,"x":{"#, "WithoutHead",     "a tag of no commit"),
    ];
    for (piece, by, expected, why) in cases {
        assert_eq!(
            told(&push(read_json("push", whole.replacen(piece, by, 1))).listed.unwrap().people),
            expected,
            "{why}"
        );
    }
    let no_list = push(read_json("push", PUSH.replacen(COMMITS, "null", 1))).listed.unwrap();
    assert_eq!((no_list.count, told(&no_list.people).as_str()), (0, "NoCommits"), "no list");
    let half = push(read_json("push", PUSH)).listed.unwrap();
    assert_eq!(
        (half.count, half.newest.len(), told(&half.people).as_str()),
        (1, 0, "WithoutHead"),
        "a commit without an id"
    );
}

#[test]
fn a_list_of_commits_has_bounds() {
    let ada = named("ada");
    let line = |count: usize, who: &dyn Fn(usize) -> Value| -> Vec<Value> {
        let older = (1..count).map(|number| commit(&id(number), &who(number), &who(number)));
        older.chain([head(&ada, &ada)]).collect()
    };
    let heavy = |number: usize| json!({ "name": "🎩".repeat(200), "email": format!("{number}@example.com") });
    #[rustfmt::skip]
    let cases = [
        // commits, by                                               people           newest  why
        (line(1, &|_| ada.clone()),                                  Ok(1),           1,      "one"),
        (line(30, &|_| ada.clone()),                                 Ok(1),           30,     "as many as are carried"),
        (line(31, &|_| ada.clone()),                                 Ok(1),           30,     "one more"),
        (line(2_047, &|_| ada.clone()),                              Ok(1),           30,     "one less than GitHub lists"),
        (line(2_048, &|_| ada.clone()),                              Err(PeopleUnknown::TooManyCommits), 30, "as many as GitHub lists"),
        (line(100, &|number| named(&format!("p{number}"))),          Ok(100),         30,     "a hundred people"),
        (line(101, &|number| named(&format!("p{number}"))),          Err(PeopleUnknown::TooManyPeople), 30, "one more"),
        (line(20, &heavy),                                           Ok(20),          12,     "heavy names"),
        (line(40, &heavy),                                           Err(PeopleUnknown::TooManyPeople), 12, "too many heavy names"),
    ];
    for (commits, expected, newest, why) in cases {
        let listed = listed(&commits);
        let people = match &listed.people {
            People::Known(people) => Ok(people.len()),
            People::NotKnowable(unknown) => Err(*unknown),
        };
        assert_eq!((listed.count, people, listed.newest.len()), (commits.len(), expected, newest), "{why}");
        assert_eq!(listed.newest[0].sha.as_str(), HEAD, "the newest first: {why}");
        assert_eq!(listed.newest[0].title, "Sell hats", "{why}");
    }
}

#[test]
fn an_older_versions_message_is_read_without_what_it_lists() {
    let mut told = serde_json::to_value(push(read_json("push", samples::text("push.json")))).unwrap();
    let fields = told.as_object_mut().unwrap();
    assert!(fields.remove("listed").is_some() && fields.remove("pusher_email").is_some());
    let read: crate::domain::change::Push = serde_json::from_value(told).unwrap();
    assert_eq!((read.listed, read.pusher_email), (None, None));
}
