//! SQS: the queue of changes, and its dead letters.

use super::{AwsConfig, CallError, client};
use crate::domain::change::Change;
use crate::domain::intake::message_group;
use serde::Serialize;
use serde_json::ser::Formatter;
use std::io;

/// How many messages SQS hands out at once.
const MESSAGES_PER_RECEIVE: i32 = 10;

/// The longest that a message can be held back, in seconds; a longer delay is cut to it.
///
/// Source: the SQS API reference, SendMessage.
pub const DELAY_SECONDS_MAX: i32 = 900;

/// One queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

/// A message as it was received.
#[derive(Debug, Clone)]
pub struct Message {
    /// What deletes it.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// Its FIFO group.
    pub group: String,
}

impl Queue {
    /// A client of the queue at `url`.
    pub fn new(config: &AwsConfig, url: String) -> Self {
        Self { client: client!(aws_sdk_sqs, config), url }
    }

    /// Finds a queue by its name.
    ///
    /// # Errors
    /// [`CallError`] when there is none, or no answer.
    pub async fn by_name(config: &AwsConfig, name: &str) -> Result<Self, CallError> {
        let client = client!(aws_sdk_sqs, config);
        let url = client.get_queue_url().queue_name(name).send().await?.queue_url.unwrap_or_default();
        Ok(Self { client, url })
    }

    /// Opens the connection, so that the first message need not.
    ///
    /// # Errors
    /// [`CallError`] when the queue cannot be reached.
    pub async fn warm(&self) -> Result<(), CallError> {
        // A message that cannot be sent: SQS refuses it, and the connection stands. No other permission is needed.
        match self.client.send_message().queue_url(&self.url).message_body("").send().await.map_err(CallError::from) {
            Err(error @ CallError::Lost(_)) => Err(error),
            Ok(_) | Err(CallError::Refused { .. } | CallError::Throttled { .. }) => Ok(()),
        }
    }

    /// Queues a change; once this returns it is durable. `request` makes the message unique: SQS would swallow
    /// GitHub's redelivery within five minutes, and telling repeats apart is `dispatch`'s.
    ///
    /// # Errors
    /// [`CallError`] when SQS did not confirm it.
    pub async fn send(&self, change: &Change, request: &str) -> Result<(), CallError> {
        self.send_raw(&ascii_json(change), &message_group(change), request).await
    }

    /// Queues a text as it is.
    ///
    /// # Errors
    /// [`CallError`] when SQS did not confirm it.
    pub async fn send_raw(&self, body: &str, group: &str, request: &str) -> Result<(), CallError> {
        let message = self.client.send_message().queue_url(&self.url).message_body(body);
        message.message_group_id(group).message_deduplication_id(request).send().await?;
        Ok(())
    }

    /// Queues a text that is handed out `delay_seconds` from now, between none and [`DELAY_SECONDS_MAX`]. For a queue
    /// that is not FIFO: there a delay is the queue's. The SDK may repeat the call when a reply gets lost, so one text
    /// may come twice.
    ///
    /// # Errors
    /// [`CallError`] when SQS did not confirm it.
    pub async fn send_later(&self, body: &str, delay_seconds: i32) -> Result<(), CallError> {
        let message = self.client.send_message().queue_url(&self.url).message_body(body);
        message.delay_seconds(delay_seconds.clamp(0, DELAY_SECONDS_MAX)).send().await?;
        Ok(())
    }

    /// Receives up to ten messages and hides them for `seconds`.
    ///
    /// # Errors
    /// [`CallError`] when SQS did not answer.
    pub async fn receive(&self, seconds: i32) -> Result<Vec<Message>, CallError> {
        use aws_sdk_sqs::types::MessageSystemAttributeName::MessageGroupId;
        let request = self.client.receive_message().queue_url(&self.url).visibility_timeout(seconds);
        let answer = request
            .max_number_of_messages(MESSAGES_PER_RECEIVE)
            .message_system_attribute_names(MessageGroupId)
            .send()
            .await?;
        let messages = answer.messages.unwrap_or_default().into_iter().map(|message| Message {
            group: message.attributes().and_then(|all| all.get(&MessageGroupId)).cloned().unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
        });
        Ok(messages.collect())
    }

    /// Makes a received message visible again at once.
    ///
    /// # Errors
    /// [`CallError`] when SQS did not confirm it.
    pub async fn put_back(&self, message: &Message) -> Result<(), CallError> {
        let request = self.client.change_message_visibility().queue_url(&self.url);
        request.receipt_handle(&message.receipt).visibility_timeout(0).send().await?;
        Ok(())
    }

    /// Deletes a received message.
    ///
    /// # Errors
    /// [`CallError`] when SQS did not confirm it.
    pub async fn delete(&self, message: &Message) -> Result<(), CallError> {
        self.client.delete_message().queue_url(&self.url).receipt_handle(&message.receipt).send().await?;
        Ok(())
    }

    /// About how many messages wait.
    ///
    /// # Errors
    /// [`CallError`] when SQS did not answer.
    pub async fn depth(&self) -> Result<u64, CallError> {
        use aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages;
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = request.attribute_names(ApproximateNumberOfMessages).send().await?;
        let count = answer.attributes().and_then(|all| all.get(&ApproximateNumberOfMessages));
        Ok(count.and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// JSON in ASCII alone: SQS refuses some characters, and a commit message may hold any.
pub fn ascii_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Ascii);
    // Our own types always serialise, and writing to a Vec cannot fail; an empty body would be refused by SQS.
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                writer.write_all(&[character as u8])?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_queued_is_ascii_and_reads_back() {
        for text in ["plain", "naïve", "emoji 🚂", "\u{fffe}\u{ffff}", "tab\tnul\0del\u{7f}", "\"\\\u{2028}"] {
            let json = ascii_json(&text);
            assert!(json.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
