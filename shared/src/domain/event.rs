//! AWS's events, read leniently: what is odd is passed over, what matters is checked.
//!
//! Only AWS can put events with a source that begins with `aws.` on a bus (PutEvents refuses them), so the source is
//! trusted. Everything in `detail` that a person can influence is only ever shown.

mod cloudwatch;
mod deployment;
mod inspector;
mod operations;

pub use cloudwatch::{ALARM_REASON_CHARACTERS_MAX, AlarmChange, AlarmKind};
pub use deployment::{DeploymentMove, DeploymentPlace, DeploymentState};
pub use operations::{ABOUT_MAX, ThreatSeverity};

use super::execution::{Target, TargetKind};
use super::image::{Finding, Scan};
use super::observed::{Link, Mark, Report, State, Trigger};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The source of every event of ours, which go over a bus of our own.
pub const SOURCE: &str = "pointsman";
/// The detail type that asks for a rollback. Its detail is `{"incident": "in-…"}`.
pub const ROLLBACK_REQUESTED: &str = "Rollback Requested";

/// An event as EventBridge delivers it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// Unique; a duplicate carries the same.
    pub id: String,
    /// `aws.codepipeline` …
    pub source: String,
    /// Which kind.
    #[serde(rename = "detail-type")]
    pub detail_type: String,
    /// The account that it happened in; empty where the event does not say.
    #[serde(default)]
    pub account: String,
    /// The region that it happened in.
    pub region: String,
    /// When, in whole seconds.
    pub time: Timestamp,
    /// ARNs.
    #[serde(default)]
    pub resources: Vec<String>,
    /// What happened.
    pub detail: Value,
}

/// What an event says, as far as Pointsman listens.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// One of AWS's executions reports something.
    Reported {
        /// What runs.
        target: Target,
        /// AWS's id of the execution.
        aws_id: String,
        /// What it reports.
        report: Box<Report>,
    },
    /// An image was pushed under a tag that is a commit.
    ImagePushed {
        /// The tag: 40 hexadecimal digits.
        sha: super::change::Sha,
        /// `REPOSITORY@sha256:…`
        image: String,
    },
    /// The first scan of an image ended.
    ImageScanned {
        /// Which image: `sha256:…`
        digest: String,
        /// Where it lies: `REGION/REPOSITORY`.
        repository: String,
        /// What it counted.
        scan: Scan,
    },
    /// A finding in an image is new, or changed.
    Found {
        /// Names the finding.
        arn: String,
        /// What it says of each image, by digest.
        images: BTreeMap<String, Finding>,
    },
    /// A CloudWatch alarm is in another state than before.
    AlarmChanged(AlarmChange),
    /// A deployment came to another state.
    DeploymentMoved(DeploymentMove),
    /// DevOps Guru opened an insight.
    InsightOpened {
        /// Its id.
        id: String,
        /// How bad DevOps Guru thinks it is, in capitals: `LOW`, `MEDIUM`, `HIGH`; `UNKNOWN` where it does not say.
        severity: String,
        /// Where it is shown: an `https` link.
        url: Option<String>,
        /// The CloudFormation stacks, or the values of tags, that it is about; [`ABOUT_MAX`] at most.
        about: Vec<String>,
    },
    /// GuardDuty found a threat.
    ThreatFound {
        /// The finding's id.
        id: String,
        /// What it is, such as `Backdoor:EC2/C&CActivity.B`.
        kind: String,
        /// How bad it is.
        severity: ThreatSeverity,
        /// What it is, for people; [`super::image::TITLE_CHARACTERS_MAX`] at most.
        title: String,
    },
    /// Nothing that is listened for.
    Nothing,
}

/// Reads an event. A field that must be there and is not makes it say nothing.
pub fn read(event: &Event) -> Said {
    let said = match (event.source.as_str(), event.detail_type.as_str()) {
        ("aws.codepipeline", "CodePipeline Pipeline Execution State Change") => of_pipeline(event),
        ("aws.codepipeline", "CodePipeline Stage Execution State Change") => of_stage(event),
        ("aws.codepipeline", "CodePipeline Action Execution State Change") => of_action(event),
        ("aws.codebuild", "CodeBuild Build State Change") => of_build(event),
        ("aws.ecr", "ECR Image Action") => of_image(event),
        ("aws.inspector2", "Inspector2 Scan") => inspector::of_scan(event),
        ("aws.inspector2", "Inspector2 Finding") => inspector::of_finding(event),
        ("aws.cloudwatch", "CloudWatch Alarm State Change") => cloudwatch::of_alarm(event),
        ("aws.ecs", "ECS Deployment State Change") => deployment::of_service(event),
        ("aws.codedeploy", "CodeDeploy Deployment State-change Notification") => deployment::of_group(event),
        ("aws.devops-guru", "DevOps Guru New Insight Open") => operations::of_insight(event),
        ("aws.guardduty", "GuardDuty Finding") => operations::of_threat(event),
        _ => None,
    };
    said.unwrap_or(Said::Nothing)
}

fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |value, name| value.get(name))?.as_str()
}

/// A number that comes as a number, as text, or as a float.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => {
            let whole =
                number.as_u64().or_else(|| number.as_f64().filter(|float| *float >= 0.0).map(|float| float as u64));
            whole.and_then(|whole| u32::try_from(whole).ok())
        }
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn pipeline_state(text: &str) -> Option<State> {
    Some(match text {
        "STARTED" => State::Started,
        "RESUMED" => State::Resumed,
        "SUCCEEDED" => State::Succeeded,
        "FAILED" => State::Failed,
        "STOPPING" => State::Stopping,
        "STOPPED" => State::Stopped,
        "CANCELED" | "CANCELLED" => State::Canceled,
        "SUPERSEDED" => State::Superseded,
        "ABANDONED" => State::Abandoned,
        _ => return None,
    })
}

/// The parts that all three CodePipeline events share: target, execution and mark.
fn pipeline_facts(event: &Event) -> Option<(Target, String, Mark)> {
    let detail = &event.detail;
    let target = Target {
        kind: TargetKind::Pipeline,
        name: text(detail, &["pipeline"])?.to_owned(),
        region: event.region.clone(),
    };
    let attempt = detail.get("pipeline-execution-attempt").and_then(number).unwrap_or(1);
    let mark = Mark { attempt, at: event.time, state: pipeline_state(text(detail, &["state"])?)? };
    Some((target, text(detail, &["execution-id"])?.to_owned(), mark))
}

fn of_pipeline(event: &Event) -> Option<Said> {
    let (target, aws_id, mark) = pipeline_facts(event)?;
    let trigger = text(&event.detail, &["execution-trigger", "trigger-type"]).map(|kind| Trigger {
        kind: kind.to_owned(),
        detail: text(&event.detail, &["execution-trigger", "trigger-detail"]).unwrap_or_default().to_owned(),
    });
    Some(Said::Reported { target, aws_id, report: Box::new(Report::Whole { mark, trigger }) })
}

fn of_stage(event: &Event) -> Option<Said> {
    let (target, aws_id, mark) = pipeline_facts(event)?;
    let stage = text(&event.detail, &["stage"])?.to_owned();
    Some(Said::Reported { target, aws_id, report: Box::new(Report::Stage { stage, mark }) })
}

fn of_action(event: &Event) -> Option<Said> {
    let (target, aws_id, mark) = pipeline_facts(event)?;
    let detail = &event.detail;
    let category = text(detail, &["type", "category"]).unwrap_or_default();
    let result = |name: &str| text(detail, &["execution-result", name]).map(str::to_owned);
    let link = result("external-execution-id").filter(|_| Link::is_for(category)).map(|id| Link {
        at: event.time,
        id,
        url: result("external-execution-url"),
        summary: result("external-execution-summary"),
    });
    let report = Report::Action {
        stage: text(detail, &["stage"])?.to_owned(),
        action: text(detail, &["action"])?.to_owned(),
        category: category.to_owned(),
        mark,
        link,
    };
    Some(Said::Reported { target, aws_id, report: Box::new(report) })
}

fn of_build(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    let information = detail.get("additional-information");
    let initiator = information.and_then(|all| text(all, &["initiator"])).unwrap_or_default();
    // A pipeline's build is reported by the pipeline's own action.
    if initiator.starts_with("codepipeline/") {
        return None;
    }
    let state = match text(detail, &["build-status"])? {
        "IN_PROGRESS" => State::Started,
        "SUCCEEDED" => State::Succeeded,
        "FAILED" | "FAULT" | "TIMED_OUT" => State::Failed,
        "STOPPED" => State::Stopped,
        _ => return None,
    };
    // An ARN: arn:aws:codebuild:REGION:ACCOUNT:build/PROJECT:UUID
    let aws_id = text(detail, &["build-id"])?.rsplit_once("build/")?.1.to_owned();
    let name = text(detail, &["project-name"])?.to_owned();
    let target = Target { kind: TargetKind::Build, name, region: event.region.clone() };
    let began = information.and_then(|all| text(all, &["build-start-time"])).and_then(build_time);
    let at = if state == State::Started { began.unwrap_or(event.time) } else { event.time };
    let trigger = Some(Trigger { kind: "StartBuild".to_owned(), detail: initiator.to_owned() });
    let report = Report::Whole { mark: Mark { attempt: 1, at, state }, trigger };
    Some(Said::Reported { target, aws_id, report: Box::new(report) })
}

/// CodeBuild's own way to write a time, in UTC: `Sep 1, 2017 4:12:29 PM`.
fn build_time(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime("%b %d, %Y %I:%M:%S %p", text).ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn of_image(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    let is_pushed = text(detail, &["action-type"])? == "PUSH" && text(detail, &["result"])? == "SUCCESS";
    let sha = text(detail, &["image-tag"])?.parse().ok()?;
    let (repository, digest) = (text(detail, &["repository-name"])?, text(detail, &["image-digest"])?);
    is_pushed.then(|| Said::ImagePushed { sha, image: format!("{repository}@{digest}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(source: &str, detail_type: &str, detail: Value) -> Event {
        Event {
            id: "e".into(),
            source: source.into(),
            detail_type: detail_type.into(),
            account: "123456789012".into(),
            region: "us-east-1".into(),
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
            resources: vec![],
            detail,
        }
    }

    #[test]
    fn a_stage_event_is_read_whatever_form_its_numbers_take() {
        for attempt in [json!(2), json!("2"), json!(2.0)] {
            let detail = json!({
                "pipeline": "p", "execution-id": "x", "stage": "Build", "state": "FAILED", "version": "3",
                "pipeline-execution-attempt": attempt,
            });
            let said = read(&event("aws.codepipeline", "CodePipeline Stage Execution State Change", detail));
            let Said::Reported { report, aws_id, .. } = said else { panic!("{said:?}") };
            let Report::Stage { stage, mark } = *report else { panic!("{report:?}") };
            assert_eq!((stage.as_str(), aws_id.as_str(), mark.attempt, mark.state), ("Build", "x", 2, State::Failed));
        }
    }

    #[test]
    fn an_action_links_to_its_work_unless_the_link_may_be_a_token() {
        #[rustfmt::skip]
        let cases = [
            (Some("Build"),    true,  "a build"),
            (Some("Deploy"),   true,  "a deployment"),
            (Some("Approval"), false, "in PARALLEL mode its id is the token that answers it"),
            (None,             false, "it may be an approval"),
        ];
        for (category, is_kept, why) in cases {
            let mut detail = json!({
                "pipeline": "p", "execution-id": "x", "stage": "S", "action": "A", "state": "STARTED",
                "execution-result": { "external-execution-id": "0c5a1b2f-6d7e-4f80-9a1b-2c3d4e5f6a05" },
            });
            if let Some(category) = category {
                detail["type"] = json!({ "category": category });
            }
            let said = read(&event("aws.codepipeline", "CodePipeline Action Execution State Change", detail));
            let Said::Reported { report, .. } = said else { panic!("{said:?}") };
            let Report::Action { link, .. } = *report else { panic!("{report:?}") };
            assert_eq!(link.is_some(), is_kept, "{why}");
        }
    }

    #[test]
    fn what_is_not_listened_for_says_nothing() {
        let build = |initiator: &str, status: &str| {
            json!({
                "build-status": status, "project-name": "p",
                "build-id": "arn:aws:codebuild:us-east-1:123456789012:build/p:1",
                "additional-information": { "initiator": initiator, "build-start-time": "Sep 1, 2017 4:12:29 PM" },
            })
        };
        let pushed = |tag: &str, action: &str| json!({ "action-type": action, "result": "SUCCESS", "repository-name": "r", "image-digest": "sha256:1", "image-tag": tag });
        let sha = "a".repeat(40);
        let (pipeline, codebuild, ecr) = ("aws.codepipeline", "aws.codebuild", "aws.ecr");
        let whole = "CodePipeline Pipeline Execution State Change";
        let (change, image) = ("CodeBuild Build State Change", "ECR Image Action");
        #[rustfmt::skip]
        let cases = [
            (pipeline,  whole,  json!({"pipeline": "p", "execution-id": "x", "state": "STARTED"}), true,  "an execution"),
            (pipeline,  whole,  json!({"pipeline": "p", "execution-id": "x", "state": "NEW"}),     false, "a state that we do not know"),
            (pipeline,  whole,  json!({"pipeline": "p", "state": "STARTED"}),                      false, "no execution id"),
            (pipeline,  whole,  json!(null),                                                       false, "no detail at all"),
            (codebuild, change, build("ada", "IN_PROGRESS"),                                       true,  "a build of its own"),
            (codebuild, change, build("codepipeline/p", "IN_PROGRESS"),                            false, "a pipeline's build: its action reports it"),
            (ecr,       image,  pushed(&sha, "PUSH"),                                              true,  "an image of a commit"),
            (ecr,       image,  pushed("latest", "PUSH"),                                          false, "a tag that is no commit"),
            (ecr,       image,  pushed(&sha, "DELETE"),                                            false, "an image that went"),
            ("my.app",  whole,  json!({"pipeline": "p", "execution-id": "x", "state": "STARTED"}), false, "not from AWS"),
        ];
        for (source, detail_type, detail, is_heard, why) in cases {
            assert_eq!(read(&event(source, detail_type, detail)) != Said::Nothing, is_heard, "{why}");
        }
    }

    #[test]
    fn codebuild_writes_times_its_own_way() {
        assert_eq!(build_time("Sep 1, 2017 4:12:29 PM"), Some("2017-09-01T16:12:29Z".parse().unwrap()));
        assert_eq!(build_time("2017-09-01T16:12:29Z"), None);
    }
}
