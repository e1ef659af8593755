//! `vereda-relay serve`

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use vereda_relay::{Limits, Relay, RelayOptions, TlsFiles};

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
    #[command(flatten)]
    bounds: Bounds,
    /// Print one JSON object a line: "listening" once devices can connect, "stopped" at the end.
    #[arg(long)]
    json: bool,
}

/// What connections may take.
#[derive(Debug, clap::Args)]
struct Bounds {
    /// Connections at a time. Each takes a file descriptor: see that the service may open as many.
    #[arg(long, env = "VEREDA_RELAY_MAX_CONNECTIONS", default_value_t = Limits::default().max_connections, value_name = "N")]
    max_connections: usize,
    /// Connections at a time from one address (IPv6: one network of 64 bits). Not behind a proxy.
    #[arg(long, env = "VEREDA_RELAY_MAX_PER_ADDRESS", value_name = "N")]
    max_per_address: Option<usize>,
    /// Seconds that a connection may take for its TLS handshake, and then until it is a websocket.
    #[arg(long, env = "VEREDA_RELAY_HANDSHAKE_TIMEOUT", default_value_t = Limits::default().handshake.as_secs(),
        value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    handshake_timeout: u64,
    /// Seconds that a device may take to prove itself, and then to ask for what is new.
    #[arg(long, env = "VEREDA_RELAY_PROOF_TIMEOUT", default_value_t = Limits::default().proof.as_secs(),
        value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    proof_timeout: u64,
    /// Seconds of silence after which a device is probed; after twice as many it counts as gone.
    #[arg(long, env = "VEREDA_RELAY_IDLE_TIMEOUT", default_value_t = Limits::default().silence.as_secs(),
        value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle_timeout: u64,
    /// Chunks and documents of one removed device that may await a Manager's decision.
    #[arg(long, env = "VEREDA_RELAY_MAX_REVIEW_ITEMS", default_value_t = Limits::default().max_review_items,
        value_name = "N")]
    max_review_items: u64,
    /// Their sizes together, in MiB.
    #[arg(long, env = "VEREDA_RELAY_MAX_REVIEW_SIZE", default_value_t = Limits::default().max_review_bytes >> 20,
        value_name = "MIB", value_parser = clap::value_parser!(u64).range(0..=1_048_576))]
    max_review_size: u64,
}

impl Bounds {
    const fn limits(&self) -> Limits {
        Limits {
            max_connections: self.max_connections,
            max_per_address: self.max_per_address,
            handshake: Duration::from_secs(self.handshake_timeout),
            proof: Duration::from_secs(self.proof_timeout),
            silence: Duration::from_secs(self.idle_timeout),
            max_review_items: self.max_review_items,
            max_review_bytes: self.max_review_size << 20,
        }
    }
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
        let options =
            RelayOptions { folder: self.data.folder(), listen: self.listen, tls, limits: self.bounds.limits() };
        let relay = Relay::start(options).await?;
        if is_plain && !relay.address().ip().is_loopback() {
            tracing::warn!(
                "no certificate: the network sees who connects, and when; content stays sealed. Devices on other machines \
                 refuse to connect unless they are told --allow-plain"
            );
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
