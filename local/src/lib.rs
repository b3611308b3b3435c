//! AWS in one process, and the runner that puts Pointsman on top of it.
//!
//! `aws` emulates the services at the wire, so that the code under test is the code that is deployed, the
//! SDK's retries included. `wiring` reads `template.yaml`. Nothing here is part of what is deployed.

pub mod api;
pub mod aws;
pub mod clock;
pub mod data;
pub mod faults;
pub mod functions;
pub mod http;
pub mod pipelines;
pub mod runner;
pub mod template;
pub mod wiring;
