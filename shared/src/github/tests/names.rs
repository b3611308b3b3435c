//! Names that somebody chose to do harm with: they are kept as they are, as facts, or refused whole.

use super::{PRIVATE, change, push, push_with, read_json, word};
use crate::domain::change::{Change, ChangeKind, GitRef};
use crate::domain::intake::{LogicalKey, message_group};
use crate::domain::routing::never_starts;
use serde_json::{Value, json};

/// A JSON string; everything beyond ASCII is left as it is.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[rustfmt::skip]
const REFS: &[(&str, &str, &str)] = &[
    // ref                              outcome                              why
    ("refs/heads/main",                 "branch main",                       "a branch"),
    ("refs/tags/main",                  "tag main",                          "a tag may be called main"),
    ("refs/heads/refs/heads/main",      "branch refs/heads/main",            "a branch may be called like a full ref"),
    ("refs/heads/refs/tags/v1",         "branch refs/tags/v1",               "or like a tag's"),
    ("refs/tags/refs/heads/main",       "tag refs/heads/main",               "and a tag like a branch's"),
    ("refs/heads/heads/main",           "branch heads/main",                 "or like half of one"),
    ("refs/heads/tags",                 "branch tags",                       "a branch called tags"),
    ("refs/heads/",                     "other refs/heads/",                 "no name: no branch"),
    ("refs/tags/",                      "other refs/tags/",                  "no name: no tag"),
    ("refs/heads",                      "other refs/heads",                  "nor without the slash"),
    ("refs/heads//main",                "branch /main",                      "a slash too many belongs to the name"),
    ("refs//heads/main",                "other refs//heads/main",            "elsewhere it makes another ref"),
    ("/refs/heads/main",                "other /refs/heads/main",            "and before"),
    ("main",                            "other main",                        "a short name says nothing"),
    ("heads/main",                      "other heads/main",                  "nor does half of one"),
    ("HEAD",                            "other HEAD",                        "no branch either"),
    ("REFS/HEADS/main",                 "other REFS/HEADS/main",             "refs compare with case"),
    ("refs/Heads/main",                 "other refs/Heads/main",             "all of it"),
    (" refs/heads/main",                "other  refs/heads/main",            "a space before"),
    ("refs/heads/main ",                "branch main ",                      "a space behind is another branch"),
    ("refs/heads/main\n",               "branch main\n",                     "so is a line feed"),
    ("refs/heads/main\0",               "branch main\0",                     "so is a NUL: nothing is cut there"),
    ("refs/heads/Main",                 "branch Main",                       "names compare with case"),
    ("refs/pull/1/head",                "other refs/pull/1/head",            "GitHub's own"),
    ("refs/pull/1/merge",               "other refs/pull/1/merge",           "GitHub's own"),
    ("refs/remotes/origin/main",        "other refs/remotes/origin/main",    "somebody else's main"),
    ("refs/notes/commits",              "other refs/notes/commits",          "notes"),
    ("refs/stash",                      "other refs/stash",                  "a stash"),
    ("refs\\heads\\main",               "other refs\\heads\\main",           "the other slash"),
    ("refs/heads\u{2215}main",          "other refs/heads\u{2215}main",      "a character that looks like a slash"),
    ("",                                "the ref is empty or longer than 1024 bytes", "empty"),
];

#[test]
fn a_ref_is_a_branch_a_tag_or_neither() {
    for (full, outcome, why) in REFS {
        let read = read_json("push", push_with(r#""refs/heads/main""#, &quoted(full)));
        let told = match read {
            Ok(_) => match push(read).git_ref {
                GitRef::Branch(name) => format!("branch {name}"),
                GitRef::Tag(name) => format!("tag {name}"),
                GitRef::Other(full) => format!("other {full}"),
            },
            Err(_) => word(&read),
        };
        assert_eq!(told, *outcome, "{why}");
    }
}

#[test]
fn a_ref_is_read_whole_or_refused() {
    const MAX: usize = 1_024;
    let refs_heads = "refs/heads/".len();
    #[rustfmt::skip]
    let cases = [
        // name                                 is read  why
        ("a".repeat(MAX - refs_heads),          true,    "as long as may be"),
        ("a".repeat(MAX - refs_heads + 1),      false,   "one byte longer"),
        ("é".repeat((MAX - refs_heads) / 2),    true,    "bytes count"),
        ("é".repeat((MAX - refs_heads) / 2 + 1), false,  "one character of two bytes more"),
        ("\u{1}".repeat(MAX - refs_heads),      true,    "they count as they are, not as they are written"),
        ("a".repeat(1_000_000),                 false,   "a million"),
    ];
    for (name, is_read, why) in &cases {
        let read =
            read_json("push", push_with("refs/heads/main", quoted(&format!("refs/heads/{name}")).trim_matches('"')));
        assert_eq!(word(&read), if *is_read { "push" } else { "the ref is empty or longer than 1024 bytes" }, "{why}");
        if *is_read {
            assert_eq!(push(read).git_ref, GitRef::Branch(name.clone()), "{why}");
        }
    }
}

/// Everything that a branch name, a tag or a title has been known to hold, and some that Git itself would refuse.
#[rustfmt::skip]
const HOSTILE: &[(&str, &str)] = &[
    (r#"zzz";echo${IFS}"hello";#"#,        "the name that broke other people's pipelines"),
    ("`id`",                               "backticks"),
    ("$(id)",                              "a command in parentheses"),
    ("${IFS}",                             "a variable of the shell"),
    ("a;id",                               "a semicolon"),
    ("a&&id",                              "and"),
    ("a||id",                              "or"),
    ("a|id",                               "a pipe"),
    ("a>b",                                "a redirection"),
    ("a\nid",                              "a line feed"),
    ("a\r\nSet-Cookie: b=c",               "a line end and a header"),
    ("a\0b",                               "a NUL"),
    ("a'b",                                "a single quote"),
    ("a\"b",                               "a double quote"),
    ("a\\b",                               "a backslash"),
    ("a\\",                                "a backslash that would escape a quote"),
    ("\\u0022",                            "an escape that is none any more"),
    ("--upload-pack=id",                   "two dashes, as of an option"),
    ("-rf",                                "a dash, as of an option"),
    ("../../etc/passwd",                   "a path out of here"),
    ("..",                                 "a directory above"),
    ("/etc/passwd",                        "a path from the root"),
    ("C:\\Windows",                        "a path of Windows"),
    ("~root",                              "a home"),
    ("main^{/x}",                          "a revision"),
    ("@{-1}",                              "the branch before"),
    ("*",                                  "a pattern"),
    ("!main",                              "a pattern that excludes"),
    ("release/**",                         "a pattern over slashes"),
    ("{sha}",                              "a placeholder of ours"),
    ("{{secrets.TOKEN}}",                  "a placeholder of GitHub Actions"),
    ("#{SourceVariables.CommitId}",        "a placeholder of CodePipeline"),
    ("%s%n%x",                             "a format"),
    ("%2e%2e%2f",                          "a path, percent-encoded"),
    ("<script>alert(1)</script>",          "a script"),
    ("'; DROP TABLE executions; --",       "a statement"),
    ("${jndi:ldap://example.com/a}",       "a lookup of Java"),
    ("\u{202e}niam",                       "right to left"),
    ("m\u{430}in",                         "a letter that looks like another"),
    ("ma\u{200b}in",                       "a space without width"),
    ("\u{feff}main",                       "a byte order mark"),
    ("main\u{301}",                        "a letter in two parts"),
    ("🎩🏳️‍🌈",                             "emoji, joined"),
    ("\u{fffe}\u{ffff}",                   "what SQS refuses in a body"),
    ("\u{2028}\u{2029}",                   "line ends that JavaScript counts"),
    ("\u{85}\u{7f}",                       "control characters beyond the first 32"),
    ("\x1b[2J\x1b]0;x\x07",                "what clears a terminal and names its window"),
    ("[skip ci]",                          "a mark"),
    ("refs/heads/main",                    "a full ref"),
    ("0000000000000000000000000000000000000000", "no object"),
    ("2222222222222222222222222222222222222222", "a commit"),
    ("null",                               "a word of JSON"),
    ("=1+1",                               "a formula"),
    (" ",                                  "a space"),
];

/// What is read must reach the ledger and come back: its group is plain, its JSON is read as it was written.
fn is_carried(change: &Change, why: &str) {
    let json = serde_json::to_string(change).unwrap();
    assert_eq!(&serde_json::from_str::<Change>(&json).unwrap(), change, "{why}");
    for hash in [message_group(change), LogicalKey::of(change).hash()] {
        assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{why}: {hash}");
    }
    let _is_decided = never_starts(change);
}

#[test]
fn hostile_names_are_carried_as_they_are() {
    let long = "a".repeat(250);
    for (name, why) in HOSTILE.iter().copied().chain([(long.as_str(), "250 letters")]) {
        for (prefix, expected) in
            [("refs/heads/", GitRef::Branch(name.to_owned())), ("refs/tags/", GitRef::Tag(name.to_owned()))]
        {
            let read =
                change(read_json("push", push_with(r#""refs/heads/main""#, &quoted(&format!("{prefix}{name}")))));
            is_carried(&read, why);
            let ChangeKind::Push(push) = read.kind else { panic!("{why}") };
            assert_eq!(push.git_ref, expected, "{why}");
        }
        for (event, ref_type) in [("create", "branch"), ("create", "tag"), ("delete", "branch"), ("delete", "tag")] {
            let body =
                json!({ "ref": name, "ref_type": ref_type, "repository": { "id": 7, "full_name": "acme/shop" } });
            is_carried(&change(read_json(event, body.to_string())), why);
        }
    }
}

#[test]
fn hostile_words_in_every_other_place_are_carried_and_cut() {
    let long = "🎩".repeat(10_000);
    for (text, why) in HOSTILE.iter().copied().chain([(long.as_str(), "ten thousand hats")]) {
        let shown: String = text.chars().take(200).collect();
        let text = quoted(text);
        let body = push_with(r#""Sell hats""#, &text)
            .replace(r#""Ada""#, &text)
            .replace(r#""grace@example.com""#, &text)
            .replace(r#""grace""#, &text)
            .replace(r#""ada""#, &text)
            .replace(r#""kept""#, &text);
        let read = change(read_json("push", body));
        is_carried(&read, why);
        assert_eq!(read.sender.as_deref(), Some(shown.as_str()), "{why}");
        let ChangeKind::Push(push) = read.kind else { panic!("{why}") };
        let head = push.head.unwrap();
        assert_eq!(head.title, shown.lines().next().unwrap_or_default(), "{why}");
        assert_eq!(head.author.name, shown, "{why}");
        assert_eq!((head.committer.email, head.committer.login), (Some(shown.clone()), Some(shown.clone())), "{why}");
        assert_eq!(push.pusher, Some(shown), "{why}");
    }
}

#[rustfmt::skip]
const FULL_NAMES: &[(&str, bool, &str)] = &[
    // repository.full_name              is taken  why
    ("acme/shop",                        true,     "owner and name"),
    ("Acme/Shop",                        true,     "as GitHub spells it"),
    ("a/b",                              true,     "short"),
    ("acme/.github",                     true,     "a dot before"),
    ("acme/shop.github.io",              true,     "dots within"),
    ("acme/-_-",                         true,     "dashes and underscores"),
    ("acme_corp/shop",                   true,     "an enterprise's user may have an underscore"),
    ("0/0",                              true,     "digits"),
    ("",                                 false,    "empty"),
    ("/",                                false,    "a slash"),
    ("shop",                             false,    "no owner"),
    ("/shop",                            false,    "an empty owner"),
    ("acme/",                            false,    "an empty name"),
    ("acme/shop/",                       false,    "a slash behind"),
    ("/acme/shop",                       false,    "a slash before"),
    ("acme//shop",                       false,    "two slashes"),
    ("acme/shop/x",                      false,    "three parts"),
    ("a/b/c/d",                          false,    "three slashes"),
    ("../..",                            false,    "directories above"),
    ("acme/..",                          false,    "a directory above for a name"),
    ("./shop",                           false,    "this directory for an owner"),
    ("acme shop",                        false,    "a space for the slash"),
    (" acme/shop",                       false,    "a space before"),
    ("acme/shop ",                       false,    "a space behind"),
    ("acme/sh op",                       false,    "a space within"),
    ("acme/shop\n",                      false,    "a line feed"),
    ("acme/shop\0",                      false,    "a NUL"),
    ("acme\\shop",                       false,    "the other slash"),
    ("acme\u{2215}shop",                 false,    "a character that looks like a slash"),
    ("\u{430}cme/shop",                  false,    "a letter that looks like another"),
    ("acme/shöp",                        false,    "GitHub has ASCII names only"),
    ("acme/🎩",                          false,    "no hats"),
    ("acme/shop#1",                      false,    "a separator of the ledger's keys"),
    ("acme/shop?x=y",                    false,    "a query"),
    ("acme/shop@main",                   false,    "a ref"),
    ("acme:x/shop",                      false,    "a colon"),
    ("acme/$(id)",                       false,    "a command"),
    ("https://github.com/acme/shop",     false,    "a page"),
    ("PRIVATE name/shop",                false,    "the sentence does not quote it"),
];

#[test]
fn a_repository_is_an_owner_and_a_name() {
    let fits = format!("acme/{}", "a".repeat(135));
    let too_long = format!("acme/{}", "a".repeat(136));
    let generated = [(fits.as_str(), true, "140 bytes"), (too_long.as_str(), false, "141 bytes")];
    for (name, is_taken, why) in FULL_NAMES.iter().copied().chain(generated) {
        let body = push_with(r#""acme/shop""#, &quoted(name));
        for event in ["push", "star"] {
            let outcome = word(&read_json(event, &body));
            assert_eq!(outcome, if is_taken { event } else { "repository.full_name is not owner/name" }, "{why}");
        }
        assert_eq!(word(&read_json("ping", &body)), "ping", "{why}: a ping keeps nothing");
    }
}

/// In a field that is matched against patterns a name must not be cut: it would be another ref's name.
#[test]
fn names_outside_a_push_are_read_whole_or_refused_too() {
    const SHA: &str = "2222222222222222222222222222222222222222";
    let side = |name: &str| json!({ "ref": name, "sha": SHA, "repo": { "id": 7 } });
    let pull = |head: &str, base: &str| json!({ "number": 1, "head": side(head), "base": side(base) });
    let release = |tag: &str, target: &str| json!({ "id": 1, "tag_name": tag, "target_commitish": target });
    let run = |branch: &str| json!({ "id": 1, "event": "push", "head_branch": branch, "head_sha": SHA });
    let (fits, too_long) = ("a".repeat(1_024), format!("release/{}/x", "a".repeat(1_016)));
    for (name, is_read) in [(fits.as_str(), true), (&too_long, false)] {
        #[rustfmt::skip]
        let cases = [
            ("pull_request", pull(name, "main"),    "the branch that it comes from"),
            ("pull_request", pull("main", name),    "the branch that it wants to enter"),
            ("workflow_run", run(name),             "the branch of the run"),
            ("release",      release(name, "main"), "the tag"),
            ("release",      release("v1", name),   "what the tag is made from"),
        ];
        for (event, detail, what) in cases {
            let body = json!({ "action": PRIVATE, event: detail, "repository": { "id": 7, "full_name": "acme/shop" } });
            let outcome = word(&read_json(event, body.to_string()));
            assert_eq!(
                outcome,
                if is_read { event } else { "a ref is longer than 1024 bytes" },
                "{what}: {} bytes",
                name.len()
            );
        }
    }
}
