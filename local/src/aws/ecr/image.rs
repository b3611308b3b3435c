//! One image: its manifest, its tags, and what is known of its weaknesses.

use super::input::invalid;
use super::scan::Scan;
use crate::aws::codebuild::{epoch, hex_sha256};
use crate::aws::{ACCOUNT, Failure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The largest manifest that is taken, in bytes. Source: `ImageManifest` of ECR's model.
const LARGEST_MANIFEST_BYTES: usize = 4_194_304;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) digest: String,
    pub(super) manifest: String,
    pub(super) media_type: String,
    /// The media type of its configuration. An index has none.
    pub(super) artifact_type: Option<String>,
    /// What its layers and its configuration weigh.
    pub(super) bytes: u64,
    /// The digests of the manifests that an index names.
    pub(super) manifests: Vec<String>,
    pub(super) pushed: Timestamp,
    /// In the order in which they were given.
    pub(super) tags: Vec<String>,
    pub(super) scan: Option<Scan>,
}

impl Image {
    /// Reads a manifest. An index names the manifests of each platform, and those of attestations, which are kept
    /// like any other.
    pub(super) fn read(manifest: &str, media_type: Option<&str>, now: Timestamp) -> Result<Self, Failure> {
        if manifest.is_empty() || manifest.len() > LARGEST_MANIFEST_BYTES {
            let rule = format!("Member must have length between 1 and {LARGEST_MANIFEST_BYTES}");
            return Err(invalid("imageManifest", &rule));
        }
        let wrong = || invalid("ImageManifest", "Invalid JSON syntax");
        let read: Value = serde_json::from_str(manifest).map_err(|_| wrong())?;
        let is_index = read["manifests"].is_array();
        if read["schemaVersion"] != 2 || !(is_index || read["config"].is_object() && read["layers"].is_array()) {
            return Err(wrong());
        }
        let own = read["mediaType"].as_str();
        if let (Some(own), Some(given)) = (own, media_type)
            && own != given
        {
            return Err(invalid("imageManifestMediaType", "The media type is not that of the manifest"));
        }
        let default = if is_index { OCI_INDEX } else { OCI_MANIFEST };
        let parts = read["layers"].as_array().into_iter().flatten().chain([&read["config"]]);
        let bytes = parts.filter_map(|part| part["size"].as_u64()).fold(0, u64::saturating_add);
        let named = read["manifests"].as_array().into_iter().flatten();
        Ok(Self {
            digest: format!("sha256:{}", hex_sha256(manifest)),
            manifest: manifest.to_owned(),
            media_type: own.or(media_type).unwrap_or(default).to_owned(),
            artifact_type: read["config"]["mediaType"].as_str().map(str::to_owned),
            bytes,
            manifests: named.filter_map(|each| each["digest"].as_str()).map(str::to_owned).collect(),
            pushed: now,
            tags: Vec::new(),
            scan: None,
        })
    }

    /// An image of which nothing is known but its digest. Its manifest is made up, so that the two do not agree.
    pub(super) fn made_up(digest: &str, now: Timestamp) -> Self {
        let part = |name: &str| format!("sha256:{}", hex_sha256(&format!("{name}:{digest}")));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": { "mediaType": DOCKER_CONFIG, "size": 1_457, "digest": part("config") },
            "layers": [{
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": 3_623_807,
                "digest": part("layer"),
            }],
        });
        Self {
            digest: digest.to_owned(),
            manifest: manifest.to_string(),
            media_type: DOCKER_MANIFEST.to_owned(),
            artifact_type: Some(DOCKER_CONFIG.to_owned()),
            bytes: 3_625_264,
            manifests: Vec::new(),
            pushed: now,
            tags: Vec::new(),
            scan: None,
        }
    }

    pub(super) fn is_index(&self) -> bool {
        self.artifact_type.is_none() && self.bytes == 0
    }

    /// As `ImageDetail` of the API.
    pub(super) fn detail(&self, repository: &str, bytes: u64) -> Value {
        let mut detail = json!({
            "registryId": ACCOUNT,
            "repositoryName": repository,
            "imageDigest": self.digest,
            "imageSizeInBytes": bytes,
            "imagePushedAt": epoch(self.pushed),
            "imageManifestMediaType": self.media_type,
            "imageStatus": "ACTIVE",
        });
        if !self.tags.is_empty() {
            detail["imageTags"] = json!(self.tags);
        }
        if let Some(artifact) = &self.artifact_type {
            detail["artifactMediaType"] = json!(artifact);
        }
        detail
    }

    /// As `ImageIdentifier` of the API.
    pub(super) fn id(&self, tag: Option<&str>) -> Value {
        let mut id = json!({ "imageDigest": self.digest });
        if let Some(tag) = tag {
            id["imageTag"] = json!(tag);
        }
        id
    }
}
