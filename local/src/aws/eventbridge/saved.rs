//! The state of a service on its way to disk and back, as JSON.
//!
//! A state is saved as it is. What can be worked out from the rest (a pattern that was read, a handler) is not.

use crate::aws::lock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A state as JSON. Every state here can be written, so a failure is a mistake of ours: it is logged, and null.
pub(crate) fn save<T: Serialize>(state: &Mutex<T>) -> Value {
    serde_json::to_value(&*lock(state)).unwrap_or_else(|error| {
        tracing::error!(%error, "a state cannot be written");
        Value::Null
    })
}

/// Puts a saved state in the place of the present one.
///
/// # Errors
/// When it is not such a state. The present one stays then.
pub(crate) fn restore<T: DeserializeOwned>(state: &Mutex<T>, saved: Value) -> Result<(), serde_json::Error> {
    *lock(state) = serde_json::from_value(saved)?;
    Ok(())
}

/// Maps whose keys are more than a string, as lists of pairs: JSON has no other way to write them.
/// For `#[serde(with = "…")]`.
pub(crate) mod pairs {
    use super::{BTreeMap, Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K, V, S>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error>
    where
        K: Serialize,
        V: Serialize,
        S: Serializer,
    {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
