//! What goes into the relay's machine and what comes out.

use std::time::Duration;

use super::{session::SessionId, store::StoreError};

/// Bounds of a relay's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayConfig {
    /// How long a device may take to prove itself.
    pub auth_timeout: Duration,
    /// How long a device that proved itself may take to ask for what is new.
    pub pull_timeout: Duration,
    /// Bytes given to the driver for one session and not yet written, beyond which the session is served from the log
    /// again later. One that takes in four times that much of answers without reading any is let go.
    pub max_unwritten_bytes: usize,
    /// Policy chains kept in memory.
    pub max_chains: usize,
    /// Backfills that a session may have waiting, each of another chain.
    pub max_backfills: usize,
    /// Chunks and documents of one device that may await a decision.
    pub max_review_items: u64,
    /// Their sizes, in bytes.
    pub max_review_bytes: u64,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            auth_timeout: Duration::from_secs(30),
            pull_timeout: Duration::from_secs(30),
            max_unwritten_bytes: 256 << 10,
            max_chains: 8_192,
            max_backfills: 16,
            max_review_items: 4_096,
            max_review_bytes: 64 << 20,
        }
    }
}

/// What the driver tells the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A websocket was opened.
    Opened(SessionId),
    /// A binary frame arrived.
    Frame(SessionId, Vec<u8>),
    /// What arrived is no frame: too long, or no binary one.
    Broken(SessionId),
    /// So many bytes of frames were written to the network.
    Written(SessionId, usize),
    /// The websocket ended.
    Closed(SessionId),
    /// The time named by [`RelayMachine::poll_timeout`] came.
    Timeout,
    /// The relay stops: every session gets its goodbye.
    Stop,
}

/// What the driver is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write a binary frame; report it with [`Input::Written`].
    Send(SessionId, Vec<u8>),
    /// Close the websocket once what was sent is written. No [`Input::Closed`] is needed.
    Close(SessionId),
}

/// What a commit released.
#[derive(Debug, Default)]
pub struct Committed {
    /// To be done, in this order.
    pub effects: Vec<Effect>,
    /// Why nothing was stored, if so: the effects then say goodbye to every session.
    pub failure: Option<StoreError>,
}

/// Why the machine wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeReason {
    /// A device has not proved itself in time.
    AuthOverdue(SessionId),
    /// A device that proved itself has not asked for what is new in time.
    PullOverdue(SessionId),
}
