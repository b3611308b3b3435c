//! What people are shown, on a page or in a mail: texts that strangers wrote, so that they show what they hold and
//! nothing else, times, and the few things that both speak of.

use super::change::Sha;
use jiff::{Timestamp, Zoned, tz::TimeZone};

/// Stands where something was that cannot be seen, or that would change what stands around it.
const REPLACEMENT: char = '\u{fffd}';
/// The most marks that may sit on one letter: no script that is in use needs more. Those beyond are left out.
const MARKS_MAX: usize = 4;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub sha: Sha,
    /// The first line of its message.
    pub title: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
}

/// A time in which nothing goes in, as it looks to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// When it ends, by the clocks that its window was written for.
    pub until: Zoned,
    /// The group of which one person may override it.
    pub override_group: Option<String>,
    /// Whether this person is one of them.
    pub may_override: bool,
}

/// The execution that waits behind the one that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    /// Its commit, where it is known.
    pub commit: Option<Commit>,
}

/// The text with U+FFFD for everything that cannot be seen or turns the direction of what is around it. A line break
/// stays one, however it is written; a tab becomes a blank.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        marks = if is_mark(character) { marks + 1 } else { 0 };
        match character {
            '\r' if characters.peek() == Some(&'\n') => (),
            '\n' => shown.push('\n'),
            '\t' => shown.push(' '),
            _ if is_invisible(character) => shown.push(REPLACEMENT),
            _ if marks > MARKS_MAX => (),
            _ => shown.push(character),
        }
    }
    shown
}

/// The text as one line of at most `characters_max` characters: a run of blanks and line breaks is one blank.
pub fn one_line(text: &str, characters_max: usize) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    cut(&visible(&words.join(" ")), characters_max)
}

/// The text as one line of at most `characters_max` characters, in which no mail program sees a link:
/// `https[:]//example[.]org`. What keeps it from being one is not counted.
///
/// What makes links in plain text is a scheme with its colon, a name with dots in it (an address has one too), and the
/// two backslashes of a Windows share. Dots in numbers stay, and so does the `::` of code.
pub fn unlinked(text: &str, characters_max: usize) -> String {
    let line: Vec<char> = one_line(text, characters_max).chars().collect();
    let mut shown = String::with_capacity(line.len());
    for (at, character) in line.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| line.get(before)).copied().unwrap_or(' ');
        let after = line.get(at + 1).copied().unwrap_or(' ');
        let is_link = match character {
            '.' => before.is_alphanumeric() && after.is_alphabetic(),
            ':' => matches!(after, '/' | '\\') || before.is_alphabetic() && after != ':' && after != ' ',
            '\\' => after == '\\',
            _ => false,
        };
        if is_link {
            shown.extend(['[', *character, ']']);
        } else {
            shown.push(*character);
        }
    }
    shown
}

/// The first `characters_max` characters. The last of them is a mark if something was cut off.
pub fn cut(text: &str, characters_max: usize) -> String {
    if text.chars().nth(characters_max).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A moment to the minute, in words that nobody takes for another day: `22 Nov 2026, 14:05 UTC`.
pub fn utc(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// A moment by the clocks of its own time zone, and in UTC: `3 Jan 2027, 00:00 in Asia/Tokyo (2 Jan 2027, 15:00 UTC)`.
pub fn zoned(at: &Zoned) -> String {
    let in_utc = utc(at.timestamp());
    match at.time_zone().iana_name() {
        Some(name) if *at.time_zone() != TimeZone::UTC => {
            format!("{} in {name} ({in_utc})", at.strftime("%-d %b %Y, %H:%M"))
        }
        Some(_) | None => in_utc,
    }
}

/// A length of time in its two largest units, rounded down: `2 days 3 h`, `3 h 20 min`, `5 min`, `less than a minute`.
pub fn length(seconds: i64) -> String {
    let of = |number: i64, unit: &str| if number == 0 { String::new() } else { format!(" {number} {unit}") };
    match seconds {
        ..MINUTE => "less than a minute".to_owned(),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h{}", seconds / HOUR, of(seconds % HOUR / MINUTE, "min")),
        _ => {
            let days = seconds / DAY;
            let unit = if days == 1 { "day" } else { "days" };
            format!("{days} {unit}{}", of(seconds % DAY / HOUR, "h"))
        }
    }
}

/// Whether a character has no shape of its own, or acts on others.
///
/// Source: Unicode's `Default_Ignorable_Code_Point` but for the variation selectors U+FE00 to U+FE0F, which only say
/// how the picture before them looks; the line separators; and the marks of annotations.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is drawn onto the one before it. Source: Unicode's blocks of combining diacritical marks.
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// The first seven digits of a commit, or what stands for them.
pub fn digits(sha: Option<&Sha>) -> &str {
    sha.map_or("a commit that is not known", Sha::short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_shows_what_it_holds() {
        #[rustfmt::skip]
        let cases = [
            ("fix: naïve 🚂 ⚠\u{fe0f}", "fix: naïve 🚂 ⚠\u{fe0f}", "letters and pictures stay"),
            ("إصلاح السلة",             "إصلاح السلة",             "also those that are written from the right"),
            ("evil\u{202e}txt.exe",     "evil�txt.exe",            "a turned direction"),
            ("a\u{2066}b\u{2069}c",     "a�b�c",                   "an isolated one"),
            ("a\u{200f}b\u{61c}c",      "a�b�c",                   "marks of direction"),
            ("ze\u{200b}ro\u{feff}",    "ze�ro�",                  "spaces without width"),
            ("a\u{ad}b\u{2060}c",       "a�b�c",                   "hyphens and joiners that do not show"),
            ("\u{e0041}\u{e007f}a",     "��a",                     "tags: a text within the text"),
            ("a\u{1b}[2Jb\u{9b}c\0",    "a�[2Jb�c�",               "what a terminal acts on"),
            ("a\u{2028}b\u{85}c",       "a�b�c",                   "line breaks that only some know"),
            ("a\nb\r\nc\rd\te",         "a\nb\nc�d e",             "line breaks stay, a lone return would not be one"),
            ("e\u{301}x",               "e\u{301}x",               "a letter with an accent"),
            ("e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}x", "e\u{301}\u{301}\u{301}\u{301}x", "no towers of accents"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(visible(text), expected, "{why}");
        }
    }

    #[test]
    fn a_line_is_one_and_has_a_bound() {
        #[rustfmt::skip]
        let cases = [
            ("Fix the cart",        20, "Fix the cart", "fits"),
            ("Fix the cart",        12, "Fix the cart", "just fits"),
            ("Fix the cart",        11, "Fix the ca…",  "one too many"),
            ("Fix the cart",        9,  "Fix the…",     "no blank before the mark"),
            ("Fix\r\n\n the\tcart", 20, "Fix the cart", "line breaks are blanks"),
            ("  Fix  ",             20, "Fix",          "none around it"),
            ("a\u{2028}b\u{85}c",   20, "a b c",        "however they are written"),
            ("",                    20, "",             "nothing"),
            ("äöü🚂",               3,  "äö…",          "characters, not bytes"),
        ];
        for (text, characters_max, expected, why) in cases {
            assert_eq!(one_line(text, characters_max), expected, "{why}");
        }
    }

    #[test]
    fn lengths_are_told_in_two_units() {
        #[rustfmt::skip]
        let cases = [
            (-5,      "less than a minute", "over already"),
            (59,      "less than a minute", "rounded down"),
            (60,      "1 min",              "one unit"),
            (3_599,   "59 min",             "the last second of an hour"),
            (3_600,   "1 h",                "nothing after it"),
            (12_000,  "3 h 20 min",         "two units"),
            (86_400,  "1 day",              "one day"),
            (183_600, "2 days 3 h",         "some"),
            (172_860, "2 days",             "no third unit"),
        ];
        for (seconds, expected, why) in cases {
            assert_eq!(length(seconds), expected, "{why}");
        }
    }

    #[test]
    fn moments_are_told_to_the_minute() {
        let at: Timestamp = "2026-11-02T04:05:59.9Z".parse().unwrap();
        assert_eq!(utc(at), "2 Nov 2026, 04:05 UTC");
        #[rustfmt::skip]
        let cases = [
            ("Asia/Tokyo",    "2 Nov 2026, 13:05 in Asia/Tokyo (2 Nov 2026, 04:05 UTC)",          "by two clocks"),
            ("Europe/London", "2 Nov 2026, 04:05 in Europe/London (2 Nov 2026, 04:05 UTC)",       "also where they agree"),
            ("America/Lima",  "1 Nov 2026, 23:05 in America/Lima (2 Nov 2026, 04:05 UTC)",        "the day before"),
            ("UTC",           "2 Nov 2026, 04:05 UTC",                                            "once is enough"),
        ];
        for (name, expected, why) in cases {
            assert_eq!(zoned(&at.in_tz(name).unwrap()), expected, "{why}");
        }
    }

    proptest! {
        #[test]
        fn what_is_visible_stays_so(text in any::<String>(), characters_max in 1..50_usize) {
            let shown = visible(&text);
            prop_assert_eq!(visible(&shown), shown.clone());
            prop_assert!(!shown.chars().any(|character| character != '\n' && is_invisible(character)));
            let line = one_line(&text, characters_max);
            prop_assert!(line.chars().count() <= characters_max && !line.contains('\n'), "{line:?}");
        }
    }
}
