//! The events that ECR sends. Source: ECR user guide, "Amazon ECR events and EventBridge".

use super::image::Image;
use super::repository::arn_of;
use crate::aws::Event;
use serde_json::{Value, json};

/// The push or the deletion of an image, under one of its tags or none.
pub(super) fn action(kind: &str, repository: &str, image: &Image, tag: Option<&str>) -> Event {
    let mut detail = json!({
        "result": "SUCCESS",
        "action-type": kind,
        "repository-name": repository,
        "image-digest": image.digest,
        "manifest-media-type": image.media_type,
    });
    if let Some(tag) = tag {
        detail["image-tag"] = json!(tag);
    }
    if let Some(artifact) = &image.artifact_type {
        detail["artifact-media-type"] = json!(artifact);
    }
    event("ECR Image Action", Vec::new(), detail)
}

/// The end of a basic scan, which found nothing: a severity without findings has no count.
pub(super) fn scanned(region: &str, repository: &str, image: &Image) -> Event {
    event(
        "ECR Image Scan",
        vec![arn_of(region, repository)],
        json!({
            "scan-status": "COMPLETE",
            "repository-name": repository,
            "finding-severity-counts": {},
            "image-digest": image.digest,
            "image-tags": image.tags,
        }),
    )
}

fn event(detail_type: &str, resources: Vec<String>, detail: Value) -> Event {
    Event { source: "aws.ecr".to_owned(), detail_type: detail_type.to_owned(), resources, detail }
}
