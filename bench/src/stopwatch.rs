//! Measures durations.

use std::time::Duration;

use vereda_client_core::native::clock::Clock;

/// Runs from when it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Clock);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Clock::start())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.now().monotonic.0
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}
