//! A hold: the ways into an environment's stages are closed, so that nothing brings another version there.
//!
//! A rollback holds what it turned back; a person can hold an environment too. Only a release opens the ways again. One
//! execution at a time may be let through: of a rollback, or of the one commit that a person names.

use super::change::Sha;
use super::execution::Target;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What somebody wants held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The environment.
    pub environment: String,
    /// Who wants it: a person, or a rollback.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The incident that it belongs to, if it does.
    pub incident: Option<String>,
    /// The ways to close: the region that the stage deploys to, the pipeline, and the stage.
    pub ways: Vec<(String, Target, String)>,
}

/// An environment's hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The environment.
    pub environment: String,
    /// Who wanted it: a person, or a rollback.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The incident that it belongs to, if it does.
    pub incident: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// The ways that are closed, or about to be.
    pub ways: Vec<Way>,
    /// The one commit that a person lets through, until it has come through every way.
    pub lets_through: Option<Sha>,
    /// Whether a person has ended it: its ways are opened, and then it goes.
    pub is_released: bool,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A way into a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The region that the stage deploys to.
    pub region: String,
    /// The pipeline.
    pub target: Target,
    /// The stage.
    pub stage: String,
    /// The reason that stands at it, by which it is known to be ours.
    pub reason: String,
    /// Whether CodePipeline has been told that it is closed.
    pub is_closed: bool,
    /// The execution, by AWS's id, that it is open for just now.
    pub open_for: Option<String>,
    /// Whether the commit that a person lets through has come through here.
    #[serde(default)]
    pub has_let_through: bool,
    /// The executions, by AWS's ids, that wait here and of which people were told.
    #[serde(default)]
    pub told_of: BTreeSet<String>,
}

/// A way as CodePipeline shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whether executions may enter.
    pub is_open: bool,
    /// Whether an execution is inside the stage.
    pub is_busy: bool,
    /// The execution that was the last one inside, by AWS's id.
    pub inside: Option<String>,
    /// Those that wait, the first one first: by AWS's id, and whether they may pass a hold.
    pub waiting: Vec<(String, bool)>,
    /// Whether all of them enter when the way is open, and not only the first one.
    pub all_enter: bool,
}

/// What is to be done at a way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Move {
    /// Nothing.
    Nothing,
    /// Close it.
    Close,
    /// Close it again after this execution of AWS's.
    Shut(String),
    /// Open it for this execution of AWS's.
    Open(String),
    /// Tell people that this execution of AWS's waits.
    Tell(String),
}

impl Way {
    /// What is to be done now. It is open while an execution that may pass is about to enter, and at no other time: a
    /// way that somebody else has opened is closed again, since only a release ends a hold.
    pub fn next(&self, seen: &Seen) -> Move {
        if !self.is_closed {
            return Move::Close;
        }
        let first = seen.waiting.first();
        // Only into an empty stage: a way that stood open before a busy one would let in whoever comes meanwhile.
        let may_enter = if seen.all_enter { seen.waiting.iter().all(|(_, may)| *may) } else { !seen.is_busy };
        if let Some(aws_id) = &self.open_for {
            return match first.is_some_and(|(first, _)| first == aws_id) {
                true if seen.is_open || !may_enter => Move::Nothing,
                true => Move::Open(aws_id.clone()),
                false => Move::Shut(aws_id.clone()),
            };
        }
        if seen.is_open {
            return Move::Close;
        }
        if let Some((aws_id, true)) = first.filter(|_| may_enter) {
            return Move::Open(aws_id.clone());
        }
        let untold = seen.waiting.iter().find(|(aws_id, may)| !may && !self.told_of.contains(aws_id));
        untold.map_or(Move::Nothing, |(aws_id, _)| Move::Tell(aws_id.clone()))
    }
}

impl Hold {
    /// One that is wanted, with nothing closed yet.
    pub fn wanted(want: &Wanted, now: Timestamp) -> Self {
        let mut hold = Self {
            environment: want.environment.clone(),
            by: want.by.clone(),
            reason: want.reason.clone(),
            incident: want.incident.clone(),
            since: now,
            ways: Vec::new(),
            lets_through: None,
            is_released: false,
            updated_at: now,
        };
        hold.add_all(want);
        hold
    }

    /// Takes a further wish in. Says whether that is any news.
    ///
    /// One that was released and has ways left is wanted anew. What a person lets through ends with a new incident: it
    /// may be what went wrong.
    pub fn join(&mut self, want: &Wanted, now: Timestamp) -> bool {
        let before = self.clone();
        if self.is_released {
            let ways = std::mem::replace(self, Self::wanted(want, now)).ways;
            for way in ways {
                self.add(&way.region, &way.target, &way.stage);
            }
        } else if want.incident.is_some() && want.incident != self.incident {
            self.incident.clone_from(&want.incident);
            self.let_through(None);
        }
        self.add_all(want);
        *self != before
    }

    /// Lets one commit through every way, or none any more.
    pub fn let_through(&mut self, sha: Option<Sha>) {
        self.lets_through = sha;
        self.shut_all();
    }

    /// Writes down that an execution came through a way; `sha` is its commit, where a person had named it.
    pub fn came_through(&mut self, target: &Target, stage: &str, sha: Option<&Sha>) {
        let is_named = sha.is_some() && sha == self.lets_through.as_ref();
        if let Some(way) = self.way_mut(target, stage) {
            way.open_for = None;
            way.has_let_through |= is_named;
        }
        if self.ways.iter().all(|way| way.has_let_through) {
            self.lets_through = None;
        }
    }

    fn shut_all(&mut self) {
        for way in &mut self.ways {
            way.is_closed &= way.open_for.take().is_none();
            way.has_let_through = false;
        }
    }

    fn add_all(&mut self, want: &Wanted) {
        for (region, target, stage) in &want.ways {
            self.add(region, target, stage);
        }
    }

    fn add(&mut self, region: &str, target: &Target, stage: &str) {
        if self.way(target, stage).is_some() {
            return;
        }
        let reason = match &self.incident {
            Some(incident) => format!("Pointsman hold of {} ({incident})", self.environment),
            None => format!("Pointsman hold of {}", self.environment),
        };
        self.ways.push(Way {
            region: region.to_owned(),
            target: target.clone(),
            stage: stage.to_owned(),
            reason,
            is_closed: false,
            open_for: None,
            has_let_through: false,
            told_of: BTreeSet::new(),
        });
    }

    /// The way into a stage.
    pub fn way(&self, target: &Target, stage: &str) -> Option<&Way> {
        self.ways.iter().find(|way| way.target == *target && way.stage == stage)
    }

    /// The same, to change it.
    pub fn way_mut(&mut self, target: &Target, stage: &str) -> Option<&mut Way> {
        self.ways.iter_mut().find(|way| way.target == *target && way.stage == stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::execution::TargetKind;

    fn target() -> Target {
        Target { kind: TargetKind::Pipeline, name: "web".into(), region: "us-east-1".into() }
    }

    fn want(incident: Option<&str>, stages: &[&str]) -> Wanted {
        let way = |stage: &&str| ("us-east-1".to_owned(), target(), (*stage).to_owned());
        Wanted {
            environment: "web".into(),
            by: "ada@example.com".into(),
            reason: "the database is moved".into(),
            incident: incident.map(str::to_owned),
            ways: stages.iter().map(way).collect(),
        }
    }

    fn closed(incident: Option<&str>, stages: &[&str]) -> Hold {
        let mut hold = Hold::wanted(&want(incident, stages), Timestamp::UNIX_EPOCH);
        hold.ways.iter_mut().for_each(|way| way.is_closed = true);
        hold
    }

    #[test]
    fn a_way_is_open_for_whoever_may_pass_and_at_no_other_time() {
        let open = |aws_id: &str| Move::Open(aws_id.to_owned());
        let (shut, tell) = (|aws_id: &str| Move::Shut(aws_id.to_owned()), |aws_id: &str| Move::Tell(aws_id.to_owned()));
        // Closed, open for, told of; open, busy, those who wait ("+" may pass), all enter.
        type Case<'a> = (bool, Option<&'a str>, &'a str, bool, bool, &'a [&'a str], bool, Move, &'a str);
        #[rustfmt::skip]
        let cases: [Case<'_>; 16] = [
            (false, None,      "",  true,  false, &[],           false, Move::Close,   "nobody was told to close it yet"),
            (false, None,      "",  false, false, &["+a"],       false, Move::Close,   "whatever stands there: ours is the last word"),
            (true,  None,      "",  false, false, &[],           false, Move::Nothing, "nobody waits"),
            (true,  None,      "",  true,  false, &["+a"],       false, Move::Close,   "somebody else has opened it"),
            (true,  None,      "",  false, false, &["+a", "b"],  false, open("a"),     "the first one may pass"),
            (true,  None,      "",  false, false, &["b", "+a"],  false, tell("b"),     "the first one may not, and would go in first"),
            (true,  None,      "b", false, false, &["b", "+a"],  false, Move::Nothing, "people know"),
            (true,  None,      "b", false, false, &["b", "c"],   false, tell("c"),     "of each that waits"),
            (true,  None,      "",  false, true,  &["+a"],       false, Move::Nothing, "the stage is busy: whoever takes its place meanwhile would get in"),
            (true,  None,      "",  false, true,  &["+a", "+c"], true,  open("a"),     "side by side, all of them enter"),
            (true,  None,      "",  false, false, &["+a", "b"],  true,  tell("b"),     "so that all must be allowed to"),
            (true,  Some("a"), "",  false, false, &["+a"],       false, open("a"),     "it was to be opened, and something came between"),
            (true,  Some("a"), "",  true,  false, &["+a"],       false, Move::Nothing, "it is about to enter"),
            (true,  Some("a"), "",  true,  true,  &["b"],        false, shut("a"),     "it is inside"),
            (true,  Some("a"), "",  true,  false, &["b", "+a"],  false, shut("a"),     "somebody else would go in before it"),
            (true,  Some("a"), "",  false, false, &[],           false, shut("a"),     "it waits no more"),
        ];
        for (is_closed, open_for, told_of, is_open, is_busy, waiting, all_enter, expected, why) in cases {
            let mut hold = closed(None, &["Deploy"]);
            let way = hold.way_mut(&target(), "Deploy").unwrap();
            way.is_closed = is_closed;
            way.open_for = open_for.map(str::to_owned);
            way.told_of = told_of.split_whitespace().map(str::to_owned).collect();
            let waits = |name: &&str| (name.trim_start_matches('+').to_owned(), name.starts_with('+'));
            let waiting = waiting.iter().map(waits).collect();
            let seen = Seen { is_open, is_busy, inside: None, waiting, all_enter };
            assert_eq!(way.next(&seen), expected, "{why}");
        }
    }

    #[test]
    fn a_further_wish_joins_the_hold() {
        let sha: Sha = "1".repeat(40).parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let mut hold = closed(None, &["Primary"]);
        assert!(!hold.join(&want(None, &["Primary"]), now), "the same is no news");
        assert!(hold.join(&want(Some("in-1"), &["Primary", "Secondary"]), now));
        assert_eq!(hold.incident.as_deref(), Some("in-1"));
        let closed: Vec<bool> = hold.ways.iter().map(|way| way.is_closed).collect();
        assert_eq!(closed, [true, false], "only the new one is to be closed");
        assert!(hold.ways[1].reason.ends_with("(in-1)"), "{}", hold.ways[1].reason);
        hold.ways[1].is_closed = true;
        hold.let_through(Some(sha.clone()));
        hold.ways[0].open_for = Some("a".into());
        assert!(!hold.join(&want(Some("in-1"), &["Primary"]), now), "a repeat leaves what a person lets through");
        assert!(hold.join(&want(Some("in-2"), &["Primary"]), now));
        assert_eq!(
            (hold.lets_through.clone(), hold.ways[0].open_for.clone()),
            (None, None),
            "another incident does not"
        );
        assert!(!hold.ways[0].is_closed, "it was open for that one");
        hold.is_released = true;
        assert!(hold.join(&want(Some("in-3"), &["Primary"]), now));
        assert!(!hold.is_released && hold.ways.len() == 2 && hold.ways.iter().all(|way| !way.is_closed), "wanted anew");
    }

    #[test]
    fn a_commit_comes_through_every_way_once() {
        let sha: Sha = "1".repeat(40).parse().unwrap();
        let mut hold = closed(None, &["Primary", "Secondary"]);
        hold.let_through(Some(sha.clone()));
        hold.came_through(&target(), "Primary", None);
        assert!(!hold.ways[0].has_let_through, "it was a rollback's execution");
        hold.came_through(&target(), "Primary", Some(&sha));
        assert!(hold.ways[0].has_let_through && hold.lets_through.is_some(), "the second one is still before it");
        hold.came_through(&target(), "Secondary", Some(&sha));
        assert_eq!(hold.lets_through, None, "that was all");
    }
}
