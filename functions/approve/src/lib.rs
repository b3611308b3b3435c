//! `approve`: shows what would go live, takes a vote, and answers CodePipeline once.

pub mod page;
