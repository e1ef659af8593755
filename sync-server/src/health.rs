//! What a monitor may know: sizes and states, no ids and no names.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use serde::Serialize;
use vereda_protocol::Position;

use crate::store::SCHEMA_VERSION;

/// The numbers as the writer last left them.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    sessions: AtomicUsize,
    position: AtomicU64,
    failing: AtomicBool,
}

/// The answer of the health endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// The program's version.
    pub version: &'static str,
    /// The database's shape.
    pub schema: u32,
    /// Open websockets.
    pub sessions: usize,
    /// The log's last position.
    pub log_position: u64,
    /// "ok", or "failing" after a commit that failed, until one succeeds.
    pub storage: &'static str,
}

impl Health {
    /// Reads the numbers.
    pub fn report(&self) -> HealthReport {
        let failing = self.0.failing.load(Ordering::Relaxed);
        HealthReport {
            version: env!("CARGO_PKG_VERSION"),
            schema: SCHEMA_VERSION,
            sessions: self.0.sessions.load(Ordering::Relaxed),
            log_position: self.0.position.load(Ordering::Relaxed),
            storage: if failing { "failing" } else { "ok" },
        }
    }

    pub(crate) fn note(&self, sessions: usize, position: Position, failing: bool) {
        self.0.sessions.store(sessions, Ordering::Relaxed);
        self.0.position.store(position.0, Ordering::Relaxed);
        self.0.failing.store(failing, Ordering::Relaxed);
    }
}
