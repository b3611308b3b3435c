//! Texts that are right: what becomes of them, what is looked up in them, and what is warned of.

use super::super::{Config, On, Period, RepositoryConfig, RollbackRegions, Route, Severity, Target, Trigger};
use super::{EXAMPLE, check, config, lines, told_cases};

#[test]
fn the_example_is_taken_whole() {
    let checked = check(EXAMPLE).unwrap();
    assert_eq!(lines(&checked.warnings), Vec::<String>::new());
    let config = checked.config;
    assert_eq!(config.approvers.keys().collect::<Vec<_>>(), ["devops", "product"]);
    let web = &config.environments["web-production"];
    assert_eq!(web.deploys.iter().map(|deploy| deploy.home()).collect::<Vec<_>>(), ["us-east-1", "us-east-1"]);
    let approval = web.approval.as_ref().unwrap();
    assert_eq!((approval.require["devops"], approval.require["product"]), (1, 1));
    assert_eq!((approval.expires.seconds(), approval.expires.as_str()), (86_400, "24h"));
    assert_eq!(web.policy(Some("expedited")).unwrap().expires.seconds(), 7 * 86_400);
    assert_eq!(web.gate.as_ref().unwrap().findings, [Severity::Critical, Severity::High]);
    assert_eq!(web.gate.as_ref().unwrap().waivers[0].until.to_string(), "2026-12-31");
    assert_eq!(web.rollback.as_ref().unwrap().regions, RollbackRegions::All);
    assert_eq!(web.freeze.as_ref().unwrap().override_group.as_deref(), Some("devops"));
    assert_eq!(config.systems["shop"].order, ["music-production", "web-production"]);
    assert_eq!(config.routes.len(), 5);
}

#[test]
fn what_is_left_open_is_filled_in() {
    let text = "version = 1\n[environments.web]\nrollback = { alarms = [\"a\"] }\ngate = { findings = [\"LOW\"] }\n\
        [[routes]]\nrepository = \"a/b\"\non = \"push\"\nbranch = [\"main\"]\nbuild = \"bb\"\nenvironment = \"web\"\n";
    let config = config(text);
    let rollback = config.environments["web"].rollback.clone().unwrap();
    let periods = [&rollback.window, &rollback.soak, &rollback.settle, &rollback.cooldown].map(Period::seconds);
    assert_eq!(periods, [3_600, 0, 0, 1_800]);
    let gate = config.environments["web"].gate.clone().unwrap();
    assert_eq!((gate.wait_for_scan.seconds(), gate.fixable_only), (900, false));
}

#[test]
fn routes_get_their_names_and_their_regions() {
    let config = config(EXAMPLE);
    let seen: Vec<(&str, String)> =
        config.routes.iter().map(|route| (route.name.as_str(), route.target.to_string())).collect();
    #[rustfmt::skip]
    let expected = [
        ("shop-production",   "pipeline shop-production in us-east-1", "the pipeline's region in its environment"),
        ("shop-production#2", "pipeline shop-production in us-east-1", "the stack's, and the second of its name"),
        ("nightly",           "build nightly-build in eu-central-1",   "both as written"),
        ("music-checks",      "build music-checks in us-east-1",       "the stack's region"),
        ("music",             "pipeline music in us-east-1",           "the environment's entry, region"),
    ];
    for (seen, (name, target, why)) in seen.into_iter().zip(expected) {
        assert_eq!(seen, (name, target.to_owned()), "{why}");
    }
}

#[test]
fn names_are_unique_within_a_repository_and_only_there() {
    let route = |repository: &str, name: &str| {
        let name = if name.is_empty() { String::new() } else { format!("name = \"{name}\"\n") };
        format!("[[routes]]\n{name}repository = \"{repository}\"\non = \"push\"\nbranch = [\"a\"]\npipeline = \"p\"\n")
    };
    let text = [
        "version = 1\n".to_owned(),
        route("acme/a", ""),
        route("acme/b", ""),
        route("Acme/A", ""),
        route("acme/a", "p"),
        route("acme/a", ""),
    ]
    .concat();
    let names: Vec<String> = config(&text).routes.into_iter().map(|route| route.name).collect();
    assert_eq!(names, ["p#2", "p", "p#3", "p", "p#4"], "a name that is written is nobody else's");
}

#[test]
fn a_region_of_the_route_comes_first_and_settles_which_pipeline_is_meant() {
    let text = "version = 1\n[environments.web]\ndeploys = [\n\
        { region = \"eu-west-2\", pipeline = \"shop\", stage = \"D\" },\n\
        { region = \"us-east-1\", pipeline = \"shop\", stage = \"D\" },\n]\n\
        [[routes]]\nrepository = \"a/b\"\non = \"push\"\nbranch = [\"main\"]\npipeline = \"shop\"\n\
        environment = \"web\"\nregion = \"eu-west-2\"\n";
    let expected = Target::Pipeline { name: "shop".into(), region: "eu-west-2".into(), source_action: None };
    assert_eq!(config(text).routes[0].target, expected);
}

#[test]
fn a_repository_is_found_under_any_spelling() {
    let config = config(EXAMPLE);
    let repositories = config.by_repository();
    assert_eq!(repositories.keys().collect::<Vec<_>>(), ["acme/music", "acme/shop"]);
    assert_eq!(repositories["acme/shop"].len(), 3);
    let shop = config.repository("ACME/SHOP").unwrap();
    assert_eq!((shop.full_name.as_str(), shop.routes), ("acme/shop", repositories["acme/shop"].clone()));
    assert_eq!(config.repository("acme/other"), None);
    assert!(shop_route(&config).environment_has_approval);
    assert!(!config.routes[4].environment_has_approval);
}

fn shop_route(config: &Config) -> &Route {
    &config.routes[0]
}

#[test]
fn an_environment_comes_with_what_it_refers_to() {
    let config = config(EXAMPLE);
    let web = config.environment("web-production").unwrap();
    assert_eq!(web.groups.keys().collect::<Vec<_>>(), ["devops", "product"]);
    assert_eq!(web.systems, ["shop"]);
    assert_eq!(config.by_environment().len(), 2);
    assert_eq!(config.environment("nowhere"), None);
    assert_eq!(config.environments_of_stage("us-east-1", "shop-production", "Deploy-Secondary"), ["web-production"]);
    assert!(config.environments_of_stage("eu-west-2", "shop-production", "Deploy-Secondary").is_empty());
}

#[test]
fn what_is_stored_is_read_back() {
    let config = config(EXAMPLE);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    let shop = config.repository("acme/shop").unwrap();
    let json = serde_json::to_value(&shop).unwrap();
    assert_eq!(serde_json::from_value::<RepositoryConfig>(json.clone()).unwrap(), shop);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json["routes"][0]).unwrap(), @r#"
    {
      "approval": "expedited",
      "branch": [
        "production"
      ],
      "environment": "web-production",
      "environment_has_approval": true,
      "name": "shop-production",
      "on": "push",
      "paths": [
        "services/web/**"
      ],
      "repository": "acme/shop",
      "target": {
        "kind": "pipeline",
        "name": "shop-production",
        "region": "us-east-1",
        "source_action": "GitHub"
      },
      "variables": {
        "COMMIT": "{sha}",
        "SERVICE": "web",
        "WHERE": "{environment}"
      }
    }
    "#);
}

#[test]
fn filters_go_where_they_belong() {
    let config = config(EXAMPLE);
    let ons: Vec<On> = config.routes.iter().map(|route| route.trigger.on()).collect();
    assert_eq!(ons, [On::Push, On::Tag, On::WorkflowRun, On::PullRequest, On::Release]);
    let Trigger::WorkflowRun { branch, workflow_name } = &config.routes[2].trigger else { panic!("a workflow run") };
    assert_eq!((branch.as_slice(), workflow_name.as_deref()), (&["main".to_owned()][..], Some("CI")));
}

#[test]
fn routes_that_may_meet_in_one_pipeline_are_warned_of() {
    #[rustfmt::skip]
    let cases = [
        // one                          other                               meet,  why
        (r#"branch = ["main"]"#,        r#"branch = ["main"]"#,             true,  "the same branch"),
        (r#"branch = ["main"]"#,        r#"branch = ["dev"]"#,              false, "two names"),
        (r#"branch = ["main"]"#,        r#"branch = ["Main"]"#,             false, "case counts"),
        (r#"branch = ["main"]"#,        r#"branch = ["m*"]"#,               true,  "the glob covers the name"),
        (r#"branch = ["main"]"#,        r#"branch = ["**", "!main"]"#,      false, "and here it leaves it out"),
        (r#"branch = ["release/*"]"#,   r#"branch = ["hotfix/*"]"#,         false, "no name begins with both"),
        (r#"branch = ["release/*"]"#,   r#"branch = ["release/1*"]"#,       true,  "release/1 does"),
        (r#"branch = ["*a"]"#,          r#"branch = ["*b"]"#,               true,  "no, but who can tell: rather warn"),
        (r#"branch = ["a/**/b"]"#,      r#"branch = ["a/b*"]"#,             true,  "the stars may stand for nothing"),
        (r#"branch = ["main"]"#,        r#"paths = ["a/**"]"#,              true,  "every branch"),
        (r#"branch = ["x", "main"]"#,   r#"branch = ["main", "y"]"#,        true,  "one of several"),
        ("branch = [\"m\"]\npaths = [\"a/**\"]", "branch = [\"m\"]\npaths = [\"b/**\"]", true, "a push has many files"),
    ];
    for (one, other, meet, why) in cases {
        let route =
            |filters: &str| format!("[[routes]]\nrepository = \"a/b\"\non = \"push\"\npipeline = \"p\"\n{filters}\n");
        let warnings = check(&format!("version = 1\n{}{}", route(one), route(other))).unwrap().warnings;
        let told = lines(&warnings).iter().any(|line| line.contains("\"p\" (routes[0]) and \"p#2\" can match"));
        assert_eq!(told, meet, "{why}");
    }
}

#[test]
fn other_kinds_other_regions_and_other_repositories_never_meet() {
    let first = "[[routes]]\nrepository = \"a/b\"\non = \"push\"\nbranch = [\"**\"]\npipeline = \"p\"\n";
    #[rustfmt::skip]
    let others = [
        first.replace("a/b", "a/c"),
        first.replace("push", "pull_request"),
        format!("{first}region = \"eu-west-2\"\n"),
        first.replace("pipeline", "build").replace("\"p\"", "\"pp\""),
    ];
    for other in others {
        let text = format!("version = 1\n{first}{other}");
        assert_eq!(lines(&check(&text).unwrap().warnings), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_nobody_uses_and_what_is_wide_open_is_warned_of() {
    for (why, text, says) in told_cases(include_str!("warned.txt")) {
        let warnings = check(text).expect(why).warnings;
        assert_eq!(lines(&warnings).join("\n"), says, "{why}:\n{text}");
    }
}
