//! Dead letters: counted, and their deliveries written down as failed. They stay where they are, for
//! `pointsman deliveries redrive`.

use crate::{App, Summary};
use pointsman::domain::change::Change;
use pointsman::domain::command::Command;
use pointsman::domain::delivery::{DEAD_LETTER, Delivery, Status};
use pointsman::ledger::{Loaded, Writes};
use pointsman::run::{RunError, in_turns};

/// How many times ten messages are read in one turn. At the bound the rest is counted and not written down.
const RECEIVES_PER_TURN: usize = 50;
/// How long a message that is being read is hidden, in seconds. It is put back when all are read.
const HIDDEN_SECONDS: i32 = 30;

pub(crate) async fn count(app: &App, summary: &mut Summary) -> Result<(), RunError> {
    let mut messages = Vec::new();
    for _ in 0..RECEIVES_PER_TURN {
        let received = app.dead_letters.receive(HIDDEN_SECONDS).await?;
        if received.is_empty() {
            break;
        }
        messages.extend(received);
    }
    let depth = app.dead_letters.depth().await?;
    summary.dead_letters += depth + messages.len() as u64;
    let mut outcome = Ok(());
    for message in &messages {
        if let Ok(Command::Change(change)) = serde_json::from_str(&message.body) {
            outcome = outcome.and(write_down(app, &change).await);
        }
        app.dead_letters.put_back(message).await?;
    }
    outcome
}

/// Writes a delivery down as failed, unless it came to something after all.
async fn write_down(app: &App, change: &Change) -> Result<(), RunError> {
    let now = app.config.now();
    in_turns(|| async {
        let known = app.engine.ledger.delivery(&change.delivery).await?;
        let failed = match known {
            // One that is dead already is settled again below: the last time may have been cut off before that.
            Some(known) if known.value.status != Status::Received || known.value.is_dead => return Ok(()),
            Some(mut known) => {
                known.value.is_dead = true;
                known.value.updated_at = now;
                if known.value.plan.is_empty() {
                    (known.value.status, known.value.reason) = (Status::Failed, DEAD_LETTER.to_owned());
                }
                known
            }
            None => Loaded::absent(Delivery {
                id: change.delivery.clone(),
                status: Status::Failed,
                reason: DEAD_LETTER.to_owned(),
                change: change.for_record(),
                configuration: None,
                plan: Vec::new(),
                left_out: Vec::new(),
                is_dead: true,
                created_at: now,
                updated_at: now,
            }),
        };
        Ok(app.engine.ledger.save(Writes::new().delivery(&failed)).await?)
    })
    .await?;
    app.engine.settle_delivery(&change.delivery, now).await
}
