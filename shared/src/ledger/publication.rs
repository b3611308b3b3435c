//! A configuration as the ledger keeps it: in parts, each of which is read on its own. `docs/ledger.md` lists them.

use super::{LiveConfiguration, item_of};
use crate::aws::dynamodb::Item;
use crate::config::Config;
use crate::domain::execution::Target;
use crate::domain::intake::hash_of;
use crate::domain::route::RepositoryConfig;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many parts one transaction writes at most. DynamoDB takes 100.
const PARTS_PER_WRITE: usize = 50;
/// How much one transaction writes at most, in bytes of JSON, unless one part alone is larger. DynamoDB takes 4 MB.
const BYTES_PER_WRITE: usize = 2_000_000;
/// The configuration's text is kept in pieces of this many bytes. An item holds 400 KB.
const SOURCE_PIECE_BYTES: usize = 200_000;
/// How many targets, or people, one part lists. Each weighs 400 bytes at most.
const NAMES_PER_PART: usize = 500;
/// How many frozen environments one part lists. With fifty windows and twenty deploys one weighs 30 KB.
const FREEZES_PER_PART: usize = 10;

/// How many watched environments one part lists. With its patterns one weighs 4 KB at most.
const WATCHED_PER_PART: usize = 50;

/// What stands in a push's name between its version and its hash.
pub(super) const PUSH_SEPARATOR: char = '#';

/// The list of every target.
pub(super) const TARGETS: &str = "targets";
/// The list of the environments that are frozen at times and ask nobody.
pub(super) const FREEZES: &str = "freezes";
/// The list of the environments that a signal may turn back.
pub(super) const WATCHED: &str = "watched";
/// The list of everybody who is in a group.
pub(super) const PEOPLE: &str = "people";

/// One part of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct List<T> {
    // Before there were other lists, that of the targets called them so.
    #[serde(alias = "targets")]
    pub(super) listed: Vec<T>,
}

/// The environments that one pipeline deploys to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PipelineEnvironments {
    pub(super) environments: Vec<String>,
}

/// One piece of the configuration's text.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) text: String,
}

/// What a push makes live.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The text as it was written.
    pub source: &'a str,
    /// The same, checked.
    pub config: &'a Config,
    /// Who pushes.
    pub by: &'a str,
}

/// What a push writes before it moves the pointer.
pub(super) struct Parts {
    all: Vec<(String, Item)>,
    pub(super) pieces: usize,
    pub(super) targets: usize,
    pub(super) freezes: usize,
    pub(super) people: usize,
    pub(super) watched: usize,
}

impl LiveConfiguration {
    /// Whether what is live is what a publication would make live, part by part.
    pub fn holds(&self, publication: &Publication<'_>) -> bool {
        self.push.split_once(PUSH_SEPARATOR).is_some_and(|(_, hash)| hash == publication.parts().hash())
    }
}

impl Publication<'_> {
    pub(super) fn parts(&self) -> Parts {
        let config = self.config;
        let pieces = pieces_of(self.source).into_iter().map(|text| Piece { text: text.to_owned() });
        let pieces: Vec<_> = pieces.enumerate().map(|(at, piece)| (source_part(at), item_of(&piece))).collect();
        let repositories = config
            .by_repository()
            .into_values()
            .filter_map(|routes| Some(RepositoryConfig { full_name: routes.first()?.repository.clone(), routes }));
        let repositories = repositories.map(|one| (repository_part(&one.full_name), item_of(&one)));
        let environments = config.by_environment().into_iter();
        let environments = environments.map(|(name, one)| (environment_part(&name), item_of(&one)));
        let pipelines = config.by_pipeline().into_iter().map(|((region, name), environments)| {
            let environments = environments.into_iter().map(str::to_owned).collect();
            (pipeline_part(region, name), item_of(&PipelineEnvironments { environments }))
        });
        let targets: BTreeSet<_> = config.routes.iter().filter_map(|route| Target::of_route(&route.target)).collect();
        let targets = list_parts(TARGETS, NAMES_PER_PART, targets);
        let freezes = list_parts(FREEZES, FREEZES_PER_PART, config.frozen());
        let people = list_parts(PEOPLE, NAMES_PER_PART, config.people());
        let watched = list_parts(WATCHED, WATCHED_PER_PART, config.watched());
        let counts = [&pieces, &targets, &freezes, &people, &watched].map(Vec::len);
        let all = pieces.into_iter().chain(repositories).chain(environments).chain(pipelines);
        let all = all.chain(targets).chain(freezes).chain(people).chain(watched).collect();
        let [pieces, targets, freezes, people, watched] = counts;
        Parts { all, pieces, targets, freezes, people, watched }
    }
}

impl Parts {
    /// Names them: the same content has the same hash.
    pub(super) fn hash(&self) -> String {
        hash_of(&self.all)
    }

    /// Cuts them into transactions that DynamoDB takes.
    pub(super) fn chunks(self) -> Vec<Vec<(String, Item)>> {
        let mut chunks: Vec<Vec<(String, Item)>> = Vec::new();
        let mut room = 0;
        for part in self.all {
            let bytes = serde_json::to_vec(&part.1).map_or(0, |json| json.len());
            match chunks.last_mut().filter(|chunk| chunk.len() < PARTS_PER_WRITE && bytes <= room) {
                Some(chunk) => {
                    chunk.push(part);
                    room -= bytes;
                }
                None => {
                    chunks.push(vec![part]);
                    room = BYTES_PER_WRITE.saturating_sub(bytes);
                }
            }
        }
        chunks
    }
}

/// A list, cut into parts.
fn list_parts<T: Serialize>(list: &str, per_part: usize, all: impl IntoIterator<Item = T>) -> Vec<(String, Item)> {
    let all: Vec<T> = all.into_iter().collect();
    let parts = all.chunks(per_part).enumerate();
    parts.map(|(index, listed)| (list_part(list, index), item_of(&List { listed: listed.iter().collect() }))).collect()
}

pub(super) fn list_part(list: &str, index: usize) -> String {
    format!("{list}#{index:04}")
}

pub(super) fn repository_part(full_name: &str) -> String {
    format!("repository#{}", full_name.to_ascii_lowercase())
}

pub(super) fn environment_part(name: &str) -> String {
    format!("environment#{name}")
}

pub(super) fn pipeline_part(region: &str, name: &str) -> String {
    format!("pipeline#{region}#{name}")
}

pub(super) fn source_part(index: usize) -> String {
    format!("source#{index:04}")
}

/// Cuts a text into pieces at character boundaries.
fn pieces_of(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(SOURCE_PIECE_BYTES));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_of_any_size_is_cut_into_transactions_that_dynamodb_takes() {
        let part = |bytes: usize| {
            let item = Item::from_iter([("text".to_owned(), "x".repeat(bytes).into())]);
            ("part".to_owned(), item)
        };
        let chunks_of =
            |all: Vec<(String, Item)>| Parts { all, pieces: 0, targets: 0, freezes: 0, people: 0, watched: 0 }.chunks();
        let chunks = chunks_of((0..120).map(|_| part(10)).collect());
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20], "by number");
        let chunks = chunks_of((0..20).map(|_| part(300_000)).collect());
        assert!(chunks.iter().all(|chunk| chunk.len() <= 6), "by size");
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 20, "nothing is lost");
        assert_eq!(pieces_of(&"é".repeat(150_000)).concat(), "é".repeat(150_000), "no character is cut in two");
    }
}
