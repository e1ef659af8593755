//! What reaches standard output and standard error, and nothing else does.

use std::io::{self, Write};

use serde_json::Value;

use crate::fault::Outcome;

/// Writes text for people, or for pipes, to standard output.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes one line to standard output.
pub(crate) fn print_line(text: &str) -> Outcome {
    print(&format!("{text}\n"))
}

/// Writes one JSON value as one line to standard output.
pub(crate) fn print_json(value: &Value) -> Outcome {
    print(&format!("{value}\n"))
}

/// Writes one line to standard error. A terminal that went away is no reason to fail.
pub(crate) fn note(text: &str) {
    let mut err = io::stderr().lock();
    drop(writeln!(err, "{text}"));
}
