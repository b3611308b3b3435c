//! Texts that are wrong, and every word that is said about them.

use super::super::{ProblemSeverity, limits};
use super::{EXAMPLE, check, lines, told_cases};
use proptest::prelude::*;

#[test]
fn each_mistake_is_told_with_its_place_and_what_would_be_right() {
    let mut cases = 0;
    for (why, text, says) in told_cases(include_str!("refused.txt")) {
        let problems = check(text).expect_err(why);
        let errors: Vec<_> = problems.into_iter().filter(|it| it.severity == ProblemSeverity::Error).collect();
        assert_eq!(lines(&errors).join("\n"), says, "{why}:\n{text}");
        assert!(errors.iter().all(|error| error.file == "pointsman.toml" && !error.message.is_empty()), "{why}");
        cases += 1;
    }
    assert!(cases >= 60, "{cases} cases");
}

/// A route whose text after the target is `rest`.
fn route(rest: &str) -> String {
    format!("[[routes]]\nrepository = \"acme/shop\"\non = \"push\"\nbranch = [\"main\"]\npipeline = \"shop\"\n{rest}\n")
}

#[test]
fn bounds_hold_at_the_bound_and_not_beyond() {
    let environment = "[environments.w]\ndeploys = [{ region = \"us-east-1\", pipeline = \"shop\", stage = \"D\" }]\n";
    let routes = |count: usize| (0..count).map(|_| route("")).collect::<String>();
    let variables = |count: usize| {
        let pairs: Vec<String> = (0..count).map(|index| format!("V{index} = \"x\"")).collect();
        route(&format!("variables = {{ {} }}", pairs.join(", ")))
    };
    let value = |length: usize| route(&format!("variables = {{ A = \"{}\" }}", "é".repeat(length)));
    let filled = |length: usize| {
        let rest =
            format!("environment = \"w\"\nvariables = {{ A = \"{}{{sha}}{{environment}}\" }}", "x".repeat(length));
        format!("{environment}{}", route(&rest))
    };
    let branches = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!("\"b{index}\"")).collect();
        route("").replace("\"main\"", &names.join(", "))
    };
    let big_variables = |routes: usize| {
        let pairs: Vec<String> = (0..50).map(|index| format!("V{index} = \"{}\"", "x".repeat(1_000))).collect();
        route(&format!("variables = {{ {} }}", pairs.join(", "))).repeat(routes)
    };
    let pattern = |length: usize| route("").replace("main", &"x".repeat(length));
    #[rustfmt::skip]
    let cases = [
        // text                                         is taken, why
        (routes(limits::MAX_ROUTES_PER_REPOSITORY),     true,  "a hundred routes of one repository"),
        (routes(limits::MAX_ROUTES_PER_REPOSITORY + 1), false, "one more"),
        (variables(limits::MAX_VARIABLES),              true,  "fifty variables"),
        (variables(limits::MAX_VARIABLES + 1),          false, "one more"),
        (value(limits::MAX_VARIABLE_CHARACTERS),        true,  "a thousand characters, however many bytes"),
        (value(limits::MAX_VARIABLE_CHARACTERS + 1),    false, "one more"),
        (filled(959),                                   true,  "959, 40 of a SHA, and the 1 of the environment"),
        (filled(960),                                   false, "one more, once it is filled in"),
        (branches(50),                                  true,  "fifty patterns"),
        (branches(51),                                  false, "one more"),
        (pattern(256),                                  true,  "a pattern of 256 bytes"),
        (pattern(257),                                  false, "one more"),
        (big_variables(1),                              true,  "50 KB of routes fit into one item"),
        (big_variables(3),                              false, "150 KB do not"),
        (format!("#{}", "x".repeat(limits::MAX_FILE_BYTES)), false, "a file beyond its bound is not even read"),
    ];
    for (text, is_taken, why) in cases {
        let answer = check(&format!("version = 1\n{text}"));
        assert_eq!(answer.is_ok(), is_taken, "{why}: {:?}", answer.err().map(|problems| lines(&problems)));
    }
}

#[test]
fn json_in_a_variable_is_no_placeholder() {
    let text = format!("version = 1\n{}", route("variables = { A = '{\"a\": {\"b\": 1}}', B = '{}', C = '{ sha }' }"));
    assert!(check(&text).is_ok());
}

#[test]
fn deep_nesting_ends_in_a_problem() {
    let text = format!("version = 1\nroutes = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(check(&text).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _answer = check(&text);
    }

    #[test]
    fn no_damage_makes_it_panic(
        at in 0..EXAMPLE.len(),
        length in 0_usize..40,
        put in "[\\[\\]{}\"=.!*é\n a-z0-9]{0,8}",
    ) {
        let start = (0..=at).rev().find(|byte| EXAMPLE.is_char_boundary(*byte)).unwrap_or(0);
        let end = (start + length).min(EXAMPLE.len());
        let damaged = format!("{}{put}{}", &EXAMPLE[..start], EXAMPLE.get(end..).unwrap_or_default());
        let lines_of_text = damaged.lines().count() + 1;
        for problem in check(&damaged).err().unwrap_or_default() {
            prop_assert!((1..=lines_of_text).contains(&problem.line) && problem.column >= 1, "{problem}");
        }
    }
}
