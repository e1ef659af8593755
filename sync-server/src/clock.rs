//! The one place that reads the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vereda_base::{Monotonic, Now, Timestamp};

/// Both clocks of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts the monotonic clock at this moment.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Reads both clocks.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    pub fn now(&self) -> Now {
        let monotonic = Monotonic(self.start.elapsed());
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { monotonic, wall: Timestamp(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)) }
    }

    /// Converts a moment of the monotonic clock into one that timers understand.
    pub fn instant(&self, moment: Monotonic) -> Instant {
        self.start.checked_add(moment.0).unwrap_or(self.start)
    }
}
