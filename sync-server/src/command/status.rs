//! `vereda-relay status`

use anyhow::Result;
use vereda_relay::store::SCHEMA_VERSION;
use vereda_sync::relay::RelayStore;

use super::{DataFolder, say};

/// See `--help`.
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    data: DataFolder,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) fn run(&self) -> Result<()> {
        let folder = self.data.folder();
        let key = folder.key()?.device_id();
        let store = folder.open_store()?;
        let (end, epoch) = (store.end()?.0, store.relay_epoch()?);
        let serving = folder.lock().is_err();
        if self.json {
            return say(&serde_json::json!({
                "version": env!("CARGO_PKG_VERSION"),
                "relay": key,
                "relay_epoch": epoch.map(|epoch| epoch.to_string()),
                "schema": SCHEMA_VERSION,
                "log_position": end,
                "serving": serving,
            })
            .to_string());
        }
        say(&format!("Relay:        {key}"))?;
        say(&format!("Program:      {}, database shape {SCHEMA_VERSION}", env!("CARGO_PKG_VERSION")))?;
        say(&format!("Log position: {end}"))?;
        say(if serving { "A process serves it." } else { "No process serves it." })
    }
}
