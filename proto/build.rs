//! Generates the peer messages, if the feature `peer` asks for them.
fn main() {}
