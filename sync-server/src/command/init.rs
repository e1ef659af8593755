//! `vereda-relay init`

use anyhow::Result;

use super::{DataFolder, say};
use crate::link::{founding_link, relay_link};

/// Stands in a link until the operator knows better.
const PLACEHOLDER: &str = "wss://HOST/sync";

/// See `--help`.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    #[command(flatten)]
    data: DataFolder,
    /// Where devices will connect, such as wss://relay.example.org/sync; stands in the links.
    #[arg(long, value_name = "URL", value_parser = crate::link::parse_address)]
    address: Option<String>,
}

impl Init {
    pub(crate) fn run(&self) -> Result<()> {
        let folder = self.data.folder();
        let key = folder.init()?.device_id();
        let secret = folder.make_founding_secret()?;
        let address = self.address.as_deref().unwrap_or(PLACEHOLDER);
        say(&format!("Relay:         {}", relay_link(address, &key)))?;
        say(&format!("Founding link: {}", founding_link(address, &key, &secret)))?;
        if self.address.is_none() {
            say("Put your relay's host in place of HOST, or print another link with `vereda-relay founding-link`.")?;
        }
        say("The founding link is good for one agency. Whoever has it can found that agency: pass it on in private.")
    }
}
