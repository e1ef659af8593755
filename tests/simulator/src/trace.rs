//! What happened in a world: the last lines for people, a digest of all for comparison.

use std::{collections::VecDeque, fmt::Arguments};

/// Lines kept.
const KEPT: usize = 160;

/// The trace of a world.
#[derive(Debug)]
pub struct Trace {
    lines: VecDeque<String>,
    digest: u64,
    is_shown: bool,
}

impl Trace {
    /// Begins a trace; where it is shown, every line goes to standard error as it comes.
    pub const fn new(is_shown: bool) -> Self {
        Self { lines: VecDeque::new(), digest: 0xcbf2_9ce4_8422_2325, is_shown }
    }

    /// Adds a line.
    pub fn note(&mut self, at_ms: u64, what: Arguments<'_>) {
        let line = format!("{:>9}.{:03} {what}", at_ms / 1_000, at_ms % 1_000);
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.is_shown {
            use std::io::Write;
            // Nobody may be reading.
            drop(writeln!(std::io::stderr(), "{line}"));
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Digests every line so far (FNV-1a).
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Gives the last lines.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
