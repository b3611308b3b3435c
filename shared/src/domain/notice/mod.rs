//! Notices: what people are told of incidents and of what waits at a hold. One mail a minute for an environment at most;
//! what comes in between goes together into the next one.

mod text;

pub use text::{Waits, incident, is_news, waits};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How far apart the mails of one environment are, at least.
pub const NOTICES_APART: SignedDuration = SignedDuration::from_secs(60);
/// How long one that SNS did not take waits for its next try.
pub const TRY_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// How many notices one mail holds. Beyond that the oldest is left out, of those that call nobody first; the mail says
/// how many.
pub const WAITING_MAX: usize = 5;

/// A text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about: an incident's id, or an execution that waits. A newer notice about the same takes its place.
    pub about: String,
    /// Whether somebody must act.
    pub is_urgent: bool,
    /// Its title, for a mail's subject.
    pub subject: String,
    /// What, where, since when, what was done, what is needed.
    pub body: String,
}

/// What goes to SNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The subject.
    pub subject: String,
    /// The text.
    pub body: String,
    /// The notices that stand in it.
    pub notices: Vec<Notice>,
}

/// The notices of one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    /// The environment; empty for what names none.
    pub environment: String,
    /// When the last mail was sent.
    pub sent_at: Option<Timestamp>,
    /// What waits to be sent, the oldest first; [`WAITING_MAX`] at most.
    pub waiting: Vec<Notice>,
    /// How many were left out since the last mail.
    pub left_out: u32,
    /// What went wrong with the mail that waits.
    pub trouble: Option<String>,
    /// When `sweep` is to send it.
    pub due_at: Option<Timestamp>,
}

impl Notices {
    /// Has `notice` sent with the next mail. One about the same that waits already is left out, and counted.
    pub fn want(&mut self, notice: Notice, now: Timestamp) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.about != notice.about);
        if self.waiting.len() == WAITING_MAX {
            let calm = self.waiting.iter().position(|waiting| !waiting.is_urgent);
            self.waiting.remove(calm.unwrap_or(0));
        }
        self.left_out = self.left_out.saturating_add(u32::from(self.waiting.len() < before));
        self.waiting.push(notice);
        let free_at = self.sent_at.map_or(now, |sent| sent + NOTICES_APART);
        self.due_at = Some(self.due_at.unwrap_or(free_at).min(free_at).max(now));
    }

    /// The mail to send now, if it is its turn. What it holds goes on waiting until [`Notices::sent`].
    pub fn take_turn(&mut self, now: Timestamp) -> Option<Mail> {
        self.due_at.filter(|due| *due <= now)?;
        let mut notices = self.waiting.clone();
        // Those that call somebody first, and the newest of them on top.
        notices.reverse();
        notices.sort_by_key(|notice| !notice.is_urgent);
        let first = notices.first()?;
        self.due_at = Some(now + TRY_AGAIN_AFTER);
        let subject = match notices.len() {
            1 => first.subject.clone(),
            several => text::subject(&format!("{} (and {} more)", first.subject, several - 1)),
        };
        let bodies: Vec<&str> = notices.iter().map(|notice| notice.body.as_str()).collect();
        let mut body = bodies.join("\n----------\n\n");
        match self.left_out {
            0 => (),
            1 => body.push_str("\nOne earlier notification was left out.\n"),
            more => body.push_str(&format!("\n{more} earlier notifications were left out.\n")),
        }
        Some(Mail { subject, body, notices })
    }

    /// Takes in that SNS took `mail`, or why not.
    pub fn sent(&mut self, mail: &Mail, outcome: Result<(), String>, now: Timestamp) {
        match outcome {
            Ok(()) => {
                self.sent_at = Some(now);
                self.left_out = 0;
                self.trouble = None;
                // Others may have come meanwhile.
                self.waiting.retain(|waiting| !mail.notices.contains(waiting));
                self.due_at = (!self.waiting.is_empty()).then_some(now + NOTICES_APART);
            }
            Err(why) => self.trouble = Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn notice(about: &str, text: &str) -> Notice {
        Notice { about: about.into(), is_urgent: false, subject: text.into(), body: format!("{text}\n") }
    }

    #[test]
    fn the_first_goes_at_once_and_of_a_flood_the_last() {
        let mut notices = Notices::default();
        notices.want(notice("in-1", "1"), at(0));
        let first = notices.take_turn(at(0)).unwrap();
        notices.sent(&first, Ok(()), at(0));
        assert_eq!((notices.waiting.len(), notices.due_at), (0, None));
        for number in 2..=100 {
            notices.want(notice("in-1", &number.to_string()), at(1));
            assert_eq!(notices.take_turn(at(1)), None, "within the minute");
        }
        let last = notices.take_turn(at(60)).unwrap();
        assert_eq!((last.subject.as_str(), notices.left_out), ("100", 98));
        assert_eq!(last.body, "100\n\n98 earlier notifications were left out.\n");
        notices.sent(&last, Ok(()), at(60));
        assert_eq!((notices.left_out, notices.due_at), (0, None));
    }

    #[test]
    fn what_sns_does_not_take_stays() {
        let mut notices = Notices::default();
        notices.want(notice("in-1", "1"), at(0));
        let one = notices.take_turn(at(0)).unwrap();
        assert_eq!(notices.take_turn(at(0)), None, "two at once send it once");
        notices.sent(&one, Err("no answer".into()), at(0));
        assert_eq!((notices.trouble.as_deref(), notices.due_at), (Some("no answer"), Some(at(60))));
        assert_eq!(notices.take_turn(at(60)), Some(one.clone()));
        notices.want(notice("in-1", "2"), at(61));
        notices.sent(&one, Ok(()), at(61));
        assert_eq!(notices.waiting, [notice("in-1", "2")], "what came meanwhile is still to be sent");
        assert_eq!(notices.due_at, Some(at(121)));
    }

    #[test]
    fn what_comes_within_a_minute_goes_together_and_what_calls_somebody_stands_first() {
        let mut notices = Notices { sent_at: Some(at(0)), ..Notices::default() };
        notices.want(notice("in-1", "watched"), at(1));
        notices.want(Notice { is_urgent: true, ..notice("in-2", "act") }, at(2));
        notices.want(notice("execution", "waits"), at(3));
        notices.want(notice("in-1", "calm again"), at(4));
        let mail = notices.take_turn(at(60)).unwrap();
        assert_eq!(mail.subject, "act (and 2 more)");
        assert_eq!(
            mail.body,
            "act\n\n----------\n\ncalm again\n\n----------\n\nwaits\n\nOne earlier notification was left out.\n"
        );
        notices.sent(&mail, Ok(()), at(60));
        assert_eq!((notices.waiting.len(), notices.due_at), (0, None));
    }

    #[test]
    fn a_flood_of_incidents_leaves_out_the_oldest_but_none_that_calls_somebody() {
        let mut notices = Notices { sent_at: Some(at(0)), ..Notices::default() };
        notices.want(Notice { is_urgent: true, ..notice("in-0", "act") }, at(1));
        for number in 1..100 {
            notices.want(notice(&format!("in-{number}"), &number.to_string()), at(1));
        }
        let mail = notices.take_turn(at(60)).unwrap();
        let subjects: Vec<&str> = mail.notices.iter().map(|notice| notice.subject.as_str()).collect();
        assert_eq!(subjects, ["act", "99", "98", "97", "96"]);
        assert_eq!(notices.left_out, 95);
    }
}
