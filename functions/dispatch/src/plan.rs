//! From a change to a plan: is it new, what does it match, and what is to be started.
//!
//! The claim of the change, the last push of its ref, the push itself and the plan are saved at once, so a crash leaves
//! either nothing or a plan that the next try carries out.

use crate::{DispatchError, HasTime, starts};
use jiff::Timestamp;
use pointsman::domain::authors::RecordedPush;
use pointsman::domain::change::{Change, ChangeKind, DeliveryId, GitRef, Paths, PathsUnknown, Repository, Sha};
use pointsman::domain::command::Manual;
use pointsman::domain::delivery::{Delivery, Planned, Status};
use pointsman::domain::intake::{LogicalKey, Repeat, SeenPush, repeat};
use pointsman::domain::route::{MatchedCommit, RepositoryConfig, Route};
use pointsman::domain::routing::{Matched, Outcome, Verdict, never_starts, route};
use pointsman::ledger::{Claim, Filter, LedgerError, LiveRoutes, Loaded, RefState, Version, Writes};
use pointsman::run::{Engine, TURNS_MAX};
use std::collections::BTreeSet;

/// How often a release waits for the push of its tag before it does without. SQS's visibility timeout is between.
const RECEIVES_FOR_A_TAG: u32 = 3;
/// How many of a repository's latest executions are asked for GitHub's id of it.
const EXECUTIONS_FOR_AN_ID: usize = 20;
/// The longest reason that is recorded, in characters; the rest is cut off.
const REASON_CHARACTERS_MAX: usize = 1_000;

/// What a delivery's record may weigh as JSON, in bytes. A DynamoDB item holds 400 KB; the plan of every route that a
/// repository may have fits in without the paths.
const RECORD_BYTES_MAX: usize = 360_000;

/// What a change comes to.
enum Plan {
    Ignore(String),
    /// What is started, and why some of what matched is not.
    Start(Vec<Planned>, Vec<String>),
}

/// A plan, and the version of the configuration that it follows from, where one was asked.
type Decided = (Plan, Option<Version>);

/// Carries out what a change calls for, from wherever an earlier try stopped.
pub(crate) async fn carry_out(
    engine: &Engine,
    change: &Change,
    receives: u32,
    now: Timestamp,
    has_time: HasTime<'_>,
) -> Result<(), DispatchError> {
    for _ in 0..TURNS_MAX {
        let known = engine.ledger.delivery(&change.delivery).await?;
        if let Some(known) = known.as_ref().filter(|known| is_decided(&known.value)) {
            return resume(engine, known, now, has_time).await;
        }
        let Some(writes) = decide(engine, change, known, receives, now).await? else { return Ok(()) };
        match engine.ledger.save(writes).await {
            // Saved: the next turn finds the plan and carries it out.
            Ok(()) | Err(LedgerError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(LedgerError::Conflict.into())
}

/// Whether an earlier try got as far as a plan or an outcome. A dead letter without a plan is decided anew.
fn is_decided(delivery: &Delivery) -> bool {
    delivery.status.is_final() || !delivery.plan.is_empty()
}

async fn resume(
    engine: &Engine,
    known: &Loaded<Delivery>,
    now: Timestamp,
    has_time: HasTime<'_>,
) -> Result<(), DispatchError> {
    if known.value.status.is_final() {
        return Ok(());
    }
    starts::carry_out(engine, &known.value, now, has_time).await
}

/// Decides what a change comes to and prepares the writes that say so.
async fn decide(
    engine: &Engine,
    change: &Change,
    known: Option<Loaded<Delivery>>,
    receives: u32,
    now: Timestamp,
) -> Result<Option<Writes>, DispatchError> {
    let key = LogicalKey::of(change);
    let claim = engine.ledger.claim(&key.hash()).await?;
    let git_ref = ref_state(engine, change).await?;
    let claimed_by = claim.as_ref().map(|claim| &claim.value.delivery);
    let last = git_ref.as_ref().and_then(|(_, known)| known.as_ref()).map(|known| &known.value.last);
    let mut writes = Writes::new();
    let decided = match repeat(change, claimed_by, last) {
        Repeat::Of(first) => {
            // The second hook's telling is claimed too: replayed later, it must still be a duplicate.
            if claim.is_none() {
                writes = writes.claim(&key.hash(), &Claim { delivery: first.clone(), change: key.clone() }, now);
            }
            (Plan::Ignore(format!("duplicate of delivery {first}")), None)
        }
        Repeat::Same => (Plan::Ignore("this delivery was handled before; its record has expired".to_owned()), None),
        Repeat::New => {
            writes = writes.claim(&key.hash(), &Claim { delivery: change.delivery.clone(), change: key.clone() }, now);
            if let Some((repository, known)) = git_ref
                && let Some(state) = seen(known, change)
            {
                writes = writes.git_ref(repository, &state);
            }
            if let Some((repository, push)) = RecordedPush::of(change) {
                writes = writes.push(repository.id, &push, now);
            }
            plan(engine, change, &key.hash(), receives, now).await?
        }
    };
    Ok(Some(writes.delivery(&record(change, known, decided, now))))
}

/// What is known of the ref that a push moves, with its repository.
async fn ref_state(engine: &Engine, change: &Change) -> Result<Option<(u64, Option<Loaded<RefState>>)>, DispatchError> {
    let (ChangeKind::Push(push), Some(repository)) = (&change.kind, &change.repository) else { return Ok(None) };
    Ok(Some((repository.id, engine.ledger.git_ref(repository.id, &push.git_ref.to_string()).await?)))
}

/// The ref's record with `change` as its last push.
fn seen(known: Option<Loaded<RefState>>, change: &Change) -> Option<Loaded<RefState>> {
    let ChangeKind::Push(push) = &change.kind else { return None };
    let last = SeenPush {
        before: push.before.clone(),
        after: push.after.clone(),
        pushed_at: push.pushed_at,
        commit: push.head.as_ref().map(|commit| commit.sha.clone()),
        delivery: change.delivery.clone(),
    };
    let (version, before_last) = known.map_or((0, None), |known| (known.version, Some(known.value.last)));
    Some(Loaded { value: RefState { git_ref: push.git_ref.to_string(), last, before_last }, version })
}

async fn plan(
    engine: &Engine,
    change: &Change,
    key: &str,
    receives: u32,
    now: Timestamp,
) -> Result<Decided, DispatchError> {
    if let Some(never) = never_starts(change) {
        return Ok((Plan::Ignore(never.to_string()), None));
    }
    let Some(repository) = &change.repository else {
        return Ok((Plan::Ignore("the event belongs to no repository".to_owned()), None));
    };
    let LiveRoutes { version, routes } = engine.ledger.routes_of(&repository.full_name).await?;
    let Some(config) = routes else {
        let reason = format!("repository {} is not in the configuration", repository.full_name);
        return Ok((Plan::Ignore(reason), version));
    };
    let verdicts = route(change, &config);
    let mut planned = Vec::new();
    let mut reasons = Vec::new();
    for Verdict { route, outcome } in verdicts {
        match outcome {
            Outcome::RuledOut(why) => reasons.push(format!("{}: {why}", route.name)),
            Outcome::Matched(matched) => match commit(engine, repository, &matched, receives).await? {
                Ok(sha) => match starts::planned(change, route, &matched, &sha, key, now) {
                    Some(start) => planned.push(start),
                    None => reasons.push(format!("{}: workflows cannot be started yet", route.name)),
                },
                Err(why) => reasons.push(format!("{}: {why}", route.name)),
            },
        }
    }
    if planned.is_empty() {
        let reason = format!("no route matches: {}", reasons.join("; "));
        return Ok((Plan::Ignore(cut(&reason)), version));
    }
    Ok((without_quarantined(engine, planned).await?, version))
}

/// Leaves out what would bring a commit to an environment that keeps it out. Whoever asks AWS looks again: a quarantine may
/// begin after this.
async fn without_quarantined(engine: &Engine, planned: Vec<Planned>) -> Result<Plan, DispatchError> {
    let mut allowed = Vec::new();
    let mut left_out = BTreeSet::new();
    for start in planned {
        match engine.kept_out(&start.draft).await? {
            // Two routes to one environment are one reason.
            Some(refusal) => drop(left_out.insert(refusal)),
            None => allowed.push(start),
        }
    }
    let left_out: Vec<String> = left_out.into_iter().collect();
    Ok(if allowed.is_empty() { Plan::Ignore(cut(&left_out.join("; "))) } else { Plan::Start(allowed, left_out) })
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARACTERS_MAX).collect()
}

/// The commit to start with. A release does not tell it: the push of its tag did, or is still on its way.
async fn commit(
    engine: &Engine,
    repository: &Repository,
    matched: &Matched,
    receives: u32,
) -> Result<Result<Sha, String>, DispatchError> {
    let (tag, fallback) = match &matched.sha {
        MatchedCommit::Known(sha) => return Ok(Ok(sha.clone())),
        MatchedCommit::OfTag { tag, fallback } => (tag, fallback),
    };
    let git_ref = GitRef::Tag(tag.clone()).to_string();
    let pushed = engine.ledger.git_ref(repository.id, &git_ref).await?.and_then(|state| state.value.last.commit);
    match (pushed, fallback) {
        (Some(sha), _) => Ok(Ok(sha)),
        (None, Some(sha)) => Ok(Ok(sha.clone())),
        (None, None) if receives < RECEIVES_FOR_A_TAG => {
            Err(DispatchError::NotYet("a release waits for the push of its tag".to_owned()))
        }
        (None, None) => Ok(Err(format!("the commit of tag {tag} is not known: no push of it was seen"))),
    }
}

fn record(change: &Change, known: Option<Loaded<Delivery>>, decided: Decided, now: Timestamp) -> Loaded<Delivery> {
    let (plan, configuration) = decided;
    let (status, reason, plan, left_out) = match plan {
        Plan::Ignore(reason) => (Status::Ignored, reason, Vec::new(), Vec::new()),
        Plan::Start(plan, left_out) => (Status::Received, "about to be started".to_owned(), plan, left_out),
    };
    let (created_at, version) = known.map_or((now, 0), |known| (known.value.created_at, known.version));
    let id = change.delivery.clone();
    let mut value = Delivery {
        id,
        status,
        reason,
        change: change.for_record(),
        configuration,
        plan,
        left_out,
        is_dead: false,
        created_at,
        updated_at: now,
    };
    keep_within_an_item(&mut value);
    Loaded { value, version }
}

/// Lets a record's changed paths go where it would not fit into an item with them: the plan is made already, and
/// `explain` says then that they are not knowable.
fn keep_within_an_item(delivery: &mut Delivery) {
    let weight = serde_json::to_vec(&*delivery).map_or(0, |json| json.len());
    if let (true, ChangeKind::Push(push)) = (weight > RECORD_BYTES_MAX, &mut delivery.change.kind) {
        push.paths = Paths::NotKnowable(PathsUnknown::TooManyPaths);
    }
}

/// Starts one route by hand. `by` is who sent the message, as SQS tells it.
pub(crate) async fn carry_out_manual(
    engine: &Engine,
    manual: &Manual,
    by: &str,
    now: Timestamp,
    has_time: HasTime<'_>,
) -> Result<(), DispatchError> {
    for _ in 0..TURNS_MAX {
        if let Some(known) = engine.ledger.delivery(&manual.manual).await? {
            return resume(engine, &known, now, has_time).await;
        }
        let repository = known_repository(engine, &manual.repository, now).await?;
        let change = manual_change(manual.manual.clone(), repository, by, now);
        let LiveRoutes { version, routes } = engine.ledger.routes_of(&manual.repository).await?;
        let plan = match manual_start(&change, manual, routes.as_ref(), now) {
            Ok(start) => without_quarantined(engine, vec![start]).await?,
            Err(why) => Plan::Ignore(why),
        };
        match engine.ledger.save(Writes::new().delivery(&record(&change, None, (plan, version), now))).await {
            Ok(()) | Err(LedgerError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(LedgerError::Conflict.into())
}

/// A repository that a person names. GitHub's id of it is the one of its latest execution that a delivery told of; 0
/// where there is none.
async fn known_repository(engine: &Engine, full_name: &str, now: Timestamp) -> Result<Repository, LedgerError> {
    let filter = Filter { repository: Some(full_name), ..Filter::default() };
    let latest = engine.ledger.latest_executions(filter, now, EXECUTIONS_FOR_AN_ID).await?;
    let mut ids = latest.into_iter().filter_map(|execution| execution.repository).map(|repository| repository.id);
    Ok(Repository { id: ids.find(|id| *id != 0).unwrap_or(0), full_name: full_name.to_owned() })
}

/// A start by hand as a change of our own.
fn manual_change(delivery: DeliveryId, repository: Repository, by: &str, now: Timestamp) -> Change {
    Change {
        delivery,
        received_at: now,
        repository: Some(repository),
        sender: Some(by.to_owned()),
        kind: ChangeKind::Other { event: "manual".to_owned() },
    }
}

/// What a start by hand starts, or why nothing.
fn manual_start(
    change: &Change,
    manual: &Manual,
    config: Option<&RepositoryConfig>,
    now: Timestamp,
) -> Result<Planned, String> {
    let routes: &[Route] = config.map(|config| config.routes.as_slice()).unwrap_or_default();
    let Some(route) = routes.iter().find(|route| route.name == manual.route) else {
        let names: Vec<_> = routes.iter().map(|route| route.name.as_str()).collect();
        return Err(format!(
            "{} has no route {}; it has: {}",
            manual.repository,
            manual.route,
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ));
    };
    let note = Some(format!("by hand: {}", manual.reason));
    let matched = Matched { sha: MatchedCommit::Known(manual.sha.clone()), git_ref: None, note };
    let key = LogicalKey::of(change).hash();
    starts::planned(change, route, &matched, &manual.sha, &key, now)
        .ok_or_else(|| format!("{}: workflows cannot be started yet", route.name))
}
