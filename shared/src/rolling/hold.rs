//! Holds: the ways into an environment's stages are closed, looked after, and opened again.
//!
//! What is to be done is saved first, then CodePipeline is asked, then what came of it is saved. A crash in between leaves
//! a record from which [`tend`] goes on. Only ways that stand in the record are ever opened.

use crate::aws::CallError;
use crate::aws::codepipeline::{CodePipeline, Mode, StageNow};
use crate::domain::audit::Note;
use crate::domain::change::Sha;
use crate::domain::execution::{Execution, Target};
use crate::domain::hold::{Hold, Move, Seen, Way};
use crate::domain::notice::{Waits, waits};
use crate::domain::rollback::Rollback;
use crate::ledger::{Closed, LedgerError, Loaded, RollbackWith, Writes, environment_subject};
use crate::run::{Engine, RunError, in_turns};
use crate::telling::with_notice;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub use crate::domain::hold::Wanted;

/// How many executions that wait before one stage are looked at: as many as AWS lets wait in a queue. Those beyond wait
/// on, and are told of once they come nearer.
const WAITING_MAX: usize = 50;
/// How many things one look does at one way. What is left is done with the next look.
const MOVES_MAX: usize = 60;

/// What CodePipeline says of what is not there (any more).
const GONE: [&str; 2] = ["PipelineNotFoundException", "StageNotFoundException"];

/// What a look at a hold found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HoldSeen {
    /// Whether the environment is held.
    pub is_held: bool,
    /// The executions, by AWS's ids, that wait at a way and may not pass.
    pub waiting: BTreeSet<String>,
    /// Those that a way was opened for.
    pub let_in: BTreeSet<String>,
}

/// What came of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Released {
    /// The environment is not held: there is nothing to release.
    NotHeld,
    /// One commit may pass. The environment stays held.
    LetsThrough(HoldSeen),
    /// It is held no more.
    Whole {
        /// The ways that were opened, as `REGION PIPELINE STAGE`.
        opened: Vec<String>,
        /// Those that stay closed, because something else closes them: a freeze, or a person.
        left: Vec<String>,
    },
}

/// Holds an environment: closes the ways into its stages, over whatever stands there. An environment that is held already
/// is held for this too.
///
/// # Errors
/// [`RunError`]: hold it again, or leave it to [`tend`]. What could be closed is closed.
pub async fn hold(engine: &Engine, want: &Wanted, now: Timestamp) -> Result<(), RunError> {
    let environment = want.environment.as_str();
    let held = in_turns(|| async {
        let (mut loaded, is_new) = match engine.ledger.hold(environment).await? {
            Some(loaded) => (loaded, false),
            None => (Loaded::absent(Hold::wanted(want, now)), true),
        };
        if loaded.value.join(want, now) || is_new {
            let detail = json!({ "by": want.by, "reason": want.reason, "incident": want.incident, "ways": want.ways });
            save(engine, &mut loaded, Writes::new(), "hold intended", detail, now).await?;
        }
        Ok(loaded)
    })
    .await?;
    look_after(engine, held, now).await.map(drop)
}

/// Releases an environment: opens the ways that stand closed for our reason, and ends the hold. With `only`, one commit
/// may pass, and the ways are closed again behind it.
///
/// # Errors
/// [`RunError`]: release it again, or leave the rest to [`tend`].
pub async fn release(
    engine: &Engine,
    environment: &str,
    by: &str,
    reason: &str,
    only: Option<&Sha>,
    now: Timestamp,
) -> Result<Released, RunError> {
    let is_held = in_turns(|| async {
        let Some(mut loaded) = engine.ledger.hold(environment).await? else { return Ok(false) };
        let detail = json!({ "by": by, "reason": reason, "sha": only });
        let what = match only {
            Some(sha) if loaded.value.is_released => {
                tracing::info!(environment, %sha, "is being released as a whole");
                return Ok(true);
            }
            Some(sha) => {
                loaded.value.let_through(Some(sha.clone()));
                "release of one commit intended"
            }
            None if loaded.value.is_released => return Ok(true),
            None => {
                loaded.value.is_released = true;
                "release intended"
            }
        };
        save(engine, &mut loaded, Writes::new(), what, detail, now).await?;
        Ok(true)
    })
    .await?;
    match only {
        _ if !is_held => Ok(Released::NotHeld),
        Some(_) => tend(engine, environment, now).await.map(Released::LetsThrough),
        None => let_go(engine, environment, now).await,
    }
}

/// Looks after a hold: closes what is not closed, lets through who may pass, closes behind them, tells of those who wait,
/// and finishes a release. One way that fails keeps none of the others from its turn.
///
/// # Errors
/// The first [`RunError`]; the next look goes on from there.
pub async fn tend(engine: &Engine, environment: &str, now: Timestamp) -> Result<HoldSeen, RunError> {
    let Some(held) = engine.ledger.hold(environment).await? else { return Ok(HoldSeen::default()) };
    if held.value.is_released {
        let _ = let_go(engine, environment, now).await?;
        return Ok(HoldSeen::default());
    }
    look_after(engine, held, now).await
}

/// Every way of a hold, as it was just read or saved.
async fn look_after(engine: &Engine, held: Loaded<Hold>, now: Timestamp) -> Result<HoldSeen, RunError> {
    let environment = held.value.environment.clone();
    let mut seen = HoldSeen { is_held: true, ..HoldSeen::default() };
    let mut outcome = Ok(());
    let ways = held.value.ways.clone();
    // For the others it is read again: somebody may release it meanwhile.
    let mut known = Some(held);
    for Way { target, stage, .. } in &ways {
        let place = Place { engine, environment: &environment, target, stage, now };
        if let Err(error) = place.tend(known.take(), &mut seen).await {
            tracing::warn!(environment, runs = %target, stage, %error, "way not looked after");
            outcome = outcome.and(Err(error));
        }
    }
    outcome.map(|()| seen)
}

/// One way of a hold.
struct Place<'a> {
    engine: &'a Engine,
    environment: &'a str,
    target: &'a Target,
    stage: &'a str,
    now: Timestamp,
}

/// A way as it is found.
struct Looked {
    seen: Seen,
    who: Vec<Who>,
}

/// An execution that waits.
struct Who {
    aws_id: String,
    execution: Option<Execution>,
    sha: Option<Sha>,
    is_of_rollback: bool,
}

impl Place<'_> {
    fn pipelines(&self) -> &CodePipeline {
        self.engine.targets.pipelines()
    }

    /// This way, until there is nothing more to do at it. `known` is the hold, where it was just read or saved.
    async fn tend(&self, known: Option<Loaded<Hold>>, all: &mut HoldSeen) -> Result<(), RunError> {
        let (mut known, mut looked) = (known, None);
        for _ in 0..MOVES_MAX {
            let Some(held) = self.held(known.take()).await? else { return Ok(()) };
            let Some(way) = held.value.way(self.target, self.stage).cloned() else { return Ok(()) };
            let now = match looked.take() {
                Some(looked) => Some(looked),
                None => self.look(&held.value, &way).await?,
            };
            let Some(mut now) = now else { return Ok(()) };
            let barred = now.seen.waiting.iter().filter(|(_, may_pass)| !may_pass);
            all.waiting.extend(barred.map(|(aws_id, _)| aws_id.clone()));
            let done = match way.next(&now.seen) {
                Move::Nothing => return self.forget(held, &now.seen).await,
                Move::Close => match self.close(held, &way).await {
                    Ok(closed) => {
                        now.seen.is_open = false;
                        known = closed;
                        // It is as it was seen, but for what was just done; whoever may pass may have entered.
                        looked = (!now.seen.waiting.iter().any(|(_, may_pass)| *may_pass)).then_some(now);
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                Move::Shut(aws_id) => self.shut(&way, &now, &aws_id).await,
                Move::Open(aws_id) => {
                    all.let_in.insert(aws_id.clone());
                    self.open(held, &aws_id).await
                }
                Move::Tell(aws_id) => self.tell(held, &now, &aws_id).await,
            };
            match done {
                // Somebody else was at it: what they did is looked at.
                Err(RunError::Ledger(LedgerError::Conflict)) => {}
                done => done?,
            }
        }
        tracing::warn!(environment = self.environment, runs = %self.target, stage = self.stage, "there is more to do here");
        Ok(())
    }

    /// The hold, unless it is released, or gone.
    async fn held(&self, known: Option<Loaded<Hold>>) -> Result<Option<Loaded<Hold>>, RunError> {
        let held = match known {
            Some(known) => Some(known),
            None => self.engine.ledger.hold(self.environment).await?,
        };
        Ok(held.filter(|held| !held.value.is_released))
    }

    /// The stage as it is now; `None` when there is no such stage (any more).
    async fn look(&self, hold: &Hold, way: &Way) -> Result<Option<Looked>, RunError> {
        let stage = match self.pipelines().stage_now(self.target, self.stage).await {
            Err(error) if is_gone(&error) => None,
            stage => stage?,
        };
        let Some(StageNow { inside, waiting, transition }) = stage else { return Ok(None) };
        let mut who = Vec::new();
        for aws_id in waiting.iter().take(WAITING_MAX) {
            who.push(self.who(aws_id).await?);
        }
        let may_pass = |one: &Who| {
            let is_named = one.sha.is_some() && one.sha == hold.lets_through && !way.has_let_through;
            (one.aws_id.clone(), one.is_of_rollback || is_named)
        };
        let waiting: Vec<_> = who.iter().map(may_pass).collect();
        // Only where somebody may enter does it make a difference.
        let all_enter = waiting.iter().any(|(_, may_pass)| *may_pass)
            && self.pipelines().outline(self.target).await?.mode == Mode::Parallel;
        let seen = Seen {
            is_open: transition.is_open,
            is_busy: inside.as_ref().is_some_and(|inside| inside.is_running),
            inside: inside.map(|inside| inside.aws_id),
            waiting,
            all_enter,
        };
        Ok(Some(Looked { seen, who }))
    }

    async fn who(&self, aws_id: &str) -> Result<Who, RunError> {
        let ledger = &self.engine.ledger;
        let run = ledger.run(self.target, aws_id, self.now).await?.value;
        let execution = match &run.execution {
            Some(id) => ledger.execution(id).await?.map(|loaded| loaded.value),
            None => None,
        };
        let with = match &run.execution {
            Some(id) => ledger.rollback_with(id).await?,
            None => None,
        };
        let is_of_rollback = match with {
            Some(with) => self.is_way_of(&with).await?,
            None => false,
        };
        Ok(Who {
            aws_id: aws_id.to_owned(),
            sha: execution.as_ref().and_then(|execution| execution.sha.clone()).or_else(|| run.observed.commit()),
            execution,
            is_of_rollback,
        })
    }

    /// Whether a rollback that is under way goes through this way: one of another environment has no business here, and
    /// neither has one in a region that it does not turn back.
    async fn is_way_of(&self, with: &RollbackWith) -> Result<bool, RunError> {
        if with.environment != self.environment {
            return Ok(false);
        }
        let open = self.engine.ledger.open_rollbacks().await?;
        let is_its = |rollback: &Rollback| {
            rollback.environment == with.environment
                && rollback.to.sha.as_ref() == Some(&with.sha)
                && rollback.target() == *self.target
                && rollback.deploy.stage == self.stage
        };
        Ok(open.iter().any(is_its))
    }

    /// Closes it, and answers with the hold as it was saved then, where it was this that saved it.
    async fn close(&self, mut held: Loaded<Hold>, way: &Way) -> Result<Option<Loaded<Hold>>, RunError> {
        if way.is_closed {
            tracing::warn!(environment = self.environment, runs = %self.target, stage = self.stage, "somebody opened it");
            self.change(&mut held, |way| way.is_closed = false);
            self.save(&mut held, "way into a held stage found open").await?;
        }
        self.pipelines().close(self.target, self.stage, &way.reason).await?;
        tracing::info!(environment = self.environment, runs = %self.target, stage = self.stage, "way closed by a hold");
        self.change(&mut held, |way| way.is_closed = true);
        match self.save(&mut held, "way closed").await {
            // Nobody released it meanwhile: whoever does finds that it is closed.
            Ok(()) => return Ok(Some(held)),
            Err(RunError::Ledger(LedgerError::Conflict)) => {}
            Err(error) => return Err(error),
        }
        self.settle("way closed", |hold| {
            hold.way_mut(self.target, self.stage).is_some_and(|way| !std::mem::replace(&mut way.is_closed, true))
        })
        .await?;
        self.unless_released(way).await?;
        Ok(None)
    }

    /// Closes it behind an execution, or because that one waits no more.
    async fn shut(&self, way: &Way, looked: &Looked, aws_id: &str) -> Result<(), RunError> {
        self.pipelines().close(self.target, self.stage, &way.reason).await?;
        let has_entered = looked.seen.inside.as_deref() == Some(aws_id);
        let sha = if has_entered { self.who(aws_id).await?.sha } else { None };
        tracing::info!(environment = self.environment, stage = self.stage, aws_id, has_entered, "way closed again");
        self.settle("way closed again", |hold| {
            let is_it = hold.way(self.target, self.stage).is_some_and(|way| way.open_for.as_deref() == Some(aws_id));
            if is_it {
                hold.came_through(self.target, self.stage, sha.as_ref());
            }
            is_it
        })
        .await?;
        self.unless_released(way).await
    }

    async fn open(&self, mut held: Loaded<Hold>, aws_id: &str) -> Result<(), RunError> {
        self.change(&mut held, |way| way.open_for = Some(aws_id.to_owned()));
        self.save(&mut held, "way to be opened for one execution").await?;
        self.pipelines().open(self.target, self.stage).await?;
        tracing::info!(environment = self.environment, runs = %self.target, stage = self.stage, aws_id, "way opened");
        Ok(())
    }

    async fn tell(&self, mut held: Loaded<Hold>, looked: &Looked, aws_id: &str) -> Result<(), RunError> {
        let Some(who) = looked.who.iter().find(|who| who.aws_id == aws_id) else { return Ok(()) };
        let waits = waits(&Waits {
            hold: &held.value,
            region: held.value.way(self.target, self.stage).map(|way| way.region.as_str()).unwrap_or_default(),
            target: self.target,
            stage: self.stage,
            aws_id,
            execution: who.execution.as_ref(),
            sha: who.sha.as_ref(),
        });
        let engine = self.engine;
        let writes = with_notice(engine, Writes::new(), self.environment, waits, self.now).await?;
        self.change(&mut held, |way| {
            way.told_of.insert(aws_id.to_owned());
        });
        let detail = json!({ "stage": self.stage, "aws_id": aws_id, "sha": who.sha });
        save(engine, &mut held, writes, "execution waits at the hold", detail, self.now).await
    }

    /// Forgets those that people were told of and that wait no more.
    async fn forget(&self, mut held: Loaded<Hold>, seen: &Seen) -> Result<(), RunError> {
        let before = held.value.clone();
        let waits = |aws_id: &String| seen.waiting.iter().any(|(waiting, _)| waiting == aws_id);
        self.change(&mut held, |way| way.told_of.retain(waits));
        // Others wait that are not looked at yet.
        if held.value == before || seen.waiting.len() >= WAITING_MAX {
            return Ok(());
        }
        match self.engine.ledger.save(Writes::new().hold(&held)).await {
            Ok(()) | Err(LedgerError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn change(&self, held: &mut Loaded<Hold>, change: impl FnOnce(&mut Way)) {
        if let Some(way) = held.value.way_mut(self.target, self.stage) {
            change(way);
        }
    }

    /// Saves what came of a call, unless it stands there already.
    async fn settle(&self, what: &str, change: impl Fn(&mut Hold) -> bool) -> Result<(), RunError> {
        in_turns(|| async {
            let Some(mut held) = self.engine.ledger.hold(self.environment).await? else { return Ok(()) };
            if !change(&mut held.value) {
                return Ok(());
            }
            self.save(&mut held, what).await
        })
        .await
    }

    async fn save(&self, held: &mut Loaded<Hold>, what: &str) -> Result<(), RunError> {
        let way = held.value.way(self.target, self.stage).cloned();
        save(self.engine, held, Writes::new(), what, json!({ "way": way }), self.now).await
    }
}

/// Saves a hold with an entry in the environment's chain.
async fn save(
    engine: &Engine,
    held: &mut Loaded<Hold>,
    writes: Writes,
    what: &str,
    detail: Value,
    now: Timestamp,
) -> Result<(), RunError> {
    held.value.updated_at = now;
    let note = Note { actor: engine.actor.clone(), what: what.to_owned(), detail };
    let subject = environment_subject(&held.value.environment);
    engine.ledger.save_noted(writes.hold(held), &subject, note, now).await?;
    held.version += 1;
    Ok(())
}

/// Opens what a released hold has closed. A way that cannot be opened stays written down, and keeps no other closed.
async fn let_go(engine: &Engine, environment: &str, now: Timestamp) -> Result<Released, RunError> {
    let Some(loaded) = engine.ledger.hold(environment).await? else { return Ok(Released::NotHeld) };
    let (mut opened, mut left) = (Vec::new(), Vec::new());
    let mut outcome = Ok(());
    for way in &loaded.value.ways {
        let place = Place { engine, environment, target: &way.target, stage: &way.stage, now };
        let name = format!("{} {} {}", way.target.region, way.target.name, way.stage);
        match place.let_go(way).await {
            Ok(true) => opened.push(name),
            Ok(false) => left.push(name),
            Err(error) => {
                tracing::warn!(environment, runs = %way.target, stage = way.stage, %error, "way not opened");
                outcome = outcome.and(Err(error));
            }
        }
    }
    if loaded.value.ways.is_empty() {
        engine.ledger.save(Writes::new().hold(&loaded)).await?;
    }
    outcome.map(|()| Released::Whole { opened, left })
}

impl Place<'_> {
    /// Opens a way if our reason stands at it, and takes it out of the record. Says whether it is open.
    async fn let_go(&self, way: &Way) -> Result<bool, RunError> {
        let (is_open, what) = self.open_if_ours(way).await?;
        let is_held_anew = in_turns(|| async {
            let Some(mut held) = self.engine.ledger.hold(self.environment).await? else { return Ok(false) };
            if !held.value.is_released {
                return Ok(true);
            }
            held.value.ways.retain(|one| one.target != *self.target || one.stage != self.stage);
            save(self.engine, &mut held, Writes::new(), what, json!({ "way": way }), self.now).await?;
            Ok(false)
        })
        .await?;
        if is_held_anew {
            // It was closed and then opened here, or will be closed: a look makes sure.
            self.tend(None, &mut HoldSeen::default()).await?;
        }
        Ok(is_open && !is_held_anew)
    }

    /// Opens a way if our reason stands at it, or gives it back to whoever closes it too. Says whether it is open, and the
    /// audit log's words for it.
    async fn open_if_ours(&self, way: &Way) -> Result<(bool, &'static str), RunError> {
        let now = match self.pipelines().way_into(self.target, self.stage).await {
            Err(error) if is_gone(&error) => None,
            now => now?,
        };
        let ours = CodePipeline::reason(&way.reason);
        // What is gone keeps nobody out.
        let is_open = now.as_ref().is_none_or(|now| now.is_open);
        let is_ours = !is_open && now.and_then(|now| now.reason).as_deref() == Some(ours.as_str());
        let others = if is_ours { self.reason_of_others().await? } else { None };
        let (is_open, what) = match &others {
            Some(reason) => {
                self.pipelines().close(self.target, self.stage, reason).await?;
                (false, "way left to another hold or freeze")
            }
            None if is_ours => {
                self.pipelines().open(self.target, self.stage).await?;
                (true, "way opened")
            }
            None if is_open => (true, "way found open"),
            None => (false, "way left as it is"),
        };
        tracing::info!(environment = self.environment, runs = %self.target, stage = self.stage, what, "hold released");
        Ok((is_open, what))
    }

    /// Opens again what was closed here while the hold was released: no record would ever open it.
    async fn unless_released(&self, way: &Way) -> Result<(), RunError> {
        let held = self.held(None).await?;
        if held.is_none_or(|held| held.value.way(self.target, self.stage).is_none()) {
            self.open_if_ours(way).await?;
        }
        Ok(())
    }

    /// The reason of another hold or of a freeze that has closed this way too: our own had taken its place.
    async fn reason_of_others(&self) -> Result<Option<String>, RunError> {
        let ledger = &self.engine.ledger;
        let mut names: BTreeSet<String> = ledger.environments_of(self.target).await?.into_iter().collect();
        names.insert(self.environment.to_owned());
        let mut frozen = None;
        for name in names {
            let other = ledger.hold(&name).await?.filter(|held| name != self.environment && !held.value.is_released);
            if let Some(way) = other.as_ref().and_then(|held| held.value.way(self.target, self.stage)) {
                return Ok(Some(way.reason.clone()));
            }
            let closed = ledger.frozen_ways_of(&name).await?.value.closed;
            let is_it = |one: &Closed| one.target == *self.target && one.stage == self.stage;
            frozen = frozen.or_else(|| closed.into_iter().find(is_it).map(|one| one.reason));
        }
        Ok(frozen)
    }
}

fn is_gone(error: &CallError) -> bool {
    GONE.iter().any(|code| error.is(code))
}
