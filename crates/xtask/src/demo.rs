//! `cargo xtask demo`

use std::{ffi::OsString, path::PathBuf, process::Command};

use anyhow::Result;
use clap::Args;

use crate::{
    Outcome,
    cargo::{cargo, debug_folder, run},
    progress::{say, step},
    setup,
};

/// Shows Vereda at work: a relay that cannot read, three caseworkers, three days offline.
///
/// Builds the client, the relay and the demo with visible progress, then runs the demo. It ends with a relay left
/// running and the command lines to go on playing; with --headless it ends by itself with exit code 0 or 1.
///
/// Examples:
///   cargo xtask demo
///   cargo xtask demo --headless
///   cargo xtask demo --headless --config configuration.json --cases 300 --seed 7
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Demo {
    /// Ends with an exit code instead of leaving the relay running.
    #[arg(long)]
    headless: bool,
    /// Uses this Primero configuration export instead of the starter configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Registers this many cases.
    #[arg(long, value_name = "N")]
    cases: Option<u32>,
    /// Seeds the generator of cases and edits.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Further arguments for the demo, after `--`.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

impl Demo {
    /// Builds what the demo needs and runs it where the command was started.
    ///
    /// # Errors
    /// When the machine lacks something or a program cannot be started.
    pub(crate) fn run(self) -> Result<Outcome> {
        step("checking what the machine needs", setup::prepare)?;
        let built = step("building client, relay and demo (a first build takes some minutes)", || {
            cargo(&["build", "--package", "vereda", "--package", "vereda-relay", "--package", "vereda-e2e", "--bins"])
        })?;
        if built == Outcome::Broken {
            return Ok(built);
        }
        say("starting the demo");
        let mut command = Command::new(debug_folder()?.join("vereda-demo"));
        command.args(self.demo_arguments());
        run(command, "vereda-demo")
    }

    fn demo_arguments(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if self.headless {
            words.push("--headless".into());
        }
        if let Some(file) = &self.config {
            words.extend(["--config".into(), file.clone().into()]);
        }
        if let Some(cases) = self.cases {
            words.extend(["--cases".into(), cases.to_string().into()]);
        }
        if let Some(seed) = self.seed {
            words.extend(["--seed".into(), seed.to_string().into()]);
        }
        words.extend(self.arguments.iter().cloned());
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_asks_for_reaches_the_demo() {
        let demo = Demo {
            headless: true,
            config: Some("export.json".into()),
            cases: Some(12),
            seed: Some(7),
            arguments: vec!["--quiet".into()],
        };
        let words: Vec<_> = demo.demo_arguments().into_iter().map(|word| word.into_string().unwrap()).collect();
        assert_eq!(words.join(" "), "--headless --config export.json --cases 12 --seed 7 --quiet");
    }
}
