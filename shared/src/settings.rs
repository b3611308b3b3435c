//! Settings out of named values: a deployed function reads them from its environment, the local runner from
//! `template.yaml`. Nothing else knows where they come from.

/// Looks a value up by its name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A setting that a function cannot do without is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0} is missing or empty")]
pub struct Missing(pub &'static str);

/// The value called `name`.
///
/// # Errors
/// [`Missing`] when there is none, or it is empty: nothing has a silent default.
pub fn required(lookup: Lookup<'_>, name: &'static str) -> Result<String, Missing> {
    lookup(name).filter(|value| !value.is_empty()).ok_or(Missing(name))
}

/// Where the ledger is, and which roles start things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The state table's name: `POINTSMAN_TABLE`.
    pub table: String,
    /// The audit table's name: `POINTSMAN_AUDIT_TABLE`.
    pub audit_table: String,
    /// The names of the roles whose starts are ours: `POINTSMAN_STARTER_ROLES`, separated by commas.
    pub starter_roles: Vec<String>,
}

impl LedgerSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn read(lookup: Lookup<'_>) -> Result<Self, Missing> {
        let roles = required(lookup, "POINTSMAN_STARTER_ROLES")?;
        Ok(Self {
            table: required(lookup, "POINTSMAN_TABLE")?,
            audit_table: required(lookup, "POINTSMAN_AUDIT_TABLE")?,
            starter_roles: roles.split(',').map(|role| role.trim().to_owned()).collect(),
        })
    }
}
