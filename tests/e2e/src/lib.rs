//! What the end-to-end tests and the demo stand on: real processes, a recording proxy that can cut and slow the
//! network, and a search for planted values in every encoding.
#![allow(clippy::disallowed_methods, reason = "drives real processes, so it reads the real clock")]

pub mod canary;
pub mod demo;
pub mod exchange;
pub mod frames;
pub mod insider;
pub mod process;
pub mod proxy;
pub mod world;
