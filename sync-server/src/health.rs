//! How the relay does: whoever runs it in his program may count, whoever asks over the network is told whether it stores.

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

/// How a relay does, for whoever runs it: sizes and states, no ids and no names.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What anybody is told who asks: how many are connected and how much is stored when is the operator's alone.
#[derive(Debug, Serialize)]
pub(crate) struct PublicHealth {
    storage: &'static str,
}

impl Health {
    /// Says whether the last commit failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed)
    }

    /// Reads what anybody may know.
    pub(crate) fn public(&self) -> PublicHealth {
        PublicHealth { storage: if self.is_failing() { "failing" } else { "ok" } }
    }

    /// Reads the numbers.
    pub fn report(&self) -> HealthReport {
        HealthReport {
            version: env!("CARGO_PKG_VERSION"),
            schema: SCHEMA_VERSION,
            sessions: self.0.sessions.load(Ordering::Relaxed),
            log_position: self.0.position.load(Ordering::Relaxed),
            storage: self.public().storage,
        }
    }

    pub(crate) fn note(&self, sessions: usize, position: Position, failing: bool) {
        self.0.sessions.store(sessions, Ordering::Relaxed);
        self.0.position.store(position.0, Ordering::Relaxed);
        self.0.failing.store(failing, Ordering::Relaxed);
    }
}
