//! The Corral server.
fn main() {}
