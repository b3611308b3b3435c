//! Reads `[environments.NAME.freeze]`: when nothing goes in, and who may override that.

use super::environments::is_group;
use super::limits::MAX_WINDOWS;
use super::problem::Problems;
use super::tree::{At, Table, Value};
use crate::domain::policy::{Freeze, FreezeWindow, Group};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

pub(super) const FREEZE_KEYS: [&str; 2] = ["windows", "override"];
pub(super) const WINDOW_KEYS: [&str; 3] = ["from", "to", "timezone"];

/// How a time is written, down to the minute or to the second.
const TIME_SHAPES: [&str; 2] = ["0000-00-00T00:00", "0000-00-00T00:00:00"];

pub(super) fn read(value: &Value<'_>, groups: &BTreeMap<String, Group>, problems: &mut Problems<'_>) -> Option<Freeze> {
    let table = value.table(&FREEZE_KEYS, problems)?;
    let override_group = table.get("override").and_then(|value| value.string(problems));
    let is_known =
        |group: &At<String>| is_group(&At { value: &group.value, place: group.place.clone() }, groups, problems);
    let override_group = override_group.filter(is_known).map(|group| group.value);
    let hint = "windows = [{ from = \"2026-12-20T00:00\", to = \"2027-01-03T00:00\", timezone = \"Europe/London\" }]";
    let windows = table.require("windows", hint, problems)?.list(MAX_WINDOWS, problems)?;
    let windows = windows.iter().filter_map(|window| read_window(window, problems)).collect();
    Some(Freeze { windows, override_group })
}

fn read_window(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<FreezeWindow> {
    let table = value.table(&WINDOW_KEYS, problems)?;
    let from = time(&table, "from", problems);
    let to = time(&table, "to", problems);
    let timezone = timezone(&table, problems);
    let (from, to, (timezone, zone)) = (from?, to?, timezone?);
    let instant = |time: DateTime| time.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp());
    if from.value >= to.value || instant(from.value) >= instant(to.value) {
        problems.error(&to.place, "the window ends before it begins", format!("write a time after {}", from.value));
    }
    Some(FreezeWindow { from: from.value, to: to.value, timezone })
}

/// A time by the clocks of the window's time zone, so without an offset. Quoted or as TOML writes one.
fn time(table: &Table<'_>, key: &str, problems: &mut Problems<'_>) -> Option<At<DateTime>> {
    const HINT: &str = "write it like \"2026-12-20T00:00\"; the time zone is a key of its own";
    let value = table.require(key, HINT, problems)?;
    let text = match (value.as_str(), value.as_datetime()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(moment)) => moment.to_string(),
        (None, None) => {
            value.wrong_type("a time such as \"2026-12-20T00:00\"", problems);
            return None;
        }
    };
    let shape: String =
        text.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    let time = TIME_SHAPES.contains(&shape.as_str()).then(|| text.parse::<DateTime>().ok()).flatten();
    if time.is_none() {
        problems.error(&value.place, format!("{text:?} is not a time"), HINT);
    }
    time.map(|time| At { value: time, place: value.place })
}

fn timezone(table: &Table<'_>, problems: &mut Problems<'_>) -> Option<(String, TimeZone)> {
    const HINT: &str = "write a name of the IANA database, like Europe/London or UTC";
    let name = table.require("timezone", HINT, problems)?.string(problems)?;
    match TimeZone::get(&name.value) {
        Ok(zone) if !zone.is_unknown() => Some((name.value, zone)),
        Ok(_) | Err(_) => {
            problems.error(&name.place, format!("{:?} is not a time zone", name.value), HINT);
            None
        }
    }
}
