//! To which version: the last good one.
//!
//! Good is what came before the blamed version, landed there, ran for at least `soak` without an incident, was never
//! turned back, is not in quarantine, and has no finding that blocks it. A version that a rollback brought stands for the
//! one that it went back to.

use super::Version;
use crate::domain::change::Sha;
use crate::domain::environment::{self, EnvironmentState};
use crate::domain::image::digest_of;
use crate::domain::incident::Blamed;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a version is judged by.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// What has landed in the region.
    pub state: &'a EnvironmentState,
    /// The pipeline that is to bring it back: others may deploy there too.
    pub pipeline: &'a str,
    /// What is turned back.
    pub blamed: &'a Blamed,
    /// How long a version must have run.
    pub soak: SignedDuration,
    /// The commits that may not run there.
    pub quarantined: &'a BTreeSet<Sha>,
    /// Why a commit may not run there as to its images, by commit.
    pub blocked: &'a BTreeMap<Sha, String>,
    /// The time.
    pub now: Timestamp,
}

/// A version that was live once, and whether it may be again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The version.
    pub version: Version,
    /// When it landed.
    pub landed_at: Timestamp,
    /// What stands against it.
    pub judged: Judged,
}

/// Whether a version may be gone back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It may.
    Good,
    /// It is passed over.
    PassedOver(Why),
}

/// Why a version is passed over. Each shows itself as the rest of a sentence: "1a2b3c4 …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Nobody knows its commit.
    NoCommit,
    /// It is the very commit that is turned back.
    IsBlamed,
    /// It was turned back itself.
    TurnedBack,
    /// It is in quarantine.
    Quarantined,
    /// It did not run long enough.
    NotSoaked {
        /// How long it ran.
        ran: SignedDuration,
        /// Until what.
        until: Until,
    },
    /// Its images have findings that block.
    Blocked(String),
}

/// What ended the time for which a version ran well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The next version landed.
    Replaced,
    /// An incident blamed it.
    Incident,
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommit => formatter.write_str("has no commit that is known"),
            Self::IsBlamed => formatter.write_str("is the same commit"),
            Self::TurnedBack => formatter.write_str("was turned back itself"),
            Self::Quarantined => formatter.write_str("is in quarantine"),
            Self::NotSoaked { ran, until } => {
                let until = match until {
                    Until::Replaced => "the next version came",
                    Until::Incident => "an incident blamed it",
                };
                write!(formatter, "ran for {} s before {until}", ran.as_secs())
            }
            Self::Blocked(why) => write!(formatter, "may not run: {why}"),
        }
    }
}

/// Every version that came before the blamed one, the newest first, with what stands against it.
pub fn judge(question: &Question<'_>) -> Vec<Candidate> {
    let is_its =
        |version: &&environment::Version| version.pipeline.as_deref().is_none_or(|name| name == question.pipeline);
    let landed: Vec<&environment::Version> = question.state.versions.iter().filter(is_its).collect();
    let is_blamed = |version: &&environment::Version| is_blamed(question.blamed, version);
    // One that is still in flight has not landed: then all came before it.
    let begin = landed.iter().position(is_blamed).map_or(0, |place| place + 1);
    let bad: BTreeSet<&Sha> =
        landed.iter().filter(|version| version.was_turned_back).filter_map(|version| version.sha.as_ref()).collect();
    let older = landed.iter().enumerate().skip(begin);
    let one = |(place, version): (usize, &&environment::Version)| {
        let replaced_at =
            place.checked_sub(1).and_then(|newer| landed.get(newer)).map_or(question.now, |newer| newer.at);
        Candidate {
            version: seen(version, &landed),
            landed_at: version.at,
            judged: why_not(question, version, &bad, replaced_at).map_or(Judged::Good, Judged::PassedOver),
        }
    };
    older.map(one).collect()
}

fn is_blamed(blamed: &Blamed, version: &environment::Version) -> bool {
    version.execution == blamed.execution || (version.sha.is_some() && version.sha == blamed.sha)
}

fn why_not(
    question: &Question<'_>,
    version: &environment::Version,
    bad: &BTreeSet<&Sha>,
    replaced_at: Timestamp,
) -> Option<Why> {
    let Some(sha) = &version.sha else { return Some(Why::NoCommit) };
    if question.blamed.sha.as_ref() == Some(sha) {
        return Some(Why::IsBlamed);
    }
    if bad.contains(sha) {
        return Some(Why::TurnedBack);
    }
    if question.quarantined.contains(sha) {
        return Some(Why::Quarantined);
    }
    if let Some(why) = question.blocked.get(sha) {
        return Some(Why::Blocked(why.clone()));
    }
    let (ended_at, until) = match version.blamed_at.filter(|blamed| *blamed < replaced_at) {
        Some(blamed_at) => (blamed_at, Until::Incident),
        None => (replaced_at, Until::Replaced),
    };
    let ran = ended_at.duration_since(version.at).max(SignedDuration::ZERO);
    let is_short = ran < question.soak || (until == Until::Incident && question.soak.is_zero());
    is_short.then_some(Why::NotSoaked { ran, until })
}

/// A version, or for what a rollback brought the one that it stands for.
fn seen(version: &environment::Version, landed: &[&environment::Version]) -> Version {
    let stood_for = version.goes_back_to.as_deref().and_then(|to| landed.iter().find(|known| known.aws_id == to));
    let original = stood_for.copied().unwrap_or(version);
    let digests = |images: &BTreeSet<String>| images.iter().map(|image| digest_of(image).to_owned()).collect();
    let images: BTreeSet<String> = digests(&version.images);
    Version {
        execution: original.execution.clone(),
        aws_id: version.goes_back_to.clone().unwrap_or_else(|| original.aws_id.clone()),
        sha: version.sha.clone(),
        images: if images.is_empty() { digests(&original.images) } else { images },
    }
}

/// The newest commit that is good in every region, of the candidates of each. `None`: there is none.
pub fn common<'a>(regions: impl IntoIterator<Item = &'a [Candidate]>) -> Option<Sha> {
    let good = |candidates: &'a [Candidate]| -> Vec<&'a Sha> {
        let good = candidates.iter().filter(|candidate| candidate.judged == Judged::Good);
        good.filter_map(|candidate| candidate.version.sha.as_ref()).collect()
    };
    let mut regions = regions.into_iter().map(good);
    let first = regions.next()?;
    let others: Vec<_> = regions.collect();
    first.into_iter().find(|sha| others.iter().all(|good| good.contains(sha))).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::execution::ExecutionId;
    use crate::domain::rollback::Until::{Incident, Replaced};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn sha(number: u8) -> Sha {
        number.to_string().repeat(40).parse().unwrap()
    }

    /// What landed, what is blamed, how long one must have run; what is in quarantine, blocked and good; and why.
    type Landed = (Vec<environment::Version>, u8, i64, &'static [u8], &'static [u8], &'static [u8], &'static str);
    /// The versions of each region, the newest first; the one that all go back to, and why.
    type Regions = (&'static [&'static [u8]], Option<u8>, &'static str);

    /// Version `number`, which landed at a minute.
    fn landed(number: u8, minute: i64) -> environment::Version {
        environment::Version {
            sha: Some(sha(number)),
            execution: ExecutionId::named(&format!("ex-{number}")),
            aws_id: format!("aws {number}"),
            images: [format!("web@sha256:{number}")].into(),
            at: at(minute),
            pipeline: Some("web".into()),
            began: None,
            goes_back_to: None,
            blamed_at: None,
            was_turned_back: false,
        }
    }

    /// The versions that are good, the newest first; with the blamed one and how long one must have run, in minutes.
    fn good(versions: Vec<environment::Version>, blamed: u8, soak: i64, quarantined: &[u8], blocked: &[u8]) -> Vec<u8> {
        let candidates = judged(versions, blamed, soak, quarantined, blocked);
        let good = candidates.iter().filter(|candidate| candidate.judged == Judged::Good);
        good.map(|candidate| candidate.version.sha.as_ref().unwrap().as_str()[..1].parse().unwrap()).collect()
    }

    fn judged(
        versions: Vec<environment::Version>,
        blamed: u8,
        soak: i64,
        quarantined: &[u8],
        blocked: &[u8],
    ) -> Vec<Candidate> {
        let mut state = EnvironmentState::new("web", "us-east-1");
        for version in versions {
            state.deployed(version);
        }
        judge(&Question {
            state: &state,
            pipeline: "web",
            blamed: &Blamed { execution: ExecutionId::named(&format!("ex-{blamed}")), sha: Some(sha(blamed)) },
            soak: SignedDuration::from_mins(soak),
            quarantined: &quarantined.iter().map(|number| sha(*number)).collect(),
            blocked: &blocked.iter().map(|number| (sha(*number), "it has CVE-2026-0001".to_owned())).collect(),
            now: at(100),
        })
    }

    #[test]
    fn the_last_good_version_is_the_newest_that_ran_well_before() {
        let four_five_six = || vec![landed(4, 0), landed(5, 30), landed(6, 60)];
        let blamed =
            |number, minute, when| environment::Version { blamed_at: Some(at(when)), ..landed(number, minute) };
        let turned_back = |number, minute| environment::Version { was_turned_back: true, ..landed(number, minute) };
        let of_other =
            |number, minute| environment::Version { pipeline: Some("jobs".into()), ..landed(number, minute) };
        let unknown = |number, minute| environment::Version { sha: None, ..landed(number, minute) };
        #[rustfmt::skip]
        let cases: Vec<Landed> = vec![
            // versions                                              blamed soak quarantined blocked good     why
            (four_five_six(),                                             6,  0, &[],  &[],  &[5, 4], "those before it"),
            (four_five_six(),                                             7,  0, &[],  &[],  &[6, 5, 4], "it is on its way in: all came before it"),
            (four_five_six(),                                             5,  0, &[],  &[],  &[4],    "nothing that came after it"),
            (vec![landed(6, 60)],                                         6,  0, &[],  &[],  &[],     "the first one ever"),
            (vec![landed(5, 0), landed(6, 30), landed(7, 35)],            7, 15, &[],  &[],  &[5],    "6 was replaced within 15 minutes"),
            (vec![landed(5, 0), landed(6, 30), landed(7, 45)],            7, 15, &[],  &[],  &[6, 5], "15 minutes are enough"),
            (vec![landed(5, 0), blamed(6, 30, 34), landed(7, 60)],        7, 15, &[],  &[],  &[5],    "6 ran for 4 minutes, and then it was blamed"),
            (vec![landed(5, 0), blamed(6, 30, 46), landed(7, 60)],        7, 15, &[],  &[],  &[6, 5], "6 was blamed after it had proved itself"),
            (vec![landed(5, 0), blamed(6, 30, 31), landed(7, 60)],        7,  0, &[],  &[],  &[5],    "without a time to run any blame counts"),
            (vec![landed(5, 0), turned_back(6, 30), landed(7, 60)],       7,  0, &[],  &[],  &[5],    "6 was turned back"),
            (vec![turned_back(6, 0), landed(5, 20), environment::Version { execution: ExecutionId::named("again"), ..landed(6, 40) }, landed(7, 60)],
                                                                          7,  0, &[],  &[],  &[5],    "and is no better for having come a second time"),
            (four_five_six(),                                             6,  0, &[5], &[],  &[4],    "5 is in quarantine"),
            (four_five_six(),                                             6,  0, &[],  &[5], &[4],    "5 has the vulnerability too"),
            (vec![landed(4, 0), of_other(5, 30), landed(6, 60)],          6,  0, &[],  &[],  &[4],    "another pipeline's"),
            (vec![landed(4, 0), unknown(5, 30), landed(6, 60)],           6,  0, &[],  &[],  &[4],    "nobody knows its commit"),
            (vec![landed(6, 0), landed(5, 30), environment::Version { execution: ExecutionId::named("again"), ..landed(6, 60) }],
                                                                          6,  0, &[],  &[],  &[5],    "never to the very same commit"),
        ];
        for (versions, blamed, soak, quarantined, blocked, expected, why) in cases {
            assert_eq!(good(versions, blamed, soak, quarantined, blocked), expected, "{why}");
        }
    }

    #[test]
    fn what_a_rollback_brought_stands_for_what_it_went_back_to() {
        let back = environment::Version {
            execution: ExecutionId::named("ex-back"),
            aws_id: "aws back".into(),
            goes_back_to: Some("aws 5".into()),
            sha: Some(sha(5)),
            ..landed(5, 40)
        };
        let bad = environment::Version { was_turned_back: true, ..landed(6, 30) };
        let candidates = judged(vec![landed(5, 0), bad, back.clone(), landed(7, 60)], 7, 15, &[], &[]);
        assert_eq!(candidates.len(), 3);
        let first = &candidates[0];
        assert_eq!(
            (first.version.aws_id.as_str(), first.version.execution.as_str()),
            ("aws 5", "ex-5"),
            "its own target"
        );
        assert_eq!(first.judged, Judged::Good, "it ran for 20 minutes");
        let alone = judged(vec![back, landed(7, 60)], 7, 0, &[], &[]);
        assert_eq!(alone[0].version.aws_id, "aws 5", "though that is not on record any more");
    }

    #[test]
    fn what_is_passed_over_says_why() {
        #[rustfmt::skip]
        let cases = [
            (Why::NoCommit,                                                            "has no commit that is known"),
            (Why::IsBlamed,                                                            "is the same commit"),
            (Why::TurnedBack,                                                          "was turned back itself"),
            (Why::Quarantined,                                                         "is in quarantine"),
            (Why::NotSoaked { ran: SignedDuration::from_secs(61), until: Replaced },   "ran for 61 s before the next version came"),
            (Why::NotSoaked { ran: SignedDuration::from_secs(61), until: Incident },   "ran for 61 s before an incident blamed it"),
            (Why::Blocked("it has CVE-2026-0001".into()),                              "may not run: it has CVE-2026-0001"),
        ];
        for (why, expected) in cases {
            assert_eq!(why.to_string(), expected);
        }
    }

    #[test]
    fn all_regions_go_back_to_one_version() {
        let versions = |numbers: &[u8]| {
            let count = numbers.len() as i64;
            let all = numbers.iter().zip(0..).map(|(number, place)| landed(*number, (count - place) * 20)).collect();
            judged(all, 9, 15, &[], &[])
        };
        #[rustfmt::skip]
        let cases: [Regions; 5] = [
            (&[&[9, 8, 7]],                Some(8), "one region"),
            (&[&[9, 8, 7], &[9, 8, 7]],    Some(8), "both have the same"),
            (&[&[9, 8, 7], &[9, 7, 6]],    Some(7), "the newest that both have"),
            (&[&[9, 8], &[9, 7]],          None,    "they have none in common"),
            (&[],                          None,    "no region at all"),
        ];
        for (regions, expected, why) in cases {
            let regions: Vec<Vec<Candidate>> = regions.iter().map(|numbers| versions(numbers)).collect();
            assert_eq!(common(regions.iter().map(Vec::as_slice)), expected.map(sha), "{why}");
        }
    }
}
