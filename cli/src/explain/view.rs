//! An explanation as it is shown.

use crate::deliveries::subject_of;
use crate::text::{Style, cell, plain};
use pointsman::domain::change::{Change, Sha};
use pointsman::domain::delivery::Status;
use pointsman::domain::route::{MatchedCommit, On, RepositoryConfig, Target};
use pointsman::domain::routing::{Outcome, RuledOut, Verdict, never_starts, route};
use pointsman::ledger::Version;
use serde::{Serialize, Serializer};
use std::fmt;

/// What each route makes of a change.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    change: ChangeView,
    /// Which configuration was asked: a file, or `version N`.
    configuration: Asked,
    /// Why it starts nothing whatever the routes say.
    starts_nothing: Option<String>,
    routes: Vec<RouteView>,
    /// What became of it, where it was delivered.
    recorded: Option<Recorded>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Recorded {
    pub(super) status: Status,
    pub(super) reason: String,
    /// The version of the configuration that it was decided under, where one was asked.
    pub(super) configuration: Option<Version>,
}

/// Which configuration is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// A file of this name.
    File(String),
    /// What is live.
    Live(Version),
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => formatter.write_str(name),
            Self::Live(version) => write!(formatter, "version {version}"),
        }
    }
}

impl Serialize for Asked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Debug, Serialize)]
struct ChangeView {
    delivery: String,
    event: String,
    repository: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    sha: Option<Sha>,
}

#[derive(Debug, Serialize)]
struct RouteView {
    route: String,
    on: On,
    target: Target,
    environment: Option<String>,
    matched: bool,
    /// The commit to start with; none where it did not match, or where the push of its tag tells it.
    sha: Option<Sha>,
    /// A remark, such as `paths not knowable: forced`.
    note: Option<String>,
    /// The first thing that ruled it out: a sentence.
    reason: Option<String>,
    /// The same for programs.
    ruled_out: Option<RuledOut>,
}

impl Explained {
    /// Asks every route of `config`, which is that of the change's repository.
    pub(super) fn of(
        change: &Change,
        config: Option<&RepositoryConfig>,
        configuration: Asked,
        recorded: Option<Recorded>,
    ) -> Self {
        let repository = change.repository.as_ref().map(|repository| repository.full_name.clone());
        let unknown = || match (&repository, config) {
            (Some(name), None) => Some(format!("repository {name} is not in the configuration")),
            (None, _) | (_, Some(_)) => None,
        };
        let (git_ref, sha, _) = subject_of(change);
        Self {
            change: ChangeView {
                delivery: change.delivery.to_string(),
                event: change.kind.event().to_owned(),
                repository: repository.clone(),
                git_ref,
                sha,
            },
            configuration,
            starts_nothing: never_starts(change).map(|never| never.to_string()).or_else(unknown),
            routes: config
                .map(|config| route(change, config).into_iter().map(route_view).collect())
                .unwrap_or_default(),
            recorded,
        }
    }

    /// For people.
    pub(super) fn text(&self, style: &Style) -> String {
        let change = &self.change;
        let mut text = style.details(vec![
            ("Change", Some(cell(&change.event))),
            ("Repository", change.repository.as_ref().map(cell)),
            ("Ref", change.git_ref.as_ref().map(cell)),
            ("Commit", change.sha.as_ref().map(|sha| cell(sha.as_str()))),
            ("Configuration", Some(cell(self.asked()))),
            ("Starts nothing", self.starts_nothing.as_ref().map(cell)),
        ]);
        if !self.routes.is_empty() {
            let rows = self.routes.iter().map(|route| {
                let word = if route.matched { "matched" } else { "ruled out" };
                let why = route.reason.as_ref().or(route.note.as_ref()).map_or("", String::as_str);
                vec![cell(&route.route), style.status(word), cell(route.target.to_string()), cell(why)]
            });
            text.push_str("\n\n");
            text.push_str(&style.table(&["ROUTE", "", "TARGET", "WHY"], rows));
        }
        if let Some(recorded) = &self.recorded {
            text.push_str(&format!("\n\nWhat became of it: {}", recorded.status.as_str()));
            if !recorded.reason.is_empty() {
                text.push_str(&format!(" ({})", plain(&recorded.reason)));
            }
            if let Some(version) = recorded.configuration.filter(|version| self.configuration != Asked::Live(*version))
            {
                text.push_str(&format!("\nIt was decided under version {version}: these routes may be others."));
            }
        }
        text
    }

    fn asked(&self) -> String {
        let decided = self.recorded.as_ref().and_then(|recorded| recorded.configuration);
        match &self.configuration {
            Asked::Live(version) if decided == Some(*version) => format!("version {version}, which also decided it"),
            Asked::Live(version) => format!("version {version}, live now"),
            Asked::File(name) => name.clone(),
        }
    }
}

fn route_view(verdict: Verdict<'_>) -> RouteView {
    let Verdict { route, outcome } = verdict;
    let (matched, ruled_out) = match outcome {
        Outcome::Matched(matched) => (Some(matched), None),
        Outcome::RuledOut(why) => (None, Some(why)),
    };
    let (sha, tag) = match matched.as_ref().map(|matched| &matched.sha) {
        None => (None, None),
        Some(MatchedCommit::Known(sha)) => (Some(sha.clone()), None),
        Some(MatchedCommit::OfTag { tag, .. }) => {
            (None, Some(format!("with the commit that tag {tag:?} was pushed with")))
        }
    };
    RouteView {
        route: route.name.clone(),
        on: route.trigger.on(),
        target: route.target.clone(),
        environment: route.environment.clone(),
        matched: matched.is_some(),
        sha,
        note: matched.and_then(|matched| matched.note).or(tag),
        reason: ruled_out.as_ref().map(ToString::to_string),
        ruled_out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::style_for_tests;
    use pointsman::config;
    use serde_json::json;

    const CONFIG: &str = r#"
        version = 1
        [[routes]]
        repository = "acme/shop"
        on = "push"
        branch = ["main"]
        pipeline = "shop"
        [[routes]]
        repository = "acme/shop"
        on = "push"
        branch = ["main"]
        paths = ["docs/**"]
        build = "docs"
        [[routes]]
        repository = "acme/shop"
        on = "tag"
        pipeline = "release"
    "#;

    fn change(full_name: &str) -> Change {
        let commit = json!({
            "sha": "b".repeat(40), "title": "t", "author": { "name": "" }, "committer": { "name": "" },
        });
        serde_json::from_value(json!({
            "delivery": "explained", "received_at": "2027-01-15T07:58:00Z", "sender": null,
            "repository": { "id": 1, "full_name": full_name },
            "kind": { "push": {
                "git_ref": "refs/heads/main", "before": "a".repeat(40), "after": "b".repeat(40), "head": commit,
                "pushed_at": null, "created": false, "deleted": false, "forced": false, "pusher": null,
                "paths": { "known": ["src/main.rs"] },
            } },
        }))
        .unwrap()
    }

    fn explained(full_name: &str, recorded: Option<Recorded>) -> Explained {
        let config = config::parse(CONFIG, "t", "us-east-1").unwrap().config;
        let change = change(full_name);
        Explained::of(&change, config.repository(full_name).as_ref(), Asked::Live(3), recorded)
    }

    #[test]
    fn people_get_every_route_and_what_ruled_it_out() {
        let reason = "duplicate of delivery d0".into();
        let recorded = Recorded { status: Status::Ignored, reason, configuration: Some(2) };
        insta::assert_snapshot!(explained("acme/shop", Some(recorded)).text(&style_for_tests()), @r#"
        Change         push
        Repository     acme/shop
        Ref            refs/heads/main
        Commit         bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        Configuration  version 3, live now

        ROUTE               TARGET                         WHY
        shop     matched    pipeline shop in us-east-1
        docs     ruled out  build docs in us-east-1        the changed file matches none of ["docs/**"]
        release  ruled out  pipeline release in us-east-1  the route is for tag, and this is a push of a branch

        What became of it: ignored (duplicate of delivery d0)
        It was decided under version 2: these routes may be others.
        "#);
    }

    #[test]
    fn what_decided_a_delivery_is_told_from_what_is_live() {
        let recorded =
            |configuration| Some(Recorded { status: Status::Executed, reason: String::new(), configuration });
        let text = |configuration| explained("acme/shop", recorded(configuration)).text(&style_for_tests());
        assert!(text(Some(3)).contains("version 3, which also decided it"), "{}", text(Some(3)));
        for same_or_unknown in [Some(3), None] {
            assert!(!text(same_or_unknown).contains("decided under"), "{}", text(same_or_unknown));
        }
        assert!(text(None).contains("version 3, live now"), "{}", text(None));
    }

    #[test]
    fn programs_get_the_same() {
        let json = serde_json::to_value(explained("acme/shop", None)).unwrap();
        assert_eq!(json["configuration"], "version 3");
        let matched: Vec<_> = json["routes"].as_array().unwrap().iter().map(|route| &route["matched"]).collect();
        assert_eq!(matched, [true, false, false]);
        assert_eq!(json["routes"][0]["sha"], "b".repeat(40));
        assert_eq!(json["routes"][1]["ruled_out"]["reason"], "no_path");
        assert_eq!(json["starts_nothing"], serde_json::Value::Null);
        let unknown = serde_json::to_value(explained("acme/blog", None)).unwrap();
        assert_eq!(unknown["starts_nothing"], "repository acme/blog is not in the configuration");
    }
}
