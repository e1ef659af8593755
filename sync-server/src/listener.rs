//! Connections: plain TCP, or TLS when there is a certificate.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use rustls::{
    NamedGroup, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::Acceptor,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use crate::{
    limits::Limits,
    standing::{Admissions, MAX_UNPROVEN_BYTES, Place, Standing},
};

/// Connections that are through the handshake and wait to be served.
const MAX_WAITING: usize = 256;

/// A certificate chain and its key, in PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing usable.
    #[error("{} is not usable PEM: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificate and the key do not go together, or not with TLS.
    #[error("the certificate cannot be used: {0}")]
    Certificate(rustls::Error),
}

/// The server's side of TLS 1.3. The library follows the client's order of key exchanges, so the choice is made here: a
/// client that can do the hybrid post-quantum one gets no other.
#[derive(Clone)]
pub(crate) struct Tls {
    hybrid: Arc<ServerConfig>,
    any: Arc<ServerConfig>,
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`] by cause.
    pub(crate) fn new(files: &TlsFiles) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| file_error(&files.certificate, &error))?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| file_error(&files.key, &error))?;
        let any = make_config(chain.clone(), key.clone_key(), |_| true)?;
        let hybrid = make_config(chain, key, |group| group == NamedGroup::X25519MLKEM768)?;
        Ok(Self { hybrid, any })
    }

    async fn accept(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
        let offered = start.client_hello().named_groups().unwrap_or_default().contains(&NamedGroup::X25519MLKEM768);
        let config = if offered { &self.hybrid } else { &self.any };
        start.into_stream(Arc::clone(config)).await
    }
}

fn make_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    wanted: impl Fn(NamedGroup) -> bool,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| wanted(group.name()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Certificate)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A device reconnects often: two tickets would cost it 200 bytes each time.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Accepts connections, as many as the limits say; handshakes run beside one another.
pub(crate) struct Listener {
    address: SocketAddr,
    ready: mpsc::Receiver<(Connection, Standing)>,
    accepting: tokio::task::AbortHandle,
}

impl Listener {
    /// Listens on a socket that is bound.
    pub(crate) fn new(tcp: TcpListener, tls: Option<Tls>, limits: &Limits) -> io::Result<Self> {
        let address = tcp.local_addr()?;
        let (connections, ready) = mpsc::channel(MAX_WAITING);
        let accepting = tokio::spawn(accept_all(tcp, tls, *limits, connections)).abort_handle();
        Ok(Self { address, ready, accepting })
    }

    /// Says where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl axum::serve::Listener for Listener {
    /// A request is told how far its connection came; from where it comes concerns nobody further in.
    type Addr = Standing;
    type Io = Connection;

    async fn accept(&mut self) -> (Connection, Standing) {
        match self.ready.recv().await {
            Some(ready) => ready,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Standing> {
        Ok(Standing::default())
    }
}

impl Connected<IncomingStream<'_, Listener>> for Standing {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.remote_addr().clone()
    }
}

async fn accept_all(tcp: TcpListener, tls: Option<Tls>, limits: Limits, ready: mpsc::Sender<(Connection, Standing)>) {
    let admissions = Admissions::new(&limits);
    loop {
        let (stream, address) = match tcp.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(code = error.raw_os_error(), "a connection was not accepted");
                // Out of descriptors: there will be some again when connections end.
                sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let Some(place) = admissions.admit(address.ip()) else {
            tracing::debug!("a connection was closed: there are as many as may be");
            continue;
        };
        // A small frame must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let (tls, ready) = (tls.clone(), ready.clone());
        let Some(tls) = tls else {
            let connection = Connection::new(Stream::Plain(stream), place, &limits);
            if ready.send(connection).await.is_err() {
                return;
            }
            continue;
        };
        tokio::spawn(async move {
            match timeout(limits.handshake, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let connection = Connection::new(Stream::Tls(Box::new(stream)), place, &limits);
                    let _ = ready.send(connection).await;
                }
                Ok(Err(_)) | Err(_) => tracing::debug!("a TLS handshake failed"),
            }
        });
    }
}

/// A connection and its place. Until it is a websocket its time runs; until its device proved itself only so much of it
/// is read.
pub(crate) struct Connection {
    stream: Stream,
    standing: Standing,
    /// When it ends; `None` once it is a websocket.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes that may still be read; `None` once the device proved itself.
    unproven: Option<usize>,
    _place: Place,
}

impl Connection {
    fn new(stream: Stream, place: Place, limits: &Limits) -> (Self, Standing) {
        let standing = Standing::default();
        let connection = Self {
            stream,
            standing: standing.clone(),
            deadline: Some(Box::pin(sleep(limits.handshake))),
            unproven: Some(MAX_UNPROVEN_BYTES),
            _place: place,
        };
        (connection, standing)
    }

    /// Fails once the time for a request is over.
    fn check_deadline(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.standing.is_websocket() {
            self.deadline = None;
        }
        let is_over = self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        if is_over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// Tells how much may be read now; pending until the device proved itself, if nothing.
    fn poll_allowance(&mut self, cx: &Context<'_>) -> Poll<usize> {
        if self.unproven == Some(0) {
            self.standing.wake_when_proven(cx.waker());
        }
        if self.standing.is_proven() {
            self.unproven = None;
        }
        match self.unproven {
            Some(0) => Poll::Pending,
            Some(rest) => Poll::Ready(rest),
            None => Poll::Ready(usize::MAX),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_deadline(cx)?;
        let allowance = ready!(this.poll_allowance(cx));
        if allowance >= buf.remaining() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let read = buf.filled().len().saturating_sub(before);
            this.unproven = this.unproven.map(|rest| rest.saturating_sub(read));
            return Poll::Ready(Ok(()));
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(allowance));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        this.unproven = this.unproven.map(|rest| rest.saturating_sub(read));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_deadline(cx)?;
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_deadline(cx)?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

/// What a connection runs over.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

fn file_error(path: &Path, error: &impl std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), reason: error.to_string() }
}
