//! How things look to people: tables without borders, times, colours on a terminal, and nothing that a stranger
//! wrote gets to move the cursor.

use crate::args::Globals;
use crate::session::Surroundings;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use jiff::Timestamp;

/// How many blanks stand between two columns.
const GAP: u16 = 2;
/// How many characters the last column must have for its text to be wrapped in it.
const LAST_COLUMN_MIN: u16 = 24;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How a command's text is to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Whether to colour.
    pub(crate) is_coloured: bool,
    /// How wide the terminal is, in columns; `None` where there is none: then each row is one line.
    pub(crate) width: Option<u16>,
    /// Whether times are shown as they are.
    pub(crate) is_absolute: bool,
    /// What relative times are relative to.
    pub(crate) now: Timestamp,
}

impl Style {
    /// Colours and wraps on a terminal only; colours not with `NO_COLOR` (see no-color.org).
    pub(crate) fn of(globals: &Globals, around: &Surroundings<'_>) -> Self {
        let is_plain = (around.lookup)("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            is_coloured: around.is_terminal && !is_plain,
            width: Table::new().width().filter(|_| around.is_terminal),
            is_absolute: globals.absolute,
            now: (around.clock)(),
        }
    }

    /// The same at another moment: after something was waited for.
    pub(crate) fn at(&self, now: Timestamp) -> Self {
        Self { now, ..*self }
    }

    /// A moment, as people read it.
    pub(crate) fn time(&self, at: Timestamp) -> String {
        if self.is_absolute { absolute(at) } else { relative(at, self.now) }
    }

    /// A moment within a course of things: how long after `first` it was.
    pub(crate) fn offset(&self, at: Timestamp, first: Timestamp) -> String {
        if self.is_absolute { absolute(at) } else { format!("+{}", length(at.duration_since(first).as_secs().max(0))) }
    }

    /// How long something took.
    pub(crate) fn duration(&self, from: Timestamp, to: Timestamp) -> String {
        length(to.duration_since(from).as_secs().max(0))
    }

    /// A status, coloured by what it means.
    pub(crate) fn status(&self, word: &str) -> Cell {
        let cell = cell(word);
        if !self.is_coloured {
            return cell;
        }
        match word {
            "executed" | "succeeded" | "matched" | "holds" | "confirmed" | "approved" | "passed" => {
                cell.fg(Color::Green)
            }
            "failed" | "unknown" | "rolled_back" | "broken" | "shared" | "no_topic" | "no_subscription"
            | "rejected" | "expired" | "needs_person" | "blocked" => cell.fg(Color::Red),
            "received" | "requested" | "running" | "awaiting_approval" | "started" | "pending" | "open"
            | "settling" | "rolling_back" => cell.fg(Color::Yellow),
            "ignored" | "superseded" | "stopped" | "ruled out" | "ended" | "withdrawn" | "recorded" | "cancelled"
            | "closed" => cell.fg(Color::DarkGrey),
            _ => cell,
        }
    }

    /// A table with aligned columns and no borders. Not on a terminal, each row is one line.
    pub(crate) fn table(&self, header: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if self.is_coloured {
            table.enforce_styling().style_text_only();
        } else {
            table.force_no_tty();
        }
        if !header.is_empty() {
            let name = |name: &&str| {
                if self.is_coloured { Cell::new(name).add_attribute(Attribute::Bold) } else { Cell::new(name) }
            };
            table.set_header(header.iter().map(name));
        }
        table.add_rows(rows);
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, GAP));
        });
        match self.width {
            Some(width) => wrap_last_column(&mut table, width),
            None => _ = table.set_content_arrangement(ContentArrangement::Disabled),
        }
        table.trim_fmt()
    }

    /// Names and values, one pair a line; pairs without a value are left out.
    pub(crate) fn details(&self, pairs: Vec<(&str, Option<Cell>)>) -> String {
        let rows = pairs.into_iter().filter_map(|(name, value)| Some(vec![Cell::new(name), value?]));
        self.table(&[], rows)
    }
}

/// Wraps the last column where the others leave it room; else the terminal breaks the lines.
fn wrap_last_column(table: &mut Table, width: u16) {
    let widths = table.column_max_content_widths();
    let Some((_, others)) = widths.split_last() else { return };
    let taken: u16 = others.iter().map(|width| width.saturating_add(GAP)).fold(0, u16::saturating_add);
    let room = width.saturating_sub(taken);
    let last = others.len();
    let cells = table.column_cells_iter(last).flatten().map(Cell::content);
    let longest_word = cells.flat_map(|text| text.split_whitespace().map(|word| word.chars().count()).max()).max();
    // A link that is broken up cannot be followed.
    if room < LAST_COLUMN_MIN || longest_word.is_some_and(|longest| longest > usize::from(room.saturating_sub(GAP))) {
        table.set_content_arrangement(ContentArrangement::Disabled);
        return;
    }
    table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    table.column_iter_mut().take(last).for_each(|column| {
        column.set_constraint(ColumnConstraint::ContentWidth);
    });
}

/// A cell with a text that may be anybody's.
pub(crate) fn cell(text: impl AsRef<str>) -> Cell {
    Cell::new(plain(text.as_ref()))
}

/// A cell with a text, or a dash where there is none.
pub(crate) fn cell_or_dash(text: Option<impl AsRef<str>>) -> Cell {
    text.map_or_else(|| Cell::new("-"), cell)
}

/// A name before the first of several lines.
pub(crate) fn listed(
    name: &'static str,
    lines: impl Iterator<Item = String>,
) -> impl Iterator<Item = (&'static str, Option<Cell>)> {
    lines.enumerate().map(move |(index, line)| (if index == 0 { name } else { "" }, Some(cell(line))))
}

/// A text with everything escaped that a terminal would act on, or hide.
pub(crate) fn plain(text: &str) -> String {
    let escape = |character: char| invisible_escaped(character).unwrap_or_else(|| character.to_string());
    text.chars().map(escape).collect()
}

/// The escape of a character that a terminal acts on or hides; `None` for one that it shows.
///
/// Source: Unicode TR 9 and 36 for the marks that turn the direction of a text around.
pub(crate) fn invisible_escaped(character: char) -> Option<String> {
    let is_hidden = character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(character, '\u{061c}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    is_hidden.then(|| character.escape_default().to_string())
}

/// The first characters of a text, with a mark where something was cut off.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

fn absolute(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// How long ago `at` was: `2m ago`, `now`, `in 5h`.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    match now.duration_since(at).as_secs() {
        0 => "now".to_owned(),
        seconds if seconds < 0 => format!("in {}", rounded(-seconds)),
        seconds => format!("{} ago", rounded(seconds)),
    }
}

/// The largest unit that says enough.
fn rounded(seconds: i64) -> String {
    match seconds {
        ..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        HOUR..DAY => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

/// How long something took, to the second: `1m05s`.
fn length(seconds: i64) -> String {
    match seconds {
        ..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m{:02}s", seconds / MINUTE, seconds % MINUTE),
        _ => format!("{}h{:02}m{:02}s", seconds / HOUR, seconds % HOUR / MINUTE, seconds % MINUTE),
    }
}

#[cfg(test)]
pub(crate) fn style_for_tests() -> Style {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    Style { is_coloured: false, width: None, is_absolute: false, now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_largest_unit() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        #[rustfmt::skip]
        let cases = [
            (0,         "now",      "this second"),
            (1,         "1s ago",   "seconds"),
            (59,        "59s ago",  "the last second of a minute"),
            (60,        "1m ago",   "minutes"),
            (3_599,     "59m ago",  "the last second of an hour"),
            (3_600,     "1h ago",   "hours"),
            (86_399,    "23h ago",  "the last second of a day"),
            (86_400,    "1d ago",   "days"),
            (8_640_000, "100d ago", "nothing above days"),
            (-90,       "in 1m",    "another machine's clock is ahead"),
        ];
        for (ago, expected, why) in cases {
            let at = Timestamp::from_second(1_800_000_000 - ago).unwrap();
            assert_eq!(relative(at, now), expected, "{why}");
        }
    }

    #[test]
    fn absolute_times_are_utc_to_the_second() {
        let style = Style { is_absolute: true, ..style_for_tests() };
        let at = Timestamp::from_millisecond(1_800_000_000_750).unwrap();
        assert_eq!(style.time(at), "2027-01-15T08:00:00Z");
        let first = Timestamp::from_second(1_799_999_935).unwrap();
        assert_eq!(style_for_tests().offset(at, first), "+1m05s");
    }

    #[test]
    fn what_strangers_wrote_moves_no_cursor() {
        #[rustfmt::skip]
        let cases = [
            ("fix: naïve 🚂",       "fix: naïve 🚂",          "letters and pictures stay"),
            ("a\u{1b}[2Jb",         "a\\u{1b}[2Jb",           "an escape sequence"),
            ("a\nb\tc\r",           "a\\nb\\tc\\r",           "line breaks and tabs"),
            ("a\u{9b}31mb",         "a\\u{9b}31mb",           "the other way to begin a sequence"),
            ("evil\u{202e}txt.exe", "evil\\u{202e}txt.exe",   "direction overrides"),
            ("zero\u{200b}width",   "zero\\u{200b}width",     "what cannot be seen"),
        ];
        for (text, expected, why) in cases {
            assert_eq!(plain(text), expected, "{why}");
        }
    }

    #[test]
    fn a_table_is_aligned_and_has_no_trailing_blanks() {
        let style = style_for_tests();
        let rows = [vec![cell("ex-1"), style.status("running")], vec![cell("ex-2 long"), style.status("failed")]];
        insta::assert_snapshot!(style.table(&["ID", "STATUS"], rows), @r"
        ID         STATUS
        ex-1       running
        ex-2 long  failed
        ");
    }

    #[test]
    fn only_the_last_column_is_wrapped_and_only_where_it_has_room() {
        let table = |width| {
            let style = Style { width: Some(width), ..style_for_tests() };
            style.table(&["ID", "WHY"], [vec![cell("72d3162e-cc78"), cell("no route matches the branch of this push")]])
        };
        insta::assert_snapshot!(table(42), @r"
        ID             WHY
        72d3162e-cc78  no route matches the
                       branch of this push
        ");
        assert_eq!(table(30).lines().count(), 2, "too narrow: the terminal breaks the line");
        assert_eq!(table(0).lines().count(), 2, "a terminal without a size");
        let style = Style { width: Some(60), ..style_for_tests() };
        let link = format!("https://example.com/{}", "a".repeat(60));
        assert!(style.table(&["ID", "LINK"], [vec![cell("b"), cell(&link)]]).contains(&link), "links stay whole");
    }

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let coloured = Style { is_coloured: true, ..style_for_tests() };
        let table = |style: &Style| style.table(&["S"], [vec![style.status("failed")]]);
        assert!(table(&coloured).contains('\u{1b}'));
        assert!(!table(&style_for_tests()).contains('\u{1b}'));
    }
}
