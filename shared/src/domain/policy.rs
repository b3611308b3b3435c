//! What an environment demands: who approves, which findings block, what turns a version back, when it is frozen.
//!
//! Data only, in the shape in which people write it. Whoever decides gets it as an argument.

use super::execution::{Target, TargetKind};
use super::pattern::Patterns;
use jiff::civil::{Date, DateTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// People who may approve together, under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Group {
    /// Its members, each once.
    #[schemars(length(min = 1))]
    pub members: Vec<Member>,
}

/// A person. They are asked by e-mail, and recognised as an author by either name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Member {
    /// Where the approval link goes.
    pub email: String,
    /// Their GitHub login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<String>,
}

/// One deployable in one setting, such as `web-production`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Environment {
    /// Where a version lands: one entry per region and pipeline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deploys: Vec<Deploy>,
    /// Who lets a version in, unless the route names another policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalPolicy>,
    /// Policies that a route may name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<String, ApprovalPolicy>,
    /// Which findings keep an image out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// What turns a version back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackPolicy>,
    /// When nothing goes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

impl Environment {
    /// Whether any approval policy is written, named or not.
    pub fn has_approval(&self) -> bool {
        self.approval.is_some() || !self.approvals.is_empty()
    }

    /// The groups that its policies and its freeze name; one may come more than once.
    pub fn groups(&self) -> impl Iterator<Item = &String> {
        let policies = self.approval.iter().chain(self.approvals.values());
        let overriding = self.freeze.iter().filter_map(|freeze| freeze.override_group.as_ref());
        policies.flat_map(|policy| policy.require.keys()).chain(overriding)
    }

    /// The policy that a route asks for: the named one, or the environment's own.
    pub fn policy(&self, name: Option<&str>) -> Option<&ApprovalPolicy> {
        match name {
            Some(name) => self.approvals.get(name),
            None => self.approval.as_ref(),
        }
    }
}

/// One place where a version lands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Deploy {
    /// The AWS region that it lands in.
    pub region: String,
    /// The pipeline that brings it there.
    pub pipeline: String,
    /// The stage of that pipeline that brings it there.
    pub stage: String,
    /// The AWS region that the pipeline itself lives in; by default `region`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_region: Option<String>,
    /// The ECS service that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<EcsService>,
    /// The CodeDeploy deployment group that rolls it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codedeploy: Option<DeploymentGroup>,
}

impl Deploy {
    /// The pipeline, where it lives.
    pub fn target(&self) -> Target {
        Target { kind: TargetKind::Pipeline, name: self.pipeline.clone(), region: self.home().to_owned() }
    }

    /// The AWS region that the pipeline lives in.
    pub fn home(&self) -> &str {
        self.pipeline_region.as_deref().unwrap_or(&self.region)
    }
}

/// An ECS service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EcsService {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
}

/// A CodeDeploy deployment group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DeploymentGroup {
    /// The application's name.
    pub application: String,
    /// The group's name.
    pub deployment_group: String,
}

/// Who must agree before a version goes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// How many people of each group. One person counts once.
    #[schemars(extend("minProperties" = 1))]
    pub require: BTreeMap<String, u32>,
    /// Whether those who pushed or wrote the change may approve it.
    #[serde(default)]
    pub self_approval: bool,
    /// How long they may take.
    #[serde(default = "ApprovalPolicy::default_expires")]
    pub expires: Period,
    /// When those who did not answer are asked again; by default never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_after: Option<Period>,
}

impl ApprovalPolicy {
    /// Seven days: CodePipeline's own default for an approval.
    pub fn default_expires() -> Period {
        Period::constant("7d", 7 * 86_400)
    }
}

/// Which findings keep an image out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Gate {
    /// An image with a finding of such a severity does not pass.
    #[schemars(length(min = 1))]
    pub findings: Vec<Severity>,
    /// Whether only findings count for which there is a fix.
    #[serde(default)]
    pub fixable_only: bool,
    /// How long a scan may be missing before somebody is told. Until it is there, nothing passes.
    #[serde(default = "Gate::default_wait_for_scan")]
    pub wait_for_scan: Period,
    /// Risks that somebody accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
}

impl Gate {
    /// Fifteen minutes.
    pub fn default_wait_for_scan() -> Period {
        Period::constant("15m", 15 * 60)
    }
}

/// An accepted risk: it has an owner and an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Waiver {
    /// The vulnerability, such as `CVE-2026-0001`.
    pub id: String,
    /// The e-mail address of whoever accepted it.
    pub owner: String,
    /// The last day on which it counts, in UTC.
    #[schemars(with = "String", extend("format" = "date"))]
    pub until: Date,
    /// Why it is no risk here.
    pub reason: String,
}

/// How bad a finding is, in Amazon Inspector's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)] // The words are Inspector's own.
pub enum Severity {
    Critical,
    High,
    Medium,
    Low,
    Informational,
    Untriaged,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 6] =
        [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Informational, Self::Untriaged];

    /// Inspector's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
            Self::Informational => "INFORMATIONAL",
            Self::Untriaged => "UNTRIAGED",
        }
    }
}

/// What turns a version back, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RollbackPolicy {
    /// Names of CloudWatch alarms, as globs in which `*` spans everything.
    #[serde(default, skip_serializing_if = "Patterns::is_empty")]
    pub alarms: Patterns,
    /// Severities of findings on a version that is already live; by default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Severity>,
    /// How long after a deployment an alarm counts against it.
    #[serde(default = "RollbackPolicy::default_window")]
    pub window: Period,
    /// How long a version must have run without an incident to count as good.
    #[serde(default = "Period::zero")]
    pub soak: Period,
    /// How long to wait before acting.
    #[serde(default = "Period::zero")]
    pub settle: Period,
    /// How long after a rollback no other one is made.
    #[serde(default = "RollbackPolicy::default_cooldown")]
    pub cooldown: Period,
    /// Where a version is turned back.
    #[serde(default)]
    pub regions: RollbackRegions,
}

impl RollbackPolicy {
    /// An hour.
    pub fn default_window() -> Period {
        Period::constant("60m", 60 * 60)
    }

    /// Half an hour.
    pub fn default_cooldown() -> Period {
        Period::constant("30m", 30 * 60)
    }
}

/// Where a version is turned back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackRegions {
    /// In every region of the environment.
    #[default]
    All,
    /// Only in the region that the signal came from.
    Affected,
}

/// When nothing goes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Freeze {
    /// The times.
    #[schemars(length(min = 1))]
    pub windows: Vec<FreezeWindow>,
    /// The group of which one person may override it, with a reason.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_group: Option<String>,
}

/// A time in which nothing goes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FreezeWindow {
    /// The first minute, by the clocks of `timezone`: `2026-12-20T00:00`.
    #[schemars(with = "String")]
    pub from: DateTime,
    /// The first minute after it.
    #[schemars(with = "String")]
    pub to: DateTime,
    /// A name of the IANA time zone database, such as `Europe/London`.
    pub timezone: String,
}

/// Environments that are turned back together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct System {
    /// Their names, the first to be turned back first.
    #[schemars(length(min = 1))]
    pub order: Vec<String>,
}

/// A length of time as people write it: a whole number and one unit, `90s`, `15m`, `24h` or `7d`.
///
/// Two are equal when they are written alike; compare [`Period::seconds`] for the length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period {
    text: Cow<'static, str>,
    seconds: u32,
}

impl Period {
    /// What a written period looks like, as a regular expression.
    pub const SHAPE: &str = "^[0-9]{1,9}[smhd]$";

    const fn constant(text: &'static str, seconds: u32) -> Self {
        Self { text: Cow::Borrowed(text), seconds }
    }

    /// `0s`
    pub fn zero() -> Self {
        Self::constant("0s", 0)
    }

    /// The length, in seconds.
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Something that was to be a length of time is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a length of time")]
pub struct NotAPeriod;

impl TryFrom<String> for Period {
    type Error = NotAPeriod;

    fn try_from(text: String) -> Result<Self, NotAPeriod> {
        let (number, unit_seconds) = match text.char_indices().last() {
            Some((at, 's')) => (text.get(..at), 1),
            Some((at, 'm')) => (text.get(..at), 60),
            Some((at, 'h')) => (text.get(..at), 3_600),
            Some((at, 'd')) => (text.get(..at), 86_400),
            _ => return Err(NotAPeriod),
        };
        let digits = number.filter(|digits| (1..=9).contains(&digits.len())).ok_or(NotAPeriod)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotAPeriod);
        }
        let seconds = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit_seconds));
        Ok(Self { seconds: seconds.ok_or(NotAPeriod)?, text: Cow::Owned(text) })
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.text.into_owned()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A length of time: a whole number and one of the units s, m, h, d.",
            "type": "string",
            "pattern": Self::SHAPE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_a_number_and_a_unit() {
        #[rustfmt::skip]
        let cases: &[(&str, Option<u32>, &str)] = &[
            // written     seconds          why
            ("90s",        Some(90),        "seconds"),
            ("15m",        Some(900),       "minutes"),
            ("24h",        Some(86_400),    "hours"),
            ("7d",         Some(604_800),   "days"),
            ("0s",         Some(0),         "nothing is a length too"),
            ("007m",       Some(420),       "zeros in front do no harm"),
            ("",           None,            "nothing written"),
            ("m",          None,            "no number"),
            ("15",         None,            "no unit"),
            ("15M",        None,            "an upper-case unit could be a month"),
            ("1h30m",      None,            "one unit only"),
            ("1.5h",       None,            "whole numbers only"),
            ("-5m",        None,            "no way back"),
            ("+5m",        None,            "no sign at all"),
            (" 5m",        None,            "no blanks"),
            ("5 m",        None,            "nowhere"),
            ("٥m",         None,            "ASCII digits only"),
            ("99999999d",  None,            "more seconds than fit"),
            ("9999999999s", None,           "more digits than fit"),
        ];
        for (written, seconds, why) in cases {
            let period = Period::try_from((*written).to_owned());
            assert_eq!(period.as_ref().ok().map(Period::seconds), *seconds, "{written:?}: {why}");
            if let Ok(period) = period {
                assert_eq!(serde_json::to_value(&period).unwrap(), *written, "kept as written");
            }
        }
    }

    #[test]
    fn severities_are_inspectors_words() {
        for severity in Severity::ALL {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
    }
}
