//! A delivery: what became of it, and why.

use super::change::{Change, DeliveryId};
use super::execution::{Execution, ExecutionId, Start};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A delivery's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its GUID.
    pub id: DeliveryId,
    /// What became of it.
    pub status: Status,
    /// Why; never empty unless it was executed.
    pub reason: String,
    /// What it said.
    pub change: Change,
    /// The version of the configuration whose routes were asked; `None` where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<u64>,
    /// The routes that matched, and what each starts.
    pub plan: Vec<Planned>,
    /// Why routes that matched are not in the plan: their commit is in quarantine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Its message became a dead letter: a start of the plan without a record will not get one by itself.
    #[serde(default)]
    pub is_dead: bool,
    /// When it was first taken up.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A route that matched, and the execution that it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The route's name.
    pub route: String,
    /// Our id of the execution. Its record may not be there yet.
    pub execution: ExecutionId,
    /// The delivery whose newer change took the route before the record was made.
    pub overtaken_by: Option<DeliveryId>,
    /// The execution as it was decided, for whoever makes its record: the configuration may have changed by then.
    pub draft: Execution,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Taken up; not every target has answered.
    Received,
    /// Every matched target has answered with an execution id.
    Executed,
    /// It starts nothing.
    Ignored,
    /// AWS refused, or it ended as a dead letter.
    Failed,
    /// We cannot know: a person decides.
    Unknown,
}

impl Status {
    /// The word that programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Executed => "executed",
            Self::Ignored => "ignored",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a repeat of the delivery changes nothing any more.
    ///
    /// A failed one may be tried again: GitHub's redelivery keeps the GUID, and that is what it is for.
    pub fn is_final(self) -> bool {
        match self {
            Self::Executed | Self::Ignored | Self::Unknown => true,
            Self::Received | Self::Failed => false,
        }
    }
}

/// Decides what became of a delivery from how far each of its starts got. `starts` are in the order of the plan;
/// `None` is a record that is not there yet.
///
/// `executed` needs an answer from every target that was not overtaken; what is unclear outweighs what failed,
/// and both outweigh what still waits only once nothing waits.
///
/// Of a dead letter, a start without a record has failed. What was left out of the plan is named last, whatever became of
/// the rest.
pub fn settle(plan: &[Planned], starts: &[Option<Start>], left_out: &[String], is_dead: bool) -> (Status, String) {
    let mut tally = Tally { is_dead, ..Tally::default() };
    for (planned, start) in plan.iter().zip(starts) {
        tally.count(planned, start.as_ref());
    }
    let (status, reasons) = tally.outcome();
    let reasons: Vec<&str> = reasons.iter().chain(left_out).map(String::as_str).collect();
    (status, reasons.join("; ").chars().take(REASON_CHARACTERS_MAX).collect())
}

/// The longest reason, in characters; the rest is cut off.
const REASON_CHARACTERS_MAX: usize = 2_000;

/// Why a start of a dead letter has failed.
pub const DEAD_LETTER: &str =
    "dead letter: dispatch failed on it again and again; `pointsman deliveries redrive` tries it anew";

#[derive(Default)]
struct Tally {
    is_dead: bool,
    started: usize,
    waiting: Vec<String>,
    unknown: Vec<String>,
    refused: Vec<String>,
    overtaken: Vec<String>,
}

impl Tally {
    fn outcome(self) -> (Status, Vec<String>) {
        if !self.waiting.is_empty() {
            (Status::Received, self.waiting)
        } else if !self.unknown.is_empty() {
            (Status::Unknown, self.unknown)
        } else if !self.refused.is_empty() {
            (Status::Failed, self.refused)
        } else if self.started > 0 {
            (Status::Executed, self.overtaken)
        } else {
            (Status::Ignored, self.overtaken)
        }
    }

    fn count(&mut self, planned: &Planned, start: Option<&Start>) {
        let route = &planned.route;
        let overtaken = |by: &DeliveryId| format!("{route}: overtaken by the newer delivery {by}");
        if let Some(by) = &planned.overtaken_by {
            self.overtaken.push(overtaken(by));
            return;
        }
        match start {
            None if self.is_dead => self.refused.push(format!("{route}: {DEAD_LETTER}")),
            None => self.waiting.push(format!("{route}: about to be requested")),
            Some(Start::Requested { refusal: None, .. }) => self.waiting.push(format!("{route}: about to be started")),
            Some(Start::Requested { refusal: Some(why), .. }) => {
                self.waiting.push(format!("{route}: waiting for room: {why}"));
            }
            Some(Start::Asked { .. }) => self.waiting.push(format!("{route}: AWS was asked and has not answered yet")),
            Some(Start::Started { .. }) => self.started += 1,
            Some(Start::Refused { reason }) => self.refused.push(format!("{route}: {reason}")),
            Some(Start::Overtaken { by }) => self.overtaken.push(overtaken(by)),
            Some(Start::Unknown { reason, .. }) => self
                .unknown
                .push(format!("{route}: {reason}; `pointsman executions resolve {}` settles it", planned.execution)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Execution {
        serde_json::from_value(serde_json::json!({
            "id": "ex-1", "kind": "deployment", "origin": { "by": "delivery", "delivery": "d1" },
            "target": { "kind": "pipeline", "name": "p", "region": "us-east-1" }, "variables": {},
            "start": { "at": "requested", "asks": 0 }, "status": "requested",
            "created_at": "2026-01-01T00:00:00Z", "wanted_since": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn executed_needs_an_answer_from_every_target() {
        let started = || Some(Start::Started { aws_id: "x".into() });
        let asked = || Some(Start::Asked { since: Timestamp::UNIX_EPOCH, asks: 1, absences: 0 });
        let refused = || Some(Start::Refused { reason: "no such pipeline".into() });
        let unknown = || Some(Start::Unknown { reason: "lost".into(), candidates: vec![], asks: 2 });
        let overtaken = || Some(Start::Overtaken { by: "d2".parse().unwrap() });
        #[rustfmt::skip]
        let cases = [
            (vec![started()],              Status::Executed, "the only target answered"),
            (vec![started(), started()],   Status::Executed, "both did"),
            (vec![started(), asked()],     Status::Received, "one has not answered"),
            (vec![started(), None],        Status::Received, "one was not even requested"),
            (vec![refused(), asked()],     Status::Received, "it has failed only when nothing is open"),
            (vec![started(), refused()],   Status::Failed,   "one was refused"),
            (vec![refused(), unknown()],   Status::Unknown,  "what is unclear outweighs what failed"),
            (vec![overtaken()],            Status::Ignored,  "a newer push took the only route"),
            (vec![overtaken(), started()], Status::Executed, "one route was overtaken, the other started"),
        ];
        for (starts, expected, why) in cases {
            let plan: Vec<_> = (0..starts.len())
                .map(|index| Planned {
                    route: format!("r{index}"),
                    execution: ExecutionId::named("ex-1"),
                    overtaken_by: None,
                    draft: draft(),
                })
                .collect();
            let (status, reason) = settle(&plan, &starts, &[], false);
            assert_eq!(status, expected, "{why}");
            assert!(status == Status::Executed || !reason.is_empty(), "{why}: a reason is owed");
            let left_out = ["quarantined: it".to_owned()];
            let (with_it, told) = settle(&plan, &starts, &left_out, false);
            assert_eq!(with_it, expected, "{why}: what was left out changes nothing of the rest");
            assert!(told.starts_with(&reason) && told.ends_with("quarantined: it"), "{why}: {told}");
        }
        let plan =
            [Planned { route: "r".into(), execution: ExecutionId::named("ex-1"), overtaken_by: None, draft: draft() }];
        assert_eq!(settle(&plan, &[None], &[], true).0, Status::Failed, "of a dead letter nothing more is expected");
    }
}
