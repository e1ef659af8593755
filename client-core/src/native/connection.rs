//! One connection as the driver sees it: inputs come in, frames go out, neither waits for the other.

use std::sync::Arc;

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use rustls::ClientConfig;
use tokio::{sync::mpsc, task::AbortHandle};
use tokio_tungstenite::tungstenite::Message;
use vereda_sync::device::Input;

use super::socket::{ByteCounters, Socket, connect};

/// Inputs that may wait for the driver before the socket is left unread.
const INPUTS: usize = 64;

/// What a connection tells the driver.
#[derive(Debug)]
pub(super) enum News {
    /// An input for the machine.
    Input(Input),
    /// The connection could not be made: why, for people.
    Failed(String),
}

/// A connection that is being made or is open. Dropping it closes it after what was sent.
pub(super) struct Connection {
    news: mpsc::Receiver<News>,
    outgoing: mpsc::UnboundedSender<Message>,
    reader: AbortHandle,
}

impl Connection {
    /// Begins to connect; the outcome comes as news.
    pub(super) fn begin(url: String, tls: Arc<ClientConfig>, counters: ByteCounters, allow_plain: bool) -> Self {
        let (news_in, news) = mpsc::channel(INPUTS);
        let (outgoing, frames) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            match connect(&url, &tls, &counters, allow_plain).await {
                Ok(socket) => carry(socket, frames, &news_in).await,
                Err(error) => drop(news_in.send(News::Failed(error.to_string())).await),
            }
        });
        Self { news, outgoing, reader: task.abort_handle() }
    }

    /// Waits for the next piece of news; a connection that ended tells so.
    pub(super) async fn next(&mut self) -> News {
        self.news.recv().await.unwrap_or(News::Input(Input::Closed))
    }

    /// Takes a piece of news that is there already.
    pub(super) fn ready(&mut self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// Hands a binary frame to the socket. One that is closed says so by its news.
    pub(super) fn send(&self, frame: Vec<u8>) {
        drop(self.outgoing.send(Message::Binary(frame.into())));
    }

    /// Sends a ping; its answer comes as [`Input::Alive`].
    pub(super) fn probe(&self) {
        drop(self.outgoing.send(Message::Ping(Vec::new().into())));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The writer goes on until the last frame is out and then closes the socket.
        self.reader.abort();
    }
}

async fn carry(socket: Socket, frames: mpsc::UnboundedReceiver<Message>, news: &mpsc::Sender<News>) {
    let (sink, stream) = socket.split();
    tokio::spawn(write_out(sink, frames));
    if news.send(News::Input(Input::Connected)).await.is_ok() {
        read_in(stream, news).await;
    }
}

async fn read_in(mut stream: SplitStream<Socket>, news: &mpsc::Sender<News>) {
    loop {
        let input = match stream.next().await {
            Some(Ok(Message::Binary(frame))) => Input::Frame(frame.into()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Input::Alive,
            // Text has no meaning here; an empty frame is refused by the machine as the breach that it is.
            Some(Ok(Message::Text(_))) => Input::Frame(Vec::new()),
            Some(Ok(Message::Frame(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => Input::Closed,
        };
        let is_closed = input == Input::Closed;
        if news.send(News::Input(input)).await.is_err() || is_closed {
            return;
        }
    }
}

async fn write_out(mut sink: SplitSink<Socket, Message>, mut frames: mpsc::UnboundedReceiver<Message>) {
    while let Some(first) = frames.recv().await {
        // What waits already goes out in one write.
        let mut next = Some(first);
        while let Some(frame) = next {
            if sink.feed(frame).await.is_err() {
                return;
            }
            next = frames.try_recv().ok();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
    // The other side may be gone already.
    drop(sink.close().await);
}
