//! Approvers: how many mails each was sent this second.

use super::{Ledger, LedgerError, Loaded, Writes, expiring, item_of, keys};
use crate::aws::dynamodb::Write;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a count is kept: it is of no use after its second.
const COUNT_KEPT: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Serialize, Deserialize)]
struct MailCount {
    second: i64,
    mails: u32,
}

impl Ledger {
    /// Counts one mail more to this person, unless `most` were sent this second already. Somebody who counted at the same
    /// moment goes first: then it is no as well.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn take_mail_turn(&self, person: &str, most: u32, now: Timestamp) -> Result<bool, LedgerError> {
        let key = keys::mail_count(person);
        let known = self.load::<MailCount>(&key).await?;
        let second = now.as_second();
        let mails = known.as_ref().filter(|known| known.value.second == second).map_or(0, |known| known.value.mails);
        if mails >= most {
            return Ok(false);
        }
        let version = known.map_or(0, |known| known.version);
        let next = Loaded { value: MailCount { second, mails: mails + 1 }, version };
        let mut writes = Writes::new();
        writes.state.push(Write::Put(key, expiring(item_of(&next.value), now + COUNT_KEPT), next.expect()));
        match self.save(writes).await {
            Ok(()) => Ok(true),
            Err(LedgerError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
