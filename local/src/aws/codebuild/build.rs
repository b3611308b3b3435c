//! One build: what it was asked, when it ends, and what the API and the events say of it.

use super::script::Script;
use super::{epoch, hex_sha256, project};
use crate::aws::codepipeline::WorkEnd;
use crate::aws::ecr::Push;
use crate::aws::{ACCOUNT, Event, Pace};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    InProgress,
    Succeeded,
    Failed,
    Stopped,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Build {
    /// `project:uuid`.
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) project: String,
    pub(super) region: String,
    pub(super) status: Status,
    pub(super) started: Timestamp,
    pub(super) due: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) source_version: Option<String>,
    pub(super) commit: String,
    pub(super) initiator: String,
    /// The project's settings with this build's overrides: `environment`, `source` and so on.
    pub(super) settings: Map<String, Value>,
    pub(super) script: Script,
    pub(super) exported: BTreeMap<String, String>,
}

/// A build as it was asked for.
pub(super) struct Order {
    pub(super) project: String,
    pub(super) uuid: String,
    pub(super) source_version: Option<String>,
    /// As the input of StartBuild.
    pub(super) overrides: Value,
    pub(super) initiator: String,
    pub(super) fails: bool,
    pub(super) takes: Option<SignedDuration>,
}

impl Build {
    pub(super) fn new(pace: Pace, region: &str, declared: &Value, number: u64, order: Order, now: Timestamp) -> Self {
        let mut settings = declared.as_object().cloned().unwrap_or_default();
        project::apply(&mut settings, &order.overrides);
        let script = settings.get("source").and_then(|source| source["buildspec"].as_str()).map(Script::read);
        let mut build = Self {
            id: format!("{}:{}", order.project, order.uuid),
            number,
            region: region.to_owned(),
            status: Status::InProgress,
            started: now,
            due: now,
            ended: None,
            commit: commit_of(&order.project, order.source_version.as_deref()),
            source_version: order.source_version.or_else(|| Some(settings.get("sourceVersion")?.as_str()?.to_owned())),
            project: order.project,
            initiator: order.initiator,
            settings,
            script: script.unwrap_or_default(),
            exported: BTreeMap::new(),
        };
        let told_to_fail = build.variable("POINTSMAN_LOCAL_RESULT").as_deref() == Some("fail");
        if (order.fails || told_to_fail) && build.script.fails_in.is_none() {
            build.script.fails_in = Some(("BUILD".to_owned(), "exit 1".to_owned()));
        }
        let takes = match pace {
            Pace::Fast => super::FAST_BUILD,
            Pace::Real => order.takes.unwrap_or(super::REAL_BUILD.saturating_add(build.script.sleeps)),
        };
        build.due = now.saturating_add(takes).unwrap_or(now);
        build
    }

    pub(super) fn is(&self, wanted: &str) -> bool {
        self.id == wanted || self.arn() == wanted
    }

    pub(super) fn arn(&self) -> String {
        format!("arn:aws:codebuild:{}:{ACCOUNT}:build/{}", self.region, self.id)
    }

    fn setting(&self, part: &str, key: &str) -> &Value {
        self.settings.get(part).map_or(&Value::Null, |part| &part[key])
    }

    /// The value of an environment variable, as a command of this build would see it.
    fn variable(&self, name: &str) -> Option<String> {
        let given = self.setting("environment", "environmentVariables").as_array().into_iter().flatten();
        let given = given.filter(|variable| variable["name"] == name).find_map(|variable| variable["value"].as_str());
        match name {
            "CODEBUILD_RESOLVED_SOURCE_VERSION" => Some(self.commit.clone()),
            "CODEBUILD_BUILD_ID" => Some(self.id.clone()),
            "CODEBUILD_BUILD_NUMBER" => Some(self.number.to_string()),
            "IMAGE_DIGEST" if self.has_pushed_image() => Some(image_digest(&self.commit)),
            _ => given.map(str::to_owned).or_else(|| self.script.variables.get(name).cloned()),
        }
    }

    /// Whether it builds an image and nothing that it does before the push fails.
    pub(super) fn comes_to_push(&self) -> bool {
        self.script.fails_in.is_none() && self.setting("environment", "privilegedMode") == true
    }

    fn has_pushed_image(&self) -> bool {
        self.status == Status::Succeeded && self.comes_to_push()
    }

    pub(super) fn end(&mut self, status: Status, now: Timestamp) {
        self.status = status;
        self.ended = Some(now);
        let values = self.script.exports.iter().map(|name| (name.clone(), self.variable(name).unwrap_or_default()));
        self.exported = values.collect();
    }

    /// What the pipeline that started this build learns of its end.
    pub(super) fn told(&self) -> WorkEnd {
        let succeeded = self.status == Status::Succeeded;
        let summary = match (&self.script.fails_in, self.status) {
            (Some(_), Status::Failed) => {
                "Build terminated with state: FAILED. Phase: ".to_owned()
                    + self.script.fails_in.as_ref().map_or("BUILD", |(phase, _)| phase)
                    + ", Code: COMMAND_EXECUTION_ERROR, Message: "
                    + &self.failure_message()
            }
            (_, Status::Stopped) => "Build terminated with state: STOPPED".to_owned(),
            (_, Status::InProgress | Status::Succeeded | Status::Failed) => String::new(),
        };
        WorkEnd { id: self.id.clone(), succeeded, summary, exported: self.exported.clone() }
    }

    fn failure_message(&self) -> String {
        let (_, command) = self.script.fails_in.clone().unwrap_or_default();
        let code = command.strip_prefix("exit ").unwrap_or("1");
        format!("Error while executing command: {command}. Reason: exit status {code}")
    }

    /// The phases that the build went through, with how each ended. The whole time passes in the one it ended in.
    fn phases(&self, now: Timestamp) -> Vec<Phase> {
        let stands_in = match (self.status, &self.script.fails_in) {
            (Status::Failed, Some((phase, _))) => phase.as_str(),
            (Status::InProgress, _) if now <= self.started => "QUEUED",
            _ => "BUILD",
        };
        let mut phases = Vec::new();
        for name in
            ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"]
        {
            if name == stands_in {
                let status = (self.status != Status::InProgress).then_some(self.status);
                phases.push(Phase { name, status, from: self.started, to: self.ended });
                break;
            }
            phases.push(Phase { name, status: Some(Status::Succeeded), from: self.started, to: Some(self.started) });
        }
        let Some(ended) = self.ended else { return phases };
        let after: &[&'static str] = match (self.status, stands_in) {
            (Status::Succeeded, _) | (Status::Failed, "BUILD") => &["POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING"],
            (Status::Failed, "POST_BUILD") => &["UPLOAD_ARTIFACTS", "FINALIZING"],
            _ => &["FINALIZING"],
        };
        for name in after {
            phases.push(Phase { name, status: Some(Status::Succeeded), from: ended, to: Some(ended) });
        }
        phases.push(Phase { name: "COMPLETED", status: None, from: ended, to: None });
        phases
    }

    /// Why `phase` ended as it did, as `{statusCode, message}` under the names that the caller uses.
    fn contexts(&self, phase: &Phase, code: &str, message: &str) -> Vec<Value> {
        match phase.status {
            Some(Status::Failed) => vec![json!({ code: "COMMAND_EXECUTION_ERROR", message: self.failure_message() })],
            _ => Vec::new(),
        }
    }

    /// The build as `Build` of the API.
    pub(super) fn answer(&self, now: Timestamp) -> Value {
        let uuid = self.id.rsplit(':').next().unwrap_or_default();
        let phases = self.phases(now);
        let group = format!("/aws/codebuild/{}", self.project);
        let mut answer = json!({
            "id": self.id,
            "arn": self.arn(),
            "buildNumber": self.number,
            "startTime": epoch(self.started),
            "currentPhase": phases.last().map_or("QUEUED", |phase| phase.name),
            "buildStatus": self.status.name(),
            "resolvedSourceVersion": self.commit,
            "projectName": self.project,
            "phases": phases.iter().map(|phase| phase.answer(self)).collect::<Vec<_>>(),
            "artifacts": { "location": "" },
            "logs": {
                "groupName": group,
                "streamName": uuid,
                "deepLink": self.log_link(),
                "cloudWatchLogsArn": format!(
                    "arn:aws:logs:{}:{ACCOUNT}:log-group:{group}:log-stream:{uuid}", self.region
                ),
            },
            "buildComplete": self.status != Status::InProgress,
            "initiator": self.initiator,
            "exportedEnvironmentVariables": self.exported.iter()
                .map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>(),
        });
        if let Some(ended) = self.ended {
            answer["endTime"] = epoch(ended);
        }
        if let Some(version) = &self.source_version {
            answer["sourceVersion"] = json!(version);
        }
        for key in [
            "source",
            "cache",
            "environment",
            "serviceRole",
            "timeoutInMinutes",
            "queuedTimeoutInMinutes",
            "encryptionKey",
        ] {
            if let Some(value) = self.settings.get(key) {
                answer[key] = value.clone();
            }
        }
        answer
    }

    fn log_link(&self) -> String {
        let uuid = self.id.rsplit(':').next().unwrap_or_default();
        format!(
            "https://console.aws.amazon.com/cloudwatch/home?region={}#logEvent:group=/aws/codebuild/{};stream={uuid}",
            self.region, self.project
        )
    }

    /// The event that says where the build stands. `phase` is the phase that it has come to.
    pub(super) fn event(&self, phase: &str, now: Timestamp) -> Event {
        let variables = self.setting("environment", "environmentVariables").as_array().into_iter().flatten();
        let variables: Vec<Value> = variables
            .map(|each| {
                let kind = each["type"].as_str().unwrap_or("PLAINTEXT");
                json!({ "name": each["name"], "value": each["value"], "type": kind })
            })
            .collect();
        let number = |value: &Value, default: f64| value.as_f64().unwrap_or(default);
        let settings = &self.settings;
        let mut more = json!({
            "artifact": { "location": "" },
            "cache": { "type": "NO_CACHE" },
            "environment": {
                "image": self.setting("environment", "image"),
                "privileged-mode": self.setting("environment", "privilegedMode") == true,
                "compute-type": self.setting("environment", "computeType"),
                "type": self.setting("environment", "type"),
                "environment-variables": variables,
            },
            "timeout-in-minutes": number(settings.get("timeoutInMinutes").unwrap_or(&Value::Null), 60.0),
            "queued-timeout-in-minutes": number(settings.get("queuedTimeoutInMinutes").unwrap_or(&Value::Null), 480.0),
            "build-complete": self.status != Status::InProgress,
            "build-number": self.number as f64,
            "initiator": self.initiator,
            "build-start-time": wordy(self.started),
            "source": { "type": self.setting("source", "type") },
            "logs": {
                "group-name": format!("/aws/codebuild/{}", self.project),
                "stream-name": self.id.rsplit(':').next().unwrap_or_default(),
                "deep-link": self.log_link(),
            },
            "phases": self.phases(now).iter().map(|each| each.event(self)).collect::<Vec<_>>(),
        });
        if let Some(location) = self.setting("source", "location").as_str() {
            more["source"]["location"] = json!(location);
        }
        if let Some(version) = &self.source_version {
            more["source-version"] = json!(version);
        }
        Event {
            source: "aws.codebuild".to_owned(),
            detail_type: "CodeBuild Build State Change".to_owned(),
            resources: vec![self.arn()],
            detail: json!({
                "build-status": self.status.name(),
                "project-name": self.project,
                "build-id": self.arn(),
                "additional-information": more,
                "current-phase": phase,
                "current-phase-context": "[]",
                "version": "1",
            }),
        }
    }

    /// The image that the build pushes.
    pub(super) fn image(&self) -> Push {
        Push {
            repository: self.variable("IMAGE_REPO_NAME").unwrap_or_else(|| self.project.clone()),
            digest: image_digest(&self.commit),
            tags: vec![self.commit.clone()],
        }
    }

    /// Fails the build as a `docker push` does that ECR refuses.
    pub(super) fn fail_push(&mut self) {
        let Push { repository, tags, .. } = self.image();
        let registry = format!("{ACCOUNT}.dkr.ecr.{}.amazonaws.com", self.region);
        self.script.fails_in =
            Some(("POST_BUILD".to_owned(), format!("docker push {registry}/{repository}:{}", tags.join(","))));
    }
}

/// One phase of a build: no status and no end while it lasts.
struct Phase {
    name: &'static str,
    status: Option<Status>,
    from: Timestamp,
    to: Option<Timestamp>,
}

impl Phase {
    fn answer(&self, build: &Build) -> Value {
        let mut answer = json!({ "phaseType": self.name, "startTime": epoch(self.from) });
        if let (Some(status), Some(to)) = (self.status, self.to) {
            answer["phaseStatus"] = json!(status.name());
            answer["endTime"] = epoch(to);
            answer["durationInSeconds"] = json!(to.duration_since(self.from).as_secs());
            answer["contexts"] = json!(build.contexts(self, "statusCode", "message"));
        }
        answer
    }

    fn event(&self, build: &Build) -> Value {
        let mut event = json!({ "phase-type": self.name, "start-time": wordy(self.from) });
        if let (Some(status), Some(to)) = (self.status, self.to) {
            event["phase-status"] = json!(status.name());
            event["end-time"] = json!(wordy(to));
            event["duration-in-seconds"] = json!(to.duration_since(self.from).as_secs() as f64);
            let contexts = build.contexts(self, "code", "message").into_iter();
            let words = contexts.map(|each| {
                format!(
                    "{}: {}",
                    each["code"].as_str().unwrap_or_default(),
                    each["message"].as_str().unwrap_or_default()
                )
            });
            event["phase-context"] = words.collect();
        }
        event
    }
}

/// The commit that a version comes to: itself when it is one, else made up from what was asked for.
fn commit_of(project: &str, version: Option<&str>) -> String {
    match version {
        Some(version) if version.len() == 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            version.to_owned()
        }
        other => hex_sha256(&format!("commit:{project}:{}", other.unwrap_or("HEAD")))[..40].to_owned(),
    }
}

/// The digest of the image that building `commit` makes: `sha256:` and the SHA-256 of `image:` and the commit.
pub(crate) fn image_digest(commit: &str) -> String {
    format!("sha256:{}", hex_sha256(&format!("image:{commit}")))
}

/// A moment as CodeBuild's events carry it, such as `Sep 1, 2017 4:12:29 PM`.
fn wordy(at: Timestamp) -> String {
    at.strftime("%b %-d, %Y %-I:%M:%S %p").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> Build {
        let now = "2017-09-01T16:12:29Z".parse().unwrap();
        let order = Order {
            project: "shop".to_owned(),
            uuid: "8745a7a9-c340-456a-9166-edf953571bee".to_owned(),
            source_version: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            overrides: json!({}),
            initiator: "codepipeline/shop".to_owned(),
            fails: false,
            takes: None,
        };
        Build::new(Pace::Fast, "us-west-2", &project::made_on_first_use("us-west-2", "shop", now), 55, order, now)
    }

    #[test]
    fn its_event_has_the_shape_of_the_real_one() {
        let mut build = build();
        let arn = "arn:aws:codebuild:us-west-2:123456789012:build/shop:8745a7a9-c340-456a-9166-edf953571bee";
        let event = build.event("SUBMITTED", build.started);
        assert_eq!(event.resources, [arn]);
        assert_eq!(event.detail["build-status"], "IN_PROGRESS");
        assert_eq!(event.detail["build-id"], arn);
        let more = &event.detail["additional-information"];
        assert_eq!(more["build-start-time"], "Sep 1, 2017 4:12:29 PM");
        assert_eq!(more["build-complete"], false);
        assert_eq!(more["build-number"], json!(55.0));
        assert_eq!(more["phases"][0]["phase-type"], "SUBMITTED");

        build.script.fails_in = Some(("INSTALL".to_owned(), "exit 2".to_owned()));
        build.end(Status::Failed, build.due);
        let event = build.event("COMPLETED", build.due);
        assert_eq!(event.detail["build-status"], "FAILED");
        let phases = event.detail["additional-information"]["phases"].as_array().unwrap().clone();
        let names: Vec<_> = phases.iter().map(|phase| phase["phase-type"].as_str().unwrap()).collect();
        let expected = ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "FINALIZING", "COMPLETED"];
        assert_eq!(names, expected);
        let why = "COMMAND_EXECUTION_ERROR: Error while executing command: exit 2. Reason: exit status 2";
        assert_eq!(phases[4]["phase-context"], json!([why]));
        assert!(!build.comes_to_push(), "a failed build pushes nothing");
    }

    #[test]
    fn its_image_is_named_by_the_commit() {
        let mut build = build();
        assert!(build.comes_to_push());
        let image = build.image();
        assert_eq!(image.repository, "shop");
        assert_eq!(image.tags, [build.commit.clone()]);
        assert_eq!(image.digest, format!("sha256:{}", hex_sha256(&format!("image:{}", build.commit))));
        build.settings["environment"]["privilegedMode"] = json!(false);
        assert!(!build.comes_to_push(), "only a privileged project builds images");
    }
}
