//! Sends the mails of an approval: each with a link of its own, of which only the hash is kept.
//!
//! The link is minted, its hash saved, and then it is sent. A mail that is sent again carries a fresh one.

use super::situation::{Situation, situation};
use super::{load, save};
use crate::aws::sns::{Topics, Undelivered};
use crate::domain::approval::{Approval, ApprovalId, Invited, LinkHash};
use crate::domain::change::GitRef;
use crate::domain::mail::{self, Asked, Mail};
use crate::ledger::{LedgerError, LinkTo, Writes};
use crate::random::{NoRandomness, Random};
use crate::run::{Engine, RunError, in_turns};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;

/// How much chance is in a link, in bytes: 256 bits.
const LINK_BYTES: usize = 32;
/// How many mails one turn sends; the rest stay due. Their links are saved in one transaction of 100 items at most.
const MAILS_PER_TURN: usize = 10;
/// How many mails a second one person is sent at most; the others wait. SNS ends a subscription above ten.
const MAILS_PER_SECOND_MAX: u32 = 5;

/// Sends mails, each with a link of its own.
#[derive(Debug)]
pub struct Mailer {
    topics: Topics,
    random: Random,
}

/// Why a mail was not sent. None holds anything of it.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    /// Its person was sent several this second.
    #[error("several mails at once: SNS takes ten a second")]
    TooMany,
    /// The count of them could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// SNS did not take it, or may not have.
    #[error(transparent)]
    Mail(#[from] Undelivered),
}

/// A link, whole. Whoever has it can decide in somebody's name, so it is not shown by `Debug`.
struct Link(String);

impl Link {
    fn mint(random: &Random) -> Result<Self, NoRandomness> {
        let mut bytes = [0; LINK_BYTES];
        random.fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn hash(&self) -> LinkHash {
        LinkHash::of(&self.0)
    }
}

impl Mailer {
    /// Mails by these topics, with links from this source of chance.
    pub fn new(topics: Topics, random: Random) -> Self {
        Self { topics, random }
    }

    /// Sends the mails of an approval that are due, [`MAILS_PER_TURN`] at most. What cannot be sent is written down, and
    /// tried again later.
    ///
    /// # Errors
    /// What the ledger failed with; no mail that was not begun is lost by that.
    pub async fn send_due(&self, engine: &Engine, id: &ApprovalId, now: Timestamp) -> Result<(), RunError> {
        let Some((approval, begun)) = self.begin(engine, id, now).await? else { return Ok(()) };
        let situation = situation(engine, &approval, now).await?;
        let mut outcomes = Vec::new();
        let mut is_slow = false;
        for (key, link) in begun {
            // A service that does not answer one would not answer the others: the function has a time to keep.
            if is_slow {
                outcomes.push((key, Err("SNS did not answer for another mail".to_owned())));
                continue;
            }
            let Some(person) = approval.people.get(&key) else { continue };
            let url = format!("{}/approvals/{}", approval.base_url, link.0);
            let mail = text(&approval, &situation, &key, person, &url, now);
            let outcome = self.send(engine, &key, &person.email, &mail, now).await;
            is_slow = matches!(outcome, Err(NotSent::Mail(Undelivered::Lost(_) | Undelivered::Throttled(_))));
            outcomes.push((key, outcome.map_err(|why| why.to_string())));
        }
        in_turns(|| async {
            let mut loaded = load(engine, id).await?;
            for (key, outcome) in &outcomes {
                loaded.value.end_mail(key, now, outcome.clone(), now);
            }
            loaded.value.reschedule(now);
            let told: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(key, _)| key).collect();
            let not: Vec<_> =
                outcomes.iter().filter_map(|(key, outcome)| Some((key, outcome.as_ref().err()?))).collect();
            let detail = json!({ "approval": id, "sent": told, "not_sent": not });
            save(engine, &loaded, "approvers asked", detail, now).await
        })
        .await?;
        let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
        tracing::info!(approval = %id, sent = outcomes.len() - failed, failed, "approvers asked");
        Ok(())
    }

    /// Mints a link for everybody whose mail is due, and saves that it is on its way.
    async fn begin(
        &self,
        engine: &Engine,
        id: &ApprovalId,
        now: Timestamp,
    ) -> Result<Option<(Approval, Vec<(String, Link)>)>, RunError> {
        in_turns(|| async {
            let mut loaded = load(engine, id).await?;
            let mut writes = Writes::new();
            let mut minted = Vec::new();
            for key in loaded.value.mails_due(now).into_iter().take(MAILS_PER_TURN) {
                let link = Link::mint(&self.random)?;
                let to = LinkTo { approval: id.clone(), person: key.clone() };
                writes = writes.link(&link.hash(), &to, loaded.value.expires_at);
                loaded.value.begin_mail(&key, link.hash(), now);
                minted.push((key, link));
            }
            if minted.is_empty() {
                return Ok(None);
            }
            loaded.value.reschedule(now);
            engine.ledger.save(writes.approval(&loaded)).await?;
            Ok(Some((loaded.value, minted)))
        })
        .await
    }

    /// Sends a mail, unless its person was sent several this second.
    async fn send(&self, engine: &Engine, key: &str, email: &str, mail: &Mail, now: Timestamp) -> Result<(), NotSent> {
        if !engine.ledger.take_mail_turn(key, MAILS_PER_SECOND_MAX, now).await? {
            return Err(NotSent::TooMany);
        }
        Ok(self.topics.deliver(email, &mail.subject, &mail.body).await?)
    }
}

/// The mail for one person: what they are asked, or reminded of, or may override.
fn text(approval: &Approval, situation: &Situation, key: &str, person: &Invited, url: &str, now: Timestamp) -> Mail {
    let asked = asked(approval, situation, key, person, now);
    let standing = &situation.standing;
    let is_voter = approval.policy.as_ref().is_some_and(|policy| standing.is_asked(policy, key));
    if !is_voter && standing.may_override.contains(key) {
        mail::override_possible(&asked, url)
    } else if approval.reminders > 0 {
        mail::reminder(&asked, approval.opened_at, url)
    } else {
        mail::asked(&asked, url)
    }
}

fn asked(approval: &Approval, situation: &Situation, key: &str, person: &Invited, now: Timestamp) -> Asked {
    let (subject, standing) = (&approval.subject, &situation.standing);
    Asked {
        person: person.email.clone(),
        approval: approval.id.to_string(),
        environment: approval.environment.clone().unwrap_or_default(),
        repository: subject.repository.as_ref().map(|repository| repository.full_name.clone()).unwrap_or_default(),
        git_ref: subject.git_ref.clone().map(GitRef::from),
        commit: situation.commit(approval),
        started: situation.started(approval),
        checks: situation.checks(),
        barred: approval.policy.as_ref().and_then(|policy| standing.barred(policy, key)).map(str::to_owned),
        freeze: situation.freeze(key).filter(|_| !approval.is_overridden(standing)),
        newer: situation.newer.clone(),
        now,
        expires: approval.expires_at,
    }
}
