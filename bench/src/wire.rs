//! The network between devices and a relay: counts bytes and round trips, and delays.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Runtime,
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use vereda_base::Monotonic;
use vereda_client_core::native::clock::Clock;

/// How long connections may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A network of its own.
pub(crate) struct Wire {
    address: SocketAddr,
    state: Arc<State>,
    open: watch::Receiver<usize>,
}

/// What passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Bytes from devices to the relay.
    pub(crate) up: u64,
    /// Bytes from the relay to devices.
    pub(crate) down: u64,
    /// How often the relay spoke after a device had. The opening of TCP is not among them.
    pub(crate) round_trips: u64,
}

impl Passed {
    pub(crate) const fn bytes(self) -> u64 {
        self.up + self.down
    }
}

struct State {
    target: Mutex<SocketAddr>,
    clock: Clock,
    one_way_ms: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    round_trips: AtomicU64,
    open: watch::Sender<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Wire {
    /// Begins to carry connections to a relay.
    pub(crate) fn lay(runtime: &Runtime, target: SocketAddr) -> Result<Self> {
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        let (sender, open) = watch::channel(0);
        let state = Arc::new(State {
            target: Mutex::new(target),
            clock: Clock::start(),
            one_way_ms: AtomicU64::new(0),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            round_trips: AtomicU64::new(0),
            open: sender,
        });
        let accepting = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                accepting.open.send_modify(|open| *open += 1);
                let carrying = Arc::clone(&accepting);
                tokio::spawn(async move {
                    // A relay that is away ends the connection, as a network does.
                    drop(carrying.carry(device).await);
                    carrying.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Ok(Self { address, state, open })
    }

    /// Where devices connect.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/sync", self.address)
    }

    /// Leads to another relay from now on.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        *self.state.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Delays everything by half of a round trip from now on.
    pub(crate) fn delay(&self, round_trip_ms: u64) {
        self.state.one_way_ms.store(round_trip_ms / 2, Ordering::SeqCst);
    }

    /// Forgets what passed.
    pub(crate) fn reset(&self) {
        for counter in [&self.state.up, &self.state.down, &self.state.round_trips] {
            counter.store(0, Ordering::SeqCst);
        }
    }

    /// Tells what passed so far.
    pub(crate) fn passed(&self) -> Passed {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Passed { up: read(&self.state.up), down: read(&self.state.down), round_trips: read(&self.state.round_trips) }
    }

    /// Waits until no connection is open, then tells what passed.
    pub(crate) fn rest(&self, runtime: &Runtime) -> Result<Passed> {
        let mut open = self.open.clone();
        let rested = async { timeout(PATIENCE, open.wait_for(|open| *open == 0)).await.map(|_| ()) };
        runtime.block_on(rested).context("a connection does not end")?;
        Ok(self.passed())
    }
}

impl State {
    async fn carry(&self, device: TcpStream) -> Result<()> {
        let target = *self.target.lock().unwrap_or_else(PoisonError::into_inner);
        let relay = TcpStream::connect(target).await?;
        device.set_nodelay(true)?;
        relay.set_nodelay(true)?;
        let (from_device, to_device) = device.into_split();
        let (from_relay, to_relay) = relay.into_split();
        let device_spoke = AtomicBool::new(false);
        tokio::join!(
            self.pass(from_device, to_relay, Way::Up, &device_spoke),
            self.pass(from_relay, to_device, Way::Down, &device_spoke),
        );
        Ok(())
    }

    async fn pass(&self, from: OwnedReadHalf, to: OwnedWriteHalf, way: Way, device_spoke: &AtomicBool) {
        let (sender, waiting) = mpsc::unbounded_channel();
        tokio::join!(self.take(from, sender, way, device_spoke), give(waiting, to));
    }

    async fn take(
        &self,
        mut from: OwnedReadHalf,
        sender: mpsc::UnboundedSender<(Option<Instant>, Vec<u8>)>,
        way: Way,
        device_spoke: &AtomicBool,
    ) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count) = from.read(&mut buffer).await {
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            let counter = if way == Way::Up { &self.up } else { &self.down };
            counter.fetch_add(count as u64, Ordering::SeqCst);
            let spoke = device_spoke.swap(way == Way::Up, Ordering::SeqCst);
            if way == Way::Down && spoke {
                self.round_trips.fetch_add(1, Ordering::SeqCst);
            }
            let delay = Duration::from_millis(self.one_way_ms.load(Ordering::SeqCst));
            let due = (!delay.is_zero()).then(|| {
                let now = self.clock.now().monotonic.0;
                Instant::from_std(self.clock.instant(Monotonic(now + delay)))
            });
            if sender.send((due, bytes.to_vec())).is_err() {
                break;
            }
        }
    }
}

async fn give(mut waiting: mpsc::UnboundedReceiver<(Option<Instant>, Vec<u8>)>, mut to: OwnedWriteHalf) {
    while let Some((due, bytes)) = waiting.recv().await {
        if let Some(due) = due {
            sleep_until(due).await;
        }
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    // The other side may be gone already.
    drop(to.shutdown().await);
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        thread,
    };

    use super::*;

    fn echo() -> SocketAddr {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut copy = stream.try_clone().unwrap();
                thread::spawn(move || std::io::copy(&mut stream, &mut copy).ok());
            }
        });
        address
    }

    #[test]
    fn bytes_and_round_trips_are_counted_until_the_connection_ends() {
        let runtime = Runtime::new().unwrap();
        let wire = Wire::lay(&runtime, echo()).unwrap();
        let mut stream = TcpStream::connect(wire.address).unwrap();
        for _ in 0..3 {
            stream.write_all(b"hello").unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
        }
        drop(stream);
        assert_eq!(wire.rest(&runtime).unwrap(), Passed { up: 15, down: 15, round_trips: 3 });
        wire.reset();
        assert_eq!(wire.passed(), Passed::default());
    }
}
