//! Schedule expressions: `rate(5 minutes)` and `cron(0 10 * * ? *)`, in UTC.
//!
//! Source: "Amazon EventBridge, creating a rule that runs on a schedule".

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::collections::BTreeSet;

/// How far ahead a cron expression is searched: a leap day comes at least every eight years.
const SEARCH_DAYS: usize = 366 * 9;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// Sunday is 1.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// When a rule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Schedule {
    /// Every so often.
    Rate(SignedDuration),
    /// At certain minutes.
    Cron(Box<Cron>),
}

/// A cron expression that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: BTreeSet<i16>,
    hours: BTreeSet<i16>,
    days: Days,
    months: BTreeSet<i16>,
    years: BTreeSet<i16>,
}

/// Which days of a month: of the day of month and the day of week one says `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    OfMonth(BTreeSet<i16>),
    /// `L`.
    Last,
    /// `15W`: the weekday nearest to it in the same month.
    Nearest(i16),
    OfWeek(BTreeSet<i16>),
    /// `6L`: the last of its kind.
    LastOfWeek(i16),
    /// `6#3`: the third of its kind.
    NthOfWeek(i16, i16),
}

impl Schedule {
    /// Reads an expression; `None` for what is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(rate) = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')) {
            return parse_rate(rate).map(Self::Rate);
        }
        let cron = text.strip_prefix("cron(")?.strip_suffix(')')?;
        Some(Self::Cron(Box::new(parse_cron(cron)?)))
    }

    /// The first moment after `now` at which it fires; `None` when there is none any more.
    pub(super) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rate(every) => now.checked_add(*every).ok(),
            Self::Cron(cron) => cron.next_after(now),
        }
    }
}

impl Cron {
    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(TimeZone::UTC).datetime();
        let mut date = now.date();
        for _ in 0..SEARCH_DAYS {
            if self.has_day(date) {
                let earliest = if date == now.date() { Some(now.time()) } else { None };
                if let Some(time) = self.first_time(earliest) {
                    return date.to_datetime(time).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        self.years.contains(&date.year()) && self.months.contains(&i16::from(date.month())) && self.days.contain(date)
    }

    /// The first time of a day that lies after `earliest`.
    fn first_time(&self, earliest: Option<Time>) -> Option<Time> {
        let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
        times
            .filter_map(|(hour, minute)| Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok())
            .find(|time| earliest.is_none_or(|earliest| *time > earliest))
    }
}

impl Days {
    fn contain(&self, date: Date) -> bool {
        let day = i16::from(date.day());
        let weekday = i16::from(date.weekday().to_sunday_one_offset());
        match self {
            Self::OfMonth(days) => days.contains(&day),
            Self::Last => date == date.last_of_month(),
            Self::Nearest(wanted) => nearest_weekday(date, *wanted) == Some(date),
            Self::OfWeek(days) => days.contains(&weekday),
            Self::LastOfWeek(wanted) => weekday == *wanted && day + 7 > i16::from(date.days_in_month()),
            Self::NthOfWeek(wanted, nth) => weekday == *wanted && (day + 6) / 7 == *nth,
        }
    }
}

fn nearest_weekday(date: Date, wanted: i16) -> Option<Date> {
    let last = i16::from(date.days_in_month());
    let target = Date::new(date.year(), date.month(), i8::try_from(wanted.min(last)).ok()?).ok()?;
    let shift = match target.weekday() {
        Weekday::Saturday if wanted == 1 => 2,
        Weekday::Saturday => -1,
        Weekday::Sunday if target == target.last_of_month() => -2,
        Weekday::Sunday => 1,
        Weekday::Monday | Weekday::Tuesday | Weekday::Wednesday | Weekday::Thursday | Weekday::Friday => 0,
    };
    target.checked_add(shift.days()).ok()
}

fn parse_rate(text: &str) -> Option<SignedDuration> {
    let (count, unit) = text.trim().split_once(' ')?;
    let count: i64 = count.parse().ok().filter(|count| *count > 0)?;
    let seconds = match (unit.trim(), count) {
        ("minute", 1) | ("minutes", 2..) => 60,
        ("hour", 1) | ("hours", 2..) => 3600,
        ("day", 1) | ("days", 2..) => 86_400,
        _ => return None,
    };
    count.checked_mul(seconds).map(SignedDuration::from_secs)
}

fn parse_cron(text: &str) -> Option<Cron> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minutes, hours, day_of_month, month, day_of_week, year] = fields[..] else { return None };
    let days = match (day_of_month, day_of_week) {
        ("?", "?") => return None,
        (_, "?") => parse_day_of_month(day_of_month)?,
        ("?", _) => parse_day_of_week(day_of_week)?,
        _ => return None,
    };
    Some(Cron {
        minutes: set(minutes, 0, 59, &[])?,
        hours: set(hours, 0, 23, &[])?,
        days,
        months: set(month, 1, 12, &MONTHS)?,
        years: set(year, 1970, 2199, &[])?,
    })
}

fn parse_day_of_month(text: &str) -> Option<Days> {
    if text == "L" {
        return Some(Days::Last);
    }
    if let Some(day) = text.strip_suffix('W') {
        return day.parse().ok().filter(|day| (1..=31).contains(day)).map(Days::Nearest);
    }
    set(text, 1, 31, &[]).map(Days::OfMonth)
}

fn parse_day_of_week(text: &str) -> Option<Days> {
    if let Some((day, nth)) = text.split_once('#') {
        let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth))?;
        return Some(Days::NthOfWeek(number(day, 1, 7, &WEEKDAYS)?, nth));
    }
    if text == "L" {
        return Some(Days::OfWeek(BTreeSet::from([7])));
    }
    match text.strip_suffix('L') {
        Some(day) => number(day, 1, 7, &WEEKDAYS).map(Days::LastOfWeek),
        None => set(text, 1, 7, &WEEKDAYS).map(Days::OfWeek),
    }
}

/// Reads a list of numbers, ranges, stars and steps. Names count from `smallest`.
fn set(text: &str, smallest: i16, largest: i16, names: &[&str]) -> Option<BTreeSet<i16>> {
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<i16>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = if range == "*" {
            (smallest, largest)
        } else if let Some((from, to)) = range.split_once('-') {
            (number(from, smallest, largest, names)?, number(to, smallest, largest, names)?)
        } else {
            let one = number(range, smallest, largest, names)?;
            // 5/15 counts on from 5.
            (one, if step.is_some() { largest } else { one })
        };
        if from <= to {
            all.extend((from..=to).step_by(usize::try_from(step.unwrap_or(1)).ok()?));
        } else {
            // FRI-MON goes round the end.
            all.extend((from..=largest).chain(smallest..=to));
        }
    }
    Some(all)
}

fn number(text: &str, smallest: i16, largest: i16, names: &[&str]) -> Option<i16> {
    let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let value = match named {
        Some(index) => smallest + i16::try_from(index).ok()?,
        None => text.parse().ok()?,
    };
    (smallest..=largest).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_fire_when_they_say() {
        #[rustfmt::skip]
        let cases = [
            // expression, after, next, why
            ("rate(1 minute)", "2026-08-31T12:00:30Z", Some("2026-08-31T12:01:30Z"), "one minute on"),
            ("rate(2 days)", "2026-08-31T12:00:00Z", Some("2026-09-02T12:00:00Z"), "two days on"),
            ("cron(0 10 * * ? *)", "2026-08-31T12:00:00Z", Some("2026-09-01T10:00:00Z"), "tomorrow at ten"),
            ("cron(0 12 * * ? *)", "2026-08-31T12:00:00Z", Some("2026-09-01T12:00:00Z"), "now is not after now"),
            ("cron(0/15 * * * ? *)", "2026-08-31T12:01:00Z", Some("2026-08-31T12:15:00Z"), "every quarter"),
            ("cron(0 18 ? * MON-FRI *)", "2026-08-28T19:00:00Z", Some("2026-08-31T18:00:00Z"), "over the weekend"),
            ("cron(0 8 1 * ? *)", "2026-08-31T12:00:00Z", Some("2026-09-01T08:00:00Z"), "the first of a month"),
            ("cron(0 8 L * ? *)", "2026-02-01T00:00:00Z", Some("2026-02-28T08:00:00Z"), "the last of a month"),
            ("cron(0 8 15W * ? *)", "2026-08-01T00:00:00Z", Some("2026-08-14T08:00:00Z"), "the 15th is a Saturday"),
            ("cron(0 8 1W * ? *)", "2026-08-01T00:00:00Z", Some("2026-08-03T08:00:00Z"), "not into the month before"),
            ("cron(0 9 ? * 2#1 *)", "2026-09-01T00:00:00Z", Some("2026-09-07T09:00:00Z"), "the first Monday"),
            ("cron(0 9 ? * 6L *)", "2026-08-01T00:00:00Z", Some("2026-08-28T09:00:00Z"), "the last Friday"),
            ("cron(0 0 29 FEB ? *)", "2026-08-31T12:00:00Z", Some("2028-02-29T00:00:00Z"), "a leap day"),
            ("cron(0 0 1 1 ? 2020)", "2026-08-31T12:00:00Z", None, "over"),
        ];
        for (expression, after, expected, why) in cases {
            let schedule = Schedule::parse(expression).expect(why);
            let next = schedule.next_after(after.parse().expect("a timestamp"));
            assert_eq!(next.map(|at| at.to_string()).as_deref(), expected, "{why}: {expression}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        #[rustfmt::skip]
        let cases = [
            ("rate(1 minutes)",        "one minute is singular"),
            ("rate(5 minute)",         "five are plural"),
            ("rate(0 minutes)",        "never"),
            ("rate(1 week)",           "no such unit"),
            ("cron(0 10 * * * *)",     "both kinds of day"),
            ("cron(0 10 ? * ? *)",     "no kind of day"),
            ("cron(60 10 * * ? *)",    "minute 60"),
            ("cron(0 10 * * ?)",       "five fields"),
            ("every minute",           "neither rate nor cron"),
        ];
        for (expression, why) in cases {
            assert_eq!(Schedule::parse(expression), None, "{why}: {expression}");
        }
    }
}
