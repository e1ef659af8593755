//! What goes wrong in the field ends in one plain sentence of the real programs: what it is, where, what to do; with the
//! exit code that says so to a script; and nothing is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test that fails panics"
)]

mod accidents {
    mod files;
    mod full;
    mod invites;
    mod network;
    mod passphrase;
    mod relay;
    mod stage;
}
