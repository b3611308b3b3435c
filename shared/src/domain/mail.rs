//! What stands in the mails that ask people: plain text, made for one person each.
//!
//! A mail holds the link of the person it goes to, and that is its only link. Titles, names and refs are a stranger's:
//! each stays on its own line, bounded, and is broken up wherever a mail program would make a link of it.

use super::change::GitRef;
use super::shown::{self, Commit, Freeze, Newer};
use jiff::Timestamp;
use std::fmt;

/// The longest subject, in characters; what is beyond is cut off. Source: SNS's Publish, "less than 100 characters".
pub const SUBJECT_CHARS_MAX: usize = 99;
/// The most that is shown of a text that a stranger wrote, in characters; what is beyond is cut off.
pub const TEXT_CHARS_MAX: usize = 120;
/// The most checks that are named; the others are counted.
pub const CHECKS_MAX: usize = 8;
/// How wide the column of labels is, in characters.
const LABEL_WIDTH: usize = 12;

/// A mail to one person. Whoever reads its body can decide in their name, so it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// 1 to [`SUBJECT_CHARS_MAX`] printable ASCII characters.
    pub subject: String,
    /// Lines of UTF-8.
    pub body: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// What a person is asked, as far as a mail tells it. The page tells the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The address that is asked.
    pub person: String,
    /// Our id of the approval, `ap-…`.
    pub approval: String,
    /// Where it would go live.
    pub environment: String,
    /// `owner/name`
    pub repository: String,
    /// What was pushed, where anything was.
    pub git_ref: Option<GitRef>,
    /// `None` where nobody knows which commit it is.
    pub commit: Option<Commit>,
    /// Who set it going and how: `pushed by ghopper`.
    pub started: Option<String>,
    /// Each check with its result: `Build succeeded`.
    pub checks: Vec<String>,
    /// Why this person may only reject: `you wrote part of it`.
    pub barred: Option<String>,
    /// The freeze that there is now.
    pub freeze: Option<Freeze>,
    /// The execution that waits behind this one.
    pub newer: Option<Newer>,
    /// When the mail is made.
    pub now: Timestamp,
    /// When the approval ends by itself.
    pub expires: Timestamp,
}

/// The first mail. `link` is the whole URL, for this person alone.
pub fn asked(asked: &Asked, link: &str) -> Mail {
    let opening = format!("You are asked whether {} may go live in {}.", asked.what(), asked.environment);
    mail(&format!("Approve {} for {}?", asked.what(), asked.environment), &opening, asked, link)
}

/// Asks somebody again who was asked `since` and did not answer. `link` is a new one; earlier ones may have come lost.
pub fn reminder(asked: &Asked, since: Timestamp, link: &str) -> Mail {
    let waited = shown::length(asked.now.duration_since(since).as_secs());
    let opening = format!(
        "{} still waits to go live in {}. You were asked {waited} ago, and your answer is still wanted.",
        capitalised(&asked.what()),
        asked.environment,
    );
    mail(&format!("Reminder: approve {} for {}?", asked.what(), asked.environment), &opening, asked, link)
}

/// Tells somebody of the overriding group, who need not be an approver, that a change waits for the freeze to end.
pub fn override_possible(asked: &Asked, link: &str) -> Mail {
    let opening = format!(
        "{} waits to go live in {}, which is frozen. You are one of those who may override the freeze.",
        capitalised(&asked.what()),
        asked.environment,
    );
    mail(&format!("Frozen: let {} into {}?", asked.what(), asked.environment), &opening, asked, link)
}

fn mail(subject: &str, opening: &str, asked: &Asked, link: &str) -> Mail {
    let expires = shown::utc(asked.expires);
    let left = shown::length(asked.expires.duration_since(asked.now).as_secs());
    let mut parts = vec![opening.to_owned(), facts(asked)];
    parts.extend(hints(asked));
    parts.push("Read what would go live, and decide:".to_owned());
    parts.push(link.to_owned());
    parts.push(format!(
        "This link is for {} alone: whoever opens it can answer in your name. Do not forward this mail.\n\
         It expires on {expires}, in {left}.",
        asked.person,
    ));
    Mail { subject: subject_of(subject, &asked.repository), body: parts.join("\n\n") + "\n" }
}

/// One fact a line. No text of a stranger's can begin a line of its own.
fn facts(asked: &Asked) -> String {
    let commit = asked.commit.as_ref();
    let git_ref = asked.git_ref.as_ref().map(|git_ref| match git_ref {
        GitRef::Branch(name) => ("Branch", name),
        GitRef::Tag(name) => ("Tag", name),
        GitRef::Other(full) => ("Ref", full),
    });
    let checks = (!asked.checks.is_empty()).then(|| checks(&asked.checks));
    let rows = [
        commit.and_then(|commit| commit.title.as_deref()).map(|title| ("Title", unlinked(title))),
        commit.and_then(|commit| commit.author.as_deref()).map(|author| ("Author", unlinked(author))),
        Some(("Repository", unlinked(&asked.repository))),
        git_ref.map(|(label, name)| (label, unlinked(name))),
        Some(("Commit", commit.map_or_else(|| "not known".to_owned(), |commit| commit.sha.as_str().to_owned()))),
        asked.started.as_deref().map(|started| ("Started", unlinked(started))),
        checks.map(|checks| ("Checks", checks)),
        Some(("Approval", unlinked(&asked.approval))),
    ];
    let line = |(label, value): (&str, String)| format!("  {label:LABEL_WIDTH$}{value}").trim_end().to_owned();
    rows.into_iter().flatten().map(line).collect::<Vec<_>>().join("\n")
}

fn checks(checks: &[String]) -> String {
    let mut named: Vec<_> = checks.iter().take(CHECKS_MAX).map(|check| unlinked(check)).collect();
    match checks.len().saturating_sub(CHECKS_MAX) {
        0 => (),
        more => named.push(format!("and {more} more")),
    }
    named.join("; ")
}

/// What a person should know before they open the page.
fn hints(asked: &Asked) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(why) = &asked.barred {
        hints.push(format!("You may only reject: {}.", unlinked(why)));
    }
    if let Some(freeze) = &asked.freeze {
        let who = match (&freeze.override_group, freeze.may_override) {
            (_, true) => " You may override that; the page asks you why.".to_owned(),
            (Some(group), false) => format!(" Only {group} may override that."),
            (None, false) => String::new(),
        };
        hints.push(format!("Frozen until {}: until then, nothing is approved.{who}", shown::zoned(&freeze.until)));
    }
    if let Some(newer) = &asked.newer {
        let sha = newer.commit.as_ref().map_or("it", |commit| commit.sha.short());
        hints.push(format!("A newer execution waits behind this one: rejecting lets {sha} in."));
    }
    hints
}

impl Asked {
    /// The commit's first digits, or other words for what would go live.
    fn what(&self) -> String {
        self.commit.as_ref().map_or("an unknown commit", |commit| commit.sha.short()).to_owned()
    }
}

/// As a sentence begins; but digits of a commit stay as they are typed.
fn capitalised(text: &str) -> String {
    if !text.contains(' ') {
        return text.to_owned();
    }
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
}

/// SNS takes printable ASCII only. The repository stands last, where it may be cut off.
fn subject_of(question: &str, repository: &str) -> String {
    let whole = format!("{question} ({repository})");
    whole.chars().filter(|character| matches!(character, ' '..='~')).take(SUBJECT_CHARS_MAX).collect()
}

/// A stranger's text as one bounded line in which no mail program sees a link.
fn unlinked(text: &str) -> String {
    shown::unlinked(text, TEXT_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINK: &str = "https://approvals.example.com/approvals/q7Hc3yVbX1dQ0mZtR8sKfLw2NpJuA9eGi6oTzB4vYxk";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn sample() -> Asked {
        Asked {
            person: "ada@example.com".into(),
            approval: "ap-4f1f6a0c9b3d27e8a510".into(),
            environment: "web-production".into(),
            repository: "acme/shop".into(),
            git_ref: Some(GitRef::Branch("production".into())),
            commit: Some(Commit {
                sha: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".parse().unwrap(),
                title: Some("Round the cart's total once, at the end".into()),
                author: Some("Grace Hopper".into()),
            }),
            started: Some("pushed by ghopper".into()),
            checks: vec!["Build succeeded".into(), "Test succeeded".into(), "scan: nothing blocks".into()],
            barred: None,
            freeze: None,
            newer: None,
            now: at("2026-11-21T14:05:00Z"),
            expires: at("2026-11-22T14:05:00Z"),
        }
    }

    #[test]
    fn a_mail_that_asks() {
        let mail = asked(&sample(), LINK);
        assert_eq!(mail.subject, "Approve 1a2b3c4 for web-production? (acme/shop)");
        insta::assert_snapshot!(mail.body, @"
        You are asked whether 1a2b3c4 may go live in web-production.

          Title       Round the cart's total once, at the end
          Author      Grace Hopper
          Repository  acme/shop
          Branch      production
          Commit      1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d
          Started     pushed by ghopper
          Checks      Build succeeded; Test succeeded; scan: nothing blocks
          Approval    ap-4f1f6a0c9b3d27e8a510

        Read what would go live, and decide:

        https://approvals.example.com/approvals/q7Hc3yVbX1dQ0mZtR8sKfLw2NpJuA9eGi6oTzB4vYxk

        This link is for ada@example.com alone: whoever opens it can answer in your name. Do not forward this mail.
        It expires on 22 Nov 2026, 14:05 UTC, in 1 day.
        ");
    }

    #[test]
    fn a_mail_that_asks_with_everything_that_may_stand_in_the_way() {
        let mut sample = sample();
        sample.barred = Some("you wrote part of it (9f8e7d6)".into());
        let until = at("2027-01-03T00:00:00Z").in_tz("Europe/London").unwrap();
        sample.freeze = Some(Freeze { until, override_group: Some("devops".into()), may_override: false });
        let sha = "5e6f7a8b5e6f708192a3b4c5d6e7f8091a2b3c4d".parse().unwrap();
        sample.newer = Some(Newer { commit: Some(Commit { sha, title: None, author: None }) });
        insta::assert_snapshot!(asked(&sample, LINK).body, @"
        You are asked whether 1a2b3c4 may go live in web-production.

          Title       Round the cart's total once, at the end
          Author      Grace Hopper
          Repository  acme/shop
          Branch      production
          Commit      1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d
          Started     pushed by ghopper
          Checks      Build succeeded; Test succeeded; scan: nothing blocks
          Approval    ap-4f1f6a0c9b3d27e8a510

        You may only reject: you wrote part of it (9f8e7d6).

        Frozen until 3 Jan 2027, 00:00 in Europe/London (3 Jan 2027, 00:00 UTC): until then, nothing is approved. Only devops may override that.

        A newer execution waits behind this one: rejecting lets 5e6f7a8 in.

        Read what would go live, and decide:

        https://approvals.example.com/approvals/q7Hc3yVbX1dQ0mZtR8sKfLw2NpJuA9eGi6oTzB4vYxk

        This link is for ada@example.com alone: whoever opens it can answer in your name. Do not forward this mail.
        It expires on 22 Nov 2026, 14:05 UTC, in 1 day.
        ");
    }

    #[test]
    fn a_mail_that_reminds() {
        let mail = reminder(&sample(), at("2026-11-21T10:05:00Z"), LINK);
        assert_eq!(mail.subject, "Reminder: approve 1a2b3c4 for web-production? (acme/shop)");
        insta::assert_snapshot!(mail.body.lines().next().unwrap(), @"1a2b3c4 still waits to go live in web-production. You were asked 4 h ago, and your answer is still wanted.");
    }

    #[test]
    fn a_mail_to_those_who_may_override_a_freeze() {
        let until = at("2027-01-03T00:00:00Z").in_tz("Asia/Tokyo").unwrap();
        let freeze = Some(Freeze { until, override_group: Some("devops".into()), may_override: true });
        let mail = override_possible(&Asked { freeze, commit: None, ..sample() }, LINK);
        assert_eq!(mail.subject, "Frozen: let an unknown commit into web-production? (acme/shop)");
        insta::assert_snapshot!(mail.body, @"
        An unknown commit waits to go live in web-production, which is frozen. You are one of those who may override the freeze.

          Repository  acme/shop
          Branch      production
          Commit      not known
          Started     pushed by ghopper
          Checks      Build succeeded; Test succeeded; scan: nothing blocks
          Approval    ap-4f1f6a0c9b3d27e8a510

        Frozen until 3 Jan 2027, 09:00 in Asia/Tokyo (3 Jan 2027, 00:00 UTC): until then, nothing is approved. You may override that; the page asks you why.

        Read what would go live, and decide:

        https://approvals.example.com/approvals/q7Hc3yVbX1dQ0mZtR8sKfLw2NpJuA9eGi6oTzB4vYxk

        This link is for ada@example.com alone: whoever opens it can answer in your name. Do not forward this mail.
        It expires on 22 Nov 2026, 14:05 UTC, in 1 day.
        ");
    }

    #[test]
    fn no_text_of_a_stranger_is_a_link() {
        #[rustfmt::skip]
        let cases = [
            ("Bump serde to 1.0.228",              "Bump serde to 1.0.228",                   "numbers have dots"),
            ("fix: use std::fs at 12:30. Done",    "fix: use std::fs at 12:30. Done",         "as have sentences; code has colons"),
            ("see https://example.org/a?b",        "see https[:]//example[.]org/a?b",         "a link"),
            ("HTTP://1.2.3.4/",                    "HTTP[:]//1.2.3.4/",                       "one without a name"),
            ("www.example.org",                    "www[.]example[.]org",                     "one without a scheme"),
            ("read example.org/approve",           "read example[.]org/approve",              "a bare name is made one too"),
            ("пример.рф",                          "пример[.]рф",                             "in any script"),
            ("ask eve@example.org",                "ask eve@example[.]org",                   "an address"),
            ("mailto:eve tel:112 x-app:open",      "mailto[:]eve tel[:]112 x-app[:]open",     "other schemes"),
            (r"\\evil\share file:\\x",             r"[\]\evil\share file[:][\]\x",            "a share, which Windows would log in to"),
            ("ok\n\nhttps://x.io\r\n-- \nGitHub",  "ok https[:]//x[.]io -- GitHub",           "no lines of its own, no end of the mail"),
            ("a\u{202e}gro.elpmaxe\u{200b}",       "a�gro[.]elpmaxe�",                        "nothing turned around, nothing hidden"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(unlinked(text), expected, "{why}");
        }
        assert_eq!(unlinked(&"a".repeat(200)).chars().count(), TEXT_CHARS_MAX);
    }

    #[test]
    fn a_mail_that_is_logged_shows_no_link() {
        let logged = format!("{:?}", asked(&sample(), LINK));
        assert!(!logged.contains("approvals/") && logged.contains("Approve 1a2b3c4"), "{logged}");
    }

    proptest! {
        #[test]
        fn whatever_strangers_write_a_mail_has_one_link_and_a_subject_that_is_taken(
            texts in proptest::collection::vec("(?s).{0,200}|(https?://|www\\.|\n|\\\\|[a-z]\\.[a-z]|:|@){0,40}", 8),
        ) {
            let mut sample = Asked { barred: Some("you wrote it".into()), ..sample() };
            let usual = asked(&sample, LINK).body.lines().count();
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap_or_default();
            sample.commit = sample.commit.map(|commit| Commit { title: Some(next()), author: Some(next()), ..commit });
            sample.git_ref = Some(GitRef::Branch(next()));
            sample.repository = next();
            sample.started = Some(next());
            sample.barred = Some(next());
            sample.checks = vec![next(); 20];
            let mail = asked(&sample, LINK);
            let lines: Vec<_> = mail.body.lines().collect();
            prop_assert_eq!(lines.iter().filter(|line| **line == LINK).count(), 1);
            let theirs: Vec<char> = mail.body.replace(LINK, "").replace(&sample.person, "").chars().collect();
            let is_name = |at: &[char]| at[0].is_alphanumeric() && at[1] == '.' && at[2].is_alphabetic();
            let is_scheme = |at: &[char]| at[0] == ':' && at[1] == '/';
            prop_assert!(!theirs.windows(3).any(|at| is_name(at) || is_scheme(at)), "{}", mail.body);
            prop_assert_eq!(lines.len(), usual, "{}", mail.body);
            prop_assert!((1..=SUBJECT_CHARS_MAX).contains(&mail.subject.len()) && mail.body.len() < 20_000);
            prop_assert!(mail.subject.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", mail.subject);
        }
    }
}
