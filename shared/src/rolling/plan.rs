//! What turning an environment back would mean now: which regions run the bad version, and to which one they can go.

use crate::config::{Deploy, EnvironmentConfig, Gate};
use crate::domain::change::Sha;
use crate::domain::environment::{self, EnvironmentState};
use crate::domain::execution::{Execution, Kind, Target};
use crate::domain::image::{self, Blocker, FindingStatus, ImageState, digest_of};
use crate::domain::incident::Blamed;
use crate::domain::rollback::{Candidate, Judged, Question, Version, Why, common, judge};
use crate::domain::shown;
use crate::ledger::Filter;
use crate::run::{Engine, RunError};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How many quarantined commits of an environment are read.
const QUARANTINES_MAX: usize = 1_000;
/// How many executions of one commit are looked at for the one that is in a stage.
const EXECUTIONS_MAX: usize = 20;
/// How many of the versions that were live are looked at for findings, from the newest back. Older ones are passed over.
const JUDGED_MAX: usize = 10;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The environment.
    pub environment: &'a str,
    /// Where; `None`: in all of its regions.
    pub regions: Option<&'a [String]>,
    /// What is to be turned back; `None`: whatever is live.
    pub blamed: Option<&'a Blamed>,
    /// To which commit; `None`: to the last good one.
    pub to: Option<&'a Sha>,
    /// A vulnerability of which the version must be free.
    pub not_with: Option<&'a str>,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The environment as it is configured now.
    pub config: EnvironmentConfig,
    /// Every region that was asked for.
    pub regions: Vec<PlanOf>,
    /// The commit that all of them can go back to, where there is one.
    pub to: Option<Sha>,
    /// Why there is none.
    pub why_not: Option<String>,
}

/// One region.
#[derive(Debug, Clone)]
pub struct PlanOf {
    /// Where a version lands there.
    pub deploy: Deploy,
    /// How far the bad version came.
    pub reach: Reach,
    /// What is turned back; `None` where there is nothing.
    pub from: Option<Version>,
    /// Since when it is live, where it is.
    pub since: Option<Timestamp>,
    /// What was live before it, the newest first, with what stands against each.
    pub candidates: Vec<Candidate>,
    /// What the region would go back to.
    pub to: Option<Version>,
}

/// How far a version came in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It is live.
    Live,
    /// It is on its way in.
    InFlight,
    /// It never came there.
    Never,
    /// It was live, or on its way, and this one is live by now: seven digits.
    Past {
        /// Which.
        live: String,
    },
}

impl Reach {
    /// Whether there is something to turn back.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Live | Self::InFlight => true,
            Self::Never | Self::Past { .. } => false,
        }
    }
}

impl PlanOf {
    /// The pipeline that brings versions there.
    pub fn target(&self) -> Target {
        self.deploy.target()
    }
}

/// Reads what is known, and says what turning back would mean. `None`: there is no such environment.
///
/// # Errors
/// What the ledger failed with.
pub async fn plan(engine: &Engine, asked: &Asked<'_>, now: Timestamp) -> Result<Option<Plan>, RunError> {
    let (config, quarantined) = tokio::join!(
        engine.ledger.environment_config(asked.environment),
        engine.ledger.quarantines(asked.environment, QUARANTINES_MAX),
    );
    let Some((_, config)) = config? else { return Ok(None) };
    let in_force = quarantined?.into_iter().filter(|one| one.is_in_force());
    let quarantined: BTreeSet<Sha> = in_force.map(|one| one.sha).collect();
    let is_asked = |deploy: &&Deploy| asked.regions.is_none_or(|regions| regions.contains(&deploy.region));
    let deploys: Vec<Deploy> = config.environment.deploys.iter().filter(is_asked).cloned().collect();
    let names = deploys.iter().map(|deploy| deploy.region.as_str());
    let states = engine.ledger.environment_states(asked.environment, names).await?;
    let mut regions = Vec::new();
    for (deploy, state) in deploys.into_iter().zip(states) {
        regions.push(of_region(engine, asked, &config, deploy, &state.value, &quarantined, now).await?);
    }
    let wanted = |region: &&PlanOf| region.reach.is_there();
    let to = match asked.to {
        Some(sha) => Some(sha.clone()),
        None => common(regions.iter().filter(wanted).map(|region| region.candidates.as_slice())),
    };
    for region in regions.iter_mut().filter(|region| region.reach.is_there()) {
        region.to = to.as_ref().and_then(|sha| chosen(&region.candidates, sha, asked.to.is_some()));
    }
    let is_possible = regions.iter().filter(wanted).all(|region| region.to.is_some());
    let why_not = match regions.iter().find(|region| region.reach.is_there()) {
        None => Some("nothing is live that could be turned back".to_owned()),
        Some(_) if is_possible && to.is_some() => None,
        Some(first) => {
            Some(why_not(asked.to, regions.iter().find(|r| r.reach.is_there() && r.to.is_none()).unwrap_or(first)))
        }
    };
    let to = to.filter(|_| why_not.is_none());
    Ok(Some(Plan { config, regions, to, why_not }))
}

/// The version that is on its way into one of these stages, the youngest if there are several: what a person means who wants
/// an environment turned back while it is changing.
///
/// # Errors
/// What the ledger failed with.
pub async fn on_its_way(
    engine: &Engine,
    environment: &str,
    deploys: &[&Deploy],
    now: Timestamp,
) -> Result<Option<Blamed>, RunError> {
    let filter = Filter { environment: Some(environment), ..Filter::default() };
    let latest = engine.ledger.latest_executions(filter, now, EXECUTIONS_MAX).await?;
    let may_be = |execution: &&Execution| !execution.status.is_over() && execution.kind != Kind::Rollback;
    for execution in latest.iter().filter(may_be) {
        let Some(aws_id) = execution.start.aws_id() else { continue };
        let observed = engine.ledger.run(&execution.target, aws_id, now).await?.value.observed;
        let mut its = deploys.iter().filter(|deploy| deploy.target() == execution.target);
        if its.any(|deploy| observed.is_inside(&deploy.stage)) {
            return Ok(Some(Blamed { execution: execution.id.clone(), sha: execution.sha.clone() }));
        }
    }
    Ok(None)
}

async fn of_region(
    engine: &Engine,
    asked: &Asked<'_>,
    config: &EnvironmentConfig,
    deploy: Deploy,
    state: &EnvironmentState,
    quarantined: &BTreeSet<Sha>,
    now: Timestamp,
) -> Result<PlanOf, RunError> {
    let live = state.live_of(&deploy.pipeline);
    let (reach, from) = match asked.blamed {
        Some(blamed) => reach(engine, asked.environment, &deploy, live, state, blamed, now).await?,
        None => match live {
            Some(live) => (Reach::Live, Some(seen(live))),
            None => (Reach::Never, None),
        },
    };
    let since = live.filter(|_| reach == Reach::Live).map(|live| live.at);
    let blamed = from.as_ref().map(|from| Blamed { execution: from.execution.clone(), sha: from.sha.clone() });
    let candidates = match &blamed {
        Some(blamed) => {
            let blocked = blocked(engine, config, state, asked.not_with, now).await?;
            let soak = config.environment.rollback.as_ref().map_or(0, |policy| policy.soak.seconds());
            judge(&Question {
                state,
                pipeline: &deploy.pipeline,
                blamed,
                soak: SignedDuration::from_secs(i64::from(soak)),
                quarantined,
                blocked: &blocked,
                now,
            })
        }
        None => Vec::new(),
    };
    Ok(PlanOf { deploy, reach, from, since, candidates, to: None })
}

/// How far the blamed version came in a region, and what of it is there. One version may come to several regions by
/// executions of several pipelines: then its commit tells.
async fn reach(
    engine: &Engine,
    environment: &str,
    deploy: &Deploy,
    live: Option<&environment::Version>,
    state: &EnvironmentState,
    blamed: &Blamed,
    now: Timestamp,
) -> Result<(Reach, Option<Version>), RunError> {
    let is_it = |version: &environment::Version| {
        version.execution == blamed.execution || (version.sha.is_some() && version.sha == blamed.sha)
    };
    if let Some(live) = live.filter(|live| is_it(live)) {
        return Ok((Reach::Live, Some(seen(live))));
    }
    if let Some(execution) = in_flight(engine, environment, deploy, blamed, now).await? {
        return Ok((Reach::InFlight, Some(execution)));
    }
    Ok(match live {
        Some(live) if state.versions.iter().any(is_it) => {
            (Reach::Past { live: shown::digits(live.sha.as_ref()).to_owned() }, None)
        }
        Some(_) | None => (Reach::Never, None),
    })
}

/// The execution of the blamed version that is inside the stage of `deploy`, if one is.
async fn in_flight(
    engine: &Engine,
    environment: &str,
    deploy: &Deploy,
    blamed: &Blamed,
    now: Timestamp,
) -> Result<Option<Version>, RunError> {
    let mut executions: Vec<Execution> = Vec::new();
    executions.extend(engine.ledger.execution(&blamed.execution).await?.map(|loaded| loaded.value));
    if let Some(sha) = &blamed.sha {
        let filter = Filter { environment: Some(environment), sha: Some(sha.as_str()), ..Filter::default() };
        executions.extend(engine.ledger.latest_executions(filter, now, EXECUTIONS_MAX).await?);
    }
    let target = deploy.target();
    for execution in
        executions.into_iter().filter(|execution| execution.target == target && execution.kind != Kind::Rollback)
    {
        let Some(aws_id) = execution.start.aws_id().map(str::to_owned) else { continue };
        let run = engine.ledger.run(&target, &aws_id, now).await?.value;
        if run.observed.is_inside(&deploy.stage) {
            return Ok(Some(Version {
                images: digests(&execution.images),
                execution: execution.id,
                aws_id,
                sha: execution.sha,
            }));
        }
    }
    Ok(None)
}

/// The candidate of a commit that may be gone back to. A person may also name one that did not run for long.
fn chosen(candidates: &[Candidate], sha: &Sha, by_hand: bool) -> Option<Version> {
    let may = |candidate: &&Candidate| match &candidate.judged {
        Judged::Good => true,
        Judged::PassedOver(Why::NotSoaked { .. }) => by_hand,
        Judged::PassedOver(_) => false,
    };
    let its = candidates.iter().filter(|candidate| candidate.version.sha.as_ref() == Some(sha));
    its.filter(may).map(|candidate| candidate.version.clone()).next()
}

fn why_not(to: Option<&Sha>, region: &PlanOf) -> String {
    let place = &region.deploy.region;
    let said = |candidate: &Candidate| match &candidate.judged {
        Judged::Good => None,
        Judged::PassedOver(why) => Some(format!("{} {why}", candidate.version.digits())),
    };
    if let Some(sha) = to {
        let digits = sha.short();
        let known = region.candidates.iter().find(|candidate| candidate.version.sha.as_ref() == Some(sha));
        return match known.and_then(said) {
            Some(why) => format!("in {place} {why}"),
            None => format!("{digits} has not run in {place} before what is turned back"),
        };
    }
    let passed_over: Vec<String> = region.candidates.iter().filter_map(said).collect();
    match passed_over.is_empty() {
        true if region.candidates.is_empty() => format!("nothing was live in {place} before it"),
        true => "no version was good in every region".to_owned(),
        false => format!("no version is good in {place}: {}", passed_over.join("; ")),
    }
}

/// Why commits may not run as to what Inspector says of their images: what the environment's gate or its rollback policy
/// names, and `not_with`. A scan that is missing is no reason: what ran before has run.
async fn blocked(
    engine: &Engine,
    config: &EnvironmentConfig,
    state: &EnvironmentState,
    not_with: Option<&str>,
    now: Timestamp,
) -> Result<BTreeMap<Sha, String>, RunError> {
    let environment = &config.environment;
    let mut gate = environment.gate.clone().unwrap_or_else(|| Gate {
        findings: Vec::new(),
        fixable_only: false,
        wait_for_scan: Gate::default_wait_for_scan(),
        waivers: Vec::new(),
    });
    gate.findings.extend(environment.rollback.iter().flat_map(|policy| policy.findings.iter().copied()));
    let mut blocked = BTreeMap::new();
    if gate.findings.is_empty() && not_with.is_none() {
        return Ok(blocked);
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    for version in state.versions.iter().take(JUDGED_MAX + 1) {
        let Some(sha) = &version.sha else { continue };
        if blocked.contains_key(sha) {
            continue;
        }
        let known = engine.ledger.image_states(version.images.iter().map(String::as_str)).await?;
        let check = image::check(&gate, &version.images, &known, today);
        let finding = check.blockers.iter().find(|blocker| is_finding(blocker)).map(ToString::to_string);
        if let Some(why) = finding.or_else(|| not_with.and_then(|id| has(id, &version.images, &known))) {
            blocked.insert(sha.clone(), why);
        }
    }
    for version in state.versions.iter().skip(JUDGED_MAX + 1) {
        let Some(sha) = &version.sha else { continue };
        blocked.entry(sha.clone()).or_insert_with(|| "it is too old to be looked at for findings".to_owned());
    }
    Ok(blocked)
}

fn is_finding(blocker: &Blocker) -> bool {
    match blocker {
        Blocker::Finding { .. } | Blocker::Uncounted { .. } | Blocker::CutOff { .. } => true,
        Blocker::NoDigest | Blocker::ScanMissing { .. } => false,
    }
}

/// Why a version is not free of a vulnerability: it has it, or nobody can say.
fn has(id: &str, images: &BTreeSet<String>, known: &BTreeMap<String, ImageState>) -> Option<String> {
    if images.is_empty() {
        return Some(format!("nobody knows its images, and so whether {id} is in them"));
    }
    let is_it = |state: &ImageState| {
        state.findings.iter().any(|finding| finding.vulnerability == id && finding.status == FindingStatus::Active)
    };
    known.values().any(is_it).then(|| format!("{id} is in it too"))
}

/// A version that is live, as what is turned back: the execution itself, not what it stands for.
fn seen(version: &environment::Version) -> Version {
    Version {
        execution: version.execution.clone(),
        aws_id: version.aws_id.clone(),
        sha: version.sha.clone(),
        images: digests(&version.images),
    }
}

/// The digests of images that are named as `REPOSITORY@sha256:…`.
pub(super) fn digests(images: &BTreeSet<String>) -> BTreeSet<String> {
    images.iter().map(|image| digest_of(image).to_owned()).collect()
}
