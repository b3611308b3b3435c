//! Images: put, read, listed and deleted.

use super::Change;
use super::image::Image;
use super::input::{self, invalid, is_digest, page};
use super::repository::{PAGE, Repository, with_token};
use crate::aws::{ACCOUNT, Failure};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What one image may be called. Source: ECR service quotas, "Tags per image".
const MOST_TAGS: usize = 1_000;

/// Why an identifier names no image: as `failureCode` and `failureReason` of the API.
type Miss = (&'static str, String);

impl Repository {
    /// The image that an identifier names, by tag, by digest or by both.
    pub(super) fn find(&self, id: &Value) -> Result<&Image, Miss> {
        let missing = || ("ImageNotFound", "Requested image not found".to_owned());
        match (id["imageDigest"].as_str(), id["imageTag"].as_str()) {
            (None, None) => {
                let reason = "Invalid request parameters: both tag and digest cannot be null";
                Err(("MissingDigestAndTag", reason.to_owned()))
            }
            (Some(digest), _) if !is_digest(digest) => {
                let reason = "Invalid request parameters: image digest should satisfy the regex \
                              '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'";
                Err(("InvalidImageDigest", reason.to_owned()))
            }
            (_, Some("")) => {
                let reason = "Invalid request parameters: image tag should have at least one character";
                Err(("InvalidImageTag", reason.to_owned()))
            }
            (Some(digest), None) => self.images.get(digest).ok_or_else(missing),
            (None, Some(tag)) => self.with_tag(tag).ok_or_else(missing),
            (Some(digest), Some(tag)) => {
                let image = self.images.get(digest).ok_or_else(missing)?;
                if image.tags.iter().any(|known| known == tag) {
                    return Ok(image);
                }
                Err(("ImageTagDoesNotMatchDigest", "Requested tag does not match the requested digest".to_owned()))
            }
        }
    }

    /// The refusal of an identifier by an operation on one image.
    pub(super) fn no_image(&self, id: &Value) -> Failure {
        let shown = shown(id);
        let message = format!(
            "The image with imageId {shown} does not exist within the repository with name '{}' in the registry with id \
             '{ACCOUNT}'",
            self.name
        );
        Failure::sender("ImageNotFoundException", message)
    }

    /// The digests of the indexes that name an image.
    fn indexes_of(&self, digest: &str) -> Vec<&str> {
        let names_it = |image: &&Image| image.manifests.iter().any(|named| named == digest);
        self.images.values().filter(names_it).map(|image| image.digest.as_str()).collect()
    }

    /// What an image weighs: an index as much as the heaviest image that it names.
    fn bytes(&self, image: &Image) -> u64 {
        let named = image.manifests.iter().filter_map(|digest| self.images.get(digest)).map(|image| image.bytes);
        named.max().unwrap_or(image.bytes)
    }
}

/// An identifier as messages write it.
pub(super) fn shown(id: &Value) -> String {
    let part = |member: &str| id[member].as_str().unwrap_or("null").to_owned();
    format!("{{imageDigest:'{}', imageTag:'{}'}}", part("imageDigest"), part("imageTag"))
}

impl Change<'_> {
    pub(super) fn put_image(&mut self, input: &Value) -> Result<Value, Failure> {
        let now = self.now;
        let repository = self.repository(input)?;
        let manifest = input::required(input, "imageManifest")?;
        let tag = input["imageTag"].as_str();
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let mut image = Image::read(manifest, input["imageManifestMediaType"].as_str(), now)?;
        if let Some(given) = input["imageDigest"].as_str().filter(|given| *given != image.digest) {
            let message = format!(
                "The image with digest '{given}' in repository '{}' and registry ID '{ACCOUNT}' does not match the \
                 image digest that Amazon ECR has calculated.",
                repository.name
            );
            return Err(Failure::sender("ImageDigestDoesNotMatchException", message));
        }
        let absent: Vec<&str> = image.manifests.iter().map(String::as_str).collect();
        let absent: Vec<&str> = absent.into_iter().filter(|digest| !repository.images.contains_key(*digest)).collect();
        if !absent.is_empty() {
            let message = format!(
                "Images with digests '[{}]' required for pushing image into repository with name '{}' in the registry \
                 with id '{ACCOUNT}' do not exist",
                absent.join(","),
                repository.name
            );
            return Err(Failure::sender("ReferencedImagesNotFoundException", message));
        }
        let known = repository.images.get(&image.digest);
        if let Some(known) = known {
            if tag.is_none_or(|tag| known.tags.iter().any(|each| each == tag)) {
                return Err(already_there(repository, &image.digest, tag));
            }
            if known.tags.len() >= MOST_TAGS {
                let message = format!("The maximum number of tags of an image, {MOST_TAGS}, is reached");
                return Err(Failure::sender("LimitExceededException", message));
            }
            image = known.clone();
        }
        if let Some(tag) = tag.filter(|tag| repository.refuses_to_move(tag, &image.digest)) {
            return Err(repository.tag_is_immutable(tag));
        }
        let name = repository.name.clone();
        let answer = json!({ "image": answer(&name, &image, tag) });
        let digest = image.digest.clone();
        repository.images.entry(digest.clone()).or_insert(image);
        if let Some(tag) = tag {
            repository.move_tag(tag, &digest);
        }
        let tags: Vec<String> = tag.map(str::to_owned).into_iter().collect();
        self.pushed(&name, &digest, &tags);
        Ok(answer)
    }

    pub(super) fn get_images(&mut self, input: &Value) -> Result<Value, Failure> {
        let repository = self.repository(input)?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in ids(input)? {
            match repository.find(id) {
                Ok(image) => images.push(answer(&repository.name, image, id["imageTag"].as_str())),
                Err(miss) => failures.push(failure(id, miss)),
            }
        }
        Ok(json!({ "images": images, "failures": failures }))
    }

    pub(super) fn delete_images(&mut self, input: &Value) -> Result<Value, Failure> {
        let repository = self.repository(input)?;
        let name = repository.name.clone();
        let (mut deleted, mut failures, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for id in ids(input)? {
            let image = match repository.find(id) {
                Ok(image) => image.clone(),
                Err(miss) => {
                    failures.push(failure(id, miss));
                    continue;
                }
            };
            // An image goes with its last tag.
            let tag = id["imageTag"].as_str().filter(|_| image.tags.len() > 1 && id["imageDigest"].is_null());
            let indexes = repository.indexes_of(&image.digest);
            if tag.is_none() && !indexes.is_empty() {
                let reason = format!("Requested image referenced by manifest list: [{}]", indexes.join(", "));
                failures.push(failure(id, ("ImageReferencedByManifestList", reason)));
                continue;
            }
            let tags = match tag {
                Some(tag) => {
                    if let Some(kept) = repository.images.get_mut(&image.digest) {
                        kept.tags.retain(|known| known != tag);
                    }
                    vec![tag.to_owned()]
                }
                None => {
                    repository.images.remove(&image.digest);
                    image.tags.clone()
                }
            };
            deleted.extend(tags.iter().map(|tag| image.id(Some(tag))));
            if tags.is_empty() {
                deleted.push(image.id(None));
            }
            gone.push(Image { tags, ..image });
        }
        for image in gone {
            self.tell_deletion(&name, &image);
        }
        Ok(json!({ "imageIds": deleted, "failures": failures }))
    }

    pub(super) fn describe_images(&mut self, input: &Value) -> Result<Value, Failure> {
        let enhanced = self.frequency_of_input(input);
        let repository = self.repository(input)?;
        let show = |image: &Image| {
            let mut detail = image.detail(&repository.name, repository.bytes(image));
            if let Some(scan) = &image.scan {
                scan.summarise(&mut detail, enhanced.as_deref());
            }
            detail
        };
        if input["imageIds"].is_array() {
            if !input["maxResults"].is_null() || !input["nextToken"].is_null() {
                return Err(invalid("maxResults", "cannot be used together with imageIds"));
            }
            let (mut details, mut seen) = (Vec::new(), BTreeSet::new());
            for id in ids(input)? {
                let image = repository.find(id).map_err(|_| repository.no_image(id))?;
                if seen.insert(image.digest.as_str()) {
                    details.push(show(image));
                }
            }
            return Ok(json!({ "imageDetails": details }));
        }
        let images: Vec<&Image> = filtered(repository, input)?;
        let (images, token) = page(images, input, PAGE, |image| image.digest.clone())?;
        let details: Vec<Value> = images.into_iter().map(show).collect();
        Ok(with_token(json!({ "imageDetails": details }), token))
    }

    pub(super) fn list_images(&mut self, input: &Value) -> Result<Value, Failure> {
        let repository = self.repository(input)?;
        let ids = filtered(repository, input)?.into_iter().flat_map(|image| match image.tags.is_empty() {
            true => vec![image.id(None)],
            false => image.tags.iter().map(|tag| image.id(Some(tag))).collect(),
        });
        let (ids, token) = page(ids.collect(), input, PAGE, Value::to_string)?;
        Ok(with_token(json!({ "imageIds": ids }), token))
    }
}

/// The images that `filter` lets through.
fn filtered<'a>(repository: &'a Repository, input: &Value) -> Result<Vec<&'a Image>, Failure> {
    let filter = &input["filter"];
    let tagged = input::one_of(filter, "tagStatus", &["TAGGED", "UNTAGGED", "ANY"])?;
    let status = input::one_of(filter, "imageStatus", &["ACTIVE", "ARCHIVED", "ACTIVATING", "ANY"])?;
    let fits = |image: &&Image| match tagged {
        Some("TAGGED") => !image.tags.is_empty(),
        Some("UNTAGGED") => image.tags.is_empty(),
        _ => true,
    };
    // No image is ever archived here.
    let is_active = matches!(status, None | Some("ACTIVE" | "ANY"));
    Ok(repository.images.values().filter(|_| is_active).filter(fits).collect())
}

fn ids(input: &Value) -> Result<&[Value], Failure> {
    let ids = input["imageIds"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ids.is_empty() || ids.len() > 100 {
        return Err(invalid("imageIds", "Member must have length between 1 and 100"));
    }
    Ok(ids)
}

fn failure(id: &Value, (code, reason): Miss) -> Value {
    json!({ "imageId": id, "failureCode": code, "failureReason": reason })
}

/// As `Image` of the API.
fn answer(repository: &str, image: &Image, tag: Option<&str>) -> Value {
    json!({
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageId": image.id(tag),
        "imageManifest": image.manifest,
        "imageManifestMediaType": image.media_type,
    })
}

fn already_there(repository: &Repository, digest: &str, tag: Option<&str>) -> Failure {
    let tag = tag.map(|tag| format!(" and tag '{tag}'")).unwrap_or_default();
    let message = format!(
        "Image with digest '{digest}'{tag} already exists in the repository with name '{}' in registry with id \
         '{ACCOUNT}'",
        repository.name
    );
    Failure::sender("ImageAlreadyExistsException", message)
}

fn check_tag(tag: &str) -> Result<(), Failure> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=300).contains(&tag.len()) && tag.bytes().all(is_letter) && !tag.starts_with(['.', '-']) {
        return Ok(());
    }
    Err(invalid("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9-_.]{0,299}'"))
}
