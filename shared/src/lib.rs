//! What Pointsman's functions share: the rules (`domain`), GitHub's side, AWS's side, the ledger and the
//! configuration. ARCHITECTURE.md is the map.

#[cfg(all(feature = "mail", feature = "ledger"))]
pub mod approvers;
#[cfg(feature = "targets")]
pub mod approving;
#[cfg(feature = "ledger")]
pub mod authors;
pub mod aws;
pub mod config;
pub mod domain;
pub mod github;
#[cfg(all(feature = "alarms", feature = "deployments", feature = "mail"))]
pub mod guarding;
#[cfg(feature = "ledger")]
pub mod landing;
#[cfg(feature = "ledger")]
pub mod ledger;
pub mod random;
#[cfg(feature = "targets")]
pub mod recording;
#[cfg(all(feature = "deployments", feature = "mail"))]
pub mod rolling;
#[cfg(feature = "targets")]
pub mod run;
pub mod settings;
pub mod telemetry;
#[cfg(all(feature = "targets", feature = "mail"))]
pub mod telling;
