//! `vereda-relay restored`

use anyhow::Result;

use super::{DataFolder, say};

/// See `--help`.
#[derive(Debug, clap::Args)]
pub(crate) struct Restored {
    #[command(flatten)]
    data: DataFolder,
}

impl Restored {
    pub(crate) fn run(&self) -> Result<()> {
        self.data.folder().renew_epoch()?;
        say(
            "Devices that knew this relay before now see that it was restored: they keep their work and send none of it.",
        )
    }
}
