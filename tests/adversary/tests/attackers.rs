//! Attackers against the real relay, over a real websocket, with real keys. Each test shows the same act without the
//! crime, and that it is accepted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod attackers {
    mod bounds;
    mod devices;
    mod epochs;
    mod granting;
    mod inviting;
    mod reading;
    mod removals;
    mod replaying;
    mod reviewing;
    mod writing;
}
