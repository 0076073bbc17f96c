//! The `exwire` program.
fn main() {}
