//! What reaches standard output and standard error, and nothing else does.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use crate::{
    fault::Outcome,
    table::{columns, fold_words},
};

/// Writes text for people, or for pipes, to standard output.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes one line to standard output; on a terminal broken between words where it is too long for one.
pub(crate) fn print_line(text: &str) -> Outcome {
    let is_terminal = io::stdout().is_terminal();
    print(&format!("{}\n", if is_terminal { fold_words(text, columns()) } else { text.to_owned() }))
}

/// Writes one JSON value as one line to standard output.
pub(crate) fn print_json(value: &Value) -> Outcome {
    print(&format!("{value}\n"))
}

/// Writes one line to standard error, as [`print_line`]. A terminal that went away is no reason to fail.
pub(crate) fn note(text: &str) {
    let mut err = io::stderr().lock();
    let text = if err.is_terminal() { fold_words(text, columns()) } else { text.to_owned() };
    drop(writeln!(err, "{text}"));
}
