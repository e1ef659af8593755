//! The relay's program as a process, spoken to over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod process {
    mod backup;
    mod command_line;
    mod limits;
    mod relay;
    mod sessions;
    mod tls;
    mod wire;
}
