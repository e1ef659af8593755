//! One websocket: frames in, frames out, and nothing else.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{sync::mpsc, time::timeout};
use vereda_base::limits::MAX_FRAME_BYTES;
use vereda_sync::relay::{Input, SessionId};

use crate::{standing::Standing, writer::Door};

/// Per connection; the library's default is 128 KiB.
pub(crate) const READ_BUFFER_BYTES: usize = 4 << 10;
/// What may wait in the library before it is written out.
pub(crate) const WRITE_BUFFER_BYTES: usize = 16 << 10;
/// What the websocket takes as one frame at most. Twice what a frame may have, so that one which is only somewhat too
/// long is answered by a goodbye.
pub(crate) const MAX_MESSAGE_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// Bytes written of which the machine is told at once; fewer wait for more.
const REPORT_BYTES: usize = 16 << 10;
/// How long a peer may take to take in the last frames.
const FAREWELL: Duration = Duration::from_secs(5);

/// Carries frames between a websocket and the writer until either ends. After `silence` the peer is probed; after twice
/// that much, or where it takes nothing in for so long, it counts as gone.
pub(crate) async fn carry(socket: WebSocket, id: SessionId, door: Door, standing: Standing, silence: Duration) {
    let Some(frames) = door.open(id, standing).await else { return };
    let (sink, mut stream) = socket.split();
    let (probe, probes) = mpsc::channel(1);
    let mut write = std::pin::pin!(write_out(sink, frames, probes, (id, &door), silence));
    let sink = tokio::select! {
        sink = &mut write => sink,
        () = read_in(&mut stream, probe, (id, &door), silence) => None,
    };
    if sink.is_none() {
        door.tell(Input::Closed(id)).await;
    }
    if let Some(sink) = sink {
        // What the peer still sends is read and dropped: closing over unread bytes would cut off the last frames.
        let _ = timeout(FAREWELL, say_farewell(sink, &mut stream)).await;
    }
    tracing::debug!(?id, "session ended");
}

async fn read_in(
    stream: &mut SplitStream<WebSocket>,
    probe: mpsc::Sender<()>,
    (id, door): (SessionId, &Door),
    silence: Duration,
) {
    let mut probed = false;
    loop {
        let message = match timeout(silence, stream.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(_))) => {
                // Too long, or no websocket frame: the stream cannot be read on, but the peer may be told.
                door.tell(Input::Broken(id)).await;
                return std::future::pending().await;
            }
            Ok(None) => return,
            Err(_) if probed => return,
            Err(_) => {
                probed = true;
                let _ = probe.try_send(());
                continue;
            }
        };
        probed = false;
        let open = match message {
            Message::Binary(frame) if frame.len() <= MAX_FRAME_BYTES => door.frame(id, frame.into()).await,
            Message::Binary(_) | Message::Text(_) => door.tell(Input::Broken(id)).await,
            // Reading on answers a ping or a close, and after a close ends.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => true,
        };
        if !open {
            return;
        }
    }
}

/// Writes until the machine has nothing more for the session; gives the sink back then, to close it.
async fn write_out(
    mut sink: SplitSink<WebSocket, Message>,
    mut frames: mpsc::UnboundedReceiver<Vec<u8>>,
    mut probes: mpsc::Receiver<()>,
    (id, door): (SessionId, &Door),
    silence: Duration,
) -> Option<SplitSink<WebSocket, Message>> {
    let mut written = 0;
    loop {
        let frame = tokio::select! {
            biased;
            frame = frames.recv() => frame,
            Some(()) = probes.recv() => {
                timeout(silence, sink.send(Message::Ping(Vec::new().into()))).await.ok()?.ok()?;
                continue;
            }
        };
        let Some(frame) = frame else { return Some(sink) };
        written += frame.len();
        timeout(silence, sink.feed(Message::Binary(frame.into()))).await.ok()?.ok()?;
        while let Ok(frame) = frames.try_recv() {
            written += frame.len();
            timeout(silence, sink.feed(Message::Binary(frame.into()))).await.ok()?.ok()?;
        }
        timeout(silence, sink.flush()).await.ok()?.ok()?;
        if written >= REPORT_BYTES {
            door.tell(Input::Written(id, std::mem::take(&mut written))).await;
        }
    }
}

async fn say_farewell(mut sink: SplitSink<WebSocket, Message>, stream: &mut SplitStream<WebSocket>) {
    let close = CloseFrame { code: close_code::NORMAL, reason: "".into() };
    if sink.send(Message::Close(Some(close))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}
