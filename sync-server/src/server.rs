//! A relay in this process: started, asked, stopped.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, State, WebSocketUpgrade},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout,
};
use vereda_base::DeviceId;
use vereda_sync::relay::{Input, RelayConfig, RelayMachine, SessionId};

use crate::{
    clock::Clock,
    entropy::SystemEntropy,
    folder::{Folder, FolderError, FolderLock},
    health::{Health, HealthReport},
    limits::Limits,
    listener::{Listener, Tls, TlsError, TlsFiles},
    socket,
    standing::Standing,
    writer::{self, Door},
};

/// How long sessions may take to take in their goodbye.
const DRAIN: Duration = Duration::from_secs(8);

/// What a relay is started with.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// The data folder; a relay is made there if there is none.
    pub folder: Folder,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate; `None` for plain websockets.
    pub tls: Option<TlsFiles>,
    /// Bounds on connections.
    pub limits: Limits,
}

/// A relay that serves.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    key: DeviceId,
    tls: bool,
    health: Health,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Starts a relay.
    ///
    /// # Errors
    /// [`StartError`] by cause; then nothing runs.
    pub async fn start(options: RelayOptions) -> Result<Self, StartError> {
        let tls = options.tls.as_ref().map(Tls::new).transpose()?;
        let has_tls = tls.is_some();
        let folder = options.folder;
        let key = if folder.is_relay() { folder.key()? } else { folder.init()? };
        let lock = folder.lock()?;
        let mut store = folder.open_store().map_err(FolderError::Open)?;
        let limits = options.limits;
        let config = RelayConfig {
            auth_timeout: limits.proof,
            pull_timeout: limits.proof,
            max_review_items: limits.max_review_items,
            max_review_bytes: limits.max_review_bytes,
            ..RelayConfig::default()
        };
        let machine = RelayMachine::open(key, config, &mut store, &mut SystemEntropy).map_err(FolderError::Store)?;
        let relay = machine.relay();
        let tcp = TcpListener::bind(options.listen)
            .await
            .map_err(|source| StartError::Listen { address: options.listen, source })?;
        let listener = Listener::new(tcp, tls, &limits)
            .map_err(|source| StartError::Listen { address: options.listen, source })?;
        let address = listener.address();
        let health = Health::default();
        let (door, writer) = writer::start(machine, store, Clock::start(), health.clone(), Handle::current())
            .map_err(|source| StartError::Thread { source })?;
        let (stop, stopped) = oneshot::channel();
        let serving =
            tokio::spawn(serve(Served { listener, door, writer, lock, health: health.clone(), limits }, stopped));
        Ok(Self { address, key: relay, tls: has_tls, health, stop, serving })
    }

    /// Says where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says where devices connect, as seen from this machine.
    pub fn url(&self) -> String {
        format!("{}://{}/sync", if self.tls { "wss" } else { "ws" }, self.address)
    }

    /// Names the relay: its public key.
    pub const fn key(&self) -> DeviceId {
        self.key
    }

    /// Reads what a monitor may know.
    pub fn health(&self) -> HealthReport {
        self.health.report()
    }

    /// Stops: takes no more connections, says goodbye to every session, commits, checkpoints.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if self.serving.await.is_err() {
            tracing::error!("the relay did not end in good order");
        }
    }
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// TLS cannot be offered.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The writer's thread cannot be started.
    #[error("no thread for the writer: {source}")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

/// What every request sees.
#[derive(Clone)]
struct Shared {
    door: Door,
    health: Health,
    next: Arc<AtomicU64>,
    silence: Duration,
    /// Held by every session, once upgraded to a sender.
    alive: mpsc::WeakSender<()>,
}

/// What a relay that serves consists of.
struct Served {
    listener: Listener,
    door: Door,
    writer: JoinHandle<()>,
    lock: FolderLock,
    health: Health,
    limits: Limits,
}

async fn serve(served: Served, stopped: oneshot::Receiver<()>) {
    let Served { listener, door, writer, lock, health, limits } = served;
    let (alive, mut gone) = mpsc::channel(1);
    let (next, silence) = (Arc::new(AtomicU64::new(1)), limits.silence);
    let shared = Shared { door: door.clone(), health, next, silence, alive: alive.downgrade() };
    let router = Router::new().route("/sync", get(upgrade)).route("/health", get(report)).with_state(shared);
    let router = router.into_make_service_with_connect_info::<Standing>();
    tokio::select! {
        _ = axum::serve(listener, router).into_future() => {}
        // A relay that is dropped without being stopped stops all the same.
        _ = stopped => {}
    }
    door.tell(Input::Stop).await;
    drop(alive);
    let _ = timeout(DRAIN, gone.recv()).await;
    let ended = tokio::task::spawn_blocking(move || writer.join()).await;
    if !matches!(ended, Ok(Ok(()))) {
        tracing::error!("the writer did not end in good order");
    }
    drop(lock);
}

async fn upgrade(
    State(shared): State<Shared>,
    ConnectInfo(standing): ConnectInfo<Standing>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade
        .read_buffer_size(socket::READ_BUFFER_BYTES)
        .write_buffer_size(socket::WRITE_BUFFER_BYTES)
        .max_message_size(socket::MAX_MESSAGE_BYTES)
        .max_frame_size(socket::MAX_MESSAGE_BYTES);
    let id = SessionId(shared.next.fetch_add(1, Ordering::Relaxed));
    let Shared { door, alive, silence, .. } = shared;
    upgrade.on_upgrade(move |socket| async move {
        standing.note_websocket();
        let Some(_alive) = alive.upgrade() else { return };
        tracing::debug!(?id, "session begins");
        socket::carry(socket, id, door, standing, silence).await;
    })
}

async fn report(State(shared): State<Shared>) -> Response {
    let json = serde_json::to_string(&shared.health.public()).unwrap_or_default();
    let status = if shared.health.is_failing() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    // Whoever asks again connects again: no connection that is no device's outlives its answer.
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CONNECTION, "close")], json).into_response()
}
