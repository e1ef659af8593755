//! What the person at the terminal sees: one plain line per step, with its seconds.

use std::{fmt, time::Duration, time::Instant};

use crate::Outcome;

/// Measures how long a command or a step took.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "the one place of this binary that reads the clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start, for display.
    #[expect(clippy::disallowed_methods, reason = "the one place of this binary that reads the clock")]
    pub(crate) fn spent(&self) -> Spent {
        Spent(self.0.elapsed())
    }
}

/// A time span, displayed as a person would say it.
pub(crate) struct Spent(Duration);

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 60.0 {
            write!(f, "{seconds:.1} s")
        } else {
            write!(f, "{seconds:.0} s ({} min {} s)", self.0.as_secs() / 60, self.0.as_secs() % 60)
        }
    }
}

/// Writes one line to standard error.
#[expect(clippy::print_stderr, reason = "talking to the person at the terminal is this program's work")]
pub(crate) fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// Runs one named step and says how it went and how long it took.
///
/// # Errors
/// Whatever the step returns.
pub(crate) fn step(name: &str, run: impl FnOnce() -> anyhow::Result<Outcome>) -> anyhow::Result<Outcome> {
    say(&format!("{name} …"));
    let watch = Stopwatch::start();
    let outcome = run()?;
    let word = match outcome {
        Outcome::Holds => "passed",
        Outcome::Broken => "FAILED",
    };
    say(&format!("{name}: {word} after {}", watch.spent()));
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_reads_as_seconds_and_from_a_minute_on_as_minutes_too() {
        let check =
            |millis: u64, expected: &str| assert_eq!(Spent(Duration::from_millis(millis)).to_string(), expected);
        check(1_240, "1.2 s");
        check(59_900, "59.9 s");
        check(150_000, "150 s (2 min 30 s)");
    }
}
