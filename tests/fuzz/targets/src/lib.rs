//! What is done with hostile bytes: one function for each decoder and each machine.
//!
//! A target panics where something is wrong: where a decoder panics, or accepts what it would not write. `cargo test`
//! runs each over the golden bytes, over mutations of them and over noise; libFuzzer runs the same functions for as
//! long as one likes, see `tests/fuzz/README.md`.

#![allow(clippy::panic, clippy::expect_used, reason = "a target reports by panicking")]

mod crypto;
mod document;
mod encoding;
mod formats;
mod machines;
mod policy;
mod protocol;
pub mod seeds;
pub mod sequence;
mod world;

pub use crypto::{merkle_proof, public_keys, unpad_body};
pub use document::{body, saved_replica};
pub use encoding::{cbor_forms, chunk_header, receipt, signed_operation};
pub use formats::{configuration, links, primero_export, sealed_text};
pub use machines::{device_session, relay_session};
pub use policy::{authorization, fork_proof, wrap_list};
pub use protocol::{down_session, stored_chunk, up_session};

/// A target: its name, and what is done with the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As libFuzzer's program is called.
    pub name: &'static str,
    /// Runs it once.
    pub run: fn(&[u8]),
    /// How costly a run is: the tests divide the number of mutations by it.
    pub cost: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), cost: usize) -> Target {
    Target { name, run, cost }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("cbor_forms", cbor_forms, 1),
    target("signed_operation", signed_operation, 2),
    target("receipt", receipt, 1),
    target("chunk_header", chunk_header, 1),
    target("authorization", authorization, 8),
    target("fork_proof", fork_proof, 2),
    target("wrap_list", wrap_list, 1),
    target("up_session", up_session, 8),
    target("down_session", down_session, 8),
    target("stored_chunk", stored_chunk, 1),
    target("unpad_body", unpad_body, 1),
    target("merkle_proof", merkle_proof, 1),
    target("public_keys", public_keys, 2),
    target("body", body, 4),
    target("saved_replica", saved_replica, 4),
    target("configuration", configuration, 1),
    target("primero_export", primero_export, 1),
    target("links", links, 1),
    target("sealed_text", sealed_text, 1),
    target("relay_session", relay_session, 60),
    target("device_session", device_session, 30),
];
