//! Scans: basic ones, which end after a moment and find nothing, and the state that enhanced ones are in.

use super::image::Image;
use super::input::{self, invalid, page};
use super::repository::{PAGE, Repository, is_like, with_token};
use super::{Change, events, images};
use crate::aws::codebuild::epoch;
use crate::aws::{ACCOUNT, Failure, Pace};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How long a basic scan takes.
const FAST: SignedDuration = SignedDuration::from_millis(300);
const REAL: SignedDuration = SignedDuration::from_secs(10);

/// How often an image may be scanned on request. Source: ECR user guide, "Scan images for OS vulnerabilities".
const ONCE_PER: SignedDuration = SignedDuration::from_hours(24);

/// How the registry scans.
#[derive(Serialize, Deserialize)]
pub(super) struct Scanning {
    kind: String,
    /// As `RegistryScanningRule` of the API.
    rules: Vec<Value>,
}

impl Default for Scanning {
    fn default() -> Self {
        Self { kind: "BASIC".to_owned(), rules: Vec::new() }
    }
}

impl Scanning {
    fn is_enhanced(&self) -> bool {
        self.kind == "ENHANCED"
    }

    /// The most eager frequency that the rules have for a repository, and the filters that match it.
    fn rule_for(&self, repository: &str) -> Option<(&str, Vec<Value>)> {
        ["CONTINUOUS_SCAN", "SCAN_ON_PUSH", "MANUAL"].into_iter().find_map(|frequency| {
            let rules = self.rules.iter().filter(|rule| rule["scanFrequency"] == frequency);
            let filters = rules.flat_map(|rule| rule["repositoryFilters"].as_array().into_iter().flatten());
            let fits = |each: &&Value| {
                let filter = each["filter"].as_str().unwrap_or_default();
                // A filter without a star matches any name that holds it.
                if filter.contains('*') { is_like(filter, repository) } else { repository.contains(filter) }
            };
            let filters: Vec<Value> = filters.filter(fits).cloned().collect();
            (!filters.is_empty()).then_some((frequency, filters))
        })
    }
}

/// What is known of an image's weaknesses.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Scan {
    /// By Inspector, and not by ECR itself.
    pub(super) is_enhanced: bool,
    pub(super) asked: Option<Timestamp>,
    /// When a basic scan ends.
    pub(super) due: Option<Timestamp>,
    pub(super) completed: Option<Timestamp>,
    /// As `EnhancedImageScanFinding` of the API, by ARN.
    pub(super) findings: BTreeMap<String, Value>,
    /// Whether there ever were findings: until then the counts are those that the end of the scan told.
    pub(super) has_had_findings: bool,
    pub(super) told_counts: BTreeMap<String, u64>,
}

impl Scan {
    /// As `ImageScanStatus` of the API. `frequency` is how often an enhanced scan is repeated.
    fn status(&self, frequency: Option<&str>) -> Value {
        match (self.is_enhanced, self.completed) {
            (false, None) => json!({ "status": "IN_PROGRESS" }),
            (false, Some(_)) => {
                json!({ "status": "COMPLETE", "description": "The scan was completed successfully." })
            }
            (true, None) => json!({ "status": "PENDING" }),
            (true, Some(_)) if frequency == Some("SCAN_ON_PUSH") => json!({ "status": "COMPLETE" }),
            (true, Some(_)) => {
                json!({ "status": "ACTIVE", "description": "Continuous scan is selected for image." })
            }
        }
    }

    fn counts(&self) -> Map<String, Value> {
        let mut counts = self.told_counts.clone();
        if self.has_had_findings {
            counts.clear();
            for finding in self.findings.values() {
                *counts.entry(finding["severity"].as_str().unwrap_or("UNTRIAGED").to_owned()).or_default() += 1;
            }
        }
        counts.into_iter().map(|(severity, count)| (severity, json!(count))).collect()
    }

    /// Adds what `ImageDetail` of the API says of a scan.
    pub(super) fn summarise(&self, detail: &mut Value, frequency: Option<&str>) {
        detail["imageScanStatus"] = self.status(frequency);
        if let Some(completed) = self.completed {
            detail["imageScanFindingsSummary"] = json!({
                "imageScanCompletedAt": epoch(completed),
                "vulnerabilitySourceUpdatedAt": epoch(completed),
                "findingSeverityCounts": self.counts(),
            });
        }
    }
}

impl Change<'_> {
    /// How often the registry's rules scan the repository that an input names, where Inspector scans.
    pub(super) fn frequency_of_input(&self, input: &Value) -> Option<String> {
        let name = input["repositoryName"].as_str()?;
        let scanning = Some(&self.here.scanning).filter(|scanning| scanning.is_enhanced())?;
        scanning.rule_for(name).map(|(frequency, _)| frequency.to_owned())
    }

    /// Begins the scan of an image that was just pushed, if its repository or the registry asks for that.
    pub(super) fn scan_on_push(&mut self, name: &str, digest: &str) {
        let scanning = &self.here.scanning;
        let rule = scanning.rule_for(name).map(|(frequency, _)| frequency);
        let is_enhanced = scanning.is_enhanced();
        let due = self.end_of_scan();
        let Some(repository) = self.here.repositories.get_mut(name) else { return };
        let is_asked = match (is_enhanced, rule) {
            (true, rule) => matches!(rule, Some("CONTINUOUS_SCAN" | "SCAN_ON_PUSH")),
            (false, rule) => repository.has_scan_on_push || rule == Some("SCAN_ON_PUSH"),
        };
        let image = repository.images.get_mut(digest).filter(|image| image.scan.is_none() && !image.is_index());
        if let Some(image) = image.filter(|_| is_asked) {
            let due = Some(due).filter(|_| !is_enhanced);
            image.scan = Some(Scan { is_enhanced, due, ..Scan::default() });
        }
    }

    fn end_of_scan(&self) -> Timestamp {
        let takes = match self.aws.behaviour().pace {
            Pace::Fast => FAST,
            Pace::Real => REAL,
        };
        self.now.saturating_add(takes).unwrap_or(self.now)
    }

    pub(super) fn start_scan(&mut self, input: &Value) -> Result<Value, Failure> {
        let (is_enhanced, now, due) = (self.here.scanning.is_enhanced(), self.now, self.end_of_scan());
        let repository = self.repository(input)?;
        let (digest, id) = wanted(repository, input)?;
        if is_enhanced {
            let message = "This operation is not supported while enhanced scanning is enabled for the registry.";
            return Err(Failure::sender("ValidationException", message));
        }
        let missing = repository.no_image(&input["imageId"]);
        let image = repository.images.get_mut(&digest).ok_or(missing)?;
        if image.is_index() {
            let message = "The image is of a type that cannot be scanned: it is a manifest list.";
            return Err(Failure::sender("UnsupportedImageTypeException", message));
        }
        let last = image.scan.as_ref().and_then(|scan| scan.asked);
        if last.is_some_and(|last| now.duration_since(last) < ONCE_PER) {
            let message = "The scan quota per image has been exceeded. Wait and try again.";
            return Err(Failure::sender("LimitExceededException", message));
        }
        image.scan = Some(Scan { asked: Some(now), due: Some(due), ..Scan::default() });
        Ok(json!({
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageId": id,
            "imageScanStatus": { "status": "PENDING" },
        }))
    }

    /// Ends the basic scans that are due.
    pub(super) fn end_scans(&mut self) {
        let (now, region) = (self.now, self.region);
        for repository in self.here.repositories.values_mut() {
            for image in repository.images.values_mut() {
                let Some(scan) = image.scan.as_mut().filter(|scan| scan.due.is_some_and(|due| due <= now)) else {
                    continue;
                };
                scan.due = None;
                scan.completed = Some(now);
                self.events.push(events::scanned(region, &repository.name, image));
            }
        }
    }

    pub(super) fn findings(&mut self, input: &Value) -> Result<Value, Failure> {
        let frequency = self.frequency_of_input(input);
        let repository = self.repository(input)?;
        let (digest, id) = wanted(repository, input)?;
        let Some(scan) = repository.images.get(&digest).and_then(|image| image.scan.as_ref()) else {
            let message = format!(
                "Image scan does not exist for the image with '{}' in the repository with name '{}' in the registry \
                 with id '{ACCOUNT}'",
                images::shown(&input["imageId"]),
                repository.name
            );
            return Err(Failure::sender("ScanNotFoundException", message));
        };
        let mut answer = json!({
            "registryId": ACCOUNT,
            "repositoryName": repository.name,
            "imageId": id,
            "imageScanStatus": scan.status(frequency.as_deref()),
        });
        if scan.completed.is_none() && scan.findings.is_empty() {
            return Ok(answer);
        }
        let all: Vec<(&String, &Value)> = scan.findings.iter().collect();
        let (shown, token) = page(all, input, PAGE, |(arn, _)| (*arn).clone())?;
        let shown: Vec<&Value> = shown.into_iter().map(|(_, finding)| finding).collect();
        let mut findings = json!({ "findingSeverityCounts": scan.counts() });
        findings[if scan.is_enhanced { "enhancedFindings" } else { "findings" }] = json!(shown);
        if let Some(completed) = scan.completed {
            findings["imageScanCompletedAt"] = epoch(completed);
            findings["vulnerabilitySourceUpdatedAt"] = epoch(completed);
        }
        answer["imageScanFindings"] = findings;
        Ok(with_token(answer, token))
    }

    pub(super) fn registry_scanning(&self) -> Value {
        json!({ "registryId": ACCOUNT, "scanningConfiguration": self.shown_scanning() })
    }

    fn shown_scanning(&self) -> Value {
        json!({ "scanType": self.here.scanning.kind, "rules": self.here.scanning.rules })
    }

    pub(super) fn put_registry_scanning(&mut self, input: &Value) -> Result<Value, Failure> {
        let kind = input::one_of(input, "scanType", &["BASIC", "ENHANCED"])?;
        let kind = kind.unwrap_or(&self.here.scanning.kind).to_owned();
        let rules = input["rules"].as_array().cloned().unwrap_or_default();
        if rules.len() > 2 {
            return Err(invalid("rules", "Member must have length less than or equal to 2"));
        }
        for rule in &rules {
            let frequencies = ["SCAN_ON_PUSH", "CONTINUOUS_SCAN", "MANUAL"];
            let frequency = input::one_of(rule, "scanFrequency", &frequencies)?;
            match frequency {
                None => return Err(invalid("scanFrequency", "must not be null")),
                Some("CONTINUOUS_SCAN") if kind == "BASIC" => {
                    return Err(invalid("scanFrequency", "CONTINUOUS_SCAN is not supported for scan type BASIC"));
                }
                Some(_) => {}
            }
            let filters = rule["repositoryFilters"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_valid = |each: &Value| {
                let filter = each["filter"].as_str().unwrap_or_default();
                let is_letter =
                    |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "*._-/".contains(letter);
                each["filterType"] == "WILDCARD" && (1..=255).contains(&filter.len()) && filter.chars().all(is_letter)
            };
            if filters.len() > 100 || !filters.iter().all(is_valid) {
                return Err(invalid(
                    "repositoryFilters",
                    "must satisfy regular expression '^[a-z0-9*](?:[._\\-/a-z0-9*]?[a-z0-9*]+)*$'",
                ));
            }
        }
        self.here.scanning = Scanning { kind, rules };
        Ok(json!({ "registryScanningConfiguration": self.shown_scanning() }))
    }

    pub(super) fn repository_scanning(&mut self, input: &Value) -> Result<Value, Failure> {
        let names = input["repositoryNames"].as_array().map(Vec::as_slice).unwrap_or_default();
        if names.is_empty() || names.len() > 25 {
            return Err(invalid("repositoryNames", "Member must have length between 1 and 25"));
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in names.iter().filter_map(Value::as_str) {
            let Some(repository) = self.here.repositories.get(name) else {
                failures.push(json!({
                    "repositoryName": name,
                    "failureCode": "REPOSITORY_NOT_FOUND",
                    "failureReason": "Repository not found",
                }));
                continue;
            };
            let rule = self.here.scanning.rule_for(name);
            let default = if repository.has_scan_on_push { "SCAN_ON_PUSH" } else { "MANUAL" };
            let (frequency, filters) = rule.unwrap_or((default, Vec::new()));
            found.push(json!({
                "repositoryArn": repository.arn,
                "repositoryName": name,
                "scanOnPush": frequency != "MANUAL",
                "scanFrequency": frequency,
                "appliedScanFilters": filters,
            }));
        }
        Ok(json!({ "scanningConfigurations": found, "failures": failures }))
    }
}

/// The digest of the image that an input names, and its identifier.
fn wanted(repository: &Repository, input: &Value) -> Result<(String, Value), Failure> {
    let id = &input["imageId"];
    if !id.is_object() {
        return Err(invalid("imageId", "must not be null"));
    }
    let image: &Image = match repository.find(id) {
        Ok(image) => image,
        Err(("MissingDigestAndTag" | "InvalidImageDigest" | "InvalidImageTag", reason)) => {
            return Err(Failure::sender("InvalidParameterException", reason));
        }
        Err(_) => return Err(repository.no_image(id)),
    };
    Ok((image.digest.clone(), image.id(id["imageTag"].as_str())))
}
