//! One turn at the lock: what it knows from outside, and what is to be done once the lock is released.

use super::model::Service;
use crate::aws::codepipeline::WorkEnd;
use crate::aws::{Aws, Event, Pace};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// How long a deployment takes at the fast pace.
pub const FAST_DEPLOYMENT: SignedDuration = SignedDuration::from_millis(300);

/// How long a deployment takes at the real pace where no tag says otherwise.
pub const REAL_DEPLOYMENT: SignedDuration = SignedDuration::from_secs(60);

/// What is to be done without the lock.
pub(super) enum Effect {
    Emit {
        region: String,
        event: Event,
    },
    /// A pipeline's action is over.
    Ended(WorkEnd),
    /// A deployment or task set has begun: look up its digests, and whether its alarms ring already.
    LookUp {
        region: String,
        service: String,
        owner: String,
    },
}

/// A turn.
pub(super) struct Turn<'a> {
    pub(super) aws: &'a Aws,
    pub(super) now: Timestamp,
    /// Whether a pipeline's action counts a rolled back deployment as a success.
    pub(super) trusts_rollback: bool,
    pub(super) effects: Vec<Effect>,
}

impl Turn<'_> {
    /// How long a deployment takes that asks for `takes`. The fast pace ignores it.
    pub(super) fn duration(&self, takes: Option<SignedDuration>) -> SignedDuration {
        match self.aws.behaviour().pace {
            Pace::Fast => FAST_DEPLOYMENT,
            Pace::Real => takes.unwrap_or(REAL_DEPLOYMENT),
        }
    }

    /// The moment `by` after now.
    pub(super) fn after(&self, by: SignedDuration) -> Timestamp {
        self.now.saturating_add(by).unwrap_or(self.now)
    }

    /// A number as ECS gives deployments and revisions: 19 digits.
    pub(super) fn number(&self) -> String {
        self.aws.random(|random| random.u64(1_000_000_000_000_000_000..9_223_372_036_854_775_807)).to_string()
    }

    /// An id as ECS gives service deployments: 21 characters that an URL can hold.
    pub(super) fn short(&self) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.aws.random(|random| (0..21).filter_map(|_| random.choice(LETTERS)).map(|byte| char::from(*byte)).collect())
    }

    /// Adds an event to what DescribeServices shows.
    pub(super) fn note(&self, service: &mut Service, message: &str) {
        service.note(self.aws.uuid(), self.now, message);
    }

    /// Emits `ECS Deployment State Change`.
    ///
    /// Source: ECS developer guide, "Amazon ECS service deployment state change events"; `clusterArn` as in events
    /// that were captured in 2026.
    pub(super) fn deployment_event(&mut self, service: &Service, name: &str, id: &str, reason: &str) {
        let kind = if name == "SERVICE_DEPLOYMENT_FAILED" { "ERROR" } else { "INFO" };
        let detail = json!({
            "eventType": kind,
            "eventName": name,
            "clusterArn": service.cluster_arn(),
            "deploymentId": format!("ecs-svc/{id}"),
            "updatedAt": precise(self.now),
            "reason": reason,
        });
        self.emit(service, "ECS Deployment State Change", detail);
    }

    /// Emits `ECS Service Action`. Source: ECS developer guide, "Amazon ECS service action events".
    pub(super) fn action_event(&mut self, service: &Service, name: &str) {
        let detail = json!({
            "eventType": "INFO",
            "eventName": name,
            "clusterArn": service.cluster_arn(),
            "createdAt": precise(self.now),
        });
        self.emit(service, "ECS Service Action", detail);
    }

    fn emit(&mut self, service: &Service, detail_type: &str, detail: serde_json::Value) {
        let event = Event {
            source: "aws.ecs".to_owned(),
            detail_type: detail_type.to_owned(),
            resources: vec![service.arn()],
            detail,
        };
        self.effects.push(Effect::Emit { region: service.region.clone(), event });
    }
}

/// A moment as ECS's events carry it, such as `2019-11-19T19:27:22.695Z`.
fn precise(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
