//! Images: what Inspector says of each, by digest.

use super::{IMAGES_KEPT, Ledger, LedgerError, Loaded, Writes, expiring, item_of, keys, read};
use crate::aws::dynamodb::{Expect, Write};
use crate::domain::execution::ExecutionId;
use crate::domain::image::{Finding, ImageState, Scans, digest_of};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many findings are read of one image. An image that has as many is cut off, and a gate does not let it in.
pub const FINDINGS_PER_IMAGE_MAX: usize = 1_000;
/// How many images one question is about. Those beyond are cut off without being read.
pub const IMAGES_MAX: usize = 50;

/// The scans are one item of the partition, the findings are the others.
const PAGE_ITEMS: i32 = 1_001;

/// In how many places of one image is looked.
const PLACES_MAX: i32 = 100;

/// Where an image was brought to last: which execution may run it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageIn {
    /// The environment.
    pub environment: String,
    /// The AWS region; empty for an image that no stage has deployed yet.
    pub region: String,
    /// The execution.
    pub execution: ExecutionId,
}

impl Ledger {
    /// Where an image was brought to, or is about to be. Empty for one that was never seen.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn image_places(&self, digest: &str) -> Result<Vec<ImageIn>, LedgerError> {
        let page = self.state.query(&keys::images_in(digest), None, false, PLACES_MAX).await?;
        page.items.into_iter().map(|stored| read(stored).map(|loaded| loaded.value)).collect()
    }

    /// What is known of `images`, by digest. Each is named as `REPOSITORY@sha256:…`, or by its digest alone.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn image_states(
        &self,
        images: impl IntoIterator<Item = &str>,
    ) -> Result<BTreeMap<String, ImageState>, LedgerError> {
        let digests: BTreeSet<&str> = images.into_iter().map(digest_of).collect();
        let mut states = BTreeMap::new();
        for (index, digest) in digests.into_iter().enumerate() {
            let state = if index < IMAGES_MAX {
                self.image_state(digest).await?
            } else {
                ImageState { is_cut_off: true, ..ImageState::default() }
            };
            states.insert(digest.to_owned(), state);
        }
        Ok(states)
    }

    async fn image_state(&self, digest: &str) -> Result<ImageState, LedgerError> {
        let mut state = ImageState::default();
        let mut after = None;
        loop {
            // From behind: the scans come first, and are never cut off.
            let page = self.state.query(&keys::image(digest), after.as_deref(), true, PAGE_ITEMS).await?;
            for stored in page.items {
                if stored.key.sk == keys::IMAGE_SCANS {
                    state.scans = read(stored)?.value;
                } else {
                    state.findings.push(read(stored)?.value);
                }
            }
            after = page.next;
            state.is_cut_off = state.findings.len() >= FINDINGS_PER_IMAGE_MAX;
            if after.is_none() || state.is_cut_off {
                return Ok(state);
            }
        }
    }

    /// The scans of an image; new when none is known.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn image_scans(&self, digest: &str) -> Result<Loaded<Scans>, LedgerError> {
        let known = self.load(&keys::image_scans(digest)).await?;
        Ok(known.unwrap_or_else(|| Loaded::absent(Scans::default())))
    }

    /// The finding in an image that has this ARN.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn finding(&self, digest: &str, arn: &str) -> Result<Option<Loaded<Finding>>, LedgerError> {
        self.load(&keys::finding(digest, arn)).await
    }
}

impl Writes {
    /// Remembers where an image was brought to. The latest execution counts.
    pub fn image_in(mut self, digest: &str, place: &ImageIn) -> Self {
        let key = keys::image_in(digest_of(digest), &place.environment, &place.region);
        self.state.push(Write::Put(key, item_of(place), Expect::Anything));
        self
    }

    /// Saves the scans of an image.
    pub fn image_scans(mut self, digest: &str, scans: &Loaded<Scans>, now: Timestamp) -> Self {
        let item = expiring(item_of(&scans.value), now + IMAGES_KEPT);
        self.state.push(Write::Put(keys::image_scans(digest), item, scans.expect()));
        self
    }

    /// Saves a finding in an image.
    pub fn finding(mut self, digest: &str, arn: &str, finding: &Loaded<Finding>, now: Timestamp) -> Self {
        let item = expiring(item_of(&finding.value), now + IMAGES_KEPT);
        self.state.push(Write::Put(keys::finding(digest, arn), item, finding.expect()));
        self
    }
}
