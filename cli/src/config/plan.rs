//! `pointsman config plan`: what a push would change, and which pipelines would run beside it.

use super::{FileArgs, read, refused, with_warnings};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;
use crate::text::plain;
use pointsman::aws::targets::Targets;
use pointsman::config::{self, Checked, Config, ConfigChange, diff};
use pointsman::domain::execution::{Target, TargetKind};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How many pipelines are looked at. At the bound the plan says how many were not.
const PIPELINES_MAX: usize = 500;
/// How many at once: AWS allows some ten calls in a second.
const PIPELINES_AT_ONCE: usize = 8;

/// What is told of one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct PipelineView {
    name: String,
    region: String,
    /// Why it starts by itself; empty when it does not.
    starts_itself: Vec<String>,
    /// Why that cannot be told.
    unreachable: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlanView<'a> {
    is_valid: bool,
    live_version: Option<u64>,
    changes: &'a [ConfigChange],
    problems: &'a [config::Problem],
    pipelines: &'a [PipelineView],
    pipelines_not_looked_at: usize,
}

/// Compares, and looks at every pipeline that the new configuration starts.
pub(super) async fn run(args: &FileArgs, session: &Session) -> Result<Report, Failure> {
    let text = read(&args.file)?;
    let region = args.region(session);
    let Checked { config, warnings } = match config::parse(&text, &args.file, region) {
        Ok(checked) => checked,
        Err(problems) => return Ok(refused(&problems)),
    };
    let live = session.ledger.live_source().await?;
    let live_version = live.as_ref().map(|(version, _)| *version);
    let before = match &live {
        None => Config::default(),
        Some((version, source)) => {
            config::parse(source, "the live configuration", region).map(|checked| checked.config).map_err(|_| {
                Failure::Refused(format!("the live configuration, version {version}, cannot be read by this pointsman"))
            })?
        }
    };
    let changes = diff(&before, &config);
    let (pipelines, pipelines_not_looked_at) = pipelines(session, &config).await?;
    let view = PlanView {
        is_valid: true,
        live_version,
        changes: &changes,
        problems: &warnings,
        pipelines: &pipelines,
        pipelines_not_looked_at,
    };
    let text = text_of(live_version, &changes, &pipelines, pipelines_not_looked_at);
    Ok(Report::new(with_warnings(&warnings, &text), &view))
}

async fn pipelines(session: &Session, config: &Config) -> Result<(Vec<PipelineView>, usize), Failure> {
    let targets: BTreeSet<Target> = config.routes.iter().filter_map(|route| Target::of_route(&route.target)).collect();
    let pipelines: Vec<Target> = targets.into_iter().filter(|target| target.kind == TargetKind::Pipeline).collect();
    let left_out = pipelines.len().saturating_sub(PIPELINES_MAX);
    let targets = Arc::new(session.targets());
    let mut rest = pipelines.into_iter().take(PIPELINES_MAX);
    let mut looking = JoinSet::new();
    let mut views = Vec::new();
    loop {
        while looking.len() < PIPELINES_AT_ONCE
            && let Some(target) = rest.next()
        {
            let targets = Arc::clone(&targets);
            looking.spawn(async move { look(&targets, target).await });
        }
        match looking.join_next().await {
            None => break,
            Some(Ok(view)) => views.push(view),
            Some(Err(error)) => return Err(Failure::Refused(format!("looking stopped: {error}"))),
        }
    }
    views.sort_by(|left, right| (&left.region, &left.name).cmp(&(&right.region, &right.name)));
    Ok((views, left_out))
}

async fn look(targets: &Targets, target: Target) -> PipelineView {
    let (starts_itself, unreachable) = match targets.pipelines().starts_itself(&target).await {
        Ok(reasons) => (reasons, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    PipelineView { name: target.name, region: target.region, starts_itself, unreachable }
}

fn text_of(live: Option<u64>, changes: &[ConfigChange], pipelines: &[PipelineView], left_out: usize) -> String {
    let mut lines = vec![match live {
        None => "no configuration is live yet; this would be version 1".to_owned(),
        Some(version) if changes.is_empty() => format!("nothing would change about version {version}"),
        Some(version) => format!("this would follow version {version}"),
    }];
    lines.extend(changes.iter().flat_map(|change| change.to_string().lines().map(plain).collect::<Vec<_>>()));
    for pipeline in pipelines {
        let name = format!("pipeline {} in {}", plain(&pipeline.name), plain(&pipeline.region));
        if !pipeline.starts_itself.is_empty() {
            let why = plain(&pipeline.starts_itself.join("; "));
            lines.push(format!("warning: {name} starts itself, so a push would run it twice: {why}"));
        }
        if let Some(why) = &pipeline.unreachable {
            lines.push(format!("warning: {name} cannot be looked at: {}", plain(why)));
        }
    }
    if left_out > 0 {
        lines.push(format!("warning: {left_out} more pipelines were not looked at"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        config::parse(text, "t", "us-east-1").unwrap().config
    }

    #[test]
    fn people_get_the_changes_and_what_runs_beside_them() {
        let route = |branch: &str| {
            let route = "repository = \"acme/shop\"\non = \"push\"\npipeline = \"shop\"\n";
            format!("version = 1\n[[routes]]\n{route}branch = [\"{branch}\"]\n")
        };
        let changes = diff(&parsed(&route("main")), &parsed(&route("production")));
        let view = |starts_itself: &[&str], unreachable: Option<&str>| PipelineView {
            name: "shop".into(),
            region: "us-east-1".into(),
            starts_itself: starts_itself.iter().map(|reason| (*reason).to_owned()).collect(),
            unreachable: unreachable.map(str::to_owned),
        };
        let pipelines = [
            view(&["it has 1 trigger(s) of its own"], None),
            view(&[], Some("PipelineNotFoundException: no such pipeline")),
            view(&[], None),
        ];
        insta::assert_snapshot!(text_of(Some(3), &changes, &pipelines, 2), @r#"
        this would follow version 3
        ~ route shop of acme/shop
            branch[0]: "main" -> "production"
        warning: pipeline shop in us-east-1 starts itself, so a push would run it twice: it has 1 trigger(s) of its own
        warning: pipeline shop in us-east-1 cannot be looked at: PipelineNotFoundException: no such pipeline
        warning: 2 more pipelines were not looked at
        "#);
        assert_eq!(text_of(Some(3), &[], &[], 0), "nothing would change about version 3");
        assert_eq!(text_of(None, &[], &[], 0), "no configuration is live yet; this would be version 1");
    }
}
