//! The wiring of `approve`.

fn main() {}
