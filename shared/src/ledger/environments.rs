//! Environments, region by region: what has landed there.

use super::{Ledger, LedgerError, Loaded, Writes, item_of, keys, read};
use crate::aws::dynamodb::{Key, Write};
use crate::domain::environment::EnvironmentState;
use crate::domain::rollback::Ready;

impl Ledger {
    /// The record of an environment in each of `regions`, in their order; new where nothing has landed yet.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn environment_states(
        &self,
        name: &str,
        regions: impl IntoIterator<Item = &str>,
    ) -> Result<Vec<Loaded<EnvironmentState>>, LedgerError> {
        let regions: Vec<&str> = regions.into_iter().collect();
        let keys: Vec<Key> = regions.iter().map(|region| keys::environment(name, region)).collect();
        let found = self.state.get_all(&keys).await?;
        let known: Vec<Loaded<EnvironmentState>> = found.into_iter().map(read).collect::<Result<_, _>>()?;
        let of = |region: &str| {
            let its = known.iter().find(|state| state.value.region == region).cloned();
            its.unwrap_or_else(|| Loaded::absent(EnvironmentState::new(name, region)))
        };
        Ok(regions.into_iter().map(of).collect())
    }

    /// How ready a region of an environment is to be turned back, as it was found last.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] or [`LedgerError::Corrupt`].
    pub async fn readiness(&self, name: &str, region: &str) -> Result<Option<Loaded<Ready>>, LedgerError> {
        self.load(&keys::readiness(name, region)).await
    }
}

impl Writes {
    /// Saves how ready a region of an environment is.
    pub fn readiness(mut self, ready: &Loaded<Ready>) -> Self {
        let key = keys::readiness(&ready.value.environment, &ready.value.region);
        self.state.push(Write::Put(key, item_of(&ready.value), ready.expect()));
        self
    }

    /// Saves the record of an environment in a region.
    pub fn environment_state(mut self, state: &Loaded<EnvironmentState>) -> Self {
        let key = keys::environment(&state.value.name, &state.value.region);
        self.state.push(Write::Put(key, item_of(&state.value), state.expect()));
        self
    }
}
