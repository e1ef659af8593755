//! The device's machine against a relay that says what the test tells it to, with real keys.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bounds;
mod connection;
mod content;
mod intents;
mod offers;
mod outbox;
mod policy;
mod relay_faults;
mod removals;
mod resealing;
mod review;
mod rig;
mod visibility;
mod world;
