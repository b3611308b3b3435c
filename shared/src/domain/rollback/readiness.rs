//! Whether a step would work now: asked before anything is wrong, so that nobody learns it in the night.
//!
//! It is a forecast. A rollback asks AWS itself, and writes down what AWS says.

use super::Step;
use crate::domain::change::Sha;
use crate::domain::shown;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What of a pipeline decides whether RollbackStage can go back to a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Whether the pipeline is of type V2.
    pub is_v2: bool,
    /// Whether its executions run side by side.
    pub is_parallel: bool,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// Where the stage stands; `None`: there is no such stage (any more).
    pub place: Option<usize>,
    /// Whether AWS lists the version's execution among those that came through the stage well; then, whether it was a
    /// rollback itself.
    pub listed: Option<bool>,
    /// Whether that execution started in the pipeline's present structure; `None`: AWS does not tell.
    pub is_of_this_structure: Option<bool>,
}

/// A step, and whether it would work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReady {
    /// Which one.
    pub step: Step,
    /// Why it would not; `None`: nothing is known against it.
    pub cannot: Option<String>,
}

/// How ready one region of an environment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The environment.
    pub environment: String,
    /// The AWS region.
    pub region: String,
    /// What is live there.
    pub live: Option<Sha>,
    /// The version that it would go back to.
    pub to: Option<Sha>,
    /// The step that would bring it there now; `None`: none would.
    pub step: Option<Step>,
    /// Every step, the best first, and why it would not work.
    pub steps: Vec<StepReady>,
    /// Why it could not be turned back at all.
    pub problem: Option<String>,
    /// When this was found so first.
    pub at: Timestamp,
}

impl Ready {
    /// Whether another look found the same, the time apart.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { at: self.at, ..other.clone() } == *self
    }
}

/// Why RollbackStage would not work; `None`: nothing is known against it.
///
/// Source: the rules of RollbackStage in CodePipeline's user guide; an edit of the pipeline ends every candidate.
pub fn cannot_roll_back(stage: &Stage) -> Option<String> {
    if !stage.is_v2 {
        return Some("the pipeline is of type V1".to_owned());
    }
    if stage.is_parallel {
        return Some("the pipeline is in mode PARALLEL".to_owned());
    }
    match stage.place {
        None => return Some("the pipeline has no such stage any more".to_owned()),
        Some(0) => return Some("it is the pipeline's first stage".to_owned()),
        Some(_) => {}
    }
    match (stage.listed, stage.is_of_this_structure, stage.edited_at) {
        (Some(false), Some(true) | None, _) => None,
        (Some(true), ..) => Some("the version was brought by a rollback itself".to_owned()),
        (_, Some(false), Some(at)) => Some(format!("the pipeline was edited on {}", shown::utc(at))),
        (_, Some(false), None) => Some("the pipeline was edited since".to_owned()),
        (None, Some(true) | None, _) => {
            Some("AWS does not list the version as having come through the stage".to_owned())
        }
    }
}

/// The first step that would work.
pub fn first_that_works(steps: &[StepReady]) -> Option<Step> {
    steps.iter().find(|ready| ready.cannot.is_none()).map(|ready| ready.step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_goes_back_where_awss_rules_allow_it() {
        let fine = Stage {
            is_v2: true,
            is_parallel: false,
            edited_at: Timestamp::from_second(1_800_000_000).ok(),
            place: Some(2),
            listed: Some(false),
            is_of_this_structure: Some(true),
        };
        let edited = Stage { listed: None, is_of_this_structure: Some(false), ..fine.clone() };
        #[rustfmt::skip]
        let cases = [
            (fine.clone(),                                          None,                                   "as it should be"),
            (Stage { is_of_this_structure: None, ..fine.clone() },  None,                                   "AWS lists it, which says enough"),
            (Stage { is_v2: false, ..fine.clone() },                Some("the pipeline is of type V1"),     "V1 has no rollbacks"),
            (Stage { is_parallel: true, ..fine.clone() },           Some("the pipeline is in mode PARALLEL"), "nor has this mode"),
            (Stage { place: Some(0), ..fine.clone() },              Some("it is the pipeline's first stage"), "a source has nothing to go back to"),
            (Stage { place: None, ..fine.clone() },                 Some("the pipeline has no such stage any more"), "it was renamed"),
            (Stage { listed: Some(true), ..fine.clone() },          Some("the version was brought by a rollback itself"), "AWS goes back to none"),
            (edited.clone(),                                        Some("the pipeline was edited on 15 Jan 2027, 08:00 UTC"), "every edit ends all of them"),
            (Stage { listed: Some(false), ..edited.clone() },       Some("the pipeline was edited on 15 Jan 2027, 08:00 UTC"), "the list may be older than the edit"),
            (Stage { edited_at: None, ..edited },                   Some("the pipeline was edited since"),  "AWS does not say when"),
            (Stage { listed: None, ..fine },                        Some("AWS does not list the version as having come through the stage"), "it failed there, or was too long ago"),
        ];
        for (stage, expected, why) in cases {
            assert_eq!(cannot_roll_back(&stage).as_deref(), expected, "{why}");
        }
    }

    #[test]
    fn the_first_step_that_nothing_speaks_against_is_the_one() {
        let ready = |step, cannot: Option<&str>| StepReady { step, cannot: cannot.map(str::to_owned) };
        let steps = [ready(Step::RollbackStage, Some("edited")), ready(Step::Start, None), ready(Step::Deploy, None)];
        assert_eq!(first_that_works(&steps), Some(Step::Start));
        assert_eq!(first_that_works(&steps[..1]), None);
    }
}
