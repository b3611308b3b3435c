//! Whatever strangers write, the page stays the page.

use super::super::*;
use super::html::{tags, text};
use super::samples::{commit, hostile, open, usual};
use pointsman::domain::shown::Newer;
use proptest::prelude::*;

#[test]
fn markup_of_strangers_is_text() {
    let html = render(&hostile()).unwrap();
    assert!(html.contains("&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;"));
    assert!(html.contains("&#60;/textarea&#62;&#60;script&#62;"), "also what was typed and refused");
    assert!(html.contains("{{ 7*7 }}"), "and no template");
    assert!(!html.contains("<script") && !html.contains("<img"));
}

#[test]
fn nothing_is_turned_around_or_hidden() {
    let html = render(&hostile()).unwrap();
    assert!(!html.contains(['\u{202e}', '\u{200b}']));
    assert!(html.contains("&#38;#x202e;"), "a reference to it stays what was written");
    assert!(text(&html).contains("\u{fffd}gnp.exe\u{fffd}"), "it shows that something was there");
    assert!(html.contains("<bdi>إصلاح مجموع السلة (عاجل)</bdi>"), "a script of its own direction stays by itself");
}

/// Every field that a stranger may fill, filled with `text`.
fn filled(text: &str) -> View {
    let theirs = || text.to_owned();
    let mut view = usual();
    view.person = theirs();
    view.environment = theirs();
    view.change.repository = theirs();
    view.change.git_ref = Some(GitRef::Branch(theirs()));
    view.change.commit = Some(commit("1a2b3c4", text, text));
    view.change.started = Some(theirs());
    view.change.images = vec![theirs()];
    view.since.commits = vec![commit("1a2b3c4", text, text)];
    view.since.gap = Some(theirs());
    view.checks[0].name = theirs();
    view.policy.groups[0].people[0].standing =
        Standing::Approved { at: view.now, comment: Some(theirs()), is_override: false };
    view.policy.groups[0].people[1].standing = Standing::Barred { why: theirs() };
    view.newer = Some(Newer { commit: Some(commit("5e6f7a8", text, text)) });
    let obstacles = vec![
        Obstacle::Barred { why: theirs() },
        Obstacle::Quarantined { why: theirs() },
        Obstacle::OutOfReach { why: theirs() },
    ];
    let draft = Draft { comment: theirs(), is_override: false };
    view.state = State::Open(Open { obstacles, wanted_after: 0, draft });
    view
}

proptest! {
    #[test]
    fn no_text_changes_what_the_page_is_made_of(
        text in "(?s).{0,60}|([<>&\"'/= ]|</?(script|style|form|title|textarea)>|\n|-->|\u{202e}){0,60}",
    ) {
        let html = render(&filled(&text)).unwrap();
        let skeleton = |html: &str| tags(html).into_iter().map(|tag| (tag.name, tag.attributes)).collect::<Vec<_>>();
        prop_assert_eq!(skeleton(&html), skeleton(&render(&filled("x")).unwrap()));
    }
}

#[test]
fn an_answer_that_was_typed_is_kept_line_by_line() {
    let mut view = View { state: open(vec![]), ..usual() };
    let State::Open(open) = &mut view.state else { unreachable!() };
    open.draft.comment = "\r\nFirst.\r\n\r\nSecond. ".into();
    assert!(render(&view).unwrap().contains(">\nFirst.\n\nSecond.</textarea>"));
}
