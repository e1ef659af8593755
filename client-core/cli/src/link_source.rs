//! Where a link comes from: the command line, a file, or standard input. Links hold secrets, and what stands in a command
//! line can be read by every process of the machine and stays in the shell's history.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use vereda_base::Sensitive;
use vereda_client_core::{link::RelayAddress, native::socket::PLAIN_REFUSED};

use crate::fault::{Fault, Outcome};

/// Longer than any link.
const MAX_BYTES: u64 = 64 << 10;

/// Obtains the text of a link: the one given, `-` for standard input, or the content of a file.
pub(crate) fn obtain(given: Option<Sensitive<String>>, file: Option<&Path>) -> Outcome<Sensitive<String>> {
    match (given, file) {
        (Some(text), None) if text.expose() == "-" => read(io::stdin(), "standard input"),
        (Some(text), None) => Ok(text),
        (None, Some(path)) if path == Path::new("-") => read(io::stdin(), "standard input"),
        (None, Some(path)) => {
            let file = File::open(path).map_err(|error| Fault::unusable(format!("{}: {error}", path.display())))?;
            read(file, &path.display().to_string())
        }
        _ => Err(Fault::usage("give the link, or the file that holds it with --link-file FILE (- for standard input)")),
    }
}

fn read(from: impl Read, name: &str) -> Outcome<Sensitive<String>> {
    let mut text = String::new();
    let read = from.take(MAX_BYTES).read_to_string(&mut text);
    let text = Sensitive::new(text);
    read.map_err(|error| Fault::unusable(format!("{name}: {error}")))?;
    Ok(text)
}

/// Refuses an address where the network would see what passes, unless that was allowed.
pub(crate) fn check_address(relay: &RelayAddress, allow_plain: bool) -> Outcome {
    if relay.is_exposed() && !allow_plain { Err(Fault::unusable(PLAIN_REFUSED)) } else { Ok(()) }
}

/// Takes an argument as a secret, so that nothing shows it.
pub(crate) fn secret(text: &str) -> Result<Sensitive<String>, std::convert::Infallible> {
    Ok(Sensitive::new(text.to_owned()))
}

/// Where the file lies that holds a link.
#[derive(Debug, clap::Args)]
pub(crate) struct LinkFile {
    /// Reads the link from this file; - for standard input. Unlike an argument, other
    /// programs on this machine do not see it
    #[arg(long, value_name = "FILE")]
    pub(crate) link_file: Option<PathBuf>,
}
