//! The demo: a relay that cannot read, three caseworkers, three days offline.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use serde_json::{Map, Value as Json};
use vereda_e2e::demo::{MIN_CASES, Options, USUAL_CASES, Verdict, play};

/// Plays three caseworkers, three days offline and a relay that cannot read, and checks everything that it tells.
///
/// Ends with a relay left running and the command lines to go on playing; with --headless, by itself.
///
/// Exit codes: 0 all is as it must be; 1 it is not, or the demo could not go on.
#[derive(Debug, Parser)]
#[command(name = "vereda-demo", version, verbatim_doc_comment, max_term_width = 80)]
struct Arguments {
    /// Ends by itself and stops everything that it started
    #[arg(long)]
    headless: bool,
    /// Uses this configuration, as Primero or `vereda` exports it, instead of the starter configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Registers so many cases
    #[arg(long, value_name = "N", default_value_t = USUAL_CASES as u32,
          value_parser = clap::value_parser!(u32).range(MIN_CASES as i64..=5_000))]
    cases: u32,
    /// Seeds cases and edits: equal seeds, equal work
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Prints one JSON object with every figure; everything else goes to standard error
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        is_headless: arguments.headless,
        config: arguments.config,
        cases: arguments.cases as usize,
        seed: arguments.seed,
        is_json: arguments.json,
    };
    let verdict = play(&options).unwrap_or_else(|error| {
        say(&mut std::io::stderr(), &format!("\nThe demo could not go on: {error:#}"));
        Verdict { broken: vec![format!("{error:#}")], figures: Map::new() }
    });
    let passed = verdict.broken.is_empty();
    if arguments.json {
        let mut object = verdict.figures;
        object.insert("passed".into(), passed.into());
        object.insert("broken".into(), verdict.broken.into());
        say(&mut std::io::stdout(), &Json::Object(object).to_string());
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(out: &mut dyn Write, line: &str) {
    // Nobody is left to tell where even this fails.
    drop(writeln!(out, "{line}"));
}
