//! `cargo xtask bench`, `simulate` and `vectors`: each builds one program of the workspace and runs it.

use anyhow::Result;
use clap::{ArgGroup, Args};

use crate::{Outcome, cargo::cargo, progress::step, setup};

/// Runs the workloads and prints what was measured beside the limits.
///
/// With --json, one JSON object a line on standard output and nothing else there.
///
/// Examples:
///   cargo xtask bench
///   cargo xtask bench return new-device reconnect device --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bench {
    /// Workloads to run; all of them when none is named.
    workloads: Vec<String>,
    /// Prints JSON lines for a program instead of a table for a person.
    #[arg(long)]
    json: bool,
    /// Further arguments for the benchmark, after `--`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Bench {
    /// Builds with optimisation and runs.
    ///
    /// # Errors
    /// When the machine lacks something or cargo cannot be started.
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut words = self.workloads;
        if self.json {
            words.push("--json".to_owned());
        }
        words.extend(self.arguments);
        run_program("vereda-bench", "measuring", &["--release"], &words)
    }
}

/// Runs the simulated cluster: real state machines on a faulty network, disk and clock, one world per seed.
///
/// A failing world prints its seed; the same seed replays it. What a world is like goes by its seed:
///   from 0       edits only; mild faults below 1000, then rough ones
///   from 10000   people decide on access too; mild faults
///   from 20000   the relay lies too: it withholds removals (20000, 20005 and so on), hands on what a removed device
///                writes (20001 ...), forks (20002 ...), goes back (20003 ...), falsifies wraps and frontiers (20004 ...)
///   from 30000   decisions and rough faults, the relay honest
///
/// Examples:
///   cargo xtask simulate
///   cargo xtask simulate --seeds 0..2000
///   cargo xtask simulate --seeds 20000..20100
///   cargo xtask simulate --seeds 1337..1338 -- --verbose
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Simulate {
    /// Seeds to run, the last one excluded.
    #[arg(long, value_name = "FROM..TO", default_value = "0..200", value_parser = parse_seeds)]
    seeds: String,
    /// Further arguments for the simulator, after `--`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Simulate {
    /// Builds in the profile of the tests and runs.
    ///
    /// # Errors
    /// When the machine lacks something or cargo cannot be started.
    pub(crate) fn run(self) -> Result<Outcome> {
        let mut words = vec!["--seeds".to_owned(), self.seeds];
        words.extend(self.arguments);
        run_program("vereda-simulator", "simulating", &[], &words)
    }
}

/// Compares the golden bytes of every format with what the code makes, or writes them anew.
///
/// Regenerating is a reviewed act: bytes once written must stay readable.
///
/// Examples:
///   cargo xtask vectors --check
///   cargo xtask vectors --regenerate
#[derive(Args)]
#[command(verbatim_doc_comment, group = ArgGroup::new("act").required(true))]
pub(crate) struct Vectors {
    /// Fails where the code makes other bytes than those committed.
    #[arg(long, group = "act")]
    check: bool,
    /// Writes the bytes that the code makes now.
    #[arg(long, group = "act")]
    regenerate: bool,
}

impl Vectors {
    /// Checks or regenerates.
    ///
    /// # Errors
    /// When the machine lacks something or cargo cannot be started.
    pub(crate) fn run(self) -> Result<Outcome> {
        let (act, name) =
            if self.check { ("--check", "checking golden bytes") } else { ("--regenerate", "writing golden bytes") };
        run_program("vereda-vectors", name, &[], &[act.to_owned()])
    }
}

fn run_program(package: &str, name: &str, profile: &[&str], arguments: &[String]) -> Result<Outcome> {
    step("checking what the machine needs", setup::prepare)?;
    let mut words: Vec<String> = ["run", "--package", package].map(str::to_owned).to_vec();
    words.extend(profile.iter().map(|&word| word.to_owned()));
    words.push("--".to_owned());
    words.extend(arguments.iter().cloned());
    step(name, || cargo(&words))
}

fn parse_seeds(text: &str) -> Result<String, String> {
    let bounds = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match bounds {
        Some((from, to)) if u64::lt(&from, &to) => Ok(text.to_owned()),
        Some(_) => Err("the first seed must be smaller than the last".to_owned()),
        None => Err("expected two numbers, as in 0..2000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_is_two_rising_numbers() {
        let check = |text: &str, valid: bool| assert_eq!(parse_seeds(text).is_ok(), valid, "{text}");
        check("0..2000", true);
        check("7..8", true);
        check("8..8", false);
        check("9..1", false);
        check("12", false);
        check("a..b", false);
        check("-1..4", false);
    }
}
