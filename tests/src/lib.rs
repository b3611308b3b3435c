//! What the tests share: a world in simulated time, and payloads as GitHub sends them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a test may"
)]

pub mod payloads;
pub mod people;
pub mod world;
