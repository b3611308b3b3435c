//! Which step comes next: decided from the record and from what AWS said a moment ago.
//!
//! The order is fixed. The way into the stage is closed first, since a stage that is stopped lets the next one in. What is
//! in flight is stopped. Then the first means that works turns the version back, and what runs is looked at before
//! anything says so.

use super::{Phase, Proof, Rollback, STEP_MAX, Step, Version, Worker};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// How long after a stop what runs may stay unsteady with no deployment in flight: its tasks may never come to rest. Then
/// the next step is taken.
const UNSTEADY_AFTER_STOP_MAX: SignedDuration = SignedDuration::from_mins(5);

/// How things stand at AWS, read just before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The execution that was the last one inside the stage.
    pub inside: Option<Inside>,
    /// The executions that wait to enter it, by AWS's ids, the first one first.
    pub waiting: Vec<String>,
    /// AWS's id of what the ledger says is live there.
    pub live: Option<Live>,
    /// The deployment that is in flight there, where ECS or CodeDeploy is configured.
    pub in_flight: Option<Worker>,
    /// Whether that is a rollback of the service's own: then it is followed, and not stopped.
    pub is_undoing: bool,
    /// What runs.
    pub runs: Runs,
    /// How far the work of the present step is; [`Work::None`] where no step is under way.
    pub work: Work,
}

/// The last execution inside a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// AWS's id.
    pub aws_id: String,
    /// Whether the stage still runs it.
    pub is_running: bool,
    /// Whether it is one of ours that brings a version back.
    pub is_rollback: bool,
    /// Whether it goes to the environment that is turned back: a pipeline may serve several.
    pub is_its: bool,
}

/// What is live, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// AWS's id of the execution that brought it.
    pub aws_id: String,
    /// Its commit.
    pub digits: String,
    /// Whether it is the version that is to be turned back.
    pub is_blamed: bool,
}

/// What runs in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// Images with these digests.
    Images {
        /// `sha256:…`
        digests: BTreeSet<String>,
        /// Whether nothing is changing.
        is_steady: bool,
    },
    /// There is no way to see it.
    Unseen {
        /// Why.
        why: String,
    },
}

/// How far the work of a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// None is under way.
    None,
    /// AWS was asked, and nobody knows yet whether it took the request.
    Unanswered,
    /// It did take it: this does the work.
    Taken(Worker),
    /// It certainly did not take it.
    NotTaken {
        /// Why, in AWS's words.
        why: String,
    },
    /// It is under way.
    Going {
        /// AWS's id of the execution that does it, where one does.
        aws_id: Option<String>,
    },
    /// It ended well, and should have brought these images, where they are known.
    Succeeded {
        /// `None`: the images of the version that it goes back to.
        images: Option<BTreeSet<String>>,
    },
    /// It ended, and did not bring anything.
    Failed {
        /// Why.
        why: String,
    },
    /// Nobody can know what became of it.
    Unknown {
        /// What is known.
        why: String,
    },
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Move {
    /// Nothing: it is over.
    Nothing,
    /// Close the way into the stage.
    Hold,
    /// Ask AWS for this step.
    Take(Step),
    /// A request that was asked for is under way.
    Follow(Step, Worker),
    /// The step did not bring it back: write down why, and choose again.
    Fall(Step, String),
    /// Let the execution with this id of AWS's through the closed way.
    LetIn(String),
    /// Look again later.
    Wait,
    /// It is back.
    Finish(Option<Step>, Proof),
    /// There is nothing to turn back any more.
    Cancel(String),
    /// A person must act.
    Person(String),
}

/// Decides what comes next. The same record and the same facts always make the same move.
pub fn next(rollback: &Rollback, facts: &Facts, now: Timestamp) -> Move {
    match &rollback.phase {
        Phase::Done { .. } | Phase::Cancelled { .. } | Phase::Person { .. } => Move::Nothing,
        Phase::Claimed => Move::Hold,
        Phase::Choosing => choose(rollback, facts, now),
        Phase::Asked { step, since } | Phase::Going { step, since, .. } => follow(rollback, facts, *step, *since, now),
    }
}

fn choose(rollback: &Rollback, facts: &Facts, now: Timestamp) -> Move {
    let is_first = rollback.accepted_at.is_none() && rollback.tried.is_empty();
    let is_inside =
        facts.inside.as_ref().is_some_and(|inside| inside.is_running && inside.aws_id == rollback.from.aws_id);
    if is_first
        && !is_inside
        && let Some(over) = nothing_left(rollback, facts)
    {
        return over;
    }
    // Another region's rollback, which comes through this stage too, or another environment's execution.
    let is_others = |inside: &Inside| inside.is_running && (inside.is_rollback || !inside.is_its);
    if facts.inside.as_ref().is_some_and(is_others) {
        return match now.duration_since(rollback.claimed_at) >= STEP_MAX {
            true => Move::Person("the stage was kept busy by somebody else all the time".to_owned()),
            false => Move::Wait,
        };
    }
    if let Some(undoing) = facts.in_flight.as_ref().filter(|_| facts.is_undoing && !rollback.has_tried(Step::Stop)) {
        return Move::Follow(Step::Stop, undoing.clone());
    }
    let is_busy = facts.in_flight.is_some() || facts.inside.as_ref().is_some_and(|inside| inside.is_running);
    if is_busy && !rollback.has_tried(Step::Stop) {
        return Move::Take(Step::Stop);
    }
    match Step::LADDER.into_iter().find(|step| !rollback.has_tried(*step)) {
        Some(step) => Move::Take(step),
        None => {
            let last = rollback.tried.last().map(|tried| tried.why.as_str()).unwrap_or_default();
            Move::Person(format!("no step brought it back; the last one: {last}"))
        }
    }
}

/// What ends it before anything was done: it is back already, or another version is live by now.
fn nothing_left(rollback: &Rollback, facts: &Facts) -> Option<Move> {
    let is_moving = facts.in_flight.is_some();
    if !is_moving && let Some(digests) = is_back(&rollback.to.images, &rollback.from, &facts.runs) {
        return Some(Move::Finish(None, Proof::Images { digests }));
    }
    match &facts.live {
        Some(live) if !live.is_blamed => {
            Some(Move::Cancel(format!("{} runs {} by now", rollback.environment, live.digits)))
        }
        None if !is_moving => Some(Move::Cancel(format!("nothing has landed in {}", rollback.region))),
        Some(_) | None => None,
    }
}

fn follow(rollback: &Rollback, facts: &Facts, step: Step, since: Timestamp, now: Timestamp) -> Move {
    let is_late = now.duration_since(since) >= STEP_MAX;
    // Asked for again, a stop would stop what undoes the deployment.
    if let (Step::Stop, Work::Unanswered, true, Some(undoing)) = (step, &facts.work, facts.is_undoing, &facts.in_flight)
    {
        return Move::Follow(step, undoing.clone());
    }
    match &facts.work {
        Work::Taken(worker) => Move::Follow(step, worker.clone()),
        Work::NotTaken { why } | Work::Failed { why } => Move::Fall(step, why.clone()),
        Work::Unknown { why } => Move::Person(why.clone()),
        Work::Going { aws_id: Some(aws_id) } if facts.waiting.first() == Some(aws_id) => Move::LetIn(aws_id.clone()),
        Work::None | Work::Unanswered | Work::Going { .. } if is_late => {
            Move::Person(format!("the step {} has not ended after {} hours", step.as_str(), STEP_MAX.as_hours()))
        }
        Work::None | Work::Unanswered | Work::Going { .. } => Move::Wait,
        Work::Succeeded { images } => {
            let wanted = images.as_ref().unwrap_or(&rollback.to.images);
            let is_restless = facts.in_flight.is_none() && now.duration_since(since) >= UNSTEADY_AFTER_STOP_MAX;
            let is_late = is_late || (step == Step::Stop && is_restless);
            ended(rollback, facts, step, wanted, is_late)
        }
    }
}

/// A step that AWS says succeeded: only what runs shows that it did.
fn ended(rollback: &Rollback, facts: &Facts, step: Step, wanted: &BTreeSet<String>, is_late: bool) -> Move {
    // Where no deployment was told to stop, none is on its way back by itself. ECS has the next one replace it;
    // CodeDeploy takes no second one before it is over.
    let is_stopped_alone =
        matches!(&rollback.phase, Phase::Going { step: Step::Stop, work: Worker::StoppedExecution { .. }, .. })
            && !matches!(&facts.in_flight, Some(Worker::CodeDeploy { .. }));
    match &facts.runs {
        Runs::Images { is_steady: false, .. } if is_stopped_alone => by_word(step, "it still moves"),
        Runs::Images { is_steady: false, .. } if !is_late => Move::Wait,
        Runs::Images { digests, .. } if wanted.is_empty() && !digests.is_disjoint(&rollback.from.images) => {
            Move::Fall(step, format!("AWS says that it succeeded, and {} runs", shown(digests)))
        }
        Runs::Images { .. } if wanted.is_empty() || *wanted == rollback.from.images => {
            let why = match wanted.is_empty() {
                true => "the images of the version are not known",
                false => "both versions have the same images",
            };
            by_word(step, why)
        }
        Runs::Images { digests, .. } => match is_back(wanted, &rollback.from, &facts.runs) {
            Some(digests) => Move::Finish(Some(step), Proof::Images { digests }),
            None => Move::Fall(step, format!("AWS says that it succeeded, and {} runs", shown(digests))),
        },
        Runs::Unseen { why } => by_word(step, why),
    }
}

/// Where nobody can see what runs, a step that turns something back is believed; a stop alone brings nothing.
fn by_word(step: Step, why: &str) -> Move {
    match step {
        Step::Stop => Move::Fall(step, "what was in flight is stopped".to_owned()),
        Step::RollbackStage | Step::Start | Step::Deploy => {
            Move::Finish(Some(step), Proof::Word { why: why.to_owned() })
        }
    }
}

/// The digests that run, if they show that `wanted` is back: none runs that only the version has that was to go, and of
/// those that tell the two apart one does. Other images, such as those of sidecars, say nothing.
fn is_back(wanted: &BTreeSet<String>, from: &Version, runs: &Runs) -> Option<BTreeSet<String>> {
    let Runs::Images { digests, is_steady: true } = runs else { return None };
    let (its, bad): (BTreeSet<_>, BTreeSet<_>) =
        (wanted.difference(&from.images).collect(), from.images.difference(wanted).collect());
    let runs_one_of = |some: &BTreeSet<&String>| digests.iter().any(|digest| some.contains(digest));
    let telling = if its.is_empty() { wanted.iter().collect() } else { its };
    (wanted != &from.images && runs_one_of(&telling) && !runs_one_of(&bad)).then(|| digests.clone())
}

fn shown(digests: &BTreeSet<String>) -> String {
    let short: Vec<&str> = digests.iter().map(|digest| crate::domain::image::shown(digest)).collect();
    if short.is_empty() { "nothing".to_owned() } else { short.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::execution::ExecutionId;
    use crate::domain::incident::IncidentId;
    use crate::domain::policy::Deploy;
    use crate::domain::rollback::{RollbackId, Tried};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn images(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|image| (*image).to_owned()).collect()
    }

    fn version(aws_id: &str, of: &[&str]) -> Version {
        Version {
            execution: ExecutionId::named(&format!("ex-{aws_id}")),
            aws_id: aws_id.to_owned(),
            sha: None,
            images: images(of),
        }
    }

    /// Version `bad`, which is to be turned back to `good`, at a phase.
    fn rollback(phase: Phase, tried: &[Step]) -> Rollback {
        let deploy = Deploy {
            region: "us-east-1".into(),
            pipeline: "web".into(),
            stage: "Deploy".into(),
            pipeline_region: None,
            ecs: None,
            codedeploy: None,
        };
        let tried: Vec<Tried> =
            tried.iter().map(|step| Tried { step: *step, at: at(0), why: "AWS said no".into() }).collect();
        Rollback {
            id: RollbackId::named("rb-1"),
            incident: IncidentId::named("in-1"),
            environment: "web".into(),
            region: "us-east-1".into(),
            deploy,
            from: version("bad", &["v6", "sidecar"]),
            to: version("good", &["v5", "sidecar"]),
            by: "guard".into(),
            attempt: 0,
            phase,
            accepted_at: (!tried.is_empty()).then(|| at(0)),
            tried,
            claimed_at: at(0),
            updated_at: at(0),
            due_at: None,
        }
    }

    fn runs(of: &[&str], is_steady: bool) -> Runs {
        Runs::Images { digests: images(of), is_steady }
    }

    fn unseen() -> Runs {
        Runs::Unseen { why: "nobody looks".into() }
    }

    /// `bad` has landed and runs, and nothing is going on.
    fn landed() -> Facts {
        Facts {
            inside: Some(Inside { aws_id: "bad".into(), is_running: false, is_rollback: false, is_its: true }),
            waiting: vec![],
            live: Some(Live { aws_id: "bad".into(), digits: "6666666".into(), is_blamed: true }),
            in_flight: None,
            is_undoing: false,
            runs: runs(&["v6", "sidecar"], true),
            work: Work::None,
        }
    }

    fn inside(facts: Facts, aws_id: &str) -> Facts {
        Facts {
            inside: Some(Inside {
                aws_id: aws_id.into(),
                is_running: true,
                is_rollback: aws_id == "ours",
                is_its: aws_id != "another's",
            }),
            ..facts
        }
    }

    fn live(facts: Facts, is_blamed: bool) -> Facts {
        Facts { live: Some(Live { aws_id: "x".into(), digits: "7777777".into(), is_blamed }), ..facts }
    }

    #[test]
    fn the_next_step_is_the_best_that_was_not_tried() {
        use Step::{Deploy, RollbackStage, Start, Stop};
        let ecs = Worker::Ecs { deployment: "arn".into() };
        let back = |step| Move::Finish(step, Proof::Images { digests: images(&["v5"]) });
        #[rustfmt::skip]
        let cases: Vec<(&[Step], Facts, Move, &str)> = vec![
            // tried                         facts                                                       move                         why
            (&[],                            landed(),                                                   Move::Take(RollbackStage),   "it has landed: the stage is rolled back"),
            (&[],                            inside(landed(), "bad"),                                    Move::Take(Stop),            "it is on its way in: first it is stopped"),
            (&[],                            Facts { in_flight: Some(ecs.clone()), ..landed() },         Move::Take(Stop),            "its deployment is under way"),
            (&[],                            inside(landed(), "another's"),                              Move::Wait,                  "another environment's, by the same pipeline, is left alone"),
            (&[],                            Facts { in_flight: Some(ecs.clone()), is_undoing: true, ..landed() }, Move::Follow(Stop, ecs.clone()), "its service turns it back by itself: no engine fights another"),
            (&[],                            live(Facts { in_flight: Some(ecs.clone()), ..landed() }, false), Move::Cancel("web runs 7777777 by now".into()), "a newer one is live, whatever moves"),
            (&[],                            inside(landed(), "newer"),                                  Move::Take(Stop),            "so is another's, that would be built upon it"),
            (&[RollbackStage],               inside(landed(), "ours"),                                   Move::Wait,                  "another region's start brings it here too"),
            (&[Stop],                        Facts { in_flight: Some(ecs), ..landed() },                 Move::Take(RollbackStage),   "it is stopped once"),
            (&[Stop],                        landed(),                                                   Move::Take(RollbackStage),   "after a stop the stage is rolled back"),
            (&[RollbackStage],               landed(),                                                   Move::Take(Start),           "the pipeline was edited"),
            (&[RollbackStage, Start],        landed(),                                                   Move::Take(Deploy),          "nor does it start"),
            (&[Stop, RollbackStage, Start],  landed(),                                                   Move::Take(Deploy),          "a stop is none of the three"),
            (&[RollbackStage, Start, Deploy], landed(),                                                  Move::Person("no step brought it back; the last one: AWS said no".into()), "all of them were tried"),
            (&[],                            live(landed(), false),                                      Move::Cancel("web runs 7777777 by now".into()), "a newer version is live"),
            (&[],                            Facts { live: None, ..landed() },                           Move::Cancel("nothing has landed in us-east-1".into()), "there is nothing to turn back"),
            (&[],                            live(inside(landed(), "bad"), false),                       Move::Take(Stop),            "it is on its way in over the good one"),
            (&[RollbackStage],               live(landed(), false),                                      Move::Take(Start),           "what was begun is not cancelled"),
            (&[],                            Facts { runs: runs(&["v5"], true), ..landed() },            back(None),                  "somebody else has turned it back already"),
            (&[],                            Facts { runs: runs(&["v5"], false), ..landed() },           Move::Take(RollbackStage),   "or is about to: that is not certain yet"),
            (&[],                            Facts { runs: runs(&["v5", "v6"], true), ..landed() },      Move::Take(RollbackStage),   "the bad one still runs beside it"),
            (&[],                            Facts { runs: unseen(), ..landed() },                       Move::Take(RollbackStage),   "what cannot be seen proves nothing"),
        ];
        for (tried, facts, expected, why) in cases {
            assert_eq!(next(&rollback(Phase::Choosing, tried), &facts, at(1)), expected, "{why}");
        }
    }

    #[test]
    fn a_step_is_followed_until_what_runs_shows_how_it_ended() {
        use Step::{RollbackStage, Start, Stop};
        let going = |work: Work| Facts { work, ..landed() };
        let ended =
            |of: &[&str], is_steady| Facts { runs: runs(of, is_steady), ..going(Work::Succeeded { images: None }) };
        let built = Work::Succeeded { images: Some(images(&["v5 anew"])) };
        let seen = |step, of: &[&str]| Move::Finish(Some(step), Proof::Images { digests: images(of) });
        let word = |step, why: &str| Move::Finish(Some(step), Proof::Word { why: why.into() });
        let ours = Work::Going { aws_id: Some("ours".into()) };
        #[rustfmt::skip]
        let cases: Vec<(Step, Facts, i64, Move, &str)> = vec![
            // step          facts                                                                      now    move                          why
            (RollbackStage,  going(Work::Unanswered),                                                   1,     Move::Wait,                   "a lost reply is no refusal"),
            (RollbackStage,  going(ours.clone()),                                                       1,     Move::Wait,                   "it is under way"),
            (RollbackStage,  Facts { waiting: vec!["ours".into()], ..going(ours.clone()) },             1,     Move::LetIn("ours".into()),   "it waits before the way that we have closed"),
            (RollbackStage,  Facts { waiting: vec!["x".into(), "ours".into()], ..going(ours) },         1,     Move::Wait,                   "another one would come in first"),
            (RollbackStage,  going(Work::NotTaken { why: "UnableToRollbackStage".into() }),             1,     Move::Fall(RollbackStage, "UnableToRollbackStage".into()), "AWS refused"),
            (RollbackStage,  going(Work::Failed { why: "it failed".into() }),                           1,     Move::Fall(RollbackStage, "it failed".into()), "it ended badly"),
            (RollbackStage,  going(Work::Unknown { why: "nobody knows".into() }),                       1,     Move::Person("nobody knows".into()), "nobody knows: never a second one"),
            (RollbackStage,  ended(&["v5", "sidecar"], true),                                           1,     seen(RollbackStage, &["v5", "sidecar"]), "it is back"),
            (RollbackStage,  ended(&["v5"], false),                                                     1,     Move::Wait,                   "it is coming back"),
            (RollbackStage,  ended(&["v6"], true),                                                      1,     Move::Fall(RollbackStage, "AWS says that it succeeded, and v6 runs".into()), "a circuit breaker undid it"),
            (RollbackStage,  ended(&["sidecar"], true),                                                 1,     Move::Fall(RollbackStage, "AWS says that it succeeded, and sidecar runs".into()), "what both have tells nothing"),
            (RollbackStage,  Facts { runs: unseen(), ..going(Work::Succeeded { images: None }) },       1,     word(RollbackStage, "nobody looks"), "AWS's word is all there is"),
            (Stop,           Facts { runs: unseen(), ..going(Work::Succeeded { images: None }) },       1,     Move::Fall(Stop, "what was in flight is stopped".into()), "a stop alone brings nothing back"),
            (Stop,           ended(&["v5"], true),                                                      1,     seen(Stop, &["v5"]),          "its service rolled it back"),
            (Stop,           ended(&["v6"], true),                                                      1,     Move::Fall(Stop, "AWS says that it succeeded, and v6 runs".into()), "it had landed already"),
            (Start,          Facts { runs: runs(&["v5 anew"], true), ..going(built.clone()) },          1,     seen(Start, &["v5 anew"]),    "it was built anew"),
            (Start,          Facts { runs: runs(&["v6"], true), ..going(built) },                       1,     Move::Fall(Start, "AWS says that it succeeded, and v6 runs".into()), "and does not run"),
            (Start,          going(Work::Unanswered),                                                   7_200, Move::Person("the step start has not ended after 2 hours".into()), "not for ever"),
            (Start,          ended(&["v5"], false),                                                     7_200, Move::Fall(Start, "AWS says that it succeeded, and v5 runs".into()), "nor until it is steady"),
        ];
        for (step, facts, now, expected, why) in cases {
            let work = Worker::Execution { id: ExecutionId::named("ex-ours") };
            let rollback = rollback(Phase::Going { step, work, since: at(0) }, &[]);
            assert_eq!(next(&rollback, &facts, at(now)), expected, "{why}");
        }
    }

    #[test]
    fn what_no_deployment_takes_back_is_not_waited_for() {
        let work = Worker::StoppedExecution { aws_id: "bad".into() };
        let stopped = rollback(Phase::Going { step: Step::Stop, work, since: at(0) }, &[]);
        let ended = |of: &[&str], is_steady| Facts {
            runs: runs(of, is_steady),
            work: Work::Succeeded { images: None },
            ..landed()
        };
        #[rustfmt::skip]
        let cases = [
            // facts                  move                                                                             why
            (ended(&["v6"], false),   Move::Fall(Step::Stop, "what was in flight is stopped".into()),                  "its deployment goes on: the next step replaces it"),
            (Facts { in_flight: Some(Worker::CodeDeploy { deployment: "d-1".into() }), ..ended(&["v6"], false) }, Move::Wait, "CodeDeploy's keeps the group busy"),
            (ended(&["v6"], true),    Move::Fall(Step::Stop, "AWS says that it succeeded, and v6 runs".into()),        "it was there already"),
            (ended(&["v5"], true),    Move::Finish(Some(Step::Stop), Proof::Images { digests: images(&["v5"]) }),      "it had not begun to change anything"),
        ];
        for (facts, expected, why) in cases {
            assert_eq!(next(&stopped, &facts, at(1)), expected, "{why}");
        }
    }

    #[test]
    fn versions_with_the_same_images_are_told_apart_by_aws_alone() {
        let mut same = rollback(Phase::Choosing, &[]);
        same.to.images = same.from.images.clone();
        let facts = Facts { runs: runs(&["v6", "sidecar"], true), ..landed() };
        assert_eq!(
            next(&same, &facts, at(1)),
            Move::Take(Step::RollbackStage),
            "nobody can say that it is back already"
        );
        let work = Worker::Execution { id: ExecutionId::named("ex-ours") };
        same.phase = Phase::Going { step: Step::RollbackStage, work, since: at(0) };
        let facts = Facts { work: Work::Succeeded { images: None }, ..facts };
        let why = "both versions have the same images".to_owned();
        assert_eq!(next(&same, &facts, at(1)), Move::Finish(Some(Step::RollbackStage), Proof::Word { why }));
    }

    #[test]
    fn a_stop_whose_answer_is_lost_is_not_asked_for_again_once_it_is_obeyed() {
        let asked = rollback(Phase::Asked { step: Step::Stop, since: at(0) }, &[]);
        let undoing = Worker::CodeDeploy { deployment: "d-UNDOING".into() };
        let facts = Facts { work: Work::Unanswered, in_flight: Some(undoing.clone()), ..landed() };
        assert_eq!(next(&asked, &facts, at(1)), Move::Wait, "what is in flight is what is to be stopped");
        let facts = Facts { is_undoing: true, ..facts };
        assert_eq!(next(&asked, &facts, at(1)), Move::Follow(Step::Stop, undoing));
    }

    #[test]
    fn what_is_over_moves_no_more_and_what_is_claimed_is_held_first() {
        let when = at(0);
        let proof = Proof::Word { why: "x".into() };
        for phase in [
            Phase::Done { when, step: None, proof },
            Phase::Cancelled { when, why: "x".into() },
            Phase::Person { when, why: "x".into() },
        ] {
            assert!(phase.is_over());
            assert_eq!(next(&rollback(phase, &[]), &landed(), at(1)), Move::Nothing);
        }
        assert_eq!(next(&rollback(Phase::Claimed, &[]), &landed(), at(1)), Move::Hold);
    }
}
