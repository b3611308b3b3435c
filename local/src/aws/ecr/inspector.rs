//! What Inspector's events say of images: findings, and the end of the first scan.
//!
//! Source: Inspector user guide, "Amazon EventBridge event schema", and ECR user guide, "EventBridge events sent for
//! enhanced scanning".

use super::Change;
use super::image::Image;
use super::scan::Scan;
use crate::aws::codebuild::epoch;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

impl Change<'_> {
    pub(super) fn observe(&mut self, envelope: &Value) {
        let at = envelope["time"].as_str().and_then(|time| time.parse().ok()).unwrap_or(self.now);
        match envelope["detail-type"].as_str() {
            Some("Inspector2 Finding") => self.observe_finding(&envelope["detail"], at),
            Some("Inspector2 Scan") => self.observe_scan(&envelope["detail"], at),
            _ => {}
        }
    }

    fn observe_finding(&mut self, detail: &Value, at: Timestamp) {
        let Some(arn) = detail["findingArn"].as_str() else { return };
        for resource in detail["resources"].as_array().into_iter().flatten() {
            let image = &resource["details"]["awsEcrContainerImage"];
            let (Some(repository), Some(digest)) = (image["repositoryName"].as_str(), image["imageHash"].as_str())
            else {
                continue;
            };
            let Some(scan) = self.scan_of(repository, digest, &image["imageTags"]) else { continue };
            scan.has_had_findings = true;
            if detail["status"] == "CLOSED" {
                scan.findings.remove(arn);
            } else {
                scan.findings.insert(arn.to_owned(), finding(detail, at));
            }
        }
    }

    fn observe_scan(&mut self, detail: &Value, at: Timestamp) {
        if detail["scan-status"] != "INITIAL_SCAN_COMPLETE" {
            return;
        }
        let name = detail["repository-name"].as_str().unwrap_or_default();
        let repository = name.split_once(":repository/").map_or(name, |(_, name)| name).to_owned();
        let Some(digest) = detail["image-digest"].as_str() else { return };
        let Some(scan) = self.scan_of(&repository, digest, &detail["image-tags"]) else { return };
        scan.completed = Some(at);
        let counts = detail["finding-severity-counts"].as_object().into_iter().flatten();
        let counts = counts.filter(|(severity, _)| *severity != "TOTAL");
        scan.told_counts = counts.filter_map(|(severity, count)| Some((severity.clone(), count.as_u64()?))).collect();
    }

    /// The enhanced scan of an image. An image that is not known is kept from now on, unless the account is strict.
    fn scan_of(&mut self, repository: &str, digest: &str, tags: &Value) -> Option<&mut Scan> {
        let (now, is_strict) = (self.now, self.aws.behaviour().strict);
        let repository = self.repository_on_first_use(repository).ok()?;
        if !repository.images.contains_key(digest) {
            if is_strict {
                return None;
            }
            repository.images.insert(digest.to_owned(), Image::made_up(digest, now));
            for tag in tags.as_array().into_iter().flatten().filter_map(Value::as_str) {
                repository.move_tag(tag, digest);
            }
        }
        let scan = repository.images.get_mut(digest)?.scan.get_or_insert_default();
        if !scan.is_enhanced {
            *scan = Scan { is_enhanced: true, ..Scan::default() };
        }
        Some(scan)
    }
}

/// The members of `EnhancedImageScanFinding` and what it holds. What the model does not name is left out.
const FINDING: [&str; 9] = [
    "awsAccountId",
    "description",
    "findingArn",
    "severity",
    "status",
    "title",
    "type",
    "fixAvailable",
    "exploitAvailable",
];
const PACKAGE: [&str; 5] = ["referenceUrls", "relatedVulnerabilities", "source", "sourceUrl", "vulnerabilityId"];
const VULNERABLE: [&str; 9] =
    ["arch", "epoch", "filePath", "name", "packageManager", "release", "sourceLayerHash", "version", "fixedInVersion"];
const CVSS: [&str; 4] = ["baseScore", "scoringVector", "source", "version"];
const IMAGE: [&str; 8] =
    ["architecture", "author", "imageHash", "imageTags", "platform", "inUseCount", "registry", "repositoryName"];

/// As `EnhancedImageScanFinding` of the API. A moment that cannot be read is the event's own.
fn finding(detail: &Value, at: Timestamp) -> Value {
    let mut finding = pick(detail, &FINDING);
    for member in ["firstObservedAt", "lastObservedAt", "updatedAt"] {
        finding[member] = epoch(moment(&detail[member]).unwrap_or(at));
    }
    let package = &detail["packageVulnerabilityDetails"];
    if package.is_object() {
        let mut shown = pick(package, &PACKAGE);
        for (member, kept) in [("cvss", CVSS.as_slice()), ("vulnerablePackages", &VULNERABLE)] {
            if let Some(items) = package[member].as_array() {
                shown[member] = items.iter().map(|each| pick(each, kept)).collect();
            }
        }
        if let Some(severity) = package.get("vendorSeverity") {
            shown["vendorSeverity"] = severity.clone();
        }
        for member in ["vendorCreatedAt", "vendorUpdatedAt"] {
            if let Some(at) = moment(&package[member]) {
                shown[member] = epoch(at);
            }
        }
        finding["packageVulnerabilityDetails"] = shown;
    }
    if detail["remediation"]["recommendation"].is_object() {
        let recommendation = pick(&detail["remediation"]["recommendation"], &["url", "text"]);
        finding["remediation"] = json!({ "recommendation": recommendation });
    }
    if let Some(score) = detail["inspectorScore"].as_f64() {
        finding["score"] = json!(score);
    }
    let adjusted = &detail["inspectorScoreDetails"]["adjustedCvss"];
    if adjusted.is_object() {
        let mut cvss = pick(adjusted, &["score", "scoreSource", "scoringVector", "version"]);
        let adjustments = adjusted["adjustments"].as_array().into_iter().flatten();
        cvss["adjustments"] = adjustments.map(|each| pick(each, &["metric", "reason"])).collect();
        finding["scoreDetails"] = json!({ "cvss": cvss });
    }
    finding["resources"] = detail["resources"].as_array().into_iter().flatten().map(resource).collect();
    finding
}

fn resource(resource: &Value) -> Value {
    let mut shown = pick(resource, &["id", "type", "tags"]);
    let image = &resource["details"]["awsEcrContainerImage"];
    if image.is_object() {
        let mut details = pick(image, &IMAGE);
        for member in ["pushedAt", "lastInUseAt"] {
            if let Some(at) = moment(&image[member]) {
                details[member] = epoch(at);
            }
        }
        shown["details"] = json!({ "awsEcrContainerImage": details });
    }
    shown
}

fn pick(from: &Value, members: &[&str]) -> Value {
    let kept = members.iter().filter_map(|member| Some(((*member).to_owned(), from.get(*member)?.clone())));
    Value::Object(kept.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

/// A moment as Inspector's events write it, such as `Jan 19, 2022, 10:46:15 PM`, or as everybody else does.
fn moment(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_f64() {
        return Timestamp::from_millisecond((seconds * 1000.0) as i64).ok();
    }
    let text = value.as_str()?;
    let wordy = DateTime::strptime("%b %d, %Y, %I:%M:%S %p", text).ok();
    let wordy = wordy.and_then(|at| at.to_zoned(TimeZone::UTC).ok()).map(|at| at.timestamp());
    wordy.or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_inspector_writes_them() {
        #[rustfmt::skip]
        let cases = [
            (json!("Jan 19, 2022, 10:46:15 PM"), Some("2022-01-19T22:46:15Z"), "as the user guide shows"),
            (json!("Mar 1, 2024, 9:05:00 AM"),   Some("2024-03-01T09:05:00Z"), "without leading zeros"),
            (json!("2024-03-01T09:05:00Z"),      Some("2024-03-01T09:05:00Z"), "ISO 8601"),
            (json!("yesterday"),                 None,                         "none at all"),
        ];
        for (value, expected, why) in cases {
            assert_eq!(moment(&value), expected.map(|text| text.parse().unwrap()), "{why}");
        }
    }
}
