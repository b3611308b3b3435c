//! Load, decide, save, perform: the shell around the rules of [`crate::domain::execution`].
//!
//! A start is saved as asked-for before AWS is asked, and AWS is asked only by whoever saved it. So two that try at
//! once ask once, and a crash in between leaves a record that says that nobody knows.

use crate::aws::targets::{Answer, Targets};
use crate::aws::{AwsConfig, CallError};
use crate::domain::approval::ApprovalId;
use crate::domain::audit::Note;
use crate::domain::change::DeliveryId;
use crate::domain::delivery::{self, Delivery};
use crate::domain::execution::{
    Execution, ExecutionId, Kind, NotNow, Origin, QUIET_AFTER, Seen, Sighting, Start, StartDecision, StartEvent,
    Status, Target, decide_start, sight,
};
use crate::domain::rollback::{Phase, Rollback, RollbackId, Step};
use crate::landing::with_landings;
use crate::ledger::{Ledger, LedgerError, Loaded, Run, Writes, execution_subject};
use crate::random::NoRandomness;
use crate::settings::LedgerSettings;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How often a decision is made anew because somebody else saved first. At the bound the event is redelivered.
pub const TURNS_MAX: u32 = 8;

/// What every function that moves an execution needs.
#[derive(Debug)]
pub struct Engine {
    /// Where things are written down.
    pub ledger: Ledger,
    /// What can be started.
    pub targets: Targets,
    /// Who we are, in the audit log.
    pub actor: String,
}

/// Why a step could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The ledger: redeliver, or look at the record.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// AWS did not answer a question that may be asked again.
    #[error(transparent)]
    Aws(#[from] CallError),
    /// There is no such execution.
    #[error("no execution {0}")]
    NoExecution(ExecutionId),
    /// There is no such approval.
    #[error("no approval {0}")]
    NoApproval(ApprovalId),
    /// There is no such rollback.
    #[error("no rollback {0}")]
    NoRollback(RollbackId),
    /// Whose AWS's execution is cannot be told yet: a start may be waiting for its answer.
    #[error("whose execution {aws_id} is, is not known yet")]
    Unowned {
        /// AWS's id.
        aws_id: String,
    },
    /// CodePipeline tells of it and does not list it yet.
    #[error("the approval in {stage} is not listed yet")]
    NotListed {
        /// The stage that asks.
        stage: String,
    },
    /// The machine gave no random bytes, so no link could be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A person asked for what does not apply.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// Others kept saving first.
    #[error("the record kept changing")]
    Contended,
    /// AWS's execution belongs to another execution of ours.
    #[error("AWS's execution {aws_id} is already known as {owner}")]
    Owned {
        /// AWS's id.
        aws_id: String,
        /// Whose it is.
        owner: ExecutionId,
    },
}

/// Takes turns until one of them saves what it decided. A turn loads, decides and saves; when somebody else saved
/// first, the next turn decides on what they saved.
///
/// # Errors
/// [`RunError::Contended`] after [`TURNS_MAX`] turns: the event is redelivered. Else what a turn failed with.
pub async fn in_turns<T, F>(turn: impl Fn() -> F) -> Result<T, RunError>
where
    F: Future<Output = Result<T, RunError>>,
{
    for _ in 0..TURNS_MAX {
        match turn().await {
            Err(RunError::Ledger(LedgerError::Conflict)) => {}
            done => return done,
        }
    }
    Err(RunError::Contended)
}

impl Engine {
    /// Builds the clients of a function that calls itself `actor`, and warms the ledger's.
    pub async fn start(config: &AwsConfig, settings: LedgerSettings, actor: &str) -> Self {
        let LedgerSettings { table, audit_table, starter_roles } = settings;
        let ledger = Ledger::new(config, table, audit_table);
        if let Err(error) = ledger.warm().await {
            tracing::warn!(%error, "the ledger was not reached during init");
        }
        Self { ledger, targets: Targets::new(config, starter_roles), actor: actor.to_owned() }
    }

    /// Takes up what happened to a start, or [`StartEvent::Begin`]s it, and asks AWS where that follows.
    ///
    /// What becomes of its delivery is saved with it.
    ///
    /// # Errors
    /// [`RunError`]; the execution stays due, so nothing is lost.
    pub async fn take_up(&self, id: &ExecutionId, event: &StartEvent, now: Timestamp) -> Result<Execution, RunError> {
        let (execution, ask) = self.step(id, event, now).await?;
        if ask { self.ask(execution, now).await } else { Ok(execution) }
    }

    /// An execution that is asked for as soon as it is on record: as it is then, and with `writes` what brings it there.
    /// Whoever saves that goes on with [`Engine::ask`]. Nothing may overtake it, or keep it out.
    ///
    /// # Errors
    /// [`NotNow`] for one that is on its way already; what the ledger failed with.
    pub async fn intended(
        &self,
        mut execution: Execution,
        writes: Writes,
        now: Timestamp,
    ) -> Result<(Execution, Writes), RunError> {
        let decision = decide_start(&execution.start, &StartEvent::Begin, execution.wanted_since, now)?;
        execution.apply(&decision, now);
        let writes = writes.execution(&Loaded::absent(execution.clone()));
        let note = note_of(&self.actor, &StartEvent::Begin, &execution, decision.ask);
        let writes = match note {
            Some(note) => self.ledger.noted(writes, &execution_subject(&execution.id), note, now).await?,
            None => writes,
        };
        Ok((execution, writes))
    }

    /// Asks AWS for an execution that is saved as asked for, and takes in what it answers.
    ///
    /// # Errors
    /// [`RunError`]; the execution stays due, so nothing is lost.
    pub async fn ask(&self, execution: Execution, now: Timestamp) -> Result<Execution, RunError> {
        match self.targets.start(&execution).await {
            Answer::Known(event) => match self.step(&execution.id, &event, now).await {
                // A token that AWS honoured for another start of ours: the answer is not this execution's.
                Err(RunError::Owned { aws_id, owner }) => {
                    tracing::error!(execution = %execution.id, %owner, aws_id, "aws answered with another's execution");
                    Ok(execution)
                }
                stepped => stepped.map(|(execution, _)| execution),
            },
            Answer::Lost(why) => {
                tracing::warn!(execution = %execution.id, runs = %execution.target, why, "start not answered");
                Ok(execution)
            }
        }
    }

    /// One decision about a start, saved. Also says whether AWS is to be asked now.
    async fn step(&self, id: &ExecutionId, event: &StartEvent, now: Timestamp) -> Result<(Execution, bool), RunError> {
        in_turns(|| async {
            let mut loaded = self.ledger.execution(id).await?.ok_or_else(|| RunError::NoExecution(id.clone()))?;
            let before = loaded.value.start.clone();
            let decide = |event: &StartEvent| decide_start(&before, event, loaded.value.wanted_since, now);
            let (mut event, mut decision) = (event.clone(), decide(event)?);
            if decision.ask
                && let Some(by) = self.overtaken(&loaded.value).await?
            {
                event = StartEvent::Overtaken { by };
                decision = decide(&event)?;
            }
            if decision.ask
                && let Some(reason) = self.kept_out(&loaded.value).await?
            {
                event = StartEvent::Refused { reason };
                decision = decide(&event)?;
            }
            if decision.start == before && !decision.ask && loaded.value.due_at.is_none_or(|due| due > now) {
                return Ok((loaded.value, false));
            }
            if matches!(event, StartEvent::StartAgain) {
                loaded.value.wanted_since = now;
            }
            let (execution, writes) = self.writes_of(loaded, &decision, now).await?;
            let is_news = decision.ask || before != execution.start;
            match note_of(&self.actor, &event, &execution, decision.ask).filter(|_| is_news) {
                Some(note) => self.ledger.save_noted(writes, &execution_subject(id), note, now).await?,
                None => self.ledger.save(writes).await?,
            }
            let status = execution.status.as_str();
            tracing::info!(execution = %id, runs = %execution.target, status, ask = decision.ask, "start moved on");
            Ok((execution, decision.ask))
        })
        .await
    }

    async fn writes_of(
        &self,
        loaded: Loaded<Execution>,
        decision: &StartDecision,
        now: Timestamp,
    ) -> Result<(Execution, Writes), RunError> {
        let Loaded { value: mut execution, version } = loaded;
        execution.apply(decision, now);
        let mut writes = Writes::new();
        if let Start::Started { aws_id } = &execution.start.clone() {
            let run = self.owned(&mut execution, aws_id, now).await?;
            writes = with_landings(&self.ledger, writes.run(&run), &execution, &run.value).await?;
        }
        if let (true, Some(fence), Some(route)) = (decision.ask, &execution.fence, &execution.route) {
            writes = writes.while_fence_stands(fence, route);
        }
        writes = writes.execution(&Loaded { value: execution.clone(), version });
        // A start that is only now being asked for settles nothing yet.
        if !decision.ask
            && let Some(delivery) = self.settled_delivery(&execution, now).await?
        {
            writes = writes.delivery(&delivery);
        }
        Ok((execution, writes))
    }

    /// The run of `aws_id` with `execution` as its owner, and in the execution what the run has reported so far.
    async fn owned(&self, execution: &mut Execution, aws_id: &str, now: Timestamp) -> Result<Loaded<Run>, RunError> {
        let mut run = self.ledger.run(&execution.target, aws_id, now).await?;
        match &run.value.execution {
            Some(owner) if *owner != execution.id => {
                return Err(RunError::Owned { aws_id: aws_id.to_owned(), owner: owner.clone() });
            }
            _ => run.value.execution = Some(execution.id.clone()),
        }
        reflect(execution, &run.value, now);
        Ok(run)
    }

    /// The delivery whose newer change holds the fence of this execution's route, if any does.
    async fn overtaken(&self, execution: &Execution) -> Result<Option<DeliveryId>, RunError> {
        let (Some(fence), Some(route)) = (&execution.fence, &execution.route) else { return Ok(None) };
        let standing = self.ledger.fence(fence.repository, &fence.git_ref, route).await?;
        Ok(standing.filter(|standing| standing.value.key != fence.key).map(|standing| standing.value.delivery))
    }

    /// Why this commit may not go where the execution deploys to, if it is in quarantine there. What turns a version back
    /// has chosen its target with that in view.
    ///
    /// # Errors
    /// [`RunError::Ledger`].
    pub async fn kept_out(&self, execution: &Execution) -> Result<Option<String>, RunError> {
        let (Some(environment), Some(sha)) = (&execution.environment, &execution.sha) else { return Ok(None) };
        if let Origin::Rollback { rollback } = &execution.origin {
            return self.not_wanted(rollback, execution).await;
        }
        if execution.kind == Kind::Rollback {
            return Ok(None);
        }
        let known = self.ledger.quarantine(environment, sha).await?;
        Ok(known.filter(|known| known.value.is_in_force()).map(|known| known.value.refusal()))
    }

    /// Why a rollback does not wait for this execution of its own any more: it has ended, or gone on to another step.
    async fn not_wanted(&self, rollback: &RollbackId, execution: &Execution) -> Result<Option<String>, RunError> {
        let found = self.ledger.rollback(rollback).await?;
        let its = if execution.rolls_back.is_some() { Step::RollbackStage } else { Step::Start };
        let waits = |rollback: &Rollback| match &rollback.phase {
            Phase::Asked { step, .. } => *step == its,
            Phase::Claimed
            | Phase::Choosing
            | Phase::Going { .. }
            | Phase::Done { .. }
            | Phase::Cancelled { .. }
            | Phase::Person { .. } => false,
        };
        let is_unwanted = found.is_some_and(|rollback| !waits(&rollback.value));
        Ok(is_unwanted.then(|| format!("{rollback} does not wait for it any more")))
    }

    /// The delivery of `execution` as it stands with this execution as it is now; `None` when nothing changes for it.
    ///
    /// Saved together with the execution: a crash can leave no delivery behind that its executions contradict.
    async fn settled_delivery(
        &self,
        execution: &Execution,
        now: Timestamp,
    ) -> Result<Option<Loaded<Delivery>>, RunError> {
        let Origin::Delivery { delivery } = &execution.origin else { return Ok(None) };
        let Some(mut loaded) = self.ledger.delivery(delivery).await? else { return Ok(None) };
        Ok(self.resettle(&mut loaded, Some(execution), now).await?.then_some(loaded))
    }

    /// Brings a delivery up to its executions, of which `newer` is not saved yet. Says whether anything changed.
    async fn resettle(
        &self,
        loaded: &mut Loaded<Delivery>,
        newer: Option<&Execution>,
        now: Timestamp,
    ) -> Result<bool, RunError> {
        let record = &mut loaded.value;
        if record.plan.is_empty() {
            return Ok(false);
        }
        let ids: Vec<_> = record.plan.iter().map(|planned| planned.execution.clone()).collect();
        let mut starts: BTreeMap<_, _> =
            self.ledger.executions(&ids).await?.into_iter().map(|found| (found.id, found.start)).collect();
        if let Some(newer) = newer {
            starts.insert(newer.id.clone(), newer.start.clone());
        }
        let starts: Vec<_> = ids.iter().map(|id| starts.get(id).cloned()).collect();
        let (status, reason) = delivery::settle(&record.plan, &starts, &record.left_out, record.is_dead);
        if (status, &reason) == (record.status, &record.reason) {
            return Ok(false);
        }
        (record.status, record.reason, record.updated_at) = (status, reason, now);
        Ok(true)
    }

    /// Writes down what became of a delivery, once that follows from its executions.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn settle_delivery(&self, id: &DeliveryId, now: Timestamp) -> Result<(), RunError> {
        in_turns(|| async {
            let Some(mut loaded) = self.ledger.delivery(id).await? else { return Ok(()) };
            if !self.resettle(&mut loaded, None, now).await? {
                return Ok(());
            }
            Ok(self.ledger.save(Writes::new().delivery(&loaded)).await?)
        })
        .await
    }

    /// Looks for a start that AWS did not answer, among what it lists and what only events told of.
    ///
    /// A look that was refused or cut off finds nothing for certain: then nothing is a "perhaps".
    ///
    /// # Errors
    /// [`RunError::Aws`] when AWS does not answer: that is no absence.
    pub async fn look_for(&self, execution: &Execution, now: Timestamp) -> Result<Sighting, RunError> {
        let uncertain = Sighting::Perhaps { candidates: Vec::new() };
        let listing = match self.targets.seen_since(&execution.target, execution.created_at).await {
            Ok(listing) => listing,
            // The pipeline may be gone, or we may not look: whether it was started, nobody knows.
            Err(CallError::Refused { .. }) => return Ok(uncertain),
            Err(error) => return Err(error.into()),
        };
        let unowned = self.ledger.unowned_runs(&execution.target).await?;
        let mut is_complete = listing.is_complete && unowned.is_complete;
        let mut seen = listing.seen;
        for aws_id in unowned.aws_ids {
            if seen.iter().all(|one| one.aws_id != aws_id) {
                seen.push(Seen::named(&aws_id));
            }
        }
        let mut candidates = Vec::new();
        for one in seen {
            if candidates.len() == CANDIDATES_MAX {
                is_complete = false;
                break;
            }
            candidates.extend(self.candidate(execution, one, now).await?);
        }
        let sighting = sight(execution, execution.created_at, &candidates);
        if let Sighting::Found { aws_id } = &sighting
            && let Some(found) = candidates.iter().find(|one| one.aws_id == *aws_id && one.owner.is_none())
            && self.unanswered(&execution.target).await?.iter().any(|other| execution.gives_way_to(other, found))
        {
            return Ok(Sighting::Anothers);
        }
        Ok(if sighting == Sighting::Nothing && !is_complete { uncertain } else { sighting })
    }

    /// The latest executions of a target that AWS was asked for, and nobody knows yet what came of that.
    ///
    /// # Errors
    /// What the ledger failed with.
    pub async fn unanswered(&self, target: &Target) -> Result<Vec<Execution>, RunError> {
        let mut latest = self.ledger.executions_of(target, UNANSWERED_AMONG).await?;
        latest.retain(Execution::is_unanswered);
        Ok(latest)
    }

    /// What is known of one of AWS's executions; `None` when it is somebody else's, or AWS knows it no more.
    async fn candidate(&self, execution: &Execution, one: Seen, now: Timestamp) -> Result<Option<Seen>, RunError> {
        let run = self.ledger.run(&execution.target, &one.aws_id, now).await?.value;
        if run.execution.as_ref().is_some_and(|owner| *owner != execution.id) {
            return Ok(None);
        }
        let mut whole = match self.targets.seen(&execution.target, &one.aws_id).await {
            Ok(whole) => whole,
            Err(CallError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let reported = run.observed.whole.as_ref().map(|whole| whole.began.map_or(whole.mark.at, |began| began.1));
        let listed = Some(one.started_at).filter(|at| *at != Timestamp::MAX);
        whole.started_at = listed.or(reported).unwrap_or(run.created_at);
        whole.revisions.extend(one.revisions);
        whole.rolls_back_in = whole.rolls_back_in.or_else(|| run.observed.rolls_back().map(|back| back.stage));
        whole.owner = run.execution.or(whole.owner);
        Ok(Some(whole))
    }
}

/// Among how many of a target's latest executions those without an answer are looked for.
const UNANSWERED_AMONG: usize = 50;

/// How many of AWS's executions that nobody owns one look compares. At the bound the look is cut off.
const CANDIDATES_MAX: usize = 50;

/// Brings an execution up to what its run has reported.
pub fn reflect(execution: &mut Execution, run: &Run, now: Timestamp) {
    if execution.status == Status::RolledBack {
        return;
    }
    if let Some(status) = run.observed.status() {
        execution.status = status;
    }
    let digests = run.observed.digests().map(str::to_owned);
    execution.images.extend(digests);
    if execution.kind == Kind::Rollback && execution.rolls_back.is_none() {
        execution.rolls_back = run.observed.rolls_back();
    }
    execution.updated_at = now;
    execution.due_at = if execution.status.is_over() { None } else { Some(now + QUIET_AFTER) };
}

/// What the audit log is to say of a step; `None` for looks that found nothing, which would drown the rest.
fn note_of(actor: &str, event: &StartEvent, execution: &Execution, asks: bool) -> Option<Note> {
    let note = |what: &str, detail: Value| Some(Note { actor: actor.to_owned(), what: what.to_owned(), detail });
    let target = json!({
        "kind": execution.target.kind.as_str(), "name": execution.target.name, "region": execution.target.region,
    });
    match (&execution.start, event) {
        (Start::Asked { asks: ask, .. }, _) if asks => {
            let mut detail = json!({ "target": target, "sha": execution.sha, "ask": ask });
            if let Some(back) = &execution.rolls_back {
                detail["rolls_back"] = json!(back.to_string());
            }
            note("start intended", detail)
        }
        (Start::Started { aws_id }, StartEvent::Answered { .. }) => note("start answered", json!({ "aws_id": aws_id })),
        (Start::Started { aws_id }, StartEvent::ResolvedAs { .. }) => {
            note("start resolved", json!({ "aws_id": aws_id }))
        }
        (Start::Started { aws_id }, _) => note("start recognised", json!({ "aws_id": aws_id })),
        (Start::Refused { reason }, _) => note("start refused", json!({ "reason": reason })),
        (Start::Overtaken { by }, _) => note("start overtaken", json!({ "by": by })),
        (Start::Unknown { reason, candidates, .. }, _) => {
            note("start unknown", json!({ "reason": reason, "candidates": candidates }))
        }
        (Start::Requested { .. }, StartEvent::StartAgain) => note("start again decided", json!({})),
        (Start::Requested { refusal, .. }, StartEvent::Full { .. }) => {
            note("start postponed", json!({ "reason": refusal }))
        }
        (Start::Requested { .. } | Start::Asked { .. }, _) => None,
    }
}
