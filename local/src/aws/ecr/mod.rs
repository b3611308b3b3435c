//! ECR: repositories, images by digest and tag, push events, and what scans found in them.
//!
//! Layers are not kept: every layer that a manifest names counts as uploaded. Nothing is scanned either. A basic scan
//! finds nothing; what an enhanced scan finds is told by Inspector's own events, which a person or a test posts.

mod events;
mod image;
mod images;
mod input;
mod inspector;
mod repository;
mod scan;
#[cfg(test)]
mod tests;

use super::{Aws, Call, Event, Failure, Service, lock};
use image::Image;
use input::no_repository;
use jiff::Timestamp;
use repository::Repository;
use scan::Scanning;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The repositories of every region.
#[derive(Default)]
pub struct Ecr {
    state: Mutex<State>,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    regions: BTreeMap<String, Region>,
}

#[derive(Default, Serialize, Deserialize)]
struct Region {
    repositories: BTreeMap<String, Repository>,
    scanning: Scanning,
}

/// An image that a build pushes.
pub(crate) struct Push {
    pub(crate) repository: String,
    pub(crate) digest: String,
    pub(crate) tags: Vec<String>,
}

/// A region while it is changed, and the events that this sets off once nobody holds the lock any more.
struct Change<'a> {
    aws: &'a Aws,
    region: &'a str,
    now: Timestamp,
    here: &'a mut Region,
    events: Vec<Event>,
}

impl Ecr {
    /// Does what `docker push` does: keeps the image, moves the tags to it, and tells.
    ///
    /// A repository that does not exist is made, unless the account is strict: then the push fails, as on AWS.
    pub(crate) fn push(&self, aws: &Aws, region: &str, push: Push) -> Result<(), Failure> {
        self.change(aws, region, aws.clock().now(), |change| change.push(push))
    }

    /// Learns from Inspector's events what was found in images. Every other event is passed over.
    pub(crate) fn observe(&self, aws: &Aws, region: &str, envelope: &Value) {
        if envelope["source"] == "aws.inspector2" {
            self.change(aws, region, aws.clock().now(), |change| change.observe(envelope));
        }
    }

    /// Everything that is kept, for [`Ecr::restore`].
    pub(crate) fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.state)).unwrap_or_default()
    }

    /// Replaces everything that is kept by what [`Ecr::save`] gave.
    pub(crate) fn restore(&self, saved: Value) -> Result<(), serde_json::Error> {
        *lock(&self.state) = serde_json::from_value(saved)?;
        Ok(())
    }

    /// Does `work` under the lock, then sends its events without it.
    fn change<T>(&self, aws: &Aws, region: &str, now: Timestamp, work: impl FnOnce(&mut Change<'_>) -> T) -> T {
        let (outcome, events) = {
            let mut state = lock(&self.state);
            let here = state.regions.entry(region.to_owned()).or_default();
            let mut change = Change { aws, region, now, here, events: Vec::new() };
            let outcome = work(&mut change);
            (outcome, change.events)
        };
        for event in events {
            aws.emit(region, event);
        }
        outcome
    }
}

impl Service for Ecr {
    fn call(&self, aws: &Aws, call: &Call) -> Result<Value, Failure> {
        if !self.operations().contains(&call.operation.as_str()) {
            return Err(Failure::not_emulated("ECR", &call.operation));
        }
        self.change(aws, &call.region, call.now, |change| change.run(call))
    }

    fn operations(&self) -> &'static [&'static str] {
        &[
            "BatchDeleteImage",
            "BatchGetImage",
            "BatchGetRepositoryScanningConfiguration",
            "CreateRepository",
            "DeleteRepository",
            "DescribeImageScanFindings",
            "DescribeImages",
            "DescribeRepositories",
            "GetRegistryScanningConfiguration",
            "ListImages",
            "ListTagsForResource",
            "PutImage",
            "PutImageScanningConfiguration",
            "PutImageTagMutability",
            "PutRegistryScanningConfiguration",
            "StartImageScan",
            "TagResource",
            "UntagResource",
        ]
    }

    fn next_due(&self) -> Option<Timestamp> {
        let state = lock(&self.state);
        let repositories = state.regions.values().flat_map(|here| here.repositories.values());
        let images = repositories.flat_map(|repository| repository.images.values());
        images.filter_map(|image| image.scan.as_ref()?.due).min()
    }

    fn advance(&self, aws: &Aws, now: Timestamp) {
        let regions: Vec<String> = lock(&self.state).regions.keys().cloned().collect();
        for region in regions {
            self.change(aws, &region, now, |change| change.end_scans());
        }
    }
}

impl Change<'_> {
    fn run(&mut self, call: &Call) -> Result<Value, Failure> {
        let input = &call.input;
        match call.operation.as_str() {
            "CreateRepository" => self.create_repository(input),
            "DescribeRepositories" => self.describe_repositories(input),
            "DeleteRepository" => self.delete_repository(input),
            "PutImageTagMutability" => self.put_mutability(input),
            "PutImageScanningConfiguration" => self.put_scan_on_push(input),
            "TagResource" => self.tag(input),
            "UntagResource" => self.untag(input),
            "ListTagsForResource" => self.list_tags(input),
            "PutImage" => self.put_image(input),
            "BatchGetImage" => self.get_images(input),
            "BatchDeleteImage" => self.delete_images(input),
            "DescribeImages" => self.describe_images(input),
            "ListImages" => self.list_images(input),
            "StartImageScan" => self.start_scan(input),
            "DescribeImageScanFindings" => self.findings(input),
            "GetRegistryScanningConfiguration" => Ok(self.registry_scanning()),
            "PutRegistryScanningConfiguration" => self.put_registry_scanning(input),
            _ => self.repository_scanning(input),
        }
    }

    /// The repository that an input names.
    fn repository(&mut self, input: &Value) -> Result<&mut Repository, Failure> {
        let name = input::repository_name(input)?;
        let registry = input::registry(input)?;
        let found = self.here.repositories.get_mut(name).filter(|_| registry == super::ACCOUNT);
        found.ok_or_else(|| no_repository(name, registry))
    }

    /// The repository of this name, which is made where the account is not strict.
    fn repository_on_first_use(&mut self, name: &str) -> Result<&mut Repository, Failure> {
        if !self.here.repositories.contains_key(name) {
            if self.aws.behaviour().strict {
                return Err(no_repository(name, super::ACCOUNT));
            }
            let made = Repository::new(name, self.region, self.now);
            self.here.repositories.insert(name.to_owned(), made);
        }
        self.here.repositories.get_mut(name).ok_or_else(|| no_repository(name, super::ACCOUNT))
    }

    fn push(&mut self, push: Push) -> Result<(), Failure> {
        let now = self.now;
        let repository = self.repository_on_first_use(&push.repository)?;
        if let Some(tag) = push.tags.iter().find(|tag| repository.refuses_to_move(tag, &push.digest)) {
            return Err(repository.tag_is_immutable(tag));
        }
        if !repository.images.contains_key(&push.digest) {
            repository.images.insert(push.digest.clone(), Image::made_up(&push.digest, now));
        }
        for tag in &push.tags {
            repository.move_tag(tag, &push.digest);
        }
        let name = repository.name.clone();
        self.pushed(&name, &push.digest, &push.tags);
        Ok(())
    }

    /// Tells of a push, once for each tag, and has the image scanned if its repository is.
    fn pushed(&mut self, repository: &str, digest: &str, tags: &[String]) {
        self.scan_on_push(repository, digest);
        let Some(image) = self.here.repositories.get(repository).and_then(|known| known.images.get(digest)) else {
            return;
        };
        let mut told: Vec<Option<&str>> = tags.iter().map(|tag| Some(tag.as_str())).collect();
        if told.is_empty() {
            told.push(None);
        }
        let events = told.into_iter().map(|tag| events::action("PUSH", repository, image, tag));
        self.events.extend(events);
    }
}
