//! How things stand for an approval now: who may vote, what is wrong with the image, who wrote it, what runs today.

use crate::authors::authors_since;
use crate::config::EnvironmentConfig;
use crate::domain::approval::{Approval, FreezeByHand, Standing, frozen_at};
use crate::domain::authors::Authors;
use crate::domain::change::Sha;
use crate::domain::environment::Version;
use crate::domain::execution::Execution;
use crate::domain::image::{self, GateCheck};
use crate::domain::observed::{Action, Observed, State as Reported};
use crate::domain::policy::Member;
use crate::domain::quarantine::Quarantine;
use crate::domain::shown::{Commit, Freeze, Newer};
use crate::domain::starter::Starter;
use crate::run::{Engine, RunError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How things stand.
#[derive(Debug, Clone)]
pub struct Situation {
    /// What a vote is judged by.
    pub standing: Standing,
    /// The environment as it is configured now; `None` where it is not (any more).
    pub config: Option<EnvironmentConfig>,
    /// The version of the live configuration's pointer; 0 where nothing is live.
    pub configuration: u64,
    /// The images that would go live, as far as they are known by now: a build may tell after people are asked.
    pub images: BTreeSet<String>,
    /// What the gate says of them; `None` where the environment has no gate.
    pub check: Option<GateCheck>,
    /// The quarantine that keeps the commit out, where one is in force.
    pub quarantine: Option<Quarantine>,
    /// Who wrote what would go live, and which commits those are.
    pub authors: Authors,
    /// What runs in each region of the environment.
    pub live: Vec<Place>,
    /// A newer execution that waits behind this approval.
    pub newer: Option<Newer>,
    /// What the execution's stages and actions have reported.
    pub observed: Observed,
    /// Whether a push started it, and nobody by hand.
    pub is_push: bool,
}

/// A region of an environment, and what runs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The AWS region.
    pub region: String,
    /// What runs there; `None` where nothing is known to.
    pub version: Option<Version>,
}

impl Situation {
    /// What a decision was judged by, for the audit log.
    pub fn evidence(&self) -> Value {
        json!({
            "configuration": self.configuration,
            "live": self.live.iter().map(|place| (place.region.clone(), place.version.as_ref().map(|version| &version.sha))).collect::<BTreeMap<_, _>>(),
            "authors": self.standing.authors, "not_knowable": self.standing.not_knowable,
            "gate": self.check.as_ref().map(GateCheck::is_passed), "frozen": self.standing.frozen.is_some(),
        })
    }
}

/// Reads how things stand.
///
/// # Errors
/// What the ledger failed with. Where CodePipeline does not say what waits behind, nothing is said of it.
pub async fn situation(engine: &Engine, approval: &Approval, now: Timestamp) -> Result<Situation, RunError> {
    let ledger = &engine.ledger;
    let execution = ledger.execution(&approval.execution).await?;
    let execution = execution.ok_or_else(|| RunError::NoExecution(approval.execution.clone()))?.value;
    let found = match &approval.environment {
        Some(name) => ledger.environment_config(name).await?,
        None => None,
    };
    let (configuration, config) = match found {
        Some((version, config)) => (version, Some(config)),
        None => (ledger.live_configuration().await?.map_or(0, |live| live.version), None),
    };
    let live = what_runs(engine, config.as_ref(), &approval.place.target.name).await?;
    let (authors, not_knowable) = who_wrote(engine, &execution, &live).await?;
    let images: BTreeSet<String> = execution.images.union(&approval.subject.images).cloned().collect();
    let check = match config.as_ref().and_then(|config| config.environment.gate.as_ref()) {
        Some(gate) => {
            let known = ledger.image_states(images.iter().map(String::as_str)).await?;
            Some(image::check(gate, &images, &known, now.to_zoned(TimeZone::UTC).date()))
        }
        None => None,
    };
    let by_hand = match &approval.environment {
        Some(name) => ledger.freeze_by_hand(name).await?.map(|found| found.value),
        None => None,
    };
    let mut standing = standing(approval, config.as_ref(), by_hand.as_ref(), now);
    let quarantine = quarantine(engine, approval).await?;
    let findings = check.iter().flat_map(|check| &check.blockers).map(ToString::to_string);
    standing.blocked = quarantine.iter().map(Quarantine::obstacle).chain(findings).collect();
    let starter = Starter::of_execution(&execution);
    let people = everybody(approval, config.as_ref());
    for (key, person) in &people {
        if let Some(way) = hand_in_it(&authors, &starter, person) {
            standing.authors.insert(key.clone(), way);
        }
    }
    standing.not_knowable = not_knowable.or_else(|| unknown_starter(&starter, people.values()));
    let observed = ledger.run(&approval.place.target, &approval.place.aws_id, now).await?.value.observed;
    let is_push = matches!(starter, Starter::Login(_));
    let newer = if approval.is_open(now) { newer(engine, approval, now).await } else { None };
    Ok(Situation {
        standing,
        config,
        configuration,
        images,
        check,
        quarantine,
        authors,
        live,
        newer,
        observed,
        is_push,
    })
}

/// The quarantine that keeps the commit out of the environment now.
async fn quarantine(engine: &Engine, approval: &Approval) -> Result<Option<Quarantine>, RunError> {
    let (Some(environment), Some(sha)) = (&approval.environment, &approval.subject.sha) else { return Ok(None) };
    let known = engine.ledger.quarantine(environment, sha).await?;
    Ok(known.map(|known| known.value).filter(Quarantine::is_in_force))
}

/// Who may vote, who may put a freeze aside, and whether one is on. Authors, images and a quarantine are for the caller to add.
fn standing(
    approval: &Approval,
    config: Option<&EnvironmentConfig>,
    by_hand: Option<&FreezeByHand>,
    now: Timestamp,
) -> Standing {
    let freeze = config.and_then(|config| config.environment.freeze.as_ref());
    let mut standing = Standing { frozen: frozen_at(freeze, by_hand, now), ..Standing::default() };
    let Some(config) = config else { return standing };
    let asked = approval.policy.iter().flat_map(|policy| policy.require.keys());
    for name in asked {
        for member in config.groups.get(name).into_iter().flat_map(|group| &group.members) {
            standing.members.entry(member.email.to_lowercase()).or_default().insert(name.clone());
        }
    }
    if let Some(freeze) = freeze {
        let group = freeze.override_group.as_ref().and_then(|name| config.groups.get(name));
        let members = group.into_iter().flat_map(|group| &group.members);
        standing.may_override = members.map(|member| member.email.to_lowercase()).collect();
    }
    standing
}

/// Everybody whose hand in the change matters: those who are asked and those who are configured now, with their logins.
fn everybody(approval: &Approval, config: Option<&EnvironmentConfig>) -> BTreeMap<String, Member> {
    let asked = approval
        .people
        .iter()
        .map(|(key, person)| (key.clone(), Member { email: person.email.clone(), github: person.github.clone() }));
    let members = config.into_iter().flat_map(|config| config.groups.values()).flat_map(|group| &group.members);
    // What is configured now counts more: a login may have been added since.
    asked.chain(members.map(|member| (member.email.to_lowercase(), member.clone()))).collect()
}

/// What `pipeline` brought to each region of the environment that runs there now, in the order of the regions.
async fn what_runs(
    engine: &Engine,
    config: Option<&EnvironmentConfig>,
    pipeline: &str,
) -> Result<Vec<Place>, RunError> {
    let Some(config) = config else { return Ok(Vec::new()) };
    let its = config.environment.deploys.iter().filter(|deploy| deploy.pipeline == pipeline);
    let regions: BTreeSet<&str> = its.map(|deploy| deploy.region.as_str()).collect();
    let regions: Vec<&str> = regions.into_iter().collect();
    let states = engine.ledger.environment_states(&config.name, regions.iter().copied()).await?;
    let live = |region: &str| {
        let state = states.iter().find(|state| state.value.region == region)?;
        state.value.live_of(pipeline).cloned()
    };
    Ok(regions.into_iter().map(|region| Place { region: region.to_owned(), version: live(region) }).collect())
}

/// Who wrote what would go live, held against every version that runs now, and why that may not be all.
async fn who_wrote(
    engine: &Engine,
    execution: &Execution,
    live: &[Place],
) -> Result<(Authors, Option<String>), RunError> {
    let (Some(repository), Some(sha)) = (repository_of(engine, execution).await?, &execution.sha) else {
        return Ok((Authors::default(), Some("no push of it is known".to_owned())));
    };
    let unknown = live.iter().find(|place| place.version.as_ref().is_some_and(|version| version.sha.is_none()));
    let mut known: BTreeSet<Option<&Sha>> = (live.iter())
        .filter(|place| place.version.as_ref().is_none_or(|version| version.sha.is_some()))
        .map(|place| place.version.as_ref().and_then(|version| version.sha.as_ref()))
        .collect();
    if known.is_empty() {
        known.insert(None);
    }
    let mut all = Authors::default();
    for from in known {
        all.join(authors_since(&engine.ledger, repository, from, sha).await?);
    }
    let unknown = unknown.map(|place| format!("nobody knows which commit runs in {}", place.region));
    let not_knowable = all.gap.as_ref().map(ToString::to_string).or(unknown);
    Ok((all, not_knowable))
}

/// How many of a pipeline's latest executions are looked at for the repository that it builds.
const EXECUTIONS_WITH_A_REPOSITORY_MAX: usize = 20;

/// GitHub's id of the repository of an execution: its own, or, where somebody started it by hand, that of the pipeline's
/// other executions, if they are all of one.
async fn repository_of(engine: &Engine, execution: &Execution) -> Result<Option<u64>, RunError> {
    if let Some(repository) = &execution.repository {
        return Ok(Some(repository.id));
    }
    let latest = engine.ledger.executions_of(&execution.target, EXECUTIONS_WITH_A_REPOSITORY_MAX).await?;
    let mut ids = latest.iter().filter_map(|one| one.repository.as_ref()).map(|repository| repository.id);
    let first = ids.next();
    Ok(first.filter(|first| ids.all(|other| other == *first)))
}

/// In what way a person had a hand in it, if they had one.
fn hand_in_it(authors: &Authors, starter: &Starter, person: &Member) -> Option<String> {
    let github = person.github.as_deref();
    if authors.is_one_of_them(&person.email, github) {
        Some("wrote, committed or pushed a part of it".to_owned())
    } else if starter.is(&person.email, github) == Some(true) {
        Some("started it".to_owned())
    } else {
        None
    }
}

/// Why nobody can know who started it: AWS names credentials, and they are those of nobody who is asked.
fn unknown_starter<'a>(starter: &Starter, mut people: impl Iterator<Item = &'a Member>) -> Option<String> {
    match starter {
        Starter::Login(_) => None,
        Starter::Named { name, is_proven } => {
            let is_one = people.any(|person| starter.is(&person.email, person.github.as_deref()) == Some(true));
            (!is_one || !is_proven).then(|| format!("it was started by hand as {name}, which may be anybody"))
        }
        Starter::Unknown => Some("nobody knows who started it".to_owned()),
    }
}

/// The first execution that waits to enter the stage. What cannot be read is not said.
async fn newer(engine: &Engine, approval: &Approval, now: Timestamp) -> Option<Newer> {
    let place = &approval.place;
    let waiting = match engine.targets.pipelines().waiting_for(&place.target, &place.stage).await {
        Ok(waiting) => waiting,
        Err(error) => {
            tracing::warn!(approval = %approval.id, %error, "what waits behind it could not be read");
            return None;
        }
    };
    let aws_id = waiting.first()?;
    let execution = engine.ledger.run(&place.target, aws_id, now).await.ok()?.value.execution;
    let record = match &execution {
        Some(id) => engine.ledger.execution(id).await.ok().flatten(),
        None => None,
    };
    let commit = record.and_then(|record| {
        let Execution { sha, title, .. } = record.value;
        sha.map(|sha| Commit { sha, title, author: None })
    });
    Some(Newer { commit })
}

impl Situation {
    /// Everybody who was asked and everybody who is configured now, by lower-cased address, as they are configured now.
    pub fn people(&self, approval: &Approval) -> BTreeMap<String, Member> {
        everybody(approval, self.config.as_ref())
    }

    /// The group that may put a freeze aside.
    pub fn override_group(&self) -> Option<&str> {
        self.config.as_ref()?.environment.freeze.as_ref()?.override_group.as_deref()
    }

    /// The freeze that is on, as it looks to this person.
    pub fn freeze(&self, person: &str) -> Option<Freeze> {
        self.standing.frozen.as_ref().map(|frozen| Freeze {
            until: frozen.until.clone(),
            override_group: self.override_group().map(str::to_owned),
            may_override: self.standing.may_override.contains(person),
        })
    }

    /// What would go live.
    pub fn commit(&self, approval: &Approval) -> Option<Commit> {
        let sha = approval.subject.sha.clone()?;
        let listed = self.authors.commits.iter().find(|commit| commit.sha == sha);
        let author = listed.map(|commit| commit.author.name.clone());
        let title = approval.subject.title.clone().or_else(|| listed.map(|commit| commit.title.clone()));
        Some(Commit { sha, title, author })
    }

    /// Who set it going, and how.
    pub fn started(&self, approval: &Approval) -> Option<String> {
        let actor = approval.subject.actor.as_ref()?;
        Some(format!("{} by {actor}", if self.is_push { "pushed" } else { "started" }))
    }

    /// Each action that has ended, but for approvals, with how: `Build succeeded`. Then what the gate says, and a quarantine.
    /// The event of the latest end may still be on its way.
    pub fn checks(&self) -> Vec<String> {
        let has_ended = |action: &Action| action.category != "Approval" && action.progress.mark.state.is_over();
        let actions = self.observed.actions.iter().filter(|(_, action)| has_ended(action));
        let ran = actions.map(|(name, action)| {
            let name = name.rsplit('/').next().unwrap_or(name);
            let how = match action.progress.mark.state {
                Reported::Succeeded => "succeeded",
                Reported::Failed => "failed",
                Reported::Started | Reported::Resumed => "is running",
                Reported::Stopping | Reported::Stopped | Reported::Abandoned => "was stopped",
                Reported::Canceled | Reported::Superseded => "was cancelled",
            };
            format!("{name} {how}")
        });
        let gate = self.check.iter().map(|check| {
            let blockers: Vec<String> = check.blockers.iter().map(ToString::to_string).collect();
            if check.is_passed() { "image scan passed".to_owned() } else { blockers.join("; ") }
        });
        ran.chain(gate).chain(self.quarantine.iter().map(Quarantine::obstacle)).collect()
    }
}
