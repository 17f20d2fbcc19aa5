//! The `maitred` binary.
fn main() {}
