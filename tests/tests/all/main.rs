//! The journeys, the simulation and the checks of the whole tree: one binary, so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test may"
)]

mod approvals;
mod approvers;
mod architecture;
mod authors;
mod deployments;
mod digests;
mod environments;
mod holds;
mod hostile;
mod incidents;
mod journeys;
mod order;
mod quarantine;
mod rollbacks;
mod silence;
mod simulation;
mod stages;
mod starts;
mod template;
mod trace;
mod wiring;
