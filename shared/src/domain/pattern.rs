//! Globs over branch names, tag names, file paths and alarm names.
//!
//! `*` spans one segment and never a `/`; `**` stands for whole segments; `?` is one byte; `[a-z]` and `{a,b}` as
//! usual; `\` makes the next character literal. Case counts. A pattern that begins with `!` excludes. A list of
//! patterns matches what at least one including pattern matches and no excluding one does, whatever their order.
//!
//! The names that are matched are hostile: nothing in here treats them as paths of this machine.

use globset::{Candidate, Glob, GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::OnceLock;

/// The longest pattern, in bytes. GitHub's own limit for a ref is 255.
pub const MAX_PATTERN_BYTES: usize = 256;
/// The most patterns in one list.
pub const MAX_PATTERNS: usize = 50;
/// How deep `{a,{b,c}}` may nest.
const MAX_BRACE_DEPTH: usize = 4;
/// How many patterns of a list are quoted in a sentence before "and 3 more".
const MAX_QUOTED: usize = 5;

/// A list of patterns, as written. An empty list filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Takes the patterns as they are; [`check`] says whether each is one.
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Whether there is no pattern, so that nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns, as written.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The patterns that include, without those that begin with `!`.
    pub fn including(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(|pattern| !pattern.starts_with('!'))
    }

    /// Makes the patterns ready to match names in which `/` separates segments.
    ///
    /// # Errors
    /// [`BadPattern`] for the first one that is none. A list that passed the configuration's check has none.
    pub fn compile(&self) -> Result<Matcher, BadPattern> {
        self.compile_with(Separator::Slash)
    }

    /// Makes the patterns ready to match names without segments: `*` spans everything. For CloudWatch alarms.
    ///
    /// # Errors
    /// As [`Patterns::compile`].
    pub fn compile_flat(&self) -> Result<Matcher, BadPattern> {
        self.compile_with(Separator::None)
    }

    fn compile_with(&self, separator: Separator) -> Result<Matcher, BadPattern> {
        let mut matcher = Matcher { include: Vec::new(), exclude: Vec::new() };
        for (index, written) in self.0.iter().enumerate() {
            match written.strip_prefix('!') {
                Some(excluded) => matcher.exclude.push((index, Single::compile(excluded, separator)?)),
                None => matcher.include.push(Single::compile(written, separator)?),
            }
        }
        Ok(matcher)
    }
}

impl fmt::Display for Patterns {
    /// `["main", "release/*"]`, with what is beyond five left out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[")?;
        for (index, pattern) in self.0.iter().take(MAX_QUOTED).enumerate() {
            write!(formatter, "{}{pattern:?}", if index == 0 { "" } else { ", " })?;
        }
        match self.0.len().checked_sub(MAX_QUOTED) {
            None | Some(0) => formatter.write_str("]"),
            Some(more) => write!(formatter, " and {more} more]"),
        }
    }
}

/// What a list of patterns says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Match {
    /// An including pattern matches and no excluding one.
    Yes,
    /// No including pattern matches.
    No,
    /// The excluding pattern at this place in the list matches.
    Excluded(usize),
}

/// A list of patterns, ready to match.
#[derive(Debug, Clone)]
pub struct Matcher {
    include: Vec<Single>,
    exclude: Vec<(usize, Single)>,
}

impl Matcher {
    /// Matches one name. An empty list matches every name.
    pub fn check(&self, name: &str) -> Match {
        let is_included = self.include.is_empty() && self.exclude.is_empty()
            || self.include.iter().any(|pattern| pattern.is_match(name));
        if !is_included {
            return Match::No;
        }
        let excluded = self.exclude.iter().find(|(_, pattern)| pattern.is_match(name));
        excluded.map_or(Match::Yes, |(index, _)| Match::Excluded(*index))
    }

    /// Whether [`Matcher::check`] says yes.
    pub fn is_match(&self, name: &str) -> bool {
        self.check(name) == Match::Yes
    }
}

/// One pattern, without its `!`. Nearly all are of the first four kinds, which compare texts: to make a regular
/// expression ready costs some hundred times what a comparison does, and patterns are read anew for each change.
#[derive(Debug, Clone)]
enum Single {
    /// `main`.
    Literal(String),
    /// `**`.
    Everything,
    /// `services/web/**`, with the slash and without the stars.
    Below(String),
    /// `release/*`, `v*.0`: what stands before the only star and what after it, and whether the star stops at a slash.
    Star { before: String, after: String, separator: Separator },
    /// Any other.
    Glob(Box<Lazy>),
}

/// A glob that is made ready when a name is first held against it: most lists are decided before.
#[derive(Debug, Clone)]
struct Lazy {
    glob: Glob,
    ready: OnceLock<GlobMatcher>,
}

/// What means something in a glob.
const META: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

impl Single {
    fn compile(pattern: &str, separator: Separator) -> Result<Self, BadPattern> {
        check_body(pattern, separator)?;
        Ok(match Self::plain(pattern, separator) {
            Some(plain) => plain,
            None => Self::Glob(Box::new(Lazy { glob: build(pattern, separator)?, ready: OnceLock::new() })),
        })
    }

    /// The pattern, if comparing texts is enough for it.
    fn plain(pattern: &str, separator: Separator) -> Option<Self> {
        if !pattern.contains(META) {
            return Some(Self::Literal(pattern.to_owned()));
        }
        if separator == Separator::Slash && pattern == "**" {
            return Some(Self::Everything);
        }
        if let (Separator::Slash, Some(folder)) = (separator, pattern.strip_suffix("/**")) {
            return (!folder.is_empty() && !folder.contains(META)).then(|| Self::Below(format!("{folder}/")));
        }
        let (before, after) = pattern.split_once('*')?;
        let is_plain = !before.contains(META) && !after.contains(META);
        is_plain.then(|| Self::Star { before: before.to_owned(), after: after.to_owned(), separator })
    }

    fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Everything => true,
            Self::Below(folder) => name.starts_with(folder),
            Self::Star { before, after, separator } => {
                let between = name.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
                between.is_some_and(|between| *separator == Separator::None || !between.contains('/'))
            }
            // What `compile_matcher` could panic at, a regular expression too big or too deep, `check_body` refused.
            Self::Glob(lazy) => {
                let ready = lazy.ready.get_or_init(|| lazy.glob.compile_matcher());
                ready.is_match_candidate(&Candidate::from_bytes(name.as_bytes()))
            }
        }
    }
}

/// Whether `/` parts the names into segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// Branches, tags, paths.
    Slash,
    /// Alarm names.
    None,
}

/// Why something is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// Nothing, or nothing after the `!`.
    #[error("the pattern is empty")]
    Empty,
    /// More than [`MAX_PATTERN_BYTES`].
    #[error("the pattern is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// A line break, a tab, or another control character.
    #[error("the pattern holds a control character")]
    ControlCharacter,
    /// Alternatives within alternatives, too deep.
    #[error("the pattern nests braces deeper than {MAX_BRACE_DEPTH}")]
    TooDeep,
    /// `release**`, which would mean no more than `release*`.
    #[error("`**` stands for whole segments: write it between slashes, like `release/**`")]
    DoubleStarInSegment,
    /// `[!a]`: it would match a slash.
    #[error("a class that excludes would match a slash: exclude with a pattern of its own, `!…`")]
    ExcludingClass,
    /// `[é]` would match single bytes.
    #[error("a class may hold ASCII only: write {{é,è}} instead of [éè]")]
    NonAsciiClass,
    /// Whatever the parser of globs says.
    #[error("{0}")]
    Syntax(String),
}

/// Says whether `written`, with or without a leading `!`, is a pattern.
///
/// # Errors
/// [`BadPattern`], with a sentence for whoever wrote it.
pub fn check(written: &str, separator: Separator) -> Result<(), BadPattern> {
    Single::compile(written.strip_prefix('!').unwrap_or(written), separator).map(|_| ())
}

fn build(pattern: &str, separator: Separator) -> Result<Glob, BadPattern> {
    GlobBuilder::new(pattern)
        .literal_separator(separator == Separator::Slash)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .map_err(|error| BadPattern::Syntax(error.kind().to_string()))
}

/// What the glob parser would let pass, but means something else than it looks like, or could grow without bound.
fn check_body(pattern: &str, separator: Separator) -> Result<(), BadPattern> {
    if pattern.is_empty() {
        return Err(BadPattern::Empty);
    }
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(BadPattern::TooLong);
    }
    if pattern.chars().any(char::is_control) {
        return Err(BadPattern::ControlCharacter);
    }
    let (mut depth, mut in_class) = (0_usize, false);
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ']' if in_class => in_class = false,
            _ if in_class && !character.is_ascii() => return Err(BadPattern::NonAsciiClass),
            _ if in_class => {}
            '\\' => {
                let _literal = characters.next();
            }
            '[' if matches!(characters.peek(), Some('!' | '^')) => return Err(BadPattern::ExcludingClass),
            '[' => {
                in_class = true;
                let _first_even_if_bracket = characters.next_if_eq(&']');
            }
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BRACE_DEPTH {
            return Err(BadPattern::TooDeep);
        }
    }
    let is_whole = |segment: &str| segment == "**" || !segment.contains("**");
    if separator == Separator::Slash && !pattern.split('/').all(is_whole) {
        return Err(BadPattern::DoubleStarInSegment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_match(patterns: &[&str], name: &str) -> bool {
        let patterns = Patterns::new(patterns.iter().map(|pattern| (*pattern).to_owned()).collect());
        patterns.compile().unwrap().is_match(name)
    }

    #[test]
    fn patterns_match_as_written() {
        #[rustfmt::skip]
        let cases: &[(&[&str], &str, bool, &str)] = &[
            // patterns               name                 matches why
            (&["main"],               "main",              true,  "a name is itself"),
            (&["main"],               "Main",              false, "case counts"),
            (&["main"],               "main2",             false, "all of it, not its beginning"),
            (&["main"],               "x/main",            false, "nor its end"),
            (&["main"],               "main\n",            false, "nor with a line break after it"),
            (&["main"],               "refs/heads/main",   false, "a branch may be called that"),
            (&["release/*"],          "release/1.2",       true,  "the star spans one segment"),
            (&["release/*"],          "release/1/2",       false, "but not a slash"),
            (&["release/*"],          "release",           false, "the slash belongs to the pattern"),
            (&["release/*"],          "Release/1.2",       false, "case counts"),
            (&["*"],                  "main",              true,  "one segment"),
            (&["*"],                  "a/b",               false, "not two"),
            (&["*"],                  "a\nb",              true,  "a line break is a character like others"),
            (&["*"],                  "..",                true,  "and so are dots: this is no path of ours"),
            (&["a/*"],                "a/..",              true,  "nothing is climbed"),
            (&["a/*/c"],              "a/../c",            true,  "nor resolved"),
            (&["**"],                 "a/b/c",             true,  "two stars cross"),
            (&["**"],                 "a\n/b",             true,  "line breaks too"),
            (&["services/web/**"],    "services/web/a/b",  true,  "everything below"),
            (&["services/web/**"],    "services/web",      false, "not the folder itself"),
            (&["services/web/**"],    "services/webb/a",   false, "nor one that begins alike"),
            (&["services/web/**"],    "x/services/web/a",  false, "nor one that lies elsewhere"),
            (&["**/web"],             "web",               true,  "two stars may stand for nothing"),
            (&["**/web"],             "a/b/web",           true,  "or for much"),
            (&["a/**/z"],             "a/z",               true,  "also in the middle"),
            (&["v?.0"],               "v1.0",              true,  "one character"),
            (&["v?.0"],               "v/.0",              false, "but no slash"),
            (&["v?.0"],               "v10.0",             false, "nor two"),
            (&["v[0-9]"],             "v7",                true,  "one of a class"),
            (&["v[0-9]"],             "vx",                false, "and no other"),
            (&["{main,dev}"],         "dev",               true,  "one of several"),
            (&["{main,dev}"],         "main,dev",          false, "not the list"),
            (&["x{,-y}"],             "x",                 true,  "an alternative may be empty"),
            (&[r"a\*"],               "a*",                true,  "an escaped star is a star"),
            (&[r"a\*"],               "ab",                false, "and nothing else"),
            (&["a*"],                 r"a\b",              true,  "a backslash in a name is a character"),
            (&[r"\!x"],               "!x",                true,  "a name that begins with an exclamation mark"),
            (&["**", "!dev"],         "dev",               false, "excluded"),
            (&["!dev", "**"],         "dev",               false, "whatever the order"),
            (&["**", "!dev"],         "main",              true,  "the others stay"),
            (&["**", "!wip/**"],      "wip/a/b",           false, "excluded by a glob"),
            (&[],                     "anything",          true,  "no pattern filters nothing"),
            (&["zzz*"],               "zzz\";echo${IFS}\"hello\";#", true, "a hostile name is a name"),
            (&["größe"],              "größe",             true,  "letters from elsewhere"),
        ];
        for (patterns, name, expected, why) in cases {
            assert_eq!(is_match(patterns, name), *expected, "{patterns:?} on {name:?}: {why}");
        }
    }

    #[test]
    fn alarm_names_have_no_segments() {
        let patterns = Patterns::new(vec!["shop-*".to_owned(), "!shop-test/*".to_owned()]);
        let matcher = patterns.compile_flat().unwrap();
        assert_eq!(matcher.check("shop-a/b"), Match::Yes);
        assert_eq!(matcher.check("shop-test/a/b"), Match::Excluded(1));
        assert_eq!(matcher.check("web-a"), Match::No);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let (long, deep) = ("x".repeat(MAX_PATTERN_BYTES + 1), "{a,{b,{c,{d,{e,f}}}}}");
        #[rustfmt::skip]
        let cases: &[(&str, &str)] = &[
            ("",           "the pattern is empty"),
            ("!",          "the pattern is empty"),
            (&long,        "the pattern is longer than 256 bytes"),
            ("a\nb",       "the pattern holds a control character"),
            (deep,         "the pattern nests braces deeper than 4"),
            ("a**",        "`**` stands for whole segments: write it between slashes, like `release/**`"),
            ("a/**b/c",    "`**` stands for whole segments: write it between slashes, like `release/**`"),
            ("[!a]",       "a class that excludes would match a slash: exclude with a pattern of its own, `!…`"),
            ("[^a]",       "a class that excludes would match a slash: exclude with a pattern of its own, `!…`"),
            ("[é]",        "a class may hold ASCII only: write {é,è} instead of [éè]"),
            ("[a",         "unclosed character class; missing ']'"),
            ("[z-a]",      "invalid range; 'z' > 'a'"),
            ("{a",         "unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"),
            ("a}",         "unopened alternate group; missing '{' (maybe escape '}' with '[}]'?)"),
            (r"a\",        "dangling '\\'"),
        ];
        for (pattern, message) in cases {
            let said = check(pattern, Separator::Slash).map_err(|bad| bad.to_string());
            assert_eq!(said, Err((*message).to_owned()), "{pattern:?}");
        }
    }

    #[test]
    fn a_long_list_is_quoted_in_part() {
        let list = |count: usize| Patterns::new((0..count).map(|index| format!("b{index}")).collect());
        assert_eq!(list(1).to_string(), r#"["b0"]"#);
        assert_eq!(list(5).to_string(), r#"["b0", "b1", "b2", "b3", "b4"]"#);
        assert_eq!(list(7).to_string(), r#"["b0", "b1", "b2", "b3", "b4" and 2 more]"#);
    }

    #[test]
    fn what_needs_no_regular_expression_gets_none() {
        #[rustfmt::skip]
        let cases = [
            ("main",             true,  "a name"),
            ("release/*",        true,  "one star"),
            ("v*.0",             true,  "wherever it stands"),
            ("services/web/**",  true,  "everything below a folder"),
            ("**",               true,  "everything"),
            ("**/*.md",          false, "stars of both kinds"),
            ("a/*/c/**",         false, "the same"),
            ("v[0-9]*",          false, "a class"),
            ("{main,dev}",       false, "alternatives"),
            (r"a\*",             false, "a star that is none"),
            ("/**",              false, "below no folder"),
        ];
        for (pattern, expected, why) in cases {
            let is_plain = !matches!(Single::compile(pattern, Separator::Slash).unwrap(), Single::Glob(_));
            assert_eq!(is_plain, expected, "{pattern}: {why}");
        }
    }

    proptest! {
        /// The patterns that compare texts must match what the glob library would.
        #[test]
        fn comparing_texts_is_matching_the_glob(
            pattern in prop_oneof!["[ab/.]{0,4}[*][ab/.]{0,4}", "[ab/.]{0,4}/[*][*]", "[*][*]", "[ab/.]{1,4}"],
            name in "[ab/.\n]{0,8}",
            is_flat in any::<bool>(),
        ) {
            let separator = if is_flat { Separator::None } else { Separator::Slash };
            let (Ok(single), Ok(glob)) = (Single::compile(&pattern, separator), build(&pattern, separator)) else {
                return Ok(());
            };
            let expected = glob.compile_matcher().is_match_candidate(&Candidate::from_bytes(name.as_bytes()));
            prop_assert_eq!(single.is_match(&name), expected, "{} on {:?}", pattern, name);
        }

        #[test]
        fn no_pattern_and_no_name_makes_it_panic(pattern in ".{0,40}", name in any::<String>()) {
            if let Ok(matcher) = Patterns::new(vec![pattern]).compile() {
                let _answer = matcher.check(&name);
            }
        }

        #[test]
        fn braces_and_classes_never_panic(pattern in r"[{}\[\]!^*?,/\\a-c-]{1,60}", name in "[a-c/]{0,10}") {
            if let Ok(matcher) = Patterns::new(vec![pattern]).compile() {
                let _answer = matcher.check(&name);
            }
        }

        #[test]
        fn a_plain_name_matches_itself_only(one in "[a-zA-Z0-9./_-]{1,20}", other in "[a-zA-Z0-9./_-]{1,20}") {
            prop_assert!(is_match(&[&one], &one));
            prop_assert_eq!(is_match(&[&one], &other), one == other);
            let excluding = format!("!{one}");
            prop_assert!(!is_match(&["**", &excluding], &one));
        }
    }
}
