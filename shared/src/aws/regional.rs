//! A service in every region that something names.

use super::AwsConfig;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Clients of one service, one per region, made on first use and kept.
#[derive(Debug)]
pub(super) struct Regional<C> {
    config: AwsConfig,
    build: fn(&AwsConfig) -> C,
    clients: Mutex<BTreeMap<String, C>>,
}

impl<C: Clone> Regional<C> {
    pub(super) fn new(config: &AwsConfig, build: fn(&AwsConfig) -> C) -> Self {
        Self { config: config.clone(), build, clients: Mutex::default() }
    }

    pub(super) fn in_region(&self, region: &str) -> C {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || (self.build)(&self.config.in_region(region));
        clients.entry(region.to_owned()).or_insert_with(make).clone()
    }
}
