//! What is decided, and nothing of how it is done.
//!
//! Nothing in here reads a clock, a network, the environment or a random number; nothing awaits and nothing
//! logs. Time and randomness come in as arguments, effects go out as values.

pub mod alarm;
pub mod approval;
pub mod approver;
pub mod audit;
pub mod authors;
pub mod blame;
pub mod change;
pub mod command;
pub mod delivery;
pub mod environment;
pub mod event;
pub mod execution;
pub mod hold;
pub mod image;
pub mod incident;
pub mod intake;
pub mod mail;
pub mod notice;
pub mod observed;
pub mod pattern;
pub mod policy;
pub mod quarantine;
pub mod rollback;
pub mod route;
pub mod routing;
pub mod running;
pub mod settling;
pub mod shown;
pub mod starter;
