//! What AWS reports of one execution, folded from its events in any order and any number of times.
//!
//! EventBridge delivers at least once and in no order, so the fold is a join: every field keeps the greatest
//! report by (attempt, time, rank), and merging is commutative, associative and idempotent.

use super::change::Sha;
use super::execution::{StageBack, Status};
use super::image::digests_in;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// CodePipeline's category of the actions that wait for people.
pub const APPROVAL: &str = "Approval";
/// CodePipeline's category of the actions that deploy.
const DEPLOY: &str = "Deploy";

/// A state as CodePipeline's events name it; CodeBuild's are read into the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    // The order is the rank: of two states reported for one second, the later one in this list counts.
    /// It began.
    Started,
    /// It was begun again after a failure.
    Resumed,
    /// It is being stopped.
    Stopping,
    /// Stopped, at a stage that was abandoned.
    Abandoned,
    /// A newer one took its place.
    Superseded,
    /// Stopped.
    Stopped,
    /// Cancelled: the pipeline was edited.
    Canceled,
    /// It failed.
    Failed,
    /// It succeeded.
    Succeeded,
}

impl State {
    /// Whether nothing more follows, a retry apart.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Started | Self::Resumed | Self::Stopping)
    }
}

/// One report of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    // The order of the fields is the order of comparison.
    /// Which attempt; 1 where AWS does not say.
    pub attempt: u32,
    /// When. Events have whole seconds.
    pub at: Timestamp,
    /// Which state.
    pub state: State,
}

/// A stage or an action: its latest state, and when its latest attempt began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The latest report.
    pub mark: Mark,
    /// When the attempt of `began.0` began.
    pub began: Option<(u32, Timestamp)>,
}

impl Progress {
    fn of(mark: Mark) -> Self {
        let began = matches!(mark.state, State::Started | State::Resumed).then_some((mark.attempt, mark.at));
        Self { mark, began }
    }

    fn merge(&mut self, other: &Self) {
        self.mark = self.mark.max(other.mark);
        self.began = match (self.began, other.began) {
            // The latest attempt, and of that the earliest report.
            (Some(mine), Some(theirs)) if mine.0 == theirs.0 => Some(mine.min(theirs)),
            (mine, theirs) => mine.max(theirs),
        };
    }

    /// When it ended, if it has.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.mark.state.is_over().then_some(self.mark.at)
    }
}

/// An action: its progress, and where its work can be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Latest state and beginning.
    pub progress: Progress,
    /// `Source`, `Build`, `Approval` …
    pub category: String,
    /// The provider's id of the work, such as a build id. From the latest report that had one.
    pub link: Option<Link>,
}

/// Where an action's work can be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// When it was reported.
    pub at: Timestamp,
    /// The provider's id.
    pub id: String,
    /// The provider's page.
    pub url: Option<String>,
    /// What the provider says of the result.
    pub summary: Option<String>,
}

impl Link {
    /// Whether an action of this category may have one. An approval may not: its id can be the token that answers it,
    /// in PARALLEL mode. An action whose category is not told may be an approval.
    pub fn is_for(category: &str) -> bool {
        !matches!(category, "" | APPROVAL)
    }
}

/// Who or what started an execution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Trigger {
    /// CodePipeline's `triggerType`, such as `StartPipelineExecution`; for a build, `StartBuild`.
    pub kind: String,
    /// The caller's ARN, the webhook's ARN …
    pub detail: String,
}

/// Everything AWS has reported of one execution so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The execution itself.
    pub whole: Option<Progress>,
    /// Its stages by name.
    #[serde(default)]
    pub stages: BTreeMap<String, Progress>,
    /// Its actions by `STAGE/ACTION`; neither name can hold a slash.
    #[serde(default)]
    pub actions: BTreeMap<String, Action>,
    /// Who started it.
    pub trigger: Option<Trigger>,
    /// The commits of its sources.
    #[serde(default)]
    pub revisions: BTreeMap<String, String>,
    /// Its output variables by `NAMESPACE-OR-ACTION.NAME`.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// AWS's id of the execution that it goes back to: empty where AWS does not tell, `None` for what is not known to
    /// be a rollback.
    #[serde(default)]
    pub rolls_back_to: Option<String>,
}

/// One thing that AWS reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The execution changed its state.
    Whole {
        /// To what.
        mark: Mark,
        /// Who started it, where the event says so.
        trigger: Option<Trigger>,
    },
    /// A stage did.
    Stage {
        /// Its name.
        stage: String,
        /// To what.
        mark: Mark,
    },
    /// An action did.
    Action {
        /// Its stage.
        stage: String,
        /// Its name.
        action: String,
        /// Its category.
        category: String,
        /// To what.
        mark: Mark,
        /// Where to look.
        link: Option<Link>,
    },
}

impl Observed {
    /// Folds one report in.
    pub fn fold(&mut self, report: &Report) {
        let mut one = Self::default();
        match report {
            Report::Whole { mark, trigger } => {
                one.whole = Some(Progress::of(*mark));
                one.trigger = trigger.clone();
            }
            Report::Stage { stage, mark } => {
                one.stages.insert(stage.clone(), Progress::of(*mark));
            }
            Report::Action { stage, action, category, mark, link } => {
                let seen = Action { progress: Progress::of(*mark), category: category.clone(), link: link.clone() };
                one.actions.insert(format!("{stage}/{action}"), seen);
            }
        }
        self.merge(&one);
    }

    /// Takes over what the API says of the whole when asked. An end that it knows wins over every report so far, since
    /// the reports of that end may be lost; a retry that is reported later begins a new attempt and wins over it.
    pub fn conclude(&mut self, asked: &Self) {
        self.merge(asked);
        let said = asked.whole.as_ref().map(|whole| whole.mark).filter(|mark| mark.state.is_over());
        if let (Some(said), Some(whole)) = (said, &mut self.whole) {
            whole.mark = Mark { attempt: whole.mark.attempt, at: whole.mark.at.max(said.at), state: said.state };
        }
    }

    /// Joins what two of these know. Order and repetition make no difference.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.whole, &other.whole) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, theirs) => mine.clone_from(theirs),
            (Some(_), None) => {}
        }
        for (name, theirs) in &other.stages {
            self.stages.entry(name.clone()).and_modify(|mine| mine.merge(theirs)).or_insert_with(|| theirs.clone());
        }
        for (name, theirs) in &other.actions {
            match self.actions.get_mut(name) {
                Some(mine) => {
                    mine.progress.merge(&theirs.progress);
                    mine.link = mine.link.clone().max(theirs.link.clone());
                    mine.category = std::mem::take(&mut mine.category).max(theirs.category.clone());
                }
                None => {
                    self.actions.insert(name.clone(), theirs.clone());
                }
            }
        }
        self.trigger = self.trigger.clone().max(other.trigger.clone());
        join_texts(&mut self.revisions, &other.revisions);
        join_texts(&mut self.outputs, &other.outputs);
        if other.rolls_back_to > self.rolls_back_to {
            self.rolls_back_to.clone_from(&other.rolls_back_to);
        }
    }

    /// The status that follows, or `None` while AWS has reported nothing.
    ///
    /// A stage or an action that runs tells of a running execution, though the execution's own event is still on
    /// its way.
    pub fn status(&self) -> Option<Status> {
        let is_empty = self.stages.is_empty() && self.actions.is_empty();
        let Some(whole) = &self.whole else {
            return (!is_empty).then(|| self.status_while_running());
        };
        Some(match whole.mark.state {
            State::Started | State::Resumed | State::Stopping => self.status_while_running(),
            State::Succeeded => Status::Succeeded,
            State::Failed => Status::Failed,
            State::Superseded => Status::Superseded,
            State::Stopped | State::Canceled | State::Abandoned => Status::Stopped,
        })
    }

    fn status_while_running(&self) -> Status {
        let is_asked = |action: &Action| {
            action.category == APPROVAL && matches!(action.progress.mark.state, State::Started | State::Resumed)
        };
        if self.actions.values().any(is_asked) { Status::AwaitingApproval } else { Status::Running }
    }

    /// When the run came through a stage, if it has: as the stage's own report says. Once the whole has succeeded, that
    /// report may be lost; then the stage ended with its last action, or with the whole. A rollback runs through one
    /// stage only, so nothing is concluded for a stage of which nothing was reported.
    pub fn passed(&self, stage: &str) -> Option<Timestamp> {
        let succeeded = |progress: &&Progress| progress.mark.state == State::Succeeded;
        let reported = self.stages.get(stage);
        if let Some(progress) = reported.filter(succeeded) {
            return Some(progress.mark.at);
        }
        let whole = self.whole.as_ref().filter(succeeded)?;
        let last = self.actions_in(stage).map(|action| action.progress.mark.at).max();
        last.or((reported.is_some() || !self.is_rollback()).then_some(whole.mark.at))
    }

    /// Whether the run is inside a stage: it came in, and neither the stage nor the whole has ended.
    pub fn is_inside(&self, stage: &str) -> bool {
        let is_over = |progress: &Progress| progress.mark.state.is_over();
        self.stages.get(stage).is_some_and(|progress| !is_over(progress)) && !self.whole.as_ref().is_some_and(is_over)
    }

    /// When the run ended badly inside a stage, if it did: it failed there, or was stopped.
    pub fn failed_in(&self, stage: &str) -> Option<Timestamp> {
        let mark = self.stages.get(stage)?.mark;
        (mark.state.is_over() && mark.state != State::Succeeded).then_some(mark.at)
    }

    /// The id of CodeDeploy's deployment that a stage made: the only one that its actions name.
    pub fn deployment_in<'a>(&'a self, stage: &'a str) -> Option<&'a str> {
        let links =
            self.actions_in(stage).filter(|action| action.category == DEPLOY).filter_map(|action| action.link.as_ref());
        let mut ids = links.map(|link| link.id.as_str()).filter(|id| id.starts_with("d-"));
        ids.next().filter(|_| ids.next().is_none())
    }

    /// When the deploy in a stage began: with the first of its actions of category Deploy, else with the stage.
    ///
    /// Of a stage that was tried again, what was not repeated began in an earlier attempt. Of an action whose beginning
    /// was not reported the stage's is taken.
    pub fn deploy_began(&self, stage: &str) -> Option<Timestamp> {
        let of_stage = self.stages.get(stage).and_then(|progress| progress.began).map(|(_, at)| at);
        let began = |action: &Action| action.progress.began.map(|(_, at)| at).or(of_stage);
        let deploys = self.actions_in(stage).filter(|action| action.category == DEPLOY);
        deploys.filter_map(began).min().or(of_stage)
    }

    /// Whether it is a rollback of a stage.
    pub fn is_rollback(&self) -> bool {
        self.rolls_back_to.is_some() || self.trigger.as_ref().is_some_and(|trigger| trigger.kind.ends_with("Rollback"))
    }

    /// The rollback of a stage that it is, once AWS has told which one.
    pub fn rolls_back(&self) -> Option<StageBack> {
        let to = self.rolls_back_to.as_ref().filter(|to| !to.is_empty())?;
        // It runs through one stage only.
        let of_actions = self.actions.keys().filter_map(|name| name.split_once('/')).map(|(stage, _)| stage);
        let stage = self.stages.keys().map(String::as_str).chain(of_actions).next()?;
        Some(StageBack { stage: stage.to_owned(), to: to.clone() })
    }

    fn actions_in<'a>(&'a self, stage: &'a str) -> impl Iterator<Item = &'a Action> {
        let is_in = move |name: &str| name.split_once('/').is_some_and(|(its, _)| its == stage);
        self.actions.iter().filter(move |(name, _)| is_in(name)).map(|(_, action)| action)
    }

    /// The commit of a run that no push of ours started: its only source revision that is one.
    pub fn commit(&self) -> Option<Sha> {
        let mut commits = self.revisions.values().filter_map(|revision| revision.parse::<Sha>().ok());
        commits.next().filter(|first| commits.all(|other| other == *first))
    }

    /// Whether it has come through any stage.
    pub fn has_passed_any(&self) -> bool {
        self.whole.iter().chain(self.stages.values()).any(|progress| progress.mark.state == State::Succeeded)
    }

    /// The image digests among the output variables, as they stand there.
    pub fn digests(&self) -> impl Iterator<Item = &str> {
        self.outputs.values().flat_map(|value| digests_in(value))
    }
}

fn join_texts(mine: &mut BTreeMap<String, String>, theirs: &BTreeMap<String, String>) {
    for (name, value) in theirs {
        let slot = mine.entry(name.clone()).or_default();
        if value > slot {
            slot.clone_from(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(attempt: u32, second: i64, state: State) -> Mark {
        Mark { attempt, at: Timestamp::from_second(second).unwrap(), state }
    }

    fn whole(attempt: u32, second: i64, state: State) -> Report {
        Report::Whole { mark: mark(attempt, second, state), trigger: None }
    }

    fn approval(second: i64, state: State) -> Report {
        Report::Action {
            stage: "Approve".into(),
            action: "Ask".into(),
            category: APPROVAL.into(),
            mark: mark(1, second, state),
            link: None,
        }
    }

    #[test]
    fn the_status_follows_from_the_latest_report() {
        use State::*;
        #[rustfmt::skip]
        let cases: [(&[Report], Option<Status>, &str); 9] = [
            (&[],                                                     None,                           "nothing was reported"),
            (&[whole(1, 1, Started)],                                 Some(Status::Running),          "it began"),
            (&[whole(1, 1, Started), whole(1, 1, Succeeded)],         Some(Status::Succeeded),        "both within one second: the later rank counts"),
            (&[whole(1, 9, Failed), whole(2, 9, Resumed)],            Some(Status::Running),          "a retry in the second of the failure is a new attempt"),
            (&[whole(1, 5, Failed), whole(1, 7, Resumed)],            Some(Status::Running),          "a retry without an attempt number is later"),
            (&[approval(3, Started)],                                 Some(Status::AwaitingApproval), "the execution's own event is still on its way"),
            (&[whole(1, 1, Started), approval(3, Started), approval(4, Succeeded)], Some(Status::Running), "answered"),
            (&[whole(1, 8, Stopped), approval(3, Started)],           Some(Status::Stopped),          "what has ended asks nobody"),
            (&[whole(1, 8, Canceled)],                                Some(Status::Stopped),          "the pipeline was edited"),
        ];
        for (reports, expected, why) in cases {
            for reversed in [false, true] {
                let mut observed = Observed::default();
                let mut order: Vec<_> = reports.iter().collect();
                if reversed {
                    order.reverse();
                }
                order.into_iter().for_each(|report| observed.fold(report));
                assert_eq!(observed.status(), expected, "{why} (reversed: {reversed})");
            }
        }
    }

    #[test]
    fn an_end_that_the_api_knows_wins_over_the_reports_so_far() {
        let mut observed = Observed::default();
        for report in [whole(1, 1, State::Started), whole(1, 5, State::Failed), whole(2, 9, State::Resumed)] {
            observed.fold(&report);
        }
        let mut asked = Observed::default();
        asked.fold(&whole(1, 7, State::Succeeded));
        observed.conclude(&asked);
        assert_eq!(observed.status(), Some(Status::Succeeded), "the end of the second attempt was lost");
        let mut running = Observed::default();
        running.fold(&whole(1, 1, State::Started));
        observed.conclude(&running);
        assert_eq!(observed.status(), Some(Status::Succeeded), "a running one says nothing new");
        observed.fold(&whole(3, 9, State::Resumed));
        assert_eq!(observed.status(), Some(Status::Running), "a third attempt");
    }

    #[test]
    fn a_stage_is_passed_when_it_says_so_or_when_the_whole_succeeded() {
        use State::*;
        let stage = |second: i64, state| Report::Stage { stage: "Deploy".into(), mark: mark(1, second, state) };
        let action = |stage: &str, second: i64, state| Report::Action {
            stage: stage.into(),
            action: "Ship".into(),
            category: "Deploy".into(),
            mark: mark(1, second, state),
            link: None,
        };
        let began = |kind: &str| Report::Whole {
            mark: mark(1, 1, Started),
            trigger: Some(Trigger { kind: kind.into(), detail: String::new() }),
        };
        let person = || began("StartPipelineExecution");
        #[rustfmt::skip]
        let cases: [(&[Report], Option<i64>, &str); 10] = [
            (&[],                                                                             None,    "nothing was reported"),
            (&[stage(3, Started)],                                                            None,    "it is in it"),
            (&[stage(3, Started), stage(5, Succeeded)],                                       Some(5), "the stage says so"),
            (&[stage(3, Succeeded), whole(1, 9, Succeeded)],                                  Some(3), "its own time counts"),
            (&[stage(3, Failed), whole(1, 9, Failed)],                                        None,    "it failed there"),
            (&[stage(3, Failed), stage(7, Succeeded), whole(2, 8, Resumed)],                  Some(7), "and was tried again"),
            (&[stage(3, Started), action("Deploy", 6, Succeeded), whole(1, 9, Succeeded)],    Some(6), "its report was lost: it ended with its last action"),
            (&[person(), whole(1, 9, Succeeded)],                                             Some(9), "all of its reports were lost"),
            (&[began("ManualRollback"), action("Other", 6, Succeeded), whole(1, 9, Succeeded)], None,  "a rollback of another stage"),
            (&[began("AutomatedRollback"), stage(4, Started), whole(1, 9, Succeeded)],        Some(9), "a rollback of this one"),
        ];
        for (reports, expected, why) in cases {
            let mut observed = Observed::default();
            reports.iter().for_each(|report| observed.fold(report));
            assert_eq!(observed.passed("Deploy").map(Timestamp::as_second), expected, "{why}");
            assert!(expected.is_none() || observed.has_passed_any(), "{why}");
        }
        let mut back = Observed { rolls_back_to: Some("good".into()), ..Observed::default() };
        back.fold(&action("Other", 6, Succeeded));
        back.fold(&whole(1, 9, Succeeded));
        assert_eq!(back.passed("Deploy"), None, "a rollback of another stage, whose trigger was not reported");
    }

    #[test]
    fn a_deploy_begins_with_the_first_action_that_deploys() {
        use State::*;
        let stage =
            |attempt, second: i64, state| Report::Stage { stage: "Deploy".into(), mark: mark(attempt, second, state) };
        let action = |name: &str, category: &str, attempt, second: i64, state| {
            let (stage, action) = name.split_once('/').unwrap();
            Report::Action {
                stage: stage.into(),
                action: action.into(),
                category: category.into(),
                mark: mark(attempt, second, state),
                link: None,
            }
        };
        #[rustfmt::skip]
        let cases: [(&[Report], Option<i64>, &str); 8] = [
            (&[],                                                                                                 None,    "nothing was reported"),
            (&[stage(1, 3, Started)],                                                                             Some(3), "of its actions nothing was reported yet"),
            (&[stage(1, 3, Started), action("Deploy/Smoke", "Test", 1, 4, Started)],                              Some(3), "none of its actions deploys"),
            (&[stage(1, 3, Started), action("Deploy/Lock", "Invoke", 1, 4, Started), action("Deploy/A", "Deploy", 1, 6, Started)], Some(6), "what comes before the deploy is none"),
            (&[stage(1, 3, Started), action("Deploy/B", "Deploy", 1, 7, Started), action("Deploy/A", "Deploy", 1, 6, Started)], Some(6), "the first of two"),
            (&[stage(1, 3, Started), action("Other/A", "Deploy", 1, 1, Started)],                                 Some(3), "another stage's is another"),
            (&[stage(1, 3, Started), action("Deploy/A", "Deploy", 1, 5, Succeeded), action("Deploy/B", "Deploy", 1, 7, Started)], Some(3), "the beginning of the first was not reported"),
            (&[stage(1, 3, Started), action("Deploy/A", "Deploy", 1, 4, Started), action("Deploy/B", "Deploy", 1, 4, Started), stage(2, 9, Resumed), action("Deploy/B", "Deploy", 2, 9, Started)], Some(4), "one of two was tried again: the other one stands"),
        ];
        for (reports, expected, why) in cases {
            let mut observed = Observed::default();
            reports.iter().for_each(|report| observed.fold(report));
            assert_eq!(observed.deploy_began("Deploy").map(Timestamp::as_second), expected, "{why}");
        }
    }

    #[test]
    fn a_rollback_of_a_stage_is_told_by_what_it_goes_back_to_and_where_it_runs() {
        let stage = || Report::Stage { stage: "Deploy".into(), mark: mark(1, 3, State::Started) };
        let action = || Report::Action {
            stage: "Deploy".into(),
            action: "Ship".into(),
            category: "Deploy".into(),
            mark: mark(1, 4, State::Started),
            link: None,
        };
        #[rustfmt::skip]
        let cases = [
            (Some("good"), vec![],                  false, "of which stage, nobody knows yet"),
            (Some("good"), vec![stage()],           true,  "its stage tells"),
            (Some("good"), vec![action()],          true,  "an action of its stage tells"),
            (Some(""),     vec![stage()],           false, "to which execution, AWS does not tell"),
            (None,         vec![stage(), action()], false, "no rollback"),
        ];
        for (to, reports, is_known, why) in cases {
            let mut observed = Observed::default();
            reports.iter().for_each(|report| observed.fold(report));
            observed.merge(&Observed { rolls_back_to: to.map(str::to_owned), ..Observed::default() });
            let back = is_known.then(|| StageBack { stage: "Deploy".into(), to: "good".into() });
            assert_eq!(observed.rolls_back(), back, "{why}");
            assert_eq!(observed.is_rollback(), to.is_some(), "{why}");
        }
    }

    #[test]
    fn digests_are_found_in_any_output() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        #[rustfmt::skip]
        let cases = [
            (digest.clone(),                              1, "alone"),
            (format!("host/shop@{digest}"),               1, "in an image's name"),
            (format!("{digest} {digest}"),                2, "twice"),
            (format!("{digest}0"),                        0, "a digit too many"),
            (digest.to_uppercase(),                       0, "digests are lowercase"),
            ("sha256:é".to_owned(),                       0, "cut in a character"),
        ];
        for (value, count, why) in cases {
            let observed = Observed { outputs: [("a".to_owned(), value)].into(), ..Observed::default() };
            assert_eq!(observed.digests().count(), count, "{why}");
        }
    }

    fn any_report() -> impl Strategy<Value = Report> {
        use State::*;
        let state = prop::sample::select(vec![
            Started, Resumed, Stopping, Abandoned, Superseded, Stopped, Canceled, Failed, Succeeded,
        ]);
        let any_mark = (1u32..3, 0i64..5, state).prop_map(|(attempt, second, state)| mark(attempt, second, state));
        (any_mark, 0..3, prop::sample::select(vec!["A", "B"])).prop_map(|(mark, kind, name)| match kind {
            0 => Report::Whole { mark, trigger: Some(Trigger { kind: name.into(), detail: String::new() }) },
            1 => Report::Stage { stage: name.into(), mark },
            _ => Report::Action {
                stage: "S".into(),
                action: name.into(),
                category: "Build".into(),
                mark,
                link: Some(Link { at: mark.at, id: name.into(), url: None, summary: None }),
            },
        })
    }

    proptest! {
        #[test]
        fn order_and_repetition_make_no_difference(
            reports in proptest::collection::vec(any_report(), 0..12),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut straight = Observed::default();
            reports.iter().for_each(|report| straight.fold(report));
            let mut shuffled = Observed::default();
            if !reports.is_empty() {
                picks.iter().for_each(|pick| shuffled.fold(pick.get(&reports)));
            }
            reports.iter().rev().for_each(|report| shuffled.fold(report));
            prop_assert_eq!(straight, shuffled);
        }
    }
}
