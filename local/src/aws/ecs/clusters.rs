//! Clusters, and the tags of everything.

use super::definitions;
use super::input::{bounded, client, invalid, is_name, last, names, no_cluster, page, read_tags, required};
use super::input::{cluster_name, copy, show_tags, strings, text, wants_tags};
use super::model::{Cluster, Life, Region, Stage, Tags, cluster_arn, key};
use crate::aws::{Call, Failure};
use serde_json::{Value, json};

/// What CreateCluster's input and `Cluster` have in common.
const KEPT: [&str; 5] =
    ["settings", "configuration", "capacityProviders", "defaultCapacityProviderStrategy", "serviceConnectDefaults"];

pub(super) fn create(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let name = text(&call.input, "clusterName").unwrap_or("default");
    if !is_name(name) {
        return Err(invalid("Cluster name must match [a-zA-Z0-9_-]{1,255}."));
    }
    let tags = read_tags(&call.input)?;
    // Creating what exists answers with it as it is.
    if !here.clusters.get(name).is_some_and(|known| known.is_active) {
        here.clusters.insert(name.to_owned(), made(&call.input, tags));
    }
    Ok(json!({ "cluster": show(here, &call.region, name, true) }))
}

/// A new cluster.
pub(super) fn made(input: &Value, tags: Tags) -> Cluster {
    let mut declared = copy(input, &KEPT);
    for key in ["capacityProviders", "defaultCapacityProviderStrategy"] {
        declared.entry(key).or_insert_with(|| json!([]));
    }
    declared.entry("settings").or_insert_with(|| json!([{ "name": "containerInsights", "value": "disabled" }]));
    Cluster { is_active: true, declared, tags }
}

/// A cluster as `Cluster` of the API.
fn show(here: &Region, region: &str, name: &str, with_tags: bool) -> Value {
    let Some(cluster) = here.clusters.get(name) else { return json!({}) };
    let services = || here.services.values().filter(|service| service.cluster == name);
    let count = |stage| services().map(|service| service.count(None, stage)).sum::<u64>();
    let mut shown = json!({
        "clusterArn": cluster_arn(region, name),
        "clusterName": name,
        "status": if cluster.is_active { "ACTIVE" } else { "INACTIVE" },
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": count(Stage::Running),
        "pendingTasksCount": count(Stage::Pending),
        "activeServicesCount": services().filter(|service| service.life == Life::Active).count(),
        "statistics": [],
        "tags": [],
    });
    for (key, value) in &cluster.declared {
        shown[key] = value.clone();
    }
    if with_tags {
        shown["tags"] = show_tags(&cluster.tags);
    }
    shown
}

pub(super) fn describe(here: &Region, call: &Call) -> Result<Value, Failure> {
    let mut wanted = strings(&call.input, "clusters");
    if wanted.is_empty() {
        wanted.push("default");
    }
    if wanted.len() > 100 {
        return Err(invalid("clusters can have at most 100 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in wanted.into_iter().map(last) {
        if here.clusters.contains_key(name) {
            found.push(show(here, &call.region, name, wants_tags(&call.input)));
        } else {
            failures.push(json!({ "arn": cluster_arn(&call.region, name), "reason": "MISSING" }));
        }
    }
    Ok(json!({ "clusters": found, "failures": failures }))
}

pub(super) fn list(here: &Region, call: &Call) -> Result<Value, Failure> {
    let active = here.clusters.iter().filter(|(_, cluster)| cluster.is_active);
    let arns = active.map(|(name, _)| cluster_arn(&call.region, name));
    page("clusterArns", names(arns), &call.input, 100)
}

pub(super) fn delete(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    required(&call.input, "cluster")?;
    let name = cluster_name(&call.input).to_owned();
    here.clusters.get(&name).ok_or_else(no_cluster)?;
    if here.services.values().any(|service| service.cluster == name && service.life != Life::Inactive) {
        let message = "The Cluster cannot be deleted while Services are active.";
        return Err(Failure::sender("ClusterContainsServicesException", message));
    }
    if let Some(cluster) = here.clusters.get_mut(&name) {
        cluster.is_active = false;
    }
    Ok(json!({ "cluster": show(here, &call.region, &name, true) }))
}

pub(super) fn tag(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let given = read_tags(&call.input)?;
    let tags = tags_of(here, required(&call.input, "resourceArn")?)?;
    let mut all = tags.clone();
    all.extend(given);
    bounded(&all)?;
    *tags = all;
    Ok(json!({}))
}

pub(super) fn untag(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    let tags = tags_of(here, required(&call.input, "resourceArn")?)?;
    for key in strings(&call.input, "tagKeys") {
        tags.remove(key);
    }
    Ok(json!({}))
}

pub(super) fn list_tags(here: &mut Region, call: &Call) -> Result<Value, Failure> {
    // ListTagsForResource declares no ResourceNotFoundException.
    let tags = tags_of(here, required(&call.input, "resourceArn")?).map_err(|refusal| match refusal.code.as_str() {
        "ResourceNotFoundException" => invalid(refusal.message),
        _ => refusal,
    })?;
    Ok(json!({ "tags": show_tags(tags) }))
}

/// The tags of the resource that has `arn`.
fn tags_of<'a>(here: &'a mut Region, arn: &str) -> Result<&'a mut Tags, Failure> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", "aws", "ecs", _, _, resource] = parts[..] else {
        return Err(invalid(format!("Invalid ARN: {arn}")));
    };
    let missing = || Failure::sender("ResourceNotFoundException", "The specified resource wasn't found.");
    let (kind, path) = resource.split_once('/').unwrap_or((resource, ""));
    let steps: Vec<&str> = path.split('/').collect();
    match (kind, &steps[..]) {
        ("cluster", [name]) => {
            let found = here.clusters.get_mut(*name).filter(|cluster| cluster.is_active);
            found.map(|cluster| &mut cluster.tags).ok_or_else(no_cluster)
        }
        ("service", [cluster, name]) => {
            let found = here.services.get_mut(&key(cluster, name)).filter(|service| service.life != Life::Inactive);
            found.map(|service| &mut service.tags).ok_or_else(missing)
        }
        ("task-set", [cluster, name, "ecs-svc", id]) => {
            let service = here.services.get_mut(&key(cluster, name)).ok_or_else(missing)?;
            let found = service.task_sets.iter_mut().find(|set| set.id == *id);
            found.map(|set| &mut set.tags).ok_or_else(missing)
        }
        ("task-definition", [name]) => {
            let (family, revision) = definitions::parse(name);
            let revision = revision.ok_or_else(|| client("The task definition's revision is missing."))?;
            let known = here.families.get_mut(family).and_then(|family| family.revisions.get_mut(&revision));
            known.map(|definition| &mut definition.tags).ok_or_else(missing)
        }
        _ => Err(invalid(format!("{arn} is not a resource that carries tags here"))),
    }
}
