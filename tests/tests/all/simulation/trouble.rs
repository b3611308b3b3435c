//! What goes wrong in production, in a simulated history: alarms that go red and green, findings, deployments that fail,
//! and people who turn back by hand, hold, release, lift, edit and meddle.
//!
//! Everything is drawn from one seeded source. What people do by themselves they do without faults; what they do with
//! our tool meets those of AWS, and fails now and then.

use jiff::Timestamp;
use pointsman::aws::targets::Targets;
use pointsman::domain::change::Sha;
use pointsman::domain::execution::{Target, TargetKind};
use pointsman::domain::incident::{Cause, Decision, Incident, IncidentId, Signal, Status};
use pointsman::domain::quarantine::Lifted;
use pointsman::ledger::{Ledger, Loaded, Writes};
use pointsman::rolling::hold::{Wanted, hold, release};
use pointsman::run::Engine;
use pointsman_local::aws::Aws;
use pointsman_local::runner::{REGION, STACK};
use pointsman_tests::world::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The region that `dev` lands in too.
pub(super) const SECOND: &str = "eu-west-2";
/// How often it is noted what runs.
pub(super) const LOOKS_EVERY: Duration = Duration::from_secs(5);
/// How many different vulnerabilities there are.
const VULNERABILITIES: u8 = 2;
/// The calls by which something is turned back, or a way opened or closed.
const KEPT: [&str; 6] = [
    "RollbackStage",
    "EnableStageTransition",
    "DisableStageTransition",
    "CreateDeployment",
    "UpdateService",
    "StopDeployment",
];

/// An environment that is guarded, by the pipeline of its name: the regions that it lands in, and the stage of each.
pub(super) struct Guarded {
    pub(super) name: &'static str,
    pub(super) places: &'static [(&'static str, &'static str)],
}

/// The first one runs on ECS, and in the second region through CodeDeploy. Of the other one nobody can see what runs.
pub(super) static GUARDED: [Guarded; 2] = [
    Guarded { name: "dev", places: &[(REGION, "Deploy"), (SECOND, "Deploy-Secondary")] },
    Guarded { name: "staging", places: &[(REGION, "Deploy")] },
];

/// Where `dev` lands, in place of what the configuration of the journeys has.
const DEV: &str = r#"deploys = [
  { region = "us-east-1", pipeline = "dev", stage = "Deploy", ecs = { cluster = "dev", service = "dev" } },
  { region = "eu-west-2", pipeline = "dev", stage = "Deploy-Secondary", pipeline_region = "us-east-1",
    codedeploy = { application = "dev", deployment_group = "dev" } },
]"#;

/// What turns the guarded environments back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) settle_minutes: u32,
    pub(super) soak_minutes: u32,
    pub(super) cooldown_minutes: u32,
    pub(super) is_all: bool,
    pub(super) has_findings: bool,
}

impl Policy {
    pub(super) fn drawn(random: &mut fastrand::Rng) -> Self {
        Self {
            settle_minutes: if random.bool() { 0 } else { random.u32(1..=3) },
            soak_minutes: if random.bool() { 0 } else { random.u32(1..=4) },
            cooldown_minutes: random.u32(0..=5),
            is_all: random.bool(),
            has_findings: random.bool(),
        }
    }

    /// The configuration with the guarded environments in it.
    pub(super) fn written_into(self, config: &str) -> String {
        let dev = r#"deploys = [{ region = "us-east-1", pipeline = "dev", stage = "Deploy" }]"#;
        assert!(config.contains(dev), "the configuration of the journeys has changed");
        let mut config = config.replace(dev, DEV);
        for Guarded { name, .. } in &GUARDED {
            let Self { settle_minutes, soak_minutes, cooldown_minutes, is_all, has_findings } = self;
            let regions = if is_all { "all" } else { "affected" };
            let findings = if has_findings { "findings = [\"CRITICAL\"]\n" } else { "" };
            config += &format!(
                "\n[environments.{name}.rollback]\nalarms = [\"{name}-*\"]\n{findings}\
                 settle = \"{settle_minutes}m\"\nsoak = \"{soak_minutes}m\"\ncooldown = \"{cooldown_minutes}m\"\n\
                 regions = \"{regions}\"\n"
            );
        }
        config
    }
}

/// What is noted while time passes: what ran where, whenever that changed. By region, (since, digests).
pub(super) type Sights = BTreeMap<&'static str, Vec<(Timestamp, BTreeSet<String>)>>;

/// Notes what runs, until it is dropped.
struct Watch {
    sights: Arc<Mutex<Sights>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    fn begin(aws: Aws) -> Self {
        let sights = Arc::new(Mutex::new(Sights::new()));
        let noted = sights.clone();
        let task = tokio::spawn(async move {
            let mut known = BTreeMap::new();
            loop {
                for region in [REGION, SECOND] {
                    let seen = runs(&aws, region, &mut known);
                    let mut noted = noted.lock().unwrap();
                    let all: &mut Vec<_> = noted.entry(region).or_default();
                    all.push((aws.clock().now(), seen));
                }
                tokio::time::sleep(LOOKS_EVERY).await;
            }
        });
        Self { sights, task }
    }
}

/// The digests that run of `dev` in a region: of deployments with a task that runs, or of the task set that has the traffic.
fn runs(aws: &Aws, region: &str, known: &mut BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let input = json!({ "cluster": "dev", "services": ["dev"] });
    let Ok(answer) = aws.ask("ecs", region, "DescribeServices", input) else { return BTreeSet::new() };
    let service = &answer["services"][0];
    let of = |key: &str| service[key].as_array().cloned().unwrap_or_default();
    let rolling = of("deployments").into_iter().filter(|one| one["runningCount"].as_u64() > Some(0));
    let sets = of("taskSets").into_iter().filter(|one| one["status"] == "PRIMARY");
    let running: Vec<Value> = if region == REGION { rolling.collect() } else { sets.collect() };
    let definitions = running.iter().filter_map(|one| one["taskDefinition"].as_str());
    definitions
        .flat_map(|arn| known.entry(arn.to_owned()).or_insert_with(|| images(aws, region, arn)).clone())
        .collect()
}

fn images(aws: &Aws, region: &str, definition: &str) -> BTreeSet<String> {
    let answer = aws.ask("ecs", region, "DescribeTaskDefinition", json!({ "taskDefinition": definition })).unwrap();
    let containers = answer["taskDefinition"]["containerDefinitions"].as_array().cloned().unwrap_or_default();
    let digest = |one: &Value| one["image"].as_str()?.rsplit_once('@').map(|(_, digest)| digest.to_owned());
    containers.iter().filter_map(digest).collect()
}

/// An operator with these rights, and with AWS as it is for the functions.
fn operator(world: &World) -> Engine {
    let targets = Targets::new(&world.local.fleet.config("operator", REGION), vec![]);
    Engine { ledger: world.local.ledger(), targets, actor: "operator".to_owned() }
}

fn ask(world: &World, service: &str, region: &str, operation: &str, input: Value) -> Option<Value> {
    world.aws().ask(service, region, operation, input).ok()
}

/// What goes wrong, and what must be remembered of it.
pub(super) struct Trouble {
    random: fastrand::Rng,
    /// How many requests people made.
    requests: u32,
    watch: Watch,
}

impl Trouble {
    /// Lays the alarms down, all of them calm, and begins to note what runs.
    pub(super) fn begin(seed: u64, world: &World) -> Self {
        world.aws().keep_calls(&KEPT);
        for (region, name) in alarms() {
            let input = json!({
                "AlarmName": name, "Namespace": "shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
                "EvaluationPeriods": 1, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": "ignore",
            });
            ask(world, "monitoring", region, "PutMetricAlarm", input).unwrap();
        }
        let random = fastrand::Rng::with_seed(seed ^ 0xBAD);
        let trouble = Self { random, requests: 0, watch: Watch::begin(world.aws().clone()) };
        world.aws().ecs().set_pipeline_trusts_rollback(seed.is_multiple_of(3));
        trouble
    }

    /// Sometimes something is red before anything was ever deployed.
    pub(super) fn before(&mut self, world: &World) {
        if self.random.u8(..4) == 0 {
            let (region, name) = self.one_of(&alarms()).clone();
            set(world, region, &name, "ALARM");
        }
    }

    pub(super) fn sights(&self) -> Sights {
        self.watch.sights.lock().unwrap().clone()
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.random.usize(..all.len())]
    }

    fn environment(&mut self) -> &'static Guarded {
        &GUARDED[self.random.usize(..GUARDED.len())]
    }

    /// Something happens.
    pub(super) async fn act(&mut self, world: &World) {
        for (region, name) in alarms() {
            if self.random.u8(..4) == 0 {
                set_if(world, region, &name, "ALARM", "OK");
            }
        }
        match self.random.u8(..100) {
            0..=33 => self.after_a_deployment(world),
            34..=38 => self.alarm(world, "ALARM"),
            39..=40 => self.alarm(world, "INSUFFICIENT_DATA"),
            41..=45 => self.flap(world).await,
            46..=51 => self.find(world, "ACTIVE"),
            52..=53 => self.find(world, "CLOSED"),
            54..=59 => self.by_hand(world).await,
            60..=65 => self.lift(world).await,
            66..=77 => self.release(world).await,
            78..=79 => self.hold(world).await,
            80..=85 => self.edit(world),
            86..=88 => self.break_builds(world),
            89..=92 => self.break_deployments(world),
            93..=96 => self.meddle(world),
            _ => {}
        }
    }

    /// An alarm goes red that watches a place where something is being deployed, or just was; or any.
    fn after_a_deployment(&mut self, world: &World) {
        let mut fresh = Vec::new();
        for Guarded { name, places } in &GUARDED {
            let Some(state) = ask(world, "codepipeline", REGION, "GetPipelineState", json!({ "name": name })) else {
                continue;
            };
            let stages = state["stageStates"].as_array().cloned().unwrap_or_default();
            for (region, stage) in *places {
                let of = stages.iter().find(|one| one["stageName"] == *stage);
                let its = alarms().into_iter().find(|(at, alarm)| at == region && alarm.starts_with(name));
                if of.is_some_and(|one| one["latestExecution"]["status"] == "InProgress") {
                    fresh.extend(its.clone());
                }
                fresh.extend(its.filter(|_| of.is_some_and(|one| !one["latestExecution"].is_null())));
            }
        }
        match fresh.is_empty() {
            true => self.alarm(world, "ALARM"),
            false => {
                let (region, name) = self.one_of(&fresh).clone();
                set(world, region, &name, "ALARM");
            }
        }
    }

    fn alarm(&mut self, world: &World, state: &str) {
        let (region, name) = self.one_of(&alarms()).clone();
        set(world, region, &name, state);
    }

    async fn flap(&mut self, world: &World) {
        let (region, name) = self.one_of(&alarms()).clone();
        for _ in 0..self.random.u8(3..8) {
            set(world, region, &name, "ALARM");
            world.pass(Duration::from_secs(self.random.u64(..4))).await;
            set(world, region, &name, "OK");
            world.pass(Duration::from_secs(1)).await;
        }
    }

    /// Inspector finds something in an image of a guarded environment, or finds it gone.
    fn find(&mut self, world: &World, status: &str) {
        let name = self.environment().name;
        let Some(listed) = ask(world, "ecr", REGION, "ListImages", json!({ "repositoryName": name })) else { return };
        let listed = listed["imageIds"].as_array().cloned().unwrap_or_default();
        let digests: BTreeSet<&str> = listed.iter().filter_map(|image| image["imageDigest"].as_str()).collect();
        let digests: Vec<&str> = digests.into_iter().collect();
        if digests.is_empty() {
            return;
        }
        let digest = *self.one_of(&digests);
        let number = self.random.u8(..VULNERABILITIES);
        let detail = json!({
            "findingArn": format!("arn:aws:inspector2:us-east-1:123456789012:finding/{number}"),
            "severity": "CRITICAL", "status": status, "fixAvailable": "YES", "title": "in a package",
            "packageVulnerabilityDetails": { "vulnerabilityId": format!("CVE-2026-000{number}") },
            "resources": [{ "type": "AWS_ECR_CONTAINER_IMAGE", "details": { "awsEcrContainerImage": {
                "imageHash": digest, "repositoryName": name,
            } } }],
        });
        let event = json!({ "source": "aws.inspector2", "detail-type": "Inspector2 Finding", "resources": [], "detail": detail });
        world.aws().tell(event.to_string().as_bytes()).unwrap();
    }

    /// Somebody asks for an environment to be turned back, as the operator's tool does.
    async fn by_hand(&mut self, world: &World) {
        let environment = self.environment();
        self.requests += 1;
        let id = IncidentId::of_request(environment.name, &self.requests.to_string());
        let now = world.aws().clock().now();
        let says = "by hand: it answers wrongly".to_owned();
        let signal = Signal { cause: Cause::Manual, region: REGION.to_owned(), at: now, says: says.clone() };
        let mut incident = Incident::opened(id.clone(), Some(environment.name.to_owned()), signal, now);
        let places = if self.random.bool() { environment.places } else { &environment.places[..1] };
        let regions = places.iter().map(|(region, _)| (*region).to_owned()).collect();
        let to = if self.random.u8(..3) == 0 { self.commit(world, environment.name) } else { None };
        let decision = Decision::RollBack { regions, to, by: "ada".to_owned() };
        incident.turn_to(Status::RollingBack, decision, says, now);
        if world.local.ledger().save(Writes::new().incident(&Loaded::absent(incident))).await.is_err() {
            return;
        }
        let detail = json!({ "incident": id }).to_string();
        let entry = json!({
            "Source": "pointsman", "DetailType": "Rollback Requested", "Detail": detail, "EventBusName": STACK,
        });
        ask(world, "events", REGION, "PutEvents", json!({ "Entries": [entry] })).unwrap();
    }

    /// A commit that the pipeline once ran.
    fn commit(&mut self, world: &World, pipeline: &str) -> Option<Sha> {
        let all: Vec<String> = world.started(pipeline).into_iter().map(|(_, sha)| sha).collect();
        let all: Vec<String> = all.into_iter().filter(|sha| !sha.is_empty()).collect();
        if all.is_empty() { None } else { self.one_of(&all).parse().ok() }
    }

    async fn lift(&mut self, world: &World) {
        let (ledger, name) = (world.local.ledger(), self.environment().name);
        let Ok(all) = ledger.quarantines(name, 100).await else { return };
        let Some(one) = all.iter().find(|one| one.is_in_force()) else { return };
        let Ok(Some(mut known)) = ledger.quarantine(name, &one.sha).await else { return };
        let at = world.aws().clock().now();
        if known.value.lift(Lifted { at, by: "ada@example.com".into(), reason: "it was the database".into() }) {
            // Somebody else may have changed it meanwhile.
            let _ = ledger.save(Writes::new().quarantine(&known)).await;
        }
    }

    /// Somebody lets everything in again, or one of the commits that wait.
    async fn release(&mut self, world: &World) {
        let name = self.environment().name;
        let only = if self.random.u8(..3) == 0 { self.commit(world, name) } else { None };
        let now = world.aws().clock().now();
        // What fails is left to `sweep`.
        let _ = release(&operator(world), name, "ada@example.com", "it is mended", only.as_ref(), now).await;
    }

    async fn hold(&mut self, world: &World) {
        let environment = self.environment();
        let target = Target { kind: TargetKind::Pipeline, name: environment.name.into(), region: REGION.into() };
        let way = |(region, stage): &(&str, &str)| ((*region).to_owned(), target.clone(), (*stage).to_owned());
        let want = Wanted {
            environment: environment.name.to_owned(),
            by: "ada@example.com".to_owned(),
            reason: "the database is moved".to_owned(),
            incident: None,
            ways: environment.places.iter().map(way).collect(),
        };
        let _ = hold(&operator(world), &want, world.aws().clock().now()).await;
    }

    /// Somebody saves a pipeline as it is: every execution before it is of another structure.
    fn edit(&mut self, world: &World) {
        let name = self.environment().name;
        let found = ask(world, "codepipeline", REGION, "GetPipeline", json!({ "name": name })).unwrap();
        ask(world, "codepipeline", REGION, "UpdatePipeline", json!({ "pipeline": found["pipeline"] })).unwrap();
    }

    /// The pipeline is edited, and from now on no build of it works, or all work again.
    fn break_builds(&mut self, world: &World) {
        let name = self.environment().name;
        self.edit(world);
        let says = if self.random.u8(..3) > 0 { "fail" } else { "" };
        let arn = format!("arn:aws:codepipeline:{REGION}:123456789012:{name}");
        let tags = json!([{ "key": "local:Build/Build", "value": says }]);
        ask(world, "codepipeline", REGION, "TagResource", json!({ "resourceArn": arn, "tags": tags })).unwrap();
    }

    /// From now on tasks do not come up, and ECS's circuit breaker turns the deployment back; or they do again.
    fn break_deployments(&mut self, world: &World) {
        let says = if self.random.bool() { "fail" } else { "" };
        let arn = format!("arn:aws:ecs:{REGION}:123456789012:service/dev/dev");
        let tags = json!([{ "key": "local:deploy", "value": says }]);
        ask(world, "ecs", REGION, "TagResource", json!({ "resourceArn": arn, "tags": tags })).unwrap();
    }

    /// Somebody closes or opens a way in the console.
    fn meddle(&mut self, world: &World) {
        let environment = self.environment();
        let (_, stage) = *self.one_of(environment.places);
        let mut input = json!({ "pipelineName": environment.name, "stageName": stage, "transitionType": "Inbound" });
        let is_closing = self.random.bool();
        let operation = if is_closing { "DisableStageTransition" } else { "EnableStageTransition" };
        if is_closing {
            input["reason"] = json!("by hand");
        }
        ask(world, "codepipeline", REGION, operation, input).unwrap();
    }
}

/// Everything that was broken by somebody works again, and nothing is red.
pub(super) fn mend(world: &World) {
    for (region, name) in alarms() {
        set_if(world, region, &name, "ALARM", "OK");
    }
    let arn = format!("arn:aws:ecs:{REGION}:123456789012:service/dev/dev");
    let tags = json!([{ "key": "local:deploy", "value": "" }]);
    ask(world, "ecs", REGION, "TagResource", json!({ "resourceArn": arn, "tags": tags })).unwrap();
    for Guarded { name, places } in &GUARDED {
        let arn = format!("arn:aws:codepipeline:{REGION}:123456789012:{name}");
        let tags = json!([{ "key": "local:Build/Build", "value": "" }]);
        ask(world, "codepipeline", REGION, "TagResource", json!({ "resourceArn": arn, "tags": tags })).unwrap();
        for (_, stage) in *places {
            open_what_stands_by_hand(world, name, stage);
        }
    }
}

/// Whoever closed a way in the console opens it again.
fn open_what_stands_by_hand(world: &World, pipeline: &str, stage: &str) {
    let state = ask(world, "codepipeline", REGION, "GetPipelineState", json!({ "name": pipeline })).unwrap();
    let stages = state["stageStates"].as_array().cloned().unwrap_or_default();
    let of = stages.iter().find(|one| one["stageName"] == stage);
    if of.is_some_and(|one| one["inboundTransitionState"]["disabledReason"] == "by hand") {
        let input = json!({ "pipelineName": pipeline, "stageName": stage, "transitionType": "Inbound" });
        ask(world, "codepipeline", REGION, "EnableStageTransition", input).unwrap();
    }
}

/// Everything that is held is released.
pub(super) async fn release_all(world: &World) {
    for Guarded { name, places } in &GUARDED {
        let now = world.aws().clock().now();
        let _ = release(&operator(world), name, "ada@example.com", "it is over", None, now).await.unwrap();
        for (_, stage) in *places {
            open_what_stands_by_hand(world, name, stage);
        }
    }
}

/// Whether nothing waits any more for what has to come to its end by itself.
pub(super) async fn is_at_rest(ledger: &Ledger, now: Timestamp) -> bool {
    let incidents = ledger.latest_incidents(None, now, 1_000).await.unwrap();
    let is_open = |incident: &Incident| matches!(incident.status, Status::Settling | Status::RollingBack);
    !incidents.iter().any(is_open) && ledger.held().await.unwrap().is_empty()
}

/// Every alarm, with its region: two where something is seen, one elsewhere.
fn alarms() -> Vec<(&'static str, String)> {
    let of = |guarded: &'static Guarded| {
        let names = if guarded.places.len() > 1 { ["errors", "latency"].as_slice() } else { &["errors"] };
        let one =
            move |region: &'static str| names.iter().map(move |name| (region, format!("{}-{name}", guarded.name)));
        guarded.places.iter().flat_map(move |(region, _)| one(region))
    };
    GUARDED.iter().flat_map(of).collect()
}

fn set(world: &World, region: &str, name: &str, state: &str) {
    let input = json!({ "AlarmName": name, "StateValue": state, "StateReason": "so it is" });
    ask(world, "monitoring", region, "SetAlarmState", input).unwrap();
}

/// Sets an alarm that is in one state to another.
fn set_if(world: &World, region: &str, name: &str, before: &str, after: &str) {
    let found = ask(world, "monitoring", region, "DescribeAlarms", json!({ "AlarmNames": [name] })).unwrap();
    if found["MetricAlarms"][0]["StateValue"] == before {
        set(world, region, name, after);
    }
}
