//! `vereda`, the command-line client: a whole device, for people, for scripts, for tests.

mod command;
mod contact;
mod fault;
mod faults;
mod link_source;
mod opened;
mod output;
mod passphrase;
mod qr;
mod session;
mod table;
mod views;

use std::process::ExitCode;

use clap::Parser;

use crate::{command::Vereda, fault::Fault};

fn main() -> ExitCode {
    quiet_panics();
    let arguments = Vereda::parse();
    start_log(&arguments);
    match arguments.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault { kind, sentence }) => {
            output::note(&format!("vereda: {sentence}"));
            ExitCode::from(kind.exit_code())
        }
    }
}

/// A panic's message may quote a value, so that only its place is shown.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        output::note(&format!("vereda: stopped by a defect of the program{place}; what was acknowledged is stored"));
    }));
}

/// Logs go to standard error and hold ids and sizes only.
fn start_log(arguments: &Vereda) {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_env_filter(tracing_subscriber::EnvFilter::new(arguments.log_filter()))
        .finish();
    // Only a second call could fail, and there is none.
    drop(tracing::subscriber::set_global_default(subscriber));
}
