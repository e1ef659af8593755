//! One websocket to a relay, over plain TCP or TLS, with its bytes counted on the wire.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use rustls::{CertificateError, ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, protocol::WebSocketConfig},
};
use url::Url;
use vereda_base::limits::MAX_FRAME_BYTES;

/// Per connection; the default of the library is 128 KiB.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// How much may wait in the library before it is written out.
const WRITE_BUFFER_BYTES: usize = 16 << 10;

/// Bytes that passed the network interface, TLS and websocket frames included, since the start of the process.
#[derive(Debug, Clone, Default)]
pub struct ByteCounters {
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
}

impl ByteCounters {
    /// Bytes sent.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Bytes received.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }
}

/// A websocket to a relay.
pub type Socket = WebSocketStream<Box<dyn Stream>>;

/// What a websocket runs over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why no connection came about. Names the address, which is no secret.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not an address of a relay.
    #[error("{url} is no address of a relay: it begins with ws:// or wss://")]
    Address {
        /// The address.
        url: String,
    },
    /// What passes would be open to the network.
    #[error("{PLAIN_REFUSED}")]
    Plain,
    /// The network does not lead there.
    #[error("{host} is not reached: {source}")]
    Unreachable {
        /// The host.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// The host does not prove who it is.
    #[error("{host} does not prove its identity by a certificate: {}", told_by_tls(source))]
    Tls {
        /// The host.
        host: String,
        /// What TLS says.
        source: io::Error,
    },
    /// Something else answers there.
    #[error("{host} does not answer as a relay: {}", told_by_websocket(source))]
    Upgrade {
        /// The host.
        host: String,
        /// What the websocket says.
        source: Box<tungstenite::Error>,
    },
}

/// Why a plain address of another machine is refused.
pub const PLAIN_REFUSED: &str = "the relay's address is not protected: it begins with ws://, and everybody on the way \
     sees who connects, to which cases, and when. Ask for a link with a wss:// address; on a test network that you trust, \
     pass --allow-plain or set VEREDA_ALLOW_PLAIN=1";

/// What is wrong with TLS, in words.
fn told_by_tls(error: &io::Error) -> String {
    let told = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let words = match told {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "it has expired, or this device's clock is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "it is not valid yet, or this device's clock is wrong"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is for another host"
            }
            CertificateError::UnknownIssuer => "it is from no authority that this device trusts",
            CertificateError::Revoked => "it is revoked",
            _ => "it cannot be used as a server's certificate",
        },
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS",
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// What is wrong with a websocket, in words.
fn told_by_websocket(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(answer) => format!("it answers {}", answer.status()),
        tungstenite::Error::Io(error) => error.to_string(),
        _ => "no websocket is offered there; the address of a relay with TLS begins with wss://".to_owned(),
    }
}

/// Connects to a relay's `wss://` address, or to a `ws://` address on this machine; to one elsewhere only with
/// `allow_plain`.
///
/// # Errors
/// [`ConnectError`] by cause.
pub async fn connect(
    url: &str,
    tls: &Arc<ClientConfig>,
    counters: &ByteCounters,
    allow_plain: bool,
) -> Result<Socket, ConnectError> {
    if !allow_plain && crate::link::is_exposed(url) {
        return Err(ConnectError::Plain);
    }
    let address = || ConnectError::Address { url: url.to_owned() };
    let parsed = Url::parse(url).map_err(|_| address())?;
    let host = parsed.host_str().ok_or_else(address)?.trim_matches(['[', ']']).to_owned();
    let port = parsed.port_or_known_default().ok_or_else(address)?;
    let unreachable = |source| ConnectError::Unreachable { host: host.clone(), source };
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(unreachable)?;
    // A frame is written whole; waiting for more only delays it.
    tcp.set_nodelay(true).map_err(unreachable)?;
    let tcp = Counted { stream: tcp, counters: counters.clone() };
    let stream: Box<dyn Stream> = match parsed.scheme() {
        "ws" => Box::new(tcp),
        "wss" => {
            let name = ServerName::try_from(host.clone()).map_err(|_| address())?;
            let connected = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
            Box::new(connected.map_err(|source| ConnectError::Tls { host: host.clone(), source })?)
        }
        _ => return Err(address()),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES));
    match client_async_with_config(url, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(source) => Err(ConnectError::Upgrade { host, source: Box::new(source) }),
    }
}

/// Counts what passes.
struct Counted<T> {
    stream: T,
    counters: ByteCounters,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.counters.down.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            self.counters.up.fetch_add(*written as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
