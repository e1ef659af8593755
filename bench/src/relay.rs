//! The part of a relay: a process that serves until its input ends.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use vereda_base::{DeviceId, Sensitive};
use vereda_client_core::link::{FoundingLink, RelayAddress};
use vereda_relay::{Folder, Limits, Relay, RelayOptions};

use crate::{part::Answer, report::print_line};

/// Says that it serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) key: DeviceId,
    /// Founds one agency; drawn anew at each start.
    secret: [u8; 32],
}

impl Serving {
    /// Makes the link by which an agency is founded over a network.
    pub(crate) fn founding_link(&self, url: String) -> FoundingLink {
        FoundingLink { relay: RelayAddress { url, key: self.key }, secret: Sensitive::new(self.secret) }
    }
}

/// Serves until standard input ends.
pub(crate) fn serve(folder: &Path) -> Result<()> {
    let folder = Folder::new(folder);
    if !folder.is_relay() {
        folder.init()?;
    }
    let secret = *folder.make_founding_secret()?.expose();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let relay =
        runtime.block_on(Relay::start(RelayOptions { folder, listen, tls: None, limits: Limits::default() }))?;
    let serving = Serving { address: relay.address(), key: relay.key(), secret };
    print_line(&serde_json::to_string(&Answer::Ok(serving))?)?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).context("reading standard input")?;
    runtime.block_on(relay.stop());
    Ok(())
}
