//! The relay as a library, so that tests and benchmarks can run one inside a process: a websocket server that orders,
//! stores and fans out what it cannot read.

pub mod store;
