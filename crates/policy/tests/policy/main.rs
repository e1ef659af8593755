//! Policy over whole chains, with real keys.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod decoding;
mod evidence;
mod histories;
mod holders;
mod journeys;
mod oracle;
mod refusals;
mod reliance;
mod removals;
mod review;
mod staleness;
mod terms;
mod world;
