//! What a rollback would do: from what to what, by which step, and why not by a better one or to a newer version.

use super::request::{Checked, Request};
use crate::environments::BeforeView;
use crate::failure::Failure;
use crate::session::Session;
use crate::text::{Style, cell, cell_or_dash};
use jiff::Timestamp;
use pointsman::domain::change::Sha;
use pointsman::domain::execution::ExecutionId;
use pointsman::domain::rollback::{Step, StepReady, Worker, first_that_works};
use pointsman::rolling::{Hands, PlanOf, Reach, Readiness, readiness};
use serde::Serialize;

/// What would be done in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PlanView {
    environment: String,
    /// The commit that every region would go back to.
    to: Option<Sha>,
    /// Why nothing would be done.
    why_not: Option<String>,
    regions: Vec<RegionView>,
}

/// What would be done in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RegionView {
    region: String,
    pipeline: String,
    stage: String,
    /// What is there to be turned back: `live`, `in_flight`, `never` or `past`.
    reach: &'static str,
    from: Option<Sha>,
    from_execution: Option<ExecutionId>,
    /// Since when it is live.
    since: Option<Timestamp>,
    to: Option<Sha>,
    to_execution: Option<ExecutionId>,
    /// The step that would be taken.
    step: Option<Step>,
    /// All of them, the best first, with why they would not work.
    steps: Vec<StepReady>,
    /// The deployment that would be stopped first.
    in_flight: Option<Worker>,
    /// The versions that are newer than the one gone back to, with what stands against each.
    passed_over: Vec<BeforeView>,
}

/// Looks at what a request would do.
pub(super) async fn look(session: &Session, request: &Request) -> Result<PlanView, Failure> {
    let checked = request.check(session).await?;
    let (engine, hands) = (session.reader(), Hands::new(&session.aws));
    let mut regions = Vec::new();
    for region in &checked.plan.regions {
        let ready = readiness(&engine, &hands, region, session.now()).await?;
        regions.push(RegionView::of(region, ready));
    }
    Ok(PlanView::of(&request.environment, checked, regions))
}

impl PlanView {
    fn of(environment: &str, checked: Checked, regions: Vec<RegionView>) -> Self {
        Self { environment: environment.to_owned(), to: checked.plan.to, why_not: checked.plan.why_not, regions }
    }

    /// Whether every region that has something to turn back could be.
    pub(super) fn is_possible(&self) -> bool {
        let its = self.regions.iter().filter(|region| region.from.is_some() || region.from_execution.is_some());
        self.why_not.is_none() && its.map(|region| region.step).all(|step| step.is_some())
    }

    /// The plan for people.
    pub(super) fn text(&self, style: &Style) -> String {
        let to = match (&self.to, &self.why_not) {
            (Some(sha), _) => sha.to_string(),
            (None, why) => format!("nowhere: {}", why.as_deref().unwrap_or("nobody knows why")),
        };
        let head = style.details(vec![("Environment", Some(cell(&self.environment))), ("Would go to", Some(cell(to)))]);
        let rows = self.regions.iter().map(|region| {
            let from = region.from.as_ref().map(Sha::short);
            vec![
                cell(&region.region),
                cell(format!("{}/{}", region.pipeline, region.stage)),
                cell(region.reach.replace('_', " ")),
                cell_or_dash(from),
                cell_or_dash(region.since.map(|since| style.time(since))),
                cell_or_dash(region.to.as_ref().map(Sha::short)),
                cell_or_dash(region.step.map(Step::as_str)),
            ]
        });
        let regions = style.table(&["REGION", "PIPELINE", "THERE", "FROM", "SINCE", "TO", "BY"], rows);
        let mut parts = vec![head, regions];
        parts.extend(self.steps(style));
        parts.extend(self.passed_over(style));
        parts.join("\n\n")
    }

    fn steps(&self, style: &Style) -> Option<String> {
        let mut rows = Vec::new();
        for region in &self.regions {
            if region.in_flight.is_some() {
                rows.push(vec![
                    cell(&region.region),
                    cell(Step::Stop.as_str()),
                    cell("comes first: something is in flight"),
                ]);
            }
            for ready in &region.steps {
                let word = match (&ready.cannot, region.step == Some(ready.step)) {
                    (Some(why), _) => format!("would not work: {why}"),
                    (None, true) => "would be taken".to_owned(),
                    (None, false) => "nothing is known against it".to_owned(),
                };
                rows.push(vec![cell(&region.region), cell(ready.step.as_str()), cell(word)]);
            }
        }
        (!rows.is_empty()).then(|| style.table(&["REGION", "STEP", "NOW"], rows))
    }

    fn passed_over(&self, style: &Style) -> Option<String> {
        let all = self.regions.iter().flat_map(|region| region.passed_over.iter().map(move |one| (region, one)));
        let rows: Vec<_> = all
            .map(|(region, one)| {
                let why = one.passed_over.as_deref().unwrap_or("is not good in every region");
                vec![cell(&region.region), cell(&one.digits), cell(style.time(one.landed_at)), cell(why)]
            })
            .collect();
        (!rows.is_empty()).then(|| style.table(&["REGION", "PASSED OVER", "LANDED", "WHY"], rows))
    }
}

impl RegionView {
    fn of(plan: &PlanOf, ready: Readiness) -> Self {
        let newer = plan.candidates.iter().take_while(|candidate| Some(&candidate.version) != plan.to.as_ref());
        Self {
            region: plan.deploy.region.clone(),
            pipeline: plan.deploy.pipeline.clone(),
            stage: plan.deploy.stage.clone(),
            reach: match &plan.reach {
                Reach::Live => "live",
                Reach::InFlight => "in_flight",
                Reach::Never => "never",
                Reach::Past { .. } => "past",
            },
            from: plan.from.as_ref().and_then(|from| from.sha.clone()),
            from_execution: plan.from.as_ref().map(|from| from.execution.clone()),
            since: plan.since,
            to: plan.to.as_ref().and_then(|to| to.sha.clone()),
            to_execution: plan.to.as_ref().map(|to| to.execution.clone()),
            step: first_that_works(&ready.steps),
            steps: ready.steps,
            in_flight: ready.in_flight,
            passed_over: newer.map(BeforeView::of).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::style_for_tests;
    use jiff::SignedDuration;
    use pointsman::domain::rollback::{Candidate, Judged, Until, Version, Why};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn version(digit: &str) -> Version {
        Version {
            execution: ExecutionId::named(&format!("ex-{digit}")),
            aws_id: format!("aws-{digit}"),
            sha: Some(digit.repeat(40).parse().unwrap()),
            images: [].into(),
        }
    }

    fn plan() -> PlanOf {
        let judged = |digit: &str, second, judged| Candidate { version: version(digit), landed_at: at(second), judged };
        let short = Why::NotSoaked { ran: SignedDuration::from_secs(120), until: Until::Replaced };
        PlanOf {
            deploy: serde_json::from_value(
                serde_json::json!({ "region": "us-east-1", "pipeline": "shop", "stage": "Deploy" }),
            )
            .unwrap(),
            reach: Reach::Live,
            from: Some(version("d")),
            since: Some(at(-300)),
            candidates: vec![
                judged("c", -420, Judged::PassedOver(short)),
                judged("b", -7_200, Judged::Good),
                judged("a", -14_400, Judged::Good),
            ],
            to: Some(version("b")),
        }
    }

    fn view(region: RegionView) -> PlanView {
        PlanView { environment: "web".into(), to: region.to.clone(), why_not: None, regions: vec![region] }
    }

    fn ready(roll_back: Option<&str>, start: Option<&str>) -> Readiness {
        let ready = |step, cannot: Option<&str>| StepReady { step, cannot: cannot.map(str::to_owned) };
        let steps = vec![
            ready(Step::RollbackStage, roll_back),
            ready(Step::Start, start),
            ready(Step::Deploy, Some("neither ecs nor codedeploy is configured for us-east-1")),
        ];
        Readiness { in_flight: None, steps }
    }

    #[test]
    fn people_see_the_step_and_what_speaks_against_the_better_ones() {
        let edited = ready(Some("the pipeline was edited on 15 Jan 2027, 07:58 UTC"), None);
        let view = view(RegionView::of(&plan(), edited));
        assert!(view.is_possible());
        insta::assert_snapshot!(view.text(&style_for_tests()), @r"
        Environment  web
        Would go to  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

        REGION     PIPELINE     THERE  FROM     SINCE   TO       BY
        us-east-1  shop/Deploy  live   ddddddd  5m ago  bbbbbbb  start

        REGION     STEP            NOW
        us-east-1  rollback_stage  would not work: the pipeline was edited on 15 Jan 2027, 07:58 UTC
        us-east-1  start           would be taken
        us-east-1  deploy          would not work: neither ecs nor codedeploy is configured for us-east-1

        REGION     PASSED OVER  LANDED  WHY
        us-east-1  ccccccc      7m ago  ran for 120 s before the next version came
        ");
    }

    #[test]
    fn it_is_possible_where_every_region_has_a_step() {
        #[rustfmt::skip]
        let cases = [
            (ready(None, None),               true,  "rollback_stage", "the best one"),
            (ready(Some("edited"), None),     true,  "start",          "the next one"),
            (ready(Some("e"), Some("gone")),  false, "",               "none is left"),
        ];
        for (ready, is_possible, step, why) in cases {
            let view = view(RegionView::of(&plan(), ready));
            assert_eq!(view.is_possible(), is_possible, "{why}");
            assert_eq!(view.regions[0].step.map_or("", Step::as_str), step, "{why}");
        }
        let nothing = PlanView {
            why_not: Some("nothing is live".into()),
            to: None,
            ..view(RegionView::of(&plan(), ready(None, None)))
        };
        assert!(!nothing.is_possible());
        assert!(nothing.text(&style_for_tests()).contains("nowhere: nothing is live"));
    }
}
