//! What the person at the terminal sees: plain sentences, 80 columns wide, and progress that stays on its line.

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    sync::mpsc::{RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use anyhow::Result;

/// Columns of a line.
pub const WIDTH: usize = 80;
const INDENT: usize = 3;
/// Between two pictures of a progress.
const TICK: Duration = Duration::from_millis(100);

/// Writes to standard output, or to standard error where standard output is for JSON.
pub struct Screen {
    is_aside: bool,
    is_live: bool,
    chapter: usize,
    started: Instant,
}

impl Screen {
    /// Makes a screen; `is_aside` leaves standard output to a program that reads it.
    pub fn new(is_aside: bool) -> Self {
        let is_live = if is_aside { stderr().is_terminal() } else { stdout().is_terminal() };
        Self { is_aside, is_live, chapter: 0, started: Instant::now() }
    }

    /// Time since the demo began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Begins a numbered chapter.
    pub fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        self.write(&format!("\n{}. {title}\n", self.chapter));
    }

    /// Says something, wrapped and indented.
    pub fn say(&self, text: &str) {
        self.write(&wrap(text, INDENT, INDENT));
    }

    /// Says something that stands under what was said before: a row of a list.
    pub fn row(&self, text: &str) {
        self.write(&wrap(&format!("- {text}"), INDENT, INDENT + 2));
    }

    /// Writes a line as it is, for what people copy.
    pub fn copy(&self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    /// Shows `picture` on one line, again and again, while `work` runs.
    pub fn watch<T: Send>(&self, picture: impl Fn() -> String, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let (done, is_done) = channel::<()>();
            let working = scope.spawn(move || {
                // Dropped at the end, also by a panic: that is the news.
                let _done = done;
                work()
            });
            while is_done.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                self.picture(&picture());
            }
            self.picture("");
            working.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a part of the demo stopped by a defect")))
        })
    }

    fn picture(&self, text: &str) {
        if !self.is_live {
            return;
        }
        let text: String = text.chars().take(WIDTH - INDENT - 1).collect();
        self.write(&format!("\r\x1b[2K{:INDENT$}{text}{}", "", if text.is_empty() { "\r" } else { "" }));
    }

    fn write(&self, text: &str) {
        // A closed terminal is no reason to stop: the exit code still says how it went.
        if self.is_aside {
            let mut out = stderr().lock();
            drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        } else {
            let mut out = stdout().lock();
            drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        }
    }
}

/// Writes a number with its noun, in the singular where it is one.
pub fn count(number: usize, noun: &str) -> String {
    let thousands = grouped(number as u64);
    match (number, noun) {
        (1, noun) => format!("1 {noun}"),
        (_, "person") => format!("{thousands} people"),
        (_, noun) if noun.ends_with('y') => format!("{thousands} {}ies", noun.trim_end_matches('y')),
        (_, noun) => format!("{thousands} {noun}s"),
    }
}

/// Writes bytes as people read them.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} bytes", grouped(bytes)),
        10_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1_000.0),
        _ => format!("{:.1} MB", bytes as f64 / 1_000_000.0),
    }
}

/// Writes a time span.
pub fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

/// Joins names as a sentence does.
pub fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn wrap(text: &str, first: usize, later: usize) -> String {
    let mut out = " ".repeat(first);
    let mut column = first;
    for (index, word) in text.split_whitespace().enumerate() {
        let len = word.chars().count();
        if index > 0 && column + 1 + len > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(later));
            column = later;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_at_the_width_and_hang() {
        let text = "word ".repeat(40);
        let wrapped = wrap(&text, 3, 5);
        let lines: Vec<&str> = wrapped.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{wrapped}");
        assert!(lines[0].starts_with("   w") && lines[1].starts_with("     w"));
        assert_eq!(wrapped.split_whitespace().count(), 40);
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(1, "case"), "1 case");
        assert_eq!(count(1_234, "reply"), "1,234 replies");
        assert_eq!(
            (bytes(999), bytes(12_345), bytes(3_450_000)),
            ("999 bytes".into(), "12 kB".into(), "3.5 MB".into())
        );
        assert_eq!(list(&["Amina", "Bilal", "Carmen"]), "Amina, Bilal and Carmen");
    }
}
