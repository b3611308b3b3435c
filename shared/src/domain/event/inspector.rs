//! Amazon Inspector's events: the end of an image's first scan, and findings.

use super::{Event, Said, number, text};
use crate::domain::image::{Finding, Scan, TITLE_CHARACTERS_MAX, digests_in};
use crate::domain::policy::Severity;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// The end of an image's first scan. Source: ECR user guide, "EventBridge events sent for enhanced scanning".
pub(super) fn of_scan(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    if text(detail, &["scan-status"])? != "INITIAL_SCAN_COMPLETE" {
        return None;
    }
    let name = text(detail, &["repository-name"])?;
    // An ARN, and who knows, one day the name that the member is called after.
    let name = name.split_once(":repository/").map_or(name, |(_, name)| name);
    let mut counts = BTreeMap::new();
    // A count that cannot be read must not pass for none.
    match detail.get("finding-severity-counts") {
        Some(Value::Object(told)) => {
            for severity in Severity::ALL {
                if let Some(count) = told.get(severity.as_str()) {
                    counts.insert(severity, number(count)?);
                }
            }
        }
        None => {}
        Some(_) => return None,
    }
    Some(Said::ImageScanned {
        digest: digest(detail, "image-digest")?,
        repository: format!("{}/{name}", event.region),
        scan: Scan { at: event.time, event: event.id.clone(), counts },
    })
}

/// A finding of Inspector's. Its own dates come in several forms, none of them ISO: the event's time counts.
/// Source: Inspector user guide, "Amazon EventBridge event schema".
pub(super) fn of_finding(event: &Event) -> Option<Said> {
    let detail = &event.detail;
    let arn = text(detail, &["findingArn"])?;
    let finding = Finding {
        at: event.time,
        event: event.id.clone(),
        repository: String::new(),
        // Only a vulnerability of a package has an id. Whatever else it is goes by its ARN, so that it counts too.
        vulnerability: text(detail, &["packageVulnerabilityDetails", "vulnerabilityId"]).unwrap_or(arn).to_owned(),
        severity: word(detail, "severity")?,
        status: word(detail, "status")?,
        fix: word(detail, "fixAvailable"),
        title: text(detail, &["title"]).unwrap_or_default().chars().take(TITLE_CHARACTERS_MAX).collect(),
    };
    let of_image = |resource: &Value| {
        let image = resource.get("details")?.get("awsEcrContainerImage")?;
        let name = text(image, &["repositoryName"]).unwrap_or_default();
        let repository = format!("{}/{name}", event.region);
        Some((digest(image, "imageHash")?, Finding { repository, ..finding.clone() }))
    };
    let images: BTreeMap<_, _> = detail.get("resources")?.as_array()?.iter().filter_map(of_image).collect();
    (!images.is_empty()).then(|| Said::Found { arn: arn.to_owned(), images })
}

/// One of the words of an enum of ours; none for a word that is not.
fn word<T: DeserializeOwned>(detail: &Value, name: &str) -> Option<T> {
    T::deserialize(detail.get(name)?).ok()
}

fn digest(value: &Value, name: &str) -> Option<String> {
    let text = text(value, &[name])?;
    (digests_in(text).next() == Some(text)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::read;
    use serde_json::json;

    /// What an event with this detail says, after a change of it.
    fn said(detail_type: &str, mut detail: Value, change: fn(&mut Value)) -> Said {
        change(&mut detail);
        read(&Event {
            id: "e".into(),
            source: "aws.inspector2".into(),
            detail_type: detail_type.into(),
            account: "123456789012".into(),
            region: "us-east-1".into(),
            time: "2026-01-02T03:04:05Z".parse().unwrap(),
            resources: vec![],
            detail,
        })
    }

    /// A change, what follows, and why.
    type Case<T> = (fn(&mut Value), T, &'static str);
    type Counts = &'static [(Severity, u32)];

    #[test]
    fn a_scan_says_what_it_counted_or_nothing() {
        use Severity::{Critical, High};
        let detail = json!({
            "scan-status": "INITIAL_SCAN_COMPLETE", "image-digest": format!("sha256:{}", "a1".repeat(32)),
            "repository-name": "arn:aws:ecr:us-east-1:123456789012:repository/shop/web",
            "finding-severity-counts": { "CRITICAL": 1, "HIGH": "2", "TOTAL": 9 },
        });
        #[rustfmt::skip]
        let cases: [Case<Option<Counts>>; 9] = [
            (|_| {},                                                     Some(&[(Critical, 1), (High, 2)]), "numbers in any form; the total is none of the severities"),
            (|d| d["finding-severity-counts"] = json!({}),               Some(&[]), "nothing was found"),
            (|d| { d.as_object_mut().unwrap().remove("finding-severity-counts"); }, Some(&[]), "nor here"),
            (|d| d["finding-severity-counts"] = json!([1]),              None, "counts of another shape: they are no zeros"),
            (|d| d["finding-severity-counts"]["HIGH"] = json!("many"),   None, "a count that is no number"),
            (|d| d["finding-severity-counts"]["HIGH"] = json!(-1),       None, "nor this"),
            (|d| d["scan-status"] = json!("FAILED"),                     None, "a scan that did not end well"),
            (|d| d["image-digest"] = json!("sha256:short"),              None, "no digest"),
            (|d| d["image-digest"] = json!(null),                        None, "a scan of a machine"),
        ];
        for (change, expected, why) in cases {
            let expected = expected.map_or(Said::Nothing, |counts| Said::ImageScanned {
                digest: format!("sha256:{}", "a1".repeat(32)),
                repository: "us-east-1/shop/web".into(),
                scan: Scan {
                    at: "2026-01-02T03:04:05Z".parse().unwrap(),
                    event: "e".into(),
                    counts: counts.iter().copied().collect(),
                },
            });
            assert_eq!(said("Inspector2 Scan", detail.clone(), change), expected, "{why}");
        }
    }

    #[test]
    fn a_finding_says_what_it_is_of_which_image_or_nothing() {
        let arn = "arn:aws:inspector2:us-east-1:123456789012:finding/1";
        let digest = format!("sha256:{}", "a1".repeat(32));
        let image = json!({ "imageHash": digest, "repositoryName": "shop/web" });
        let detail = json!({
            "findingArn": arn, "severity": "HIGH", "status": "ACTIVE", "fixAvailable": "YES",
            "title": "CVE-2026-0001 - openssl", "updatedAt": "Wed Sep 04 16:55:38.411 UTC 2024",
            "packageVulnerabilityDetails": { "vulnerabilityId": "CVE-2026-0001" },
            "resources": [{ "type": "AWS_ECR_CONTAINER_IMAGE", "details": { "awsEcrContainerImage": image } }],
        });
        #[rustfmt::skip]
        let cases: [Case<&str>; 11] = [
            (|_| {},                                        "CVE-2026-0001 HIGH Active Some(Yes) 23", "an active finding"),
            (|d| d["status"] = json!("CLOSED"),             "CVE-2026-0001 HIGH Closed Some(Yes) 23", "it is gone"),
            (|d| d["fixAvailable"] = json!("PARTIAL"),      "CVE-2026-0001 HIGH Active Some(Partial) 23", "fixed in a part"),
            (|d| d["fixAvailable"] = json!(null),           "CVE-2026-0001 HIGH Active None 23", "nobody says whether it can be fixed"),
            (|d| d["title"] = json!("é".repeat(500)),       "CVE-2026-0001 HIGH Active Some(Yes) 200", "cut, at a character"),
            (|d| d["packageVulnerabilityDetails"] = json!(null), "arn:aws:inspector2:us-east-1:123456789012:finding/1 HIGH Active Some(Yes) 23", "no vulnerability of a package: it counts too"),
            (|d| d["severity"] = json!("SEVERE"),           "", "a severity that we do not know"),
            (|d| d["status"] = json!("NEW"),                "", "a status that we do not know"),
            (|d| d["findingArn"] = json!(null),             "", "nothing to know it by again"),
            (|d| d["resources"] = json!([{ "details": { "awsEc2Instance": {} } }]), "", "a machine has no image"),
            (|d| d["resources"] = json!("none"),            "", "of another shape"),
        ];
        for (change, expected, why) in cases {
            let said = said("Inspector2 Finding", detail.clone(), change);
            let Said::Found { arn: named, images } = said else {
                assert_eq!((&said, expected), (&Said::Nothing, ""), "{why}");
                continue;
            };
            let finding = &images[&digest];
            assert_eq!((named.as_str(), finding.repository.as_str()), (arn, "us-east-1/shop/web"), "{why}");
            assert_eq!(finding.at.to_string(), "2026-01-02T03:04:05Z", "the envelope's time: {why}");
            let (id, severity, characters) =
                (&finding.vulnerability, finding.severity.as_str(), finding.title.chars().count());
            assert_eq!(
                format!("{id} {severity} {:?} {:?} {characters}", finding.status, finding.fix),
                expected,
                "{why}"
            );
        }
    }
}
