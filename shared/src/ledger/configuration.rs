//! The configuration, by repository and by environment, under a version.
//!
//! A push writes every part of a new version and then moves one pointer: all or nothing, and a reader finds its own
//! repository's part without reading the others'.

use super::{CONFIGURATION_SUBJECT, Ledger, LedgerError, Loaded, Writes, item_of, keys};
use crate::aws::dynamodb::{Expect, Item, Write};
use crate::config::Config;
use crate::domain::audit::Note;
use crate::domain::execution::Target;
use crate::domain::intake::{hash_of, hex_sha256};
use crate::domain::route::RepositoryConfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// How many parts one transaction writes at most. DynamoDB takes 100.
const PARTS_PER_WRITE: usize = 50;
/// How much one transaction writes at most, in bytes of JSON, unless one part alone is larger. DynamoDB takes 4 MB.
const BYTES_PER_WRITE: usize = 2_000_000;
/// The configuration's text is kept in pieces of this many bytes. An item holds 400 KB.
const SOURCE_PIECE_BYTES: usize = 200_000;

/// What stands in a push's name between its version and its hash.
const PUSH_SEPARATOR: char = '#';

/// A version of the configuration: 1 for the first.
pub type Version = u64;

/// Which version is live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveConfiguration {
    /// Its number.
    pub live: Version,
    /// Names the parts of this push: the version and a hash of all that it holds.
    pub push: String,
    /// How many pieces its text is kept in.
    pub pieces: usize,
    /// How many parts its targets are listed in.
    pub target_parts: usize,
    /// Who pushed it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The live routes of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveRoutes {
    /// Of which configuration; `None` where none is live.
    pub version: Option<Version>,
    /// Its routes; `None` where that configuration does not name it.
    pub routes: Option<RepositoryConfig>,
}

/// How many targets one part lists. A target weighs 400 bytes at most.
const TARGETS_PER_PART: usize = 500;

#[derive(Debug, Serialize, Deserialize)]
struct Targets {
    targets: BTreeSet<Target>,
}

/// When the configured pipelines were last looked at, and what that found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineCheck {
    /// Of which configuration.
    pub version: Version,
    /// When.
    pub at: Timestamp,
    /// Where the next look goes on.
    pub next: usize,
    /// How many start themselves.
    pub self_starting: u64,
}

/// One piece of the configuration's text.
#[derive(Debug, Serialize, Deserialize)]
struct Piece {
    text: String,
}

impl Ledger {
    /// Which version is live, if any.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn live_configuration(&self) -> Result<Option<Loaded<LiveConfiguration>>, LedgerError> {
        self.load(&keys::live_configuration()).await
    }

    /// The live routes of a repository (`owner/name`, in any case).
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn routes_of(&self, full_name: &str) -> Result<LiveRoutes, LedgerError> {
        let Some(live) = self.live_configuration().await? else { return Ok(LiveRoutes::default()) };
        let key = keys::configuration(&live.value.push, &repository_part(full_name));
        Ok(LiveRoutes { version: Some(live.value.live), routes: self.load(&key).await?.map(|loaded| loaded.value) })
    }

    /// The text that was pushed as the live version.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn live_source(&self) -> Result<Option<(Version, String)>, LedgerError> {
        let Some(live) = self.live_configuration().await? else { return Ok(None) };
        let mut text = String::new();
        for index in 0..live.value.pieces {
            if let Some(piece) = self.load::<Piece>(&keys::configuration(&live.value.push, &source_part(index))).await?
            {
                text.push_str(&piece.value.text);
            }
        }
        Ok(Some((live.value.live, text)))
    }

    /// Every target of the live version, with that version's number.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn live_targets(&self) -> Result<Option<(Version, BTreeSet<Target>)>, LedgerError> {
        let Some(live) = self.live_configuration().await? else { return Ok(None) };
        let mut targets = BTreeSet::new();
        for index in 0..live.value.target_parts {
            let part = self.load::<Targets>(&keys::configuration(&live.value.push, &targets_part(index))).await?;
            targets.extend(part.into_iter().flat_map(|part| part.value.targets));
        }
        Ok(Some((live.value.live, targets)))
    }

    /// The last look at the configured pipelines.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn pipeline_check(&self) -> Result<Option<Loaded<PipelineCheck>>, LedgerError> {
        self.load(&keys::pipeline_check()).await
    }

    /// Saves a look at the configured pipelines that followed `last`.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when another look was saved first.
    pub async fn save_pipeline_check(
        &self,
        last: Option<&Loaded<PipelineCheck>>,
        check: &PipelineCheck,
    ) -> Result<(), LedgerError> {
        let expect = last.map_or(Expect::Absent, Loaded::expect);
        let mut writes = Writes::new();
        writes.state.push(Write::Put(keys::pipeline_check(), item_of(check), expect));
        self.save(writes).await
    }

    /// Publishes a configuration.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when another push came first; nothing of this one is live then.
    pub async fn publish(
        &self,
        before: Option<&Loaded<LiveConfiguration>>,
        publication: &Publication<'_>,
        now: Timestamp,
    ) -> Result<Version, LedgerError> {
        let version = before.map_or(1, |live| live.value.live + 1);
        let pieces = pieces_of(publication.source);
        let (parts, target_parts) = publication.parts(&pieces);
        let push = format!("{version}{PUSH_SEPARATOR}{}", hash_of(&parts));
        for chunk in chunks_of(parts) {
            // Written over where a push of the very same content failed half way.
            let put =
                |(part, item): (String, Item)| Write::Put(keys::configuration(&push, &part), item, Expect::Anything);
            self.state.write(chunk.into_iter().map(put).collect()).await?;
        }
        let by = publication.by.to_owned();
        let live =
            LiveConfiguration { live: version, push, pieces: pieces.len(), target_parts, by: by.clone(), at: now };
        let expect = before.map_or(Expect::Absent, Loaded::expect);
        let mut writes = Writes::new();
        writes.state.push(Write::Put(keys::live_configuration(), item_of(&live), expect));
        let detail = json!({ "version": version, "sha256": hex_sha256(publication.source.as_bytes()) });
        let note = Note { actor: by, what: "configuration pushed".to_owned(), detail };
        self.save_noted(writes, CONFIGURATION_SUBJECT, note, now).await?;
        Ok(version)
    }
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

impl LiveConfiguration {
    /// Whether what is live is what a publication would make live, part by part.
    pub fn holds(&self, publication: &Publication<'_>) -> bool {
        let (parts, _) = publication.parts(&pieces_of(publication.source));
        self.push.split_once(PUSH_SEPARATOR).is_some_and(|(_, hash)| hash == hash_of(&parts))
    }
}

impl Publication<'_> {
    /// The parts, and how many of them list targets.
    fn parts(&self, pieces: &[&str]) -> (Vec<(String, Item)>, usize) {
        let texts = pieces
            .iter()
            .enumerate()
            .map(|(index, text)| (source_part(index), item_of(&Piece { text: (*text).to_owned() })));
        let repositories = self
            .config
            .by_repository()
            .into_values()
            .filter_map(|routes| Some(RepositoryConfig { full_name: routes.first()?.repository.clone(), routes }));
        let repositories = repositories.map(|one| (repository_part(&one.full_name), item_of(&one)));
        let environments = self.config.by_environment().into_iter();
        let environments = environments.map(|(name, one)| (format!("environment#{name}"), item_of(&one)));
        let targets: BTreeSet<_> =
            self.config.routes.iter().filter_map(|route| Target::of_route(&route.target)).collect();
        let targets: Vec<_> = targets.into_iter().collect();
        let lists = targets.chunks(TARGETS_PER_PART).enumerate();
        let lists: Vec<_> = lists
            .map(|(index, some)| (targets_part(index), item_of(&Targets { targets: some.iter().cloned().collect() })))
            .collect();
        let target_parts = lists.len();
        (texts.chain(repositories).chain(environments).chain(lists).collect(), target_parts)
    }
}

fn targets_part(index: usize) -> String {
    format!("targets#{index:04}")
}

fn repository_part(full_name: &str) -> String {
    format!("repository#{}", full_name.to_ascii_lowercase())
}

fn source_part(index: usize) -> String {
    format!("source#{index:04}")
}

/// Cuts parts into transactions that DynamoDB takes.
fn chunks_of(parts: Vec<(String, Item)>) -> Vec<Vec<(String, Item)>> {
    let mut chunks: Vec<Vec<(String, Item)>> = Vec::new();
    let mut room = 0;
    for part in parts {
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
        let chunks = chunks_of((0..120).map(|_| part(10)).collect());
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20], "by number");
        let chunks = chunks_of((0..20).map(|_| part(300_000)).collect());
        assert!(chunks.iter().all(|chunk| chunk.len() <= 6), "by size");
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 20, "nothing is lost");
        assert_eq!(pieces_of(&"é".repeat(150_000)).concat(), "é".repeat(150_000), "no character is cut in two");
    }
}
