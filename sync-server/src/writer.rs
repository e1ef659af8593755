//! The one thread that owns the machine and the database. All inputs that wait are taken in one transaction, one commit
//! makes them durable, and only then their effects go out.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep_until},
};
use vereda_sync::relay::{Effect, Input, RelayMachine, RelayStore, SessionId};

use crate::{clock::Clock, entropy::SystemEntropy, health::Health, standing::Standing, store::SqliteStore};

/// Inputs taken into one transaction.
const MAX_BATCH: usize = 1_024;
/// Inputs that wait for the writer; beyond, sockets wait.
const MAX_WAITING: usize = 4_096;
/// Bytes of frames that wait for the writer; beyond, sockets wait.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// An input on its way to the writer.
pub(crate) struct Inbound {
    input: Input,
    /// Where the session's frames go, when it opens.
    outlet: Option<Outlet>,
    /// Its share of the bytes that may wait.
    _share: Option<OwnedSemaphorePermit>,
}

/// A session's way out.
struct Outlet {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    standing: Standing,
}

/// Where sockets hand their inputs in.
#[derive(Clone)]
pub(crate) struct Door {
    inputs: mpsc::Sender<Inbound>,
    bytes: Arc<Semaphore>,
}

impl Door {
    /// Opens a session. Gives where its frames come out: bounded by what the machine lets wait for a session.
    pub(crate) async fn open(&self, id: SessionId, standing: Standing) -> Option<mpsc::UnboundedReceiver<Vec<u8>>> {
        let (outlet, frames) = mpsc::unbounded_channel();
        let outlet = Some(Outlet { frames: outlet, standing });
        let opened = Inbound { input: Input::Opened(id), outlet, _share: None };
        self.inputs.send(opened).await.ok().map(|()| frames)
    }

    /// Hands a frame in; waits while too much waits already.
    pub(crate) async fn frame(&self, id: SessionId, frame: Vec<u8>) -> bool {
        let share = u32::try_from(frame.len()).unwrap_or(u32::MAX).min(MAX_WAITING_BYTES as u32);
        let share = Arc::clone(&self.bytes).acquire_many_owned(share).await.ok();
        self.inputs.send(Inbound { input: Input::Frame(id, frame), outlet: None, _share: share }).await.is_ok()
    }

    /// Hands another input in.
    pub(crate) async fn tell(&self, input: Input) -> bool {
        self.inputs.send(Inbound { input, outlet: None, _share: None }).await.is_ok()
    }
}

/// Starts the writer on a thread of its own. It ends, its database checkpointed, after [`Input::Stop`].
///
/// # Errors
/// If the thread cannot be started.
pub(crate) fn start(
    machine: RelayMachine,
    store: SqliteStore,
    clock: Clock,
    health: Health,
    runtime: Handle,
) -> io::Result<(Door, JoinHandle<()>)> {
    let (inputs, waiting) = mpsc::channel(MAX_WAITING);
    let bytes = Arc::new(Semaphore::new(MAX_WAITING_BYTES));
    let mut writer =
        Writer { machine, store, clock, health, outlets: BTreeMap::new(), stopping: false, failing: false };
    // Whoever asks before the thread runs is told what is stored, not zeros.
    writer.note_health();
    let thread = thread::Builder::new().name("writer".into()).spawn(move || runtime.block_on(writer.run(waiting)))?;
    Ok((Door { inputs, bytes }, thread))
}

struct Writer {
    machine: RelayMachine,
    store: SqliteStore,
    clock: Clock,
    health: Health,
    outlets: BTreeMap<SessionId, Outlet>,
    stopping: bool,
    failing: bool,
}

impl Writer {
    async fn run(&mut self, mut waiting: mpsc::Receiver<Inbound>) {
        let mut more = false;
        loop {
            self.note_health();
            if !more {
                let Some(first) = self.next(&mut waiting).await else { break };
                self.take(first);
            }
            for _ in 1..MAX_BATCH {
                let Ok(inbound) = waiting.try_recv() else { break };
                self.take(inbound);
            }
            let now = self.clock.now();
            more = self.machine.serve(now, &self.store);
            self.commit();
            if self.stopping {
                break;
            }
        }
        self.note_health();
        if let Err(error) = self.store.checkpoint() {
            tracing::warn!(%error, "the write-ahead log was not written into the database; the next start does it");
        }
    }

    /// Waits for an input, or for the time that the machine asked for.
    async fn next(&self, waiting: &mut mpsc::Receiver<Inbound>) -> Option<Inbound> {
        let Some((at, _)) = self.machine.poll_timeout() else { return waiting.recv().await };
        let deadline = Instant::from_std(self.clock.instant(at));
        tokio::select! {
            inbound = waiting.recv() => inbound,
            () = sleep_until(deadline) => Some(Inbound { input: Input::Timeout, outlet: None, _share: None }),
        }
    }

    fn take(&mut self, inbound: Inbound) {
        let Inbound { input, outlet, _share } = inbound;
        let mut from = None;
        match (&input, outlet) {
            (Input::Opened(id), Some(outlet)) => {
                self.outlets.insert(*id, outlet);
            }
            (Input::Frame(id, _), _) => from = Some(*id),
            (Input::Closed(id), _) => {
                self.outlets.remove(id);
            }
            (Input::Stop, _) => self.stopping = true,
            _ => {}
        }
        let now = self.clock.now();
        self.machine.handle_input(now, input, &mut self.store, &mut SystemEntropy);
        if let Some(outlet) = from.and_then(|id| self.outlets.get(&id))
            && !outlet.standing.is_proven()
            && from.is_some_and(|id| self.machine.is_proven(id))
        {
            outlet.standing.note_proven();
        }
    }

    fn commit(&mut self) {
        let has_written = self.store.has_uncommitted();
        let committed = self.machine.commit(&mut self.store);
        // A commit of nothing succeeds on a full disk too, and proves nothing.
        if has_written || committed.failure.is_some() {
            self.failing = committed.failure.is_some();
        }
        if let Some(error) = committed.failure {
            tracing::error!(%error, "nothing of the last transaction was stored; all sessions are closed");
        }
        for effect in committed.effects {
            match effect {
                Effect::Send(id, frame) => {
                    if let Some(outlet) = self.outlets.get(&id) {
                        // A socket that is gone says so by itself.
                        let _ = outlet.frames.send(frame);
                    }
                }
                Effect::Close(id) => {
                    self.outlets.remove(&id);
                }
            }
        }
    }

    fn note_health(&self) {
        let end = self.store.end().unwrap_or_default();
        self.health.note(self.machine.session_count(), end, self.failing);
    }
}
