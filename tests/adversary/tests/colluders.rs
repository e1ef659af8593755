//! Relays that collude with an attacker, against real devices. Each test shows the same act without the crime, and that
//! it is accepted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod colluders {
    mod accounts;
    mod agencies;
    mod chunks;
    mod deciding;
    mod entering;
    mod frontiers;
    mod removals;
    mod sessions;
    mod severing;
}
