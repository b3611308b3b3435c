//! What Amazon Inspector says of an image, and whether an environment's gate lets that image in.
//!
//! Inspector's events come in any order, more than once, or never. So the fold keeps the latest report of each
//! finding, and whatever is not known blocks: a scan that is missing, and findings that were counted and never came.

use super::policy::{Gate, Severity, Waiver};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How much of a finding's title is kept, in characters; the rest is cut off.
pub const TITLE_CHARACTERS_MAX: usize = 200;

/// What every digest begins with.
const PREFIX: &str = "sha256:";
/// How long a digest is, in bytes.
const DIGEST_BYTES: usize = PREFIX.len() + 64;
/// How many digits of a digest people are shown.
const DIGITS_SHOWN: usize = 12;

/// Every `sha256:` with 64 hexadecimal digits in `text`.
pub fn digests_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(PREFIX).filter_map(move |(start, prefix)| {
        let digest = text.get(start..start + DIGEST_BYTES)?;
        let is_hex = digest.bytes().skip(prefix.len()).all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let ends_there = !text.as_bytes().get(start + DIGEST_BYTES).is_some_and(u8::is_ascii_hexdigit);
        (is_hex && ends_there).then_some(digest)
    })
}

/// The digest of an image that is named as `REPOSITORY@sha256:…`, or by its digest alone.
pub fn digest_of(image: &str) -> &str {
    image.rsplit_once('@').map_or(image, |(_, digest)| digest)
}

/// An image as people are shown it: `shop/web@sha256:c30be97422f4`.
pub fn shown(image: &str) -> &str {
    let cut = |start: usize| image.get(..start + PREFIX.len() + DIGITS_SHOWN);
    image.find(PREFIX).and_then(cut).unwrap_or(image)
}

/// Whether a finding counts, in Inspector's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FindingStatus {
    /// It does.
    Active,
    /// A suppression rule of Inspector's hides it.
    Suppressed,
    /// It is gone.
    Closed,
}

/// Whether there is a version without the weakness, in Inspector's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Fix {
    /// For every package.
    Yes,
    /// For some of the packages.
    Partial,
    /// For none.
    No,
}

/// One finding in one image, as Inspector last told of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    // The order of the fields is the order of comparison: of two reports, the greater one is the later one.
    /// When it was told, in whole seconds.
    pub at: Timestamp,
    /// The id of the event that told it.
    pub event: String,
    /// Where it was found: `REGION/REPOSITORY`.
    pub repository: String,
    /// The vulnerability, such as `CVE-2026-0001`.
    pub vulnerability: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it counts.
    pub status: FindingStatus,
    /// Whether it can be fixed, where Inspector says so.
    pub fix: Option<Fix>,
    /// What it is, for people; [`TITLE_CHARACTERS_MAX`] at most.
    pub title: String,
}

/// The end of the first scan of an image in one repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scan {
    // The order of the fields is the order of comparison, as above.
    /// When it was told, in whole seconds.
    pub at: Timestamp,
    /// The id of the event that told it.
    pub event: String,
    /// How many findings there were. A severity that is not named counts as none, though Inspector may leave the low
    /// ones to its total.
    pub counts: BTreeMap<Severity, u32>,
}

/// The scans of an image. The same image may lie in several repositories, each scanned on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scans {
    /// The latest of each, by `REGION/REPOSITORY`.
    pub repositories: BTreeMap<String, Scan>,
}

impl Scans {
    /// Takes a scan over, unless a later one of that repository is known.
    pub fn fold(&mut self, repository: &str, scan: Scan) {
        match self.repositories.get_mut(repository) {
            Some(known) if *known >= scan => {}
            Some(known) => *known = scan,
            None => {
                self.repositories.insert(repository.to_owned(), scan);
            }
        }
    }
}

/// Everything that is known of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageState {
    /// Its scans.
    pub scans: Scans,
    /// Its findings, whatever their status.
    pub findings: Vec<Finding>,
    /// Whether there is more than was read: then nobody can say that the image is fine.
    pub is_cut_off: bool,
}

/// What keeps an execution's images out. Each shows itself as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// Nobody knows which images the execution deploys.
    NoDigest,
    /// No scan of the image has ended.
    ScanMissing {
        /// Which image.
        image: String,
    },
    /// More is known of the image than was read.
    CutOff {
        /// Which image.
        image: String,
    },
    /// A finding that nobody waived.
    Finding {
        /// Which image.
        image: String,
        /// The vulnerability.
        id: String,
        /// How bad it is.
        severity: Severity,
    },
    /// The scan counted findings that have not arrived. They have no id, so no waiver covers them.
    Uncounted {
        /// Which image.
        image: String,
        /// How bad they are.
        severity: Severity,
        /// How many.
        count: u32,
    },
}

/// A finding that would block, and that somebody answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waived {
    /// Which image.
    pub image: String,
    /// The vulnerability, as Inspector names it.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// Who waived it, until when, and why.
    pub waiver: Waiver,
}

/// What a gate says of an execution's images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct GateCheck {
    /// What keeps them out, image by image, the worst finding first.
    pub blockers: Vec<Blocker>,
    /// What would, had nobody waived it.
    pub waived: Vec<Waived>,
    /// The images that nothing keeps out.
    pub passed: Vec<String>,
    /// How many vulnerabilities there are of each severity, gated or not; none of a severity that is not named.
    pub counts: BTreeMap<Severity, u32>,
}

/// Whether `gate` lets `images` in, with what is `known` of them by digest.
///
/// `images` are named as `REPOSITORY@sha256:…` or by digest alone; one that comes under both is one image. `today` is
/// the day in UTC: a waiver counts to the end of its last day.
pub fn check(gate: &Gate, images: &BTreeSet<String>, known: &BTreeMap<String, ImageState>, today: Date) -> GateCheck {
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for image in images {
        let name = named.entry(digest_of(image)).or_insert(image);
        // With its repository it says more.
        if image.len() > name.len() {
            *name = image;
        }
    }
    let mut check = GateCheck::default();
    if named.is_empty() {
        check.blockers.push(Blocker::NoDigest);
    }
    let nothing = ImageState::default();
    for (digest, image) in named {
        let blockers = check.blockers.len();
        check.judge(gate, image, known.get(digest).unwrap_or(&nothing), today);
        if check.blockers.len() == blockers {
            check.passed.push(image.to_owned());
        }
    }
    check
}

impl GateCheck {
    /// Whether nothing keeps the images out.
    pub fn is_passed(&self) -> bool {
        self.blockers.is_empty()
    }

    /// Whether a scan, or the image itself, is not known yet: that may come by itself.
    pub fn is_scan_missing(&self) -> bool {
        self.blockers.iter().any(|blocker| matches!(blocker, Blocker::NoDigest | Blocker::ScanMissing { .. }))
    }

    fn judge(&mut self, gate: &Gate, image: &str, state: &ImageState, today: Date) {
        let image = image.to_owned();
        if state.is_cut_off {
            self.blockers.push(Blocker::CutOff { image: image.clone() });
        } else if state.scans.repositories.is_empty() {
            self.blockers.push(Blocker::ScanMissing { image: image.clone() });
        }
        let active = state.findings.iter().filter(|finding| finding.status == FindingStatus::Active).map(named);
        for (severity, _) in active.collect::<BTreeSet<_>>() {
            *self.counts.entry(severity).or_default() += 1;
        }
        // One image in two repositories has each finding twice.
        let found: BTreeSet<_> = state.findings.iter().filter(|finding| blocks(gate, finding)).map(named).collect();
        for (severity, id) in found {
            match waiver_of(gate, id, today) {
                Some(waiver) => {
                    let (id, waiver) = (id.to_owned(), waiver.clone());
                    self.waived.push(Waived { image: image.clone(), id, severity, waiver });
                }
                None => self.blockers.push(Blocker::Finding { image: image.clone(), id: id.to_owned(), severity }),
            }
        }
        for severity in Severity::ALL.into_iter().filter(|severity| gate.findings.contains(severity)) {
            let count = uncounted(state, severity);
            if count > 0 {
                self.blockers.push(Blocker::Uncounted { image: image.clone(), severity, count });
            }
        }
    }
}

fn named(finding: &Finding) -> (Severity, &str) {
    (finding.severity, &finding.vulnerability)
}

/// Whether a finding keeps its image out, waivers apart. Where Inspector does not say that there is no fix, there may
/// be one.
fn blocks(gate: &Gate, finding: &Finding) -> bool {
    let is_ignored = gate.fixable_only && finding.fix == Some(Fix::No);
    finding.status == FindingStatus::Active && gate.findings.contains(&finding.severity) && !is_ignored
}

fn waiver_of<'a>(gate: &'a Gate, id: &str, today: Date) -> Option<&'a Waiver> {
    gate.waivers.iter().find(|waiver| waiver.id.eq_ignore_ascii_case(id) && today <= waiver.until)
}

/// How many findings the scan counted that have not arrived under any status. Of the repositories, the worst counts.
///
/// A finding that was made less severe since is missing among the severe ones: then the image is to be built again.
fn uncounted(state: &ImageState, severity: Severity) -> u32 {
    let missing = state.scans.repositories.iter().map(|(repository, scan)| {
        let arrived =
            state.findings.iter().filter(|finding| finding.severity == severity && finding.repository == *repository);
        let counted = scan.counts.get(&severity).copied().unwrap_or(0);
        counted.saturating_sub(u32::try_from(arrived.count()).unwrap_or(u32::MAX))
    });
    missing.max().unwrap_or(0)
}

impl fmt::Display for Blocker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDigest => formatter.write_str("it is not known which image this deploys"),
            Self::ScanMissing { image } => write!(formatter, "the scan of {} is missing", shown(image)),
            Self::CutOff { image } => {
                write!(formatter, "more is known of {} than is looked at", shown(image))
            }
            Self::Finding { image, id, severity } => {
                write!(formatter, "{id} ({}) in {}", severity.as_str(), shown(image))
            }
            Self::Uncounted { image, severity, count } => {
                let severity = severity.as_str();
                write!(formatter, "{count} more ({severity}) that Inspector counted in {}", shown(image))
            }
        }
    }
}

impl fmt::Display for Waived {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, id, severity, waiver: Waiver { owner, until, reason, .. } } = self;
        let (severity, image) = (severity.as_str(), shown(image));
        write!(formatter, "{id} ({severity}) in {image}, waived by {owner} until {until}: {reason}")
    }
}

/// One line for each thing that is said.
impl fmt::Display for GateCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocked = self.blockers.iter().map(|blocker| format!("blocked: {blocker}"));
        let waived = self.waived.iter().map(ToString::to_string);
        let passed = self.passed.iter().map(|image| format!("passed: {}", shown(image)));
        let lines: Vec<String> = blocked.chain(waived).chain(passed).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests;
