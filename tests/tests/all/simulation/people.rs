//! The people of a simulated history: whom production asks, and what they do about it, right and wrong.
//!
//! Everything is drawn from one seeded source. People have no faults of their own making: what they send meets those of
//! the functions behind it. What they see they see as it is, without faults.

use super::PEACE_SECONDS;
use super::trouble::Policy;
use crate::journeys::SHOP;
use pointsman_local::runner::REGION;
use pointsman_tests::payloads::sha;
use pointsman_tests::people::link_in;
use pointsman_tests::world::{BEGIN, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The pipeline that asks.
pub(super) const PIPELINE: &str = "production";
/// What people type to show that they have read: the numbers that commits are made of stand at their other end.
fn digits() -> String {
    sha(1)[..7].to_owned()
}

/// What production asks of a version, and of whom.
pub(super) struct Rules {
    /// The configurations, in the order of their versions.
    pub(super) texts: [String; 2],
    /// When the second one is pushed, in seconds from the beginning; `None`: never.
    pub(super) changed_at: Option<u64>,
    /// Whether Inspector has a word in it.
    pub(super) has_gate: bool,
    /// When nothing goes in, if ever, in seconds since the epoch: from the first moment to before the last.
    pub(super) freeze: Option<std::ops::Range<i64>>,
    /// What turns the other environments back.
    pub(super) guarding: Policy,
}

const ADA: &str = r#"{ email = "ada@example.com", github = "ada" }"#;
const BOB: &str = r#"{ email = "bob@example.com", github = "bob" }"#;
const CYD: &str = r#"{ email = "Cyd@Example.com", github = "cyd" }"#;
const DAN: &str = r#"{ email = "dan@example.com", github = "dan" }"#;
const EVE: &str = r#"{ email = "eve@example.com", github = "eve" }"#;

impl Rules {
    pub(super) fn drawn(random: &mut fastrand::Rng) -> Self {
        let require = if random.u8(..3) == 0 { "{ devops = 1 }" } else { "{ devops = 1, product = 1 }" };
        let (remind, expires) = (random.u32(1..=5), random.u32(6..=20));
        let mut policy = format!(
            "\n[environments.production.approval]\nrequire = {require}\nself_approval = false\n\
             remind_after = \"{remind}m\"\nexpires = \"{expires}m\"\n"
        );
        let has_gate = random.u8(..3) == 0;
        if has_gate {
            policy += "[environments.production.gate]\nfindings = [\"CRITICAL\"]\nwait_for_scan = \"3m\"\n";
        }
        let freeze = (random.u8(..4) == 0).then(|| {
            let from = BEGIN + PEACE_SECONDS as i64 + random.i64(1..10) * 60;
            from..from + random.i64(2..8) * 60
        });
        if let Some(freeze) = &freeze {
            let clock = |second| jiff::Timestamp::from_second(second).unwrap().strftime("%Y-%m-%dT%H:%M");
            let (from, to) = (clock(freeze.start), clock(freeze.end));
            policy += &format!(
                "[environments.production.freeze]\noverride = \"product\"\n\
                 windows = [{{ from = \"{from}\", to = \"{to}\", timezone = \"UTC\" }}]\n"
            );
        }
        let guarding = Policy::drawn(random);
        let shop = guarding.written_into(SHOP);
        let groups = |devops: &[&str], product: &[&str]| {
            let (devops, product) = (devops.join(", "), product.join(", "));
            format!(
                "{shop}\n[approvers.devops]\nmembers = [{devops}]\n[approvers.product]\nmembers = [{product}]\n{policy}"
            )
        };
        let after = match random.u8(..4) {
            0 => groups(&[ADA, CYD], &[EVE, ADA]),
            1 => groups(&[ADA, BOB, CYD], &[ADA, DAN]),
            2 => groups(&[BOB, CYD], &[EVE]),
            _ => groups(&[ADA, BOB, CYD, DAN], &[EVE, ADA]),
        };
        let changed_at = random.bool().then(|| PEACE_SECONDS + random.u64(60..700));
        Self { texts: [groups(&[ADA, BOB, CYD], &[EVE, ADA]), after], changed_at, has_gate, freeze, guarding }
    }
}

/// A mail that holds a link.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) to: String,
    pub(super) link: String,
    /// The id of the approval that it is about.
    pub(super) approval: String,
}

/// Every mail with a link, oldest first.
pub(super) fn letters(world: &World) -> Vec<Letter> {
    let mails = world.aws().sns().mail().into_iter().filter(|mail| mail.body.contains("/approvals/"));
    let letter = |mail: pointsman_local::aws::sns::Mail| {
        let id = mail.body.split_whitespace().find(|word| word.starts_with("ap-")).unwrap_or_default();
        Letter { link: link_in(&mail.body), approval: id.to_owned(), to: mail.to }
    };
    mails.map(letter).collect()
}

/// An approval action, as CodePipeline lists it.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) aws_id: String,
    pub(super) action_execution: String,
    pub(super) status: String,
    pub(super) summary: String,
    /// In seconds since the epoch.
    pub(super) asked_at: i64,
    /// When it last changed: for one that has ended, its end.
    pub(super) updated_at: i64,
}

/// Every approval that the pipeline ever asked for, newest first.
pub(super) fn questions(world: &World) -> Vec<Question> {
    let answer = world.aws().ask("codepipeline", REGION, "ListActionExecutions", json!({ "pipelineName": PIPELINE }));
    let answer = answer.unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = answer["actionExecutionDetails"].as_array().cloned().unwrap_or_default();
    let approvals = listed.iter().filter(|detail| detail["input"]["actionTypeId"]["category"] == "Approval");
    let question = |detail: &Value| Question {
        aws_id: text(&detail["pipelineExecutionId"]),
        action_execution: text(&detail["actionExecutionId"]),
        status: text(&detail["status"]),
        summary: text(&detail["output"]["executionResult"]["externalExecutionSummary"]),
        asked_at: detail["startTime"].as_f64().unwrap_or_default() as i64,
        updated_at: detail["lastUpdateTime"].as_f64().unwrap_or_default() as i64,
    };
    approvals.map(question).collect()
}

/// What is asked now, and the token that answers it.
struct Asked {
    aws_id: String,
    action_execution: String,
    token: String,
}

/// The people, and what must be remembered of what they did.
pub(super) struct Crowd {
    random: fastrand::Rng,
    has_gate: bool,
    /// Every token that CodePipeline ever showed.
    pub(super) tokens: BTreeSet<String>,
    /// Which action executions were answered in the console, and whether with a yes.
    pub(super) by_hand: BTreeMap<String, bool>,
    /// The links by which somebody voted and was told that it counts.
    pub(super) counted: Vec<String>,
    /// When Inspector first had a word of an image, in seconds since the epoch, by digest.
    pub(super) scanned: BTreeMap<String, i64>,
    /// Which approvals were decided when the second configuration was live for certain; `None`: it never was.
    pub(super) decided_before_change: Option<BTreeSet<String>>,
}

impl Crowd {
    pub(super) fn new(seed: u64, has_gate: bool) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed ^ 0xFEED),
            has_gate,
            tokens: BTreeSet::new(),
            by_hand: BTreeMap::new(),
            counted: Vec::new(),
            scanned: BTreeMap::new(),
            decided_before_change: None,
        }
    }

    /// Somebody does something.
    pub(super) async fn act(&mut self, world: &World) {
        if self.has_gate {
            self.inspect(world);
        }
        let asked = self.look(world);
        let letters = letters(world);
        let deed = self.random.u8(..100);
        match (deed, &asked) {
            (0..=2, Some(asked)) => return self.answer_in_console(world, asked),
            (6..=8, Some(asked)) => return self.stop(world, asked),
            (9..=10, _) => return edit(world),
            (11..=17, None) => return retry(world),
            _ => {}
        }
        let Some(last) = letters.last() else { return };
        let current: Vec<&Letter> = letters.iter().filter(|letter| letter.approval == last.approval).collect();
        let (one, other) = (self.one_of(&current).clone(), self.one_of(&current).clone());
        let any = letters[self.random.usize(..letters.len())].clone();
        match deed {
            18..=24 => {
                for _ in 0..self.random.u8(1..4) {
                    world.open(&any.link).await;
                }
            }
            25..=30 => self.vote(world, &any.link, true).await,
            3..=5 => {
                let Some(asked) = asked else { return };
                let turns = self.turns();
                let vote = cast(world, &one.link, true);
                let (status, ()) = tokio::join!(vote, async {
                    wait(turns).await;
                    self.answer_in_console(world, &asked);
                });
                self.note(&one.link, status);
            }
            // Nobody is asked: mostly they see that, and leave it.
            _ if asked.is_none() && self.random.u8(..4) > 0 => {}
            31..=36 => {
                world.approve(&one.link, "1234567").await;
            }
            37..=42 => self.vote(world, &one.link, false).await,
            43..=48 => {
                self.vote(world, &one.link, true).await;
                self.vote(world, &one.link, true).await;
            }
            49..=60 => self.vote_at_once(world, &one.link, &other.link).await,
            61..=64 => {
                let digits = digits();
                let fields =
                    [("sha", digits.as_str()), ("comment", "now"), ("decision", "approve"), ("override", "yes")];
                world.answer(&one.link, &fields).await;
            }
            _ => self.vote(world, &one.link, true).await,
        }
    }

    fn one_of<'a>(&mut self, letters: &[&'a Letter]) -> &'a Letter {
        letters[self.random.usize(..letters.len())]
    }

    async fn vote(&mut self, world: &World, link: &str, is_yes: bool) {
        let status = cast(world, link, is_yes).await;
        self.note(link, status);
    }

    fn note(&mut self, link: &str, status: u64) {
        if status == 200 {
            self.counted.push(link.to_owned());
        }
    }

    async fn vote_at_once(&mut self, world: &World, one: &str, other: &str) {
        let (is_yes, turns) = (self.random.u8(..3) > 0, self.turns());
        let statuses = tokio::join!(cast(world, one, true), async {
            wait(turns).await;
            cast(world, other, is_yes).await
        });
        self.note(one, statuses.0);
        self.note(other, statuses.1);
    }

    /// Two say yes while the configuration changes: one may be whom it removes.
    pub(super) async fn change(&mut self, world: &World, rules: &Rules) {
        let mut local = world.local.clone();
        let files = BTreeSet::new();
        let push = async {
            // What goes wrong with it leaves the old one live, or the new one without our knowing.
            let pushed = local.publish(&rules.texts[1], "pointsman.toml", &files).await;
            pushed.is_ok().then(|| decided(world))
        };
        let letters = letters(world);
        let Some(last) = letters.last().filter(|_| self.look(world).is_some()) else {
            self.decided_before_change = push.await;
            return;
        };
        let current: Vec<&Letter> = letters.iter().filter(|letter| letter.approval == last.approval).collect();
        let (one, other) = (self.one_of(&current).link.clone(), self.one_of(&current).link.clone());
        let (first, second) = (self.random.u32(..600), self.random.u32(..600));
        let later = async |turns, link| {
            wait(turns).await;
            cast(world, link, true).await
        };
        let (before, its, others) = tokio::join!(push, later(first, &one), later(second, &other));
        self.decided_before_change = before;
        self.note(&one, its);
        self.note(&other, others);
    }

    /// How many turns others get first, where two things happen at once.
    fn turns(&mut self) -> u32 {
        self.random.u32(..60)
    }

    /// What the pipeline asks now. Remembers its token.
    fn look(&mut self, world: &World) -> Option<Asked> {
        let state = world.aws().ask("codepipeline", REGION, "GetPipelineState", json!({ "name": PIPELINE })).unwrap();
        let stages = state["stageStates"].as_array().unwrap();
        let stage = stages.iter().find(|stage| stage["stageName"] == "Approve").unwrap();
        let latest = &stage["actionStates"][0]["latestExecution"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let token = text(&latest["token"])?;
        self.tokens.insert(token.clone());
        let aws_id = text(&stage["latestExecution"]["pipelineExecutionId"])?;
        Some(Asked { aws_id, action_execution: text(&latest["actionExecutionId"])?, token })
    }

    fn answer_in_console(&mut self, world: &World, asked: &Asked) {
        let is_yes = self.random.bool();
        let status = if is_yes { "Approved" } else { "Rejected" };
        let answer = json!({
            "pipelineName": PIPELINE, "stageName": "Approve", "actionName": "Approve", "token": asked.token,
            "result": { "summary": "by hand", "status": status },
        });
        if world.aws().ask("codepipeline", REGION, "PutApprovalResult", answer).is_ok() {
            self.by_hand.insert(asked.action_execution.clone(), is_yes);
        }
    }

    fn stop(&mut self, world: &World, asked: &Asked) {
        let stop =
            json!({ "pipelineName": PIPELINE, "pipelineExecutionId": asked.aws_id, "abandon": self.random.bool() });
        // It may have ended this very moment.
        let _ = world.aws().ask("codepipeline", REGION, "StopPipelineExecution", stop);
    }

    /// Inspector has its word of some of the images.
    fn inspect(&mut self, world: &World) {
        let listed = world.aws().ask("ecr", REGION, "ListImages", json!({ "repositoryName": PIPELINE }));
        let images = listed.ok().and_then(|answer| answer["imageIds"].as_array().cloned()).unwrap_or_default();
        let digests: BTreeSet<String> =
            images.iter().filter_map(|image| Some(image["imageDigest"].as_str()?.to_owned())).collect();
        for digest in digests {
            match self.random.u8(..12) {
                0..=3 => self.scan(world, &digest, 0),
                4 => self.scan(world, &digest, 1),
                5 => find(world, &digest, "ACTIVE"),
                6..=7 => find(world, &digest, "CLOSED"),
                _ => {}
            }
        }
    }

    fn scan(&mut self, world: &World, digest: &str, critical: u64) {
        self.scanned.entry(digest.to_owned()).or_insert(world.aws().clock().now().as_second());
        let detail = json!({
            "scan-status": "INITIAL_SCAN_COMPLETE", "image-digest": digest, "image-tags": [],
            "repository-name": format!("arn:aws:ecr:us-east-1:123456789012:repository/{PIPELINE}"),
            "finding-severity-counts": { "CRITICAL": critical, "TOTAL": critical },
        });
        tell(world, "Inspector2 Scan", detail);
    }
}

/// The approvals that are decided now, as the audit log has it.
fn decided(world: &World) -> BTreeSet<String> {
    let answer = world.aws().ask("dynamodb", REGION, "Scan", json!({ "TableName": "pointsman-audit" })).unwrap();
    let entries = answer["Items"].as_array().cloned().unwrap_or_default();
    let decided = entries.iter().filter(|entry| entry["what"]["S"] == "approval decided");
    decided.filter_map(|entry| Some(entry["detail"]["M"]["approval"]["S"].as_str()?.to_owned())).collect()
}

async fn cast(world: &World, link: &str, is_yes: bool) -> u64 {
    let digits = digits();
    if is_yes { world.approve(link, &digits).await.status } else { world.reject(link, &digits).await.status }
}

async fn wait(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Somebody saves the pipeline as it is, which cancels what runs.
fn edit(world: &World) {
    let found = world.aws().ask("codepipeline", REGION, "GetPipeline", json!({ "name": PIPELINE })).unwrap();
    let declaration = json!({ "pipeline": found["pipeline"] });
    world.aws().ask("codepipeline", REGION, "UpdatePipeline", declaration).unwrap();
}

/// Somebody has the last question that was answered with no asked again.
fn retry(world: &World) {
    let Some(question) = questions(world).into_iter().next() else { return };
    let retry = json!({
        "pipelineName": PIPELINE, "stageName": "Approve", "pipelineExecutionId": question.aws_id,
        "retryMode": "FAILED_ACTIONS",
    });
    // It has not failed, or another one has entered: there is nothing to retry then.
    let _ = world.aws().ask("codepipeline", REGION, "RetryStageExecution", retry);
}

fn find(world: &World, digest: &str, status: &str) {
    let detail = json!({
        "findingArn": "arn:aws:inspector2:us-east-1:123456789012:finding/1", "severity": "CRITICAL", "status": status,
        "fixAvailable": "YES", "title": "CVE-2026-0001 in a package",
        "packageVulnerabilityDetails": { "vulnerabilityId": "CVE-2026-0001" },
        "resources": [{ "type": "AWS_ECR_CONTAINER_IMAGE", "details": { "awsEcrContainerImage": {
            "imageHash": digest, "repositoryName": PIPELINE,
        } } }],
    });
    tell(world, "Inspector2 Finding", detail);
}

fn tell(world: &World, detail_type: &str, detail: Value) {
    let event = json!({ "source": "aws.inspector2", "detail-type": detail_type, "resources": [], "detail": detail });
    world.aws().tell(event.to_string().as_bytes()).unwrap();
}

/// Everything in the dead letters, as text. They are gone then.
pub(super) fn dead_letters(world: &World) -> String {
    let mut all = String::new();
    for queue in ["pointsman-events-dead", "pointsman-changes-dead.fifo"] {
        let url = format!("https://sqs.{REGION}.amazonaws.com/{}/{queue}", pointsman_local::aws::ACCOUNT);
        loop {
            let ask = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 });
            let answer = world.aws().ask("sqs", REGION, "ReceiveMessage", ask).unwrap();
            let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                all += &format!("{queue}: {message}\n");
                let done = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
                world.aws().ask("sqs", REGION, "DeleteMessage", done).unwrap();
            }
        }
    }
    all
}

/// Answers every link there is, as its person would have while it counted.
pub(super) async fn come_too_late(world: &World) -> Vec<(Letter, u64)> {
    let mut came = Vec::new();
    for letter in letters(world) {
        let status = cast(world, &letter.link, true).await;
        came.push((letter, status));
    }
    came
}
