//! Where a passphrase comes from: a file, the environment, or a prompt that does not echo.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::Args;
use vereda_base::Sensitive;

use crate::{
    command::EVERYWHERE,
    fault::{Fault, FaultKind, Outcome},
};

/// The environment variable that may hold the passphrase.
const VARIABLE: &str = "VEREDA_PASSPHRASE";
/// Shortest new passphrase, in characters: below it, even slow guesses soon have tried them all.
const MIN_CHARS: usize = 8;

/// How the passphrase is given.
#[derive(Debug, Args)]
pub(crate) struct PassphraseSource {
    /// Reads the passphrase from the first line of a file instead of asking for it [env: VEREDA_PASSPHRASE holds it itself]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseSource {
    /// Takes the passphrase from a file, where one is named.
    pub(crate) const fn of_file(passphrase_file: Option<PathBuf>) -> Self {
        Self { passphrase_file }
    }

    /// Obtains the passphrase of a vault that exists.
    pub(crate) fn obtain(&self) -> Outcome<Sensitive<String>> {
        match self.given()? {
            Some(given) => Ok(given),
            None => prompt("Passphrase: "),
        }
    }

    /// Obtains the passphrase of a vault to be made: asks twice.
    pub(crate) fn obtain_new(&self) -> Outcome<Sensitive<String>> {
        if let Some(given) = self.given()? {
            return long_enough(given);
        }
        let first = long_enough(prompt("New passphrase: ")?)?;
        if prompt("Once more: ")?.expose() == first.expose() {
            return Ok(first);
        }
        Err(Fault::usage("the two passphrases differ; nothing was changed"))
    }

    fn given(&self) -> Outcome<Option<Sensitive<String>>> {
        if let Some(path) = &self.passphrase_file {
            return read_first_line(path).map(Some);
        }
        Ok(std::env::var(VARIABLE).ok().map(Sensitive::new))
    }
}

fn long_enough(passphrase: Sensitive<String>) -> Outcome<Sensitive<String>> {
    if passphrase.expose().chars().count() < MIN_CHARS {
        return Err(Fault::usage(format!(
            "a passphrase takes {MIN_CHARS} characters at least, better four words or more; nothing was changed"
        )));
    }
    Ok(passphrase)
}

fn read_first_line(path: &Path) -> Outcome<Sensitive<String>> {
    let text = std::fs::read_to_string(path).map(Sensitive::new).map_err(|error| {
        Fault::new(FaultKind::Locked, format!("the passphrase file {} cannot be read: {error}", path.display()))
    })?;
    Ok(Sensitive::new(text.expose().lines().next().unwrap_or_default().to_owned()))
}

fn prompt(question: &str) -> Outcome<Sensitive<String>> {
    if !std::io::stdin().is_terminal() {
        return Err(Fault::new(
            FaultKind::Locked,
            format!("no terminal to ask for the passphrase: give --passphrase-file FILE or {VARIABLE}"),
        ));
    }
    Ok(Sensitive::new(rpassword::prompt_password(question)?))
}
