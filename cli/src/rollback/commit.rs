//! A commit by its first digits, as people quote it.

use crate::failure::Failure;
use pointsman::domain::change::Sha;
use std::collections::BTreeSet;

/// How many digits tell commits apart well enough.
const DIGITS_MIN: usize = 7;
/// How many commits a refusal names.
const NAMED: usize = 10;

/// Digits of a commit as a person typed them.
pub(crate) fn digits(typed: &str) -> Result<String, String> {
    let is_hex = typed.bytes().all(|byte| byte.is_ascii_hexdigit());
    match typed.len() {
        DIGITS_MIN..=Sha::DIGITS if is_hex => Ok(typed.to_ascii_lowercase()),
        _ => Err(format!("write {DIGITS_MIN} to {} hexadecimal digits", Sha::DIGITS)),
    }
}

/// The one of `known`, the newest first, that begins with these digits.
pub(crate) fn one<'a>(typed: &str, known: impl Iterator<Item = &'a Sha>, place: &str) -> Result<Sha, Failure> {
    let known: Vec<&Sha> = known.collect();
    let meant: BTreeSet<&Sha> = known.iter().copied().filter(|sha| sha.as_str().starts_with(typed)).collect();
    let mut meant = meant.into_iter();
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(one), Some(other)) => Err(Failure::Refused(format!("{typed} may be {one} or {other}: give more digits"))),
        (None, _) => {
            let mut named: Vec<&str> = Vec::new();
            for sha in known {
                if !named.contains(&sha.short()) && named.len() < NAMED {
                    named.push(sha.short());
                }
            }
            let there = if named.is_empty() { "nothing did".to_owned() } else { format!("{} did", named.join(", ")) };
            Err(Failure::Refused(format!("{typed} never ran in {place}; {there}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_seven_to_forty() {
        #[rustfmt::skip]
        let cases = [
            ("1a2b3c4",          Some("1a2b3c4"), "as people quote them"),
            ("1A2B3C4",          Some("1a2b3c4"), "case is no difference"),
            ("1a2b3c",           None,            "too few"),
            ("1a2b3cg",          None,            "not all are hexadecimal"),
            ("HEAD",             None,            "a name is none"),
            ("",                 None,            "nothing"),
        ];
        for (typed, expected, why) in cases {
            assert_eq!(digits(typed).ok().as_deref(), expected, "{why}");
        }
        assert!(digits(&"a".repeat(40)).is_ok() && digits(&"a".repeat(41)).is_err());
    }

    #[test]
    fn digits_name_one_commit_that_ran_there() {
        let sha = |digits: &str| -> Sha { format!("{digits}{}", "0".repeat(40 - digits.len())).parse().unwrap() };
        let known = [sha("bbbbbbb1"), sha("aaaaaaa1"), sha("aaaaaaa2"), sha("bbbbbbb1")];
        #[rustfmt::skip]
        let cases = [
            ("bbbbbbb",  Ok(sha("bbbbbbb1")),                "it ran twice, and is one"),
            ("aaaaaaa2", Ok(sha("aaaaaaa2")),                "one more digit tells"),
            ("aaaaaaa",  Err("give more digits"),            "it may be either"),
            ("ccccccc",  Err("ccccccc never ran in web; bbbbbbb, aaaaaaa did"), "neither, but these did"),
        ];
        for (typed, expected, why) in cases {
            match (one(typed, known.iter(), "web"), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{why}"),
                (Err(failure), Err(part)) => {
                    assert!(failure.to_string().contains(part), "{why}: {failure}");
                    assert_eq!(failure.exit_code(), 1);
                }
                (found, _) => panic!("{why}: {found:?}"),
            }
        }
        assert!(one("ccccccc", [].iter(), "web").unwrap_err().to_string().ends_with("nothing did"));
    }
}
