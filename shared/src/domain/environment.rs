//! What has landed in an environment, region by region: the record that says which version is live.

use super::change::Sha;
use super::execution::{ExecutionId, Target};
use super::observed::Observed;
use super::policy::Environment;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many versions the record keeps. The oldest goes first.
pub const VERSIONS_MAX: usize = 50;
/// How many images the kept versions may have together. Beyond that the oldest versions go; the live one never does.
pub const IMAGES_MAX: usize = 1_000;

/// One environment in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentState {
    /// The environment's name.
    pub name: String,
    /// The AWS region.
    pub region: String,
    /// What landed there, the newest first.
    pub versions: Vec<Version>,
}

/// Something that landed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The commit; `None` while nobody knows it.
    pub sha: Option<Sha>,
    /// The execution that brought it.
    pub execution: ExecutionId,
    /// AWS's id of that execution.
    pub aws_id: String,
    /// The image digests that were known of the execution then.
    pub images: BTreeSet<String>,
    /// When it landed.
    pub at: Timestamp,
    /// The pipeline that brought it.
    #[serde(default)]
    pub pipeline: Option<String>,
    /// When its deploy in this region began.
    #[serde(default)]
    pub began: Option<Timestamp>,
    /// AWS's id of the execution that it stands for, where it is a rollback of a stage.
    #[serde(default)]
    pub goes_back_to: Option<String>,
    /// When the first incident that blames it began.
    #[serde(default)]
    pub blamed_at: Option<Timestamp>,
    /// Whether it was turned back.
    #[serde(default)]
    pub was_turned_back: bool,
}

/// How a run landed in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landing {
    /// When its deploy there began.
    pub began: Option<Timestamp>,
    /// When it had landed.
    pub at: Timestamp,
}

impl EnvironmentState {
    /// One where nothing has landed yet.
    pub fn new(name: &str, region: &str) -> Self {
        Self { name: name.to_owned(), region: region.to_owned(), versions: Vec::new() }
    }

    /// What runs there now.
    pub fn live(&self) -> Option<&Version> {
        self.versions.first()
    }

    /// What runs there now of what `pipeline` brings: one region of an environment may be served by several.
    pub fn live_of(&self, pipeline: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.pipeline.as_deref().is_none_or(|name| name == pipeline))
    }

    /// Takes in what landed. Says whether that is any news.
    ///
    /// The versions stand in the order of their times, so the late news of an older one makes it no live one. An
    /// execution lands once: what is told of it again is taken for the better knowledge, but for what incidents made
    /// of it, which no run can tell.
    pub fn deployed(&mut self, mut version: Version) -> bool {
        let before = self.versions.clone();
        if let Some(known) = self.versions.iter().find(|known| known.execution == version.execution) {
            version.blamed_at = [known.blamed_at, version.blamed_at].into_iter().flatten().min();
            version.was_turned_back |= known.was_turned_back;
        }
        self.versions.retain(|known| known.execution != version.execution);
        let is_newer = |known: &Version| (known.at, &known.execution) > (version.at, &version.execution);
        let place = self.versions.partition_point(is_newer);
        self.versions.insert(place, version);
        let images = self.versions.iter().scan(0, |sum, version| {
            *sum += version.images.len();
            Some(*sum)
        });
        let kept = images.take(VERSIONS_MAX).take_while(|sum| *sum <= IMAGES_MAX).count();
        self.versions.truncate(kept.max(1));
        self.versions != before
    }
}

/// Where a run of `target` has landed in `environment` so far, and when: by region.
pub fn landings(environment: &Environment, target: &Target, observed: &Observed) -> BTreeMap<String, Landing> {
    let is_its = |deploy: &&super::policy::Deploy| deploy.target() == *target;
    let landed = environment.deploys.iter().filter(is_its);
    let landing = |stage: &str| Some(Landing { began: observed.deploy_began(stage), at: observed.passed(stage)? });
    landed.filter_map(|deploy| Some((deploy.region.clone(), landing(&deploy.stage)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::execution::TargetKind;
    use super::*;
    use crate::domain::observed::{Mark, Report, State};
    use crate::domain::policy::Deploy;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn version(execution: &str, second: i64, images: usize) -> Version {
        Version {
            sha: None,
            execution: ExecutionId::named(execution),
            aws_id: format!("aws of {execution}"),
            images: (0..images).map(|number| format!("{execution}@{number}")).collect(),
            at: at(second),
            pipeline: None,
            began: None,
            goes_back_to: None,
            blamed_at: None,
            was_turned_back: false,
        }
    }

    fn after(versions: &[Version]) -> EnvironmentState {
        let mut state = EnvironmentState::new("web-production", "us-east-1");
        for version in versions {
            state.deployed(version.clone());
        }
        state
    }

    #[test]
    fn what_landed_last_is_live_whenever_that_is_heard() {
        let (a, b) = (version("ex-a", 1, 1), version("ex-b", 2, 1));
        let again = version("ex-a", 3, 1);
        let known = Version { sha: Some("a".repeat(40).parse().unwrap()), ..b.clone() };
        #[rustfmt::skip]
        let cases: [(&[Version], &[&str], &str); 7] = [
            (&[],                                        &[],                "nothing has landed"),
            (&[a.clone(), b.clone()],                    &["ex-b", "ex-a"],  "one after the other"),
            (&[b.clone(), a.clone()],                    &["ex-b", "ex-a"],  "the older one is heard of later"),
            (&[a.clone(), b.clone(), b.clone()],         &["ex-b", "ex-a"],  "a repeat is none"),
            (&[a.clone(), b.clone(), again],             &["ex-a", "ex-b"],  "its stage was tried again"),
            (&[version("ex-b", 1, 1), a.clone()],        &["ex-b", "ex-a"],  "two in one second: by their ids"),
            (&[b.clone(), known],                        &["ex-b"],          "what is known better takes its place"),
        ];
        for (versions, expected, why) in cases {
            let state = after(versions);
            let order: Vec<_> = state.versions.iter().map(|version| version.execution.as_str()).collect();
            assert_eq!(order, expected, "{why}");
            assert_eq!(state.live(), state.versions.first(), "{why}");
        }
        let mut state = after(&[a.clone(), b]);
        assert!(!state.deployed(a), "no news");
        assert!(state.deployed(version("ex-c", 0, 0)), "old news is news");
    }

    #[test]
    fn what_incidents_made_of_a_version_stays_when_it_is_told_again() {
        let told = version("ex-a", 1, 1);
        let blamed = |second: i64| Version { blamed_at: Some(at(second)), ..told.clone() };
        let turned_back = Version { was_turned_back: true, ..blamed(5) };
        #[rustfmt::skip]
        let cases = [
            (told.clone(),        told.clone(),  None,        false, "nobody blames it"),
            (blamed(5),           told.clone(),  Some(at(5)), false, "no run tells that it is blamed"),
            (turned_back.clone(), told.clone(),  Some(at(5)), true,  "nor that it was turned back"),
            (told.clone(),        turned_back,   Some(at(5)), true,  "what is news is taken over"),
            (blamed(5),           blamed(9),     Some(at(5)), false, "the first incident counts"),
            (blamed(9),           blamed(5),     Some(at(5)), false, "though it is heard of later"),
        ];
        for (known, again, blamed_at, was_turned_back, why) in cases {
            let state = after(&[known, Version { began: Some(at(0)), ..again }]);
            let live = state.live().unwrap();
            assert_eq!((live.blamed_at, live.was_turned_back), (blamed_at, was_turned_back), "{why}");
            assert_eq!((state.versions.len(), live.began), (1, Some(at(0))), "{why}: the rest is as told last");
        }
        let mut state = after(&[blamed(5)]);
        assert!(!state.deployed(told), "no news");
    }

    #[test]
    fn the_record_is_bounded_and_keeps_what_is_live() {
        let many: Vec<_> = (0..60).map(|number| version(&format!("ex-{number}"), number, 1)).collect();
        let state = after(&many);
        assert_eq!((state.versions.len(), state.live()), (VERSIONS_MAX, many.last()));
        let large: Vec<_> = (0..4).map(|number| version(&format!("ex-{number}"), number, IMAGES_MAX / 2)).collect();
        assert_eq!(after(&large).versions.len(), 2, "by images");
        assert_eq!(
            after(&[version("ex-1", 1, IMAGES_MAX + 1)]).versions.len(),
            1,
            "what is live stays, whatever it weighs"
        );
    }

    #[test]
    fn a_run_lands_where_its_stages_deploy() {
        let deploy = |region: &str, pipeline: &str, stage: &str, home: Option<&str>| Deploy {
            region: region.into(),
            pipeline: pipeline.into(),
            stage: stage.into(),
            pipeline_region: home.map(str::to_owned),
            ecs: None,
            codedeploy: None,
        };
        let environment = Environment {
            deploys: vec![
                deploy("us-east-1", "web", "Primary", None),
                deploy("eu-west-2", "web", "Secondary", Some("us-east-1")),
                deploy("us-west-2", "web", "Primary", None),
                deploy("us-east-1", "other", "Primary", None),
            ],
            ..Environment::default()
        };
        let target = |kind, name: &str, region: &str| Target { kind, name: name.into(), region: region.into() };
        let web = target(TargetKind::Pipeline, "web", "us-east-1");
        let mut observed = Observed::default();
        let mut pass = |stage: &str, second: i64, states: &[State]| {
            for (later, state) in (0..).zip(states) {
                let mark = Mark { attempt: 1, at: at(second + later), state: *state };
                observed.fold(&Report::Stage { stage: stage.into(), mark });
            }
            observed.clone()
        };
        let first = pass("Primary", 0, &[State::Started, State::Succeeded]);
        let both = pass("Secondary", 2, &[State::Succeeded]);
        let landed = |target: &Target, observed: &Observed| {
            let all = landings(&environment, target, observed);
            let seconds = |when: Timestamp| when.duration_since(at(0)).as_secs();
            let shown = |landing: Landing| (landing.began.map_or(-1, seconds), seconds(landing.at));
            all.into_iter()
                .map(|(region, landing)| (shown(landing), region))
                .map(|((began, at), region)| format!("{region} {began} to {at}"))
                .collect::<Vec<_>>()
        };
        #[rustfmt::skip]
        let cases: [(Target, &Observed, &[&str], &str); 6] = [
            (web.clone(), &Observed::default(), &[],                             "it has come through nothing"),
            (web.clone(), &first,               &["us-east-1 0 to 1"],           "the first region"),
            (web,         &both,                &["eu-west-2 -1 to 2", "us-east-1 0 to 1"], "then the second, from the pipeline's home; when it began there nobody knows"),
            (target(TargetKind::Pipeline, "web", "us-west-2"), &both, &["us-west-2 0 to 1"], "a pipeline of that name elsewhere is another"),
            (target(TargetKind::Pipeline, "api", "us-east-1"), &both, &[],       "a pipeline that brings nothing here"),
            (target(TargetKind::Build, "web", "us-east-1"),    &both, &[],       "a build has no stages"),
        ];
        for (target, observed, expected, why) in cases {
            assert_eq!(landed(&target, observed), expected, "{why}");
        }
    }

    proptest! {
        #[test]
        fn order_and_repetition_make_no_difference(
            landed in proptest::collection::vec(0..8u8, 0..12),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            // Each execution lands at one time.
            let versions: Vec<_> =
                landed.iter().map(|id| version(&format!("ex-{id}"), i64::from(id % 3), 1)).collect();
            let picks = picks.iter().filter(|_| !versions.is_empty());
            let mut others: Vec<_> = picks.map(|pick| pick.get(&versions).clone()).collect();
            others.extend(versions.iter().rev().cloned());
            prop_assert_eq!(after(&versions), after(&others));
        }
    }
}
