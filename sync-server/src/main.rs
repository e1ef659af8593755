//! `vereda-relay`: runs a relay and looks after its data folder.

mod command;
mod link;

use std::{io::Write, process::ExitCode};

use clap::Parser;
use tracing_subscriber::EnvFilter;

use command::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(&arguments.log);
    let done = match arguments.command {
        Command::Init(init) => init.run(),
        Command::Serve(serve) => serve.run(),
        Command::FoundingLink(founding) => founding.run(),
        Command::Restored(restored) => restored.run(),
        Command::Status(status) => status.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done where even this cannot be written.
            let _ = writeln!(std::io::stderr(), "vereda-relay: {}", sentence_of(&error));
            ExitCode::FAILURE
        }
    }
}

/// Says an error with its causes, each once: many say their cause themselves.
fn sentence_of(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.ends_with(&cause) {
            sentence.push_str(": ");
            sentence.push_str(&cause);
        }
    }
    sentence
}

/// Logs go to standard error: ids, sizes and states only.
fn start_log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
}
