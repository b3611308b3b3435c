//! The schema and the reader know the same keys.

use super::super::{ROOT_KEYS, approvers, environments, freeze, routes, schema, systems};
use serde_json::Value;
use std::collections::BTreeSet;

fn keys<'v>(schema: &'v Value, definition: &str) -> BTreeSet<&'v str> {
    let table = if definition.is_empty() { schema } else { &schema["$defs"][definition] };
    assert_eq!(table["additionalProperties"], false, "{definition} takes keys that nobody knows");
    table["properties"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_schema_and_the_reader_know_the_same_keys() {
    let schema = schema();
    #[rustfmt::skip]
    let cases: [(&str, &[&str]); 14] = [
        ("",                &ROOT_KEYS),
        ("Group",           &approvers::GROUP_KEYS),
        ("Member",          &approvers::MEMBER_KEYS),
        ("Environment",     &environments::ENVIRONMENT_KEYS),
        ("Deploy",          &environments::DEPLOY_KEYS),
        ("EcsService",      &environments::ECS_KEYS),
        ("DeploymentGroup", &environments::CODEDEPLOY_KEYS),
        ("ApprovalPolicy",  &environments::APPROVAL_KEYS),
        ("Gate",            &environments::GATE_KEYS),
        ("Waiver",          &environments::WAIVER_KEYS),
        ("RollbackPolicy",  &environments::ROLLBACK_KEYS),
        ("Freeze",          &freeze::FREEZE_KEYS),
        ("FreezeWindow",    &freeze::WINDOW_KEYS),
        ("System",          &systems::SYSTEM_KEYS),
    ];
    for (definition, known) in cases {
        assert_eq!(keys(&schema, definition), known.iter().copied().collect(), "{definition}");
    }
    assert_eq!(keys(&schema, "Route"), routes::ROUTE_KEYS.into_iter().collect());
}

#[test]
fn the_schema_asks_for_what_the_reader_asks_for() {
    let schema = schema();
    #[rustfmt::skip]
    let cases: [(&str, &[&str]); 6] = [
        ("Member",         &["email"]),
        ("Deploy",         &["region", "pipeline", "stage"]),
        ("ApprovalPolicy", &["require"]),
        ("Waiver",         &["id", "owner", "until", "reason"]),
        ("FreezeWindow",   &["from", "to", "timezone"]),
        ("Route",          &["repository", "on"]),
    ];
    for (definition, required) in cases {
        assert_eq!(schema["$defs"][definition]["required"], serde_json::json!(required), "{definition}");
    }
    assert_eq!(schema["required"], serde_json::json!(["version"]));
}
