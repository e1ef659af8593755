//! What one relay gives to its connections: how many, and how long each may take; and to what awaits a decision.

use std::time::Duration;

/// Bounds on connections. The defaults fit a relay of ten thousand devices on a small machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; a further one is closed at once.
    pub max_connections: usize,
    /// Connections at a time from one IPv4 address or one IPv6 network of 64 bits; `None` bounds nothing: behind a
    /// proxy or one office's router all devices come from one address.
    pub max_per_address: Option<usize>,
    /// How long a connection may take from its first byte to a websocket, the TLS handshake and an HTTP request that
    /// asks for something else counted each by itself.
    pub handshake: Duration,
    /// How long a device may take to prove itself, and after that to ask for what is new.
    pub proof: Duration,
    /// Silence after which a device is probed by a ping, and after twice which it counts as gone. A device that takes
    /// nothing in for that long is let go too.
    pub silence: Duration,
    /// Chunks and documents of one removed device that may await a decision.
    pub max_review_items: u64,
    /// Their sizes, in bytes.
    pub max_review_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_per_address: None,
            handshake: Duration::from_secs(15),
            proof: Duration::from_secs(30),
            silence: Duration::from_secs(150),
            max_review_items: 4_096,
            max_review_bytes: 64 << 20,
        }
    }
}
