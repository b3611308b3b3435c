//! The wiring of `gate`.

fn main() {}
