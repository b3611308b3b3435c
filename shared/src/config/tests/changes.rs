//! What one configuration changes about another.

use super::super::{Config, diff};
use super::{EXAMPLE, config};
use proptest::prelude::*;

#[test]
fn a_configuration_changes_nothing_about_itself() {
    let config = config(EXAMPLE);
    assert_eq!(diff(&config, &config), []);
}

#[test]
fn changes_are_told_by_field() {
    let old = config(EXAMPLE);
    let text = EXAMPLE
        .replace("branch = [\"production\"]", "branch = [\"live\", \"hotfix/*\"]")
        .replace("expires = \"24h\"", "expires = \"12h\"")
        .replace("require = { devops = 1, product = 1 }", "require = { devops = 2 }")
        .replace("name = \"nightly\"", "name = \"daily\"")
        .replace("COMMIT = \"{sha}\", ", "")
        .replace("email = \"joan@example.com\"", "email = \"joan@example.org\"")
        .replace("[systems.shop]", "[systems.all]");
    let told: Vec<String> = diff(&old, &config(&text)).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    ~ group product
        members[0].email: "joan@example.com" -> "joan@example.org"
    ~ environment web-production
        approval.expires: "24h" -> "12h"
        approval.require.devops: 1 -> 2
        approval.require.product: 1 -> (nothing)
    + system all
    - system shop
    + route daily of acme/shop
    - route nightly of acme/shop
    ~ route shop-production of acme/shop
        branch: ["production"] -> ["live","hotfix/*"]
        variables.COMMIT: "{sha}" -> (nothing)
    "#);
}

#[test]
fn a_change_has_a_json_form_for_programs() {
    let old = config(EXAMPLE);
    let text = EXAMPLE.replace("expires = \"24h\"", "expires = \"12h\"");
    let json = serde_json::to_string_pretty(&diff(&old, &config(&text))).unwrap();
    insta::assert_snapshot!(json, @r#"
    [
      {
        "kind": "environment",
        "name": "web-production",
        "change": {
          "changed": [
            {
              "field": "approval.expires",
              "before": "24h",
              "after": "12h"
            }
          ]
        }
      }
    ]
    "#);
}

#[test]
fn everything_is_new_against_nothing() {
    let changes = diff(&Config::default(), &config(EXAMPLE));
    assert_eq!(changes.len(), 2 + 2 + 1 + 5);
    assert!(changes.iter().all(|change| change.to_string().starts_with("+ ")));
    let mut sorted = changes.clone();
    sorted.sort_by(|left, right| left.subject.cmp(&right.subject));
    assert_eq!(changes, sorted);
}

proptest! {
    /// Whatever is taken out, the way there and the way back tell the same things.
    #[test]
    fn there_and_back_tell_of_the_same_things(routes in 0_usize..6, groups in 0_usize..3) {
        let whole = config(EXAMPLE);
        let mut part = whole.clone();
        part.routes.truncate(routes);
        part.approvers = part.approvers.into_iter().take(groups).collect();
        let there: Vec<_> = diff(&whole, &part).into_iter().map(|change| change.subject).collect();
        let back: Vec<_> = diff(&part, &whole).into_iter().map(|change| change.subject).collect();
        prop_assert_eq!(&there, &back);
        prop_assert_eq!(there.len(), (5_usize).saturating_sub(routes) + 2_usize.saturating_sub(groups));
        prop_assert_eq!(diff(&part, &part), []);
    }
}
