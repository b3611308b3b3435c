//! What ECS asks of other services: the digests of images, and whether alarms ring. Never with the lock held.

use crate::aws::{ACCOUNT, Aws};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Which of `names` are in ALARM. An account without alarms of these names has none that ring.
pub(super) fn ringing(aws: &Aws, region: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    let names: Vec<&String> = names.iter().collect();
    let mut ringing = BTreeSet::new();
    // DescribeAlarms takes up to 100 names.
    for some in names.chunks(100) {
        let input = json!({ "AlarmNames": some, "AlarmTypes": ["CompositeAlarm", "MetricAlarm"] });
        let Ok(answer) = aws.ask("monitoring", region, "DescribeAlarms", input) else { continue };
        for kind in ["MetricAlarms", "CompositeAlarms"] {
            let alarms = answer[kind].as_array().into_iter().flatten();
            let fired = alarms.filter(|alarm| alarm["StateValue"] == "ALARM");
            ringing.extend(fired.filter_map(|alarm| alarm["AlarmName"].as_str()).map(str::to_owned));
        }
    }
    ringing
}

/// The digests that ECR knows for `images`. An image elsewhere, or one that ECR does not know, is left out.
pub(super) fn digests(aws: &Aws, images: &BTreeSet<String>) -> BTreeMap<String, String> {
    let each = images.iter().filter_map(|image| Some((image.clone(), digest(aws, image)?)));
    each.collect()
}

fn digest(aws: &Aws, image: &str) -> Option<String> {
    let (registry, path) = image.split_once('/')?;
    let region = registry.strip_prefix(&format!("{ACCOUNT}.dkr.ecr."))?.strip_suffix(".amazonaws.com")?;
    let (repository, tag) = match path.split_once('@') {
        // It says so itself.
        Some(_) => return None,
        None => path.split_once(':').unwrap_or((path, "latest")),
    };
    let input = json!({ "repositoryName": repository, "imageIds": [{ "imageTag": tag }] });
    let answer = aws.ask("ecr", region, "DescribeImages", input).ok()?;
    answer["imageDetails"][0]["imageDigest"].as_str().map(str::to_owned)
}
