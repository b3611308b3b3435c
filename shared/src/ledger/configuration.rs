//! The configuration, by repository and by environment, under a version.
//!
//! A push writes every part of a new version and then moves one pointer: all or nothing, and a reader finds its own
//! repository's part without reading the others'.

use super::publication::{
    FREEZES, List, PEOPLE, PUSH_SEPARATOR, Piece, PipelineEnvironments, Publication, TARGETS, WATCHED,
    environment_part, list_part, pipeline_part, repository_part, source_part,
};
use super::{CONFIGURATION_SUBJECT, Ledger, LedgerError, Loaded, Writes, item_of, keys, read};
use crate::aws::dynamodb::{Expect, Item, Key, Write};
use crate::config::{EnvironmentConfig, FrozenEnvironment, Member, WatchedEnvironment};
use crate::domain::approver::ApproverCheck;
use crate::domain::audit::Note;
use crate::domain::execution::{Target, TargetKind};
use crate::domain::intake::hex_sha256;
use crate::domain::route::RepositoryConfig;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

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
    /// How many parts list the environments that are frozen and ask nobody.
    #[serde(default)]
    pub freeze_parts: usize,
    /// How many parts list its people.
    #[serde(default)]
    pub people_parts: usize,
    /// How many parts list the environments that a signal may turn back.
    #[serde(default)]
    pub watched_parts: usize,
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
        let targets = self.list(&live.value.push, TARGETS, live.value.target_parts).await?;
        Ok(Some((live.value.live, targets.into_iter().collect())))
    }

    /// The live version's environments that are frozen at times and ask nobody. Empty where nothing is live.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn frozen_environments(&self) -> Result<Vec<FrozenEnvironment>, LedgerError> {
        let Some(live) = self.live_configuration().await? else { return Ok(Vec::new()) };
        self.list(&live.value.push, FREEZES, live.value.freeze_parts).await
    }

    /// The live version's environments that a signal may turn back. Empty where nothing is live.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn watched_environments(&self) -> Result<Vec<WatchedEnvironment>, LedgerError> {
        let Some(live) = self.live_configuration().await? else { return Ok(Vec::new()) };
        self.list(&live.value.push, WATCHED, live.value.watched_parts).await
    }

    /// Everybody who is in a group of the live version, each once. Empty where nothing is live.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn live_people(&self) -> Result<Vec<Member>, LedgerError> {
        let Some(live) = self.live_configuration().await? else { return Ok(Vec::new()) };
        self.list(&live.value.push, PEOPLE, live.value.people_parts).await
    }

    /// One environment of the live version with all that it refers to, and that version's number.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn environment_config(&self, name: &str) -> Result<Option<(Version, EnvironmentConfig)>, LedgerError> {
        let Some(live) = self.live_configuration().await? else { return Ok(None) };
        let part = self.load(&keys::configuration(&live.value.push, &environment_part(name))).await?;
        Ok(part.map(|part| (live.value.live, part.value)))
    }

    /// The environments of the live version that `target` deploys to: several, where one pipeline with variables
    /// serves several.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn environments_of(&self, target: &Target) -> Result<Vec<String>, LedgerError> {
        if target.kind != TargetKind::Pipeline {
            return Ok(Vec::new());
        }
        let Some(live) = self.live_configuration().await? else { return Ok(Vec::new()) };
        let key = keys::configuration(&live.value.push, &pipeline_part(&target.region, &target.name));
        let part = self.load::<PipelineEnvironments>(&key).await?;
        Ok(part.map(|part| part.value.environments).unwrap_or_default())
    }

    /// What the parts of a list hold together.
    async fn list<T: DeserializeOwned>(&self, push: &str, list: &str, parts: usize) -> Result<Vec<T>, LedgerError> {
        let keys: Vec<Key> = (0..parts).map(|index| keys::configuration(push, &list_part(list, index))).collect();
        let mut all = Vec::new();
        for stored in self.state.get_all(&keys).await? {
            all.extend(read::<List<T>>(stored)?.value.listed);
        }
        Ok(all)
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

    /// The last look at the approvers' mail.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn approver_check(&self) -> Result<Option<Loaded<ApproverCheck>>, LedgerError> {
        self.load(&keys::approver_check()).await
    }

    /// Saves a look at the approvers' mail that followed `last`.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when another look was saved first.
    pub async fn save_approver_check(
        &self,
        last: Option<&Loaded<ApproverCheck>>,
        check: &ApproverCheck,
    ) -> Result<(), LedgerError> {
        let expect = last.map_or(Expect::Absent, Loaded::expect);
        let mut writes = Writes::new();
        writes.state.push(Write::Put(keys::approver_check(), item_of(check), expect));
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
        let parts = publication.parts();
        let push = format!("{version}{PUSH_SEPARATOR}{}", parts.hash());
        let by = publication.by.to_owned();
        let live = LiveConfiguration {
            live: version,
            push: push.clone(),
            pieces: parts.pieces,
            target_parts: parts.targets,
            freeze_parts: parts.freezes,
            people_parts: parts.people,
            watched_parts: parts.watched,
            by: by.clone(),
            at: now,
        };
        for chunk in parts.chunks() {
            // Written over where a push of the very same content failed half way.
            let put =
                |(part, item): (String, Item)| Write::Put(keys::configuration(&push, &part), item, Expect::Anything);
            self.state.write(chunk.into_iter().map(put).collect()).await?;
        }
        let expect = before.map_or(Expect::Absent, Loaded::expect);
        let mut writes = Writes::new();
        writes.state.push(Write::Put(keys::live_configuration(), item_of(&live), expect));
        let detail = json!({ "version": version, "sha256": hex_sha256(publication.source.as_bytes()) });
        let note = Note { actor: by, what: "configuration pushed".to_owned(), detail };
        self.save_noted(writes, CONFIGURATION_SUBJECT, note, now).await?;
        Ok(version)
    }
}
