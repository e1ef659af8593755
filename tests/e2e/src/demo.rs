//! The demo: a relay that cannot read, three caseworkers, three days offline. It computes every figure that it prints,
//! and compares everything with what must be: what is not so is said in a sentence, and the demo fails.

mod agency;
mod caseload;
mod days;
mod dice;
mod farewell;
mod hunt;
mod leaf;
mod ledger;
mod person;
mod plan;
mod reckoning;
mod reunion;
mod screen;
mod stage;
mod story;

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Map, Value as Json};

use self::{agency::Source, screen::Screen};

/// How many cases there must be at least: every team needs some.
pub const MIN_CASES: usize = 8;
/// How many cases there are unless told otherwise.
pub const USUAL_CASES: usize = 100;

/// What the demo can be told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Ends with the verdict instead of leaving the relay running.
    pub is_headless: bool,
    /// A configuration exported from Primero or by `vereda`, instead of the starter configuration.
    pub config: Option<PathBuf>,
    /// How many cases are registered.
    pub cases: usize,
    /// Seeds cases and edits.
    pub seed: u64,
    /// Prints one JSON object on standard output at the end, and everything else on standard error.
    pub is_json: bool,
}

/// What the demo came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is not as it must be, each in a sentence.
    pub broken: Vec<String>,
    /// Every figure by its name.
    pub figures: Map<String, Json>,
}

/// Plays the demo.
///
/// # Errors
/// When it cannot go on: a program fails, or something is refused that must not be.
pub fn play(options: &Options) -> Result<Verdict> {
    let mut screen = Screen::new(options.is_json);
    let source = options.config.as_deref().map_or(Ok(Source::Starter), Source::of)?;
    let (folder, temporary) = if options.is_headless {
        let temporary = tempfile::tempdir()?;
        (temporary.path().to_owned(), Some(temporary))
    } else {
        (farewell::new_folder()?, None)
    };
    let verdict = story::tell(&mut screen, options, &source, &folder);
    if verdict.as_ref().is_ok_and(|verdict| verdict.broken.is_empty()) {
        return verdict;
    }
    if let Some(mut temporary) = temporary {
        temporary.disable_cleanup(true);
    }
    screen.say(&format!("Logs and files are kept in {}.", folder.display()));
    verdict
}

/// The beginning of a case's id, as people use it.
fn short(case: &str) -> &str {
    case.get(..8).unwrap_or(case)
}
