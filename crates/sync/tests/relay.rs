//! The relay's machine over the memory store, with real keys and real frames.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod relay {
    mod authentication;
    mod authority;
    mod bounds;
    mod chunks;
    mod endings;
    mod failure;
    mod fairness;
    mod operations;
    mod poison;
    mod refusals;
    mod removals;
    mod review;
    mod room;
    mod rotations;
    mod streaming;
    mod terms;
}
