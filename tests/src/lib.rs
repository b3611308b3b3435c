//! What the tests share: a world in simulated time, and payloads as GitHub sends them.

pub mod payloads;
pub mod world;
