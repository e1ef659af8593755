//! What only a machine with an operating system has: clocks, entropy, sockets. The browser has its own transport.

pub mod calibration;
pub mod clock;
mod connection;
pub mod driver;
pub mod entropy;
pub mod socket;
pub mod tls;
