//! The real binary, as people and scripts use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod cli {
    mod access;
    mod alone;
    mod deciding;
    mod devices;
    mod home;
    mod usage;
    mod with_relay;
}
