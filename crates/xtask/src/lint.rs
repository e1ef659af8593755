//! `cargo xtask lint`

use anyhow::Result;
use clap::Args;

use crate::{Outcome, cargo::cargo, progress::step, tidy};

/// Checks formatting, clippy without a single warning, and the rules of the house (tidy).
///
/// All three run even if one fails, so that one call shows everything.
///
/// Examples:
///   cargo xtask lint
///   cargo xtask lint --fix     # formats and applies what clippy can repair by itself
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Lint {
    /// Repairs what can be repaired before checking.
    #[arg(long)]
    fix: bool,
}

impl Lint {
    /// Runs the three checks.
    ///
    /// # Errors
    /// When one of them cannot be carried out.
    pub(crate) fn run(self) -> Result<Outcome> {
        if self.fix {
            let _ = step("formatting the sources", || cargo(&["fmt", "--all"]))?;
            let _ = step("applying clippy's repairs", || {
                cargo(&["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"])
            })?;
        }
        let format = step("formatting (cargo fmt --check)", || cargo(&["fmt", "--all", "--check"]))?;
        let tidy = step("rules of the house (tidy)", tidy::check)?;
        let clippy = step("clippy, warnings are errors", || {
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
        })?;
        Ok(format.and(tidy).and(clippy))
    }
}
