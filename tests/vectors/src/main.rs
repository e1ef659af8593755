//! `vereda-vectors --check` compares the golden bytes with what the code makes; `--regenerate` writes them anew.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;

fn main() -> Result<ExitCode> {
    let root = vereda_vectors::committed();
    let mut out = io::stdout().lock();
    match std::env::args().nth(1).as_deref() {
        Some("--check") => {
            let breaches = vereda_vectors::check(&root);
            for breach in &breaches {
                writeln!(out, "{breach}")?;
            }
            if breaches.is_empty() {
                writeln!(out, "golden bytes of {} formats are as committed", vereda_vectors::FORMATS.len())?;
                return Ok(ExitCode::SUCCESS);
            }
            writeln!(out, "if this is meant: a new version of the format, or `cargo xtask vectors --regenerate`")?;
            Ok(ExitCode::FAILURE)
        }
        Some("--regenerate") => {
            let changed = vereda_vectors::regenerate(&root)?;
            for file in &changed {
                writeln!(out, "written: {}", file.display())?;
            }
            writeln!(out, "{} files changed: review every one of them", changed.len())?;
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            writeln!(out, "usage: vereda-vectors --check | --regenerate")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
