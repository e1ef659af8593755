//! The demo: a relay that cannot read, three caseworkers, three days offline.
fn main() {}
