//! `vereda-relay founding-link`

use anyhow::Result;

use super::{DataFolder, say};
use crate::link::founding_link;

/// See `--help`.
#[derive(Debug, clap::Args)]
pub(crate) struct FoundingLink {
    #[command(flatten)]
    data: DataFolder,
    /// Where devices connect, such as wss://relay.example.org/sync.
    #[arg(long, value_name = "URL", value_parser = crate::link::parse_address)]
    address: String,
    /// Print one JSON object: {"link": …}.
    #[arg(long)]
    json: bool,
}

impl FoundingLink {
    pub(crate) fn run(&self) -> Result<()> {
        let folder = self.data.folder();
        let key = folder.key()?.device_id();
        let link = founding_link(&self.address, &key, &folder.make_founding_secret()?);
        if self.json { say(&serde_json::json!({ "link": link }).to_string()) } else { say(&link) }
    }
}
