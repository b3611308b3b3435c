//! Opens an approval: takes the policy as it stands, and names the people who are asked.

use super::save_as;
use crate::config::EnvironmentConfig;
use crate::domain::approval::{
    Approval, ApprovalId, COMPARE_EVERY, Decision, FreezeByHand, Invited, Mail, Place, Policy, State, Subject,
    freezes_between,
};
use crate::domain::execution::{Execution, ExecutionId};
use crate::domain::policy::Member;
use crate::landing::with_images;
use crate::ledger::{LedgerError, Loaded, Writes};
use crate::run::{Engine, RunError, in_turns};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Opens the approval that CodePipeline asks for at `place`. One that is there already stays as it is.
pub(super) async fn open(
    engine: &Engine,
    base_url: &str,
    execution: &ExecutionId,
    place: &Place,
    now: Timestamp,
) -> Result<(), RunError> {
    in_turns(|| async {
        let Some(execution) = engine.ledger.execution(execution).await? else {
            return Err(RunError::NoExecution(execution.clone()));
        };
        let execution = execution.value;
        let (config, by_hand) = match &execution.environment {
            Some(name) => (
                engine.ledger.environment_config(name).await?.map(|(_, config)| config),
                engine.ledger.freeze_by_hand(name).await?.map(|found| found.value),
            ),
            None => (None, None),
        };
        let mut approval = drafted(base_url, &execution, place, config.as_ref(), by_hand.as_ref(), now);
        if let Some(passed) = passed(engine, &execution).await? {
            approval.decide(passed, now);
        }
        let detail = json!({
            "approval": approval.id, "stage": place.stage, "action": place.action, "environment": approval.environment,
            "policy": approval.policy, "asked": approval.people.values().map(|person| &person.email).collect::<Vec<_>>(),
            "state": approval.state,
        });
        let id = approval.id.clone();
        let what = if approval.policy.is_some() { "approval opened" } else { "approval left to the console" };
        // A finding that comes while people are asked is matched by these.
        let writes = match &execution.environment {
            Some(name) => with_images(Writes::new(), &execution, name, ""),
            None => Writes::new(),
        };
        match save_as(engine, &engine.actor, &Loaded::absent(approval), writes, what, detail, now).await {
            // Another try of ours made the record first.
            Err(RunError::Ledger(LedgerError::Conflict)) if engine.ledger.approval(&id).await?.is_some() => Ok(()),
            saved => {
                tracing::info!(approval = %id, execution = %execution.id, what, "approval recorded");
                saved
            }
        }
    })
    .await
}

fn drafted(
    base_url: &str,
    execution: &Execution,
    place: &Place,
    config: Option<&EnvironmentConfig>,
    by_hand: Option<&FreezeByHand>,
    now: Timestamp,
) -> Approval {
    let named = execution.approval.as_deref();
    // A name that the configuration knows no more: the environment's own policy is what is left.
    let policy = config.and_then(|config| {
        let environment = &config.environment;
        let own = || environment.policy(None).map(|policy| (None, policy));
        named.and_then(|name| environment.policy(Some(name)).map(|policy| (Some(name), policy))).or_else(own)
    });
    let expires = policy.map_or(SignedDuration::from_hours(24 * 7), |(_, policy)| seconds(policy.expires.seconds()));
    let expires_at = now + expires;
    let subject = Subject {
        repository: execution.repository.clone(),
        git_ref: execution.git_ref.clone(),
        sha: execution.sha.clone(),
        title: execution.title.clone(),
        actor: execution.actor.clone(),
        images: execution.images.clone(),
    };
    let state = match (&execution.environment, policy) {
        (_, Some(_)) => State::Open,
        (Some(name), None) => State::LeftToConsole { why: format!("{name} has no approval policy") },
        (None, None) => State::LeftToConsole { why: "no environment is known that it deploys to".to_owned() },
    };
    let people = match (config, policy) {
        (Some(config), Some((_, policy))) => {
            let groups: BTreeSet<&String> =
                policy.require.keys().chain(overriding(config, by_hand, now, expires_at)).collect();
            people_of(config, groups.into_iter(), now)
        }
        (Some(_) | None, _) => BTreeMap::new(),
    };
    let gate = config.and_then(|config| config.environment.gate.as_ref());
    let mut approval = Approval {
        id: ApprovalId::of(place),
        place: place.clone(),
        execution: execution.id.clone(),
        subject,
        environment: execution.environment.clone(),
        policy: policy.map(|(name, policy)| Policy::of(name, policy)),
        base_url: base_url.to_owned(),
        people,
        votes: Vec::new(),
        overridden: None,
        state,
        reminders: 0,
        remind_at: policy
            .and_then(|(_, policy)| policy.remind_after.as_ref())
            .map(|after| now + seconds(after.seconds())),
        scan_due_at: gate.map(|gate| now + seconds(gate.wait_for_scan.seconds())),
        scan_missing_since: None,
        opened_at: now,
        expires_at,
        updated_at: now,
        due_at: Some(now + COMPARE_EVERY),
    };
    approval.reschedule(now);
    approval
}

fn seconds(count: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(count))
}

/// The group that may put a freeze aside, where one is on at some time while this is open.
fn overriding<'a>(
    config: &'a EnvironmentConfig,
    by_hand: Option<&FreezeByHand>,
    from: Timestamp,
    to: Timestamp,
) -> Option<&'a String> {
    let freeze = config.environment.freeze.as_ref()?;
    let is_by_hand = by_hand.is_some_and(|by_hand| by_hand.since <= to && from < by_hand.until);
    freeze.override_group.as_ref().filter(|_| is_by_hand || freezes_between(freeze, from, to))
}

/// The groups whose members are asked: those of the policy, and the one that may put a freeze aside.
pub(super) fn asked_groups<'a>(
    required: impl Iterator<Item = &'a String>,
    config: &'a EnvironmentConfig,
    by_hand: Option<&FreezeByHand>,
    approval: &Approval,
) -> BTreeSet<&'a String> {
    required.chain(overriding(config, by_hand, approval.opened_at, approval.expires_at)).collect()
}

/// The members of these groups, each once, by lower-cased address.
pub(super) fn people_of<'a>(
    config: &EnvironmentConfig,
    groups: impl Iterator<Item = &'a String>,
    now: Timestamp,
) -> BTreeMap<String, Invited> {
    let members = groups.filter_map(|name| config.groups.get(name)).flat_map(|group| &group.members);
    members.map(|member| (member.email.to_lowercase(), invited(member, now))).collect()
}

fn invited(member: &Member, now: Timestamp) -> Invited {
    Invited { email: member.email.clone(), github: member.github.clone(), links: Vec::new(), mail: Mail::wanted(now) }
}

/// An execution of a rollback passes without votes, to a version that this environment let in before.
async fn passed(engine: &Engine, execution: &Execution) -> Result<Option<Decision>, LedgerError> {
    let (Some(environment), Some(sha)) = (&execution.environment, &execution.sha) else { return Ok(None) };
    let Some(rollback) = engine.ledger.rollback_with(&execution.id).await? else { return Ok(None) };
    if rollback.environment != *environment || rollback.sha != *sha {
        return Ok(None);
    }
    // A rollback that has ended lets nobody pass any more: its execution may be tried again by anybody.
    if let Some(id) = &rollback.rollback
        && engine.ledger.rollback(id).await?.is_none_or(|rollback| rollback.value.phase.is_over())
    {
        return Ok(None);
    }
    let before = engine.ledger.let_in(environment, sha).await?;
    Ok(before.map(|before| Decision::Passed { incident: rollback.incident, approved_at: before.at, by: before.by }))
}
