//! What every operation asks of its input, in the words in which ECR refuses.

use crate::aws::{ACCOUNT, Failure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::collections::BTreeMap;

/// Tags on one repository. Source: ECR API reference, TagResource.
const MOST_TAGS: usize = 50;

pub(super) fn invalid(member: &str, rule: &str) -> Failure {
    let message = format!("Invalid parameter at '{member}' failed to satisfy constraint: '{rule}'");
    Failure::sender("InvalidParameterException", message)
}

pub(super) fn no_repository(name: &str, registry: &str) -> Failure {
    let message = format!("The repository with name '{name}' does not exist in the registry with id '{registry}'");
    Failure::sender("RepositoryNotFoundException", message)
}

pub(super) fn required<'a>(input: &'a Value, member: &str) -> Result<&'a str, Failure> {
    input[member].as_str().ok_or_else(|| invalid(member, "must not be null"))
}

/// One of the values that the model lists.
pub(super) fn one_of<'a>(input: &'a Value, member: &str, values: &[&str]) -> Result<Option<&'a str>, Failure> {
    match input[member].as_str() {
        Some(value) if !values.contains(&value) => {
            Err(invalid(member, &format!("Member must satisfy enum value set: [{}]", values.join(", "))))
        }
        found => Ok(found),
    }
}

/// The name of a repository: of 2 to 256 characters, in parts of lower-case letters and digits.
pub(super) fn repository_name(input: &Value) -> Result<&str, Failure> {
    let name = required(input, "repositoryName")?;
    check_repository_name(name)?;
    Ok(name)
}

pub(super) fn check_repository_name(name: &str) -> Result<(), Failure> {
    if name.len() < 2 {
        return Err(invalid("repositoryName", "Member must have length greater than or equal to 2"));
    }
    if name.len() > 256 {
        return Err(invalid("repositoryName", "Member must have length less than or equal to 256"));
    }
    if name.split('/').all(is_name_part) {
        return Ok(());
    }
    Err(invalid(
        "repositoryName",
        "must satisfy regular expression \
         '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*'",
    ))
}

/// Words of letters and digits, held together by `.`, `_`, `__` or any number of `-`.
fn is_name_part(part: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_glue = |glue: &str| matches!(glue, "" | "." | "_" | "__") || glue.chars().all(|letter| letter == '-');
    part.starts_with(is_word) && part.ends_with(is_word) && part.split(is_word).all(is_glue)
}

/// The registry that an input names: the account's own unless it says another.
pub(super) fn registry(input: &Value) -> Result<&str, Failure> {
    match input["registryId"].as_str() {
        Some(id) if id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id),
        Some(_) => Err(invalid("registryId", "must satisfy regular expression '[0-9]{12}'")),
        None => Ok(ACCOUNT),
    }
}

pub(super) fn is_digest(digest: &str) -> bool {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Tags of a repository, as a map.
pub(super) fn tags(input: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let mut tags = BTreeMap::new();
    for tag in input["tags"].as_array().into_iter().flatten() {
        let (Some(key), Some(value)) = (tag["Key"].as_str(), tag["Value"].as_str()) else {
            return Err(invalid("tags", "a tag must have a Key and a Value"));
        };
        let is_reserved = key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 || is_reserved {
            let message =
                format!("Invalid tag with key '{key}': keys have 1 to 128 characters and do not begin with aws:");
            return Err(Failure::sender("InvalidTagParameterException", message));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    within_limit(&tags)?;
    Ok(tags)
}

pub(super) fn within_limit(tags: &BTreeMap<String, String>) -> Result<(), Failure> {
    if tags.len() > MOST_TAGS {
        let message = format!("The number of tags exceeds the limit of {MOST_TAGS} tags per resource");
        return Err(Failure::sender("TooManyTagsException", message));
    }
    Ok(())
}

/// One page of `items`, and the token of the next. It names the last item given, so no two are alike.
pub(super) fn page<T>(
    items: Vec<T>,
    input: &Value,
    default: usize,
    name: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>), Failure> {
    let most = match input["maxResults"].as_u64() {
        None => default,
        Some(most @ 1..=1000) => usize::try_from(most).unwrap_or(default),
        Some(_) => return Err(invalid("maxResults", "Member must be between 1 and 1000")),
    };
    let start = match input["nextToken"].as_str() {
        None => 0,
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| items.iter().position(|item| name(item).as_bytes() == bytes))
            .map(|last| last + 1)
            .ok_or_else(|| invalid("nextToken", "The token is not one that was returned"))?,
    };
    let is_last = start + most >= items.len();
    let page: Vec<T> = items.into_iter().skip(start).take(most).collect();
    let token = page.last().filter(|_| !is_last).map(|last| URL_SAFE_NO_PAD.encode(name(last)));
    Ok((page, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_named_as_the_model_says() {
        #[rustfmt::skip]
        let cases = [
            ("shop",             true,  "letters"),
            ("acme/shop-web",    true,  "a path, and a dash"),
            ("a--b",             true,  "any number of dashes"),
            ("a__b",             true,  "two underscores"),
            ("a___b",            false, "but not three"),
            ("a..b",             false, "nor two dots"),
            ("a-.b",             false, "nor a mixture"),
            ("Shop",             false, "lower case only"),
            ("shop/",            false, "no part is empty"),
            ("-shop",            false, "a part begins with a letter or a digit"),
            ("s",                false, "at least two characters"),
        ];
        for (name, is_valid, why) in cases {
            assert_eq!(check_repository_name(name).is_ok(), is_valid, "{name}: {why}");
        }
    }
}
