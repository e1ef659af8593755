//! The command line.

mod founding_link;
mod init;
mod restored;
mod serve;
mod status;

use std::{io::Write, path::PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};

/// A relay for Vereda: it orders, stores and passes on what it cannot read.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What is logged to standard error, such as `info`, `debug` or `vereda_relay=trace`.
    #[arg(long, global = true, default_value = "info", env = "VEREDA_LOG", value_name = "FILTER")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a relay: its key, its database, and a link with which an agency can be founded.
    Init(init::Init),
    /// Runs the relay until SIGTERM or SIGINT. Makes one first where there is none.
    Serve(serve::Serve),
    /// Prints a new link, good for founding one agency. Also while the relay runs.
    FoundingLink(founding_link::FoundingLink),
    /// Tells devices that this data folder was restored from a backup. To be run before the relay serves it.
    Restored(restored::Restored),
    /// Says what the data folder holds.
    Status(status::Status),
}

const EXAMPLES: &str = "\
Examples:
  On one machine, to try things out:
    vereda-relay serve --data ./relay --listen 127.0.0.1:8480
    vereda-relay founding-link --data ./relay --address ws://127.0.0.1:8480/sync

  For devices elsewhere, with a certificate:
    vereda-relay init --data /var/lib/vereda
    vereda-relay serve --data /var/lib/vereda --listen 0.0.0.0:443 \\
        --tls-cert /etc/vereda/fullchain.pem --tls-key /etc/vereda/privkey.pem
    vereda-relay founding-link --data /var/lib/vereda --address wss://relay.example.org/sync

Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  the command line is wrong";

/// Where the data folder is.
#[derive(Debug, clap::Args)]
pub(crate) struct DataFolder {
    /// The data folder: the relay's key and its database.
    #[arg(long, env = "VEREDA_RELAY_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,
}

impl DataFolder {
    pub(crate) fn folder(&self) -> vereda_relay::Folder {
        vereda_relay::Folder::new(&self.data)
    }
}

/// Writes a line to standard output.
pub(crate) fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
