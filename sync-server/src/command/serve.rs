//! `vereda-relay serve`

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result};
use vereda_relay::{Relay, RelayOptions, TlsFiles};

use super::{DataFolder, say};

/// See `--help`.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    data: DataFolder,
    /// Where to listen. Port 0 takes a free one, which is printed.
    #[arg(long, env = "VEREDA_RELAY_LISTEN", default_value = "127.0.0.1:8480", value_name = "ADDR")]
    listen: SocketAddr,
    /// Certificate chain in PEM, the relay's own certificate first. Without it: plain websockets.
    #[arg(long, env = "VEREDA_RELAY_TLS_CERT", requires = "tls_key", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Private key in PEM.
    #[arg(long, env = "VEREDA_RELAY_TLS_KEY", requires = "tls_cert", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Print one JSON object a line: "listening" once devices can connect, "stopped" at the end.
    #[arg(long)]
    json: bool,
}

impl Serve {
    pub(crate) fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<()> {
        let tls = self.tls_cert.zip(self.tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
        let is_plain = tls.is_none();
        // Both are caught before anything is announced: whoever reads the announcement may stop the relay at once.
        let stop = stop_signal()?;
        let options = RelayOptions { folder: self.data.folder(), listen: self.listen, tls };
        let relay = Relay::start(options).await?;
        if is_plain && !relay.address().ip().is_loopback() {
            tracing::warn!("no certificate: the network sees who connects, and when; content stays sealed");
        }
        let (address, url, key) = (relay.address(), relay.url(), relay.key());
        if self.json {
            let line = serde_json::json!({ "event": "listening", "address": address, "url": url, "relay": key });
            say(&line.to_string())?;
        } else {
            say(&format!("Listening on {address}, devices connect to {url}"))?;
            say(&format!("Relay key {key}"))?;
        }
        stop.await;
        tracing::info!("stopping");
        relay.stop().await;
        if self.json { say(&serde_json::json!({ "event": "stopped" }).to_string()) } else { say("Stopped.") }
    }
}

/// Waits for SIGTERM or SIGINT.
#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let interrupt = tokio::signal::windows::ctrl_c().context("Ctrl-C cannot be caught")?;
    Ok(async move {
        let mut interrupt = interrupt;
        interrupt.recv().await;
    })
}
