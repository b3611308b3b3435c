//! An environment as programs read it, and as people do.

use crate::failure::Failure;
use crate::text::{Style, cell, cell_or_dash, cut};
use jiff::Timestamp;
use pointsman::domain::approval::{FreezeByHand, frozen, frozen_at};
use pointsman::domain::change::Sha;
use pointsman::domain::execution::ExecutionId;
use pointsman::domain::hold::Hold;
use pointsman::domain::quarantine::Quarantine;
use pointsman::domain::rollback::Ready;
use pointsman::domain::rollback::{Candidate, Judged, Step, Version};
use pointsman::domain::shown::zoned;
use pointsman::rolling::{Asked, Plan, PlanOf, plan};
use pointsman::run::Engine;
use serde::Serialize;
use std::collections::BTreeSet;

/// How many quarantined commits are shown.
const QUARANTINED_SHOWN: usize = 100;
/// How much of a reason a table shows, in characters.
const REASON: usize = 80;

/// One environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct View {
    name: String,
    pub(crate) regions: Vec<RegionView>,
    hold: Option<HoldView>,
    frozen: Option<FrozenView>,
    /// The commits that are kept out now.
    quarantined: Vec<QuarantinedView>,
    /// The systems that it belongs to.
    systems: Vec<String>,
    /// Whether people are asked before a version goes in.
    asks: bool,
    /// The commit that all regions could go back to.
    goes_back_to: Option<Sha>,
    /// Why there is none.
    why_not: Option<String>,
}

/// One region of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RegionView {
    region: String,
    pipeline: String,
    stage: String,
    live: Option<LiveView>,
    /// The version that it could go back to.
    last_good: Option<VersionView>,
    /// What was live before, the newest first, with what stands against each.
    pub(crate) before: Vec<BeforeView>,
    /// Whether the way in is closed by a hold of ours.
    is_held: bool,
    /// Whether the way in is closed by a freeze.
    is_frozen: bool,
    /// By which step it could be turned back, when `sweep` looked last; none where it has not.
    readiness: Option<Ready>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LiveView {
    #[serde(flatten)]
    version: VersionView,
    since: Option<Timestamp>,
    images: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct VersionView {
    sha: Option<Sha>,
    execution: ExecutionId,
    /// AWS's id of that execution.
    aws_id: String,
}

/// A version that was live once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BeforeView {
    #[serde(flatten)]
    version: VersionView,
    pub(crate) landed_at: Timestamp,
    is_good: bool,
    /// Why it is passed over: the rest of a sentence.
    pub(crate) passed_over: Option<String>,
    #[serde(skip)]
    pub(crate) digits: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct HoldView {
    by: String,
    reason: String,
    incident: Option<String>,
    since: Timestamp,
    /// The one commit that a person lets through.
    lets_through: Option<Sha>,
    is_released: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct FrozenView {
    until: Timestamp,
    /// The end of the configuration's window that is on.
    configured_until: Option<Timestamp>,
    /// The freeze that a person has put on.
    by_hand: Option<FreezeByHand>,
    #[serde(skip)]
    shown: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct QuarantinedView {
    sha: Sha,
    since: Timestamp,
    by: String,
    reason: String,
    incident: Option<String>,
}

/// What is known of an environment; `None` where the configuration does not have it.
pub(super) async fn load(engine: &Engine, name: &str, now: Timestamp) -> Result<Option<View>, Failure> {
    let ledger = &engine.ledger;
    let asked = Asked { environment: name, regions: None, blamed: None, to: None, not_with: None };
    let Some(plan) = plan(engine, &asked, now).await? else { return Ok(None) };
    let hold = ledger.hold(name).await?.map(|hold| hold.value);
    let by_hand = ledger.freeze_by_hand(name).await?.map(|freeze| freeze.value);
    let mut quarantined = ledger.quarantines(name, QUARANTINED_SHOWN).await?;
    quarantined.retain(Quarantine::is_in_force);
    let mut view = View::of(&plan, hold, by_hand, quarantined, now);
    let frozen = ledger.frozen_ways_of(name).await?.value.closed;
    for (region, plan) in view.regions.iter_mut().zip(&plan.regions) {
        let live = region.live.as_ref().and_then(|live| live.version.sha.clone());
        let ready = ledger.readiness(name, &region.region).await?.map(|ready| ready.value);
        // What was found of another version says nothing of this one.
        region.readiness = ready.filter(|ready| ready.live == live);
        region.is_frozen = frozen.iter().any(|one| one.target == plan.target() && one.stage == region.stage);
    }
    Ok(Some(view))
}

impl View {
    /// Puts together what is known.
    fn of(
        plan: &Plan,
        hold: Option<Hold>,
        by_hand: Option<FreezeByHand>,
        quarantined: Vec<Quarantine>,
        now: Timestamp,
    ) -> Self {
        let environment = &plan.config.environment;
        let by_hand = by_hand.filter(|by_hand| by_hand.is_on(now));
        let configured = environment.freeze.as_ref().and_then(|freeze| frozen(freeze, now));
        let frozen = frozen_at(environment.freeze.as_ref(), by_hand.as_ref(), now).map(|frozen| FrozenView {
            until: frozen.until.timestamp(),
            configured_until: configured.map(|configured| configured.until.timestamp()),
            shown: zoned(&frozen.until),
            by_hand,
        });
        Self {
            name: plan.config.name.clone(),
            regions: plan.regions.iter().map(|region| RegionView::of(region, hold.as_ref())).collect(),
            hold: hold.map(HoldView::of),
            frozen,
            quarantined: quarantined.into_iter().map(QuarantinedView::of).collect(),
            systems: plan.config.systems.clone(),
            asks: environment.has_approval(),
            goes_back_to: plan.to.clone(),
            why_not: plan.why_not.clone(),
        }
    }

    /// Everything, for people.
    pub(super) fn text(&self, style: &Style) -> String {
        let held = self.hold.as_ref().map(|hold| {
            let through = hold.lets_through.as_ref().map(|sha| format!("; {} is let through", sha.short()));
            let released = if hold.is_released { "; it is being released" } else { "" };
            let since = style.time(hold.since);
            cell(format!("by {}, {since}: {}{}{released}", hold.by, hold.reason, through.unwrap_or_default()))
        });
        let frozen = self.frozen.as_ref().map(|frozen| {
            let by = frozen.by_hand.as_ref().map(|by_hand| format!(", by {}: {}", by_hand.by, by_hand.reason));
            cell(format!("until {}{}", frozen.shown, by.unwrap_or_default()))
        });
        let back = match (&self.goes_back_to, &self.why_not) {
            (Some(sha), _) => cell(sha.to_string()),
            (None, why) => cell(format!("nowhere: {}", why.as_deref().unwrap_or("nobody knows why"))),
        };
        let systems = (!self.systems.is_empty()).then(|| cell(self.systems.join(", ")));
        let mut parts = vec![style.details(vec![
            ("Environment", Some(cell(&self.name))),
            ("Systems", systems),
            ("Asks people", Some(cell(if self.asks { "yes" } else { "no" }))),
            ("Held", held),
            ("Frozen", frozen),
            ("Goes back to", Some(back)),
        ])];
        parts.push(list(std::slice::from_ref(self), style));
        parts.extend(self.readiness(style));
        parts.extend(self.before(style));
        parts.extend(self.quarantined(style));
        parts.join("\n\n")
    }

    /// By which step each region could be turned back, and why not by a better one.
    fn readiness(&self, style: &Style) -> Option<String> {
        let all = self.regions.iter().filter_map(|region| region.readiness.as_ref());
        let rows: Vec<_> = all
            .map(|ready| {
                let better = ready.steps.iter().take_while(|one| Some(one.step) != ready.step);
                let not_by =
                    better.filter_map(|one| Some(format!("not by {}: {}", one.step.as_str(), one.cannot.as_ref()?)));
                let why: Vec<String> = ready.problem.iter().cloned().chain(not_by).collect();
                vec![
                    cell(&ready.region),
                    cell_or_dash(ready.step.map(Step::as_str)),
                    cell_or_dash(ready.to.as_ref().map(Sha::short)),
                    cell(style.time(ready.at)),
                    cell(why.join("; ")),
                ]
            })
            .collect();
        (!rows.is_empty()).then(|| style.table(&["REGION", "READY BY", "TO", "SINCE", "WHY"], rows))
    }

    /// The versions that were live before, with what stands against each.
    fn before(&self, style: &Style) -> Option<String> {
        let all = self.regions.iter().flat_map(|region| region.before.iter().map(move |before| (region, before)));
        let rows: Vec<_> = all
            .map(|(region, before)| {
                let word = before.passed_over.as_deref().unwrap_or("good");
                vec![cell(&region.region), cell(&before.digits), cell(style.time(before.landed_at)), cell(word)]
            })
            .collect();
        (!rows.is_empty()).then(|| style.table(&["REGION", "BEFORE", "LANDED", "JUDGED"], rows))
    }

    fn quarantined(&self, style: &Style) -> Option<String> {
        let rows: Vec<_> = (self.quarantined.iter())
            .map(|one| {
                let why =
                    one.incident.as_ref().map_or_else(|| one.reason.clone(), |id| format!("{id}: {}", one.reason));
                let by = one.by.clone();
                vec![cell(one.sha.as_str()), cell(style.time(one.since)), cell(by), cell(cut(&why, REASON))]
            })
            .collect();
        (!rows.is_empty()).then(|| style.table(&["QUARANTINED", "SINCE", "BY", "WHY"], rows))
    }

    /// What can be done next, as sentences for stderr.
    pub(super) fn next(&self) -> Vec<String> {
        let name = &self.name;
        let mut next = Vec::new();
        if self.hold.as_ref().is_some_and(|hold| !hold.is_released) {
            next.push(format!("`pointsman release {name} --reason …` lets versions in again"));
        }
        if self.frozen.as_ref().is_some_and(|frozen| frozen.by_hand.is_some()) {
            next.push(format!("`pointsman thaw {name} --reason …` ends the freeze"));
        }
        next
    }
}

impl RegionView {
    fn of(plan: &PlanOf, hold: Option<&Hold>) -> Self {
        let way = hold.and_then(|hold| hold.way(&plan.target(), &plan.deploy.stage));
        Self {
            region: plan.deploy.region.clone(),
            pipeline: plan.deploy.pipeline.clone(),
            stage: plan.deploy.stage.clone(),
            live: plan.from.as_ref().map(|live| LiveView {
                version: VersionView::of(live),
                since: plan.since,
                images: live.images.clone(),
            }),
            last_good: plan.to.as_ref().map(VersionView::of),
            before: plan.candidates.iter().map(BeforeView::of).collect(),
            is_held: way.is_some(),
            is_frozen: false,
            readiness: None,
        }
    }
}

impl VersionView {
    fn of(version: &Version) -> Self {
        Self { sha: version.sha.clone(), execution: version.execution.clone(), aws_id: version.aws_id.clone() }
    }

    fn short(&self) -> &str {
        self.sha.as_ref().map_or("unknown", Sha::short)
    }
}

impl BeforeView {
    pub(crate) fn of(candidate: &Candidate) -> Self {
        let passed_over = match &candidate.judged {
            Judged::Good => None,
            Judged::PassedOver(why) => Some(why.to_string()),
        };
        Self {
            version: VersionView::of(&candidate.version),
            landed_at: candidate.landed_at,
            is_good: passed_over.is_none(),
            passed_over,
            digits: candidate.version.digits().to_owned(),
        }
    }
}

impl HoldView {
    fn of(hold: Hold) -> Self {
        let Hold { by, reason, incident, since, lets_through, is_released, .. } = hold;
        Self { by, reason, incident, since, lets_through, is_released }
    }
}

impl QuarantinedView {
    fn of(quarantine: Quarantine) -> Self {
        let Quarantine { sha, since, by, reason, incident, .. } = quarantine;
        Self { sha, since, by, reason, incident }
    }
}

/// The list for people: a line for each region.
pub(super) fn list(views: &[View], style: &Style) -> String {
    if views.is_empty() {
        return "no environments".to_owned();
    }
    let all = views.iter().flat_map(|view| view.regions.iter().map(move |region| (view, region)));
    let rows = all.map(|(view, region)| {
        let mut shut = Vec::new();
        shut.extend(region.is_held.then_some("held"));
        shut.extend(match (view.frozen.is_some(), region.is_frozen) {
            (true, true) => Some("frozen"),
            // There no approval is taken, and the way itself stays as it is.
            (true, false) if view.asks => Some("frozen"),
            (true, false) => Some("freezing"),
            (false, true) => Some("thawing"),
            (false, false) => None,
        });
        let live = region.live.as_ref();
        vec![
            cell(&view.name),
            cell(&region.region),
            cell(format!("{}/{}", region.pipeline, region.stage)),
            cell_or_dash(live.map(|live| live.version.short())),
            cell_or_dash(live.and_then(|live| live.since).map(|since| style.time(since))),
            cell_or_dash(region.last_good.as_ref().map(VersionView::short)),
            cell(if shut.is_empty() { "open".to_owned() } else { shut.join(", ") }),
        ]
    });
    style.table(&["ENVIRONMENT", "REGION", "PIPELINE", "LIVE", "SINCE", "LAST GOOD", "WAY IN"], rows)
}
