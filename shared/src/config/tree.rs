//! The tree of a TOML text, in which every value knows its place. Reading it reports what does not fit.

use super::problem::{Place, Problems};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

/// A word may be one slip away from a known one, and one more for every so many characters.
const CHARACTERS_PER_SLIP: usize = 4;
/// How many known words a hint lists.
const MAX_LISTED: usize = 12;

/// A value that was read, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A value that is still to be read.
#[derive(Debug, Clone)]
pub(super) struct Value<'d> {
    inner: &'d DeValue<'d>,
    pub(super) place: Place,
}

/// A table that is still to be read.
#[derive(Debug, Clone)]
pub(super) struct Table<'d> {
    entries: &'d DeTable<'d>,
    pub(super) place: Place,
}

impl<'d> Table<'d> {
    /// The whole text, whose keys must be among `known`.
    pub(super) fn root(document: &'d Spanned<DeTable<'d>>, known: &[&str], problems: &mut Problems<'_>) -> Self {
        let table = Self { entries: document.get_ref(), place: Place { key: String::new(), span: 0..0 } };
        table.refuse_unknown(known, &[], problems);
        table
    }

    /// The value of `key`, where it is written.
    pub(super) fn get(&self, key: &str) -> Option<Value<'d>> {
        let value = self.entries.get(key)?;
        Some(Value { inner: value.get_ref(), place: self.place.child(key, value.span()) })
    }

    /// The value of `key`; reports that it is missing.
    pub(super) fn require(&self, key: &str, hint: &str, problems: &mut Problems<'_>) -> Option<Value<'d>> {
        let value = self.get(key);
        if value.is_none() {
            problems.error(&self.place.child(key, self.place.span.clone()), "missing key", hint);
        }
        value
    }

    /// Whether `key` is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where `key` is written: the key itself, not its value.
    pub(super) fn key_place(&self, key: &str) -> Option<Place> {
        let (key, _) = self.entries.get_key_value(key)?;
        Some(self.place.child(key.get_ref(), key.span()))
    }

    /// Every entry, for tables whose keys are names. The place of a name is the key's own.
    pub(super) fn entries(&self) -> impl Iterator<Item = (At<&'d str>, Value<'d>)> {
        let place = self.place.clone();
        self.entries.iter().map(move |(key, value)| {
            let name = key.get_ref().as_ref();
            let value = Value { inner: value.get_ref(), place: place.child(name, value.span()) };
            (At { value: name, place: place.child(name, key.span()) }, value)
        })
    }

    /// The names of all keys.
    pub(super) fn names(&self) -> impl Iterator<Item = &'d str> {
        self.entries.keys().map(|key| key.get_ref().as_ref())
    }

    fn refuse_unknown(&self, known: &[&str], not_yet: &[&str], problems: &mut Problems<'_>) {
        let of_use = || known.iter().copied().filter(|key| !not_yet.contains(key));
        for (key, _) in self.entries().filter(|(key, _)| !known.contains(&key.value)) {
            problems.error(&key.place, "unknown key", suggest(key.value, of_use(), "the keys here are"));
        }
    }
}

impl<'d> Value<'d> {
    /// A table, whose keys must be among `known`.
    pub(super) fn table(&self, known: &[&str], problems: &mut Problems<'_>) -> Option<Table<'d>> {
        self.table_with(known, &[], problems)
    }

    /// The same, where some of the known keys are `not_yet` of any use: those are suggested to nobody.
    pub(super) fn table_with(
        &self,
        known: &[&str],
        not_yet: &[&str],
        problems: &mut Problems<'_>,
    ) -> Option<Table<'d>> {
        let table = self.open_table(problems)?;
        table.refuse_unknown(known, not_yet, problems);
        Some(table)
    }

    /// A table whose keys are names.
    pub(super) fn open_table(&self, problems: &mut Problems<'_>) -> Option<Table<'d>> {
        let entries = self.inner.as_table();
        if entries.is_none() {
            self.wrong_type("a table", problems);
        }
        entries.map(|entries| Table { entries, place: self.place.clone() })
    }

    /// A list with at least one and at most `max` elements.
    pub(super) fn list(&self, max: usize, problems: &mut Problems<'_>) -> Option<Vec<Value<'d>>> {
        let Some(list) = self.inner.as_array() else {
            self.wrong_type("a list", problems);
            return None;
        };
        if list.is_empty() {
            problems.error(&self.place, "the list is empty", "name at least one, or leave the key out");
        } else if list.len() > max {
            problems.error(&self.place, format!("{} entries", list.len()), format!("at most {max} are taken"));
        }
        let element = |(index, value): (usize, &'d Spanned<DeValue<'d>>)| Value {
            inner: value.get_ref(),
            place: self.place.element(index, value.span()),
        };
        Some(list.iter().take(max).enumerate().map(element).collect())
    }

    /// A list of strings.
    pub(super) fn strings(&self, max: usize, problems: &mut Problems<'_>) -> Option<Vec<At<String>>> {
        let elements = self.list(max, problems)?;
        Some(elements.iter().filter_map(|element| element.string(problems)).collect())
    }

    /// A string.
    pub(super) fn string(&self, problems: &mut Problems<'_>) -> Option<At<String>> {
        let text = self.inner.as_str();
        if text.is_none() {
            self.wrong_type("a string", problems);
        }
        text.map(|text| At { value: text.to_owned(), place: self.place.clone() })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, problems: &mut Problems<'_>) -> Option<bool> {
        let value = self.inner.as_bool();
        if value.is_none() {
            self.wrong_type("true or false", problems);
        }
        value
    }

    /// A whole number. One too large for 64 bits counts as the largest.
    pub(super) fn integer(&self, problems: &mut Problems<'_>) -> Option<At<i64>> {
        let Some(integer) = self.inner.as_integer() else {
            self.wrong_type("a whole number", problems);
            return None;
        };
        let value = i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i64::MAX);
        Some(At { value, place: self.place.clone() })
    }

    /// A date or time, where it is one.
    pub(super) fn as_datetime(&self) -> Option<&'d Datetime> {
        self.inner.as_datetime()
    }

    /// A string, where it is one.
    pub(super) fn as_str(&self) -> Option<&'d str> {
        self.inner.as_str()
    }

    /// Reports that something else was expected.
    pub(super) fn wrong_type(&self, expected: &str, problems: &mut Problems<'_>) {
        let found = match self.inner {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let hint = match (expected, self.inner) {
            ("a list", DeValue::String(text)) => format!("write [{:?}]", text.as_ref()),
            ("true or false", DeValue::String(text)) if matches!(text.as_ref(), "true" | "false") => {
                "write it without quotes".to_owned()
            }
            ("a whole number", DeValue::String(text)) if text.parse::<u32>().is_ok() => {
                "write it without quotes".to_owned()
            }
            ("a string", DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_)) => {
                "write it in quotes".to_owned()
            }
            _ => String::new(),
        };
        problems.error(&self.place, format!("expected {expected}, found {found}"), hint);
    }
}

/// A hint for a word that is not among the known ones: the nearest of them, or all.
pub(super) fn suggest<'k>(word: &str, known: impl Iterator<Item = &'k str>, introduction: &str) -> String {
    let known: Vec<&str> = known.collect();
    let (lower, length) = (word.to_lowercase(), word.chars().count());
    let distance = |candidate: &&str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    let nearest = known.iter().map(|candidate| (distance(candidate), *candidate)).min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, candidate)) if distance <= 1 + length / CHARACTERS_PER_SLIP && distance < length => {
            format!("did you mean {candidate:?}?")
        }
        Some(_) if known.len() <= MAX_LISTED => format!("{introduction} {}", known.join(", ")),
        Some(_) | None => String::new(),
    }
}
