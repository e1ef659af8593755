//! `cargo xtask test`

use anyhow::Result;
use clap::Args;

use crate::{Outcome, cargo::cargo, progress::step, setup};

/// Prepares the machine, builds everything and runs every test of the workspace.
///
/// A missing C compiler is installed where this is Debian and you are root; otherwise it is named.
///
/// Examples:
///   cargo xtask test
///   cargo xtask test --package vereda-sync
///   cargo xtask test -- revoked          # tests whose name contains the word
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Test {
    /// Tests only this package (may be given several times).
    #[arg(long, short, value_name = "PACKAGE")]
    package: Vec<String>,
    /// Arguments for the test programs, after `--`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Test {
    /// Prepares, builds, tests.
    ///
    /// # Errors
    /// When the machine lacks something or cargo cannot be started.
    pub(crate) fn run(self) -> Result<Outcome> {
        step("checking what the machine needs", setup::prepare)?;
        if self.package.is_empty() {
            // End-to-end tests start the real programs; one selection keeps every dependency compiled once.
            let built = step("building programs and tests", || cargo(&["build", "--workspace", "--bins", "--tests"]))?;
            if built == Outcome::Broken {
                return Ok(built);
            }
        }
        step("running every test", || cargo(&self.cargo_arguments()))
    }

    fn cargo_arguments(&self) -> Vec<String> {
        let mut words = vec!["test".to_owned(), "--no-fail-fast".to_owned()];
        if self.package.is_empty() {
            words.push("--workspace".to_owned());
        }
        words.extend(self.package.iter().flat_map(|package| ["--package".to_owned(), package.clone()]));
        if !self.arguments.is_empty() {
            words.push("--".to_owned());
            words.extend(self.arguments.iter().cloned());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_arguments_reach_cargo() {
        let check = |package: &[&str], arguments: &[&str], expected: &str| {
            let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
            let test = Test { package: owned(package), arguments: owned(arguments) };
            assert_eq!(test.cargo_arguments().join(" "), expected);
        };
        check(&[], &[], "test --no-fail-fast --workspace");
        check(&["xtask"], &["tidy"], "test --no-fail-fast --package xtask -- tidy");
    }
}
