//! A device shared between an application and the network: the application calls, the driver keeps it connected.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use rustls::ClientConfig;
use tokio::sync::{Notify, broadcast, watch};
use vereda_sync::device::{DeviceStore, Effect, Event, Input};

use super::{
    clock::Clock,
    connection::{Connection, News},
    entropy::SystemEntropy,
    socket::ByteCounters,
};
use crate::device::{Ambient, Device, DeviceError, IncarnatedStore};

/// Inputs that are handled before one commit.
const GROUP: usize = 64;
/// Events kept for a listener that is late.
const EVENTS: usize = 4_096;

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An event of the machine.
    Event(Event),
    /// A connection could not be made: why, for people.
    NotReached(String),
    /// Documents changed by what others wrote.
    Changed(Vec<vereda_base::ChainId>),
    /// The device's own work failed, such as its store.
    Failed(String),
}

/// A device that several callers share. Cloning shares it.
pub struct SharedDevice<S: DeviceStore>(Arc<Inner<S>>);

struct Inner<S: DeviceStore> {
    device: Mutex<Device<S>>,
    clock: Clock,
    wake: Notify,
    counters: ByteCounters,
    allow_plain: AtomicBool,
    notices: broadcast::Sender<Notice>,
    /// How many steps the driver has made.
    steps: watch::Sender<u64>,
}

impl<S: DeviceStore> Clone for SharedDevice<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: DeviceStore> SharedDevice<S> {
    /// Shares a device.
    pub fn new(device: Device<S>, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            device: Mutex::new(device),
            clock,
            wake: Notify::new(),
            counters: ByteCounters::default(),
            allow_plain: AtomicBool::new(false),
            notices: broadcast::channel(EVENTS).0,
            steps: watch::channel(0).0,
        }))
    }

    /// Allows connections without TLS to other machines: for test networks that are trusted.
    pub fn allow_plain(&self) {
        self.0.allow_plain.store(true, Ordering::Relaxed);
    }

    /// Calls the device with clock and entropy of this machine; what it wants sent is sent afterwards.
    pub fn with<T>(&self, call: impl FnOnce(&mut Device<S>, &mut Ambient<'_>) -> T) -> T {
        let mut entropy = SystemEntropy;
        let answer = call(&mut self.lock(), &mut Ambient { now: self.0.clock.now(), rng: &mut entropy });
        self.0.wake.notify_one();
        answer
    }

    /// Listens to what happens from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.0.notices.subscribe()
    }

    /// Watches the steps of the driver: whatever may have changed has, once the number grew.
    pub fn steps(&self) -> watch::Receiver<u64> {
        self.0.steps.subscribe()
    }

    /// Bytes on the wire since the start.
    pub fn counters(&self) -> &ByteCounters {
        &self.0.counters
    }

    /// Waits until the device is settled: all of its own is at the relay, all of the relay's is here and opened.
    pub async fn settled(&self) {
        let mut steps = self.steps();
        // The device itself is asked: what was edited a moment ago counts, though the driver has not seen it yet.
        while !self.lock().is_settled() {
            if steps.changed().await.is_err() {
                // The sender lives as long as `self`.
                return;
            }
        }
    }

    /// Gives the device back once nobody else shares it.
    pub fn into_inner(self) -> Option<Device<S>> {
        let inner = Arc::into_inner(self.0)?;
        Some(inner.device.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// A panic in a caller leaves the device as its last commit left it: whoever comes next rolls back first.
    fn lock(&self) -> MutexGuard<'_, Device<S>> {
        self.0.device.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut device = poisoned.into_inner();
            device.roll_back();
            self.0.device.clear_poison();
            device
        })
    }
}

impl<S: IncarnatedStore + Send + 'static> SharedDevice<S> {
    /// Keeps the device connected as its machine asks; runs until dropped.
    pub async fn stay_connected(&self, tls: Arc<ClientConfig>) {
        let mut connection: Option<Connection> = None;
        loop {
            let is_more = self.carry_out(&mut connection, &tls);
            let news = tokio::select! {
                biased;
                () = self.due() => Some(News::Input(Input::Timeout)),
                news = next(&mut connection) => Some(news),
                () = self.0.wake.notified() => None,
                // What arrived meanwhile comes first: the relay's answers do not wait until all work is done.
                () = tokio::task::yield_now(), if is_more => None,
            };
            self.take_in(news, &mut connection);
        }
    }

    /// Does one step of the device's work and carries out what the machine asked for; says whether there is more to do.
    fn carry_out(&self, connection: &mut Option<Connection>, tls: &Arc<ClientConfig>) -> bool {
        let (effects, url, step) = {
            let mut device = self.lock();
            let mut entropy = SystemEntropy;
            let mut ambient = Ambient { now: self.0.clock.now(), rng: &mut entropy };
            let renewed = device.renew_if_restored(&mut ambient);
            let step = renewed.and_then(|_| device.work(&mut ambient));
            (device.take_effects(), device.relay_url().to_owned(), step)
        };
        let has_effects = !effects.is_empty();
        for effect in effects {
            self.carry_out_one(effect, connection, &url, tls);
        }
        let is_more = match step {
            Ok(step) => {
                if !step.changed.is_empty() {
                    self.tell(Notice::Changed(step.changed));
                }
                has_effects || step.is_more
            }
            Err(error) => {
                self.tell(Notice::Failed(error.to_string()));
                false
            }
        };
        self.0.steps.send_modify(|steps| *steps = steps.wrapping_add(1));
        is_more
    }

    fn carry_out_one(&self, effect: Effect, connection: &mut Option<Connection>, url: &str, tls: &Arc<ClientConfig>) {
        match effect {
            Effect::Connect => {
                let (counters, plain) = (self.0.counters.clone(), self.0.allow_plain.load(Ordering::Relaxed));
                *connection = Some(Connection::begin(url.to_owned(), Arc::clone(tls), counters, plain));
            }
            Effect::Send(frame) => {
                if let Some(connection) = connection {
                    connection.send(frame);
                }
            }
            Effect::Probe => {
                if let Some(connection) = connection {
                    connection.probe();
                }
            }
            Effect::Close => *connection = None,
            Effect::Event(event) => self.tell(Notice::Event(event)),
        }
    }

    /// Hands news to the machine: as many as are there already before one commit.
    fn take_in(&self, first: Option<News>, connection: &mut Option<Connection>) {
        let Some(first) = first else { return };
        let mut device = self.lock();
        let mut entropy = SystemEntropy;
        let mut ambient = Ambient { now: self.0.clock.now(), rng: &mut entropy };
        let mut handled: Result<(), DeviceError> = Ok(());
        for news in group(first, || connection.as_mut().and_then(Connection::ready)) {
            let input = match news {
                News::Input(input) => input,
                News::Failed(reason) => {
                    self.tell(Notice::NotReached(reason));
                    Input::Closed
                }
            };
            let is_closed = input == Input::Closed;
            handled = device.handle(&mut ambient, input);
            if is_closed {
                *connection = None;
            }
            if handled.is_err() {
                break;
            }
        }
        if let Err(error) = handled.and_then(|()| device.commit()) {
            self.tell(Notice::Failed(error.to_string()));
        }
    }

    async fn due(&self) {
        let due = {
            let device = self.lock();
            device.poll_timeout().into_iter().chain(device.poll_work()).min()
        };
        match due {
            Some(moment) => {
                let instant: Instant = self.0.clock.instant(moment);
                tokio::time::sleep_until(instant.into()).await;
            }
            None => std::future::pending().await,
        }
    }

    fn tell(&self, notice: Notice) {
        // Nobody may be listening.
        drop(self.0.notices.send(notice));
    }
}

/// Takes what is there already after a first piece of news, [`GROUP`] pieces in all; what is beyond stays where it is.
fn group<T>(first: T, ready: impl FnMut() -> Option<T>) -> Vec<T> {
    std::iter::once(first).chain(std::iter::from_fn(ready)).take(GROUP).collect()
}

async fn next(connection: &mut Option<Connection>) -> News {
    match connection {
        Some(connection) => connection.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_group_does_not_hold_is_there_for_the_next() {
        let mut waiting = 1..2 * GROUP + 2;
        let mut taken = Vec::new();
        while let Some(first) = waiting.next() {
            let group = group(first, || waiting.next());
            assert!(group.len() <= GROUP);
            taken.extend(group);
        }
        assert_eq!(taken, Vec::from_iter(1..2 * GROUP + 2));
    }
}
