//! Looks after an open approval: reminds, watches for the scan, says when to look again.

use super::open::{asked_groups, people_of};
use super::situation::situation;
use super::{load, save};
use crate::domain::approval::{Approval, ApprovalId, Standing, State, tally};
use crate::run::{Engine, RunError, in_turns};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::btree_map::Entry;

/// What somebody should know of an approval that was looked after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tended {
    /// It is open, and those who are still wanted were reminded.
    pub is_pending_long: bool,
    /// It is open, and the scan of its image is late.
    pub is_scan_missing: bool,
    /// It is decided, and CodePipeline does not know.
    pub is_untold: bool,
    /// Somebody could not be sent their mail.
    pub is_mail_stuck: bool,
}

/// How often an approval that is left to the console is compared with CodePipeline.
const LEFT_COMPARED_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// Does what is due for an approval, mails apart: it only says which are wanted.
///
/// # Errors
/// What the ledger failed with.
pub async fn tend(engine: &Engine, id: &ApprovalId, now: Timestamp) -> Result<Tended, RunError> {
    let approval = in_turns(|| async {
        let mut loaded = load(engine, id).await?;
        let before = loaded.value.clone();
        let approval = &mut loaded.value;
        let mut said = Vec::new();
        match &approval.state {
            State::Open => {
                join(engine, approval, now, &mut said).await?;
                remind_once(engine, approval, now, &mut said).await?;
                watch_scan(engine, approval, now, &mut said).await?;
                approval.reschedule(now);
            }
            State::LeftToConsole { .. } => approval.due_at = Some(now + LEFT_COMPARED_EVERY),
            State::Decided { .. } | State::Ended { .. } => return Ok(loaded.value),
        }
        if said.is_empty() && loaded.value == before {
            return Ok(loaded.value);
        }
        match said.as_slice() {
            [] => engine.ledger.save(crate::ledger::Writes::new().approval(&loaded)).await?,
            [what, ..] => save(engine, &loaded, what, json!({ "approval": id, "also": said }), now).await?,
        }
        Ok(loaded.value)
    })
    .await?;
    let is_open = approval.state == State::Open;
    Ok(Tended {
        is_pending_long: is_open && approval.reminders > 0,
        is_scan_missing: is_open && approval.scan_missing_since.is_some(),
        is_untold: matches!(
            &approval.state,
            State::Decided { told: crate::domain::approval::Told::Pending { .. }, .. }
        ),
        is_mail_stuck: is_open && approval.people.values().any(|person| person.mail.trouble().is_some()),
    })
}

/// Asks those again who are still wanted, once.
async fn remind_once(
    engine: &Engine,
    approval: &mut Approval,
    now: Timestamp,
    said: &mut Vec<&'static str>,
) -> Result<(), RunError> {
    if approval.remind_at.is_none_or(|at| at > now) {
        return Ok(());
    }
    let wanted = still_wanted(approval, &situation(engine, approval, now).await?.standing);
    approval.ask_again(wanted.iter(), now);
    approval.reminders += 1;
    approval.remind_at = None;
    approval.updated_at = now;
    said.push("approvers reminded");
    Ok(())
}

/// Those whose yes would bring it further.
fn still_wanted(approval: &Approval, standing: &Standing) -> Vec<String> {
    let tally = tally(approval, standing);
    let is_wanted = |person: &String| {
        let groups = standing.members.get(person).into_iter().flatten();
        tally.more_people > 0
            || groups.into_iter().any(|group| tally.missing.get(group).is_some_and(|missing| *missing > 0))
    };
    tally.could.iter().filter(|person| is_wanted(person)).cloned().collect()
}

/// Wants a mail to `only` again, a lower-cased address, or else to everybody who is still wanted, and names those who
/// get one. `sweep` sends them at its next turn; whoever waits for a mail that could not be sent yet keeps their turn.
///
/// Nobody is named where votes are not taken any more, and nothing is changed then.
///
/// # Errors
/// What the ledger failed with.
pub async fn remind(
    engine: &Engine,
    id: &ApprovalId,
    only: Option<&str>,
    now: Timestamp,
) -> Result<Vec<String>, RunError> {
    in_turns(|| async {
        let mut loaded = load(engine, id).await?;
        let approval = &mut loaded.value;
        let wanted = match only {
            _ if !approval.is_open(now) => Vec::new(),
            Some(key) => vec![key.to_owned()],
            None => still_wanted(approval, &situation(engine, approval, now).await?.standing),
        };
        let wanted: Vec<String> = wanted.into_iter().filter(|key| approval.people.contains_key(key)).collect();
        if wanted.is_empty() {
            return Ok(wanted);
        }
        approval.ask_again(wanted.iter(), now);
        approval.updated_at = now;
        approval.reschedule(now);
        let detail = json!({ "approval": id, "to": wanted });
        save(engine, &loaded, "approvers reminded", detail, now).await?;
        Ok(wanted)
    })
    .await
}

/// Takes in what has become known since it was opened: a commit, and who has joined the groups that are asked.
async fn join(
    engine: &Engine,
    approval: &mut Approval,
    now: Timestamp,
    said: &mut Vec<&'static str>,
) -> Result<(), RunError> {
    if approval.subject.sha.is_none()
        && let Some(execution) = engine.ledger.execution(&approval.execution).await?
        && execution.value.sha.is_some()
    {
        approval.subject.sha = execution.value.sha;
        said.push("approval's commit known");
    }
    let Some(name) = &approval.environment else { return Ok(()) };
    let Some((_, config)) = engine.ledger.environment_config(name).await? else { return Ok(()) };
    let by_hand = engine.ledger.freeze_by_hand(name).await?.map(|found| found.value);
    let required = approval.policy.iter().flat_map(|policy| policy.require.keys());
    let groups = asked_groups(required, &config, by_hand.as_ref(), approval);
    for (key, person) in people_of(&config, groups.into_iter(), now) {
        if let Entry::Vacant(place) = approval.people.entry(key) {
            place.insert(person);
            said.push("approver joined");
        }
    }
    Ok(())
}

/// Notices a scan that is late, and one that has come after all.
async fn watch_scan(
    engine: &Engine,
    approval: &mut Approval,
    now: Timestamp,
    said: &mut Vec<&'static str>,
) -> Result<(), RunError> {
    if approval.scan_due_at.is_none_or(|due| due > now) {
        return Ok(());
    }
    let is_missing = situation(engine, approval, now).await?.check.is_some_and(|check| check.is_scan_missing());
    match (is_missing, approval.scan_missing_since) {
        (true, None) => {
            approval.scan_missing_since = Some(now);
            said.push("scan missing");
            tracing::warn!(approval = %approval.id, "the scan of its image is missing");
        }
        (false, Some(_)) => {
            approval.scan_missing_since = None;
            said.push("scan has come");
        }
        (true, Some(_)) | (false, None) => {}
    }
    Ok(())
}
